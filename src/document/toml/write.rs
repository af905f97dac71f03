//! How new TOML is written.

use crate::document::flow::Style;
use crate::quote::quote;
use crate::value::{List, Map, Value};

/// Writes a key, in quotes if it needs them.
pub(super) fn write_key(out: &mut String, key: &str) {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(is_bare) {
        out.push_str(key);
    } else {
        write_string(out, key);
    }
}

/// Writes a string on one line. JSON's escapes are TOML's too, but for DEL, which TOML wants escaped.
pub(super) fn write_string(out: &mut String, text: &str) {
    quote(out, text, |c| c == '\u{7f}').expect("a String takes any text");
}

/// Whether an array can be written as `[[tables]]`.
pub(super) fn is_of_tables(list: &List) -> bool {
    !list.is_empty() && list.iter().all(|item| matches!(item, Value::Object(_)))
}

/// Writes whole tables with their headers.
pub(super) struct Writer<'a> {
    pub(super) style: Style<'a>,
    pub(super) indent: &'a str,
    pub(super) colon: &'a str,
    /// What stands between two tables: a line break, or nothing.
    pub(super) gap: &'a str,
}

impl Default for Writer<'_> {
    fn default() -> Self {
        Writer { style: Style::usual(super::scan::SYNTAX), indent: "", colon: " = ", gap: "\n" }
    }
}

impl<'a> Writer<'a> {
    /// The same with every line indented.
    pub(super) fn indented(&self, indent: &'a str) -> Writer<'a> {
        Writer { indent, ..*self }
    }

    /// Writes what is in a table whose header, if it has one, is written.
    pub(super) fn tables(&self, out: &mut String, path: &mut Vec<String>, map: &Map) {
        let is_table = |value: &Value| match value {
            Value::Object(_) => true,
            Value::Array(list) => is_of_tables(list),
            _ => false,
        };
        for (key, value) in map.iter().filter(|(_, value)| !is_table(value)) {
            self.pair(out, key, value);
        }
        for (key, value) in map.iter().filter(|(_, value)| is_table(value)) {
            path.push(key.to_owned());
            match value {
                Value::Object(map) => self.table(out, path, map),
                Value::Array(list) => {
                    list.iter().filter_map(Value::as_object).for_each(|map| self.element(out, path, map));
                }
                _ => {}
            }
            path.pop();
        }
    }

    /// Writes a table with its header, unless those of the tables in it say enough.
    pub(super) fn table(&self, out: &mut String, path: &mut Vec<String>, map: &Map) {
        let is_implied = !map.is_empty() && map.values().all(|value| matches!(value, Value::Object(_)));
        if !is_implied {
            self.header(out, path, ["[", "]"]);
        }
        self.tables(out, path, map);
    }

    /// Writes an element of an array of tables.
    pub(super) fn element(&self, out: &mut String, path: &mut Vec<String>, map: &Map) {
        self.header(out, path, ["[[", "]]"]);
        self.tables(out, path, map);
    }

    pub(super) fn header(&self, out: &mut String, path: &[String], [open, close]: [&str; 2]) {
        if !out.is_empty() {
            out.push_str(self.gap);
        }
        out.push_str(self.indent);
        out.push_str(open);
        for (at, key) in path.iter().enumerate() {
            if at > 0 {
                out.push('.');
            }
            write_key(out, key);
        }
        out.push_str(close);
        out.push_str(self.style.line_break);
    }

    /// Writes a pair on a line of its own.
    pub(super) fn pair(&self, out: &mut String, key: &str, value: &Value) {
        out.push_str(self.indent);
        write_key(out, key);
        out.push_str(self.colon);
        self.style.write_alone(out, self.indent, value);
        out.push_str(self.style.line_break);
    }
}
