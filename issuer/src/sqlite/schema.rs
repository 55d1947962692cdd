//! The tables, and bringing a file up to them.

use rusqlite::{Connection, TransactionBehavior};

use super::edges;
use crate::store::StoreError;

const VERSION: i64 = 4;

const TABLES: &str = "
CREATE TABLE domains (
    name TEXT PRIMARY KEY,
    key_set TEXT NOT NULL,
    audience TEXT NOT NULL,
    token_lifetime INTEGER NOT NULL,
    session_lifetime INTEGER NOT NULL,
    jwks_max_age INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    domain TEXT NOT NULL REFERENCES domains (name),
    username TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    UNIQUE (domain, username)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    domain TEXT NOT NULL REFERENCES domains (name),
    user_id TEXT NOT NULL REFERENCES users (id),
    username TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER,
    end_reason TEXT,
    current_refresh BLOB NOT NULL,
    previous_refresh BLOB,
    refreshed_at INTEGER NOT NULL,
    successor_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiration ON sessions (expires_at);

CREATE TABLE key_sets (
    id TEXT PRIMARY KEY,
    generation INTEGER NOT NULL,
    document BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Version 2: [`Domain::least_generation`](crate::Domain::least_generation).
const LEAST_GENERATION: &str =
    "ALTER TABLE domains ADD COLUMN least_generation INTEGER NOT NULL DEFAULT 1;";

/// Version 4: places in status lists, and from when on tokens count. The empty subject stands for all
/// users of the domain.
const STATUS: &str = "
CREATE TABLE status_counters (
    domain TEXT PRIMARY KEY REFERENCES domains (name),
    place_key BLOB NOT NULL,
    allocated INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE not_before (
    domain TEXT NOT NULL REFERENCES domains (name),
    subject TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (domain, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX not_before_by_time ON not_before (domain, at);

ALTER TABLE sessions ADD COLUMN status_list INTEGER;
ALTER TABLE sessions ADD COLUMN status_index INTEGER;

CREATE INDEX revocations ON sessions (domain, status_list, ended_at, status_index)
    WHERE ended_at IS NOT NULL;
";

/// What brings a file from each version to the next one.
const STEPS: [&str; 4] = [TABLES, LEAST_GENERATION, edges::TABLES, STATUS];

/// Brings the file up to [`VERSION`].
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // Two processes may open a new file at once: the second one waits, then finds it done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = version(&transaction)?;
    for step in STEPS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    if version < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(())
}

/// The version of the file, unless a later program has brought it further than this one knows.
fn version(connection: &Connection) -> Result<i64, StoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > VERSION {
        return Err(StoreError::NewerSchema { found, known: VERSION });
    }
    Ok(found)
}

/// Writes what is there already. It is committed, too: until then SQLite keeps to memory, and
/// would not notice a full disk.
pub(super) fn probe_writing(connection: &Connection) -> Result<(), StoreError> {
    let version = version(connection)?;
    Ok(connection.pragma_update(None, "user_version", version)?)
}

/// Reads something that is always there.
pub(super) fn probe_reading(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("SELECT count(*) FROM domains", [], |_| Ok(()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        session::EndReason,
        sqlite::{connect, sessions, status},
    };

    /// A file as version 2 left it, with a session that goes on.
    const BEFORE_STATUS: &str = "
INSERT INTO domains VALUES ('shop', 'k', 'api', 300, 3600, 300, 0, 1);
INSERT INTO users VALUES ('u1', 'shop', 'ada', 'hash', 0, NULL);
INSERT INTO sessions VALUES ('s1', 'shop', 'u1', 'ada', 5, 3605, NULL, NULL,
    zeroblob(32), NULL, 5, zeroblob(32));
PRAGMA user_version = 2;
";

    #[test]
    fn sessions_of_before_there_were_status_lists_go_on_without_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = connect(&folder.path().join("postern.db")).unwrap();
        for step in [TABLES, LEAST_GENERATION, BEFORE_STATUS] {
            connection.execute_batch(step).unwrap();
        }
        migrate(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), VERSION);
        let (shop, ada) = ("shop".parse().unwrap(), "ada".parse().unwrap());
        let session = sessions::find(&connection, &shop, &ada, "s1").unwrap().unwrap();
        assert_eq!((session.status, session.ended), (None, None));
        assert_eq!(status::lists(&connection, &shop).unwrap(), 0);
        assert!(sessions::end(&connection, "s1", EndReason::Logout, Timestamp(9)).unwrap());
        assert_eq!(status::revoked_since(&connection, &shop, 0, Timestamp(0)).unwrap(), []);
        status::allocate(&connection, &shop).unwrap();
        assert_eq!(status::lists(&connection, &shop).unwrap(), 1);
        migrate(&mut connection).unwrap();
    }

    /// However many sessions there are, those that were not revoked are not looked at.
    #[test]
    fn revocations_are_found_by_their_index_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = connect(&folder.path().join("postern.db")).unwrap();
        migrate(&mut connection).unwrap();
        let query = format!("EXPLAIN QUERY PLAN {}", status::REVOKED_SINCE);
        let plan: String = connection
            .query_row(&query, rusqlite::params!["shop", 0, 7], |row| row.get(3))
            .unwrap();
        assert!(plan.contains("SEARCH sessions USING COVERING INDEX revocations"), "{plan}");
        assert!(plan.contains("domain=? AND status_list=? AND ended_at>?"), "{plan}");
    }

    #[test]
    fn a_file_of_each_earlier_version_is_brought_up_and_keeps_what_is_in_it() {
        for version in 1..STEPS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            for step in &STEPS[..version] {
                connection.execute_batch(step).unwrap();
            }
            let domain = "INSERT INTO domains (name, key_set, audience, token_lifetime,
                session_lifetime, jwks_max_age, created_at) VALUES ('shop', 'k', 'a', 1, 2, 3, 4)";
            connection.execute_batch(domain).unwrap();
            let found = i64::try_from(version).unwrap();
            connection.pragma_update(None, "user_version", found).unwrap();
            for _ in 0..2 {
                migrate(&mut connection).unwrap();
                assert_eq!(super::version(&connection).unwrap(), VERSION);
                let count = |table: &str| -> i64 {
                    let query = format!("SELECT count(*) FROM {table}");
                    connection.query_row(&query, [], |row| row.get(0)).unwrap()
                };
                assert_eq!(["domains", "edges", "contacts"].map(count), [1, 0, 0], "{version}");
            }
        }
        assert_eq!(i64::try_from(STEPS.len()), Ok(VERSION));
    }
}
