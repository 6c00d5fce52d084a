//! Random commands of every verb, by everyone, in any order and weather, against a small reference of what is to come of
//! each; and the invariants of the design, looked up in the record and at AWS after each step.
//!
//! The reference (`model.rs`) is written from the rules, not from the code: it keeps people, groups and policies as plain
//! tables, and a request as what happened to it. Three commands in four are aimed: of those like them, one is said that the
//! reference lets succeed, if there is one. `WRIT_MODEL_CASES` runs more sequences than the few of each test run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};

use super::commands::{Command, VERBS};
use super::model::PEOPLE;
use super::run::{Run, Stage};
use super::*;

/// Sequences of each test run; `WRIT_MODEL_CASES` says another number.
const SEQUENCES: u32 = 12;

/// Commands of one sequence, at most.
const COMMANDS: usize = 70;

/// A command, and which of those like it is meant that can succeed as things stand; `None` for just this one, wherever it
/// leads.
#[derive(Debug, Clone)]
struct Said {
    command: Command,
    aim: Option<u16>,
}

/// The place of whoever asked for the request that a command is about.
const REQUESTER: usize = PEOPLE.len();

fn one_of(places: &'static [usize]) -> impl Strategy<Value = usize> {
    prop::sample::select(places)
}

fn anyone() -> impl Strategy<Value = usize> {
    0..PEOPLE.len()
}

/// Mostly somebody who can ask for something.
fn asker() -> impl Strategy<Value = usize> {
    prop_oneof![9 => one_of(&[0, 0, 1, 2, 3, 3, 4, 5, 6, 9, 9]), 1 => anyone()]
}

/// Mostly somebody who can consent to something.
fn approver() -> impl Strategy<Value = usize> {
    prop_oneof![8 => one_of(&[1, 1, 2, 5, 4, 8, 6]), 2 => anyone()]
}

fn requester() -> impl Strategy<Value = usize> {
    prop_oneof![7 => Just(REQUESTER), 1 => anyone()]
}

/// The last few: with every request ever made most commands would meet one that has ended.
fn request() -> impl Strategy<Value = usize> {
    0..5usize
}

fn minutes() -> impl Strategy<Value = u32> {
    prop::sample::select(&[60, 60, 60, 60, 15, 15, 15, 120, 120, 30, 240, 480, 720][..])
}

fn ask() -> impl Strategy<Value = Command> {
    let name = || prop::option::weighted(0.1, 0..2u8);
    let (glass, keep) = (prop::bool::weighted(0.4), prop::bool::weighted(0.2));
    let scope = one_of(&[0, 0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 3]);
    (asker(), scope, minutes(), glass, name(), name(), keep).prop_map(
        |(who, scope, minutes, glass, key, run, keep)| Command::Ask {
            who,
            scope,
            minutes,
            glass,
            key,
            run,
            keep,
        },
    )
}

fn approve() -> impl Strategy<Value = Command> {
    let shorter = prop::option::weighted(0.25, minutes());
    let lender = prop::option::weighted(0.25, approver());
    let other_digest = prop::bool::weighted(0.06);
    (approver(), request(), shorter, lender, other_digest).prop_map(
        |(who, request, shorter, lender, other_digest)| Command::Approve {
            who,
            request,
            shorter,
            lender,
            other_digest,
        },
    )
}

fn lend() -> impl Strategy<Value = Command> {
    let to = prop_oneof![4 => one_of(&[0, 2, 6]), 1 => anyone()];
    let begins_s = prop_oneof![3 => Just(0i64), 1 => Just(600)];
    (approver(), to, begins_s, minutes()).prop_map(|(who, to, begins_s, minutes)| Command::Lend {
        who,
        to,
        begins_s,
        minutes,
    })
}

/// Time that passes, and what else nobody says.
fn weather() -> impl Strategy<Value = Command> {
    let waits = prop_oneof![
        6 => 1..60i64,
        8 => 60..1_200i64,
        4 => 1_200..5_400i64,
        1 => Just(8 * HOUR),
        1 => Just(DAY),
    ];
    let leaps = prop::sample::select(vec![-3, -HOUR, HOUR, 20 * MINUTE, 50]);
    prop_oneof![
        12 => waits.prop_map(Command::Wait),
        1 => leaps.prop_map(Command::SetWall),
        1 => prop::bool::weighted(0.2).prop_map(Command::DiskFull),
        2 => Just(Command::Restart),
        2 => Just(Command::LookForTheUnheard),
        4 => Just(Command::CarryOut),
    ]
}

/// What people say of requests and rights there are.
fn word() -> impl Strategy<Value = Command> {
    let fault = prop::option::weighted(0.1, any::<bool>());
    let issue = (requester(), request(), fault);
    let extend = (requester(), request(), minutes());
    let (own, others) = (|| (requester(), request()), || (approver(), request()));
    prop_oneof![
        16 => approve(),
        2 => others().prop_map(|(who, request)| Command::Deny { who, request }),
        1 => own().prop_map(|(who, request)| Command::Withdraw { who, request }),
        18 => issue.prop_map(|(who, request, fault)| Command::Issue { who, request, fault }),
        12 => extend.prop_map(|(who, request, minutes)| Command::Extend { who, request, minutes }),
        3 => own().prop_map(|(who, request)| Command::Keep { who, request }),
        4 => own().prop_map(|(who, request)| Command::Release { who, request }),
        1 => others().prop_map(|(who, request)| Command::Revoke { who, request }),
        1 => (anyone(), anyone()).prop_map(|(who, person)| Command::RevokePerson { who, person }),
        6 => others().prop_map(|(who, request)| Command::Review { who, request }),
        4 => lend(),
        2 => (approver(), 0..4usize).prop_map(|(who, loan)| Command::TakeBack { who, loan }),
    ]
}

/// A sequence: mostly of what can succeed as things stand, some of it of anything at all.
fn sequence() -> impl Strategy<Value = Vec<Said>> {
    let command = prop_oneof![8 => weather(), 16 => ask(), 66 => word()];
    let aim = prop::option::weighted(0.75, any::<u16>());
    let said = (command, aim).prop_map(|(command, aim)| Said { command, aim });
    let sequence = prop::collection::vec(said, 20..COMMANDS);
    // In one of some the bundle changes too, which takes a bundle of its own.
    let freezes = prop::option::weighted(0.15, (0..20usize, 0..20usize));
    (sequence, freezes).prop_map(|(mut sequence, freezes)| {
        if let Some((at, for_so_many)) = freezes {
            let freeze = |frozen| Said {
                command: Command::Freeze(frozen),
                aim: None,
            };
            let at = at.min(sequence.len());
            sequence.insert(at, freeze(true));
            let until = (at + 1 + for_so_many).min(sequence.len());
            sequence.insert(until, freeze(false));
        }
        sequence
    })
}

async fn live(
    stage: &Arc<Stage>,
    commands: &[Said],
    totals: &RefCell<BTreeMap<(&'static str, &'static str), u64>>,
) {
    let own_bundle = commands
        .iter()
        .any(|said| matches!(said.command, Command::Freeze(_)));
    let mut run = Run::start(stage, own_bundle, None).await;
    for (step, said) in commands.iter().enumerate() {
        let command = &run.aimed(&said.command, said.aim);
        let what = format!("step {step}: {command:?}");
        let outcome = run.take(command, &what).await;
        let word = outcome.err().unwrap_or("done");
        *totals
            .borrow_mut()
            .entry((command.verb(), word))
            .or_default() += 1;
        run.check(&what);
    }
    run.restart("at the end").await.unwrap();
    run.check_record().await;
    run.check_ends().await;
    run.desk.close().await;
    run.verify();
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
    let stage = runtime.block_on(Stage::set());
    let totals = RefCell::new(BTreeMap::new());
    let mut runner = TestRunner::new(Runs {
        cases: sequences,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Runs::default()
    });
    let result = runner.run(&sequence(), |commands| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(live(&stage, &commands, &totals));
        }));
        caught.map_err(|_| TestCaseError::fail("see above"))
    });
    let totals = totals.into_inner();
    let commands: u64 = totals.values().sum();
    let mut verbs: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for ((verb, word), times) in &totals {
        let (done, refused) = verbs.entry(verb).or_default();
        match *word {
            "done" => *done += times,
            _ => *refused += times,
        }
    }
    println!("done and refused:");
    for (verb, (done, refused)) in &verbs {
        let why: Vec<String> = totals
            .iter()
            .filter(|((of, word), _)| of == verb && *word != "done")
            .map(|((_, word), times)| format!("{word} {times}"))
            .collect();
        println!("  {verb:<20} {done:>7} {refused:>7}  {}", why.join(", "));
    }
    result.unwrap();
    let _ = writeln!(
        std::io::stderr(),
        "FIGURES random commands on a broker: {sequences} sequences, {commands} commands, no difference from the reference"
    );
    // Each verb succeeded some times in a long run; a short one need not get there.
    if sequences >= 200 {
        for verb in VERBS {
            let done = verbs.get(verb).map_or(0, |(done, _)| *done);
            assert!(done >= u64::from(sequences) / 20, "{verb}: {done}");
        }
    }
}
