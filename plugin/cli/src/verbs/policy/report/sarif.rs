//! SARIF 2.1.0, for code scanning.

use serde_json::{Value, json};
use writ_engine::diff::{Change, Finding, Severity};

use super::{Told, example, fingerprint, sentence, shown};
use crate::screen::{escape, escape_json};

pub(super) fn render(told: &Told<'_>) -> String {
    let rules: Vec<Value> = Change::ALL
        .iter()
        .map(|change| {
            json!({
                "id": change.id(),
                "shortDescription": { "text": change.meaning() },
                "defaultConfiguration": { "level": level(change.severity()) },
            })
        })
        .collect();
    let results: Vec<Value> = told
        .diff
        .findings
        .iter()
        .map(|finding| result(told, finding))
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "writ",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{}\n", escape_json(&format!("{document:#}")))
}

fn result(told: &Told<'_>, finding: &Finding) -> Value {
    let mut message = sentence(finding);
    if let Some(example) = example(finding) {
        message.push_str(&format!("\nexample: {}", escape(&example)));
    }
    let locations: Vec<Value> = shown(finding)
        .map(|cause| {
            json!({ "physicalLocation": {
                "artifactLocation": { "uri": uri(&told.path(&cause.file)) },
                "region": { "startLine": cause.line },
            } })
        })
        .into_iter()
        .collect();
    json!({
        "ruleId": finding.change.id(),
        "level": level(finding.severity),
        "message": { "text": message },
        "locations": locations,
        "partialFingerprints": { "writ/v1": fingerprint(finding) },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
        Severity::Info => "none",
    }
}

/// A path as a relative URI.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
