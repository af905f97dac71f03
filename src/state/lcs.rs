//! Where two lists differ: what [`diff`](super::diff) and [`merge`](super::merge) know about arrays.

use std::ops::Range;

use crate::value::{List, Value};

/// Places of the older list that became other places of the newer one. Between hunks the elements are the same.
#[derive(Debug, PartialEq)]
pub(super) struct Hunk {
    pub old: Range<usize>,
    pub new: Range<usize>,
}

/// How many single edits are looked for before giving up on finding the fewest: time and memory grow by the square.
const EDITS_MAX: usize = 512;
/// And how many pairs of elements are compared. Lists made from one another skip what they share, so that this ends
/// the search in long lists that have little in common.
const LOOKS_MAX: usize = 1 << 22;

/// The hunks that two lists differ in, from first to last: as few elements as possible, unless they differ in a lot.
///
/// This is the greedy algorithm of Myers (1986), in which running along elements that are the same passes over shared
/// subtrees: what is shared has to be `same` too.
pub(super) fn hunks(old: &List, new: &List, same: impl Fn(&Value, &Value) -> bool) -> Vec<Hunk> {
    let (n, m) = (old.len(), new.len());
    let mut looks = 0;
    let mut equal = |a: &Value, b: &Value| {
        looks += 1;
        looks <= LOOKS_MAX && same(a, b)
    };

    // After `d` edits, `reach[d][i]` is how far into `old` one can be on the diagonal `x - y = 2 * i - d`. Points beyond
    // the end of a list are kept like the others and lead nowhere.
    let mut reach: Vec<Vec<usize>> = Vec::new();
    for d in 0..=EDITS_MAX {
        let mut row = Vec::with_capacity(d + 1);
        for i in 0..=d {
            let mut x = reach.last().map_or(0, |last| step(last, d, i).1);
            let mut y = x + d - 2 * i;
            if x < n && y < m {
                let run = old.common(x, new, y, &mut equal);
                (x, y) = (x + run, y + run);
            }
            row.push(x);
            if (x, y) == (n, m) {
                reach.push(row);
                return trace(&reach, i);
            }
        }
        reach.push(row);
    }
    coarse(old, new, reach[0][0], same)
}

/// The step to place `i` of row `d`: whether it goes down (an element of `new`), and the `x` it leads to.
fn step(last: &[usize], d: usize, i: usize) -> (bool, usize) {
    // Down from the diagonal above, `k + 1`, place `i` of the row before; right from `k - 1`, place `i - 1`.
    let down = i < d && (i == 0 || last[i - 1] < last[i]);
    if down { (true, last[i]) } else { (false, last[i - 1] + 1) }
}

/// Follows the steps back from the end, which is at place `i` of the last row, and joins neighbours to hunks.
fn trace(reach: &[Vec<usize>], mut i: usize) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for d in (1..reach.len()).rev() {
        let (down, x) = step(&reach[d - 1], d, i);
        let y = x + d - 2 * i;
        let edit = if down { Hunk { old: x..x, new: y - 1..y } } else { Hunk { old: x - 1..x, new: y..y } };
        match hunks.last_mut() {
            Some(next) if next.old.start == edit.old.end && next.new.start == edit.new.end => {
                next.old.start = edit.old.start;
                next.new.start = edit.new.start;
            }
            _ => hunks.push(edit),
        }
        i -= usize::from(!down);
    }
    hunks.reverse();
    hunks
}

/// One hunk between the `start` elements and those at the end that are the same.
fn coarse(old: &List, new: &List, start: usize, same: impl Fn(&Value, &Value) -> bool) -> Vec<Hunk> {
    let (n, m) = (old.len(), new.len());
    let alike = |i: &usize| old.get(n - 1 - i).zip(new.get(m - 1 - i)).is_some_and(|(a, b)| same(a, b));
    let end = (0..n.min(m) - start).take_while(alike).count();
    vec![Hunk { old: start..n - end, new: start..m - end }]
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn list(items: &[u8]) -> List {
        items.iter().map(|item| Value::from(*item)).collect()
    }

    /// How many elements the hunks take out and put in.
    fn edits(hunks: &[Hunk]) -> usize {
        hunks.iter().map(|hunk| hunk.old.len() + hunk.new.len()).sum()
    }

    /// The fewest, from the table of longest common subsequences.
    fn fewest(a: &[u8], b: &[u8]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (i, y) in b.iter().enumerate() {
                let longest = if x == y { diagonal + 1 } else { row[i].max(row[i + 1]) };
                diagonal = std::mem::replace(&mut row[i + 1], longest);
            }
        }
        a.len() + b.len() - 2 * row[b.len()]
    }

    proptest! {
        #[test]
        fn hunks_are_the_fewest_edits_and_cover_every_difference(a in vec(0..4_u8, 0..40), b in vec(0..4_u8, 0..40)) {
            let hunks = hunks(&list(&a), &list(&b), PartialEq::eq);
            prop_assert_eq!(edits(&hunks), fewest(&a, &b));
            let (mut x, mut y) = (0, 0);
            for hunk in &hunks {
                prop_assert_eq!(&a[x..hunk.old.start], &b[y..hunk.new.start]);
                prop_assert!(x == 0 || hunk.old.start > x, "neighbours are joined");
                (x, y) = (hunk.old.end, hunk.new.end);
            }
            prop_assert_eq!(&a[x..], &b[y..]);
        }
    }

    #[test]
    fn edits_all_over_a_long_list_are_found_one_by_one() {
        let old: List = (0..1_000_000).map(Value::from).collect();
        let mut new = old.clone();
        for i in 0..100 {
            new.insert(i * 10_000, Value::Null);
            drop(new.remove(i * 10_000 + 5_000));
        }
        assert_eq!(edits(&hunks(&old, &new, PartialEq::eq)), 200);
    }

    #[test]
    fn lists_with_nothing_in_common_are_one_hunk_between_equal_ends() {
        let many = |from: i32| (0..2000).map(move |i| Value::from(from + i));
        let ends = || std::iter::once(Value::Null);
        let (old, new) =
            (ends().chain(many(0)).chain(ends()).collect(), ends().chain(many(5000)).chain(ends()).collect());
        assert_eq!(hunks(&old, &new, PartialEq::eq), [Hunk { old: 1..2001, new: 1..2001 }]);
    }
}
