//! Room kept for bad times: a file of zeros in the journal that goes when there is no other room for what keeps the
//! journal working, so that a full disk keeps nobody from recovering, healing and compacting.

use std::io;
use std::path::Path;

use crate::error::Error;
use crate::storage::{self, Open, Storage};

/// The file's name in the journal.
const NAME: &str = "reserve";

/// A new segment, what a crash cut short, and the snapshot of a small config.
pub(crate) const LEN: u64 = 96 * 1024;

/// Do what takes room in the journal; where there is none, give up the reserve and do it once more.
pub(crate) fn or_with_reserve<T>(
    storage: &dyn Storage,
    dir: &Path,
    mut act: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    match act() {
        Err(Error::Io { source, .. }) if is_full(&source) && give_up(storage, dir) => act(),
        result => result,
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// `false`: it cannot go.
fn give_up(storage: &dyn Storage, dir: &Path) -> bool {
    match storage.remove(&dir.join(NAME)) {
        Ok(()) => tracing::warn!(journal = %dir.display(), "there is no room left; the journal gives up its reserve"),
        // Whoever did it before may have died before the room was free; and so may room be that was swept.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(_) => return false,
    }
    // Some systems give blocks to others only once it is on the disk that they are free.
    storage::sync_dir(storage, dir).is_ok()
}

/// Keep the reserve (again), where there is room for it. Nothing depends on it.
pub(crate) fn keep(storage: &dyn Storage, dir: &Path) {
    if let Err(error) = try_to_keep(storage, dir) {
        tracing::debug!(journal = %dir.display(), %error, "no room is kept for bad times");
    }
}

fn try_to_keep(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    let path = dir.join(NAME);
    let file = match storage.open(&path, Open::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => storage.open(&path, Open::Create(0o600))?,
        file => file?,
    };
    let found = file.stat()?;
    // A crash or a full disk may have left a part of it. What has another name too is not ours to write into.
    if found.len >= LEN || found.links != 1 {
        return Ok(());
    }
    let made = storage::write_zeros(&*file, found.len, LEN).and_then(|()| file.sync());
    made.inspect_err(|_| {
        // A part of it would take the last room from whoever is about to save.
        let _ = file.set_len(found.len);
    })
}
