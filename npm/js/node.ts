/** For Node, Deno and Bun. */
import * as crypto from "node:crypto";
import { readFileSync } from "node:fs";

import { Gate, initSync } from "postern-glue";

import { forHost } from "./verifier.js";

export * from "./index.js";

declare const WASM_PATH: string | URL;

export const createVerifier = forHost({
  sharesWork: true,
  revalidates: false,
  load() {
    const module = new WebAssembly.Module(readFileSync(WASM_PATH));
    const { memory } = initSync({ module });
    return { memory, newGate: (policy, seed) => new Gate(policy, seed, crypto, false) };
  },
});
