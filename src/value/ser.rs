//! Any `Serialize` type as a [`Value`], and a `Value` as whatever a serializer writes.
//!
//! The mapping is the usual one of JSON: structs are objects, enums carry their variant's name outside,
//! keys that are integers or booleans become strings.

use std::any::type_name;
use std::fmt::{self, Display};
use std::sync::Arc;

use serde::ser::{self, Serialize, Serializer};

use super::{List, Map, Number, Value};
use crate::limits;
use crate::path::{Path, Segment};
use crate::secret::is_secret;

/// Why a type and a [`Value`] do not fit each other, and where.
///
/// Displays as `servers.a.port: invalid type: string "x", expected u16`. Where the path looks like a
/// secret's, the reason is not told, since it may hold the value.
#[derive(Clone, PartialEq, Eq)]
pub struct SerdeError {
    /// From the fault outwards: each level adds its own.
    inside: Vec<Segment>,
    why: String,
}

impl SerdeError {
    /// Where in the value the fault is.
    pub fn path(&self) -> Path {
        self.inside.iter().rev().cloned().collect()
    }

    pub(super) fn new(why: impl Display) -> SerdeError {
        SerdeError { inside: Vec::new(), why: why.to_string() }
    }

    pub(super) fn within(mut self, segment: impl Into<Segment>) -> SerdeError {
        self.inside.push(segment.into());
        self
    }

    /// The same of a larger value, in which this one is at `path`.
    pub(crate) fn below(mut self, path: &Path) -> SerdeError {
        self.inside.extend(path.segments().iter().rev().cloned());
        self
    }

    /// The same of a value that a change would lead to.
    pub(crate) fn after_a_change(mut self) -> SerdeError {
        self.why = format!("after the change the type could not read the config: {}", self.why);
        self
    }

    pub(super) fn too_deep() -> SerdeError {
        SerdeError::new(format_args!("nested deeper than {} levels", limits::DEPTH_MAX))
    }
}

impl Display for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        match (path.is_empty(), is_secret(&path)) {
            (true, _) => f.write_str(&self.why),
            (_, false) => write!(f, "{path}: {}", self.why),
            (_, true) => write!(f, "{path}: not a value of the right type"),
        }
    }
}

/// As it displays: the reason may hold a secret.
impl fmt::Debug for SerdeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerdeError({self})")
    }
}

impl std::error::Error for SerdeError {}

impl ser::Error for SerdeError {
    fn custom<T: Display>(why: T) -> SerdeError {
        SerdeError::new(why)
    }
}

impl Value {
    /// What `data` serializes to.
    ///
    /// ```
    /// #[derive(serde::Serialize)]
    /// struct Server { host: String, port: u16, tls: Option<bool> }
    ///
    /// let server = Server { host: "a".into(), port: 80, tls: None };
    /// let value = cfgwal::Value::from_serialize(&server)?;
    /// assert_eq!(value.to_string(), r#"{"host":"a","port":80,"tls":null}"#);
    /// # Ok::<(), cfgwal::SerdeError>(())
    /// ```
    ///
    /// # Errors
    /// NaN and infinities, keys that are not text, keys that occur twice, too deep nesting, and what
    /// the type's own `Serialize` refuses.
    pub fn from_serialize<T: Serialize + ?Sized>(data: &T) -> Result<Value, SerdeError> {
        data.serialize(ToValue { depth: 0 })
    }
}

/// Under this name [`ToValue`] takes a number's text.
const EXACT: &str = "$cfgwal::Number";

impl Serialize for Number {
    /// An integer or the nearest floating-point number; [`Value::from_serialize`] gets the exact text.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // No call of serde's says "this text is a number". The name says who is listening.
        let exact = type_name::<S>() == type_name::<ToValue>();
        match self.as_i64() {
            // `-0` is an integer too, and has a text of its own.
            Some(int) if !exact || int != 0 => return to.serialize_i64(int),
            _ if exact => return to.serialize_newtype_struct(EXACT, &*self.text()),
            _ => {}
        }
        let text = self.text();
        if let Ok(int) = text.parse::<u64>() {
            to.serialize_u64(int)
        } else if let Ok(int) = text.parse::<i128>() {
            to.serialize_i128(int)
        } else if let Some(float) = self.as_f64() {
            to.serialize_f64(float)
        } else {
            Err(ser::Error::custom(format_args!("the number {text} is too large for a machine")))
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => to.serialize_unit(),
            Value::Bool(bool) => to.serialize_bool(*bool),
            Value::Number(number) => number.serialize(to),
            Value::String(text) => to.serialize_str(text),
            Value::Array(list) => to.collect_seq(list),
            Value::Object(map) => to.collect_map(map),
        }
    }
}

/// `depth` containers are open around what is serialized.
struct ToValue {
    depth: usize,
}

impl ToValue {
    fn inner(&self) -> Result<ToValue, SerdeError> {
        match self.depth < limits::DEPTH_MAX {
            true => Ok(ToValue { depth: self.depth + 1 }),
            false => Err(SerdeError::too_deep()),
        }
    }

    fn seq(&self, variant: Option<&'static str>) -> Result<SeqToValue, SerdeError> {
        let inner = if variant.is_some() { self.inner()?.inner()? } else { self.inner()? };
        Ok(SeqToValue { depth: inner.depth, list: List::new(), variant })
    }

    fn map(&self, variant: Option<&'static str>) -> Result<MapToValue, SerdeError> {
        let inner = if variant.is_some() { self.inner()?.inner()? } else { self.inner()? };
        Ok(MapToValue { depth: inner.depth, map: Map::new(), key: None, variant })
    }
}

/// `{"Variant": value}`, or the value alone where it belongs to no variant.
fn wrap(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => [(variant, value)].into_iter().collect(),
        None => value,
    }
}

/// NaN and the infinities print as words.
fn float(text: &str) -> Result<Value, SerdeError> {
    match Number::parse(text) {
        Some(number) => Ok(Value::Number(number)),
        None => Err(SerdeError::new(format_args!("{text} is not a number that a config can hold"))),
    }
}

fn wide(int: impl Display) -> Value {
    Value::Number(Number::parse(&int.to_string()).expect("integers print as JSON numbers"))
}

impl Serializer for ToValue {
    type Ok = Value;
    type Error = SerdeError;
    type SerializeSeq = SeqToValue;
    type SerializeTuple = SeqToValue;
    type SerializeTupleStruct = SeqToValue;
    type SerializeTupleVariant = SeqToValue;
    type SerializeMap = MapToValue;
    type SerializeStruct = MapToValue;
    type SerializeStructVariant = MapToValue;

    fn serialize_bool(self, bool: bool) -> Result<Value, SerdeError> {
        Ok(Value::Bool(bool))
    }
    fn serialize_i8(self, int: i8) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_i16(self, int: i16) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_i32(self, int: i32) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_i64(self, int: i64) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_i128(self, int: i128) -> Result<Value, SerdeError> {
        Ok(wide(int))
    }
    fn serialize_u8(self, int: u8) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_u16(self, int: u16) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_u32(self, int: u32) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_u64(self, int: u64) -> Result<Value, SerdeError> {
        Ok(int.into())
    }
    fn serialize_u128(self, int: u128) -> Result<Value, SerdeError> {
        Ok(wide(int))
    }
    // `{:?}` is the shortest text that reads back as the same float of this width, and keeps `1.0`.
    fn serialize_f32(self, number: f32) -> Result<Value, SerdeError> {
        float(&format!("{number:?}"))
    }
    fn serialize_f64(self, number: f64) -> Result<Value, SerdeError> {
        float(&format!("{number:?}"))
    }
    fn serialize_char(self, char: char) -> Result<Value, SerdeError> {
        Ok(char.to_string().into())
    }
    fn serialize_str(self, text: &str) -> Result<Value, SerdeError> {
        Ok(text.into())
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value, SerdeError> {
        Ok(bytes.iter().map(|&byte| Value::from(byte)).collect())
    }
    fn serialize_none(self) -> Result<Value, SerdeError> {
        Ok(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, SerdeError> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, SerdeError> {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, SerdeError> {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, SerdeError> {
        Ok(variant.into())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        data: &T,
    ) -> Result<Value, SerdeError> {
        let value = data.serialize(self)?;
        match value.as_str().and_then(Number::parse) {
            Some(number) if name == EXACT => Ok(Value::Number(number)),
            _ => Ok(value),
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        data: &T,
    ) -> Result<Value, SerdeError> {
        let value = data.serialize(self.inner()?).map_err(|error| error.within(variant))?;
        Ok(wrap(Some(variant), value))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<SeqToValue, SerdeError> {
        self.seq(None)
    }
    fn serialize_tuple(self, _: usize) -> Result<SeqToValue, SerdeError> {
        self.seq(None)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<SeqToValue, SerdeError> {
        self.seq(None)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<SeqToValue, SerdeError> {
        self.seq(Some(variant))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<MapToValue, SerdeError> {
        self.map(None)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<MapToValue, SerdeError> {
        self.map(None)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<MapToValue, SerdeError> {
        self.map(Some(variant))
    }
}

struct SeqToValue {
    depth: usize,
    list: List,
    variant: Option<&'static str>,
}

impl SeqToValue {
    fn push<T: Serialize + ?Sized>(&mut self, data: &T) -> Result<(), SerdeError> {
        let value = data.serialize(ToValue { depth: self.depth }).map_err(|error| {
            let error = error.within(self.list.len());
            self.variant.into_iter().fold(error, SerdeError::within)
        })?;
        self.list.push(value);
        Ok(())
    }

    fn finish(self) -> Result<Value, SerdeError> {
        Ok(wrap(self.variant, Value::Array(self.list)))
    }
}

macro_rules! seq_to_value {
    ($($kind:ident $method:ident),*) => {$(
        impl ser::$kind for SeqToValue {
            type Ok = Value;
            type Error = SerdeError;
            fn $method<T: Serialize + ?Sized>(&mut self, data: &T) -> Result<(), SerdeError> {
                self.push(data)
            }
            fn end(self) -> Result<Value, SerdeError> {
                self.finish()
            }
        }
    )*};
}
seq_to_value!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

struct MapToValue {
    depth: usize,
    map: Map,
    key: Option<Arc<str>>,
    variant: Option<&'static str>,
}

impl MapToValue {
    fn put<T: Serialize + ?Sized>(&mut self, key: Arc<str>, data: &T) -> Result<(), SerdeError> {
        let value = data.serialize(ToValue { depth: self.depth });
        // The last of two would win in silence, which loses a value.
        let twice = self.map.contains(&key);
        let value = value.and_then(|value| match twice {
            false => Ok(value),
            true => Err(SerdeError::new("two entries have this key")),
        });
        let value = value.map_err(|error| {
            let error = error.within(Segment::Key(key.clone()));
            self.variant.into_iter().fold(error, SerdeError::within)
        })?;
        self.map.insert(key, value);
        Ok(())
    }

    fn finish(self) -> Result<Value, SerdeError> {
        Ok(wrap(self.variant, Value::Object(self.map)))
    }
}

impl ser::SerializeMap for MapToValue {
    type Ok = Value;
    type Error = SerdeError;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), SerdeError> {
        self.key = Some(key.serialize(ToKey)?);
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, data: &T) -> Result<(), SerdeError> {
        let key = self.key.take().ok_or_else(|| SerdeError::new("a value was serialized before its key"))?;
        self.put(key, data)
    }
    fn end(self) -> Result<Value, SerdeError> {
        self.finish()
    }
}

macro_rules! struct_to_value {
    ($($kind:ident),*) => {$(
        impl ser::$kind for MapToValue {
            type Ok = Value;
            type Error = SerdeError;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, data: &T) -> Result<(), SerdeError> {
                self.put(key.into(), data)
            }
            fn end(self) -> Result<Value, SerdeError> {
                self.finish()
            }
        }
    )*};
}
struct_to_value!(SerializeStruct, SerializeStructVariant);

/// Takes what can be the key of an object.
struct ToKey;

fn not_a_key<T>(kind: &str) -> Result<T, SerdeError> {
    Err(SerdeError::new(format_args!("{kind} cannot be the key of an object")))
}

macro_rules! print_keys {
    ($($method:ident $type:ty),*) => {$(
        fn $method(self, key: $type) -> Result<Arc<str>, SerdeError> {
            Ok(key.to_string().into())
        }
    )*};
}

impl Serializer for ToKey {
    type Ok = Arc<str>;
    type Error = SerdeError;
    type SerializeSeq = ser::Impossible<Arc<str>, SerdeError>;
    type SerializeTuple = ser::Impossible<Arc<str>, SerdeError>;
    type SerializeTupleStruct = ser::Impossible<Arc<str>, SerdeError>;
    type SerializeTupleVariant = ser::Impossible<Arc<str>, SerdeError>;
    type SerializeMap = ser::Impossible<Arc<str>, SerdeError>;
    type SerializeStruct = ser::Impossible<Arc<str>, SerdeError>;
    type SerializeStructVariant = ser::Impossible<Arc<str>, SerdeError>;

    print_keys!(
        serialize_bool bool, serialize_char char, serialize_str &str,
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64, serialize_i128 i128,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64, serialize_u128 u128
    );

    fn serialize_f32(self, _: f32) -> Result<Arc<str>, SerdeError> {
        not_a_key("a floating-point number")
    }
    fn serialize_f64(self, _: f64) -> Result<Arc<str>, SerdeError> {
        not_a_key("a floating-point number")
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<Arc<str>, SerdeError> {
        not_a_key("a byte string")
    }
    fn serialize_none(self) -> Result<Arc<str>, SerdeError> {
        not_a_key("none")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, key: &T) -> Result<Arc<str>, SerdeError> {
        key.serialize(self)
    }
    fn serialize_unit(self) -> Result<Arc<str>, SerdeError> {
        not_a_key("a unit")
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Arc<str>, SerdeError> {
        not_a_key("a unit")
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Arc<str>, SerdeError> {
        Ok(variant.into())
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, key: &T) -> Result<Arc<str>, SerdeError> {
        key.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Arc<str>, SerdeError> {
        not_a_key("an enum with data")
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, SerdeError> {
        not_a_key("a sequence")
    }
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, SerdeError> {
        not_a_key("a tuple")
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, SerdeError> {
        not_a_key("a tuple")
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, SerdeError> {
        not_a_key("an enum with data")
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, SerdeError> {
        not_a_key("a map")
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, SerdeError> {
        not_a_key("a struct")
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, SerdeError> {
        not_a_key("an enum with data")
    }
}
