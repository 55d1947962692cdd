//! The table of sessions.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{from_column, to_column};
use crate::{
    clock::Timestamp,
    domain::DomainName,
    secret::SecretBytes,
    session::{EndReason, RefreshHash, Session},
    status_list::StatusPlace,
    store::StoreError,
    user::Username,
};

const COLUMNS: &str = "id, domain, user_id, username, created_at, expires_at, ended_at, \
     end_reason, current_refresh, previous_refresh, refreshed_at, successor_key, status_list, \
     status_index";

/// How long a session is kept after its time, in seconds: someone may ask what became of it.
const KEPT_SECONDS: u64 = 30 * 24 * 60 * 60;
/// How many old sessions a new one clears away: more than come in, and few enough to be quick.
const CLEARED_AT_ONCE: i64 = 32;

pub(super) fn insert(connection: &Connection, session: &Session) -> Result<bool, StoreError> {
    // The user may have been disabled while the password was being checked.
    let insert = format!(
        "INSERT INTO sessions ({COLUMNS})
         SELECT ?1, ?2, id, ?4, ?5, ?6, NULL, NULL, ?7, ?8, ?9, ?10, ?11, ?12
         FROM users WHERE id = ?3 AND domain = ?2 AND disabled_at IS NULL"
    );
    let added = connection.prepare_cached(&insert)?.execute(params![
        session.id,
        session.domain.as_str(),
        session.user_id,
        session.username.as_str(),
        to_column(session.created_at.0),
        to_column(session.expires_at.0),
        session.current_refresh.0,
        session.previous_refresh.map(|hash| hash.0),
        to_column(session.refreshed_at.0),
        session.successor_key.expose(),
        session.status.map(|place| place.list),
        session.status.map(|place| place.index),
    ])?;
    Ok(added == 1)
}

/// Deletes some of those that expired long ago.
pub(super) fn clear_old(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let delete = "DELETE FROM sessions WHERE id IN
         (SELECT id FROM sessions WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)";
    let limit = Timestamp(now.0.saturating_sub(KEPT_SECONDS));
    connection.prepare_cached(delete)?.execute(params![to_column(limit.0), CLEARED_AT_ONCE])?;
    Ok(())
}

pub(super) fn find(
    connection: &Connection,
    domain: &DomainName,
    username: &Username,
    id: &str,
) -> Result<Option<Session>, StoreError> {
    let query =
        format!("SELECT {COLUMNS} FROM sessions WHERE domain = ?1 AND username = ?2 AND id = ?3");
    connection
        .prepare_cached(&query)?
        .query_row([domain.as_str(), username.as_str(), id], |row| Ok(session(row)))
        .optional()?
        .transpose()
}

pub(super) fn replace_refresh(
    connection: &Connection,
    id: &str,
    current: RefreshHash,
    next: RefreshHash,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let update = "UPDATE sessions
         SET previous_refresh = current_refresh, current_refresh = ?3, refreshed_at = ?4
         WHERE id = ?1 AND current_refresh = ?2 AND ended_at IS NULL AND expires_at > ?4";
    let replaced = connection.prepare_cached(update)?.execute(params![
        id,
        current.0,
        next.0,
        to_column(now.0)
    ])?;
    Ok(replaced == 1)
}

pub(super) fn end(
    connection: &Connection,
    id: &str,
    reason: EndReason,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let update = "UPDATE sessions SET ended_at = ?2, end_reason = ?3
         WHERE id = ?1 AND ended_at IS NULL AND expires_at > ?2";
    let ended = connection.execute(update, params![id, to_column(now.0), reason.as_str()])?;
    Ok(ended == 1)
}

pub(super) fn end_all_of_user(
    connection: &Connection,
    user_id: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE sessions SET ended_at = ?2, end_reason = ?3
         WHERE user_id = ?1 AND ended_at IS NULL";
    connection.execute(update, params![user_id, to_column(now.0), EndReason::Disabled.as_str()])?;
    Ok(())
}

fn session(row: &Row<'_>) -> Result<Session, StoreError> {
    let domain: String = row.get("domain")?;
    let username: String = row.get("username")?;
    let moment = |column| row.get(column).map(from_column).map(Timestamp);
    let previous_refresh: Option<[u8; 32]> = row.get("previous_refresh")?;
    Ok(Session {
        id: row.get("id")?,
        domain: domain.try_into().map_err(|_| StoreError::Damaged("domain name"))?,
        user_id: row.get("user_id")?,
        username: username.parse().map_err(|_| StoreError::Damaged("username"))?,
        created_at: moment("created_at")?,
        expires_at: moment("expires_at")?,
        ended: ended(row)?,
        current_refresh: RefreshHash(row.get("current_refresh")?),
        previous_refresh: previous_refresh.map(RefreshHash),
        refreshed_at: moment("refreshed_at")?,
        successor_key: SecretBytes::new(row.get("successor_key")?),
        status: place(row)?,
    })
}

fn place(row: &Row<'_>) -> Result<Option<StatusPlace>, StoreError> {
    let (list, index) = (row.get("status_list")?, row.get("status_index")?);
    Ok(Option::zip(list, index).map(|(list, index)| StatusPlace { list, index }))
}

fn ended(row: &Row<'_>) -> Result<Option<(Timestamp, EndReason)>, StoreError> {
    let (moment, name): (Option<i64>, Option<String>) =
        (row.get("ended_at")?, row.get("end_reason")?);
    let Some(moment) = moment else {
        return Ok(None);
    };
    let reason = EndReason::ALL.into_iter().find(|reason| Some(reason.as_str()) == name.as_deref());
    let reason = reason.ok_or(StoreError::Damaged("session"))?;
    Ok(Some((Timestamp(from_column(moment)), reason)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sqlite::{connect, schema},
        user::{PasswordHash, User},
    };

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn sessions_are_cleared_a_month_after_their_time_and_a_few_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = connect(&folder.path().join("sessions.db")).unwrap();
        schema::migrate(&mut connection).unwrap();
        connection.pragma_update(None, "foreign_keys", "OFF").unwrap();
        let user = User {
            id: "u1".to_owned(),
            domain: "shop".parse().unwrap(),
            username: "ada".parse().unwrap(),
            password_hash: PasswordHash(String::new()),
            created_at: Timestamp(0),
            disabled_at: None,
        };
        crate::sqlite::users::insert(&connection, &user).unwrap();
        for _ in 0..40 {
            let (session, _) = Session::start(&user, Timestamp(0), DAY);
            assert!(insert(&connection, &session).unwrap());
        }
        let (young, _) = Session::start(&user, Timestamp(1), DAY);
        assert!(insert(&connection, &young).unwrap());
        let left = |after| {
            clear_old(&connection, Timestamp(after)).unwrap();
            let count = "SELECT count(*) FROM sessions";
            connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!(left(31 * DAY), 41);
        assert_eq!(left(31 * DAY + 1), 9);
        assert_eq!(left(31 * DAY + 1), 1);
        assert!(find(&connection, &user.domain, &user.username, &young.id).unwrap().is_some());
        assert_eq!(left(32 * DAY), 0);
    }
}
