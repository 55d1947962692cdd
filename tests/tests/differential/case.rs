//! A question to all three, and how it is put together.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::{
    random::Seeded,
    signer::{ALGORITHMS, Signer},
};

/// The time of every decision.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const SKEW: u64 = 30;
pub(crate) const ISSUER: &str = "https://issuer.example/api";
pub(crate) const AUDIENCE: [&str; 2] = ["api", "api-2"];

/// A token and the keys that it is checked with.
pub(crate) struct Case {
    /// What is tried; a difference is explained for all cases of a class.
    pub(crate) class: &'static str,
    /// Which one of the class.
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) jwks: Rc<str>,
}

/// What cases are made of, and those that are made.
pub(crate) struct Corpus {
    pub(crate) signer: Signer,
    pub(crate) random: Seeded,
    pub(crate) jwks: Rc<str>,
    pub(crate) cases: Vec<Case>,
}

/// Members of an object that are replaced or added, as JSON texts; `None` leaves one out.
pub(crate) type Changes<'a> = &'a [(&'a str, Option<&'a str>)];

impl Corpus {
    pub(crate) fn new() -> Self {
        let mut random = Seeded(0x706f_7374_6572_6e00);
        let signer = Signer::new(&mut random, 2048);
        let jwks = signer.jwks().into();
        Self { signer, random, jwks, cases: Vec::new() }
    }

    pub(crate) fn add(&mut self, class: &'static str, name: impl Into<String>, token: String) {
        let jwks = Rc::clone(&self.jwks);
        self.cases.push(Case { class, name: name.into(), token, jwks });
    }

    pub(crate) fn add_with_keys(
        &mut self,
        class: &'static str,
        name: impl Into<String>,
        token: String,
        jwks: impl Into<Rc<str>>,
    ) {
        self.cases.push(Case { class, name: name.into(), token, jwks: jwks.into() });
    }

    /// A token that all three accept.
    pub(crate) fn good(&self, algorithm: &str) -> String {
        self.signer.token(algorithm, header(algorithm, &[]), claims(&[]))
    }
}

impl Case {
    /// The line that a peer reads.
    pub(crate) fn question(&self) -> Value {
        let algorithms = [&ALGORITHMS[..], &["Ed25519"]].concat();
        json!({
            "token": self.token,
            "jwks": &*self.jwks,
            "algorithms": algorithms,
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "now": NOW,
            "skew": SKEW,
        })
    }
}

/// The text of a header.
pub(crate) fn header(algorithm: &str, changes: Changes<'_>) -> String {
    let name = format!("\"{algorithm}\"");
    object(&[("alg", name.clone()), ("kid", name)], changes)
}

/// The text of claims.
pub(crate) fn claims(changes: Changes<'_>) -> String {
    let base = [
        ("iss", format!("\"{ISSUER}\"")),
        ("sub", "\"user-1\"".to_owned()),
        ("aud", "\"api\"".to_owned()),
        ("iat", (NOW - 10).to_string()),
        ("exp", (NOW + 300).to_string()),
    ];
    object(&base, changes)
}

fn object(base: &[(&str, String)], changes: Changes<'_>) -> String {
    let kept = base.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| other == name));
    let mut members: Vec<String> =
        kept.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let added = changes.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    members.extend(added.map(|(name, value)| format!("\"{name}\":{value}")));
    format!("{{{}}}", members.join(","))
}
