//! Items between brackets: `[a, b]` and `{a: 1, b: 2}`, on one line or on several.

use std::ops::Range;

use super::{Done, Slot, Splicer, Wanted};
use crate::document::yaml::tree::{Item, Node, has_comment};
use crate::document::yaml::write;

/// Whether a comma must not touch what ends here: the colon of a key without a value, and what would be an indicator at the begin
/// of a line.
fn needs_space(item: &str) -> bool {
    item.ends_with(':') || matches!(item.rsplit(char::is_whitespace).next(), Some("-" | "?"))
}

impl<'t, 'a> Splicer<'t, 'a> {
    pub(super) fn arrange_flow(&mut self, node: &Node, slots: &[Slot], kept: &[bool], wanted: &[Wanted<'_>]) -> Done {
        let by_lines = (0..node.items.len()).all(|at| self.own_lines(node, at).is_some());
        let (mut previous, mut added, mut comment) = (None, None, 0);
        for slot in slots {
            match *slot {
                Slot::Kept { old, .. } | Slot::Renamed { old, .. } => previous = Some(old),
                Slot::Moved { new, .. } | Slot::New(new) => {
                    let moved = match *slot {
                        Slot::Moved { old, renamed: false, .. } => self.moved_flow_item(node, old, wanted[new]),
                        _ => None,
                    };
                    let [new, behind] = moved
                        .unwrap_or_else(|| [self.flow_item(node, previous.unwrap_or(0), wanted[new]), String::new()]);
                    match by_lines {
                        true => self.insert_line(node, previous, [&new, &behind], comment),
                        false => self.insert_between(node, previous, &new),
                    }
                    comment = behind.len();
                    added = previous;
                }
            }
        }
        let mut at = 0;
        while at < kept.len() {
            let run = at..at + kept[at..].iter().take_while(|&&kept| !kept).count();
            at = run.end + 1;
            for item in &node.items[run.clone()] {
                if !self.moved.contains(&item.value) {
                    self.free(item.value)?;
                }
            }
            match by_lines {
                _ if run.is_empty() => {}
                true => self.remove_flow_lines(node, run.clone(), added == run.start.checked_sub(1)),
                false => self.remove_between(node, run)?,
            }
        }
        Ok(())
    }

    /// Where the lines of item `at` end, if it has them for itself.
    fn own_lines(&self, node: &Node, at: usize) -> Option<usize> {
        let (tree, item) = (self.tree, node.items[at]);
        let end = tree.end(item);
        let rest = tree.text[end..tree.line_end(end)].trim_start();
        let rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if at + 1 == node.items.len() && self.comma(node, at).is_none() => rest,
            None => return None,
        };
        (tree.leads_line(item.start) && (rest.is_empty() || rest.starts_with('#'))).then(|| tree.next_line(end))
    }

    /// Where an item ends, with the space that it needs before a comma, unless a comment needs that.
    fn end_in_brackets(&self, item: Item) -> usize {
        let end = self.tree.end(item);
        let (before, behind) = self.tree.text.split_at(end);
        end + usize::from(needs_space(before) && behind.starts_with(' ') && !behind.starts_with(" #"))
    }

    /// Where the comma behind item `at` is, if there is one.
    fn comma(&self, node: &Node, at: usize) -> Option<usize> {
        let end = self.tree.end(node.items[at]);
        let next = node.items.get(at + 1).map_or(node.end - 1, |item| item.start);
        let gap = &self.tree.text[end..next];
        let mut from = end;
        gap.split_inclusive('\n').find_map(|line| {
            let code = line.split('#').next().unwrap_or(line);
            let found = code.find(',').map(|comma| from + comma);
            from += line.len();
            found
        })
    }

    /// The text of an old item that comes to another place as it is, and the comment that ends its line.
    fn moved_flow_item(&mut self, node: &Node, old: usize, (_, value): Wanted<'_>) -> Option<[String; 2]> {
        let (tree, item) = (self.tree, node.items[old]);
        let end = tree.end(item);
        let text = &tree.text[item.start..end];
        if tree.nodes[item.value].value != *value {
            return None;
        }
        self.moved.insert(item.value);
        let rest = &tree.text[end..tree.line_end(end)];
        let rest = rest.trim_start_matches(' ').strip_prefix(',').unwrap_or(rest);
        let comment = if has_comment(rest) { rest } else { "" };
        Some([[text, if needs_space(text) { " " } else { "" }].concat(), comment.to_owned()])
    }

    /// The text of a new item, written as the one of number `near` is.
    fn flow_item(&self, node: &Node, near: usize, (key, value): Wanted<'_>) -> String {
        let tree = self.tree;
        let mut new = String::new();
        if let (Some(key), Some(near_key)) = (key, node.items[near].key) {
            let near_key = &tree.nodes[near_key];
            let near_value = &tree.nodes[node.items[near].value];
            let colon = &tree.text[near_key.end..near_value.start.max(near_key.end)];
            write::key(&mut new, key, value, self.quote_at(near_key.start));
            let is_quoted = new.starts_with(['"', '\'']);
            let is_usual = colon.trim_end_matches(' ') == ":" && (is_quoted || colon.ends_with(' '));
            new.push_str(if is_usual { colon } else { ": " });
        }
        write::flow(&mut new, value);
        new
    }

    /// Adds an item and the comment behind it on a line of their own. What came to this place before it ends in a comment of
    /// so many bytes.
    fn insert_line(&mut self, node: &Node, previous: Option<usize>, [new, behind]: [&str; 2], comment: usize) {
        let tree = self.tree;
        let line_break = self.style.line_break;
        let item = node.items[previous.unwrap_or(0)];
        let start = tree.line_start(item.start);
        let pad = &tree.text[start..item.start];
        let Some(at) = previous else {
            return self.splice(start..start, format!("{pad}{new},{behind}{line_break}"));
        };
        let end = tree.end(item);
        let line = tree.next_line(end);
        if self.comma(node, at).is_some() {
            return self.splice(line..line, format!("{pad}{new},{behind}{line_break}"));
        }
        // Behind the last one, or what has just come behind it.
        match self.splices.last_mut().filter(|splice| splice.at == (line..line)) {
            Some(last) => {
                let len = last.with.len() - line_break.len() - comment;
                last.with.insert(len, ',');
            }
            None => self.splice(end..end, if needs_space(&tree.text[..end]) { " ," } else { "," }),
        }
        self.splice(line..line, format!("{pad}{new}{behind}{line_break}"));
    }

    fn insert_between(&mut self, node: &Node, previous: Option<usize>, new: &str) {
        let tree = self.tree;
        let gap = match (node.items[0], node.items.get(1)) {
            (first, Some(second)) => &tree.text[tree.end(first)..second.start],
            _ => ", ",
        };
        let separator = if gap.trim_end_matches(' ') == "," { gap } else { ", " };
        match previous {
            Some(at) => {
                let end = self.end_in_brackets(node.items[at]);
                let space = if needs_space(&tree.text[..end]) { " " } else { "" };
                self.splice(end..end, format!("{space}{separator}{new}"));
            }
            None => self.splice(node.items[0].start..node.items[0].start, format!("{new}{separator}")),
        }
    }

    fn remove_flow_lines(&mut self, node: &Node, run: Range<usize>, followed: bool) {
        let tree = self.tree;
        for item in &node.items[run.clone()] {
            self.splice(tree.line_start(item.start)..tree.next_line(tree.end(*item)), "");
        }
        let is_last = run.end == node.items.len() && self.comma(node, run.end - 1).is_none();
        if let Some(before) = run.start.checked_sub(1).filter(|_| is_last && !followed)
            && let Some(comma) = self.comma(node, before)
        {
            self.splice(comma..comma + 1, "");
        }
    }

    /// Removes some of the items, with what is between them; others stay.
    fn remove_between(&mut self, node: &Node, run: Range<usize>) -> Done {
        let tree = self.tree;
        let last = tree.end(node.items[run.end - 1]);
        let range = match (node.items.get(run.end), run.start.checked_sub(1)) {
            (Some(next), _) => node.items[run.start].start..next.start,
            (None, Some(before)) => self.end_in_brackets(node.items[before])..last,
            (None, None) => return self.refuse(node.start, "nothing would be left here"),
        };
        let mut from = range.start;
        let mut gap = |to: usize, next: usize| {
            let found = from < to && has_comment(&tree.text[from..to]);
            from = next;
            found
        };
        let found = run.into_iter().any(|at| gap(node.items[at].start, tree.end(node.items[at])));
        if found || gap(range.end, range.end) {
            return self.refuse(range.start, "a comment would go with this; edit the file by hand");
        }
        self.splice(range, "");
        Ok(())
    }
}
