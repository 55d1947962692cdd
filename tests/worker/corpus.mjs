// The verdict corpus through real HTTP, in workerd.

import { createServer } from "node:http";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { exceptions } from "./exceptions.mjs";
import { ask, start } from "./workerd.mjs";

const VECTORS = process.env.POSTERN_CORPUS;
/** The header that tells requests apart. */
const NUMBER = "x-postern-test";
const HOST = /^https?:\/\/[^/]*/;

/** Stands before the Worker: sets its clock and its variables, as the test says. */
const MAIN = `
import gate from "index.mjs";
// What isolates share would answer for the scripted issuer.
Object.defineProperty(globalThis, "caches", {
  value: { default: { match: async () => undefined, put: async () => undefined } },
});
let env = {};
export default {
  async fetch(request, _env, context) {
    if (!request.url.endsWith("/postern-test-control")) return gate.fetch(request, env, context);
    const { now, policy } = await request.json();
    if (now !== undefined) Date.now = () => now;
    if (policy !== undefined) {
      env = { POSTERN_POLICY_FROM: "vars", POSTERN_POLICY: policy,
        POSTERN_ORIGINS: '[{"origin": "http://upstream.invalid"}]' };
      globalThis.posternFailed();
    }
    return new Response("done");
  }
};`;

function cases() {
  const files = readdirSync(VECTORS).filter((name) => name.endsWith(".json")).sort();
  return files.flatMap((name) => {
    const file = JSON.parse(readFileSync(join(VECTORS, name), "utf8"));
    return file.cases.map((one) => ({ ...one, file, id: `${file.topic}/${one.name}` }));
  });
}

const policyText = (one) => {
  const isError = one.expect.verdict === "policy_error";
  const policy = isError ? one.policy : one.file.policies[one.policy];
  return typeof policy === "string" ? policy : JSON.stringify(policy);
};

/** The world outside of the Worker: issuers and the service behind it. */
class World {
  upstream = undefined;
  /** The number of the request that is waited for: workerd may send one on whose client has gone. */
  awaited = 0;
  asked = 0;
  /** What the fetches of keys get: by host and path. */
  answers = () => undefined;

  async open() {
    this.server = createServer({ requireHostHeader: false }, (request, response) => this.serve(request, response));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this.server.address().port;
  }

  serve(request, response) {
    const [host] = request.url.match(HOST) ?? [""];
    if (host === "http://upstream.invalid") {
      if (request.headers[NUMBER] === String(this.awaited)) {
        this.upstream = { target: request.url.slice(host.length), fields: pairs(request.rawHeaders) };
      }
      request.resume();
      return response.end("upstream");
    }
    this.asked += 1;
    let answer = this.answers(request.url);
    if (answer === undefined) return undefined; // whoever asks waits
    if (answer.failed) answer = { status: 502, body: "" }; // a lost connection is tried again by workerd
    response.writeHead(answer.status, {});
    return response.end(answer.body);
  }
}

function pairs(raw) {
  const fields = [];
  for (let index = 0; index < raw.length; index += 2) fields.push([raw[index].toLowerCase(), raw[index + 1]]);
  return fields;
}

const document = (file, name) => {
  const set = file.key_sets[name];
  return typeof set === "string" ? set : JSON.stringify(set);
};

const endOf = (file, end) => {
  if (end.failed) return { failed: true };
  const name = end.jwks ?? end.discovery;
  return name === undefined ? { status: end.status, body: "" } : { status: 200, body: document(file, name) };
};

function bytesOf(request, number = 0) {
  const { method, target, scheme = "https", authority = "api.example.com", headers = [] } = request;
  const parts = [Buffer.from(`${method} ${target} HTTP/1.1\r\n`), Buffer.from(`host: ${authority}\r\n`)];
  parts.push(Buffer.from(`x-forwarded-proto: ${scheme}\r\n${NUMBER}: ${number}\r\n`));
  for (const [name, value] of headers) {
    const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(value.base64, "base64");
    parts.push(Buffer.from(`${name}: `), bytes, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("\r\n")]);
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

class Runner {
  constructor(workerd, world) {
    Object.assign(this, { workerd, world });
  }

  async control(what) {
    const body = JSON.stringify(what);
    const head = `POST /postern-test-control HTTP/1.1\r\nhost: control\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`;
    await ask(this.workerd.port, Buffer.from(head + body));
  }

  async play(one) {
    const { world } = this;
    await this.control({ now: one.now === undefined ? 1.8e12 : one.now * 1000, policy: policyText(one) });
    if (one.expect.verdict === "policy_error") return this.policyError(one);
    await this.fetches(one);
    await this.control({ now: one.now * 1000 });
    world.upstream = undefined;
    world.awaited += 1;
    const waits = one.expect.verdict === "await";
    const asking = ask(this.workerd.port, bytesOf(one.request, world.awaited), { method: one.request.method, limit: waits ? 150 : 3_000 });
    if (waits) {
      const before = await asking.then((answer) => answer.status, () => undefined);
      return before === undefined && world.asked > 0 ? [] : [`answered with ${before}, asked ${world.asked} times`];
    }
    return compare(one, await asking, world.upstream);
  }

  /** Lets each scripted fetch end at its time: a request that needs keys is why they are made. */
  async fetches(one) {
    const ends = Object.values(one.keys ?? {}).flat().sort((a, b) => a.at - b.at);
    this.world.asked = 0;
    const queue = [...ends];
    const pending = new Set();
    this.world.answers = (url) => {
      const index = queue.findIndex((end) => fits(end, url));
      // Whoever asks once more gets nothing new, unless the case is about waiting.
      if (index < 0) return queue.length === 0 && one.expect.verdict !== "await" ? { status: 502, body: "" } : undefined;
      const [end] = queue.splice(index, 1);
      return endOf(one.file, end);
    };
    for (const at of new Set(ends.map((end) => end.at))) {
      await this.control({ now: at * 1000 });
      const due = ends.filter((end) => end.at === at).length;
      const left = queue.length - due;
      for (let tries = 0; queue.length > left && tries < 40; tries += 1) {
        const asking = ask(this.workerd.port, bytesOf(stranger(one)), { method: one.request.method, limit: 200 });
        pending.add(asking.catch(() => {}));
        await Promise.race([asking.catch(() => {}), sleep(20)]);
      }
    }
    // None of them may be decided on by the next gate.
    await Promise.all(pending);
  }

  async policyError(one) {
    const before = this.workerd.log().length;
    const { status } = await ask(this.workerd.port, bytesOf({ method: "GET", target: "/", authority: "x" }));
    const says = () => this.workerd.log().slice(before).includes(`POSTERN_POLICY: ${one.expect.member}`);
    for (let tries = 0; !says() && tries < 50; tries += 1) await sleep(10);
    const log = this.workerd.log().slice(before);
    return status === 503 && says() ? [] : [`status ${status}, ${log}, expected ${one.expect.member}`];
  }
}

function fits(end, url) {
  const isConfiguration = url.includes("configuration");
  const isItsKind = (end.discovery ?? end.jwks) === undefined || (end.discovery !== undefined) === isConfiguration;
  return isItsKind && (end.domain === undefined || url.includes(end.domain));
}

/** The request, with a token whose key nobody has. */
function stranger(one) {
  if (one.token === undefined) return one.request;
  const [header, ...rest] = one.token.split(".");
  let parsed;
  try {
    parsed = JSON.parse(Buffer.from(header, "base64url"));
  } catch {
    return one.request;
  }
  const changed = Buffer.from(JSON.stringify({ ...parsed, kid: "nobody's" })).toString("base64url");
  return JSON.parse(JSON.stringify(one.request).replaceAll(one.token, [changed, ...rest].join(".")));
}

const OF_THE_HOST = new Set(["host", NUMBER, "x-forwarded-proto", "cf-worker", "connection", "content-length", "transfer-encoding", "accept-encoding"]);

function compare(one, answer, upstream) {
  const { expect, request } = one;
  const value = (fields, name) => fields.filter(([other]) => other === name).map(([, value]) => value).join(", ");
  const wrong = [];
  if (expect.verdict === "deny") {
    if (upstream !== undefined) wrong.push("went upstream");
    if (answer.status !== expect.status) wrong.push(`status ${answer.status}, expected ${expect.status} ${expect.code}`);
    for (const [name, expected] of Object.entries(expect.headers ?? {})) {
      const found = answer.headers.some(([other]) => other === name) ? value(answer.headers, name) : null;
      if (found !== expected) wrong.push(`${name}: ${found}, expected ${expected}`);
    }
    if (expect.body === "" && answer.body !== "") wrong.push(`body ${answer.body}`);
    const isJson = answer.body.startsWith("{");
    if (isJson && JSON.parse(answer.body).code !== expect.code) wrong.push(`code ${answer.body}, expected ${expect.code}`);
    if (typeof expect.body === "object" && expect.body !== null && request.method !== "HEAD") {
      const sorted = (body) => JSON.stringify(Object.entries(body).sort());
      if (sorted(JSON.parse(answer.body || "{}")) !== sorted(expect.body)) wrong.push(`body ${answer.body}`);
    }
    return wrong;
  }
  if (upstream === undefined) return [`answered ${answer.status} ${answer.body}`];
  const set = Object.entries(expect.set_headers ?? {});
  const removed = expect.remove_headers ?? [];
  const expected = new Map();
  for (const [name, sent] of request.headers ?? []) {
    const lower = name.toLowerCase();
    if (removed.includes(lower) || OF_THE_HOST.has(lower)) continue;
    const text = typeof sent === "string" ? sent : Buffer.from(sent.base64, "base64").toString();
    expected.set(lower, expected.has(lower) ? `${expected.get(lower)}, ${text}` : text);
  }
  for (const [name, sent] of set) expected.set(name, typeof sent === "string" ? sent : Buffer.from(sent.base64, "base64").toString());
  for (const [name, sent] of expected) {
    const found = Buffer.from(value(upstream.fields, name), "latin1").toString();
    if (found.trim() !== sent.trim()) wrong.push(`${name}: ${found}, expected ${sent}`);
  }
  for (const [name] of upstream.fields) {
    if (!expected.has(name) && !OF_THE_HOST.has(name)) wrong.push(`${name} went upstream`);
  }
  const target = expect.target ?? request.target;
  if (upstream.target !== target) wrong.push(`target ${upstream.target}, expected ${target}`);
  return wrong;
}

const world = new World();
const workerd = await start({ main: MAIN, outbound: await world.open() });
const runner = new Runner(workerd, world);
const all = cases().filter((one) => one.id.includes(process.argv[2] ?? ""));
const failures = [];
const different = new Map();
for (const one of all) {
  let wrong;
  try {
    wrong = await runner.play(one);
  } catch (error) {
    wrong = [`failed: ${error.message}`];
  }
  const reason = exceptions(one);
  if (reason !== undefined) different.set(reason, [...(different.get(reason) ?? []), one.id]);
  if (reason !== undefined && wrong.length === 0) failures.push(`${one.id} is listed as different`);
  if (reason === undefined && wrong.length > 0) failures.push(`${one.id} [${one.needs ?? ""}]: ${wrong.join("; ")}`);
}
if (process.env.POSTERN_SHOW_LOG) console.log(workerd.log());
await workerd.stop();
world.server.closeAllConnections();
world.server.close();
console.log(`${all.length} cases in workerd, ${failures.length} wrong`);
for (const [reason, ids] of different) console.log(`${ids.length} of them not held to it: ${reason}`);
if (failures.length > 0) {
  console.error(failures.join("\n"));
  process.exitCode = 1;
}
