//! Edits in one process: W1, W2, W4, W5.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::rules;
use crate::contest::{Contestant, Measure, Race, Turn, race};
use crate::edits::{self, Edit, Pool};
use crate::limits::{Group, Log, write_log};
use crate::stores::{Handle, Kind, Store, Sync};
use crate::{Outcome, disk};

const TURN: Duration = Duration::from_millis(60);
/// Keys that one writer edits.
const KEYS: usize = 1_000;

/// As many calls as fit into a turn.
fn for_a_turn(mut call: impl FnMut() -> Outcome<usize>) -> Outcome<Turn> {
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < TURN {
        done += call()?;
    }
    Ok(Turn { done: done as f64, seconds: began.elapsed().as_secs_f64() })
}

fn open(workload: &str, kind: Kind, sync: Sync) -> Outcome<Box<dyn Store>> {
    let dir = disk::fresh(&format!("{workload}-{}", kind.name()))?;
    let store = kind.open(&dir, sync)?;
    // As large as it gets, from the first turn on.
    store.handle()?.edit_all(&edits::all(KEYS))?;
    Ok(store)
}

fn open_all(workload: &str, kinds: &[Kind], sync: Sync) -> Outcome<Vec<(Kind, Box<dyn Store>)>> {
    kinds.iter().map(|kind| Ok((*kind, open(workload, *kind, sync)?))).collect()
}

pub fn one_thread(rounds: usize) -> Outcome<Vec<Race>> {
    let kinds = [Kind::Cfgwal, Kind::Sqlite, Kind::Redb, Kind::Lmdb, Kind::Fjall, Kind::Okaywal, Kind::Rewrite];
    let stores = open_all("w1", &kinds, Sync::Each)?;
    let mut limit = Log::create(&disk::fresh("w1-limit")?)?;
    let mut pool = Pool::new(0, KEYS);
    let mut contestants =
        vec![Contestant::new("limit", || for_a_turn(|| limit.edit_all(std::slice::from_ref(pool.next())).map(|()| 1)))];
    for (kind, store) in &stores {
        let (mut handle, mut pool) = (store.handle()?, Pool::new(0, KEYS));
        let edit = move || for_a_turn(|| handle.edit(pool.next()).map(|()| 1));
        contestants.push(Contestant::new(kind.name(), edit));
    }
    Ok(vec![race("W1 one thread", Measure::Rate, ">= 0.9", &rules(rounds, 5), contestants)?])
}

pub fn many_threads(rounds: usize) -> Outcome<Vec<Race>> {
    let kinds = [Kind::Cfgwal, Kind::Sqlite, Kind::Redb, Kind::Lmdb, Kind::Fjall, Kind::Okaywal, Kind::Rewrite];
    let mut races = Vec::new();
    for (threads, target) in [(4, ">= 0.85"), (16, ">= 0.70"), (64, ">= 0.55")] {
        let stores = open_all("w2", &kinds, Sync::Each)?;
        let limit = Group::create(&disk::fresh("w2-limit")?)?;
        let mut contestants = vec![Contestant::new("limit", || {
            together(threads, |thread, ready| {
                let mut pool = Pool::new(thread, KEYS / 10);
                ready(&mut || limit.edit(pool.next()))
            })
        })];
        for (kind, store) in &stores {
            let turn = || {
                together(threads, |thread, ready| {
                    let (mut handle, mut pool) = (store.handle()?, Pool::new(thread, KEYS / 10));
                    ready(&mut || handle.edit(pool.next()))
                })
            };
            contestants.push(Contestant::new(kind.name(), turn));
        }
        races.push(race(format!("W2 {threads} threads"), Measure::Rate, target, &rules(rounds, 3), contestants)?);
    }
    Ok(races)
}

type Ready<'a> = dyn Fn(&mut dyn FnMut() -> Outcome) -> Outcome + 'a;

/// So many threads, each of which makes itself ready and then edits until the turn is over.
fn together(threads: usize, each: impl Fn(usize, &Ready<'_>) -> Outcome + std::marker::Sync) -> Outcome<Turn> {
    let (barrier, over) = (Barrier::new(threads + 1), AtomicBool::new(false));
    let work = |thread: usize| -> Result<usize, String> {
        let done = std::cell::Cell::new(0);
        let ready = |edit: &mut dyn FnMut() -> Outcome| {
            barrier.wait();
            while !over.load(Ordering::Relaxed) {
                edit()?;
                done.set(done.get() + 1);
            }
            Ok(())
        };
        each(thread, &ready).map_err(|error| error.to_string())?;
        Ok(done.get())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        barrier.wait();
        let began = Instant::now();
        std::thread::sleep(2 * TURN);
        over.store(true, Ordering::Relaxed);
        let mut done = 0;
        for thread in running {
            done += thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(Turn { done: done as f64, seconds: began.elapsed().as_secs_f64() })
    })
}

pub fn transactions(rounds: usize) -> Outcome<Vec<Race>> {
    let kinds = [Kind::Cfgwal, Kind::Sqlite, Kind::Redb, Kind::Lmdb, Kind::Fjall, Kind::Okaywal, Kind::Rewrite];
    let stores = open_all("w4", &kinds, Sync::Each)?;
    let mut limit = Log::create(&disk::fresh("w4-limit")?)?;
    let mut pool = Pool::new(0, KEYS);
    let mut contestants =
        vec![Contestant::new("limit", || for_a_turn(|| limit.edit_all(pool.next_many(KEYS)).map(|()| KEYS)))];
    for (kind, store) in &stores {
        let (mut handle, mut pool) = (store.handle()?, Pool::new(0, KEYS));
        let edit = move || for_a_turn(|| handle.edit_all(pool.next_many(KEYS)).map(|()| KEYS));
        contestants.push(Contestant::new(kind.name(), edit));
    }
    Ok(vec![race("W4 transactions of 1,000", Measure::Rate, ">= 0.75", &rules(rounds, 5), contestants)?])
}

/// The limit and the peers do not sync here; cfgwal does, before it acknowledges the last edit.
pub fn pipelined(rounds: usize) -> Outcome<Vec<Race>> {
    let edits: Vec<Edit> = {
        let mut pool = Pool::new(0, 25_000);
        (0..50_000).map(|_| pool.next().clone()).collect()
    };
    let stores = open_all("w5", &[Kind::Sqlite, Kind::Redb, Kind::Lmdb, Kind::Fjall], Sync::Never)?;
    let cfgwal = open("w5", Kind::Cfgwal, Sync::Each)?;
    let log = disk::fresh("w5-limit")?.join("log");
    let stream = |edits: &[Edit], handle: &mut dyn Handle| {
        let began = Instant::now();
        handle.stream(edits)?;
        Ok(Turn { done: edits.len() as f64, seconds: began.elapsed().as_secs_f64() })
    };
    let mut handle = cfgwal.handle()?;
    let written = std::cell::Cell::new(0.0);
    let mut contestants = vec![Contestant::new("limit", || {
        let began = Instant::now();
        write_log(&log, edits.iter())?;
        Ok(Turn { done: edits.len() as f64, seconds: began.elapsed().as_secs_f64() })
    })];
    contestants.push(Contestant::new(Kind::Cfgwal.name(), || {
        let before = bytes_written()?;
        let turn = stream(&edits, &mut *handle);
        let payload = edits.iter().map(Edit::bytes).sum::<usize>();
        written.set((bytes_written()? - before) as f64 / payload as f64);
        turn
    }));
    for (kind, store) in &stores {
        // Slower by far: fewer are enough.
        let (mut handle, edits) = (store.handle()?, &edits);
        let mut next = 0;
        contestants.push(Contestant::new(kind.name(), move || {
            next = (next + 2_000) % edits.len();
            stream(&edits[next..next + 2_000], &mut *handle)
        }));
    }
    let race = race("W5 all in flight", Measure::Rate, ">= 0.15, bytes <= 1.5x", &rules(rounds, 2), contestants)?;
    let ratio = written.get();
    Ok(vec![race.note(format!("cfgwal gave {ratio:.2} bytes to write calls for each byte of path and value"))])
}

/// Bytes that this process gave to write calls so far.
fn bytes_written() -> Outcome<u64> {
    let counts = std::fs::read_to_string("/proc/self/io")?;
    let line = counts.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("no wchar in /proc/self/io")?.parse()?)
}
