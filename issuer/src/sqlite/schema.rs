//! The tables, and bringing a file up to them.

use rusqlite::{Connection, TransactionBehavior};

use super::edges;
use crate::store::StoreError;

const VERSION: i64 = 3;

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

/// What brings a file from each version to the next one.
const STEPS: [&str; 3] = [TABLES, LEAST_GENERATION, edges::TABLES];

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
