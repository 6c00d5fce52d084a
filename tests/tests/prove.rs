//! `writ policy prove` with the real solver: what holds is proved, what does not is refuted by a request that Cedar's own
//! authorizer confirms, and without a solver's answer nothing is called safe.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use writ_engine::bundle::BundleFiles;
use writ_engine::suite::Suite;
use writ_prove::{Answer, Kind, Solver, Verdict, prove};
use writ_tests::{root, skipped, writ};

/// The shipped bundle and its tests, with `change` made to one of its files.
fn bundle(change: Option<(&str, &str, &str)>) -> (BundleFiles, BundleFiles) {
    let (mut files, mut tests) = (BundleFiles::default(), BundleFiles::default());
    let folder = root().join("policies");
    for (part, into) in [("", &mut files), ("tests", &mut tests)] {
        for entry in std::fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&folder).unwrap().display().to_string();
            if path.is_file() && !name.ends_with(".md") {
                into.0.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    if let Some((file, from, to)) = change {
        let text = files.0.get_mut(file).expect("a file of the bundle");
        assert!(text.contains(from), "{file} has no `{from}`");
        *text = text.replace(from, to);
    }
    (files, tests)
}

async fn answers(
    change: Option<(&str, &str, &str)>,
    base: Option<&BundleFiles>,
    kinds: &[Kind],
    solver: Option<&Solver>,
) -> Vec<Answer> {
    let (files, tests) = bundle(change);
    // Some changes the engine's own lints refuse before a solver is asked. What is claimed has to find them as well.
    let suite = Suite::read(&files, &tests).unwrap_or_else(|_| {
        let (files, tests) = bundle(None);
        Suite::read(&files, &tests).expect("the shipped bundle is sound")
    });
    prove(&files, &suite, base, kinds, solver).await.unwrap()
}

fn solver() -> Option<Solver> {
    let found = Solver::find();
    if found.is_none() {
        skipped("cvc5", "neither CVC5 nor the PATH has one");
    }
    found
}

/// The claims that were refuted: the kind, the claim, the counterexample.
fn refuted(answers: &[Answer]) -> Vec<(Kind, &str, String)> {
    let counterexample = |answer: &Answer| match &answer.verdict {
        Verdict::Refuted { counterexample } => Some(counterexample.join("\n")),
        Verdict::Proved | Verdict::NotProved { .. } => None,
    };
    answers
        .iter()
        .filter_map(|answer| Some((answer.kind, answer.claim.as_str(), counterexample(answer)?)))
        .collect()
}

#[tokio::test]
async fn everything_that_a_solver_can_decide_of_the_shipped_bundle_is_proved() {
    let Some(solver) = solver() else { return };
    let answers = answers(None, None, &Kind::ALL, Some(&solver)).await;
    for answer in &answers {
        match answer.decidable {
            true => assert_eq!(answer.verdict, Verdict::Proved, "{}", answer.claim),
            false => assert!(
                matches!(answer.verdict, Verdict::NotProved { .. }),
                "{}",
                answer.claim
            ),
        }
    }
    for kind in [
        Kind::Invariant,
        Kind::Monotone,
        Kind::NeverErrors,
        Kind::Alive,
    ] {
        assert!(answers.iter().any(|answer| answer.kind == kind), "{kind:?}");
    }
    // A promise about a scope of the catalog says which row it rests on.
    let admin = answers
        .iter()
        .find(|answer| answer.claim.contains("production admin lasts"));
    assert!(admin.unwrap().rests_on[0].contains("`prod-admin` is of environment"));
}

/// A change of the shipped bundle, the kind and a part of the claim that it breaks, and a part of the counterexample.
struct Breaks {
    change: (&'static str, &'static str, &'static str),
    kind: Kind,
    claim: &'static str,
    shows: &'static str,
}

#[tokio::test]
async fn each_change_that_breaks_a_promise_is_refuted_by_a_request_that_shows_it() {
    let Some(solver) = solver() else { return };
    let table = [
        Breaks {
            change: (
                "access.cedar",
                "context.approvals.owner >= 1 &&\n  context.approvals.security >= 1 &&",
                "context.approvals.owner >= 1 &&",
            ),
            kind: Kind::Invariant,
            claim: "production admin takes two people's consent",
            shows: "approvals.owner 1",
        },
        Breaks {
            change: (
                "access.cedar",
                "context.approvals.security >= 1 &&\n  context.window.duration <= duration(\"1h\")",
                "context.approvals.security >= 1 &&\n  context.window.duration <= duration(\"2h\")",
            ),
            kind: Kind::Invariant,
            claim: "production admin lasts an hour at most",
            shows: "Scope::\"prod-admin\"",
        },
        Breaks {
            change: (
                "guardrails.cedar",
                "context.requester == principal ||",
                "context.requester == principal && context.reason == \"never\" ||",
            ),
            kind: Kind::Invariant,
            claim: "nobody consents to their own request",
            shows: "requester User::",
        },
        Breaks {
            change: (
                "guardrails.cedar",
                "when { context.window.duration > duration(\"30m\") };",
                "when { context.window.duration > duration(\"31m\") };",
            ),
            kind: Kind::Invariant,
            claim: "contractors get half an hour at most",
            shows: "Group::\"contractors\"",
        },
        Breaks {
            change: (
                "guardrails.cedar",
                "when { context.window.duration > duration(\"30m\") };",
                "when { context.window.duration > duration(\"30m\") && context.reason == \"a\" && context.reason == \"b\" };",
            ),
            kind: Kind::Alive,
            claim: "`guard.contractors.short` forbids something",
            shows: "",
        },
        Breaks {
            change: (
                "access.cedar",
                "when { context.window.duration <= duration(\"1h\") };",
                "when { context.window.duration <= duration(\"1h\") && context.window.weekday + 9223372036854775807 > 0 };",
            ),
            kind: Kind::NeverErrors,
            claim: "`proddb.read.oncall` has a value",
            shows: "window.weekday",
        },
        Breaks {
            change: (
                "access.cedar",
                "context.approvals.owner >= 1 &&\n  context.approvals.security",
                "context.approvals.owner == 1 &&\n  context.approvals.security",
            ),
            kind: Kind::Monotone,
            claim: "more approvals never take anything away",
            shows: "two.approvals.owner",
        },
        Breaks {
            change: (
                "guardrails.cedar",
                "context.window.closes_at > datetime(\"2026-12-24T00:00:00Z\") &&",
                "context.window.closes_at < datetime(\"2026-12-24T00:00:00Z\") &&",
            ),
            kind: Kind::Monotone,
            claim: "a shorter window is never refused",
            shows: "two.window.duration",
        },
    ];
    for breaks in table {
        let answers = answers(Some(breaks.change), None, &[breaks.kind], Some(&solver)).await;
        let refuted = refuted(&answers);
        let found = refuted
            .iter()
            .find(|(kind, claim, _)| *kind == breaks.kind && claim.contains(breaks.claim));
        let Some((_, _, counterexample)) = found else {
            panic!("`{}` is not refuted: {refuted:#?}", breaks.claim)
        };
        assert!(
            counterexample.contains(breaks.shows),
            "{}: {counterexample}",
            breaks.claim
        );
    }
}

#[tokio::test]
async fn what_a_change_permits_anew_is_found_and_what_it_only_says_otherwise_is_not() {
    let Some(solver) = solver() else { return };
    let (base, _) = bundle(None);
    let hour = "when { context.window.duration <= duration(\"1h\") };";
    let with = |limit: &'static str| ("access.cedar", hour, limit);
    let table = [
        (with(hour), true),
        (
            with("when { context.window.duration <= duration(\"45m\") };"),
            true,
        ),
        (
            with("when { context.window.duration <= duration(\"60m\") };"),
            true,
        ),
        (
            with("when { context.window.duration <= duration(\"2h\") };"),
            false,
        ),
        // Whoever may consent is part of what is permitted.
        (
            (
                "approvals.cedar",
                "when { principal in resource.owners };",
                "when { principal in resource.owners || principal in Group::\"oncall\" };",
            ),
            false,
        ),
        (
            (
                "guardrails.cedar",
                "resource != Scope::\"prod-db-read\" &&",
                "resource != Scope::\"prod-db-read\" && resource != Scope::\"prod-admin\" &&",
            ),
            false,
        ),
    ];
    for (change, nothing_new) in table {
        let answers = answers(
            Some(change),
            Some(&base),
            &[Kind::NothingNew],
            Some(&solver),
        )
        .await;
        let answer = answers
            .iter()
            .find(|answer| answer.kind == Kind::NothingNew)
            .unwrap();
        match nothing_new {
            true => assert_eq!(answer.verdict, Verdict::Proved, "{change:?}"),
            false => assert!(
                matches!(&answer.verdict, Verdict::Refuted { counterexample } if !counterexample.is_empty()),
                "{change:?}: {:?}",
                answer.verdict
            ),
        }
    }
}

#[tokio::test]
async fn without_a_solvers_answer_nothing_is_proved() {
    let folder = tempfile::tempdir().unwrap();
    let fake = |name: &str, does: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{does}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Solver::at(&path)
    };
    let missing = Solver::at(&folder.path().join("missing"));
    let table = [
        ("none", None),
        ("missing", Some(missing)),
        ("one that dies", Some(fake("dies", "exit 1"))),
        (
            "one that babbles",
            Some(fake("babbles", "while read line; do echo '?'; done")),
        ),
        (
            "one that does not know",
            Some(fake(
                "unknown",
                "while read line; do case $line in *check-sat*) echo unknown;; esac; done",
            )),
        ),
        // Its model is of no use, so its word is not either.
        (
            "one that lies",
            Some(fake(
                "lies",
                "while read line; do case $line in *check-sat*) echo sat;; *get-model*) echo '('; echo ')';; esac; done",
            )),
        ),
    ];
    for (name, solver) in table {
        let mut open = 0;
        for answer in answers(None, None, &Kind::ALL, solver.as_ref()).await {
            match &answer.verdict {
                Verdict::NotProved { why } => {
                    assert!(!why.is_empty());
                    open += 1;
                }
                // What the symbolic compiler sees without asking, and an example that Cedar's authorizer confirms whoever
                // made it up.
                Verdict::Proved => assert!(
                    matches!(answer.kind, Kind::NeverErrors | Kind::Alive),
                    "{name}: {answer:?}"
                ),
                Verdict::Refuted { .. } => panic!("{name}: {answer:?}"),
            }
        }
        assert!(open > 20, "{name}: {open}");
    }
}

fn run(folder: &Path, arguments: &[&str], path: Option<&Path>) -> Output {
    let mut command = Command::new(writ());
    command
        .args(["policy", "prove"])
        .arg(folder)
        .args(arguments)
        .env("NO_COLOR", "1")
        .env_remove("WRIT_ADDR")
        .stdin(Stdio::null());
    if let Some(path) = path {
        command.env("PATH", path).env_remove("CVC5");
    }
    command.output().unwrap()
}

#[test]
fn the_command_line_says_what_is_proved_and_ends_with_the_codes_of_policy() {
    let shipped = root().join("policies");
    let nowhere = tempfile::tempdir().unwrap();

    // Without a solver: no failure unless one was asked for, and no claim called safe.
    let open = run(&shipped, &[], Some(nowhere.path()));
    let said = String::from_utf8_lossy(&open.stdout);
    assert_eq!(open.status.code(), Some(0), "{said}");
    assert!(said.contains("\n0 proved, 0 refuted, "), "{said}");
    assert!(said.contains("no solver was found: install cvc5"), "{said}");
    let required = run(&shipped, &["--require"], Some(nowhere.path()));
    assert_eq!(required.status.code(), Some(2));

    if solver().is_none() {
        return;
    }
    let proved = run(&shipped, &["--require"], None);
    let said = String::from_utf8_lossy(&proved.stdout);
    assert_eq!(proved.status.code(), Some(0), "{said}");
    assert!(
        said.contains("proved      contractors get half an hour at most (no window over 30m)"),
        "{said}"
    );

    let changed = tempfile::tempdir().unwrap();
    let (files, tests) = bundle(Some((
        "access.cedar",
        "duration(\"8h\")",
        "duration(\"9h\")",
    )));
    std::fs::create_dir(changed.path().join("tests")).unwrap();
    for (name, text) in files.0.iter().chain(&tests.0) {
        std::fs::write(changed.path().join(name), text).unwrap();
    }
    let changed = changed.path().display().to_string();
    let refuted = run(&shipped, &[&changed, "--json"], None);
    assert_eq!(refuted.status.code(), Some(2));
    let document: Value = serde_json::from_slice(&refuted.stdout).unwrap();
    let refuted: Vec<&str> = document["prove"]["answers"]
        .as_array()
        .unwrap_or_else(|| panic!("{document}"))
        .iter()
        .filter(|answer| answer["verdict"] == "refuted")
        .filter_map(|answer| answer["kind"].as_str())
        .collect();
    assert_eq!(refuted, ["invariant", "nothing-new"], "{document}");
    let both = run(&shipped, &[&changed, "--base", "HEAD"], None);
    assert_eq!(both.status.code(), Some(1));

    let invalid = run(nowhere.path(), &[], None);
    assert_eq!(invalid.status.code(), Some(3));
}
