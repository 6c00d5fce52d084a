//! One thing that is wrong, and where.

use std::ops::Range;

use miette::Diagnostic;

/// An error with its place, before it goes into the report.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The file within the bundle.
    pub(super) file: String,
    /// Where, in bytes.
    pub(super) span: Range<usize>,
    /// What is wrong.
    pub(super) message: String,
    /// What would work.
    pub(super) help: Option<String>,
}

impl Problem {
    /// A problem without a word of help.
    pub(super) fn new(file: &str, span: Range<usize>, message: impl Into<String>) -> Problem {
        Problem {
            file: file.to_owned(),
            span,
            message: message.into(),
            help: None,
        }
    }

    /// The same with a word of help.
    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// Cedar's own diagnostic and everything related to it, as problems in `file`.
///
/// Cedar's spans count from the start of the text it was given, which stands at `offset` in the file; where it gives none,
/// `fallback` is the place.
pub(super) fn of_cedar(
    file: &str,
    offset: usize,
    fallback: &Range<usize>,
    diagnostic: &dyn Diagnostic,
) -> Vec<Problem> {
    let labels: Vec<_> = diagnostic.labels().into_iter().flatten().collect();
    let span = labels.first().map_or_else(
        || fallback.clone(),
        |label| {
            let start = offset + label.offset();
            start..start + label.len()
        },
    );
    let mut message = diagnostic.to_string();
    if let Some(text) = labels.first().and_then(|label| label.label()) {
        message = format!("{message}: {text}");
    }
    let mut found = vec![Problem {
        file: file.to_owned(),
        span,
        message,
        help: diagnostic.help().map(|help| help.to_string()),
    }];
    for related in diagnostic.related().into_iter().flatten() {
        found.extend(of_cedar(file, offset, fallback, related));
    }
    found
}
