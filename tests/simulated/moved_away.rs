//! A journal that somebody moves away while it is edited.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use cfgwal::sim::{Disk, Process};
use cfgwal::{Error, Journal, Materialise, Op};

/// Whether an error says that the journal is no longer there.
fn tells_of_a_journal_gone(error: &Error) -> bool {
    match error {
        Error::NotApplied(why) | Error::OutcomeUnknown(why) => tells_of_a_journal_gone(why),
        error => matches!(error, Error::Gone { .. }),
    }
}

#[test]
fn a_journal_that_is_moved_away_at_any_call_of_an_edit_keeps_it_or_is_told_to_be_gone() {
    const JOURNAL: &str = "/settings.json.cfgwal";
    for at in 0.. {
        let disk = Disk::new();
        let (process, other, person) = (disk.process(), disk.process(), disk.process());
        let open = |process: &Process| {
            let options = Journal::options().materialise(Materialise::Manual).seat(process.seat());
            options.alone().open("/settings.json").unwrap()
        };
        let journal = open(&process);
        journal.append(Op::set("a", 1)).unwrap();
        // So that there is something to catch up with.
        open(&other).append(Op::set("b", 1)).unwrap();
        let first = process.calls();
        let mover = person.clone();
        let moved = Arc::new(AtomicBool::new(false));
        let has_moved = moved.clone();
        process.observe(move |seen| {
            if seen.number >= first + at && !has_moved.swap(true, SeqCst) {
                mover.rename_file(JOURNAL, "/aside").unwrap();
            }
        });
        let answer = journal.append(Op::set("c", 1));
        process.observe(|_| ());
        if !moved.load(SeqCst) {
            answer.unwrap();
            assert!(at > 5, "only {at} calls were tried");
            break;
        }
        person.rename_file("/aside", JOURNAL).unwrap();
        let is_there = open(&other).get::<u8>("c").unwrap().is_some();
        match answer {
            Ok(_) => assert!(is_there, "at call {at} it went into the void"),
            Err(error) => {
                assert!(tells_of_a_journal_gone(&error), "at call {at}: {error:?}");
                assert!(!is_there || !matches!(error, Error::NotApplied(_)), "at call {at}: {error}");
            }
        }
    }
}
