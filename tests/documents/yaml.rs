//! YAML as people write it: an edit changes the bytes of what it edits and no others.

mod edits;
mod generated;
mod large;
mod layouts;
mod refusals;

use cfgwal::document::{Format, Unpatchable, parse, patch};
use cfgwal::{Op, Path, State, Value};
use yaml_serde::Value as Judged;

/// What is JSON is YAML.
fn value(json: &str) -> Value {
    read(json)
}

fn read(text: &str) -> Value {
    parse(&Format::Yaml, text.as_bytes()).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"))
}

/// What another reader sees. Integers that it has no room for are made shorter.
fn judged(text: &str) -> Judged {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("123456789012345678901", "12345678");
    yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Whether that is this value.
fn is_judged(text: &str, expected: &Value) -> bool {
    fn same(judged: &Judged, expected: &Value) -> bool {
        match (judged, expected) {
            (Judged::Null, Value::Null) => true,
            (Judged::Bool(judged), Value::Bool(bool)) => judged == bool,
            (Judged::String(judged), Value::String(text)) => {
                judged.replace("12345678", "123456789012345678901") == **text
            }
            (Judged::Number(judged), Value::Number(number)) => {
                judged.as_f64() == number.text().replace("123456789012345678901", "12345678").parse().ok()
            }
            (Judged::Sequence(judged), Value::Array(list)) => {
                judged.len() == list.len() && judged.iter().zip(list).all(|(judged, value)| same(judged, value))
            }
            (Judged::Mapping(judged), Value::Object(map)) => {
                judged.len() == map.len()
                    && judged
                        .iter()
                        .zip(map)
                        .all(|((name, judged), (key, value))| name.as_str() == Some(key) && same(judged, value))
            }
            _ => false,
        }
    }
    let judged = judged(text);
    same(&judged, expected) || judged.is_null() && *expected == Value::object()
}

/// What the text becomes, or why it is left alone.
fn attempt(text: &str, op: Op) -> Result<String, String> {
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
