//! The layout of HCL as `terraform fmt` has it: two spaces for each level, one between words, and the `=` of lines that
//! follow each other below each other, likewise the comments at their ends.
//!
//! Only for texts that the [`scan`](super::scan) has passed: no templates, no heredocs, no expressions. Lines stay lines.

/// Spaces for each level.
const INDENT: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, a string or a number.
    Word,
    Open,
    Close,
    Comma,
    Equals,
    Colon,
    Comment,
    LineBreak,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    /// Whether something stood between it and the one before.
    apart: bool,
}

impl Token<'_> {
    /// How many more brackets are open after it.
    fn opens(&self) -> i64 {
        match self.kind {
            Kind::Open => 1,
            Kind::Close => -1,
            Kind::Word
            | Kind::Comma
            | Kind::Equals
            | Kind::Colon
            | Kind::Comment
            | Kind::LineBreak => 0,
        }
    }
}

/// One line in the three parts that are put below each other.
#[derive(Debug, Default)]
struct Line {
    indent: usize,
    lead: String,
    assign: Option<String>,
    comment: Option<String>,
}

impl Line {
    fn lead_ends_at(&self) -> usize {
        self.indent + columns(&self.lead)
    }

    /// Given where the `=` stands.
    fn assign_ends_at(&self) -> usize {
        let assign = self.assign.as_deref().map_or(0, columns);
        self.lead_ends_at() + assign
    }
}

/// The same tokens, laid out; `None` if that would change more than white space, or if another look would change it again.
pub(crate) fn format(text: &str) -> Option<String> {
    let before = tokens(text);
    let result = written(&before);
    let after = tokens(&result);
    (same(&before, &after) && written(&after) == result).then_some(result)
}

/// Whether two texts have the same tokens in the same lines. Empty lines at the end are none.
fn same(before: &[Token<'_>], after: &[Token<'_>]) -> bool {
    fn words<'t>(tokens: &'t [Token<'_>]) -> impl Iterator<Item = (Kind, &'t str)> {
        let is_word = |token: &Token<'_>| token.kind != Kind::LineBreak;
        let counted = tokens.iter().rposition(is_word).map_or(0, |last| last + 1);
        let words = tokens.iter().take(counted);
        words.map(|token| (token.kind, token.text))
    }
    words(before).eq(words(after))
}

fn written(tokens: &[Token<'_>]) -> String {
    let mut lines: Vec<Line> = Vec::new();
    // How many brackets each level has opened: `[{` in one line is one level of two.
    let mut levels: Vec<i64> = Vec::new();
    for line in tokens.split(|token| token.kind == Kind::LineBreak) {
        let opened: i64 = line.iter().map(Token::opens).sum();
        let mut depth = levels.len();
        if opened > 0 {
            levels.push(opened);
        } else {
            close(&mut levels, -opened);
            depth = levels.len();
        }
        lines.push(Line::of(line, depth * INDENT));
    }
    align(&mut lines);
    let mut text = String::new();
    for line in &lines {
        line.write(&mut text);
    }
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Takes brackets off the levels, innermost first.
fn close(levels: &mut Vec<i64>, mut closed: i64) {
    while closed > 0
        && let Some(level) = levels.last_mut()
    {
        if closed < *level {
            *level -= closed;
            return;
        }
        closed -= *level;
        levels.pop();
    }
}

impl Line {
    fn of(tokens: &[Token<'_>], indent: usize) -> Line {
        let mut line = Line {
            indent,
            ..Line::default()
        };
        // A comment of several lines has no columns to speak of.
        if tokens.iter().any(|token| token.text.contains('\n')) {
            line.lead = words(tokens);
            return line;
        }
        let (mut lead, mut comment) = (tokens, None);
        if let Some((last, before)) = tokens.split_last()
            && last.kind == Kind::Comment
            && !before.is_empty()
        {
            (lead, comment) = (before, Some(last.text.to_owned()));
        }
        let equals = lead.iter().position(|token| token.kind == Kind::Equals);
        if let Some((name, value)) = equals.and_then(|at| lead.split_at_checked(at))
            && !name.is_empty()
            // A value that goes on in the next line stands by itself.
            && value.iter().map(Token::opens).sum::<i64>() == 0
        {
            lead = name;
            line.assign = Some(words(value));
        }
        line.lead = words(lead);
        line.comment = comment;
        line
    }

    fn write(&self, text: &mut String) {
        let from = text.len();
        text.push_str(&" ".repeat(self.indent));
        text.push_str(&self.lead);
        for part in [&self.assign, &self.comment].into_iter().flatten() {
            text.push_str(part);
        }
        let written = text.get(from..).map_or(0, |line| line.trim_end().len());
        text.truncate(from + written);
        text.push('\n');
    }
}

/// Puts the `=`s of lines that follow each other below each other, then their comments.
fn align(lines: &mut [Line]) {
    for chain in lines.chunk_by_mut(|one, next| one.assign.is_some() && next.assign.is_some()) {
        let widest = chain.iter().map(Line::lead_ends_at).max().unwrap_or(0);
        for line in chain {
            let pad = widest - line.lead_ends_at() + 1;
            if let Some(assign) = &mut line.assign {
                assign.insert_str(0, &" ".repeat(pad));
            }
        }
    }
    for chain in lines.chunk_by_mut(|one, next| one.comment.is_some() && next.comment.is_some()) {
        let widest = chain.iter().map(Line::assign_ends_at).max().unwrap_or(0);
        for line in chain {
            let pad = widest - line.assign_ends_at() + 1;
            if let Some(comment) = &mut line.comment {
                comment.insert_str(0, &" ".repeat(pad));
            }
        }
    }
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Tokens of one line with what belongs between them.
fn words(tokens: &[Token<'_>]) -> String {
    let mut text = String::new();
    let mut before: Option<&Token<'_>> = None;
    for token in tokens {
        if before.is_some_and(|before| is_apart(before, token)) {
            text.push(' ');
        }
        text.push_str(token.text);
        before = Some(token);
    }
    text
}

fn is_apart(before: &Token<'_>, token: &Token<'_>) -> bool {
    match (before.kind, token.kind) {
        (_, Kind::Comma) => false,
        (Kind::Open, Kind::Close) => false,
        (Kind::Open, _) => before.text == "{",
        (_, Kind::Close) => token.text == "}",
        (_, Kind::Comment) | (Kind::Comment, _) => true,
        // Both ways are usual.
        (_, Kind::Colon) | (Kind::Colon, _) => token.apart,
        (Kind::Word | Kind::Close, Kind::Open) => token.text == "{" || token.apart,
        (Kind::Word, Kind::Word) => token.apart,
        (Kind::Word | Kind::Close | Kind::Comma | Kind::Equals | Kind::LineBreak, _) => true,
    }
}

/// Splits a text that the scan has passed.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut apart = false;
    while let Some(first) = rest.chars().next() {
        if matches!(first, ' ' | '\t' | '\r') {
            rest = rest.get(1..).unwrap_or_default();
            apart = true;
            continue;
        }
        let (kind, length) = measure(rest, first);
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let is_line = kind == Kind::Comment && !token.starts_with("/*");
        found.push(Token {
            kind,
            // White space at the end of a line is none of the comment's.
            text: if is_line { token.trim_end() } else { token },
            apart,
        });
        apart = false;
        rest = after;
    }
    found
}

/// The kind and the length in bytes of the token that `rest` begins with.
fn measure(rest: &str, first: char) -> (Kind, usize) {
    let line = || rest.find('\n').unwrap_or(rest.len());
    match first {
        '\n' => (Kind::LineBreak, 1),
        '{' | '[' => (Kind::Open, 1),
        '}' | ']' => (Kind::Close, 1),
        ',' => (Kind::Comma, 1),
        '=' => (Kind::Equals, 1),
        ':' => (Kind::Colon, 1),
        '#' => (Kind::Comment, line()),
        '/' if rest.starts_with("/*") => {
            let end = rest.find("*/").map_or(rest.len(), |end| end + 2);
            (Kind::Comment, end)
        }
        '/' => (Kind::Comment, line()),
        '"' => (Kind::Word, string_length(rest)),
        _ => {
            let part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
            (Kind::Word, end.max(first.len_utf8()))
        }
    }
}

fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
