//! Tables that nobody would write, and targets that lie some edits away.
//!
//! `PROPTEST_CASES=100000 cargo test --test documents generated` is the long run.

use std::collections::BTreeMap;

use cfgwal::document::{parse, patch};
use cfgwal::{Map, Value};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{format, judge, patched};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-e]{0,2}", "[-#\"',;\r\n é😀.0-9]{0,4}"]
}

type Rows = Vec<(String, Vec<String>)>;

fn rows(columns: usize) -> impl Strategy<Value = Rows> {
    let rows = vec((text(), vec(text(), columns)), 0..8);
    rows.prop_map(|rows| rows.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect::<Vec<_>>())
        .prop_filter("reads as a comment", |rows: &Rows| {
            rows.iter().all(|(key, cells)| !key.starts_with('#') || cells.iter().any(|cell| !cell.is_empty()))
        })
        .prop_shuffle()
}

/// The header, the old rows, and the new ones, which share some keys.
fn tables() -> impl Strategy<Value = (usize, Rows, Rows)> {
    (1..4_usize).prop_flat_map(|columns| (Just(columns), rows(columns), rows(columns), any::<u8>())).prop_map(
        |(columns, old, mut new, mix)| {
            for (at, row) in old.iter().enumerate().filter(|(at, _)| mix >> (at % 8) & 1 == 1) {
                new.retain(|(key, _)| *key != row.0);
                new.insert(at.min(new.len()), row.clone());
            }
            (columns, old, new)
        },
    )
}

fn value(rows: &Rows) -> Value {
    let row = |cells: &Vec<String>| {
        let cells = cells.iter().enumerate().map(|(at, cell)| (format!("c{at}"), Value::from(cell.as_str())));
        Value::Object(cells.collect::<Map>())
    };
    Value::Object(rows.iter().map(|(key, cells)| (key.as_str(), row(cells))).collect::<Map>())
}

/// Writes a table with quotes, comments, blank lines and line ends as the noise has them.
fn spell(columns: usize, rows: &Rows, noise: &[u8]) -> String {
    let mut noise = noise.iter().copied().cycle();
    let mut roll = |out_of: u8| noise.next().unwrap() % out_of;
    let mut out = String::from(if roll(6) == 0 { "\u{feff}" } else { "" });
    let header: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
    let key = "key".to_owned();
    let all = std::iter::once((&key, &header)).chain(rows.iter().map(|(key, cells)| (key, cells)));
    for (key, cells) in all {
        for _ in 0..roll(3) {
            out += ["\n", "\r\n", "# comment\n", "#,\"\r\n", "# x,,,,,\n"][usize::from(roll(5))];
        }
        for (at, cell) in std::iter::once(key).chain(cells).enumerate() {
            if at > 0 {
                out.push(',');
            }
            let must = cell.contains(['"', ',', '\r', '\n']) || (at == 0 && cell.starts_with('#'));
            // A quote inside of a bare cell is just a quote.
            let may = !(cell.starts_with('"') || cell.contains([',', '\r', '\n']) || at == 0 && cell.starts_with('#'));
            if (must && !(may && roll(2) == 0)) || roll(4) == 0 {
                out += &format!("\"{}\"", cell.replace('"', "\"\""));
            } else {
                out += cell;
            }
        }
        // Behind a lone `\r`, the judge sees no comment.
        out += ["\n", "\r\n"][usize::from(roll(2))];
    }
    if roll(3) == 0 {
        out += "# end";
    } else if roll(2) == 0 {
        out.truncate(out.trim_end_matches(['\r', '\n']).len());
    }
    out
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..40)
}

/// The lines that are comments, as far as they are not inside of a cell.
fn comments(text: &str) -> Vec<&str> {
    let (mut out, mut quoted, mut start) = (Vec::new(), false, 0);
    let mut begins_cell = true;
    let mut at = 0;
    while at < text.len() {
        let byte = text.as_bytes()[at];
        if !quoted && at == start && byte == b'#' {
            let end = text[at..].find(['\n', '\r']).map_or(text.len(), |len| at + len);
            out.push(&text[at..end]);
            at = end;
            continue;
        }
        match byte {
            b'"' if quoted && text.as_bytes().get(at + 1) == Some(&b'"') => at += 1,
            b'"' if quoted => quoted = false,
            b'"' if begins_cell => quoted = true,
            _ => {}
        }
        begins_cell = !quoted && matches!(byte, b',' | b'\n' | b'\r') || (at < 3 && byte >= 0xBB);
        at += 1;
        if !quoted && matches!(byte, b'\n' | b'\r') {
            start = at;
        }
        if byte == 0xBF && at == 3 {
            start = at;
        }
    }
    out
}

proptest! {
    #[test]
    fn any_table_becomes_any_other((columns, old, new) in tables(), noise in noise()) {
        let text = spell(columns, &old, &noise);
        prop_assert_eq!(parse(&format(), text.as_bytes()).unwrap(), value(&old), "{}", text);
        let target = value(&new);
        let result = patched(&format(), &text, &target);
        prop_assert_eq!(comments(&result), comments(&text), "{}\n{}", text, result);
        if old == new {
            prop_assert_eq!(result, text);
        }
    }

    #[test]
    fn rows_that_stay_keep_their_bytes((columns, old, mut new) in tables(), noise in noise()) {
        let text = spell(columns, &old, &noise);
        let order = |key: &String| old.iter().position(|(old, _)| old == key).unwrap_or(usize::MAX);
        new.sort_by_key(|(key, _)| order(key));
        let result = patched(&format(), &text, &value(&new));
        // What is in the new text and was in the old is there in the old order: nothing is written anew that need not be.
        let gone = old.iter().filter(|row| !new.contains(row)).count();
        let fresh = new.iter().filter(|row| !old.contains(row)).count();
        if gone == 0 {
            let kept = text.lines().filter(|line| !line.is_empty()).filter(|line| result.contains(line)).count();
            prop_assert_eq!(kept, text.lines().filter(|line| !line.is_empty()).count());
        }
        if gone + fresh == 0 {
            prop_assert_eq!(result, text);
        }
    }

    #[test]
    fn no_bytes_bring_the_parser_down(text in vec(any::<u8>(), 0..40)) {
        let _ = parse(&format(), &text);
        let _ = patch(&format(), &text, &Value::object());
    }

    /// What is read is what the judge reads, or refused.
    #[test]
    fn what_looks_like_a_table_is_read_as_the_judge_reads_it(text in "(id|v|a|#|\"|\"\"|,|,|\n|\r\n| ){0,14}") {
        let Ok(found) = parse(&format(), text.as_bytes()) else { return Ok(()) };
        // Comments as spreadsheets write them are no comments to the judge.
        if text.contains("\"#") {
            return Ok(());
        }
        let judged = judge(&text);
        prop_assert_eq!(super::rows_of(&found, &judged[0]), judged, "{}", text);
    }
}
