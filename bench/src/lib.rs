//! What is measured, once for the native benchmarks and once for the Wasm module.
//!
//! A [`Task`] is one operation with everything that it needs prepared. `benches/verify.rs` runs
//! all tasks natively, `wasm/` exports them, and `wasm/run.mjs` runs that module in Node.

mod allocation;
mod fixtures;
mod gate;
#[cfg(not(target_family = "wasm"))]
pub mod traffic;

use std::hint::black_box;

use postern_verify::{JwkSet, KeyKinds, MAX_TOKEN_BYTES, Policy, UnverifiedToken};

use crate::gate::Gate;
pub use crate::{allocation::Counting, fixtures::Fixtures};

/// One operation, ready to be repeated.
pub struct Task {
    /// What the table calls it.
    pub name: String,
    run: Box<dyn FnMut() -> bool>,
}

impl Task {
    /// A task of this name; `run` says whether it came out as it should.
    pub fn new(name: impl Into<String>, run: impl FnMut() -> bool + 'static) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }

    /// Does it once; whether it came out as it should.
    pub fn run(&mut self) -> bool {
        (self.run)()
    }
}

/// All tasks, in the order of the table.
#[must_use]
pub fn tasks(fixtures: &'static Fixtures) -> Vec<Task> {
    let parse = |text: &'static str| UnverifiedToken::parse(text.as_bytes(), MAX_TOKEN_BYTES);
    let token = |algorithm| fixtures.token(algorithm);
    let (jwk_set, policy) = (fixtures.jwk_set(), fixtures.policy());
    let keys = move |document: &str| JwkSet::parse(document.as_bytes(), KeyKinds::WithSecrets);
    let es256 = token("ES256");

    let mut tasks = vec![Task::new("parse", move || parse(black_box(es256)).is_ok())];
    for algorithm in fixtures.algorithms() {
        let (Ok(token), Ok(keys)) = (parse(token(algorithm)), keys(&jwk_set)) else { continue };
        tasks.push(Task::new(format!("verify {algorithm}"), move || {
            black_box(&token).verify(&keys).is_ok()
        }));
    }
    for algorithm in fixtures.algorithms() {
        let mut gate = Gate::new(&policy, token(algorithm));
        tasks.push(Task::new(format!("decide {algorithm}"), move || black_box(&mut gate).decide()));
    }
    let mut gate = Gate::with_cache(&policy, es256);
    gate.decide();
    tasks.push(Task::new("decide cached", move || black_box(&mut gate).decide()));
    let documents = (jwk_set.clone(), policy);
    tasks.push(Task::new("JWK Set", move || keys(black_box(&documents.0)).is_ok()));
    tasks.push(Task::new("policy", move || {
        Policy::parse(black_box(&documents.1).as_bytes()).is_ok()
    }));
    tasks
}
