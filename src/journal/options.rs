//! How a journal behaves.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Journal;
use crate::document::Format;
use crate::error::Error;
use crate::storage::Storage;
use crate::storage::os::Os;

/// When the config file is brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Materialise {
    /// Before an append returns; the [`Ack`](super::Ack) says if the file could not be written.
    OnCommit,
    /// In the background, so long after an edit. Where writing the file is slow, up to ten times as long as it takes, but
    /// half a second at most.
    After(Duration),
    /// When asked, and when the journal is closed.
    Manual,
}

/// How to open a journal. Made by [`Journal::options`].
#[derive(Clone)]
pub struct Options {
    pub(super) lock_timeout: Duration,
    pub(super) materialise: Materialise,
    pub(super) create: bool,
    pub(super) format: Option<Format>,
    pub(super) foreign: bool,
    pub(super) command: Option<String>,
    pub(super) storage: Arc<dyn Storage>,
    /// Whether there may be a background thread.
    pub(super) background: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            lock_timeout: Duration::from_secs(5),
            materialise: Materialise::After(Duration::from_millis(100)),
            create: true,
            format: None,
            foreign: false,
            command: None,
            storage: Arc::new(Os),
            background: true,
        }
    }
}

impl Options {
    /// How long to wait for another process that holds a lock. 5 s unless set.
    pub fn lock_timeout(mut self, timeout: Duration) -> Options {
        self.lock_timeout = timeout;
        self
    }

    /// When the config file is brought up to date. After 100 ms unless set.
    pub fn materialise(mut self, when: Materialise) -> Options {
        self.materialise = when;
        self
    }

    /// Whether a config file that does not exist may be created. It may, unless this says no.
    pub fn create(mut self, create: bool) -> Options {
        self.create = create;
        self
    }

    /// The format of the file's text, where its name does not tell or tells wrong.
    pub fn format(mut self, format: Format) -> Options {
        self.format = Some(format);
        self
    }

    /// Write on file systems where locks may not reach everybody who writes (NFS, SMB, 9p, FUSE). Refused unless set:
    /// only if you know that all writers are on this machine.
    pub fn foreign_file_system(mut self, allow: bool) -> Options {
        self.foreign = allow;
        self
    }

    /// What this process is called in the history and to those who wait for its lock. Its program's name unless set.
    pub fn command(mut self, command: impl Into<String>) -> Options {
        self.command = Some(command.into());
        self
    }

    /// The disk to work on, in place of the operating system's.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn seat(mut self, seat: crate::storage::faulty::Seat) -> Options {
        self.storage = seat.0;
        self
    }

    /// No background thread: every call of the seam happens in the caller's order.
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn alone(mut self) -> Options {
        self.background = false;
        self
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        self.storage.clone()
    }

    /// Open the journal of a config file; see [`Journal::open`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Journal, Error> {
        Journal::open_with(self, path.as_ref())
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("lock_timeout", &self.lock_timeout)
            .field("materialise", &self.materialise)
            .field("create", &self.create)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}
