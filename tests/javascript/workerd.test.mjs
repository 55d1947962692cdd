import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { goodClaims, newKey, project } from "./package-under-test.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "postern-npm-workerd-"));
const installed = join(project, "node_modules/postern");
for (const name of readdirSync(installed).filter((name) => /^(workerd|shared-.*)\.mjs$|\.wasm$/.test(name))) {
  cpSync(join(installed, name), join(folder, name));
}
cpSync(join(here, "corpus.mjs"), join(folder, "corpus.mjs"));
cpSync(join(here, "workerd-worker.mjs"), join(folder, "index.mjs"));
process.env.POSTERN_WORKER = folder;
const { start } = await import("../worker/workerd.mjs");

const key = await newKey("ES256", "k1");
let asked = 0;
let release = () => {};
let held = Promise.resolve();
const issuer = createServer({ requireHostHeader: false }, async (_request, response) => {
  asked += 1;
  await held;
  response.end(JSON.stringify({ keys: [key.jwk] }));
});
await new Promise((resolve) => issuer.listen(0, "127.0.0.1", resolve));
const workerd = await start({ outbound: issuer.address().port });
const url = `http://127.0.0.1:${workerd.port}`;
test.after(async () => {
  await workerd.stop();
  issuer.closeAllConnections();
  issuer.close();
  rmSync(folder, { recursive: true });
});

test("requests that wait for keys do not wait for each other, and one that goes away harms none", async () => {
  held = new Promise((resolve) => (release = resolve));
  const headers = { authorization: `Bearer ${await key.sign(goodClaims())}`, "x-user-id": "spoofed" };
  const gone = new AbortController();
  const first = fetch(url, { headers, signal: gone.signal }).catch((error) => error.name);
  while (asked === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const others = [1, 2, 3].map(() => fetch(url, { headers }));
  gone.abort();
  assert.equal(await first, "AbortError");
  release();
  for (const response of await Promise.all(others)) {
    assert.deepEqual(await response.json(), { user: "ada", authorization: null });
  }
  const refused = await fetch(url);
  assert.equal(refused.status, 401);
  assert.equal((await refused.json()).code, "token_missing");
});

test("every case has its verdict in workerd", async () => {
  const corpus = process.env.POSTERN_CORPUS;
  let count = 0;
  for (const name of readdirSync(corpus).filter((name) => name.endsWith(".json"))) {
    const body = readFileSync(join(corpus, name));
    const response = await fetch(`${url}/corpus`, { method: "POST", body });
    assert.equal(response.status, 200, `${name}: ${workerd.log()}`);
    const { wrong, ...result } = await response.json();
    assert.deepEqual(wrong, []);
    count += result.count;
  }
  assert.ok(count >= 2000, `only ${count} cases were run`);
});
