//! One edit at a time.

use cfgwal::document::{Format, patch};
use cfgwal::{Op, State};

use super::{attempt as patched, path, read, remove, set, value};

#[test]
fn an_edit_changes_its_own_bytes() {
    for (text, op, wanted) in [
        ("a: 1 # one\nb: 2\n", set("a", "5"), "a: 5 # one\nb: 2\n"),
        ("a: 1\r\n# c\r\nb: 2", set("b", "5"), "a: 1\r\n# c\r\nb: 5"),
        ("\u{feff}a: é # ü\nb: 2\n", set("b", "\"ß\""), "\u{feff}a: é # ü\nb: ß\n"),
        ("%YAML 1.2\n---\na: 1\n...\n", set("b", "2"), "%YAML 1.2\n---\na: 1\nb: 2\n...\n"),
        ("a: 'x' # c\n", set("a", "\"it's\""), "a: 'it''s' # c\n"),
        ("a: \"x\"\n", set("a", "\"y\""), "a: \"y\"\n"),
        ("a: |\n  x\n  y\nb: 1\n", set("a", "\"z\\nw\\n\""), "a: |\n  z\n  w\nb: 1\n"),
        ("a:\nb: 1\n", set("a", "2"), "a: 2\nb: 1\n"),
        ("a: 1\n# about b\nb: 2 # b\nc: 3\n", remove("b"), "a: 1\n# about b\nc: 3\n"),
        ("a: 1\nb: 2", remove("b"), "a: 1"),
        ("a:\n    b: 1\n", set("a.c", "{\"d\": 1}"), "a:\n    b: 1\n    c:\n        d: 1\n"),
        ("l:\n- 1 # one\n- 2\n", remove("l[0]"), "l:\n- 2\n"),
        (
            "l:\n  - 1\n",
            Op::Push { path: path("l"), value: value("{\"a\":1,\"b\":[2]}"), unique: false, cap: None },
            "l:\n  - 1\n  - a: 1\n    b:\n      - 2\n",
        ),
        (
            "l: [1, 2] # c\n",
            Op::Push { path: path("l"), value: value("3"), unique: false, cap: None },
            "l: [1, 2, 3] # c\n",
        ),
        ("l: [1, 2]\n", remove("l[0]"), "l: [2]\n"),
        ("m: {a: 1, b: 2}\n", remove("m.b"), "m: {a: 1}\n"),
        ("a:\n  b: 1\nc: 2\n", remove("a.b"), "a: {}\nc: 2\n"),
        ("a: 1 # c\nb: 2\n", set("a", "{\"x\": [1]}"), "a: # c\n  x:\n    - 1\nb: 2\n"),
        ("a:\n  x: 1\n  y: 2\nb: 2\n", set("a", "7"), "a: 7\nb: 2\n"),
        ("a: 1 # c\nb: 2\n", Op::Move { from: path("a"), to: path("c") }, "c: 1 # c\nb: 2\n"),
        ("l:\n  - a: 1\n    b: 2\n  - a: 3\n", set("l[1].a", "4"), "l:\n  - a: 1\n    b: 2\n  - a: 4\n"),
        ("l:\n  - a: 1\n    b: 2\n", remove("l[0].a"), "l:\n  - b: 2\n"),
        ("8080: x\n", set("\"8080\"", "\"z\""), "8080: z\n"),
        ("# only this\n", set("a", "1"), "# only this\na: 1\n"),
        ("", set("a", "1"), "a: 1\n"),
        (
            "d: 2024-01-01\nx: 0x1F\ni: .inf\nn: 1_000\na: 1\n",
            set("a", "2"),
            "d: 2024-01-01\nx: 0x1F\ni: .inf\nn: 1_000\na: 2\n",
        ),
        ("a: &x 1\nb: *x\nc: 1\n", set("c", "2"), "a: &x 1\nb: *x\nc: 2\n"),
        ("a: &x 1\nb: *x\n", set("b", "2"), "a: &x 1\nb: 2\n"),
        ("a: &x 1 # c\n", set("a", "{\"b\": 1}"), "a: &x # c\n  b: 1\n"),
        ("l:\n- a: 1\n  # of b\n  b: 2\n", remove("l[0].b"), "l:\n- a: 1\n  # of b\n"),
        ("l:\n- a: 1 # c\n- 2\n", remove("l[0].a"), "l:\n- {} # c\n- 2\n"),
        ("l:\n- - 1\n  - 2\n", remove("l[0][0]"), "l:\n- - 2\n"),
        ("a: >-\n  x\n  y\nb: 1\n", set("a", "\"p q\\nr\""), "a: >-\n  p q\n\n  r\nb: 1\n"),
        ("a: |+ # c\n  x\n\nb: 1\n", set("a", "\"y\\nz\""), "a: |- # c\n  y\n  z\nb: 1\n"),
        ("a: |\n  x\nb: 1\n", set("a", "\" y\""), "a: ' y'\nb: 1\n"),
        ("a: |\n  x\nb: 1\n  # c\nc: 2\n", remove("b"), "a: |\n  x\n# c\nc: 2\n"),
        ("l: [\n  1, # one\n  2 # two\n]\n", remove("l[1]"), "l: [\n  1 # one\n]\n"),
        ("l: [ # c\n  1, 2\n]\n", set("l[0]", "3"), "l: [ # c\n  3, 2\n]\n"),
        (
            "l: [\n  1, # one\n  2 # two\n]\n",
            Op::Push { path: path("l"), value: value("3"), unique: false, cap: None },
            "l: [\n  1, # one\n  2, # two\n  3\n]\n",
        ),
        ("m: {a: }\n", set("m.b", "1"), "m: {a: , b: 1}\n"),
        ("m: {a: , b: 1}\n", remove("m.b"), "m: {a: }\n"),
        ("m: {a\n - }\n", set("m.b", "1"), "m: {a\n - , b: 1}\n"),
        ("? a\n: 1\n? b\n", set("a", "2"), "? a\n: 2\n? b\n"),
        ("n: 123456789012345678901234567890\na: 1\n", set("a", "2"), "n: 123456789012345678901234567890\na: 2\n"),
    ] {
        let shown = format!("{text:?} {op:?}");
        let result = patched(text, op).unwrap_or_else(|why| panic!("{shown}: {why}"));
        assert_eq!(result, wanted, "{shown}");
    }
}

#[test]
fn a_string_that_another_version_would_read_otherwise_is_quoted() {
    for text in [
        "no",
        "yes",
        "on",
        "1_000",
        "12:30",
        "2024-01-01",
        "0o17",
        "017",
        "=",
        "~",
        ".5",
        "1e3",
        "",
        "# x",
        "a: b",
        "- a",
        "null",
        "0x1F",
        ".inf",
        "true",
        "1.10",
        "<<",
        "*a",
        "&a",
        "!a",
        "a #b",
        "\t",
        "a\u{85}b",
        "x:",
        "|",
        "%a",
    ] {
        let mut state = State::new(read("k: 1\n"));
        state.apply(&[Op::Set { path: path("k"), value: text.into() }]).unwrap();
        let result = patch(&Format::Yaml, b"k: 1\n", state.root()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        let result = String::from_utf8(result).unwrap();
        assert!(result.starts_with("k: '") || result.starts_with("k: \""), "{result}");
    }
}

#[test]
fn a_container_is_added_to_a_commented_file_of_either_indentation() {
    for unit in [2, 4] {
        let pad = " ".repeat(unit);
        let text = format!(
            "# containers\ncontainers:\n{pad}# the first\n{pad}web:\n{pad}{pad}image: debian # stable\n\n# end\nuser: me\n"
        );
        let wanted = text.replace("# stable\n", &format!("# stable\n{pad}db:\n{pad}{pad}image: alpine\n"));
        assert_eq!(patched(&text, set("containers.db", "{\"image\": \"alpine\"}")).unwrap(), wanted);
    }
}
