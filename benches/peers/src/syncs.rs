//! Whether each store does what it is credited for: its calls, counted by strace.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::edits::Pool;
use crate::stores::{Kind, Sync};
use crate::{Outcome, disk};

/// `sync_file_range` is none: it makes nothing durable.
const SYNCS: [&str; 4] = ["fsync", "fdatasync", "msync", "pwrite64(O_DSYNC)"];
const EDITS: usize = 100;

pub fn print() -> Outcome {
    println!("syncs for each edit, one thread; what opening and closing take is taken out");
    for kind in Kind::ALL {
        let calls = per_edit(kind, 1)?;
        let syncs: f64 = SYNCS.iter().filter_map(|name| calls.get(*name)).sum();
        let which = SYNCS.iter().filter_map(|name| calls.get(*name).map(|count| format!("{name} {count:.2}")));
        println!("  {:<13} {syncs:>6.2}   {}", kind.name(), which.collect::<Vec<_>>().join(", "));
    }
    for threads in [1, 64] {
        let calls = per_edit(Kind::Cfgwal, threads)?;
        let all: f64 = calls.values().sum();
        let calls = calls.iter().map(|(name, count)| format!("{name} {count:.3}"));
        println!("calls of cfgwal for each edit, {threads} threads: {all:.2}");
        println!("  {}", calls.collect::<Vec<_>>().join(", "));
    }
    Ok(())
}

/// Calls for each edit, by name: the difference between a run and a longer one.
fn per_edit(kind: Kind, threads: usize) -> Outcome<BTreeMap<String, f64>> {
    let (few, many) = (count(kind, threads, EDITS)?, count(kind, threads, 3 * EDITS)?);
    let edits = (2 * EDITS * threads) as f64;
    let difference = |(name, many): (String, u64)| {
        let more = many as f64 - few.get(&name).copied().unwrap_or(0) as f64;
        (more > 0.0).then_some((name, more / edits))
    };
    Ok(many.into_iter().filter_map(difference).collect())
}

fn count(kind: Kind, threads: usize, edits: usize) -> Outcome<BTreeMap<String, u64>> {
    let dir = disk::fresh(&format!("syncs-{}", kind.name()))?;
    let trace = disk::root()?.join("syncs.trace");
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-y", "-e", "signal=none", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe()?)
        .args(["--worker", "count", kind.name()])
        .arg(&dir)
        .args([threads.to_string(), edits.to_string()])
        .stdout(Stdio::null())
        .status()?;
    if !traced.success() {
        return Err(format!("strace of {} failed", kind.name()).into());
    }
    let mut calls = BTreeMap::new();
    let mut synchronous = Vec::new();
    for line in std::fs::read_to_string(&trace)?.lines() {
        // `1234  fdatasync(5</path>) = 0`; the second half of a call that was interrupted is no call.
        let Some((_, call)) = line.trim_start().split_once(char::is_whitespace) else { continue };
        let Some((name, rest)) = call.trim_start().split_once('(') else { continue };
        if name.starts_with('<') {
            continue;
        }
        let descriptor = |text: &str| text.split(['<', ',', ')']).next().unwrap_or_default().trim().to_owned();
        if name == "openat" && (rest.contains("O_DSYNC") || rest.contains("O_SYNC")) {
            synchronous.extend(rest.rsplit_once("= ").map(|(_, opened)| descriptor(opened)));
        }
        let name =
            if name == "pwrite64" && synchronous.contains(&descriptor(rest)) { "pwrite64(O_DSYNC)" } else { name };
        *calls.entry(name.to_owned()).or_insert(0) += 1;
    }
    Ok(calls)
}

/// The process that is traced.
pub fn worker(kind: Kind, dir: &Path, threads: usize, edits: usize) -> Outcome {
    let store = kind.open(dir, Sync::Each)?;
    let work = |thread: usize| -> Result<(), String> {
        let mut pool = Pool::new(thread, 100);
        let mut handle = store.handle().map_err(|error| error.to_string())?;
        (0..edits).try_for_each(|_| handle.edit(pool.next())).map_err(|error| error.to_string())
    };
    let work = &work;
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    Ok(())
}
