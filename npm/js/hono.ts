/** Middleware for Hono, in whichever runtime. */
import type { RequestToken } from "./request.js";
import type { Verifier } from "./verifier.js";

export type { RequestToken } from "./request.js";

/** The variables that {@link protect} sets: `new Hono<{ Variables: AuthVariables }>()`. */
export interface AuthVariables {
  /** The token that let the request through; `undefined` where the policy needed none. */
  auth: RequestToken | undefined;
}

/** What of Hono's context matters here. */
interface Context {
  req: { raw: Request };
  executionCtx: { waitUntil(work: Promise<unknown>): void };
  set(name: "auth", value: RequestToken | undefined): void;
}

/**
 * Lets requests through, or answers them, as the verifier's policy says. Put it before everything that
 * trusts `context.get("auth")` or the headers that the policy sets.
 */
export function protect(
  verifier: Verifier,
): (context: Context, next: () => Promise<void>) => Promise<Response | void> {
  return async (context, next) => {
    const { signal } = context.req.raw;
    const passage = await verifier.handle(context.req.raw, { signal, waitUntil: waitUntil(context) });
    if (!passage.allowed) return passage.response;
    context.req.raw = passage.request;
    context.set("auth", passage.tokens[0]);
    await next();
    return undefined;
  };
}

/** Outside of Workers, Hono has no execution context, and says so by throwing. */
function waitUntil(context: Context): (work: Promise<unknown>) => void {
  return (work) => {
    try {
      context.executionCtx.waitUntil(work);
    } catch {
      // Nothing ends the work there.
    }
  };
}
