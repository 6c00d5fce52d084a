//! What may appear on a terminal: text without control characters, colour by meaning, aligned columns.

use std::fmt::Write as _;

use writ_api::words::misleads;
pub(crate) use writ_api::words::{escape, escape_lines};

/// A JSON document with the same characters as `\u….` escapes: the same document to a parser, harmless on a terminal.
pub(crate) fn escape_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        // A line feed is the document's own; inside strings the serialiser has escaped it already.
        if misleads(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Names that others gave: `ann, bob`.
pub(crate) fn names(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| escape(name)).collect();
    names.join(", ")
}

/// A word quoted for a POSIX shell, where it needs quotes.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set or TERM is `dumb`; CLICOLOR_FORCE colours pipes too.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether one stream is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// As it is.
    Plain,
    /// With ANSI colours.
    Coloured,
}

impl Paint {
    /// For a stream, by the flag first and the environment second.
    pub(crate) fn of(when: When, terminal: bool, env: impl Fn(&str) -> Option<String>) -> Paint {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        let coloured = match when {
            When::Always => true,
            When::Never => false,
            When::Auto if set("NO_COLOR") => false,
            When::Auto if env("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0") => true,
            When::Auto if env("TERM").is_some_and(|term| term == "dumb") => false,
            When::Auto => terminal,
        };
        match coloured {
            true => Paint::Coloured,
            false => Paint::Plain,
        }
    }

    fn sgr(self, code: &str, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    /// Access exists, or something was proved.
    pub(crate) fn good(self, text: &str) -> String {
        self.sgr("32", text)
    }

    /// Someone has to do something.
    pub(crate) fn waiting(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// Refused, or failed.
    pub(crate) fn bad(self, text: &str) -> String {
        self.sgr("31", text)
    }

    /// Beside the point.
    pub(crate) fn faint(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// The point.
    pub(crate) fn strong(self, text: &str) -> String {
        self.sgr("1", text)
    }
}

/// One cell of a table: the text, and how it is coloured once it has been padded.
pub(crate) struct Cell {
    text: String,
    paint: fn(Paint, &str) -> String,
}

impl Cell {
    /// Text of ours or of others; escaped.
    pub(crate) fn new(text: &str) -> Cell {
        Cell::painted(text, |_, text| text.to_owned())
    }

    /// The same, coloured.
    pub(crate) fn painted(text: &str, paint: fn(Paint, &str) -> String) -> Cell {
        Cell {
            text: escape(text),
            paint,
        }
    }
}

/// Rows in aligned columns, two spaces apart, below their headings. Empty without rows.
pub(crate) fn table(paint: Paint, headings: &[&str], rows: &[Vec<Cell>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.text.chars().count())
            .chain(headings.get(column).map(|heading| heading.len()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let head = headings.iter().map(|it| Cell::painted(it, Paint::faint));
    let mut text = line(paint, &widths, &head.collect::<Vec<_>>());
    for row in rows {
        text.push_str(&line(paint, &widths, row));
    }
    text
}

/// One line of a table. Colours are put on after the padding was counted, and nothing is padded at the end.
fn line(paint: Paint, widths: &[usize], cells: &[Cell]) -> String {
    let mut text = String::new();
    let mut owed = 0;
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(&" ".repeat(owed));
        text.push_str(&(cell.paint)(paint, &cell.text));
        owed = width + 2 - cell.text.chars().count().min(*width);
    }
    format!("{}\n", text.trim_end_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_move_the_cursor_or_turn_the_line_around() {
        for (raw, safe) in [
            ("INC-42: p99 is up", "INC-42: p99 is up"),
            ("größer, 日本, ✓", "größer, 日本, ✓"),
            ("\u{1b}[2J\u{1b}]0;x\u{7}", r"\u{1b}[2J\u{1b}]0;x\u{7}"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{7f}", r"\u{7f}"),
            ("deny\u{202e}evorppa", r"deny\u{202e}evorppa"),
            ("\u{2066}x\u{2069}", r"\u{2066}x\u{2069}"),
            ("pa\u{200b}t", r"pa\u{200b}t"),
            ("pat\u{e0041}", r"pat\u{e0041}"),
        ] {
            assert_eq!(escape(raw), safe);
        }
    }

    #[test]
    fn json_keeps_its_meaning_when_it_is_made_safe() {
        let value = serde_json::json!({"reason": "\u{202e}x\u{9b}\u{e0041}\u{7f}\n\u{1b}é"});
        let text = escape_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| c != '\n' && misleads(c)), "{text:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }

    #[test]
    fn a_word_is_quoted_so_that_a_shell_reads_it_back() {
        for (word, quoted) in [
            ("prod-db-read", "prod-db-read"),
            ("", "''"),
            ("two words", "'two words'"),
            ("$(rm -rf ~)", "'$(rm -rf ~)'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }

    #[test]
    fn colour_follows_the_flag_then_the_environment_then_the_terminal() {
        type Environment = &'static [(&'static str, &'static str)];
        let cases: [(When, bool, Environment, Paint); 9] = [
            (When::Auto, true, &[], Paint::Coloured),
            (When::Auto, false, &[], Paint::Plain),
            (When::Auto, true, &[("NO_COLOR", "1")], Paint::Plain),
            (When::Auto, true, &[("NO_COLOR", "")], Paint::Coloured),
            (When::Auto, true, &[("TERM", "dumb")], Paint::Plain),
            (
                When::Auto,
                false,
                &[("CLICOLOR_FORCE", "1")],
                Paint::Coloured,
            ),
            (When::Auto, false, &[("CLICOLOR_FORCE", "0")], Paint::Plain),
            (When::Always, false, &[("NO_COLOR", "1")], Paint::Coloured),
            (When::Never, true, &[("CLICOLOR_FORCE", "1")], Paint::Plain),
        ];
        for (when, tty, env, paint) in cases {
            let read = |name: &str| {
                env.iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(Paint::of(when, tty, read), paint, "{when:?} {env:?}");
        }
    }

    #[test]
    fn columns_line_up_whatever_they_are_coloured() {
        let rows = || {
            vec![
                vec![
                    Cell::new("7F3K"),
                    Cell::painted("PENDING", Paint::waiting),
                    Cell::new("mia"),
                ],
                vec![
                    Cell::new("QQ7F3K"),
                    Cell::painted("ACTIVE", Paint::good),
                    Cell::new("ci"),
                ],
            ]
        };
        let plain = table(Paint::Plain, &["ID", "STATE", "WHO"], &rows());
        assert_eq!(
            plain,
            "ID      STATE    WHO\n7F3K    PENDING  mia\nQQ7F3K  ACTIVE   ci\n"
        );
        let mut stripped = table(Paint::Coloured, &["ID", "STATE", "WHO"], &rows());
        for code in ["\u{1b}[0m", "\u{1b}[2m", "\u{1b}[32m", "\u{1b}[33m"] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
        assert_eq!(table(Paint::Plain, &["ID"], &[]), "");
    }
}
