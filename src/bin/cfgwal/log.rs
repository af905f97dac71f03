//! `cfgwal log`

use std::fmt::Write;

use cfgwal::{Entry, Op, OriginKind, Path, Segment, Transaction, Value};
use clap::Args;
use jiff::{Span, Timestamp, Zoned};

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, name};
use crate::reading;
use crate::terminal::Terminal;

/// How much of a value is shown to a person.
const SHOWN: usize = 200;

/// Show who changed what and when, the newest first
///
/// With --json one object per revision, its ops as `batch` takes them. Secrets are masked unless --show-secrets.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal log -n 10
  cfgwal log mcpServers.github --since 2h
  cfgwal log --conflicts
  cfgwal log --since 2026-11-20 --json")]
pub struct Log {
    /// Only what touched this
    path: Option<String>,
    /// Only the N newest
    #[arg(short = 'n', value_name = "N")]
    count: Option<usize>,
    /// Only hand edits that changed what a program had changed at the same time
    #[arg(long)]
    conflicts: bool,
    /// Only since then: how long ago (2h, 3 days) or a date or time
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
}

pub fn run(args: &Log, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let path = args.path.as_deref().map(arguments::path).transpose()?;
    let view = context.view()?;
    let history = view.history()?;
    let wanted = history
        .iter()
        .rev()
        .filter(|entry| !args.conflicts || !conflicts(&entry.transaction).is_empty())
        .filter(|entry| args.since.is_none_or(|since| time(&entry.transaction) >= since))
        .filter(|entry| path.as_ref().is_none_or(|path| entry.transaction.ops.iter().any(|op| touches(op, path))))
        .take(args.count.unwrap_or(usize::MAX));
    // The whole log shows a conflict's other side where it stands.
    let others = if args.conflicts { &history[..] } else { &[] };
    for entry in wanted {
        if out.json() {
            out.value(&to_value(entry, others, out.show_secrets()))?;
        } else {
            print(entry, others, out)?;
        }
    }
    reading::finish(&view)
}

fn print(entry: &Entry, history: &[Entry], out: &mut Terminal) -> Result<(), Failure> {
    let Transaction { origin, key, ops, .. } = &entry.transaction;
    let at = time(&entry.transaction).to_zoned(jiff::tz::TimeZone::system()).strftime("%F %T");
    let who = match origin.kind {
        OriginKind::File => "edited by hand".to_owned(),
        _ => format!("{} (process {} on {})", origin.program, origin.pid, origin.host),
    };
    let key = key.as_ref().map_or(String::new(), |key| format!(", id {key}"));
    out.line(&format!("{}  {at}  {who}{key}", entry.revision))?;
    for op in ops {
        out.line(&format!("    {}", describe(op, out.show_secrets())))?;
    }
    for path in conflicts(&entry.transaction) {
        out.line(&format!("    conflict at {path}: a program had changed it too, the person's value counts"))?;
        for (revision, op) in overruled(entry, path, history) {
            out.line(&format!("        revision {revision}: {}", describe(op, out.show_secrets())))?;
        }
    }
    Ok(())
}

/// What programs had done at this path since the text that the person began with.
fn overruled<'a>(entry: &Entry, path: &'a Path, history: &'a [Entry]) -> impl Iterator<Item = (u64, &'a Op)> + use<'a> {
    let began = entry.transaction.base.as_ref().map_or(entry.revision, |base| base.revision);
    let since = began + 1..entry.revision;
    let by_program =
        move |other: &&Entry| since.contains(&other.revision) && other.transaction.origin.kind != OriginKind::File;
    history.iter().filter(by_program).flat_map(move |other| {
        other.transaction.ops.iter().filter(|op| touches(op, path)).map(|op| (other.revision, op))
    })
}

/// Where a hand edit and the programs changed the same.
fn conflicts(transaction: &Transaction) -> &[Path] {
    transaction.base.as_ref().map_or(&[], |base| &base.conflicts)
}

fn time(transaction: &Transaction) -> Timestamp {
    i64::try_from(transaction.time)
        .ok()
        .and_then(|time| Timestamp::from_microsecond(time).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Whether the op changes something at, above or below this path. A test changes nothing.
fn touches(op: &Op, path: &Path) -> bool {
    let near = |other: &Path| {
        // `a[0]` and `a.0` are one place in an array.
        let mut pairs = path.segments().iter().zip(other.segments());
        pairs.all(|(a, b)| a == b || (a.as_index().is_some() && a.as_index() == b.as_index()))
    };
    match op {
        Op::Test { .. } => false,
        Op::Merge { path: at, value } => {
            near(at) && speaks_of(value, path.segments().get(at.segments().len()..).unwrap_or_default())
        }
        Op::Move { from, to } => near(from) || near(to),
        op => op.path().is_some_and(near),
    }
}

/// Whether a patch says something about what is below it by these steps. What is no object replaces all that was there.
fn speaks_of(patch: &Value, below: &[Segment]) -> bool {
    match (patch.as_object(), below.split_first()) {
        (Some(patch), Some((Segment::Key(key), rest))) => patch.get(key).is_some_and(|patch| speaks_of(patch, rest)),
        _ => true,
    }
}

/// The value as it may be shown.
fn shown(path: &Path, value: &Value, show_secrets: bool) -> Value {
    if show_secrets { value.clone() } else { cfgwal::masked(path, value) }
}

/// One op for people.
fn describe(op: &Op, show_secrets: bool) -> String {
    let text = |path: &Path, value: &Value| {
        let mut text = shown(path, value, show_secrets).to_string();
        if let Some((cut, _)) = text.char_indices().nth(SHOWN) {
            let bytes = text.len();
            text.truncate(cut);
            // Writing to a string cannot fail.
            let _ = write!(text, "… ({bytes} bytes)");
        }
        text
    };
    match op {
        Op::Set { path, value } => format!("set {} = {}", name(path), text(path, value)),
        Op::Remove { path } => format!("remove {}", name(path)),
        Op::Merge { path, value } => format!("merge {} {}", name(path), text(path, value)),
        Op::Increment { path, by } => format!("increment {} by {}", name(path), text(path, &Value::Number(by.clone()))),
        Op::Push { path, value, .. } => format!("push {} {}", name(path), text(path, value)),
        Op::Insert { path, value } | Op::Place { path, value, .. } => {
            format!("insert {} = {}", name(path), text(path, value))
        }
        Op::Move { from, to } => format!("move {} to {}", name(from), name(to)),
        Op::Test { path, expected: Some(value) } => format!("if {} is {}", name(path), text(path, value)),
        Op::Test { path, expected: None } => format!("if {} is absent", name(path)),
        // A newer kind of op still shows itself, secrets masked.
        op => format!("{op:?}"),
    }
}

fn to_value(entry: &Entry, history: &[Entry], show_secrets: bool) -> Value {
    let Transaction { origin, key, ops, .. } = &entry.transaction;
    let object = |fields: Vec<(&str, Value)>| -> Value { fields.into_iter().collect() };
    let who = object(vec![
        ("kind", Value::from(if origin.kind == OriginKind::File { "file" } else { "program" })),
        ("program", Value::from(origin.program.as_str())),
        ("pid", Value::from(origin.pid)),
        ("host", Value::from(origin.host.as_str())),
    ]);
    let mut fields = vec![
        ("revision", Value::from(entry.revision)),
        ("time", Value::from(time(&entry.transaction).to_string())),
        ("origin", who),
    ];
    fields.extend(key.as_ref().map(|key| ("key", Value::from(key.as_str()))));
    let conflicts = conflicts(&entry.transaction);
    if !conflicts.is_empty() {
        fields.push(("conflicts", conflicts.iter().map(|path| Value::from(path.to_string())).collect()));
        let overruled = conflicts.iter().flat_map(|path| overruled(entry, path, history)).map(|(revision, op)| {
            let mut fields = vec![("revision", Value::from(revision))];
            fields.extend(op_fields(op, show_secrets));
            object(fields)
        });
        let overruled: Vec<Value> = overruled.collect();
        fields.extend((!overruled.is_empty()).then(|| ("overruled", overruled.into_iter().collect())));
    }
    fields.push(("ops", Value::from(ops.iter().map(|op| object(op_fields(op, show_secrets))).collect::<Vec<_>>())));
    object(fields)
}

/// One op as `batch` takes it.
fn op_fields(op: &Op, show_secrets: bool) -> Vec<(&'static str, Value)> {
    let at = |name: &'static str, path: &Path| vec![("op", Value::from(name)), ("path", Value::from(path.to_string()))];
    let with = |name: &'static str, path: &Path, value: &Value| {
        let mut fields = at(name, path);
        fields.push(("value", shown(path, value, show_secrets)));
        fields
    };
    match op {
        Op::Set { path, value } => with("set", path, value),
        Op::Remove { path } => at("remove", path),
        Op::Merge { path, value } => with("merge", path, value),
        Op::Increment { path, by } => {
            let mut fields = at("increment", path);
            fields.push(("by", shown(path, &Value::Number(by.clone()), show_secrets)));
            fields
        }
        Op::Push { path, value, cap, unique } => {
            let mut fields = with("push", path, value);
            fields.extend(cap.map(|cap| ("cap", Value::from(cap))));
            fields.extend(unique.then_some(("unique", Value::from(true))));
            fields
        }
        Op::Insert { path, value } => with("insert", path, value),
        Op::Place { path, value, before } => {
            let mut fields = with("place", path, value);
            fields.extend(before.as_ref().map(|key| ("before", Value::from(key.as_str()))));
            fields
        }
        Op::Move { from, to } => vec![
            ("op", Value::from("move")),
            ("from", Value::from(from.to_string())),
            ("to", Value::from(to.to_string())),
        ],
        Op::Test { path, expected: Some(value) } => with("test", path, value),
        Op::Test { path, expected: None } => {
            let mut fields = at("test", path);
            fields.push(("absent", Value::from(true)));
            fields
        }
        op => vec![("op", Value::from(format!("{op:?}")))],
    }
}

/// `2h`, `3 days`, `2026-11-20`, `2026-11-20T12:00:00Z`.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(span) = text.parse::<Span>() {
        let then = Zoned::now().checked_sub(span.abs()).map_err(|error| error.to_string())?;
        return Ok(then.timestamp());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let local = text.parse::<jiff::civil::DateTime>().map_err(|_| "expected a span like 2h or a date".to_owned())?;
    let zoned = local.to_zoned(jiff::tz::TimeZone::system()).map_err(|error| error.to_string())?;
    Ok(zoned.timestamp())
}
