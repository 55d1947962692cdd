// What passes the gate, and what must not: in Miniflare, which is workerd with its caches and stores.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { bearer, fromTools, listen, policy, token, world } from "./world.mjs";

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
  const { WebSocketServer, WebSocket } = fromTools("ws");
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
  const { gate, ask, issuer } = await world(t, { bindings, kvNamespaces: ["POSTERN_KV"] });
  await (await gate.getKVNamespace("POSTERN_KV")).put("policy", JSON.stringify(policy(issuer.url)));
  assert.equal((await ask("/api/a", { headers: bearer() })).status, 200);
});
