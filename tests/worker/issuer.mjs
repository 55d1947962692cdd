// The Worker with the real issuer: `postern serve`, a process of its own.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { bearer, until, world } from "./world.mjs";

const POSTERN = process.env.POSTERN_BIN;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** An issuer with a domain `shop` and a user `ada`. */
async function issue(context, ...options) {
  const folder = mkdtempSync(join(tmpdir(), "postern-issuer-"));
  const run = (input, ...words) => execFileSync(POSTERN, [...words, "--data-dir", folder], { input, stdio: ["pipe", "pipe", "inherit"] });
  run.where = ["--data-dir", folder];
  run("", "domain", "create", "shop", ...options);
  run("correct horse battery\n", "user", "create", "shop", "ada");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = spawn(POSTERN, ["serve", "--data-dir", folder, "--listen", `127.0.0.1:${port}`, "--issuer-url", url], { stdio: "ignore" });
  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill("SIGKILL");
    await once(server, "exit");
  };
  context.after(async () => {
    await kill();
    rmSync(folder, { recursive: true });
  });
  const keys = `${url}/shop/.well-known/jwks.json`;
  const published = async () => (await (await fetch(keys)).json()).keys.map(({ kid }) => kid);
  await until("the issuer", () => fetch(`${url}/readyz`).then(({ ok }) => ok, () => undefined));
  const login = async () => {
    const body = JSON.stringify({ domain: "shop", username: "ada", password: "correct horse battery" });
    const response = await fetch(`${url}/login`, { method: "POST", body, headers: { "content-type": "application/json" } });
    return (await response.json()).token;
  };
  return { issuer: `${url}/shop`, url, keys, login, published, kill, run, rotate: () => run("", "keys", "rotate", "shop") };
}

const kid = (token) => JSON.parse(Buffer.from(token.split(".")[0], "base64url")).kid;

test("who logs in at the issuer passes, through rotations and when the issuer is gone", async (t) => {
  const { issuer, keys, login, published, kill, rotate } = await issue(t);
  const policy = {
    providers: {
      shop: { issuer, remote_jwks: { http_uri: { uri: keys } }, claim_to_headers: [{ header_name: "x-user", claim_name: "username" }] },
    },
    rules: [{ match: { prefix: "/api" }, requires: { provider_name: "shop" } }],
  };
  const { ask, status, clock, log, told } = await world(t, { bindings: { POSTERN_POLICY: policy } });
  const old = await login();
  const response = await ask("/api/orders?x=1", { headers: { ...bearer(old), "x-user": "mallory" } });
  const { url, headers } = await response.json();
  assert.deepEqual([url, headers["x-user"], headers.authorization], ["/api/orders?x=1", "ada", undefined]);
  assert.ok(!JSON.stringify(headers).includes(old.split(".")[2]));

  const before = await published();
  rotate();
  await until("the fresh key", async () => (await published()).some((kid) => !before.includes(kid)));
  const fresh = await until("a token of the next key", async () => {
    const token = await login();
    return kid(token) !== kid(old) && token;
  });
  assert.deepEqual([await status(fresh), await status(old)], [200, 200], "the next key was published before");
  await clock(6);
  assert.deepEqual([await status(fresh), await status(old)], [200, 200]);

  await kill();
  await clock(240);
  assert.deepEqual([await status(fresh), await status(old)], [200, 200]);
  assert.equal((await ask("/api/orders")).status, 401);
  for (const token of [old, fresh]) assert.ok(!log().includes(token.split(".")[2]));
  assert.deepEqual(told("error"), []);
});

test("an enrolled Worker has the secrets of a domain, its rotations and its revocations, from the issuer", async (t) => {
  const port = await freePort();
  const push = `http://127.0.0.1:${port}/.well-known/postern/push`;
  const { issuer, login, kill, run, url } = await issue(t, "--alg", "HS256");
  const credential = run("", "edge", "enrol", "worker", "--domain", "shop", "--issuer-url", url, "--push-url", push);
  const shop = { issuer, algorithms: ["HS256"], edge_keys: {}, status_list: {}, claim_to_headers: [{ header_name: "x-user", claim_name: "username" }] };
  const policy = { providers: { shop }, rules: [{ match: { prefix: "/api" }, requires: { provider_name: "shop" } }] };
  const bindings = { POSTERN_POLICY: policy, POSTERN_EDGE: String(credential).trim() };
  const { ask, status, clock, log, told } = await world(t, { bindings, port, host: "127.0.0.1" });
  const [old, doomed] = [await login(), await login()];
  const response = await ask("/api/orders", { headers: bearer(old) });
  assert.equal((await response.json()).headers["x-user"], "ada");
  assert.equal(await status(doomed), 200);

  // Of one session; the push makes it known before the next poll.
  const logout = await fetch(`${url}/logout`, { method: "POST", headers: bearer(doomed) });
  assert.ok(logout.ok, String(logout.status));
  const from = Date.now();
  await until("the refusal", async () => (await status(doomed)) === 401);
  assert.ok(Date.now() - from < 10_000);
  assert.equal(await status(old), 200);

  // The next key signs when the Worker has shown that it holds it, and no request fails.
  const standing = () => JSON.parse(run("", "edge", "list", "--json"))[0].domains[0];
  run("", "keys", "rotate", "shop");
  const rotating = spawn(POSTERN, ["keys", "rotate", "shop", "--wait", ...run.where], { stdio: "ignore" });
  const rotated = once(rotating, "exit");
  const verdicts = new Set();
  const states = new Set();
  while (rotating.exitCode === null) {
    verdicts.add(await status(await login())).add(await status(old));
    states.add(standing().state);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const [code] = await rotated;
  assert.equal(code, 0);
  const fresh = await login();
  verdicts.add(await status(fresh));
  assert.notEqual(kid(fresh), kid(old));
  assert.deepEqual([...verdicts], [200], "no request failed");
  assert.ok(states.has("late") && standing().instances === 1, [...states].join());

  // Of all sessions of a user.
  run("", "user", "end-sessions", "shop", "ada");
  await until("the refusal", async () => (await status(fresh)) === 401);

  const last = await until("a token that passes", async () => {
    const token = await login();
    return (await status(token)) === 200 && token;
  });
  await kill();
  await clock(30);
  assert.equal(await status(last), 200);
  await clock(90);
  const unknown = await ask("/api/orders", { headers: bearer(last) });
  assert.deepEqual([unknown.status, (await unknown.json()).code], [503, "status_unavailable"]);
  for (const secret of [...JSON.parse(credential).keys.map(({ d }) => d), last.split(".")[2]]) assert.ok(!log().includes(secret));
  assert.deepEqual(told("error"), []);
});
