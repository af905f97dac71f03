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
    /// Behind the colon or the dash that it follows, and its anchor and tag.
    pub(super) gate: usize,
    pub(super) flow: bool,
    pub(super) anchor: usize,
    pub(super) tagged: bool,
    pub(super) items: Vec<Item>,
    pub(super) value: Value,
    /// How many values there are from here on down, aliases followed.
    weight: usize,
}

impl Node {
    /// Whether this is a single pair without braces inside of brackets.
    pub(super) fn is_pair(&self, text: &str) -> bool {
        self.flow && self.kind == Kind::Object && !text[self.start..].starts_with('{')
    }
}

pub(super) struct Tree<'a> {
    pub(super) text: &'a str,
    pub(super) nodes: Vec<Node>,
    pub(super) root: Option<Id>,
    /// Anchors that some alias names, with the places of the aliases.
    pub(super) used: HashMap<usize, Vec<usize>>,
    /// Where block scalars end, in order.
    pub(super) block_scalars: Vec<usize>,
}

struct Reader<'a> {
    text: &'a str,
    /// The byte at which each character begins, unless all are one byte long.
    offsets: Vec<usize>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    nodes: Vec<Node>,
    anchors: HashMap<usize, Id>,
    used: HashMap<usize, Vec<usize>>,
    block_scalars: Vec<usize>,
    aliases: usize,
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
            block_scalars: Vec::new(),
            aliases: 0,
        };
        let mut root = None;
        let mut document = None;
        loop {
            let (event, span) = reader.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if document.is_some() => {
                    let why = "a second document begins here; only files with one document can be edited";
                    return Err(Invalid::at(text, reader.at(span.start.index()), why));
                }
                Event::DocumentStart(explicit) => {
                    document = Some(if explicit { reader.at(span.end.index()) } else { first(text) });
                }
                event => {
                    root = Some(reader.node(event, span, document.unwrap_or(0), false, 0)?);
                }
            }
        }
        if let Some(id) = root
            && reader.nodes[id].kind == Kind::Scalar
            && reader.nodes[id].start == reader.nodes[id].end
        {
            root = None;
        }
        Ok(Tree { text, nodes: reader.nodes, root, used: reader.used, block_scalars: reader.block_scalars })
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

    /// Where the line behind that of `at` begins.
    pub(super) fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    pub(super) fn leads_line(&self, at: usize) -> bool {
        self.text[self.line_start(at)..at].bytes().all(|byte| byte == b' ')
    }

    /// Where an item ends.
    pub(super) fn end(&self, item: Item) -> usize {
        let node = &self.nodes[item.value];
        node.end.max(node.gate)
    }

    /// The aliases that stand for `id` or something inside of it.
    pub(super) fn aliases_in(&self, id: Id) -> Option<&[usize]> {
        let node = &self.nodes[id];
        self.used.get(&node.anchor).map(Vec::as_slice).or_else(|| {
            node.items.iter().find_map(|item| {
                let key = item.key.and_then(|key| self.used.get(&self.nodes[key].anchor));
                key.map(Vec::as_slice).or_else(|| self.aliases_in(item.value))
            })
        })
    }

    /// Whether `id` or something inside of it is an alias.
    pub(super) fn has_aliases(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        node.kind == Kind::Alias || node.items.iter().any(|item| self.has_aliases(item.value))
    }

    /// `id` and all that is inside of it, keys among them.
    pub(super) fn below(&self, id: Id) -> Vec<Id> {
        let mut found = vec![id];
        let mut at = 0;
        while let Some(&id) = found.get(at) {
            found.extend(self.nodes[id].items.iter().flat_map(|item| item.key.into_iter().chain([item.value])));
            at += 1;
        }
        found
    }

    /// Whether there is a comment between the brackets of `id`.
    pub(super) fn has_comments(&self, id: Id) -> bool {
        let node = &self.nodes[id];
        let mut from = node.start;
        let mut gap = |to: usize, next: usize| {
            let found = from < to && has_comment(&self.text[from..to]);
            from = next;
            found
        };
        node.items.iter().any(|item| {
            let value = &self.nodes[item.value];
            let key = item.key.map(|key| &self.nodes[key]);
            key.is_some_and(|key| gap(key.start, key.end))
                || gap(value.start, value.end)
                || !value.items.is_empty() && self.has_comments(item.value)
        }) || !matches!(node.kind, Kind::Scalar | Kind::Alias) && gap(node.end, node.end)
    }
}

/// Whether there is a comment in a text that holds no scalars.
pub(super) fn has_comment(gap: &str) -> bool {
    gap.contains('#')
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
                // What is missing at the end is missed behind the last thing written.
                let at = self.at(error.marker().index()).min(self.text.trim_end().len());
                Err(Invalid::at(self.text, at, error.info()))
            }
            None => Err(Invalid::at(self.text, self.text.len(), "the text ends too early")),
        }
    }

    fn fault<T>(&self, at: usize, why: impl Into<String>) -> Result<T, Invalid> {
        Err(Invalid::at(self.text, at, why))
    }

    /// The node of `event`, where `gate` is behind the colon or the dash before it.
    fn node(&mut self, event: Event<'a>, span: Span, gate: usize, flow: bool, depth: usize) -> Result<Id, Invalid> {
        let Range { start, end } = self.at(span.start.index())..self.at(span.end.index());
        let (anchor, tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        let gate = behind_properties(self.text, gate, usize::from(anchor > 0) + usize::from(tagged));
        let mut node = Node {
            kind: Kind::Scalar,
            start: skip_blank(self.text, gate),
            end,
            gate,
            flow,
            anchor,
            tagged,
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
                self.used.entry(anchor).or_default().push(start);
                (node.kind, node.value) = (Kind::Alias, self.nodes[target].value.clone());
                node.weight = self.nodes[target].weight;
                if node.value.depth_within(limits::DEPTH_MAX - depth.min(limits::DEPTH_MAX)) {
                    return self.add(node);
                }
                self.fault(start, format!("nested deeper than {} levels", limits::DEPTH_MAX))
            }
            Event::Scalar(text, style, ..) => {
                node.value = match style {
                    ScalarStyle::Plain if !tagged => core(&text),
                    _ => Value::from(&*text),
                };
                if style == ScalarStyle::Plain && text.is_empty() {
                    (node.start, node.end) = (gate, gate);
                } else {
                    node.end = scalar_end(self.text, node.start..end.max(node.start), &text, style);
                }
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    self.block_scalars.push(node.end);
                }
                self.add(node)
            }
            Event::SequenceStart(..) => {
                node.kind = Kind::Array;
                self.collection(node, end, depth)
            }
            Event::MappingStart(..) => {
                node.kind = Kind::Object;
                self.collection(node, end, depth)
            }
            _ => self.fault(start, "expected a value"),
        }
    }

    fn collection(&mut self, mut node: Node, opened: usize, depth: usize) -> Result<Id, Invalid> {
        if depth >= limits::DEPTH_MAX {
            return self.fault(node.start, format!("nested deeper than {} levels", limits::DEPTH_MAX));
        }
        let bracket = self.text[node.start..].starts_with(['[', '{']) && opened > node.start;
        node.flow |= bracket;
        let mut from = if bracket { node.start + 1 } else { node.gate };
        let (mut map, mut list) = (Map::new(), Vec::new());
        let mut seen: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
                break;
            }
            let start = if node.flow { skip_comma(self.text, from) } else { skip_blank(self.text, from) };
            let (key, value) = match node.kind {
                Kind::Object => {
                    let (name, key, value) = self.pair(event, span, start, node.flow, depth)?;
                    if let Some(&first) = seen.get(&name) {
                        let (line, column) = position(self.text, first);
                        let written = Value::from(name.as_str());
                        let why =
                            format!("the key {written} is written twice; the first is at line {line}, column {column}");
                        return self.fault(self.nodes[key].start, why);
                    }
                    seen.insert(name.clone(), self.nodes[key].start);
                    map.insert(name, self.nodes[value].value.clone());
                    (Some(key), value)
                }
                _ => {
                    if !node.flow && !self.text[start..].starts_with('-') {
                        return self.fault(start, "cannot tell where this item begins");
                    }
                    let gate = if node.flow { start } else { start + 1 };
                    let value = self.node(event, span, gate, node.flow, depth + 1)?;
                    list.push(self.nodes[value].value.clone());
                    (None, value)
                }
            };
            node.weight += self.nodes[value].weight;
            node.items.push(Item { key, value, start });
            from = self.nodes[value].end.max(self.nodes[value].gate);
        }
        if bracket {
            // The parser's span may be that of what comes before.
            let close = skip_comma(self.text, from);
            if !self.text[close..].starts_with([']', '}']) {
                return self.fault(close, "cannot tell where this ends");
            }
            node.end = close + 1;
        } else {
            let Some(first) = node.items.first() else {
                return self.fault(node.start, "an empty collection without brackets");
            };
            (node.start, node.end) = (first.start, from);
        }
        node.value = match node.kind {
            Kind::Object => Value::Object(map),
            _ => Value::Array(list.into_iter().collect()),
        };
        self.add(node)
    }

    /// A key that begins at `start`, and what belongs to it.
    fn pair(
        &mut self,
        event: Event<'a>,
        span: Span,
        start: usize,
        flow: bool,
        depth: usize,
    ) -> Result<(String, Id, Id), Invalid> {
        let Event::Scalar(text, ..) = &event else {
            return self.fault(start, "a key that is no scalar; such files can only be read by other programs");
        };
        let name = text.to_string();
        if name.len() > limits::KEY_MAX {
            let why = format!("the key has {} bytes; the limit is {}", name.len(), limits::KEY_MAX);
            return self.fault(start, why);
        }
        let explicit = self.text[start..].strip_prefix('?').is_some_and(|rest| rest.starts_with(BLANK));
        let key = self.node(event, span, start + usize::from(explicit), flow, depth + 1)?;
        let end = self.nodes[key].end;
        let colon = skip_blank(self.text, end);
        let gate = if self.text[colon..].starts_with(':') { colon + 1 } else { end };
        if explicit && name.is_empty() && gate == end {
            return self.fault(start, "a key with `? ` and nothing behind it");
        }
        let (event, span) = self.next()?;
        let value = self.node(event, span, gate, flow, depth + 1)?;
        Ok((name, key, value))
    }

    fn add(&mut self, node: Node) -> Result<Id, Invalid> {
        if node.weight > EXPANDED_MAX {
            return self.fault(node.start, "the aliases stand for too many values");
        }
        if node.anchor > 0 {
            self.anchors.insert(node.anchor, self.nodes.len());
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }
}

const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// Where something is written again behind `from`: past blanks and comments.
fn skip_blank(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        at = text.len() - text[at..].trim_start_matches(BLANK).len();
        if !text[at..].starts_with('#') {
            return at;
        }
        at += text[at..].find('\n').unwrap_or(text.len() - at);
    }
}

/// Where a document without `---` begins: past the ends of documents that are none.
fn first(text: &str) -> usize {
    let mut at = skip_blank(text, 0);
    while (at == 0 || text[..at].ends_with('\n'))
        && text[at..].strip_prefix("...").is_some_and(|rest| rest.is_empty() || rest.starts_with(BLANK))
    {
        at = skip_blank(text, at + 3);
    }
    at
}

/// Past blanks, comments and a comma.
fn skip_comma(text: &str, from: usize) -> usize {
    let at = skip_blank(text, from);
    if text[at..].starts_with(',') { skip_blank(text, at + 1) } else { at }
}

/// Behind so many anchors and tags.
fn behind_properties(text: &str, from: usize, count: usize) -> usize {
    (0..count).fold(from, |from, _| {
        let at = skip_blank(text, from);
        // Inside brackets a comma ends them.
        let ends = |c: char| BLANK.contains(&c) || matches!(c, ',' | '[' | ']' | '{' | '}');
        match text[at..].starts_with("!<") {
            true => at + text[at..].find('>').map_or(1, |end| end + 1),
            false => at + text[at..].find(ends).unwrap_or(text.len() - at),
        }
    })
}

/// Where the scalar ends that begins a span; the parser's may take in blank lines and a comment.
fn scalar_end(text: &str, span: Range<usize>, value: &str, style: ScalarStyle) -> usize {
    let whole = &text[span.clone()];
    let quote = match style {
        ScalarStyle::SingleQuoted => b'\'',
        ScalarStyle::DoubleQuoted => b'"',
        ScalarStyle::Plain => {
            // Line breaks and what is around them are folded, and nothing else.
            let mut left = value.chars().filter(|c| !BLANK.contains(c)).count();
            let last = text[span.start..].char_indices().find(|(_, c)| {
                left -= usize::from(!BLANK.contains(c));
                left == 0
            });
            return last.map_or(span.end, |(at, c)| span.start + at + c.len_utf8());
        }
        ScalarStyle::Literal | ScalarStyle::Folded => {
            let header = whole.lines().next().unwrap_or("");
            let keeps = header.split('#').next().is_some_and(|header| header.contains('+'));
            let lines = whole.trim_end_matches(' ');
            let lines = match keeps {
                true => lines.strip_suffix('\n').unwrap_or(lines),
                false => {
                    let last = whole.trim_end_matches(BLANK).len();
                    &whole[..whole[last..].find('\n').map_or(whole.len(), |end| last + end)]
                }
            };
            let len = lines.strip_suffix('\r').unwrap_or(lines).len();
            return span.start + len.max(header.len());
        }
    };
    let bytes = whole.as_bytes();
    let mut at = 1;
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
