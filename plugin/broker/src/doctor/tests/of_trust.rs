//! Trust policies.

use super::*;

/// The recommended trust policy with its statement changed.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut policy = trust();
    change(&mut policy["Statement"][0]);
    policy.to_string()
}

/// And with another statement.
fn and(statement: Value) -> String {
    let mut policy = trust();
    policy["Statement"].as_array_mut().unwrap().push(statement);
    policy.to_string()
}

fn assert_trust(policy: String, check: Check, severity: Severity, words: &str) {
    assert_told(|w| w.role().trust = policy, check, severity, words);
}

#[test]
fn the_broker_is_trusted_in_each_spelling_of_its_name_and_for_all_three_actions() {
    for principal in [
        "arn:aws:iam::123456789012:role/writ-issuer",
        "arn:aws:iam::123456789012:role/brokers/writ-issuer",
        ISSUER,
        "arn:aws:iam::123456789012:root",
        "123456789012",
        "*",
    ] {
        let policy = changed(|it| it["Principal"] = json!({ "AWS": principal }));
        assert_trust(policy, Check::TrustBroker, Severity::Ok, "writ-issuer");
    }
    for principal in [
        "arn:aws:iam::123456789012:role/writ-issuer-2",
        "arn:aws:iam::123456789012:user/writ-issuer",
        "arn:aws:iam::999999999999:role/writ-issuer",
        "arn:aws:iam::999999999999:root",
        "AROAISSUER",
    ] {
        let policy = changed(|it| it["Principal"] = json!({ "AWS": principal }));
        assert_trust(
            policy,
            Check::TrustBroker,
            Severity::Fail,
            "it does not trust `arn:aws:iam::123456789012:role/writ-issuer`",
        );
    }
    for (actions, severity, words) in [
        (json!("sts:*"), Severity::Ok, ""),
        (
            json!(["STS:assumerole", "sts:TagSession"]),
            Severity::Fail,
            "not for `sts:SetSourceIdentity`",
        ),
        (
            json!("sts:AssumeRole"),
            Severity::Fail,
            "not for `sts:SetSourceIdentity` and `sts:TagSession`",
        ),
    ] {
        let policy = changed(|it| it["Action"] = actions);
        assert_trust(policy, Check::TrustBroker, severity, words);
    }
    // The three may come from different statements.
    let mut policy = trust();
    policy["Statement"][0]["Action"] = json!("sts:AssumeRole");
    let mut rest = policy["Statement"][0].clone();
    rest["Action"] = json!(["sts:TagSession", "sts:SetSourceIdentity"]);
    policy["Statement"].as_array_mut().unwrap().push(rest);
    assert_trust(policy.to_string(), Check::TrustBroker, Severity::Ok, "");
    // A denial is no trust.
    let policy = changed(|it| it["Effect"] = json!("Deny"));
    assert_trust(policy, Check::TrustBroker, Severity::Fail, "does not trust");
    // Nor is a trust policy that is not read trusted.
    assert_trust(
        "not json".to_owned(),
        Check::TrustBroker,
        Severity::Skipped,
        "not understood",
    );
}

#[test]
fn the_external_id_is_asked_for_and_the_right_one() {
    let without = || changed(|it| it["Condition"]["StringEquals"] = json!({}));
    let with = |operator: &str, id: &str| {
        changed(|it| {
            it["Condition"]["StringEquals"] = json!({});
            it["Condition"][operator]["sts:externalid"] = json!([id, "third"]);
        })
    };
    let check = Check::TrustExternalId;
    assert_trust(
        with("StringEquals", EXTERNAL_ID),
        check,
        Severity::Ok,
        "the configured one",
    );
    assert_trust(
        with("StringLike", "writ-*"),
        check,
        Severity::Ok,
        "the configured one",
    );
    assert_trust(
        with("StringEquals", "writ-*"),
        check,
        Severity::Fail,
        "another external id",
    );
    assert_trust(
        without(),
        check,
        Severity::Fail,
        "lets the broker in without one",
    );
    // One guarded door, and one beside it.
    let mut beside = trust()["Statement"][0].clone();
    beside["Condition"] = json!({});
    assert_trust(
        and(beside),
        check,
        Severity::Fail,
        "lets the broker in without one",
    );
    // None is configured.
    for (policy, severity, words) in [
        (without(), Severity::Ok, "none is asked for"),
        (trust().to_string(), Severity::Fail, "has none to send"),
    ] {
        assert_told(
            |w| {
                w.settings.external_id = None;
                w.role().trust = policy;
            },
            check,
            severity,
            words,
        );
    }
}

#[test]
fn the_grants_tag_is_asked_for_in_a_way_that_an_untagged_request_fails() {
    let with = |condition: Value| changed(|it| it["Condition"] = condition);
    let tag = "aws:RequestTag/writ:grant";
    for (condition, severity) in [
        (json!({ "StringLike": { tag: "?*" } }), Severity::Ok),
        (
            json!({ "StringLikeIfExists": { tag: "?*" } }),
            Severity::Warn,
        ),
        (json!({ "Null": { tag: "true" } }), Severity::Warn),
        (
            json!({ "ForAllValues:StringEquals": { "aws:TagKeys": ["writ:grant"] } }),
            Severity::Warn,
        ),
        (json!({}), Severity::Warn),
    ] {
        assert_trust(
            with(condition),
            Check::TrustGrantTag,
            severity,
            "`writ:grant`",
        );
    }
}

#[test]
fn a_role_open_to_anyone_or_to_a_whole_account_is_wrong() {
    let to = |principal: Value, condition: Value| {
        and(json!({
            "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole",
            "Condition": condition,
        }))
    };
    let conditioned = json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } });
    for (policy, severity, words) in [
        (to(json!("*"), json!({})), Severity::Fail, "anyone"),
        (
            to(json!({ "AWS": "*" }), conditioned.clone()),
            Severity::Fail,
            "anyone",
        ),
        (
            to(
                json!({ "AWS": "arn:aws:iam::123456789012:root" }),
                json!({}),
            ),
            Severity::Fail,
            "without a condition",
        ),
        (
            to(json!({ "AWS": ["999999999999"] }), json!({})),
            Severity::Fail,
            "`999999999999`",
        ),
        (
            to(json!({ "AWS": "999999999999" }), conditioned),
            Severity::Ok,
            "neither",
        ),
    ] {
        assert_trust(policy, Check::TrustOpen, severity, words);
    }
    let all_but = and(json!({
        "Effect": "Allow", "NotPrincipal": { "AWS": "999999999999" }, "Action": "sts:AssumeRole",
    }));
    assert_trust(all_but, Check::TrustOpen, Severity::Fail, "anyone");
    let denied = and(json!({ "Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole" }));
    assert_trust(denied, Check::TrustOpen, Severity::Ok, "neither");
    // It is seen though nobody knows who the broker is.
    assert_told(
        |w| {
            w.facts.broker.issuer = Err(unanswered("sts:GetCallerIdentity"));
            w.role().trust = to(json!("*"), json!({}));
        },
        Check::TrustOpen,
        Severity::Fail,
        "anyone",
    );
}

#[test]
fn whoever_else_is_trusted_is_named() {
    let policy = and(json!({
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {
            "AWS": ["arn:aws:iam::123456789012:user/zoe", "arn:aws:iam::123456789012:role/writ-issuer"],
            "Service": "ec2.amazonaws.com",
        },
    }));
    assert_trust(
        policy,
        Check::TrustOthers,
        Severity::Warn,
        "also trusts `arn:aws:iam::123456789012:user/zoe`, `ec2.amazonaws.com`:",
    );
}
