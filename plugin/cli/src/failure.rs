//! A command that failed: what is said of it, and its exit code.

use serde_json::{Value, json};
use writ_api::problem::Problem;
use writ_api::v1;

use crate::document::{self, SCHEMA_VERSION};
use crate::exit::{self, Exit};
use crate::explain::{self, Asked};
use crate::screen::{Paint, escape, escape_lines};

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The process's code.
    pub(crate) exit: Exit,
    /// A stable word for scripts: the broker's reason, or one of the command line's own (lower case).
    pub(crate) reason: String,
    /// What happened; may have several lines.
    pub(crate) message: String,
    /// What would work.
    pub(crate) hint: Option<String>,
    /// Whether the message is a report that escapes what it quotes and colours itself.
    drawn: bool,
    /// The broker's explanation, and what had been asked.
    explanation: Option<Box<Explanation>>,
}

#[derive(Debug)]
struct Explanation {
    aws_code: Option<String>,
    denial: Option<v1::Denial>,
    needs_approval: Option<v1::NeedsApproval>,
    asked: Option<Asked>,
}

impl Failure {
    /// A failure of the command line's own.
    pub(crate) fn new(exit: Exit, reason: &str, message: impl Into<String>) -> Failure {
        Failure {
            exit,
            reason: reason.to_owned(),
            message: message.into(),
            hint: None,
            drawn: false,
            explanation: None,
        }
    }

    /// A plain error.
    pub(crate) fn error(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Error, "error", message)
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, "usage", message)
    }

    /// An error report that draws itself, carets and all: printed as it is, since it escapes what it quotes.
    pub(crate) fn drawn(reason: &str, report: String) -> Failure {
        Failure {
            drawn: true,
            ..Failure::new(Exit::Error, reason, report)
        }
    }

    /// Ends the process with another code.
    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Failure {
        self.exit = exit;
        self
    }

    /// With what would work.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// With what had been asked, so that the nearest request can be written out as a command.
    #[must_use]
    pub(crate) fn asked(mut self, asked: &Asked) -> Failure {
        if let Some(explanation) = &mut self.explanation {
            explanation.asked = Some(asked.clone());
        }
        self
    }

    /// For people.
    pub(crate) fn text(&self, paint: Paint) -> String {
        let mut text = match self.drawn {
            true => self.message.clone(),
            false => format!("{} {}\n", paint.bad("error:"), escape_lines(&self.message)),
        };
        if let Some(explanation) = &self.explanation {
            if let Some(code) = &explanation.aws_code {
                text.push_str(&format!("  aws    {}\n", escape(code)));
            }
            if let Some(denial) = &explanation.denial {
                text.push_str(&explain::denial(paint, denial, explanation.asked.as_ref()));
            }
            if let Some(needs) = &explanation.needs_approval {
                text.push_str(&format!("  needs  {}\n", explain::ways(&needs.ways)));
            }
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!(
                "{}  {}\n",
                paint.strong("hint:"),
                escape_lines(hint)
            ));
        }
        text
    }

    /// For people who gave us one line: the message and the hint.
    pub(crate) fn one_line(&self) -> String {
        let mut line = format!("error: {}", escape(self.message.trim_end()));
        if let Some(hint) = &self.hint {
            line.push_str(&format!(" (hint: {})", escape(hint)));
        }
        line
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Value {
        let mut error = json!({
            "reason": self.reason,
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit.code(),
        });
        if let (Some(explanation), Some(fields)) = (&self.explanation, error.as_object_mut()) {
            if let Some(code) = &explanation.aws_code {
                fields.insert("aws_code".to_owned(), json!(code));
            }
            if let Some(denial) = &explanation.denial {
                let denial = document::denial(denial, explanation.asked.as_ref());
                fields.insert("denial".to_owned(), denial);
            }
            if let Some(needs) = &explanation.needs_approval {
                fields.insert("needs_approval".to_owned(), document::needs(needs));
            }
        }
        json!({ "schema_version": SCHEMA_VERSION, "error": error })
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Failure {
        let exit = exit::of_problem(&problem);
        let mut failure = match problem.reason {
            Some(reason) => Failure::new(exit, &reason.as_str().to_lowercase(), problem.message),
            // Not the broker's word: say so, because the text may be a proxy's or a library's.
            None => Failure::new(
                exit,
                "transport",
                format!("the call failed: {}", problem.message),
            ),
        };
        failure.hint = problem.hint;
        if exit == Exit::NotAuthenticated && failure.hint.is_none() {
            failure.hint = Some(
                "give a fresh token with `--token-file` or WRIT_TOKEN; `writ --help` lists the ways"
                    .to_owned(),
            );
        }
        failure.explanation = Some(Box::new(Explanation {
            aws_code: problem.aws_code,
            denial: problem.denial.map(|denial| *denial),
            needs_approval: problem.needs_approval.map(|needs| *needs),
            asked: None,
        }));
        failure
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Failure {
        Failure::from(Problem::from_status(&status))
    }
}
