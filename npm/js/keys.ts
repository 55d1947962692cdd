import type { DueFetch, Host, KeyUpdate, WasmGate } from "./core.js";

/** The shortest and the longest wait of a timer, in milliseconds. The longest that there is. */
const SHORTEST_WAIT = 20;
const LONGEST_WAIT = 2 ** 31 - 1;
/** For how long to wait in one piece, in milliseconds. */
const LONGEST_PIECE = 1000;
/** How often to look whether somebody else has fetched the keys, in milliseconds. */
const LOOK_EVERY = 10;

type Timer = ReturnType<typeof setTimeout>;

/** Makes the fetches that the core's key ring asks for: when, which, and how often, it says. */
export class KeyFetcher {
  readonly #gate: WasmGate;
  readonly #host: Host;
  readonly #fetch: typeof fetch;
  readonly #clock: () => number;
  readonly #onUpdate: ((update: KeyUpdate) => void) | undefined;
  readonly #underWay = new Set<Promise<void>>();
  /** What ends each fetch that is under way. Not one signal for all: workerd ties a signal to one request. */
  readonly #ends = new Set<() => void>();
  #closed = false;
  readonly #errors = new Map<string, string>();
  #timer: Timer | undefined;
  #wakeup = 0;

  constructor(
    gate: WasmGate,
    host: Host,
    options: {
      fetch: typeof fetch;
      clock: () => number;
      onKeyUpdate: ((update: KeyUpdate) => void) | undefined;
    },
  ) {
    this.#gate = gate;
    this.#host = host;
    this.#fetch = options.fetch;
    this.#clock = options.clock;
    this.#onUpdate = options.onKeyUpdate;
  }

  /** When there is something to fetch without being asked. */
  get wakeup(): number {
    return this.#wakeup;
  }

  /** Providers whose last fetch failed, and why. */
  get errors(): ReadonlyMap<string, string> {
    return this.#errors;
  }

  /** Starts what is due. Settles, never with an error, when that has ended. */
  work(): Promise<void> | undefined {
    const started: Promise<void>[] = [];
    // A `fetch` of the caller's own may close the verifier.
    while (!this.#closed) {
      const due = this.#gate.next_fetch(this.#clock());
      if (due === undefined) break;
      const work = this.#make(JSON.parse(due) as DueFetch);
      this.#underWay.add(work);
      started.push(work);
      void work.then(() => this.#underWay.delete(work));
    }
    this.#schedule();
    if (started.length === 0) return undefined;
    return Promise.all(started).then(() => this.#schedule());
  }

  /**
   * Waits until it is worth asking the core again, for at most `limit` milliseconds. Rejects with the signal's
   * reason only.
   */
  async change(
    limit: number,
    signal: AbortSignal | undefined,
    waitUntil: ((work: Promise<unknown>) => void) | undefined,
  ): Promise<void> {
    signal?.throwIfAborted();
    const started = this.work();
    if (started !== undefined) waitUntil?.(started);
    if (this.#host.sharesWork && this.#underWay.size > 0) {
      return within(limit, Promise.race(this.#underWay), signal);
    }
    return within(Math.min(limit, LOOK_EVERY), started ?? new Promise(() => {}), signal);
  }

  /** Waits until nothing is under way. Rejects with the signal's reason only. */
  async settled(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    let started = this.work();
    while (started !== undefined || (this.#host.sharesWork && this.#underWay.size > 0)) {
      // In pieces, since whoever waits here wants to stay alive for it.
      await within(LONGEST_PIECE, started ?? Promise.all(this.#underWay), signal);
      started = this.work();
    }
  }

  /** Ends what is under way, and begins nothing any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const end of this.#ends) end();
  }

  async #make(due: DueFetch): Promise<void> {
    const timeout = new AbortController();
    const timer = unref(setTimeout(() => timeout.abort(), due.timeout));
    const end = () => timeout.abort();
    this.#ends.add(end);
    let answer: Answer | undefined;
    let cause: unknown;
    try {
      answer = await abortable(this.#ask(due, timeout.signal), timeout.signal);
    } catch (error) {
      cause = error;
    } finally {
      clearTimeout(timer);
      this.#ends.delete(end);
    }
    if (!this.#closed) this.#hand(due, answer, cause);
  }

  async #ask(due: DueFetch, signal: AbortSignal): Promise<Answer> {
    const headers: Record<string, string> = { accept: due.accept };
    if (due.authorization !== null) headers["authorization"] = due.authorization;
    const init: RequestInit = { headers, redirect: "manual", signal };
    if (this.#host.revalidates) init.cache = "no-cache";
    else if (due.ifNoneMatch !== null) headers["if-none-match"] = due.ifNoneMatch;
    const response = await this.#fetch(due.url, init);
    const field = (name: string) => response.headers.get(name) ?? undefined;
    return {
      status: response.status,
      etag: field("etag"),
      cacheControl: field("cache-control"),
      age: field("age"),
      body: await body(response, due.maxBytes),
    };
  }

  #hand(due: DueFetch, answer: Answer | undefined, cause: unknown): void {
    const { status, etag, cacheControl, age, body } = answer ?? NO_ANSWER;
    const now = this.#clock();
    const told = this.#gate.fetched(due.id, status, etag, cacheControl, age, body, now);
    if (told === undefined) return;
    const update = JSON.parse(told) as KeyUpdate;
    if (cause !== undefined) update.cause = cause;
    // Which domains there are, strangers can make up; and lists are of tokens, not of the policy.
    if (update.domain === null && update.statusList === null) {
      if (update.error === undefined) this.#errors.delete(update.provider);
      else this.#errors.set(update.provider, update.error);
    }
    try {
      this.#onUpdate?.(update);
    } catch (error) {
      // The caller's own mistake must not cost the keys, nor be hidden.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  /** A timer that keeps neither a process alive nor this object. */
  #schedule(): void {
    if (this.#closed) return;
    this.#wakeup = this.#gate.next_wakeup();
    if (!this.#host.sharesWork) return;
    clearTimeout(this.#timer);
    if (this.#wakeup === Infinity) return;
    const wait = Math.min(Math.max(this.#wakeup - this.#clock(), SHORTEST_WAIT), LONGEST_WAIT);
    const self = new WeakRef(this);
    this.#timer = unref(setTimeout(() => void self.deref()?.work(), wait));
  }
}

interface Answer {
  status: number;
  etag: string | undefined;
  cacheControl: string | undefined;
  age: string | undefined;
  body: Uint8Array;
}

const NO_ANSWER: Answer = {
  status: 0,
  etag: undefined,
  cacheControl: undefined,
  age: undefined,
  body: new Uint8Array(),
};

/** The body, up to one byte more than is looked at. */
async function body(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  while (reader && length <= maxBytes) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  // What is left of a body that is too long is not waited for.
  if (length > maxBytes) reader?.cancel().catch(() => {});
  const whole = new Uint8Array(Math.min(length, maxBytes + 1));
  let place = 0;
  for (const chunk of chunks) {
    whole.set(chunk.subarray(0, whole.length - place), place);
    place = Math.min(place + chunk.length, whole.length);
  }
  return whole;
}

/** Waits for work, but not for longer than so many milliseconds. */
async function within(
  limit: number,
  work: Promise<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let timer: Timer | undefined;
  const pause = new Promise((resolve) => (timer = setTimeout(resolve, Math.max(limit, 0))));
  try {
    await abortable(Promise.race([work, pause]), signal);
  } finally {
    clearTimeout(timer);
  }
}

/** A timer that does not keep a process alive, where there are processes. */
function unref(timer: Timer): Timer {
  if (typeof timer === "object") timer.unref?.();
  return timer;
}

/** The same, but that it rejects as soon as the signal says so. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const end = () => reject(signal.reason);
    signal.addEventListener("abort", end, { once: true });
    const done = () => signal.removeEventListener("abort", end);
    work.then(
      (value) => (done(), resolve(value)),
      (error) => (done(), reject(error)),
    );
  });
}
