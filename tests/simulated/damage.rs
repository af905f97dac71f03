//! Every bit of a store, pairs and bursts of them, every truncation, every sector lost: the state that was acknowledged, or
//! an error that says so. Never another state, and never an acknowledged loss that passes for clean.
//!
//! A failure names its case: with that in `CFGWAL_DAMAGE`, the test tries it alone. `CFGWAL_ALL` leaves nothing out.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cfgwal::sim::{Disk, DiskImage, Process, Trial};
use cfgwal::{Error, Journal, Materialise, Op};

use crate::after_crash::Tally;
use crate::crash_states::on_all_cores;

const FILE: &str = "/settings.json";
const DIR: &str = "/settings.json.cfgwal";

fn open(process: &Process) -> Result<Journal, Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

/// A store with a snapshot, a segment that it covers and one that it does not, everything on disk.
struct Store {
    records: u64,
    state: String,
    /// The state before the last record.
    before_last: String,
    image: DiskImage,
    /// Its last segment, to be judged after a reboot and before one.
    trials: [Trial; 2],
}

impl Store {
    fn new(seed: u64, records: u64) -> Store {
        let disk = Disk::seeded(seed);
        let process = disk.process();
        let journal = open(&process).unwrap();
        for n in 0..records {
            if n == records / 2 {
                journal.compact().unwrap();
            }
            if n == records - 1 {
                journal.materialise().unwrap();
            }
            journal.append(Op::set(format!("key{n}").as_str(), n)).unwrap();
        }
        let before_last = {
            let mut state = journal.snapshot().unwrap().state().clone();
            state.apply(&[Op::remove(format!("key{}", records - 1).as_str())]).unwrap();
            state.root().to_string()
        };
        let state = journal.snapshot().unwrap().state().root().to_string();
        process.kill();
        drop(journal);
        disk.settle();
        let seat = disk.process().seat();
        let trials = [Trial::of(&seat, DIR).unwrap(), Trial::of_this_boot(&seat, DIR).unwrap()];
        Store { records, state, before_last, image: disk.image(), trials }
    }

    /// Files of the journal that mean something, with as many of their bytes as anything was written to.
    fn files(&self) -> Vec<(String, Vec<u8>, usize)> {
        let paths = self.image.paths().into_iter().map(|path| path.to_str().unwrap().to_owned());
        let means = |path: &String| ["wal-", "snapshot-", "watermark"].iter().any(|name| path.contains(name));
        let used = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let ours = paths.filter(|path| path.starts_with(DIR)).filter(means);
        ours.map(|path| {
            let bytes = self.image.read(&path).unwrap();
            let used = used(&bytes);
            (path, bytes, used)
        })
        .collect()
    }
}

/// What came of a damaged store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Original,
    /// The last record was taken for one that a crash cut short: nothing on disk vouches for it.
    LastTorn,
    Told,
}

/// What came of many.
#[derive(Default)]
struct Counts {
    original: AtomicU64,
    torn: AtomicU64,
    told: AtomicU64,
}

impl Counts {
    fn count(&self, found: Found) {
        let counter = match found {
            Found::Original => &self.original,
            Found::LastTorn => &self.torn,
            Found::Told => &self.told,
        };
        counter.fetch_add(1, SeqCst);
    }

    fn print(&self, what: &str) -> u64 {
        let [original, torn, told] = [&self.original, &self.torn, &self.told].map(|counter| counter.load(SeqCst));
        let all = original + torn + told;
        println!("{all} {what}: {told} told as damage, {torn} in the last record, {original} without effect");
        all
    }
}

/// Whether a case is to be tried: all are, unless one is named.
fn wanted(what: &dyn Fn() -> String) -> bool {
    static ONLY: OnceLock<Option<String>> = OnceLock::new();
    ONLY.get_or_init(|| std::env::var("CFGWAL_DAMAGE").ok()).as_ref().is_none_or(|only| *only == what())
}

fn all() -> bool {
    std::env::var_os("CFGWAL_ALL").is_some()
}

/// Open a damaged store after a reboot, and look.
fn open_damaged(store: &Store, image: &DiskImage, counts: &Counts, what: &dyn Fn() -> String) {
    if !wanted(what) {
        return;
    }
    let process = Disk::from_image(image).process();
    counts.count(match open(&process) {
        Ok(journal) => {
            let snapshot = journal.snapshot().unwrap();
            let state = snapshot.state().root().to_string();
            if state == store.state {
                Found::Original
            } else {
                let kept = snapshot.revision();
                assert_eq!(kept, store.records - 1, "CFGWAL_DAMAGE='{}': more than the last record is gone", what());
                assert_eq!(state, store.before_last, "CFGWAL_DAMAGE='{}': another state", what());
                Found::LastTorn
            }
        }
        Err(Error::Damaged(_) | Error::Newer { .. }) => Found::Told,
        // A page that is no page cannot be mapped.
        Err(Error::Io { path, .. }) if path.ends_with("watermark") => Found::Told,
        Err(other) => panic!("CFGWAL_DAMAGE='{}': {other}", what()),
    });
}

/// Judge a damaged last segment, as after a reboot and as while the system runs on.
fn judge(store: &Store, trials: &[Trial; 2], counts: &Counts, what: &dyn Fn() -> String) {
    for (at, trial) in trials.iter().enumerate() {
        let judged = match trial.judge() {
            Ok(judged) => judged,
            Err(_) => {
                counts.count(Found::Told);
                continue;
            }
        };
        let this_boot = at == 1;
        counts.count(if judged.is_damaged {
            Found::Told
        } else if judged.revision == store.records {
            assert_eq!(judged.state.root().to_string(), store.state, "CFGWAL_DAMAGE='{}': another state", what());
            Found::Original
        } else {
            let kept = judged.revision;
            let lost = format!("revision {kept} of {}, torn at {:?}", store.records, judged.torn);
            assert_eq!(kept, store.records - 1, "CFGWAL_DAMAGE='{}': {lost}", what());
            assert!(!this_boot && judged.torn.is_some(), "CFGWAL_DAMAGE='{}': lost and not told: {lost}", what());
            Found::LastTorn
        });
    }
}

/// Flip bits of the last segment, judge, and flip them back.
fn flipped(store: &Store, trials: &mut [Trial; 2], bits: &[usize], counts: &Counts, what: &dyn Fn() -> String) {
    if !wanted(what) {
        return;
    }
    let flip = |trials: &mut [Trial; 2]| {
        for trial in trials {
            let bytes = trial.segment();
            bits.iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
        }
    };
    flip(trials);
    judge(store, trials, counts, what);
    flip(trials);
}

/// Bytes of the last segment from which frames lie, up to the last that is not zero.
fn frames_of(store: &Store) -> (usize, usize) {
    let mut trial = store.trials[0].clone();
    let bytes = trial.segment();
    (4096, bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1)
}

#[test]
fn every_flipped_bit_leaves_the_state_or_an_error() {
    let (store, counts) = (Store::new(1, 16), Counts::default());
    let files = store.files();
    let bits = files.iter().enumerate().flat_map(|(file, (_, _, used))| (0..used * 8).map(move |bit| (file, bit)));
    let bits: Vec<_> = bits.collect();
    let chunks: Vec<_> = bits.chunks(256).collect();
    let _ = on_all_cores(&chunks, |chunk| {
        for (file, bit) in *chunk {
            let (path, bytes, _) = &files[*file];
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let image = store.image.with_file(path, &flipped);
            open_damaged(&store, &image, &counts, &|| format!("{path}, bit {bit}"));
        }
        Tally::default()
    });
    counts.print("flipped bits in a whole store");
    if std::env::var_os("CFGWAL_DAMAGE").is_none() {
        assert!(counts.told.load(SeqCst) > 0 && counts.torn.load(SeqCst) > 0);
    }
}

#[test]
fn every_flipped_bit_of_a_long_log_is_told_or_without_effect() {
    let (store, counts) = (Store::new(1, 128), Counts::default());
    let (start, end) = frames_of(&store);
    let bytes: Vec<usize> = (start..end).collect();
    let _ = on_all_cores(&bytes, |byte| {
        let mut trials = store.trials.clone();
        for bit in byte * 8..byte * 8 + 8 {
            flipped(&store, &mut trials, &[bit], &counts, &|| format!("bit {bit}"));
        }
        Tally::default()
    });
    counts.print("judgements of flipped bits in a log of 64 records");
}

#[test]
fn no_two_flipped_bits_of_a_record_make_another_one() {
    let (store, counts) = (Store::new(1, 4), Counts::default());
    let (start, end) = frames_of(&store);
    let first: Vec<usize> = (start * 8..end * 8).collect();
    let frame = 130 * 8;
    let step = if all() { 1 } else { 11 };
    let _ = on_all_cores(&first, |one| {
        let mut trials = store.trials.clone();
        // A share of the pairs that are as far apart as a frame is long, each distance among them.
        for other in (one + 1 + one % step..(one + frame).min(end * 8)).step_by(step) {
            let what = || format!("bits {one} and {other}");
            flipped(&store, &mut trials, &[*one, other], &counts, &what);
        }
        Tally::default()
    });
    counts.print("judgements of two flipped bits in one record");
}

#[test]
fn no_burst_of_wrong_bits_makes_another_record() {
    let (store, counts) = (Store::new(1, 8), Counts::default());
    let (start, end) = frames_of(&store);
    let starts: Vec<usize> = (start * 8..end * 8).collect();
    let step = if all() { 1 } else { 7 };
    let _ = on_all_cores(&starts, |from| {
        let mut trials = store.trials.clone();
        for len in (3 + from % step..=64).step_by(step) {
            let burst: Vec<usize> = (*from..(from + len).min(end * 8)).collect();
            flipped(&store, &mut trials, &burst, &counts, &|| format!("burst of {len} from bit {from}"));
            // And one that is wrong at both ends and here and there between.
            let some: Vec<usize> = burst.iter().copied().filter(|bit| bit * bit % 5 < 3).collect();
            flipped(&store, &mut trials, &some, &counts, &|| format!("ragged burst of {len} from bit {from}"));
        }
        Tally::default()
    });
    counts.print("judgements of bursts of wrong bits");
}

#[test]
fn no_wrong_byte_makes_another_record() {
    let (store, counts) = (Store::new(1, 64), Counts::default());
    let (start, end) = frames_of(&store);
    let places: Vec<usize> = (start..end).collect();
    let _ = on_all_cores(&places, |at| {
        let mut trials = store.trials.clone();
        let was = trials[0].segment()[*at];
        for wrong in [0, 0xff, was.wrapping_add(1), was.wrapping_mul(167).wrapping_add(13)] {
            let what = || format!("byte {at} is {wrong:#x}");
            if wrong == was || !wanted(&what) {
                continue;
            }
            trials.iter_mut().for_each(|trial| trial.segment()[*at] = wrong);
            judge(&store, &trials, &counts, &what);
            trials.iter_mut().for_each(|trial| trial.segment()[*at] = was);
        }
        Tally::default()
    });
    counts.print("judgements of wrong bytes");
}

#[test]
fn every_truncation_leaves_the_state_or_an_error() {
    let (store, counts) = (Store::new(1, 8), Counts::default());
    for (path, bytes, used) in store.files() {
        for len in 0..used {
            let what = || format!("{path}, cut to {len} bytes");
            open_damaged(&store, &store.image.with_file(&path, &bytes[..len]), &counts, &what);
        }
    }
    counts.print("truncations");
}

#[test]
fn sectors_lost_swapped_doubled_or_old_leave_the_state_or_an_error() {
    let (store, counts) = (Store::new(1, 64), Counts::default());
    let files = store.files();
    for (path, bytes, used) in &files {
        let sectors = used.div_ceil(512).min(bytes.len() / 512);
        // Records that lie in the very last sector take their witnesses with them when it is lost.
        let sectors = if path.ends_with("wal-0000000000000002") { sectors - 1 } else { sectors };
        let with = |one: usize, sector: &[u8]| {
            let mut changed = bytes.clone();
            changed[one * 512..one * 512 + 512].copy_from_slice(sector);
            store.image.with_file(path, &changed)
        };
        for one in 0..sectors {
            for fill in [0, 0xff, 0x5a] {
                let what = || format!("{path}, sector {one} is {fill:#x}");
                open_damaged(&store, &with(one, &[fill; 512]), &counts, &what);
            }
            for other in (0..sectors).filter(|other| *other != one) {
                let what = || format!("{path}, sector {one} is a copy of {other}");
                let copied = with(one, &bytes[other * 512..other * 512 + 512]);
                open_damaged(&store, &copied, &counts, &what);
                let swapped = {
                    let mut swapped = copied.read(path).unwrap();
                    swapped[other * 512..other * 512 + 512].copy_from_slice(&bytes[one * 512..one * 512 + 512]);
                    store.image.with_file(path, &swapped)
                };
                if one < other {
                    let what = || format!("{path}, sectors {one} and {other} swapped");
                    open_damaged(&store, &swapped, &counts, &what);
                }
            }
            // What an older file of the same kind had there.
            for (older, old, _) in files.iter().filter(|(older, _, _)| older != path) {
                if let Some(sector) = old.get(one * 512..one * 512 + 512) {
                    let what = || format!("{path}, sector {one} as in {older}");
                    open_damaged(&store, &with(one, sector), &counts, &what);
                }
            }
        }
    }
    counts.print("sectors lost, swapped, doubled or old");
}

#[test]
fn every_file_of_a_journal_may_be_gone() {
    let (store, counts) = (Store::new(1, 8), Counts::default());
    for path in store.image.paths().into_iter().filter(|path| path.starts_with(DIR)) {
        let what = || format!("{} is gone", path.display());
        open_damaged(&store, &store.image.without(&path), &counts, &what);
    }
    counts.print("files gone");
}

/// The journal's own files as they were a compaction earlier, and those of another store, put in their places.
#[test]
fn a_file_of_an_older_generation_leaves_the_state_or_an_error() {
    let (store, counts) = (Store::new(1, 8), Counts::default());
    let others = [Store::new(1, 8), Store::new(2, 8), Store::new(2, 64), Store::new(1, 3)];
    for (path, bytes, _) in &store.files() {
        for (at, other) in others.iter().enumerate() {
            for (name, foreign, _) in other.files().iter().filter(|(_, foreign, _)| foreign != bytes) {
                let what = || format!("{path} holds what {name} of store {at} holds");
                open_damaged(&store, &store.image.with_file(path, foreign), &counts, &what);
            }
        }
    }
    counts.print("files of an older generation or another store");
}

/// A copy that somebody made of an old snapshot is not the newest state because its name says so.
#[test]
fn a_snapshot_under_the_name_of_another_does_not_count() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process).unwrap();
    let mut images = Vec::new();
    for n in 1..=3 {
        journal.append(Op::set("n", n)).unwrap();
        journal.compact().unwrap();
        images.push(disk.image());
    }
    process.kill();
    let oldest = images[0].read(format!("{DIR}/snapshot-0000000000000001")).unwrap();
    assert!(images[2].read(format!("{DIR}/snapshot-0000000000000001")).is_none(), "it was retired, and its log");
    let copied = images[2].with_file(format!("{DIR}/snapshot-00000000000000ff"), oldest);
    for compacts in [false, true] {
        let process = Disk::from_image(&copied).process();
        let journal = open(&process).unwrap();
        assert_eq!(journal.get::<i64>("n").unwrap(), Some(3));
        if compacts {
            journal.append(Op::set("n", 4)).unwrap();
            journal.compact().unwrap();
            journal.append(Op::set("n", 5)).unwrap();
            journal.compact().unwrap();
            assert_eq!(open(&process).unwrap().get::<i64>("n").unwrap(), Some(5));
        }
    }
}
