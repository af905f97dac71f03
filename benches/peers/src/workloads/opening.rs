//! A store that was closed in good order is opened, and one value read: W8.

use cfgwal::{Path, View};

use super::rules;
use crate::contest::{Contestant, Measure, Race, Turn, race};
use crate::edits;
use crate::limits::{read_log, write_log};
use crate::stores::{Kind, Sync, open_journal};
use crate::{Outcome, disk};

const KEYS: usize = 100_000;

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    let config = edits::all(KEYS);
    let path = edits::path(KEYS / 2);
    let log = disk::fresh("w8-limit")?.join("log");
    write_log(&log, config.iter())?;
    let kinds = [Kind::Cfgwal, Kind::Sqlite, Kind::Redb, Kind::Lmdb, Kind::Fjall];
    let mut dirs = Vec::new();
    for kind in kinds {
        let dir = disk::fresh(&format!("w8-{}", kind.name()))?;
        let store = kind.open(&dir, Sync::Each)?;
        config.chunks(10_000).try_for_each(|some| store.handle()?.edit_all(some))?;
        drop(store);
        if kind == Kind::Cfgwal {
            let journal = open_journal(&dir)?;
            journal.compact()?;
            journal.close()?;
        }
        dirs.push((kind, dir));
    }
    let (file, parsed) = (dirs[0].1.join("settings.json"), Path::parse(&path)?);
    disk::settle()?;

    let mut contestants = vec![Contestant::new("limit", || {
        Turn::one(|| read_log(&log)?.get(&path).map(drop).ok_or_else(|| "a key is missing".into()))
    })];
    for (kind, dir) in &dirs {
        let path = &path;
        contestants.push(Contestant::new(kind.name(), move || {
            let mut opened = None;
            let turn = Turn::one(|| {
                let store = opened.insert(kind.open(dir, Sync::Each)?);
                store.handle()?.get(path)?.map(drop).ok_or_else(|| "a key is missing".into())
            });
            drop(opened);
            turn
        }));
    }
    contestants.push(Contestant::new("cfgwal, only to read", || {
        Turn::one(|| View::open(&file)?.state().root().get(&parsed).map(drop).ok_or_else(|| "a key is missing".into()))
    }));
    Ok(vec![race("W8 open and get one", Measure::Time, "<= 0.5", &rules(rounds, 2), contestants)?])
}
