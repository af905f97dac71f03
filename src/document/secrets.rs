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
