//! `access.lock`: the table as sorted lines, so that a change of access also shows in the plain diff of any code host.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccessTable, Path, Row, Who, WhoKind};

/// The name of the file, beside the policies. It is no part of the bundle.
pub const LOCK: &str = "access.lock";

const HEADER: &str = "# What the policies beside this file give, one line for each scope, way in and people. Written by\n\
                      # `writ policy snapshot`, never by hand; `writ policy snapshot --locked` fails where it is stale.\n\
                      # scope | approvals | who could give them | circumstances | longest window | people\n";

/// The file's text. The same table gives the same text, whoever wrote it and whenever.
pub fn text(table: &AccessTable) -> String {
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in &table.rows {
        for start in starts(row) {
            let people = lines.entry(start).or_default();
            people.extend(row.principals.iter().map(named));
        }
    }
    let mut text = HEADER.to_owned();
    for (start, people) in lines {
        let people: Vec<String> = people.into_iter().collect();
        text.push_str(&format!("{start} | {}\n", people.join(" ")));
    }
    text
}

/// The lines of a row, all but the people.
fn starts(row: &Row) -> Vec<String> {
    let unknown = (!row.complete).then(|| format!("{} | not enumerated | - | - | -", row.scope));
    let known = row.paths.iter().map(|path| {
        let only = match path.only.as_str() {
            "" => "any".to_owned(),
            only => in_its_column(only),
        };
        let (needs, who) = (needs(path), who(path));
        format!(
            "{} | {needs} | {who} | {only} | {}",
            row.scope, path.longest
        )
    });
    unknown.into_iter().chain(known).collect()
}

/// Circumstances quote what policies compare with, and that can be any text: one that ended the line or the column could add
/// lines to its writer's liking.
fn in_its_column(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let plain = c == ' ' || c.is_alphanumeric() || c.is_ascii_graphic();
        match c {
            c if plain && c != '|' => safe.push(c),
            c => safe.extend(c.escape_unicode()),
        }
    }
    safe
}

fn named(who: &Who) -> String {
    match who.kind {
        WhoKind::User => who.name.clone(),
        WhoKind::Workload => format!("workload:{}", who.name),
    }
}

fn needs(path: &Path) -> String {
    if path.needs.is_empty() {
        return "none".to_owned();
    }
    let needs = path
        .needs
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"));
    needs.collect::<Vec<_>>().join(" and ")
}

fn who(path: &Path) -> String {
    let kinds = path.who.iter().map(|(kind, people)| {
        let people: Vec<&str> = people.iter().map(|person| person.as_str()).collect();
        let people = if people.is_empty() {
            "nobody".to_owned()
        } else {
            people.join(" ")
        };
        format!("{kind}: {people}")
    });
    let kinds: Vec<String> = kinds.collect();
    match (path.feasible, kinds.is_empty()) {
        (_, true) => "-".to_owned(),
        (true, false) => kinds.join("; "),
        (false, false) => format!("{}; not enough people", kinds.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_column() {
        let rows = [
            (
                "with a ticket such as `INC-1`",
                "with a ticket such as `INC-1`",
            ),
            ("`Störung`", "`Störung`"),
            ("`x`\nprod | none", "`x`\\u{a}prod \\u{7c} none"),
            ("a\u{202e}b\r\u{0}", "a\\u{202e}b\\u{d}\\u{0}"),
        ];
        for (text, expected) in rows {
            assert_eq!(in_its_column(text), expected);
        }
    }
}
