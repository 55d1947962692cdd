//! A gate behind whose keys there are bundles: what an issuer withdraws passes no more.

use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Hs256, Hs256Key},
};

use super::*;
use crate::{Fetched, Gate, KeyUpdate, Policy, Verification};

fn gate() -> Gate {
    let policy = json!({
        "providers": {"shop": {"issuer": ISSUER, "algorithms": ["HS256"], "edge_keys": {}}},
        "rules": [],
    });
    let policy = Policy::parse(policy.to_string().as_bytes()).unwrap();
    Gate::new(policy).with_edges(vec![credential(&[ISSUER])]).unwrap()
}

fn token(key_id: &str, secret: u8) -> Vec<u8> {
    let header = json!({"alg": "HS256", "kid": key_id});
    let claims = json!({"iss": ISSUER, "exp": NOW + 3_600});
    let [header, claims] = [header, claims].map(|part| base64url::encode(part.to_string()));
    let text = format!("{header}.{claims}");
    let signature = Hs256.sign(&Hs256Key::new([secret; 32]), text.as_bytes());
    format!("{text}.{}", base64url::encode(signature.as_bytes())).into_bytes()
}

/// The bundle that is due comes.
fn comes(gate: &mut Gate, sequence: u64, keys: &Value) -> (KeyUpdate, Duration) {
    let now = gate.keys().next_wakeup().unwrap().max(NOW_IS);
    let fetch = gate.keys_mut().poll_fetch(now).unwrap();
    let body = ForgedBundle::new(ISSUER, sequence, keys).text();
    let (etag, cache_control, age) = (None, None, None);
    let fetched = Fetched::Response { status: 200, etag, cache_control, age, body: &body };
    (gate.keys_mut().handle_fetched(&fetch, fetched, now).unwrap(), now)
}

fn verdict(gate: &mut Gate, token: &[u8], now: Duration) -> &'static str {
    match gate.verify_at_once(token, None, now) {
        Verification::Verified { .. } => "verified",
        Verification::Denied(denial) => denial.code(),
        Verification::AwaitKeys(_) => "await",
    }
}

#[test]
fn an_emergency_withdrawal_empties_what_the_old_keys_vouched_for() {
    let mut gate = gate();
    assert_eq!(verdict(&mut gate, &token("a", 6), NOW_IS), "keys_unavailable");
    let (_, now) = comes(&mut gate, 7, &secret_keys("a", 6));
    for hits in 0..3 {
        assert_eq!(verdict(&mut gate, &token("a", 6), now), "verified");
        assert_eq!(gate.counters().cache.hits, hits);
    }
    // Made anew of the same keys, it goes on vouching for what they have verified.
    let (update, now) = comes(&mut gate, 7, &secret_keys("a", 6));
    assert_eq!(update, KeyUpdate::Unchanged);
    assert_eq!(verdict(&mut gate, &token("a", 6), now), "verified");
    assert_eq!(gate.counters().cache.hits, 3);
    // A new secret, though of the same name.
    let (_, now) = comes(&mut gate, 8, &secret_keys("a", 9));
    assert_eq!(verdict(&mut gate, &token("a", 6), now), "signature_invalid");
    assert_eq!(verdict(&mut gate, &token("a", 9), now), "verified");
    let (_, now) = comes(&mut gate, 9, &json!({"keys": []}));
    for secret in [6, 9] {
        assert_ne!(verdict(&mut gate, &token("a", secret), now), "verified");
    }
}

#[test]
fn a_gate_counts_the_bundles_that_it_refuses() {
    let mut gate = gate();
    let fetch = gate.keys_mut().poll_fetch(NOW_IS).unwrap();
    let (etag, cache_control, age) = (None, None, None);
    let fetched = Fetched::Response { status: 200, etag, cache_control, age, body: b"{}" };
    assert!(gate.keys_mut().handle_fetched(&fetch, fetched, NOW_IS).is_err());
    assert_eq!(gate.counters().bundles_refused, 1);
}

#[test]
fn a_stolen_public_key_is_no_secret() {
    // Whoever has what an issuer publishes must not sign with it: a public key is taken by no HMAC.
    let mut gate = gate();
    let mut public = public_jwk(&key(ISSUER_SIGNING).public_key());
    (public["kid"], public["alg"]) = ("a".into(), "ES256".into());
    let (_, now) = comes(&mut gate, 7, &json!({"keys": [public]}));
    assert_eq!(verdict(&mut gate, &token("a", 6), now), "algorithm_mismatch");
}
