// The Worker as an enrolled edge: bundles of keys that only it can read, status lists, the copies of them
// in stores that others may write to, and the issuer's pushes. The issuer here makes all of it with jose.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { EdgeIssuer, PUSH_PATH } from "../javascript/edge.mjs";
import { bearer, until, world } from "./world.mjs";

const KV = { kvNamespaces: ["POSTERN_KV"] };
const SECRETS = ({ credential }) => credential.keys.map(({ d }) => d);

/** A gate that is enrolled at an issuer; its clock and the issuer's are set together. */
async function edge(context, { alg, policy = {}, bindings = {}, ...more } = {}) {
  const issuer = await EdgeIssuer.start(alg);
  context.after(() => issuer.stop());
  const gate = await world(context, {
    bindings: { POSTERN_POLICY: issuer.policy(policy), POSTERN_EDGE: JSON.stringify(issuer.credential), ...bindings },
    ...more,
  });
  return {
    ...gate, issuer,
    clock: async (seconds) => {
      issuer.ahead = seconds;
      await gate.clock(seconds);
    },
    code: async (text) => {
      const response = await gate.ask("/api/a", { headers: bearer(text) });
      const body = await response.json();
      return response.status === 200 ? "allowed" : body.code;
    },
    cron: async () => (await gate.gate.getWorker()).scheduled({ cron: "* * * * *" }),
    push: async (token, init = {}) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const response = await gate.ask(PUSH_PATH, { method: "POST", headers, ...init });
      return [response.status, await response.text()];
    },
    kv: async () => gate.gate.getKVNamespace("POSTERN_KV"),
  };
}

for (const alg of ["HS256", "ES256"]) {
  test(`tokens of a domain that signs by ${alg} pass with keys that only the edge can read`, async (t) => {
    const { code, issuer, log, clock } = await edge(t, { alg, bindings: {} });
    const token = await issuer.token();
    assert.equal(await code(token), "allowed");
    assert.equal(await code(`${token.slice(0, -6)}AAAAAA`), "signature_invalid");
    assert.equal(issuer.asked("/edge/keys"), 1);
    const [{ claims }] = issuer.requests;
    assert.deepEqual([claims.iss, claims.aud, claims.held], [issuer.edge, issuer.url, undefined]);
    await clock(6);
    assert.equal(await code(token), "allowed");
    await until("the next poll", () => issuer.asked("/edge/keys") === 2);
    assert.equal(issuer.requests[1].headers["if-none-match"], issuer.etag);
    for (const { headers } of issuer.requests) assert.ok(!log().includes(headers.authorization.split(".")[2]));
    for (const secret of [...SECRETS(issuer), ...issuer.domainKeys.map(({ jwk }) => jwk.k).filter(Boolean)]) {
      assert.ok(!log().includes(secret));
    }
  });
}

test("several credentials are an array, and the one of the issuer is used", async (t) => {
  const other = await EdgeIssuer.start();
  t.after(() => other.stop());
  const { code, issuer, gate, ask } = await edge(t, { bindings: { POSTERN_EDGE: "[]" } });
  assert.equal((await ask("/api/a")).status, 503);
  void gate;
  const both = JSON.stringify([other.credential, issuer.credential]);
  const second = await world(t, { bindings: { POSTERN_POLICY: issuer.policy(), POSTERN_EDGE: both } });
  assert.equal(await second.status(await issuer.token()), 200);
  assert.equal(await code(await issuer.token()), "gate_unavailable");
  assert.equal(other.requests.length, 0);
});

const WRONG = {
  "is missing": [() => undefined, /POSTERN_POLICY: providers\.shop\.edge_keys: /],
  "is no JSON": [() => "{", /POSTERN_EDGE: /],
  "is a table of wrangler.toml": [(credential) => credential, /POSTERN_EDGE: it is no secret/],
  "lacks a private member": [({ keys: [sig, enc], ...rest }) => JSON.stringify({ ...rest, keys: [sig, { ...enc, d: undefined }] }), /POSTERN_EDGE: keys\[1\]: missing field `d`/],
  "is of another issuer": [(credential) => JSON.stringify({ ...credential, issuers: [{ issuer: "https://other.test/x", keys_uri: "https://other.test/x/edge/keys" }] }), /POSTERN_POLICY: providers\.shop\.edge_keys: /],
  "is wrong in one of two": [(credential) => JSON.stringify([credential, { ...credential, edge: "x" }]), /POSTERN_EDGE: \[1\]\.edge: /],
};
for (const [what, [change, says]] of Object.entries(WRONG)) {
  test(`where the credential ${what}, nobody passes and the log says which member, not what is in it`, async (t) => {
    const issuer = await EdgeIssuer.start();
    t.after(() => issuer.stop());
    const edge = change(issuer.credential);
    const bindings = { POSTERN_POLICY: issuer.policy(), ...(edge !== undefined && { POSTERN_EDGE: edge }) };
    const { status, log, told } = await world(t, { bindings });
    assert.equal(await status(await issuer.token()), 503);
    const [line] = await until("the log", () => told("error").length > 0 && told("error"));
    assert.match(line.reason, says);
    for (const secret of SECRETS(issuer)) assert.ok(!log().includes(secret));
  });
}

test("the list that a token names is fetched, and who is revoked is refused within max_age", async (t) => {
  const { code, issuer, clock } = await edge(t);
  issuer.revoke(0, 7);
  const [here, gone] = [await issuer.token({}, { place: [0, 3] }), await issuer.token({}, { place: [0, 7] })];
  assert.deepEqual([await code(here), await code(gone), await code(here)], ["allowed", "token_revoked", "allowed"]);
  assert.equal(issuer.asked("/status-lists/"), 1);
  issuer.revoke(0, 3);
  await clock(5.5);
  await until("the refusal", async () => (await code(here)) === "token_revoked");
});

test("what the issuer says of all tokens of a user or the domain counts", async (t) => {
  const { code, issuer, clock } = await edge(t);
  issuer.revoke(0, 1);
  const [ada, eve] = [await issuer.token({}, { place: [0, 2] }), await issuer.token({ sub: "eve" }, { place: [0, 3] })];
  assert.deepEqual([await code(ada), await code(eve)], ["allowed", "allowed"]);
  issuer.notBefore = { subjects: { ada: issuer.now() + 5 } };
  await clock(10);
  await until("the refusal", async () => (await code(ada)) === "token_not_before");
  assert.equal(await code(eve), "allowed");
});

for (const [when, outcome] of [["deny", "status_unavailable"], ["allow", "allowed"]]) {
  test(`a list that cannot be fetched counts up to max_stale, and then the policy says: ${when}`, async (t) => {
    const { code, issuer, clock } = await edge(t, { policy: { statusList: { when_stale: when, max_stale: "60s" } } });
    issuer.revoke(0, 7);
    const [here, gone] = [await issuer.token({}, { place: [0, 3] }), await issuer.token({}, { place: [0, 7] })];
    assert.equal(await code(here), "allowed");
    issuer.listStatus = 503;
    await clock(40);
    assert.deepEqual([await code(here), await code(gone)], ["allowed", "token_revoked"]);
    await clock(70);
    await until("the outcome", async () => (await code(here)) === outcome);
    assert.equal(await code(gone), "token_revoked");
    issuer.listStatus = 200;
    await clock(90);
    await until("all to be well", async () => (await code(here)) === "allowed");
  });
}

test("a new isolate has bundle and list of the one before, without the issuer", async (t) => {
  const { code, issuer, again } = await edge(t);
  issuer.revoke(0, 7);
  const [here, gone] = [await issuer.token({}, { place: [0, 3] }), await issuer.token({}, { place: [0, 7] })];
  assert.equal(await code(here), "allowed");
  const asked = issuer.requests.length;
  await again();
  assert.deepEqual([await code(here), await code(gone), issuer.requests.length], ["allowed", "token_revoked", asked]);
});

test("a copy that is older than max_age sends the isolate to the issuer", async (t) => {
  const { code, issuer, again, clock } = await edge(t);
  issuer.revoke(0, 7);
  const here = await issuer.token({}, { place: [0, 3] });
  assert.equal(await code(here), "allowed");
  issuer.revoke(0, 3);
  await again();
  await clock(6);
  assert.equal(await code(here), "token_revoked");
});

/** What KV has of bundles or lists, and a way to put something else there. */
async function copyIn(kv, prefix) {
  const name = await until("a copy in KV", async () => (await kv.list({ prefix })).keys[0]?.name);
  const copy = JSON.parse(await kv.get(name));
  return { name, copy, replace: (more) => kv.put(name, JSON.stringify({ ...copy, ...more })) };
}

const ONLY_KV = { ...KV, cache: false };
const flipped = (jws) => jws.slice(0, -20) + (jws.at(-20) === "A" ? "B" : "A") + jws.slice(-19);

test("what is kept for an edge has its name, and is as the issuer sent it", async (t) => {
  const { code, issuer, kv, cron } = await edge(t, ONLY_KV);
  issuer.revoke(0, 7);
  const token = await issuer.token({}, { place: [0, 3] });
  assert.equal(await code(token), "allowed");
  await cron();
  const { name, copy } = await copyIn(await kv(), "keys:");
  assert.equal(name, `keys:${issuer.url}/edge/keys#${issuer.edge}`);
  assert.equal(copy.body.split(".").length, 3);
  assert.ok(!JSON.stringify(copy).includes(issuer.domainKeys[0].jwk.k));
  assert.equal((await copyIn(await kv(), "list:")).name, `list:${issuer.listUrl(0)}`);
});

const TAMPERED = {
  "that is garbage": () => ({ body: "garbage" }),
  "of another edge's": async (issuer, other) => ({ body: await issuer.bundle({ aud: other.edge }) }),
  "whose signature is wrong": (_issuer, _other, { body }) => ({ body: flipped(body) }),
  "that another issuer signed": async (issuer, other) => ({ body: await issuer.bundle({ by: other.own }) }),
  "that is over": async (issuer) => ({ body: await issuer.bundle({ iat: issuer.now() - 90_000, exp: issuer.now() - 3_600 }) }),
  "of keys in the clear": async (issuer) => ({ body: JSON.stringify({ keys: issuer.domainKeys.map(({ jwk }) => jwk) }) }),
};
for (const [what, change] of Object.entries(TAMPERED)) {
  test(`a bundle in KV ${what} changes nothing: the issuer is asked`, async (t) => {
    const other = await EdgeIssuer.start();
    t.after(() => other.stop());
    const { code, issuer, kv, cron, again, told } = await edge(t, ONLY_KV);
    const token = await issuer.token();
    assert.equal(await code(token), "allowed");
    await cron();
    const { copy, replace } = await copyIn(await kv(), "keys:");
    await replace({ at: Date.now(), ...(await change(issuer, other, copy)) });
    await again();
    const asked = issuer.asked("/edge/keys");
    assert.deepEqual([await code(token), issuer.asked("/edge/keys")], ["allowed", asked + 1]);
    assert.equal(told("copy_refused").length, 1);
  });
}

test("an older bundle in KV, with the newest one's ETag, brings no key back for longer than a poll", async (t) => {
  const { code, issuer, kv, cron, again, clock } = await edge(t, ONLY_KV);
  const token = await issuer.token();
  assert.equal(await code(token), "allowed");
  await cron();
  const old = (await copyIn(await kv(), "keys:")).copy;
  await issuer.rotate("two");
  issuer.domainKeys.pop();
  issuer.seq = 2;
  await clock(10);
  const fresh = await issuer.token();
  assert.equal(await code(fresh), "allowed");
  await cron();
  const { replace } = await copyIn(await kv(), "keys:");
  await replace({ ...old, at: Date.now() + 10_000, etag: issuer.etag });
  await again();
  await clock(10);
  await code(fresh);
  await clock(16);
  await until("the newest keys", async () => (await code(token)) === "key_unknown");
  assert.equal(await code(fresh), "allowed");
});

const TAMPERED_LISTS = {
  "that is garbage": () => ({ body: "garbage" }),
  "that is another": async (issuer) => ({ body: await issuer.list(1) }),
  "that a stranger signed": async (issuer) => {
    const { EdgeIssuer: Other } = await import("../javascript/edge.mjs");
    const stranger = await Other.start();
    const claims = { sub: issuer.listUrl(0) };
    const body = await stranger.list(0, { more: claims, header: { kid: issuer.domainKeys[0].kid } }).catch(() => undefined);
    await stranger.stop();
    return { body: body ?? "x" };
  },
  "that is over": async (issuer) => ({ body: await issuer.list(0, { iat: issuer.now() - 1_000 }) }),
};
for (const [what, change] of Object.entries(TAMPERED_LISTS)) {
  test(`a list in KV ${what} changes nothing: the issuer is asked`, async (t) => {
    const { code, issuer, kv, again, told } = await edge(t, ONLY_KV);
    issuer.revoke(0, 7);
    const gone = await issuer.token({}, { place: [0, 7] });
    assert.equal(await code(gone), "token_revoked");
    const { replace } = await copyIn(await kv(), "list:");
    await replace({ at: Date.now(), ...(await change(issuer)) });
    await again();
    assert.equal(await code(gone), "token_revoked");
    assert.equal(told("copy_refused").length, 1);
  });
}

test("an older list in KV, with the newest one's ETag, brings nobody back for longer than a poll", async (t) => {
  const { code, issuer, kv, again, clock } = await edge(t, ONLY_KV);
  issuer.revoke(0, 7);
  const gone = await issuer.token({}, { place: [0, 3] });
  assert.equal(await code(gone), "allowed");
  const { copy, replace } = await copyIn(await kv(), "list:");
  issuer.revoke(0, 3);
  const { headers } = await fetch(issuer.listUrl(0));
  await replace({ ...copy, at: Date.now(), etag: headers.get("etag") });
  await again();
  await code(gone);
  await clock(6);
  await until("the refusal", async () => (await code(gone)) === "token_revoked");
});

test("the scheduled event leaves bundle and lists in KV, also for an isolate that has never seen a request", async (t) => {
  const { code, issuer, kv, cron, again } = await edge(t, ONLY_KV);
  issuer.revoke(0, 7);
  const here = await issuer.token({}, { place: [0, 3] });
  assert.equal(await code(here), "allowed");
  await copyIn(await kv(), "list:");
  issuer.revoke(0, 3);
  await again();
  await cron();
  const { copy } = await copyIn(await kv(), "list:");
  assert.ok(copy.until > Date.now() / 1000 + 80_000);
  const asked = issuer.requests.length;
  await again();
  assert.deepEqual([await code(here), issuer.requests.length], ["token_revoked", asked]);
});

test("a push makes the gate fetch at once, and is answered before that", async (t) => {
  const { code, issuer, push, kv } = await edge(t, { ...KV, policy: { edgeKeys: { cache_duration: "300s" }, statusList: { max_age: "300s", max_stale: "600s" } } });
  issuer.maxAge = 300;
  issuer.revoke(0, 7);
  const here = await issuer.token({}, { place: [0, 3] });
  assert.equal(await code(here), "allowed");
  await sleep(1_100);
  issuer.revoke(0, 3);
  assert.equal(await code(here), "allowed");
  const release = issuer.hold();
  assert.deepEqual(await push(await issuer.push()), [204, ""]);
  release();
  await until("the refusal", async () => (await code(here)) === "token_revoked");
  await until("KV", async () => {
    const { keys } = await (await kv()).list();
    return keys.length === 2;
  });
});

test("of many pushes, right or wrong, one a second makes for fetches", async (t) => {
  const { code, issuer, push } = await edge(t);
  issuer.revoke(0, 7);
  assert.equal(await code(await issuer.token({}, { place: [0, 3] })), "allowed");
  await sleep(1_100);
  const before = issuer.requests.length;
  const start = Date.now();
  const [right, wrong] = [await issuer.push(), await issuer.push({ by: issuer.sig })];
  const answers = await Promise.all(Array.from({ length: 40 }, (_, index) => push(index % 2 ? right : wrong)));
  assert.deepEqual(answers, Array.from({ length: 40 }, (_, index) => (index % 2 ? [204, ""] : [401, ""])));
  await sleep(300);
  const seconds = Math.ceil((Date.now() - start) / 1000);
  const most = 2 * (seconds + 1);
  assert.ok(issuer.requests.length - before <= most, `${issuer.requests.length - before} fetches in ${seconds} s`);
  assert.ok(issuer.requests.length > before);
});

test("what is no push of the issuer for this edge and of now is refused, without a word", async (t) => {
  const { code, issuer, push, ask } = await edge(t);
  assert.equal(await code(await issuer.token()), "allowed");
  await sleep(1_100);
  const asked = issuer.requests.length;
  for (const token of [
    undefined, "", "x", await issuer.token(), await issuer.push({ aud: "another" }), await issuer.push({ by: issuer.enc }).catch(() => "x"),
    await issuer.push({ iat: issuer.now() - 600 }), await issuer.push({ iat: issuer.now() + 600 }),
    await issuer.push({ typ: "postern-bundle+jwt" }), await issuer.bundle(), "x".repeat(20_000).slice(0, 8_000),
  ]) {
    assert.deepEqual(await push(token), [401, ""], token);
  }
  for (const method of ["GET", "PUT", "DELETE"]) {
    const response = await ask(PUSH_PATH, { method, headers: bearer(await issuer.push()) });
    assert.deepEqual([response.status, response.headers.get("allow"), await response.text()], [405, "POST", ""]);
  }
  await sleep(200);
  assert.equal(issuer.requests.length, asked);
  assert.deepEqual(await push(await issuer.push(), { body: "x".repeat(1_000_000) }), [204, ""], "of the body nothing is read");
});

test("without a credential there is no place for pushes: the request goes the ordinary way", async (t) => {
  const { ask } = await world(t);
  const response = await ask(PUSH_PATH, { method: "POST" });
  assert.deepEqual([response.status, (await response.json()).code], [403, "no_matching_rule"]);
});

test("isolates are one process to the issuer, and tell late what they hold: when all of them must", async (t) => {
  const { code, issuer, again, clock } = await edge(t);
  const token = await issuer.token();
  const claims = () => issuer.requests.at(-1).claims;
  assert.equal(await code(token), "allowed");
  for (const ahead of [6, 12]) {
    const asked = issuer.requests.length;
    await clock(ahead);
    assert.equal(await code(token), "allowed");
    await until("a poll", () => issuer.requests.length > asked);
    assert.deepEqual([claims().held, issuer.requests.at(-1).headers["if-none-match"]], [undefined, issuer.etag]);
  }
  const asked = issuer.requests.length;
  await clock(18);
  assert.equal(await code(token), "allowed");
  await until("a poll", () => issuer.requests.length > asked);
  assert.equal(claims().held, issuer.etag);
  await again();
  await clock(30);
  assert.equal(await code(token), "allowed");
  await until("a poll", () => issuer.requests.length > asked + 1);
  assert.equal(claims().held, undefined);
  assert.deepEqual(new Set(issuer.requests.map(({ claims }) => claims.instance)), new Set(["0000000000000000"]));
});
