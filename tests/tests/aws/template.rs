//! `deploy/aws`: what the templates let whom do, and what they keep.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod access;
mod document;
mod example;
mod service;

use serde_json::Value;

use document::Template;

const SERVICE: &str = "template.yaml";
const EXAMPLE: &str = "example-api.yaml";

fn service() -> Template {
    Template::read(SERVICE)
}

fn example() -> Template {
    Template::read(EXAMPLE)
}

/// One, or a list of them: IAM and `CloudFormation` take both.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().map(|one| one.as_str().expect("a text")).collect(),
        other => panic!("neither a text nor a list of texts: {other}"),
    }
}
