//! Golden files of what people and scripts see: `tests/transcripts/*.txt`. WRIT_BLESS=1 writes them anew, for review.

use std::collections::HashMap;
use std::path::Path;

use clap::CommandFactory as _;
use similar::TextDiff;
use writ_api::problem::{Problem, Reason};
use writ_api::v1;
use writ_api::v1::break_glass::Announcement;
use writ_api::v1::request::State;
use writ_engine::approval::{Approval, Kind};
use writ_engine::delegation::{Delegation, DelegationId};
use writ_engine::digest::{Commitment, Digest};
use writ_engine::event::{Event, Fact, Outcome, Verdict, canonical};
use writ_engine::request::{BreakGlass, Extension, Request};
use writ_engine::scope::RoleArn;
use writ_engine::{
    Duration, Moment, Notice, Principal, PrincipalId, RequestId, ScopeId, UserId, Window,
};

use crate::explain::{self, Asked};
use crate::failure::Failure;
use crate::screen::Paint;
use crate::{document, story, verbs};

fn golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transcripts")
        .join(name);
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{name} differs; WRIT_BLESS=1 takes the new text\n{}",
        TextDiff::from_lines(expected.as_str(), actual).unified_diff()
    );
}

/// 2026-11-21T09:00:00Z and so many seconds.
fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: 1_795_251_600 + seconds,
        nanos: 0,
    })
}

fn now() -> Moment {
    "2026-11-21T09:00:05Z".parse().unwrap()
}

fn policy(id: &str, file: &str, line: u32) -> v1::PolicyRef {
    v1::PolicyRef {
        id: id.to_owned(),
        file: file.to_owned(),
        line,
    }
}

fn need(kind: &str, count: u32, people: &[&str], more: bool) -> v1::Need {
    v1::Need {
        kind: kind.to_owned(),
        count,
        people: people.iter().map(|name| (*name).to_owned()).collect(),
        more,
    }
}

fn manager() -> v1::Way {
    v1::Way {
        needs: vec![need("manager", 1, &["pat"], false)],
        feasible: true,
        because: vec![policy("proddb.read.engineer", "access.cedar", 21)],
    }
}

fn two_people() -> v1::Way {
    v1::Way {
        needs: vec![
            need("owner", 1, &["ann", "bob", "cy"], true),
            need("security", 1, &["sam"], false),
        ],
        feasible: true,
        because: vec![policy("admin.two-person", "access.cedar", 40)],
    }
}

fn needs() -> v1::Decision {
    v1::Decision {
        outcome: Some(v1::decision::Outcome::NeedsApproval(v1::NeedsApproval {
            counted: HashMap::new(),
            ways: vec![manager(), two_people()],
        })),
    }
}

fn unmet() -> v1::Denial {
    v1::Denial {
        why: v1::denial::Why::Unmet as i32,
        findings: vec![v1::PolicyFinding {
            policy: Some(policy("payments.deploy", "access.cedar", 12)),
            advice: "deploy from `main`".to_owned(),
            conditions: vec![v1::Condition {
                text: "principal.ref == \"refs/heads/main\"".to_owned(),
                values: HashMap::from([(
                    "principal.ref".to_owned(),
                    "\"refs/heads/try\u{1b}[2J\"".to_owned(),
                )]),
            }],
        }],
        nearest: Some(v1::Nearest {
            duration: Some(prost_types::Duration {
                seconds: 1_800,
                nanos: 0,
            }),
            add_ticket: true,
            ways: vec![manager()],
        }),
    }
}

fn asked() -> Asked {
    Asked {
        verb: "request",
        what: "payments-deploy".to_owned(),
        duration: Duration::from_s(5_400).unwrap(),
        reason: Some("ship it".to_owned()),
        ticket: None,
        break_glass: false,
    }
}

fn window() -> Option<v1::Window> {
    Some(v1::Window {
        opens_at: at(60),
        closes_at: at(2_760),
    })
}

fn request(state: Option<State>) -> v1::Request {
    v1::Request {
        id: "01KB7V3ZKQ8Y6T5R4E3W2Q7F3K".to_owned(),
        principal: Some(v1::Principal {
            kind: Some(v1::principal::Kind::User("mia".to_owned())),
            claims: HashMap::new(),
            person: "mia".to_owned(),
        }),
        scope: "prod-db-read".to_owned(),
        duration: Some(prost_types::Duration {
            seconds: 2_700,
            nanos: 0,
        }),
        reason: "INC-42: p99 is up\u{202e}".to_owned(),
        ticket: Some("INC-42".to_owned()),
        requested_at: at(0),
        digest: "ab".repeat(32),
        approvals: Vec::new(),
        state,
        ..v1::Request::default()
    }
}

fn approval(approver: &str, on_behalf_of: Option<&str>) -> v1::Approval {
    v1::Approval {
        approver: approver.to_owned(),
        kinds: vec!["manager".to_owned(), "owner".to_owned()],
        approved_at: at(30),
        on_behalf_of: on_behalf_of.map(str::to_owned),
    }
}

fn span(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn active() -> v1::Request {
    request(Some(State::Active(v1::ActiveState {
        window: window(),
        live_sessions: 1,
    })))
}

fn released() -> v1::Request {
    request(Some(State::Released(v1::ReleasedState {
        released_at: at(50),
    })))
}

/// Somebody consented to less, and used a right that is lent; the scope asks others next.
fn less() -> Vec<v1::Request> {
    let mut given = request(Some(State::Approved(v1::ApprovedState {
        approved_at: at(30),
        activate_by: at(28_800),
    })));
    given.asked_for = span(14_400);
    given.approvals = vec![approval("lee", Some("pat\u{7}")), approval("ann", None)];
    let mut waits = every_state().swap_remove(0);
    waits.asked_for = span(14_400);
    waits.escalation = Some(v1::Escalation {
        since: at(3),
        group: "platform-leads".to_owned(),
        people: vec!["ann".to_owned(), "bob".to_owned()],
    });
    let mut nobody = waits.clone();
    nobody.escalation = nobody.escalation.map(|it| v1::Escalation {
        people: Vec::new(),
        ..it
    });
    vec![given, waits, nobody]
}

/// A longer window: one that waits, one that cannot be had, one in a list, and one that was given.
fn longer() -> Vec<v1::Request> {
    let wish = |decision| {
        let mut request = active();
        request.extension = Some(v1::Extension {
            duration: span(7_200),
            reason: "the failover is not done\u{7}".to_owned(),
            requested_at: at(40),
            digest: "cd".repeat(32),
            approvals: vec![approval("lee", None)],
            decision,
        });
        request
    };
    let denied = v1::Decision {
        outcome: Some(v1::decision::Outcome::Denial(unmet())),
    };
    let mut given = active();
    if let Some(State::Active(active)) = &mut given.state {
        active.window = Some(v1::Window {
            opens_at: at(60),
            closes_at: at(7_260),
        });
    }
    vec![wish(Some(needs())), wish(Some(denied)), wish(None), given]
}

/// Emergencies: not yet used, announced or not, used, over, overdue, reviewed, and ended unused.
fn emergencies() -> Vec<v1::Request> {
    let told = v1::BreakGlass {
        announced_to: vec!["ann".to_owned(), "b\u{1b}ob".to_owned()],
        ..v1::BreakGlass::default()
    };
    let owed = |review_by| v1::BreakGlass {
        review_by,
        ..told.clone()
    };
    let with = |mut request: v1::Request, it| {
        request.break_glass = Some(it);
        request
    };
    let states = every_state();
    let find = |name| {
        let named = |it: &&v1::Request| document::state_name(it.state.as_ref()) == name;
        states.iter().find(named).unwrap().clone()
    };
    let closed = v1::BreakGlass {
        reviewer: Some("zoe".to_owned()),
        reviewed_at: at(4),
        finding: "one table was read\u{7}".to_owned(),
        ..told.clone()
    };
    let so_far = |announcement: Announcement, announced_at| v1::BreakGlass {
        announcement: announcement.into(),
        announced_at,
        ..told.clone()
    };
    vec![
        with(find("APPROVED"), told.clone()),
        with(find("APPROVED"), so_far(Announcement::Waiting, None)),
        with(find("APPROVED"), so_far(Announcement::NotPossible, None)),
        with(active(), so_far(Announcement::Taken, at(5))),
        with(active(), owed(at(259_200))),
        with(released(), owed(at(259_200))),
        with(find("EXPIRED"), owed(at(-90_000))),
        with(released(), closed),
        with(find("LAPSED"), v1::BreakGlass::default()),
    ]
}

/// An early end at each of its steps.
fn ends() -> Vec<v1::Request> {
    use v1::revocation::State as Denying;
    let step = |state: Denying, detail: &str| v1::Revocation {
        state: state.into(),
        requested_at: at(50),
        written_at: at(52),
        verified_at: at(55),
        sessions_end_at: at(3_660),
        detail: detail.to_owned(),
    };
    let steps = [
        step(Denying::Requested, ""),
        step(Denying::Requested, "Throttling\u{7}"),
        step(Denying::Written, "NotYetInForce"),
        step(Denying::Verified, ""),
        step(Denying::Ended, ""),
        step(Denying::NotPossible, ""),
        step(Denying::Unspecified, ""),
    ];
    let ended = |step| {
        let mut request = released();
        request.revocation = Some(step);
        request
    };
    steps.into_iter().map(ended).collect()
}

/// What a story adds to the states, with an id for each.
fn every_story() -> Vec<v1::Request> {
    let stories = [less(), longer(), emergencies(), ends()];
    let mut requests: Vec<_> = stories.into_iter().flatten().collect();
    for (place, request) in requests.iter_mut().enumerate() {
        request.id = format!("01KB7V3ZKQ8Y6T5R4E3{place:02}Q7F3K");
    }
    requests
}

fn every_state() -> Vec<v1::Request> {
    let states = vec![
        Some(State::Pending(v1::PendingState {
            decide_by: at(3_600),
            decision: Some(needs()),
        })),
        Some(State::Pending(v1::PendingState {
            decide_by: at(3_600),
            decision: Some(v1::Decision {
                outcome: Some(v1::decision::Outcome::Denial(unmet())),
            }),
        })),
        Some(State::Approved(v1::ApprovedState {
            approved_at: at(30),
            activate_by: at(28_800),
        })),
        Some(State::Active(v1::ActiveState {
            window: window(),
            live_sessions: 2,
        })),
        Some(State::Expired(v1::ExpiredState { window: window() })),
        Some(State::Denied(v1::DeniedState {
            approver: "pat".to_owned(),
            reason: "not today\u{7}".to_owned(),
            denied_at: at(50),
        })),
        Some(State::Withdrawn(v1::WithdrawnState {
            withdrawn_at: at(50),
        })),
        Some(State::Lapsed(v1::LapsedState { lapsed_at: at(50) })),
        Some(State::Released(v1::ReleasedState {
            released_at: at(50),
        })),
        Some(State::Revoked(v1::RevokedState {
            by: "zoe".to_owned(),
            reason: "her laptop is gone\u{7}".to_owned(),
            revoked_at: at(50),
        })),
        None,
    ];
    states.into_iter().map(request).collect()
}

#[test]
fn each_state_in_one_line_and_whole() {
    let mut text = String::new();
    for mut request in every_state() {
        text.push_str(&format!("$ {}\n", story::status(Paint::Plain, &request)));
        if matches!(request.state, Some(State::Approved(_) | State::Active(_))) {
            request.approvals.push(approval("pat", None));
        }
        text.push_str(&story::whole(Paint::Plain, &request, now()));
        text.push('\n');
    }
    golden("states.txt", &text);
}

#[test]
fn each_story_in_one_line_and_whole() {
    let mut text = String::new();
    for request in every_story() {
        text.push_str(&story::whole(Paint::Plain, &request, now()));
        if let Some(announcement) = story::emergency::announcement(&request) {
            text.push_str(&format!("! {announcement}\n"));
        }
        text.push('\n');
    }
    text.push_str(&story::list(Paint::Plain, &every_story(), now()));
    assert!(!text.contains(['\u{7}', '\u{1b}']));
    golden("stories.txt", &text);
}

#[test]
fn every_view_of_an_emergency_says_that_it_is_one() {
    for request in emergencies() {
        let views = [
            story::status(Paint::Plain, &request),
            story::whole(Paint::Plain, &request, now()),
            story::list(Paint::Plain, std::slice::from_ref(&request), now()),
        ];
        for view in views {
            assert!(view.contains("[BREAK-GLASS]"), "{view}");
        }
        assert!(!document::request(&request)["break_glass"].is_null());
    }
    for request in [less(), longer(), ends()].into_iter().flatten() {
        let view = story::whole(Paint::Plain, &request, now());
        assert!(!view.contains("BREAK-GLASS"), "{view}");
    }
}

#[test]
fn an_early_end_is_never_called_done_before_it_is() {
    for request in ends() {
        let view = story::whole(Paint::Plain, &request, now());
        let proven = view.contains("verified 20") || view.contains("ended by themselves, ");
        let state = request.revocation.as_ref().map(v1::Revocation::state);
        use v1::revocation::State as Denying;
        let is = matches!(state, Some(Denying::Verified | Denying::Ended));
        assert_eq!(proven, is, "{view}");
        assert!(
            !view.contains("instant") && !view.contains("at once"),
            "{view}"
        );
    }
}

#[test]
fn the_rights_that_are_lent_in_a_table() {
    let lent = |id: &str, from, until, reason: &str| v1::Delegation {
        id: format!("01KB7V3ZKQ8Y6T5R4E3W2Q{id}"),
        lender: "pat".to_owned(),
        delegate: "lee".to_owned(),
        opens_at: at(from),
        closes_at: at(until),
        reason: reason.to_owned(),
    };
    let delegations = [
        lent("7F3K", -60, 604_800, "holiday\u{202e}"),
        lent("9F3K", 86_400, 172_800, ""),
    ];
    let mut text = verbs::delegations::rows(Paint::Plain, &delegations, now());
    text.push_str(&format!("{:#}\n", document::delegation(&delegations[1])));
    golden("delegations.txt", &text);
}

#[test]
fn a_list_of_requests_shows_as_much_of_an_id_as_tells_them_apart() {
    let mut requests = every_state();
    for (place, request) in requests.iter_mut().enumerate() {
        request.id = format!("01KB7V3ZKQ8Y6T5R4E3W{place:X}Q7F3K");
    }
    if let Some(principal) = &mut requests[0].principal {
        principal.kind = Some(v1::principal::Kind::Workload("payments-ci".to_owned()));
    }
    golden("requests.txt", &story::list(Paint::Plain, &requests, now()));
}

#[test]
fn each_decision_of_a_dry_run() {
    let allowed = v1::Decision {
        outcome: Some(v1::decision::Outcome::Allowed(v1::Allowed {
            because: vec![policy("payments.deploy", "access.cedar", 12)],
            counted: HashMap::new(),
        })),
    };
    let nobody = v1::Decision {
        outcome: Some(v1::decision::Outcome::NeedsApproval(v1::NeedsApproval {
            counted: HashMap::from([("owner".to_owned(), 1), ("manager".to_owned(), 1)]),
            ways: vec![v1::Way {
                needs: vec![need("security", 2, &["sam"], false)],
                feasible: false,
                because: Vec::new(),
            }],
        })),
    };
    let mut text = String::new();
    for decision in [Some(&allowed), Some(&needs()), Some(&nobody), None] {
        text.push_str(&explain::decision(Paint::Plain, decision, &asked()));
        text.push('\n');
    }
    let emergency = Asked {
        break_glass: true,
        ..asked()
    };
    let refused = v1::Decision {
        outcome: Some(v1::decision::Outcome::Denial(unmet())),
    };
    for decision in [&allowed, &refused] {
        text.push_str(&explain::decision(Paint::Plain, Some(decision), &emergency));
        text.push('\n');
    }
    for why in 0..=6 {
        let mut denial = unmet();
        denial.why = why;
        if why != v1::denial::Why::Unmet as i32 {
            denial.nearest = None;
        }
        let decision = v1::Decision {
            outcome: Some(v1::decision::Outcome::Denial(denial)),
        };
        text.push_str(&explain::decision(Paint::Plain, Some(&decision), &asked()));
        text.push('\n');
    }
    golden("decisions.txt", &text);
}

#[test]
fn a_refused_call_says_which_policy_and_what_would_work() {
    let refused = Problem::new(
        Reason::RefusedByPolicy,
        "`payments-deploy` for 1h30m is refused",
    )
    .denial(unmet());
    let aws = Problem::new(Reason::AwsRefused, "aws refused the session")
        .aws_code("AccessDenied")
        .hint("check the role's trust policy");
    let missing = Problem::new(Reason::NeedsApproval, "`7F3K` is not approved").needs_approval(
        v1::NeedsApproval {
            counted: HashMap::new(),
            ways: vec![manager()],
        },
    );
    let stranger = Problem::new(Reason::NotAuthenticated, "the token proves nobody");
    let proxy = Problem::from_status(&tonic::Status::unavailable("502\r\n\u{1b}[31mBad"));
    let mut text = String::new();
    for problem in [refused, aws, missing, stranger, proxy] {
        let failure = Failure::from(problem).asked(&asked());
        text.push_str(&failure.text(Paint::Plain));
        text.push_str(&format!("{:#}\n", failure.json()));
        text.push_str(&format!("[exit {}]\n\n", failure.exit.code()));
    }
    // A request that goes on gets no ticket any more, so there is no command for that.
    let longer = Asked {
        verb: "extend",
        what: "7F3K".to_owned(),
        ..asked()
    };
    let mut without_ticket = unmet();
    without_ticket.nearest = without_ticket.nearest.map(|it| v1::Nearest {
        add_ticket: false,
        ..it
    });
    for denial in [unmet(), without_ticket] {
        let refused = Problem::new(Reason::RefusedByPolicy, "request `7F3K` is refused");
        let failure = Failure::from(refused.denial(denial)).asked(&longer);
        text.push_str(&failure.text(Paint::Plain));
        text.push('\n');
    }
    golden("failures.txt", &text);
}

/// Every fact there is, in every way that reads differently.
fn every_fact() -> Vec<Fact> {
    let id = || RequestId::new(now(), [7; 10]);
    let user = |name: &str| UserId::new(name).unwrap();
    let mia = || Principal::user(user("mia"));
    let hour = || Duration::from_s(3_600).unwrap();
    let digest = || Digest::of("writ.test", b"it");
    let text = || Commitment(digest());
    let role = || RoleArn::new("arn:aws:iam::123456789012:role/jit-prod-db-read").unwrap();
    let verdict = |outcome| Verdict {
        bundle: digest(),
        outcome,
        policies: vec!["proddb.read.oncall".to_owned()],
        approvals: Default::default(),
    };
    let window = || Window::opening(now(), hour()).unwrap();
    let request = |break_glass| Request {
        id: id(),
        principal: mia(),
        scope: ScopeId::new("prod-db-read").unwrap(),
        duration: hour(),
        reason: text(),
        ticket: None,
        requested_at: now(),
        decide_by: now(),
        activation_ttl_s: 60,
        bundle: digest(),
        break_glass,
    };
    let requested = |break_glass| Fact::Requested {
        request: request(break_glass),
        idempotency_key: None,
        run: None,
        keep_for_s: None,
        verdict: verdict(Outcome::NeedsApproval),
    };
    let refused = |break_glass| Fact::Refused {
        principal: mia(),
        scope: ScopeId::new("prod-db-read").unwrap(),
        duration: hour(),
        reason: text(),
        ticket: None,
        break_glass,
        verdict: verdict(Outcome::Denied),
    };
    let approved = |on_behalf_of: Option<&str>, narrowed_to| Fact::Approved {
        request: id(),
        approval: Approval::new(
            digest(),
            &user("mia"),
            user("lee"),
            on_behalf_of.map(user),
            [
                Kind::of_action("approveManager").unwrap(),
                Kind::of_action("approveOwner").unwrap(),
            ]
            .into(),
            now(),
        )
        .unwrap(),
        narrowed_to,
        verdict: verdict(Outcome::Granted),
    };
    let longer = |outcome| Fact::ExtensionRequested {
        request: id(),
        extension: Extension {
            number: 1,
            duration: hour(),
            reason: text(),
            requested_at: now(),
            bundle: digest(),
        },
        verdict: verdict(outcome),
    };
    let written = |policy, count: u8, all_before| Fact::RevocationWritten {
        role_arn: role(),
        policy,
        grants: (0..count).map(|n| RequestId::new(now(), [n; 10])).collect(),
        all_before,
    };
    let notified = |notice, people: &[&str]| Fact::Notified {
        request: id(),
        notice,
        people: people.iter().map(|name| user(name)).collect(),
    };
    let delegation = || Delegation {
        id: DelegationId::new(now(), [8; 10]),
        lender: user("pat"),
        delegate: user("lee"),
        opens_at: now(),
        closes_at: now().plus_s(604_800),
        reason: text(),
    };
    vec![
        Fact::BundleLoaded {
            bundle: digest(),
            commit: None,
        },
        requested(None),
        requested(Some(BreakGlass { review_ttl_s: 60 })),
        refused(false),
        refused(true),
        approved(None, None),
        approved(Some("pat"), Some(Duration::from_s(1_800).unwrap())),
        Fact::Denied {
            request: id(),
            approver: user("pat"),
            kinds: vec![],
            reason: text(),
        },
        Fact::Kept {
            request: id(),
            keep_for_s: 60,
        },
        Fact::IssueIntended {
            request: id(),
            session: 1,
            request_digest: digest(),
            window: window(),
            role_arn: role(),
            duration_s: 3_600,
            session_policy: digest(),
            chains: false,
            verdict: verdict(Outcome::Granted),
        },
        Fact::Issued {
            request: id(),
            session: 1,
            access_key_id: "ASIAEXAMPLE".to_owned(),
            expires_at: now(),
        },
        Fact::IssueFailed {
            request: id(),
            session: 2,
            code: "Throttling".to_owned(),
        },
        Fact::IssueUnknown {
            request: id(),
            session: 3,
        },
        longer(Outcome::NeedsApproval),
        longer(Outcome::Granted),
        Fact::ExtensionDenied {
            request: id(),
            extension: digest(),
            approver: user("pat"),
            kinds: vec![],
            reason: text(),
        },
        Fact::Withdrawn {
            request: id(),
            unheard: false,
        },
        Fact::Released {
            request: id(),
            unheard: true,
        },
        Fact::Revoked {
            request: id(),
            by: PrincipalId::User(user("zoe")),
            reason: text(),
        },
        written(Some(digest()), 1, None),
        written(Some(digest()), 9, Some(now())),
        written(Some(digest()), 0, None),
        written(None, 0, None),
        Fact::RevocationVerified {
            role_arn: role(),
            policy: digest(),
        },
        Fact::Reviewed {
            request: id(),
            reviewer: user("zoe"),
            finding: text(),
        },
        notified(Notice::Emergency, &["ann", "bob"]),
        notified(Notice::Escalated, &["ann"]),
        notified(Notice::ConsentWanted, &["ann"]),
        notified(Notice::ReviewOverdue, &[]),
        Fact::Delegated {
            delegation: delegation(),
        },
        Fact::DelegationEnded {
            delegation: delegation().id,
        },
    ]
}

#[test]
fn each_event_of_the_journal_in_words() {
    let mut text = String::new();
    for (sequence, fact) in (0..).zip(every_fact()) {
        let event = Event { at: now(), fact };
        text.push_str(&verbs::journal::line(
            Paint::Plain,
            &v1::Event {
                sequence,
                at: at(5),
                kind: event.fact.name().to_owned(),
                request_id: event
                    .fact
                    .request()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                canonical: canonical(&event),
                texts: Vec::new(),
            },
        ));
    }
    golden("journal.txt", &text);
}

#[test]
fn scopes_in_a_table() {
    let longest = |seconds, ways| {
        Some(v1::Longest {
            duration: Some(prost_types::Duration { seconds, nanos: 0 }),
            ways,
        })
    };
    let scope = |name: &str, without, with| v1::Scope {
        name: name.to_owned(),
        description: format!("What {name} is for"),
        system: "payments".to_owned(),
        environment: "prod".to_owned(),
        owners: "payments-leads".to_owned(),
        without_ticket: without,
        with_ticket: with,
        break_glass: None,
    };
    let in_an_emergency = |seconds, scope| v1::Scope {
        break_glass: longest(seconds, vec![]),
        ..scope
    };
    let scopes = [
        scope("payments-deploy", longest(3_600, vec![]), None),
        scope(
            "prod-db-read",
            longest(3_600, vec![]),
            longest(14_400, vec![manager()]),
        ),
        scope("prod-admin", None, longest(900, vec![two_people()])),
        scope("frozen", None, None),
        in_an_emergency(
            3_600,
            scope("cluster", longest(1_800, vec![manager()]), None),
        ),
        in_an_emergency(3_600, scope("root", None, None)),
    ];
    let mut text = verbs::scopes::list(Paint::Plain, &scopes);
    text.push_str(&format!("{:#}\n", document::scope(&scopes[1])));
    golden("scopes.txt", &text);
}

#[test]
fn the_documents_of_each_state_and_story() {
    let mut requests = every_state();
    requests.extend(
        [less(), longer(), emergencies(), ends()]
            .into_iter()
            .flatten(),
    );
    let documents: Vec<_> = requests.iter().map(document::request).collect();
    let text = format!("{:#}\n", document::document("requests", documents.into()));
    golden("requests.json", &crate::screen::escape_json(&text));
}

#[test]
fn what_the_doctor_says() {
    use writ_broker::doctor::{Check, Finding, Fix, Severity};

    let set_trust = Fix {
        advice: "make this its trust policy".to_owned(),
        policy: Some(serde_json::json!({ "Version": "2012-10-17", "Statement": [] })),
        command: Some("aws iam update-assume-role-policy --role-name jit".to_owned()),
        config: None,
    };
    let finding = |check, scope: Option<&str>, severity, seen: &str, fix| Finding {
        check,
        scope: scope.map(|name| writ_engine::ScopeId::new(name).unwrap()),
        severity,
        seen: seen.to_owned(),
        fix,
    };
    let db = Some("prod-db-read");
    let findings = [
        finding(
            Check::IssuerIdentity,
            None,
            Severity::Ok,
            "`arn:aws:sts::123456789012:assumed-role/writ-issuer/i-0abc`",
            None,
        ),
        finding(
            Check::RevokerIdentity,
            None,
            Severity::Warn,
            "there is no revoker",
            Some(Fix {
                advice: "name one".to_owned(),
                policy: None,
                command: None,
                config: Some("aws {\n  revoker { … }\n}".to_owned()),
            }),
        ),
        finding(
            Check::RoleBoundary,
            db,
            Severity::Skipped,
            "the role was not read",
            None,
        ),
        finding(
            Check::RoleSelfEdit,
            db,
            Severity::Skipped,
            "the role was not read",
            None,
        ),
        finding(
            Check::TrustBroker,
            db,
            Severity::Fail,
            "it trusts the broker, but not for `sts:TagSession`",
            Some(set_trust.clone()),
        ),
        // Others' words do nothing to a terminal.
        finding(
            Check::TrustOthers,
            db,
            Severity::Warn,
            "it also trusts `\u{1b}[2Jarn`",
            Some(set_trust),
        ),
    ];
    let mut text = verbs::doctor::text(Paint::Plain, &findings);
    let json = document::document("doctor", verbs::doctor::json(&findings));
    text.push_str(&crate::screen::escape_json(&format!("\n{json:#}\n")));
    golden("doctor.txt", &text);
}

#[test]
fn the_help_of_every_verb() {
    let mut command = crate::Cli::command().term_width(100);
    command.build();
    let mut text = format!("$ writ --help\n{}\n", command.render_long_help());
    let mut pending: Vec<_> = command.get_subcommands().cloned().collect();
    pending.reverse();
    while let Some(verb) = pending.pop() {
        let mut verb = verb.term_width(100);
        let name = verb.get_bin_name().unwrap_or_default().to_owned();
        // The global options are the same everywhere; the first page has them.
        let help = verb.render_long_help().to_string();
        let own = help
            .split("\nGlobal options:")
            .next()
            .unwrap_or_default()
            .trim_end();
        text.push_str(&format!("$ {name} --help\n{own}\n\n"));
        let mut inner: Vec<_> = verb.get_subcommands().cloned().collect();
        inner.reverse();
        pending.extend(inner);
    }
    golden("help.txt", &text);
}

#[test]
fn no_flag_takes_a_secret() {
    // Every process list shows the command line.
    let mut pending = vec![crate::Cli::command()];
    while let Some(command) = pending.pop() {
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            assert!(!matches!(id, "token" | "secret" | "password"), "{id}");
        }
        pending.extend(command.get_subcommands().cloned());
    }
    crate::Cli::command().debug_assert();
}
