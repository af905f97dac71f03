//! TOML.
//!
//! | TOML | value |
//! | --- | --- |
//! | table, in whatever way it is written | object |
//! | array, array of tables | array |
//! | integer, float | number, as it is written but for `_` and `+`; hexadecimal, octal and binary as decimal |
//! | date, time, `inf`, `nan` | string, as it is written: a value has no kind for them |
//! | string, boolean | the same |
//!
//! What is not changed keeps its bytes, so a date stays a date and `0x1F` stays what it is; what is changed is written
//! as what it is: a string over a date becomes a string. The order of keys says nothing in TOML, and a key cannot stand
//! behind the tables that follow it in a value; so order is neither compared nor restored.
//!
//! An inline table that has a key of several words inside is one piece: it is written anew when something in it changes.
//!
//! `toml_edit` reads, and is the judge of each result; `scan` finds the spans of a text that it has read, `tables` tells
//! which lines make which table, `splice` says which bytes to replace, `write` writes what is new.

mod scan;
mod splice;
mod tables;
mod write;

use toml_edit::{Item, TableLike};

use super::{Invalid, Unpatchable, decode_any, edit, seal};
use crate::limits;
use crate::op::Op;
use crate::path::Path;
use crate::value::{Map, Number, Value};
use scan::Scanned;
use splice::Moving;

/// How deep tables and arrays may nest. `toml_edit` reads no deeper, and so do others.
const DEPTH_MAX: usize = 80;

pub(super) fn parse(text: &[u8]) -> Result<Value, Invalid> {
    let (_, body) = decode_any(text)?;
    read(body)
}

pub(super) fn patch(text: &[u8], target: &Value) -> Result<Vec<u8>, Unpatchable> {
    let (bom, body) = decode_any(text)?;
    let old = read(body)?;
    let Value::Object(map) = target else { return Err(Unpatchable::Unwritable(ROOT.to_owned())) };
    check(target, 0, false).map_err(Unpatchable::Unwritable)?;
    if alike(&old, target) {
        return Ok(text.to_vec());
    }
    let scanned = Scanned::new(body);
    let proven = |moving| {
        let patched = edit::apply(body, 0..body.len(), splice::patch(&scanned, map, moving)?)?;
        seal(bom, patched, |patched| Ok(alike(&read(patched)?, target)))
    };
    proven(Moving::AsTheyAre).or_else(|_| proven(Moving::Anew))
}

pub(super) fn render(value: &Value) -> Vec<u8> {
    value.as_object().map(rendered).unwrap_or_default().into_bytes()
}

fn rendered(map: &Map) -> String {
    let mut out = String::new();
    write::Writer::default().tables(&mut out, &mut Vec::new(), map);
    out
}

pub(super) fn begin(value: &Value) -> Result<Vec<u8>, Unpatchable> {
    let Value::Object(map) = value else { return Err(Unpatchable::Unwritable(ROOT.to_owned())) };
    check(value, 0, false).map_err(Unpatchable::Unwritable)?;
    seal(&[], rendered(map), |text| Ok(alike(&read(text)?, value)))
}

const ROOT: &str = "a TOML document is a table, so the config must be an object";

/// What `toml_edit` makes of a text without a byte order mark.
fn read(text: &str) -> Result<Value, Invalid> {
    refuse_mixed_line_ends(text)?;
    let document = toml_edit::Document::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Invalid::at(text, at, error.message().replace('\n', "; "))
    })?;
    Reader { text }.table(document.as_table(), 0)
}

/// A new line would have to end in one way or the other, and some editors make all lines alike when they save.
fn refuse_mixed_line_ends(text: &str) -> Result<(), Invalid> {
    let crlf = text.find('\n').is_some_and(|at| text[..at].ends_with('\r'));
    let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at);
    for at in ends {
        if text[..at].ends_with('\r') != crlf {
            let [here, before] = if crlf { ["LF", "CRLF"] } else { ["CRLF", "LF"] };
            let why =
                format!("this line ends in {here}, and those before it in {before}; save the file with one of them");
            return Err(Invalid::at(text, at - usize::from(!crlf), why));
        }
    }
    Ok(())
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn table(&self, table: &dyn TableLike, depth: usize) -> Result<Value, Invalid> {
        let mut map = Map::new();
        for (key, item) in table.iter() {
            if key.len() > limits::KEY_MAX {
                let at = table.get_key_value(key).and_then(|(key, _)| key.span()).map_or(0, |span| span.start);
                let why = format!("the key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX);
                return Err(Invalid::at(self.text, at, why));
            }
            map.insert(key, self.item(item, depth + 1)?);
        }
        Ok(Value::Object(map))
    }

    fn item(&self, item: &Item, depth: usize) -> Result<Value, Invalid> {
        if depth > DEPTH_MAX {
            let at = item.span().map_or(0, |span| span.start);
            return Err(Invalid::at(self.text, at, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        match item {
            Item::None => Ok(Value::Null),
            Item::Table(table) => self.table(table, depth),
            Item::ArrayOfTables(tables) => {
                tables.iter().map(|table| self.table(table, depth + 1)).collect::<Result<Vec<_>, _>>().map(Value::from)
            }
            Item::Value(value) => self.value(value, depth),
        }
    }

    fn value(&self, value: &toml_edit::Value, depth: usize) -> Result<Value, Invalid> {
        use toml_edit::Value as Toml;
        let span = || value.span().unwrap_or_default();
        if depth > DEPTH_MAX {
            return Err(Invalid::at(self.text, span().start, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(match value {
            Toml::String(text) => Value::from(text.value().as_str()),
            Toml::Boolean(bool) => Value::from(*bool.value()),
            Toml::Integer(_) | Toml::Float(_) | Toml::Datetime(_) => bare(&self.text[span()]),
            Toml::Array(items) => {
                let items = items.iter().map(|item| self.value(item, depth + 1));
                Value::from(items.collect::<Result<Vec<_>, _>>()?)
            }
            Toml::InlineTable(table) => self.table(table, depth)?,
        })
    }
}

/// What is written without quotes: a number or, where no number can stand for it, its text.
fn bare(text: &str) -> Value {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    let radix = match digits.get(..2) {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => return Number::parse(digits).map_or_else(|| Value::from(text), Value::Number),
    };
    i64::from_str_radix(&digits[2..], radix).map_or_else(|_| Value::from(text), Value::from)
}

/// Equal but for the order of keys.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (a, b) => a == b,
    }
}

/// `view` without the keys that have null.
pub(super) fn without_nulls(view: &Value) -> Value {
    match view {
        Value::Object(map) => {
            let there = map.entries().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        scalar => scalar.clone(),
    }
}

/// Whether TOML can write a value, `depth` tables and arrays around it. In a merge, null removes.
fn check(value: &Value, depth: usize, merge: bool) -> Result<(), String> {
    match value {
        _ if depth > DEPTH_MAX => {
            Err(format!("the value is nested deeper than {DEPTH_MAX} levels, and TOML is read no deeper"))
        }
        Value::Null if merge => Ok(()),
        Value::Null => Err("TOML has no null; remove the key instead".to_owned()),
        Value::Number(number) => check_number(number),
        Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1, false)),
        Value::Object(map) => map.iter().try_for_each(|(key, value)| {
            if key.len() > limits::KEY_MAX {
                return Err(format!("a key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX));
            }
            check(value, depth + 1, merge)
        }),
    }
}

fn check_number(number: &Number) -> Result<(), String> {
    let text = number.text();
    let is_float = text.contains(['.', 'e', 'E']);
    if is_float && number.as_f64().is_none() {
        Err(format!("the number {text} is too large for TOML; write a string"))
    } else if !is_float && number.as_i64().is_none() {
        Err(format!("the integer {text} does not fit TOML's 64 bits; write a string or a float"))
    } else {
        Ok(())
    }
}

/// Whether TOML can hold what an op brings.
pub(super) fn admit(op: &Op) -> Result<(), (Path, String)> {
    let (path, value, more, merge) = match op {
        Op::Set { path, value } | Op::Insert { path, value } | Op::Place { path, value, .. } => (path, value, 0, false),
        Op::Merge { path, value } => (path, value, 0, true),
        Op::Push { path, value, .. } => (path, value, 1, false),
        Op::Remove { .. } | Op::Increment { .. } | Op::Move { .. } | Op::Test { .. } | Op::Invalid(_) => return Ok(()),
    };
    let checked = match value {
        Value::Object(_) => check(value, path.len() + more, merge),
        _ if path.is_empty() && more == 0 => Err(ROOT.to_owned()),
        _ => check(value, path.len() + more, merge),
    };
    checked.map_err(|why| (path.clone(), why))
}

/// `read`, its keys in the order of those of `known`.
pub(super) fn in_terms_of(read: Value, known: &Value) -> Value {
    if read.same(known) || alike(&read, known) {
        return known.clone();
    }
    match (&read, known) {
        (Value::Object(map), Value::Object(known)) => {
            let kept = known
                .entries()
                .filter_map(|(key, known)| map.get(key).map(|value| (key.clone(), in_terms_of(value.clone(), known))));
            let new =
                map.entries().filter(|(key, _)| !known.contains(key)).map(|(key, value)| (key.clone(), value.clone()));
            Value::Object(kept.chain(new).collect())
        }
        (Value::Array(items), Value::Array(known)) => {
            let mut known = known.iter();
            let items = items.iter().map(|item| match known.next() {
                Some(known) => in_terms_of(item.clone(), known),
                None => item.clone(),
            });
            Value::Array(items.collect())
        }
        _ => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_is_taken_from_what_is_known() {
        let read = |text: &str| read(text).unwrap_or_default();
        // Set last in a state, a pair stands before the tables in the text.
        let known: Value =
            [("t", [("y", 1), ("x", 2)].into_iter().collect::<Value>()), ("a", Value::from(1))].into_iter().collect();
        assert_eq!(in_terms_of(read("a = 1\n[t]\nx = 2\ny = 1\n"), &known), known);
        let changed = in_terms_of(read("b = 3\na = 1\n[t]\nx = 7\ny = 1\n"), &known).to_string();
        assert_eq!(changed, r#"{"t":{"y":1,"x":7},"a":1,"b":3}"#);
    }
}
