//! A file laid out in one way throughout stays so: patching it gives what writing it anew would give.

use std::fmt::Write as _;

use cfgwal::document::Format;
use cfgwal::{List, Map, Value};

use super::patched;

#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Indentation and line break; without them everything is on one line.
    pub lines: Option<(&'static str, &'static str)>,
    pub colon: &'static str,
    pub space: &'static str,
    pub bom: bool,
    pub final_newline: bool,
}

const PRETTY: Style = Style { lines: Some(("  ", "\n")), colon: ": ", space: " ", bom: false, final_newline: true };
const MINIFIED: Style = Style { lines: None, colon: ":", space: "", bom: false, final_newline: false };

pub const STYLES: [Style; 9] = [
    PRETTY,
    Style { lines: Some(("    ", "\n")), ..PRETTY },
    Style { lines: Some(("\t", "\n")), ..PRETTY },
    Style { lines: Some(("  ", "\r\n")), ..PRETTY },
    Style { bom: true, ..PRETTY },
    Style { final_newline: false, ..PRETTY },
    Style { colon: ":", lines: Some((" ", "\n")), ..PRETTY },
    MINIFIED,
    Style { colon: ": ", space: " ", final_newline: true, ..MINIFIED },
];

impl Style {
    pub fn write(self, value: &Value) -> String {
        let mut out = String::from(if self.bom { "\u{feff}" } else { "" });
        self.write_at(&mut out, value, 0);
        if self.final_newline {
            out.push_str(self.lines.map_or("\n", |(_, line_break)| line_break));
        }
        out
    }

    fn write_at(self, out: &mut String, value: &Value, depth: usize) {
        let items: Vec<(Option<&str>, &Value)> = match value {
            Value::Array(list) => list.iter().map(|value| (None, value)).collect(),
            Value::Object(map) => map.iter().map(|(key, value)| (Some(key), value)).collect(),
            scalar => return write!(out, "{scalar}").unwrap(),
        };
        let brackets = if matches!(value, Value::Array(_)) { ['[', ']'] } else { ['{', '}'] };
        let line = |out: &mut String, depth| {
            if let Some((indent, line_break)) = self.lines {
                *out += line_break;
                *out += &indent.repeat(depth);
            }
        };
        out.push(brackets[0]);
        for (index, (key, value)) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
                *out += if self.lines.is_none() { self.space } else { "" };
            }
            line(out, depth + 1);
            if let Some(key) = key {
                write!(out, "{}{}", Value::from(*key), self.colon).unwrap();
            }
            self.write_at(out, value, depth + 1);
        }
        if !items.is_empty() {
            line(out, depth);
        }
        out.push(brackets[1]);
    }
}

/// Items of an object, or of an array if they have no keys, between two neighbours.
fn document(keyed: bool, items: &[(&str, Value)]) -> Value {
    let inner = match keyed {
        true => Value::Object(items.iter().cloned().collect::<Map>()),
        false => Value::Array(items.iter().map(|(_, value)| value.clone()).collect::<List>()),
    };
    [("before", Value::from(1)), ("inner", inner), ("after", Value::from("x"))].into_iter().collect()
}

/// {change, delete, add} x {first, middle, last} x {object, array} x {scalar, nested} x layouts.
#[test]
fn one_edit_at_every_place_of_every_layout_is_what_writing_anew_gives() {
    let nested: Value = [("x", Value::from(vec![1, 2])), ("y", Value::object())].into_iter().collect();
    let mut tried = 0;
    for style in STYLES {
        for new in [Value::from("new"), nested.clone()] {
            for keyed in [true, false] {
                let items: Vec<(&str, Value)> = vec![("a", 1.into()), ("b", nested.clone()), ("c", "z".into())];
                let text = style.write(&document(keyed, &items));
                for at in 0..3 {
                    let (mut changed, mut deleted, mut added) = (items.clone(), items.clone(), items.clone());
                    changed[at].1 = new.clone();
                    deleted.remove(at);
                    added.insert(at + usize::from(at == 2), ("added", new.clone()));
                    for edited in [changed, deleted, added] {
                        let target = document(keyed, &edited);
                        assert_eq!(patched(&Format::Json, &text, &target), style.write(&target), "from {text}");
                        assert_eq!(patched(&Format::Jsonc, &text, &target), style.write(&target), "from {text}");
                        tried += 1;
                    }
                }
            }
        }
    }
    assert_eq!(tried, 9 * 2 * 2 * 3 * 3);
}

/// An edit of one item leaves one gap, or fills one: nothing before or behind it moves.
#[test]
fn everything_before_and_behind_an_edit_is_the_same_bytes() {
    for style in STYLES {
        let items: Vec<(&str, Value)> = vec![("a", 1.into()), ("b", vec![1, 2].into()), ("c", "z".into())];
        let text = style.write(&document(true, &items));
        for at in 0..3 {
            let mut deleted = items.clone();
            deleted.remove(at);
            let shorter = patched(&Format::Json, &text, &document(true, &deleted));
            let same_start = text.bytes().zip(shorter.bytes()).take_while(|(a, b)| a == b).count();
            let same_end = text.bytes().rev().zip(shorter.bytes().rev()).take_while(|(a, b)| a == b).count();
            assert!(same_start + same_end >= shorter.len(), "{text}\n{shorter}");
        }
    }
}
