//! What the reader takes, and beside it what it refuses.

use proptest::prelude::*;

use super::*;

/// The errors of `text` after `read` has asked it for what it wants, one line each.
fn errors(text: &str, read: impl FnOnce(&mut Reader<'_>)) -> Vec<String> {
    let document = Document::parse("test.hcl", text);
    if let Some(mut file) = document.root() {
        read(&mut file);
        file.finish();
    }
    let report = document.into_report();
    let messages = report.findings();
    messages.iter().map(|found| found.message.clone()).collect()
}

/// As [`errors`], taking whatever attributes there are.
fn any(text: &str) -> Vec<String> {
    errors(text, |file| {
        file.rest();
        for mut block in file.blocks("b") {
            block.rest();
            block.finish();
        }
    })
}

#[test]
fn a_text_is_taken_or_refused_by_what_it_holds() {
    let taken = [
        "",
        "# a comment without an end of line",
        "a = 1 // one\nb = -1 /* minus\none */\n",
        "a = \"x\\n\\\"\\\\\\u00e9\" # }\n",
        "a = \"$${aws:username} %%{x} $ { 100% $\"\n",
        "a = [1, 2,\n3,\n]\n",
        "a = { b = 1, \"c d\" = 2\n e : 3 }\n",
        "a = { b = { b = 1 } }\r\nb {\n  a = 1\n}\r\n",
        "a-b = true\n",
    ];
    for text in taken {
        assert!(any(text).is_empty(), "{text}: {:?}", any(text));
    }
    let refused = [
        ("a = \"${b}\"\n", "templates are not taken"),
        ("a = \"%{if b}\"\n", "templates are not taken"),
        ("a = \"$$${b}\"\nb = \"${b}\"\n", "templates are not taken"),
        ("a = <<X\nX\n", "heredocs are not taken"),
        ("a = f(1)\n", "only literal values"),
        ("a = 1 + 2\n", "only literal values"),
        ("a = 1 == 1\n", "only literal values"),
        ("a = !true\n", "only literal values"),
        ("a = - 1\n", "only literal values"),
        ("a = 3-1\n", "only literal values"),
        ("a = b ? 1 : 2\n", "only literal values"),
        ("a = [for x in y : x]\n", "only literal values"),
        ("a = b.c\n", "only literal values"),
        ("a = b[0]\n", "only literal values"),
        ("a = b\n", "`b` is a variable"),
        ("a = null\n", "`null` is no value"),
        ("a = 1.5\n", "only whole numbers"),
        ("a = 9223372036854775808\n", "only whole numbers"),
        ("a = 1\na = 2\n", "`a` is given twice"),
        ("a = { b = 1, b = 2 }\n", "`b` is given twice"),
        ("a = { b = 1, \"b\" : 2 }\n", "`b` is given twice"),
        ("a = { b = 1, \"\\u0062\" = 2 }\n", "`b` is given twice"),
        ("a = { b.c = 1 }\n", "a key is a name"),
        ("a = \"b\nc\"\n", "does not end on its line"),
        ("a = \"b", "does not end on its line"),
        ("a = \"\\", "does not end on its line"),
        ("a = 'b'\n", "`'` starts no string"),
        ("a = é\n", "`é` has no meaning here"),
        ("a = 1 /* b\n", "this comment never ends"),
        ("a = [1\n", "never closed"),
        ("a = [1}\n", "meets the `}` of line 1"),
        ("}\n", "closes nothing"),
        ("a\n", "not HCL"),
        ("= 1\n", "not HCL"),
        ("a = \n", "not HCL"),
        ("a = \"\u{1b}[2J\"\n", "the invisible character U+001B"),
        ("# \u{202e}\n", "the invisible character U+202E"),
        ("\u{feff}a = 1\n", "the invisible character U+FEFF"),
        ("a = 1 # x\rb = 2\n", "the invisible character U+000D"),
    ];
    for (text, why) in refused {
        let found = any(text);
        assert!(
            found.iter().any(|message| message.contains(why)),
            "{text:?} should say {why:?} but says {found:?}"
        );
    }
}

#[test]
fn nesting_is_taken_to_its_limit_and_refused_beyond_it_without_recursion() {
    let lists = |depth: usize| format!("a = {}{}\n", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("a = {}{}\n", "{ b = ".repeat(depth), "}".repeat(depth));
    assert!(any(&lists(DEPTH_MAX)).is_empty());
    assert_eq!(any(&objects(DEPTH_MAX)).len(), 1, "the innermost is empty");
    for deep in [DEPTH_MAX + 1, 100_000] {
        for text in [lists(deep), objects(deep), "b {\n".repeat(deep)] {
            let found = any(&text);
            assert!(
                matches!(found.as_slice(), [one] if one.starts_with("nested more than 24 deep")),
                "{found:?}"
            );
        }
    }
    for sign in [
        "(",
        "!",
        "-",
        "{ {",
        "${",
        "\"${",
        "a.",
        "a[",
        "[for a in ",
        "a = ",
        "<<A\n",
    ] {
        assert!(
            !any(&format!("a = {}", sign.repeat(100_000))).is_empty(),
            "{sign}"
        );
    }
}

#[test]
fn objects_as_keys_cost_no_more_than_their_length() {
    let text = format!(
        "a = {}{}\n",
        "{".repeat(DEPTH_MAX),
        "} = 1".repeat(DEPTH_MAX)
    );
    assert!(!any(&text).is_empty());
}

#[test]
fn a_file_is_taken_to_its_limit_and_refused_beyond_it() {
    let full = format!("#{}", "x".repeat(FILE_MAX - 1));
    assert!(any(&full).is_empty());
    let found = any(&format!("{full}x"));
    assert_eq!(
        found,
        ["`test.hcl` has 1048577 bytes; at most 1048576 are read"]
    );
}

#[test]
fn a_value_of_another_type_is_refused() {
    let text = "s = \"x\"\nb = true\nn = 7\nl = [\"x\"]\no = { k = 1 }\nd = \"1h30m\"\n";
    let ask = |file: &mut Reader<'_>, keys: [&str; 6]| {
        let [s, b, n, l, o, d] = keys;
        let found = (
            file.string(s).map(|found| found.value),
            file.bool(b).map(|found| found.value),
            file.u32(n, 1..=7).map(|found| found.value),
            file.strings(l).map(|found| found.value.len()),
            file.object(o).map(|mut object| {
                let members = object.rest().len();
                object.finish();
                members
            }),
            file.seconds(d, 1..=5_400).map(|found| found.value),
        );
        file.rest();
        found
    };
    let right = |file: &mut Reader<'_>| {
        let found = ask(file, ["s", "b", "n", "l", "o", "d"]);
        let expected = (
            Some("x".to_owned()),
            Some(true),
            Some(7),
            Some(1),
            Some(1),
            Some(5_400),
        );
        assert_eq!(found, expected);
    };
    assert!(errors(text, right).is_empty());
    let wrong = |file: &mut Reader<'_>| {
        let found = ask(file, ["b", "n", "s", "o", "l", "s2"]);
        assert_eq!(found, (None, None, None, None, None, None));
    };
    assert_eq!(
        errors(text, wrong),
        [
            "`s` must be a whole number, not a string",
            "`b` must be a string, not `true` or `false`",
            "`n` must be `true` or `false`, not a whole number",
            "`l` must be an object, not a list",
            "`o` must be a list of strings, not an object",
        ]
    );
}

#[test]
fn a_number_outside_its_range_is_refused() {
    for (number, fits) in [
        ("1", true),
        ("7", true),
        ("0", false),
        ("8", false),
        ("-1", false),
    ] {
        let read = |file: &mut Reader<'_>| {
            assert_eq!(file.u32("n", 1..=7).is_some(), fits, "{number}");
        };
        assert_eq!(errors(&format!("n = {number}\n"), read).is_empty(), fits);
    }
}

#[test]
fn durations_have_each_unit_once_and_largest_first() {
    let rows = [
        ("1s", Some(1)),
        ("45m", Some(2_700)),
        ("1h30m", Some(5_400)),
        ("1d1h1m1s", Some(90_061)),
        ("49710d", Some(4_294_944_000)),
        ("49711d", None),
        ("0s", None),
        ("", None),
        ("1", None),
        ("h", None),
        ("1m1h", None),
        ("1h1h", None),
        ("1 h", None),
        ("-1h", None),
        ("+1h", None),
        ("1.5h", None),
        ("1H", None),
        ("99999999999999999999s", None),
    ];
    for (text, expected) in rows {
        let read = |file: &mut Reader<'_>| {
            let found = file.seconds("d", 1..=u32::MAX).map(|found| found.value);
            assert_eq!(found, expected, "{text}");
        };
        let found = errors(&format!("d = \"{text}\"\n"), read);
        assert_eq!(found.is_empty(), expected.is_some(), "{text}: {found:?}");
    }
}

#[test]
fn a_reader_that_was_not_finished_makes_the_document_invalid() {
    let document = Document::parse("test.hcl", "a = 1\n");
    drop(document.root());
    assert!(document.has_errors());
}

#[test]
fn a_misspelt_key_is_reported_once_and_not_as_missing_too() {
    let read = |file: &mut Reader<'_>| {
        file.required_string("listener");
    };
    assert_eq!(
        errors("listner = \"x\"\n", read),
        ["`test.hcl` takes no `listner`"]
    );
    assert_eq!(errors("", read), ["`test.hcl` lacks `listener`"]);
    assert!(errors("listener = \"x\"\n", read).is_empty());
}

#[test]
fn blocks_are_taken_with_the_labels_they_should_have() {
    let read = |file: &mut Reader<'_>| {
        for (_, block) in file.labelled_blocks("named") {
            block.finish();
        }
        if let Some(block) = file.required_block("plain") {
            block.finish();
        }
    };
    assert!(errors("named \"a\" {}\nnamed b {}\nplain {}\n", read).is_empty());
    let rows = [
        ("named {}\nplain {}\n", "`named` takes exactly one name"),
        ("named a b {}\nplain {}\n", "`named` takes exactly one name"),
        (
            "named a {}\nnamed \"a\" {}\nplain {}\n",
            "named `a` is given twice",
        ),
        ("plain a {}\n", "`plain` takes no name"),
        (
            "plain {}\nplain {}\n",
            "`test.hcl` has more than one `plain` block",
        ),
        ("named a {}\n", "`test.hcl` lacks a block `plain`"),
        (
            "plain = 1\n",
            "`plain` is a block: write `plain { … }`, without `=`",
        ),
        ("plain {}\nother {}\n", "`test.hcl` takes no `other`"),
    ];
    for (text, expected) in rows {
        assert_eq!(errors(text, read), [expected], "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_fail_otherwise_than_with_errors(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "a", "b", "\"", "\\", "{", "}", "[", "]", "(", ")", "=", ":", ",", "\n", " ", "#", "/*", "*/", "//",
                "${", "%{", "$", "-", "1", ".", "<<", "for", "null", "\r", "é", "\u{202e}", "\"x\"", "b {\n", "\n}\n",
            ]),
            0..60,
        )
    ) {
        let text: String = parts.concat();
        let document = Document::parse("test.hcl", &text);
        if let Some(mut file) = document.root() {
            file.rest();
            for mut block in file.blocks("b") {
                block.rest();
                block.finish();
            }
            file.finish();
        }
        // Drawing it must not fail either.
        document.into_report().to_string();
    }
}
