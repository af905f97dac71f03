//! Items of block collections, which come and go as lines.

use std::ops::Range;

use super::{Done, Moving, Place, Slot, Splicer, Wanted};
use crate::document::Unpatchable;
use crate::document::align::is_filled;
use crate::document::edit;
use crate::document::yaml::tree::{Id, Item, Kind, Node};
use crate::document::yaml::write;
use crate::value::Value;

impl<'t, 'a> Splicer<'t, 'a> {
    pub(super) fn arrange_block(&mut self, node: &Node, slots: &[Slot], kept: &[bool], wanted: &[Wanted<'_>]) -> Done {
        let mut previous = None;
        let front = self.front(node);
        for slot in slots {
            let lines = match *slot {
                Slot::Kept { old, .. } | Slot::Renamed { old, .. } => {
                    previous = Some(old);
                    continue;
                }
                Slot::Moved { old, new, renamed } => {
                    let key = wanted[new].0.filter(|_| renamed);
                    self.moved_lines(node, old, (key, wanted[new].1))?
                }
                Slot::New(new) => self.new_lines(node, previous, wanted[new]),
            };
            self.insert_lines(node, previous.map_or(front, |at| self.tail(node.items[at])), &lines);
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

    /// The lines of a new item, which is to stand behind the old one `previous`, or before all of them.
    fn new_lines(&self, node: &Node, previous: Option<usize>, (key, value): Wanted<'_>) -> String {
        let tree = self.tree;
        let column = tree.column(node.start);
        let mut new = " ".repeat(column);
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
        new + self.style.line_break
    }

    /// The lines of an old item, with its value made to be `value`, and this key if it gets another one.
    fn moved_lines(&mut self, node: &Node, old: usize, (key, value): Wanted<'_>) -> Result<String, Unpatchable> {
        let tree = self.tree;
        let item = node.items[old];
        self.moved.insert(item.value);
        let outer = std::mem::take(&mut self.splices);
        self.rename(node, old, key)?;
        self.node(item.value, value, self.inside(node))?;
        if self.moving == Moving::SpelledOut && tree.nodes[item.value].value == *value {
            self.spell_out(item.value);
        }
        let inner = std::mem::replace(&mut self.splices, outer);
        let (start, end) = (self.lead(node, old), self.tail(item));
        let lines = edit::apply(tree.text, start..end, inner)?;
        // The first item may stand behind a dash.
        let pad = tree.column(start);
        Ok(if tree.leads_line(item.start) { lines } else { " ".repeat(pad) + &lines })
    }

    /// Writes what they stand for in the place of the aliases in `id`, but for those whose anchors are in there too.
    fn spell_out(&mut self, id: Id) {
        let tree = self.tree;
        let inside = tree.below(id);
        let anchors: Vec<usize> = inside.iter().map(|&id| tree.nodes[id].anchor).filter(|&anchor| anchor > 0).collect();
        let stays =
            |start: &usize| anchors.iter().any(|anchor| tree.used.get(anchor).is_some_and(|at| at.contains(start)));
        for alias in inside.into_iter().map(|id| &tree.nodes[id]).filter(|node| node.kind == Kind::Alias) {
            if !stays(&alias.start) {
                let mut new = String::new();
                write::flow(&mut new, &alias.value);
                self.splice(alias.start..alias.end, new);
            }
        }
    }

    /// Adds the lines of an item, at the beginning of a line or where the first item stands behind a dash.
    fn insert_lines(&mut self, node: &Node, at: usize, lines: &str) {
        let pad = self.tree.column(node.start);
        if at == node.start && !self.tree.leads_line(at) {
            return self.splice(at..at, lines[pad..].to_owned() + &lines[..pad]);
        }
        self.splice(at..at, lines);
    }

    /// Where lines before all items go: above the comments that touch the first one, unless they are the head of it all.
    fn front(&self, node: &Node) -> usize {
        let first = node.items[0].start;
        match self.tree.leads_line(first) {
            true => self.above_comments(node, first).min(self.lead(node, 0)),
            false => first,
        }
    }

    /// Where the lines of an item begin, with those of the comments that speak of it: they touch it from above and stand as far
    /// in. What stands above the first one may speak of all, unless others have such comments too.
    fn lead(&self, node: &Node, at: usize) -> usize {
        let item = node.items[at];
        if !self.tree.leads_line(item.start) {
            return item.start;
        }
        let (start, line) = (self.touching(item), self.tree.line_start(item.start));
        let has_comments = |&other: &Item| self.touching(other) < self.tree.line_start(other.start);
        let is_its_own = start == line || at > 0 || start > 0 && node.items[1..].iter().any(has_comments);
        if is_its_own { start } else { line }
    }

    /// Where the comments begin that touch an item from above, or its line.
    fn touching(&self, item: Item) -> usize {
        let tree = self.tree;
        let mut start = tree.line_start(item.start);
        let column = item.start - start;
        while start > 0 {
            let above = tree.line_start(start - 1);
            if !is_comment(&tree.text[above..start], |found| found == column) {
                break;
            }
            start = above;
        }
        start
    }

    /// Behind the lines of an item and of the comments below that stand further in, and so are inside of it.
    fn tail(&self, item: Item) -> usize {
        let tree = self.tree;
        let column = tree.column(item.start);
        let mut end = tree.next_line(tree.end(item));
        let mut line = end;
        while line < tree.text.len() {
            let next = tree.next_line(line);
            if is_comment(&tree.text[line..next], |found| found > column) {
                end = next;
            } else if !tree.text[line..next].trim().is_empty() {
                break;
            }
            line = next;
        }
        end
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
            if !self.moved.contains(&item.value) {
                self.free(item.value)?;
            }
        }
        let start = node.items[run.start].start;
        if tree.leads_line(start) {
            self.remove_lines(node, run);
            return Ok(());
        }
        // What comes next moves up behind the dash: an item, or a comment before it.
        for at in run.clone() {
            let line = self.lines(node, at).end;
            let next = node.items[at + 1].start;
            let lead = if at + 1 < run.end { self.lines(node, at + 1).start } else { next };
            if let Some(comment) = tree.text[line.min(lead)..lead].find('#') {
                self.splice(start..line + comment, "");
                self.remove_lines(node, at + 1..run.end);
                return Ok(());
            }
        }
        self.splice(start..node.items[run.end].start, "");
        Ok(())
    }

    /// The lines that go with an item.
    fn lines(&self, node: &Node, at: usize) -> Range<usize> {
        let (tree, item) = (self.tree, node.items[at]);
        match self.moved.contains(&item.value) {
            true => self.lead(node, at)..self.tail(item),
            false => tree.line_start(item.start)..tree.next_line(tree.end(item)),
        }
    }

    /// Removes the lines of neighbouring items.
    fn remove_lines(&mut self, node: &Node, run: Range<usize>) {
        let tree = self.tree;
        if run.is_empty() {
            return;
        }
        let start = self.lines(node, run.start).start;
        let scalars = &tree.block_scalars;
        let before = scalars.partition_point(|&scalar| scalar < start).checked_sub(1).map(|at| scalars[at]);
        let behind_scalar = before.is_some_and(|before| tree.text[before..start].trim().is_empty());
        for at in run {
            let lines = self.lines(node, at);
            let end = lines.end;
            self.splice(lines, "");
            if behind_scalar {
                self.keep_out_of_scalar(end, tree.column(node.items[at].start));
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
                if deeper > 0 {
                    self.splice(line..line + deeper, "");
                }
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
        let mut rest = 0..node.items.len();
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
                rest.start = 1;
                write::block(&mut new, target, tree.column(first), &self.style);
                self.splice(first..tree.end(node.items[0]), new);
            }
        }
        self.remove_lines(node, rest);
        Ok(())
    }
}

/// Whether this line is a comment that stands at such a column.
fn is_comment(line: &str, at: impl Fn(usize) -> bool) -> bool {
    let content = line.trim_start_matches(' ');
    content.starts_with('#') && at(line.len() - content.len())
}
