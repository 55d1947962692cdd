//! The store on one DynamoDB table.
//!
//! | `pk` | `sk` | what |
//! |---|---|---|
//! | `domain#shop` | `domain` | a domain |
//! | `domains` | `shop` | the list of domains |
//! | `domain#shop` | `user#ada` | the list of a domain's users |
//! | `user#shop#ada` | `user` | a user |
//! | `id#<id>` | `id` | whose id that is |
//! | `user#shop#ada` | `session#<id>` | a session |
//! | `status#shop` | `counter` | how many places in status lists are given away |
//! | `status#shop` | `version` | how many times something was revoked |
//! | `status#shop` | `not_before#all` | from when on the domain's tokens count |
//! | `status#shop` | `not_before#<time>#<id>` | from when on a user's tokens count, for lists |
//! | `status#shop` | `subject#<id>` | from when on a user's sessions count |
//! | `status#shop#0` | `revoked#<time>#<place>` | a place in a status list that is revoked |
//! | `failures#shop#<hash of the name>` | `failures` | failed logins |
//! | `edges` | `edge#<id>` | an edge |
//! | `edges` | `name#envoy-eu` | which edge is called that, if any |
//! | `contacts#shop` | `<id of an edge>#<instance>` | when a process of an edge last asked for keys |
//! | `ready` | `ready` | what a try of the storage writes |
//!
//! There is no index and nothing is scanned. Every read is a consistent one. Every race is decided
//! by the condition of one write, and every such write leaves an id of its own in the item: the SDK
//! tries again when no answer came, and the second try tells by that id that the first one was
//! carried out.

mod creation;
mod domains;
mod edges;
mod failures;
mod item;
mod keys;
mod list;
mod patience;
mod sessions;
mod status;
mod table;
mod transaction;
mod update;
mod users;

use std::sync::Arc;

use async_trait::async_trait;
use aws_config::SdkConfig;

pub use self::creation::create_table;
use self::table::Table;
use crate::{
    account::Account,
    clock::{Clock, Timestamp},
    domain::{Domain, DomainName},
    edge::{Contact, Edge, EdgeId, EdgeName},
    failed_logins::LoginFailures,
    session::{EndReason, RefreshHash, Session},
    status_list::{NotBefore, StatusPlace},
    store::{Store, StoreError},
    user::{PasswordHash, User, Username},
};

/// The store on one table of DynamoDB, which [`create_table`] or a template has made.
///
/// Any number of processes may work on one table.
#[derive(Clone)]
pub struct DynamoDb {
    table: Table,
}

impl DynamoDb {
    /// The store on the table of that name. Nothing is asked for yet.
    #[must_use]
    pub fn new(config: &SdkConfig, table: String) -> Self {
        Self { table: Table::new(config, table) }
    }

    /// Lets every list come in pages of so many entries, as long ones do, for tests.
    #[cfg(any(test, feature = "contract"))]
    #[must_use]
    pub fn in_pages_of(mut self, entries: i32) -> Self {
        self.table.page_entries = Some(entries);
        self
    }
}

#[async_trait]
impl Store for DynamoDb {
    async fn create_domain(&self, domain: &Domain) -> Result<(), StoreError> {
        domains::insert(&self.table, domain).await
    }

    async fn domain(&self, name: &DomainName) -> Result<Option<Domain>, StoreError> {
        domains::find(&self.table, name).await
    }

    async fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        domains::all(&self.table).await
    }

    async fn require_generation(
        &self,
        domain: &DomainName,
        generation: u64,
    ) -> Result<(), StoreError> {
        domains::require_generation(&self.table, domain, generation).await
    }

    async fn create_user(&self, user: &User) -> Result<(), StoreError> {
        users::insert(&self.table, user).await
    }

    async fn user(
        &self,
        domain: &DomainName,
        username: &Username,
    ) -> Result<Option<User>, StoreError> {
        users::find(&self.table, domain, username).await
    }

    async fn users(&self, domain: &DomainName) -> Result<Vec<User>, StoreError> {
        users::all(&self.table, domain).await
    }

    async fn disable_user(
        &self,
        domain: &DomainName,
        username: &Username,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // From the first step on all sessions read as ended, whatever becomes of the second; that
        // one makes refreshes fail that are under way. Then there are no more tokens to come.
        let Some((id, disabled_at)) = users::disable(&self.table, domain, username, now).await?
        else {
            return Ok(false);
        };
        sessions::end_all_of_user(&self.table, domain, username, disabled_at).await?;
        self.raise_not_before(domain, Some(&id), now.plus(1)).await?;
        Ok(true)
    }

    async fn replace_password_hash(
        &self,
        user: &User,
        next: &PasswordHash,
    ) -> Result<bool, StoreError> {
        users::replace_password_hash(&self.table, user, next).await
    }

    async fn create_session(&self, session: &Session) -> Result<bool, StoreError> {
        sessions::create(&self.table, session).await
    }

    async fn session(
        &self,
        domain: &DomainName,
        username: &Username,
        id: &str,
    ) -> Result<Option<Session>, StoreError> {
        sessions::find(&self.table, domain, username, id).await
    }

    async fn replace_refresh(
        &self,
        session: &Session,
        current: RefreshHash,
        next: RefreshHash,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Timestamp>, StoreError> {
        // Tries of the SDK's own go by it, too: it is behind by no more than one call may take.
        let now = clock.now();
        let replaced = sessions::replace_refresh(&self.table, session, current, next, now).await?;
        Ok(replaced.then_some(now))
    }

    async fn end_session(
        &self,
        session: &Session,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let ended = sessions::end(&self.table, session, reason, now).await?;
        if ended && session.status.is_some() {
            status::count_change(&self.table, &session.domain).await;
        }
        Ok(ended)
    }

    async fn allocate_status(&self, domain: &DomainName) -> Result<StatusPlace, StoreError> {
        status::allocate(&self.table, domain).await
    }

    async fn status_lists(&self, domain: &DomainName) -> Result<u32, StoreError> {
        status::lists(&self.table, domain).await
    }

    async fn revoked_since(
        &self,
        domain: &DomainName,
        list: u32,
        since: Timestamp,
    ) -> Result<Vec<(u32, Timestamp)>, StoreError> {
        status::revoked_since(&self.table, domain, list, since).await
    }

    async fn raise_not_before(
        &self,
        domain: &DomainName,
        subject: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        status::raise_not_before(&self.table, domain, subject, at).await?;
        status::count_change(&self.table, domain).await;
        Ok(())
    }

    async fn not_before(
        &self,
        domain: &DomainName,
        since: Timestamp,
    ) -> Result<NotBefore, StoreError> {
        status::not_before(&self.table, domain, since).await
    }

    async fn not_before_of(
        &self,
        domain: &DomainName,
        subject: &str,
    ) -> Result<Timestamp, StoreError> {
        status::not_before_of(&self.table, domain, subject).await
    }

    async fn session_and_not_before(
        &self,
        domain: &DomainName,
        username: &Username,
        id: &str,
        subject: &str,
    ) -> Result<(Option<Session>, Timestamp), StoreError> {
        sessions::find_with_not_before(&self.table, domain, username, id, subject).await
    }

    async fn status_version(&self, domain: &DomainName) -> Result<u64, StoreError> {
        status::version(&self.table, domain).await
    }

    async fn login_failures(&self, account: &Account) -> Result<Option<LoginFailures>, StoreError> {
        failures::find(&self.table, account).await
    }

    async fn record_login_failure(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        failures::record(&self.table, account, now).await
    }

    async fn forget_login_failures(&self, account: &Account) -> Result<(), StoreError> {
        self.table.delete(keys::failures(account)).await
    }

    async fn create_edge(&self, edge: &Edge) -> Result<(), StoreError> {
        edges::insert(&self.table, edge).await
    }

    async fn edge(&self, id: &EdgeId) -> Result<Option<Edge>, StoreError> {
        edges::find(&self.table, id).await
    }

    async fn edges(&self) -> Result<Vec<Edge>, StoreError> {
        edges::enrolled(&self.table).await
    }

    async fn remove_edge(&self, name: &EdgeName, now: Timestamp) -> Result<bool, StoreError> {
        edges::remove(&self.table, name, now).await
    }

    async fn record_contact(&self, contact: &Contact) -> Result<(), StoreError> {
        edges::record(&self.table, contact).await
    }

    async fn contacts(&self, domain: &DomainName) -> Result<Vec<Contact>, StoreError> {
        edges::contacts(&self.table, domain).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.table.probe().await
    }
}
