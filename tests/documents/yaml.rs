//! YAML as people write it: an edit changes the bytes of what it edits and no others.

use cfgwal::Path;
use cfgwal::document::{Format, Unpatchable, parse, patch};
use cfgwal::{Op, State, Value};
use proptest::prelude::*;

fn value(json: &str) -> Value {
    parse(&Format::Json, json.as_bytes()).unwrap()
}

fn read(text: &str) -> Value {
    parse(&Format::Yaml, text.as_bytes()).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"))
}

/// What the text becomes, or why it is left alone.
fn patched(text: &str, op: Op) -> Result<String, String> {
    let mut state = State::new(read(text));
    state.apply(&[op]).unwrap();
    match patch(&Format::Yaml, text.as_bytes(), state.root()) {
        Ok(bytes) => Ok(String::from_utf8(bytes).unwrap()),
        Err(Unpatchable::Unproven(why)) => panic!("unproven: {why}\nfrom {text}\nto {}", state.root()),
        Err(error) => Err(error.to_string()),
    }
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn set(at: &str, json: &str) -> Op {
    Op::Set { path: path(at), value: value(json) }
}

fn remove(at: &str) -> Op {
    Op::Remove { path: path(at) }
}

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
        ("a: 1\nb: 2\n", Op::Move { from: path("a"), to: path("c") }, ""),
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
    ] {
        let shown = format!("{text:?} {op:?}");
        let result = patched(text, op).unwrap_or_else(|why| panic!("{shown}: {why}"));
        if !wanted.is_empty() {
            assert_eq!(result, wanted, "{shown}");
        }
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
fn what_cannot_be_edited_without_harm_is_refused() {
    let anchored = "a: &x\n  b: 1\nc: *x\nd:\n  <<: *x\n";
    for (text, op, why) in [
        (anchored, set("a.b", "2"), "an alias elsewhere stands for"),
        (anchored, set("c.b", "2"), "this is an alias"),
        (anchored, set("d.<<.b", "2"), "this is an alias"),
        (anchored, remove("a"), "an alias elsewhere stands for"),
        ("a: !t x\n", set("a", "1"), "has a tag"),
        ("a: |\n  x", set("b", "1"), "block scalar without a final newline"),
    ] {
        let refused = patched(text, op).expect_err(text);
        assert!(refused.contains(why), "{refused}");
    }
    for (text, why) in [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key \"a\" is written twice; the first is at line 1, column 1"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("? [a, b]\n: 1\n", "a key that is no scalar"),
        (&format!("a: &x 1\nl: [{}]\n", "*x, ".repeat(1_001)), "more than 1000 aliases"),
        (&"[".repeat(200_000), "recursion limit exceeded"),
        (&"- ".repeat(200_000), "deeper"),
        ("a: [1\n", "line "),
    ] {
        let refused = parse(&Format::Yaml, text.as_bytes()).expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
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

#[test]
fn twenty_thousand_maps_are_patched_at_once() {
    let text: String = (0..20_000).map(|n| format!("m{n}:\n  a: {n} # n\n  b: x\n")).collect();
    let mut state = State::new(read(&text));
    let ops: Vec<Op> = (0..20_000).map(|n| set(&format!("m{n}.a"), "7")).collect();
    state.apply(&ops).unwrap();
    let result = String::from_utf8(patch(&Format::Yaml, text.as_bytes(), state.root()).unwrap()).unwrap();
    let wanted: String = (0..20_000).map(|n| format!("m{n}:\n  a: 7 # n\n  b: x\n")).collect();
    assert!(result == wanted);
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[a-z0-9 #:.'\"\\\\\n-]{0,6}".prop_map(Into::into),
    ];
    scalar.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn maps() -> impl Strategy<Value = serde_json::Value> {
    proptest::collection::btree_map("[a-d]", values(), 1..4)
        .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
}

proptest! {
    /// From the text of one value to another value: the judge is a reader that shares no code with the one of the spans.
    #[test]
    fn a_patched_text_is_the_target_to_another_reader(old in maps(), new in maps()) {
        let text = yaml_serde::to_string(&old).unwrap();
        let commented = text.replace("\n- ", "\n# item\n- ");
        let text = if yaml_serde::from_str::<serde_json::Value>(&commented).ok().as_ref() == Some(&old) { commented } else { text };
        let target = value(&new.to_string());
        match patch(&Format::Yaml, text.as_bytes(), &target) {
            Ok(result) => {
                let result = String::from_utf8(result).unwrap();
                let judged: serde_json::Value = yaml_serde::from_str(&result).unwrap();
                prop_assert_eq!(judged, new, "{}", result);
            }
            Err(Unpatchable::Unwritable(_)) => {}
            Err(error) => prop_assert!(false, "{error}\n{text}\n{target}"),
        }
    }
}
