//! What ends otherwise behind API Gateway than expected, with the reasons.

use std::collections::BTreeMap;

use super::events::Format;

/// Cases that end otherwise than expected.
pub(crate) struct Different {
    pub(crate) why: &'static str,
    pub(crate) formats: &'static [Format],
    /// How they end.
    pub(crate) outcome: &'static str,
    pub(crate) cases: &'static [&'static str],
}

pub(crate) const DIFFERENT: &[Different] = &[
    Different {
        why: "REST APIs decode the query before they tell of it",
        formats: &[Format::One],
        outcome: "allow",
        cases: &["places/param-encoded-value"],
    },
    Different {
        why: "the query is put together anew, and not as it was sent: the pattern finds it no more",
        formats: &[Format::One],
        outcome: "deny no_matching_rule",
        cases: &["rules/pseudo-path-query"],
    },
    Different {
        why: "API Gateway takes requests over `https` only",
        formats: &[Format::One, Format::Two],
        outcome: "allow",
        cases: &["rules/pseudo-scheme-not-http"],
    },
    Different {
        why: "the path has a `*`, and the policy that allows it would be a pattern",
        formats: &[Format::One, Format::Two],
        outcome: "deny path_ambiguous",
        cases: &["paths/plain-signs"],
    },
    Different {
        why: "HTTP APIs decode the path before anyone sees it, the services behind them too",
        formats: &[Format::Two],
        outcome: "allow",
        cases: &["paths/encoded-slash", "paths/encoded-slash-upper-case"],
    },
    Different {
        why: "a `%` in a decoded path may have been sent as it is, or as `%25`",
        formats: &[Format::Two],
        outcome: "deny path_ambiguous",
        cases: &["paths/once-percent", "paths/once-percent-and-text", "paths/once-percent-digit"],
    },
    Different {
        why: "where the token alone decides, a refusal for the path's sake would be remembered for the \
              token, and meet every path",
        formats: &[Format::One, Format::Two],
        outcome: "allow",
        cases: &["paths/ambiguous-in-open-policy"],
    },
    Different {
        why: "an ARN does not say whether its path is decoded",
        formats: &[Format::Token],
        outcome: "deny path_ambiguous",
        cases: &["domains/segment-encoded"],
    },
];

/// All of them, by format and name.
pub(crate) fn all() -> BTreeMap<(Format, String), &'static Different> {
    let mut all = BTreeMap::new();
    for different in DIFFERENT {
        assert!(!different.why.is_empty());
        for format in different.formats {
            for name in different.cases {
                let earlier = all.insert((*format, (*name).to_owned()), different);
                assert!(earlier.is_none(), "{format:?} {name} is listed twice");
            }
        }
    }
    all
}
