//! What a block says, attribute by attribute; what is wrong with it is collected, so that one run shows it all.

use crate::diagnostic::Diagnostic;
use crate::duration::{Length, NotALength};
use crate::tfplugin6::DynamicValue;
use crate::value::{Object, Value, decode_block};
use crate::words::escape;

/// What one attribute says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting<T> {
    /// Not written, or null.
    Absent,
    /// Not known before apply.
    Unknown,
    /// This.
    Known(T),
}

impl<T> Setting<T> {
    /// Another form of what is known.
    pub(crate) fn map<U>(self, form: impl FnOnce(T) -> U) -> Setting<U> {
        match self {
            Setting::Absent => Setting::Absent,
            Setting::Unknown => Setting::Unknown,
            Setting::Known(value) => Setting::Known(form(value)),
        }
    }

    /// What is known, if anything is.
    pub(crate) fn known(self) -> Option<T> {
        match self {
            Setting::Known(value) => Some(value),
            Setting::Absent | Setting::Unknown => None,
        }
    }
}

/// Reads a block, and keeps what is wrong with it.
pub(crate) struct Reader<'a> {
    block: Object<'a>,
    /// Whether the block could be read at all; when not, that is the only thing to say.
    understood: bool,
    problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// Reads the block that Terraform sent.
    pub(crate) fn new(block: Option<&'a DynamicValue>) -> Reader<'a> {
        match decode_block(block) {
            Ok(block) => Reader {
                block,
                understood: true,
                problems: Vec::new(),
            },
            Err(error) => Reader {
                block: Object::new(),
                understood: false,
                problems: vec![Diagnostic::error(
                    "Terraform sent a block that was not understood",
                    format!(
                        "{}. This is a fault of the provider, or of a Terraform that it does not know.",
                        error.0
                    ),
                )],
            },
        }
    }

    /// The block as it was sent.
    pub(crate) fn block(&self) -> &Object<'a> {
        &self.block
    }

    /// Adds something that is wrong.
    pub(crate) fn refuse(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// Whether anything is wrong so far.
    pub(crate) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// What is wrong so far.
    pub(crate) fn problems(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// Text.
    pub(crate) fn text(&mut self, name: &'static str) -> Setting<String> {
        match self.block.get(name) {
            Some(Value::String(text)) => Setting::Known(text.clone().into_owned()),
            other => of_no_text(other).unwrap_or_else(|| self.wrong_type(name, "text")),
        }
    }

    /// `true` or `false`.
    pub(crate) fn truth(&mut self, name: &'static str) -> Setting<bool> {
        match self.block.get(name) {
            Some(Value::Bool(truth)) => Setting::Known(*truth),
            other => {
                of_no_text(other).unwrap_or_else(|| self.wrong_type(name, "`true` or `false`"))
            }
        }
    }

    /// A duration from `shortest` to `longest`.
    pub(crate) fn length(
        &mut self,
        name: &'static str,
        shortest: Length,
        longest: Length,
    ) -> Setting<Length> {
        let text = match self.text(name) {
            Setting::Known(text) => text,
            other => return other.map(|_| shortest),
        };
        let (summary, detail) = match text.parse::<Length>() {
            Ok(length) if (shortest..=longest).contains(&length) => return Setting::Known(length),
            Ok(_) | Err(NotALength::Range) => (
                format!("`{}` is out of range", escape(&text)),
                format!("`{name}` is from `{shortest}` to `{longest}`."),
            ),
            Err(NotALength::Form) => (
                format!("`{}` is not a duration", escape(&text)),
                format!(
                    "Write `{name}` like `45m`, `1h30m` or `20s`: each unit once, the largest first."
                ),
            ),
        };
        self.refuse(Diagnostic::error(summary, detail).on(name));
        Setting::Unknown
    }

    fn wrong_type<T>(&mut self, name: &'static str, wanted: &str) -> Setting<T> {
        self.refuse(
            Diagnostic::error(
                format!("`{name}` must be {wanted}"),
                "It was given a value of another type.",
            )
            .on(name),
        );
        Setting::Unknown
    }

    /// What must be written to go on.
    pub(crate) fn required<T>(&mut self, name: &'static str, setting: Setting<T>) -> Option<T> {
        if matches!(setting, Setting::Absent) && self.understood {
            self.refuse(
                Diagnostic::error(
                    format!("`{name}` is missing"),
                    "It is null, or not there; give it a value.",
                )
                .on(name),
            );
        }
        self.settled(name, setting)
    }

    /// What must be known by now, if it is written at all.
    pub(crate) fn settled<T>(&mut self, name: &'static str, setting: Setting<T>) -> Option<T> {
        match setting {
            Setting::Known(value) => Some(value),
            Setting::Absent => None,
            Setting::Unknown => {
                // An attribute that was refused is also not known; it needs no second word.
                if matches!(self.block.get(name), Some(Value::Unknown)) {
                    self.refuse(
                        Diagnostic::error(
                            format!("`{name}` is not known yet"),
                            "It depends on something that exists only after the apply. Give it a value that is known before.",
                        )
                        .on(name),
                    );
                }
                None
            }
        }
    }
}

/// What stands for nothing, or for something not known yet; `None` for any other value.
fn of_no_text<T>(value: Option<&Value<'_>>) -> Option<Setting<T>> {
    match value {
        None | Some(Value::Null) => Some(Setting::Absent),
        Some(Value::Unknown) => Some(Setting::Unknown),
        Some(
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::List(_)
            | Value::Object(_),
        ) => None,
    }
}
