use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::{Handle, Store, Sync};
use crate::Outcome;
use crate::edits::Edit;

const SET: &str = "INSERT INTO config VALUES (?1, ?2) ON CONFLICT (path) DO UPDATE SET value = excluded.value";

/// In WAL mode. `FULL` syncs the WAL at each commit; `NORMAL`, which many use, does not.
pub struct Sqlite {
    path: PathBuf,
    sync: Sync,
}

impl Sqlite {
    pub fn open(dir: &Path, sync: Sync) -> Outcome<Box<dyn Store>> {
        let store = Sqlite { path: dir.join("config.sqlite"), sync };
        let create = "CREATE TABLE IF NOT EXISTS config (path TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID";
        store.connect()?.execute_batch(create)?;
        Ok(Box::new(store))
    }

    fn connect(&self) -> Outcome<Connection> {
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(Duration::from_secs(60))?;
        connection.execute_batch("PRAGMA journal_mode = WAL")?;
        connection.execute_batch(match self.sync {
            Sync::Each => "PRAGMA synchronous = FULL",
            Sync::Never => "PRAGMA synchronous = OFF",
        })?;
        Ok(connection)
    }
}

/// Fill a log with edits, each of its own, and go without closing. All of it remains in the WAL.
pub fn abandon(dir: &Path, edits: impl Iterator<Item = Edit>) -> Outcome {
    Sqlite::open(dir, Sync::Never)?;
    let mut connection = Sqlite { path: dir.join("config.sqlite"), sync: Sync::Never }.connect()?;
    connection.execute_batch("PRAGMA wal_autocheckpoint = 0")?;
    for edit in edits {
        connection.edit(&edit)?;
    }
    std::mem::forget(connection);
    Ok(())
}

impl Store for Sqlite {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(self.connect()?))
    }
}

impl Handle for Connection {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        self.prepare_cached(SET)?.execute((&edit.path, &edit.value))?;
        Ok(())
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let transaction = self.transaction()?;
        {
            let mut set = transaction.prepare_cached(SET)?;
            edits.iter().try_for_each(|edit| set.execute((&edit.path, &edit.value)).map(drop))?;
        }
        Ok(transaction.commit()?)
    }

    fn get(&mut self, path: &str) -> Outcome<Option<String>> {
        let mut find = self.prepare_cached("SELECT value FROM config WHERE path = ?1")?;
        Ok(find.query_row([path], |row| row.get(0)).optional()?)
    }

    fn each(&mut self, visit: &mut dyn FnMut(&str, &str) -> Outcome) -> Outcome {
        let mut all = self.prepare("SELECT path, value FROM config ORDER BY path")?;
        let mut rows = all.query([])?;
        while let Some(row) = rows.next()? {
            visit(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?)?;
        }
        Ok(())
    }
}
