use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Handle, Store, Sync};
use crate::Outcome;
use crate::edits::Edit;

pub struct Fjall {
    database: Database,
    config: Keyspace,
    sync: Sync,
}

impl Fjall {
    pub fn open(dir: &Path, sync: Sync) -> Outcome<Box<dyn Store>> {
        let database = Database::builder(dir).open()?;
        let config = database.keyspace("config", KeyspaceCreateOptions::default)?;
        Ok(Box::new(Fjall { database, config, sync }))
    }
}

/// Fill a log with edits, each of its own, and go without closing. All of it remains in the log: nothing is moved into tables.
pub fn abandon(dir: &Path, edits: impl Iterator<Item = Edit>) -> Outcome {
    let database = Database::builder(dir).max_journaling_size(4 << 30).open()?;
    let config = database.keyspace("config", || KeyspaceCreateOptions::default().max_memtable_size(2 << 30))?;
    for edit in edits {
        config.insert(edit.path, edit.value)?;
    }
    database.persist(PersistMode::SyncAll)?;
    std::mem::forget((database, config));
    Ok(())
}

impl Store for Fjall {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(self))
    }
}

impl Handle for &Fjall {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        self.config.insert(edit.path.as_str(), edit.value.as_str())?;
        if self.sync == Sync::Each {
            self.database.persist(PersistMode::SyncAll)?;
        }
        Ok(())
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let mut batch = self.database.batch().durability((self.sync == Sync::Each).then_some(PersistMode::SyncAll));
        for edit in edits {
            batch.insert(&self.config, edit.path.as_str(), edit.value.as_str());
        }
        Ok(batch.commit()?)
    }

    fn get(&mut self, path: &str) -> Outcome<Option<String>> {
        let found = self.config.get(path)?;
        Ok(found.map(|value| String::from_utf8(value.to_vec())).transpose()?)
    }

    fn each(&mut self, visit: &mut dyn FnMut(&str, &str) -> Outcome) -> Outcome {
        for entry in self.config.iter() {
            let (path, value) = entry.into_inner()?;
            visit(std::str::from_utf8(&path)?, std::str::from_utf8(&value)?)?;
        }
        Ok(())
    }
}
