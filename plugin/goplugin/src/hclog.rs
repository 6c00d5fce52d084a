//! The log as hosts read it: one JSON object a line on standard error.
//!
//! A host turns such a line into one of its own log. It is easily upset: a level, message or time that is no text crashes
//! it, and a line over 64 KiB is torn up.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::redact::{self, REDACTED};

/// The longest line, its end included, in bytes. A host reads into a buffer of 64 KiB and takes what does not fit for raw
/// text.
const LINE_MAX: usize = 64 * 1024 - 1;

/// The longest text in a line that is too long, in bytes; halved until the line fits.
const TEXT_MAX: usize = 16 * 1024;

/// The shortest that texts are cut to. Where that is not enough there are too many of them, and only the message stays.
const TEXT_MIN: usize = 64;

/// What stands at the end of a text that was cut.
const CUT: &str = " …(cut)";

/// Libraries that handle the very bytes of a connection and write them to the log below this level, secrets and all.
const WIRE: [&str; 7] = [
    "h2",
    "hyper",
    "hyper_util",
    "rustls",
    "tokio_rustls",
    "tonic",
    "tower",
];

/// A layer that writes each event as one line to standard error, for the host to read.
///
/// `module` names the plugin in the host's log. Fields of the event and of the spans around it become keys; a field whose
/// name looks secret (`token`, `client_secret`, `password` …) shows no value, nor does any text under [`mask`](crate::mask).
/// Of the libraries that see the connection's bytes only warnings and errors are written, whatever filter is set: below,
/// they log headers and bodies.
///
/// Which events there are is for a filter to say; the host filters once more by its own settings.
pub fn hclog<S>(module: &'static str) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    Hclog {
        module,
        now: Timestamp::now,
        write: |line: &[u8]| {
            // One write, so lines of several threads do not mix. Nobody can be told that the host no longer reads.
            let _ = std::io::stderr().lock().write_all(line);
        },
    }
}

/// The layer, with its clock and its writer.
struct Hclog<W> {
    module: &'static str,
    now: fn() -> Timestamp,
    write: W,
}

/// A span's fields, kept with it.
struct SpanFields(Fields);

impl<S, W> Layer<S> for Hclog<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&[u8]) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(SpanFields(fields)) = span.extensions_mut().get_mut()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let library = metadata.target().split("::").next().unwrap_or_default();
        if *metadata.level() > Level::WARN && WIRE.contains(&library) {
            return;
        }
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flatten() {
            // From the innermost outwards: an inner field hides an outer one of its name.
            if let Some(SpanFields(outer)) = span.extensions().get() {
                for (key, value) in &outer.values {
                    fields
                        .values
                        .entry(key.clone())
                        .or_insert_with(|| value.clone());
                }
            }
        }
        event.record(&mut fields);
        (self.write)(&line(metadata.level(), self.module, (self.now)(), fields));
    }
}

/// An event's or a span's fields, made fit for a host.
#[derive(Default)]
struct Fields {
    message: String,
    /// Sorted, so that a line reads the same whatever another crate asks of `serde_json`.
    values: BTreeMap<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let value = match value.into() {
            Value::String(text) => Value::String(redact::clean(text)),
            other => other,
        };
        match field.name() {
            // Always a text, whatever was given for it.
            "message" => {
                self.message = match value {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
            }
            name => {
                let value = if redact::is_secret(name) {
                    REDACTED.into()
                } else {
                    value
                };
                // Keys with `@` are the host's.
                let key = name.trim_start_matches('@').to_owned();
                self.values.insert(key, value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    /// With its causes: an error's first sentence seldom says enough.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // Writing to a string does not fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.put(field, text);
    }
}

/// The line of one event, its end included.
fn line(level: &Level, module: &str, at: Timestamp, fields: Fields) -> Vec<u8> {
    let mut keys = fields.values;
    let own = [
        ("@level", name(level).to_owned()),
        ("@message", fields.message),
        ("@module", module.to_owned()),
        // Exactly six digits, or the host takes the line for text.
        ("@timestamp", format!("{at:.6}")),
    ];
    keys.extend(own.map(|(key, text)| (key.to_owned(), text.into())));
    let mut line = written(&keys);
    let mut max = TEXT_MAX;
    while line.len() > LINE_MAX {
        if max < TEXT_MIN {
            keys.retain(|key, _| key.starts_with('@'));
        }
        for text in keys.values_mut() {
            if let Value::String(text) = text {
                cut(text, max);
            }
        }
        line = written(&keys);
        max /= 2;
    }
    line
}

fn written(keys: &BTreeMap<String, Value>) -> Vec<u8> {
    // Texts, numbers and truth values under text keys are always JSON.
    let mut line = serde_json::to_vec(keys).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Shortens `text` to `max` bytes or a little less, between two characters.
fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        text.truncate(text.floor_char_boundary(max));
        text.push_str(CUT);
    }
}

fn name(level: &Level) -> &'static str {
    match *level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

#[cfg(test)]
#[path = "hclog_tests.rs"]
mod tests;
