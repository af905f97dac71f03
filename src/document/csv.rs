//! CSV: a header, and rows that each have a key.
//!
//! ```text
//! # comment                    {
//! id,pair,on            ─▶       "a1": {"pair": "BTC/EUR", "on": "true"},
//! a1,BTC/EUR,true                "a2": {"pair": "a \"b\"", "on": ""}
//! a2,"a ""b""",                }
//! ```
//!
//! Every cell is text; what an op brings as a number or a boolean is written down as its text
//! ([`admit`]). The key is not repeated inside its row, so that a row is renamed by moving it. The
//! format cannot tell an absent cell from an empty one, nor the order of the cells of a row from that
//! of the header; the order of rows counts.
//!
//! `scan` reads a text into spans, `splice` says which bytes to replace.

mod scan;
mod splice;

use std::borrow::Cow;
use std::sync::Arc;

use super::{Columns, Invalid, Unpatchable, decode, position, seal};
use crate::op::Op;
use crate::path::{Path, Segment};
use crate::secret::{MASK, is_secret_key};
use crate::value::{Map, Value};
use scan::Table;
use splice::{Spelling, spell};

/// What to do about a text with nothing in it.
const IF_EMPTY: &str = "write a first row that names the columns";

/// How a CSV file is to be read: `Csv::default().key("name").delimiter(b';')`.
///
/// The config is an object of rows by their keys, and each row is an object of strings by the names of the other columns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Csv {
    key: Option<String>,
    delimiter: u8,
}

impl Default for Csv {
    fn default() -> Csv {
        Csv { key: None, delimiter: b',' }
    }
}

impl Csv {
    /// The column whose cells are the keys of the rows. Without it that is `id` if there is such a column, else the first.
    #[must_use]
    pub fn key(self, column: impl Into<String>) -> Csv {
        Csv { key: Some(column.into()), ..self }
    }

    /// What stands between two cells, a comma if nothing is said. An ASCII character that has no other meaning in CSV.
    ///
    /// # Panics
    /// If it is a quote, `#`, a line break, or not ASCII.
    #[must_use]
    pub fn delimiter(self, delimiter: u8) -> Csv {
        assert!(is_delimiter(delimiter), "no delimiter: {}", delimiter.escape_ascii());
        Csv { delimiter, ..self }
    }
}

impl Csv {
    pub(super) fn choices(&self) -> Vec<(&'static str, String)> {
        let delimiter = [("delimiter", char::from(self.delimiter).to_string())];
        self.key.iter().map(|key| ("key", key.clone())).chain(delimiter).collect()
    }

    pub(super) fn choose(&mut self, name: &str, value: &str) -> bool {
        match (name, value.as_bytes()) {
            ("key", _) => self.key = Some(value.to_owned()),
            ("delimiter", [delimiter]) if is_delimiter(*delimiter) => self.delimiter = *delimiter,
            _ => return false,
        }
        true
    }
}

fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii() && !b"\"#\r\n\0".contains(&byte)
}

/// The key column that `text` has: from now on it is that one, whatever columns come.
pub(super) fn decided_by(csv: &Csv, text: &[u8]) -> Csv {
    match table(csv, text) {
        Ok((_, table)) if csv.key.is_none() => csv.clone().key(table.key_name()),
        _ => csv.clone(),
    }
}

/// The column of the keys in a new file, unless one is chosen.
const KEY: &str = "id";

pub(super) fn parse(csv: &Csv, text: &[u8]) -> Result<Value, Invalid> {
    Ok(table(csv, text)?.1.value())
}

/// The table in a text, and its byte order mark.
fn table<'t>(csv: &Csv, text: &'t [u8]) -> Result<(&'static [u8], Table<'t>), Invalid> {
    let read = || {
        let (bom, body) = decode(text, IF_EMPTY)?;
        Ok((bom, Table::parse(csv, body)?))
    };
    read().map_err(|invalid| without_secrets(csv, &String::from_utf8_lossy(text), invalid))
}

/// The fault, without the row that it shows if there is a column of secrets: which cell is in that column is anyone's guess
/// where a row is wrong.
fn without_secrets(csv: &Csv, text: &str, mut invalid: Invalid) -> Invalid {
    let header = text.split(['\n', '\r']).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or("");
    let line = text.find(header).map_or(1, |at| position(text, at).0);
    if invalid.line > line && header.split(char::from(csv.delimiter)).any(is_secret_key) {
        (invalid.shown, invalid.mark) = (MASK.to_owned(), 0);
    }
    invalid
}

pub(super) fn patch(csv: &Csv, text: &[u8], target: &Value) -> Result<Vec<u8>, Unpatchable> {
    let (bom, table) = table(csv, text)?;
    let patched = splice::patch(&table, target)?;
    seal(bom, patched, |patched| match Table::parse(csv, patched) {
        Ok(again) => Ok(splice::stands_for(&again, target)),
        Err(invalid) => Err(invalid),
    })
}

pub(super) fn render(csv: &Csv, value: &Value) -> Vec<u8> {
    let key = csv.key.as_deref().unwrap_or(KEY);
    let rows = || value.as_object().into_iter().flat_map(Map::iter);
    let mut columns = vec![key];
    let mut known = std::collections::HashSet::from([key]);
    for name in rows().filter_map(|(_, row)| row.as_object()).flat_map(Map::keys) {
        if known.insert(name) {
            columns.push(name);
        }
    }
    let mut out = String::new();
    let plain = Spelling { delimiter: csv.delimiter, columns: columns.len() };
    let mut line = |cells: &mut dyn Iterator<Item = Cow<'_, str>>| {
        for (at, cell) in cells.enumerate() {
            if at > 0 {
                out.push(char::from(csv.delimiter));
            }
            spell(&mut out, &cell, at, false, plain);
        }
        out.push('\n');
    };
    line(&mut columns.iter().map(|&name| name.into()));
    for (name, row) in rows() {
        let cell = |column: &str| row.as_object().and_then(|row| row.get(column)).and_then(text_of).unwrap_or_default();
        line(&mut columns.iter().enumerate().map(|(at, column)| if at == 0 { name.into() } else { cell(column) }));
    }
    out.into_bytes()
}

pub(super) fn begin(csv: &Csv, value: &Value) -> Result<Vec<u8>, Unpatchable> {
    match patch(csv, &render(csv, value), value) {
        // Such as two columns of one name.
        Err(Unpatchable::Invalid(invalid)) => Err(Unpatchable::Unwritable(invalid.why)),
        text => text,
    }
}

/// A scalar as a cell shows it; `None` for what no cell can show.
fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some((&**text).into()),
        Value::Number(number) => Some(number.text()),
        Value::Bool(bool) => Some(if *bool { "true" } else { "false" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The op as the cells will show it, or why none can.
pub(super) fn admit(csv: &Csv, op: &mut Op) -> Result<(), (Path, String)> {
    let key = csv.key.as_deref();
    let cells_are_text = "a cell of CSV is text, so nothing can be added to it or inside of it; set the whole cell";
    match op {
        Op::Set { path, value } | Op::Insert { path, value } | Op::Place { path, value, .. } => {
            as_text(key, path, value, false)
        }
        Op::Merge { path, value } => as_text(key, path, value, true),
        Op::Test { path, expected: Some(value) } => {
            // What cannot be there is for the test to find.
            let _ = as_text(key, path, value, false);
            Ok(())
        }
        Op::Increment { path, .. } | Op::Push { path, .. } => Err((path.clone(), cells_are_text.to_owned())),
        Op::Move { from, to } if from.len() != to.len() => {
            Err((to.clone(), "a row of CSV can only become another row, and a cell another cell".to_owned()))
        }
        Op::Test { .. } | Op::Remove { .. } | Op::Move { .. } | Op::Invalid(_) => Ok(()),
    }
}

/// Makes the scalars in a value for this path texts; `key` is the key column, if it is known. In a merge, null removes.
fn as_text(key: Option<&str>, path: &Path, value: &mut Value, merge: bool) -> Result<(), (Path, String)> {
    let refuse = |why: &str| Err((path.clone(), why.to_owned()));
    match (path.len(), &mut *value) {
        (_, Value::Null) if merge => Ok(()),
        (0 | 1, Value::Object(map)) => {
            let mut texts = Map::new();
            for (name, value) in map.entries() {
                let mut value = value.clone();
                as_text(key, &path.join(name.clone()), &mut value, merge)?;
                texts.insert(name.clone(), value);
            }
            *map = texts;
            Ok(())
        }
        (0, _) => refuse("CSV holds rows by their keys, so the config must be an object of rows"),
        (1, _) => refuse("a row of CSV must be an object of cells by column"),
        (2, Value::Null) => refuse("CSV has no null; set an empty string"),
        (2, Value::Array(_) | Value::Object(_)) => refuse("a cell of CSV holds one text, no array and no object"),
        (2, scalar) => {
            let text = text_of(scalar).unwrap_or_default().into_owned();
            let [row, column] = [0, 1].map(|at| path.segments()[at].as_key());
            if column.is_some() && column == key && row != Some(text.as_str()) {
                return refuse("this is the key of its row; to rename the row, move it to its new key");
            }
            *scalar = Value::from(text);
            Ok(())
        }
        _ => refuse("a cell of CSV has nothing inside; a path has a row's key and a column"),
    }
}

/// The names of the columns, that of the keys among them.
pub(super) fn columns(csv: &Csv, text: &[u8]) -> Option<Columns> {
    let (_, table) = table(csv, text).ok()?;
    Some(table.columns.iter().map(|name| Box::from(&**name)).collect())
}

/// Whether an op needs no other columns than these.
pub(super) fn fits(columns: &Columns, op: &Op) -> Result<(), (Path, String)> {
    match op {
        Op::Set { path, value } | Op::Insert { path, value } | Op::Place { path, value, .. } => {
            value_fits(columns, path, value, false)
        }
        Op::Merge { path, value } => value_fits(columns, path, value, true),
        Op::Move { to, .. } => value_fits(columns, to, &Value::Null, false),
        _ => Ok(()),
    }
}

/// What is null in a merge is removed.
fn value_fits(columns: &Columns, path: &Path, value: &Value, merge: bool) -> Result<(), (Path, String)> {
    match (path.segments(), value) {
        (_, Value::Null) if merge => Ok(()),
        ([] | [_], Value::Object(map)) => {
            map.iter().try_for_each(|(name, value)| value_fits(columns, &path.join(name), value, merge))
        }
        ([_, Segment::Key(name)], _) if !columns.iter().any(|column| **column == **name) => {
            let name = Value::from(&**name);
            let why = format!("there is no column {name}; add it to the header and the rows by hand");
            Err((path.clone(), why))
        }
        _ => Ok(()),
    }
}

/// `read`, with what this format cannot tell from `known` taken from there.
pub(super) fn in_terms_of(read: Value, known: &Value) -> Value {
    let (Value::Object(rows), Value::Object(known)) = (&read, known) else { return read };
    let row = |key: &Arc<str>, row: &Value| match (row, known.get(key)) {
        (Value::Object(row), Some(Value::Object(known))) => Value::Object(row_in_terms_of(key, row, known)),
        (row, _) => row.clone(),
    };
    Value::Object(rows.entries().map(|(key, value)| (key.clone(), row(key, value))).collect())
}

fn row_in_terms_of(key: &str, row: &Map, known: &Map) -> Map {
    let same = |name: &str, cell: &Value, value: &Value| match row.get(name) {
        Some(_) => text_of(cell) == text_of(value),
        // The key may stand inside its row, too.
        None => text_of(value).as_deref() == Some(key),
    };
    let mut out = Map::new();
    for (name, value) in known.entries() {
        let cell = row.get(name).cloned().unwrap_or_default();
        match (same(name, &cell, value), row.contains(name)) {
            (true, _) => drop(out.insert(name.clone(), value.clone())),
            (false, true) => drop(out.insert(name.clone(), cell)),
            (false, false) => {}
        }
    }
    for (name, cell) in row.entries() {
        if !known.contains(name) && cell.as_str() != Some("") {
            out.insert(name.clone(), cell.clone());
        }
    }
    if out == *known { known.clone() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(op: Op) -> Result<Op, String> {
        let mut op = op;
        admit(&Csv::default().key("id"), &mut op).map(|()| op).map_err(|(path, why)| format!("{path}: {why}"))
    }

    #[test]
    fn scalars_become_texts_wherever_they_stand() {
        assert_eq!(admitted(Op::set("a.x", 5)), Ok(Op::set("a.x", "5")));
        let row = |on: Value| -> Value { [("id", Value::from("a")), ("on", on)].into_iter().collect() };
        assert_eq!(admitted(Op::set("a", row(true.into()))), Ok(Op::set("a", row("true".into()))));
        let null: Value = [("a", Value::Null)].into_iter().collect();
        assert_eq!(admitted(Op::merge("", null.clone())), Ok(Op::merge("", null)));
        assert_eq!(admitted(Op::test("a.x", 5)), Ok(Op::test("a.x", "5")));
    }

    #[test]
    fn a_key_is_not_changed_inside_of_its_row() {
        assert_eq!(admitted(Op::set("a.id", "a")), Ok(Op::set("a.id", "a")));
        let why = "this is the key of its row; to rename the row, move it to its new key";
        assert_eq!(admitted(Op::set("a.id", "b")), Err(format!("a.id: {why}")));
        let row: Value = [("id", "b")].into_iter().collect();
        assert_eq!(admitted(Op::merge("a", row)), Err(format!("a.id: {why}")));
    }

    #[test]
    fn what_only_texts_differ_in_is_taken_from_what_is_known() {
        let table = |text: &str| parse(&Csv::default(), text.as_bytes()).unwrap_or_default();
        let known: Value =
            [("a", [("y", Value::from(5)), ("id", "a".into())].into_iter().collect::<Value>()), ("b", Value::object())]
                .into_iter()
                .collect();
        let read = |text: &str| in_terms_of(table(text), &known);
        assert_eq!(read("id,x,y\na,,5\nb,,\n"), known);
        let changed = read("id,x,y\na,,6\nb,1,\nc,,\n").to_string();
        assert_eq!(changed, r#"{"a":{"y":"6","id":"a"},"b":{"x":"1"},"c":{"x":"","y":""}}"#);
    }
}
