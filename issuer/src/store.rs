//! The store: a port to wherever domains, users and sessions are kept.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    account::Account,
    clock::{Clock, Timestamp},
    domain::{Domain, DomainName},
    edge::{Contact, Edge, EdgeId, EdgeName},
    failed_logins::LoginFailures,
    session::{EndReason, RefreshHash, Session},
    status_list::{NotBefore, StatusPlace},
    user::{PasswordHash, User, Username},
};

/// Where domains, users and sessions are kept.
///
/// Every write is durable and every read sees all completed writes before the call returns:
/// an answer to a client may rest on either. `contract` holds implementations to this.
#[async_trait]
pub trait Store: Send + Sync {
    /// Adds a domain, or fails with [`StoreError::AlreadyExists`].
    async fn create_domain(&self, domain: &Domain) -> Result<(), StoreError>;

    /// The domain of that name.
    async fn domain(&self, name: &DomainName) -> Result<Option<Domain>, StoreError>;

    /// All domains, by name.
    async fn domains(&self) -> Result<Vec<Domain>, StoreError>;

    /// Raises [`Domain::least_generation`] to `generation`, unless it is as high already: from then
    /// on nobody takes an older key set of the domain for its present one. The domain must exist.
    async fn require_generation(
        &self,
        domain: &DomainName,
        generation: u64,
    ) -> Result<(), StoreError>;

    /// Adds a user, or fails with [`StoreError::AlreadyExists`] when there is one of that name in the
    /// domain, or one of that id anywhere. The domain must exist.
    async fn create_user(&self, user: &User) -> Result<(), StoreError>;

    /// The user of that name.
    async fn user(
        &self,
        domain: &DomainName,
        username: &Username,
    ) -> Result<Option<User>, StoreError>;

    /// All users of a domain, by name.
    async fn users(&self, domain: &DomainName) -> Result<Vec<User>, StoreError>;

    /// Disables a user and ends all sessions of theirs, in one step, and raises their
    /// [`NotBefore`] to the second after. Answers whether there is such a user; one who is disabled
    /// already keeps the earlier time.
    async fn disable_user(
        &self,
        domain: &DomainName,
        username: &Username,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Puts `next` in the place of the user's password hash if that still is the one that `user` was
    /// read with, and answers whether it was.
    async fn replace_password_hash(
        &self,
        user: &User,
        next: &PasswordHash,
    ) -> Result<bool, StoreError>;

    /// Adds a session, unless its user is disabled by now: answers whether it was added.
    async fn create_session(&self, session: &Session) -> Result<bool, StoreError>;

    /// The session of that id, of that user of that domain.
    async fn session(
        &self,
        domain: &DomainName,
        username: &Username,
        id: &str,
    ) -> Result<Option<Session>, StoreError>;

    /// Puts `next` in the place of `current`, which becomes the previous one, if the session's
    /// current refresh token still is `current` and the session is alive: of any number of
    /// concurrent calls with one `current`, one succeeds.
    ///
    /// A session that has no place yet gets that of `session`, if it has one.
    ///
    /// Answers with the session's new [`Session::refreshed_at`], which is the time that `clock`
    /// shows as late as the storage can read it, just before the commit; or with nothing when
    /// another call came first or the session is over.
    async fn replace_refresh(
        &self,
        session: &Session,
        current: RefreshHash,
        next: RefreshHash,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Ends a session; its place, where it has one, is revoked with it: both or neither. Answers
    /// whether it was alive.
    async fn end_session(
        &self,
        session: &Session,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// A place in the domain's status lists for one session. No two calls get the same one. The
    /// domain must exist.
    async fn allocate_status(&self, domain: &DomainName) -> Result<StatusPlace, StoreError>;

    /// How many status lists of the domain have been begun.
    async fn status_lists(&self, domain: &DomainName) -> Result<u32, StoreError>;

    /// The places of that list that were revoked at `since` or later, and when, by the clocks of
    /// those who did it.
    async fn revoked_since(
        &self,
        domain: &DomainName,
        list: u32,
        since: Timestamp,
    ) -> Result<Vec<(u32, Timestamp)>, StoreError>;

    /// Refuses all tokens of the domain that were issued before `at`, or those of the user with that
    /// `sub`, and the sessions that began before. The greatest of all calls counts.
    ///
    /// Of a user it is raised further where a session of theirs has a token of `at` or later: of a
    /// clock that is ahead.
    async fn raise_not_before(
        &self,
        domain: &DomainName,
        subject: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// What [`Store::raise_not_before`] has made of the domain, and of those of its users for whom
    /// that is `since` or later.
    async fn not_before(
        &self,
        domain: &DomainName,
        since: Timestamp,
    ) -> Result<NotBefore, StoreError>;

    /// The greater one of the domain's and that of the user with that `sub`, however long ago it
    /// was raised; 1970 without any.
    async fn not_before_of(
        &self,
        domain: &DomainName,
        subject: &str,
    ) -> Result<Timestamp, StoreError>;

    /// [`Store::session`] and [`Store::not_before_of`] at once, which every request with a token asks
    /// for.
    async fn session_and_not_before(
        &self,
        domain: &DomainName,
        username: &Username,
        id: &str,
        subject: &str,
    ) -> Result<(Option<Session>, Timestamp), StoreError> {
        // In this order: of a session that was alive, all cuts count that came before it was read.
        let session = self.session(domain, username, id).await?;
        Ok((session, self.not_before_of(domain, subject).await?))
    }

    /// A number that is another one whenever something was revoked in the domain, or its
    /// [`NotBefore`] raised, since it was last asked for; cheap enough to ask for every second. It is
    /// a hint: after a crash it may lag behind until the next change.
    async fn status_version(&self, domain: &DomainName) -> Result<u64, StoreError>;

    /// The failed logins of an account, whether there is such a user or not, as far as they are
    /// remembered.
    async fn login_failures(&self, account: &Account) -> Result<Option<LoginFailures>, StoreError>;

    /// Counts a failed login: see [`LoginFailures::and_one`]. Of concurrent calls, each counts.
    async fn record_login_failure(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Forgets the failed logins of an account.
    async fn forget_login_failures(&self, account: &Account) -> Result<(), StoreError>;

    /// Adds an edge, or fails with [`StoreError::AlreadyExists`] when one of that name is enrolled.
    async fn create_edge(&self, edge: &Edge) -> Result<(), StoreError>;

    /// The edge of that id, even if it was removed.
    async fn edge(&self, id: &EdgeId) -> Result<Option<Edge>, StoreError>;

    /// All edges that are enrolled, by name.
    async fn edges(&self) -> Result<Vec<Edge>, StoreError>;

    /// Removes the edge of that name, which is free again. Answers whether there was one.
    async fn remove_edge(&self, name: &EdgeName, now: Timestamp) -> Result<bool, StoreError>;

    /// Puts a contact in the place of the earlier one of that process of that edge with that domain.
    async fn record_contact(&self, contact: &Contact) -> Result<(), StoreError>;

    /// The last contact of each process with a domain within a day at least, by edge and process; not
    /// of edges that were removed.
    async fn contacts(&self, domain: &DomainName) -> Result<Vec<Contact>, StoreError>;

    /// Fails unless the storage can be read from and written to. A write must get as far as
    /// those of the other methods do.
    async fn ready(&self) -> Result<(), StoreError>;
}

/// Why storage did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is one of that name already. Nothing was changed.
    #[error("already exists")]
    AlreadyExists,
    /// Someone else changed it first. Nothing was changed.
    #[error("changed by someone else at the same time")]
    Conflict,
    /// What is stored cannot be read back; the text names the kind of thing, never its content.
    #[error("stored {0} is damaged")]
    Damaged(&'static str),
    /// The data was written by a newer version.
    #[error("data of schema version `{found}` is newer than this program's `{known}`")]
    NewerSchema {
        /// The version of the data.
        found: i64,
        /// The latest version that this program reads.
        known: i64,
    },
    /// Others than the owner may change what is in the folder, and so whom the issuer lets in.
    #[error(
        "the folder can be written by its group or others (mode `{mode:04o}`): `chmod go-w` it"
    )]
    SharedFolder {
        /// The folder's permission bits.
        mode: u32,
    },
    /// The storage does not answer, or asks to be left alone for now, after as many tries as one
    /// request has time for. It may be another matter in a moment. Whether a write was carried out
    /// is unknown.
    #[error("storage does not answer for now: {0}")]
    Busy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The storage cannot be reached or refuses to work.
    #[error("storage failed: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}
