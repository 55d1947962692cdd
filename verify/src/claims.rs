//! Claims (RFC 7519 §4), and the rules that they are held to.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{
    denial::Denial,
    policy::{DOMAIN, StringMatcher},
};

/// The claims of a token whose signature is right.
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

/// What a provider demands of a token that is signed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClaimRules {
    /// The only `iss` that is accepted; compared byte by byte. `None` accepts any, and none.
    pub issuer: Option<String>,
    /// `aud` has to name one of these; empty accepts any audience, and none.
    pub audiences: Vec<String>,
    /// How far this clock and the issuer's may differ; widens `exp` and `nbf`.
    pub clock_skew: Duration,
    /// Whether a token has to have an `exp`.
    pub require_expiration: bool,
    /// How far `exp` may lie ahead. Where there is a bound, there has to be an `exp`.
    pub max_lifetime: Option<Duration>,
    /// The values of `typ` that are accepted, in lower case and without `application/`. A token
    /// without `typ` counts as a `jwt` (RFC 7519 §5.1).
    pub token_types: Vec<String>,
    pub(crate) subjects: Option<StringMatcher>,
    pub(crate) ignore_key_binding: bool,
}

impl ClaimRules {
    /// The rules for tokens of this issuer: any audience, no skew, `exp` required, and of the types
    /// `JWT` and `at+jwt`.
    #[must_use]
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            audiences: Vec::new(),
            clock_skew: Duration::ZERO,
            require_expiration: true,
            max_lifetime: None,
            token_types: Self::default_token_types(),
            subjects: None,
            ignore_key_binding: false,
        }
    }

    /// Puts a domain where the issuer and the audiences say `{domain}`.
    pub(crate) fn fill_in(&mut self, domain: &str) {
        for text in self.issuer.iter_mut().chain(&mut self.audiences) {
            *text = text.replace(DOMAIN, domain);
        }
    }

    /// RFC 7519 §5.1 and RFC 9068 §2.1.
    pub(crate) fn default_token_types() -> Vec<String> {
        vec!["jwt".to_owned(), "at+jwt".to_owned()]
    }
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

    /// The claim at a path of member names that somebody owns.
    pub(crate) fn value_at(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.0.get(first)?, |value, name| value.as_object()?.get(name))
    }

    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Holds the claims to `rules`. Expiry is judged last, so that [`Denial::TokenExpired`]
    /// says that everything else is in order.
    pub(crate) fn check(&self, rules: &ClaimRules, now: Duration) -> Result<(), Denial> {
        match (&rules.issuer, self.0.get("iss")) {
            (Some(issuer), Some(Value::String(named))) if named == issuer => {}
            (Some(_), _) => return Err(Denial::IssuerUnknown),
            (None, None | Some(Value::String(_))) => {}
            (None, Some(_)) => return Err(Denial::ClaimsMalformed),
        }
        self.check_subject(rules.subjects.as_ref())?;
        self.check_audience(&rules.audiences)?;
        if !rules.ignore_key_binding && self.0.contains_key("cnf") {
            return Err(Denial::KeyBindingRequired);
        }
        self.check_times(rules, now.as_secs_f64())
    }

    fn check_subject(&self, accepted: Option<&StringMatcher>) -> Result<(), Denial> {
        let subject = match self.0.get("sub") {
            None => None,
            Some(Value::String(subject)) => Some(subject),
            Some(_) => return Err(Denial::ClaimsMalformed),
        };
        let fits =
            |accepted: &StringMatcher| subject.is_some_and(|subject| accepted.matches(subject));
        if accepted.is_none_or(fits) { Ok(()) } else { Err(Denial::SubjectMismatch) }
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

    fn check_times(&self, rules: &ClaimRules, now: f64) -> Result<(), Denial> {
        let skew = rules.clock_skew.as_secs_f64();
        self.time("iat")?;
        let not_before = self.time("nbf")?;
        let expiration = self.time("exp")?;
        if let Some(not_before) = not_before.filter(|time| now + skew < *time) {
            return Err(Denial::TokenNotYetValid { not_before, now });
        }
        let Some(expiration) = expiration else {
            let required = rules.require_expiration || rules.max_lifetime.is_some();
            return if required { Err(Denial::ExpirationMissing) } else { Ok(()) };
        };
        let longest = rules.max_lifetime.map_or(f64::INFINITY, |limit| limit.as_secs_f64());
        if expiration - now > longest {
            return Err(Denial::LifetimeTooLong { expiration, now });
        }
        if now >= expiration + skew {
            return Err(Denial::TokenExpired { expiration, now });
        }
        Ok(())
    }

    /// When a token that has passed stops to pass, for that its `exp` has come; `None` where it has
    /// none.
    pub(crate) fn ends(&self, rules: &ClaimRules) -> Option<Duration> {
        let expiration = self.time("exp").ok().flatten()? + rules.clock_skew.as_secs_f64();
        Some(Duration::try_from_secs_f64(expiration).unwrap_or(Duration::MAX))
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
        check_by(claims, |_| {})
    }

    fn check_by(claims: Value, change: impl Fn(&mut ClaimRules)) -> Result<(), Denial> {
        let mut rules = ClaimRules::new("https://a");
        rules.audiences = vec!["shop".to_owned()];
        rules.clock_skew = Duration::from_secs(10);
        change(&mut rules);
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
    fn rules_can_be_changed() {
        let code = |claims: Value, change: &dyn Fn(&mut ClaimRules)| {
            check_by(claims, change).map_or_else(|denial| denial.code(), |()| "ok")
        };
        let endless = json!({"iss": "https://a", "aud": "shop"});
        let may_be_endless = |rules: &mut ClaimRules| rules.require_expiration = false;
        assert_eq!(code(endless.clone(), &may_be_endless), "ok");
        assert_eq!(code(with(json!({"exp": 1})), &may_be_endless), "token_expired");
        let short = |rules: &mut ClaimRules| {
            (rules.require_expiration, rules.max_lifetime) = (false, Some(Duration::from_secs(60)));
        };
        assert_eq!(code(with(json!({"exp": 1_060})), &short), "ok");
        assert_eq!(code(with(json!({"exp": 1_060.5})), &short), "lifetime_too_long");
        assert_eq!(code(endless, &short), "expiration_missing");
        let any_issuer = |rules: &mut ClaimRules| rules.issuer = None;
        assert_eq!(code(with(json!({"iss": "https://b"})), &any_issuer), "ok");
        assert_eq!(code(with(json!({"iss": 7})), &any_issuer), "claims_malformed");
        let bound = |rules: &mut ClaimRules| rules.ignore_key_binding = true;
        assert_eq!(code(with(json!({"cnf": {}})), &bound), "ok");
        let spiffe = StringMatcher::prefix("spiffe://a/");
        let subjects = |rules: &mut ClaimRules| rules.subjects = Some(spiffe.clone());
        assert_eq!(code(with(json!({"sub": "spiffe://a/b"})), &subjects), "ok");
        assert_eq!(code(with(json!({"sub": "spiffe://b/b"})), &subjects), "subject_mismatch");
        assert_eq!(code(with(json!({})), &subjects), "subject_mismatch");
    }

    #[test]
    fn a_token_ends_with_its_expiration_and_the_skew() {
        let mut rules = ClaimRules::new("https://a");
        rules.clock_skew = Duration::from_secs(10);
        let ends = |claims: Value| Claims(claims.as_object().unwrap().clone()).ends(&rules);
        assert_eq!(ends(json!({"exp": 5.5})), Some(Duration::from_millis(15_500)));
        assert_eq!(ends(json!({"exp": 1e300})), Some(Duration::MAX));
        assert_eq!(ends(json!({})), None);
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
