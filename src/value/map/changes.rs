//! What changed from one map to another, at the cost of the change.

use std::{cmp::Ordering, sync::Arc};

use super::{
    super::tree::{Piece, Walk},
    Entry, Label, OrderedMap,
};

/// One entry that two maps do not have in common.
#[derive(Debug)]
pub struct Change<'a, V> {
    /// The key of the entry.
    pub key: &'a Arc<str>,
    /// Its value in the older map, if it is there.
    pub old: Option<&'a V>,
    /// Its value in the newer map, if it is there.
    pub new: Option<&'a V>,
    /// In both maps, but at another place among its siblings. The entries that are in both and not
    /// `moved`, reported or not, are in the same order in both.
    pub moved: bool,
}

/// What a walk along both maps met, in the order of labels, outside the subtrees that they share.
struct Met<'a, V> {
    old: Option<&'a Entry<V>>,
    new: Option<&'a Entry<V>>,
    /// How many shared subtrees lie before it.
    run: usize,
}

impl<V> OrderedMap<V> {
    /// The entries that differ in `newer`: added, removed, with a value that is not `same`, or moved.
    ///
    /// Those that are in `newer` come in its order. Costs the change, not the map, where one of the two was made from the
    /// other; two unrelated maps are compared in full, and as few entries as possible are called moved.
    pub fn changes<'a>(&'a self, newer: &'a Self, same: impl Fn(&V, &V) -> bool) -> Vec<Change<'a, V>> {
        if self.same(newer) {
            return Vec::new();
        }
        let (mut met, shared) = walk(self, newer);
        for pair in &mut met {
            if let (None, Some(new)) = (pair.old, pair.new) {
                pair.old = self.entry(&new.key);
            }
        }
        let kept = kept(&met, &shared);
        let mut changes = Vec::new();
        for (pair, kept) in met.iter().zip(kept) {
            let change = match (pair.old, pair.new) {
                (Some(old), Some(new)) if kept && same(&old.value, &new.value) => continue,
                // Met again, or before, at its new place.
                (Some(old), None) if newer.contains(&old.key) => continue,
                (Some(old), None) => Change { key: &old.key, old: Some(&old.value), new: None, moved: false },
                (old, Some(new)) => Change {
                    key: &new.key,
                    old: old.map(|old| &old.value),
                    new: Some(&new.value),
                    moved: old.is_some() && !kept,
                },
                (None, None) => continue,
            };
            changes.push(change);
        }
        changes
    }
}

/// Walks along both maps by label. Also gives the first label of every subtree that they share.
fn walk<'a, V>(old: &'a OrderedMap<V>, new: &'a OrderedMap<V>) -> (Vec<Met<'a, V>>, Vec<Label>) {
    let (mut a, mut b) = (Walk::new(&old.order, 0), Walk::new(&new.order, 0));
    let (mut met, mut shared) = (Vec::new(), Vec::new());
    loop {
        let (x, y) = (a.peek(), b.peek());
        let order = match (&x, &y) {
            (None, None) => return (met, shared),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(x), Some(y)) if x.shared_with(y) => {
                shared.push(x.key());
                a.skip();
                b.skip();
                continue;
            }
            // Where both begin alike, the higher one is opened first, so that equal subtrees meet.
            (Some(x), Some(y)) => x.key().cmp(&y.key()).then(y.height().cmp(&x.height())),
        };
        let mut see = |old, new| met.push(Met { old, new, run: shared.len() });
        match (order, x, y) {
            (Ordering::Less, Some(Piece::Item(x)), _) => {
                see(Some(x), None);
                a.skip();
            }
            (Ordering::Greater, _, Some(Piece::Item(y))) => {
                see(None, Some(y));
                b.skip();
            }
            (Ordering::Less, ..) => a.enter(),
            (Ordering::Greater, ..) => b.enter(),
            (Ordering::Equal, Some(Piece::Item(x)), Some(Piece::Item(y))) => {
                if x.key == y.key {
                    see(Some(x), Some(y));
                } else {
                    see(Some(x), None);
                    see(None, Some(y));
                }
                a.skip();
                b.skip();
            }
            (Ordering::Equal, ..) => {
                a.enter();
                b.enter();
            }
        }
    }
}

/// Which of the entries that are in both maps can be called unmoved: those that stayed between the same
/// two shared subtrees and, among them, a longest series that is in the same order in both.
fn kept<V>(met: &[Met<'_, V>], shared: &[Label]) -> Vec<bool> {
    let mut kept = vec![false; met.len()];
    let mut from = 0;
    for run in met.chunk_by(|a, b| a.run == b.run) {
        let stayed: Vec<(Label, usize)> = (from..)
            .zip(run)
            .filter_map(|(at, pair)| Some((pair.old.filter(|_| pair.new.is_some())?.label, at, pair.run)))
            .filter(|(label, _, run)| shared.partition_point(|first| first <= label) == *run)
            .map(|(label, at, _)| (label, at))
            .collect();
        for at in longest_rising(&stayed) {
            kept[at] = true;
        }
        from += run.len();
    }
    kept
}

/// The second halves of a longest series whose first halves rise. (Patience sorting.)
fn longest_rising(pairs: &[(Label, usize)]) -> Vec<usize> {
    // Of the series of each length, the one whose end is lowest; and what precedes each pair in its own.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (i, (label, _)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| pairs[end].0 < *label);
        previous.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = i,
            None => ends.push(i),
        }
    }
    let last = ends.last().copied();
    std::iter::successors(last, |&i| previous[i]).map(|i| pairs[i].1).collect()
}
