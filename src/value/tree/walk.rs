//! Walking a tree from left to right, with or without going into its subtrees.

use std::{slice, sync::Arc};

use super::{At, Child, Item, Node, Seek, Tree};

/// What comes next on a walk: a whole subtree, to be skipped or entered, or an item.
pub(in crate::value) enum Piece<'a, T: Item> {
    Subtree(&'a Child<T>, Height),
    Item(&'a T),
}

/// Levels above an item.
type Height = usize;

impl<'a, T: Item> Piece<'a, T> {
    /// The key of the first item.
    pub fn key(&self) -> T::Key {
        match self {
            Piece::Subtree(child, _) => child.first,
            Piece::Item(item) => item.key(),
        }
    }

    pub fn height(&self) -> Height {
        match self {
            Piece::Subtree(_, height) => *height,
            Piece::Item(_) => 0,
        }
    }

    /// Whether both are one subtree in memory.
    pub fn shared_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Piece::Subtree(a, _), Piece::Subtree(b, _)) => Arc::ptr_eq(&a.node, &b.node),
            _ => false,
        }
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        match self {
            Piece::Subtree(child, _) => child.len,
            Piece::Item(_) => 1,
        }
    }
}

/// A walk through a tree, from left to right, that can pass over whole subtrees.
pub(in crate::value) struct Walk<'a, T: Item> {
    /// What is still to come, the nearest last.
    rest: Vec<Rest<'a, T>>,
}

enum Rest<'a, T: Item> {
    Items(slice::Iter<'a, T>),
    Children(slice::Iter<'a, Child<T>>, Height),
}

impl<'a, T: Item> Walk<'a, T> {
    /// Begins at place `at`, inside the root.
    pub fn new(tree: &'a Tree<T>, at: usize) -> Self {
        let mut rest = Vec::new();
        let mut seek = At(at);
        let mut next = tree.root.as_ref();
        let mut height = next.map_or(0, |root| root.height());
        while let Some(node) = next {
            next = match &**node {
                Node::Leaf(items) => {
                    rest.push(Rest::Items(items[seek.slot(items)..].iter()));
                    None
                }
                Node::Branch(children) => {
                    let i = seek.descend(children);
                    rest.push(Rest::Children(children[i + 1..].iter(), height));
                    height -= 1;
                    Some(&children[i].node)
                }
            };
        }
        Walk { rest }
    }

    /// What comes next, without going there.
    pub fn peek(&mut self) -> Option<Piece<'a, T>> {
        loop {
            let next = match self.rest.last()? {
                Rest::Items(items) => items.as_slice().first().map(Piece::Item),
                Rest::Children(children, height) => {
                    children.as_slice().first().map(|child| Piece::Subtree(child, *height))
                }
            };
            if next.is_some() {
                return next;
            }
            self.rest.pop();
        }
    }

    /// Goes past the piece that `peek` showed.
    pub fn skip(&mut self) {
        match self.rest.last_mut() {
            Some(Rest::Items(items)) => drop(items.next()),
            Some(Rest::Children(children, _)) => drop(children.next()),
            None => {}
        }
    }

    /// Goes into the subtree that `peek` showed.
    pub fn enter(&mut self) {
        if let Some(Rest::Children(children, height)) = self.rest.last_mut()
            && let Some(child) = children.next()
        {
            let below = *height - 1;
            self.rest.push(match &*child.node {
                Node::Leaf(items) => Rest::Items(items.iter()),
                Node::Branch(children) => Rest::Children(children.iter(), below),
            });
        }
    }
}

/// All items in order.
pub(in crate::value) struct Iter<'a, T: Item> {
    walk: Walk<'a, T>,
    left: usize,
}

impl<'a, T: Item> Iter<'a, T> {
    pub fn new(tree: &'a Tree<T>) -> Self {
        Iter { walk: Walk::new(tree, 0), left: tree.len() }
    }
}

impl<'a, T: Item> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            match self.walk.rest.last_mut()? {
                Rest::Items(items) => {
                    if let Some(item) = items.next() {
                        self.left -= 1;
                        return Some(item);
                    }
                    self.walk.rest.pop();
                }
                Rest::Children(..) => {
                    self.walk.peek()?;
                    self.walk.enter();
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Item> ExactSizeIterator for Iter<'_, T> {}
