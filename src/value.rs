//! [`Value`]: one node of a config, immutable and shared.
//!
//! Strings and containers are behind `Arc`s, so cloning any value is O(1), and an old version costs
//! only what differs from the new one. Knows nothing of ops or documents.

mod de;
mod map;
mod number;
mod seq;
mod ser;
mod tree;

use std::{
    fmt::{self, Write},
    sync::Arc,
};

pub use map::{Change, Iter as MapIter, OrderedMap};
pub use number::Number;
pub use seq::{Iter as SeqIter, Seq};
pub use ser::SerdeError;

use crate::{
    path::{self, Path, PathError, Segment, Step},
    quote::quote,
};

/// The items of an array.
pub type List = Seq<Value>;
/// The entries of an object, in their order.
pub type Map = OrderedMap<Value>;

/// One node of a config: what JSON can say, with numbers exact and keys in order.
///
/// Its clone is O(1). Values are equal if their structure is; the order of keys counts.
///
/// It displays as JSON on one line, and with `{:#}` indented by two spaces.
///
/// Containers nest at most [`DEPTH_MAX`](crate::DEPTH_MAX) deep: whatever reads a document refuses more,
/// and so does every op. A program that builds its own values should not go far beyond, because comparing,
/// printing and dropping them follow the nesting by recursion.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, exactly as it is written.
    Number(Number),
    /// A string.
    String(Arc<str>),
    /// An array.
    Array(List),
    /// An object.
    Object(Map),
}

impl Value {
    /// An empty object.
    pub fn object() -> Value {
        Value::Object(Map::new())
    }

    /// An empty array.
    pub fn array() -> Value {
        Value::Array(List::new())
    }

    /// What it is, for messages: `null`, `boolean`, `number`, `string`, `array` or `object`.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// The value at a path, if there is one.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        path.segments().iter().try_fold(self, Value::child)
    }

    /// The value one segment down, if there is one.
    pub fn child(&self, segment: &Segment) -> Option<&Value> {
        self.below(segment.step())
    }

    fn below(&self, step: Step<'_>) -> Option<&Value> {
        match (self, step) {
            (Value::Object(map), Step::Key(key)) => map.get(key),
            (Value::Array(list), step) => list.get(step.as_index()?),
            _ => None,
        }
    }

    /// The value at a path that is read as it is followed.
    pub(crate) fn at_text(&self, text: &str) -> Result<Option<&Value>, PathError> {
        let mut found = Some(self);
        path::read(text, |step| found = found.and_then(|value| value.below(step)))?;
        Ok(found)
    }

    /// Whether both are certainly equal: the same container in memory, or equal scalars. `false` means
    /// that nothing is known without comparing containers.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Array(a), Value::Array(b)) => a.same(b),
            (Value::Object(a), Value::Object(b)) => a.same(b),
            (a, b) => a == b,
        }
    }

    /// Equal but for the order of keys. Recursion goes as deep as `other`, whose depth has to be limited.
    pub(crate) fn alike(&self, other: &Value) -> bool {
        match (self, other) {
            (a, b) if a.same(b) => true,
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && b.iter().all(|(key, b)| a.get(key).is_some_and(|a| a.alike(b)))
            }
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.alike(b)),
            _ => false,
        }
    }

    /// Whether it is an array or an object.
    pub(crate) fn is_container(&self) -> bool {
        matches!(self, Value::Array(_) | Value::Object(_))
    }

    /// Whether containers nest at most `max` deep. Scalars are at depth 0, `[]` is 1 deep.
    pub fn depth_within(&self, max: usize) -> bool {
        // Recursion ends at `max`, however deep the value is.
        let below = |value: &Value| max > 0 && value.depth_within(max - 1);
        match self {
            Value::Array(list) => max > 0 && list.iter().all(below),
            Value::Object(map) => max > 0 && map.values().all(below),
            _ => true,
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The number, if it is one, is written as an integer, and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The number, if it is one, is written as an integer, and fits.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// The nearest floating-point number, if it is a number and that is finite.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_number()?.as_f64()
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is an array.
    pub fn as_array(&self) -> Option<&List> {
        match self {
            Value::Array(list) => Some(list),
            _ => None,
        }
    }

    /// The entries, if it is an object.
    pub fn as_object(&self) -> Option<&Map> {
        match self {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_json(f, self, f.alternate().then_some(0))
    }
}

/// As JSON. It hides nothing: what prints values where secrets do not belong masks them first.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The entries of a map, each looked at a moment before it is needed. They lie anywhere in memory, and to wait for one after the
/// other takes longer than reading them; asked for together, they come together.
pub(crate) fn fetched(map: &Map) -> impl ExactSizeIterator<Item = (&str, &Value)> {
    const TOGETHER: usize = 32;
    let first = |text: &str| text.bytes().next().unwrap_or(0);
    let mut ahead = map.iter().map(move |(key, value)| first(key) ^ value.as_str().map_or(0, first));
    map.iter().enumerate().map(move |(at, entry)| {
        if at % TOGETHER == 0 {
            std::hint::black_box(ahead.by_ref().take(TOGETHER).fold(0, |all, byte| all ^ byte));
        }
        entry
    })
}

/// The end of a line and the indentation of the next.
const NEW_LINE: &str = "\n                                ";

/// As JSON; `indent` is the depth of this value when lines are indented. Into a `String` it takes much less time than through a
/// formatter.
pub(crate) fn write_json<W: Write>(out: &mut W, value: &Value, indent: Option<usize>) -> fmt::Result {
    let inner = indent.map(|depth| depth + 1);
    let line = |out: &mut W, depth: Option<usize>| match depth {
        // One string where it is long enough: formatting a width would take most of the time.
        Some(depth) => match NEW_LINE.get(..1 + 2 * depth) {
            Some(new_line) => out.write_str(new_line),
            None => write!(out, "\n{:1$}", "", 2 * depth),
        },
        None => Ok(()),
    };
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(bool) => write!(out, "{bool}"),
        Value::Number(number) => write!(out, "{number}"),
        Value::String(text) => quote(out, text, |_| false),
        Value::Array(list) if list.is_empty() => out.write_str("[]"),
        Value::Array(list) => {
            let mut before = '[';
            for item in list {
                out.write_char(std::mem::replace(&mut before, ','))?;
                line(out, inner)?;
                write_json(out, item, inner)?;
            }
            line(out, indent)?;
            out.write_char(']')
        }
        Value::Object(map) if map.is_empty() => out.write_str("{}"),
        Value::Object(map) => {
            let mut before = '{';
            for (key, item) in fetched(map) {
                out.write_char(std::mem::replace(&mut before, ','))?;
                line(out, inner)?;
                quote(out, key, |_| false)?;
                out.write_str(if indent.is_some() { ": " } else { ":" })?;
                write_json(out, item, inner)?;
            }
            line(out, indent)?;
            out.write_char('}')
        }
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Value {
        Value::Bool(bool)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        Value::Number(number)
    }
}

macro_rules! from_integer {
    ($($int:ty),*) => {$(
        impl From<$int> for Value {
            fn from(int: $int) -> Value {
                Value::Number(int.into())
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

/// Infinities and NaN, which a config cannot hold, become null; [`Number::from_f64`] tells.
impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Number::from_f64(number).into()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Value {
        Value::String(text.as_str().into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Value {
        Value::String(text)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Value {
        Value::Array(list)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Object(map)
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Value {
        value.clone()
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        items.into_iter().map(Into::into).collect()
    }
}

/// `None` is null.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// An array.
impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Value {
        Value::Array(items.into_iter().collect())
    }
}

/// An object.
impl<K: AsRef<str> + Into<Arc<str>>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Value {
        Value::Object(entries.into_iter().map(|(key, value)| (key, value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 8, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..8).prop_map(Value::from),
                vec((any::<String>(), inner), 0..8).prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    /// What another implementation makes of a text.
    fn from_serde(value: serde_json::Value) -> Value {
        match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(bool) => bool.into(),
            serde_json::Value::Number(number) => Number::parse(&number.to_string()).unwrap().into(),
            serde_json::Value::String(text) => text.into(),
            serde_json::Value::Array(items) => items.into_iter().map(from_serde).collect(),
            serde_json::Value::Object(map) => map.into_iter().map(|(key, value)| (key, from_serde(value))).collect(),
        }
    }

    /// `serde_json` does not keep the order of keys.
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Array(list) => list.iter().map(sorted).collect(),
            Value::Object(map) => {
                let mut entries: Vec<_> = map.entries().map(|(key, value)| (key.clone(), sorted(value))).collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().collect()
            }
            scalar => scalar.clone(),
        }
    }

    proptest! {
        #[test]
        fn both_displays_are_json_of_the_value(value in value()) {
            for text in [value.to_string(), format!("{value:#}")] {
                let read = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(sorted(&from_serde(read)), sorted(&value), "{}", text);
            }
        }

        #[test]
        fn equal_values_are_those_that_print_alike(a in value(), b in value()) {
            prop_assert_eq!(a == b, a.to_string() == b.to_string());
            prop_assert!(a.same(&a.clone()));
            prop_assert!(!a.same(&b) || a == b);
        }
    }

    fn parse(text: &str) -> Value {
        from_serde(serde_json::from_str(text).unwrap())
    }

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn display_is_compact_and_alternate_display_is_indented() {
        let text = r#"{"a":[1,"x\"\u007f",[]],"b":{},"c":{"d":null}}"#;
        let value = parse(text);
        assert_eq!(value.to_string(), text.replace("\\u007f", "\u{7f}"));
        assert_eq!(
            format!("{value:#}"),
            "{\n  \"a\": [\n    1,\n    \"x\\\"\u{7f}\",\n    []\n  ],\n  \"b\": {},\n  \"c\": {\n    \"d\": null\n  }\n}"
        );
    }

    #[test]
    fn get_follows_a_path() {
        let value = parse(r#"{"a":{"0":"zero","-":"dash"},"list":["x",["y"]]}"#);
        for (at, expected) in [
            ("a.0", Some("zero")),
            ("a.-", Some("dash")),
            ("list[0]", Some("x")),
            ("list.0", Some("x")),
            ("/list/1/0", Some("y")),
            ("a[0]", None),
            ("list.00", None),
            ("list[2]", None),
            ("list.-", None),
            ("a.0.x", None),
            ("b", None),
        ] {
            assert_eq!(value.get(&path(at)), expected.map(Value::from).as_ref(), "{at}");
            assert_eq!(value.at_text(at).unwrap(), value.get(&path(at)), "{at}");
        }
        assert_eq!(value.get(&Path::root()), Some(&value));
    }

    #[test]
    fn the_order_of_keys_counts() {
        let entries = [("a", 1), ("b", 1)];
        let value: Value = entries.into_iter().collect();
        assert_eq!(value, entries.into_iter().collect());
        assert_ne!(value, entries.into_iter().rev().collect());
    }

    #[test]
    fn depth_counts_containers() {
        let nested = |depth| {
            (0..depth).fold(Value::Null, |inner, i| match i % 2 {
                0 => vec![inner].into(),
                _ => [("a", inner)].into_iter().collect(),
            })
        };
        for depth in 0..10 {
            assert!(nested(depth).depth_within(depth));
            assert!(depth == 0 || !nested(depth).depth_within(depth - 1));
        }
        assert!(!Value::array().depth_within(0));
    }

    #[test]
    fn same_tells_only_what_is_cheap_to_know() {
        let value = parse(r#"{"a":[1]}"#);
        assert!(value.same(&value.clone()));
        assert!(!value.same(&parse(r#"{"a":[1]}"#)), "not known without looking");
        assert!(Value::from("a").same(&"a".into()));
        assert!(Value::object().same(&Value::object()));
        assert!(!Value::object().same(&Value::array()));
    }

    #[test]
    fn what_programs_hold_becomes_what_json_says() {
        for (value, text) in [
            (Value::from(true), "true"),
            (Value::from(-1_i8), "-1"),
            (Value::from(u64::MAX), "18446744073709551615"),
            (Value::from(1.0), "1.0"),
            (Value::from(0.1), "0.1"),
            (Value::from(f64::NAN), "null"),
            (Value::from(None::<i32>), "null"),
            (Value::from(Some("x")), "\"x\""),
            (Value::from(vec![1, 2]), "[1,2]"),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
