//! The outcome of the tests as a person reads it.

use std::collections::BTreeMap;

use super::{Checked, Evidence, Run};
use crate::bundle::report::printable;

/// Green and red, for a terminal that shows them.
const GOOD: [&str; 2] = ["\u{1b}[32m", "\u{1b}[0m"];
const BAD: [&str; 2] = ["\u{1b}[31m", "\u{1b}[0m"];

impl Run {
    /// Each test with its failures, and a count at the end.
    pub fn render(&self, color: bool) -> String {
        let mut out = String::new();
        let mut file = None;
        for (of_file, test, checks) in self.by_test() {
            if file != Some(of_file) {
                out.push_str(&format!("{}\n", one_line(of_file)));
                file = Some(of_file);
            }
            let failed: Vec<&&Checked> = checks
                .iter()
                .filter(|checked| !checked.failures.is_empty())
                .collect();
            let test = one_line(test);
            match failed.len() {
                0 => out.push_str(&format!(
                    "  {}    {test} ({})\n",
                    painted("ok", GOOD, color),
                    basis(&checks)
                )),
                bad => out.push_str(&format!(
                    "  {}  {test} ({bad} of {})\n",
                    painted("FAIL", BAD, color),
                    checks.len()
                )),
            }
            for checked in failed {
                out.push_str(&failure(checked));
            }
        }
        let (all, failed) = (self.checks.len(), self.failed());
        if all > 0 {
            out.push('\n');
        }
        out.push_str(&format!(
            "{all} {}: {} passed, {failed} failed\n",
            if all == 1 { "case" } else { "cases" },
            all - failed
        ));
        out
    }

    /// The checks of each test, in the order of the files.
    pub(super) fn by_test(&self) -> Vec<(&str, &str, Vec<&Checked>)> {
        let mut order: Vec<(&str, &str)> = Vec::new();
        let mut all: BTreeMap<(&str, &str), Vec<&Checked>> = BTreeMap::new();
        for checked in &self.checks {
            let key = (checked.place.file.as_str(), checked.test.as_str());
            let of_test = all.entry(key).or_default();
            if of_test.is_empty() {
                order.push(key);
            }
            of_test.push(checked);
        }
        order
            .into_iter()
            .filter_map(|key| Some((key.0, key.1, all.remove(&key)?)))
            .collect()
    }
}

/// What passing rests on: how many cases, or of an invariant how it was checked.
fn basis(checks: &[&Checked]) -> String {
    match checks {
        [
            Checked {
                evidence: Some(Evidence::Enumerated { questions }),
                ..
            },
        ] => format!("checked by enumeration, {questions} questions"),
        _ => checks.len().to_string(),
    }
}

/// One case that failed: where, what was asked, and each difference with the engine's explanation.
pub(super) fn failure(checked: &Checked) -> String {
    let mut out = format!(
        "    {}:{}: {}\n",
        one_line(&checked.place.file),
        checked.place.line,
        one_line(&checked.what)
    );
    for failure in &checked.failures {
        out.push_str(&format!(
            "      expected  {}\n",
            one_line(&failure.expected)
        ));
        out.push_str(&format!("      came      {}\n", one_line(&failure.came)));
        for (at, line) in failure.why.iter().enumerate() {
            let word = if at == 0 { "why" } else { "   " };
            out.push_str(&format!("      {word}       {}\n", one_line(line)));
        }
    }
    out
}

/// Text of a test file or a policy, on one line that a terminal only shows: it can neither look like another test's result
/// nor hide one.
pub(super) fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

fn painted(word: &str, [start, end]: [&str; 2], color: bool) -> String {
    match color {
        true => format!("{start}{word}{end}"),
        false => word.to_owned(),
    }
}
