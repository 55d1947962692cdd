//! `postern keys`.

use std::time::Duration;

use postern_issuer::{
    AdministrationError, DomainName, KeySet, KeysStatus, Ports, Rotation, RotationError,
    SigningAlgorithm,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    arguments::KeysCommand,
    command::{Outcome, print, write_line},
    edge_command::{STANDING, standing_as_json, standing_cells},
    table::table,
};

/// How often it is looked whether a rotation may go on.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn run(ports: &Ports, command: KeysCommand) -> Outcome {
    match command {
        KeysCommand::List { domain } => list_keys(ports, &domain).await,
        KeysCommand::Export { domain, dangerous_secrets } => {
            export_keys(ports, &domain, dangerous_secrets).await
        }
        KeysCommand::Status { domain, json } => status(ports, &domain, json).await,
        KeysCommand::Rotate { domain, force, compromised, wait, at_bound } => {
            rotate_keys(ports, &domain, rotation(force, compromised, at_bound), wait).await
        }
    }
}

async fn list_keys(ports: &Ports, domain: &DomainName) -> Outcome {
    let (key_set, now) = ports.key_set(domain).await?;
    let rows = key_set.keys(now).map(|(key, state, expires_at)| {
        [
            key.id.clone(),
            key.algorithm.to_string(),
            state.as_str().to_owned(),
            key.published_at.to_string(),
            expires_at.map_or_else(|| "-".to_owned(), |moment| moment.to_string()),
        ]
    });
    print(&table(["KID", "ALG", "STATE", "CREATED", "EXPIRES"], rows))
}

async fn export_keys(ports: &Ports, domain: &DomainName, secrets: bool) -> Outcome {
    let (key_set, now) = ports.key_set(domain).await?;
    if secrets {
        return write_line(key_set.export_secrets(now)?.expose());
    }
    if key_set.algorithm() == SigningAlgorithm::Hs256 {
        let reason = "signs HS256 and has no public keys: `--dangerous-secrets` prints its secrets";
        return Err(format!("domain `{domain}` {reason}").into());
    }
    write_line(&key_set.publish(u64::MAX, now)?.document)
}

async fn status(ports: &Ports, domain: &DomainName, as_json: bool) -> Outcome {
    let status = ports.keys_status(domain).await?;
    if as_json {
        return print(&format!("{:#}\n", status_as_json(domain, &status)));
    }
    let KeysStatus { generation, current, next, next_published_at, next_signs_by, .. } = &status;
    let rows = status.edges.iter().map(|edge| {
        let [generation, instances, contact, age, state] = standing_cells(edge, status.now);
        [edge.name.to_string(), generation, instances, contact, age, state]
    });
    let [generations, instances, contact, age, state] = STANDING;
    print(&format!(
        "domain `{domain}`: generation {generation} signs with key `{current}`\n\
         next key `{next}`: published at {next_published_at}, may sign from {next_signs_by} on at \
         the latest\n\
         {}\n{}",
        allowance(&status),
        table(["EDGE", generations, instances, contact, age, state], rows),
    ))
}

/// Whether the keys may be rotated now, and why.
fn allowance(status: &KeysStatus) -> String {
    let seconds = status.next_signs_by.since(status.now);
    if status.is_proven {
        "a rotation is allowed now: every edge holds the next key".to_owned()
    } else if status.may_rotate {
        "a rotation is allowed now: the last cache without the next key has run out".to_owned()
    } else if status.edges.is_empty() {
        format!("a rotation is allowed in {seconds} seconds")
    } else {
        format!("a rotation is allowed in {seconds} seconds, or when every edge holds the next key")
    }
}

fn status_as_json(domain: &DomainName, status: &KeysStatus) -> Value {
    let edges = status.edges.iter().map(|edge| standing_as_json(domain, edge, status.now));
    json!({
        "domain": domain.as_str(),
        "generation": status.generation,
        "current": { "kid": status.current },
        "next": {
            "kid": status.next,
            "published_at": status.next_published_at.to_string(),
            "signs_by": status.next_signs_by.to_string(),
        },
        "rotation": {
            "allowed": status.may_rotate,
            "proven": status.is_proven,
            "seconds_until_bound": status.next_signs_by.since(status.now),
        },
        "edges": edges.collect::<Vec<_>>(),
        "now": status.now.to_string(),
    })
}

async fn rotate_keys(
    ports: &Ports,
    domain: &DomainName,
    rotation: Rotation,
    wait: bool,
) -> Outcome {
    let key_set = rotated(ports, domain, rotation, wait).await?;
    let (generation, key_id) = (key_set.generation, &key_set.current.id);
    print(&format!(
        "rotated the keys of domain `{domain}`: generation {generation} signs with key `{key_id}`\n"
    ))?;
    if rotation != Rotation::Compromised {
        return Ok(());
    }
    let max_age = ports.domain(domain).await?.settings.jwks_max_age;
    print(&format!(
        "withdrew all keys before it: the tokens that they signed stop passing here now, and at \
         edges when they refetch the keys, within `{max_age}` seconds; their users must log in \
         again\n"
    ))
}

/// Rotates, as soon as that is allowed if it is to wait.
async fn rotated(
    ports: &Ports,
    domain: &DomainName,
    rotation: Rotation,
    wait: bool,
) -> Outcome<KeySet> {
    let mut told = None;
    loop {
        let late = match ports.rotate_keys(domain, rotation).await {
            Err(AdministrationError::NotHeldYet { late, .. }) if wait => late,
            Err(AdministrationError::Rotation(RotationError::TooSoon { .. })) if wait => {
                "a cache may not know the next key yet".to_owned()
            }
            outcome => return Ok(outcome?),
        };
        if told.as_ref() != Some(&late) {
            print(&format!("waiting: {late}\n"))?;
            told = Some(late);
        }
        sleep(PAUSE).await;
    }
}

fn rotation(force: bool, compromised: bool, at_bound: bool) -> Rotation {
    match (compromised, force, at_bound) {
        (true, ..) => Rotation::Compromised,
        (false, true, _) => Rotation::Forced,
        (false, false, true) => Rotation::AtBound,
        (false, false, false) => Rotation::Regular,
    }
}
