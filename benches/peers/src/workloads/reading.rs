//! Values by path: W7.

use std::collections::HashMap;
use std::hint::black_box;
use std::marker::Sync as Shared;
use std::time::Instant;

use cfgwal::Path;

use super::rules;
use crate::contest::{Contestant, Measure, Race, Turn, race};
use crate::edits::{self, shuffled};
use crate::stores::{Kind, Sync, open_journal};
use crate::{Outcome, disk};

const KEYS: usize = 100_000;
/// Lookups of a thread in a turn.
const LOOKUPS: usize = 30_000;

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    let config = edits::all(KEYS);
    let limit: HashMap<String, String> = config.iter().map(|edit| (edit.path.clone(), edit.value.clone())).collect();
    let mut stores = Vec::new();
    for kind in [Kind::Cfgwal, Kind::Sqlite, Kind::Redb, Kind::Lmdb, Kind::Fjall] {
        let store = kind.open(&disk::fresh(&format!("w7-{}", kind.name()))?, Sync::Never)?;
        config.chunks(10_000).try_for_each(|some| store.handle()?.edit_all(some))?;
        stores.push((kind, store));
    }
    let held = open_journal(&disk::root()?.join("w7-cfgwal"))?.snapshot()?;
    let paths: Vec<String> = config.iter().map(|edit| edit.path.clone()).collect();
    let parsed: Vec<Path> = paths.iter().map(|path| Path::parse(path)).collect::<Result<_, _>>()?;

    let mut races = Vec::new();
    for (threads, target) in [(1, "<= 2.0"), (2, "1.8 times one thread")] {
        let orders: Vec<Vec<usize>> = (0..threads).map(|thread| shuffled(KEYS, thread as u64 + 1)).collect();
        let at = std::cell::Cell::new(0);
        let turn = |get: &(dyn Fn(&[usize]) -> Outcome + Shared)| {
            at.set((at.get() + LOOKUPS) % (KEYS - LOOKUPS));
            together(&orders, at.get(), get)
        };
        let mut contestants = vec![Contestant::new("limit", || {
            turn(&|keys| {
                for key in keys {
                    black_box(limit.get(&paths[*key]).cloned().ok_or("a key is missing")?);
                }
                Ok(())
            })
        })];
        for (kind, store) in &stores {
            let (turn, paths) = (&turn, &paths);
            contestants.push(Contestant::new(kind.name(), move || {
                turn(&|keys| {
                    let mut handle = store.handle()?;
                    for key in keys {
                        black_box(handle.get(&paths[*key])?.ok_or("a key is missing")?);
                    }
                    Ok(())
                })
            }));
        }
        contestants.push(Contestant::new("cfgwal, held, parsed", || {
            turn(&|keys| {
                for key in keys {
                    black_box(held.get(&parsed[*key]).and_then(cfgwal::Value::as_str).ok_or("a key is missing")?);
                }
                Ok(())
            })
        }));
        let name = format!("W7 get, {threads} threads");
        races.push(race(name, Measure::Time, target, &rules(rounds, 5), contestants)?);
    }
    let cost = |race: &Race| race.of("cfgwal").map_or(f64::NAN, |standing| standing.cost);
    let note = format!("two threads of cfgwal do {:.2} times what one does", cost(&races[0]) / cost(&races[1]));
    races[1].notes.push(note);
    Ok(races)
}

/// The same work in each thread, each in its own order. The time is that of one lookup over all threads.
fn together(orders: &[Vec<usize>], from: usize, get: &(dyn Fn(&[usize]) -> Outcome + Shared)) -> Outcome<Turn> {
    let barrier = std::sync::Barrier::new(orders.len());
    let work = |order: &[usize]| -> Result<(Instant, Instant), String> {
        barrier.wait();
        let began = Instant::now();
        get(&order[from..from + LOOKUPS]).map_err(|error| error.to_string())?;
        Ok((began, Instant::now()))
    };
    let spans = std::thread::scope(|scope| {
        let running: Vec<_> = orders.iter().map(|order| scope.spawn(|| work(order))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<_, String>>| {
            thread.join().map_err(|_| "a thread panicked".to_owned())?
        };
        running.into_iter().map(join).collect::<Result<Vec<(Instant, Instant)>, String>>()
    })?;
    let began = spans.iter().map(|(began, _)| *began).min().ok_or("no thread")?;
    let ended = spans.iter().map(|(_, ended)| *ended).max().ok_or("no thread")?;
    Ok(Turn { done: (orders.len() * LOOKUPS) as f64, seconds: (ended - began).as_secs_f64() })
}
