// What the Worker tells of requests, which is never a token; and the policy that it reads from KV.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";

import { bearer, policy, sign, token, until, world } from "./world.mjs";

/** An Analytics Engine dataset that tells what was written. */
const DATASET = `
const points = [];
test.env = { POSTERN_ANALYTICS: { writeDataPoint: (point) => points.push(point) } };
test.answer = () => points;`;

/** The parts of a token, and what else nobody may read in a log. */
const secrets = (text) => [...text.split(".").filter((part) => part.length > 8), "secret-query", "secret-cookie"];

const { privateKey: SPARE } = generateKeyPairSync("ed25519");
const expired = () => token("a", { exp: 1_000_000_000 });
const foreign = () => token("a", { iss: "https://another.test/" });
const broken = () => `${token().slice(0, -4)}AAAA`;
const unsigned = () => [...sign({ alg: "none" }, { iss: "https://issuer.test/" }, null, SPARE).split(".").slice(0, 2), ""].join(".");

const DENIALS = [
  ["token_missing", ""],
  ["token_malformed", "secret-query.secret-cookie.x"],
  ["algorithm_unsupported", unsigned()],
  ["signature_invalid", broken()],
  ["token_expired", expired()],
  ["issuer_unknown", foreign()],
  ["key_unknown", token("nobody")],
  ["expiration_missing", token("a", { exp: undefined })],
  ["token_not_yet_valid", token("a", { nbf: 4_000_000_000 })],
  ["time_claim_invalid", token("a", { exp: "secret-query" })],
  ["key_binding_required", token("a", { cnf: { jkt: "secret-query" } })],
  ["claims_malformed", sign({ alg: "ES256", kid: "a" }, ["secret-query"], null, SPARE)],
];
/** Refusals that are not of a token, or of two. */
const OTHERS = [
  ["no_matching_rule", "/nowhere?x=secret-query"],
  ["multiple_tokens", `/api/a?x=secret-query&access_token=${token()}`],
  ["path_ambiguous", "/api%2fa?x=secret-query"],
];
const WAYS = [
  ["a header", (text) => ["/api/a?x=secret-query", { authorization: `Bearer ${text}`, cookie: "c=secret-cookie" }]],
  ["the query", (text) => [`/api/a?x=secret-query&access_token=${text}`, { cookie: "c=secret-cookie" }]],
  ["a cookie", (text) => ["/api/a?x=secret-query", { cookie: `c=secret-cookie; session=${text}` }]],
];

test("no denial tells of a token, a cookie or a query, in the log or in counts", async (t) => {
  const { ask, log, told, control, clock } = await world(t, { front: DATASET });
  const codes = [];
  for (const [code, text] of DENIALS) {
    for (const [way, request] of WAYS) {
      if (text === "" && way !== "a header") continue;
      const [path, headers] = request(text);
      if (text === "") delete headers.authorization;
      const response = await ask(path, { headers });
      const answer = await response.text();
      codes.push(JSON.parse(answer).code);
      assert.equal(codes.at(-1), code, `${way} ${answer}`);
      for (const secret of secrets(text)) assert.ok(!answer.includes(secret), `${answer} has ${secret}`);
    }
  }
  for (const [code, path] of OTHERS) {
    const response = await ask(path, { headers: { ...bearer(), cookie: "c=secret-cookie" } });
    codes.push((await response.json()).code);
    assert.equal(codes.at(-1), code);
  }
  const lines = await until("the last line", () => told("denied").length === codes.length && told("denied"));
  assert.deepEqual(lines.map(({ code }) => code), codes);
  assert.ok(lines.every(({ path }) => !path.includes("?")));
  await clock(60);
  await ask("/open");
  const points = JSON.stringify(await control({}));
  for (const [code] of DENIALS) assert.ok(points.includes(code), `${points} lacks ${code}`);
  for (const text of [...DENIALS.map(([, text]) => text), OTHERS[1][1].split("access_token=")[1]]) {
    for (const secret of secrets(text)) assert.ok(!log().includes(secret) && !points.includes(secret), secret);
  }
});

test("counts are by provider and verdict", async (t) => {
  const { ask, status, control, clock } = await world(t, { front: DATASET });
  for (const text of [token(), token(), expired()]) await status(text);
  await ask("/open");
  await clock(60);
  await ask("/open");
  const count = (await control({})).reduce((sums, { indexes, blobs, doubles }) => {
    assert.equal(indexes[0], blobs[0]);
    return { ...sums, [blobs.join(" ")]: (sums[blobs.join(" ")] ?? 0) + doubles[0] };
  }, {});
  assert.deepEqual(count, { "shop allowed": 2, "shop token_expired": 1 });
});

test("a dataset that throws fails no request", async (t) => {
  const front = `test.env = { POSTERN_ANALYTICS: { writeDataPoint() { throw new Error("full"); } } };`;
  const { status } = await world(t, { front });
  assert.deepEqual([await status(), await status()], [200, 200]);
});

test("Miniflare's dataset is one, too", async (t) => {
  const analyticsEngineDatasets = { POSTERN_ANALYTICS: { dataset: "postern" } };
  const { status, told } = await world(t, { analyticsEngineDatasets });
  assert.deepEqual([await status(), await status(expired()), told("error")], [200, 401, []]);
});

test("another policy in KV is in force after a while, and one that is wrong never", async (t) => {
  const bindings = { POSTERN_POLICY_FROM: "kv" };
  const { gate, ask, issuer, clock, told } = await world(t, { bindings, kvNamespaces: ["POSTERN_KV"] });
  const kv = await gate.getKVNamespace("POSTERN_KV");
  const first = policy(issuer.url);
  await kv.put("policy", JSON.stringify(first));
  const asked = async (path) => (await ask(path, { headers: bearer() })).status;
  assert.deepEqual([await asked("/api/a"), await asked("/more")], [200, 403]);
  const rules = [...first.rules, { match: { path: "/more" }, requires: { provider_name: "shop" } }];
  await kv.put("policy", JSON.stringify({ ...first, rules }));
  assert.equal(await asked("/more"), 403, "not yet");
  await clock(61);
  await until("the other policy", async () => (await asked("/more")) === 200);
  const fetches = issuer.asked;
  for (const wrong of [JSON.stringify({ rules: [{ match: { prefx: "/" } }] }), "{"]) {
    const before = told("error").length;
    await kv.put("policy", wrong);
    await clock(200 + before * 100);
    await until("the error", async () => (await asked("/more")) === 200 && told("error").length > before);
    assert.equal(told("error")[before].what, "policy");
  }
  assert.match(told("error")[0].reason, /policy: rules\[0\]\.match\.prefx/);
  await kv.delete("policy");
  await clock(500);
  await until("the error", async () => (await asked("/more")) === 200 && told("error").length > 2);
  assert.match(told("error")[2].reason, /POSTERN_KV: it has no `policy`/);
  assert.ok(issuer.asked <= fetches + 2);
});
