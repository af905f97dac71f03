//! Which bytes of a YAML text to replace, so that it stands for another value.
//!
//! The text ends in a line break. A block collection is edited by whole lines, so that no two edits meet: what is new comes
//! as lines, and what goes takes its lines with it. Comments on lines of their own stay whatever happens to what is below
//! them, unless that moves: what comes to another place of its collection brings its lines as they are, and the comments that
//! speak of it. One behind a value goes with it.

mod block;
mod flow;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::scalar::restyled;
use super::tree::{Id, Kind, Node, Tree};
use super::write::{self, Style};
use crate::document::Unpatchable;
use crate::document::align::{self, align, is_filled, longest_rise};
use crate::document::edit::Splice;
use crate::document::position;
use crate::value::{Map, Value};

type Done = Result<(), Unpatchable>;

/// What to do with items that come to another place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moving {
    /// They bring their text.
    AsTheyAre,
    /// They bring their text, with what aliases in it stand for in the place of these.
    SpelledOut,
    /// They bring their text, unless there are aliases in it or what these stand for.
    IfUnshared,
    /// They are written anew.
    Anew,
}

pub(super) fn patch(tree: &Tree<'_>, target: &Value, moving: Moving) -> Result<Vec<Splice>, Unpatchable> {
    let mut splicer = Splicer { tree, style: style_of(tree), moving, moved: HashSet::new(), splices: Vec::new() };
    match tree.root {
        Some(root) => splicer.node(root, target, Place::Root)?,
        None => splicer.first(target),
    }
    Ok(splicer.splices)
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
    moving: Moving,
    /// The values of items that have come to another place with their text.
    moved: HashSet<Id>,
    splices: Vec<Splice>,
}

/// Where a node hangs.
#[derive(Clone, Copy)]
enum Place {
    Root,
    /// Behind a key of a block mapping, at this column.
    Key(usize),
    Dash,
    /// Inside of brackets.
    Flow,
}

/// What becomes of a place in a collection. Numbers count items, old ones and new ones.
enum Slot {
    Kept {
        old: usize,
        new: usize,
    },
    Renamed {
        old: usize,
        new: usize,
    },
    /// The old item comes here from another place, perhaps with another key.
    Moved {
        old: usize,
        new: usize,
        renamed: bool,
    },
    New(usize),
}

/// An item to come: its key, where it has one, and its value.
type Wanted<'v> = (Option<&'v str>, &'v Value);

impl<'t, 'a> Splicer<'t, 'a> {
    fn splice(&mut self, at: Range<usize>, with: impl Into<String>) {
        self.splices.push(Splice { at, with: with.into() });
    }

    fn refuse<T>(&self, at: usize, why: &str) -> Result<T, Unpatchable> {
        let (line, column) = position(self.tree.text, at);
        Err(Unpatchable::Unwritable(format!("line {line}, column {column}: {why}")))
    }

    /// The first value of a text that so far has none.
    fn first(&mut self, target: &Value) {
        let text = self.tree.text;
        let ended = text.lines().position(|line| line.trim_end() == "...");
        let at = match ended {
            Some(line) => text.split_inclusive('\n').take(line).map(str::len).sum(),
            None => text.len(),
        };
        let mut new = String::new();
        write::block(&mut new, target, 0, &self.style);
        new.push_str(self.style.line_break);
        self.splice(at..at, new);
    }

    /// That nothing here is shared with another place.
    fn free(&self, id: Id) -> Done {
        let node = &self.tree.nodes[id];
        if let Some(aliases) = self.tree.aliases_in(id) {
            return self.shared(node, aliases);
        }
        if node.tagged {
            return self.refuse(node.start, "what has a tag cannot be replaced; edit the file by hand");
        }
        Ok(())
    }

    fn shared(&self, node: &Node, aliases: &[usize]) -> Done {
        let lines: Vec<String> = aliases.iter().take(5).map(|&at| position(self.tree.text, at).0.to_string()).collect();
        let more = if aliases.len() > lines.len() { " and others" } else { "" };
        let lines = format!("line {}{more}", lines.join(", line "));
        let why = format!(
            "an alias elsewhere stands for what is here, and would change with it: {lines}; edit the file by hand"
        );
        self.refuse(node.start, &why)
    }

    /// Makes node `id` be `target`.
    fn node(&mut self, id: Id, target: &Value, place: Place) -> Done {
        let tree: &'t Tree<'a> = self.tree;
        let node = &tree.nodes[id];
        if node.value == *target {
            return Ok(());
        }
        if node.kind == Kind::Alias {
            // Another collection is perhaps meant for what the alias stands for.
            if node.value.is_container() && target.is_container() {
                return self
                    .refuse(node.start, "this is an alias; change what it stands for, or edit the file by hand");
            }
            return self.replace(id, target, place);
        }
        if let Some(aliases) = tree.used.get(&node.anchor) {
            return self.shared(node, aliases);
        }
        let wanted: Vec<Wanted<'_>> = match (&node.kind, target) {
            (Kind::Object, Value::Object(map)) => map.iter().map(|(key, value)| (Some(key), value)).collect(),
            (Kind::Array, Value::Array(list)) => list.iter().map(|value| (None, value)).collect(),
            _ => Vec::new(),
        };
        if wanted.is_empty() || node.items.is_empty() {
            return self.replace(id, target, place);
        }
        let slots = self.slots(node, &wanted);
        let mut kept = vec![false; node.items.len()];
        for slot in &slots {
            if let Slot::Kept { old, .. } | Slot::Renamed { old, .. } = *slot {
                kept[old] = true;
            }
        }
        let rearranged = kept.contains(&false) || slots.len() > kept.len();
        if !kept.contains(&true) || rearranged && node.is_pair(tree.text) {
            return self.replace(id, target, place);
        }
        let inner = self.inside(node);
        for slot in &slots {
            match *slot {
                Slot::Kept { old, new } => self.node(node.items[old].value, wanted[new].1, inner)?,
                Slot::Renamed { old, new } => {
                    self.rename(node, old, wanted[new].0)?;
                    self.node(node.items[old].value, wanted[new].1, inner)?;
                }
                Slot::Moved { .. } | Slot::New(_) => {}
            }
        }
        match node.flow {
            true if rearranged => self.arrange_flow(node, &slots, &kept, &wanted),
            false if rearranged => self.arrange_block(node, &slots, &kept, &wanted),
            _ => Ok(()),
        }
    }

    /// Where the values of a collection hang.
    fn inside(&self, node: &Node) -> Place {
        match node.kind {
            _ if node.flow => Place::Flow,
            Kind::Object => Place::Key(self.tree.column(node.start)),
            _ => Place::Dash,
        }
    }

    fn rename(&mut self, node: &Node, old: usize, name: Option<&str>) -> Done {
        let (Some(key), Some(name)) = (node.items[old].key, name) else { return Ok(()) };
        self.free(key)?;
        let key = &self.tree.nodes[key];
        let mut out = String::new();
        write::string(&mut out, name, self.quote_at(key.start));
        self.splice(key.start..key.end, out);
        Ok(())
    }

    fn quote_at(&self, at: usize) -> Option<char> {
        self.tree.text[at..].chars().next().filter(|c| matches!(c, '"' | '\''))
    }

    /// Which old items stay, which come new, in the order of the new ones.
    fn slots(&self, node: &Node, wanted: &[Wanted<'_>]) -> Vec<Slot> {
        let mut slots = match &node.value {
            Value::Object(map) => named_slots(map, wanted, self.moving != Moving::Anew),
            _ => self.aligned_slots(node, wanted),
        };
        for slot in &mut slots {
            if let Slot::Moved { old, new, .. } = *slot
                && !self.brings_text(node.items[old].value)
            {
                *slot = Slot::New(new);
            }
        }
        slots
    }

    /// Whether what comes to another place is not written anew.
    fn brings_text(&self, value: Id) -> bool {
        match self.moving {
            Moving::AsTheyAre | Moving::SpelledOut => true,
            Moving::IfUnshared => !self.tree.has_aliases(value) && self.tree.aliases_in(value).is_none(),
            Moving::Anew => false,
        }
    }

    fn aligned_slots(&self, node: &Node, wanted: &[Wanted<'_>]) -> Vec<Slot> {
        let values: Vec<&Value> = wanted.iter().map(|(_, value)| *value).collect();
        let old = |at: usize| &self.tree.nodes[node.items[at].value].value;
        let same = |at: usize, value: &Value| old(at) == value;
        let aligned = align(node.items.len(), &values, same, |at| old(at).clone(), Value::to_string);
        let slot = |slot| match slot {
            align::Slot::Kept(old, new) => Slot::Kept { old, new },
            align::Slot::Moved(old, new) => Slot::Moved { old, new, renamed: false },
            align::Slot::New(new) => Slot::New(new),
        };
        aligned.into_iter().map(slot).collect()
    }

    /// Writes `target` in the place of node `id`.
    fn replace(&mut self, id: Id, target: &Value, place: Place) -> Done {
        self.free(id)?;
        let tree: &'t Tree<'a> = self.tree;
        let node = &tree.nodes[id];
        if !node.flow && !node.items.is_empty() {
            return self.replace_block(node, target, place);
        }
        if node.flow && tree.has_comments(id) {
            return self.refuse(node.start, "there are comments inside, which would be lost; edit the file by hand");
        }
        let is_plain_place = node.kind == Kind::Scalar || node.kind == Kind::Alias || node.items.is_empty();
        if is_filled(target) && is_plain_place && !matches!(place, Place::Flow) && self.open_below(node, target, place)
        {
            return Ok(());
        }
        let mut new = String::new();
        if self.is_lone_key(node, place) {
            if !matches!(place, Place::Flow) {
                return self.refuse(node.start, "a key with `? ` and no value; write it as `key: value`");
            }
            new.push(':');
        }
        if node.start == node.end && !(new.is_empty() && tree.text[..node.start].ends_with([' ', '\n'])) {
            new.push(' ');
        }
        self.inline(&mut new, node, target);
        self.splice(node.start..node.end, new);
        Ok(())
    }

    /// Whether this is the nothing behind a key without a colon.
    fn is_lone_key(&self, node: &Node, place: Place) -> bool {
        let keyed = matches!(place, Place::Flow | Place::Key(_));
        let bare = node.start == node.end && node.anchor == 0 && !node.tagged;
        keyed && bare && !self.tree.text[..node.gate].ends_with(':')
    }

    /// Writes a collection as lines where there is a scalar or empty brackets, outside of brackets.
    fn open_below(&mut self, node: &Node, target: &Value, place: Place) -> bool {
        let tree = self.tree;
        let mut new = String::new();
        let on_a_line_of_its_own = tree.text[node.gate..node.start].contains('\n');
        match place {
            Place::Root => {
                let line = tree.line_start(node.start);
                let leads = tree.text[line..node.start].trim().is_empty();
                if !leads {
                    new.push_str(self.style.line_break);
                }
                write::block(&mut new, target, 0, &self.style);
                self.splice(if leads { line } else { node.start }..node.end, new);
            }
            Place::Key(_) | Place::Dash if on_a_line_of_its_own => {
                let column = tree.column(node.start);
                let deep_enough = match place {
                    Place::Key(key) => column > key,
                    _ => tree.leads_line(node.start),
                };
                if !deep_enough || !tree.leads_line(node.start) {
                    return false;
                }
                write::block(&mut new, target, column, &self.style);
                self.splice(node.start..node.end, new);
            }
            Place::Key(_) if self.is_lone_key(node, place) => return false,
            Place::Key(column) => {
                // Below its key, behind the comment there.
                write::below(&mut new, target, column, &self.style);
                self.splice(node.gate..node.end, "");
                let at = tree.line_end(node.end);
                self.splice(at..at, new);
            }
            // Nothing may begin behind an anchor but what is in brackets.
            Place::Dash if node.anchor > 0 => return false,
            Place::Dash => {
                new.push(' ');
                write::block(&mut new, target, tree.column(node.gate) + 1, &self.style);
                self.splice(node.gate..node.end, new);
            }
            Place::Flow => return false,
        }
        true
    }

    /// A string in the style of the one that it replaces, where that can hold it, and anything else on one line.
    fn inline(&self, out: &mut String, node: &Node, target: &Value) {
        let old = &self.tree.text[node.start..node.end];
        match target {
            Value::String(text) if node.kind == Kind::Scalar && old.starts_with(['|', '>']) => {
                let next = self.tree.next_line(node.end);
                let blank = self.tree.text[next..].lines().next().is_some_and(|line| line.trim().is_empty());
                match restyled(old, text, self.style.line_break, blank) {
                    Some(new) => out.push_str(&new),
                    None => write::string(out, text, None),
                }
            }
            Value::String(text) if node.kind == Kind::Scalar => write::string(out, text, self.quote_at(node.start)),
            other => write::flow(out, other),
        }
    }
}

/// Keys that keep their order stay. Between two of them, as many new keys as old ones are the old ones renamed if the values
/// are the same; and so are those that are known again by what is in them, if that is looked for.
fn named_slots(map: &Map, wanted: &[Wanted<'_>], is_searched: bool) -> Vec<Slot> {
    let known: HashMap<&str, usize> = map.keys().enumerate().map(|(at, key)| (key, at)).collect();
    let old: Vec<&Value> = map.values().collect();
    let mut found: Vec<Option<usize>> = wanted.iter().map(|(key, _)| known.get((*key)?).copied()).collect();
    let mut is_gone = align::not_found(old.len(), &found);
    let mut renamed = vec![false; wanted.len()];
    if is_searched {
        let lost = (0..old.len()).filter(|&at| is_gone[at]).map(|at| (at, old[at].clone()));
        let come = found.iter().zip(wanted).enumerate().filter(|(_, (at, _))| at.is_none());
        let come = come.map(|(new, (_, (_, value)))| (new, *value));
        for (at, new) in align::renamed(lost, come, Value::to_string) {
            (found[new], is_gone[at], renamed[new]) = (Some(at), false, true);
        }
    }
    let stays = longest_rise(&found);
    let mut slots = Vec::with_capacity(wanted.len());
    let (mut old_at, mut new_at) = (0, 0);
    for at in 0..=wanted.len() {
        let anchor = if at == wanted.len() { Some(old.len()) } else { found[at].filter(|_| stays[at]) };
        let Some(anchor) = anchor else { continue };
        let pairs = anchor - old_at == at - new_at;
        slots.extend((new_at..at).enumerate().map(|(step, new)| match found[new] {
            Some(old) => Slot::Moved { old, new, renamed: renamed[new] },
            None if pairs && is_gone[old_at + step] && old[old_at + step] == wanted[new].1 => {
                Slot::Renamed { old: old_at + step, new }
            }
            None => Slot::New(new),
        }));
        if at < wanted.len() {
            slots.push(match renamed[at] {
                true => Slot::Renamed { old: anchor, new: at },
                false => Slot::Kept { old: anchor, new: at },
            });
        }
        (old_at, new_at) = (anchor + 1, at + 1);
    }
    slots
}
