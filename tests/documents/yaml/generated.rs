//! Texts that nobody would write, and targets that lie some edits away.
//!
//! `PROPTEST_CASES=100000 cargo test --test documents generated` is the long run.

use cfgwal::document::{Format, Unpatchable, parse, patch};
use cfgwal::{List, Map, Number, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{is_judged, judged, read};
use crate::alike::alike;
use crate::changes::{Edit, comments, edit, noise, scalars_of, tables_of};

fn scalar() -> impl Strategy<Value = Value> {
    const NUMBERS: [&str; 8] = ["0", "-0", "1.0", "1e3", "-1E-7", "2.50", "123456789012345678901", "1e308"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9..99_i64).prop_map(Value::from),
        select(&NUMBERS[..]).prop_map(|text| Value::Number(Number::parse(text).unwrap())),
        string().prop_map(Value::from),
        string().prop_map(Value::from),
    ]
}

fn string() -> impl Strategy<Value = String> {
    const TREACHEROUS: [&str; 10] = ["no", "1_000", "12:30", "2024-01-01", "0x1F", "=", "<<", "---", "...", "!t"];
    prop_oneof![
        "[a-e]{0,2}",
        "[a-e]{1,3} [a-e]{1,3}",
        "[\\x00-\\x7f]{0,4}",
        "[\"'\\\\#=.\\[\\]{},:é😀& \r\n-]{0,5}",
        "([a-c# ]{0,3}\n){1,3}[a-c]{0,2}\n{0,2}",
        select(&TREACHEROUS[..]).prop_map(str::to_owned),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-e]", 1 => string()]
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 30, 5, |inner| prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), table(inner)])
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
    /// What has an anchor of which number, if there are to be any.
    anchored: Option<Vec<(usize, Value)>>,
    anchors: usize,
}

impl Speller<'_> {
    fn spell(value: &Value, noise: &[u8], anchors: bool) -> String {
        let mut speller = Speller {
            noise: noise.iter().cycle(),
            line_break: "\n",
            out: String::new(),
            comments: 0,
            anchored: anchors.then(Vec::new),
            anchors: 0,
        };
        if speller.roll(6) == 0 {
            speller.out.push('\u{feff}');
        }
        if speller.roll(3) == 0 {
            speller.line_break = "\r\n";
        }
        let Value::Object(map) = value else { unreachable!() };
        speller.gap(0);
        if speller.roll(5) == 0 {
            speller.out += "---";
            speller.end_line();
        }
        if map.is_empty() {
            speller.one_of(&["{}", ""]);
            speller.out += speller.line_break;
        } else {
            speller.map(map, 0, false);
        }
        speller.gap(0);
        if !map.is_empty() && speller.roll(8) == 0 {
            speller.out += "...";
            speller.out += speller.line_break;
        }
        if speller.roll(4) == 0 {
            let ended = speller.out.trim_end_matches(['\r', '\n']);
            // A block scalar says something else without it.
            if is_judged(ended, value) {
                speller.out = ended.to_owned();
            }
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

    fn pad(&mut self, column: usize) {
        self.out.extend(std::iter::repeat_n(' ', column));
    }

    /// Lines that say nothing.
    fn gap(&mut self, column: usize) {
        for _ in 0..self.roll(6).saturating_sub(3) {
            if self.roll(2) == 0 {
                self.pad(column);
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

    /// The entries; the first one stands where the text is, if it is not on a line of its own.
    fn map(&mut self, map: &Map, column: usize, mut inline: bool) {
        for (key, value) in map {
            if !std::mem::take(&mut inline) {
                self.gap(column);
                self.pad(column);
            }
            if self.roll(12) == 0 {
                self.out += "? ";
                self.key(key);
                self.end_line();
                self.pad(column);
            } else {
                self.key(key);
                self.one_of(&["", "", "", " "]);
            }
            self.out.push(':');
            self.behind(value, column, true);
        }
    }

    fn list(&mut self, list: &List, column: usize, mut inline: bool) {
        for value in list {
            if !std::mem::take(&mut inline) {
                self.gap(column);
                self.pad(column);
            }
            self.out.push('-');
            self.behind(value, column, false);
        }
    }

    /// A value behind a colon or a dash of something at this column.
    fn behind(&mut self, value: &Value, column: usize, keyed: bool) {
        let mut has_anchor = false;
        if let Some(anchored) = &self.anchored {
            let known = anchored.iter().find(|(_, known)| known == value).map(|(number, _)| *number);
            if let Some(number) = known.filter(|_| self.roll(2) == 0) {
                self.out += &format!(" *x{number}");
                return self.end_line();
            }
            has_anchor = self.roll(8) == 0;
        }
        let number = self.anchors;
        if has_anchor {
            self.anchors += 1;
            self.out += &format!(" &x{number}");
        }
        let is_block = self.roll(3) > 0;
        let deeper = column + 1 + usize::from(self.roll(4));
        let compact = !keyed && !has_anchor && self.roll(2) == 0;
        let spaces = deeper - column;
        match value {
            Value::Object(map) if !map.is_empty() && is_block && compact => {
                self.pad(spaces);
                self.map(map, deeper + 1, true);
            }
            Value::Array(list) if !list.is_empty() && is_block && compact => {
                self.pad(spaces);
                self.list(list, deeper + 1, true);
            }
            Value::Object(map) if !map.is_empty() && is_block => {
                self.end_line();
                self.map(map, deeper, false);
            }
            Value::Array(list) if !list.is_empty() && is_block => {
                self.end_line();
                let flush = keyed && self.roll(2) == 0;
                self.list(list, if flush { column } else { deeper }, false);
            }
            Value::Null if self.roll(2) == 0 => self.end_line(),
            Value::String(text) if self.roll(2) == 0 && self.block_scalar(text, deeper) => {}
            value => {
                self.pad(spaces);
                self.value(value, deeper);
                self.end_line();
            }
        }
        if let Some(anchored) = self.anchored.as_mut().filter(|_| has_anchor) {
            anchored.push((number, value.clone()));
        }
    }

    /// Writes a string as a block scalar, if that can hold it.
    fn block_scalar(&mut self, text: &str, column: usize) -> bool {
        let body = text.trim_end_matches('\n');
        let is_folded = self.roll(2) == 0;
        let fits = |line: &str| {
            !(line.contains(|c: char| c.is_control()) || line.ends_with(' ') || is_folded && line.starts_with(' '))
        };
        if body.is_empty() || body.starts_with([' ', '\n']) || !body.split('\n').all(fits) {
            return false;
        }
        let ends = text.len() - body.len();
        self.out += [" |", " >"][usize::from(is_folded)];
        self.out += ["-", "", "+"][ends.min(2)];
        self.end_line();
        for (at, line) in body.split('\n').enumerate() {
            if at > 0 && is_folded && !line.is_empty() {
                self.out += self.line_break;
            }
            if !line.is_empty() {
                self.pad(column);
                self.out += line;
            }
            self.out += self.line_break;
        }
        (1..ends).for_each(|_| self.out += self.line_break);
        if ends > 1 {
            // What comes next must not be blank.
            self.comment();
            self.out += self.line_break;
        }
        true
    }

    fn key(&mut self, key: &str) {
        let is_bare = !key.is_empty() && key.bytes().all(|byte| matches!(byte, b'a'..=b'e'));
        match self.roll(5) {
            0..3 if is_bare => self.out += key,
            3 if !key.contains(|c: char| c.is_control()) => self.single(key, 0),
            _ => self.double(key, 0),
        }
    }

    fn single(&mut self, text: &str, column: usize) {
        self.out.push('\'');
        self.folded(&text.replace('\'', "''"), column);
        self.out.push('\'');
    }

    fn double(&mut self, text: &str, column: usize) {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c.is_control() || c != ' ' && self.roll(9) == 0 => out += &format!("\\U{:08X}", u32::from(c)),
                c => out.push(c),
            }
        }
        self.out.push('"');
        self.folded(&out, column);
        self.out.push('"');
    }

    /// A single space between words may be a line break.
    fn folded(&mut self, text: &str, column: usize) {
        let words: Vec<&str> = text.split(' ').collect();
        let is_wrapped = column > 0 && words.iter().all(|word| !word.is_empty()) && self.roll(2) == 0;
        for (at, word) in words.into_iter().enumerate() {
            match at {
                0 => {}
                _ if is_wrapped => {
                    self.out += self.line_break;
                    self.pad(column);
                }
                _ => self.out.push(' '),
            }
            self.out += word;
        }
    }

    fn value(&mut self, value: &Value, column: usize) {
        match value {
            Value::String(text) => {
                let is_bare =
                    text.split(' ').all(|word| !word.is_empty() && word.bytes().all(|c| (b'a'..=b'e').contains(&c)));
                match self.roll(5) {
                    0..3 if is_bare => self.folded(text, column),
                    3 if !text.contains(|c: char| c.is_control()) => self.single(text, column),
                    _ => self.double(text, column),
                }
            }
            Value::Array(list) => {
                self.out.push('[');
                for (at, item) in list.iter().enumerate() {
                    self.space(column);
                    self.value(item, column);
                    self.space(column);
                    if at + 1 < list.len() || self.roll(3) == 0 {
                        self.out.push(',');
                    }
                }
                self.space(column);
                self.out.push(']');
            }
            Value::Object(map) => {
                self.out.push('{');
                for (at, (key, item)) in map.iter().enumerate() {
                    self.space(column);
                    self.key(key);
                    if *item != Value::Null || self.roll(2) == 0 {
                        self.out += ": ";
                        self.value(item, column);
                    }
                    self.space(column);
                    if at + 1 < map.len() || self.roll(3) == 0 {
                        self.out.push(',');
                    }
                }
                self.space(column);
                self.out.push('}');
            }
            scalar => self.out += &scalar.to_string(),
        }
    }

    /// Between brackets.
    fn space(&mut self, column: usize) {
        match self.roll(8) {
            0 => self.out.push(' '),
            1 => {
                self.out += self.line_break;
                self.pad(column);
            }
            2 => {
                self.out.push(' ');
                self.comment();
                self.out += self.line_break;
                self.pad(column);
            }
            _ => {}
        }
    }
}

/// What the person has to do by hand.
fn is_left_to_people(error: &Unpatchable) -> bool {
    const WHY: [&str; 5] = [
        "an alias elsewhere stands for",
        "this is an alias",
        "there are comments inside",
        "a comment would go with this",
        "block scalar without a final newline",
    ];
    matches!(error, Unpatchable::Unwritable(why) if WHY.iter().any(|known| why.contains(known)))
}

/// `text` patched to `target` and judged, unless that is left to people.
fn patched(text: &str, target: &Value) -> Option<String> {
    match patch(&Format::Yaml, text.as_bytes(), target) {
        Ok(result) => {
            let result = String::from_utf8(result).unwrap();
            assert!(is_judged(&result, target), "from {text}\nto {result}\nwanted {target}");
            Some(result)
        }
        Err(error) if is_left_to_people(&error) => None,
        Err(error) => panic!("{error}\nfrom {text}\nto {target}"),
    }
}

proptest! {
    #[test]
    fn edits_arrive_whatever_the_text(old in document(), edits in vec(edit(key(), any_value()), 0..6), noise in noise(), anchors: bool) {
        let text = Speller::spell(&old, &noise, anchors);
        let mut target = read(&text);
        prop_assert_eq!(&target, &old, "the speller is wrong: {}", text);
        prop_assert!(is_judged(&text, &old), "the speller is wrong: {}\n{:?}", text, judged(&text));
        prop_assert_eq!(patched(&text, &old), Some(text.clone()));
        edits.iter().for_each(|edit| edit.apply(&mut target));
        patched(&text, &target);
    }

    #[test]
    fn any_text_becomes_any_target(old in document(), target in document(), noise in noise()) {
        patched(&Speller::spell(&old, &noise, false), &target);
    }

    /// What is added takes nothing away: each line that was there is there, in order, and each comment.
    #[test]
    fn an_addition_leaves_every_line(old in document(), node in any::<Index>(), place in any::<Index>(), fresh in any_value(), noise in noise()) {
        let text = Speller::spell(&old, &noise, false);
        let mut target = read(&text);
        let mut paths = Vec::new();
        tables_of(&target, &mut Vec::new(), &mut paths);
        let path = node.get(&paths);
        let table = path.iter().fold(&mut target, |value, key| match value {
            Value::Object(map) => map.get_mut(key).unwrap(),
            _ => unreachable!(),
        });
        // Empty braces go when something comes in.
        let braces = table.as_object().is_some_and(Map::is_empty);
        Edit { kind: 9, node, place, key: "new".to_owned(), fresh }.apply_to(table);
        if let Some(result) = patched(&text, &target) {
            prop_assert_eq!(comments(&text), comments(&result), "{}\n{}", text, result);
            // A comma may be needed at one place more.
            prop_assert!(alike(&text, &result) >= text.len() || braces || text.contains('{'), "{}\n{}", text, result);
        }
    }

    #[test]
    fn a_changed_scalar_is_all_that_changes(old in document(), node in any::<Index>(), fresh in scalar(), noise in noise()) {
        let text = Speller::spell(&old, &noise, false);
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
        if let Some(result) = patched(&text, &target) {
            let alike = alike(&text, &result);
            prop_assert!(result.len() - alike <= fresh.to_string().len() * 12 + 12, "{}\n{}", text, result);
            // One in the header of a block scalar goes with it.
            prop_assert!(comments(&result).len() + 1 >= comments(&text).len(), "{}\n{}", text, result);
        }
    }

    #[test]
    fn what_moves_takes_its_comments_along(old in document(), edit in edit(key(), any_value()), reverse: bool, noise in noise()) {
        let text = Speller::spell(&old, &noise, false);
        let mut target = read(&text);
        Edit { kind: if reverse { 5 } else { 3 }, ..edit }.apply(&mut target);
        if let Some(result) = patched(&text, &target) {
            prop_assert_eq!(comments(&text), comments(&result), "{}\n{}", text, result);
        }
    }

    #[test]
    fn no_bytes_bring_the_parser_down(text in vec(any::<u8>(), 0..40)) {
        let _ = parse(&Format::Yaml, &text);
        let _ = patch(&Format::Yaml, &text, &Value::object());
    }

    #[test]
    fn no_text_of_yaml_signs_is_taken_for_what_it_is_not(
        text in "([abx]: |- |\\? |[ab1]|\n|\r\n| |  |\t|\"|'|#| # |&x |\\*x|!t |\\[|\\]|\\{|\\}|, |: |\\||>|\\+|---\n|\\.\\.\\.\n|<<){0,16}",
    ) {
        let Ok(value) = parse(&Format::Yaml, text.as_bytes()) else { return Ok(()) };
        let mut target = value.clone();
        if let Value::Object(map) = &mut target {
            map.insert("new", Value::from(1));
        }
        for target in [target, Value::object(), Value::from(vec![1])] {
            match patch(&Format::Yaml, text.as_bytes(), &target) {
                Err(error @ Unpatchable::Unproven(_)) => prop_assert!(false, "{}\n{}\n{}", error, text, target),
                Err(_) => {}
                Ok(result) => prop_assert_eq!(parse(&Format::Yaml, &result).unwrap(), target),
            }
        }
    }
}
