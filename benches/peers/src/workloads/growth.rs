//! One edit, in configs of many sizes: W10. Each store is compared with itself.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::rules;
use crate::contest::{Contestant, Measure, Race, Standing, Turn, race};
use crate::edits::{self, Edit, Pool};
use crate::stores::{Kind, Sync, rewrite};
use crate::{Outcome, disk};

/// The largest config file that cfgwal takes has 64 MiB.
const SIZES: [(usize, &str); 4] = [(1_000, "1 KB"), (100_000, "100 KB"), (10_000_000, "10 MB"), (60_000_000, "60 MB")];
/// Rewriting more than this would take minutes and say nothing new.
const REWRITTEN_MAX: usize = 10_000_000;
const TURN: Duration = Duration::from_millis(60);

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    let mut races = Vec::new();
    for kind in [Kind::Cfgwal, Kind::Sqlite, Kind::Lmdb, Kind::Rewrite, Kind::LoadAndRewrite] {
        let rewrites = matches!(kind, Kind::Rewrite | Kind::LoadAndRewrite);
        let mut stores = Vec::new();
        for (bytes, size) in SIZES {
            if rewrites && bytes > REWRITTEN_MAX {
                continue;
            }
            let dir = disk::fresh(&format!("w10-{}-{bytes}", kind.name()))?;
            // A key takes about 100 bytes of the text.
            let config = edits::all(bytes.div_ceil(100));
            if rewrites || kind == Kind::Cfgwal {
                write(&dir.join("settings.json"), &config)?;
            }
            let store = kind.open(&dir, Sync::Each)?;
            if !rewrites && kind != Kind::Cfgwal {
                config.chunks(10_000).try_for_each(|some| store.handle()?.edit_all(some))?;
            }
            stores.push((size, store));
        }
        disk::settle()?;
        let mut contestants = Vec::new();
        for (size, store) in &stores {
            let (mut handle, mut pool) = (store.handle()?, Pool::new(0, 10));
            contestants.push(Contestant::new(*size, move || {
                let (began, mut done) = (Instant::now(), 0.0);
                while began.elapsed() < TURN {
                    handle.edit(pool.next())?;
                    done += 1.0;
                }
                Ok(Turn { done, seconds: began.elapsed().as_secs_f64() })
            }));
        }
        races.push(race(kind.name(), Measure::Time, "", &rules(rounds, 5), contestants)?);
    }
    Ok(SIZES.map(|(_, size)| of_size(size, &races)).into())
}

/// How each store did at one size, beside itself at the smallest.
fn of_size(size: &str, stores: &[Race]) -> Race {
    let standings = stores.iter().filter_map(|store| {
        let standing = store.of(size)?;
        Some(Standing { name: store.workload.clone(), ..*standing })
    });
    let (workload, target) = (format!("W10 edit at {size}"), "0.9 to 1.1");
    Race { workload, measure: Measure::Time, target, standings: standings.collect(), notes: Vec::new() }
}

fn write(path: &Path, config: &[Edit]) -> Outcome {
    let mut tree = serde_json::Value::Object(Default::default());
    config.iter().for_each(|edit| rewrite::set(&mut tree, edit));
    Ok(fs::write(path, serde_json::to_vec(&tree)?)?)
}
