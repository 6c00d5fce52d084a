//! Whose consent counts, for what, and who else is named.

use super::*;

/// Rita leads everyone; Ada, Ben and Cleo are in both groups that consent.
const DIRECTORY: &str = r#"
group "owners" { description = "Own the scopes" }
group "security" { description = "Keep watch" }
group "engineering" { description = "Build" }
group "payments-leads" { description = "Own the shipped scopes" }
group "platform-leads" { description = "Own the shipped scopes" }
user "rita" { name = "Rita" }
user "mia" {
  name = "Mia"
  manager = "rita"
  groups = ["engineering"]
}
user "ada" {
  name = "Ada"
  groups = ["owners", "security"]
}
user "ben" {
  name = "Ben"
  groups = ["owners", "security"]
}
user "cleo" {
  name = "Cleo"
  groups = ["security"]
}
workload "payments-ci" {
  owner = "ada"
  identity {
    issuer = "github"
    repository_id = "4201"
    repository_owner_id = "77"
  }
}
"#;

const APPROVERS: &str = r#"
@id("approve.manager")
permit (principal, action == Action::"approveManager", resource)
when { context.requester has manager && context.requester.manager == principal };

@id("approve.owner")
permit (principal in Group::"owners", action == Action::"approveOwner", resource);

@id("approve.security")
permit (principal in Group::"security", action == Action::"approveSecurity", resource);
"#;

fn needing(conditions: &str) -> Bundle {
    let permit = format!(
        r#"@id("access") permit (principal, action == Action::"activate", resource == Scope::"prod-admin") when {{ {conditions} }};"#
    );
    bundle(DIRECTORY, &format!("{permit}\n{APPROVERS}"))
}

fn asked(who: Principal) -> Case {
    wanted(who, "prod-admin", "1h").case(now())
}

#[test]
fn a_managers_consent_grants() {
    let bundle = shipped();
    let case = wanted(human("mia"), "prod-db-read", "45m").case(now());
    let before = line(&decide(&bundle, &case, now()));
    assert!(before.starts_with("needs manager=1 (pat)"), "{before}");
    let case = approved(case, "pat", &["manager"]);
    let Decision::Granted(grant) = decide(&bundle, &case, now()) else {
        panic!("not granted");
    };
    assert_eq!(grant.request_digest(), case.request_digest());
    assert_eq!(
        grant.window(),
        Window::opening(now(), duration("45m")).unwrap()
    );
    assert_eq!(
        grant.allowed().counted,
        BTreeMap::from([(kind("manager"), 1)])
    );
    let verdict = grant.into_verdict();
    assert_eq!(
        (verdict.outcome, verdict.bundle),
        (Outcome::Granted, bundle.digest())
    );
    assert_eq!(verdict.policies, ["proddb.read.engineer"]);
}

#[test]
fn one_person_is_never_two_kinds_of_consent() {
    let both = "context.approvals.owner >= 1 && context.approvals.security >= 1";
    let bundle = needing(both);
    type Row = (
        &'static [(&'static str, &'static [&'static str])],
        &'static str,
    );
    let rows: [Row; 6] = [
        (&[], "needs owner=1 (ada ben) security=1 (ada ben cleo)"),
        // Ada could be counted as either, so either may be what is still missing.
        (
            &[("ada", &["owner", "security"])],
            "needs owner=1 (ben) security=1 (ben cleo)",
        ),
        (
            &[("ada", &["owner"])],
            "needs owner=1 security=1 (ben cleo)",
        ),
        (
            &[("cleo", &["security"])],
            "needs owner=1 (ada ben) security=1",
        ),
        (
            &[
                ("ada", &["owner", "security"]),
                ("ben", &["owner", "security"]),
            ],
            "granted by access",
        ),
        // Ada gives way: Cleo can only be security, so Ada is the owner.
        (
            &[("ada", &["owner", "security"]), ("cleo", &["security"])],
            "granted by access",
        ),
    ];
    for (approvals, expected) in rows {
        let case = approvals
            .iter()
            .fold(asked(human("mia")), |case, (who, kinds)| {
                approved(case, who, kinds)
            });
        assert_eq!(
            line(&decide(&bundle, &case, now())),
            expected,
            "{approvals:?}"
        );
    }
}

#[test]
fn two_of_a_kind_are_two_people() {
    let bundle = needing("context.approvals.owner >= 2");
    let case = approved(asked(human("mia")), "ada", &["owner", "security"]);
    assert_eq!(line(&decide(&bundle, &case, now())), "needs owner=2 (ben)");
    let case = approved(case, "ben", &["owner"]);
    assert_eq!(line(&decide(&bundle, &case, now())), "granted by access");
}

#[test]
fn nobody_consents_to_their_own_request_whichever_identity_they_use() {
    let bundle = needing("context.approvals.owner >= 1");
    // (who asks, who consents) → what then; no policy of this bundle forbids self-approval.
    let rows = [
        (human("ada"), "ada", "needs owner=1 (ben)"),
        (ci("main"), "ada", "needs owner=1 (ben)"),
        (human("ada"), "ben", "granted by access"),
        (ci("main"), "ben", "granted by access"),
    ];
    for (asker, approver, expected) in rows {
        let case = asked(asker);
        let permitted = kinds_permitted(&bundle, &case, &user(approver), now());
        assert_eq!(permitted.is_empty(), expected != "granted by access");
        let case = approved(case, approver, &["owner"]);
        assert_eq!(line(&decide(&bundle, &case, now())), expected, "{approver}");
    }
}

#[test]
fn an_approval_counts_only_while_the_policy_permits_it() {
    let needs = "context.approvals.owner >= 1";
    let case = approved(asked(human("mia")), "ada", &["owner"]);
    assert_eq!(
        line(&decide(&needing(needs), &case, now())),
        "granted by access"
    );
    let permit = format!(
        r#"@id("access") permit (principal, action == Action::"activate", resource) when {{ {needs} }};"#
    );
    let moved = DIRECTORY.replacen(
        r#"groups = ["owners", "security"]"#,
        r#"groups = ["security"]"#,
        1,
    );
    let gone = DIRECTORY
        .replacen("user \"ada\"", "user \"adam\"", 1)
        .replace("owner = \"ada\"", "owner = \"adam\"");
    // (directory, policies for approvers) → what is left of Ada's consent.
    let rows = [
        (moved, APPROVERS.to_owned(), "needs owner=1 (ben)"),
        (gone, APPROVERS.to_owned(), "needs owner=1 (adam ben)"),
        (
            DIRECTORY.to_owned(),
            APPROVERS.replace("Group::\"owners\"", "User::\"ben\""),
            "needs owner=1 (ben)",
        ),
    ];
    for (directory, approvers, expected) in rows {
        let bundle = bundle(
            &directory,
            &format!("{permit}\n{approvers}").replace("principal in User", "principal == User"),
        );
        assert_eq!(line(&decide(&bundle, &case, now())), expected);
    }
}

#[test]
fn consent_given_as_another_kind_does_not_count() {
    let bundle = needing("context.approvals.owner >= 1");
    // The record holds what Ada consented as: the policy would let her be an owner too.
    let case = approved(asked(human("mia")), "ada", &["security"]);
    assert_eq!(line(&decide(&bundle, &case, now())), "needs owner=1 (ben)");
}

#[test]
fn a_way_that_nobody_can_give_is_shown_as_such() {
    let rows = [
        // Rita has no manager.
        (
            "context.approvals.manager >= 1",
            "rita",
            "needs manager=1 () NOBODY CAN",
        ),
        (
            "context.approvals.manager >= 1",
            "mia",
            "needs manager=1 (rita)",
        ),
        (
            "context.approvals.owner >= 3",
            "mia",
            "needs owner=3 (ada ben) NOBODY CAN",
        ),
        // Three kinds of people, but only Ada, Ben and Cleo to be them.
        (
            "context.approvals.owner >= 2 && context.approvals.security >= 2",
            "mia",
            "needs owner=2 (ada ben) security=2 (ada ben cleo) NOBODY CAN",
        ),
        (
            "context.approvals.owner >= 2 && context.approvals.security >= 1",
            "mia",
            "needs owner=2 (ada ben) security=1 (ada ben cleo)",
        ),
        (
            "context.approvals.owner >= 40",
            "mia",
            "denied unmet access",
        ),
        // A way that somebody can give comes first, however dear.
        (
            "context.approvals.manager >= 1 || context.approvals.security >= 2",
            "rita",
            "needs security=2 (ada ben cleo) or manager=1 () NOBODY CAN",
        ),
        (
            "context.approvals.manager >= 1 || context.approvals.security >= 2",
            "mia",
            "needs manager=1 (rita) or security=2 (ada ben cleo)",
        ),
    ];
    for (conditions, who, expected) in rows {
        let bundle = needing(conditions);
        let answer = wanted(human(who), "prod-admin", "1h").check(&bundle, now());
        assert_eq!(line(&answer), expected, "{conditions}");
    }
}

#[test]
fn a_long_list_of_people_is_cut_and_says_so() {
    let crowd: String = (0..60)
        .map(|number| {
            format!("user \"p{number:02}\" {{\n  name = \"P\"\n  groups = [\"owners\"]\n}}\n")
        })
        .collect();
    let permit = r#"@id("access") permit (principal, action == Action::"activate", resource) when { context.approvals.owner >= 30 };"#;
    let bundle = bundle(
        &format!("{DIRECTORY}{crowd}"),
        &format!("{permit}\n{APPROVERS}"),
    );
    let answer = wanted(human("mia"), "prod-admin", "1h").check(&bundle, now());
    let Decision::NeedsApproval(needs) = answer else {
        panic!("{}", line(&answer));
    };
    let way = &needs.ways[0];
    let owners = &way.who[&kind("owner")];
    assert!(way.feasible && owners.more);
    assert_eq!(owners.people.len(), PEOPLE_MAX);
}

#[test]
fn each_person_may_consent_as_the_policy_says() {
    let bundle = shipped();
    let rows = [
        (human("mia"), "prod-db-read", "pat", "manager owner"),
        (human("mia"), "prod-db-read", "lee", "owner"),
        (human("mia"), "prod-db-read", "zoe", "security"),
        (human("mia"), "prod-db-read", "sam", ""),
        (human("mia"), "prod-db-read", "mia", ""),
        (human("mia"), "prod-db-read", "stranger", ""),
        (human("lee"), "prod-db-read", "lee", ""),
        (human("kim"), "prod-db-read", "zoe", "manager security"),
        (ci("main"), "payments-deploy", "lee", ""),
        (ci("main"), "payments-deploy", "pat", "manager owner"),
        (human("nobody"), "prod-db-read", "pat", ""),
        (human("mia"), "no-such-scope", "pat", ""),
    ];
    for (asker, scope, approver, expected) in rows {
        let case = wanted(asker.clone(), scope, "1h").case(now());
        let kinds = kinds_permitted(&bundle, &case, &user(approver), now());
        assert_eq!(
            kinds_line(&kinds),
            expected,
            "{approver} for {} on {scope}",
            asker.id
        );
    }
}

#[test]
fn a_request_is_seen_by_those_it_concerns() {
    let bundle = shipped();
    let rows = [
        (human("mia"), human("mia"), true),
        (human("mia"), human("pat"), true),
        (human("mia"), human("lee"), true),
        (human("mia"), human("zoe"), true),
        (human("mia"), human("audrey"), true),
        (human("mia"), human("sam"), false),
        (human("mia"), human("dana"), false),
        (human("mia"), human("stranger"), false),
        (human("mia"), ci("main"), false),
        (ci("main"), ci("other"), true),
        (ci("main"), human("lee"), true),
        (ci("main"), human("audrey"), true),
        (ci("main"), human("sam"), false),
        // What someone asked for before they left can still be read.
        (human("gone"), human("audrey"), true),
        (human("gone"), human("gone"), false),
        (human("gone"), human("mia"), false),
    ];
    for (asker, viewer, expected) in rows {
        let case = wanted(asker.clone(), "prod-db-read", "1h").case(now());
        let seen = may_view(&bundle, &viewer, case.request(), "INC-42", now());
        assert_eq!(
            seen, expected,
            "{} looks at a request of {}",
            viewer.id, asker.id
        );
    }
}
