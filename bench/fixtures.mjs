// Writes `fixtures.json`: a token of each algorithm and the public keys that check them. The
// private keys are forgotten. `node bench/fixtures.mjs` from anywhere; needed only to change them.

import { createHmac, generateKeyPairSync, randomBytes, randomUUID, sign } from "node:crypto";
import { writeFileSync } from "node:fs";

const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = (namedCurve) => () => generateKeyPairSync("ec", { namedCurve });
const pss = { padding: 6 /* RSA_PKCS1_PSS_PADDING */, saltLength: 32 };
const p1363 = { dsaEncoding: "ieee-p1363" };

const ALGORITHMS = {
  ES256: [ec("P-256"), "sha256", p1363],
  ES384: [ec("P-384"), "sha384", p1363],
  ES512: [ec("P-521"), "sha512", p1363],
  RS256: [rsa, "sha256", {}],
  PS256: [rsa, "sha256", pss],
  EdDSA: [() => generateKeyPairSync("ed25519"), null, {}],
};

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const claims = {
  iss: "https://auth.example.com/shop",
  sub: randomUUID(),
  aud: "shop",
  iat: 1_800_000_000,
  exp: 4_102_444_800, // 2100-01-01
  jti: randomUUID(),
  scope: "orders:read orders:write profile",
  sid: randomUUID(),
};

const tokens = {};
const keys = [];
const text = (alg) => `${encode({ alg, kid: alg, typ: "at+jwt" })}.${encode(claims)}`;
for (const [alg, [generate, hash, options]] of Object.entries(ALGORITHMS)) {
  const { publicKey, privateKey } = generate();
  const signature = sign(hash, Buffer.from(text(alg)), { key: privateKey, ...options });
  tokens[alg] = `${text(alg)}.${signature.toString("base64url")}`;
  keys.push({ ...publicKey.export({ format: "jwk" }), kid: alg, alg, use: "sig" });
}
const secret = randomBytes(32);
const mac = createHmac("sha256", secret).update(text("HS256")).digest("base64url");
tokens.HS256 = `${text("HS256")}.${mac}`;
keys.push({ kty: "oct", k: secret.toString("base64url"), kid: "HS256", alg: "HS256" });

const fixtures = { issuer: claims.iss, audience: claims.aud, now: claims.iat + 1, tokens, keys };
const place = new URL("fixtures.json", import.meta.url);
writeFileSync(place, `${JSON.stringify(fixtures, null, 2)}\n`);
