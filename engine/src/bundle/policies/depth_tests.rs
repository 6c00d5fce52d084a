//! No text, however deep or long, ends the process: Cedar's parser and validator recurse, and a stack that ends aborts.
//!
//! Run in-process on a test's own thread of 2 MiB, the size of a server's worker too, and unoptimised, where frames are
//! largest. So the limits alone are enough, and nothing needs a thread with a larger stack.

use super::SCHEMA_FILE;
use super::tests::{SCHEMA, load};

fn policy(condition: &str) -> String {
    format!(
        "@id(\"a\") permit (principal, action == Action::\"activate\", resource) when {{ {condition} }};"
    )
}

/// Texts that grow deep with `n`.
fn deep(n: usize) -> Vec<(&'static str, String)> {
    let wrapped = |open: &str, core: &str, close: &str| {
        policy(&format!("{}{core}{}", open.repeat(n), close.repeat(n)))
    };
    let chain = |first: &str, more: &str| policy(&format!("{first}{}", more.repeat(n)));
    vec![
        ("parentheses", wrapped("(", "true", ")")),
        ("sets", wrapped("[", "true", "]")),
        ("records", wrapped("{a:", "true", "}")),
        ("negations", wrapped("!(", "true", ")")),
        ("minuses", wrapped("-(", "1", ")")),
        ("calls", wrapped("duration(", "\"1h\"", ")")),
        ("indexes", wrapped("context[", "\"a\"", "]")),
        ("never closed", "(".repeat(n)),
        ("never opened", ")".repeat(n)),
        ("crossed", "([)]".repeat(n)),
        ("bangs", policy(&format!("{}true", "!".repeat(n)))),
        ("dashes", policy(&format!("{}1 == 1", "-".repeat(n)))),
        ("and", chain("true", " && true")),
        ("or", chain("true", " || true")),
        ("plus", chain("1", " + 1")),
        ("times", chain("1", " * 1")),
        ("dots", chain("principal", ".a")),
        ("brackets", chain("principal", "[\"a\"]")),
        ("methods", chain("[1]", ".contains(1)")),
        ("calls of calls", chain("principal", "()")),
        ("has", chain("principal has a", ".a")),
        ("equals", chain("true", " == true")),
        ("in", chain("principal", " in resource")),
        ("if", wrapped("if ", "true", " then true else true")),
        ("then", wrapped("if true then ", "true", " else true")),
        ("else", chain("", "if true then true else ")),
        (
            "clauses",
            format!(
                "permit (principal, action, resource) {};",
                "when { true }".repeat(n)
            ),
        ),
        ("comments that end", "//\r(".repeat(n)),
        ("an open string", format!("\"{}", "(".repeat(n))),
    ]
}

/// Texts that grow long with `n` and stay flat.
fn flat(n: usize) -> Vec<(&'static str, String)> {
    vec![
        ("names", format!("{}a::\"x\"", "a::".repeat(n))),
        (
            "annotations",
            format!(
                "{} permit (principal, action, resource);",
                "@id(\"a\")".repeat(n)
            ),
        ),
        (
            "members",
            policy(&format!(
                "[{}].contains(principal)",
                "User::\"mia\",".repeat(n)
            )),
        ),
        (
            "arguments",
            policy(&format!("duration({})", "1,".repeat(n))),
        ),
        ("semicolons", ";".repeat(n)),
        (
            "a long string",
            policy(&format!("context.reason == \"{}\"", "(".repeat(n))),
        ),
        (
            "stars",
            policy(&format!("context.reason like \"{}\"", "*".repeat(n))),
        ),
        ("strays", "\u{e9}\u{1f512}#".repeat(n)),
    ]
}

#[test]
fn deep_policies_are_refused_before_they_are_parsed() {
    for n in [10, 24, 100, 250, 1_000, 20_000] {
        for (what, text) in deep(n) {
            let loaded = load(&[("a.cedar", &text)]);
            if n >= 1_000 {
                let report = loaded.expect_err(what);
                let told = [
                    "nested more",
                    "operators in",
                    "closes nothing",
                    "does not close",
                ];
                assert!(
                    told.iter().any(|told| report.contains(told)),
                    "{what} {n}: {report}"
                );
            }
        }
    }
}

#[test]
fn a_million_brackets_are_refused_too() {
    for text in ["(", "[", "{", "!", "-", "if "] {
        assert!(load(&[("a.cedar", &text.repeat(1_000_000))]).is_err());
    }
}

#[test]
fn what_is_as_deep_as_the_limits_allow_is_parsed_and_validated() {
    let level = |inner: String| format!("true && true || true && !({inner})");
    let mixed = (0..22).fold("true".to_owned(), |inner, _| level(inner));
    let chained = format!("({}true)", "true && ".repeat(250));
    let inner = format!("({}true)", "true && ".repeat(220));
    let both = format!("{}{inner}{}", "(".repeat(22), ")".repeat(22));
    for condition in [mixed, chained, both] {
        if let Err(report) = load(&[("a.cedar", &policy(&condition))]) {
            assert!(!report.contains("more than"), "{report}");
        }
    }
}

#[test]
fn long_flat_policies_neither_hang_nor_abort() {
    for n in [1_000, 20_000] {
        for (_, text) in flat(n) {
            let _either = load(&[("a.cedar", &text)]);
        }
    }
    let set = format!("[{}].contains(context.reason)", "\"a\",".repeat(5_000));
    assert!(
        load(&[("a.cedar", &policy(&set))]).is_ok(),
        "a long set is fine"
    );
}

#[test]
fn deep_and_long_schemas_are_refused_before_they_are_parsed() {
    let numbered = |n: usize, form: fn(usize) -> String| (0..n).map(form).collect::<String>();
    for n in [10, 100, 230, 1_000, 20_000] {
        for (what, text) in [
            (
                "records",
                format!("type A = {}Long{};", "{a:".repeat(n), "}".repeat(n)),
            ),
            (
                "sets",
                format!("type A = {}Long{};", "Set<".repeat(n), ">".repeat(n)),
            ),
            (
                "types",
                numbered(n, |i| format!("type A{i} = A{};", i + 1)) + &format!("type A{n} = Long;"),
            ),
            (
                "nested types",
                numbered(n, |i| format!("type A{i} = {{a: A{}}};", i + 1))
                    + &format!("type A{n} = Long;"),
            ),
            (
                "groups",
                numbered(n, |i| format!("entity A{i} in [A{}];", i + 1)) + &format!("entity A{n};"),
            ),
            (
                "actions",
                numbered(n, |i| format!("action a{i} in [a{}];", i + 1)) + &format!("action a{n};"),
            ),
            (
                "entities at once",
                format!("entity {} A in [A];", numbered(n, |i| format!("A{i},"))),
            ),
            (
                "attributes",
                format!(
                    "type A = {{ {} }};",
                    numbered(n, |i| format!("a{i}: Long,"))
                ),
            ),
        ] {
            let loaded = load(&[(SCHEMA_FILE, &format!("{SCHEMA}{text}"))]);
            if n >= 1_000 && what != "attributes" {
                let report = loaded.expect_err(what);
                assert!(report.contains("more than"), "{what} {n}: {report}");
            }
        }
    }
}
