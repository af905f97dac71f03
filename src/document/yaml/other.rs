//! What `yaml_serde` reads, which shares no code with the parser of the spans.

use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::write::is_ambiguous;
use crate::document::Invalid;
use crate::value::Value;

/// A value of that reader's. Its own type for them holds no integers beyond 64 bits.
enum Other {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Sequence(Vec<Other>),
    Mapping(Vec<(Other, Other)>),
}

/// Whether the other reader takes `text` for `value`.
pub(super) fn agrees(text: &str, value: &Value) -> Result<bool, Invalid> {
    let other: Other = yaml_serde::from_str(text).map_err(|error| {
        let at = error.location().map_or(0, |location| location.index());
        let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        Invalid::at(text, at, format!("another reader does not take it: {error}"))
    })?;
    Ok(matches!((&other, value), (Other::Null, Value::Object(map)) if map.is_empty()) || other.is(value))
}

impl Other {
    /// It gives types to scalars that are strings here, such as `0x1F`.
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Other::Null, Value::Null) => true,
            (Other::Bool(bool), Value::Bool(wanted)) => bool == wanted,
            (Other::Number(number), Value::Number(wanted)) => {
                wanted.as_f64().map_or(number.is_infinite(), |wanted| *number == wanted)
            }
            // Numbers that it cannot hold are strings to it.
            (Other::String(text), Value::Number(wanted)) => *text == wanted.text(),
            (Other::String(text), Value::String(wanted)) => **text == **wanted,
            (Other::Number(_) | Other::Bool(_), Value::String(text)) => is_ambiguous(text),
            (Other::Sequence(list), Value::Array(wanted)) => {
                list.len() == wanted.len() && list.iter().zip(wanted.iter()).all(|(other, value)| other.is(value))
            }
            (Other::Mapping(map), Value::Object(wanted)) => {
                map.len() == wanted.len()
                    && map.iter().zip(wanted.iter()).all(|((name, other), (key, value))| {
                        !matches!(name, Other::String(name) if name != key) && other.is(value)
                    })
            }
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Other {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Other, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

#[allow(clippy::cast_precision_loss, reason = "the other side of the comparison is a float too")]
impl<'de> Visitor<'de> for Reader {
    type Value = Other;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Other, E> {
        Ok(Other::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Other, E> {
        Ok(Other::Bool(bool))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Other, E> {
        Ok(Other::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Other, E> {
        Ok(Other::Number(number as f64))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Other, E> {
        Ok(Other::Number(number as f64))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Other, E> {
        Ok(Other::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Other, E> {
        Ok(Other::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Other, E> {
        Ok(Other::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Other, A::Error> {
        let mut out = Vec::new();
        while let Some(value) = list.next_element()? {
            out.push(value);
        }
        Ok(Other::Sequence(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Other, A::Error> {
        let mut out = Vec::new();
        while let Some(entry) = map.next_entry()? {
            out.push(entry);
        }
        Ok(Other::Mapping(out))
    }

    /// Something with a tag.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Other, A::Error> {
        let (_, value): (String, _) = tagged.variant()?;
        value.newtype_variant()
    }
}
