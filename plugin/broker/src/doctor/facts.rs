//! What the doctor goes by: plain facts about AWS, as they were told.

use std::collections::{BTreeMap, BTreeSet};

use writ_engine::{Moment, ScopeId};

/// A fact, or why it is not known.
pub type Seen<T> = Result<T, Unseen>;

/// A call that told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The permission that the call takes, such as `iam:GetRole`.
    pub call: &'static str,
    /// AWS's code, or `NotSent`, `NoConnection`, `NoAnswer`.
    pub code: String,
    /// Whether AWS refused it, and so would again; otherwise another time may tell more.
    pub refused: bool,
}

/// Everything that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// About the broker.
    pub broker: BrokerFacts,
    /// About the scopes, in the catalog's order.
    pub scopes: Vec<ScopeFacts>,
}

/// Who the broker is at AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerFacts {
    /// The identity that makes sessions.
    pub issuer: Seen<Identity>,
    /// The identity that revokes them; `None` where none is configured.
    pub revoker: Option<Seen<Identity>>,
    /// AWS's clock and this machine's; `None` where AWS told no time.
    pub time: Option<Time>,
}

/// An identity, as GetCallerIdentity names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `arn:aws:iam::…:user/…` or `arn:aws:sts::…:assumed-role/…/…`.
    pub arn: String,
    /// Its unique id; of a session, the role's before the colon.
    pub user_id: String,
    /// Its account's twelve digits.
    pub account: String,
    /// Whether its credentials expire: a role's session, or another that AWS counts as one.
    pub temporary: bool,
}

impl Identity {
    /// The ARN by which policies name it: of a session, its role's, which lacks the role's path.
    pub fn principal(&self) -> String {
        let parts: Vec<&str> = self.arn.splitn(6, ':').collect();
        if let [_, partition, "sts", _, account, resource] = parts.as_slice()
            && let Some(session) = resource.strip_prefix("assumed-role/")
        {
            let role = session.split('/').next().unwrap_or_default();
            return format!("arn:{partition}:iam::{account}:role/{role}");
        }
        self.arn.clone()
    }

    /// Whether both are one user, or sessions of one role.
    pub fn is_same(&self, other: &Identity) -> bool {
        let owner = |id: &str| id.split(':').next().unwrap_or_default().to_owned();
        owner(&self.user_id) == owner(&other.user_id)
    }
}

/// The time, by AWS and by this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// When AWS answered, by AWS's clock, to the second below.
    pub aws: Moment,
    /// When AWS was asked, by this machine's clock.
    pub asked_at: Moment,
    /// When its answer was here, by this machine's clock.
    pub answered_at: Moment,
}

/// What AWS knows of one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeFacts {
    /// Which.
    pub scope: ScopeId,
    /// Its role.
    pub role: Seen<Found>,
    /// What came of an AssumeRole as the broker makes them, but for the permissions: those denied everything.
    pub rehearsal: Seen<()>,
    /// What came of an AssumeRole by the revoker; `None` without one.
    pub revoker_assumes: Option<Seen<()>>,
    /// What the revoker may do with the role, of what it must; `None` without one.
    pub revoker_may: Option<Seen<BTreeSet<String>>>,
}

/// What IAM has under a role's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// A role of another path or account: its ARN.
    Elsewhere(String),
    /// The role.
    Here(RoleFacts),
}

/// A role as IAM has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFacts {
    /// Its ARN, path and all.
    pub arn: String,
    /// `MaxSessionDuration`, in seconds.
    pub max_session_s: u32,
    /// The trust policy, JSON.
    pub trust: String,
    /// The ARN of its permissions boundary.
    pub boundary: Option<String>,
    /// The inline policies by name, JSON.
    pub inline: Seen<BTreeMap<String, String>>,
    /// The managed policies that are attached.
    pub attached: Seen<Vec<Attached>>,
    /// Which of [`super::SELF_EDITS`] IAM's simulation lets it do to itself.
    pub edits_itself: Seen<BTreeSet<String>>,
}

/// A managed policy that is attached to a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its document, JSON, where it was looked at: only when IAM simulates nothing.
    pub document: Option<String>,
}
