//! Three-way merge, path by path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::lcs::{Hunk, hunks};
use crate::limits::DEPTH_MAX;
use crate::op::{named, shown};
use crate::path::Path;
use crate::value::{Change, List, Map, Value};

/// How many pairs of elements are looked at to find out which became which.
const PAIRS_MAX: usize = 1 << 12;

/// A path that both sides changed, each in its own way. The merged state has `theirs`.
#[derive(Clone, PartialEq)]
pub struct Conflict {
    /// Where. An index of an array counts as in the base.
    pub path: Path,
    /// What was there.
    pub base: Option<Value>,
    /// What one side made of it; `None` if it removed it.
    pub ours: Option<Value>,
    /// What the other side made of it, and what is there now.
    pub theirs: Option<Value>,
}

/// Values under keys that look secret are masked.
impl fmt::Debug for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side =
            |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), |value| shown(&self.path, value));
        let (base, ours, theirs) = (side(&self.base), side(&self.ours), side(&self.theirs));
        write!(f, "Conflict({}: {base} became {ours} here, {theirs} there)", named(&self.path))
    }
}

pub(super) fn merge(base: &Value, ours: &Value, theirs: &Value) -> (Value, Vec<Conflict>) {
    let mut merge = Merge { path: Path::root(), conflicts: Vec::new() };
    let root =
        merge.values(Some(base), Some(ours), Some(theirs)).expect("of values that are there, none removes the root");
    (root, merge.conflicts)
}

struct Merge {
    /// Where the comparison is.
    path: Path,
    conflicts: Vec<Conflict>,
}

impl Merge {
    fn values(&mut self, base: Option<&Value>, ours: Option<&Value>, theirs: Option<&Value>) -> Option<Value> {
        if ours == theirs || base == ours {
            return theirs.cloned();
        }
        if base == theirs {
            return ours.cloned();
        }
        match (base, ours, theirs) {
            // Recursion ends where the limit on depth does.
            _ if self.path.len() >= DEPTH_MAX => {}
            (Some(Value::Object(base)), Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
                return Some(Value::Object(self.maps(base, ours, theirs)));
            }
            // Both made an object of what was none: that adds keys.
            (_, Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
                return Some(Value::Object(self.maps(&Map::new(), ours, theirs)));
            }
            (Some(Value::Array(base)), Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
                return Some(Value::Array(self.lists(base, ours, theirs)));
            }
            _ => {}
        }
        // Who brought keys into another order changed no value: that undoes nothing of the other side.
        let alike = |a: Option<&Value>, b: Option<&Value>| a.zip(b).is_some_and(|(a, b)| a.alike(b));
        if alike(base, theirs) {
            return ours.cloned();
        }
        if alike(base, ours) || alike(ours, theirs) {
            return theirs.cloned();
        }
        self.conflicts.push(Conflict {
            path: self.path.clone(),
            base: base.cloned(),
            ours: ours.cloned(),
            theirs: theirs.cloned(),
        });
        theirs.cloned()
    }

    /// Brings the changes of `ours` to `theirs`. If both changed the order of the keys, it is that of `theirs`.
    fn maps(&mut self, base: &Map, ours: &Map, theirs: &Map) -> Map {
        let mut merged = theirs.clone();
        let changes = base.changes(ours, Value::same);
        // The order is taken from one side as a whole: more than one set of moves leads from an order to another, so
        // that the moves of two sides cannot be compared.
        let is_reordered = |changes: &[Change<'_, Value>]| changes.iter().any(|change| change.moved);
        let order_is_ours = is_reordered(&changes) && !is_reordered(&base.changes(theirs, Value::same));
        // From the last to the first, so that what a key comes before is at its place already.
        for change in changes.iter().rev() {
            let (key, there) = (change.key, theirs.get(change.key));
            self.path.push(key.clone());
            let value = self.values(change.old, change.new, there);
            self.path.pop();
            let Some(value) = value else {
                merged.remove(key);
                continue;
            };
            let place_is_ours = match change.old {
                None => there.is_none(),
                Some(_) => change.moved && order_is_ours,
            };
            if place_is_ours {
                place_as_in(ours, &mut merged, key, value);
            } else if there != Some(&value) {
                merged.insert(key.clone(), value);
            }
        }
        merged
    }

    /// An element of `base` is a path of its own, and so is each gap beside one: what both sides insert there, both
    /// get, ours first.
    fn lists(&mut self, base: &List, ours: &List, theirs: &List) -> List {
        let (ours, theirs) = (Edits::new(base, ours), Edits::new(base, theirs));
        let mut merged = base.clone();
        let places: BTreeSet<usize> = [&ours, &theirs].iter().flat_map(|edits| edits.places()).collect();
        // From the last to the first, so that the indexes still to come are those of `base`.
        for at in places.into_iter().rev() {
            if let Some(element) = base.get(at) {
                self.path.push(at);
                let value = self.values(Some(element), ours.element(at, element), theirs.element(at, element));
                self.path.pop();
                match value {
                    Some(value) => drop(merged.set(at, value)),
                    None => drop(merged.remove(at)),
                }
            }
            let (here, there) = (ours.inserted_at(at), theirs.inserted_at(at));
            // What both inserted comes once, as often as both did.
            let mut both: Vec<&Value> = there.iter().collect();
            let is_own = |value: &&Value| match both.iter().position(|there| there.alike(value)) {
                Some(at) => {
                    both.swap_remove(at);
                    false
                }
                None => true,
            };
            let here: Vec<&Value> = here.iter().filter(is_own).collect();
            for value in here.into_iter().chain(there).rev() {
                merged.insert(at, value.clone());
            }
        }
        merged
    }
}

/// Puts a key before the first of those that come behind it in `order` and are there; last if none is.
pub(super) fn place_as_in(order: &Map, map: &mut Map, key: &Arc<str>, value: Value) {
    let followers = std::iter::successors(order.after(key), |(key, _)| order.after(key));
    let next = followers.map(|(key, _)| key).find(|key| map.contains(key));
    map.remove(key);
    match next {
        Some(next) => map.insert_before(key.clone(), value, next),
        None => map.insert(key.clone(), value),
    };
}

/// Which elements of a list became which other ones: as many as there can be, in their order, and of several ways the one
/// in which they resemble most what they were. Else what was changed in an element that the other side removed would be
/// found in the one beside it.
fn partners(base: &List, old: &Range<usize>, list: &List, new: &Range<usize>) -> Vec<(usize, usize)> {
    let (pairs, surplus) = (old.len().min(new.len()), old.len().abs_diff(new.len()));
    if surplus == 0 || pairs.saturating_mul(surplus) > PAIRS_MAX {
        return old.clone().zip(new.clone()).collect();
    }
    let at = |pair: usize, skipped: usize| match old.len() < new.len() {
        true => (old.start + pair, new.start + pair + skipped),
        false => (old.start + pair + skipped, new.start + pair),
    };
    let alike = |pair, skipped| {
        let (from, to) = at(pair, skipped);
        resemblance(base.get(from), list.get(to))
    };
    // How much the pairs from one on can resemble each other once so many of the surplus are skipped.
    let mut best = vec![vec![0; surplus + 1]; pairs + 1];
    for pair in (0..pairs).rev() {
        for skipped in (0..=surplus).rev() {
            let taken = alike(pair, skipped) + best[pair + 1][skipped];
            best[pair][skipped] = taken.max(best[pair].get(skipped + 1).copied().unwrap_or(0));
        }
    }
    let mut skipped = 0;
    let pair = |pair: usize| {
        while alike(pair, skipped) + best[pair + 1][skipped] < best[pair][skipped] {
            skipped += 1;
        }
        at(pair, skipped)
    };
    (0..pairs).map(pair).collect()
}

/// How many keys have the same value in both.
fn resemblance(a: Option<&Value>, b: Option<&Value>) -> usize {
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.iter().filter(|(key, a)| b.get(key).is_some_and(|b| b.alike(a))).count()
        }
        _ => 0,
    }
}

/// What one side did to a list.
#[derive(Default)]
struct Edits {
    /// The elements that changed, or went.
    elements: BTreeMap<usize, Option<Value>>,
    /// What was inserted, by the place it comes before.
    inserted: BTreeMap<usize, Vec<Value>>,
}

impl Edits {
    fn new(base: &List, list: &List) -> Edits {
        let mut edits = Edits::default();
        let (mut at, mut to) = (0, 0);
        // A save that brings keys into another order leaves every element what it was.
        for Hunk { old, new } in hunks(base, list, Value::alike) {
            edits.reordered(base, at..old.start, list, to);
            (at, to) = (old.end, new.end);
            let (mut from, mut fresh) = (old.start, new.start);
            for (old_at, new_at) in partners(base, &old, list, &new).into_iter().chain([(old.end, new.end)]) {
                edits.elements.extend((from..old_at).map(|gone| (gone, None)));
                let inserted: Vec<Value> = (fresh..new_at).filter_map(|at| list.get(at).cloned()).collect();
                if !inserted.is_empty() {
                    edits.inserted.insert(old_at, inserted);
                }
                if old_at < old.end {
                    edits.elements.insert(old_at, list.get(new_at).cloned());
                }
                (from, fresh) = (old_at + 1, new_at + 1);
            }
        }
        edits.reordered(base, at..base.len(), list, to);
        edits
    }

    /// Of a run of elements that are alike, those whose keys are in another order.
    fn reordered(&mut self, base: &List, run: Range<usize>, list: &List, to: usize) {
        let mut past = 0;
        loop {
            past += base.common(run.start + past, list, to + past, PartialEq::eq);
            if past >= run.len() {
                return;
            }
            self.elements.insert(run.start + past, list.get(to + past).cloned());
            past += 1;
        }
    }

    fn places(&self) -> impl Iterator<Item = usize> {
        self.elements.keys().chain(self.inserted.keys()).copied()
    }

    fn element<'a>(&'a self, at: usize, unchanged: &'a Value) -> Option<&'a Value> {
        self.elements.get(&at).map_or(Some(unchanged), Option::as_ref)
    }

    fn inserted_at(&self, at: usize) -> &[Value] {
        self.inserted.get(&at).map_or(&[], Vec::as_slice)
    }
}
