// What a token costs in Node, in ours and in the libraries that are at hand:
//
//   node run.mjs PEERS [OURS] [--rounds N] [--algorithms A,…] [--loads hot,new]
//
// PEERS is a folder of packages (`node_modules`), OURS the package `postern`. Prints lines of
// `rate TAB who TAB task TAB tokens per second, for each round` and `memory TAB who TAB task TAB MiB`.
//
// Each library has a process for each algorithm; rounds go around them, each time in another order,
// and only one of them works at a time.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { NAMES, PEERS, isOurs } from "./libraries.mjs";
import { ALGORITHMS, AUDIENCE, ISSUER, createSigner } from "./tokens.mjs";

/** How many tokens a round of `new` has. */
const NEW = 2000;

const {
  values: options,
  positionals: [peers, ours],
} = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "15" },
    algorithms: { type: "string", default: ALGORITHMS.join(",") },
    loads: { type: "string", default: "hot,new" },
  },
});
const rounds = Number(options.rounds);
const names = NAMES.filter((name) => ours || !isOurs(name));

/** A good token, and one for each thing that may be wrong with one. */
function createSamples({ sign }) {
  const good = sign({});
  const [text, signature] = [good.slice(0, good.lastIndexOf(".")), good.split(".")[2]];
  return {
    good,
    subject: JSON.parse(Buffer.from(good.split(".")[1], "base64url")).sub,
    bad: {
      // Not at its end, whose bits may mean nothing.
      signature: `${text}.${[...signature].reverse().join("")}`,
      issuer: sign({ iss: "https://evil.example.com/shop" }),
      audience: sign({ aud: "kiosk" }),
      expiration: sign({ exp: 1_700_000_001 }),
    },
  };
}

/** A module that loads the packages by their names, as an application does; returns its URL. */
function writeLoader(folder) {
  mkdirSync(join(folder, "node_modules"));
  const link = (name, place) => symlinkSync(resolve(place), join(folder, "node_modules", name));
  for (const name of PEERS) link(name, join(peers, name));
  if (ours) link("postern", ours);
  writeFileSync(join(folder, "load.mjs"), "export const load = (name) => import(name);\n");
  return pathToFileURL(join(folder, "load.mjs")).href;
}

async function start(name, signer, samples, loader) {
  const { jwk } = signer;
  const subject = { name, jwk, issuer: ISSUER, audience: AUDIENCE, loader, samples };
  const child = fork(new URL("subject.mjs", import.meta.url), [JSON.stringify(subject)]);
  const { ready } = await answer(child, name);
  return ready ? [{ name, child, memory: 0, rates: [] }] : [];
}

/** The next message of a process; an error when it ends instead. */
async function answer(child, name) {
  const over = new AbortController();
  try {
    const [message] = await Promise.race([
      once(child, "message", over),
      once(child, "exit", over).then(() => {
        throw new Error(`${name} ended`);
      }),
    ]);
    return message;
  } finally {
    over.abort();
  }
}

/** Another order in each round. */
function inTurn(subjects, round) {
  const turn = round % subjects.length;
  const order = [...subjects.slice(turn), ...subjects.slice(0, turn)];
  return round % 2 ? order.reverse() : order;
}

async function measure(subjects, load, signer, file) {
  for (const subject of subjects) subject.rates = [];
  // The first warms up.
  for (let round = 0; round <= rounds; round++) {
    if (load === "new") {
      writeFileSync(file, Array.from({ length: NEW }, () => `${signer.sign({})}\n`).join(""));
    }
    for (const subject of inTurn(subjects, round)) {
      subject.child.send({ load, file });
      const { rate, resident } = await answer(subject.child, subject.name);
      subject.memory = resident / 2 ** 20;
      if (round > 0) subject.rates.push(rate);
    }
  }
}

async function measureAlgorithm(alg, folder, loader) {
  const signer = createSigner(alg);
  const samples = createSamples(signer);
  const subjects = [];
  for (const name of names) subjects.push(...(await start(name, signer, samples, loader)));
  for (const load of options.loads.split(",")) {
    console.error(`    ${alg} ${load}: ${rounds} rounds`);
    await measure(subjects, load, signer, join(folder, "tokens"));
    for (const { name, rates, memory } of subjects) {
      console.log(`rate\t${name}\t${alg} ${load}\t${rates.map(Math.round).join(" ")}`);
      console.log(`memory\t${name}\t${alg} ${load}\t${memory.toFixed(0)}`);
    }
  }
  for (const { child } of subjects) child.disconnect();
}

const folder = mkdtempSync(join(tmpdir(), "postern-bench-"));
try {
  const loader = writeLoader(folder);
  for (const alg of options.algorithms.split(",")) await measureAlgorithm(alg, folder, loader);
} finally {
  rmSync(folder, { recursive: true });
}
