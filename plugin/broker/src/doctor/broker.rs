//! The broker itself: who it is at AWS, and whether its clock is AWS's.

use super::facts::{BrokerFacts, Identity, Seen, Time, Unseen};
use super::fix::REVOKER_BLOCK;
use super::{Check, Finding, Fix, NOT_SENT, unseen};
use crate::aws::AwsSettings;

/// How far the two clocks may differ before it is told, in milliseconds: a machine that keeps time by NTP is far nearer.
pub(super) const SKEW_WARN_MS: i64 = 2_000;

/// How far before it is wrong, in milliseconds: what design section 7 (invariant 7) grants to clock skew, since windows end
/// by AWS's clock and are planned by ours.
pub(super) const SKEW_FAIL_MS: i64 = 5_000;

pub(super) fn findings(settings: &AwsSettings, seen: &BrokerFacts) -> Vec<Finding> {
    let mut findings = vec![
        identity(
            Check::IssuerIdentity,
            &seen.issuer,
            "the credentials that make sessions",
            "aws.credentials",
        ),
        role_session(settings, &seen.issuer),
    ];
    match &seen.revoker {
        None => findings.push(no_revoker()),
        Some(revoker) => {
            findings.push(identity(
                Check::RevokerIdentity,
                revoker,
                "the revoker's credentials",
                "aws.revoker.credentials",
            ));
            findings.push(apart(&seen.issuer, revoker));
        }
    }
    findings.push(clock(seen.time));
    findings
}

fn no_revoker() -> Finding {
    Finding::warn(
        Check::RevokerIdentity,
        "there is no revoker: a session whose grant was revoked works on until it expires",
        Fix::say(
            "name one, of an identity that may write the roles' policies and cannot assume them",
        )
        .config(REVOKER_BLOCK),
    )
}

fn identity(check: Check, seen: &Seen<Identity>, whose: &str, key: &str) -> Finding {
    match seen {
        Ok(identity) if identity.arn.ends_with(":root") => Finding::fail(
            check,
            format!(
                "{whose} are those of the account's root, `{}`",
                identity.arn
            ),
            Fix::say(format!(
                "let `{key}` name those of a role or a user made for this, and delete the root's keys"
            )),
        ),
        Ok(identity) => Finding::ok(check, format!("`{}`", identity.arn)),
        Err(it) if it.code == NOT_SENT => Finding::fail(
            check,
            format!("there are no credentials where `{key}` points"),
            Fix::say(format!(
                "run this where the broker runs, with its environment; or let `{key}` name another place"
            )),
        ),
        Err(it) if it.refused => Finding::fail(
            check,
            format!("{whose} do not work: {}", unseen(it)),
            Fix::say(format!("renew what `{key}` points at")),
        ),
        Err(it) => Finding::skipped(check, unseen(it)),
    }
}

/// AWS gives temporary credentials sessions of an hour at most; the configuration must know, or AWS refuses longer ones.
fn role_session(settings: &AwsSettings, issuer: &Seen<Identity>) -> Finding {
    let check = Check::IssuerRoleSession;
    let it = match issuer {
        Ok(it) => it,
        Err(why) => return not_known(check, why),
    };
    match (settings.role_session, it.temporary) {
        (true, true) => Finding::ok(
            check,
            "a role's session: one of Writ's lasts an hour at most",
        ),
        (false, false) => Finding::ok(check, "no role's session: one of Writ's may last 12 hours"),
        (false, true) => Finding::fail(
            check,
            "they are a role's session, and AWS refuses those any session above an hour",
            Fix::say("say so").config("aws {\n  role_session = true\n}"),
        ),
        (true, false) => Finding::warn(
            check,
            "they are no role's session, so sessions are kept to an hour for nothing",
            Fix::say("say so; or, better than long-lived keys, give the broker a role")
                .config("aws {\n  role_session = false\n}"),
        ),
    }
}

fn apart(issuer: &Seen<Identity>, revoker: &Seen<Identity>) -> Finding {
    let check = Check::RevokerApart;
    let (issuer, revoker) = match (issuer, revoker) {
        (Ok(issuer), Ok(revoker)) => (issuer, revoker),
        (Err(why), _) | (_, Err(why)) => return not_known(check, why),
    };
    if issuer.is_same(revoker) {
        return Finding::fail(
            check,
            format!("it is the identity that makes sessions, `{}`", revoker.arn),
            Fix::say(
                "make another: whoever may write a role's policies may give it anything, so they must not be able to assume it",
            )
            .config(REVOKER_BLOCK),
        );
    }
    Finding::ok(check, "another identity than the one that makes sessions")
}

fn not_known(check: Check, why: &Unseen) -> Finding {
    Finding::skipped(check, unseen(why))
}

fn clock(time: Option<Time>) -> Finding {
    let check = Check::ClockSkew;
    let Some(time) = time else {
        return Finding::skipped(check, "AWS told no time");
    };
    let skew_ms = at_least_apart_ms(time);
    let direction = if skew_ms > 0 { "behind" } else { "ahead of" };
    let seen = format!(
        "this machine's clock is at least {}.{} s {direction} AWS's",
        skew_ms.abs() / 1_000,
        skew_ms.abs() % 1_000 / 100
    );
    let fix = || {
        Fix::say("windows end by AWS's clock and are planned by this one: keep it by NTP")
            .command("chronyc tracking")
    };
    match skew_ms.abs() {
        0..=SKEW_WARN_MS => Finding::ok(
            check,
            "this machine's clock is AWS's, as far as can be told",
        ),
        ..=SKEW_FAIL_MS => Finding::warn(check, seen, fix()),
        _ => Finding::fail(check, seen, fix()),
    }
}

/// How far AWS's clock is ahead of this machine's, at the least: AWS tells whole seconds, and answered at some moment
/// between the question and its arrival here. Zero where both can be right.
fn at_least_apart_ms(time: Time) -> i64 {
    let earliest = time.aws.since_ms(time.answered_at);
    let latest = time.aws.since_ms(time.asked_at).saturating_add(999);
    if earliest > 0 {
        earliest
    } else if latest < 0 {
        latest
    } else {
        0
    }
}
