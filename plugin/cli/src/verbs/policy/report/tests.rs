//! The reports of every pull request of `engine/tests/diff`, in every format, golden; and reports full of hostile names.

use std::path::Path;

use writ_engine::access::{Action, Who, WhoKind};
use writ_engine::diff::{
    Cause, CauseKind, Change, Diff, Effort, Example, Finding, Revision, Severity, Side, diff,
};
use writ_engine::{Bundle, ScopeId};

use super::{Format, Told};
use crate::screen::Paint;

#[path = "../../../../../../engine/tests/diff/fixture.rs"]
mod fixture;

const FORMATS: [(&str, Format); 7] = [
    ("text", Format::Text),
    ("json", Format::Json),
    ("markdown", Format::Markdown),
    ("github", Format::Github),
    ("sarif", Format::Sarif),
    ("junit", Format::Junit),
    ("gitlab", Format::Gitlab),
];

fn told(diff: &Diff) -> Told<'_> {
    Told {
        diff,
        folder: "policies/",
        compared_with: "origin/main",
        fail_on: Some(Severity::Critical),
    }
}

#[test]
fn every_pull_request_is_told_in_every_format() {
    let mut differ = Vec::new();
    for fixture in fixture::fixtures() {
        let [old, new] = [&fixture.old, &fixture.new].map(|files| Bundle::load(files).unwrap());
        let old = Side {
            files: &fixture.old,
            bundle: &old,
        };
        let new = Side {
            files: &fixture.new,
            bundle: &new,
        };
        let found = diff(old, new).unwrap();
        let told = told(&found);
        let mut all = String::new();
        for (name, format) in FORMATS {
            let mut text = told.render(format, Paint::Plain);
            if format == Format::Sarif {
                // The rules are the same in each.
                let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
                let rules = document["runs"][0]["tool"]["driver"]["rules"].take();
                assert_eq!(rules.as_array().unwrap().len(), Change::ALL.len());
                text = format!("{document:#}\n");
            }
            all.push_str(&format!("=== {name}\n{text}"));
        }
        if !fixture.golden("reports", &all) {
            differ.push(fixture.name);
        }
    }
    assert!(
        differ.is_empty(),
        "WRIT_BLESS=1 takes the new reports: {differ:?}"
    );
}

/// Names as someone would choose them who wants a review to show something else.
const HOSTILE: [&str; 10] = [
    "::error file=x,line=1::owned",
    "%0A::error::owned",
    "a\n::error::owned\r\n::set-output name=x::y",
    "</code></pre><img src=x onerror=alert(1)><script>",
    "@everyone #1 [x](https://evil.example) **bold** | `code` ~~~",
    "abc\u{202e}drawkcab\u{2066}",
    "\u{1b}[2J\u{7}\u{0}zero\u{200b}width",
    "]]> & \" ' <!-- -->",
    "```\n# heading\n- item",
    "x\u{fffe}y\u{2028}z",
];

fn hostile() -> Diff {
    let long = "n".repeat(100_000);
    let names = HOSTILE.iter().copied().chain([long.as_str()]);
    let findings = names.map(|name| Finding {
        change: Change::AccessWidened,
        severity: Severity::High,
        scope: Some(ScopeId::new("prod-admin").unwrap()),
        action: Action::Activate,
        principals: vec![Who {
            kind: WhoKind::User,
            name: name.to_owned(),
        }],
        only: format!("with a ticket such as `{name}`"),
        before: name.to_owned(),
        after: name.to_owned(),
        causes: vec![Cause {
            kind: CauseKind::Policy,
            name: name.to_owned(),
            file: name.to_owned(),
            line: 3,
            revision: Revision::After,
        }],
        example: Some(Example {
            principal: Who {
                kind: WhoKind::User,
                name: name.to_owned(),
            },
            claims: [("ref".to_owned(), name.to_owned())].into(),
            duration_s: 60,
            ticket: Some(name.to_owned()),
            reason: name.to_owned(),
            open_reviews: None,
            extensions: None,
            opens_at: "2026-11-21T09:00:00Z".to_owned(),
            before: name.to_owned(),
            after: name.to_owned(),
        }),
    });
    Diff {
        before: String::new(),
        after: String::new(),
        findings: findings.collect(),
        effort: Effort::default(),
    }
}

fn misleads(text: &str) -> bool {
    text.chars().any(|c| {
        c != '\n' && c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    })
}

#[test]
fn no_format_lets_a_name_steer_a_terminal_or_turn_a_line_around() {
    let found = hostile();
    for (name, format) in FORMATS {
        let text = told(&found).render(format, Paint::Plain);
        assert!(!misleads(&text), "{name}");
    }
}

#[test]
fn a_name_is_no_workflow_command() {
    let found = hostile();
    let text = told(&found).render(Format::Github, Paint::Plain);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines.len(),
        found.findings.len() + 1,
        "one line for each finding, and a last one"
    );
    for line in &lines[..found.findings.len()] {
        let properties = line.strip_prefix("::warning ").unwrap();
        let (properties, _) = properties.split_once("::").unwrap();
        let names: Vec<&str> = properties
            .split(',')
            .map(|property| property.split_once('=').unwrap().0)
            .collect();
        assert_eq!(names, ["file", "line", "title"], "{properties}");
    }
}

#[test]
fn a_name_is_no_markup_mention_or_link() {
    let found = hostile();
    let text = told(&found).render(Format::Markdown, Paint::Plain);
    let mut rest = text.as_str();
    let mut ours = String::new();
    while let Some((before, after)) = rest.split_once("<code>") {
        let (inside, after) = after.split_once("</code>").unwrap();
        // Letters, digits, spaces and character references: nothing that Markdown or HTML could read as more.
        let plain = |c: char| c.is_alphanumeric() || "&#; …→".contains(c);
        assert!(inside.chars().all(plain), "{inside}");
        ours.push_str(before);
        rest = after;
    }
    ours.push_str(rest);
    for sign in ["@", "[", "<img", "http", "`evil"] {
        assert!(!ours.contains(sign), "{sign} outside of code");
    }
}

#[test]
fn a_comment_is_never_longer_than_a_code_host_takes() {
    let mut found = hostile();
    for _ in 0..7 {
        let again = found.findings.clone();
        found.findings.extend(again);
    }
    let text = told(&found).render(Format::Markdown, Paint::Plain);
    assert!(text.chars().count() < 65_536);
    assert!(
        text.trim_end()
            .ends_with("more; `writ policy diff` lists them all._")
    );
    let few = hostile();
    assert!(
        !told(&few)
            .render(Format::Markdown, Paint::Plain)
            .contains("lists them all")
    );
}

#[test]
fn documents_stay_documents_whatever_is_in_them() {
    let found = hostile();
    for format in [Format::Json, Format::Sarif, Format::Gitlab] {
        let text = told(&found).render(format, Paint::Plain);
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
    let json = told(&found).render(Format::Json, Paint::Plain);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let name = &json["diff"]["findings"][2]["principals"][0]["name"];
    assert_eq!(name.as_str(), Some(HOSTILE[2]));
    let xml = told(&found).render(Format::Junit, Paint::Plain);
    let outside: String = xml.split('"').step_by(2).collect();
    for tag in outside.split('<').skip(1) {
        let name = tag.trim_start_matches(['/', '?']);
        let known = [
            "xml",
            "testsuites",
            "testsuite",
            "testcase",
            "failure",
            "system-out",
        ];
        assert!(known.iter().any(|known| name.starts_with(known)), "<{tag}");
    }
}

#[test]
fn the_published_schema_names_every_field_and_every_kind() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/policy-diff.v1.json");
    let schema: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let document = told(&hostile()).render(Format::Json, Paint::Plain);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    conforms(&schema, &schema, &document, "");
    let kinds = &schema["$defs"]["finding"]["properties"]["change"]["enum"];
    let kinds: Vec<&str> = kinds
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|id| id.as_str())
        .collect();
    let own: Vec<&str> = Change::ALL.iter().map(|change| change.id()).collect();
    assert_eq!(kinds, own);
}

/// As much of JSON Schema as ours uses: every field of the document is in the schema, and what is required is there.
fn conforms(
    root: &serde_json::Value,
    schema: &serde_json::Value,
    value: &serde_json::Value,
    at: &str,
) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        return conforms(root, &root["$defs"][name], value, at);
    }
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                let own = schema["properties"]
                    .get(name)
                    .or(schema.get("additionalProperties"));
                let own = own.unwrap_or_else(|| panic!("{at}/{name} is not in the schema"));
                conforms(root, own, field, &format!("{at}/{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    fields.contains_key(name.as_str().unwrap()),
                    "{at}/{name} is missing"
                );
            }
        }
        serde_json::Value::Array(items) => {
            for item in items {
                conforms(root, &schema["items"], item, at);
            }
        }
        _ => assert!(
            schema.get("type").is_some()
                || schema.get("enum").is_some()
                || schema.get("const").is_some(),
            "{at} has no type"
        ),
    }
}
