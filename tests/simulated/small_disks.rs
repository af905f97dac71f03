//! Disks with little room: what is kept for bad times is taken from nobody who needs it.

use cfgwal::sim::{Call, Disk, FaultPlan, Process};
use cfgwal::{Journal, Materialise, Op};

const FILE: &str = "/settings.json";
const RESERVE: &str = "/settings.json.cfgwal/reserve";

fn open(process: &Process) -> Result<Journal, cfgwal::Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

/// How much room a disk needs at least for what this does.
fn least_room(works: impl Fn(&Disk) -> bool) -> u64 {
    let with = |room: u64| {
        let disk = Disk::new();
        disk.set_rules(|rules| rules.capacity = Some(room));
        disk
    };
    let sizes = (0..).map(|step| 60_000 + step * 2048);
    let mut fitting = sizes.skip_while(|room| !works(&with(*room)));
    let least = fitting.next().expect("a disk that is large enough");
    assert!(fitting.take(100).all(|room| works(&with(room))), "more room than {least} is too little");
    least
}

#[test]
fn a_journal_that_has_room_is_born_though_nothing_is_left_to_keep() {
    let least = least_room(|disk| {
        let Ok(journal) = open(&disk.process()) else { return false };
        journal.append(Op::set("a", 1)).unwrap();
        true
    });
    // A segment, a snapshot, the page.
    assert!(least < 80_000, "{least}");
}

#[test]
fn a_reserve_that_has_no_room_leaves_to_others_what_there_is() {
    for spare in [4_096, 40_000, 80_000] {
        let disk = Disk::new();
        let (process, person) = (disk.process(), disk.process());
        let journal = open(&process).unwrap();
        journal.append(Op::set("a", 1)).unwrap();
        journal.compact().unwrap();
        person.remove_file(RESERVE).unwrap();
        journal.append(Op::set("a", 2)).unwrap();
        journal.materialise().unwrap();
        // The new segment and snapshot take what the old ones leave.
        let taken: u64 = person
            .names("/settings.json.cfgwal")
            .unwrap()
            .iter()
            .filter_map(|name| person.metadata(format!("/settings.json.cfgwal/{name}")))
            .map(|found| found.len.next_multiple_of(512))
            .sum();
        disk.set_rules(|rules| rules.capacity = Some(taken + 80_000 + spare));
        journal.compact().unwrap();
        let room = vec![b' '; spare as usize - 1024];
        person.write_file("/another", room).unwrap_or_else(|error| panic!("{spare}: {error}"));
    }
}

/// A disk on which there is no room any more.
fn fill(disk: &Disk) {
    disk.set_rules(|rules| rules.capacity = Some(1_000_000));
    disk.process().write_file("/filler", vec![1; 1_000_000]).unwrap_err();
}

/// The next process cures what a killed writer left, in the room of the reserve, and is killed at any call of that; then the
/// power may go, too.
#[test]
fn a_cure_that_was_cut_short_on_a_full_disk_is_completed_without_room() {
    let mut kills = 0;
    for nth in 1.. {
        for is_cut in [false, true] {
            let disk = Disk::new();
            let (writer, healer) = (disk.process(), disk.process());
            let journal = open(&writer).unwrap();
            journal.append(Op::set("a", 1)).unwrap();
            let victim = writer.clone();
            writer.observe(move |seen| {
                if seen.call == Call::Write {
                    victim.set_plan(FaultPlan::new().kill_in_write(1, 41));
                }
            });
            journal.append(Op::set("b", 1)).unwrap_err();
            fill(&disk);
            healer.set_plan(FaultPlan::new().kill_at(nth));
            let _ = open(&healer).and_then(|journal| journal.append(Op::set("c", 1)));
            if !healer.is_dead() {
                assert!(kills > 40, "{kills} kills prove little");
                return;
            }
            if disk.read("/settings.json.cfgwal/wal-0000000000000002").is_ok() {
                // It is done. Who was killed behind that left something else to cure.
                continue;
            }
            kills += 1;
            let what = format!("killed at call {nth}, the power goes: {is_cut}");
            let disk = if is_cut { Disk::from_image(&disk.image()) } else { disk };
            let journal = open(&disk.process()).unwrap_or_else(|error| panic!("{what}: {error}"));
            journal.append(Op::set("d", 1)).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(journal.get::<u64>("a").unwrap(), Some(1), "{what}");
        }
    }
}
