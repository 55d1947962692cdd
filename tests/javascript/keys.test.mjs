import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import test from "node:test";

import { goodClaims, importInstalled, ISSUER, KeyServer, newKey } from "./package-under-test.mjs";

const { createVerifier, DenialError } = await importInstalled();
const [first, second] = [await newKey("ES256", "one"), await newKey("ES256", "two")];
const rejected = (code) => (error) => error instanceof DenialError && error.code === code;
process.on("unhandledRejection", (reason) => {
  throw reason;
});

/** A verifier at a key server of its own, both closed at the end of the test. */
async function stage(context, keys, more = {}) {
  const server = await KeyServer.start(keys);
  let now = Date.now();
  const updates = [];
  const verifier = await createVerifier(
    { issuer: ISSUER, audience: "shop", jwksUri: server.url, ...more },
    { clock: () => now, onKeyUpdate: (update) => updates.push(update) },
  );
  context.after(async () => {
    verifier.close();
    await server.stop();
  });
  return { server, verifier, updates, wait: (seconds) => (now += seconds * 1000) };
}

async function eventually(condition) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await condition()) return;
    await pause(10);
  }
  assert.fail(`not in five seconds: ${condition}`);
}

test("keys are fetched once, however many wait for them", async (context) => {
  const { server, verifier, updates } = await stage(context, [first]);
  const release = server.hold();
  const tokens = await Promise.all([1, 2, 3, 4, 5].map((sub) => first.sign(goodClaims({ sub: `${sub}` }))));
  const verified = Promise.all(tokens.map((token) => verifier.verify(token)));
  await eventually(() => server.requests.length > 0);
  assert.throws(() => verifier.verifySync(tokens[0]), rejected("keys_unavailable"));
  release();
  assert.deepEqual((await verified).map(({ claims }) => claims.sub), ["1", "2", "3", "4", "5"]);
  assert.equal(server.requests.length, 1);
  assert.match(server.requests[0].headers.accept, /application\/jwk-set\+json/);
  assert.deepEqual(updates.map(({ provider, keys }) => [provider, keys]), [["default", 1]]);
  assert.equal(verifier.verifySync(tokens[0]).claims.sub, "1");
});

test("ready waits for the keys, and says where they cannot be had", async (context) => {
  const { verifier } = await stage(context, [first]);
  await verifier.ready();
  assert.equal(verifier.verifySync(await first.sign(goodClaims())).claims.sub, "ada");
  const broken = await stage(context, [first]);
  broken.server.status = 500;
  await assert.rejects(broken.verifier.ready(), (error) => {
    assert.ok(rejected("keys_unavailable")(error));
    assert.match(error.message, /`default`.*500/);
    return true;
  });
});

test("an unknown kid is worth one more fetch, and no more for a while", async (context) => {
  const { server, verifier, wait } = await stage(context, [first]);
  await verifier.ready();
  server.keys = [first, second];
  wait(10);
  const token = await second.sign(goodClaims());
  assert.equal((await verifier.verify(token)).header.kid, "two");
  assert.equal(server.requests.length, 2);
  const strangers = await Promise.all(["x", "y", "z"].map((kid) => second.sign(goodClaims(), { kid })));
  for (const stranger of strangers) {
    await assert.rejects(verifier.verify(stranger), rejected("key_unknown"));
  }
  assert.equal(server.requests.length, 2);
  wait(10);
  await assert.rejects(verifier.verify(strangers[0]), rejected("key_unknown"));
  assert.equal(server.requests.length, 3);
});

test("a withdrawn key is refused as soon as the new set is there, known tokens too", async (context) => {
  const { server, verifier, wait } = await stage(context, [first, second]);
  const token = await first.sign(goodClaims());
  await verifier.verify(token);
  server.keys = [second];
  wait(290);
  // The set is due, and is fetched without anybody asking.
  await assert.rejects(verifier.verify(await second.sign(goodClaims(), { kid: "new" })), rejected("key_unknown"));
  await assert.rejects(verifier.verify(token), rejected("key_unknown"));
});

test("the last good keys serve through an outage, up to their limit", async (context) => {
  const { server, verifier, wait } = await stage(context, [first], { maxStaleSeconds: 1000 });
  await verifier.ready();
  server.status = 503;
  wait(900);
  const token = await first.sign(goodClaims());
  await verifier.verify(token);
  wait(1500);
  await assert.rejects(verifier.verify(token), (error) => {
    assert.ok(rejected("keys_unavailable")(error));
    assert.equal(error.status, 503);
    assert.ok(error.retryAfter >= 1, `retry after ${error.retryAfter}`);
    return true;
  });
  server.status = 200;
  wait(60);
  await verifier.verify(await first.sign(goodClaims({ exp: 9_999_999_999 })));
});

test("waiting ends when the signal says so, and the fetch goes on for the others", async (context) => {
  const { server, verifier } = await stage(context, [first]);
  const release = server.hold();
  const token = await first.sign(goodClaims());
  const controller = new AbortController();
  const given = verifier.verify(token, { signal: controller.signal });
  const other = verifier.verify(token);
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(given, (error) => error === reason);
  await assert.rejects(verifier.ready({ signal: AbortSignal.abort(reason) }), (error) => error === reason);
  release();
  assert.equal((await other).claims.sub, "ada");
  assert.equal(server.requests.length, 1);
});

test("an answer that is too long, no JWK Set, or elsewhere, brings no keys", async (context) => {
  for (const fail of [
    (server) => (server.keys = [{ jwk: { filler: "x".repeat(2_000_000) } }]),
    (server) => (server.keys = [{ jwk: 1 }]),
    (server) => Object.assign(server, { status: 302, headers: { location: "/elsewhere" } }),
  ]) {
    const { server, verifier, updates } = await stage(context, [first]);
    fail(server);
    await assert.rejects(verifier.ready(), rejected("keys_unavailable"));
    assert.ok(updates.length > 0 && updates.every(({ error }) => error !== undefined));
    assert.ok(server.requests.every(({ url }) => url === "/jwks.json"));
  }
});

test("a fetch that does not end is given up, whatever it makes of its signal", async () => {
  const policy = {
    providers: {
      p: { issuer: ISSUER, remote_jwks: { http_uri: { uri: "https://keys.example.com/", timeout: "0.2s" } } },
    },
    rules: [],
  };
  const verifier = await createVerifier(policy, { fetch: () => new Promise(() => {}) });
  await assert.rejects(verifier.ready(), rejected("keys_unavailable"));
  await assert.rejects(verifier.verify(await first.sign(goodClaims())), rejected("keys_unavailable"));
  verifier.close();
});

test("a verifier that its own fetch closes is closed", async () => {
  let verifier;
  const closes = async () => {
    await pause(1);
    verifier.close();
    throw new Error("closed");
  };
  verifier = await createVerifier({ issuer: ISSUER }, { fetch: (...request) => closes(...request) });
  await pause(50);
  await assert.rejects(verifier.verify(await first.sign(goodClaims())), /closed/);
});

test("closing ends what is waited for", async (context) => {
  const { server, verifier } = await stage(context, [first]);
  server.hold();
  const waiting = verifier.verify(await first.sign(goodClaims()));
  await eventually(() => server.requests.length === 1);
  verifier.close();
  await assert.rejects(waiting, /closed/);
});

test("what has not changed is not sent again", async (context) => {
  const { server, verifier, wait } = await stage(context, [first]);
  server.headers = { etag: '"one"' };
  await verifier.ready();
  wait(290);
  await assert.rejects(verifier.verify(await second.sign(goodClaims())), rejected("key_unknown"));
  assert.equal(server.requests.at(-1).headers["if-none-match"], '"one"');
});
