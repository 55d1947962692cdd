import { PolicyError } from "./errors.js";
import type { PosternPolicy } from "./policy-document.js";

/** The names of the signature algorithms that Postern checks (RFC 7518 §3.1, RFC 8037 §3.1). */
export type Algorithm =
  | "HS256" | "HS384" | "HS512" | "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512"
  | "ES256" | "ES384" | "ES512" | "EdDSA";

/** A JWK Set (RFC 7517 §5). */
export interface JwkSet {
  keys: readonly object[];
}

/**
 * One issuer, in short. It stands for a policy with one provider, named `default`, and one rule that
 * requires its token on every path.
 */
export interface IssuerOptions {
  /** The only `iss` that is accepted. */
  issuer: string;
  /** What `aud` has to name one of. Left out: anything, also no `aud`. */
  audience?: string | readonly string[];
  /**
   * Where the keys are. Default: `/.well-known/jwks.json` under `issuer`, as Postern, Cognito and Supabase
   * have it.
   */
  jwksUri?: string;
  /** Whether to ask the issuer's OpenID configuration where the keys are. Default: false. */
  discovery?: boolean;
  /** The keys themselves; then none are fetched. */
  jwks?: JwkSet;
  /**
   * The shared secret of HMACs, of at least 32 bytes (RFC 7518 §3.2): bytes, or text as UTF-8. Then no keys
   * are fetched, and `algorithms` defaults to `["HS256"]`.
   */
  secret?: string | Uint8Array;
  /** The algorithms that are accepted. Default: all asymmetric ones; an HMAC has to be named. */
  algorithms?: readonly Algorithm[];
  /** The values of `typ` that are accepted. Default: `JWT`, which none counts as, and `at+jwt`. */
  tokenTypes?: readonly string[];
  /** How far the clocks may differ, in seconds, from 0 to 3600. Default: 60. */
  clockSkewSeconds?: number;
  /** How far ahead `exp` may lie, in seconds. Default: any. */
  maxLifetimeSeconds?: number;
  /** For how long fetched keys are fresh, in seconds, unless their `Cache-Control` says less. Default: 300. */
  cacheSeconds?: number;
  /** For how long the last good keys are used while they cannot be refreshed, in seconds. Default: 86400. */
  maxStaleSeconds?: number;
}

/** The provider's name in the policy that {@link IssuerOptions} stand for. */
const PROVIDER = "default";

const MEMBERS: readonly (keyof IssuerOptions)[] = [
  "issuer", "audience", "jwksUri", "discovery", "jwks", "secret", "algorithms", "tokenTypes",
  "clockSkewSeconds", "maxLifetimeSeconds", "cacheSeconds", "maxStaleSeconds",
];

/** The policy as the core reads it: JSON. */
export function policyText(policy: PosternPolicy | IssuerOptions | string): string {
  if (typeof policy === "string") return policy;
  if (typeof policy !== "object" || policy === null) {
    throw new PolicyError("a policy is an object, its JSON, or the options of one issuer");
  }
  return JSON.stringify("issuer" in policy ? expand(policy as IssuerOptions) : policy);
}

function expand(options: IssuerOptions): object {
  for (const name of Object.keys(options)) {
    if (!(MEMBERS as readonly string[]).includes(name)) {
      throw new PolicyError(`${name}: unknown option, expected one of ${MEMBERS.join(", ")}`);
    }
    // A variable that nobody has set must not open what it should close.
    if (options[name as keyof IssuerOptions] === undefined) {
      throw new PolicyError(`${name}: it is undefined; leave it out, or give it a value`);
    }
  }
  const provider = {
    issuer: options.issuer,
    audiences: typeof options.audience === "string" ? [options.audience] : options.audience,
    algorithms: options.algorithms ?? (options.secret === undefined ? undefined : ["HS256"]),
    token_types: options.tokenTypes,
    clock_skew_seconds: options.clockSkewSeconds,
    max_lifetime: seconds(options.maxLifetimeSeconds, "maxLifetimeSeconds"),
    ...keySource(options),
  };
  return {
    providers: { [PROVIDER]: provider },
    rules: [{ match: { prefix: "/" }, requires: { provider_name: PROVIDER } }],
  };
}

function keySource(options: IssuerOptions): object {
  const named = (["jwksUri", "discovery", "jwks", "secret"] as const).filter(
    (name) => options[name] !== undefined && options[name] !== false,
  );
  if (named.length > 1) {
    throw new PolicyError(`${named[1]}: the keys come from \`${named[0]}\` already`);
  }
  if (options.jwks !== undefined) {
    return { local_jwks: { inline_string: JSON.stringify(options.jwks) } };
  }
  if (options.secret !== undefined) {
    const key = { kty: "oct", k: base64url(options.secret) };
    return { local_jwks: { inline_string: JSON.stringify({ keys: [key] }) } };
  }
  const lifetimes = {
    cache_duration: seconds(options.cacheSeconds, "cacheSeconds"),
    max_stale: seconds(options.maxStaleSeconds, "maxStaleSeconds"),
  };
  if (options.discovery) return { openid_discovery: lifetimes };
  const base = String(options.issuer).replace(/\/$/, "");
  const uri = options.jwksUri ?? `${base}/.well-known/jwks.json`;
  return { remote_jwks: { http_uri: { uri }, ...lifetimes } };
}

function seconds(value: number | undefined, name: string): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
    throw new PolicyError(`${name}: expected a number of seconds`);
  }
  return `${value}s`;
}

function base64url(secret: string | Uint8Array): string {
  const bytes = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
  if (!(bytes instanceof Uint8Array)) throw new PolicyError("secret: expected bytes or text");
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
