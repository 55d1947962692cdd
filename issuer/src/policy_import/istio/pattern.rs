//! Istio's wildcards: `abc`, `abc*`, `*abc`, and `*` for anything that is there.

/// What a text has to fit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pattern {
    Present,
    Exact(String),
    /// It begins and ends so; either may be empty, and they may share what is between.
    Affixes {
        prefix: String,
        suffix: String,
    },
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Self {
        if text == "*" {
            Self::Present
        } else if let Some(suffix) = text.strip_prefix('*') {
            Self::Affixes { prefix: String::new(), suffix: suffix.to_owned() }
        } else if let Some(prefix) = text.strip_suffix('*') {
            Self::Affixes { prefix: prefix.to_owned(), suffix: String::new() }
        } else {
            Self::Exact(text.to_owned())
        }
    }

    pub(super) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Present => !text.is_empty(),
            Self::Exact(exact) => text == exact,
            Self::Affixes { prefix, suffix } => text.starts_with(prefix) && text.ends_with(suffix),
        }
    }

    /// What fits both; none where nothing does.
    pub(super) fn overlap(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Present, pattern) | (pattern, Self::Present) => Some(pattern.clone()),
            (Self::Exact(text), pattern) | (pattern, Self::Exact(text)) => {
                pattern.fits(text).then(|| Self::Exact(text.clone()))
            }
            (
                Self::Affixes { prefix, suffix },
                Self::Affixes { prefix: other_prefix, suffix: other_suffix },
            ) => Some(Self::Affixes {
                prefix: longer(prefix, other_prefix, |long, short| long.starts_with(short))?,
                suffix: longer(suffix, other_suffix, |long, short| long.ends_with(short))?,
            }),
        }
    }
}

fn longer(one: &str, other: &str, has: impl Fn(&str, &str) -> bool) -> Option<String> {
    let (long, short) = if one.len() >= other.len() { (one, other) } else { (other, one) };
    has(long, short).then(|| long.to_owned())
}

/// The path pattern as a regex that has to match all of a path, which begins with a slash.
pub(super) fn path_regex(prefix: &str, suffix: &str) -> String {
    let prefix = if prefix.is_empty() { "/" } else { prefix };
    let mut regex = format!("{}.*{}", escape(prefix), escape(suffix));
    // `/a/b` begins with `/a/` and ends with `/b`: the two share a slash.
    for (start, _) in suffix.char_indices().skip(1).chain([(suffix.len(), ' ')]) {
        let Some((shared, rest)) = suffix.split_at_checked(start) else { continue };
        if !shared.is_empty() && prefix.ends_with(shared) {
            regex = format!("{regex}|{}", escape(&format!("{prefix}{rest}")));
        }
    }
    regex
}

/// A text as a regex that matches nothing else.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for sign in text.chars() {
        if r"\.+*?()|[]{}^$".contains(sign) {
            escaped.push('\\');
        }
        escaped.push(sign);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_overlap_where_a_text_fits_both() {
        let overlap = |one, other| Pattern::parse(one).overlap(&Pattern::parse(other));
        for (one, other, common) in [
            ("/a*", "/ab*", Some("/ab*")),
            ("/a*", "/b*", None),
            ("/ab", "/a*", Some("/ab")),
            ("/ab", "/ab", Some("/ab")),
            ("/ab", "/abc", None),
            ("*.js", "*.min.js", Some("*.min.js")),
            ("*.js", "*.css", None),
            ("*.js", "/x.js", Some("/x.js")),
            ("*", "/a*", Some("/a*")),
        ] {
            let common = common.map(Pattern::parse);
            assert_eq!(overlap(one, other), common, "{one} {other}");
            assert_eq!(overlap(other, one), common, "{other} {one}");
        }
        let both = overlap("/a*", "*.js").unwrap();
        let of_both = |text| both.fits(text);
        assert_eq!(["/a.js", "/a/b.js", "/b.js", "/a"].map(of_both), [true, true, false, false]);
    }

    #[test]
    fn a_regex_counts_what_prefix_and_suffix_share() {
        assert_eq!(path_regex("/a-b", ".js"), r"/a-b.*\.js");
        assert_eq!(path_regex("", ".js"), r"/.*\.js");
        assert_eq!(path_regex("", "/avatar"), "/.*/avatar|/avatar");
        assert_eq!(path_regex("/a/", "/b"), "/a/.*/b|/a/b");
        assert_eq!(path_regex("/xx", "xxy"), "/xx.*xxy|/xxxy|/xxy");
        assert_eq!(path_regex("/x", "/x"), "/x.*/x|/x");
    }
}
