//! A config file that is written over where it lies: whatever a crash leaves of it, the next command makes it whole
//! again or says that it cannot, and no edit is lost either way.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Call, Disk, DiskImage, FaultPlan, Limits, Process, Times};
use cfgwal::{Behind, FileStatus, Journal, Materialise, Op};

const FILE: &str = "/settings.json";
const OTHER: &str = "/other-name.json";

fn open(process: &Process) -> Journal {
    try_open(process).unwrap()
}

fn try_open(process: &Process) -> Result<Journal, cfgwal::Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

fn text(value: &str) -> String {
    format!("{{\n  \"a\": \"{value}\",\n  \"n\": 1\n}}\n")
}

/// A file with two names that shows one text, and a journal that is one edit ahead of it.
fn about_to_rewrite(from: &str, to: &str) -> (Disk, Process, Journal) {
    let disk = Disk::new();
    let process = disk.process();
    process.write_file(FILE, text(from)).unwrap();
    process.link_file(FILE, OTHER).unwrap();
    disk.settle();
    let journal = open(&process);
    journal.append(Op::set("a", to)).unwrap();
    (disk, process, journal)
}

/// Texts that grow, shrink and stay as long, over several sectors.
fn pairs() -> [(String, String); 4] {
    let of = |text: &str, times| text.repeat(times);
    [
        (of("x", 4), of("y", 4)),
        (of("x", 40), of("yz", 700)),
        (of("yz", 700), of("x", 40)),
        (of("ab", 600), of("cd", 600)),
    ]
}

/// What a crash left: it becomes the new text, or is held back with the reason. The edit is there in any case.
fn check(image: &DiskImage, to: &str, what: &dyn Fn() -> String) -> bool {
    let disk = Disk::from_image(image);
    let process = disk.process();
    let journal = open(&process);
    assert_eq!(journal.get::<String>("a").unwrap().as_deref(), Some(to), "{}", what());
    let whole = match journal.materialise().unwrap_or_else(|error| panic!("{}: {error}", what())) {
        FileStatus::Current { .. } => true,
        FileStatus::Behind { why: Behind::Unfinished, .. } => false,
        other => panic!("{}: {other:?}", what()),
    };
    drop(journal);
    if whole {
        for name in [FILE, OTHER] {
            let found = process.read_file(name).unwrap();
            assert_eq!(String::from_utf8_lossy(&found), text(to), "{}: {name}", what());
        }
        let left: Vec<_> =
            disk.image().paths().into_iter().filter(|path| path.to_string_lossy().contains("rewrite-")).collect();
        assert!(left.is_empty(), "{}: {left:?}", what());
    }
    whole
}

#[test]
fn a_crash_while_the_file_is_written_over_leaves_what_the_next_command_completes() {
    let (mut states, mut whole) = (0, 0);
    for (from, to) in pairs() {
        let (disk, process, journal) = about_to_rewrite(&from, &to);
        let images: Arc<Mutex<Vec<(u64, DiskImage)>>> = Arc::default();
        {
            let (disk, images) = (disk.clone(), images.clone());
            process.observe(move |seen| {
                for image in disk.crash_images(&Limits::default()) {
                    images.lock().unwrap().push((seen.number, image));
                }
            });
        }
        assert!(matches!(journal.materialise().unwrap(), FileStatus::Current { .. }));
        let mut seen = HashSet::new();
        let images = std::mem::take(&mut *images.lock().unwrap());
        for (call, image) in images {
            if seen.insert(image.hash()) {
                let what = || format!("{} to {} bytes, call {call}, state {}", from.len(), to.len(), image.id());
                states += 1;
                whole += u32::from(check(&image, &to, &what));
            }
        }
    }
    println!("{states} crash states of a file that is written over, {whole} completed by the next command");
    // A sector that is torn into bytes of neither text is for a person to judge.
    assert!(states > 200 && whole * 2 > states, "{whole} of {states}");
}

#[test]
fn a_process_killed_at_any_call_of_a_rewriting_is_followed_by_one_that_completes_it() {
    for (from, to) in pairs() {
        for nth in 1.. {
            for done in [0, 7, 600] {
                let (disk, process, journal) = about_to_rewrite(&from, &to);
                process.set_plan(FaultPlan::new().kill_in_write(nth, done));
                let _ = journal.materialise();
                process.kill();
                drop(journal);
                let what = || format!("{} to {} bytes, killed at call {nth}, {done} bytes done", from.len(), to.len());
                let journal = open(&disk.process());
                let status = journal.materialise().unwrap();
                assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
                let found = disk.process().read_file(OTHER).unwrap();
                assert_eq!(String::from_utf8_lossy(&found), text(&to), "{}", what());
            }
            if calls(&from, &to) < nth {
                break;
            }
        }
    }
}

fn calls(from: &str, to: &str) -> u64 {
    let (_disk, process, journal) = about_to_rewrite(from, to);
    process.set_plan(FaultPlan::new());
    journal.materialise().unwrap();
    process.calls()
}

#[test]
fn a_call_that_fails_while_the_file_is_written_over_leaves_a_file_that_is_whole_in_the_end() {
    for (from, to) in pairs() {
        for errno in [libc::EIO, libc::ENOSPC] {
            for nth in 1..=calls(&from, &to) {
                let (disk, process, journal) = about_to_rewrite(&from, &to);
                process.set_plan(FaultPlan::new().fail(nth, errno, Times::Once));
                process.record();
                let _ = journal.materialise();
                let trace = process.trace();
                process.set_plan(FaultPlan::new());
                drop(journal);
                let failed = trace.get(nth as usize - 1);
                let what = || format!("{} to {} bytes, error {errno} at call {nth} ({failed:?})", from.len(), to.len());
                let journal = try_open(&process).unwrap_or_else(|error| panic!("{}: {error}", what()));
                let status = journal.materialise().unwrap();
                assert_eq!(process.read_file(OTHER).unwrap(), text(&to).as_bytes(), "{}", what());
                // What the disk holds after a failed sync only the next boot can tell.
                let unknown = matches!(status, FileStatus::Behind { why: Behind::SyncFailed, .. });
                let lost = failed.is_some_and(|call| call.contains("Sync /settings.json FailSync"));
                assert_eq!(unknown, lost, "{}: {status:?}", what());
                assert!(unknown || matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
                process.kill();
                drop(journal);
                assert!(check(&disk.durable_image(), &to, &|| format!("{}, after a power cut", what())));
            }
        }
    }
}

/// The save of somebody who opened the file right before, or between any two of our steps.
#[test]
fn a_save_in_the_middle_of_a_rewriting_is_not_lost() {
    let (from, to) = ("x".repeat(40), "y".repeat(90));
    // Into the file, or by giving its name to another one.
    let each = |replaces| (1..=calls(&from, &to)).map(move |nth| (replaces, nth));
    for (replaces, nth) in [false, true].into_iter().flat_map(each) {
        let (disk, process, journal) = about_to_rewrite(&from, &to);
        let saved = Arc::new(Mutex::new(None::<u64>));
        {
            let (editor, saved) = (disk.process(), saved.clone());
            let first = Arc::new(Mutex::new(None));
            process.observe(move |seen| {
                let first = *first.lock().unwrap().get_or_insert(seen.number);
                let mut saved = saved.lock().unwrap();
                if saved.is_none() && seen.number >= first + nth - 1 {
                    // An editor that has to wait for the file tries again a step later.
                    let Ok(now) = editor.read_file(FILE) else { return };
                    let by_hand = String::from_utf8(now).unwrap().replace("\"n\": 1", "\"n\": 5");
                    assert!(by_hand.contains("\"n\": 5"), "half a text was read: {by_hand}");
                    let done = if replaces {
                        editor.replace_file(FILE, by_hand, true)
                    } else {
                        editor.write_file(OTHER, by_hand)
                    };
                    if done.is_ok() {
                        *saved = Some(seen.number);
                    }
                }
            });
        }
        let _ = journal.materialise();
        process.observe(|_| ());
        journal.materialise().unwrap();
        if saved.lock().unwrap().is_none() {
            continue;
        }
        let what = format!("saved at call {:?}, under another name first: {replaces}", saved.lock().unwrap());
        assert_eq!(journal.get::<i64>("n").unwrap(), Some(5), "{what}");
        assert_eq!(journal.get::<String>("a").unwrap().as_deref(), Some(to.as_str()), "{what}");
        let found = String::from_utf8(process.read_file(FILE).unwrap()).unwrap();
        assert_eq!(found, text(&to).replace("\"n\": 1", "\"n\": 5"), "{what}");
    }
}

/// What a power cut leaves of a rewriting when a part of the new text is on the disk.
fn half_written(from: &str, to: &str) -> DiskImage {
    let (disk, process, journal) = about_to_rewrite(from, to);
    let left = Arc::new(Mutex::new(None));
    let (found, machine) = (left.clone(), disk.clone());
    process.observe(move |seen| {
        if seen.call == Call::Sync && seen.path.ends_with("settings.json") {
            let is_mixture = |image: &DiskImage| {
                let bytes = image.read(FILE).unwrap();
                bytes.contains(&b'x') && bytes.contains(&b'y') && !bytes.contains(&0)
            };
            *found.lock().unwrap() = machine.crash_images(&Limits::chunk(64)).find(is_mixture);
        }
    });
    journal.materialise().unwrap();
    left.lock().unwrap().take().unwrap()
}

/// A disk that is going bad fails more than once. After a failed sync the system says of the next one that all is well.
#[test]
fn a_sync_that_fails_again_after_a_restart_is_not_taken_for_one_that_worked() {
    let (from, to) = ("x".repeat(600), "y".repeat(600));
    let half_written = half_written(&from, &to);
    let mut disk = Disk::from_image(&half_written);
    for boot in 1..=3 {
        let process = disk.process();
        let journal = open(&process);
        let victim = process.clone();
        process.observe(move |seen| {
            if seen.call == Call::Sync && seen.path.ends_with("settings.json") {
                victim.set_plan(FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once));
            }
        });
        let failed = journal.materialise().unwrap();
        assert!(matches!(failed, FileStatus::Behind { why: Behind::Failed(_), .. }), "boot {boot}: {failed:?}");
        process.observe(|_| ());
        process.set_plan(FaultPlan::new());
        let again = journal.materialise().unwrap();
        assert!(matches!(again, FileStatus::Behind { why: Behind::SyncFailed, .. }), "boot {boot}: {again:?}");
        process.kill();
        disk = Disk::from_image(&disk.durable_image());
    }
    assert!(check(&disk.image(), &to, &|| "on a disk that works again".to_owned()));
}

/// The system takes a lease from whoever does not give it back in time, as one who is suspended does not.
#[test]
fn a_save_that_a_suspended_process_kept_waiting_for_too_long_is_not_written_over() {
    let (from, to) = ("x".repeat(40), "y".repeat(90));
    let mut saves = 0;
    for nth in 1..=calls(&from, &to) {
        let (disk, process, journal) = about_to_rewrite(&from, &to);
        let (editor, machine) = (disk.process(), disk.clone());
        let is_saved = Arc::new(Mutex::new(None));
        let (saved, mut calls, mut is_late) = (is_saved.clone(), 0, false);
        process.observe(move |seen| {
            calls += 1;
            // From the first byte on it is a mixture that was read.
            is_late |= seen.call == Call::Write && seen.path.ends_with("settings.json");
            if calls != nth || is_late {
                return;
            }
            let waits = editor.write_file(FILE, "").is_err();
            machine.advance(std::time::Duration::from_secs(60));
            let by_hand = text(&"x".repeat(40)).replace("\"n\": 1", "\"n\": 5");
            editor.write_file(FILE, by_hand).unwrap();
            *saved.lock().unwrap() = Some(waits);
        });
        let _ = journal.materialise();
        process.observe(|_| ());
        let Some(waits) = *is_saved.lock().unwrap() else { continue };
        saves += u32::from(waits);
        let status = journal.materialise().unwrap();
        let what = format!("suspended at call {nth}, waited for {waits}");
        assert!(matches!(status, FileStatus::Current { .. }), "{what}: {status:?}");
        assert_eq!(journal.get::<i64>("n").unwrap(), Some(5), "{what}");
        let found = String::from_utf8(process.read_file(FILE).unwrap()).unwrap();
        assert_eq!(found, text(&to).replace("\"n\": 1", "\"n\": 5"), "{what}");
    }
    assert!(saves > 5, "{saves} saves waited");
}

#[test]
fn an_edit_that_comes_while_a_file_system_refuses_the_exchange_is_shown_later_and_not_taken_for_shown() {
    let disk = Disk::new();
    disk.set_rules(|rules| rules.exchange = false);
    let (one, two) = (disk.process(), disk.process());
    one.write_file(FILE, text("x")).unwrap();
    let (journal, other) = (open(&one), open(&two));
    journal.append(Op::set("a", "y")).unwrap();
    let mut other = Some(other);
    one.observe(move |seen| {
        if seen.call == Call::Rename
            && let Some(other) = other.take()
        {
            other.append(Op::set("n", 2)).unwrap();
            std::mem::forget(other);
        }
    });
    let status = journal.materialise().unwrap();
    let shown = String::from_utf8(one.read_file(FILE).unwrap()).unwrap();
    assert_eq!(shown, text("y"));
    disk.advance(std::time::Duration::from_millis(10));
    // What a person saves now is an edit of the text that they saw.
    one.write_file(FILE, text("z")).unwrap();
    journal.append(Op::set("b", 1)).unwrap();
    let state = journal.snapshot().unwrap().state().root().to_string();
    assert_eq!(state, r#"{"a":"z","n":2,"b":1}"#);
    assert!(matches!(status, FileStatus::Behind { why: Behind::Pending, .. }), "{status:?}");
}
