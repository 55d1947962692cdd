// A Chromium for the tests of one file, and pages that tell what went wrong in them.

import assert from "node:assert/strict";
import { after, before } from "node:test";
import { pathToFileURL } from "node:url";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** A variable of the environment that the test stands on. */
export function required(name) {
  const value = process.env[name];
  assert.ok(value, `${name} is missing: cargo xtask test sets it`);
  return value;
}

let browser;

before(async () => {
  const { chromium } = await import(pathToFileURL(required("POSTERN_PLAYWRIGHT")));
  const executablePath = required("POSTERN_CHROMIUM");
  browser = await chromium.launch({ executablePath, args: FLAGS, headless: true });
});

after(() => browser?.close());

/**
 * Runs `use` with a page of its own, and fails where anything failed in the page that nobody
 * caught, or that its console calls an error, but for `expected`: statuses and network errors
 * that the browser itself reports there.
 */
export async function withPage(use, { expected = [], ...options } = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  const page = await context.newPage();
  const failures = [];
  page.on("pageerror", (error) => failures.push(`uncaught: ${error.stack ?? error}`));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !expected.some((part) => text.includes(part))) {
      failures.push(`console: ${text}`);
    }
  });
  try {
    await use(page);
    assert.deepEqual(failures, []);
  } catch (error) {
    error.message += `\n${failures.join("\n")}`;
    throw error;
  } finally {
    await context.close();
  }
}
