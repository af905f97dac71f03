//! Two processes take turns on one disk. At every call of the last turn the power goes, or the one at work is killed, or suspended
//! while the other works, or its sync fails; the other goes on, and then the power goes all the same.
//!
//! Both count: each edit adds one to its process's own number, so what is there tells which edits are. A failure
//! prints `CFGWAL_TWO='...'`: with that in the environment, `cargo test --test simulated two_processes -- --nocapture`
//! tries these turns and this trouble alone. `CFGWAL_TURNS` sets how many turns there are; 2 unless set.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Call, Disk, FaultPlan, Limits, Process, SyncFault, Times};
use cfgwal::{Ack, Error, FileStatus, Journal, Op, Transaction};

use crate::after_crash::{At, FEW, Known, Tally, Truth, boot_if_new, crash_meanwhile, open, timeless_disk};
use crate::crash_states::on_all_cores;

const KEYS: [&str; 2] = ["p0", "p1"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Edit,
    Compact,
    Materialise,
    /// Opens the journal once more, and closes that again.
    Open,
    /// Opens it once more, makes one edit, and closes that again.
    Last,
}

/// What happens at a call of the last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The power goes.
    Cut,
    /// The process is killed.
    Killed,
    /// The process stands still while the other one works, for as long as that takes.
    Suspended,
    /// A sync fails; the call is the number of the sync.
    Sync(SyncFault),
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Cut,
    Trouble::Killed,
    Trouble::Suspended,
    Trouble::Sync(SyncFault::Lost),
    Trouble::Sync(SyncFault::Reverted),
    Trouble::Sync(SyncFault::Kept),
];

/// Turns, as `0e1c`: process 0 edits, process 1 compacts.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Turns(Vec<(usize, What)>);

impl fmt::Display for Turns {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |what| match what {
            What::Edit => 'e',
            What::Compact => 'c',
            What::Materialise => 'm',
            What::Open => 'o',
            What::Last => 'l',
        };
        self.0.iter().try_for_each(|(who, what)| write!(out, "{who}{}", letter(*what)))
    }
}

fn all_turns(most: usize) -> Vec<Turns> {
    let whats = [What::Edit, What::Compact, What::Materialise, What::Open, What::Last];
    let letters = [0, 1].into_iter().flat_map(|who| whats.map(|what| (who, what)));
    let letters: Vec<_> = letters.collect();
    let mut all: Vec<Turns> = vec![Turns(Vec::new())];
    let mut from = 0;
    for _ in 0..most {
        let shorter = all[from..].to_vec();
        from = all.len();
        let longer = |turns: Turns| {
            letters.clone().into_iter().map(move |letter| Turns(turns.0.iter().copied().chain([letter]).collect()))
        };
        all.extend(shorter.into_iter().flat_map(longer));
    }
    all.split_off(1)
}

/// Edits of each process: begun, and acknowledged.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    begun: [u64; 2],
    acknowledged: [u64; 2],
    shown: Option<u64>,
}

impl Counts {
    fn truth(&self) -> Truth {
        let [done0, done1] = self.acknowledged;
        let acknowledged = 1 + done0 + done1;
        let mut history = vec![At { revision: 0, state: "{}".into() }];
        for n in 0..=self.begun[0] {
            for m in 0..=self.begun[1] {
                let revision = 1 + n + m;
                // What is older may still be in the config file, but not in the log.
                if (n >= done0 && m >= done1) || revision < acknowledged {
                    history.push(At { revision, state: format!("{{\"p0\":{n},\"p1\":{m}}}") });
                }
            }
        }
        Truth { history, acknowledged, shown: self.shown }
    }
}

#[derive(Clone)]
struct World {
    disk: Disk,
    processes: [Process; 2],
    journals: [Journal; 2],
    counts: Arc<Mutex<Counts>>,
}

impl World {
    fn new() -> World {
        let disk = timeless_disk();
        let processes = [disk.process(), disk.process()];
        let journals = [0, 1].map(|who| open(&processes[who]).unwrap());
        journals[0].append(Transaction::new().set(KEYS[0], 0).set(KEYS[1], 0)).unwrap();
        World { disk, processes, journals, counts: Arc::default() }
    }

    fn truth(&self) -> Truth {
        self.counts.lock().unwrap().truth()
    }

    /// One turn. What goes wrong goes wrong; what is said to be done is held to.
    fn act(&self, who: usize, what: What, place: &str) {
        let journal = &self.journals[who];
        let status = match what {
            What::Edit => return self.edit(who, place, |edit| journal.append(edit)),
            What::Last => match open(&self.processes[who]) {
                Ok(journal) => {
                    self.edit(who, place, |edit| journal.append_last(edit, None));
                    journal.close()
                }
                Err(error) => Err(error),
            },
            What::Compact => journal.compact().map(|(_, status)| status),
            What::Materialise => journal.materialise(),
            What::Open => open(&self.processes[who]).and_then(Journal::close),
        };
        match status {
            Ok(FileStatus::Current { revision }) => {
                let shown = &mut self.counts.lock().unwrap().shown;
                *shown = (*shown).max(Some(revision));
            }
            Ok(FileStatus::Behind { .. }) => {}
            Err(error) => refuse_to_believe(&error, place),
        }
    }

    fn edit(&self, who: usize, place: &str, append: impl FnOnce(Op) -> Result<Ack, Error>) {
        self.counts.lock().unwrap().begun[who] += 1;
        let outcome = append(Op::increment(KEYS[who], 1));
        let mut counts = self.counts.lock().unwrap();
        match outcome {
            Ok(_) => counts.acknowledged[who] += 1,
            // A dead process cannot be told anything.
            Err(Error::NotApplied(_)) if !self.processes[who].is_dead() => counts.begun[who] -= 1,
            Err(error) => refuse_to_believe(&error, place),
        }
    }

    /// Afterwards a process works on as if nothing had happened, the power going at every call of it in a share of cases.
    fn go_on(&self, who: usize, is_cut: bool, place: &str) -> u64 {
        let tally = if is_cut {
            let mut meanwhile = self.counts.lock().unwrap().to_owned();
            meanwhile.begun[who] += 1;
            crash_meanwhile(&self.disk, &self.processes[who], meanwhile.truth(), place)
        } else {
            Arc::default()
        };
        let before = self.counts.lock().unwrap().acknowledged[who];
        self.act(who, What::Edit, place);
        self.act(who, What::Materialise, place);
        let counts = *self.counts.lock().unwrap();
        assert_eq!(counts.acknowledged[who], before + 1, "{place}: process {who} cannot go on");
        let found = At::of(&self.journals[who]);
        let truth = counts.truth();
        assert!(
            found.revision >= truth.acknowledged && truth.history.contains(&found),
            "{place}: process {who} sees {found:?}, but promised was {truth:?}"
        );

        tally.lock().unwrap().distinct
    }

    /// The power goes now.
    fn cut(&self, known: &Known, limits: &Limits, place: &str) -> Tally {
        let truth = self.truth();
        let key = truth.key();
        let mut tally = Tally::default();
        for image in self.disk.crash_images(limits) {
            tally += boot_if_new(&image, &truth, key, known, &|| format!("{place}, state {}", image.id()));
        }
        tally
    }

    fn end(self) {
        self.processes.iter().for_each(Process::kill);
    }
}

/// What no trouble of another process may lead to: damage, and files that vanish under the hands of whoever makes them.
fn refuse_to_believe(error: &Error, place: &str) {
    match error {
        Error::NotApplied(inside) | Error::OutcomeUnknown(inside) => refuse_to_believe(inside, place),
        Error::Io { source, .. } => assert_ne!(source.kind(), std::io::ErrorKind::NotFound, "{place}: {error}"),
        Error::Damaged(_) => panic!("{place}: {error}"),
        _ => {}
    }
}

/// A world before the last turn, and who takes that.
fn before_last(turns: &Turns) -> (World, usize, What) {
    let world = World::new();
    let ((who, what), before) = turns.0.split_last().expect("a turn");
    for (who, what) in before {
        world.act(*who, *what, "before");
    }
    (world, *who, *what)
}

/// How many calls the last turn makes, and how many of them sync a file.
fn calls(turns: &Turns) -> (u64, u64) {
    let (world, who, what) = before_last(turns);
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = syncs.clone();
    world.processes[who].set_plan(FaultPlan::new());
    world.processes[who].observe(move |seen| {
        if seen.call == Call::Sync {
            counted.fetch_add(1, SeqCst);
        }
    });
    world.act(who, what, "unharmed");
    let calls = world.processes[who].calls();
    world.end();
    (calls, syncs.load(SeqCst))
}

fn explore_one(turns: &Turns, trouble: Trouble, nth: u64, known: &Arc<Known>) -> Tally {
    let place = format!("CFGWAL_TWO='{turns} {trouble:?} {nth}'");
    let (world, who, what) = before_last(turns);
    let process = world.processes[who].clone();
    process.set_plan(FaultPlan::new());
    let mut tally = Tally { runs: 1, ..Tally::default() };
    let is_cut = nth.is_multiple_of(16);
    match trouble {
        Trouble::Cut => {
            let (seen_by, known, inside) = (world.clone(), known.clone(), place.clone());
            let counted = Arc::new(Mutex::new(Tally::default()));
            let count = counted.clone();
            process.observe(move |seen| {
                if seen.number == nth && !std::thread::panicking() {
                    *count.lock().unwrap() += seen_by.cut(&known, &Limits::chunk(64), &inside);
                }
            });
            world.act(who, what, &place);
            tally += *counted.lock().unwrap();
            // The observer holds the world that holds the process.
            process.observe(|_| ());
        }
        Trouble::Killed => {
            process.set_plan(FaultPlan::new().kill_in_write(nth, 41));
            world.act(who, what, &place);
            tally.again += world.go_on(1 - who, is_cut, &place);
            tally += world.cut(known, &FEW, &place);
        }
        Trouble::Suspended => {
            let (other, inside) = (world.clone(), place.clone());
            process.observe(move |seen| {
                if seen.number == nth && !std::thread::panicking() {
                    for what in [What::Edit, What::Open, What::Compact] {
                        other.act(1 - who, what, &inside);
                    }
                }
            });
            world.act(who, what, &place);
            process.observe(|_| ());
            tally += world.cut(known, &FEW, &place);
            tally.again += world.go_on(1 - who, is_cut, &place) + world.go_on(who, is_cut, &place);
            tally += world.cut(known, &FEW, &place);
        }
        Trouble::Sync(fault) => {
            let plan = FaultPlan::new().fail_only(&[Call::Sync], nth, libc::EIO, Times::Once);
            process.set_plan(plan.on_sync(fault));
            world.act(who, what, &place);
            tally += world.cut(known, &FEW, &place);
            tally.again += world.go_on(1 - who, is_cut, &place) + world.go_on(who, is_cut, &place);
            tally += world.cut(known, &FEW, &place);
        }
    }
    world.end();
    tally
}

fn explore_turns(turns: &Turns, known: &Arc<Known>) -> Tally {
    let (calls, syncs) = calls(turns);
    let mut tally = Tally::default();
    for trouble in TROUBLES {
        let most = if let Trouble::Sync(_) = trouble { syncs } else { calls };
        for nth in 1..=most {
            tally += explore_one(turns, trouble, nth, known);
        }
    }
    tally
}

/// Every trouble at every call of the last of so many turns. Panics at the first that breaks a promise; all on this
/// thread, and the same every time.
pub(crate) fn explore(most: usize) -> Tally {
    let known = Arc::default();
    let mut tally = Tally::default();
    for turns in all_turns(most) {
        tally += explore_turns(&turns, &known);
    }
    tally
}

#[test]
fn two_processes_lose_nothing_whatever_happens_to_one_of_them() {
    if let Ok(place) = std::env::var("CFGWAL_TWO") {
        let [turns, trouble, nth] = place.split(' ').collect::<Vec<_>>()[..] else { panic!("three words") };
        let turns = all_turns(turns.len() / 2).into_iter().find(|known| known.to_string() == turns).expect("turns");
        let trouble = TROUBLES.into_iter().find(|known| format!("{known:?}") == trouble).expect("a trouble");
        println!("{:?}", explore_one(&turns, trouble, nth.parse().unwrap(), &Arc::default()));
        return;
    }
    let most = std::env::var("CFGWAL_TURNS").ok().map_or(2, |text| text.parse().expect("CFGWAL_TURNS"));
    let known = Arc::default();
    let tally = on_all_cores(&all_turns(most), |turns| explore_turns(turns, &known));
    println!(
        "{} times something happened to one of two processes within {most} turns; {} crash states afterwards, {} of \
         them distinct, and {} while the other went on",
        tally.runs, tally.states, tally.distinct, tally.again
    );
}

/// Whoever makes the journal dies at any call of that, or stands still meanwhile: another one makes it, or finds it, and what that
/// one is told to be safe is safe.
#[test]
fn a_journal_whose_maker_dies_or_lags_is_as_good_as_any() {
    let maker = timeless_disk().process();
    let made = open(&maker).unwrap();
    let calls = maker.calls();
    drop(made);
    let mut states = 0;
    for nth in 1..=calls {
        for is_killed in [true, false] {
            let place = format!("the maker {} call {nth}", if is_killed { "dies at" } else { "lags before" });
            let disk = timeless_disk();
            let (maker, other) = (disk.process(), disk.process());
            let found = Arc::new(Mutex::new(None));
            let work = {
                let (disk, other, found, place) = (disk.clone(), other.clone(), found.clone(), place.clone());
                move || {
                    let journal = open(&other).unwrap_or_else(|error| panic!("{place}: {error}"));
                    match journal.append(Op::set("a", 1)) {
                        Ok(_) => {}
                        // The maker holds the lock until it is done.
                        Err(Error::NotApplied(why)) if !is_killed && matches!(*why, Error::Locked { .. }) => {}
                        Err(error) => panic!("{place}: {error}"),
                    }
                    let kept = At::of(&journal);
                    let truth = Truth { acknowledged: kept.revision, history: vec![kept], shown: None };
                    let known = Known::default();
                    for image in disk.crash_images(&FEW) {
                        let place = || format!("{place}, state {}", image.id());
                        boot_if_new(&image, &truth, 0, &known, &place);
                        states += 1;
                    }
                    *found.lock().unwrap() = Some((truth.acknowledged, journal, states));
                }
            };
            let mut work = Some(work);
            if is_killed {
                maker.set_plan(FaultPlan::new().kill_in_write(nth, 5));
                drop(open(&maker));
                work.take().expect("nobody was here")();
            } else {
                maker.observe(move |seen| {
                    if seen.number == nth && !std::thread::panicking() {
                        work.take().expect("a call has one number")();
                    }
                });
                let late = open(&maker).unwrap_or_else(|error| panic!("{place}: {error}"));
                let kept = found.lock().unwrap().as_ref().expect("the other was at work").0;
                assert_eq!(At::of(&late).revision, kept, "{place}");
                late.append(Op::set("b", 1)).unwrap_or_else(|error| panic!("{place}: {error}"));
                maker.observe(|_| ());
                maker.kill();
            }
            states = found.lock().unwrap().take().expect("the other was at work").2;
            other.kill();
        }
    }
    println!("{states} crash states after a journal's maker died or lagged at each of {calls} calls");
}

#[test]
fn what_two_processes_go_through_is_the_same_every_time() {
    assert_eq!(explore(1), explore(1));
}
