//! The rotation of a domain's keys by the four steps of Secrets Manager.

mod faults;
mod refusals;
mod world;

use postern_issuer::{
    DomainName, Issuer, KeySet, KeySetId, SecretText, SigningAlgorithm, StoreError, Vault,
};

use self::world::{ARN, STEPS, World, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_shifts_next_to_current_and_current_to_previous() {
    let world = World::start().await;
    let first = world.key_set().await;
    let before = world.secrets.version("shop", "AWSCURRENT").await.unwrap();
    let token = world.rotate().await.unwrap();
    let second = world.key_set().await;
    assert_eq!(world.steps(), STEPS);
    assert_eq!(second.generation, 2);
    assert_eq!(second.current, first.next);
    assert_eq!(second.previous[0].key.id, first.current.id);
    assert!(![&first.next.id, &first.current.id].contains(&&second.next.id));
    let labels = world.secrets.labels("shop").await;
    assert_eq!(labels[&token], ["AWSCURRENT"]);
    assert_eq!(labels[&before], ["AWSPREVIOUS"]);
    assert_eq!(labels.len(), 2);
}

/// Without waiting for what it has read to run out.
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_goes_by_the_new_keys_at_once_and_takes_the_old_tokens() {
    let world = World::start().await;
    let password = || SecretText::new("correct horse".to_owned());
    let (shop, ada): (DomainName, _) = ("shop".parse().unwrap(), "ada".parse().unwrap());
    world.ports.create_user(&shop, ada, password()).await.unwrap();
    let issuer = Issuer::new(world.ports(), "https://auth.example.com".parse().unwrap());
    let old = issuer.login("shop", "ada", password()).await.unwrap();
    world.rotate().await.unwrap();
    let new = issuer.login("shop", "ada", password()).await.unwrap();
    let key_set = world.key_set().await;
    assert_eq!(key_of(&old.token), key_set.previous[0].key.id);
    assert_eq!(key_of(&new.token), key_set.current.id);
    for token in [old.token, new.token] {
        assert!(issuer.authorize(token.expose().as_bytes()).await.is_ok());
    }
    let published = issuer.publication("shop").await.unwrap().unwrap();
    assert!(published.etag.starts_with("\"2-"));
}

fn key_of(token: &SecretText) -> String {
    let header = postern_tests::header_of(token.expose());
    header.get("kid").unwrap().as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_rotate_as_key_pairs_do() {
    let world = World::start().await;
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Hs256] {
        let name = algorithm.as_str().to_lowercase();
        let domain = name.parse().unwrap();
        world.ports.create_domain(domain, algorithm, settings()).await.unwrap();
        world.rotate_secret(&name, None).await.unwrap();
        let rotated = world.secrets.key_set(&name).await;
        assert_eq!((rotated.generation, rotated.algorithm()), (2, algorithm));
    }
}

/// As a template makes it, before there is a domain: `postern domain create` takes the keys over.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_rotation_fills_a_placeholder() {
    let world = World::start().await;
    world.secrets.create("blog", r#"{"algorithm": "EdDSA"}"#).await;
    world.rotate_secret("blog", None).await.unwrap();
    let first = world.secrets.key_set("blog").await;
    assert_eq!((first.generation, first.previous.len()), (1, 0));
    let blog: DomainName = "blog".parse().unwrap();
    let created = world.ports.create_domain(blog, SigningAlgorithm::EdDsa, settings()).await;
    assert_eq!(created.unwrap().1, first);
    world.rotate_secret("blog", None).await.unwrap();
    assert_eq!(world.secrets.key_set("blog").await.generation, 2);
}

/// AWS names a secret by its ARN, which ends otherwise than its name; moto by its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_may_be_named_by_its_arn() {
    let world = World::start().await;
    let token = world.pending().await;
    let described = world.secrets.client.describe_secret().secret_id("postern/test/shop");
    let arn = described.send().await.unwrap().arn.unwrap();
    assert!(arn.starts_with("arn:aws:secretsmanager:") && !arn.ends_with("shop"));
    for step in STEPS {
        world.step_of(&arn, step, &token).await.unwrap();
    }
    assert_eq!(world.key_set().await.generation, 2);
}

/// Secrets Manager tries `testSecret` on a copy of what is current. moto leaves the copy pending,
/// where AWS removes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_rotates_nothing_yet() {
    let world = World::start().await;
    let vault = world.secrets.vault();
    world.secrets.create("blog", "{}").await;
    for name in ["shop", "blog"] {
        let before = world.secrets.version(name, "AWSCURRENT").await;
        let id = KeySetId::stored(name.to_owned());
        vault.schedule_rotation(&id, ARN, 30).await.unwrap();
        assert_eq!(world.secrets.version(name, "AWSCURRENT").await, before);
        let described = world.secrets.client.describe_secret();
        let described = described.secret_id(format!("postern/test/{name}")).send().await.unwrap();
        assert_eq!(described.rotation_enabled, Some(true));
        assert_eq!(described.rotation_rules.unwrap().automatically_after_days, Some(30));
    }
    assert_eq!(world.steps(), ["testSecret", "testSecret"]);
    world.rotate().await.unwrap();
    assert_eq!(world.key_set().await.generation, 2);
}

/// What `finishSecret` leaves is what the vault goes on from.
#[tokio::test(flavor = "multi_thread")]
async fn operators_rotate_what_secrets_manager_rotated() {
    let world = World::start().await;
    world.rotate().await.unwrap();
    let rotated: KeySet = world.key_set().await;
    let id = KeySetId::stored("shop".to_owned());
    let stale = world.secrets.vault();
    let conflict = stale.replace_key_set(&id, 1, &rotated, world.clock.clone()).await;
    assert!(matches!(conflict, Err(StoreError::Conflict)));
    // The key set counts from the end of the window in which it could be promoted.
    world.clock.advance(900 + 30 + 181);
    let shop = "shop".parse().unwrap();
    let rotation = postern_issuer::Rotation::Regular;
    let next = world.fresh_ports().rotate_keys(&shop, rotation).await.unwrap();
    assert_eq!((next.generation, &next.current), (3, &rotated.next));
}
