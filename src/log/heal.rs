//! The one cure for a segment of doubtful standing: a new one, which repeats what is not known to be durable.

use super::*;
use crate::segment::Header;

impl Log {
    /// Leave a segment that must not be synced any more. Nothing to do if someone else has done it.
    pub(super) fn heal(&self, number: u64) -> Result<(), Error> {
        self.usable()?;
        let mut tail = self.tail();
        let guard = self.locks.append(self.lock_timeout)?;
        if self.locks.watermark.durable().is_in(number) {
            // Whoever made no progress must not be told "synced" later for what moves on now.
            self.locks.watermark.poison(number);
        }
        self.catch_up(&mut tail, &guard)
    }

    /// Make the new segment, under the append lock. Afterwards the caller catches up and finds it.
    pub(super) fn heal_locked(&self, tail: &mut Tail, _guard: &AppendGuard<'_>) -> Result<(), Error> {
        let old = tail.segment.clone();
        let durable = self.locks.watermark.durable().sequence;
        let mut start = old.header.start();
        if let Stop::Fault(fault) = old.scan(&mut start, durable, |_, _| Ok(()))? {
            return Err(damaged(&old, &Version { cursor: start, ..tail.applied.clone() }, DamageKind::Record(fault)));
        }
        let mut repeats = Vec::new();
        let mut end = start;
        // As far as it can be read; what cannot was never acknowledged.
        old.scan(&mut end, u64::MAX, |frame, _| {
            repeats.push(Repeat { fields: frame.fields, payload: frame.payload.to_vec() });
            Ok(())
        })?;
        tracing::info!(segment = old.header.number, durable, repeated = repeats.len(), "going on in a new segment");
        let made = successor(&*self.storage, &self.dir, &old.header, &start, &repeats);
        let made = made.inspect_err(|_| self.latched.store(true, SeqCst))?;
        self.locks.watermark.name_segment(made.header.number, end.sequence);
        Ok(())
    }

    /// Go on in a segment that was prepared: compaction's first step. Everything in the old one is durable.
    ///
    /// Returns everything in the log up to there, and the number of the segment that goes on.
    pub(crate) fn rotate(&self, draft: segment::Draft<'_>) -> Result<(Version, u64), Error> {
        self.usable()?;
        let mut tail = self.tail();
        let guard = self.locks.append(self.lock_timeout)?;
        self.catch_up(&mut tail, &guard)?;
        let is_behind = self.locks.watermark.durable().sequence < tail.applied.sequence();
        if is_behind && !planted(Bug::RotatedUnsynced) {
            let segment = tail.segment.clone();
            match self.sync_now(&segment) {
                // Its sync failed, or another process was killed or suspended inside its own: it is left for a new one.
                Err(_) if self.locks.watermark.is_poisoned(segment.header.number) => {
                    self.catch_up(&mut tail, &guard)?
                }
                synced => synced?,
            }
            if self.locks.watermark.durable().sequence < tail.applied.sequence() {
                let busy = std::io::Error::other("the log could not be synced");
                return Err(Error::io("sync", &segment.path)(busy));
            }
        }
        let old = tail.segment.clone();
        if tail.applied.cursor == old.header.start() {
            return Ok((tail.applied.clone(), old.header.number));
        }
        let header = next_header(&*self.storage, &self.dir, &old.header, old.header.number + 1, &tail.applied.cursor)?;
        let made = draft.publish(&self.dir, header, &[])?;
        self.locks.watermark.name_segment(made.header.number, tail.applied.sequence());
        let covered = tail.applied.clone();
        self.catch_up(&mut tail, &guard)?;
        Ok((covered, made.header.number))
    }
}

/// The header of the segment that follows `old` at `start`.
pub(crate) fn next_header(
    storage: &dyn Storage,
    dir: &Path,
    old: &Header,
    number: u64,
    start: &segment::Cursor,
) -> Result<Header, Error> {
    Ok(Header {
        store: old.store,
        number,
        first: start.sequence + 1,
        revision_before: start.revision,
        check_before: start.check,
        salt: storage.random().map_err(Error::io("get random bytes for", dir))?,
        created: storage.clock_micros(),
    })
}

/// Make the segment after `old`: it begins at `start` and repeats these frames.
pub(crate) fn successor(
    storage: &dyn Storage,
    dir: &Path,
    old: &Header,
    start: &segment::Cursor,
    repeats: &[Repeat],
) -> Result<Segment, Error> {
    let header = next_header(storage, dir, old, old.number + 1, start)?;
    let seed = frame::Seed::new(&header.salt);
    let mut bytes = Vec::new();
    let mut previous = start.check;
    for repeat in repeats {
        let fields = frame::Fields { previous, ..repeat.fields };
        previous = frame::encode(&mut bytes, &seed, &fields, &repeat.payload);
    }
    let draft = Segment::draft(storage, dir, header.number, bytes.len() as u64, ZEROS_FIRST)?;
    draft.publish(dir, header, &bytes)
}
