//! The key sets of a provider's domains: fetched when asked for, and only so many of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    allowance::Allowance,
    ask,
    discovery::Source,
    schedule,
    slot::{Access, Slot},
};
use crate::{
    claims::ClaimRules,
    edge::{EdgeCredential, Enrolment},
    policy::{DOMAIN, Discovery, HttpUri, KeyFetching, KeySource},
};

/// Most names that are remembered which have brought no keys yet: enough for as many fetches as
/// strangers can have under way, and for how some of them failed.
const MAX_NEWCOMERS: usize = 64;

/// The key sets of one provider's domains.
///
/// Two bounds, so that strangers with made-up names push out each other and never a good set: a
/// name counts among `max_key_sets` only when the issuer has answered for it. The set that was
/// looked at longest ago goes first, but never one that is being fetched; so more may be held for
/// as long as their fetches run.
#[derive(Debug)]
pub(super) struct DomainSlots {
    provider: usize,
    source: Template,
    fetching: KeyFetching,
    max_key_sets: usize,
    /// Where an edge fetches them, what it has to show for that.
    edges: Option<Edges>,
    slots: BTreeMap<Box<str>, Slot>,
    /// What made-up key ids may cost,
    pub(super) unknown_keys: Allowance,
    /// and made-up names.
    pub(super) unknown_names: Allowance,
}

/// Where the domains' keys come from, with `{domain}` in it.
#[derive(Debug)]
enum Template {
    Named(HttpUri),
    Discovered { discovery: Discovery, issuer: String },
}

/// An edge's enrolments, and what it remembers of domains whose slots were dropped.
#[derive(Debug)]
struct Edges {
    credentials: Vec<Arc<EdgeCredential>>,
    /// With `{domain}` in it.
    issuer: String,
    clock_skew: Duration,
    /// The newest bundle of each domain. Only domains that a credential names are here.
    newest: BTreeMap<Box<str>, u64>,
}

impl DomainSlots {
    /// The slots for this source; `None` for a local one, which needs none. The credentials are for
    /// an edge's.
    pub(super) fn new(
        provider: usize,
        keys: &KeySource,
        rules: &ClaimRules,
        credentials: &[Arc<EdgeCredential>],
        max_key_sets: usize,
    ) -> Option<Self> {
        let issuer = rules.issuer.as_deref().unwrap_or_default();
        let (source, fetching) = match keys {
            KeySource::Local(_) => return None,
            KeySource::Remote(remote) | KeySource::Edge(remote) => {
                (Template::Named(remote.http_uri.clone()), remote.fetching)
            }
            KeySource::Discovered(discovery) => {
                let issuer = issuer.to_owned();
                let fetching = discovery.fetching;
                (Template::Discovered { discovery: discovery.clone(), issuer }, fetching)
            }
        };
        let (slots, unknown_keys) = (BTreeMap::new(), Allowance::of_domains());
        let unknown_names = Allowance::of_domains();
        let edges = matches!(keys, KeySource::Edge(_)).then(|| Edges {
            credentials: credentials.to_vec(),
            issuer: issuer.to_owned(),
            clock_skew: rules.clock_skew,
            newest: BTreeMap::new(),
        });
        Some(Self {
            provider,
            source,
            fetching,
            max_key_sets,
            edges,
            slots,
            unknown_keys,
            unknown_names,
        })
    }

    /// Whether the set of this domain can be fetched at all.
    pub(super) fn serves(&self, domain: &str) -> bool {
        self.edges.as_ref().is_none_or(|edges| edges.cover(domain))
    }

    /// What a fetch for this slot is spent from, when a stranger causes it.
    pub(super) fn allowance(&self, slot: Option<&Slot>) -> &Allowance {
        if slot.is_none_or(Slot::is_newcomer) { &self.unknown_names } else { &self.unknown_keys }
    }

    pub(super) fn slot(&self, domain: &str) -> Option<&Slot> {
        self.slots.get(domain)
    }

    pub(super) fn slot_mut(&mut self, domain: &str) -> Option<&mut Slot> {
        self.slots.get_mut(domain)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values()
    }

    /// The names and slots of all domains that are held or remembered.
    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = (&str, &mut Slot)> {
        self.slots.iter_mut().map(|(domain, slot)| (&**domain, slot))
    }

    /// Whether there is room for one more name.
    pub(super) fn has_room(&self, now: Duration) -> bool {
        self.newcomers().count() < MAX_NEWCOMERS || self.newcomers().any(|slot| is_idle(slot, now))
    }

    /// The slot of a domain, a new one if need be; `None` where there is no room for that.
    pub(super) fn enter(&mut self, domain: &str, now: Duration) -> Option<&mut Slot> {
        if !self.slots.contains_key(domain) {
            if !self.has_room(now) {
                return None;
            }
            while self.newcomers().count() >= MAX_NEWCOMERS {
                self.evict(Slot::is_newcomer, "", now)?;
            }
            self.slots.insert(domain.into(), self.new_slot(domain));
        }
        self.slots.get_mut(domain)
    }

    /// Asks for the set of a domain; as of the ring's.
    pub(super) fn demand(&mut self, domain: &str, use_number: u64, now: Duration) -> bool {
        if self.slot(domain).is_none() && !self.unknown_names.is_free(now) {
            return false;
        }
        if !self.serves(domain) {
            return false;
        }
        if self.enter(domain, now).is_none() {
            return false;
        }
        let Some(slot) = self.slots.get_mut(domain) else { return false };
        slot.touch(use_number);
        let is_new = slot.is_newcomer();
        let allowance = if is_new { &mut self.unknown_names } else { &mut self.unknown_keys };
        ask(slot, allowance, now)
    }

    /// Makes room for the set of `domain`, which has just come.
    pub(super) fn settle(&mut self, domain: &str, now: Duration) {
        while self.slots.len() - self.newcomers().count() > self.max_key_sets {
            if self.evict(|slot| !slot.is_newcomer(), domain, now).is_none() {
                break;
            }
        }
    }

    fn newcomers(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values().filter(|slot| slot.is_newcomer())
    }

    /// Drops the slot of this kind that was looked at longest ago, but not the one of `spared`.
    fn evict(&mut self, kind: fn(&Slot) -> bool, spared: &str, now: Duration) -> Option<Slot> {
        let idle = self.slots.iter().filter(|(_, slot)| kind(slot) && is_idle(slot, now));
        let others = idle.filter(|(domain, _)| &***domain != spared);
        let oldest = others.min_by_key(|(_, slot)| slot.last_used());
        let oldest = oldest?.0.clone();
        let dropped = self.slots.remove(&oldest)?;
        if let Some(edges) = &mut self.edges
            && dropped.newest_bundle() > 0
        {
            edges.newest.insert(oldest, dropped.newest_bundle());
        }
        Some(dropped)
    }

    fn new_slot(&self, domain: &str) -> Slot {
        let source = match &self.source {
            Template::Named(template) => Source::Named(template.of_domain(domain)),
            Template::Discovered { discovery, issuer } => {
                let http_uri = discovery.http_uri.of_domain(domain);
                let discovery = Discovery { http_uri, ..discovery.clone() };
                Source::discovered(discovery, issuer.replace(DOMAIN, domain))
            }
        };
        let access = self.edges.as_ref().map_or(Access::Anyone, |edges| edges.access(domain));
        Slot::new(source, access, self.fetching, true, schedule::salt(self.provider, domain))
    }
}

impl Edges {
    fn cover(&self, domain: &str) -> bool {
        let issuer = self.issuer.replace(DOMAIN, domain);
        self.credentials.iter().any(|credential| credential.covers(&issuer))
    }

    fn access(&self, domain: &str) -> Access {
        let issuer = self.issuer.replace(DOMAIN, domain);
        let newest = self.newest.get(domain).copied().unwrap_or_default();
        let enrolment = Enrolment::new(&self.credentials, &issuer, self.clock_skew, newest);
        enrolment.map_or(Access::Nobody, |enrolment| Access::Edge(Box::new(enrolment)))
    }
}

fn is_idle(slot: &Slot, now: Duration) -> bool {
    !slot.is_expected(now)
}
