//! The diff against brute force: random bundles, a random change, and every request of a grid put to both.
//!
//! Where the diff says nothing of a principal and a scope, every request of theirs must be decided alike, approvals and
//! approvers included. Where it says that access widened (or narrowed), some request must show it; and where some request
//! shows that access widened (or narrowed), the diff must say so.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use writ_engine::access::WhoKind;
use writ_engine::bundle::BundleFiles;
use writ_engine::decide::{Allowed, Draft, check};
use writ_engine::diff::{Change, Diff, Finding, Severity, Side, diff};
use writ_engine::{
    Bundle, Decision, Duration, Kind, Moment, Principal, PrincipalId, ScopeId, UserId, WorkloadId,
};

const PRINCIPALS: [&str; 6] = [
    "principal in Group::\"engineering\"",
    "principal in Group::\"oncall\"",
    "principal == User::\"mia\"",
    "principal is User in Group::\"payments-leads\"",
    "principal == Workload::\"payments-ci\"",
    "principal",
];
const RESOURCES: [&str; 4] = [
    "resource == Scope::\"prod-db-read\"",
    "resource == Scope::\"staging-admin\"",
    "resource in System::\"payments\"",
    "resource",
];
const CONDITIONS: [&str; 18] = [
    "context.window.duration <= duration(\"1h\")",
    "context.window.duration < duration(\"1h\")",
    "context.window.duration <= duration(\"4h\")",
    "context.approvals.manager >= 1",
    "context.approvals.owner >= 1",
    "context.approvals.owner >= 2",
    "context.approvals.security >= 1",
    "context has ticket",
    "context has ticket && context.ticket like \"INC-*\"",
    "context.window.closes_at <= datetime(\"2026-12-24T00:00:00Z\")",
    "context.window.closes_at < datetime(\"2026-12-24T00:00:00Z\")",
    "context.window.closes_at < datetime(\"2027-01-02T00:00:00Z\")",
    "context.window.opens_at < datetime(\"2026-12-24T00:00:00Z\")",
    "context.window.opens_at <= datetime(\"2026-12-24T00:00:01Z\")",
    "context.window.opens_at > datetime(\"2027-01-02T00:00:00Z\")",
    "context.window.opens_at >= datetime(\"2027-01-02T00:00:00Z\")",
    "context.window.weekday <= 5",
    "resource.environment == \"prod\"",
];
const OF_CONSENT: [&str; 5] = [
    "@id(\"c0\") permit (principal, action == Action::\"approveManager\", resource) when { context.requester has manager && context.requester.manager == principal };",
    "@id(\"c1\") permit (principal, action == Action::\"approveOwner\", resource) when { principal in resource.owners };",
    "@id(\"c2\") permit (principal in Group::\"security\", action == Action::\"approveSecurity\", resource);",
    "@id(\"c3\") permit (principal in Group::\"engineering\", action == Action::\"approveOwner\", resource == Scope::\"staging-admin\") when { context.window.duration <= duration(\"30m\") };",
    "@id(\"c4\") forbid (principal in Group::\"contractors\", action in Action::\"approve\", resource);",
];

#[derive(Debug, Clone)]
struct Policy {
    forbids: bool,
    principal: usize,
    resource: usize,
    conditions: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Texts {
    policies: BTreeMap<usize, Policy>,
    consent: BTreeSet<usize>,
    lead: bool,
    pager: bool,
}

fn policy() -> impl Strategy<Value = Policy> {
    let conditions = proptest::collection::vec(0..CONDITIONS.len(), 0..4);
    let effect = prop_oneof![4 => Just(false), 1 => Just(true)];
    (effect, 0..PRINCIPALS.len(), 0..RESOURCES.len(), conditions).prop_map(
        |(forbids, principal, resource, conditions)| Policy {
            forbids,
            principal,
            resource,
            conditions,
        },
    )
}

fn texts() -> impl Strategy<Value = Texts> {
    (
        proptest::collection::btree_map(0..8_usize, policy(), 1..6),
        proptest::collection::btree_set(0..OF_CONSENT.len(), 1..5),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(policies, consent, lead, pager)| Texts {
            policies,
            consent,
            lead,
            pager,
        })
}

/// One bundle, and another that differs in a thing or two.
fn change() -> impl Strategy<Value = (Texts, Texts)> {
    (
        texts(),
        0..5_usize,
        0..8_usize,
        policy(),
        0..OF_CONSENT.len(),
    )
        .prop_map(|(old, what, number, policy, consent)| {
            let mut new = old.clone();
            match what {
                0 => drop(new.policies.insert(number, policy)),
                1 => {
                    let first = new.policies.keys().next().copied();
                    first.map(|first| new.policies.remove(&first));
                }
                2 => {
                    // One condition more or less of a policy there is.
                    if let Some(own) = new.policies.values_mut().next()
                        && own.conditions.pop().is_none()
                    {
                        own.conditions = policy.conditions;
                    }
                }
                3 => {
                    if !new.consent.remove(&consent) {
                        new.consent.insert(consent);
                    }
                }
                _ => {
                    new.lead = !new.lead;
                    new.pager ^= number % 2 == 0;
                }
            }
            (old, new)
        })
}

impl Texts {
    fn files(&self) -> BundleFiles {
        let mut files = super::fixture::base();
        files.0.retain(|name, _| !name.ends_with(".cedar"));
        let mut text = String::new();
        for (number, policy) in &self.policies {
            let effect = if policy.forbids { "forbid" } else { "permit" };
            // A forbid takes away `unless` what a permit would ask for: the bundle check refuses the contrary.
            let clause = if policy.forbids { "unless" } else { "when" };
            let conditions: Vec<&str> = policy
                .conditions
                .iter()
                .map(|number| CONDITIONS[*number])
                .collect();
            let conditions = match conditions.is_empty() {
                true => String::new(),
                false => format!(" {clause} {{ {} }}", conditions.join(" && ")),
            };
            let (principal, resource) = (PRINCIPALS[policy.principal], RESOURCES[policy.resource]);
            text.push_str(&format!(
                "@id(\"p{number}\") {effect} ({principal}, action == Action::\"activate\", {resource}){conditions};\n"
            ));
        }
        for number in &self.consent {
            text.push_str(OF_CONSENT[*number]);
            text.push('\n');
        }
        files.0.insert("access.cedar".to_owned(), text);
        let directory = files.0.get_mut("directory.hcl").unwrap();
        if self.lead {
            *directory = directory.replacen(
                "groups  = [\"oncall\"]",
                "groups  = [\"oncall\", \"payments-leads\"]",
                1,
            );
        }
        if self.pager {
            *directory =
                directory.replacen("groups  = [\"engineering\"]", "groups  = [\"oncall\"]", 1);
        }
        files
    }
}

fn principals() -> Vec<Principal> {
    let mut all: Vec<Principal> = ["mia", "pat", "lee", "sam", "zoe", "dana"]
        .map(|name| Principal::user(UserId::new(name).unwrap()))
        .into();
    let claims = [
        ("repository_id", "4201"),
        ("repository_owner_id", "77"),
        ("ref", "refs/heads/main"),
        ("event_name", "push"),
    ];
    let claims = claims.map(|(name, value)| (name.to_owned(), value.to_owned()));
    all.push(Principal::workload(
        WorkloadId::new("payments-ci").unwrap(),
        claims.into(),
    ));
    all
}

/// What a decision gives: nothing, or each minimal set of approvals with everyone who could give them.
type Given = BTreeMap<BTreeMap<Kind, u32>, BTreeMap<Kind, BTreeSet<UserId>>>;

fn given(decision: &Decision<Allowed>) -> Given {
    match decision {
        Decision::Granted(_) => BTreeMap::from([(BTreeMap::new(), BTreeMap::new())]),
        Decision::NeedsApproval(needs) => needs
            .ways
            .iter()
            .map(|way| {
                let who = way
                    .who
                    .iter()
                    .map(|(kind, who)| (kind.clone(), who.people.clone()));
                (way.needs.clone(), who.collect())
            })
            .collect(),
        Decision::Denied(_) => BTreeMap::new(),
    }
}

/// Whether `more` gives something that `less` does not.
fn exceeds(more: &Given, less: &Given) -> bool {
    let covers = |needs: &BTreeMap<Kind, u32>, fewer: &BTreeMap<Kind, u32>| {
        fewer
            .iter()
            .all(|(kind, count)| needs.get(kind).copied().unwrap_or(0) >= *count)
    };
    more.iter().any(|(needs, who)| {
        !less.keys().any(|fewer| covers(needs, fewer))
            || less.get(needs).is_some_and(|others| {
                who.iter().any(|(kind, people)| {
                    others
                        .get(kind)
                        .is_none_or(|others| !people.is_subset(others))
                })
            })
    })
}

#[derive(Default)]
struct Seen {
    widened: bool,
    narrowed: bool,
}

/// A Saturday, a Tuesday, three hours before the freeze, and the seconds right beside each moment that the conditions name.
/// Each case asks at one of them: other bundles find more faults than the same ones at other moments do.
const NOWS: [&str; 12] = [
    "2026-11-21T09:00:00Z",
    "2026-11-24T09:00:00Z",
    "2026-12-23T21:00:00Z",
    "2026-12-23T23:59:58Z",
    "2026-12-23T23:59:59Z",
    "2026-12-24T00:00:00Z",
    "2026-12-24T00:00:01Z",
    "2026-12-24T00:00:02Z",
    "2027-01-01T23:59:58Z",
    "2027-01-01T23:59:59Z",
    "2027-01-02T00:00:00Z",
    "2027-01-02T00:00:01Z",
];

/// Puts every request of the grid to both bundles.
fn brute_force(
    [old, new]: [&Bundle; 2],
    principal: &Principal,
    scope: &ScopeId,
    now: Moment,
) -> Seen {
    let mut seen = Seen::default();
    for duration in [
        "1s", "2s", "3s", "10m", "30m", "31m", "59m59s", "1h", "3h", "3h1s", "4h", "12h",
    ] {
        for ticket in [None, Some("TICKET-1"), Some("INC-7")] {
            let draft = Draft {
                principal,
                scope,
                duration: duration.parse::<Duration>().unwrap(),
                reason: "a reason",
                ticket,
            };
            let [was, is] = [old, new].map(|bundle| given(&check(bundle, &draft, now)));
            seen.widened |= exceeds(&is, &was);
            seen.narrowed |= exceeds(&was, &is);
        }
    }
    seen
}

fn is_of(finding: &Finding, id: &PrincipalId, scope: &ScopeId) -> bool {
    let kind = match id {
        PrincipalId::User(_) => WhoKind::User,
        PrincipalId::Workload(_) => WhoKind::Workload,
    };
    let named = finding.principals.iter();
    finding.scope.as_ref() == Some(scope)
        && named
            .clone()
            .any(|who| who.kind == kind && who.name == id.name())
}

fn says(report: &Diff, id: &PrincipalId, scope: &ScopeId) -> Seen {
    let mut said = Seen::default();
    for finding in report
        .findings
        .iter()
        .filter(|finding| is_of(finding, id, scope))
    {
        match finding.change {
            Change::ApprovalReplaced => {
                said.widened = true;
                said.narrowed = true;
            }
            Change::ApproversWidened => said.widened = true,
            // About what the policy says of one's own request, which no request shows.
            Change::SelfApprovalEnabled | Change::ScopeWithoutApprover => {}
            change if change.severity() >= Severity::High => said.widened = true,
            _ => said.narrowed = true,
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_diff_says_is_what_brute_force_shows((old, new) in change(), now in 0..NOWS.len()) {
        let (before, after) = (old.files(), new.files());
        let (Ok(old), Ok(new)) = (Bundle::load(&before), Bundle::load(&after)) else {
            // A forbid for a workload that a condition makes senseless, and the like.
            return Err(TestCaseError::reject("not a bundle"));
        };
        let report = diff(
            Side { files: &before, bundle: &old },
            Side { files: &after, bundle: &new },
        ).unwrap();
        let now: Moment = NOWS[now].parse().unwrap();
        for scope in ["prod-db-read", "staging-admin", "prod-admin"] {
            let scope = ScopeId::new(scope).unwrap();
            for principal in principals() {
                let said = says(&report, &principal.id, &scope);
                let seen = brute_force([&old, &new], &principal, &scope, now);
                // The grid is coarser than the diff, so what the diff says need not show in it; the diff's own example must.
                prop_assert!(said.widened || !seen.widened, "missed: {} gains in {scope}", principal.id);
                prop_assert!(said.narrowed || !seen.narrowed, "missed: {} loses in {scope}", principal.id);
            }
        }
        for finding in &report.findings {
            if finding.scope.is_some() && finding.example.is_none() {
                prop_assert!(
                    [Change::SelfApprovalEnabled, Change::NotEnumerated].contains(&finding.change),
                    "no example: {finding:?}"
                );
            }
            if let Some(example) = &finding.example {
                let principal = match example.principal.kind {
                    WhoKind::User => Principal::user(UserId::new(&example.principal.name).unwrap()),
                    WhoKind::Workload => Principal::workload(
                        WorkloadId::new(&example.principal.name).unwrap(),
                        example.claims.clone(),
                    ),
                };
                let draft = Draft {
                    principal: &principal,
                    scope: finding.scope.as_ref().unwrap(),
                    duration: Duration::from_s(example.duration_s).unwrap(),
                    reason: &example.reason,
                    ticket: example.ticket.as_deref(),
                };
                let now: Moment = example.opens_at.parse().unwrap();
                let [was, is] = [&old, &new].map(|bundle| given(&check(bundle, &draft, now)));
                prop_assert!(was != is, "not shown: {finding:?}");
                match finding.change {
                    Change::ApprovalReplaced | Change::ScopeWithoutApprover => {}
                    change if change.severity() >= Severity::High => {
                        prop_assert!(exceeds(&is, &was), "no gain: {finding:?}");
                    }
                    Change::ApproversWidened => prop_assert!(exceeds(&is, &was), "no gain: {finding:?}"),
                    _ => prop_assert!(exceeds(&was, &is), "no loss: {finding:?}"),
                }
            }
        }
    }
}

/// Enough to see each kind of change a few times; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(64)
}
