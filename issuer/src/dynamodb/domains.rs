//! Domains.

use super::{
    item::{Item, Reader, WriteId, number, text, with},
    keys,
    table::Table,
    update::{Update, Written},
};
use crate::{
    domain::{Domain, DomainName, DomainSettings},
    store::StoreError,
    vault::KeySetId,
};

const KIND: &str = "domain";

pub(super) async fn insert(table: &Table, domain: &Domain) -> Result<(), StoreError> {
    let write = WriteId::random();
    let item = with(encode(domain), [("created_by", write.value())]);
    let entry = keys::domain_entry(&domain.name).item();
    match table.add_with_entry([item], entry).await? {
        Written::No(stored) if !write.stands_in(stored.as_ref(), "created_by") => {
            Err(StoreError::AlreadyExists)
        }
        _ => Ok(()),
    }
}

pub(super) async fn find(table: &Table, name: &DomainName) -> Result<Option<Domain>, StoreError> {
    table.read(keys::domain(name)).await?.as_ref().map(decode).transpose()
}

pub(super) async fn all(table: &Table) -> Result<Vec<Domain>, StoreError> {
    let names = table.list(keys::domain_entries(), None).await?;
    let name = |name: String| name.parse().map_err(|_| StoreError::Damaged("domain name"));
    let names: Vec<DomainName> = names.into_iter().map(name).collect::<Result<_, _>>()?;
    let keys: Vec<_> = names.iter().map(keys::domain).collect();
    let items = table.read_all(&keys).await?;
    let mut domains: Vec<_> = items.iter().map(decode).collect::<Result<_, _>>()?;
    domains.sort_unstable_by(|one: &Domain, other| one.name.cmp(&other.name));
    if domains.len() == names.len() { Ok(domains) } else { Err(StoreError::Damaged("list")) }
}

pub(super) async fn require_generation(
    table: &Table,
    name: &DomainName,
    generation: u64,
) -> Result<(), StoreError> {
    let update = Update {
        key: keys::domain(name),
        change: "SET #least_generation = :generation",
        condition: "#least_generation < :generation",
        values: vec![(":generation", number(generation))],
    };
    match table.update(update).await? {
        Written::No(None) => Err(no_such_domain()),
        // It is as high already, perhaps by this very write.
        Written::Yes | Written::No(Some(_)) => Ok(()),
    }
}

pub(super) fn no_such_domain() -> StoreError {
    StoreError::unavailable("there is no such domain")
}

fn encode(domain: &Domain) -> Item {
    let settings = &domain.settings;
    with(
        keys::domain(&domain.name).item(),
        [
            ("name", text(domain.name.as_str())),
            ("key_set", text(domain.key_set.as_str())),
            ("audience", text(&settings.audience)),
            ("token_lifetime", number(settings.token_lifetime)),
            ("session_lifetime", number(settings.session_lifetime)),
            ("jwks_max_age", number(settings.jwks_max_age)),
            ("created_at", number(domain.created_at.0)),
            ("least_generation", number(domain.least_generation)),
        ],
    )
}

fn decode(item: &Item) -> Result<Domain, StoreError> {
    let read = Reader::new(item, KIND);
    Ok(Domain {
        name: read.domain_name("name")?,
        key_set: KeySetId::stored(read.text("key_set")?.to_owned()),
        settings: DomainSettings {
            audience: read.text("audience")?.to_owned(),
            token_lifetime: read.number("token_lifetime")?,
            session_lifetime: read.number("session_lifetime")?,
            jwks_max_age: read.number("jwks_max_age")?,
        },
        created_at: read.moment("created_at")?,
        least_generation: read.number("least_generation")?,
    })
}
