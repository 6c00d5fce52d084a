//! The diff of a large bundle, against enumerating everything that both sides give.
//!
//! 10,000 policies, 1,000 scopes, 10,000 people in 1,000 teams; a pull request changes ten policies.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use writ_engine::Bundle;
use writ_engine::access::{Wanted, table};
use writ_engine::bundle::BundleFiles;
use writ_engine::diff::{Change, Side, diff};

const POLICIES: usize = 10_000;
const SCOPES: usize = 1_000;
const PEOPLE: usize = 10_000;
const CHANGED: usize = 10;
/// How often the diff is timed.
const ROUNDS: usize = 5;

fn main() {
    let (before, after) = (files(0), files(CHANGED));
    let start = Instant::now();
    let [old, new] = [&before, &after]
        .map(|files| Bundle::load(files).unwrap_or_else(|report| panic!("{report}")));
    println!(
        "loading both bundles: {:.2} s",
        start.elapsed().as_secs_f64()
    );
    let [old, new] =
        [(&before, &old), (&after, &new)].map(|(files, bundle)| Side { files, bundle });
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        last = Some(diff(old, new).unwrap_or_else(|error| panic!("{error}")));
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let report = last.unwrap();
    let raised = report
        .findings
        .iter()
        .filter(|finding| finding.change == Change::DurationRaised);
    assert_eq!(raised.count(), CHANGED, "one finding for each change");
    let effort = report.effort;
    println!(
        "the diff: {:.2} s (median of {ROUNDS}; goal < 2), {} evaluations for {} of {} pairs",
        times[ROUNDS / 2],
        effort.evaluations,
        effort.pairs,
        effort.pairs_in_all
    );
    let start = Instant::now();
    let everything: u64 = [old, new]
        .iter()
        .map(|side| table(side.bundle, Wanted::default()).evaluations)
        .sum();
    let of_everything = start.elapsed().as_secs_f64();
    // By class, too: people who are alike are asked about once.
    println!("everything: {of_everything:.2} s, {everything} evaluations");
    println!(
        "evaluations, everything / diff: {:.0} (goal >= 100)",
        everything as f64 / effort.evaluations as f64
    );
}

/// The bundle, with the first policies' limits raised in so many scopes.
fn files(raised: usize) -> BundleFiles {
    let mut files = BTreeMap::new();
    files.insert(
        "schema.cedarschema".to_owned(),
        include_str!("../../policies/schema.cedarschema").to_owned(),
    );
    let (mut catalog, mut directory) = (String::new(), String::new());
    for scope in 0..SCOPES {
        let _ = writeln!(
            catalog,
            "scope \"s{scope}\" {{\ndescription = \"x\"\nsystem = \"sys\"\nenvironment = \"prod\"\nowners = \"t{scope}\"\naws {{\nrole_arn = \"arn:aws:iam::123456789012:role/r{scope}\"\nregion = \"eu-west-1\"\nsession_policy = {{ Statement = [{{ Effect = \"Allow\", Action = \"s3:GetObject\", Resource = \"*\" }}] }}\n}}\n}}"
        );
        let _ = writeln!(directory, "group \"t{scope}\" {{\ndescription = \"x\"\n}}");
    }
    for person in 0..PEOPLE {
        let manager = if person == 0 {
            ""
        } else {
            "manager = \"u0\"\n"
        };
        let _ = writeln!(
            directory,
            "user \"u{person}\" {{\nname = \"x\"\n{manager}groups = [\"t{}\"]\n}}",
            person % SCOPES
        );
    }
    files.insert("scopes.hcl".to_owned(), catalog);
    files.insert("directory.hcl".to_owned(), directory);
    let texts: Vec<String> = (0..POLICIES).map(|number| policy(number, raised)).collect();
    // A bundle takes files of at most 1 MiB.
    for (number, texts) in texts.chunks(1_000).enumerate() {
        files.insert(format!("access-{number}.cedar"), texts.concat());
    }
    BundleFiles(files)
}

/// Ten for each scope: at once; longer with a manager; much longer with owners and a ticket; other teams' for a while. The
/// first scope's last three are about consent, and a freeze.
fn policy(number: usize, raised: usize) -> String {
    let (scope, kind) = (number % SCOPES, number / SCOPES);
    let permit = |team: usize, condition: &str| {
        format!(
            "@id(\"p{number}\") permit (principal in Group::\"t{team}\", action == Action::\"activate\", resource == Scope::\"s{scope}\") when {{ {condition} }};\n"
        )
    };
    match kind {
        0 if scope < raised => permit(scope, "context.window.duration <= duration(\"2h\")"),
        0 => permit(scope, "context.window.duration <= duration(\"1h\")"),
        1 => permit(
            scope,
            "context.window.duration <= duration(\"4h\") && context.approvals.manager >= 1",
        ),
        2 => permit(
            scope,
            "context.window.duration <= duration(\"8h\") && context.approvals.owner >= 2 && context has ticket",
        ),
        7 if scope == 0 => format!(
            "@id(\"p{number}\") permit (principal, action == Action::\"approveManager\", resource) when {{ context.requester has manager && context.requester.manager == principal }};\n"
        ),
        8 if scope == 0 => format!(
            "@id(\"p{number}\") permit (principal, action == Action::\"approveOwner\", resource) when {{ principal in resource.owners }};\n"
        ),
        9 if scope == 0 => format!(
            "@id(\"p{number}\") forbid (principal, action == Action::\"activate\", resource) when {{ context.window.closes_at > datetime(\"2026-12-24\") && context.window.opens_at < datetime(\"2027-01-02\") }};\n"
        ),
        other => permit(
            (scope + other) % SCOPES,
            "context.window.duration <= duration(\"15m\")",
        ),
    }
}
