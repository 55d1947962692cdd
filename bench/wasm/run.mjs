// Runs the tasks of `postern_bench_wasm.wasm` in this JavaScript engine, and the peers that are
// at hand beside them:
//
//   node run.mjs MODULE.wasm [FOLDER]      FOLDER holds node_modules with jose and fast-jwt
//
// Prints lines of `who TAB task TAB microseconds` and `bytes TAB task TAB bytes`. Rounds of a few
// milliseconds go around all of them in turn, so that a disturbance meets all; the fastest counts.

import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const ROUNDS = 40;
const ROUND_MS = 2;

const [modulePlace, peersFolder] = process.argv.slice(2);
const fixtures = JSON.parse(readFileSync(new URL("../fixtures.json", import.meta.url)));

function wasmSubjects() {
  const module = new WebAssembly.Module(readFileSync(modulePlace));
  // No import object: a module that wants one does not start.
  const { exports } = new WebAssembly.Instance(module);
  const name = (index) =>
    new TextDecoder().decode(
      new Uint8Array(exports.memory.buffer, exports.name(index), exports.name_length(index)),
    );
  return Array.from({ length: exports.count() }, (_, index) => {
    const task = name(index);
    const run = (times) => {
      if (exports.run(index, times) !== 1) throw new Error(`${task} failed in Wasm`);
    };
    run(1);
    const before = exports.allocated();
    run(1);
    console.log(`bytes\t${task}\t${exports.allocated() - before}`);
    return { who: "wasm", task, run };
  });
}

async function joseSubjects(load) {
  const jose = await load("jose");
  const options = {
    issuer: fixtures.issuer,
    audience: fixtures.audience,
    currentDate: new Date(fixtures.now * 1000),
  };
  return Promise.all(
    fixtures.keys.map(async (jwk) => {
      const key = await jose.importJWK(jwk);
      const token = fixtures.tokens[jwk.alg];
      const run = async (times) => {
        for (let left = times; left > 0; left--) await jose.jwtVerify(token, key, options);
      };
      return { who: "jose", task: `decide ${jwk.alg}`, run };
    }),
  );
}

async function fastJwtSubjects(load) {
  const { createVerifier } = await load("fast-jwt");
  return fixtures.keys.map((jwk) => {
    const key =
      jwk.kty === "oct"
        ? Buffer.from(jwk.k, "base64url")
        : createPublicKey({ key: jwk, format: "jwk" }).export({ type: "spki", format: "pem" });
    const verify = createVerifier({
      key,
      algorithms: [jwk.alg],
      cache: false,
      allowedIss: fixtures.issuer,
      allowedAud: fixtures.audience,
      clockTimestamp: fixtures.now * 1000,
    });
    const token = fixtures.tokens[jwk.alg];
    const run = (times) => {
      for (let left = times; left > 0; left--) verify(token);
    };
    return { who: "fast-jwt", task: `decide ${jwk.alg}`, run };
  });
}

async function subjects() {
  const all = wasmSubjects();
  if (peersFolder) {
    const require = createRequire(pathToFileURL(`${peersFolder}/`));
    const load = (name) => import(pathToFileURL(require.resolve(name)));
    all.push(...(await joseSubjects(load)), ...(await fastJwtSubjects(load)));
  }
  return all;
}

async function microseconds(run, times) {
  const start = performance.now();
  await run(times);
  return ((performance.now() - start) * 1000) / times;
}

async function measure(all) {
  for (const subject of all) {
    // Long enough for the engine to compile the code for good.
    const rough = await microseconds(subject.run, 20);
    await microseconds(subject.run, Math.ceil(20_000 / rough));
    const settled = await microseconds(subject.run, 20);
    subject.times = Math.max(1, Math.ceil((ROUND_MS * 1000) / settled));
    subject.best = Number.POSITIVE_INFINITY;
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of all) {
      subject.best = Math.min(subject.best, await microseconds(subject.run, subject.times));
    }
  }
  return all;
}

for (const { who, task, best } of await measure(await subjects())) {
  console.log(`${who}\t${task}\t${best.toFixed(3)}`);
}
