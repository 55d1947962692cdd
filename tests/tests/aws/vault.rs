//! The vault on Secrets Manager.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hyper::header::AUTHORIZATION;
use postern_issuer::{
    Clock, DomainSettings, Issuer, KeySet, KeySetId, Ports, Rotation, SecretsManager,
    SigningAlgorithm, Sqlite, StoreError, SystemClock, Timestamp, Vault, contract, router, serve,
};
use postern_tests::{Client, Fault, Protocol, Request};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{advance, pause, resume};

use crate::secrets::{PREFIX, Secrets, config};

const NOW: Timestamp = Timestamp(1_000_000);

fn id(name: &str) -> KeySetId {
    KeySetId::stored(name.to_owned())
}

fn key_set() -> KeySet {
    KeySet::generate(SigningAlgorithm::EdDsa, NOW).unwrap()
}

fn settings() -> DomainSettings {
    DomainSettings {
        audience: "api".to_owned(),
        token_lifetime: 300,
        session_lifetime: 3600,
        jwks_max_age: 120,
    }
}

/// Lets the monotonic clock of this process run ahead.
async fn wait(time: Duration) {
    pause();
    advance(time).await;
    resume();
}

/// On moto; or where `POSTERN_SECRETS_MANAGER_ENDPOINT` says: at a URL, or `aws` for the account that
/// the standard chain finds. What is made there is deleted again.
#[tokio::test(flavor = "multi_thread")]
async fn passes_the_vault_contract() {
    let Ok(elsewhere) = std::env::var("POSTERN_SECRETS_MANAGER_ENDPOINT") else {
        let secrets = Secrets::start().await;
        return contract::vault(Arc::new(secrets.vault())).await;
    };
    let config = match elsewhere.as_str() {
        "aws" => postern_issuer::aws::sdk_config().await,
        url => config(url),
    };
    let prefix = format!("postern-contract/{}/", KeySetId::random().as_str());
    let vault = Arc::new(SecretsManager::new(&config, prefix.clone()));
    let outcome = tokio::spawn(contract::vault(vault)).await;
    delete_all(&config, &prefix).await;
    outcome.unwrap();
}

async fn delete_all(config: &aws_config::SdkConfig, prefix: &str) {
    use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType};
    let client = aws_sdk_secretsmanager::Client::new(config);
    let ours = Filter::builder().key(FilterNameStringType::Name).values(prefix).build();
    let listed = client.list_secrets().filters(ours).send().await.unwrap();
    let names = listed.secret_list().iter().filter_map(|secret| secret.name());
    for name in names.filter(|name| name.starts_with(prefix)) {
        let request = client.delete_secret().secret_id(name);
        request.force_delete_without_recovery(true).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_crowd_makes_one_call_and_its_answer_is_kept_for_20_seconds() {
    let secrets = Secrets::start().await;
    let stored = key_set();
    secrets.vault().create_key_set(&id("shop"), &stored).await.unwrap();
    let (vault, id) = (secrets.vault(), id("shop"));
    secrets.proxy.fail("", usize::MAX, Fault::Delay(Duration::from_millis(100)));
    let crowd = join_all((0..200).map(|_| vault.key_set(&id))).await;
    assert!(crowd.into_iter().all(|found| found.unwrap().as_ref() == Some(&stored)));
    assert_eq!(secrets.calls("GetSecretValue"), 1);
    wait(Duration::from_millis(19_500)).await;
    vault.key_set(&id).await.unwrap();
    assert_eq!(secrets.calls("GetSecretValue"), 1);
    wait(Duration::from_millis(500)).await;
    join_all((0..200).map(|_| vault.key_set(&id))).await;
    assert_eq!(secrets.calls("GetSecretValue"), 2);
}

/// Tokens with an unknown key ask for it, and anyone can send those.
#[tokio::test]
async fn the_latest_key_set_is_read_once_a_second() {
    let secrets = Secrets::start().await;
    let (vault, id) = (secrets.vault(), id("shop"));
    vault.create_key_set(&id, &key_set()).await.unwrap();
    wait(Duration::from_secs(1)).await;
    secrets.proxy.fail("", usize::MAX, Fault::Delay(Duration::from_millis(1500)));
    let crowd = join_all((0..200).map(|_| vault.latest_key_set(&id))).await;
    assert!(crowd.into_iter().all(|found| found.unwrap().is_some()));
    assert_eq!(secrets.calls("GetSecretValue"), 1);
    secrets.proxy.mend();
    vault.latest_key_set(&id).await.unwrap();
    vault.latest_key_set(&id).await.unwrap();
    assert_eq!(secrets.calls("GetSecretValue"), 2);
}

#[tokio::test]
async fn what_another_process_replaced_is_used_for_no_longer_than_the_vault_says() {
    let secrets = Secrets::start().await;
    let (here, there, id) = (secrets.vault(), secrets.vault(), id("shop"));
    let first = key_set();
    there.create_key_set(&id, &first).await.unwrap();
    assert_eq!(here.key_set(&id).await.unwrap().as_ref(), Some(&first));
    let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
    let second = there.replace_key_set(&id, 1, &second, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(there.key_set(&id).await.unwrap().as_ref(), Some(&second));
    assert_eq!(here.key_set(&id).await.unwrap().as_ref(), Some(&first));
    assert!(here.staleness() >= 20);
    wait(Duration::from_secs(20)).await;
    assert_eq!(here.key_set(&id).await.unwrap().as_ref(), Some(&second));
}

#[tokio::test]
async fn that_there_is_no_key_set_is_remembered_for_a_second() {
    let secrets = Secrets::start().await;
    let (here, there, id) = (secrets.vault(), secrets.vault(), id("shop"));
    for _ in 0..3 {
        assert_eq!(here.key_set(&id).await.unwrap(), None);
    }
    assert_eq!(secrets.calls("GetSecretValue"), 1);
    there.create_key_set(&id, &key_set()).await.unwrap();
    wait(Duration::from_secs(1)).await;
    assert!(here.key_set(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_outage_is_bridged_for_20_seconds_and_then_nothing_is_let_in() {
    let secrets = Secrets::start().await;
    let (vault, id) = (secrets.vault(), id("shop"));
    vault.create_key_set(&id, &key_set()).await.unwrap();
    secrets.set_down(true);
    wait(Duration::from_secs(15)).await;
    assert!(matches!(vault.latest_key_set(&id).await, Err(StoreError::Busy(_))));
    assert!(vault.key_set(&id).await.unwrap().is_some());
    wait(Duration::from_secs(5)).await;
    let before = secrets.calls("GetSecretValue");
    let crowd = join_all((0..200).map(|_| vault.key_set(&id))).await;
    assert!(crowd.iter().all(|found| matches!(found, Err(StoreError::Busy(_)))));
    // One call, tried five times.
    assert_eq!(secrets.calls("GetSecretValue") - before, 5);
    secrets.set_down(false);
    wait(Duration::from_secs(1)).await;
    assert!(vault.key_set(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn the_first_key_set_takes_the_place_of_what_a_template_made() {
    let secrets = Secrets::start().await;
    let vault = secrets.vault();
    for (name, placeholder) in [("shop", "{}"), ("blog", r#"{"algorithm": "RS256"}"#)] {
        secrets.create(name, placeholder).await;
        assert_eq!(vault.key_set(&id(name)).await.unwrap(), None);
        let none = vault.replace_key_set(&id(name), 1, &key_set(), Arc::new(SystemClock)).await;
        assert!(matches!(none, Err(StoreError::Conflict)));
        let stored = key_set();
        vault.create_key_set(&id(name), &stored).await.unwrap();
        assert_eq!(secrets.key_set(name).await, stored);
        let again = vault.create_key_set(&id(name), &key_set()).await;
        assert!(matches!(again, Err(StoreError::AlreadyExists)));
        assert_eq!(labels(&secrets, name).await, [["AWSCURRENT"]]);
    }
}

#[tokio::test]
async fn of_concurrent_creations_over_a_placeholder_one_succeeds() {
    let secrets = Secrets::start().await;
    secrets.create("shop", "{}").await;
    let creations = (0..8).map(|_| {
        let vault = secrets.vault();
        async move {
            let key_set = key_set();
            vault.create_key_set(&id("shop"), &key_set).await.map(|()| key_set)
        }
    });
    let outcomes = join_all(creations).await;
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(refused.into_iter().all(|error| matches!(error, StoreError::AlreadyExists)));
    let created: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
    assert_eq!(created, [secrets.key_set("shop").await]);
}

#[tokio::test]
async fn what_is_no_key_set_is_neither_used_nor_replaced() {
    let secrets = Secrets::start().await;
    secrets.create("shop", "hunter2").await;
    let vault = secrets.vault();
    let refused = [
        vault.key_set(&id("shop")).await.map(drop),
        vault.create_key_set(&id("shop"), &key_set()).await,
        vault.replace_key_set(&id("shop"), 1, &key_set(), Arc::new(SystemClock)).await.map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(StoreError::Damaged("key set"))), "{refused:?}");
    }
}

#[tokio::test]
async fn a_lost_acknowledgement_is_told_from_a_racer() {
    let secrets = Secrets::start().await;
    let (vault, id) = (secrets.vault(), id("shop"));
    let first = key_set();
    secrets.lose_answer("CreateSecret");
    vault.create_key_set(&id, &first).await.unwrap();
    assert_eq!(secrets.key_set("shop").await, first);
    let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
    secrets.lose_answer("PutSecretValue");
    secrets.lose_answer("UpdateSecretVersionStage");
    let second = vault.replace_key_set(&id, 1, &second, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(secrets.key_set("shop").await, second);
    let stale = vault.replace_key_set(&id, 1, &second, Arc::new(SystemClock)).await;
    assert!(matches!(stale, Err(StoreError::Conflict)));
}

#[tokio::test]
async fn a_replacement_leaves_no_label_on_what_it_replaced_and_ends_a_rotation() {
    let secrets = Secrets::start().await;
    let (vault, id) = (secrets.vault(), id("shop"));
    let mut stored = key_set();
    vault.create_key_set(&id, &stored).await.unwrap();
    let pending = secrets.client.put_secret_value().secret_id(format!("{PREFIX}shop"));
    pending.secret_string("{}").version_stages("AWSPENDING").send().await.unwrap();
    for generation in 1..=2 {
        let next = stored.rotate(&settings(), NOW, Rotation::Compromised).unwrap();
        let clock = Arc::new(SystemClock);
        stored = vault.replace_key_set(&id, generation, &next, clock).await.unwrap();
        assert_eq!(labels(&secrets, "shop").await, [["AWSCURRENT"]]);
    }
    assert_eq!(secrets.key_set("shop").await, stored);
}

/// It says from when it counts, and other processes would go on with the old one for too long.
#[tokio::test]
async fn a_replacement_that_took_too_long_to_write_is_given_up() {
    struct Slow(AtomicU64);
    impl Clock for Slow {
        fn now(&self) -> Timestamp {
            Timestamp(NOW.0 + self.0.fetch_add(5, Ordering::SeqCst))
        }
    }
    let secrets = Secrets::start().await;
    let (vault, id) = (secrets.vault(), id("shop"));
    let first = key_set();
    vault.create_key_set(&id, &first).await.unwrap();
    let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
    let slow = Arc::new(Slow(AtomicU64::default()));
    let refused = vault.replace_key_set(&id, 1, &second, slow).await;
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    assert_eq!(secrets.key_set("shop").await, first);
    vault.replace_key_set(&id, 1, &second, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(labels(&secrets, "shop").await, [["AWSCURRENT"]]);
}

/// Whoever cannot clean up has replaced the key set all the same.
#[tokio::test]
async fn labels_that_stay_are_not_in_the_way_of_the_next_replacement() {
    let secrets = Secrets::start().await;
    let (vault, id) = (secrets.vault(), id("shop"));
    let first = key_set();
    vault.create_key_set(&id, &first).await.unwrap();
    let other = secrets.client.put_secret_value().secret_id(format!("{PREFIX}shop"));
    other.secret_string("{}").version_stages("POSTERN_WRITE").send().await.unwrap();
    let second = first.rotate(&settings(), NOW, Rotation::Regular).unwrap();
    vault.replace_key_set(&id, 1, &second, Arc::new(SystemClock)).await.unwrap();
    assert_eq!(labels(&secrets, "shop").await, [["AWSCURRENT"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_starts_without_secrets_manager_asks_to_wait_and_then_works() {
    let secrets = Secrets::start().await;
    let folder = TempDir::new().unwrap();
    let store = Arc::new(Sqlite::open(folder.path()).unwrap());
    let ports = |vault| Ports { store: store.clone(), vault, clock: Arc::new(SystemClock) };
    let operator = ports(Arc::new(secrets.vault()));
    let algorithm = SigningAlgorithm::EdDsa;
    operator.create_domain("shop".parse().unwrap(), algorithm, settings()).await.unwrap();

    secrets.set_down(true);
    let client = serve_issuer(ports(Arc::new(secrets.vault()))).await;
    let keys = Request::get("/shop/.well-known/jwks.json");
    let begun = Instant::now();
    let refused = client.send(keys.clone()).await.unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"), "{}", refused.body);
    assert!(begun.elapsed() < Duration::from_secs(7));
    secrets.set_down(false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = client.send(keys).await.unwrap();
    assert_eq!((answer.status, answer.json()["keys"].as_array().map(Vec::len)), (200, Some(2)));
}

async fn serve_issuer(ports: Ports) -> Client {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let url = "https://auth.example.com".parse().unwrap();
    let router = router(Arc::new(Issuer::new(ports, url)), AUTHORIZATION, &[]);
    tokio::spawn(serve(listener, router, std::future::pending()));
    Client::new(Protocol::Http1, address)
}

/// The labels of every version that has any.
async fn labels(secrets: &Secrets, name: &str) -> Vec<Vec<String>> {
    secrets.labels(name).await.into_values().collect()
}
