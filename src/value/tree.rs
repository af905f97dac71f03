//! A persistent B+tree: what arrays, the order of objects and their index of keys are made of.
//!
//! Nodes are shared between versions by `Arc` and edited through `Arc::make_mut`: a tree that nobody
//! else holds is changed in place, one that is held costs a copy of the nodes from the root to the
//! change. Every child is kept with the number of items below it, so that items are found by place,
//! and with the key of its first item, so that they are found by key where they have one.
//!
//! All leaves are at the same depth. No node is empty; a node may be less than half full, because
//! removing merges neighbours where they fit into one and otherwise leaves them be.

use std::{hint::black_box, mem, sync::Arc};

mod walk;
pub(super) use walk::{Iter, Piece, Walk};

/// What a tree holds.
pub(super) trait Item {
    /// What the items are in order of; `()` where their place is all they have.
    type Key: Key;
    /// The most items in one leaf. Copying a leaf is most of what an edit costs while an old version
    /// lives. (Few in unit tests, so that small cases make high trees.)
    const LEAF: usize = if cfg!(test) { 4 } else { 32 };

    fn key(&self) -> Self::Key;
}

/// The most children of one branch.
const BRANCH: usize = if cfg!(test) { 4 } else { 32 };

/// As many children may be asked for ahead of a search; of more, only one would be of use.
const NEAR: usize = 4;

/// So many entries are looked at one by one before the rest is halved.
const STEPS: usize = 8;

pub(super) trait Key: Ord + Copy {
    /// Where about the key lies among all that there could be: rises as keys do.
    fn point(self) -> u64;
}

impl Key for () {
    fn point(self) -> u64 {
        0
    }
}

impl Key for u64 {
    fn point(self) -> u64 {
        self
    }
}

impl Key for u128 {
    fn point(self) -> u64 {
        (self >> 64) as u64
    }
}

pub(super) struct Tree<T: Item> {
    root: Option<Arc<Node<T>>>,
}

enum Node<T: Item> {
    Leaf(Vec<T>),
    Branch(Vec<Child<T>>),
}

pub(super) struct Child<T: Item> {
    len: usize,
    first: T::Key,
    node: Arc<Node<T>>,
}

/// A way to find a place in a tree.
pub(super) trait Seek<T: Item>: Copy {
    /// The child to go on in. What is left of the search is a place in that child.
    fn descend(&mut self, children: &[Child<T>]) -> usize;
    fn slot(self, items: &[T]) -> usize;
}

/// The item at a place, counted from 0; the end for whatever is past it.
#[derive(Clone, Copy)]
pub(super) struct At(pub usize);

impl<T: Item> Seek<T> for At {
    fn descend(&mut self, children: &[Child<T>]) -> usize {
        let last = children.len() - 1;
        for (i, child) in children[..last].iter().enumerate() {
            if self.0 < child.len {
                return i;
            }
            self.0 -= child.len;
        }
        last
    }

    fn slot(self, items: &[T]) -> usize {
        self.0.min(items.len())
    }
}

/// The item with a key, or the place where it would go.
///
/// Keys tend to be spread evenly, so the search begins where the key should be if they were: that is
/// often the only line of memory that it touches in a node.
#[derive(Clone, Copy)]
pub(super) struct By<K> {
    key: K,
    /// Between which points the keys of this node lie.
    low: u64,
    high: u64,
}

impl<K: Key> By<K> {
    pub fn key(key: K) -> Self {
        By { key, low: 0, high: u64::MAX }
    }

    /// How many of `entries` are `below` the key, which are the first of them.
    fn count_below<X>(self, entries: &[X], below: impl Fn(&X) -> bool) -> usize {
        let len = entries.len();
        let mut at = self.guess(len);
        let mut steps = 0;
        if below(&entries[at]) {
            at += 1;
            while at < len && below(&entries[at]) {
                at += 1;
                steps += 1;
                if steps == STEPS {
                    return at + entries[at..].partition_point(below);
                }
            }
        } else {
            while at > 0 && !below(&entries[at - 1]) {
                at -= 1;
                steps += 1;
                if steps == STEPS {
                    return entries[..at].partition_point(below);
                }
            }
        }
        at
    }

    /// Where the key should be among so many.
    fn guess(self, len: usize) -> usize {
        let (offset, width) = (self.key.point().saturating_sub(self.low), self.high - self.low);
        if width == u64::MAX {
            return ((u128::from(offset) * len as u128) >> 64) as usize;
        }
        let share = offset as f64 / width.max(1) as f64;
        ((share * len as f64) as usize).min(len - 1)
    }
}

impl<T: Item> Seek<T> for By<T::Key> {
    fn descend(&mut self, children: &[Child<T>]) -> usize {
        let i = children.partition_point(|child| child.first <= self.key).saturating_sub(1);
        self.low = children[i].first.point();
        if let Some(next) = children.get(i + 1) {
            self.high = next.first.point();
        }
        i
    }

    fn slot(self, items: &[T]) -> usize {
        self.count_below(items, |item| item.key() < self.key)
    }
}

impl<T: Item> Tree<T> {
    pub const fn new() -> Self {
        Tree { root: None }
    }

    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub fn len(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.len())
    }

    /// Whether both are one tree in memory; then they are equal without looking.
    pub fn same(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    /// The item at the place sought. Searching `By` a key that is not there gives its neighbour or `None`.
    pub fn get(&self, mut seek: impl Seek<T>) -> Option<&T> {
        let mut node = self.root.as_ref()?;
        loop {
            match &**node {
                Node::Leaf(items) => return items.get(seek.slot(items)),
                Node::Branch(children) => node = &children[seek.descend(children)].node,
            }
        }
    }

    /// Has the memory on the way to the leaves come while something else is done. It may be far away, and most of a
    /// search is waiting for it, node by node.
    pub fn approach(&self) {
        if let Some(Node::Branch(children)) = self.root.as_deref()
            && children.len() <= NEAR
        {
            for child in children {
                black_box(child.node.width());
            }
        }
    }

    /// The first item whose key is at least `key`.
    pub fn at_or_after(&self, key: T::Key) -> Option<&T> {
        let mut node = self.root.as_ref()?;
        let mut seek = By::key(key);
        let mut next = None; // The subtree after the one that we are in.
        loop {
            match &**node {
                Node::Leaf(items) => {
                    return items.get(seek.slot(items)).or_else(|| next.map(Node::first));
                }
                Node::Branch(children) => {
                    let i = seek.descend(children);
                    next = children.get(i + 1).map(|child| &*child.node).or(next);
                    node = &children[i].node;
                }
            }
        }
    }

    /// How many items have a key below `key`.
    pub fn rank(&self, key: T::Key) -> usize {
        let Some(mut node) = self.root.as_ref() else { return 0 };
        let (mut seek, mut before) = (By::key(key), 0);
        loop {
            match &**node {
                Node::Leaf(items) => return before + seek.slot(items),
                Node::Branch(children) => {
                    let i = seek.descend(children);
                    before += children[..i].iter().map(|child| child.len).sum::<usize>();
                    node = &children[i].node;
                }
            }
        }
    }

    /// The first item that is sought, looked for one by one.
    pub fn find(&self, is_it: impl Fn(&T) -> bool) -> Option<&T> {
        self.root.as_ref()?.find(&is_it)
    }

    pub fn first(&self) -> Option<&T> {
        self.root.as_ref().map(|root| root.first())
    }

    pub fn last(&self) -> Option<&T> {
        let mut node = self.root.as_ref()?;
        loop {
            match &**node {
                Node::Leaf(items) => return items.last(),
                Node::Branch(children) => node = &children.last()?.node,
            }
        }
    }

    pub fn iter(&self) -> Iter<'_, T> {
        Iter::new(self)
    }

    /// How many items from place `at` here are `same` as those from place `other_at` there, up to the
    /// first that is not. Skips what both trees share.
    pub fn common(&self, at: usize, other: &Self, other_at: usize, mut same: impl FnMut(&T, &T) -> bool) -> usize {
        if at == other_at && self.same(other) {
            return self.len().saturating_sub(at);
        }
        let (mut a, mut b) = (Walk::new(self, at), Walk::new(other, other_at));
        let mut count = 0;
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            let (high, other_high) = (x.height(), y.height());
            if let (Piece::Item(x), Piece::Item(y)) = (&x, &y)
                && !same(x, y)
            {
                break;
            }
            if high.max(other_high) == 0 || x.shared_with(&y) {
                count += x.len();
                a.skip();
                b.skip();
                continue;
            }
            if high >= other_high {
                a.enter();
            }
            if other_high >= high {
                b.enter();
            }
        }
        count
    }
}

impl<T: Item> Tree<T> {
    /// The item at the place sought, if no other tree shares it; its key must stay as it is.
    pub fn sole_mut(&mut self, seek: impl Seek<T>) -> Option<&mut T> {
        self.seek_mut(seek, Arc::get_mut)
    }

    /// The item at the place sought, through nodes that `own` gives to be changed.
    fn seek_mut(
        &mut self,
        mut seek: impl Seek<T>,
        own: impl Fn(&mut Arc<Node<T>>) -> Option<&mut Node<T>>,
    ) -> Option<&mut T> {
        let mut node = self.root.as_mut()?;
        loop {
            match own(node)? {
                Node::Leaf(items) => {
                    let slot = seek.slot(items);
                    return items.get_mut(slot);
                }
                Node::Branch(children) => {
                    let i = seek.descend(children);
                    node = &mut children[i].node;
                }
            }
        }
    }
}

impl<T: Item + Clone> Tree<T> {
    /// The item at the place sought, which must be there; its key must stay as it is.
    pub fn get_mut(&mut self, seek: impl Seek<T>) -> Option<&mut T> {
        self.seek_mut(seek, |node| Some(Arc::make_mut(node)))
    }

    /// Puts `item` before what is at the place sought.
    pub fn insert(&mut self, seek: impl Seek<T>, item: T) {
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::Leaf(vec![item])));
            return;
        };
        if let Some(right) = Arc::make_mut(root).insert(seek, item, true) {
            let left = mem::replace(root, Arc::new(Node::Branch(Vec::with_capacity(2))));
            *root = Arc::new(Node::Branch(vec![Child::new(left), Child::new(Arc::new(right))]));
        }
    }

    /// Takes out the item at the place sought, which must be there; `None` if the tree is empty.
    pub fn remove(&mut self, seek: impl Seek<T>) -> Option<T> {
        let root = Arc::make_mut(self.root.as_mut()?);
        let item = root.remove(seek);
        if root.width() == 0 {
            self.root = None;
        }
        while let Some(Node::Branch(children)) = self.root.as_deref()
            && let [only] = &children[..]
        {
            self.root = Some(Arc::clone(&only.node));
        }
        Some(item)
    }
}

/// Builds full nodes, bottom up; items that have keys must come in their order.
impl<T: Item> FromIterator<T> for Tree<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut items = items.into_iter();
        let mut level = Vec::new();
        loop {
            let leaf: Vec<T> = items.by_ref().take(T::LEAF).collect();
            if leaf.is_empty() {
                break;
            }
            level.push(Child::new(Arc::new(Node::Leaf(leaf))));
        }
        while level.len() > 1 {
            let mut children = level.into_iter();
            level = Vec::with_capacity(children.len().div_ceil(BRANCH));
            while children.len() > 0 {
                let branch = children.by_ref().take(BRANCH).collect();
                level.push(Child::new(Arc::new(Node::Branch(branch))));
            }
        }
        Tree { root: level.pop().map(|root| root.node) }
    }
}

impl<T: Item> Node<T> {
    fn len(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Branch(children) => children.iter().map(|child| child.len).sum(),
        }
    }

    fn width(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Branch(children) => children.len(),
        }
    }

    fn max_width(&self) -> usize {
        match self {
            Node::Leaf(_) => T::LEAF,
            Node::Branch(_) => BRANCH,
        }
    }

    /// How many levels of nodes are below this one.
    fn height(&self) -> usize {
        match self {
            Node::Leaf(_) => 0,
            Node::Branch(children) => 1 + children[0].node.height(),
        }
    }

    fn find(&self, is_it: &impl Fn(&T) -> bool) -> Option<&T> {
        match self {
            Node::Leaf(items) => items.iter().find(|item| is_it(item)),
            Node::Branch(children) => children.iter().find_map(|child| child.node.find(is_it)),
        }
    }

    fn first_key(&self) -> T::Key {
        match self {
            Node::Leaf(items) => items[0].key(),
            Node::Branch(children) => children[0].first,
        }
    }

    fn first(&self) -> &T {
        let mut node = self;
        loop {
            match node {
                Node::Leaf(items) => return &items[0],
                Node::Branch(children) => node = &children[0].node,
            }
        }
    }
}

impl<T: Item + Clone> Node<T> {
    /// Inserts and, if the node was full, gives back the right part of what it had to be split into.
    /// `edge` is true on the right edge of the tree.
    fn insert(&mut self, mut seek: impl Seek<T>, item: T, edge: bool) -> Option<Self> {
        match self {
            Node::Leaf(items) => {
                let slot = seek.slot(items);
                put(items, slot, item, T::LEAF, edge).map(Node::Leaf)
            }
            Node::Branch(children) => {
                let i = seek.descend(children);
                let edge = edge && i + 1 == children.len();
                let child = &mut children[i];
                let split = Arc::make_mut(&mut child.node).insert(seek, item, edge);
                child.first = child.node.first_key();
                child.len += 1;
                let right = Child::new(Arc::new(split?));
                child.len -= right.len;
                put(children, i + 1, right, BRANCH, edge).map(Node::Branch)
            }
        }
    }

    fn remove(&mut self, mut seek: impl Seek<T>) -> T {
        match self {
            Node::Leaf(items) => items.remove(seek.slot(items)),
            Node::Branch(children) => {
                let i = seek.descend(children);
                let child = &mut children[i];
                let node = Arc::make_mut(&mut child.node);
                let item = node.remove(seek);
                child.len -= 1;
                if child.len == 0 {
                    children.remove(i);
                } else {
                    child.first = node.first_key();
                    if node.width() <= node.max_width() / 4 {
                        merge(children, i);
                    }
                }
                item
            }
        }
    }
}

/// Inserts into the entries of a node, at most `max`; if they are full, gives back the right part of the
/// two that it takes.
fn put<X>(entries: &mut Vec<X>, at: usize, entry: X, max: usize, edge: bool) -> Option<Vec<X>> {
    let len = entries.len();
    if len < max {
        if len == entries.capacity() {
            // In smaller steps than `Vec` would take: there are many nodes, and most stop growing.
            entries.reserve_exact((len / 4).max(4).min(max - len));
        }
        entries.insert(at, entry);
        return None;
    }
    if edge && at == len {
        // Growing at the end is the common way to grow: it leaves full nodes behind.
        return Some(vec![entry]);
    }
    let half = max / 2;
    let mut right = entries.split_off(half);
    entries.shrink_to(half + half / 2);
    if at <= half {
        entries.insert(at, entry);
    } else {
        right.insert(at - half, entry);
    }
    Some(right)
}

/// Merges child `i` with a neighbour if one node can hold both.
fn merge<T: Item + Clone>(children: &mut Vec<Child<T>>, i: usize) {
    let fits = |left: usize| match children.get(left..left + 2) {
        Some([a, b]) => a.node.width() + b.node.width() <= a.node.max_width(),
        _ => false,
    };
    let left = match i.checked_sub(1) {
        Some(left) if fits(left) => left,
        _ if fits(i) => i,
        _ => return,
    };
    let right = children.remove(left + 1);
    let left = &mut children[left];
    left.len += right.len;
    match (Arc::make_mut(&mut left.node), Arc::unwrap_or_clone(right.node)) {
        (Node::Leaf(items), Node::Leaf(mut more)) => items.append(&mut more),
        (Node::Branch(nodes), Node::Branch(mut more)) => nodes.append(&mut more),
        _ => unreachable!("all leaves are at the same depth"),
    }
}

impl<T: Item> Child<T> {
    fn new(node: Arc<Node<T>>) -> Self {
        Child { len: node.len(), first: node.first_key(), node }
    }
}

// By hand, because derived impls would ask for more of `T` than sharing a node needs.
impl<T: Item> Clone for Tree<T> {
    fn clone(&self) -> Self {
        Tree { root: self.root.clone() }
    }
}

impl<T: Item> Clone for Child<T> {
    fn clone(&self) -> Self {
        Child { len: self.len, first: self.first, node: Arc::clone(&self.node) }
    }
}

impl<T: Item + Clone> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Node::Leaf(items) => Node::Leaf(items.clone()),
            Node::Branch(children) => Node::Branch(children.clone()),
        }
    }
}

#[cfg(test)]
impl<T: Item> Tree<T> {
    /// Checks what this module promises of every tree.
    pub fn assert_sound(&self) {
        fn check<T: Item>(node: &Node<T>) -> (usize, T::Key, usize) {
            assert!((1..=node.max_width()).contains(&node.width()), "a node of {} entries", node.width());
            match node {
                Node::Leaf(items) => (items.len(), items[0].key(), 0),
                Node::Branch(children) => {
                    let mut below = Vec::new();
                    for child in children {
                        let (len, first, height) = check(&child.node);
                        assert_eq!(child.len, len);
                        assert!(child.first == first);
                        below.push(height);
                    }
                    below.dedup();
                    assert_eq!(below.len(), 1, "leaves at different depths");
                    (node.len(), node.first_key(), below[0] + 1)
                }
            }
        }
        if let Some(root) = &self.root {
            check(root);
            assert!(root.height() == 0 || root.width() > 1, "a root above a single child");
        }
        assert!(self.iter().is_sorted_by_key(Item::key));
        assert_eq!(self.iter().count(), self.len());
    }

    pub fn leaves(&self) -> usize {
        fn count<T: Item>(node: &Node<T>) -> usize {
            match node {
                Node::Leaf(_) => 1,
                Node::Branch(children) => children.iter().map(|child| count(&child.node)).sum(),
            }
        }
        self.root.as_ref().map_or(0, |root| count(root))
    }
}
