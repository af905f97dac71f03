//! A text's values as a flat tree of spans: an array of nodes in the order of the text, 16 bytes each. What a node is,
//! its first byte tells.
//!
//! The syntax trees of parsers do not say where the commas are, which is what adding and removing is about.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use super::Syntax;
use crate::limits;
use crate::value::Value;

/// No comma follows.
const NONE: u32 = u32::MAX;

/// A node's place in the array.
pub(in crate::document) type Id = u32;

#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// The node after this one's descendants.
    next: Id,
    /// Where the comma behind it is, or `NONE`.
    comma: u32,
}

#[derive(Clone)]
pub(in crate::document) struct Comment {
    pub(in crate::document) at: Range<usize>,
    /// Ends with its line: nothing may be moved up behind it.
    pub(in crate::document) to_line_end: bool,
}

pub(in crate::document) struct Tree<'a> {
    text: &'a str,
    syntax: &'static dyn Syntax,
    nodes: Vec<Node>,
    comments: Vec<Comment>,
    /// Containers that are only ever replaced as a whole, in order: they have no nodes inside.
    opaque: Vec<Id>,
    /// Where each line starts. Found when first asked for: most texts are only read.
    lines: OnceCell<Vec<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::document) enum Kind {
    /// Neither of the others: `true`, a number.
    Scalar,
    String,
    Array,
    Object,
}

/// An element of an array, or a key with its value.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) key: Option<Id>,
    pub(super) value: Id,
}

impl<'a> Tree<'a> {
    #[cfg(feature = "json")]
    pub(in crate::document) const ROOT: Id = 0;

    pub(super) fn syntax(&self) -> &'static dyn Syntax {
        self.syntax
    }

    pub(in crate::document) fn text(&self) -> &'a str {
        self.text
    }

    pub(in crate::document) fn span(&self, id: Id) -> Range<usize> {
        let node = self.nodes[id as usize];
        node.start as usize..node.end as usize
    }

    pub(in crate::document) fn slice(&self, id: Id) -> &'a str {
        &self.text[self.span(id)]
    }

    pub(in crate::document) fn kind(&self, id: Id) -> Kind {
        match self.text.as_bytes()[self.span(id).start] {
            b'"' | b'\'' => Kind::String,
            b'[' | b'{' if self.opaque.binary_search(&id).is_ok() => Kind::Scalar,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            _ => Kind::Scalar,
        }
    }

    /// What is directly inside this array or object.
    pub(super) fn items(&self, id: Id) -> impl Iterator<Item = Item> + '_ {
        let keyed = self.kind(id) == Kind::Object;
        let (mut at, end) = (id + 1, self.nodes[id as usize].next);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (key, value) = if keyed { (Some(at), at + 1) } else { (None, at) };
            at = self.nodes[value as usize].next;
            Some(Item { key, value })
        })
    }

    /// All arrays and objects, outer ones first.
    pub(super) fn containers(&self) -> impl Iterator<Item = Id> + '_ {
        (0..offset(self.nodes.len())).filter(|&id| matches!(self.kind(id), Kind::Array | Kind::Object))
    }

    pub(in crate::document) fn has_items(&self, id: Id) -> bool {
        self.nodes[id as usize].next > id + 1
    }

    pub(super) fn start(&self, item: Item) -> usize {
        self.span(item.key.unwrap_or(item.value)).start
    }

    pub(super) fn end(&self, item: Item) -> usize {
        self.span(item.value).end
    }

    pub(super) fn comma(&self, item: Item) -> Option<usize> {
        let comma = self.nodes[item.value as usize].comma;
        (comma != NONE).then_some(comma as usize)
    }

    /// The characters that a string or a key stands for.
    pub(in crate::document) fn string(&self, id: Id) -> Cow<'a, str> {
        self.syntax.string(self.slice(id))
    }

    /// The key of what is in an object.
    pub(super) fn name(&self, item: Item) -> Cow<'a, str> {
        self.string(item.key.expect("what is in an object has a key"))
    }

    pub(in crate::document) fn value(&self, id: Id) -> Value {
        match self.kind(id) {
            Kind::String => Value::String(self.string(id).into()),
            Kind::Array => Value::Array(self.items(id).map(|item| self.value(item.value)).collect()),
            Kind::Object => {
                let entries = self.items(id).map(|item| (self.name(item), self.value(item.value)));
                Value::Object(entries.collect())
            }
            Kind::Scalar => self.syntax.scalar(self.slice(id)),
        }
    }

    /// Whether this node stands for `value`. Builds nothing, and looks no further than the first
    /// difference.
    pub(in crate::document) fn matches(&self, id: Id, value: &Value) -> bool {
        match (self.kind(id), value) {
            (Kind::String, Value::String(text)) => self.string(id) == **text,
            (Kind::Array, Value::Array(list)) => {
                let mut elements = list.iter();
                self.items(id).all(|item| elements.next().is_some_and(|value| self.matches(item.value, value)))
                    && elements.next().is_none()
            }
            (Kind::Object, Value::Object(map)) if self.syntax.is_ordered() => {
                let mut entries = map.iter();
                self.items(id).all(|item| {
                    let entry = entries.next();
                    entry.is_some_and(|(name, value)| self.name(item) == *name && self.matches(item.value, value))
                }) && entries.next().is_none()
            }
            (Kind::Object, Value::Object(map)) => {
                let alike = |item: Item| map.get(&self.name(item)).is_some_and(|value| self.matches(item.value, value));
                self.items(id).count() == map.len() && self.items(id).all(alike)
            }
            (Kind::Scalar, value) => self.syntax.scalar(self.slice(id)) == *value,
            _ => false,
        }
    }

    /// The comments that lie in `range`, in order.
    pub(in crate::document) fn comments(&self, range: Range<usize>) -> &[Comment] {
        let from = self.comments.partition_point(|comment| comment.at.start < range.start);
        let to = self.comments.partition_point(|comment| comment.at.end <= range.end);
        &self.comments[from..to.max(from)]
    }

    /// Where the line that holds byte `at` begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        let lines = self.lines.get_or_init(|| {
            let bytes = self.text.as_bytes();
            let ends = bytes
                .iter()
                .enumerate()
                .filter(|&(index, &byte)| byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) != Some(&b'\n')));
            std::iter::once(0).chain(ends.map(|(index, _)| index + 1)).collect()
        });
        lines[lines.partition_point(|&start| start <= at) - 1]
    }

    /// The line break that ends the line before the one that begins at `line_start`.
    pub(super) fn line_break_before(&self, line_start: usize) -> &'a str {
        let before = &self.text[..line_start];
        ["\r\n", "\n", "\r"].into_iter().find(|eol| before.ends_with(eol)).unwrap_or("")
    }

    /// The white space at the beginning of the line that holds byte `at`.
    pub(super) fn indent(&self, at: usize) -> &'a str {
        let line = &self.text[self.line_start(at)..];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    pub(super) fn spans_lines(&self, id: Id) -> bool {
        let span = self.span(id);
        self.line_start(span.start) != self.line_start(span.end)
    }
}

/// Makes a tree while a text is read.
#[derive(Default)]
pub(in crate::document) struct Builder {
    nodes: Vec<Node>,
    pub(in crate::document) comments: Vec<Comment>,
    opaque: Vec<Id>,
}

impl Builder {
    /// Adds a node; what is added until it is [closed](Builder::close) lies inside of it.
    pub(in crate::document) fn push(&mut self, at: Range<usize>) -> Id {
        let id = self.next();
        self.nodes.push(Node { start: offset(at.start), end: offset(at.end), next: id + 1, comma: NONE });
        id
    }

    /// The node to come.
    pub(in crate::document) fn next(&self) -> Id {
        offset(self.nodes.len())
    }

    #[cfg(feature = "json")]
    pub(in crate::document) fn start(&self, id: Id) -> usize {
        self.nodes[id as usize].start as usize
    }

    /// A comma was found behind this item.
    pub(in crate::document) fn comma(&mut self, id: Id, at: usize) {
        self.nodes[id as usize].comma = offset(at);
    }

    /// The container ends here.
    pub(in crate::document) fn close(&mut self, id: Id, end: usize) {
        let next = self.next();
        let node = &mut self.nodes[id as usize];
        (node.end, node.next) = (offset(end), next);
    }

    /// The container ends here, and what is inside of it is not to be looked at.
    #[cfg(feature = "toml")]
    pub(in crate::document) fn close_opaque(&mut self, id: Id, end: usize) {
        self.nodes.truncate(id as usize + 1);
        self.opaque.retain(|&inner| inner < id);
        self.close(id, end);
        self.opaque.push(id);
    }

    pub(in crate::document) fn finish<'a>(self, text: &'a str, syntax: &'static dyn Syntax) -> Tree<'a> {
        let Builder { nodes, comments, mut opaque } = self;
        opaque.sort_unstable();
        Tree { text, syntax, nodes, comments, opaque, lines: OnceCell::new() }
    }
}

/// Positions and counts fit: a document is much smaller than 4 GiB.
fn offset(at: usize) -> u32 {
    const { assert!(limits::RECORD_MAX < NONE as usize) };
    u32::try_from(at).expect("a document is no larger than limits::RECORD_MAX")
}
