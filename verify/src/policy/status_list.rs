//! Whether a provider's tokens are looked up in status lists, and how those are fetched.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    domains::Domains,
    error::PolicyError,
    key_source::{HttpUri, TIMEOUTS, duration},
    raw::{RawHttpUri, RawStatusList},
};

const DEFAULT_MAX_AGE: Duration = Duration::from_secs(5);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(60);
const DEFAULT_MAX_LISTS: u32 = 64;
const MAX_AGES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
const MAX_STALES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3_600);
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
}
