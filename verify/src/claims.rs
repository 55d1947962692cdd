//! Claims (RFC 7519 §4), and the rules that they are held to.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::denial::Denial;

/// The claims of a token whose signature is right.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

/// What a provider demands of the claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRules {
    /// The only `iss` that is accepted; compared byte by byte.
    pub issuer: String,
    /// `aud` has to name one of these; empty accepts any audience, and none.
    pub audiences: Vec<String>,
    /// How far this clock and the issuer's may differ; widens `exp` and `nbf`.
    pub clock_skew: Duration,
}

impl Claims {
    pub(crate) fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// The claim at a path of member names, such as `["address", "country"]`.
    #[must_use]
    pub fn value(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(*first)?, |value, name| value.as_object()?.get(*name))
    }

    /// The string claim of this name.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Holds the claims to `rules`. Expiry is judged last, so that [`Denial::TokenExpired`]
    /// says that everything else is in order.
    pub(crate) fn check(&self, rules: &ClaimRules, now: Duration) -> Result<(), Denial> {
        if self.string("iss") != Some(&rules.issuer) {
            return Err(Denial::IssuerUnknown);
        }
        if self.0.get("sub").is_some_and(|subject| !subject.is_string()) {
            return Err(Denial::ClaimsMalformed);
        }
        self.check_audience(&rules.audiences)?;
        if self.0.contains_key("cnf") {
            return Err(Denial::KeyBindingRequired);
        }
        self.check_times(rules.clock_skew.as_secs_f64(), now.as_secs_f64())
    }

    fn check_audience(&self, accepted: &[String]) -> Result<(), Denial> {
        let accepts = |name: &str| accepted.iter().any(|audience| audience == name);
        let named = match self.0.get("aud") {
            None => false,
            Some(Value::String(name)) => accepts(name),
            Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
                names.iter().filter_map(Value::as_str).any(accepts)
            }
            Some(_) => return Err(Denial::ClaimsMalformed),
        };
        if named || accepted.is_empty() { Ok(()) } else { Err(Denial::AudienceMismatch) }
    }

    fn check_times(&self, skew: f64, now: f64) -> Result<(), Denial> {
        self.time("iat")?;
        let not_before = self.time("nbf")?;
        let expiration = self.time("exp")?;
        if let Some(not_before) = not_before.filter(|time| now + skew < *time) {
            return Err(Denial::TokenNotYetValid { not_before, now });
        }
        match expiration {
            None => Err(Denial::ExpirationMissing),
            Some(expiration) if now >= expiration + skew => {
                Err(Denial::TokenExpired { expiration, now })
            }
            Some(_) => Ok(()),
        }
    }

    /// A `NumericDate` (RFC 7519 §2): seconds since the Unix epoch, fractions allowed.
    fn time(&self, claim: &'static str) -> Result<Option<f64>, Denial> {
        let Some(value) = self.0.get(claim) else { return Ok(None) };
        match value.as_f64() {
            Some(time) if time.is_finite() && time >= 0.0 => Ok(Some(time)),
            _ => Err(Denial::TimeClaimInvalid { claim }),
        }
    }
}

/// Claims are personal data: they stay out of debug output.
impl std::fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Claims([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn check(claims: Value) -> Result<(), Denial> {
        let rules = ClaimRules {
            issuer: "https://a".to_owned(),
            audiences: vec!["shop".to_owned()],
            clock_skew: Duration::from_secs(10),
        };
        Claims(claims.as_object().unwrap().clone()).check(&rules, NOW)
    }

    fn with(changes: Value) -> Value {
        let mut claims = json!({"iss": "https://a", "aud": "shop", "exp": 1_001});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    #[test]
    fn accepts_what_fits() {
        for changes in [
            json!({}),
            json!({"aud": ["x", "shop"]}),
            json!({"exp": 991}),
            json!({"exp": 990.5}),
            json!({"nbf": 1_010, "iat": 0}),
            json!({"iat": 5_000}),
        ] {
            assert_eq!(check(with(changes.clone())), Ok(()), "{changes}");
        }
    }

    #[test]
    fn refuses_each_misfit_by_its_own_code() {
        for (changes, code) in [
            (json!({"iss": "https://A"}), "issuer_unknown"),
            (json!({"iss": ["https://a"]}), "issuer_unknown"),
            (json!({"sub": 7}), "claims_malformed"),
            (json!({"aud": "other"}), "audience_mismatch"),
            (json!({"aud": []}), "audience_mismatch"),
            (json!({"aud": {"shop": 1}}), "claims_malformed"),
            (json!({"aud": ["shop", 1]}), "claims_malformed"),
            (json!({"cnf": {}}), "key_binding_required"),
            (json!({"exp": 990}), "token_expired"),
            (json!({"exp": "1001"}), "time_claim_invalid"),
            (json!({"exp": null}), "time_claim_invalid"),
            (json!({"exp": -1}), "time_claim_invalid"),
            (json!({"nbf": 1_011}), "token_not_yet_valid"),
            (json!({"nbf": true}), "time_claim_invalid"),
            (json!({"iat": "0"}), "time_claim_invalid"),
        ] {
            assert_eq!(check(with(changes.clone())).unwrap_err().code(), code, "{changes}");
        }
        let endless = json!({"iss": "https://a", "aud": "shop"});
        assert_eq!(check(endless), Err(Denial::ExpirationMissing));
    }

    #[test]
    fn expiry_is_judged_last() {
        let expired_and_foreign = with(json!({"exp": 1, "aud": "other"}));
        assert_eq!(check(expired_and_foreign), Err(Denial::AudienceMismatch));
    }

    #[test]
    fn reads_nested_claims_and_hides_them_from_debug_output() {
        let members = json!({"a": {"b": {"c": 1}}, "s": "x"}).as_object().unwrap().clone();
        let claims = Claims(members);
        assert_eq!(claims.value(&["a", "b", "c"]), Some(&json!(1)));
        assert_eq!(claims.value(&["a", "x"]), None);
        assert_eq!(claims.value(&["s", "x"]), None);
        assert_eq!(claims.value(&[]), None);
        assert_eq!(format!("{claims:?}"), "Claims([redacted])");
    }
}
