// Who checks signatures: workerd's own `node:crypto`, and Wasm where there is none.

import assert from "node:assert/strict";
import crypto from "node:crypto";
import { test } from "node:test";

import { sign, world } from "./world.mjs";

const { RSA_PKCS1_PSS_PADDING: padding } = crypto.constants;
const rsa = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const pss = (digest, saltLength) => [digest, rsa, { padding, saltLength }];
const curve = (digest, namedCurve) => [digest, crypto.generateKeyPairSync("ec", { namedCurve }), { dsaEncoding: "ieee-p1363" }];
const ALGORITHMS = {
  RS256: ["sha256", rsa], RS384: ["sha384", rsa], RS512: ["sha512", rsa],
  PS256: pss("sha256", 32), PS384: pss("sha384", 48), PS512: pss("sha512", 64),
  ES256: curve("sha256", "P-256"), ES384: curve("sha384", "P-384"), ES512: curve("sha512", "P-521"),
  EdDSA: [null, crypto.generateKeyPairSync("ed25519")],
};

const jwk = (alg) => ({ ...ALGORITHMS[alg][1].publicKey.export({ format: "jwk" }), kid: alg, alg, use: "sig" });

function token(alg, sub) {
  const [digest, { privateKey: key }, how] = ALGORITHMS[alg];
  const claims = { iss: "https://issuer.test/", sub, exp: Math.floor(Date.now() / 1000) + 300 };
  return sign({ alg, kid: alg }, claims, digest, { key, ...how });
}

/** Of one token, the signature; of the other, all the rest. */
const forged = (alg) => [...token(alg, "mallory").split(".").slice(0, 2), token(alg, "ada").split(".")[2]].join(".");

/** Counts the answers of `node:crypto`. */
const SPY = `
const real = process.getBuiltinModule("node:crypto");
const asked = { right: 0, wrong: 0 };
const note = (verdict) => ((asked[verdict ? "right" : "wrong"] += 1), verdict);
process.getBuiltinModule = () => ({
  createPublicKey: (...words) => real.createPublicKey(...words),
  verify: (...words) => note(real.verify(...words)),
  createVerify: (...words) => {
    const inner = real.createVerify(...words);
    return { update: (message) => inner.update(message), verify: (...rest) => note(inner.verify(...rest)) };
  },
});
test.answer = () => asked;`;

async function gate(context, options) {
  const { issuer, ...rest } = await world(context, options);
  Object.assign(issuer, { kids: Object.keys(ALGORITHMS), jwk });
  return rest;
}

for (const alg of Object.keys(ALGORITHMS)) {
  test(`${alg} is checked by node:crypto alone`, async (t) => {
    const { status, control, told } = await gate(t, { front: SPY });
    assert.equal(await status(token(alg, "ada")), 200);
    const before = await control({});
    assert.equal(await status(token(alg, "grace")), 200);
    assert.deepEqual(await control({}), { ...before, right: before.right + 1 });
    assert.equal(await status(forged(alg)), 401);
    assert.deepEqual(await control({}), { right: before.right + 1, wrong: before.wrong + 1 });
    assert.deepEqual(told("warning"), []);
  });
}

test("without node:crypto, Wasm gives the same verdicts", async (t) => {
  const { status } = await gate(t, { compatibilityFlags: ["no_nodejs_compat", "no_nodejs_compat_v2"] });
  for (const alg of Object.keys(ALGORITHMS)) {
    assert.deepEqual([await status(token(alg, "ada")), await status(forged(alg))], [200, 401], alg);
  }
});

test("a node:crypto that answers wrong is not believed, and the log says so", async (t) => {
  const front = `process.getBuiltinModule = () => ({ createPublicKey: () => ({}), verify: () => true });`;
  const { status, told } = await gate(t, { front });
  assert.deepEqual([await status(token("ES256", "ada")), await status(forged("ES256"))], [200, 401]);
  assert.match(told("warning")[0].reason, /node:crypto is not asked to check signatures: ES256/);
});
