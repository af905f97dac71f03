//! A short command meets a sync that fails, and then another call that does: it comes to an end, what it was told is
//! true, and neither a person's save nor the file is stuck with what it left.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use cfgwal::sim::{Call, Disk, FaultPlan, Process, SyncFault, Times};
use cfgwal::{Behind, Error, FileStatus, Journal, Materialise, Op};

use crate::after_crash::Tally;
use crate::crash_states::on_all_cores;

const FILE: &str = "/settings.json";
const TEXT: &str = "{\n  \"a\": 0,\n  \"c\": 0\n}\n";
/// Calls of a short command that comes to an end; one that does not makes more and more.
const CALLS_MAX: u64 = 5_000;

/// What goes wrong second.
#[derive(Debug, Clone, Copy)]
enum Then {
    Fails(Times),
    Dies,
}

/// How the text gets into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Exchanged,
    WrittenOver,
    /// The text that is there stands for the edit too.
    Same,
    /// After the edit, as whoever ends later does.
    Later,
}

fn open(process: &Process) -> Result<Journal, Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

fn scene(way: Way) -> (Disk, Process, Journal) {
    let disk = Disk::new();
    let process = disk.process();
    process.write_file(FILE, TEXT).unwrap();
    if way == Way::WrittenOver {
        process.link_file(FILE, "/other.json").unwrap();
    }
    disk.settle();
    let journal = open(&process).unwrap();
    if way == Way::Same {
        journal.append(Op::set("a", 1)).unwrap();
    }
    (disk, process, journal)
}

/// The edit, and the end of the process.
fn run(way: Way, journal: Journal) -> Result<(), Error> {
    let op = Op::set("a", if way == Way::Same { 0 } else { 2 });
    let done = if way == Way::Later { journal.append(op) } else { journal.append_last(op, None) };
    let _ = journal.close();
    done.map(drop)
}

/// A person changes something else in what the file shows, and the next process comes.
fn check(disk: &Disk, way: Way, values: &[u64], what: &str) {
    let text = String::from_utf8(disk.read(FILE).unwrap()).unwrap();
    disk.process().write_file(FILE, text.replace("\"c\": 0", "\"c\": 7")).unwrap();
    let journal = open(&disk.process()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let status = journal.materialise().unwrap_or_else(|error| panic!("{what}: {error}"));
    if let FileStatus::Behind { why: Behind::SyncFailed | Behind::Unfinished, .. } = status {
        assert_eq!(way, Way::WrittenOver, "{what}");
        return;
    }
    assert!(matches!(status, FileStatus::Current { .. }), "{what}: {status:?}");
    let value = |key: &str| journal.get::<u64>(key).unwrap().unwrap();
    assert_eq!(value("c"), 7, "{what}: the save is lost");
    assert!(values.contains(&value("a")), "{what}: {}", value("a"));
    let shown = String::from_utf8(disk.read(FILE).unwrap()).unwrap();
    let expected = TEXT.replace("\"a\": 0", &format!("\"a\": {}", value("a"))).replace("\"c\": 0", "\"c\": 7");
    assert_eq!(shown, expected, "{what}");
}

#[test]
fn a_second_error_after_a_failed_sync_hangs_nobody_and_keeps_the_file_from_nothing() {
    let mut cases = Vec::new();
    for way in [Way::Exchanged, Way::WrittenOver, Way::Same, Way::Later] {
        let (_disk, process, journal) = scene(way);
        process.set_plan(FaultPlan::new());
        run(way, journal).unwrap();
        let calls = process.calls();
        for fault in [SyncFault::Lost, SyncFault::Reverted] {
            for sync in 1..=4 {
                // The cure makes calls that are not made otherwise.
                let each = |nth| {
                    let then = [Then::Fails(Times::Once), Then::Fails(Times::Forever), Then::Dies];
                    then.map(|then| (way, fault, sync, nth, then))
                };
                cases.extend((1..=calls + 40).flat_map(each));
            }
        }
    }
    let _ = on_all_cores(&cases, |(way, fault, sync, nth, then)| {
        let what = format!("{way:?}: sync {sync} fails ({fault:?}), and call {nth}: {then:?}");
        let (disk, process, journal) = scene(*way);
        let plan = FaultPlan::new().fail_only(&[Call::Sync], *sync, libc::EIO, Times::Once).on_sync(*fault);
        process.set_plan(match then {
            Then::Fails(times) => plan.fail(*nth, libc::EIO, *times),
            Then::Dies => plan.kill_at(*nth),
        });
        let counted = AtomicU64::new(0);
        let told = what.clone();
        process.observe(move |_| {
            assert!(counted.fetch_add(1, SeqCst) < CALLS_MAX, "{told}: it does not come to an end");
        });
        process.record();
        let done = run(*way, journal);
        process.set_plan(FaultPlan::new());
        process.kill();
        let durable = Disk::from_image(&disk.durable_image());
        let values = match (&done, way) {
            (Ok(()), Way::Same) => vec![0],
            (Ok(()), _) => vec![2],
            (Err(Error::NotApplied(_)), _) if !matches!(then, Then::Dies) => vec![u64::from(*way == Way::Same)],
            (Err(_), Way::Same) => vec![0, 1],
            (Err(_), _) => vec![0, 2],
        };
        check(&disk, *way, &values, &what);
        // Where that a sync of the file failed could not be noted either, nobody knows what the disk holds of it.
        let is_of_file = |call: &String| call.contains("Sync /settings.json FailSync");
        if !process.trace().iter().any(is_of_file) {
            check(&durable, *way, &values, &format!("{what}, after a power cut"));
        }
        Tally::default()
    });
    println!("{} pairs of errors", cases.len());
}

/// The next sync of this process fails.
fn fail_next_sync(fault: SyncFault) -> FaultPlan {
    FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once).on_sync(fault)
}

/// Nobody who lives was told of it, and the next sync of the same file says that all is well.
#[test]
fn a_sync_that_failed_as_its_process_was_killed_is_not_made_up_for_by_another() {
    let mut kills = 0;
    for touch in 1.. {
        let disk = Disk::new();
        let (one, two) = (disk.process(), disk.process());
        let (first, second) = (open(&one).unwrap(), open(&two).unwrap());
        first.append(Op::set("a", 1)).unwrap();
        one.set_plan(fail_next_sync(SyncFault::Lost).kill_at_touch(touch));
        let _ = first.append(Op::set("b", 1));
        if !one.is_dead() {
            break;
        }
        kills += 1;
        second.append(Op::set("c", 1)).unwrap();
        let kept = open(&Disk::from_image(&disk.durable_image()).process()).unwrap();
        for key in ["a", "c"] {
            assert_eq!(kept.get::<u64>(key).unwrap(), Some(1), "{key}, killed at touch {touch}");
        }
    }
    assert!(kills > 20, "{kills} kills");
}

#[test]
fn an_edit_that_went_with_a_failed_sync_is_not_taken_for_the_one_that_has_its_number_now() {
    let disk = Disk::new();
    let (one, two) = (disk.process(), disk.process());
    let (first, second) = (open(&one).unwrap(), open(&two).unwrap());
    first.append(Op::set("a", 1)).unwrap();
    let mut is_written = false;
    one.observe(move |seen| {
        if !seen.path.to_string_lossy().contains("wal-") {
            return;
        }
        // Between the write and its sync another process takes that sync upon itself.
        if is_written {
            is_written = false;
            two.set_plan(fail_next_sync(SyncFault::Reverted));
            assert!(matches!(second.append(Op::set("gone", 1)), Err(Error::OutcomeUnknown(_))));
            assert_eq!(second.append(Op::set("kept", 1)).unwrap().revision, 2);
        }
        is_written |= seen.call == Call::Write;
    });
    let told = first.append(Op::set("lost", 1));
    one.observe(|_| ());
    assert!(matches!(told, Err(Error::OutcomeUnknown(_))), "{told:?}");
    assert_eq!(first.get::<u64>("kept").unwrap(), Some(1));
    assert_eq!(first.get::<u64>("lost").unwrap(), None);
}
