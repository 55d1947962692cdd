//! The status lists that are in use. An isolate knows those that its requests have named; KV has those of
//! all isolates, for the scheduled event, and forgets them a day after an isolate has said so.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use worker::Env;

use crate::{exports::now, network::within, settings};

/// What the name of a list in KV begins with; its URI follows.
pub(crate) const KV_LISTS: &str = "list:";
/// For how long a list is in use that was used, in seconds.
const DAY: u64 = 86_400;
/// How many lists the scheduled event fetches, and how many an isolate keeps in mind.
const MAX_FETCHED: u64 = 64;
const MAX_KNOWN: usize = 4096;
/// How long KV may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A status list, and whose it is. KV has this as metadata, without the URI.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListInUse {
    #[serde(skip)]
    pub(crate) uri: String,
    /// The name of the provider.
    pub(crate) provider: String,
    pub(crate) domain: Option<String>,
}

/// What an isolate knows of a list in KV.
struct Known {
    /// When it goes, in seconds since the Unix epoch.
    until: u64,
    /// Whether the isolate knows it from KV alone: then it cannot tell that it is still in use.
    is_foreign: bool,
}

thread_local! {
    /// By URI.
    static KNOWN: RefCell<BTreeMap<String, Known>> = const { RefCell::new(BTreeMap::new()) };
}

/// Notes a list that a request names, and until when KV has it.
pub(crate) fn note(uri: &str, until: u64) {
    know(uri, Known { until, is_foreign: false });
}

/// Until when KV is to have a list that was fetched; none where it need not be told. `fills` is whether
/// that was for KV alone.
pub(crate) fn until(uri: &str, fills: bool) -> Option<u64> {
    let now = seconds();
    let fresh = KNOWN.with_borrow(|known| match known.get(uri) {
        Some(known) if fills => Some(known.until),
        Some(known) if known.is_foreign || known.until > now + DAY / 2 => None,
        _ => Some(now + DAY),
    });
    if let Some(until) = fresh.filter(|_| !fills) {
        note(uri, until);
    }
    fresh
}

/// The lists that KV has.
pub(crate) async fn in_use(env: &Env) -> Vec<ListInUse> {
    let Some(kv) = settings::kv(env) else { return Vec::new() };
    let listing = kv.list().prefix(KV_LISTS.to_owned()).limit(MAX_FETCHED).execute();
    let Some(Ok(listing)) = within(PATIENCE, listing).await else { return Vec::new() };
    let read = |key: worker::kv::Key| {
        let uri = key.name.strip_prefix(KV_LISTS)?.to_owned();
        let list: ListInUse = serde_json::from_value(key.metadata?).ok()?;
        let until = key.expiration?;
        if !KNOWN.with_borrow(|known| known.contains_key(&uri)) {
            know(&uri, Known { until, is_foreign: true });
        }
        Some(ListInUse { uri, ..list })
    };
    listing.keys.into_iter().filter_map(read).collect()
}

fn know(uri: &str, list: Known) {
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(uri.to_owned(), list);
    });
}

fn seconds() -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a date of our time"
    )]
    let seconds = (now() / 1_000.0) as u64;
    seconds
}
