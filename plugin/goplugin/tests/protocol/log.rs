//! The log of a running plugin.

use serde_json::Value;

use crate::host::{Start, greet};

#[tokio::test]
async fn each_line_is_one_object_that_a_host_can_read() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let long = format!("log {}", "a long text \u{1F980} \"quoted\"\n".repeat(2_000));
    for name in ["mia", "log some text", &long] {
        greet(&channel, name).await.unwrap();
    }
    let ended = host.shut_down(channel).await;
    ended.well();
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!(lines.len() >= 3, "{}", ended.stderr);
    for line in &lines {
        assert!(line.len() < 64 * 1024, "{} bytes", line.len());
        let line: Value = serde_json::from_str(line).expect(line);
        for key in ["@level", "@message", "@timestamp", "@module"] {
            assert!(line[key].is_string(), "{line}");
        }
        assert_eq!(line["@module"], "double");
        let at = line["@timestamp"].as_str().unwrap();
        assert_eq!(at.len(), "2006-01-02T15:04:05.000000Z".len());
        assert!(at.parse::<jiff::Timestamp>().is_ok());
        // The double sets no filter at all, yet nothing of what the wire's libraries log at these levels is written.
        assert!(
            !line["@message"].as_str().unwrap().contains("frame"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn no_secret_reaches_the_log() {
    let host = Start::double().host().await;
    let channel = host.connect().await;
    let said = greet(&channel, "log it was hunter2-hunter2 all along").await;
    assert_eq!(said.unwrap(), "logged");
    let ended = host.shut_down(channel).await;
    ended.well();
    assert!(
        ended.stderr.contains("it was (redacted) all along"),
        "{}",
        ended.stderr
    );
    for secret in ["hunter2", "hunter3", "PRIVATE KEY"] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}
