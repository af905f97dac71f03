use std::path::Path;

use heed::types::Str;
use heed::{Database, Env, EnvFlags, EnvOpenOptions};

use super::{Handle, Store, Sync};
use crate::Outcome;
use crate::edits::Edit;

/// LMDB as it is by itself: it syncs at each commit.
pub struct Lmdb {
    env: Env,
    config: Database<Str, Str>,
}

impl Lmdb {
    pub fn open(dir: &Path, sync: Sync) -> Outcome<Box<dyn Store>> {
        let mut options = EnvOpenOptions::new();
        options.map_size(1 << 30).max_readers(256);
        // SAFETY: nothing else touches the files; a store whose edits need not be safe is not opened again.
        let env = unsafe {
            if sync == Sync::Never {
                options.flags(EnvFlags::NO_SYNC);
            }
            options.open(dir)?
        };
        let mut create = env.write_txn()?;
        let config = env.create_database(&mut create, None)?;
        create.commit()?;
        Ok(Box::new(Lmdb { env, config }))
    }
}

impl Drop for Lmdb {
    /// Wait until it is closed: a process may not have it open twice.
    fn drop(&mut self) {
        self.env.clone().prepare_for_closing();
    }
}

impl Store for Lmdb {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(self))
    }
}

impl Handle for &Lmdb {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        self.edit_all(std::slice::from_ref(edit))
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let mut transaction = self.env.write_txn()?;
        for edit in edits {
            self.config.put(&mut transaction, &edit.path, &edit.value)?;
        }
        Ok(transaction.commit()?)
    }

    fn get(&mut self, path: &str) -> Outcome<Option<String>> {
        let transaction = self.env.read_txn()?;
        Ok(self.config.get(&transaction, path)?.map(str::to_owned))
    }

    fn each(&mut self, visit: &mut dyn FnMut(&str, &str) -> Outcome) -> Outcome {
        let transaction = self.env.read_txn()?;
        for entry in self.config.iter(&transaction)? {
            let (path, value) = entry?;
            visit(path, value)?;
        }
        Ok(())
    }
}
