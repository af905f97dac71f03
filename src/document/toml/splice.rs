//! Tables and target side by side: which bytes to replace, and by what.
//!
//! Pairs are edited where they are. What is removed takes its lines with it, and the comments that touch it from above;
//! what is new comes behind what it is behind in the target, tables behind tables and pairs behind pairs.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::scan::{Scanned, What};
use super::tables::{Kind, Node, Tables};
use super::write::{Writer, is_of_tables, write_key};
use crate::document::Unpatchable;
use crate::document::align::{self, Slot, align};
use crate::document::edit::{Splice, apply};
use crate::document::flow::{self, Style};
use crate::value::{List, Map, Value};

/// What to do with tables that come to another place of their array.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moving {
    /// They bring their text.
    AsTheyAre,
    /// They are written anew.
    Anew,
}

/// The least changes that make a text stand for `target`.
pub(super) fn patch(text: &Scanned<'_>, target: &Map, moving: Moving) -> Result<Vec<Splice>, Unpatchable> {
    let tables = Tables::new(text);
    Patcher::new(&tables, text, habits(text), moving).spliced(Tables::ROOT, target)
}

/// How this text writes tables.
fn habits<'a>(text: &Scanned<'a>) -> Writer<'a> {
    let style = Style::of(&text.values);
    let colon = (0..text.entries.len()).find_map(|entry| known_colon(text, entry)).unwrap_or(" = ");
    let mut headers = text.entries.iter().enumerate().skip(1).filter(|(_, entry)| !matches!(entry.what, What::Pair(_)));
    let is_tight = headers.next_back().is_some_and(|(entry, _)| !follows_blank(text.text, text.lead(entry)));
    let gap = if is_tight { "" } else { style.line_break };
    Writer { style, indent: "", colon, gap }
}

/// What stands between key and value of a pair, if that is something usual.
fn known_colon<'a>(text: &Scanned<'a>, entry: usize) -> Option<&'a str> {
    let What::Pair(id) = text.entries[entry].what else { return None };
    let key = text.entries[entry].keys.last()?;
    let colon = &text.text[key.end..text.values.span(id).start];
    super::scan::SYNTAX.colons().contains(&colon).then_some(colon)
}

/// Whether the line before `at`, where a line begins, is blank, or there is none.
fn follows_blank(text: &str, at: usize) -> bool {
    let before = &text[..at];
    before.strip_suffix('\n').is_none_or(|line| line.rsplit('\n').next().is_none_or(|line| line.trim().is_empty()))
}

/// Whether these lines end with a blank one.
fn ends_blank(lines: &str) -> bool {
    lines.ends_with("\n\n") || lines.ends_with("\n\r\n")
}

fn is_blank_line(line: &str) -> bool {
    line.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

struct Patcher<'p, 'a> {
    tables: &'p Tables<'p, 'a>,
    text: &'p Scanned<'a>,
    writer: Writer<'a>,
    moving: Moving,
    /// Where the walk is.
    path: Vec<String>,
    splices: Vec<Splice>,
    /// New tables, which come behind new pairs at the same place.
    blocks: Vec<Splice>,
    /// Whole lines to be removed.
    gone: Vec<Range<usize>>,
}

impl<'p, 'a> Patcher<'p, 'a> {
    fn new(tables: &'p Tables<'p, 'a>, text: &'p Scanned<'a>, writer: Writer<'a>, moving: Moving) -> Self {
        let (splices, blocks, gone) = (Vec::new(), Vec::new(), Vec::new());
        Patcher { tables, text, writer, moving, path: Vec::new(), splices, blocks, gone }
    }

    fn spliced(mut self, table: Node, map: &Map) -> Result<Vec<Splice>, Unpatchable> {
        self.table(table, map)?;
        self.close_up();
        Ok(self.splices)
    }

    fn table(&mut self, table: Node, map: &Map) -> Result<(), Unpatchable> {
        let tables = self.tables;
        let children = &tables.get(table).children;
        let gone: Vec<Node> = children.iter().filter(|(key, _)| !map.contains(key)).map(|(_, child)| *child).collect();
        let renamed = self.renamed(table, &gone, map);
        let mut previous = Previous::default();
        let mut pairs = String::new();
        for (key, value) in map {
            self.path.push(key.to_owned());
            let child = tables.child(table, key);
            if let Some(child) = child {
                if !self.child(child, value)? {
                    self.remove(child);
                    self.add(table, &previous, key, value, &mut pairs);
                }
            } else if let Some(&old) = renamed.get(key) {
                let mut with = String::new();
                write_key(&mut with, key);
                let words = tables.get(old).words.iter();
                self.splices.extend(words.map(|word| Splice { at: word.clone(), with: with.clone() }));
                if !self.child(old, value)? {
                    return Err(self.would_lose_comments(value));
                }
            } else {
                self.add(table, &previous, key, value, &mut pairs);
            }
            if let Some(there) = child.or(renamed.get(key).copied()) {
                previous.is_now(there, tables);
            }
            self.path.pop();
        }
        let kept: HashSet<Node> = renamed.into_values().collect();
        gone.into_iter().filter(|child| !kept.contains(child)).for_each(|child| self.remove(child));
        self.insert_header(table, &pairs);
        Ok(())
    }

    /// For new keys, the old node that has just this value and lost its name.
    fn renamed<'v>(&self, table: Node, gone: &[Node], map: &'v Map) -> HashMap<&'v str, Node> {
        let mut out = HashMap::new();
        if gone.is_empty() {
            return out;
        }
        let new = map.iter().filter(|(key, _)| self.tables.child(table, key).is_none());
        let new: Vec<(&str, &Value)> = new.collect();
        let mut by_value: HashMap<String, Vec<Node>> = HashMap::new();
        for &node in gone.iter().rev() {
            by_value.entry(sorted(&self.tables.value(node))).or_default().push(node);
        }
        for &(key, value) in &new {
            if let Some(node) = by_value.get_mut(&sorted(value)).and_then(Vec::pop) {
                out.insert(key, node);
            }
        }
        if self.moving == Moving::AsTheyAre {
            let known: HashSet<Node> = out.values().copied().collect();
            let lost = gone.iter().filter(|node| !known.contains(node)).map(|&node| (node, self.tables.value(node)));
            let come: Vec<(&str, &Value)> = new.into_iter().filter(|(key, _)| !out.contains_key(key)).collect();
            let values = come.iter().enumerate().map(|(at, (_, value))| (at, *value));
            let found = align::renamed(lost, values, sorted);
            out.extend(found.into_iter().map(|(node, at)| (come[at].0, node)));
        }
        out
    }

    /// Makes what is there stand for `value`; `false` if it has to give way to something written anew.
    fn child(&mut self, child: Node, value: &Value) -> Result<bool, Unpatchable> {
        match (&self.tables.get(child).kind, value) {
            (Kind::Value(_, id), value) => {
                let values = &self.text.values;
                let stays = match values.kind(*id) {
                    flow::Kind::Array => matches!(value, Value::Array(_)),
                    flow::Kind::Object => matches!(value, Value::Object(_)),
                    _ => true,
                };
                if !stays && !values.comments(values.span(*id)).is_empty() {
                    return Err(self.would_lose_comments(value));
                }
                self.splices.extend(flow::patch(values, Some(self.writer.style), *id, value)?);
            }
            (Kind::Table, Value::Object(map)) => {
                let named = self.tables.get(child);
                if map.is_empty() && named.header.is_none() {
                    // Nothing but what is in it said that there is such a table.
                    return Ok(named.children.is_empty());
                }
                self.table(child, map)?;
            }
            (Kind::Array(elements), Value::Array(list)) if is_of_tables(list) => self.elements(elements, list)?,
            (Kind::Array(_), Value::Array(list)) if list.is_empty() => return Ok(false),
            _ if self.has_comments(child) => return Err(self.would_lose_comments(value)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn would_lose_comments(&self, value: &Value) -> Unpatchable {
        let mut name = String::new();
        for (at, key) in self.path.iter().enumerate() {
            name.push_str(if at > 0 { "." } else { "" });
            write_key(&mut name, key);
        }
        Unpatchable::Unwritable(format!(
            "{name} has comments inside, which would be lost if it became {}; remove it first, or the comments by hand",
            match value {
                Value::Object(_) => "a table",
                Value::Array(_) => "another array",
                _ => "a single value",
            }
        ))
    }

    fn has_comments(&self, node: Node) -> bool {
        let mut entries = Vec::new();
        self.tables.entries_of(node, &mut entries);
        entries.into_iter().any(|entry| !self.text.values.comments(self.lines(entry)).is_empty())
    }

    /// All lines that belong to an entry: to a header those up to the next.
    fn lines(&self, entry: usize) -> Range<usize> {
        let end = match self.text.entries[entry].what {
            What::Pair(_) => self.text.line_end(entry),
            What::Table | What::Element => self.text.tail(self.tables.part(Some(entry)).end - 1),
        };
        self.text.lead(entry)..end
    }

    fn remove(&mut self, node: Node) {
        let mut entries = Vec::new();
        self.tables.entries_of(node, &mut entries);
        let lines: Vec<Range<usize>> = entries.into_iter().map(|entry| self.lines(entry)).collect();
        self.gone.extend(lines);
    }

    fn elements(&mut self, elements: &[Node], list: &List) -> Result<(), Unpatchable> {
        let wanted: Vec<&Value> = list.iter().collect();
        let tables = self.tables;
        let same = |at: usize, value: &Value| tables.matches(elements[at], value);
        let slots = align(elements.len(), &wanted, same, |at| tables.value(elements[at]), sorted);
        let mut stays = vec![false; elements.len()];
        let mut previous = None;
        for slot in slots {
            let (new, moved) = match slot {
                Slot::Kept(at, new) => {
                    stays[at] = true;
                    previous = Some(at);
                    if let Some(map) = wanted[new].as_object() {
                        self.table(elements[at], map)?;
                    }
                    continue;
                }
                Slot::Moved(at, new) => (new, self.contiguous(elements[at]).map(|lines| (at, lines))),
                Slot::New(new) => (new, None),
            };
            let Some(map) = wanted[new].as_object() else { continue };
            let block = match moved {
                Some((at, lines)) => {
                    stays[at] = true;
                    self.moved(elements[at], lines, map)?
                }
                None => self.new_element(elements[previous.unwrap_or(0)], map),
            };
            match previous {
                Some(at) => self.insert_behind(elements[at], &block),
                None => self.insert_before(elements[0], &block),
            }
        }
        for (element, _) in elements.iter().zip(stays).filter(|(_, stays)| !stays) {
            self.remove(*element);
        }
        Ok(())
    }

    /// An element of an array of tables, written as the one beside it.
    fn new_element(&mut self, near: Node, map: &Map) -> String {
        let indent = self.tables.get(near).header.map_or("", |header| self.text.indent(header));
        let mut block = String::new();
        self.writer.indented(indent).element(&mut block, &mut self.path, map);
        block
    }

    /// All lines of a table that comes to another place, if they are its own and it is to bring them.
    fn contiguous(&self, node: Node) -> Option<Range<usize>> {
        let (first, last) = self.tables.get(node).entries?;
        let mut entries = Vec::new();
        self.tables.entries_of(node, &mut entries);
        let is_whole = self.moving == Moving::AsTheyAre && entries.len() == last - first + 1;
        is_whole.then(|| self.text.lead(first)..self.text.tail(last))
    }

    /// Takes a table out of its place: its lines, made to stand for `map`.
    fn moved(&mut self, node: Node, lines: Range<usize>, map: &Map) -> Result<String, Unpatchable> {
        let mut inner = Patcher::new(self.tables, self.text, self.writer.indented(self.writer.indent), self.moving);
        inner.path.clone_from(&self.path);
        let mut block = apply(self.text.text, lines.clone(), inner.spliced(node, map)?)?;
        if !block.ends_with('\n') {
            block.push_str(self.writer.style.line_break);
        }
        self.gone.push(lines);
        Ok(block)
    }

    /// Adds what is new in a table. A pair for a table that has no place for it yet goes to `pairs`.
    fn add(&mut self, table: Node, previous: &Previous, key: &str, value: &Value, pairs: &mut String) {
        if self.is_block(table, value) {
            self.add_block(table, previous.block, value);
        } else {
            self.add_pair(table, previous.pair, key, value, pairs);
        }
    }

    /// Whether a new value gets headers: if its siblings have them or, without siblings to imitate, if it stands at the
    /// top or does not fit a line.
    fn is_block(&self, table: Node, value: &Value) -> bool {
        let named = self.tables.get(table);
        let is_list = match value {
            Value::Object(_) => false,
            Value::Array(list) if is_of_tables(list) => true,
            _ => return false,
        };
        let has_place = table == Tables::ROOT || named.header.is_some() || named.dotted.is_none();
        let values = &self.text.values;
        let siblings = named.children.iter().rev().map(|(_, child)| *child);
        let imitated = siblings.filter_map(|child| match self.tables.get(child).kind {
            Kind::Value(_, id) => match values.kind(id) {
                flow::Kind::Object if !is_list && values.has_items(id) => Some(false),
                _ => None,
            },
            Kind::Table => (!is_list).then(|| self.tables.is_block(child)),
            Kind::Array(_) => is_list.then_some(true),
        });
        has_place
            && imitated.into_iter().next().unwrap_or_else(|| {
                table == Tables::ROOT
                    || named.header.is_none()
                    || value.as_object().is_some_and(|map| map.values().any(|value| value.as_object().is_some()))
                    || !self.writer.style.fits_line("", value)
            })
    }

    fn add_block(&mut self, table: Node, previous: Option<Node>, value: &Value) {
        let tables = self.tables;
        let first = tables.get(table).children.iter().map(|(_, child)| *child).find(|&child| tables.is_block(child));
        let near = previous.or(first).and_then(|node| tables.get(node).entries);
        let indent = near.map_or("", |(entry, _)| self.text.indent(entry));
        let writer = self.writer.indented(indent);
        let mut block = String::new();
        match value {
            Value::Object(map) => writer.table(&mut block, &mut self.path, map),
            Value::Array(list) => {
                let maps = list.iter().filter_map(Value::as_object);
                maps.for_each(|map| writer.element(&mut block, &mut self.path, map));
            }
            _ => {}
        }
        match (previous, first) {
            (Some(previous), _) => self.insert_behind(previous, &block),
            (None, Some(first)) => self.insert_before(first, &block),
            (None, None) => {
                let part = tables.part(tables.get(table).header);
                let at = if part.is_empty() { self.text.text.len() } else { self.text.tail(part.end - 1) };
                self.insert_spaced(at, &block);
            }
        }
    }

    /// Puts tables behind all of an old one.
    fn insert_behind(&mut self, node: Node, block: &str) {
        let (_, last) = self.tables.get(node).entries.expect("it is in the text");
        let part = self.tables.part(self.tables.header_of(last));
        self.insert_spaced(self.text.tail(part.end - 1), block);
    }

    fn insert_before(&mut self, node: Node, block: &str) {
        let (first, _) = self.tables.get(node).entries.expect("it is in the text");
        let lines = [block, self.writer.gap].concat();
        self.insert_block(self.text.lead(first), lines);
    }

    /// Puts tables between others.
    fn insert_spaced(&mut self, at: usize, block: &str) {
        let text = self.text.text;
        let before =
            if follows_blank(text, at) && text[..at].ends_with('\n') || at == 0 { "" } else { self.writer.gap };
        let rest = &text[at..];
        let is_spaced = rest.is_empty() || is_blank_line(rest.split_inclusive('\n').next().unwrap_or(""));
        let after = if is_spaced { "" } else { self.writer.gap };
        self.insert_block(at, [before, block, after].concat());
    }

    fn insert_pair(&mut self, at: usize, line: String) {
        let splice = self.insertion(at, line);
        self.splices.push(splice);
    }

    fn insert_block(&mut self, at: usize, lines: String) {
        let splice = self.insertion(at, lines);
        self.blocks.push(splice);
    }

    /// Whole lines at the beginning of a line, or at the end of the text.
    fn insertion(&self, at: usize, mut lines: String) -> Splice {
        if at > 0 && !self.text.text[..at].ends_with('\n') {
            // The text ends without a line break, and goes on doing so.
            let line_break = self.writer.style.line_break;
            lines.truncate(lines.len() - line_break.len());
            lines.insert_str(0, line_break);
        }
        Splice { at: at..at, with: lines }
    }

    fn add_pair(&mut self, table: Node, previous: Option<Node>, key: &str, value: &Value, pairs: &mut String) {
        let named = self.tables.get(table);
        if table == Tables::ROOT || named.header.is_some() {
            let all = self.tables.pairs(named.header);
            let behind = previous.and_then(|node| self.tables.get(node).entries).map(|(_, last)| last);
            let behind = behind.filter(|entry| all.contains(entry));
            let (at, model) = match behind.or(all.clone().next_back()) {
                _ if previous.is_none() && !all.is_empty() => (self.text.lead(all.start), Some(all.start)),
                Some(entry) => (self.text.line_end(entry), Some(entry)),
                None => match named.header {
                    Some(header) => (self.text.line_end(header), None),
                    None => return self.add_first_pair(key, value),
                },
            };
            let indent = model.or(named.header).map_or("", |entry| self.text.indent(entry));
            let line = self.pair(model, indent, "", key, value);
            self.insert_pair(at, line);
        } else if let Some((entry, depth)) = named.dotted {
            let keys = &self.text.entries[entry].keys;
            let prefix = &self.text.text[keys[0].start..keys[depth].start];
            let line = self.pair(Some(entry), self.text.indent(entry), prefix, key, value);
            self.insert_pair(self.text.line_end(entry), line);
        } else {
            pairs.push_str(&self.pair(None, "", "", key, value));
        }
    }

    /// Adds a pair at the top of a text that begins with a header, or has nothing but comments.
    fn add_first_pair(&mut self, key: &str, value: &Value) {
        let line = self.pair(None, "", "", key, value);
        let text = self.text.text;
        if self.text.entries.is_empty() {
            let is_spaced = follows_blank(text, text.len()) && text.ends_with('\n');
            let gap = if is_spaced || text.is_empty() { "" } else { self.writer.style.line_break };
            let again = self.splices.iter().any(|splice| splice.at.start == text.len());
            self.insert_pair(text.len(), [if again { "" } else { gap }, &line].concat());
        } else {
            // The blank line behind it is there once, however many pairs come.
            let at = self.text.lead(0);
            match self.splices.iter_mut().find(|splice| splice.at == (at..at)) {
                Some(splice) => {
                    let end = splice.with.len() - self.writer.gap.len();
                    splice.with.insert_str(end, &line);
                }
                None => {
                    let lines = [&line, self.writer.gap].concat();
                    self.insert_pair(at, lines);
                }
            }
        }
    }

    /// Gives a table that only its inner ones have named so far a header, if there are pairs for it.
    fn insert_header(&mut self, table: Node, pairs: &str) {
        if pairs.is_empty() {
            return;
        }
        let mut block = String::new();
        self.writer.header(&mut block, &self.path, ["[", "]"]);
        block.push_str(pairs);
        self.insert_before(table, &block);
    }

    fn pair(&self, model: Option<usize>, indent: &'a str, prefix: &str, key: &str, value: &Value) -> String {
        let mut out = [indent, prefix].concat();
        write_key(&mut out, key);
        out.push_str(model.and_then(|entry| known_colon(self.text, entry)).unwrap_or(self.writer.colon));
        self.writer.style.write_alone(&mut out, indent, value);
        out.push_str(self.writer.style.line_break);
        out
    }

    /// Removes the lines that go and, where they leave two gaps, one of these.
    fn close_up(&mut self) {
        let text = self.text.text;
        self.splices.append(&mut self.blocks);
        let mut gone = std::mem::take(&mut self.gone);
        gone.sort_by_key(|lines| (lines.start, lines.end));
        let mut inserted: Vec<usize> = self.splices.iter().filter(|s| s.at.is_empty()).map(|s| s.at.start).collect();
        inserted.sort_unstable();
        // New lines with a gap behind them, which do not need the old one.
        let spaced: HashSet<usize> =
            self.splices.iter().filter(|s| s.at.is_empty() && ends_blank(&s.with)).map(|s| s.at.start).collect();
        let touches = |range: Range<usize>| {
            inserted.get(inserted.partition_point(|&at| at < range.start)).is_some_and(|&at| at <= range.end)
        };
        let mut runs: Vec<Range<usize>> = Vec::new();
        for lines in gone {
            match runs.last_mut() {
                Some(run) if lines.start < run.end || (lines.start == run.end && !touches(run.end..run.end)) => {
                    run.end = run.end.max(lines.end);
                }
                _ => runs.push(lines),
            }
            let Some(run) = runs.last_mut() else { continue };
            let is_spaced = match touches(run.start..run.start) {
                true => spaced.contains(&run.start),
                false => run.start == 0 || follows_blank(text, run.start),
            };
            if is_spaced && !touches(run.end..run.end) {
                let gap = text[run.end..].split_inclusive('\n').take_while(|line| is_blank_line(line));
                run.end += gap.map(str::len).sum::<usize>();
            }
        }
        if runs.last().is_some_and(|run| run.end == text.len()) {
            self.close_up_end(&mut runs, touches);
        }
        self.splices.extend(runs.into_iter().map(|at| Splice { at, with: String::new() }));
    }

    /// The last of the runs ends with the text: nothing is left that a gap before it would separate.
    fn close_up_end(&mut self, runs: &mut Vec<Range<usize>>, touches: impl Fn(Range<usize>) -> bool) {
        let text = self.text.text;
        let Some(mut run) = runs.pop() else { return };
        loop {
            let before = text[..run.start].trim_end_matches(['\n', '\r', ' ', '\t']).len();
            let before = text[before..run.start].find('\n').map_or(0, |newline| before + newline + 1);
            if touches(before..run.end) {
                break;
            }
            run.start = before;
            match runs.pop_if(|last| last.end >= before) {
                Some(last) => run.start = last.start.min(before),
                None => {
                    if !text.ends_with('\n') {
                        let kept = text[..before].strip_suffix('\n').unwrap_or(&text[..before]);
                        run.start = kept.strip_suffix('\r').unwrap_or(kept).len();
                    }
                    break;
                }
            }
        }
        // The same goes for the gap behind something new.
        let line_break = self.writer.style.line_break;
        for splice in self.splices.iter_mut().filter(|splice| splice.at == (run.start..run.start)) {
            if ends_blank(&splice.with) {
                splice.with.truncate(splice.with.len() - line_break.len());
            }
        }
        runs.push(run);
    }
}

/// The last old things before the place where something new goes, in the order of the target.
#[derive(Default)]
struct Previous {
    pair: Option<Node>,
    block: Option<Node>,
}

impl Previous {
    fn is_now(&mut self, node: Node, tables: &Tables<'_, '_>) {
        if tables.is_block(node) {
            self.block = Some(node);
        } else {
            self.pair = Some(node);
        }
    }
}

/// A value as text that is the same for values that differ in nothing but the order of keys.
fn sorted(value: &Value) -> String {
    fn sort(value: &Value) -> Value {
        match value {
            Value::Array(list) => list.iter().map(sort).collect::<Vec<_>>().into(),
            Value::Object(map) => {
                let mut entries: Vec<(&str, &Value)> = map.iter().collect();
                entries.sort_unstable_by_key(|(key, _)| *key);
                entries.into_iter().map(|(key, value)| (key, sort(value))).collect()
            }
            scalar => scalar.clone(),
        }
    }
    sort(value).to_string()
}
