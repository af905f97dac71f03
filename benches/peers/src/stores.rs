//! cfgwal and its peers behind one face. Each is set up so that what it acknowledges is on the disk, unless a workload asks
//! for the opposite of all of them.

use std::path::Path;

use crate::Outcome;
use crate::edits::Edit;

mod cfgwal;
mod fjall;
mod lmdb;
mod okaywal;
mod redb;
pub mod rewrite;
mod sqlite;

pub use self::cfgwal::open as open_journal;
pub use self::fjall::abandon as abandon_fjall;
pub use self::okaywal::{fill as fill_okaywal, recover as recover_okaywal};
pub use self::sqlite::abandon as abandon_sqlite;

/// A way to keep a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cfgwal,
    Sqlite,
    Redb,
    Lmdb,
    Fjall,
    Okaywal,
    /// A JSON file in memory, written anew and renamed at each edit.
    Rewrite,
    /// The same by programs that do not know what the others did: read it, change it, write it, all under a lock.
    LoadAndRewrite,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Cfgwal,
        Kind::Sqlite,
        Kind::Redb,
        Kind::Lmdb,
        Kind::Fjall,
        Kind::Okaywal,
        Kind::Rewrite,
        Kind::LoadAndRewrite,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Cfgwal => "cfgwal",
            Kind::Sqlite => "sqlite",
            Kind::Redb => "redb",
            Kind::Lmdb => "lmdb",
            Kind::Fjall => "fjall",
            Kind::Okaywal => "okaywal",
            Kind::Rewrite => "rewrite",
            Kind::LoadAndRewrite => "load+rewrite",
        }
    }

    pub fn named(name: &str) -> Outcome<Kind> {
        let found = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| format!("{name} is none of the stores").into())
    }

    pub fn open(self, dir: &Path, sync: Sync) -> Outcome<Box<dyn Store>> {
        match self {
            Kind::Cfgwal => cfgwal::Cfgwal::open(dir),
            Kind::Sqlite => sqlite::Sqlite::open(dir, sync),
            Kind::Redb => redb::Redb::open(dir, sync),
            Kind::Lmdb => lmdb::Lmdb::open(dir, sync),
            Kind::Fjall => fjall::Fjall::open(dir, sync),
            Kind::Okaywal => okaywal::Okaywal::open(dir),
            Kind::Rewrite => rewrite::Rewrite::open(dir),
            Kind::LoadAndRewrite => rewrite::LoadAndRewrite::open(dir),
        }
    }
}

/// Whether an edit is on the disk when it is acknowledged. cfgwal and okaywal know nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    Each,
    Never,
}

/// A store, open in this process.
pub trait Store: Send + std::marker::Sync {
    /// One thread's way to it.
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>>;
}

pub trait Handle {
    /// One edit, acknowledged.
    fn edit(&mut self, edit: &Edit) -> Outcome;

    /// Edits that happen together or not at all.
    fn edit_all(&mut self, edits: &[Edit]) -> Outcome;

    /// Edits, each of which may happen without the next.
    fn stream(&mut self, edits: &[Edit]) -> Outcome {
        edits.iter().try_for_each(|edit| self.edit(edit))
    }

    fn get(&mut self, _path: &str) -> Outcome<Option<String>> {
        Err("a log does not look up".into())
    }

    /// Every path and value, sorted by path.
    fn each(&mut self, _visit: &mut dyn FnMut(&str, &str) -> Outcome) -> Outcome {
        Err("not measured".into())
    }
}
