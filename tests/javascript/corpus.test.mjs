import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";

import { runCorpus } from "./corpus.mjs";
import { importInstalled } from "./package-under-test.mjs";

test("every case has its verdict", async () => {
  const { createVerifier } = await importInstalled();
  const folder = process.env.POSTERN_CORPUS;
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  const files = names.map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
  const { count, leftOut, wrong } = await runCorpus(files, { createVerifier, coding: "bytes" });
  assert.deepEqual(wrong, []);
  assert.ok(count >= 2000, `only ${count} cases were run, ${JSON.stringify(leftOut)} left out`);
});
