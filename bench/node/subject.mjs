// One library in a process of its own, for one algorithm: `run.mjs` starts it and tells it what to
// measure. A round is `{load, file}`; the answer is how many tokens it verified in a second.

import { readFileSync } from "node:fs";

import { isAsync, setUp } from "./libraries.mjs";

/** What an asynchronous library is given at a time, as a server has several requests at a time. */
const IN_FLIGHT = 16;
/** A hot round is this long, and has at most so many tokens. */
const ROUND_MS = 50;
const MOST_TOKENS = 20_000;
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

const hotBytes = Buffer.from(samples.good, "latin1");
const hotTokens = (count) => Array.from({ length: count }, () => hotBytes.latin1Slice());

async function perSecond(verify, tokens) {
  const start = performance.now();
  if (isAsync(name)) {
    for (let from = 0; from < tokens.length; from += IN_FLIGHT) {
      await Promise.all(tokens.slice(from, from + IN_FLIGHT).map(verify));
    }
  } else {
    for (const token of tokens) verify(token);
  }
  return (tokens.length * 1000) / (performance.now() - start);
}

/** Long enough for the engine to compile the code for good; returns the size of a hot round. */
async function warmUp(verify) {
  const until = performance.now() + WARM_UP_MS;
  let rate = 0;
  while (performance.now() < until) rate = await perSecond(verify, hotTokens(500));
  return Math.min(MOST_TOKENS, Math.ceil((rate * ROUND_MS) / 1000));
}

const verify = await setUp(name, { load, jwk, issuer, audience });
if (verify) {
  await check(verify);
  const count = await warmUp(verify);
  process.on("message", async ({ load, file }) => {
    const tokens = load === "hot" ? hotTokens(count) : readTokens(file);
    const rate = await perSecond(verify, tokens);
    process.send({ rate, resident: process.memoryUsage().rss });
  });
  process.send({ ready: true });
} else {
  process.send({ ready: false });
  process.disconnect();
}
