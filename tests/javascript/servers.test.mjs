import assert from "node:assert/strict";
import { createServer, request as send } from "node:http";
import http2 from "node:http2";
import test from "node:test";

import { goodClaims, importInstalled, importTool, ISSUER, newKey, requireFromProject } from "./package-under-test.mjs";

const { createVerifier } = await importInstalled();
const { protect: protectExpress } = await importInstalled("postern/express");
const { protect: protectHono } = await importInstalled("postern/hono");
const key = await newKey("ES256", "k1");
const token = await key.sign(goodClaims());
const verifier = await createVerifier({
  providers: {
    shop: {
      issuer: ISSUER,
      local_jwks: { inline_string: JSON.stringify({ keys: [key.jwk] }) },
      from_headers: [{ name: "authorization", value_prefix: "Bearer " }],
      from_params: ["token"],
      claim_to_headers: [{ header_name: "x-user-id", claim_name: "sub" }],
    },
  },
  rules: [
    { match: { path: "/healthz" } },
    { match: { prefix: "/api/" }, requires: { provider_name: "shop" } },
    { match: { prefix: "/admin/" }, requires: { provider_name: "shop" }, scopes: ["admin"] },
  ],
});
test.after(() => verifier.close());

/** Serves for the length of a test. Returns what sends a request to it, as raw as Node can. */
async function serve(context, handler) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  context.after(() => (server.closeAllConnections(), server.close()));
  const { port } = server.address();
  return (path, headers = {}, method = "GET") =>
    new Promise((resolve, reject) => {
      const sent = send({ host: "127.0.0.1", port, path, headers, method }, async (response) => {
        let body = "";
        for await (const chunk of response) body += chunk;
        resolve({ status: response.statusCode, headers: response.headers, body });
      });
      sent.on("error", reject).end();
    });
}

/** An app that reads paths as policies do. */
function strict(app) {
  app.enable("case sensitive routing");
  app.enable("strict routing");
  return app;
}

/** What the service behind the gate sees. */
function tell(request, response) {
  const { auth, headers, headersDistinct, rawHeaders, url, originalUrl } = request;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ auth, headers, distinct: headersDistinct, raw: rawHeaders, url, originalUrl }));
}

const bearer = { authorization: `Bearer ${token}` };

test("Express lets through and refuses as the policy says", async (context) => {
  const { default: express } = await importTool("express");
  const app = strict(express());
  app.use(protectExpress(verifier));
  app.get("/healthz", tell);
  const router = express.Router({ caseSensitive: true, strict: true });
  router.get("/orders", tell);
  app.use("/api", router);
  app.use((error, _request, response, _next) => response.status(500).end(String(error)));
  const ask = await serve(context, app);

  const open = JSON.parse((await ask("/healthz", { "x-user-id": "spoofed", X_User_Id: "too" })).body);
  assert.equal(open.auth, undefined);
  assert.ok(!JSON.stringify(open).includes("spoofed") && !JSON.stringify(open).includes("too"));

  const allowed = JSON.parse((await ask("/api/orders", { ...bearer, "x-user-id": "spoofed" })).body);
  assert.equal(allowed.auth.claims.sub, "ada");
  assert.equal(allowed.headers["x-user-id"], "ada");
  assert.deepEqual(allowed.distinct["x-user-id"], ["ada"]);
  assert.ok(!JSON.stringify(allowed).includes(token) && !JSON.stringify(allowed).includes("spoofed"));

  const query = JSON.parse((await ask(`/api/orders?a=b&token=${token}`)).body);
  assert.deepEqual([query.url, query.originalUrl, query.auth.provider], ["/orders?a=b", "/api/orders?a=b", "shop"]);

  for (const [path, headers, status, code] of [
    ["/api/orders", {}, 401, "token_missing"],
    ["/api/orders", { authorization: `Bearer ${token.slice(0, -8)}AAAAAAAA` }, 401, "signature_invalid"],
    ["/api/orders", { authorization: [bearer.authorization, bearer.authorization] }, 400, "multiple_tokens"],
    ["/api/../admin/x", bearer, 400, "path_ambiguous"],
    ["http://evil.example.com/healthz", {}, 400, "path_ambiguous"],
    ["/admin/x", bearer, 403, "insufficient_scope"],
    ["/elsewhere", bearer, 403, "no_matching_rule"],
  ]) {
    const refused = await ask(path, headers);
    assert.equal(refused.status, status, path);
    assert.equal(JSON.parse(refused.body).code, code);
    assert.equal(refused.headers["content-type"], "application/problem+json");
    const isChallenge = status === 401 || ["insufficient_scope", "multiple_tokens"].includes(code);
    assert.equal(refused.headers["www-authenticate"] !== undefined, isChallenge);
  }
});

test("Express is not gated where another spelling of a path would walk around a rule", async (context) => {
  const { default: express } = await importTool("express");
  const lax = express();
  lax.use(protectExpress(verifier));
  lax.get("/api/orders", tell);
  lax.use((error, _request, response, _next) => response.status(500).end(error.message));
  const ask = await serve(context, lax);
  const failed = await ask("/api/orders", bearer);
  assert.equal(failed.status, 500);
  assert.match(failed.body, /case sensitive routing/);
  // Where no rule speaks of paths, none can be walked around.
  const short = await createVerifier({ issuer: ISSUER, jwks: { keys: [key.jwk] } });
  context.after(() => short.close());
  assert.equal(short.readsPaths, false);
  const plain = express();
  plain.use(protectExpress(short));
  plain.get("/admin", tell);
  const askPlain = await serve(context, plain);
  assert.equal((await askPlain("/Admin/", bearer)).status, 200);
  assert.equal((await askPlain("/Admin/")).status, 401);
});

test("Express is not gated where a rewritten URL is routed and another one was decided on", async (context) => {
  const { default: express } = await importTool("express");
  const app = strict(express());
  app.use((request, _response, next) => {
    if (request.url === "/healthz") request.url = "/api/orders";
    next();
  });
  app.use(protectExpress(verifier));
  app.get("/api/orders", tell);
  app.use((error, _request, response, _next) => response.status(500).end(error.message));
  const ask = await serve(context, app);
  assert.match((await ask("/healthz")).body, /rewritten/);
  assert.equal((await ask("/api/orders", bearer)).status, 200);
});

test("a request that a host made of `headers` alone is decided on by them", async () => {
  const gate = protectExpress(verifier);
  const pass = (headers, url) =>
    new Promise((resolve) => {
      const request = { method: "GET", url, headers, rawHeaders: [], headersDistinct: {}, socket: {} };
      const response = { once() {}, off() {}, setHeader() {}, end: () => resolve(response.statusCode) };
      gate(request, response, () => resolve(request));
    });
  const open = await pass({ "x-user-id": "root" }, "/healthz");
  assert.equal(open.headers["x-user-id"], undefined);
  assert.equal((await pass({ ...bearer }, "/api/orders")).headers["x-user-id"], "ada");
  assert.equal(await pass({}, "/api/orders"), 401);
});

test("a server of HTTP/2 is gated", async (context) => {
  const gate = protectExpress(verifier);
  const server = http2.createServer((request, response) =>
    gate(request, response, (error) => (error ? response.stream.destroy(error) : response.end(JSON.stringify(request.headers)))));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = http2.connect(`http://127.0.0.1:${server.address().port}`);
  context.after(() => (client.close(), server.close()));
  const ask = (headers) =>
    new Promise((resolve, reject) => {
      const sent = client.request({ ":path": "/api/orders", ...headers });
      let status;
      let body = "";
      sent.on("response", (fields) => (status = fields[":status"]));
      sent.on("data", (chunk) => (body += chunk)).on("error", reject);
      sent.on("end", () => resolve({ status, body })).end();
    });
  const allowed = await ask({ ...bearer, "x-user-id": "spoofed" });
  assert.equal(JSON.parse(allowed.body)["x-user-id"], "ada");
  assert.ok(!allowed.body.includes(token));
  assert.equal((await ask({})).status, 401);
});

test("a server of Node without a framework is gated by the same middleware", async (context) => {
  const gate = protectExpress(verifier);
  const ask = await serve(context, (request, response) =>
    gate(request, response, (error) => (error ? response.destroy(error) : tell(request, response))));
  const allowed = JSON.parse((await ask("/api/orders", bearer, "POST")).body);
  assert.equal(allowed.auth.claims.sub, "ada");
  assert.equal((await ask("/api/orders")).status, 401);
});

test("what fails behind the gate, and the gate itself closed, goes to Express's error handler", async (context) => {
  const { default: express } = await importTool("express");
  const closed = await createVerifier({ issuer: ISSUER, jwks: { keys: [key.jwk] } });
  closed.close();
  const app = strict(express());
  app.use(protectExpress(closed));
  app.get("/api/orders", tell);
  app.use((error, _request, response, _next) => response.status(500).end(error.message));
  const ask = await serve(context, app);
  const failed = await ask("/api/orders", bearer);
  assert.deepEqual([failed.status, failed.body], [500, "the verifier has been closed"]);
});

test("Hono lets through and refuses as the policy says", async () => {
  const { Hono } = await importTool("hono");
  const app = new Hono();
  app.use(protectHono(verifier));
  app.all("*", async (context) =>
    context.json({
      auth: context.get("auth"),
      headers: context.req.header(),
      url: context.req.url,
      query: context.req.query(),
      body: await context.req.text(),
    }));
  const url = "https://api.example.com";
  const open = await (await app.request(`${url}/healthz`, { headers: { "x-user-id": "spoofed" } })).json();
  assert.equal(open.auth, undefined);
  assert.equal(open.headers["x-user-id"], undefined);
  const init = { method: "POST", body: "an order", headers: { ...bearer, "x-user-id": "spoofed" } };
  const allowed = await (await app.request(`${url}/api/orders`, init)).json();
  assert.equal(allowed.auth.claims.sub, "ada");
  assert.equal(allowed.headers["x-user-id"], "ada");
  assert.equal(allowed.headers.authorization, undefined);
  assert.equal(allowed.body, "an order");
  const query = await (await app.request(`${url}/api/orders?token=${token}&a=b`)).json();
  assert.deepEqual([query.url, query.query], [`${url}/api/orders?a=b`, { a: "b" }]);
  const refused = await app.request(`${url}/api/orders`);
  assert.equal(refused.status, 401);
  assert.equal((await refused.json()).code, "token_missing");
});

test("the middlewares are there for CommonJS, too", () => {
  assert.equal(typeof requireFromProject("postern/express").protect, "function");
  assert.equal(typeof requireFromProject("postern/hono").protect, "function");
});
