//! Makes text from files safe for a terminal.
//!
//! A config is written by many hands. What a value says must not move the cursor, retitle the window, hide
//! itself or show its letters in another order.

use std::borrow::Cow;

use cfgwal::is_treacherous;

/// How a dangerous character is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `\u{1b}`, and `\n` for a newline: the text is to stay on its line.
    Line,
    /// As [`Line`](Spelling::Line), but newlines and tabs stay: the text is shown as it is laid out.
    Text,
    /// `\u001b`, so that JSON stays the same JSON; newlines and tabs stay, which it has between tokens only.
    Json,
}

/// The text with every treacherous character spelled out.
pub fn escape(text: &str, spelling: Spelling) -> Cow<'_, str> {
    let spelled = |c: char| is_treacherous(c) && (spelling == Spelling::Line || !matches!(c, '\n' | '\t'));
    if !text.contains(spelled) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !spelled(c) => safe.push(c),
            // All treacherous characters are below U+10000, so four digits are enough for JSON.
            c if spelling == Spelling::Json => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            '\n' | '\r' | '\t' => safe.extend(c.escape_default()),
            c => safe.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_treacherous_character_survives_in_any_spelling() {
        for c in (char::MIN..=char::MAX).filter(|c| is_treacherous(*c)) {
            for spelling in [Spelling::Line, Spelling::Text, Spelling::Json] {
                let text = format!("a{c}b");
                let safe = escape(&text, spelling);
                let stays = spelling != Spelling::Line && matches!(c, '\n' | '\t');
                assert_eq!(safe.contains(c), stays, "{c:?} as {spelling:?}: {safe:?}");
            }
        }
    }

    #[test]
    fn json_means_the_same_after_escaping() {
        let value = cfgwal::Value::from("\u{9b}31m \u{202e}fdp\u{2028}\u{7f}");
        let shown = escape(&value.to_string(), Spelling::Json).into_owned();
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(crate::arguments::json(&shown).expect("still JSON"), value);
    }

    #[test]
    fn harmless_text_is_not_copied() {
        assert!(matches!(escape("für 日本 🙂", Spelling::Line), Cow::Borrowed(_)));
    }
}
