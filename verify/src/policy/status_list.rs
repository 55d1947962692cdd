//! Whether a provider's tokens are looked up in status lists, and how those are fetched.

use std::{borrow::Cow, ops::RangeInclusive, time::Duration};

use super::{
    domains::Domains,
    error::PolicyError,
    key_source::{HttpUri, KeyFetching, TIMEOUTS, duration},
    raw::{RawHttpUri, RawStatusList},
};
use crate::jwk::KeyKinds;

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(5);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(60);
const DEFAULT_MAX_LISTS: u32 = 64;
const MAX_AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
const MAX_STALES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
/// The waits after failed fetches: from the first up to the longest.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
const MAX_BACK_OFF: Duration = Duration::from_secs(4);
const LIST_COUNTS: RangeInclusive<u32> = 1..=1_000;

/// How a provider's status lists are fetched, and what counts where they are not there.
#[derive(Debug, Clone)]
pub(crate) struct StatusLists {
    /// What the URI of a list begins with; a template where the provider has domains.
    pub(crate) place: HttpUri,
    pub(crate) max_age: Duration,
    pub(crate) max_stale: Duration,
    /// Whether a stale list goes on counting.
    pub(crate) allow_stale: bool,
    /// Whether tokens pass that name no list.
    pub(crate) allow_missing: bool,
    pub(crate) max_lists: usize,
}

impl StatusLists {
    pub(super) fn new(
        raw: &RawStatusList,
        issuer: &str,
        domains: Option<&Domains>,
        member: &str,
    ) -> Result<Self, PolicyError> {
        let default = format!("{}/", issuer.trim_end_matches('/'));
        let prefix = raw.uri_prefix.as_deref().unwrap_or(&default);
        let mut uri = RawHttpUri::default();
        uri.cluster.clone_from(&raw.cluster);
        let named =
            |error: PolicyError| PolicyError::new(format!("{member}.uri_prefix"), error.reason);
        let mut place = HttpUri::new(prefix, &uri, domains, member).map_err(named)?;
        if !prefix.ends_with('/') {
            let reason = "it must end with `/`, so that no other host or path begins with it";
            return Err(PolicyError::new(format!("{member}.uri_prefix"), reason));
        }
        place.timeout = duration(raw.timeout.as_ref(), place.timeout, TIMEOUTS, member, "timeout")?;
        let max_age = duration(raw.max_age.as_ref(), DEFAULT_MAX_AGE, MAX_AGES, member, "max_age")?;
        let default = DEFAULT_MAX_STALE.max(max_age);
        let max_stale = duration(raw.max_stale.as_ref(), default, MAX_STALES, member, "max_stale")?;
        if max_stale < max_age {
            let reason = "it must not be less than `max_age`";
            return Err(PolicyError::new(format!("{member}.max_stale"), reason));
        }
        let allow_stale = match raw.when_stale.as_deref() {
            None | Some("deny") => false,
            Some("allow") => true,
            Some(_) => {
                let reason = "it must be `deny` or `allow`";
                return Err(PolicyError::new(format!("{member}.when_stale"), reason));
            }
        };
        let max_lists = raw.max_lists.unwrap_or(DEFAULT_MAX_LISTS);
        if !LIST_COUNTS.contains(&max_lists) {
            let reason = "it must be from 1 to 1000";
            return Err(PolicyError::new(format!("{member}.max_lists"), reason));
        }
        let max_lists = usize::try_from(max_lists).unwrap_or(usize::MAX);
        let allow_missing = raw.allow_missing;
        Ok(Self { place, max_age, max_stale, allow_stale, allow_missing, max_lists })
    }

    /// Where the list of this URI is fetched; `None` where that is not at the provider's place, or
    /// not plainly: what a token names must not reach anything else there, by any spelling.
    pub(crate) fn source_of(&self, uri: &str, domain: Option<&str>) -> Option<HttpUri> {
        let place = match domain {
            Some(domain) => Cow::Owned(self.place.of_domain(domain)),
            None => Cow::Borrowed(&self.place),
        };
        let source = HttpUri::parse(uri, place.cluster.clone(), place.timeout).ok()?;
        let below = source.path.strip_prefix(place.path.as_str())?;
        let is_at_place = source.scheme == place.scheme && source.authority == place.authority;
        (is_at_place && below.split('/').all(is_plain_segment)).then_some(source)
    }

    /// When a list is fetched, in the terms of key sets. After an outage a revocation must not be late
    /// for long, so that the waits after failures stay short.
    pub(crate) fn fetching(&self) -> KeyFetching {
        KeyFetching {
            cache_duration: self.max_age,
            max_stale: self.max_stale,
            first_back_off: FIRST_BACK_OFF,
            max_back_off: MAX_BACK_OFF,
            key_kinds: KeyKinds::PublicOnly,
        }
    }
}

/// A segment of a path that means nothing but itself: not empty, not made of dots, nothing encoded.
fn is_plain_segment(segment: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    segment.bytes().all(is_unreserved) && segment.bytes().any(|byte| byte != b'.')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::policy::Policy;

    /// Whether a list of this URI is the provider's, whose issuer this is.
    fn is_ours(issuer: &str, domain: Option<&str>, uri: &str) -> bool {
        let mut provider = json!({"issuer": issuer, "status_list": {}, "remote_jwks":
            {"http_uri": {"uri": format!("{issuer}/jwks.json")}}});
        if domain.is_some() {
            provider["domains"] = json!({"from_path_segment": 0});
        }
        let policy = json!({"providers": {"p": provider}, "rules": []}).to_string();
        let policy = Policy::parse(policy.as_bytes()).unwrap();
        let lists = policy.providers.into_iter().next().unwrap().status_lists.unwrap();
        lists.source_of(uri, domain).is_some()
    }

    #[test]
    fn a_list_is_at_the_providers_place_and_spelt_plainly() {
        let fits = |uri: &str| is_ours("https://auth.example.com/shop", None, uri);
        assert!(fits("https://auth.example.com/shop/status-lists/0"));
        assert!(fits("https://auth.example.com/shop/7"));
        for uri in [
            "https://auth.example.com/shop/",
            "https://auth.example.com/shop",
            "https://auth.example.com/shopping/0",
            "https://auth.example.com/blog/status-lists/0",
            "http://auth.example.com/shop/status-lists/0",
            "HTTPS://auth.example.com/shop/status-lists/0",
            "https://AUTH.example.com/shop/status-lists/0",
            "https://auth.example.com:443/shop/status-lists/0",
            "https://auth.example.com.evil.test/shop/status-lists/0",
            "https://auth.example.com@evil.test/shop/status-lists/0",
            "https://user@auth.example.com/shop/status-lists/0",
            "https://auth.example.com/shop/../blog/0",
            "https://auth.example.com/shop/./0",
            "https://auth.example.com/shop/%2e%2e/blog/0",
            "https://auth.example.com/shop/..%2fblog/0",
            "https://auth.example.com/shop/a//b",
            "https://auth.example.com/shop/..\\blog",
            "https://auth.example.com/shop/0?redirect=x",
            "https://auth.example.com/shop/0#x",
            "https://auth.example.com/shop/0;x",
            "https://auth.example.com/shop/0 ",
            "//auth.example.com/shop/0",
            "/shop/0",
            "",
        ] {
            assert!(!fits(uri), "{uri}");
        }
    }

    #[test]
    fn a_list_is_at_the_place_of_its_own_domain() {
        let fits =
            |domain, uri: &str| is_ours("https://auth.example.com/{domain}", Some(domain), uri);
        assert!(fits("shop", "https://auth.example.com/shop/status-lists/0"));
        assert!(!fits("blog", "https://auth.example.com/shop/status-lists/0"));
        assert!(!fits("shop", "https://auth.example.com/{domain}/status-lists/0"));
    }
}
