import { CredentialError } from "./errors.js";
import type { JwkSet } from "./policy.js";

/** What `postern edge enrol` printed: who this edge is to an issuer, with its private keys. A secret. */
export interface EdgeCredential {
  /** What the issuer knows the edge by. */
  edge: string;
  /** What its operator calls it. */
  name: string;
  /** Its private keys, JWKs: one to say who it is, one to read what is sent to it. */
  keys: readonly object[];
  /** What the issuer signs with whatever it sends to edges. */
  issuer_keys: JwkSet;
  /** The issuers whose keys it may have, and where those are. */
  issuers: readonly { issuer: string; keys_uri: string }[];
}

/** The credentials as the core reads them: JSON. */
export function credentialText(
  edge: EdgeCredential | readonly EdgeCredential[] | string | undefined,
): string | undefined {
  if (edge === undefined || typeof edge === "string") return edge;
  if (typeof edge !== "object" || edge === null) {
    throw new CredentialError("edge: a credential is an object or its JSON, several are an array");
  }
  try {
    return JSON.stringify(edge);
  } catch {
    // What this would say may be of what is in it.
    throw new CredentialError("edge: it has no JSON");
  }
}
