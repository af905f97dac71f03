//! JSON and JSONC: one code, two dialects.
//!
//! `scan` reads a text into tokens, `parse` those into the tree of spans on which values in brackets are edited. Most edits
//! need no tree, and no proof does: `agree` walks text and value side by side, on what `walk` knows of the text.

mod agree;
mod parse;
mod scan;
mod walk;

use std::borrow::Cow;
use std::fmt::Write as _;

use self::agree::Differing;
use super::edit::{Splice, Spliced};
use super::flow::{self, Syntax, Tree};
use super::{Format, Invalid, Unpatchable, decode, edit, seal};
use crate::limits;
use crate::quote::quote;
use crate::value::{Number, Value, write_json};

/// What to do about a text with nothing in it.
const IF_EMPTY: &str = "write {} into it";

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

struct Json;

const JSON: &dyn Syntax = &Json;

impl Syntax for Json {
    fn string<'a>(&self, text: &'a str) -> Cow<'a, str> {
        scan::unescape(text)
    }

    fn scalar(&self, text: &str) -> Value {
        match text {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number => Value::Number(Number::parse(number).expect("checked when the text was scanned")),
        }
    }

    fn write_key(&self, out: &mut String, key: &str) {
        quote(out, key, |_| false).expect("a String takes any text");
    }

    fn write_scalar(&self, out: &mut String, value: &Value) {
        write!(out, "{value}").expect("a String takes any text");
    }

    fn colons(&self) -> &'static [&'static str] {
        &[": ", ":", " : ", " :"]
    }

    fn unit(&self) -> &'static str {
        "  "
    }

    fn padding(&self) -> &'static str {
        ""
    }

    fn is_ordered(&self) -> bool {
        true
    }

    fn has_lines(&self) -> bool {
        true
    }
}

pub(super) fn parse(format: &Format, text: &[u8]) -> Result<Value, Invalid> {
    let (_, body) = decode(text, IF_EMPTY)?;
    Ok(parse::parse(body, Dialect::of(format))?.value(Tree::ROOT))
}

pub(super) fn patch(format: &Format, text: &[u8], target: &Value) -> Result<Vec<u8>, Unpatchable> {
    let (bom, body) = decode(text, IF_EMPTY)?;
    let dialect = Dialect::of(format);
    if let Some(differing) = agree::differing(body, dialect, target) {
        let patched = edit::apply(body, 0..body.len(), differing.iter().map(replaced).collect())?;
        return seal(bom, patched, |patched| {
            let is_proven = agree::replaced_alone(body, patched, dialect, &differing);
            debug_assert!(
                !is_proven || stands_for(patched, dialect, target) == Ok(true),
                "read as a whole, it says the same"
            );
            Ok(is_proven || stands_for(patched, dialect, target)?)
        });
    }
    let tree = parse::parse(body, dialect)?;
    check_writable(target, 0)?;
    let splices = flow::patch(&tree, None, Tree::ROOT, target)?;
    let patched = edit::apply(body, 0..body.len(), splices)?;
    seal(bom, patched, |patched| stands_for(patched, dialect, target))
}

/// Replaces scalars alone; `None` where that is not enough.
pub(super) fn patch_known(format: &Format, text: &[u8], known: &Value, target: &Value) -> Option<Vec<Splice>> {
    let (bom, body) = decode(text, IF_EMPTY).ok()?;
    let dialect = Dialect::of(format);
    let differing = agree::changed(body, dialect, known, target)?;
    let proven = |one: &Differing<'_>| {
        let Splice { at, with } = replaced(one);
        let at = bom.len() + at.start..bom.len() + at.end;
        agree::is(&with, dialect, one.target).then_some(Splice { at, with })
    };
    let splices: Vec<Splice> = differing.iter().map(proven).collect::<Option<_>>()?;
    (Spliced::new(text, &splices).len() <= limits::RECORD_MAX).then_some(splices)
}

fn replaced(Differing { at, target }: &Differing<'_>) -> Splice {
    let mut with = String::new();
    JSON.write_scalar(&mut with, target);
    Splice { at: at.clone(), with }
}

fn stands_for(patched: &str, dialect: Dialect, target: &Value) -> Result<bool, Invalid> {
    let read = || Ok(parse::parse(patched, dialect)?.matches(Tree::ROOT, target));
    match agree::differing(patched, dialect, target) {
        Some(differing) if differing.is_empty() => {
            debug_assert_eq!(read(), Ok(true), "both read alike");
            Ok(true)
        }
        _ => read(),
    }
}

/// As it displays with `{:#}`.
fn lines(value: &Value) -> String {
    let mut text = String::new();
    write_json(&mut text, value, Some(0)).expect("a String takes any text");
    text.push('\n');
    text
}

pub(super) fn render(value: &Value) -> Vec<u8> {
    lines(value).into_bytes()
}

/// A config prints as JSON whatever is in it: only the length of that is to be looked at.
pub(super) fn begin(value: &Value) -> Result<Vec<u8>, Unpatchable> {
    seal(&[], lines(value), |_| Ok(true))
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
    use crate::op::Op;
    use crate::state::State;

    fn proven(patched: &str, target: &str) -> bool {
        let target = parse(&Format::Json, target.as_bytes()).expect("a test's own text");
        stands_for(patched, Dialect::Strict, &target) == Ok(true)
    }

    #[test]
    fn a_new_file_is_laid_out_as_its_value_displays() {
        for text in ["null", "[]", r#"{"a":[1,"x\"\u007f",[],{}],"b":{},"c":{"d":null,"e":-1.50}}"#] {
            let value = parse(&Format::Json, text.as_bytes()).expect("a test's own text");
            assert_eq!(lines(&value), format!("{value:#}\n"));
        }
    }

    #[test]
    fn what_is_known_of_a_text_changes_nothing_about_its_patch() {
        let text = "\u{feff}// ä\n{\"a\": [1, \"x\"], \"b\": {\"c\": null,}}\n".as_bytes();
        let known = State::new(parse(&Format::Jsonc, text).expect("a test's own text"));
        let splices = |ops: &[Op]| {
            let mut state = known.clone();
            state.apply(ops).expect("a test's own ops");
            (patch_known(&Format::Jsonc, text, known.root(), state.root()), state)
        };
        for ops in [&[][..], &[Op::set("a[0]", 22)], &[Op::set("b.c", "ö"), Op::set("a[1]", "")]] {
            let (splices, state) = splices(ops);
            let splices = splices.expect("scalars alone differ");
            let spliced = Spliced::new(text, &splices).bytes();
            assert_eq!(patch(&Format::Jsonc, text, state.root()).as_deref(), Ok(&*spliced), "{ops:?}");
        }
        // In the place of `null`, and in quotes.
        let longest = limits::RECORD_MAX - text.len() + 2;
        for (len, is_some) in [(longest, true), (longest + 1, false)] {
            assert_eq!(splices(&[Op::set("b.c", "x".repeat(len))]).0.is_some(), is_some, "{len}");
        }
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
