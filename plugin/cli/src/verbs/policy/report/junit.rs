//! JUnit XML: each finding is a test, which fails where the finding fails the command.

use super::{Told, causes, example, fingerprint, sentence};
use crate::screen::escape;

pub(super) fn render(told: &Told<'_>) -> String {
    let findings = &told.diff.findings;
    let failures = findings
        .iter()
        .filter(|finding| told.is_failure(finding))
        .count();
    let mut cases = String::new();
    for finding in findings {
        let scope = finding
            .scope
            .as_ref()
            .map_or("the bundle", |scope| scope.as_str());
        // Two findings of one kind in one scope are two tests.
        let print = fingerprint(finding);
        let name = format!("{scope} {}", print.get(..8).unwrap_or_default());
        let mut details = format!("{}\nby: {}", sentence(finding), escape(&causes(finding)));
        if let Some(example) = example(finding) {
            details.push_str(&format!("\nexample: {}", escape(&example)));
        }
        let inside = match told.is_failure(finding) {
            true => format!(
                "<failure type=\"{}\" message=\"{}\">{}</failure>",
                finding.severity.as_str(),
                xml(&sentence(finding)),
                xml(&details)
            ),
            false => format!("<system-out>{}</system-out>", xml(&details)),
        };
        cases.push_str(&format!(
            "    <testcase classname=\"{}\" name=\"{}\">{inside}</testcase>\n",
            finding.change.id(),
            xml(&name)
        ));
    }
    if findings.is_empty() {
        cases
            .push_str("    <testcase classname=\"no-effect\" name=\"nobody's access changes\"/>\n");
    }
    let tests = findings.len().max(1);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  \
         <testsuite name=\"writ policy diff\" tests=\"{tests}\" failures=\"{failures}\">\n{cases}  \
         </testsuite>\n</testsuites>\n"
    )
}

/// A text inside XML. What XML has no room for was escaped before.
fn xml(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\n' => safe.push_str("&#10;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c => safe.push(c),
        }
    }
    safe
}
