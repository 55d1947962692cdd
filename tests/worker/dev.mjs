// `wrangler dev` with the `wrangler.toml` and the policy that ship.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { TOOLS, WORKER } from "./workerd.mjs";

const free = createServer().listen(0, "127.0.0.1");
await once(free, "listening");
const { port } = free.address();
free.close();

const folder = mkdtempSync(join(tmpdir(), "postern-dev-"));
const wrangler = join(TOOLS, "node_modules/wrangler/wrangler-dist/cli.js");
const words = [wrangler, "dev", "--local", "--ip", "127.0.0.1", "--port", String(port), "--persist-to", folder];
const child = spawn("node", words, { cwd: join(WORKER, "../.."), stdio: ["ignore", "pipe", "inherit"] });
try {
  let said = "";
  await new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error(`wrangler ended: ${said}`)));
    child.stdout.on("data", (data) => {
      said += data;
      if (said.includes("Ready on")) resolve();
    });
  });
  const verdict = async (path) => (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()).code;
  assert.deepEqual([await verdict("/api/orders"), await verdict("/")], ["token_missing", "no_matching_rule"]);
  const scheduled = await fetch(`http://127.0.0.1:${port}/cdn-cgi/handler/scheduled`);
  assert.equal(scheduled.status, 200);
} finally {
  if (child.exitCode === null) {
    child.kill("SIGINT");
    await once(child, "exit");
  }
  rmSync(folder, { recursive: true });
}
