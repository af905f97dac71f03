//! Cost: the size of the text and the target, whatever lies between them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cfgwal::document::{Format, patch};
use cfgwal::{Map, Op, State, Value};

use super::{is_judged, read, set};

/// `text` patched to `target` in bounded time, and judged.
fn timed(text: &str, target: &Value) -> String {
    let began = Instant::now();
    let result = patch(&Format::Yaml, text.as_bytes(), target).unwrap();
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    let result = String::from_utf8(result).unwrap();
    assert!(is_judged(&result, target));
    result
}

/// Every third one removed, added to, changed; and new ones behind some.
fn edited(map: &Map) -> Map {
    let mut out = Map::new();
    for (at, (key, value)) in map.iter().enumerate() {
        let Value::Object(mut map) = value.clone() else { unreachable!() };
        match at % 3 {
            0 => {}
            1 => drop(map.insert("port", Value::from(-1))),
            _ => drop(map.insert("tags", Value::from(vec!["a"]))),
        }
        if at % 3 > 0 {
            out.insert(key, Value::Object(map));
        }
        if at % 4 == 0 {
            out.insert(format!("new{at}"), [("port", at)].into_iter().collect::<Value>());
        }
    }
    out
}

#[test]
fn many_maps_come_and_go_at_once() {
    let text = (0..20_000).fold("# head\n".to_owned(), |mut text, at| {
        write!(text, "# number {at}\ns{at}:\n  name: s{at}\n  port: {at} # or not\n").unwrap();
        text
    });
    let target = Value::Object(edited(read(&text).as_object().unwrap()));
    assert_eq!(timed(&text, &target).matches("# number").count(), 20_000);
}

#[test]
fn many_items_come_and_go_at_once() {
    for (open, item, close) in [("", "- ", ""), ("[\n", "  ", "]\n"), ("[", "", "]\n")] {
        let separator = if close.is_empty() { "\n" } else { ",\n" };
        let separator = if item.is_empty() { "," } else { separator };
        let mut text = open.to_owned();
        (0..20_000).for_each(|at| write!(text, "{item}x{at}{separator}").unwrap());
        text += close;
        let old: Vec<Value> = read(&text).as_array().unwrap().iter().cloned().collect();
        let mut target = Vec::new();
        for (at, value) in old.into_iter().enumerate() {
            match at % 5 {
                0 => {}
                1 => target.extend([value, Value::from(at)]),
                2 => target.push(Value::from("changed")),
                _ => target.push(value),
            }
        }
        timed(&text, &Value::from(target));
    }
}

#[test]
fn a_value_beside_a_megabyte_on_its_line_changes_alone() {
    let numbers = vec!["1"; 1 << 19].join(",");
    let text = format!("a: 1\nb: [{numbers}] # long\nc: \"{}\"\nd: 2\n", "x".repeat(1 << 20));
    let after = |op: Op| {
        let mut state = State::new(read(&text));
        state.apply(&[op]).unwrap();
        timed(&text, state.root())
    };
    assert!(after(set("d", "3")) == text.replace("d: 2", "d: 3"));
    assert!(after(set("b[524287]", "7")) == text.replace("1] # long", "7] # long"));
    assert!(after(super::remove("c")) == format!("a: 1\nb: [{numbers}] # long\nd: 2\n"));
}

#[test]
fn a_text_of_a_megabyte_on_one_line_changes_alone() {
    let pairs: Vec<String> = (0..60_000).map(|at| format!("\"key{at}\": {at}")).collect();
    let text = format!("{{{}}}", pairs.join(", "));
    let mut state = State::new(read(&text));
    state.apply(&[set("key30000", "\"x\""), super::remove("key59999"), super::remove("key0")]).unwrap();
    let wanted = text.replace("\"key30000\": 30000", "\"key30000\": x").replace(", \"key59999\": 59999", "");
    assert!(timed(&text, state.root()) == wanted.replace("\"key0\": 0, ", ""));
}

#[test]
fn twenty_thousand_maps_are_patched_at_once() {
    let text: String = (0..20_000).map(|n| format!("m{n}:\n  a: {n} # n\n  b: x\n")).collect();
    let mut state = State::new(read(&text));
    let ops: Vec<Op> = (0..20_000).map(|n| set(&format!("m{n}.a"), "7")).collect();
    state.apply(&ops).unwrap();
    let result = String::from_utf8(patch(&Format::Yaml, text.as_bytes(), state.root()).unwrap()).unwrap();
    let wanted: String = (0..20_000).map(|n| format!("m{n}:\n  a: 7 # n\n  b: x\n")).collect();
    assert!(result == wanted);
}
