//! Which values are secrets, judged by their keys, and how they are shown instead.

use std::sync::Arc;

use crate::{
    path::{Path, Segment},
    value::{List, Map, Value},
};

/// What is shown in place of a secret.
pub const MASK: &str = "***";

/// A key that has one of these in it, once case and what stands between words are gone, names a secret.
const PARTS: [&str; 10] = [
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "credential",
];
/// These must be a word of the key: there are authors, and authorities.
const WORDS: [&str; 5] = ["auth", "oauth", "authorization", "pwd", "pass"];

/// Whether what is at this path looks like a secret, or lies inside of something that does.
pub fn is_secret(path: &Path) -> bool {
    path.segments().iter().filter_map(Segment::as_key).any(is_secret_key)
}

pub(crate) fn is_secret_key(key: &str) -> bool {
    let letters: String = key.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    PARTS.iter().any(|part| letters.contains(part))
        || words(key).any(|word| WORDS.iter().any(|secret| word.eq_ignore_ascii_case(secret)))
}

/// The words of a key: `http_auth`, `http-auth`, `httpAuth` and `HTTP_AUTH` have the same two.
fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split(|char: char| !char.is_alphanumeric()).flat_map(|part| {
        let mut rest = part;
        std::iter::from_fn(move || {
            let starts = |(a, b): (char, char)| a.is_lowercase() && b.is_uppercase();
            let end = rest
                .char_indices()
                .zip(rest.chars().skip(1))
                .find(|((_, a), b)| starts((*a, *b)))
                .map_or(rest.len(), |((at, a), _)| at + a.len_utf8());
            let (word, after) = rest.split_at(end);
            rest = after;
            (!word.is_empty()).then_some(word)
        })
    })
}

/// The value at this path with [`MASK`] for every secret in it. Nulls and booleans tell nothing and stay.
#[must_use]
pub fn masked(path: &Path, value: &Value) -> Value {
    if is_secret(path) { hide(value) } else { hide_inside(value) }
}

fn hide(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        _ => MASK.into(),
    }
}

fn hide_inside(value: &Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.iter().map(hide_inside).collect::<List>()),
        Value::Object(map) => {
            let entry = |(key, value): (&Arc<str>, &Value)| {
                let value = if is_secret_key(key) { hide(value) } else { hide_inside(value) };
                (Arc::clone(key), value)
            };
            Value::Object(map.entries().map(entry).collect::<Map>())
        }
        scalar => scalar.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_name_secrets_are_known_in_any_spelling() {
        for path in [
            "secret",
            "client_secret",
            "clientSecret.value",
            "env.GITHUB_TOKEN",
            "tokens[0].name",
            "smtp.Password",
            "passwd",
            "api_key",
            "apiKey",
            "x-api-key",
            "\"API key\"",
            "ssh.private-key",
            "aws.access_key_id",
            "credentials.user",
            "auth",
            "auth.basic",
            "registry._auth",
            "httpAuth",
            "HTTP_AUTH",
            "headers.Authorization",
            "db.pwd",
        ] {
            assert!(is_secret(&Path::parse(path).unwrap()), "{path}");
        }
    }

    #[test]
    fn other_keys_are_shown() {
        for path in ["", "author", "authority", "keyboard", "key", "compass", "server.port", "[0]", "public_key"] {
            assert!(!is_secret(&Path::parse(path).unwrap()), "{path}");
        }
    }

    fn value() -> Value {
        let user: Value = [("name", "ann"), ("password", "canary")].into_iter().collect();
        [("user", user), ("tokens", vec!["canary"].into()), ("auth", true.into()), ("secret", Value::Null)]
            .into_iter()
            .collect()
    }

    #[test]
    fn secrets_are_masked_wherever_they_lie_in_a_value() {
        let list = Value::from(vec![value()]);
        assert_eq!(
            masked(&Path::root(), &list).to_string(),
            r#"[{"user":{"name":"ann","password":"***"},"tokens":"***","auth":true,"secret":null}]"#
        );
        assert_eq!(masked(&Path::parse("token").unwrap(), &value()).to_string(), r#""***""#);
    }
}
