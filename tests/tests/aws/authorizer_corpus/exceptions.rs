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

pub(crate) const DIFFERENT: &[Different] = &[];

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
