// The libraries, each set up as its users would and for the same work: signature, `iss`, `aud` and
// `exp` are checked, the claims come back. A setup takes what the token is held to and returns
// `verify(token)`, which returns the claims or a promise of them, and throws or rejects otherwise.

import { createPublicKey, createSecretKey } from "node:crypto";

const SETUPS = {
  "postern verifySync": async ({ load, ...expected }) => {
    const verifier = await createPostern(load, expected);
    return (token) => verifier.verifySync(token).claims;
  },
  "postern verify": async ({ load, ...expected }) => {
    const verifier = await createPostern(load, expected);
    return async (token) => (await verifier.verify(token)).claims;
  },
  jose: async ({ load, jwk, issuer, audience }) => {
    const { createLocalJWKSet, jwtVerify } = await load("jose");
    // A set of keys has no secrets in jose; a CryptoKey is the fastest of what it takes instead.
    const key = jwk.kty === "oct" ? await hmacKey(jwk) : createLocalJWKSet({ keys: [jwk] });
    const options = { issuer, audience, algorithms: [jwk.alg] };
    return async (token) => (await jwtVerify(token, key, options)).payload;
  },
  jsonwebtoken: async ({ load, jwk, issuer, audience }) => {
    if (jwk.alg === "EdDSA") return undefined;
    const { default: jsonwebtoken } = await load("jsonwebtoken");
    const [key, options] = [keyObject(jwk), { issuer, audience, algorithms: [jwk.alg] }];
    return (token) => jsonwebtoken.verify(token, key, options);
  },
  "fast-jwt": (expected) => createFastJwt(expected, false),
  "fast-jwt cache": (expected) => createFastJwt(expected, true),
  "aws-jwt-verify": async ({ load, jwk, issuer, audience }) => {
    if (jwk.alg === "HS256") return undefined;
    const { JwtVerifier } = await load("aws-jwt-verify");
    const verifier = JwtVerifier.create({ issuer, audience, jwksUri: `${issuer}/keys` });
    verifier.cacheJwks({ keys: [jwk] });
    return (token) => verifier.verifySync(token);
  },
};

/** Who is measured, in the order of the table. */
export const NAMES = Object.keys(SETUPS);

/** The packages that they are in, besides ours. */
export const PEERS = ["aws-jwt-verify", "fast-jwt", "jose", "jsonwebtoken"];

/** Whether it is this repository's own package. */
export const isOurs = (name) => name.startsWith("postern");

/** Whether its `verify` returns promises. */
export const isAsync = (name) => name === "postern verify" || name === "jose";

/** `verify` of a library, or nothing where it lacks the algorithm. */
export const setUp = (name, expected) => SETUPS[name](expected);

async function createPostern(load, { jwk, issuer, audience }) {
  const { createVerifier } = await load("postern");
  return createVerifier({ issuer, audience, algorithms: [jwk.alg], jwks: { keys: [jwk] } });
}

async function createFastJwt({ load, jwk, issuer, audience }, cache) {
  const { createVerifier } = await load("fast-jwt");
  const key = keyObject(jwk);
  return createVerifier({
    key: jwk.kty === "oct" ? key.export() : key.export({ type: "spki", format: "pem" }),
    algorithms: [jwk.alg],
    allowedIss: issuer,
    allowedAud: audience,
    cache,
  });
}

function keyObject(jwk) {
  if (jwk.kty === "oct") return createSecretKey(Buffer.from(jwk.k, "base64url"));
  return createPublicKey({ key: jwk, format: "jwk" });
}

function hmacKey(jwk) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("jwk", { ...jwk, use: undefined }, algorithm, false, ["verify"]);
}
