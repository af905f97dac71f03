//! JSON string literals, and the characters that must not reach a terminal as they are.

use std::fmt::{self, Write};

/// Writes a JSON string literal. Escapes what RFC 8259 wants escaped, and the characters that `also` names; it is not asked
/// about printable ASCII.
pub(crate) fn quote(out: &mut impl Write, text: &str, also: impl Fn(char) -> bool) -> fmt::Result {
    out.write_char('"')?;
    if is_plain(text.as_bytes()) {
        out.write_str(text)?;
        return out.write_char('"');
    }
    let mut written = 0;
    for (at, char) in text.char_indices() {
        if !(matches!(char, '"' | '\\' | '\0'..'\x20') || also(char)) {
            continue;
        }
        out.write_str(&text[written..at])?;
        written = at + char.len_utf8();
        match char {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\x08' => out.write_str("\\b")?,
            '\x0c' => out.write_str("\\f")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            _ => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.write_str(&text[written..])?;
    out.write_char('"')
}

/// Eight bytes, each of them 1.
pub(crate) const ONES: u64 = u64::MAX / 0xFF;

/// Among the high bits of a word's bytes, that of the first byte below `bound` is set and none before it.
pub(crate) fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(bound)) & !word
}

/// The same for the first byte that is this one.
pub(crate) fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

/// Whether all of it is printable ASCII that stands for itself in a literal.
fn is_plain(text: &[u8]) -> bool {
    let is_odd = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        // A carry goes on from a byte that has its own high bit set.
        let above = word.wrapping_add(ONES) | word;
        let found = below(word, b' ') | above | equal(word, b'"') | equal(word, b'\\');
        found & (ONES << 7) != 0
    };
    let (words, rest) = text.as_chunks::<8>();
    if words.iter().any(is_odd) {
        return false;
    }
    match text.last_chunk() {
        Some(last) => !is_odd(last),
        None => rest.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')),
    }
}

/// Whether showing a character could do something else than show it: move the cursor, end the line, or
/// turn the direction of the text.
pub fn is_treacherous(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A character, spelled out if it is treacherous.
pub(crate) fn push_spelled(out: &mut String, char: char) {
    if is_treacherous(char) { out.extend(char.escape_default()) } else { out.push(char) }
}

/// What it says with every treacherous character spelled out, newlines too: nothing in it can look like a line of its own.
pub(crate) fn on_one_line(said: impl fmt::Display) -> String {
    let mut line = String::new();
    said.to_string().chars().for_each(|char| push_spelled(&mut line, char));
    line
}

/// Where a literal is wrong, in bytes from its opening quote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no closing quote.
    Open,
    Escape(usize),
}

/// Reads the string literal that `text` begins with; gives its content and its length in bytes.
pub(crate) fn unquote(text: &str) -> Result<(String, usize), Fault> {
    let mut content = String::new();
    let mut at = 1;
    loop {
        let rest = &text[at..];
        let plain = rest.find(['"', '\\']).ok_or(Fault::Open)?;
        content.push_str(&rest[..plain]);
        at += plain;
        if text.as_bytes()[at] == b'"' {
            return Ok((content, at + 1));
        }
        let fault = Fault::Escape(at);
        let escape = text.as_bytes().get(at + 1).ok_or(Fault::Open)?;
        at += 2;
        content.push(match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (char, len) = escaped_char(&text.as_bytes()[at..]).ok_or(fault)?;
                at += len;
                char
            }
            _ => return Err(fault),
        });
    }
}

/// Reads what follows `\u`: four digits or, where those are half of a pair, a second escape as well.
fn escaped_char(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        text.get(at..at + 4)?
            .iter()
            .try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)? as u16))
    };
    let first = unit(0)?;
    if let Some(char) = char::from_u32(first.into()) {
        return Some((char, 4));
    }
    let pair = [first, text[4..].starts_with(b"\\u").then(|| unit(6))??];
    let char = char::decode_utf16(pair).next()?.ok()?;
    Some((char, 10))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &str, also: impl Fn(char) -> bool) -> String {
        let mut out = String::new();
        quote(&mut out, text, also).unwrap();
        out
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(text in any::<String>(), all: bool) {
            let literal = quoted(&text, |_| all);
            prop_assert_eq!(unquote(&format!("{literal} \"and more")), Ok((text.clone(), literal.len())));
            prop_assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text);
        }

        #[test]
        fn any_text_is_read_as_serde_json_reads_it(inside in r#"([a-z"\\/é]|\\u[dD][89cC][0-9a-f]{2}|\\[a-z]|u00e9){0,8}"#) {
            let literal = format!("\"{inside}\"");
            let mut all = serde_json::Deserializer::from_str(&literal).into_iter::<String>();
            let expected = all.next().unwrap();
            let read = unquote(&literal);
            prop_assert_eq!(read.is_ok(), expected.is_ok(), "{}", literal);
            if let (Ok((content, len)), Ok(expected)) = (read, expected) {
                prop_assert_eq!((content, len), (expected, all.byte_offset()));
            }
        }
    }

    #[test]
    fn what_must_be_escaped_is_seen_at_every_place() {
        for char in (0..=u8::MAX).map(char::from) {
            for (at, len) in (0..20).flat_map(|len| (0..=len).map(move |at| (at, len))) {
                let text = format!("{}{char}{}", "x".repeat(at), "~ ".repeat(len - at));
                assert_eq!(quoted(&text, |_| false), serde_json::to_string(&text).unwrap());
                assert!(quoted(&text, |char| char > '~').is_ascii(), "{text}");
            }
        }
    }

    #[test]
    fn faults_name_their_place() {
        for (literal, fault) in [
            ("\"", Fault::Open),
            ("\"abc", Fault::Open),
            ("\"abc\\", Fault::Open),
            (r#""a\x""#, Fault::Escape(2)),
            (r#""a\u12"#, Fault::Escape(2)),
            (r#""\u+123""#, Fault::Escape(1)),
            (r#""é\ud800\u0041""#, Fault::Escape(3)),
            (r#""\ud800""#, Fault::Escape(1)),
            (r#""\udc00""#, Fault::Escape(1)),
            (r#""\ud83dé""#, Fault::Escape(1)),
        ] {
            assert_eq!(unquote(literal), Err(fault), "{literal}");
        }
    }

    #[test]
    fn only_what_must_be_is_escaped() {
        let text = "\"\\/\u{7f}é\u{2028}\n\u{1}😀";
        assert_eq!(quoted(text, |_| false), "\"\\\"\\\\/\u{7f}é\u{2028}\\n\\u0001😀\"");
        assert_eq!(quoted(text, is_treacherous), "\"\\\"\\\\/\\u007fé\\u2028\\n\\u0001😀\"");
    }
}
