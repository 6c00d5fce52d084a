//! What reviewing a bundle costs: its own tests a second, against a decision of the same bundle, and the time of a proof for
//! each request environment, against a solver that has nothing to solve. All of the bundle we ship.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Instant;

use writ_engine::bundle::BundleFiles;
use writ_engine::decide::{Draft, check};
use writ_engine::suite::{Evidence, Glob, Suite};
use writ_engine::{Bundle, Moment, Principal, ScopeId, UserId};
use writ_prove::{CVC5, Kind, Solver, prove};
use writ_tests::root;
use writ_tests::rounds::{median, medians};

const ROUNDS: usize = 9;
/// Decisions of one round: about as long as a round of tests.
const DECISIONS: u32 = 200;

fn main() {
    let (files, tests) = shipped();
    let suite = Suite::read(&files, &tests).unwrap_or_else(|report| panic!("{report}"));
    tested(&suite);
    let Some(solver) = Solver::find() else {
        println!("\nno proofs: neither {CVC5} nor the PATH has a solver");
        return;
    };
    proved(&files, &suite, &solver);
}

/// The bundle we ship, and its tests.
fn shipped() -> (BundleFiles, BundleFiles) {
    let folder = root().join("policies");
    let [files, tests] = ["", "tests"].map(|part| {
        let entries = std::fs::read_dir(folder.join(part)).expect("the shipped bundle");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let files =
            paths.filter(|path| path.is_file() && path.extension().is_none_or(|it| it != "md"));
        let texts = files.map(|path| {
            let name = path.strip_prefix(&folder).expect("within it");
            let text = std::fs::read_to_string(&path).expect("a text");
            (name.display().to_string(), text)
        });
        BundleFiles(texts.collect())
    });
    (files, tests)
}

fn tested(suite: &Suite) {
    let bundle = suite.bundle().expect("a bundle");
    // How many cases and lists each test has; promises are counted by their questions.
    let (mut cases, mut promises): (BTreeMap<String, usize>, BTreeMap<String, usize>) =
        Default::default();
    for checked in suite.run(&Glob::all()).checks {
        assert!(checked.failures.is_empty(), "the shipped tests pass");
        match checked.evidence {
            None => *cases.entry(checked.test).or_default() += 1,
            Some(Evidence::Enumerated { questions }) => {
                *promises.entry(checked.test).or_default() += questions;
            }
        }
    }
    let seconds = |tests: &BTreeMap<String, usize>| {
        let start = Instant::now();
        for test in tests.keys() {
            suite.run(&Glob::new(test));
        }
        start.elapsed().as_secs_f64()
    };
    let [of_cases, of_promises, of_decisions] = medians(
        ROUNDS,
        [&|| seconds(&cases), &|| seconds(&promises), &|| {
            decisions(bundle)
        }],
    );
    let decision = of_decisions / f64::from(DECISIONS);
    println!(
        "`writ policy test` on the shipped bundle, medians of {ROUNDS} interleaved rounds; the floor is one decision ({:.0} µs)\n",
        decision * 1e6
    );
    println!("what                       count   a second   each/decision");
    for (what, tests, took) in [
        ("cases and lists", &cases, of_cases),
        ("questions of promises", &promises, of_promises),
    ] {
        let count = tests.values().sum::<usize>() as f64;
        println!(
            "{what:<24} {count:>7} {:>10.0} {:>15.2}",
            count / took,
            took / count / decision
        );
    }
}

/// Seconds of [`DECISIONS`] decisions that need a consent: the usual answer.
fn decisions(bundle: &Bundle) -> f64 {
    let sam = Principal::user(UserId::new("sam").expect("a name"));
    let scope = ScopeId::new("prod-db-read").expect("a name");
    let now: Moment = "2026-11-21T09:00:00Z".parse().expect("a moment");
    let draft = Draft {
        principal: &sam,
        scope: &scope,
        duration: "4h".parse().expect("a duration"),
        reason: "a reason",
        ticket: Some("INC-1"),
    };
    let start = Instant::now();
    for _ in 0..DECISIONS {
        let _ = std::hint::black_box(check(bundle, &draft, now));
    }
    start.elapsed().as_secs_f64()
}

fn proved(files: &BundleFiles, suite: &Suite, solver: &Solver) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let floor = median((0..ROUNDS).map(|_| nothing_to_solve(solver)).collect());
    println!(
        "\n`writ policy prove` on the shipped bundle; the floor is a solver from its start to its first answer ({:.0} ms)\n",
        floor * 1e3
    );
    println!("claims           count   environments   ms an environment   each/floor");
    for kind in Kind::ALL {
        let start = Instant::now();
        let answers = runtime
            .block_on(prove(files, suite, Some(files), &[kind], Some(solver)))
            .unwrap_or_else(|error| panic!("{error}"));
        let took = start.elapsed().as_secs_f64();
        let environments: usize = answers.iter().map(|answer| answer.environments).sum();
        let each = took / environments as f64;
        println!(
            "{:<14} {:>7} {environments:>14} {:>19.1} {:>12.2}",
            serde_json::to_value(kind)
                .expect("a name")
                .as_str()
                .unwrap_or_default(),
            answers.len(),
            each * 1e3,
            each / floor
        );
    }
}

/// Seconds from the start of the solver to its answer about nothing.
fn nothing_to_solve(solver: &Solver) -> f64 {
    let start = Instant::now();
    let mut child = Command::new(solver.path())
        .args(["--lang", "smt", "--incremental"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the solver starts");
    let mut input = child.stdin.take().expect("its input");
    input
        .write_all(b"(set-logic ALL)\n(check-sat)\n")
        .expect("it reads");
    input.flush().expect("it reads");
    let mut answer = String::new();
    let output = child.stdout.take().expect("its output");
    BufReader::new(output)
        .read_line(&mut answer)
        .expect("an answer");
    let took = start.elapsed().as_secs_f64();
    assert_eq!(answer.trim(), "sat");
    drop(input);
    child.wait().expect("it ends");
    took
}
