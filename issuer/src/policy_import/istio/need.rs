//! What a request needs to be let in, and how needs combine.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{super::policy::any_of, provider::Provider};

/// From nothing will do, over a token of certain kinds, to nothing is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Need {
    Closed,
    Token(Token),
    /// No token, or a valid one: Istio refuses bad tokens everywhere.
    Open,
}

/// A token of one of the providers, of which all claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) providers: BTreeSet<usize>,
    pub(super) claims: BTreeSet<Claim>,
}

/// A condition on a claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub(super) path: Vec<String>,
    pub(super) test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    Present,
    /// One of these, or an array that holds one of them.
    OneOf(BTreeSet<String>),
    Prefix(String),
    /// A space-separated list, or an array, that holds it.
    Contains(String),
}

impl Need {
    /// Whether whoever meets this one meets the other.
    pub(super) fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Closed, _) | (_, Self::Open) => true,
            (Self::Token(one), Self::Token(other)) => one.implies(other),
            _ => false,
        }
    }

    /// Both are needed.
    pub(super) fn and(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Closed, _) | (_, Self::Closed) => Self::Closed,
            (Self::Open, need) | (need, Self::Open) => need.clone(),
            (Self::Token(one), Self::Token(other)) => {
                let providers: BTreeSet<usize> =
                    one.providers.intersection(&other.providers).copied().collect();
                if providers.is_empty() {
                    return Self::Closed;
                }
                let claims = one.claims.union(&other.claims).cloned().collect();
                Self::Token(Token { providers, claims })
            }
        }
    }

    /// Either will do; none where a rule cannot say so.
    pub(super) fn or(&self, other: &Self) -> Option<Self> {
        if self.implies(other) {
            return Some(other.clone());
        }
        if other.implies(self) {
            return Some(self.clone());
        }
        match (self, other) {
            (Self::Token(one), Self::Token(other)) => one.or(other).map(Self::Token),
            _ => None,
        }
    }
}

impl Token {
    fn implies(&self, other: &Self) -> bool {
        let has = |claim: &Claim| self.claims.iter().any(|mine| mine.implies(claim));
        self.providers.is_subset(&other.providers) && other.claims.iter().all(has)
    }

    fn or(&self, other: &Self) -> Option<Self> {
        if self.claims == other.claims {
            let providers = self.providers.union(&other.providers).copied().collect();
            return Some(Self { providers, claims: self.claims.clone() });
        }
        let mine: Vec<_> = self.claims.difference(&other.claims).collect();
        let theirs: Vec<_> = other.claims.difference(&self.claims).collect();
        let ([mine], [theirs]) = (mine.as_slice(), theirs.as_slice()) else { return None };
        let (Test::OneOf(one), Test::OneOf(two)) = (&mine.test, &theirs.test) else { return None };
        if self.providers != other.providers || mine.path != theirs.path {
            return None;
        }
        let mut claims: BTreeSet<_> = self.claims.intersection(&other.claims).cloned().collect();
        let test = Test::OneOf(one.union(two).cloned().collect());
        claims.insert(Claim { path: mine.path.clone(), test });
        Some(Self { providers: self.providers.clone(), claims })
    }

    /// As `requires` of a rule.
    pub(super) fn requires(&self, providers: &[Provider]) -> Value {
        let name = |index: &usize| Some(providers.get(*index)?.name.as_str());
        any_of(self.providers.iter().filter_map(name))
    }
}

impl Claim {
    fn implies(&self, other: &Self) -> bool {
        self.path == other.path && self.test.implies(&other.test)
    }

    /// As a member of `claims` of a rule.
    pub(super) fn words(&self) -> Value {
        let (name, value) = match &self.test {
            Test::Present => ("present", json!(true)),
            Test::OneOf(values) => match values.first() {
                Some(value) if values.len() == 1 => ("exact", json!(value)),
                _ => ("one_of", json!(values)),
            },
            Test::Prefix(prefix) => ("prefix", json!(prefix)),
            Test::Contains(word) => ("contains", json!(word)),
        };
        match self.path.as_slice() {
            [claim] if !claim.contains('.') => json!({"name": claim, name: value}),
            path => json!({"path": path, name: value}),
        }
    }
}

impl Test {
    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Present) => true,
            (Self::OneOf(one), Self::OneOf(other)) => one.is_subset(other),
            (Self::OneOf(values), Self::Prefix(prefix)) => {
                values.iter().all(|value| value.starts_with(prefix))
            }
            (Self::Prefix(one), Self::Prefix(other)) => one.starts_with(other),
            (one, other) => one == other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(providers: &[usize], claims: &[(&str, &[&str])]) -> Need {
        let claims = claims.iter().map(|(name, values)| Claim {
            path: vec![(*name).to_owned()],
            test: Test::OneOf(values.iter().map(|value| (*value).to_owned()).collect()),
        });
        Need::Token(Token {
            providers: providers.iter().copied().collect(),
            claims: claims.collect(),
        })
    }

    #[test]
    fn either_is_only_said_where_it_lets_in_no_more() {
        let (a, b) = (token(&[0], &[("group", &["a"])]), token(&[0], &[("group", &["b"])]));
        assert_eq!(a.or(&b), Some(token(&[0], &[("group", &["a", "b"])])));
        assert_eq!(a.or(&token(&[0, 1], &[])), Some(token(&[0, 1], &[])));
        assert_eq!(token(&[0], &[]).or(&token(&[1], &[])), Some(token(&[0, 1], &[])));
        assert_eq!(a.or(&token(&[1], &[("group", &["b"])])), None, "of 1, `a` must not do");
        assert_eq!(a.or(&token(&[0], &[("role", &["b"])])), None);
        assert_eq!(a.or(&token(&[1], &[])), None);
        assert_eq!(a.or(&Need::Open), Some(Need::Open));
        assert_eq!(a.or(&Need::Closed), Some(a));
    }

    #[test]
    fn both_is_the_stricter() {
        let (a, b) = (token(&[0, 1], &[("group", &["a"])]), token(&[1, 2], &[("role", &["b"])]));
        assert_eq!(a.and(&b), token(&[1], &[("group", &["a"]), ("role", &["b"])]));
        assert_eq!(token(&[0], &[]).and(&token(&[1], &[])), Need::Closed);
        assert_eq!(a.and(&Need::Open), a);
        assert_eq!(a.and(&Need::Closed), Need::Closed);
    }

    #[test]
    fn a_claim_with_dots_is_a_path() {
        let claim = |path: &[&str], test| {
            Claim { path: path.iter().map(|name| (*name).to_owned()).collect(), test }.words()
        };
        assert_eq!(claim(&["a"], Test::Present), json!({"name": "a", "present": true}));
        let words = claim(&["https://a.example/b"], Test::Prefix("x".to_owned()));
        assert_eq!(words, json!({"path": ["https://a.example/b"], "prefix": "x"}));
        let words = claim(&["a", "b"], Test::Contains("x".to_owned()));
        assert_eq!(words, json!({"path": ["a", "b"], "contains": "x"}));
    }
}
