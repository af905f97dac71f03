//! Cost: the size of the text and the target, whatever lies between them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cfgwal::document::{Format, patch};
use cfgwal::{Map, Op, Value};

use super::{edited, patched, value};

fn tables(count: usize, array: bool) -> String {
    (0..count).fold("title = \"x\"\n".to_owned(), |mut text, at| {
        let header = if array { "[[server]]".to_owned() } else { format!("[server.s{at}]") };
        write!(text, "\n# number {at}\n{header}\nname = \"s{at}\"\nport = {at}\non = true # or not\n").unwrap();
        text
    })
}

fn timed(text: &str, target: &Value) -> String {
    let began = Instant::now();
    let result = patch(&Format::Toml, text.as_bytes(), target).unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let result = String::from_utf8(result).unwrap();
    assert_eq!(patched(text, target), result);
    result
}

/// Every third one removed, added to, changed.
fn edit(at: usize, map: &Map) -> Option<Value> {
    let mut map = map.clone();
    match at % 3 {
        0 => return None,
        1 => drop(map.insert("port", Value::from(-1))),
        _ => drop(map.insert("tags", Value::from(vec!["a"]))),
    }
    Some(Value::Object(map))
}

#[test]
fn twenty_thousand_tables_take_no_time_to_speak_of() {
    let text = tables(20_000, false);
    let mut target = value(&text);
    let servers = target.as_object().unwrap().get("server").unwrap().as_object().unwrap().clone();
    let mut edited: Map = servers
        .iter()
        .enumerate()
        .filter_map(|(at, (key, server))| Some((key.to_owned(), edit(at, server.as_object()?)?)))
        .collect();
    (0..5_000).for_each(|at| drop(edited.insert(format!("new{at}"), [("port", at)].into_iter().collect())));
    if let Value::Object(map) = &mut target {
        map.insert("server", Value::Object(edited));
    }
    let result = timed(&text, &target);
    assert_eq!(result.matches("# number").count(), 20_000 - 6_667);
}

#[test]
fn twenty_thousand_elements_take_no_time_to_speak_of() {
    let text = tables(20_000, true);
    let mut target = value(&text);
    let servers = target.as_object().unwrap().get("server").unwrap().as_array().unwrap().clone();
    let mut edited: Vec<Value> = servers
        .iter()
        .enumerate()
        .filter_map(|(at, server)| if at % 3 == 0 { None } else { Some(server.clone()) })
        .collect();
    edited.extend((0..5_000).map(|at| [("port", at)].into_iter().collect::<Value>()));
    if let Value::Object(map) = &mut target {
        map.insert("server", Value::from(edited));
    }
    let result = timed(&text, &target);
    assert_eq!(result.matches("# number").count(), 20_000 - 6_667);
}

#[test]
fn twenty_thousand_pairs_take_no_time_to_speak_of() {
    let text: String = (0..20_000).map(|at| format!("k{at} = {at} # {at}\n")).collect();
    let old = value(&text);
    let pairs = old.as_object().unwrap().iter().enumerate();
    let target: Value = pairs
        .filter(|(at, _)| at % 3 != 0)
        .map(|(at, (key, value))| (if at % 3 == 1 { key.to_owned() } else { format!("new-{key}") }, value.clone()))
        .collect();
    let result = timed(&text, &target);
    assert_eq!(result.matches('#').count(), 20_000 - 6_667, "renamed pairs keep their comments");
}

#[test]
fn a_value_beside_a_megabyte_on_its_line_changes_alone() {
    let numbers = vec!["1"; 1 << 19].join(",");
    let text = format!("a = 1\nb = [{numbers}] # long\nc = \"{}\"\nd = 2\n", "x".repeat(1 << 20));
    assert_eq!(edited(&text, &[Op::set("d", 3)]), text.replace("d = 2", "d = 3"));
    assert_eq!(edited(&text, &[Op::set("b[524287]", 7)]), text.replace("1] # long", "7] # long"));
    assert_eq!(edited(&text, &[Op::remove("c")]), format!("a = 1\nb = [{numbers}] # long\nd = 2\n"));
}
