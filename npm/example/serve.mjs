// Serves this folder, and Postern's npm package below `/postern/`, on the loopback interface.
//
//   node serve.mjs [--port 8300] [--package ../../dist/npm]

import { createReadStream, existsSync } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "8300" },
    package: { type: "string", default: fileURLToPath(new URL("../../dist/npm", import.meta.url)) },
  },
});

const EXAMPLE = fileURLToPath(new URL(".", import.meta.url));
const PACKAGE_PATH = "/postern/";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const HEADERS = {
  // The page talks to whichever issuer its user names. WebAssembly needs a word of its own.
  "content-security-policy":
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; " +
    "connect-src 'self' http: https:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cache-control": "no-cache",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** The file that a path names, or nothing where it names none of ours. */
async function find(path) {
  const inPackage = path.startsWith(PACKAGE_PATH);
  const root = await realpath(inPackage ? options.package : EXAMPLE);
  const name = inPackage ? path.slice(PACKAGE_PATH.length) : path.slice(1) || "index.html";
  const file = await realpath(join(root, name));
  const ours = file.startsWith(root + sep) && extname(file) in TYPES;
  return ours && (await stat(file)).isFile() ? file : undefined;
}

async function answer(request, response) {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  const file = await find(path);
  if (file === undefined || !["GET", "HEAD"].includes(request.method)) {
    return refuse(response);
  }
  response.writeHead(200, { ...HEADERS, "content-type": TYPES[extname(file)] });
  if (request.method === "HEAD") {
    return response.end();
  }
  createReadStream(file).on("error", () => response.destroy()).pipe(response);
}

function refuse(response) {
  response.writeHead(404, { ...HEADERS, "content-type": "text/plain; charset=utf-8" });
  response.end("Not found\n");
}

if (!existsSync(join(options.package, "browser.mjs"))) {
  console.error(`${options.package} has no browser.mjs: \`cargo xtask build\` makes it`);
  process.exit(1);
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => refuse(response));
});
server.listen(Number(options.port), "127.0.0.1", () => {
  console.log(`http://localhost:${server.address().port}`);
});
