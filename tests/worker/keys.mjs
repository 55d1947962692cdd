// When the Worker asks the issuer for keys, and what it does while that cannot answer.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bearer, token, until, world } from "./world.mjs";

/** The issuer has changed its keys, and the gate has seen that. */
const seen = (issuer, asked) => until("a fetch", () => issuer.asked > asked);

test("a token of an unknown key makes the gate ask once more, and then not for a while", async (t) => {
  const { status, issuer, clock } = await world(t);
  assert.equal(await status(), 200);
  issuer.kids = ["a", "b"];
  assert.deepEqual([await status(token("b")), issuer.asked], [401, 1], "the first fetch was just now");
  await clock(6);
  assert.deepEqual([await status(token("b")), issuer.asked], [200, 2]);
  assert.deepEqual([await status(token("nobody")), await status(token("nobody")), issuer.asked], [401, 401, 2]);
  await clock(12);
  assert.deepEqual([await status(token("nobody")), issuer.asked], [401, 3]);
  assert.deepEqual([await status(), await status(token("b")), issuer.asked], [200, 200, 3]);
});

test("through a rotation, tokens of the old and of the new key pass", async (t) => {
  const { status, issuer, clock } = await world(t);
  assert.equal(await status(), 200);
  const steps = [["a", "b"], ["a", "b", "c"], ["b", "c"]];
  for (const [step, kids] of steps.entries()) {
    const asked = issuer.asked;
    issuer.kids = kids;
    await clock((step + 1) * 290); // the refresh is due, and the set not yet too old
    assert.equal(await status(token(kids[0])), 200);
    await seen(issuer, asked);
    await until("the new set", async () => (await status(token(kids.at(-1)))) === 200);
    assert.equal(await status(token(kids[0])), 200);
    assert.equal(issuer.asked, asked + 1, "no request had to ask");
  }
  assert.equal(await status(token("a")), 401, "of a key that was taken back");
});

test("who asks while a refresh is due is answered at once, and the refresh goes on", async (t) => {
  const { status, issuer, clock } = await world(t);
  assert.equal(await status(), 200);
  Object.assign(issuer, { kids: ["a", "b"], status: 0 });
  await clock(290);
  assert.equal(await status(), 200);
  await seen(issuer, 1);
  assert.deepEqual([await status(), issuer.asked, issuer.waiting.length], [200, 2, 1], "the issuer has not answered");
  issuer.answer();
  await until("the new set", async () => (await status(token("b"))) === 200);
  assert.equal(issuer.asked, 2);
});

test("through an outage the last good keys serve up to max_stale, then 503, then all is well again", async (t) => {
  const remote = { cache_duration: "300s", max_stale: "3600s" };
  const { ask, status, issuer, clock } = await world(t, { remote });
  assert.equal(await status(), 200);
  issuer.status = 500;
  for (const seconds of [290, 310, 1800, 3599]) {
    await clock(seconds);
    assert.equal(await status(), 200, `${seconds} s after the last answer`);
  }
  await clock(3700);
  const response = await ask("/api/a", { headers: bearer() });
  assert.deepEqual([response.status, (await response.json()).code], [503, "keys_unavailable"]);
  assert.ok(Number(response.headers.get("retry-after")) >= 1);
  issuer.status = 200;
  await clock(3800);
  assert.equal(await status(), 200);
});

test("a new isolate has the keys of the one before, while the issuer is down", async (t) => {
  const { status, issuer, clock, again } = await world(t);
  assert.equal(await status(), 200);
  issuer.status = 500;
  await again();
  assert.deepEqual([await status(), issuer.asked], [200, 1], "the copy is good for a while");
  await again();
  await clock(900);
  assert.equal(await status(), 200, "the copy is old, and nothing is newer");
  await clock(90_000);
  assert.equal(await status(), 503, "the copy is too old");
});

test("a new isolate with a copy that is good does not wait for an issuer that is slow", async (t) => {
  const { status, issuer, again } = await world(t);
  assert.equal(await status(), 200);
  issuer.status = 0;
  await again();
  assert.deepEqual([await status(), issuer.asked], [200, 1]);
});

for (const [shared, options] of [["the cache", {}], ["KV", { kvNamespaces: ["POSTERN_KV"], cache: false }]]) {
  test(`a set that lapsed while nobody asked is taken from ${shared}, without the issuer`, async (t) => {
    const { gate, status, issuer, clock } = await world(t, options);
    assert.equal(await status(), 200);
    await clock(1_000);
    issuer.kids = ["a", "b"];
    // Another isolate of the Worker would do the same: these keys do not go to the gate.
    await (await gate.getWorker()).scheduled({ cron: "* * * * *" });
    const { asked } = issuer;
    issuer.status = 0;
    assert.deepEqual([await status(), await status(token("b")), issuer.asked], [200, 200, asked]);
  });
}

const BROKEN_CACHES = {
  "throws": `() => { throw new Error("no cache"); }`,
  "rejects": `() => Promise.reject(new Error("no cache"))`,
  "hangs": `() => new Promise(() => {})`,
  "returns something else": `() => Promise.resolve(7)`,
  "returns a body that is no copy": `() => Promise.resolve(new Response("{}"))`,
};
for (const [what, call] of Object.entries(BROKEN_CACHES)) {
  const stub = `{ match: ${call}, put: ${call}, get: ${call}, list: ${call}, delete: ${call}, getWithMetadata: ${call} }`;
  test(`with a Cache API that ${what}, keys come from the issuer`, async (t) => {
    const front = `Object.defineProperty(globalThis, "caches", { value: { default: ${stub} } });`;
    const { status, issuer } = await world(t, { front });
    assert.deepEqual([await status(), await status(), issuer.asked], [200, 200, 1]);
  });
  test(`with a KV that ${what}, keys come from the issuer`, async (t) => {
    const { gate, status, issuer } = await world(t, { front: `test.env = { POSTERN_KV: ${stub} };`, cache: false });
    assert.deepEqual([await status(), await status(), issuer.asked], [200, 200, 1]);
    await (await gate.getWorker()).scheduled({ cron: "* * * * *" });
    assert.equal(issuer.asked, 2);
  });
}

test("without any Cache API, keys come from the issuer", async (t) => {
  const front = `Object.defineProperty(globalThis, "caches", { value: undefined });`;
  const { status, issuer } = await world(t, { front });
  assert.deepEqual([await status(), await status(), issuer.asked], [200, 200, 1]);
});

test("a fetch outlives the request that made it, when its client goes", async (t) => {
  const { ask, status, issuer } = await world(t);
  issuer.status = 0;
  const going = new AbortController();
  const gone = ask("/api/a", { headers: bearer(), signal: going.signal });
  await seen(issuer, 0);
  going.abort();
  await assert.rejects(gone);
  const waiting = status();
  issuer.answer();
  assert.deepEqual([await waiting, issuer.asked], [200, 1]);
});

test("a fetch that was lost with its request is made anew by another", async (t) => {
  const front = `test.context = () => ({ waitUntil() {} });`;
  const { ask, status, issuer } = await world(t, { front });
  issuer.status = 0;
  const going = new AbortController();
  const gone = ask("/api/a", { headers: bearer(), signal: going.signal });
  await seen(issuer, 0);
  going.abort();
  await assert.rejects(gone);
  issuer.answer();
  assert.equal(await status(), 200);
});

test("many requests of a young isolate make one fetch", async (t) => {
  const { status, issuer } = await world(t);
  issuer.status = 0;
  const asking = Array.from({ length: 20 }, () => status());
  await seen(issuer, 0);
  issuer.answer();
  assert.deepEqual(new Set(await Promise.all(asking)), new Set([200]));
  assert.equal(issuer.asked, 1);
});
