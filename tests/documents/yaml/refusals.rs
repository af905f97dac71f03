//! What is not YAML or not to be edited, and what the person is told.

use cfgwal::Value;
use cfgwal::document::{Format, Unpatchable, parse, patch};

use super::{attempt as patched, remove, set};

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
        (anchored, set("d.<<", "{}"), "this is an alias"),
        (anchored, remove("a"), "line 3, line 5"),
        ("l: &x [1]\nm: *x\n", set("l[0]", "2"), "line 2; edit the file by hand"),
        ("a: !t {b: 1}\n", set("a", "1"), "has a tag"),
        ("? a\n", set("a", "1"), "write it as `key: value`"),
        ("a: [1, # c\n 2]\n", remove("a[0]"), "a comment would go with this"),
        ("a: [1, # c\n 2]\n", set("a", "1"), "there are comments inside"),
        ("a: 1\rb: 2\r", set("a", "3"), "other line ends"),
    ] {
        let refused = patched(text, op).expect_err(text);
        assert!(refused.contains(why), "{refused}");
    }
    let bomb = (1..9).fold("l0: &l0 [x]\n".to_owned(), |text, n| {
        format!("{text}l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "))
    });
    for (text, why) in [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key \"a\" is written twice; the first is at line 1, column 1"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("? [a, b]\n: 1\n", "a key that is no scalar"),
        ("{a: 1}: 2\n", "a key that is no scalar"),
        ("*x : 2\n", "unknown anchor"),
        ("a: &x 1\n*x : 2\n", "a key that is no scalar"),
        ("a: &x [*x]\n", "an alias inside of what it stands for"),
        (&bomb, "the aliases stand for too many values"),
        (&format!("a: &x 1\nl: [{}]\n", "*x, ".repeat(1_001)), "more than 1000 aliases"),
        (&"[".repeat(200_000), "recursion limit exceeded"),
        (&"- ".repeat(200_000), "deeper"),
        ("a: [1\n", "line "),
        ("\u{feff}\u{feff}a: 1\n", "line 1, column 1: a second byte order mark"),
    ] {
        let refused = parse(&Format::Yaml, text.as_bytes()).expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn nothing_deeper_or_longer_is_written_than_can_be_read() {
    let deep = (0..200).fold(Value::from(1), |value, _| [("a", value)].into_iter().collect());
    let long: Value = [("k".repeat(2_000), 1)].into_iter().collect();
    for (target, why) in [(deep, "128 levels"), (long, "2000 bytes; the limit is 1024")] {
        let refused = patch(&Format::Yaml, b"b: 1\n", &target).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

/// Readers do not take keys of any length on one line.
#[test]
fn the_longest_keys_are_written_so_that_they_can_be_read_or_refused() {
    for len in [900, 1_000, 1_020, 1_022, 1_023, 1_024] {
        for key in ["k".repeat(len), "'".repeat(len), "\n".repeat(len), "é".repeat(len / 2)] {
            let target: Value = [(key, 1)].into_iter().collect();
            match patch(&Format::Yaml, b"b: 1\n", &target) {
                Ok(result) => assert_eq!(parse(&Format::Yaml, &result).unwrap(), target),
                Err(refused) => assert!(matches!(refused, Unpatchable::Unwritable(_)), "{refused}"),
            }
        }
    }
}
