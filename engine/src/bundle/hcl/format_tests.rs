use super::*;

#[test]
fn lines_are_laid_out_as_terraform_does() {
    let rows = [
        ("", ""),
        ("\n\n\n", ""),
        ("a=1\nlong  =   2", "a    = 1\nlong = 2\n"),
        // A comment, an empty line or a value of several lines ends a column.
        (
            "a=1\n# why\nlong=2\n\nlonger=3\nx = [\n1,\n]\n",
            "a = 1\n# why\nlong = 2\n\nlonger = 3\nx = [\n  1,\n]\n",
        ),
        (
            "a=1#one\nlong=2   // two\n",
            "a    = 1 #one\nlong = 2 // two\n",
        ),
        ("group   \"x\"   {   # who\n}\n", "group \"x\" { # who\n}\n"),
        (
            "scope \"x\" {\nowners=\"y\"\n\taws {\n role = \"r\"   \n}\n}\n",
            "scope \"x\" {\n  owners = \"y\"\n  aws {\n    role = \"r\"\n  }\n}\n",
        ),
        (
            "x=[{a=1,b=[ 1,2 ]},{ }]\ny = {a=1,\nb:2, \"c\" : 3}\n",
            "x = [{ a = 1, b = [1, 2] }, {}]\ny = { a = 1,\nb:2, \"c\" : 3 }\n",
        ),
        (
            "x=[{\na=1\n},{\nb=-2\n}]\n",
            "x = [{\n  a = 1\n  }, {\n  b = -2\n}]\n",
        ),
        (
            "a = 1 /* one\n   two */\n/* x */ b=\"# = { // \\\" \"\n",
            "a = 1 /* one\n   two */\n/* x */ b = \"# = { // \\\" \"\n",
        ),
        (
            "a=[ /* x */ 1 /* y */ , 2/* z */ ]\n",
            "a = [/* x */ 1 /* y */, 2 /* z */]\n",
        ),
        ("a=1\r\nbb=2 # x \r\n", "a  = 1\nbb = 2 # x\n"),
    ];
    for (text, expected) in rows {
        assert_eq!(format(text).as_deref(), Some(expected), "{text:?}");
        assert_eq!(format(expected).as_deref(), Some(expected), "{text:?}");
    }
}

#[test]
fn another_token_or_another_line_is_not_the_same() {
    let row = |before: &str, after: &str| same(&tokens(before), &tokens(after));
    assert!(row("a=1 # x", "a = 1  # x\n\n"));
    for (before, after) in [
        ("a = 1", "a = 2"),
        ("a = 1\nb = 2", "a = 1 b = 2"),
        ("a = 1", "a = 1 # x"),
        ("a = \"x  y\"", "a = \"x y\""),
        ("a = 1 # x y", "a = 1 # x  y"),
        ("a = 1", ""),
    ] {
        assert!(!row(before, after), "{before:?} {after:?}");
    }
}
