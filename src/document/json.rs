//! JSON and JSONC: one code, two dialects.
//!
//! `scan` reads a text into tokens, `tree` those into spans, `row` knows which text around an item belongs to it, `splice` walks
//! tree and target side by side and says which bytes to replace, `layout` writes what is new.

mod layout;
mod row;
mod scan;
mod splice;
mod tree;

use super::{Format, Invalid, Unpatchable, decode, seal};
use crate::limits;
use crate::value::Value;
use tree::Tree;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// RFC 8259.
    Strict,
    /// Comments, and a comma behind the last item.
    Comments,
}

impl Dialect {
    fn of(format: &Format) -> Dialect {
        match format {
            Format::Json => Dialect::Strict,
            _ => Dialect::Comments,
        }
    }
}

pub(super) fn parse(format: &Format, text: &[u8]) -> Result<Value, Invalid> {
    let (_, body) = decode(text)?;
    Ok(Tree::parse(body, Dialect::of(format))?.value(Tree::ROOT))
}

pub(super) fn patch(format: &Format, text: &[u8], target: &Value) -> Result<Vec<u8>, Unpatchable> {
    let (bom, body) = decode(text)?;
    let dialect = Dialect::of(format);
    let tree = Tree::parse(body, dialect)?;
    check_writable(target, 0)?;
    let patched = splice::patch(&tree, target)?;
    seal(bom, patched, |patched| stands_for(patched, dialect, target))
}

fn stands_for(patched: &str, dialect: Dialect, target: &Value) -> Result<bool, Invalid> {
    Ok(Tree::parse(patched, dialect)?.matches(Tree::ROOT, target))
}

pub(super) fn render(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Whether `target` keeps to the limits, so that what is written can be read again. `depth` containers
/// are around it.
fn check_writable(target: &Value, depth: usize) -> Result<(), Unpatchable> {
    let deep = || Err(Unpatchable::Unwritable(format!("the value is nested deeper than {} levels", limits::DEPTH_MAX)));
    match target {
        Value::Array(_) | Value::Object(_) if depth >= limits::DEPTH_MAX => deep(),
        Value::Array(list) => list.iter().try_for_each(|value| check_writable(value, depth + 1)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            if key.len() > limits::KEY_MAX {
                let why = format!("a key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX);
                return Err(Unpatchable::Unwritable(why));
            }
            check_writable(value, depth + 1)
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proven(patched: &str, target: &str) -> bool {
        let target = parse(&Format::Json, target.as_bytes()).expect("a test's own text");
        stands_for(patched, Dialect::Strict, &target) == Ok(true)
    }

    #[test]
    fn a_result_that_is_not_the_target_is_not_proven() {
        assert!(proven(r#"{"a": [1, "\u0061"], "b": 1.0}"#, r#"{"a":[1,"a"],"b":1.0}"#));
        for wrong in [
            r#"{"a": [1, "a"], "b": 1}"#,
            r#"{"b": 1.0, "a": [1, "a"]}"#,
            r#"{"a": [1, "a", 2], "b": 1.0}"#,
            r#"{"a": [1], "b": 1.0}"#,
            r#"{"a": [1, "a"]}"#,
            r#"{"a": [1, "a"], "b": 1.0, "c": 1}"#,
            r#"{"a": [1, "a"], "b": 1.0"#,
            r#"{"a": [1, "a"], "b": "1.0"}"#,
            r#"{"a": {"1": "a"}, "b": 1.0}"#,
            "null",
        ] {
            assert!(!proven(wrong, r#"{"a":[1,"a"],"b":1.0}"#), "{wrong}");
        }
    }
}
