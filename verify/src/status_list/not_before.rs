//! From when on tokens count: what Postern's issuer adds to its lists for who ends all sessions at
//! once, of a user or of a domain.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

/// What a list says: tokens whose `iat` is before these times are refused. The later one counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct NotBefore {
    pub(crate) all: Option<Duration>,
    pub(crate) subjects: BTreeMap<Box<str>, Duration>,
}

impl NotBefore {
    /// Of the claim `postern_not_before`; `None` where it is malformed.
    pub(super) fn of_claim(claim: Option<&Value>) -> Option<Self> {
        let Some(claim) = claim else { return Some(Self::default()) };
        let claim = claim.as_object()?;
        let all = claim.get("all").map(time);
        let subjects = match claim.get("subjects") {
            None => BTreeMap::new(),
            Some(subjects) => subjects
                .as_object()?
                .iter()
                .map(|(subject, value)| Some((subject.as_str().into(), time(value)?)))
                .collect::<Option<_>>()?,
        };
        Some(Self { all: if let Some(all) = all { Some(all?) } else { None }, subjects })
    }
}

/// A `NumericDate` (RFC 7519 §2).
pub(super) fn time(value: &Value) -> Option<Duration> {
    Duration::try_from_secs_f64(value.as_f64()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn is_read_whole_or_not_at_all() {
        let read = |claim: Value| NotBefore::of_claim(Some(&claim));
        assert_eq!(NotBefore::of_claim(None), Some(NotBefore::default()));
        assert_eq!(read(json!({})), Some(NotBefore::default()));
        let both = read(json!({"all": 5, "subjects": {"u": 7.5}, "later": []})).unwrap();
        assert_eq!(both.all, Some(Duration::from_secs(5)));
        assert_eq!(both.subjects["u"], Duration::from_millis(7_500));
        for malformed in [
            json!(5),
            json!(null),
            json!({"all": "5"}),
            json!({"all": -1}),
            json!({"all": null}),
            json!({"all": 1e300}),
            json!({"subjects": ["u"]}),
            json!({"subjects": {"u": null}}),
        ] {
            assert_eq!(read(malformed.clone()), None, "{malformed}");
        }
    }
}
