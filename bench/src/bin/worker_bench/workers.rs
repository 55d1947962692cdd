//! The Workers that stand side by side, and what they are told.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use postern_bench::traffic::tokens::{AUDIENCE, Algorithm, Signer};
use serde_json::{Value, json};

use crate::options::Options;

/// A Worker: its modules, the main one first, and its text bindings.
pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) modules: Vec<PathBuf>,
    pub(crate) bindings: Vec<(&'static str, String)>,
}

/// The path at which an origin serves the keys of an algorithm.
pub(crate) fn keys_path(algorithm: Algorithm) -> String {
    format!("/{}/keys", algorithm.provider())
}

/// In the order that the report expects.
pub(crate) fn all(options: &Options, signer: &Signer) -> Result<Vec<Worker>> {
    let peer = |name: &str| vec![options.peers.join(name)];
    let mut workers = vec![
        Worker { name: "none", modules: peer("none.mjs"), bindings: Vec::new() },
        Worker { name: "jose", modules: peer("jose.mjs"), bindings: jose_bindings(signer)? },
    ];
    if let Some(folder) = &options.ours {
        let bindings = vec![
            ("POSTERN_POLICY_FROM", "vars".to_owned()),
            ("POSTERN_POLICY", policy(signer).to_string()),
            ("POSTERN_ORIGINS", json!([{"origin": "http://api.example.com"}]).to_string()),
        ];
        workers.push(Worker { name: "postern", modules: modules(folder)?, bindings });
    }
    Ok(workers)
}

/// The modules in the folder, `index.mjs` first.
fn modules(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut modules = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if ["mjs", "wasm"].iter().any(|known| path.extension() == Some(OsStr::new(known))) {
            modules.push(path);
        }
    }
    modules.sort_by_key(|path| path.file_name() != Some(OsStr::new("index.mjs")));
    Ok(modules)
}

fn jose_bindings(signer: &Signer) -> Result<Vec<(&'static str, String)>> {
    let algorithm = signer.algorithm;
    let mut bindings = vec![
        ("ISSUER", algorithm.issuer()),
        ("AUDIENCE", AUDIENCE.to_owned()),
        ("ALGORITHM", algorithm.name().to_owned()),
        ("JWKS_URI", keys_uri(algorithm)),
    ];
    if algorithm == Algorithm::Hs256 {
        let set: Value = serde_json::from_str(&signer.jwk_set())?;
        let key = set.pointer("/keys/0").context("the set has no key")?;
        bindings.push(("SECRET", key.to_string()));
    }
    Ok(bindings)
}

fn keys_uri(algorithm: Algorithm) -> String {
    format!("http://auth.example.com{}", keys_path(algorithm))
}

/// The same rules as jose's Worker has, in the policy's words.
fn policy(signer: &Signer) -> Value {
    let name = signer.algorithm.provider();
    let mut provider = json!({
        "issuer": signer.algorithm.issuer(),
        "audiences": [AUDIENCE],
        "algorithms": [signer.algorithm.name()],
        "claim_to_headers": [{"header_name": "x-user-id", "claim_name": "sub"}],
    });
    if let Some(members) = provider.as_object_mut() {
        if signer.algorithm == Algorithm::Hs256 {
            let keys = json!({"inline_string": signer.jwk_set()});
            members.insert("local_jwks".to_owned(), keys);
        } else {
            let keys = json!({"http_uri": {"uri": keys_uri(signer.algorithm)}});
            members.insert("remote_jwks".to_owned(), keys);
        }
    }
    json!({
        "providers": {&name: provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": &name}}],
    })
}
