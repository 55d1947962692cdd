// How long a Lambda function takes from the start of its process until it asks for its first event.
//
//   node bench/lambda/run.mjs PROGRAM NODE_MODULES [--rounds N]

import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "20" } },
});
const [program, peers] = positionals;
const rounds = Number(values.rounds);
if (!program || !peers || !Number.isInteger(rounds) || rounds < 1) {
  throw new Error("usage: run.mjs PROGRAM NODE_MODULES [--rounds N], N at least 1");
}

// Lambda's runtime API, AWS's endpoints and the issuer in one: whatever is asked for but an event is not there.
let asked;
const server = http.createServer((request, response) => {
  if (request.url.endsWith("/invocation/next")) {
    asked?.(process.hrtime.bigint());
    return;
  }
  request.resume();
  response.writeHead(404, { "content-type": "application/json" }).end("{}");
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const address = `127.0.0.1:${server.address().port}`;
const url = `http://${address}`;

const environment = {
  AWS_ACCESS_KEY_ID: "test",
  AWS_EC2_METADATA_DISABLED: "true",
  AWS_ENDPOINT_URL_DYNAMODB: url,
  AWS_ENDPOINT_URL_SECRETS_MANAGER: url,
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1024",
  AWS_LAMBDA_FUNCTION_NAME: "postern",
  AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
  AWS_LAMBDA_RUNTIME_API: address,
  AWS_REGION: "eu-central-1",
  AWS_SECRET_ACCESS_KEY: "test",
  POSTERN_DOMAIN: "shop",
  POSTERN_ISSUER_URL: url,
  POSTERN_SECRET_PREFIX: "postern/",
  POSTERN_TABLE: "postern",
};
const peer = fileURLToPath(new URL("peer.mjs", import.meta.url));
const functions = {
  "postern api": [program, [], "api"],
  "postern authorizer": [program, [], "authorizer"],
  "postern rotation": [program, [], "rotation"],
  "Node.js, aws-jwt-verify": [process.execPath, [peer, path.resolve(peers), `${url}/shop`], "authorizer"],
};

async function start([command, words, handler]) {
  const first = new Promise((resolve) => {
    asked = resolve;
  });
  const before = process.hrtime.bigint();
  const env = { ...environment, _HANDLER: handler };
  const child = spawn(command, words, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text) => {
    said += text;
  });
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${command} ended with ${code} before its first event\n${said}`);
  });
  const after = await Promise.race([first, ended]);
  ended.catch(() => {});
  child.kill("SIGKILL");
  await once(child, "close");
  return Number(after - before) / 1e6;
}

const times = Object.fromEntries(Object.keys(functions).map((name) => [name, []]));
for (let round = -2; round < rounds; round += 1) {
  for (const [name, what] of Object.entries(functions)) {
    const milliseconds = await start(what);
    // The first two bring the programs into memory.
    if (round >= 0) times[name].push(milliseconds);
  }
}
server.close();
server.closeAllConnections();

const mebibytes = (file) => `${(statSync(file).size / 1024 / 1024).toFixed(2)} MiB`;
const median = (sorted) => sorted[Math.floor(sorted.length / 2)];
const own = median(times["postern authorizer"].toSorted((a, b) => a - b));
console.log(`program ${mebibytes(program)}, package ${mebibytes(path.join(path.dirname(program), "postern.zip"))}\n`);
console.log("| until the first event, ms | median | fastest | slowest | to `postern authorizer` |");
console.log("|---|---:|---:|---:|---:|");
for (const [name, measured] of Object.entries(times)) {
  const sorted = measured.toSorted((a, b) => a - b);
  const cells = [median(sorted), sorted[0], sorted.at(-1)].map((time) => time.toFixed(1));
  console.log(`| ${name} | ${cells.join(" | ")} | ${(median(sorted) / own).toFixed(1)} |`);
}
