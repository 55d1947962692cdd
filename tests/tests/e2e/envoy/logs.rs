//! What is logged, at the most talkative level, holds no secret.

use postern_tests::{Protocol, Request};

use crate::shop::{API, DOMAIN, PASSWORD, Shop, USERNAME};

#[tokio::test]
async fn no_log_holds_a_token_or_a_password() {
    let mut shop = Shop::open(&[]).await;
    let (envoy, _upstream) = shop.gate().await;
    let token = shop.login().await;
    let fresh = shop.issuer.refresh(&token).await.unwrap().text("token");
    let mut bad = token.clone();
    bad.replace_range(bad.len() - 8.., "AAAAAAAA");
    let client = envoy.client(Protocol::Http1);
    for (tokens, status) in [(&token, 200), (&fresh, 200), (&bad, 401)] {
        let answer = client.send(Request::get(API).bearer(tokens)).await.unwrap();
        assert_eq!(answer.status, status);
    }
    let twice = Request::get(API).bearer(&token).bearer(&fresh);
    assert_eq!(client.send(twice).await.unwrap().status, 400);
    let in_query = Request::get(&format!("{API}?token={token}"));
    assert_eq!(client.send(in_query).await.unwrap().status, 401);
    let refused = shop.issuer.login(DOMAIN, USERNAME, "wrong-password-in-the-log").await.unwrap();
    assert_eq!(refused.status, 400);
    let tampered = shop.issuer.refresh(&bad).await.unwrap();
    assert_eq!(tampered.status, 401);
    let by_name = shop.issuer.login(PASSWORD, PASSWORD, PASSWORD).await.unwrap();
    assert_eq!(by_name.status, 400);
    shop.issuer.stop();

    let logs = [("envoy", envoy.log()), ("issuer", shop.issuer.log())];
    for (program, log) in &logs {
        assert!(!log.is_empty(), "{program} logs nothing: the test could not fail");
        assert!(!log.contains("wrong-password-in-the-log"), "{program} logs a wrong password");
        assert!(!log.contains(PASSWORD), "{program} logs a password");
        for token in [&token, &fresh, &bad] {
            for part in token.split('.').skip(1) {
                assert!(!log.contains(part), "{program} logs a part of a token");
            }
        }
    }
    let denials = logs[0].1.matches("signature_invalid").count();
    assert!(denials > 0, "the filter's debug messages are not in the log");
}
