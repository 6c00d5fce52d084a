//! Every step between a call and its reply, and everything that can go wrong there, one at a time.
//!
//! A few lives that together say every verb are lived once undisturbed, and the steps they cross are counted: each commit of
//! the journal, and each call to STS and IAM. Then each is lived again with one fault at one step, for every step and every
//! fault there is at it: it fails, it takes too long and somebody else comes meanwhile, the broker dies before it or after
//! it. What a broker that died leaves is what its files hold. Afterwards the journal verifies, nothing that was durable is
//! gone, the reference knows of one way in which it can have come so, the same command said again ends as the reference says,
//! and the life goes on to its end.
//!
//! Each run of the tests takes one in a few of them, evenly; `WRIT_FAULTS=all` takes all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use writ_engine::event::Fact;

use super::commands::{Command, VERBS};
use super::model::{Model, PEOPLE};
use super::run::{About, Outcome, Run, Stage, Told, call, why};
use super::seams::{Seams, Step, Trouble};
use super::*;

/// One in so many is tried where not all are: what that takes in a debug build is some seconds.
const ONE_IN: usize = 5;

/// Lives lived at once: most of them wait for a disk or a delay.
const AT_ONCE: usize = 16;

const MIA: usize = 0;
const PAT: usize = 1;
const LEE: usize = 2;
const SAM: usize = 3;
const ZOE: usize = 4;
const KIM: usize = 5;
const DANA: usize = 6;
const CI: usize = 9;

const READ: usize = 0;
const ADMIN: usize = 1;
const CLOSE: usize = 2;
const DEPLOY: usize = 3;

struct Life {
    name: &'static str,
    commands: Vec<Command>,
}

fn ask(who: usize, scope: usize, minutes: u32) -> Command {
    Command::Ask {
        who,
        scope,
        minutes,
        glass: false,
        key: Some(1),
        run: None,
        keep: false,
    }
}

/// Another wish of somebody who has one already.
fn ask_too(who: usize, scope: usize, minutes: u32) -> Command {
    Command::Ask {
        who,
        scope,
        minutes,
        glass: false,
        key: Some(2),
        run: None,
        keep: false,
    }
}

fn ask_kept(who: usize, scope: usize, minutes: u32) -> Command {
    Command::Ask {
        who,
        scope,
        minutes,
        glass: false,
        key: Some(1),
        run: Some(1),
        keep: true,
    }
}

fn break_glass(who: usize, scope: usize, minutes: u32) -> Command {
    Command::Ask {
        who,
        scope,
        minutes,
        glass: true,
        key: Some(1),
        run: None,
        keep: false,
    }
}

fn yes(who: usize) -> Command {
    Command::Approve {
        who,
        request: 0,
        shorter: None,
        lender: None,
        other_digest: false,
    }
}

fn yes_to_less(who: usize, minutes: u32) -> Command {
    Command::Approve {
        who,
        request: 0,
        shorter: Some(minutes),
        lender: None,
        other_digest: false,
    }
}

fn yes_for(lender: usize, who: usize) -> Command {
    Command::Approve {
        who,
        request: 0,
        shorter: None,
        lender: Some(lender),
        other_digest: false,
    }
}

fn issue(who: usize) -> Command {
    Command::Issue {
        who,
        request: 0,
        fault: None,
    }
}

fn longer(who: usize, minutes: u32) -> Command {
    Command::Extend {
        who,
        request: 0,
        minutes,
    }
}

fn minutes(minutes: i64) -> Command {
    Command::Wait(minutes * MINUTE)
}

/// Together they say every verb, and each that leads to access leads there.
fn lives() -> Vec<Life> {
    use Command::{CarryOut, Freeze, LookForTheUnheard, Restart};
    let request = 0;
    let deny = |who| Command::Deny { who, request };
    let withdraw = |who| Command::Withdraw { who, request };
    let keep = |who| Command::Keep { who, request };
    let release = |who| Command::Release { who, request };
    let revoke = |who| Command::Revoke { who, request };
    let crash = |who| Command::Crash { who, request };
    let review = |who| Command::Review { who, request };
    let lend = |who, to| Command::Lend {
        who,
        to,
        begins_s: 0,
        minutes: 120,
    };
    let life = |name, commands: &[Command]| Life {
        name,
        commands: commands.to_vec(),
    };
    vec![
        life(
            "asked for, approved, used and renewed",
            &[
                ask(MIA, READ, 60),
                yes(PAT),
                issue(MIA),
                minutes(10),
                issue(MIA),
                minutes(51),
                issue(MIA),
            ],
        ),
        life(
            "approved for less",
            &[
                ask(MIA, READ, 120),
                yes_to_less(PAT, 30),
                issue(MIA),
                minutes(31),
                issue(MIA),
            ],
        ),
        life(
            "approved by two people",
            &[
                ask(MIA, ADMIN, 60),
                yes(LEE),
                issue(MIA),
                yes(ZOE),
                issue(MIA),
            ],
        ),
        life("denied", &[ask(MIA, READ, 60), deny(PAT), issue(MIA)]),
        life(
            "withdrawn",
            &[ask(MIA, READ, 60), yes(PAT), withdraw(MIA), issue(MIA)],
        ),
        life(
            "made longer by its manager",
            &[
                ask(MIA, READ, 60),
                yes(PAT),
                issue(MIA),
                longer(MIA, 120),
                yes(PAT),
                minutes(70),
                issue(MIA),
            ],
        ),
        life(
            "not made longer",
            &[
                ask(MIA, READ, 60),
                yes(PAT),
                issue(MIA),
                longer(MIA, 120),
                deny(PAT),
                minutes(61),
                issue(MIA),
            ],
        ),
        life(
            "made longer by the policy",
            &[
                ask(SAM, READ, 30),
                issue(SAM),
                longer(SAM, 60),
                longer(SAM, 120),
                minutes(100),
                issue(SAM),
            ],
        ),
        life(
            "an emergency that is given back",
            &[
                break_glass(SAM, READ, 30),
                issue(SAM),
                release(SAM),
                CarryOut,
                review(ZOE),
                CarryOut,
            ],
        ),
        life(
            "an emergency that is over",
            &[
                break_glass(MIA, READ, 60),
                yes(LEE),
                issue(MIA),
                minutes(61),
                review(KIM),
                ask_too(MIA, READ, 60),
            ],
        ),
        life(
            "approved on behalf of somebody",
            &[
                lend(PAT, DANA),
                ask(MIA, READ, 60),
                yes_for(PAT, DANA),
                issue(MIA),
                Command::TakeBack { who: PAT, loan: 0 },
                ask(SAM, READ, 240),
                yes_for(PAT, DANA),
            ],
        ),
        life(
            "kept, and then no more",
            &[
                ask_kept(MIA, READ, 240),
                yes(PAT),
                issue(MIA),
                minutes(20),
                keep(MIA),
                minutes(31),
                LookForTheUnheard,
                CarryOut,
                CarryOut,
            ],
        ),
        life(
            "kept only later",
            &[
                ask(CI, DEPLOY, 15),
                keep(CI),
                issue(CI),
                minutes(31),
                LookForTheUnheard,
            ],
        ),
        life(
            "given back, and forgotten at AWS when it is over",
            &[
                ask(SAM, READ, 30),
                issue(SAM),
                release(SAM),
                CarryOut,
                CarryOut,
                minutes(6),
                CarryOut,
                minutes(60),
                CarryOut,
            ],
        ),
        life(
            "revoked",
            &[
                ask(MIA, READ, 60),
                yes(PAT),
                issue(MIA),
                revoke(KIM),
                CarryOut,
                CarryOut,
                Restart,
                CarryOut,
                issue(MIA),
            ],
        ),
        life(
            "a person who leaves",
            &[
                ask(MIA, READ, 60),
                yes(PAT),
                issue(MIA),
                ask_too(MIA, ADMIN, 60),
                Command::RevokePerson {
                    who: KIM,
                    person: MIA,
                },
                CarryOut,
                CarryOut,
            ],
        ),
        life(
            "another bundle in between",
            &[
                ask(MIA, CLOSE, 60),
                yes(LEE),
                yes(PAT),
                Freeze(true),
                issue(MIA),
                Freeze(false),
                issue(MIA),
            ],
        ),
        life(
            "restarts in between",
            &[
                ask(SAM, READ, 60),
                Restart,
                issue(SAM),
                Restart,
                issue(SAM),
                Restart,
            ],
        ),
        life(
            "a crash in between",
            &[
                ask(MIA, READ, 60),
                yes(PAT),
                crash(MIA),
                issue(MIA),
                minutes(5),
                revoke(KIM),
                CarryOut,
                CarryOut,
            ],
        ),
        life(
            "an emergency with a crash",
            &[
                break_glass(SAM, READ, 30),
                crash(SAM),
                release(SAM),
                CarryOut,
                review(ZOE),
            ],
        ),
    ]
}

/// What a life came to.
#[derive(Default)]
struct Lived {
    // How many steps were crossed when each command was done.
    ends: Vec<usize>,
    steps: Vec<Step>,
    words: Vec<(&'static str, &'static str)>,
    verified: usize,
    // What became of the command that was disturbed, and of saying it again.
    disturbed: Option<(Trouble, Outcome, Outcome)>,
}

/// Lives a life; with one fault at one step, if there is to be one, which is crossed in the command at `place`.
async fn live(
    stage: &Arc<Stage>,
    life: &Life,
    strike: Option<(usize, Trouble)>,
    place: Option<usize>,
) -> Lived {
    let own_bundle = life
        .commands
        .iter()
        .any(|command| matches!(command, Command::Freeze(_)));
    let seams = Seams::striking(strike);
    let mut run = Run::start(stage, own_bundle, Some(seams.clone())).await;
    let mut lived = Lived {
        ends: vec![seams.crossed().len()],
        ..Lived::default()
    };
    for (step, command) in life.commands.iter().enumerate() {
        let what = format!("{}, step {step}: {command:?}, {strike:?}", life.name);
        if place == Some(step) {
            lived.disturbed =
                Some(disturbed(&mut run, &seams, &life.commands[step..], &what).await);
            lived.verified += 1;
        } else {
            let outcome = run.take(command, &what).await;
            lived
                .words
                .push((command.verb(), outcome.err().unwrap_or("done")));
        }
        run.check(&what);
        lived.ends.push(seams.crossed().len());
    }
    lived.steps = seams.crossed();
    assert_eq!(
        seams.struck().is_some(),
        strike.is_some(),
        "{}: {strike:?}",
        life.name
    );
    run.restart("at the end").await.unwrap();
    run.check("at the end");
    run.check_record().await;
    run.check_ends().await;
    run.desk.close().await;
    run.verify();
    lived.verified += 1;
    run.check_durable(&seams.durable());
    seams.forget();
    lived
}

/// Says the first of the commands, which the fault strikes, and settles what came of it.
async fn disturbed(
    run: &mut Run,
    seams: &Seams,
    commands: &[Command],
    what: &str,
) -> (Trouble, Outcome, Outcome) {
    let command = run.by_whom(&commands[0]);
    let place = run.place(&command);
    let about = run.about(&command, place);
    run.look_out();
    run.change_bundle(&command);
    let before = run.model.clone();
    let calls = run.sts.calls().len();
    let mut said = Vec::new();
    let acknowledged = std::sync::Mutex::new(Vec::new());
    if let Command::Restart | Command::Crash { .. } = command {
        let outcome = match command {
            Command::Restart => run.restart(what).await.map_err(|_| "NotOpened"),
            _ => run.crash(&command).await,
        };
        said.push((command.clone(), place, outcome));
    } else {
        // The next thing that somebody else says, if it comes to a delay.
        let others = commands[1..].iter().map(|other| run.by_whom(other));
        let other = others
            .filter(|other| other.request().is_some() && run.place(other).is_some())
            .find(|other| other.who().is_some() && other.who() != command.who());
        let other = other.map(|other| {
            let place = run.place(&other);
            let about = run.about(&other, place);
            (other, place, about)
        });
        let (desk, stage) = (Arc::clone(&run.desk), Arc::clone(&run.stage));
        let say = async |command: &Command, about: &About| {
            let answer = call(&desk, &stage.people, command, about).await;
            let told = answer.map_err(|refused| why(&refused))?;
            acknowledged.lock().unwrap().push(told);
            Ok(())
        };
        let meanwhile = async {
            match &other {
                Some((other, _, about)) => Some(say(other, about).await),
                None => None,
            }
        };
        let (outcome, meanwhile) = seams.patiently(say(&command, &about), meanwhile).await;
        said.push((command.clone(), place, outcome));
        if let (Some((other, place, _)), Some(Some(outcome))) = (other, meanwhile) {
            said.push((other, place, outcome));
        }
    }
    let (_, trouble) = seams
        .struck()
        .unwrap_or_else(|| panic!("{what}: nothing struck"));
    let outcome = said[0].2;

    run.lie_down().await;
    run.check_durable(&seams.durable());
    run.open().await.unwrap();
    settle(run, before, &said, what).await;
    for told in acknowledged.into_inner().unwrap() {
        match told {
            Told::Made(id) => assert!(run.ids.contains(&id), "{what}: {id} is gone"),
            Told::Lent(id) => assert!(run.loans.contains(&id), "{what}: {id} is gone"),
            Told::Given(id, key) => run.given.push((id, key)),
            Told::Ended(_) | Told::Done => {}
        }
    }
    for call in run.sts.calls().split_off(calls) {
        run.check_call(&call);
    }
    run.check(what);
    let again = run.take(&command, &format!("again: {what}")).await;
    (trouble, outcome, again)
}

/// Finds the one way, of those that what was answered leaves open, in which it came to what the record says.
async fn settle(
    run: &mut Run,
    before: Model,
    said: &[(Command, Option<usize>, Outcome)],
    what: &str,
) {
    run.take_names_from_the_record().await;
    let now = run.desk.now().as_ms();
    let mut orders = vec![said.to_vec()];
    if said.len() == 2 {
        orders.push(said.iter().rev().cloned().collect());
    }
    let mut found = None;
    let mut tried = Vec::new();
    for order in orders {
        let mut models = vec![before.clone()];
        for (command, place, outcome) in &order {
            models = models
                .iter()
                .flat_map(|model| ways(model, command, *place, *outcome, now))
                .collect();
        }
        for mut model in models {
            model.heard_all(now);
            match run.differs(&model) {
                None => found = found.or(Some(model)),
                Some(difference) => tried.push(difference),
            }
        }
    }
    run.model = found.unwrap_or_else(|| {
        panic!(
            "{what}: {said:?} cannot have come to this:\n{}",
            tried.join("\n")
        )
    });
    run.note_the_unheard(what);
}

/// What a command can have come to, where it was answered so.
fn ways(
    model: &Model,
    command: &Command,
    place: Option<usize>,
    outcome: Outcome,
    now: i64,
) -> Vec<Model> {
    let said = |model: &Model, command: &Command, place, expected: Outcome| {
        let mut model = model.clone();
        (model.take(command, place, now) == expected).then_some(model)
    };
    let done = |model: &Model| said(model, command, place, Ok(()));
    let issue = |fault| match command {
        Command::Issue { who, request, .. } => Some(Command::Issue {
            who: *who,
            request: *request,
            fault: Some(fault),
        }),
        _ => None,
    };
    // Nobody knows what AWS did; AWS did nothing.
    let unknown = |model: &Model| said(model, &issue(true)?, place, Err("AwsUnavailable"));
    let failed = |model: &Model| said(model, &issue(false)?, place, Err("AwsRefused"));
    let failed_and_done = |model: &Model| done(&failed(model)?);
    // Nobody is told what becomes of this one.
    let outcome = match command {
        Command::LookForTheUnheard | Command::Crash { .. } => Err("Journal"),
        _ => outcome,
    };
    match outcome {
        Ok(()) => [done(model), failed_and_done(model)]
            .into_iter()
            .flatten()
            .collect(),
        Err("AwsRefused") => failed(model).into_iter().collect(),
        Err("AwsUnavailable") => unknown(model).into_iter().collect(),
        // It was not acknowledged: it may have happened, or not, or in part.
        Err("Journal" | "NotOpened") => {
            let mut ways = vec![
                Some(model.clone()),
                done(model),
                unknown(model),
                failed(model),
            ];
            if let Command::RevokePerson { who, .. } = command {
                let mut whole = model.clone();
                let _ = whole.take(command, None, now);
                // Any of them may have been first.
                for place in whole.ended_with_person {
                    let revoke = Command::Revoke {
                        who: *who,
                        request: 0,
                    };
                    let without = ways.clone();
                    ways.extend(
                        without
                            .into_iter()
                            .map(|way| said(&way?, &revoke, Some(place), Ok(()))),
                    );
                }
            }
            ways.into_iter().flatten().collect()
        }
        // Whether they see the request at all was looked up when they spoke, and how it stands when their turn came.
        Err("WrongState") => {
            let hidden = said(model, command, place, Err("NotFound"));
            let told = said(model, command, place, Err("WrongState"));
            told.or(hidden).into_iter().collect()
        }
        Err(refused) => said(model, command, place, Err(refused))
            .into_iter()
            .collect(),
    }
}

impl Run {
    /// Every event that was durable at some time is in the file, unchanged and in its place, and no other.
    fn check_durable(&self, durable: &[Vec<u8>]) {
        let journal = self.folder.path().join("writ.db");
        let file = rusqlite::Connection::open(journal).unwrap();
        let mut rows = file
            .prepare("SELECT leaf FROM events ORDER BY seq")
            .unwrap();
        let leaves = rows.query_map([], |row| row.get(0)).unwrap();
        let leaves: Vec<Vec<u8>> = leaves.map(Result::unwrap).collect();
        assert_eq!(
            leaves.len(),
            durable.len(),
            "events in the file, and durable"
        );
        assert!(
            leaves == durable,
            "an event is another than the one that was durable"
        );
    }

    /// The requests and the loans there are, in their order, whoever was told of them.
    async fn take_names_from_the_record(&mut self) {
        let (mut ids, mut loans, mut from) = (Vec::new(), Vec::new(), 0);
        loop {
            let page = self.desk.events(self.stage.audrey(), from, 256, None);
            let (events, next) = page.await.unwrap();
            for stored in &events {
                match &stored.event.fact {
                    Fact::Requested { request, .. } => ids.push(request.id.to_string()),
                    Fact::Delegated { delegation } => loans.push(delegation.id.clone()),
                    _ => {}
                }
            }
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert!(ids.starts_with(&self.ids) && loans.starts_with(&self.loans));
        (self.ids, self.loans) = (ids, loans);
    }

    /// In what a reference is not as the record.
    fn differs(&self, model: &Model) -> Option<String> {
        let now = self.desk.now().as_ms();
        let counts = (model.requests.len(), model.lent().0);
        if counts != (self.ids.len(), self.loans.len()) {
            return Some(format!("{counts:?} requests and loans"));
        }
        let lent = PEOPLE.iter().zip(&self.stage.people);
        let open: BTreeSet<String> = lent
            .flat_map(|(_, who)| self.desk.delegations(who))
            .map(|lending| lending.delegation.id.to_string())
            .collect();
        if open.len() != model.lent().0 - model.lent().1 {
            return Some(format!("{:?} lent and taken back", model.lent()));
        }
        (0..self.ids.len()).find_map(|place| {
            let (seen, said) = (self.seen(place), model.seen(place, now));
            (seen != said).then(|| format!("request {place}: {seen:?}, and not {said:?}"))
        })
    }
}

#[test]
fn whatever_goes_wrong_at_whatever_step_no_invariant_is_broken_and_the_life_goes_on() {
    let all = std::env::var("WRIT_FAULTS").is_ok_and(|which| which == "all");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = Stage::set().await;
        let lives: Arc<Vec<Life>> = Arc::new(lives());
        let (mut words, mut steps, mut plan) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let mut verified = 0;
        for (number, life) in lives.iter().enumerate() {
            let lived = live(&stage, life, None, None).await;
            verified += lived.verified;
            for word in lived.words {
                *words.entry(word).or_insert(0) += 1;
            }
            for (step, kind) in lived.steps.iter().enumerate() {
                *steps.entry(*kind).or_insert(0) += 1;
                // The command within which it is crossed; none for what is before the first.
                let place = lived.ends.iter().position(|end| step < *end).unwrap().checked_sub(1);
                let troubles = Trouble::at(*kind).iter();
                plan.extend(troubles.map(|trouble| (number, step, place, *trouble)));
            }
        }
        let planned = plan.len();
        let every = if all { 1 } else { ONE_IN };
        let tried: Vec<_> = plan.into_iter().step_by(every).collect();

        let (room, mut living) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
        for (number, step, place, trouble) in tried.clone() {
            let (stage, lives, room) = (Arc::clone(&stage), Arc::clone(&lives), Arc::clone(&room));
            living.spawn(async move {
                let _turn = room.acquire().await.unwrap();
                live(&stage, &lives[number], Some((step, trouble)), place).await
            });
        }
        let (mut broken, mut outcomes) = (0, BTreeMap::new());
        while let Some(lived) = living.join_next().await {
            match lived {
                Ok(lived) => {
                    verified += lived.verified;
                    if let Some((_, outcome, again)) = lived.disturbed {
                        let word = |outcome: Outcome| outcome.err().unwrap_or("done");
                        *outcomes.entry((word(outcome), word(again))).or_insert(0) += 1;
                    }
                }
                // What broke is told above.
                Err(_) => broken += 1,
            }
        }
        let crashes = tried.iter().filter(|(.., trouble)| trouble.is_crash()).count();
        let crossed: usize = steps.values().sum();
        let _ = writeln!(
            std::io::stderr(),
            "FIGURES fault points: {} lives, {crossed} steps {steps:?}, {} of {planned} faults, {crashes} crashes, {verified} journals \
             verified, {broken} invariants broken",
            lives.len(),
            tried.len(),
        );
        for ((outcome, again), times) in outcomes {
            println!("  {times:>6} {outcome}, and said again: {again}");
        }
        assert_eq!(broken, 0);
        for verb in VERBS {
            assert!(words.contains_key(&(verb, "done")), "no life says {verb}");
        }
        assert!(lives.len() >= 20 && crossed >= 190 && planned >= 1_350, "{crossed} {planned}");
        assert!(tried.len() >= planned / ONE_IN && crashes * 5 >= tried.len());
    });
}
