//! What a rule of `jwt_authn` matches.

use serde_json::{Map, Value, json};

use super::super::{
    ImportError, Notes, check,
    members::{Members, Node},
};

/// What a rule matches, in a policy's words.
#[derive(Debug, Default)]
pub(super) struct Matched {
    pub(super) matcher: Map<String, Value>,
    /// What was left out narrows the rule: `matcher` is wider than it.
    pub(super) wider: bool,
    /// No request that Postern lets in matches.
    pub(super) never: bool,
}

/// Reads a `RouteMatch`.
pub(super) fn route_match(node: &Node<'_>, notes: &mut Notes) -> Result<Matched, ImportError> {
    let mut members = node.members()?;
    let mut out = Matched::default();
    let kind = path(&mut members, &mut out, notes)?;
    let case_sensitive = members.take("case_sensitive").map(|node| node.boolean()).transpose()?;
    let has_case = matches!(kind, "prefix" | "path" | "path_separated_prefix");
    if case_sensitive == Some(false) && has_case {
        out.matcher.insert("case_sensitive".to_owned(), json!(false));
    }
    for name in ["headers", "query_parameters"] {
        let mut list = Vec::new();
        for node in members.take_items(name)? {
            match header_matcher(&node, name == "headers")? {
                Ok(matcher) => list.push(matcher),
                Err((place, reason)) => out.leave_out(place, &reason, notes),
            }
        }
        if !list.is_empty() {
            out.matcher.insert(name.to_owned(), Value::Array(list));
        }
    }
    if let Some(node) = members.take("grpc") {
        leave_unknown(&node.members()?, &mut out, notes);
        out.matcher.insert("grpc".to_owned(), json!({}));
    }
    leave_unknown(&members, &mut out, notes);
    out.ask_core(node, kind, notes);
    Ok(out)
}

fn leave_unknown(members: &Members<'_>, out: &mut Matched, notes: &mut Notes) {
    for place in members.rest() {
        out.leave_out(place, "a policy cannot say it", notes);
    }
}

/// Reads which paths match, into `out`; the name of the member that says so.
fn path(
    members: &mut Members<'_>,
    out: &mut Matched,
    notes: &mut Notes,
) -> Result<&'static str, ImportError> {
    for name in ["prefix", "path", "path_separated_prefix"] {
        if let Some(node) = members.take(name) {
            // An empty prefix is one of every path, and every path begins with a slash.
            let text = node.string()?;
            let text = if name == "prefix" && text.is_empty() { "/" } else { text };
            out.matcher.insert(name.to_owned(), json!(text));
            return Ok(name);
        }
    }
    if let Some(node) = members.take("safe_regex") {
        let regex = regex(&node)?;
        out.matcher.insert("safe_regex".to_owned(), json!({"regex": regex}));
        return Ok("safe_regex");
    }
    if let Some(node) = members.take("connect_matcher") {
        leave_unknown(&node.members()?, out, notes);
        out.matcher.insert("connect_matcher".to_owned(), json!({}));
        return Ok("connect_matcher");
    }
    if let Some(template) = path_template(members)? {
        out.matcher.insert("path_template".to_owned(), json!(template));
        return Ok("path_template");
    }
    out.matcher.insert("prefix".to_owned(), json!("/"));
    out.leave_out(members.node.place.clone(), "it says no path that a policy can say", notes);
    Ok("prefix")
}

/// The template of a `path_match_policy`; other policies stay untaken.
fn path_template<'a>(members: &mut Members<'a>) -> Result<Option<&'a str>, ImportError> {
    let Some(policy) = members.take("path_match_policy") else { return Ok(None) };
    let config = policy.members()?.take("typed_config");
    let Some(config) = config else { return Ok(None) };
    let type_url = config.value.get("@type").and_then(Value::as_str).unwrap_or_default();
    if !type_url.ends_with(".UriTemplateMatchConfig") {
        return Ok(None);
    }
    config.members()?.take_string("path_template")
}

fn regex<'a>(node: &Node<'a>) -> Result<&'a str, ImportError> {
    let regex = node.members()?.take_string("regex")?;
    regex.ok_or_else(|| ImportError::new(&node.place, "it needs `regex`"))
}

impl Matched {
    fn leave_out(&mut self, place: String, reason: &str, notes: &mut Notes) {
        self.wider = true;
        notes.left_out(place, reason);
    }

    /// What the core refuses is either a path that no request may have, or beyond it.
    fn ask_core(&mut self, node: &Node<'_>, kind: &str, notes: &mut Notes) {
        let Some(error) = check::matcher(&json!(self.matcher)) else { return };
        let value = self.matcher.get(kind);
        let regex = value.and_then(|value| value.get("regex"));
        let text = regex.or(value).and_then(Value::as_str).unwrap_or_default().to_owned();
        // A separated prefix with a slash at its end is one of paths that requests do have.
        let is_plain = matches!(kind, "prefix" | "path")
            || (kind == "path_separated_prefix" && !text.ends_with('/'));
        let about_path = error.member == format!("rules[0].match.{kind}");
        if about_path && is_plain && !ends_within_escape(&text) {
            let text = "left unsaid: Postern refuses every request with such a path";
            notes.remark(&node.place, text);
            self.never = true;
            return;
        }
        let reason = format!("Postern refuses it ({})", error.reason);
        self.leave_out(node.place.clone(), &reason, notes);
        self.matcher = Map::new();
        self.matcher.insert("prefix".to_owned(), json!(literal_prefix(kind, &text)));
    }
}

/// A prefix of all paths that a refused regex or template matches.
fn literal_prefix(kind: &str, text: &str) -> String {
    let literal = match kind {
        "safe_regex" => regex_prefix(text),
        "path_template" => text.split(['{', '*']).next().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let usable = check::matcher(&json!({"prefix": literal})).is_none();
    if usable && literal.starts_with('/') { literal } else { "/".to_owned() }
}

/// A prefix that ends in the middle of `%41` is one of paths that requests do have.
fn ends_within_escape(prefix: &str) -> bool {
    let tail = prefix.as_bytes().rchunks(2).next().unwrap_or_default();
    tail.contains(&b'%')
}

/// What every match of the regex begins with.
pub(super) fn regex_prefix(regex: &str) -> String {
    if regex.contains('|') {
        return String::new();
    }
    let regex = regex.strip_prefix('^').unwrap_or(regex);
    let end = regex.find(|sign| "\\.+*?()[]{}^$".contains(sign)).unwrap_or(regex.len());
    let (literal, rest) = regex.split_at_checked(end).unwrap_or_default();
    let mut literal = literal.to_owned();
    if rest.starts_with(['*', '?', '{']) {
        // It is about the last sign, which may be missing.
        literal.pop();
    }
    literal
}

type Unsaid = (String, String);

/// Reads a `HeaderMatcher`, or a `QueryParameterMatcher`; the error is what a policy cannot say.
fn header_matcher(node: &Node<'_>, is_header: bool) -> Result<Result<Value, Unsaid>, ImportError> {
    let mut members = node.members()?;
    let mut out = Map::new();
    let name = members.take_string("name")?;
    let name = name.ok_or_else(|| ImportError::new(&node.place, "it needs `name`"))?;
    out.insert("name".to_owned(), json!(name));
    if let Some(node) = members.take("string_match") {
        match string_matcher(&node)? {
            Ok(matcher) => out.insert("string_match".to_owned(), matcher),
            Err(reason) => return Ok(Err((node.place, reason))),
        };
    }
    if let Some(node) = members.take("present_match") {
        out.insert("present_match".to_owned(), json!(node.boolean()?));
    }
    if is_header {
        value_matches(&mut members, &mut out)?;
    }
    match members.rest().into_iter().next() {
        Some(place) => Ok(Err((place, "a policy cannot say it".to_owned()))),
        None => Ok(Ok(Value::Object(out))),
    }
}

/// The members that only headers have.
fn value_matches(
    members: &mut Members<'_>,
    out: &mut Map<String, Value>,
) -> Result<(), ImportError> {
    for name in ["exact_match", "prefix_match", "suffix_match", "contains_match"] {
        if let Some(node) = members.take(name) {
            out.insert(name.to_owned(), json!(node.string()?));
        }
    }
    if let Some(node) = members.take("safe_regex_match") {
        out.insert("safe_regex_match".to_owned(), json!({"regex": regex(&node)?}));
    }
    if let Some(node) = members.take("range_match") {
        let mut members = node.members()?;
        let mut bound = |name| members.take(name).map_or(Ok(0), |node: Node<'_>| node.integer());
        let range = json!({"start": bound("start")?, "end": bound("end")?});
        out.insert("range_match".to_owned(), range);
    }
    for name in ["invert_match", "treat_missing_header_as_empty"] {
        if members.take_bool(name)? {
            out.insert(name.to_owned(), json!(true));
        }
    }
    Ok(())
}

/// Reads a `StringMatcher`; the error is why a policy cannot say it.
pub(super) fn string_matcher(node: &Node<'_>) -> Result<Result<Value, String>, ImportError> {
    let mut members = node.members()?;
    let mut out = Map::new();
    for name in ["exact", "prefix", "suffix", "contains"] {
        if let Some(node) = members.take(name) {
            out.insert(name.to_owned(), json!(node.string()?));
        }
    }
    let is_regex = members.take("safe_regex").map(|node| regex(&node)).transpose()?;
    if let Some(regex) = is_regex {
        out.insert("safe_regex".to_owned(), json!({"regex": regex}));
    }
    // Envoy ignores it beside a regex.
    if members.take_bool("ignore_case")? && is_regex.is_none() {
        out.insert("ignore_case".to_owned(), json!(true));
    }
    let known = members.rest().is_empty() && out.keys().any(|name| name != "ignore_case");
    Ok(if known {
        Ok(Value::Object(out))
    } else {
        Err("a policy cannot say this matcher".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regex_begins_with_what_all_its_matches_do() {
        for (regex, prefix) in [
            ("/api/v[0-9]+/.*", "/api/v"),
            ("^/api$", "/api"),
            ("/api/?", "/api"),
            ("/apis{0}", "/api"),
            ("/a+", "/a"),
            ("/a|/b", ""),
            ("(?i)/a", ""),
            (r"/a\.b", "/a"),
        ] {
            assert_eq!(regex_prefix(regex), prefix, "{regex}");
        }
    }

    #[test]
    fn escapes_may_be_cut() {
        for (prefix, cut) in [("/a%", true), ("/a%2", true), ("/a%2f", false), ("/", false)] {
            assert_eq!(ends_within_escape(prefix), cut, "{prefix}");
        }
    }
}
