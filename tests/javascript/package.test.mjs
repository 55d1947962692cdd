import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { importTool, project, requireFromProject, tools } from "./package-under-test.mjs";

const run = promisify(execFile);
const tarball = join(project, readdirSync(project).find((name) => name.endsWith(".tgz")));
/** Most that the whole package may weigh, gzipped. */
const MAX_KIB = 450;

/** Runs a program of the tools. */
async function tool(path, words, options) {
  return run(process.execPath, [join(tools, "node_modules", path), ...words], options).catch((error) => {
    assert.fail(`${error.stdout}${error.stderr}`);
  });
}

test("it needs nothing at run time, and is small", () => {
  const manifest = requireFromProject("postern/package.json");
  for (const member of ["dependencies", "devDependencies", "peerDependencies", "scripts"]) {
    assert.equal(manifest[member], undefined, member);
  }
  const kib = statSync(tarball).size / 1024;
  assert.ok(kib <= MAX_KIB, `${kib.toFixed(1)} KiB`);
  console.log(`postern.tgz: ${kib.toFixed(1)} KiB`);
  const files = readdirSync(join(project, "node_modules/postern"));
  for (const name of ["README.md", "LICENSE-APACHE", "LICENSE-MIT"]) assert.ok(files.includes(name), name);
});

test("publint finds nothing to say", async () => {
  const { publint } = await importTool("publint");
  const { messages } = await publint({ pkgDir: join(project, "node_modules/postern"), pack: false, strict: true });
  assert.deepEqual(messages, []);
});

test("its types are found as they are meant by every way of resolving them", async () => {
  // Node 10 knew no `exports`.
  const words = [tarball, "--no-color", "--profile", "node16", "--exclude-entrypoints", "./postern.wasm"];
  await tool("@arethetypeswrong/cli/dist/index.js", words, { cwd: project });
});

test("its types say what it does, strictly", async () => {
  const here = fileURLToPath(new URL(".", import.meta.url));
  cpSync(join(here, "types.ts"), join(project, "types.ts"));
  cpSync(join(here, "types.ts"), join(project, "types.cts"));
  for (const name of ["express", "hono", "@types"]) {
    symlinkSync(join(tools, "node_modules", name), join(project, "node_modules", name));
  }
  writeFileSync(join(project, "package.json"), '{"type": "module"}');
  const strict = ["--strict", "--noEmit", "--target", "es2022", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
  const words = [...strict, "--module", "nodenext", "--preserveSymlinks", "false", "--lib", "es2022,dom,dom.iterable"];
  await tool("typescript/bin/tsc", [...words, "types.ts", "types.cts"], { cwd: project });
});
