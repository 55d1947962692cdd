// Status lists in a page, of another origin: without a credential, and without a preflight.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EdgeIssuer } from "../javascript/edge.mjs";
import { required, withPage } from "./harness.mjs";

const PAGES = required("POSTERN_PAGES");

test("a page refuses who is revoked, by lists that it fetches as it does keys", async (t) => {
  const issuer = await EdgeIssuer.start("ES256");
  t.after(() => issuer.stop());
  issuer.revoke(0, 1);
  const keys = JSON.stringify({ keys: issuer.domainKeys.map(({ jwk }) => jwk) });
  const shop = { issuer: issuer.url, local_jwks: { inline_string: keys }, status_list: { max_age: "1s" } };
  const policy = { providers: { shop }, rules: [{ match: { prefix: "/" }, requires: { provider_name: "shop" } }] };
  const [here, gone] = [await issuer.token({}, { place: [0, 0] }), await issuer.token({}, { place: [0, 1] })];
  await withPage(async (page) => {
    // A document of the server itself: of a page that the test makes up, the browser would not know that it
    // is of this machine, and let it ask nobody on it.
    await page.goto(`${PAGES}/postern/package.json`);
    const codes = await page.evaluate(async ({ policy, tokens }) => {
      const { createVerifier } = await import("/postern/browser.mjs");
      globalThis.verifier = await createVerifier(policy);
      globalThis.code = (token) => verifier.verify(token).then(() => "allowed", ({ code }) => code);
      return Promise.all(tokens.map((token) => code(token)));
    }, { policy, tokens: [here, gone] });
    assert.deepEqual(codes, ["allowed", "token_revoked"]);
    issuer.revoke(0, 0);
    const outcome = await page.evaluate(async (token) => {
      for (const end = Date.now() + 10_000; Date.now() < end; ) {
        const found = await code(token);
        if (found !== "allowed") return found;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return "allowed";
    }, here);
    assert.equal(outcome, "token_revoked");
  }, { expected: ["404"] }); // for the icon that a browser looks for
  assert.deepEqual(new Set(issuer.requests.map(({ method }) => method)), new Set(["GET"]));
  assert.ok(issuer.requests.slice(1).some(({ headers }) => headers["if-none-match"] !== undefined));
});
