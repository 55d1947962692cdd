// The verdict corpus in a page: Chromium's own WebAssembly, URLs and promises under the npm package.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { required, withPage } from "./harness.mjs";

const PAGES = required("POSTERN_PAGES");
const VECTORS = fileURLToPath(new URL("../vectors/", import.meta.url));
const RUNNER = fileURLToPath(new URL("../javascript/corpus.mjs", import.meta.url));

const files = readdirSync(VECTORS)
  .filter((name) => name.endsWith(".json"))
  .map((name) => JSON.parse(readFileSync(VECTORS + name, "utf8")));

/** A page of the origin that serves the package, with nothing on it, and the runner beside it. */
async function openEmpty(page) {
  const html = "<!doctype html><title>Corpus</title><link rel=icon href='data:,'>";
  await page.route(`${PAGES}/corpus/`, (route) =>
    route.fulfill({ contentType: "text/html", body: html }));
  await page.route(`${PAGES}/corpus/runner.mjs`, (route) =>
    route.fulfill({ contentType: "text/javascript", path: RUNNER }));
  await page.goto(`${PAGES}/corpus/`);
}

test("every case has its verdict in a page", (test) =>
  withPage(async (page) => {
    await openEmpty(page);
    const { count, leftOut, wrong } = await page.evaluate(async (files) => {
      const { createVerifier } = await import("/postern/browser.mjs");
      const { runCorpus } = await import("./runner.mjs");
      return runCorpus(files, { createVerifier, coding: "bytes" });
    }, files);
    test.diagnostic(`${count} cases, left out: ${JSON.stringify(leftOut)}`);
    assert.deepEqual(wrong, []);
    assert.ok(count >= 2000, `only ${count} cases were run, ${JSON.stringify(leftOut)} left out`);
  }));
