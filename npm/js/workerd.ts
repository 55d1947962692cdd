/** For workerd, which Cloudflare Workers run in. */
import module from "./postern.wasm";
import { Gate, initSync } from "postern-glue";

import { forHost } from "./verifier.js";

export * from "./index.js";

interface Process {
  getBuiltinModule?(name: string): object | undefined;
}

/** With the flag `nodejs_compat`, the host has `node:crypto`; without it, Wasm checks signatures. */
function nodeCrypto(): object | undefined {
  const { process } = globalThis as { process?: Process };
  return process?.getBuiltinModule?.("node:crypto");
}

export const createVerifier = forHost({
  sharesWork: false,
  revalidates: false,
  load() {
    const { memory } = initSync({ module });
    return { memory, newGate: (policy, seed, edge) => new Gate(policy, seed, edge, nodeCrypto(), true) };
  },
});
