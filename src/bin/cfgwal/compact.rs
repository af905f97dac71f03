//! `cfgwal compact`

use cfgwal::{Compaction, Transaction, Value};
use clap::Args;

use crate::context::Context;
use crate::difference;
use crate::edits::{conflict, settled};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Fold the log into the config file and a snapshot, and let go of what they cover
///
/// Happens by itself when the log has grown; this is for now.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal compact
  cfgwal compact --dry-run")]
pub struct Compact {
    /// Print how the file would change and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Compact, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let file = context.file()?;
    if !context.has_journal()? {
        // An edit may make the file. Here a name that is not there is a slip.
        context.view()?;
    }
    if args.dry_run {
        // No ops: what remains is what the file lacks.
        return difference::dry_run(Transaction::new(), None, &file, out);
    }
    let progress = Progress::start(out, format!("compacting {}", file.display()));
    let journal = context.journal()?;
    let (done, status) = journal.compact()?;
    drop(progress);
    for path in journal.take_conflicts() {
        out.warn(&conflict(&path, &file));
    }
    if out.json() {
        out.value(&to_value(&done))?;
    } else {
        out.chat(&format!(
            "{}: compacted at revision {}; log {}, snapshot {}",
            file.display(),
            done.revision,
            change(done.log_bytes_before, done.log_bytes_after),
            size(done.snapshot_bytes),
        ))?;
    }
    settled(file, &status)
}

/// What became of so many bytes. The first compaction lets go of nothing: the log is kept as far back as the older of two
/// snapshots.
fn change(before: u64, after: u64) -> String {
    if after < before { format!("{} -> {}", size(before), size(after)) } else { size(after) }
}

fn to_value(done: &Compaction) -> Value {
    let retired: Vec<_> = done.retired.iter().map(|name| Value::from(name.as_str())).collect();
    [
        ("revision", Value::from(done.revision)),
        ("log_bytes_before", Value::from(done.log_bytes_before)),
        ("log_bytes_after", Value::from(done.log_bytes_after)),
        ("snapshot_bytes", Value::from(done.snapshot_bytes)),
        ("retired", Value::from(retired)),
    ]
    .into_iter()
    .collect()
}

/// `1 segment`, `2 segments`.
pub fn count(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Bytes for people: `351 KiB`.
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut tenths, mut unit) = (bytes, 0, "bytes");
    for larger in units {
        if whole < 1024 {
            break;
        }
        (tenths, whole, unit) = ((whole % 1024) * 10 / 1024, whole / 1024, larger);
    }
    // Who reads 351 KiB does not ask for the tenth.
    if unit == "bytes" || whole >= 100 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}
