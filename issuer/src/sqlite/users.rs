//! The table of users.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_column, sessions, status, to_column};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    store::StoreError,
    user::{PasswordHash, User, Username},
};

const COLUMNS: &str = "id, domain, username, password_hash, created_at, disabled_at";

pub(super) fn insert(connection: &Connection, user: &User) -> Result<(), StoreError> {
    connection.execute(
        &format!("INSERT INTO users ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
        params![
            user.id,
            user.domain.as_str(),
            user.username.as_str(),
            user.password_hash.0,
            to_column(user.created_at.0),
            user.disabled_at.map(|moment| to_column(moment.0)),
        ],
    )?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    domain: &DomainName,
    username: &Username,
) -> Result<Option<User>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM users WHERE domain = ?1 AND username = ?2");
    connection
        .prepare_cached(&query)?
        .query_row([domain.as_str(), username.as_str()], |row| Ok(user(row)))
        .optional()?
        .transpose()
}

pub(super) fn all(connection: &Connection, domain: &DomainName) -> Result<Vec<User>, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM users WHERE domain = ?1 ORDER BY username");
    let mut statement = connection.prepare_cached(&query)?;
    statement.query_map([domain.as_str()], |row| Ok(user(row)))?.map(|row| row?).collect()
}

pub(super) fn disable(
    connection: &Connection,
    domain: &DomainName,
    username: &Username,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(user) = find(connection, domain, username)? else {
        return Ok(false);
    };
    connection.execute(
        "UPDATE users SET disabled_at = ?2 WHERE id = ?1 AND disabled_at IS NULL",
        params![user.id, to_column(now.0)],
    )?;
    sessions::end_all_of_user(connection, &user.id, now)?;
    status::raise_not_before(connection, domain, Some(&user.id), now.plus(1))?;
    Ok(true)
}

pub(super) fn replace_password_hash(
    connection: &Connection,
    user: &User,
    next: &PasswordHash,
) -> Result<bool, StoreError> {
    let replaced = connection.execute(
        "UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2",
        params![user.id, user.password_hash.0, next.0],
    )?;
    Ok(replaced == 1)
}

fn user(row: &Row<'_>) -> Result<User, StoreError> {
    let domain: String = row.get("domain")?;
    let username: String = row.get("username")?;
    let disabled_at: Option<i64> = row.get("disabled_at")?;
    Ok(User {
        id: row.get("id")?,
        domain: domain.try_into().map_err(|_| StoreError::Damaged("domain name"))?,
        username: username.parse().map_err(|_| StoreError::Damaged("username"))?,
        password_hash: PasswordHash(row.get("password_hash")?),
        created_at: Timestamp(from_column(row.get("created_at")?)),
        disabled_at: disabled_at.map(from_column).map(Timestamp),
    })
}
