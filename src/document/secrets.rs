//! Where secrets may stand in a text that does not parse, so that an error can show its line without them.
//!
//! There is no tree to ask, so this reads the text as any of the formats might: brackets, strings, words, and keys by
//! the colon or equals sign behind them. In doubt it takes for a secret what is none.

use std::ops::Range;

use crate::secret::is_secret_key;

/// The ranges of `text` that hold values under keys that look secret, as far as the end of the line of byte `at`.
pub(super) fn spans(text: &str, at: usize) -> Vec<Range<usize>> {
    let end = text[at..].find(['\n', '\r']).map_or(text.len(), |newline| at + newline);
    let text = &text[..end];
    let lines = lines_below(text);
    let mut found = values(text);
    found.retain(|value| {
        let next = lines.partition_point(|line| line.end <= value.start);
        lines.get(next).is_none_or(|line| value.end <= line.start)
    });
    found.extend(lines);
    found.sort_by_key(|span| span.start);
    found
}

/// What goes on below a line with a secret key.
#[derive(Clone, Copy)]
enum Below {
    /// A block: what stands further in than this column, the items of a list there, and what has neither key nor bracket.
    Block(usize),
    /// A table, up to the header of another one.
    Table,
    /// A string, up to these quotes.
    Quotes(&'static str),
}

/// Whole lines that belong to a secret key further up: of a block of YAML, of a table or a long string of TOML.
fn lines_below(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut below = None;
    let mut start = 0;
    for line in text.split_inclusive(['\n', '\r']) {
        let content = line.trim();
        let indent = line.len() - line.trim_start().len();
        let span = start + indent..start + indent + content.len();
        start += line.len();
        let belongs = match below {
            None => false,
            _ if content.is_empty() => continue,
            Some(Below::Block(column)) => {
                let is_item = content.starts_with('-') && indent == column;
                let is_other = key_of(content).is_some() || content.starts_with(['{', '}', '[', ']']);
                indent > column || is_item || !is_other
            }
            Some(Below::Table) => header_of(content).is_none(),
            Some(Below::Quotes(quotes)) => {
                below = below.filter(|_| !content.contains(quotes));
                found.push(span);
                continue;
            }
        };
        match belongs {
            true => found.push(span),
            false => below = opened_by(content, indent),
        }
    }
    found
}

/// What this line begins, if it has a secret key.
fn opened_by(line: &str, indent: usize) -> Option<Below> {
    if let Some(header) = header_of(line) {
        return header.split('.').any(is_secret_key).then_some(Below::Table);
    }
    if let Some((key, rest)) = key_of(line) {
        // A bracket holds its own, and behind a comma comes something else.
        let is_block = is_secret_key(key) && !rest.trim_start().starts_with(['{', '[']) && !rest.ends_with(',');
        let column = indent + line.len() - line.trim_start_matches(['-', ' ']).len();
        return is_block.then_some(Below::Block(column));
    }
    let (key, value) = line.split_once('=')?;
    let quotes = ["\"\"\"", "'''"].into_iter().find(|quotes| value.trim_start().starts_with(quotes))?;
    (is_secret_key(key) && value.matches(quotes).count() == 1).then_some(Below::Quotes(quotes))
}

/// The name in a line that looks like the header of a table.
fn header_of(line: &str) -> Option<&str> {
    let line = line.split('#').next().unwrap_or(line).trim_end();
    line.strip_prefix('[')?.strip_suffix(']').filter(|header| !header.contains([',', ':', '{']))
}

/// The key that a line of YAML begins with, and what is behind its colon.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let (key, rest) = line.split_once(':')?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some((key, rest))
}

/// Values that stand behind their keys or between the brackets there.
fn values(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    // Whether each open bracket lies under a secret key, and whether the value to come does.
    let mut open = Vec::new();
    let mut secret = false;
    // Whether nothing of that value was seen so far.
    let mut awaited = false;
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let start = at;
        at += match first {
            '"' | '\'' => string_length(&text[start..]),
            c if is_punctuation(c) => c.len_utf8(),
            _ => text[start..].find(|c| is_punctuation(c) || matches!(c, '"' | '\'')).unwrap_or(text.len() - start),
        };
        let inside = open.last() == Some(&true);
        match first {
            '{' | '[' => open.push(inside || std::mem::take(&mut secret)),
            '}' | ']' => (_, secret) = (open.pop(), false),
            ',' => secret = false,
            // Without brackets a value ends with its line.
            '\n' | '\r' => secret &= !open.is_empty(),
            c if is_punctuation(c) => {}
            _ => {
                let content = text[start..at].trim_matches(['"', '\'']);
                let is_key = text[at..].trim_start().starts_with([':', '=']);
                // A secret that has a colon or an equals sign in it looks like a key: `token = aGk=`.
                let is_quoted = matches!(first, '"' | '\'');
                if !is_key && (inside || secret) || secret && (awaited || !is_quoted) {
                    found.push(start..at);
                    awaited = false;
                } else if is_key || is_secret_key(content) {
                    // A secret key may lack its colon.
                    secret = is_secret_key(content);
                    awaited = secret;
                }
            }
        }
    }
    found
}

fn is_punctuation(c: char) -> bool {
    c.is_whitespace() || matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '=')
}

/// The length of the string that `text` begins with, to its closing quote or, where that is missing, the end of the line.
fn string_length(text: &str) -> usize {
    let quote = text.as_bytes()[0];
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\n' | b'\r' => return at,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an error at each place of the text would show.
    fn masked(text: &str) -> String {
        let mut shown = text.to_owned();
        for span in spans(text, text.len()).into_iter().rev() {
            shown.replace_range(span, "***");
        }
        shown
    }

    #[test]
    fn values_under_secret_keys_are_found_whatever_is_wrong_with_the_text() {
        let cases = [
            (r#"{"token": "c4n4ry", "port": 1"#, r#"{"token": ***, "port": 1"#),
            (r#"{"token": c4n4ry-2, "port": 1"#, r#"{"token": ***, "port": 1"#),
            (r#"{"token": "c4n4ry" "port": 1}"#, r#"{"token": *** "port": 1}"#),
            (r#"{"token" "c4n4ry", "port": 1}"#, r#"{"token" ***, "port": 1}"#),
            (r#"{"token": "c4n4ry"#, r#"{"token": ***"#),
            (r#"{"token": "a\"c4n4ry"}"#, r#"{"token": ***}"#),
            // Strings begin where they should end: too much is masked, not too little.
            (r#"{"token: "c4n4ry", "port": 1}"#, r#"{"token: "************"#),
            (r#"{"auth": {"x": ["c4n4ry", {"y": 12}]}, "z": 1"#, r#"{"auth": {"x": [***, {"y": ***}]}, "z": 1"#),
            ("{\"auth\": {\n\"x\": \"c4n4ry\",,", "{\"auth\": {\n\"x\": ***,,"),
            ("{\"a\": \"it's\", 'token': 'c4n4ry'", "{\"a\": \"it's\", 'token': ***"),
            ("// it's old\n{\"token\": \"c4n4ry\"", "// it's old\n{\"token\": ***"),
            ("// \"token\": \"c4n4ry\"\n{", "// \"token\": ***\n{"),
            ("password: correct horse\nport: 1", "password: *** ***\nport: 1"),
            ("api_key = c4n4ry\nport = 1", "api_key = ***\nport = 1"),
            ("token: c4n4ry: x\nport: 1", "token: ***: ***\nport: 1"),
            ("token = c4n4ry==\nport = 1", "token = ***==\nport = 1"),
            ("password = correct c4n4ry=horse", "password = *** ***=***"),
            (r#"{"token": "c4n4ry": 1, "port": 1"#, r#"{"token": ***: ***, "port": 1"#),
            (r#"{"port": "8080", "host": "a"#, r#"{"port": "8080", "host": "a"#),
            // What is below its key.
            ("auth:\n  user: c4n4ry\n  l:\n  - c4n4ry\nport: 1", "auth:\n  ***\n  ***\n  ***\nport: 1"),
            ("l:\n- token: |\n    c4n4ry\n\nc4n4ry==\n- port: 1", "l:\n- token: ***\n    ***\n\n***\n- port: 1"),
            ("a:\n  token: >-\n   c4n4ry: 1\n  port: 1", "a:\n  token: ***\n   ***\n  port: 1"),
            ("[auth] # c\nuser = \"c4n4ry\"\n[b]\nport = 1", "[auth] # c\n***\n[b]\nport = 1"),
            ("[[a.\"x-token\"]]\nv = c4n4ry", "[[a.\"x-token\"]]\n***"),
            ("key = 1\ntoken = '''\nc4n4ry\n'''\nport = 1", "key = 1\ntoken = ******\n***\n***\nport = 1"),
            ("{\n  \"token\": \"c4n4ry\"\n}}", "{\n  \"token\": ***\n}}"),
            ("{\n  \"token\": \"c4n4ry\",\n  \"port\" 80", "{\n  \"token\": ***,\n  \"port\" 80"),
        ];
        for (text, shown) in cases {
            assert_eq!(masked(text), shown);
        }
    }

    #[test]
    fn no_text_makes_it_fail() {
        for text in ["", "\"", "'", "\\", "\"\\", "}}}]]", "é\"é", "\u{2028}", "=:=:", "\r\n\r"] {
            assert!(spans(text, 0).is_empty() && spans(text, text.len()).is_empty(), "{text:?}");
        }
    }
}
