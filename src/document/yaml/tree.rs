//! A YAML text as a tree of spans.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::document::{Invalid, position};
use crate::limits;
use crate::value::{Map, Number, Value};

const ALIASES_MAX: usize = 1_000;
/// How many values a document may have once each alias is what it stands for.
const EXPANDED_MAX: usize = 4_000_000;

pub(super) type Id = usize;

#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) key: Option<Id>,
    pub(super) value: Id,
    /// Where the key or the dash is; in a flow sequence, the value.
    pub(super) start: usize,
}

#[derive(PartialEq)]
pub(super) enum Kind {
    Scalar,
    Alias,
    Array,
    Object,
}

pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: usize,
    /// Behind its last byte; comments and the line break are not part of it.
    pub(super) end: usize,
    /// Behind the colon or the dash that it follows.
    pub(super) gate: usize,
    pub(super) flow: bool,
    pub(super) anchor: usize,
    pub(super) tagged: bool,
    pub(super) items: Vec<Item>,
    pub(super) value: Value,
    /// How many values there are from here on down, aliases followed.
    weight: usize,
}

pub(super) struct Tree<'a> {
    pub(super) text: &'a str,
    pub(super) nodes: Vec<Node>,
    pub(super) root: Option<Id>,
    /// Anchors that some alias names.
    pub(super) used: HashMap<usize, usize>,
}

struct Reader<'a> {
    text: &'a str,
    /// The byte at which each character begins, unless all are one byte long.
    offsets: Vec<usize>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    nodes: Vec<Node>,
    anchors: HashMap<usize, Id>,
    used: HashMap<usize, usize>,
    aliases: usize,
    done: usize,
}

impl<'a> Tree<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Tree<'a>, Invalid> {
        let offsets = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(at, _)| at).collect(),
        };
        let parser = Parser::new_from_str(text);
        let mut reader = Reader {
            text,
            offsets,
            parser,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            used: HashMap::new(),
            aliases: 0,
            done: 0,
        };
        let mut root = None;
        let mut ended = false;
        loop {
            let (event, span) = reader.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if ended => {
                    let why = "a second document begins here; only files with one document can be edited";
                    return Err(Invalid::at(text, reader.at(span.start.index()), why));
                }
                Event::DocumentStart(_) => ended = true,
                event => {
                    let at = reader.at(span.start.index());
                    root = Some(reader.node(event, span, at, false, 0)?);
                }
            }
        }
        if let Some(id) = root
            && reader.nodes[id].kind == Kind::Scalar
            && reader.nodes[id].start == reader.nodes[id].end
        {
            root = None;
        }
        Ok(Tree { text, nodes: reader.nodes, root, used: reader.used })
    }

    pub(super) fn value(&self) -> Value {
        self.root.map_or_else(Value::object, |root| self.nodes[root].value.clone())
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where the line of `at` ends, before its line break.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text[at..].find(['\n', '\r']).map_or(self.text.len(), |newline| at + newline)
    }

    pub(super) fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    pub(super) fn leads_line(&self, at: usize) -> bool {
        self.text[self.line_start(at)..at].bytes().all(|byte| byte == b' ')
    }

    /// An anchor at `id` or inside of it that an alias names.
    pub(super) fn anchor_in(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        self.used.contains_key(&node.anchor)
            || node.items.iter().any(|item| {
                item.key.is_some_and(|key| self.used.contains_key(&self.nodes[key].anchor))
                    || self.anchor_in(item.value)
            })
    }
}

impl<'a> Reader<'a> {
    fn at(&self, index: usize) -> usize {
        match self.offsets.is_empty() {
            true => index.min(self.text.len()),
            false => self.offsets.get(index).copied().unwrap_or(self.text.len()),
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Invalid> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = self.at(error.marker().index());
                Err(Invalid::at(self.text, at, error.info()))
            }
            None => Err(Invalid::at(self.text, self.text.len(), "the text ends too early")),
        }
    }

    fn fault<T>(&self, at: usize, why: impl Into<String>) -> Result<T, Invalid> {
        Err(Invalid::at(self.text, at, why))
    }

    fn node(&mut self, event: Event<'a>, span: Span, gate: usize, flow: bool, depth: usize) -> Result<Id, Invalid> {
        let Range { start, end } = self.at(span.start.index())..self.at(span.end.index());
        let mut node = Node {
            kind: Kind::Scalar,
            start,
            end,
            gate,
            flow,
            anchor: 0,
            tagged: false,
            items: Vec::new(),
            value: Value::Null,
            weight: 1,
        };
        match event {
            Event::Alias(anchor) => {
                self.aliases += 1;
                if self.aliases > ALIASES_MAX {
                    return self.fault(start, format!("more than {ALIASES_MAX} aliases"));
                }
                let Some(&target) = self.anchors.get(&anchor) else {
                    return self.fault(start, "an alias inside of what it stands for");
                };
                *self.used.entry(anchor).or_default() += 1;
                (node.kind, node.value) = (Kind::Alias, self.nodes[target].value.clone());
                node.weight = self.nodes[target].weight;
                if node.value.depth_within(limits::DEPTH_MAX - depth.min(limits::DEPTH_MAX)) {
                    return self.add(node);
                }
                self.fault(start, format!("nested deeper than {} levels", limits::DEPTH_MAX))
            }
            Event::Scalar(text, style, anchor, tag) => {
                (node.anchor, node.tagged) = (anchor, tag.is_some());
                node.end = scalar_end(self.text, start..end, &text, style, anchor > 0 || tag.is_some());
                node.value = match style {
                    ScalarStyle::Plain if tag.is_none() => core(&text),
                    _ => Value::from(&*text),
                };
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    if self.text[start..node.end].trim().is_empty() {
                        let before = &self.text[..node.end];
                        let line = before.strip_suffix('\n').unwrap_or(before);
                        node.end = line.strip_suffix('\r').unwrap_or(line).len();
                    }
                    // The parser's span begins with the content.
                    node.start = self.text[gate..start].find(['|', '>']).map_or(start, |at| gate + at);
                }
                if node.end == start && node.start == start {
                    (node.start, node.end) = (gate, gate);
                }
                self.add(node)
            }
            Event::SequenceStart(anchor, tag) => {
                (node.kind, node.anchor, node.tagged) = (Kind::Array, anchor, tag.is_some());
                self.collection(node, end, depth)
            }
            Event::MappingStart(anchor, tag) => {
                (node.kind, node.anchor, node.tagged) = (Kind::Object, anchor, tag.is_some());
                self.collection(node, end, depth)
            }
            _ => self.fault(start, "expected a value"),
        }
    }

    fn collection(&mut self, mut node: Node, opened: usize, depth: usize) -> Result<Id, Invalid> {
        if depth >= limits::DEPTH_MAX {
            return self.fault(node.start, format!("nested deeper than {} levels", limits::DEPTH_MAX));
        }
        node.flow |= self.text[..opened].ends_with(['[', '{']) && opened > node.start;
        let mut from = if node.flow { opened } else { node.gate };
        let (mut map, mut list) = (Map::new(), Vec::new());
        let mut seen: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            let at = self.at(span.start.index());
            match (event, &node.kind) {
                (Event::SequenceEnd | Event::MappingEnd, _) => {
                    if node.flow {
                        node.end = self.at(span.end.index());
                    } else {
                        node.end = node.items.last().map_or(node.start, |item| self.nodes[item.value].end);
                    }
                    break;
                }
                (event, Kind::Object) => {
                    let Event::Scalar(text, ..) = &event else {
                        return self
                            .fault(at, "a key that is no scalar; such files can only be read by other programs");
                    };
                    let name = text.to_string();
                    if name.len() > limits::KEY_MAX {
                        let why = format!("the key has {} bytes; the limit is {}", name.len(), limits::KEY_MAX);
                        return self.fault(at, why);
                    }
                    if let Some(&first) = seen.get(&name) {
                        let (line, column) = position(self.text, first);
                        let key = Value::from(name.as_str());
                        let why =
                            format!("the key {key} is written twice; the first is at line {line}, column {column}");
                        return self.fault(at, why);
                    }
                    if self.text[..at].trim_end_matches([' ', '\t', '\n', '\r']).ends_with('?') && at > from {
                        let line = &self.text[from..at];
                        if line.trim().ends_with('?') {
                            return self.fault(at, "a key with `? ` in front; write it as `key: value`");
                        }
                    }
                    seen.insert(name.clone(), at);
                    let key = self.node(event, span, at, node.flow, depth + 1)?;
                    let end = self.nodes[key].end;
                    let rest = self.text[end..].trim_start_matches([' ', '\t', '\n', '\r']);
                    let gate = if rest.starts_with(':') { self.text.len() - rest.len() + 1 } else { end };
                    let (event, span) = self.next()?;
                    let value = self.node(event, span, gate, node.flow, depth + 1)?;
                    node.weight += self.nodes[value].weight;
                    map.insert(name, self.nodes[value].value.clone());
                    node.items.push(Item { key: Some(key), value, start: at });
                    from = self.nodes[value].end;
                }
                (event, _) => {
                    let (start, gate) = if node.flow {
                        (at, at)
                    } else {
                        let dash = dash(self.text, from);
                        (dash, dash + 1)
                    };
                    if !node.flow && !self.text[start..].starts_with('-') {
                        return self.fault(at, "cannot tell where this item begins");
                    }
                    let value = self.node(event, span, gate, node.flow, depth + 1)?;
                    node.weight += self.nodes[value].weight;
                    list.push(self.nodes[value].value.clone());
                    node.items.push(Item { key: None, value, start });
                    from = self.nodes[value].end;
                }
            }
        }
        if !node.flow && node.items.is_empty() {
            return self.fault(node.start, "an empty collection without brackets");
        }
        if !node.flow {
            node.start = node.items[0].start;
        }
        node.value = match node.kind {
            Kind::Object => Value::Object(map),
            _ => Value::Array(list.into_iter().collect()),
        };
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Result<Id, Invalid> {
        if node.weight > EXPANDED_MAX {
            return self.fault(node.start, "the aliases stand for too many values");
        }
        self.done += 1;
        if node.anchor > 0 {
            self.anchors.insert(node.anchor, self.nodes.len());
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }
}

/// The dash behind `from`, past comments, an anchor and a tag.
fn dash(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = text[at..].trim_start_matches([' ', '\t', '\n', '\r']);
        at = text.len() - rest.len();
        match rest.as_bytes().first() {
            Some(b'#') => at += rest.find('\n').unwrap_or(rest.len()),
            Some(b'&' | b'!') => at += rest.find([' ', '\t', '\n', '\r']).unwrap_or(rest.len()),
            _ => return at,
        }
    }
}

/// The parser's spans may take in the comment behind a scalar.
fn scalar_end(text: &str, span: Range<usize>, value: &str, style: ScalarStyle, properties: bool) -> usize {
    let whole = &text[span.clone()];
    let quote = match style {
        ScalarStyle::SingleQuoted => b'\'',
        ScalarStyle::DoubleQuoted => b'"',
        ScalarStyle::Plain if !properties && whole.starts_with(value) => return span.start + value.len(),
        ScalarStyle::Plain => return span.start + whole.trim_end().len(),
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let keeps = whole.lines().next().is_some_and(|header| header.split('#').next().unwrap_or("").contains('+'));
            let content = whole.trim_end_matches([' ', '\t', '\n', '\r']).len();
            let lines = whole.trim_end_matches(' ');
            let kept = lines.strip_suffix('\n').map_or(lines, |lines| lines.strip_suffix('\r').unwrap_or(lines));
            return span.start + if keeps { kept.len() } else { content };
        }
    };
    let bytes = whole.as_bytes();
    let mut at = whole.find(char::from(quote)).unwrap_or(0) + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 1,
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 1,
            byte if byte == quote => return span.start + at + 1,
            _ => {}
        }
        at += 1;
    }
    span.end
}

/// A plain scalar in the core schema, as far as values have kinds for it.
pub(super) fn core(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text => Number::parse(text).map_or_else(|| Value::from(text), Value::Number),
    }
}
