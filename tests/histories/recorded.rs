//! Histories of real processes, and what becomes of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cfgwal::{Op, View};
use rustix::process::{Signal, kill_process};

use crate::checker::{Call, Config, Do, KEYS, Told, Verdict, check};
use crate::clients::{Batch, Client, Pids, config_of};
use crate::support::dice::Dice;
use crate::support::sandbox::{Mount, skipped};
use crate::support::{Store, long};

/// What goes on beside the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Nothing,
    /// Clients are killed.
    Kills,
    /// Clients are suspended for a while.
    Suspensions,
    Both,
    /// The disk is filled up and emptied again.
    NoRoom,
    /// The journal is taken away, or a copy of it is put in its place.
    Removal,
    Replacement,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::Nothing,
    Trouble::Kills,
    Trouble::Suspensions,
    Trouble::Both,
    Trouble::Both,
    Trouble::Removal,
    Trouble::Replacement,
];

/// A history, and the log at its end.
struct Recorded {
    calls: Vec<Call>,
    /// The revision that each edit's number made, as far back as the log goes.
    log: BTreeMap<u64, u64>,
    oldest: u64,
}

/// Records about a hundred calls of two to eight clients.
fn record(store: &Store, trouble: Trouble, dice: &mut Dice) -> Result<Recorded, String> {
    store.write("{}\n");
    store.ok(&["init", "settings.json"]);
    let clients = 2 + dice.below(7) as usize;
    let pids = Pids::new(Mutex::new(vec![None; clients]));
    let (calls, began) = (Mutex::new(Vec::new()), Instant::now());
    let (next, over, vanished) = (AtomicU64::new(1), AtomicBool::new(false), AtomicU64::new(u64::MAX));
    let now = || began.elapsed().as_nanos() as u64;
    let opened = Barrier::new(clients + 1);
    let replaces = matches!(trouble, Trouble::Removal | Trouble::Replacement);
    let aside = store.dir().join("aside");
    thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|who| {
                let mut dice = dice.fork();
                let mut client = match dice.below(6) {
                    0 | 1 => Client::Library(None),
                    2 if !replaces => Client::Commands,
                    _ => Client::Batch(Batch::new(who, pids.clone())),
                };
                let (calls, next, now, opened) = (&calls, &next, &now, &opened);
                scope.spawn(move || {
                    // What is taken away is what everybody has open.
                    client.ask(store, &[Do::GetAll], |_, _| ());
                    opened.wait();
                    let mut left = 100 / clients;
                    // Who opens it anew, or had no answer in time at the beginning, may find another one.
                    while left > 0 && !(replaces && client.starts_anew()) {
                        let burst: Vec<Do> = (0..1 + dice.below(3)).map(|_| draw(&mut dice, next)).collect();
                        left = left.saturating_sub(burst.len());
                        let begin = now();
                        let goes_on = client.ask(store, &burst, |at, told| {
                            let end = (told != Told::Unknown).then(now);
                            let call = Call { who, what: burst[at], begin, end, told };
                            calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
                        });
                        if !goes_on {
                            return;
                        }
                        if dice.below(4) == 0 {
                            thread::sleep(dice.delay(Duration::from_micros(1500)));
                        }
                    }
                })
            })
            .collect();
        let mut nemesis = dice.fork();
        let (pids, over, vanished, now, aside, opened) = (&pids, &over, &vanished, &now, &aside, &opened);
        let trouble_maker = scope.spawn(move || {
            opened.wait();
            make_trouble(store, trouble, &mut nemesis, pids, over, || vanished.store(now(), SeqCst), aside)
        });
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        over.store(true, SeqCst);
        trouble_maker.join().expect("the trouble maker does not panic");
        ended.into_iter().for_each(|ended| ended.expect("a client does not panic"));
    });
    if aside.exists() {
        let _ = fs::remove_dir_all(store.journal());
        fs::rename(&aside, store.journal()).expect("the journal comes back");
    }
    let mut calls = calls.into_inner().unwrap_or_else(PoisonError::into_inner);
    let gone_at = vanished.load(SeqCst);
    let into_the_void = |call: &&Call| call.begin > gone_at && matches!(call.told, Told::Applied { .. });
    if let Some(call) = calls.iter().find(into_the_void) {
        return Err(format!("the journal was gone at {gone_at}, and this was acknowledged: {call:?}"));
    }
    let view = View::open(store.file()).map_err(|error| error.to_string())?;
    if let Some(damage) = view.damage() {
        return Err(damage.to_string());
    }
    let end = now();
    let told = Told::ReadAll { revision: view.revision(), config: config_of(view.state()) };
    calls.push(Call { who: clients, what: Do::GetAll, begin: end, end: Some(end), told });
    let history = view.history().map_err(|error| error.to_string())?;
    let mut log = BTreeMap::new();
    for entry in &history {
        let number = number_of(&entry.transaction.ops).ok_or_else(|| format!("nobody made {entry:?}"))?;
        if let Some(first) = log.insert(number, entry.revision) {
            return Err(format!("edit {number} is in the log as {first} and as {}", entry.revision));
        }
    }
    Ok(Recorded { calls, log, oldest: history.first().map_or(view.revision() + 1, |entry| entry.revision) })
}

fn draw(dice: &mut Dice, next: &AtomicU64) -> Do {
    let key = dice.below(KEYS.len() as u64) as usize;
    let number = || next.fetch_add(1, SeqCst);
    match dice.below(20) {
        0..5 => Do::Set { key, number: number() },
        5..9 => Do::Increment { key, number: number() },
        9..12 => {
            // A number that was given to some edit, perhaps to the last.
            let number = number();
            let expected = (dice.below(4) > 0).then(|| number.saturating_sub(1 + dice.below(6)));
            Do::SetIf { key, expected, number }
        }
        12..14 => Do::Push { number: number() },
        14..16 => Do::Both { keys: [key, (key + 1) % KEYS.len()], number: number() },
        16..19 => Do::Get { key },
        _ => Do::GetAll,
    }
}

fn make_trouble(
    store: &Store,
    trouble: Trouble,
    dice: &mut Dice,
    pids: &Pids,
    over: &AtomicBool,
    vanished: impl Fn(),
    aside: &std::path::Path,
) {
    let signal = |who: usize, signal: Signal| {
        // Under the lock, so that nobody waits for the process meanwhile and its number stays its own.
        let pids = pids.lock().unwrap_or_else(PoisonError::into_inner);
        pids[who].is_some_and(|pid| kill_process(pid, signal).is_ok())
    };
    while !over.load(SeqCst) {
        thread::sleep(dice.delay(Duration::from_millis(6)));
        let who = dice.below(pids.lock().unwrap_or_else(PoisonError::into_inner).len() as u64) as usize;
        let kills = trouble == Trouble::Kills || trouble == Trouble::Both && dice.below(2) == 0;
        match trouble {
            Trouble::Nothing => return,
            Trouble::Kills | Trouble::Suspensions | Trouble::Both if kills => drop(signal(who, Signal::KILL)),
            Trouble::Kills | Trouble::Suspensions | Trouble::Both => {
                if signal(who, Signal::STOP) {
                    // Now and then for longer than anybody waits for it.
                    let longest = if dice.below(10) == 0 { 300 } else { 20 };
                    thread::sleep(dice.delay(Duration::from_millis(longest)));
                    signal(who, Signal::CONT);
                }
            }
            Trouble::NoRoom => {
                let path = store.dir().join("filler");
                if let Ok(mut file) = fs::File::create(&path) {
                    for size in [65_536, 4096, 256] {
                        let piece = vec![b'x'; size];
                        while file.write_all(&piece).is_ok() {}
                    }
                }
                thread::sleep(dice.delay(Duration::from_millis(20)));
                let _ = fs::remove_file(path);
            }
            Trouble::Removal | Trouble::Replacement => {
                thread::sleep(dice.delay(Duration::from_millis(25)));
                fs::rename(store.journal(), aside).expect("the journal can be moved");
                vanished();
                if trouble == Trouble::Replacement {
                    copy(aside, &store.journal());
                }
                return;
            }
        }
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        // What a running process removes meanwhile is not copied.
        let _ = fs::copy(entry.path(), to.join(entry.file_name()));
    }
}

/// The number of an edit, from what the log says of it.
fn number_of(ops: &[Op]) -> Option<u64> {
    ops.iter().rev().find_map(|op| match op {
        Op::Set { value, .. } | Op::Push { value, .. } => value.to().ok(),
        Op::Increment { by, .. } => by.to_string().parse::<u64>().ok().map(|by| by / 1000),
        Op::Merge { value, .. } => value.as_object()?.iter().next()?.1.to().ok(),
        _ => None,
    })
}

/// What is wrong with a history, if anything is.
fn judge(recorded: &Recorded) -> Result<Verdict, String> {
    let Recorded { calls, log, oldest } = recorded;
    let mut resolved = calls.clone();
    for call in &mut resolved {
        let Some(number) = call.what.number() else { continue };
        let there = log.get(&number);
        match (&call.told, there) {
            (Told::Applied { revision, .. }, there) if revision >= oldest && there != Some(revision) => {
                return Err(format!("acknowledged, and in the log as {there:?}: {call:?}"));
            }
            (Told::Refused | Told::NotApplied, Some(revision)) => {
                return Err(format!("in the log as {revision}: {call:?}"));
            }
            (Told::Unknown, None) if *oldest == 1 => call.told = Told::NotApplied,
            _ => {}
        }
    }
    Ok(check(&resolved))
}

/// Where histories are recorded, and what goes on there.
fn histories(name: &str, count: u64, threads: usize, place: impl Fn(&mut Dice) -> (Store, Trouble) + Sync) {
    // The first one has the seed that was given.
    let base = Dice::new().seed();
    let (next, undecided, total) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let unknown = AtomicUsize::new(0);
    let work = || {
        loop {
            let number = next.fetch_add(1, SeqCst);
            if number >= count {
                return;
            }
            let seed = base.wrapping_add(number);
            let mut dice = Dice::seeded(seed);
            let (store, trouble) = place(&mut dice);
            let replay = format!("replay with CFGWAL_TEST_SEED={seed} ({trouble:?})");
            let recorded = record(&store, trouble, &mut dice).unwrap_or_else(|why| panic!("{replay}: {why}"));
            total.fetch_add(recorded.calls.len(), SeqCst);
            unknown.fetch_add(recorded.calls.iter().filter(|call| call.told == Told::Unknown).count(), SeqCst);
            match judge(&recorded) {
                Ok(Verdict::Linearizable) => {}
                Ok(Verdict::Undecided) => drop(undecided.fetch_add(1, SeqCst)),
                wrong => {
                    let mut calls = recorded.calls;
                    calls.sort_by_key(|call| call.begin);
                    let lines: Vec<String> = calls.iter().map(|call| format!("{call:?}")).collect();
                    panic!("{replay}: {wrong:?}\nlog {:?}\n{}", recorded.log, lines.join("\n"));
                }
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
    });
    let (undecided, total, unknown) = (undecided.into_inner(), total.into_inner(), unknown.into_inner());
    println!("{name}: {count} histories, {total} calls, {unknown} without an outcome, {undecided} histories undecided");
    assert!(undecided as u64 * 20 <= count, "too many histories are undecided");
}

#[test]
fn what_processes_are_told_while_they_are_killed_and_suspended_fits_one_order() {
    let count = if long() { 20_000 } else { 240 };
    histories("on a disk with room", count, 4, |dice| {
        (Store::empty(), TROUBLES[dice.below(TROUBLES.len() as u64) as usize])
    });
}

#[test]
fn what_processes_are_told_on_a_disk_that_fills_up_fits_one_order() {
    let mount = match Mount::tmpfs("700k") {
        Ok(mount) => mount,
        Err(why) => return skipped("what_processes_are_told_on_a_disk_that_fills_up_fits_one_order", &why),
    };
    let count = if long() { 1000 } else { 20 };
    histories("on a disk that fills up", count, 1, |_| {
        let store = mount.store();
        let _ = fs::remove_dir_all(store.journal());
        let _ = fs::remove_file(store.dir().join("filler"));
        (store, Trouble::NoRoom)
    });
}

#[test]
fn the_config_of_a_state_is_read_back() {
    let state = cfgwal::State::new(
        [("a", 5_u64.into()), ("list", cfgwal::Value::from_serialize(&[1, 2]).unwrap())].into_iter().collect(),
    );
    assert_eq!(config_of(&state), Config { keys: [(0, 5)].into(), list: vec![1, 2] });
}
