use std::{net::SocketAddr, sync::Mutex};

use base64ct::{Base64UrlUnpadded, Encoding};
use postern_verify::EdgeCredential;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    administration::{Enrolment, Ports},
    clock::virtual_time::VirtualClock,
    domain::DomainSettings,
    key::SigningAlgorithm,
    key_set::Rotation,
    sqlite::Sqlite,
};

const NOW: u64 = 1_700_000_000;

struct World {
    issuer: Arc<Issuer>,
    ports: Ports,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = Arc::new(Sqlite::open(folder.path()).unwrap());
        let clock = Arc::new(VirtualClock::at(NOW));
        let ports = Ports { store: sqlite.clone(), vault: sqlite, clock };
        for domain in ["blog", "shop"] {
            let settings = DomainSettings::sample(3600);
            let name = domain.parse().unwrap();
            ports.create_domain(name, SigningAlgorithm::EdDsa, settings).await.unwrap();
        }
        let url = "https://auth.example.com".parse().unwrap();
        Self { issuer: Arc::new(Issuer::new(ports.clone(), url)), ports, _folder: folder }
    }

    /// Enrols an edge and answers with its id and its credential.
    async fn enrol(&self, name: &str, domains: &[&str], push_url: &str) -> (EdgeId, Value) {
        let enrolment = Enrolment {
            name: name.parse().unwrap(),
            domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
            issuer_url: "https://auth.example.com".parse().unwrap(),
            push_url: Some(push_url.parse().unwrap()),
        };
        let (edge, credential) = self.ports.enrol_edge(enrolment).await.unwrap();
        let credential: Value = serde_json::from_slice(credential.expose()).unwrap();
        (edge.id, credential)
    }

    fn start(&self) -> JoinHandle<()> {
        tokio::spawn(EdgePush::new(Arc::clone(&self.issuer)).unwrap().run())
    }

    fn pushes(&self) -> Vec<u64> {
        self.issuer.edge_counts().pushes.all().map(|(_, count)| count).collect()
    }
}

/// A server of an edge, which answers every request alike and keeps its head.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(answer: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (
            Arc::clone(&seen),
            format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"),
        );
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap_or_default();
                head.truncate(length);
                kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}/.well-known/postern/push", self.address)
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    async fn wait_for(&self, count: usize) {
        let arrived = async {
            while self.count() < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), arrived).await.expect("no push");
    }

    /// The token of a push.
    fn token(&self, index: usize) -> String {
        let head = self.seen.lock().unwrap()[index].clone();
        assert!(head.starts_with("POST /.well-known/postern/push HTTP/1.1\r\n"), "{head}");
        let line = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
        line.unwrap().to_owned()
    }
}

fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(part).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_poked_at_first_and_when_the_keys_of_its_domains_change() {
    let (world, server) = (World::new().await, Server::new("204 No Content").await);
    let (id, credential) = world.enrol("worker", &["shop", "blog"], &server.url()).await;
    let task = world.start();
    server.wait_for(1).await;
    let token = server.token(0);
    let edge = EdgeCredential::parse(credential.to_string().as_bytes()).unwrap();
    let [blog, shop] = ["https://auth.example.com/blog", "https://auth.example.com/shop"];
    let told = edge.check_push(token.as_bytes(), Duration::from_secs(NOW + 1));
    assert_eq!(told.unwrap(), [blog, shop]);
    assert_eq!(part(&token, 0)["typ"], "postern-push+jwt");
    let claims = |issuers: &[&str]| json!({ "aud": id.as_str(), "iat": NOW, "exp": NOW + 60, "issuers": issuers });
    assert_eq!(part(&token, 1), claims(&[blog, shop]));

    let changed = Instant::now();
    world.ports.rotate_keys(&"shop".parse().unwrap(), Rotation::Forced).await.unwrap();
    server.wait_for(2).await;
    assert!(changed.elapsed() < Duration::from_secs(1), "{:?}", changed.elapsed());
    assert_eq!(part(&server.token(1), 1), claims(&[shop]));
    sleep(PAUSE * 3).await;
    assert_eq!((server.count(), world.pushes()), (2, vec![2, 0, 0]));
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_poked_when_a_status_list_changes() {
    let (world, server) = (World::new().await, Server::new("204 No Content").await);
    world.enrol("worker", &["shop", "blog"], &server.url()).await;
    let task = world.start();
    server.wait_for(1).await;
    world.ports.end_sessions_of_domain(&"blog".parse().unwrap()).await.unwrap();
    server.wait_for(2).await;
    assert_eq!(part(&server.token(1), 1)["issuers"], json!(["https://auth.example.com/blog"]));
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_out_of_order_holds_nobody_up_and_no_redirect_is_followed() {
    let (world, good) = (World::new().await, Server::new("204 No Content").await);
    let elsewhere = Server::new("204 No Content").await;
    let redirect = format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url());
    let (redirects, broken) = (Server::new(&redirect).await, Server::new("500 Oh").await);
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent_url = format!("http://{}/push", silent.local_addr().unwrap());
    let gone_url = format!("http://{}/push", gone.local_addr().unwrap());
    drop(gone);
    world.enrol("a-silent", &["shop"], &silent_url).await;
    world.enrol("b-gone", &["shop"], &gone_url).await;
    world.enrol("c-redirects", &["shop"], &redirects.url()).await;
    world.enrol("d-broken", &["shop"], &broken.url()).await;
    world.enrol("e-good", &["shop"], &good.url()).await;
    let started = Instant::now();
    let task = world.start();
    good.wait_for(1).await;
    assert!(started.elapsed() < Duration::from_secs(2));
    broken.wait_for(TRIES.len()).await;
    world.ports.rotate_keys(&"shop".parse().unwrap(), Rotation::Forced).await.unwrap();
    good.wait_for(2).await;
    let settled = async {
        while world.pushes().iter().sum::<u64>() < 8 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), settled).await.expect("pushes that do not end");
    task.abort();
    assert_eq!(elsewhere.count(), 0);
    assert_eq!(redirects.count(), 2, "a refusal is not asked for again");
    let [delivered, refused, failed] = world.pushes()[..] else { panic!() };
    assert_eq!((delivered, refused), (2, 4));
    assert!(failed >= 2, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edge_is_poked_when_sessions_of_a_domain_are_ended() {
    let (world, server) = (World::new().await, Server::new("204 No Content").await);
    world.enrol("worker", &["shop", "blog"], &server.url()).await;
    let task = world.start();
    server.wait_for(1).await;
    let ended = Instant::now();
    world.ports.end_sessions_of_domain(&"shop".parse().unwrap()).await.unwrap();
    server.wait_for(2).await;
    assert!(ended.elapsed() < Duration::from_secs(1), "{:?}", ended.elapsed());
    assert_eq!(part(&server.token(1), 1)["issuers"], json!(["https://auth.example.com/shop"]));
    task.abort();
}
