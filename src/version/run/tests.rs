use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::frame::Fields;
use crate::note::Note;
use crate::op::arbitrary::{self, json};
use crate::op::{Op, Transaction};
use crate::path::Path;
use crate::recovery;
use crate::state::State;
use crate::value::Value;

/// A record, and whether the replay is looked at after it.
type Record = (FrameKind, Vec<u8>, bool);

fn version_of(config: Value) -> Version {
    Version { state: State::new(config), ..recovery::empty_version() }
}

fn edit(transaction: &Transaction) -> (FrameKind, Vec<u8>) {
    let mut payload = Vec::new();
    transaction.encode(&mut payload).unwrap();
    (FrameKind::Edit, payload)
}

fn frame(kind: FrameKind, payload: &[u8]) -> Frame<'_> {
    let fields = Fields { previous: 0, sequence: 0, durable: 0, revision: 0, kind };
    Frame { fields, check: 0, payload }
}

fn behind(version: &Version, kind: FrameKind) -> Cursor {
    let Cursor { offset, sequence, revision, check } = version.cursor;
    let revision = revision + u64::from(kind == FrameKind::Edit);
    Cursor { offset: offset + 8, sequence: sequence + 1, revision, check }
}

/// Every record read whole and done at once.
fn one_by_one(version: &mut Version, kind: FrameKind, payload: &[u8]) -> Result<(), Fault> {
    let behind = behind(version, kind);
    match kind {
        FrameKind::Edit => {
            let transaction = Transaction::decode(payload).map_err(|_| Fault::Content)?;
            version.edit(&transaction).map_err(|_| Fault::Content)?;
        }
        FrameKind::Note => version.note(Note::decode(payload)?),
    }
    version.cursor = behind;
    Ok(())
}

/// Replays both ways up to the first record that is refused, and sees that nobody can tell which way it was. Says
/// how many were done.
fn replay_both_ways(start: &Version, records: &[Record]) -> usize {
    let (mut expected, mut version, mut run) = (start.clone(), start.clone(), Run::default());
    let mut done = 0;
    for (kind, payload, looked_at) in records {
        let outcome = one_by_one(&mut expected, *kind, payload);
        let behind = behind(&version, *kind);
        assert_eq!(run.advance(&mut version, &frame(*kind, payload), behind), outcome, "record {done}");
        if *looked_at {
            run.end(&mut version);
            assert_eq!(version.state.root(), expected.state.root(), "after record {done}");
        }
        if outcome.is_err() {
            break;
        }
        done += 1;
    }
    run.end(&mut version);
    assert_eq!(version.state.root(), expected.state.root(), "after all {done}");
    assert_eq!(version.cursor, expected.cursor);
    assert_eq!(version.keys, expected.keys);
    assert_eq!(version.texts, expected.texts);
    done
}

/// Few places, one in the other, some of them through what may be an array.
fn place() -> impl Strategy<Value = Path> + Clone {
    let key = prop_oneof![6 => select(&["a", "b"][..]), 1 => select(&["c", "0", "-", ""][..])];
    vec(key, 0..4).prop_map(Path::from_iter)
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let set = (place(), arbitrary::scalar()).prop_map(|(path, value)| Op::Set { path, value });
    prop_oneof![
        20 => set.clone().prop_map(Transaction::from),
        1 => (set, "[a-z]{0,2}").prop_map(|(set, key)| Transaction::from(set).idempotent(key)),
        2 => (place(), arbitrary::value()).prop_map(|(path, value)| Op::Set { path, value }.into()),
        2 => place().prop_map(|path| Op::Remove { path }.into()),
        2 => arbitrary::op().prop_map(Transaction::from),
        1 => arbitrary::transaction(),
    ]
}

fn note() -> (FrameKind, Vec<u8>) {
    let note = Note::Showing { old: None, new: [7; 16], revision: 1, name: "n".into() };
    (FrameKind::Note, note.encode())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What a log can hold is what was accepted when it was written, up to a record that was not, or is damaged.
    #[test]
    fn a_run_ends_where_one_record_after_the_other_does(
        config in arbitrary::config(),
        candidates in vec((transaction(), prop::bool::weighted(0.1), prop::bool::weighted(0.02)), 1..60),
        damage in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>())),
        noted in any::<prop::sample::Index>(),
    ) {
        let start = version_of(config);
        let (mut version, mut records) = (start.clone(), Vec::<Record>::new());
        for (transaction, looked_at, even_refused) in &candidates {
            let refused = version.edit(transaction).is_err();
            if !refused || *even_refused {
                let (kind, payload) = edit(transaction);
                records.push((kind, payload, *looked_at));
            }
            if refused && *even_refused {
                break;
            }
        }
        let (kind, payload) = note();
        records.insert(noted.index(records.len() + 1), (kind, payload, false));
        if let Some((record, at, byte)) = damage {
            *at.get_mut(&mut record.get_mut(&mut records).1) = byte;
        }
        let before = start.state.root().to_string();
        replay_both_ways(&start, &records);
        // The state that a replay begins from is shared with whoever holds the snapshot.
        prop_assert_eq!(start.state.root().to_string(), before);
    }
}

fn sets(all: &[(&str, Value)]) -> Vec<Record> {
    let record = |(path, value): &(&str, Value)| {
        let (kind, payload) = edit(&Op::set(*path, value).into());
        (kind, payload, false)
    };
    all.iter().map(record).collect()
}

#[test]
fn a_value_that_a_later_record_may_replace_is_not_put_into_the_state_before_the_end() {
    let records = sets(&[("a.b", json!(1)), ("a.b", json!(2)), ("a.b", json!("three"))]);
    let (mut version, mut run) = (version_of(json!({})), Run::default());
    for (kind, payload, _) in &records {
        let behind = behind(&version, *kind);
        run.advance(&mut version, &frame(*kind, payload), behind).unwrap();
    }
    assert_eq!(version.state.root(), &json!({"a": {"b": 1}}));
    assert_eq!(version.revision(), 3);
    run.end(&mut version);
    assert_eq!(version.state.root(), &json!({"a": {"b": "three"}}));
}

#[test]
fn a_record_that_leads_through_a_value_of_the_run_is_refused() {
    let records = sets(&[("a", json!(1)), ("a", json!(2)), ("a.b", json!(3)), ("a", json!(4))]);
    assert_eq!(replay_both_ways(&version_of(json!({})), &records), 2);
}

#[test]
fn what_is_inside_of_a_value_that_goes_goes_too() {
    let start = version_of(json!({"a": {"b": {"c": 0}}}));
    let records = [("a.b.c", json!(1)), ("a.b.c", json!(2)), ("a", json!("gone")), ("a", json!("still"))];
    assert_eq!(replay_both_ways(&start, &sets(&records)), 4);
    assert_eq!(replay_both_ways(&start, &sets(&[&records[..], &[("a.b.c", json!(3))]].concat())), 4);
}

#[test]
fn keys_of_a_run_go_last_in_the_order_in_which_they_were_set_first() {
    let start = version_of(json!({"z": 0}));
    let records = sets(&[("b", json!(1)), ("a", json!(1)), ("b", json!(2)), ("z", json!(2)), ("c", json!(1))]);
    assert_eq!(replay_both_ways(&start, &records), 5);
}

#[test]
fn a_value_that_makes_no_sense_is_refused_at_its_record() {
    let mut records = sets(&[("a", json!("x")), ("a", json!("y")), ("a", json!("z"))]);
    let payload = &mut records[1].1;
    let text = payload.len() - 2;
    payload[text] = 0xff;
    assert_eq!(replay_both_ways(&version_of(json!({})), &records), 1);
}

#[test]
fn more_places_than_are_kept_are_all_set() {
    let keys: Vec<String> = (0..3 * PLACES_MAX).map(|n| format!("k{n}")).collect();
    let mut all = Vec::new();
    for round in 0..3 {
        all.extend(keys.iter().map(|key| (key.as_str(), json!(round))));
    }
    assert_eq!(replay_both_ways(&version_of(json!({})), &sets(&all)), all.len());
}
