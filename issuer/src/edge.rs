//! Edges that are enrolled: who they are, what they hold, and what is sent to them.

mod assertion;
mod bundle;
mod counts;
mod credential;
mod jwe;
mod name;
mod push;
mod push_url;
mod standing;

use serde::{Deserialize, Serialize};

#[cfg(test)]
pub(crate) use self::jwe::tests::decrypt;
pub(crate) use self::{
    assertion::{asserted_edge, assertion},
    bundle::{Bundle, PUSH_TYPE, bundle_etag, generation_of},
    counts::EdgeCounts,
    credential::credential,
    push_url::is_loopback,
    standing::{Judgement, is_proven, standings},
};
pub use self::{
    name::{EdgeName, EdgeNameError},
    push::EdgePush,
    push_url::{PushUrl, PushUrlError},
    standing::{EdgeStanding, EdgeState},
};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    key::{Key, PublicKey},
    secret::random_id,
};

const ID_BYTES: usize = 16;
const ID_CHARS: usize = 22;

/// What the vault keeps the key set under that bundles are signed with. No domain's name has a `_`.
pub(crate) const BUNDLE_KEY_SET: &str = "_edges";

/// What an edge is known by: random, and never used again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EdgeId(String);

impl EdgeId {
    /// A fresh one.
    #[must_use]
    pub fn random() -> Self {
        Self(random_id(ID_BYTES))
    }

    /// One that was stored.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// One that someone claims to have, if it can be one: no storage is asked for anything else.
    pub(crate) fn claimed(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let fits = text.len() == ID_CHARS && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned()))
    }

    /// The id as text: 22 of A-Z, a-z, 0-9, `-` and `_`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The public half of a key of an edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EdgeKey {
    /// The `kid`: the RFC 7638 thumbprint.
    pub id: String,
    /// What anyone may know of it.
    pub public: PublicKey,
}

impl EdgeKey {
    /// The public half of an asymmetric key.
    pub(crate) fn of(key: &Key) -> Option<Self> {
        Some(Self { id: key.id.clone(), public: key.public.clone()? })
    }
}

/// An edge that was enrolled. Its private keys are its own: nobody else has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Unique among all that ever were.
    pub id: EdgeId,
    /// Unique among those that are enrolled.
    pub name: EdgeName,
    /// The domains whose keys it may have, in order.
    pub domains: Vec<DomainName>,
    /// What its requests are checked with.
    pub signing_key: EdgeKey,
    /// What is sent to it is encrypted to this.
    pub encryption_key: EdgeKey,
    /// Where it is told that something has changed.
    pub push_url: Option<PushUrl>,
    /// When it was enrolled.
    pub created_at: Timestamp,
    /// When it was cut off.
    pub removed_at: Option<Timestamp>,
}

/// The last time that a process of an edge asked for a domain's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The edge.
    pub edge: EdgeId,
    /// Whose keys it asked for.
    pub domain: DomainName,
    /// The process, as it calls itself: 16 hexadecimal digits.
    pub instance: String,
    /// When it did.
    pub at: Timestamp,
    /// The generation that it held then, if any.
    pub generation: Option<u64>,
}

impl Contact {
    /// How long one is kept, in seconds.
    pub const KEPT_SECONDS: u64 = 7 * 24 * 60 * 60;
}

impl Edge {
    /// Whether it is enrolled for that domain, and still is.
    #[must_use]
    pub fn is_enrolled_for(&self, domain: &DomainName) -> bool {
        self.removed_at.is_none() && self.domains.contains(domain)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::key::SigningAlgorithm;

    #[test]
    fn what_cannot_be_an_id_is_none() {
        let id = EdgeId::random();
        assert_eq!(EdgeId::claimed(id.as_str()), Some(id));
        for text in ["", "abc", &"a".repeat(21), &"a".repeat(23), &"#".repeat(22), &"ä".repeat(11)]
        {
            assert_eq!(EdgeId::claimed(text), None, "{text}");
        }
    }

    /// An edge whose private keys nobody has.
    pub(crate) fn edge(name: &str, domains: &[&str]) -> Edge {
        let key = || {
            let key = Key::generate(SigningAlgorithm::Es256, Timestamp(1), 1).unwrap();
            EdgeKey::of(&key).unwrap()
        };
        Edge {
            id: EdgeId::random(),
            name: name.parse().unwrap(),
            domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
            signing_key: key(),
            encryption_key: key(),
            push_url: None,
            created_at: Timestamp(1),
            removed_at: None,
        }
    }
}
