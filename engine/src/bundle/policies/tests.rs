//! Loading, seen from inside: facts, entities, and the limits that keep Cedar's parser safe.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::bundle::directory::{Directory, Group, User, Workload};
use crate::bundle::{BundleFiles, Report};
use crate::principal::{Principal, UserId, WorkloadId};
use crate::scope::{AwsTarget, RoleArn, Scope, ScopeId};

fn user_id(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn directory() -> Directory {
    let mut directory = Directory::default();
    for (name, groups) in [
        ("engineering", vec![]),
        ("oncall", vec!["engineering"]),
        ("payments-leads", vec!["engineering"]),
        ("platform-leads", vec!["engineering"]),
        ("security", vec![]),
        ("contractors", vec![]),
        ("auditors", vec![]),
    ] {
        let group = Group {
            groups: names(&groups),
            description: String::new(),
        };
        directory.groups.insert(name.to_owned(), group);
    }
    for (name, manager, group) in [
        ("mia", Some("pat"), "engineering"),
        ("pat", None, "payments-leads"),
        ("lee", Some("pat"), "payments-leads"),
        ("zoe", None, "security"),
    ] {
        let user = User {
            display_name: name.to_owned(),
            manager: manager.map(user_id),
            groups: names(&[group]),
            attributes: BTreeMap::new(),
        };
        directory.users.insert(user_id(name), user);
    }
    let workload = Workload {
        owner: user_id("lee"),
        groups: BTreeSet::new(),
        pinned: BTreeMap::new(),
    };
    directory
        .workloads
        .insert(WorkloadId::new("payments-ci").unwrap(), workload);
    directory
}

fn catalog() -> BTreeMap<ScopeId, Scope> {
    [
        "payments-deploy",
        "prod-db-read",
        "staging-admin",
        "prod-admin",
    ]
    .map(|name| {
        let id = ScopeId::new(name).unwrap();
        let scope = Scope {
            id: id.clone(),
            description: String::new(),
            system: "payments".to_owned(),
            environment: "prod".to_owned(),
            owners: "payments-leads".to_owned(),
            request_ttl_s: 3_600,
            activation_ttl_s: 3_600,
            break_glass: None,
            escalation: None,
            aws: AwsTarget {
                role_arn: RoleArn::new("arn:aws:iam::123456789012:role/jit").unwrap(),
                region: "eu-west-1".to_owned(),
                statements: Vec::new(),
                max_session_s: 3_600,
                lease_s: None,
            },
        };
        (id, scope)
    })
    .into()
}

pub(super) const SCHEMA: &str = include_str!("../../../../policies/schema.cedarschema");

pub(super) fn load(files: &[(&str, &str)]) -> Result<Policies, String> {
    let mut all = BTreeMap::from([(SCHEMA_FILE.to_owned(), SCHEMA.to_owned())]);
    for (file, text) in files {
        all.insert((*file).to_owned(), (*text).to_owned());
    }
    let mut report = Report::default();
    Policies::load(&BundleFiles(all), &catalog(), &directory(), &mut report)
        .ok_or_else(|| report.to_string())
}

fn shipped() -> Policies {
    load(&[
        (
            "access.cedar",
            include_str!("../../../../policies/access.cedar"),
        ),
        (
            "approvals.cedar",
            include_str!("../../../../policies/approvals.cedar"),
        ),
        (
            "guardrails.cedar",
            include_str!("../../../../policies/guardrails.cedar"),
        ),
    ])
    .unwrap_or_else(|report| panic!("{report}"))
}

fn facts<'a>(policies: &'a Policies, id: &str) -> &'a PolicyFacts {
    &policies.facts[&PolicyId::new(id)]
}

#[test]
fn the_shipped_policies_are_what_the_search_needs_to_know() {
    let policies = shipped();
    assert_eq!(policies.set.policies().count(), 25);
    let kinds: Vec<&str> = policies.kinds.iter().map(Kind::as_str).collect();
    assert_eq!(kinds, ["manager", "owner", "security"]);

    let long = facts(&policies, "proddb.read.engineer.long");
    assert!(!long.forbids && long.reads_ticket);
    assert_eq!(long.durations_s, BTreeSet::from([28_799, 28_800]));
    let counts: Vec<_> = long.counts.iter().map(|(k, n)| (k.as_str(), *n)).collect();
    assert_eq!(counts, [("owner", 2)]);
    let texts: Vec<&str> = long.conditions.iter().map(|c| c.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "context has ticket",
            "context.approvals.owner >= 1",
            "context.window.duration <= duration(\"8h\")",
        ]
    );

    let freeze = facts(&policies, "guard.freeze.2026-12");
    assert!(freeze.forbids && !freeze.reads_ticket);
    let start: Moment = "2026-12-24T00:00:00Z".parse().unwrap();
    assert_eq!(freeze.closes_at, BTreeSet::from([start]));
    assert!(
        freeze
            .advice
            .as_deref()
            .is_some_and(|advice| advice.contains("frozen"))
    );

    let ci = facts(&policies, "payments.deploy.ci");
    assert_eq!(ci.place.file, "access.cedar");
    assert_eq!(
        ci.conditions[0].text,
        "principal.ref == \"refs/heads/main\""
    );
    assert_eq!(ci.conditions[0].paths, [["principal", "ref"]]);
}

#[test]
fn approvers_are_found_by_what_their_policy_compares_them_with() {
    let policies = shipped();
    let path = |names: &[&str]| HintTarget::Path(names.iter().map(|n| (*n).to_owned()).collect());
    for (id, expected) in [
        (
            "approve.manager",
            Some((HintOp::Eq, path(&["context", "requester", "manager"]))),
        ),
        (
            "approve.owner",
            Some((HintOp::In, path(&["resource", "owners"]))),
        ),
        ("approve.security", None),
    ] {
        let hint = facts(&policies, id).principal_hint.clone();
        assert_eq!(hint.map(|hint| (hint.op, hint.target)), expected, "{id}");
    }
}

#[test]
fn conditions_are_told_as_they_are_written() {
    let policies = load(&[(
        "a.cedar",
        r#"@id("a") permit (principal is Workload, action == Action::"activate", resource)
        when { ((principal.ref like "refs/tags/*" // a comment
               || principal.ref == "a && b")) && (principal has environment && principal.environment == "x") }
        unless { principal.run_id == "1" || (principal.run_id == "2" && principal.repository == "r") };"#,
    )])
    .unwrap();
    let texts: Vec<&str> = facts(&policies, "a")
        .conditions
        .iter()
        .map(|c| c.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            "principal.ref like \"refs/tags/*\" || principal.ref == \"a && b\"",
            "principal has environment",
            "principal.environment == \"x\"",
            "!(principal.run_id == \"1\")",
            "!(principal.run_id == \"2\" && principal.repository == \"r\")",
        ]
    );
}

#[test]
fn a_workload_is_decided_on_with_the_claims_of_its_token() {
    let (policies, directory) = (shipped(), directory());
    let scope = ScopeId::new("payments-deploy").unwrap();
    let ci = Principal::workload(
        WorkloadId::new("payments-ci").unwrap(),
        BTreeMap::from([("ref".to_owned(), "refs/heads/main".to_owned())]),
    );
    let uid = policies.types.principal(&ci.id);
    let pat = user_id("pat");
    let few = policies
        .entities_for(&directory, &ci, &scope, [&pat])
        .unwrap();
    let value = |entities: &Entities, name: &str| {
        entities
            .get(&uid)
            .and_then(|e| e.attr(name))
            .map(|v| v.unwrap().to_string())
    };
    assert_eq!(value(&few, "ref").as_deref(), Some("\"refs/heads/main\""));
    assert_eq!(value(&few, "run_id").as_deref(), Some("\"\""));
    assert_eq!(value(&few, "environment"), None);
    assert_eq!(value(&policies.entities, "ref").as_deref(), Some("\"\""));
    let engineering = "Group::\"engineering\"".parse().unwrap();
    assert!(few.is_ancestor_of(&engineering, &policies.types.user(&pat)));
    assert!(few.get(&policies.types.action("approveOwner")).is_some());
    assert!(few.get(&policies.types.user(&user_id("mia"))).is_none());

    let mia = Principal::user(user_id("mia"));
    let shared = policies.entities_for(&directory, &mia, &scope, []).unwrap();
    assert!(matches!(shared, std::borrow::Cow::Borrowed(_)));
}

#[test]
fn a_comparison_that_never_changes_is_not_held_against_a_policy() {
    for (condition, accepted) in [
        ("context.window.duration > duration(\"0ms\")", true),
        ("context.window.duration >= duration(\"1s\")", true),
        ("context.window.duration > duration(\"1s\")", false),
        ("context.window.duration >= duration(\"1001ms\")", false),
        ("context.window.duration > duration(\"12h\")", true),
        ("context.window.duration >= duration(\"12h\")", false),
        ("context.window.duration == duration(\"13h\")", true),
        (
            "context.approvals.owner >= 0 && context.approvals.owner > -1",
            true,
        ),
        ("context.approvals.owner < 0", true),
        ("context.approvals.owner <= 0", false),
    ] {
        let policy = format!(
            "@id(\"a\") permit (principal, action == Action::\"activate\", resource) when {{ {condition} }};"
        );
        assert_eq!(
            load(&[("a.cedar", &policy)]).is_ok(),
            accepted,
            "{condition}"
        );
    }
}
