// The built Worker in Miniflare, which is workerd with its caches and stores, between an issuer and an
// upstream that a test commands.

import crypto from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { TOOLS, WORKER } from "./workerd.mjs";

const CONTROL = "/postern-test-control";
/** How long a test waits for what has to come, in milliseconds. */
const LIMIT = 20_000;

const require = createRequire(join(TOOLS, "package.json"));
export const fromTools = createRequire(require.resolve("miniflare", { paths: [require.resolve("wrangler")] }));
const { Miniflare } = fromTools("miniflare");

const pairs = new Map();
/** The key pair of a key id. */
function pair(kid) {
  if (!pairs.has(kid)) pairs.set(kid, crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }));
  return pairs.get(kid);
}

export const jwk = (kid) => ({ ...pair(kid).publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" });
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token that outlives every test, whatever the clock there says. */
export function token(kid = "a", more = {}) {
  const claims = { iss: "https://issuer.test/", sub: "ada", exp: Math.floor(Date.now() / 1000) + 30 * 86_400, ...more };
  return sign({ alg: "ES256", kid }, claims, "sha256", { key: pair(kid).privateKey, dsaEncoding: "ieee-p1363" });
}

export function sign(header, claims, digest, key) {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${crypto.sign(digest, Buffer.from(text), key).toString("base64url")}`;
}

export const bearer = (text = token()) => ({ authorization: `Bearer ${text}` });

export async function listen(serve) {
  const server = createServer(serve);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** Asks until the answer is the awaited one. */
export async function until(what, check) {
  const end = Date.now() + LIMIT;
  for (;;) {
    const answer = await check();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what} has not come`);
    await sleep(20);
  }
}

export const policy = (keys, { remote = {}, ...more } = {}) => ({
  providers: {
    shop: {
      issuer: "https://issuer.test/",
      remote_jwks: { http_uri: { uri: `${keys}/jwks` }, ...remote },
      from_headers: [{ name: "authorization", value_prefix: "Bearer " }],
      from_params: ["access_token"],
      from_cookies: ["session"],
      claim_to_headers: [{ header_name: "x-user-id", claim_name: "sub" }],
      ...more,
    },
  },
  rules: [
    { match: { path: "/open" } },
    { name: "orders", match: { prefix: "/orders" }, requires: { provider_name: "shop" } },
    { match: { prefix: "/api" }, requires: { provider_name: "shop" } },
  ],
});

/** An issuer of the keys `kids`, that answers with `status`; with 0 it lets who asks wait. */
async function issue() {
  const issuer = { status: 200, kids: ["a"], asked: 0, cacheControl: "max-age=300", waiting: [] };
  const serve = (response) => {
    const { status, kids } = issuer;
    response.writeHead(status, { etag: `"${kids}"`, "cache-control": issuer.cacheControl });
    response.end(JSON.stringify({ keys: kids.map((kid) => issuer.jwk?.(kid) ?? jwk(kid)) }));
  };
  const { server, url } = await listen((_request, response) => {
    issuer.asked += 1;
    return issuer.status === 0 ? issuer.waiting.push(response) : serve(response);
  });
  /** Answers those who wait. */
  issuer.answer = (status = 200) => {
    issuer.status = status;
    issuer.waiting.splice(0).forEach(serve);
  };
  return Object.assign(issuer, { server, url });
}

/** Says what came, as JSON; echoes on `/api/echo`. */
function tell(request, response) {
  if (request.url === "/api/elsewhere") return response.writeHead(302, { location: "https://a.test/" }).end();
  if (request.url === "/api/echo") {
    response.writeHead(200, { "content-type": "application/octet-stream" });
    return request.pipe(response);
  }
  const { method, url, headers } = request;
  return response.end(JSON.stringify({ method, url, headers }));
}

/**
 * The module before the Worker: it has the clock, and what the test puts there as `front`, which may set
 * `test.env` (more bindings), `test.context` (another context) and `test.answer` (for `control`).
 */
const main = (front) => `
import gate from "./index.mjs";
const now = Date.now.bind(Date);
let ahead = 0;
Date.now = () => now() + ahead;
const test = { env: {}, context: (context) => context, answer: () => null };
${front}
export default {
  async fetch(request, env, context) {
    if (!request.url.endsWith("${CONTROL}")) return gate.fetch(request, { ...env, ...test.env }, test.context(context));
    const what = await request.json();
    if (what.ahead !== undefined) ahead = what.ahead * 1000;
    return Response.json((await test.answer(what)) ?? null);
  },
  scheduled: (event, env, context) => gate.scheduled(event, { ...env, ...test.env }, context),
};`;

function modules(source, front) {
  const read = (name) => readFileSync(join(WORKER, name), "utf8");
  const module = (type, name, contents) => ({ type, path: join(WORKER, name), contents });
  const snippets = [...read("postern.js").matchAll(/from '\.\/(snippets\/[^']+)'/g)].map(([, path]) => path);
  return [
    module("ESModule", "main.mjs", main(front)),
    module("ESModule", "index.mjs", source(read("index.mjs"))),
    ...["postern.js", ...snippets].map((name) => module("ESModule", name, read(name))),
    module("CompiledWasm", "postern_bg.wasm", readFileSync(join(WORKER, "postern_bg.wasm"))),
    module("Text", "policy.json", read("policy.json")),
  ];
}

/** A gate with an issuer and an upstream; what is `more` goes into Miniflare's options. */
export async function world(context, { bindings = {}, source = (text) => text, front = "", remote, ...more } = {}) {
  const issuer = await issue();
  const upstream = await listen(tell);
  const lines = [];
  const options = {
    modules: modules(source, front),
    modulesRoot: WORKER,
    compatibilityDate: "2026-04-01",
    compatibilityFlags: ["nodejs_compat"],
    bindings: {
      POSTERN_POLICY_FROM: "vars",
      POSTERN_POLICY: policy(issuer.url, { remote }),
      POSTERN_ORIGINS: [{ origin: upstream.url }],
      ...bindings,
    },
    handleRuntimeStdio: (out, err) => [out, err].forEach((stream) => stream.on("data", (data) => lines.push(String(data)))),
    ...more,
  };
  const gate = new Miniflare(options);
  context.after(async () => {
    await gate.dispose();
    for (const { server } of [issuer, upstream]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const ask = async (path, init) => fetch(new URL(path, await gate.ready), { redirect: "manual", ...init });
  const log = () => lines.join("");
  return {
    ask, gate, issuer, upstream, log,
    /** The status for a token, at a path that wants one. */
    status: async (text = token()) => {
      const response = await ask("/api/a", { headers: bearer(text) });
      await response.arrayBuffer();
      return response.status;
    },
    /** Lines of the log of one kind. */
    told: (kind) => log().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line)).filter((line) => line.postern === kind),
    control: async (what) => (await ask(CONTROL, { method: "POST", body: JSON.stringify(what) })).json(),
    /** Sets the Worker's clock to be `seconds` ahead. */
    clock: async (seconds) => (await ask(CONTROL, { method: "POST", body: JSON.stringify({ ahead: seconds }) })).json(),
    /** Puts a new isolate in the place of the one before; stores keep what they have. */
    again: async () => gate.setOptions({ ...options, modules: modules(source, front) }),
  };
}
