//! The layout of a `.cedar` file: each policy by Cedar's own formatter, with the comments between them left as paragraphs.
//!
//! Given a whole file, that formatter takes the empty lines out of the comments before a policy, so it is given one policy at a
//! time. It checks itself that a policy still means the same; here it is checked that no comment is lost.

use std::sync::Arc;

use cedar_policy::Policy;
use cedar_policy_formatter::{Config, policies_str_to_pretty};

use super::nesting;
use super::problem::{Problem, of_cedar};
use super::tokens::{Token, span, tokens};
use crate::bundle::Report;

/// The columns a line may have: one condition on approvals and one on the window still fit, a third begins a list.
pub(crate) const WIDTH_MAX: usize = 90;

/// Spaces for each level: Cedar's own choice.
const INDENT: isize = 2;

/// How often a layout is laid out again until it stays as it is. Cedar's formatter needs one look, or two around comments.
const LOOKS_MAX: usize = 4;

/// The text laid out; `None` and errors at their places if it cannot be.
pub(crate) fn format(file: &str, text: &str, report: &mut Report) -> Option<String> {
    let mut before = text.to_owned();
    for _ in 0..LOOKS_MAX {
        match once(file, &before) {
            Ok(after) if after == before => return Some(after),
            Ok(after) => before = after,
            Err(problems) => {
                let source: Arc<str> = before.into();
                for problem in problems {
                    report.push(file, &source, problem.span, problem.message, problem.help);
                }
                return None;
            }
        }
    }
    let message = "Cedar's formatter lays it out otherwise each time";
    report.push_file(file, format!("`{file}`: {message}"), None);
    None
}

fn once(file: &str, text: &str) -> Result<String, Vec<Problem>> {
    let tokens = tokens(text);
    let statements = nesting::statements(file, &tokens).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let (mut laid_out, mut from) = (String::new(), 0);
    for statement in statements {
        let starts_at = span(statement).start;
        let end = ends_at(text, statement);
        let written = text.get(starts_at..end).unwrap_or_default();
        between(text.get(from..starts_at).unwrap_or_default(), &mut laid_out);
        from = end;
        match policy(file, written, statement) {
            Ok(policy) => {
                laid_out.push_str(policy.trim_end());
                // One line is left free before whatever comes next.
                laid_out.push_str("\n\n");
            }
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    between(text.get(from..).unwrap_or_default(), &mut laid_out);
    laid_out.truncate(laid_out.trim_end().len());
    if !laid_out.is_empty() {
        laid_out.push('\n');
    }
    if comments(text) != comments(&laid_out) {
        let problem = Problem::new(file, 0..0, "Cedar's formatter would lose or move a comment");
        return Err(vec![problem.help(
            "put each comment on a line of its own, before a condition or a policy",
        )]);
    }
    Ok(laid_out)
}

/// Where a statement ends: with its `;`, or with a comment in the same line.
fn ends_at(text: &str, statement: &[Token<'_>]) -> usize {
    let end = span(statement).end;
    let rest = text.get(end..).unwrap_or_default();
    let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
    let comment = rest.get(..line).unwrap_or_default();
    match comment.trim_start().starts_with("//") {
        true => end + line,
        false => end,
    }
}

/// One policy, laid out.
fn policy(file: &str, written: &str, statement: &[Token<'_>]) -> Result<String, Vec<Problem>> {
    let whole = span(statement);
    // Parsed first, for errors with places; the formatter's have none in the file.
    let text = written.get(..whole.len()).unwrap_or_default();
    Policy::parse(None, text).map_err(|error| of_cedar(file, whole.start, &whole, &error))?;
    let config = Config {
        line_width: WIDTH_MAX,
        indent_width: INDENT,
    };
    policies_str_to_pretty(written, &config).map_err(|error| {
        let message = format!("Cedar's formatter cannot lay this out: {error}");
        vec![Problem::new(file, whole, message)]
    })
}

/// Comments and empty lines between policies: each comment at the start of its line, one empty line where there were some.
fn between(text: &str, laid_out: &mut String) {
    let text = text.replace("\r\n", "\n");
    let mut lines = text.split(['\n', '\r']).map(str::trim).peekable();
    while let Some(line) = lines.next() {
        // What stands before the next policy in its own line is no line.
        if line.is_empty() && lines.peek().is_none() {
            return;
        }
        if !line.is_empty() {
            laid_out.push_str(line);
            laid_out.push('\n');
        } else if !laid_out.is_empty() && !laid_out.ends_with("\n\n") {
            laid_out.push('\n');
        }
    }
}

/// Every comment, in order.
fn comments(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = 0;
    let places = tokens(text).into_iter().map(|token| token.span());
    for place in places.chain(std::iter::once(text.len()..text.len())) {
        let gap = text.get(from..place.start).unwrap_or_default();
        let lines = gap.split(['\n', '\r']).map(str::trim);
        found.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        from = place.end;
    }
    found
}
