//! Edges and the proof of a rotation, by the `postern` command as an operator runs it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64ct::{Base64UrlUnpadded, Encoding};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUER_URL: &str = "https://auth.example.com";

fn postern(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(arguments).env("POSTERN_DATA_DIR", data);
    for variable in ["POSTERN_LISTEN", "POSTERN_ISSUER_URL", "POSTERN_METRICS_LISTEN"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    postern(data, arguments).output().unwrap()
}

#[track_caller]
fn succeed(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn fail(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn data() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    succeed(&data, &["domain", "create", "shop", "--alg", "HS256", "--jwks-max-age", "20"]);
    (folder, data)
}

fn enrol(data: &Path, name: &str, more: &[&str]) -> Value {
    let arguments = ["edge", "enrol", name, "--domain", "shop", "--issuer-url", ISSUER_URL];
    serde_json::from_str(&succeed(data, &[&arguments, more].concat())).unwrap()
}

fn columns(list: &str) -> Vec<Vec<&str>> {
    list.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// A running `postern serve`; killed when dropped.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(data: &Path, more: &[&str]) -> Self {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--issuer-url", ISSUER_URL];
        let mut child = postern(data, &[&arguments, more].concat()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, output, address }
    }

    /// Polls as a process of the edge; answers with the status and the entity tag.
    fn poll(&self, credential: &Value, held: Option<&str>) -> (u16, String) {
        let token = assertion(credential, held);
        let held = held.unwrap_or("\"none\"");
        let request = format!(
            "GET /shop/edge/keys HTTP/1.1\r\nAuthorization: Bearer {token}\r\nIf-None-Match: {held}"
        );
        let answer = send(&self.address, &request);
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let etag = answer.lines().find_map(|line| line.strip_prefix("etag: "));
        (status, etag.unwrap_or_default().to_owned())
    }

    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{head}\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What an edge signs, by another implementation of ES256 than the issuer checks it with.
fn assertion(credential: &Value, held: Option<&str>) -> String {
    let key = &credential["keys"][0];
    let bytes = |name: &str| Base64UrlUnpadded::decode_vec(key[name].as_str().unwrap()).unwrap();
    let public = [vec![4], bytes("x"), bytes("y")].concat();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = SystemRandom::new();
    let pair =
        EcdsaKeyPair::from_private_key_and_public_key(algorithm, &bytes("d"), &public, &random);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({
        "iss": credential["edge"],
        "sub": credential["edge"],
        "aud": credential["issuers"][0]["issuer"],
        "iat": now,
        "exp": now + 60,
        "instance": "00112233445566aa",
    });
    if let Some(held) = held {
        claims["held"] = held.into();
    }
    let header = json!({ "alg": "ES256", "kid": key["kid"], "typ": "postern-edge+jwt" });
    let [header, claims] =
        [header, claims].map(|part| Base64UrlUnpadded::encode_string(part.to_string().as_bytes()));
    let signed = format!("{header}.{claims}");
    let signature = pair.unwrap().sign(&random, signed.as_bytes()).unwrap();
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(signature.as_ref()))
}

#[test]
fn edges_are_enrolled_listed_and_removed() {
    let (_folder, data) = data();
    let header = ["NAME", "DOMAIN", "GENERATION", "INSTANCES", "LAST-CONTACT", "AGE", "STATE"];
    assert_eq!(columns(&succeed(&data, &["edge", "list"])), [header]);
    assert_eq!(succeed(&data, &["edge", "list", "--json"]), "[]\n");
    let push = ["--push-url", "https://worker.example.com/.well-known/postern/push"];
    let credential = enrol(&data, "worker", &push);
    assert_eq!(credential["name"], "worker");
    assert_eq!(credential["issuers"][0]["keys_uri"], "https://auth.example.com/shop/edge/keys");
    let members: Vec<_> = credential.as_object().unwrap().keys().collect();
    assert_eq!(members, ["edge", "issuer_keys", "issuers", "keys", "name"]);
    for (key, [usage, alg]) in credential["keys"]
        .as_array()
        .unwrap()
        .iter()
        .zip([["sig", "ES256"], ["enc", "ECDH-ES+A256KW"]])
    {
        let members: Vec<_> = key.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "crv", "d", "kid", "kty", "use", "x", "y"]);
        assert_eq!([&key["use"], &key["alg"]], [usage, alg]);
    }
    let public = credential["issuer_keys"]["keys"].as_array().unwrap();
    assert_eq!(public.len(), 2);
    assert!(public.iter().all(|key| key.get("d").is_none()));

    let list = succeed(&data, &["edge", "list"]);
    assert_eq!(columns(&list)[1], ["worker", "shop", "-", "0", "-", "-", "never", "seen"]);
    let listed: Value = serde_json::from_str(&succeed(&data, &["edge", "list", "--json"])).unwrap();
    assert_eq!((&listed[0]["id"], &listed[0]["push_url"]), (&credential["edge"], &json!(push[1])));
    assert_eq!(listed[0]["domains"][0]["state"], "never seen");
    for private in ["keys", "issuer_keys"].map(|set| credential[set].to_string()) {
        assert!(!listed.to_string().contains(&private));
    }
    let again = ["edge", "enrol", "worker", "--domain", "shop", "--issuer-url", ISSUER_URL];
    assert_eq!(fail(&data, &again), "error: edge `worker` already exists\n");
    let elsewhere = ["edge", "enrol", "x", "--domain", "blog", "--issuer-url", ISSUER_URL];
    assert_eq!(fail(&data, &elsewhere), "error: unknown domain `blog`\n");
    assert_eq!(succeed(&data, &["edge", "remove", "worker"]), "removed edge `worker`\n");
    assert_eq!(fail(&data, &["edge", "remove", "worker"]), "error: unknown edge `worker`\n");
    assert_eq!(columns(&succeed(&data, &["edge", "list"])), [header]);
}

#[test]
fn wrong_usage_is_code_two() {
    let (_folder, data) = data();
    for arguments in [
        &["edge", "enrol", "worker", "--issuer-url", ISSUER_URL][..],
        &["edge", "enrol", "worker", "--domain", "shop"],
        &["edge", "enrol", "Worker", "--domain", "shop", "--issuer-url", ISSUER_URL],
        &["keys", "rotate", "shop", "--wait", "--force"],
        &["keys", "rotate", "shop", "--at-bound", "--compromised"],
    ] {
        assert_eq!(run(&data, arguments).status.code(), Some(2), "{arguments:?}");
    }
    let push = ["edge", "enrol", "w", "--domain", "shop", "--issuer-url", ISSUER_URL, "--push-url"];
    let in_clear = run(&data, &[&push[..], &["http://worker.example.com/push"]].concat());
    let errors = String::from_utf8(in_clear.stderr).unwrap();
    assert_eq!(in_clear.status.code(), Some(2));
    assert!(errors.contains("`https://`"), "{errors}");
}

/// A rotation that waits goes on as soon as the edge has shown what it holds, long before the bound.
#[test]
fn a_rotation_waits_for_edges_and_is_told_who_is_late() {
    let (_folder, data) = data();
    let (envoy, server) = (enrol(&data, "envoy", &[]), Server::start(&data, &[]));
    succeed(&data, &["keys", "rotate", "shop"]);
    let refused = fail(&data, &["keys", "rotate", "shop"]);
    assert!(refused.contains("edge `envoy` is never seen; wait for them, or `4"), "{refused}");
    let status = succeed(&data, &["keys", "status", "shop"]);
    assert!(status.starts_with("domain `shop`: generation 2 signs with key `"), "{status}");
    assert!(status.contains("seconds, or when every edge holds the next key\n"), "{status}");
    let lines: Vec<_> = status.lines().collect();
    assert_eq!(lines[3], "EDGE   GENERATION  INSTANCES  LAST-CONTACT  AGE  STATE");
    assert!(lines[4].ends_with("never seen"), "{status}");

    let waiting = postern(&data, &["keys", "rotate", "shop", "--wait"]).spawn().unwrap();
    let (code, etag) = server.poll(&envoy, None);
    assert_eq!(code, 200);
    std::thread::sleep(Duration::from_millis(1500));
    let late = status_json(&data);
    assert_eq!((&late["generation"], &late["edges"][0]["state"]), (&json!(2), &json!("late")));
    assert_eq!(late["rotation"]["allowed"], false);
    let shown = Instant::now();
    assert_eq!(server.poll(&envoy, Some(&etag)), (304, etag));
    let output = waiting.wait_with_output().unwrap();
    assert!(shown.elapsed() < Duration::from_secs(5), "{:?}", shown.elapsed());
    let told = String::from_utf8(output.stdout).unwrap();
    let expected = ["waiting: edge `envoy` is never seen\n", "waiting: edge `envoy` is late\n"];
    assert!(told.starts_with(&expected.concat()) || told.starts_with(expected[1]), "{told}");
    assert!(told.contains("generation 3 signs with key `"), "{told}");
    let after = status_json(&data);
    assert_eq!((&after["generation"], &after["edges"][0]["generation"]), (&json!(3), &json!(2)));
    assert_eq!(after["edges"][0]["instances"], 1);
}

fn status_json(data: &Path) -> Value {
    serde_json::from_str(&succeed(data, &["keys", "status", "shop", "--json"])).unwrap()
}

#[test]
fn a_rotation_at_the_bound_waits_for_it_whatever_edges_have_shown() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    succeed(&data, &["domain", "create", "shop", "--jwks-max-age", "2"]);
    let (envoy, server) = (enrol(&data, "envoy", &[]), Server::start(&data, &[]));
    let started = Instant::now();
    succeed(&data, &["keys", "rotate", "shop"]);
    let etag = server.poll(&envoy, None).1;
    server.poll(&envoy, Some(&etag));
    let status = status_json(&data);
    assert_eq!(status["rotation"]["proven"], true, "{status}");
    let refused = fail(&data, &["keys", "rotate", "shop", "--at-bound"]);
    assert!(refused.contains("not known everywhere yet: wait `"), "{refused}");
    succeed(&data, &["keys", "rotate", "shop", "--at-bound", "--wait"]);
    // Times are whole seconds: 2 of `max-age`, 2 for fetches and 1 for rounding, less a fraction.
    assert!(started.elapsed() > Duration::from_millis(3900), "{:?}", started.elapsed());
}

#[test]
fn metrics_say_how_edges_stand_and_neither_they_nor_the_log_hold_a_secret() {
    let (_folder, data) = data();
    let envoy = enrol(&data, "envoy", &[]);
    enrol(&data, "worker", &["--push-url", "http://127.0.0.1:9/push"]);
    let mut server = Server::start(&data, &["--metrics-listen", "127.0.0.1:0"]);
    let mut line = String::new();
    server.output.read_line(&mut line).unwrap();
    let metrics = line.trim_end().strip_prefix("metrics on http://").unwrap();
    let metrics = metrics.strip_suffix("/metrics").unwrap().to_owned();
    let token = assertion(&envoy, None);
    let etag = server.poll(&envoy, None).1;
    server.poll(&envoy, Some(&etag));
    assert_eq!(server.poll(&json!({ "keys": envoy["keys"], "edge": "nobody" }), None).0, 401);
    let failed = "postern_edge_pushes_total{outcome=\"failed\"} 1\n";
    let deadline = Instant::now() + Duration::from_secs(20);
    let page = loop {
        let page = send(&metrics, "GET /metrics HTTP/1.1");
        if page.contains(failed) {
            break page;
        }
        assert!(Instant::now() < deadline, "{page}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    for sample in [
        "content-type: text/plain; version=0.0.4\r\n",
        "# TYPE postern_edge_polls_total counter\n",
        "postern_domain_generation{domain=\"shop\"} 1\n",
        "postern_edges_late{domain=\"shop\"} 1\n",
        "postern_edge_last_contact_age_seconds{domain=\"shop\",edge=\"envoy\"} ",
        "postern_edge_generation{domain=\"shop\",edge=\"envoy\"} 1\n",
        "postern_edge_instances{domain=\"shop\",edge=\"envoy\"} 1\n",
        "postern_edge_instances{domain=\"shop\",edge=\"worker\"} 0\n",
        "postern_edge_polls_total{outcome=\"sent\"} 1\n",
        "postern_edge_polls_total{outcome=\"not_modified\"} 1\n",
        "postern_edge_polls_total{outcome=\"invalid_assertion\"} 1\n",
        "postern_edge_pushes_total{outcome=\"delivered\"} 0\n",
    ] {
        assert!(page.contains(sample), "{sample} is not in {page}");
    }
    assert!(!page.contains("{domain=\"shop\",edge=\"worker\"} 1"), "{page}");
    let exported = succeed(&data, &["keys", "export", "shop", "--dangerous-secrets"]);
    let exported: Value = serde_json::from_str(&exported).unwrap();
    let elsewhere = send(&server.address, "GET /metrics HTTP/1.1");
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
    let shown = format!("{page}{}", server.stop());
    assert!(shown.contains("an edge could not be told of a change"), "{shown}");
    let private = [&envoy["keys"][0]["d"], &envoy["keys"][1]["d"]];
    let secrets = exported["keys"].as_array().unwrap().iter().map(|key| &key["k"]);
    for secret in private.into_iter().chain(secrets) {
        assert!(!shown.contains(secret.as_str().unwrap()));
    }
    for part in token.split('.') {
        assert!(!shown.contains(part));
    }
    assert!(!shown.contains(envoy["edge"].as_str().unwrap()));
}
