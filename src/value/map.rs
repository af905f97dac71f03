//! [`OrderedMap`]: the persistent object, which keeps its keys in the order of the document.
//!
//! The entries lie in a tree in their order. Each carries a *label*, a number that grows along the
//! order, with room left between neighbours for what is inserted there later; an entry keeps its label
//! for as long as nothing moves it, so two versions of a map can be compared label by label, passing
//! over the subtrees that they share. A second tree, of `(hash of key, label)`, finds the entry of a
//! key; small maps do without it and search their few entries one by one.

use std::{fmt, mem, sync::Arc};

use super::tree::{self, At, By, Item, Tree};
use crate::key::{hash, kept};

mod changes;
#[cfg(test)]
mod tests;
pub use changes::Change;

/// A map from strings that keeps its entries in order; its clone is O(1) and its edits are O(log n), old
/// versions alive or not.
///
/// A map that shares nothing with another is edited in place. Two maps are equal if they hold equal
/// entries in the same order.
pub struct OrderedMap<V> {
    order: Tree<Entry<V>>,
    /// Of every entry, or of none while there are few.
    index: Tree<Slot>,
}

type Label = u64;

#[derive(Clone)]
struct Entry<V> {
    label: Label,
    key: Arc<str>,
    value: V,
}

impl<V> Item for Entry<V> {
    type Key = Label;
    fn key(&self) -> Label {
        self.label
    }
}

/// Keys whose hashes are equal are told apart by their entries.
#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    label: Label,
}

impl Item for Slot {
    /// The hash, then the label: as one number, because comparing pairs is slower.
    type Key = u128;
    /// Setting the value of a key that is there, the common edit, does not touch the index.
    const LEAF: usize = if cfg!(test) { 8 } else { 128 };

    fn key(&self) -> u128 {
        u128::from(self.hash) << 64 | u128::from(self.label)
    }
}

/// A map gets an index when it grows beyond this, and loses it when it shrinks below half of it.
/// (Sooner in unit tests, whose maps are small.)
const SMALL: usize = if cfg!(test) { 4 } else { 16 };

/// The label of a first entry, amid room for more on both sides.
const START: Label = 1 << 62;
/// From one appended entry to the next.
const STEP: Label = 1 << 32;
/// Where there is no room left between two labels, those around are spread until they are this far apart.
const ROOM: Label = 1 << 16;

impl<V> OrderedMap<V> {
    /// An empty map. Allocates nothing.
    pub const fn new() -> Self {
        OrderedMap { order: Tree::new(), index: Tree::new() }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Whether there is an entry with this key.
    pub fn contains(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The entries in order.
    pub fn iter(&self) -> Iter<'_, V> {
        Iter(self.order.iter())
    }

    /// The entries in order, with their keys as they are kept: cloning such a key copies no text.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &V)> {
        self.order.iter().map(|entry| (&entry.key, &entry.value))
    }

    /// The keys in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.order.iter().map(|entry| &*entry.key)
    }

    /// The values in the order of their keys.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.order.iter().map(|entry| &entry.value)
    }

    /// The first entry.
    pub fn first(&self) -> Option<(&str, &V)> {
        self.order.first().map(Entry::pair)
    }

    /// The last entry.
    pub fn last(&self) -> Option<(&str, &V)> {
        self.order.last().map(Entry::pair)
    }

    /// The entry that follows the one with this key.
    pub fn after(&self, key: &str) -> Option<(&str, &V)> {
        let label = self.entry(key)?.label;
        self.order.at_or_after(label.checked_add(1)?).map(Entry::pair)
    }

    /// Whether both are one map in memory: `true` proves them equal, `false` proves nothing.
    pub fn same(&self, other: &Self) -> bool {
        self.order.same(&other.order)
    }

    fn entry(&self, key: &str) -> Option<&Entry<V>> {
        if self.index.is_empty() {
            return self.order.find(|entry| &*entry.key == key);
        }
        self.entry_hashed(key, hash(key))
    }

    /// Looks the key up in the index.
    fn entry_hashed(&self, key: &str, hash: u64) -> Option<&Entry<V>> {
        let mut slot = self.first_slot(hash)?;
        loop {
            let entry = self.order.get(By::key(slot.label))?;
            if &*entry.key == key {
                return Some(entry);
            }
            slot = self.slot(hash, slot.label.checked_add(1)?)?;
        }
    }

    /// The value of a key, to be changed, found in one search; `None` where there is no such key, and where another map
    /// shares it or that cannot be told at once.
    pub(crate) fn sole_mut(&mut self, key: &str) -> Option<&mut V> {
        let entry = if self.index.is_empty() {
            let label = self.entry(key)?.label;
            self.order.sole_mut(By::key(label))?
        } else {
            let label = self.first_slot(hash(key))?.label;
            self.order.sole_mut(By::key(label))?
        };
        // Keys of one hash are for `get_mut` to tell apart.
        (&*entry.key == key).then_some(&mut entry.value)
    }

    /// The first slot with this hash, found by somebody who goes on to its entry.
    fn first_slot(&self, hash: u64) -> Option<&Slot> {
        self.order.approach(); // Where in it the entry is, only the slot tells.
        self.slot(hash, 0)
    }

    /// The first slot with this hash whose label is at least `label`.
    fn slot(&self, hash: u64, label: Label) -> Option<&Slot> {
        self.index.at_or_after(Slot { hash, label }.key()).filter(|slot| slot.hash == hash)
    }
}

impl<V: Clone> OrderedMap<V> {
    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let label = self.entry(key)?.label;
        self.order.get_mut(By::key(label)).map(|entry| &mut entry.value)
    }

    /// Sets the value of a key and gives back the old one. A key that was there keeps its place, a new
    /// one goes last.
    pub fn insert(&mut self, key: impl AsRef<str> + Into<Arc<str>>, value: V) -> Option<V> {
        match self.replace(key.as_ref(), value) {
            Ok(old) => Some(old),
            Err(value) => {
                self.append(kept(key), value);
                None
            }
        }
    }

    /// Puts the value of a key that is not there last.
    pub(crate) fn push(&mut self, key: impl AsRef<str> + Into<Arc<str>>, value: V) {
        debug_assert!(!self.contains(key.as_ref()));
        self.append(kept(key), value);
    }

    /// Changes the value of a key that is there, or gives the new one back.
    fn replace(&mut self, key: &str, value: V) -> Result<V, V> {
        if !self.index.is_empty() {
            let Some(&Slot { label, .. }) = self.first_slot(hash(key)) else { return Err(value) };
            // All but certainly the one: to try it as what is to be changed saves a search.
            if let Some(entry) = self.order.get_mut(By::key(label))
                && &*entry.key == key
            {
                return Ok(mem::replace(&mut entry.value, value));
            }
        }
        match self.get_mut(key) {
            Some(old) => Ok(mem::replace(old, value)),
            None => Err(value),
        }
    }

    fn append(&mut self, key: Arc<str>, value: V) {
        let label = match self.order.last() {
            None => START,
            Some(last) => match last.label.checked_add(STEP) {
                Some(label) => label,
                None => {
                    self.relabel();
                    START + STEP * self.len() as u64
                }
            },
        };
        self.add(Entry { label, key, value });
    }

    /// Sets the value of a key, puts it before the key `before`, or last if that is not there, and gives
    /// back the old value.
    pub fn insert_before(&mut self, key: impl AsRef<str> + Into<Arc<str>>, value: V, before: &str) -> Option<V> {
        if key.as_ref() == before {
            return self.insert(key, value);
        }
        let key = kept(key);
        let old = self.remove(&key);
        match self.label_before(before) {
            Some(label) => self.add(Entry { label, key, value }),
            None => self.append(key, value),
        }
        old
    }

    /// Takes out the entry of a key and gives back its value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let label = self.entry(key)?.label;
        self.take(label).map(|entry| entry.value)
    }

    /// Takes out the first entry.
    pub fn pop_front(&mut self) -> Option<(Arc<str>, V)> {
        let label = self.order.first()?.label;
        self.take(label).map(|entry| (entry.key, entry.value))
    }

    fn add(&mut self, entry: Entry<V>) {
        if !self.index.is_empty() {
            let slot = entry.slot();
            self.index.insert(By::key(slot.key()), slot);
        }
        self.order.insert(By::key(entry.label), entry);
        if self.index.is_empty() && self.len() > SMALL {
            self.index_all();
        }
    }

    /// Takes out the entry with a label that is there.
    fn take(&mut self, label: Label) -> Option<Entry<V>> {
        let entry = self.order.remove(By::key(label))?;
        if !self.index.is_empty() {
            if self.len() < SMALL / 2 {
                self.index = Tree::new();
            } else {
                self.index.remove(By::key(entry.slot().key()));
            }
        }
        Some(entry)
    }

    /// A free label just before the entry of a key that is there.
    fn label_before(&mut self, key: &str) -> Option<Label> {
        loop {
            let next = self.entry(key)?.label;
            let at = self.order.rank(next);
            let previous = match at.checked_sub(1) {
                Some(previous) => self.order.get(At(previous))?.label,
                None => next.saturating_sub(2 * STEP),
            };
            let label = previous + (next - previous) / 2;
            if label > previous {
                return Some(label);
            }
            self.spread(at);
        }
    }

    /// Makes room between the labels around place `at`: among as few neighbours as have enough of it,
    /// so that inserting in one place again and again does not relabel the whole map each time.
    fn spread(&mut self, at: usize) {
        let len = self.len();
        let mut reach = 32;
        loop {
            let (from, to) = (at.saturating_sub(reach), at.saturating_add(reach).min(len));
            if from == 0 && to == len {
                return self.relabel();
            }
            let label = |at| self.order.get(At(at)).map(|entry| entry.label);
            let low = from.checked_sub(1).and_then(label).unwrap_or(0);
            let high = label(to).unwrap_or(Label::MAX);
            let count = (to - from) as u64;
            let step = ((high - low) / (count + 1)).min(STEP);
            if step >= ROOM {
                // Stay near the neighbour that there is; beyond both ends the room is for later.
                let low = if from == 0 { high - step * (count + 1) } else { low };
                for at in from..to {
                    let label = low + step * (at - from + 1) as u64;
                    self.relabel_one(at, label);
                }
                return;
            }
            reach *= 4;
        }
    }

    fn relabel_one(&mut self, at: usize, label: Label) {
        let Some(mut entry) = self.order.remove(At(at)) else { return };
        let old = entry.slot();
        entry.label = label;
        if !self.index.is_empty() {
            let new = Slot { label, ..old };
            self.index.remove(By::key(old.key()));
            self.index.insert(By::key(new.key()), new);
        }
        self.order.insert(At(at), entry);
    }

    fn relabel(&mut self) {
        *self = self.order.iter().map(|e| (Arc::clone(&e.key), e.value.clone())).collect();
    }

    fn index_all(&mut self) {
        self.index = indexed(self.order.iter().map(|entry| (&*entry.key, entry.label))).into_iter().collect();
    }
}

/// The slots of these keys, in their order.
fn indexed<'a>(keys: impl Iterator<Item = (&'a str, Label)>) -> Vec<Slot> {
    let mut slots: Vec<Slot> = keys.map(|(key, label)| Slot { hash: hash(key), label }).collect();
    slots.sort_unstable_by_key(Slot::key);
    slots
}

impl<V> Entry<V> {
    fn slot(&self) -> Slot {
        Slot { hash: hash(&self.key), label: self.label }
    }

    fn pair(&self) -> (&str, &V) {
        (&self.key, &self.value)
    }
}

impl<V> Clone for OrderedMap<V> {
    fn clone(&self) -> Self {
        OrderedMap { order: self.order.clone(), index: self.index.clone() }
    }
}

impl<V> Default for OrderedMap<V> {
    fn default() -> Self {
        OrderedMap::new()
    }
}

impl<V: PartialEq> PartialEq for OrderedMap<V> {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Entry<V>, b: &Entry<V>| a.key == b.key && a.value == b.value;
        self.len() == other.len() && self.order.common(0, &other.order, 0, same) == self.len()
    }
}

impl<V: Eq> Eq for OrderedMap<V> {}

impl<V: fmt::Debug> fmt::Debug for OrderedMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// Of a key that comes twice, the first place and the last value are kept. Cheaper than inserting one by
/// one, and packs the entries tighter.
impl<K: AsRef<str> + Into<Arc<str>>, V: Clone> FromIterator<(K, V)> for OrderedMap<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries: Vec<(K, V)> = entries.into_iter().collect();
        let labels = || (0..).map(|i: u64| START + STEP * i);
        if entries.len() > SMALL {
            let slots = indexed(entries.iter().map(|(key, _)| key.as_ref()).zip(labels()));
            if slots.windows(2).all(|pair| pair[0].hash != pair[1].hash) {
                let entry = |((key, value), label)| Entry { label, key: kept(key), value };
                return OrderedMap {
                    order: entries.into_iter().zip(labels()).map(entry).collect(),
                    index: slots.into_iter().collect(),
                };
            }
        }
        let mut map = OrderedMap::new();
        map.extend(entries);
        map
    }
}

impl<K: AsRef<str> + Into<Arc<str>>, V: Clone> Extend<(K, V)> for OrderedMap<V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        entries.into_iter().for_each(|(key, value)| drop(self.insert(key, value)));
    }
}

impl<'a, V> IntoIterator for &'a OrderedMap<V> {
    type Item = (&'a str, &'a V);
    type IntoIter = Iter<'a, V>;

    fn into_iter(self) -> Iter<'a, V> {
        self.iter()
    }
}

/// The entries of an [`OrderedMap`] in order.
pub struct Iter<'a, V>(tree::Iter<'a, Entry<V>>);

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (&'a str, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Entry::pair)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<V> ExactSizeIterator for Iter<'_, V> {}
