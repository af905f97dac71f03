//! The whole config as a JSON file, synced and renamed: W9.

use std::path::Path;

use cfgwal::{FileStatus, Journal, Op};
use serde_json::Value;

use super::rules;
use crate::contest::{Contestant, Measure, Race, Standing, Turn, race};
use crate::edits::Edit;
use crate::stores::{Handle, Kind, Sync, open_journal, rewrite};
use crate::{Outcome, disk};

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    Ok(vec![write(100_000, "100,000", rounds)?, write(1_000_000, "1,000,000", rounds)?].into_iter().flatten().collect())
}

/// Short values: a million keys are to fit into the 64 MiB that a config file may have.
fn config(keys: usize) -> Vec<Edit> {
    let path = |key: usize| format!("service{:04}.setting{:03}", key / 1000, key % 1000);
    (0..keys).map(|key| Edit { path: path(key), value: format!("value {key}") }).collect()
}

fn write(keys: usize, number: &str, rounds: usize) -> Outcome<[Race; 2]> {
    let config = config(keys);
    let mut tree = Value::Object(Default::default());
    config.iter().for_each(|edit| rewrite::set(&mut tree, edit));
    let dir = disk::fresh("w9-limit")?;
    let patched = open_journal(&disk::fresh("w9-patched")?)?;
    fill(&patched, &config)?;
    show(&patched)?;
    let mut count = 0;
    let mut stores = Vec::new();
    for kind in [Kind::Sqlite, Kind::Redb, Kind::Lmdb, Kind::Fjall] {
        let dir = disk::fresh(&format!("w9-{}", kind.name()))?;
        let store = kind.open(&dir, Sync::Each)?;
        config.chunks(100_000).try_for_each(|some| store.handle()?.edit_all(some))?;
        stores.push((kind, dir, store));
    }

    // What others left to be written out, or to be compacted, would disturb everybody.
    let mut contestants = vec![
        Contestant::new("limit", || {
            disk::settle()?;
            Turn::one(|| disk::replace(&dir.join("settings.json"), |out| Ok(serde_json::to_writer(out, &tree)?)))
        }),
        Contestant::new("cfgwal", || {
            let journal = open_journal(&disk::fresh("w9-cfgwal")?)?;
            fill(&journal, &config)?;
            disk::settle()?;
            let turn = Turn::one(|| show(&journal));
            drop(journal);
            turn
        }),
        Contestant::new("cfgwal, patch of one", || {
            count += 1;
            patched.append(Op::set(config[keys / 2].path.as_str(), format!("value {}", keys + count)))?;
            disk::settle()?;
            Turn::one(|| show(&patched))
        }),
    ];
    for (kind, dir, store) in &stores {
        let mut handle = store.handle()?;
        let path = dir.join("settings.json");
        contestants.push(Contestant::new(kind.name(), move || {
            disk::settle()?;
            Turn::one(|| render(&mut *handle, &path))
        }));
    }
    let name = format!("W9 write {number} keys");
    let mut all = race(name, Measure::Time, "<= 1.2", &rules(rounds, 1), contestants)?;
    // What changes one key and renders nothing, in a row of its own.
    let (limit, patch) = (all.standings[0].clone(), all.standings.remove(2));
    let (workload, target) = (format!("W9 patch of {number} keys"), "<= 0.6");
    let standings = vec![limit, Standing { name: Kind::Cfgwal.name().into(), ..patch }];
    Ok([all, Race { workload, measure: Measure::Time, target, standings, notes: Vec::new() }])
}

fn show(journal: &Journal) -> Outcome {
    match journal.materialise()? {
        FileStatus::Current { .. } => Ok(()),
        FileStatus::Behind { why, .. } => Err(format!("the file is behind: {why}").into()),
    }
}

fn fill(journal: &Journal, config: &[Edit]) -> Outcome {
    config.chunks(100_000).try_for_each(|some| {
        let mut journal = journal;
        journal.edit_all(some)
    })
}

/// What a store holds as JSON, without a tree in between.
fn render(handle: &mut dyn Handle, path: &Path) -> Outcome {
    disk::replace(path, |out| {
        let mut within = String::new();
        out.write_all(b"{")?;
        handle.each(&mut |path, value| {
            let (object, key) = path.split_once('.').ok_or("paths have two parts")?;
            if within == object {
                out.write_all(b",")?;
            } else {
                out.write_all(if within.is_empty() { b"" } else { b"}," })?;
                serde_json::to_writer(&mut *out, object)?;
                out.write_all(b":{")?;
                object.clone_into(&mut within);
            }
            serde_json::to_writer(&mut *out, key)?;
            out.write_all(b":")?;
            Ok(serde_json::to_writer(&mut *out, value)?)
        })?;
        Ok(out.write_all(b"}}")?)
    })
}
