//! Annotations of a GitHub Actions job: workflow commands, one a line.

use writ_engine::diff::{Finding, Severity};

use super::{Told, example, sentence, shown};
use crate::screen::escape;

pub(super) fn render(told: &Told<'_>) -> String {
    let mut text = String::new();
    for finding in &told.diff.findings {
        text.push_str(&annotation(told, finding));
        text.push('\n');
    }
    // The log's own line; it begins with a letter, so it is no command.
    text.push_str(&format!(
        "access: {} compared with {}\n",
        told.summary(),
        data(&escape(told.compared_with))
    ));
    text
}

fn annotation(told: &Told<'_>, finding: &Finding) -> String {
    let level = match finding.severity {
        _ if told.is_failure(finding) => "error",
        Severity::Critical | Severity::High | Severity::Medium => "warning",
        Severity::Low | Severity::Info => "notice",
    };
    let place = shown(finding).map(|cause| {
        let path = property(&escape(&told.path(&cause.file)));
        format!("file={path},line={},", cause.line)
    });
    let mut message = sentence(finding);
    if let Some(example) = example(finding) {
        message.push_str(&format!("\nexample: {}", escape(&example)));
    }
    format!(
        "::{level} {}title={}::{}",
        place.unwrap_or_default(),
        property(finding.change.id()),
        data(&message)
    )
}

/// The text of a command: a line break would begin the next command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a command's property, which also ends at a colon or a comma.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
