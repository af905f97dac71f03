//! Compaction: a snapshot takes the place of the log before it.
//!
//! A crash between any two steps leaves a journal that opens. Nothing is removed before the directory that holds what
//! replaces it has been synced.

use crate::error::Error;
use crate::lock::MaintenanceGuard;
use crate::log::{Log, ZEROS_FIRST};
use crate::materialise::ConfigFile;
use crate::note::hash_text;
use crate::planted::{Bug, planted};
use crate::recovery::{self, Evidence, Look, Standing, perform};
use crate::reserve;
use crate::segment::{self, Segment};
use crate::snapshot;
use crate::state::State;
use crate::storage::{self, Open};
use crate::version::{KnownText, StandsFor, Version};

/// What a compaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// The revision of the newest snapshot now.
    pub revision: u64,
    /// Bytes of log before.
    pub log_bytes_before: u64,
    /// Bytes of log now: what the older snapshot needs, and room ahead.
    pub log_bytes_after: u64,
    /// Bytes of the newest snapshot.
    pub snapshot_bytes: u64,
    /// Segments and snapshots that went.
    pub retired: Vec<String>,
}

/// Write a snapshot of everything in the log, and retire what the older of the two snapshots covers.
pub(crate) fn compact(log: &Log, config: &ConfigFile, guard: &MaintenanceGuard<'_>) -> Result<Compaction, Error> {
    let log_bytes_before = log.segments()?.iter().map(|(_, len)| len).sum();
    let version = log.published()?;
    let newest = covering(log, &version)?;
    if planted(Bug::RetiredEarly) {
        for (number, _) in log.segments()? {
            let path = log.dir.join(segment::name(number));
            log.storage.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    let (revision, snapshot_bytes) = match newest {
        // Everything is in it already.
        Some((header, len)) => (header.revision, len),
        None => write_snapshot(log, config)?,
    };
    let retired = retire(log, guard)?;
    if let Err(error) = perform::forget_torn(&*log.storage, &log.dir, guard) {
        tracing::debug!(journal = %log.dir.display(), %error, "what was torn long ago stays in quarantine");
    }
    reserve::keep(&*log.storage, &log.dir);
    let log_bytes_after = log.segments()?.iter().map(|(_, len)| len).sum();
    Ok(Compaction { revision, log_bytes_before, log_bytes_after, snapshot_bytes, retired })
}

/// Whether the log has outgrown its snapshot.
pub(crate) fn is_due(log: &Log) -> Result<bool, Error> {
    let names = log.storage.list(&log.dir).map_err(Error::io("list", &log.dir))?;
    let names = || names.iter().filter_map(|name| name.to_str());
    let Some(newest) = names().filter_map(snapshot::revision_in).max() else { return Ok(false) };
    // Asked often: the header must do.
    let path = log.dir.join(snapshot::name(newest));
    let file = log.storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
    let snapshot_bytes = file.stat().map_err(Error::io("look at", &path))?.len;
    let bytes = storage::read_range(&*file, 0, snapshot::HEADER_LEN).map_err(Error::io("read", &path))?;
    let Ok(header) = snapshot::Header::decode(&bytes) else { return Ok(true) };
    let mut since = 0;
    for number in names().filter_map(segment::number_in).filter(|number| *number >= header.next_segment) {
        let path = log.dir.join(segment::name(number));
        since += log.storage.stat(&path).map_err(Error::io("look at", &path))?.len;
    }
    Ok(since > log.allow(snapshot_bytes))
}

fn write_snapshot(log: &Log, config: &ConfigFile) -> Result<(u64, u64), Error> {
    let storage = &*log.storage;
    let next = log.published()?.segment + 1;
    let draft = Segment::draft(storage, &log.dir, next, 0, ZEROS_FIRST)?;
    let (version, next_segment) = log.rotate(draft)?;
    // A file that cannot be read, or is none any more, must not have the log grow without end.
    let text = config.read().unwrap_or_else(|error| {
        tracing::debug!(%error, "the snapshot is written without what the config file shows");
        None
    });
    let text = text.and_then(|text| {
        let known = version.known(&hash_text(&log.store, &text.bytes)).is_some();
        known.then(|| String::from_utf8(text.bytes).ok()).flatten()
    });
    let mut state_of = |text: &KnownText| state_of(log, &version, text);
    let created = storage.clock_micros();
    let draft = snapshot::Draft::of(log.store, &version, next_segment, created, text, &mut state_of)?;
    let (_, len) = snapshot::write(storage, &log.dir, &draft, &mut log.company())?;
    Ok((version.revision(), len))
}

/// The state that a text of the config file stands for.
pub(crate) fn state_of(log: &Log, version: &Version, text: &KnownText) -> Result<State, Error> {
    let mut at = |revision| match log.last_shown() {
        _ if revision == version.revision() => Ok(version.state.clone()),
        Some((shown, state)) if shown == revision => Ok(state),
        _ => state_at(log, revision),
    };
    match text.stands_for.state(&mut at) {
        Err(Error::NoSuchRevision { revision, oldest, newest }) => {
            // The log no longer has it, but every snapshot carries the states of the texts of its time.
            let evidence = gather(log)?;
            let mut snapshots = evidence.snapshots.iter().filter_map(|(_, snapshot, _)| snapshot.as_ref().ok());
            match snapshots.find_map(|snapshot| snapshot.version.known(&text.hash)).map(|text| &text.stands_for) {
                Some(StandsFor::Snapshot(_, state)) => Ok(state.clone()),
                _ => Err(Error::NoSuchRevision { revision, oldest, newest }),
            }
        }
        result => result,
    }
}

pub(crate) fn gather(log: &Log) -> Result<Evidence, Error> {
    recovery::gather(&*log.storage, &log.dir, || Standing::ThisBoot(log.locks.watermark.durable()), true, &|| ())
}

/// The state at an older revision that the log still holds.
fn state_at(log: &Log, revision: u64) -> Result<State, Error> {
    let evidence = gather(log)?;
    let plan = recovery::plan_until(&evidence, Look::Beside, revision, &mut |_| ())?;
    if let Some(state) = plan.into_state_at(revision) {
        return Ok(state);
    }
    let oldest = evidence.snapshots.last().map_or(0, |(oldest, _, _)| *oldest);
    Err(Error::NoSuchRevision { revision, oldest, newest: log.published()?.revision() })
}

/// The text that the config file showed when the newest intact snapshot that has one was written. Under the maintenance
/// lock, where nobody removes one.
pub(crate) fn last_shown(log: &Log) -> Result<Option<String>, Error> {
    for revision in revisions(log)? {
        if let Ok(Some(text)) = snapshot::shown(&read(log, revision)?) {
            return Ok(Some(text.to_owned()));
        }
    }
    Ok(None)
}

/// The newest snapshot and its length, if it is intact and covers everything up to this version.
fn covering(log: &Log, version: &Version) -> Result<Option<(snapshot::Header, u64)>, Error> {
    let newest = revisions(log)?.into_iter().next();
    let Some(newest) = newest.filter(|newest| *newest == version.revision()) else { return Ok(None) };
    Ok(intact(log, newest)?.filter(|(header, _)| header.sequence == version.sequence()))
}

/// Revisions of the snapshots, newest first.
fn revisions(log: &Log) -> Result<Vec<u64>, Error> {
    let names = log.storage.list(&log.dir).map_err(Error::io("list", &log.dir))?;
    let mut found: Vec<u64> = names.iter().filter_map(|name| snapshot::revision_in(name.to_str()?)).collect();
    found.sort_unstable_by_key(|revision| std::cmp::Reverse(*revision));
    Ok(found)
}

/// The header of a snapshot whose every byte checks and that has its own name, and its length.
fn intact(log: &Log, revision: u64) -> Result<Option<(snapshot::Header, u64)>, Error> {
    let path = log.dir.join(snapshot::name(revision));
    let file = log.storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
    let found = snapshot::check_file(&*file).map_err(Error::io("read", &path))?;
    Ok(found.filter(|(header, _)| header.revision == revision))
}

fn read(log: &Log, revision: u64) -> Result<Vec<u8>, Error> {
    let path = log.dir.join(snapshot::name(revision));
    let file = log.storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
    storage::read_all(&*file).map_err(Error::io("read", &path))
}

/// Remove what the older of the newest two snapshots covers.
fn retire(log: &Log, _guard: &MaintenanceGuard<'_>) -> Result<Vec<String>, Error> {
    let revisions = revisions(log)?;
    let mut kept = Vec::new();
    for revision in &revisions {
        kept.extend(intact(log, *revision)?);
        if kept.len() == snapshot::KEPT || planted(Bug::OneSnapshotKept) {
            break;
        }
    }
    if planted(Bug::OneSnapshotKept) {
        kept.insert(0, kept[0]);
    }
    let [_, (older, _)] = kept.as_slice() else { return Ok(Vec::new()) };
    // The names that make the others superfluous may be someone else's, and not durable yet.
    storage::sync_dir(&*log.storage, &log.dir).map_err(Error::io("sync", &log.dir))?;
    let mut retired = Vec::new();
    let old_snapshots =
        revisions.iter().filter(|revision| **revision < older.revision).map(|revision| snapshot::name(*revision));
    let segments = log.segments()?;
    let old_segments =
        segments.iter().filter(|(number, _)| *number < older.next_segment).map(|(number, _)| segment::name(*number));
    // Snapshots first: one whose segments are gone could not be built upon.
    for name in old_snapshots.chain(old_segments) {
        let path = log.dir.join(&name);
        // Time is taken for others, unless the log outgrows its bounds meanwhile.
        let mut company = log.company();
        let mut has_company = || company() && !log.has_outgrown();
        log.storage.remove_large(&path, &mut has_company).map_err(Error::io("remove", &path))?;
        retired.push(name);
    }
    Ok(retired)
}
