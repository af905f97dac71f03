//! Three-way merge, path by path.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::lcs::{Hunk, hunks};
use crate::limits::DEPTH_MAX;
use crate::op::{named, shown};
use crate::path::Path;
use crate::value::{Change, List, Map, Value};

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
                let followers = std::iter::successors(ours.after(key), |(key, _)| ours.after(key));
                let next = followers.map(|(key, _)| key).find(|key| merged.contains(key));
                merged.remove(key);
                match next {
                    Some(next) => merged.insert_before(key.clone(), value, next),
                    None => merged.insert(key.clone(), value),
                };
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
            let here = here.iter().filter(|value| !there.contains(value));
            for value in here.chain(there).rev() {
                merged.insert(at, value.clone());
            }
        }
        merged
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
        for Hunk { old, new } in hunks(base, list) {
            let mut values = new.filter_map(|at| list.get(at).cloned());
            let end = old.end;
            edits.elements.extend(old.map(|at| (at, values.next())));
            let rest: Vec<Value> = values.collect();
            if !rest.is_empty() {
                edits.inserted.insert(end, rest);
            }
        }
        edits
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
