//! Erasing what was replaced from the write-ahead log.
//!
//! With `secure_delete` nothing that was replaced stays in the database file. The log beside it
//! still has the pages as they once were, private keys and all, until it is emptied, and SQLite
//! by itself only writes over it from its start.

use std::time::Duration;

use rusqlite::Connection;

const ATTEMPTS: usize = 5;
/// How long an attempt waits for readers. Writers wait that long, too.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);

/// Copies the log into the database file and empties it.
///
/// A reader in the middle of its query holds that up; the queries of this program take
/// milliseconds. Should someone read for longer, a copy of the database being taken, say, the
/// log is left as it is, with a warning, and the next rotation or the next start erases it. What
/// backups and the file system keep of deleted data is beyond the reach of this.
pub(super) fn erase(connection: &Connection) {
    let done = attempt_often(connection);
    // In any case, writes must be as patient afterwards as they were before.
    let restored = connection.busy_timeout(super::BUSY_TIMEOUT);
    match done.and_then(|done| restored.map(|()| done)) {
        Ok(true) => {}
        Ok(false) => tracing::warn!("the write-ahead log is in use: it keeps replaced keys"),
        Err(error) => tracing::warn!(%error, "cannot empty the write-ahead log"),
    }
}

fn attempt_often(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(ATTEMPT_TIMEOUT)?;
    for _ in 0..ATTEMPTS {
        let busy: i64 =
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, sync::Arc};

    use super::*;
    use crate::{
        clock::{Timestamp, virtual_time::VirtualClock},
        domain::DomainSettings,
        key::{Key, SigningAlgorithm},
        key_set::{KeySet, Rotation},
        sqlite::Sqlite,
        vault::{KeySetId, Vault},
    };

    const NOW: Timestamp = Timestamp(1_000_000);

    fn settings() -> DomainSettings {
        DomainSettings::sample(600)
    }

    async fn rotated(sqlite: &Sqlite, id: &KeySetId, key_set: &KeySet) -> KeySet {
        let next = key_set.rotate(&settings(), NOW, Rotation::Forced).unwrap();
        let clock = Arc::new(VirtualClock::at(NOW.0));
        sqlite.replace_key_set(id, key_set.generation, &next, clock).await.unwrap()
    }

    /// The secret as the documents in the database spell it.
    fn secret(key: &Key) -> String {
        serde_json::to_value(key).unwrap()["secret"].as_str().unwrap().to_owned()
    }

    fn files_with(folder: &Path, text: &str) -> usize {
        let files = folder.read_dir().unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        let holds = |bytes: &Vec<u8>| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        files.filter(holds).count()
    }

    #[tokio::test]
    async fn a_replaced_private_key_is_in_no_file_while_another_process_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).unwrap();
        let other = Sqlite::open(folder.path()).unwrap();
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa] {
            let id = KeySetId::random();
            let first = KeySet::generate(algorithm, NOW).unwrap();
            sqlite.create_key_set(&id, &first).await.unwrap();
            assert!(other.key_set(&id).await.unwrap().is_some());
            assert_ne!(files_with(folder.path(), &secret(&first.current)), 0);
            let second = rotated(&sqlite, &id, &first).await;
            assert_eq!(files_with(folder.path(), &secret(&first.current)), 0);
            assert_eq!(files_with(folder.path(), &secret(&second.current)), 1);
            assert_eq!(other.key_set(&id).await.unwrap(), Some(second));
        }
    }

    #[tokio::test]
    async fn what_a_long_reader_held_up_is_made_up_for_by_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).unwrap();
        let id = KeySetId::random();
        let first = KeySet::generate(SigningAlgorithm::Es256, NOW).unwrap();
        sqlite.create_key_set(&id, &first).await.unwrap();
        let backup = Connection::open(folder.path().join("postern.db")).unwrap();
        backup.execute_batch("BEGIN; SELECT count(*) FROM key_sets;").unwrap();
        rotated(&sqlite, &id, &first).await;
        assert_ne!(files_with(folder.path(), &secret(&first.current)), 0);
        backup.execute_batch("COMMIT").unwrap();
        Sqlite::open(folder.path()).unwrap();
        assert_eq!(files_with(folder.path(), &secret(&first.current)), 0);
    }

    #[test]
    fn writers_stay_patient() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(folder.path()).unwrap();
        let writer = sqlite.writer.blocking_lock();
        let patience: i64 = writer.query_row("PRAGMA busy_timeout", [], |row| row.get(0)).unwrap();
        assert_eq!(u128::try_from(patience).unwrap(), crate::sqlite::BUSY_TIMEOUT.as_millis());
    }
}
