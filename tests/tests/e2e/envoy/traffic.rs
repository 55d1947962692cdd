//! Every kind of request that Envoy takes: through with a token, refused without, and unharmed.

mod cors;
mod crowds;
mod grpc;
pub(super) mod paths;
mod redirects;
mod rewrites;
mod websocket;

use postern_tests::{Request, Seen};
use serde_json::{Value, json};

use crate::local_gate::LocalGate;

const MANAGER: &str = "codec_type: AUTO";
const ROUTE: &str = "route: { cluster: upstream }";
const UPSTREAM_CLUSTER: &str = "type: STATIC
    load_assignment:
      cluster_name: upstream
";

/// A local gate whose policy opens `/open/` too and has more members, behind an Envoy that is set
/// up otherwise.
async fn gate(members: Value, changes: &[(&str, &str)]) -> LocalGate {
    LocalGate::open_with(|config| {
        let mut policy = config.read_policy()?;
        let rules = policy["rules"].as_array_mut().unwrap();
        rules.insert(0, json!({ "match": { "prefix": "/open/" } }));
        policy.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let config = config.policy(&policy)?;
        changes.iter().try_fold(config, |config, (from, to)| config.replace(from, to))
    })
    .await
}

/// An option of the connection manager, in front of its others.
fn with_option(option: &str) -> String {
    format!("{option}\n          {MANAGER}")
}

/// What the upstream has to see of an identified request.
fn assert_identified(seen: &Seen) {
    assert_eq!(seen.all("x-user-id"), ["user-1"], "{:?}", seen.headers);
    assert!(seen.all("authorization").is_empty(), "the token went upstream");
}

/// The same request, with an identity that the client made up.
fn spoofed(request: Request) -> Request {
    request.header("x-user-id", "root")
}
