//! What is not a document, and what the person who wrote it is told.

use cfgwal::Value;
use cfgwal::document::{Format, Invalid, Unpatchable, parse, patch};

use super::json;

/// Refused by `parse`, and by `patch` with the same words.
fn refused(text: impl AsRef<[u8]>) -> Invalid {
    let invalid = parse(&Format::Json, text.as_ref()).unwrap_err();
    assert_eq!(patch(&Format::Json, text.as_ref(), &Value::Null), Err(Unpatchable::Invalid(invalid.clone())));
    invalid
}

#[track_caller]
fn says(text: impl AsRef<[u8]>, line: usize, column: usize, why: &str) {
    let invalid = refused(text);
    assert_eq!((invalid.line, invalid.column), (line, column), "{invalid}");
    assert!(invalid.why.contains(why), "{invalid}");
}

#[test]
fn the_message_shows_the_line_and_marks_the_place() {
    let invalid = refused("{\n  \"a\": 1\n\t\"b\": 2\n}");
    assert_eq!(invalid.to_string(), "line 3, column 2: expected `,` or `}`\n  3 |  \"b\": 2\n    |  ^");
}

#[test]
fn columns_count_characters_and_lines_end_in_every_way() {
    says("[\"é😀\" 1]", 1, 7, "expected `,`");
    says("\u{feff}[\r\n1 1]", 2, 3, "expected `,`");
    says("[\r1 1]", 2, 3, "expected `,`");
}

#[test]
fn a_long_line_is_shown_around_the_place_only() {
    let text = format!("[{}x{}]", "1,".repeat(100_000), ",1".repeat(100_000));
    let invalid = refused(text);
    assert_eq!(invalid.column, 200_002);
    assert!(invalid.shown.chars().count() < 130, "{}", invalid.shown);
    assert_eq!(invalid.shown.chars().nth(invalid.mark), Some('x'));
}

#[test]
fn what_is_shown_cannot_drive_a_terminal() {
    let invalid = refused("[\"\u{1b}[2J\u{202e}\"]");
    assert!(invalid.shown.contains("\\u{1b}[2J\\u{202e}"), "{}", invalid.shown);
    assert!(!invalid.to_string().contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn an_empty_document_is_not_a_value() {
    for text in ["", " \n\t\r\n", "\u{feff}", "\u{feff}\n"] {
        says(text, 1, 1, "empty");
    }
    let invalid = parse(&Format::Jsonc, b"// nothing\n/* here */").unwrap_err();
    assert!(invalid.why.contains("nothing but comments"), "{invalid}");
}

#[test]
fn a_truncated_document_is_refused_where_it_ends() {
    says("{\n  \"a\": [1,\n", 3, 1, "`[` of line 2, column 8");
    says("{\"a\"", 1, 5, "`{` of line 1, column 1");
    says("{\"a\": \"x", 1, 7, "never closed");
    for end in 1..30 {
        refused(&r#"{"a": {"b": [1, 2, "x\u00e9"]}}"#[..end]);
    }
}

#[test]
fn damage_is_called_damage() {
    says("{\"a\": 1}\0\0\0", 1, 9, "NUL byte (byte 8)");
    says("{\"a\": 1\0}", 1, 8, "NUL byte");
}

#[test]
fn a_second_value_is_refused() {
    says("{}\n{}", 2, 1, "one value");
    says("1 2", 1, 3, "one value");
}

#[test]
fn a_key_written_twice_is_refused_with_both_places() {
    says("{\"a\": 1,\n  \"a\": 2}", 2, 3, "the key \"a\" is written twice; the first is at line 1, column 2");
    says("{\"x\": {\"a\": 1, \"\\u0061\": 2}}", 1, 16, "written twice");
    json(r#"{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]}"#);
}

#[test]
fn strings_hold_no_raw_control_characters() {
    says("[\"a\tb\"]", 1, 4, "`\\t`");
    says("[\"a\u{1}b\"]", 1, 4, "`\\u0001`");
    says("{\"a\": \"x,\n  \"b\": 1}", 1, 10, "closing quote");
    says("[\"never\nclosed]", 1, 8, "closing quote");
}

#[test]
fn half_a_surrogate_pair_is_refused() {
    for text in [r#"["\ud800"]"#, r#"["\ud800x"]"#, r#"["\udc00"]"#, r#"["\ud800\u0041"]"#] {
        says(text, 1, 3, "surrogate");
    }
    assert_eq!(json(r#""\ud83d\ude00""#), Value::from("😀"));
}

#[test]
fn what_other_readers_do_not_read_is_refused() {
    for text in [
        "[1,]",
        "{\"a\":1,}",
        "[,]",
        "[1,,2]",
        "[1 2]",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "['a']",
        "{1:1}",
        "[0x10]",
        "[+1]",
        "[.5]",
        "[5.]",
        "[1.e3]",
        "[1e]",
        "[-]",
        "[01]",
        "[-01]",
        "[1.2.3]",
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[True]",
        "[nul]",
        "[truex]",
        "[true1]",
        "[undefined]",
        "// c\n1",
        "[/* c */]",
        "# c\n1",
        "[1]]",
        "}",
        ":",
        ",",
        "[\u{a0}1]",
        "[\u{b}1]",
        "[\u{2028}1]",
        "\u{feff}\u{feff}1",
        "[\"\\x41\"]",
        "[\"\\'\"]",
        "[\"\\\n\"]",
        "[\"\\u12\"]",
        "[\"\\u+123\"]",
        "\"",
        "{\"a\":}",
        "{:1}",
        "{\"a\"}",
        "[1}",
        "{\"a\":1]",
    ] {
        let invalid = refused(text);
        assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text} is JSON, yet: {invalid}");
    }
    says("[01]", 1, 2, "must not begin with 0");
    says("[1,]", 1, 3, "comma behind the last item");
    says("{\"a\": 1} // c", 1, 10, "comments are not JSON");
    says("{a: 1}", 1, 2, "the key `a` needs double quotes");
    says("[\u{a0}1]", 1, 2, "U+00A0");
}

#[test]
fn another_encoding_is_named() {
    says(b"\xFF\xFE[\0]\0", 1, 1, "UTF-16");
    says(b"[\0\"\0\xe9\0\"\0]\0", 1, 5, "UTF-16");
    says(b"{\n \"a\": \"caf\xe9\"}", 2, 11, "0xE9 is not UTF-8");
}

#[test]
fn nesting_has_a_limit_and_no_depth_overflows_the_stack() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    json(&nested(128));
    says(nested(129), 1, 129, "deeper than 128");
    says("[".repeat(1_000_000), 1, 129, "deeper than 128");
    says("{\"a\":".repeat(1_000_000), 1, 641, "deeper than 128");
}

#[test]
fn a_key_has_a_longest_length() {
    json(&format!("{{\"{}\": 1}}", "k".repeat(1024)));
    says(format!("{{\"{}\": 1}}", "k".repeat(1025)), 1, 2, "1025 bytes");
}

#[test]
fn a_document_has_a_largest_size() {
    let text = format!("[{}1]", " ".repeat(cfgwal::RECORD_MAX));
    says(text, 1, 1, "the limit is 67108864");
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let deep = |depth| (0..depth).fold(Value::Null, |inner, _| Value::from(vec![inner]));
    let unwritable = |text: &str, target: &Value| match patch(&Format::Json, text.as_bytes(), target) {
        Err(Unpatchable::Unwritable(why)) => why,
        other => panic!("{other:?}"),
    };
    patch(&Format::Json, b"1", &deep(128)).unwrap();
    assert!(unwritable("1", &deep(129)).contains("deeper than 128"));
    let long_key: Value = [("k".repeat(1025), 1)].into_iter().collect();
    assert!(unwritable("1", &long_key).contains("1025 bytes"));
    let large = Value::from("x".repeat(cfgwal::RECORD_MAX));
    let refused = patch(&Format::Json, b"1", &large).unwrap_err();
    assert_eq!(refused, Unpatchable::TooLarge { len: cfgwal::RECORD_MAX + 2 });
    assert!(refused.to_string().contains("the limit is 67108864"), "{refused}");
}
