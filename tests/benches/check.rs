//! The check of a bundle, against Cedar's own parse and validation of the same policies, in CPU time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

mod large;

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use writ_engine::Bundle;
use writ_engine::bundle::policies::LEVEL_MAX;
use writ_engine::bundle::{BundleFiles, SCHEMA};
use writ_tests::rounds::medians;

const ROUNDS: usize = 9;

fn main() {
    println!(
        "check of a bundle with as many people as policies / Cedar's parse and strict validation at level {LEVEL_MAX}; medians of {ROUNDS} interleaved rounds (CPU ms)\n"
    );
    println!("policies    check    Cedar   check/Cedar (goal <= 1.8)");
    for policies in [100, 1_000, 10_000] {
        let files = large::files(policies, 0);
        // The kernel counts CPU time by hundredths of a second.
        let repeats = 10_000 / policies;
        let [check, cedar] = medians(
            ROUNDS,
            [
                &|| cpu_ms(repeats, || Bundle::load(&files).expect("it loads")),
                &|| cpu_ms(repeats, || cedar(&files)),
            ],
        );
        println!(
            "{policies:>8} {check:>8.1} {cedar:>8.1} {:>8.2}",
            check / cedar
        );
    }
}

fn cedar(files: &BundleFiles) -> (PolicySet, Validator) {
    let (schema, _) = Schema::from_cedarschema_str(&files.0[SCHEMA]).expect("a schema");
    let policies = files.0.iter().filter(|(path, _)| path.ends_with(".cedar"));
    let texts: Vec<&str> = policies.map(|(_, text)| text.as_str()).collect();
    let set: PolicySet = texts.concat().parse().expect("policies");
    let validator = Validator::new(schema);
    let result = validator.validate_with_level(&set, ValidationMode::Strict, LEVEL_MAX);
    assert!(result.validation_passed_without_warnings());
    (set, validator)
}

/// CPU milliseconds of one call. What it made is put away after the clock has stopped: a bundle in force is not.
fn cpu_ms<T>(times: usize, call: impl Fn() -> T) -> f64 {
    let start = cpu_ticks();
    let made: Vec<T> = (0..times).map(|_| call()).collect();
    let ticks = cpu_ticks() - start;
    drop(made);
    ticks * 10.0 / times as f64
}

/// What this process used so far, in the kernel's hundredths of a second: the 14th and 15th field.
fn cpu_ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(')').next().expect("fields");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    [fields[11], fields[12]]
        .map(|ticks| ticks.parse::<f64>().expect("a number"))
        .iter()
        .sum()
}
