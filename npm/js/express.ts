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
  decide(request: RequestLike, options?: WaitOptions): Promise<Decision>;
}

/** What Express adds to a request of Node, as far as it matters here. */
interface ExpressRequest extends IncomingMessage {
  originalUrl?: string;
}

/**
 * Lets requests through, or answers them, as the verifier's policy says. Put it before everything that
 * trusts `request.auth` or the headers that the policy sets.
 *
 * The path is the one that the client sent, also below a mounted router. Express takes `/Admin` and `/admin/`
 * for `/admin` unless its `case sensitive routing` and `strict routing` are enabled; a policy's rules do not.
 */
export function protect(
  verifier: Decider,
): (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => void {
  return (request, response, next) => {
    decide(verifier, request, response).then((goesOn) => goesOn && next(), next);
  };
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
        target: request.originalUrl ?? request.url ?? "",
        headers: pairs(request.rawHeaders),
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

function* pairs(raw: readonly string[]): Generator<[string, string]> {
  for (let index = 0; index + 1 < raw.length; index += 2) yield [raw[index]!, raw[index + 1]!];
}

/** Removes and sets header fields in all three places where Node has them. */
function change(request: ExpressRequest, { removeHeaders, setHeaders, target, tokens }: Allowed): void {
  const gone = new Set([...removeHeaders, ...setHeaders.map(([name]) => name)].map(lowerCase));
  for (const name of gone) {
    delete request.headers[name];
    delete request.headersDistinct[name];
  }
  const kept = [...pairs(request.rawHeaders)].filter(([name]) => !gone.has(lowerCase(name)));
  request.rawHeaders = [...kept, ...setHeaders].flat();
  for (const [name, value] of setHeaders) {
    request.headers[name] = value;
    request.headersDistinct[name] = [value];
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
