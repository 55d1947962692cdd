//! Conditions on a request's token.

use std::collections::BTreeSet;

use super::{
    super::{ImportError, Notes, members::Node},
    need::{Claim, Need, Test, Token},
    pattern::Pattern,
    provider::Provider,
};

/// More alternatives than this help nobody.
const MAX_ALTERNATIVES: usize = 256;

/// One of the alternatives has to be met; or, negated, none may be.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) alternatives: Vec<Need>,
    pub(super) negated: bool,
    pub(super) place: String,
}

/// What of a token a condition is about.
#[derive(Debug, Clone)]
pub(super) enum Subject {
    Principal,
    Claim(Vec<String>),
}

impl Subject {
    /// By the `key` of a condition; none where it is about something else.
    pub(super) fn of_key(key: &str) -> Option<Self> {
        let claim = |name: &str| Some(Self::Claim(vec![name.to_owned()]));
        match key {
            "request.auth.principal" => Some(Self::Principal),
            "request.auth.audiences" => claim("aud"),
            "request.auth.presenter" => claim("azp"),
            _ => bracketed(key.strip_prefix("request.auth.claims")?).map(Self::Claim),
        }
    }

    /// The condition that a token's value is one of these. A value that cannot be said is left
    /// out, which lets in less: a need has fewer alternatives then.
    pub(super) fn condition(
        &self,
        values: &Node<'_>,
        negated: bool,
        providers: &[Provider],
        notes: &mut Notes,
    ) -> Result<Condition, ImportError> {
        let mut alternatives = Vec::new();
        let items = values.items()?;
        if items.len() > MAX_ALTERNATIVES {
            return Err(ImportError::new(&values.place, "it has too many values"));
        }
        for value in items {
            let needs = match self {
                Self::Principal => principal(value.string()?, providers),
                Self::Claim(path) => claim(path, &Pattern::parse(value.string()?), providers),
            };
            match needs {
                Ok(needs) => alternatives.extend(needs),
                Err(reason) => notes.left_out(value.place, reason),
            }
        }
        let alternatives = simplify(alternatives);
        Ok(Condition { alternatives, negated, place: values.place.clone() })
    }
}

/// The names in `[a][b]`.
pub(super) fn bracketed(text: &str) -> Option<Vec<String>> {
    let names = text.strip_prefix('[')?.strip_suffix(']')?.split("][");
    let names: Vec<String> = names.map(str::to_owned).collect();
    names.iter().all(|name| !name.is_empty() && !name.contains(['[', ']'])).then_some(names)
}

/// Istio divides `issuer/subject` at the last slash, since an issuer has slashes of its own.
fn principal(value: &str, providers: &[Provider]) -> Result<Vec<Need>, String> {
    let (issuer, subject) = match (value, value.rsplit_once('/')) {
        ("*", _) => (Pattern::Present, Pattern::Present),
        (_, Some((issuer, subject))) if value.starts_with('*') => {
            (Pattern::parse(issuer), Pattern::Exact(subject.to_owned()))
        }
        (_, None) if value.starts_with('*') => (Pattern::Present, Pattern::parse(value)),
        (_, Some((issuer, subject))) if value.ends_with('*') => {
            (Pattern::Exact(issuer.to_owned()), Pattern::parse(subject))
        }
        (_, None) if value.ends_with('*') => (Pattern::parse(value), Pattern::Present),
        (_, Some((issuer, subject))) => {
            (Pattern::Exact(issuer.to_owned()), Pattern::Exact(subject.to_owned()))
        }
        (_, None) => return Err("a principal is an issuer, a slash and a subject".to_owned()),
    };
    let fits =
        |(index, provider): (usize, &Provider)| issuer.fits(&provider.issuer).then_some(index);
    let providers: BTreeSet<usize> = providers.iter().enumerate().filter_map(fits).collect();
    if providers.is_empty() {
        return Err("no provider of the policy has such an issuer".to_owned());
    }
    let claim = Claim { path: vec!["sub".to_owned()], test: test(&subject, false)? };
    Ok(vec![Need::Token(Token { providers, claims: [claim].into() })])
}

/// Some providers split the claim at spaces, others may not.
fn claim(path: &[String], value: &Pattern, providers: &[Provider]) -> Result<Vec<Need>, String> {
    let is_split =
        |provider: &Provider| matches!(path, [name] if provider.space_delimited.contains(name));
    let mut needs = Vec::new();
    for split in [false, true] {
        let of_kind =
            |(index, provider): (usize, &Provider)| (is_split(provider) == split).then_some(index);
        let providers: BTreeSet<usize> = providers.iter().enumerate().filter_map(of_kind).collect();
        if !providers.is_empty() {
            let claim = Claim { path: path.to_vec(), test: test(value, split)? };
            needs.push(Need::Token(Token { providers, claims: [claim].into() }));
        }
    }
    Ok(needs)
}

fn test(value: &Pattern, is_split: bool) -> Result<Test, String> {
    match value {
        Pattern::Present => Ok(Test::Present),
        Pattern::Exact(text) if is_split => Ok(Test::Contains(text.clone())),
        Pattern::Exact(text) => Ok(Test::OneOf([text.clone()].into())),
        Pattern::Affixes { prefix, suffix } if !is_split && suffix.is_empty() => {
            Ok(Test::Prefix(prefix.clone()))
        }
        Pattern::Affixes { .. } => {
            Err("a policy cannot say how this text ends or what one of its words begins with"
                .to_owned())
        }
    }
}

/// Fewer alternatives that come to the same.
fn simplify(needs: Vec<Need>) -> Vec<Need> {
    let mut simple: Vec<Need> = Vec::new();
    for need in needs {
        let merged = simple.iter_mut().find_map(|other| Some((other.or(&need)?, other)));
        match merged {
            Some((either, other)) => *other = either,
            None => simple.push(need),
        }
    }
    simple
}

/// The ways in which all of these conditions are met.
pub(super) fn all_of(conditions: &[&Condition]) -> Result<Vec<Need>, ImportError> {
    let mut needs = vec![Need::Open];
    for condition in conditions {
        let with = |need: &Need| {
            condition.alternatives.iter().map(|other| need.and(other)).collect::<Vec<_>>()
        };
        needs =
            simplify(needs.iter().flat_map(with).filter(|need| *need != Need::Closed).collect());
        if needs.len() > MAX_ALTERNATIVES {
            return Err(ImportError::new(&condition.place, "it has too many alternatives"));
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn providers() -> Vec<Provider> {
        let provider = |name: &str, space_delimited: &[&str]| Provider {
            name: name.to_owned(),
            issuer: format!("https://{name}.example/x"),
            words: Value::Null,
            space_delimited: space_delimited.iter().map(|name| (*name).to_owned()).collect(),
        };
        vec![provider("a", &["scope"]), provider("b", &["scope", "roles"])]
    }

    fn words(needs: Result<Vec<Need>, String>) -> Vec<Value> {
        let word = |need| {
            let Need::Token(token) = need else { panic!("{need:?}") };
            let claims: Vec<_> = token.claims.iter().map(Claim::words).collect();
            json!([token.providers, claims])
        };
        needs.unwrap_or_default().into_iter().map(word).collect()
    }

    #[test]
    fn principals_are_divided_at_the_last_slash() {
        for (value, expected) in [
            ("*", json!([[[0, 1], [{"name": "sub", "present": true}]]])),
            ("https://a.example/x/ada", json!([[[0], [{"name": "sub", "exact": "ada"}]]])),
            ("https://b.example/x/*", json!([[[1], [{"name": "sub", "present": true}]]])),
            ("https://b.example/x/ad*", json!([[[1], [{"name": "sub", "prefix": "ad"}]]])),
            ("*/ada", json!([[[0, 1], [{"name": "sub", "exact": "ada"}]]])),
            ("*b.example/x/ada", json!([[[1], [{"name": "sub", "exact": "ada"}]]])),
            ("*ada", json!([])),
            ("https://c.example/*", json!([])),
            ("ada", json!([])),
        ] {
            assert_eq!(json!(words(principal(value, &providers()))), expected, "{value}");
        }
    }

    #[test]
    fn claims_that_are_split_hold_words() {
        let claim = |name: &str, value| {
            json!(words(claim(&[name.to_owned()], &Pattern::parse(value), &providers())))
        };
        let both = json!([[[0, 1], [{"name": "scope", "contains": "read"}]]]);
        assert_eq!(claim("scope", "read"), both);
        assert_eq!(claim("scope", "read*"), json!([]));
        assert_eq!(claim("group", "a*"), json!([[[0, 1], [{"name": "group", "prefix": "a"}]]]));
        let each = json!([
            [[0], [{"name": "roles", "exact": "x"}]],
            [[1], [{"name": "roles", "contains": "x"}]]
        ]);
        assert_eq!(claim("roles", "x"), each);
    }

    #[test]
    fn keys_name_what_they_are_about() {
        let names = |key| match Subject::of_key(key) {
            Some(Subject::Claim(names)) => names.join("|"),
            Some(Subject::Principal) => "principal".to_owned(),
            None => "-".to_owned(),
        };
        for (key, expected) in [
            ("request.auth.claims[a]", "a"),
            ("request.auth.claims[a][b.c]", "a|b.c"),
            ("request.auth.claims[]", "-"),
            ("request.auth.claims[a", "-"),
            ("request.auth.claims", "-"),
            ("request.auth.audiences", "aud"),
            ("request.auth.presenter", "azp"),
            ("request.auth.principal", "principal"),
            ("source.ip", "-"),
        ] {
            assert_eq!(names(key), expected, "{key}");
        }
    }
}
