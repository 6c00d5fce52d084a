//! Random commands of every verb, by everyone, in any order and weather, against a small reference of what is to come of
//! each; and the invariants of the design, looked up in the record and at AWS after each step.
//!
//! The reference (`model.rs`) is written from the rules, not from the code: it keeps people, groups and policies as plain
//! tables, and a request as what happened to it. `WRIT_MODEL_CASES` runs more sequences than the few of each test run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, TestRunner};

use super::commands::Command;
use super::model::PEOPLE;
use super::run::{Run, SCOPES, Stage};
use super::*;

/// Sequences of each test run; `WRIT_MODEL_CASES` says another number.
const SEQUENCES: u32 = 12;

/// Commands of one sequence, at most.
const COMMANDS: usize = 70;

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

async fn live(stage: &Arc<Stage>, commands: &[Command], totals: &RefCell<BTreeMap<String, u64>>) {
    let own_bundle = commands
        .iter()
        .any(|command| matches!(command, Command::Freeze(_)));
    let mut run = Run::start(stage, own_bundle, None).await;
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
    run.restart("at the end").await.unwrap();
    run.check_record().await;
    run.desk.close().await;
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
    let asking = asking_first();
    let commands = (asking, prop::collection::vec(command(), 20..COMMANDS))
        .prop_map(|(asking, rest)| [asking, rest].concat());
    let result = runner.run(&commands, |commands| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(live(&stage, &commands, &totals));
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
