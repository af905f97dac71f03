//! A log of a million records over 100,000 keys, left by a process that was killed, is read into a state: W6.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use cfgwal::{Op, Pending};
use rustix::fs::{FlockOperation, flock};

use super::rules;
use crate::contest::{Contestant, Measure, Race, Turn, race};
use crate::edits::{self, Edit};
use crate::limits::{read_log, write_log};
use crate::stores::{Kind, Sync, abandon_fjall, abandon_sqlite, fill_okaywal, open_journal, recover_okaywal};
use crate::{Outcome, disk};

const KEYS: usize = 100_000;
const RECORDS: usize = 1_000_000;
/// SQLite writes a page for each record: a tenth of them is what a disk has room for.
const RECORDS_OF_SQLITE: usize = RECORDS / 10;

const WHO: [&str; 5] = ["limit", "cfgwal", "sqlite", "fjall", "okaywal"];

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    let mut left = Vec::new();
    for who in WHO {
        let dir = disk::fresh(&format!("w6-{who}"))?;
        child("fill", who, &dir)?;
        let bytes = disk::size(&dir)?;
        eprintln!("  {who}: {} MB left behind", bytes / 1_000_000);
        left.push((who, dir));
    }
    disk::settle()?;
    let contestants = left.iter().map(|(who, dir)| {
        Contestant::new(*who, move || {
            let copy = copy_of(dir)?;
            let seconds: f64 = child("recover", who, &copy)?.trim().parse()?;
            disk::remove(&copy)?;
            let scale = if *who == "sqlite" { RECORDS / RECORDS_OF_SQLITE } else { 1 };
            Ok(Turn { done: 1.0, seconds: seconds * scale as f64 })
        })
    });
    let race = race("W6 recovery of 1 M records", Measure::Time, "<= 1.2", &rules(rounds, 1), contestants.collect())?;
    left.iter().try_for_each(|(_, dir)| disk::remove(dir))?;
    let note = "sqlite recovers a tenth of the records, and its time is taken ten times; okaywal and the limit have a flat map";
    Ok(vec![race.note(note.to_owned())])
}

/// Recovery changes what it recovers: each has its own.
fn copy_of(dir: &Path) -> Outcome<PathBuf> {
    let copy = dir.with_extension("copy");
    disk::copy(dir, &copy)?;
    Ok(copy)
}

fn child(task: &str, who: &str, dir: &Path) -> Outcome<String> {
    let done = Command::new(std::env::current_exe()?).args(["--worker", task, who]).arg(dir).output()?;
    if !done.status.success() {
        return Err(format!("{task} {who}: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// Each key in turn, with another value each time around.
fn records(count: usize) -> impl Iterator<Item = Edit> + Send {
    (0..count).map(|record| Edit::new(record % KEYS, record as u128))
}

/// Write the records and go without closing.
pub fn fill(who: &str, dir: &Path) -> Outcome {
    match who {
        "limit" => drop(write_log(&dir.join("log"), records(RECORDS).collect::<Vec<_>>().iter())?),
        "cfgwal" => {
            let journal = open_journal(dir)?;
            // Who holds this is taken for one who compacts, so nobody does: otherwise only the last of the records
            // would be in the log.
            let maintenance = File::open(journal.journal_path().join("watermark"))?;
            flock(&maintenance, FlockOperation::LockExclusive)?;
            let mut begun: Vec<Pending> = Vec::new();
            for edit in records(RECORDS) {
                begun.push(journal.submit(Op::set(edit.path.as_str(), edit.value))?);
                if begun.len() == 10_000 {
                    begun.drain(..).try_for_each(|pending| pending.wait().map(drop))?;
                }
            }
            std::mem::forget(journal);
        }
        "sqlite" => abandon_sqlite(dir, records(RECORDS_OF_SQLITE))?,
        "fjall" => abandon_fjall(dir, records(RECORDS))?,
        "okaywal" => fill_okaywal(dir, records(RECORDS))?,
        _ => return Err(format!("{who} has no log to recover").into()),
    }
    // No destructor runs: that is what a crash is.
    std::process::exit(0)
}

/// Open what was left, see that it is all there, and say how long that took.
pub fn recover(who: &str, dir: &Path) -> Outcome {
    let (path, began) = (edits::path(KEYS - 1), Instant::now());
    let found = match who {
        "limit" => read_log(&dir.join("log"))?.remove(&path),
        "cfgwal" => {
            let journal = open_journal(dir)?;
            let found = journal.get(path.as_str())?;
            std::mem::forget(journal);
            found
        }
        "okaywal" => recover_okaywal(dir)?.remove(path.as_bytes()).map(String::from_utf8).transpose()?,
        _ => {
            let store = Kind::named(who)?.open(dir, Sync::Each)?;
            let found = store.handle()?.get(&path)?;
            std::mem::forget(store);
            found
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let records = if who == "sqlite" { RECORDS_OF_SQLITE } else { RECORDS };
    if found.as_deref() != Some(Edit::new(KEYS - 1, records as u128 - 1).value.as_str()) {
        return Err(format!("the last value is not there, but {found:?}").into());
    }
    println!("{seconds}");
    std::process::exit(0)
}
