//! The check of a bundle, against Cedar's own parse and validation of the same policies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on says so and stops"
)]

mod large;

use std::time::Instant;

use cedar_policy::{PolicySet, Schema, ValidationMode, Validator};
use writ_engine::Bundle;
use writ_engine::bundle::policies::LEVEL_MAX;
use writ_engine::bundle::{BundleFiles, SCHEMA};

fn main() {
    for policies in [100, 1_000, 10_000] {
        let files = large::files(policies, 0);
        for _ in 0..3 {
        let start = Instant::now();
        let bundle = Bundle::load(&files).unwrap_or_else(|report| panic!("{report}"));
        println!("{policies} check: {:.3} s", start.elapsed().as_secs_f64());
        drop(bundle);
        let start = Instant::now();
        cedar(&files);
        println!("{policies} cedar: {:.3} s", start.elapsed().as_secs_f64());
        }
    }
}

fn cedar(files: &BundleFiles) {
    let (schema, _) = Schema::from_cedarschema_str(&files.0[SCHEMA]).expect("a schema");
    let texts: Vec<&str> = files.0.iter().filter(|(path, _)| path.ends_with(".cedar")).map(|(_, text)| text.as_str()).collect();
    let set: PolicySet = texts.concat().parse().expect("policies");
    let result = Validator::new(schema).validate_with_level(&set, ValidationMode::Strict, LEVEL_MAX);
    assert!(result.validation_passed_without_warnings());
}
