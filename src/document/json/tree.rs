//! A JSON text as a flat tree of spans.
//!
//! `jsonc_parser`'s own syntax tree does not say where the commas are, which is what adding and
//! removing is about, follows nesting before it is known how deep it goes, and takes some ten times
//! the memory. This one is an array of nodes in the order of the text, 16 bytes each; what a node is,
//! its first byte tells.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use super::Dialect;
use super::scan::{Comment, Token, Tokens, cut, unescape};
use crate::document::{Invalid, position};
use crate::limits;
use crate::value::{Map, Number, Value};

/// No comma follows.
const NONE: u32 = u32::MAX;

/// A node's place in the array.
pub(super) type Id = u32;

#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    /// The node after this one's descendants.
    next: Id,
    /// Where the comma behind it is, or `NONE`.
    comma: u32,
}

pub(super) struct Tree<'a> {
    text: &'a str,
    nodes: Vec<Node>,
    comments: Vec<Comment>,
    /// Where each line starts. Found when first asked for: most texts are only read.
    lines: OnceCell<Vec<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `null`, `true`, `false` or a number.
    Scalar,
    String,
    Array,
    Object,
}

/// An element of an array, or a key with its value.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) key: Option<Id>,
    pub(super) value: Id,
}

impl<'a> Tree<'a> {
    /// `text` has no byte order mark and is no larger than a document may be.
    pub(super) fn parse(text: &'a str, dialect: Dialect) -> Result<Tree<'a>, Invalid> {
        let tokens = Tokens::new(text, dialect);
        let mut parser = Parser { text, dialect, tokens, nodes: Vec::new(), keys: Vec::new() };
        parser.document()?;
        Ok(Tree { text, nodes: parser.nodes, comments: parser.tokens.comments, lines: OnceCell::new() })
    }

    pub(super) const ROOT: Id = 0;

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn span(&self, id: Id) -> Range<usize> {
        let node = self.nodes[id as usize];
        node.start as usize..node.end as usize
    }

    pub(super) fn slice(&self, id: Id) -> &'a str {
        &self.text[self.span(id)]
    }

    pub(super) fn kind(&self, id: Id) -> Kind {
        match self.text.as_bytes()[self.span(id).start] {
            b'"' => Kind::String,
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            _ => Kind::Scalar,
        }
    }

    /// What is directly inside this array or object.
    pub(super) fn items(&self, id: Id) -> impl Iterator<Item = Item> + '_ {
        let keyed = self.kind(id) == Kind::Object;
        let (mut at, end) = (id + 1, self.nodes[id as usize].next);
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (key, value) = if keyed { (Some(at), at + 1) } else { (None, at) };
            at = self.nodes[value as usize].next;
            Some(Item { key, value })
        })
    }

    /// All arrays and objects, outer ones first.
    pub(super) fn containers(&self) -> impl Iterator<Item = Id> + '_ {
        (0..offset(self.nodes.len())).filter(|&id| matches!(self.kind(id), Kind::Array | Kind::Object))
    }

    pub(super) fn has_items(&self, id: Id) -> bool {
        self.nodes[id as usize].next > id + 1
    }

    pub(super) fn start(&self, item: Item) -> usize {
        self.span(item.key.unwrap_or(item.value)).start
    }

    pub(super) fn end(&self, item: Item) -> usize {
        self.span(item.value).end
    }

    pub(super) fn comma(&self, item: Item) -> Option<usize> {
        let comma = self.nodes[item.value as usize].comma;
        (comma != NONE).then_some(comma as usize)
    }

    /// The characters that a string or a key stands for.
    pub(super) fn string(&self, id: Id) -> Cow<'a, str> {
        unescape(self.slice(id))
    }

    pub(super) fn value(&self, id: Id) -> Value {
        match self.kind(id) {
            Kind::String => Value::String(self.string(id).into()),
            Kind::Array => Value::Array(self.items(id).map(|item| self.value(item.value)).collect()),
            Kind::Object => {
                let mut map = Map::new();
                for item in self.items(id) {
                    let key = self.string(item.key.expect("what is in an object has a key"));
                    map.insert(&*key, self.value(item.value));
                }
                Value::Object(map)
            }
            Kind::Scalar => match self.slice(id) {
                "null" => Value::Null,
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                number => Value::Number(Number::parse(number).expect("checked when the text was scanned")),
            },
        }
    }

    /// Whether this node stands for `value`. Builds nothing, and looks no further than the first
    /// difference.
    pub(super) fn matches(&self, id: Id, value: &Value) -> bool {
        match (self.kind(id), value) {
            (Kind::String, Value::String(text)) => self.string(id) == **text,
            (Kind::Array, Value::Array(list)) => {
                let mut elements = list.iter();
                self.items(id).all(|item| elements.next().is_some_and(|value| self.matches(item.value, value)))
                    && elements.next().is_none()
            }
            (Kind::Object, Value::Object(map)) => {
                let mut entries = map.iter();
                self.items(id).all(|item| {
                    let key = item.key.expect("what is in an object has a key");
                    entries
                        .next()
                        .is_some_and(|(name, value)| self.string(key) == *name && self.matches(item.value, value))
                }) && entries.next().is_none()
            }
            (Kind::Scalar, Value::Null) => self.slice(id) == "null",
            (Kind::Scalar, Value::Bool(wanted)) => self.slice(id) == if *wanted { "true" } else { "false" },
            (Kind::Scalar, Value::Number(number)) => Number::parse(self.slice(id)).as_ref() == Some(number),
            _ => false,
        }
    }

    /// The comments that lie in `range`, in order.
    pub(super) fn comments(&self, range: Range<usize>) -> &[Comment] {
        let from = self.comments.partition_point(|comment| comment.at.start < range.start);
        let to = self.comments.partition_point(|comment| comment.at.end <= range.end);
        &self.comments[from..to.max(from)]
    }

    /// Where the line that holds byte `at` begins.
    pub(super) fn line_start(&self, at: usize) -> usize {
        let lines = self.lines.get_or_init(|| {
            let bytes = self.text.as_bytes();
            let ends = bytes
                .iter()
                .enumerate()
                .filter(|&(index, &byte)| byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) != Some(&b'\n')));
            std::iter::once(0).chain(ends.map(|(index, _)| index + 1)).collect()
        });
        lines[lines.partition_point(|&start| start <= at) - 1]
    }

    /// The line break that ends the line before the one that begins at `line_start`.
    pub(super) fn line_break_before(&self, line_start: usize) -> &'a str {
        let before = &self.text[..line_start];
        ["\r\n", "\n", "\r"].into_iter().find(|eol| before.ends_with(eol)).unwrap_or("")
    }

    /// The white space at the beginning of the line that holds byte `at`.
    pub(super) fn indent(&self, at: usize) -> &'a str {
        let line = &self.text[self.line_start(at)..];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    pub(super) fn spans_lines(&self, id: Id) -> bool {
        let span = self.span(id);
        self.line_start(span.start) != self.line_start(span.end)
    }
}

struct Parser<'a> {
    text: &'a str,
    dialect: Dialect,
    tokens: Tokens<'a>,
    nodes: Vec<Node>,
    /// The keys of all open objects, the innermost last, to find those written twice.
    keys: Vec<(Cow<'a, str>, Id)>,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), Invalid> {
        match self.tokens.next()? {
            Some(token) => self.value(token, 0)?,
            None => return Err(self.tokens.fault(0, "the document holds nothing but comments")),
        }
        match self.tokens.next()? {
            None => Ok(()),
            Some(token) => Err(self.tokens.unexpected(token, "the document is one value and ended before this")),
        }
    }

    /// Adds the value that begins with `token`; `depth` containers are open around it.
    fn value(&mut self, token: Token, depth: usize) -> Result<(), Invalid> {
        match token {
            Token::OpenObject => self.container(Token::CloseObject, depth),
            Token::OpenArray => self.container(Token::CloseArray, depth),
            Token::String | Token::Number | Token::Literal => {
                self.push();
                Ok(())
            }
            other => Err(self.tokens.unexpected(other, "expected a value")),
        }
    }

    fn container(&mut self, close: Token, depth: usize) -> Result<(), Invalid> {
        let start = self.tokens.at.start;
        // Checked before going in, so the recursion has this bound too.
        if depth >= limits::DEPTH_MAX {
            return Err(self.tokens.fault(start, format!("nested deeper than {} levels", limits::DEPTH_MAX)));
        }
        let keyed = close == Token::CloseObject;
        let (id, keys) = (self.push(), self.keys.len());
        let mut token = self.inside(start)?;
        while token != close {
            if keyed {
                self.key(token)?;
                match self.inside(start)? {
                    Token::Colon => token = self.inside(start)?,
                    other => return Err(self.tokens.unexpected(other, "expected `:` after the key")),
                }
            }
            let item = self.nodes.len();
            self.value(token, depth + 1)?;
            token = self.inside(start)?;
            if token == Token::Comma {
                let comma = self.tokens.at.start;
                self.nodes[item].comma = offset(comma);
                token = self.inside(start)?;
                if token == close && self.dialect == Dialect::Strict {
                    let why = "a comma behind the last item is not JSON (it is JSONC: choose that format)";
                    return Err(self.tokens.fault(comma, why));
                }
            } else if token != close {
                let expected = if keyed { "expected `,` or `}`" } else { "expected `,` or `]`" };
                return Err(self.tokens.unexpected(token, expected));
            }
        }
        let next = offset(self.nodes.len());
        let node = &mut self.nodes[id as usize];
        (node.end, node.next) = (offset(self.tokens.at.end), next);
        self.refuse_twins(keys)
    }

    fn key(&mut self, token: Token) -> Result<(), Invalid> {
        let at = self.tokens.at.clone();
        let text = &self.text[at.clone()];
        match token {
            Token::String => {
                let key = unescape(text);
                if key.len() > limits::KEY_MAX {
                    let why = format!("the key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX);
                    return Err(self.tokens.fault(at.start, why));
                }
                let id = self.push();
                self.keys.push((key, id));
                Ok(())
            }
            Token::Word => Err(self.tokens.fault(at.start, format!("the key `{}` needs double quotes", cut(text)))),
            other => Err(self.tokens.unexpected(other, "expected a key in double quotes")),
        }
    }

    /// The object whose keys begin at `from` in the list is complete. Readers of JSON do not agree
    /// on which of two equal keys counts, so there is no right one to edit.
    fn refuse_twins(&mut self, from: usize) -> Result<(), Invalid> {
        let keys = &mut self.keys[from..];
        keys.sort_unstable();
        let twins = keys.windows(2).find(|pair| pair[0].0 == pair[1].0);
        let twins = twins.map(|pair| (pair[0].1, pair[1].1, Value::from(&*pair[0].0)));
        self.keys.truncate(from);
        let Some((first, second, key)) = twins else { return Ok(()) };
        let [first, second] = [first, second].map(|id| self.nodes[id as usize].start as usize);
        let (line, column) = position(self.text, first);
        let why = format!("the key {key} is written twice; the first is at line {line}, column {column}");
        Err(self.tokens.fault(second, why))
    }

    /// Adds a node for the token just scanned.
    fn push(&mut self) -> Id {
        let id = offset(self.nodes.len());
        let Range { start, end } = self.tokens.at;
        self.nodes.push(Node { start: offset(start), end: offset(end), next: id + 1, comma: NONE });
        id
    }

    /// The next token inside the container that begins at `open`.
    fn inside(&mut self, open: usize) -> Result<Token, Invalid> {
        self.tokens.next()?.ok_or_else(|| {
            let (line, column) = position(self.text, open);
            let bracket = &self.text[open..=open];
            let why = format!("the text ends before the `{bracket}` of line {line}, column {column} is closed");
            self.tokens.fault(self.text.len(), why)
        })
    }
}

/// Positions and counts fit: a document is much smaller than 4 GiB.
fn offset(at: usize) -> u32 {
    const { assert!(limits::RECORD_MAX < NONE as usize) };
    u32::try_from(at).expect("a document is no larger than limits::RECORD_MAX")
}
