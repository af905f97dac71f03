//! `cfgwal status`

use std::path::Path;

use cfgwal::{Behind, FileStatus, Value, View};
use clap::Args;

use crate::compact::{count, size};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, milliseconds, text};
use crate::reading;
use crate::terminal::Terminal;

/// Show revision, file, log, snapshot and lock
///
/// Writes nothing and waits for nobody.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal status
  cfgwal -f settings.json status --json | jq .revision")]
pub struct Status {}

pub fn run(context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let file = context.file()?;
    let view = View::open(&file)?;
    let status = view.status();
    if out.json() {
        out.value(&to_value(&file, &status))?;
    } else {
        print(&file, &status, out)?;
    }
    reading::finish(&view)
}

fn print(file: &Path, status: &cfgwal::Status, out: &mut Terminal) -> Result<(), Failure> {
    out.line(&format!("file      {} ({})", file.display(), status.format.name()))?;
    for line in file_line(&status.file).lines() {
        out.line(&format!("          {line}"))?;
    }
    let Some(journal) = &status.journal else {
        return out.line("journal   none yet; the first edit makes it");
    };
    out.line(&format!("revision  {}, durable", status.revision))?;
    out.line(&format!("journal   {}", journal.display()))?;
    let (records, segments) = (count(status.log_records, "record"), count(status.segments, "segment"));
    out.line(&format!("log       {} in {segments}, {records} since the snapshot", size(status.log_bytes)))?;
    out.line(&match status.snapshot {
        Some((revision, bytes)) => format!("snapshot  revision {revision}, {}", size(bytes)),
        None => "snapshot  none that can be read".to_owned(),
    })?;
    out.line(&match &status.holder {
        Some(holder) => format!("lock      {holder}"),
        None => "lock      free".to_owned(),
    })
}

/// What the file shows, for people.
pub fn file_line(status: &FileStatus) -> String {
    match status {
        FileStatus::Current { revision } => format!("current: shows revision {revision}"),
        FileStatus::Behind { shows: Some(shows), revision, why } => {
            format!("shows revision {shows} of {revision}: {}", explained(why))
        }
        FileStatus::Behind { shows: None, revision, why } => {
            format!("does not show revision {revision}: {}", explained(why))
        }
    }
}

/// What keeps the file from showing an edit, and what to do about it; below a line that is quoted, on a line of its own.
pub fn explained(why: &Behind) -> String {
    let text = why.to_string();
    let between = if text.contains('\n') { "\n" } else { "; " };
    format!("{text}{between}{}", why.advice())
}

/// What the file shows, for programs.
pub fn file_fields(status: &FileStatus) -> Vec<(&'static str, Value)> {
    match status {
        FileStatus::Current { revision } => {
            vec![("current", Value::from(true)), ("shows", Value::from(*revision))]
        }
        FileStatus::Behind { shows, why, .. } => {
            vec![("current", Value::from(false)), ("shows", Value::from(*shows)), ("why", Value::from(why.to_string()))]
        }
    }
}

fn to_value(file: &Path, status: &cfgwal::Status) -> Value {
    let object = |fields: Vec<(&str, Value)>| -> Value { fields.into_iter().collect() };
    let snapshot = status
        .snapshot
        .map(|(revision, bytes)| object(vec![("revision", Value::from(revision)), ("bytes", Value::from(bytes))]));
    let lock = status.holder.as_ref().map(|holder| {
        object(vec![
            ("pid", Value::from(holder.pid)),
            ("command", Value::from(holder.command.as_str())),
            ("since_ms", milliseconds(holder.since)),
        ])
    });
    let mut of_file = vec![("path", text(file)), ("format", Value::from(status.format.name()))];
    of_file.extend(file_fields(&status.file));
    let log = vec![
        ("bytes", Value::from(status.log_bytes)),
        ("segments", Value::from(status.segments)),
        ("records", Value::from(status.log_records)),
    ];
    object(vec![
        ("revision", Value::from(status.revision)),
        ("file", object(of_file)),
        ("journal", Value::from(status.journal.as_deref().map(text))),
        ("log", object(log)),
        ("snapshot", Value::from(snapshot)),
        ("lock", Value::from(lock)),
    ])
}
