//! Moving in from another system: what it exported is read and checked as a whole, then written.
//!
//! Messages name members, domains, users and places, and never quote a value: any may be a secret.

mod line;
mod members;
mod problems;
mod secrets;
mod table;
mod write;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use self::{members::Fault, problems::Problems};
pub use self::{
    problems::MigrationError,
    table::TableMembers,
    write::{MigrationReport, Tally},
};
use crate::{
    administration::{ImportedDomain, ImportedUser},
    clock::Timestamp,
    domain::DomainName,
    user::Username,
};

/// Where something stood: a file and the line in it, or the item.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    file: Arc<str>,
    /// `line 3`, `item 3`, or nothing.
    within: Option<(&'static str, usize)>,
}

/// Everything that was read so far.
///
/// It is read into memory: a user takes some 300 bytes.
#[derive(Debug)]
pub struct Migration {
    now: Timestamp,
    domains: Vec<(Place, ImportedDomain)>,
    users: Vec<(Place, ImportedUser)>,
    seen_domains: HashMap<DomainName, Place>,
    seen_users: HashMap<(DomainName, Username), Place>,
    seen_ids: HashMap<String, Place>,
    problems: Problems,
    /// What was not understood and so is not carried, and how often it came.
    left_out: BTreeMap<String, u64>,
}

impl Migration {
    /// Nothing yet. `now` is since when users are disabled of whom only that is said.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            domains: Vec::new(),
            users: Vec::new(),
            seen_domains: HashMap::new(),
            seen_users: HashMap::new(),
            seen_ids: HashMap::new(),
            problems: Problems::default(),
            left_out: BTreeMap::new(),
        }
    }

    fn add_domain(&mut self, place: Place, domain: ImportedDomain) -> Result<(), Fault> {
        domain.settings().map_err(|error| Fault::new(error.to_string()))?;
        once(&mut self.seen_domains, domain.name.clone(), &place, "the domain")?;
        self.domains.push((place, domain));
        Ok(())
    }

    fn add_user(&mut self, place: Place, user: ImportedUser) -> Result<(), Fault> {
        let name = (user.domain.clone(), user.username.clone());
        once(&mut self.seen_users, name, &place, "the user")?;
        if let Some(id) = &user.id {
            once(&mut self.seen_ids, id.clone(), &place, "the id of the user")?;
        }
        self.users.push((place, user));
        Ok(())
    }

    fn leave_out(&mut self, what: String) {
        *self.left_out.entry(what).or_default() += 1;
    }
}

fn once<K: std::hash::Hash + Eq>(
    seen: &mut HashMap<K, Place>,
    key: K,
    place: &Place,
    what: &str,
) -> Result<(), Fault> {
    match seen.insert(key, place.clone()) {
        None => Ok(()),
        Some(first) => Err(Fault::new(format!("{what} comes twice, first in {first}"))),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.within {
            Some((what, number)) => write!(formatter, "{} {what} {number}", self.file),
            None => formatter.write_str(&self.file),
        }
    }
}

#[cfg(test)]
mod tests;
