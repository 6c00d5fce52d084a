//! Random command sequences against a small reference model of the whole life of a case and its clocks: the same outcomes.
//!
//! The model is written the other way round: it keeps a list of what happened and looks through it at each question, where
//! the case folds each event into a stage. `WRIT_MODEL_CASES` runs more sequences than the few thousand of each test run:
//! `WRIT_MODEL_CASES=1000000 cargo test --release -p writ-engine --test case_model`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so and stops"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use writ_engine::approval::Kind;
use writ_engine::case::{APPROVALS_MAX, EXTENSIONS_MAX, Question, Review};
use writ_engine::digest::{Digest, SaltedText};
use writ_engine::event::{Event, Fact, Outcome, Verdict};
use writ_engine::request::{BreakGlass, Extension};
use writ_engine::scope::RoleArn;
use writ_engine::{
    Approval, Case, Duration, Moment, Notice, Principal, PrincipalId, Request, RequestId, ScopeId,
    State, UserId, Window,
};

const REQUEST_TTL_S: i64 = 600;
const ACTIVATION_TTL_S: u32 = 300;
const REVIEW_TTL_S: u32 = 1_000;
const WINDOW_S: u32 = 200;

#[derive(Debug, Clone)]
enum Command {
    Wait {
        s: i64,
    },
    Approve(Consent),
    Deny,
    Withdraw,
    Release,
    Revoke,
    Review,
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
    Extend {
        to_s: u32,
        said: Outcome,
        number_off: u32,
    },
    DenyExtension {
        other_digest: bool,
    },
    Notify {
        notice: Notice,
    },
}

#[derive(Debug, Clone)]
struct Consent {
    person: u8,
    /// Whose right they use, if it is not their own.
    lender: Option<u8>,
    enough: bool,
    other_digest: bool,
    /// To the longer window that waits, rather than to the request.
    to_extension: bool,
    /// To so much of it only.
    less_s: Option<u32>,
}

impl Consent {
    fn people(&self) -> BTreeSet<u8> {
        std::iter::once(self.person).chain(self.lender).collect()
    }
}

fn command() -> impl Strategy<Value = Command> {
    let rarely = || prop::bool::weighted(0.1);
    let off = || prop_oneof![9 => Just(0u32), 1 => 1..3u32];
    let said = prop_oneof![
        3 => Just(Outcome::Granted),
        4 => Just(Outcome::NeedsApproval),
        1 => Just(Outcome::Denied)
    ];
    let lender = prop_oneof![3 => Just(None), 1 => (4..6u8).prop_map(Some)];
    let less = prop_oneof![3 => Just(None), 1 => (1..WINDOW_S + 20).prop_map(Some)];
    let consent = (0..5u8, lender, any::<bool>(), rarely(), any::<bool>(), less);
    let consent = consent.prop_map(
        |(person, lender, enough, other_digest, to_extension, less_s)| Consent {
            person,
            // Nobody lends to themselves: such a consent cannot be made.
            lender: lender.filter(|lender| *lender != person),
            enough,
            other_digest,
            to_extension,
            less_s: less_s.filter(|_| !to_extension || person == 0),
        },
    );
    let shift = prop_oneof![4 => Just(0i64), 1 => -300..300i64];
    prop_oneof![
        15 => prop_oneof![0..5i64, 0..400i64].prop_map(|s| Command::Wait { s }),
        20 => consent.prop_map(Command::Approve),
        1 => Just(Command::Deny),
        1 => Just(Command::Withdraw),
        1 => Just(Command::Release),
        1 => Just(Command::Revoke),
        6 => Just(Command::Review),
        20 => (shift, rarely(), off(), rarely()).prop_map(
            |(shift_s, longer, number_off, other_digest)| Command::Intend {
                shift_s,
                longer,
                number_off,
                other_digest,
            }
        ),
        9 => (1..4u32).prop_map(|session| Command::Issued { session }),
        9 => (1..4u32).prop_map(|session| Command::Failed { session }),
        3 => (1..4u32).prop_map(|session| Command::Unknown { session }),
        12 => (1..WINDOW_S * 4, said, off()).prop_map(|(to_s, said, number_off)| {
            Command::Extend { to_s, said, number_off }
        }),
        4 => rarely().prop_map(|other_digest| Command::DenyExtension { other_digest }),
        4 => (0..4usize).prop_map(|at| Command::Notify { notice: Notice::ALL[at] }),
    ]
}

/// The reference: all that happened, in order, and questions answered by looking through it.
#[derive(Default)]
struct Model {
    auto: bool,
    emergency: bool,
    happened: Vec<(i64, Happened)>,
}

enum Happened {
    Consented { consent: Consent, number: u32 },
    Ended { how: &'static str, open: bool },
    Opened { opens: i64, closes: i64 },
    Intended,
    Concluded { session: u32, outcome: &'static str },
    Asked { to_s: u32, granted: bool },
    ExtensionDenied,
    Reviewed,
    Told(Notice),
}

impl Model {
    fn count(&self, fits: impl Fn(&Happened) -> bool) -> usize {
        self.happened.iter().filter(|(_, it)| fits(it)).count()
    }

    /// The consents to the request, with their moments.
    fn consents(&self) -> impl DoubleEndedIterator<Item = (i64, &Consent)> {
        self.happened.iter().filter_map(|(at, it)| match it {
            Happened::Consented { consent, .. } if !consent.to_extension => Some((*at, consent)),
            _ => None,
        })
    }

    /// How long the request is for: as long as the last person said who gave less.
    fn request_s(&self) -> u32 {
        let mut less = self.consents().rev().filter_map(|(_, it)| it.less_s);
        less.next().unwrap_or(WINDOW_S)
    }

    /// The consents to the request as it is: from the last that made it shorter on.
    fn current(&self) -> Vec<(i64, &Consent)> {
        let all: Vec<(i64, &Consent)> = self.consents().collect();
        let start = all.iter().rposition(|(_, it)| it.less_s.is_some());
        all[start.unwrap_or(0)..].to_vec()
    }

    fn approved_at(&self) -> Option<i64> {
        if self.auto && self.request_s() == WINDOW_S {
            return Some(0);
        }
        let current = self.current();
        let enough = current.iter().filter(|(_, it)| it.enough);
        enough.map(|(at, _)| *at).chain(self.used_as_it_is()).min()
    }

    /// When it was used as it is: the policy's own yes, also to what still waited for people.
    fn used_as_it_is(&self) -> Option<i64> {
        let shorter = |(_, it): &(i64, Happened)| match it {
            Happened::Consented { consent, .. } => {
                !consent.to_extension && consent.less_s.is_some()
            }
            _ => false,
        };
        let start = self.happened.iter().rposition(shorter).unwrap_or(0);
        self.happened[start..].iter().find_map(|(at, it)| match it {
            Happened::Opened { .. } => Some(*at),
            _ => None,
        })
    }

    fn sessions(&self) -> u32 {
        let intended = self.count(|it| matches!(it, Happened::Opened { .. } | Happened::Intended));
        u32::try_from(intended).unwrap()
    }

    fn outcome(&self, number: u32) -> Option<&'static str> {
        self.happened.iter().find_map(|(_, it)| match it {
            Happened::Concluded { session, outcome } if *session == number => Some(*outcome),
            _ => None,
        })
    }

    /// What happened since the window was opened, unless AWS gave nothing at all.
    fn since_opening(&self) -> Option<&[(i64, Happened)]> {
        let given = (1..=self.sessions()).any(|number| self.outcome(number) != Some("failed"));
        let opened = |(_, it): &(i64, Happened)| matches!(it, Happened::Opened { .. });
        let last = self.happened.iter().rposition(opened)?;
        given.then(|| &self.happened[last..])
    }

    fn asked_s(&self, number: u32) -> u32 {
        let asked = self.happened.iter().filter_map(|(_, it)| match it {
            Happened::Asked { to_s, .. } => Some(*to_s),
            _ => None,
        });
        asked.clone().nth(number as usize - 1).unwrap()
    }

    /// The lengths that were granted, and the number of the extension that waits.
    fn extensions(&self) -> (Vec<u32>, Option<u32>) {
        let (mut granted, mut waits) = (Vec::new(), None);
        let before = self.happened.len() - self.since_opening().unwrap_or_default().len();
        let mut number = self.happened[..before]
            .iter()
            .filter(|(_, it)| matches!(it, Happened::Asked { .. }))
            .count() as u32;
        for (_, it) in self.since_opening().unwrap_or_default() {
            match it {
                Happened::Asked {
                    to_s,
                    granted: at_once,
                } => {
                    number += 1;
                    waits = (!at_once).then_some(number);
                    granted.extend(at_once.then_some(*to_s));
                }
                Happened::ExtensionDenied => waits = None,
                Happened::Consented { consent, number }
                    if consent.to_extension && consent.enough =>
                {
                    granted.push(self.asked_s(*number));
                    waits = None;
                }
                _ => {}
            }
        }
        (granted, waits)
    }

    fn window(&self) -> Option<(i64, i64)> {
        let (_, Happened::Opened { opens, closes }) = self.since_opening()?.first()? else {
            panic!("it begins with the opening");
        };
        let (granted, _) = self.extensions();
        let longer = granted.last().map(|s| opens + i64::from(*s) * 1_000);
        Some((*opens, longer.unwrap_or(*closes)))
    }

    fn ended(&self) -> Option<(&'static str, bool)> {
        self.happened.iter().find_map(|(_, it)| match it {
            Happened::Ended { how, open } => Some((*how, *open)),
            _ => None,
        })
    }

    fn state(&self, now: i64) -> &'static str {
        if let Some((ended, _)) = self.ended() {
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

    /// `none`, `open` or `closed`: where the post-review stands.
    fn review(&self) -> &'static str {
        let used = match self.ended() {
            Some((_, open)) => open,
            None => self.window().is_some(),
        };
        // What was reviewed of a window that AWS gave nothing of says nothing of another.
        let last = self
            .happened
            .iter()
            .rposition(|(_, it)| matches!(it, Happened::Opened { .. }));
        let since = &self.happened[last.unwrap_or(0)..];
        let reviewed = since.iter().any(|(_, it)| matches!(it, Happened::Reviewed));
        match (self.emergency && used, reviewed) {
            (false, _) => "none",
            (true, false) => "open",
            (true, true) => "closed",
        }
    }

    /// Whether the command is accepted; takes it in if it is.
    fn take(&mut self, command: &Command, now: i64) -> bool {
        let state = self.state(now);
        let happened = self.follows(command, state, now);
        let fits = happened.is_some();
        self.happened.extend(happened.map(|it| (now, it)));
        fits
    }

    fn follows(&self, command: &Command, state: &'static str, now: i64) -> Option<Happened> {
        let waiting = state == "PENDING" || state == "APPROVED";
        let (_, waits) = self.extensions();
        let waits = waits.filter(|_| state == "ACTIVE");
        let end = |how, when: bool| {
            let open = state == "ACTIVE";
            when.then_some(Happened::Ended { how, open })
        };
        match command {
            Command::Wait { .. } => None,
            Command::Approve(consent) => {
                let all = self.count(|it| matches!(it, Happened::Consented { .. }));
                if consent.other_digest || all >= APPROVALS_MAX {
                    return None;
                }
                let number = match consent.to_extension {
                    true => waits?,
                    false => 0,
                };
                let again = |other: &Consent| !other.people().is_disjoint(&consent.people());
                let fits = match (consent.to_extension, consent.less_s) {
                    (true, Some(_)) => false,
                    (true, None) => !self.happened.iter().any(|(_, it)| {
                        matches!(it, Happened::Consented { consent, number: other } if *other == number && again(consent))
                    }),
                    (false, Some(less_s)) => waiting && less_s < self.request_s(),
                    (false, None) => waiting && !self.current().iter().any(|(_, it)| again(it)),
                };
                fits.then(|| Happened::Consented {
                    consent: consent.clone(),
                    number,
                })
            }
            Command::Deny => end("DENIED", waiting),
            Command::Withdraw => end("WITHDRAWN", waiting),
            Command::Release => end("RELEASED", state == "ACTIVE"),
            Command::Revoke => end("REVOKED", waiting || state == "ACTIVE"),
            Command::Review => {
                let over = !waiting && state != "ACTIVE";
                (over && self.review() == "open").then_some(Happened::Reviewed)
            }
            Command::Intend {
                shift_s,
                longer,
                number_off,
                other_digest,
            } => {
                let (opens, closes) = self.intended(now, *shift_s, *longer);
                let right = *number_off == 0 && !other_digest;
                let short = closes - opens <= i64::from(self.request_s()) * 1_000;
                match state {
                    "PENDING" | "APPROVED" if right && opens <= now && now < closes && short => {
                        Some(Happened::Opened { opens, closes })
                    }
                    "ACTIVE" if right && self.window() == Some((opens, closes)) => {
                        Some(Happened::Intended)
                    }
                    _ => None,
                }
            }
            Command::Issued { session } => self.conclude(*session, "issued"),
            Command::Failed { session } => self.conclude(*session, "failed"),
            Command::Unknown { session } => self.conclude(*session, "unknown"),
            Command::Extend {
                to_s,
                said,
                number_off,
            } => {
                let asked = self.count(|it| matches!(it, Happened::Asked { .. }));
                let (opens, closes) = self.window().filter(|_| state == "ACTIVE")?;
                let longer = i64::from(*to_s) * 1_000 > closes - opens;
                let right = *number_off == 0 && *said != Outcome::Denied;
                (longer && right && asked < EXTENSIONS_MAX).then_some(Happened::Asked {
                    to_s: *to_s,
                    granted: *said == Outcome::Granted,
                })
            }
            Command::DenyExtension { other_digest } => waits
                .filter(|_| !other_digest)
                .map(|_| Happened::ExtensionDenied),
            Command::Notify { notice } => {
                (self.emergency || !notice.is_of_an_emergency()).then_some(Happened::Told(*notice))
            }
        }
    }

    fn conclude(&self, session: u32, outcome: &'static str) -> Option<Happened> {
        let open = session <= self.sessions() && self.outcome(session).is_none();
        open.then_some(Happened::Concluded { session, outcome })
    }

    /// The window an intent names: the open one or a fresh one, sometimes moved or stretched.
    fn intended(&self, now: i64, shift_s: i64, longer: bool) -> (i64, i64) {
        let (opens, closes) = self.window().unwrap_or_else(|| {
            let opens = now - now % 1_000;
            (opens, opens + i64::from(self.request_s()) * 1_000)
        });
        let opens = (opens + shift_s * 1_000).max(0);
        (
            opens,
            opens.max(closes + shift_s * 1_000) + if longer { 1_000 } else { 0 },
        )
    }
}

const START_MS: i64 = 1_800_000_000_000;

fn moment(ms: i64) -> Moment {
    Moment::from_ms(START_MS + ms).expect("in range")
}

fn seconds(s: u32) -> Duration {
    Duration::from_s(s).expect("in range")
}

fn user(name: impl Into<String>) -> UserId {
    UserId::new(name).expect("a name")
}

fn verdict(outcome: Outcome) -> Verdict {
    Verdict {
        bundle: Digest::of("bundle", b""),
        outcome,
        policies: vec![],
        approvals: BTreeMap::new(),
    }
}

fn request(emergency: bool) -> Request {
    Request {
        id: RequestId::new(moment(0), [7; 10]),
        principal: Principal::user(user("mia")),
        scope: ScopeId::new("prod-db-read").expect("a name"),
        duration: seconds(WINDOW_S),
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
        break_glass: emergency.then_some(BreakGlass {
            review_ttl_s: REVIEW_TTL_S,
        }),
    }
}

/// The request as it is by the model: as it was made, or for less.
fn as_it_is(model: &Model) -> Request {
    let asked = request(model.emergency);
    match asked.narrowed(seconds(model.request_s())) {
        Some(narrowed) => narrowed,
        None => asked,
    }
}

fn fact(command: &Command, case: &Case, now: i64, model: &Model) -> Option<Fact> {
    let id = case.request().id.clone();
    let other = Digest::of("another", b"");
    let or_other = |digest: Digest, other_digest: bool| match other_digest {
        true => other,
        false => digest,
    };
    let reason = case.request().reason;
    let waits = case.extension_pending().map(|asked| asked.digest);
    Some(match command {
        Command::Wait { .. } => return None,
        Command::Approve(consent) => {
            let now_for = Request {
                duration: seconds(consent.less_s.unwrap_or(model.request_s())),
                ..request(model.emergency)
            };
            let digest = match consent.to_extension {
                true => waits.unwrap_or(other),
                false => now_for.digest(),
            };
            let person = |number: u8| user(format!("person{number}"));
            let approval = Approval::new(
                or_other(digest, consent.other_digest),
                &user("mia"),
                person(consent.person),
                consent.lender.map(person),
                BTreeSet::from([Kind::of_action("approveManager").expect("a kind")]),
                moment(now),
            );
            let outcome = if consent.enough {
                Outcome::Granted
            } else {
                Outcome::NeedsApproval
            };
            Fact::Approved {
                request: id,
                approval: approval.expect("another person"),
                narrowed_to: consent.less_s.map(seconds),
                verdict: verdict(outcome),
            }
        }
        Command::Deny => Fact::Denied {
            request: id,
            approver: user("pat"),
            kinds: vec![],
            reason,
        },
        Command::Withdraw => Fact::Withdrawn {
            request: id,
            unheard: false,
        },
        Command::Release => Fact::Released {
            request: id,
            unheard: false,
        },
        Command::Revoke => Fact::Revoked {
            request: id,
            by: PrincipalId::User(user("zoe")),
            reason,
        },
        Command::Notify { notice } => Fact::Notified {
            request: id,
            notice: *notice,
            people: vec![user("pat")],
        },
        Command::Review => Fact::Reviewed {
            request: id,
            reviewer: user("zoe"),
            finding: reason,
        },
        Command::Intend {
            shift_s,
            longer,
            number_off,
            other_digest,
        } => {
            let (opens, closes) = model.intended(now, *shift_s, *longer);
            Fact::IssueIntended {
                request: id,
                session: model.sessions() + 1 + number_off,
                request_digest: or_other(as_it_is(model).digest(), *other_digest),
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
        Command::Extend {
            to_s,
            said,
            number_off,
        } => Fact::ExtensionRequested {
            request: id,
            extension: Extension {
                number: case.next_extension() + number_off,
                duration: seconds(*to_s),
                reason,
                requested_at: moment(now),
                bundle: Digest::of("bundle", b""),
            },
            verdict: verdict(*said),
        },
        Command::DenyExtension { other_digest } => Fact::ExtensionDenied {
            request: id,
            extension: or_other(waits.unwrap_or(other), *other_digest),
            approver: user("pat"),
            kinds: vec![],
            reason,
        },
    })
}

/// Everything that is asked of a case is answered alike by the model, and the rules hold.
fn alike(case: &Case, model: &Model, now: i64) -> Result<(), TestCaseError> {
    let state = case.state(moment(now));
    prop_assert_eq!(state.name(), model.state(now));
    let in_ms = |window: Window| {
        let ms = |at: Moment| at.as_ms() - START_MS;
        (ms(window.opens_at()), ms(window.closes_at()))
    };
    if let State::Active(window) | State::Expired(window) = state {
        prop_assert_eq!(Some(in_ms(window)), model.window());
    }
    // Granted within approved within requested: the window is never longer than what was asked for.
    let (granted, waits) = model.extensions();
    let longest = granted.last().copied().unwrap_or(model.request_s());
    if let State::Active(window) = state {
        prop_assert!(window.duration() <= seconds(longest));
        prop_assert!(window.opens_at() <= moment(now) && moment(now) < window.closes_at());
        prop_assert_eq!(case.extensions().len(), granted.len());
    }
    prop_assert_eq!(case.request(), &as_it_is(model));
    prop_assert_eq!(case.request_digest(), as_it_is(model).digest());
    prop_assert_eq!(case.asked_for(), seconds(WINDOW_S));
    let question = match case.question(moment(now)) {
        None => "none",
        Some(Question::Request) => "request",
        Some(Question::Extension(_)) => "extension",
    };
    let expected = match model.state(now) {
        "PENDING" | "APPROVED" => "request",
        "ACTIVE" if waits.is_some() => "extension",
        _ => "none",
    };
    prop_assert_eq!(question, expected);
    let review = match case.review() {
        Review::None => "none",
        Review::Open { by } => {
            prop_assert_eq!(
                case.opened().map(|it| it.opens_at().plus_s(REVIEW_TTL_S)),
                Some(by)
            );
            "open"
        }
        Review::Closed { .. } => "closed",
    };
    prop_assert_eq!(review, model.review());
    for notice in Notice::ALL {
        let mut told = model.happened.iter();
        let first = told.find(|(_, it)| matches!(it, Happened::Told(it) if *it == notice));
        prop_assert_eq!(case.notified(notice), first.map(|(at, _)| moment(*at)));
    }
    Ok(())
}

/// The event's name; of a consent, what is special about it.
fn kind_of(fact: &Fact) -> &'static str {
    match fact {
        Fact::Approved {
            narrowed_to: Some(_),
            approval,
            ..
        } => match approval.on_behalf_of {
            None => "approved for less",
            Some(_) => "approved for less by a lent right",
        },
        Fact::Approved { approval, .. } => match approval.on_behalf_of {
            None => "approved",
            Some(_) => "approved by a lent right",
        },
        Fact::IssueIntended { session: 1, .. } => "first issue intended",
        other => other.name(),
    }
}

#[test]
fn a_case_and_its_reference_model_agree_on_every_random_sequence() {
    let cases = std::env::var("WRIT_MODEL_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(4_000);
    let seen = std::cell::RefCell::new(BTreeMap::<&str, u64>::new());
    let accepted = std::cell::RefCell::new(BTreeMap::<&str, u64>::new());
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let sequences = (
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(command(), 0..50),
    );
    runner
        .run(&sequences, |(auto, emergency, commands)| {
            let outcome = if auto {
                Outcome::Granted
            } else {
                Outcome::NeedsApproval
            };
            let begin = Fact::Requested {
                request: request(emergency),
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
                emergency,
                ..Model::default()
            };
            let mut now = 0;
            for command in &commands {
                if let Command::Wait { s } = command {
                    now += s * 1_000 + 137;
                }
                let terminal_before = case.state(moment(now)).is_terminal();
                if let Some(fact) = fact(command, &case, now, &model) {
                    let event = Event {
                        at: moment(now),
                        fact,
                    };
                    let before = case.clone();
                    let took = case.apply_with(&event, Some("why")).is_ok();
                    prop_assert_eq!(
                        took,
                        model.take(command, now),
                        "{:?} at {} in {}",
                        command,
                        now,
                        model.state(now)
                    );
                    if took {
                        *accepted
                            .borrow_mut()
                            .entry(kind_of(&event.fact))
                            .or_default() += 1;
                        let opens = matches!(
                            event.fact,
                            Fact::IssueIntended { .. }
                                | Fact::Approved { .. }
                                | Fact::ExtensionRequested { .. }
                        );
                        prop_assert!(!(terminal_before && opens), "terminal is terminal");
                        events.push(event);
                    } else {
                        prop_assert_eq!(&case, &before, "a refused event changes nothing");
                    }
                }
                alike(&case, &model, now)?;
                let state = case.state(moment(now)).name();
                *seen.borrow_mut().entry(state).or_default() += 1;
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
                    Some(case) => case.apply_with(&event, Some("why")).expect("a story"),
                }
            }
            prop_assert_eq!(again, Some(case));
            Ok(())
        })
        .expect("the case and its model differ");
    let (seen, accepted) = (seen.into_inner(), accepted.into_inner());
    let _ = writeln!(
        std::io::stderr(),
        "FIGURES random lives of a case: {cases} sequences, no difference from the reference"
    );
    println!("accepted {accepted:?}; in each state after a command: {seen:?}");
    assert_eq!(seen.len(), 9, "every state was reached: {seen:?}");
    assert_eq!(accepted.len(), 17, "every kind of event: {accepted:?}");
}
