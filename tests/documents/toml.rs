//! TOML files as people write them: an edit changes the bytes of what it edits and no others.

mod edits;
mod generated;
mod large;
mod layouts;
mod refusals;

use ::toml as judge;
use cfgwal::document::{Format, parse, patch};
use cfgwal::{Op, State, Value};

fn value(text: &str) -> Value {
    parse(&Format::Toml, text.as_bytes()).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"))
}

/// `text` patched to `target`, and judged by another reader.
fn patched(text: &str, target: &Value) -> String {
    let result = patch(&Format::Toml, text.as_bytes(), target);
    let result = result.unwrap_or_else(|error| panic!("{error}\nfrom {text}\nto {target}"));
    let result = String::from_utf8(result).unwrap();
    assert!(is_judged(&result, target), "from {text}\nto {result}\nwanted {target}");
    result
}

/// Whether the `toml` crate reads this text as this value.
fn is_judged(text: &str, expected: &Value) -> bool {
    fn same(read: &judge::Value, expected: &Value) -> bool {
        match (read, expected) {
            (judge::Value::String(read), Value::String(text)) => **read == **text,
            (judge::Value::Boolean(read), Value::Bool(bool)) => read == bool,
            (judge::Value::Integer(read), Value::Number(number)) => number.as_i64() == Some(*read),
            (judge::Value::Float(read), Value::Number(number)) => {
                number.text().contains(['.', 'e', 'E']) && number.as_f64() == Some(*read)
            }
            // As they are spelled.
            (judge::Value::Float(read), Value::String(text)) => text
                .parse()
                .is_ok_and(|float: f64| !float.is_finite() && (float == *read || float.is_nan() && read.is_nan())),
            (judge::Value::Datetime(read), Value::String(text)) => {
                text.parse().is_ok_and(|date: judge::value::Datetime| date == *read)
            }
            (judge::Value::Array(read), Value::Array(list)) => {
                read.len() == list.len() && read.iter().zip(list).all(|(read, value)| same(read, value))
            }
            (judge::Value::Table(read), Value::Object(map)) => {
                read.len() == map.len()
                    && read.iter().all(|(key, read)| map.get(key).is_some_and(|value| same(read, value)))
            }
            _ => false,
        }
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read: judge::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    same(&judge::Value::Table(read), expected)
}

/// `text` after these ops.
fn edited(text: &str, ops: &[Op]) -> String {
    let mut state = State::new(value(text));
    state.apply(ops).unwrap_or_else(|refusal| panic!("{refusal}\n{text}"));
    patched(text, state.root())
}
