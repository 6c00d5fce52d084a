//! What a platform team sees when `scopes.hcl` or `directory.hcl` is wrong: one folder a case, the whole report golden.
//!
//! A case is the sound bundle with the files of its folder in place of the sound ones. `WRIT_BLESS=1` writes the reports
//! anew; read them before you commit them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the lint's exception for tests does not reach their supporting functions"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use writ_engine::Bundle;
use writ_engine::bundle::{BundleFiles, DIRECTORY, Report, SCHEMA, SCOPES};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken_hcl")
}

/// The sound bundle, with the HCL files of `case` in place of its own.
fn bundle(case: &str) -> BundleFiles {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../policies")
        .join(SCHEMA);
    let policy = "@id(\"nobody\")\nforbid (principal, action, resource);\n";
    let mut files = BTreeMap::from([
        (SCHEMA.to_owned(), fs::read_to_string(schema).unwrap()),
        ("access.cedar".to_owned(), policy.to_owned()),
    ]);
    for folder in ["sound", case] {
        for file in [SCOPES, DIRECTORY] {
            if let Ok(text) = fs::read_to_string(fixtures().join(folder).join(file)) {
                files.insert(file.to_owned(), text);
            }
        }
    }
    BundleFiles(files)
}

fn report(files: &BundleFiles) -> Report {
    Bundle::load(files)
        .map(|_| ())
        .expect_err("this bundle is broken")
}

#[test]
fn a_sound_bundle_loads_without_a_warning() {
    let bundle = Bundle::load(&bundle("sound")).unwrap_or_else(|report| panic!("{report}"));
    assert!(bundle.warnings().is_empty(), "{}", bundle.warnings());
    let scope = bundle.scopes().next().unwrap();
    assert_eq!(scope.request_ttl_s, 30 * 86_400);
    assert_eq!(scope.activation_ttl_s, 86_400 + 12 * 3_600 + 30 * 60 + 5);
    assert_eq!(scope.aws.max_session_s, 43_200);
    assert_eq!(scope.aws.lease_s, Some(900));
    let emergency = scope.break_glass.as_ref().unwrap();
    assert!(emergency.announce.iter().eq(["leads"]));
    assert_eq!(emergency.review_ttl_s, 30 * 86_400);
    let escalation = scope.escalation.as_ref().unwrap();
    assert_eq!((escalation.after_s, escalation.to.as_str()), (1, "leads"));
    let statement = scope.aws.statements.first().unwrap();
    assert_eq!(
        statement.resource,
        ["arn:aws:s3:::logs/${aws:PrincipalTag/team}/*", "*"]
    );
    assert_eq!(statement.condition["NumericLessThan"]["s3:max-keys"], 10);
    let everyone: Vec<&str> = bundle
        .directory()
        .members_of("everyone")
        .map(|user| user.as_str())
        .collect();
    assert_eq!(everyone, ["mia"]);
}

#[test]
fn each_broken_bundle_is_refused_with_the_report_beside_it() {
    let bless = std::env::var_os("WRIT_BLESS").is_some();
    let mut cases: Vec<String> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "sound" && name != SILENT)
        .collect();
    cases.sort();
    assert!(cases.len() >= 15, "only {} cases found", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let shown = report(&bundle(&case)).to_string();
        let golden = fixtures().join(&case).join("report.txt");
        if bless {
            fs::write(&golden, &shown).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if shown != expected {
            wrong.push(format!(
                "--- {case}: expected\n{expected}--- but got\n{shown}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The one case that loads: what it is told is a warning, since a directory from which people leave must come into force.
const SILENT: &str = "nobody_to_tell";

#[test]
fn a_scope_that_tells_nobody_is_loaded_with_the_warnings_beside_it() {
    let bundle = Bundle::load(&bundle(SILENT)).unwrap_or_else(|report| panic!("{report}"));
    let shown = bundle.warnings().to_string();
    let golden = fixtures().join(SILENT).join("report.txt");
    if std::env::var_os("WRIT_BLESS").is_some() {
        fs::write(&golden, &shown).unwrap();
    }
    assert_eq!(shown, fs::read_to_string(&golden).unwrap_or_default());
}

#[test]
fn a_report_has_the_same_findings_for_machines() {
    let report = report(&bundle("both_files"));
    let rows: Vec<(&str, Option<usize>, Option<usize>)> = report
        .findings()
        .iter()
        .map(|finding| (finding.file.as_str(), finding.line, finding.column))
        .collect();
    assert_eq!(
        rows,
        [
            (DIRECTORY, Some(1), Some(12)),
            (SCOPES, Some(1), Some(1)),
            (SCOPES, Some(4), Some(3)),
        ]
    );
}

#[test]
fn a_report_is_coloured_only_when_asked() {
    let report = report(&bundle("both_files"));
    assert!(!report.to_string().contains('\u{1b}'));
    assert!(report.render(true).contains('\u{1b}'));
}
