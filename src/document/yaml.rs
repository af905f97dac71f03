//! YAML 1.2, one document.
//!
//! | YAML | value |
//! | --- | --- |
//! | mapping, sequence | object, array |
//! | plain `null`, `~`, nothing | null |
//! | plain `true`, `false`, decimal number | boolean, number as it is written |
//! | every other scalar | string of its text |
//! | alias | what it stands for |
//!
//! What is written new is quoted wherever YAML 1.1 or 1.2 would read a plain scalar as something else than that string.
//!
//! `tree` finds the spans of a text, `splice` says which bytes to replace, `write` writes what is new. Each result is read
//! twice: by the parser that found the spans and by `yaml_serde`, which shares no code with it.

mod splice;
mod tree;
mod write;

use yaml_serde::Value as Other;

use super::{Invalid, Unpatchable, decode_any, edit, seal};
use crate::limits;
use crate::value::Value;
use tree::Tree;

pub(super) fn parse(text: &[u8]) -> Result<Value, Invalid> {
    let (_, body) = decode_any(text)?;
    Ok(Tree::parse(body)?.value())
}

pub(super) fn patch(text: &[u8], target: &Value) -> Result<Vec<u8>, Unpatchable> {
    let (bom, body) = decode_any(text)?;
    let tree = Tree::parse(body)?;
    check(target, 0)?;
    if tree.value() == *target {
        return Ok(text.to_vec());
    }
    let patched = edit::apply(body, 0..body.len(), splice::patch(&tree, target)?)?;
    if ends_in_block_scalar(&tree) && patched.lines().next_back() != body.lines().next_back() {
        // Readers do not agree on whether this value ends in a newline, so one more byte may change it.
        let why = "the last value is a block scalar without a final newline; end the file with a newline first";
        return Err(Unpatchable::Unwritable(why.to_owned()));
    }
    seal(bom, patched, |patched| stands_for(patched, target))
}

/// Whether the text ends in a block scalar and without a line break.
fn ends_in_block_scalar(tree: &Tree<'_>) -> bool {
    tree.nodes.iter().any(|node| node.end == tree.text.len() && tree.text[node.start..].starts_with(['|', '>']))
}

fn stands_for(patched: &str, target: &Value) -> Result<bool, Invalid> {
    if Tree::parse(patched)?.value() != *target {
        return Ok(false);
    }
    let other: Other = yaml_serde::from_str(patched).map_err(|error| {
        let at = error.location().map_or(0, |location| location.index());
        Invalid::at(patched, at.min(patched.len()), format!("another reader does not take it: {error}"))
    })?;
    Ok(agrees(&other, target, 0))
}

/// Whether the other reader sees `value`. It gives types to scalars that are strings here, such as `0x1F`.
fn agrees(other: &Other, value: &Value, depth: usize) -> bool {
    match (other, value) {
        (Other::Tagged(tagged), value) => agrees(&tagged.value, value, depth),
        (Other::Mapping(map), Value::Object(wanted)) => {
            map.len() == wanted.len()
                && map.iter().zip(wanted.iter()).all(|((name, other), (key, value))| {
                    name.as_str().is_none_or(|name| name == key) && agrees(other, value, depth + 1)
                })
        }
        (Other::Sequence(list), Value::Array(wanted)) => {
            list.len() == wanted.len() && list.iter().zip(wanted.iter()).all(|(a, b)| agrees(a, b, depth + 1))
        }
        (Other::String(text), Value::String(wanted)) => *text == **wanted,
        (Other::Number(_) | Other::Bool(_), Value::String(text)) => write::is_ambiguous(text),
        (Other::Null, Value::Object(map)) => depth == 0 && map.is_empty(),
        (Other::Null, Value::Null) => true,
        (Other::Bool(bool), Value::Bool(wanted)) => bool == wanted,
        (Other::Number(number), Value::Number(wanted)) => number.as_f64() == wanted.as_f64(),
        // Numbers that it cannot hold are strings to it.
        (Other::String(text), Value::Number(wanted)) => *text == wanted.text(),
        _ => false,
    }
}

pub(super) fn render(value: &Value) -> Vec<u8> {
    let mut out = String::new();
    let style = write::Style::default();
    write::block(&mut out, value, 0, &style);
    out.push('\n');
    out.into_bytes()
}

/// Whether `target` keeps to the limits, so that what is written can be read again.
fn check(target: &Value, depth: usize) -> Result<(), Unpatchable> {
    let refuse = |why: String| Err(Unpatchable::Unwritable(why));
    match target {
        Value::Array(_) | Value::Object(_) if depth >= limits::DEPTH_MAX => {
            refuse(format!("the value is nested deeper than {} levels", limits::DEPTH_MAX))
        }
        Value::Array(list) => list.iter().try_for_each(|value| check(value, depth + 1)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| match key.len() > limits::KEY_MAX {
            true => refuse(format!("a key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX)),
            false => check(value, depth + 1),
        }),
        _ => Ok(()),
    }
}
