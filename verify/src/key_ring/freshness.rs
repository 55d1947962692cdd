//! How long an answer may be used without asking again (RFC 9111 §4.2), as far as it says so.

use std::time::Duration;

use crate::policy::KeyFetching;

/// The shortest lifetime of a set whose issuer states one. Rotations rely on what it states.
const SHORTEST: Duration = Duration::from_secs(1);
/// The lifetime of a set that has none. Many an issuer says `no-cache` to everything, its keys too,
/// and does not mean a request per second.
const NONE: Duration = Duration::from_secs(5);

/// The lifetime of a key set: what is left of `max-age` where the issuer states one, from 1 s up
/// to the policy's `cache_duration`; 5 s where nothing is left of it.
pub(super) fn key_set_lifetime(
    fetching: &KeyFetching,
    max_age: Option<Duration>,
    age: Option<&[u8]>,
) -> Duration {
    let longest = fetching.cache_duration;
    let stated = remaining(max_age, age).unwrap_or(longest);
    if stated.is_zero() { NONE.min(longest) } else { stated.clamp(SHORTEST.min(longest), longest) }
}

/// The lifetime of a set that is of no use any more at `end`: it is asked for before that.
pub(super) fn until(end: Duration, lifetime: Duration, now: Duration) -> Duration {
    lifetime.min(end.saturating_sub(now).max(NONE))
}

/// What is left of `max-age` after the time in caches on the way.
pub(super) fn remaining(max_age: Option<Duration>, age: Option<&[u8]>) -> Option<Duration> {
    let age = age.and_then(|value| seconds(std::str::from_utf8(value).ok()?));
    max_age.map(|max_age| max_age.saturating_sub(age.unwrap_or_default()))
}

/// How long `Cache-Control` lets an answer be used: `max-age`, or no time where it says `no-store`
/// or `no-cache`. Directives ignore case (RFC 9111 §5.2).
pub(super) fn max_age(cache_control: &[u8]) -> Option<Duration> {
    let directives = || std::str::from_utf8(cache_control).unwrap_or_default().split(',');
    let is_zero = |directive: &str| {
        let name = directive.trim();
        name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache")
    };
    if directives().any(is_zero) {
        return Some(Duration::ZERO);
    }
    let (_, digits) = directives()
        .filter_map(|directive| directive.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("max-age"))?;
    seconds(digits.trim_matches('"'))
}

fn seconds(digits: &str) -> Option<Duration> {
    digits.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::KeyKinds;

    #[test]
    fn the_issuer_may_shorten_the_policys_cache_duration() {
        let lifetime = |cache_duration, header: &str, age: Option<&str>| {
            let fetching = KeyFetching {
                cache_duration: Duration::from_secs(cache_duration),
                max_stale: Duration::ZERO,
                first_back_off: Duration::ZERO,
                max_back_off: Duration::ZERO,
                key_kinds: KeyKinds::PublicOnly,
            };
            let max_age = max_age(header.as_bytes());
            key_set_lifetime(&fetching, max_age, age.map(str::as_bytes)).as_secs()
        };
        for (header, age, seconds) in [
            ("", None, 100),
            ("max-age=30", None, 30),
            ("max-age=30", Some("10"), 20),
            ("max-age=30", Some("29"), 1),
            ("max-age=30", Some("40"), 5),
            ("max-age=1", None, 1),
            ("max-age=30", Some("x"), 30),
            ("public, MAX-AGE=\"40\"", None, 40),
            ("max-age=500", None, 100),
            ("max-age=500", Some("450"), 50),
            ("max-age=0", None, 5),
            ("max-age=-1", None, 100),
            ("s-maxage=5, no-transform", None, 100),
            ("max-age=99999999999999999999", None, 100),
            ("max-age=60, No-Store", None, 5),
            ("no-cache", None, 5),
            ("no-cache=\"set-cookie\", max-age=50", None, 50),
        ] {
            assert_eq!(lifetime(100, header, age), seconds, "{header}");
        }
        assert_eq!(lifetime(2, "no-store", None), 2);
    }
}
