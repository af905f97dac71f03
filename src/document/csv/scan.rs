//! A CSV text as spans.
//!
//! The lines that hold no row are stepped over: blank ones, those that begin with `#`, and records
//! whose only cell with anything in it is the first, quoted, and begins with `#`, which is what
//! a spreadsheet makes of a comment. What readers of CSV do not agree on is refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::{Csv, KEY};
use crate::document::{Invalid, position};
use crate::limits;
use crate::value::{Map, Value};

pub(super) struct Table<'a> {
    pub(super) text: &'a str,
    pub(super) delimiter: u8,
    pub(super) header: Record,
    pub(super) columns: Vec<Cow<'a, str>>,
    /// The column of the keys.
    pub(super) key: usize,
    pub(super) rows: Vec<Record>,
    cells: Vec<Range<usize>>,
}

/// A row or the header.
#[derive(Clone)]
pub(super) struct Record {
    /// Its first cell in the list of all.
    first: usize,
    /// Its bytes, without the line break.
    pub(super) at: Range<usize>,
    /// Where the next line begins.
    pub(super) next: usize,
}

impl<'a> Table<'a> {
    /// `text` has no byte order mark.
    pub(super) fn parse(csv: &Csv, text: &'a str) -> Result<Table<'a>, Invalid> {
        if let Some(at) = text.find('\0') {
            return Err(Invalid::at(text, at, "a NUL byte: the file is damaged, or no text"));
        }
        let mut scanner = Scanner { text, delimiter: csv.delimiter, at: 0, cells: Vec::new() };
        let Some(header) = scanner.record()? else {
            return Err(Invalid::at(
                text,
                text.len(),
                "there is no header: the names of the columns are the first row",
            ));
        };
        let columns = scanner.columns(&header)?;
        if let [only] = columns.as_slice()
            && only.trim().is_empty()
        {
            return Err(Invalid::at(text, header.at.start, "the header is one column without a name"));
        }
        let key = key_column(csv, text, &header, &columns)?;
        let mut rows = Vec::new();
        while let Some(row) = scanner.record()? {
            let (found, expected) = (scanner.cells.len() - row.first, columns.len());
            if found != expected {
                let why = format!("this row has {found} cells, and the header has {expected}");
                return Err(Invalid::at(text, row.at.start, why));
            }
            rows.push(row);
        }
        let table = Table { text, delimiter: csv.delimiter, header, columns, key, rows, cells: scanner.cells };
        table.refuse_twins(csv)?;
        Ok(table)
    }

    pub(super) fn cell(&self, row: &Record, column: usize) -> Range<usize> {
        self.cells[row.first + column].clone()
    }

    /// The characters that a cell stands for.
    pub(super) fn content(&self, row: &Record, column: usize) -> Cow<'a, str> {
        content(&self.text[self.cell(row, column)])
    }

    pub(super) fn is_quoted(&self, row: &Record, column: usize) -> bool {
        self.text[self.cell(row, column)].starts_with('"')
    }

    /// The name of the column of the keys.
    pub(super) fn key_name(&self) -> &str {
        &self.columns[self.key]
    }

    pub(super) fn key_of(&self, row: &Record) -> Cow<'a, str> {
        self.content(row, self.key)
    }

    pub(super) fn value(&self) -> Value {
        let row = |row: &Record| {
            let cells = (0..self.columns.len()).filter(|&column| column != self.key);
            let cells = cells.map(|column| (&*self.columns[column], Value::from(&*self.content(row, column))));
            Value::Object(cells.collect::<Map>())
        };
        Value::Object(self.rows.iter().map(|record| (self.key_of(record), row(record))).collect::<Map>())
    }

    fn refuse_twins(&self, csv: &Csv) -> Result<(), Invalid> {
        let mut seen: HashMap<Cow<'_, str>, usize> = HashMap::with_capacity(self.rows.len());
        for row in &self.rows {
            let at = self.cell(row, self.key).start;
            let key = self.key_of(row);
            if key.len() > limits::KEY_MAX {
                let why = format!("the key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX);
                return Err(Invalid::at(self.text, at, why));
            }
            if let Some(&first) = seen.get(&key) {
                let (line, column) = position(self.text, first);
                let mut why = format!(
                    "two rows have the key {} in column {}; the first is at line {line}, column {column}",
                    Value::from(&*key),
                    Value::from(&*self.columns[self.key])
                );
                if csv.key.is_none() {
                    why += " (choose a column in which no two are alike as the key)";
                }
                return Err(Invalid::at(self.text, at, why));
            }
            seen.insert(key, at);
        }
        Ok(())
    }
}

fn key_column(csv: &Csv, text: &str, header: &Record, columns: &[Cow<'_, str>]) -> Result<usize, Invalid> {
    let find = |name: &str| columns.iter().position(|column| column == name);
    match &csv.key {
        None => Ok(find(KEY).unwrap_or(0)),
        Some(name) => find(name).ok_or_else(|| {
            let why = format!("the key column {} is not in the header", Value::from(name.as_str()));
            Invalid::at(text, header.at.start, why)
        }),
    }
}

pub(super) fn content(cell: &str) -> Cow<'_, str> {
    match cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if inner.contains('"') => inner.replace("\"\"", "\"").into(),
        Some(inner) => inner.into(),
        None => cell.into(),
    }
}

struct Scanner<'a> {
    text: &'a str,
    delimiter: u8,
    at: usize,
    /// Those of all records so far.
    cells: Vec<Range<usize>>,
}

impl<'a> Scanner<'a> {
    /// The next row, comments and blank lines stepped over.
    fn record(&mut self) -> Result<Option<Record>, Invalid> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'\n' | b'\r' => self.at += 1,
                b'#' => self.at += self.text[self.at..].find(['\n', '\r']).unwrap_or(self.text.len() - self.at),
                _ => {
                    let record = self.cells_of_line()?;
                    if !self.is_comment(&record) {
                        return Ok(Some(record));
                    }
                    self.cells.truncate(record.first);
                }
            }
        }
        Ok(None)
    }

    fn cells_of_line(&mut self) -> Result<Record, Invalid> {
        let (start, first) = (self.at, self.cells.len());
        let bytes = self.text.as_bytes();
        loop {
            let cell = self.cell()?;
            self.at = cell.end;
            self.cells.push(cell);
            if bytes.get(self.at) != Some(&self.delimiter) {
                break;
            }
            self.at += 1;
        }
        let end = self.at;
        self.at += match &bytes[end..] {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        Ok(Record { first, at: start..end, next: self.at })
    }

    fn cell(&self) -> Result<Range<usize>, Invalid> {
        let bytes = self.text.as_bytes();
        let ends = |byte: &u8| *byte == self.delimiter || matches!(byte, b'\n' | b'\r');
        if bytes.get(self.at) != Some(&b'"') {
            let len = bytes[self.at..].iter().position(ends).unwrap_or(bytes.len() - self.at);
            return Ok(self.at..self.at + len);
        }
        let mut at = self.at + 1;
        loop {
            let Some(quote) = self.text[at..].find('"') else {
                return Err(Invalid::at(self.text, self.at, "this quote is never closed"));
            };
            at += quote + 1;
            match bytes.get(at) {
                Some(b'"') => at += 1,
                Some(byte) if !ends(byte) => {
                    return Err(Invalid::at(self.text, at, "text behind the quote that closes the cell"));
                }
                _ => return Ok(self.at..at),
            }
        }
    }

    fn is_comment(&self, record: &Record) -> bool {
        let [first, rest @ ..] = &self.cells[record.first..] else { return false };
        self.text[first.clone()].starts_with("\"#") && rest.iter().all(Range::is_empty)
    }

    fn columns(&self, header: &Record) -> Result<Vec<Cow<'a, str>>, Invalid> {
        let columns: Vec<Cow<'a, str>> = self.cells.iter().map(|cell| content(&self.text[cell.clone()])).collect();
        if let [only] = &columns[..]
            && let Some(found) = only.find([';', '\t', ',', '|'])
        {
            let why = format!(
                "the header is one column with {:?} in it; if that stands between the columns, choose it as the delimiter",
                only[found..].chars().next().unwrap_or_default()
            );
            return Err(Invalid::at(self.text, header.at.start, why));
        }
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (name, cell) in columns.iter().zip(&self.cells) {
            if name.len() > limits::KEY_MAX {
                let why = format!("the name has {} bytes; the limit is {}", name.len(), limits::KEY_MAX);
                return Err(Invalid::at(self.text, cell.start, why));
            }
            if let Some(first) = seen.insert(name, cell.start) {
                let (line, column) = position(self.text, first);
                let name = Value::from(&**name);
                let why = format!("the column {name} is there twice; the first is at line {line}, column {column}");
                return Err(Invalid::at(self.text, cell.start, why));
            }
        }
        Ok(columns)
    }
}
