//! What another process does between any two calls of one that shows a new text: its edits are in the file too, and
//! nobody is shown less than before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cfgwal::sim::{Call, Disk, FaultPlan, Process, Seen, SyncFault, Times};
use cfgwal::{Behind, Error, FileStatus, Journal, Materialise, Op, Path, Transaction, Value, View};

const FILE: &str = "/settings.json";
const TEXT: &str = "{\n  \"a\": 0,\n  \"b\": 0,\n  \"c\": 0\n}\n";

fn new_disk() -> Disk {
    let disk = Disk::new();
    disk.process().write_file(FILE, TEXT).unwrap();
    disk.settle();
    disk
}

fn open(process: &Process) -> Journal {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE).unwrap()
}

fn text_of(disk: &Disk) -> String {
    String::from_utf8(disk.read(FILE).unwrap()).unwrap()
}

fn beside(disk: &Disk) -> Vec<String> {
    let names = disk.process().names("/").unwrap();
    names.into_iter().filter(|name| name.starts_with(".settings")).collect()
}

/// Do `act` before one call of this process, the `at`-th from now on.
fn before_call(process: &Process, at: u64, mut act: impl FnMut() + Send + 'static) {
    let mut called = 0;
    process.observe(move |_| {
        called += 1;
        if called == at {
            act();
        }
    });
}

fn calls_of(process: &Process, run: impl FnOnce()) -> u64 {
    process.set_plan(FaultPlan::new());
    run();
    process.calls()
}

#[test]
fn where_names_cannot_be_exchanged_an_edit_that_comes_meanwhile_is_shown_too() {
    let scene = || {
        let disk = new_disk();
        disk.set_rules(|rules| rules.exchange = false);
        let processes = [disk.process(), disk.process()];
        let journals = [open(&processes[0]), open(&processes[1])];
        journals[0].append(Op::set("a", 1)).unwrap();
        (disk, processes, journals)
    };
    let (_, processes, journals) = scene();
    let calls = calls_of(&processes[0], || drop(journals[0].materialise().unwrap()));
    let mut tried = 0;
    for at in 1..=calls {
        let (disk, processes, journals) = scene();
        let (other, is_done) = (journals[1].clone(), Arc::new(AtomicBool::new(false)));
        let done = is_done.clone();
        // Not while the log is held.
        before_call(&processes[0], at, move || done.store(other.append(Op::set("b", 1)).is_ok(), SeqCst));
        let _ = journals[0].materialise();
        processes[0].observe(|_| ());
        if !is_done.load(SeqCst) {
            continue;
        }
        tried += 1;
        let status = journals[0].materialise().unwrap();
        assert!(matches!(status, FileStatus::Current { .. }), "before call {at}: {status:?}");
        let text = text_of(&disk);
        assert_eq!(text, TEXT.replace("\"a\": 0", "\"a\": 1").replace("\"b\": 0", "\"b\": 1"), "before call {at}");
        // A person changes something else.
        disk.process().write_file(FILE, text.replace("\"c\": 0", "\"c\": 7")).unwrap();
        journals[0].materialise().unwrap();
        for (key, value) in [("a", 1), ("b", 1), ("c", 7)] {
            assert_eq!(journals[0].get::<u64>(key).unwrap(), Some(value), "{key}, before call {at}");
        }
    }
    println!("{tried} moments of showing a text where names cannot be exchanged");
    assert!(tried > 20);
}

#[test]
fn a_short_command_does_not_show_what_was_replaced_before_it_came_to_that() {
    let scene = || {
        let disk = new_disk();
        let processes = [disk.process(), disk.process()];
        let journals = [open(&processes[0]), open(&processes[1])];
        journals[1].append(Op::set("b", 1)).unwrap();
        journals[1].materialise().unwrap();
        (disk, processes, journals)
    };
    let (_, processes, journals) = scene();
    let calls = calls_of(&processes[0], || drop(journals[0].append_last(Op::set("a", 1), None).unwrap()));
    let mut replaced = 0;
    for at in 1..=calls {
        let (disk, processes, journals) = scene();
        // The revision that the other process saw in the file, and the value then.
        let shown = Arc::new(Mutex::new(None));
        let (other, seen, looks) = (journals[1].clone(), shown.clone(), disk.clone());
        before_call(&processes[0], at, move || {
            // It takes back what was set before, so that the file is as it was.
            let is_made = other.append(Op::set("a", 0)).is_ok_and(|ack| ack.changed);
            if is_made && let Ok(FileStatus::Current { revision }) = other.materialise() {
                *seen.lock().unwrap() = Some((revision, text_of(&looks)));
            }
        });
        let Ok(ack) = journals[0].append_last(Op::set("a", 1), None) else { continue };
        processes[0].observe(|_| ());
        if let Some((revision, text)) = shown.lock().unwrap().take()
            && revision >= ack.revision
        {
            replaced += 1;
            assert_eq!(text_of(&disk), text, "revision {revision} was shown before call {at}");
        }
    }
    println!("{replaced} of {calls} moments of a short command at which what it set had been replaced");
    assert!(replaced > 0);
}

#[test]
fn a_text_whose_note_has_no_room_in_the_log_does_not_stay_either() {
    // Beside the file, and where it is written over: how many writes come before that of the note.
    for (is_linked, before) in [(false, 1), (true, 2)] {
        let disk = new_disk();
        let process = disk.process();
        if is_linked {
            process.link_file(FILE, "/other.json").unwrap();
        }
        let journal = open(&process);
        journal.append(Op::set("a", 1)).unwrap();
        for _ in 0..3 {
            process.set_plan(FaultPlan::new().fail_only(&[Call::Write], before + 1, libc::ENOSPC, Times::Once));
            let status = journal.materialise().unwrap();
            process.set_plan(FaultPlan::new());
            assert!(matches!(status, FileStatus::Behind { why: Behind::Failed(_), .. }), "{status:?}");
            let kept = disk.process().names("/settings.json.cfgwal").unwrap();
            let left: Vec<_> =
                kept.into_iter().filter(|name| name.starts_with("rewrite-")).chain(beside(&disk)).collect();
            assert!(left.is_empty(), "{left:?}");
        }
        let status = journal.materialise().unwrap();
        assert!(matches!(status, FileStatus::Current { revision: 1 }), "{status:?}");
    }
}

#[test]
fn a_text_of_ours_is_known_unread_before_it_is_settled_and_a_save_into_it_is_seen() {
    for is_saved in [false, true] {
        let disk = new_disk();
        let process = disk.process();
        let journal = open(&process);
        journal.append(Op::set("b", 1)).unwrap();
        // The sync that comes after the exchange fails: what the file shows is told to nobody.
        process.set_plan(FaultPlan::new().fail_only(&[Call::SyncDir], 1, libc::EIO, Times::Once));
        journal.append_last(Op::set("a", 1), None).unwrap();
        process.set_plan(FaultPlan::new());
        let shown = text_of(&disk);
        assert!(shown.contains("\"a\": 1"), "{shown}");
        disk.advance(Duration::from_millis(10));
        if is_saved {
            let by_hand = shown.replace("\"a\": 1", "\"a\": 5");
            disk.process().hold(FILE, true).unwrap().write_at(by_hand, 0).unwrap();
        }
        let reads = Arc::new(AtomicU64::new(0));
        let counted = reads.clone();
        process.observe(move |seen: &Seen<'_>| {
            let is_read = seen.call == Call::Read && seen.path == std::path::Path::new(FILE);
            counted.fetch_add(u64::from(is_read), SeqCst);
        });
        let ack = journal.append(Transaction::new().increment("a", 10)).unwrap();
        assert_eq!(reads.load(SeqCst) > 0, is_saved, "a text of ours need not be read");
        let expected = if is_saved { 15 } else { 11 };
        assert_eq!(ack.results, [Some(expected.into())], "an older save comes before a newer edit");
    }
}

#[test]
fn a_config_file_that_cannot_be_read_does_not_keep_the_log_from_being_folded() {
    let disk = new_disk();
    let process = disk.process();
    let journal = open(&process);
    journal.append(Op::set("a", 1)).unwrap();
    disk.process().remove_file(FILE).unwrap();
    disk.process().make_dir(FILE).unwrap();
    for round in 0..3 {
        journal.append(Op::set("b", 1 + round)).unwrap();
        let (compaction, status) = journal.compact().unwrap();
        assert_eq!(compaction.revision, 2 + round);
        assert!(matches!(status, FileStatus::Behind { .. }), "{status:?}");
    }
}

#[test]
fn who_may_read_the_file_is_not_forgotten_when_that_changes_while_a_text_is_shown() {
    const LIST: &str = "system.posix_acl_access";
    let scene = || {
        let disk = new_disk();
        disk.process().hold(FILE, false).unwrap().set_attribute(LIST, b"many").unwrap();
        let process = disk.process();
        let journal = open(&process);
        journal.append(Op::set("a", 1)).unwrap();
        (disk, process, journal)
    };
    let (_, process, journal) = scene();
    let calls = calls_of(&process, || drop(journal.materialise().unwrap()));
    for at in 1..=calls {
        let (disk, process, journal) = scene();
        let person = disk.process();
        let (mut called, mut is_set) = (0, false);
        process.observe(move |_| {
            called += 1;
            // Held by a lease: the person waits.
            if called >= at && !is_set {
                is_set = person.hold(FILE, false).is_ok_and(|file| file.set_attribute(LIST, b"few").is_ok());
            }
        });
        let status = journal.materialise().unwrap();
        process.observe(|_| ());
        assert!(matches!(status, FileStatus::Current { .. }), "before call {at}: {status:?}");
        let found = disk.process().hold(FILE, false).unwrap().attribute(LIST).unwrap();
        assert_eq!(found.as_deref(), Some(&b"few"[..]), "before call {at}");
    }
    println!("{calls} moments of showing a text at which the file was closed to others");
}

#[test]
fn who_cannot_show_an_edit_waits_for_that_once() {
    let disk = new_disk();
    let (process, other) = (disk.process(), disk.process());
    let journal = open(&process);
    let held = other.hold("/settings.json.cfgwal/watermark", true).unwrap();
    assert!(held.try_lock().unwrap());
    let clone = journal.clone();
    journal.append_last(Op::set("a", 1), None).unwrap();
    let began = disk.uptime();
    let status = journal.close().unwrap();
    assert!(matches!(status, FileStatus::Behind { why: Behind::Failed(_), .. }), "{status:?}");
    drop(clone);
    let time = disk.uptime() - began;
    assert!(time > Duration::from_secs(4) && time < Duration::from_secs(8), "{time:?}");
}

#[test]
fn an_edit_does_not_wait_for_one_who_stands_still_while_it_shows_a_text() {
    let scene = || {
        let disk = new_disk();
        let (process, other) = (disk.process(), disk.process());
        let (journal, going_on) = (open(&process), open(&other));
        journal.append(Op::set("a", 1)).unwrap();
        (disk, process, journal, going_on)
    };
    let (_disk, process, journal, _going_on) = scene();
    let calls = calls_of(&process, || drop(journal.materialise().unwrap()));
    let made = Arc::new(AtomicU64::new(0));
    for at in 1..=calls {
        let (disk, process, journal, going_on) = scene();
        let (machine, counted) = (disk.clone(), made.clone());
        before_call(&process, at, move || {
            let began = machine.uptime();
            match going_on.append(Op::set("b", 1)) {
                Ok(_) => {
                    let time = machine.uptime() - began;
                    // As long as one who stands still while it syncs.
                    assert!(time < Duration::from_secs(2), "before call {at}: {time:?}");
                    counted.fetch_add(1, SeqCst);
                }
                // It stands still while it appends a note.
                Err(Error::NotApplied(inner)) if matches!(*inner, Error::Locked { .. }) => {}
                Err(error) => panic!("before call {at}: {error}"),
            }
        });
        journal.materialise().unwrap();
    }
    println!("{} of {calls} moments of showing a text at which an edit did not wait", made.load(SeqCst));
    assert!(made.load(SeqCst) > calls / 2);
}

/// What a short command sets is shown in the file, and what the log has noted of that is not durable.
fn show_by_short_command(disk: &Disk) {
    let journal = open(&disk.process());
    journal.append_last(Transaction::new().set("a", 2).set("b", 2), None).unwrap();
    assert!(matches!(journal.close().unwrap(), FileStatus::Current { .. }));
    let text = text_of(disk);
    assert!(text.contains("\"a\": 2"), "{text}");
}

#[test]
fn a_text_put_back_by_hand_does_not_beat_a_newer_edit_of_one_who_missed_a_compaction() {
    let disk = new_disk();
    let service = open(&disk.process());
    service.append(Op::set("c", 1)).unwrap();
    service.materialise().unwrap();
    let before = text_of(&disk);
    open(&disk.process()).compact().unwrap();
    show_by_short_command(&disk);
    disk.process().replace_file(FILE, &before, true).unwrap();
    service.append(Op::set("a", 3)).unwrap();
    service.materialise().unwrap();
    assert_eq!(text_of(&disk), before.replace("\"a\": 0", "\"a\": 3"));
}

#[test]
fn a_text_put_back_by_hand_does_not_beat_a_newer_edit_when_another_edit_is_not_durable_yet() {
    for call in [Call::TryLock, Call::Sync] {
        let disk = new_disk();
        show_by_short_command(&disk);
        let killed = disk.process();
        let journal = open(&killed);
        let victim = killed.clone();
        killed.observe(move |seen| {
            if seen.call == call && seen.path.to_string_lossy().contains("wal-") {
                victim.kill();
            }
        });
        assert!(journal.append(Op::set("c", 1)).is_err());
        disk.process().replace_file(FILE, TEXT, true).unwrap();
        let journal = open(&disk.process());
        journal.append_last(Op::set("a", 3), None).unwrap();
        journal.close().unwrap();
        let expected = TEXT.replace("\"a\": 0", "\"a\": 3").replace("\"c\": 0", "\"c\": 1");
        assert_eq!(text_of(&disk), expected, "killed at {call:?}");
    }
}

/// What somebody else does between two calls of a short command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Append,
    AppendLast,
    /// The sync of the edit fails.
    Fail(SyncFault),
    /// Killed before the sync of the edit.
    Die,
    Compact,
    AppendAndCompact,
    /// A person saves; the other process takes that over.
    Save,
    /// A person saves and nobody looks.
    SaveOnly,
}

const ACTS: [Act; 9] = [
    Act::Append,
    Act::AppendLast,
    Act::Fail(SyncFault::Lost),
    Act::Fail(SyncFault::Reverted),
    Act::Die,
    Act::Compact,
    Act::AppendAndCompact,
    Act::Save,
    Act::SaveOnly,
];

impl Act {
    /// Tells which keys it has set for sure.
    fn run(self, disk: &Disk, process: &Process, journal: &Journal) -> Vec<&'static str> {
        let edit = |done: Result<cfgwal::Ack, Error>| done.map_or(vec![], |_| vec!["b"]);
        match self {
            Act::Append => edit(journal.append(Op::set("b", 1))),
            Act::AppendLast => edit(journal.append_last(Op::set("b", 1), None)),
            Act::Fail(fault) => {
                let plan = FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once);
                process.set_plan(plan.on_sync(fault));
                let done = journal.append(Op::set("b", 1));
                process.set_plan(FaultPlan::new());
                edit(done)
            }
            Act::Die => {
                let victim = process.clone();
                process.observe(move |seen| {
                    if seen.call == Call::Sync {
                        victim.kill();
                    }
                });
                let _ = journal.append(Op::set("b", 1));
                process.kill();
                vec![]
            }
            Act::Compact => {
                let _ = journal.compact();
                vec![]
            }
            Act::AppendAndCompact => {
                let done = journal.append(Op::set("b", 1));
                let _ = journal.compact();
                edit(done)
            }
            Act::Save | Act::SaveOnly => {
                let Ok(text) = disk.read(FILE) else { return vec![] };
                let text = String::from_utf8(text).unwrap().replace("\"c\": 0", "\"c\": 1");
                if disk.process().replace_file(FILE, text, true).is_err() {
                    return vec![];
                }
                if self == Act::Save {
                    let _ = journal.materialise();
                }
                vec!["c"]
            }
        }
    }
}

/// How a text can get into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Exchange,
    /// It has two names.
    WriteOver,
    /// Tried and found out to be impossible.
    NoExchange,
    /// Whether others have it open cannot be told.
    NoLeases,
}

/// Which keys a config file shows as set. Between two steps of writing it over it may show anything.
fn set_in(text: &str) -> Vec<&'static str> {
    let is_set = |key: &&str| text.contains(&format!("\"{key}\": 1"));
    ["a", "b", "c"].into_iter().filter(is_set).collect()
}

#[test]
fn whatever_comes_between_two_calls_of_a_short_command_nothing_is_lost_and_nothing_shown_is_taken_back() {
    let scene = |way: Way| {
        let disk = new_disk();
        disk.set_rules(|rules| {
            rules.exchange = way != Way::NoExchange;
            rules.leases = way != Way::NoLeases;
        });
        if way == Way::WriteOver {
            disk.process().link_file(FILE, "/other.json").unwrap();
        }
        let processes = [disk.process(), disk.process()];
        let open = |process: &Process| {
            let options = Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone();
            options.lock_timeout(Duration::from_millis(50)).open(FILE).unwrap()
        };
        let journals = [open(&processes[0]), open(&processes[1])];
        // What is noted of the file is not durable.
        journals[1].append_last(Op::set("d", 1), None).unwrap();
        (disk, processes, journals)
    };
    let mut tried = 0;
    for way in [Way::Exchange, Way::WriteOver, Way::NoExchange, Way::NoLeases] {
        let (_, processes, journals) = scene(way);
        let calls = calls_of(&processes[0], || drop(journals[0].append_last(Op::set("a", 1), None).unwrap()));
        for (act, at) in ACTS.into_iter().flat_map(|act| (1..=calls).map(move |at| (act, at))) {
            let what = format!("{act:?} before call {at}, {way:?}");
            let (disk, processes, journals) = scene(way);
            let [journal, other] = journals;
            let sure = Arc::new(Mutex::new(Vec::new()));
            let (did, looks, acting) = (sure.clone(), disk.clone(), processes[1].clone());
            let (mut called, mut shown, told) = (0, Vec::new(), what.clone());
            processes[0].observe(move |_| {
                called += 1;
                if called == at {
                    did.lock().unwrap().extend(act.run(&looks, &acting, &other));
                }
                let now = set_in(&text_of(&looks));
                // A save that falls into an exchange comes out, and goes in again.
                if matches!(way, Way::Exchange | Way::NoLeases) && !matches!(act, Act::Save | Act::SaveOnly) {
                    assert!(
                        shown.iter().all(|key| now.contains(key)),
                        "{told}: {shown:?}, and then {now:?} at {called}"
                    );
                }
                shown = now;
            });
            let done = journal.append_last(Op::set("a", 1), None);
            let at_once = set_in(&text_of(&disk));
            let _ = journal.close();
            processes[0].observe(|_| ());
            let text = set_in(&text_of(&disk));
            assert!(at_once.iter().all(|key| text.contains(key)), "{what}: {at_once:?}, and then {text:?}");
            processes[1].kill();
            tried += 1;
            let mut sure = std::mem::take(&mut *sure.lock().unwrap());
            sure.extend(done.is_ok().then_some("a"));
            let durable = Disk::from_image(&disk.durable_image());
            for (disk, is_cut) in [(disk, false), (durable, true)] {
                let what = format!("{what}, after a power cut: {is_cut}");
                let next = open(&disk.process());
                let status = next.materialise().unwrap();
                assert!(matches!(status, FileStatus::Current { .. }), "{what}: {status:?}");
                let now = set_in(&text_of(&disk));
                // Whoever saved did not see to it that the name is durable.
                let is_kept = |key: &&str| now.contains(key) || *key == "c" && is_cut;
                assert!(sure.iter().all(is_kept), "{what}: {sure:?} was set, and {now:?} is");
                let state = next.snapshot().unwrap().state().root().to_string().replace(':', ": ");
                assert_eq!(set_in(&state), now, "{what}");
            }
        }
    }
    println!("{tried} moments of a short command at which somebody else was at work");
}

#[test]
fn whoever_only_looks_sees_a_hand_edit_on_what_the_file_showed_whatever_is_folded_together_meanwhile() {
    let scene = || {
        let disk = new_disk();
        let other = open(&disk.process());
        other.append(Op::set("a", 1)).unwrap();
        other.materialise().unwrap();
        other.append(Op::set("b", 1)).unwrap();
        let saved = text_of(&disk).replace("\"c\": 0", "\"c\": 7");
        disk.process().write_file(FILE, saved).unwrap();
        (disk, other)
    };
    let (disk, _other) = scene();
    let looker = disk.process();
    let calls = calls_of(&looker, || drop(View::open_seated(&looker.seat(), FILE).unwrap()));
    let mut merged = 0;
    for at in 1..=calls {
        let (disk, other) = scene();
        let looker = disk.process();
        before_call(&looker, at, move || {
            for d in 1..4 {
                other.append(Op::set("d", d)).unwrap();
                other.compact().unwrap();
            }
        });
        let view = View::open_seated(&looker.seat(), FILE).unwrap_or_else(|error| panic!("before call {at}: {error}"));
        merged += u64::from(view.hand_edit().is_some());
        for (key, value) in [("a", 1), ("b", 1), ("c", 7)] {
            let path = key.parse::<Path>().unwrap();
            assert_eq!(view.state().root().get(&path), Some(&Value::from(value)), "{key}, before call {at}");
        }
    }
    println!("{merged} of {calls} moments of a look that saw the hand edit itself");
    assert!(merged > 0 && merged < calls);
}
