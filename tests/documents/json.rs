//! JSON and JSONC files as people write them: an edit changes the bytes of what it edits and no others.

mod edits;
mod generated;
mod large;
mod layouts;
mod refusals;

use cfgwal::Value;
use cfgwal::document::{Format, parse, patch};

/// The value that a strict JSON text stands for.
fn json(text: &str) -> Value {
    parse(&Format::Json, text.as_bytes()).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"))
}

/// `text` patched to `target`, and judged by a parser that shares no code with this crate.
fn patched(format: &Format, text: &str, target: &Value) -> String {
    let result = patch(format, text.as_bytes(), target);
    let result = result.unwrap_or_else(|error| panic!("{error}\nfrom {text}\nto {target}"));
    let result = String::from_utf8(result).unwrap();
    assert_eq!(parse(format, result.as_bytes()).unwrap(), *target, "from {text}\nto {result}");
    assert_eq!(judge(&result), serde_json::from_str::<serde_json::Value>(&target.to_string()).unwrap(), "{result}");
    result
}

/// What serde_json reads, once comments and trailing commas are blanked out.
fn judge(text: &str) -> serde_json::Value {
    let mut plain: Vec<char> = text.trim_start_matches('\u{feff}').chars().collect();
    let (mut at, mut comma) = (0, None);
    while at < plain.len() {
        let end = match (plain[at], plain.get(at + 1)) {
            ('"', _) => {
                let mut end = at + 1;
                while plain[end] != '"' {
                    end += if plain[end] == '\\' { 2 } else { 1 };
                }
                comma = None;
                at = end + 1;
                continue;
            }
            ('/', Some('/')) => (at..plain.len()).find(|&end| matches!(plain[end], '\n' | '\r')).unwrap_or(plain.len()),
            ('/', Some('*')) => (at + 3..).find(|&end| plain[end] == '/' && plain[end - 1] == '*').unwrap() + 1,
            (',', _) => {
                comma = Some(at);
                at += 1;
                continue;
            }
            (']' | '}', _) => {
                if let Some(comma) = comma.take() {
                    plain[comma] = ' ';
                }
                at += 1;
                continue;
            }
            (other, _) => {
                if !other.is_whitespace() {
                    comma = None;
                }
                at += 1;
                continue;
            }
        };
        plain[at..end].fill(' ');
        at = end;
    }
    let plain: String = plain.into_iter().collect();
    serde_json::from_str(&plain).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
