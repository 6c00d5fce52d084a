//! Findings at awkward places, from elsewhere, and in numbers.

use super::*;

fn one(text: &str, span: Range<usize>, message: &str) -> Report {
    let mut report = Report::default();
    report.push("a.hcl", &text.into(), span, message, None);
    report
}

#[test]
fn a_foreign_diagnostic_keeps_its_labels_and_help_and_gets_the_name_of_its_file() {
    let text: Arc<str> = "\npermit (principal, action, resorce);\n".into();
    let errors = text
        .parse::<cedar_policy::PolicySet>()
        .expect_err("misspelt");
    let mut report = Report::default();
    report.push_diagnostic("access.cedar", &text, &errors);
    let shown = report.to_string();
    assert!(shown.contains("[access.cedar:2:28]"), "{shown}");
    let findings = report.findings();
    let places: Vec<_> = findings
        .iter()
        .map(|found| (found.line, found.column))
        .collect();
    assert_eq!(places, [(Some(2), Some(28))]);
}

#[test]
fn a_span_outside_its_text_or_within_a_letter_is_moved_into_it() {
    for span in [0..0, 1..2, 4..4, 3..99, 98..99] {
        let shown = one("é = ü\n", span.clone(), "wrong").to_string();
        assert!(
            shown.contains("wrong") && shown.contains("a.hcl:"),
            "{span:?}: {shown}"
        );
    }
    assert!(one("", 0..0, "wrong").to_string().contains("wrong"));
}

#[test]
fn a_finding_in_a_very_long_line_names_its_place_without_the_line() {
    let line = |length: usize| one(&"x".repeat(length), 0..1, "wrong").to_string();
    assert!(line(SHOWN_LINE_MAX).contains(&"x".repeat(SHOWN_LINE_MAX)));
    let long = line(SHOWN_LINE_MAX + 1);
    assert!(
        long.contains("wrong (a.hcl:1:1)") && long.len() < 100,
        "{long}"
    );
}

#[test]
fn nothing_in_a_report_reaches_the_terminal_as_a_command() {
    let report = one(
        "a = \"\u{1b}[2J\" # \u{202e}\u{ad}\u{e0001}\r\n",
        0..1,
        "\u{1b}[2J\u{202e}",
    );
    let shown = report.to_string();
    assert!(!shown.chars().any(is_invisible), "{shown:?}");
    assert!(shown.contains("\\u{1b}[2J\\u{202e}"), "{shown}");
}

#[test]
fn findings_are_told_by_file_then_line_then_column() {
    let text: Arc<str> = "ab\ncd\n".into();
    let mut report = Report::default();
    for (file, at) in [("b", 0), ("a", 4), ("a", 3), ("a", 1)] {
        report.push(file, &text, at..at + 1, "wrong", None);
    }
    report.push_file("a", "missing", None);
    let findings = report.findings();
    let places: Vec<_> = findings
        .iter()
        .map(|found| (found.file.as_str(), found.line, found.column))
        .collect();
    assert_eq!(
        places,
        [
            ("a", None, None),
            ("a", Some(1), Some(2)),
            ("a", Some(2), Some(1)),
            ("a", Some(2), Some(2)),
            ("b", Some(1), Some(1)),
        ]
    );
}

#[test]
fn more_findings_than_anyone_reads_are_counted_and_not_listed() {
    let text: Arc<str> = "x".into();
    let mut report = Report::default();
    for _ in 0..FINDINGS_MAX {
        report.warn("a.hcl", &text, 0..1, "odd", None);
    }
    assert!(report.to_string().ends_with("\n200 warnings\n"));
    assert!(!report.has_errors());
    let mut other = Report::default();
    other.push("a.hcl", &text, 0..1, "wrong", None);
    report.absorb(other);
    assert!(
        report
            .to_string()
            .ends_with("1 error, 200 warnings (1 of them not listed)\n")
    );
    assert!(
        report
            .findings()
            .iter()
            .any(|found| found.message == "wrong")
    );
    assert_eq!((report.len(), report.errors()), (FINDINGS_MAX + 1, 1));
}

#[test]
fn only_a_slip_gets_a_suggestion() {
    let known = ["environment", "owners", "prod-db-read"];
    let rows = [
        ("enviroment", Some("environment")),
        ("Owner", Some("owners")),
        ("prod-db-raed", Some("prod-db-read")),
        ("region", None),
        ("", None),
    ];
    for (given, meant) in rows {
        assert_eq!(nearest(given, known), meant, "{given}");
    }
}
