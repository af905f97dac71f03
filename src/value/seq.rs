//! [`Seq`]: the persistent list that arrays are made of.

use std::fmt;

use super::tree::{self, At, Tree};

/// A list whose clone is O(1) and whose edits are O(log n), old versions alive or not.
///
/// A list that shares nothing with another is edited in place.
pub struct Seq<T> {
    tree: Tree<Element<T>>,
}

/// An item without a key: its place is all it has.
#[derive(Clone)]
struct Element<T>(T);

impl<T> tree::Item for Element<T> {
    type Key = ();
    fn key(&self) {}
}

impl<T> Seq<T> {
    /// An empty list. Allocates nothing.
    pub const fn new() -> Self {
        Seq { tree: Tree::new() }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// The item at a place, counted from 0.
    pub fn get(&self, at: usize) -> Option<&T> {
        self.tree.get(At(at)).map(|element| &element.0)
    }

    /// The first item.
    pub fn first(&self) -> Option<&T> {
        self.tree.first().map(|element| &element.0)
    }

    /// The last item.
    pub fn last(&self) -> Option<&T> {
        self.tree.last().map(|element| &element.0)
    }

    /// The items in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self.tree.iter())
    }

    /// Whether both are one list in memory: `true` proves them equal, `false` proves nothing.
    pub fn same(&self, other: &Self) -> bool {
        self.tree.same(&other.tree)
    }

    /// How many items from place `at` here are `same` as those from place `other_at` in `other`, up to
    /// the first that is not. What the two share is passed over without looking at it.
    pub fn common(&self, at: usize, other: &Self, other_at: usize, mut same: impl FnMut(&T, &T) -> bool) -> usize {
        self.tree.common(at, &other.tree, other_at, |a, b| same(&a.0, &b.0))
    }
}

impl<T: Clone> Seq<T> {
    /// The item at a place, to be changed.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        if at >= self.len() {
            return None; // Nothing is copied for nothing.
        }
        self.tree.get_mut(At(at)).map(|element| &mut element.0)
    }

    /// Appends an item.
    pub fn push(&mut self, item: T) {
        self.tree.insert(At(usize::MAX), Element(item));
    }

    /// Inserts an item at a place; those from there on move up by one.
    ///
    /// # Panics
    /// If `at` is greater than the length.
    pub fn insert(&mut self, at: usize, item: T) {
        assert!(at <= self.len(), "place {at} is past the end of a list of {}", self.len());
        self.tree.insert(At(at), Element(item));
    }

    /// Takes out the item at a place; those after it move down by one.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn remove(&mut self, at: usize) -> T {
        assert!(at < self.len(), "place {at} is past the end of a list of {}", self.len());
        self.tree.remove(At(at)).expect("there is such a place, so the list is not empty").0
    }

    /// Replaces the item at a place and gives back the old one.
    ///
    /// # Panics
    /// If there is no such item.
    pub fn set(&mut self, at: usize, item: T) -> T {
        match self.get_mut(at) {
            Some(old) => std::mem::replace(old, item),
            None => panic!("place {at} is past the end of a list of {}", self.len()),
        }
    }
}

impl<T> Clone for Seq<T> {
    fn clone(&self) -> Self {
        Seq { tree: self.tree.clone() }
    }
}

impl<T> Default for Seq<T> {
    fn default() -> Self {
        Seq::new()
    }
}

impl<T: PartialEq> PartialEq for Seq<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.common(0, other, 0, T::eq) == self.len()
    }
}

impl<T: Eq> Eq for Seq<T> {}

impl<T: fmt::Debug> fmt::Debug for Seq<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Cheaper than pushing one by one, and packs them tighter.
impl<T> FromIterator<T> for Seq<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Seq { tree: items.into_iter().map(Element).collect() }
    }
}

impl<T: Clone> Extend<T> for Seq<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<'a, T> IntoIterator for &'a Seq<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// The items of a [`Seq`] in order.
pub struct Iter<'a, T>(tree::Iter<'a, Element<T>>);

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.0.next().map(|element| &element.0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{tree::Item, *};

    #[derive(Debug, Clone)]
    enum Edit {
        Push(u8),
        Insert(prop::sample::Index, u8),
        Remove(prop::sample::Index),
        Set(prop::sample::Index, u8),
        Keep,
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let place = any::<prop::sample::Index>;
        prop_oneof![
            4 => any::<u8>().prop_map(Edit::Push),
            4 => (place(), any::<u8>()).prop_map(|(at, item)| Edit::Insert(at, item)),
            4 => place().prop_map(Edit::Remove),
            2 => (place(), any::<u8>()).prop_map(|(at, item)| Edit::Set(at, item)),
            1 => Just(Edit::Keep),
        ]
    }

    /// Every version that was kept, with what it must go on holding.
    fn versions(start: Vec<u8>, edits: Vec<Edit>) -> Vec<(Seq<u8>, Vec<u8>)> {
        let mut kept = vec![(start.iter().copied().collect::<Seq<u8>>(), start)];
        let (mut seq, mut model) = kept[0].clone();
        for edit in edits {
            match edit {
                Edit::Push(item) => {
                    seq.push(item);
                    model.push(item);
                }
                Edit::Insert(at, item) => {
                    let at = at.index(model.len() + 1);
                    seq.insert(at, item);
                    model.insert(at, item);
                }
                Edit::Remove(at) if !model.is_empty() => {
                    let at = at.index(model.len());
                    assert_eq!(seq.remove(at), model.remove(at));
                }
                Edit::Set(at, item) if !model.is_empty() => {
                    let at = at.index(model.len());
                    assert_eq!(seq.set(at, item), std::mem::replace(&mut model[at], item));
                }
                Edit::Remove(_) | Edit::Set(..) => {}
                Edit::Keep => kept.push((seq.clone(), model.clone())),
            }
            seq.tree.assert_sound();
        }
        kept.push((seq, model));
        kept
    }

    proptest! {
        #[test]
        fn every_version_holds_what_a_vec_would(start in vec(any::<u8>(), 0..100), edits in vec(edit(), 0..200)) {
            for (seq, model) in versions(start, edits) {
                prop_assert!(seq.iter().eq(&model));
                prop_assert_eq!(seq.len(), model.len());
                let (mut iter, mut left) = (seq.iter(), model.len());
                prop_assert_eq!(iter.len(), left);
                while iter.next().is_some() {
                    left -= 1;
                    prop_assert_eq!(iter.len(), left);
                }
                prop_assert_eq!(seq.first(), model.first());
                prop_assert_eq!(seq.last(), model.last());
                for at in 0..model.len() + 2 {
                    prop_assert_eq!(seq.get(at), model.get(at));
                }
            }
        }

        #[test]
        fn common_counts_as_a_loop_would(
            start in vec(0..3_u8, 0..60), edits in vec(edit(), 0..60), at in 0..30_usize, other_at in 0..30_usize,
        ) {
            for pair in versions(start, edits).windows(2) {
                let [(old, a), (new, b)] = pair else { unreachable!() };
                let (at, other_at) = (at.min(a.len()), other_at.min(b.len()));
                let model = a[at..].iter().zip(&b[other_at..]).take_while(|(x, y)| x == y).count();
                prop_assert_eq!(old.common(at, new, other_at, |x, y| x == y), model);
                prop_assert_eq!(old == new, a == b);
            }
        }
    }

    #[test]
    fn common_looks_only_at_what_changed() {
        let old: Seq<u32> = (0..100_000).collect();
        let mut new = old.clone();
        new.set(50_000, 0);
        new.remove(70_000);
        let mut looks = 0;
        let mut count = |at, other_at| {
            old.common(at, &new, other_at, |a, b| {
                looks += 1;
                a == b
            })
        };
        assert_eq!(count(0, 0), 50_000);
        assert_eq!(count(50_001, 50_001), 19_999);
        assert_eq!(count(70_001, 70_000), 29_999);
        assert!(looks < 100, "{looks} items were compared");
    }

    #[test]
    fn common_looks_only_at_what_changed_though_the_tree_grew_higher() {
        let old: Seq<u32> = (0..4 * 4 * 4 * 4).collect();
        let mut new = old.clone();
        new.push(0);
        let mut looks = 0;
        let same = |a: &u32, b: &u32| {
            looks += 1;
            a == b
        };
        assert_eq!(old.common(0, &new, 0, same), old.len());
        assert!(looks < 20, "{looks} items were compared");
    }

    #[test]
    fn nodes_stay_well_filled_however_a_list_grows_and_shrinks() {
        const N: usize = 4000;
        let fill = |seq: &Seq<usize>| seq.len() as f64 / seq.tree.leaves() as f64;
        let full = Element::<usize>::LEAF as f64;
        let (mut pushed, mut front, mut middle) = (Seq::new(), Seq::new(), Seq::new());
        for i in 0..N {
            pushed.push(i);
            front.insert(0, i);
            middle.insert(i / 2, i);
        }
        assert!(fill(&pushed) >= full * 0.99, "pushed: {}", fill(&pushed));
        assert!(fill(&front) >= full * 0.49, "front: {}", fill(&front));
        assert!(fill(&middle) >= full * 0.49, "middle: {}", fill(&middle));
        // Three of four go, so that all nodes shrink alike.
        for at in (0..N).rev().filter(|at| at % 4 != 0) {
            pushed.remove(at);
        }
        assert!(fill(&pushed) >= full * 0.49, "after removing: {}", fill(&pushed));
    }

    #[test]
    fn an_unshared_list_is_edited_in_place() {
        let mut seq: Seq<u32> = (0..1000).collect();
        let before: *const u32 = seq.get(500).unwrap();
        seq.set(500, 7);
        assert!(std::ptr::eq(before, seq.get(500).unwrap()));
        let kept = seq.clone();
        seq.set(500, 8);
        assert_eq!((kept.get(500), seq.get(500)), (Some(&7), Some(&8)));
    }
}
