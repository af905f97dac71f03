//! What a person changed in a text, made into a record. Pure.

use crate::op::{Op, OriginKind};
use crate::path::Path;
use crate::planted::{Bug, planted};
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

/// Which of the texts that may have stood in the file the person began with, and what the person made of it, with
/// whatever the two have in common shared. `theirs`: the person's, for each of them.
///
/// After a crash in the middle of an exchange nobody knows which of two texts that was. It is the one from which the
/// fewest steps lead to the person's: what a program had changed between the two is no change of the person's.
pub(crate) fn began_with(bases: &[State], theirs: &[State]) -> (usize, State) {
    let near = |at: usize| match bases {
        [_] => (0, 0),
        _ if planted(Bug::NewestBaseTaken) => (0, 0),
        // One step brings a key to another place with all below it, whatever a program had changed there: a save that
        // puts the keys in another order looks the same from every text.
        _ => {
            let (base, theirs) = (&bases[at], &theirs[at]);
            (in_order_of_keys(base).diff(&in_order_of_keys(theirs)).len(), base.diff(theirs).len())
        }
    };
    // Of several that are equally near the newest.
    let at = (0..bases.len()).rev().min_by_key(|at| near(*at)).expect("a text of ours was known");
    let (base, theirs) = (&bases[at], &theirs[at]);
    let mut shared = base.clone();
    let made = shared.apply(&base.diff(theirs));
    (at, if made.is_ok() { shared } else { theirs.clone() })
}

/// The same values, the keys of every object in the one order that is the same for all.
fn in_order_of_keys(state: &State) -> State {
    fn ordered(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.entries().map(|(key, value)| (key.clone(), ordered(value))).collect();
                entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                entries.into_iter().collect()
            }
            Value::Array(items) => items.iter().map(ordered).collect(),
            scalar => scalar.clone(),
        }
    }
    State::new(ordered(state.root()))
}

/// The record that takes the person's changes over into `ours`: those that lead from `base` to `theirs`.
pub(crate) fn reconcile(base: &State, ours: &State, theirs: &State) -> Reconciled {
    let (ops, merged, conflicts) = if ours == base {
        (base.diff(theirs), theirs.clone(), Vec::new())
    } else {
        let (merged, conflicts) = State::merge3(base, ours, theirs);
        (ours.diff(&merged), merged, conflicts)
    };
    let own = if merged == *theirs { Vec::new() } else { base.diff(theirs) };
    Reconciled { ops, own, conflicts }
}

/// Watches the log for paths at which a save puts back what stood there before a program changed it: most often the work
/// of an editor that still showed an older text.
pub(crate) struct PutBack<'a> {
    theirs: &'a State,
    /// What the person changed.
    paths: Vec<Watched>,
}

struct Watched {
    path: Path,
    /// The value that the save puts there has been there before.
    is_older: bool,
    /// The last change of it was a program's.
    by_program: bool,
}

impl PutBack<'_> {
    pub(crate) fn of<'a>(base: &State, theirs: &'a State) -> PutBack<'a> {
        // A key in another place is no change of its value.
        let own = in_order_of_keys(base).diff(&in_order_of_keys(theirs));
        let watched = |path: &Path| Watched { path: path.clone(), is_older: false, by_program: false };
        PutBack { theirs, paths: own.iter().filter_map(Op::path).map(watched).collect() }
    }

    /// A record of the log, oldest first, by what it led from and to.
    pub(crate) fn record(&mut self, before: &State, after: &State, kind: OriginKind) {
        for watched in &mut self.paths {
            let old = before.root().get(&watched.path);
            if !is_alike(old, after.root().get(&watched.path)) {
                watched.by_program = kind == OriginKind::Program && !planted(Bug::OlderValueNotReported);
                watched.is_older |= is_alike(old, self.theirs.root().get(&watched.path));
            }
        }
    }

    pub(crate) fn found(self) -> Vec<Path> {
        self.paths.into_iter().filter(|path| path.is_older && path.by_program).map(|watched| watched.path).collect()
    }
}

/// Whether both are the same but for the order of keys.
fn is_alike(a: Option<&Value>, b: Option<&Value>) -> bool {
    a.zip(b).map_or(a.is_none() && b.is_none(), |(a, b)| a.alike(b))
}

/// Whether a save drops most of the document: more than half of its values.
pub(crate) fn drops_most(base: &State, theirs: &State) -> bool {
    let (total, lost) = count(base.root(), Some(theirs.root()));
    lost >= LOST_MIN && lost * 2 > total && !planted(Bug::ShrinkTaken)
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

#[cfg(all(test, feature = "json"))]
mod tests {
    use super::*;

    fn state(pairs: &[(&str, i64)]) -> State {
        State::new(pairs.iter().map(|(key, value)| (*key, Value::from(*value))).collect())
    }

    #[test]
    fn a_save_on_a_text_that_lags_keeps_what_programs_did_meanwhile() {
        let (base, ours, theirs) =
            (state(&[("a", 1), ("b", 1)]), state(&[("a", 2), ("b", 1)]), state(&[("a", 1), ("b", 7)]));
        let done = reconcile(&base, &ours, &theirs);
        assert_eq!((done.ops, done.own, done.conflicts.len()), (vec![Op::set("b", 7)], vec![Op::set("b", 7)], 0));
    }

    #[test]
    fn where_both_changed_one_path_the_person_wins_and_it_is_told() {
        let theirs = state(&[("a", 3)]);
        let done = reconcile(&state(&[("a", 1)]), &state(&[("a", 2)]), &theirs);
        assert_eq!(done.ops, vec![Op::set("a", 3)]);
        assert_eq!(done.conflicts.len(), 1);
    }

    #[test]
    fn a_value_from_before_a_programs_change_is_told_from_a_new_one() {
        let (old, base, theirs) =
            (state(&[("a", 1), ("b", 1)]), state(&[("a", 2), ("b", 2)]), state(&[("a", 1), ("b", 3)]));
        for (kind, expected) in [(OriginKind::Program, vec![Path::parse("a").unwrap()]), (OriginKind::File, vec![])] {
            let mut watch = PutBack::of(&base, &theirs);
            watch.record(&old, &base, kind);
            assert_eq!(watch.found(), expected);
        }
    }

    #[test]
    fn a_key_in_another_place_is_not_put_back_and_hides_nothing_that_is() {
        let of = |text: &[u8]| State::new(crate::document::parse(&crate::document::Format::Json, text).unwrap());
        let states = [
            of(br#"{"a": {"n": 2, "last": 1}, "b": 2}"#),
            of(br#"{"a": {"n": 2, "last": 1}, "b": 1}"#),
            of(br#"{"a": {"n": 2, "last": 2}, "b": 1}"#),
            of(br#"{"a": {"n": 2, "last": 2}, "b": 2}"#),
        ];
        for (text, found) in [
            (&br#"{"b": 2, "a": {"last": 2, "n": 2}}"#[..], &[][..]),
            (br#"{"b": 2, "a": {"last": 1, "n": 7}}"#, &["a.last"]),
        ] {
            let theirs = of(text);
            let mut watch = PutBack::of(&states[3], &theirs);
            states.windows(2).for_each(|pair| watch.record(&pair[0], &pair[1], OriginKind::Program));
            let paths: Vec<String> = watch.found().iter().map(Path::to_string).collect();
            assert_eq!(paths, found);
        }
    }

    #[test]
    fn a_value_from_long_before_is_told_too() {
        let states: Vec<State> = (1..5).map(|a| state(&[("a", a)])).collect();
        for (theirs, found) in [(1, 1), (2, 1), (3, 1), (9, 0)] {
            let theirs = state(&[("a", theirs)]);
            let mut watch = PutBack::of(&states[3], &theirs);
            states.windows(2).for_each(|pair| watch.record(&pair[0], &pair[1], OriginKind::Program));
            assert_eq!(watch.found().len(), found, "{theirs:?}");
        }
    }

    #[test]
    fn of_two_possible_bases_neither_counts_as_the_persons_change() {
        let (old, new) = (state(&[("a", 1), ("b", 1)]), state(&[("a", 2), ("b", 1)]));
        for (theirs, expected) in
            [(state(&[("a", 1), ("b", 9)]), 1), (state(&[("a", 2), ("b", 9)]), 1), (state(&[("a", 3), ("b", 9)]), 2)]
        {
            let bases = [old.clone(), new.clone()];
            let (at, theirs) = began_with(&bases, &[theirs.clone(), theirs]);
            assert_eq!(reconcile(&bases[at], &new, &theirs).ops.len(), expected);
        }
    }

    #[test]
    fn of_two_possible_bases_the_nearer_one_counts_in_arrays_too() {
        let of = |text| State::new(crate::document::parse(&crate::document::Format::Json, text).unwrap());
        let bases = [of(b"{\"list\": [1, 2]}"), of(b"{\"list\": [1, 2, 3], \"added\": 1}")];
        let theirs = of(b"{\"list\": [1, 2], \"by\": \"hand\"}");
        let (at, theirs) = began_with(&bases, &[theirs.clone(), theirs]);
        let done = reconcile(&bases[at], &bases[1], &theirs);
        let mut merged = bases[1].clone();
        merged.apply(&done.ops).unwrap();
        for (path, value) in [("list[2]", "3"), ("added", "1"), ("by", "\"hand\"")] {
            let found = merged.root().get(&Path::parse(path).unwrap()).map(Value::to_string);
            assert_eq!(found.as_deref(), Some(value), "{path}");
        }
        assert_eq!(done.conflicts.len(), 0);
    }

    #[test]
    fn of_two_possible_bases_the_nearer_one_counts_whatever_the_order_of_the_keys() {
        let of =
            |text: &str| State::new(crate::document::parse(&crate::document::Format::Json, text.as_bytes()).unwrap());
        let old = of(r#"{"saved": 0, "w": {"n": 1, "last": 1}, "list": [{"n": 1, "last": 1}], "c": 1}"#);
        let new = of(r#"{"saved": 0, "w": {"n": 1, "last": 2}, "list": [{"n": 1, "last": 2}], "c": 1}"#);
        for (last, base) in [(1, &old), (2, &new)] {
            let text = format!(
                r#"{{"c": 1, "list": [{{"last": {last}, "n": 1}}], "saved": 1, "w": {{"last": {last}, "n": 1}}}}"#
            );
            let bases = [old.clone(), new.clone()];
            let (at, theirs) = began_with(&bases, &[of(&text), of(&text)]);
            assert_eq!(&bases[at], base);
            let mut merged = new.clone();
            merged.apply(&reconcile(&bases[at], &new, &theirs).ops).unwrap();
            assert_eq!(merged, of(r#"{"c": 1, "list": [{"last": 2, "n": 1}], "saved": 1, "w": {"last": 2, "n": 1}}"#));
        }
    }

    #[test]
    fn a_save_on_the_older_of_two_texts_does_not_stand_for_the_newer() {
        let bases = [state(&[("a", 1), ("b", 1)]), state(&[("a", 2), ("b", 1)])];
        let text = state(&[("a", 1), ("b", 9)]);
        let (at, theirs) = began_with(&bases, &[text.clone(), text.clone()]);
        let done = reconcile(&bases[at], &bases[1], &theirs);
        assert_eq!(done.ops, vec![Op::set("b", 9)]);
        let mut shown = bases[at].clone();
        shown.apply(&done.own).expect("they lead from the base to the text");
        assert_eq!(shown, text);
    }

    #[test]
    fn dropping_most_of_a_document_is_noticed() {
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f"].iter().map(|key| (*key, 1)).collect();
        assert!(drops_most(&state(&many), &state(&many[..2])));
        assert!(!drops_most(&state(&many), &state(&many[..3])));
        assert!(!drops_most(&state(&many[..2]), &state(&[])));
    }
}
