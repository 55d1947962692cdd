//! Both storage ports on one SQLite file: the embedded default.

mod domains;
mod edges;
mod erasure;
mod key_sets;
mod schema;
mod sessions;
mod status;
mod users;

use std::{
    fs::{DirBuilder, OpenOptions, Permissions, set_permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{
    Connection, Transaction, TransactionBehavior,
    ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE},
};
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::{
    account::Account,
    clock::{Clock, Timestamp},
    domain::{Domain, DomainName},
    edge::{Contact, Edge, EdgeId, EdgeName},
    failed_logins::{FailedLogins, LoginFailures},
    key_set::KeySet,
    session::{EndReason, RefreshHash, Session},
    status_list::{NotBefore, StatusPlace},
    store::{Store, StoreError},
    user::{PasswordHash, User, Username},
    vault::{KeySetId, Vault},
};

const FILE_NAME: &str = "postern.db";
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The store and the vault on one SQLite file; only failed logins are kept in memory, by each
/// process for itself.
///
/// Reads and writes have a connection each, so that a read does not wait for the disk. Several
/// processes may have the file open at once: every operation sees what the others committed.
#[derive(Clone)]
pub struct Sqlite {
    reader: Arc<Mutex<Connection>>,
    writer: Arc<Mutex<Connection>>,
    failed_logins: Arc<FailedLogins>,
}

impl Sqlite {
    /// Opens the database in `data_dir`, which is made if it is missing, readable by its owner
    /// alone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the folder or the file cannot be made or opened,
    /// [`StoreError::SharedFolder`] when others may write to it, [`StoreError::NewerSchema`] when a later version wrote it.
    pub fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let file = data_dir.join(FILE_NAME);
        make_private_folder(data_dir)?;
        make_private_file(&file).map_err(StoreError::unavailable)?;
        let mut writer = connect(&file)?;
        schema::migrate(&mut writer)?;
        erasure::erase(&writer);
        let reader = Arc::new(Mutex::new(connect(&file)?));
        let writer = Arc::new(Mutex::new(writer));
        Ok(Self { reader, writer, failed_logins: Arc::default() })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.reader).lock_owned().await;
        spawn_blocking(move || work(&connection)).await.map_err(StoreError::unavailable)?
    }

    /// Runs `work` in a transaction that holds the write lock from its start, so that it never
    /// fails half way because another process wrote first.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut connection = Arc::clone(&self.writer).lock_owned().await;
        let commit = move || {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = work(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        spawn_blocking(commit).await.map_err(StoreError::unavailable)?
    }

    #[cfg(test)]
    pub(crate) async fn refuse_writes(&self, refuse: bool) {
        let writer = self.writer.lock().await;
        writer.pragma_update(None, "query_only", refuse).unwrap();
    }

    async fn erase_what_was_replaced(&self) {
        let connection = Arc::clone(&self.writer).lock_owned().await;
        if spawn_blocking(move || erasure::erase(&connection)).await.is_err() {
            tracing::warn!("erasing what was replaced was cut short");
        }
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn create_domain(&self, domain: &Domain) -> Result<(), StoreError> {
        let domain = domain.clone();
        self.write(move |connection| domains::insert(connection, &domain)).await
    }

    async fn domain(&self, name: &DomainName) -> Result<Option<Domain>, StoreError> {
        let name = name.clone();
        self.read(move |connection| domains::find(connection, &name)).await
    }

    async fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        self.read(domains::all).await
    }

    async fn require_generation(
        &self,
        domain: &DomainName,
        generation: u64,
    ) -> Result<(), StoreError> {
        let name = domain.clone();
        self.write(move |connection| domains::require_generation(connection, &name, generation))
            .await
    }

    async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        let user = user.clone();
        self.write(move |connection| users::insert(connection, &user)).await
    }

    async fn user(
        &self,
        domain: &DomainName,
        username: &Username,
    ) -> Result<Option<User>, StoreError> {
        let (domain, username) = (domain.clone(), username.clone());
        self.read(move |connection| users::find(connection, &domain, &username)).await
    }

    async fn users(&self, domain: &DomainName) -> Result<Vec<User>, StoreError> {
        let domain = domain.clone();
        self.read(move |connection| users::all(connection, &domain)).await
    }

    async fn disable_user(
        &self,
        domain: &DomainName,
        username: &Username,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (domain, username) = (domain.clone(), username.clone());
        self.write(move |connection| users::disable(connection, &domain, &username, now)).await
    }

    async fn replace_password_hash(
        &self,
        user: &User,
        next: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let (user, next) = (user.clone(), next.clone());
        self.write(move |connection| users::replace_password_hash(connection, &user, &next)).await
    }

    async fn create_session(&self, session: &Session) -> Result<bool, StoreError> {
        let session = session.clone();
        self.write(move |connection| {
            sessions::clear_old(connection, session.created_at)?;
            sessions::insert(connection, &session)
        })
        .await
    }

    async fn session(
        &self,
        domain: &DomainName,
        username: &Username,
        id: &str,
    ) -> Result<Option<Session>, StoreError> {
        let (domain, username, id) = (domain.clone(), username.clone(), id.to_owned());
        self.read(move |connection| sessions::find(connection, &domain, &username, &id)).await
    }

    async fn replace_refresh(
        &self,
        session: &Session,
        current: RefreshHash,
        next: RefreshHash,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let id = session.id.clone();
        self.write(move |connection| {
            let now = clock.now();
            let replaced = sessions::replace_refresh(connection, &id, current, next, now)?;
            Ok(replaced.then_some(now))
        })
        .await
    }

    async fn end_session(
        &self,
        session: &Session,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, domain) = (session.id.clone(), session.domain.clone());
        self.write(move |connection| {
            let ended = sessions::end(connection, &id, reason, now)?;
            if ended {
                status::count_change(connection, &domain)?;
            }
            Ok(ended)
        })
        .await
    }

    async fn allocate_status(&self, domain: &DomainName) -> Result<StatusPlace, StoreError> {
        let domain = domain.clone();
        self.write(move |connection| status::allocate(connection, &domain)).await
    }

    async fn status_lists(&self, domain: &DomainName) -> Result<u32, StoreError> {
        let domain = domain.clone();
        self.read(move |connection| status::lists(connection, &domain)).await
    }

    async fn revoked_since(
        &self,
        domain: &DomainName,
        list: u32,
        since: Timestamp,
    ) -> Result<Vec<(u32, Timestamp)>, StoreError> {
        let domain = domain.clone();
        self.read(move |connection| status::revoked_since(connection, &domain, list, since)).await
    }

    async fn raise_not_before(
        &self,
        domain: &DomainName,
        subject: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (domain, subject) = (domain.clone(), subject.map(str::to_owned));
        self.write(move |connection| {
            status::raise_not_before(connection, &domain, subject.as_deref(), at)
        })
        .await
    }

    async fn not_before(
        &self,
        domain: &DomainName,
        since: Timestamp,
    ) -> Result<NotBefore, StoreError> {
        let domain = domain.clone();
        self.read(move |connection| status::not_before(connection, &domain, since)).await
    }

    async fn not_before_of(
        &self,
        domain: &DomainName,
        subject: &str,
    ) -> Result<Timestamp, StoreError> {
        let (domain, subject) = (domain.clone(), subject.to_owned());
        self.read(move |connection| status::not_before_of(connection, &domain, &subject)).await
    }

    async fn status_version(&self, domain: &DomainName) -> Result<u64, StoreError> {
        let domain = domain.clone();
        self.read(move |connection| status::version(connection, &domain)).await
    }

    async fn login_failures(&self, account: &Account) -> Result<Option<LoginFailures>, StoreError> {
        Ok(self.failed_logins.of(account))
    }

    async fn record_login_failure(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.failed_logins.record(account, now);
        Ok(())
    }

    async fn forget_login_failures(&self, account: &Account) -> Result<(), StoreError> {
        self.failed_logins.forget(account);
        Ok(())
    }

    async fn create_edge(&self, edge: &Edge) -> Result<(), StoreError> {
        let edge = edge.clone();
        self.write(move |connection| edges::insert(connection, &edge)).await
    }

    async fn edge(&self, id: &EdgeId) -> Result<Option<Edge>, StoreError> {
        let id = id.clone();
        self.read(move |connection| edges::find(connection, &id)).await
    }

    async fn edges(&self) -> Result<Vec<Edge>, StoreError> {
        self.read(edges::enrolled).await
    }

    async fn remove_edge(&self, name: &EdgeName, now: Timestamp) -> Result<bool, StoreError> {
        let name = name.clone();
        self.write(move |connection| edges::remove(connection, &name, now)).await
    }

    async fn record_contact(&self, contact: &Contact) -> Result<(), StoreError> {
        let contact = contact.clone();
        self.write(move |connection| {
            edges::clear_old(connection, contact.at)?;
            edges::record(connection, &contact)
        })
        .await
    }

    async fn contacts(&self, domain: &DomainName) -> Result<Vec<Contact>, StoreError> {
        let domain = domain.clone();
        self.read(move |connection| edges::contacts(connection, &domain)).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.read(schema::probe_reading).await?;
        self.write(|connection| schema::probe_writing(connection)).await
    }
}

#[async_trait]
impl Vault for Sqlite {
    async fn create_key_set(&self, id: &KeySetId, key_set: &KeySet) -> Result<(), StoreError> {
        let (id, key_set) = (id.clone(), key_set.clone());
        self.write(move |connection| key_sets::insert(connection, &id, &key_set)).await
    }

    async fn key_set(&self, id: &KeySetId) -> Result<Option<KeySet>, StoreError> {
        let id = id.clone();
        self.read(move |connection| key_sets::find(connection, &id)).await
    }

    async fn replace_key_set(
        &self,
        id: &KeySetId,
        generation: u64,
        key_set: &KeySet,
        clock: Arc<dyn Clock>,
    ) -> Result<KeySet, StoreError> {
        let (id, key_set) = (id.clone(), key_set.clone());
        let replace = move |connection: &Transaction<'_>| {
            let key_set = key_set.published_at(clock.now());
            key_sets::replace(connection, &id, generation, &key_set)?;
            Ok(key_set)
        };
        let replaced = self.write(replace).await?;
        self.erase_what_was_replaced().await;
        Ok(replaced)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let code = error.sqlite_error().map(|error| error.extended_code);
        match code {
            Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY) => Self::AlreadyExists,
            _ => Self::unavailable(error),
        }
    }
}

fn connect(file: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // With WAL the default would lose acknowledged commits in a power failure.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // A private key that was replaced must not stay behind in a free page of the file.
    connection.pragma_update(None, "secure_delete", "ON")?;
    Ok(connection)
}

fn make_private_folder(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(StoreError::unavailable)?;
    let metadata = folder.metadata().map_err(StoreError::unavailable)?;
    // It may have been there before.
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o022 == 0 { Ok(()) } else { Err(StoreError::SharedFolder { mode }) }
}

/// Made before SQLite opens it, which would leave it to the umask. The files that SQLite adds
/// beside it take over its mode.
fn make_private_file(file: &Path) -> io::Result<()> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    set_permissions(file, Permissions::from_mode(0o600))
}

fn to_column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_column(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    fn open() -> (tempfile::TempDir, Sqlite) {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Sqlite::open(&folder.path().join("data")).unwrap();
        (folder, sqlite)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn passes_the_store_contract() {
        let (_folder, sqlite) = open();
        contract::store(Arc::new(sqlite)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn passes_the_vault_contract() {
        let (_folder, sqlite) = open();
        contract::vault(Arc::new(sqlite)).await;
    }

    #[test]
    fn files_are_private() {
        let (folder, _sqlite) = open();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let data = folder.path().join("data");
        assert_eq!(mode(&data), 0o700);
        let files: Vec<_> = data.read_dir().unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty());
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, refused) in [(0o770, true), (0o707, true), (0o1777, true), (0o755, false)] {
            set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            match Sqlite::open(folder.path()).err() {
                Some(StoreError::SharedFolder { mode: named }) => assert!(refused && named == mode),
                other => assert!(other.is_none() && !refused, "{mode:o}"),
            }
        }
    }

    #[tokio::test]
    async fn runs_durably() {
        let (_folder, sqlite) = open();
        for connection in [&sqlite.reader, &sqlite.writer] {
            let connection = connection.lock().await;
            let pragma = |name: &str| {
                connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            };
            assert_eq!(pragma("synchronous").unwrap(), 2);
            assert_eq!(pragma("foreign_keys").unwrap(), 1);
            assert_eq!(pragma("secure_delete").unwrap(), 1);
            let mode: String =
                connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
        }
    }

    #[test]
    fn refuses_data_of_a_newer_version() {
        let (folder, sqlite) = open();
        sqlite.writer.blocking_lock().pragma_update(None, "user_version", 99).unwrap();
        let ready = tokio::runtime::Runtime::new().unwrap().block_on(sqlite.ready());
        assert!(matches!(ready, Err(StoreError::NewerSchema { found: 99, known: 4 })));
        let reopened = Sqlite::open(&folder.path().join("data"));
        assert!(matches!(reopened, Err(StoreError::NewerSchema { found: 99, known: 4 })));
    }
}
