//! Every state that a power cut may leave, at every call, after every short sequence of operations.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Disk, DiskImage, Limits, Process};
use cfgwal::{FileStatus, Journal, Materialise, Op, Transaction, Value, View};

const FILE: &str = "/settings.json";

/// What a sequence is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    SetA,
    SetB,
    Remove,
    Batch,
    Compact,
    Materialise,
    Reopen,
}

const STEPS: [Step; 7] =
    [Step::SetA, Step::SetB, Step::Remove, Step::Batch, Step::Compact, Step::Materialise, Step::Reopen];

fn open(process: &Process) -> Result<Journal, cfgwal::Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

/// What must be true of what a crash leaves: the states that are allowed, the oldest being the last acknowledged one.
#[derive(Default, Clone)]
struct Truth {
    acknowledged: (u64, String),
    /// States that a record under way may add.
    pending: Vec<(u64, String)>,
}

/// What was explored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub sequences: u64,
    /// Crash states, each time that one was met.
    pub states: u64,
    /// Those that were booted: each once for the edits that must be in it.
    pub distinct: u64,
}

#[derive(Default)]
struct Explorer {
    seen: HashSet<(u128, u64)>,
    tally: Tally,
}

impl Explorer {
    fn explore(&mut self, disk: &Disk, truth: &Truth, what: &dyn Fn() -> String) {
        let mut images = disk.crash_images(&Limits::default());
        for image in &mut images {
            self.tally.states += 1;
            if !self.seen.insert((image.hash(), truth.acknowledged.0)) {
                continue;
            }
            self.tally.distinct += 1;
            check(&image, truth, &|| format!("{}, state {}", what(), image.id()));
        }
    }
}

/// Boot what a crash left: nothing acknowledged is missing, nothing is half there, and work goes on.
fn check(image: &DiskImage, truth: &Truth, what: &dyn Fn() -> String) {
    let disk = Disk::from_image(image);
    if let Some(text) = image.read(FILE) {
        let whole = serde_json::from_slice::<serde_json::Value>(&text);
        assert!(whole.is_ok(), "{}: the config file is not whole: {:?}", what(), String::from_utf8_lossy(&text));
    }
    let process = disk.process();
    let journal = open(&process).unwrap_or_else(|error| panic!("{}: {error}", what()));
    let snapshot = journal.snapshot().unwrap();
    let found = (snapshot.revision(), snapshot.state().root().to_string());
    assert!(
        found == truth.acknowledged || truth.pending.contains(&found),
        "{}: recovered {found:?}, but acknowledged was {:?}, under way {:?}",
        what(),
        truth.acknowledged,
        truth.pending
    );
    let ack = journal.append(Op::set("after", 1)).unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert_eq!(ack.revision, found.0 + 1, "{}", what());
    let status = journal.materialise().unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
    let expected = journal.snapshot().unwrap().state().root().to_string();
    process.kill();
    drop(journal);
    // And once more: what was left after the first crash must not come back.
    let process = Disk::from_image(&disk.durable_image()).process();
    let again = open(&process).unwrap_or_else(|error| panic!("{}, and again: {error}", what()));
    assert_eq!(again.snapshot().unwrap().state().root().to_string(), expected, "{}, and again", what());
    process.kill();
}

fn run(sequence: &[Step], explorer: &Arc<Mutex<Explorer>>) {
    let disk = Disk::new();
    let process = disk.process();
    let truth = Arc::new(Mutex::new(Truth { acknowledged: (0, "{}".into()), pending: Vec::new() }));
    {
        let (disk, truth, explorer, sequence) = (disk.clone(), truth.clone(), explorer.clone(), sequence.to_vec());
        let mut last = None;
        process.observe(move |seen| {
            if last == Some(disk.generation()) {
                return;
            }
            last = Some(disk.generation());
            let truth = truth.lock().unwrap().clone();
            let (number, call) = (seen.number, seen.call);
            explorer
                .lock()
                .unwrap()
                .explore(&disk, &truth, &|| format!("{sequence:?}, before call {number} ({call:?})"));
        });
    }
    let mut journal = open(&process).unwrap();
    for (at, step) in sequence.iter().enumerate() {
        let edit = match step {
            Step::SetA => Transaction::new().set("a", at as u64),
            Step::SetB => Transaction::new().set("b.c", "x".repeat(20)),
            Step::Remove if journal.get::<Value>("a").unwrap().is_some() => Transaction::new().remove("a"),
            Step::Batch => Transaction::new().set("a", at as u64).set("d", true).increment("n", 1),
            Step::Remove => continue,
            Step::Compact => {
                journal.compact().unwrap();
                continue;
            }
            Step::Materialise => {
                journal.materialise().unwrap();
                continue;
            }
            Step::Reopen => {
                drop(journal);
                journal = open(&process).unwrap();
                continue;
            }
        };
        let snapshot = journal.snapshot().unwrap();
        let mut next = snapshot.state().clone();
        let next = if next.apply(&edit.ops).unwrap().changed {
            (snapshot.revision() + 1, next.root().to_string())
        } else {
            (snapshot.revision(), next.root().to_string())
        };
        truth.lock().unwrap().pending = vec![next.clone()];
        let ack = journal.append(edit).unwrap();
        assert_eq!(ack.revision, next.0);
        *truth.lock().unwrap() = Truth { acknowledged: next, pending: Vec::new() };
    }
    drop(journal);
    let _ = View::open(FILE);
}

fn sequences(length: usize) -> Vec<Vec<Step>> {
    let mut all = vec![Vec::new()];
    for _ in 0..length {
        all = all
            .into_iter()
            .flat_map(|sequence: Vec<Step>| {
                STEPS.iter().map(move |step| sequence.iter().copied().chain([*step]).collect::<Vec<_>>())
            })
            .collect();
    }
    all
}

/// Every crash state of every sequence of so many operations, shorter ones being their beginnings. Panics at the first that
/// breaks a promise; all on this thread, and the same every time.
pub(crate) fn explore(length: usize) -> Tally {
    let explorer = Arc::new(Mutex::new(Explorer::default()));
    for sequence in sequences(length) {
        explorer.lock().unwrap().tally.sequences += 1;
        run(&sequence, &explorer);
    }
    explorer.lock().unwrap().tally
}

#[test]
fn every_crash_state_keeps_every_acknowledged_edit() {
    let length = std::env::var("CFGWAL_CRASH_LENGTH").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let Tally { sequences, states, distinct } = explore(length);
    println!(
        "{states} crash states, {distinct} of them distinct, after all {sequences} sequences of up to {length} operations"
    );
}

/// While one process edits, another looks before every call that the first makes; then the power is cut.
#[test]
fn nobody_sees_an_edit_that_a_crash_can_take_back() {
    let disk = Disk::new();
    let (writer, reader) = (disk.process(), disk.process());
    let journal = open(&writer).unwrap();
    let looks = Arc::new(Mutex::new((0, 0)));
    {
        let (disk, looks) = (disk.clone(), looks.clone());
        let other = open(&reader).unwrap();
        let mut last = None;
        writer.observe(move |seen| {
            if last.replace(disk.generation()) == Some(disk.generation()) {
                return;
            }
            let shown = other.snapshot().unwrap().revision();
            let viewed = View::open_seated(&reader.seat(), FILE).unwrap().revision();
            {
                let mut looks = looks.lock().unwrap();
                *looks = (looks.0 + 1, shown);
            }
            for image in disk.crash_images(&Limits::default()).take(20) {
                let process = Disk::from_image(&image).process();
                let kept = open(&process).unwrap().snapshot().unwrap().revision();
                let place = format!("before call {} ({:?}), state {}", seen.number, seen.call, image.id());
                assert!(kept >= shown.max(viewed), "{place}: {shown} and {viewed} were seen, {kept} is kept");
            }
        });
    }
    for n in 0..4 {
        journal.append(Transaction::new().set("n", n).set("text", "x".repeat(30))).unwrap();
        if n == 2 {
            journal.compact().unwrap();
        }
    }
    let (looks, last_shown) = *looks.lock().unwrap();
    assert!(looks > 15 && last_shown >= 3, "{looks} looks, the last at revision {last_shown}");
}
