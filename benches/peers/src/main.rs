//! cfgwal beside what else there is, on one machine and one disk, at the same time.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml                     all workloads, five rounds
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- W1 W2 --rounds 9
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- W6 --only cfgwal    beside the limit alone, for a profiler
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --verify-syncs   who syncs how often
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- --memory         what cfgwal takes
//! ```
//!
//! In each workload a *limit* runs first: a program that does what the disk and the machine make necessary, and no more. Then
//! cfgwal and its peers have their turns. What counts is the ratio to the limit, as the median of the rounds. Files lie in
//! `CFGWAL_PEERS_DIR`, or in this workspace's `target`, which must be on a disk.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

mod contest;
mod disk;
mod edits;
mod limits;
mod memory;
mod stores;
mod syncs;
mod table;
mod workloads;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USAGE: &str = "expected workloads (W1 to W12, or none for all) `--rounds N` and `--only NAME`, or `--verify-syncs`, or `--memory`";

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    match run(&given) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(given: &[&str]) -> Outcome {
    match *given {
        ["--worker", ref task @ ..] => work(task),
        ["--verify-syncs"] => syncs::print(),
        ["--memory"] => memory::print(),
        _ => measure(given),
    }
}

fn measure(given: &[&str]) -> Outcome {
    let (mut rounds, mut chosen) = (5, Vec::new());
    let mut words = given.iter();
    while let Some(word) = words.next() {
        if *word == "--rounds" {
            rounds = words.next().ok_or(USAGE)?.parse::<usize>()?.max(1);
        } else if *word == "--only" {
            let _ = contest::ONLY.set((*words.next().ok_or(USAGE)?).to_owned());
        } else {
            let named = |workload: &&workloads::Workload| workload.name.eq_ignore_ascii_case(word);
            chosen.push(workloads::ALL.iter().find(named).ok_or(USAGE)?);
        }
    }
    if chosen.is_empty() {
        chosen = workloads::ALL.iter().collect();
    }
    println!("{rounds} rounds in {}", disk::root()?.display());
    println!("{}\n", versions());
    let mut races = Vec::new();
    for workload in chosen {
        println!("{}: {}", workload.name, workload.what);
        // One that fails does not take the others along.
        match (workload.run)(rounds) {
            Ok(of_workload) => {
                of_workload.iter().for_each(table::print_race);
                races.extend(of_workload);
            }
            Err(error) => println!("  FAILED: {error}\n"),
        }
        disk::remove(&disk::root()?)?;
    }
    println!(
        "ratios to the limit of the same round: of rates, where more is better; of times, where it says so, where less is"
    );
    table::print_all(&races);
    Ok(())
}

/// Of those who take part, as this workspace's lock file has them.
fn versions() -> String {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("\nname = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", rest.split('"').next()?))
    };
    let crates = ["rusqlite", "redb", "heed", "fjall", "okaywal", "serde_json"].into_iter().filter_map(version);
    let lmdb = heed::lmdb_version();
    let libraries =
        [format!("SQLite {}", rusqlite::version()), format!("LMDB {}.{}.{}", lmdb.major, lmdb.minor, lmdb.patch)];
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    format!("{}\n{cores} cores, Linux {kernel}", crates.chain(libraries).collect::<Vec<_>>().join(", "))
}

/// What this program does as a process of its own in a workload.
fn work(task: &[&str]) -> Outcome {
    match *task {
        ["edits", name, dir, process] => workloads::processes::worker(name, Path::new(dir), process.parse()?),
        ["fill", name, dir] => workloads::fill_for_recovery(name, Path::new(dir)),
        ["recover", name, dir] => workloads::recover_one(name, Path::new(dir)),
        ["count", name, dir, threads, edits] => {
            syncs::worker(stores::Kind::named(name)?, Path::new(dir), threads.parse()?, edits.parse()?)
        }
        ["hold", holder, path] => memory::hold(holder, Path::new(path)),
        ["batch", lines, dir] => memory::batch(lines.parse()?, Path::new(dir)),
        ["peak", "recovery", dir] => memory::peak(Path::new(dir)),
        _ => Err("no such worker".into()),
    }
}
