//! Logging in.

use std::time::Duration;

use tokio::{time::timeout, try_join};

use super::{Failure, Issuer, Refusal};
use crate::{
    account::Account,
    domain::DomainName,
    failed_logins::LoginFailures,
    password::{PasswordError, is_outdated},
    secret::SecretText,
    session::Session,
    token::IssuedToken,
    user::{User, Username},
};

/// How long a login that has succeeded is held up at most.
const RENEWAL_LIMIT: Duration = Duration::from_secs(2);

/// How often a session is begun anew that is cut off while it is being made.
const MAX_STARTS: usize = 3;

impl Issuer {
    /// Checks a password and starts a session.
    ///
    /// # Errors
    ///
    /// [`Refusal::Domain`], [`Refusal::Credentials`], [`Refusal::TooManyAttempts`],
    /// [`Refusal::Overloaded`] or [`Refusal::Failed`].
    pub async fn login(
        &self,
        domain: &str,
        username: &str,
        password: SecretText,
    ) -> Result<IssuedToken, Refusal> {
        let name: DomainName = domain.parse().map_err(|_| Refusal::Domain)?;
        let known = self.ports.store.domain(&name).await?;
        known.ok_or(Refusal::Domain)?;
        let account = Account::new(name.clone(), username);
        self.bearable_failures(&account).await?;
        let user = self.authenticated(&account, username, password.clone()).await?;
        // Of guesses that come all at once, all were let through above, in as many processes as
        // there are. Asked again before anything is said about the password, right or wrong.
        let failures = self.bearable_failures(&account).await?;
        let started = match &user {
            Some(user) => self.start_session(&name, user).await?,
            None => None,
        };
        let (Some(user), Some(issued)) = (user, started) else {
            self.ports.store.record_login_failure(&account, self.ports.clock.now()).await?;
            return Err(Refusal::Credentials);
        };
        if failures.is_some() {
            self.ports.store.forget_login_failures(&account).await?;
        }
        self.renew_hash(&user, password).await;
        Ok(issued)
    }

    /// The failed logins of an account, unless there are too many.
    async fn bearable_failures(&self, account: &Account) -> Result<Option<LoginFailures>, Refusal> {
        let failures = self.ports.store.login_failures(account).await?;
        match failures.and_then(|failures| failures.wait(self.ports.clock.now())) {
            Some(seconds_left) => Err(Refusal::TooManyAttempts { seconds_left }),
            None => Ok(failures),
        }
    }

    /// The hash is computed before anything is said about the user, and for every name, so
    /// that time does not tell which names exist.
    async fn authenticated(
        &self,
        account: &Account,
        username: &str,
        password: SecretText,
    ) -> Result<Option<User>, Refusal> {
        let user = match username.parse::<Username>() {
            Ok(username) => self.ports.store.user(&account.domain, &username).await?,
            Err(_) => None,
        };
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let matches = self.passwords.check(account, password, hash).await?;
        Ok(user.filter(|_| matches))
    }

    /// Nothing for a disabled user: the store refuses them, and it alone can do so without a
    /// race. A session that was cut off while it was being made begins anew: its user has just
    /// shown the password.
    async fn start_session(
        &self,
        name: &DomainName,
        user: &User,
    ) -> Result<Option<IssuedToken>, Refusal> {
        for _ in 0..MAX_STARTS {
            let Some((session, issued)) = self.try_session(name, user).await? else {
                return Ok(None);
            };
            let not_before = self.ports.store.not_before_of(name, &user.id).await?;
            if session.created_at >= not_before {
                return Ok(Some(issued));
            }
        }
        Err(Refusal::Overloaded)
    }

    async fn try_session(
        &self,
        name: &DomainName,
        user: &User,
    ) -> Result<Option<(Session, IssuedToken)>, Refusal> {
        let store = &self.ports.store;
        let (status, not_before) =
            try_join!(store.allocate_status(name), store.not_before_of(name, &user.id))?;
        // Read only now: while the password was checked the keys may have been rotated.
        let (domain, key_set) = self.domain(name).await?.ok_or(Refusal::Domain)?;
        let now = self.ports.clock.now();
        let (session, refresh) = Session::start(user, now, domain.settings.session_lifetime);
        // In the very second in which the sessions before it were cut off, it begins with the next.
        let created_at = session.created_at.max(not_before);
        let session = Session { created_at, status: Some(status), ..session };
        let issued = self.mint(&domain, &key_set, &session, &refresh)?;
        let created = store.create_session(&session).await?;
        Ok(created.then_some((session, issued)))
    }

    /// Replaces a hash that another system made, or other parameters did, while its password is at
    /// hand. Whether that succeeds or not, the user is logged in, and the next login tries again.
    async fn renew_hash(&self, user: &User, password: SecretText) {
        if !is_outdated(&user.password_hash, &password) {
            return;
        }
        match timeout(RENEWAL_LIMIT, self.replace_hash(user, password)).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "a password hash was not renewed"),
            Err(_) => tracing::warn!("a password hash was not renewed in time"),
        }
    }

    async fn replace_hash(&self, user: &User, password: SecretText) -> Result<(), Failure> {
        match self.passwords.hash_anew(password).await {
            // Of concurrent logins, one replaces it.
            Ok(next) => {
                self.ports.store.replace_password_hash(user, &next).await?;
                Ok(())
            }
            Err(PasswordError::Overloaded) => Ok(()),
            Err(error) => Err(Failure::Password(error)),
        }
    }
}
