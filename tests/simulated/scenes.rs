//! Short stories on the simulated disk, each with one way to go wrong: two processes, killed writers, damaged files,
//! hand edits.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cfgwal::sim::{Call, Disk, DiskImage, FaultPlan, Limits, Process, SyncFault, Times};
use cfgwal::{Behind, Error, FileStatus, Journal, Materialise, Op, RecoverOptions, Transaction, View};

const FILE: &str = "/settings.json";
const DIR: &str = "/settings.json.cfgwal";
/// Where a segment's frames begin.
const BLOCK: usize = 4096;

fn try_open(process: &Process) -> Result<Journal, Error> {
    let options = Journal::options().materialise(Materialise::Manual).lock_timeout(Duration::from_millis(50));
    options.seat(process.seat()).alone().open(FILE)
}

fn open(process: &Process) -> Journal {
    try_open(process).unwrap()
}

fn boot(image: &DiskImage) -> Process {
    Disk::from_image(image).process()
}

fn machine() -> (Disk, Process) {
    let disk = Disk::new();
    let process = disk.process();
    (disk, process)
}

fn wal(number: u64) -> String {
    format!("{DIR}/wal-{number:016x}")
}

/// The bytes of a file up to the last that is not zero.
fn used(image: &DiskImage, path: &str) -> Vec<u8> {
    let mut bytes = image.read(path).unwrap();
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    bytes
}

/// Kills a process at its first call of a kind on a file whose name begins so.
fn kill_at(process: &Process, call: Call, name: &'static str) {
    let victim = process.clone();
    process.observe(move |seen| {
        let found = seen.path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(name));
        if seen.call == call && found {
            victim.kill();
        }
    });
}

#[test]
fn an_edit_that_another_process_makes_meanwhile_is_neither_lost_nor_overlooked() {
    let (disk, one) = machine();
    let two = disk.process();
    let (first, second) = (open(&one), open(&two));
    first.append(Op::set("a", 1)).unwrap();
    second.append(Op::set("b", 1)).unwrap();
    let refused = first.append(Transaction::new().test_absent("b").set("c", 1));
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    // Right before the write of one, the other tries.
    let outcome = Arc::new(Mutex::new(None));
    {
        let outcome = outcome.clone();
        let second = second.clone();
        one.observe(move |seen| {
            let mut outcome = outcome.lock().unwrap();
            if seen.call == Call::Write && outcome.is_none() {
                *outcome = Some(second.append(Op::set("meanwhile", 1)).is_ok());
            }
        });
    }
    first.append(Op::set("d", 1)).unwrap();
    let told = outcome.lock().unwrap().unwrap();
    let found = open(&disk.process());
    for key in ["a", "b", "d"] {
        assert_eq!(found.get::<i64>(key).unwrap(), Some(1), "{key} was acknowledged");
    }
    assert_eq!(found.get::<i64>("meanwhile").unwrap().is_some(), told);
}

#[test]
fn an_answer_holds_after_a_crash_though_nothing_was_written() {
    for (call, refused) in [(Call::TryLock, true), (Call::TryLock, false), (Call::Sync, true), (Call::Sync, false)] {
        let (disk, one) = machine();
        let two = disk.process();
        let (first, second) = (open(&one), open(&two));
        first.append(Op::set("first", 1)).unwrap();
        kill_at(&one, call, "wal-");
        assert!(first.append(Op::set("x", 1)).is_err());
        if refused {
            let answer = second.append(Transaction::new().test_absent("x").set("y", 1));
            assert!(matches!(answer, Err(Error::Refused(_))), "{answer:?}");
        } else {
            assert!(!second.append(Op::set("x", 1)).unwrap().changed);
        }
        for image in disk.crash_images(&Limits::default()) {
            let kept = open(&boot(&image)).get::<i64>("x").unwrap();
            assert_eq!(kept, Some(1), "killed at {call:?}, refused: {refused}, state {}", image.id());
        }
    }
}

#[test]
fn a_compaction_after_a_killed_writer_leaves_what_opens_after_a_crash() {
    for call in [Call::TryLock, Call::Sync] {
        let (disk, one) = machine();
        let two = disk.process();
        let (first, second) = (open(&one), open(&two));
        first.append(Op::set("a", 1)).unwrap();
        kill_at(&one, call, "wal-");
        assert!(first.append(Op::set("x", 1)).is_err());
        let watched = disk.clone();
        let mut last = None;
        two.observe(move |seen| {
            if last.replace(watched.generation()) == Some(watched.generation()) {
                return;
            }
            for image in watched.crash_images(&Limits::default()).take(200) {
                let found = try_open(&boot(&image));
                let what =
                    format!("killed at {call:?}, before call {} ({:?}), state {}", seen.number, seen.call, image.id());
                let kept = found.unwrap_or_else(|error| panic!("{what}: {error}")).get::<i64>("a").unwrap();
                assert_eq!(kept, Some(1), "{what}");
            }
        });
        second.compact().unwrap();
        two.observe(|_| ());
    }
}

#[test]
fn room_that_a_killed_writer_made_is_synced_before_frames_go_there() {
    // The other process needs that room with its next edit, or with the one after that, or after an edit that changes nothing.
    for (before, nth) in [None, Some(1), Some(0)].into_iter().flat_map(|before| (4..20).map(move |nth| (before, nth))) {
        let (disk, one) = machine();
        let two = disk.process();
        let (first, second) = (open(&one), open(&two));
        first.append(Op::set("a", "a".repeat(60_000))).unwrap();
        second.append(Op::set("b", 0)).unwrap();
        one.set_plan(FaultPlan::new().kill_at(nth));
        let killed = first.append(Op::set("x", "x".repeat(8000)));
        let watched = disk.clone();
        let known = Arc::new(AtomicI64::new(0));
        let (mut last, acknowledged) = (None, known.clone());
        two.observe(move |seen| {
            if last.replace(watched.generation()) == Some(watched.generation()) {
                return;
            }
            let durable = acknowledged.load(Ordering::SeqCst);
            for image in watched.random_images(&Limits::default(), seen.number).take(24) {
                let what = format!(
                    "{before:?}, killed at call {nth}, before call {} ({:?}), state {}",
                    seen.number,
                    seen.call,
                    image.id()
                );
                let found = try_open(&boot(&image)).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(found.get::<i64>("b").unwrap() >= Some(durable), "{what}");
            }
        });
        if let Some(value) = before {
            second.append(Op::set("b", value)).unwrap();
            known.store(value, Ordering::SeqCst);
        }
        second.append(Op::set("c", "c".repeat(8000))).unwrap();
        second.append(Op::set("b", 2)).unwrap();
        two.observe(|_| ());
        assert!(killed.is_err() || nth > 12, "killed at call {nth}");
    }
}

#[test]
fn a_damaged_snapshot_costs_no_data() {
    let (disk, process) = machine();
    let journal = open(&process);
    for n in 0..4 {
        journal.append(Op::set(format!("key{n}").as_str(), n)).unwrap();
        journal.compact().unwrap();
    }
    let state = journal.snapshot().unwrap().state().root().to_string();
    process.kill();
    drop(journal);
    disk.settle();
    let image = disk.image();
    let newest = format!("{DIR}/snapshot-{:016x}", 4);
    let mut bytes = image.read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let journal = try_open(&boot(&image.with_file(&newest, &bytes))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(journal.snapshot().unwrap().state().root().to_string(), state);
}

#[test]
fn a_write_that_fails_half_way_leaves_nothing_behind() {
    let (disk, process) = machine();
    let journal = open(&process);
    journal.append(Op::set("before", 1)).unwrap();
    let frames = used(&disk.image(), &wal(1)).len() - BLOCK;
    // The first of two frames is written whole, the second in part.
    let plan = FaultPlan::new().short_write(1, frames + 60, Times::Once);
    process.set_plan(plan.fail_only(&[Call::Write], 2, libc::ENOSPC, Times::Once));
    let pending = [journal.submit(Op::set("one", 1)).unwrap(), journal.submit(Op::set("two", 2)).unwrap()];
    for pending in pending {
        let outcome = pending.wait();
        assert!(matches!(outcome, Err(Error::NotApplied(_))), "{outcome:?}");
    }
    process.set_plan(FaultPlan::new());
    let images: Vec<_> = disk.crash_images(&Limits::default()).collect();
    for image in images.iter().chain([&disk.image()]) {
        let found = open(&boot(image)).snapshot().unwrap().state().root().to_string();
        assert_eq!(found, "{\"before\":1}", "state {}", image.id());
    }
}

#[test]
fn an_edit_after_one_that_could_not_be_written_is_judged_without_it() {
    let (disk, process) = machine();
    let journal = open(&process);
    for count in 1..=3 {
        journal.append(Op::set("count", 100 * count)).unwrap();
        process.set_plan(FaultPlan::new().fail_only(&[Call::Write], 1, libc::ENOSPC, Times::Once));
        let refused = journal.append(Transaction::new().increment("count", 10).set("new", true)).unwrap_err();
        assert!(matches!(refused, Error::NotApplied(_)), "{refused:?}");
        process.set_plan(FaultPlan::new());
        let ack = journal.append(Transaction::new().test_absent("new").increment("count", 1)).unwrap();
        assert_eq!((ack.revision, ack.results[1].clone()), (2 * count, Some((100 * count + 1).into())));
    }
    for found in [journal.snapshot().unwrap(), open(&disk.process()).snapshot().unwrap()] {
        assert_eq!(found.state().root().to_string(), "{\"count\":301}");
    }
}

/// One sync of this process fails, and takes back what it was to write.
fn revert_next_sync(process: &Process) {
    let plan = FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once);
    process.set_plan(plan.on_sync(SyncFault::Reverted));
}

#[test]
fn the_file_never_shows_an_edit_that_went_with_a_failed_sync() {
    // The edit makes a new text, or the one that the file has shown all the time.
    for value in [3, 1] {
        let (disk, one) = machine();
        let two = disk.process();
        one.write_file(FILE, "{\"a\": 1}").unwrap();
        let (first, second) = (open(&one), open(&two));
        first.append(Op::set("a", 2)).unwrap();
        // While the text for an edit is made, another process syncs what is in the log.
        let mut is_written = false;
        one.observe(move |seen| {
            is_written |= seen.call == Call::Write && seen.path.to_string_lossy().contains("wal-");
            if is_written && seen.call == Call::Read && seen.path.ends_with("settings.json") {
                is_written = false;
                revert_next_sync(&two);
                let lost = second.append(Op::set("lost", true));
                assert!(matches!(lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
            }
        });
        let lost = first.append_last(Op::set("a", value), None);
        assert!(matches!(lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
        // The other process brings the file up to date as it ends.
        one.observe(|_| ());
        let text = String::from_utf8(disk.read(FILE).unwrap()).unwrap();
        assert_eq!(text, "{\"a\": 2}", "when {value} was lost");
        let ack = first.append(Op::set("b", 1)).unwrap();
        let status = first.materialise().unwrap();
        assert_eq!(status, FileStatus::Current { revision: ack.revision });
        let text = String::from_utf8(disk.read(FILE).unwrap()).unwrap();
        assert_eq!(text, "{\"a\": 2, \"b\": 1}", "after {value} was lost");
    }
}

#[test]
fn a_refusal_holds_when_what_it_was_judged_on_went_with_a_failed_sync() {
    let (disk, process) = machine();
    let journal = open(&process);
    journal.append(Op::set("n", 1)).unwrap();
    revert_next_sync(&process);
    let absent = || Transaction::new().test_absent("x").set("x", 1);
    let lost = journal.submit(absent()).unwrap();
    let judged_on_it = [journal.submit(absent()).unwrap(), journal.submit_expecting(Op::set("y", 1), Some(1)).unwrap()];
    let lost = lost.wait();
    assert!(matches!(lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
    let [second, third] = judged_on_it.map(|edit| edit.wait());
    let found = open(&disk.process()).snapshot().unwrap().state().root().to_string();
    assert_eq!(second.unwrap().revision, 2, "x was not there: {found}");
    assert!(matches!(third, Err(Error::Revision { found: 2, .. })), "{third:?}");
}

#[test]
fn a_tail_that_a_killed_writer_left_is_not_appended_to() {
    // The other process has read all there is, or not; the writer is killed at each call of its append, half way if it writes.
    for (has_read_all, nth) in [false, true].into_iter().flat_map(|has| (1..=16).map(move |nth| (has, nth))) {
        let (disk, one) = machine();
        let two = disk.process();
        let (first, second) = (open(&one), open(&two));
        first.append(Op::set("a", 1)).unwrap();
        if has_read_all {
            second.append(Op::set("c", 1)).unwrap();
        }
        one.set_plan(FaultPlan::new().kill_in_write(nth, 150));
        let killed = first.append(Op::set("long", "x".repeat(300))).is_err();
        assert!(killed || nth > 8, "killed at call {nth}");
        second.append(Op::set("b", 1)).unwrap();
        two.kill();
        drop(second);
        disk.settle();
        let plan = Journal::plan_recovery_seated(&boot(&disk.image()).seat(), FILE).unwrap().unwrap();
        assert!(plan.torn().is_none(), "{has_read_all} {nth}: {plan}");
        let found = open(&boot(&disk.image())).get::<i64>("b").unwrap();
        assert_eq!(found, Some(1), "{has_read_all} {nth}");
    }
}

/// A store after a crash that left part of its last frame.
fn torn() -> (DiskImage, Vec<u8>) {
    let (disk, process) = machine();
    let journal = open(&process);
    journal.append(Op::set("a", 1)).unwrap();
    let whole = used(&disk.image(), &wal(1)).len();
    process.set_plan(FaultPlan::new().kill_in_write(6, 100));
    assert!(journal.append(Op::set("long", "x".repeat(300))).is_err());
    drop(journal);
    disk.settle();
    let left = used(&disk.image(), &wal(1))[whole.next_multiple_of(8)..].to_vec();
    assert!(left.len() > 60, "{} bytes of the second frame", left.len());
    (disk.image(), left)
}

#[test]
fn the_bytes_of_a_torn_tail_are_kept() {
    let (image, left) = torn();
    let process = boot(&image);
    let journal = open(&process);
    assert_eq!(journal.get::<i64>("a").unwrap(), Some(1));
    let quarantine = format!("{DIR}/quarantine");
    let names = process.names(&quarantine).unwrap_or_default();
    let kept =
        names.iter().any(|name| process.read_file(Path::new(&quarantine).join(name)).unwrap().starts_with(&left));
    assert!(kept, "{names:?}");
}

/// A store of its own, with so many records.
fn store(seed: u64, records: u64) -> DiskImage {
    let disk = Disk::seeded(seed);
    let process = disk.process();
    let journal = open(&process);
    for n in 0..records {
        journal.append(Op::set("n", n)).unwrap();
    }
    process.kill();
    drop(journal);
    disk.settle();
    disk.image()
}

#[test]
fn old_frames_behind_the_end_are_no_frames() {
    let image = store(1, 3);
    let old = used(&store(2, 20), &wal(1))[BLOCK..].to_vec();
    let mut bytes = image.read(wal(1)).unwrap();
    let end = used(&image, &wal(1)).len().next_multiple_of(8) + 64;
    bytes[end..end + old.len()].copy_from_slice(&old);
    let journal = try_open(&boot(&image.with_file(wal(1), &bytes))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(journal.get::<u64>("n").unwrap(), Some(2));
}

#[test]
fn a_frame_that_followed_another_one_does_not_count() {
    let start = store(1, 1);
    // Two edits in one write, and in another life of the same store a single one of the same length.
    let life = |texts: &[&str]| {
        let disk = Disk::from_image(&start);
        let process = disk.process();
        let journal = open(&process);
        let pending: Vec<_> = texts.iter().map(|text| journal.submit(Op::set("text", *text)).unwrap()).collect();
        pending.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
        process.kill();
        drop(journal);
        disk.settle();
        disk.image()
    };
    let (both, single) = (life(&["first", "second"]), life(&["other"]));
    let before = used(&start, &wal(1)).len().next_multiple_of(8);
    let end = used(&single, &wal(1)).len().next_multiple_of(8);
    let mut bytes = both.read(wal(1)).unwrap();
    bytes[before..end].copy_from_slice(&single.read(wal(1)).unwrap()[before..end]);
    let journal = open(&boot(&both.with_file(wal(1), &bytes)));
    assert_eq!(journal.get::<String>("text").unwrap().as_deref(), Some("other"));
}

#[test]
fn a_segment_of_another_store_is_damage() {
    let image = store(1, 3).with_file(wal(1), store(2, 5).read(wal(1)).unwrap());
    let opened = try_open(&boot(&image));
    assert!(matches!(opened, Err(Error::Damaged(_))), "{opened:?}");
}

#[test]
fn a_store_with_unknown_features_is_refused_untouched() {
    let image = store(1, 3);
    let snapshot = format!("{DIR}/snapshot-{:016x}", 0);
    // Where the feature words lie, and where the checksum of what comes before it.
    for (path, word, crc) in [(wal(1), 16, 104), (wal(1), 24, 104), (snapshot.clone(), 16, 108), (snapshot, 24, 108)] {
        let mut bytes = image.read(&path).unwrap();
        let magic = bytes[..8].to_vec();
        let headers: Vec<usize> = (0..BLOCK.min(bytes.len() - 8)).filter(|at| bytes[*at..*at + 8] == magic).collect();
        for at in headers {
            bytes[at + word] = 4;
            let check = crc32fast::hash(&bytes[at..at + crc]);
            bytes[at + crc..at + crc + 4].copy_from_slice(&check.to_le_bytes());
        }
        let future = image.with_file(&path, &bytes);
        let process = boot(&future);
        let opened = try_open(&process);
        assert!(matches!(opened, Err(Error::Newer { .. })), "{path}, word {word}: {opened:?}");
        process.disk().settle();
        for path in future.paths().iter().filter(|path| !path.ends_with("watermark")) {
            assert_eq!(process.disk().image().read(path), future.read(path), "{}", path.display());
        }
    }
}

#[test]
fn damage_to_the_newest_record_is_told_while_the_system_runs() {
    let (disk, process) = machine();
    let journal = open(&process);
    for n in 0..3 {
        journal.append(Op::set("n", n)).unwrap();
    }
    process.kill();
    drop(journal);
    let last = used(&disk.image(), &wal(1)).len() as u64 - 1;
    let vandal = disk.process();
    vandal.hold(wal(1), true).unwrap().write_at([0xff], last).unwrap();
    let opened = try_open(&disk.process());
    assert!(matches!(opened, Err(Error::Damaged(_))), "{opened:?}");
}

#[test]
fn damage_before_a_segment_that_goes_on_is_told() {
    let (disk, process) = machine();
    let journal = open(&process);
    journal.append(Op::set("a", 1)).unwrap();
    // Killed when the next segment has its name, and the snapshot has not begun.
    kill_at(&process, Call::Open, "snapshot-0000000000000001");
    assert!(journal.compact().is_err());
    drop(journal);
    disk.settle();
    let image = disk.image();
    assert!(image.read(wal(2)).is_some(), "{:?}", image.paths());
    let mut bytes = image.read(wal(1)).unwrap();
    let last = used(&image, &wal(1)).len() - 1;
    bytes[last] ^= 0x40;
    let opened = try_open(&boot(&image.with_file(wal(1), &bytes)));
    assert!(matches!(opened, Err(Error::Damaged(_))), "{opened:?}");
}

#[test]
fn what_can_be_written_can_be_read() {
    let (disk, process) = machine();
    let journal = open(&process);
    let text = "x".repeat(1 << 20);
    journal.append(Op::set("text", text.as_str())).unwrap();
    process.kill();
    drop(journal);
    disk.settle();
    assert_eq!(open(&boot(&disk.image())).get::<String>("text").unwrap(), Some(text));
}

#[test]
fn a_watermark_that_was_replaced_ends_the_work_of_whoever_had_the_old_one() {
    let (disk, process) = machine();
    let journal = open(&process);
    journal.append(Op::set("a", 1)).unwrap();
    let other = disk.process();
    other.remove_file(format!("{DIR}/watermark")).unwrap();
    open(&other).append(Op::set("b", 1)).unwrap();
    let outcome = journal.append(Op::set("c", 1));
    assert!(outcome.is_err(), "{outcome:?}");
    assert_eq!(open(&disk.process()).snapshot().unwrap().state().root().to_string(), "{\"a\":1,\"b\":1}");
}

#[test]
fn a_segment_that_was_replaced_is_not_written_to() {
    let (disk, process) = machine();
    let journal = open(&process);
    journal.append(Op::set("a", 1)).unwrap();
    let other = disk.process();
    let bytes = other.read_file(wal(1)).unwrap();
    other.replace_file(wal(1), bytes, true).unwrap();
    let outcome = journal.append(Op::set("b", 1));
    assert!(outcome.is_err(), "{outcome:?}");
}

#[test]
fn an_idempotency_key_counts_once_for_ever() {
    let (disk, process) = machine();
    let edit = || Transaction::new().increment("n", 1).idempotent("only once");
    let journal = open(&process);
    assert_eq!(journal.append(edit()).unwrap().revision, 1);
    assert!(journal.append(edit()).unwrap().repeated);
    for n in 0..3 {
        journal.append(Op::set("other", n)).unwrap();
        journal.compact().unwrap();
    }
    process.kill();
    drop(journal);
    disk.settle();
    let journal = open(&boot(&disk.image()));
    assert!(journal.append(edit()).unwrap().repeated);
    assert_eq!(journal.get::<i64>("n").unwrap(), Some(1));
}

#[test]
fn an_edit_that_insists_on_an_older_revision_is_refused() {
    let (_disk, process) = machine();
    let journal = open(&process);
    journal.append(Op::set("n", 1)).unwrap();
    journal.append(Op::set("n", 2)).unwrap();
    let outcome = journal.append_expecting(Op::set("n", 3), Some(1));
    assert!(matches!(outcome, Err(Error::Revision { expected: 1, found: 2 })), "{outcome:?}");
}

/// A file that somebody edits, and a journal that knows it.
fn edited(text: &str) -> (Disk, Process, Journal, Process) {
    let (disk, process) = machine();
    let editor = disk.process();
    editor.write_file(FILE, text).unwrap();
    disk.settle();
    let journal = open(&process);
    (disk, process, journal, editor)
}

#[test]
fn a_save_into_a_file_that_was_exchanged_long_ago_is_kept() {
    let (disk, process, journal, editor) = edited("{\n  \"a\": 1\n}\n");
    journal.append(Op::set("a", 2)).unwrap();
    // An editor has found the file, and asks for it when it has been exchanged and looked at for the last time.
    let found = editor.number_of(FILE).unwrap();
    let asked = Arc::new(AtomicBool::new(false));
    {
        let (asked, editor) = (asked.clone(), editor.clone());
        process.observe(move |seen| {
            if seen.call == Call::SyncDir && editor.number_of(FILE).is_ok_and(|now| now != found) {
                asked.store(editor.hold_found(found).is_err(), Ordering::Relaxed);
            }
        });
    }
    journal.materialise().unwrap();
    process.observe(|_| ());
    assert!(asked.load(Ordering::Relaxed), "the editor had to wait");
    let file = editor.hold_found(found).unwrap();
    let save = "{\n  \"a\": 1, \"by\": \"hand\"\n}\n";
    file.write_at(save, 0).unwrap();
    drop(file);
    drop(journal);
    let kept =
        |path: &std::path::PathBuf| disk.read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains("by"));
    let found: Vec<_> = disk.image().paths().into_iter().filter(kept).collect();
    assert!(!found.is_empty(), "{:?}", disk.image().paths());
}

#[test]
fn an_older_hand_edit_does_not_beat_a_newer_edit() {
    let (_disk, process, journal, editor) = edited("{\n  \"a\": 1\n}\n");
    editor.replace_file(FILE, "{\n  \"a\": 5\n}\n", true).unwrap();
    journal.append(Op::set("a", 6)).unwrap();
    journal.materialise().unwrap();
    assert_eq!(journal.get::<i64>("a").unwrap(), Some(6));
    assert_eq!(process.read_file(FILE).unwrap(), b"{\n  \"a\": 6\n}\n");
}

#[test]
fn a_text_put_back_by_hand_does_not_beat_a_newer_edit() {
    let old = "{\n  \"a\": 1,\n  \"b\": 1\n}\n";
    let (disk, _process, journal, editor) = edited(old);
    journal.append_last(Transaction::new().set("a", 2).set("b", 2), None).unwrap();
    assert_eq!(journal.close().unwrap(), FileStatus::Current { revision: 1 });
    // What the log has noted of the file since is not durable yet, and it is the older text that the person wants.
    editor.replace_file(FILE, old, true).unwrap();
    let process = disk.process();
    let journal = open(&process);
    journal.append_last(Op::set("a", 3), None).unwrap();
    journal.close().unwrap();
    assert_eq!(process.read_file(FILE).unwrap(), b"{\n  \"a\": 3,\n  \"b\": 1\n}\n");
}

#[test]
fn an_emptied_file_is_held_back() {
    let (_disk, process, journal, editor) = edited("{\"a\": 1, \"b\": 2, \"c\": 3, \"d\": 4, \"e\": 5}\n");
    editor.replace_file(FILE, "{}\n", true).unwrap();
    let status = journal.materialise().unwrap();
    assert!(matches!(status, FileStatus::Behind { why: Behind::Shrunk, .. }), "{status:?}");
    assert_eq!(journal.get::<i64>("e").unwrap(), Some(5));
    assert_eq!(process.read_file(FILE).unwrap(), b"{}\n", "it stays as it was saved");
    drop(journal);
    let mut options = RecoverOptions::default();
    options.accept_file = true;
    let open = Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone();
    Journal::recover_seated(open, FILE, &options).unwrap();
    assert_eq!(self::open(&process).get::<i64>("e").unwrap(), None, "somebody said that it is meant");
}

#[test]
fn a_text_that_does_not_parse_is_left_alone() {
    let (_disk, process, journal, editor) = edited("{\"a\": 1}\n");
    editor.replace_file(FILE, "{\"a\": 1,\n", true).unwrap();
    journal.append(Op::set("b", 2)).unwrap();
    let status = journal.materialise().unwrap();
    assert!(matches!(status, FileStatus::Behind { why: Behind::Invalid(_), .. }), "{status:?}");
    assert_eq!(process.read_file(FILE).unwrap(), b"{\"a\": 1,\n");
    editor.replace_file(FILE, "{\"a\": 7}\n", true).unwrap();
    journal.materialise().unwrap();
    assert_eq!(process.read_file(FILE).unwrap(), b"{\"a\": 7, \"b\": 2}\n");
}

#[test]
fn a_save_of_an_older_value_is_reported() {
    let (_disk, process, journal, editor) = edited("{\"a\": 1, \"b\": 1}\n");
    journal.append(Op::set("a", 2)).unwrap();
    journal.materialise().unwrap();
    // From an editor that had read the file before.
    editor.replace_file(FILE, "{\"a\": 1, \"b\": 5}\n", true).unwrap();
    journal.materialise().unwrap();
    assert_eq!(journal.get::<i64>("a").unwrap(), Some(1));
    let history = View::open_seated(&process.seat(), FILE).unwrap().history().unwrap();
    let base = history.last().unwrap().transaction.base.clone().unwrap();
    assert_eq!(base.conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn nothing_is_readable_by_more_people_than_the_config_file() {
    let (disk, process) = machine();
    let editor = disk.process();
    editor.set_default_mode(0o600);
    editor.write_file(FILE, "{\"a\": 1}\n").unwrap();
    disk.settle();
    let (watched, looker) = (disk.clone(), disk.process());
    let mut looks = 0;
    process.observe(move |seen| {
        for path in watched.image().paths() {
            let Some(found) = looker.metadata(&path) else { continue };
            looks += 1;
            let what = format!("before call {} ({:?})", seen.number, seen.call);
            assert_eq!(found.mode & 0o077, 0, "{what}: {} has mode {:o}", path.display(), found.mode);
        }
        assert!(looks > 0);
    });
    let journal = open(&process);
    for n in 0..2 {
        journal.append(Op::set("a", n)).unwrap();
        journal.materialise().unwrap();
        journal.compact().unwrap();
    }
    let made = looks_like_a_journal(&disk);
    assert!(made, "{:?}", disk.image().paths());
    for path in [DIR, FILE] {
        let mode = disk.process().metadata(path).unwrap().mode;
        assert_eq!(mode & 0o077, 0, "{path} has mode {mode:o}");
    }
}

fn looks_like_a_journal(disk: &Disk) -> bool {
    disk.image().paths().iter().any(|path| path.starts_with(DIR))
}
