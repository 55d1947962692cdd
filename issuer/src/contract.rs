//! What every implementation of the storage ports must do: call [`store`] and [`vault`] with
//! an empty one. They panic at the first difference.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a contract test fails by panicking")]

mod edges;
mod status;

use std::sync::Arc;

use crate::{
    account::Account,
    clock::{Clock, Timestamp},
    domain::{Domain, DomainName, DomainSettings},
    failed_logins::LoginFailures,
    key::SigningAlgorithm,
    key_set::{KeySet, Rotation},
    session::{EndReason, RefreshHash, Session},
    store::{Store, StoreError},
    user::{PasswordHash, User, Username},
    vault::{KeySetId, Vault},
};

const NOW: Timestamp = Timestamp(1_000_000);
const RACERS: u8 = 20;

/// Holds a store to its port's promises.
///
/// # Panics
///
/// At the first promise that it breaks.
pub async fn store(store: Arc<dyn Store>) {
    store.ready().await.unwrap();
    domains(&*store).await;
    users(&*store).await;
    sessions(&*store).await;
    refresh_is_compare_and_set(&*store).await;
    one_racer_wins(Arc::clone(&store)).await;
    disabling_ends_sessions(&*store).await;
    one_new_password_hash_wins(&*store).await;
    edges::edges(&*store).await;
    edges::contacts(&*store).await;
    failed_logins_are_counted(Arc::clone(&store)).await;
    status::status(store).await;
}

/// Holds a vault to its port's promises.
///
/// # Panics
///
/// At the first promise that it breaks.
pub async fn vault(vault: Arc<dyn Vault>) {
    key_sets(&*vault).await;
    one_rotation_wins(vault).await;
}

async fn domains(store: &dyn Store) {
    let (shop, blog) = (domain("shop"), domain("blog"));
    assert_eq!(store.domains().await.unwrap(), []);
    assert_eq!(store.domain(&shop.name).await.unwrap(), None);
    store.create_domain(&shop).await.unwrap();
    store.create_domain(&blog).await.unwrap();
    let again = Domain { created_at: NOW.plus(1), ..shop.clone() };
    assert!(matches!(store.create_domain(&again).await, Err(StoreError::AlreadyExists)));
    assert_eq!(store.domain(&shop.name).await.unwrap().as_ref(), Some(&shop));
    for (required, least) in [(1, 1), (3, 3), (2, 3)] {
        store.require_generation(&shop.name, required).await.unwrap();
        let stored = store.domain(&shop.name).await.unwrap();
        assert_eq!(stored, Some(Domain { least_generation: least, ..shop.clone() }));
    }
    let shop = Domain { least_generation: 3, ..shop };
    assert_eq!(store.domains().await.unwrap(), [blog, shop]);
}

async fn users(store: &dyn Store) {
    let (bob, ada) = (user("shop", "bob"), user("shop", "ada"));
    let namesake = user("blog", "ada");
    assert_eq!(store.user(&ada.domain, &ada.username).await.unwrap(), None);
    for user in [&bob, &ada, &namesake] {
        store.create_user(user).await.unwrap();
    }
    let again = User { id: "another".to_owned(), ..ada.clone() };
    assert!(matches!(store.create_user(&again).await, Err(StoreError::AlreadyExists)));
    for domain in ["shop", "blog"] {
        let pretender = User { id: ada.id.clone(), ..user(domain, "eve") };
        assert!(matches!(store.create_user(&pretender).await, Err(StoreError::AlreadyExists)));
        assert_eq!(store.user(&pretender.domain, &pretender.username).await.unwrap(), None);
    }
    let homeless = user("nowhere", "ada");
    let refused = store.create_user(&homeless).await;
    assert!(matches!(refused, Err(error) if !matches!(error, StoreError::AlreadyExists)));
    assert_eq!(store.user(&ada.domain, &ada.username).await.unwrap().as_ref(), Some(&ada));
    let upper: Username = "ADA".parse().unwrap();
    assert_eq!(store.user(&ada.domain, &upper).await.unwrap(), None);
    assert_eq!(store.users(&bob.domain).await.unwrap(), [ada, bob]);
    assert_eq!(store.users(&namesake.domain).await.unwrap(), [namesake]);
}

async fn sessions(store: &dyn Store) {
    let (session, _) = Session::start(&user("shop", "ada"), NOW, 600);
    assert!(store.create_session(&session).await.unwrap());
    assert_eq!(read(store, &session).await, session);
    let (blog, bob): (DomainName, Username) = ("blog".parse().unwrap(), "bob".parse().unwrap());
    let (shop, ada, id) = (&session.domain, &session.username, &session.id);
    assert_eq!(store.session(&blog, ada, id).await.unwrap(), None);
    assert_eq!(store.session(shop, &bob, id).await.unwrap(), None);
    assert_eq!(store.session(shop, ada, "unknown").await.unwrap(), None);

    assert!(store.end_session(&session, EndReason::Logout, NOW.plus(1)).await.unwrap());
    assert!(!store.end_session(&session, EndReason::Reuse, NOW.plus(2)).await.unwrap());
    assert_eq!(read(store, &session).await.ended, Some((NOW.plus(1), EndReason::Logout)));

    let (session, _) = Session::start(&user("shop", "ada"), NOW, 600);
    assert!(store.create_session(&session).await.unwrap());
    assert!(!store.end_session(&session, EndReason::Logout, NOW.plus(600)).await.unwrap());

    let (stranger, _) = Session::start(&user("shop", "nobody"), NOW, 600);
    assert!(!store.create_session(&stranger).await.unwrap());
}

async fn refresh_is_compare_and_set(store: &dyn Store) {
    let (session, _) = Session::start(&user("shop", "ada"), NOW, 600);
    assert!(store.create_session(&session).await.unwrap());
    let (first, second) = (session.current_refresh, RefreshHash([2; 32]));
    let replace =
        |current, next, after| store.replace_refresh(&session, current, next, at(NOW.plus(after)));

    assert_eq!(replace(first, second, 5).await.unwrap(), Some(NOW.plus(5)));
    let stored = read(store, &session).await;
    assert_eq!((stored.current_refresh, stored.previous_refresh), (second, Some(first)));
    assert_eq!(stored.refreshed_at, NOW.plus(5));
    assert_eq!(replace(first, RefreshHash([3; 32]), 6).await.unwrap(), None);
    assert_eq!(replace(second, RefreshHash([3; 32]), 600).await.unwrap(), None);
    assert_eq!(read(store, &session).await, stored);
    assert!(store.end_session(&session, EndReason::Logout, NOW.plus(7)).await.unwrap());
    assert_eq!(replace(second, RefreshHash([3; 32]), 8).await.unwrap(), None);
}

async fn one_racer_wins(store: Arc<dyn Store>) {
    let (session, _) = Session::start(&user("shop", "ada"), NOW, 600);
    assert!(store.create_session(&session).await.unwrap());
    let race = |racer: u8| {
        let (store, session) = (Arc::clone(&store), session.clone());
        tokio::spawn(async move {
            let next = RefreshHash([racer; 32]);
            let current = session.current_refresh;
            store.replace_refresh(&session, current, next, at(NOW)).await.unwrap()
        })
    };
    let racers: Vec<_> = (0..RACERS).map(race).collect();
    let mut winners = Vec::new();
    for (racer, won) in (0..RACERS).zip(racers) {
        if won.await.unwrap().is_some() {
            winners.push(RefreshHash([racer; 32]));
        }
    }
    assert_eq!(winners, [read(&*store, &session).await.current_refresh]);
}

async fn disabling_ends_sessions(store: &dyn Store) {
    let (ada, bob) = (user("shop", "ada"), user("shop", "bob"));
    let (hers, _) = Session::start(&ada, NOW, 600);
    let (his, _) = Session::start(&bob, NOW, 600);
    assert!(store.create_session(&hers).await.unwrap());
    assert!(store.create_session(&his).await.unwrap());
    let nobody: Username = "nobody".parse().unwrap();
    assert!(!store.disable_user(&ada.domain, &nobody, NOW).await.unwrap());
    assert!(store.disable_user(&ada.domain, &ada.username, NOW.plus(1)).await.unwrap());
    assert!(store.disable_user(&ada.domain, &ada.username, NOW.plus(2)).await.unwrap());

    let stored = store.user(&ada.domain, &ada.username).await.unwrap().unwrap();
    assert_eq!(stored.disabled_at, Some(NOW.plus(1)));
    assert_eq!(read(store, &hers).await.ended, Some((NOW.plus(1), EndReason::Disabled)));
    assert_eq!(read(store, &his).await.ended, None);
    let (late, _) = Session::start(&ada, NOW, 600);
    assert!(!store.create_session(&late).await.unwrap());

    // By a clock that is ahead of the session's end; those who ask are not.
    let namesake = user("blog", "ada");
    let (session, _) = Session::start(&namesake, NOW, 600);
    assert!(store.create_session(&session).await.unwrap());
    let ahead = NOW.plus(700);
    assert!(store.disable_user(&namesake.domain, &namesake.username, ahead).await.unwrap());
    assert_eq!(read(store, &session).await.ended, Some((ahead, EndReason::Disabled)));
}

async fn one_new_password_hash_wins(store: &dyn Store) {
    let (domain, bob) = ("shop".parse().unwrap(), "bob".parse().unwrap());
    let stored = async || store.user(&domain, &bob).await.unwrap().unwrap();
    let (first, next) = (stored().await, PasswordHash("$argon2id$next".to_owned()));
    assert!(store.replace_password_hash(&first, &next).await.unwrap());
    let late = PasswordHash("$argon2id$late".to_owned());
    assert!(!store.replace_password_hash(&first, &late).await.unwrap());
    let expected = User { password_hash: next, ..first };
    assert_eq!(stored().await, expected);
    let nobody = user("shop", "nobody");
    assert!(!store.replace_password_hash(&nobody, &late).await.unwrap());
    assert_eq!(store.user(&domain, &nobody.username).await.unwrap(), None);
}

async fn failed_logins_are_counted(store: Arc<dyn Store>) {
    let ada = Account::new("shop".parse().unwrap(), "ada");
    let nobody = Account::new("shop".parse().unwrap(), "no one\n of that name");
    let read = async |account| store.login_failures(account).await.unwrap();
    assert_eq!(read(&ada).await, None);
    let record = |account: Account, after| {
        let store = Arc::clone(&store);
        tokio::spawn(
            async move { store.record_login_failure(&account, NOW.plus(after)).await.unwrap() },
        )
    };
    record(ada.clone(), 0).await.unwrap();
    let racers: Vec<_> = (1..u64::from(RACERS)).map(|after| record(ada.clone(), after)).collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let counted = LoginFailures { since: NOW, count: u32::from(RACERS) };
    assert_eq!(read(&ada).await, Some(counted));
    assert_eq!(read(&nobody).await, None);
    record(nobody.clone(), 0).await.unwrap();
    assert_eq!(read(&nobody).await, Some(LoginFailures { since: NOW, count: 1 }));
    record(ada.clone(), LoginFailures::WINDOW_SECONDS).await.unwrap();
    let later = NOW.plus(LoginFailures::WINDOW_SECONDS);
    assert_eq!(read(&ada).await, Some(LoginFailures { since: later, count: 1 }));
    store.forget_login_failures(&ada).await.unwrap();
    assert_eq!(read(&ada).await, None);
    store.forget_login_failures(&ada).await.unwrap();
}

async fn key_sets(vault: &dyn Vault) {
    let (shop, blog) = (KeySetId::random(), KeySetId::random());
    assert_eq!(vault.key_set(&shop).await.unwrap(), None);
    let first = key_set();
    vault.create_key_set(&shop, &first).await.unwrap();
    vault.create_key_set(&blog, &key_set()).await.unwrap();
    let refused = vault.create_key_set(&shop, &key_set()).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists)));
    assert_eq!(vault.key_set(&shop).await.unwrap().as_ref(), Some(&first));

    let second =
        first.rotate(&settings(), NOW, Rotation::Regular).unwrap_or_else(|error| panic!("{error}"));
    let second = vault.replace_key_set(&shop, 1, &second, at(NOW.plus(9))).await.unwrap();
    assert_eq!(second.next.published_at, NOW.plus(9 + vault.staleness()));
    assert_eq!(vault.key_set(&shop).await.unwrap().as_ref(), Some(&second));
    assert_eq!(vault.latest_key_set(&shop).await.unwrap().as_ref(), Some(&second));
    let stale = vault.replace_key_set(&shop, 1, &second, at(NOW)).await;
    assert!(matches!(stale, Err(StoreError::Conflict)));
    let nowhere = KeySetId::random();
    let missing = vault.replace_key_set(&nowhere, 1, &second, at(NOW)).await;
    assert!(matches!(missing, Err(StoreError::Conflict)));
    assert_eq!(vault.key_set(&blog).await.unwrap().map(|key_set| key_set.generation), Some(1));
}

async fn one_rotation_wins(vault: Arc<dyn Vault>) {
    let race = KeySetId::random();
    let first = key_set();
    vault.create_key_set(&race, &first).await.unwrap();
    let rotations: Vec<_> = (0..RACERS)
        .map(|_| {
            let (vault, race) = (Arc::clone(&vault), race.clone());
            let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
            tokio::spawn(
                async move { vault.replace_key_set(&race, 1, &second, at(NOW)).await.ok() },
            )
        })
        .collect();
    let mut winners = Vec::new();
    for rotation in rotations {
        winners.extend(rotation.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(vault.key_set(&race).await.unwrap(), winners.pop());
}

async fn read(store: &dyn Store, session: &Session) -> Session {
    store.session(&session.domain, &session.username, &session.id).await.unwrap().unwrap()
}

/// A clock that stands still.
fn at(moment: Timestamp) -> Arc<dyn Clock> {
    struct Stopped(Timestamp);
    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            self.0
        }
    }
    Arc::new(Stopped(moment))
}

fn settings() -> DomainSettings {
    DomainSettings::sample(600)
}

fn domain(name: &str) -> Domain {
    Domain {
        name: name.parse().unwrap(),
        key_set: KeySetId::random(),
        settings: settings(),
        created_at: NOW,
        least_generation: 1,
    }
}

fn user(domain: &str, name: &str) -> User {
    User {
        id: format!("{domain}-{name}"),
        domain: domain.parse().unwrap(),
        username: name.parse().unwrap(),
        password_hash: PasswordHash("$argon2id$".to_owned()),
        created_at: NOW,
        disabled_at: None,
    }
}

fn key_set() -> KeySet {
    KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap()
}
