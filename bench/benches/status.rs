//! What ten million sessions cost an edge that looks each of them up: ten status lists of 2^20 places.
//!
//! `cargo bench --package postern-bench --bench status` prints the tables that stand in `README.md`.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark without its data has no meaning, and its numbers are small"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm, AlgorithmSignature,
    alg::{Ed25519, SigningKey},
    jwk::JsonWebKey,
};
use miniz_oxide::deflate::compress_to_vec_zlib;
use postern_bench::Counting;
use postern_verify::{Decision, Fetched, Gate, KeySetId, Policy, Request, Verification};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

type Key = <Ed25519 as Algorithm>::SigningKey;

const LISTS: u64 = 10;
const PLACES: u64 = 1 << 20;
/// How many tokens are shown in a round: all of them are known by then.
const TOKENS: u64 = 10_000;
const ROUNDS: u32 = 100;
const NOW: Duration = Duration::from_secs(1_800_000_000);

fn main() {
    println!("revoked | zlib, bytes | token, bytes | ten lists held, KiB | taking one in, µs");
    for share in [0.0, 0.001, 0.01, 0.1] {
        size(share);
    }
    println!("\nns | without status | with status, none revoked | 0.1 % | 1 % | 10 %");
    let mut gates = [None, Some(0.0), Some(0.001), Some(0.01), Some(0.1)].map(Known::new);
    for count in [1, 1_000, TOKENS] {
        let verify = best(&mut gates, count, Known::verify);
        println!("verify, {count} known tokens | {verify}");
    }
    let decide = best(&mut gates, 1, Known::decide);
    println!("decide, 1 known token | {decide}");
}

/// One line of the first table.
fn size(share: f64) {
    let packed = pack(share, 0);
    let token = list_token(0, &packed);
    let mut gate = gate(true);
    let before = ALLOCATOR.in_use();
    let bodies: Vec<String> = (0..LISTS).map(|list| list_token(list, &pack(share, list))).collect();
    let bodies_in_use = ALLOCATOR.in_use() - before;
    for (list, body) in (0..).zip(&bodies) {
        take(&mut gate, list, body);
    }
    let held = ALLOCATOR.in_use() - before - bodies_in_use;
    let mut fastest = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut gate = self::gate(true);
        let start = Instant::now();
        take(&mut gate, 0, &token);
        fastest = fastest.min(start.elapsed());
    }
    println!(
        "{} % | {} | {} | {} | {:.0}",
        share * 100.0,
        packed.len(),
        token.len(),
        held / 1024,
        fastest.as_secs_f64() * 1e6
    );
}

/// A gate that knows many tokens, and the lists of all of them where there are any.
struct Known {
    gate: Gate,
    tokens: Vec<String>,
    request: Request<'static>,
}

impl Known {
    fn new(share: Option<f64>) -> Self {
        let mut gate = gate(share.is_some());
        let lists: Vec<Vec<bool>> =
            (0..LISTS).map(|list| refused(share.unwrap_or_default(), list)).collect();
        for list in (0..LISTS).filter(|_| share.is_some()) {
            let body = list_token(list, &pack(share.unwrap_or_default(), list));
            take(&mut gate, list, &body);
        }
        let mut random = Random(7);
        let mut tokens = Vec::new();
        while (tokens.len() as u64) < TOKENS {
            let (list, place) = (random.below(LISTS), random.below(PLACES));
            let refused = lists.get(list as usize).and_then(|list| list.get(place as usize));
            if refused == Some(&false) {
                tokens.push(token(share.map(|_| (list, place)), tokens.len()));
            }
        }
        let bearer: &'static str = format!("Bearer {}", tokens[0]).leak();
        let headers: Vec<(&str, &[u8])> =
            vec![("host", b"api.example.com"), ("authorization", bearer.as_bytes())];
        let request = Request::new("GET", b"/api/orders/17", headers);
        let mut known = Self { gate, tokens, request };
        known.verify(TOKENS);
        known
    }

    /// Shows so many tokens in turn, and as many in all whatever their number.
    fn verify(&mut self, count: u64) {
        for token in self.tokens.iter().take(count as usize).cycle().take(TOKENS as usize) {
            let verification = self.gate.verify(black_box(token.as_bytes()), None, NOW);
            assert!(matches!(verification, Verification::Verified { .. }));
        }
    }

    fn decide(&mut self, _: u64) {
        for _ in 0..TOKENS {
            let decision = self.gate.decide(black_box(&self.request), NOW);
            assert!(matches!(decision, Decision::Allow(_)));
        }
    }
}

/// The fastest of many rounds that go around all gates in turn, in nanoseconds for each token. A gate's
/// first round is not counted: it finds what the others have left of the processor's caches.
fn best(gates: &mut [Known], count: u64, run: fn(&mut Known, u64)) -> String {
    let mut best = vec![f64::INFINITY; gates.len()];
    for _ in 0..ROUNDS {
        for (gate, best) in gates.iter_mut().zip(&mut best) {
            run(gate, count);
            let start = Instant::now();
            run(gate, count);
            *best = best.min(start.elapsed().as_secs_f64() * 1e9 / TOKENS as f64);
        }
    }
    let best: Vec<String> = best.iter().map(|nanos| format!("{nanos:.0}")).collect();
    best.join(" | ")
}

fn gate(with_status: bool) -> Gate {
    let mut provider = json!({"issuer": "https://auth.example.com/shop",
        "local_jwks": {"inline_string": json!({"keys": [jwk()]}).to_string()}});
    if with_status {
        provider["status_list"] = json!({});
    }
    let policy = json!({"providers": {"shop": provider},
        "verified_token_cache": {"max_bytes": 64 << 20},
        "rules": [{"match": {"prefix": "/api/"}, "requires": {"provider_name": "shop"}}]});
    Gate::new(Policy::parse(policy.to_string().as_bytes()).expect("a policy"))
}

fn take(gate: &mut Gate, list: u64, body: &str) {
    let key_set = KeySetId { status_list: Some(uri(list).into()), ..KeySetId::new(0, None) };
    assert!(gate.keys_mut().demand(&key_set, NOW));
    let fetch = gate.keys_mut().poll_fetch(NOW).expect("a fetch");
    let body = body.as_bytes();
    let fetched =
        Fetched::Response { status: 200, etag: None, cache_control: None, age: None, body };
    gate.keys_mut().handle_fetched(&fetch, fetched, NOW).expect("a list");
}

fn uri(list: u64) -> String {
    format!("https://auth.example.com/shop/status-lists/{list}")
}

fn refused(share: f64, list: u64) -> Vec<bool> {
    let mut random = Random(list + 1);
    let bound = (share * 1e6) as u64;
    (0..PLACES).map(|_| random.below(1_000_000) < bound).collect()
}

fn pack(share: f64, list: u64) -> Vec<u8> {
    let refused = refused(share, list);
    let byte = |places: &[bool]| {
        places.iter().enumerate().fold(0, |byte, (bit, refused)| byte | u8::from(*refused) << bit)
    };
    let bytes: Vec<u8> = refused.chunks(8).map(byte).collect();
    compress_to_vec_zlib(&bytes, 6)
}

fn list_token(list: u64, packed: &[u8]) -> String {
    let encoded = Base64UrlUnpadded::encode_string(packed);
    let claims = json!({"sub": uri(list), "iat": NOW.as_secs(), "exp": NOW.as_secs() + 300, "ttl": 5,
        "status_list": {"bits": 1, "lst": encoded}});
    signed("statuslist+jwt", &claims)
}

fn token(place: Option<(u64, u64)>, number: usize) -> String {
    let mut claims = json!({"iss": "https://auth.example.com/shop", "sub": format!("user-{number}"),
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 900, "jti": number});
    if let Some((list, index)) = place {
        claims["status"] = json!({"status_list": {"idx": index, "uri": uri(list)}});
    }
    signed("at+jwt", &claims)
}

fn key() -> Key {
    <Key as SigningKey<Ed25519>>::from_slice(&[7; 32]).expect("a key")
}

fn jwk() -> Value {
    let mut jwk = serde_json::to_value(JsonWebKey::from(&key()).to_verifying_key()).expect("a key");
    jwk["kid"] = json!("k");
    jwk
}

fn signed(token_type: &str, claims: &Value) -> String {
    let header = json!({"alg": "EdDSA", "kid": "k", "typ": token_type});
    let part = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let text = format!("{}.{}", part(&header), part(claims));
    let signature = Ed25519.sign(&key(), text.as_bytes());
    format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature.as_bytes()))
}

/// `SplitMix64`, as numbers from 0 up to a bound.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
