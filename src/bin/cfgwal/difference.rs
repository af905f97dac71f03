//! The change of a file, as `--dry-run` shows it: a unified diff, with secrets masked.
//!
//! Secrets are masked in the documents, not in the lines: each is written as the config would be with masks in
//! place of secrets, by the same code that edits files. So no way of spelling a secret in a format escapes.

use std::path::Path;
use std::time::Duration;

use cfgwal::document::{self, Format};
use cfgwal::{Behind, Error, FileStatus, MASK, Map, Preview, Transaction, Value, View};
use clap::builder::styling::AnsiColor;
use similar::{ChangeTag, TextDiff};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::status::explained;
use crate::terminal::Terminal;

/// How long a line may be before its unchanged ends are left out on a screen.
const LONG: usize = 400;
/// How long to look for the smallest diff of two very different texts; then any will do.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much of the unchanged ends stays.
const AROUND: usize = 60;

/// The config as an edit would find it. What an edit would refuse, is refused here.
pub fn look(file: &Path) -> Result<View, Failure> {
    let view = View::open_or_empty(file)?;
    if let Some(damage) = view.damage() {
        return Err(Error::Damaged(Box::new(damage.clone())).into());
    }
    match view.file_status() {
        FileStatus::Behind { why: Behind::Invalid(invalid), .. } => {
            Err(Error::Invalid { path: view.status().path, invalid: invalid.clone() }.into())
        }
        _ => Ok(view),
    }
}

/// Prints what an edit would do. Nothing is printed for no change, as `diff` does it.
pub fn dry_run(edit: Transaction, expected: Option<u64>, file: &Path, out: &mut Terminal) -> Result<Exit, Failure> {
    let progress = Progress::start(out, format!("comparing {}", file.display()));
    let view = look(file)?;
    let preview = view.preview(edit, expected)?;
    let (before, after) = if out.json() { Default::default() } else { shown(&preview, &view, out)? };
    drop(progress);
    if let Some(why) = held_back(&view) {
        out.warn(&format!("the edit would be logged, but {} would not show it: {}", file.display(), explained(why)));
    }
    if out.json() {
        out.value(&to_value(&preview, &view, file, out)?)?;
        return Ok(Exit::Done);
    }
    for (colour, line) in lines(&before, &after, file, preview.revision, out.is_watched()) {
        match colour {
            Some(colour) => out.coloured(colour, &line)?,
            None => out.data(&line).and_then(|()| out.data("\n"))?,
        }
    }
    Ok(Exit::Done)
}

/// The same for programs.
pub fn to_value(preview: &Preview, view: &View, file: &Path, out: &Terminal) -> Result<Value, Failure> {
    let (before, after) = shown(preview, view, out)?;
    let lines = lines(&before, &after, file, preview.revision, false);
    let diff: String = lines.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect();
    let mut fields = vec![
        ("revision", Value::from(preview.revision)),
        ("changed", Value::from(!lines.is_empty())),
        ("diff", Value::from(diff)),
    ];
    let value = preview.results.iter().rev().find_map(Option::as_ref);
    fields.extend(value.map(|value| ("value", value.clone())));
    Ok(fields.into_iter().collect())
}

/// What keeps the file from showing any edit.
fn held_back(view: &View) -> Option<&Behind> {
    match view.file_status() {
        // A hand edit is taken over, and what was pending is written with the edit.
        FileStatus::Behind { why: Behind::Pending | Behind::EditedByHand, .. } => None,
        FileStatus::Behind { why, .. } => Some(why),
        FileStatus::Current { .. } => None,
    }
}

/// The file's text before and after. A file that is held back stays as it is.
fn shown(preview: &Preview, view: &View, out: &Terminal) -> Result<(String, String), Failure> {
    if held_back(view).is_some() {
        return Ok((String::new(), String::new()));
    }
    texts(preview.before.as_deref(), &preview.after, view.status().format, out.show_secrets())
}

/// Both texts, fit to be shown. A file that does not exist yet has none.
fn texts(before: Option<&[u8]>, after: &[u8], format: Format, show_secrets: bool) -> Result<(String, String), Failure> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let bare = || (before.map_or_else(String::new, text), text(after));
    if show_secrets {
        return Ok(bare());
    }
    let root = cfgwal::Path::root();
    let read = |bytes: &[u8]| document::parse(&format, bytes).map_err(|why| Failure::Unmaskable(why.to_string()));
    let write = |bytes: &[u8], masked: &Value| {
        let masked = document::patch(&format, bytes, masked).map_err(|why| Failure::Unmaskable(why.to_string()))?;
        Ok::<_, Failure>(text(&masked))
    };
    let old = before.map(read).transpose()?;
    let new = read(after)?;
    let has_secrets = |value: &Value| cfgwal::masked(&root, value) != *value;
    if !has_secrets(&new) && !old.as_ref().is_some_and(has_secrets) {
        // To write masks into a large document takes longer than all else.
        return Ok(bare());
    }
    let masked_before = match (before, &old) {
        (Some(bytes), Some(old)) => write(bytes, &cfgwal::masked(&root, old))?,
        _ => String::new(),
    };
    let masked_new = mark(&cfgwal::masked(&root, &new), old.as_ref(), &new);
    Ok((masked_before, write(after, &masked_new)?))
}

/// `masked`, which is `new` with masks, with those masks marked that hide a change: two equal masks would look
/// as if there were none.
fn mark(masked: &Value, old: Option<&Value>, new: &Value) -> Value {
    match (masked, new) {
        (Value::String(mask), _) if &**mask == MASK && old.is_some_and(|old| old != new) => {
            Value::from(format!("{MASK} (changed)"))
        }
        (Value::Object(masks), Value::Object(values)) => {
            let old = old.and_then(Value::as_object);
            let entry = |(key, value): (&str, &Value)| {
                let mask = masks.get(key).unwrap_or(value);
                (key.to_owned(), mark(mask, old.and_then(|old| old.get(key)), value))
            };
            Value::Object(values.iter().map(entry).collect::<Map>())
        }
        (Value::Array(masks), Value::Array(values)) => {
            let old = old.and_then(Value::as_array);
            let item = |(index, (mask, value)): (usize, (&Value, &Value))| {
                mark(mask, old.and_then(|old| old.get(index)), value)
            };
            Value::Array(masks.iter().zip(values.iter()).enumerate().map(item).collect())
        }
        _ => masked.clone(),
    }
}

/// The unified diff, line by line with its colour; no lines where nothing changed.
fn lines(before: &str, after: &str, file: &Path, revision: u64, shorten: bool) -> Vec<(Option<AnsiColor>, String)> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, after);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().iter_hunks() {
        if lines.is_empty() {
            lines.push((Some(AnsiColor::BrightBlack), format!("--- {} at revision {revision}", file.display())));
            lines.push((Some(AnsiColor::BrightBlack), format!("+++ {} with the edit", file.display())));
        }
        lines.push((Some(AnsiColor::Cyan), hunk.header().to_string()));
        let changes: Vec<_> = hunk.iter_changes().collect();
        for (index, change) in changes.iter().enumerate() {
            // The other side of a changed line, if the change is of just one line.
            let (other, sign, colour) = match change.tag() {
                ChangeTag::Delete => (changes.get(index + 1), '-', Some(AnsiColor::Red)),
                ChangeTag::Insert => {
                    (index.checked_sub(1).and_then(|index| changes.get(index)), '+', Some(AnsiColor::Green))
                }
                ChangeTag::Equal => (None, ' ', None),
            };
            let line = change.value().trim_end_matches('\n');
            let other = other.filter(|other| other.tag() != ChangeTag::Equal && other.tag() != change.tag());
            let line = match other {
                Some(other) if shorten && line.len() > LONG => changed_part(line, other.value().trim_end_matches('\n')),
                _ => line.to_owned(),
            };
            lines.push((colour, format!("{sign}{line}")));
            if change.missing_newline() {
                lines.push((None, "\\ No newline at end of file".to_owned()));
            }
        }
    }
    lines
}

/// What of a long line differs from the other one, with a little around it.
fn changed_part(line: &str, other: &str) -> String {
    let same = |(a, b): &(char, char)| a == b;
    let length = |pairs: &mut dyn Iterator<Item = (char, char)>| {
        pairs.take_while(same).map(|(c, _)| c.len_utf8()).sum::<usize>()
    };
    let head = length(&mut line.chars().zip(other.chars()));
    let tail = length(&mut line[head..].chars().rev().zip(other[head..].chars().rev()));
    let from = line[..head].char_indices().rev().nth(AROUND - 1).map_or(0, |(at, _)| at);
    let end = line.len() - tail;
    let to = line[end..].char_indices().nth(AROUND).map_or(line.len(), |(at, _)| end + at);
    let (left, right) = (if from > 0 { "…" } else { "" }, if to < line.len() { "…" } else { "" });
    format!("{left}{}{right}", &line[from..to])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(before: &str, after: &str) -> String {
        let lines = lines(before, after, Path::new("a.json"), 7, true);
        lines.iter().map(|(_, line)| format!("{line}\n")).collect()
    }

    #[test]
    fn a_long_line_is_cut_down_to_its_change() {
        let padding = "é".repeat(500);
        let shown = shown(&format!("{padding}1{padding}\n"), &format!("{padding}22{padding}\n"));
        let removed = format!("-…{0}1{0}…\n", "é".repeat(60));
        assert!(shown.contains(&removed), "{shown}");
        assert!(shown.contains(&removed.replace('1', "22").replace('-', "+")), "{shown}");
    }

    #[test]
    fn no_change_shows_nothing() {
        assert_eq!(shown("a\n", "a\n"), "");
    }

    #[test]
    fn a_missing_newline_is_shown() {
        assert_eq!(shown("a", "b").matches("\\ No newline at end of file").count(), 2);
    }

    #[test]
    fn a_changed_secret_is_seen_to_change_and_nothing_more() {
        let before = br#"{"token": "c4n4ry\u002d1", "auth": {"k": ["c4n4ry-2"]}, "port": 1}"#;
        let after = br#"{"token": "c4n4ry-3", "auth": {"k": ["c4n4ry-2"]}, "port": 2}"#;
        let (before, after) = texts(Some(before), after, Format::Json, false).expect("documents that can be masked");
        assert!(!before.contains("c4n4ry") && !after.contains("c4n4ry"), "{before}\n{after}");
        assert_eq!(before, r#"{"token": "***", "auth": "***", "port": 1}"#);
        assert_eq!(after, r#"{"token": "*** (changed)", "auth": "***", "port": 2}"#);
    }
}
