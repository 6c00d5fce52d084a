//! What `writ policy test` says of tests that pass, that fail and that cannot be read. `WRIT_BLESS=1` writes the reports
//! anew; read them before you commit them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::fs;
use std::path::{Path, PathBuf};

use writ_engine::bundle::{BundleFiles, FILE_MAX, SCHEMA};
use writ_engine::suite::{CHECKS_MAX, Evidence, Glob, Suite};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite")
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

/// The files of a folder, each named with what stands `before` it.
fn files(folder: &Path, before: &str) -> BundleFiles {
    let mut files = BundleFiles::default();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_file() && !name.ends_with(".txt") && !name.ends_with(".xml") {
            let text = fs::read_to_string(&path).unwrap();
            files.0.insert(format!("{before}{name}"), text);
        }
    }
    files
}

/// The small bundle of these tests, with the schema that Writ ships.
fn bundle() -> BundleFiles {
    let mut bundle = files(&fixtures().join("bundle"), "");
    let schema = fs::read_to_string(shipped().join(SCHEMA)).unwrap();
    bundle.0.insert(SCHEMA.to_owned(), schema);
    bundle
}

fn suite(folder: &str) -> Suite {
    let tests = files(&fixtures().join(folder), "tests/");
    Suite::read(&bundle(), &tests).unwrap_or_else(|report| panic!("{report}"))
}

/// One file of tests, for the small bundle.
fn one(text: &str) -> Result<Suite, String> {
    let tests = BundleFiles([("tests/one.test.hcl".to_owned(), text.to_owned())].into());
    Suite::read(&bundle(), &tests).map_err(|report| report.to_string())
}

/// Compares with a golden file, or writes it.
fn golden(path: &Path, shown: &str) -> Option<String> {
    if std::env::var_os("WRIT_BLESS").is_some() {
        fs::write(path, shown).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    (shown != expected).then(|| {
        format!(
            "--- {}: expected\n{expected}--- but got\n{shown}",
            path.display()
        )
    })
}

fn assert_golden(name: &str, shown: &str) {
    let wrong = golden(&fixtures().join(name), shown);
    assert!(wrong.is_none(), "{}", wrong.unwrap());
}

#[test]
fn the_shipped_tests_pass_cover_everything_and_notice_every_change() {
    let tests = files(&shipped().join("tests"), "tests/");
    let suite = Suite::read(&files(&shipped(), ""), &tests);
    let suite = suite.unwrap_or_else(|report| panic!("{report}"));
    let run = suite.run(&Glob::all());
    assert_eq!(run.failed(), 0, "{}", run.render(false));
    let coverage = suite.coverage(&Glob::all());
    assert_eq!(coverage.percent(), 100, "{}", coverage.render());
    let mutation = suite.mutate(&Glob::all());
    assert!(mutation.tried > 50 && mutation.tried == mutation.possible);
    assert!(mutation.unnoticed.is_empty(), "{}", mutation.render());
}

#[test]
fn tests_that_pass_are_listed_and_counted() {
    let run = suite("passing").run(&Glob::all());
    assert_golden("passing.txt", &run.render(false));
    assert_eq!(run.failed(), 0);
}

#[test]
fn tests_that_fail_say_where_what_was_expected_what_came_and_why() {
    let run = suite("failing").run(&Glob::all());
    assert_golden("failing.txt", &run.render(false));
    assert!(run.failed() > 10);
    assert!(!run.render(false).contains('\u{1b}'));
    assert!(run.render(true).contains('\u{1b}'));
}

#[test]
fn the_same_is_told_to_ci_systems() {
    let run = suite("failing").run(&Glob::all());
    assert_golden("failing.xml", &run.junit());
}

#[test]
fn what_the_tests_leave_untested_is_listed_with_its_line() {
    assert_golden(
        "coverage.txt",
        &suite("passing").coverage(&Glob::all()).render(),
    );
}

#[test]
fn every_change_that_no_test_notices_is_listed_with_its_line() {
    assert_golden(
        "mutants.txt",
        &suite("passing").mutate(&Glob::all()).render(),
    );
}

#[test]
fn each_broken_file_of_tests_is_refused_with_the_report_beside_it() {
    let mut wrong = Vec::new();
    let broken = files(&fixtures().join("broken"), "tests/");
    assert!(broken.0.len() >= 15, "only {} files found", broken.0.len());
    for (path, text) in broken.0 {
        let tests = BundleFiles([(path.clone(), text)].into());
        let report = match Suite::read(&bundle(), &tests) {
            Ok(_) => panic!("`{path}` is not broken"),
            Err(report) => report.to_string(),
        };
        let name = path.rsplit('/').next().unwrap();
        let name = name.split('.').next().unwrap();
        let report_at = fixtures().join("broken").join(format!("{name}.txt"));
        wrong.extend(golden(&report_at, &report));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_broken_bundle_is_refused_before_its_tests_are_read() {
    let mut broken = bundle();
    broken
        .0
        .insert("more.cedar".to_owned(), "permit (".to_owned());
    let report = Suite::read(&broken, &BundleFiles::default()).unwrap_err();
    assert!(report.to_string().contains("more.cedar"), "{report}");
}

#[test]
fn a_file_that_nothing_reads_is_refused() {
    let stray = BundleFiles([("tests/one.hcl".to_owned(), String::new())].into());
    let report = Suite::read(&bundle(), &stray).unwrap_err().to_string();
    assert!(report.contains("nothing reads `tests/one.hcl`"), "{report}");
}

#[test]
fn a_glob_chooses_tests_by_name() {
    let suite = suite("passing");
    let run = suite.run(&Glob::new("an eng*"));
    let names: Vec<&str> = run.checks.iter().map(|it| it.test.as_str()).collect();
    assert_eq!(names, ["an engineer"; 6]);
    assert!(suite.run(&Glob::new("none")).checks.is_empty());
}

#[test]
fn the_people_of_a_file_exist_in_no_other() {
    let mut tests = files(&fixtures().join("passing"), "tests/");
    let other = "at = \"2026-11-20T09:00:00Z\"\ntest \"other\" {\n  cases = [{ user = \"newcomer\", scope = \"db-read\", \
                 duration = \"1h\", expect = \"denied\" }]\n}\n";
    tests
        .0
        .insert("tests/other.test.hcl".to_owned(), other.to_owned());
    let report = Suite::read(&bundle(), &tests).unwrap_err().to_string();
    assert!(report.contains("no user `newcomer`"), "{report}");
}

#[test]
fn tests_change_nothing_in_the_bundle() {
    let before = suite("passing").bundle().unwrap().digest();
    assert_eq!(before, suite("failing").bundle().unwrap().digest());
    let plain = writ_engine::Bundle::load(&bundle()).unwrap();
    assert_eq!(before, plain.digest());
    assert!(
        plain
            .directory()
            .users()
            .all(|(user, _)| user.as_str() != "newcomer")
    );
}

#[test]
fn too_much_is_refused_not_read() {
    let large = BundleFiles([("tests/one.test.hcl".to_owned(), " ".repeat(FILE_MAX + 1))].into());
    let report = Suite::read(&bundle(), &large).unwrap_err().to_string();
    assert!(report.contains("bytes; at most"), "{report}");
    let case = "{user=\"mia\",scope=\"deploy\",duration=\"1s\",expect=\"denied\"},\n";
    let per_file = CHECKS_MAX / 4 + 1;
    let text = format!(
        "at = \"2026-11-20T09:00:00Z\"\ntest \"many\" {{\n  cases = [\n{}]\n}}\n",
        case.repeat(per_file)
    );
    let many = (0..4).map(|file| (format!("tests/{file}.test.hcl"), text.clone()));
    let report = Suite::read(&bundle(), &BundleFiles(many.collect())).unwrap_err();
    let expected = format!("cases; at most {CHECKS_MAX} are run");
    assert!(report.to_string().contains(&expected), "{report}");
}

/// The outcome of one invariant of the small bundle, with more policies.
fn invariant(policies: &str, invariant: &str) -> (usize, usize) {
    let mut files = bundle();
    files.0.insert("more.cedar".to_owned(), policies.to_owned());
    let text = format!("at = \"2026-11-20T09:00:00Z\"\ninvariant \"it\" {{\n{invariant}\n}}\n");
    let tests = BundleFiles([("tests/one.test.hcl".to_owned(), text)].into());
    let suite = Suite::read(&files, &tests).unwrap_or_else(|report| panic!("{report}"));
    let run = suite.run(&Glob::all());
    let Some(Evidence::Enumerated { questions }) = run.checks[0].evidence else {
        panic!("an invariant says how it was checked");
    };
    (run.failed(), questions)
}

#[test]
fn an_invariant_is_asked_of_every_moment_token_and_reason_that_matters() {
    let permit = |who: &str, scope: &str, when: &str| {
        format!(
            "@id(\"more\") permit (principal {who}, action == Action::\"activate\", resource == Scope::\"{scope}\")\n\
             when {{ {when} }};"
        )
    };
    let mia = "== User::\"mia\"";
    let ci = "== Workload::\"shop-ci\"";
    let deploy = "scopes = [\"deploy\"]\napprovals_min = 1\nexcept = [\"workload:shop-ci\"]";
    let long = "scopes = [\"deploy\"]\nlongest = \"20m\"";
    let rows = [
        // As it is, people get nothing of it.
        (
            "in Group::\"oncall\"",
            "db-read",
            "context.window.duration <= duration(\"1m\")",
            deploy,
            0,
        ),
        (mia, "deploy", "context.window.weekday == 7", deploy, 1),
        (mia, "deploy", "context.window.weekday == 8", deploy, 0),
        (
            mia,
            "deploy",
            "context.window.weekday == 3 && context.window.time_of_day >= duration(\"23h59m59s\")",
            deploy,
            1,
        ),
        (
            mia,
            "deploy",
            "context.window.time_of_day < duration(\"0s\")",
            deploy,
            0,
        ),
        (
            mia,
            "deploy",
            "context.window.opens_at < datetime(\"2025-01-01\")",
            deploy,
            1,
        ),
        (
            mia,
            "deploy",
            "context.window.opens_at == datetime(\"2026-12-01T00:00:01Z\")",
            deploy,
            1,
        ),
        (
            mia,
            "deploy",
            "context.window.closes_at < datetime(\"2020-01-01\")",
            deploy,
            1,
        ),
        (mia, "deploy", "context.reason == \"please\"", deploy, 1),
        (mia, "deploy", "context.reason like \"INC-*\"", deploy, 1),
        (
            mia,
            "deploy",
            "context has ticket && context.ticket like \"CAB-*\"",
            deploy,
            1,
        ),
        (mia, "deploy", "context.approvals.manager >= 1", deploy, 0),
        (
            mia,
            "deploy",
            "context.approvals.manager >= 1 && context.window.duration <= duration(\"20m\")",
            long,
            0,
        ),
        (
            mia,
            "deploy",
            "context.approvals.manager >= 1 && context.window.duration <= duration(\"20m1s\")",
            long,
            1,
        ),
        (
            ci,
            "deploy",
            "principal.event_name == \"schedule\"",
            long,
            1,
        ),
        (
            ci,
            "deploy",
            "principal.ref like \"refs/tags/*\" && principal.event_name == \"push\"",
            long,
            1,
        ),
        (
            ci,
            "deploy",
            "[\"a\", \"b\"].contains(principal.job_workflow_ref)",
            long,
            1,
        ),
        (
            ci,
            "deploy",
            "principal has environment && principal.environment == \"prod\"",
            long,
            1,
        ),
        (ci, "deploy", "!(principal has environment)", long, 1),
        // Looked at without being compared with anything.
        (ci, "deploy", "principal has environment", long, 1),
    ];
    for (who, scope, when, promise, broken) in rows {
        let (failed, _) = invariant(&permit(who, scope, when), promise);
        assert_eq!(failed, broken, "{who} {when}: {promise}");
    }
}

#[test]
fn an_invariant_that_cannot_be_checked_is_not_kept() {
    // Nine values each of four claims are 10,000 kinds of token.
    let claim = |claim: &str| {
        let values: Vec<String> = (0..9).map(|at| format!("\"{at}\"")).collect();
        format!("[{}].contains(principal.{claim})", values.join(", "))
    };
    let claims = ["ref", "event_name", "job_workflow_ref", "run_id"].map(claim);
    let policy = format!(
        "@id(\"more\") permit (principal == Workload::\"shop-ci\", action == Action::\"activate\", \
         resource == Scope::\"deploy\")\nwhen {{ {} && context.window.duration <= duration(\"1m\") }};",
        claims.join(" && ")
    );
    let (failed, questions) = invariant(&policy, "longest = \"8h\"");
    assert!(questions > 0, "what can be checked still is");
    assert_eq!(failed, 1);
}

#[test]
fn a_case_may_differ_from_its_test_in_everything() {
    let text = "at = \"2026-11-20T09:00:00Z\"\ntest \"one\" {\n  user = \"mia\"\n  scope = \"deploy\"\n  at = \
                \"2026-11-21T09:00:00Z\"\n  ticket = \"A\"\n  cases = [\n    { duration = \"1h\", expect = \"denied\" },\n    \
                { user = \"sam\", scope = \"db-read\", at = \"2026-11-19T09:00:00Z\", ticket = \"B\", duration = \"1h\", \
                expect = \"granted\" },\n  ]\n}\n";
    let run = one(text).unwrap().run(&Glob::all());
    assert_eq!(run.failed(), 0, "{}", run.render(false));
    let asked: Vec<&str> = run.checks.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(
        asked,
        [
            "mia asks for deploy for 1h, with ticket A",
            "sam asks for db-read for 1h, with ticket B"
        ]
    );
}

#[test]
fn a_name_can_neither_look_like_a_result_nor_hide_one() {
    let text = "at = \"2026-11-20T09:00:00Z\"\ntest \"a\\n  ok    b (9)\\u202e<x>\" {\n  user = \"mia\"\n  scope = \
                \"deploy\"\n  ticket = \"T\\n  ok    c (9)\\u001b[2J\"\n  cases = [{ duration = \"1h\", expect = \
                \"granted\" }]\n}\n";
    let run = one(text).unwrap().run(&Glob::all());
    for shown in [run.render(false), run.junit()] {
        assert!(!shown.contains("\n  ok "), "{shown}");
        assert!(!shown.contains(['\u{202e}', '\u{1b}']), "{shown}");
    }
    assert!(!run.junit().contains("<x>"), "{}", run.junit());
    assert!(run.render(false).contains("FAIL  a\\n  ok    b"));
}
