//! What a pull request does, as the diff tells it: one folder a pull request, the whole report golden.
//!
//! A folder holds `pull_request`: a sentence, then sections. `@@ FILE edit` is followed by lines `old ==> new` (`\n` for a
//! line break), `@@ FILE append` and `@@ FILE write` by text, `@@ FILE remove` by nothing; each changes a file of `base`. A
//! section `@@ both FILE …` changes what the pull request starts from, too, and `@@ of the whole life` lets it start from what
//! `whole_life` makes of `base`. `WRIT_BLESS=1` writes the reports anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "diff/fixture.rs"]
mod fixture;
#[path = "diff/random.rs"]
mod random;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use writ_engine::Bundle;
use writ_engine::diff::{Change, Diff, Side, diff};

use fixture::{Fixture, fixtures};

fn compared(fixture: &Fixture) -> Diff {
    let [old, new] = [&fixture.old, &fixture.new].map(|files| {
        Bundle::load(files).unwrap_or_else(|report| panic!("{}: {report}", fixture.name))
    });
    let old = Side {
        files: &fixture.old,
        bundle: &old,
    };
    let new = Side {
        files: &fixture.new,
        bundle: &new,
    };
    diff(old, new).unwrap_or_else(|error| panic!("{}: {error}", fixture.name))
}

/// Each pull request with its report; comparing them all takes seconds, so that is done once.
static COMPARED: LazyLock<Vec<(Fixture, Diff)>> = LazyLock::new(|| {
    let all = fixtures().into_iter();
    all.map(|fixture| {
        let report = compared(&fixture);
        (fixture, report)
    })
    .collect()
});

#[test]
fn every_pull_request_is_told_as_it_was_reviewed() {
    let mut differ = Vec::new();
    for (fixture, report) in COMPARED.iter() {
        let report = serde_json::to_string_pretty(report).unwrap() + "\n";
        if !fixture.golden("report.json", &report) {
            differ.push(&fixture.name);
        }
    }
    assert!(
        differ.is_empty(),
        "WRIT_BLESS=1 takes the new reports: {differ:?}"
    );
}

#[test]
fn every_kind_of_change_has_a_pull_request() {
    assert!(COMPARED.len() >= 40, "only {}", COMPARED.len());
    let told: BTreeSet<Change> = COMPARED
        .iter()
        .flat_map(|(_, report)| &report.findings)
        .map(|finding| finding.change)
        .collect();
    let untold: Vec<&str> = Change::ALL
        .iter()
        .filter(|change| !told.contains(change))
        .map(|change| change.id())
        .collect();
    assert!(untold.is_empty(), "no pull request shows {untold:?}");
}

#[test]
fn nothing_changes_between_a_bundle_and_itself() {
    let fixture = fixtures().remove(0);
    let bundle = Bundle::load(&fixture.old).unwrap();
    let side = Side {
        files: &fixture.old,
        bundle: &bundle,
    };
    let same = diff(side, side).unwrap();
    assert_eq!((same.findings, same.effort.evaluations), (Vec::new(), 0));
}

#[test]
fn the_ids_of_the_kinds_are_each_their_own() {
    let ids: BTreeSet<&str> = Change::ALL.iter().map(|change| change.id()).collect();
    assert_eq!(ids.len(), Change::ALL.len());
    assert!(Change::ALL.is_sorted_by_key(|change| std::cmp::Reverse(change.severity())));
}
