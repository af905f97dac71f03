//! Config files as text: what a format can read, and how it changes a text without rewriting it.
//!
//! ```text
//! text ─ parse ─▶ Value          text + Value ─ patch ─▶ text that parses to exactly that Value
//! ```
//!
//! A patch replaces the bytes of what differs and no others: comments, spacing, line ends, the way a
//! number or a string is spelled and a missing final newline stay as the person left them. Nothing
//! leaves [`patch`] unproven: the result is read again and compared with the value that was wanted, or, where
//! it is a text that was just compared but for some scalars, those are, and the rest with that text.
//!
//! Pure: no I/O here. Which file a text came from is the caller's business, and so is its name in
//! front of an [`Invalid`].

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::limits;
use crate::op::{Op, Refusal};
use crate::quote::push_spelled;
use crate::secret::MASK;
use crate::value::Value;

#[cfg(any(feature = "json", feature = "csv", feature = "toml", feature = "yaml"))]
mod align;
#[cfg(feature = "csv")]
mod csv;
#[cfg(any(feature = "json", feature = "csv", feature = "toml", feature = "yaml"))]
mod edit;
#[cfg(any(feature = "json", feature = "toml"))]
mod flow;
#[cfg(feature = "json")]
mod json;
mod secrets;
#[cfg(feature = "toml")]
mod toml;
#[cfg(feature = "yaml")]
mod yaml;

#[cfg(feature = "csv")]
pub use csv::Csv;
#[cfg(any(feature = "json", feature = "csv", feature = "toml", feature = "yaml"))]
pub(crate) use edit::{Splice, Spliced};

/// A text format for config files. Each is a feature of this crate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JSON as RFC 8259 has it: no comments, no trailing commas.
    #[cfg(feature = "json")]
    Json,
    /// JSON with comments and trailing commas, as editors and TypeScript read it.
    #[cfg(feature = "json")]
    Jsonc,
    /// CSV: a header, and rows that are found by the cell in their key column. `#` begins a comment.
    ///
    /// A row is an object of strings by the names of the other columns. A cell that is not there and an empty one are
    /// the same, and a number is written into a cell as its text and read back as a string.
    #[cfg(feature = "csv")]
    Csv(Csv),
    /// TOML 1.1. A date, a time, `inf` and `nan` are strings to a program that reads them, spelled as they are in the
    /// text, where they stay what they are until something else is set. The order of keys says nothing.
    #[cfg(feature = "toml")]
    Toml,
    /// YAML 1.2 with its core schema: one document, keys that are scalars.
    ///
    /// A plain scalar that is no null, boolean or decimal number is a string of its text: a date, `yes`, `0x1F`, `.inf`.
    /// `<<` is a key like any other. What an alias stands for, and what has a tag, can be read but not changed; nor is a comment
    /// between brackets lost to an edit. Such edits are refused.
    #[cfg(feature = "yaml")]
    Yaml,
}

impl Format {
    /// The format that a file of this name is written in, or `None` where the name does not say.
    ///
    /// Files that are called `.json` but whose own programs read comments (`tsconfig.json`,
    /// `.vscode/settings.json`) are `Jsonc`.
    ///
    /// ```
    /// use cfgwal::document::Format;
    /// use std::path::Path;
    ///
    /// assert_eq!(Format::of(Path::new("conf/app.json")), Some(Format::Json));
    /// assert_eq!(Format::of(Path::new("web/tsconfig.json")), Some(Format::Jsonc));
    /// assert_eq!(Format::of(Path::new("README")), None);
    /// ```
    pub fn of(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            #[cfg(feature = "json")]
            "json" if reads_comments(path) => Some(Format::Jsonc),
            #[cfg(feature = "json")]
            "json" => Some(Format::Json),
            #[cfg(feature = "json")]
            "jsonc" | "code-workspace" => Some(Format::Jsonc),
            #[cfg(feature = "toml")]
            "toml" => Some(Format::Toml),
            #[cfg(feature = "yaml")]
            "yaml" | "yml" => Some(Format::Yaml),
            #[cfg(feature = "csv")]
            "csv" => Some(Format::Csv(Csv::default())),
            #[cfg(feature = "csv")]
            "tsv" => Some(Format::Csv(Csv::default().delimiter(b'\t'))),
            _ => None,
        }
    }

    /// What a person calls this format, and types to choose it: `json`.
    pub fn name(&self) -> &'static str {
        match self {
            #[cfg(feature = "json")]
            Format::Json => "json",
            #[cfg(feature = "json")]
            Format::Jsonc => "jsonc",
            #[cfg(feature = "csv")]
            Format::Csv(_) => "csv",
            #[cfg(feature = "toml")]
            Format::Toml => "toml",
            #[cfg(feature = "yaml")]
            Format::Yaml => "yaml",
        }
    }
}

impl Format {
    /// The format of this [name](Format::name).
    pub fn named(name: &str) -> Option<Format> {
        match name {
            #[cfg(feature = "json")]
            "json" => Some(Format::Json),
            #[cfg(feature = "json")]
            "jsonc" => Some(Format::Jsonc),
            #[cfg(feature = "csv")]
            "csv" => Some(Format::Csv(Csv::default())),
            #[cfg(feature = "toml")]
            "toml" => Some(Format::Toml),
            #[cfg(feature = "yaml")]
            "yaml" => Some(Format::Yaml),
            _ => None,
        }
    }

    /// What was chosen beyond the format itself, by name.
    pub(crate) fn choices(&self) -> Vec<(&'static str, String)> {
        match self {
            #[cfg(feature = "csv")]
            Format::Csv(csv) => csv.choices(),
            #[allow(unreachable_patterns, reason = "which formats there are depends on features")]
            _ => Vec::new(),
        }
    }

    /// Make a choice by its name; `false`: there is nothing of the kind to choose.
    pub(crate) fn choose(&mut self, name: &str, value: &str) -> bool {
        match self {
            #[cfg(feature = "csv")]
            Format::Csv(csv) => csv.choose(name, value),
            #[allow(unreachable_patterns, reason = "which formats there are depends on features")]
            _ => {
                let _ = (name, value);
                false
            }
        }
    }

    /// This format, with whatever it would otherwise find out anew from each text decided by this one.
    pub(crate) fn decided_by(&self, text: &[u8]) -> Format {
        match self {
            #[cfg(feature = "csv")]
            Format::Csv(csv) => Format::Csv(csv::decided_by(csv, text)),
            #[allow(unreachable_patterns, reason = "which formats there are depends on features")]
            other => {
                let _ = text;
                other.clone()
            }
        }
    }
}

/// The name, and what was chosen beyond it: `csv, key "id", delimiter ","`.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.choices().iter().try_for_each(|(name, value)| write!(f, ", {name} {}", Value::from(value.as_str())))
    }
}

/// Whether this `.json` file is one of those whose programs take comments.
#[cfg(feature = "json")]
fn reads_comments(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let parent = path.parent().and_then(Path::file_name);
    let is = |stem: &str| name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'));
    is("tsconfig") || is("jsconfig") || name == "devcontainer.json" || parent.is_some_and(|name| name == ".vscode")
}

/// The value that `text` stands for.
///
/// # Errors
/// Whatever the format does not allow, or allows but readers disagree about (a key written twice),
/// and a text larger or deeper than [allowed](crate::DEPTH_MAX).
pub fn parse(format: &Format, text: &[u8]) -> Result<Value, Invalid> {
    match format {
        #[cfg(feature = "json")]
        Format::Json | Format::Jsonc => json::parse(format, text),
        #[cfg(feature = "csv")]
        Format::Csv(csv) => csv::parse(csv, text),
        #[cfg(feature = "toml")]
        Format::Toml => toml::parse(text),
        #[cfg(feature = "yaml")]
        Format::Yaml => yaml::parse(text),
    }
}

/// `text`, changed so that it parses to `target`; every byte that has nothing to do with the
/// difference stays. Linear in the text and the target, however many edits lie between them.
///
/// # Errors
/// When `text` does not parse, when the format cannot hold `target`, and when the result, read
/// again, is not what was asked for. There is no half-right result.
pub fn patch(format: &Format, text: &[u8], target: &Value) -> Result<Vec<u8>, Unpatchable> {
    match format {
        #[cfg(feature = "json")]
        Format::Json | Format::Jsonc => json::patch(format, text, target),
        #[cfg(feature = "csv")]
        Format::Csv(csv) => csv::patch(csv, text, target),
        #[cfg(feature = "toml")]
        Format::Toml => toml::patch(text, target),
        #[cfg(feature = "yaml")]
        Format::Yaml => yaml::patch(text, target),
    }
}

/// What [`patch`] would replace in a text that stands for `known`, found by what differs from that alone. `None` where the format
/// or the change does not allow it. Of a text that stands for something else, what comes out is of no use.
#[cfg_attr(not(feature = "json"), expect(unused_variables, reason = "no other format does"))]
pub(crate) fn patch_known(format: &Format, text: &[u8], known: &Value, target: &Value) -> Option<Vec<Splice>> {
    match format {
        #[cfg(feature = "json")]
        Format::Json | Format::Jsonc => json::patch_known(format, text, known, target),
        #[cfg(any(feature = "csv", feature = "toml", feature = "yaml"))]
        _ => None,
    }
}

/// The text of a file that is not there yet: as [`render`] lays it out, and proven as [`patch`] proves a change.
///
/// # Errors
/// When the format cannot hold `value`, and when the text, read again, is not what was asked for.
pub(crate) fn begin(format: &Format, value: &Value) -> Result<Vec<u8>, Unpatchable> {
    match format {
        #[cfg(feature = "json")]
        Format::Json | Format::Jsonc => json::begin(value),
        #[cfg(feature = "csv")]
        Format::Csv(csv) => csv::begin(csv, value),
        #[cfg(feature = "toml")]
        Format::Toml => toml::begin(value),
        #[cfg(feature = "yaml")]
        Format::Yaml => yaml::begin(value),
    }
}

/// A new file that holds `value`, laid out as most people write this format. What the format cannot hold, as
/// [`writable`] tells, comes out as something else.
pub fn render(format: &Format, value: &Value) -> Vec<u8> {
    match format {
        #[cfg(feature = "json")]
        Format::Json | Format::Jsonc => json::render(value),
        #[cfg(feature = "csv")]
        Format::Csv(csv) => csv::render(csv, value),
        #[cfg(feature = "toml")]
        Format::Toml => toml::render(value),
        #[cfg(feature = "yaml")]
        Format::Yaml => yaml::render(value),
    }
}

/// Ops as documents of this format can hold them, or why they cannot: so that what no text can show is refused before
/// it is done. Costs what the ops cost, so it does not know the text: [`patch`] may still refuse.
///
/// # Errors
/// [`Refusal::Unwritable`], naming the place and what to do instead.
pub(crate) fn admit(format: &Format, ops: &mut [Op]) -> Result<(), Refusal> {
    ops.iter_mut().try_for_each(|op| {
        let admitted = match format {
            #[cfg(feature = "json")]
            Format::Json | Format::Jsonc => {
                let _ = op;
                Ok(())
            }
            #[cfg(feature = "csv")]
            Format::Csv(csv) => csv::admit(csv, op),
            #[cfg(feature = "toml")]
            Format::Toml => toml::admit(op),
            #[cfg(feature = "yaml")]
            Format::Yaml => {
                let _ = op;
                Ok(())
            }
        };
        admitted.map_err(|(path, why)| Refusal::Unwritable { path, why })
    })
}

/// The names of a table's columns.
pub(crate) type Columns = Arc<[Box<str>]>;

/// Whether the texts of a format have columns, which no edit can add to.
pub(crate) fn has_columns(format: &Format) -> bool {
    format.name() == "csv"
}

/// The columns of a text, if it [has any](has_columns) and is a table.
pub(crate) fn columns(format: &Format, text: &[u8]) -> Option<Columns> {
    let _ = text;
    match format {
        #[cfg(feature = "csv")]
        Format::Csv(csv) => csv::columns(csv, text),
        #[cfg(any(feature = "json", feature = "toml", feature = "yaml"))]
        _ => None,
    }
}

/// Whether ops need no other columns than these.
///
/// # Errors
/// [`Refusal::Unwritable`], naming the place.
pub(crate) fn fit_columns(columns: &Columns, ops: &[Op]) -> Result<(), Refusal> {
    #[cfg(feature = "csv")]
    for op in ops {
        csv::fits(columns, op).map_err(|(path, why)| Refusal::Unwritable { path, why })?;
    }
    let _ = (columns, ops);
    Ok(())
}

/// `read`, the value of a text that someone changed, with everything that the format cannot tell from `known` taken
/// from there: what no text can express is no change of that someone's.
pub(crate) fn in_terms_of(format: &Format, read: Value, known: &Value) -> Value {
    match format {
        #[cfg(feature = "json")]
        Format::Json | Format::Jsonc => {
            let _ = known;
            read
        }
        #[cfg(feature = "csv")]
        Format::Csv(_) => csv::in_terms_of(read, known),
        #[cfg(feature = "toml")]
        Format::Toml => toml::in_terms_of(read, known),
        #[cfg(feature = "yaml")]
        Format::Yaml => {
            let _ = known;
            read
        }
    }
}

/// A type's view of a config as a text of this format can show it: TOML has no null, so what is none is not there.
pub(crate) fn shown_view(format: &Format, view: Value) -> Value {
    match format {
        #[cfg(feature = "toml")]
        Format::Toml => toml::without_nulls(&view),
        #[allow(unreachable_patterns, reason = "which formats there are depends on features")]
        _ => view,
    }
}

/// `value` as a text of this format can hold it: a number in a cell of CSV is its text.
///
/// # Errors
/// [`Unpatchable::Unwritable`]: what cannot be held, and why.
pub fn writable(format: &Format, value: &Value) -> Result<Value, Unpatchable> {
    let mut ops = [Op::Set { path: crate::path::Path::root(), value: value.clone() }];
    admit(format, &mut ops).map_err(|refusal| Unpatchable::Unwritable(refusal.to_string()))?;
    match ops {
        [Op::Set { value, .. }] => Ok(value),
        _ => Ok(value.clone()),
    }
}

/// Why a text is not a document: where, and what is wrong there.
///
/// Displays as `line 3, column 7: expected a comma`, the line itself, and a mark below the place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalid {
    /// The line, counted from 1.
    pub line: usize,
    /// The column, in characters, counted from 1. A byte order mark is not counted.
    pub column: usize,
    /// That line, or the part of a long one around the column, made safe to print and without secrets.
    pub shown: String,
    /// How many characters of `shown` stand before the column.
    pub mark: usize,
    /// What is wrong, and where it is not plain, what to do instead.
    pub why: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let (gutter, mark) = (number.len() + 2, self.mark);
        writeln!(f, "line {}, column {}: {}", self.line, self.column, self.why)?;
        writeln!(f, "  {number} | {}", self.shown)?;
        write!(f, "{:gutter$} | {:mark$}^", "", "")
    }
}

impl std::error::Error for Invalid {}

/// Why a text could not be changed into what was wanted. The text is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unpatchable {
    /// The text is not a document, so there is nothing to change.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The format has no way to write this value.
    #[error("{0}")]
    Unwritable(String),
    /// The changed text would be longer than [a document may be](crate::RECORD_MAX).
    #[error("the document would have {len} bytes; the limit is {max}", max = limits::RECORD_MAX)]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
    /// The changed text did not prove to be the value wanted, so nobody gets to see it: a defect of this crate.
    #[error("the changed text would not be what was asked for ({0}); the file is left alone. Please report this")]
    Unproven(String),
}

/// How many characters of a line an [`Invalid`] shows on either side of the column.
const SHOWN: usize = 60;

impl Invalid {
    /// The fault at byte `at` of `text`, or at its end.
    pub(crate) fn at(text: &str, at: usize, why: impl Into<String>) -> Invalid {
        let (line, column) = position(text, at);
        let at = at.min(text.len());
        let start = text[..at].rfind(['\n', '\r']).map_or(0, |newline| newline + 1);
        let end = text[at..].find(['\n', '\r']).map_or(text.len(), |newline| at + newline);
        let (before, after) = (&text[start..at], &text[at..end]);

        let mut secrets = secrets::spans(text, at);
        secrets.retain(|secret| secret.end >= start);
        let cut = before.char_indices().rev().nth(SHOWN - 1).map_or(0, |(index, _)| index);
        let mut shown = String::from(if cut == 0 { "" } else { "…" });
        push_masked(&mut shown, text, start + cut..at, &secrets);
        let mark = shown.chars().count();
        let cut = after.char_indices().nth(SHOWN).map_or(after.len(), |(index, _)| index);
        push_masked(&mut shown, text, at..at + cut, &secrets);
        if cut < after.len() {
            shown.push('…');
        }
        let mut why = why.into();
        if secrets.iter().any(|secret| secret.start <= at && at <= secret.end) {
            why = without_quotations(&why);
        }
        Invalid { line, column, shown, mark, why }
    }
}

/// A part of the text, printable, with one mask for each secret in it.
fn push_masked(out: &mut String, text: &str, part: Range<usize>, secrets: &[Range<usize>]) {
    let mut last = None;
    for (index, c) in text[part.clone()].char_indices() {
        let secret = secrets.iter().position(|secret| secret.contains(&(part.start + index)));
        match secret {
            None => push_printable(out, c),
            Some(_) if secret != last => out.push_str(MASK),
            Some(_) => {}
        }
        last = secret;
    }
}

/// A reason that quotes the text, without what it quotes.
fn without_quotations(why: &str) -> String {
    let parts = why.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { MASK });
    parts.collect::<Vec<_>>().join("`")
}

/// Line and column of byte `at`, both counted from 1. `\n`, `\r\n` and a lone `\r` end a line.
pub(crate) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let (mut line, mut start) = (1, 0);
    let bytes = text.as_bytes();
    for (index, byte) in before.bytes().enumerate() {
        if byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) != Some(&b'\n')) {
            (line, start) = (line + 1, index + 1);
        }
    }
    (line, before[start..].chars().count() + 1)
}

/// A config file must not be able to forge what an error message says.
fn push_printable(out: &mut String, c: char) {
    match c {
        '\t' => out.push(' '),
        c => push_spelled(out, c),
    }
}

/// As [`decode_any`], for formats in which a blank text is no document. `instead`: what to write into it.
#[cfg(any(feature = "json", feature = "csv"))]
fn decode<'t>(text: &'t [u8], instead: &str) -> Result<(&'static [u8], &'t str), Invalid> {
    let (bom, body) = decode_any(text)?;
    if body.trim_ascii().is_empty() {
        return Err(Invalid::at(body, 0, format!("the document is empty; {instead}")));
    }
    Ok((bom, body))
}

/// `text` without its byte order mark, which is kept apart so that it can be put back.
///
/// # Errors
/// A text that is not UTF-8 (the likely encoding is named), that has a second byte order mark, or that is larger than a
/// document may be.
fn decode_any(text: &[u8]) -> Result<(&'static [u8], &str), Invalid> {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    if text.len() > limits::RECORD_MAX {
        let why = format!("the document has {} bytes; the limit is {}", text.len(), limits::RECORD_MAX);
        return Err(Invalid::at("", 0, why));
    }
    let (bom, body) = match text.strip_prefix(BOM) {
        Some(body) => (BOM, body),
        None => (&[][..], text),
    };
    let body = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    if body.starts_with('\u{feff}') {
        return Err(Invalid::at(
            body,
            0,
            "a second byte order mark, which readers take for a part of the text; remove it",
        ));
    }
    Ok((bom, body))
}

/// The bytes of a changed text, once it has proven to be no larger than it may be and to stand for what was wanted, read
/// as anyone else will read it.
#[cfg(any(feature = "json", feature = "csv", feature = "toml", feature = "yaml"))]
fn seal(
    bom: &[u8],
    patched: String,
    prove: impl FnOnce(&str) -> Result<bool, Invalid>,
) -> Result<Vec<u8>, Unpatchable> {
    let len = bom.len() + patched.len();
    if len > limits::RECORD_MAX {
        return Err(Unpatchable::TooLarge { len });
    }
    match prove(&patched) {
        Ok(true) if bom.is_empty() => Ok(patched.into_bytes()),
        Ok(true) => Ok([bom, patched.as_bytes()].concat()),
        Ok(false) => Err(Unpatchable::Unproven("it reads as another value".to_owned())),
        Err(invalid) => Err(Unpatchable::Unproven(invalid.to_string())),
    }
}

fn not_utf8(body: &[u8], at: usize) -> Invalid {
    let zeros = body.iter().take(64).filter(|&&byte| byte == 0).count();
    let why = match body {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "the text is UTF-16; save it as UTF-8".to_owned(),
        _ if zeros > body.len().min(64) / 4 => "the text looks like UTF-16; save it as UTF-8".to_owned(),
        _ => {
            let byte = body[at];
            format!("byte 0x{byte:02X} is not UTF-8 (perhaps Latin-1 or Windows-1252); save the file as UTF-8")
        }
    };
    // What comes before the fault is valid; what follows is shown as well as it can be. The line is
    // cut out first, since a lossy copy of a large file is a large copy.
    let end = body[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(body.len(), |n| at + n);
    let lossy = String::from_utf8_lossy(&body[..end.min(at + 4 * SHOWN)]);
    Invalid::at(&lossy, at, why)
}
