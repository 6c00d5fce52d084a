//! What would put a finding right: a sentence, and what to paste.

use serde_json::{Value, json};
use writ_engine::session::GRANT_TAG;

use super::{DOCTOR_READS, ISSUER_NEEDS, REVOKER_NEEDS, SELF_EDITS, Ward};

/// A sentence, and what to paste.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// What to do.
    pub advice: String,
    /// An IAM policy document.
    pub policy: Option<Value>,
    /// A command line of AWS's own client; `policy.json` in it is the document above.
    pub command: Option<String>,
    /// Lines of `writ.hcl` or `scopes.hcl`.
    pub config: Option<String>,
}

impl Fix {
    pub(super) fn say(advice: impl Into<String>) -> Fix {
        Fix {
            advice: advice.into(),
            policy: None,
            command: None,
            config: None,
        }
    }

    pub(super) fn policy(mut self, policy: Value) -> Fix {
        self.policy = Some(policy);
        self
    }

    pub(super) fn command(mut self, command: impl Into<String>) -> Fix {
        self.command = Some(command.into());
        self
    }

    pub(super) fn config(mut self, config: impl Into<String>) -> Fix {
        self.config = Some(config.into());
        self
    }
}

/// The lines that make a revoker.
pub(super) const REVOKER_BLOCK: &str = "aws {
  …
  revoker {
    credentials      = \"profile\"
    credentials_file = \"revoker-credentials\"
  }
}";

fn document(statements: Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

/// The trust policy of a role that is the broker's alone, as every session of Writ's satisfies it.
pub(super) fn trust(ward: &Ward<'_>) -> Value {
    let broker = match ward.issuer {
        Ok(identity) => identity.principal(),
        Err(_) => format!(
            "arn:aws:iam::{}:role/writ-issuer",
            ward.scope.aws.role_arn.account()
        ),
    };
    let mut condition = json!({
        "StringLike": {
            "sts:RoleSessionName": "writ-*",
            "sts:SourceIdentity": "?*",
            format!("aws:RequestTag/{GRANT_TAG}"): "?*",
        },
    });
    if let (Some(id), Some(fields)) = (&ward.settings.external_id, condition.as_object_mut()) {
        fields.insert("StringEquals".to_owned(), json!({ "sts:ExternalId": id }));
    }
    document(json!([{
        "Effect": "Allow",
        "Principal": { "AWS": broker },
        "Action": ISSUER_NEEDS,
        "Condition": condition,
    }]))
}

/// Makes `trust` the role's trust policy.
pub(super) fn set_trust(ward: &Ward<'_>) -> Fix {
    Fix::say("make this its trust policy; if the broker's role has a path, put it in")
        .policy(trust(ward))
        .command(format!(
            "aws iam update-assume-role-policy --role-name {} --policy-document file://policy.json",
            ward.role_name()
        ))
}

/// The policy by which the broker's own identity may make sessions of the role.
pub(super) fn let_issue(ward: &Ward<'_>) -> Value {
    document(json!([{
        "Effect": "Allow", "Action": ISSUER_NEEDS, "Resource": ward.role_arn(),
    }]))
}

/// The policy by which an identity may read what the doctor asks about the role.
pub(super) fn let_read(ward: &Ward<'_>) -> Fix {
    let who = match ward.reader {
        Ok(identity) => format!("`{}`", identity.principal()),
        Err(_) => "the identity that reads IAM".to_owned(),
    };
    Fix::say(format!("give {who} this policy")).policy(document(json!([{
        "Effect": "Allow", "Action": DOCTOR_READS, "Resource": ward.role_arn(),
    }])))
}

/// The policy by which the revoker may do its work on the role, and see that it may.
pub(super) fn let_revoke(ward: &Ward<'_>, revoker: &str) -> Value {
    document(json!([
        { "Effect": "Allow", "Action": REVOKER_NEEDS, "Resource": ward.role_arn() },
        { "Effect": "Allow", "Action": ["iam:GetRole", "iam:SimulatePrincipalPolicy"], "Resource": revoker },
        { "Effect": "Deny", "Action": "sts:AssumeRole*", "Resource": "*" },
    ]))
}

/// What keeps a role from editing itself, whatever else allows it.
pub(super) fn no_self_edit(ward: &Ward<'_>) -> Value {
    document(json!([{
        "Effect": "Deny", "Action": SELF_EDITS, "Resource": ward.role_arn(),
    }]))
}

/// A boundary that leaves a role everything but the ways to lasting access.
pub(super) fn boundary() -> Value {
    document(json!([
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": ["iam:*", "organizations:*", "sts:AssumeRole*"], "Resource": "*" },
    ]))
}
