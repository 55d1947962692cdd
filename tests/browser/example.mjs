// The browser example as a user sees it, in Chromium, at the real issuer.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";

import { required, withPage } from "./harness.mjs";

const PAGES = required("POSTERN_PAGES");
const ISSUER = required("POSTERN_ISSUER");
const PASSWORD = required("POSTERN_PASSWORD");
const KEYS = "**/.well-known/jwks.json";
const LIMIT = { timeout: 60_000 };

async function open(page, { issuer = ISSUER, domain = "shop", origin = PAGES } = {}) {
  await page.goto(`${origin}/?${new URLSearchParams({ issuer, domain })}`);
}

async function signIn(page, { username = "ada", password = PASSWORD, ...where } = {}) {
  await open(page, where);
  await page.getByLabel("User name").fill(username);
  await page.getByLabel("Password").fill(password);
  const [response] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith("/login"), LIMIT),
    page.getByRole("button", { name: "Sign in" }).click(),
  ]);
  return response.ok() ? (await response.json()).token : undefined;
}

/** Waits for a text in an element. */
const reads = (page, selector, text) =>
  page.locator(selector).filter({ hasText: text }).waitFor(LIMIT);

const verdict = (page, state) => page.locator(`#verdict[data-state=${state}]`).waitFor(LIMIT);

async function trouble(page) {
  await page.locator("#trouble:not(:empty)").waitFor(LIMIT);
  return page.locator("#trouble").textContent();
}

/** Everywhere that a page could leave something behind, and what it shows. */
const traces = (page) =>
  page.evaluate(async () => {
    const stores = [{ ...localStorage }, { ...sessionStorage }, history.state, document.cookie];
    const databases = await indexedDB.databases();
    const caches = await globalThis.caches.keys();
    const shown = document.documentElement.outerHTML;
    return { kept: JSON.stringify([stores, databases, caches]), address: location.href, shown };
  });

/** A port that was free a moment ago. */
async function closedPort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// Most of them wait most of the time: for a token to expire, say.
describe("the browser example", { concurrency: 4 }, () => {
  it("tells how long to wait after too many wrong passwords", () =>
    withPage(
      async (page) => {
        for (let attempt = 0; attempt < 10; attempt += 1) {
          const body = JSON.stringify({ domain: "shop", username: "bob", password: "wrong" });
          assert.equal((await fetch(`${ISSUER}/login`, { method: "POST", body })).status, 400);
        }
        await signIn(page, { username: "bob" });
        const told = await trouble(page);
        assert.match(told, /^Too many attempts\. Try again in \d minutes?( \d+ seconds?)?\.$/);
      },
      { expected: ["status of 429"] },
    ));

  it("refreshes by itself before the token expires, and verifies the new one", () =>
    withPage(async (page) => {
      const token = await signIn(page, { domain: "quick" });
      await verdict(page, "accepted");
      const { jti } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
      const denials = await page.evaluateHandle(() => {
        const seen = [];
        const verdict = document.getElementById("verdict");
        const watch = () => verdict.dataset.state === "refused" && seen.push(verdict.textContent);
        new MutationObserver(watch).observe(verdict, { attributes: true });
        return seen;
      });
      await reads(page, "#log", "Refreshed by itself: token 2");
      const { claims } = JSON.parse(await page.locator("#json").textContent());
      assert.notEqual(claims.jti, jti);
      await verdict(page, "accepted");
      assert.deepEqual(await denials.jsonValue(), []);
    }));

  it("refuses the token once it has expired, and an expired token can still be refreshed", () =>
    withPage(async (page) => {
      await signIn(page, { domain: "quick" });
      await verdict(page, "accepted");
      await page.getByRole("switch", { name: "Refresh by itself" }).click();
      await reads(page, "#verdict-code", "token_expired");
      assert.equal(await page.locator("#countdown").textContent(), "0:00");
      await page.getByRole("button", { name: "Refresh now" }).click();
      await verdict(page, "accepted");
      await reads(page, "#log", "Refreshed: token 2");
    }));

  it("verifies the token of a sign-in and says what it says", () =>
    withPage(async (page) => {
      await signIn(page);
      await verdict(page, "accepted");
      assert.equal(await page.locator("#verdict-title").textContent(), "Verified");
      assert.equal(await page.locator("#who").textContent(), "ada");
      assert.equal(await page.locator("#iss").textContent(), `${ISSUER}/shop`);
      const { header, claims } = JSON.parse(await page.locator("#json").textContent());
      assert.equal(header.alg, "ES256");
      assert.equal(claims.aud, "shop");
      assert.match(await page.locator("#countdown").textContent(), /^[45]:\d\d$/);
    }));

  it("keeps the token in memory: not in storage, address or document", () =>
    withPage(async (page) => {
      const token = await signIn(page);
      await verdict(page, "accepted");
      await page.getByRole("button", { name: "Tamper with it" }).click();
      await verdict(page, "refused");
      const { kept, address, shown } = await traces(page);
      assert.equal(kept, '[[{},{},null,""],[],[]]');
      const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
      for (const secret of [token, token.split(".")[2], claims.refresh_token, PASSWORD]) {
        assert.ok(secret.length > 10);
        assert.ok(!address.includes(secret) && !shown.includes(secret));
      }
      await page.reload();
      await page.getByRole("heading", { name: "Sign in" }).waitFor(LIMIT);
    }));

  it("is used by keyboard alone, and the focus follows", () =>
    withPage(async (page) => {
      await open(page);
      await page.getByLabel("User name").focus();
      await page.keyboard.type("ada");
      await page.keyboard.press("Tab");
      await page.keyboard.type(PASSWORD);
      await page.keyboard.press("Enter");
      await verdict(page, "accepted");
      await page.locator("#verdict-title:focus").waitFor(LIMIT);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await verdict(page, "refused");
      await page.getByRole("button", { name: "Log out" }).focus();
      await page.keyboard.press("Enter");
      await page.locator("#password:focus").waitFor(LIMIT);
    }));

  it("tells a wrong password in plain words", () =>
    withPage(
      async (page) => {
        await signIn(page, { password: "wrong" });
        assert.equal(await trouble(page), "User name or password is wrong.");
        await page.getByLabel("Password").fill(PASSWORD);
        await page.keyboard.press("Enter");
        await verdict(page, "accepted");
      },
      { expected: ["status of 400"] },
    ));

  it("names what the form lacks", () =>
    withPage(async (page) => {
      await open(page, { domain: "" });
      await page.getByRole("button", { name: "Sign in" }).click();
      assert.equal(await trouble(page), "The domain is missing.");
      await page.locator("#domain[aria-invalid=true]:focus").waitFor(LIMIT);
    }));

  it("refuses a token that was tampered with, and takes it again when it is put right", () =>
    withPage(async (page) => {
      await signIn(page);
      await verdict(page, "accepted");
      await page.getByRole("button", { name: "Tamper with it" }).click();
      await verdict(page, "refused");
      assert.equal(await page.locator("#verdict-code").textContent(), "signature_invalid");
      assert.match(await page.locator("#verdict-words").textContent(), /signature does not fit/);
      await page.getByRole("button", { name: "Put it right again" }).click();
      await verdict(page, "accepted");
      assert.equal(await page.locator("#verdict-code").textContent(), "");
    }));

  it("ends the session at the issuer when the user logs out", () =>
    withPage(async (page) => {
      const token = await signIn(page);
      await verdict(page, "accepted");
      const [response] = await Promise.all([
        page.waitForResponse((response) => response.url().endsWith("/logout"), LIMIT),
        page.getByRole("button", { name: "Log out" }).click(),
      ]);
      assert.equal(response.status(), 204);
      assert.equal(await trouble(page), "You are logged out.");
      const headers = { authorization: `Bearer ${token}` };
      assert.equal((await fetch(`${ISSUER}/refresh`, { headers })).status, 401);
    }));

  it("sends the user back to the sign-in when the session has ended elsewhere", () =>
    withPage(
      async (page) => {
        const token = await signIn(page);
        await verdict(page, "accepted");
        const headers = { authorization: `Bearer ${token}` };
        await fetch(`${ISSUER}/logout`, { method: "POST", headers });
        await page.getByRole("button", { name: "Refresh now" }).click();
        assert.equal(await trouble(page), "The session is over. Sign in again.");
      },
      { expected: ["status of 401"] },
    ));

  it("says so when the issuer cannot be reached", () =>
    withPage(
      async (page) => {
        await open(page, { issuer: `http://127.0.0.1:${await closedPort()}` });
        await page.getByLabel("User name").fill("ada");
        await page.getByLabel("Password").fill(PASSWORD);
        await page.keyboard.press("Enter");
        assert.match(await trouble(page), /^No answer from http:\/\/127\.0\.0\.1:\d+\./);
      },
      { expected: ["ERR_CONNECTION_REFUSED"] },
    ));

  it("says so when the issuer does not know the page's origin", () =>
    withPage(
      async (page) => {
        await open(page, { origin: PAGES.replace("localhost", "127.0.0.1") });
        await page.getByLabel("User name").fill("ada");
        await page.getByLabel("Password").fill(PASSWORD);
        await page.keyboard.press("Enter");
        assert.match(await trouble(page), /--allow-origin http:\/\/127\.0\.0\.1:\d+\?$/);
      },
      { expected: ["CORS policy", "ERR_FAILED"] },
    ));

  it("keeps on trying while the issuer is away, and goes on when it is back", () =>
    withPage(
      async (page) => {
        await signIn(page);
        await verdict(page, "accepted");
        await page.route("**/refresh", (route) => route.abort("connectionrefused"));
        await page.getByRole("button", { name: "Refresh now" }).click();
        await reads(page, "#next", "Trying again.");
        await page.unroute("**/refresh");
        await reads(page, "#log", "Refreshed by itself: token 2");
        await verdict(page, "accepted");
      },
      { expected: ["ERR_CONNECTION_REFUSED"] },
    ));

  it("tells that nobody can tell without keys, and verifies when they come", () =>
    withPage(
      async (page) => {
        await page.route(KEYS, (route) => route.abort("connectionrefused"));
        await signIn(page);
        await reads(page, "#verdict-code", "keys_unavailable");
        await page.unroute(KEYS);
        await verdict(page, "accepted");
      },
      { expected: ["ERR_CONNECTION_REFUSED"] },
    ));
});
