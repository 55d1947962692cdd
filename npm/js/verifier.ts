import type { Core, Host, KeyUpdate, WasmGate } from "./core.js";
import { credentialText, type EdgeCredential } from "./edge.js";
import { CredentialError, type Denial, DenialError, PolicyError } from "./errors.js";
import { KeyFetcher } from "./keys.js";
import { type IssuerOptions, policyText } from "./policy.js";
import type { PosternPolicy } from "./policy-document.js";
import { type Decision, lines, type RequestLike } from "./request.js";
import { type Passage, passage, requestLike } from "./fetch-api.js";

/** The claims of a token (RFC 7519 §4). */
export interface Claims {
  /** Who issued it. */
  readonly iss?: string;
  /** Whom it is about. */
  readonly sub?: string;
  /** Whom it is for. */
  readonly aud?: string | readonly string[];
  /** When it expires, in seconds since the Unix epoch. */
  readonly exp?: number;
  /** Before when it must not be used, in seconds since the Unix epoch. */
  readonly nbf?: number;
  /** When it was issued, in seconds since the Unix epoch. */
  readonly iat?: number;
  /** Its own name. */
  readonly jti?: string;
  /** What it allows, names with spaces between them (RFC 8693 §4.2). */
  readonly scope?: string;
  readonly [claim: string]: unknown;
}

/** The header of a token (RFC 7515 §4). */
export interface Header {
  readonly alg: string;
  readonly kid?: string;
  readonly typ?: string;
  readonly [member: string]: unknown;
}

/** A token that was verified. It and all in it are frozen: one object serves all who ask for the token. */
export interface Verified<C extends Claims = Claims> {
  /** What the token says. */
  readonly claims: C;
  /** How it was signed. */
  readonly header: Header;
  /** Whose it is: the provider's name in the policy; `default` where that was an issuer in short. */
  readonly provider: string;
  /** The domain that it was verified for, where its provider has several. */
  readonly domain: string | undefined;
}

/** How a verifier works in its host. */
export interface VerifierOptions {
  /**
   * What `postern edge enrol` printed, an object or its JSON; of several issuers, an array. A policy with
   * `edge_keys` needs it.
   *
   * It is a secret: what a browser has is public, and whoever has it can read the secrets of an HS256 domain
   * and sign its tokens. Status lists need none.
   */
  edge?: EdgeCredential | readonly EdgeCredential[] | string;
  /** Makes the fetches of keys and status lists, in place of the host's own `fetch`. */
  fetch?: typeof fetch;
  /** The time, in milliseconds since the Unix epoch. Default: `Date.now`. */
  clock?: () => number;
  /** Hears what came of each fetch of keys or of a status list; for logs. */
  onKeyUpdate?: (update: KeyUpdate) => void;
}

/** How to verify one token. */
export interface VerifyOptions {
  /** The domain that the token is to be of, where a provider has several. Never from the token itself. */
  domain?: string;
}

/** Where work goes on when a request is over. */
export interface WorkOptions {
  /**
   * Keeps a refresh of keys alive when the request is over: `ctx.waitUntil` of a Worker. Other hosts need
   * none.
   */
  waitUntil?: (work: Promise<unknown>) => void;
}

/** How to wait. */
export interface WaitOptions extends WorkOptions {
  /** Ends the waiting for keys; then the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** How much is kept of what has been read of tokens: of so many, and of so many bytes, twice. */
const GENERATION = 4096;
const GENERATION_BYTES = 2 * 1024 * 1024;
/** For how long a request waits for keys, over as many fetches as it takes, in milliseconds. */
const LONGEST_WAIT = 15_000;
/** How many different headers of tokens are kept. */
const MAX_HEADERS = 256;
/** Longer tokens are refused; one byte more tells. */
const MAX_TOKEN_BYTES = 16 * 1024;

/** What a token is before it has been looked at. */
const AWAITS_KEYS = -1;
const DENIED = 0;

const encoder = new TextEncoder();

/**
 * Verifies tokens and decides on requests by one policy, with the keys of its issuers, which it fetches,
 * keeps and refreshes. Make one and use it for all requests.
 */
export class Verifier {
  /** Whether different paths may need different things: not so of an issuer in short. */
  readonly readsPaths: boolean;
  readonly #gate: WasmGate;
  readonly #memory: WebAssembly.Memory;
  readonly #host: Host;
  readonly #keys: KeyFetcher;
  readonly #clock: () => number;
  readonly #providers: readonly { name: string; hasDomains: boolean }[];
  #buffer: Uint8Array;
  /** What has been read of tokens, by their numbers; the older half of it. */
  #known = new Map<number, Verified>();
  #older = new Map<number, Verified>();
  /** The length of the tokens that the younger half is of. */
  #keptBytes = 0;
  #headers = new Map<string, Header>();
  #closed = false;

  /** @internal */
  constructor(core: Core, host: Host, policy: string, options: VerifierOptions) {
    try {
      this.#gate = core.newGate(policy, Math.random(), credentialText(options.edge));
    } catch (error) {
      if (error instanceof CredentialError) throw error;
      // Of a credential, it is a string.
      if (typeof error === "string") throw new CredentialError(`edge: ${error}`);
      throw new PolicyError(error instanceof Error ? error.message : String(error));
    }
    this.#memory = core.memory;
    this.#host = host;
    this.#clock = options.clock === undefined ? Date.now : tame(options.clock);
    this.#keys = new KeyFetcher(this.#gate, host, {
      // As a method: some hosts' `fetch` wants to be called by its object.
      fetch: options.fetch ?? ((...request) => globalThis.fetch(...request)),
      clock: this.#clock,
      onKeyUpdate: options.onKeyUpdate,
    });
    const document = JSON.parse(policy) as PolicyParts;
    this.#providers = (JSON.parse(this.#gate.providers()) as string[]).map((name) => ({
      name,
      hasDomains: document.providers?.[name]?.domains !== undefined,
    }));
    this.readsPaths = !(document.rules ?? []).every(({ match }) => isWhole(match));
    this.#buffer = this.#view();
    if (host.sharesWork) void this.#keys.work();
  }

  /**
   * Verifies a token: whether a rule that requires a token of any provider would take it. The `scopes` and
   * `claims` of rules are not looked at: {@link Verifier.decide} does that. Where the issuer's keys are not at
   * hand, it waits for them, for at most 15 seconds.
   *
   * @throws {DenialError} where the token is refused; its `code` says why.
   * @throws the signal's reason, where that ended the waiting.
   */
  async verify<C extends Claims = Claims>(
    token: string,
    options?: VerifyOptions & WaitOptions,
  ): Promise<Verified<C>> {
    const domain = options?.domain;
    const found =
      this.#look(token, domain, false) ??
      (await this.#wait(options, (isLast) => this.#look(token, domain, isLast)));
    this.#refresh(options);
    return found as Verified<C>;
  }

  /**
   * Verifies a token with the keys at hand. Where there are none, they are asked for, and the token is
   * refused with `keys_unavailable`; {@link Verifier.ready} waits for them ahead of time.
   *
   * @throws {DenialError} where the token is refused; its `code` says why.
   */
  verifySync<C extends Claims = Claims>(token: string, options?: VerifyOptions): Verified<C> {
    let found = this.#look(token, options?.domain, false);
    if (found === undefined) {
      void this.#keys.work();
      found = this.#look(token, options?.domain, true);
    }
    return found as Verified<C>;
  }

  /** Decides on a whole request by the policy's rules, and waits for keys as {@link Verifier.verify} does. */
  async decide(request: RequestLike, options?: WaitOptions): Promise<Decision> {
    const [text, fields] = lines(request);
    const decide = (isLast: boolean): Decision | undefined => {
      this.#check();
      const told = this.#gate.decide(text, fields, this.#clock(), isLast);
      const decision = JSON.parse(told) as Decision | { verdict: "await" };
      return decision.verdict === "await" ? undefined : freeze(decision);
    };
    const decision = decide(false) ?? (await this.#wait(options, decide));
    this.#refresh(options);
    return decision;
  }

  /** Decides on a request of the Fetch API: whether it may go on, and changed how, or what to answer. */
  async handle(request: Request, options?: WaitOptions): Promise<Passage> {
    return passage(request, await this.decide(requestLike(request), options));
  }

  /**
   * Waits until the keys that the policy names have been fetched, so that {@link Verifier.verifySync} finds
   * them. The keys of domains are fetched when a token needs them.
   *
   * @throws {DenialError} `keys_unavailable`, where a fetch failed. The verifier goes on trying.
   */
  async ready(options?: WaitOptions): Promise<void> {
    this.#check();
    await this.#keys.settled(options?.signal);
    for (const [provider, error] of this.#keys.errors) {
      const message = `the keys of \`${provider}\` were not fetched: ${error}`;
      throw new DenialError({ code: "keys_unavailable", message, status: 503, headers: [] });
    }
  }

  /**
   * Takes a push of the issuer, which says that keys or revocations have changed: the bearer token of its
   * `POST`. Where the issuer has signed it, for this edge and just now, what changed is fetched at once, in
   * the background, and at most once a second. Answer the issuer 204 for `true`, and 401 for `false`.
   */
  async push(token: string, options?: WorkOptions): Promise<boolean> {
    this.#check();
    if (typeof token !== "string" || token.length > MAX_TOKEN_BYTES) return false;
    if (!this.#gate.push(token, this.#clock())) return false;
    const work = this.#keys.work();
    if (work !== undefined) options?.waitUntil?.(work);
    return true;
  }

  /** What has happened so far: for metrics. */
  get counters(): Counters {
    this.#check();
    return JSON.parse(this.#gate.counters());
  }

  /** Ends the fetching of keys and gives back the memory. Whoever is waiting, or asks, is told an error. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#keys.close();
    this.#gate.free();
  }

  [Symbol.dispose ?? Symbol.for("Symbol.dispose")](): void {
    this.close();
  }

  /** One look at a token; `undefined` where its keys have to be fetched first. */
  #look(token: string, domain: string | undefined, isLast: boolean): Verified | undefined {
    // First, since a clock may be the caller's: from here on, nobody else writes to the buffer.
    const now = this.#clock();
    const length = this.#write(token);
    const name = domain === undefined ? 0 : this.#append(length, domain);
    const number = this.#gate.verify(length, name, now, isLast);
    if (number > DENIED) {
      return this.#known.get(number) ?? this.#read(number, token, length, domain);
    }
    if (number === AWAITS_KEYS) return undefined;
    throw new DenialError(JSON.parse(this.#gate.denial()) as Denial);
  }

  /** Writes a token to the beginning of the gate's buffer, without a string in between. Its length. */
  #write(token: string): number {
    this.#check();
    if (typeof token !== "string") {
      if (token === undefined || token === null) throw new DenialError(MISSING);
      throw new TypeError("a token is a string");
    }
    // The module's memory has grown: what saw it before sees nothing any more.
    if (this.#buffer.length === 0) this.#buffer = this.#view();
    const { read, written } = encoder.encodeInto(token, this.#buffer);
    return read < token.length ? MAX_TOKEN_BYTES + 1 : written;
  }

  /** Writes the name of a domain behind the token. Its length, which is that of none where it is empty. */
  #append(length: number, domain: string): number {
    const rest = this.#buffer.subarray(length);
    const { read, written } = encoder.encodeInto(domain, rest);
    return read < domain.length ? 0 : written;
  }

  /** What a verified token says: read once, and kept under its number. */
  #read(number: number, token: string, length: number, domain: string | undefined): Verified {
    const older = this.#older.get(number);
    const verified = older ?? freeze({
      claims: JSON.parse(this.#gate.claims(length)!) as Claims,
      header: this.#header(token, length),
      ...this.#whose(this.#gate.provider(), domain),
    });
    this.#keptBytes += length;
    if (this.#known.size >= GENERATION || this.#keptBytes > GENERATION_BYTES) {
      this.#older = this.#known;
      this.#known = new Map();
      this.#keptBytes = length;
    }
    this.#known.set(number, verified);
    return verified;
  }

  /** A domain is part of what was verified only where the provider has several. */
  #whose(index: number, domain: string | undefined): Pick<Verified, "provider" | "domain"> {
    const { name, hasDomains } = this.#providers[index]!;
    return { provider: name, domain: hasDomains ? domain : undefined };
  }

  /** An issuer's tokens have few different headers. */
  #header(token: string, length: number): Header {
    const text = token.slice(0, token.indexOf("."));
    let header = this.#headers.get(text);
    if (header === undefined) {
      header = freeze(JSON.parse(this.#gate.header(length)!) as Header);
      if (this.#headers.size >= MAX_HEADERS) this.#headers.clear();
      this.#headers.set(text, header);
    }
    return header;
  }

  /** Looks again and again while keys are fetched; the last time, whether they have come or not. */
  async #wait<T>(options: WaitOptions | undefined, look: (isLast: boolean) => T | undefined): Promise<T> {
    const deadline = performance.now() + LONGEST_WAIT;
    for (;;) {
      const left = deadline - performance.now();
      await this.#keys.change(left, options?.signal, options?.waitUntil);
      const isLast = performance.now() >= deadline;
      const found = look(isLast);
      if (found !== undefined) return found;
    }
  }

  /** Where there are no timers, whoever comes by when keys are due sees to it, and does not wait. */
  #refresh(options: WaitOptions | undefined): void {
    if (this.#host.sharesWork || this.#clock() < this.#keys.wakeup) return;
    const work = this.#keys.work();
    if (work !== undefined) options?.waitUntil?.(work);
  }

  #view(): Uint8Array {
    return new Uint8Array(this.#memory.buffer, this.#gate.buffer(), this.#gate.buffer_bytes());
  }

  #check(): void {
    if (this.#closed) throw new Error("the verifier has been closed");
  }
}

/** What of a policy matters here; the core has read all of it. */
interface PolicyParts {
  providers?: Record<string, { domains?: unknown }>;
  rules?: { match?: Record<string, unknown> }[];
}

/** Whether a match is of every path. */
function isWhole(match: Record<string, unknown> | undefined): boolean {
  return match !== undefined && Object.keys(match).length === 1 && match.prefix === "/";
}

/** A clock that fails has no time to tell, and then no token passes. */
function tame(clock: () => number): () => number {
  return () => {
    try {
      return clock();
    } catch {
      return NaN;
    }
  };
}

/** What a {@link Verifier} has done so far. */
export interface Counters {
  /** Tokens and requests that were let through. */
  allowed: number;
  /** Tokens and requests that were refused. */
  denied: number;
  /** Requests that a rule on trial would have refused. */
  wouldDeny: number;
  /** Bundles of keys that were refused: not the issuer's, of the past, or unreadable. */
  bundlesRefused: number;
  /** Status lists that were refused, for the same reasons. */
  listsRefused: number;
  /** Tokens and requests that passed by a status list that was stale (`when_stale: "allow"`). */
  staleStatus: number;
  /** The cache of verified tokens. */
  cache: { hits: number; misses: number; evictions: number; entries: number; bytes: number };
}

/**
 * Makes a verifier of a policy (the same document that Postern takes in Envoy and in the Worker), of its
 * JSON, or of one issuer in short. Fetching keys begins at once, where the host allows it, and nobody
 * waits for it.
 *
 * @throws {PolicyError} where the policy cannot be used; the message begins with the member that is wrong.
 * @throws {CredentialError} where `edge` cannot be; the same, and it quotes nothing.
 */
export type CreateVerifier = (
  policy: PosternPolicy | IssuerOptions | string,
  options?: VerifierOptions,
) => Promise<Verifier>;

/** `createVerifier` for a host. */
export function forHost(host: Host): CreateVerifier {
  let loaded: Core | Promise<Core> | undefined;
  return async (policy, options = {}) => {
    const text = policyText(policy);
    loaded ??= host.load();
    try {
      loaded = await loaded;
    } catch (error) {
      // The network may be back when the next one asks.
      loaded = undefined;
      throw error;
    }
    return new Verifier(loaded, host, text, options);
  };
}

const MISSING: Denial = {
  code: "token_missing",
  message: "there is no token",
  status: 401,
  headers: [["www-authenticate", 'Bearer realm="postern"']],
};

/** Freezes a value of JSON and all in it. */
function freeze<T extends object>(value: T): T {
  for (const name in value) {
    const member = value[name];
    if (typeof member === "object" && member !== null && !Object.isFrozen(member)) freeze(member);
  }
  return Object.freeze(value);
}
