//! The table of key sets: the vault.

use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::to_column;
use crate::{domain::DomainName, key_set::KeySet, store::StoreError};

pub(super) fn insert(
    connection: &Connection,
    domain: &DomainName,
    key_set: &KeySet,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO key_sets (domain, generation, document) VALUES (?1, ?2, ?3)",
        params![domain.as_str(), to_column(key_set.generation), *document(key_set)?],
    )?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    domain: &DomainName,
) -> Result<Option<KeySet>, StoreError> {
    let stored: Option<Vec<u8>> = connection
        .prepare_cached("SELECT document FROM key_sets WHERE domain = ?1")?
        .query_row([domain.as_str()], |row| row.get(0))
        .optional()?;
    let Some(stored) = stored.map(Zeroizing::new) else {
        return Ok(None);
    };
    serde_json::from_slice(&stored).map(Some).map_err(|_| StoreError::Damaged("key set"))
}

pub(super) fn replace(
    connection: &Connection,
    domain: &DomainName,
    generation: u64,
    key_set: &KeySet,
) -> Result<(), StoreError> {
    let replaced = connection.execute(
        "UPDATE key_sets SET generation = ?3, document = ?4 WHERE domain = ?1 AND generation = ?2",
        params![
            domain.as_str(),
            to_column(generation),
            to_column(key_set.generation),
            *document(key_set)?
        ],
    )?;
    if replaced == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

fn document(key_set: &KeySet) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    serde_json::to_vec(key_set).map(Zeroizing::new).map_err(|_| StoreError::Damaged("key set"))
}
