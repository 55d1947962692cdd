//! The status lists of a policy's providers: fetched when a verified token names them, polled for as
//! long as such tokens come, and not too many of them.
//!
//! - [`slot`] is one list that is fetched: what is held of it, and when to fetch it.
//! - [`room`] bounds how many are held, of each domain and of all.
//! - [`since`] is from when on the tokens of a domain count.

mod room;
mod since;
mod slot;

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use self::{
    since::Since,
    slot::{ListSlot, Standing},
};
use super::{
    KeyRing, ProviderKeys, ask,
    fetch::{Fetch, FetchError, Fetched, KeySetId, KeyUpdate},
    next_use, sane, schedule,
};
use crate::{
    algorithm::Algorithm,
    denial::Denial,
    jwk_set::JwkSet,
    policy::{DOMAIN, KeyFetching, Policy, Provider, ProviderIndex, StatusLists},
    signature::SignatureVerifier,
    status_list::{Reference, StatusList, StatusListError, Terms, UnverifiedList},
};

/// What a token is told that cannot wait for its list, or for room for it.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many bits of what is remembered of a list say where it is; the others hold its serial number.
const PLACE_BITS: u32 = 16;

/// The status lists of all providers.
#[derive(Debug)]
pub(super) struct ListRing {
    providers: Vec<Option<ProviderLists>>,
    last_serial: u64,
    last_state: u64,
    refused: u64,
    stale: Cell<u64>,
}

#[derive(Debug)]
struct ProviderLists {
    provider: ProviderIndex,
    policy: StatusLists,
    fetching: KeyFetching,
    algorithms: Vec<Algorithm>,
    clock_skew: Duration,
    /// By their place, which a list keeps for as long as it is held.
    slots: Vec<Option<ListSlot>>,
    /// Their places, by URI.
    places: BTreeMap<Box<str>, usize>,
    /// By domain; `""` where the provider has none.
    since: BTreeMap<Box<str>, Since>,
}

/// What is known of whether a verified token has been revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatusAtHand {
    /// It has not been.
    Valid,
    /// It had not been when the list was last seen, which is too long ago; the policy lets it pass.
    Stale,
    Revoked,
    /// It was issued too early.
    TooOld,
    /// The list may be there soon. Who cannot wait for it may go by the one that is held, if the policy
    /// lets stale ones count.
    Await {
        may_be_stale: bool,
    },
    /// The list is not there, and will not be for a while.
    Unavailable {
        retry_after: Duration,
    },
}

impl KeyRing {
    /// The status of a verified token of this provider and domain.
    pub(crate) fn status_at_hand(
        &self,
        provider: ProviderIndex,
        domain: Option<&str>,
        token: &Reference,
        now: Duration,
    ) -> StatusAtHand {
        let Some(lists) = self.lists.of(provider) else { return StatusAtHand::Valid };
        lists.status(domain, token, next_use(&self.uses), sane(now))
    }

    /// How many status lists of a provider (counted as in [`KeySetId`]) are in use, and when the one
    /// of which that is longest ago was last known to be good; `None` where none is.
    #[must_use]
    pub fn status_lists(&self, provider: usize) -> Option<(usize, Duration)> {
        let slots = self.lists.of(provider)?.slots();
        let confirmed: Vec<Duration> = slots.filter_map(ListSlot::confirmed).collect();
        Some((confirmed.len(), confirmed.into_iter().min()?))
    }

    /// Notes that a token has passed by a stale list.
    pub(crate) fn count_stale_status(&self) {
        self.lists.stale.set(self.lists.stale.get().saturating_add(1));
    }

    /// How many lists were refused, and how many requests passed by a stale one.
    pub(crate) fn status_counters(&self) -> (u64, u64) {
        (self.lists.refused, self.lists.stale.get())
    }

    /// Asks for a list ahead of time; as of key sets.
    pub(super) fn demand_list(&mut self, key_set: &KeySetId, uri: &str, now: Duration) -> bool {
        let use_number = next_use(&self.uses);
        let ListRing { providers, last_serial: serial, .. } = &mut self.lists;
        let lists = providers.get_mut(key_set.provider).and_then(Option::as_mut);
        let Some(lists) = lists else { return false };
        let fetching = lists.fetching;
        let slot = lists.enter(key_set.domain.as_deref(), uri, serial, now);
        slot.is_some_and(|slot| {
            slot.touch(use_number);
            slot.demand(&fetching, now)
        })
    }

    /// Whether copies of a list have counted for long enough.
    pub(super) fn has_list_copies_enough(&self, provider: ProviderIndex, uri: &str) -> bool {
        let slot = self.lists.of(provider).and_then(|lists| lists.slot(uri));
        slot.is_some_and(ListSlot::has_copies_enough)
    }

    /// Takes the end of the fetch of a list.
    pub(super) fn end_list_fetch(
        &mut self,
        fetch: &Fetch,
        uri: &str,
        answer: Answer<'_>,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        let provider = fetch.key_set.provider;
        let domain = fetch.key_set.domain.as_deref();
        let keys = self.providers.get(provider).and_then(|keys| keys.usable(domain, now));
        let Some(lists) = self.lists.providers.get_mut(provider).and_then(Option::as_mut) else {
            return Ok(KeyUpdate::Ignored);
        };
        if !lists.slot(uri).is_some_and(|slot| slot.is_attempt(fetch.attempt)) {
            return Ok(KeyUpdate::Ignored);
        }
        let checking = Checking { host: &*self.signatures, keys, seed: self.seed, now };
        let is_copy = matches!(answer, Answer::Copy(..));
        let result = lists.end_fetch(uri, answer, &checking, &mut self.lists.last_state);
        if let Err(FetchError::StatusList(error)) = &result {
            let is_first = lists.slot_mut(uri).is_some_and(|slot| {
                // That there is a new key says nothing against the list, unless new keys do not help.
                is_for_want_of_keys(error) && !std::mem::replace(&mut slot.awaits_keys, true)
            });
            // A store may well have what is old.
            let is_old = matches!(error, StatusListError::Expired | StatusListError::RolledBack);
            let counts = !(is_first || is_copy && is_old);
            self.lists.refused = self.lists.refused.saturating_add(u64::from(counts));
            if is_for_want_of_keys(error) {
                self.ask_for_keys(provider, domain, now);
            }
        }
        result
    }

    fn ask_for_keys(&mut self, provider: ProviderIndex, domain: Option<&str>, now: Duration) {
        match self.providers.get_mut(provider) {
            Some(ProviderKeys::Remote(slot)) => {
                ask(slot, &mut self.unknown_keys, now);
            }
            Some(ProviderKeys::Domains(domains)) => {
                let use_number = next_use(&self.uses);
                domains.demand(domain.unwrap_or_default(), use_number, now);
            }
            _ => {}
        }
    }

    /// The keys of a provider, or of one of its domains, have become others.
    pub(super) fn check_lists(&mut self, key_set: &KeySetId, now: Duration) {
        let domain = key_set.domain.as_deref();
        let keys = self.providers.get(key_set.provider).and_then(|keys| keys.usable(domain, now));
        let lists = self.lists.providers.get_mut(key_set.provider).and_then(Option::as_mut);
        if let (Some(lists), Some(keys)) = (lists, keys) {
            lists.check_keys(domain, keys, now);
        }
    }
}

impl ListRing {
    /// As of key sets.
    pub(super) fn expect_news(&mut self, provider: ProviderIndex, uri: &str, now: Duration) {
        let lists = self.providers.get_mut(provider).and_then(Option::as_mut);
        let slot = lists.and_then(|lists| lists.slot_mut(uri));
        if let Some(slot) = slot.filter(|slot| !slot.is_expected(now)) {
            slot.ask(now);
        }
    }
}

impl ProviderKeys {
    fn usable(&self, domain: Option<&str>, now: Duration) -> Option<&JwkSet> {
        match self {
            Self::Local { keys, .. } => Some(keys),
            Self::Remote(slot) => slot.keys(now),
            Self::Domains(domains) => domains.slot(domain?)?.keys(now),
        }
    }
}

/// What an issuer answered: to this gate, or to another one at some time.
#[derive(Clone, Copy)]
pub(super) enum Answer<'a> {
    Own(Fetched<'a>),
    Copy(Fetched<'a>, Duration),
}

/// With what a list is checked.
struct Checking<'a> {
    host: &'a dyn SignatureVerifier,
    keys: Option<&'a JwkSet>,
    seed: u64,
    now: Duration,
}

impl ListRing {
    pub(super) fn new(policy: &Policy) -> Self {
        let providers = policy.providers.iter().enumerate();
        Self {
            providers: providers.map(|(index, it)| ProviderLists::new(index, it)).collect(),
            last_serial: 0,
            last_state: 0,
            refused: 0,
            stale: Cell::new(0),
        }
    }

    pub(super) fn poll_fetch(&mut self, now: Duration) -> Option<Fetch> {
        self.providers.iter_mut().flatten().find_map(|lists| lists.poll_fetch(now))
    }

    /// Makes a fetch due of the lists of these issuers.
    pub(super) fn hear_news(
        &mut self,
        policy: &Policy,
        is_meant: impl Fn(&str) -> bool,
        now: Duration,
    ) {
        for (provider, lists) in policy.providers.iter().zip(&mut self.providers) {
            let issuer = provider.claim_rules.issuer.as_deref().unwrap_or_default();
            let slots = lists.iter_mut().flat_map(|lists| lists.slots.iter_mut().flatten());
            let meant = slots.filter(|slot| match slot.domain.as_deref() {
                Some(domain) => is_meant(&issuer.replace(DOMAIN, domain)),
                None => is_meant(issuer),
            });
            meant.for_each(|slot| slot.hear_news(now));
        }
    }

    pub(super) fn next_wakeup(&self) -> Option<Duration> {
        let slots = self.providers.iter().flatten().flat_map(ProviderLists::slots);
        slots.filter_map(ListSlot::wakeup).min()
    }

    pub(super) fn generation(&self, provider: ProviderIndex, uri: &str) -> u64 {
        let slot = self.of(provider).and_then(|lists| lists.slot(uri));
        slot.map(ListSlot::generation).unwrap_or_default()
    }

    fn of(&self, provider: ProviderIndex) -> Option<&ProviderLists> {
        self.providers.get(provider)?.as_ref()
    }
}

impl ProviderLists {
    fn new(index: ProviderIndex, provider: &Provider) -> Option<Self> {
        let policy = provider.status_lists.clone()?;
        Some(Self {
            provider: index,
            fetching: policy.fetching(),
            policy,
            algorithms: provider.algorithms.clone(),
            clock_skew: provider.claim_rules.clock_skew,
            slots: Vec::new(),
            places: BTreeMap::new(),
            since: BTreeMap::new(),
        })
    }

    fn slots(&self) -> impl Iterator<Item = &ListSlot> {
        self.slots.iter().flatten()
    }

    fn slot(&self, uri: &str) -> Option<&ListSlot> {
        self.slots.get(*self.places.get(uri)?)?.as_ref()
    }

    fn slot_mut(&mut self, uri: &str) -> Option<&mut ListSlot> {
        self.slots.get_mut(*self.places.get(uri)?)?.as_mut()
    }

    fn status(
        &self,
        domain: Option<&str>,
        token: &Reference,
        use_number: u64,
        now: Duration,
    ) -> StatusAtHand {
        let Some((uri, index)) = &token.list else {
            return match self.since.get(domain.unwrap_or_default()) {
                Some(since) if since.refuses(token) => StatusAtHand::TooOld,
                _ => StatusAtHand::Valid,
            };
        };
        let Some(slot) = self.find(token, uri) else {
            return if self.has_room(domain, now) {
                StatusAtHand::Await { may_be_stale: false }
            } else {
                StatusAtHand::Unavailable { retry_after: RETRY_AFTER }
            };
        };
        slot.touch(use_number);
        if slot.places().is_some_and(|places| places.refuses(*index)) {
            return StatusAtHand::Revoked;
        }
        // Most often that is one look at two numbers.
        if slot.since != token.passed()
            && let Some(since) = self.since.get(domain.unwrap_or_default())
            && since.refuses(token)
        {
            return StatusAtHand::TooOld;
        }
        let may_be_stale = self.policy.allow_stale && slot.places().is_some();
        match slot.standing(&self.fetching, now) {
            Standing::Current => StatusAtHand::Valid,
            _ if may_be_stale && slot.is_failing(now) => StatusAtHand::Stale,
            Standing::Await => StatusAtHand::Await { may_be_stale },
            Standing::Unavailable { retry_after } => StatusAtHand::Unavailable { retry_after },
        }
    }

    /// The slot of the list that a token names; where it is, is kept with the token.
    fn find(&self, token: &Reference, uri: &str) -> Option<&ListSlot> {
        let found = token.found();
        let place = usize::try_from(found & ((1 << PLACE_BITS) - 1)).ok()?;
        if let Some(Some(slot)) = self.slots.get(place)
            && slot.serial == found >> PLACE_BITS
        {
            return Some(slot);
        }
        let place = *self.places.get(uri)?;
        let slot = self.slots.get(place)?.as_ref()?;
        token.set_found(slot.serial << PLACE_BITS | place as u64);
        Some(slot)
    }

    /// The slot of a list, a new one if need be; `None` where the list is none of the provider's, or
    /// where there is no room for it.
    fn enter(
        &mut self,
        domain: Option<&str>,
        uri: &str,
        last_serial: &mut u64,
        now: Duration,
    ) -> Option<&mut ListSlot> {
        if !self.places.contains_key(uri) {
            let source = self.policy.source_of(uri, domain)?;
            self.make_room(domain, now)?;
            *last_serial += 1;
            let salt = schedule::salt(self.provider, uri);
            let mut slot = ListSlot::new(*last_serial, domain, uri, source, self.clock_skew, salt);
            let since = self.since.get(domain.unwrap_or_default());
            slot.since = since.map(Since::state).unwrap_or_default();
            let free = self.slots.iter().position(Option::is_none);
            let place = free.unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() - 1
            });
            *self.slots.get_mut(place)? = Some(slot);
            self.places.insert(uri.into(), place);
        }
        self.slot_mut(uri).filter(|slot| slot.domain.as_deref() == domain)
    }

    fn poll_fetch(&mut self, now: Duration) -> Option<Fetch> {
        let slot = self.slots.iter_mut().flatten().find(|slot| slot.is_due(now))?;
        let key_set = KeySetId {
            provider: self.provider,
            domain: slot.domain.clone(),
            status_list: Some(slot.uri.clone()),
        };
        Some(slot.begin_fetch(key_set, now))
    }

    fn end_fetch(
        &mut self,
        uri: &str,
        answer: Answer<'_>,
        checking: &Checking<'_>,
        last_state: &mut u64,
    ) -> Result<KeyUpdate, FetchError> {
        let (now, fetching) = (checking.now, self.fetching);
        let terms = Terms { uri, clock_skew: self.clock_skew, now };
        let algorithms = &self.algorithms;
        let place = self.places.get(uri).copied().unwrap_or(usize::MAX);
        let Some(Some(slot)) = self.slots.get_mut(place) else { return Ok(KeyUpdate::Ignored) };
        let read = |body: &[u8]| read(body, algorithms, checking, &terms);
        let seed = checking.seed;
        let update = match answer {
            Answer::Own(fetched) => slot.end_fetch(fetched, read, &fetching, seed, now),
            Answer::Copy(copy, at) => slot.take_copy(copy, read, &fetching, seed, [at, now]),
        }?;
        if let Some(list) = slot.list() {
            let domain = slot.domain.clone();
            let since = self.since.entry(domain.clone().unwrap_or_default()).or_default();
            since.take(&list.not_before, list.issued_at, last_state);
            let state = since.state();
            let slots = self.slots.iter_mut().flatten();
            slots.filter(|slot| slot.domain == domain).for_each(|slot| slot.since = state);
        }
        Ok(update)
    }

    /// A list whose key is gone is fetched anew, and so is one that came before its key did.
    fn check_keys(&mut self, domain: Option<&str>, keys: &JwkSet, now: Duration) {
        let slots = self.slots.iter_mut().flatten();
        for slot in slots.filter(|slot| slot.domain.as_deref() == domain) {
            if slot.awaits_keys {
                slot.ask(now);
            }
            if !slot.check_key(keys, now)
                && let Some(since) = self.since.get_mut(domain.unwrap_or_default())
            {
                since.doubt();
            }
        }
    }
}

fn read(
    body: &[u8],
    algorithms: &[Algorithm],
    checking: &Checking<'_>,
    terms: &Terms<'_>,
) -> Result<StatusList, StatusListError> {
    let list = UnverifiedList::parse(body)?;
    if !algorithms.contains(&list.algorithm()) {
        return Err(StatusListError::Token(Denial::AlgorithmNotAllowed));
    }
    let keys = checking.keys.ok_or(StatusListError::Token(Denial::KeyUnknown))?;
    list.verify(checking.host, keys, terms)
}

fn is_for_want_of_keys(error: &StatusListError) -> bool {
    matches!(error, StatusListError::Token(Denial::KeyUnknown))
}

#[cfg(test)]
mod tests;
