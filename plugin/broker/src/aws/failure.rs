//! What came of a call that gave nothing: AWS's code, and whether it may be asked again.

use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};

/// Why a call gave nothing. Codes only: the SDK's `Debug` and `Display` of an error print the raw body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Never sent: the broker has no credentials of its own just now, or gave the SDK bad input.
    NotSent,
    /// Never sent: no connection came up.
    NoConnection,
    /// AWS refused, and would refuse again: its code.
    Refused(String),
    /// AWS did nothing, but may if asked again: its code.
    Later(String),
    /// Sent, perhaps; an answer may have been lost.
    NoAnswer,
}

impl Failure {
    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Failure {
        match error {
            SdkError::ConstructionFailure(_) => Failure::NotSent,
            // It was done, and what was told of it was not understood.
            SdkError::ServiceError(context) if context.raw().status().is_success() => {
                Failure::NoAnswer
            }
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let code = context.err().code().unwrap_or("UnknownError").to_owned();
                let again = status >= 500 || RETRYABLE.contains(&code.as_str());
                if again {
                    Failure::Later(code)
                } else {
                    Failure::Refused(code)
                }
            }
            SdkError::DispatchFailure(failure)
                if failure
                    .as_connector_error()
                    .is_some_and(|error| never_connected(error)) =>
            {
                Failure::NoConnection
            }
            // A timeout, a broken reply, or whatever else the SDK comes to know.
            _ => Failure::NoAnswer,
        }
    }
}

// A request that found no connection was never sent, so nothing can have come of it.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<hyper_util::client::legacy::Error>() {
        Some(error) => error.is_connect(),
        None => error.source().is_some_and(never_connected),
    }
}

/// The error codes of AWS that mean "later": throttling, a peer of its own that did not answer, another writer at work.
const RETRYABLE: [&str; 8] = [
    "Throttling",
    "ThrottlingException",
    "RequestThrottled",
    "SlowDown",
    "PriorRequestNotComplete",
    "RequestTimeout",
    "ConcurrentModification",
    "EntityTemporarilyUnmodifiable",
];
