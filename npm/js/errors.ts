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
  | "token_not_before" | "status_missing" | "status_unavailable" | "key_binding_required"
  | "no_matching_rule" | "insufficient_scope" | "domain_unknown" | "requirement_unknown" | "path_too_long"
  | "keys_unavailable";

/**
 * A token that is refused. It is the client's fault, but for `keys_unavailable` and `status_unavailable`
 * (status 503), which say that the issuer's keys, or its status list, cannot be had at the moment.
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

  /** After how many seconds it is worth trying again; only with status 503. */
  get retryAfter(): number | undefined {
    const field = this.headers.find(([name]) => name === "retry-after");
    return field && Number(field[1]);
  }
}

/**
 * What the enrolment of an edge printed, and what cannot be used of it: the message begins with the member that
 * is wrong, and quotes nothing.
 */
export class CredentialError extends Error {
  override readonly name = "CredentialError";
}

/** A policy that cannot be used. The message begins with the member that is wrong. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
}
