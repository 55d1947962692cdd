//! Places in status lists, what was revoked in them, and from when on tokens count.

use rusqlite::{Connection, OptionalExtension, params};

use super::{from_column, to_column};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    status_list::{NotBefore, PlaceKey, StatusPlace},
    store::StoreError,
};

/// The subject that stands for all users of the domain; no user has an empty id.
const ALL: &str = "";

/// Answered from the index of revocations alone.
pub(super) const REVOKED_SINCE: &str = "SELECT status_index, ended_at FROM sessions
     WHERE domain = ?1 AND status_list = ?2 AND ended_at >= ?3";

pub(super) fn allocate(
    connection: &Connection,
    domain: &DomainName,
) -> Result<StatusPlace, StoreError> {
    make_counter(connection, domain)?;
    let update = "UPDATE status_counters SET allocated = allocated + 1 WHERE domain = ?1
         RETURNING place_key, allocated - 1";
    let (key, count) = connection
        .prepare_cached(update)?
        .query_row([domain.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    PlaceKey::stored(key)?.place(from_column(count))
}

pub(super) fn lists(connection: &Connection, domain: &DomainName) -> Result<u32, StoreError> {
    let query = "SELECT allocated FROM status_counters WHERE domain = ?1";
    let mut statement = connection.prepare_cached(query)?;
    let allocated = statement.query_row([domain.as_str()], |row| row.get(0)).optional()?;
    StatusPlace::lists_begun(allocated.map_or(0, from_column))
}

pub(super) fn revoked_since(
    connection: &Connection,
    domain: &DomainName,
    list: u32,
    since: Timestamp,
) -> Result<Vec<(u32, Timestamp)>, StoreError> {
    let mut statement = connection.prepare_cached(REVOKED_SINCE)?;
    let revoked = statement
        .query_map(params![domain.as_str(), list, to_column(since.0)], |row| {
            Ok((row.get(0)?, Timestamp(from_column(row.get(1)?))))
        })?;
    Ok(revoked.collect::<Result<_, _>>()?)
}

pub(super) fn raise_not_before(
    connection: &Connection,
    domain: &DomainName,
    subject: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let at = match subject {
        Some(subject) => at.max(latest_token(connection, subject)?.plus(1)),
        None => at,
    };
    let upsert = "INSERT INTO not_before (domain, subject, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (domain, subject) DO UPDATE SET at = max(at, excluded.at)";
    let subject = subject.unwrap_or(ALL);
    connection.execute(upsert, params![domain.as_str(), subject, to_column(at.0)])?;
    count_change(connection, domain)
}

/// The latest `iat` that a session of the user has brought forth.
fn latest_token(connection: &Connection, user_id: &str) -> Result<Timestamp, StoreError> {
    let query = "SELECT max(max(refreshed_at, created_at)) FROM sessions WHERE user_id = ?1";
    let latest: Option<i64> = connection.query_row(query, [user_id], |row| row.get(0))?;
    Ok(Timestamp(latest.map_or(0, from_column)))
}

pub(super) fn not_before(
    connection: &Connection,
    domain: &DomainName,
    since: Timestamp,
) -> Result<NotBefore, StoreError> {
    let query =
        "SELECT subject, at FROM not_before WHERE domain = ?1 AND at >= ?2 AND subject <> ?3";
    let mut statement = connection.prepare_cached(query)?;
    let subjects = statement
        .query_map(params![domain.as_str(), to_column(since.0), ALL], |row| {
            Ok((row.get(0)?, Timestamp(from_column(row.get(1)?))))
        })?;
    let subjects = subjects.collect::<Result<_, _>>()?;
    Ok(NotBefore { all: of(connection, domain, ALL)?, subjects })
}

pub(super) fn not_before_of(
    connection: &Connection,
    domain: &DomainName,
    subject: &str,
) -> Result<Timestamp, StoreError> {
    let both = [of(connection, domain, ALL)?, of(connection, domain, subject)?];
    Ok(both.into_iter().flatten().max().unwrap_or_default())
}

fn of(
    connection: &Connection,
    domain: &DomainName,
    subject: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let query = "SELECT at FROM not_before WHERE domain = ?1 AND subject = ?2";
    let mut statement = connection.prepare_cached(query)?;
    let at = statement.query_row([domain.as_str(), subject], |row| row.get(0)).optional()?;
    Ok(at.map(from_column).map(Timestamp))
}

/// Whoever waits for changes sees that there was one.
pub(super) fn count_change(connection: &Connection, domain: &DomainName) -> Result<(), StoreError> {
    make_counter(connection, domain)?;
    let update = "UPDATE status_counters SET version = version + 1 WHERE domain = ?1";
    connection.prepare_cached(update)?.execute([domain.as_str()])?;
    Ok(())
}

pub(super) fn version(connection: &Connection, domain: &DomainName) -> Result<u64, StoreError> {
    let query = "SELECT version FROM status_counters WHERE domain = ?1";
    let mut statement = connection.prepare_cached(query)?;
    let version = statement.query_row([domain.as_str()], |row| row.get(0)).optional()?;
    Ok(version.map_or(0, from_column))
}

fn make_counter(connection: &Connection, domain: &DomainName) -> Result<(), StoreError> {
    let insert = "INSERT INTO status_counters (domain, place_key, allocated, version)
         VALUES (?1, ?2, 0, 0) ON CONFLICT (domain) DO NOTHING";
    let key = PlaceKey::random();
    connection.prepare_cached(insert)?.execute(params![domain.as_str(), key.expose()])?;
    Ok(())
}
