//! Table and target side by side: which cells and rows to replace, and by what.

use std::borrow::Cow;
use std::collections::HashMap;

use super::scan::{Record, Table};
use super::text_of;
use crate::document::Unpatchable;
use crate::document::align::longest_rise;
use crate::document::edit::{Splice, apply};
use crate::value::Value;

/// What decides how a cell is written.
#[derive(Clone, Copy)]
pub(super) struct Spelling {
    pub(super) delimiter: u8,
    pub(super) columns: usize,
}

/// Writes a cell, `at` cells from the start of its line: in quotes if asked for, or if it has to be.
pub(super) fn spell(out: &mut String, text: &str, at: usize, quoted: bool, Spelling { delimiter, columns }: Spelling) {
    let special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    let as_comment = at == 0 && text.starts_with('#');
    let as_blank_line = columns == 1 && text.is_empty();
    if quoted || as_comment || as_blank_line || text.bytes().any(special) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}

/// The rows that are wanted, each with its cells in the order of the columns.
struct Wanted<'v> {
    key: &'v str,
    cells: Vec<Cow<'v, str>>,
}

/// Whether the table, read again, is what was wanted.
pub(super) fn stands_for(table: &Table<'_>, target: &Value) -> bool {
    let Ok(wanted) = wanted(table, target) else { return false };
    let alike = |(row, wanted): (&Record, &Wanted<'_>)| {
        wanted.cells.iter().enumerate().all(|(column, cell)| table.content(row, column) == *cell)
    };
    table.rows.len() == wanted.len() && table.rows.iter().zip(&wanted).all(alike)
}

fn wanted<'v>(table: &Table<'_>, target: &'v Value) -> Result<Vec<Wanted<'v>>, Unpatchable> {
    let unwritable = |why: String| Unpatchable::Unwritable(why);
    let Value::Object(rows) = target else {
        return Err(unwritable("CSV holds rows by their keys, so the config must be an object of rows".to_owned()));
    };
    let columns: HashMap<&str, usize> = table.columns.iter().enumerate().map(|(at, name)| (&**name, at)).collect();
    let row = |(key, row): (&'v str, &'v Value)| {
        let quoted = Value::from(key);
        let Value::Object(row) = row else {
            return Err(unwritable(format!(
                "the row {quoted} is no object of cells by column, and CSV holds nothing else"
            )));
        };
        let mut cells = vec![Cow::Borrowed(""); table.columns.len()];
        cells[table.key] = key.into();
        for (name, value) in row {
            let Some(&column) = columns.get(name) else {
                let name = Value::from(name);
                return Err(unwritable(format!(
                    "there is no column {name} for the row {quoted}; add it to the header and the rows by hand"
                )));
            };
            let Some(text) = text_of(value) else {
                let name = Value::from(name);
                return Err(unwritable(format!(
                    "{name} of the row {quoted} is {}, and a cell of CSV holds one text",
                    value.kind()
                )));
            };
            if column == table.key && text != key {
                let name = Value::from(name);
                return Err(unwritable(format!(
                    "{name} is the key of the row {quoted}; to rename the row, move it to its new key"
                )));
            }
            cells[column] = text;
        }
        let only_first = cells[1..].iter().all(|cell| cell.is_empty());
        if only_first && cells[0].starts_with('#') {
            return Err(unwritable(format!("the row {quoted} would read as a comment, since it begins with `#`")));
        }
        Ok(Wanted { key, cells })
    };
    rows.iter().map(row).collect()
}

/// The table's text with the least changes that make it stand for `target`.
pub(super) fn patch(table: &Table<'_>, target: &Value) -> Result<String, Unpatchable> {
    let wanted = wanted(table, target)?;
    let mut patcher = Patcher { table, splices: Vec::new() };
    patcher.rows(&wanted);
    apply(table.text, 0..table.text.len(), patcher.splices)
}

struct Patcher<'t, 'a> {
    table: &'t Table<'a>,
    splices: Vec<Splice>,
}

impl Patcher<'_, '_> {
    fn rows(&mut self, wanted: &[Wanted<'_>]) {
        let table = self.table;
        let found = self.found(wanted);
        let stays = longest_rise(&found);
        let mut kept = vec![false; table.rows.len()];
        // Where the next new row goes in, and after which old one.
        let mut previous: Option<usize> = None;
        let mut added = String::new();
        for (index, row) in wanted.iter().enumerate() {
            match found[index] {
                Some(at) if stays[index] => {
                    self.insert(previous, std::mem::take(&mut added));
                    self.cells(at, row);
                    kept[at] = true;
                    previous = Some(at);
                }
                moved => {
                    let model = moved.or(previous).or(table.rows.len().checked_sub(1));
                    self.write(&mut added, row, model);
                }
            }
        }
        let ends_with_new = !added.is_empty();
        self.insert(previous, added);
        for (row, _) in table.rows.iter().zip(&kept).filter(|(_, kept)| !*kept) {
            self.splices.push(Splice { at: row.at.start..row.next, with: String::new() });
        }
        if !ends_with_new {
            self.close_up(&kept);
        }
    }

    /// A text that ended without a line break goes on doing so when its last rows are gone.
    fn close_up(&mut self, kept: &[bool]) {
        let table = self.table;
        let mut start = table.text.len();
        for (row, kept) in table.rows.iter().zip(kept).rev() {
            if *kept || row.next != start {
                break;
            }
            start = row.at.start;
        }
        if start < table.text.len() && !table.text.ends_with(['\n', '\r']) {
            let before = table.text[..start].strip_suffix('\n').unwrap_or(&table.text[..start]);
            let before = before.strip_suffix('\r').unwrap_or(before);
            self.splices.push(Splice { at: before.len()..start, with: String::new() });
        }
    }

    /// The old row that each of the wanted ones is: the one with its key, or one that is gone and had the same cells,
    /// which makes it a renamed one.
    fn found(&self, wanted: &[Wanted<'_>]) -> Vec<Option<usize>> {
        let table = self.table;
        let by_key: HashMap<Cow<'_, str>, usize> =
            table.rows.iter().enumerate().map(|(at, row)| (table.key_of(row), at)).collect();
        let mut found: Vec<Option<usize>> = wanted.iter().map(|row| by_key.get(row.key).copied()).collect();
        let mut gone = vec![true; table.rows.len()];
        found.iter().flatten().for_each(|&at| gone[at] = false);
        if found.iter().all(Option::is_some) || !gone.contains(&true) {
            return found;
        }
        let others = |cells: &mut dyn Iterator<Item = (usize, Cow<'_, str>)>| -> Vec<String> {
            cells.filter(|(column, _)| *column != table.key).map(|(_, cell)| cell.into_owned()).collect()
        };
        let columns = 0..table.columns.len();
        let mut by_cells: HashMap<Vec<String>, usize> = HashMap::new();
        for (at, row) in table.rows.iter().enumerate().rev().filter(|(at, _)| gone[*at]) {
            by_cells.insert(others(&mut columns.clone().map(|column| (column, table.content(row, column)))), at);
        }
        for (row, found) in wanted.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            *found = by_cells.remove(&others(&mut row.cells.iter().cloned().enumerate()));
        }
        found
    }

    fn cells(&mut self, at: usize, wanted: &Wanted<'_>) {
        let table = self.table;
        let row = &table.rows[at];
        for (column, cell) in wanted.cells.iter().enumerate() {
            if table.content(row, column) != *cell {
                let mut with = String::new();
                spell(&mut with, cell, column, self.is_quoted_like(row, column), self.spelling());
                self.splices.push(Splice { at: table.cell(row, column), with });
            }
        }
    }

    /// Whether a cell here is quoted as its neighbours are: as the one before it in its place, or as all others in the row.
    fn is_quoted_like(&self, row: &Record, column: usize) -> bool {
        let columns = self.table.columns.len();
        let mut others = (0..columns).filter(|&other| other != column);
        self.table.is_quoted(row, column) || (columns > 1 && others.all(|other| self.table.is_quoted(row, other)))
    }

    fn spelling(&self) -> Spelling {
        Spelling { delimiter: self.table.delimiter, columns: self.table.columns.len() }
    }

    /// Writes a whole row, quoted as the old row `model` is or, without rows, as the header.
    fn write(&self, out: &mut String, wanted: &Wanted<'_>, model: Option<usize>) {
        let table = self.table;
        let model = model.map_or(&table.header, |at| &table.rows[at]);
        let all = (0..table.columns.len()).all(|column| table.is_quoted(model, column));
        let header = std::ptr::eq(model, &table.header);
        for (column, cell) in wanted.cells.iter().enumerate() {
            if column > 0 {
                out.push(char::from(table.delimiter));
            }
            let quoted = all || (!header && self.is_quoted_for_choice(model, column));
            spell(out, cell, column, quoted, self.spelling());
        }
        out.push_str(self.line_break());
    }

    /// Whether a cell is in quotes that it could do without.
    fn is_quoted_for_choice(&self, row: &Record, column: usize) -> bool {
        let mut plain = String::new();
        spell(&mut plain, &self.table.content(row, column), column, false, self.spelling());
        self.table.is_quoted(row, column) && !plain.starts_with('"')
    }

    fn line_break(&self) -> &'static str {
        let text = self.table.text;
        match text.find(['\n', '\r']) {
            Some(at) if text[at..].starts_with("\r\n") => "\r\n",
            Some(at) if text[at..].starts_with('\r') => "\r",
            _ => "\n",
        }
    }

    /// Puts whole lines behind the old row `previous`.
    fn insert(&mut self, previous: Option<usize>, mut lines: String) {
        if lines.is_empty() {
            return;
        }
        let after = previous.map_or(&self.table.header, |at| &self.table.rows[at]);
        if after.at.end == after.next {
            // The text ends without a line break, and goes on doing so.
            let line_break = self.line_break();
            lines.truncate(lines.len() - line_break.len());
            lines.insert_str(0, line_break);
        }
        self.splices.push(Splice { at: after.next..after.next, with: lines });
    }
}
