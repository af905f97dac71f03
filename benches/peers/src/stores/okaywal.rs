use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use okaywal::{Configuration, Entry, EntryId, LogManager, LogVoid, SegmentReader, WriteAheadLog};

use super::{Handle, Store};
use crate::Outcome;
use crate::edits::Edit;

/// A log and nothing else: what its records mean, and where they go when it is full, is left to others.
pub struct Okaywal(WriteAheadLog);

impl Okaywal {
    pub fn open(dir: &Path) -> Outcome<Box<dyn Store>> {
        Ok(Box::new(Okaywal(Configuration::default_for(dir).open(LogVoid)?)))
    }
}

impl Store for Okaywal {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(&self.0))
    }
}

impl Handle for &WriteAheadLog {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        self.edit_all(std::slice::from_ref(edit))
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let mut entry = self.begin_entry()?;
        for edit in edits {
            entry.write_chunk(edit.path.as_bytes())?;
            entry.write_chunk(edit.value.as_bytes())?;
        }
        entry.commit()?;
        Ok(())
    }
}

/// Never full: what was written is to be read again.
fn endless(dir: &Path) -> Configuration {
    Configuration::default_for(dir).preallocate_bytes(512 << 20).checkpoint_after_bytes(4 << 30)
}

/// Fill a log with edits from many threads, each edit of its own.
pub fn fill(dir: &Path, edits: impl Iterator<Item = Edit> + Send) -> Outcome {
    let log = endless(dir).open(LogVoid)?;
    let edits = Mutex::new(edits);
    let next = || edits.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        let work = || {
            let mut log = &log;
            while let Some(edit) = next() {
                log.edit(&edit).map_err(|error| error.to_string())?;
            }
            Ok::<(), String>(())
        };
        let running: Vec<_> = (0..64).map(|_| scope.spawn(work)).collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    std::mem::forget(log);
    Ok(())
}

/// Read a log into a map.
pub fn recover(dir: &Path) -> Outcome<HashMap<Vec<u8>, Vec<u8>>> {
    let reader = Reader::default();
    let log = endless(dir).open(reader.clone())?;
    let state = std::mem::take(&mut *reader.0.lock().unwrap_or_else(PoisonError::into_inner));
    std::mem::forget(log);
    Ok(state)
}

#[derive(Debug, Default, Clone)]
struct Reader(Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>);

impl LogManager for Reader {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        if let Some(chunks) = entry.read_all_chunks()? {
            let mut chunks = chunks.into_iter();
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            while let (Some(path), Some(value)) = (chunks.next(), chunks.next()) {
                state.insert(path, value);
            }
        }
        Ok(())
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        Ok(())
    }
}
