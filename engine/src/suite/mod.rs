//! The bundle's own tests: what its policies promise, asked of the real engine at moments the tests name.
//!
//! Tests lie in `tests/` of the bundle's folder and influence no decision. A file `tests/NAME.test.hcl` reads:
//!
//! ```hcl
//! at = "2026-11-21T09:00:00Z"              # when it all takes place
//!
//! user "newcomer" {                        # someone who exists in this file only
//!   groups  = ["engineering"]
//!   manager = "pat"
//! }
//!
//! token "main" {                           # a job of payments-ci, as its token describes it
//!   workload = "payments-ci"
//!   claims   = { ref = "refs/heads/main", event_name = "push" }
//! }
//!
//! test "the production database, to read" {
//!   scope = "prod-db-read"
//!   cases = [
//!     { user = "sam", longest = "1h", expect = "granted", policies = ["proddb.read.oncall"] },
//!     { user = "newcomer", longest = "4h", expect = "needs_approval", approvers = { manager = ["pat"] } },
//!   ]
//! }
//!
//! who_can "prod-admin" {                   # and nobody else
//!   needs_approval = { "1h" = ["group:engineering"] }
//!
//!   break_glass {                          # in an emergency; and `extend`: how long a window can be in the end
//!     granted = { "1h" = ["group:oncall"] }
//!   }
//! }
//!
//! invariant "contractors get half an hour at most" {   # everyone, at any time
//!   who     = ["group:contractors"]
//!   longest = "30m"
//! }
//! ```
//!
//! Beside them `tests/NAME.json` holds tests in Cedar's own form.

mod cedar;
mod coverage;
mod explain;
mod invariant;
mod junit;
mod mutate;
mod names;
mod people;
mod read;
mod render;
mod row;
mod tokens;
mod who_can;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::bundle::{Bundle, BundleFiles, Report, check_size};

pub use coverage::{Coverage, Gap};
pub use invariant::{About, Invariant, Promise, QUESTIONS_MAX, TOKENS_MAX};
pub use mutate::{MUTANTS_MAX, Mutation, Unnoticed};

use cedar::Cedar;
use row::Row;
use who_can::WhoCan;

/// The folder of a bundle that its tests lie in.
pub const FOLDER: &str = "tests";

/// How the name of a test file ends.
pub const ENDING: &str = ".test.hcl";

/// The most cases and lists of one bundle, all files together: at a millisecond or two each, a minute of a pipeline.
pub const CHECKS_MAX: usize = 20_000;

/// How many differences of one list are told apart; the rest are counted.
pub const DIFFERENCES_MAX: usize = 20;

/// The tests of a bundle, read and checked against it.
#[derive(Debug)]
pub struct Suite {
    files: BundleFiles,
    worlds: Vec<World>,
    checks: Vec<Check>,
}

/// The bundle with the people that one or several test files add to its directory.
#[derive(Debug)]
struct World {
    /// What they add, as `directory.hcl` would say it.
    people: String,
    bundle: Arc<Bundle>,
}

/// One thing that is expected.
#[derive(Debug)]
struct Check {
    place: Place,
    /// The test it belongs to.
    test: String,
    /// Which of the suite's worlds it takes place in.
    world: usize,
    what: What,
}

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file within the bundle.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

#[derive(Debug)]
enum What {
    Row(Box<Row>),
    WhoCan(Box<WhoCan>),
    Invariant(Box<Invariant>),
    Cedar(Box<Cedar>),
}

/// What became of all tests.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Each case and list, in the order of the files.
    pub checks: Vec<Checked>,
}

/// What became of one case or list.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Where it is written.
    #[serde(flatten)]
    pub place: Place,
    /// The test it belongs to.
    pub test: String,
    /// What was asked, in words.
    pub what: String,
    /// What its passing rests on, where that is more than the case itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Every difference between what was expected and what came; none when it passed.
    pub failures: Vec<Failure>,
}

/// What an invariant rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Everyone in the directory was asked about, at every moment that matters.
    Enumerated {
        /// How many questions that took.
        questions: usize,
    },
}

/// One difference between what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What was expected.
    pub expected: String,
    /// What came.
    pub came: String,
    /// The engine's own explanation, a line each.
    pub why: Vec<String>,
}

impl Suite {
    /// Loads the bundle of `files` and reads its `tests`, by path within the bundle's folder (`tests/access.test.hcl`).
    /// Every error of either is in the report.
    pub fn read(files: &BundleFiles, tests: &BundleFiles) -> Result<Suite, Report> {
        let bundle = Arc::new(Bundle::load(files)?);
        let mut report = Report::default();
        let mut suite = Suite {
            files: files.clone(),
            worlds: vec![World {
                people: String::new(),
                bundle,
            }],
            checks: Vec::new(),
        };
        check_size(tests, "`tests/`", &mut report);
        // What is too large is not read at all.
        if report.has_errors() {
            return Err(report);
        }
        let mut of_cedar: BTreeMap<&str, &str> = BTreeMap::new();
        for (path, text) in &tests.0 {
            if path.ends_with(ENDING) {
                read::read(&mut suite, path, text, &mut report);
            } else if path.ends_with(cedar::ENDING) {
                of_cedar.insert(path, text);
            } else {
                report.push_file(
                    path,
                    format!("nothing reads `{path}`"),
                    Some(format!("name a file of tests `{FOLDER}/NAME{ENDING}`")),
                );
            }
        }
        cedar::read(&mut suite, &of_cedar, &mut report);
        let count = suite.checks.len();
        if count > CHECKS_MAX {
            let message = format!("the tests have {count} cases; at most {CHECKS_MAX} are run");
            report.push_file(FOLDER, message, None);
        }
        match report.has_errors() {
            true => Err(report),
            false => Ok(suite),
        }
    }

    /// The names of the tests.
    pub fn names(&self) -> BTreeSet<&str> {
        self.checks
            .iter()
            .map(|check| check.test.as_str())
            .collect()
    }

    /// The bundle that is tested.
    pub fn bundle(&self) -> Option<&Bundle> {
        self.worlds.first().map(|world| world.bundle.as_ref())
    }

    /// The invariants, each with the place where it is written.
    pub fn invariants(&self) -> impl Iterator<Item = (&Place, &Invariant)> {
        self.checks.iter().filter_map(|check| match &check.what {
            What::Invariant(invariant) => Some((&check.place, invariant.as_ref())),
            What::Row(_) | What::WhoCan(_) | What::Cedar(_) => None,
        })
    }

    /// Runs every test whose name fits `only`; a failure stops nothing.
    pub fn run(&self, only: &Glob) -> Run {
        let worlds: Vec<&Bundle> = self
            .worlds
            .iter()
            .map(|world| world.bundle.as_ref())
            .collect();
        let chosen = self.checks.iter().filter(|check| only.fits(&check.test));
        Run {
            checks: chosen
                .filter_map(|check| Some(check.run(worlds.get(check.world)?)))
                .collect(),
        }
    }
}

impl Check {
    fn run(&self, bundle: &Bundle) -> Checked {
        let (what, failures, evidence) = match &self.what {
            What::Row(row) => (row.to_string(), row.run(bundle), None),
            What::WhoCan(list) => (list.to_string(), list.run(bundle), None),
            What::Cedar(test) => (test.to_string(), test.run(bundle), None),
            What::Invariant(invariant) => {
                let (failures, evidence) = invariant.run(bundle);
                (invariant.to_string(), failures, Some(evidence))
            }
        };
        Checked {
            place: self.place.clone(),
            test: self.test.clone(),
            what,
            evidence,
            failures,
        }
    }
}

impl Run {
    /// How many cases and lists did not come as expected.
    pub fn failed(&self) -> usize {
        let failed = |checked: &&Checked| !checked.failures.is_empty();
        self.checks.iter().filter(failed).count()
    }
}

/// A name with `*` for any text and `?` for any one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// Every name fits.
    pub fn all() -> Glob {
        Glob(vec!['*'])
    }

    /// The pattern as someone writes it.
    pub fn new(pattern: &str) -> Glob {
        Glob(pattern.chars().collect())
    }

    /// Whether `name` fits, in time proportional to the product of both lengths at most.
    pub fn fits(&self, name: &str) -> bool {
        // After each letter of the name: which beginnings of the pattern fit what was read so far.
        let mut fits = vec![false; self.0.len() + 1];
        if let Some(first) = fits.first_mut() {
            *first = true;
        }
        self.skip_stars(&mut fits);
        for letter in name.chars() {
            let mut next = vec![false; fits.len()];
            for (place, part) in self.0.iter().enumerate() {
                if !fits.get(place).copied().unwrap_or(false) {
                    continue;
                }
                let to = match part {
                    '*' => place,
                    '?' => place + 1,
                    same if *same == letter => place + 1,
                    _ => continue,
                };
                if let Some(reached) = next.get_mut(to) {
                    *reached = true;
                }
            }
            self.skip_stars(&mut next);
            fits = next;
        }
        fits.last().copied().unwrap_or(false)
    }

    /// A star also stands for nothing.
    fn skip_stars(&self, fits: &mut [bool]) {
        for (place, part) in self.0.iter().enumerate() {
            if *part == '*'
                && fits.get(place).copied().unwrap_or(false)
                && let Some(after) = fits.get_mut(place + 1)
            {
                *after = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_fits_what_it_says() {
        let rows = [
            ("*", "", true),
            ("*", "staging", true),
            ("staging", "staging", true),
            ("staging", "stagin", false),
            ("stag*", "staging", true),
            ("*ing", "staging", true),
            ("s*g*g", "staging", true),
            ("s?aging", "staging", true),
            ("s?aging", "saging", false),
            ("?", "", false),
            ("", "", true),
            ("", "a", false),
            ("**a", "ba", true),
            ("*prod*", "the prod database", true),
        ];
        for (pattern, name, fits) in rows {
            assert_eq!(Glob::new(pattern).fits(name), fits, "{pattern} {name}");
        }
    }
}
