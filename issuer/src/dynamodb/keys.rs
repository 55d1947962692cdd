//! Under which keys things are kept. No domain's name has a `#`, so no two of them meet.

use base64ct::{Base64UrlUnpadded, Encoding};

use super::item::{Item, text};
use crate::{
    account::Account,
    clock::Timestamp,
    domain::DomainName,
    edge::{Contact, EdgeId, EdgeName},
    status_list::StatusPlace,
    user::Username,
};

pub(super) const PARTITION: &str = "pk";
pub(super) const SORT: &str = "sk";

/// Stands for all users, where a time stands otherwise.
const ALL: &str = "all";
/// Comes after all that follows a `#` in a range: times and ids.
const AFTER_ALL: char = '~';

/// The keys of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) partition: String,
    pub(super) sort: String,
}

/// Keys that have the partition and the beginning of the sort key in common.
pub(super) struct Listing {
    pub(super) partition: String,
    pub(super) prefix: &'static str,
}

/// Sort keys of one partition from `first` to `last`, both included.
pub(super) struct Range {
    pub(super) partition: String,
    pub(super) first: String,
    pub(super) last: String,
}

impl Range {
    /// All of a listing.
    pub(super) fn of(listing: Listing) -> Self {
        let Listing { partition, prefix } = listing;
        Self { partition, first: prefix.to_owned(), last: format!("{prefix}{AFTER_ALL}") }
    }
}

impl Key {
    fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }

    /// An item of these keys alone.
    pub(super) fn item(&self) -> Item {
        let keys = [(PARTITION, &self.partition), (SORT, &self.sort)];
        keys.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }
}

pub(super) fn domain(name: &DomainName) -> Key {
    Key::new(format!("domain#{name}"), "domain")
}

pub(super) fn domain_entry(name: &DomainName) -> Key {
    Key::new("domains", name.as_str())
}

pub(super) fn domain_entries() -> Listing {
    Listing { partition: "domains".to_owned(), prefix: "" }
}

pub(super) fn user(domain: &DomainName, username: &Username) -> Key {
    Key::new(format!("user#{domain}#{username}"), "user")
}

pub(super) fn user_id(id: &str) -> Key {
    Key::new(format!("id#{id}"), "id")
}

pub(super) fn user_entry(domain: &DomainName, username: &Username) -> Key {
    Key::new(format!("domain#{domain}"), format!("user#{username}"))
}

pub(super) fn user_entries(domain: &DomainName) -> Listing {
    Listing { partition: format!("domain#{domain}"), prefix: "user#" }
}

pub(super) fn session(domain: &DomainName, username: &Username, id: &str) -> Key {
    Key::new(format!("user#{domain}#{username}"), format!("session#{id}"))
}

pub(super) fn sessions(domain: &DomainName, username: &Username) -> Listing {
    Listing { partition: format!("user#{domain}#{username}"), prefix: "session#" }
}

pub(super) fn failures(account: &Account) -> Key {
    let name = Base64UrlUnpadded::encode_string(account.name_hash());
    Key::new(format!("failures#{}#{name}", account.domain), "failures")
}

pub(super) fn edge(id: &EdgeId) -> Key {
    Key::new("edges", format!("edge#{}", id.as_str()))
}

pub(super) fn edge_name(name: &EdgeName) -> Key {
    Key::new("edges", format!("name#{name}"))
}

pub(super) fn edge_names() -> Listing {
    Listing { partition: "edges".to_owned(), prefix: "name#" }
}

pub(super) fn contact(contact: &Contact) -> Key {
    let entry = format!("{}#{}", contact.edge.as_str(), contact.instance);
    contact_entry(&contact.domain, &entry)
}

pub(super) fn contact_entry(domain: &DomainName, entry: &str) -> Key {
    Key::new(format!("contacts#{domain}"), entry)
}

pub(super) fn contacts(domain: &DomainName) -> Listing {
    Listing { partition: format!("contacts#{domain}"), prefix: "" }
}

pub(super) fn status_counter(domain: &DomainName) -> Key {
    Key::new(format!("status#{domain}"), "counter")
}

pub(super) fn status_version(domain: &DomainName) -> Key {
    Key::new(format!("status#{domain}"), "version")
}

/// By time, so that the latest are found at one end.
pub(super) fn revocation(domain: &DomainName, place: StatusPlace, at: Timestamp) -> Key {
    let StatusPlace { list, index } = place;
    Key::new(format!("status#{domain}#{list}"), format!("revoked#{}#{index}", sortable(at)))
}

pub(super) fn revocations(domain: &DomainName, list: u32, since: Timestamp) -> Range {
    Range {
        partition: format!("status#{domain}#{list}"),
        first: format!("revoked#{}", sortable(since)),
        last: format!("revoked#{AFTER_ALL}"),
    }
}

/// The place and the time of a revocation, by its sort key.
pub(super) fn revoked(sort: &str) -> Option<(u32, Timestamp)> {
    let (at, index) = sort.strip_prefix("revoked#")?.split_once('#')?;
    Some((index.parse().ok()?, Timestamp(at.parse().ok()?)))
}

/// After those of all users, which begin with a digit: one query finds both.
pub(super) fn not_before_all(domain: &DomainName) -> Key {
    Key::new(format!("status#{domain}"), format!("not_before#{ALL}"))
}

pub(super) fn not_before_listed(domain: &DomainName, subject: &str, at: Timestamp) -> Key {
    Key::new(format!("status#{domain}"), format!("not_before#{}#{subject}", sortable(at)))
}

pub(super) fn not_before_since(domain: &DomainName, since: Timestamp) -> Range {
    Range {
        partition: format!("status#{domain}"),
        first: format!("not_before#{}", sortable(since)),
        last: format!("not_before#{ALL}"),
    }
}

pub(super) fn not_before_subject(domain: &DomainName, subject: &str) -> Key {
    Key::new(format!("status#{domain}"), format!("subject#{subject}"))
}

/// Texts of these are in order of time.
fn sortable(at: Timestamp) -> String {
    format!("{:020}", at.0)
}

pub(super) fn ready() -> Key {
    Key::new("ready", "ready")
}
