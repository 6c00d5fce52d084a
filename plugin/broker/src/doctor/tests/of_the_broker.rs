//! The broker's own checks.

use super::*;

type Spoil = Box<dyn FnOnce(&mut World)>;

fn spoil(it: impl FnOnce(&mut World) + 'static) -> Spoil {
    Box::new(it)
}

#[test]
fn each_way_in_which_an_identity_can_be_wrong() {
    let call = "sts:GetCallerIdentity";
    let code = |code: &str, refused: bool| Unseen {
        call,
        code: code.to_owned(),
        refused,
    };
    let root = "arn:aws:iam::123456789012:root";
    let table: Vec<(Spoil, Check, Severity, &str)> = vec![
        (
            spoil(|_| {}),
            Check::IssuerIdentity,
            Severity::Ok,
            "assumed-role/writ-issuer",
        ),
        (
            spoil({
                let why = code("InvalidClientTokenId", true);
                move |w| w.facts.broker.issuer = Err(why)
            }),
            Check::IssuerIdentity,
            Severity::Fail,
            "InvalidClientTokenId",
        ),
        (
            spoil({
                let why = code("NotSent", false);
                move |w| w.facts.broker.issuer = Err(why)
            }),
            Check::IssuerIdentity,
            Severity::Fail,
            "no credentials where `aws.credentials` points",
        ),
        (
            spoil({
                let why = code("NoAnswer", false);
                move |w| w.facts.broker.issuer = Err(why)
            }),
            Check::IssuerIdentity,
            Severity::Skipped,
            "NoAnswer",
        ),
        (
            spoil(move |w| w.facts.broker.issuer = Ok(identity(root, "123456789012", false))),
            Check::IssuerIdentity,
            Severity::Fail,
            "the account's root",
        ),
        (
            spoil(|w| w.facts.broker.revoker = None),
            Check::RevokerIdentity,
            Severity::Warn,
            "no revoker",
        ),
        (
            spoil({
                let why = code("ExpiredToken", true);
                move |w| w.facts.broker.revoker = Some(Err(why))
            }),
            Check::RevokerIdentity,
            Severity::Fail,
            "ExpiredToken",
        ),
        (
            spoil(|w| {
                w.facts.broker.revoker = is(identity(ISSUER, "AROAISSUER:another-session", true));
            }),
            Check::RevokerApart,
            Severity::Fail,
            "it is the identity that makes sessions",
        ),
        (
            spoil(|w| w.facts.broker.revoker = is(identity(ISSUER, "AROAOTHER:i-0abc", true))),
            Check::RevokerApart,
            Severity::Ok,
            "another identity",
        ),
    ];
    for (spoil, check, severity, words) in table {
        assert_told(spoil, check, severity, words);
    }
}

#[test]
fn role_session_is_true_of_temporary_credentials_and_of_no_others() {
    for (says, temporary, severity, words) in [
        (true, true, Severity::Ok, "an hour"),
        (false, false, Severity::Ok, "12 hours"),
        (false, true, Severity::Fail, "refuses"),
        (true, false, Severity::Warn, "for nothing"),
    ] {
        assert_told(
            |w| {
                w.settings.role_session = says;
                w.facts.broker.issuer.as_mut().unwrap().temporary = temporary;
            },
            Check::IssuerRoleSession,
            severity,
            words,
        );
    }
}

#[test]
fn a_clock_is_wrong_by_what_is_certain() {
    // AWS's answer is to the second, and took 100 ms: nearly a second is never certain.
    for (ahead_ms, severity, words) in [
        (0, Severity::Ok, "as far as can be told"),
        (2_400, Severity::Ok, "as far as can be told"),
        (-2_400, Severity::Ok, "as far as can be told"),
        (-2_900, Severity::Warn, "at least 2.4 s ahead of AWS's"),
        (3_000, Severity::Warn, "at least 2.5 s behind AWS's"),
        (-4_000, Severity::Warn, "at least 3.4 s ahead of AWS's"),
        (5_000, Severity::Warn, "at least 4.5 s behind"),
        (6_000, Severity::Fail, "at least 5.5 s behind"),
        (-7_000, Severity::Fail, "at least 6.4 s ahead of"),
        (-86_400_000, Severity::Fail, "ahead of"),
    ] {
        assert_told(
            |w| w.facts.broker.time = Some(time(ahead_ms)),
            Check::ClockSkew,
            severity,
            words,
        );
    }
    assert_told(
        |w| w.facts.broker.time = None,
        Check::ClockSkew,
        Severity::Skipped,
        "no time",
    );
}
