//! Path templates, as Envoy's `UriTemplateMatchConfig` has them: `*` is one segment, `**` is the
//! rest, `{name}` is a segment with a name, `{name=pattern}` a pattern with one.

use std::{collections::BTreeSet, iter::Peekable, str::Chars};

use regex_lite::Regex;

use super::{error::PolicyError, route_match::plain_path, string_matcher::full_match};

/// Most variables that a template may name; Envoy's bound.
const MAX_VARIABLES: usize = 5;

/// The regex of a template, for decoded paths.
pub(super) fn compile(template: &str, member: &str) -> Result<Regex, PolicyError> {
    let error = |reason: &str| PolicyError::new(member, reason);
    let mut parser =
        Parser { rest: template.chars().peekable(), names: BTreeSet::new(), end: false };
    let pattern = parser.pattern(false).map_err(error)?;
    // Where the template is literal, it has to be a path that a request can have.
    let example: String = pattern.iter().map(Piece::example).collect();
    plain_path(&example, "", member)?;
    let regex: String = pattern.iter().map(Piece::regex).collect();
    full_match(&regex).map_err(|reason| error(&reason))
}

enum Piece {
    Literal(String),
    Segment,
    Rest,
}

impl Piece {
    fn regex(&self) -> String {
        match self {
            Self::Literal(text) => regex_lite::escape(text),
            Self::Segment => "[^/]+".to_owned(),
            Self::Rest => "(?s:.*)".to_owned(),
        }
    }

    fn example(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Segment | Self::Rest => "x",
        }
    }
}

struct Parser<'t> {
    rest: Peekable<Chars<'t>>,
    names: BTreeSet<String>,
    /// Whether `**` was met, behind which there may be nothing.
    end: bool,
}

impl Parser<'_> {
    fn pattern(&mut self, in_variable: bool) -> Result<Vec<Piece>, &'static str> {
        let mut pieces = Vec::new();
        while let Some(sign) = self.rest.next_if(|sign| !(in_variable && *sign == '}')) {
            if self.end {
                return Err("nothing may stand behind `**`");
            }
            match sign {
                '*' => pieces.push(self.wildcard()),
                '{' if in_variable => return Err("a variable must not hold another"),
                '{' => pieces.extend(self.variable()?),
                '}' => return Err("`}` closes nothing"),
                '%' => {
                    return Err("it is matched against the decoded path, so it must hold no `%`");
                }
                literal => match pieces.last_mut() {
                    Some(Piece::Literal(text)) => text.push(literal),
                    _ => pieces.push(Piece::Literal(literal.to_string())),
                },
            }
        }
        Ok(pieces)
    }

    fn wildcard(&mut self) -> Piece {
        if self.rest.next_if_eq(&'*').is_none() {
            return Piece::Segment;
        }
        self.end = true;
        Piece::Rest
    }

    fn variable(&mut self) -> Result<Vec<Piece>, &'static str> {
        let mut name = String::new();
        while let Some(sign) =
            self.rest.next_if(|sign| sign.is_ascii_alphanumeric() || *sign == '_')
        {
            name.push(sign);
        }
        if !name.starts_with(|sign: char| sign.is_ascii_alphabetic()) {
            return Err("a variable's name begins with a letter, and has letters, digits and `_`");
        }
        if !self.names.insert(name) {
            return Err("two variables have one name");
        }
        if self.names.len() > MAX_VARIABLES {
            return Err("it may have at most 5 variables");
        }
        let pieces = match self.rest.next() {
            Some('}') => return Ok(vec![Piece::Segment]),
            Some('=') => self.pattern(true)?,
            _ => return Err("a variable must be closed by `}`"),
        };
        match self.rest.next() {
            Some('}') if !pieces.is_empty() => Ok(pieces),
            Some('}') => Err("a variable's pattern must not be empty"),
            _ => Err("a variable must be closed by `}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_paths_segment_by_segment() {
        for (template, fits, misfits) in [
            ("/a/*", vec!["/a/b"], vec!["/a/", "/a", "/a/b/c", "/x/a/b"]),
            ("/a/**", vec!["/a/", "/a/b", "/a/b/c"], vec!["/a", "/ab/c"]),
            ("/{x}/b", vec!["/a/b"], vec!["/b", "//b", "/a/c/b"]),
            ("/{x=a/*}/b", vec!["/a/z/b"], vec!["/b/z/b", "/a/b"]),
            ("/f/{rest=**}", vec!["/f/", "/f/a/b"], vec!["/f"]),
            ("/a.b", vec!["/a.b"], vec!["/axb"]),
            ("/*.txt", vec!["/a.txt"], vec!["/a/b.txt", "/atxt"]),
        ] {
            let regex = compile(template, "m").unwrap();
            assert!(fits.iter().all(|path| regex.is_match(path)), "{template}");
            assert!(!misfits.iter().any(|path| regex.is_match(path)), "{template}");
        }
    }

    #[test]
    fn an_error_is_clear() {
        for (template, expected) in [
            ("a", "m: it must begin with `/`"),
            ("", "m: it must begin with `/`"),
            ("/**/a", "m: nothing may stand behind `**`"),
            ("/{a=**}/b", "m: nothing may stand behind `**`"),
            ("/{}", "m: a variable's name"),
            ("/{1a}", "m: a variable's name"),
            ("/{a", "m: a variable must be closed"),
            ("/{a=", "m: a variable must be closed"),
            ("/{a=}", "m: a variable's pattern"),
            ("/{a={b}}", "m: a variable must not hold another"),
            ("/a}", "m: `}` closes nothing"),
            ("/{a}/{a}", "m: two variables have one name"),
            ("/{a}/{b}/{c}/{d}/{e}/{f}", "m: it may have at most 5"),
            ("/a%20b", "m: it is matched against the decoded path"),
            ("/a//b", "m: no request can have this path"),
        ] {
            let error = compile(template, "m").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{template}: {error}");
        }
    }
}
