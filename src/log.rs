//! The log over many threads and processes: one order, one sync for everybody, and a new segment as the one cure.
//!
//! Two versions are kept. *Applied* has every frame in the log, synced or not: preconditions are judged on it.
//! *Published* has durable frames only: readers get it, by one atomic load. It is brought up to date when one of them
//! asks, so that edits nobody looks at change *applied* in place and copy nothing.
//!
//! An append holds the append lock for one write. Its sync comes after the lock is given back, so the next writer
//! appends meanwhile, and one sync acknowledges everything before it, whoever wrote it. A segment whose standing is in
//! doubt (a failed sync, a syncer that was killed, bytes at the end that are no frame) is never appended to and
//! never synced again: `heal` repeats in a new segment what is not known to be durable.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::error::{Damage, DamageKind, Error};
use crate::frame::{self, FrameKind};
use crate::lock::{AppendGuard, Locks, MaintenanceGuard};
use crate::note::Note;
use crate::op::Transaction;
use crate::planted::{Bug, planted};
use crate::recovery::{self, Evidence, LogPlan, Look, Repeat, Standing};
use crate::segment::{self, Segment, Stop};
use crate::state::{Applied, State};
use crate::storage::{Open, Storage};
use crate::value::Value;
use crate::version::Version;
use crate::watermark::Reached;

mod append;
mod heal;
mod sync;

pub(crate) use append::{Entry, Request, Want};
pub(crate) use heal::successor;

#[cfg(test)]
mod tests;

/// Bytes of log after which a version is kept for readers, whether or not one has asked.
const KEPT_EVERY: u64 = 256 * 1024;

/// The log is compacted by itself when it outgrows this and the snapshot.
const LOG_MIN: u64 = 1024 * 1024;

/// Zeros ahead of the frames of a new segment.
pub(crate) const ZEROS_FIRST: u64 = 64 * 1024;
/// The most by which a segment grows at once.
const ZEROS_MAX: u64 = 1024 * 1024;

/// One store's log, open in this process.
pub(crate) struct Log {
    pub storage: Arc<dyn Storage>,
    pub dir: PathBuf,
    pub locks: Locks,
    pub store: [u8; 16],
    boot: [u8; 16],
    pid: u32,
    lock_timeout: Duration,
    tail: Mutex<Tail>,
    /// The segment that this process appends to, for those who sync it.
    current: ArcSwap<Segment>,
    published: ArcSwap<Version>,
    /// Some of the versions appended by this process, oldest first, that nobody has called durable yet.
    unpublished: Mutex<VecDeque<Version>>,
    /// A reader has asked for a newer version since one was last kept for it.
    asked: AtomicBool,
    /// Held by whoever brings `published` up to the durable end.
    following: Mutex<()>,
    /// Two syncs on one descriptor take each other's errors: within a process a mutex, between processes a lock.
    syncing: Mutex<()>,
    /// The last append found what other processes had appended since the one before.
    in_company: AtomicBool,
    /// Where the segment ended when this process last looked, and what the log may take before it is compacted.
    end: AtomicU64,
    allowance: AtomicU64,
    /// Where the successors of segments that this process has left begin, by the number of the segment left.
    left: Mutex<BTreeMap<u64, u64>>,
    /// The revision that this process last made the config file show, and its state: a snapshot tells it too.
    shown: Mutex<Option<(u64, State)>>,
    /// A new segment could not be made: no edits until the journal is opened again.
    latched: AtomicBool,
}

/// Where this process appends.
struct Tail {
    segment: Arc<Segment>,
    /// Everything that was read or written, and changed in place: what others hold is copied bit by bit as it changes,
    /// so the fewer versions are kept, the less an edit costs.
    applied: Version,
    /// An earlier version in this segment, to begin again from when `applied` has what could not be written.
    kept: Version,
    /// Where what was read or written ends.
    end: segment::Cursor,
    /// Once this process has read the log to its end the page keeps up with it. Before, the page may be older than the log:
    /// it lay on a disk that was pulled out while the system ran on, or was copied while others wrote.
    is_read: bool,
    /// Empty: room for the frames of the next append.
    buffer: Vec<u8>,
}

impl Tail {
    fn new(segment: Arc<Segment>, version: Version) -> Tail {
        Tail {
            segment,
            end: version.cursor,
            kept: version.clone(),
            applied: version,
            is_read: false,
            buffer: Vec::new(),
        }
    }
}

/// Where an edit lies, so that its standing can be found out: by content, since numbers can be given again after a loss.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    segment: u64,
    sequence: u64,
    /// `None`: nothing was written; the answer was judged on what is there.
    payload: Option<Arc<[u8]>>,
}

/// An edit that was judged: written, or answered without writing.
#[derive(Debug, Clone)]
pub(crate) struct Appended {
    pub ticket: Ticket,
    pub revision: u64,
    /// Of a plain set nothing, not even the place for it.
    pub results: Vec<Option<Value>>,
    /// A frame was written for it.
    pub written: bool,
    /// Its idempotency key had been used before.
    pub repeated: bool,
}

impl Log {
    /// Open a store's log; recover it first where something is left to do.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        command: &str,
        lock_timeout: Duration,
    ) -> Result<Log, Error> {
        refuse_absent(&*storage, dir)?;
        let locks = match Locks::open(storage.clone(), dir, command) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                recovery::perform::restore_watermark(&*storage, dir)?;
                Locks::open(storage.clone(), dir, command)?
            }
            other => other?,
        };
        let boot = storage.boot_id().map_err(Error::io("read the boot id for", dir))?;
        let beside = look_beside(&*storage, dir, &locks, &boot)?;
        let is_overlooked = beside.1.is_overlooked;
        let settled = matches!(beside.0.standing, Standing::ThisBoot(_)) && beside.1.damage.is_none() && !is_overlooked;
        let plan = if settled { beside.1 } else { recover_alone(&*storage, dir, &locks, &boot, lock_timeout)? };
        if !beside.0.leftovers.is_empty()
            && let Err(error) = sweep(&*storage, &locks)
        {
            tracing::debug!(path = %dir.display(), %error, "unfinished files stay behind");
        }
        if !locks.watermark.is_named() {
            // Whoever made or recovered the journal may have died before its name was durable.
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            crate::storage::sync_dir(&*storage, parent).map_err(Error::io("sync", parent))?;
            // Where there is no room to remember it, the next one does it once more.
            if locks.watermark.claim_room().is_ok() {
                locks.watermark.set_named();
            }
        }
        let store = plan.store;
        let anew = || durable_now(&*storage, dir, &locks, &boot);
        let (version, segment) = open_last(&*storage, dir, plan.version, anew)?;
        let segment = Arc::new(segment);
        let log = Log {
            dir: dir.to_owned(),
            store,
            boot,
            pid: storage.pid(),
            lock_timeout,
            tail: Mutex::new(Tail::new(segment.clone(), version.clone())),
            current: ArcSwap::new(segment),
            published: ArcSwap::new(Arc::new(version)),
            unpublished: Mutex::default(),
            asked: AtomicBool::new(false),
            following: Mutex::default(),
            syncing: Mutex::default(),
            in_company: AtomicBool::new(false),
            end: AtomicU64::new(0),
            allowance: AtomicU64::new(LOG_MIN),
            left: Mutex::default(),
            shown: Mutex::default(),
            latched: AtomicBool::new(false),
            storage,
            locks,
        };
        if is_overlooked {
            log.vouch_for_all()?;
        }
        Ok(log)
    }

    /// See to it that the watermark knows of all that there is, and that this is durable.
    fn vouch_for_all(&self) -> Result<(), Error> {
        self.read_all()?;
        self.sync_all()
    }

    /// All that is in the log, durable or not, whoever wrote it and was killed before telling anybody.
    pub(crate) fn read_all(&self) -> Result<Version, Error> {
        let mut tail = self.tail();
        let guard = self.locks.append(self.lock_timeout)?;
        self.catch_up(&mut tail, &guard)?;
        Ok(tail.applied.clone())
    }

    /// Look at the newest durable version. Nothing that threads share is written when there is nothing new.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Version) -> R) -> Result<R, Error> {
        let version = self.published.load();
        if self.is_ours() && is_at(&version, self.reached()) {
            return Ok(look(&version));
        }
        drop(version);
        Ok(look(&*self.published()?))
    }

    /// How far readers may see.
    fn reached(&self) -> Reached {
        let watermark = &self.locks.watermark;
        if planted(Bug::ReadersAhead) { watermark.tail() } else { watermark.durable() }
    }

    /// The newest durable version. Costs one load when there is nothing new.
    pub(crate) fn published(&self) -> Result<Arc<Version>, Error> {
        self.refuse_child()?;
        let version = self.published.load_full();
        let reached = self.reached();
        if is_at(&version, reached) {
            return Ok(version);
        }
        if !self.locks.watermark.speaks_for(&self.boot, &self.store) {
            return Err(Error::Gone { path: self.dir.clone() });
        }
        self.follow(reached)
    }

    /// The newest durable version, and what the log has noted of the config file since, whoever has edited meanwhile. Such a
    /// note need not be durable to be true, and whoever acts on it writes behind it.
    pub(crate) fn noted(&self) -> Result<Arc<Version>, Error> {
        let published = self.published()?;
        let end = self.locks.watermark.tail();
        let is_all = published.showing.is_none() || is_at(&published, end) || !end.is_in(published.segment);
        if is_all || planted(Bug::NotedIgnored) {
            return Ok(published);
        }
        let segment = match self.segment(published.segment) {
            // Whoever retired it saw to it that all of it is durable.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(published),
            segment => segment?,
        };
        let mut noted = (*published).clone();
        let (mut cursor, mut is_known) = (published.cursor, true);
        segment.scan(&mut cursor, end.sequence, |frame, _| {
            is_known = is_known && noted.note_ahead(frame);
            Ok(())
        })?;
        Ok(Arc::new(noted))
    }

    /// A segment that is there, most often the one that this process appends to.
    fn segment(&self, number: u64) -> Result<Arc<Segment>, Error> {
        let current = self.current.load_full();
        if current.header.number == number {
            return Ok(current);
        }
        open_segment(&*self.storage, &self.dir, number).map(Arc::new)
    }

    /// Everything in the log, durable or not; `None`: it goes on in another segment.
    pub(crate) fn to_the_end(&self) -> Result<Option<Version>, Error> {
        let mut version = self.tail().applied.clone();
        let (segment, end) = (self.current.load_full(), self.locks.watermark.tail());
        if is_at(&version, end) {
            return Ok(Some(version));
        }
        if !end.is_in(version.segment) || segment.header.number != version.segment {
            return Ok(None);
        }
        let read = self.replay_frames(&segment, &mut version, end.sequence)?;
        Ok((read == Stop::Reached).then_some(version))
    }

    /// Read on to what is durable now.
    fn follow(&self, reached: Reached) -> Result<Arc<Version>, Error> {
        let _following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let mut version = self.published.load_full();
        if version.sequence() > reached.sequence {
            // Another thread was here with a newer look.
            return Ok(version);
        }
        self.asked.store(true, Relaxed);
        let newer = self.applied_if_durable(reached).or_else(|| self.take_unpublished(reached));
        if let Some(newer) = newer.filter(|newer| newer.sequence() > version.sequence()) {
            version = Arc::new(newer);
        }
        if !is_at(&version, reached) {
            let mut newer = (*version).clone();
            version = match self.read_on(&mut newer, reached) {
                Ok(true) => Arc::new(newer),
                Ok(false) => Arc::new(self.read_anew()?.version),
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    Arc::new(self.read_anew()?.version)
                }
                Err(error) => return Err(error),
            }
        }
        self.published.store(version.clone());
        Ok(version)
    }

    /// What this process has applied, if all of it is durable and nobody is appending.
    fn applied_if_durable(&self, reached: Reached) -> Option<Version> {
        let tail = try_lock(&self.tail)?;
        let applied = &tail.applied;
        (reached.is_in(applied.segment) && applied.sequence() <= reached.sequence).then(|| applied.clone())
    }

    /// The newest of the versions kept that is durable.
    fn take_unpublished(&self, reached: Reached) -> Option<Version> {
        let mut unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
        forget_left(&mut unpublished, reached);
        let mut newest = None;
        while unpublished.front().is_some_and(|version| version.sequence() <= reached.sequence) {
            newest = unpublished.pop_front();
        }
        newest
    }

    /// From the newest snapshot up to what is durable, when what was known here is no use: the segment was retired, or
    /// left at an earlier place than ours.
    fn read_anew(&self) -> Result<LogPlan, Error> {
        durable_now(&*self.storage, &self.dir, &self.locks, &self.boot)
    }

    /// Bring a version up to a durable place, through as many segments as lie between. `false`: a new segment was begun
    /// before this version's place, and repeats what followed.
    fn read_on(&self, version: &mut Version, reached: Reached) -> Result<bool, Error> {
        let mut segment = open_segment(&*self.storage, &self.dir, version.segment)?;
        loop {
            let here = reached.is_in(version.segment);
            let next = if here { None } else { Some(open_segment(&*self.storage, &self.dir, version.segment + 1)?) };
            let until = next.as_ref().map_or(reached.sequence, |next| next.header.first - 1);
            if version.sequence() > until {
                return Ok(false);
            }
            self.replay(&segment, version, until)?;
            match next {
                Some(next) => {
                    self.enter(version, &next)?;
                    segment = next;
                }
                None => return Ok(true),
            }
        }
    }

    /// Apply the frames of a segment that follow `version`, up to a sequence that is known to be there.
    fn replay(&self, segment: &Segment, version: &mut Version, until: u64) -> Result<(), Error> {
        match self.replay_frames(segment, version, until)? {
            Stop::Reached => Ok(()),
            Stop::Fault(fault) => Err(damaged(segment, version, DamageKind::Record(fault))),
        }
    }

    fn replay_frames(&self, segment: &Segment, version: &mut Version, until: u64) -> Result<Stop, Error> {
        let mut cursor = version.cursor;
        segment.scan(&mut cursor, until, |frame, behind| {
            let advanced = version.advance(frame, behind);
            advanced.map_err(|fault| damaged(segment, version, DamageKind::Record(fault)))
        })
    }

    /// Go on in the next segment, which must begin where the version is.
    fn enter(&self, version: &mut Version, next: &Segment) -> Result<(), Error> {
        if !next.header.goes_on(&self.store, &version.cursor) {
            return Err(damaged(next, version, DamageKind::SegmentHeader));
        }
        version.segment = next.header.number;
        version.cursor = next.header.start();
        Ok(())
    }

    /// The newest revision that this process has appended or read, durable or not.
    pub(crate) fn newest(&self) -> u64 {
        self.tail().end.revision
    }

    /// The config file shows this version.
    pub(crate) fn remember_shown(&self, version: &Version) {
        let shown = Some((version.revision(), version.state.clone()));
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// The revision that the config file showed last, as far as this process saw, and the state.
    pub(crate) fn last_shown(&self) -> Option<(u64, State)> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Let the log grow so long, and no less than [`LOG_MIN`], before it is said to have outgrown its snapshot. Returns how long.
    pub(crate) fn allow(&self, bytes: u64) -> u64 {
        let allowance = bytes.max(LOG_MIN);
        self.allowance.store(allowance, Relaxed);
        allowance
    }

    /// Whether the log has outgrown its snapshot, as far as this process knows both. Costs nothing.
    pub(crate) fn has_outgrown(&self) -> bool {
        self.end.load(Relaxed) > self.allowance.load(Relaxed)
    }

    /// Tells each time whether anybody has appended since now.
    pub(crate) fn company(&self) -> impl FnMut() -> bool + '_ {
        let began = self.locks.watermark.tail();
        move || self.locks.watermark.tail() != began
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock that comes before [`Locks::append`]'s.
    pub(crate) fn maintenance(&self) -> Result<MaintenanceGuard<'_>, Error> {
        self.usable()?;
        self.locks.maintenance(self.lock_timeout)
    }

    /// The same, if it can be had without waiting.
    pub(crate) fn maintenance_now(&self) -> Result<MaintenanceGuard<'_>, Error> {
        self.usable()?;
        self.locks.maintenance(Duration::ZERO)
    }

    pub(crate) fn usable(&self) -> Result<(), Error> {
        self.refuse_child()?;
        if self.latched.load(SeqCst) {
            return Err(Error::ReadOnly { path: self.dir.clone() });
        }
        Ok(())
    }

    /// A forked child must wait for nobody: the threads that it would wait for are its parent's.
    pub(crate) fn refuse_child(&self) -> Result<(), Error> {
        if self.is_ours() { Ok(()) } else { Err(Error::Forked { path: self.dir.clone() }) }
    }

    /// Whether this is the process that opened it, and not a forked child.
    pub(crate) fn is_ours(&self) -> bool {
        self.storage.pid() == self.pid
    }

    /// Whether edits are refused since a new segment could not be made.
    pub(crate) fn is_latched(&self) -> bool {
        self.latched.load(SeqCst)
    }

    /// Segment files and their bytes, oldest first.
    pub(crate) fn segments(&self) -> Result<Vec<(u64, u64)>, Error> {
        let mut found = Vec::new();
        for name in self.storage.list(&self.dir).map_err(Error::io("list", &self.dir))? {
            if let Some(number) = name.to_str().and_then(segment::number_in) {
                let path = self.dir.join(&name);
                found.push((number, self.storage.stat(&path).map_err(Error::io("look at", &path))?.len));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// What was appended to an older segment is read again from where it is now.
fn forget_left(unpublished: &mut VecDeque<Version>, reached: Reached) {
    while unpublished.front().is_some_and(|version| !reached.is_in(version.segment)) {
        unpublished.pop_front();
    }
}

/// A mutex's guard, if nobody else has it.
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Whether nothing lies between a version and a place in the log.
fn is_at(version: &Version, reached: Reached) -> bool {
    Reached::new(version.segment, version.sequence()) == reached
}

/// A missing journal is not an empty one.
fn refuse_absent(storage: &dyn Storage, dir: &Path) -> Result<(), Error> {
    storage.stat(dir).map(drop).map_err(Error::io("open", dir))
}

/// Remove what killed processes left unfinished, unless somebody is at work, whose unfinished file it may be.
fn sweep(storage: &dyn Storage, locks: &Locks) -> Result<(), Error> {
    let now = Duration::ZERO;
    let alone = locks.maintenance(now).and_then(|maintenance| Ok((maintenance, locks.append(now)?)));
    match alone {
        Ok((maintenance, append)) => recovery::perform::sweep(storage, locks, &maintenance, &append),
        Err(Error::Locked { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What can be known without any lock.
pub(crate) fn look_beside(
    storage: &dyn Storage,
    dir: &Path,
    locks: &Locks,
    boot: &[u8; 16],
) -> Result<(Evidence, LogPlan), Error> {
    let standing = || standing(locks, boot, None);
    let mut evidence = recovery::gather(storage, dir, standing, false, &|| ())?;
    evidence.end = locks.watermark.settled_tail();
    let plan = recovery::plan(&evidence, Look::Beside)?;
    // The page of another store says nothing about this one.
    if let Standing::ThisBoot(_) = evidence.standing
        && !locks.watermark.speaks_for(boot, &plan.store)
    {
        let evidence = Evidence { standing: Standing::Unknown, ..evidence };
        let plan = recovery::plan(&evidence, Look::Beside)?;
        return Ok((evidence, plan));
    }
    Ok((evidence, plan))
}

/// What the watermark says, before (`None`) or after the store's id is known.
pub(crate) fn standing(locks: &Locks, boot: &[u8; 16], store: Option<&[u8; 16]>) -> Standing {
    if !locks.watermark.is_of_boot(boot) {
        return if locks.watermark.is_void() { Standing::Unknown } else { Standing::OtherBoot };
    }
    match store {
        Some(store) if !locks.watermark.speaks_for(boot, store) => Standing::Unknown,
        _ => Standing::ThisBoot(locks.watermark.durable()),
    }
}

/// Under both locks: find out what is there, and do what is to be done.
fn recover_alone(
    storage: &dyn Storage,
    dir: &Path,
    locks: &Locks,
    boot: &[u8; 16],
    timeout: Duration,
) -> Result<LogPlan, Error> {
    let maintenance = locks.maintenance(timeout)?;
    let append = locks.append(timeout)?;
    let plan = recovery::perform::look_alone(storage, dir, locks, boot, &append)?;
    if let Some(damage) = plan.damage {
        return Err(Error::Damaged(Box::new(damage)));
    }
    recovery::perform::perform(storage, locks, boot, &plan, &maintenance, &append)?;
    // Others may have been here before, and appended: what is durable, no more.
    durable_now(storage, dir, locks, boot)
}

/// From the newest snapshot up to what is durable.
fn durable_now(storage: &dyn Storage, dir: &Path, locks: &Locks, boot: &[u8; 16]) -> Result<LogPlan, Error> {
    let (_, plan) = look_beside(storage, dir, locks, boot)?;
    match plan.damage {
        Some(damage) => Err(Error::Damaged(Box::new(damage))),
        None => Ok(plan),
    }
}

/// The segment in which a version ends. If compactions have retired it since the version was read, it is read `anew`: what
/// they left says then where the log ends, or that a segment is missing.
fn open_last(
    storage: &dyn Storage,
    dir: &Path,
    mut version: Version,
    anew: impl Fn() -> Result<LogPlan, Error>,
) -> Result<(Version, Segment), Error> {
    loop {
        match open_segment(storage, dir, version.segment) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => version = anew()?.version,
            segment => return Ok((version, segment?)),
        }
    }
}

/// Open a segment that must be there and sound.
fn open_segment(storage: &dyn Storage, dir: &Path, number: u64) -> Result<Segment, Error> {
    match Segment::open(storage, dir, number, Open::Write)? {
        Ok(segment) => Ok(segment),
        Err(segment::HeaderFault::Newer { version, features }) => {
            let what = format!("format {version}, features {features:#x}");
            Err(Error::Newer { path: dir.join(segment::name(number)), what })
        }
        Err(segment::HeaderFault::Damaged) => Err(Error::Damaged(Box::new(Damage {
            file: dir.join(segment::name(number)),
            offset: 0,
            first_revision: 0,
            last_revision: None,
            fault: DamageKind::SegmentHeader,
        }))),
    }
}

fn damaged(segment: &Segment, version: &Version, fault: DamageKind) -> Error {
    Error::Damaged(Box::new(Damage {
        file: segment.path.clone(),
        offset: if fault == DamageKind::SegmentHeader { 0 } else { version.cursor.offset },
        first_revision: version.revision() + 1,
        last_revision: None,
        fault,
    }))
}
