//! Items of block collections, which come and go as lines.

use std::ops::Range;

use super::{Done, Place, Slot, Splicer, Wanted, is_filled};
use crate::document::yaml::tree::{Item, Node};
use crate::document::yaml::write;
use crate::value::Value;

impl<'t, 'a> Splicer<'t, 'a> {
    pub(super) fn arrange_block(&mut self, node: &Node, slots: &[Slot], kept: &[bool], wanted: &[Wanted<'_>]) -> Done {
        let mut previous = None;
        for slot in slots {
            match *slot {
                Slot::Kept { old, .. } | Slot::Renamed { old, .. } => previous = Some(old),
                Slot::New(new) => self.insert_lines(node, previous, wanted[new]),
            }
        }
        let mut at = 0;
        while at < kept.len() {
            let run = at..at + kept[at..].iter().take_while(|&&kept| !kept).count();
            at = run.end + 1;
            if !run.is_empty() {
                self.remove_run(node, run)?;
            }
        }
        Ok(())
    }

    /// Adds an item behind the old one `previous`, or before all of them.
    fn insert_lines(&mut self, node: &Node, previous: Option<usize>, (key, value): Wanted<'_>) {
        let tree = self.tree;
        let (column, first) = (tree.column(node.start), node.items[0].start);
        let mut new = String::new();
        match key {
            Some(key) => {
                // Quoted as its neighbour is.
                let near = node.items[previous.unwrap_or(0)].key.and_then(|key| self.quote_at(tree.nodes[key].start));
                write::entry(&mut new, key, value, column, near, &self.style);
            }
            None => {
                new.push_str("- ");
                write::block(&mut new, value, column + 2, &self.style);
            }
        }
        let (pad, line_break) = (" ".repeat(column), self.style.line_break);
        match previous {
            Some(previous) => {
                let at = tree.next_line(tree.end(node.items[previous]));
                self.splice(at..at, pad + &new + line_break);
            }
            None if tree.leads_line(first) => {
                let at = self.above_comments(node, first);
                self.splice(at..at, pad + &new + line_break);
            }
            None => self.splice(first..first, new + line_break + &pad),
        }
    }

    /// The line of the first item, or of the comments that touch it from above, unless they are the head of it all.
    fn above_comments(&self, node: &Node, first: usize) -> usize {
        let tree = self.tree;
        let line = tree.line_start(first);
        let head = if node.gate < line { tree.next_line(node.gate) } else { 0 };
        let mut at = line;
        while at > head {
            let before = tree.line_start(at - 1);
            if !tree.text[before..at].trim_start().starts_with('#') {
                return at;
            }
            at = before;
        }
        line
    }

    /// Removes some of the items; others stay.
    fn remove_run(&mut self, node: &Node, run: Range<usize>) -> Done {
        let tree = self.tree;
        for item in &node.items[run.clone()] {
            self.free(item.value)?;
        }
        let start = node.items[run.start].start;
        if tree.leads_line(start) {
            self.remove_lines(&node.items[run]);
            return Ok(());
        }
        // What comes next moves up behind the dash: an item, or a comment before it.
        let next = node.items[run.end].start;
        let line = tree.next_line(tree.end(node.items[run.end - 1]));
        let comment = tree.text[line.min(next)..next].find('#').map(|at| line + at);
        self.splice(start..comment.unwrap_or(next), "");
        Ok(())
    }

    /// Removes the lines of neighbouring items.
    fn remove_lines(&mut self, items: &[Item]) {
        let tree = self.tree;
        let Some(first) = items.first() else { return };
        let start = tree.line_start(first.start);
        let scalars = &tree.block_scalars;
        let before = scalars.partition_point(|&scalar| scalar < start).checked_sub(1).map(|at| scalars[at]);
        let behind_scalar = before.is_some_and(|before| tree.text[before..start].trim().is_empty());
        for item in items {
            let end = tree.next_line(tree.end(*item));
            self.splice(tree.line_start(item.start)..end, "");
            if behind_scalar {
                self.keep_out_of_scalar(end, tree.column(item.start));
            }
        }
    }

    /// Removes blank lines from `line` on, and what makes comments there deeper than `column`: a block scalar that is now right
    /// before them would take them in.
    fn keep_out_of_scalar(&mut self, mut line: usize, column: usize) {
        let tree = self.tree;
        while line < tree.text.len() {
            let (text, next) = (&tree.text[line..tree.line_end(line)], tree.next_line(line));
            let content = text.trim_start_matches(' ');
            if content.trim().is_empty() {
                self.splice(line..next, "");
            } else if content.starts_with('#') {
                let deeper = (text.len() - content.len()).saturating_sub(column);
                self.splice(line..line + deeper, "");
            } else {
                return;
            }
            line = next;
        }
    }

    /// Writes `target` in the place of a block collection none of whose items stay.
    pub(super) fn replace_block(&mut self, node: &Node, target: &Value, place: Place) -> Done {
        let tree = self.tree;
        for item in &node.items {
            self.free(item.value)?;
        }
        let first = node.items[0].start;
        let mut new = String::new();
        let mut rest = &node.items[..];
        match place {
            Place::Key(column) if tree.leads_line(first) && tree.line_end(node.gate) < first => {
                if is_filled(target) {
                    write::below(&mut new, target, column, &self.style);
                    let at = tree.line_end(node.gate);
                    self.splice(at..at, new);
                } else {
                    new.push(' ');
                    write::flow(&mut new, target);
                    self.splice(node.gate..node.gate, new);
                }
            }
            _ => {
                rest = &node.items[1..];
                write::block(&mut new, target, tree.column(first), &self.style);
                self.splice(first..tree.end(node.items[0]), new);
            }
        }
        self.remove_lines(rest);
        Ok(())
    }
}
