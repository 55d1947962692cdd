//! The table of domains.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_column, to_column};
use crate::{
    clock::Timestamp,
    domain::{Domain, DomainName, DomainSettings},
    store::StoreError,
    vault::KeySetId,
};

const COLUMNS: &str = "name, key_set, audience, token_lifetime, session_lifetime, jwks_max_age, \
     created_at, least_generation";

pub(super) fn insert(connection: &Connection, domain: &Domain) -> Result<(), StoreError> {
    let settings = &domain.settings;
    connection.execute(
        &format!("INSERT INTO domains ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
        params![
            domain.name.as_str(),
            domain.key_set.as_str(),
            settings.audience,
            to_column(settings.token_lifetime),
            to_column(settings.session_lifetime),
            to_column(settings.jwks_max_age),
            to_column(domain.created_at.0),
            to_column(domain.least_generation),
        ],
    )?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    name: &DomainName,
) -> Result<Option<Domain>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM domains WHERE name = ?1"))?
        .query_row([name.as_str()], |row| Ok(domain(row)))
        .optional()?
        .transpose()
}

pub(super) fn all(connection: &Connection) -> Result<Vec<Domain>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM domains ORDER BY name"))?;
    statement.query_map([], |row| Ok(domain(row)))?.map(|row| row?).collect()
}

pub(super) fn require_generation(
    connection: &Connection,
    name: &DomainName,
    generation: u64,
) -> Result<(), StoreError> {
    let update = "UPDATE domains SET least_generation = max(least_generation, ?2) WHERE name = ?1";
    connection.execute(update, params![name.as_str(), to_column(generation)])?;
    Ok(())
}

fn domain(row: &Row<'_>) -> Result<Domain, StoreError> {
    let seconds = |column| row.get(column).map(from_column);
    let name: String = row.get("name")?;
    Ok(Domain {
        name: name.try_into().map_err(|_| StoreError::Damaged("domain name"))?,
        key_set: KeySetId::stored(row.get("key_set")?),
        settings: DomainSettings {
            audience: row.get("audience")?,
            token_lifetime: seconds("token_lifetime")?,
            session_lifetime: seconds("session_lifetime")?,
            jwks_max_age: seconds("jwks_max_age")?,
        },
        created_at: Timestamp(seconds("created_at")?),
        least_generation: seconds("least_generation")?,
    })
}
