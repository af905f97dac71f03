//! Texts with one trait each, edited at the beginning, in the middle and at the end.

use cfgwal::document::{Format, patch};
use cfgwal::{Op, Path, State};

use super::{is_judged, read};
use crate::alike::alike;

/// All have the keys a, m and z in this order at `path`.
const TRAITS: &[(&str, &str, &str)] = &[
    ("plain", "", "a: 1\nm: 2\nz: 3\n"),
    ("crlf", "", "a: 1\r\nm: 2\r\n\r\nz: 3\r\n"),
    ("byte order mark", "", "\u{feff}a: 1\nm: 2\nz: 3\n"),
    ("no final newline", "", "a: 1\nm: 2\nz: 3"),
    ("crlf, no final newline", "", "a: 1\r\nm: 2\r\nz: 3"),
    ("comments", "", "# head\n\n# of a\na: 1 # 1\n# of m\nm: 2 # 2\n\n# of z\nz: 3 # 3\n# end"),
    ("blank lines", "", "\n\na: 1\n\nm: 2\n\n\nz: 3\n\n"),
    ("aligned", "", "a:    1\nm:    2\nz:    3\n"),
    ("two spaces", "t", "t:\n  a: 1\n  m: 2\n  z: 3\nu: 1\n"),
    ("four spaces", "t.t", "t:\n    t:\n        a: 1\n        m: 2\n        z: 3\n"),
    ("one space", "t", "x: 1\nt:\n a: 1\n m: 2\n z: 3"),
    ("in a sequence", "l[1]", "l:\n  - 1\n  - a: 1\n    m: 2\n    z: 3\n  - 2\n"),
    ("in a flush sequence", "l[0]", "l:\n- a: 1\n  # of m\n  m: 2 # 2\n  z: 3\nx: 1\n"),
    ("below the dash", "l[0]", "l:\n  -\n    a: 1\n    m: 2\n    z: 3\n"),
    ("document marks", "", "%YAML 1.2\n--- # here\na: 1\nm: 2\nz: 3\n...\n"),
    ("quoted keys", "", "\"a\": 1\n'm': 2\n\"\\u007A\": 3\n"),
    ("dotted keys beside", "", "x.y: 0\na: 1\nm: 2\nz: 3\n\"a.b\": 4\n"),
    ("numbers", "", "a: 0x1F\nm: 1_000\nz: 1.50e3\n"),
    ("numbers as keys beside", "", "8080: x\na: 1\nm: 2\nz: 3\ntrue: y\n"),
    ("what others read as something else", "", "a: yes\nm: 2024-01-01\nz: 12:30:45\n"),
    ("strings", "", "a: 'it''s' # 1\nm: \"x # \\\" y\"\nz: two words # 3\n"),
    ("strings on several lines", "", "a: one\n  two # 1\nm: 'one\n\n  two'\nz: \"one \\\n  two\"\n"),
    ("literals", "", "a: |\n  x # no comment\n\nm: |-\n    x\n     y\nz: |+\n  x\n\n# end\n"),
    ("folded", "", "a: >\n  x\n  y\n\nm: >-\n  x\n\n  y\nz: >+\n  x\n\n# end\n"),
    ("empty values", "", "a:\nm: ~\nz: null\n"),
    ("brackets", "", "a: [ 1,2 , ]\nm: [\n  1,\n  2\n] # end\nz: [[],[{}]]\n"),
    ("braces", "", "a: {}\nm: { x: 1, y: {z: 2} }\nz: {\n  x: 1\n}\n"),
    ("in braces", "t", "t: { a: 1, m: 2, z: 3 } # t\n"),
    ("in tight braces", "t", "t: {\"a\":1,\"m\":2,\"z\":3}\n"),
    ("in braces on several lines", "t", "t: {\n  a: 1, # 1\n  # of m\n  m: 2,\n  z: 3 # 3\n}\n"),
    ("in braces with a last comma", "t", "t: {\n  a: 1,\n  m: 2,\n  z: 3, # 3\n}\n"),
    ("json", "", "{\n  \"a\": 1,\n  \"m\": \"x\",\n  \"z\": [1, 2]\n}\n"),
    ("maps", "", "a:\n  x: 1\n\n# of m\nm: # m\n  x: 2\nz:\n  x: 3\n"),
    ("sequences", "", "a:\n- 1\n- 2\nm:\n- x: 1\n  y: 2\nz:\n- - 1\n  - 2\n"),
    ("anchors beside", "", "x: &x {y: 1}\na: 1\nm: 2\nz: 3\nu: *x\nv:\n  <<: *x\n"),
    ("anchors that nothing uses", "", "a: &x 1\nm: &y 'x'\nz: &z 3 # 3\n"),
    ("aliases", "", "x: &x 1\na: *x\nm: *x # 2\nz: *x\n"),
    ("tags beside", "", "x: !t 1\na: 1\nm: 2\nz: 3\ny: !!binary aGk=\n"),
    ("keys with a question mark", "", "? a\n: 1\n? m # 2\n: 2\n? z\n: 3\n"),
    ("not latin", "", "a: \"é😀\"\nm: \"\u{202e}\" # ü\nz: 日本 # ü\n"),
];

/// A new last item in brackets has its comma where the old one ends, and the rest behind the comment there.
fn without_commas(text: &str) -> String {
    text.replace(',', "")
}

/// Those that belong to no value.
fn comments(text: &str) -> usize {
    ["# head", "# of", "\n# end"].iter().map(|comment| text.matches(comment).count()).sum()
}

/// `text` after these ops, judged.
fn edited(name: &str, text: &str, ops: &[Op]) -> String {
    let mut state = State::new(read(text));
    state.apply(ops).unwrap_or_else(|refusal| panic!("{refusal}\n{text}"));
    let result = patch(&Format::Yaml, text.as_bytes(), state.root());
    let result = String::from_utf8(result.unwrap_or_else(|error| panic!("{name}: {error}"))).unwrap();
    // The judge gives types to what these hold.
    let is_odd =
        ["numbers", "numbers as keys beside", "what others read as something else", "tags beside"].contains(&name);
    assert!(is_odd || is_judged(&result, state.root()), "{name}: {result}");
    result
}

#[test]
fn whatever_the_layout_an_edit_changes_its_own_bytes() {
    for (name, map, text) in TRAITS {
        let map = Path::parse(map).unwrap();
        assert!(read(text).get(&map).unwrap().as_object().unwrap().len() >= 3, "{name}");
        for key in ["a", "m", "z"] {
            let path = map.join(key);

            let removed = edited(name, text, &[Op::remove(path.clone())]);
            // With the last item in brackets goes the comma before it.
            let (plain, plain_removed) = (without_commas(text), without_commas(&removed));
            assert_eq!(alike(&plain, &plain_removed), plain_removed.len(), "{name}, {key} removed: {removed}");
            assert_eq!(comments(text), comments(&removed), "{name}, {key} removed: {removed}");
            assert_eq!(text.ends_with('\n'), removed.ends_with('\n'), "{name}, {key}: {removed:?}");

            let changed = edited(name, text, &[Op::set(path.clone(), "new")]);
            let start = text.bytes().zip(changed.bytes()).take_while(|(a, b)| a == b).count();
            let end = alike(text, &changed) - start;
            let new = &changed[start..changed.len() - end];
            assert!(new.len() <= "\"new\"".len() + 2, "{name}, {key} changed: {new:?} in {changed}");
            assert_eq!(comments(text), comments(&changed), "{name}, {key} changed: {changed}");

            let place = Op::Place { path: map.join("n"), value: 9.into(), before: Some(key.to_owned()) };
            let added = edited(name, text, &[place]);
            assert_eq!(alike(text, &added), text.len(), "{name}, before {key}: {added}");
            assert!(added.len() - text.len() < 20, "{name}, before {key}: {added}");
            assert_eq!(text.ends_with('\n'), added.ends_with('\n'), "{name}, {key}: {added:?}");

            let renamed = edited(name, text, &[Op::move_to(path, map.join("renamed"))]);
            assert_eq!(renamed.matches("renamed").count(), 1, "{name}, {key} renamed: {renamed}");
            assert_eq!(comments(text), comments(&renamed), "{name}, {key} renamed: {renamed}");
        }
        let added = edited(name, text, &[Op::set(map.join("n"), 9)]);
        let (plain, plain_added) = (without_commas(text), without_commas(&added));
        assert_eq!(alike(&plain, &plain_added), plain.len(), "{name}, added: {added}");
        assert_eq!(edited(name, text, &[Op::set(map.join("n"), 9), Op::remove(map.join("n"))]), *text, "{name}");
    }
}

#[test]
fn what_was_added_and_is_removed_again_leaves_the_text_as_it_was() {
    for (name, map, text) in TRAITS {
        let new = Path::parse(map).unwrap().join("n");
        let value = super::value("{\"x\": [1, {\"y\": null}], \"z\": \"\"}");
        let added = edited(name, text, &[Op::set(new.clone(), value)]);
        assert_eq!(edited(name, &added, &[Op::remove(new)]), *text, "{name}: {added}");
    }
}
