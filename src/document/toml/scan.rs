//! A text that is known to be TOML, as headers and pairs with their spans.

use std::borrow::Cow;
use std::ops::Range;

use toml_parser::Source;
use toml_parser::decoder::Encoding;
use toml_parser::parser::{Event, EventKind, parse_document};
use toml_parser::{Raw, Span};

use super::bare;
use super::write::{write_key, write_string};
use crate::document::flow::{Builder, Comment, Id, Syntax, Tree};
use crate::value::Value;

/// A header, or a key with its value.
pub(super) struct Entry {
    /// From its first byte to its last: the brackets of a header, the key and the value of a pair.
    pub(super) at: Range<usize>,
    /// The words of its key.
    pub(super) keys: Vec<Range<usize>>,
    pub(super) what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// `[table]`
    Table,
    /// `[[element]]`
    Element,
    /// `key = value`
    Pair(Id),
}

pub(super) struct Scanned<'a> {
    pub(super) text: &'a str,
    /// In the order of the text.
    pub(super) entries: Vec<Entry>,
    /// The values of the pairs.
    pub(super) values: Tree<'a>,
}

impl<'a> Scanned<'a> {
    pub(super) fn new(text: &'a str) -> Scanned<'a> {
        let source = Source::new(text);
        let mut scanner = Scanner::default();
        parse_document(&source.lex().into_vec(), &mut |event| scanner.event(&event), &mut ());
        Scanned { text, entries: scanner.entries, values: scanner.out.finish(text, SYNTAX) }
    }

    pub(super) fn key(&self, word: &Range<usize>) -> Cow<'a, str> {
        Toml.string(&self.text[word.clone()])
    }

    /// Where the line begins on which an entry does.
    pub(super) fn line_start(&self, entry: usize) -> usize {
        self.text[..self.entries[entry].at.start].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Behind the line break of the line on which an entry ends.
    pub(super) fn line_end(&self, entry: usize) -> usize {
        self.next_line(self.entries[entry].at.end)
    }

    fn next_line(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// Where the comment begins that touches an entry from above or, without one, its line.
    pub(super) fn lead(&self, entry: usize) -> usize {
        let floor = entry.checked_sub(1).map_or(0, |before| self.line_end(before));
        let mut start = self.line_start(entry);
        while start > floor {
            let above = self.text[..start - 1].rfind('\n').map_or(0, |newline| newline + 1);
            if !self.text[above..].trim_start_matches([' ', '\t']).starts_with('#') {
                break;
            }
            start = above;
        }
        start
    }

    /// Behind an entry's line and the comments that touch it from below, unless they touch the next entry as well.
    pub(super) fn tail(&self, entry: usize) -> usize {
        let next = entry + 1;
        let ceiling = if next < self.entries.len() { self.lead(next) } else { self.text.len() };
        let mut end = self.line_end(entry);
        while end < ceiling && self.text[end..].trim_start_matches([' ', '\t']).starts_with('#') {
            end = self.next_line(end);
        }
        end
    }

    pub(super) fn indent(&self, entry: usize) -> &'a str {
        &self.text[self.line_start(entry)..self.entries[entry].at.start]
    }
}

/// What is being read.
enum Frame {
    Array(Id),
    /// An inline table, and whether it has a key of several words.
    Table(Id, bool),
}

#[derive(Default)]
struct Scanner {
    out: Builder,
    entries: Vec<Entry>,
    open: Vec<Frame>,
    /// The last item of each open container, to which a comma would belong.
    last: Vec<Option<Id>>,
    keys: Vec<Range<usize>>,
    header: usize,
}

impl Scanner {
    fn event(&mut self, event: &Event) {
        let at = event.span().start()..event.span().end();
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => self.header = at.start,
            EventKind::StdTableClose => self.entry(self.header..at.end, What::Table),
            EventKind::ArrayTableClose => self.entry(self.header..at.end, What::Element),
            EventKind::SimpleKey => self.keys.push(at),
            EventKind::Scalar => {
                let id = self.item(at.clone());
                self.finish(id, at.end);
            }
            EventKind::ArrayOpen => self.container(at, false),
            EventKind::InlineTableOpen => self.container(at, true),
            EventKind::ArrayClose | EventKind::InlineTableClose => self.close(at.end),
            EventKind::ValueSep => {
                if let Some(Some(item)) = self.last.last() {
                    self.out.comma(*item, at.start);
                }
            }
            EventKind::Comment => self.out.comments.push(Comment { at, to_line_end: true }),
            EventKind::KeySep
            | EventKind::KeyValSep
            | EventKind::Whitespace
            | EventKind::Newline
            | EventKind::Error => {}
        }
    }

    fn entry(&mut self, at: Range<usize>, what: What) {
        self.entries.push(Entry { at, keys: std::mem::take(&mut self.keys), what });
    }

    /// Adds a value, behind its key if it has one here.
    fn item(&mut self, at: Range<usize>) -> Id {
        if let Some(Frame::Table(_, dotted)) = self.open.last_mut() {
            *dotted |= self.keys.len() > 1;
            if let Some(key) = self.keys.drain(..).next() {
                self.out.push(key);
            }
        }
        self.out.push(at)
    }

    fn container(&mut self, at: Range<usize>, keyed: bool) {
        let at_top = self.open.is_empty();
        // The keys of the pair are needed when its value is complete.
        let keys = if at_top { std::mem::take(&mut self.keys) } else { Vec::new() };
        let id = self.item(at);
        if at_top {
            self.pending(keys);
        }
        self.open.push(if keyed { Frame::Table(id, false) } else { Frame::Array(id) });
        self.last.push(None);
    }

    /// Keeps a pair whose value is still open.
    fn pending(&mut self, keys: Vec<Range<usize>>) {
        let start = keys.first().map_or(0, |key| key.start);
        self.entries.push(Entry { at: start..start, keys, what: What::Pair(Id::MAX) });
    }

    fn close(&mut self, end: usize) {
        self.last.pop();
        let id = match self.open.pop() {
            Some(Frame::Table(id, true)) => {
                self.out.close_opaque(id, end);
                id
            }
            Some(Frame::Table(id, false) | Frame::Array(id)) => {
                self.out.close(id, end);
                id
            }
            None => return,
        };
        self.finish(id, end);
    }

    /// A value is complete.
    fn finish(&mut self, id: Id, end: usize) {
        if let Some(last) = self.last.last_mut() {
            *last = Some(id);
            return;
        }
        if !matches!(self.entries.last(), Some(Entry { what: What::Pair(Id::MAX), .. })) {
            let keys = std::mem::take(&mut self.keys);
            self.pending(keys);
        }
        if let Some(entry) = self.entries.last_mut() {
            (entry.at.end, entry.what) = (end, What::Pair(id));
        }
    }
}

struct Toml;

pub(super) const SYNTAX: &dyn Syntax = &Toml;

impl Syntax for Toml {
    fn string<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let encoding = match text.as_bytes() {
            [b'"', b'"', b'"', ..] => Encoding::MlBasicString,
            [b'\'', b'\'', b'\'', ..] => Encoding::MlLiteralString,
            [b'"', ..] => Encoding::BasicString,
            [b'\'', ..] => Encoding::LiteralString,
            _ => return text.into(),
        };
        let mut out = Cow::Borrowed("");
        let raw = Raw::new_unchecked(text, Some(encoding), Span::new_unchecked(0, text.len()));
        let _ = raw.decode_scalar(&mut out, &mut ());
        out
    }

    fn scalar(&self, text: &str) -> Value {
        match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ if text.starts_with(['{', '[']) => {
                // An inline table with a key of several words.
                let read = super::read(&format!("v = {text}"));
                read.ok().and_then(|read| read.as_object()?.get("v").cloned()).unwrap_or_default()
            }
            _ => bare(text),
        }
    }

    fn write_key(&self, out: &mut String, key: &str) {
        write_key(out, key);
    }

    fn write_scalar(&self, out: &mut String, value: &Value) {
        match value {
            Value::String(text) => write_string(out, text),
            other => out.push_str(&other.to_string()),
        }
    }

    fn colons(&self) -> &'static [&'static str] {
        &[" = ", "=", "= ", " ="]
    }

    fn unit(&self) -> &'static str {
        "    "
    }

    fn padding(&self) -> &'static str {
        " "
    }

    fn is_ordered(&self) -> bool {
        false
    }

    fn has_lines(&self) -> bool {
        false
    }
}
