// `wrangler deploy --dry-run` with the `wrangler.toml` that ships.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { TOOLS, WORKER } from "./workerd.mjs";

/** Most that the Worker may weigh, in KiB, compressed. */
const MAX_KIB = 450;

const folder = mkdtempSync(join(tmpdir(), "postern-deploy-"));
try {
  const wrangler = join(TOOLS, "node_modules/wrangler/wrangler-dist/cli.js");
  const words = [wrangler, "deploy", "--dry-run", "--outdir", folder];
  const said = execFileSync("node", words, { cwd: join(WORKER, "../.."), encoding: "utf8" });
  const [, kib] = said.match(/gzip: ([0-9.]+) KiB/);
  console.log(`the Worker has ${kib} KiB, compressed`);
  if (Number(kib) > MAX_KIB) throw new Error(`${kib} KiB, at most ${MAX_KIB}`);
} finally {
  rmSync(folder, { recursive: true });
}
