//! Requests that wait for the first keys.

use std::time::{Duration, Instant};

use postern_tests::{
    Client, Envoy, EnvoyConfig, Failure, ForgedKeys, Key, KeyServer, Protocol, Request, Response,
    Seen, Upstream, filter_module, now, wait_until,
};
use serde_json::json;
use tokio::task::JoinSet;

const ISSUER: &str = "https://issuer.example/api";
const GOOD: usize = 200;
const BAD: usize = 1400;

/// A gate whose keys come from a server that keeps it waiting.
pub(super) struct WaitingGate {
    pub(super) envoy: Envoy,
    pub(super) upstream: Upstream,
    pub(super) server: KeyServer,
    keys: ForgedKeys,
}

impl WaitingGate {
    async fn open(plugin_option: &str) -> Self {
        Self::open_with(plugin_option, Ok).await
    }

    /// Opens with a changed configuration.
    pub(super) async fn open_with(
        plugin_option: &str,
        change: impl FnOnce(EnvoyConfig) -> Result<EnvoyConfig, Failure>,
    ) -> Self {
        let keys = ForgedKeys::generate().unwrap();
        let server = KeyServer::start(&keys.jwks()).await.unwrap();
        let upstream = Upstream::start(0).await.unwrap();
        let policy = json!({
            "providers": { "late": {
                "issuer": ISSUER,
                "remote_jwks": { "http_uri": {
                    "uri": "http://issuer.example/jwks", "cluster": "issuer", "timeout": "20s",
                } },
                "claim_to_headers": [{ "header_name": "x-user-id", "claim_name": "sub" }],
            } },
            "rules": [
                { "match": { "path": "/open" } },
                { "match": { "prefix": "/" }, "requires": { "provider_name": "late" } },
            ],
        });
        let failure_policy = "failure_policy: FAIL_RELOAD";
        let config = EnvoyConfig::for_test(server.port(), upstream.port())
            .and_then(|config| config.policy(&policy))
            .and_then(|config| {
                let indent = " ".repeat(16);
                config
                    .replace(failure_policy, &format!("{failure_policy}\n{indent}{plugin_option}"))
            })
            .and_then(change)
            .unwrap();
        let envoy = Envoy::start(&config).await.unwrap();
        Self { envoy, upstream, server, keys }
    }

    pub(super) fn token(&self, kid: &str) -> String {
        let header = json!({ "alg": "ES256", "kid": kid }).to_string();
        let claims = json!({ "iss": ISSUER, "sub": "user-1", "exp": now() + 300 });
        self.keys.sign(Key::Es256, header, claims.to_string())
    }

    fn post(&self, kid: &str) -> Request {
        let padding = "x".repeat(100_000);
        Request::post("/orders", &json!({ "padding": padding }))
            .header("x-user-id", "root")
            .bearer(&self.token(kid))
    }
}

fn send(tasks: &mut JoinSet<Response>, client: Client, request: Request) {
    tasks.spawn(async move { client.send(request).await.unwrap() });
}

/// Envoy's option lets a filter see the body while the headers wait. They have to wait all the same.
#[tokio::test]
async fn a_body_does_not_push_waiting_headers_through() {
    for option in
        ["allow_on_headers_stop_iteration: true", "allow_on_headers_stop_iteration: false"]
    {
        let gate = WaitingGate::open(option).await;
        let (mut good, mut bad) = (JoinSet::new(), JoinSet::new());
        for protocol in [Protocol::Http1, Protocol::Http2] {
            send(&mut good, gate.envoy.client(protocol), gate.post("es"));
            send(&mut bad, gate.envoy.client(protocol), gate.post("unknown"));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(gate.upstream.requests(), 0, "{option}");
        gate.server.answer();
        for answer in bad.join_all().await {
            assert_eq!((answer.status, answer.code().as_str()), (401, "key_unknown"), "{option}");
        }
        for answer in good.join_all().await {
            let seen = Seen::read(&answer).unwrap();
            assert_eq!(seen.all("x-user-id"), ["user-1"], "{option}");
            assert_eq!(seen.all("authorization"), Vec::<&str>::new());
        }
        assert_eq!(gate.upstream.requests(), 2);
    }
}

/// Envoy resumes several requests in one callback, and announces them all to the second gate before
/// it shows it the headers of the first.
#[tokio::test]
async fn requests_pass_a_second_gate_of_the_same_vm() {
    let module = filter_module().unwrap();
    let second = format!(
        r#"          - name: second
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: second
                failure_policy: FAIL_RELOAD
                vm_config:
                  vm_id: postern
                  runtime: envoy.wasm.runtime.v8
                  code: {{ local: {{ filename: {} }} }}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: '{{"rules": [{{"match": {{"prefix": "/"}}}}]}}'
"#,
        module.display()
    );
    let router = "          - name: envoy.filters.http.router\n";
    let gate =
        WaitingGate::open_with("", |config| config.replace(router, &format!("{second}{router}")))
            .await;
    let request = Request::get("/orders").bearer(&gate.token("es"));
    let mut waiting = JoinSet::new();
    for _ in 0..40 {
        send(&mut waiting, gate.envoy.client(Protocol::Http1), request.clone());
    }
    wait_until("requests at the gate", Duration::from_secs(10), async || {
        gate.envoy.counter("http.gate.downstream_rq_total").await.unwrap() >= 40
    })
    .await
    .unwrap();
    gate.server.answer();
    for answer in waiting.join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// Each answer is carried out inside the one before; hundreds at once exhausted the VM's stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_that_wait_are_all_answered() {
    let gate = WaitingGate::open("").await;
    let client = gate.envoy.client(Protocol::Http1);
    let (mut good, mut bad) = (JoinSet::new(), JoinSet::new());
    let request = |kid| Request::get("/orders").bearer(&gate.token(kid));
    let (known, unknown) = (request("es"), request("unknown"));
    for _ in 0..GOOD {
        send(&mut good, client, known.clone());
    }
    for _ in 0..BAD {
        send(&mut bad, client, unknown.clone());
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(gate.upstream.requests(), 0);
    gate.server.answer();
    for answer in good.join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    for answer in bad.join_all().await {
        assert_eq!((answer.status, answer.code().as_str()), (401, "key_unknown"));
    }
    assert!(!gate.envoy.log().contains("call stack"), "the VM was trapped");
}

/// However long a fetch may take, no request waits for it beyond fifteen seconds.
#[tokio::test]
async fn a_request_does_not_wait_for_ever() {
    let gate = WaitingGate::open("").await;
    let start = Instant::now();
    let request = Request::get("/orders").bearer(&gate.token("es"));
    let answer = gate.envoy.client(Protocol::Http1).send(request).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (503, "keys_unavailable"));
    let waited = start.elapsed();
    assert!((10..18).contains(&waited.as_secs()), "{waited:?}");
}
