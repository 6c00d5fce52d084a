//! What the user is told, and on which attribute.

use crate::tfplugin6 as wire;

/// One thing to tell. The summary says what happened, the detail what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    severity: Severity,
    summary: String,
    detail: String,
    attribute: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

impl Diagnostic {
    /// Something that ends the run.
    pub(crate) fn error(summary: impl Into<String>, detail: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            summary: summary.into(),
            detail: detail.into(),
            attribute: None,
        }
    }

    /// Something the user should know although the run goes on.
    pub(crate) fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(summary, detail)
        }
    }

    /// The same, pointing at an attribute of the block.
    #[must_use]
    pub(crate) fn on(mut self, attribute: &'static str) -> Diagnostic {
        self.attribute = Some(attribute);
        self
    }

    /// The same, pointing at nothing: for a block that has no such attribute.
    #[must_use]
    pub(crate) fn on_the_block(mut self) -> Diagnostic {
        self.attribute = None;
        self
    }

    /// What happened, and what to do, on one line for the log.
    pub(crate) fn line(&self) -> String {
        let detail = self.detail.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{}: {detail}", self.summary)
    }
}

impl From<Diagnostic> for wire::Diagnostic {
    fn from(diagnostic: Diagnostic) -> wire::Diagnostic {
        use wire::attribute_path::{Step, step::Selector};
        let severity = match diagnostic.severity {
            Severity::Error => wire::diagnostic::Severity::Error,
            Severity::Warning => wire::diagnostic::Severity::Warning,
        };
        wire::Diagnostic {
            severity: severity as i32,
            summary: diagnostic.summary,
            detail: diagnostic.detail,
            attribute: diagnostic.attribute.map(|name| wire::AttributePath {
                steps: vec![Step {
                    selector: Some(Selector::AttributeName(name.to_owned())),
                }],
            }),
        }
    }
}

/// All of them for the wire.
pub(crate) fn on_the_wire(
    diagnostics: impl IntoIterator<Item = Diagnostic>,
) -> Vec<wire::Diagnostic> {
    diagnostics.into_iter().map(Into::into).collect()
}

#[cfg(test)]
mod tests;
