//! The tables of edges and of their contacts.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_column, to_column};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    edge::{Contact, Edge, EdgeId, EdgeKey, EdgeName},
    store::StoreError,
};

/// Version 3 of the schema.
pub(super) const TABLES: &str = "
CREATE TABLE edges (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    domains TEXT NOT NULL,
    signing_key TEXT NOT NULL,
    encryption_key TEXT NOT NULL,
    push_url TEXT,
    created_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX edges_by_name ON edges (name) WHERE removed_at IS NULL;

CREATE TABLE contacts (
    domain TEXT NOT NULL REFERENCES domains (name),
    edge TEXT NOT NULL REFERENCES edges (id),
    instance TEXT NOT NULL,
    at INTEGER NOT NULL,
    generation INTEGER,
    PRIMARY KEY (domain, edge, instance)
) STRICT, WITHOUT ROWID;

CREATE INDEX contacts_by_time ON contacts (at);
";

const KIND: &str = "edge";
const COLUMNS: &str =
    "id, name, domains, signing_key, encryption_key, push_url, created_at, removed_at";
/// How many old contacts a new one clears away: more than come in, and few enough to be quick.
const CLEARED_AT_ONCE: i64 = 32;

pub(super) fn insert(connection: &Connection, edge: &Edge) -> Result<(), StoreError> {
    connection.execute(
        &format!("INSERT INTO edges ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
        params![
            edge.id.as_str(),
            edge.name.as_str(),
            json(&edge.domains)?,
            json(&edge.signing_key)?,
            json(&edge.encryption_key)?,
            edge.push_url.as_ref().map(ToString::to_string),
            to_column(edge.created_at.0),
            edge.removed_at.map(|moment| to_column(moment.0)),
        ],
    )?;
    Ok(())
}

pub(super) fn find(connection: &Connection, id: &EdgeId) -> Result<Option<Edge>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM edges WHERE id = ?1"))?
        .query_row([id.as_str()], |row| Ok(edge(row)))
        .optional()?
        .transpose()
}

pub(super) fn enrolled(connection: &Connection) -> Result<Vec<Edge>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM edges WHERE removed_at IS NULL ORDER BY name");
    let mut statement = connection.prepare_cached(&query)?;
    statement.query_map([], |row| Ok(edge(row)))?.map(|row| row?).collect()
}

pub(super) fn remove(
    connection: &Connection,
    name: &EdgeName,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let update = "UPDATE edges SET removed_at = ?2 WHERE name = ?1 AND removed_at IS NULL";
    Ok(connection.execute(update, params![name.as_str(), to_column(now.0)])? == 1)
}

/// An earlier one that comes late changes nothing.
pub(super) fn record(connection: &Connection, contact: &Contact) -> Result<(), StoreError> {
    let upsert = "INSERT INTO contacts (domain, edge, instance, at, generation)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (domain, edge, instance)
         DO UPDATE SET at = excluded.at, generation = excluded.generation
         WHERE excluded.at >= at";
    connection.prepare_cached(upsert)?.execute(params![
        contact.domain.as_str(),
        contact.edge.as_str(),
        contact.instance,
        to_column(contact.at.0),
        contact.generation.map(to_column),
    ])?;
    Ok(())
}

/// Deletes some of those that nobody asks for any more.
pub(super) fn clear_old(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let delete = "DELETE FROM contacts WHERE (domain, edge, instance) IN
         (SELECT domain, edge, instance FROM contacts WHERE at < ?1 ORDER BY at LIMIT ?2)";
    let limit = Timestamp(now.0.saturating_sub(Contact::KEPT_SECONDS));
    connection.prepare_cached(delete)?.execute(params![to_column(limit.0), CLEARED_AT_ONCE])?;
    Ok(())
}

pub(super) fn contacts(
    connection: &Connection,
    domain: &DomainName,
) -> Result<Vec<Contact>, StoreError> {
    let query = "SELECT edge, instance, at, generation FROM contacts
         WHERE domain = ?1 AND edge IN (SELECT id FROM edges WHERE removed_at IS NULL)
         ORDER BY edge, instance";
    let mut statement = connection.prepare_cached(query)?;
    let contacts = statement.query_map([domain.as_str()], |row| {
        Ok(Contact {
            edge: EdgeId::stored(row.get("edge")?),
            domain: domain.clone(),
            instance: row.get("instance")?,
            at: Timestamp(from_column(row.get("at")?)),
            generation: row.get::<_, Option<i64>>("generation")?.map(from_column),
        })
    })?;
    Ok(contacts.collect::<Result<_, _>>()?)
}

fn edge(row: &Row<'_>) -> Result<Edge, StoreError> {
    let damaged = || StoreError::Damaged(KIND);
    let key = |column| -> Result<EdgeKey, StoreError> {
        serde_json::from_str(&row.get::<_, String>(column)?).map_err(|_| damaged())
    };
    let push_url: Option<String> = row.get("push_url")?;
    let removed_at: Option<i64> = row.get("removed_at")?;
    Ok(Edge {
        id: EdgeId::stored(row.get("id")?),
        name: row.get::<_, String>("name")?.parse().map_err(|_| damaged())?,
        domains: serde_json::from_str(&row.get::<_, String>("domains")?).map_err(|_| damaged())?,
        signing_key: key("signing_key")?,
        encryption_key: key("encryption_key")?,
        push_url: push_url.map(|url| url.parse()).transpose().map_err(|_| damaged())?,
        created_at: Timestamp(from_column(row.get("created_at")?)),
        removed_at: removed_at.map(|moment| Timestamp(from_column(moment))),
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::unavailable)
}
