//! Everything that is wrong with a bundle or a configuration file, each with file, line, column and a caret.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

/// The most findings one report lists; whoever has more fixes these first. The rest are counted.
pub const FINDINGS_MAX: usize = 200;

/// The longest source line shown under a finding, in bytes; of a longer one only the place is named.
pub const SHOWN_LINE_MAX: usize = 2_000;

/// How wide a finding is drawn, in columns: fits a review page and a CI log.
const WIDTH: usize = 100;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken; someone should look.
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Finding {
    /// How grave.
    pub severity: Severity,
    /// The file, as the bundle names it.
    pub file: String,
    /// The line, from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// The column in characters, from 1; `None` with `line`.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What would work.
    pub help: Option<String>,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
}

/// All that is wrong with a bundle or a configuration file.
#[derive(Debug, Clone, Default)]
pub struct Report {
    findings: Vec<Finding>,
    errors: usize,
    warnings: usize,
    /// The text last drawn and its [`drawable`] twin: most findings share one file.
    drawn: Option<(Arc<str>, Arc<str>)>,
}

impl Report {
    /// Adds an error at `span` (bytes) of `text`.
    pub fn push(
        &mut self,
        file: &str,
        text: &Arc<str>,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let labels = vec![LabeledSpan::underline(span)];
        self.add(Severity::Error, file, Some(text), labels, message, help);
    }

    /// Adds a warning at `span` (bytes) of `text`; a warning refuses nothing.
    pub fn warn(
        &mut self,
        file: &str,
        text: &Arc<str>,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let labels = vec![LabeledSpan::underline(span)];
        self.add(Severity::Warning, file, Some(text), labels, message, help);
    }

    /// Adds an error that is about two places of one file: `first`, and `again`, which comes too many.
    pub fn push_pair(
        &mut self,
        file: &str,
        text: &Arc<str>,
        first: Range<usize>,
        again: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let labels = vec![
            LabeledSpan::new_primary_with_span(Some("again here".to_owned()), again),
            LabeledSpan::new_with_span(Some("first here".to_owned()), first),
        ];
        self.add(Severity::Error, file, Some(text), labels, message, help);
    }

    /// Adds an error about a file as a whole, such as one that is missing.
    pub fn push_file(&mut self, file: &str, message: impl Into<String>, help: Option<String>) {
        self.add(Severity::Error, file, None, Vec::new(), message, help);
    }

    /// Adds what another library found in `text`, and what it relates to it, as errors.
    ///
    /// Only message, help and labels are taken over: Cedar's diagnostics bring their own nameless source, so that a name
    /// put around them from outside is never shown.
    pub fn push_diagnostic(&mut self, file: &str, text: &Arc<str>, diagnostic: &dyn Diagnostic) {
        self.add_diagnostic(Severity::Error, file, text, diagnostic, 0);
    }

    /// As [`Report::push_diagnostic`], but as warnings.
    pub fn warn_diagnostic(&mut self, file: &str, text: &Arc<str>, diagnostic: &dyn Diagnostic) {
        self.add_diagnostic(Severity::Warning, file, text, diagnostic, 0);
    }

    fn add_diagnostic(
        &mut self,
        severity: Severity,
        file: &str,
        text: &Arc<str>,
        diagnostic: &dyn Diagnostic,
        depth: usize,
    ) {
        let labels = diagnostic.labels().map(Iterator::collect);
        let help = diagnostic.help().map(|help| help.to_string());
        self.add(
            severity,
            file,
            Some(text),
            labels.unwrap_or_default(),
            diagnostic.to_string(),
            help,
        );
        // Cedar relates at most one level; a few more do no harm, a circle would.
        if depth < 4 {
            for related in diagnostic.related().into_iter().flatten() {
                self.add_diagnostic(severity, file, text, related, depth + 1);
            }
        }
    }

    /// Takes over what another report holds.
    pub fn absorb(&mut self, other: Report) {
        self.errors += other.errors;
        self.warnings += other.warnings;
        self.findings.extend(other.findings);
        // Errors before warnings, so that no error is pushed off the list by one.
        self.findings.sort_by_key(|finding| finding.severity);
        self.findings.truncate(FINDINGS_MAX);
    }

    /// Whether nothing was found at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many findings there are, those beyond [`FINDINGS_MAX`] included.
    pub fn len(&self) -> usize {
        self.errors + self.warnings
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Whether something must be refused.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The findings, by file, then line, then column; at most [`FINDINGS_MAX`].
    pub fn findings(&self) -> Vec<&Finding> {
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        findings
    }

    /// All findings as a person reads them, each with the lines it is about, and a count at the end.
    pub fn render(&self, color: bool) -> String {
        let theme = if color {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(WIDTH)
            .with_links(false)
            .without_syntax_highlighting();
        let mut out = String::new();
        for finding in self.findings() {
            // Writing to a string cannot fail, and a label outside its text was moved into it when it was added.
            if handler.render_report(&mut out, finding).is_err() {
                out.push_str(&finding.to_string());
            }
            out.push('\n');
        }
        out.push_str(&self.count());
        out.push('\n');
        out
    }

    fn drawn(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some((of, drawn)) = &self.drawn
            && Arc::ptr_eq(of, text)
        {
            return Arc::clone(drawn);
        }
        let drawn = drawable(text).unwrap_or_else(|| Arc::clone(text));
        self.drawn = Some((Arc::clone(text), Arc::clone(&drawn)));
        drawn
    }

    fn count(&self) -> String {
        let some = |count: usize, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            _ => Some(format!("{count} {what}s")),
        };
        let counts: Vec<String> = [some(self.errors, "error"), some(self.warnings, "warning")]
            .into_iter()
            .flatten()
            .collect();
        let unlisted = self.len() - self.findings.len();
        match (counts.is_empty(), unlisted) {
            (true, _) => "nothing found".to_owned(),
            (false, 0) => counts.join(", "),
            (false, _) => format!("{} ({unlisted} of them not listed)", counts.join(", ")),
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        file: &str,
        text: Option<&Arc<str>>,
        labels: Vec<LabeledSpan>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.findings.len() >= FINDINGS_MAX {
            return;
        }
        let mut message = printable(&message.into());
        let mut place = None;
        let mut source = None;
        let mut labels = labels;
        if let (Some(text), Some(first)) = (text, labels.first()) {
            let (line, column) = line_and_column(text, first.offset());
            place = Some((line, column));
            labels = labels
                .iter()
                .map(|label| within(text, label))
                .collect::<Vec<_>>();
            if labels
                .iter()
                .all(|label| line_length(text, label.offset()) <= SHOWN_LINE_MAX)
            {
                source = Some(NamedSource::new(file, self.drawn(text)));
            } else {
                labels.clear();
                message = format!("{message} ({file}:{line}:{column})");
            }
        } else {
            labels.clear();
        }
        self.findings.push(Finding {
            severity,
            file: file.to_owned(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message,
            help: help.map(|help| printable(&help)),
            source,
            labels,
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

impl Diagnostic for Finding {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        let source = self.source.as_ref()?;
        Some(source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Line and column (in characters) of a byte of `text`, both from 1.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..floor(text, offset)).unwrap_or_default();
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default();
    (line, column.chars().count() + 1)
}

/// The name of `known` that `given` most likely stands for, if any is close.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    // A third of the letters may be wrong: `prod-db-reed` is a slip, `staging` for `prod` is not.
    let most = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&given, &name.to_lowercase());
            (distance, name)
        })
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// "did you mean …?" for [`nearest`], ready to be a help.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(given, known).map(|name| format!("did you mean `{name}`?"))
}

/// The nearest character boundary at or before `offset`.
fn floor(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset)
        .rev()
        .find(|place| text.is_char_boundary(*place))
        .unwrap_or(0)
}

/// `label`, moved into `text` and onto character boundaries, without which nothing could be drawn.
fn within(text: &str, label: &LabeledSpan) -> LabeledSpan {
    let start = floor(text, label.offset());
    let end = floor(text, label.offset().saturating_add(label.len())).max(start);
    let words = label.label().map(printable);
    let span = start..end;
    if label.primary() {
        LabeledSpan::new_primary_with_span(words, span)
    } else {
        LabeledSpan::new_with_span(words, span)
    }
}

fn line_length(text: &str, offset: usize) -> usize {
    let (before, after) = text
        .split_at_checked(floor(text, offset))
        .unwrap_or((text, ""));
    let start = before.rsplit('\n').next().unwrap_or_default().len();
    start + after.split('\n').next().unwrap_or_default().len()
}

/// Whether a character does something to a terminal, or hides what stands beside it, instead of being seen.
///
/// Control characters but tab and newline, and Unicode's invisible and direction-changing format characters.
pub(crate) fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\t' && c != '\n')
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A message that a terminal only shows.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A source that a terminal only shows: each invisible character gives way to a visible one of as many bytes, so that
/// spans keep their places.
fn drawable(text: &str) -> Option<Arc<str>> {
    if !text.chars().any(is_invisible) {
        return None;
    }
    let stand_in = |c: char| match c.len_utf8() {
        _ if !is_invisible(c) => c,
        // The end of a line as Windows writes it.
        1 if c == '\r' => ' ',
        1 => '?',
        2 => '¿',
        3 => '\u{fffd}',
        _ => '\u{1f6ab}',
    };
    Some(text.chars().map(stand_in).collect::<String>().into())
}

#[cfg(test)]
mod tests;
