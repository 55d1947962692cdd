//! `postern explain`, with the tokens and keys of the verdict corpus.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A policy with remote keys, those keys, and a good token.
struct Fixture {
    folder: TempDir,
    token: String,
}

impl Fixture {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/rotation.json");
        let corpus: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let cases = corpus["cases"].as_array().unwrap();
        let case = cases.iter().find(|case| case["name"] == "previous").expect("the case is there");
        let uri = "https://auth.example.com/shop/.well-known/jwks.json";
        let policy = json!({
            "providers": {"shop": {
                "issuer": "https://auth.example.com/shop",
                "audiences": ["shop"],
                "remote_jwks": {"http_uri": {"uri": uri}},
                "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}]
            }},
            "rules": [
                {"match": {"path": "/orders"}, "requires": {"provider_name": "shop"}},
                {"match": {"path": "/admin"}, "requires": {"provider_name": "shop"},
                 "scopes": ["admin"], "name": "admin"}
            ]
        });
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("policy.json"), policy.to_string()).unwrap();
        let keys = corpus["key_sets"]["published"].to_string();
        fs::write(folder.path().join("keys.json"), keys).unwrap();
        Self { folder, token: case["token"].as_str().unwrap().to_owned() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The exit code, and all that was printed.
    fn explain(&self, arguments: &[&str], token: &str) -> (i32, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postern"))
            .current_dir(self.folder.path())
            .args(["explain", "--policy", "policy.json", "--now", "1800000000"])
            .args(arguments)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end before it has read the token.
        let _ = child.stdin.take().unwrap().write_all(token.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }
}

#[test]
fn a_token_is_followed_to_its_end() {
    let fixture = Fixture::new();
    let (code, text) = fixture.explain(&["--keys", "keys.json"], &fixture.token);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("signature  it fits"), "{text}");
    assert!(text.ends_with("\nit is a good token of `shop`\n"), "{text}");
    let (code, text) = fixture.explain(&[], &fixture.token);
    assert_eq!((code, text.contains("give them with --keys")), (4, true), "{text}");
    let (code, text) =
        fixture.explain(&["--keys", "shop=keys.json"], &fixture.token.replace('.', ".A"));
    assert_eq!((code, text.contains("NO")), (4, true), "{text}");
    assert!(!fixture.path("postern-data").exists(), "it needs no data");
}

#[test]
fn a_request_is_followed_to_its_end() {
    let fixture = Fixture::new();
    let explain = |request: &str| {
        let arguments = ["--keys", "keys.json", "--request", request];
        fixture.explain(&arguments, &fixture.token)
    };
    let (code, text) = explain("GET /orders");
    assert_eq!(code, 0, "{text}");
    assert!(text.ends_with("allowed; sets x-user-id; removes authorization\n"), "{text}");
    let (code, text) = explain("GET /admin");
    assert_eq!((code, text.contains("rule `admin`")), (4, true), "{text}");
    assert!(text.ends_with("denied: 403 insufficient_scope\n"), "{text}");
    let (code, text) = explain("GET /elsewhere");
    assert_eq!((code, text.ends_with("denied: 403 no_matching_rule\n")), (4, true), "{text}");
    let header = ["--keys", "keys.json", "--request", "GET /orders", "--header", "x: {token}"];
    let (code, text) = fixture.explain(&header, &fixture.token);
    assert_eq!((code, text.ends_with("denied: 401 token_missing\n")), (4, true), "{text}");
}

#[test]
fn nothing_of_the_token_but_its_header_is_printed() {
    let fixture = Fixture::new();
    let [_, payload, signature] = fixture.token.split('.').collect::<Vec<_>>()[..] else {
        unreachable!("a token has three parts")
    };
    for arguments in [&["--keys", "keys.json"][..], &["--request", "GET /orders"]] {
        let (_, text) = fixture.explain(arguments, &fixture.token);
        for secret in [payload, signature, "alice"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let fixture = Fixture::new();
    for (arguments, token, expected) in [
        (&["--keys", "none.json"][..], "a.b.c", "error: cannot read `none.json`"),
        (&["--keys", "other=keys.json"], "a.b.c", "error: --keys: there is no provider `other`"),
        (&["--keys", "policy.json"], "a.b.c", "error: policy.json: a JWK Set is an object"),
        (&["--request", "/orders"], "a.b.c", "error: --request: it is a method and a target"),
        (&[], "", "error: there is no token"),
    ] {
        let (code, text) = fixture.explain(arguments, token);
        assert_eq!((code, text.starts_with(expected)), (1, true), "{text}");
    }
}

#[test]
fn the_schema_is_the_committed_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_postern")).args(["policy", "schema"]).output();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verify/policy.schema.json");
    assert_eq!(output.unwrap().stdout, fs::read(committed).unwrap());
}
