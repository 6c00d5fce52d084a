//! A strict reader over HCL: typed values with their places, and an error for every key nobody asked for.
//!
//! Errors are collected in the [`Document`], so that one pass finds them all:
//!
//! ```
//! use writ_engine::bundle::hcl::Document;
//!
//! let document = Document::parse("lamp.hcl", "lamp \"desk\" {\n  watts = 5\n}\n");
//! if let Some(mut file) = document.root() {
//!     for (name, mut lamp) in file.labelled_blocks("lamp") {
//!         let watts = lamp.required_u32("watts", 1..=100);
//!         assert_eq!((name.as_str(), watts.map(|watts| watts.value)), ("desk", Some(5)));
//!         lamp.finish();
//!     }
//!     file.finish();
//! }
//! assert!(document.into_report().is_empty());
//! ```

mod format;
mod reader;
mod scan;
mod seconds;
mod value;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use hcl_edit::structure::Body;

use super::report::Report;

pub(crate) use format::format;
pub use reader::Reader;
pub use seconds::seconds;
pub use value::{Members, Placed, Value};

/// The largest file read, in bytes: ten times a catalog of a thousand scopes, and small enough to parse at once.
pub const FILE_MAX: usize = 1024 * 1024;

/// The deepest nesting of `{` and `[`: three times what a session policy needs, and far from the parser's own limit.
pub const DEPTH_MAX: usize = 24;

/// A parsed file and the errors found in it so far.
#[derive(Debug)]
pub struct Document {
    file: String,
    text: Arc<str>,
    body: Option<Body>,
    report: RefCell<Report>,
}

impl Document {
    /// Parses `text`; what is wrong with its syntax waits in [`Document::into_report`], and [`Document::root`] is `None`.
    pub fn parse(file: &str, text: &str) -> Document {
        let mut document = Document {
            file: file.to_owned(),
            text: text.into(),
            body: None,
            report: RefCell::default(),
        };
        if text.len() > FILE_MAX {
            document.report.get_mut().push_file(
                file,
                format!(
                    "`{file}` has {} bytes; at most {FILE_MAX} are read",
                    text.len()
                ),
                None,
            );
            return document;
        }
        if let Err(refusal) = scan::scan(text) {
            match refusal.first {
                Some(first) => {
                    document.error_pair(first, refusal.span, refusal.message, refusal.help);
                }
                None => document.error(refusal.span, refusal.message, refusal.help),
            }
            return document;
        }
        match hcl_edit::parser::parse_body(text) {
            Ok(body) => document.body = Some(body),
            Err(error) => {
                let at = error.location().offset();
                let help = error.message().contains("block body").then(|| {
                    "a block on one line holds one attribute; give each its own line".to_owned()
                });
                document.error(at..at + 1, format!("not HCL: {}", error.message()), help);
            }
        }
        document
    }

    /// The top of the file, or `None` if its syntax is wrong.
    pub fn root(&self) -> Option<Reader<'_>> {
        let body = self.body.as_ref()?;
        Some(Reader::of_body(
            self,
            body,
            format!("`{}`", self.file),
            0..0,
        ))
    }

    /// Adds an error at `span`.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.report
            .borrow_mut()
            .push(&self.file, &self.text, span, message, help);
    }

    /// Adds an error about two places.
    pub fn error_pair(
        &self,
        first: Range<usize>,
        again: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.report
            .borrow_mut()
            .push_pair(&self.file, &self.text, first, again, message, help);
    }

    /// Adds a warning at `span`.
    pub fn warn(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        self.report
            .borrow_mut()
            .warn(&self.file, &self.text, span, message, help);
    }

    /// Whether an error was found so far.
    pub fn has_errors(&self) -> bool {
        self.report.borrow().has_errors()
    }

    /// Everything found.
    pub fn into_report(self) -> Report {
        self.report.into_inner()
    }
}

#[cfg(test)]
mod tests;
