//! What the broker says, in words, and made safe for a terminal: the same from every client.

use crate::v1;
use crate::v1::denial::Why;

/// Whether a character makes a terminal act, or a reader see something else than what is there: the C0 and C1 controls,
/// the bidirectional controls, the invisible ones, and the separators that some terminals break lines at.
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text that someone else wrote, safe to print on one line: what would mislead stands there as `\n` or `\u{202e}`.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The same for a text of several lines, which stay lines.
pub fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

/// One set of approvals: `1 manager: pat and 2 security: ann, sam`.
pub fn way(way: &v1::Way) -> String {
    let needs: Vec<_> = way.needs.iter().map(need).collect();
    let text = match needs.is_empty() {
        true => "nothing".to_owned(),
        false => needs.join(" and "),
    };
    match way.feasible {
        true => text,
        false => format!("{text} (nobody can give this)"),
    }
}

fn need(need: &v1::Need) -> String {
    let mut people: Vec<_> = need.people.iter().map(|name| escape(name)).collect();
    if need.more {
        people.push("…".to_owned());
    }
    let head = format!("{} {}", need.count, escape(&need.kind));
    match people.is_empty() {
        true => head,
        false => format!("{head}: {}", people.join(", ")),
    }
}

/// The words for a reason of a denial.
pub fn why(why: Why) -> &'static str {
    match why {
        Why::Unspecified => "the broker did not say why",
        Why::Ended => "the request has ended",
        Why::Unknown => "the bundle in force has no such scope or principal",
        Why::Forbidden => "a guardrail forbids it",
        Why::Errored => "a guardrail could not be evaluated, so nobody gets in",
        Why::Unmet => "policies give it, but not under these conditions",
        Why::NoPolicy => "no policy gives this scope to you",
    }
}
