//! What the SDKs report, in the words of the storage ports.

use std::{error::Error, fmt};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::store::StoreError;

/// Codes of what may be another matter in a moment; besides, whatever has a status of 500 or more.
const PASSING: [&str; 9] = [
    "InternalServerError",
    "InternalServiceError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// What a call to AWS failed with: the service's code and message. Never what was sent or stored.
#[derive(Debug)]
pub(crate) struct AwsFailure {
    text: String,
    passes: bool,
}

impl fmt::Display for AwsFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Error for AwsFailure {}

impl AwsFailure {
    pub(crate) fn of<E>(error: &SdkError<E>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        match error {
            SdkError::ServiceError(context) => {
                let (code, message) = (context.err().code(), context.err().message());
                let status = context.raw().status().as_u16();
                let passes = status >= 500 || code.is_some_and(|code| PASSING.contains(&code));
                let code = code.unwrap_or("no code");
                let text = format!("{code}: {} (status {status})", message.unwrap_or("no message"));
                Self { text, passes }
            }
            SdkError::TimeoutError(_) => Self::passing("no answer in time"),
            SdkError::ResponseError(_) => Self::passing("an answer that cannot be read"),
            SdkError::DispatchFailure(failure) => {
                let reason =
                    failure.as_connector_error().map(|error| innermost(error)).unwrap_or_default();
                Self { text: format!("cannot be reached: {reason}"), passes: !failure.is_user() }
            }
            error => Self { text: innermost(error), passes: false },
        }
    }

    fn passing(text: &str) -> Self {
        Self { text: text.to_owned(), passes: true }
    }
}

impl From<AwsFailure> for StoreError {
    fn from(failure: AwsFailure) -> Self {
        if failure.passes { Self::Busy(failure.into()) } else { Self::unavailable(failure) }
    }
}

impl<E> From<SdkError<E>> for StoreError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    fn from(error: SdkError<E>) -> Self {
        AwsFailure::of(&error).into()
    }
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
