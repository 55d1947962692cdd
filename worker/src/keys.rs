//! Fetching the key sets that are due.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use postern_javascript::time;
use postern_verify::{Fetch, Fetched, KeyRing, KeySetId, KeyUpdate, Policy};
use worker::Env;

use crate::{
    exports::{now, with_station},
    log, network,
    station::Station,
    store::{self, Copy},
};

/// How many fetches are made at once; the next ones follow when these have ended.
const MAX_AT_ONCE: usize = 32;
/// How often it is looked for more: a configuration and a key set, each from a store and then anew.
const MAX_ROUNDS: usize = 6;
/// Of how many sources it is kept in mind how old what was taken is.
const MAX_HEARD: usize = 4096;

/// What is done with copies that isolates share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stores {
    /// A copy that is newer than what is held is taken. What the issuer answers goes into the cache.
    ReadFirst,
    /// The issuer is asked, and its answer goes into the cache and into KV.
    Fill,
}

/// Where fetches come from, and their ends go.
pub(crate) trait Keys {
    /// Asks something of the ring; `None` where it is gone.
    fn with<T>(&self, ask: impl FnOnce(&mut KeyRing) -> T) -> Option<T>;

    /// The number of the gate that the ring is of, or is to be of.
    fn number(&self) -> u64;
}

/// The gate of this isolate, for as long as it is this one. Fetches of another policy are none of its.
pub(crate) struct Current {
    pub(crate) number: u64,
}

/// A gate that is not in force yet.
pub(crate) struct Fresh(RefCell<Station>);

/// A ring without a gate.
pub(crate) struct Ring(RefCell<KeyRing>);

impl Keys for Current {
    fn with<T>(&self, ask: impl FnOnce(&mut KeyRing) -> T) -> Option<T> {
        with_station(Some(self.number), |station| ask(station.keys_mut()))
    }

    fn number(&self) -> u64 {
        self.number
    }
}

impl Fresh {
    pub(crate) fn new(station: Station) -> Self {
        Self(RefCell::new(station))
    }

    pub(crate) fn into_station(self) -> Station {
        self.0.into_inner()
    }
}

impl Keys for Fresh {
    fn with<T>(&self, ask: impl FnOnce(&mut KeyRing) -> T) -> Option<T> {
        self.0.try_borrow_mut().ok().map(|mut station| ask(station.keys_mut()))
    }

    fn number(&self) -> u64 {
        self.0.borrow().number()
    }
}

impl Ring {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self(RefCell::new(KeyRing::new(policy)))
    }
}

impl Keys for Ring {
    fn with<T>(&self, ask: impl FnOnce(&mut KeyRing) -> T) -> Option<T> {
        self.0.try_borrow_mut().ok().map(|mut ring| ask(&mut ring))
    }

    fn number(&self) -> u64 {
        0 // which no gate has
    }
}

thread_local! {
    /// When what a ring last took from a source was fetched, in milliseconds since the Unix epoch.
    static HEARD: RefCell<BTreeMap<String, f64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Makes every fetch that is due, and those that become due by them.
pub(crate) async fn fetch_due(keys: &impl Keys, stores: Stores, env: &Env) {
    for _ in 0..MAX_ROUNDS {
        let due = keys.with(|ring| {
            let now = time(now())?;
            Some((0..MAX_AT_ONCE).map_while(|_| ring.poll_fetch(now)).collect::<Vec<Fetch>>())
        });
        let Some(due) = due.flatten().filter(|due| !due.is_empty()) else { return };
        join_all(due.iter().map(|fetch| make(fetch, keys, stores, env))).await;
    }
}

async fn make(fetch: &Fetch, keys: &impl Keys, stores: Stores, env: &Env) {
    let name = name(fetch, keys);
    if stores == Stores::ReadFirst
        && let Some(copy) = store::read(fetch, env).await
        && copy.at > heard(&name)
    {
        note(name, copy.at);
        // Who has fetched it has told the log.
        return drop(end(fetch, &copy, copy.at.min(now()), keys));
    }
    let answer = network::ask(fetch).await.unwrap_or_default();
    let at = now();
    match end(fetch, &answer, at, keys) {
        // The policy is another by now, or the fetch was made anew.
        None | Some(Ok(KeyUpdate::Ignored)) => return,
        Some(Ok(KeyUpdate::Unchanged | KeyUpdate::Discovered)) => {}
        Some(Ok(KeyUpdate::Replaced { keys, skipped })) => log::keys(fetch, keys, &skipped),
        Some(Err(reason)) => return log::not_fetched(fetch, &reason),
    }
    note(name, at);
    store::write(fetch, Copy { at, ..answer }, stores == Stores::Fill, env).await;
}

/// Hands the end of a fetch to the ring, as of the time when it came.
fn end(fetch: &Fetch, copy: &Copy, at: f64, keys: &impl Keys) -> Option<Result<KeyUpdate, String>> {
    let at: Duration = time(at)?;
    let fetched = match copy.status {
        0 => Fetched::Failed,
        status => Fetched::Response {
            status,
            etag: copy.etag.as_deref().map(str::as_bytes),
            cache_control: copy.cache_control.as_deref().map(str::as_bytes),
            age: copy.age.as_deref().map(str::as_bytes),
            body: copy.body.as_bytes(),
        },
    };
    let ended = keys.with(|ring| ring.handle_fetched(fetch, fetched, at))?;
    Some(ended.map_err(|error| error.to_string()))
}

/// What a ring has heard of: a source may be of several key sets, and each of them hears for itself.
fn name(fetch: &Fetch, keys: &impl Keys) -> String {
    let KeySetId { provider, domain, .. } = &fetch.key_set;
    let domain = domain.as_deref().unwrap_or_default();
    format!("{} {provider} {domain} {}", keys.number(), store::url(fetch))
}

fn heard(name: &str) -> f64 {
    HEARD.with_borrow(|heard| heard.get(name).copied().unwrap_or_default())
}

fn note(name: String, at: f64) {
    HEARD.with_borrow_mut(|heard| {
        if heard.len() >= MAX_HEARD {
            heard.clear();
        }
        heard.insert(name, at);
    });
}
