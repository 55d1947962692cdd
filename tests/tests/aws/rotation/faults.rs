//! A rotation that dies, and an emergency in the middle of one.

use postern_issuer::{AdministrationError, Rotation, RotationFailure};

use super::world::{STEPS, World};

/// AWS runs all steps again, and the version is as the first run left it. (moto empties the version
/// when `RotateSecret` is called again, so that the function is called directly.)
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_dies_after_any_step_is_completed_by_another_run() {
    let world = World::start().await;
    for died_after in 0..STEPS.len() {
        let before = world.key_set().await;
        let token = world.pending().await;
        for step in &STEPS[..=died_after] {
            world.step(step, &token).await.unwrap();
        }
        for step in STEPS {
            world.step(step, &token).await.unwrap();
            world.step(step, &token).await.unwrap();
        }
        let after = world.key_set().await;
        assert_eq!(after.generation, before.generation + 1, "{died_after}");
        assert_eq!(after.current, before.next);
        assert_eq!(world.secrets.labels("shop").await[&token], ["AWSCURRENT"]);
        assert_eq!(world.least_generation().await, after.generation);
        world.clock.advance(3600);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_run_created_the_next_one_keeps() {
    let world = World::start().await;
    let token = world.pending().await;
    world.step("createSecret", &token).await.unwrap();
    let stored = world.secrets.client.get_secret_value().secret_id("postern/test/shop");
    let stored = stored.version_id(&token);
    let before = stored.clone().send().await.unwrap().secret_string;
    world.clock.advance(60);
    world.step("createSecret", &token).await.unwrap();
    assert_eq!(stored.send().await.unwrap().secret_string, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_dies_when_it_has_promoted_is_completed_by_another_run() {
    let world = World::start().await;
    let token = world.pending().await;
    for step in &STEPS[..3] {
        world.step(step, &token).await.unwrap();
    }
    let before = world.secrets.version("shop", "AWSCURRENT").await;
    world.secrets.label("shop", "AWSCURRENT", before.as_deref(), Some(&token)).await;
    assert_eq!(world.least_generation().await, 1);
    for step in STEPS {
        world.step(step, &token).await.unwrap();
    }
    assert_eq!(world.secrets.labels("shop").await[&token], ["AWSCURRENT"]);
    assert_eq!(world.least_generation().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_no_failures() {
    let world = World::start().await;
    let token = world.pending().await;
    for operation in ["PutSecretValue", "UpdateSecretVersionStage", "GetSecretValue"] {
        world.secrets.lose_answer(operation);
    }
    for step in STEPS {
        world.step(step, &token).await.unwrap();
    }
    assert_eq!(world.key_set().await.generation, 2);
    assert_eq!(world.secrets.labels("shop").await[&token], ["AWSCURRENT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_stops_a_rotation_and_not_the_next_run() {
    let world = World::start().await;
    let token = world.pending().await;
    for step in STEPS {
        world.secrets.set_down(true);
        let refused = world.step(step, &token).await;
        assert!(matches!(refused, Err(RotationFailure::Store(_))), "{step}");
        world.secrets.set_down(false);
        world.step(step, &token).await.unwrap();
    }
    assert_eq!(world.key_set().await.generation, 2);
}

/// Whatever steps the rotation has done. What was pending must not come back with the key.
#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_withdraws_at_once_and_the_rotation_is_over() {
    let world = World::start().await;
    let shop = "shop".parse().unwrap();
    for steps in 0..STEPS.len() {
        let stolen = world.key_set().await;
        let token = world.pending().await;
        for step in &STEPS[..steps] {
            world.step(step, &token).await.unwrap();
        }
        let emergency = world.fresh_ports().rotate_keys(&shop, Rotation::Compromised).await;
        let safe = emergency.unwrap();
        assert_eq!(world.key_set().await, safe);
        assert!(!safe.holds(&stolen.current.id));
        for step in STEPS {
            let refused = world.step(step, &token).await;
            assert!(matches!(refused, Err(RotationFailure::UnknownVersion(_))), "{refused:?}");
        }
        assert_eq!(world.key_set().await, safe);
        assert_eq!(world.least_generation().await, safe.generation);
        // So that the next rotation finds its next key known everywhere.
        world.clock.advance(3600);
    }
}

/// The emergency could not take the label away, or Secrets Manager put it back.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_pending_in_an_emergency_is_refused_by_its_content_too() {
    let world = World::start().await;
    let token = world.pending().await;
    for step in &STEPS[..3] {
        world.step(step, &token).await.unwrap();
    }
    let shop = "shop".parse().unwrap();
    let safe = world.fresh_ports().rotate_keys(&shop, Rotation::Compromised).await.unwrap();
    world.clock.advance(600);
    for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
        world.secrets.label("shop", "AWSPENDING", None, Some(&token)).await;
        let refused = world.step(step, &token).await;
        assert!(matches!(refused, Err(RotationFailure::Misfit(_))), "{step}: {refused:?}");
        assert_eq!(world.secrets.version("shop", "AWSPENDING").await, None);
    }
    assert_eq!(world.key_set().await, safe);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_rotation_and_an_operator_one_comes_first() {
    let world = World::start().await;
    let shop = "shop".parse().unwrap();
    for _ in 0..5 {
        let before = world.key_set().await.generation;
        let token = world.pending().await;
        for step in &STEPS[..3] {
            world.step(step, &token).await.unwrap();
        }
        let operator = world.fresh_ports();
        let (promoted, withdrawn) = tokio::join!(
            world.step("finishSecret", &token),
            operator.rotate_keys(&shop, Rotation::Compromised)
        );
        let now = world.key_set().await;
        match (promoted, withdrawn) {
            (Err(_), Ok(withdrawn)) => assert_eq!(now, withdrawn),
            (Ok(()), Err(AdministrationError::RotatedMeanwhile(_))) => {
                assert_eq!(now.generation, before + 1);
            }
            // One after the other.
            (Ok(()), Ok(withdrawn)) => {
                assert_eq!((now.generation, &now), (before + 2, &withdrawn));
            }
            (promoted, withdrawn) => unreachable!("{promoted:?}, {withdrawn:?}"),
        }
        world.clock.advance(3600);
    }
}
