// A real workerd with the built Worker in it.

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const TOOLS = process.env.POSTERN_WORKER_TOOLS;
export const WORKER = process.env.POSTERN_WORKER;

/** workerd's own binary, as wrangler brings it. */
function program() {
  const require = createRequire(join(TOOLS, "package.json"));
  return require(require.resolve("workerd", { paths: [require.resolve("wrangler")] })).default;
}

/** The modules of the Worker, as workerd's configuration wants them. */
function modules(extra) {
  const files = readdirSync(WORKER, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  const kinds = [[".mjs", "esModule"], [".js", "esModule"], [".wasm", "wasm"], [".json", "text"]];
  const built = files.map((file) => {
    const path = join(file.parentPath ?? file.path, file.name).slice(WORKER.length + 1);
    const [, kind] = kinds.find(([end]) => file.name.endsWith(end));
    return `(name = ${JSON.stringify(path)}, ${kind} = embed ${JSON.stringify(path)})`;
  });
  return [...extra, ...built].join(",\n    ");
}

/**
 * Starts workerd. `main` is the source of a module that stands before `index.mjs`; `outbound` is the
 * port of the server that all fetches go to, as to a proxy.
 */
export async function start({ main, outbound, bindings = {}, environment = {} }) {
  const folder = mkdtempSync(join(tmpdir(), "postern-workerd-"));
  cpSync(WORKER, folder, { recursive: true });
  writeFileSync(join(folder, "main.mjs"), main ?? 'export { default } from "index.mjs";');
  const values = Object.entries(bindings).map(([name, value]) =>
    typeof value === "string"
      ? `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`
      : `(name = ${JSON.stringify(name)}, json = ${JSON.stringify(JSON.stringify(value))})`,
  );
  const config = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "gate", worker = .gate),
    (name = "outbound", external = (address = "127.0.0.1:${outbound}", http = (style = proxy))),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", service = "gate",
    http = (forwardedProtoHeader = "X-Forwarded-Proto"))],
);
const gate :Workerd.Worker = (
  modules = [
    ${modules([`(name = "main.mjs", esModule = embed "main.mjs")`])}
  ],
  compatibilityDate = "2026-04-01",
  compatibilityFlags = ["nodejs_compat"],
  globalOutbound = "outbound",
  bindings = [${values.join(", ")}],
);
`;
  writeFileSync(join(folder, "config.capnp"), config);
  const child = spawn(program(), ["serve", "config.capnp", "--control-fd=3"], {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const log = [];
  child.stdout.on("data", (data) => log.push(String(data)));
  child.stderr.on("data", (data) => log.push(String(data)));
  const port = await new Promise((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`workerd ended with ${code}: ${log.join("")}`)));
    let text = "";
    child.stdio[3].on("data", (data) => {
      text += data;
      const listening = text.split("\n").find((line) => line.includes('"listen"') && line.endsWith("}"));
      if (listening) resolve(JSON.parse(listening).port);
    });
  });
  return {
    port,
    log: () => log.join(""),
    async stop() {
      const ended = new Promise((resolve) => child.on("exit", resolve));
      child.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

/** Sends bytes as they are, and reads one response: `{ status, headers, body }`. */
export function ask(port, bytes, { method = "GET", limit = 20_000 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    const timer = setTimeout(() => end(reject, new Error("no answer in time")), limit);
    const end = (settle, value) => {
      clearTimeout(timer);
      socket.destroy();
      settle(value);
    };
    let text = "";
    socket.setEncoding("latin1");
    socket.on("error", (error) => end(reject, error));
    socket.on("close", () => end(reject, new Error(`closed after ${JSON.stringify(text.slice(0, 100))}`)));
    socket.on("data", (data) => {
      text += data;
      const response = read(text, method);
      if (response) end(resolve, response);
    });
    socket.write(bytes);
  });
}

function read(text, method) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [line, ...fields] = text.slice(0, end).split("\r\n");
  const headers = fields.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  });
  const status = Number(line.split(" ")[1]);
  const rest = text.slice(end + 4);
  const value = (name) => headers.find(([other]) => other === name)?.[1];
  if (method === "HEAD" || status === 204 || status === 304 || status === 101) return { status, headers, body: "" };
  if (value("transfer-encoding") === "chunked") {
    let [body, at] = ["", 0];
    for (;;) {
      const line = rest.indexOf("\r\n", at);
      if (line < 0) return undefined;
      const size = parseInt(rest.slice(at, line), 16);
      if (rest.length < line + 4 + size) return undefined;
      if (size === 0) return { status, headers, body };
      body += rest.slice(line + 2, line + 2 + size);
      at = line + 4 + size;
    }
  }
  const length = Number(value("content-length") ?? 0);
  return rest.length < length ? undefined : { status, headers, body: rest.slice(0, length) };
}
