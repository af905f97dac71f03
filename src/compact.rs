//! Compaction: a snapshot takes the place of the log before it.
//!
//! A crash between any two steps leaves a journal that opens. Nothing is removed before the directory that holds what
//! replaces it has been synced.

use std::sync::Arc;

use crate::error::Error;
use crate::lock::MaintenanceGuard;
use crate::log::{Log, ZEROS_FIRST};
use crate::materialise::ConfigFile;
use crate::note::hash_text;
use crate::recovery::{self, Look, Standing};
use crate::segment::{self, Segment};
use crate::snapshot;
use crate::state::State;
use crate::storage::{self, Open};

/// The log is compacted by itself when it outgrows this and the snapshot.
pub(crate) const LOG_MIN: u64 = 1024 * 1024;

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
    let newest = newest_snapshot(log)?;
    let (revision, snapshot_bytes) = match newest {
        // Everything is in it already.
        Some((header, len)) if header.sequence == version.sequence() => (header.revision, len),
        _ => write_snapshot(log, config)?,
    };
    let retired = retire(log, guard)?;
    let log_bytes_after = log.segments()?.iter().map(|(_, len)| len).sum();
    Ok(Compaction { revision, log_bytes_before, log_bytes_after, snapshot_bytes, retired })
}

/// Whether the log has outgrown its snapshot.
pub(crate) fn is_due(log: &Log) -> Result<bool, Error> {
    let Some((header, snapshot_bytes)) = newest_snapshot(log)? else { return Ok(false) };
    let since =
        log.segments()?.iter().filter(|(number, _)| *number >= header.next_segment).map(|(_, len)| len).sum::<u64>();
    Ok(since > LOG_MIN.max(snapshot_bytes))
}

fn write_snapshot(log: &Log, config: &ConfigFile) -> Result<(u64, u64), Error> {
    let storage = &*log.storage;
    let next = log.published()?.segment + 1;
    let draft = Segment::draft(storage, &log.dir, next, 0, ZEROS_FIRST)?;
    let version = log.rotate(draft)?;
    let text = config.read()?.and_then(|text| {
        let known = version.known(&hash_text(&log.store, &text.bytes)).is_some();
        known.then(|| String::from_utf8(text.bytes).ok()).flatten()
    });
    let mut at =
        |revision| if revision == version.revision() { Ok(version.state.clone()) } else { state_at(log, revision) };
    let created = storage.clock_micros();
    let next_segment = version.segment + 1;
    let bytes = snapshot::encode(log.store, &version, next_segment, created, text.as_deref(), &mut at)?;
    snapshot::write(storage, &log.dir, version.revision(), &bytes)?;
    Ok((version.revision(), bytes.len() as u64))
}

/// The state at an older revision that the log still holds.
pub(crate) fn state_at(log: &Log, revision: u64) -> Result<State, Error> {
    let evidence =
        recovery::gather(&*log.storage, &log.dir, || Standing::ThisBoot(log.locks.watermark.durable()), true)?;
    let plan = recovery::plan_until(&evidence, Look::Beside, revision, &mut |_| ())?;
    if plan.version.revision() == revision {
        return Ok(plan.version.state);
    }
    let oldest = evidence.snapshots.last().map_or(0, |(oldest, _, _)| *oldest);
    Err(Error::NoSuchRevision { revision, oldest, newest: log.published()?.revision() })
}

/// The text that the config file showed when the newest intact snapshot was written.
pub(crate) fn last_shown(log: &Log) -> Result<Option<Arc<str>>, Error> {
    let standing = || Standing::ThisBoot(log.locks.watermark.durable());
    let evidence = recovery::gather(&*log.storage, &log.dir, standing, false)?;
    Ok(evidence.snapshots.into_iter().find_map(|(_, snapshot, _)| snapshot.ok()?.shown))
}

/// The newest snapshot whose header is intact, and its length.
fn newest_snapshot(log: &Log) -> Result<Option<(snapshot::Header, u64)>, Error> {
    Ok(headers(log)?.into_iter().next())
}

/// Headers of the intact snapshots, newest first.
fn headers(log: &Log) -> Result<Vec<(snapshot::Header, u64)>, Error> {
    let mut found = Vec::new();
    for name in log.storage.list(&log.dir).map_err(Error::io("list", &log.dir))? {
        if name.to_str().and_then(snapshot::revision_in).is_none() {
            continue;
        }
        let path = log.dir.join(name);
        let file = log.storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
        let bytes = storage::read_range(&*file, 0, snapshot::HEADER_LEN).map_err(Error::io("read", &path))?;
        if let Ok(header) = snapshot::Header::decode(&bytes) {
            found.push((header, file.stat().map_err(Error::io("look at", &path))?.len));
        }
    }
    found.sort_unstable_by_key(|(header, _)| std::cmp::Reverse(header.revision));
    Ok(found)
}

/// Remove what the older of the newest two snapshots covers.
fn retire(log: &Log, _guard: &MaintenanceGuard<'_>) -> Result<Vec<String>, Error> {
    let headers = headers(log)?;
    let [_, (older, _), ..] = headers.as_slice() else { return Ok(Vec::new()) };
    // The names that make the others superfluous may be someone else's, and not durable yet.
    storage::sync_dir(&*log.storage, &log.dir).map_err(Error::io("sync", &log.dir))?;
    let mut retired = Vec::new();
    let old_snapshots = headers[2..].iter().map(|(header, _)| snapshot::name(header.revision));
    let segments = log.segments()?;
    let old_segments =
        segments.iter().filter(|(number, _)| *number < older.next_segment).map(|(number, _)| segment::name(*number));
    // Snapshots first: one whose segments are gone could not be built upon.
    for name in old_snapshots.chain(old_segments) {
        let path = log.dir.join(&name);
        log.storage.remove(&path).map_err(Error::io("remove", &path))?;
        retired.push(name);
    }
    Ok(retired)
}
