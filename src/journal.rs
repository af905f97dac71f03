//! [`Journal`]: a config file that many threads and processes edit, open in this process.

use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::compact::{self, Compaction};
use crate::document::{self, Columns, Format};
use crate::error::Error;
use crate::log::{Appended, Log};
use crate::materialise::{Behind, ConfigFile, FileStatus, Materialiser, Shown};
use crate::op::codec::Signature;
use crate::op::{Origin, OriginKind, Transaction};
use crate::path::{IntoPath, Path, PathError};
use crate::state::State;
use crate::storage::Stat;
use crate::value::{SerdeError, Value};

mod birth;
mod file;
mod keeper;
mod options;
mod pending;
mod preview;
mod queue;

pub use options::{Materialise, Options};
pub use pending::Pending;
pub use preview::Preview;
pub(crate) use preview::preview;
use queue::{Edit, Queue, Settled, Slot};

/// A config file with its journal, open.
///
/// Threads share one `Journal` by cloning it; processes each open their own. When the last clone is dropped the config
/// file is brought up to date; [`close`](Journal::close) does the same and says how it went.
///
/// One that is never dropped (in a `static`, in a process that ends by [`exit`](std::process::exit) or a signal, with a clone in
/// a thread that still runs when `main` returns) does neither: what was acknowledged is safe, what was only
/// [submitted](Journal::submit) may be lost, and the file shows it all with the next edit or close, whoever's.
///
/// An edit that was acknowledged ([`append`](Journal::append) returned `Ok`) survives a crash of the process and of
/// the system, as long as the disk honours flush. An edit that was not is there whole or not at all.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
    _last: Arc<Closer>,
}

struct Inner {
    log: Log,
    config: ConfigFile,
    options: Options,
    origin: Origin,
    signature: Signature,
    queue: Queue,
    signals: keeper::Signals,
    keeper: Mutex<Option<JoinHandle<()>>>,
    /// An edit was made.
    has_edited: AtomicBool,
    /// The file as it was when it last showed a text of ours.
    shown: Mutex<Option<Shown>>,
    /// What is about to be the file: to be known for ours when it is seen there.
    coming: Mutex<Option<Stat>>,
    /// The file as it was when its columns were read, where its format has some.
    columns: Mutex<Option<(Stat, Columns)>>,
    /// What kept the file from being written the last time.
    held_back: Mutex<Option<Behind>>,
    /// Where saves overruled programs, until somebody asks.
    conflicts: Mutex<Vec<Path>>,
    /// The file was brought up to date to close the journal, and showed this revision then.
    closed: Mutex<Option<u64>>,
    /// To close the journal it was tried in vain to bring the file up to this revision.
    closed_without: Mutex<Option<u64>>,
}

/// Closes the journal with the last clone.
struct Closer(Arc<Inner>);

impl Drop for Closer {
    fn drop(&mut self) {
        if !self.0.log.is_ours() {
            // A forked child drops its copy; closing is for the parent.
            return;
        }
        if let Err(error) = self.0.close() {
            tracing::warn!(%error, "the config file could not be brought up to date; the edits are safe in the log");
        }
    }
}

/// An edit that is durable, or that needed nothing to be.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ack {
    /// The revision that the edit made, or the one that it was judged on if it changed nothing.
    pub revision: u64,
    /// One for each op: the new value of an increment, nothing for the others.
    pub results: Vec<Option<Value>>,
    /// Whether a revision was made.
    pub changed: bool,
    /// Whether its idempotency key had been used before: revision and results are those of the first time.
    pub repeated: bool,
    /// What keeps the config file from showing it, if that is known already.
    pub held_back: Option<Behind>,
}

/// One consistent revision. Holding it costs nothing, and nothing waits for it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    state: State,
    revision: u64,
}

impl Snapshot {
    /// Its number.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The whole config.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The value at a path.
    pub fn get(&self, path: &Path) -> Option<&Value> {
        self.state.root().get(path)
    }
}

impl Journal {
    /// How to open one.
    pub fn options() -> Options {
        Options::default()
    }

    /// Open the journal of a config file. A file without a journal is adopted; one that does not exist is created by the
    /// first edit. What an earlier crash left is recovered first.
    ///
    /// A relative path is followed from the working directory, each time anew: a program that changes its directory opens an
    /// absolute one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text that does not parse, [`Error::Damaged`] when acknowledged records cannot be read,
    /// [`Error::Missing`] for a file that [may not be created](Options::create), [`Error::Newer`], [`Error::Locked`],
    /// [`Error::Forbidden`], [`Error::Io`]. In each case nothing was changed.
    pub fn open(path: impl AsRef<FilePath>) -> Result<Journal, Error> {
        Options::default().open(path)
    }

    fn open_with(options: Options, path: &FilePath) -> Result<Journal, Error> {
        let storage = options.storage.clone();
        let mut config = ConfigFile::resolve(storage.clone(), path, options.format.clone())?;
        if !options.foreign
            && let Some(name) = storage.foreign(config.parent()).map_err(Error::io("look at", config.parent()))?
        {
            tracing::debug!(file_system = name, "refused");
            let (rule, instead) = (
                "it lies on a network or foreign file system, where locks may not reach everybody who writes",
                "allow it if all writers are on this machine",
            );
            return Err(Error::Forbidden { path: config.path, rule, instead });
        }
        let dir = config.journal();
        let command = options.command.clone().unwrap_or_else(program_name);
        if !config.has_journal()? {
            config.format = birth::bear(&config, &dir, options.create)?;
        }
        let log = Log::open(storage.clone(), &dir, &command, options.lock_timeout)?;
        let origin = Origin { program: command, pid: storage.pid(), host: host_name(), kind: OriginKind::Program };
        let inner = Arc::new(Inner {
            log,
            config,
            options,
            signature: Signature::new(&origin),
            origin,
            queue: Queue::default(),
            signals: keeper::Signals::default(),
            keeper: Mutex::default(),
            has_edited: AtomicBool::new(false),
            shown: Mutex::default(),
            coming: Mutex::default(),
            columns: Mutex::default(),
            held_back: Mutex::default(),
            conflicts: Mutex::default(),
            closed: Mutex::default(),
            closed_without: Mutex::default(),
        });
        Ok(Journal { _last: Arc::new(Closer(inner.clone())), inner })
    }

    /// Make an edit. When this returns, the edit is durable.
    ///
    /// # Errors
    /// [`Error::Refused`] and [`Error::Revision`]: it does not fit the newest state. [`Error::NotApplied`]: it never
    /// will be there. [`Error::OutcomeUnknown`]: the disk failed before it was safe.
    pub fn append(&self, edit: impl Into<Transaction>) -> Result<Ack, Error> {
        self.append_expecting(edit, None)
    }

    /// Make an edit if the newest revision is the expected one.
    ///
    /// # Errors
    /// As [`append`](Journal::append).
    pub fn append_expecting(&self, edit: impl Into<Transaction>, revision: Option<u64>) -> Result<Ack, Error> {
        let edit = self.inner.prepare(edit.into(), revision)?;
        let (slot, _) = self.inner.queue.push(edit);
        let settled = self.inner.drive(&slot);
        self.inner.acknowledge(&slot, settled)
    }

    /// Make an edit after which the journal is closed. Where nothing is in the way, one sync makes the edit durable and lets
    /// the config file show it, which leaves nothing to do for [`close`](Journal::close).
    ///
    /// # Errors
    /// As [`append_expecting`](Journal::append_expecting).
    pub fn append_last(&self, edit: impl Into<Transaction>, revision: Option<u64>) -> Result<Ack, Error> {
        let edit = self.inner.prepare(edit.into(), revision)?;
        let (slot, _) = self.inner.queue.push(edit);
        let settled = self.inner.drive_and_then(&slot, || self.inner.show_ahead());
        self.inner.acknowledge(&slot, settled)
    }

    /// Begin an edit and do not wait. Edits submitted one after the other are applied in that order and share syncs.
    ///
    /// # Errors
    /// [`Error::Refused`] if it could not be written whatever the state; all else comes from waiting.
    pub fn submit(&self, edit: impl Into<Transaction>) -> Result<Pending, Error> {
        self.submit_expecting(edit, None)
    }

    /// Begin an edit that is refused unless the revision right before it is the expected one.
    ///
    /// # Errors
    /// As [`submit`](Journal::submit).
    pub fn submit_expecting(&self, edit: impl Into<Transaction>, revision: Option<u64>) -> Result<Pending, Error> {
        let edit = self.inner.prepare(edit.into(), revision)?;
        let (slot, waiting) = self.inner.queue.push(edit);
        if waiting > queue::WAITING_MAX {
            self.inner.drive_for_others();
        } else if self.inner.signals.submitted() {
            self.inner.wake_keeper();
        }
        Ok(Pending { inner: self.inner.clone(), slot })
    }

    /// The value at a path in the newest durable revision, as any type that serde can read; `None`: nothing is there. The
    /// path `""` is the whole config.
    ///
    /// What a person saved in the file is a revision once it is taken over: with the next edit, whoever makes it, or by
    /// [`materialise`](Journal::materialise). A program that only reads calls that now and then, or when its file watcher
    /// wakes it; a [`View`](crate::View) sees such a save at once.
    ///
    /// # Errors
    /// [`Error::Refused`] for a path that does not parse, [`Error::Type`] for a value of another shape, and what
    /// reading on in the log may meet.
    pub fn get<T: DeserializeOwned>(&self, path: impl IntoPath) -> Result<Option<T>, Error> {
        let refused = |error: PathError| Error::Refused(error.into());
        // The error says where in the config the value is, which also tells a secret.
        let read = |value: Option<&Value>, at: &dyn Fn() -> Result<Path, PathError>| {
            value.map(Value::to).transpose().map_err(|error: SerdeError| match at() {
                Ok(path) => Error::Type(error.below(&path)),
                Err(error) => refused(error),
            })
        };
        let log = &self.inner.log;
        match path.as_text() {
            Some(text) => {
                log.look(|version| read(version.state.root().at_text(text).map_err(refused)?, &|| Path::parse(text)))?
            }
            None => {
                let path = path.into_path().map_err(refused)?;
                log.look(|version| read(version.state.root().get(&path), &|| Ok(path.clone())))?
            }
        }
    }

    /// The newest durable revision. What a person saved is in it once it is taken over, as for [`get`](Journal::get).
    ///
    /// # Errors
    /// What reading on in the log may meet: [`Error::Io`], [`Error::Damaged`], [`Error::Gone`].
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let version = self.inner.log.published()?;
        Ok(Snapshot { revision: version.revision(), state: version.state.clone() })
    }

    /// Read the config as a type, change it, and log the difference. The closure runs again when somebody else was quicker.
    ///
    /// What the type does not know stays as it is, and so does the order of the document. Where the format has no null, as in
    /// TOML, a key whose value becomes `None` goes.
    ///
    /// A config without anything in it is an empty object, which a type can read that has defaults for its fields.
    ///
    /// # Errors
    /// [`Error::Type`] when state and type do not fit, or would not after the change, and as [`append`](Journal::append).
    pub fn update<T, R>(&self, mut change: impl FnMut(&mut T) -> R) -> Result<(R, Ack), Error>
    where
        T: Serialize + DeserializeOwned,
    {
        loop {
            let version = self.inner.log.published()?;
            let mut typed: T = version.state.root().to().map_err(Error::Type)?;
            let view = |typed: &T| {
                let view = Value::from_serialize(typed).map_err(Error::Type)?;
                Ok::<_, Error>(document::shown_view(self.format(), view))
            };
            let before = view(&typed)?;
            let result = change(&mut typed);
            let after = view(&typed)?;
            // The view of a type is not the config: what differs between two views has to be found there.
            let carried = version.state.carry(&before, &after);
            let ops = version.state.diff(&carried);
            if !ops.is_empty() {
                // Such as a field that was read under another name than it is written: then it would be there twice.
                carried.root().to::<T>().map_err(|error| Error::Type(error.after_a_change()))?;
            }
            match self.append_expecting(Transaction::from(ops), Some(version.revision())) {
                Err(Error::Revision { .. }) => {}
                outcome => return outcome.map(|ack| (result, ack)),
            }
        }
    }

    /// What an edit would do to the config file. Nothing is written.
    ///
    /// # Errors
    /// As [`append`](Journal::append), and [`Error::Unpatchable`], [`Error::Invalid`] for the file's own text.
    pub fn preview(&self, edit: impl Into<Transaction>, expected: Option<u64>) -> Result<Preview, Error> {
        preview(&self.inner.config, &*self.inner.log.published()?, &edit.into(), expected)
    }

    /// Bring the config file up to the newest durable revision now.
    ///
    /// # Errors
    /// What reading and writing may meet. A file that is held back is no error: the status says so.
    pub fn materialise(&self) -> Result<FileStatus, Error> {
        self.inner.flush()?;
        self.inner.materialise(false)
    }

    /// Write a snapshot, retire the log that it covers, and bring the config file up to date.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Io`], [`Error::Damaged`]. A crash at any moment leaves a journal that opens.
    pub fn compact(&self) -> Result<(Compaction, FileStatus), Error> {
        self.inner.flush()?;
        let status = self.inner.materialise(false)?;
        let guard = self.inner.log.maintenance()?;
        let compaction = compact::compact(&self.inner.log, &self.inner.config, &guard)?;
        Ok((compaction, status))
    }

    /// Which revision the config file shows. Reads the file; changes nothing.
    ///
    /// # Errors
    /// What reading may meet.
    pub fn file_status(&self) -> Result<FileStatus, Error> {
        let (status, shown) = self.inner.materialiser(false).look(&*self.inner.log.noted()?)?;
        if shown.is_some() {
            *self.inner.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        }
        Ok(status)
    }

    /// Where saves that this journal took over overruled what programs had written since, or put back what they had
    /// replaced: the paths since this was last asked. The save counts; the log keeps both, and still knows it after a crash.
    pub fn take_conflicts(&self) -> Vec<Path> {
        std::mem::take(&mut *self.inner.conflicts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bring the config file up to date and close the journal, if no clone of it is left.
    ///
    /// # Errors
    /// As [`materialise`](Journal::materialise). Edits that were acknowledged are safe whatever this says.
    pub fn close(self) -> Result<FileStatus, Error> {
        self.inner.log.refuse_child()?;
        self.inner.drain();
        if let Some(revision) = self.inner.closed_at() {
            return Ok(FileStatus::Current { revision });
        }
        self.inner.log.sync_all()?;
        let status = self.inner.materialise(false)?;
        self.inner.remember_closed(&status);
        if !matches!(status, FileStatus::Current { .. }) {
            *self.inner.closed_without.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.inner.log.newest());
        }
        Ok(status)
    }

    /// Sweep what earlier crashes left beside the config file, and bring it up to date; a removed one is written anew
    /// if that was asked for.
    pub(crate) fn settle_file(&self, accept: bool) -> Result<FileStatus, Error> {
        self.inner.sweep(accept)?;
        self.inner.materialise(accept)
    }

    /// The config file, all symlinks followed.
    pub fn path(&self) -> &FilePath {
        &self.inner.config.path
    }

    /// The format of the config file.
    pub fn format(&self) -> &Format {
        &self.inner.config.format
    }

    /// The directory that holds log and snapshots.
    pub fn journal_path(&self) -> &FilePath {
        &self.inner.log.dir
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("path", &self.inner.config.path).finish_non_exhaustive()
    }
}

impl Inner {
    /// Encode an edit, with who makes it and when.
    fn prepare(&self, mut transaction: Transaction, expected: Option<u64>) -> Result<Edit, Error> {
        self.log.usable().map_err(|error| Error::NotApplied(Box::new(error)))?;
        // Of a record that is made again: the text that it was made from is none of this file's.
        transaction.base = None;
        document::admit(&self.config.format, &mut transaction.ops)?;
        if let Some(columns) = self.columns() {
            document::fit_columns(&columns, &transaction.ops)?;
        }
        let mut payload = Vec::new();
        transaction.encode_signed(self.log.storage.clock_micros(), &self.signature, &mut payload)?;
        let transaction = (!transaction.is_plain_set()).then(|| Box::new(transaction));
        Ok(Edit { payload: payload.into(), transaction, expected })
    }

    /// See to it that an edit has its turn; a hand edit that was made before it comes first.
    fn drive(&self, slot: &Slot) -> Settled {
        self.drive_and_then(slot, || ())
    }

    /// The same, and between the append and the wait for it whatever else is to be done.
    fn drive_and_then(&self, slot: &Slot, appended: impl Fn()) -> Settled {
        self.queue.drive(&self.log, slot, || self.look_for_hand_edit(), appended)
    }

    fn drive_for_others(&self) -> usize {
        self.queue.drive_for_others(&self.log, || self.look_for_hand_edit())
    }

    /// Say what came of an edit that had its turn.
    fn acknowledge(self: &Arc<Self>, slot: &Slot, mut settled: Settled) -> Result<Ack, Error> {
        let appended = loop {
            let nothing_written = settled.outcome.as_ref().map_or(true, |appended| !appended.written);
            match (settled.outcome, settled.durable) {
                (Ok(appended), Ok(())) => break appended,
                // Judged on something that was lost, and nothing was written: judge again.
                (_, Err(error))
                    if matches!(*error, Error::OutcomeUnknown(_)) && nothing_written && !self.log.is_latched() =>
                {
                    let (again, _) = self.queue.push(slot.edit.clone());
                    settled = self.drive(&again);
                }
                (_, Err(error)) => return Err(*error),
                (Err(error), Ok(())) => return Err(error),
            }
        };
        let Appended { revision, mut results, written, repeated, .. } = appended;
        if slot.edit.transaction.is_none() {
            // Made here, by the thread that frees it: that is the quicker way.
            results.push(None);
        }
        if written {
            match self.options.materialise {
                Materialise::OnCommit => {
                    // The edit is durable whatever becomes of the file.
                    if let Err(error) = self.materialise(false) {
                        *self.held_back.lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(Behind::Failed(error.to_string()));
                    }
                }
                Materialise::After(_) | Materialise::Manual => {}
            }
            // Where only the log is to be looked after there is nothing to do after one edit: most who make one are gone then.
            let is_due =
                self.has_edited.swap(true, Relaxed) || matches!(self.options.materialise, Materialise::After(_));
            if is_due && self.signals.edited(self.log.has_outgrown()) {
                self.wake_keeper();
            }
        }
        let held_back = self.held_back.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Ack { revision, results, changed: written && !repeated, repeated, held_back })
    }

    fn compact_if_due(&self) -> Result<(), Error> {
        match compact::is_due(&self.log) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // Somebody else is at it, and what was listed is gone.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        let guard = match self.log.maintenance_now() {
            // Whoever holds it may be at just that. If not, there is a next time.
            Err(Error::Locked { .. }) => return Ok(()),
            guard => guard?,
        };
        // Somebody else may just have done it.
        if compact::is_due(&self.log)? {
            compact::compact(&self.log, &self.config, &guard)?;
        }
        Ok(())
    }

    /// Everything in the log so far is durable, all that was submitted among it.
    fn flush(&self) -> Result<(), Error> {
        self.log.refuse_child()?;
        self.drain();
        self.log.sync_all()
    }

    /// Everything submitted so far is appended and durable.
    fn drain(&self) {
        // Others may go on submitting for ever.
        let mut left = self.queue.len();
        while left > 0 {
            left = match self.drive_for_others() {
                0 => 0,
                driven => left.saturating_sub(driven),
            };
        }
    }

    fn drive_submitted(&self) {
        self.drive_for_others();
        self.signals.edited(self.log.has_outgrown());
        if self.queue.len() > 0 {
            self.signals.submitted();
        }
    }

    /// Start the background thread with the first edit.
    fn wake_keeper(self: &Arc<Self>) {
        if !self.options.background {
            return;
        }
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_none_or(JoinHandle::is_finished) {
            let inner = self.clone();
            let started = std::thread::Builder::new().name("cfgwal".into()).spawn(move || keeper::run(&inner));
            match started {
                Ok(handle) => *keeper = Some(handle),
                Err(error) => {
                    drop(keeper);
                    self.signals.forget();
                    tracing::warn!(%error, "no background thread: the config file is written on close");
                    // Nobody else will see to what was submitted, or wake those who wait for it.
                    self.drain();
                }
            }
        }
    }

    /// What the last clone does, and need not do again after [`Journal::close`].
    fn close(&self) -> Result<(), Error> {
        self.signals.stop();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            // A waker may have dropped the last clone on that very thread. A panic there was reported by the thread itself.
            if keeper.thread().id() != std::thread::current().id() {
                let _ = keeper.join();
            }
        }
        // What was noted of the file rides on the next sync, whoever makes that one.
        self.drain();
        let newest = self.log.newest();
        let was_tried =
            self.closed_without.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at >= newest);
        if self.closed_at().is_none() && !was_tried {
            self.materialise(false)?;
        }
        // An editor that had a replaced text open may have closed it by now.
        if self.materialiser(false).has_leftovers(|name| birth::is_unnamed(name, &self.log.dir)).unwrap_or(false) {
            // The edits are safe and the file shows them: what cannot be removed is litter and no harm.
            if let Err(error) = self.sweep(false) {
                tracing::warn!(%error, "what a crash left beside the config file stays there");
            }
        }
        // Who makes one edit is gone before a keeper would look.
        if let Err(error) = self.compact_if_due() {
            tracing::warn!(%error, "the log could not be compacted");
        }
        Ok(())
    }
}

/// What a waiter is told about who holds a lock. Arguments are left out: any of them may be a secret.
fn program_name() -> String {
    let program = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
