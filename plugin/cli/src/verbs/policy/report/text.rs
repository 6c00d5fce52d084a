//! For a terminal.

use writ_engine::diff::Severity;

use super::{Told, causes, example, people};
use crate::screen::{Paint, escape};

pub(super) fn render(told: &Told<'_>, paint: Paint) -> String {
    let mut text = String::new();
    for finding in &told.diff.findings {
        let word = finding.severity.as_str();
        let word = match finding.severity {
            Severity::Critical => paint.bad(word),
            Severity::High => paint.waiting(word),
            Severity::Medium | Severity::Low | Severity::Info => paint.faint(word),
        };
        let scope = finding
            .scope
            .as_ref()
            .map(|scope| format!("  {}", escape(scope.as_str())));
        let change = paint.strong(finding.change.id());
        text.push_str(&format!("{word}  {change}{}\n", scope.unwrap_or_default()));
        let lines = [
            ("for", people(finding)),
            ("only", finding.only.clone()),
            ("before", finding.before.clone()),
            ("after", finding.after.clone()),
            ("by", causes(finding)),
            ("example", example(finding).unwrap_or_default()),
        ];
        for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
            text.push_str(&format!(
                "  {}  {}\n",
                paint.faint(&format!("{name:<7}")),
                escape(value)
            ));
        }
        text.push('\n');
    }
    let effort = told.diff.effort;
    text.push_str(&format!(
        "{} compared with {}\n{}\n",
        paint.strong(&told.summary()),
        escape(told.compared_with),
        paint.faint(&format!(
            "asked {} questions about {} of {} pairs of people and scopes",
            effort.evaluations, effort.pairs, effort.pairs_in_all
        ))
    ));
    text
}
