/** Middleware for Express, Connect and whatever else takes `(request, response, next)` of Node. */
import type { IncomingMessage, ServerResponse } from "node:http";

import type { Allowed, Decision, RequestLike, RequestToken } from "./request.js";
import type { WaitOptions } from "./verifier.js";

export type { RequestToken } from "./request.js";

declare module "http" {
  interface IncomingMessage {
    /** The token that let the request through, where {@link protect} let it through by one. */
    auth?: RequestToken;
  }
}

/** What decides: a `Verifier`. */
export interface Decider {
  readonly readsPaths?: boolean;
  decide(request: RequestLike, options?: WaitOptions): Promise<Decision>;
}

/** What Express adds to a request of Node, as far as it matters here. */
interface ExpressRequest extends IncomingMessage {
  originalUrl?: string;
  baseUrl?: string;
  app?: { enabled?(setting: string): boolean };
}

/** How to gate a server. */
export interface ProtectOptions {
  /**
   * Lets a policy whose rules differ by path stand before an Express that takes `/Admin` and `/admin/` for
   * `/admin`: whoever spells a path otherwise than its rule may then be let through by another rule.
   */
  dangerousLaxRouting?: boolean;
}

/**
 * Lets requests through, or answers them, as the verifier's policy says. Put it before everything that
 * trusts `request.auth` or the headers that the policy sets.
 *
 * The path is the one that the client sent, also below a mounted router; a request whose `url` something before
 * has rewritten is an error. Express takes `/Admin` and `/admin/` for `/admin` unless its settings `case sensitive
 * routing` and `strict routing` are enabled, and a policy's rules do not: where those differ by path and these
 * are not enabled, every request is an error. A `Router` has options of its own for that, `caseSensitive` and
 * `strict`, which cannot be looked up here.
 */
export function protect(
  verifier: Decider,
  options: ProtectOptions = {},
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void {
  return (request, response, next) => {
    const wrong = options.dangerousLaxRouting ? undefined : laxSetting(verifier, request);
    if (wrong !== undefined) return next(new Error(wrong));
    decide(verifier, request, response).then((goesOn) => goesOn && next(), next);
    return undefined;
  };
}

/** What is wrong with how Express reads paths, if anything. */
function laxSetting({ readsPaths }: Decider, { app }: ExpressRequest): string | undefined {
  if (!readsPaths || typeof app?.enabled !== "function") return undefined;
  const lax = ["case sensitive routing", "strict routing"].find((setting) => !app.enabled!(setting));
  return lax && `postern: the policy's rules differ by path, so Express needs app.enable("${lax}")`;
}

/** The target that the client sent, if that is still what is routed. */
function sentTarget({ url = "", originalUrl, baseUrl }: ExpressRequest): string {
  if (originalUrl === undefined || originalUrl === url) return url;
  // A mount takes the beginning away, and leaves a slash where nothing else would be left.
  const rests = [url, url.replace(/^\//, "")];
  const isRest = rests.some((rest) =>
    baseUrl === undefined ? originalUrl.endsWith(rest) : originalUrl === baseUrl + rest);
  if (!isRest) throw new Error("postern: the request's `url` has been rewritten before the gate");
  return originalUrl;
}

async function decide(
  verifier: Decider,
  request: ExpressRequest,
  response: ServerResponse,
): Promise<boolean> {
  const gone = new AbortController();
  const end = () => gone.abort();
  response.once("close", end);
  try {
    const { encrypted } = request.socket as { encrypted?: boolean };
    const decision = await verifier.decide(
      {
        method: request.method ?? "",
        target: sentTarget(request),
        headers: fieldsOf(request),
        scheme: encrypted ? "https" : "http",
      },
      { signal: gone.signal },
    );
    if (decision.verdict === "allow") {
      change(request, decision);
      return true;
    }
    response.statusCode = decision.status;
    for (const [name, value] of decision.headers) response.setHeader(name, value);
    response.end(decision.body);
    return false;
  } catch (error) {
    // Whoever has gone needs no answer.
    if (gone.signal.aborted) return false;
    throw error;
  } finally {
    response.off("close", end);
  }
}

/** All header fields as they were sent, and those that a host has put beside them. */
function fieldsOf({ rawHeaders, headers }: IncomingMessage): [string, string][] {
  const fields = [...pairs(rawHeaders)].filter(([name]) => !name.startsWith(":"));
  const sent = new Set(fields.map(([name]) => lowerCase(name)));
  for (const [name, value] of Object.entries(headers)) {
    if (sent.has(lowerCase(name)) || name.startsWith(":")) continue;
    for (const one of [value ?? []].flat()) fields.push([name, one]);
  }
  return fields;
}

function* pairs(raw: readonly string[]): Generator<[string, string]> {
  for (let index = 0; index + 1 < raw.length; index += 2) yield [raw[index]!, raw[index + 1]!];
}

/** Removes and sets header fields in all three places where Node has them. */
function change(request: ExpressRequest, { removeHeaders, setHeaders, target, tokens }: Allowed): void {
  const gone = new Set([...removeHeaders, ...setHeaders.map(([name]) => name)].map(lowerCase));
  for (const name of gone) {
    delete request.headers[name];
    delete request.headersDistinct?.[name];
  }
  const kept = [...pairs(request.rawHeaders)].filter(([name]) => !gone.has(lowerCase(name)));
  // HTTP/2's requests have no setter for it.
  const rawHeaders = { value: [...kept, ...setHeaders].flat(), writable: true, configurable: true };
  Object.defineProperty(request, "rawHeaders", { ...rawHeaders, enumerable: true });
  for (const [name, value] of setHeaders) {
    request.headers[name] = value;
    if (request.headersDistinct !== undefined) request.headersDistinct[name] = [value];
  }
  if (target !== null) moveTo(request, target);
  delete request.auth;
  if (tokens[0] !== undefined) request.auth = tokens[0];
}

/** Only the query has changed: the path may have been cut off by a router that the request came through. */
function moveTo(request: ExpressRequest, target: string): void {
  const query = target.includes("?") ? target.slice(target.indexOf("?")) : "";
  request.url = (request.url ?? "").replace(/\?.*$/s, "") + query;
  if (request.originalUrl !== undefined) request.originalUrl = target;
}

function lowerCase(name: string): string {
  return name.toLowerCase();
}
