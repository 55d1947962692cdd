declare module "postern-glue" {
  import type { WasmGate } from "./core.js";

  /** The gate's class, as wasm-bindgen makes it. */
  export const Gate: new (
    policy: string,
    jitterSeed: number,
    edge: string | undefined,
    crypto: object | undefined,
    hasUtf8Headers: boolean,
  ) => WasmGate;

  export function initSync(options: { module: WebAssembly.Module }): { memory: WebAssembly.Memory };
}

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}
