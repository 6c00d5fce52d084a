//! Who asks: a user (a human) or a workload (a CI job, a service).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest directory name: `SourceIdentity` at AWS holds 2 to 64 characters.
pub const NAME_MAX: usize = 64;

/// Checks a name that ends up at AWS (`SourceIdentity`, tags): 2 to 64 of `a-z A-Z 0-9 _ + = , . @ -`.
///
/// The set is AWS's own; being plain ASCII it also has no second spelling that looks the same.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let fits = (2..=NAME_MAX).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with("aws:");
    fits.then_some(()).ok_or_else(|| BadName(name.to_owned()))
}

/// A name that AWS would refuse or a person could misread.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name; use 2 to 64 of letters, digits and `_+=,.@-`")]
pub struct BadName(pub String);

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a checked name; see [`check_name`].
            pub fn new(name: impl Into<String>) -> Result<$name, BadName> {
                let name = name.into();
                check_name(&name)?;
                Ok($name(name))
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(name: String) -> Result<$name, BadName> {
                $name::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}
pub(crate) use name_type;

name_type! {
    /// A human of the directory: Cedar's `User::"…"`.
    UserId
}
name_type! {
    /// A workload of the directory: Cedar's `Workload::"…"`.
    WorkloadId
}

/// A user or a workload, by its directory name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalId {
    /// A human.
    User(UserId),
    /// A CI job or a service.
    Workload(WorkloadId),
}

impl PrincipalId {
    /// The directory name, without the type.
    pub fn name(&self) -> &str {
        match self {
            PrincipalId::User(id) => id.as_str(),
            PrincipalId::Workload(id) => id.as_str(),
        }
    }
}

/// As Cedar writes it: `User::"mia"`.
impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrincipalId::User(id) => write!(f, "User::\"{id}\""),
            PrincipalId::Workload(id) => write!(f, "Workload::\"{id}\""),
        }
    }
}

/// The claims of a GitHub Actions token that a policy sees as attributes of a `Workload`, all strings.
///
/// `environment` is only there for jobs that name one, so it is optional in the schema; the others always are.
pub const GITHUB_CLAIMS: [(&str, Presence); 8] = [
    ("repository", Presence::Always),
    ("repository_id", Presence::Always),
    ("repository_owner_id", Presence::Always),
    ("ref", Presence::Always),
    ("environment", Presence::Sometimes),
    ("event_name", Presence::Always),
    ("job_workflow_ref", Presence::Always),
    ("run_id", Presence::Always),
];

/// Whether every token of its kind carries a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A token without it is refused.
    Always,
    /// The attribute is optional in the schema.
    Sometimes,
}

/// Who asks, and what their verified token said of them.
///
/// Plain data: it proves nothing by itself. The broker makes one only from a verified token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The directory's user or workload.
    pub id: PrincipalId,
    /// A workload's claims by attribute name ([`GITHUB_CLAIMS`]); empty for a user.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, String>,
}

impl Principal {
    /// A user.
    pub fn user(id: UserId) -> Principal {
        Principal {
            id: PrincipalId::User(id),
            claims: BTreeMap::new(),
        }
    }

    /// A workload with its token's claims.
    pub fn workload(id: WorkloadId, claims: BTreeMap<String, String>) -> Principal {
        Principal {
            id: PrincipalId::Workload(id),
            claims,
        }
    }
}
