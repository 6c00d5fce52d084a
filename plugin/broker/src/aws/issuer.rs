//! The issuer: one AssumeRole for one recorded plan.

use aws_sdk_sts::error::{BuildError, SdkError};
use aws_sdk_sts::operation::RequestId as _;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use aws_sdk_sts::operation::assume_role::{AssumeRoleError, AssumeRoleOutput};
use aws_sdk_sts::types::Tag;
use writ_engine::Moment;
use writ_engine::session::{GRANT_TAG, SessionPlan};
use zeroize::Zeroizing;

use super::failure::Failure;
use super::{AwsSettings, Caller, Endpoints};
use crate::journal::Recorded;

/// What AWS gave. No `Debug`, no `Clone`; the secrets are wiped when dropped.
pub struct AwsSession {
    /// AWS's name for the key.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: Zeroizing<String>,
    /// The token.
    pub session_token: Zeroizing<String>,
    /// When AWS says the session expires.
    pub expires_at: Moment,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssueError {
    /// AWS refused, and would refuse again: its code.
    Refused(String),
    /// AWS certainly gave none, but may if asked again: its code.
    TryAgain(String),
    /// No answer, or one that makes no sense: a session may exist.
    Unknown,
}

/// Calls STS.
pub struct Issuer {
    caller: Caller,
    cap_s: u32,
    external_id: Option<String>,
}

impl Issuer {
    /// An issuer for these settings. Contacts nobody yet.
    pub fn new(settings: AwsSettings) -> Issuer {
        let endpoints = Endpoints {
            sts: settings.endpoint_url.clone(),
            iam: None,
        };
        Issuer {
            caller: Caller::new(&settings.credentials, endpoints),
            cap_s: settings.cap_s(),
            external_id: settings.external_id,
        }
    }

    /// The longest session the broker's own credentials may ask for, in seconds.
    pub fn cap_s(&self) -> u32 {
        self.cap_s
    }

    /// Makes the one call the plan stands for, and spends the plan. Never repeats it: a second call could make a second
    /// session, so another attempt is another recorded plan.
    pub async fn issue(&self, plan: Recorded<SessionPlan>) -> Result<AwsSession, IssueError> {
        let plan = plan.into_inner();
        let ask = Ask {
            role_arn: plan.role_arn().as_str(),
            session_name: plan.session_name(),
            source_identity: plan.source_identity(),
            duration_s: plan.duration_s(),
            session_policy: plan.session_policy(),
            tags: plan.tags(),
            external_id: self.external_id.as_deref(),
        };
        let call = ask
            .of(&self.caller.sts(plan.region()))
            .map_err(|_| IssueError::Refused("BadTag".to_owned()))?;
        match call.send().await {
            Ok(output) => session(output).ok_or(IssueError::Unknown),
            Err(error) => Err(classify(&error)),
        }
    }
}

/// What AssumeRole is asked: the same for a plan and for a rehearsal of one.
pub(super) struct Ask<'a> {
    pub(super) role_arn: &'a str,
    pub(super) session_name: &'a str,
    pub(super) source_identity: &'a str,
    pub(super) duration_s: u32,
    pub(super) session_policy: &'a str,
    pub(super) tags: &'a [(&'static str, String)],
    pub(super) external_id: Option<&'a str>,
}

impl Ask<'_> {
    pub(super) fn of(
        &self,
        client: &aws_sdk_sts::Client,
    ) -> Result<AssumeRoleFluentBuilder, BuildError> {
        let mut call = client
            .assume_role()
            .role_arn(self.role_arn)
            .role_session_name(self.session_name)
            .source_identity(self.source_identity)
            .duration_seconds(i32::try_from(self.duration_s).unwrap_or(i32::MAX))
            .policy(self.session_policy)
            .transitive_tag_keys(GRANT_TAG)
            .set_external_id(self.external_id.map(str::to_owned));
        for (key, value) in self.tags {
            call = call.tags(Tag::builder().key(*key).value(value).build()?);
        }
        Ok(call)
    }
}

pub(super) fn session(output: AssumeRoleOutput) -> Option<AwsSession> {
    let credentials = output.credentials?;
    let expires_at = Moment::from_ms(credentials.expiration.to_millis().ok()?)?;
    Some(AwsSession {
        access_key_id: credentials.access_key_id,
        secret_access_key: Zeroizing::new(credentials.secret_access_key),
        session_token: Zeroizing::new(credentials.session_token),
        expires_at,
    })
}

fn classify(error: &SdkError<AssumeRoleError>) -> IssueError {
    let verdict = match Failure::of(error) {
        Failure::NotSent => IssueError::Refused("NotSent".to_owned()),
        Failure::NoConnection => IssueError::TryAgain("NoConnection".to_owned()),
        Failure::Refused(code) => IssueError::Refused(code),
        Failure::Later(code) => IssueError::TryAgain(code),
        Failure::NoAnswer => IssueError::Unknown,
    };
    let aws_request_id = error.request_id().unwrap_or_default();
    tracing::warn!(?verdict, aws_request_id, "sts gave no session");
    verdict
}
