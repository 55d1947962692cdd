//! The routes, driven without a socket, on a real database, in virtual time.

mod cors;
mod edges;
mod foreign_passwords;
mod key_set;
mod login;
mod refresh;
mod routes;
mod stale_keys;
mod status_list;
mod token_routes;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header::AUTHORIZATION},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::*;
use crate::{
    administration::Ports,
    clock::{Clock, virtual_time::VirtualClock},
    domain::{DomainName, DomainSettings},
    key::SigningAlgorithm,
    key_set::{KeySet, Rotation},
    secret::SecretText,
    session::Session,
    sqlite::Sqlite,
};

const URL: &str = "https://auth.example.com";
/// The origin of pages that may use the first-party API.
const APP: &str = "https://app.example.com";
const PASSWORD: &str = "correct horse";
const TOKEN_LIFETIME: u64 = 300;
const SESSION_LIFETIME: u64 = 3600;
const JWKS_MAX_AGE: u64 = 120;

/// An issuer with the domain `shop` and its user `ada`.
struct Fixture {
    router: Router,
    issuer: Arc<Issuer>,
    ports: Ports,
    clock: Arc<VirtualClock>,
    folder: TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Fixture {
    async fn new() -> Self {
        Self::with(SigningAlgorithm::Es256, AUTHORIZATION).await
    }

    async fn with(algorithm: SigningAlgorithm, token_header: HeaderName) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
        let clock = Arc::new(VirtualClock::at(1_700_000_000));
        let ports = Ports { store: sqlite.clone(), vault: sqlite, clock: clock.clone() };
        let issuer = Arc::new(Issuer::new(ports.clone(), URL.parse().unwrap()));
        let router = router(Arc::clone(&issuer), token_header, &[APP.parse().unwrap()]);
        let fixture = Self { router, issuer, ports, clock, folder };
        fixture.create_domain("shop", algorithm).await;
        fixture
    }

    async fn create_domain(&self, name: &str, algorithm: SigningAlgorithm) {
        let settings = DomainSettings {
            audience: "api".to_owned(),
            token_lifetime: TOKEN_LIFETIME,
            session_lifetime: SESSION_LIFETIME,
            jwks_max_age: JWKS_MAX_AGE,
        };
        let name: DomainName = name.parse().unwrap();
        self.ports.create_domain(name.clone(), algorithm, settings).await.unwrap();
        let password = SecretText::new(PASSWORD.to_owned());
        self.ports.create_user(&name, "ada".parse().unwrap(), password).await.unwrap();
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body =
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn post_login(&self, body: impl Into<Body>) -> Answer {
        self.send(Request::post("/login").body(body.into()).unwrap()).await
    }

    async fn try_login(&self, domain: &str, username: &str, password: &str) -> Answer {
        let body = json!({ "domain": domain, "username": username, "password": password });
        self.post_login(body.to_string()).await
    }

    async fn login(&self, domain: &str) -> String {
        let answer = self.try_login(domain, "ada", PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.token()
    }

    async fn bearer(&self, method: &str, path: &str, token: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        self.send(
            request.header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap(),
        )
        .await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.bearer("GET", "/refresh", token).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn key_set(&self, domain: &str) -> KeySet {
        self.ports.key_set(&domain.parse().unwrap()).await.unwrap().0
    }

    async fn session(&self, token: &str) -> Session {
        let [domain, username, id] =
            ["domain", "username", "session"].map(|name| claim(token, name));
        let (domain, username) = (domain.parse().unwrap(), username.parse().unwrap());
        self.ports.store.session(&domain, &username, &id).await.unwrap().unwrap()
    }

    /// A token with the claims of `token` but for `changes`, signed by the domain's own key.
    async fn forge(&self, token: &str, changes: Value) -> String {
        let mut claims = claims(token);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let key_set = self.key_set(claims["domain"].as_str().unwrap()).await;
        key_set.current.sign(claims).unwrap().expose().to_owned()
    }

    fn now(&self) -> u64 {
        self.clock.now().0
    }
}

impl Answer {
    fn token(&self) -> String {
        self.body["token"].as_str().unwrap().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A refusal, with all that every refusal has.
    #[track_caller]
    fn assert_refused(&self, status: u16, message: &str) {
        assert_eq!((self.status.as_u16(), &self.body), (status, &json!({ "message": message })));
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("content-type"), "application/json");
        let challenge = match (status, message) {
            (401, "No token") => "Bearer realm=\"postern\"",
            (401, _) => "Bearer realm=\"postern\", error=\"invalid_token\"",
            _ => "",
        };
        assert_eq!(self.header("www-authenticate"), challenge);
    }
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(claims).unwrap()).unwrap()
}

fn claim(token: &str, name: &str) -> String {
    claims(token)[name].as_str().unwrap().to_owned()
}

/// The token with one bit of its signature changed.
fn with_wrong_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut signature = Base64UrlUnpadded::decode_vec(signature).unwrap();
    signature[5] ^= 1;
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
}
