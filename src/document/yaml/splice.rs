//! Which bytes of a YAML text to replace, so that it stands for another value.
//!
//! Comments on lines of their own stay whatever happens to what is below them; one behind a value goes with it.

use std::collections::HashMap;
use std::ops::Range;

use super::tree::{Id, Item, Kind, Node, Tree};
use super::write::{self, Style};
use crate::document::Unpatchable;
use crate::document::align::longest_rise;
use crate::document::edit::Splice;
use crate::document::position;
use crate::value::Value;

type Done = Result<(), Unpatchable>;

pub(super) fn patch(tree: &Tree<'_>, target: &Value) -> Result<Vec<Splice>, Unpatchable> {
    let mut splicer = Splicer { tree, style: style_of(tree), added: Vec::new(), removed: Vec::new() };
    match tree.root {
        Some(root) => splicer.node(root, target, None)?,
        None => splicer.first(target),
    }
    Ok(splicer.splices())
}

fn style_of(tree: &Tree<'_>) -> Style {
    let line_break = match tree.text.find('\n') {
        Some(at) if tree.text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    };
    let (mut unit, mut flush) = (None, None);
    for node in tree.nodes.iter().rev().filter(|node| node.kind == Kind::Object && !node.flow) {
        for item in &node.items {
            let value = &tree.nodes[item.value];
            if value.flow || value.items.is_empty() {
                continue;
            }
            let deeper = tree.column(value.start).checked_sub(tree.column(item.start));
            match value.kind {
                Kind::Object => unit = unit.or(deeper.filter(|&unit| unit > 0)),
                _ => flush = flush.or(deeper.map(|deeper| deeper == 0)),
            }
        }
        if unit.is_some() && flush.is_some() {
            break;
        }
    }
    Style { line_break, unit: unit.unwrap_or(2), flush: flush.unwrap_or(false) }
}

struct Splicer<'t, 'a> {
    tree: &'t Tree<'a>,
    style: Style,
    added: Vec<Splice>,
    removed: Vec<Range<usize>>,
}

/// What becomes of a place in a collection.
enum Slot {
    Kept { old: usize, new: usize },
    Renamed { old: usize, new: usize },
    New(usize),
}

impl<'t, 'a> Splicer<'t, 'a> {
    /// All splices, those that remove neighbouring lines as one.
    fn splices(mut self) -> Vec<Splice> {
        self.removed.sort_by_key(|range| (range.start, range.end));
        let mut merged: Vec<Range<usize>> = Vec::new();
        for range in self.removed {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        let mut pieces = Vec::new();
        for range in merged {
            // What comes in behind one of these lines needs the line break there, so the one before goes instead.
            let inside = |at: &usize| range.start < *at && *at < range.end;
            let mut cuts: Vec<usize> = self.added.iter().map(|splice| splice.at.start).filter(inside).collect();
            if cuts.is_empty() {
                pieces.push(range);
                continue;
            }
            cuts.sort_unstable();
            let without_break = |end: usize| {
                let before = self.tree.text[..end].strip_suffix('\n')?;
                Some(before.strip_suffix('\r').unwrap_or(before).len())
            };
            let (mut start, mut end) = (range.start, range.end);
            if let (Some(before), Some(last)) = (without_break(start), without_break(end)) {
                (start, end) = (before, last);
            }
            for cut in cuts {
                pieces.push(start..cut);
                start = cut;
            }
            pieces.push(start..end);
        }
        self.added.extend(pieces.into_iter().map(|at| Splice { at, with: String::new() }));
        self.added
    }

    fn add(&mut self, at: Range<usize>, with: impl Into<String>) {
        self.added.push(Splice { at, with: with.into() });
    }

    fn new_line(&self, column: usize) -> String {
        format!("{}{:column$}", self.style.line_break, "")
    }

    /// The first value of a text that so far has none.
    fn first(&mut self, target: &Value) {
        let text = self.tree.text;
        let mut new = String::new();
        let ended = text.lines().position(|line| line.trim_end() == "...");
        let at = match ended {
            Some(line) => text.split_inclusive('\n').take(line).map(str::len).sum(),
            None => text.len(),
        };
        if !text[..at].is_empty() && !text[..at].ends_with('\n') {
            new.push_str(self.style.line_break);
        }
        write::block(&mut new, target, 0, &self.style);
        new.push_str(self.style.line_break);
        self.add(at..at, new);
    }

    fn refuse<T>(&self, at: usize, why: &str) -> Result<T, Unpatchable> {
        let (line, column) = position(self.tree.text, at);
        Err(Unpatchable::Unwritable(format!("line {line}, column {column}: {why}")))
    }

    /// That nothing here is shared with another place.
    fn free(&self, id: Id) -> Done {
        let node = &self.tree.nodes[id];
        if self.tree.anchor_in(id) {
            return self.refuse(node.start, "an alias elsewhere stands for what is here, and would change with it");
        }
        if node.tagged {
            return self.refuse(node.start, "what has a tag cannot be replaced; edit the file by hand");
        }
        Ok(())
    }

    /// Makes node `id` be `target`. `item` is where it hangs, and the column there.
    fn node(&mut self, id: Id, target: &Value, item: Option<(Item, usize)>) -> Done {
        let tree: &'t Tree<'a> = self.tree;
        let node = &tree.nodes[id];
        if node.value == *target {
            return Ok(());
        }
        if node.kind == Kind::Alias {
            return self.refuse(node.start, "this is an alias; change what it stands for, by hand");
        }
        if tree.used.contains_key(&node.anchor) {
            return self.refuse(node.start, "an alias elsewhere stands for what is here, and would change with it");
        }
        match (&node.kind, target) {
            (Kind::Object, Value::Object(map)) if !map.is_empty() && !node.items.is_empty() => {
                let wanted: Vec<_> = map.iter().map(|(key, value)| (Some(key), value)).collect();
                self.items(node, id, &wanted, target, item)
            }
            (Kind::Array, Value::Array(list)) if !list.is_empty() && !node.items.is_empty() => {
                let wanted: Vec<_> = list.iter().map(|value| (None, value)).collect();
                self.items(node, id, &wanted, target, item)
            }
            _ => self.replace(id, target, item),
        }
    }

    /// Writes `target` in the place of node `id`.
    fn replace(&mut self, id: Id, target: &Value, item: Option<(Item, usize)>) -> Done {
        self.free(id)?;
        let tree: &'t Tree<'a> = self.tree;
        let node = &tree.nodes[id];
        if node.anchor > 0 {
            return self.refuse(node.start, "what has an anchor cannot be replaced; edit the file by hand");
        }
        let nested = match target {
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => false,
        };
        let empty = node.start == node.end;
        let block = node.kind != Kind::Scalar && !node.flow;
        let in_flow =
            node.flow && (node.kind == Kind::Scalar || tree.text[..node.start].trim_end().ends_with([',', '[', '{']));
        let mut new = String::new();
        match (item, nested && !in_flow && (node.kind == Kind::Scalar || block || node.items.is_empty())) {
            (Some((Item { key: Some(_), start, .. }, column)), true) if !self.inside_flow(item) => {
                // Below its key, behind the comment there.
                let _ = start;
                write::below(&mut new, target, column, &self.style);
                let at = tree.line_end(node.gate);
                if block {
                    self.remove_all(node)?;
                } else if tree.line_end(node.start) != at || tree.line_end(node.end) != at {
                    return self.replace_span(node, target);
                } else if !empty {
                    self.removed.push(node.gate..node.end);
                }
                self.add(at..at, new);
            }
            (_, true) if !self.inside_flow(item) => {
                let column = if item.is_some() { tree.column(node.gate) + 1 } else { 0 };
                if empty {
                    new.push(' ');
                } else if item.is_some() && !tree.text[node.gate..node.start].contains('\n') {
                    self.removed.push(node.gate..node.start);
                    new.push(' ');
                } else if item.is_some() {
                    return self.replace_span(node, target);
                }
                write::block(&mut new, target, column, &self.style);
                self.add(node.start..node.end, new);
            }
            (Some((Item { key: Some(_), .. }, _)), false) if block => {
                new.push(' ');
                self.scalar(&mut new, node, target);
                self.remove_all(node)?;
                self.add(node.gate..node.gate, new);
            }
            _ => return self.replace_span(node, target),
        }
        Ok(())
    }

    fn inside_flow(&self, item: Option<(Item, usize)>) -> bool {
        item.is_some_and(|(_, column)| column == usize::MAX)
    }

    /// Writes `target` on one line over the node.
    fn replace_span(&mut self, node: &Node, target: &Value) -> Done {
        let mut new = String::new();
        if node.start == node.end && !self.tree.text[..node.start].ends_with([' ', '\n']) {
            new.push(' ');
        }
        self.scalar(&mut new, node, target);
        self.add(node.start..node.end, new);
        Ok(())
    }

    /// A string in the quotes of the one that it replaces, and anything else on one line.
    fn scalar(&self, out: &mut String, node: &Node, target: &Value) {
        let old = &self.tree.text[node.start..node.end];
        let quote = old.chars().next().filter(|c| node.kind == Kind::Scalar && matches!(c, '"' | '\''));
        match target {
            Value::String(text) if node.kind == Kind::Scalar && old.starts_with('|') && !node.flow => {
                match self.literal(node, old, text) {
                    Some(new) => out.push_str(&new),
                    None => write::string(out, text, None),
                }
            }
            Value::String(text) => write::string(out, text, quote),
            other => write::flow(out, other),
        }
    }

    /// `text` as a literal block scalar with the header and the indentation of `old`.
    fn literal(&self, node: &Node, old: &str, text: &str) -> Option<String> {
        let header = old.lines().next()?;
        let body = if header == "|-" { text } else { text.strip_suffix('\n')? };
        let first = old.lines().skip(1).find(|line| !line.trim().is_empty())?;
        let indent = &first[..first.len() - first.trim_start_matches(' ').len()];
        let plain = |line: &str| !line.ends_with(' ') && !line.chars().any(|c| c.is_control());
        if !matches!(header, "|" | "|-") || body.starts_with([' ', '\n']) || body.ends_with('\n') || body.is_empty() {
            return None;
        }
        if !body.split('\n').all(plain) || node.tagged {
            return None;
        }
        let mut out = header.to_owned();
        for line in body.split('\n') {
            out.push_str(self.style.line_break);
            if !line.is_empty() {
                out.push_str(indent);
                out.push_str(line);
            }
        }
        Some(out)
    }

    /// Removes every line of a block collection that stands below its key.
    fn remove_all(&mut self, node: &Node) -> Done {
        for &item in &node.items {
            self.free(item.value)?;
            self.remove_lines(item)?;
        }
        Ok(())
    }

    fn remove_lines(&mut self, item: Item) -> Done {
        let tree = self.tree;
        if !tree.leads_line(item.start) {
            return self.refuse(item.start, "what begins in the middle of a line cannot be removed alone");
        }
        let (start, end) = (tree.line_start(item.start), tree.line_end(self.end(item)));
        let rest = &tree.text[end..];
        let eol = rest.len() - rest.strip_prefix("\r\n").or(rest.strip_prefix('\n')).unwrap_or(rest).len();
        let mut range = start..end + eol;
        if eol == 0 {
            let before = &tree.text[..start];
            range.start = before.strip_suffix('\n').map_or(start, |b| b.strip_suffix('\r').unwrap_or(b).len());
        }
        self.removed.push(range);
        Ok(())
    }

    fn end(&self, item: Item) -> usize {
        let node = &self.tree.nodes[item.value];
        node.end.max(node.gate)
    }

    /// Which old items stay, which come new, in the order of the new ones.
    fn slots(&self, node: &Node, wanted: &[(Option<&str>, &Value)]) -> Vec<Slot> {
        let tree = self.tree;
        let keyed = node.kind == Kind::Object;
        let names: Vec<String> = match (keyed, &node.value) {
            (true, Value::Object(map)) => map.keys().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let (old, new) = (node.items.len(), wanted.len());
        let both = old.min(new);
        let same = |a: usize, b: usize| match wanted[b].0 {
            Some(key) => names[a] == key,
            None => tree.nodes[node.items[a].value].value == *wanted[b].1,
        };
        let first = (0..both).take_while(|&at| same(at, at)).count();
        let last = (1..=both - first).take_while(|&back| same(old - back, new - back)).count();
        let text = |a: usize| match keyed {
            true => names[a].clone(),
            false => tree.nodes[node.items[a].value].value.to_string(),
        };
        let mut known: HashMap<String, (usize, usize)> = HashMap::new();
        for at in first..old - last {
            let entry = known.entry(text(at)).or_insert((at, 0));
            entry.1 += 1;
        }
        let middle = &wanted[first..new - last];
        let mut found: Vec<Option<usize>> = Vec::new();
        for (key, value) in middle {
            let name = key.map_or_else(|| value.to_string(), str::to_owned);
            // An item that is there twice says nothing about which is which.
            found.push(known.remove(&name).and_then(|(at, count)| (count == 1).then_some(at)));
        }
        let stays = longest_rise(&found);
        let mut slots: Vec<Slot> = (0..first).map(|at| Slot::Kept { old: at, new: at }).collect();
        let (mut before, mut from) = (first, first);
        for at in 0..=middle.len() {
            let anchor = if at == middle.len() { Some(old - last) } else { found[at].filter(|_| stays[at]) };
            let Some(anchor) = anchor else { continue };
            let (olds, news) = (before..anchor, from..first + at);
            let pairs = olds.len() == news.len();
            for (index, new) in news.enumerate() {
                let old = olds.start + index;
                let equal = keyed && pairs && tree.nodes[node.items[old].value].value == *wanted[new].1;
                slots.push(match (keyed, old < olds.end) {
                    (true, true) if equal => Slot::Renamed { old, new },
                    (false, true) => Slot::Kept { old, new },
                    _ => Slot::New(new),
                });
            }
            if at < middle.len() {
                slots.push(Slot::Kept { old: anchor, new: first + at });
                (before, from) = (anchor + 1, first + at + 1);
            }
        }
        slots.extend((1..=last).rev().map(|back| Slot::Kept { old: old - back, new: new - back }));
        slots
    }

    fn items(
        &mut self,
        node: &'t Node,
        id: Id,
        wanted: &[(Option<&str>, &Value)],
        target: &Value,
        item: Option<(Item, usize)>,
    ) -> Done {
        let tree: &'t Tree<'a> = self.tree;
        let slots = self.slots(node, wanted);
        let column = if node.flow { usize::MAX } else { tree.column(node.start) };
        let mut kept = vec![false; node.items.len()];
        for slot in &slots {
            if let Slot::Kept { old, .. } | Slot::Renamed { old, .. } = *slot {
                kept[old] = true;
            }
        }
        if !kept.contains(&true) {
            return self.replace(id, target, item);
        }
        let mut previous: Option<usize> = None;
        let next_kept = kept.iter().position(|&kept| kept).unwrap_or(0);
        for slot in slots {
            match slot {
                Slot::Kept { old, new } => {
                    self.node(node.items[old].value, wanted[new].1, Some((node.items[old], column)))?;
                    previous = Some(old);
                }
                Slot::Renamed { old, new } => {
                    let (Some(key), Some(name)) = (node.items[old].key, wanted[new].0) else { continue };
                    self.free(key)?;
                    let key = &tree.nodes[key];
                    if key.anchor > 0 {
                        return self.refuse(key.start, "a key with an anchor cannot be renamed");
                    }
                    let quote = tree.text[key.start..].chars().next().filter(|c| matches!(c, '"' | '\''));
                    let mut out = String::new();
                    write::string(&mut out, name, quote);
                    self.add(key.start..key.end, out);
                    previous = Some(old);
                }
                Slot::New(new) => self.insert(node, previous, next_kept, wanted[new]),
            }
        }
        let mut at = 0;
        while at < kept.len() {
            let run = at..at + kept[at..].iter().take_while(|&&kept| !kept).count();
            at = run.end + 1;
            if !run.is_empty() {
                self.remove(node, run)?;
            }
        }
        Ok(())
    }

    /// Adds an item behind the old one `previous`, or before `next`, the first that stays.
    fn insert(&mut self, node: &Node, previous: Option<usize>, next: usize, (key, value): (Option<&str>, &Value)) {
        let tree = self.tree;
        let mut out = String::new();
        let place = previous.map_or(node.items[next].start, |at| self.end(node.items[at]));
        if node.flow {
            let separator = match node.items.get(1) {
                Some(second) => {
                    let gap = &tree.text[self.end(node.items[0])..second.start];
                    gap.split_once(',').map(|(_, gap)| gap).filter(|gap| gap.trim().is_empty()).unwrap_or(" ")
                }
                None => " ",
            };
            if let Some(key) = key {
                write::string(&mut out, key, None);
                out.push_str(": ");
            }
            write::flow(&mut out, value);
            let text = match previous {
                Some(_) => format!(",{separator}{out}"),
                None => format!("{out},{separator}"),
            };
            return self.add(place..place, text);
        }
        let column = tree.column(node.start);
        match key {
            Some(key) => {
                // Quoted as its neighbour is.
                let near = node.items[previous.unwrap_or(next)].key.map_or(0, |key| tree.nodes[key].start);
                let quote = tree.text[near..].chars().next().filter(|c| matches!(c, '"' | '\''));
                write::string(&mut out, key, quote);
                out.push(':');
                write::below(&mut out, value, column, &self.style);
            }
            None => {
                out.push_str("- ");
                write::block(&mut out, value, column + 2, &self.style);
            }
        }
        match previous {
            Some(_) => {
                let at = tree.line_end(place);
                self.add(at..at, self.new_line(column) + &out);
            }
            None => self.add(place..place, out + &self.new_line(column)),
        }
    }

    fn remove(&mut self, node: &Node, run: Range<usize>) -> Done {
        let tree = self.tree;
        for at in run.clone() {
            self.free(node.items[at].value)?;
        }
        let starts = node.items[run.start].start;
        let following = node.items.get(run.end).map(|item| item.start);
        if node.flow || !tree.leads_line(starts) {
            let range = match (following, run.start.checked_sub(1)) {
                (Some(next), _) => starts..next,
                (None, Some(before)) if node.flow => self.end(node.items[before])..self.end(node.items[run.end - 1]),
                _ => return self.refuse(starts, "this cannot be removed alone; remove what is around it"),
            };
            if tree.text[range.clone()].contains(" #") {
                return self.refuse(starts, "a comment would go with this; edit the file by hand");
            }
            self.removed.push(range);
            return Ok(());
        }
        run.into_iter().try_for_each(|at| self.remove_lines(node.items[at]))
    }
}
