//! Where two lists differ: what [`diff`](super::diff) and [`merge`](super::merge) know about arrays.

use std::ops::Range;

use crate::value::{List, Value};

/// Places of the older list that became other places of the newer one. Between hunks the lists are equal.
#[derive(Debug, PartialEq)]
pub(super) struct Hunk {
    pub old: Range<usize>,
    pub new: Range<usize>,
}

/// How many single edits are looked for before giving up on finding the fewest: time and memory grow by the square.
const EDITS_MAX: usize = 256;
/// For long lists that have little in common fewer edits, as each of them may cost a walk through both.
const LOOKS_MAX: usize = 1 << 22;
/// But always so many: lists made from one another skip what they share, whatever their length.
const EDITS_MIN: usize = 32;

/// The hunks that two lists differ in, from first to last: as few elements as possible, unless they differ in a lot.
///
/// This is the greedy algorithm of Myers (1986), in which running along equal elements passes over shared subtrees.
pub(super) fn hunks(old: &List, new: &List) -> Vec<Hunk> {
    let (n, m) = (old.len(), new.len());
    let edits_max = (LOOKS_MAX / (n + m + 1)).clamp(EDITS_MIN, EDITS_MAX);
    let run = |x: usize, y: usize| if x < n && y < m { old.common(x, new, y, Value::eq) } else { 0 };

    // After `d` edits, `reach[d][i]` is how far into `old` one can be on the diagonal `k = x - y`, where `k = 2i - d`.
    let mut reach: Vec<Vec<usize>> = Vec::new();
    for d in 0..=edits_max {
        let mut row = Vec::with_capacity(d + 1);
        for i in 0..=d {
            let x = match reach.last() {
                None => 0,
                Some(last) => from(last, d, i).1,
            };
            // Off the lists there is no diagonal; such a point is dead and stays so.
            let y = (x + d).checked_sub(2 * i).unwrap_or(usize::MAX);
            let x = if x <= n && y <= m { x + run(x, y) } else { x };
            row.push(x);
            if x == n && (x + d).checked_sub(2 * i) == Some(m) {
                reach.push(row);
                return trace(&reach, i);
            }
        }
        reach.push(row);
    }
    coarse(old, new, reach[0][0])
}

/// The step to place `i` of row `d`: whether it goes down (an element of `new`), and the `x` it leads to.
fn from(last: &[usize], d: usize, i: usize) -> (bool, usize) {
    // Down from the diagonal above, `k + 1`, place `i` of the row before; right from `k - 1`, place `i - 1`.
    let down = i < d && (i == 0 || last[i - 1] < last[i]);
    if down { (true, last[i]) } else { (false, last[i - 1] + 1) }
}

/// Follows the steps back from the end, which is at place `i` of the last row, and joins neighbours to hunks.
fn trace(reach: &[Vec<usize>], mut i: usize) -> Vec<Hunk> {
    let mut hunks: Vec<Hunk> = Vec::new();
    for d in (1..reach.len()).rev() {
        let (down, x) = from(&reach[d - 1], d, i);
        let y = x + d - 2 * i;
        let step = if down { Hunk { old: x..x, new: y - 1..y } } else { Hunk { old: x - 1..x, new: y..y } };
        match hunks.last_mut() {
            Some(next) if next.old.start == step.old.end && next.new.start == step.new.end => {
                next.old.start = step.old.start;
                next.new.start = step.new.start;
            }
            _ => hunks.push(step),
        }
        i -= usize::from(!down);
    }
    hunks.reverse();
    hunks
}

/// One hunk between the `start` elements and those at the end that are equal.
fn coarse(old: &List, new: &List, start: usize) -> Vec<Hunk> {
    let (n, m) = (old.len(), new.len());
    let end = (0..n.min(m) - start).take_while(|i| old.get(n - 1 - i) == new.get(m - 1 - i)).count();
    vec![Hunk { old: start..n - end, new: start..m - end }]
}
