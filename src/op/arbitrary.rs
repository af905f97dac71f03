//! Values, paths and ops for property tests, made to meet one another: few keys, short paths.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Base, Op, Origin, OriginKind, Transaction};
use crate::path::{Path, Segment};
use crate::value::{Number, Value};

/// A value in the notation of JSON; its keys keep their order.
macro_rules! json {
    (null) => { $crate::value::Value::Null };
    ([]) => { $crate::value::Value::array() };
    ({}) => { $crate::value::Value::object() };
    ([$($item:tt),* $(,)?]) => {
        $crate::value::Value::Array([$($crate::op::arbitrary::json!($item)),*].into_iter().collect())
    };
    ({$($key:literal: $item:tt),* $(,)?}) => {
        $crate::value::Value::Object([$(($key, $crate::op::arbitrary::json!($item))),*].into_iter().collect())
    };
    ($scalar:expr) => { $crate::value::Value::from($scalar) };
}
pub(crate) use json;

const KEYS: [&str; 12] = ["a", "b", "c", "d", "0", "1", "-", "", "a.b", "password", "k\u{202e}\n", "ключ"];

/// A key that other generated keys are likely to be equal to.
pub(crate) fn key() -> impl Strategy<Value = Arc<str>> + Clone {
    prop_oneof![
        8 => select(&KEYS[..4]).prop_map(Arc::from),
        3 => select(&KEYS[..]).prop_map(Arc::from),
        // So many that maps outgrow their small form.
        3 => (0..40_u8).prop_map(|n| Arc::from(format!("key{n}"))),
    ]
}

/// A number of any kind.
pub(crate) fn number() -> impl Strategy<Value = Number> + Clone {
    let text =
        select(&["1.0", "1e3", "-0", "0.10", "123456789012345678901234567890", "18446744073709551615", "2e-7"][..]);
    prop_oneof![
        4 => (-3..4_i64).prop_map(Number::from),
        1 => any::<i64>().prop_map(Number::from),
        1 => text.prop_map(|text| Number::parse(text).expect("each of these is a number")),
    ]
}

/// Anything but an array or an object.
pub(crate) fn scalar() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        4 => number().prop_map(Value::from),
        3 => select(&["", "a", "text", "\"\\\n\u{7f}\u{2028}", "наш"][..]).prop_map(Value::from),
    ]
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = Value> + Clone {
    scalar().prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            2 => vec(inner.clone(), 0..8).prop_map(Value::from_iter),
            3 => vec((key(), inner.clone()), 0..8).prop_map(Value::from_iter),
            1 => vec((key(), scalar()), 15..40).prop_map(Value::from_iter),
        ]
    })
}

/// Any value, most often an object.
pub(crate) fn config() -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        1 => value(),
        4 => vec((key(), value()), 0..10).prop_map(Value::from_iter),
    ]
}

/// Any path.
pub(crate) fn path() -> impl Strategy<Value = Path> + Clone {
    let segment = prop_oneof![
        4 => key().prop_map(Segment::Key),
        2 => (0..5_usize).prop_map(Segment::Index),
    ];
    vec(segment, 0..4).prop_map(Path::from_iter)
}

/// Any op that can be written.
pub(crate) fn op() -> impl Strategy<Value = Op> + Clone {
    let at = || (path(), value());
    prop_oneof![
        4 => at().prop_map(|(path, value)| Op::Set { path, value }),
        3 => path().prop_map(|path| Op::Remove { path }),
        2 => at().prop_map(|(path, value)| Op::Merge { path, value }),
        1 => (path(), number()).prop_map(|(path, by)| Op::Increment { path, by }),
        2 => (at(), option::of(0..5_u64), any::<bool>())
            .prop_map(|((path, value), cap, unique)| Op::Push { path, value, cap, unique }),
        2 => at().prop_map(|(path, value)| Op::Insert { path, value }),
        2 => (path(), path()).prop_map(|(from, to)| Op::Move { from, to }),
        1 => (path(), option::of(value())).prop_map(|(path, expected)| Op::Test { path, expected }),
        2 => (at(), option::of(key()))
            .prop_map(|((path, value), before)| Op::Place { path, value, before: before.map(|key| key.to_string()) }),
    ]
}

/// Any transaction that can be written.
pub(crate) fn transaction() -> impl Strategy<Value = Transaction> + Clone {
    let kind = select(&[OriginKind::Program, OriginKind::File][..]);
    let origin = ("[a-z]{0,4}", any::<u32>(), "[a-z.]{0,4}", kind).prop_map(|(program, pid, host, kind)| Origin {
        program,
        pid,
        host,
        kind,
    });
    let base = (any::<([u8; 16], [u8; 16], u64)>(), vec(op(), 0..3), vec(path(), 0..3))
        .prop_map(|((text, against, revision), own, conflicts)| Base { text, against, revision, own, conflicts });
    (any::<u64>(), origin, option::of("[a-z]{0,4}"), option::of(base), vec(op(), 0..5))
        .prop_map(|(time, origin, key, base, ops)| Transaction { time, origin, key, base, ops })
}
