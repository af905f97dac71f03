//! The bodies of the fuzz targets, on every compiler: the seeds, and mutations of them for a bounded time.
//!
//! `CFGWAL_FUZZ_SECONDS` sets the time for each target, 2 unless set; `CFGWAL_TEST_SEED` replays what was drawn. An input that
//! fails is kept under `target/tmp`, and `CFGWAL_FUZZ_INPUT=FILE` tries it alone.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
#[path = "support/dice.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod dice;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dice::Dice;

/// Longer inputs show nothing that shorter ones do not.
const LEN_MAX: usize = 4096;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no seeds", dir.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A few random changes of one input, or of two put together.
fn mutate(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let pick = |dice: &mut Dice| seeds[dice.below(seeds.len() as u64) as usize].clone();
    let mut bytes = pick(dice);
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() as u64 + 1) as usize;
        match dice.below(8) {
            0 => bytes.insert(at, dice.next() as u8),
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 if at < bytes.len() => bytes[at] = dice.next() as u8,
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            5 => {
                let other = pick(dice);
                let from = dice.below(other.len() as u64 + 1) as usize;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 if at < bytes.len() => {
                // Repeat a part of itself.
                let end = (at + 1 + dice.below(16) as usize).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            // Bytes that formats and numbers are sensitive to.
            _ => bytes.insert(at, b"\"{}[],:#\n\r\0\\'-. 0\xff\x7f"[dice.below(20) as usize % 19]),
        }
    }
    bytes.truncate(LEN_MAX);
    bytes
}

fn run(target: &str, body: fn(&[u8])) {
    if let Some(file) = std::env::var_os("CFGWAL_FUZZ_INPUT") {
        return body(&fs::read(file).unwrap());
    }
    let seconds = std::env::var("CFGWAL_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let (began, mut dice) = (Instant::now(), Dice::new());
    let seeds = seeds(target);
    let mut tried = 0_u64;
    let try_input = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(input))) {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-{}", std::process::id()));
            fs::write(&file, input).unwrap();
            println!("CFGWAL_FUZZ_INPUT={} cargo test --test fuzzed {target}: {input:02x?}", file.display());
            resume_unwind(panic);
        }
    };
    for seed in &seeds {
        try_input(seed);
        tried += 1;
    }
    while began.elapsed() < Duration::from_secs(seconds) {
        try_input(&mutate(&seeds, &mut dice));
        tried += 1;
    }
    println!("{target}: {tried} inputs");
}

#[test]
fn documents_are_parsed_or_refused_and_patched_to_what_was_asked_for() {
    run("document", bodies::document);
}

#[test]
fn paths_are_printed_as_what_parses_to_them() {
    run("path", bodies::path);
}

#[test]
fn no_bytes_in_a_segment_are_taken_for_records_that_nobody_wrote() {
    run("frames", bodies::frames);
}

#[test]
fn any_files_in_a_journal_open_or_are_refused_with_a_reason() {
    run("recovery", bodies::recovery);
}

#[test]
fn any_content_of_a_snapshot_opens_or_is_refused_with_a_reason() {
    run("snapshot", bodies::snapshot);
}

#[test]
fn edits_faults_and_crashes_lead_to_allowed_states_only() {
    run("model", bodies::model);
}
