//! Scopes: what can be asked for. One named bundle of permissions, an AWS role and a session policy.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::principal::{BadName, check_name, name_type};

name_type! {
    /// A scope's name in the catalog: Cedar's `Scope::"…"`.
    ScopeId
}

/// How long a request waits to be decided unless its scope says otherwise: a working day and a night.
pub const REQUEST_TTL_DEFAULT_S: u32 = 24 * 3_600;

/// How long an approved request waits to be activated unless its scope says otherwise: a working day.
pub const ACTIVATION_TTL_DEFAULT_S: u32 = 8 * 3_600;

/// The longest either of those two waits may be: 30 days, so that nothing waits for ever.
pub const TTL_MAX_S: u32 = 30 * 24 * 3_600;

/// How long the post-review of an emergency may stay open unless its scope says otherwise: three days, over a weekend.
pub const REVIEW_TTL_DEFAULT_S: u32 = 72 * 3_600;

/// One entry of the catalog (`scopes.hcl`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Its name.
    pub id: ScopeId,
    /// What it lets one do, for the people who ask and approve.
    pub description: String,
    /// The system it belongs to: Cedar's `System::"…"`.
    pub system: String,
    /// `prod`, `staging` …
    pub environment: String,
    /// The group that answers for it: Cedar's `Group::"…"`.
    pub owners: String,
    /// How long a request for it waits to be decided, in seconds, 1 to [`TTL_MAX_S`].
    pub request_ttl_s: u32,
    /// How long an approved request waits to be activated, in seconds, 1 to [`TTL_MAX_S`].
    pub activation_ttl_s: u32,
    /// The terms of an emergency; without them nobody would be told of one, so there is none for this scope.
    pub break_glass: Option<Emergency>,
    /// Who is asked next when nobody has decided after a while.
    pub escalation: Option<Escalation>,
    /// What it is at AWS.
    pub aws: AwsTarget,
}

/// What goes with using a scope in an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    /// The groups whose people are told at once; at least one.
    pub announce: BTreeSet<String>,
    /// How long after the first use the post-review may stay open, in seconds, 1 to [`TTL_MAX_S`].
    pub review_ttl_s: u32,
}

/// Who is asked when those asked first have not decided. Being asked gives no right: the policy alone does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// After how long without a decision, in seconds, 1 to [`TTL_MAX_S`].
    pub after_s: u32,
    /// The group whose people are asked then.
    pub to: String,
}

/// The AWS side of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsTarget {
    /// The role that is assumed.
    pub role_arn: RoleArn,
    /// The region whose STS is asked, such as `eu-west-1`.
    pub region: String,
    /// The scope's own statements, each an `Allow`; the window's two halves are added when a session is planned.
    pub statements: Vec<Statement>,
    /// The role's `MaxSessionDuration`, in seconds, 3,600 to 43,200; 3,600 (AWS's default) where the catalog is silent.
    pub max_session_s: u32,
    /// The longest session that is asked for, in seconds, 900 to `max_session_s`: a short lease, renewed within the window,
    /// so that ending renewals alone ends access soon. `None` for as long as the role gives.
    pub lease_s: Option<u32>,
}

/// One `Allow` statement of a scope's session policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// Actions such as `rds-db:connect`; at least one.
    pub action: Vec<String>,
    /// Resource ARNs or `*`; at least one.
    pub resource: Vec<String>,
    /// Extra conditions, operator → key → values, as IAM writes them.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub condition: serde_json::Map<String, serde_json::Value>,
}

/// The ARN of an IAM role: `arn:aws:iam::123456789012:role/path/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn(String);

impl RoleArn {
    /// Parses and checks the partition, the twelve-digit account, and the role's path and name.
    pub fn new(arn: impl Into<String>) -> Result<RoleArn, BadArn> {
        let arn = arn.into();
        let bad = |why| BadArn {
            arn: arn.clone(),
            why,
        };
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [prefix, partition, service, region, account, resource] = parts.as_slice() else {
            return Err(bad("it has fewer than six parts"));
        };
        if *prefix != "arn" {
            return Err(bad("it does not start with `arn:`"));
        }
        if !["aws", "aws-cn", "aws-us-gov"].contains(partition) {
            return Err(bad(
                "its partition is none of `aws`, `aws-cn`, `aws-us-gov`",
            ));
        }
        if *service != "iam" || !region.is_empty() {
            return Err(bad("it does not name the service `iam` without a region"));
        }
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad("its account is not twelve digits"));
        }
        let Some(path) = resource.strip_prefix("role/") else {
            return Err(bad("it does not name a `role/`"));
        };
        // IAM: a path of at most 512 printable characters, a name of at most 64 of a small set.
        let name = path.rsplit('/').next().unwrap_or_default();
        let name_fits = (1..=64).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c));
        let path_fits = path.len() <= 512
            && path.bytes().all(|b| (0x21..=0x7e).contains(&b))
            && !path.contains("//");
        if !name_fits || !path_fits || path.starts_with('/') {
            return Err(bad("its role path or name is not one that IAM allows"));
        }
        Ok(RoleArn(arn))
    }

    /// The whole ARN.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The twelve-digit account.
    pub fn account(&self) -> &str {
        self.0.split(':').nth(4).unwrap_or_default()
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RoleArn {
    type Error = BadArn;

    fn try_from(arn: String) -> Result<RoleArn, BadArn> {
        RoleArn::new(arn)
    }
}

impl From<RoleArn> for String {
    fn from(arn: RoleArn) -> String {
        arn.0
    }
}

/// Not the ARN of an IAM role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{arn}` is not a role ARN: {why}; write it like `arn:aws:iam::123456789012:role/jit-prod-db-read`"
)]
pub struct BadArn {
    /// What was given.
    pub arn: String,
    /// What is wrong with it.
    pub why: &'static str,
}
