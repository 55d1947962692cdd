//! The issuer is killed in the middle of writes: whatever it has acknowledged is there after.

use std::time::Duration;

use postern_tests::{Client, Request, claims_of};
use serde_json::json;

use crate::shop::{DOMAIN, PASSWORD, Shop, USERNAME};

const ROUNDS: u64 = 3;
const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_issuer_keeps_every_acknowledged_session() {
    let mut shop = Shop::open(&[]).await;
    let mut kept = 0;
    for round in 0..ROUNDS {
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            writers.push(tokio::spawn(write_until_the_end(shop.issuer.client())));
        }
        tokio::time::sleep(Duration::from_millis(1500 + 137 * round)).await;
        shop.issuer.kill();
        let mut tokens = Vec::new();
        for writer in writers {
            tokens.extend(writer.await.unwrap());
        }
        assert!(tokens.len() >= WRITERS, "only {} sessions in a round", tokens.len());
        shop.issuer.start().await.unwrap();
        for token in &tokens {
            let answer = shop.issuer.refresh(token).await.unwrap();
            let session = claims_of(token)["session"].clone();
            assert_eq!(answer.status, 200, "session {session} is lost: {}", answer.body);
        }
        kept += tokens.len();
    }
    assert!(kept > 0);
}

/// Logs in and refreshes for as long as there is an issuer; returns, for each session, the last
/// token that was acknowledged.
async fn write_until_the_end(issuer: Client) -> Vec<String> {
    let login = json!({ "domain": DOMAIN, "username": USERNAME, "password": PASSWORD });
    let mut tokens = Vec::new();
    'alive: loop {
        let Some(mut token) = token(&issuer, Request::post("/login", &login)).await else {
            break;
        };
        for _ in 0..5 {
            let Some(next) = token_of_refresh(&issuer, &token).await else {
                tokens.push(token);
                break 'alive;
            };
            token = next;
        }
        tokens.push(token);
    }
    tokens
}

async fn token_of_refresh(issuer: &Client, token_now: &str) -> Option<String> {
    token(issuer, Request::get("/refresh").bearer(token_now)).await
}

async fn token(issuer: &Client, request: Request) -> Option<String> {
    let answer = issuer.send(request).await.ok()?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Some(answer.text("token"))
}
