//! CSV files as people and spreadsheets write them: an edit changes the bytes of what it edits and no others.

mod edits;
mod generated;
mod large;
mod refusals;

use cfgwal::document::{Csv, Format, parse, patch};
use cfgwal::{Op, State, Value};

fn format() -> Format {
    Format::Csv(Csv::default())
}

/// `text` patched to `target`, and judged by a reader that shares no code with this crate.
fn patched(format: &Format, text: &str, target: &Value) -> String {
    let result = patch(format, text.as_bytes(), target);
    let result = result.unwrap_or_else(|error| panic!("{error}\nfrom {text}\nto {target}"));
    let result = String::from_utf8(result).unwrap();
    assert_eq!(judge(&result), rows_of(target, &judge(&result)[0]), "from {text}\nto {result}");
    result
}

/// The header and the rows, as the `csv` crate reads them. Only for commas, and for comments that are not quoted.
fn judge(text: &str) -> Vec<Vec<String>> {
    // It takes a comment that ends with the text for a row.
    let text = format!("{text}\n");
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.comment(Some(b'#')).has_headers(false).from_reader(text.as_bytes());
    let records = reader.records().map(|record| record.unwrap_or_else(|error| panic!("{error}\n{text}")));
    records.map(|record| record.iter().map(str::to_owned).collect()).collect()
}

/// What the judge has to find: under this header, the rows of a config whose key column is the first, or `id`.
fn rows_of(target: &Value, header: &[String]) -> Vec<Vec<String>> {
    let key = header.iter().position(|name| name == "id").unwrap_or(0);
    let mut out = vec![header.to_vec()];
    for (name, row) in target.as_object().unwrap() {
        let cell = |(at, column): (usize, &String)| match row.as_object().unwrap().get(column) {
            _ if at == key => name.to_owned(),
            None => String::new(),
            Some(Value::String(text)) => text.to_string(),
            Some(other) => other.to_string(),
        };
        out.push(header.iter().enumerate().map(cell).collect());
    }
    out
}

/// `text` after these ops.
fn edited(format: &Format, text: &str, ops: &[Op]) -> String {
    let mut state = State::new(parse(format, text.as_bytes()).unwrap_or_else(|invalid| panic!("{invalid}")));
    state.apply(ops).unwrap();
    let result = patch(format, text.as_bytes(), state.root()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    String::from_utf8(result).unwrap()
}
