//! Cost: the size of the text and the target, whatever lies between them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cfgwal::document::parse;
use cfgwal::{Map, Value};

use super::{format, patched};

fn table(rows: usize) -> String {
    (0..rows).fold("id,host,port\n".to_owned(), |mut text, row| {
        if row % 100 == 0 {
            writeln!(text, "# from {row} on").unwrap();
        }
        writeln!(text, "server-{row},\"10.0.0.{}\",{row}", row % 256).unwrap();
        text
    })
}

#[test]
fn twenty_thousand_edited_rows_take_no_time_to_speak_of() {
    let text = table(20_000);
    let old = parse(&format(), text.as_bytes()).unwrap();
    let port: Value = [("host", "new"), ("port", "1")].into_iter().collect();
    let rows = old.as_object().unwrap().iter().enumerate();
    let edited: Map = rows.filter(|(at, _)| at % 3 != 0).map(|(_, (key, _))| (key.to_owned(), port.clone())).collect();
    let reversed: Map =
        edited.iter().collect::<Vec<_>>().into_iter().rev().map(|(key, row)| (key.to_owned(), row.clone())).collect();
    for target in [edited, reversed] {
        let began = Instant::now();
        let result = patched(&format(), &text, &Value::Object(target));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!(result.matches('#').count(), 200);
    }
}

#[test]
fn a_cell_beside_a_megabyte_changes_alone() {
    let text = format!("id,v,w\na,{},1\nb,\"{}\",2\n", "x".repeat(1 << 20), "y\n".repeat(1 << 19));
    let mut target = parse(&format(), text.as_bytes()).unwrap();
    if let Value::Object(rows) = &mut target
        && let Some(Value::Object(row)) = rows.get_mut("b")
    {
        row.insert("w", Value::from("new"));
    }
    assert_eq!(patched(&format(), &text, &target), format!("{}new\n", text.strip_suffix("2\n").unwrap()));
}
