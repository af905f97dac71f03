//! Every call to the system fails once, or from then on, with each error that a disk, a quota or a permission can give;
//! every process dies at every call. What was acknowledged stays, what was called not applied never appears, and after
//! the trouble work goes on.
//!
//! A failure names its case: with that in `CFGWAL_FAILING`, it is tried alone. `CFGWAL_STRIDE` sets how many calls are left
//! out between two that are tried.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cfgwal::sim::{Call, Disk, DiskImage, FaultPlan, Limits, Process, SyncFault, Times};
use cfgwal::{Behind, Error, FileStatus, Journal, Materialise, Op, Options, RecoverOptions, Transaction, View};

use crate::after_crash::Tally;
use crate::crash_states::on_all_cores;

const FILE: &str = "/settings.json";

fn options(process: &Process) -> Options {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone()
}

fn open(process: &Process) -> Result<Journal, Error> {
    options(process).open(FILE)
}

/// What became of each key that was set: `Some(true)` acknowledged, `Some(false)` not applied, `None` unknown.
#[derive(Default, Debug)]
struct Outcomes(BTreeMap<String, Option<bool>>);

fn outcome<T>(result: Result<T, Error>) -> Option<bool> {
    match result {
        Ok(_) => Some(true),
        Err(Error::OutcomeUnknown(_)) => None,
        Err(_) => Some(false),
    }
}

impl Outcomes {
    fn set(&mut self, journal: &Journal, key: &str) {
        self.0.insert(key.to_owned(), outcome(journal.append(Op::set(key, 1))));
    }

    /// Compare with what a process finds.
    fn check(&self, journal: &Journal, what: &dyn Fn() -> String) {
        let snapshot = journal.snapshot().unwrap_or_else(|error| panic!("{}: {error}", what()));
        for (key, outcome) in &self.0 {
            let there = snapshot.state().root().as_object().unwrap().get(key).is_some();
            assert!(outcome.is_none_or(|outcome| outcome == there), "{}: {key} is {there}, {self:?}", what());
        }
    }
}

/// What a process does while its calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    /// A journal is born, written, compacted, opened again.
    Life,
    /// Somebody has edited the file by hand.
    HandEdit,
    /// The file has two names, and is written over where it lies.
    Rewriting,
    /// A crash tore the last record.
    Torn,
    /// A record is damaged, and the loss is accepted.
    Damaged,
    /// Another process edits the same file, without trouble.
    TwoProcesses,
    /// One short command after the other.
    Last,
    /// Large records, so that the segment grows.
    Growing,
    /// Nothing but looks.
    Reading,
}

const SCENARIOS: [Scenario; 9] = [
    Scenario::Life,
    Scenario::HandEdit,
    Scenario::Rewriting,
    Scenario::Torn,
    Scenario::Damaged,
    Scenario::TwoProcesses,
    Scenario::Last,
    Scenario::Growing,
    Scenario::Reading,
];

/// A store with a few records and a file that shows them.
fn store() -> DiskImage {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process).unwrap();
    for key in ["k0", "k1", "k2"] {
        journal.append(Op::set(key, 1)).unwrap();
    }
    journal.materialise().unwrap();
    journal.append(Op::set("k3", 1)).unwrap();
    process.kill();
    drop(journal);
    disk.settle();
    disk.image()
}

impl Scenario {
    fn disk(self) -> Disk {
        if self == Scenario::Life {
            return Disk::new();
        }
        let disk = Disk::from_image(&store());
        let editor = disk.process();
        let log = "/settings.json.cfgwal/wal-0000000000000001";
        match self {
            Scenario::HandEdit => {
                let text = String::from_utf8(editor.read_file(FILE).unwrap()).unwrap();
                editor.replace_file(FILE, text.replacen('{', "{\n  \"hand\": 1,", 1), true).unwrap();
            }
            Scenario::Rewriting => editor.link_file(FILE, "/other-name").unwrap(),
            Scenario::Torn | Scenario::Damaged => {
                let bytes = editor.read_file(log).unwrap();
                let last = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
                let at = if self == Scenario::Torn { last } else { 4096 + 50 };
                editor.hold(log, true).unwrap().write_at([!bytes[at as usize]], at).unwrap();
            }
            _ => {}
        }
        disk.settle();
        Disk::from_image(&disk.image())
    }

    /// Keys that were acknowledged before, and are not lost by accepting a loss.
    fn before(self) -> Outcomes {
        let keys: &[&str] = match self {
            Scenario::Life | Scenario::Damaged => &[],
            Scenario::Torn => &["k0", "k1", "k2"],
            _ => &["k0", "k1", "k2", "k3"],
        };
        Outcomes(keys.iter().map(|key| ((*key).to_owned(), Some(true))).collect())
    }

    fn run(self, disk: &Disk, process: &Process, outcomes: &mut Outcomes) {
        match self {
            Scenario::Life => live(process, outcomes),
            Scenario::HandEdit | Scenario::Rewriting | Scenario::Torn => {
                for round in 0..2 {
                    if let Ok(journal) = open(process) {
                        outcomes.set(&journal, &format!("a{round}"));
                        let _ = journal.materialise();
                        outcomes.set(&journal, &format!("b{round}"));
                    }
                }
            }
            Scenario::Damaged => {
                let mut accept = RecoverOptions::default();
                accept.accept_loss = true;
                for _ in 0..2 {
                    let _ = Journal::recover_seated(options(process), FILE, &accept);
                }
                if let Ok(journal) = open(process) {
                    outcomes.set(&journal, "a");
                }
            }
            Scenario::TwoProcesses => {
                let other = open(&disk.process()).unwrap();
                let journal = open(process);
                for round in 0..2 {
                    outcomes.set(&other, &format!("other{round}"));
                    if let Ok(journal) = &journal {
                        outcomes.set(journal, &format!("a{round}"));
                        let _ = journal.compact();
                    }
                }
            }
            Scenario::Last => {
                for key in ["a", "b", "c"] {
                    if let Ok(journal) = open(process) {
                        outcomes.0.insert(key.to_owned(), outcome(journal.append_last(Op::set(key, 1), None)));
                        let _ = journal.close();
                    }
                }
            }
            Scenario::Growing => {
                if let Ok(journal) = open(process) {
                    let large = "x".repeat(40_000);
                    for key in ["a0", "a1", "a2"] {
                        let edit = Transaction::new().set(key, 1).set("large", large.as_str());
                        outcomes.0.insert(key.to_owned(), outcome(journal.append(edit)));
                    }
                }
            }
            Scenario::Reading => {
                let before = disk.generation();
                for _ in 0..2 {
                    if let Ok(view) = View::open_seated(&process.seat(), FILE) {
                        let object = view.state().root().as_object().unwrap();
                        assert_eq!(object.get("k3").map(ToString::to_string).as_deref(), Some("1"));
                    }
                    let _ = Journal::plan_recovery_seated(&process.seat(), FILE);
                }
                assert_eq!(disk.generation(), before, "who looks writes nothing");
            }
        }
    }
}

/// A short life of a journal; what goes wrong goes wrong, and the next step is taken all the same.
fn live(process: &Process, outcomes: &mut Outcomes) {
    let mut journal = open(process).ok();
    for round in 0..3 {
        if let Some(journal) = &journal {
            outcomes.set(journal, &format!("a{round}"));
            let pending: Vec<_> =
                ["b", "c"].map(|key| journal.submit(Op::set(format!("{key}{round}").as_str(), 1))).into();
            for (key, pending) in ["b", "c"].iter().zip(pending) {
                outcomes.0.insert(format!("{key}{round}"), outcome(pending.and_then(cfgwal::Pending::wait)));
            }
            if round == 0 {
                let _ = journal.materialise();
            }
            if round == 1 {
                let _ = journal.compact();
            }
        }
        // Whoever is told to open again does so.
        if round == 1 || journal.is_none() {
            drop(journal.take());
            journal = open(process).ok();
        }
    }
}

/// The same process without trouble, another process, and what power cuts leave: all agree with what was told.
fn check(disk: &Disk, process: &Process, outcomes: &Outcomes, images: usize, what: &dyn Fn() -> String) {
    process.set_plan(FaultPlan::new());
    let images: Vec<_> = {
        let mut all = disk.crash_images(&Limits::default());
        let some: Vec<_> = all.by_ref().take(images).collect();
        some
    };
    process.kill();
    let other = disk.process();
    let journal = reopen(&other, what);
    outcomes.check(&journal, what);
    journal.append(Op::set("after", 1)).unwrap_or_else(|error| panic!("{}: {error}", what()));
    let status = journal.materialise().unwrap_or_else(|error| panic!("{}: {error}", what()));
    let fine = matches!(status, FileStatus::Current { .. } | FileStatus::Behind { why: Behind::SyncFailed, .. });
    assert!(fine, "{}: {status:?}", what());
    for image in images {
        let what = || format!("{}, after a power cut, state {}", what(), image.id());
        let process = Disk::from_image(&image).process();
        let journal = reopen(&process, &what);
        outcomes.check(&journal, &what);
        journal.append(Op::set("after", 1)).unwrap_or_else(|error| panic!("{}: {error}", what()));
    }
}

/// Opens it; where acknowledged records were damaged to begin with, that may still have to be accepted.
fn reopen(process: &Process, what: &dyn Fn() -> String) -> Journal {
    match open(process) {
        Err(Error::Damaged(_)) if what().contains("Damaged") => {
            let mut accept = RecoverOptions::default();
            accept.accept_loss = true;
            Journal::recover_seated(options(process), FILE, &accept)
                .unwrap_or_else(|error| panic!("{}: {error}", what()));
            open(process)
        }
        opened => opened,
    }
    .unwrap_or_else(|error| panic!("{}: {error}", what()))
}

fn calls_of(scenario: Scenario) -> u64 {
    let disk = scenario.disk();
    let process = disk.process();
    scenario.run(&disk, &process, &mut Outcomes::default());
    process.calls()
}

/// What may go wrong with a call.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Errno(i32, Times),
    /// The write takes so many bytes and says so.
    Short(usize),
}

impl Trouble {
    fn all() -> Vec<Trouble> {
        const ERRORS: [i32; 6] = [libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EROFS, libc::EACCES, libc::ESTALE];
        let mut all: Vec<_> = ERRORS
            .into_iter()
            .flat_map(|errno| [Times::Once, Times::Forever].map(|times| Trouble::Errno(errno, times)))
            .collect();
        // Interrupted calls are made again: one that is interrupted for ever never ends, here as anywhere.
        all.push(Trouble::Errno(libc::EINTR, Times::Once));
        all.extend([Trouble::Short(0), Trouble::Short(1), Trouble::Short(50)]);
        all
    }

    fn plan(self, nth: u64) -> FaultPlan {
        match self {
            Trouble::Errno(errno, times) => FaultPlan::new().fail(nth, errno, times),
            Trouble::Short(bytes) => FaultPlan::new().short_write(nth, bytes, Times::Once),
        }
    }
}

/// Of so many calls one is tried; all, if that is 1.
fn stride() -> u64 {
    std::env::var("CFGWAL_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

fn wanted(what: &dyn Fn() -> String) -> bool {
    std::env::var("CFGWAL_FAILING").map_or(true, |only| only == what())
}

#[test]
fn an_error_at_any_call_loses_nothing_and_is_told() {
    let mut cases = Vec::new();
    let mut sites = 0;
    for scenario in SCENARIOS {
        let calls = calls_of(scenario);
        sites += calls;
        for (at, trouble) in Trouble::all().into_iter().enumerate() {
            // Each error skips other calls than the one before it.
            let tried = (1..=calls).filter(|nth| stride() == 1 || (nth + at as u64).is_multiple_of(stride()));
            cases.extend(tried.map(|nth| (scenario, trouble, nth)));
        }
    }
    let count = AtomicU64::new(0);
    let _ = on_all_cores(&cases, |(scenario, trouble, nth)| {
        let what = || format!("{scenario:?} {trouble:?} {nth}");
        if wanted(&what) {
            let disk = scenario.disk();
            let process = disk.process();
            process.set_plan(trouble.plan(*nth));
            let mut outcomes = scenario.before();
            scenario.run(&disk, &process, &mut outcomes);
            check(&disk, &process, &outcomes, 3, &|| format!("CFGWAL_FAILING='{}'", what()));
            count.fetch_add(1, SeqCst);
        }
        Tally::default()
    });
    println!("{} failing calls, at {sites} places in {} scenarios", count.load(SeqCst), SCENARIOS.len());
}

#[test]
fn a_failed_sync_is_never_taken_for_one_that_worked() {
    let mut cases = 0;
    for scenario in SCENARIOS {
        for fault in [SyncFault::Lost, SyncFault::Reverted] {
            for nth in 1.. {
                let disk = scenario.disk();
                let process = disk.process();
                let plan = FaultPlan::new().fail_only(&[Call::Sync], nth, libc::EIO, Times::Once).on_sync(fault);
                process.set_plan(plan);
                process.record();
                let mut outcomes = scenario.before();
                scenario.run(&disk, &process, &mut outcomes);
                if !process.trace().iter().any(|call| call.contains("FailSync")) {
                    break;
                }
                check(&disk, &process, &outcomes, 40, &|| format!("{scenario:?}: sync {nth} fails ({fault:?})"));
                cases += 1;
            }
        }
    }
    println!("{cases} failed syncs");
    assert!(cases > 50);
}

/// A kernel may tell of a failed sync late, or tell somebody else. Then an edit may have been acknowledged that a power cut takes
/// away; but nothing is called damaged that was not, nothing comes back that was called not applied, and work goes on.
#[test]
fn a_failed_sync_that_is_told_late_or_to_somebody_else_leaves_a_store_that_works() {
    let mut cases = 0;
    for fault in [SyncFault::ToldNext, SyncFault::ToldElsewhere] {
        for nth in 1..40 {
            let disk = Scenario::Life.disk();
            let process = disk.process();
            let plan = FaultPlan::new().fail_only(&[Call::Sync], nth, libc::EIO, Times::Once).on_sync(fault);
            process.set_plan(plan);
            let mut outcomes = Outcomes::default();
            live(&process, &mut outcomes);
            // While the system runs nothing is missing.
            let what = || format!("sync {nth} fails ({fault:?})");
            let here = open(&disk.process()).unwrap_or_else(|error| panic!("{}: {error}", what()));
            outcomes.check(&here, &what);
            process.kill();
            drop(here);
            for outcome in outcomes.0.values_mut().filter(|outcome| **outcome == Some(true)) {
                *outcome = None;
            }
            for image in disk.crash_images(&Limits::default()).take(20) {
                let process = Disk::from_image(&image).process();
                match open(&process) {
                    Ok(journal) => outcomes.check(&journal, &what),
                    // What it vouches for is gone: that is told.
                    Err(Error::Damaged(_)) => {}
                    Err(error) => panic!("{}: {error}", what()),
                }
                cases += 1;
            }
        }
    }
    println!("{cases} states after failed syncs that were told late or to somebody else");
}

#[test]
fn a_process_killed_at_any_call_leaves_what_the_next_one_can_use() {
    let mut cases = Vec::new();
    for scenario in SCENARIOS.into_iter().filter(|scenario| *scenario != Scenario::Reading) {
        cases.extend((1..=calls_of(scenario)).flat_map(|nth| [0, 5, 41].map(|done| (scenario, nth, done))));
    }
    let _ = on_all_cores(&cases, |(scenario, nth, done)| {
        let disk = scenario.disk();
        let process = disk.process();
        process.set_plan(FaultPlan::new().kill_in_write(*nth, *done));
        let mut outcomes = scenario.before();
        scenario.run(&disk, &process, &mut outcomes);
        // A dead process cannot be told anything: what it was not told is open.
        for outcome in outcomes.0.values_mut().filter(|outcome| **outcome == Some(false)) {
            *outcome = None;
        }
        let what = || format!("{scenario:?}, killed at call {nth}, {done} bytes into a write");
        check(&disk, &process, &outcomes, 3, &what);
        Tally::default()
    });
    println!("{} kills", cases.len());
}

#[test]
fn whoever_has_to_open_again_is_told_so_whatever_others_have_done_since() {
    let disk = Disk::new();
    let process = disk.process();
    let (journal, other) = (open(&process).unwrap(), open(&disk.process()).unwrap());
    journal.append(Op::set("a", 1)).unwrap();
    // The sync fails, and so does the segment that is to take the frame.
    process.set_plan(FaultPlan::new().fail_only(&[Call::Write, Call::Sync], 2, libc::EIO, Times::Forever));
    let outcome = journal.append(Op::set("b", 1));
    assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))), "{outcome:?}");
    process.set_plan(FaultPlan::new());
    for n in 0..3 {
        other.append(Op::set("n", n)).unwrap();
        other.compact().unwrap();
    }
    let refused = [journal.compact().err(), journal.materialise().err(), journal.close().err()];
    assert!(refused.iter().all(|error| matches!(error, Some(Error::ReadOnly { .. }))), "{refused:?}");
}

/// A program that is about to create the file is killed before this call; the next one cannot create it either, and sweeps up
/// behind the first. Gives whether the first was killed.
fn created_by_the_third(killed: u64) -> bool {
    let disk = Disk::new();
    let (first, second, third) = (disk.process(), disk.process(), disk.process());
    let journal = open(&first).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    first.set_plan(FaultPlan::new().kill_at(killed));
    let _ = journal.materialise();
    let was_killed = first.is_dead();
    first.kill();
    second.set_plan(FaultPlan::new().fail_only(&[Call::SetMode], 1, libc::EIO, Times::Forever));
    let journal = open(&second).unwrap();
    let status = journal.close().unwrap();
    // What the first has written into the log becomes durable.
    open(&third).unwrap().append(Op::set("b", 1)).unwrap();
    let journal = open(&third).unwrap();
    let what = || format!("killed before call {killed}, then {status:?}");
    assert_eq!(journal.materialise().unwrap(), FileStatus::Current { revision: 2 }, "{}", what());
    assert!(third.read_file(FILE).is_ok(), "{}", what());
    was_killed
}

#[test]
fn a_file_that_two_programs_could_not_create_is_not_taken_for_one_that_was_removed() {
    let cases = (1..).take_while(|killed| created_by_the_third(*killed)).count();
    println!("{cases} kills of one who was about to create the file");
    assert!(cases > 20);
}
