//! Carrying a plan out: every step leaves a journal that opens, and doing it again gives the same.

use std::time::Duration;

use super::*;
use crate::lock::{AppendGuard, Locks, MaintenanceGuard};
use crate::log;
use crate::reserve;
use crate::storage::{File, Kind, Rename};
use crate::version::{KnownText, StandsFor};
use crate::watermark::{self, Watermark};

const QUARANTINE: &str = "quarantine";

/// Under the append lock: read everything, up to the last byte.
pub(crate) fn look_alone(
    storage: &dyn Storage,
    dir: &Path,
    locks: &Locks,
    boot: &[u8; 16],
    _append: &AppendGuard<'_>,
) -> Result<LogPlan, Error> {
    let evidence = gather(storage, dir, || log::standing(locks, boot, None), false, &|| ())?;
    let plan = plan(&evidence, Look::Alone)?;
    let standing = log::standing(locks, boot, Some(&plan.store));
    if standing == evidence.standing {
        return Ok(plan);
    }
    self::plan(&Evidence { standing, ..evidence }, Look::Alone)
}

/// Do what the plan says, except to accept a loss.
pub(crate) fn perform(
    storage: &dyn Storage,
    locks: &Locks,
    boot: &[u8; 16],
    plan: &LogPlan,
    _maintenance: &MaintenanceGuard<'_>,
    _append: &AppendGuard<'_>,
) -> Result<(), Error> {
    let dir = locks.dir();
    let mut segment = plan.version.segment;
    let durable = plan.version.sequence();
    for step in &plan.steps {
        tracing::info!(%step, "recovering");
        match step {
            Step::Quarantine { .. } if planted(Bug::TornTailThrownAway) => {}
            Step::Quarantine { file, offset, len } => quarantine_bytes(storage, dir, file, *offset, *len)?,
            Step::NewSegment { .. } => {
                let old = last_header(storage, dir, segment)?;
                let made = log::successor(storage, dir, &old, &plan.durable, &plan.repeat)?;
                segment = made.header.number;
            }
            Step::Sweep { file } => {
                let path = dir.join(file);
                storage.remove(&path).map_err(Error::io("remove", &path))?;
            }
            Step::BeginWatermark => {}
            Step::AcceptLoss { .. } => unreachable!("a plan with damage is not performed here"),
        }
    }
    storage::sync_dir(storage, dir).map_err(Error::io("sync", dir))?;
    if !locks.watermark.speaks_for(boot, &plan.store) {
        // From here on what can be read counts as durable, also what may still be in a drive's own cache. Nobody else
        // syncs before the page speaks; afterwards that takes an election.
        let path = dir.join(segment::name(segment));
        let last = storage.open(&path, Open::Write).map_err(Error::io("open", &path))?;
        last.sync().map_err(Error::io("sync", &path))?;
        locks.watermark.begin(boot, &plan.store, Reached::new(segment, durable));
    } else if segment != plan.version.segment {
        locks.watermark.name_segment(segment, durable);
    }
    Ok(())
}

/// Remove the files that a crash left unfinished. Under both locks nobody is about to finish one.
pub(crate) fn sweep(
    storage: &dyn Storage,
    locks: &Locks,
    _maintenance: &MaintenanceGuard<'_>,
    _append: &AppendGuard<'_>,
) -> Result<(), Error> {
    let dir = locks.dir();
    for name in storage.list(dir).map_err(Error::io("list", dir))? {
        if name.to_str().is_some_and(gather::is_leftover) {
            let path = dir.join(name);
            storage.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// Go on without records that had been acknowledged and cannot be read: from the intact state, under numbers above
/// every one that was ever seen. Whatever is given up is kept in quarantine first.
pub(crate) fn accept_loss(
    storage: &dyn Storage,
    locks: &Locks,
    boot: &[u8; 16],
    plan: &LogPlan,
    _maintenance: &MaintenanceGuard<'_>,
    _append: &AppendGuard<'_>,
) -> Result<(), Error> {
    let dir = locks.dir();
    let mut given_up = Vec::new();
    let mut last_segment = plan.last_segment;
    for name in storage.list(dir).map_err(Error::io("list", dir))? {
        let Some(name) = name.to_str() else { continue };
        let number = segment::number_in(name);
        if number.is_none() && snapshot::revision_in(name).is_none() {
            continue;
        }
        last_segment = last_segment.max(number.unwrap_or(0));
        let path = dir.join(name);
        let file = storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
        let bytes = match storage::read_all(&*file) {
            Ok(bytes) => bytes,
            // A sector that cannot be read must not keep the rest from being kept, nor us from going on.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what cannot be read of it is kept as zeros");
                read_around_bad_sectors(&*file).map_err(Error::io("look at", &path))?
            }
        };
        set_aside(storage, dir, &format!("lost-{:08x}-{name}", crc32fast::hash(&bytes)), &bytes)?;
        given_up.push(path);
    }
    let mut version = plan.version.clone();
    version.cursor.sequence = plan.highest.0.max(version.sequence());
    version.cursor.revision = plan.highest.1.max(version.revision());
    let next = last_segment + 1;
    let salt = storage.random().map_err(Error::io("get random bytes for", dir))?;
    let created = storage.clock_micros();
    let header = Header {
        store: plan.store,
        number: next,
        first: version.sequence() + 1,
        revision_before: version.revision(),
        check_before: version.cursor.check,
        salt,
        created,
    };
    segment::Segment::draft(storage, dir, next, 0, log::ZEROS_FIRST)?.publish(dir, header, &[])?;
    // Until this snapshot has its name the journal is as damaged as it was; from then on it is sound.
    // A text that stands for a state that cannot be had any more is no base for anything.
    let kept = plan.version.revision();
    let has_state = |text: &&KnownText| match &text.stands_for {
        StandsFor::Snapshot(..) => true,
        StandsFor::Revision(revision) => *revision == kept,
        StandsFor::Save(_) => false,
    };
    version.texts = plan.version.texts.iter().filter(has_state).cloned().collect();
    let mut state_of = |text: &KnownText| text.stands_for.state(&mut |_| Ok(plan.version.state.clone()));
    let draft = snapshot::Draft::of(plan.store, &version, next, created, None, &mut state_of)?;
    let (written, _) = snapshot::write(storage, dir, &draft, &mut || false)?;
    for path in given_up.iter().filter(|path| **path != written) {
        storage.remove(path).map_err(Error::io("remove", path))?;
    }
    locks.watermark.begin(boot, &plan.store, Reached::new(next, version.sequence()));
    Ok(())
}

/// A file's bytes, with zeros in the place of what cannot be read.
fn read_around_bad_sectors(file: &dyn File) -> std::io::Result<Vec<u8>> {
    let len = usize::try_from(file.stat()?.len).map_err(|_| std::io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    for (at, block) in bytes.chunks_mut(BLOCK as usize).enumerate() {
        let _ = storage::read_full(file, block, at as u64 * BLOCK);
    }
    Ok(bytes)
}

fn last_header(storage: &dyn Storage, dir: &Path, number: u64) -> Result<Header, Error> {
    let path = dir.join(segment::name(number));
    let file = storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
    let block = storage::read_range(&*file, 0, BLOCK as usize).map_err(Error::io("read", &path))?;
    Header::decode(&block).map_err(|_| {
        Error::Damaged(Box::new(Damage {
            file: path,
            offset: 0,
            first_revision: 0,
            last_revision: None,
            fault: DamageKind::SegmentHeader,
        }))
    })
}

/// A journal whose watermark someone removed gets a new one, which says nothing yet.
pub(crate) fn restore_watermark(storage: &dyn Storage, dir: &Path) -> Result<(), Error> {
    let path = storage::temporary(storage, dir, watermark::NAME).map_err(Error::io("get random bytes for", dir))?;
    Watermark::create(storage, &path)?;
    let target = dir.join(watermark::NAME);
    match storage.rename(&path, &target, Rename::Keep) {
        Ok(()) => {}
        // Somebody else was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return storage.remove(&path).map_err(Error::io("remove", &path));
        }
        Err(error) => return Err(Error::io("name", &target)(error)),
    }
    tracing::warn!(journal = %dir.display(), "{} was missing; what is not known to be durable is written again", watermark::NAME);
    Ok(())
}

/// Keep a copy of bytes that recovery drops. The name tells where they were, so a repeated recovery finds its own copy.
fn quarantine_bytes(storage: &dyn Storage, dir: &Path, file: &str, offset: u64, len: u64) -> Result<(), Error> {
    let source = dir.join(file);
    let from = storage.open(&source, Open::Read).map_err(Error::io("open", &source))?;
    let len = usize::try_from(len).expect("a segment that was read into memory");
    let bytes = storage::read_range(&*from, offset, len).map_err(Error::io("read", &source))?;
    set_aside(storage, dir, &format!("torn-{file}-{offset:x}"), &bytes)
}

/// Write bytes into the quarantine under a name, durably.
pub(crate) fn set_aside(storage: &dyn Storage, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    reserve::or_with_reserve(storage, dir, || try_to_set_aside(storage, dir, name, bytes))
}

fn try_to_set_aside(storage: &dyn Storage, dir: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let quarantine = dir.join(QUARANTINE);
    match storage.create_dir(&quarantine) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("create", &quarantine)(error));
        }
        _ => storage::sync_dir(storage, dir).map_err(Error::io("sync", dir))?,
    }
    // Not through a link that somebody put there.
    storage.open(&quarantine, Open::Directory).map_err(Error::io("open", &quarantine))?;
    let target = quarantine.join(name);
    if storage.stat(&target).is_err() {
        let path = storage::temporary(storage, &quarantine, name).map_err(Error::io("get random bytes for", dir))?;
        let file = storage.open(&path, Open::Create(0o600)).map_err(Error::io("create", &path))?;
        let kept = storage::write_full(&*file, bytes, 0)
            .and_then(|()| file.sync())
            .and_then(|()| storage.rename(&path, &target, Rename::Replace));
        kept.map_err(|error| {
            // What is not whole is of no use, and each attempt would leave more of it.
            let _ = storage.remove(&path);
            Error::io("write", &target)(error)
        })?;
    }
    // Whoever put it there may have died before its name was durable.
    storage::sync_dir(storage, &quarantine).map_err(Error::io("sync", &quarantine))
}

/// How long the ends of segments that a crash cut short are kept. They were never acknowledged; whoever wants to know what was
/// in them has looked by then.
const TORN_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Remove from the quarantine what was torn long ago. All else that is there stays until a person removes it.
pub(crate) fn forget_torn(
    storage: &dyn Storage,
    dir: &Path,
    _maintenance: &MaintenanceGuard<'_>,
) -> std::io::Result<()> {
    let quarantine = dir.join(QUARANTINE);
    let names = match storage.open(&quarantine, Open::Directory).and_then(|_| storage.list(&quarantine)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    let now = Duration::from_micros(storage.clock_micros());
    for name in names.iter().filter_map(|name| name.to_str()).filter(|name| is_torn(name)) {
        let path = quarantine.join(name);
        let found = storage.stat(&path)?;
        let age = now.saturating_sub(Duration::from_nanos(u64::try_from(found.modified_ns).unwrap_or(u64::MAX)));
        if found.kind == Kind::File && found.links == 1 && age > TORN_KEPT {
            storage.remove(&path)?;
        }
    }
    Ok(())
}

/// Whether a name is one that [`quarantine_bytes`] gives, and no other.
fn is_torn(name: &str) -> bool {
    let parts = name.strip_prefix("torn-").and_then(|rest| rest.rsplit_once('-'));
    let is_offset = |text: &str| !text.is_empty() && storage::is_hex(text, text.len());
    parts.is_some_and(|(file, offset)| segment::number_in(file).is_some() && is_offset(offset))
}
