//! The issuer's routes on a store, driven without a socket.

use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::response::Parts;
use hyper::{Method, Request};
use postern_issuer::{Clock, Issuer, Ports, SigningAlgorithm, Sqlite, Store, router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::shop::{PASSWORD, secret, settings};

/// An issuer on a store; its keys are in a folder.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) ports: Ports,
    issuer: Arc<Issuer>,
    folder: Arc<TempDir>,
}

/// What it answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Service {
    pub(crate) fn on(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let vault = Arc::new(Sqlite::open(folder.path()).unwrap());
        Self::of(Ports { store, vault, clock }, Arc::new(folder))
    }

    /// Another issuer, with the same keys.
    pub(crate) fn beside(&self, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let vault = Arc::clone(&self.ports.vault);
        Self::of(Ports { store, vault, clock }, Arc::clone(&self.folder))
    }

    fn of(ports: Ports, folder: Arc<TempDir>) -> Self {
        let url = "https://auth.example.com".parse().unwrap();
        Self { issuer: Arc::new(Issuer::new(ports.clone(), url)), ports, folder }
    }

    pub(crate) async fn create_domain(&self, domain: &str) {
        let name = domain.parse().unwrap();
        self.ports.create_domain(name, SigningAlgorithm::EdDsa, settings()).await.unwrap();
    }

    pub(crate) async fn create_user(&self, domain: &str, username: &str) {
        let (domain, username) = (domain.parse().unwrap(), username.parse().unwrap());
        self.ports.create_user(&domain, username, secret(PASSWORD)).await.unwrap();
    }

    pub(crate) async fn login(&self, domain: &str, username: &str) -> Answer {
        self.try_login(domain, username, PASSWORD).await
    }

    pub(crate) async fn try_login(&self, domain: &str, username: &str, password: &str) -> Answer {
        let body = json!({ "domain": domain, "username": username, "password": password });
        let request = Request::builder().method(Method::POST).uri("/login");
        self.send(request.body(Full::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        let request = Request::builder().uri(path);
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Full::default()).unwrap()).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        self.get("/refresh", token).await
    }

    pub(crate) async fn logout(&self, token: &str) -> Answer {
        let request = Request::builder().method(Method::POST).uri("/logout");
        let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Full::default()).unwrap()).await
    }

    /// The claims of the domain's first status list.
    pub(crate) async fn status_list(&self, domain: &str) -> Value {
        let request = Request::builder().uri(format!("/{domain}/status-lists/0"));
        let (head, body) = self.exchange(request.body(Full::default()).unwrap()).await;
        assert_eq!(head.status, 200);
        let claims = body.split(|byte| *byte == b'.').nth(1).unwrap();
        let claims = Base64UrlUnpadded::decode_vec(std::str::from_utf8(claims).unwrap()).unwrap();
        serde_json::from_slice(&claims).unwrap()
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.exchange(request).await;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> (Parts, Bytes) {
        let router = router(Arc::clone(&self.issuer), AUTHORIZATION, &[]);
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        (head, body.collect().await.unwrap().to_bytes())
    }
}

impl Answer {
    /// The token that it must be.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.member("token").as_str().unwrap().to_owned()
    }

    /// A refusal that invites to another try.
    #[track_caller]
    pub(crate) fn assert_try_again_later(&self) {
        self.assert_refused(503, "Try again later");
        assert_eq!(self.headers.get("retry-after").unwrap(), "1");
    }

    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, message: &str) {
        assert_eq!((self.status, self.member("message")), (status, json!(message)));
    }

    fn member(&self, name: &str) -> Value {
        self.body.get(name).cloned().unwrap_or_default()
    }
}
