use std::path::Path;

use proptest::prelude::*;

use super::*;

fn file(name: &str, text: &str) -> BundleFiles {
    BundleFiles([(name.to_owned(), text.to_owned())].into())
}

/// A text laid out, and that it then stays.
fn laid_out(name: &str, text: &str) -> String {
    let changed = format(&file(name, text)).unwrap_or_else(|report| panic!("{report}"));
    let once = changed.0.get(name).cloned();
    let once = once.unwrap_or_else(|| text.to_owned());
    let again = format(&file(name, &once)).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(again, BundleFiles::default(), "{once}");
    once
}

#[test]
fn the_shipped_bundle_is_laid_out() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let mut seen = 0;
    for folder in [policies.clone(), policies.join("tests")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.ends_with(".cedar") || name.ends_with(".hcl") {
                let text = std::fs::read_to_string(&path).unwrap();
                assert_eq!(laid_out(name, &text), text, "{name}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 5);
}

#[test]
fn policies_keep_their_paragraphs_and_every_comment() {
    let rows = [
        ("", ""),
        (
            "// nothing yet\n\n\n\n// really\n\n",
            "// nothing yet\n\n// really\n",
        ),
        (
            "\n\n// About the file.\n\n  // About the first.\n@id(\"a\") permit(principal,action,resource) ; permit(principal,action,resource); // why\n// the end",
            "// About the file.\n\n// About the first.\n@id(\"a\")\npermit (principal, action, resource);\n\npermit (principal, action, resource); // why\n\n// the end\n",
        ),
        (
            "permit(principal,action,resource)when{// a\ncontext.x==\"//  no comment\"// b\n&&true};\r\n",
            "permit (principal, action, resource)\nwhen\n{ // a\n  context.x == \"//  no comment\" // b\n   &&\n  true\n};\n",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(laid_out("a.cedar", text), expected, "{text:?}");
    }
}

#[test]
fn what_does_not_parse_is_refused_at_its_place_and_nothing_else_is_given() {
    let rows = [
        ("b.cedar", "\npermit (principal, action);\n", 2),
        (
            "b.cedar",
            "permit (principal, action, resource)\nwhen { true };\n\n\nforbid",
            5,
        ),
        (
            "b.cedar",
            "permit (principal == ?principal, action, resource);",
            1,
        ),
        (
            "b.cedar",
            "permit (principal, action, resource) when {\n((((((((((((((((((((((((((true)))))))))))))))))))))))))) };",
            2,
        ),
        ("b.hcl", "a = 1\nb = f(x)\n", 2),
        ("b.hcl", "a = 1\n\nb {\n", 3),
        ("b.hcl", "a = \"${b}\"\n", 1),
    ];
    for (name, text, line) in rows {
        let mut files = file(name, text);
        files.0.insert(
            "a.cedar".to_owned(),
            "permit(principal,action,resource);".to_owned(),
        );
        let report = format(&files).expect_err(text);
        let places: Vec<_> = report
            .findings()
            .iter()
            .map(|it| (it.file.clone(), it.line))
            .collect();
        assert_eq!(
            places.first(),
            Some(&(name.to_owned(), Some(line))),
            "{text}: {report}"
        );
    }
    // A schema is left alone, whatever is in it.
    let schema = format(&file("schema.cedarschema", "entity   User ;"));
    assert_eq!(
        schema.unwrap_or_else(|report| panic!("{report}")),
        BundleFiles::default()
    );
}

/// White space and comments as people, editors and nobody would put them between two tokens of HCL.
fn gap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", " ", "  ", "\t", " /* x */ ", "   "])
}

/// White space and comments between two tokens of Cedar.
fn cedar_gap() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ",
        "  ",
        "\n",
        "\n\n\n",
        "\r\n",
        "\t",
        " // a\n",
        "\n// b \"\n\n  // c\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn hcl_with_any_white_space_is_laid_out_once(gaps in prop::collection::vec(gap(), 40), breaks in prop::collection::vec(0..3_usize, 12)) {
        let lines: [&[&str]; 12] = [
            &["scope", "\"x\"", "{"],
            &["owners", "=", "\"a b\"", "# who"],
            &["x", "=", "1", "// what"],
            &["aws", "{"],
            &["policy", "=", "{"],
            &["Statement", "=", "[", "{", "Effect", "=", "\"Allow\"", ",", "Action", "=", "[", "\"s3:*\"", "]", "}", ","],
            &["{", "\"k\"", "=", "true", "}"],
            &["]"],
            &["}"],
            &["}"],
            &["}"],
            &["# the end {"],
        ];
        let mut gaps = gaps.into_iter().cycle();
        let mut text = String::new();
        for (line, breaks) in lines.iter().zip(breaks) {
            for word in *line {
                text.push_str(gaps.next().unwrap_or(" "));
                // Two words next to each other would be one.
                text.push_str(if text.ends_with(|c: char| c.is_alphanumeric()) { " " } else { "" });
                text.push_str(word);
            }
            text.push_str(&"\n".repeat(breaks + 1));
        }
        laid_out("x.hcl", &text);
    }

    #[test]
    fn policies_with_any_white_space_and_comments_are_laid_out_once(gaps in prop::collection::vec(cedar_gap(), 31)) {
        let words = [
            "@id ( \"a\" ) permit ( principal in Group::\"g\" , action == Action::\"activate\" , resource ) when {",
            "context.window.duration <= duration ( \"1h\" ) && context.approvals.manager >= 1 } ;",
            "forbid ( principal , action , resource ) unless { true } ;",
        ];
        let mut gaps = gaps.into_iter().cycle();
        let mut text = String::new();
        for word in words.iter().flat_map(|line| line.split(' ')) {
            text.push_str(word);
            text.push_str(gaps.next().unwrap_or(" "));
        }
        laid_out("x.cedar", &text);
    }
}
