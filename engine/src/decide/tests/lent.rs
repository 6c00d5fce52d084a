//! A right that is lent: whose it is, who uses it, and how often it counts.

use super::*;
use crate::approval::ApprovalError;

/// Ada and Ben own the scopes, Cleo is a lead elsewhere, Carl a contractor.
const DIRECTORY: &str = r#"
group "payments-leads" { description = "Own the shipped scopes" }
group "platform-leads" { description = "Own the shipped scopes" }
group "security" { description = "Keep watch" }
group "leads" { description = "Lead" }
group "contractors" { description = "From outside" }
user "mia" { name = "Mia" }
user "ada" {
  name = "Ada"
  groups = ["platform-leads", "leads"]
}
user "ben" {
  name = "Ben"
  groups = ["platform-leads", "leads"]
}
user "cleo" {
  name = "Cleo"
  groups = ["leads"]
}
user "dora" {
  name = "Dora"
  groups = ["leads"]
}
user "carl" {
  name = "Carl"
  groups = ["contractors", "leads"]
}
workload "payments-ci" {
  owner = "cleo"
  identity {
    issuer = "github"
    repository_id = "4201"
    repository_owner_id = "77"
  }
}
"#;

const POLICIES: &str = r#"
@id("access") permit (principal, action == Action::"activate", resource == Scope::"prod-admin")
when { context.approvals.owner >= 1 };
@id("two") permit (principal, action == Action::"activate", resource == Scope::"staging-admin")
when { context.approvals.owner >= 2 };
@id("approve.owner") permit (principal, action == Action::"approveOwner", resource)
when { principal in Group::"platform-leads" };
@id("guard") forbid (principal, action in Action::"approve", resource)
when { context has delegate && context.delegate in Group::"contractors" };
"#;

const LENDS: &str = r#"
@id("delegate") permit (principal in Group::"leads", action == Action::"delegate", resource in Group::"leads");
"#;

fn lending() -> Bundle {
    bundle(DIRECTORY, &format!("{POLICIES}{LENDS}"))
}

/// The case with the consent of `delegate` as an owner, by the right of `lender`.
fn consented(case: Case, delegate: &str, lender: Option<&str>) -> Case {
    approved_for(case, delegate, lender, &["owner"])
}

#[test]
fn a_right_is_lent_as_the_policy_says_and_never_to_or_by_the_requester() {
    let bundle = lending();
    // (who asks, lender, delegate) → the kinds that counts as.
    let rows = [
        (human("mia"), "ada", "cleo", "owner"),
        // It is the lender's right, and Cleo has none herself.
        (human("mia"), "cleo", "ada", ""),
        (human("mia"), "cleo", "dora", ""),
        // The lender or the delegate is who asks, or answers for the job that asks.
        (human("ada"), "ada", "cleo", ""),
        (human("cleo"), "ada", "cleo", ""),
        (ci("main"), "ada", "cleo", ""),
        (ci("main"), "cleo", "ada", ""),
        (ci("main"), "ada", "dora", "owner"),
        // To oneself, to and by strangers, to whom the policy does not let them, and where a guardrail looks at who acts.
        (human("mia"), "ada", "ada", ""),
        (human("mia"), "ada", "stranger", ""),
        (human("mia"), "stranger", "cleo", ""),
        (human("dora"), "ada", "mia", ""),
        (human("mia"), "ada", "carl", ""),
    ];
    for (asker, lender, delegate, expected) in rows {
        let case = wanted(asker.clone(), "prod-admin", "1h").case(now());
        let kinds = kinds_lent(&bundle, &case, &user(lender), &user(delegate), now());
        let who = format!("{delegate} for {lender}, asked by {}", asker.id);
        assert_eq!(kinds_line(&kinds), expected, "{who}");
        // And a record that says otherwise is not believed.
        if lender != delegate {
            let case = consented(case, delegate, Some(lender));
            let granted = decide(&bundle, &case, now()).granted().is_some();
            assert_eq!(granted, expected == "owner", "{who}");
        }
    }
    // What is lent to Cleo does not make her an owner.
    let case = wanted(human("mia"), "prod-admin", "1h").case(now());
    assert!(kinds_permitted(&bundle, &case, &user("cleo"), now()).is_empty());
}

#[test]
fn who_may_lend_whom_is_policy_and_nobody_lends_to_themselves() {
    let everyone = bundle(
        DIRECTORY,
        r#"@id("delegate") permit (principal, action == Action::"delegate", resource);"#,
    );
    let rows = [
        (&lending(), "ada", "cleo", true),
        (&lending(), "cleo", "ada", true),
        (&lending(), "ada", "mia", false),
        (&lending(), "mia", "ada", false),
        (&everyone, "mia", "ada", true),
        (&everyone, "ada", "ada", false),
        (&everyone, "ada", "stranger", false),
        (&everyone, "stranger", "ada", false),
        (&bundle(DIRECTORY, POLICIES), "ada", "cleo", false),
    ];
    for (bundle, lender, delegate, expected) in rows {
        let may = may_delegate(bundle, &user(lender), &user(delegate));
        assert_eq!(may, expected, "{lender} to {delegate}");
    }
}

#[test]
fn a_lender_and_a_delegate_are_one_consent() {
    let bundle = lending();
    type Row = (&'static [(&'static str, Option<&'static str>)], bool);
    // Two owners have to consent.
    let rows: [Row; 6] = [
        (&[("ada", None), ("ben", None)], true),
        (&[("ada", None), ("cleo", Some("ben"))], true),
        (&[("dora", Some("ada")), ("cleo", Some("ben"))], true),
        // The lender too, another delegate of the same lender, and one delegate of two lenders.
        (&[("ada", None), ("cleo", Some("ada"))], false),
        (&[("dora", Some("ada")), ("cleo", Some("ada"))], false),
        (&[("cleo", Some("ada")), ("cleo", Some("ben"))], false),
    ];
    for (consents, enough) in rows {
        let [first, second] = consents else {
            panic!("two consents");
        };
        let case = wanted(human("mia"), "staging-admin", "1h").case(now());
        let one = consented(case.clone(), first.0, first.1);
        assert!(decide(&bundle, &one, now()).granted().is_none());
        // The case takes no second consent of the same person.
        let again = std::panic::catch_unwind(|| consented(one.clone(), second.0, second.1));
        assert_eq!(again.is_ok(), enough, "{consents:?}");
        if let Ok(both) = again {
            assert!(decide(&bundle, &both, now()).granted().is_some());
        }
    }
}

#[test]
fn a_lent_right_counts_as_long_as_all_that_it_rests_on() {
    let case = wanted(human("mia"), "prod-admin", "1h").case(now());
    let case = consented(case, "cleo", Some("ada"));
    let lent = format!("{POLICIES}{LENDS}");
    let without = |who: &str| {
        let start = DIRECTORY.find(&format!("user \"{who}\"")).unwrap();
        let end = start + DIRECTORY[start..].find("}\n").unwrap() + 2;
        let gone = format!("{}{}", &DIRECTORY[..start], &DIRECTORY[end..]);
        gone.replace(&format!("owner = \"{who}\""), "owner = \"ben\"")
    };
    let rows = [
        (DIRECTORY.to_owned(), lent.clone(), true),
        // The lender lost the right, or left.
        (
            DIRECTORY.replacen(
                "groups = [\"platform-leads\", \"leads\"]",
                "groups = [\"leads\"]",
                1,
            ),
            lent.clone(),
            false,
        ),
        (without("ada"), lent.clone(), false),
        // The delegate left.
        (without("cleo"), lent.clone(), false),
        // The policy lets this pair no more.
        (DIRECTORY.to_owned(), POLICIES.to_owned(), false),
        (
            DIRECTORY.to_owned(),
            lent.replace(
                "principal in Group::\"leads\", action == Action::\"delegate\"",
                "principal == User::\"ben\", action == Action::\"delegate\"",
            ),
            false,
        ),
        (
            DIRECTORY.to_owned(),
            format!(
                "{lent}@id(\"none\") forbid (principal, action == Action::\"delegate\", resource);"
            ),
            false,
        ),
    ];
    for (directory, policies, counts) in rows {
        let bundle = bundle(&directory, &policies);
        let granted = decide(&bundle, &case, now()).granted().is_some();
        assert_eq!(granted, counts, "{directory}\n{policies}");
    }
}

#[test]
fn no_consent_is_made_by_or_for_the_requester() {
    let digest = crate::digest::Digest::of("test", b"");
    let kinds = || BTreeSet::from([kind("owner")]);
    let made = |approver: &str, lender: Option<&str>, kinds| {
        let lender = lender.map(user);
        let made = Approval::new(digest, &user("mia"), user(approver), lender, kinds, now());
        made.map(|_| ())
    };
    let rows = [
        ("cleo", None, Ok(())),
        ("cleo", Some("ada"), Ok(())),
        ("mia", None, Err(ApprovalError::SelfApproval)),
        ("mia", Some("ada"), Err(ApprovalError::SelfApproval)),
        ("cleo", Some("mia"), Err(ApprovalError::SelfApproval)),
        ("cleo", Some("cleo"), Err(ApprovalError::NotPermitted)),
    ];
    for (approver, lender, expected) in rows {
        assert_eq!(made(approver, lender, kinds()), expected, "{approver}");
    }
    assert_eq!(
        made("cleo", None, BTreeSet::new()),
        Err(ApprovalError::NotPermitted)
    );
}

#[test]
fn consent_by_a_lent_right_under_an_erring_forbid_does_not_count() {
    let mut files = shipped_files();
    files.0.retain(|file, _| !file.ends_with(".cedar"));
    let schema = files.0.get_mut("schema.cedarschema").unwrap();
    *schema = schema.replacen("manager?: User,", "manager?: User,\n  level?: Long,", 1);
    let errs = |action: &str| {
        format!(
            r#"{POLICIES}{LENDS}@id("errs") forbid (principal, action == Action::"{action}", resource)
               when {{ principal has level && principal.level * 9223372036854775807 < 0 }};"#
        )
    };
    let levelled = |name: &str| {
        let plain = format!("name = \"{name}\"");
        DIRECTORY.replacen(&plain, &format!("{plain}\nattributes {{ level = 2 }}"), 1)
    };
    let case = wanted(human("mia"), "prod-admin", "1h").case(now());
    let case = consented(case, "cleo", Some("ada"));
    // The forbid errs of Ada, whose right it is, and not of Ben.
    for (action, name, counts) in [
        ("approveOwner", "Ada", false),
        ("delegate", "Ada", false),
        ("approveOwner", "Ben", true),
        ("delegate", "Ben", true),
    ] {
        files.0.insert("access.cedar".to_owned(), errs(action));
        files.0.insert("directory.hcl".to_owned(), levelled(name));
        let granted = decide(&load(&files), &case, now()).granted().is_some();
        assert_eq!(granted, counts, "{action} {name}");
    }
}
