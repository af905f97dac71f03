//! What each op does to a config.
//!
//! Every op looks before it touches: a walk that only reads finds what is there and refuses, a second one edits. So
//! a refused op, and one that would change nothing, copies nothing of a config that is shared.

use crate::limits::DEPTH_MAX;
use crate::op::{Op, Refusal};
use crate::path::{Path, Segment, Step};
use crate::value::{List, Map, Number, Value};

/// What one op did.
pub(super) struct Done {
    pub changed: bool,
    pub result: Option<Value>,
}

const UNCHANGED: Done = Done { changed: false, result: None };
const CHANGED: Done = Done { changed: true, result: None };

/// Does one op, or refuses it and changes nothing.
pub(super) fn apply(root: &mut Value, op: &Op) -> Result<Done, Refusal> {
    op.fits()?;
    match op {
        Op::Set { path, value } => set(root, path, value),
        Op::Remove { path } => remove(root, path).map(|_| CHANGED),
        Op::Merge { path, value } => merge(root, path, value),
        Op::Increment { path, by } => increment(root, path, by),
        Op::Push { path, value, cap, unique } => push(root, path, value, *cap, *unique),
        Op::Insert { path, value } => insert(root, path, value.clone()),
        Op::Move { from, to } => relocate(root, from, to),
        Op::Test { path, expected } => test(root, path, expected.as_ref()),
        Op::Place { path, value, before } => place(root, path, value, before.as_deref()),
        Op::Invalid(error) => Err(error.clone().into()),
    }
}

/// What a path leads to.
enum Spot<'a> {
    Taken(&'a Value),
    Free(Gap),
}

/// Where a path leads nowhere.
struct Gap {
    /// How many segments still lead to something, which is a container.
    depth: usize,
    /// The length of the array, if the next segment is an index past its end.
    past: Option<usize>,
}

/// Follows a path. Refuses where it leads through something that has nothing inside, or not of that sort.
fn find<'a>(root: &'a Value, path: &Path) -> Result<Spot<'a>, Refusal> {
    let mut value = root;
    for (depth, segment) in path.segments().iter().enumerate() {
        let wrong_kind = |needed| Refusal::WrongKind { path: prefix(path, depth), found: value.kind(), needed };
        let child = match (value, segment) {
            (Value::Object(map), Segment::Key(key)) => map.get(key).ok_or(None),
            (Value::Array(items), segment) => match segment.as_index() {
                Some(index) => items.get(index).ok_or(Some(items.len())),
                None if segment.is_end() => Err(None),
                None => return Err(wrong_kind("object")),
            },
            (_, Segment::Key(_)) => return Err(wrong_kind("object")),
            (_, Segment::Index(_)) => return Err(wrong_kind("array")),
        };
        match child {
            Ok(child) => value = child,
            Err(past) => return Ok(Spot::Free(Gap { depth, past })),
        }
    }
    Ok(Spot::Taken(value))
}

fn prefix(path: &Path, depth: usize) -> Path {
    path.segments()[..depth].iter().cloned().collect()
}

/// What is at the end of segments that `find` has followed.
pub(super) fn at<'a>(root: &'a mut Value, segments: &[Segment]) -> &'a mut Value {
    follow(root, segments.iter().map(Segment::step))
}

/// What is at the end of steps that were followed before.
fn follow<'a, 's>(root: &'a mut Value, mut steps: impl Iterator<Item = Step<'s>>) -> &'a mut Value {
    let below = |value: &'a mut Value, step: Step<'s>| match (value, step) {
        (Value::Object(map), Step::Key(key)) => map.get_mut(key),
        (Value::Array(items), step) => step.as_index().and_then(|index| items.get_mut(index)),
        _ => None,
    };
    steps.try_fold(root, below).expect("the steps were followed before")
}

/// Puts a value where there is none, and the containers around it that are missing too.
fn fill(root: &mut Value, path: &Path, gap: &Gap, value: Value) -> Result<(), Refusal> {
    if let Some(len) = gap.past {
        return Err(Refusal::OutOfBounds { path: prefix(path, gap.depth + 1), len });
    }
    let (known, new) = path.segments().split_at(gap.depth);
    let (first, inner) = new.split_first().expect("a gap is before the end of its path");
    if let Some(at) = inner.iter().position(|segment| matches!(segment, Segment::Index(_))) {
        // Of an array that is not there, no index exists.
        return Err(Refusal::Missing { path: prefix(path, gap.depth + 1 + at) });
    }
    let value = inner.iter().rfold(value, |value, segment| match segment {
        Segment::Key(key) if !segment.is_end() => Value::Object(Map::from_iter([(key.clone(), value)])),
        _ => Value::Array(List::from_iter([value])),
    });
    match (at(root, known), first) {
        (Value::Object(map), Segment::Key(key)) => drop(map.insert(key.clone(), value)),
        (Value::Array(items), _) => items.push(value),
        _ => unreachable!("`find` stops at containers only, and at objects only for a key"),
    }
    Ok(())
}

/// What keys lead to, if it is there and shared with nobody: to change it copies nothing. One walk, where `find` and
/// `at` are two.
pub(super) fn sole<'a, 'k>(
    root: &'a mut Value,
    mut keys: impl Iterator<Item = Option<&'k str>>,
) -> Option<&'a mut Value> {
    keys.try_fold(root, |value, key| match value {
        Value::Object(map) => map.sole_mut(key?),
        _ => None,
    })
}

/// A value set in the place of another.
pub(super) struct Replaced<'a> {
    pub path: &'a Path,
    /// `None`: the same was there.
    pub old: Option<Value>,
}

/// Does an op that sets a value where one is, if nothing needs to be copied for it.
pub(super) fn replace<'a>(root: &mut Value, op: &'a Op) -> Result<Option<Replaced<'a>>, Refusal> {
    let Op::Set { path, value } = op else { return Ok(None) };
    op.fits()?;
    let Some(place) = sole(root, path.segments().iter().map(Segment::as_key)) else { return Ok(None) };
    let old = (place != value).then(|| std::mem::replace(place, value.clone()));
    Ok(Some(Replaced { path, old }))
}

/// Sets a scalar where a scalar or nothing is, through objects, and tells whether that changed anything. `None`: something
/// else is there, and nothing was done.
pub(super) fn settle(root: &mut Value, keys: &[&str], scalar: Value) -> Option<bool> {
    let Some((last, parents)) = keys.split_last() else { return put(root, scalar) };
    // Where nothing is shared and the object is there, this is all.
    if let Some(Value::Object(map)) = sole(root, parents.iter().copied().map(Some)) {
        if let Some(old) = map.sole_mut(last) {
            return put(old, scalar);
        }
        if !map.contains(last) {
            map.push(*last, scalar);
            return Some(true);
        }
    }
    let mut found = &*root;
    for (depth, key) in keys.iter().enumerate() {
        let Value::Object(map) = found else { return None };
        match map.get(key) {
            Some(child) => found = child,
            None => {
                let inner = &keys[depth + 1..];
                // Of this key `fill` makes an array.
                if inner.contains(&"-") {
                    return None;
                }
                let value = inner.iter().rfold(scalar, |value, key| Value::Object(Map::from_iter([(*key, value)])));
                if let Value::Object(map) = follow(root, keys[..depth].iter().copied().map(Step::Key)) {
                    map.push(*key, value);
                }
                return Some(true);
            }
        }
    }
    match found {
        found if found.is_container() => None,
        found if *found == scalar => Some(false),
        _ => put(follow(root, keys.iter().copied().map(Step::Key)), scalar),
    }
}

fn put(place: &mut Value, scalar: Value) -> Option<bool> {
    if place.is_container() {
        return None;
    }
    let changed = *place != scalar;
    if changed {
        *place = scalar;
    }
    Some(changed)
}

fn set(root: &mut Value, path: &Path, value: &Value) -> Result<Done, Refusal> {
    match find(root, path)? {
        Spot::Taken(old) if old == value => return Ok(UNCHANGED),
        Spot::Taken(_) => *at(root, path.segments()) = value.clone(),
        Spot::Free(gap) => fill(root, path, &gap, value.clone())?,
    }
    Ok(CHANGED)
}

fn remove(root: &mut Value, path: &Path) -> Result<Value, Refusal> {
    let Some((last, parent)) = path.segments().split_last() else { return Err(Refusal::Root) };
    if root.get(path).is_none() {
        return Err(Refusal::Missing { path: path.clone() });
    }
    let removed = match (at(root, parent), last) {
        (Value::Object(map), Segment::Key(key)) => map.remove(key),
        (Value::Array(items), _) => last.as_index().map(|index| items.remove(index)),
        _ => None,
    };
    Ok(removed.expect("it was found before"))
}

fn merge(root: &mut Value, path: &Path, patch: &Value) -> Result<Done, Refusal> {
    match find(root, path)? {
        Spot::Taken(value) if !alters(value, patch) => return Ok(UNCHANGED),
        Spot::Taken(_) => patch_with(at(root, path.segments()), patch),
        Spot::Free(gap) => fill(root, path, &gap, patched(patch))?,
    }
    Ok(CHANGED)
}

/// Whether an RFC 7396 patch would change the value. Recursion here and below goes as deep as the patch, whose
/// depth is limited.
fn alters(value: &Value, patch: &Value) -> bool {
    match (value, patch) {
        (Value::Object(map), Value::Object(patch)) => patch.iter().any(|(key, patch)| match (map.get(key), patch) {
            (old, Value::Null) => old.is_some(),
            (old, patch) => old.is_none_or(|old| alters(old, patch)),
        }),
        _ => value != patch,
    }
}

fn patch_with(value: &mut Value, patch: &Value) {
    let (Value::Object(map), Value::Object(patch)) = (&mut *value, patch) else {
        *value = patched(patch);
        return;
    };
    for (key, patch) in patch.entries() {
        match (map.get_mut(key), patch) {
            (_, Value::Null) => drop(map.remove(key)),
            (Some(value), patch) => patch_with(value, patch),
            (None, patch) => drop(map.insert(key.clone(), patched(patch))),
        }
    }
}

/// What a patch makes of nothing: itself, without the nulls that say what to remove.
fn patched(patch: &Value) -> Value {
    match patch {
        Value::Object(patch) => {
            let kept = patch.entries().filter(|(_, value)| !value.is_null());
            kept.map(|(key, value)| (key.clone(), patched(value))).collect()
        }
        patch => patch.clone(),
    }
}

fn increment(root: &mut Value, path: &Path, by: &Number) -> Result<Done, Refusal> {
    let sum = |number: &Number| {
        let sum = number.checked_add(by).ok_or_else(|| Refusal::Overflow { path: path.clone(), by: by.clone() });
        sum.map(Value::Number)
    };
    let (changed, new) = match find(root, path)? {
        Spot::Taken(old @ Value::Number(number)) => {
            let new = sum(number)?;
            let changed = *old != new;
            if changed {
                *at(root, path.segments()) = new.clone();
            }
            (changed, new)
        }
        Spot::Taken(other) => {
            return Err(Refusal::WrongKind { path: path.clone(), found: other.kind(), needed: "number" });
        }
        Spot::Free(gap) => {
            let new = sum(&Number::from(0))?;
            fill(root, path, &gap, new.clone())?;
            (true, new)
        }
    };
    Ok(Done { changed, result: Some(new) })
}

fn push(root: &mut Value, path: &Path, value: &Value, cap: Option<u64>, unique: bool) -> Result<Done, Refusal> {
    // An array longer than can be counted is not in this memory.
    let cap = cap.map_or(usize::MAX, |cap| usize::try_from(cap).unwrap_or(usize::MAX));
    match find(root, path)? {
        Spot::Taken(Value::Array(items)) => {
            if unique && items.iter().any(|item| item == value) {
                return Ok(UNCHANGED);
            }
        }
        Spot::Taken(other) => {
            return Err(Refusal::WrongKind { path: path.clone(), found: other.kind(), needed: "array" });
        }
        Spot::Free(gap) => {
            let items = std::iter::repeat_n(value.clone(), cap.min(1)).collect();
            fill(root, path, &gap, Value::Array(items))?;
            return Ok(CHANGED);
        }
    }
    if let Value::Array(items) = at(root, path.segments()) {
        items.push(value.clone());
        let surplus = items.len().saturating_sub(cap);
        if surplus > cap {
            *items = items.iter().skip(surplus).cloned().collect();
        } else {
            (0..surplus).for_each(|_| drop(items.remove(0)));
        }
    }
    Ok(CHANGED)
}

fn insert(root: &mut Value, path: &Path, value: Value) -> Result<Done, Refusal> {
    match find(root, path)? {
        Spot::Taken(_) => {
            let exists = || Refusal::Exists { path: path.clone() };
            let (last, parent) = path.segments().split_last().ok_or_else(exists)?;
            // Looked at before it is taken for editing, which copies what is shared.
            match (find(root, &prefix(path, parent.len()))?, last.as_index()) {
                (Spot::Taken(Value::Array(_)), Some(index)) => match at(root, parent) {
                    Value::Array(items) => items.insert(index, value),
                    _ => unreachable!("it was an array a moment ago"),
                },
                _ => return Err(exists()),
            }
        }
        // Right behind the last element is a place too.
        Spot::Free(Gap { depth, past: Some(len) })
            if depth + 1 == path.len() && path.last().and_then(Segment::as_index) == Some(len) =>
        {
            fill(root, path, &Gap { depth, past: None }, value)?;
        }
        Spot::Free(gap) => fill(root, path, &gap, value)?,
    }
    Ok(CHANGED)
}

fn relocate(root: &mut Value, from: &Path, to: &Path) -> Result<Done, Refusal> {
    let Some((last, parent)) = from.segments().split_last() else { return Err(Refusal::Root) };
    let Some(value) = root.get(from) else { return Err(Refusal::Missing { path: from.clone() }) };
    if from == to {
        return Ok(UNCHANGED);
    }
    if leads_through(to, from) {
        return Err(Refusal::IntoItself { from: from.clone(), to: to.clone() });
    }
    // What fitted where it was fits where it is no deeper; else it has to be looked through.
    if to.len() > from.len() && !value.depth_within(DEPTH_MAX - to.len()) {
        return Err(Refusal::TooDeep { path: to.clone() });
    }
    if let (Segment::Key(old), [to_parent @ .., Segment::Key(new)]) = (last, to.segments())
        && parent == to_parent
        && let Spot::Taken(Value::Object(_)) = find(root, &prefix(from, parent.len()))?
    {
        if root.get(to).is_some() {
            return Err(Refusal::Exists { path: to.clone() });
        }
        if let Value::Object(map) = at(root, parent)
            && let Some(value) = map.get(old).cloned()
        {
            map.insert_before(new.clone(), value, old);
            map.remove(old);
        }
        return Ok(CHANGED);
    }
    // Whether `to` fits shows only once `from` has gone: an index after it means another element then.
    let before = root.clone();
    let done = remove(root, from).and_then(|value| insert(root, to, value));
    if done.is_err() {
        *root = before;
    }
    done
}

/// Whether a path begins with another, where `list.0` and `list[0]` are one.
fn leads_through(path: &Path, start: &Path) -> bool {
    let one = |a: &Segment, b: &Segment| a == b || (a.as_index().is_some() && a.as_index() == b.as_index());
    path.len() > start.len() && path.segments().iter().zip(start.segments()).all(|(a, b)| one(a, b))
}

fn test(root: &Value, path: &Path, expected: Option<&Value>) -> Result<Done, Refusal> {
    let found = root.get(path);
    let met = match (found, expected) {
        (Some(found), Some(expected)) => found.alike(expected),
        (found, expected) => found.is_none() && expected.is_none(),
    };
    if met {
        return Ok(UNCHANGED);
    }
    Err(Refusal::Precondition { path: path.clone(), expected: expected.cloned(), found: found.cloned() })
}

fn place(root: &mut Value, path: &Path, value: &Value, before: Option<&str>) -> Result<Done, Refusal> {
    let Some((last, parent)) = path.segments().split_last() else { return Err(Refusal::Root) };
    let within = prefix(path, parent.len());
    let missing = |key: &str| Err(Refusal::Missing { path: within.join(key) });
    let (map, key) = match (find(root, &within)?, last) {
        (Spot::Taken(Value::Object(map)), Segment::Key(key)) => (map, key),
        (Spot::Taken(other), _) => {
            let needed = if other.as_object().is_some() { "array" } else { "object" };
            return Err(Refusal::WrongKind { path: within, found: other.kind(), needed });
        }
        (Spot::Free(_), _) => match before {
            Some(before) => return missing(before),
            None => return set(root, path, value),
        },
    };
    match before {
        Some(before) if before == &**key => return set(root, path, value),
        Some(before) if !map.contains(before) => return missing(before),
        _ => {}
    }
    if map.get(key) == Some(value) && map.after(key).map(|(next, _)| next) == before {
        return Ok(UNCHANGED);
    }
    if let Value::Object(map) = at(root, parent) {
        match before {
            Some(before) => drop(map.insert_before(key.clone(), value.clone(), before)),
            None => {
                map.remove(key);
                map.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(CHANGED)
}
