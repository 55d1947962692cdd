//! Logging in.

use super::{Issuer, Refusal};
use crate::{
    account::Account,
    domain::DomainName,
    secret::SecretText,
    session::Session,
    token::IssuedToken,
    user::{User, Username},
};

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
        let failures = self.ports.store.login_failures(&account).await?;
        let wait = failures.and_then(|failures| failures.wait(self.ports.clock.now()));
        if let Some(seconds_left) = wait {
            return Err(Refusal::TooManyAttempts { seconds_left });
        }
        let started = match self.authenticated(&account, username, password).await? {
            Some(user) => self.start_session(&name, &user).await?,
            None => None,
        };
        if started.is_none() {
            self.ports.store.record_login_failure(&account, self.ports.clock.now()).await?;
        } else if failures.is_some() {
            self.ports.store.forget_login_failures(&account).await?;
        }
        started.ok_or(Refusal::Credentials)
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
    /// race.
    async fn start_session(
        &self,
        name: &DomainName,
        user: &User,
    ) -> Result<Option<IssuedToken>, Refusal> {
        // Read only now: while the password was checked the keys may have been rotated.
        let (domain, key_set) = self.domain(name).await?.ok_or(Refusal::Domain)?;
        let now = self.ports.clock.now();
        let (session, refresh) = Session::start(user, now, domain.settings.session_lifetime);
        let issued = self.mint(&domain, &key_set, &session, &refresh)?;
        let created = self.ports.store.create_session(&session).await?;
        Ok(created.then_some(issued))
    }
}
