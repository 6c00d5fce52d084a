//! `writ doctor`: whether AWS is as the bundle and the configuration take it to be.
//!
//! The room for AWS fetches plain [`facts`]; everything from there on is pure: what each fact means, how grave it is, and
//! what exactly would put it right.

mod broker;
mod denials;
pub mod facts;
mod fix;
mod policy;
mod role;
mod trust;

use std::collections::BTreeMap;

use writ_engine::access::{Wanted, table};
use writ_engine::scope::{RoleArn, Scope};
use writ_engine::{Bundle, ScopeId};

use crate::aws::AwsSettings;
use crate::aws::survey::Survey;
use crate::clock::Clock;
use facts::{Facts, Identity, ScopeFacts, Seen, Unseen};
pub use fix::Fix;

/// What a role must not be able to do to itself: each would let whoever is in it undo a denial, or a limit.
pub const SELF_EDITS: [&str; 6] = [
    "iam:AttachRolePolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy",
];

/// What the revoker must be able to do with a role.
pub const REVOKER_NEEDS: [&str; 5] = [
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:PutRolePolicy",
    "iam:SimulatePrincipalPolicy",
];

/// What the doctor reads of a role.
pub const DOCTOR_READS: [&str; 5] = [
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:SimulatePrincipalPolicy",
];

/// What an AssumeRole of the broker's takes, in its own policies and in the role's trust policy.
pub const ISSUER_NEEDS: [&str; 3] = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"];

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $id:literal;)*) => {
        /// One question. Its id is stable: scripts match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $($(#[$doc])* $name,)*
        }

        impl Check {
            /// Every one, in the order they are told.
            pub const ALL: &'static [Check] = &[$(Check::$name,)*];

            /// Its id.
            pub fn id(self) -> &'static str {
                match self {
                    $(Check::$name => $id,)*
                }
            }
        }
    };
}

checks! {
    /// The credentials that make sessions are accepted.
    IssuerIdentity = "issuer.identity";
    /// `role_session` in the configuration is true of them.
    IssuerRoleSession = "issuer.role_session";
    /// There is a revoker, and its credentials are accepted.
    RevokerIdentity = "revoker.identity";
    /// It is another identity than the issuer.
    RevokerApart = "revoker.apart";
    /// This machine's clock is AWS's.
    ClockSkew = "clock.skew";
    /// The scope's role exists.
    RoleExists = "role.exists";
    /// It gives sessions as long as the scope says.
    RoleMaxSession = "role.max_session";
    /// It has a permissions boundary.
    RoleBoundary = "role.boundary";
    /// It cannot edit itself.
    RoleSelfEdit = "role.self_edit";
    /// It trusts the broker for all that AssumeRole takes.
    TrustBroker = "trust.broker";
    /// It asks for the external id that the broker sends.
    TrustExternalId = "trust.external_id";
    /// It asks for the tag by which a grant's sessions are revoked.
    TrustGrantTag = "trust.grant_tag";
    /// It is not open to anyone, nor to a whole account.
    TrustOpen = "trust.open";
    /// It trusts nobody else.
    TrustOthers = "trust.others";
    /// The role's denials are Writ's.
    DenialsPolicy = "denials.policy";
    /// No other policy has a name like Writ's.
    DenialsNames = "denials.names";
    /// There is room for more denials.
    DenialsRoom = "denials.room";
    /// The revoker may do with the role what it must.
    RevokerMay = "revoker.may";
    /// The revoker cannot assume it.
    RevokerAssume = "revoker.assume";
    /// The longest window fits in one session.
    SessionLength = "session.length";
    /// AssumeRole as the broker makes it is granted.
    SessionRehearsal = "session.rehearsal";
}

/// How grave a finding is, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works, and could be safer or simpler.
    Warn,
    /// It could not be found out.
    Skipped,
    /// It does not work, or it is a way around the broker.
    Fail,
}

impl Severity {
    /// Its word, in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Warn => "warn",
            Severity::Skipped => "skipped",
            Severity::Fail => "fail",
        }
    }
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The question.
    pub check: Check,
    /// The scope it is about; `None` for the broker itself.
    pub scope: Option<ScopeId>,
    /// How grave the answer is.
    pub severity: Severity,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// What would put it right; `None` where nothing is wrong.
    pub fix: Option<Fix>,
}

impl Finding {
    fn ok(check: Check, seen: impl Into<String>) -> Finding {
        Finding {
            check,
            scope: None,
            severity: Severity::Ok,
            seen: seen.into(),
            fix: None,
        }
    }

    fn with(check: Check, severity: Severity, seen: impl Into<String>, fix: Fix) -> Finding {
        Finding {
            severity,
            fix: Some(fix),
            ..Finding::ok(check, seen)
        }
    }

    fn warn(check: Check, seen: impl Into<String>, fix: Fix) -> Finding {
        Finding::with(check, Severity::Warn, seen, fix)
    }

    fn fail(check: Check, seen: impl Into<String>, fix: Fix) -> Finding {
        Finding::with(check, Severity::Fail, seen, fix)
    }

    /// Nothing to be done about this one by itself: another finding says what.
    fn skipped(check: Check, because: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Skipped,
            ..Finding::ok(check, because)
        }
    }

    fn of(mut self, scope: &ScopeId) -> Finding {
        self.scope = Some(scope.clone());
        self
    }
}

/// What a role's denials should be, from whoever keeps the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Nobody says.
    Unknown,
    /// There should be none.
    Nothing,
    /// This document, JSON.
    Document(&'a str),
}

/// What the scopes' facts are held against.
pub struct Subject<'a> {
    /// The `aws` block of the configuration.
    pub settings: &'a AwsSettings,
    /// The bundle in force.
    pub bundle: &'a Bundle,
    /// Each role's denials as they should be, where somebody knows: `None` for a role without any.
    pub expected: &'a BTreeMap<RoleArn, Option<String>>,
}

impl Subject<'_> {
    fn expected(&self, role: &RoleArn) -> Expected<'_> {
        match self.expected.get(role) {
            None => Expected::Unknown,
            Some(None) => Expected::Nothing,
            Some(Some(document)) => Expected::Document(document),
        }
    }
}

/// Asks AWS about the broker and these scopes, and says what was found. Changes nothing: the sessions it makes on trial are
/// denied everything, and dropped.
pub async fn examine(subject: &Subject<'_>, scopes: &[&Scope], clock: &Clock) -> Vec<Finding> {
    let facts = Survey::new(subject.settings).facts(scopes, clock).await;
    judge(subject, &facts)
}

/// What the facts mean.
pub fn judge(subject: &Subject<'_>, facts: &Facts) -> Vec<Finding> {
    let mut findings = broker::findings(subject.settings, &facts.broker);
    for seen in &facts.scopes {
        let Some(scope) = subject.bundle.scope(&seen.scope) else {
            continue;
        };
        let ward = Ward {
            scope,
            settings: subject.settings,
            issuer: &facts.broker.issuer,
            // IAM is read with the revoker's identity, and with the issuer's where there is no revoker.
            reader: facts
                .broker
                .revoker
                .as_ref()
                .unwrap_or(&facts.broker.issuer),
            revoker: facts.broker.revoker.as_ref(),
            longest_s: longest_s(subject.bundle, &scope.id),
            expected: subject.expected(&scope.aws.role_arn),
        };
        let of_scope = ward.findings(seen);
        findings.extend(of_scope.into_iter().map(|it| it.of(&scope.id)));
    }
    findings
}

/// The longest window that a policy gives anyone for the scope, in seconds.
fn longest_s(bundle: &Bundle, scope: &ScopeId) -> Option<u32> {
    let wanted = Wanted {
        scope: Some(scope),
        principal: None,
    };
    let rows = table(bundle, wanted).rows;
    let paths = rows.iter().flat_map(|row| &row.paths);
    paths.map(|path| path.longest.as_s()).max()
}

/// One scope, and what its facts are held against.
struct Ward<'a> {
    scope: &'a Scope,
    settings: &'a AwsSettings,
    issuer: &'a Seen<Identity>,
    reader: &'a Seen<Identity>,
    revoker: Option<&'a Seen<Identity>>,
    longest_s: Option<u32>,
    expected: Expected<'a>,
}

impl Ward<'_> {
    fn findings(&self, seen: &ScopeFacts) -> Vec<Finding> {
        let mut findings = role::findings(self, seen);
        findings.sort_by_key(|finding| finding.check);
        findings
    }

    fn role_arn(&self) -> &str {
        self.scope.aws.role_arn.as_str()
    }

    fn role_name(&self) -> &str {
        self.role_arn().rsplit('/').next().unwrap_or_default()
    }
}

/// Why something is not known, in words.
fn unseen(it: &Unseen) -> String {
    match it.refused {
        true => format!("`{}` was refused: {}", it.call, it.code),
        false if it.code == NOT_SENT => {
            format!("`{}` was not asked: there are no credentials", it.call)
        }
        false => format!("`{}` was not answered: {}", it.call, it.code),
    }
}

/// The code of a call that was never made, for want of credentials.
pub(crate) const NOT_SENT: &str = "NotSent";

/// Seconds as people say them: `1h`, `15m`, `1h30m`.
fn spoken(seconds: u32) -> String {
    writ_engine::Duration::from_s(seconds)
        .map_or_else(|_| format!("{seconds}s"), |it| it.to_string())
}

#[cfg(test)]
mod tests;
