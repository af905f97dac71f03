//! What changed in a type's view of a config, brought to the config itself.
//!
//! A type need not show a config as it is: it leaves out what it does not know, fills in what is not there, and has the
//! keys of a map and the elements of a set in an order of its own. So the ops that lead from one view to another fit
//! neither the indexes nor the order of the config, and would put the view of a value in the place of the value.

use std::collections::{HashMap, HashSet};

use super::lcs::{Hunk, hunks};
use super::merge::place_as_in;
use crate::value::{Change, List, Map, Value};

/// Beyond this, elements that are not where the view has them are not looked for one by one.
const LOOKS_MAX: usize = 1 << 22;

/// `whole` with what is different in `after` than in `before`, which shows `whole`. The depth of `after`, which is limited,
/// bounds the recursion here and below.
pub(super) fn carry(whole: &Value, before: &Value, after: &Value) -> Value {
    match (whole, before, after) {
        _ if before == after => whole.clone(),
        (Value::Object(whole), Value::Object(before), Value::Object(after)) => {
            Value::Object(carry_map(whole, before, after))
        }
        (Value::Array(whole), Value::Array(before), Value::Array(after)) => {
            Value::Array(carry_list(whole, before, after))
        }
        _ => after.clone(),
    }
}

fn carry_map(whole: &Map, before: &Map, after: &Map) -> Map {
    let mut carried = whole.clone();
    // A hash map has the keys in any order. Of a type's order something can be said where it sorts them, as the document does.
    let sorts = after.keys().is_sorted() && whole.keys().is_sorted();
    for Change { key, old, new, .. } in before.changes(after, PartialEq::eq) {
        let Some(new) = new else {
            carried.remove(key);
            continue;
        };
        let value = match (old, whole.get(key)) {
            (Some(old), Some(whole)) => carry(whole, old, new),
            // Filled in by the type, and still what it was.
            (Some(old), None) if old == new => continue,
            _ => new.clone(),
        };
        match sorts && !whole.contains(key) {
            true => place_as_in(after, &mut carried, key, value),
            false => drop(carried.insert(key.clone(), value)),
        }
    }
    carried
}

fn carry_list(whole: &List, before: &List, after: &List) -> List {
    if whole.len() == before.len() && whole.iter().zip(before).all(|(whole, view)| shows(whole, view)) {
        return by_place(whole, before, after);
    }
    if before.len().saturating_mul(whole.len().max(after.len())) > LOOKS_MAX {
        return after.clone();
    }
    let mut left: Vec<&Value> = whole.iter().collect();
    let mut is_there = |view: &Value| {
        let found = left.iter().position(|whole| shows(whole, view));
        found.map(|at| left.swap_remove(at)).is_some()
    };
    match before.len() == whole.len() && !before.iter().all(&mut is_there) {
        // The type spells the elements in its own way.
        true => by_place(whole, before, after),
        false => by_value(whole, before, after),
    }
}

/// Each element is shown at its place.
fn by_place(whole: &List, before: &List, after: &List) -> List {
    let hunks = hunks(before, after, PartialEq::eq);
    // What went may only have been moved.
    let mut gone: HashMap<String, Vec<usize>> = HashMap::new();
    for at in hunks.iter().flat_map(|hunk| hunk.old.clone()) {
        gone.entry(before.get(at).map(Value::to_string).unwrap_or_default()).or_default().push(at);
    }
    let mut moved: HashMap<usize, usize> = HashMap::new();
    for to in hunks.iter().flat_map(|hunk| hunk.new.clone()) {
        let same = after.get(to).and_then(|value| gone.get_mut(&value.to_string()));
        moved.extend(same.and_then(Vec::pop).map(|from| (to, from)));
    }
    let taken: HashSet<usize> = moved.values().copied().collect();
    let value = |to: usize, at: Option<usize>| match (moved.get(&to), at.filter(|at| !taken.contains(at))) {
        (Some(from), _) => whole.get(*from).cloned(),
        (None, Some(at)) => Some(carry(whole.get(at)?, before.get(at)?, after.get(to)?)),
        (None, None) => after.get(to).cloned(),
    };
    let mut carried = whole.clone();
    // From the last to the first, so that the indexes still to come are those of `whole`.
    for Hunk { old, new } in hunks.into_iter().rev() {
        let paired = old.len().min(new.len());
        for (at, to) in old.clone().zip(new.clone()) {
            drop(value(to, Some(at)).map(|value| carried.set(at, value)));
        }
        (old.start + paired..old.end).rev().for_each(|at| drop(carried.remove(at)));
        let added = (new.start + paired..new.end).rev().filter_map(|to| value(to, None));
        added.for_each(|value| carried.insert(old.start + paired, value));
    }
    carried
}

/// The elements are those of a set: what stays keeps its place, and what the type does not know is left alone.
fn by_value(whole: &List, before: &List, after: &List) -> List {
    let mut added: Vec<&Value> = after.iter().collect();
    let mut stays = |whole: &&Value| {
        let Some(shown) = before.iter().find(|view| shows(whole, view)) else { return true };
        added.iter().position(|value| *value == shown).map(|at| added.remove(at)).is_some()
    };
    let mut carried: Vec<Value> = whole.iter().filter(&mut stays).cloned().collect();
    carried.extend(added.into_iter().cloned());
    carried.into_iter().collect()
}

/// Whether `view` may be what a type shows of `whole`.
fn shows(whole: &Value, view: &Value) -> bool {
    match (whole, view) {
        (Value::Object(whole), Value::Object(view)) => {
            view.iter().all(|(key, view)| whole.get(key).is_none_or(|whole| shows(whole, view)))
        }
        (Value::Array(whole), Value::Array(view)) => {
            whole.len() == view.len() && whole.iter().zip(view).all(|(whole, view)| shows(whole, view))
        }
        (Value::Number(_), Value::Number(_)) => whole == view || whole.as_f64() == view.as_f64(),
        _ => whole == view,
    }
}
