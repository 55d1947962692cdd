// The installed package as an enrolled edge, in Node, against an issuer that makes everything with jose.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import test from "node:test";
import { inspect } from "node:util";

import { EdgeIssuer } from "./edge.mjs";
import { importInstalled } from "./package-under-test.mjs";

const { createVerifier, CredentialError, DenialError, PolicyError } = await importInstalled();
const rejected = (code) => (error) => error instanceof DenialError && error.code === code;

/** A verifier that is enrolled at an issuer of its own; both have the same clock. */
async function stage(context, { alg, policy = {}, edge = (credential) => credential, ...options } = {}) {
  const issuer = await EdgeIssuer.start(alg);
  const updates = [];
  const verifier = await createVerifier(issuer.policy(policy), {
    edge: edge(issuer.credential),
    clock: () => Date.now() + issuer.ahead * 1000,
    onKeyUpdate: (update) => updates.push(update),
    ...options,
  });
  context.after(async () => {
    verifier.close();
    await issuer.stop();
  });
  const code = (token) => verifier.verify(token).then(() => "allowed", ({ code }) => code);
  return { issuer, verifier, updates, code };
}

async function eventually(condition) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await condition()) return;
    await pause(10);
  }
  assert.fail(`not in five seconds: ${condition}`);
}

for (const [what, edge] of [
  ["an object", (credential) => credential],
  ["its JSON", (credential) => JSON.stringify(credential)],
  ["an array", (credential) => [credential]],
  ["the JSON of an array", (credential) => JSON.stringify([credential])],
]) {
  test(`the secrets of an HS256 domain come in a bundle, with the credential as ${what}`, async (context) => {
    const { issuer, verifier, updates, code } = await stage(context, { edge });
    const token = await issuer.token();
    assert.equal((await verifier.verify(token)).claims.sub, "ada");
    assert.equal(await code(`${token.slice(0, -6)}AAAAAA`), "signature_invalid");
    const [{ headers, claims }] = issuer.requests;
    assert.deepEqual([headers.accept, claims.sub, claims.aud], ["application/jose", issuer.edge, issuer.url]);
    const secrets = [headers.authorization.split(" ")[1], ...issuer.credential.keys.map(({ d }) => d), issuer.domainKeys[0].jwk.k];
    const said = inspect([updates, verifier, verifier.counters], { depth: 9, showHidden: true });
    for (const secret of secrets) assert.ok(!said.includes(secret));
    assert.deepEqual(updates.map(({ provider, statusList, keys }) => [provider, statusList, keys]), [["shop", null, 1]]);
  });
}

test("a credential that cannot be used is named by its member, and never quoted", async () => {
  const issuer = await EdgeIssuer.start();
  const policy = issuer.policy();
  const { keys: [sig, enc], ...rest } = issuer.credential;
  const circular = {};
  circular.self = circular;
  for (const [edge, says] of [
    ["{", /^edge: /],
    [{ ...rest, keys: [sig, { ...enc, d: undefined }] }, /^edge: keys\[1\]: missing field `d`/],
    [[issuer.credential, { ...issuer.credential, edge: "secret" }], /^edge: \[1\]\.edge: /],
    [7, /^edge: /],
    [null, /^edge: /],
    [circular, /^edge: /],
  ]) {
    await assert.rejects(createVerifier(policy, { edge }), (error) => {
      assert.ok(error instanceof CredentialError, error);
      assert.equal(error.name, "CredentialError");
      assert.match(error.message, says);
      for (const secret of [sig.d, enc.d, "secret"]) assert.ok(!inspect(error).includes(secret));
      return true;
    });
  }
  await assert.rejects(createVerifier(policy), (error) => {
    assert.ok(error instanceof PolicyError);
    assert.match(error.message, /^providers\.shop\.edge_keys: /);
    return true;
  });
  await issuer.stop();
});

test("what is not the issuer's bundle, or of the past, changes nothing and is counted", async (context) => {
  const { issuer, verifier, code } = await stage(context);
  const token = await issuer.token();
  issuer.seq = 5;
  assert.equal(await code(token), "allowed");
  const stranger = await EdgeIssuer.start();
  const forgeries = [
    () => "garbage",
    () => issuer.bundle({ seq: 4 }),
    () => issuer.bundle({ aud: "another" }),
    () => issuer.bundle({ iss: "https://other.example.com/shop" }),
    () => issuer.bundle({ by: stranger.own }),
    () => issuer.bundle({ to: stranger.enc }),
    () => issuer.bundle({ iat: issuer.now() - 90_000, exp: issuer.now() - 3_600 }),
  ];
  for (const [index, forge] of forgeries.entries()) {
    issuer.forge = forge;
    issuer.seq += 1; // so that what is held is not the same by its ETag
    const asked = issuer.asked("/edge/keys");
    issuer.ahead += 60;
    assert.equal(await code(token), "allowed");
    await eventually(() => issuer.asked("/edge/keys") > asked);
    await eventually(() => verifier.counters.bundlesRefused > index);
    assert.equal(await code(token), "allowed");
  }
  await stranger.stop();
});

test("a revoked session is refused within max_age, known tokens too, and lists are told of", async (context) => {
  const { issuer, updates, code } = await stage(context);
  issuer.revoke(3, 100);
  const [here, gone] = [await issuer.token({}, { place: [3, 99] }), await issuer.token({}, { place: [3, 100] })];
  assert.deepEqual([await code(here), await code(gone)], ["allowed", "token_revoked"]);
  assert.deepEqual(updates.at(-1), { provider: "shop", domain: null, statusList: issuer.listUrl(3), keys: 1, skipped: [] });
  issuer.revoke(3, 99);
  issuer.ahead += 5.5;
  await eventually(async () => (await code(here)) === "token_revoked");
  const { headers } = issuer.requests.find(({ url }) => url.includes("status-lists"));
  assert.equal(headers.authorization, undefined);
});

test("lists need no credential, and go with every source of keys", async (context) => {
  const issuer = await EdgeIssuer.start("ES256");
  context.after(() => issuer.stop());
  issuer.revoke(0, 1);
  const keys = { keys: issuer.domainKeys.map(({ jwk }) => jwk) };
  const provider = { issuer: issuer.url, local_jwks: { inline_string: JSON.stringify(keys) }, status_list: {} };
  const rules = [{ match: { prefix: "/" }, requires: { provider_name: "shop" } }];
  const verifier = await createVerifier({ providers: { shop: provider }, rules });
  context.after(() => verifier.close());
  await verifier.verify(await issuer.token({}, { place: [0, 0] }));
  await assert.rejects(verifier.verify(await issuer.token({}, { place: [0, 1] })), rejected("token_revoked"));
  await assert.rejects(verifier.verify(await issuer.token()), rejected("status_missing"));
  const elsewhere = { status: { status_list: { idx: 0, uri: "http://127.0.0.1:9/status-lists/0" } } };
  await assert.rejects(verifier.verify(await issuer.token(elsewhere)), DenialError);
});

for (const [when, outcome] of [["deny", "status_unavailable"], ["allow", "allowed"]]) {
  test(`after max_stale without the list, the policy says: ${when}`, async (context) => {
    const policy = { statusList: { when_stale: when, max_stale: "20s" } };
    const { issuer, verifier, code } = await stage(context, { policy });
    issuer.revoke(0, 1);
    const here = await issuer.token({}, { place: [0, 0] });
    assert.equal(await code(here), "allowed");
    issuer.listStatus = 500;
    issuer.ahead += 10;
    assert.equal(await code(here), "allowed");
    issuer.ahead += 20;
    await eventually(async () => (await code(here)) === outcome);
    if (outcome === "allowed") assert.ok(verifier.counters.staleStatus > 0);
    else {
      await assert.rejects(verifier.verify(here), (error) => error.status === 503 && error.retryAfter >= 1);
    }
  });
}

test("a list that is rolled back is refused and counted", async (context) => {
  const { issuer, verifier, code } = await stage(context);
  issuer.revoke(0, 1);
  const gone = await issuer.token({}, { place: [0, 1] });
  assert.equal(await code(gone), "token_revoked");
  issuer.forgeList = async (number) => {
    const { revoked } = issuer.lists.get(number);
    issuer.lists.set(number, { revoked: new Map() });
    const list = await issuer.list(number, { iat: issuer.now() - 200 });
    issuer.lists.set(number, { revoked });
    return list;
  };
  issuer.listEpoch = 2;
  issuer.ahead += 5.5;
  assert.equal(await code(gone), "token_revoked");
  await eventually(() => verifier.counters.listsRefused > 0);
  assert.equal(await code(gone), "token_revoked");
});

test("push takes the issuer's word, and no one else's", async (context) => {
  const long = { edgeKeys: { cache_duration: "300s" }, statusList: { max_age: "300s", max_stale: "600s" } };
  const { issuer, verifier, code } = await stage(context, { policy: long });
  issuer.maxAge = 300;
  issuer.revoke(0, 1);
  const here = await issuer.token({}, { place: [0, 0] });
  assert.equal(await code(here), "allowed");
  const stranger = await EdgeIssuer.start();
  for (const wrong of [
    "", "x", undefined, "x".repeat(100_000), here, await issuer.push({ aud: "another" }), await stranger.push(),
    await issuer.push({ iat: issuer.now() - 600 }), `Bearer ${await issuer.push()}`,
  ]) {
    assert.equal(await verifier.push(wrong), false);
  }
  await stranger.stop();
  issuer.revoke(0, 0);
  const asked = issuer.requests.length;
  assert.equal(await code(here), "allowed");
  const server = createServer(async ({ headers }, response) => {
    response.writeHead((await verifier.push(headers.authorization?.replace(/^Bearer /, "") ?? "")) ? 204 : 401).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const push = async (token) => (await fetch(`http://127.0.0.1:${server.address().port}`, { method: "POST", headers: { authorization: `Bearer ${token}` } })).status;
  assert.deepEqual([await push(await issuer.push()), await push("x")], [204, 401]);
  await eventually(async () => (await code(here)) === "token_revoked");
  const again = await issuer.push();
  for (let pushes = 0; pushes < 50; pushes += 1) assert.equal(await verifier.push(again), true);
  await pause(1_300);
  assert.ok(issuer.requests.length - asked <= 4, `${issuer.requests.length - asked} fetches`);
  server.close();
});

test("a verifier tells the issuer which process it is and what it holds", async (context) => {
  const { issuer, code } = await stage(context);
  const token = await issuer.token();
  assert.equal(await code(token), "allowed");
  issuer.ahead += 5;
  await code(token);
  await eventually(() => issuer.requests.length > 1);
  const [first, second] = issuer.requests.map(({ claims }) => claims);
  assert.deepEqual([first.held, second.held], [undefined, issuer.etag]);
  assert.equal(first.instance, second.instance);
  assert.notEqual(first.instance, "0000000000000000");
});
