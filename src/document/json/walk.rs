//! Going through a text of JSON without building anything.

use super::Dialect;
use super::scan::{blank, plain, string_with_escapes, within};
use crate::limits::PIECE;
use crate::value::{Number, Value};

/// A place in a text. Every method goes past what it is named after, and gives `None` where it cannot.
pub(super) struct Walk<'a> {
    pub(super) text: &'a str,
    pub(super) dialect: Dialect,
    pub(super) at: usize,
    /// Up to where it goes on without a pause.
    pause_at: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Walk<'a> {
        Walk { text, dialect, at: 0, pause_at: PIECE }
    }

    /// Whether a scalar that begins with this byte stands for `target`. What follows a number or a word is for the caller
    /// to look at, who allows only what may stand behind a value.
    pub(super) fn scalar(&mut self, first: u8, target: &Value) -> Option<bool> {
        match first {
            b'"' => match target {
                Value::String(wanted) => self.string(wanted),
                _ => self.string("").map(|_| false),
            },
            b'-' | b'0'..=b'9' => self.number(target),
            b't' => self.word("true").map(|()| *target == Value::Bool(true)),
            b'f' => self.word("false").map(|()| *target == Value::Bool(false)),
            b'n' => self.word("null").map(|()| target.is_null()),
            _ => None,
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self, target: &Value) -> Option<bool> {
        let rest = &self.text[self.at..];
        let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let text = &rest[..rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len())];
        self.at += text.len();
        // Numbers are equal if their texts are, and the text of any number but a short integer is at hand.
        if let Value::Number(wanted) = target
            && text.contains(['.', 'e', 'E'])
            && wanted.text() == text
        {
            return Some(true);
        }
        let number = Number::parse(text)?;
        Some(target.as_number() == Some(&number))
    }

    /// Whether a string stands for `wanted`.
    pub(super) fn string(&mut self, wanted: &str) -> Option<bool> {
        let inside = &self.text.as_bytes()[self.at + 1..];
        let len = plain(inside);
        match inside.get(len)? {
            b'"' => {
                self.at += len + 2;
                Some(inside[..len] == *wanted.as_bytes())
            }
            b'\\' => {
                let (text, len) = string_with_escapes(&self.text[self.at..])?;
                self.at += len;
                Some(text == wanted)
            }
            _ => None,
        }
    }

    pub(super) fn byte(&mut self, byte: u8) -> Option<()> {
        self.skip_space()?;
        (self.peek()? == byte).then(|| self.at += 1)
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Past white space, and the comments that this dialect has.
    #[inline]
    pub(super) fn skip_space(&mut self) -> Option<()> {
        let goes_on = |byte| byte > b' ' && byte != b'/';
        if self.peek().is_some_and(goes_on) { Some(()) } else { self.skip_blanks_and_comments() }
    }

    fn skip_blanks_and_comments(&mut self) -> Option<()> {
        loop {
            self.at += blank(&self.text.as_bytes()[self.at..]);
            let rest = &self.text[self.at..];
            if !rest.starts_with('/') {
                return Some(());
            }
            let len = match rest.as_bytes().get(1)? {
                _ if self.dialect == Dialect::Strict => return None,
                b'/' => rest.find(['\n', '\r']).unwrap_or(rest.len()),
                b'*' => rest[2..].find("*/")? + 4,
                _ => return None,
            };
            self.at += len;
        }
    }

    /// Whoever waits for a processor has a turn, if a long way has been gone since.
    #[inline]
    pub(super) fn pause(&mut self) {
        if self.at >= self.pause_at {
            std::thread::yield_now();
            self.pause_at = self.at + PIECE;
        }
    }

    /// Past a value of a text that is known to be a document.
    pub(super) fn skip_value(&mut self) -> Option<()> {
        self.pause();
        self.skip_space()?;
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' | b'[' => {
                self.at += 1;
                self.leave(1)
            }
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                self.at += rest.iter().take_while(|byte| is_part(byte)).count();
                Some(())
            }
        }
    }

    /// Past the brackets that close so many of the containers that we are in, of a text that is known to be a document.
    pub(super) fn leave(&mut self, mut open: usize) -> Option<()> {
        while open > 0 {
            self.at += within(self.text.as_bytes().get(self.at..)?);
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'/' => self.skip_space()?,
                bracket => {
                    if matches!(bracket, b'{' | b'[') {
                        open += 1
                    } else {
                        open -= 1
                    }
                    self.at += 1;
                }
            }
        }
        Some(())
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            let len = plain(rest);
            match rest.get(len)? {
                b'"' => {
                    self.at += len + 1;
                    return Some(());
                }
                b'\\' => self.at += len + 2,
                _ => return None,
            }
        }
    }
}
