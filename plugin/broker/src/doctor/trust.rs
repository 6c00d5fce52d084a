//! A role's trust policy: whom it lets in, for what, and on which conditions.

use writ_engine::session::GRANT_TAG;

use super::facts::Identity;
use super::policy::{Condition, Document, Principal, Statement, matches};
use super::{Check, Finding, Fix, ISSUER_NEEDS, Ward, fix, unseen};

/// Every question about a trust policy.
pub(super) const CHECKS: [Check; 5] = [
    Check::TrustBroker,
    Check::TrustExternalId,
    Check::TrustGrantTag,
    Check::TrustOpen,
    Check::TrustOthers,
];

pub(super) fn findings(ward: &Ward<'_>, trust: &str) -> Vec<Finding> {
    let Some(document) = Document::parse(trust) else {
        return CHECKS
            .map(|check| Finding::skipped(check, "its trust policy is not understood"))
            .into();
    };
    let allows: Vec<&Statement> = document.statements.iter().filter(|it| it.allows).collect();
    let mut findings = vec![open(ward, &allows)];
    match ward.issuer {
        Ok(issuer) => {
            // The statements by which the broker gets in.
            let ours: Vec<&Statement> = allows
                .iter()
                .filter(|it| it.principals.iter().any(|who| lets_in(who, issuer)))
                .copied()
                .collect();
            let doors: Vec<&Statement> = ours
                .iter()
                .filter(|it| it.covers_action("sts:AssumeRole"))
                .copied()
                .collect();
            findings.push(broker(ward, issuer, &ours));
            findings.push(external_id(ward, &doors));
            findings.push(grant_tag(ward, &doors));
            findings.push(others(ward, issuer, &allows));
        }
        Err(why) => {
            let because = format!("the broker's own identity is not known: {}", unseen(why));
            for check in CHECKS {
                if check != Check::TrustOpen {
                    findings.push(Finding::skipped(check, because.clone()));
                }
            }
        }
    }
    findings
}

/// Whether `who` is the identity, or something that it is part of.
fn lets_in(who: &Principal, identity: &Identity) -> bool {
    match who {
        Principal::Anyone => true,
        Principal::Aws(name) => {
            is(name, identity) || account(name) == Some(identity.account.as_str())
        }
        Principal::Other(_) => false,
    }
}

/// Whether `name` names the identity itself. A session's ARN lacks its role's path, which the role's own has.
fn is(name: &str, identity: &Identity) -> bool {
    let pathless = |arn: &str| match arn.split_once(":role/") {
        Some((account, path)) => format!(
            "{account}:role/{}",
            path.rsplit('/').next().unwrap_or_default()
        ),
        None => arn.to_owned(),
    };
    name == identity.arn || pathless(name) == identity.principal()
}

/// The account, where a principal is a whole one.
fn account(name: &str) -> Option<&str> {
    let account = match name.strip_suffix(":root") {
        Some(arn) => arn.rsplit(':').next()?,
        None => name,
    };
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    digits.then_some(account)
}

fn broker(ward: &Ward<'_>, issuer: &Identity, ours: &[&Statement]) -> Finding {
    let check = Check::TrustBroker;
    if ours.is_empty() {
        let seen = format!("it does not trust `{}`", issuer.principal());
        return Finding::fail(check, seen, fix::set_trust(ward));
    }
    let missing: Vec<String> = ISSUER_NEEDS
        .iter()
        .filter(|action| !ours.iter().any(|it| it.covers_action(action)))
        .map(|action| format!("`{action}`"))
        .collect();
    if missing.is_empty() {
        return Finding::ok(check, format!("it trusts `{}`", issuer.principal()));
    }
    let seen = format!(
        "it trusts the broker, but not for {}",
        missing.join(" and ")
    );
    Finding::fail(check, seen, fix::set_trust(ward))
}

fn on<'a>(statement: &'a Statement, key: &str) -> Vec<&'a Condition> {
    let key = key.to_ascii_lowercase();
    let conditions = statement.conditions.iter();
    conditions.filter(|it| it.key == key).collect()
}

fn external_id(ward: &Ward<'_>, doors: &[&Statement]) -> Finding {
    let check = Check::TrustExternalId;
    if doors.is_empty() {
        return Finding::skipped(check, "it does not let the broker in at all");
    }
    let asks = |door: &Statement| !on(door, "sts:ExternalId").is_empty();
    let takes = |door: &Statement, id: &str| {
        on(door, "sts:ExternalId").iter().all(|condition| {
            let wildcards = condition.operator.contains("StringLike");
            condition.values.iter().any(|value| match wildcards {
                true => matches(value, id),
                false => value == id,
            })
        })
    };
    match &ward.settings.external_id {
        None if doors.iter().all(|door| asks(door)) => Finding::fail(
            check,
            "it asks for an external id, and the broker has none to send",
            Fix::say("put the trust policy's in").config("aws {\n  external_id = \"…\"\n}"),
        ),
        None => Finding::ok(check, "none is configured, and none is asked for"),
        Some(id) if !doors.iter().any(|door| takes(door, id)) => Finding::fail(
            check,
            "it asks for another external id than the configured one",
            fix::set_trust(ward),
        ),
        Some(_) if !doors.iter().all(|door| asks(door)) => Finding::fail(
            check,
            "an external id is configured, and it lets the broker in without one",
            fix::set_trust(ward),
        ),
        Some(_) => Finding::ok(check, "it asks for the configured one"),
    }
}

fn grant_tag(ward: &Ward<'_>, doors: &[&Statement]) -> Finding {
    let check = Check::TrustGrantTag;
    if doors.is_empty() {
        return Finding::skipped(check, "it does not let the broker in at all");
    }
    let key = format!("aws:RequestTag/{GRANT_TAG}");
    let asks = |door: &&Statement| {
        // `…IfExists` and `Null` are true of a request without the tag.
        on(door, &key).iter().any(|condition| {
            condition.operator.starts_with("String") && !condition.operator.ends_with("IfExists")
        })
    };
    if doors.iter().all(asks) {
        return Finding::ok(check, format!("no session without the tag `{GRANT_TAG}`"));
    }
    Finding::warn(
        check,
        format!(
            "it gives sessions without the tag `{GRANT_TAG}` too, and those no denial of one grant reaches"
        ),
        fix::set_trust(ward),
    )
}

fn open(ward: &Ward<'_>, allows: &[&Statement]) -> Finding {
    let check = Check::TrustOpen;
    for statement in allows {
        for who in &statement.principals {
            let seen = match who {
                Principal::Anyone => "it trusts anyone: its principal is `*`".to_owned(),
                Principal::Aws(name)
                    if account(name).is_some() && statement.conditions.is_empty() =>
                {
                    format!("it trusts all of the account `{name}`, without a condition")
                }
                Principal::Aws(_) | Principal::Other(_) => continue,
            };
            return Finding::fail(check, seen, fix::set_trust(ward));
        }
    }
    Finding::ok(check, "neither to anyone nor to a whole account")
}

fn others(ward: &Ward<'_>, issuer: &Identity, allows: &[&Statement]) -> Finding {
    let check = Check::TrustOthers;
    let mut names: Vec<String> = Vec::new();
    for who in allows.iter().flat_map(|it| &it.principals) {
        match who {
            // Told as open.
            Principal::Anyone => {}
            Principal::Aws(name) if account(name).is_some() || is(name, issuer) => {}
            Principal::Aws(name) | Principal::Other(name) => names.push(format!("`{name}`")),
        }
    }
    if names.is_empty() {
        return Finding::ok(check, "nobody else is named");
    }
    names.sort();
    names.dedup();
    Finding::warn(
        check,
        format!(
            "it also trusts {}: their sessions are no grant's, and on no record of Writ's",
            names.join(", ")
        ),
        fix::set_trust(ward),
    )
}
