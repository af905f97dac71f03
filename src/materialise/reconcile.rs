//! What a person changed in a text, made into a record. Pure.

use crate::op::Op;
use crate::state::{Conflict, State};
use crate::value::Value;

/// A save that drops more than half of the document is held back; fewer lost values than this are never "most of it".
const LOST_MIN: usize = 3;

/// What a hand edit comes to on the newest state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reconciled {
    /// The ops of the record.
    pub ops: Vec<Op>,
    /// What leads from the base to the text, if the text does not show the newest state with those ops.
    pub own: Vec<Op>,
    /// Where both had changed the same path. The person's value is taken: it is what the person saw and chose.
    pub conflicts: Vec<Conflict>,
}

/// What the person changed against a text that stood for `base`, as `theirs` with whatever it shares with `base` shared.
///
/// After a crash in the middle of an exchange nobody knows which of two texts the person began with. A path counts as
/// the person's only where it differs from both.
pub(crate) fn theirs_on(bases: &[State], theirs: &State) -> (State, State) {
    let (base, others) = bases.split_last().expect("a text of ours was known");
    let mut ops = base.diff(theirs);
    let shifts = |op: &Op| {
        matches!(op, Op::Insert { .. } | Op::Push { .. }) || matches!(op, Op::Remove { path } if in_array(base, path))
    };
    if !ops.iter().any(shifts) {
        ops.retain(|op| match op {
            Op::Set { path, value } | Op::Place { path, value, .. } => {
                others.iter().all(|other| other.root().get(path) != Some(value))
            }
            Op::Remove { path } => others.iter().all(|other| other.root().get(path).is_some()),
            _ => true,
        });
    }
    let mut shared = base.clone();
    match shared.apply(&ops) {
        Ok(_) => (base.clone(), shared),
        // Without some of them the rest may not fit.
        Err(_) => (base.clone(), theirs.clone()),
    }
}

fn in_array(state: &State, path: &crate::path::Path) -> bool {
    path.parent().is_some_and(|parent| matches!(state.root().get(&parent), Some(Value::Array(_))))
}

/// The record that takes the person's changes over into `ours`: those that lead from `base` to `theirs`. `text` is all that
/// the text says, which may be less than `theirs`: it may have been made on an older text than `base`.
pub(crate) fn reconcile(base: &State, ours: &State, theirs: &State, text: &State) -> Reconciled {
    let (ops, merged, conflicts) = if ours == base {
        (base.diff(theirs), theirs.clone(), Vec::new())
    } else {
        let (merged, conflicts) = State::merge3(base, ours, theirs);
        (ours.diff(&merged), merged, conflicts)
    };
    let own = if merged == *text { Vec::new() } else { base.diff(text) };
    Reconciled { ops, own, conflicts }
}

/// Whether a save drops most of the document: more than half of its values.
pub(crate) fn drops_most(base: &State, theirs: &State) -> bool {
    let (total, lost) = count(base.root(), Some(theirs.root()));
    lost >= LOST_MIN && lost * 2 > total
}

/// Values that are no containers in `base`, and how many of their places are gone in `theirs`.
fn count(base: &Value, theirs: Option<&Value>) -> (usize, usize) {
    let add = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
    match base {
        Value::Object(entries) => {
            let theirs = theirs.and_then(Value::as_object);
            entries.iter().map(|(key, value)| count(value, theirs.and_then(|map| map.get(key)))).fold((0, 0), add)
        }
        Value::Array(items) => {
            let theirs = theirs.and_then(Value::as_array);
            let each = items.iter().enumerate();
            each.map(|(at, value)| count(value, theirs.and_then(|items| items.get(at)))).fold((0, 0), add)
        }
        _ => (1, usize::from(theirs.is_none())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(pairs: &[(&str, i64)]) -> State {
        State::new(pairs.iter().map(|(key, value)| (*key, Value::from(*value))).collect())
    }

    #[test]
    fn a_save_on_a_text_that_lags_keeps_what_programs_did_meanwhile() {
        let (base, ours, theirs) =
            (state(&[("a", 1), ("b", 1)]), state(&[("a", 2), ("b", 1)]), state(&[("a", 1), ("b", 7)]));
        let done = reconcile(&base, &ours, &theirs, &theirs);
        assert_eq!((done.ops, done.own, done.conflicts.len()), (vec![Op::set("b", 7)], vec![Op::set("b", 7)], 0));
    }

    #[test]
    fn where_both_changed_one_path_the_person_wins_and_it_is_told() {
        let theirs = state(&[("a", 3)]);
        let done = reconcile(&state(&[("a", 1)]), &state(&[("a", 2)]), &theirs, &theirs);
        assert_eq!(done.ops, vec![Op::set("a", 3)]);
        assert_eq!(done.conflicts.len(), 1);
    }

    #[test]
    fn of_two_possible_bases_neither_counts_as_the_persons_change() {
        let (old, new) = (state(&[("a", 1), ("b", 1)]), state(&[("a", 2), ("b", 1)]));
        for (theirs, expected) in
            [(state(&[("a", 1), ("b", 9)]), 1), (state(&[("a", 2), ("b", 9)]), 1), (state(&[("a", 3), ("b", 9)]), 2)]
        {
            let (base, changed) = theirs_on(&[old.clone(), new.clone()], &theirs);
            assert_eq!(reconcile(&base, &new, &changed, &theirs).ops.len(), expected);
        }
    }

    #[test]
    fn a_save_on_the_older_of_two_texts_does_not_stand_for_the_newer() {
        let (old, new) = (state(&[("a", 1), ("b", 1)]), state(&[("a", 2), ("b", 1)]));
        let theirs = state(&[("a", 1), ("b", 9)]);
        let (base, changed) = theirs_on(&[old, new.clone()], &theirs);
        let done = reconcile(&base, &new, &changed, &theirs);
        assert_eq!(done.ops, vec![Op::set("b", 9)]);
        let mut shown = base;
        shown.apply(&done.own).expect("they lead from the base to the text");
        assert_eq!(shown, theirs);
    }

    #[test]
    fn dropping_most_of_a_document_is_noticed() {
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f"].iter().map(|key| (*key, 1)).collect();
        assert!(drops_most(&state(&many), &state(&many[..2])));
        assert!(!drops_most(&state(&many), &state(&many[..3])));
        assert!(!drops_most(&state(&many[..2]), &state(&[])));
    }
}
