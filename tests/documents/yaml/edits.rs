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
        ("l:\n- a: 1\n  # of b\n  b: 2\n  c: 3\n", set("l[0]", "{\"c\": 3}"), "l:\n- # of b\n  c: 3\n"),
        (
            "a:\n  x: 1\n  # y: 2\nb: 1\n",
            Op::Place { path: path("k"), value: value("1"), before: Some("b".to_owned()) },
            "a:\n  x: 1\n  # y: 2\nk: 1\nb: 1\n",
        ),
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
        ("m: {a: # c\n  }\n", set("m.b", "1"), "m: {a: , b: 1 # c\n  }\n"),
        ("m: {a: , b: 1 # c\n  }\n", remove("m.b"), "m: {a:  # c\n  }\n"),
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

/// `text` patched to the same with the items in another order, or with others in it.
#[track_caller]
fn becomes(text: &str, target: &str, expected: &str) {
    let result = patch(&Format::Yaml, text.as_bytes(), &read(target)).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let result = String::from_utf8(result).unwrap();
    assert!(result == expected, "from\n{text}\nto\n{result}\ninstead of\n{expected}");
}

#[test]
fn what_moves_brings_its_spelling_and_the_comments_that_speak_of_it() {
    let text = "services:\n  # the first\n  web:\n    image: 'nginx' # pinned\n    # not yet:\n    # tls: on\n    ports: [0x50,  443]\n\n  \
        # the store\n  db:\n    image: \"pg\"\n    # ready: no\n  cache: {size: 1_000}\nend: 1\n";
    becomes(
        text,
        "services: {cache: {size: '1_000'}, web: {image: nginx, ports: ['0x50', 443]}, db: {image: pg}}\nend: 1\n",
        "services:\n  cache: {size: 1_000}\n  # the first\n  web:\n    image: 'nginx' # pinned\n    # not yet:\n    # tls: on\n    \
         ports: [0x50,  443]\n\n  # the store\n  db:\n    image: \"pg\"\n    # ready: no\nend: 1\n",
    );
    becomes(
        text,
        "services: {db: {image: pg}, cache: {size: '1_000'}, web: {image: apache, ports: ['0x50', 443]}}\nend: 1\n",
        "services:\n\n  # the store\n  db:\n    image: \"pg\"\n    # ready: no\n  cache: {size: 1_000}\n  # the first\n  web:\n    \
         image: 'apache' # pinned\n    # not yet:\n    # tls: on\n    ports: [0x50,  443]\nend: 1\n",
    );
}

#[test]
fn elements_move_with_their_lines() {
    becomes(
        "l:\n- a: 0x1 # one\n  # b: 2\n- 'b' # two\n# of c\n- |\n  c\nx: 1\n",
        "l: [\"c\\n\", {a: '0x1'}, b]\nx: 1\n",
        "l:\n# of c\n- |\n  c\n- a: 0x1 # one\n  # b: 2\n- 'b' # two\nx: 1\n",
    );
    becomes(
        "- a: 1 # c\n  b: 2\n  # of c\n  c: '3'\n",
        "- {c: '3', a: 1, b: 2}\n",
        "- # of c\n  c: '3'\n  a: 1 # c\n  b: 2\n",
    );
    becomes("- a: '1' # c\n  b: 2\n  c: 3\n", "- {b: 2, c: 3, a: '1'}\n", "- b: 2\n  c: 3\n  a: '1' # c\n");
    becomes("l: ['a', \"b\", 0x1F]\n", "l: ['0x1F', a, b]\n", "l: [0x1F, 'a', \"b\"]\n");
    becomes(
        "l: [\n  'a', # one\n  [b, # in\n   c], # two\n  d # three\n]\n",
        "l: [[b, c], d, a, e]\n",
        "l: [\n  [b, # in\n   c], # two\n  d, # three\n  'a', # one\n  e\n]\n",
    );
    becomes("m: {a: 'x', b: [1,2]}\n", "m: {b: [1, 2], a: x}\n", "m: {b: [1,2], a: 'x'}\n");
    becomes("a: 1\nb: 2\nc: |+\n  x\n\n# end\n", "{c: \"x\\n\\n\", a: 1, b: 2}", "c: |+\n  x\n\na: 1\nb: 2\n# end\n");
}

#[test]
fn a_comment_above_all_items_stays_above_them() {
    becomes(
        "ports:\n  # public\n  - 1\n  - 2\n  - 3\n",
        "ports: [2, 3, 1]\n",
        "ports:\n  # public\n  - 2\n  - 3\n  - 1\n",
    );
    becomes("# licence\na: 1\n# of b\nb: 2\nc: 3\n", "{b: 2, c: 3, a: 1}", "# licence\n# of b\nb: 2\nc: 3\na: 1\n");
    becomes(
        "# licence\n\n# of a\na: 1\n# of b\nb: 2\nc: 3\n",
        "{b: 2, c: 3, a: 1}",
        "# licence\n\n# of b\nb: 2\nc: 3\n# of a\na: 1\n",
    );
}

#[test]
fn tags_aliases_and_anchors_move_where_they_can() {
    becomes("a: !t x\nb: 1\nc: 2\n", "{b: 1, c: 2, a: x}", "b: 1\nc: 2\na: !t x\n");
    becomes(
        "a: &x {y: 1}\nb:\n  <<: *x\nc: 2\n",
        "{a: {y: 1}, c: 2, b: {'<<': {y: 1}}}",
        "a: &x {y: 1}\nc: 2\nb:\n  <<: *x\n",
    );
    // Before its anchor an alias says nothing.
    becomes("a: &x 1\nb: *x\nc: 2\n", "{b: 1, a: 1, c: 2}", "b: 1\na: &x 1\nc: 2\n");
    becomes("a: &x 1\nb: *x\nc: 0x2 # c\nd: 3\n", "{d: 3, c: '0x2', b: 1, a: 1}", "d: 3\nc: 0x2 # c\nb: 1\na: &x 1\n");
    // What stands around it moves all the same.
    becomes(
        "a: &x {p: 1}\nb:\n  # of c\n  c: 0x2 # c\n  <<: *x # all\n  l: [*x, &z 5]\n  m: *z\nd: 3\n",
        "{b: {c: '0x2', '<<': {p: 1}, l: [{p: 1}, 5], m: 5}, a: {p: 1}, d: 3}",
        "b:\n  # of c\n  c: 0x2 # c\n  <<: {p: 1} # all\n  l: [{p: 1}, &z 5]\n  m: *z\na: &x {p: 1}\nd: 3\n",
    );
}

/// To readers of YAML 1.1 it is another key when it stands in quotes.
#[test]
fn a_merge_key_stays_one_in_a_value_that_is_written_anew() {
    let moved = |text: &str| patched(text, Op::Move { from: path("b.c"), to: path("d.c") }).unwrap();
    let old = "a: &x\n  p: 1\nb:\n  c:\n    <<: *x\n    z: 2\nd:";
    let rest = "a: &x\n  p: 1\nb: {}\nd:";
    assert_eq!(moved(&format!("{old}\n  e: 1\n")), format!("{rest}\n  e: 1\n  c:\n    <<:\n      p: 1\n    z: 2\n"));
    assert_eq!(moved(&format!("{old} {{'e': 1}}\n")), format!("{rest} {{'e': 1, 'c': {{<<: {{p: 1}}, z: 2}}}}\n"));
    let with = |json| patched("'a': 1\n", set("b", json)).unwrap();
    assert_eq!(with(r#"{"<<": [{"p": 1}]}"#), "'a': 1\n'b':\n  <<:\n    - p: 1\n");
    assert_eq!(patched("m: {\"a\":1}\n", set("m.<<", "{}")).unwrap(), "m: {\"a\":1, <<: {}}\n");
    // Nothing else can be merged.
    assert_eq!(with(r#"{"<<": ["p"]}"#), "'a': 1\n'b':\n  '<<':\n    - p\n");
}

#[test]
fn an_element_that_is_changed_behind_a_new_one_keeps_its_comments() {
    becomes(
        "# head\n\n# of a\n- name: 'a' # it\n  port: 1 # one\n# of b\n- name: 'b'\n  port: 1 # one\n# of c\n- name: c\n  port: 0x1\n",
        "[{name: x}, {name: c, port: 7}, {name: a, port: 2}, {name: b, port: 3}]\n",
        "# head\n\n- name: x\n# of c\n- name: c\n  port: 7\n# of a\n- name: 'a' # it\n  port: 2 # one\n# of b\n- name: 'b'\n  port: 3 # one\n",
    );
}

#[test]
fn what_has_another_name_and_a_change_in_it_is_known_again() {
    let text = "a: 1\n# of b\n'b': # b\n  x: '1' # x\n  y: [2,3]\n  # of z\n  z: 3 # z\nc: 2\n";
    becomes(
        text,
        "{a: 1, new: {x: '1', y: [2, 3], z: 4}, c: 2}",
        "a: 1\n# of b\n'new': # b\n  x: '1' # x\n  y: [2,3]\n  # of z\n  z: 4 # z\nc: 2\n",
    );
    becomes(
        text,
        "{a: 1, c: 2, new: {x: '1', y: [2, 3], z: 3}}",
        "a: 1\nc: 2\n# of b\n'new': # b\n  x: '1' # x\n  y: [2,3]\n  # of z\n  z: 3 # z\n",
    );
}
