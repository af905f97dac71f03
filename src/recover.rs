//! Recovery as a person meets it: a [`Plan`] that is printed, and the same plan performed.

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::document::Format;
use crate::error::{Damage, Error};
use crate::journal::{Journal, Options};
use crate::lock::Locks;
use crate::materialise::{Behind, ConfigFile, FileStatus};
use crate::quote::on_one_line;
use crate::recovery::{self, Evidence, Finding, LogPlan, Look, Step, TornTail, perform};
use crate::storage::os::Os;
use crate::storage::{Lock, Open, Storage};
use crate::view;
use crate::watermark;

/// What recovery found, and what it would do or has done.
#[derive(Debug, Clone)]
pub struct Plan {
    dir: PathBuf,
    log: LogPlan,
    file: FileStatus,
    /// Others were writing: only what they call durable was looked at.
    beside: bool,
}

/// What `recover` may do beyond what loses nothing.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecoverOptions {
    /// Go on without damaged records that had been acknowledged. Their bytes are kept in quarantine.
    pub accept_loss: bool,
    /// Write a config file anew that someone removed, and take over one that was saved with most of it gone.
    pub accept_file: bool,
    /// How long to wait for other processes.
    pub lock_timeout: Duration,
    /// The format of the file's text, where its name does not tell.
    pub format: Option<Format>,
}

impl Default for RecoverOptions {
    fn default() -> RecoverOptions {
        RecoverOptions { accept_loss: false, accept_file: false, lock_timeout: Duration::from_secs(5), format: None }
    }
}

/// How long a dry run waits for an append to end.
const MOMENT: Duration = Duration::from_millis(200);

impl Journal {
    /// What [`recover`](Journal::recover) would do. Writes nothing, creates nothing, and works on a read-only mount.
    ///
    /// `None`: there is no journal.
    ///
    /// # Errors
    /// [`Error::Newer`], [`Error::Io`].
    pub fn plan_recovery(path: impl AsRef<Path>) -> Result<Option<Plan>, Error> {
        Journal::plan_recovery_on(Arc::new(Os), path.as_ref(), None)
    }

    pub(crate) fn plan_recovery_on(
        storage: Arc<dyn Storage>,
        path: &Path,
        format: Option<Format>,
    ) -> Result<Option<Plan>, Error> {
        let config = ConfigFile::resolve(storage, path, format)?;
        let dir = config.journal();
        let storage = &*config.storage;
        if !config.has_journal()? {
            return Ok(None);
        }
        let looked = view::look_at_both(&config, || {
            let (evidence, alone) = gather_between_appends(storage, &dir)?;
            Ok((recovery::plan(&evidence, if alone { Look::Alone } else { Look::Noted })?, alone))
        })?;
        let file = looked.file_status(&config)?;
        Ok(Some(Plan { dir, log: looked.plan, file, beside: !looked.rest }))
    }

    /// What [`recover`](Journal::recover) would do on another disk than the operating system's.
    ///
    /// # Errors
    /// As [`plan_recovery`](Journal::plan_recovery).
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn plan_recovery_seated(
        seat: &crate::storage::faulty::Seat,
        path: impl AsRef<Path>,
    ) -> Result<Option<Plan>, Error> {
        Journal::plan_recovery_on(seat.0.clone(), path.as_ref(), None)
    }

    /// Put right what a crash left on the disk of these options.
    ///
    /// # Errors
    /// As [`recover`](Journal::recover).
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn recover_seated(
        open: Options,
        path: impl AsRef<Path>,
        options: &RecoverOptions,
    ) -> Result<(Plan, FileStatus), Error> {
        Journal::recover_with(open, path.as_ref(), options)
    }

    /// Put right what a crash left, and bring the config file up to date. What it did is the plan that it returns.
    ///
    /// # Errors
    /// [`Error::Damaged`] when acknowledged records cannot be read and their loss was not accepted; then nothing was changed.
    /// [`Error::Locked`], [`Error::Newer`], [`Error::Io`].
    pub fn recover(path: impl AsRef<Path>, options: &RecoverOptions) -> Result<(Plan, FileStatus), Error> {
        Journal::recover_with(Journal::options(), path.as_ref(), options)
    }

    pub(crate) fn recover_with(
        open: Options,
        path: &Path,
        options: &RecoverOptions,
    ) -> Result<(Plan, FileStatus), Error> {
        let storage = open.storage();
        let config = ConfigFile::resolve(storage.clone(), path, options.format.clone())?;
        let dir = config.journal();
        if !config.has_journal()? {
            return Err(Error::io("open", &dir)(std::io::ErrorKind::NotFound.into()));
        }
        let log = recover_log(&storage, &dir, options)?;
        let looked = view::look_at_file(&config, log)?;
        let file = looked.file_status(&config)?;
        let plan = Plan { dir, log: looked.plan, file, beside: false };
        let mut open = open.lock_timeout(options.lock_timeout);
        if let Some(format) = options.format.clone() {
            open = open.format(format);
        }
        let journal = open.open(path)?;
        let status = journal.settle_file(options.accept_file)?;
        Ok((plan, status))
    }
}

/// Under both locks: plan, and perform the plan.
fn recover_log(storage: &Arc<dyn Storage>, dir: &Path, options: &RecoverOptions) -> Result<LogPlan, Error> {
    let locks = match Locks::open(storage.clone(), dir, "cfgwal recover") {
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            perform::restore_watermark(&**storage, dir)?;
            Locks::open(storage.clone(), dir, "cfgwal recover")?
        }
        other => other?,
    };
    let boot = storage.boot_id().map_err(Error::io("read the boot id for", dir))?;
    let maintenance = locks.maintenance(options.lock_timeout)?;
    let append = locks.append(options.lock_timeout)?;
    let plan = perform::look_alone(&**storage, dir, &locks, &boot, &append)?;
    match &plan.damage {
        None => perform::perform(&**storage, &locks, &boot, &plan, &maintenance, &append)?,
        Some(_) if options.accept_loss => {
            perform::accept_loss(&**storage, &locks, &boot, &plan, &maintenance, &append)?;
        }
        Some(damage) => return Err(Error::Damaged(Box::new(damage.clone()))),
    }
    Ok(plan)
}

/// Read the journal while nobody appends; if that takes too long, beside the appenders.
fn gather_between_appends(storage: &dyn Storage, dir: &Path) -> Result<(Evidence, bool), Error> {
    let lock = storage.open(dir, Open::Directory).map_err(Error::io("open", dir))?;
    let began = storage.uptime();
    let alone = loop {
        match lock.try_lock(Lock::Shared) {
            Ok(true) => break true,
            Ok(false) if storage.uptime().saturating_sub(began) < MOMENT => storage.sleep(Duration::from_millis(1)),
            Ok(false) | Err(_) => break false,
        }
    };
    let boot = storage.boot_id().map_err(Error::io("read the boot id for", dir))?;
    let end = || watermark::peek_end(storage, dir, &boot);
    // Held no longer than it takes to open the files and note their ends. Were they opened again, others may write by then.
    let (openings, noted) = (Cell::new(0), Cell::new(None));
    let opened = || {
        openings.set(openings.get() + 1);
        noted.set(end());
        if alone && let Err(error) = lock.unlock() {
            tracing::warn!(%error, "cannot unlock the journal; the lock ends with this process");
        }
    };
    let (evidence, _) = view::look(storage, dir, true, &opened)?;
    // Of what was appended while the files were read half a record may have been read, and one behind it that calls it durable.
    let is_still = || matches!(lock.try_lock(Lock::Shared), Ok(true)) && end() == noted.get();
    Ok((evidence, alone && openings.get() == 1 && is_still()))
}

impl Plan {
    /// Whether recovery has nothing to do: no damage, nothing torn, and the config file is up to date.
    pub fn is_clean(&self) -> bool {
        // Noting where the log stands since this boot is done by whoever opens the journal first, crash or not.
        self.log.steps.iter().all(|step| *step == Step::BeginWatermark)
            && self.log.findings.is_empty()
            && matches!(self.file, FileStatus::Current { .. })
    }

    /// What it would do to the journal, in order.
    pub fn steps(&self) -> &[Step] {
        &self.log.steps
    }

    /// What it would do to the config file behind that, in words.
    pub fn file_step(&self) -> Option<&'static str> {
        match &self.file {
            FileStatus::Behind { why: Behind::Pending, .. } => Some("bring the config file up to date"),
            FileStatus::Behind { why: Behind::EditedByHand, .. } => Some("take over what was changed by hand"),
            _ => None,
        }
    }

    /// What keeps the config file from being up to date that only a person can see to.
    pub fn left_to_you(&self) -> Option<&Behind> {
        match &self.file {
            FileStatus::Current { .. } | FileStatus::Behind { why: Behind::Pending | Behind::EditedByHand, .. } => None,
            FileStatus::Behind { why, .. } => Some(why),
        }
    }

    /// What is not as it should be and stops nothing.
    pub fn findings(&self) -> &[Finding] {
        &self.log.findings
    }

    /// The end of the log that a crash cut short.
    pub fn torn(&self) -> Option<&TornTail> {
        self.log.torn.as_ref()
    }

    /// Acknowledged records that cannot be read.
    pub fn damage(&self) -> Option<&Damage> {
        self.log.damage.as_ref()
    }

    /// The newest revision that can be read.
    pub fn revision(&self) -> u64 {
        self.log.version.revision()
    }

    /// The revision of the snapshot that the replay began with.
    pub fn snapshot_revision(&self) -> Option<u64> {
        self.log.snapshot.map(|(revision, _)| revision)
    }

    /// Records replayed after the snapshot.
    pub fn records(&self) -> u64 {
        self.log.records
    }

    /// The segments of the log.
    pub fn segments(&self) -> &[String] {
        &self.log.segments
    }

    /// What the config file shows.
    pub fn file_status(&self) -> &FileStatus {
        &self.file
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "journal   {}", on_one_line(self.dir.display()))?;
        if self.beside {
            writeln!(f, "          (others are writing; looked at what they call durable)")?;
        }
        match self.log.snapshot {
            Some((revision, bytes)) => writeln!(f, "snapshot  revision {revision}, {bytes} bytes")?,
            None => writeln!(f, "snapshot  none that can be read")?,
        }
        let (records, segments) = (self.log.records, self.log.segments.len());
        let plural = |one: bool| if one { "" } else { "s" };
        let (after, of) = (plural(records == 1), plural(segments == 1));
        writeln!(
            f,
            "log       {records} record{after} after it, {segments} segment{of}, {} bytes",
            self.log.log_bytes
        )?;
        writeln!(f, "state     revision {}", self.revision())?;
        match &self.file {
            FileStatus::Current { revision } => writeln!(f, "file      shows revision {revision}")?,
            FileStatus::Behind { shows: Some(shows), revision, why } => {
                writeln!(f, "file      shows revision {shows}, lacks {} to {revision}: {why}", shows + 1)?;
            }
            FileStatus::Behind { shows: None, revision, why } => {
                writeln!(f, "file      does not show revision {revision}: {why}")?;
            }
        }
        if let Some(torn) = &self.log.torn {
            let TornTail { file, offset, len } = torn;
            let file = on_one_line(file.display());
            writeln!(f, "torn      {file} from byte {offset} on: {len} bytes, never acknowledged")?;
        }
        if let Some(damage) = &self.log.damage {
            writeln!(f, "damaged   {}", on_one_line(damage))?;
        }
        for finding in &self.log.findings {
            writeln!(f, "note      {}", on_one_line(finding))?;
        }
        if self.is_clean() {
            return writeln!(f, "nothing to do");
        }
        for step in &self.log.steps {
            writeln!(f, "to do     {step}")?;
        }
        self.file_step().map_or(Ok(()), |step| writeln!(f, "to do     {step}"))
    }
}
