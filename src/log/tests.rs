//! Versions that are changed in place, and what is left of one when its segment fails.

use super::*;
use crate::op::{Op, Refusal};
use crate::storage::faulty::{Call, FaultPlan, SyncFault, Times};
use crate::storage::simulated::{Disk, Process};

fn log() -> (Process, Log) {
    let process = Disk::new().process();
    let file = "/settings.json";
    crate::Journal::options().seat(process.seat()).alone().open(file).unwrap().close().unwrap();
    let log = Log::open(process.seat().0, Path::new("/settings.json.cfgwal"), "a test", Duration::from_secs(1));
    (process, log.unwrap())
}

fn payload_of(edit: &Transaction) -> Arc<[u8]> {
    let mut payload = Vec::new();
    edit.encode(&mut payload).unwrap();
    payload.into()
}

/// Append together, and wait for nothing.
fn append(log: &Log, edits: &[Transaction]) -> Vec<Result<Appended, Error>> {
    let payloads: Vec<_> = edits.iter().map(payload_of).collect();
    let want = |(edit, payload)| Want::Edit { transaction: Some(edit), payload, expected: None };
    let mut requests: Vec<_> = edits.iter().zip(&payloads).map(want).map(Request::new).collect();
    log.append(&mut requests);
    requests.into_iter().map(|request| request.outcome.unwrap()).collect()
}

fn append_one(log: &Log, op: Op) -> Appended {
    append(log, &[op.into()]).pop().unwrap().unwrap()
}

/// The next sync fails, and what it was to write is gone.
fn revert_next_sync(process: &Process) {
    let plan = FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once);
    process.set_plan(plan.on_sync(SyncFault::Reverted));
}

fn text_of(version: &Version) -> String {
    version.state.root().to_string()
}

/// What a reader gets, perhaps while somebody appends.
fn read(log: &Log, is_beside: bool) -> String {
    let _appending = is_beside.then(|| log.tail());
    text_of(&log.published().unwrap())
}

#[test]
fn a_reader_between_an_append_and_its_sync_gets_neither_less_nor_more_than_what_is_durable() {
    let (_process, log) = log();
    let mut shown = read(&log, false);
    for n in 1..9 {
        let is_beside = n % 2 == 0;
        let first = append_one(&log, Op::set("a", n));
        assert_eq!(read(&log, is_beside), shown);
        // Of the next one a version is kept, as if somebody had asked.
        log.asked.store(true, Relaxed);
        append_one(&log, Op::set("b", n));
        let last = append_one(&log, Op::set("a", -n));
        assert_eq!(read(&log, is_beside), shown);
        // As when a sync returns that began in between.
        log.locks.watermark.publish(first.ticket.segment, first.ticket.sequence);
        let between = read(&log, is_beside);
        assert!(between.contains(&format!("\"a\":{n}")) && !between.contains(&format!("\"b\":{n}")), "{between}");
        log.wait_durable(&last.ticket).unwrap();
        shown = read(&log, is_beside);
        assert_eq!(shown, format!("{{\"a\":{},\"b\":{n}}}", -n));
    }
}

#[test]
fn a_version_that_went_with_its_segment_is_shown_to_nobody() {
    let (process, log) = log();
    let before = append_one(&log, Op::set("kept", 0));
    log.wait_durable(&before.ticket).unwrap();
    for n in 1..4 {
        log.asked.store(true, Relaxed);
        let lost = append_one(&log, Op::set("lost", n));
        revert_next_sync(&process);
        assert!(log.wait_durable(&lost.ticket).is_err());
        // Of this one none is kept.
        log.asked.store(false, Relaxed);
        let kept = append_one(&log, Op::set("kept", n));
        assert_eq!(kept.ticket.sequence, lost.ticket.sequence, "the number is given again");
        log.wait_durable(&kept.ticket).unwrap();
        assert_eq!(read(&log, n % 2 == 0), format!("{{\"kept\":{n}}}"));
    }
}

#[test]
fn versions_of_segments_that_were_left_do_not_pile_up() {
    let (process, log) = log();
    for n in 1..20 {
        log.asked.store(true, Relaxed);
        let lost = append_one(&log, Op::set("lost", n));
        revert_next_sync(&process);
        assert!(log.wait_durable(&lost.ticket).is_err());
    }
    assert_eq!(log.unpublished.lock().unwrap().len(), 1);
}

#[test]
fn edits_that_find_no_room_in_a_segment_that_failed_are_judged_again_without_what_went_with_it() {
    let (process, log) = log();
    let before = append_one(&log, Op::set("n", 5));
    log.wait_durable(&before.ticket).unwrap();
    let lost = append_one(&log, Op::increment("n", 1));
    let more = || Transaction::from(Op::increment("n", 10)).idempotent("once");
    let edits = [
        more(),
        more(),
        Transaction::new().set("n", 0).set("o", 1).remove("nothing"),
        Transaction::new().test("n", 15).set("fits", true),
        Op::set("n", 15).into(),
        // For this, room has to be made, and that takes a sync.
        Op::set("large", "x".repeat(ZEROS_FIRST as usize)).into(),
    ];
    revert_next_sync(&process);
    let done = append(&log, &edits);
    let [first, again, refused, fits, same, large] = &done[..] else { unreachable!() };
    let told = |done: &Result<Appended, Error>| {
        let done = done.as_ref().unwrap();
        (done.revision, done.results.last().unwrap().clone(), done.written, done.repeated)
    };
    assert_eq!(told(first), (2, Some(15.into()), true, false));
    assert_eq!(told(again), (2, Some(15.into()), false, true));
    assert!(matches!(refused, Err(Error::Refused(Refusal::Missing { .. }))), "{refused:?}");
    assert_eq!(told(fits), (3, None, true, false));
    assert_eq!(told(same), (3, None, false, false));
    assert_eq!(told(large), (4, None, true, false));
    assert!(log.wait_durable(&lost.ticket).is_err());
    log.wait_durable(&large.as_ref().unwrap().ticket).unwrap();
    let shown = log.published().unwrap();
    assert_eq!(text_of(&shown).replace(&"x".repeat(ZEROS_FIRST as usize), "x"), r#"{"n":15,"fits":true,"large":"x"}"#);
    let (_, found) = look_beside(&*log.storage, &log.dir, &log.locks, &log.boot).unwrap();
    assert_eq!(found.version.state, shown.state);
    assert_eq!(found.version.keys, shown.keys);
}

#[test]
fn a_record_that_cannot_be_read_is_told_with_its_own_place() {
    let (process, writer) = log();
    let seat = process.seat().0;
    let other = Log::open(seat, &writer.dir, "another", Duration::from_secs(1)).unwrap();
    let _unread = append_one(&writer, Op::set("a", 1));
    let last = append_one(&writer, Op::set("b", 2));
    writer.wait_durable(&last.ticket).unwrap();
    // A whole frame in its place, whose content is no edit.
    let (segment, end) = (writer.current.load_full(), writer.tail().end);
    let fields = frame::Fields {
        previous: end.check,
        sequence: end.sequence + 1,
        durable: end.sequence,
        revision: end.revision + 1,
        kind: FrameKind::Edit,
    };
    let mut bytes = Vec::new();
    frame::encode(&mut bytes, &segment.seed, &fields, b"no edit");
    crate::storage::write_full(&*segment.file, &bytes, end.offset).unwrap();
    let told = append(&other, &[Op::set("c", 3).into()]).pop().unwrap();
    let Err(Error::NotApplied(error)) = told else { panic!("{told:?}") };
    let Error::Damaged(damage) = *error else { panic!("{error:?}") };
    assert_eq!((damage.offset, damage.first_revision), (end.offset, end.revision + 1));
}

#[test]
fn where_durable_records_are_gone_from_an_open_log_nothing_takes_their_place() {
    for is_cut in [true, false] {
        let (process, writer) = log();
        let other = Log::open(process.seat().0, &writer.dir, "another", Duration::from_secs(1)).unwrap();
        let read = append_one(&other, Op::set("a", 1));
        other.wait_durable(&read.ticket).unwrap();
        let unread = append_one(&writer, Op::set("b", 2));
        writer.wait_durable(&unread.ticket).unwrap();
        let (segment, begins, end) = (writer.current.load_full(), other.tail().end, writer.tail().end);
        if is_cut {
            segment.file.set_len(begins.offset).unwrap();
        } else {
            crate::storage::write_zeros(&*segment.file, begins.offset, end.offset).unwrap();
        }
        let told = append(&other, &[Op::set("c", 3).into()]).pop().unwrap();
        let Err(Error::NotApplied(error)) = told else { panic!("{told:?}") };
        let Error::Damaged(damage) = *error else { panic!("{error:?}") };
        assert_eq!((damage.offset, damage.first_revision), (begins.offset, end.revision));
        let left = crate::storage::read_range(&*segment.file, begins.offset, 4096).unwrap();
        assert!(left.iter().all(|byte| *byte == 0), "nothing is written");
    }
}

#[test]
fn an_edit_for_which_room_must_be_made_goes_where_nobody_stands_still_in_a_sync() {
    let (process, log) = log();
    let another = process.disk().process();
    let other = Log::open(another.seat().0, &log.dir, "another", Duration::from_secs(1)).unwrap();
    let segment = other.current.load_full();
    // Whoever is elected syncs, and this one never comes to an end.
    assert!(segment.file.try_lock(crate::storage::Lock::Exclusive).unwrap());
    let small = append_one(&log, Op::set("n", 1));
    let large = append_one(&log, Op::set("large", "x".repeat(ZEROS_FIRST as usize)));
    assert_eq!((small.ticket.segment, large.ticket.segment), (segment.header.number, segment.header.number + 1));
    log.wait_durable(&large.ticket).unwrap();
    log.wait_durable(&small.ticket).unwrap();
    assert_eq!(
        text_of(&log.published().unwrap()).replace(&"x".repeat(ZEROS_FIRST as usize), "x"),
        r#"{"n":1,"large":"x"}"#
    );
}

#[test]
fn a_compaction_whose_sync_fails_goes_on_with_what_is_durable() {
    let (process, log) = log();
    let kept = append_one(&log, Op::set("a", 1));
    log.wait_durable(&kept.ticket).unwrap();
    let lost = append_one(&log, Op::set("b", 2));
    let draft = Segment::draft(&*log.storage, &log.dir, kept.ticket.segment + 1, 0, ZEROS_FIRST).unwrap();
    revert_next_sync(&process);
    let (covered, next) = log.rotate(draft).unwrap();
    assert_eq!((&*text_of(&covered), next), (r#"{"a":1}"#, kept.ticket.segment + 1));
    let told = log.wait_durable(&lost.ticket);
    assert!(matches!(told, Err(Error::OutcomeUnknown(_))), "{told:?}");
    let after = append_one(&log, Op::set("c", 3));
    log.wait_durable(&after.ticket).unwrap();
    assert_eq!(text_of(&log.published().unwrap()), r#"{"a":1,"c":3}"#);
}

#[test]
fn who_asks_late_hears_what_became_of_an_edit_though_the_segment_that_repeats_it_is_gone() {
    let (process, log) = log();
    let before = append_one(&log, Op::set("a", 1));
    log.sync_all().unwrap();
    let lost = append_one(&log, Op::set("b", 2));
    revert_next_sync(&process);
    assert!(log.wait_durable(&lost.ticket).is_err());
    let after = append_one(&log, Op::set("c", 3));
    let number = after.ticket.segment;
    assert_eq!(number, before.ticket.segment + 1, "the segment whose sync failed was left");
    let draft = Segment::draft(&*log.storage, &log.dir, number + 1, 0, ZEROS_FIRST).unwrap();
    log.rotate(draft).unwrap();
    log.storage.remove(&log.dir.join(segment::name(number))).unwrap();
    log.wait_durable(&before.ticket).unwrap();
    log.wait_durable(&after.ticket).unwrap();
    let told = log.wait_durable(&lost.ticket);
    assert!(matches!(told, Err(Error::OutcomeUnknown(_))), "{told:?}");
}

#[test]
fn who_read_what_a_slow_sync_vouched_for_goes_on_where_a_new_segment_repeats_it() {
    for is_read_first in [true, false] {
        let (process, log) = log();
        let another = process.disk().process();
        let healer = Log::open(another.seat().0, &log.dir, "another", Duration::from_secs(1)).unwrap();
        let early = append_one(&log, Op::set("a", 1));
        log.wait_durable(&early.ticket).unwrap();
        let late = append_one(&log, Op::set("b", 2)).ticket;
        let log = Arc::new(log);
        let (reader, mut slow) = (log.clone(), Some(late.clone()));
        another.observe(move |seen| {
            // The new segment's content is settled by now. A sync of the old one that began earlier ends only here.
            let is_sync = seen.call == Call::Sync && seen.path.to_string_lossy().contains("wal-");
            if is_sync && let Some(late) = slow.take() {
                reader.locks.watermark.publish(late.segment, late.sequence);
                assert_eq!(text_of(&reader.published().unwrap()), r#"{"a":1,"b":2}"#);
            }
        });
        healer.heal(late.segment).unwrap();
        assert_eq!(log.locks.watermark.durable(), Reached::new(late.segment + 1, late.sequence));
        if is_read_first {
            assert_eq!(text_of(&log.published().unwrap()), r#"{"a":1,"b":2}"#);
        }
        let next = append_one(&log, Op::set("c", 3)).ticket;
        assert_eq!((next.segment, next.sequence), (late.segment + 1, late.sequence + 1));
        log.wait_durable(&late).unwrap();
        log.wait_durable(&next).unwrap();
        assert_eq!(text_of(&log.published().unwrap()), r#"{"a":1,"b":2,"c":3}"#);
    }
}

#[test]
fn a_segment_of_another_store_is_not_gone_on_in() {
    let (process, log) = log();
    let last = append_one(&log, Op::set("a", 1));
    log.wait_durable(&last.ticket).unwrap();
    let (old, end) = (log.current.load_full().header, log.tail().end);
    let header = heal::next_header(&*process.seat().0, &log.dir, &old, old.number + 1, &end).unwrap();
    let draft = Segment::draft(&*log.storage, &log.dir, header.number, 0, ZEROS_FIRST).unwrap();
    draft.publish(&log.dir, segment::Header { store: [9; 16], ..header }, &[]).unwrap();
    log.locks.watermark.name_segment(header.number, header.first - 1);
    let told = append(&log, &[Op::set("b", 2).into()]).pop().unwrap();
    let Err(Error::NotApplied(error)) = told else { panic!("{told:?}") };
    assert!(matches!(*error, Error::Damaged(damage) if damage.fault == DamageKind::SegmentHeader));
}

#[test]
fn a_sync_vouches_for_nothing_that_came_after_it_began() {
    let (process, log) = log();
    let another = process.disk().process();
    let other = Log::open(another.seat().0, &log.dir, "another", Duration::from_secs(1)).unwrap();
    let first = append_one(&log, Op::set("a", 1));
    let later = Mutex::new(Some(other));
    process.observe(move |seen| {
        let is_sync = seen.call == Call::Sync && seen.path.to_string_lossy().contains("wal-");
        if is_sync && let Some(other) = later.lock().unwrap().take() {
            append_one(&other, Op::set("b", 1));
        }
    });
    log.wait_durable(&first.ticket).unwrap();
    assert_eq!(log.locks.watermark.durable(), Reached::new(first.ticket.segment, first.ticket.sequence));
    assert!(log.locks.watermark.tail() > log.locks.watermark.durable(), "another edit came meanwhile");
}
