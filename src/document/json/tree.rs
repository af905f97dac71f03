//! A JSON text as a flat tree of spans.
//!
//! The tokens come from `jsonc_parser`; its own syntax tree does not say where the commas are, which
//! is what adding and removing is about, and takes some ten times the memory. This one is an array of
//! nodes in the order of the text, 16 bytes each; what a node is, its first byte tells.
//!
//! The scanner is more lenient than JSON, so what it lets through is checked here: raw control
//! characters in strings, other white space than JSON's four, and words.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::tokens::Token;
use jsonc_parser::{ParseStringErrorKind, Scanner, ScannerOptions};

use super::Dialect;
use crate::document::{Invalid, position};
use crate::limits;
use crate::value::{Map, Number, Value};

/// Strict scanning: each of these extras is something that other readers of JSON do not read.
const STRICT: ScannerOptions = ScannerOptions {
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

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

#[derive(Clone)]
pub(super) struct Comment {
    pub(super) at: Range<usize>,
    /// Ends with its line: nothing may be moved up behind it.
    pub(super) to_line_end: bool,
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
        let mut parser = Parser {
            text,
            dialect,
            scanner: Scanner::new(text, &STRICT),
            scanned: 0,
            nodes: Vec::new(),
            comments: Vec::new(),
            keys: Vec::new(),
        };
        parser.document()?;
        let (nodes, comments) = (parser.nodes, parser.comments);
        Ok(Tree { text, nodes, comments, lines: OnceCell::new() })
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
        let slice = self.slice(id);
        if !slice.contains('\\') {
            return Cow::Borrowed(&slice[1..slice.len() - 1]);
        }
        match Scanner::new(slice, &STRICT).scan() {
            Ok(Some(Token::String(decoded))) => decoded,
            other => unreachable!("this string was scanned before: {other:?}"),
        }
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
    scanner: Scanner<'a>,
    /// Up to here the text is tokens, comments and JSON's white space.
    scanned: usize,
    nodes: Vec<Node>,
    comments: Vec<Comment>,
    /// The keys of all open objects, the innermost last, to find those written twice.
    keys: Vec<(Cow<'a, str>, Id)>,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<(), Invalid> {
        match self.token()? {
            Some(token) => self.value(&token, 0)?,
            None => return Err(self.fault(0, "the document holds nothing but comments")),
        }
        match self.token()? {
            None => Ok(()),
            Some(token) => Err(self.unexpected(&token, "the document is one value and ended before this")),
        }
    }

    /// Adds the value that begins with `token`; `depth` containers are open around it.
    fn value(&mut self, token: &Token<'a>, depth: usize) -> Result<(), Invalid> {
        match token {
            Token::OpenBrace | Token::OpenBracket => return self.container(token, depth),
            Token::String(_) | Token::Null | Token::Boolean(_) => {}
            Token::Number(text) if Number::parse(text).is_some() => {}
            other => return Err(self.unexpected(other, "expected a value")),
        }
        self.push();
        Ok(())
    }

    fn container(&mut self, open: &Token<'a>, depth: usize) -> Result<(), Invalid> {
        let start = self.scanner.token_start();
        // Checked before going in, so the recursion has this bound too.
        if depth >= limits::DEPTH_MAX {
            return Err(self.fault(start, format!("nested deeper than {} levels", limits::DEPTH_MAX)));
        }
        let keyed = *open == Token::OpenBrace;
        let (close, missing) = match keyed {
            true => (Token::CloseBrace, "expected `,` or `}`"),
            false => (Token::CloseBracket, "expected `,` or `]`"),
        };
        let (id, keys) = (self.push(), self.keys.len());
        let mut token = self.token_inside(start)?;
        while token != close {
            if keyed {
                self.key(token)?;
                match self.token_inside(start)? {
                    Token::Colon => token = self.token_inside(start)?,
                    other => return Err(self.unexpected(&other, "expected `:` after the key")),
                }
            }
            let item = self.nodes.len();
            self.value(&token, depth + 1)?;
            token = self.token_inside(start)?;
            if token == Token::Comma {
                let comma = self.scanner.token_start();
                self.nodes[item].comma = offset(comma);
                token = self.token_inside(start)?;
                if token == close && self.dialect == Dialect::Strict {
                    return Err(self.fault(comma, "a comma behind the last item is not JSON, though it is JSONC"));
                }
            } else if token != close {
                return Err(self.unexpected(&token, missing));
            }
        }
        let next = offset(self.nodes.len());
        let node = &mut self.nodes[id as usize];
        (node.end, node.next) = (offset(self.scanner.token_end()), next);
        self.refuse_twins(keys)
    }

    fn key(&mut self, token: Token<'a>) -> Result<(), Invalid> {
        let at = self.scanner.token_start();
        match token {
            Token::String(key) if key.len() > limits::KEY_MAX => {
                Err(self.fault(at, format!("the key has {} bytes; the limit is {}", key.len(), limits::KEY_MAX)))
            }
            Token::String(key) => {
                let id = self.push();
                self.keys.push((key, id));
                Ok(())
            }
            Token::Word(word) => Err(self.fault(at, format!("the key `{word}` needs double quotes"))),
            other => Err(self.unexpected(&other, "expected a key in double quotes")),
        }
    }

    /// The object whose keys begin at `from` in the list is complete. Readers of JSON do not agree
    /// on which of two equal keys counts, so there is no right one to edit.
    fn refuse_twins(&mut self, from: usize) -> Result<(), Invalid> {
        let keys = &mut self.keys[from..];
        keys.sort_unstable();
        let twins = keys.windows(2).find(|pair| pair[0].0 == pair[1].0);
        let twins = twins.map(|pair| (pair[0].1, pair[1].1, pair[0].0.to_string()));
        self.keys.truncate(from);
        let Some((first, second, key)) = twins else { return Ok(()) };
        let [first, second] = [first, second].map(|id| self.nodes[id as usize].start as usize);
        let ((line, column), key) = (position(self.text, first), Value::from(key));
        Err(self.fault(second, format!("the key {key} is written twice; the first is at line {line}, column {column}")))
    }

    /// Adds a node for the token just scanned.
    fn push(&mut self) -> Id {
        let id = offset(self.nodes.len());
        let (start, end) = (offset(self.scanner.token_start()), offset(self.scanner.token_end()));
        self.nodes.push(Node { start, end, next: id + 1, comma: NONE });
        id
    }

    /// The next token inside the container that begins at `open`.
    fn token_inside(&mut self, open: usize) -> Result<Token<'a>, Invalid> {
        self.token()?.ok_or_else(|| {
            let (line, column) = position(self.text, open);
            let bracket = &self.text[open..=open];
            let why = format!("the text ends before the `{bracket}` of line {line}, column {column} is closed");
            self.fault(self.text.len(), why)
        })
    }

    /// The next token that is not a comment.
    fn token(&mut self) -> Result<Option<Token<'a>>, Invalid> {
        loop {
            let token = self.scanner.scan().map_err(|error| self.refused(&error))?;
            let at = self.scanner.token_start()..self.scanner.token_end();
            let gap = &self.text[self.scanned..at.start];
            if let Some(found) = gap.find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
                let c = gap[found..].chars().next().expect("find returns where a character begins");
                let why = format!("U+{:04X} is not white space in JSON", u32::from(c));
                return Err(self.fault(self.scanned + found, why));
            }
            self.scanned = at.end;
            match token {
                Some(Token::CommentLine(_) | Token::CommentBlock(_)) if self.dialect == Dialect::Strict => {
                    return Err(self.fault(at.start, "comments are not JSON, though they are JSONC"));
                }
                Some(Token::CommentLine(_)) => self.comments.push(Comment { at, to_line_end: true }),
                Some(Token::CommentBlock(_)) => self.comments.push(Comment { at, to_line_end: false }),
                Some(Token::String(_)) => {
                    self.refuse_control_characters(at)?;
                    return Ok(token);
                }
                _ => return Ok(token),
            }
        }
    }

    fn refuse_control_characters(&self, string: Range<usize>) -> Result<(), Invalid> {
        let control = |byte: u8| byte < b' ';
        let Some(found) = self.text[string.clone()].bytes().position(control) else { return Ok(()) };
        let at = string.start + found;
        let why = match self.text.as_bytes()[at] {
            b'\n' | b'\r' => "a string must end on the line it begins on (is its closing quote missing?)".to_owned(),
            b'\t' => "a tab in a string is written `\\t`".to_owned(),
            byte => format!("a control character in a string is written `\\u{byte:04x}`"),
        };
        Err(self.fault(at, why))
    }

    fn fault(&self, at: usize, why: impl Into<String>) -> Invalid {
        Invalid::at(self.text, at, why)
    }

    /// `token` must not stand where it stands.
    fn unexpected(&self, token: &Token<'_>, expected: &str) -> Invalid {
        let at = self.scanner.token_start();
        let before = self.text[..at].bytes().next_back();
        match token {
            Token::Number(_) if before == Some(b'0') => self.fault(at - 1, "a number must not begin with 0"),
            Token::Word(word) => self.fault(at, format!("{expected}, found the word `{word}`")),
            _ => self.fault(at, expected),
        }
    }

    /// What the scanner could not read.
    fn refused(&self, error: &ParseError) -> Invalid {
        use ParseErrorKind as E;
        let at = error.range().start;
        let why = match error.kind() {
            _ if self.text[at..].starts_with('\0') => format!("a NUL byte (byte {at}): the file is damaged"),
            E::String(ParseStringErrorKind::UnterminatedStringLiteral) => {
                // What the string swallowed on the way to the end says where it should have ended.
                if let Err(earlier) = self.refuse_control_characters(at..self.text.len()) {
                    return earlier;
                }
                "this string is never closed".to_owned()
            }
            E::String(ParseStringErrorKind::InvalidUnicodeEscapeSequence(_)) => {
                "half of a surrogate pair is not a character".to_owned()
            }
            E::SingleQuotedStringsNotAllowed => "strings are written in double quotes".to_owned(),
            E::UnexpectedToken => "this is not JSON".to_owned(),
            other => other.to_string(),
        };
        self.fault(at, why)
    }
}

/// Positions and counts fit: a document is much smaller than 4 GiB.
fn offset(at: usize) -> u32 {
    const { assert!(limits::RECORD_MAX < NONE as usize) };
    u32::try_from(at).expect("a document is no larger than limits::RECORD_MAX")
}
