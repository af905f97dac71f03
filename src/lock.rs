//! The two locks between processes, and guards as the proof of holding them.
//!
//! Order: **maintenance before append**, never the other way.
//!
//! * *append* is a `flock` on the journal's directory: nothing to create, nothing that someone could delete under it.
//!   Held for one append.
//! * *maintenance* is a `flock` on `watermark`: held to compact, to recover, and to write the config file.
//!
//! The kernel drops them when their holder dies: no stale lock, no test for a process, nothing to clean up. Threads of
//! one process share the open files, so each lock has a mutex in front.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::planted::{Bug, planted};
use crate::storage::{File, Lock, Open, Stat, Storage};
use crate::watermark::{self, Role, Watermark};

/// Longest single wait before the lock is tried again; a waiter is normally woken long before.
const RETRY: Duration = Duration::from_millis(2);

/// The locks of one open journal.
pub(crate) struct Locks {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    dir_file: Box<dyn File>,
    dir_stat: Stat,
    watermark_stat: Stat,
    pub watermark: Watermark,
    appending: Mutex<()>,
    maintaining: Mutex<()>,
}

/// Proof of being the only appender, over all threads and processes.
#[must_use = "dropping the guard lets the next appender in"]
pub(crate) struct AppendGuard<'a> {
    locks: &'a Locks,
    /// Whoever held the lock before [settled](AppendGuard::settle) what it did.
    pub found_settled: bool,
    _thread: MutexGuard<'a, ()>,
}

/// Proof of being the only one that compacts, recovers, or writes the config file.
#[must_use = "dropping the guard lets the next one in"]
pub(crate) struct MaintenanceGuard<'a> {
    locks: &'a Locks,
    _thread: MutexGuard<'a, ()>,
}

impl AppendGuard<'_> {
    /// Tell the next holder that the log holds just what the watermark says.
    pub(crate) fn settle(&self) {
        self.locks.watermark.settle();
    }

    /// Why something failed: what was not found may be gone with the whole journal.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match error {
            Error::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                self.locks.still_there().err().unwrap_or(error)
            }
            error => error,
        }
    }
}

impl Drop for AppendGuard<'_> {
    fn drop(&mut self) {
        self.locks.give_back(Role::Appender);
    }
}

impl Drop for MaintenanceGuard<'_> {
    fn drop(&mut self) {
        self.locks.give_back(Role::Maintainer);
    }
}

impl Locks {
    pub(crate) fn open(storage: Arc<dyn Storage>, dir: &Path, command: &str) -> Result<Locks, Error> {
        let dir_file = storage.open(dir, Open::Directory).map_err(Error::io("open", dir))?;
        let watermark = Watermark::open(&*storage, dir, command)?;
        let dir_stat = dir_file.stat().map_err(Error::io("look at", dir))?;
        let watermark_stat = watermark.file.stat().map_err(Error::io("look at", &watermark.path))?;
        let (appending, maintaining) = Default::default();
        Ok(Locks {
            storage,
            dir: dir.to_owned(),
            dir_file,
            dir_stat,
            watermark_stat,
            watermark,
            appending,
            maintaining,
        })
    }

    /// The journal that the locks belong to.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Take the append lock, waiting at most `timeout`.
    pub(crate) fn append(&self, timeout: Duration) -> Result<AppendGuard<'_>, Error> {
        let thread = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(Role::Appender, timeout)?;
        // Made before the check, so that a failed check gives the lock back.
        let found_settled = self.watermark.unsettle();
        let guard = AppendGuard { locks: self, found_settled, _thread: thread };
        self.still_there()?;
        Ok(guard)
    }

    /// Take the maintenance lock, waiting at most `timeout`.
    pub(crate) fn maintenance(&self, timeout: Duration) -> Result<MaintenanceGuard<'_>, Error> {
        let thread = self.maintaining.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(Role::Maintainer, timeout)?;
        let guard = MaintenanceGuard { locks: self, _thread: thread };
        self.still_there()?;
        Ok(guard)
    }

    fn file(&self, role: Role) -> (&dyn File, &Path) {
        match role {
            Role::Appender => (&*self.dir_file, &self.dir),
            Role::Maintainer => (&*self.watermark.file, &self.watermark.path),
        }
    }

    fn take(&self, role: Role, timeout: Duration) -> Result<(), Error> {
        let (file, path) = self.file(role);
        let began = self.storage.uptime();
        loop {
            self.watermark.claim_room()?;
            let seen = self.watermark.releases();
            let missing = role == Role::Appender && planted(Bug::AppendLockNotTaken);
            if missing || file.try_lock(Lock::Exclusive).map_err(Error::io("lock", path))? {
                self.watermark.enter(role, self.storage.pid(), self.storage.uptime());
                return Ok(());
            }
            let now = self.storage.uptime();
            let waited = now.saturating_sub(began);
            if waited >= timeout {
                let holder = self.watermark.holder(role, now).filter(|holder| self.storage.alive(holder.pid));
                return Err(Error::Locked { path: path.to_owned(), holder, waited });
            }
            self.watermark.wait_released(seen, RETRY.min(timeout - waited));
        }
    }

    fn give_back(&self, role: Role) {
        let (file, path) = self.file(role);
        self.watermark.leave(role);
        if let Err(error) = file.unlock() {
            tracing::warn!(path = %path.display(), %error, "cannot unlock; the lock ends with this process");
        }
        self.watermark.released();
    }

    /// Journal and watermark are still those at their paths: an append to a removed journal would be a write into the void,
    /// and who looks at another page than the others does not hear of a failed sync.
    fn still_there(&self) -> Result<(), Error> {
        if planted(Bug::LockNotLookedAtAgain) {
            return Ok(());
        }
        let dir = self.storage.stat(&self.dir).map(|found| found.identity());
        self.is_ours(&self.dir, dir, &self.dir_stat)?;
        self.is_ours(&self.watermark.path, self.entry(OsStr::new(watermark::NAME)), &self.watermark_stat)
    }

    fn is_ours(&self, path: &Path, found: std::io::Result<(u64, u64)>, ours: &Stat) -> Result<(), Error> {
        match found {
            Ok(found) if found == ours.identity() => Ok(()),
            Ok(_) => Err(Error::Gone { path: self.dir.clone() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Gone { path: self.dir.clone() }),
            Err(error) => Err(Error::io("look at", path)(error)),
        }
    }

    /// Device and number of what has this name in the journal.
    pub(crate) fn entry(&self, name: &OsStr) -> std::io::Result<(u64, u64)> {
        self.dir_file.entry(name)
    }
}
