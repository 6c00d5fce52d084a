//! The state diagram of the README, worked out from the code: every step from every state that can be reached is tried, and
//! what it leads to is what the diagram says. `WRIT_BLESS=1` writes it anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::collections::{BTreeMap, BTreeSet};

use writ_engine::approval::Kind;
use writ_engine::digest::{Commitment, Digest, SaltedText};
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::request::{BreakGlass, Extension};
use writ_engine::scope::RoleArn;
use writ_engine::{
    Approval, Case, Duration, Moment, Notice, Principal, PrincipalId, Request, RequestId, ScopeId,
    State, UserId, Window,
};

const START_MS: i64 = 1_800_000_000_000;
const REQUEST_TTL_S: u32 = 600;
const ACTIVATION_TTL_S: u32 = 300;

fn moment(s: u32) -> Moment {
    Moment::from_ms(START_MS).unwrap().plus_s(s)
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        bundle: Digest::of("bundle", b""),
        outcome,
        policies: Vec::new(),
        approvals: BTreeMap::new(),
    }
}

fn commitment() -> Commitment {
    SaltedText {
        salt: [0; 16],
        text: "why".to_owned(),
    }
    .commitment()
}

fn person(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

fn begun(outcome: Outcome) -> Case {
    let request = Request {
        id: RequestId::new(moment(0), [7; 10]),
        principal: Principal::user(person("mia")),
        scope: ScopeId::new("prod-db-read").unwrap(),
        duration: Duration::from_s(200).unwrap(),
        reason: commitment(),
        ticket: None,
        requested_at: moment(0),
        decide_by: moment(REQUEST_TTL_S),
        activation_ttl_s: ACTIVATION_TTL_S,
        bundle: Digest::of("bundle", b""),
        break_glass: Some(BreakGlass { review_ttl_s: 60 }),
    };
    let fact = Fact::Requested {
        request,
        idempotency_key: None,
        run: None,
        keep_for_s: None,
        verdict: verdict(outcome),
    };
    let event = Event {
        at: moment(0),
        fact,
    };
    Case::begin(&event, Some("why".to_owned())).unwrap()
}

/// Every fact that could be put to a case at `now`.
fn steps(case: &Case, now: Moment) -> Vec<Fact> {
    let request = case.request().id.clone();
    let approval = |name: &str, digest| {
        let kinds = BTreeSet::from([Kind::of_action("approveManager").unwrap()]);
        Approval::new(digest, &person("mia"), person(name), None, kinds, now).unwrap()
    };
    let window = match case.state(now) {
        State::Active(window) => window,
        _ => Window::opening(now, case.request().duration).unwrap(),
    };
    let longer = Extension {
        number: case.next_extension(),
        duration: Duration::from_s(window.duration().as_s() + 100).unwrap(),
        reason: commitment(),
        requested_at: now,
        bundle: Digest::of("bundle", b""),
    };
    let session = case.next_session();
    let last = session.saturating_sub(1);
    let mut steps = vec![
        Fact::Denied {
            request: request.clone(),
            approver: person("pat"),
            kinds: Vec::new(),
            reason: commitment(),
        },
        Fact::Withdrawn {
            request: request.clone(),
            unheard: false,
        },
        Fact::Released {
            request: request.clone(),
            unheard: false,
        },
        Fact::Revoked {
            request: request.clone(),
            by: PrincipalId::User(person("zoe")),
            reason: commitment(),
        },
        Fact::Reviewed {
            request: request.clone(),
            reviewer: person("zoe"),
            finding: commitment(),
        },
        Fact::Kept {
            request: request.clone(),
            keep_for_s: 60,
        },
        Fact::IssueIntended {
            request: request.clone(),
            session,
            request_digest: case.request_digest(),
            window,
            role_arn: RoleArn::new("arn:aws:iam::123456789012:role/jit").unwrap(),
            duration_s: 900,
            session_policy: Digest::of("policy", b""),
            chains: false,
            verdict: verdict(Outcome::Granted),
        },
        Fact::Issued {
            request: request.clone(),
            session: last,
            access_key_id: "ASIAEXAMPLE".to_owned(),
            expires_at: now.plus_s(900),
        },
        Fact::IssueFailed {
            request: request.clone(),
            session: last,
            code: "Throttling".to_owned(),
        },
        Fact::IssueUnknown {
            request: request.clone(),
            session: last,
        },
    ];
    let outcomes = [Outcome::Granted, Outcome::NeedsApproval];
    for outcome in outcomes {
        steps.push(Fact::ExtensionRequested {
            request: request.clone(),
            extension: longer.clone(),
            verdict: verdict(outcome),
        });
        let shorter = Duration::from_s(case.request().duration.as_s() / 2).unwrap();
        let narrowed = case.narrowed(shorter).unwrap().request_digest();
        let pending = case.extension_pending().map(|asked| asked.digest);
        let asked = pending.unwrap_or(case.request_digest());
        for (digest, narrowed_to) in [(asked, None), (narrowed, Some(shorter))] {
            steps.push(Fact::Approved {
                request: request.clone(),
                approval: approval("pat", digest),
                narrowed_to,
                verdict: verdict(outcome),
            });
        }
    }
    for notice in Notice::ALL {
        steps.push(Fact::Notified {
            request: request.clone(),
            notice,
            people: vec![person("pat")],
        });
    }
    if let Some(pending) = case.extension_pending() {
        steps.push(Fact::ExtensionDenied {
            request,
            extension: pending.digest,
            approver: person("pat"),
            kinds: Vec::new(),
            reason: commitment(),
        });
    }
    steps
}

/// What makes a step, in the diagram's words.
fn word(fact: &Fact) -> &'static str {
    match fact {
        Fact::IssueIntended { .. } => "issued",
        Fact::Approved {
            narrowed_to: Some(_),
            ..
        } => "approved for less",
        fact => fact.name(),
    }
}

/// What the steps that follow depend on: two cases of one kind go the same ways.
fn kind_of(case: &Case, now: Moment) -> String {
    let outcomes: BTreeSet<String> = case
        .sessions()
        .iter()
        .map(|session| format!("{:?}", session.outcome))
        .collect();
    format!(
        "{} {} {} {outcomes:?} {} {} {:?}",
        case.state(now).name(),
        case.approvals().len().min(2),
        case.asked_for() == case.request().duration,
        case.extension_pending().is_some(),
        case.extensions().len().min(1),
        case.review(),
    )
}

/// Every change of state that a fact or the clock can make, from every state that can be reached.
fn diagram() -> String {
    let mut edges: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut reached: Vec<(Case, u32)> = Vec::new();
    for outcome in [Outcome::Granted, Outcome::NeedsApproval] {
        let case = begun(outcome);
        let name = case.state(moment(0)).name();
        edges.entry(("[*]", name)).or_default().insert("requested");
        reached.push((case, 0));
    }
    // Deep enough for every step to be followed by every other: a request, its approval, a session, its outcome, an
    // extension, its approval, an end, a review.
    for _ in 0..8 {
        let mut next = Vec::new();
        for (case, s) in reached {
            let from = case.state(moment(s)).name();
            for fact in steps(&case, moment(s)) {
                let mut after = case.clone();
                let word = word(&fact);
                let at = moment(s);
                if after.apply(&Event { at, fact }).is_err() {
                    continue;
                }
                let to = after.state(moment(s)).name();
                if from != to {
                    edges.entry((from, to)).or_default().insert(word);
                }
                if seen.insert(kind_of(&after, moment(s))) {
                    next.push((after, s));
                }
            }
            for (later, word) in [
                (REQUEST_TTL_S, "the request TTL ends"),
                (ACTIVATION_TTL_S, "the activation TTL ends"),
                (600, "the window closes"),
            ] {
                let to = case.state(moment(s + later)).name();
                let fits = matches!(
                    (from, word),
                    ("PENDING", "the request TTL ends")
                        | ("APPROVED", "the activation TTL ends")
                        | ("ACTIVE", "the window closes")
                );
                if fits && from != to {
                    edges.entry((from, to)).or_default().insert(word);
                }
            }
        }
        reached = next;
    }
    let mut text = String::from("stateDiagram-v2\n");
    for ((from, to), words) in edges {
        let words: Vec<String> = words.iter().map(|word| word.replace('_', " ")).collect();
        text.push_str(&format!("    {from} --> {to}: {}\n", words.join(", ")));
    }
    text
}

#[test]
fn the_state_diagram_of_the_readme_is_what_the_code_does() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("```mermaid\n").expect("a diagram");
    let (found, after) = rest.split_once("```").expect("its end");
    let diagram = diagram();
    if std::env::var_os("WRIT_BLESS").is_some() {
        let text = format!("{before}```mermaid\n{diagram}```{after}");
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(found, diagram, "run it with WRIT_BLESS=1 and look at it");
    for state in [
        "PENDING",
        "APPROVED",
        "ACTIVE",
        "EXPIRED",
        "DENIED",
        "WITHDRAWN",
        "LAPSED",
        "RELEASED",
        "REVOKED",
    ] {
        assert!(diagram.contains(state), "{state} is never reached");
    }
}
