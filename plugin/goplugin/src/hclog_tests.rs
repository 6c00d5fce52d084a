//! The log's lines, against golden ones. `WRIT_BLESS=1` writes them anew; read them before you commit them.

use std::sync::{Arc, Mutex};

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

/// What `events` logs, by a clock that stands still.
fn logged(events: impl FnOnce()) -> String {
    let page = Arc::new(Mutex::new(Vec::new()));
    let into = page.clone();
    let layer = Hclog {
        module: "greeter",
        now: || "2026-02-03T04:05:06.7Z".parse().unwrap(),
        write: move |line: &[u8]| into.lock().unwrap().extend_from_slice(line),
    };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
    String::from_utf8(page.lock().unwrap().clone()).unwrap()
}

#[derive(Debug, thiserror::Error)]
#[error("the door is shut")]
struct Shut(#[source] std::io::Error);

#[test]
fn lines_are_as_the_golden_ones() {
    let text = logged(|| {
        tracing::error!("level error");
        tracing::warn!("level warn");
        tracing::info!("level info");
        tracing::debug!("level debug");
        tracing::trace!("level trace");
        tracing::info!(
            count = 3,
            size = 5_u64,
            share = 0.25,
            ok = true,
            "of {}",
            "kinds"
        );
        tracing::info!(large = u128::MAX, none = f64::NAN, list = ?[1, 2], "more kinds");
        tracing::info!(message = 7);
        tracing::info!(message = true);
        tracing::info!(only = "a field");
        tracing::info!("two\nlines, a \"quote\", \u{1b}[31mred and \u{1F980}");
        tracing::info!(
            { "@level" = 9, "@message" = false, "@timestamp" = 1, "@module" = 2 },
            "keys of the host's"
        );
        let error = Shut(std::io::Error::other("no key"));
        tracing::error!(
            error = &error as &(dyn std::error::Error + 'static),
            "an error with its cause"
        );
        tracing::info_span!("outer", id = "r1", step = 1, later = tracing::field::Empty).in_scope(
            || {
                tracing::Span::current().record("later", "now known");
                tracing::info_span!("inner", step = 2, session_token = "t0p").in_scope(|| {
                    tracing::info!("in spans");
                    tracing::info!(step = 3, "the nearest counts");
                });
            },
        );
    });
    golden("log", &text);
}

#[test]
fn what_looks_secret_is_redacted_by_name_and_by_value() {
    let masked = crate::mask("wJalrXUt/nFEMI");
    let text = logged(|| {
        tracing::info!(token = "t0p", "by name");
        tracing::info!(db_password = 12345, client_secret = ?Some("t0p"), "not only text");
        tracing::info!(key = "wJalrXUt/nFEMI", "by value");
        tracing::info!(reply = ?Some("<wJalrXUt/nFEMI>"), "inside wJalrXUt/nFEMI others");
        let error = Shut(std::io::Error::other("bad wJalrXUt/nFEMI"));
        tracing::info!(
            error = &error as &(dyn std::error::Error + 'static),
            "in causes"
        );
    });
    assert!(!text.contains("t0p") && !text.contains("12345") && !text.contains("wJal"));
    golden("redacted", &text);
    drop(masked);
    assert!(logged(|| tracing::info!(key = "wJalrXUt/nFEMI")).contains("wJal"));
}

#[test]
fn libraries_that_see_the_wire_may_only_warn() {
    let text = logged(|| {
        tracing::info!(target: "h2::codec", "the frames");
        tracing::debug!(target: "hyper", "the headers");
        tracing::trace!(target: "rustls::conn", "the keys");
        tracing::warn!(target: "h2", "a warning");
        tracing::trace!(target: "h2ish", "another's");
    });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("a warning") && lines[1].contains("another's"));
}

#[test]
fn no_line_reaches_64_kib_and_each_is_still_an_object() {
    let fits = "x".repeat(60 * 1024);
    assert!(logged(|| tracing::info!(fits)).contains(&fits));

    let a = "a".repeat(1024 * 1024);
    let crab = "\u{1F980}".repeat(64 * 1024);
    let nul = "\0".repeat(64 * 1024);
    let text = logged(|| {
        tracing::info!("{a}");
        tracing::info!(a, crab, nul, number = 7, "{nul}");
        tracing::info!(fits, "{fits}");
        // Every size around the edge.
        for size in 65_300..65_600 {
            tracing::info!("{}", "x".repeat(size));
        }
    });
    assert_eq!(text.lines().count(), 303);
    for line in text.split_inclusive('\n') {
        assert!(line.len() < 64 * 1024, "{} bytes", line.len());
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["@level"], "info");
        assert_eq!(line["@timestamp"], "2026-02-03T04:05:06.700000Z");
    }
    let second: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["number"], 7);
    for cut in ["a", "crab", "nul", "@message"] {
        assert!(second[cut].as_str().unwrap().ends_with("…(cut)"), "{cut}");
    }
}

#[test]
fn where_cutting_texts_is_not_enough_the_message_stays() {
    let mut fields = Fields {
        message: "what happened".to_owned(),
        values: BTreeMap::new(),
    };
    for number in 0..20_000 {
        fields
            .values
            .insert(format!("field{number}"), number.into());
    }
    let line = line(&Level::INFO, "greeter", Timestamp::UNIX_EPOCH, fields);
    let line: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(
        line,
        serde_json::json!({
            "@level": "info",
            "@message": "what happened",
            "@module": "greeter",
            "@timestamp": "1970-01-01T00:00:00.000000Z",
        })
    );
}

fn golden(name: &str, text: &str) {
    let path = format!("{}/tests/golden/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("WRIT_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "WRIT_BLESS=1 takes the new lines");
}
