//! A text and a value, walked side by side. Where they agree nothing is built, so this costs little more than reading both.
//!
//! Two questions are answered by it: whether a text stands for exactly this value, which proves every patch, and whether
//! all that differs is some scalars, each of which can be replaced where it stands, which is what most edits come to.
//! A yes is certain. Whatever this walk does not understand or does not allow it leaves to `parse`, which can say why.

use std::borrow::Cow;
use std::ops::Range;

use super::Dialect;
use super::scan::{blank, plain, string_with_escapes};
use crate::limits;
use crate::value::{self, List, Map, Number, Value};

/// A scalar of the text that is to be another one.
#[derive(Debug)]
pub(super) struct Differing<'v> {
    pub(super) at: Range<usize>,
    pub(super) target: &'v Value,
}

/// What makes `text`, a document without a byte order mark, another one than `target`, if that is scalars alone.
///
/// With nothing in the list, the text stands for `target`. `None` says nothing about the text, not even that it is a document.
pub(super) fn differing<'v>(text: &str, dialect: Dialect, target: &'v Value) -> Option<Vec<Differing<'v>>> {
    let mut walk = Walk { text, dialect, at: 0, found: Vec::new() };
    walk.value(target, 0)?;
    walk.skip_space()?;
    (walk.at == text.len()).then_some(walk.found)
}

/// Every method goes past what it is named after, and gives `None` where it cannot.
struct Walk<'a, 'v> {
    text: &'a str,
    dialect: Dialect,
    at: usize,
    found: Vec<Differing<'v>>,
}

impl<'a, 'v> Walk<'a, 'v> {
    /// `depth` containers are open around the value.
    fn value(&mut self, target: &'v Value, depth: usize) -> Option<()> {
        self.skip_space()?;
        match (self.peek()?, target) {
            (b'{' | b'[', _) if depth >= limits::DEPTH_MAX => None,
            (b'{', Value::Object(map)) => self.object(map, depth),
            (b'[', Value::Array(list)) => self.array(list, depth),
            (b'{' | b'[', _) | (_, Value::Object(_) | Value::Array(_)) => None,
            (first, target) => {
                let start = self.at;
                if !self.scalar(first, target)? {
                    self.found.push(Differing { at: start..self.at, target });
                }
                Some(())
            }
        }
    }

    /// That the keys are those of a map, one by one, shows also that none is written twice.
    fn object(&mut self, map: &'v Map, depth: usize) -> Option<()> {
        self.at += 1;
        for (at, (key, value)) in value::fetched(map).enumerate() {
            if at > 0 {
                self.byte(b',')?;
            }
            self.skip_space()?;
            if key.len() > limits::KEY_MAX || self.peek()? != b'"' || self.string()? != key {
                return None;
            }
            self.byte(b':')?;
            self.value(value, depth + 1)?;
        }
        self.close(b'}', map.is_empty())
    }

    fn array(&mut self, list: &'v List, depth: usize) -> Option<()> {
        self.at += 1;
        let mut changed = 0;
        for (at, value) in list.iter().enumerate() {
            if at > 0 {
                self.byte(b',')?;
            }
            let before = self.found.len();
            self.value(value, depth + 1)?;
            changed += usize::from(self.found.len() > before);
        }
        // Of several elements that differ some may have moved: which one is which is to be found out first.
        if changed > 1 {
            return None;
        }
        self.close(b']', list.is_empty())
    }

    fn close(&mut self, bracket: u8, is_empty: bool) -> Option<()> {
        self.skip_space()?;
        if !is_empty && self.dialect == Dialect::Comments && self.peek()? == b',' {
            self.at += 1;
        }
        self.byte(bracket)
    }

    /// Whether a scalar that begins with this byte stands for `target`. What follows a number or a word is for the caller
    /// to look at, who allows only what may stand behind a value.
    fn scalar(&mut self, first: u8, target: &Value) -> Option<bool> {
        match first {
            b'"' => {
                let text = self.string()?;
                Some(matches!(target, Value::String(wanted) if **wanted == *text))
            }
            b'-' | b'0'..=b'9' => self.number(target),
            b't' => self.word("true").map(|()| *target == Value::Bool(true)),
            b'f' => self.word("false").map(|()| *target == Value::Bool(false)),
            b'n' => self.word("null").map(|()| target.is_null()),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self, target: &Value) -> Option<bool> {
        let rest = &self.text[self.at..];
        let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = &rest[..rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len())];
        self.at += text.len();
        // Numbers are equal if their texts are, and the text of any number but a short integer is at hand.
        if let Value::Number(wanted) = target
            && text.contains(['.', 'e', 'E'])
            && wanted.text() == text
        {
            return Some(true);
        }
        let number = Number::parse(text)?;
        Some(target.as_number() == Some(&number))
    }

    /// The characters that the string stands for.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let literal = &self.text[self.at..];
        let inside = &literal[1..];
        let len = plain(inside.as_bytes());
        let (text, end) = match inside.as_bytes().get(len)? {
            b'"' => (Cow::Borrowed(&inside[..len]), len + 2),
            b'\\' => string_with_escapes(literal)?,
            _ => return None,
        };
        self.at += end;
        Some(text)
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        self.skip_space()?;
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Past white space, and the comments that this dialect has.
    fn skip_space(&mut self) -> Option<()> {
        loop {
            self.at += blank(&self.text.as_bytes()[self.at..]);
            let rest = &self.text[self.at..];
            if !rest.starts_with('/') {
                return Some(());
            }
            let len = match rest.as_bytes().get(1)? {
                _ if self.dialect == Dialect::Strict => return None,
                b'/' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                b'*' => rest[2..].find("*/")? + 4,
                _ => return None,
            };
            self.at += len;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::document::flow::{self, Tree};
    use crate::document::json::{parse, replaced};
    use crate::document::{Format, edit};

    fn value(text: &str) -> Value {
        crate::document::parse(&Format::Json, text.as_bytes()).expect("a test's own text")
    }

    fn found(text: &str, dialect: Dialect, target: &str) -> Option<Vec<String>> {
        let target = value(target);
        let found = differing(text, dialect, &target)?;
        Some(found.into_iter().map(|scalar| format!("{} is {}", &text[scalar.at], scalar.target)).collect())
    }

    #[test]
    fn scalars_are_found_where_they_stand() {
        let text = "{\"a\\u0062\": [1, \"\\ud83d\\ude00\", {}], \"n\": -0, \"t\":true}\n";
        for (target, expected) in [
            (r#"{"ab":[1,"😀",{}],"n":-0,"t":true}"#, &[][..]),
            (r#"{"ab":[1,"😀",{}],"n":0,"t":null}"#, &["-0 is 0", "true is null"]),
            (r#"{"ab":[1,"x",{}],"n":-0,"t":true}"#, &["\"\\ud83d\\ude00\" is \"x\""]),
            (r#"{"ab":[1.0,"😀",{}],"n":"-0","t":"true"}"#, &["1 is 1.0", "-0 is \"-0\"", "true is \"true\""]),
        ] {
            assert_eq!(found(text, Dialect::Strict, target).expect("scalars alone differ"), expected, "{target}");
        }
    }

    #[test]
    fn what_is_more_than_scalars_or_no_document_is_left_to_the_parser() {
        let target = r#"{"a":[1,"b"],"c":{}}"#;
        for text in [
            r#"{"a":[2,"x"],"c":{}}"#,
            r#"{"a":[1,"b"],"c":[]}"#,
            r#"{"a":[1,"b"]}"#,
            r#"{"a":[1,"b"],"c":{},"d":1}"#,
            r#"{"c":{},"a":[1,"b"]}"#,
            r#"{"a":[1,"b"],"c":{"d":1}}"#,
            r#"{"a":[1,"b"],"c":{}"#,
            r#"{"a":[1,"b"],"c":{}}}"#,
            r#"{"a":[1,"b",],"c":{}}"#,
            r#"{"a":[1 "b"],"c":{}}"#,
            r#"{"a":[1,"b],"c":{}}"#,
            r#"{"a":[1,"b\q"],"c":{}}"#,
            "{\"a\":[1,\"b\t\"],\"c\":{}}",
            "{\"a\":[1,\"\\u0062\t\"],\"c\":{}}",
            "{\"a\":[1,\"b\"],\u{a0}\"c\":{}}",
            r#"{"a":[01,"b"],"c":{}}"#,
            r#"{"a":[1.,"b"],"c":{}}"#,
            r#"{"a":[true1,"b"],"c":{}}"#,
            r#"{"a":[1,"b"],/**/"c":{}}"#,
            "",
        ] {
            assert_eq!(found(text, Dialect::Strict, target), None, "{text}");
        }
        let comments = "// {\n{\"a\":[1,/*/ , */\"b\",],\"c\":{},}//";
        assert_eq!(found(comments, Dialect::Comments, target), Some(Vec::new()));
        for text in ["{\"a\":[1,\"b\"],\"c\":{,}}", "{\"a\":[1,\"b\"],\"c\":{}}/*/"] {
            assert_eq!(found(text, Dialect::Comments, target), None, "{text}");
        }
    }

    #[test]
    fn depth_and_keys_have_their_limits_here_too() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let deepest = value(&nested(limits::DEPTH_MAX));
        assert!(differing(&nested(limits::DEPTH_MAX), Dialect::Strict, &deepest).is_some());
        let deeper: Value = [deepest].into_iter().collect();
        assert!(differing(&nested(limits::DEPTH_MAX + 1), Dialect::Strict, &deeper).is_none());
        for (len, expected) in [(limits::KEY_MAX, true), (limits::KEY_MAX + 1, false)] {
            let key = "k".repeat(len);
            let target: Value = [(&*key, 1)].into_iter().collect();
            assert_eq!(differing(&format!("{{\"{key}\":1}}"), Dialect::Strict, &target).is_some(), expected);
        }
    }

    #[test]
    fn every_byte_that_ends_the_plain_part_of_a_string_is_seen_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut text = vec![b'x'; 20];
                text[at] = byte;
                let ends = byte < b' ' || byte == b'"' || byte == b'\\';
                assert_eq!(plain(&text), if ends { at } else { 20 }, "{byte:#x} at {at}");
            }
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            proptest::sample::select(&["null", "true", "1", "-0", "1.0", "1e3"][..]).prop_map(value),
            "[a-c\"\\\\\n]{0,10}".prop_map(Value::from),
        ];
        scalar.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec(("[a-c]", inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_it_says_is_what_the_tree_says(old in any_value(), new in any_value(), is_wide: bool) {
            let text = if is_wide { format!("{old:#}") } else { old.to_string() };
            let tree = parse::parse(&text, Dialect::Strict).expect("it was written so");
            if let Some(found) = differing(&text, Dialect::Strict, &new) {
                prop_assert_eq!(found.is_empty(), old == new, "{} and {}", old, new);
                let by_tree = flow::patch(&tree, None, Tree::ROOT, &new).expect("it can be patched");
                let patched = |splices| edit::apply(&text, 0..text.len(), splices).expect("no two edits meet");
                prop_assert_eq!(patched(found.into_iter().map(replaced).collect()), patched(by_tree));
            } else {
                prop_assert!(old != new, "{}", text);
            }
        }
    }
}
