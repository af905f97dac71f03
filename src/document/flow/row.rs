//! The items of one array or object, and which text around them belongs to which.
//!
//! ```text
//! {               ◀ a comment here belongs to the bracket
//!   // above      ◀ belongs to nobody: it stays whatever happens to "a"
//!   "a": 1,  // behind   ◀ belongs to "a", and goes when "a" goes
//! }
//! ```

use std::ops::Range;

use super::tree::{Comment, Id, Item, Tree};

pub(super) struct Row<'t, 'a> {
    pub(super) tree: &'t Tree<'a>,
    pub(super) container: Id,
    pub(super) items: Vec<Item>,
}

impl<'t, 'a> Row<'t, 'a> {
    pub(super) fn new(tree: &'t Tree<'a>, container: Id) -> Row<'t, 'a> {
        Row { tree, container, items: tree.items(container).collect() }
    }

    /// What lies between the brackets.
    pub(super) fn inside(&self) -> Range<usize> {
        let span = self.tree.span(self.container);
        span.start + 1..span.end - 1
    }

    pub(super) fn start(&self, at: usize) -> usize {
        self.tree.start(self.items[at])
    }

    pub(super) fn end(&self, at: usize) -> usize {
        self.tree.end(self.items[at])
    }

    pub(super) fn comma(&self, at: usize) -> Option<usize> {
        self.tree.comma(self.items[at])
    }

    /// Behind the bracket or the comma before item `at`; with `at` one too many, behind the last.
    fn before(&self, at: usize) -> usize {
        match at.checked_sub(1) {
            None => self.inside().start,
            Some(previous) => self.comma(previous).map_or(self.end(previous), |comma| comma + 1),
        }
    }

    /// Behind item `at` with its comma and the comments that end its line, and so speak of it.
    pub(super) fn tail(&self, at: usize) -> usize {
        self.behind(self.before(at + 1))
    }

    /// Where something new may go in front of all items.
    pub(super) fn head(&self) -> usize {
        self.behind(self.inside().start)
    }

    /// Past the comments that follow `from` on its line, if nothing else does.
    fn behind(&self, from: usize) -> usize {
        let inside = self.inside();
        let text = self.tree.text();
        let mut at = from;
        for comment in self.tree.comments(from..inside.end) {
            if !text[at..comment.at.start].bytes().all(is_blank) {
                break;
            }
            at = comment.at.end;
        }
        let rest = text[at..inside.end].trim_start_matches([' ', '\t']);
        if rest.is_empty() || rest.starts_with(['\n', '\r']) { at } else { from }
    }

    /// The last comment that ends at or before `at`, inside this container.
    pub(super) fn comment_before(&self, at: usize) -> Option<&'t Comment> {
        self.tree.comments(self.inside().start..at).last()
    }

    pub(super) fn has_comments(&self, range: Range<usize>) -> bool {
        !self.tree.comments(range).is_empty()
    }

    /// Where the white space in front of item `at` begins.
    pub(super) fn gap_start(&self, at: usize) -> usize {
        let start = self.start(at);
        let floor = self.comment_before(start).map_or(0, |comment| comment.at.end).max(self.before(at));
        let gap = &self.tree.text()[floor..start];
        floor + gap.trim_end_matches([' ', '\t', '\n', '\r']).len()
    }

    /// The white space in front of item `at`.
    pub(super) fn gap(&self, at: usize) -> &'a str {
        &self.tree.text()[self.gap_start(at)..self.start(at)]
    }

    /// Whether item `at` is the first one on its line.
    pub(super) fn leads_line(&self, at: usize) -> bool {
        self.tree.line_start(self.start(at)) > self.before(at)
    }

    /// The line break and the indentation with which item `at` begins, if it is the first one on its
    /// line: what a neighbour on a line of its own would begin with.
    pub(super) fn line_lead(&self, at: usize) -> Option<(&'a str, &'a str)> {
        if !self.leads_line(at) {
            return None;
        }
        let start = self.start(at);
        let line = self.tree.line_start(start);
        Some((self.tree.line_break_before(line), self.tree.indent(start)))
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
