//! A refresh token is single use, also when fifty ask at once.

use std::collections::BTreeSet;

use postern_tests::{Request, claims_of};

use crate::shop::Shop;

const RACERS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_refreshes_of_one_token_give_one_successor() {
    let shop = Shop::open(&[]).await;
    let token = shop.login().await;
    let mut racers = Vec::new();
    for _ in 0..RACERS {
        let client = shop.issuer.client();
        let request = Request::get("/refresh").bearer(&token);
        racers.push(tokio::spawn(async move { client.send(request).await.unwrap() }));
    }
    let mut successors = BTreeSet::new();
    let mut fresh = String::new();
    for racer in racers {
        let answer = racer.await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        fresh = answer.text("token");
        let claim = claims_of(&fresh)["refresh_token"].as_str().unwrap().to_owned();
        successors.insert(claim);
    }
    assert_eq!(successors.len(), 1, "one successor for all");
    let old = claims_of(&token)["refresh_token"].as_str().unwrap().to_owned();
    assert!(!successors.contains(&old), "the old refresh token is its own successor");
    // The session goes on from the one successor.
    assert_eq!(shop.issuer.refresh(&fresh).await.unwrap().status, 200);
}
