//! Looking without touching: [`View`] reads a config with its journal, writes nothing, creates nothing, takes no lock
//! and waits for nobody. It works on a read-only mount, and on a config file that has no journal yet.

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::document::{self, Columns, Format, Invalid};
use crate::error::{Damage, Error, Holder};
use crate::frame::FrameKind;
use crate::journal::{self, Preview};
use crate::materialise::{self, Behind, ConfigFile, FileStatus};
use crate::note::hash_text;
use crate::op::{Op, Transaction};
use crate::recovery::{self, Evidence, Finding, LogPlan, Look, Standing};
use crate::snapshot;
use crate::state::State;
use crate::storage::Storage;
use crate::storage::os::Os;
use crate::watermark::{self, Peek};

/// A config as it is at one moment: what is durable, and what recovery would make of what a crash left.
pub struct View {
    config: ConfigFile,
    dir: Option<PathBuf>,
    plan: LogPlan,
    state: State,
    file: FileStatus,
    hand_edit: Option<Result<State, Invalid>>,
    holder: Option<Holder>,
    snapshot: Option<(u64, u64)>,
    /// Asked for once, where its format has some.
    columns: OnceLock<Option<Columns>>,
}

/// A record of the history.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Its number.
    pub revision: u64,
    /// Who changed what, and when.
    pub transaction: Transaction,
}

/// Numbers about a journal.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Status {
    /// The config file, all symlinks followed.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The journal; `None`: there is none yet.
    pub journal: Option<PathBuf>,
    /// The newest durable revision.
    pub revision: u64,
    /// What the config file shows.
    pub file: FileStatus,
    /// Segments of the log.
    pub segments: usize,
    /// Their bytes, room ahead included.
    pub log_bytes: u64,
    /// Records since the newest snapshot.
    pub log_records: u64,
    /// The newest snapshot's revision and bytes.
    pub snapshot: Option<(u64, u64)>,
    /// Who holds the append lock at this moment.
    pub holder: Option<Holder>,
}

/// What [`verify`] found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// The newest revision that can be read.
    pub revision: u64,
    /// Records whose checksums and chain were checked.
    pub records: u64,
    /// Segments looked at.
    pub segments: usize,
    /// Snapshots looked at.
    pub snapshots: usize,
    /// What the config file shows.
    pub file: FileStatus,
    /// Acknowledged records that cannot be read.
    pub damage: Option<Damage>,
    /// What is not as it should be and stops nothing.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_clean(&self) -> bool {
        self.damage.is_none() && self.findings.is_empty()
    }
}

impl View {
    /// Look at a config.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is neither file nor journal, [`Error::Invalid`] for a file without a journal that does not parse,
    /// [`Error::Newer`], [`Error::Io`]. Damage is no error here: see [`damage`](View::damage).
    pub fn open(path: impl AsRef<FilePath>) -> Result<View, Error> {
        View::open_as(path.as_ref(), None)
    }

    /// Look at a config; one that does not exist is empty, as the first edit would find it.
    ///
    /// # Errors
    /// As [`open`](View::open), but for [`Error::Missing`].
    pub fn open_or_empty(path: impl AsRef<FilePath>) -> Result<View, Error> {
        match View::open(&path) {
            Err(Error::Missing { .. }) => {
                let config = ConfigFile::resolve(Arc::new(Os), path.as_ref(), None)?;
                let file = FileStatus::Behind { shows: None, revision: 0, why: Behind::Pending };
                Ok(View::without_journal(config, recovery::empty_plan(), file))
            }
            view => view,
        }
    }

    /// Look at a config whose format is known.
    ///
    /// # Errors
    /// As [`open`](View::open).
    pub fn open_as(path: &FilePath, format: Option<Format>) -> Result<View, Error> {
        View::open_on(Arc::new(Os), path, format)
    }

    /// Look at a config on another disk than the operating system's.
    ///
    /// # Errors
    /// As [`open`](View::open).
    #[cfg(feature = "sim")]
    #[doc(hidden)]
    pub fn open_seated(seat: &crate::storage::faulty::Seat, path: impl AsRef<FilePath>) -> Result<View, Error> {
        View::open_on(seat.0.clone(), path.as_ref(), None)
    }

    pub(crate) fn open_on(storage: Arc<dyn Storage>, path: &FilePath, format: Option<Format>) -> Result<View, Error> {
        let config = ConfigFile::resolve(storage.clone(), path, format)?;
        let dir = config.journal();
        if config.has_journal()? { View::of_journal(config, dir) } else { View::of_file(config) }
    }

    fn of_file(config: ConfigFile) -> Result<View, Error> {
        let Some(text) = config.read()? else { return Err(Error::Missing { path: config.path }) };
        let value = document::parse(&config.format, &text.bytes)
            .map_err(|invalid| Error::Invalid { path: config.path.clone(), invalid })?;
        let mut plan = recovery::empty_plan();
        plan.version.state = State::new(value);
        Ok(View::without_journal(config, plan, FileStatus::Current { revision: 0 }))
    }

    fn without_journal(config: ConfigFile, plan: LogPlan, file: FileStatus) -> View {
        let state = plan.version.state.clone();
        let columns = OnceLock::new();
        View { config, dir: None, plan, state, file, hand_edit: None, holder: None, snapshot: None, columns }
    }

    fn of_journal(config: ConfigFile, dir: PathBuf) -> Result<View, Error> {
        let looked = look_at_both(&config, || {
            let (evidence, holder) = look(&*config.storage, &dir, false, &|| ())?;
            Ok((recovery::plan(&evidence, Look::Noted)?, (evidence, holder)))
        })?;
        let Looked { plan, rest: (evidence, holder), mut file, hand_edit, is_blank } = looked;
        let snapshot = plan.snapshot;
        let mut state = plan.version.state.clone();
        if let Some(Ok(theirs)) = &hand_edit {
            // By now the log may have been folded together, and know no more what the hand edit began with.
            let at = |revision| match replayed_to(&evidence, revision)? {
                Some(state) => Ok(state),
                None => logged_at(&config, &dir, &plan, revision),
            };
            match materialise::with_hand_edit(&config.format, &plan.version, theirs, is_blank, at)? {
                Some(merged) => state = merged,
                None => file = held_back(&plan),
            }
        }
        let columns = OnceLock::new();
        Ok(View { config, dir: Some(dir), plan, state, file, hand_edit, holder, snapshot, columns })
    }

    /// The newest durable revision.
    pub fn revision(&self) -> u64 {
        self.plan.version.revision()
    }

    /// The state at that revision, with what a hand edit of the file changed since, if it will be taken over; over damage,
    /// the last one that can be read.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the file's own text says, if someone changed it by hand.
    pub fn hand_edit(&self) -> Option<&Result<State, Invalid>> {
        self.hand_edit.as_ref()
    }

    /// What the config file shows.
    pub fn file_status(&self) -> &FileStatus {
        &self.file
    }

    /// Acknowledged records that cannot be read.
    pub fn damage(&self) -> Option<&Damage> {
        self.plan.damage.as_ref()
    }

    /// The state at an older revision.
    ///
    /// # Errors
    /// [`Error::NoSuchRevision`] if the log no longer holds it, [`Error::Io`].
    pub fn at(&self, revision: u64) -> Result<State, Error> {
        match &self.dir {
            Some(dir) => logged_at(&self.config, dir, &self.plan, revision),
            None if revision == self.revision() => Ok(self.plan.version.state.clone()),
            None => Err(Error::NoSuchRevision { revision, oldest: 0, newest: 0 }),
        }
    }

    /// The records that the log still holds, oldest first; none where there is no journal.
    ///
    /// # Errors
    /// [`Error::Io`]. Over damage, what comes before it.
    pub fn history(&self) -> Result<Vec<Entry>, Error> {
        let Some(dir) = &self.dir else { return Ok(Vec::new()) };
        let (evidence, _) = look(&*self.config.storage, dir, true, &|| ())?;
        let evidence = recovery::from_oldest(evidence);
        let mut entries = Vec::new();
        recovery::plan_until(&evidence, Look::Beside, u64::MAX, &mut |frame| {
            if frame.fields.kind == FrameKind::Edit
                && let Ok(transaction) = Transaction::decode(frame.payload)
            {
                entries.push(Entry { revision: frame.fields.revision, transaction });
            }
        })?;
        Ok(entries)
    }

    /// Ops as the file's format holds them: in CSV a number is its text.
    ///
    /// # Errors
    /// [`Error::Refused`] for what the format has no way to write, [`Error::Io`].
    pub fn admitted(&self, mut ops: Vec<Op>) -> Result<Vec<Op>, Error> {
        let format = &self.config.format;
        document::admit(format, &mut ops)?;
        if document::has_columns(format) {
            let text = if self.columns.get().is_none() { self.config.read()? } else { None };
            let columns = self.columns.get_or_init(|| document::columns(format, &text?.bytes));
            if let Some(columns) = columns {
                document::fit_columns(columns, &ops)?;
            }
        }
        Ok(ops)
    }

    /// What an edit would do to the config file.
    ///
    /// # Errors
    /// As [`Journal::preview`](crate::Journal::preview).
    pub fn preview(&self, edit: impl Into<Transaction>, expected: Option<u64>) -> Result<Preview, Error> {
        let mut version = self.plan.version.clone();
        // A hand edit is taken over before an edit is judged.
        if version.state != self.state {
            version.state = self.state.clone();
            version.cursor.revision += 1;
        }
        journal::preview(&self.config, &version, &edit.into(), expected)
    }

    /// Numbers about the journal.
    pub fn status(&self) -> Status {
        Status {
            path: self.config.path.clone(),
            format: self.config.format.clone(),
            journal: self.dir.clone(),
            revision: self.revision(),
            file: self.file.clone(),
            segments: self.plan.segments.len(),
            log_bytes: self.plan.log_bytes,
            log_records: self.plan.records,
            snapshot: self.snapshot,
            holder: self.holder.clone(),
        }
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("path", &self.config.path)
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

/// Check every checksum, every chain, and the config file against the state. Changes nothing.
///
/// `None`: there is a file, but no journal.
///
/// # Errors
/// [`Error::Missing`], [`Error::Newer`], [`Error::Io`]. What is wrong with the journal is no error but the [`Report`].
pub fn verify(path: impl AsRef<FilePath>) -> Result<Option<Report>, Error> {
    verify_on(Arc::new(Os), path.as_ref())
}

/// Check a config on another disk than the operating system's.
///
/// # Errors
/// As [`verify`].
#[cfg(feature = "sim")]
#[doc(hidden)]
pub fn verify_seated(seat: &crate::storage::faulty::Seat, path: impl AsRef<FilePath>) -> Result<Option<Report>, Error> {
    verify_on(seat.0.clone(), path.as_ref())
}

fn verify_on(storage: Arc<dyn Storage>, path: &FilePath) -> Result<Option<Report>, Error> {
    let config = ConfigFile::resolve(storage, path, None)?;
    let dir = config.journal();
    if !config.has_journal()? {
        return if config.stat()?.is_some() { Ok(None) } else { Err(Error::Missing { path: config.path }) };
    }
    let looked = look_at_both(&config, || {
        let (evidence, _) = look(&*config.storage, &dir, true, &|| ())?;
        Ok((recovery::plan(&evidence, Look::Noted)?, evidence))
    })?;
    let file = looked.file_status(&config)?;
    let Looked { plan, rest: evidence, .. } = looked;
    let (mut findings, mut records, mut damage) = (plan.findings, plan.records, plan.damage);
    // Once more from the oldest snapshot on, so that what newer ones cover is checked too.
    let from_oldest = recovery::plan(&recovery::from_oldest(evidence.clone()), Look::Beside)?;
    records = records.max(from_oldest.records);
    match (&damage, from_oldest.damage) {
        (None, Some(covered)) => {
            let what = format!("{}; a newer snapshot covers it", covered.fault);
            findings.push(Finding { file: covered.file, offset: covered.offset, what });
        }
        (None, None) if from_oldest.version.state != plan.version.state => {
            let file = dir.join(snapshot::name(plan.snapshot.map_or(0, |(revision, _)| revision)));
            findings.push(Finding {
                file,
                offset: 0,
                what: "the snapshot is not what the log before it leads to".into(),
            });
        }
        _ => {}
    }
    if let Some(torn) = plan.torn {
        let what = format!(
            "a crash cut the last write short; {} bytes of it are left, and recovery sets them aside",
            torn.len
        );
        findings.push(Finding { file: torn.file, offset: torn.offset, what });
    }
    Ok(Some(Report {
        revision: plan.version.revision(),
        records,
        segments: evidence.segments.len(),
        snapshots: evidence.snapshots.len(),
        file,
        damage: damage.take(),
        findings,
    }))
}

/// What lies in a journal, as one who takes no lock may see it.
pub(crate) fn look(
    storage: &dyn Storage,
    dir: &FilePath,
    every_byte: bool,
    opened: &dyn Fn(),
) -> Result<(Evidence, Option<Holder>), Error> {
    let boot = storage.boot_id().map_err(Error::io("read the boot id for", dir))?;
    let mut holder = None;
    let mut of_store = None;
    let standing = watermark::peek(storage, dir, &boot)?;
    let end = || watermark::peek_end(storage, dir, &boot);
    let peek = || match watermark::peek(storage, dir, &boot) {
        Ok(Peek::ThisBoot { durable, .. }) => Standing::ThisBoot(durable),
        Ok(Peek::OtherBoot) => Standing::OtherBoot,
        Ok(Peek::Void) | Err(_) => Standing::Unknown,
    };
    let mut evidence = recovery::gather(storage, dir, peek, every_byte, opened)?;
    if !matches!(evidence.standing, Standing::ThisBoot(_)) && peek() != evidence.standing {
        // Somebody has begun to work with the journal meanwhile: what was read may hold what is not durable.
        evidence = recovery::gather(storage, dir, peek, every_byte, opened)?;
    }
    evidence.end = end().zip(end()).and_then(|(end, later)| end.confirmed(later));
    if let Peek::ThisBoot { store, holder: found, .. } = standing {
        (of_store, holder) = (Some(store), found);
    }
    // A page that came along from another store says nothing about this one.
    let foreign = of_store.is_some_and(|store| recovery::store_of(&evidence).is_some_and(|own| own != store));
    let standing = if foreign { Standing::Unknown } else { evidence.standing };
    Ok((Evidence { standing, ..evidence }, holder))
}

type HandEdit = Option<Result<State, Invalid>>;

/// A log and the file beside it, as they were at one moment.
pub(crate) struct Looked<T> {
    pub plan: LogPlan,
    /// What else was seen of the log.
    pub rest: T,
    file: FileStatus,
    hand_edit: HandEdit,
    /// Whether there is nothing in the file.
    is_blank: bool,
}

impl<T> Looked<T> {
    /// What the config file shows.
    pub(crate) fn file_status(&self, config: &ConfigFile) -> Result<FileStatus, Error> {
        let Some(Ok(theirs)) = &self.hand_edit else { return Ok(self.file.clone()) };
        let at = |revision| logged_at(config, &config.journal(), &self.plan, revision);
        match materialise::with_hand_edit(&config.format, &self.plan.version, theirs, self.is_blank, at) {
            Ok(None) => Ok(held_back(&self.plan)),
            // Over damage the log may have lost what the hand edit began with.
            Ok(Some(_)) | Err(Error::NoSuchRevision { .. }) => Ok(self.file.clone()),
            Err(error) => Err(error),
        }
    }
}

/// How often log and file are looked at again, since running processes bring the file up to date meanwhile.
const LOOKS_MAX: usize = 20;

/// Look at log and file.
///
/// A text that the log does not know need not be somebody's own: a running process may have put it there after the log was
/// read. But the log knows of each of ours before the file shows it. So what stood there before the log was read, and still
/// stands there, is somebody's own.
pub(crate) fn look_at_both<T>(
    config: &ConfigFile,
    mut look_at_log: impl FnMut() -> Result<(LogPlan, T), Error>,
) -> Result<Looked<T>, Error> {
    let mut before = None;
    let mut looks = 0;
    loop {
        looks += 1;
        let (plan, rest) = look_at_log()?;
        let text = config.read();
        if materialise::is_held(&text) {
            // Whoever is about to show a text stands still.
            return Ok(without_file(plan, rest, Behind::InUse));
        }
        let text = text?.map(|text| text.bytes);
        let looked = look_at_text(config, plan, rest, text.as_deref())?;
        if looked.hand_edit.is_none() || text == before {
            return Ok(looked);
        }
        if looks == LOOKS_MAX {
            // Written faster than it can be looked at, which nobody does by hand.
            return Ok(without_file(looked.plan, looked.rest, Behind::Pending));
        }
        before = text;
    }
}

/// A log, and a file beside it of which nothing is known but that it is ours.
fn without_file<T>(plan: LogPlan, rest: T, why: Behind) -> Looked<T> {
    let file = FileStatus::Behind { shows: None, revision: plan.version.revision(), why };
    Looked { plan, rest, file, hand_edit: None, is_blank: false }
}

fn look_at_text<T>(config: &ConfigFile, plan: LogPlan, rest: T, text: Option<&[u8]>) -> Result<Looked<T>, Error> {
    let (file, hand_edit) = file_beside(config, &plan, text)?;
    Ok(Looked { plan, rest, file, hand_edit, is_blank: text.is_some_and(materialise::is_blank) })
}

/// Look at the file, beside a log that says so much.
pub(crate) fn look_at_file(config: &ConfigFile, plan: LogPlan) -> Result<Looked<()>, Error> {
    let text = config.read()?;
    look_at_text(config, plan, (), text.as_ref().map(|text| &*text.bytes))
}

fn held_back(plan: &LogPlan) -> FileStatus {
    FileStatus::Behind { shows: None, revision: plan.version.revision(), why: Behind::Shrunk }
}

/// The state at a revision, which the log may no longer hold.
fn logged_at(config: &ConfigFile, dir: &FilePath, plan: &LogPlan, revision: u64) -> Result<State, Error> {
    let newest = plan.version.revision();
    if revision == newest {
        return Ok(plan.version.state.clone());
    }
    let (evidence, _) = look(&*config.storage, dir, true, &|| ())?;
    let oldest =
        evidence.snapshots.iter().filter(|(_, snapshot, _)| snapshot.is_ok()).map(|(found, _, _)| *found).min();
    let none = Error::NoSuchRevision { revision, oldest: oldest.unwrap_or(newest), newest };
    replayed_to(&evidence, revision)?.ok_or(none)
}

/// The state at a revision, if it can be found in this.
fn replayed_to(evidence: &Evidence, revision: u64) -> Result<Option<State>, Error> {
    Ok(recovery::plan_until(evidence, Look::Beside, revision, &mut |_| ())?.into_state_at(revision))
}

fn file_beside(config: &ConfigFile, plan: &LogPlan, text: Option<&[u8]>) -> Result<(FileStatus, HandEdit), Error> {
    let version = &plan.version;
    let revision = version.revision();
    let behind = |shows, why| FileStatus::Behind { shows, revision, why };
    let Some(text) = text else {
        let why = if version.texts.is_empty() { Behind::Pending } else { Behind::Removed };
        return Ok((behind(None, why), None));
    };
    Ok(match version.known(&hash_text(&plan.store, text)) {
        Some(known) if known.stands_for.revision() >= revision => (FileStatus::Current { revision }, None),
        Some(known) => (behind(Some(known.stands_for.revision()), Behind::Pending), None),
        None => {
            let showing = version.showing.as_ref();
            if let Some(why) = materialise::unfinished(&*config.storage, &config.journal(), showing, text)? {
                return Ok((behind(None, why), None));
            }
            match document::parse(&config.format, text) {
                Ok(value) => (behind(None, Behind::EditedByHand), Some(Ok(State::new(value)))),
                Err(invalid) => (behind(None, Behind::Invalid(invalid.clone())), Some(Err(invalid))),
            }
        }
    })
}
