/** For browsers. */
import { Gate, initSync } from "postern-glue";

import { forHost } from "./verifier.js";

export * from "./index.js";

export const createVerifier = forHost({
  sharesWork: true,
  revalidates: true,
  async load() {
    const response = await fetch(new URL("./postern.wasm", import.meta.url));
    if (!response.ok) throw new Error(`cannot load postern.wasm: status ${response.status}`);
    const module = await WebAssembly.compile(await response.arrayBuffer());
    const { memory } = initSync({ module });
    return { memory, newGate: (policy, seed, edge) => new Gate(policy, seed, edge, undefined, false) };
  },
});
