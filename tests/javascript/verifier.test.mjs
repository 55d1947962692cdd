import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { promisify } from "node:util";

import {
  goodClaims, importInstalled, importTool, ISSUER, newKey, project, requireFromProject,
} from "./package-under-test.mjs";

const { createVerifier, DenialError, PolicyError, Verifier } = await importInstalled();
const key = await newKey("ES256", "k1");
const options = { issuer: ISSUER, audience: "shop", jwks: { keys: [key.jwk] } };
const rejected = (code) => (error) => error instanceof DenialError && error.code === code;

test("a right token is verified, and what it says is frozen", async () => {
  const verifier = await createVerifier(options);
  assert.ok(verifier instanceof Verifier);
  const token = await key.sign(goodClaims({ deep: { list: [1, { x: 2 }] }, "ü": "é😀" }), { typ: "JWT" });
  const verified = await verifier.verify(token);
  assert.deepEqual(verified.header, { alg: "ES256", kid: "k1", typ: "JWT" });
  assert.equal(verified.claims.sub, "ada");
  assert.equal(verified.claims["ü"], "é😀");
  assert.equal(verified.provider, "default");
  assert.equal(verified.domain, undefined);
  assert.equal(verifier.verifySync(token), verified);
  for (const part of [verified, verified.claims, verified.claims.deep.list, verified.claims.deep.list[1]]) {
    assert.ok(Object.isFrozen(part));
  }
  assert.equal(verifier.counters.allowed, 2);
  assert.equal(verifier.counters.cache.hits, 1);
  verifier.close();
});

test("a wrong token is refused with its code, and the error holds nothing of it", async () => {
  const verifier = await createVerifier(options);
  const token = await key.sign(goodClaims());
  const other = await newKey("ES256", "k1");
  const now = Math.floor(Date.now() / 1000);
  const wrong = {
    token_malformed: "nqxzz.tqkzz",
    signature_invalid: await other.sign(goodClaims()),
    token_expired: await key.sign(goodClaims({ exp: now - 3600 })),
    audience_mismatch: await key.sign(goodClaims({ aud: "blog" })),
    issuer_unknown: await key.sign(goodClaims({ iss: "https://evil.example.com" })),
    token_too_large: `${token}${"A".repeat(20_000)}`,
    algorithm_unsupported: `${btoa('{"alg":"none"}').replaceAll("=", "")}.${token.split(".")[1]}.`,
  };
  for (const [code, text] of Object.entries(wrong)) {
    for (const attempt of [() => verifier.verify(text), async () => verifier.verifySync(text)]) {
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof DenialError && error instanceof Error);
        assert.equal(error.code, code);
        assert.equal(error.status, 401);
        assert.equal(error.name, "DenialError");
        const said = `${error.message}${error.stack}${JSON.stringify(error)}`;
        for (const part of text.split(".").filter((part) => part.length > 4)) assert.ok(!said.includes(part));
        return true;
      });
    }
  }
  verifier.close();
});

test("no token is a missing one, and what is no string is the caller's mistake", async () => {
  const verifier = await createVerifier(options);
  await assert.rejects(verifier.verify(undefined), rejected("token_missing"));
  assert.throws(() => verifier.verifySync(null), rejected("token_missing"));
  assert.throws(() => verifier.verifySync(42), TypeError);
  assert.throws(() => verifier.verifySync(Buffer.from("a.b.c")), TypeError);
  assert.throws(() => verifier.verifySync(""), rejected("token_malformed"));
  assert.throws(() => verifier.verifySync("é".repeat(9000)), rejected("token_too_large"));
  assert.throws(() => verifier.verifySync("\ud800"), rejected("token_malformed"));
  verifier.close();
});

test("a secret verifies HMACs and nothing else", async () => {
  const { SignJWT } = await importTool("jose");
  const secret = "a secret of at least thirty-two bytes";
  const bytes = new TextEncoder().encode(secret);
  const token = await new SignJWT(goodClaims()).setProtectedHeader({ alg: "HS256" }).sign(bytes);
  for (const form of [secret, bytes]) {
    const verifier = await createVerifier({ issuer: ISSUER, audience: "shop", secret: form });
    assert.equal((await verifier.verify(token)).claims.sub, "ada");
    await assert.rejects(verifier.verify(await key.sign(goodClaims())), rejected("algorithm_not_allowed"));
    verifier.close();
  }
  await assert.rejects(createVerifier({ issuer: ISSUER, secret: "short" }), PolicyError);
});

test("a wrong policy names its member", async () => {
  for (const [policy, message] of [
    [{ providers: {}, rulez: [] }, /^rulez: /],
    ["{", /./],
    [{ issuer: ISSUER, audiance: "shop" }, /^audiance: unknown option/],
    [{ issuer: ISSUER, jwksUri: "https://a.example/jwks", discovery: true }, /^discovery: .*`jwksUri`/],
    [{ issuer: ISSUER, cacheSeconds: "300" }, /^cacheSeconds: /],
    [{ issuer: ISSUER, clockSkewSeconds: -1 }, /clock_skew_seconds/],
    [{ issuer: ISSUER, algorithms: ["none"] }, /algorithms/],
    [undefined, /./],
    [{ issuer: ISSUER, audience: undefined }, /^audience: it is undefined/],
  ]) {
    await assert.rejects(createVerifier(policy), (error) => {
      assert.ok(error instanceof PolicyError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

test("time is the clock's", async () => {
  let now = 1_900_000_000;
  const verifier = await createVerifier({ ...options, clockSkewSeconds: 0 }, { clock: () => now * 1000 });
  const token = await key.sign(goodClaims({}, now));
  await verifier.verify(token);
  now += 3600;
  await assert.rejects(verifier.verify(token), rejected("token_expired"));
  now = NaN;
  await assert.rejects(verifier.verify(token), rejected("keys_unavailable"));
  verifier.close();
});

test("a clock that verifies, or fails, harms nobody", async () => {
  const other = await key.sign(goodClaims({ sub: "alice" }));
  let inner;
  const verifier = await createVerifier(options, { clock: () => (inner?.(), Date.now()) });
  inner = () => {
    inner = undefined;
    verifier.verifySync(other);
  };
  assert.equal(verifier.verifySync(await key.sign(goodClaims())).claims.sub, "ada");
  inner = () => {
    throw new Error("no clock");
  };
  assert.throws(() => verifier.verifySync(other), rejected("keys_unavailable"));
  verifier.close();
});

test("a domain is told only where the provider has domains, and big tokens are not kept", async () => {
  const verifier = await createVerifier(options);
  const token = await key.sign(goodClaims());
  assert.equal((await verifier.verify(token, { domain: "acme" })).domain, undefined);
  const small = await createVerifier({
    providers: {
      p: { issuer: ISSUER, jwt_cache_config: { jwt_max_token_size: 10 }, local_jwks: { inline_string: JSON.stringify({ keys: [key.jwk] }) } },
    },
    rules: [],
  });
  const big = await key.sign(goodClaims({ filler: "x".repeat(10_000) }));
  const before = process.memoryUsage().heapUsed;
  for (let times = 0; times < 1000; times += 1) small.verifySync(big);
  assert.ok(process.memoryUsage().heapUsed - before < 100 * 1024 * 1024);
  verifier.close();
  small.close();
});

test("a closed verifier says so, and closing it twice is no harm", async () => {
  const verifier = await createVerifier(options);
  const token = await key.sign(goodClaims());
  verifier.close();
  verifier.close();
  await assert.rejects(verifier.verify(token), /closed/);
  assert.throws(() => verifier.verifySync(token), /closed/);
  await assert.rejects(verifier.decide({ url: "https://api.example.com/" }), /closed/);
});

test("many tokens and many verifiers do not mix", async () => {
  const other = await newKey("ES256", "k2");
  const blog = await createVerifier({ ...options, jwks: { keys: [other.jwk] } });
  const shop = await createVerifier(options);
  for (let index = 0; index < 300; index += 1) {
    const token = await key.sign(goodClaims({ sub: `user-${index}` }));
    assert.equal(shop.verifySync(token).claims.sub, `user-${index}`);
    assert.equal(shop.verifySync(token).claims.sub, `user-${index}`);
    assert.throws(() => blog.verifySync(token), rejected("key_unknown"));
  }
  shop.close();
  blog.close();
});

test("a whole request is decided on by the policy's rules", async () => {
  const policy = {
    providers: {
      shop: {
        issuer: ISSUER,
        local_jwks: { inline_string: JSON.stringify({ keys: [key.jwk] }) },
        from_headers: [{ name: "authorization", value_prefix: "Bearer " }],
        from_params: ["token"],
        claim_to_headers: [{ header_name: "x-user-id", claim_name: "sub" }],
      },
    },
    rules: [
      { match: { path: "/healthz" } },
      { match: { prefix: "/admin" }, requires: { provider_name: "shop" }, scopes: ["admin"] },
      { match: { prefix: "/" }, requires: { provider_name: "shop" } },
    ],
  };
  const verifier = await createVerifier(policy);
  const token = await key.sign(goodClaims({ sub: "José 😀" }));
  const open = await verifier.decide({ url: "https://api.example.com/healthz" });
  assert.deepEqual([open.verdict, open.tokens], ["allow", []]);
  const headers = { authorization: `Bearer ${token}`, "x-user-id": ["spoofed", "twice"] };
  const allowed = await verifier.decide({ url: "https://api.example.com/orders?a=b", headers });
  assert.equal(allowed.verdict, "allow");
  assert.deepEqual([...allowed.removeHeaders].sort(), ["authorization", "x-user-id"]);
  assert.deepEqual(allowed.setHeaders, [["x-user-id", Buffer.from("José 😀").toString("latin1")]]);
  assert.equal(allowed.tokens[0].claims.sub, "José 😀");
  assert.equal(allowed.tokens[0].provider, "shop");
  const refused = await verifier.decide({ url: "https://api.example.com/admin", headers: { authorization: `Bearer ${token}` } });
  assert.deepEqual([refused.verdict, refused.code, refused.status, refused.rule], ["deny", "insufficient_scope", 403, "1"]);
  const smuggled = await verifier.decide({ url: "https://api.example.com/", headers: { a: `x\nauthorization\nBearer ${token}` } });
  assert.equal(smuggled.code, "header_ambiguous");
  const query = await verifier.decide({ target: `/orders?token=${token}&a=b` });
  assert.equal(query.target, "/orders?a=b");
  await assert.rejects(verifier.decide({ url: "/orders" }), TypeError);
  // What a URL is made of must be read by everyone alike.
  for (const url of ["https://api.example.com\\admin\\x/healthz", "https://admin@x/healthz", "https:///healthz"]) {
    assert.equal((await verifier.decide({ url })).code, "header_ambiguous", url);
  }
  for (const host of ["x/healthz?", "x/healthz#", "x@y/healthz?"]) {
    const careless = await verifier.decide({ url: `http://${host}/admin`, headers: { host } });
    assert.equal(careless.code, "header_ambiguous", host);
  }
  verifier.close();
});

test("a request of the Fetch API goes on without its token, and its body flows", async () => {
  const verifier = await createVerifier({
    providers: {
      shop: {
        issuer: ISSUER,
        local_jwks: { inline_string: JSON.stringify({ keys: [key.jwk] }) },
        claim_to_headers: [{ header_name: "x-user-id", claim_name: "sub" }],
      },
    },
    rules: [{ match: { prefix: "/" }, requires: { provider_name: "shop" } }],
  });
  const authorization = `Bearer ${await key.sign(goodClaims())}`;
  let push;
  const body = new ReadableStream({ start: (controller) => (push = controller) });
  const request = new Request("https://api.example.com/orders?a=b", {
    method: "POST", body, duplex: "half", headers: { authorization, "x-user-id": "spoofed", accept: "text/plain" },
  });
  const passage = await verifier.handle(request);
  assert.ok(passage.allowed);
  assert.equal(passage.request.url, "https://api.example.com/orders?a=b");
  assert.equal(passage.request.method, "POST");
  assert.equal(passage.request.headers.get("authorization"), null);
  assert.equal(passage.request.headers.get("x-user-id"), "ada");
  assert.equal(passage.request.headers.get("accept"), "text/plain");
  const reader = passage.request.body.getReader();
  push.enqueue(new Uint8Array([1]));
  assert.deepEqual([...(await reader.read()).value], [1]);
  push.close();
  const refused = await verifier.handle(new Request("https://api.example.com/orders"));
  assert.equal(refused.allowed, false);
  assert.equal(refused.code, "token_missing");
  assert.equal(refused.response.status, 401);
  assert.match(refused.response.headers.get("www-authenticate"), /^Bearer/);
  assert.equal((await refused.response.json()).code, "token_missing");
  verifier.close();
});

test("CommonJS has the same, and neither a forgotten verifier nor its timers keep a process alive", async () => {
  const { createVerifier: createByRequire } = requireFromProject("postern");
  const verifier = await createByRequire(options);
  assert.equal((await verifier.verify(await key.sign(goodClaims()))).claims.sub, "ada");
  verifier.close();
  const script = join(project, "forgotten.cjs");
  writeFileSync(script, `
    const { createVerifier } = require("postern");
    const issuer = "http://127.0.0.1:9/shop";
    process.on("unhandledRejection", () => process.exit(3));
    createVerifier({ issuer }).then(async (verifier) => {
      const [code] = await Promise.allSettled([verifier.verify("e30.e30.e30")]);
      process.stdout.write(code.reason.code);
    });`);
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 20_000 });
  assert.equal(stdout, "header_malformed");
});
