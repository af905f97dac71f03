//! Giving up damaged records: what it keeps of them, and where the numbers go on.

use std::sync::{Arc, Mutex};

use cfgwal::sim::{Call, Disk, DiskImage, FaultPlan, Process, Times, Trial};
use cfgwal::{Error, Journal, Materialise, Op, Options, RecoverOptions};

use crate::rules::two_segments;

const FILE: &str = "/settings.json";
const DIR: &str = "/settings.json.cfgwal";
const OLDER: &str = "/settings.json.cfgwal/wal-0000000000000001";
const LAST: &str = "/settings.json.cfgwal/wal-0000000000000002";
/// Where a segment's frames begin.
const BLOCK: usize = 4096;

fn options(process: &Process) -> Options {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone()
}

/// A store with edits in a segment that a snapshot covers, and two behind it of which the first is damaged.
fn damaged() -> DiskImage {
    let disk = two_segments();
    let image = disk.image();
    let mut bytes = image.read(LAST).unwrap();
    bytes[BLOCK + 50] ^= 1;
    image.with_file(LAST, bytes)
}

fn give_up(process: &Process) {
    let mut give_up = RecoverOptions::default();
    give_up.accept_loss = true;
    Journal::recover_seated(options(process), FILE, &give_up).unwrap();
}

#[test]
fn of_a_file_that_cannot_be_read_as_a_whole_the_rest_is_kept() {
    let image = damaged();
    let written = image.read(OLDER).unwrap();
    // The last read of the older segment is the one for the quarantine: the first that finds a bad sector there.
    let process = Disk::from_image(&image).process();
    let (reads, last) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (counted, found) = (reads.clone(), last.clone());
    process.observe(move |seen| {
        if seen.call == Call::Read {
            *counted.lock().unwrap() += 1;
            if seen.path.as_os_str() == OLDER {
                *found.lock().unwrap() = *counted.lock().unwrap();
            }
        }
    });
    give_up(&process);
    let nth = *last.lock().unwrap();
    assert!(nth > 1, "it was never read");

    let disk = Disk::from_image(&image);
    let process = disk.process();
    process.set_plan(FaultPlan::new().fail_only(&[Call::Read], nth, libc::EIO, Times::Once));
    give_up(&process);
    let image = disk.image();
    assert!(image.read(OLDER).is_none(), "it was given up");
    let kept = image.paths().into_iter().find(|path| path.to_string_lossy().ends_with("-wal-0000000000000001"));
    assert!(image.read(kept.unwrap()).unwrap() == written, "what could be read of it was thrown away");
}

#[test]
fn numbers_that_nobody_can_have_given_are_not_gone_on_from() {
    let image = damaged();
    let trial = Trial::of(&Disk::from_image(&image).process().seat(), DIR).unwrap();
    for (sequence, revision) in [(u64::MAX, 4), (4, (1 << 56) - 1), (1 << 44, 1 << 44)] {
        let mut bytes = image.read(LAST).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap().next_multiple_of(8) + 8;
        let forged = trial.forge(sequence, 0, revision, 1, b"a record of nobody");
        bytes[end..end + forged.len()].copy_from_slice(&forged);
        let disk = Disk::from_image(&image.with_file(LAST, bytes));
        let process = disk.process();
        assert!(matches!(options(&process).open(FILE), Err(Error::Damaged(_))));
        give_up(&process);
        let journal = options(&process).open(FILE).unwrap();
        assert_eq!(journal.append(Op::set("b", 1)).unwrap().revision, 5, "sequence {sequence}, revision {revision}");
        process.kill();
        let again = options(&disk.process()).open(FILE).unwrap();
        assert_eq!(again.snapshot().unwrap().state().root().to_string(), r#"{"a":2,"b":1}"#);
    }
}
