/** For Node, Deno and Bun. */
import * as crypto from "node:crypto";
import { readFileSync } from "node:fs";

import { Gate, initSync } from "postern-glue";

import { forHost } from "./verifier.js";

export * from "./index.js";

export const createVerifier = forHost({
  sharesWork: true,
  revalidates: false,
  load() {
    const module = new WebAssembly.Module(readFileSync(new URL("./postern.wasm", import.meta.url)));
    const { memory } = initSync({ module });
    return { memory, newGate: (policy, seed, edge) => new Gate(policy, seed, edge, crypto, false) };
  },
});
