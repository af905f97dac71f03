//! Processes that go on by turns of a single call: who is next is drawn at each call to the system, so that every order of
//! their steps can come up, and a failed sync among them. Appenders, a compactor, and one who reads.
//!
//! A failure prints its seed; `CFGWAL_SCHEDULE=SEED` replays it alone, `CFGWAL_SCHEDULES` sets how many are tried.

use std::sync::{Arc, Condvar, Mutex};

use cfgwal::sim::{Call, Disk, FaultPlan, Process, Times};
use cfgwal::{Error, Journal, Materialise, Op, View};

use crate::after_crash::Tally;
use crate::crash_states::on_all_cores;
use crate::dice::Dice;

const FILE: &str = "/settings.json";
/// Turns after which nobody can still be on the way to an end.
const TURNS_MAX: u64 = 200_000;

/// Whose turn it is.
pub(crate) struct Turns {
    next: Mutex<Next>,
    changed: Condvar,
}

struct Next {
    who: usize,
    running: Vec<bool>,
    /// Who is preferred to whom, for schedules that change rarely: the greater goes first.
    priorities: Vec<u64>,
    /// Turns at which whoever is at work falls behind all others. None: each turn is drawn anew.
    drops: Option<Vec<u64>>,
    turn: u64,
    dice: Dice,
}

impl Next {
    fn pick(&mut self, waits: bool) {
        self.turn += 1;
        assert!(self.turn < TURNS_MAX, "nobody gets to an end");
        let running: Vec<usize> = (0..self.running.len()).filter(|who| self.running[*who]).collect();
        if running.is_empty() {
            return;
        }
        if let Some(drops) = &self.drops {
            // Whoever waits lets the others get on, too.
            if waits || drops.contains(&self.turn) {
                let who = self.who;
                self.priorities[who] = self.priorities.iter().min().map_or(0, |least| least.saturating_sub(1));
            }
            self.who = running.into_iter().max_by_key(|who| self.priorities[*who]).expect("somebody runs");
        } else {
            let at = self.dice.below(running.len() as u64) as usize;
            self.who = running[at];
        }
    }
}

impl Turns {
    pub(crate) fn new(count: usize, seed: u64) -> Turns {
        let mut next = Next {
            who: 0,
            running: vec![true; count],
            priorities: (0..count as u64).map(|at| 1_000_000 + (at * 7 + seed) % count as u64).collect(),
            drops: None,
            turn: 0,
            dice: Dice::seeded(seed),
        };
        if seed % 2 == 1 {
            // Three changes at moments of their own: most races need no more.
            next.drops = Some((0..3).map(|_| next.dice.below(400)).collect());
        }
        Turns { next: Mutex::new(next), changed: Condvar::new() }
    }

    /// End a turn, and wait for the next one.
    pub(crate) fn pass(&self, me: usize, waits: bool) {
        let mut next = self.next.lock().unwrap();
        if !next.running[me] {
            // Clearing up, after the end.
            return;
        }
        next.pick(waits);
        self.changed.notify_all();
        while next.who != me {
            next = self.changed.wait(next).unwrap();
        }
    }

    pub(crate) fn wait_for_first(&self, me: usize) {
        let mut next = self.next.lock().unwrap();
        while next.who != me {
            next = self.changed.wait(next).unwrap();
        }
    }

    fn leave(&self, me: usize) {
        // A panic elsewhere must not keep the others waiting.
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        next.running[me] = false;
        next.turn = next.turn.min(TURNS_MAX - 2);
        next.pick(true);
        self.changed.notify_all();
    }
}

/// Gives the turn on when its thread ends, whatever ended it.
pub(crate) struct Leaving<'a>(pub &'a Turns, pub usize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

fn open(process: &Process) -> Journal {
    let options = Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone();
    options.open(FILE).unwrap()
}

/// What one process does; the keys that were acknowledged, with their revisions.
fn act(role: usize, journal: &Journal, process: &Process) -> Vec<(String, Option<u64>)> {
    let mut told = Vec::new();
    let mut set = |key: String| match journal.append(Op::set(key.as_str(), 1)) {
        Ok(ack) => told.push((key, Some(ack.revision))),
        Err(Error::OutcomeUnknown(_)) => told.push((key, None)),
        Err(error) => panic!("{key}: {error}"),
    };
    match role {
        0 | 1 => (0..3).for_each(|n| set(format!("p{role}n{n}"))),
        2 => {
            set("before".to_owned());
            journal.compact().unwrap();
            set("after".to_owned());
        }
        _ => {
            let mut seen = 0;
            for _ in 0..4 {
                let here = journal.snapshot().unwrap().revision();
                let viewed = View::open_seated(&process.seat(), FILE).unwrap();
                assert!(viewed.damage().is_none(), "{:?}", viewed.damage());
                assert!(
                    here >= seen && viewed.revision() >= here,
                    "{seen}, {here}, {}: it went back",
                    viewed.revision()
                );
                seen = viewed.revision();
                // What is seen outlives a power cut.
                let image = process.disk().durable_image();
                let kept = open(&Disk::from_image(&image).process()).snapshot().unwrap().revision();
                assert!(kept >= seen, "{seen} was seen, {kept} is kept");
            }
        }
    }
    told
}

fn schedule(seed: u64) {
    let disk = Disk::seeded(seed);
    let roles = 4;
    let turns = Arc::new(Turns::new(roles, seed));
    // The journal is there before anybody's turn comes.
    drop(open(&disk.process()));
    let processes: Vec<(Process, Journal)> = (0..roles)
        .map(|_| {
            let process = disk.process();
            let journal = open(&process);
            (process, journal)
        })
        .collect();
    if seed.is_multiple_of(3) {
        let victim = &processes[(seed / 3) as usize % 2].0;
        victim.set_plan(FaultPlan::new().fail_only(&[Call::Sync], 1 + seed / 6 % 4, libc::EIO, Times::Once));
    }
    let told: Vec<_> = std::thread::scope(|scope| {
        let each = processes.iter().enumerate().map(|(me, (process, journal))| {
            let (here, waiting) = (turns.clone(), turns.clone());
            process.observe(move |_| here.pass(me, false));
            process.on_wait(move || waiting.pass(me, true));
            let turns = turns.clone();
            scope.spawn(move || {
                turns.wait_for_first(me);
                let _leaving = Leaving(&turns, me);
                let told = act(me, journal, process);
                process.observe(|_| ());
                process.on_wait(|| ());
                told
            })
        });
        let threads: Vec<_> = each.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut revisions: Vec<u64> = told.iter().flatten().filter_map(|(_, revision)| *revision).collect();
    let count = revisions.len();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), count, "two edits have one revision");
    processes.iter().for_each(|(process, _)| process.kill());
    for image in [disk.image(), disk.durable_image()] {
        let journal = open(&Disk::from_image(&image).process());
        for (key, revision) in told.iter().flatten() {
            let there = journal.get::<i64>(key.as_str()).unwrap().is_some();
            assert!(there || revision.is_none(), "{key} was acknowledged as {revision:?} and is not there");
        }
    }
}

#[test]
fn whoever_goes_first_at_each_call_nothing_is_lost_and_everybody_gets_to_an_end() {
    if let Some(seed) = std::env::var("CFGWAL_SCHEDULE").ok().and_then(|text| text.parse().ok()) {
        return schedule(seed);
    }
    let count = std::env::var("CFGWAL_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(3000);
    let seeds: Vec<u64> = (0..count).collect();
    let _ = on_all_cores(&seeds, |seed| {
        if let Err(panic) = std::panic::catch_unwind(|| schedule(*seed)) {
            println!("CFGWAL_SCHEDULE={seed} cargo test --test simulated schedules -- --nocapture");
            std::panic::resume_unwind(panic);
        }
        Tally::default()
    });
    println!("{count} schedules");
}

/// As in a race that SQLite's log had for sixteen years: a compactor stands still between two of its steps, another one
/// compacts as a whole, somebody appends, and the first goes on.
#[test]
fn a_compactor_that_stood_still_does_not_take_anothers_work_for_its_own() {
    let mut stops = 0;
    for nth in 1.. {
        let disk = Disk::new();
        let (slow, other, appender) = (disk.process(), disk.process(), disk.process());
        let (first, second, third) = (open(&slow), open(&other), open(&appender));
        for n in 0..4 {
            third.append(Op::set(format!("before{n}").as_str(), 1)).unwrap();
        }
        let stopped = Arc::new(Mutex::new(None));
        {
            let stopped = stopped.clone();
            let (second, third) = (second.clone(), third.clone());
            let mut call = 0;
            slow.observe(move |_| {
                call += 1;
                let mut stopped = stopped.lock().unwrap();
                if call == nth && stopped.is_none() {
                    // Where the first holds a lock the others are told so, and change nothing.
                    let compacted = second.compact().is_ok();
                    let appended = third.append(Op::set("meanwhile", 1)).is_ok();
                    let again = second.compact().is_ok();
                    *stopped = Some((compacted || again, appended));
                }
            });
        }
        first.compact().unwrap_or_else(|error| panic!("stopped at call {nth}: {error}"));
        slow.observe(|_| ());
        let Some((_, appended)) = *stopped.lock().unwrap() else { break };
        stops += 1;
        third.append(Op::set("later", 1)).unwrap();
        first.compact().unwrap();
        for process in [&slow, &other, &appender] {
            process.kill();
        }
        for image in [disk.image(), disk.durable_image()] {
            let journal = open(&Disk::from_image(&image).process());
            let there = |key: &str| journal.get::<i64>(key).unwrap().is_some();
            let kept = (0..4).all(|n| there(&format!("before{n}"))) && there("later");
            assert!(kept && there("meanwhile") == appended, "stopped at call {nth}");
        }
    }
    assert!(stops > 40, "{stops} stops are too few to prove anything");
    println!("{stops} places at which a compactor stood still");
}
