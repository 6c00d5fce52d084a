//! The refusals of AWS STS: code, HTTP status, and AWS's own words.

use std::fmt::Write as _;

use crate::random::NoRandomness;

/// A refusal as STS sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StsError {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl StsError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> StsError {
        StsError {
            code,
            status,
            message: message.into(),
        }
    }

    pub(crate) fn missing_authentication() -> StsError {
        StsError::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )
    }

    pub(crate) fn incomplete_signature(message: impl Into<String>) -> StsError {
        StsError::new(400, "IncompleteSignature", message)
    }

    pub(crate) fn invalid_client_token() -> StsError {
        StsError::new(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        )
    }

    pub(crate) fn expired_token() -> StsError {
        StsError::new(
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
        )
    }

    pub(crate) fn signature(message: impl Into<String>) -> StsError {
        StsError::new(403, "SignatureDoesNotMatch", message)
    }

    pub(crate) fn wrong_signature() -> StsError {
        StsError::signature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        )
    }

    /// Every broken constraint, in one message, as AWS counts them.
    pub(crate) fn constraints(broken: &[String]) -> StsError {
        let noun = if broken.len() == 1 { "error" } else { "errors" };
        StsError::validation(format!(
            "{} validation {noun} detected: {}",
            broken.len(),
            broken.join("; ")
        ))
    }

    pub(crate) fn validation(message: impl Into<String>) -> StsError {
        StsError::new(400, "ValidationError", message)
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> StsError {
        StsError::new(400, "InvalidParameterValue", message)
    }

    pub(crate) fn malformed_query(message: impl Into<String>) -> StsError {
        StsError::new(400, "MalformedQueryString", message)
    }

    pub(crate) fn malformed_policy(message: impl Into<String>) -> StsError {
        StsError::new(400, "MalformedPolicyDocument", message)
    }

    pub(crate) fn packed_policy(percent: u64) -> StsError {
        StsError::new(
            400,
            "PackedPolicyTooLarge",
            format!(
                "Packed policy consumes {percent}% of allotted space, please use smaller policy."
            ),
        )
    }

    /// `why` begins with a space, or is empty where AWS gives no reason.
    pub(crate) fn access_denied(arn: &str, action: &str, resource: &str, why: &str) -> StsError {
        let mut message = format!("User: {arn} is not authorized to perform: {action}");
        if resource != "*" {
            // Writing to a String cannot fail.
            let _ = write!(message, " on resource: {resource}");
        }
        message.push_str(why);
        StsError::new(403, "AccessDenied", message)
    }

    pub(crate) fn invalid_action(action: &str, version: &str) -> StsError {
        StsError::new(
            400,
            "InvalidAction",
            format!("Could not find operation {action} for version {version}"),
        )
    }

    pub(crate) fn throttled() -> StsError {
        StsError::new(400, "ThrottlingException", "Rate exceeded")
    }

    pub(crate) fn internal() -> StsError {
        StsError::new(
            500,
            "InternalFailure",
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }
}

impl From<NoRandomness> for StsError {
    fn from(_: NoRandomness) -> StsError {
        StsError::internal()
    }
}
