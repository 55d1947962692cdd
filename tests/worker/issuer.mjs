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
async function issue(context) {
  const folder = mkdtempSync(join(tmpdir(), "postern-issuer-"));
  const run = (input, ...words) => execFileSync(POSTERN, [...words, "--data-dir", folder], { input, stdio: ["pipe", "pipe", "inherit"] });
  run("", "domain", "create", "shop");
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
  await until("the issuer", () => published().catch(() => undefined));
  const login = async () => {
    const body = JSON.stringify({ domain: "shop", username: "ada", password: "correct horse battery" });
    const response = await fetch(`${url}/login`, { method: "POST", body, headers: { "content-type": "application/json" } });
    return (await response.json()).token;
  };
  return { issuer: `${url}/shop`, keys, login, published, kill, rotate: () => run("", "keys", "rotate", "shop") };
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
