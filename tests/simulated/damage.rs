//! Every bit of a store, every truncation, every sector lost: the state that was acknowledged, or an error that says so.
//! Never another state, and never an acknowledged loss that passes for clean.

use cfgwal::sim::{Disk, DiskImage, Process};
use cfgwal::{Error, Journal, Materialise, Op};

const FILE: &str = "/settings.json";
const DIR: &str = "/settings.json.cfgwal";
const RECORDS: u64 = 8;

fn open(process: &Process) -> Result<Journal, Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

/// A store with a snapshot, a segment that it covers and one that it does not, everything on disk.
fn store() -> (DiskImage, String) {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process).unwrap();
    for n in 0..RECORDS {
        if n == RECORDS / 2 {
            journal.compact().unwrap();
        }
        journal.append(Op::set(format!("key{n}").as_str(), n)).unwrap();
    }
    journal.materialise().unwrap();
    let state = journal.snapshot().unwrap().state().root().to_string();
    process.kill();
    drop(journal);
    disk.settle();
    (disk.image(), state)
}

/// What came of opening a damaged store after a reboot.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Original,
    /// The last record was taken for one that a crash cut short: nothing on disk vouches for it.
    LastTorn,
    Told,
}

fn find(image: &DiskImage, original: &str, what: &dyn Fn() -> String) -> Found {
    let process = Disk::from_image(image).process();
    match open(&process) {
        Ok(journal) => {
            let snapshot = journal.snapshot().unwrap();
            let state = snapshot.state().root().to_string();
            if state == original {
                return Found::Original;
            }
            // The config file shows it still, so it comes back as the edit that it looks like.
            journal.materialise().unwrap();
            let state = journal.snapshot().unwrap().state().root().to_string();
            assert_eq!(state, original, "{}: another state", what());
            assert_eq!(snapshot.revision(), RECORDS - 1, "{}: more than the last record is gone", what());
            Found::LastTorn
        }
        Err(Error::Damaged(_) | Error::Newer { .. }) => Found::Told,
        Err(other) => panic!("{}: {other}", what()),
    }
}

/// The files of the log and the snapshots, and as many of their bytes as anything was written to.
fn files(image: &DiskImage) -> Vec<(String, Vec<u8>, usize)> {
    let paths = image.paths().into_iter().map(|path| path.to_str().unwrap().to_owned());
    let ours =
        paths.filter(|path| path.starts_with(&format!("{DIR}/wal-")) || path.starts_with(&format!("{DIR}/snapshot-")));
    ours.map(|path| {
        let bytes = image.read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        (path, bytes, used)
    })
    .collect()
}

#[test]
fn every_flipped_bit_leaves_the_state_or_an_error() {
    let (image, original) = store();
    let (mut cases, mut told, mut torn) = (0, 0, 0);
    for (path, bytes, used) in files(&image) {
        // Between the header's copies and behind them lie zeros that nobody reads.
        for bit in (0..used * 8).filter(|bit| bytes[bit / 8] != 0 || bit % 8 == 0) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let what = || format!("{path}, bit {bit}");
            let found = find(&image.with_file(&path, &flipped), &original, &what);
            cases += 1;
            told += u32::from(found == Found::Told);
            torn += u32::from(found == Found::LastTorn);
        }
    }
    println!("{cases} flipped bits: {told} told as damage, {torn} in the last record");
    assert!(told > 0);
}

#[test]
fn every_truncation_leaves_the_state_or_an_error() {
    let (image, original) = store();
    for (path, bytes, used) in files(&image) {
        for len in 0..used {
            find(&image.with_file(&path, &bytes[..len]), &original, &|| format!("{path}, cut to {len} bytes"));
        }
    }
}

#[test]
fn sectors_zeroed_swapped_or_filled_leave_the_state_or_an_error() {
    let (image, original) = store();
    for (path, bytes, used) in files(&image) {
        let sectors = used.div_ceil(512).min(bytes.len() / 512);
        for one in 0..sectors {
            for fill in [0, 0xff, 0x5a] {
                let mut lost = bytes.clone();
                lost[one * 512..one * 512 + 512].fill(fill);
                find(&image.with_file(&path, &lost), &original, &|| format!("{path}, sector {one} is {fill:#x}"));
            }
            for other in one + 1..sectors {
                let mut swapped = bytes.clone();
                let (head, tail) = swapped.split_at_mut(other * 512);
                head[one * 512..one * 512 + 512].swap_with_slice(&mut tail[..512]);
                find(&image.with_file(&path, &swapped), &original, &|| {
                    format!("{path}, sectors {one} and {other} swapped")
                });
            }
        }
    }
}

#[test]
fn every_file_of_a_journal_may_be_gone() {
    let (image, original) = store();
    for path in image.paths().into_iter().filter(|path| path.starts_with(DIR)) {
        find(&image.without(&path), &original, &|| format!("{} is gone", path.display()));
    }
}

/// The journal's own files as they were a compaction earlier, put back one by one.
#[test]
fn a_file_of_an_older_generation_leaves_the_state_or_an_error() {
    let (image, original) = store();
    let all = files(&image);
    for (path, _, _) in &all {
        for (other, bytes, _) in all.iter().filter(|(other, _, _)| other != path) {
            find(&image.with_file(path, bytes), &original, &|| format!("{path} holds what {other} holds"));
        }
    }
}
