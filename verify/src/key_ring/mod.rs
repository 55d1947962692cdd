//! The key sets of a policy's providers, and when to fetch them. No I/O, no clock and no
//! randomness: the adapter asks [`KeyRing::poll_fetch`] what to fetch and reports with
//! [`KeyRing::handle_fetched`]. Times count from the Unix epoch.
//!
//! - [`slot`] is one key set that is fetched: what is held of it, and when to fetch it.
//! - [`freshness`] reads for how long an answer may be used.
//! - [`schedule`] spreads refreshes and retries over time.
//! - [`discovery`] finds a key set through the issuer's configuration.
//! - [`domains`] holds the key sets of many domains of one provider, and not too many.
//! - [`allowance`] bounds the fetches that strangers can cause.
//! - [`copies`] takes answers that other gates of the same edge were given.
//! - [`news`] is what issuers push.
//! - [`status_lists`] holds the lists that say which tokens have been revoked.
//! - [`sharing`] is for rings that share what they fetch.
//! - [`fetch`] is what the adapter is to fetch, and what came of it.

mod allowance;
mod copies;
mod discovery;
mod domains;
mod fetch;
mod freshness;
mod news;
mod schedule;
mod sharing;
mod slot;
mod status_lists;

use std::{cell::Cell, fmt, sync::Arc, time::Duration};

pub use self::fetch::{ConfigurationError, Fetch, FetchError, Fetched, KeySetId, KeyUpdate};
pub(crate) use self::status_lists::StatusAtHand;
use self::{
    allowance::Allowance,
    copies::Instance,
    discovery::Source,
    domains::DomainSlots,
    slot::{Access, Slot},
    status_lists::{Answer, ListRing},
};
use crate::{
    edge::{EdgeCredential, Enrolment},
    jwk_set::{JwkSet, JwkSetError},
    policy::{DOMAIN, KeySource, Policy, PolicyError, Provider, ProviderIndex},
    signature::{CoreSignatures, SignatureVerifier},
};

/// What a client is told that asks for what there can be no keys of.
const NEVER: Duration = Duration::from_secs(16);

/// The key sets of all providers of one policy, and what checks signatures with them.
///
/// # When keys are fetched
///
/// - A set is refreshed when between 80 % and 95 % of its lifetime have passed; where in this
///   window, the ring's seed decides (see [`KeyRing::with_jitter_seed`]). Its lifetime is what is
///   left of its `max-age`, from 5 s up to the policy's `cache_duration`.
/// - After a failure the last good set stays in use, up to `max_stale` after it was last known to
///   be good; the next try comes after a wait that doubles with each failure.
/// - A set whose lifetime has ended without any try to refresh it, because the host slept or
///   nobody asked for it, is asked for first.
/// - The keys of a bundle (`edge_keys`) are of no use any more from its `exp` on, whatever `max_stale`
///   and later answers say; one that is refused counts as a failure.
/// - An unknown `kid` causes one fetch, at most every 5 s for each key set; while a failed one backs
///   off, it is answered as for want of keys, not as unknown. The sets of domains
///   are fetched when a request needs them. Of both kinds together, the whole ring has at most 10
///   per second, and 20 at once after a quiet time.
///
/// # When status lists are fetched
///
/// - A list is fetched when a token that has been verified names it, and polled every `max_age` (or
///   `max-age` or `ttl`, where they are shorter; as with keys, a little earlier) for as long as such
///   tokens come. Nobody but the issuer can cause a fetch.
/// - After a failure, the next try comes after 1 s, and at most 4 s. What is held stays in use up to
///   `max_stale` after it was last known to be good, and not beyond its own `exp`, which no 304 moves.
/// - A list that nobody has asked for in time, because the host slept, is asked for first.
/// - A list that is signed with an unknown key causes a fetch of the keys, and is fetched again with
///   them. One whose key the issuer has withdrawn is fetched anew; what it refuses stays refused.
pub struct KeyRing {
    providers: Vec<ProviderKeys>,
    lists: ListRing,
    signatures: Box<dyn SignatureVerifier + Send>,
    /// What made-up key ids may cost at the providers without domains.
    unknown_keys: Allowance,
    seed: u64,
    /// Which of an edge's processes asks, where that is another number.
    instance: Option<u64>,
    /// Whether other rings go by it, of which this one knows nothing.
    shares_instance: bool,
    /// The last version that was given to a key set.
    last_version: u64,
    /// How often keys have been looked at.
    uses: Cell<u64>,
    bundles_refused: u64,
    /// What the edge has from its enrolments.
    edges: Vec<Arc<EdgeCredential>>,
}

#[derive(Debug)]
enum ProviderKeys {
    Local { keys: JwkSet, version: u64 },
    Remote(Box<Slot>),
    Domains(Box<DomainSlots>),
}

/// What a provider's keys are to a decision.
pub(crate) enum KeysAtHand<'a> {
    /// These; the version is unique over all sets of the ring and all its life.
    Ready { keys: &'a JwkSet, version: u64 },
    /// They may be there soon.
    Await,
    /// They are not there, and will not be for a while.
    Unavailable { retry_after: Duration },
}

impl KeyRing {
    /// A ring for `policy` that holds its local keys and has yet to fetch the remote ones.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        let mut last_version = 0;
        let providers = policy.providers.iter().enumerate();
        Self {
            providers: providers
                .map(|(index, provider)| ProviderKeys::new(index, provider, &[], &mut last_version))
                .collect(),
            lists: ListRing::new(policy),
            signatures: Box::new(CoreSignatures),
            unknown_keys: Allowance::of_providers(),
            seed: 0,
            instance: None,
            shares_instance: false,
            last_version,
            uses: Cell::new(0),
            bundles_refused: 0,
            edges: Vec::new(),
        }
    }

    /// The same ring, with a host's cryptography to check signatures.
    #[must_use]
    pub fn with_signatures(self, signatures: Box<dyn SignatureVerifier + Send>) -> Self {
        Self { signatures, ..self }
    }

    /// The same ring, with a number of its own that spreads its refreshes and retries, so that the
    /// gates of a fleet do not all ask at once. Any number will do, such as a random one or the
    /// time of the start in nanoseconds. With one number, a ring does the same each time.
    #[must_use]
    pub fn with_jitter_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same ring, with what the edge has from its enrolments. Without, providers with
    /// `edge_keys` have no keys; nor has a domain that none of `edges` covers. For a new ring: what
    /// it holds by then of such providers is forgotten.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names a provider with `edge_keys` whose issuer none of `edges` covers.
    pub fn with_edges(
        mut self,
        policy: &Policy,
        edges: Vec<EdgeCredential>,
    ) -> Result<Self, PolicyError> {
        let edges: Vec<Arc<EdgeCredential>> = edges.into_iter().map(Arc::new).collect();
        let providers = policy.providers.iter().zip(&mut self.providers).enumerate();
        for (index, (provider, keys)) in providers {
            if !matches!(provider.keys, KeySource::Edge(_)) {
                continue;
            }
            let template = provider.claim_rules.issuer.as_deref().unwrap_or_default();
            let mut issuers = edges.iter().flat_map(|edge| edge.issuers());
            if !issuers.any(|issuer| is_of_template(issuer, template)) {
                let member = format!("providers.{}.edge_keys", provider.name);
                let reason = "no credential of an edge covers the provider's issuer";
                return Err(PolicyError::new(member, reason));
            }
            *keys = ProviderKeys::new(index, provider, &edges, &mut self.last_version);
        }
        self.edges = edges;
        Ok(self)
    }

    /// How many bundles were refused.
    pub(crate) fn bundles_refused(&self) -> u64 {
        self.bundles_refused
    }

    pub(crate) fn signatures(&self) -> &dyn SignatureVerifier {
        &*self.signatures
    }

    /// The next fetch that is due, if any. The fetch counts as under way from here on.
    pub fn poll_fetch(&mut self, now: Duration) -> Option<Fetch> {
        let now = sane(now);
        let instance = Instance {
            number: self.instance.unwrap_or(self.seed),
            is_shared: self.shares_instance,
        };
        let providers = self.providers.iter_mut().enumerate();
        let keys =
            providers.into_iter().find_map(|(index, keys)| keys.poll_fetch(index, instance, now));
        keys.or_else(|| self.lists.poll_fetch(now))
    }

    /// Takes the end of a fetch. One that has been given up since, or made anew, changes nothing
    /// ([`KeyUpdate::Ignored`]).
    ///
    /// # Errors
    ///
    /// [`FetchError`] where it brought no keys. It is for the log; the ring already knows.
    pub fn handle_fetched(
        &mut self,
        fetch: &Fetch,
        fetched: Fetched<'_>,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        if let Some(uri) = &fetch.key_set.status_list {
            return self.end_list_fetch(fetch, uri, Answer::Own(fetched), sane(now));
        }
        let slot = self.slot(fetch.key_set.provider, fetch.key_set.domain.as_deref());
        if !slot.is_some_and(|slot| slot.is_attempt(fetch.attempt)) {
            return Ok(KeyUpdate::Ignored);
        }
        let result = self.end_fetch(&fetch.key_set, fetched, sane(now));
        self.note(&fetch.key_set, &result, sane(now));
        result
    }

    /// Notes what came of a fetch of keys.
    fn note(&mut self, key_set: &KeySetId, result: &Result<KeyUpdate, FetchError>, now: Duration) {
        match result {
            Ok(KeyUpdate::Replaced { .. }) => self.check_lists(key_set, now),
            Err(FetchError::Bundle(_)) => {
                self.bundles_refused = self.bundles_refused.saturating_add(1);
            }
            _ => {}
        }
    }

    fn end_fetch(
        &mut self,
        key_set: &KeySetId,
        fetched: Fetched<'_>,
        now: Duration,
    ) -> Result<KeyUpdate, FetchError> {
        let (seed, last_version) = (self.seed, &mut self.last_version);
        let signatures = &*self.signatures;
        let keys = self.providers.get_mut(key_set.provider);
        let domain = key_set.domain.as_deref().unwrap_or_default();
        match keys {
            Some(ProviderKeys::Remote(slot)) => {
                slot.end_fetch(fetched, signatures, now, seed, last_version)
            }
            Some(ProviderKeys::Domains(domains)) => {
                // It may have been dropped meanwhile, if the fetch was thought to be lost.
                let Some(slot) = domains.slot_mut(domain) else { return Ok(KeyUpdate::Ignored) };
                let result = slot.end_fetch(fetched, signatures, now, seed, last_version);
                domains.settle(domain, now);
                result
            }
            _ => Ok(KeyUpdate::Ignored),
        }
    }

    /// Takes a key set that the host has at hand, as if it had been fetched at `now`: from a file,
    /// or from a store that several gates share. It is a JWK Set in the clear, also where the
    /// provider has `edge_keys`: the host vouches for it. Status lists are not held so.
    ///
    /// # Errors
    ///
    /// [`JwkSetError`] where the document is no JWK Set; what was held before stays.
    pub fn hold(
        &mut self,
        key_set: &KeySetId,
        document: &[u8],
        now: Duration,
    ) -> Result<KeyUpdate, JwkSetError> {
        let result = self.hold_keys(key_set, document, sane(now));
        if matches!(result, Ok(KeyUpdate::Replaced { .. })) {
            self.check_lists(key_set, sane(now));
        }
        result
    }

    fn hold_keys(
        &mut self,
        key_set: &KeySetId,
        document: &[u8],
        now: Duration,
    ) -> Result<KeyUpdate, JwkSetError> {
        let (seed, last_version) = (self.seed, &mut self.last_version);
        match self.providers.get_mut(key_set.provider) {
            _ if key_set.status_list.is_some() => Ok(KeyUpdate::Unchanged),
            Some(ProviderKeys::Remote(slot)) => slot.hold(document, now, seed, last_version),
            Some(ProviderKeys::Domains(domains)) => {
                let domain = key_set.domain.as_deref().unwrap_or_default();
                let Some(slot) = domains.enter(domain, now) else {
                    return Ok(KeyUpdate::Unchanged);
                };
                let result = slot.hold(document, now, seed, last_version);
                domains.settle(domain, now);
                result
            }
            _ => Ok(KeyUpdate::Unchanged),
        }
    }

    /// Asks for keys ahead of time, as [`crate::Decision::AwaitKeys`] wants it. Returns whether
    /// [`KeyRing::poll_fetch`] is worth asking at once, because that made a fetch due or one is
    /// overdue; not where one has just become due, is under way or backing off, or where strangers
    /// have caused too many of late.
    pub fn demand(&mut self, key_set: &KeySetId, now: Duration) -> bool {
        let now = sane(now);
        if let Some(uri) = &key_set.status_list {
            return self.demand_list(key_set, uri, now);
        }
        match self.providers.get_mut(key_set.provider) {
            Some(ProviderKeys::Remote(slot)) => ask(slot, &mut self.unknown_keys, now),
            Some(ProviderKeys::Domains(domains)) => {
                let domain = key_set.domain.as_deref().unwrap_or_default();
                let next_use = next_use(&self.uses);
                !domain.is_empty() && domains.demand(domain, next_use, now)
            }
            _ => false,
        }
    }

    /// When [`KeyRing::poll_fetch`] is next worth asking; `None` where nothing is to be fetched
    /// unless a request needs it.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Duration> {
        let keys = self.providers.iter().filter_map(ProviderKeys::next_wakeup).min();
        keys.into_iter().chain(self.lists.next_wakeup()).min()
    }

    /// How often a key set, or a status list, has been replaced by a different one. Starts anew where
    /// the set of a domain, or the list, was dropped to make room.
    #[must_use]
    pub fn generation(&self, key_set: &KeySetId) -> u64 {
        if let Some(uri) = &key_set.status_list {
            return self.lists.generation(key_set.provider, uri);
        }
        let slot = self.slot(key_set.provider, key_set.domain.as_deref());
        slot.map(Slot::generation).unwrap_or_default()
    }

    /// When the keys of a provider (counted as in [`KeySetId`]) were last known to be good; of
    /// several domains, those of which it is longest ago. `None` where none were fetched.
    #[must_use]
    pub fn confirmed(&self, provider: usize) -> Option<Duration> {
        match self.providers.get(provider)? {
            ProviderKeys::Local { .. } => None,
            ProviderKeys::Remote(slot) => slot.confirmed(),
            ProviderKeys::Domains(domains) => domains.slots().filter_map(Slot::confirmed).min(),
        }
    }

    /// The keys for a token of this provider, domain and `kid`.
    pub(crate) fn at_hand(
        &self,
        provider: ProviderIndex,
        domain: Option<&str>,
        key_id: Option<&str>,
        now: Duration,
    ) -> KeysAtHand<'_> {
        let now = sane(now);
        if let Some(ProviderKeys::Local { keys, version }) = self.providers.get(provider) {
            return KeysAtHand::Ready { keys, version: *version };
        }
        match (self.slot(provider, domain), self.providers.get(provider)) {
            (Some(slot), _) => {
                slot.touch(next_use(&self.uses));
                let allowance = match self.providers.get(provider) {
                    Some(ProviderKeys::Domains(domains)) => domains.allowance(Some(slot)),
                    _ => &self.unknown_keys,
                };
                slot.at_hand(key_id, allowance.is_free(now), now)
            }
            (None, Some(ProviderKeys::Domains(domains)))
                if domain.is_some_and(|domain| domains.serves(domain)) =>
            {
                if domains.allowance(None).is_free(now) && domains.has_room(now) {
                    return KeysAtHand::Await;
                }
                KeysAtHand::Unavailable { retry_after: Duration::from_secs(1) }
            }
            _ => KeysAtHand::Unavailable { retry_after: NEVER },
        }
    }

    /// The version of the set that may vouch for tokens of this provider and domain now; none
    /// where there is none, or where it is too old.
    pub(crate) fn version_at_hand(
        &self,
        provider: ProviderIndex,
        domain: Option<&str>,
        now: Duration,
    ) -> Option<u64> {
        let now = sane(now);
        if let Some(ProviderKeys::Local { version, .. }) = self.providers.get(provider) {
            return Some(*version);
        }
        let slot = self.slot(provider, domain)?;
        slot.touch(next_use(&self.uses));
        slot.version_at_hand(now)
    }

    fn slot(&self, provider: ProviderIndex, domain: Option<&str>) -> Option<&Slot> {
        match self.providers.get(provider)? {
            ProviderKeys::Local { .. } => None,
            ProviderKeys::Remote(slot) => Some(slot),
            ProviderKeys::Domains(domains) => domains.slot(domain?),
        }
    }
}

impl ProviderKeys {
    fn new(
        index: ProviderIndex,
        provider: &Provider,
        edges: &[Arc<EdgeCredential>],
        last_version: &mut u64,
    ) -> Self {
        let rules = &provider.claim_rules;
        let issuer = rules.issuer.as_deref().unwrap_or_default();
        if let Some(domains) = &provider.domains
            && let Some(slots) =
                DomainSlots::new(index, &provider.keys, rules, edges, domains.max_key_sets)
        {
            return Self::Domains(Box::new(slots));
        }
        let mut access = Access::Anyone;
        let (source, fetching) = match &provider.keys {
            KeySource::Local(keys) => {
                *last_version += 1;
                return Self::Local { keys: keys.clone(), version: *last_version };
            }
            KeySource::Remote(remote) => (Source::Named(remote.http_uri.clone()), remote.fetching),
            KeySource::Edge(remote) => {
                let enrolment = Enrolment::new(edges, issuer, rules.clock_skew, 0);
                access = enrolment.map_or(Access::Nobody, |known| Access::Edge(Box::new(known)));
                (Source::Named(remote.http_uri.clone()), remote.fetching)
            }
            KeySource::Discovered(discovery) => {
                (Source::discovered(discovery.clone(), issuer.to_owned()), discovery.fetching)
            }
        };
        let salt = schedule::salt(index, "");
        Self::Remote(Box::new(Slot::new(source, access, fetching, false, salt)))
    }

    fn poll_fetch(
        &mut self,
        provider: ProviderIndex,
        instance: Instance,
        now: Duration,
    ) -> Option<Fetch> {
        match self {
            Self::Remote(slot) if slot.is_due(now) => {
                Some(slot.begin_fetch(KeySetId::new(provider, None), instance, now))
            }
            Self::Domains(domains) => {
                let (domain, slot) = domains.slots_mut().find(|(_, slot)| slot.is_due(now))?;
                Some(slot.begin_fetch(KeySetId::new(provider, Some(domain)), instance, now))
            }
            _ => None,
        }
    }

    fn next_wakeup(&self) -> Option<Duration> {
        match self {
            Self::Local { .. } => None,
            Self::Remote(slot) => slot.wakeup(),
            Self::Domains(domains) => domains.slots().filter_map(Slot::wakeup).min(),
        }
    }
}

/// Whether it is the issuer of some domain, where `template` has domains; else the same one.
fn is_of_template(issuer: &str, template: &str) -> bool {
    let Some((before, behind)) = template.split_once(DOMAIN) else { return issuer == template };
    let domain = issuer.strip_prefix(before).and_then(|rest| rest.strip_suffix(behind));
    domain.is_some_and(|domain| !domain.is_empty())
}

/// A time with which no sum overflows: at most the year 10000.
fn sane(now: Duration) -> Duration {
    now.min(Duration::from_secs(253_402_300_800))
}

/// Makes a fetch due, if it may be and is not yet. Whether it is worth a look at once.
fn ask(slot: &mut Slot, allowance: &mut Allowance, now: Duration) -> bool {
    if slot.is_due(now) {
        return slot.is_worth_a_nudge(now);
    }
    let asked = slot.may_ask(now) && allowance.take(now);
    if asked {
        slot.ask(now);
    }
    asked
}

fn next_use(uses: &Cell<u64>) -> u64 {
    uses.set(uses.get() + 1);
    uses.get()
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KeyRing")
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
