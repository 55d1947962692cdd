//! The table of key sets: the vault.

use rusqlite::{Connection, OptionalExtension, params};
use zeroize::Zeroizing;

use super::to_column;
use crate::{key_set::KeySet, store::StoreError, vault::KeySetId};

pub(super) fn insert(
    connection: &Connection,
    id: &KeySetId,
    key_set: &KeySet,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO key_sets (id, generation, document) VALUES (?1, ?2, ?3)",
        params![id.as_str(), to_column(key_set.generation), *document(key_set)?],
    )?;
    Ok(())
}

pub(super) fn find(connection: &Connection, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
    let stored: Option<Vec<u8>> = connection
        .prepare_cached("SELECT document FROM key_sets WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    let Some(stored) = stored.map(Zeroizing::new) else {
        return Ok(None);
    };
    serde_json::from_slice(&stored).map(Some).map_err(|_| StoreError::Damaged("key set"))
}

pub(super) fn replace(
    connection: &Connection,
    id: &KeySetId,
    generation: u64,
    key_set: &KeySet,
) -> Result<(), StoreError> {
    let replaced = connection.execute(
        "UPDATE key_sets SET generation = ?3, document = ?4 WHERE id = ?1 AND generation = ?2",
        params![
            id.as_str(),
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
