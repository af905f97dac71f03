//! A JSON text, read into a tree of spans.
//!
//! `jsonc_parser` has a parser too, but that one follows nesting before it is known how deep it goes, and takes some ten
//! times the memory.

use std::borrow::Cow;

use super::scan::{Token, Tokens, cut, unescape};
use super::{Dialect, JSON};
use crate::document::flow::{Builder, Id, Tree};
use crate::document::{Invalid, position};
use crate::limits;
use crate::value::Value;

/// `text` has no byte order mark and is no larger than a document may be.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Tree<'_>, Invalid> {
    let tokens = Tokens::new(text, dialect);
    let mut parser = Parser { text, dialect, tokens, out: Builder::default(), keys: Vec::new() };
    parser.document()?;
    let Parser { mut out, tokens, .. } = parser;
    out.comments = tokens.comments;
    Ok(out.finish(text, JSON))
}

struct Parser<'a> {
    text: &'a str,
    dialect: Dialect,
    tokens: Tokens<'a>,
    out: Builder,
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
            let item = self.out.next();
            self.value(token, depth + 1)?;
            token = self.inside(start)?;
            if token == Token::Comma {
                let comma = self.tokens.at.start;
                self.out.comma(item, comma);
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
        self.out.close(id, self.tokens.at.end);
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
        // As programs write them: seen at half the price.
        if keys.is_sorted_by(|a, b| a.0 < b.0) {
            self.keys.truncate(from);
            return Ok(());
        }
        keys.sort_unstable();
        let twins = keys.windows(2).find(|pair| pair[0].0 == pair[1].0);
        let twins = twins.map(|pair| (pair[0].1, pair[1].1, Value::from(&*pair[0].0)));
        self.keys.truncate(from);
        let Some((first, second, key)) = twins else { return Ok(()) };
        let [first, second] = [first, second].map(|id| self.out.start(id));
        let (line, column) = position(self.text, first);
        let why = format!("the key {key} is written twice; the first is at line {line}, column {column}");
        Err(self.tokens.fault(second, why))
    }

    /// Adds a node for the token just scanned.
    fn push(&mut self) -> Id {
        self.out.push(self.tokens.at.clone())
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
