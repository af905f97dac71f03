//! How new YAML is written.

use std::fmt::Write as _;

use crate::quote::is_treacherous;
use crate::value::Value;

/// The habits of a document.
pub(super) struct Style {
    pub(super) line_break: &'static str,
    pub(super) unit: usize,
    /// Whether the dashes of a sequence stand right below their key.
    pub(super) flush: bool,
}

impl Default for Style {
    fn default() -> Style {
        Style { line_break: "\n", unit: 2, flush: false }
    }
}

/// Writes `value` where the text stands at `column`; further lines begin with as many spaces.
pub(super) fn block(out: &mut String, value: &Value, column: usize, style: &Style) {
    let begin = |out: &mut String, first: &mut bool| {
        if !std::mem::take(first) {
            out.push_str(style.line_break);
            (0..column).for_each(|_| out.push(' '));
        }
    };
    let mut first = true;
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map.iter() {
                begin(out, &mut first);
                entry(out, key, value, column, None, style);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list.iter() {
                begin(out, &mut first);
                out.push_str("- ");
                block(out, value, column + 2, style);
            }
        }
        other => flow(out, other),
    }
}

/// Writes a key, in the quotes asked for, and its value where the text stands at `column`.
pub(super) fn entry(out: &mut String, key: &str, value: &Value, column: usize, quote: Option<char>, style: &Style) {
    self::key(out, key, value, quote);
    out.push(':');
    below(out, value, column, style);
}

/// Writes a key, in the quotes asked for unless it says that mappings are to be merged: in quotes it would no longer say that.
pub(super) fn key(out: &mut String, key: &str, value: &Value, quote: Option<char>) {
    let merges = match value {
        Value::Array(list) => list.iter().all(|value| value.as_object().is_some()),
        value => value.as_object().is_some(),
    };
    match key {
        "<<" if merges => out.push_str(key),
        key => string(out, key, quote),
    }
}

/// Writes what follows the colon of a key at `column`.
pub(super) fn below(out: &mut String, value: &Value, column: usize, style: &Style) {
    let column = match value {
        Value::Object(map) if !map.is_empty() => column + style.unit,
        Value::Array(list) if !list.is_empty() && style.flush => column,
        Value::Array(list) if !list.is_empty() => column + style.unit,
        scalar => {
            out.push(' ');
            return flow(out, scalar);
        }
    };
    out.push_str(style.line_break);
    (0..column).for_each(|_| out.push(' '));
    block(out, value, column, style);
}

/// Writes `value` on one line.
pub(super) fn flow(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => string(out, text, None),
        Value::Array(list) => {
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                flow(out, value);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                self::key(out, key, value, None);
                out.push_str(": ");
                flow(out, value);
            }
            out.push('}');
        }
        scalar => write!(out, "{scalar}").expect("a String takes any text"),
    }
}

/// Writes a string, in the quotes asked for where they can hold it.
pub(super) fn string(out: &mut String, text: &str, quote: Option<char>) {
    let odd = text.chars().any(|c| is_treacherous(c) || c.is_control() || c == '\u{feff}');
    if odd || quote == Some('"') {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if is_treacherous(c) || c.is_control() || c == '\u{feff}' => {
                    write!(out, "\\U{:08X}", u32::from(c)).expect("a String takes any text");
                }
                c => out.push(c),
            }
        }
        out.push('"');
    } else if quote.is_some() || !is_plain(text) {
        out.push('\'');
        out.push_str(&text.replace('\'', "''"));
        out.push('\'');
    } else {
        out.push_str(text);
    }
}

/// Whether this string can stand without quotes anywhere, for any reader.
fn is_plain(text: &str) -> bool {
    let first = text.chars().next();
    first.is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '(' | '$' | '+'))
        && !text.contains([',', '[', ']', '{', '}', '#', '\t'])
        && text.split(':').skip(1).all(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '/'))
        && !text.ends_with(' ')
        && !text.starts_with("...")
        && !is_ambiguous(text)
}

/// Whether some version of YAML takes this for something else than a string when it stands plain. Rather too many.
pub(super) fn is_ambiguous(text: &str) -> bool {
    const WORDS: [&str; 11] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", ""];
    let word = text.to_ascii_lowercase();
    WORDS.contains(&word.as_str())
        || matches!(text, "=" | "<<")
        || matches!(word.trim_start_matches(['+', '-']), ".inf" | ".nan" | "inf" | "nan" | "infinity")
        || word.strip_prefix(['+', '-', '.']).unwrap_or(&word).starts_with(|c: char| c.is_ascii_digit())
            && word.bytes().all(|c| c.is_ascii_hexdigit() || b"+-._:xotz ".contains(&c))
        || word.starts_with("-.")
        || word.starts_with("+.")
}
