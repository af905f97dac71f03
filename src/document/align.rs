//! Which of the old items are which of the new ones, and which of them can stay where they are.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::value::{Map, Value};

/// The entries of `map`, those of the old keys in the order of these, and each new one behind the one that it is behind
/// in `map`.
pub(super) fn in_order_of<'m>(old: impl Iterator<Item = Cow<'m, str>>, map: &'m Map) -> Vec<(&'m str, &'m Value)> {
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
