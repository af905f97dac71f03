//! Whoever only looks takes no lock for it, and whoever opens a journal or goes on in one knows what it was a while ago:
//! whatever others do between two of their calls, they see no damage where there is none, and miss nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use cfgwal::sim::{Call, Disk, FaultPlan, Limits, Process, SyncFault, Times, verify_seated};
use cfgwal::{Behind, Error, FileStatus, Journal, Materialise, Op, Path, Value, View};

const FILE: &str = "/settings.json";
const TEXT: &str = "{\n  \"a\": 0,\n  \"n\": 0\n}\n";

fn open(process: &Process) -> Journal {
    let options = Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone();
    options.lock_timeout(Duration::from_millis(50)).open(FILE).unwrap()
}

fn number(journal: &Journal, path: &str) -> u64 {
    journal.get::<u64>(path).unwrap().unwrap()
}

fn number_of(view: &View) -> u64 {
    let path: Path = "n".parse().unwrap();
    view.state().root().get(&path).and_then(Value::as_i64).unwrap() as u64
}

/// A store with two snapshots and a log behind the newer one, whose config file is up to date.
struct Scene {
    disk: Disk,
    /// It has edited, and does nothing now.
    idle: (Process, Journal),
    /// It is at work.
    other: (Process, Journal),
}

/// What `n` is at first.
const BEGIN: u64 = 4;

impl Scene {
    fn new() -> Scene {
        let disk = Disk::new();
        disk.process().write_file(FILE, TEXT).unwrap();
        disk.settle();
        let journal = || {
            let process = disk.process();
            let journal = open(&process);
            (process, journal)
        };
        let (idle, other) = (journal(), journal());
        for n in 1..=BEGIN {
            let (_, journal) = if n % 2 == 0 { &other } else { &idle };
            journal.append(Op::set("n", n)).unwrap();
            if n < BEGIN {
                journal.compact().unwrap();
            } else {
                journal.materialise().unwrap();
            }
        }
        Scene { disk, idle, other }
    }
}

/// What others do meanwhile.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// Edits, each shown in the file.
    Show,
    /// Edits that are longer than the room ahead.
    Long,
    /// Edits, each folded together with all before.
    Compact(u64),
    /// What a person made of the file's blanks is noted, and that folded together: the revision stays.
    CompactNotes,
    /// A sync fails, and the log goes on in a new segment.
    Heal(SyncFault),
    /// The same, and all is folded together until nothing is left of the old segments.
    HealAndCompact,
    /// A process is killed before its edit is durable, and another goes on.
    Die,
}

const ACTS: [Act; 9] = [
    Act::Show,
    Act::Long,
    Act::Compact(1),
    Act::Compact(2),
    Act::Compact(4),
    Act::CompactNotes,
    Act::Heal(SyncFault::Lost),
    Act::HealAndCompact,
    Act::Die,
];

impl Act {
    /// Who looks may hold a lock just now: then less is done.
    fn run(self, disk: &Disk, process: &Process, journal: &Journal) {
        let edit = || journal.append(cfgwal::Transaction::new().increment("n", 1)).is_ok();
        let heal = |fault| {
            process.set_plan(FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once).on_sync(fault));
            edit();
            process.set_plan(FaultPlan::new());
            edit();
        };
        let compact = |times| {
            for _ in 0..times {
                edit();
                let _ = journal.compact();
            }
        };
        match self {
            Act::Show => {
                for _ in 0..2 {
                    edit();
                    let _ = journal.materialise();
                }
            }
            Act::Long => {
                for filling in ["x", "y"] {
                    let _ = journal.append(Op::set("filling", filling.repeat(70_000)));
                    edit();
                }
            }
            Act::Compact(times) => compact(times),
            Act::CompactNotes => {
                let text = String::from_utf8(disk.read(FILE).unwrap()).unwrap();
                disk.process().replace_file(FILE, text.replace(": ", ":  "), true).unwrap();
                if !matches!(journal.compact(), Ok((_, FileStatus::Current { .. }))) {
                    disk.process().replace_file(FILE, text, true).unwrap();
                }
            }
            Act::Heal(fault) => heal(fault),
            Act::HealAndCompact => {
                heal(SyncFault::Lost);
                compact(3);
            }
            Act::Die => {
                let killed = disk.process();
                let options = Journal::options().materialise(Materialise::Manual).seat(killed.seat()).alone();
                if let Ok(journal) = options.lock_timeout(Duration::from_millis(50)).open(FILE) {
                    let victim = killed.clone();
                    killed.observe(move |seen| {
                        if seen.call == Call::Sync {
                            victim.kill();
                        }
                    });
                    let _ = journal.append(cfgwal::Transaction::new().increment("n", 1));
                }
                killed.kill();
                edit();
            }
        }
    }
}

/// Who knows nothing of what others do.
#[derive(Debug, Clone, Copy)]
enum Look {
    View,
    History,
    Verify,
    DryRun,
    Open,
    Get,
    Append,
    Show,
}

const LOOKS: [Look; 8] =
    [Look::View, Look::History, Look::Verify, Look::DryRun, Look::Open, Look::Get, Look::Append, Look::Show];

impl Look {
    /// Panics if it sees what is not so. Each of those in `scene` has had `n` as it was at first.
    fn run(self, process: &Process, journal: &Journal) -> Result<(), Error> {
        let seat = process.seat();
        let by_hand = |file: &FileStatus| matches!(file, FileStatus::Behind { why: Behind::EditedByHand, .. });
        match self {
            Look::View => {
                let view = View::open_seated(&seat, FILE)?;
                assert_eq!(view.damage(), None);
                assert!(number_of(&view) >= BEGIN && !by_hand(view.file_status()), "{:?}", view.status());
            }
            Look::History => {
                let view = View::open_seated(&seat, FILE)?;
                let revisions: Vec<u64> = view.history()?.iter().map(|entry| entry.revision).collect();
                assert!(revisions.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{revisions:?}");
                assert!(revisions.last().is_some_and(|last| *last >= view.revision()), "{revisions:?}");
            }
            Look::Verify => {
                let report = verify_seated(&seat, FILE)?.unwrap();
                assert!(report.is_clean() && report.revision >= BEGIN && !by_hand(&report.file), "{report:?}");
            }
            Look::DryRun => {
                let plan = Journal::plan_recovery_seated(&seat, FILE)?.unwrap();
                let is_sound = plan.damage().is_none() && plan.torn().is_none() && plan.findings().is_empty();
                assert!(is_sound && plan.revision() >= BEGIN && !by_hand(plan.file_status()), "{plan}");
            }
            Look::Open => {
                let options = Journal::options().materialise(Materialise::Manual).seat(seat).alone();
                let journal = options.open(FILE)?;
                assert!(number(&journal, "n") >= BEGIN);
                journal.append(Op::set("a", 1))?;
                assert_eq!(number(&journal, "a"), 1);
            }
            Look::Get => assert!(journal.snapshot()?.revision() >= BEGIN && number(journal, "n") >= BEGIN),
            Look::Append => {
                journal.append(Op::set("a", 1))?;
                assert_eq!(number(journal, "a"), 1);
            }
            Look::Show => {
                let status = journal.materialise()?;
                assert!(!by_hand(&status), "{status:?}");
            }
        }
        Ok(())
    }
}

#[test]
fn whatever_others_do_between_two_calls_of_a_look_it_sees_no_damage_and_misses_nothing() {
    let (mut moments, mut unknown, mut failed) = (0, 0, Vec::new());
    for (look, act) in LOOKS.into_iter().flat_map(|look| ACTS.map(|act| (look, act))) {
        // What somebody has missed before, and then once more.
        for has_missed in [false, true] {
            for at in 1.. {
                let Scene { disk, idle: (process, journal), other } = Scene::new();
                if has_missed {
                    act.run(&disk, &other.0, &other.1);
                }
                let has_acted = Arc::new(AtomicBool::new(false));
                let (acted, looks, acting) = (has_acted.clone(), disk.clone(), other.clone());
                let mut called = 0;
                process.observe(move |_| {
                    called += 1;
                    if called == at {
                        acted.store(true, SeqCst);
                        act.run(&looks, &acting.0, &acting.1);
                    }
                });
                let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look.run(&process, &journal)));
                process.observe(|_| ());
                match seen {
                    Ok(Ok(())) => {}
                    // It looked suspended in its sync, so its segment was left, and the one that went on was retired before it
                    // could look there: neither promised nor denied.
                    Ok(Err(Error::OutcomeUnknown(_))) => unknown += 1,
                    seen => {
                        failed.push(format!(
                            "{look:?}, {act:?} before call {at}, has missed one: {has_missed}: {seen:?}"
                        ));
                        break;
                    }
                }
                if !has_acted.load(SeqCst) {
                    break;
                }
                moments += 1;
            }
        }
    }
    println!("{moments} moments of a look at which somebody else was at work; {unknown} edits of unknown outcome");
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(moments > 2000 && unknown < moments / 100, "{moments} moments, {unknown} edits of unknown outcome");
}

#[test]
fn a_revision_that_was_retired_is_not_taken_for_an_empty_config() {
    let Scene { disk, .. } = Scene::new();
    let view = View::open_seated(&disk.process().seat(), FILE).unwrap();
    for revision in [0, 1] {
        let found = view.at(revision);
        assert!(matches!(found, Err(Error::NoSuchRevision { oldest: 2, .. })), "revision {revision}: {found:?}");
    }
    assert!(view.at(2).is_ok());
}

#[test]
fn an_edit_of_one_who_lags_is_made_though_the_next_segment_is_removed_as_it_is_opened() {
    let Scene { disk, idle: (process, lagging), other } = Scene::new();
    let edit = || drop(other.1.append(cfgwal::Transaction::new().increment("n", 1)).unwrap());
    for _ in 0..2 {
        edit();
        other.1.compact().unwrap();
    }
    edit();
    let is_removed = Arc::new(AtomicBool::new(false));
    let removed = is_removed.clone();
    let mut has_begun = false;
    other.0.observe(move |seen| {
        if seen.call != Call::Remove || std::mem::replace(&mut has_begun, true) {
            return;
        }
        // The compaction is about to remove it.
        let (disk, removed, mut before) = (disk.clone(), removed.clone(), None);
        process.observe(move |seen| {
            let is_segment = seen.path.to_string_lossy().contains("/wal-");
            let before = before.replace((seen.call, seen.path.to_owned()));
            let was_there = seen.call == Call::Open && before == Some((Call::Stat, seen.path.to_owned()));
            if is_segment && was_there && !removed.swap(true, SeqCst) {
                disk.process().remove_file(seen.path).unwrap();
            }
        });
        lagging.append(Op::set("a", 1)).unwrap();
        process.observe(|_| ());
        assert_eq!(number(&lagging, "a"), 1);
    });
    let _ = other.1.compact();
    other.0.observe(|_| ());
    assert!(is_removed.load(SeqCst), "no proof");
}

#[test]
fn what_a_crash_has_kept_of_retired_files_is_no_damage_and_hides_nothing() {
    let disk = Disk::new();
    let process = disk.process();
    let journal = open(&process);
    journal.append(Op::set("n", 1)).unwrap();
    // Two segments and a snapshot go together with the second compaction.
    Act::Heal(SyncFault::Kept).run(&disk, &process, &journal);
    journal.compact().unwrap();
    journal.append(Op::set("m", 1)).unwrap();
    let (compaction, _) = journal.compact().unwrap();
    assert!(compaction.retired.len() > 2, "{compaction:?}");
    let mut states = 0;
    for image in disk.crash_images(&Limits::default()) {
        let process = Disk::from_image(&image).process();
        let view = View::open_seated(&process.seat(), FILE).unwrap();
        let history = view.history().unwrap();
        let last = history.last().map_or(view.revision(), |entry| entry.revision);
        assert_eq!(last, view.revision(), "state {}", image.id());
        drop(open(&process));
        let report = verify_seated(&process.seat(), FILE).unwrap().unwrap();
        assert!(report.is_clean(), "state {}: {report:?}", image.id());
        states += 1;
    }
    assert!(states > 4, "{states} states");
}
