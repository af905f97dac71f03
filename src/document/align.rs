//! Which of the old items are which of the new ones, and which of them can stay where they are.

#[cfg(any(feature = "json", feature = "toml"))]
use std::{borrow::Cow, collections::HashSet};
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

#[cfg(any(feature = "json", feature = "toml"))]
use crate::value::Map;
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
use crate::value::Value;

/// The entries of `map`, those of the old keys in the order of these, and each new one behind the one that it is behind
/// in `map`.
#[cfg(any(feature = "json", feature = "toml"))]
pub(super) fn in_order_of<'m, 'o>(old: impl Iterator<Item = Cow<'o, str>>, map: &'m Map) -> Vec<(&'m str, &'m Value)> {
    let old: Vec<Cow<'_, str>> = old.collect();
    if old.iter().map(|key| &**key).eq(map.keys().take(old.len())) {
        return map.iter().collect();
    }
    let known: HashSet<&str> = old.iter().map(|key| &**key).collect();
    // Each old key with the new ones behind it; first those that have none before them.
    let mut out = Vec::with_capacity(map.len());
    let mut groups: HashMap<&str, Vec<(&str, &Value)>> = HashMap::new();
    let mut last = None;
    for (key, value) in map {
        if known.contains(key) {
            last = Some(key);
        }
        match last {
            Some(last) => groups.entry(last).or_default().push((key, value)),
            None => out.push((key, value)),
        }
    }
    out.extend(old.iter().filter_map(|key| groups.remove(&**key)).flatten());
    out
}

/// What becomes of an array's elements, in the order of the target.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
pub(super) enum Slot {
    /// The old element of this number stays where it is, and is to become the new one of that.
    Kept(usize, usize),
    /// The old element of this number comes here from another place, and is to become the new one of that.
    Moved(usize, usize),
    /// The new element of this number goes here.
    New(usize),
}

/// Elements have no names, so which one is which is a guess: those alike at both ends are the same
/// ones, and so are those that occur once before and once after, and those that have something in common
/// with nothing else; what lies between is taken one by one.
///
/// `same` compares an old element with a new one; `text` is the same for values that are.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
pub(super) fn align(
    old: usize,
    wanted: &[&Value],
    same: impl Fn(usize, &Value) -> bool,
    old_value: impl Fn(usize) -> Value,
    text: impl Fn(&Value) -> String,
) -> Vec<Slot> {
    let new = wanted.len();
    let both = old.min(new);
    let first = (0..both).take_while(|&at| same(at, wanted[at])).count();
    let last = (1..=both - first).take_while(|&back| same(old - back, wanted[new - back])).count();

    let mut slots: Vec<Slot> = (0..first).map(|at| Slot::Kept(at, at)).collect();
    let (old_count, new_count) = (old - last - first, new - last - first);
    // With nothing on one side there is nothing to align, and with one on each there is no choice.
    if old_count == 0 || new_count == 0 || old_count.max(new_count) == 1 {
        let paired = old_count.min(new_count);
        slots.extend((first..first + paired).map(|at| Slot::Kept(at, at)));
        slots.extend((first + paired..new - last).map(Slot::New));
    } else {
        let old_values: Vec<Value> = (first..old - last).map(old_value).collect();
        let between = align_between(&old_values, &wanted[first..new - last], text);
        slots.extend(between.into_iter().map(|slot| match slot {
            Slot::Kept(old, new) => Slot::Kept(first + old, first + new),
            Slot::Moved(old, new) => Slot::Moved(first + old, first + new),
            Slot::New(new) => Slot::New(first + new),
        }));
    }
    slots.extend((1..=last).rev().map(|back| Slot::Kept(old - back, new - back)));
    slots
}

#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
fn align_between(old: &[Value], new: &[&Value], text: impl Fn(&Value) -> String) -> Vec<Slot> {
    let old_texts: Vec<String> = old.iter().map(&text).collect();
    let new_texts: Vec<String> = new.iter().map(|value| text(value)).collect();
    let mut found = equals(&old_texts, &new_texts);
    add_similar(old, new, &mut found, |shared, of| 2 * shared >= of);
    let stays = longest_rise(&found);
    let mut free = not_found(old.len(), &found);

    let mut slots = Vec::with_capacity(new.len());
    let (mut old_at, mut new_at) = (0, 0);
    for at in 0..=new.len() {
        let end = (at == new.len()).then_some(old.len());
        let Some(stay) = end.or_else(|| found[at].filter(|_| stays[at])) else { continue };
        let mut left = old_at..stay;
        for (new, &moved) in (new_at..at).zip(&found[new_at..at]) {
            slots.push(match moved {
                Some(moved) => Slot::Moved(moved, new),
                None => left.find(|&old| free[old]).map_or(Slot::New(new), |old| {
                    free[old] = false;
                    Slot::Kept(old, new)
                }),
            });
        }
        if at < new.len() {
            slots.push(Slot::Kept(stay, at));
        }
        (old_at, new_at) = (stay + 1, at + 1);
    }
    // What is gone from one place and new at another was moved.
    let mut gone: HashMap<&str, Vec<usize>> = HashMap::new();
    (0..old.len()).rev().filter(|&at| free[at]).for_each(|at| gone.entry(&old_texts[at]).or_default().push(at));
    if !gone.is_empty() {
        for slot in &mut slots {
            if let Slot::New(new) = *slot
                && let Some(old) = gone.get_mut(new_texts[new].as_str()).and_then(Vec::pop)
            {
                *slot = Slot::Moved(old, new);
            }
        }
    }
    slots
}

/// Which of the old things that lost their names are which of the new ones, by their numbers: the same, or the same for the
/// greater part. Only what has something in it is looked at; a scalar is like many others.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
pub(super) fn renamed<'v>(
    old: impl Iterator<Item = (usize, Value)>,
    new: impl Iterator<Item = (usize, &'v Value)>,
    text: impl Fn(&Value) -> String,
) -> Vec<(usize, usize)> {
    let (new_at, new): (Vec<usize>, Vec<&Value>) = new.filter(|(_, value)| is_filled(value)).unzip();
    if new.is_empty() {
        return Vec::new();
    }
    let (old_at, old): (Vec<usize>, Vec<Value>) = old.filter(|(_, value)| is_filled(value)).unzip();
    let old_texts: Vec<String> = old.iter().map(&text).collect();
    let new_texts: Vec<String> = new.iter().map(|value| text(value)).collect();
    let mut found = equals(&old_texts, &new_texts);
    add_similar(&old, &new, &mut found, |shared, of| 2 * shared > of);
    found.iter().zip(new_at).filter_map(|(old, new)| Some((old_at[(*old)?], new))).collect()
}

/// Whether this is a collection with something in it.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
pub(super) fn is_filled(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    }
}

/// Of so many old ones, which are none of those that were `found`.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
pub(super) fn not_found(old: usize, found: &[Option<usize>]) -> Vec<bool> {
    let mut free = vec![true; old];
    found.iter().flatten().for_each(|&at| free[at] = false);
    free
}

/// Finds those among the rest that have marks in common which no others have: enough of those of the old one, and more than
/// with what stands at the same place.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
fn add_similar(old: &[Value], new: &[&Value], found: &mut [Option<usize>], is_enough: impl Fn(usize, usize) -> bool) {
    let free = not_found(old.len(), found);
    let marks_if = |is_free: bool, value: &Value| if is_free { marks(value) } else { Vec::new() };
    let old_marks: Vec<Vec<u64>> = old.iter().zip(&free).map(|(value, free)| marks_if(*free, value)).collect();
    let new_marks: Vec<Vec<u64>> = new.iter().zip(&*found).map(|(value, at)| marks_if(at.is_none(), value)).collect();
    let owners = owners(&old_marks, &new_marks);

    // Which new one has the most in common with each old one, and how much.
    let mut claims: Vec<Option<(usize, usize)>> = vec![None; old.len()];
    for (at, marks) in new_marks.iter().enumerate() {
        let mut votes: HashMap<usize, usize> = HashMap::new();
        marks.iter().filter_map(|mark| owners.get(mark)).for_each(|&owner| *votes.entry(owner).or_default() += 1);
        let Some(&most) = votes.values().max() else { continue };
        let best = votes.into_iter().filter(|(_, count)| *count == most).map(|(owner, _)| owner).min();
        let here = old_marks.get(at).map_or(0, |here| in_common(here, marks));
        let shared = best.map_or(0, |best| in_common(&old_marks[best], marks));
        let (chosen, shared) = if here >= shared { (Some(at), here) } else { (best, shared) };
        let Some(chosen) = chosen else { continue };
        if is_enough(shared, old_marks[chosen].len()) && claims[chosen].is_none_or(|(_, others)| shared > others) {
            claims[chosen] = Some((at, shared));
        }
    }
    for (old, claim) in claims.into_iter().enumerate() {
        if let Some((new, _)) = claim {
            found[new] = Some(old);
        }
    }
}

/// By what an element could be known again after a change, in order: the entries of an object, the elements of an array, the
/// words of a string. Hashed, since to take one for another costs no more than a wrong guess.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
fn marks(value: &Value) -> Vec<u64> {
    fn mark(of: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        of.hash(&mut hasher);
        hasher.finish()
    }
    let mut marks: Vec<u64> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| mark(('{', key, value.to_string()))).collect(),
        Value::Array(list) => list.iter().map(|value| mark(('[', value.to_string()))).collect(),
        Value::String(text) => {
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            words.map(|word| mark(('"', word))).collect()
        }
        _ => Vec::new(),
    };
    marks.sort_unstable();
    marks.dedup();
    marks
}

/// The old elements with marks that one old and one new element have.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
fn owners(old: &[Vec<u64>], new: &[Vec<u64>]) -> HashMap<u64, usize> {
    let mut new_counts: HashMap<u64, usize> = HashMap::new();
    new.iter().flatten().for_each(|&mark| *new_counts.entry(mark).or_default() += 1);
    let mut owners: HashMap<u64, Option<usize>> = HashMap::new();
    for (at, marks) in old.iter().enumerate() {
        for mark in marks.iter().filter(|mark| new_counts.get(mark) == Some(&1)) {
            owners.entry(*mark).and_modify(|owner| *owner = None).or_insert(Some(at));
        }
    }
    owners.into_iter().filter_map(|(mark, owner)| Some((mark, owner?))).collect()
}

/// How many of the new marks are among the old ones. Costs what the new ones do: many may be compared with the same old ones.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
fn in_common(old: &[u64], new: &[u64]) -> usize {
    new.iter().filter(|mark| old.binary_search(mark).is_ok()).count()
}

/// For each of the new texts the place of the equal old one, where each side has it once.
#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
fn equals(old: &[String], new: &[String]) -> Vec<Option<usize>> {
    #[derive(Default)]
    struct Seen {
        old: usize,
        new: usize,
        /// The last place among the old ones.
        at: usize,
    }
    let mut seen: HashMap<&str, Seen> = HashMap::new();
    for (at, text) in old.iter().enumerate() {
        let seen = seen.entry(text).or_default();
        (seen.old, seen.at) = (seen.old + 1, at);
    }
    for text in new {
        seen.entry(text).or_default().new += 1;
    }
    let once = |text: &String| match seen[text.as_str()] {
        Seen { old: 1, new: 1, at } => Some(at),
        _ => None,
    };
    new.iter().map(once).collect()
}

/// Which of the numbers belong to the longest rising subsequence: items that can stay where they are
/// while the others move around them.
pub(super) fn longest_rise(numbers: &[Option<usize>]) -> Vec<bool> {
    // `ends[n]` is the index of the smallest number that a rise of length n + 1 can end with.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; numbers.len()];
    for (index, number) in numbers.iter().enumerate() {
        if number.is_none() {
            continue;
        }
        let length = ends.partition_point(|&end| numbers[end] < *number);
        before[index] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(index);
        } else {
            ends[length] = index;
        }
    }
    let mut rises = vec![false; numbers.len()];
    let mut next = ends.last().copied();
    while let Some(index) = next {
        rises[index] = true;
        next = before[index];
    }
    rises
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
    #[test]
    fn what_was_changed_is_known_again_by_what_it_has_for_itself() {
        let aligned = |old: &[&str], new: &[&str]| -> String {
            let value = |text: &&str| -> Value {
                text.split(' ').map(|entry| (&entry[..1], entry[1..].parse::<u8>().unwrap_or(0))).collect()
            };
            let (old, new): (Vec<Value>, Vec<Value>) =
                (old.iter().map(value).collect(), new.iter().map(value).collect());
            let wanted: Vec<&Value> = new.iter().collect();
            let same = |at: usize, value: &Value| old[at] == *value;
            let slots = align(old.len(), &wanted, same, |at| old[at].clone(), Value::to_string);
            let shown = slots.iter().map(|slot| match slot {
                Slot::Kept(old, _) => format!("{old}"),
                Slot::Moved(old, _) => format!("<{old}"),
                Slot::New(_) => "+".to_owned(),
            });
            shown.collect::<Vec<_>>().join(" ")
        };
        // Something new before two that were changed; one that was removed before them.
        assert_eq!(aligned(&["n1 p1", "n2 p1"], &["n9 p1", "n1 p2", "n2 p2"]), "+ 0 1");
        assert_eq!(aligned(&["n9 p1", "n1 p1", "n2 p1"], &["n1 p2", "n2 p3"]), "1 2");
        // Moved and changed, moved as it was, exchanged.
        assert_eq!(aligned(&["n1 p1", "n2 p1", "n3 p1"], &["n3 p4", "n1 p1", "n2 p1"]), "<2 0 1");
        assert_eq!(aligned(&["n1 p1", "n2 p1", "n3 p1"], &["n3 p1", "n1 p3", "n2 p4"]), "<2 0 1");
        // Changed where they are, also where one has got what another had.
        assert_eq!(aligned(&["n1 p1", "n2 p2"], &["n1 p2", "n2 p1"]), "0 1");
        assert_eq!(aligned(&["a1 b1", "a2 b2"], &["a5 b5", "a6 b6", "a7 b7"]), "0 1 +");
    }

    #[test]
    fn the_longest_rise_stays() {
        let stays = |numbers: &[i64]| -> Vec<i64> {
            // Negative: nothing there before.
            let found: Vec<Option<usize>> = numbers.iter().map(|&number| usize::try_from(number).ok()).collect();
            numbers.iter().zip(longest_rise(&found)).filter(|(_, stays)| *stays).map(|(number, _)| *number).collect()
        };
        assert!(stays(&[]).is_empty());
        assert_eq!(stays(&[-1, 0, -1, 1, 2]), [0, 1, 2]);
        assert_eq!(stays(&[4, 0, 1, 2, 3]), [0, 1, 2, 3]);
        assert_eq!(stays(&[1, 2, 3, 4, 0]), [1, 2, 3, 4]);
        assert_eq!(stays(&[2, 0, 3, 1, 4]).len(), 3);
        assert_eq!(stays(&[3, 2, 1, 0]).len(), 1);
    }
}
