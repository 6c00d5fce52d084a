//! One comment on a pull request.
//!
//! Whoever opens a pull request chooses every name in it. All that is not ours stands in `<code>`, each of its signs as a
//! character reference: Markdown sees no markup, and code hosts look for no mentions, links or references inside code.

use writ_engine::diff::Finding;

use super::{Told, causes, example, people};
use crate::screen::escape;

/// The longest comment GitHub takes, in characters, less one for good measure; GitLab takes a million.
const CHARACTERS_MAX: usize = 65_535;

/// The longest single text of others, in characters, before it is cut.
const TEXT_MAX: usize = 1_000;

/// Marks the comment, so that the next run finds it and writes it anew.
const MARK: &str = "<!-- writ policy diff -->\n";

pub(super) fn render(told: &Told<'_>) -> String {
    let mut text = format!(
        "{MARK}### Access: {}\n\nCompared with {}.\n",
        told.summary(),
        code(told.compared_with)
    );
    let room = |text: &str, more: &str| text.chars().count() + more.chars().count();
    let count = told.diff.findings.len();
    for (number, finding) in told.diff.findings.iter().enumerate() {
        let part = section(finding);
        let left = count - number;
        let rest = format!("\n_{left} more; `writ policy diff` lists them all._\n");
        // As long as anything follows, there must be room to say so.
        if room(&text, &part) + rest.chars().count() > CHARACTERS_MAX {
            text.push_str(&rest);
            return text;
        }
        text.push_str(&part);
    }
    text
}

fn section(finding: &Finding) -> String {
    let scope = finding
        .scope
        .as_ref()
        .map(|scope| format!(" · {}", code(scope.as_str())));
    let mut text = format!(
        "\n**{}** · {}{}\n{}.\n\n",
        finding.severity.as_str(),
        finding.change.id(),
        scope.unwrap_or_default(),
        finding.change.meaning()
    );
    let lines = [
        ("for", people(finding)),
        ("only", finding.only.clone()),
        ("before", finding.before.clone()),
        ("after", finding.after.clone()),
        ("by", causes(finding)),
        ("example", example(finding).unwrap_or_default()),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("- {name}: {}\n", code(value)));
    }
    text
}

/// A text of others, as it is and as nothing else.
fn code(text: &str) -> String {
    let safe = escape(text);
    let mut inside = String::new();
    for (number, c) in safe.chars().enumerate() {
        if number == TEXT_MAX {
            inside.push('…');
            break;
        }
        match c {
            ' ' => inside.push(' '),
            c if c.is_alphanumeric() || c == '…' || c == '→' => inside.push(c),
            c => inside.push_str(&format!("&#{};", u32::from(c))),
        }
    }
    format!("<code>{inside}</code>")
}
