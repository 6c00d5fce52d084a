//! The refusals of AWS STS and IAM: code, HTTP status, and AWS's own words.

use std::fmt::Write as _;

use crate::random::NoRandomness;
use crate::reply::Api;
use crate::role::INLINE_BYTES_MAX;

/// A refusal as AWS sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwsError {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl AwsError {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> AwsError {
        AwsError {
            code,
            status,
            message: message.into(),
        }
    }

    pub(crate) fn missing_authentication() -> AwsError {
        AwsError::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        )
    }

    pub(crate) fn incomplete_signature(message: impl Into<String>) -> AwsError {
        AwsError::new(400, "IncompleteSignature", message)
    }

    pub(crate) fn invalid_client_token() -> AwsError {
        AwsError::new(
            403,
            "InvalidClientTokenId",
            "The security token included in the request is invalid.",
        )
    }

    pub(crate) fn expired_token() -> AwsError {
        AwsError::new(
            403,
            "ExpiredToken",
            "The security token included in the request is expired",
        )
    }

    pub(crate) fn signature(message: impl Into<String>) -> AwsError {
        AwsError::new(403, "SignatureDoesNotMatch", message)
    }

    pub(crate) fn wrong_signature() -> AwsError {
        AwsError::signature(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        )
    }

    pub(crate) fn wrong_service(service: &str) -> AwsError {
        AwsError::signature(format!(
            "Credential should be scoped to correct service: '{service}'. "
        ))
    }

    /// Every broken constraint, in one message, as AWS counts them.
    pub(crate) fn constraints(broken: &[String]) -> AwsError {
        let noun = if broken.len() == 1 { "error" } else { "errors" };
        AwsError::validation(format!(
            "{} validation {noun} detected: {}",
            broken.len(),
            broken.join("; ")
        ))
    }

    pub(crate) fn validation(message: impl Into<String>) -> AwsError {
        AwsError::new(400, "ValidationError", message)
    }

    pub(crate) fn invalid_parameter(message: impl Into<String>) -> AwsError {
        AwsError::new(400, "InvalidParameterValue", message)
    }

    pub(crate) fn malformed_query(message: impl Into<String>) -> AwsError {
        AwsError::new(400, "MalformedQueryString", message)
    }

    pub(crate) fn malformed_policy(message: impl Into<String>) -> AwsError {
        AwsError::new(400, "MalformedPolicyDocument", message)
    }

    pub(crate) fn packed_policy(percent: u64) -> AwsError {
        AwsError::new(
            400,
            "PackedPolicyTooLarge",
            format!(
                "Packed policy consumes {percent}% of allotted space, please use smaller policy."
            ),
        )
    }

    /// `why` begins with a space, or is empty where AWS gives no reason.
    pub(crate) fn access_denied(arn: &str, action: &str, resource: &str, why: &str) -> AwsError {
        let mut message = format!("User: {arn} is not authorized to perform: {action}");
        if resource != "*" {
            // Writing to a String cannot fail.
            let _ = write!(message, " on resource: {resource}");
        }
        message.push_str(why);
        AwsError::new(403, "AccessDenied", message)
    }

    pub(crate) fn invalid_action(action: &str, version: &str) -> AwsError {
        AwsError::new(
            400,
            "InvalidAction",
            format!("Could not find operation {action} for version {version}"),
        )
    }

    pub(crate) fn invalid_input(message: impl Into<String>) -> AwsError {
        AwsError::new(400, "InvalidInput", message)
    }

    pub(crate) fn no_role(name: &str) -> AwsError {
        AwsError::no_entity(format!("The role with name {name} cannot be found."))
    }

    pub(crate) fn no_role_policy(name: &str) -> AwsError {
        AwsError::no_entity(format!("The role policy with name {name} cannot be found."))
    }

    fn no_entity(message: String) -> AwsError {
        AwsError::new(404, "NoSuchEntity", message)
    }

    pub(crate) fn policies_too_large(role_name: &str) -> AwsError {
        AwsError::new(
            409,
            "LimitExceeded",
            format!(
                "Maximum policy size of {INLINE_BYTES_MAX} bytes exceeded for role {role_name}"
            ),
        )
    }

    /// Too many calls; the two services spell it differently.
    pub(crate) fn throttled(api: Api) -> AwsError {
        let code = match api {
            Api::Sts => "ThrottlingException",
            Api::Iam => "Throttling",
        };
        AwsError::new(400, code, "Rate exceeded")
    }

    /// A fault of the service itself.
    pub(crate) fn failed(api: Api) -> AwsError {
        let code = match api {
            Api::Sts => "InternalFailure",
            Api::Iam => "ServiceFailure",
        };
        AwsError::new(
            500,
            code,
            "The request processing has failed because of an unknown error, exception or failure.",
        )
    }
}

impl From<NoRandomness> for AwsError {
    fn from(_: NoRandomness) -> AwsError {
        AwsError::failed(Api::Sts)
    }
}
