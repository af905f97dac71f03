//! What a type changed in its view of a config.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::op::arbitrary::{self, json};

#[track_caller]
fn carries(whole: Value, before: Value, after: Value, expected: Value) {
    assert_eq!(State::new(whole).carry(&before, &after).root(), &expected);
}

#[test]
fn what_the_view_does_not_show_stays() {
    carries(
        json!({"port": 1, "unknown": {"x": 1}, "tls": {"on": true, "unknown": 2}}),
        json!({"tls": {"on": true}, "port": 1, "filled_in": 0}),
        json!({"tls": {"on": false}, "port": 1, "filled_in": 0}),
        json!({"port": 1, "unknown": {"x": 1}, "tls": {"on": false, "unknown": 2}}),
    );
    carries(
        json!([{"id": 1, "unknown": 1}, {"id": 2, "unknown": 2}, {"id": 3, "unknown": 3}]),
        json!([{"id": 1}, {"id": 2}, {"id": 3}]),
        json!([{"id": 3}, {"id": 1}, {"id": 9}]),
        json!([{"id": 3, "unknown": 3}, {"id": 1, "unknown": 1}, {"id": 9}]),
    );
}

#[test]
fn a_type_with_an_order_of_its_own_does_not_change_that_of_the_document() {
    carries(
        json!({"z": {"n": 1, "unknown": 1}, "a": {"n": 1}, "m": {"n": 1}}),
        json!({"m": {"n": 1}, "z": {"n": 1}, "a": {"n": 1}}),
        json!({"new": {"n": 1}, "a": {"n": 2}, "z": {"n": 1}, "m": {"n": 1}}),
        json!({"z": {"n": 1, "unknown": 1}, "a": {"n": 2}, "m": {"n": 1}, "new": {"n": 1}}),
    );
    // The order of a hash map may be that of the document by chance.
    carries(
        json!({"z": {"n": 1, "unknown": 1}, "a": {"n": 1}, "other": 1}),
        json!({"z": {"n": 1}, "a": {"n": 1}}),
        json!({"z": {"n": 2}, "new": {"n": 1}, "a": {"n": 1}}),
        json!({"z": {"n": 2, "unknown": 1}, "a": {"n": 1}, "other": 1, "new": {"n": 1}}),
    );
    // Where the document is sorted as well, what is new comes to its place.
    carries(
        json!({"a": {"n": 1}, "b": 1, "z": {"n": 1, "unknown": 1}}),
        json!({"a": {"n": 1}, "z": {"n": 1}}),
        json!({"a": {"n": 1}, "d": {"n": 1}, "e": 1, "z": {"n": 2}}),
        json!({"a": {"n": 1}, "b": 1, "d": {"n": 1}, "e": 1, "z": {"n": 2, "unknown": 1}}),
    );
}

#[test]
fn an_element_of_a_set_is_found_wherever_it_stands() {
    carries(json!(["z", "a", "m"]), json!(["a", "m", "z"]), json!(["m", "z"]), json!(["z", "m"]));
    carries(json!(["z", "a"]), json!(["a", "z"]), json!(["a", "b", "z"]), json!(["z", "a", "b"]));
    carries(json!(["z", "a", "z"]), json!(["a", "z"]), json!(["z"]), json!(["z"]));
    // Not a set, but spelled in another way.
    carries(json!([1, 2, 3]), json!(["1s", "2s", "3s"]), json!(["1s", "9s", "3s"]), json!([1, "9s", 3]));
    carries(json!([1, 2]), json!([1.5, 2]), json!([1.5, 2, 3]), json!([1, 2, 3]));
}

proptest! {
    #[test]
    fn a_view_that_shows_all_is_followed_whatever_changes(
        before in arbitrary::config(), other in arbitrary::config(), ops in vec(arbitrary::op(), 0..8),
    ) {
        let mut edited = State::new(before.clone());
        ops.into_iter().for_each(|op| drop(edited.apply(&[op])));
        let state = State::new(before.clone());
        for after in [edited.root(), &other] {
            let carried = state.carry(&before, after);
            prop_assert!(carried.root().alike(after), "{:?} is not {:?}", carried, after);
        }
    }

    #[test]
    fn a_set_becomes_the_set_that_is_wanted(
        whole in btree_set(0..20_u8, 0..10).prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle(),
        after in btree_set(0..20_u8, 0..10),
    ) {
        let list = |items: &[u8]| -> Value { items.iter().map(|item| Value::from(*item)).collect() };
        let mut before = whole.clone();
        before.sort_unstable();
        let wanted: Vec<u8> = after.iter().copied().collect();
        let carried = State::new(list(&whole)).carry(&list(&before), &list(&wanted));
        let mut found: Vec<u64> = carried.root().as_array().unwrap().iter().filter_map(Value::as_u64).collect();
        // What stays is in the order in which it was.
        let stays: Vec<u64> = whole.iter().filter(|item| after.contains(item)).map(|item| u64::from(*item)).collect();
        prop_assert!(whole == before || found.starts_with(&stays));
        found.sort_unstable();
        prop_assert_eq!(found, wanted.into_iter().map(u64::from).collect::<Vec<_>>());
    }
}
