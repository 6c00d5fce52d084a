//! The look over a text before the HCL parser sees it: only literal values, balanced and shallow brackets, no tricks.
//!
//! The parser takes the whole language (templates, functions, `for` …) by recursion. We take the part that says what it
//! means, so what lies outside is refused here, in one pass without recursion, with a caret on the first character of it.

use std::collections::BTreeMap;
use std::ops::Range;

use super::DEPTH_MAX;
use crate::bundle::report::{is_invisible, line_and_column};

/// Why a text is not given to the parser.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) span: Range<usize>,
    /// Where the same key stood before.
    pub(super) first: Option<Range<usize>>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Refusal {
    fn new(span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Refusal {
        Refusal {
            span,
            first: None,
            message: message.into(),
            help: Some(help.into()).filter(|help: &String| !help.is_empty()),
        }
    }
}

/// A bracket still open, and the keys given in it; the first is the file itself.
struct Open {
    bracket: char,
    at: usize,
    keys: BTreeMap<String, Range<usize>>,
}

impl Open {
    fn new(bracket: char, at: usize) -> Open {
        let keys = BTreeMap::new();
        Open { bracket, at, keys }
    }

    fn is_closed_by(&self, bracket: char) -> bool {
        matches!((self.bracket, bracket), ('{', '}') | ('[', ']'))
    }
}

struct Scan<'a> {
    text: &'a str,
    /// The byte the scan is at.
    at: usize,
    file: Open,
    open: Vec<Open>,
    /// The word or quoted string last seen on this line: a key, if `=` or `:` comes next.
    word: Option<Range<usize>>,
}

/// Looks over `text`.
pub(super) fn scan(text: &str) -> Result<(), Refusal> {
    let mut scan = Scan {
        text,
        at: 0,
        file: Open::new(' ', 0),
        open: Vec::new(),
        word: None,
    };
    scan.check_characters()?;
    while let Some(c) = scan.peek() {
        scan.step(c)?;
    }
    match scan.open.first() {
        Some(open) => Err(Refusal::new(
            open.at..open.at + 1,
            format!("this `{}` is never closed", open.bracket),
            "",
        )),
        None => Ok(()),
    }
}

impl Scan<'_> {
    fn check_characters(&self) -> Result<(), Refusal> {
        let mut letters = self.text.char_indices().peekable();
        while let Some((at, c)) = letters.next() {
            let ends_line = c == '\r' && letters.peek().is_some_and(|(_, next)| *next == '\n');
            if is_invisible(c) && !ends_line {
                return Err(Refusal::new(
                    at..at + c.len_utf8(),
                    format!("the invisible character U+{:04X}", u32::from(c)),
                    "what a reviewer cannot see is not taken; remove it",
                ));
            }
        }
        Ok(())
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn step(&mut self, c: char) -> Result<(), Refusal> {
        let at = self.at;
        match c {
            '"' => return self.string(),
            '#' => self.skip_line(),
            '/' if self.rest().starts_with("//") => self.skip_line(),
            '/' if self.rest().starts_with("/*") => match self.rest().find("*/") {
                Some(end) => self.at += end + 2,
                None => return Err(Refusal::new(at..at + 2, "this comment never ends", "")),
            },
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => self.word(),
            '-' if self
                .rest()
                .chars()
                .nth(1)
                .is_some_and(|c| c.is_ascii_digit()) =>
            {
                self.at += 1;
                self.word();
            }
            ' ' | '\t' | '\r' => self.at += 1,
            '\n' | ',' | '.' => {
                self.word = None;
                self.at += 1;
            }
            '=' if self.rest().starts_with("==") || self.rest().starts_with("=>") => {
                return Err(self.not_a_literal(at..at + 2));
            }
            '=' | ':' => {
                self.key(c)?;
                self.at += 1;
            }
            '{' | '[' => {
                if self.open.len() >= DEPTH_MAX {
                    return Err(Refusal::new(
                        at..at + 1,
                        format!("nested more than {DEPTH_MAX} deep"),
                        "",
                    ));
                }
                self.open.push(Open::new(c, at));
                self.word = None;
                self.at += 1;
            }
            '}' | ']' => {
                match self.open.pop() {
                    Some(open) if open.is_closed_by(c) => {}
                    Some(open) => {
                        let (line, _) = line_and_column(self.text, at);
                        return Err(Refusal::new(
                            open.at..open.at + 1,
                            format!("this `{}` meets the `{c}` of line {line}", open.bracket),
                            "close what is open in between",
                        ));
                    }
                    None => {
                        return Err(Refusal::new(
                            at..at + 1,
                            format!("`{c}` closes nothing"),
                            "",
                        ));
                    }
                }
                self.word = None;
                self.at += 1;
            }
            '(' => {
                let name = self.word.clone().unwrap_or(at..at + 1);
                return Err(self.not_a_literal(name));
            }
            '<' if self.rest().starts_with("<<") => {
                return Err(Refusal::new(
                    at..at + 2,
                    "heredocs are not taken",
                    "write a quoted string",
                ));
            }
            '\'' => {
                return Err(Refusal::new(
                    at..at + 1,
                    "`'` starts no string",
                    "write strings in double quotes",
                ));
            }
            '-' | '+' | '*' | '/' | '%' | '!' | '?' | '&' | '|' | '<' | '>' | ')' => {
                return Err(self.not_a_literal(at..at + 1));
            }
            _ => {
                return Err(Refusal::new(
                    at..at + c.len_utf8(),
                    format!("`{c}` has no meaning here"),
                    "a text goes into double quotes",
                ));
            }
        }
        Ok(())
    }

    fn not_a_literal(&self, span: Range<usize>) -> Refusal {
        Refusal::new(
            span,
            "only literal values are taken, neither functions nor expressions",
            "write the value itself: a string, a whole number, `true`, `false`, a list or an object",
        )
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').unwrap_or(self.rest().len());
    }

    fn word(&mut self) {
        let start = self.at;
        let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        self.at += self.rest().find(|c| !part(c)).unwrap_or(self.rest().len());
        self.word = Some(start..self.at);
    }

    /// Reads a quoted string, escapes and all; it ends on its line and holds no template.
    fn string(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.rest();
            let at = self.at;
            match rest.chars().next() {
                None | Some('\n') => {
                    return Err(Refusal::new(
                        start..start + 1,
                        "this string does not end on its line",
                        "close it with `\"`; a line break within it is written `\\n`",
                    ));
                }
                Some('"') => break,
                Some('\\') => self.at += 1 + rest.chars().nth(1).map_or(0, char::len_utf8),
                Some('$' | '%') if rest.starts_with("$${") || rest.starts_with("%%{") => {
                    self.at += 3;
                }
                Some('$' | '%') if rest.starts_with("${") || rest.starts_with("%{") => {
                    let marker = rest.get(..1).unwrap_or_default();
                    return Err(Refusal::new(
                        at..at + 2,
                        "templates are not taken",
                        format!(
                            "a `{marker}{{` that is meant as such, like a policy variable of IAM, is written \
                             `{marker}{marker}{{`"
                        ),
                    ));
                }
                Some(c) => self.at += c.len_utf8(),
            }
        }
        self.at += 1;
        self.word = Some(start..self.at);
        Ok(())
    }

    /// Notes the key before a `=` or `:`, which its block or object may hold only once.
    fn key(&mut self, sign: char) -> Result<(), Refusal> {
        let Some(span) = self.word.take() else {
            return Ok(());
        };
        let holder = self.open.last_mut().unwrap_or(&mut self.file);
        if sign == ':' && holder.bracket != '{' {
            return Ok(());
        }
        let key = self.text.get(span.clone()).unwrap_or_default();
        let key = key.trim_matches('"').to_owned();
        if let Some(first) = holder.keys.get(&key) {
            return Err(Refusal {
                first: Some(first.clone()),
                ..Refusal::new(span, format!("`{key}` is given twice"), "keep one of them")
            });
        }
        holder.keys.insert(key, span);
        Ok(())
    }
}
