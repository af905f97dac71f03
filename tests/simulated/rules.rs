//! Rules that no story elsewhere rests on alone: each is broken by one line, and each has a test here that says so.

use cfgwal::sim::{Call, Disk, FaultPlan, Limits, Process, Times};
use cfgwal::{Behind, Error, Journal, Materialise, Op, Options};

const FILE: &str = "/settings.json";
const DIR: &str = "/settings.json.cfgwal";

fn options(process: &Process) -> Options {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone()
}

fn open(process: &Process) -> Journal {
    options(process).open(FILE).unwrap()
}

fn wal(number: u64) -> String {
    format!("{DIR}/wal-{number:016x}")
}

/// A store whose edits 1 and 2 are in a segment that a snapshot covers, and 3 and 4 in the next one.
pub(crate) fn two_segments() -> Disk {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process);
    for n in 1..=4 {
        journal.append(Op::set("a", n)).unwrap();
        if n == 2 {
            journal.compact().unwrap();
        }
    }
    process.kill();
    disk.settle();
    disk
}

#[test]
fn a_file_system_where_locks_may_not_reach_everybody_is_refused_unless_it_is_allowed() {
    let disk = Disk::new();
    disk.set_rules(|rules| rules.foreign = Some("NFS"));
    let process = disk.process();
    assert!(matches!(options(&process).open(FILE), Err(Error::Forbidden { .. })));
    assert_eq!(process.names("/").unwrap(), [""; 0], "nothing was made");
    let journal = options(&process).foreign_file_system(true).open(FILE).unwrap();
    assert_eq!(journal.append(Op::set("a", 1)).unwrap().revision, 1);
}

#[test]
fn on_commit_the_file_shows_the_edit_when_it_is_acknowledged_or_the_answer_says_why_not() {
    let disk = Disk::new();
    let (process, person) = (disk.process(), disk.process());
    let journal = options(&process).materialise(Materialise::OnCommit).open(FILE).unwrap();
    for n in 1..=3 {
        assert_eq!(journal.append(Op::set("a", n)).unwrap().held_back, None);
        assert_eq!(disk.read(FILE).unwrap(), format!("{{\n  \"a\": {n}\n}}\n").as_bytes());
    }
    person.write_file(FILE, "{\"a\": ").unwrap();
    let ack = journal.append(Op::set("a", 4)).unwrap();
    assert!(ack.changed && matches!(ack.held_back, Some(Behind::Invalid(_))), "{ack:?}");
    assert_eq!(disk.read(FILE).unwrap(), b"{\"a\": ");
}

#[test]
fn where_a_failed_segment_can_have_no_successor_edits_are_refused_until_the_journal_is_opened_again() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process);
    journal.append(Op::set("a", 1)).unwrap();
    let plan = FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once);
    process.set_plan(plan.fail_only(&[Call::Rename], 1, libc::ENOSPC, Times::Forever));
    let failed = journal.append(Op::set("b", 1));
    assert!(matches!(failed, Err(Error::OutcomeUnknown(_))), "{failed:?}");
    process.set_plan(FaultPlan::new());
    let refused = journal.append(Op::set("c", 1));
    assert!(matches!(&refused, Err(Error::NotApplied(why)) if matches!(**why, Error::ReadOnly { .. })), "{refused:?}");
    assert_eq!(journal.get::<i64>("a").unwrap(), Some(1), "what is durable can be read");
    drop(journal);
    let journal = open(&process);
    journal.append(Op::set("c", 1)).unwrap();
    assert_eq!(journal.get::<i64>("a").unwrap(), Some(1));
}

#[test]
fn a_segment_is_known_by_the_second_of_its_headers_where_the_first_is_gone() {
    let image = two_segments().image();
    let mut bytes = image.read(wal(2)).unwrap();
    bytes[..512].fill(0);
    let process = Disk::from_image(&image.with_file(wal(2), bytes)).process();
    let journal = open(&process);
    assert_eq!(journal.append(Op::increment("a", 1)).unwrap().revision, 5);
    assert_eq!(journal.get::<i64>("a").unwrap(), Some(5));
}

#[test]
fn damage_that_a_newer_snapshot_covers_is_told_and_stops_nothing() {
    let image = two_segments().image();
    let mut bytes = image.read(wal(1)).unwrap();
    bytes[4096 + 50] ^= 1;
    let process = Disk::from_image(&image.with_file(wal(1), bytes)).process();
    let report = cfgwal::sim::verify_seated(&process.seat(), FILE).unwrap().unwrap();
    assert!(report.damage.is_none() && !report.is_clean());
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.file.to_str(), finding.offset), (Some(wal(1).as_str()), 4096));
    assert_eq!(open(&process).append(Op::set("b", 1)).unwrap().revision, 5);
}

#[test]
fn a_journal_keeps_itself_out_of_the_repository_around_it() {
    assert_eq!(two_segments().read(format!("{DIR}/.gitignore")).unwrap(), b"*\n");
}

#[test]
fn a_save_that_is_taken_over_is_on_the_disk_from_then_on() {
    // Into the file, or by giving its name to another one; nobody but us sees to it that it is durable.
    for replaces in [false, true] {
        let disk = Disk::new();
        let (process, person) = (disk.process(), disk.process());
        person.write_file(FILE, "{\"a\": 1}").unwrap();
        disk.settle();
        let journal = open(&process);
        let saved = "{\"a\": 2}";
        if replaces { person.replace_file(FILE, saved, false) } else { person.write_file(FILE, saved) }.unwrap();
        journal.materialise().unwrap();
        for image in disk.crash_images(&Limits::chunk(4)) {
            let what = format!("another file: {replaces}, state {}", image.id());
            assert_eq!(String::from_utf8_lossy(&image.read(FILE).unwrap()), saved, "{what}");
            let journal = open(&Disk::from_image(&image).process());
            journal.materialise().unwrap();
            assert_eq!(journal.get::<u64>("a").unwrap(), Some(2), "{what}");
        }
    }
}
