//! Texts that nobody would write, and targets that lie some edits away.

use std::collections::BTreeMap;

use cfgwal::document::{Format, parse, patch};
use cfgwal::{List, Map, Number, Path, Segment, Value};
use proptest::collection::vec;
use proptest::prelude::*;

use super::layouts::STYLES;
use super::{judge, patched};

fn scalar() -> impl Strategy<Value = Value> {
    const NUMBERS: [&str; 8] =
        ["0", "-0", "1.0", "1e3", "1E-7", "2.50", "123456789012345678901234567890", "9007199254740993"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        proptest::sample::select(&NUMBERS[..]).prop_map(|text| Value::Number(Number::parse(text).unwrap())),
        string().prop_map(Value::from),
    ]
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof!["[a-e]{1,2}", "[\\x00-\\x7f]{0,4}", "[\"\\\\/,:{}\\[\\]*é\u{2028}😀 \n]{0,6}"]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((string(), inner), 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect::<Map>())),
        ]
    })
}

/// Writes a value with spacing, spelling and comments as the noise has it.
struct Speller<'n> {
    noise: std::iter::Cycle<std::slice::Iter<'n, u8>>,
    comments: bool,
    out: String,
}

impl Speller<'_> {
    fn spell(value: &Value, noise: &[u8], comments: bool) -> String {
        let mut speller = Speller { noise: noise.iter().cycle(), comments, out: String::new() };
        if speller.roll().is_multiple_of(8) {
            speller.out.push('\u{feff}');
        }
        speller.gap();
        speller.value(value);
        speller.gap();
        speller.out
    }

    fn roll(&mut self) -> u8 {
        *self.noise.next().unwrap()
    }

    fn gap(&mut self) {
        let choice = self.roll();
        self.out += ["", "", "", " ", "\n", "\r\n  ", "\t", "\n\n    "][usize::from(choice % 8)];
        if self.comments && choice >= 200 {
            let number = self.out.len();
            let end = ["\n", "\r\n  "][usize::from(choice % 2)];
            self.out += &match choice % 3 {
                0 => format!("// , \"x\": {{ {number}{end}"),
                1 => format!("/* }} \" // {number} */"),
                _ => format!("/* {number} *{end}*/{end}"),
            };
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(list) => self.items(['[', ']'], list.iter().map(|value| (None, value))),
            Value::Object(map) => self.items(['{', '}'], map.iter().map(|(key, value)| (Some(key), value))),
            Value::String(text) => self.string(text),
            scalar => self.out += &scalar.to_string(),
        }
    }

    fn items<'v>(&mut self, [open, close]: [char; 2], items: impl Iterator<Item = (Option<&'v str>, &'v Value)>) {
        self.out.push(open);
        let mut any = false;
        for (key, value) in items {
            if any {
                self.out.push(',');
            }
            any = true;
            self.gap();
            if let Some(key) = key {
                self.string(key);
                self.gap();
                self.out.push(':');
                self.gap();
            }
            self.value(value);
            self.gap();
        }
        if any && self.comments && self.roll().is_multiple_of(3) {
            self.out.push(',');
        }
        self.gap();
        self.out.push(close);
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            let must = c < ' ' || c == '"' || c == '\\';
            match c {
                '/' if self.roll().is_multiple_of(2) => self.out += "\\/",
                '"' | '\\' if self.roll().is_multiple_of(2) => self.out.extend(['\\', c]),
                c if must || self.roll().is_multiple_of(8) => {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| self.out += &format!("\\u{unit:04X}"));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

#[derive(Clone, Debug)]
enum Kind {
    Change,
    Remove,
    Add,
    Move,
    Rename,
}

#[derive(Clone, Debug)]
struct Edit {
    kind: Kind,
    node: prop::sample::Index,
    place: prop::sample::Index,
    key: String,
    fresh: Value,
}

fn edit() -> impl Strategy<Value = Edit> {
    let kind =
        prop_oneof![Just(Kind::Change), Just(Kind::Remove), Just(Kind::Add), Just(Kind::Move), Just(Kind::Rename)];
    (kind, any::<prop::sample::Index>(), any::<prop::sample::Index>(), string(), value())
        .prop_map(|(kind, node, place, key, fresh)| Edit { kind, node, place, key, fresh })
}

fn all_paths(root: &Value) -> Vec<Path> {
    fn walk(value: &Value, here: &Path, out: &mut Vec<Path>) {
        out.push(here.clone());
        match value {
            Value::Array(list) => list.iter().enumerate().for_each(|(at, value)| walk(value, &here.join(at), out)),
            Value::Object(map) => map.iter().for_each(|(key, value)| walk(value, &here.join(key), out)),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(root, &Path::root(), &mut out);
    out
}

fn node<'v>(root: &'v mut Value, path: &Path) -> &'v mut Value {
    path.segments().iter().fold(root, |value, segment| match (value, segment) {
        (Value::Object(map), Segment::Key(key)) => map.get_mut(key).unwrap(),
        (Value::Array(list), Segment::Index(at)) => list.get_mut(*at).unwrap(),
        _ => unreachable!(),
    })
}

/// The items of a container, to be put together anew.
fn items(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Array(list) => list.iter().map(|value| (String::new(), value.clone())).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect(),
        _ => Vec::new(),
    }
}

impl Edit {
    fn apply(&self, root: &mut Value) {
        let all = all_paths(root);
        self.apply_to(node(root, self.node.get(&all)));
    }

    fn apply_to(&self, value: &mut Value) {
        let mut items = items(value);
        let place = self.place.index(items.len() + 1);
        match self.kind {
            Kind::Change => *value = self.fresh.clone(),
            _ if !matches!(value, Value::Array(_) | Value::Object(_)) => *value = self.fresh.clone(),
            Kind::Add => {
                items.retain(|(key, _)| key.is_empty() || *key != self.key);
                let place = place.min(items.len());
                items.insert(place, (self.key.clone(), self.fresh.clone()));
            }
            _ if items.is_empty() => {}
            Kind::Remove => drop(items.remove(place % items.len())),
            Kind::Move => {
                let item = items.remove(place % items.len());
                items.insert(self.key.len() % (items.len() + 1), item);
            }
            Kind::Rename => {
                let at = place % items.len();
                if items.iter().all(|(key, _)| *key != self.key) {
                    items[at].0.clone_from(&self.key);
                }
            }
        }
        match value {
            Value::Array(list) => *list = items.into_iter().map(|(_, value)| value).collect::<List>(),
            Value::Object(map) => *map = items.into_iter().collect::<Map>(),
            _ => {}
        }
    }
}

/// Where the scalars are, by path: found by a walk that shares nothing with the crate's parser.
fn scalars(text: &str) -> BTreeMap<String, std::ops::Range<usize>> {
    fn skip(text: &str, mut at: usize) -> usize {
        loop {
            let rest = &text[at..];
            at += match rest {
                _ if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                _ if rest.starts_with("/*") => rest[2..].find("*/").unwrap() + 4,
                _ if rest.starts_with([' ', '\n', '\r', '\t', '\u{feff}']) => rest.chars().next().unwrap().len_utf8(),
                _ => return at,
            };
        }
    }
    fn string_end(text: &str, mut at: usize) -> usize {
        at += 1;
        while text.as_bytes()[at] != b'"' {
            at += if text.as_bytes()[at] == b'\\' { 2 } else { 1 };
        }
        at + 1
    }
    fn walk(text: &str, at: usize, path: &Path, out: &mut BTreeMap<String, std::ops::Range<usize>>) -> usize {
        let keyed = match text.as_bytes()[at] {
            b'{' => true,
            b'[' => false,
            b'"' => {
                let end = string_end(text, at);
                out.insert(path.to_string(), at..end);
                return end;
            }
            _ => {
                let len = text[at..].find(|c: char| !c.is_alphanumeric() && !"+-.".contains(c));
                let end = len.map_or(text.len(), |len| at + len);
                out.insert(path.to_string(), at..end);
                return end;
            }
        };
        let (mut at, mut index) = (skip(text, at + 1), 0);
        while !matches!(text.as_bytes()[at], b'}' | b']') {
            let mut inner = path.join(index);
            if keyed {
                let end = string_end(text, at);
                let key: String = serde_json::from_str(&text[at..end]).unwrap();
                inner = path.join(key);
                at = skip(text, skip(text, end) + 1);
            }
            at = skip(text, walk(text, at, &inner, out));
            if text.as_bytes()[at] == b',' {
                at = skip(text, at + 1);
            }
            index += 1;
        }
        at + 1
    }
    let mut out = BTreeMap::new();
    walk(text, skip(text, 0), &Path::root(), &mut out);
    out
}

fn comments(text: &str) -> Vec<&str> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let rest = &text[at..];
        let len = match rest.chars().next().unwrap() {
            '"' => {
                let mut end = 1;
                while rest.as_bytes()[end] != b'"' {
                    end += if rest.as_bytes()[end] == b'\\' { 2 } else { 1 };
                }
                end + 1
            }
            '/' => {
                let line = rest.starts_with("//");
                let len = if line {
                    rest.find(['\n', '\r']).unwrap_or(rest.len())
                } else {
                    rest[2..].find("*/").unwrap() + 4
                };
                out.push(&rest[..len]);
                len
            }
            c => c.len_utf8(),
        };
        at += len;
    }
    out
}

fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Json), Just(Format::Jsonc)]
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..60)
}

proptest! {
    #[test]
    fn any_text_becomes_any_target(format in formats(), old in value(), new in value(), noise in noise()) {
        let text = Speller::spell(&old, &noise, format == Format::Jsonc);
        prop_assert_eq!(parse(&format, text.as_bytes()).unwrap(), old);
        patched(&format, &text, &new);
    }

    #[test]
    fn edits_arrive_and_values_beside_them_keep_their_bytes(
        format in formats(), old in value(), edits in vec(edit(), 0..8), noise in noise(),
    ) {
        let text = Speller::spell(&old, &noise, format == Format::Jsonc);
        let mut target = old.clone();
        edits.iter().for_each(|edit| edit.apply(&mut target));
        let result = patched(&format, &text, &target);
        if target == old {
            prop_assert_eq!(&result, &text);
        }
        // Elements of arrays have no identity, and an added or removed one renumbers the others.
        let (before, after) = (scalars(&text), scalars(&result));
        for (path, span) in before.into_iter().filter(|(path, _)| !path.contains('[')) {
            let at = Path::parse(&path).unwrap();
            if let (Some(kept), true) = (after.get(&path), old.get(&at) == target.get(&at)) {
                prop_assert_eq!(&text[span], &result[kept.clone()], "{} of\n{}\nin\n{}", path, text, result);
            }
        }
    }

    #[test]
    fn a_changed_scalar_is_all_that_changes(
        format in formats(), old in (value(), scalar()), at in any::<prop::sample::Index>(), new in scalar(),
        noise in noise(),
    ) {
        let old = Value::from(vec![old.0, old.1]);
        let text = Speller::spell(&old, &noise, format == Format::Jsonc);
        let scalars: Vec<_> = scalars(&text).into_iter().collect();
        let (path, span) = at.get(&scalars).clone();
        let path = Path::parse(&path).unwrap();
        let mut target = old.clone();
        *node(&mut target, &path) = new.clone();
        let expected = match old.get(&path) == Some(&new) {
            true => text.clone(),
            false => format!("{}{new}{}", &text[..span.start], &text[span.end..]),
        };
        prop_assert_eq!(patched(&format, &text, &target), expected);
    }

    #[test]
    fn an_item_added_or_removed_leaves_the_text_around_it(
        old in vec(value(), 1..4), at in any::<prop::sample::Index>(), edit in edit(), noise in noise(),
    ) {
        let old = Value::from(old);
        let text = Speller::spell(&old, &noise, false);
        let containers: Vec<Path> = all_paths(&old).into_iter().filter(|path| !items(old.get(path).unwrap()).is_empty()).collect();
        let container = at.get(&containers);
        let kind = if edit.place.index(2) == 0 { Kind::Add } else { Kind::Remove };
        let mut target = old.clone();
        Edit { kind, ..edit }.apply_to(node(&mut target, container));
        let result = patched(&Format::Json, &text, &target);
        let (short, long) = if result.len() > text.len() { (&text, &result) } else { (&result, &text) };
        let same_start = short.bytes().zip(long.bytes()).take_while(|(a, b)| a == b).count();
        let same_end = short.bytes().rev().zip(long.bytes().rev()).take_while(|(a, b)| a == b).count();
        // A container that becomes empty gives up the white space in it; a key there already is a change.
        let count = |root: &Value| items(root.get(container).unwrap()).len();
        let is_one = count(&target) > 0 && count(&target) != count(&old);
        prop_assert!(!is_one || same_start + same_end >= short.len(), "{}\n{}", text, result);
    }

    /// In objects: elements of arrays have no identity, so which one a comment is in can be a guess.
    #[test]
    fn without_a_removal_every_comment_stays(
        old in vec((string(), value()), 1..6), edits in vec(edit(), 1..6), noise in noise(),
    ) {
        let old = Value::Object(old.into_iter().collect::<Map>());
        let text = Speller::spell(&old, &noise, true);
        let mut target = old.clone();
        for edit in edits {
            let mut paths = all_paths(&target);
            paths.retain(|path| path.segments().iter().all(|segment| matches!(segment, Segment::Key(_))));
            paths.retain(|path| !matches!(target.get(path), Some(Value::Array(_))));
            let value = node(&mut target, edit.node.get(&paths));
            let has_key = value.as_object().is_some_and(|map| map.contains(&edit.key));
            if !has_key {
                Edit { kind: Kind::Add, ..edit }.apply_to(value);
            }
        }
        let result = patched(&Format::Jsonc, &text, &target);
        prop_assert_eq!(comments(&result), comments(&text), "{}\n{}", text, result);
    }

    /// Each with the number of its place in the old text, so that they are all of different values.
    #[test]
    fn elements_and_keys_in_another_order_or_under_another_name_keep_every_comment(
        old in vec((string(), value()), 1..6), order in vec(any::<prop::sample::Index>(), 6), noise in noise(), keyed: bool,
    ) {
        let mut items: Vec<(String, Value)> = old.into_iter().enumerate()
            .map(|(at, (key, value))| (format!("{at}{key}"), Value::from(vec![Value::from(at), value]))).collect();
        let value = |items: &[(String, Value)]| match keyed {
            true => items.iter().cloned().collect(),
            false => items.iter().map(|(_, value)| value.clone()).collect(),
        };
        let text = Speller::spell(&value(&items), &noise, true);
        if order[0].index(3) == 0 {
            let at = order[1].index(items.len());
            items[at].0 += "renamed";
        } else {
            let item = items.remove(order[1].index(items.len()));
            items.insert(order[2].index(items.len() + 1), item);
        }
        let target: Value = value(&items);
        let result = patched(&Format::Jsonc, &text, &target);
        let sorted = |text| { let mut all = comments(text).into_iter().map(|comment| comment.trim_end().to_owned()).collect::<Vec<_>>(); all.sort(); all };
        prop_assert_eq!(sorted(&result), sorted(&text), "{}\n{}", text, result);
    }

    #[test]
    fn an_even_layout_stays_even(
        style in prop::sample::select(&STYLES[..]), old in value(), edits in vec(edit(), 0..6),
    ) {
        let mut new = old.clone();
        edits.iter().for_each(|edit| edit.apply(&mut new));
        // Enough at the top to tell the style by.
        let document = |value: Value| -> Value {
            [("first", Value::from(1)), ("value", value), ("last", 2.into())].into_iter().collect()
        };
        let result = patched(&Format::Json, &style.write(&document(old)), &document(new.clone()));
        prop_assert_eq!(result, style.write(&document(new)));
    }

    /// Whatever the bytes are, they are read as serde_json reads them, or refused.
    #[test]
    fn no_bytes_bring_the_parser_down(text in vec(any::<u8>(), 0..40), format in formats()) {
        let _ = parse(&format, &text);
        let _ = patch(&format, &text, &Value::Null);
    }

    #[test]
    fn what_looks_like_json_is_read_as_the_judge_reads_it(
        text in "([{}\\[\\],: ]|\"[a-c\\\\u0-9]{0,6}\"|-?[0-9]{1,3}(\\.[0-9]|e[0-9])?|true|null|\n){0,12}",
    ) {
        let judged = serde_json::from_str::<serde_json::Value>(&text);
        // A float that overflows is a number all the same.
        prop_assume!(!judged.as_ref().is_err_and(|error| error.to_string().contains("out of range")));
        match parse(&Format::Json, text.as_bytes()) {
            Ok(value) => prop_assert_eq!(judged.unwrap(), judge(&value.to_string())),
            // The judge lets the last of two equal keys win.
            Err(invalid) => prop_assert!(invalid.why.contains("twice") || judged.is_err(), "{}\n{}", invalid, text),
        }
    }
}
