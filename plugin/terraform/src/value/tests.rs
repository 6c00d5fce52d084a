use super::*;

fn of_msgpack(bytes: &[u8]) -> DynamicValue {
    DynamicValue {
        msgpack: bytes.to_vec(),
        json: Vec::new(),
    }
}

fn of_json(text: &str) -> DynamicValue {
    DynamicValue {
        msgpack: Vec::new(),
        json: text.as_bytes().to_vec(),
    }
}

/// Faceless types have no `Debug`, so a test says what it saw itself.
fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Unknown => "unknown".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::List(items) => format!("{:?}", items.iter().map(show).collect::<Vec<_>>()),
        Value::Object(object) => format!(
            "{{{}}}",
            object
                .iter()
                .map(|(name, value)| format!("{name}: {}", show(value)))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

#[test]
fn what_terraform_sends_is_read() {
    for (bytes, expected) in [
        (&b"\xc0"[..], "null"),
        // Unknown, plainly: fixext 1 of type 0; and as older hosts write it.
        (b"\xd4\x00\x00", "unknown"),
        (b"\xc7\x00\x00", "unknown"),
        // Unknown with refinements: ext 8 of type 12, holding a map that says "not null".
        (b"\xc7\x03\x0c\x81\x01\xc2", "unknown"),
        // A longer refinement: ext 8 with a prefix of the text in it.
        (b"\xc7\x06\x0c\x82\x01\xc2\x02\xa1a", "unknown"),
        (b"\xc3", "true"),
        (b"\xc2", "false"),
        (b"\x2d", "45"),
        (b"\xcd\x0a\x8c", "2700"),
        (b"\xff", "-1"),
        (b"\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", "0.5"),
        (b"\xca\x3f\x00\x00\x00", "0.5"),
        // A big number comes as text, which none of our attributes takes for a number.
        (b"\xb51234567890123456789.5", "\"1234567890123456789.5\""),
        (b"\xa0", "\"\""),
        (b"\xa345m", "\"45m\""),
        (b"\xa5gr\xc3\xbcn", "\"grün\""),
        (b"\x90", "[]"),
        (b"\x92\xa1a\xc0", r#"["\"a\"", "null"]"#),
        (b"\x80", "{}"),
        (
            b"\x83\xa5scope\xa1x\xa8duration\xc0\xa6reason\xd4\x00\x00",
            "{duration: null, reason: unknown, scope: \"x\"}",
        ),
    ] {
        let value = of_msgpack(bytes);
        let decoded = decode(&value).unwrap_or_else(|_| panic!("{bytes:x?}"));
        assert_eq!(show(&decoded), expected, "{bytes:x?}");
    }
}

#[test]
fn json_is_read_where_there_is_no_messagepack() {
    for (text, expected) in [
        ("null", "null"),
        ("true", "true"),
        ("45", "45"),
        (r#""45m""#, "\"45m\""),
        (r#"["a", null]"#, r#"["\"a\"", "null"]"#),
        (r#"{"scope": "x\u0041"}"#, "{scope: \"xA\"}"),
    ] {
        let value = of_json(text);
        assert_eq!(show(&decode(&value).ok().unwrap()), expected, "{text}");
    }
    // MessagePack wins where both are there.
    let both = DynamicValue {
        msgpack: b"\xa1m".to_vec(),
        json: b"\"j\"".to_vec(),
    };
    assert_eq!(show(&decode(&both).ok().unwrap()), "\"m\"");
}

#[test]
fn bytes_that_are_no_value_are_refused_without_repeating_them() {
    for bytes in [
        &b"\xa9hunter2"[..],
        b"\xa3abc\xa3def",
        b"\xa2\xff\xfe",
        b"\x81\x01\xa1a",
        b"\xc4\x01a",
        b"\xdf\xff\xff\xff\xff",
    ] {
        let value = of_msgpack(bytes);
        let Err(error) = decode(&value) else {
            panic!("{bytes:x?}");
        };
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    assert!(decode(&of_json("{")).is_err());
}

#[test]
fn nesting_without_end_is_refused() {
    assert!(decode(&of_msgpack(&vec![0x91; 100_000])).is_err());
    assert!(decode(&of_json(&"[".repeat(100_000))).is_err());
}

#[test]
fn a_block_is_an_object_or_nothing() {
    assert!(decode_block(None).is_ok_and(|block| block.is_empty()));
    assert!(decode_block(Some(&of_msgpack(b"\xc0"))).is_ok_and(|block| block.is_empty()));
    assert!(decode_block(Some(&of_msgpack(b"\x81\xa1a\xc0"))).is_ok_and(|block| block.len() == 1));
    for bytes in [&b"\xa1a"[..], b"\x90", b"\xd4\x00\x00", b"\xc3"] {
        assert!(
            decode_block(Some(&of_msgpack(bytes))).is_err(),
            "{bytes:x?}"
        );
    }
}

#[test]
fn what_is_written_is_read_back() {
    let value = object([
        ("null", Value::Null),
        ("unknown", Value::Unknown),
        ("truth", Value::Bool(true)),
        ("whole", Value::Number(43_200.0)),
        ("negative", Value::Number(-2.0)),
        ("huge", Value::Number(1e300)),
        ("half", Value::Number(0.5)),
        ("text", Value::text("x".repeat(70_000))),
        ("list", Value::texts(["a", "b"])),
        ("empty", Value::List(Vec::new())),
        (
            "object",
            object([("inner", Value::text_or_null::<&str>(None))]),
        ),
    ]);
    let wire = encode(&value);
    let read = decode(&wire).ok().unwrap();
    assert!(read == value, "{} is not {}", show(&read), show(&value));
}

#[test]
fn a_secret_is_written_into_memory_that_never_moves() {
    let value = object([("token", Value::text("x".repeat(2_000)))]);
    let wire = encode(&value);
    assert!(wire.msgpack.capacity() >= wire.msgpack.len());
    assert!(size(&to_msgpack(&value)) >= wire.msgpack.len());
    assert_eq!(format!("{wire:?}"), "DynamicValue { .. }");
}
