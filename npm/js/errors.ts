/** What the core says of a refusal. */
export interface Denial {
  code: DenialCode;
  message: string;
  status: number;
  headers: [string, string][];
}

/**
 * The stable codes of refusals. The table in Postern's README says which HTTP status belongs to which,
 * and `verify/strictness.md` by which rule of which RFC.
 */
export type DenialCode =
  | "method_ambiguous" | "path_ambiguous" | "header_ambiguous" | "query_ambiguous" | "multiple_tokens"
  | "token_missing" | "token_too_large" | "token_malformed" | "header_malformed" | "claims_malformed"
  | "duplicate_member" | "algorithm_unsupported" | "algorithm_not_allowed" | "algorithm_mismatch"
  | "critical_header" | "type_not_allowed" | "nested_token" | "issuer_unknown" | "subject_mismatch"
  | "audience_mismatch" | "expiration_missing" | "lifetime_too_long" | "token_expired"
  | "token_not_yet_valid" | "time_claim_invalid" | "key_unknown" | "signature_invalid" | "token_revoked"
  | "key_binding_required" | "no_matching_rule" | "insufficient_scope" | "domain_unknown"
  | "requirement_unknown" | "path_too_long" | "keys_unavailable";

/**
 * A token that is refused. It is the client's fault, but for `keys_unavailable` (status 503), which says
 * that the issuer's keys cannot be had at the moment.
 *
 * Neither the message nor any member holds a part of the token.
 */
export class DenialError extends Error {
  override readonly name = "DenialError";
  /** Why; stable, and the same in every place where Postern stands. */
  readonly code: DenialCode;
  /** The HTTP status that belongs to the code: 400, 401, 403, 414 or 503. */
  readonly status: number;
  /** Header fields of the answer, such as `www-authenticate` (RFC 6750 §3) and `retry-after`. */
  readonly headers: readonly (readonly [string, string])[];

  /** @internal */
  constructor(denial: Denial) {
    super(denial.message);
    this.code = denial.code;
    this.status = denial.status;
    this.headers = denial.headers;
  }

  /** After how many seconds it is worth trying again; only with `keys_unavailable`. */
  get retryAfter(): number | undefined {
    const field = this.headers.find(([name]) => name === "retry-after");
    return field && Number(field[1]);
  }
}

/** A policy that cannot be used. The message begins with the member that is wrong. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}
