//! One sequence of commands on a desk of its own, with the reference beside it; and the invariants of the design, looked up in
//! the record and at AWS.

use std::collections::{BTreeMap, BTreeSet};

use writ_engine::case::{Review, SessionOutcome};
use writ_engine::delegation::DelegationId;
use writ_engine::event::Fact;
use writ_engine::{Case, RequestId, UserId, Window};

use super::commands::Command;
use super::model::{Model, PEOPLE, Seen};
use super::seams::Seams;
use super::*;
use crate::aws::{Aws, RevokerSettings};
use crate::bundle::BundleSlot;
use crate::desk::{Ask, Consent, DeskError, Loan, Outside, PersonRevoked, Refused, Wish};
use crate::journal::SigningKey;
use crate::journal::verify::{Depth, verify};

/// The journal's name.
const ORIGIN: &str = "writ.example.com/journal";

pub(super) const SCOPES: [&str; 4] = [
    "ledger-read",
    "ledger-admin",
    "ledger-close",
    "payments-deploy",
];

/// How many of the newest requests a command is aimed at.
const REACH: usize = 8;

/// What is the same for all sequences.
pub(super) struct Stage {
    pub(super) people: Vec<Identity>,
    bundle: Arc<BundleSlot>,
    config: Config,
    // Kept: what proved who the people are.
    _world: Grants,
}

impl Stage {
    pub(super) async fn set() -> Arc<Stage> {
        let world = grants().await;
        let mut people = Vec::new();
        for name in PEOPLE {
            people.push(world.identity(name).await);
        }
        let bundle = Arc::new(BundleSlot::open(&world.config.bundle).unwrap());
        let mut config = world.config.clone();
        config.aws.revoker = Some(RevokerSettings {
            credentials: config.aws.credentials.clone(),
            endpoint_url: None,
        });
        Arc::new(Stage {
            people,
            bundle,
            config,
            _world: world,
        })
    }

    /// Audrey, who sees everything.
    pub(super) fn audrey(&self) -> &Identity {
        &self.people[7]
    }
}

/// One sequence: the desk, its weather, and the reference beside it.
pub(super) struct Run {
    pub(super) stage: Arc<Stage>,
    pub(super) desk: Arc<Desk>,
    hand: ManualHand,
    wall: Moment,
    pub(super) sts: Sts,
    free: Arc<AtomicU64>,
    pub(super) folder: tempfile::TempDir,
    // A bundle of its own, where it is to change.
    policies: Option<tempfile::TempDir>,
    bundle: Arc<BundleSlot>,
    pub(super) model: Model,
    pub(super) ids: Vec<String>,
    pub(super) loans: Vec<DelegationId>,
    /// The sessions that somebody was given, by request and by AWS's name for the key.
    pub(super) given: Vec<(String, String)>,
    /// Sessions that were intended and of which AWS has not heard, by request and number.
    pub(super) unheard: BTreeSet<(String, u32)>,
    /// The steps between calls and replies, where they are counted.
    pub(super) seams: Option<Seams>,
    // The name of each request's state when it was last looked at, and its window.
    before: BTreeMap<String, (&'static str, Option<Window>)>,
}

pub(super) type Outcome = Result<(), &'static str>;

/// What a call was answered with.
pub(super) enum Told {
    Made(String),
    Lent(DelegationId),
    /// A session of this request, by AWS's name for its key.
    Given(String, String),
    Ended(PersonRevoked),
    Done,
}

/// What a call is about.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) id: String,
    pub(super) loan: Option<DelegationId>,
}

impl Run {
    /// A new broker at noon, on an empty journal. Its files and clocks are its own; its bundle too, if that is to change.
    pub(super) async fn start(stage: &Arc<Stage>, own_bundle: bool, seams: Option<Seams>) -> Run {
        let sts = Sts::start(noon()).await;
        if let Some(seams) = &seams {
            sts.count(seams);
        }
        let (policies, bundle) = match own_bundle {
            true => {
                let folder = tempfile::tempdir().unwrap();
                let Source::Folder(written) = &stage.config.bundle else {
                    panic!("the bundle is a folder");
                };
                for (name, text) in crate::bundle::read(written).unwrap().0 {
                    std::fs::write(folder.path().join(name), text).unwrap();
                }
                let source = Source::Folder(folder.path().to_owned());
                (Some(folder), Arc::new(BundleSlot::open(&source).unwrap()))
            }
            false => (None, Arc::clone(&stage.bundle)),
        };
        let free = Arc::new(AtomicU64::new(u64::MAX));
        let folder = tempfile::tempdir().unwrap();
        let opened = open(
            stage,
            folder.path(),
            &bundle,
            noon(),
            &sts,
            &free,
            seams.as_ref(),
        );
        let (folder, (desk, hand)) = match opened.await {
            Ok(opened) => (folder, opened),
            Err(error) => {
                let seams = seams.as_ref().unwrap();
                assert!(seams.struck().is_some(), "{error}");
                let folder = seams.remains().unwrap_or(folder);
                let again = open(
                    stage,
                    folder.path(),
                    &bundle,
                    noon(),
                    &sts,
                    &free,
                    Some(seams),
                );
                let again = again.await.unwrap();
                (folder, again)
            }
        };
        Run {
            stage: Arc::clone(stage),
            desk,
            hand,
            wall: noon(),
            sts,
            free,
            folder,
            policies,
            bundle,
            model: Model::default(),
            ids: Vec::new(),
            loans: Vec::new(),
            given: Vec::new(),
            unheard: BTreeSet::new(),
            seams,
            before: BTreeMap::new(),
        }
    }

    /// Opens the desk on the files in its folder.
    pub(super) async fn open(&mut self) -> Result<(), DeskError> {
        // Not earlier than the last one had come: what the clock alone had ended is not on record.
        let now = self.desk.now().max(self.wall);
        let (desk, hand) = open(
            &self.stage,
            self.folder.path(),
            &self.bundle,
            now,
            &self.sts,
            &self.free,
            self.seams.as_ref(),
        )
        .await?;
        (self.desk, self.hand, self.wall) = (desk, hand, now);
        self.model.heard_all(now.as_ms());
        Ok(())
    }

    /// Closes the desk; if its broker died, what there is from now on is what its files held.
    pub(super) async fn lie_down(&mut self) {
        self.desk.close().await;
        if let Some(remains) = self.seams.as_ref().and_then(Seams::remains) {
            self.folder = remains;
        }
        self.verify();
    }

    /// The broker dies while it asks AWS for a session, and another one comes up.
    pub(super) async fn crash(&mut self, command: &Command) -> Outcome {
        let Command::Crash { who, request } = *command else {
            panic!("{command:?} is no crash");
        };
        let seams = self.seams.clone().unwrap();
        let issue = Command::Issue {
            who,
            request,
            fault: None,
        };
        let about = self.about(&issue, self.place(&issue));
        seams.die_next(true);
        let said = call(&self.desk, &self.stage.people, &issue, &about);
        let (answer, _) = seams.patiently(said, async {}).await;
        seams.die_next(false);
        let outcome = answer.map(|_| ()).map_err(|refused| why(&refused));
        if !seams.is_dead() {
            return outcome;
        }
        self.lie_down().await;
        self.open().await.map_err(|_| "NotOpened")
    }

    /// A session that was intended and that AWS has not heard of: nobody knows what became of it.
    pub(super) fn note_the_unheard(&mut self, what: &str) {
        for id in &self.ids {
            let view = self.desk.get(self.stage.audrey(), id).unwrap();
            let sessions = view.case.sessions();
            let known = self.unheard.iter().filter(|(of, _)| of == id).count();
            let missing = sessions.len() - self.sts.calls_of(id).len() - known;
            assert!(missing <= 1, "{what}: {missing} sessions are unheard of");
            if missing == 1 {
                let last = sessions.last().unwrap();
                assert_eq!(last.outcome, SessionOutcome::Unknown, "{what}");
                self.unheard.insert((id.clone(), last.number));
            }
        }
    }

    /// The journal as anyone with the key sees it.
    pub(super) fn verify(&self) {
        let key = SigningKey::load(&self.folder.path().join("key")).unwrap();
        let key = key.verifying_key(ORIGIN).unwrap();
        verify(
            &self.folder.path().join("writ.db"),
            &key,
            None,
            Depth::Meaning,
        )
        .unwrap();
    }

    fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for id in &self.ids {
            let view = self.desk.get(self.stage.audrey(), id).unwrap();
            cases.push(view.case);
        }
        cases
    }

    fn doubtful(&self) -> bool {
        let ahead_ms = self.wall.since_ms(self.desk.now());
        !(-5_000..=60_000).contains(&ahead_ms)
    }

    /// The request that a command is about, by its place; `None` where there is none.
    pub(super) fn place(&self, command: &Command) -> Option<usize> {
        self.ids.len().checked_sub(1 + command.request()?)
    }

    /// The command with whoever asked in the place of nobody in particular.
    pub(super) fn by_whom(&self, command: &Command) -> Command {
        let mut command = command.clone();
        let place = self.place(&command);
        if let Command::Withdraw { who, .. }
        | Command::Issue { who, .. }
        | Command::Extend { who, .. }
        | Command::Keep { who, .. }
        | Command::Release { who, .. } = &mut command
            && *who == PEOPLE.len()
        {
            *who = place.map_or(0, |place| self.model.requests[place].who());
        }
        command
    }

    /// One like `command` that the reference lets succeed now, or one that leads to where such a one can, if it is aimed.
    pub(super) fn aimed(&mut self, command: &Command, aim: Option<u16>) -> Command {
        self.look_out();
        let mut wanted = aim.map(|aim| (usize::from(aim), command.clone()));
        while let Some((aim, like)) = wanted {
            let mut can = self.possible(&like);
            if !can.is_empty() {
                return can.swap_remove(aim % can.len());
            }
            wanted = like.after().map(|before| (aim, before));
        }
        command.clone()
    }

    /// Those like `command` that the reference lets succeed now.
    fn possible(&self, command: &Command) -> Vec<Command> {
        let now = self.desk.now().as_ms();
        let newest = self.ids.len().min(REACH);
        let alike = command.alike(newest, self.loans.len());
        let alike = alike.iter().map(|command| self.by_whom(command));
        let can = |command: &Command| {
            let mut model = self.model.clone();
            let outcome = model.take(command, self.place(command), now);
            // What AWS does then is another matter.
            model.calls_sts(&outcome)
        };
        alike.filter(can).collect()
    }

    pub(super) fn about(&self, command: &Command, place: Option<usize>) -> About {
        let loan = match command {
            Command::TakeBack { loan, .. } => self.loans.get(*loan).cloned(),
            _ => None,
        };
        let id = place.map(|place| self.ids[place].clone());
        About {
            id: id.unwrap_or_default(),
            loan,
        }
    }

    pub(super) async fn restart(&mut self, what: &str) -> Result<(), DeskError> {
        let before = self.cases();
        self.desk.close().await;
        self.open().await?;
        assert!(
            before == self.cases(),
            "{what}: the record is read as something else"
        );
        Ok(())
    }

    /// The weather as the reference is to know it.
    pub(super) fn look_out(&mut self) {
        self.model.weather = match (
            self.free.load(Ordering::Relaxed) < RESERVE_BYTES,
            self.doubtful(),
        ) {
            (true, _) => Some("StorageLow"),
            (false, true) => Some("ClockBehind"),
            (false, false) => None,
        };
    }

    /// Time passes, here and at AWS.
    pub(super) fn pass_s(&mut self, seconds: i64) {
        let ms = u32::try_from(seconds * 1_000).unwrap();
        self.hand.advance_ms(ms);
        self.sts.pass_ms(ms);
        self.wall = Moment::from_ms(self.wall.as_ms() + i64::from(ms)).unwrap();
    }

    /// Carries a command out, and holds what comes of it against the reference.
    pub(super) async fn take(&mut self, command: &Command, what: &str) -> Outcome {
        let command = &self.by_whom(command);
        let now = self.desk.now().as_ms();
        self.look_out();
        let place = self.place(command);
        match command {
            Command::Wait(seconds) => {
                self.pass_s(*seconds);
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
                self.restart(what).await.unwrap();
                return Ok(());
            }
            Command::Crash { .. } => {
                let expected = self.model.take(command, place, now);
                assert_eq!((expected, self.crash(command).await), (Ok(()), Ok(())));
                self.note_the_unheard(what);
                return Ok(());
            }
            Command::LookForTheUnheard
            | Command::CarryOut
            | Command::Freeze(_)
            | Command::Ask { .. }
            | Command::RevokePerson { .. }
            | Command::Lend { .. } => {}
            Command::TakeBack { loan, .. } => {
                if *loan >= self.loans.len() {
                    return Err("nothing there");
                }
            }
            Command::Approve { .. }
            | Command::Deny { .. }
            | Command::Withdraw { .. }
            | Command::Issue { .. }
            | Command::Extend { .. }
            | Command::Keep { .. }
            | Command::Release { .. }
            | Command::Revoke { .. }
            | Command::Review { .. } => {
                if place.is_none() {
                    return Err("nothing there");
                }
            }
        }
        let expected = self.model.take(command, place, now);
        if let Command::Issue {
            fault: Some(vanishes),
            ..
        } = command
            && self.model.calls_sts(&expected)
        {
            self.sts.fail(match vanishes {
                true => Fault::Vanishes,
                false => Fault::Refuses,
            });
        }
        let calls = self.sts.calls().len();
        self.change_bundle(command);
        let about = self.about(command, place);
        let answer = call(&self.desk, &self.stage.people, command, &about).await;
        let outcome = self.note(command, answer);
        for call in self.sts.calls().split_off(calls) {
            self.check_call(&call);
        }
        assert_eq!(
            outcome,
            expected,
            "{what}, {:?}",
            place.map(|place| &self.model.requests[place])
        );
        outcome
    }

    /// Changes the bundle, if that is what a command is about.
    pub(super) fn change_bundle(&self, command: &Command) {
        let policies = self.policies.as_ref().map(tempfile::TempDir::path);
        if let (Command::Freeze(frozen), Some(policies)) = (command, policies) {
            freeze(policies, *frozen);
            self.bundle.reload();
        }
    }

    /// Takes what was told, and answers how it went.
    fn note(&mut self, command: &Command, answer: Result<Told, Refused>) -> Outcome {
        match answer.map_err(|refused| why(&refused))? {
            Told::Made(id) => {
                let place = self.ids.iter().position(|known| *known == id);
                assert_eq!(
                    place.unwrap_or(self.ids.len()),
                    self.model.answered,
                    "which request answers {command:?}"
                );
                if place.is_none() {
                    self.ids.push(id);
                }
            }
            Told::Lent(id) => self.loans.push(id),
            Told::Given(id, key) => self.given.push((id, key)),
            Told::Ended(person) => {
                let ids: BTreeSet<String> = person
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
                assert!(person.not_permitted <= self.model.not_permitted);
            }
            Told::Done => {}
        }
        Ok(())
    }

    /// What AWS was asked is no more than what was granted, and that no more than what was approved and asked for.
    pub(super) fn check_call(&mut self, call: &sts::Call) {
        let place = self.ids.iter().position(|id| *id == call.grant).unwrap();
        let view = self.desk.get(self.stage.audrey(), &call.grant).unwrap();
        let case = &view.case;
        self.model
            .note_session(place, call.at.as_ms() + call.duration_s * 1_000);
        let now = self.desk.now();
        let window = match case.state(now) {
            writ_engine::State::Active(window) => window,
            // It was ended right after.
            writ_engine::State::Released | writ_engine::State::Revoked => case.opened().unwrap(),
            // AWS gave none at all, and the window is not open yet.
            writ_engine::State::Approved => {
                assert!(!call.given);
                Window::opening(now, case.request().duration).unwrap()
            }
            other => panic!("issued while {other}"),
        };
        if let Some(ended_at) = case.ended_at() {
            assert!(now <= ended_at, "issued after its end");
        }
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

    /// What is to be seen of a request now.
    pub(super) fn seen(&self, place: usize) -> Seen {
        let now = self.desk.now();
        let view = self
            .desk
            .get(self.stage.audrey(), &self.ids[place])
            .unwrap();
        let case = &view.case;
        let state = case.state(now);
        let window = window_of(state);
        Seen {
            state: state.name(),
            duration_s: case.request().duration.as_s().into(),
            window: window.map(|window| (window.opens_at().as_ms(), window.closes_at().as_ms())),
            waits_s: case
                .extension_pending()
                .filter(|_| window.is_some())
                .map(|asked| asked.extension.duration.as_s().into()),
            extensions: case.extensions().len(),
            approvals: case.approvals().len(),
            sessions: case.sessions().len(),
            owes: matches!(case.review(), Review::Open { .. }),
            glass: case.request().break_glass.is_some(),
            kept: case.keep_for_s().is_some(),
        }
    }

    /// The reference and the desk say the same of every request; and what no command may ever do has not been done.
    pub(super) fn check(&mut self, what: &str) {
        let now = self.desk.now();
        for (place, id) in self.ids.iter().enumerate() {
            assert_eq!(
                self.seen(place),
                self.model.seen(place, now.as_ms()),
                "{what}: request {place}"
            );
            let view = self.desk.get(self.stage.audrey(), id).unwrap();
            let case = &view.case;
            let state = case.state(now);
            let window = window_of(state);
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
            for (_, key) in self.given.iter().filter(|(of, _)| of == id) {
                let is_it = |outcome: &SessionOutcome| matches!(outcome, SessionOutcome::Issued { access_key_id, .. } if access_key_id == key);
                assert!(
                    case.sessions()
                        .iter()
                        .any(|session| is_it(&session.outcome)),
                    "{what}: what was given is on record as that"
                );
            }
            let calls = self.sts.calls_of(id);
            let heard = |number: u32| !self.unheard.contains(&(id.clone(), number));
            let sessions = case.sessions().iter();
            let sessions: Vec<_> = sessions.filter(|session| heard(session.number)).collect();
            assert_eq!(
                calls.len(),
                sessions.len(),
                "{what}: a call for each intent"
            );
            for (call, session) in calls.iter().zip(sessions) {
                assert_ne!(
                    session.outcome,
                    SessionOutcome::Intended,
                    "{what}: an outcome for each"
                );
                assert!(
                    call.given || session.outcome == SessionOutcome::Failed,
                    "{what}: what AWS did not give failed"
                );
                assert!(
                    !call.given || session.outcome != SessionOutcome::Failed,
                    "{what}: what AWS gave is on record"
                );
            }
        }
    }

    /// Every grant that ended before its time is denied at AWS, or its sessions are over; IAM may need to be asked often.
    pub(super) async fn check_ends(&mut self) {
        for _ in 0..12 {
            self.desk.carry_out_revocations().await;
            if self.usable_after_the_end().is_none() {
                return;
            }
            self.pass_s(7);
        }
        panic!(
            "{:?} may be used after its end",
            self.usable_after_the_end()
        );
    }

    /// A session that AWS honours though its grant has ended.
    fn usable_after_the_end(&self) -> Option<sts::Call> {
        let now = self.desk.now();
        let ended = |id: &str| {
            let view = self.desk.get(self.stage.audrey(), id).unwrap();
            ["RELEASED", "REVOKED"].contains(&view.case.state(now).name())
        };
        self.sts.calls().into_iter().find(|call| {
            let ends_at = call.at.as_ms() + call.duration_s * 1_000;
            let lives = call.given && now.as_ms() < ends_at.min(call.closes_at.as_ms());
            lives && ended(&call.grant) && !self.sts.denied(&call.role).contains(&call.grant)
        })
    }

    /// The record by itself: one outcome for each session, no intent after an end, every counted approval of its own request.
    pub(super) async fn check_record(&self) {
        let audrey = self.stage.audrey();
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

pub(super) fn why(refused: &Refused) -> &'static str {
    match refused {
        Refused::NotFound => "NotFound",
        Refused::Field(..) => "Field",
        Refused::Policy(_) => "Policy",
        Refused::NeedsApproval(_) => "NeedsApproval",
        Refused::NotPermitted(_) => "NotPermitted",
        Refused::SelfApproval | Refused::SelfReview => "SelfApproval",
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

fn window_of(state: writ_engine::State) -> Option<Window> {
    match state {
        writ_engine::State::Active(window) | writ_engine::State::Expired(window) => Some(window),
        writ_engine::State::Pending
        | writ_engine::State::Approved
        | writ_engine::State::Denied
        | writ_engine::State::Withdrawn
        | writ_engine::State::Lapsed
        | writ_engine::State::Released
        | writ_engine::State::Revoked => None,
    }
}

/// Puts the guardrail into a bundle's folder, or takes it out.
fn freeze(policies: &Path, frozen: bool) {
    let file = policies.join("freeze.cedar");
    match frozen {
        true => {
            let scope = super::model::FROZEN;
            let text = format!(
                "@id(\"freeze\")\nforbid (principal, action == Action::\"activate\", resource == Scope::\"{scope}\");\n"
            );
            std::fs::write(file, text).unwrap();
        }
        false => std::fs::remove_file(file).unwrap_or_default(),
    }
}

/// Opens a desk on the files in a folder, and makes them if there are none.
async fn open(
    stage: &Stage,
    folder: &Path,
    bundle: &Arc<BundleSlot>,
    at: Moment,
    sts: &Sts,
    free: &Arc<AtomicU64>,
    seams: Option<&Seams>,
) -> Result<(Arc<Desk>, ManualHand), DeskError> {
    let key = folder.join("key");
    let key = match key.exists() {
        true => SigningKey::load(&key),
        false => SigningKey::create(&key),
    };
    // Where the one before did not open, its writer may need a moment to go; with a process it goes at once.
    let mut lock = folder.join("writ.db").into_os_string();
    lock.push(".lock");
    while std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut aws = stage.config.aws.clone();
    aws.endpoint_url = Some(sts.url.clone());
    if let Some(revoker) = &mut aws.revoker {
        revoker.endpoint_url = Some(sts.url.clone());
    }
    let (clock, hand) = Clock::manual(at);
    let journal = folder.join("writ.db");
    if let Some(seams) = seams {
        seams.of_journal(&journal);
    }
    let desk = Desk::open(
        &journal,
        key.unwrap(),
        ORIGIN,
        Arc::clone(bundle),
        clock,
        told(free),
        Outside {
            aws: Aws::new(aws),
            notices: None,
        },
    );
    let desk = match seams {
        Some(seams) => seams.patiently(desk, async {}).await.0,
        None => desk.await,
    };
    Ok((desk?, hand))
}

/// Says to the desk what a command says.
pub(super) async fn call(
    desk: &Arc<Desk>,
    people: &[Identity],
    command: &Command,
    about: &About,
) -> Result<Told, Refused> {
    let id = about.id.as_str();
    match command {
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
            let made = desk.create(&people[*who], ask).await?;
            return Ok(Told::Made(made.case.request().id.to_string()));
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
            desk.approve(&people[*who], id, consent).await?;
        }
        Command::Deny { who, .. } => {
            desk.deny(&people[*who], id, "no").await?;
        }
        Command::Withdraw { who, .. } => {
            desk.withdraw(&people[*who], id).await?;
        }
        Command::Issue { who, .. } => {
            let given = desk.issue(&people[*who], id).await?;
            return Ok(Told::Given(id.to_owned(), given.access_key_id));
        }
        Command::Extend { who, minutes, .. } => {
            let duration = minutes_long(*minutes);
            desk.extend(&people[*who], id, duration, "longer").await?;
        }
        Command::Keep { who, .. } => {
            desk.keep(&people[*who], id, super::model::KEEP_S).await?;
        }
        Command::Release { who, .. } => {
            desk.release(&people[*who], id).await?;
        }
        Command::Revoke { who, .. } => {
            desk.revoke(&people[*who], id, "ended").await?;
        }
        Command::RevokePerson { who, person } => {
            let person = UserId::new(PEOPLE[*person]).unwrap();
            let ended = desk.revoke_person(&people[*who], &person, "left").await?;
            return Ok(Told::Ended(ended));
        }
        Command::Review { who, .. } => {
            desk.review(&people[*who], id, "all well").await?;
        }
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
            let lent = desk.delegate(&people[*who], loan).await?;
            return Ok(Told::Lent(lent.delegation.id));
        }
        Command::TakeBack { who, .. } => {
            let loan = about.loan.as_ref().unwrap();
            desk.end_delegation(&people[*who], loan).await?;
        }
        Command::LookForTheUnheard => desk.end_the_unheard().await,
        Command::CarryOut => {
            desk.carry_out_revocations().await;
        }
        Command::Freeze(_) => desk.record_bundle().await?,
        Command::Wait(_)
        | Command::SetWall(_)
        | Command::DiskFull(_)
        | Command::Crash { .. }
        | Command::Restart => {}
    }
    Ok(Told::Done)
}
