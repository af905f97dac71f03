//! Which of the old items are which of the new ones, and which of them can stay where they are.

#[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
use std::collections::HashMap;
#[cfg(any(feature = "json", feature = "toml"))]
use std::{borrow::Cow, collections::HashSet};

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
/// ones, and so are those that occur once before and once after; what lies between is taken one by one.
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
    let found = equals(&old_texts, &new_texts);
    let stays = longest_rise(&found);
    let mut free = vec![true; old.len()];
    found.iter().flatten().for_each(|&at| free[at] = false);

    let mut slots = Vec::with_capacity(new.len());
    let (mut old_at, mut new_at) = (0, 0);
    for at in 0..=new.len() {
        let end = (at == new.len()).then_some(old.len());
        let Some(stay) = end.or_else(|| found[at].filter(|_| stays[at])) else { continue };
        let mut left = old_at..stay;
        for new in new_at..at {
            slots.push(match found[new] {
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
