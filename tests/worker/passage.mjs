// What passes the gate, and what must not: in Miniflare, which is workerd with its caches and stores.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";

import { TOOLS, WORKER } from "./workerd.mjs";

const require = createRequire(join(TOOLS, "package.json"));
const { Miniflare } = require(require.resolve("miniflare", { paths: [require.resolve("wrangler")] }));

const { publicKey, privateKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = { ...publicKey.export({ format: "jwk" }), kid: "a", alg: "ES256", use: "sig" };
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function token(kid = "a") {
  const claims = { iss: "https://issuer.test/", sub: "ada", exp: Math.floor(Date.now() / 1000) + 300 };
  const text = `${encode({ alg: "ES256", kid })}.${encode(claims)}`;
  const signature = crypto.sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}

async function listen(serve) {
  const server = createServer(serve);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

const policy = (keys, more = {}) => ({
  providers: {
    shop: {
      issuer: "https://issuer.test/",
      remote_jwks: { http_uri: { uri: `${keys}/jwks` } },
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

/** A gate with an issuer and an upstream; what is `more` goes into Miniflare's options. */
async function world(context, { bindings = {}, source = (text) => text, ...more } = {}) {
  const issuer = { status: 200, asked: 0 };
  const keys = await listen((_request, response) => {
    issuer.asked += 1;
    if (issuer.status === 0) return undefined;
    response.writeHead(issuer.status, { etag: '"1"', "cache-control": "max-age=300" });
    return response.end(JSON.stringify({ keys: [jwk] }));
  });
  const upstream = await listen((request, response) => {
    if (request.url === "/api/elsewhere") return response.writeHead(302, { location: "https://a.test/" }).end();
    if (request.url === "/api/echo") {
      response.writeHead(200, { "content-type": "application/octet-stream" });
      return request.pipe(response);
    }
    return response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers }));
  });
  const read = (name) => readFileSync(join(WORKER, name), "utf8");
  const lines = [];
  const modules = [
    { type: "ESModule", path: join(WORKER, "index.mjs"), contents: source(read("index.mjs")) },
    { type: "ESModule", path: join(WORKER, "postern.js"), contents: read("postern.js") },
    { type: "CompiledWasm", path: join(WORKER, "postern_bg.wasm"), contents: readFileSync(join(WORKER, "postern_bg.wasm")) },
    { type: "Text", path: join(WORKER, "policy.json"), contents: read("policy.json") },
  ];
  for (const [, path] of read("postern.js").matchAll(/from '\.\/(snippets\/[^']+)'/g)) {
    modules.push({ type: "ESModule", path: join(WORKER, path), contents: read(path) });
  }
  const options = {
    modules,
    modulesRoot: WORKER,
    compatibilityDate: "2026-04-01",
    compatibilityFlags: ["nodejs_compat"],
    bindings: {
      POSTERN_POLICY_FROM: "vars",
      POSTERN_POLICY: policy(keys.url),
      POSTERN_ORIGINS: [{ origin: upstream.url }],
      ...bindings,
    },
    handleRuntimeStdio: (out, err) => [out, err].forEach((stream) => stream.on("data", (data) => lines.push(String(data)))),
    ...more,
  };
  const gate = new Miniflare(options);
  context.after(async () => {
    await gate.dispose();
    for (const { server } of [keys, upstream]) {
      server.closeAllConnections();
      server.close();
    }
  });
  const base = await gate.ready;
  const ask = (path, init) => fetch(new URL(path, base), { redirect: "manual", ...init });
  return { ask, gate, issuer, keys, upstream, options, log: () => lines.join("") };
}

const bearer = (text = token()) => ({ authorization: `Bearer ${text}` });

test("method, query and headers pass, identity headers of the client and tokens do not", async (t) => {
  const { ask } = await world(t);
  const cookie = `a=1; session=${token()}; b=2`;
  const init = { method: "PATCH", body: "x", headers: { cookie, "x-other": "1", "x-user-id": "spoofed" } };
  const { method, url, headers } = await (await ask("/api/a?b=c%20d&e", init)).json();
  assert.deepEqual([method, url], ["PATCH", "/api/a?b=c%20d&e"]);
  assert.deepEqual([headers["x-user-id"], headers["x-other"], headers.cookie], ["ada", "1", "a=1; b=2"]);
  const query = await (await ask(`/api/a?x=1&access_token=${token()}&y=2`)).json();
  assert.deepEqual([query.url, query.headers["x-user-id"]], ["/api/a?x=1&y=2", "ada"]);
  const header = await (await ask("/api/a", { headers: bearer() })).json();
  assert.equal(header.headers.authorization, undefined);
});

test("bodies stream both ways", async (t) => {
  const { ask } = await world(t);
  let push;
  const body = new ReadableStream({ start: (controller) => (push = controller) });
  const encoder = new TextEncoder();
  push.enqueue(encoder.encode("first"));
  const response = await ask("/api/echo", { method: "POST", body, duplex: "half", headers: bearer() });
  const reader = response.body.getReader();
  const text = async () => new TextDecoder().decode((await reader.read()).value);
  assert.equal(await text(), "first");
  push.enqueue(encoder.encode("second"));
  assert.equal(await text(), "second");
  push.close();
  assert.equal((await reader.read()).done, true);
});

test("a WebSocket opens through the gate, with a token only", async (t) => {
  const { WebSocketServer, WebSocket } = require(require.resolve("ws", { paths: [require.resolve("miniflare", { paths: [require.resolve("wrangler")] })] }));
  const echo = await listen();
  t.after(() => echo.server.close());
  const sockets = new WebSocketServer({ server: echo.server });
  sockets.on("connection", (socket, request) => {
    socket.on("message", (data) => socket.send(`${request.headers["x-user-id"]} said ${data}`));
  });
  const { gate } = await world(t, { bindings: { POSTERN_ORIGINS: [{ origin: echo.url }] } });
  const address = new URL("/api/chat", await gate.ready).href.replace("http", "ws");
  const refused = new WebSocket(address);
  const [error] = await once(refused, "error");
  assert.match(error.message, /401/);
  const socket = new WebSocket(address, { headers: bearer() });
  await once(socket, "open");
  socket.send("hello");
  const [data] = await once(socket, "message");
  assert.equal(String(data), "ada said hello");
  socket.terminate();
  sockets.clients.forEach((client) => client.terminate());
});

test("redirects of the origin are the client's", async (t) => {
  const { ask } = await world(t);
  const response = await ask("/api/elsewhere", { headers: bearer() });
  assert.deepEqual([response.status, response.headers.get("location")], [302, "https://a.test/"]);
});

test("an origin is chosen by host and rule, and a request that none takes goes nowhere", async (t) => {
  const other = await listen((request, response) => response.end(`other ${request.url}`));
  t.after(() => other.server.close());
  const POSTERN_ORIGINS = [{ rule: "orders", service: "ORDERS" }, { rule: "2", host: "127.0.0.1", origin: other.url }];
  const { ask } = await world(t, {
    bindings: { POSTERN_ORIGINS },
    serviceBindings: { ORDERS: async (request) => new Response(`service ${request.headers.get("x-user-id")}`) },
  });
  assert.equal(await (await ask("/orders/1", { headers: bearer() })).text(), "service ada");
  assert.equal(await (await ask("/api/1", { headers: bearer() })).text(), "other /api/1");
  const nowhere = await ask("/open");
  assert.deepEqual([nowhere.status, (await nowhere.json()).code], [502, "no_origin"]);
});

test("a denial is one line of the log, without the token", async (t) => {
  const { ask, log } = await world(t);
  const text = token("unknown");
  const response = await ask(`/api/a?access_token=${text}`, { headers: { "cf-ray": "ray-1" } });
  assert.equal((await response.json()).code, "key_unknown");
  const [line] = log().split("\n").filter((line) => line.includes('"denied"'));
  const { code, rule, provider, path, ray } = JSON.parse(line);
  assert.deepEqual([code, rule, provider, path, ray], ["key_unknown", "2", "shop", "/api/a", "ray-1"]);
  assert.ok(!log().includes(text.slice(0, 20)));
});

test("what is wrong with the policy is in the log, and nobody passes", async (t) => {
  const bindings = { POSTERN_POLICY: { rules: [{ match: { prefx: "/" } }] } };
  const { ask, log } = await world(t, { bindings });
  const response = await ask("/open");
  assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
  assert.match(log(), /POSTERN_POLICY: rules\[0\]\.match\.prefx/);
});

test("without keys a request is told to come again, and with them it passes", async (t) => {
  const { ask, issuer } = await world(t);
  issuer.status = 500;
  const response = await ask("/api/a", { headers: bearer() });
  assert.equal(response.status, 503);
  assert.ok(Number(response.headers.get("retry-after")) >= 1);
  assert.equal((await ask("/open")).status, 200);
});

test("a trap is answered with 503, and the next request has a new instance", async (t) => {
  const trap = 'if (text.includes("/trap")) throw new WebAssembly.RuntimeError("unreachable");\n  const orders';
  const source = (text) => text.replace("const orders", trap);
  const { ask, issuer } = await world(t, { source });
  assert.equal((await ask("/api/a", { headers: bearer() })).status, 200);
  assert.equal((await ask("/trap")).status, 503);
  issuer.status = 500; // the new instance finds the keys in the cache
  assert.equal((await ask("/api/a", { headers: bearer() })).status, 200);
});

test("keys in KV, from the scheduled event, spare requests the issuer", async (t) => {
  const { gate, ask, issuer } = await world(t, { kvNamespaces: ["POSTERN_KV"], cache: false });
  const worker = await gate.getWorker();
  await worker.scheduled({ cron: "* * * * *" });
  const kv = await gate.getKVNamespace("POSTERN_KV");
  assert.equal((await kv.list()).keys.length, 1);
  issuer.status = 500;
  assert.equal((await ask("/api/a", { headers: bearer() })).status, 200);
});

test("strangers with unknown keys do not make the gate ask the issuer each time", async (t) => {
  const { ask, issuer } = await world(t);
  assert.equal((await ask("/api/a", { headers: bearer() })).status, 200);
  const before = issuer.asked;
  const response = await ask("/api/a", { headers: bearer(token("another")) });
  assert.deepEqual([response.status, issuer.asked - before <= 1], [401, true]);
});

test("a slow issuer holds up who needs its keys, and nobody else", async (t) => {
  const { ask, issuer } = await world(t);
  issuer.status = 0;
  const waiting = ask("/api/a", { headers: bearer() });
  assert.equal((await ask("/open")).status, 200);
  assert.equal((await waiting).status, 503);
});

test("a policy in KV is used", async (t) => {
  const bindings = { POSTERN_POLICY_FROM: "kv" };
  const { gate, ask, keys } = await world(t, { bindings, kvNamespaces: ["POSTERN_KV"] });
  await (await gate.getKVNamespace("POSTERN_KV")).put("policy", JSON.stringify(policy(keys.url)));
  assert.equal((await ask("/api/a", { headers: bearer() })).status, 200);
});
