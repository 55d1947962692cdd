//! `GET /{domain}/edge/keys`, as an edge uses it and as others try to.

mod rotation;
mod round_trip;

use axum::http::header::IF_NONE_MATCH;

use super::*;
use crate::{
    administration::Enrolment,
    edge::{BUNDLE_KEY_SET, Edge, decrypt},
    key::Key,
    secret::SecretBytes,
    vault::KeySetId,
};

const PATH: &str = "/shop/edge/keys";
const ISSUER: &str = "https://auth.example.com/shop";

/// A process of an edge, with what its operator gave it.
#[derive(Clone)]
struct Process {
    edge: Edge,
    credential: Value,
    instance: &'static str,
}

impl Process {
    async fn enrolled(fixture: &Fixture, name: &str, domains: &[&str]) -> Self {
        let enrolment = Enrolment {
            name: name.parse().unwrap(),
            domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
            issuer_url: URL.parse().unwrap(),
            push_url: None,
        };
        let (edge, credential) = fixture.ports.enrol_edge(enrolment).await.unwrap();
        let credential = serde_json::from_slice(credential.expose()).unwrap();
        Self { edge, credential, instance: "00112233445566aa" }
    }

    fn signing_key(&self) -> Key {
        key(&self.credential["keys"][0])
    }

    fn claims(&self, now: u64, held: Option<&str>) -> Value {
        let id = self.edge.id.as_str();
        let mut claims = json!({
            "iss": id,
            "sub": id,
            "aud": ISSUER,
            "iat": now,
            "exp": now + 60,
            "instance": self.instance,
        });
        if let Some(held) = held {
            claims["held"] = held.into();
        }
        claims
    }

    fn assertion(&self, now: u64, held: Option<&str>) -> String {
        let signed = self.signing_key().sign_as("postern-edge+jwt", self.claims(now, held));
        signed.unwrap().expose().to_owned()
    }

    /// The claims of a bundle and the keys in it.
    fn open(&self, bundle: &str) -> (Value, Value) {
        let claims = claims(bundle);
        let private = key(&self.credential["keys"][1]).secret.unwrap();
        let jwks = claims["jwks"].as_str().unwrap();
        let (header, keys) = decrypt(jwks, private.expose()).unwrap();
        assert_eq!(header["kid"], self.credential["keys"][1]["kid"]);
        (claims.clone(), serde_json::from_slice(&keys).unwrap())
    }
}

/// A key of a credential.
fn key(jwk: &Value) -> Key {
    let d = Base64UrlUnpadded::decode_vec(jwk["d"].as_str().unwrap()).unwrap();
    let key = Key::generate(SigningAlgorithm::Es256, crate::clock::Timestamp(1), 1).unwrap();
    let id = jwk["kid"].as_str().unwrap().to_owned();
    Key { id, public: None, secret: Some(SecretBytes::new(d)), ..key }
}

/// What came back, as text.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn assert_refused(&self, status: u16, message: &str) {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!((self.status, body), (status, json!({ "message": message })));
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("etag"), "");
    }
}

async fn get(fixture: &Fixture, path: &str, assertion: &str, etag: Option<&str>) -> Got {
    let mut request = Request::get(path).header(AUTHORIZATION, format!("Bearer {assertion}"));
    if let Some(etag) = etag {
        request = request.header(IF_NONE_MATCH, etag);
    }
    let request = request.body(Body::empty()).unwrap();
    let (head, body) = fixture.router.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    Got { status: head.status.as_u16(), headers: head.headers, body }
}

async fn poll(fixture: &Fixture, process: &Process, held: Option<&str>) -> Got {
    get(fixture, PATH, &process.assertion(fixture.now(), held), held).await
}

fn shop() -> DomainName {
    "shop".parse().unwrap()
}

#[tokio::test]
async fn an_edge_gets_the_secrets_of_its_domain_encrypted_to_it_and_signed() {
    let fixture = Fixture::with(SigningAlgorithm::Hs256, AUTHORIZATION).await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    fixture.ports.rotate_keys(&shop(), Rotation::Regular).await.unwrap();
    let got = poll(&fixture, &envoy, None).await;
    assert_eq!((got.status, got.header("content-type")), (200, "application/jose"));
    assert_eq!(got.header("cache-control"), "private, max-age=120");
    assert!(got.header("etag").starts_with("\"2."), "{}", got.header("etag"));
    let header = Base64UrlUnpadded::decode_vec(got.body.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    let signing = &envoy.credential["issuer_keys"]["keys"][0];
    let expected = json!({ "alg": "ES256", "kid": signing["kid"], "typ": "postern-bundle+jwt" });
    assert_eq!(header, expected);
    let issuer_keys = serde_json::to_vec(&envoy.credential["issuer_keys"]).unwrap();
    let kinds = postern_verify::KeyKinds::PublicOnly;
    let issuer_keys = postern_verify::JwkSet::parse(&issuer_keys, kinds).unwrap();
    assert_eq!(issuer_keys.len(), 2);
    let token = postern_verify::UnverifiedToken::parse(got.body.as_bytes(), usize::MAX).unwrap();
    assert!(token.verify(&issuer_keys).is_ok());

    let (claims, keys) = envoy.open(&got.body);
    let now = fixture.now();
    let expected = json!({
        "iss": ISSUER,
        "aud": envoy.edge.id.as_str(),
        "iat": now,
        "exp": now + 86_400,
        "seq": 2,
        "jwks": claims["jwks"],
    });
    assert_eq!(claims, expected);
    let key_set = fixture.key_set("shop").await;
    let exported = key_set.export_secrets(fixture.clock.now()).unwrap();
    assert_eq!(keys, serde_json::from_slice::<Value>(exported.expose()).unwrap());
    let ids: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    let previous = &key_set.previous[0].key.id;
    assert_eq!(ids, [&*key_set.next.id, &*key_set.current.id, &**previous]);
}

#[tokio::test]
async fn public_keys_come_the_same_way() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let (_, keys) = envoy.open(&poll(&fixture, &envoy, None).await.body);
    assert_eq!(keys, fixture.get("/shop/.well-known/jwks.json").await.body);
}

#[tokio::test]
async fn no_secret_stands_in_a_bundle_in_clear_or_in_what_is_printed() {
    let fixture = Fixture::with(SigningAlgorithm::Hs256, AUTHORIZATION).await;
    let enrolment = Enrolment {
        name: "envoy".parse().unwrap(),
        domains: vec![shop()],
        issuer_url: URL.parse().unwrap(),
        push_url: None,
    };
    let (edge, document) = fixture.ports.enrol_edge(enrolment).await.unwrap();
    assert_eq!(format!("{document:?}"), "[redacted]");
    let credential: Value = serde_json::from_slice(document.expose()).unwrap();
    let envoy = Process { edge, credential, instance: "00112233445566aa" };
    let bundle = poll(&fixture, &envoy, None).await.body;
    let (_, keys) = envoy.open(&bundle);
    // However it is encoded: the text of a JWS is decoded part by part.
    let readable: String = bundle
        .split('.')
        .filter_map(|part| Base64UrlUnpadded::decode_vec(part).ok())
        .map(|part| String::from_utf8_lossy(&part).into_owned())
        .collect();
    let stored = format!("{:?} {readable} {bundle}", envoy.edge);
    let edge = fixture.ports.store.edge(&envoy.edge.id).await.unwrap().unwrap();
    let database = std::fs::read(fixture.folder.path().join("postern.db")).unwrap();
    let written = std::fs::read(fixture.folder.path().join("postern.db-wal")).unwrap();
    let database = String::from_utf8_lossy(&[database, written].concat()).into_owned();
    assert!(database.contains(&edge.signing_key.id));
    for private in [&envoy.credential["keys"][0]["d"], &envoy.credential["keys"][1]["d"]] {
        let private = private.as_str().unwrap();
        assert!(private.len() == 43 && !stored.contains(private));
        assert!(!database.contains(private) && !format!("{edge:?}").contains(private));
    }
    for secret in keys["keys"].as_array().unwrap() {
        assert!(!stored.contains(secret["k"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn an_edge_is_sent_what_it_does_not_hold_yet_and_in_time_anew() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let first = poll(&fixture, &envoy, None).await;
    let etag = first.header("etag").to_owned();
    let again = poll(&fixture, &envoy, Some(&etag)).await;
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(
        (again.header("etag"), again.header("cache-control")),
        (&*etag, "private, max-age=120")
    );
    assert_eq!(again.header("content-type"), "");
    // Another edge, another bundle.
    let worker = Process::enrolled(&fixture, "worker", &["shop"]).await;
    assert_eq!(
        get(&fixture, PATH, &worker.assertion(fixture.now(), None), Some(&etag)).await.status,
        200
    );
    fixture.clock.advance(6 * 60 * 60);
    let renewed = poll(&fixture, &envoy, Some(&etag)).await;
    assert_eq!(renewed.status, 200, "long before the first one's time is over");
    let etag = renewed.header("etag").to_owned();
    fixture.ports.rotate_keys(&shop(), Rotation::Compromised).await.unwrap();
    let withdrawn = poll(&fixture, &envoy, Some(&etag)).await;
    assert_eq!(withdrawn.status, 200, "at the next poll");
    assert_eq!(envoy.open(&withdrawn.body).0["seq"], 2);
}

#[tokio::test]
async fn who_cannot_prove_to_be_an_edge_gets_nothing() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let other = Process::enrolled(&fixture, "other", &["shop"]).await;
    let now = fixture.now();
    let sign = |changes: Value, typ: &str, key: &Key| {
        let mut claims = envoy.claims(now, None);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        key.sign_as(typ, claims).unwrap().expose().to_owned()
    };
    let (typ, key) = ("postern-edge+jwt", envoy.signing_key());
    let as_envoy = Key { id: key.id.clone(), ..other.signing_key() };
    let nameless = Key { id: String::new(), ..envoy.signing_key() };
    let refused = [
        ("no token", "x.y.z".to_owned()),
        ("another edge's key", sign(json!({}), typ, &other.signing_key())),
        ("another edge's key under this one's name", sign(json!({}), typ, &as_envoy)),
        ("no kid", sign(json!({}), typ, &nameless)),
        ("a user's token", fixture.login("shop").await),
        ("type", sign(json!({}), "JWT", &key)),
        ("type", sign(json!({}), "at+jwt", &key)),
        ("type", sign(json!({}), "postern-push+jwt", &key)),
        ("another domain", sign(json!({ "aud": "https://auth.example.com/blog" }), typ, &key)),
        ("another issuer", sign(json!({ "aud": "https://evil.example.com/shop" }), typ, &key)),
        ("no audience", sign(json!({ "aud": null }), typ, &key)),
        ("old", sign(json!({ "iat": now - 121, "exp": now - 61 }), typ, &key)),
        ("old, for ever", sign(json!({ "iat": now - 121, "exp": now + 9999 }), typ, &key)),
        ("early", sign(json!({ "iat": now + 121, "exp": now + 181 }), typ, &key)),
        ("expired", sign(json!({ "iat": now, "exp": now - 61 }), typ, &key)),
        ("no iat", sign(json!({ "iat": null }), typ, &key)),
        ("unknown edge", sign(json!({ "iss": "a".repeat(22), "sub": "a".repeat(22) }), typ, &key)),
        (
            "no edge's id",
            sign(json!({ "iss": "x".repeat(9000), "sub": "x".repeat(9000) }), typ, &key),
        ),
        ("another subject", sign(json!({ "sub": other.edge.id.as_str() }), typ, &key)),
        ("instance", sign(json!({ "instance": "00112233445566AA" }), typ, &key)),
        ("instance", sign(json!({ "instance": "00112233445566aa0" }), typ, &key)),
        ("instance", sign(json!({ "instance": null }), typ, &key)),
        ("held", sign(json!({ "held": 2 }), typ, &key)),
        ("held", sign(json!({ "held": "x".repeat(129) }), typ, &key)),
        ("signature", with_wrong_signature(&sign(json!({}), typ, &key))),
    ];
    for (what, assertion) in refused {
        let got = get(&fixture, PATH, &assertion, None).await;
        assert_eq!(got.status, 401, "{what}");
        got.assert_refused(401, "Invalid assertion");
    }
    for moment in [
        json!({ "iat": now - 120, "exp": now - 60 }),
        json!({ "iat": now + 120, "exp": now + 180 }),
    ] {
        assert_eq!(get(&fixture, PATH, &sign(moment, typ, &key), None).await.status, 200);
    }
    assert_eq!(fixture.ports.store.contacts(&shop()).await.unwrap().len(), 1);
    assert_eq!(fixture.get(PATH).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_assertion_that_is_used_again_later_is_refused() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let assertion = envoy.assertion(fixture.now(), None);
    assert_eq!(get(&fixture, PATH, &assertion, None).await.status, 200);
    fixture.clock.advance(120);
    assert_eq!(get(&fixture, PATH, &assertion, None).await.status, 200);
    fixture.clock.advance(1);
    get(&fixture, PATH, &assertion, None).await.assert_refused(401, "Invalid assertion");
}

#[tokio::test]
async fn an_edge_gets_the_domains_that_it_is_enrolled_for_and_no_others() {
    let fixture = Fixture::new().await;
    fixture.create_domain("blog", SigningAlgorithm::Hs256).await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let for_blog = |process: &Process| {
        let mut claims = process.claims(fixture.now(), None);
        claims["aud"] = "https://auth.example.com/blog".into();
        process.signing_key().sign_as("postern-edge+jwt", claims).unwrap().expose().to_owned()
    };
    let refused = get(&fixture, "/blog/edge/keys", &for_blog(&envoy), None).await;
    refused.assert_refused(403, "Not enrolled for this domain");
    let both = Process::enrolled(&fixture, "both", &["shop", "blog", "shop"]).await;
    assert_eq!(get(&fixture, "/blog/edge/keys", &for_blog(&both), None).await.status, 200);
    let issuers = json!([
        { "issuer": "https://auth.example.com/blog", "keys_uri": "https://auth.example.com/blog/edge/keys" },
        { "issuer": ISSUER, "keys_uri": "https://auth.example.com/shop/edge/keys" },
    ]);
    assert_eq!(both.credential["issuers"], issuers);
    for domain in ["nowhere", "SHOP", "%2e%2e", "login"] {
        let path = format!("/{domain}/edge/keys");
        let got = get(&fixture, &path, &envoy.assertion(fixture.now(), None), None).await;
        got.assert_refused(404, "Invalid domain");
    }
}

#[tokio::test]
async fn a_removed_edge_is_told_so_and_nobody_else_learns_it() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let other = Process::enrolled(&fixture, "other", &["shop"]).await;
    let etag = poll(&fixture, &envoy, None).await.header("etag").to_owned();
    fixture.ports.remove_edge(&envoy.edge.name).await.unwrap();
    for held in [None, Some(&*etag)] {
        poll(&fixture, &envoy, held).await.assert_refused(410, "Edge removed");
    }
    let claims = envoy.claims(fixture.now(), None);
    let forged = other.signing_key().sign_as("postern-edge+jwt", claims).unwrap();
    let got = get(&fixture, PATH, forged.expose(), None).await;
    got.assert_refused(401, "Invalid assertion");
    // One of the same name is another edge.
    let again = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    assert_eq!(poll(&fixture, &again, None).await.status, 200);
    poll(&fixture, &envoy, None).await.assert_refused(410, "Edge removed");
}

#[tokio::test]
async fn pages_cannot_read_bundles_and_other_methods_are_refused() {
    let fixture = Fixture::new().await;
    let envoy = Process::enrolled(&fixture, "envoy", &["shop"]).await;
    let assertion = envoy.assertion(fixture.now(), None);
    let request = |method: &str| {
        let request = Request::builder().method(method).uri(PATH).header("origin", APP);
        request.header(AUTHORIZATION, format!("Bearer {assertion}")).body(Body::empty()).unwrap()
    };
    let answer = fixture.router.clone().oneshot(request("GET")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    for method in ["HEAD", "POST", "PUT", "DELETE"] {
        let answer = fixture.router.clone().oneshot(request(method)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn an_edge_is_for_known_domains_and_has_a_name_of_its_own() {
    let fixture = Fixture::new().await;
    let enrol = async |domains: &[&str]| {
        let enrolment = Enrolment {
            name: "envoy".parse().unwrap(),
            domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
            issuer_url: URL.parse().unwrap(),
            push_url: None,
        };
        fixture.ports.enrol_edge(enrolment).await.map_err(|error| error.to_string())
    };
    assert_eq!(enrol(&[]).await.unwrap_err(), "an edge must be enrolled for at least one domain");
    assert_eq!(enrol(&["shop", "blog"]).await.unwrap_err(), "unknown domain `blog`");
    let id = KeySetId::stored(BUNDLE_KEY_SET.to_owned());
    assert!(fixture.ports.vault.key_set(&id).await.unwrap().is_none());
    enrol(&["shop"]).await.unwrap();
    assert_eq!(enrol(&["shop"]).await.unwrap_err(), "edge `envoy` already exists");
    assert!(fixture.ports.vault.key_set(&id).await.unwrap().is_some());
    let nobody = fixture.ports.remove_edge(&"nobody".parse().unwrap()).await.unwrap_err();
    assert_eq!(nobody.to_string(), "unknown edge `nobody`");
}
