//! A role's denials of revoked grants: whether they are Writ's, alone of that name, and have room.

use std::collections::BTreeMap;

use serde_json::Value;
use writ_engine::RequestId;
use writ_engine::session::GRANT_TAG;

use super::facts::{Attached, RoleFacts, Seen};
use super::policy::{Document, Statement};
use super::{Check, Expected, Finding, Fix, Ward, unseen};
use crate::aws::revoker::DENIAL_POLICY_NAME;

/// The most characters that a role's inline policies may have together, white space apart (IAM's quota).
const INLINE_MAX: usize = 10_240;

/// What one more denied grant takes: an id in quotes, and a comma.
const DENIAL_CHARS: usize = RequestId::LEN + 3;

/// What the document around the ids takes, roughly.
const DOCUMENT_CHARS: usize = 200;

/// Fewer denials than there is room for are told: on a busy role, a bad day of revocations.
const DENIALS_MIN: usize = 100;

pub(super) fn findings(ward: &Ward<'_>, role: &RoleFacts) -> Vec<Finding> {
    match &role.inline {
        Ok(inline) => vec![
            policy(
                ward,
                inline.get(DENIAL_POLICY_NAME).map(String::as_str),
                ward.expected,
            ),
            names(ward, inline, &role.attached),
            room(inline),
        ],
        Err(why) => [
            Check::DenialsPolicy,
            Check::DenialsNames,
            Check::DenialsRoom,
        ]
        .map(|check| Finding::skipped(check, unseen(why)))
        .into(),
    }
}

/// The denials that are there, against those that should be.
fn policy(ward: &Ward<'_>, found: Option<&str>, expected: Expected<'_>) -> Finding {
    let check = Check::DenialsPolicy;
    let Some(found) = found else {
        return match expected {
            Expected::Unknown | Expected::Nothing => Finding::ok(check, "no grant is denied on it"),
            Expected::Document(document) => Finding::fail(
                check,
                format!("`{DENIAL_POLICY_NAME}` is gone: grants that were revoked work again"),
                restore(ward, document),
            ),
        };
    };
    let grants = match grants_denied(found) {
        Ok(grants) => grants,
        Err(why) => {
            return Finding::fail(
                check,
                format!("`{DENIAL_POLICY_NAME}` is not as Writ writes it: {why}"),
                match expected {
                    Expected::Document(document) => restore(ward, document),
                    Expected::Unknown | Expected::Nothing => Fix::say(
                        "look in CloudTrail who called PutRolePolicy; the broker writes it anew at its next revocation",
                    )
                    .command(format!(
                        "aws iam get-role-policy --role-name {} --policy-name {DENIAL_POLICY_NAME}",
                        ward.role_name()
                    )),
                },
            );
        }
    };
    match expected {
        Expected::Unknown => Finding::ok(check, format!("it denies {}", counted(grants))),
        Expected::Nothing => Finding::warn(
            check,
            format!("it denies {}, and none should be", counted(grants)),
            Fix::say("the broker takes it away by itself; if it does not, look at its log"),
        ),
        Expected::Document(document) if is_same(found, document) => Finding::ok(
            check,
            format!("it denies {}, as it should", counted(grants)),
        ),
        Expected::Document(document) => Finding::fail(
            check,
            format!("`{DENIAL_POLICY_NAME}` denies other grants than were revoked"),
            restore(ward, document),
        ),
    }
}

fn counted(grants: usize) -> String {
    match grants {
        1 => "1 grant".to_owned(),
        many => format!("{many} grants"),
    }
}

fn is_same(one: &str, other: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    parsed(one).is_some() && parsed(one) == parsed(other)
}

fn restore(ward: &Ward<'_>, document: &str) -> Fix {
    let fix = Fix::say(
        "the broker writes it anew; if it does not, put it back, and look in CloudTrail who took it away",
    )
    .command(format!(
        "aws iam put-role-policy --role-name {} --policy-name {DENIAL_POLICY_NAME} --policy-document file://policy.json",
        ward.role_name()
    ));
    match serde_json::from_str(document) {
        Ok(policy) => fix.policy(policy),
        Err(_) => fix,
    }
}

/// How many grants a document denies, if it is one that Writ could have written: it only denies, everything on everything,
/// by the grant's tag or by the session's age.
fn grants_denied(json: &str) -> Result<usize, &'static str> {
    let document = Document::parse(json).ok_or("it is no policy document")?;
    let mut grants = 0;
    for statement in &document.statements {
        grants += denied_by(statement)?;
    }
    Ok(grants)
}

fn denied_by(statement: &Statement) -> Result<usize, &'static str> {
    if statement.allows {
        return Err("it allows something");
    }
    if !statement.is_about_everything() {
        return Err("it does not deny everything");
    }
    let tag = format!("aws:principaltag/{GRANT_TAG}");
    let mut grants = 0;
    for condition in &statement.conditions {
        match (condition.operator.as_str(), condition.key.as_str()) {
            ("StringEquals", key) if key == tag => {
                let ids = condition.values.iter();
                if !ids
                    .clone()
                    .all(|id| RequestId::try_from(id.clone()).is_ok())
                {
                    return Err("it names what is no grant");
                }
                grants += ids.count();
            }
            ("DateLessThan", "aws:tokenissuetime") => {}
            _ => return Err("it has a condition that Writ does not write"),
        }
    }
    match statement.conditions.is_empty() {
        true => Err("it denies everyone, without a condition"),
        false => Ok(grants),
    }
}

fn names(
    ward: &Ward<'_>,
    inline: &BTreeMap<String, String>,
    attached: &Seen<Vec<Attached>>,
) -> Finding {
    let check = Check::DenialsNames;
    let attached = match attached {
        Ok(attached) => attached,
        Err(why) => return Finding::skipped(check, unseen(why)),
    };
    let found: Vec<&str> = inline
        .keys()
        .chain(attached.iter().map(|it| &it.name))
        .map(String::as_str)
        .filter(|name| *name != DENIAL_POLICY_NAME && name.to_ascii_lowercase().starts_with("writ"))
        .collect();
    let Some(first) = found.first() else {
        return Finding::ok(check, "no other policy has a name like Writ's");
    };
    Finding::warn(
        check,
        format!("`{}` looks like Writ's, and is not", found.join("`, `")),
        Fix::say("Writ writes one policy only: look who made it, and rename or delete it").command(
            match inline.contains_key(*first) {
                true => format!(
                    "aws iam get-role-policy --role-name {} --policy-name {first}",
                    ward.role_name()
                ),
                false => format!(
                    "aws iam list-attached-role-policies --role-name {}",
                    ward.role_name()
                ),
            },
        ),
    )
}

fn room(inline: &BTreeMap<String, String>) -> Finding {
    let taken: usize = inline
        .iter()
        .filter(|(name, _)| *name != DENIAL_POLICY_NAME)
        .map(|(_, document)| document.chars().filter(|c| !c.is_whitespace()).count())
        .sum();
    let denials = INLINE_MAX.saturating_sub(taken + DOCUMENT_CHARS) / DENIAL_CHARS;
    let seen = format!("room for {denials} denials beside its own inline policies");
    if denials < DENIALS_MIN {
        return Finding::warn(
            Check::DenialsRoom,
            seen,
            Fix::say(
                "make its own inline policies managed ones: past the limit all its older sessions are denied together",
            ),
        );
    }
    Finding::ok(Check::DenialsRoom, seen)
}
