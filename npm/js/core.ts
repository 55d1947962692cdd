/** The gate in Wasm, as `npm/src/lib.rs` exports it. Times are in milliseconds since the Unix epoch. */
export interface WasmGate {
  buffer(): number;
  buffer_bytes(): number;
  verify(token: number, domain: number, now: number, atOnce: boolean): number;
  provider(): number;
  claims(token: number): string | undefined;
  header(token: number): string | undefined;
  denial(): string;
  decide(lines: string, fields: number, now: number, atOnce: boolean): string;
  next_fetch(now: number): string | undefined;
  fetched(
    id: number,
    status: number,
    etag: string | undefined,
    cacheControl: string | undefined,
    age: string | undefined,
    body: Uint8Array,
    now: number,
  ): string | undefined;
  next_wakeup(): number;
  providers(): string;
  counters(): string;
  push(token: string, now: number): boolean;
  free(): void;
}

/** The module in Wasm, loaded. */
export interface Core {
  memory: WebAssembly.Memory;
  newGate(policy: string, jitterSeed: number, edge: string | undefined): WasmGate;
}

/** What a host can do, and what it cannot. */
export interface Host {
  /** Loads the module, once. */
  load(): Core | Promise<Core>;
  /**
   * Whether one request may wait for what another one has begun, and work may go on when all requests
   * are over. In workerd, neither is so.
   */
  readonly sharesWork: boolean;
  /**
   * Whether the host's own cache asks the issuer whether keys have changed. A browser's does; of another
   * origin it must be asked before every request with `If-None-Match`.
   */
  readonly revalidates: boolean;
}

/** A fetch of keys or of a status list that is due. */
export interface DueFetch {
  id: number;
  url: string;
  /** In milliseconds. */
  timeout: number;
  accept: string;
  /** Says who the edge is, where it has to. A secret. */
  authorization: string | null;
  ifNoneMatch: string | null;
  /** Longest body that is looked at. */
  maxBytes: number;
}

/** What came of a fetch of keys or of a status list. */
export interface KeyUpdate {
  /** Whose keys. */
  provider: string;
  /** Of which domain, where the provider has several. */
  domain: string | null;
  /** The URI of the status list, where it was one; `null` for keys. */
  statusList: string | null;
  /** The number of usable keys, where there is a new set. */
  keys?: number;
  /** Why other keys of the new set were left out. */
  skipped?: string[];
  /** Why there is no new set or list. */
  error?: string;
  /** What the host's `fetch` threw, where it did. */
  cause?: unknown;
}
