//! What all who take part in a run share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::Value;

use super::SHOP;
use super::book::{Book, Kind, Means, Revocation, Scope, Shift, TokenFacts, Trouble};
use super::pool::{Pool, Specimen};
use crate::load::{Forger, Random, command, published, since_epoch};
use crate::{Failure, Issuer, claims_of, header_of};

/// Shared by clients, users, and whoever disturbs them.
pub(super) struct Scene {
    pub(super) random: Arc<Random>,
    pub(super) forger: Forger,
    pub(super) pool: Pool,
    pub(super) counts: Counts,
    /// The points of public keys, by their `kid`s.
    public_keys: Mutex<BTreeMap<String, Vec<u8>>>,
    book: Mutex<Book>,
    ended: AtomicBool,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) logins: AtomicU64,
    pub(super) refreshes: AtomicU64,
    /// Times without an answer of the issuer.
    pub(super) unanswered: AtomicU64,
}

impl Scene {
    pub(super) fn new(random: Arc<Random>, book: Book) -> Result<Self, Failure> {
        Ok(Self {
            random,
            forger: Forger::new()?,
            pool: Pool::default(),
            counts: Counts::default(),
            public_keys: Mutex::default(),
            book: Mutex::new(book),
            ended: AtomicBool::new(false),
        })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a token that the issuer has made.
    pub(super) fn token(
        &self,
        token: String,
        domain: &'static str,
        session: u32,
    ) -> Result<Arc<Specimen>, Failure> {
        let (header, claims) = (header_of(&token), claims_of(&token));
        let text = |value: &serde_json::Value, name: &str| {
            value.get(name).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let time = |name: &str| Some(Duration::from_secs(claims.get(name)?.as_u64()?));
        let read =
            || Some((text(&claims, "sub")?, text(&header, "kid")?, time("iat")?, time("exp")?));
        let (subject, key_id, issued, expiration) =
            read().ok_or_else(|| Failure::new("the issuer's token lacks a claim"))?;
        let facts = TokenFacts {
            domain,
            subject: subject.clone(),
            session,
            key_id: key_id.clone(),
            issued,
            expiration,
        };
        let mut book = self.book();
        let number = book.tokens.len();
        book.tokens.push(facts);
        Ok(Arc::new(Specimen { number, token, domain, subject, key_id, issued, expiration }))
    }

    /// From now on it may be in force; returns its number.
    pub(super) fn revoke(&self, means: Means, scope: Scope) -> usize {
        let mut book = self.book();
        book.revocations.push(Revocation { means, scope, asked: since_epoch(), done: None });
        book.revocations.len() - 1
    }

    /// From now on it is.
    pub(super) fn is_revoked(&self, number: usize) {
        if let Some(revocation) = self.book().revocations.get_mut(number) {
            revocation.done.get_or_insert(since_epoch());
        }
    }

    /// It begins; returns its number.
    pub(super) fn begin(&self, kind: Kind, edge: Option<usize>) -> usize {
        self.begin_at(kind, edge, since_epoch())
    }

    /// It has begun at that time.
    pub(super) fn begin_at(&self, kind: Kind, edge: Option<usize>, since: Duration) -> usize {
        let mut book = self.book();
        book.troubles.push(Trouble { kind, edge, since, until: None });
        book.troubles.len() - 1
    }

    /// Whether it has been so at any time since then.
    pub(super) fn is_going_on(&self, kind: Kind, since: Duration) -> bool {
        self.book().troubles.iter().any(|trouble| trouble.kind == kind && trouble.end() >= since)
    }

    pub(super) fn finish(&self, number: usize) {
        if let Some(trouble) = self.book().troubles.get_mut(number) {
            trouble.until.get_or_insert(since_epoch());
        }
    }

    pub(super) fn shift(&self, edge: usize, seconds: i64) {
        self.book().shifts.push(Shift { edge, at: since_epoch(), seconds });
    }

    /// Enters the keys that a domain publishes by now; nothing changes where one was known.
    pub(super) async fn look_at_keys(
        &self,
        data: &Arc<Issuer>,
        domain: &'static str,
        now: Duration,
    ) -> Result<Vec<String>, Failure> {
        let keys = published(data, domain).await?;
        {
            let mut book = self.book();
            for key in &keys {
                book.keys.entry(key.clone()).or_insert(now);
            }
        }
        // Secrets are not for everyone.
        if domain == SHOP {
            let set = command(data, &["keys", "export", domain]).await?;
            let set: Value = serde_json::from_str(&set).unwrap_or_default();
            let keys = set.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
            self.publics().extend(keys.iter().filter_map(point));
        }
        Ok(keys)
    }

    /// What everyone knows of a key.
    pub(super) fn public_key(&self, key_id: &str) -> Vec<u8> {
        self.publics().get(key_id).cloned().unwrap_or_else(|| b"public".to_vec())
    }

    fn publics(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.public_keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The uncompressed point of an EC key, under its `kid`.
fn point(key: &Value) -> Option<(String, Vec<u8>)> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let number = |name: &str| Base64UrlUnpadded::decode_vec(text(name)?).ok();
    let point = [vec![4], number("x")?, number("y")?].concat();
    Some((text("kid")?.to_owned(), point))
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
