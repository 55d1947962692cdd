//! Fetching the key sets and status lists that are due.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use postern_javascript::time;
use postern_verify::{Fetch, FetchError, Fetched, KeySetId, KeyUpdate};
use worker::{Delay, Env};

use crate::{
    exports::{now, with_station},
    lists, log, network,
    station::Station,
    store::{self, Copy},
};

/// How many fetches are made at once; the next ones follow when these have ended.
const MAX_AT_ONCE: usize = 32;
/// How often it is looked for more: a configuration and a key set, each from a store and then anew.
const MAX_ROUNDS: usize = 6;
/// Of how many sources it is kept in mind how old what was taken is.
const MAX_HEARD: usize = 4096;
/// How often stores are filled at once, and what is waited for in between: what was fetched just now is
/// not fetched again before a second has passed.
const MAX_FILLINGS: usize = 3;
const LONGEST_WAIT: Duration = Duration::from_millis(1_100);

/// What is done with copies that isolates share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stores {
    /// A copy that is newer than what is held is taken. What the issuer answers goes into the cache.
    ReadFirst,
    /// The issuer is asked for all of it, and its answer goes into the cache and into KV.
    Fill,
}

/// Where fetches come from, and their ends go.
pub(crate) trait Keys {
    /// Asks something of the gate; `None` where it is gone.
    fn with<T>(&self, ask: impl FnOnce(&mut Station) -> T) -> Option<T>;

    /// The number of the gate, or of the one that is to be.
    fn number(&self) -> u64;
}

/// The gate of this isolate, for as long as it is this one. Fetches of another policy are none of its.
pub(crate) struct Current {
    pub(crate) number: u64,
}

/// A gate that is not in force yet.
pub(crate) struct Fresh(RefCell<Station>);

impl Keys for Current {
    fn with<T>(&self, ask: impl FnOnce(&mut Station) -> T) -> Option<T> {
        with_station(Some(self.number), ask)
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
    fn with<T>(&self, ask: impl FnOnce(&mut Station) -> T) -> Option<T> {
        self.0.try_borrow_mut().ok().map(|mut station| ask(&mut station))
    }

    fn number(&self) -> u64 {
        self.0.borrow().number()
    }
}

thread_local! {
    /// When what a ring last took from a source was fetched, in milliseconds since the Unix epoch.
    static HEARD: RefCell<BTreeMap<String, f64>> = const { RefCell::new(BTreeMap::new()) };
}

/// Fills the stores with what there is news of, and with the lists that are in use anywhere, if
/// `with_lists`.
pub(crate) async fn fill(number: u64, with_lists: bool, env: &Env) {
    let keys = Current { number };
    if with_lists {
        let lists = lists::in_use(env).await;
        keys.with(|station| {
            if let Some(now) = time(now()) {
                station.demand_lists(lists, now);
            }
        });
    }
    for _ in 0..MAX_FILLINGS {
        fetch_due(&keys, Stores::Fill, env).await;
        let Some(wait) = keys.with(|station| station.until_next_fetch(time(now())?)).flatten()
        else {
            return;
        };
        if wait > LONGEST_WAIT {
            return;
        }
        Delay::from(wait).await;
    }
}

/// Makes every fetch that is due, and those that become due by them.
pub(crate) async fn fetch_due(keys: &impl Keys, stores: Stores, env: &Env) {
    for _ in 0..MAX_ROUNDS {
        let due = keys.with(|station| {
            let now = time(now())?;
            let ring = station.keys_mut();
            Some((0..MAX_AT_ONCE).map_while(|_| ring.poll_fetch(now)).collect::<Vec<Fetch>>())
        });
        let Some(due) = due.flatten().filter(|due| !due.is_empty()) else { return };
        join_all(due.iter().map(|fetch| make(fetch, keys, stores, env))).await;
    }
}

async fn make(fetch: &Fetch, keys: &impl Keys, stores: Stores, env: &Env) {
    let name = name(fetch, keys);
    let Some(place) = keys.with(|station| station.place_of(fetch)) else { return };
    if stores == Stores::ReadFirst {
        let with_kv = !place.is_signed || heard(&name) <= 0.0;
        if let Some(copy) = store::read(&place, with_kv, env).await
            && copy.at > heard(&name)
        {
            // As it says itself: one of a moment ahead would else count again and again.
            note(name.clone(), copy.at);
            match take_copy(fetch, &copy, copy.at.min(now()), keys) {
                // It is older than what is held, or copies have counted for long enough.
                Some(Err(FetchError::NoAnswer)) => {}
                // What does not hold up to the core's look changes nothing: the issuer is asked.
                Some(Err(reason)) => log::copy_refused(fetch, &reason.to_string()),
                // Who has fetched it has told the log.
                Some(Ok(_)) | None => return,
            }
        }
    }
    let is_whole = stores == Stores::Fill;
    // What it says is no newer than when it was asked.
    let at = now();
    let answer = network::ask(fetch, is_whole).await.unwrap_or_default();
    match end(fetch, &answer, now(), keys) {
        // The policy is another by now, or the fetch was made anew.
        None | Some(Ok(KeyUpdate::Ignored)) => return,
        Some(Ok(KeyUpdate::Unchanged | KeyUpdate::Discovered)) => {}
        Some(Ok(KeyUpdate::Replaced { keys, skipped })) => log::keys(fetch, keys, &skipped),
        Some(Err(reason)) => return log::not_fetched(fetch, &reason.to_string()),
    }
    note(name, at);
    store::write(&place, Copy { at, ..answer }, is_whole, env).await;
}

/// Hands the end of a fetch to the ring, as of the time when it came.
fn end(
    fetch: &Fetch,
    copy: &Copy,
    at: f64,
    keys: &impl Keys,
) -> Option<Result<KeyUpdate, FetchError>> {
    let at = time(at)?;
    keys.with(|station| station.keys_mut().handle_fetched(fetch, fetched(copy), at))
}

/// The same of a copy.
fn take_copy(
    fetch: &Fetch,
    copy: &Copy,
    at: f64,
    keys: &impl Keys,
) -> Option<Result<KeyUpdate, FetchError>> {
    let (at, now) = (time(at)?, time(now())?);
    keys.with(|station| station.keys_mut().handle_copy(fetch, fetched(copy), at, now))
}

fn fetched(copy: &Copy) -> Fetched<'_> {
    match copy.status {
        0 => Fetched::Failed,
        status => Fetched::Response {
            status,
            etag: copy.etag.as_deref().map(str::as_bytes),
            cache_control: copy.cache_control.as_deref().map(str::as_bytes),
            age: copy.age.as_deref().map(str::as_bytes),
            body: copy.body.as_bytes(),
        },
    }
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
