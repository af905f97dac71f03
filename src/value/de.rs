//! A [`Value`] as any `Deserialize` type, and a `Value` from whatever a deserializer reads.

use std::any::type_name;
use std::fmt;

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor, value::BorrowedStrDeserializer,
};
use serde::forward_to_deserialize_any;

use super::{List, Map, MapIter, Number, SeqIter, SerdeError, Value};
use crate::limits;

impl de::Error for SerdeError {
    fn custom<T: fmt::Display>(why: T) -> SerdeError {
        SerdeError::new(why)
    }
}

impl Value {
    /// This value as a type of the caller's, which may borrow its strings.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// struct Server { host: String, port: u16 }
    ///
    /// let value: cfgwal::Value = [("host", cfgwal::Value::from("a")), ("port", 80.into())].into_iter().collect();
    /// let server: Server = value.to()?;
    /// assert_eq!((server.host.as_str(), server.port), ("a", 80));
    /// # Ok::<(), cfgwal::SerdeError>(())
    /// ```
    ///
    /// # Errors
    /// What does not fit the type, with the path where it does not.
    pub fn to<'de, T: Deserialize<'de>>(&'de self) -> Result<T, SerdeError> {
        T::deserialize(FromValue { value: self, depth: 0 })
    }
}

/// Asked for under this name, a [`FromValue`] gives a number's text.
const EXACT: &str = "$cfgwal::Number";

/// `depth` containers are around the value.
#[derive(Clone, Copy)]
struct FromValue<'de> {
    value: &'de Value,
    depth: usize,
}

impl<'de> FromValue<'de> {
    fn inner(self) -> Result<usize, SerdeError> {
        if self.depth < limits::DEPTH_MAX { Ok(self.depth + 1) } else { Err(SerdeError::too_deep()) }
    }

    fn unexpected(self, expected: &dyn de::Expected) -> SerdeError {
        let found = match self.value {
            Value::Null => Unexpected::Unit,
            Value::Bool(bool) => Unexpected::Bool(*bool),
            Value::Number(number) => return SerdeError::invalid_type(Unexpected::Other(&number.text()), expected),
            Value::String(text) => Unexpected::Str(text),
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        SerdeError::invalid_type(found, expected)
    }

    fn number<V: Visitor<'de>>(self, number: &Number, visitor: V) -> Result<V::Value, SerdeError> {
        if let Some(int) = number.as_u64() {
            visitor.visit_u64(int)
        } else if let Some(int) = number.as_i64() {
            visitor.visit_i64(int)
        } else if let Some(float) = number.as_f64() {
            visitor.visit_f64(float)
        } else {
            Err(self.unexpected(&visitor))
        }
    }
}

impl<'de> Deserializer<'de> for FromValue<'de> {
    type Error = SerdeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(bool) => visitor.visit_bool(*bool),
            Value::Number(number) => self.number(number, visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(list) => {
                let mut items = Items { rest: list.iter(), depth: self.inner()?, next: 0 };
                let data = visitor.visit_seq(&mut items)?;
                match items.rest.len() {
                    0 => Ok(data),
                    _ => Err(SerdeError::invalid_length(list.len(), &"fewer elements in array")),
                }
            }
            Value::Object(map) => {
                let mut entries = Entries { rest: map.iter(), depth: self.inner()?, current: None };
                let data = visitor.visit_map(&mut entries)?;
                match entries.rest.len() {
                    0 => Ok(data),
                    _ => Err(SerdeError::invalid_length(map.len(), &"fewer entries in object")),
                }
            }
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value.as_number().and_then(|number| number.text().parse().ok()) {
            Some(int) => visitor.visit_i128(int),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value.as_number().and_then(|number| number.text().parse().ok()) {
            Some(int) => visitor.visit_u128(int),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::Number(number) if name == EXACT => visitor.visit_newtype_struct(ExactNumber(number)),
            _ if name == EXACT => self.deserialize_any(visitor),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        match self.value {
            Value::String(name) => visitor.visit_enum(Variant { name, content: None }),
            Value::Object(map) if map.len() == 1 => {
                let (name, value) = map.first().expect("it has one entry");
                visitor.visit_enum(Variant { name, content: Some(FromValue { value, depth: self.inner()? }) })
            }
            Value::Object(_) => Err(SerdeError::invalid_value(Unexpected::Map, &"an object with a single key")),
            _ => Err(self.unexpected(&"a string or an object with a single key")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// A number as its text, for [`Value`] itself.
struct ExactNumber<'de>(&'de Number);

impl<'de> Deserializer<'de> for ExactNumber<'de> {
    type Error = SerdeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_str(&self.0.text())
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Items<'de> {
    rest: SeqIter<'de, Value>,
    depth: usize,
    next: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = SerdeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, SerdeError> {
        let Some(value) = self.rest.next() else { return Ok(None) };
        let at = self.next;
        self.next += 1;
        let data = seed.deserialize(FromValue { value, depth: self.depth });
        data.map(Some).map_err(|error| error.within(at))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'de> {
    rest: MapIter<'de, Value>,
    depth: usize,
    current: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for &mut Entries<'de> {
    type Error = SerdeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, SerdeError> {
        self.current = self.rest.next();
        let Some((key, _)) = self.current else { return Ok(None) };
        seed.deserialize(Key(key)).map(Some).map_err(|error| error.within(key))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, SerdeError> {
        let (key, value) = self.current.ok_or_else(|| SerdeError::new("a value was read before its key"))?;
        seed.deserialize(FromValue { value, depth: self.depth }).map_err(|error| error.within(key))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// An object's key, which may stand for an integer or a boolean.
struct Key<'de>(&'de str);

macro_rules! parse_keys {
    ($($method:ident $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = SerdeError;

    parse_keys!(
        deserialize_bool visit_bool,
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32,
        deserialize_i64 visit_i64, deserialize_i128 visit_i128,
        deserialize_u8 visit_u8, deserialize_u16 visit_u16, deserialize_u32 visit_u32,
        deserialize_u64 visit_u64, deserialize_u128 visit_u128
    );

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, SerdeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, SerdeError> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    forward_to_deserialize_any! {
        f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

struct Variant<'de> {
    name: &'de str,
    content: Option<FromValue<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = SerdeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), SerdeError> {
        Ok((seed.deserialize(BorrowedStrDeserializer::<SerdeError>::new(self.name))?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(&self, expected: &dyn de::Expected) -> Result<FromValue<'de>, SerdeError> {
        self.content.ok_or_else(|| SerdeError::invalid_type(Unexpected::UnitVariant, expected))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = SerdeError;

    fn unit_variant(self) -> Result<(), SerdeError> {
        match self.content {
            None => Ok(()),
            Some(content) => <()>::deserialize(content).map_err(|error| error.within(self.name)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, SerdeError> {
        let content = self.content(&"newtype variant")?;
        seed.deserialize(content).map_err(|error| error.within(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, SerdeError> {
        match self.content(&"tuple variant")? {
            content @ FromValue { value: Value::Array(_), .. } => content.deserialize_any(visitor),
            content => Err(content.unexpected(&"tuple variant")),
        }
        .map_err(|error| error.within(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, SerdeError> {
        match self.content(&"struct variant")? {
            content @ FromValue { value: Value::Object(_) | Value::Array(_), .. } => content.deserialize_any(visitor),
            content => Err(content.unexpected(&"struct variant")),
        }
        .map_err(|error| error.within(self.name))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
        match type_name::<D>() == type_name::<FromValue<'_>>() {
            true => from.deserialize_newtype_struct(EXACT, ValueVisitor { foreign: false }),
            false => from.deserialize_any(ValueVisitor { foreign: true }),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Number, D::Error> {
        match Value::deserialize(from)? {
            Value::Number(number) => Ok(number),
            other => Err(D::Error::invalid_type(Unexpected::Other(other.kind()), &"a number")),
        }
    }
}

struct ValueVisitor {
    foreign: bool,
}

/// With its feature `arbitrary_precision`, which any crate in a program can turn on for all of them,
/// serde_json hands over every number as a map of this one key.
const FOREIGN_NUMBER: &str = "$serde_json::private::Number";

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that a config can hold")
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(Value::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(int.into())
    }

    fn visit_u64<E>(self, int: u64) -> Result<Value, E> {
        Ok(int.into())
    }

    fn visit_i128<E: de::Error>(self, int: i128) -> Result<Value, E> {
        Value::from_serialize(&int).map_err(E::custom)
    }

    fn visit_u128<E: de::Error>(self, int: u128) -> Result<Value, E> {
        Value::from_serialize(&int).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, float: f64) -> Result<Value, E> {
        Value::from_serialize(&float).map_err(E::custom)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        Value::deserialize(from)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        if type_name::<D>() != type_name::<ExactNumber<'_>>() {
            return Value::deserialize(from);
        }
        let text = String::deserialize(from)?;
        Number::parse(&text).map(Value::Number).ok_or_else(|| D::Error::custom("not a number"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = List::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            if map.contains(&key) {
                return Err(A::Error::custom(format_args!("the key {} is there twice", Value::from(key))));
            }
            map.insert(key, value);
        }
        let number = match map.get(FOREIGN_NUMBER) {
            Some(Value::String(text)) if self.foreign && map.len() == 1 => Number::parse(text),
            _ => None,
        };
        Ok(number.map_or(Value::Object(map), Value::Number))
    }
}
