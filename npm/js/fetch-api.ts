import type { DenialCode } from "./errors.js";
import type { Decision, RequestLike, RequestToken } from "./request.js";

/** What became of a request of the Fetch API. */
export type Passage =
  | {
      readonly allowed: true;
      /** The request to go on with: without the token, and with the headers that the policy sets. */
      readonly request: Request;
      /** The tokens that were verified; none where the policy needs none. */
      readonly tokens: readonly RequestToken[];
    }
  | {
      readonly allowed: false;
      /** What to answer. */
      readonly response: Response;
      /** Why; stable. */
      readonly code: DenialCode;
    };

/** The view of a request of the Fetch API. Its URL has been parsed, and so it is what goes on. */
export function requestLike(request: Request): RequestLike {
  return { method: request.method, url: request.url, headers: request.headers };
}

/** Carries a verdict out. */
export function passage(request: Request, decision: Decision): Passage {
  if (decision.verdict === "deny") {
    const { status, code } = decision;
    const headers = decision.headers.map(([name, value]): [string, string] => [name, value]);
    return { allowed: false, code, response: new Response(decision.body, { status, headers }) };
  }
  const { removeHeaders, setHeaders, target, tokens } = decision;
  if (removeHeaders.length === 0 && setHeaders.length === 0 && target === null) {
    return { allowed: true, request, tokens };
  }
  const headers = new Headers(request.headers);
  for (const name of removeHeaders) headers.delete(name);
  for (const [name, value] of setHeaders) headers.set(name, value);
  const moved = target === null ? request : new Request(new URL(target, request.url), request);
  return { allowed: true, request: new Request(moved, { headers }), tokens };
}
