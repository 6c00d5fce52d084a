//! The diff of a large bundle, against enumerating everything that both sides give.
//!
//! 10,000 policies, 1,000 scopes, 10,000 people in 1,000 teams; a pull request changes ten policies.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

mod large;

use std::time::Instant;

use writ_engine::Bundle;
use writ_engine::access::{Wanted, table};
use writ_engine::diff::{Change, Side, diff};

const POLICIES: usize = 10_000;
const CHANGED: usize = 10;
/// How often the diff is timed.
const ROUNDS: usize = 5;

fn main() {
    let (before, after) = (large::files(POLICIES, 0), large::files(POLICIES, CHANGED));
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
