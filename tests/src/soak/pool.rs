//! The tokens that there are to present: living ones, and what became of others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ledger::{Manner, Specimen};
use super::{SHOP, VAULT_DOMAIN};
use crate::load::Random;

/// How many old tokens of a kind are kept.
const MAX_OLD: usize = 200;

/// All of them, of both domains.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    shop: Kinds,
    vault: Kinds,
}

#[derive(Debug, Default)]
struct Kinds {
    current: Vec<Arc<Specimen>>,
    /// Replaced by a refresh: they pass until they expire, or their key is withdrawn.
    replaced: VecDeque<Arc<Specimen>>,
    revoked: VecDeque<Arc<Specimen>>,
}

impl Pool {
    /// Puts a session's new token in the place of its old one, if it had one.
    pub(super) fn renew(&self, old: Option<&Arc<Specimen>>, new: &Arc<Specimen>) {
        let mut tokens = self.lock();
        let kinds = tokens.of(new.domain);
        if let Some(old) = old {
            kinds.current.retain(|other| !Arc::ptr_eq(other, old));
            keep(&mut kinds.replaced, old);
        }
        kinds.current.push(Arc::clone(new));
    }

    /// A session is over, and so is its token, now or when it expires.
    pub(super) fn revoke(&self, old: &Arc<Specimen>) {
        let mut tokens = self.lock();
        let kinds = tokens.of(old.domain);
        kinds.current.retain(|other| !Arc::ptr_eq(other, old));
        keep(&mut kinds.revoked, old);
    }

    /// Nobody refreshes it any more, although nobody has ended its session.
    pub(super) fn abandon(&self, old: &Arc<Specimen>) {
        let mut tokens = self.lock();
        let kinds = tokens.of(old.domain);
        kinds.current.retain(|other| !Arc::ptr_eq(other, old));
        keep(&mut kinds.replaced, old);
    }

    /// A token to present, and how: of 20, 13 as they should be, and one or two of each kind that is
    /// not. None where there is none of the kind yet.
    pub(super) fn draw(&self, random: &Random) -> Option<(Arc<Specimen>, Manner)> {
        let mut tokens = self.lock();
        let Tokens { shop, vault } = &mut *tokens;
        let (from, manner) = match random.below(20) {
            0..=10 => (shop.current.as_slice(), Manner::AsItIs),
            11..=12 => (vault.current.as_slice(), Manner::AsItIs),
            13 => (&*shop.replaced.make_contiguous(), Manner::AsItIs),
            14 => (&*shop.revoked.make_contiguous(), Manner::AsItIs),
            15 => (&*vault.replaced.make_contiguous(), Manner::AsItIs),
            16 => (shop.current.as_slice(), Manner::WrongAudience),
            17 => (shop.current.as_slice(), Manner::OtherDomain),
            18 => (vault.current.as_slice(), Manner::OtherDomain),
            _ => (shop.current.as_slice(), Manner::Forged),
        };
        random.choose(from).map(|specimen| (Arc::clone(specimen), manner))
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tokens {
    fn of(&mut self, domain: &str) -> &mut Kinds {
        debug_assert!([SHOP, VAULT_DOMAIN].contains(&domain));
        if domain == SHOP { &mut self.shop } else { &mut self.vault }
    }
}

fn keep(old: &mut VecDeque<Arc<Specimen>>, token: &Arc<Specimen>) {
    if old.len() >= MAX_OLD {
        old.pop_front();
    }
    old.push_back(Arc::clone(token));
}
