export { CredentialError, DenialError, PolicyError, type DenialCode } from "./errors.js";
export type { KeyUpdate } from "./core.js";
export type { EdgeCredential } from "./edge.js";
export type { Passage } from "./fetch-api.js";
export type { Algorithm, IssuerOptions, JwkSet } from "./policy.js";
export type { PosternPolicy } from "./policy-document.js";
export type {
  Allowed, Decision, HeaderFields, Refused, RequestLike, RequestToken,
} from "./request.js";
export type {
  Claims, Counters, CreateVerifier, Header, Verified, VerifierOptions, VerifyOptions, WaitOptions, WorkOptions,
} from "./verifier.js";
export { Verifier } from "./verifier.js";
