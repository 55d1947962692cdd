//! The tokens that there are to present: living ones, and what became of others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::book::Manner;
use crate::load::Random;

/// How many old tokens of a kind are kept.
const MAX_OLD: usize = 300;
/// How long it matters most whether a token that is revoked still passes.
const FRESH: Duration = Duration::from_secs(14);

/// A token, with its number in the book.
#[derive(Debug)]
pub(super) struct Specimen {
    pub(super) number: usize,
    pub(super) token: String,
    pub(super) domain: &'static str,
    /// Its `sub`.
    pub(super) subject: String,
    pub(super) key_id: String,
    /// Its `iat` and `exp`.
    pub(super) issued: Duration,
    pub(super) expiration: Duration,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    current: Vec<Arc<Specimen>>,
    /// Replaced by a refresh, or left by their owners: they pass until they expire.
    left: VecDeque<Arc<Specimen>>,
    /// Since when.
    revoked: VecDeque<(Duration, Arc<Specimen>)>,
}

impl Pool {
    /// Puts a session's new token in the place of its old one, if it had one.
    pub(super) fn renew(&self, old: Option<&Arc<Specimen>>, new: &Arc<Specimen>) {
        let mut tokens = self.lock();
        if let Some(old) = old {
            tokens.leave(old);
        }
        tokens.current.push(Arc::clone(new));
    }

    /// Nobody refreshes it any more.
    pub(super) fn leave(&self, old: &Arc<Specimen>) {
        self.lock().leave(old);
    }

    /// Its session is over, or its key is withdrawn: it matters now whether it passes.
    pub(super) fn revoke(&self, old: &Arc<Specimen>, now: Duration) {
        let mut tokens = self.lock();
        tokens.current.retain(|other| !Arc::ptr_eq(other, old));
        tokens.left.retain(|other| !Arc::ptr_eq(other, old));
        if tokens.revoked.len() >= MAX_OLD {
            tokens.revoked.pop_front();
        }
        tokens.revoked.push_back((now, Arc::clone(old)));
    }

    /// The same of all for which this is so.
    pub(super) fn revoke_all(&self, is_hit: impl Fn(&Specimen) -> bool, now: Duration) {
        let tokens = self.lock();
        let all = tokens.current.iter().chain(&tokens.left).filter(|token| is_hit(token));
        let hit: Vec<Arc<Specimen>> =
            all.filter(|token| token.expiration > now).map(Arc::clone).collect();
        drop(tokens);
        for token in hit {
            self.revoke(&token, now);
        }
    }

    /// A token to present, and how: of 20, 9 as they should be, and some of each kind that is not. None
    /// where there is none of the kind yet.
    pub(super) fn draw(&self, random: &Random, now: Duration) -> Option<(Arc<Specimen>, Manner)> {
        let mut tokens = self.lock();
        let Tokens { current, left, revoked } = &mut *tokens;
        let pick = |from: &[Arc<Specimen>], manner| {
            random.choose(from).map(|specimen| (Arc::clone(specimen), manner))
        };
        match random.below(20) {
            0..=8 => pick(current, Manner::AsItIs),
            9 => pick(current, Manner::Abroad),
            10..=11 => pick(current, Manner::Forged),
            12..=13 => pick(left.make_contiguous(), Manner::AsItIs),
            14 => {
                let is_over = |token: &&Arc<Specimen>| token.expiration < now;
                let over: Vec<_> = left.iter().filter(is_over).map(Arc::clone).collect();
                pick(&over, Manner::AsItIs)
            }
            15 => {
                let (_, token) = random.choose(revoked.make_contiguous())?;
                Some((Arc::clone(token), Manner::AsItIs))
            }
            _ => {
                let is_fresh = |(since, token): &&(Duration, Arc<Specimen>)| {
                    *since + FRESH > now && token.expiration > now
                };
                let fresh = revoked.iter().filter(is_fresh).map(|(_, token)| Arc::clone(token));
                pick(&fresh.collect::<Vec<_>>(), Manner::AsItIs)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tokens {
    fn leave(&mut self, old: &Arc<Specimen>) {
        let before = self.current.len();
        self.current.retain(|other| !Arc::ptr_eq(other, old));
        // One that was revoked meanwhile stays among those.
        if self.current.len() == before {
            return;
        }
        if self.left.len() >= MAX_OLD {
            self.left.pop_front();
        }
        self.left.push_back(Arc::clone(old));
    }
}
