//! What was asked of the sandbox, kept for tests to look at: nothing secret is in it.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// How an AssumeRole call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A session was made, whether or not its reply arrived.
    Issued {
        /// The session's access key id, which is not a secret.
        access_key_id: String,
        /// When it ends.
        expires_at: Timestamp,
    },
    /// Nothing was made.
    Refused {
        /// AWS's error code.
        code: String,
    },
    /// Nothing was made, and no reply sent.
    Ignored,
}

/// One AssumeRole call as it was asked, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRoleCall {
    /// When it was answered, by the sandbox's clock.
    pub at: Timestamp,
    /// `RoleArn`, as sent.
    pub role_arn: String,
    /// `RoleSessionName`, as sent.
    pub session_name: String,
    /// `DurationSeconds`, as sent.
    pub duration_s: Option<String>,
    /// `Policy`, as sent.
    pub session_policy: Option<String>,
    /// `SourceIdentity`, as sent.
    pub source_identity: Option<String>,
    /// `ExternalId`, as sent; AWS does not treat it as a secret.
    pub external_id: Option<String>,
    /// `Tags`, in the order sent.
    pub tags: Vec<(String, String)>,
    /// `TransitiveTagKeys`, in the order sent.
    pub transitive_tag_keys: Vec<String>,
    /// What came of it.
    pub outcome: Outcome,
}

impl AssumeRoleCall {
    pub(crate) fn new(
        form: &BTreeMap<String, String>,
        outcome: Outcome,
        at: Timestamp,
    ) -> AssumeRoleCall {
        let one = |name: &str| form.get(name).cloned();
        let member = |list: &str, at: u32, part: &str| one(&format!("{list}.member.{at}{part}"));
        let tags = (1..).map_while(|at| {
            member("Tags", at, ".Key")
                .map(|key| (key, member("Tags", at, ".Value").unwrap_or_default()))
        });
        AssumeRoleCall {
            at,
            role_arn: one("RoleArn").unwrap_or_default(),
            session_name: one("RoleSessionName").unwrap_or_default(),
            duration_s: one("DurationSeconds"),
            session_policy: one("Policy"),
            source_identity: one("SourceIdentity"),
            external_id: one("ExternalId"),
            tags: tags.collect(),
            transitive_tag_keys: (1..)
                .map_while(|at| member("TransitiveTagKeys", at, ""))
                .collect(),
            outcome,
        }
    }
}

/// How a call of IAM ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IamOutcome {
    /// What was asked was done, whether or not its reply arrived.
    Done,
    /// Nothing was changed.
    Refused {
        /// AWS's error code.
        code: String,
    },
    /// Nothing was changed, and no reply sent.
    Ignored,
}

/// One call of IAM as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamCall {
    /// When it was answered, by the sandbox's clock.
    pub at: Timestamp,
    /// `Action`, as sent.
    pub action: String,
    /// `RoleName`, or a simulation's `PolicySourceArn`, as sent.
    pub role: String,
    /// `PolicyName`, as sent.
    pub policy_name: Option<String>,
    /// `PolicyDocument`, as sent.
    pub policy_document: Option<String>,
    /// What came of it.
    pub outcome: IamOutcome,
}

impl IamCall {
    pub(crate) fn new(
        form: &BTreeMap<String, String>,
        outcome: IamOutcome,
        at: Timestamp,
    ) -> IamCall {
        let one = |name: &str| form.get(name).cloned();
        IamCall {
            at,
            action: one("Action").unwrap_or_default(),
            role: one("RoleName")
                .or_else(|| one("PolicySourceArn"))
                .unwrap_or_default(),
            policy_name: one("PolicyName"),
            policy_document: one("PolicyDocument"),
            outcome,
        }
    }
}
