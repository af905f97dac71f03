//! The three-way merge.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::op::arbitrary::{self, json};

#[track_caller]
fn merges(base: &Value, ours: &Value, theirs: &Value) -> (Value, Vec<Conflict>) {
    let state = |value: &Value| State::new(value.clone());
    let (merged, conflicts) = State::merge3(&state(base), &state(ours), &state(theirs));
    (merged.root().clone(), conflicts)
}

#[track_caller]
fn merges_cleanly(base: Value, ours: Value, theirs: Value, expected: Value) {
    assert_eq!(merges(&base, &ours, &theirs), (expected, vec![]));
}

#[test]
fn changes_of_different_paths_are_both_kept() {
    merges_cleanly(
        json!({"a": 1, "b": {"x": 1, "y": 2}, "c": 3}),
        json!({"a": 9, "b": {"x": 1, "y": 2}, "c": 3, "ours": true}),
        json!({"a": 1, "b": {"x": 1, "y": 8}, "theirs": true}),
        json!({"a": 9, "b": {"x": 1, "y": 8}, "theirs": true, "ours": true}),
    );
    // Both added an object: their keys come together.
    merges_cleanly(json!({}), json!({"o": {"x": 1}}), json!({"o": {"y": 2}}), json!({"o": {"y": 2, "x": 1}}));
    // Both did the same.
    merges_cleanly(json!({"a": 1, "b": 2}), json!({"a": 5}), json!({"a": 5}), json!({"a": 5}));
}

#[test]
fn where_both_changed_one_path_theirs_is_taken_and_the_conflict_listed() {
    let (merged, conflicts) = merges(
        &json!({"port": 80, "name": "a", "gone": 1, "kept": 1}),
        &json!({"port": 81, "name": "b", "kept": 2}),
        &json!({"port": 82, "name": "a", "gone": 2}),
    );
    assert_eq!(merged, json!({"port": 82, "name": "b", "gone": 2}));
    let conflict = |at: &str, base: i32, ours: Option<i32>, theirs: Option<i32>| Conflict {
        path: path(at),
        base: Some(base.into()),
        ours: ours.map(Value::from),
        theirs: theirs.map(Value::from),
    };
    let expected = [
        conflict("port", 80, Some(81), Some(82)),
        conflict("gone", 1, None, Some(2)),
        conflict("kept", 1, Some(2), None),
    ];
    assert_eq!(conflicts.len(), expected.len());
    assert!(expected.iter().all(|conflict| conflicts.contains(conflict)), "{conflicts:?}");
}

#[test]
fn elements_of_lists_are_merged_one_by_one() {
    merges_cleanly(
        json!({"servers": [{"port": 1}, {"port": 2}, {"port": 3}]}),
        json!({"servers": [{"port": 9}, {"port": 2}, {"port": 3}, {"port": 4}]}),
        json!({"servers": [{"port": 1}, {"port": 3}, {"port": 5}]}),
        json!({"servers": [{"port": 9}, {"port": 3}, {"port": 4}, {"port": 5}]}),
    );
    // Both added the same.
    merges_cleanly(json!([1]), json!([1, 2, 3]), json!([1, 3, 4]), json!([1, 2, 3, 4]));

    let (merged, conflicts) = merges(&json!([1, 2, 3]), &json!([1, 8, 3]), &json!([1, 9, 3]));
    assert_eq!(merged, json!([1, 9, 3]));
    assert_eq!(conflicts.iter().map(|conflict| conflict.path.to_string()).collect::<Vec<_>>(), ["[1]"]);
}

#[test]
fn an_order_that_only_one_side_changed_is_kept() {
    let base = json!({"a": 1, "b": 2, "c": 3});
    let reordered = json!({"c": 3, "a": 1, "b": 2});
    merges_cleanly(base.clone(), reordered.clone(), json!({"a": 1, "b": 5, "c": 3}), json!({"c": 3, "a": 1, "b": 5}));
    merges_cleanly(base.clone(), json!({"a": 1, "b": 5, "c": 3}), reordered, json!({"c": 3, "a": 1, "b": 5}));
    // A key added in the middle stays there, and one renamed too.
    merges_cleanly(
        base,
        json!({"a": 1, "new": 0, "b": 2, "x": 3}),
        json!({"a": 7, "b": 2, "c": 3, "last": 9}),
        json!({"a": 7, "new": 0, "b": 2, "last": 9, "x": 3}),
    );
}

#[test]
fn where_both_placed_a_key_it_is_where_theirs_has_it() {
    let (front, end) = (json!({"x": 0, "a": 1, "b": 2}), json!({"a": 1, "b": 2, "x": 0}));
    merges_cleanly(json!({"a": 1, "b": 2}), front.clone(), end.clone(), end.clone());
    merges_cleanly(json!({"a": 1, "x": 0, "b": 2}), front, end.clone(), end);
}

#[test]
fn an_order_of_keys_brings_nothing_back() {
    let (base, sorted) =
        (json!({"b": {"y": 1, "x": [{"n": 1, "m": 1}]}}), json!({"b": {"x": [{"m": 1, "n": 1}], "y": 1}}));
    for changed in [json!({}), json!({"b": 5}), json!({"b": [1]})] {
        merges_cleanly(base.clone(), changed.clone(), sorted.clone(), changed.clone());
        merges_cleanly(base.clone(), sorted.clone(), changed.clone(), changed);
    }
    // Not even where both made something new of it.
    merges_cleanly(
        json!({"b": 1}),
        json!({"b": [{"y": 1, "x": 1}]}),
        json!({"b": [{"x": 1, "y": 1}]}),
        json!({"b": [{"x": 1, "y": 1}]}),
    );
}

#[test]
fn elements_with_their_keys_in_another_order_are_the_same_elements() {
    let base = json!([{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": 3}]);
    merges_cleanly(
        base.clone(),
        json!([{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": 3, "last": 1}]),
        json!([{"n": 1, "id": 1}, {"n": 3, "id": 3}]),
        json!([{"n": 1, "id": 1}, {"n": 3, "id": 3, "last": 1}]),
    );
    merges_cleanly(
        base,
        json!([{"id": 2, "n": 2}, {"id": 3, "n": 3}, {"id": 4, "n": 4}]),
        json!([{"n": 1, "id": 1}, {"n": 2, "id": 2}, {"n": 3, "id": 3, "new": 1}]),
        json!([{"n": 2, "id": 2}, {"n": 3, "id": 3, "new": 1}, {"id": 4, "n": 4}]),
    );
}

#[test]
fn what_changed_in_an_element_stays_in_that_element() {
    let base = json!([{"id": 1, "n": 1}, {"id": 2, "n": 1}]);
    // Removed with one beside it changed, while the other side changed what was removed.
    let (merged, conflicts) =
        merges(&base, &json!([{"id": 1, "n": 1, "last": 3}, {"id": 2, "n": 1}]), &json!([{"id": 2, "n": 5}]));
    assert_eq!(merged, json!([{"id": 2, "n": 5}]));
    assert_eq!(conflicts.iter().map(|conflict| conflict.path.to_string()).collect::<Vec<_>>(), ["[0]"]);
    merges_cleanly(
        base.clone(),
        json!([{"id": 1, "n": 1}, {"id": 2, "n": 1, "last": 3}]),
        json!([{"id": 2, "n": 5}]),
        json!([{"id": 2, "n": 5, "last": 3}]),
    );
    // Inserted in front of one that changed.
    merges_cleanly(
        base,
        json!([{"id": 0, "n": 7}, {"id": 1, "n": 2}, {"id": 2, "n": 1}]),
        json!([{"id": 1, "n": 1, "new": 9}, {"id": 2, "n": 1}]),
        json!([{"id": 0, "n": 7}, {"id": 1, "n": 2, "new": 9}, {"id": 2, "n": 1}]),
    );
}

#[test]
fn an_element_that_one_side_inserted_twice_comes_twice() {
    merges_cleanly(json!([]), json!([5, 5]), json!([5]), json!([5, 5]));
    merges_cleanly(json!([]), json!([5]), json!([5, 5, 6]), json!([5, 5, 6]));
}

#[test]
fn a_conflict_shows_no_secret() {
    let config = |text: &str| Value::from_iter([("token", text)]);
    let (_, conflicts) = merges(&config("swordfish"), &config("swordfish2"), &config("swordfish3"));
    assert_eq!(format!("{conflicts:?}"), r#"[Conflict(token: "***" became "***" here, "***" there)]"#);
}

/// The same values, their keys in reversed order.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(reversed).collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.to_owned(), reversed(value))).collect();
            entries.reverse();
            entries.into_iter().collect()
        }
        scalar => scalar.clone(),
    }
}

fn edited(config: &Value, ops: &[Op]) -> Value {
    let mut state = State::new(config.clone());
    for op in ops {
        let _ = state.apply(std::slice::from_ref(op));
    }
    state.root().clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_side_that_did_nothing_does_not_count(base in arbitrary::config(), other in arbitrary::config()) {
        prop_assert_eq!(merges(&base, &base, &other), (other.clone(), vec![]));
        prop_assert_eq!(merges(&base, &other, &base), (other.clone(), vec![]));
        prop_assert_eq!(merges(&base, &other, &other), (other, vec![]));
    }

    #[test]
    fn one_side_below_another_key_is_merged_as_if_alone(
        base in arbitrary::config(),
        ours in vec(arbitrary::op(), 0..5),
        theirs in vec(arbitrary::op(), 0..5),
    ) {
        let (ours, theirs) = (edited(&base, &ours), edited(&base, &theirs));
        let both = |left: &Value, right: &Value| json!({"left": left, "right": right});
        prop_assert_eq!(
            merges(&both(&base, &base), &both(&ours, &base), &both(&base, &theirs)),
            (both(&ours, &theirs), vec![])
        );
    }

    #[test]
    fn what_only_one_side_changed_is_as_that_side_has_it(
        base in arbitrary::config(),
        ours in vec(arbitrary::op(), 0..5),
        theirs in vec(arbitrary::op(), 0..5),
    ) {
        let (ours, theirs) = (edited(&base, &ours), edited(&base, &theirs));
        let (merged, conflicts) = merges(&base, &ours, &theirs);
        if let (Value::Object(base), Value::Object(ours), Value::Object(theirs), Value::Object(merged)) =
            (&base, &ours, &theirs, &merged)
        {
            for key in base.keys().chain(ours.keys()).chain(theirs.keys()) {
                let (b, o, t, m) = (base.get(key), ours.get(key), theirs.get(key), merged.get(key));
                if b == o {
                    prop_assert_eq!(m, t);
                } else if b == t {
                    prop_assert_eq!(m, o);
                }
            }
        }
        // What keys are in another order is not in the way of anything.
        let shuffled = reversed(&theirs);
        let (with_other_order, more) = merges(&base, &ours, &shuffled);
        prop_assert!(with_other_order.alike(&merged), "{} is not {}", with_other_order, merged);
        prop_assert_eq!(more.len(), conflicts.len());
        let unordered = merges(&base, &reversed(&ours), &theirs);
        prop_assert!(unordered.0.alike(&merged), "{} is not {}", unordered.0, merged);
        prop_assert_eq!(unordered.1.len(), conflicts.len());
        // Every conflict is one: each side made something else of the base, and not the same.
        for Conflict { base, ours, theirs, .. } in conflicts {
            prop_assert!(base != ours && base != theirs && ours != theirs);
        }
    }
}
