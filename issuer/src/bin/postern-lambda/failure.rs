//! What an event fails with, as Lambda reports it.

use std::fmt::Display;

use lambda_runtime::Diagnostic;

/// The message that the caller of the function gets; never anything of the event.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    message: String,
}

impl Failure {
    /// Of this kind, for this reason.
    pub(crate) fn new(kind: &'static str, reason: &impl Display) -> Self {
        Self { kind, message: reason.to_string() }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Self { error_type: failure.kind.to_owned(), error_message: failure.message }
    }
}
