//! Tree and target, walked together: which bytes to replace, and by what.
//!
//! Where both agree no byte is touched. Where they differ, the smallest thing that is the difference
//! is replaced: a scalar, an item with its comma. One walk finds all edits and one pass applies them,
//! so the cost does not depend on how many there are.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::layout::{Layout, Style};
use super::row::Row;
use super::tree::{Id, Item, Kind, Tree};
use crate::document::Unpatchable;
use crate::document::align::{self, align, in_order_of, longest_rise};
use crate::document::edit::{Splice, apply};
use crate::value::{List, Map, Value};

/// The least changes that make the node `id` of `tree` stand for `target`. Whoever patches many values of one text finds out
/// about its style once.
pub(in crate::document) fn patch<'a>(
    tree: &Tree<'a>,
    style: Option<Style<'a>>,
    id: Id,
    target: &Value,
) -> Result<Vec<Splice>, Unpatchable> {
    let style = style.map_or_else(OnceCell::new, OnceCell::from);
    let mut patcher = Patcher { tree, style, splices: Vec::new() };
    patcher.value(id, target, None)?;
    Ok(patcher.splices)
}

/// What becomes of a container's items, in the target's order.
enum Slot<'v> {
    /// The old item of this number stays where it is.
    Kept(usize),
    /// Something to write here.
    New(New<'v>),
}

struct New<'v> {
    key: Option<&'v str>,
    value: &'v Value,
    /// The old item that comes here from another place.
    moved: Option<usize>,
}

/// The item of this number in a row: where a value stands.
type Place<'p, 't, 'a> = Option<(&'p Row<'t, 'a>, usize)>;

struct Patcher<'t, 'a> {
    tree: &'t Tree<'a>,
    style: OnceCell<Style<'a>>,
    splices: Vec<Splice>,
}

impl<'t, 'a> Patcher<'t, 'a> {
    /// Makes the node `id` stand for `target`. The tree's depth bounds the recursion.
    fn value(&mut self, id: Id, target: &Value, place: Place<'_, 't, 'a>) -> Result<(), Unpatchable> {
        match (self.tree.kind(id), target) {
            (Kind::Array, Value::Array(list)) if !self.is_blank(id) => self.array(id, list),
            (Kind::Object, Value::Object(map)) if !self.is_blank(id) => self.object(id, map),
            _ if self.tree.matches(id, target) => Ok(()),
            _ => {
                let layout = self.layout(id, target, place);
                let mut with = String::new();
                self.style().write(&mut with, target, layout);
                self.splice(self.tree.span(id), with);
                Ok(())
            }
        }
    }

    /// An empty container without comments has nothing to keep.
    fn is_blank(&self, id: Id) -> bool {
        !self.tree.has_items(id) && self.tree.comments(self.tree.span(id)).is_empty()
    }

    fn layout(&self, id: Id, target: &Value, place: Place<'_, 't, 'a>) -> Layout<'a> {
        match place {
            None => self.style().alone(self.tree, id, target),
            Some((row, at)) => self.style().beside(row, at, Some(id), target),
        }
    }

    fn style(&self) -> &Style<'a> {
        self.style.get_or_init(|| Style::of(self.tree))
    }

    fn splice(&mut self, at: Range<usize>, with: impl Into<String>) {
        self.splices.push(Splice { at, with: with.into() });
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.splice(at..at, text);
    }

    fn array(&mut self, id: Id, list: &List) -> Result<(), Unpatchable> {
        let tree = self.tree;
        let row = Row::new(tree, id);
        let wanted: Vec<&Value> = list.iter().collect();
        let same = |at: usize, value: &Value| tree.matches(row.items[at].value, value);
        let old_value = |at: usize| tree.value(row.items[at].value);
        let aligned = align(row.items.len(), &wanted, same, old_value, Value::to_string);
        let mut slots = Vec::with_capacity(aligned.len());
        for slot in aligned {
            slots.push(match slot {
                align::Slot::Kept(at, new) => {
                    self.value(row.items[at].value, wanted[new], Some((&row, at)))?;
                    Slot::Kept(at)
                }
                // With all that is said in it.
                align::Slot::Moved(at, new) => Slot::New(New { key: None, value: wanted[new], moved: Some(at) }),
                align::Slot::New(new) => Slot::New(New { key: None, value: wanted[new], moved: None }),
            });
        }
        let stays = slots.iter().enumerate().all(|(index, slot)| matches!(slot, Slot::Kept(at) if *at == index));
        if stays && slots.len() == row.items.len() { Ok(()) } else { self.arrange(&row, &slots) }
    }

    fn object(&mut self, id: Id, map: &Map) -> Result<(), Unpatchable> {
        let tree = self.tree;
        let row = Row::new(tree, id);
        let name = |at: usize| tree.name(row.items[at]);
        let wanted: Vec<(&str, &Value)> = match tree.syntax().is_ordered() {
            true => map.iter().collect(),
            false => in_order_of((0..row.items.len()).map(name), map),
        };
        let (old, new) = (row.items.len(), wanted.len());
        let both = old.min(new);
        let first = (0..both).take_while(|&at| name(at) == wanted[at].0).count();
        let last = (1..=both - first).take_while(|&back| name(old - back) == wanted[new - back].0).count();

        let mut slots: Vec<Slot<'_>> = (0..first).map(Slot::Kept).collect();
        let between: HashMap<Cow<'_, str>, usize> = (first..old - last).map(|at| (name(at), at)).collect();
        let mut found: Vec<Option<usize>> =
            wanted[first..new - last].iter().map(|(key, _)| between.get(*key).copied()).collect();
        let known: HashSet<usize> = found.iter().flatten().copied().collect();
        let lost = (first..old - last).filter(|at| !known.contains(at));
        let lost = lost.map(|at| (at, tree.value(row.items[at].value)));
        let come = found.iter().enumerate().filter(|(_, at)| at.is_none());
        let come = come.map(|(index, _)| (index, wanted[first + index].1));
        for (at, index) in align::renamed(lost, come, Value::to_string) {
            found[index] = Some(at);
        }
        let stays = longest_rise(&found);
        let renamed = self.renamed(&row, first..old - last, &wanted[first..new - last], &found, &stays);
        for (index, (&(key, value), &found)) in wanted[first..new - last].iter().zip(&found).enumerate() {
            let kept = if found.is_some() { found.filter(|_| stays[index]) } else { renamed[index] };
            slots.push(match kept {
                Some(at) => {
                    self.rename(row.items[at], key);
                    Slot::Kept(at)
                }
                None => Slot::New(New { key: Some(key), value, moved: found }),
            });
        }
        slots.extend((old - last..old).map(Slot::Kept));

        for (slot, (_, value)) in slots.iter().zip(&wanted) {
            if let Slot::Kept(at) = *slot {
                self.value(row.items[at].value, value, Some((&row, at)))?;
            }
        }
        if first + last == old && old == new {
            return Ok(());
        }
        self.arrange(&row, &slots)
    }

    /// Gives an item this key, if it has another one.
    fn rename(&mut self, item: Item, key: &str) {
        if let Some(old) = item.key.filter(|&old| self.tree.string(old) != key) {
            let mut with = String::new();
            self.tree.syntax().write_key(&mut with, key);
            self.splice(self.tree.span(old), with);
        }
    }

    /// Which new key is only another name of which old item: between two items that stay, as many new keys as old ones are
    /// the old ones renamed where the values are the same.
    fn renamed(
        &self,
        row: &Row<'t, 'a>,
        between: Range<usize>,
        wanted: &[(&str, &Value)],
        found: &[Option<usize>],
        stays: &[bool],
    ) -> Vec<Option<usize>> {
        let known: HashSet<usize> = found.iter().flatten().copied().collect();
        let mut renamed = vec![None; wanted.len()];
        let (mut old_at, mut new_at) = (between.start, 0);
        for at in 0..=wanted.len() {
            let end = (at == wanted.len()).then_some(between.end);
            let Some(stay) = end.or_else(|| found[at].filter(|_| stays[at])) else { continue };
            if stay - old_at == at - new_at {
                for (old, new) in (old_at..stay).zip(new_at..at) {
                    let is_free = found[new].is_none() && !known.contains(&old);
                    let same = is_free && self.tree.matches(row.items[old].value, wanted[new].1);
                    renamed[new] = same.then_some(old);
                }
            }
            (old_at, new_at) = (stay + 1, at + 1);
        }
        renamed
    }

    /// Adds, removes and moves whole items, and keeps the commas right: one behind each but the last,
    /// and behind that too if it had one.
    fn arrange(&mut self, row: &Row<'t, 'a>, slots: &[Slot<'_>]) -> Result<(), Unpatchable> {
        let old = row.items.len();
        let trailing = old > 0 && row.comma(old - 1).is_some();
        if slots.is_empty() && !row.has_comments(row.inside()) {
            self.splice(row.inside(), "");
            return Ok(());
        }
        let mut kept = vec![false; old];
        let mut previous = None;
        let mut added = Added::default();
        for (index, slot) in slots.iter().enumerate() {
            let comma = trailing || index + 1 < slots.len();
            match slot {
                Slot::Kept(at) => {
                    kept[*at] = true;
                    self.insert_added(row, previous, std::mem::take(&mut added), true);
                    match (row.comma(*at), comma) {
                        (None, true) => self.insert(row.end(*at), ","),
                        (Some(found), false) => self.splice(found..found + 1, ""),
                        _ => {}
                    }
                    previous = Some(*at);
                }
                Slot::New(new) => self.write_new(row, previous, new, comma, &mut added)?,
            }
        }
        self.insert_added(row, previous, added, false);

        let mut at = 0;
        while at < old {
            let run = at..at + kept[at..].iter().take_while(|&&kept| !kept).count();
            at = run.end + 1;
            self.remove(row, run);
        }
        Ok(())
    }

    /// Adds one new item to what goes in behind the old item `previous`.
    fn write_new(
        &mut self,
        row: &Row<'t, 'a>,
        previous: Option<usize>,
        new: &New<'_>,
        comma: bool,
        added: &mut Added,
    ) -> Result<(), Unpatchable> {
        let lead = self.lead(row, previous, added);
        added.text.push_str(&lead);
        (added.any, added.comment) = (true, false);
        if let Some(at) = new.moved {
            added.text.push_str(&self.moved(row, at, new)?);
            let before_comma = row.end(at)..row.comma(at).unwrap_or(row.end(at));
            if row.has_comments(before_comma.clone()) {
                added.text.push_str(&self.tree.text()[before_comma]);
            }
        } else {
            let near = previous.unwrap_or(0);
            if let Some(key) = new.key {
                self.tree.syntax().write_key(&mut added.text, key);
                added.text.push_str(self.style().colon(row, near));
            }
            let layout = if row.items.is_empty() {
                self.layout_beside_comment(row)
            } else {
                self.style().beside(row, near, None, new.value)
            };
            self.style().write(&mut added.text, new.value, layout);
        }
        if comma {
            added.text.push(',');
        }
        if let Some(at) = new.moved {
            // What is said about an item goes where it goes.
            let from = row.comma(at).map_or(row.end(at), |comma| comma + 1);
            let behind = &self.tree.text()[from..row.tail(at)];
            added.text.push_str(behind);
            added.comment = !behind.is_empty();
        }
        Ok(())
    }

    /// Writes down what was added behind the old item `previous`; `followed` by an old item or not.
    fn insert_added(&mut self, row: &Row<'t, 'a>, previous: Option<usize>, mut added: Added, followed: bool) {
        if !added.any {
            return;
        }
        let at = Self::gate(row, previous);
        let rest = self.tree.text()[at..].trim_start_matches([' ', '\t']);
        if added.comment && !rest.starts_with(['\n', '\r']) {
            added.text.push_str(&self.new_line(row, previous));
        } else if row.items.is_empty() {
            // Only comments were here. If the new lines come before the bracket, it gets its own.
            if added.text.starts_with(['\n', '\r']) && !rest.starts_with(['\n', '\r']) {
                let open = self.tree.span(row.container).start;
                added.text.push_str(&[self.style().line_break, self.tree.indent(open)].concat());
            }
        } else if previous.is_none() && followed && row.gap(0).is_empty() {
            // The gap behind the bracket now separates two items.
            added.text.push_str(&self.separator(row, 0));
        }
        self.insert(at, added.text);
    }

    /// Where what follows the old item `previous` goes in.
    fn gate(row: &Row<'_, '_>, previous: Option<usize>) -> usize {
        match previous {
            Some(at) => row.tail(at),
            None if row.items.is_empty() => {
                row.comment_before(row.inside().end).map_or(row.inside().start, |c| c.at.end)
            }
            None => row.head(),
        }
    }

    /// The white space with which the next new item begins.
    fn lead(&self, row: &Row<'t, 'a>, previous: Option<usize>, added: &Added) -> String {
        let at = Self::gate(row, previous);
        let in_comment = match added.any {
            true => added.comment,
            false => row.comment_before(at).is_some_and(|comment| comment.at.end == at && comment.to_line_end),
        };
        let lead = match previous {
            Some(previous) => self.separator(row, previous),
            None if row.items.is_empty() => match self.layout_beside_comment(row) {
                Layout::OneLine => " ".to_owned(),
                Layout::Lines { line_break, indent, .. } => [line_break, indent].concat(),
            },
            None if added.any => self.separator(row, 0),
            None => match row.line_lead(0) {
                Some((line_break, indent)) => [line_break, indent].concat(),
                None => row.gap(0).to_owned(),
            },
        };
        if in_comment && !lead.starts_with(['\n', '\r']) { self.new_line(row, previous) } else { lead }
    }

    /// What separates the items near item `at`.
    fn separator(&self, row: &Row<'t, 'a>, at: usize) -> String {
        // The first item's gap is the bracket's, not one between two items.
        let model = if at == 0 && row.items.len() > 1 { 1 } else { at };
        match row.line_lead(model) {
            Some((line_break, indent)) => [line_break, indent].concat(),
            None if model == 0 => self.style().space.to_owned(),
            None => row.gap(model).to_owned(),
        }
    }

    /// A line of its own, where the style would not ask for one but a comment does.
    fn new_line(&self, row: &Row<'t, 'a>, previous: Option<usize>) -> String {
        let near = previous.or((!row.items.is_empty()).then_some(0));
        let (indent, deeper) = match near {
            Some(at) => (self.tree.indent(row.start(at)), ""),
            None => (self.tree.indent(self.tree.span(row.container).start), self.style().unit),
        };
        [self.style().line_break, indent, deeper].concat()
    }

    /// For the first item of a container that so far holds only comments.
    fn layout_beside_comment(&self, row: &Row<'t, 'a>) -> Layout<'a> {
        let inside = row.inside();
        let comment = row.comment_before(inside.end).expect("without comments the container is written anew");
        let line_break = self.style().line_break;
        let unit = self.style().unit;
        let line = self.tree.line_start(comment.at.start);
        if line > inside.start {
            return Layout::Lines { line_break, indent: self.tree.indent(comment.at.start), unit };
        }
        match comment.to_line_end {
            true => Layout::Lines { line_break, indent: unit, unit },
            false => Layout::OneLine,
        }
    }

    /// The text of item `at` of this row, made to be the new one.
    fn moved(&mut self, row: &Row<'t, 'a>, at: usize, new: &New<'_>) -> Result<String, Unpatchable> {
        let outer = std::mem::take(&mut self.splices);
        if let Some(key) = new.key {
            self.rename(row.items[at], key);
        }
        self.value(row.items[at].value, new.value, Some((row, at)))?;
        let inner = std::mem::replace(&mut self.splices, outer);
        apply(self.tree.text(), row.start(at)..row.end(at), inner)
    }

    /// Removes a run of items. Comments on lines of their own stay.
    fn remove(&mut self, row: &Row<'t, 'a>, run: Range<usize>) {
        // If the item behind the run is on the same line, it takes the place of the run's first one;
        // otherwise the lines close up from below.
        let takes_place = run.end < row.items.len() && !row.leads_line(run.end);
        let text = self.tree.text();
        // From the last one up, to know what will follow when those below are gone.
        let mut rest = "";
        for at in run.clone().rev() {
            let tail = row.tail(at);
            if takes_place {
                let gap = text[tail..].len() - text[tail..].trim_start_matches([' ', '\t', '\n', '\r']).len();
                self.splice(row.start(at)..tail + gap, "");
                continue;
            }
            if at + 1 == run.end || row.has_comments(tail..row.start(at + 1)) {
                rest = text[tail..].trim_start_matches([' ', '\t']);
            }
            let gap = row.gap_start(at);
            let ends_line = row.comment_before(gap).is_some_and(|comment| comment.at.end == gap && comment.to_line_end);
            let from = if ends_line && !rest.starts_with(['\n', '\r']) { row.start(at) } else { gap };
            self.splice(from..tail, "");
        }
    }
}

/// New items that go in at one place.
#[derive(Default)]
struct Added {
    text: String,
    any: bool,
    /// The text ends in a comment, so a line break must come next.
    comment: bool,
}
