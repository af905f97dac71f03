//! `options.toml` in a journal: how its config file is to be read, where the file's name does not say it.
//!
//! Written once, when the journal is born, so that every later process reads the file alike. A few lines of the simplest
//! TOML, `name = "text"`, which are read without a TOML parser: which formats a build knows is its user's choice.

use std::io;
use std::path::Path;

use crate::document::Format;
use crate::error::Error;
use crate::storage::{self, Open, Storage};

pub(crate) const NAME: &str = "options.toml";

/// Longer than anything that is written here.
const LEN_MAX: usize = 16 * 1024;

/// What the journal says; `None`: nothing was chosen.
pub(crate) fn read(storage: &dyn Storage, journal: &Path) -> Result<Option<Format>, Error> {
    let path = journal.join(NAME);
    let file = match storage.open(&path, Open::Read) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    let bytes = storage::read_range(&*file, 0, LEN_MAX).map_err(Error::io("read", &path))?;
    match parse(&bytes) {
        Some(format) => Ok(Some(format)),
        None => {
            let (rule, instead) = ("it names no format that this program knows", "put it right as its comment says");
            Err(Error::Forbidden { path, rule, instead })
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Format> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut format = None;
    let mut choices = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.split_once('=')?;
        let value = unquoted(value.trim())?;
        match name.trim() {
            "format" => format = Some(value),
            name => choices.push((name.to_owned(), value)),
        }
    }
    let mut format = Format::named(&format?)?;
    choices.iter().all(|(name, value)| format.choose(name, value)).then_some(format)
}

/// A basic string of TOML.
fn unquoted(text: &str) -> Option<String> {
    let mut chars = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        out.push(match c {
            '"' => return None,
            '\\' => match chars.next()? {
                't' => '\t',
                'u' => char::from_u32(u32::from_str_radix(&chars.by_ref().take(4).collect::<String>(), 16).ok()?)?,
                c @ ('"' | '\\') => c,
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// The file for a format that was chosen.
pub(crate) fn text(format: &Format) -> String {
    let mut out = String::from(
        "# How the config file beside this journal is read and written: format, and for csv key and delimiter.\n",
    );
    let choices = format.choices();
    for (name, value) in [("format", format.name().to_owned())].into_iter().chain(choices) {
        out.push_str(&format!("{name} = {}\n", quoted(&value)));
    }
    out
}

#[cfg(all(test, feature = "csv"))]
mod tests {
    use super::*;
    use crate::document::Csv;

    #[test]
    fn what_is_written_is_read() {
        for key in ["id", "two words", "a \"quote\" \\ and a tab\t", "é \u{1}"] {
            let format = Format::Csv(Csv::default().key(key).delimiter(b';'));
            assert_eq!(parse(text(&format).as_bytes()), Some(format));
        }
    }

    #[test]
    fn what_is_not_understood_is_not_guessed_at() {
        for wrong in [
            "",
            "format = \"cobol\"",
            "format = csv",
            "format = \"csv\"\nkey",
            "format = \"csv\"\ncolour = \"red\"",
            "format = \"csv\"\ndelimiter = \";;\"",
            "format = \"csv\"\nkey = \"a\\x\"",
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
