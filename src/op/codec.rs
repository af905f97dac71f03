//! The payload bytes of a transaction, and of the values that snapshots hold. All use of bincode is here.
//!
//! bincode writes the integers (`config::standard()`: little-endian varints) and carries the state of a decode;
//! what a type is made of is said here, in one trait with both directions, so that nothing can be written that has
//! no way back. Its own collections and derived enums stay out: they number variants by their place in the source
//! and allocate what a length asks for before looking whether so much is there. Its byte limit stays out too: it
//! counts an integer as wide as it is in memory, so one equal to what may be written would refuse what was written.
//!
//! ```text
//! payload      version (1), transaction, 0x01
//! transaction  time, origin, key?, base?, list of ops
//! origin       program, pid, host, kind (0 program, 1 file)
//! base         text (16 bytes), against (16 bytes), revision, list of ops, list of paths
//! op           its number, its fields in the order of their declaration
//! path         list of segments: 0 and a key, or 1 and an index
//! value        0 null, 1 false, 2 true, 3 and an integer, 4 and the text of a number, 5 and a text,
//!              6 and a list of values, 7 and a list of keys each with its value
//! list, text   the count of elements or bytes, then those
//! optional     0, or 1 and the thing
//! ```
//!
//! Versions, and the numbers that tell variants apart, are only ever added to.

use std::sync::Arc;

use bincode::de::read::Reader;
use bincode::de::{Decoder, DecoderImpl};
use bincode::enc::write::Writer;
use bincode::enc::{Encoder, EncoderImpl};
use bincode::error::{DecodeError as Fault, EncodeError};
use bincode::{Decode, Encode, config};

use super::fits::key_fits;
use super::{Base, Op, Origin, OriginKind, Refusal, Transaction};
use crate::limits::{DEPTH_MAX, RECORD_MAX};
use crate::path::{Path, Segment};
use crate::value::{Map, Number, Value};

/// The layout that is written.
const VERSION: u8 = 1;
/// Bytes to make room for before each op is written.
const OP_GUESSED: usize = 128;
/// Ends every payload: one cut short and padded with zeros cannot pass for a whole one.
const TERMINATOR: u8 = 1;

/// Bytes that are not what was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("the payload is written in layout {found}, this build knows layout {VERSION}")]
    Version { found: u8 },
    #[error("the payload does not end as every payload does")]
    Terminator,
    #[error("{0} bytes are left over")]
    LeftOver(usize),
    #[error("the bytes make no sense: {0}")]
    Content(#[from] Fault),
}

impl Transaction {
    /// Appends the payload to `out`. A refusal leaves `out` as it was.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        self.encode_signed(self.time, &Signature::new(&self.origin), out)
    }

    /// Appends the payload with another time and origin.
    pub(crate) fn encode_signed(&self, time: u64, origin: &Signature, out: &mut Vec<u8>) -> Result<(), Refusal> {
        // Whatever could not be read back is refused here, with a path to name.
        let own = self.base.iter().flat_map(|base| &base.own);
        self.ops.iter().chain(own).try_for_each(Op::fits)?;
        self.key.as_deref().map_or(Ok(()), key_fits)?;
        let start = out.len();
        out.reserve(origin.0.len() + OP_GUESSED * (self.ops.len() + 1));
        out.push(VERSION);
        encode(&time, out);
        out.extend_from_slice(&origin.0);
        encode(&self.key, out);
        encode(&self.base, out);
        encode(&self.ops, out);
        out.push(TERMINATOR);
        let len = out.len() - start;
        if len > RECORD_MAX {
            out.truncate(start);
            return Err(Refusal::TooLarge { len });
        }
        Ok(())
    }

    /// Reads a payload back.
    pub(crate) fn decode(payload: &[u8]) -> Result<Transaction, DecodeError> {
        decode_whole(body_of(payload)?, |from| {
            let (time, origin) = (Wire::take(from)?, Wire::take(from)?);
            Ok(Transaction { time, origin, ..Transaction::take_unsigned(from)? })
        })
    }

    /// Reads a payload back without its time and origin: what happened, not who did it when.
    pub(crate) fn decode_unsigned(payload: &[u8]) -> Result<Transaction, DecodeError> {
        decode_whole(body_of(payload)?, |from| {
            skip_signature(from)?;
            Transaction::take_unsigned(from)
        })
    }

    fn take_unsigned(from: &mut Input<'_>) -> Result<Transaction, Fault> {
        let (key, base) = (Wire::take(from)?, Wire::take(from)?);
        Ok(Transaction { key, base, ops: Wire::take(from)?, ..Transaction::default() })
    }
}

/// An origin as it is written, for those who write it again and again.
pub(crate) struct Signature(Vec<u8>);

impl Signature {
    pub(crate) fn new(origin: &Origin) -> Signature {
        let mut bytes = Vec::new();
        encode(origin, &mut bytes);
        Signature(bytes)
    }
}

/// What lies between the version and the terminator.
fn body_of(payload: &[u8]) -> Result<&[u8], DecodeError> {
    match payload {
        [VERSION, body @ .., TERMINATOR] => Ok(body),
        [VERSION, ..] | [] => Err(DecodeError::Terminator),
        &[found, ..] => Err(DecodeError::Version { found }),
    }
}

/// Passes over the time and the origin that a transaction begins with.
fn skip_signature(from: &mut Input<'_>) -> Result<(), Fault> {
    u64::take(from)?;
    skip_origin(from)
}

fn skip_origin(from: &mut Input<'_>) -> Result<(), Fault> {
    take_text(from)?;
    u32::take(from)?;
    take_text(from)?;
    OriginKind::take(from).map(drop)
}

impl Transaction {
    /// Whether its payload is a [`PlainSet`].
    pub(crate) fn is_plain_set(&self) -> bool {
        let ([Op::Set { path, value }], None, None) = (&*self.ops, &self.key, &self.base) else { return false };
        let is_short = |key: &str| key.len() <= ONE_BYTE_MAX.into();
        let keys = path.segments().iter().all(|segment| segment.as_key().is_some_and(is_short));
        keys && path.len() <= PLAIN_DEPTH && !value.is_container()
    }
}

/// A transaction that sets one scalar at a few short keys and does nothing else, as most do. Nothing is built of it: path
/// and value are where they lie in the payload, and no other bytes say the same path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainSet<'a> {
    /// Who made it.
    pub origin: &'a [u8],
    pub path: &'a [u8],
    pub value: &'a [u8],
}

/// The most keys of a plain set.
pub(crate) const PLAIN_DEPTH: usize = 8;
/// Counts up to here take one byte.
const ONE_BYTE_MAX: u8 = 250;

impl<'a> PlainSet<'a> {
    /// `None` for whatever else a payload holds: that is for `decode` to read, or to refuse. Of the path's keys it is
    /// [`keys`](PlainSet::keys) that says whether they are text. `origin` is one that was read before, or nothing: many
    /// records in a row have the same, which need not be looked at again.
    pub(crate) fn read(payload: &'a [u8], origin: &[u8]) -> Option<PlainSet<'a>> {
        decode_whole(body_of(payload).ok()?, |from| PlainSet::take(from, origin)).ok()
    }

    fn take(from: &mut Input<'a>, origin: &[u8]) -> Result<PlainSet<'a>, Fault> {
        const OTHER: Fault = Fault::Other("another transaction than a plain set");
        u64::take(from)?;
        let signed = from.reader().0;
        match signed.strip_prefix(origin) {
            Some(rest) if !origin.is_empty() => from.reader().0 = rest,
            _ => skip_origin(from)?,
        }
        let origin = &signed[..signed.len() - from.reader().0.len()];
        // No key, no base, one op: a set.
        let rest = from.reader().0.strip_prefix(&[0, 0, 1, 1]).ok_or(OTHER)?;
        let value = split_path(rest, |_| Some(())).ok_or(OTHER)?;
        let path = &rest[..rest.len() - value.len()];
        from.reader().0 = value;
        // 6 and 7 are containers, which may nest too deep for where they are put.
        match u8::take(from)? {
            0..=2 => {}
            number @ (3 | 4) => take_number(number, from).map(drop)?,
            5 => take_text(from).map(drop)?,
            _ => return Err(OTHER),
        }
        Ok(PlainSet { origin, path, value })
    }

    /// The keys of its path, if they are text; of the array those before the depth.
    pub(crate) fn keys(&self) -> Option<([&'a str; PLAIN_DEPTH], usize)> {
        let (mut keys, mut depth) = ([""; PLAIN_DEPTH], 0);
        split_path(self.path, |key| {
            *keys.get_mut(depth)? = str::from_utf8(key).ok()?;
            depth += 1;
            Some(())
        })?;
        Some((keys, depth))
    }

    pub(crate) fn value(&self) -> Value {
        decode(self.value).expect("the value was passed over as one when the record was read")
    }
}

/// What follows the path at the front of `bytes`, each of whose keys is told; `None` if there are many or one is long.
fn split_path<'a>(bytes: &'a [u8], mut each: impl FnMut(&'a [u8]) -> Option<()>) -> Option<&'a [u8]> {
    let (&depth, mut rest) = bytes.split_first()?;
    if usize::from(depth) > PLAIN_DEPTH {
        return None;
    }
    for _ in 0..depth {
        let [0, len @ ..=ONE_BYTE_MAX, keys @ ..] = rest else { return None };
        let key;
        (key, rest) = keys.split_at_checked((*len).into())?;
        each(key)?;
    }
    Some(rest)
}

/// For measurements from outside.
#[cfg(feature = "sim")]
#[doc(hidden)]
impl Transaction {
    pub fn to_payload(&self) -> Result<Vec<u8>, Refusal> {
        let mut payload = Vec::new();
        self.encode(&mut payload).map(|()| payload)
    }

    pub fn from_payload(payload: &[u8]) -> Option<Transaction> {
        Transaction::decode(payload).ok()
    }
}

/// Puts several things.
macro_rules! put {
    ($to:expr; $($item:expr),+) => {{$(
        $item.put($to);
    )+}};
}

/// Appends `item` to `out`.
pub(crate) fn encode(item: &impl Wire, out: &mut Vec<u8>) {
    item.put(&mut EncoderImpl::new(Appending { out, most: usize::MAX, drain: &mut |_| () }, config::standard()));
}

/// Appends `item` to `out` bit by bit: whenever there are `most` bytes or more, `drain` takes as many away that fewer are left.
pub(crate) fn encode_through(item: &impl Wire, out: &mut Vec<u8>, most: usize, drain: &mut dyn FnMut(&mut Vec<u8>)) {
    item.put(&mut EncoderImpl::new(Appending { out, most, drain }, config::standard()));
}

/// Appends a text that may be missing, as [`encode_through`] does.
pub(crate) fn encode_text(text: Option<&str>, out: &mut Vec<u8>, most: usize, drain: &mut dyn FnMut(&mut Vec<u8>)) {
    let to = &mut EncoderImpl::new(Appending { out, most, drain }, config::standard());
    match text {
        None => put!(to; 0u8),
        Some(text) => {
            put!(to; 1u8);
            put_bytes(text.as_bytes(), to);
        }
    }
}

/// Reads such a text, which must be all that `bytes` hold, where it lies.
pub(crate) fn decode_text(bytes: &[u8]) -> Result<Option<&str>, DecodeError> {
    decode_whole(bytes, |from| take_optional(from, take_text))
}

/// Reads the `T` that is at the front of `bytes` and leaves the rest.
pub(crate) fn decode_next<T: Wire>(bytes: &mut &[u8]) -> Result<T, DecodeError> {
    take_next(bytes, T::take)
}

/// Reads `bytes`, which must hold one `T` and nothing else.
pub(crate) fn decode<T: Wire>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode_whole(bytes, T::take)
}

fn decode_whole<'a, T>(
    mut bytes: &'a [u8],
    take: impl FnOnce(&mut Input<'a>) -> Result<T, Fault>,
) -> Result<T, DecodeError> {
    let item = take_next(&mut bytes, take)?;
    if bytes.is_empty() { Ok(item) } else { Err(DecodeError::LeftOver(bytes.len())) }
}

/// Takes what is at the front of `bytes` and leaves the rest.
fn take_next<'a, T>(
    bytes: &mut &'a [u8],
    take: impl FnOnce(&mut Input<'a>) -> Result<T, Fault>,
) -> Result<T, DecodeError> {
    let mut from = DecoderImpl::new(Remaining(bytes), config::standard(), Nesting { left: DEPTH_MAX });
    let item = take(&mut from)?;
    *bytes = from.reader().0;
    Ok(item)
}

/// What can be written and read back.
pub(crate) trait Wire: Sized {
    fn put(&self, to: &mut Output<'_>);
    fn take(from: &mut Input<'_>) -> Result<Self, Fault>;
}

pub(crate) type Output<'a> = EncoderImpl<Appending<'a>, config::Configuration>;
pub(crate) type Input<'a> = DecoderImpl<Remaining<'a>, config::Configuration, Nesting>;

/// How many more containers a value may be inside of: recursion ends where the limit on depth says.
pub(crate) struct Nesting {
    left: usize,
}

pub(crate) struct Appending<'a> {
    out: &'a mut Vec<u8>,
    most: usize,
    drain: &'a mut dyn FnMut(&mut Vec<u8>),
}

impl Appending<'_> {
    /// Inlined, because what comes is mostly of a known length and short: a call for each would cost more than the copying.
    #[inline(always)]
    fn append(&mut self, bytes: &[u8]) {
        if self.out.len() + bytes.len() < self.most {
            self.out.extend_from_slice(bytes);
        } else {
            self.append_and_drain(bytes);
        }
    }

    #[cold]
    fn append_and_drain(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while self.out.len() + rest.len() >= self.most {
            let (piece, behind) = rest.split_at(rest.len().min(self.most));
            self.out.extend_from_slice(piece);
            (self.drain)(self.out);
            rest = behind;
        }
        self.out.extend_from_slice(rest);
    }
}

impl Writer for Appending<'_> {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.append(bytes);
        Ok(())
    }
}

pub(crate) struct Remaining<'a>(&'a [u8]);

impl Reader for Remaining<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Fault> {
        let (head, rest) = self.0.split_at_checked(bytes.len()).ok_or_else(|| short(bytes.len(), self.0))?;
        bytes.copy_from_slice(head);
        self.0 = rest;
        Ok(())
    }

    fn peek_read(&mut self, n: usize) -> Option<&[u8]> {
        self.0.get(..n)
    }

    fn consume(&mut self, n: usize) {
        self.0 = self.0.get(n..).unwrap_or_default();
    }
}

fn short(wanted: usize, left: &[u8]) -> Fault {
    Fault::UnexpectedEnd { additional: wanted.saturating_sub(left.len()) }
}

/// What bincode itself writes: numbers, and arrays of bytes of a fixed length.
macro_rules! native {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, to: &mut Output<'_>) {
                Encode::encode(self, to).expect("writing to a Vec cannot fail");
            }

            fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
                Decode::decode(from)
            }
        }
    )*};
}
native!(u8, u32, u64, i64, bool, [u8; 16]);

/// The fields of a struct, one after the other: one list for both directions.
macro_rules! fields {
    ($type:ident { $($field:ident),* }) => {
        impl $crate::op::codec::Wire for $type {
            fn put(&self, to: &mut $crate::op::codec::Output<'_>) {
                $($crate::op::codec::Wire::put(&self.$field, to);)*
            }

            fn take(from: &mut $crate::op::codec::Input<'_>) -> Result<Self, bincode::error::DecodeError> {
                Ok($type { $($field: $crate::op::codec::Wire::take(from)?),* })
            }
        }
    };
}

pub(crate) use fields;

fields!(Origin { program, pid, host, kind });
fields!(Base { text, against, revision, own, conflicts });

impl Wire for OriginKind {
    fn put(&self, to: &mut Output<'_>) {
        let number: u8 = match self {
            OriginKind::Program => 0,
            OriginKind::File => 1,
        };
        put!(to; number);
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        match u8::take(from)? {
            0 => Ok(OriginKind::Program),
            1 => Ok(OriginKind::File),
            _ => Err(Fault::Other("an origin of an unknown kind")),
        }
    }
}

impl Wire for Op {
    fn put(&self, to: &mut Output<'_>) {
        match self {
            Op::Set { path, value } => put!(to; 1u8, path, value),
            Op::Remove { path } => put!(to; 2u8, path),
            Op::Merge { path, value } => put!(to; 3u8, path, value),
            Op::Increment { path, by } => put!(to; 4u8, path, by),
            Op::Push { path, value, cap, unique } => put!(to; 5u8, path, value, cap, unique),
            Op::Insert { path, value } => put!(to; 6u8, path, value),
            Op::Move { from, to: target } => put!(to; 7u8, from, target),
            Op::Test { path, expected } => put!(to; 8u8, path, expected),
            Op::Place { path, value, before } => put!(to; 9u8, path, value, before),
            Op::Invalid(_) => unreachable!("`Transaction::encode` refuses paths that do not parse"),
        }
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        let number = u8::take(from)?;
        let path = Path::take(from)?;
        Ok(match number {
            1 => Op::Set { path, value: Wire::take(from)? },
            2 => Op::Remove { path },
            3 => Op::Merge { path, value: Wire::take(from)? },
            4 => Op::Increment { path, by: Wire::take(from)? },
            5 => {
                let value = Wire::take(from)?;
                let cap = Wire::take(from)?;
                Op::Push { path, value, cap, unique: Wire::take(from)? }
            }
            6 => Op::Insert { path, value: Wire::take(from)? },
            7 => Op::Move { from: path, to: Wire::take(from)? },
            8 => Op::Test { path, expected: Wire::take(from)? },
            9 => {
                let value = Wire::take(from)?;
                Op::Place { path, value, before: Wire::take(from)? }
            }
            _ => return Err(Fault::Other("an unknown op")),
        })
    }
}

impl Wire for Path {
    fn put(&self, to: &mut Output<'_>) {
        put_list(self.segments().iter(), to, |segment, to| match segment {
            Segment::Key(key) => put!(to; 0u8, key),
            Segment::Index(index) => put!(to; 1u8, *index as u64),
        });
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        let path: Path = take_list(from, |from| match u8::take(from)? {
            0 => Ok(Segment::Key(Wire::take(from)?)),
            1 => Ok(Segment::Index(take_usize(from)?)),
            _ => Err(Fault::Other("a path segment of an unknown kind")),
        })?;
        path.check().map_err(|_| Fault::Other("a path beyond the limits"))?;
        Ok(path)
    }
}

impl Wire for Value {
    fn put(&self, to: &mut Output<'_>) {
        match self {
            Value::Null => put!(to; 0u8),
            Value::Bool(false) => put!(to; 1u8),
            Value::Bool(true) => put!(to; 2u8),
            Value::Number(number) => number.put(to),
            Value::String(text) => put!(to; 5u8, text),
            Value::Array(items) => {
                put!(to; 6u8);
                put_list(items.iter(), to, Value::put);
            }
            Value::Object(entries) => {
                put!(to; 7u8);
                put_list(entries.entries(), to, |(key, value), to| put!(to; key, value));
            }
        }
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        Ok(match u8::take(from)? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            number @ (3 | 4) => Value::Number(take_number(number, from)?),
            5 => Value::String(Wire::take(from)?),
            6 => Value::Array(nested(from, |from| take_list(from, Value::take))?),
            7 => Value::Object(nested(from, take_map)?),
            _ => return Err(Fault::Other("a value of an unknown kind")),
        })
    }
}

impl Wire for Number {
    fn put(&self, to: &mut Output<'_>) {
        match self.as_i64() {
            // `-0` is an integer too, but would lose its sign.
            Some(integer) if Number::from(integer) == *self => put!(to; 3u8, integer),
            _ => {
                put!(to; 4u8);
                put_bytes(self.text().as_bytes(), to);
            }
        }
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        let number = u8::take(from)?;
        take_number(number, from)
    }
}

fn take_number(number: u8, from: &mut Input<'_>) -> Result<Number, Fault> {
    match number {
        3 => Ok(Number::from(i64::take(from)?)),
        4 => Number::parse(take_text(from)?).ok_or(Fault::Other("a number that is none")),
        _ => Err(Fault::Other("a number of an unknown kind")),
    }
}

/// What room is made for before it is there.
const ROOM_MAX: usize = 1024;

fn take_map(from: &mut Input<'_>) -> Result<Map, Fault> {
    let count = take_count(from)?;
    let mut entries = Vec::with_capacity(count.min(ROOM_MAX));
    for _ in 0..count {
        // Most keys are known: those need no memory of their own.
        entries.push((take_text(from)?, Value::take(from)?));
    }
    let map = Map::from_iter(entries);
    if map.len() == count { Ok(map) } else { Err(Fault::Other("an object with one key twice")) }
}

fn nested<T>(from: &mut Input<'_>, take: impl FnOnce(&mut Input<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
    let left = from.context().left.checked_sub(1).ok_or(Fault::Other("values nested beyond the limit"))?;
    from.context().left = left;
    let item = take(from)?;
    from.context().left = left + 1;
    Ok(item)
}

impl Wire for Arc<str> {
    fn put(&self, to: &mut Output<'_>) {
        put_bytes(self.as_bytes(), to);
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        take_text(from).map(Arc::from)
    }
}

impl Wire for String {
    fn put(&self, to: &mut Output<'_>) {
        put_bytes(self.as_bytes(), to);
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        take_text(from).map(String::from)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, to: &mut Output<'_>) {
        match self {
            None => put!(to; 0u8),
            Some(item) => put!(to; 1u8, item),
        }
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        take_optional(from, T::take)
    }
}

fn take_optional<'a, T>(
    from: &mut Input<'a>,
    take: impl FnOnce(&mut Input<'a>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    match u8::take(from)? {
        0 => Ok(None),
        1 => take(from).map(Some),
        _ => Err(Fault::Other("neither something nor nothing")),
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, to: &mut Output<'_>) {
        put_list(self.iter(), to, T::put);
    }

    fn take(from: &mut Input<'_>) -> Result<Self, Fault> {
        take_list(from, T::take)
    }
}

fn put_bytes(bytes: &[u8], to: &mut Output<'_>) {
    put!(to; bytes.len() as u64);
    to.writer().append(bytes);
}

fn put_list<'a, T>(items: impl ExactSizeIterator<Item = T>, to: &mut Output<'a>, put: impl Fn(T, &mut Output<'a>)) {
    put!(to; items.len() as u64);
    items.for_each(|item| put(item, to));
}

fn take_text<'a>(from: &mut Input<'a>) -> Result<&'a str, Fault> {
    let len = take_count(from)?;
    let (text, rest) = from.reader().0.split_at(len);
    from.reader().0 = rest;
    str::from_utf8(text).map_err(|inner| Fault::Utf8 { inner })
}

fn take_list<T, C: FromIterator<T>>(
    from: &mut Input<'_>,
    mut take: impl FnMut(&mut Input<'_>) -> Result<T, Fault>,
) -> Result<C, Fault> {
    let count = take_count(from)?;
    (0..count).map(|_| take(from)).collect()
}

/// A count of things that take a byte each at least: more of them than bytes are left is refused here, before
/// room is made for any.
fn take_count(from: &mut Input<'_>) -> Result<usize, Fault> {
    let count = take_usize(from)?;
    let left = from.reader().0.len();
    if count > left { Err(Fault::UnexpectedEnd { additional: count - left }) } else { Ok(count) }
}

fn take_usize(from: &mut Input<'_>) -> Result<usize, Fault> {
    let number = u64::take(from)?;
    usize::try_from(number).map_err(|_| Fault::OutsideUsizeRange(number))
}

#[cfg(test)]
mod tests;
