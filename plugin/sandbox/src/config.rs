//! What the sandbox is started with: an account, its roles, and who may call.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::json;

use crate::caller::account_of;
use crate::clock::Clock;
use crate::iam::IAM_ACTIONS;
use crate::loopback::StartError;
use crate::random;
use crate::session::Credentials;

/// The least that IAM lets a role's maximum session duration be.
pub(crate) const ROLE_MAX_SESSION_MIN_S: u32 = 3_600;

/// The account used where none is given; AWS's own examples use it.
const EXAMPLE_ACCOUNT: &str = "123456789012";

/// How a [`Sandbox`](crate::Sandbox) is set up.
pub struct SandboxConfig {
    /// Where to listen: a loopback address; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// The twelve digits of the account that resources without an account of their own belong to.
    pub account: String,
    /// If given, the only region whose signatures are taken, as a regional endpoint of AWS does.
    pub region: Option<String>,
    /// The roles that can be assumed.
    pub roles: Vec<Role>,
    /// Whose keys are known from the start.
    pub callers: Vec<Caller>,
    /// The clock to go by; keep a clone to move it.
    pub clock: Clock,
}

impl Default for SandboxConfig {
    fn default() -> SandboxConfig {
        SandboxConfig {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            account: EXAMPLE_ACCOUNT.to_owned(),
            region: None,
            roles: Vec::new(),
            callers: Vec::new(),
            clock: Clock::new(),
        }
    }
}

/// A role that can be assumed.
#[derive(Debug, Clone)]
pub struct Role {
    /// `arn:aws:iam::<account>:role/<name>`.
    pub arn: String,
    /// IAM's `MaxSessionDuration`, 3,600 to 43,200 seconds.
    pub max_session_s: u32,
    /// Who may assume it, as JSON.
    pub trust_policy: String,
    /// What its sessions may do, as JSON; `None` allows everything but IAM itself, so that the session policy alone decides.
    pub identity_policy: Option<String>,
}

impl Role {
    /// A role with this trust policy, sessions of up to 12 hours, and everything allowed but IAM itself.
    pub fn new(arn: &str, trust_policy: &str) -> Role {
        Role {
            arn: arn.to_owned(),
            max_session_s: crate::limits::DURATION_MAX_S,
            trust_policy: trust_policy.to_owned(),
            identity_policy: None,
        }
    }

    /// A role that trusts a Writ broker as a real one should: this broker only, with its external id if one is given, and
    /// only for sessions that carry Writ's name, the grant as a transitive tag, and a source identity.
    pub fn for_broker(arn: &str, broker_arn: &str, external_id: Option<&str>) -> Role {
        let mut condition = json!({
            "StringLike": {
                "sts:RoleSessionName": "writ-*",
                "sts:SourceIdentity": "?*",
                // `ForAllValues` is true of no tags at all; this line makes the tag mandatory.
                "aws:RequestTag/writ:grant": "?*",
            },
            "ForAllValues:StringEquals": {
                "aws:TagKeys": ["writ:grant", "writ:scope"],
                "sts:TransitiveTagKeys": ["writ:grant"],
            },
        });
        if let (Some(id), Some(fields)) = (external_id, condition.as_object_mut()) {
            fields.insert("StringEquals".to_owned(), json!({ "sts:ExternalId": id }));
        }
        let trust = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "AWS": broker_arn },
                "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
                "Condition": condition,
            }],
        });
        Role::new(arn, &trust.to_string())
    }

    /// The same role with sessions of at most `seconds`.
    pub fn with_max_session_s(mut self, seconds: u32) -> Role {
        self.max_session_s = seconds;
        self
    }

    /// The same role, allowed only what `policy` allows.
    pub fn with_identity_policy(mut self, policy: &str) -> Role {
        self.identity_policy = Some(policy.to_owned());
        self
    }
}

/// Someone who has keys from the start. Has no `Debug`: it holds them.
#[derive(Clone)]
pub struct Caller {
    pub(crate) arn: String,
    pub(crate) credentials: Credentials,
    pub(crate) identity_policy: Option<String>,
}

impl Caller {
    /// A caller with given credentials, allowed everything but IAM itself. With a session token they are temporary, so role
    /// chaining's limits hold; they do not expire.
    pub fn new(arn: &str, credentials: Credentials) -> Caller {
        Caller {
            arn: arn.to_owned(),
            credentials,
            identity_policy: None,
        }
    }

    /// An IAM user, `arn:aws:iam::<account>:user/<name>`, with fresh long-lived keys.
    pub fn user(arn: &str) -> Result<Caller, StartError> {
        let credentials = Credentials {
            access_key_id: random::unique_id::<16>("AKIA")?,
            secret_access_key: random::secret_access_key()?,
            session_token: None,
        };
        Ok(Caller::new(arn, credentials))
    }

    /// A role's session, `arn:aws:sts::<account>:assumed-role/<role>/<session>`, with fresh temporary keys: what a broker on
    /// EC2 or EKS calls with.
    pub fn role_session(arn: &str) -> Result<Caller, StartError> {
        Ok(Caller::new(arn, Credentials::generate()?))
    }

    /// The identity a broker revokes with, an IAM user with fresh long-lived keys: it may see and edit the inline policies of
    /// its account's roles, and simulate them, and do nothing else. That it can never assume a role is said expressly: who may
    /// write a role's policies could otherwise give itself anything.
    pub fn revoker(arn: &str) -> Result<Caller, StartError> {
        let actions = IAM_ACTIONS.map(|action| format!("iam:{action}"));
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Revoke",
                    "Effect": "Allow",
                    "Action": actions,
                    "Resource": format!("arn:aws:iam::{}:role/*", account_of(arn)),
                },
                { "Sid": "NoSessions", "Effect": "Deny", "Action": "sts:AssumeRole*", "Resource": "*" },
            ],
        });
        Ok(Caller::user(arn)?.with_identity_policy(&policy.to_string()))
    }

    /// The same caller, allowed only what `policy` allows.
    pub fn with_identity_policy(mut self, policy: &str) -> Caller {
        self.identity_policy = Some(policy.to_owned());
        self
    }

    /// The keys, to call with.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }
}
