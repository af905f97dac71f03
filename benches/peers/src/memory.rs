//! How much memory cfgwal takes: its state beside the same document in another crate, recovery, and a batch without end.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cfgwal::State;
use cfgwal::document::{self, Format};
use serde_json::Value;

use crate::edits::{self, Edit};
use crate::stores::{open_journal, rewrite};
use crate::workloads;
use crate::{Outcome, disk};

const KEYS: usize = 1_000_000;

pub fn print() -> Outcome {
    let dir = disk::fresh("memory")?;
    let path = dir.join("settings.json");
    // Short values: a million keys are to fit into the 64 MiB that a config file may have.
    let mut tree = Value::Object(Default::default());
    for key in 0..KEYS {
        rewrite::set(&mut tree, &Edit { path: edits::path(key), value: format!("value {key}") });
    }
    fs::write(&path, serde_json::to_vec(&tree)?)?;
    drop(tree);
    let text = fs::metadata(&path)?.len();
    println!("a JSON document of {KEYS} keys, {} of text", megabytes(text));
    for holder in ["serde_json::Value", "cfgwal::State", "cfgwal::Journal"] {
        let held: u64 = worker_says(&["hold", holder], &path)?.trim().parse()?;
        println!("  {holder:<20} {:>9}   {:.2} times the text", megabytes(held), held as f64 / text as f64);
    }

    let left = disk::fresh("memory-recovery")?;
    worker_says(&["fill", "cfgwal"], &left)?;
    let files = disk::size(&left)?;
    let peak: u64 = worker_says(&["peak", "recovery"], &left)?.trim().parse()?;
    println!("recovery of a million records over 100,000 keys, {} of files", megabytes(files));
    println!("  at most              {:>9}   {:.2} times the files", megabytes(peak), peak as f64 / files as f64);

    println!("`cfgwal batch`");
    for lines in ["100000", "1000000", "3000000", "0"] {
        let taken = worker_says(&["batch", lines], &disk::fresh("memory-batch")?)?;
        println!("  {}", taken.trim_end());
    }
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn worker_says(task: &[&str], path: &Path) -> Outcome<String> {
    let done = Command::new(std::env::current_exe()?).arg("--worker").args(task).arg(path).output()?;
    if !done.status.success() {
        return Err(format!("{task:?}: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// What holding a document adds to a process.
pub fn hold(holder: &str, path: &Path) -> Outcome {
    let before = resident("VmRSS:")?;
    let held: Box<dyn std::any::Any> = match holder {
        "serde_json::Value" => Box::new(serde_json::from_slice::<Value>(&fs::read(path)?)?),
        "cfgwal::State" => Box::new(State::new(document::parse(&Format::Json, &fs::read(path)?)?)),
        "cfgwal::Journal" => {
            let journal = open_journal(path.parent().ok_or("no directory")?)?;
            journal.snapshot()?;
            Box::new(journal)
        }
        _ => return Err(format!("nobody is called {holder}").into()),
    };
    // SAFETY: takes no pointer. What was only needed on the way is not what is asked for.
    unsafe { libc::malloc_trim(0) };
    println!("{}", resident("VmRSS:")?.saturating_sub(before));
    drop(held);
    Ok(())
}

/// The most that a recovery took.
pub fn peak(dir: &Path) -> Outcome {
    let journal = open_journal(dir)?;
    journal.snapshot()?;
    println!("{}", resident("VmHWM:")?);
    std::process::exit(0)
}

fn resident(what: &str) -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)).ok_or("not in /proc/self/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// The most that a batch of so many lines takes; none: a line that does not end. In a process of its own, since a child's
/// account begins with what its parent holds.
pub fn batch(lines: usize, dir: &Path) -> Outcome {
    let line = |n: usize| format!("{{\"op\":\"set\",\"path\":\"{}\",\"value\":{n}}}\n", edits::path(n % 1000));
    let (peak, bytes) =
        if lines == 0 { feed(dir, (0..1024).map(|_| "x".repeat(1 << 20)))? } else { feed(dir, (0..lines).map(line))? };
    let what = if lines == 0 { "a line without end".into() } else { format!("{lines} lines") };
    println!("{what:<20} {:>10} read, at most {:>9}", megabytes(bytes), megabytes(peak));
    Ok(())
}

/// The most that a batch takes, and the bytes that it was given.
fn feed(dir: &Path, lines: impl Iterator<Item = String>) -> Outcome<(u64, u64)> {
    let mut child = Command::new(workloads::command::cfgwal()?)
        .arg("-f")
        .arg(dir.join("settings.json"))
        .arg("batch")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = std::io::BufWriter::new(child.stdin.take().ok_or("no pipe")?);
    let mut bytes = 0;
    for line in lines {
        if input.write_all(line.as_bytes()).is_err() {
            // It had enough; what it took until then counts.
            break;
        }
        bytes += line.len() as u64;
    }
    let _ = input.flush();
    drop(input);
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    let pid = libc::pid_t::try_from(child.id())?;
    // SAFETY: the child is ours and nobody has waited for it; both pointers are good for the call.
    let waited = unsafe { libc::wait4(pid, std::ptr::null_mut(), 0, usage.as_mut_ptr()) };
    if waited != pid {
        return Err(std::io::Error::last_os_error().into());
    }
    // SAFETY: zeroed, and filled by a call that worked.
    let usage = unsafe { usage.assume_init() };
    Ok((u64::try_from(usage.ru_maxrss)? * 1024, bytes))
}
