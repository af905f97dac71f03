//! Several processes find a config file without a journal at once, by turns of a single call: they are killed, stand still,
//! meet calls that fail and a disk that is full, a person saves, and the power may go at any call.
//!
//! A failure prints its seed; `CFGWAL_BEGINNINGS` sets how many are tried, from the seed in `CFGWAL_SEED` on.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cfgwal::sim::{Call, Disk, DiskImage, FaultPlan, Process, SyncFault, Times, verify_seated};
use cfgwal::{Error, FileStatus, Journal, Op, View};

use crate::after_crash::Tally;
use crate::chance::{FAILING, cause, cut, locked, options};
use crate::crash_states::on_all_cores;
use crate::dice::Dice;
use crate::schedules::{Leaving, Turns};

const FILE: &str = "/settings.json";
/// Another name of the same file.
const OTHER: &str = "/other.json";
const TIMEOUT: Duration = Duration::from_millis(200);

/// By key: `Some(true)` acknowledged, `Some(false)` called off, `None` unknown.
type Outcomes = BTreeMap<String, Option<bool>>;

/// What all who come share.
#[derive(Default)]
struct Shared {
    outcomes: Mutex<Outcomes>,
    /// What stands in the file by hand.
    hand: Mutex<Option<u64>>,
    story: Mutex<Vec<String>>,
    /// What power cuts would leave, and what was known by then.
    images: Mutex<Vec<(DiskImage, Outcomes)>>,
}

impl Shared {
    fn told(&self, what: String) {
        locked(&self.story).push(what);
    }
}

/// One who comes to the file.
struct Comer {
    name: usize,
    process: Process,
    dice: Dice,
    /// Something fails, for this one or for another.
    is_troubled: bool,
    /// The others may go on for long without it.
    stands_still: bool,
}

impl Comer {
    /// What no trouble may lead to, and what nobody meets who has none.
    fn believe(&self, what: &str, error: &Error, shared: &Shared) {
        shared.told(format!("{} {what}: {error}", self.name));
        match cause(error) {
            _ if self.process.is_dead() => {}
            Error::Locked { .. } => {}
            Error::Io { source, .. } if self.is_troubled => {
                assert_ne!(source.kind(), std::io::ErrorKind::NotFound, "{what}: {error}");
            }
            Error::ReadOnly { .. } | Error::Gone { .. } if self.is_troubled => {}
            // The log in which its edit lay may be left and folded together.
            Error::Io { source, .. } if self.stands_still && matches!(error, Error::OutcomeUnknown(_)) => {
                assert_ne!(source.kind(), std::io::ErrorKind::NotFound, "{what}: {error}");
            }
            _ => panic!("{} {what}: {error:?}", self.name),
        }
    }

    fn come(&mut self, shared: &Shared) {
        for round in 0..1 + self.dice.below(3) {
            if self.dice.below(4) == 0 {
                self.look(shared);
            }
            match options(&self.process, TIMEOUT).open(FILE) {
                Ok(journal) => self.work(round, journal, shared),
                Err(error) => self.believe("open", &error, shared),
            }
        }
    }

    fn look(&self, shared: &Shared) {
        match View::open_seated(&self.process.seat(), FILE) {
            Ok(view) => assert!(self.process.is_dead() || view.damage().is_none(), "{:?}", view.damage()),
            Err(Error::Missing { .. }) => {}
            Err(error) => self.believe("view", &error, shared),
        }
    }

    fn work(&mut self, round: u64, journal: Journal, shared: &Shared) {
        for n in 0..1 + self.dice.below(2) {
            self.set(&format!("p{}r{round}n{n}", self.name), &journal, shared);
        }
        let done = match self.dice.below(4) {
            0 => journal.compact().map(drop),
            1 => return,
            _ => journal.close().map(drop),
        };
        if let Err(error) = done {
            self.believe("compact or close", &error, shared);
        }
    }

    fn set(&mut self, key: &str, journal: &Journal, shared: &Shared) {
        if self.process.is_dead() {
            return;
        }
        locked(&shared.outcomes).insert(key.to_owned(), None);
        let op = Op::set(key, 1);
        let told = if self.dice.below(2) == 0 { journal.append(op) } else { journal.append_last(op, None) };
        if let Err(error) = &told {
            self.believe(key, error, shared);
        }
        let outcome = match told {
            // A dead process cannot be told anything.
            _ if self.process.is_dead() => None,
            Ok(_) => Some(true),
            Err(Error::OutcomeUnknown(_)) => None,
            Err(_) => Some(false),
        };
        shared.told(format!("{} {key}: {outcome:?}", self.name));
        locked(&shared.outcomes).insert(key.to_owned(), outcome);
    }
}

/// A disk with its rules, and what happens there.
struct World {
    disk: Disk,
    person: Process,
    dice: Dice,
    shared: Arc<Shared>,
    has_file: bool,
    /// It is written over where it lies.
    stays: bool,
    /// Either a person saves, or the power may go: a save need not be on the disk.
    saves: bool,
    is_full: bool,
}

impl World {
    fn new(seed: u64, shared: &Arc<Shared>) -> World {
        let (mut dice, disk) = (Dice::seeded(seed), Disk::seeded(seed));
        let person = disk.process();
        let (has_file, rule) = (dice.below(3) != 0, dice.below(12));
        disk.set_rules(|rules| {
            rules.timestamp_tick = Duration::from_nanos(1);
            (rules.leases, rules.exchange, rules.nameless) = (rule != 0, rule != 1, rule != 2);
        });
        if has_file {
            person.write_file(FILE, "{\n  \"hand\": 1\n}\n").unwrap();
        }
        if has_file && rule == 3 {
            person.link_file(FILE, OTHER).unwrap();
        }
        disk.settle();
        *locked(&shared.hand) = has_file.then_some(1);
        let is_full = dice.below(6) == 0;
        let room = dice.of(&[40_000, 72_000, 76_000, 80_000, 120_000, 176_000, 190_000, 250_000]);
        if is_full {
            disk.set_rules(|rules| rules.capacity = Some(room));
        }
        let saves = has_file && rule > 3 && dice.below(3) == 0;
        shared.told(format!("rule {rule}, file {has_file}, saves {saves}, room {:?}", is_full.then_some(room)));
        let stays = rule == 1 || rule == 3;
        World { disk, person, dice, shared: shared.clone(), has_file, stays, saves, is_full }
    }

    /// What goes wrong with one of them, if anything fails.
    fn trouble(&mut self) -> Option<FaultPlan> {
        let dice = &mut self.dice;
        let within = dice.of(&[10, 40, 120]);
        let nth = 1 + dice.below(within);
        let errno = dice.of(&[libc::EIO, libc::ENOSPC, libc::EDQUOT, libc::EMFILE, libc::ENOMEM]);
        let times = dice.of(&[Times::Once, Times::Once, Times::Forever]);
        let fault = dice.of(&[SyncFault::Lost, SyncFault::Reverted, SyncFault::Kept]);
        let plan = FaultPlan::new().on_sync(fault);
        match dice.below(10) {
            // After a failed sync of a file that is written over, only the next boot tells what the disk holds.
            _ if self.stays => None,
            0..=2 => Some(plan.fail_only(FAILING, nth, errno, times)),
            3 => Some(plan.fail_only(&[Call::Sync, Call::SyncDir], 1 + nth % 20, errno, times)),
            4 => Some(plan.fail_only(Call::GROWING, nth, libc::ENOSPC, times)),
            _ => None,
        }
    }

    fn comer(&mut self, name: usize, turns: &Arc<Turns>) -> Comer {
        let process = self.disk.process();
        let trouble = self.trouble();
        let is_troubled = trouble.is_some();
        let mut plan = trouble.unwrap_or_default();
        if self.dice.below(3) == 0 {
            let within = self.dice.of(&[15, 60, 250]);
            plan = plan.kill_in_write(1 + self.dice.below(within), self.dice.of(&[0, 0, 9, 130, 5000]));
        }
        let stop = (self.dice.below(3) == 0).then(|| (1 + self.dice.below(90), self.dice.of(&[10, 100, 1000])));
        self.shared.told(format!("{name}: {plan:?}, stops {stop:?}"));
        process.set_plan(plan);
        let (mut save, mut cut) = (self.save(name), self.cut());
        let (here, waiting) = (turns.clone(), turns.clone());
        process.observe(move |seen| {
            save(seen.number);
            cut(seen.number);
            if let Some((_, turns)) = stop.filter(|(call, _)| *call == seen.number) {
                (0..turns).for_each(|_| here.pass(name, true));
            }
            here.pass(name, false);
        });
        process.on_wait(move || waiting.pass(name, true));
        Comer { name, process, dice: self.dice.fork(), is_troubled, stands_still: stop.is_some() }
    }

    /// A person may save before a call of the first who comes: on what the file shows, as an editor that reads and writes in
    /// one go.
    fn save(&mut self, name: usize) -> impl FnMut(u64) + use<> {
        let at = (self.saves && name == 0).then(|| 1 + self.dice.below(150));
        let (person, disk, shared) = (self.person.clone(), self.disk.clone(), self.shared.clone());
        move |number| {
            if at != Some(number) {
                return;
            }
            let Ok(text) = person.read_file(FILE) else { return };
            let text = String::from_utf8(text).unwrap().replace("\"hand\": 1", "\"hand\": 2");
            if person.replace_file(FILE, text, true).is_ok() {
                disk.settle();
                *locked(&shared.hand) = Some(2);
                shared.told(format!("    saved before call {number} of {name}"));
            }
        }
    }

    /// The power might go before some calls of one of them.
    fn cut(&mut self) -> impl FnMut(u64) + use<> {
        // What a power cut leaves of a file that is written over may be for a person to judge.
        let count = if self.saves || self.stays { 0 } else { 2 };
        let at: Vec<u64> = (0..count).map(|_| 1 + self.dice.below(200)).collect();
        let (mut draw, disk, shared) = (self.dice.fork(), self.disk.clone(), self.shared.clone());
        move |number| {
            if !at.contains(&number) || std::thread::panicking() {
                return;
            }
            let known = locked(&shared.outcomes).clone();
            locked(&shared.images).push((cut(&disk, draw.next()), known));
        }
    }

    fn run(&mut self) {
        let count = 1 + self.dice.below(3) as usize;
        let turns = Arc::new(Turns::new(count, self.dice.below(1 << 32)));
        let mut comers: Vec<_> = (0..count).map(|name| self.comer(name, &turns)).collect();
        let is_troubled = self.is_full || comers.iter().any(|comer| comer.is_troubled);
        let (shared, turns) = (&*self.shared, &*turns);
        std::thread::scope(|scope| {
            let each = comers.iter_mut().map(|comer| {
                comer.is_troubled = is_troubled;
                scope.spawn(move || {
                    turns.wait_for_first(comer.name);
                    let _leaving = Leaving(turns, comer.name);
                    comer.come(shared);
                    comer.process.observe(|_| ());
                    comer.process.on_wait(|| ());
                })
            });
            let threads: Vec<_> = each.collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        });
        comers.iter().for_each(|comer| comer.process.kill());
        self.judge();
    }

    fn judge(&self) {
        let (outcomes, hand) = (locked(&self.shared.outcomes).clone(), *locked(&self.shared.hand));
        for (image, mut known) in std::mem::take(&mut *locked(&self.shared.images)) {
            // Nobody had begun with these.
            for key in outcomes.keys() {
                known.entry(key.clone()).or_insert(Some(false));
            }
            check(&Disk::from_image(&image), &known, hand, &format!("after a power cut, {}", image.id()));
        }
        if !self.saves && !self.stays {
            check(&Disk::from_image(&self.disk.durable_image()), &outcomes, hand, "after a power cut in the end");
        }
        assert_eq!(self.has_file, hand.is_some());
        check(&self.disk, &outcomes, hand, "in the end");
    }
}

/// Everything that was promised is there, the file shows it, and nothing lies about.
fn check(disk: &Disk, outcomes: &Outcomes, hand: Option<u64>, what: &str) {
    disk.set_rules(|rules| rules.capacity = None);
    let process = disk.process();
    let journal = options(&process, TIMEOUT).open(FILE).unwrap_or_else(|error| panic!("{what}: {error}"));
    journal.append(Op::set("after", 1)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let status = journal.materialise().unwrap();
    assert!(matches!(status, FileStatus::Current { .. }), "{what}: {status:?}");
    for (key, outcome) in outcomes {
        let there = journal.get::<u64>(key.as_str()).unwrap().is_some();
        assert!(outcome.is_none_or(|outcome| outcome == there), "{what}: {key} is {there}: {outcomes:?}");
    }
    journal.close().unwrap();
    let report = verify_seated(&process.seat(), FILE).unwrap().unwrap();
    assert!(report.is_clean(), "{what}: {report:?}");
    let text: serde_json::Value = serde_json::from_slice(&disk.read(FILE).unwrap()).unwrap();
    assert_eq!((text["after"].as_u64(), text["hand"].as_u64()), (Some(1), hand), "{what}: {text}");
    // Of a person's save that found no room a part is left.
    let is_known = |name: &String| {
        name.contains(".save-") || [FILE, "/settings.json.cfgwal", OTHER].contains(&&*format!("/{name}"))
    };
    let names = process.names("/").unwrap();
    assert!(names.iter().all(is_known), "{what}: {names:?}");
    process.kill();
}

#[test]
fn whoever_comes_first_to_a_file_without_a_journal_nothing_is_lost_and_all_is_whole() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (first, count) = (number("CFGWAL_SEED", 0), number("CFGWAL_BEGINNINGS", 400));
    let seeds: Vec<u64> = (first..first + count).collect();
    let _ = on_all_cores(&seeds, |seed| {
        let shared = Arc::default();
        let mut world = World::new(*seed, &shared);
        if let Err(why) = catch_unwind(AssertUnwindSafe(|| world.run())) {
            println!("CFGWAL_SEED={seed} CFGWAL_BEGINNINGS=1 replays this:\n{}", locked(&shared.story).join("\n"));
            resume_unwind(why);
        }
        Tally::default()
    });
    println!("{count} beginnings");
}
