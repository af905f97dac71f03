use std::collections::HashSet;

use proptest::{collection::vec, prelude::*};

use super::*;

type Model = Vec<(String, u8)>;

#[derive(Debug, Clone)]
enum Edit {
    Insert(String, u8),
    InsertBefore(String, u8, String),
    Change(String, u8),
    Remove(String),
    PopFront,
    Keep,
}

/// Few enough to meet again; those with a tilde collide.
fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]", "~[a-e]", "[a-c]{2}"]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (key(), any::<u8>()).prop_map(|(key, value)| Edit::Insert(key, value)),
        4 => (key(), any::<u8>(), key()).prop_map(|(key, value, before)| Edit::InsertBefore(key, value, before)),
        2 => (key(), any::<u8>()).prop_map(|(key, value)| Edit::Change(key, value)),
        4 => key().prop_map(Edit::Remove),
        1 => Just(Edit::PopFront),
        1 => Just(Edit::Keep),
    ]
}

fn place(model: &Model, key: &str) -> Option<usize> {
    model.iter().position(|(k, _)| k == key)
}

fn insert(model: &mut Model, key: String, value: u8) -> Option<u8> {
    match place(model, &key) {
        Some(at) => Some(mem::replace(&mut model[at].1, value)),
        None => {
            model.push((key, value));
            None
        }
    }
}

fn apply(map: &mut OrderedMap<u8>, model: &mut Model, edit: Edit) {
    match edit {
        Edit::Insert(key, value) => assert_eq!(map.insert(key.as_str(), value), insert(model, key, value)),
        Edit::InsertBefore(key, value, before) if key == before => {
            assert_eq!(map.insert_before(key.as_str(), value, &before), insert(model, key, value));
        }
        Edit::InsertBefore(key, value, before) => {
            let old = map.insert_before(key.as_str(), value, &before);
            assert_eq!(old, place(model, &key).map(|at| model.remove(at).1));
            let at = place(model, &before).unwrap_or(model.len());
            model.insert(at, (key, value));
        }
        Edit::Change(key, value) => {
            let at = place(model, &key);
            if let Some(old) = map.sole_mut(&key) {
                assert_eq!(Some(*old), at.map(|at| model[at].1));
            }
            assert_eq!(map.get_mut(&key).map(|old| mem::replace(old, value)), at.map(|at| model[at].1));
            // Nobody shares it now; a key that has its hash with another may be out of reach all the same.
            if let Some(old) = map.sole_mut(&key) {
                assert_eq!(*old, value);
                *old = value;
            } else {
                assert!(at.is_none() || key.starts_with('~'));
            }
            at.into_iter().for_each(|at| model[at].1 = value);
        }
        Edit::Remove(key) => assert_eq!(map.remove(&key), place(model, &key).map(|at| model.remove(at).1)),
        Edit::PopFront => {
            let first = (!model.is_empty()).then(|| model.remove(0));
            assert_eq!(map.pop_front().map(|(key, value)| (key.to_string(), value)), first);
        }
        Edit::Keep => {}
    }
}

fn assert_sound<V>(map: &OrderedMap<V>) {
    map.order.assert_sound();
    map.index.assert_sound();
    assert!(map.order.iter().is_sorted_by(|a, b| a.label < b.label));
    if map.index.is_empty() {
        assert!(map.len() <= SMALL);
    } else {
        assert!(map.len() >= SMALL / 2);
        let indexed: HashSet<_> = map.index.iter().map(|slot| (slot.hash, slot.label)).collect();
        let entries: HashSet<_> = map.order.iter().map(|entry| (hash(&entry.key), entry.label)).collect();
        assert_eq!(indexed, entries);
    }
}

/// Every version that was kept, with what it must go on holding.
fn versions(start: Vec<(String, u8)>, edits: Vec<Edit>) -> Vec<(OrderedMap<u8>, Model)> {
    let mut model = Model::new();
    let mut map: OrderedMap<u8> = start.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    for (key, value) in start {
        insert(&mut model, key, value);
    }
    let mut kept = vec![(map.clone(), model.clone())];
    for edit in edits {
        let keep = matches!(edit, Edit::Keep);
        apply(&mut map, &mut model, edit);
        assert_sound(&map);
        if keep {
            kept.push((map.clone(), model.clone()));
        }
    }
    kept.push((map, model));
    kept
}

/// Makes `newer` of a clone of `old` out of what `changes` says.
fn replay(old: &OrderedMap<u8>, newer: &OrderedMap<u8>) -> OrderedMap<u8> {
    let mut map = old.clone();
    let changes = old.changes(newer, |a, b| a == b);
    for change in changes.iter().rev() {
        assert_eq!(change.old, old.get(change.key));
        assert_eq!(change.new, newer.get(change.key));
        assert!(change.old != change.new || change.moved, "{} did not change", change.key);
        assert!(!change.moved || change.old.is_some() && change.new.is_some());
        match change.new {
            None => drop(map.remove(change.key)),
            Some(value) if change.moved || change.old.is_none() => match newer.after(change.key) {
                Some((next, _)) => drop(map.insert_before(Arc::clone(change.key), *value, next)),
                None => {
                    map.remove(change.key);
                    map.insert(Arc::clone(change.key), *value);
                }
            },
            Some(value) => drop(map.insert(Arc::clone(change.key), *value)),
        }
    }
    let keys: HashSet<_> = changes.iter().map(|change| change.key).collect();
    assert_eq!(keys.len(), changes.len(), "a key was reported twice");
    map
}

proptest! {
    #[test]
    fn every_version_holds_what_a_list_of_pairs_would(
        start in vec((key(), any::<u8>()), 0..60), edits in vec(edit(), 0..200),
    ) {
        for (map, model) in versions(start, edits) {
            prop_assert!(map.iter().eq(model.iter().map(|(key, value)| (&**key, value))));
            prop_assert_eq!(map.len(), model.len());
            prop_assert_eq!(map.iter().len(), model.len());
            for (at, (key, value)) in model.iter().enumerate() {
                prop_assert_eq!(map.get(key), Some(value));
                prop_assert_eq!(map.after(key), model.get(at + 1).map(|(key, value)| (&**key, value)));
            }
            prop_assert!(!map.contains("absent"));
            prop_assert!(!map.contains("~z"));
        }
    }

    #[test]
    fn changes_lead_from_any_version_to_any_other(
        start in vec((key(), any::<u8>()), 0..60), edits in vec(edit(), 0..100),
    ) {
        let versions = versions(start, edits);
        for (old, a) in &versions {
            for (newer, b) in &versions {
                prop_assert!(replay(old, newer) == *newer);
                prop_assert_eq!(old == newer, a == b);
            }
        }
    }

    #[test]
    fn changes_lead_from_any_map_to_an_unrelated_one(
        a in vec((key(), 0..3_u8), 0..40), b in vec((key(), 0..3_u8), 0..40),
    ) {
        let (a, b): (OrderedMap<u8>, OrderedMap<u8>) = (a.into_iter().collect(), b.into_iter().collect());
        prop_assert!(replay(&a, &b) == b);
    }
}

fn numbered(keys: impl Iterator<Item = usize>) -> OrderedMap<usize> {
    keys.map(|key| (key.to_string(), key)).collect()
}

#[test]
fn an_insertion_in_the_middle_moves_nothing_though_no_label_matches() {
    let old = numbered((0..100).filter(|key| *key != 50));
    let newer = numbered(0..100);
    let changes = old.changes(&newer, |a, b| a == b);
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!((&**change.key, change.old, change.new, change.moved), ("50", None, Some(&50), false));
}

#[test]
fn one_moved_entry_is_one_change() {
    let old = numbered(0..100);
    let mut newer = old.clone();
    newer.insert_before("90", 90, "10");
    for (old, newer) in [(&old, &newer), (&old, &newer.iter().map(|(key, value)| (key, *value)).collect())] {
        let changes = old.changes(newer, |a, b| a == b);
        let [change] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((&**change.key, change.moved), ("90", true));
    }
}

#[test]
fn changes_look_only_at_what_changed() {
    let old = numbered(0..100_000);
    let mut newer = old.clone();
    newer.insert("50000", 0);
    newer.remove("70000");
    newer.insert_before("x", 1, "30000");
    let looks = std::cell::Cell::new(0);
    let changes = old.changes(&newer, |a, b| {
        looks.set(looks.get() + 1);
        a == b
    });
    assert_eq!(changes.iter().map(|change| &**change.key).collect::<Vec<_>>(), ["x", "50000", "70000"]);
    assert!(looks.get() < 100, "{} entries were compared", looks.get());
}

#[test]
fn changes_look_only_at_what_changed_though_the_tree_grew_higher() {
    let old = numbered(0..4 * 4 * 4 * 4);
    let mut newer = old.clone();
    newer.insert("x", 0);
    let looks = std::cell::Cell::new(0);
    let changes = old.changes(&newer, |a, b| {
        looks.set(looks.get() + 1);
        a == b
    });
    assert_eq!(changes.len(), 1);
    assert!(looks.get() < 20, "{} entries were compared", looks.get());
}

#[test]
fn inserting_in_one_place_again_and_again_finds_room() {
    let mut map = numbered(0..2000);
    for i in 0..5000 {
        map.insert_before(format!("up{i}"), i, "1000");
        map.insert_before(format!("down{i}"), i, if i == 0 { "500".into() } else { format!("down{}", i - 1) }.as_str());
        map.insert_before(format!("front{i}"), i, if i == 0 { "0".into() } else { format!("front{}", i - 1) }.as_str());
    }
    assert_sound(&map);
    let fronts = (0..5000).rev().map(|i| format!("front{i}"));
    let downs = (0..5000).rev().map(|i| format!("down{i}"));
    let ups = (0..5000).map(|i| format!("up{i}"));
    let numbers = |range: std::ops::Range<usize>| range.map(|i| i.to_string());
    let expected =
        fronts.chain(numbers(0..500)).chain(downs).chain(numbers(500..1000)).chain(ups).chain(numbers(1000..2000));
    assert!(map.keys().eq(expected));
}

#[test]
fn inserting_in_one_place_of_a_small_map_finds_room_too() {
    let mut map = numbered(0..2);
    let inserted: Vec<String> = (2..60).map(|i| i.to_string()).collect();
    for key in &inserted {
        map.insert_before(key.as_str(), 0, "1");
        assert_sound(&map);
    }
    assert!(map.keys().eq(std::iter::once("0").chain(inserted.iter().map(|key| &**key)).chain(["1"])));
}

#[test]
fn nodes_stay_well_filled_where_keys_are_inserted_in_falling_order() {
    let mut map = numbered(0..100);
    for i in 0..4000 {
        let before = if i == 0 { "50".into() } else { format!("x{}", i - 1) };
        map.insert_before(format!("x{i}"), i, &before);
    }
    let fill = map.len() as f64 / map.order.leaves() as f64;
    assert!(fill >= Entry::<usize>::LEAF as f64 * 0.45, "{fill} entries in a leaf");
}

#[test]
fn labels_that_run_out_at_the_end_are_given_anew() {
    let mut map = numbered(0..100);
    map.relabel_one(99, Label::MAX - 1);
    map.insert("last", 0);
    assert_sound(&map);
    assert_eq!(map.last(), Some(("last", &0)));
    assert_eq!(map.get("99"), Some(&99));
}

#[test]
fn the_last_of_equal_keys_wins_at_the_place_of_the_first() {
    for others in [0..2, 0..50] {
        let others = others.map(|i: usize| i.to_string());
        let keys = others.chain(["a", "b", "a"].map(String::from));
        let map: OrderedMap<usize> = keys.enumerate().map(|(at, key)| (key, at)).collect();
        assert_eq!(map.get("a"), Some(&(map.len())));
        assert_eq!(map.last().unwrap().0, "b");
        assert_sound(&map);
    }
}

#[test]
fn an_unshared_map_is_edited_in_place() {
    let mut map = numbered(0..1000);
    let before: *const usize = map.get("500").unwrap();
    map.insert("500", 7);
    assert!(std::ptr::eq(before, map.get("500").unwrap()));
    let kept = map.clone();
    assert!(map.same(&kept));
    map.insert("500", 8);
    assert!(!map.same(&kept));
    assert_eq!((kept.get("500"), map.get("500")), (Some(&7), Some(&8)));
}

#[test]
fn asking_for_what_is_not_there_copies_nothing() {
    let map = numbered(0..1000);
    let mut clone = map.clone();
    assert_eq!(clone.get_mut("absent"), None);
    assert_eq!(clone.remove("absent"), None);
    assert!(clone.same(&map));
}

#[test]
fn what_another_map_shares_is_not_to_be_had_in_place() {
    for len in [3, 1000] {
        let mut map = numbered(0..len);
        let key = map.keys().next().unwrap().to_owned();
        assert!(map.sole_mut(&key).is_some());
        assert_eq!(map.sole_mut("absent"), None);
        let clone = map.clone();
        assert_eq!(map.sole_mut(&key), None);
        drop(clone);
        assert!(map.sole_mut(&key).is_some());
    }
}

/// Not that two are equal, but that they are one in memory.
fn shares_key(a: &OrderedMap<u8>, b: &OrderedMap<u8>, key: &str) -> bool {
    let of = |map: &OrderedMap<u8>| map.entries().find(|(k, _)| ***k == *key).map(|(k, _)| Arc::clone(k));
    matches!((of(a), of(b)), (Some(a), Some(b)) if Arc::ptr_eq(&a, &b))
}

#[test]
fn a_key_of_many_objects_lies_in_memory_once() {
    let read: OrderedMap<u8> = [("size".to_owned(), 1), ("name".to_owned(), 2)].into_iter().collect();
    let mut made = OrderedMap::new();
    made.insert("name", 3);
    assert!(shares_key(&read, &made, "name"));
    let many: OrderedMap<u8> = (0..=SMALL as u8).map(|n| (format!("key{n}"), n)).collect();
    let last = format!("key{SMALL}");
    made.insert_before(last.as_str(), 4, "name");
    assert!(shares_key(&many, &made, &last));

    let long = "x".repeat(65);
    let [mut one, mut other] = [OrderedMap::new(), OrderedMap::new()];
    one.insert(long.as_str(), 1);
    other.insert(long.as_str(), 2);
    assert!(!shares_key(&one, &other, &long), "long keys are not remembered");
}
