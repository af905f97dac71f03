//! Cost: the size of the text and the target, whatever lies between them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cfgwal::document::{Format, parse, patch};
use cfgwal::{Map, Value};

use super::patched;

/// A file as tools write them: one line, some hundred kilobytes of objects in objects.
fn one_line(entries: usize) -> String {
    let mut text = String::from("{");
    for entry in 0..entries {
        let comma = if entry == 0 { "" } else { "," };
        write!(
            text,
            r#"{comma}"model-{entry}":{{"name":"Mod\u00e8le {entry}","cost":{{"input":{entry}.50,"output":1e-3}},"tags":["a","b\/c"],"limit":{{"context":{}}},"open":false}}"#,
            entry * 1000
        )
        .unwrap();
    }
    text + "}"
}

/// A map of small maps, one to a line.
fn servers(count: usize) -> String {
    let lines: Vec<String> = (0..count)
        .map(|at| format!("  \"server-{at}\": {{ \"host\": \"10.0.0.{}\", \"port\": {at}.0, \"on\": true }}", at % 256))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

fn edit_every(text: &str, edit: impl Fn(usize, &str, &Value) -> Option<(String, Value)>) -> Value {
    let old = parse(&Format::Json, text.as_bytes()).unwrap();
    let entries = old.as_object().unwrap().iter().enumerate();
    Value::Object(entries.filter_map(|(at, (key, value))| edit(at, key, value)).collect::<Map>())
}

fn with(value: &Value, key: &str, new: Value) -> Value {
    let mut map = value.as_object().unwrap().clone();
    map.insert(key, new);
    Value::Object(map)
}

/// What one run costs: the least of several. In time on the processor, where the kernel tells it: the
/// machine has other things to do, too.
fn cost(mut run: impl FnMut()) -> Duration {
    let begin = Instant::now();
    let spent = || {
        let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let spent = spent.and_then(|text| text.split(' ').next()?.parse().ok());
        spent.map_or_else(|| begin.elapsed(), Duration::from_nanos)
    };
    let once = |_| {
        let before = spent();
        run();
        spent() - before
    };
    (0..5).map(once).min().unwrap()
}

#[test]
fn one_value_in_one_line_of_350_kilobytes_changes_its_own_bytes() {
    let text = one_line(2500);
    assert!((300_000..400_000).contains(&text.len()), "{}", text.len());
    let same = edit_every(&text, |_, key, value| Some((key.to_owned(), value.clone())));
    assert_eq!(patched(&Format::Json, &text, &same), text);

    let target = edit_every(&text, |at, key, value| {
        let value = if at == 1000 { with(value, "open", true.into()) } else { value.clone() };
        Some((key.to_owned(), value))
    });
    let at = text.find(r#""model-1001":"#).unwrap() - "false},".len();
    let expected = format!("{}true{}", &text[..at], &text[at + "false".len()..]);
    assert_eq!(patched(&Format::Json, &text, &target), expected);
}

#[test]
fn a_patch_of_many_edits_costs_about_what_a_patch_of_one_costs() {
    let text = servers(20_000);
    assert!(text.len() > 1_000_000);
    let one = edit_every(&text, |at, key, value| {
        Some((key.to_owned(), if at == 9_999 { with(value, "on", false.into()) } else { value.clone() }))
    });
    // Every entry changed, and every third one removed or added to.
    let all = edit_every(&text, |at, key, value| match at % 3 {
        0 => None,
        1 => Some((key.to_owned(), with(value, "on", false.into()))),
        _ => Some((key.to_owned(), with(value, "new", Value::from(vec![1, 2])))),
    });
    let reversed: Value = {
        let mut entries: Vec<_> =
            one.as_object().unwrap().iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        entries.reverse();
        entries.into_iter().collect()
    };
    let time = |target: &Value| cost(|| drop(patch(&Format::Json, text.as_bytes(), target).unwrap()));
    let (one_time, all_time, reversed_time) = (time(&one), time(&all), time(&reversed));
    assert!(all_time < one_time * 10, "20,000 edits took {all_time:?}, one took {one_time:?}");
    assert!(reversed_time < one_time * 10, "moving all took {reversed_time:?}, one edit took {one_time:?}");
    patched(&Format::Json, &text, &all);
    patched(&Format::Json, &text, &reversed);
}

#[test]
fn a_long_array_is_aligned_in_one_go() {
    let numbers = |skip: usize| -> String {
        let lines: Vec<String> = (0..50_000).filter(|at| at % 1000 != skip).map(|at| format!("  {at}.0")).collect();
        format!("[\n{}\n]", lines.join(",\n"))
    };
    let (text, expected) = (numbers(7), numbers(9));
    let target = parse(&Format::Json, expected.as_bytes()).unwrap();
    let time = cost(|| drop(patch(&Format::Json, text.as_bytes(), &target).unwrap()));
    assert_eq!(patched(&Format::Json, &text, &target), expected);
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn edits_all_over_one_long_line_stay_linear() {
    let (short, long) = (one_line(2_500), one_line(25_000));
    let time = |text: &str| {
        let target =
            edit_every(text, |_, key, value| Some((key.to_owned(), with(value, "open", Value::from(vec![1])))));
        cost(|| drop(patch(&Format::Json, text.as_bytes(), &target).unwrap()))
    };
    let (short, long) = (time(&short), time(&long));
    // Quadratic would be a hundred times.
    assert!(long < short * 40, "2,500 edits took {short:?}, 25,000 in ten times the text {long:?}");
}
