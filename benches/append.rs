//! What an append costs, measured against what the disk alone costs. Files lie under `target/`: point that at the disk
//! that is to be measured.
//!
//! ```text
//! cargo bench --bench append                   all of it
//! cargo bench --bench append -- bare           one thread against a bare write and sync
//! cargo bench --bench append -- sizes          one thread, configs of three sizes
//! cargo bench --bench append -- threads        1, 4 and 16 threads
//! cargo bench --bench append -- count 16 1000  16 threads, 1,000 appends each, and no more; for `tools/syncs`
//! ```
//!
//! What is compared runs in turns, a few appends of each at a time: a disk that slows down slows down both. The numbers
//! are medians over rounds.
#![allow(clippy::print_stdout, reason = "it is what a benchmark is for")]

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cfgwal::{Journal, Materialise, Op};

const ROUNDS: usize = 9;
/// Turns in a round, and appends in a turn.
const TURNS: usize = 4;
const APPENDS: usize = 50;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => bare().and_then(|()| sizes()).and_then(|()| threads()),
        ["bare"] => bare(),
        ["sizes"] => sizes(),
        ["threads"] => threads(),
        ["count", threads, appends] => count(threads.parse()?, appends.parse()?),
        _ => Err("expected nothing, `bare`, `sizes`, `threads`, or `count THREADS APPENDS`".into()),
    }
}

/// One thread: an append, against a write of as many bytes and a sync, into zeros that were written ahead.
fn bare() -> Outcome {
    let dir = fresh_dir("bare")?;
    let mut edits = Edits::of(open(&config(&dir, 1_000)?)?);
    let mut disk = Bare::new(&dir)?;
    edits.run(APPENDS)?;
    disk.run(APPENDS)?;
    let (mut append, mut bare, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut spent = [Duration::ZERO; 2];
        for _ in 0..TURNS {
            spent[0] += edits.run(APPENDS)?;
            spent[1] += disk.run(APPENDS)?;
        }
        append.push(micros(spent[0], TURNS * APPENDS));
        bare.push(micros(spent[1], TURNS * APPENDS));
        ratio.push(spent[1].as_secs_f64() / spent[0].as_secs_f64());
    }
    println!("one thread, {ROUNDS} rounds of {} appends", TURNS * APPENDS);
    println!("  append                 {:>8.1} µs", median(&mut append));
    println!("  bare write and sync    {:>8.1} µs", median(&mut bare));
    println!("  appends per bare write {:>8.2}", median(&mut ratio));
    Ok(())
}

/// One thread, with configs of three sizes: the size must not matter.
fn sizes() -> Outcome {
    let mut runs = Vec::new();
    for size in [1_000, 100_000, 10_000_000] {
        let dir = fresh_dir(&format!("size-{size}"))?;
        let mut edits = Edits::of(open(&config(&dir, size)?)?);
        edits.run(APPENDS)?;
        runs.push((size, edits, Vec::new()));
    }
    for _ in 0..ROUNDS {
        let mut spent = vec![Duration::ZERO; runs.len()];
        for _ in 0..TURNS {
            for ((_, edits, _), spent) in runs.iter_mut().zip(&mut spent) {
                *spent += edits.run(APPENDS)?;
            }
        }
        for ((_, _, costs), spent) in runs.iter_mut().zip(spent) {
            costs.push(micros(spent, TURNS * APPENDS));
        }
    }
    println!("one thread, {ROUNDS} rounds of {} appends, by the size of the config", TURNS * APPENDS);
    for (size, _, mut costs) in runs {
        println!("  {size:>10} bytes       {:>8.1} µs", median(&mut costs));
    }
    Ok(())
}

/// Many threads on one journal. How many syncs that takes is for `tools/syncs` to count.
fn threads() -> Outcome {
    let dir = fresh_dir("threads")?;
    let journal = open(&config(&dir, 1_000)?)?;
    println!("threads on one journal, {ROUNDS} rounds of 1,600 appends");
    let mut costs = [1, 4, 16].map(|threads| (threads, Vec::new()));
    for _ in 0..ROUNDS {
        for (threads, costs) in &mut costs {
            costs.push(micros(together(&journal, *threads, 1_600 / *threads)?, 1_600));
        }
    }
    for (threads, mut costs) in costs {
        let median = median(&mut costs);
        println!("  {threads:>2} threads             {median:>8.1} µs an append, {:>7.0} a second", 1e6 / median);
    }
    Ok(())
}

/// Appends and nothing else.
fn count(threads: usize, appends: usize) -> Outcome {
    let dir = fresh_dir("count")?;
    let journal = open(&config(&dir, 1_000)?)?;
    together(&journal, threads, appends)?;
    println!("{}", journal.snapshot()?.revision());
    Ok(())
}

/// So many appends in each of so many threads: how long that takes.
fn together(journal: &Journal, threads: usize, appends: usize) -> Outcome<Duration> {
    let began = Instant::now();
    std::thread::scope(|scope| {
        let each = |thread: usize| {
            let append = move |n| journal.append(Op::set(format!("n{thread}").as_str(), n)).map(drop);
            // A value that it never had: an edit that changes nothing is not written.
            let base = journal.snapshot().map_or(0, |now| now.revision()) << 20;
            move || (1..=appends as u64).try_for_each(|n| append(base + n))
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(each(thread))).collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?.map_err(Box::from))
    })
    .map(|()| began.elapsed())
}

/// Edits of one value, one after the other.
struct Edits {
    journal: Journal,
    last: u64,
}

impl Edits {
    fn of(journal: Journal) -> Edits {
        Edits { journal, last: 0 }
    }

    fn run(&mut self, appends: usize) -> Outcome<Duration> {
        let began = Instant::now();
        for _ in 0..appends {
            self.last += 1;
            self.journal.append(Op::set("n", self.last))?;
        }
        Ok(began.elapsed())
    }
}

/// What no log can do without: a write and a sync for each record.
struct Bare {
    file: File,
    offset: u64,
}

impl Bare {
    /// About what an edit of a number takes in a segment.
    const RECORD: [u8; 88] = [1; 88];

    fn new(dir: &Path) -> Outcome<Bare> {
        let path = dir.join("bare");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        for _ in 0..(ROUNDS + 1) * TURNS * APPENDS * Bare::RECORD.len() / 4096 + 1 {
            file.write_all(&[0; 4096])?;
        }
        file.sync_all()?;
        Ok(Bare { file, offset: 0 })
    }

    fn run(&mut self, writes: usize) -> Outcome<Duration> {
        let began = Instant::now();
        for _ in 0..writes {
            self.file.write_all_at(&Bare::RECORD, self.offset)?;
            self.file.sync_data()?;
            self.offset += Bare::RECORD.len() as u64;
        }
        Ok(began.elapsed())
    }
}

fn fresh_dir(name: &str) -> Outcome<PathBuf> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("append").join(name);
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&dir)?,
    }
    Ok(dir)
}

/// A config file of about so many bytes.
fn config(dir: &Path, size: usize) -> Outcome<PathBuf> {
    let lines = (0..size / 40).map(|n| format!("  \"key{n:07}\": \"value of {n:>12}\",\n"));
    let path = dir.join("settings.json");
    fs::write(&path, format!("{{\n{}  \"n\": 0\n}}\n", lines.collect::<String>()))?;
    Ok(path)
}

/// The config file itself stays as it is until the journal is closed: what is measured is the log.
fn open(path: &Path) -> Outcome<Journal> {
    Ok(Journal::options().materialise(Materialise::Manual).open(path)?)
}

fn micros(spent: Duration, appends: usize) -> f64 {
    spent.as_secs_f64() * 1e6 / appends as f64
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
