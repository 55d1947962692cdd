//! What the tests of the store put into it.

use std::sync::Arc;

use postern_issuer::{
    Clock, Domain, DomainSettings, KeySetId, Ports, RefreshHash, SecretBytes, SecretText, Session,
    SigningAlgorithm, Sqlite, Store, Timestamp, User,
};

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000);
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const SESSION_LIFETIME: u64 = 3600;

/// A clock that stands still.
pub(crate) struct At(pub(crate) Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub(crate) fn settings() -> DomainSettings {
    DomainSettings {
        audience: "api".to_owned(),
        token_lifetime: 300,
        session_lifetime: SESSION_LIFETIME,
        jwks_max_age: 120,
    }
}

pub(crate) fn domain(name: &str) -> Domain {
    Domain {
        name: name.parse().unwrap(),
        key_set: KeySetId::random(),
        settings: settings(),
        created_at: NOW,
        least_generation: 1,
    }
}

/// A user of the domain `shop` with a true password hash, which only an issuer makes.
pub(crate) async fn user(name: &str) -> User {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
    let ports = Ports { store: sqlite.clone(), vault: sqlite, clock: Arc::new(At(NOW)) };
    let shop = "shop".parse().unwrap();
    ports.create_domain(domain("shop").name, SigningAlgorithm::EdDsa, settings()).await.unwrap();
    ports.create_user(&shop, name.parse().unwrap(), secret(PASSWORD)).await.unwrap()
}

/// The same user by another name.
pub(crate) fn renamed(user: &User, name: &str) -> User {
    User { id: format!("id of {name}"), username: name.parse().unwrap(), ..user.clone() }
}

pub(crate) fn secret(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

/// Makes the domain `shop` and a user of it.
pub(crate) async fn shop_with(store: &dyn Store, name: &str) -> User {
    store.create_domain(&domain("shop")).await.unwrap();
    let user = user(name).await;
    store.create_user(&user).await.unwrap();
    user
}

pub(crate) async fn read(store: &dyn Store, session: &Session) -> Option<Session> {
    store.session(&session.domain, &session.username, &session.id).await.unwrap()
}

/// A session of `user`; its number tells it from their others.
pub(crate) fn session(user: &User, number: u64) -> Session {
    let mut hash = [0xaa; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    Session {
        id: format!("{}-{number:06}", user.username),
        domain: user.domain.clone(),
        user_id: user.id.clone(),
        username: user.username.clone(),
        created_at: NOW,
        expires_at: NOW.plus(SESSION_LIFETIME),
        ended: None,
        current_refresh: RefreshHash(hash),
        previous_refresh: None,
        refreshed_at: NOW,
        successor_key: SecretBytes::new(vec![7; 32]),
        status: None,
    }
}
