// One library in a process of its own, for one algorithm: `run.mjs` starts it and tells it what to
// measure. A round is `{load, file}`; the answer is how many tokens it verified in a second.

import { readFileSync } from "node:fs";

import { isAsync, setUp } from "./libraries.mjs";

/** What an asynchronous library is given at a time, as a server has several requests at a time. */
const IN_FLIGHT = 16;
/** So many tokens are made, then verified. */
const BATCH = 256;
/** How long verifying takes, all batches of a hot round together. */
const ROUND_MS = 50;
const WARM_UP_MS = 400;

const { name, jwk, issuer, audience, loader, samples } = JSON.parse(process.argv[2]);
const { load } = await import(loader);

/** Nobody should measure a library that checks less than the others. */
async function check(verify) {
  const claims = await verify(samples.good);
  if (claims.sub !== samples.subject) throw new Error(`${name} returns other claims`);
  for (const [flaw, token] of Object.entries(samples.bad)) {
    const refused = await Promise.resolve(token).then(verify).then(() => false, () => true);
    if (!refused) throw new Error(`${name} accepts a token with a bad ${flaw}`);
  }
}

/** Strings as they come with requests: nobody has seen them, or computed their hash. */
function readTokens(file) {
  const bytes = readFileSync(file);
  const tokens = [];
  for (let start = 0, end; (end = bytes.indexOf(10, start)) >= 0; start = end + 1) {
    tokens.push(bytes.latin1Slice(start, end));
  }
  return tokens;
}

/** Milliseconds. */
async function timed(verify, tokens) {
  const start = performance.now();
  if (isAsync(name)) {
    for (let from = 0; from < tokens.length; from += IN_FLIGHT) {
      await Promise.all(tokens.slice(from, from + IN_FLIGHT).map(verify));
    }
  } else {
    for (const token of tokens) verify(token);
  }
  return performance.now() - start;
}

/** One token, in a string of its own each time, for so long; tokens per second. */
async function hot(verify, milliseconds) {
  const bytes = Buffer.from(samples.good, "latin1");
  let [count, spent] = [0, 0];
  while (spent < milliseconds) {
    spent += await timed(verify, Array.from({ length: BATCH }, () => bytes.latin1Slice()));
    count += BATCH;
  }
  return (count * 1000) / spent;
}

/** Each token of a file once; tokens per second. */
async function once(verify, file) {
  const tokens = readTokens(file);
  return (tokens.length * 1000) / (await timed(verify, tokens));
}

const verify = await setUp(name, { load, jwk, issuer, audience });
if (verify) {
  await check(verify);
  // Long enough for the engine to compile the code for good.
  await hot(verify, WARM_UP_MS);
  process.on("message", async ({ load, file }) => {
    const rate = load === "hot" ? await hot(verify, ROUND_MS) : await once(verify, file);
    process.send({ rate, resident: process.memoryUsage().rss });
  });
  process.send({ ready: true });
} else {
  process.send({ ready: false });
  process.disconnect();
}
