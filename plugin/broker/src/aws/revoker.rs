//! The revoker: one inline policy a role, which denies the sessions of revoked grants.

use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId as _;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType};
use writ_engine::Moment;
use writ_engine::request::RequestId;
use writ_engine::scope::RoleArn;
use writ_engine::session::GRANT_TAG;

use super::failure::Failure;
use super::{AwsSettings, Caller, Endpoints, role_name};

/// The name of the one inline policy by which Writ denies revoked grants on a role.
pub const DENIAL_POLICY_NAME: &str = "writ-revoked";

/// What is simulated to see whether a session is denied everything: a call that takes no permission, so no other policy has
/// a reason to deny it.
const PROBE_ACTION: &str = "sts:GetCallerIdentity";

/// Why a role's denials are not as they were to be, or are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeError {
    /// The document does not fit beside the role's other inline policies: together 10,240 characters.
    LimitExceeded,
    /// There is no role of this ARN in the account of the revoker's credentials.
    NoSuchRole,
    /// AWS refused, and would refuse again until somebody changes something there: its code.
    Refused(String),
    /// No answer, or one that may be another next time: AWS's code, or `NoConnection`, `NoAnswer`, or `NotSent` while the
    /// revoker has no credentials. A write may have happened; to write the same again is harmless.
    TryAgain(String),
}

/// Calls IAM, under an identity of its own. Repeats nothing by itself: whoever calls does, for as long as it takes.
pub struct Revoker {
    caller: Caller,
}

impl Revoker {
    /// A revoker for these settings, or `None` where they have none. Contacts nobody yet.
    pub fn new(settings: &AwsSettings) -> Option<Revoker> {
        let revoker = settings.revoker.as_ref()?;
        let endpoints = Endpoints {
            sts: None,
            iam: revoker.endpoint_url.clone(),
        };
        Some(Revoker {
            caller: Caller::new(&revoker.credentials, endpoints),
        })
    }

    #[cfg(test)]
    pub(super) fn over(caller: Caller) -> Revoker {
        Revoker { caller }
    }

    /// Makes `document` the role's denials, whatever they were: PutRolePolicy.
    pub async fn write(&self, role: &RoleArn, document: &str) -> Result<(), RevokeError> {
        let (client, name) = self.at(role).await?;
        let answer = client
            .put_role_policy()
            .role_name(name)
            .policy_name(DENIAL_POLICY_NAME)
            .policy_document(document)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) => Err(classify(&error, "PutRolePolicy")),
        }
    }

    /// Takes the role's denials away, if it has any: DeleteRolePolicy.
    pub async fn remove(&self, role: &RoleArn) -> Result<(), RevokeError> {
        let (client, name) = self.at(role).await?;
        let answer = client
            .delete_role_policy()
            .role_name(name)
            .policy_name(DENIAL_POLICY_NAME)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(classify(&error, "DeleteRolePolicy")),
        }
    }

    /// The role's denials as they stand, or `None` where it has none: GetRolePolicy.
    pub async fn read(&self, role: &RoleArn) -> Result<Option<String>, RevokeError> {
        let (client, name) = self.at(role).await?;
        let answer = client
            .get_role_policy()
            .role_name(name)
            .policy_name(DENIAL_POLICY_NAME)
            .send()
            .await;
        match answer {
            Ok(output) => decoded(&output.policy_document)
                .map(Some)
                .ok_or_else(|| RevokeError::Refused("BadDocument".to_owned())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(classify(&error, "GetRolePolicy")),
        }
    }

    /// Whether IAM would deny a session that bears `grant`'s tag: SimulatePrincipalPolicy. What IAM has stored, not yet
    /// what each service has heard of it.
    pub async fn denies(&self, role: &RoleArn, grant: &RequestId) -> Result<bool, RevokeError> {
        let key = format!("aws:PrincipalTag/{GRANT_TAG}");
        self.simulate(role, &key, grant.as_str(), ContextKeyTypeEnum::String)
            .await
    }

    /// Whether IAM would deny a session made at `issued_at`, whatever its grant: the same for denials by age.
    pub async fn denies_issued_at(
        &self,
        role: &RoleArn,
        issued_at: Moment,
    ) -> Result<bool, RevokeError> {
        let moment = issued_at.floor_s().to_string();
        self.simulate(
            role,
            "aws:TokenIssueTime",
            &moment,
            ContextKeyTypeEnum::Date,
        )
        .await
    }

    async fn simulate(
        &self,
        role: &RoleArn,
        key: &str,
        value: &str,
        kind: ContextKeyTypeEnum,
    ) -> Result<bool, RevokeError> {
        let entry = ContextEntry::builder()
            .context_key_name(key)
            .context_key_values(value)
            .context_key_type(kind)
            .build();
        let answer = self
            .caller
            .iam(role)
            .simulate_principal_policy()
            .policy_source_arn(role.as_str())
            .action_names(PROBE_ACTION)
            .context_entries(entry)
            .send()
            .await;
        match answer {
            // No result at all is no denial.
            Ok(output) => Ok(output
                .evaluation_results()
                .iter()
                .any(|it| it.eval_decision == PolicyEvaluationDecisionType::ExplicitDeny)),
            Err(error) if is_missing(&error) => Err(RevokeError::NoSuchRole),
            Err(error) => Err(classify(&error, "SimulatePrincipalPolicy")),
        }
    }

    /// The client and the name for a call about `role`. IAM takes a role's name only, and looks in the account of whoever
    /// calls; a role of the same name in another account than meant must not be written to.
    async fn at<'a>(
        &self,
        role: &'a RoleArn,
    ) -> Result<(aws_sdk_iam::Client, &'a str), RevokeError> {
        let client = self.caller.iam(role);
        let name = role_name(role);
        match client.get_role().role_name(name).send().await {
            Ok(output) if output.role().is_some_and(|it| it.arn == role.as_str()) => {
                Ok((client, name))
            }
            Ok(_) => Err(RevokeError::NoSuchRole),
            Err(error) if is_missing(&error) => Err(RevokeError::NoSuchRole),
            Err(error) => Err(classify(&error, "GetRole")),
        }
    }
}

/// IAM's word for a role, or a policy of one, that is not there.
pub(super) fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    Failure::of(error) == Failure::Refused("NoSuchEntity".to_owned())
}

/// IAM gives documents URL-encoded (RFC 3986).
pub(super) fn decoded(document: &str) -> Option<String> {
    percent_encoding::percent_decode_str(document)
        .decode_utf8()
        .ok()
        .map(std::borrow::Cow::into_owned)
}

fn classify<E>(error: &SdkError<E>, call: &'static str) -> RevokeError
where
    E: ProvideErrorMetadata,
    SdkError<E>: aws_sdk_iam::operation::RequestId,
{
    let verdict = match Failure::of(error) {
        Failure::NotSent => RevokeError::TryAgain("NotSent".to_owned()),
        Failure::NoConnection => RevokeError::TryAgain("NoConnection".to_owned()),
        Failure::NoAnswer => RevokeError::TryAgain("NoAnswer".to_owned()),
        Failure::Later(code) => RevokeError::TryAgain(code),
        Failure::Refused(code) => match code.as_str() {
            "LimitExceeded" => RevokeError::LimitExceeded,
            // The role went between the two calls.
            "NoSuchEntity" => RevokeError::NoSuchRole,
            _ => RevokeError::Refused(code),
        },
    };
    let aws_request_id = error.request_id().unwrap_or_default();
    tracing::warn!(?verdict, call, aws_request_id, "iam did not do as asked");
    verdict
}
