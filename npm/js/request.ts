import type { DenialCode } from "./errors.js";
import type { Claims, Header } from "./verifier.js";

/** Header fields: of the Fetch API, as pairs, or as an object as Node has it. */
export type HeaderFields =
  | Headers
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** A request to decide on. */
export interface RequestLike {
  /** The method, as sent. Default: `GET`. */
  method?: string;
  /** The whole URL. Needed where there is no `target`. */
  url?: string;
  /** Path and query, as sent. */
  target?: string;
  /** All header fields. A character of a value is a byte, as in the Fetch API and in Node. */
  headers?: HeaderFields;
  /** Host and port that the client asks for. Default: what `url` says, or else the one `Host` field. */
  authority?: string;
  /** `https` or `http`. Default: what `url` says, or else `https`. */
  scheme?: string;
}

/** A token that let a request through. */
export interface RequestToken {
  readonly claims: Claims;
  readonly header: Header;
  /** Whose it is: the provider's name in the policy. */
  readonly provider: string;
  /** The domain that it was verified for, where its provider has several. */
  readonly domain: string | null;
}

/** A request that may go on. Removals come before what is set. */
export interface Allowed {
  readonly verdict: "allow";
  /** Names of header fields to remove, all copies of each. */
  readonly removeHeaders: readonly string[];
  /** Header fields to set, in lower case: names and values. */
  readonly setHeaders: readonly (readonly [string, string])[];
  /** The path and query to go on with, where a token stood in the query. */
  readonly target: string | null;
  /** The tokens that were verified; none where the policy needs none. */
  readonly tokens: readonly RequestToken[];
  /** What the policy wants in the host's metadata. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What a rule on trial would have done. */
  readonly report: { readonly rule: string; readonly code: DenialCode | null } | null;
}

/** A request that is refused, and what to answer. */
export interface Refused {
  readonly verdict: "deny";
  /** Why; stable. */
  readonly code: DenialCode;
  /** One sentence for people. */
  readonly message: string;
  /** The rule that it failed, if it was one. */
  readonly rule: string | null;
  /** The provider whose token it needed, where it was one. */
  readonly provider: string | null;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** What the policy wants in the host's metadata. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** The verdict on a request. */
export type Decision = Allowed | Refused;

/** Host and port, as every reader of URLs takes them. */
const PLAIN = /^[A-Za-z0-9._:\[\]-]+$/;
/** A number of header fields that no request has: the core refuses it. */
const NOT_TO_BE_READ = 0xffff_ffff;

/** The request as the core reads it: lines, and the number of header fields in them. */
export function lines(request: RequestLike): [text: string, fields: number] {
  const { scheme, authority, target } = parts(request);
  const fields = [...pairs(request.headers ?? [])];
  const hosts = fields.filter(([name]) => name.toLowerCase() === "host").map(([, host]) => host);
  // What was made of a `Host` with a slash in it is another URL than it looks.
  const isPlain = authority === undefined || [authority, ...hosts].every((host) => PLAIN.test(host));
  const text = [
    request.method ?? "GET",
    target,
    // Which of two counts is what two readers could disagree on (RFC 9112 §3.2).
    request.authority ?? authority ?? (hosts.length === 1 ? hosts[0]! : ""),
    request.scheme ?? scheme ?? "https",
  ];
  for (const [name, value] of fields) text.push(name, value);
  return [text.join("\n"), isPlain ? fields.length : NOT_TO_BE_READ];
}

/** The parts of a URL, not parsed any further: what a parser changes, it may change for others differently. */
function parts({ url, target }: RequestLike): { scheme?: string; authority?: string; target: string } {
  if (target !== undefined) return { target };
  const found = /^(https?):\/\/([^/?#]*)([^#]*)/i.exec(url ?? "");
  if (found === null) throw new TypeError("a request has a whole `url`, or a `target`");
  const [, scheme, authority, rest] = found as unknown as [string, string, string, string];
  return {
    scheme: scheme.toLowerCase(),
    authority,
    target: rest.startsWith("/") ? rest : `/${rest}`,
  };
}

function* pairs(headers: HeaderFields): Generator<readonly [string, string]> {
  if (Symbol.iterator in headers) {
    yield* headers as Iterable<readonly [string, string]>;
    return;
  }
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value === "string") yield [name, value];
    else for (const one of value ?? []) yield [name, one];
  }
}
