//! What the rotation function refuses.

use postern_issuer::{RotationFailure, SigningAlgorithm};

use super::world::{STEPS, World, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_waits_until_the_next_key_is_known_everywhere() {
    let world = World::start().await;
    world.rotate().await.unwrap();
    let rotated = world.key_set().await;
    let refused = world.rotate().await.unwrap_err();
    assert!(refused.contains("the next key is not known everywhere yet: wait `11"), "{refused}");
    assert_eq!(world.key_set().await, rotated);
    // That is longer than the window of what was pending, which is therefore in nobody's way.
    assert_eq!(world.secrets.version("shop", "AWSPENDING").await, None);
    // The end of the first window, 30 s for the vault, 120 of max-age, 61 of allowances.
    world.clock.advance(900 + 30 + 120 + 61);
    world.rotate().await.unwrap();
    assert_eq!(world.key_set().await.generation, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_was_too_soon_is_completed_by_a_later_run() {
    let world = World::start().await;
    world.rotate().await.unwrap();
    world.clock.advance(900);
    let token = world.pending().await;
    world.step("createSecret", &token).await.unwrap();
    // Too early for `finishSecret` as well, whoever calls for it.
    for step in ["testSecret", "finishSecret"] {
        match world.step(step, &token).await {
            Err(RotationFailure::TooSoon { seconds_left: 200..=211, is_over: false }) => {}
            other => unreachable!("{step}: {other:?}"),
        }
    }
    world.clock.advance(211);
    for step in STEPS {
        world.step(step, &token).await.unwrap();
    }
    assert_eq!(world.key_set().await.generation, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_too_long_ago_is_refused_and_the_next_rotation_starts_anew() {
    let world = World::start().await;
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        let before = world.key_set().await;
        let token = world.pending().await;
        for step in &STEPS[..3] {
            world.step(step, &token).await.unwrap();
        }
        world.clock.advance(901);
        let refused = world.step(step, &token).await;
        assert!(matches!(refused, Err(RotationFailure::Late { .. })), "{step}: {refused:?}");
        assert_eq!(world.secrets.version("shop", "AWSPENDING").await, None);
        assert_eq!(world.key_set().await, before);
        world.rotate().await.unwrap();
        assert_eq!(world.key_set().await.generation, before.generation + 1);
        world.clock.advance(3600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_pending_version_is_promoted() {
    let world = World::start().await;
    let first = world.secrets.version("shop", "AWSCURRENT").await.unwrap();
    world.rotate().await.unwrap();
    let second = world.key_set().await;
    for step in STEPS {
        // Once current, and not pending.
        let refused = world.step(step, &first).await;
        assert!(matches!(refused, Err(RotationFailure::WrongVersion(_))), "{refused:?}");
        let refused = world.step(step, "d3b0c5b4-5a53-4f4b-9f3c-0a8f4e6f7a10").await;
        assert!(matches!(refused, Err(RotationFailure::UnknownVersion(_))), "{refused:?}");
    }
    assert_eq!(world.key_set().await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_before_its_time_is_refused() {
    let world = World::start().await;
    let token = world.pending().await;
    for step in ["setSecret", "testSecret", "finishSecret"] {
        let refused = world.step(step, &token).await;
        assert!(matches!(refused, Err(RotationFailure::NoValue { .. })), "{refused:?}");
    }
    // The rotation goes on all the same.
    for step in STEPS {
        world.step(step, &token).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_value_of_someone_else_is_refused() {
    let world = World::start().await;
    let current = world.key_set().await;
    let strange = [
        "hunter2".to_owned(),
        "{}".to_owned(),
        serde_json::to_string(&current).unwrap().replacen(
            "\"generation\":1",
            "\"generation\":2",
            1,
        ),
    ];
    for value in strange {
        let token = world.pending().await;
        let put = world.secrets.client.put_secret_value().secret_id("postern/test/shop");
        let put = put.client_request_token(&token).version_stages("AWSPENDING");
        put.secret_string(value).send().await.unwrap();
        let refused = world.step("createSecret", &token).await;
        assert!(matches!(refused, Err(RotationFailure::Misfit(_))), "{refused:?}");
        assert_eq!(world.secrets.version("shop", "AWSPENDING").await, None);
    }
    assert_eq!(world.key_set().await, current);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_next_key_that_does_not_work_never_signs() {
    let world = World::start().await;
    let mut stored = serde_json::to_value(world.key_set().await).unwrap();
    stored["next"]["secret"] = stored["current"]["secret"].clone();
    let put = world.secrets.client.put_secret_value().secret_id("postern/test/shop");
    put.secret_string(stored.to_string()).send().await.unwrap();
    let refused = world.rotate().await.unwrap_err();
    assert!(refused.contains("what is signed with it does not pass"), "{refused}");
    assert_eq!(world.key_set().await.generation, 1);
}

/// moto takes a rotation without a schedule for one that is not enabled, as AWS does after
/// `CancelRotateSecret`.
#[tokio::test(flavor = "multi_thread")]
async fn only_secrets_of_domains_rotate_and_only_while_that_is_enabled() {
    let world = World::start().await;
    let token = world.pending().await;
    world
        .secrets
        .client
        .cancel_rotate_secret()
        .secret_id("postern/test/shop")
        .send()
        .await
        .unwrap();
    for step in STEPS {
        let refused = world.step(step, &token).await;
        assert!(matches!(refused, Err(RotationFailure::Disabled(_))), "{refused:?}");
        let refused = world.step_of("postern/test/none", step, &token).await;
        assert!(matches!(refused, Err(RotationFailure::UnknownSecret(_))), "{refused:?}");
    }
    for name in ["production/database", "postern/test/No-Domain"] {
        world.secrets.client.create_secret().name(name).secret_string("{}").send().await.unwrap();
        let refused = world.step_of(name, "createSecret", &token).await;
        assert!(matches!(refused, Err(RotationFailure::ForeignSecret(_))), "{refused:?}");
    }
}

/// Key sets that a domain's creation left behind, or whose domain is kept elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_no_domain_names_are_not_rotated() {
    let world = World::start().await;
    let moment = postern_issuer::Timestamp(1);
    let orphan = postern_issuer::KeySet::generate(SigningAlgorithm::EdDsa, moment).unwrap();
    world.secrets.create("orphan", &serde_json::to_string(&orphan).unwrap()).await;
    let refused = world.rotate_secret("orphan", None).await.unwrap_err();
    assert!(refused.contains("unknown domain `orphan`"), "{refused}");
    let name = "orphan".parse().unwrap();
    let created = world.ports.create_domain(name, SigningAlgorithm::EdDsa, settings()).await;
    assert_eq!(created.unwrap().1, orphan);
    world.rotate_secret("orphan", None).await.unwrap();
}
