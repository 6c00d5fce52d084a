//! Random commands of every verb, by everyone, in any order and weather, against a small reference of what is to come of
//! each; and the invariants of the design, looked up in the record and at AWS after each step.
//!
//! The reference (`model.rs`) is written from the rules, not from the code: it keeps people, groups and policies as plain
//! tables, and a request as what happened to it. `WRIT_MODEL_CASES` runs more sequences than the few of each test run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};
use writ_engine::case::{Review, SessionOutcome};
use writ_engine::delegation::DelegationId;
use writ_engine::event::Fact;
use writ_engine::{Case, RequestId, UserId, Window};

use super::model::{Model, PEOPLE, Seen};
use super::*;
use crate::aws::Aws;
use crate::bundle::BundleSlot;
use crate::desk::{Ask, Consent, Loan, Outside, Refused, Wish};
use crate::journal::SigningKey;

/// Sequences of each test run; `WRIT_MODEL_CASES` says another number.
const SEQUENCES: u32 = 12;

/// Commands of one sequence, at most.
const COMMANDS: usize = 70;

const SCOPES: [&str; 4] = [
    "ledger-read",
    "ledger-admin",
    "ledger-close",
    "payments-deploy",
];

/// One thing that somebody does, or that happens to the broker. Requests and loans are meant by their place, modulo how many
/// there are.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Wait(i64),
    SetWall(i64),
    DiskFull(bool),
    Restart,
    LookForTheUnheard,
    Ask {
        who: usize,
        scope: usize,
        minutes: u32,
        glass: bool,
        key: Option<u8>,
        run: Option<u8>,
        keep: bool,
    },
    Approve {
        who: usize,
        request: usize,
        shorter: Option<u32>,
        lender: Option<usize>,
        other_digest: bool,
    },
    Deny {
        who: usize,
        request: usize,
    },
    Withdraw {
        who: usize,
        request: usize,
    },
    Issue {
        who: usize,
        request: usize,
        fault: Option<bool>,
    },
    Extend {
        who: usize,
        request: usize,
        minutes: u32,
    },
    Keep {
        who: usize,
        request: usize,
    },
    Release {
        who: usize,
        request: usize,
    },
    Revoke {
        who: usize,
        request: usize,
    },
    RevokePerson {
        who: usize,
        person: usize,
    },
    Review {
        who: usize,
        request: usize,
    },
    Lend {
        who: usize,
        to: usize,
        begins_s: i64,
        minutes: u32,
    },
    TakeBack {
        who: usize,
        loan: usize,
    },
}

impl Command {
    fn verb(&self) -> &'static str {
        match self {
            Command::Wait(_) => "wait",
            Command::SetWall(_) => "set the clock",
            Command::DiskFull(_) => "fill the disk",
            Command::Restart => "restart",
            Command::LookForTheUnheard => "look for the unheard",
            Command::Ask { .. } => "ask",
            Command::Approve { .. } => "approve",
            Command::Deny { .. } => "deny",
            Command::Withdraw { .. } => "withdraw",
            Command::Issue { .. } => "issue",
            Command::Extend { .. } => "extend",
            Command::Keep { .. } => "keep",
            Command::Release { .. } => "release",
            Command::Revoke { .. } => "revoke",
            Command::RevokePerson { .. } => "revoke a person",
            Command::Review { .. } => "review",
            Command::Lend { .. } => "lend",
            Command::TakeBack { .. } => "take back",
        }
    }
}

fn command() -> impl Strategy<Value = Command> {
    let anyone = || 0..PEOPLE.len();
    // Mostly those who can ask, mostly those who can consent, and mostly whoever asked (the place past the last person).
    let asker = || prop_oneof![9 => prop::sample::select(vec![0usize, 0, 1, 2, 3, 3, 4, 5, 6, 9, 9]), 1 => anyone()];
    let approver =
        || prop_oneof![8 => prop::sample::select(vec![1usize, 1, 2, 5, 4, 8, 6]), 2 => anyone()];
    let requester = || prop_oneof![7 => Just(PEOPLE.len()), 1 => anyone()];
    // The last few: with every request ever made most commands would meet one that has ended.
    let request = || 0..5usize;
    let minutes = || prop_oneof![4 => Just(60u32), 3 => Just(15), 2 => Just(120), 1 => Just(30), 1 => Just(240), 1 => Just(480), 1 => Just(720)];
    let rarely = || prop::bool::weighted(0.06);
    let waits = prop_oneof![3 => 1..60i64, 4 => 60..1_200i64, 2 => 1_200..5_400i64, 1 => Just(8 * HOUR), 1 => Just(DAY)];
    prop_oneof![
        6 => waits.prop_map(Command::Wait),
        1 => prop_oneof![Just(-3i64), Just(-HOUR), Just(HOUR), Just(20 * MINUTE), Just(50i64)].prop_map(Command::SetWall),
        1 => prop::bool::weighted(0.3).prop_map(Command::DiskFull),
        1 => Just(Command::Restart),
        1 => Just(Command::LookForTheUnheard),
        14 => (asker(), prop_oneof![5 => Just(0usize), 2 => Just(1), 2 => Just(2), 3 => Just(3)], minutes(), prop::bool::weighted(0.4),
               prop::option::weighted(0.1, 0..2u8), prop::option::weighted(0.1, 0..2u8), prop::bool::weighted(0.2))
            .prop_map(|(who, scope, minutes, glass, key, run, keep)| Command::Ask { who, scope, minutes, glass, key, run, keep }),
        16 => (approver(), request(), prop::option::weighted(0.25, minutes()), prop::option::weighted(0.25, approver()), rarely())
            .prop_map(|(who, request, shorter, lender, other_digest)| Command::Approve { who, request, shorter, lender, other_digest }),
        2 => (approver(), request()).prop_map(|(who, request)| Command::Deny { who, request }),
        1 => (requester(), request()).prop_map(|(who, request)| Command::Withdraw { who, request }),
        20 => (requester(), request(), prop::option::weighted(0.1, any::<bool>()))
            .prop_map(|(who, request, fault)| Command::Issue { who, request, fault }),
        10 => (requester(), request(), minutes()).prop_map(|(who, request, minutes)| Command::Extend { who, request, minutes }),
        2 => (requester(), request()).prop_map(|(who, request)| Command::Keep { who, request }),
        3 => (requester(), request()).prop_map(|(who, request)| Command::Release { who, request }),
        1 => (approver(), request()).prop_map(|(who, request)| Command::Revoke { who, request }),
        1 => (anyone(), anyone()).prop_map(|(who, person)| Command::RevokePerson { who, person }),
        5 => (approver(), request()).prop_map(|(who, request)| Command::Review { who, request }),
        4 => (approver(), prop_oneof![4 => prop::sample::select(vec![0usize, 2, 6]), 1 => anyone()], prop_oneof![3 => Just(0i64), 1 => Just(600)], minutes())
            .prop_map(|(who, to, begins_s, minutes)| Command::Lend { who, to, begins_s, minutes }),
        1 => (approver(), 0..4usize).prop_map(|(who, loan)| Command::TakeBack { who, loan }),
    ]
}

/// A few who ask, so that the commands that follow have something to be about.
fn asking_first() -> impl Strategy<Value = Vec<Command>> {
    let ask = (
        prop::sample::select(vec![0usize, 3, 2, 9, 5]),
        0..SCOPES.len(),
        any::<bool>(),
    );
    let ask = ask.prop_map(|(who, scope, glass)| Command::Ask {
        who,
        scope,
        minutes: 60,
        glass,
        key: None,
        run: None,
        keep: false,
    });
    prop::collection::vec(ask, 3..6)
}

/// What is the same for all sequences.
struct Stage {
    people: Vec<Identity>,
    bundle: Arc<BundleSlot>,
    config: Config,
}

/// One sequence: the desk, its weather, and the reference beside it.
struct Run<'a> {
    stage: &'a Stage,
    desk: Arc<Desk>,
    hand: ManualHand,
    wall: Moment,
    sts: Sts,
    free: Arc<AtomicU64>,
    folder: tempfile::TempDir,
    model: Model,
    ids: Vec<String>,
    loans: Vec<DelegationId>,
    // The name of each request's state when it was last looked at, and its window.
    before: BTreeMap<String, (&'static str, Option<Window>)>,
}

impl Stage {
    async fn desk(
        &self,
        folder: &Path,
        at: Moment,
        sts: &Sts,
        free: &Arc<AtomicU64>,
    ) -> (Arc<Desk>, ManualHand) {
        let key = folder.join("key");
        let key = match key.exists() {
            true => SigningKey::load(&key),
            false => SigningKey::create(&key),
        };
        let mut aws = self.config.aws.clone();
        aws.endpoint_url = Some(sts.url.clone());
        let (clock, hand) = Clock::manual(at);
        let journal = folder.join("writ.db");
        let desk = Desk::open(
            &journal,
            key.unwrap(),
            "writ.example.com/journal",
            Arc::clone(&self.bundle),
            clock,
            told(free),
            Outside {
                aws: Aws::new(aws),
                notices: None,
            },
        );
        (desk.await.unwrap(), hand)
    }

    async fn run(&self, commands: &[Command], totals: &RefCell<BTreeMap<String, u64>>) {
        let folder = tempfile::tempdir().unwrap();
        let sts = Sts::start(noon()).await;
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let (desk, hand) = self.desk(folder.path(), noon(), &sts, &free).await;
        let mut run = Run {
            stage: self,
            desk,
            hand,
            wall: noon(),
            sts,
            free,
            folder,
            model: Model::default(),
            ids: Vec::new(),
            loans: Vec::new(),
            before: BTreeMap::new(),
        };
        for (step, command) in commands.iter().enumerate() {
            let what = format!("step {step}: {command:?}");
            let outcome = run.take(command, &what).await;
            let word = outcome.err().unwrap_or("done");
            *totals
                .borrow_mut()
                .entry(format!("{} {word}", command.verb()))
                .or_default() += 1;
            run.check(&what);
        }
        run.restart("at the end").await;
        run.check_record().await;
        run.desk.close().await;
    }
}

type Outcome = Result<(), &'static str>;

impl Run<'_> {
    fn who(&self, who: usize) -> &Identity {
        &self.stage.people[who]
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for id in &self.ids {
            // Audrey sees everything.
            let view = self.desk.get(&self.stage.people[7], id).unwrap();
            cases.push(view.case);
        }
        cases
    }

    fn doubtful(&self) -> bool {
        let ahead_ms = self.wall.since_ms(self.desk.now());
        !(-5_000..=60_000).contains(&ahead_ms)
    }

    /// The command with whoever asked in the place of nobody in particular.
    fn by_whom(&self, command: &Command) -> Command {
        let mut command = command.clone();
        if let Command::Withdraw { who, request }
        | Command::Issue { who, request, .. }
        | Command::Extend { who, request, .. }
        | Command::Keep { who, request }
        | Command::Release { who, request } = &mut command
            && *who == PEOPLE.len()
        {
            let asked = self.ids.len().checked_sub(1 + *request);
            *who = asked.map_or(0, |place| self.model.requests[place].who());
        }
        command
    }

    async fn restart(&mut self, what: &str) {
        let before = self.cases();
        self.desk.close().await;
        // Not earlier than the last one had come: what the clock alone had ended is not on record.
        let now = self.desk.now().max(self.wall);
        (self.desk, self.hand) = self
            .stage
            .desk(self.folder.path(), now, &self.sts, &self.free)
            .await;
        self.wall = now;
        assert!(
            before == self.cases(),
            "{what}: the record is read as something else"
        );
        self.model.heard_all(now.as_ms());
    }

    /// Carries a command out, and holds what comes of it against the reference.
    async fn take(&mut self, command: &Command, what: &str) -> Outcome {
        let command = &self.by_whom(command);
        let now = self.desk.now().as_ms();
        self.model.weather = match (
            self.free.load(Ordering::Relaxed) < RESERVE_BYTES,
            self.doubtful(),
        ) {
            (true, _) => Some("StorageLow"),
            (false, true) => Some("ClockBehind"),
            (false, false) => None,
        };
        let pick = |place: usize| self.ids.len().checked_sub(1 + place);
        let (mut number, mut faulty) = (None, None);
        match command {
            Command::Wait(seconds) => {
                let ms = u32::try_from(seconds * 1_000).unwrap();
                self.hand.advance_ms(ms);
                self.sts.pass_ms(ms);
                self.wall = Moment::from_ms(self.wall.as_ms() + i64::from(ms)).unwrap();
                return Ok(());
            }
            Command::SetWall(seconds) => {
                self.wall = Moment::from_ms(self.wall.as_ms() + seconds * 1_000).unwrap();
                self.hand.jump(self.wall);
                return Ok(());
            }
            Command::DiskFull(full) => {
                let free = if *full { RESERVE_BYTES - 1 } else { u64::MAX };
                self.free.store(free, Ordering::Relaxed);
                return Ok(());
            }
            Command::Restart => {
                self.restart(what).await;
                return Ok(());
            }
            Command::LookForTheUnheard => {
                self.desk.end_the_unheard().await;
                self.model.end_the_unheard(now);
                return Ok(());
            }
            Command::Approve { request, .. }
            | Command::Deny { request, .. }
            | Command::Withdraw { request, .. }
            | Command::Issue { request, .. }
            | Command::Extend { request, .. }
            | Command::Keep { request, .. }
            | Command::Release { request, .. }
            | Command::Revoke { request, .. }
            | Command::Review { request, .. } => match pick(*request) {
                Some(place) => number = Some(place),
                None => return Err("nothing there"),
            },
            Command::TakeBack { loan, .. } if *loan >= self.loans.len() => {
                return Err("nothing there");
            }
            Command::TakeBack { .. }
            | Command::Ask { .. }
            | Command::RevokePerson { .. }
            | Command::Lend { .. } => {}
        }
        let expected = self.model.take(command, number, now);
        if let (
            Command::Issue {
                fault: Some(vanishes),
                ..
            },
            true,
        ) = (command, self.model.calls_sts(&expected))
        {
            faulty = Some(match vanishes {
                true => Fault::Vanishes,
                false => Fault::Refuses,
            });
        }
        let outcome = self.carry_out(command, number, faulty).await;
        assert_eq!(
            outcome,
            expected,
            "{what}, {:?}",
            number.map(|place| &self.model.requests[place])
        );
        outcome
    }

    async fn carry_out(
        &mut self,
        command: &Command,
        number: Option<usize>,
        fault: Option<Fault>,
    ) -> Outcome {
        let id = number
            .map(|place| self.ids[place].clone())
            .unwrap_or_default();
        let desk = Arc::clone(&self.desk);
        let answer = match command {
            Command::Ask {
                who,
                scope,
                minutes,
                glass,
                key,
                run,
                keep,
            } => {
                let ask = Ask {
                    wish: Wish {
                        scope: SCOPES[*scope].to_owned(),
                        duration: minutes_long(*minutes),
                        reason: "INC-42".to_owned(),
                        ticket: None,
                        break_glass: *glass,
                    },
                    idempotency_key: key.map(|key| format!("key-{key}")),
                    run: run.map(|run| format!("run-{run}")),
                    keep_for_s: keep.then_some(super::model::KEEP_S),
                };
                let made = desk.create(self.who(*who), ask).await;
                if let Ok(view) = &made {
                    let id = view.case.request().id.to_string();
                    let place = self.ids.iter().position(|known| *known == id);
                    assert_eq!(
                        place.unwrap_or(self.ids.len()),
                        self.model.answered,
                        "which request answers"
                    );
                    if place.is_none() {
                        self.ids.push(id);
                    }
                }
                made.map(|_| ())
            }
            Command::Approve {
                who,
                shorter,
                lender,
                other_digest,
                ..
            } => {
                let consent = Consent {
                    digest: other_digest.then(|| "0".repeat(64).parse().unwrap()),
                    shorter: shorter.map(minutes_long),
                    on_behalf_of: lender.map(|lender| PEOPLE[lender].to_owned()),
                    kinds: Vec::new(),
                };
                desk.approve(self.who(*who), &id, consent).await.map(|_| ())
            }
            Command::Deny { who, .. } => desk.deny(self.who(*who), &id, "no").await.map(|_| ()),
            Command::Withdraw { who, .. } => desk.withdraw(self.who(*who), &id).await.map(|_| ()),
            Command::Issue { who, .. } => {
                let calls = self.sts.calls().len();
                if let Some(fault) = fault {
                    self.sts.fail(fault);
                }
                let now = desk.now();
                let answer = desk.issue(self.who(*who), &id).await;
                let call = self.sts.calls().get(calls).cloned();
                if let Some(call) = call {
                    self.check_call(&id, number.unwrap(), &call, now);
                }
                answer.map(|_| ())
            }
            Command::Extend { who, minutes, .. } => {
                let duration = minutes_long(*minutes);
                desk.extend(self.who(*who), &id, duration, "longer")
                    .await
                    .map(|_| ())
            }
            Command::Keep { who, .. } => {
                let kept = desk.keep(self.who(*who), &id, super::model::KEEP_S);
                kept.await.map(|_| ())
            }
            Command::Release { who, .. } => desk.release(self.who(*who), &id).await.map(|_| ()),
            Command::Revoke { who, .. } => {
                desk.revoke(self.who(*who), &id, "ended").await.map(|_| ())
            }
            Command::RevokePerson { who, person } => {
                let person = UserId::new(PEOPLE[*person]).unwrap();
                let ended = desk
                    .revoke_person(self.who(*who), &person, "left")
                    .await
                    .unwrap();
                let ids: BTreeSet<String> = ended
                    .ended
                    .iter()
                    .map(|view| view.case.request().id.to_string())
                    .collect();
                let expected = self
                    .model
                    .ended_with_person
                    .iter()
                    .map(|place| self.ids[*place].clone());
                assert_eq!(ids, expected.collect());
                // Of what the caller may not end, only what they may see is counted.
                assert!(ended.not_permitted <= self.model.not_permitted);
                Ok(())
            }
            Command::Review { who, .. } => desk
                .review(self.who(*who), &id, "all well")
                .await
                .map(|_| ()),
            Command::Lend {
                who,
                to,
                begins_s,
                minutes,
            } => {
                let now = desk.now();
                let opens_at = Moment::from_ms(now.as_ms() + begins_s * 1_000).unwrap();
                let loan = Loan {
                    delegate: PEOPLE[*to].to_owned(),
                    opens_at: Some(opens_at),
                    closes_at: opens_at.plus_s(minutes * 60),
                    reason: "away".to_owned(),
                };
                let lent = desk.delegate(self.who(*who), loan).await;
                lent.map(|lent| self.loans.push(lent.delegation.id))
            }
            Command::TakeBack { who, loan } => desk
                .end_delegation(self.who(*who), &self.loans[*loan])
                .await
                .map(|_| ()),
            Command::Wait(_)
            | Command::SetWall(_)
            | Command::DiskFull(_)
            | Command::Restart
            | Command::LookForTheUnheard => Ok(()),
        };
        answer.map_err(|refused| why(&refused))
    }

    /// What AWS was asked is no more than what was granted, and that no more than what was approved and asked for.
    fn check_call(&mut self, id: &str, place: usize, call: &sts::Call, now: Moment) {
        let view = self.desk.get(&self.stage.people[7], id).unwrap();
        let case = &view.case;
        assert_eq!(call.grant, id);
        self.model
            .note_session(place, call.at.as_ms() + call.duration_s * 1_000);
        let window = match case.state(now) {
            writ_engine::State::Active(window) => window,
            // AWS gave none at all, and the window is not open yet.
            writ_engine::State::Approved => {
                assert!(!call.given);
                Window::opening(now, case.request().duration).unwrap()
            }
            other => panic!("issued while {other}"),
        };
        assert!(window.contains(now));
        assert_eq!(call.closes_at, window.closes_at());
        let left_s = (window.closes_at().since_ms(now) + 999) / 1_000;
        assert_eq!(call.duration_s, left_s.clamp(900, 3_600));
        let approved_s = match case.extensions().last() {
            Some(longer) => longer.extension.duration.as_s(),
            None => case.request().duration.as_s(),
        };
        assert!(window.duration().as_s() <= approved_s);
        assert!(case.request().duration <= case.asked_for());
    }

    /// The reference and the desk say the same of every request; and what no command may ever do has not been done.
    fn check(&mut self, what: &str) {
        let now = self.desk.now();
        for (place, id) in self.ids.iter().enumerate() {
            let view = self.desk.get(&self.stage.people[7], id).unwrap();
            let case = &view.case;
            let state = case.state(now);
            let window = match state {
                writ_engine::State::Active(window) | writ_engine::State::Expired(window) => {
                    Some(window)
                }
                _ => None,
            };
            let seen = Seen {
                state: state.name(),
                duration_s: case.request().duration.as_s().into(),
                window: window
                    .map(|window| (window.opens_at().as_ms(), window.closes_at().as_ms())),
                waits_s: case
                    .extension_pending()
                    .filter(|_| window.is_some())
                    .map(|asked| asked.extension.duration.as_s().into()),
                extensions: case.extensions().len(),
                approvals: case.approvals().len(),
                sessions: case.sessions().len(),
                owes: matches!(case.review(), Review::Open { .. }),
                glass: case.request().break_glass.is_some(),
            };
            assert_eq!(
                seen,
                self.model.seen(place, now.as_ms()),
                "{what}: request {place}"
            );

            if let Some((before, opened)) = self.before.insert(id.clone(), (state.name(), window)) {
                let was_terminal = !["PENDING", "APPROVED", "ACTIVE"].contains(&before);
                assert!(
                    !was_terminal || before == state.name(),
                    "{what}: {before} became {state}"
                );
                if let (Some(opened), Some(window)) = (opened, window)
                    && opened != window
                {
                    // Only a granted extension, of just this length, moves the end; nothing moves the beginning.
                    let granted = case.extensions().last().unwrap().extension.duration;
                    assert_eq!(
                        (window.opens_at(), window.duration()),
                        (opened.opens_at(), granted),
                        "{what}"
                    );
                    assert!(window.closes_at() > opened.closes_at(), "{what}");
                }
            }
            let calls = self.sts.calls_of(id);
            assert_eq!(
                calls.len(),
                case.sessions().len(),
                "{what}: a call for each intent"
            );
            for (call, session) in calls.iter().zip(case.sessions()) {
                assert_ne!(
                    session.outcome,
                    SessionOutcome::Intended,
                    "{what}: an outcome for each"
                );
                assert!(
                    call.given || session.outcome == SessionOutcome::Failed,
                    "{what}: what AWS did not give failed"
                );
            }
        }
    }

    /// The record by itself: one outcome for each session, no intent after an end, every counted approval of its own request.
    async fn check_record(&self) {
        let audrey = &self.stage.people[7];
        let (mut from, mut open, mut ended) = (0, BTreeSet::new(), BTreeSet::new());
        let mut last = Moment::EPOCH;
        loop {
            let (events, next) = self.desk.events(audrey, from, 256, None).await.unwrap();
            for stored in &events {
                let event = &stored.event;
                assert!(event.at >= last, "the record goes on in time");
                last = event.at;
                let ends = |request: &RequestId, ended: &mut BTreeSet<RequestId>| {
                    assert!(ended.insert(request.clone()), "ended twice");
                };
                match &event.fact {
                    Fact::IssueIntended {
                        request, session, ..
                    } => {
                        assert!(!ended.contains(request), "{event:?}");
                        assert!(open.insert((request.clone(), *session)), "{event:?}");
                    }
                    Fact::Issued {
                        request, session, ..
                    }
                    | Fact::IssueFailed {
                        request, session, ..
                    }
                    | Fact::IssueUnknown { request, session } => {
                        assert!(open.remove(&(request.clone(), *session)), "{event:?}");
                    }
                    Fact::Denied { request, .. }
                    | Fact::Withdrawn { request, .. }
                    | Fact::Released { request, .. }
                    | Fact::Revoked { request, .. } => ends(request, &mut ended),
                    Fact::Approved {
                        request, approval, ..
                    } => {
                        assert!(!ended.contains(request), "{event:?}");
                        assert_ne!(Some(&approval.approver), approval.on_behalf_of.as_ref());
                    }
                    Fact::ExtensionRequested { request, .. }
                    | Fact::ExtensionDenied { request, .. }
                    | Fact::Kept { request, .. } => assert!(!ended.contains(request), "{event:?}"),
                    Fact::BundleLoaded { .. }
                    | Fact::Requested { .. }
                    | Fact::Refused { .. }
                    | Fact::Reviewed { .. }
                    | Fact::Notified { .. }
                    | Fact::RevocationWritten { .. }
                    | Fact::RevocationVerified { .. }
                    | Fact::Delegated { .. }
                    | Fact::DelegationEnded { .. } => {}
                }
            }
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert!(open.is_empty(), "sessions without an outcome: {open:?}");
        let ended_by_people = self
            .model
            .requests
            .iter()
            .filter(|request| request.ended_by_people());
        assert_eq!(ended.len(), ended_by_people.count());
    }
}

fn minutes_long(minutes: u32) -> writ_engine::Duration {
    writ_engine::Duration::from_s(minutes * 60).unwrap()
}

fn why(refused: &Refused) -> &'static str {
    match refused {
        Refused::NotFound => "NotFound",
        Refused::Field(..) => "Field",
        Refused::Policy(_) => "Policy",
        Refused::NeedsApproval(_) => "NeedsApproval",
        Refused::NotPermitted => "NotPermitted",
        Refused::SelfApproval => "SelfApproval",
        Refused::OtherRun => "OtherRun",
        Refused::AlreadyApproved => "AlreadyApproved",
        Refused::WrongState(_) => "WrongState",
        Refused::DigestMismatch => "DigestMismatch",
        Refused::IdempotencyKeyReused => "IdempotencyKeyReused",
        Refused::TooManyOpenRequests => "TooManyOpenRequests",
        Refused::TooManySessions => "TooManySessions",
        Refused::TooManyExtensions => "TooManyExtensions",
        Refused::TooManyDelegations => "TooManyDelegations",
        Refused::NothingToReview => "NothingToReview",
        Refused::Journal => "Journal",
        Refused::StorageLow => "StorageLow",
        Refused::ClockBehind => "ClockBehind",
        Refused::AwsRefused(_) => "AwsRefused",
        Refused::AwsUnavailable(_) => "AwsUnavailable",
        Refused::ShuttingDown => "ShuttingDown",
    }
}

#[test]
fn whatever_people_do_the_desk_does_as_the_reference_and_the_invariants_hold_after_each_step() {
    let sequences = std::env::var("WRIT_MODEL_CASES").ok();
    let sequences = sequences.map_or(SEQUENCES, |count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let stage = runtime.block_on(async {
        let world = grants().await;
        let mut people = Vec::new();
        for name in PEOPLE {
            people.push(world.identity(name).await);
        }
        let bundle = Arc::new(BundleSlot::open(&world.config.bundle).unwrap());
        let config = world.config.clone();
        (
            Stage {
                people,
                bundle,
                config,
            },
            world,
        )
    });
    let (stage, _world) = stage;
    let totals = RefCell::new(BTreeMap::new());
    let mut runner = TestRunner::new(Runs {
        cases: sequences,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Runs::default()
    });
    let asking = asking_first();
    let commands = (asking, prop::collection::vec(command(), 20..COMMANDS))
        .prop_map(|(asking, rest)| [asking, rest].concat());
    let result = runner.run(&commands, |commands| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(stage.run(&commands, &totals));
        }));
        caught.map_err(|_| TestCaseError::fail("see above"))
    });
    let totals = totals.into_inner();
    let commands: u64 = totals.values().sum();
    println!("{sequences} sequences, {commands} commands:");
    for (word, times) in &totals {
        println!("  {times:>8} {word}");
    }
    result.unwrap();
    // Every verb was carried out at least once in a long run; a short one need not get there.
    if sequences >= 200 {
        for verb in [
            "ask",
            "approve",
            "deny",
            "withdraw",
            "issue",
            "extend",
            "keep",
            "release",
            "revoke",
            "review",
            "lend",
            "take back",
        ] {
            assert!(totals.contains_key(&format!("{verb} done")), "{verb}");
        }
    }
}
