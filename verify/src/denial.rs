//! Why a request is refused, and the one table that turns a reason into an answer.

use std::{fmt, time::Duration};

use serde_json::Number;

/// A reason to refuse a request: always the client's fault, but for [`Denial::KeysUnavailable`]
/// and [`Denial::StatusUnavailable`].
///
/// Exhaustive on purpose: a new reason has to be answered by every adapter. The fields are for
/// logs and for tests; the [`crate::Answer`] tells the client no more than the code. No variant
/// carries a part of a token.
#[derive(Debug, Clone, PartialEq)]
pub enum Denial {
    /// The request's path can be read in more than one way (see [`crate::Request`]).
    PathAmbiguous,
    /// The request's method is not all upper-case letters and hyphens.
    MethodAmbiguous,
    /// A header field that a rule asks for stands there under a name that only some services take for
    /// its own.
    HeaderAmbiguous,
    /// A query parameter that a rule asks for stands there twice, or in a spelling that only some
    /// services read.
    QueryAmbiguous,
    /// The request's path is longer than rules are matched against.
    PathTooLong {
        /// Length of the path, in bytes.
        bytes: usize,
        /// The bound, in bytes.
        limit: usize,
    },
    /// No rule of the policy matches, and what no rule opens stays shut.
    NoMatchingRule,
    /// The rule requires a token and none of the places where one may stand has it.
    TokenMissing,
    /// More than one token, be it in one place or in several (RFC 6750 §2, §3.1).
    MultipleTokens,
    /// The token is longer than the size budget.
    TokenTooLarge {
        /// Length of the token, in bytes.
        bytes: usize,
        /// The budget, in bytes.
        limit: usize,
    },
    /// Not three parts of canonical base64url, joined by dots (RFC 7515 §7.1).
    TokenMalformed,
    /// The header is not a JSON object with a string `alg` (RFC 7515 §4).
    HeaderMalformed,
    /// The claims are not a JSON object, or a registered claim has a wrong type (RFC 7519 §4).
    ClaimsMalformed,
    /// The header or the claims name a member twice in one object (RFC 7515 §4, RFC 7519 §4).
    DuplicateMember,
    /// `alg` is `none` or an algorithm that Postern does not check.
    AlgorithmUnsupported,
    /// `alg` is none of the provider's `algorithms` (RFC 8725 §3.1).
    AlgorithmNotAllowed,
    /// `alg` is not the algorithm of the key (RFC 8725 §3.1).
    AlgorithmMismatch,
    /// The header has `crit` or `b64`, and no extension is understood (RFC 7515 §4.1.11).
    CriticalHeader,
    /// `typ` is none of the provider's `token_types` (RFC 8725 §3.11, RFC 9068 §4).
    TypeNotAllowed,
    /// `cty` says that the claims are a token themselves (RFC 7519 §5.2).
    NestedToken,
    /// `iss` is not the provider's issuer.
    IssuerUnknown,
    /// `sub` is missing or none of the provider's `subjects`.
    SubjectMismatch,
    /// `aud` names none of the provider's audiences (RFC 7519 §4.1.3).
    AudienceMismatch,
    /// There is no `exp`.
    ExpirationMissing,
    /// `exp` lies further ahead than the provider's `max_lifetime`. Times are seconds since the Unix
    /// epoch.
    LifetimeTooLong {
        /// The token's `exp`.
        expiration: f64,
        /// The time of the decision.
        now: f64,
    },
    /// `exp` has come (RFC 7519 §4.1.4). Times are seconds since the Unix epoch.
    TokenExpired {
        /// The token's `exp`.
        expiration: f64,
        /// The time of the decision.
        now: f64,
    },
    /// `nbf` is still ahead (RFC 7519 §4.1.5). Times are seconds since the Unix epoch.
    TokenNotYetValid {
        /// The token's `nbf`.
        not_before: f64,
        /// The time of the decision.
        now: f64,
    },
    /// `exp`, `nbf` or `iat` is not a number, or a negative one (RFC 7519 §2, `NumericDate`).
    TimeClaimInvalid {
        /// Which of the three.
        claim: &'static str,
    },
    /// No key of the provider has the token's `kid`.
    KeyUnknown,
    /// The signature does not fit. Deliberately says nothing more.
    SignatureInvalid,
    /// The token's session has been revoked ([`crate::Gate::revoke`]).
    TokenRevoked,
    /// The token was issued before the time from which on its domain's or its user's tokens count.
    TokenNotBefore,
    /// The token names no status list, and the provider's `status_list` requires one.
    StatusMissing,
    /// The status list that the token names could not be fetched, or is older than the provider's
    /// `status_list.max_stale`.
    StatusUnavailable {
        /// When it is worth asking again.
        retry_after: Duration,
    },
    /// The token is bound to a key by `cnf`, which a bearer cannot prove (RFC 7800 §3.1).
    KeyBindingRequired,
    /// The token is valid and has not the rule's `scopes` or `claims` (RFC 6750 §3.1).
    InsufficientScope {
        /// The rule's `scopes`, joined by spaces; empty where it has none.
        scope: String,
    },
    /// The request names no domain, or not one that the provider's `domains` allow.
    DomainUnknown,
    /// The host's configuration of the route names a requirement that the policy does not have.
    RequirementUnknown,
    /// The provider's keys could not be fetched, or are older than its `max_stale`.
    KeysUnavailable {
        /// When it is worth asking again.
        retry_after: Duration,
    },
}

/// A challenge that says nothing but what is wanted.
pub(crate) const BARE_CHALLENGE: &str = "Bearer realm=\"postern\"";

/// The `error` of a `WWW-Authenticate` challenge (RFC 6750 §3.1).
#[derive(Clone, Copy)]
enum Challenge {
    /// The answer is no challenge.
    None,
    /// A challenge without an `error`: the request held no credentials.
    Plain,
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
}

impl Denial {
    /// The stable code, for example `token_expired`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.row().2
    }

    /// One sentence for people; the same for every request with this code.
    #[must_use]
    pub fn message(&self) -> &'static str {
        self.row().3
    }

    /// HTTP status code of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.row().0
    }

    /// Value of the `WWW-Authenticate` header (RFC 6750 §3), where the status calls for one.
    pub(crate) fn challenge(&self) -> Option<String> {
        let (_, challenge, _, message) = self.row();
        let error = match challenge {
            Challenge::None => return None,
            Challenge::Plain => return Some(BARE_CHALLENGE.to_owned()),
            Challenge::InvalidRequest => "invalid_request",
            Challenge::InvalidToken => "invalid_token",
            Challenge::InsufficientScope => "insufficient_scope",
        };
        let scope = match self {
            Self::InsufficientScope { scope } if !scope.is_empty() => {
                format!(", scope=\"{scope}\"")
            }
            _ => String::new(),
        };
        let description = format!("error_description=\"{message}\"");
        Some(format!("{BARE_CHALLENGE}, error=\"{error}\", {description}{scope}"))
    }

    /// Value of the `Retry-After` header, in whole seconds, where there is one.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::KeysUnavailable { retry_after } | Self::StatusUnavailable { retry_after } => {
                Some(whole_seconds(*retry_after))
            }
            _ => None,
        }
    }

    /// How near a token came to being accepted. Where several requirements fail, the one that
    /// came nearest is reported: a token of the right issuer that has expired says more than
    /// the remark that another provider does not know its issuer.
    pub(crate) fn progress(&self) -> u8 {
        match self {
            Self::TokenMissing => 0,
            Self::DomainUnknown => 1,
            Self::IssuerUnknown => 2,
            Self::KeysUnavailable { .. } => 3,
            Self::InsufficientScope { .. } => 5,
            _ => 4,
        }
    }

    #[rustfmt::skip]
    fn row(&self) -> (u16, Challenge, &'static str, &'static str) {
        use Challenge::{InsufficientScope, InvalidRequest, InvalidToken, None, Plain};
        match self {
            Self::PathAmbiguous => (400, None, "path_ambiguous", "the request path can be read in more than one way"),
            Self::MethodAmbiguous => (400, None, "method_ambiguous", "the request method can be read in more than one way"),
            Self::HeaderAmbiguous => (400, None, "header_ambiguous", "a request header can be read in more than one way"),
            Self::QueryAmbiguous => (400, None, "query_ambiguous", "the request query can be read in more than one way"),
            Self::PathTooLong { .. } => (414, None, "path_too_long", "the request path is too long"),
            Self::NoMatchingRule => (403, None, "no_matching_rule", "no rule opens this path"),
            Self::TokenMissing => (401, Plain, "token_missing", "a token is required"),
            Self::MultipleTokens => (400, InvalidRequest, "multiple_tokens", "the request holds more than one token"),
            Self::TokenTooLarge { .. } => (401, InvalidToken, "token_too_large", "the token is too large"),
            Self::TokenMalformed => (401, InvalidToken, "token_malformed", "the token is not a JWS in compact form"),
            Self::HeaderMalformed => (401, InvalidToken, "header_malformed", "the token's header is malformed"),
            Self::ClaimsMalformed => (401, InvalidToken, "claims_malformed", "the token's claims are malformed"),
            Self::DuplicateMember => (401, InvalidToken, "duplicate_member", "the token names a member twice"),
            Self::AlgorithmUnsupported => (401, InvalidToken, "algorithm_unsupported", "the token's algorithm is not supported"),
            Self::AlgorithmNotAllowed => (401, InvalidToken, "algorithm_not_allowed", "the token's algorithm is not allowed here"),
            Self::AlgorithmMismatch => (401, InvalidToken, "algorithm_mismatch", "the token's algorithm is not its key's"),
            Self::CriticalHeader => (401, InvalidToken, "critical_header", "the token's header has a critical extension"),
            Self::TypeNotAllowed => (401, InvalidToken, "type_not_allowed", "the token's type is not allowed"),
            Self::NestedToken => (401, InvalidToken, "nested_token", "the token holds another token"),
            Self::IssuerUnknown => (401, InvalidToken, "issuer_unknown", "the token's issuer is not trusted here"),
            Self::SubjectMismatch => (401, InvalidToken, "subject_mismatch", "the token's subject is not accepted here"),
            Self::AudienceMismatch => (401, InvalidToken, "audience_mismatch", "the token is meant for another audience"),
            Self::ExpirationMissing => (401, InvalidToken, "expiration_missing", "the token never expires"),
            Self::LifetimeTooLong { .. } => (401, InvalidToken, "lifetime_too_long", "the token lives longer than is accepted here"),
            Self::TokenExpired { .. } => (401, InvalidToken, "token_expired", "the token has expired"),
            Self::TokenNotYetValid { .. } => (401, InvalidToken, "token_not_yet_valid", "the token is not valid yet"),
            Self::TimeClaimInvalid { .. } => (401, InvalidToken, "time_claim_invalid", "a time in the token is not a valid number"),
            Self::KeyUnknown => (401, InvalidToken, "key_unknown", "the token's key is not known"),
            Self::SignatureInvalid => (401, InvalidToken, "signature_invalid", "the token's signature is invalid"),
            Self::KeyBindingRequired => (401, InvalidToken, "key_binding_required", "the token is bound to a key and cannot be used as a bearer token"),
            Self::TokenRevoked => (401, InvalidToken, "token_revoked", "the token has been revoked"),
            Self::TokenNotBefore => (401, InvalidToken, "token_not_before", "the token is older than its issuer accepts"),
            Self::StatusMissing => (401, InvalidToken, "status_missing", "the token names no status list"),
            Self::StatusUnavailable { .. } => (503, None, "status_unavailable", "whether the token has been revoked cannot be told"),
            Self::InsufficientScope { .. } => (403, InsufficientScope, "insufficient_scope", "the token does not grant this request"),
            Self::DomainUnknown => (403, None, "domain_unknown", "the request names no domain that is served here"),
            Self::RequirementUnknown => (403, None, "requirement_unknown", "the route's requirement is not in the policy"),
            Self::KeysUnavailable { .. } => (503, None, "keys_unavailable", "the keys to check the token are not available"),
        }
    }
}

/// A time in seconds, printed as JSON has it. What prints it without JSON is 14 KiB more of Wasm.
struct Time(f64);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (Duration::try_from_secs_f64(self.0), Number::from_f64(self.0)) {
            (Ok(whole), _) if whole.subsec_nanos() == 0 => whole.as_secs().fmt(formatter),
            (_, Some(number)) => number.fmt(formatter),
            (_, None) => formatter.write_str("never"),
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, _, code, message) = self.row();
        write!(formatter, "{code}: {message}")?;
        match self {
            Self::TokenTooLarge { bytes, limit } | Self::PathTooLong { bytes, limit } => {
                write!(formatter, " ({bytes} bytes, at most {limit})")
            }
            Self::TokenExpired { expiration, now } | Self::LifetimeTooLong { expiration, now } => {
                write!(formatter, " (at {}, now {})", Time(*expiration), Time(*now))
            }
            Self::TokenNotYetValid { not_before, now } => {
                write!(formatter, " (before {}, now {})", Time(*not_before), Time(*now))
            }
            Self::TimeClaimInvalid { claim } => write!(formatter, " (`{claim}`)"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Denial {}

/// Rounds up, so that a client that waits as told does not come too early.
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each. The match makes sure that a new one is not forgotten here.
    fn all() -> Vec<Denial> {
        use Denial as D;
        let zero = 0.0;
        let all = vec![
            D::PathAmbiguous,
            D::MethodAmbiguous,
            D::HeaderAmbiguous,
            D::QueryAmbiguous,
            D::PathTooLong { bytes: 2, limit: 1 },
            D::NoMatchingRule,
            D::TokenMissing,
            D::MultipleTokens,
            D::TokenTooLarge { bytes: 2, limit: 1 },
            D::TokenMalformed,
            D::HeaderMalformed,
            D::ClaimsMalformed,
            D::DuplicateMember,
            D::AlgorithmUnsupported,
            D::AlgorithmNotAllowed,
            D::AlgorithmMismatch,
            D::CriticalHeader,
            D::TypeNotAllowed,
            D::NestedToken,
            D::IssuerUnknown,
            D::SubjectMismatch,
            D::AudienceMismatch,
            D::ExpirationMissing,
            D::LifetimeTooLong { expiration: zero, now: zero },
            D::TokenExpired { expiration: zero, now: zero },
            D::TokenNotYetValid { not_before: zero, now: zero },
            D::TimeClaimInvalid { claim: "exp" },
            D::KeyUnknown,
            D::SignatureInvalid,
            D::KeyBindingRequired,
            D::TokenRevoked,
            D::TokenNotBefore,
            D::StatusMissing,
            D::StatusUnavailable { retry_after: Duration::ZERO },
            D::InsufficientScope { scope: String::new() },
            D::DomainUnknown,
            D::RequirementUnknown,
            D::KeysUnavailable { retry_after: Duration::ZERO },
        ];
        for denial in &all {
            match denial {
                D::PathAmbiguous
                | D::MethodAmbiguous
                | D::HeaderAmbiguous
                | D::QueryAmbiguous
                | D::PathTooLong { .. }
                | D::NoMatchingRule
                | D::TokenMissing
                | D::MultipleTokens
                | D::TokenTooLarge { .. }
                | D::TokenMalformed
                | D::HeaderMalformed
                | D::ClaimsMalformed
                | D::DuplicateMember
                | D::KeyUnknown
                | D::AlgorithmUnsupported
                | D::AlgorithmNotAllowed
                | D::AlgorithmMismatch
                | D::CriticalHeader
                | D::TypeNotAllowed
                | D::NestedToken
                | D::IssuerUnknown
                | D::SubjectMismatch
                | D::AudienceMismatch
                | D::ExpirationMissing
                | D::LifetimeTooLong { .. }
                | D::TokenExpired { .. }
                | D::TokenNotYetValid { .. }
                | D::TimeClaimInvalid { .. }
                | D::SignatureInvalid
                | D::KeyBindingRequired
                | D::TokenRevoked
                | D::TokenNotBefore
                | D::StatusMissing
                | D::StatusUnavailable { .. }
                | D::InsufficientScope { .. }
                | D::DomainUnknown
                | D::RequirementUnknown
                | D::KeysUnavailable { .. } => {}
            }
        }
        all
    }

    /// The table's rows, as their cells.
    fn rows() -> Vec<Vec<&'static str>> {
        let table = include_str!("../strictness.md").lines().filter(|line| line.starts_with("| "));
        table.skip(1).map(|line| line.split(" | ").map(str::trim).collect()).collect()
    }

    #[test]
    fn the_table_of_what_strict_means_is_complete_and_true() {
        let rows = rows();
        for denial in all() {
            let code = format!("`{}`", denial.code());
            let status = denial.status().to_string();
            let row = rows.iter().find(|row| row.get(2) == Some(&code.as_str()));
            assert_eq!(row.and_then(|row| row.get(3)), Some(&status.as_str()), "{code}");
        }
        assert_eq!(rows.len(), all().len());
    }

    #[test]
    fn no_two_denials_have_one_code() {
        let mut codes: Vec<&str> = all().iter().map(Denial::code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all().len());
    }
}
