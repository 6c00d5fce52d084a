//! GitLab's code quality report.

use serde_json::{Value, json};
use writ_engine::diff::{Finding, Severity};

use super::{Told, fingerprint, sentence, shown};
use crate::screen::escape_json;

/// Where a finding is shown that has no place in the proposed bundle: GitLab takes none without.
const PLACE: &str = "scopes.hcl";

pub(super) fn render(told: &Told<'_>) -> String {
    let all: Vec<Value> = told
        .diff
        .findings
        .iter()
        .map(|finding| entry(told, finding))
        .collect();
    format!("{}\n", escape_json(&format!("{:#}", Value::from(all))))
}

fn entry(told: &Told<'_>, finding: &Finding) -> Value {
    let (file, line) = shown(finding).map_or((PLACE, 1), |cause| (&cause.file, cause.line));
    json!({
        "description": sentence(finding),
        "check_name": finding.change.id(),
        "fingerprint": fingerprint(finding),
        "severity": match finding.severity {
            Severity::Critical => "blocker",
            Severity::High => "critical",
            Severity::Medium => "major",
            Severity::Low => "minor",
            Severity::Info => "info",
        },
        "location": { "path": told.path(file), "lines": { "begin": line } },
    })
}
