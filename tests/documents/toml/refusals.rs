//! What is not TOML, what no TOML can hold, and what the person is told.

use cfgwal::document::{Format, Invalid, Unpatchable, parse, patch};
use cfgwal::{Number, Op, State, Value};

use super::value;

#[track_caller]
fn says(text: &str, line: usize, column: usize, why: &str) -> Invalid {
    let invalid = parse(&Format::Toml, text.as_bytes()).unwrap_err();
    assert_eq!((invalid.line, invalid.column), (line, column), "{invalid}");
    assert!(invalid.why.contains(why), "{invalid}");
    assert_eq!(patch(&Format::Toml, text.as_bytes(), &Value::object()), Err(Unpatchable::Invalid(invalid.clone())));
    invalid
}

#[track_caller]
fn unwritable(text: &str, target: &Value, why: &str) {
    match patch(&Format::Toml, text.as_bytes(), target) {
        Err(Unpatchable::Unwritable(said)) => assert!(said.contains(why), "{said}"),
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn what_does_not_parse_is_named_with_its_place() {
    says("a = 1\nb = \n", 2, 5, "");
    says("a = 1\n[t\n", 2, 3, "");
    says("a = 1\n\n[t]\na = \"x\n", 4, 7, "");
    says("\u{feff}\u{feff}a = 1\n", 1, 1, "a second byte order mark");
}

#[test]
fn keys_and_tables_written_twice_are_refused() {
    says("a = 1\na = 2\n", 2, 1, "duplicate key");
    says("[t]\n[u]\n[t]\n", 3, 2, "duplicate key");
    says("a.b = 1\n[a]\n", 2, 2, "duplicate key");
    says("a = [1]\n[[a]]\n", 2, 3, "");
}

#[test]
fn mixed_line_ends_are_refused() {
    says("a = 1\r\nb = 2\nc = 3\r\n", 2, 6, "this line ends in LF, and those before it in CRLF");
    says("a = 1\nb = 2\r\n", 2, 6, "this line ends in CRLF, and those before it in LF");
}

#[test]
fn nesting_is_limited_before_it_is_followed() {
    says(&format!("a = {}", "[".repeat(100_000)), 1, 85, "");
    says(&format!("a = {}", "{a=".repeat(100_000)), 1, 245, "");
    let dotted = vec!["a"; 100_000].join(".");
    assert!(parse(&Format::Toml, format!("{dotted} = 1").as_bytes()).is_err());
    assert!(parse(&Format::Toml, format!("[{dotted}]").as_bytes()).is_err());
    let deep = vec!["a"; 60].join(".");
    assert!(parse(&Format::Toml, format!("[{deep}]\n{deep} = 1").as_bytes()).unwrap_err().why.contains("80 levels"));
    assert!(parse(&Format::Toml, format!("a = {}{}", "[".repeat(79), "]".repeat(79)).as_bytes()).is_ok());
    let mut target = Value::from(1);
    for _ in 0..90 {
        target = [("a", target)].into_iter().collect();
    }
    unwritable("", &target, "80 levels");
    unwritable("b = 1", &target, "80 levels");
}

#[test]
fn null_and_numbers_that_do_not_fit_are_unwritable() {
    let with = |value: Value| -> Value { [("a", value)].into_iter().collect() };
    let number = |text: &str| Value::Number(Number::parse(text).unwrap());
    unwritable("a = 1\n", &with(Value::Null), "TOML has no null; remove the key");
    unwritable("a = 1\n", &with(Value::from(vec![Value::Null])), "TOML has no null");
    unwritable("a = 1\n", &with(number("9223372036854775808")), "64 bits; write a string or a float");
    unwritable("a = 1\n", &with(number("1e999")), "too large");
    unwritable("a = 1\n", &Value::from(1), "must be an object");
    assert!(patch(&Format::Toml, b"a = 1\n", &with(number("-9223372036854775808"))).is_ok());
}

#[test]
fn a_table_with_comments_does_not_become_a_value() {
    for (text, path, new) in [
        ("[owner] # the one\nname = 1\n", "owner", Value::from(1)),
        ("# above\n[owner]\nname = 1\n", "owner", Value::from("x")),
        ("[owner]\nname = 1\n[owner.x]\ny = 1 # deep\n", "owner", Value::from(vec![1])),
        ("[[o]]\n# in\nname = 1\n", "o", Value::object()),
        ("o = [\n1, # one\n]\n", "o", Value::from(1)),
        ("o.x = 1 # dotted\n", "o", Value::from(1)),
    ] {
        let mut state = State::new(value(text));
        state.apply(&[Op::set(path, new)]).unwrap();
        unwritable(text, state.root(), "has comments inside, which would be lost");
    }
}
