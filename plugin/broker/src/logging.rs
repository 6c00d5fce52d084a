//! The log: structured lines on standard error, and a panic hook that repeats nothing.
//!
//! What is logged: names of calls, principals and policies, request ids, reason codes, durations. Never: tokens, claims,
//! credentials, reasons or any other text a caller wrote.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::str::FromStr;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for machines.
    Json,
    /// For a person at a terminal.
    Terminal,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Format, ()> {
        match text {
            "json" => Ok(Format::Json),
            "terminal" => Ok(Format::Terminal),
            _ => Err(()),
        }
    }
}

/// Starts logging to standard error and replaces the panic hook. A second start is refused.
pub fn start(format: Format, level: Level) -> Result<(), AlreadyStarted> {
    let registry = tracing_subscriber::registry();
    match format {
        Format::Json => registry.with(json(std::io::stderr, level)).try_init(),
        Format::Terminal => registry
            .with(terminal(std::io::stderr, level).with_filter(targets(level)))
            .try_init(),
    }
    .map_err(|_| AlreadyStarted)?;
    std::panic::set_hook(Box::new(panicked));
    Ok(())
}

/// Something in this process logs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log was started already")]
pub struct AlreadyStarted;

/// Our own lines at `level`; of the libraries only warnings, whatever `level` is. At debug and below the HTTP and AWS
/// libraries write headers and bodies, tokens and credentials among them.
fn targets(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(LevelFilter::from_level(level)))
        .with_target("writ", level)
        .with_target("writ_broker", level)
        .with_target("writ_engine", level)
        .with_target("writ_api", level)
        .with_target("aws", LevelFilter::OFF)
        .with_target("h2", LevelFilter::OFF)
        .with_target("hyper", LevelFilter::OFF)
        .with_target("hyper_util", LevelFilter::OFF)
        .with_target("rustls", LevelFilter::ERROR)
        .with_target("tonic", LevelFilter::ERROR)
}

/// Timestamps are RFC 3339 in UTC, which is what the subscriber writes by itself.
fn json<S, W>(writer: W, level: Level) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(targets(level))
}

fn terminal<S, W>(writer: W, level: Level) -> impl tracing_subscriber::Layer<S>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> tracing_subscriber::fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
    tracing_subscriber::fmt::layer()
        .with_ansi(!plain && std::io::stderr().is_terminal())
        .with_target(level >= Level::DEBUG)
        .with_writer(writer)
}

/// A panic's message may hold whatever the code had in hand: only its place is written.
fn panicked(panic: &PanicHookInfo<'_>) {
    let (file, line) = panic.location().map_or(("unknown", 0), |place| {
        (file_name(place.file()), place.line())
    });
    tracing::error!(file, line, "a fault of the broker's own: a task panicked");
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        /// Writes every line of the whole test process, at every level, to the page. To be called by one test.
        pub(crate) fn log_everything(&self) {
            let into = self.clone();
            let layer = json(move || into.clone(), Level::TRACE);
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::set_global_default(subscriber).unwrap();
        }

        /// Writes every line of this one thread to the page, while the guard lives.
        pub(crate) fn log_this_thread(&self) -> tracing::subscriber::DefaultGuard {
            let into = self.clone();
            let layer = json(move || into.clone(), Level::TRACE);
            tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn a_json_line_has_its_time_in_utc_and_the_fields_of_its_call() {
        let page = Page::default();
        let into = page.clone();
        let layer = json(move || into.clone(), Level::INFO);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let call = tracing::info_span!(target: "writ_broker", "call", request_id = "ab12");
            let _inside = call.enter();
            tracing::info!(target: "writ_broker", rpc = "GetRequest", "answered");
        });
        let line: serde_json::Value = serde_json::from_str(page.text().trim()).unwrap();
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
        assert_eq!(line["rpc"], "GetRequest");
        assert_eq!(line["span"]["request_id"], "ab12");
    }

    #[test]
    fn libraries_stay_silent_below_a_warning_even_at_trace() {
        let page = Page::default();
        let into = page.clone();
        let layer = json(move || into.clone(), Level::TRACE);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::trace!(target: "writ_broker::server", "ours");
            tracing::debug!(target: "h2::codec", "authorization: Bearer canary");
            tracing::error!(target: "aws_smithy_runtime::client", "SessionToken canary");
            tracing::trace!(target: "hyper_util::client", "canary");
            tracing::info!(target: "rusqlite", "canary");
        });
        assert!(page.text().contains("ours"));
        assert!(!page.text().contains("canary"), "{}", page.text());
    }

    #[test]
    fn a_line_break_in_a_field_does_not_make_a_second_line() {
        let page = Page::default();
        let into = page.clone();
        let layer = json(move || into.clone(), Level::INFO);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(target: "writ_broker", name = "a\n{\"forged\":true}", "said");
        });
        assert_eq!(page.text().trim_end().lines().count(), 1);
    }

    #[test]
    fn a_panic_shows_its_place_and_not_its_message() {
        let page = Page::default();
        let into = page.clone();
        let layer = json(move || into.clone(), Level::INFO);
        let before = std::panic::take_hook();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            std::panic::set_hook(Box::new(panicked));
            let _ = std::panic::catch_unwind(|| panic!("canary"));
        });
        std::panic::set_hook(before);
        assert!(page.text().contains("logging.rs"), "{}", page.text());
        assert!(!page.text().contains("canary"));
    }
}
