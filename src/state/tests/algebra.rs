//! What holds for all configs and all ops.

use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::op::arbitrary::{self, json};
use crate::value::Map;

/// The config after those of the ops that fit.
fn edited(config: &Value, ops: &[Op]) -> Value {
    let mut state = State::new(config.clone());
    for op in ops {
        let _ = state.apply(std::slice::from_ref(op));
    }
    state.root().clone()
}

/// The same value, but sharing nothing.
fn rebuilt(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(rebuilt).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key, rebuilt(value))).collect(),
        scalar => scalar.clone(),
    }
}

fn leads(from: &Value, to: &Value) -> Vec<Op> {
    let mut state = State::new(from.clone());
    let ops = state.diff(&State::new(to.clone()));
    state.apply(&ops).unwrap();
    assert_eq!(state.root(), to, "by {ops:?}");
    ops
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_diff_leads_from_any_config_to_any_other(a in arbitrary::config(), b in arbitrary::config()) {
        leads(&a, &b);
    }

    #[test]
    fn a_diff_leads_to_what_a_config_was_edited_into_and_back(
        config in arbitrary::config(),
        ops in vec(arbitrary::op(), 1..12),
    ) {
        let newer = edited(&config, &ops);
        leads(&config, &newer);
        leads(&newer, &config);
        // And no other way when the two share nothing, as when one was read from a file.
        leads(&config, &rebuilt(&newer));
        leads(&rebuilt(&newer), &config);
    }

    #[test]
    fn equal_configs_have_no_diff(config in arbitrary::config()) {
        prop_assert_eq!(leads(&config, &rebuilt(&config)), []);
    }

    #[test]
    fn a_diff_can_be_written(a in arbitrary::config(), b in arbitrary::config()) {
        for op in leads(&a, &b) {
            crate::Transaction::from(op).encode(&mut Vec::new()).unwrap();
        }
    }

    #[test]
    fn a_transaction_is_its_ops_one_by_one_or_nothing(
        config in arbitrary::config(),
        ops in vec(arbitrary::op(), 0..6),
    ) {
        let before = State::new(config);
        let mut at_once = before.clone();
        let result = at_once.apply(&ops);
        // Sharing nothing with another, it is changed in place.
        let mut alone = State::new(rebuilt(before.root()));
        prop_assert_eq!(&alone.apply(&ops), &result);
        prop_assert_eq!(alone.root(), at_once.root());
        let mut one_by_one = State::new(rebuilt(before.root()));
        let each = ops.iter().try_for_each(|op| one_by_one.apply(std::slice::from_ref(op)).map(drop));
        prop_assert_eq!(result.as_ref().err(), each.as_ref().err());
        match result {
            Ok(applied) => {
                prop_assert_eq!(at_once.root(), one_by_one.root());
                prop_assert!(applied.changed || at_once == before);
            }
            Err(_) => prop_assert!(identical(at_once.root(), before.root())),
        }
    }

    #[test]
    fn an_op_that_changes_nothing_copies_nothing(config in arbitrary::config(), op in arbitrary::op()) {
        let before = State::new(config);
        let mut after = before.clone();
        if let Ok(Applied { changed: false, .. }) = after.apply(&[op]) {
            prop_assert!(identical(after.root(), before.root()));
        }
    }
}

#[test]
fn diffs_are_as_small_as_the_edit() {
    let list = |items: std::ops::Range<i32>| items.map(Value::from).collect::<Vec<_>>();
    let config = json!({"a": {"x": 1, "y": 2}, "b": [1, 2, 3], "l": (list(0..100)), "z": 0});
    for op in [
        Op::set("a.x", 5),
        Op::set("new", 5),
        Op::set("a.new", json!({"deep": [1]})),
        Op::remove("a"),
        Op::remove("b[1]"),
        Op::insert("l[50]", "new"),
        Op::remove("l[99]"),
        Op::set("l[7]", "new"),
        Op::Place { path: path("z"), value: json!(0), before: Some("a".into()) },
        Op::Place { path: path("new"), value: json!(0), before: Some("b".into()) },
    ] {
        let newer = edited(&config, std::slice::from_ref(&op));
        assert_eq!(leads(&config, &newer), std::slice::from_ref(&op));
        assert_eq!(leads(&config, &rebuilt(&newer)), [op]);
    }
}

#[test]
fn keys_at_the_end_are_set_in_their_order() {
    let ops = leads(&json!({"m": 1, "x": 2}), &json!({"x": 2, "m": 1, "n": 3, "o": 4}));
    let place = Op::Place { path: path("m"), value: json!(1), before: None };
    let other = Op::Place { path: path("x"), value: json!(2), before: Some("m".into()) };
    assert!(
        ops == [place, Op::set("n", 3), Op::set("o", 4)] || ops == [other, Op::set("n", 3), Op::set("o", 4)],
        "{ops:?}"
    );
}

#[test]
fn lists_that_have_little_in_common_are_compared_in_bounded_time() {
    let many =
        |seed: u64| -> Value { (0..100_000_u64).map(|i| Value::from(i.wrapping_mul(seed) % 1_000_003)).collect() };
    let start = Instant::now();
    leads(&many(7), &many(11));
    assert!(start.elapsed().as_secs() < 10);
}

fn million_keys() -> Value {
    Value::Object((0..1_000_000).map(|i| (format!("key{i}"), Value::from(i))).collect::<Map>())
}

#[test]
fn the_diff_of_a_million_keys_costs_the_edit() {
    let config = million_keys();
    let mut newer = State::new(config.clone());
    newer.apply(&[Op::set("key500000", "new"), Op::remove("key7"), Op::set("last", 1)]).unwrap();
    let older = State::new(config);

    let start = Instant::now();
    let equal = State::new(rebuilt(older.root())) == older;
    let walk = start.elapsed();
    assert!(equal);

    // The least of many: whatever else the machine did meanwhile is no part of it.
    let diff = (0..100).map(|_| {
        let start = Instant::now();
        assert_eq!(older.diff(&newer).len(), 3);
        start.elapsed()
    });
    let diff = diff.min().unwrap();
    assert!(diff * 100 < walk, "{diff:?} for the diff, {walk:?} for a walk");
}
