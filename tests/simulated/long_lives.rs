//! Long lives of a log: several processes that edit, compact and look, by turns of a single call. They are killed, stand
//! still, meet calls that fail and a disk that is full; the power goes, and the machine starts again.
//!
//! A failure prints the seed of its life; `CFGWAL_LIVES` sets how many are tried, from the seed in `CFGWAL_SEED` on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cfgwal::sim::{Call, Disk, DiskImage, FaultPlan, Process, SyncFault, Times, verify_seated};
use cfgwal::{Ack, Behind, Error, FileStatus, Journal, Op, RecoverOptions, View};

use crate::after_crash::Tally;
use crate::chance::{FAILING, cause, cut, locked, options};
use crate::crash_states::on_all_cores;
use crate::dice::Dice;
use crate::ledger::{Kind, Ledger};
use crate::schedules::{Leaving, Turns};

const FILE: &str = "/settings.json";
const SEATS: usize = 4;

/// What all who live at the same time share.
struct Shared {
    ledger: Mutex<Ledger>,
    story: Mutex<Vec<String>>,
    /// Something has failed since the machine was started: edits of others may have gone with it.
    is_troubled: Mutex<bool>,
    /// The power might go at some of the calls that are to come.
    moments: Mutex<Moments>,
}

#[derive(Default)]
struct Moments {
    calls: u64,
    at: Vec<u64>,
    seed: u64,
    taken: Vec<(DiskImage, Ledger)>,
}

impl Shared {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    fn told(&self, what: String) {
        locked(&self.story).push(what);
    }

    /// A call is about to happen.
    fn moment(&self, disk: &Disk) {
        let mut moments = locked(&self.moments);
        moments.calls += 1;
        let calls = moments.calls;
        if moments.at.contains(&calls) {
            let seed = moments.seed.wrapping_add(calls);
            moments.taken.push((cut(disk, seed), self.ledger().clone()));
            self.told(format!("    (moment {calls})"));
        }
    }
}

/// One who has the journal open, or not yet.
struct Life {
    name: usize,
    process: Process,
    journal: Option<Journal>,
    /// Its calls fail.
    is_failing: bool,
    timeout: Duration,
}

impl Life {
    /// Whatever was told to a process that is dead by now counts for nothing.
    fn is_told(&self) -> bool {
        !self.process.is_dead()
    }

    /// What no trouble may lead to, and what nobody meets who has none.
    fn believe(&self, what: &str, error: &Error, shared: &Shared) {
        shared.told(format!("{}   {what}: {error}", self.name));
        let is_troubled = self.is_failing || *locked(&shared.is_troubled);
        match cause(error) {
            Error::Locked { .. } => {}
            Error::ReadOnly { .. } | Error::Io { .. } if is_troubled => {
                let gone =
                    matches!(cause(error), Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
                assert!(!gone, "{what}: {error}");
            }
            Error::Gone { .. } if is_troubled && matches!(error, Error::OutcomeUnknown(_)) => {}
            _ => panic!("{what}: {error:?}"),
        }
    }

    fn set(&self, shared: &Shared, number: u64, outcome: Result<Ack, Error>) {
        if !self.is_told() {
            return shared.ledger().given_up(number);
        }
        match outcome {
            Ok(ack) => {
                shared.told(format!("{}   edit {number} is revision {}", self.name, ack.revision));
                assert!(ack.changed || ack.repeated);
                shared.ledger().acknowledged(number, ack.revision);
            }
            Err(error) => {
                self.believe(&format!("edit {number}"), &error, shared);
                let mut ledger = shared.ledger();
                if matches!(error, Error::OutcomeUnknown(_)) { ledger.given_up(number) } else { ledger.refused(number) }
            }
        }
    }

    /// Do some things, as long as it lives.
    fn live(&mut self, steps: u64, mut dice: Dice, shared: &Shared) {
        for _ in 0..steps {
            if self.is_told() {
                self.act(shared, &mut dice);
            }
        }
        if !self.is_told() {
            shared.told(format!("{} is dead", self.name));
            self.journal = None;
        }
        self.process.observe(|_| ());
        self.process.on_wait(|| ());
    }

    fn act(&mut self, shared: &Shared, dice: &mut Dice) {
        let floor = shared.ledger().floor();
        let seat = self.process.seat();
        let what = dice.below(32);
        if let Some(journal) = self.journal.take_if(|_| what < 24) {
            shared.told(format!("{}: {what}", self.name));
            self.work(what, &journal, shared, dice);
            if self.journal_is_done(what) {
                self.close(what, journal, shared)
            } else {
                self.journal = Some(journal)
            }
            return;
        }
        match what {
            0..24 => {
                shared.told(format!("{}: open", self.name));
                match options(&self.process, self.timeout).open(FILE) {
                    Ok(journal) => self.journal = Some(journal),
                    Err(_) if !self.is_told() => {}
                    Err(error) => self.believe("open", &error, shared),
                }
            }
            24..=26 => {
                shared.told(format!("{}: view", self.name));
                match View::open_seated(&seat, FILE) {
                    _ if !self.is_told() => {}
                    Ok(view) => self.look(&view, floor, shared, dice),
                    Err(error) => self.believe("view", &error, shared),
                }
            }
            27 => {
                shared.told(format!("{}: dry run", self.name));
                match Journal::plan_recovery_seated(&seat, FILE) {
                    _ if !self.is_told() => {}
                    Ok(plan) => {
                        let plan = plan.expect("there is a journal");
                        assert!(plan.damage().is_none() && plan.findings().is_empty(), "{plan}");
                        assert!(plan.revision() >= floor, "{floor} is durable: {plan}");
                    }
                    Err(error) => self.believe("dry run", &error, shared),
                }
            }
            28 => {
                shared.told(format!("{}: verify", self.name));
                match verify_seated(&seat, FILE) {
                    _ if !self.is_told() => {}
                    Ok(report) => {
                        let report = report.expect("there is a journal");
                        assert!(report.is_clean(), "{report:?}");
                        assert!(report.revision >= floor, "{floor} is durable: {report:?}");
                        shared.ledger().vouched(report.revision);
                    }
                    Err(error) => self.believe("verify", &error, shared),
                }
            }
            29 => {
                shared.told(format!("{}: recover", self.name));
                let mut how = RecoverOptions::default();
                how.lock_timeout = self.timeout;
                match Journal::recover_seated(options(&self.process, self.timeout), FILE, &how) {
                    _ if !self.is_told() => {}
                    Ok((plan, _)) => assert!(plan.damage().is_none() && plan.revision() >= floor, "{plan}"),
                    Err(error) => self.believe("recover", &error, shared),
                }
            }
            _ => {
                let floor = shared.ledger().shown();
                if let Ok(text) = self.process.read_file(FILE) {
                    shared.ledger().file_shows(floor, &String::from_utf8(text).unwrap());
                }
            }
        }
    }

    fn journal_is_done(&self, what: u64) -> bool {
        self.process.is_dead() || matches!(what, 21..=23)
    }

    fn close(&self, what: u64, journal: Journal, shared: &Shared) {
        if what == 21 {
            return drop(journal);
        }
        match journal.close() {
            _ if !self.is_told() => {}
            Ok(status) => self.status(&status, shared),
            Err(error) => self.believe("close", &error, shared),
        }
    }

    fn status(&self, status: &FileStatus, shared: &Shared) {
        shared.told(format!("{}   {status:?}", self.name));
        match status {
            FileStatus::Current { revision } => shared.ledger().vouched(*revision),
            FileStatus::Behind { why: Behind::Pending, .. } => {}
            FileStatus::Behind { why: Behind::Failed(why), .. } if why.contains("is locked") => {}
            FileStatus::Behind { why, .. } => {
                assert!(self.is_failing || *locked(&shared.is_troubled), "{why}");
            }
        }
    }

    /// What is done with an open journal.
    fn work(&self, what: u64, journal: &Journal, shared: &Shared, dice: &mut Dice) {
        let kind = match dice.below(16) {
            0..=6 => Kind::Plain,
            7..=13 => Kind::Several,
            _ => Kind::Long(dice.below(60_000) as usize),
        };
        let begin = || {
            let mut ledger = shared.ledger();
            let number = ledger.begin(kind);
            (number, ledger.edit(number))
        };
        match what {
            0..=6 => {
                let (number, edit) = begin();
                self.set(shared, number, journal.append(edit));
            }
            7..=9 => {
                let count = 2 + dice.below(4);
                let pending: Vec<_> =
                    (0..count).map(|_| begin()).map(|(number, edit)| (number, journal.submit(edit))).collect();
                for (number, pending) in pending {
                    self.set(shared, number, pending.and_then(cfgwal::Pending::wait));
                }
            }
            10 | 11 => {
                let floor = shared.ledger().floor();
                let expected = if what == 10 { floor } else { dice.below(floor + 3) };
                let (number, edit) = begin();
                match journal.append_expecting(edit, Some(expected)) {
                    Err(Error::Revision { found, .. }) if self.is_told() => {
                        assert!(found >= floor && found != expected, "{found} is found, {floor} is durable");
                        let mut ledger = shared.ledger();
                        ledger.refused(number);
                        ledger.vouched(found);
                    }
                    outcome => {
                        if let (Ok(ack), true) = (&outcome, self.is_told()) {
                            assert_eq!(ack.revision, expected + 1);
                        }
                        self.set(shared, number, outcome);
                    }
                }
            }
            12 | 13 => self.set_once(journal, shared, begin()),
            14 => {
                let (number, floor, is_known) = {
                    let ledger = shared.ledger();
                    let number = 1 + dice.below(ledger.edits().max(1));
                    (number, ledger.floor(), ledger.is_known(number))
                };
                match journal.append(Op::test(format!("e{number}").as_str(), number)) {
                    _ if !self.is_told() => {}
                    Ok(ack) => {
                        assert!(!ack.changed && ack.revision >= floor, "{ack:?} where {floor} is durable");
                        shared.ledger().vouched(ack.revision);
                    }
                    Err(Error::Refused(_)) => assert!(!is_known, "edit {number} is durable"),
                    Err(error) => self.believe("test", &error, shared),
                }
            }
            15..=17 => match journal.compact() {
                _ if !self.is_told() => {}
                Ok((compaction, status)) => {
                    shared.ledger().vouched(compaction.revision);
                    self.status(&status, shared);
                }
                Err(error) => self.believe("compact", &error, shared),
            },
            18 => match journal.materialise() {
                _ if !self.is_told() => {}
                Ok(status) => self.status(&status, shared),
                Err(error) => self.believe("materialise", &error, shared),
            },
            19 | 20 => {
                let floor = shared.ledger().floor();
                match journal.snapshot() {
                    _ if !self.is_told() => {}
                    Ok(found) => shared.ledger().seen(floor, found.revision(), &found.state().root().to_string()),
                    Err(error) => self.believe("snapshot", &error, shared),
                }
            }
            23 => {
                let (number, edit) = begin();
                self.set(shared, number, journal.append_last(edit, None));
            }
            _ => {}
        }
    }

    /// With a key that counts once, an edit whose outcome is not known can be made again.
    fn set_once(&self, journal: &Journal, shared: &Shared, (number, edit): (u64, cfgwal::Transaction)) {
        let edit = edit.idempotent(format!("key {number}"));
        let mut outcome = journal.append(edit.clone());
        for _ in 0..2 {
            if !self.is_told() || !matches!(outcome, Err(Error::OutcomeUnknown(_))) {
                break;
            }
            let Ok(again) = options(&self.process, self.timeout).open(FILE) else { break };
            match again.append(edit.clone()) {
                // What came of the first one is as unknown as before.
                Err(Error::NotApplied(_)) => {}
                other => outcome = other,
            }
        }
        self.set(shared, number, outcome);
    }

    fn look(&self, view: &View, floor: u64, shared: &Shared, dice: &mut Dice) {
        assert!(view.damage().is_none(), "{:?}", view.damage());
        assert!(view.hand_edit().is_none(), "{:?}", view.file_status());
        shared.ledger().seen(floor, view.revision(), &view.state().root().to_string());
        let older = dice.below(view.revision() + 1);
        match view.at(older) {
            _ if !self.is_told() => {}
            Ok(state) => drop(shared.ledger().judge(older, &state.root().to_string())),
            Err(Error::NoSuchRevision { .. }) => {}
            Err(error) => self.believe("an older revision", &error, shared),
        }
        match view.history() {
            _ if !self.is_told() => {}
            Ok(entries) => {
                let revisions: Vec<_> = entries.iter().map(|entry| entry.revision).collect();
                assert!(revisions.windows(2).all(|two| two[1] == two[0] + 1), "{revisions:?}");
                if let Some(last) = revisions.last() {
                    assert!(*last >= view.revision(), "{revisions:?}");
                }
            }
            Err(error) => self.believe("the history", &error, shared),
        }
    }
}

struct World {
    disk: Disk,
    dice: Dice,
    lives: Vec<Life>,
    shared: Arc<Shared>,
}

impl World {
    fn new(seed: u64) -> World {
        let disk = Disk::seeded(seed);
        let shared = Shared {
            ledger: Mutex::default(),
            story: Mutex::default(),
            is_troubled: Mutex::new(false),
            moments: Mutex::default(),
        };
        let mut world = World { disk, dice: Dice::seeded(seed), lives: Vec::new(), shared: Arc::new(shared) };
        world.populate();
        drop(options(&world.disk.process(), Duration::from_secs(5)).open(FILE).unwrap());
        world
    }

    fn populate(&mut self) {
        self.lives.clear();
        self.lives.extend((0..SEATS).map(|name| newborn(name, &self.disk)));
    }

    /// What goes wrong with one process in this phase.
    fn trouble(&mut self) -> Option<FaultPlan> {
        let dice = &mut self.dice;
        let within = dice.of(&[20, 60, 200]);
        let nth = 1 + dice.below(within);
        let errno = dice.of(&[libc::EIO, libc::ENOSPC, libc::EDQUOT]);
        let times = dice.of(&[Times::Once, Times::Once, Times::Forever]);
        let fault = dice.of(&[SyncFault::Lost, SyncFault::Reverted, SyncFault::Kept]);
        let plan = FaultPlan::new();
        Some(match dice.below(20) {
            0..=2 => plan.fail_only(&[Call::Sync], 1 + nth % 6, errno, times).on_sync(fault),
            3 => plan.fail_only(&[Call::SyncDir], 1 + nth % 4, errno, times),
            4 => plan.fail_only(FAILING, nth, errno, times).on_sync(fault),
            5 => plan.fail_only(Call::GROWING, nth % 12 + 1, libc::ENOSPC, times).on_sync(fault),
            6 => plan.short_write(1 + nth % 8, dice.below(200) as usize, Times::Once).fail_only(
                &[Call::Write],
                2 + nth % 8,
                errno,
                times,
            ),
            _ => return None,
        })
    }

    fn killing(&mut self) -> Option<(u64, usize)> {
        let within = self.dice.of(&[15, 60, 250]);
        let (call, done) = (1 + self.dice.below(within), self.dice.of(&[0, 0, 9, 50, 130, 5000]));
        (self.dice.below(3) == 0).then_some((call, done))
    }

    /// When the power might go while so many are at work.
    fn draw_moments(&mut self, count: usize) {
        let at = if self.dice.below(2) == 0 {
            (0..2).map(|_| 1 + self.dice.below(100 * count as u64)).collect()
        } else {
            Vec::new()
        };
        *locked(&self.shared.moments) = Moments { at, seed: self.dice.next(), ..Moments::default() };
    }

    /// One joins in, with what is to happen to it.
    fn join(&mut self, at: usize, turns: &Arc<Turns>) {
        let trouble = self.trouble();
        let is_failing = trouble.is_some();
        *locked(&self.shared.is_troubled) |= is_failing;
        let mut plan = trouble.unwrap_or_default();
        if let Some((call, done)) = self.killing() {
            plan = plan.kill_in_write(call, done);
        }
        if self.dice.below(8) == 0 {
            plan = plan.kill_at_touch(1 + self.dice.below(400));
        }
        let stop = (self.dice.below(4) == 0).then(|| (1 + self.dice.below(60), self.dice.of(&[10, 100, 1000, 4000])));
        // Killed inside its n-th write into the log.
        let mut torn =
            (self.dice.below(6) == 0).then(|| (1 + self.dice.below(5), self.dice.of(&[1, 9, 50, 130, 5000])));
        let life = &mut self.lives[at];
        life.is_failing = is_failing;
        life.timeout = self.dice.of(&[Duration::from_millis(50), Duration::from_secs(5)]);
        self.shared.told(format!("{} joins: {plan:?}, stops {stop:?}, torn {torn:?}", life.name));
        life.process.set_plan(plan);
        let (here, waiting, shared, disk) = (turns.clone(), turns.clone(), self.shared.clone(), self.disk.clone());
        let victim = life.process.clone();
        life.process.observe(move |seen| {
            shared.moment(&disk);
            if let Some((left, done)) = &mut torn
                && seen.call == Call::Write
                && seen.path.to_string_lossy().contains("wal-")
            {
                *left -= 1;
                if *left == 0 {
                    victim.set_plan(FaultPlan::new().kill_in_write(1, *done));
                }
            }
            if let Some((call, turns)) = stop
                && seen.number == call
            {
                (0..turns).for_each(|_| here.pass(at, true));
            }
            here.pass(at, false);
        });
        life.process.on_wait(move || waiting.pass(at, true));
    }

    /// Some of the processes do some things, by turns.
    fn phase(&mut self) {
        let count = 1 + self.dice.below(SEATS as u64) as usize;
        let turns = Arc::new(Turns::new(count, self.dice.below(1 << 32)));
        self.lives.rotate_left(self.dice.below(SEATS as u64) as usize);
        self.draw_moments(count);
        (0..count).for_each(|at| self.join(at, &turns));
        let jobs: Vec<_> = (0..count).map(|_| (1 + self.dice.below(5), self.dice.fork())).collect();
        let (shared, turns) = (&*self.shared, &*turns);
        std::thread::scope(|scope| {
            let work = |(at, (life, (steps, dice))): (usize, (&mut Life, (u64, Dice)))| {
                turns.wait_for_first(at);
                let _leaving = Leaving(turns, at);
                life.live(steps, dice, shared);
            };
            let each = self.lives.iter_mut().zip(jobs).enumerate();
            let threads: Vec<_> = each.map(|job| scope.spawn(move || work(job))).collect();
            for thread in threads {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
        for life in &mut self.lives[..count] {
            life.process.set_plan(FaultPlan::new());
            life.is_failing = false;
            if life.process.is_dead() {
                life.process.kill();
                *life = newborn(life.name, &self.disk);
            }
        }
    }

    /// Someone without trouble comes and finds what was promised; work goes on.
    fn check(&mut self) {
        let mut life = newborn(9, &self.disk);
        self.shared.told("check".to_owned());
        let floor = self.shared.ledger().floor();
        let plan = Journal::plan_recovery_seated(&life.process.seat(), FILE).unwrap().unwrap();
        assert!(plan.damage().is_none() && plan.revision() >= floor, "{plan}");
        let journal = options(&life.process, life.timeout).open(FILE).unwrap();
        let found = journal.snapshot().unwrap();
        self.shared.ledger().seen(floor, found.revision(), &found.state().root().to_string());
        let (number, edit) = {
            let mut ledger = self.shared.ledger();
            let number = ledger.begin(Kind::Several);
            (number, ledger.edit(number))
        };
        let ack = journal.append(edit).unwrap();
        self.shared.ledger().acknowledged(number, ack.revision);
        let floor = ack.revision;
        let status = journal.materialise().unwrap();
        let is_kept_back = matches!(status, FileStatus::Behind { why: Behind::SyncFailed, .. });
        if !is_kept_back {
            assert_eq!(status, FileStatus::Current { revision: floor });
            self.shared.ledger().file_shows(floor, &String::from_utf8(self.disk.read(FILE).unwrap()).unwrap());
        }
        let report = verify_seated(&life.process.seat(), FILE).unwrap().unwrap();
        assert!(report.is_clean() && report.revision == floor, "{report:?}");
        life.journal = Some(journal);
        life.look(&View::open_seated(&life.process.seat(), FILE).unwrap(), floor, &self.shared, &mut self.dice);
        if self.dice.below(2) == 0 {
            life.process.kill();
        }
    }

    /// What a power cut left at some moment is recovered, and holds what was promised by then.
    fn recovered(&mut self, image: &DiskImage, ledger: &mut Ledger) -> Disk {
        let disk = Disk::from_image(image);
        disk.set_rules(|rules| rules.capacity = None);
        let process = disk.process();
        let before = disk.generation();
        let plan = Journal::plan_recovery_seated(&process.seat(), FILE).unwrap().expect("there is a journal");
        let floor = ledger.floor();
        assert!(plan.damage().is_none() && plan.findings().is_empty() && plan.revision() >= floor, "{floor}: {plan}");
        if self.dice.below(2) == 0 {
            let view = View::open_seated(&process.seat(), FILE).unwrap();
            ledger.seen(floor, view.revision(), &view.state().root().to_string());
            let last = view.history().unwrap().last().map(|entry| entry.revision);
            assert!(last.is_none_or(|last| last == view.revision()), "{last:?} of {}", view.revision());
        }
        assert_eq!(disk.generation(), before, "who looks writes nothing");
        let timeout = Duration::from_secs(5);
        if self.dice.below(2) == 0 {
            let (done, _) =
                Journal::recover_seated(options(&process, timeout), FILE, &RecoverOptions::default()).unwrap();
            assert_eq!(done.to_string(), plan.to_string());
            let again = Journal::plan_recovery_seated(&process.seat(), FILE).unwrap().unwrap();
            assert!(again.is_clean(), "after\n{plan}\nthere is still\n{again}");
        }
        let journal = options(&process, timeout).open(FILE).unwrap();
        let found = journal.snapshot().unwrap();
        assert_eq!(found.revision(), plan.revision(), "{plan}");
        let text = found.state().root().to_string();
        ledger.seen(floor, found.revision(), &text);
        ledger.restarted(&text);
        assert_eq!(journal.close().unwrap(), FileStatus::Current { revision: found.revision() });
        if let Ok(file) = disk.read(FILE) {
            ledger.file_shows(found.revision(), &String::from_utf8(file).unwrap());
        }
        let report = verify_seated(&process.seat(), FILE).unwrap().unwrap();
        assert!(report.is_clean() && report.revision == found.revision(), "{report:?}");
        process.kill();
        disk
    }

    /// Power cuts at the moments of the last phase; perhaps one of them is what has happened.
    fn cuts(&mut self) {
        let mut taken = std::mem::take(&mut locked(&self.shared.moments).taken);
        if self.dice.below(4) == 0 {
            taken.push((cut(&self.disk, self.dice.next()), self.shared.ledger().clone()));
        }
        let count = taken.len();
        for (at, (image, mut ledger)) in taken.into_iter().enumerate() {
            self.shared.told(format!("power cut {}", image.id()));
            let disk = self.recovered(&image, &mut ledger);
            if at + 1 == count && self.dice.below(2) == 0 {
                self.shared.told("and so it is".to_owned());
                self.end();
                self.disk = disk;
                self.populate();
                *self.shared.ledger() = ledger;
                *locked(&self.shared.is_troubled) = false;
            }
        }
    }

    fn end(&mut self) {
        for life in &mut self.lives {
            life.process.kill();
            life.journal = None;
        }
    }

    fn run(&mut self) {
        for _ in 0..2 + self.dice.below(10) {
            let is_full = self.dice.below(16) == 0;
            if is_full {
                let room = self.dice.of(&[150_000, 300_000, 450_000]);
                self.shared.told(format!("room for {room}"));
                *locked(&self.shared.is_troubled) = true;
                self.disk.set_rules(|rules| rules.capacity = Some(room));
            }
            self.phase();
            if is_full {
                self.disk.set_rules(|rules| rules.capacity = None);
            }
            self.cuts();
            if self.dice.below(3) == 0 {
                self.check();
            }
        }
        self.check();
        self.cuts();
    }
}

fn newborn(name: usize, disk: &Disk) -> Life {
    Life { name, process: disk.process(), journal: None, is_failing: false, timeout: Duration::from_secs(5) }
}

fn live(seed: u64) {
    let mut world = World::new(seed);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    world.end();
    if let Err(why) = outcome {
        let story = locked(&world.shared.story);
        println!("CFGWAL_SEED={seed} CFGWAL_LIVES=1 replays this:\n{}", story.join("\n"));
        resume_unwind(why);
    }
}

#[test]
fn whatever_happens_in_a_long_life_every_promise_is_kept() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (first, count) = (number("CFGWAL_SEED", 0), number("CFGWAL_LIVES", 150));
    let seeds: Vec<u64> = (first..first + count).collect();
    let _ = on_all_cores(&seeds, |seed| {
        live(*seed);
        Tally::default()
    });
    println!("{count} long lives");
}
