//! Every call to the system fails once, or from then on; every process dies at every call. What was acknowledged stays,
//! what was called not applied never appears, and after the trouble work goes on.

use std::collections::BTreeMap;

use cfgwal::sim::{Disk, FaultPlan, Limits, Process, SyncFault, Times};
use cfgwal::{Error, FileStatus, Journal, Materialise, Op};

const FILE: &str = "/settings.json";

fn open(process: &Process) -> Result<Journal, Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

/// What became of each key that was set: `Some(true)` acknowledged, `Some(false)` not applied, `None` unknown.
#[derive(Default, Debug)]
struct Outcomes(BTreeMap<String, Option<bool>>);

impl Outcomes {
    fn set(&mut self, journal: &Journal, key: &str) {
        let outcome = match journal.append(Op::set(key, 1)) {
            Ok(_) => Some(true),
            Err(Error::OutcomeUnknown(_)) => None,
            Err(_) => Some(false),
        };
        self.0.insert(key.to_owned(), outcome);
    }

    /// Compare with what a process finds.
    fn check(&self, journal: &Journal, what: &dyn Fn() -> String) {
        let snapshot = journal.snapshot().unwrap();
        for (key, outcome) in &self.0 {
            let there = snapshot.state().root().as_object().unwrap().get(key).is_some();
            assert!(outcome.is_none_or(|outcome| outcome == there), "{}: {key} is {there}, {self:?}", what());
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
                let outcome = match pending.and_then(cfgwal::Pending::wait) {
                    Ok(_) => Some(true),
                    Err(Error::OutcomeUnknown(_)) => None,
                    Err(_) => Some(false),
                };
                outcomes.0.insert(format!("{key}{round}"), outcome);
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
fn check(disk: &Disk, process: &Process, outcomes: &Outcomes, what: &dyn Fn() -> String) {
    process.set_plan(FaultPlan::new());
    let images: Vec<_> = {
        let mut images = disk.crash_images(&Limits::default());
        let all: Vec<_> = images.by_ref().take(40).collect();
        all
    };
    process.kill();
    let other = disk.process();
    let journal = open(&other).unwrap_or_else(|error| panic!("{}: {error}", what()));
    outcomes.check(&journal, what);
    journal.append(Op::set("after", 1)).unwrap_or_else(|error| panic!("{}: {error}", what()));
    let status = journal.materialise().unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
    for image in images {
        let what = || format!("{}, after a power cut, state {}", what(), image.id());
        let process = Disk::from_image(&image).process();
        let journal = open(&process).unwrap_or_else(|error| panic!("{}: {error}", what()));
        outcomes.check(&journal, &what);
        journal.append(Op::set("after", 1)).unwrap_or_else(|error| panic!("{}: {error}", what()));
    }
}

fn calls_of_a_life() -> u64 {
    let disk = Disk::new();
    let process = disk.process();
    live(&process, &mut Outcomes::default());
    process.calls()
}

/// How many calls are left out between two that are tried; 1 tries all.
fn stride() -> usize {
    std::env::var("CFGWAL_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

#[test]
fn an_error_at_any_call_loses_nothing_and_is_told() {
    const ERRORS: [i32; 4] = [libc::EIO, libc::ENOSPC, libc::EACCES, libc::EINTR];
    let calls = calls_of_a_life();
    let mut cases = 0;
    for (at, errno) in ERRORS.into_iter().enumerate() {
        for times in [Times::Once, Times::Forever] {
            if (errno, times) == (libc::EINTR, Times::Forever) {
                // Interrupted calls are made again: one that is interrupted for ever never ends, here as anywhere.
                continue;
            }
            println!("error {errno} {times:?}");
            for nth in (1 + at as u64 % 3..=calls).step_by(stride()) {
                let disk = Disk::new();
                let process = disk.process();
                process.set_plan(FaultPlan::new().fail(nth, errno, times));
                let mut outcomes = Outcomes::default();
                live(&process, &mut outcomes);
                check(&disk, &process, &outcomes, &|| format!("error {errno} at call {nth} {times:?}"));
                cases += 1;
            }
        }
    }
    println!("{cases} cases over {calls} calls");
}

#[test]
fn a_failed_sync_is_never_taken_for_one_that_worked() {
    let calls = calls_of_a_life();
    for fault in [SyncFault::Lost, SyncFault::Reverted] {
        for nth in 1..=calls {
            let disk = Disk::new();
            let process = disk.process();
            process.set_plan(
                FaultPlan::new().fail_only(&[cfgwal::sim::Call::Sync], nth, libc::EIO, Times::Once).on_sync(fault),
            );
            let mut outcomes = Outcomes::default();
            live(&process, &mut outcomes);
            if process.calls() == calls && nth > calls / 4 {
                break;
            }
            check(&disk, &process, &outcomes, &|| format!("sync {nth} fails ({fault:?})"));
        }
    }
}

#[test]
fn a_process_killed_at_any_call_leaves_what_the_next_one_can_use() {
    let calls = calls_of_a_life();
    for nth in 1..=calls {
        for done in [0, 5, 41] {
            let disk = Disk::new();
            let process = disk.process();
            process.set_plan(FaultPlan::new().kill_in_write(nth, done));
            let mut outcomes = Outcomes::default();
            live(&process, &mut outcomes);
            // A dead process cannot be told anything: what it was not told is open.
            for outcome in outcomes.0.values_mut().filter(|outcome| **outcome == Some(false)) {
                *outcome = None;
            }
            check(&disk, &process, &outcomes, &|| format!("killed at call {nth}, {done} bytes into a write"));
        }
    }
}
