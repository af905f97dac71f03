use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Handle, Store, Sync};
use crate::Outcome;
use crate::edits::Edit;

const CONFIG: TableDefinition<'_, &str, &str> = TableDefinition::new("config");

pub struct Redb {
    database: Database,
    sync: Sync,
}

impl Redb {
    pub fn open(dir: &Path, sync: Sync) -> Outcome<Box<dyn Store>> {
        let database = Database::create(dir.join("config.redb"))?;
        let create = database.begin_write()?;
        create.open_table(CONFIG)?;
        create.commit()?;
        Ok(Box::new(Redb { database, sync }))
    }
}

impl Store for Redb {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(self))
    }
}

impl Handle for &Redb {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        self.edit_all(std::slice::from_ref(edit))
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(match self.sync {
            Sync::Each => Durability::Immediate,
            Sync::Never => Durability::None,
        })?;
        {
            let mut config = transaction.open_table(CONFIG)?;
            for edit in edits {
                config.insert(edit.path.as_str(), edit.value.as_str())?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&mut self, path: &str) -> Outcome<Option<String>> {
        let config = self.database.begin_read()?.open_table(CONFIG)?;
        Ok(config.get(path)?.map(|value| value.value().to_owned()))
    }

    fn each(&mut self, visit: &mut dyn FnMut(&str, &str) -> Outcome) -> Outcome {
        let config = self.database.begin_read()?.open_table(CONFIG)?;
        for entry in config.iter()? {
            let (path, value) = entry?;
            visit(path.value(), value.value())?;
        }
        Ok(())
    }
}
