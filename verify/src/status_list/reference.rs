//! What a token says of its status list (§6), and what is kept of that with a verified token.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use serde_json::{Map, Value};

use super::not_before::time;
use crate::{
    claims::Claims,
    denial::Denial,
    policy::{Provider, StatusLists},
};

/// Where it stands whether a verified token has been revoked.
#[derive(Debug)]
pub(crate) struct Reference {
    /// The list, and the token's place in it; none where the policy lets tokens pass that name none.
    pub(crate) list: Option<(Box<str>, u64)>,
    pub(crate) issued_at: Option<Duration>,
    pub(crate) subject: Option<Box<str>>,
    /// Which of the ring's lists that was when it was last looked for: 0 where it has not been. So the
    /// next look costs no comparing of texts.
    found: AtomicU64,
    /// The state of the domain's `not_before` by which the token was found to be young enough: 0 where
    /// it has not been.
    passed: AtomicU64,
}

impl Reference {
    /// Of a verified token of this provider and domain. `None` where the provider has no lists.
    pub(crate) fn of_token(
        provider: &Provider,
        domain: Option<&str>,
        claims: &Claims,
    ) -> Result<Option<Self>, Denial> {
        let Some(lists) = &provider.status_lists else { return Ok(None) };
        let list = match status_list(claims)? {
            Some(named) => Some(place(named, lists, domain).ok_or(Denial::ClaimsMalformed)?),
            None if lists.allow_missing => None,
            None => return Err(Denial::StatusMissing),
        };
        Ok(Some(Self {
            list,
            issued_at: claims.value(&["iat"]).and_then(time),
            subject: claims.string("sub").map(Into::into),
            found: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }))
    }

    pub(crate) fn found(&self) -> u64 {
        self.found.load(Relaxed)
    }

    pub(crate) fn set_found(&self, found: u64) {
        self.found.store(found, Relaxed);
    }

    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Relaxed)
    }

    pub(crate) fn set_passed(&self, state: u64) {
        self.passed.store(state, Relaxed);
    }

    /// The texts that it owns.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let uri = self.list.iter().map(|(uri, _)| &**uri);
        uri.chain(self.subject.as_deref())
    }
}

/// The member `status_list` of the claim `status`. Other kinds of status are not known here, and a
/// token that has one of those only names no list.
fn status_list(claims: &Claims) -> Result<Option<&Map<String, Value>>, Denial> {
    let Some(status) = claims.value(&["status"]) else { return Ok(None) };
    let status = status.as_object().ok_or(Denial::ClaimsMalformed)?;
    let list = status.get("status_list");
    list.map(|list| list.as_object().ok_or(Denial::ClaimsMalformed)).transpose()
}

/// The URI and the index, where they are such and the list is one of the provider's.
fn place(
    named: &Map<String, Value>,
    lists: &StatusLists,
    domain: Option<&str>,
) -> Option<(Box<str>, u64)> {
    let uri = named.get("uri")?.as_str()?;
    lists.source_of(uri, domain)?;
    Some((uri.into(), named.get("idx")?.as_u64()?))
}
