//! Random command sequences against a small reference model of the case and its clocks: the same outcomes.
//!
//! The model is written the other way round: it keeps a list of what happened and looks through it at each question, where
//! the case folds each event into a stage. `WRIT_MODEL_CASES` runs more sequences than the few thousand of each test run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use writ_engine::approval::Kind;
use writ_engine::case::APPROVALS_MAX;
use writ_engine::digest::{Digest, SaltedText};
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::scope::RoleArn;
use writ_engine::{
    Approval, Case, Duration, Moment, Principal, Request, RequestId, ScopeId, UserId, Window,
};

const REQUEST_TTL_S: i64 = 600;
const ACTIVATION_TTL_S: u32 = 300;
const WINDOW_S: u32 = 200;

#[derive(Debug, Clone)]
enum Command {
    Wait {
        s: i64,
    },
    Approve {
        person: u8,
        enough: bool,
        other_digest: bool,
    },
    Deny,
    Withdraw,
    Release,
    Intend {
        shift_s: i64,
        longer: bool,
        number_off: u32,
        other_digest: bool,
    },
    Issued {
        session: u32,
    },
    Failed {
        session: u32,
    },
    Unknown {
        session: u32,
    },
}

fn command() -> impl Strategy<Value = Command> {
    let rarely = prop::bool::weighted(0.1);
    prop_oneof![
        4 => prop_oneof![0..5i64, 0..400i64].prop_map(|s| Command::Wait { s }),
        4 => (0..4u8, any::<bool>(), rarely).prop_map(|(person, enough, other_digest)| {
            Command::Approve { person, enough, other_digest }
        }),
        1 => Just(Command::Deny),
        1 => Just(Command::Withdraw),
        1 => Just(Command::Release),
        6 => (prop_oneof![4 => Just(0i64), 1 => -300..300i64], rarely, prop_oneof![9 => Just(0u32), 1 => 1..3u32], rarely)
            .prop_map(|(shift_s, longer, number_off, other_digest)| Command::Intend { shift_s, longer, number_off, other_digest }),
        3 => (1..4u32).prop_map(|session| Command::Issued { session }),
        3 => (1..4u32).prop_map(|session| Command::Failed { session }),
        1 => (1..4u32).prop_map(|session| Command::Unknown { session }),
    ]
}

/// The reference: all that happened, and questions answered by looking through it.
#[derive(Default)]
struct Model {
    auto: bool,
    approvals: Vec<(u8, bool, i64)>,
    ended: Option<&'static str>,
    windows: Vec<(i64, i64)>,
    sessions: Vec<Option<&'static str>>,
}

impl Model {
    fn approved_at(&self) -> Option<i64> {
        if self.auto {
            return Some(0);
        }
        self.approvals
            .iter()
            .find(|(_, enough, _)| *enough)
            .map(|(_, _, at)| *at)
    }

    fn window(&self) -> Option<(i64, i64)> {
        let given = self
            .sessions
            .iter()
            .any(|outcome| *outcome != Some("failed"));
        given.then(|| self.windows.last().copied()).flatten()
    }

    fn state(&self, now: i64) -> &'static str {
        if let Some(ended) = self.ended {
            return ended;
        }
        match (self.window(), self.approved_at()) {
            (Some((_, closes)), _) if now >= closes => "EXPIRED",
            (Some(_), _) => "ACTIVE",
            (None, Some(at)) if now >= at + i64::from(ACTIVATION_TTL_S) * 1_000 => "LAPSED",
            (None, Some(_)) => "APPROVED",
            (None, None) if now >= REQUEST_TTL_S * 1_000 => "LAPSED",
            (None, None) => "PENDING",
        }
    }

    /// Whether the command is accepted; takes it in if it is.
    fn take(&mut self, command: &Command, now: i64) -> bool {
        let state = self.state(now);
        let waiting = state == "PENDING" || state == "APPROVED";
        match command {
            Command::Wait { .. } => true,
            Command::Approve {
                person,
                enough,
                other_digest,
            } => {
                let again = self.approvals.iter().any(|(who, _, _)| who == person);
                let fits =
                    waiting && !again && !other_digest && self.approvals.len() < APPROVALS_MAX;
                if fits {
                    self.approvals.push((*person, *enough, now));
                }
                fits
            }
            Command::Deny | Command::Withdraw => {
                if waiting {
                    self.ended = Some(if matches!(command, Command::Deny) {
                        "DENIED"
                    } else {
                        "WITHDRAWN"
                    });
                }
                waiting
            }
            Command::Release => {
                if state == "ACTIVE" {
                    self.ended = Some("RELEASED");
                }
                state == "ACTIVE"
            }
            Command::Intend {
                shift_s,
                longer,
                number_off,
                other_digest,
            } => {
                let (opens, closes) = intended(now, *shift_s, *longer, self.window());
                let fits = match state {
                    "APPROVED" => {
                        opens <= now
                            && now < closes
                            && closes - opens <= i64::from(WINDOW_S) * 1_000
                    }
                    "ACTIVE" => self.window() == Some((opens, closes)),
                    _ => false,
                } && *number_off == 0
                    && !other_digest;
                if fits {
                    self.windows.push((opens, closes));
                    self.sessions.push(None);
                }
                fits
            }
            Command::Issued { session } => self.conclude(*session, "issued"),
            Command::Failed { session } => self.conclude(*session, "failed"),
            Command::Unknown { session } => self.conclude(*session, "unknown"),
        }
    }

    fn conclude(&mut self, session: u32, outcome: &'static str) -> bool {
        match self.sessions.get_mut(session as usize - 1) {
            Some(open @ None) => {
                *open = Some(outcome);
                true
            }
            _ => false,
        }
    }
}

/// The window an intent names: the open one or a fresh one, sometimes moved or stretched.
fn intended(now: i64, shift_s: i64, longer: bool, open: Option<(i64, i64)>) -> (i64, i64) {
    let (opens, closes) = open.unwrap_or_else(|| {
        let opens = now - now % 1_000;
        (opens, opens + i64::from(WINDOW_S) * 1_000)
    });
    let opens = (opens + shift_s * 1_000).max(0);
    (
        opens,
        opens.max(closes + shift_s * 1_000) + if longer { 1_000 } else { 0 },
    )
}

const START_MS: i64 = 1_800_000_000_000;

fn moment(ms: i64) -> Moment {
    Moment::from_ms(START_MS + ms).expect("in range")
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        bundle: Digest::of("bundle", b""),
        outcome,
        policies: vec![],
        approvals: BTreeMap::new(),
    }
}

fn request() -> Request {
    Request {
        id: RequestId::new(moment(0), [7; 10]),
        principal: Principal::user(UserId::new("mia").expect("a name")),
        scope: ScopeId::new("prod-db-read").expect("a name"),
        duration: Duration::from_s(WINDOW_S).expect("in range"),
        reason: SaltedText {
            salt: [0; 16],
            text: "why".into(),
        }
        .commitment(),
        ticket: None,
        requested_at: moment(0),
        decide_by: moment(REQUEST_TTL_S * 1_000),
        activation_ttl_s: ACTIVATION_TTL_S,
        bundle: Digest::of("bundle", b""),
        break_glass: None,
    }
}

fn fact(command: &Command, request: &Request, now: i64, model: &Model) -> Option<Fact> {
    let id = request.id.clone();
    let other = Digest::of("another", b"");
    Some(match command {
        Command::Wait { .. } => return None,
        Command::Approve {
            person,
            enough,
            other_digest,
        } => {
            let person_behind = UserId::new("mia").expect("a name");
            let approver = UserId::new(format!("person{person}")).expect("a name");
            let kinds = BTreeSet::from([Kind::of_action("approveManager").expect("a kind")]);
            let mut approval = Approval::new(
                request.digest(),
                &person_behind,
                approver,
                None,
                kinds,
                moment(now),
            )
            .expect("another person");
            if *other_digest {
                approval.request_digest = other;
            }
            let outcome = if *enough {
                Outcome::Granted
            } else {
                Outcome::NeedsApproval
            };
            Fact::Approved {
                request: id,
                approval,
                narrowed_to: None,
                verdict: verdict(outcome),
            }
        }
        Command::Deny => Fact::Denied {
            request: id,
            approver: UserId::new("pat").expect("a name"),
            kinds: vec![],
            reason: request.reason,
        },
        Command::Withdraw => Fact::Withdrawn {
            request: id,
            unheard: false,
        },
        Command::Release => Fact::Released {
            request: id,
            unheard: false,
        },
        Command::Intend {
            shift_s,
            longer,
            number_off,
            other_digest,
        } => {
            let (opens, closes) = intended(now, *shift_s, *longer, model.window());
            Fact::IssueIntended {
                request: id,
                session: model.sessions.len() as u32 + 1 + number_off,
                request_digest: if *other_digest {
                    other
                } else {
                    request.digest()
                },
                window: Window::new(moment(opens), moment(closes)).ok()?,
                role_arn: RoleArn::new("arn:aws:iam::123456789012:role/jit").expect("an ARN"),
                duration_s: 900,
                session_policy: Digest::of("policy", b""),
                chains: false,
                verdict: verdict(Outcome::Granted),
            }
        }
        Command::Issued { session } => Fact::Issued {
            request: id,
            session: *session,
            access_key_id: "ASIAEXAMPLE".into(),
            expires_at: moment(now).plus_s(900),
        },
        Command::Failed { session } => Fact::IssueFailed {
            request: id,
            session: *session,
            code: "Throttling".into(),
        },
        Command::Unknown { session } => Fact::IssueUnknown {
            request: id,
            session: *session,
        },
    })
}

#[test]
fn a_case_and_its_reference_model_agree_on_every_random_sequence() {
    let cases = std::env::var("WRIT_MODEL_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(4_000);
    let seen = std::cell::RefCell::new(BTreeSet::new());
    let accepted = std::cell::Cell::new(0u64);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let sequences = (any::<bool>(), prop::collection::vec(command(), 0..40));
    runner
        .run(&sequences, |(auto, commands)| {
            let request = request();
            let outcome = if auto {
                Outcome::Granted
            } else {
                Outcome::NeedsApproval
            };
            let begin = Fact::Requested {
                request: request.clone(),
                idempotency_key: None,
                run: None,
                keep_for_s: None,
                verdict: verdict(outcome),
            };
            let mut events = vec![Event {
                at: moment(0),
                fact: begin,
            }];
            let mut case = Case::begin(&events[0], Some("why".into())).expect("a beginning");
            let mut model = Model {
                auto,
                ..Model::default()
            };
            let mut now = 0;
            for command in &commands {
                if let Command::Wait { s } = command {
                    now += s * 1_000 + 137;
                }
                let terminal_before = case.state(moment(now)).is_terminal();
                if let Some(fact) = fact(command, &request, now, &model) {
                    let event = Event {
                        at: moment(now),
                        fact,
                    };
                    let before = case.clone();
                    let took = case.apply(&event).is_ok();
                    prop_assert_eq!(
                        took,
                        model.take(command, now),
                        "{:?} at {} in {}",
                        command,
                        now,
                        model.state(now)
                    );
                    if took {
                        accepted.set(accepted.get() + 1);
                        let opens = matches!(
                            event.fact,
                            Fact::IssueIntended { .. } | Fact::Approved { .. }
                        );
                        prop_assert!(!(terminal_before && opens), "terminal is terminal");
                        events.push(event);
                    } else {
                        prop_assert_eq!(&case, &before, "a refused event changes nothing");
                    }
                }
                let state = case.state(moment(now)).name();
                prop_assert_eq!(state, model.state(now), "after {:?} at {}", command, now);
                seen.borrow_mut().insert(state);
            }
            // The whole state can be rebuilt from the record: from the same bytes, the same case.
            let mut again: Option<Case> = None;
            for event in &events {
                let event = Event::from_canonical(&writ_engine::event::canonical(event))
                    .expect("canonical");
                match &mut again {
                    None => {
                        again = Some(Case::begin(&event, Some("why".into())).expect("a beginning"))
                    }
                    Some(case) => case.apply(&event).expect("a story"),
                }
            }
            prop_assert_eq!(again, Some(case));
            Ok(())
        })
        .expect("the case and its model differ");
    let seen = seen.into_inner();
    println!(
        "{cases} sequences, {} accepted events, states seen: {seen:?}",
        accepted.get()
    );
    assert_eq!(seen.len(), 8, "every state was reached: {seen:?}");
}
