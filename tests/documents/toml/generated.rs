//! Texts that nobody would write, and targets that lie some edits away.
//!
//! `PROPTEST_CASES=100000 cargo test --test documents generated` is the long run.

use cfgwal::document::{Format, parse, patch};
use cfgwal::{Map, Number, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{is_judged, patched, value as read};
use crate::alike::alike;
use crate::changes::{Edit, comments, edit, noise, scalars_of, tables_of};

fn scalar() -> impl Strategy<Value = Value> {
    const NUMBERS: [&str; 8] = ["0", "-0", "1.0", "1e3", "-1E-7", "2.50", "9223372036854775807", "1e308"];
    const DATES: [&str; 5] = ["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "inf", "-nan"];
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-9..99_i64).prop_map(Value::from),
        select(&NUMBERS[..]).prop_map(|text| Value::Number(Number::parse(text).unwrap())),
        select(&DATES[..]).prop_map(Value::from),
        string().prop_map(Value::from),
    ]
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof!["[a-e]{0,2}", "[\\x00-\\x7f]{0,4}", "[\"'\\\\#=.\\[\\]{},é😀 \r\n]{0,5}"]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-e]", 1 => string()]
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            table(inner.clone()),
            vec(table(inner), 1..4).prop_map(Value::from),
        ]
    })
}

fn table(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((key(), inner), 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect::<Map>()))
}

fn document() -> impl Strategy<Value = Value> {
    table(any_value())
}

/// Writes a document in one of the many ways in which it can be written, as the noise has it.
struct Speller<'n> {
    noise: std::iter::Cycle<std::slice::Iter<'n, u8>>,
    line_break: &'static str,
    out: String,
    comments: usize,
    /// Keys of several words in inline tables: such a table is written anew as a whole when it changes.
    dotted_inline: bool,
}

impl Speller<'_> {
    fn spell(value: &Value, noise: &[u8]) -> String {
        Speller::spell_with(value, noise, true)
    }

    fn spell_with(value: &Value, noise: &[u8], dotted_inline: bool) -> String {
        let mut speller =
            Speller { noise: noise.iter().cycle(), line_break: "\n", out: String::new(), comments: 0, dotted_inline };
        if speller.roll(6) == 0 {
            speller.out.push('\u{feff}');
        }
        if speller.roll(3) == 0 {
            speller.line_break = "\r\n";
        }
        speller.body(&[], value.as_object().unwrap(), &mut Vec::new());
        speller.gap();
        if speller.roll(4) == 0 {
            let len = speller.out.trim_end_matches(['\r', '\n']).len();
            speller.out.truncate(len);
        }
        speller.out
    }

    fn roll(&mut self, out_of: u8) -> u8 {
        self.noise.next().unwrap() % out_of
    }

    fn one_of(&mut self, texts: &[&str]) {
        let at = self.roll(u8::try_from(texts.len()).unwrap());
        self.out += texts[usize::from(at)];
    }

    fn comment(&mut self) {
        self.comments += 1;
        self.out += &format!("# {} [x] = \"", self.comments);
    }

    /// Lines that say nothing.
    fn gap(&mut self) {
        for _ in 0..self.roll(6).saturating_sub(3) {
            if self.roll(2) == 0 {
                self.comment();
            }
            self.out += self.line_break;
        }
    }

    fn end_line(&mut self) {
        if self.roll(4) == 0 {
            self.out += " ";
            self.comment();
        }
        self.out += self.line_break;
    }

    fn key(&mut self, key: &str) {
        let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match self.roll(5) {
            0..3 if is_bare => self.out += key,
            3 if !key.contains(|c: char| c == '\'' || c.is_control()) => self.out += &format!("'{key}'"),
            _ => self.basic(key),
        }
    }

    fn basic(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                c if c.is_control() || self.roll(9) == 0 => self.out += &format!("\\U{:08X}", u32::from(c)),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn keys(&mut self, keys: &[&str]) {
        for (at, key) in keys.iter().enumerate() {
            if at > 0 {
                self.one_of(&[".", " . "]);
            }
            self.key(key);
        }
    }

    /// Pairs first, then tables; a table may as well be written as dotted keys, or inline.
    fn body<'v>(&mut self, path: &[&'v str], map: &'v Map, prefix: &mut Vec<&'v str>) {
        let mut tables = Vec::new();
        for (key, value) in map {
            let nested = [path, &[key]].concat();
            match value {
                Value::Object(_) if prefix.is_empty() && self.roll(2) == 0 => tables.push((nested, value)),
                Value::Array(list)
                    if prefix.is_empty()
                        && !list.is_empty()
                        && list.iter().all(|item| item.as_object().is_some())
                        && self.roll(2) == 0 =>
                {
                    tables.push((nested, value));
                }
                Value::Object(inner) if !inner.is_empty() && self.roll(3) == 0 => {
                    prefix.push(key);
                    self.body(path, inner, prefix);
                    prefix.pop();
                }
                value => {
                    self.gap();
                    let indent = self.roll(3);
                    self.out += ["", "", "  "][usize::from(indent)];
                    self.keys(&[&prefix[..], &[key]].concat());
                    self.out += [" = ", "=", "\t=  "][usize::from(indent)];
                    self.value(value, true);
                    self.end_line();
                }
            }
        }
        for (path, value) in tables {
            match value {
                Value::Object(map) => {
                    let is_implied = !map.is_empty() && map.values().all(|value| value.as_object().is_some());
                    if is_implied && self.roll(2) == 0 {
                        for (key, value) in map {
                            self.header(&[&path[..], &[key]].concat(), ["[", "]"]);
                            self.body(&[&path[..], &[key]].concat(), value.as_object().unwrap(), &mut Vec::new());
                        }
                    } else {
                        self.header(&path, ["[", "]"]);
                        self.body(&path, map, &mut Vec::new());
                    }
                }
                Value::Array(list) => {
                    for item in list {
                        self.header(&path, ["[[", "]]"]);
                        self.body(&path, item.as_object().unwrap(), &mut Vec::new());
                    }
                }
                _ => unreachable!(),
            }
        }
    }

    fn header(&mut self, path: &[&str], [open, close]: [&str; 2]) {
        self.gap();
        self.out += open;
        self.keys(path);
        self.out += close;
        self.end_line();
    }

    fn value(&mut self, value: &Value, lines: bool) {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(list) => {
                self.out.push('[');
                for (at, item) in list.iter().enumerate() {
                    self.space(lines);
                    self.value(item, lines);
                    self.space(lines);
                    if at + 1 < list.len() || self.roll(3) == 0 {
                        self.out.push(',');
                    }
                }
                self.space(lines);
                self.out.push(']');
            }
            Value::Object(map) => {
                self.out.push('{');
                for (at, (key, item)) in map.iter().enumerate() {
                    self.one_of(&[" ", ""]);
                    let mut keys = vec![key];
                    let mut item = item;
                    while let Value::Object(inner) = item
                        && inner.len() == 1
                        && self.dotted_inline
                        && self.roll(2) == 0
                    {
                        keys.push(inner.keys().next().unwrap());
                        item = inner.values().next().unwrap();
                    }
                    self.keys(&keys);
                    self.one_of(&[" = ", "="]);
                    self.value(item, false);
                    self.one_of(&[" ", ""]);
                    if at + 1 < map.len() {
                        self.out.push(',');
                    }
                }
                self.out.push('}');
            }
            scalar => self.out += &scalar.to_string(),
        }
    }

    fn string(&mut self, text: &str) {
        let is_date = ["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "inf", "-nan"].contains(&text);
        let is_plain = !text.contains(|c: char| c.is_control());
        match self.roll(5) {
            0..3 if is_date => self.out += text,
            1 if is_plain && !text.contains('\'') => self.out += &format!("'{text}'"),
            2 if is_plain && !text.contains('\'') => {
                self.out += &format!("'''{}{text}'''", self.line_break);
            }
            3 if is_plain && !text.contains(['"', '\\']) => {
                self.out += &format!("\"\"\"{}{text}\"\"\"", self.line_break);
            }
            _ => self.basic(text),
        }
    }

    /// Inside of an array.
    fn space(&mut self, lines: bool) {
        match self.roll(8) {
            0 => self.out.push(' '),
            1 if lines => self.out += self.line_break,
            2 if lines => {
                self.comment();
                self.out += self.line_break;
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn edits_arrive_whatever_the_text(old in document(), edits in vec(edit(key(), any_value()), 0..6), noise in noise()) {
        let text = Speller::spell(&old, &noise);
        prop_assert!(is_judged(&text, &old), "the speller is wrong: {}", text);
        prop_assert!(is_judged(&text, &read(&text)), "{}", text);
        let mut target = read(&text);
        edits.iter().for_each(|edit| edit.apply(&mut target));
        match patch(&Format::Toml, text.as_bytes(), &target) {
            Ok(_) => drop(patched(&text, &target)),
            Err(error) => prop_assert!(error.to_string().contains("has comments inside"), "{}\n{}\n{}", error, text, target),
        }
        prop_assert_eq!(patched(&text, &read(&text)), text);
    }

    #[test]
    fn any_text_becomes_any_target(old in document(), target in document(), noise in noise()) {
        let text = Speller::spell(&old, &noise);
        match patch(&Format::Toml, text.as_bytes(), &target) {
            Ok(_) => drop(patched(&text, &target)),
            Err(error) => prop_assert!(error.to_string().contains("has comments inside"), "{}\n{}\n{}", error, text, target),
        }
    }

    /// What is added takes nothing away: each line that was there is there, in order, and each comment.
    #[test]
    fn an_addition_leaves_every_line(old in document(), node in any::<Index>(), place in any::<Index>(), fresh in any_value(), noise in noise()) {
        let text = Speller::spell(&old, &noise);
        let mut target = read(&text);
        let mut paths = Vec::new();
        tables_of(&target, &mut Vec::new(), &mut paths);
        let path = node.get(&paths);
        let table = path.iter().fold(&mut target, |value, key| match value {
            Value::Object(map) => map.get_mut(key).unwrap(),
            _ => unreachable!(),
        });
        Edit { kind: 9, node, place, key: "new".to_owned(), fresh }.apply_to(table);
        let result = patched(&text, &target);
        prop_assert_eq!(comments(&text), comments(&result), "{}\n{}", text, result);
        // A comma may be needed at one place more.
        prop_assert!(alike(&text, &result) >= text.len() || path.last().is_some() && text.contains('{'), "{}\n{}", text, result);
    }

    #[test]
    fn a_changed_scalar_is_all_that_changes(old in document(), node in any::<Index>(), fresh in scalar(), noise in noise()) {
        let text = Speller::spell_with(&old, &noise, false);
        let mut target = read(&text);
        let mut slots = Vec::new();
        scalars_of(&target, &mut Vec::new(), &mut slots);
        if slots.is_empty() {
            return Ok(());
        }
        let path = node.get(&slots);
        let slot = path.iter().fold(&mut target, |value, key| match value {
            Value::Object(map) => map.get_mut(key).unwrap(),
            _ => unreachable!(),
        });
        *slot = fresh.clone();
        let result = patched(&text, &target);
        prop_assert!(result.len() - alike(&text, &result) <= fresh.to_string().len() * 6 + 4, "{}\n{}", text, result);
        prop_assert_eq!(comments(&text), comments(&result));
    }

    #[test]
    fn what_moves_takes_its_comments_along(old in document(), edit in edit(key(), any_value()), reverse: bool, noise in noise()) {
        let text = Speller::spell(&old, &noise);
        let mut target = read(&text);
        Edit { kind: if reverse { 5 } else { 3 }, ..edit }.apply(&mut target);
        match patch(&Format::Toml, text.as_bytes(), &target) {
            Ok(result) => {
                let result = String::from_utf8(result).unwrap();
                prop_assert_eq!(comments(&text), comments(&result), "{}\n{}", text, result);
            }
            Err(error) => prop_assert!(error.to_string().contains("has comments inside"), "{}\n{}\n{}", error, text, target),
        }
    }

    #[test]
    fn no_bytes_bring_the_parser_down(text in vec(any::<u8>(), 0..40)) {
        let _ = parse(&Format::Toml, &text);
        let _ = patch(&Format::Toml, &text, &Value::object());
    }

    #[test]
    fn what_looks_like_toml_is_read_as_the_judge_reads_it(
        text in "(a|b|\\.|=|1|'x'|\"\"|\\[|\\]|\\[\\[a\\]\\]\n|\\[a\\]\n|\\{|\\}|,|\n|# c\n|a=1\n|a\\.b=1\n| ){0,14}",
    ) {
        let judged = text.parse::<super::judge::Table>();
        match parse(&Format::Toml, text.as_bytes()) {
            Ok(value) => {
                prop_assert!(is_judged(&text, &value), "{}", text);
                let mut target = value.clone();
                if let Value::Object(map) = &mut target {
                    map.insert("new", Value::from(1));
                }
                patched(&text, &target);
            }
            Err(invalid) => prop_assert!(judged.is_err(), "{}\n{}", invalid, text),
        }
    }
}
