//! Cedar's tokens with their places: enough to find things in a text, and to measure it before a parser sees it.

use std::ops::Range;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Word,
    /// A string literal with its quotes.
    Text,
    /// A number.
    Number,
    /// An operator or a bracket.
    Sign,
    /// A character that Cedar has no use for, or a quote that never closes.
    Stray,
}

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it is written.
    pub(super) text: &'a str,
    /// Where it starts, in bytes.
    pub(super) at: usize,
}

impl Token<'_> {
    /// Its place, in bytes.
    pub(super) fn span(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    /// Whether it is this word or sign; a string literal never is.
    pub(super) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// The place from the first of `tokens` to the last, or nothing where there are none.
pub(super) fn span(tokens: &[Token<'_>]) -> Range<usize> {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => first.at..last.span().end,
        _ => 0..0,
    }
}

/// Splits a text the way Cedar's own lexers do, for policies and for the schema: same strings, same comments.
///
/// What Cedar would refuse becomes [`Kind::Stray`] and reading goes on with the next character, so that a text can never
/// look less nested here than it does to Cedar.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let at = source.len() - rest.len();
        if first.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if rest.starts_with("//") {
            let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
            rest = rest.get(end..).unwrap_or_default();
            continue;
        }
        let (kind, length) = measure(rest, first);
        let (text, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        found.push(Token { kind, text, at });
        rest = after;
    }
    found
}

/// The kind and the length in bytes of the token that `rest` begins with.
fn measure(rest: &str, first: char) -> (Kind, usize) {
    let while_true = |accept: fn(char) -> bool| rest.find(|c| !accept(c)).unwrap_or(rest.len());
    if first.is_ascii_alphabetic() || first == '_' {
        return (
            Kind::Word,
            while_true(|c| c.is_ascii_alphanumeric() || c == '_'),
        );
    }
    if first.is_ascii_digit() {
        return (Kind::Number, while_true(|c| c.is_ascii_digit()));
    }
    if first == '"' {
        return match string_length(rest) {
            Some(length) => (Kind::Text, length),
            None => (Kind::Stray, 1),
        };
    }
    for sign in ["::", "==", "!=", "<=", ">=", "||", "&&"] {
        if rest.starts_with(sign) {
            return (Kind::Sign, sign.len());
        }
    }
    if "@.,;:(){}[]<>+-*/%!=?".contains(first) {
        (Kind::Sign, 1)
    } else {
        (Kind::Stray, first.len_utf8())
    }
}

/// The length of the string literal that `rest` begins with: Cedar's `"(\\.|[^"\\])*"`, where `.` is no line break.
fn string_length(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' if escaped => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_comments_and_signs_are_told_apart() {
        let source = "a.b<=\"x\\\"(\" // ((\r[:: \"open";
        let texts: Vec<_> = tokens(source).iter().map(|t| (t.kind, t.text)).collect();
        assert_eq!(
            texts,
            [
                (Kind::Word, "a"),
                (Kind::Sign, "."),
                (Kind::Word, "b"),
                (Kind::Sign, "<="),
                (Kind::Text, "\"x\\\"(\""),
                (Kind::Sign, "["),
                (Kind::Sign, "::"),
                (Kind::Stray, "\""),
                (Kind::Word, "open"),
            ]
        );
        for token in tokens(source) {
            assert_eq!(source.get(token.span()), Some(token.text));
        }
    }
}
