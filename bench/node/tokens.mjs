// Keys, and as many tokens as are wanted, each of them another one.

import { createHmac, generateKeyPairSync, randomBytes, randomUUID, sign } from "node:crypto";

export const ISSUER = "https://auth.example.com/shop";
export const AUDIENCE = "shop";
export const ALGORITHMS = ["HS256", "RS256", "ES256", "EdDSA"];

const KINDS = {
  RS256: [() => generateKeyPairSync("rsa", { modulusLength: 2048 }), "sha256", {}],
  ES256: [
    () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
    "sha256",
    { dsaEncoding: "ieee-p1363" },
  ],
  EdDSA: [() => generateKeyPairSync("ed25519"), null, {}],
};

/** A fresh key: `jwk` checks what `sign(claims)` makes of the claims that differ from the usual. */
export function createSigner(alg) {
  const { jwk, signText } = alg === "HS256" ? createSecret() : createPair(KINDS[alg]);
  const header = encode({ alg, kid: alg, typ: "JWT" });
  return {
    jwk: { ...jwk, kid: alg, alg, use: "sig" },
    sign: (claims) => {
      const text = `${header}.${encode({ ...usualClaims(), ...claims })}`;
      return `${text}.${signText(Buffer.from(text)).toString("base64url")}`;
    },
  };
}

function createSecret() {
  const secret = randomBytes(32);
  return {
    jwk: { kty: "oct", k: secret.toString("base64url") },
    signText: (text) => createHmac("sha256", secret).update(text).digest(),
  };
}

function createPair([generate, hash, options]) {
  const { publicKey, privateKey } = generate();
  return {
    jwk: publicKey.export({ format: "jwk" }),
    signText: (text) => sign(hash, text, { key: privateKey, ...options }),
  };
}

function usualClaims() {
  return {
    iss: ISSUER,
    sub: randomUUID(),
    aud: AUDIENCE,
    iat: 1_700_000_000,
    exp: 4_102_444_800, // 2100-01-01
    jti: randomUUID(),
    scope: "orders:read orders:write profile",
    sid: randomUUID(),
  };
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}
