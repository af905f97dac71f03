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
//! `tree` finds the spans of a text, `splice` says which bytes to replace, `write` and `scalar` write what is new. Each result is
//! read twice: by the parser that found the spans and, in `other`, by one that shares no code with it.

mod other;
mod scalar;
mod splice;
mod tree;
mod write;

use super::{Invalid, Unpatchable, decode_any, edit, seal};
use crate::limits;
use crate::value::Value;
use splice::Moving;
use tree::Tree;

pub(super) fn parse(text: &[u8]) -> Result<Value, Invalid> {
    let (_, body) = decode_any(text)?;
    Ok(Tree::parse(body)?.value())
}

pub(super) fn patch(text: &[u8], target: &Value) -> Result<Vec<u8>, Unpatchable> {
    let (bom, body) = decode_any(text)?;
    let tree = Tree::parse(body)?;
    let value = tree.value();
    check(target, 0)?;
    if value == *target {
        return Ok(text.to_vec());
    }
    if body.replace("\r\n", "").contains('\r') {
        let why = "a line ends in a carriage return alone, which readers do not agree about; save the file with other line ends";
        return Err(Unpatchable::Unwritable(why.to_owned()));
    }
    // A text without a final line break gets one for as long as it is edited.
    let line_break = match body.is_empty() || body.ends_with('\n') {
        true => "",
        false if body.contains("\r\n") => "\r\n",
        false => "\n",
    };
    let ended = [body, line_break].concat();
    let tree = if line_break.is_empty() { tree } else { end(&tree, &ended)? };
    let proven = |moving| {
        let mut patched = edit::apply(&ended, 0..ended.len(), splice::patch(&tree, target, moving)?)?;
        let len = patched.strip_suffix(line_break).unwrap_or(&patched).len();
        // What is last now may need it.
        if len < patched.len() && stands_for(&patched[..len], target).is_ok_and(|same| same) {
            patched.truncate(len);
        }
        seal(bom, patched, |patched| stands_for(patched, target))
    };
    // Not all text says the same at another place: an alias before its anchor, what ends in blank lines.
    let ways = [Moving::SpelledOut, Moving::IfUnshared, Moving::Anew];
    let proven = ways.into_iter().fold(proven(Moving::AsTheyAre), |done, way| done.or_else(|_| proven(way)));
    proven.map_err(|error| match error {
        Unpatchable::Unproven(_) => disagreement(body, &value).map_or(error, Unpatchable::Unwritable),
        error => error,
    })
}

/// `ended`, which is the tree's text and a line break.
fn end<'e>(tree: &Tree<'_>, ended: &'e str) -> Result<Tree<'e>, Unpatchable> {
    let value = tree.value();
    let ends_in_scalar = tree.block_scalars.last() == Some(&tree.text.len());
    let is_agreed = !ends_in_scalar || stands_for(tree.text, &value).is_ok_and(|same| same);
    let tree = Tree::parse(ended)?;
    if is_agreed && tree.value() == value {
        return Ok(tree);
    }
    let why = "the last value is a block scalar without a final newline, and readers do not agree on whether it ends in \
               one; end the file with a newline first";
    Err(Unpatchable::Unwritable(why.to_owned()))
}

/// What readers do not agree about in this text, whatever becomes of it.
fn disagreement(body: &str, value: &Value) -> Option<String> {
    let tabbed = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    match stands_for(body, value) {
        Ok(true) => body.lines().position(tabbed).map(|line| {
            format!("line {} begins with a tab, which not all readers take everywhere; write spaces", line + 1)
        }),
        Ok(false) => Some("other readers of YAML read this file as something else; edit it by hand".to_owned()),
        Err(Invalid { line, column, why, .. }) => {
            Some(format!("line {line}, column {column}: {why}; change that by hand"))
        }
    }
}

fn stands_for(text: &str, value: &Value) -> Result<bool, Invalid> {
    Ok(Tree::parse(text)?.value() == *value && other::agrees(text, value)?)
}

pub(super) fn render(value: &Value) -> Vec<u8> {
    rendered(value).into_bytes()
}

fn rendered(value: &Value) -> String {
    let mut out = String::new();
    let style = write::Style::default();
    write::block(&mut out, value, 0, &style);
    out.push('\n');
    out
}

pub(super) fn begin(value: &Value) -> Result<Vec<u8>, Unpatchable> {
    check(value, 0)?;
    seal(&[], rendered(value), |text| stands_for(text, value))
}

/// Whether `target` keeps to the limits, so that what is written can be read again.
fn check(target: &Value, depth: usize) -> Result<(), Unpatchable> {
    let refuse = |why: String| Err(Unpatchable::Unwritable(why));
    match target {
        Value::Array(_) | Value::Object(_) if depth >= limits::DEPTH_MAX => {
            refuse(format!("the value is nested deeper than {} levels", limits::DEPTH_MAX))
        }
        Value::Array(list) => list.iter().try_for_each(|value| check(value, depth + 1)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            if key.len() > limits::KEY_MAX {
                return refuse(format!("a key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX));
            }
            if is_long_when_written(key) {
                return refuse(format!("a key takes more than {WRITTEN_KEY_MAX} characters when it is written"));
            }
            check(value, depth + 1)
        }),
        _ => Ok(()),
    }
}

/// Readers do not take longer keys on one line.
const WRITTEN_KEY_MAX: usize = 1_000;

fn is_long_when_written(key: &str) -> bool {
    // No character becomes more than ten.
    if key.len() * 10 < WRITTEN_KEY_MAX {
        return false;
    }
    let mut out = String::new();
    write::string(&mut out, key, Some('\''));
    out.chars().count() > WRITTEN_KEY_MAX
}
