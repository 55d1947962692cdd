// Makes the npm package: `node build.mjs --tools FOLDER --glue FOLDER --work FOLDER --out FOLDER`.
//
// `--tools` has the packages of `package-lock.json`, `--glue` what wasm-bindgen made, `--work` is for what
// lies in between.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const names = ["tools", "glue", "work", "out"];
const options = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
const { tools, glue, work, out } = parseArgs({ options }).values;
const tool = createRequire(join(tools, "package.json"));
const { build } = await import(pathToFileURL(tool.resolve("esbuild")));
const { compile } = await import(pathToFileURL(tool.resolve("json-schema-to-typescript")));

rmSync(work, { recursive: true, force: true });
mkdirSync(work, { recursive: true });
cpSync(join(here, "js"), work, { recursive: true });
cpSync(join(glue, "postern.js"), join(work, "postern-glue.js"));
writeFileSync(join(work, "package.json"), '{"type": "module"}');
await writePolicyTypes();

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
cpSync(join(glue, "postern_bg.wasm"), join(out, "postern.wasm"));
for (const name of ["README.md", "LICENSE-APACHE", "LICENSE-MIT"]) {
  cpSync(join(here, name.startsWith("LICENSE") ? join("..", name) : name), join(out, name));
}
writeManifest();
writeTypes();
await bundle();

/** The types of policies, from the schema of policies. */
async function writePolicyTypes() {
  const schema = JSON.parse(readFileSync(join(here, "../verify/policy.schema.json"), "utf8"));
  const types = await compile({ ...schema, title: "PosternPolicy" }, "PosternPolicy", {
    bannerComment: "/* Made from Postern's JSON Schema of policies. */",
    format: false,
  });
  writeFileSync(join(work, "policy-document.d.ts"), types);
}

/** What is published needs nothing of what built it. */
function writeManifest() {
  const { devDependencies: _, ...manifest } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
  writeFileSync(join(out, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The declarations, for `import` and for `require`. */
function writeTypes() {
  const types = join(out, "types");
  cpSync(join(here, "tsconfig.json"), join(work, "tsconfig.json"));
  const roots = ["--typeRoots", join(tools, "node_modules/@types")];
  const options = ["-p", work, "--outDir", types, ...roots];
  execFileSync(process.execPath, [tool.resolve("typescript/bin/tsc"), ...options], { stdio: "inherit" });
  cpSync(join(work, "policy-document.d.ts"), join(types, "policy-document.d.ts"));
  for (const name of readdirSync(types)) {
    const text = readFileSync(join(types, name), "utf8").replaceAll(/(from ")(\.\/[a-z-]+)\.js"/g, '$1$2.cjs"');
    writeFileSync(join(types, name.replace(/\.d\.ts$/, ".d.cts")), text);
  }
}

/** One file for each way in. */
async function bundle() {
  const common = {
    bundle: true,
    target: "es2022",
    legalComments: "none",
    minifySyntax: true,
    alias: { "postern-glue": join(work, "postern-glue.js") },
    external: ["node:*", "*.wasm"],
    logLevel: "warning",
  };
  const file = (name, options) =>
    build({ ...common, entryPoints: [join(work, `${name.split(".")[0]}.ts`)], outfile: join(out, name), ...options });
  const module = { format: "esm" };
  const script = { format: "cjs" };
  const beside = 'new URL("./postern.wasm", import.meta.url)';
  const node = { platform: "node" };
  await Promise.all([
    file("node.mjs", { ...module, ...node, banner: { js: `const WASM_PATH = ${beside};` } }),
    file("node.cjs", {
      ...script,
      ...node,
      banner: { js: 'const WASM_PATH = require("node:path").join(__dirname, "postern.wasm");' },
    }),
    file("browser.mjs", module),
    file("workerd.mjs", module),
    file("express.mjs", module),
    file("express.cjs", script),
    file("hono.mjs", module),
    file("hono.cjs", script),
  ]);
}
