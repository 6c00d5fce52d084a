//! The plan of one STS session: what AssumeRole is asked, so that the credentials stop at the window's end.

use serde_json::{Map, Value, json};

use crate::decide::Grant;
use crate::digest::Digest;
use crate::request::RequestId;
use crate::scope::{RoleArn, ScopeId, Statement};
use crate::window::{Moment, Window};

/// STS refuses anything shorter (`DurationSeconds`); the session policy closes the rest.
pub const DURATION_MIN_S: u32 = 900;

/// The longest session STS gives to credentials that are themselves a role's session (role chaining).
pub const CHAINED_CAP_S: u32 = 3_600;

/// The most characters STS takes in an inline session policy.
pub const SESSION_POLICY_MAX: usize = 2_048;

/// The session tag that carries the grant's id; transitive, so it follows role chaining.
pub const GRANT_TAG: &str = "writ:grant";

/// The session tag that carries the scope's name.
pub const SCOPE_TAG: &str = "writ:scope";

/// One AssumeRole call, planned under a grant. Recorded before it is made, and spent by making it.
#[derive(Debug)]
pub struct SessionPlan {
    request: RequestId,
    session: u32,
    request_digest: Digest,
    window: Window,
    role_arn: RoleArn,
    region: String,
    duration_s: u32,
    session_name: String,
    source_identity: String,
    tags: [(&'static str, String); 2],
    session_policy: String,
    chains: bool,
    verdict: crate::event::Verdict,
}

impl SessionPlan {
    /// Plans session number `session` of `grant` at `now`; `cap_s` is the longest session the broker's own credentials
    /// may ask for ([`CHAINED_CAP_S`] for a role session).
    pub fn new(
        grant: Grant,
        session: u32,
        now: Moment,
        cap_s: u32,
    ) -> Result<SessionPlan, PlanError> {
        let window = grant.window();
        if !window.contains(now) {
            return Err(PlanError::OutsideWindow);
        }
        let left_ms = window.closes_at().since_ms(now);
        let left_s = u32::try_from((left_ms + 999) / 1_000).unwrap_or(u32::MAX);
        let aws = grant.aws();
        let lease_s = aws.lease_s.unwrap_or(aws.max_session_s);
        let cap_s = cap_s
            .min(aws.max_session_s)
            .min(lease_s)
            .max(DURATION_MIN_S);
        let session_policy = session_policy(&grant.aws().statements, window.closes_at());
        if session_policy.chars().count() > SESSION_POLICY_MAX {
            return Err(PlanError::PolicyTooLong);
        }
        let source_identity = grant.principal().name().to_owned();
        Ok(SessionPlan {
            session,
            request_digest: grant.request_digest(),
            window,
            role_arn: grant.aws().role_arn.clone(),
            region: grant.aws().region.clone(),
            duration_s: left_s.clamp(DURATION_MIN_S, cap_s),
            session_name: format!("writ-{}", grant.request()),
            source_identity,
            tags: tags(grant.request(), grant.scope()),
            session_policy,
            chains: grant.aws().statements.iter().any(names_chaining),
            request: grant.request().clone(),
            verdict: grant.into_verdict(),
        })
    }

    /// The request this session is of; also the grant's id.
    pub fn request(&self) -> &RequestId {
        &self.request
    }

    /// The session's number within the grant, from 1.
    pub fn session(&self) -> u32 {
        self.session
    }

    /// The grant's window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// `RoleArn`.
    pub fn role_arn(&self) -> &RoleArn {
        &self.role_arn
    }

    /// The region whose STS is asked.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// `DurationSeconds`: the rest of the window, but at least 900 s and at most the cap.
    pub fn duration_s(&self) -> u32 {
        self.duration_s
    }

    /// `RoleSessionName`: one for all sessions of a grant, so that one entry can end them all.
    pub fn session_name(&self) -> &str {
        &self.session_name
    }

    /// `SourceIdentity`: the directory name of who asked.
    pub fn source_identity(&self) -> &str {
        &self.source_identity
    }

    /// `Tags`; the first ([`GRANT_TAG`]) is transitive.
    pub fn tags(&self) -> &[(&'static str, String)] {
        &self.tags
    }

    /// `Policy`: the scope's statements while the window is open, and nothing from its end.
    pub fn session_policy(&self) -> &str {
        &self.session_policy
    }

    /// The fact to be recorded before the call.
    pub fn intent(&self) -> crate::event::Fact {
        crate::event::Fact::IssueIntended {
            request: self.request.clone(),
            session: self.session,
            request_digest: self.request_digest,
            window: self.window,
            role_arn: self.role_arn.clone(),
            duration_s: self.duration_s,
            session_policy: Digest::of("writ.v1.session_policy", self.session_policy.as_bytes()),
            chains: self.chains,
            verdict: self.verdict.clone(),
        }
    }
}

fn tags(request: &RequestId, scope: &ScopeId) -> [(&'static str, String); 2] {
    [
        (GRANT_TAG, request.to_string()),
        (SCOPE_TAG, scope.to_string()),
    ]
}

/// The session policy of a scope's `statements` in a window that ends at `closes_at`, a whole second.
///
/// Three parts. The scope's Allow, each statement only before the end. A Deny on everything from the end: a resource
/// policy that names the session's ARN is not limited by the Allow, and only this stops it. And a Deny on assuming another
/// role, whose session would outlive the window, unless the scope itself names `sts:AssumeRole…`.
pub fn session_policy(statements: &[Statement], closes_at: Moment) -> String {
    let end = closes_at.floor_s().to_string();
    let mut document: Vec<Value> = statements
        .iter()
        .map(|statement| open_until(statement, &end))
        .collect();
    if !statements.iter().any(names_chaining) {
        document.push(json!({ "Effect": "Deny", "Action": "sts:AssumeRole*", "Resource": "*" }));
    }
    document.push(json!({
        "Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": { "DateGreaterThanEquals": { "aws:CurrentTime": end } },
    }));
    json!({ "Version": "2012-10-17", "Statement": document }).to_string()
}

/// Whether a statement allows assuming further roles: then nothing keeps the session from it.
fn names_chaining(statement: &Statement) -> bool {
    statement
        .action
        .iter()
        .any(|action| action.to_ascii_lowercase().starts_with("sts:assumerole"))
}

fn open_until(statement: &Statement, end: &str) -> Value {
    let mut condition: Map<String, Value> = statement.condition.clone();
    let before = condition.entry("DateLessThan").or_insert_with(|| json!({}));
    if let Value::Object(keys) = before {
        // The catalog refuses a scope that compares `aws:CurrentTime` itself, so nothing is overwritten here.
        keys.insert("aws:CurrentTime".to_owned(), json!(end));
    }
    json!({ "Effect": "Allow", "Action": statement.action, "Resource": statement.resource, "Condition": condition })
}

/// Why no session can be planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The window has not opened or has closed.
    #[error("the window is not open")]
    OutsideWindow,
    /// The rendered policy has more than [`SESSION_POLICY_MAX`] characters; the bundle check finds this first.
    #[error("the session policy is longer than STS takes")]
    PolicyTooLong,
}
