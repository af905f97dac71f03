//! `cfgwal status`

use cfgwal::{FileStatus, HandEdit, Value, View};
use clap::Args;

use crate::compact::size;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
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
    let by_hand = match view.hand_edit() {
        None => None,
        Some(HandEdit::Invalid(invalid)) => Some(format!("does not parse: {invalid}")),
        Some(_) => Some("was edited by hand; the next edit takes that in".to_owned()),
    };
    if out.json() {
        out.value(&to_value(&file, &status, by_hand.as_deref()))?;
    } else {
        print(&file, &status, by_hand.as_deref(), out)?;
    }
    reading::finish(&view)
}

fn print(file: &std::path::Path, status: &cfgwal::Status, by_hand: Option<&str>, out: &mut Terminal) -> Result<(), Failure> {
    let shows = match &status.file {
        FileStatus::Current { revision } => format!("current, shows revision {revision}"),
        FileStatus::Behind { shows: Some(shows), why, .. } => {
            format!("shows revision {shows}: {why}; {}", why.advice())
        }
        FileStatus::Behind { shows: None, why, .. } => format!("{why}; {}", why.advice()),
    };
    out.line(&format!("file      {} ({})", file.display(), status.format.name()))?;
    out.line(&format!("          {shows}"))?;
    for line in by_hand.iter().flat_map(|text| text.lines()) {
        out.line(&format!("          {line}"))?;
    }
    out.line(&format!("revision  {}, durable {}", status.revision, status.durable))?;
    out.line(&format!("journal   {}", status.journal.display()))?;
    out.line(&format!(
        "log       {}, {} records, {} segments",
        size(status.log_bytes),
        status.log_records,
        status.segments
    ))?;
    out.line(&match status.snapshot_revision {
        Some(revision) => format!("snapshot  revision {revision}, {}", size(status.snapshot_bytes)),
        None => "snapshot  none".to_owned(),
    })?;
    out.line(&match &status.lock {
        Some(holder) => format!("lock      {holder}"),
        None => "lock      free".to_owned(),
    })
}

fn to_value(file: &std::path::Path, status: &cfgwal::Status, by_hand: Option<&str>) -> Value {
    let object = |fields: Vec<(&str, Value)>| -> Value { fields.into_iter().collect() };
    let shows = match &status.file {
        FileStatus::Current { revision } => {
            vec![("current", Value::from(by_hand.is_none())), ("shows", Value::from(*revision))]
        }
        FileStatus::Behind { shows, why, .. } => vec![
            ("current", Value::from(false)),
            ("shows", Value::from(*shows)),
            ("why", Value::from(why.to_string())),
        ],
    };
    let snapshot = status.snapshot_revision.map_or(Value::Null, |revision| {
        object(vec![("revision", Value::from(revision)), ("bytes", Value::from(status.snapshot_bytes))])
    });
    let lock = status.lock.as_ref().map_or(Value::Null, |holder| {
        let since = u64::try_from(holder.since.as_millis()).unwrap_or(u64::MAX);
        object(vec![
            ("pid", Value::from(holder.pid)),
            ("command", Value::from(holder.command.as_str())),
            ("since_ms", Value::from(since)),
        ])
    });
    let mut of_file = vec![
        ("path", Value::from(file.to_string_lossy().as_ref())),
        ("format", Value::from(status.format.name())),
    ];
    of_file.extend(shows);
    of_file.extend(by_hand.map(|text| ("by_hand", Value::from(text))));
    object(vec![
        ("revision", Value::from(status.revision)),
        ("durable", Value::from(status.durable)),
        ("file", object(of_file)),
        ("journal", Value::from(status.journal.to_string_lossy().as_ref())),
        ("store", Value::from(status.store_id.as_str())),
        (
            "log",
            object(vec![
                ("bytes", Value::from(status.log_bytes)),
                ("records", Value::from(status.log_records)),
                ("segments", Value::from(status.segments)),
            ]),
        ),
        ("snapshot", snapshot),
        ("lock", lock),
    ])
}
