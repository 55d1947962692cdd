import assert from "node:assert/strict";
import test from "node:test";

import { goodClaims, importInstalled, importTool, ISSUER, newKey } from "./package-under-test.mjs";

const { createVerifier } = await importInstalled();
const jose = await importTool("jose");
const ALGORITHMS = [
  "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
];

for (const alg of ALGORITHMS) {
  test(`what jose signs by ${alg} is verified, and what is wrong is refused by both`, async () => {
    const [key, other] = [await newKey(alg, "k1"), await newKey(alg, "k1")];
    const jwks = { keys: [key.jwk] };
    const verifier = await createVerifier({ issuer: ISSUER, audience: "shop", jwks });
    const keys = jose.createLocalJWKSet(jwks);
    const byJose = (token) => jose.jwtVerify(token, keys, { issuer: ISSUER, audience: "shop" });
    const good = await key.sign(goodClaims({ n: 1.5, deep: { a: [null, "é"] } }), { typ: "JWT" });
    const { claims, header } = await verifier.verify(good);
    const { payload, protectedHeader } = await byJose(good);
    assert.deepEqual({ claims: { ...claims }, header: { ...header } }, { claims: payload, header: { ...protectedHeader } });
    const [head, body, signature] = good.split(".");
    const flipped = Buffer.from(signature, "base64url");
    flipped[flipped.length >> 1] ^= 1;
    for (const wrong of [
      await other.sign(goodClaims()),
      await key.sign(goodClaims({ exp: 1 })),
      await key.sign(goodClaims({ aud: "blog" })),
      `${head}.${body}.${flipped.toString("base64url")}`,
      `${head}.${Buffer.from(JSON.stringify(goodClaims({ sub: "eve" }))).toString("base64url")}.${signature}`,
    ]) {
      await assert.rejects(verifier.verify(wrong));
      await assert.rejects(byJose(wrong));
    }
    verifier.close();
  });
}

test("what the issuer signs is verified by jose and by the package alike", async () => {
  const { POSTERN_TOKEN: token, POSTERN_ISSUER: issuer } = process.env;
  const verifier = await createVerifier({ issuer });
  const { claims } = await verifier.verify(token);
  const keys = jose.createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
  const { payload } = await jose.jwtVerify(token, keys, { issuer });
  assert.deepEqual({ ...claims }, payload);
  verifier.close();
});

test("what an HS256 domain signs is verified by jose and by the package with its exported secrets", async () => {
  const { POSTERN_SECRET_TOKEN: token, POSTERN_SECRET_ISSUER: issuer, POSTERN_SECRETS } = process.env;
  const jwks = JSON.parse(POSTERN_SECRETS);
  const { kid } = jose.decodeProtectedHeader(token);
  const key = await jose.importJWK(jwks.keys.find((key) => key.kid === kid));
  const rules = { issuer, audience: "vault", algorithms: ["HS256"] };
  const { payload } = await jose.jwtVerify(token, key, rules);
  const verifier = await createVerifier({ ...rules, jwks });
  const { claims } = await verifier.verify(token);
  assert.deepEqual({ ...claims }, payload);
  verifier.close();
  const other = await jose.importJWK(jwks.keys.find((key) => key.kid !== kid));
  await assert.rejects(jose.jwtVerify(token, other, rules));
});
