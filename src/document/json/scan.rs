//! A JSON text as tokens that strict readers of JSON agree on.
//!
//! `jsonc_parser`'s scanner does the work. It is more lenient than JSON even with all its extras off,
//! so what it lets through is refused here: raw control characters in strings, other white space than
//! JSON's four, and in the strict dialect comments.

use std::borrow::Cow;
use std::ops::Range;

use jsonc_parser::errors::{ParseError, ParseErrorKind};
use jsonc_parser::tokens::Token as Scanned;
use jsonc_parser::{ParseStringErrorKind, Scanner, ScannerOptions};

use super::Dialect;
use crate::document::Invalid;
use crate::document::flow::Comment;
use crate::quote::{ONES, below, equal};
use crate::value::Number;

const STRICT: ScannerOptions = ScannerOptions {
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    OpenObject,
    CloseObject,
    OpenArray,
    CloseArray,
    Comma,
    Colon,
    String,
    Number,
    /// `null`, `true` or `false`.
    Literal,
    /// No JSON: other letters without quotes.
    Word,
}

pub(super) struct Tokens<'a> {
    text: &'a str,
    dialect: Dialect,
    scanner: Scanner<'a>,
    /// The comments so far.
    pub(super) comments: Vec<Comment>,
    /// The token last returned.
    pub(super) at: Range<usize>,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Tokens<'a> {
        Tokens { text, dialect, scanner: Scanner::new(text, &STRICT), comments: Vec::new(), at: 0..0 }
    }

    /// The next token that is not a comment; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token>, Invalid> {
        let mut before = self.at.end;
        loop {
            let scanned = self.scanner.scan().map_err(|error| self.unreadable(&error))?;
            let at = self.scanner.token_start()..self.scanner.token_end();
            self.refuse_other_space(before..at.start)?;
            before = at.end;
            self.at = at.clone();
            let token = match scanned {
                None => return Ok(None),
                Some(Scanned::CommentLine(_) | Scanned::CommentBlock(_)) if self.dialect == Dialect::Strict => {
                    return Err(self.fault(at.start, "comments are not JSON (they are JSONC: choose that format)"));
                }
                Some(Scanned::CommentLine(_)) => {
                    self.comments.push(Comment { at, to_line_end: true });
                    continue;
                }
                Some(Scanned::CommentBlock(_)) => {
                    self.comments.push(Comment { at, to_line_end: false });
                    continue;
                }
                Some(Scanned::String(_)) => {
                    self.refuse_control_characters(at)?;
                    Token::String
                }
                Some(Scanned::Number(text)) if Number::parse(text).is_none() => {
                    return Err(self.fault(at.start, "this is not a number in JSON"));
                }
                Some(Scanned::Number(_)) => Token::Number,
                Some(Scanned::Null | Scanned::Boolean(_)) => Token::Literal,
                Some(Scanned::Word(_)) => Token::Word,
                Some(Scanned::OpenBrace) => Token::OpenObject,
                Some(Scanned::CloseBrace) => Token::CloseObject,
                Some(Scanned::OpenBracket) => Token::OpenArray,
                Some(Scanned::CloseBracket) => Token::CloseArray,
                Some(Scanned::Comma) => Token::Comma,
                Some(Scanned::Colon) => Token::Colon,
            };
            return Ok(Some(token));
        }
    }

    fn refuse_other_space(&self, gap: Range<usize>) -> Result<(), Invalid> {
        let text = &self.text[gap.clone()];
        let Some(found) = text.bytes().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) else {
            return Ok(());
        };
        let c = text[found..].chars().next().expect("the first byte that is not white space begins a character");
        Err(self.fault(gap.start + found, format!("U+{:04X} is not white space in JSON", u32::from(c))))
    }

    fn refuse_control_characters(&self, string: Range<usize>) -> Result<(), Invalid> {
        let text = self.text[string.clone()].as_bytes();
        // The least byte first: that is found many bytes at a time.
        if text.iter().min() >= Some(&b' ') {
            return Ok(());
        }
        let Some(found) = text.iter().position(|byte| *byte < b' ') else { return Ok(()) };
        let why = match text[found] {
            b'\n' | b'\r' => "a string must end on the line it begins on (is its closing quote missing?)".to_owned(),
            b'\t' => "a tab in a string is written `\\t`".to_owned(),
            byte => format!("a control character in a string is written `\\u{byte:04x}`"),
        };
        Err(self.fault(string.start + found, why))
    }

    pub(super) fn fault(&self, at: usize, why: impl Into<String>) -> Invalid {
        Invalid::at(self.text, at, why)
    }

    /// The token last returned must not stand where it stands.
    pub(super) fn unexpected(&self, token: Token, expected: &str) -> Invalid {
        let at = self.at.clone();
        match token {
            Token::Number if self.text[..at.start].ends_with('0') => {
                self.fault(at.start - 1, "a number must not begin with 0")
            }
            Token::Word => self.fault(at.start, format!("{expected}, found the word `{}`", cut(&self.text[at]))),
            _ => self.fault(at.start, expected),
        }
    }

    fn unreadable(&self, error: &ParseError) -> Invalid {
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
            E::String(ParseStringErrorKind::ExpectedFourHexDigits) => "`\\u` wants four hexadecimal digits".to_owned(),
            E::String(_) => "JSON has no such escape".to_owned(),
            E::SingleQuotedStringsNotAllowed => "strings are written in double quotes".to_owned(),
            E::UnterminatedCommentBlock => "this comment is never closed".to_owned(),
            E::UnexpectedToken => "this is not JSON".to_owned(),
            // Only numbers are left.
            other => format!("this is not a number in JSON: {}", other.to_string().to_lowercase()),
        };
        self.fault(at, why)
    }
}

/// How many bytes the white space has that `text` begins with.
pub(super) fn blank(text: &[u8]) -> usize {
    text.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// How many bytes come before the first quote, backslash or control character: what a string literal goes on with as it is.
pub(super) fn plain(text: &[u8]) -> usize {
    let ends = |word| below(word, b' ') | equal(word, b'"') | equal(word, b'\\');
    before(text, ends, |byte| matches!(byte, b'"' | b'\\' | ..b' '))
}

/// How many bytes come before the first that matters to one who looks for the end of a container and is in no string.
pub(super) fn within(text: &[u8]) -> usize {
    // Brackets and braces differ in one bit.
    let ends = |word| {
        let folded = word | (ONES * 0x20);
        equal(folded, b'{') | equal(folded, b'}') | equal(word, b'"') | equal(word, b'/')
    };
    before(text, ends, |byte| matches!(byte, b'{' | b'[' | b'}' | b']' | b'"' | b'/'))
}

/// How many bytes come before the first that ends them, looked at eight at a time: `ends_in` tells by high bits.
fn before(text: &[u8], ends_in: impl Fn(u64) -> u64, ends: impl Fn(u8) -> bool) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = ends_in(u64::from_le_bytes(*word)) & (ONES << 7);
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    text.len() - rest.len() + rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len())
}

/// The characters of the string literal that `text` begins with, and its length in bytes; `None` if it is not well formed.
pub(super) fn string_with_escapes(text: &str) -> Option<(Cow<'_, str>, usize)> {
    let mut scanner = Scanner::new(text, &STRICT);
    let Ok(Some(Scanned::String(content))) = scanner.scan() else { return None };
    let len = scanner.token_end();
    let is_raw = text.bytes().take(len).any(|byte| byte < b' ');
    (!is_raw).then_some((content, len))
}

/// The characters that a string literal stands for.
pub(super) fn unescape(literal: &str) -> Cow<'_, str> {
    if !literal.contains('\\') {
        return Cow::Borrowed(&literal[1..literal.len() - 1]);
    }
    match Scanner::new(literal, &STRICT).scan() {
        Ok(Some(Scanned::String(text))) => text,
        other => unreachable!("this literal was scanned before: {other:?}"),
    }
}

/// Enough of a word to know it by.
pub(super) fn cut(word: &str) -> &str {
    word.char_indices().nth(40).map_or(word, |(end, _)| &word[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_ends_something_is_seen_at_every_place() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut text = vec![b'x'; 20];
                text[at] = byte;
                let seen = |ends: bool| if ends { at } else { 20 };
                assert_eq!(plain(&text), seen(byte < b' ' || byte == b'"' || byte == b'\\'), "{byte:#x} at {at}");
                assert_eq!(within(&text), seen(b"{[}]\"/".contains(&byte)), "{byte:#x} at {at}");
            }
        }
    }
}
