//! Appending: under the lock, catch up, judge, write once.

use super::*;

/// Segments left behind that are remembered for those who still wait for a frame in them.
const LEFT_MAX: usize = 64;

/// The longest buffer that is kept for the next frames.
const BUFFER_MAX: usize = 1 << 20;

/// Something to append.
pub(crate) enum Want<'a> {
    /// An edit: its transaction, the payload it encodes to, and the revision that it insists on. Without a transaction the
    /// payload is a plain set.
    Edit { transaction: Option<&'a Transaction>, payload: &'a Arc<[u8]>, expected: Option<u64> },
    /// What follows from the newest version, looked at under the lock; `None`: nothing.
    Computed(Compute<'a>),
}

/// Looks at the newest version and says what is to be appended. Asked again if that could not be written where it was meant to go.
type Compute<'a> = Box<dyn FnMut(&Version) -> Result<Option<Entry>, Error> + Send + 'a>;

/// A frame's content.
pub(crate) enum Entry {
    Edit(Transaction),
    Note(Note),
    /// A note that nobody waits for: it rides on the next sync, whoever makes that one.
    Aside(Note),
}

/// One of the edits that go into the log together, and what became of it.
pub(crate) struct Request<'a> {
    want: Want<'a>,
    pub outcome: Option<Result<Appended, Error>>,
    /// What it was judged on, which may not be durable yet.
    pub judged_on: Option<Ticket>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(want: Want<'a>) -> Request<'a> {
        Request { want, outcome: None, judged_on: None }
    }
}

/// What became of a write.
enum Written {
    Whole,
    /// Nothing was written, since the segment turned out to be poisoned: its successor takes it.
    Elsewhere,
}

/// Frames that are about to be written. The version at the tail has their effect already, and is taken back if they do
/// not get there.
struct Batch<'a> {
    bytes: Vec<u8>,
    tail: &'a mut Tail,
    durable: u64,
    /// Somebody waits until they are durable.
    is_awaited: bool,
    stays: bool,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.stays && !planted(Bug::UnwrittenKept) {
            // What lies between is read again when somebody catches up.
            self.tail.applied = self.tail.kept.clone();
        }
        if self.bytes.capacity() <= BUFFER_MAX {
            self.bytes.clear();
            self.tail.buffer = std::mem::take(&mut self.bytes);
        }
    }
}

impl Log {
    /// Judge and append in one write; every request has an outcome afterwards. Not durable yet: see [`Log::wait_durable`].
    pub(crate) fn append(&self, requests: &mut [Request<'_>]) {
        let result = self.usable().and_then(|()| {
            let mut tail = self.tail();
            let guard = self.locks.append(self.lock_timeout)?;
            self.append_locked(&mut tail, &guard, requests).map_err(|error| guard.explain(error))?;
            guard.settle();
            Ok(())
        });
        let failed = match result {
            Ok(()) => return,
            Err(error) => error,
        };
        for request in requests {
            // Judged on nothing, or on what was not written in the end.
            request.outcome = Some(Err(not_applied(failed.clone())));
        }
    }

    fn append_locked(
        &self,
        tail: &mut Tail,
        guard: &AppendGuard<'_>,
        requests: &mut [Request<'_>],
    ) -> Result<(), Error> {
        let is_awaited = loop {
            if !planted(Bug::NotCaughtUp) {
                let known = tail.applied.sequence();
                self.catch_up(tail, guard)?;
                self.in_company.store(tail.applied.sequence() != known, Relaxed);
            }
            if !guard.found_settled && !self.sync_room(&tail.segment)? {
                continue;
            }
            let durable = self.locks.watermark.durable().sequence;
            let bytes = std::mem::take(&mut tail.buffer);
            let mut batch = Batch { bytes, tail: &mut *tail, durable, is_awaited: false, stays: false };
            for request in requests.iter_mut() {
                request.judged_on = Some(batch.here());
                request.outcome = Some(batch.judge(&mut request.want));
            }
            batch.stays = batch.bytes.is_empty();
            if batch.stays {
                return Ok(());
            }
            match self.write(batch.tail, guard, &batch.bytes)? {
                Written::Whole => {
                    batch.stays = true;
                    break batch.is_awaited;
                }
                // Judged again, on what the new segment repeats. Making that fails where no segment can be written.
                Written::Elsewhere => {}
            }
        };
        let begins = std::mem::replace(&mut tail.end, tail.applied.cursor).offset;
        self.end.store(tail.end.offset, Relaxed);
        self.locks.watermark.set_tail(tail.segment.header.number, tail.end.sequence);
        if is_awaited && !self.in_company.load(Relaxed) {
            // The disk is at work while locks are given back and taken: less is left for the sync, which tells of errors too.
            let _ = tail.segment.file.begin_write_out(begins, tail.end.offset - begins);
        }
        if self.asked.swap(false, Relaxed) || tail.end.offset - tail.kept.cursor.offset >= KEPT_EVERY {
            tail.kept = tail.applied.clone();
            self.keep_unpublished(tail.kept.clone());
        }
        Ok(())
    }

    /// Keep a version for readers until it is durable.
    fn keep_unpublished(&self, version: Version) {
        let durable = self.locks.watermark.durable();
        let mut unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
        // Of those that are durable the newest is the one to publish. Nobody may ask for a long time.
        let is_durable = |version: &Version| version.sequence() <= durable.sequence;
        forget_left(&mut unpublished, durable);
        while unpublished.get(1).is_some_and(is_durable) {
            unpublished.pop_front();
        }
        unpublished.push_back(version);
    }

    fn write(&self, tail: &mut Tail, guard: &AppendGuard<'_>, bytes: &[u8]) -> Result<Written, Error> {
        let segment = tail.segment.clone();
        let offset = tail.end.offset;
        let end = offset + bytes.len() as u64;
        if let Err(error) = self.make_room(&segment, end) {
            // Its sync failed, or another process was killed or suspended inside its own: no fault of these edits.
            let poisoned = self.locks.watermark.is_poisoned(segment.header.number);
            return if poisoned { Ok(Written::Elsewhere) } else { Err(error) };
        }
        let Err(error) = crate::storage::write_full(&*segment.file, bytes, offset) else {
            return Ok(Written::Whole);
        };
        let error = Error::io("write", &segment.path)(error);
        if planted(Bug::FailedWriteLeft) {
            return Err(not_applied(error));
        }
        // What was written of it is taken back, so that the log ends where it did.
        let undone = crate::storage::write_zeros(&*segment.file, offset, end)
            .and_then(|()| crate::storage::read_range(&*segment.file, offset, bytes.len()));
        // Only what is on disk cannot come back.
        if undone.is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0)) && self.sync_now(&segment).is_ok() {
            return Err(not_applied(error));
        }
        self.locks.watermark.poison(segment.header.number);
        // The new segment repeats what is whole, so nobody can say yet which edits stay.
        let healed = self.heal_locked(tail, guard);
        Err(Error::OutcomeUnknown(Box::new(healed.err().unwrap_or(error))))
    }

    /// Sync the room in a segment that somebody may have made who was killed before its sync: a crash could cut it short
    /// again. `false`: that failed, and the segment is poisoned.
    fn sync_room(&self, segment: &Segment) -> Result<bool, Error> {
        if planted(Bug::RoomNotSynced) {
            return Ok(true);
        }
        match self.sync_now(segment) {
            Ok(()) => Ok(true),
            Err(_) if self.locks.watermark.is_poisoned(segment.header.number) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// See to it that the segment has zeros on disk up to `end` and a frame header beyond.
    fn make_room(&self, segment: &Segment, end: u64) -> Result<(), Error> {
        let path = &segment.path;
        let needed = end + frame::HEADER_LEN as u64;
        // A segment never becomes shorter than it was seen to be.
        if needed <= segment.room.load(SeqCst) {
            return Ok(());
        }
        let len = segment.file.length().map_err(Error::io("look at", path))?;
        segment.room.fetch_max(len, SeqCst);
        if needed <= len {
            return Ok(());
        }
        let step = len.clamp(ZEROS_FIRST, ZEROS_MAX);
        let grown = (needed + step).next_multiple_of(4096);
        if let Err(error) = crate::storage::write_zeros(&*segment.file, len, grown) {
            // Without room the log stays as it was. Failing to cut it leaves zeros, which harm nobody.
            let _ = segment.file.set_len(len);
            return Err(Error::io("make room in", path)(error));
        }
        self.sync_now(segment)
    }

    /// Where the log ends, if that is in the segment where this process has been, as everybody says who appended before.
    fn end_in(&self, tail: &Tail, guard: &AppendGuard<'_>) -> Option<u64> {
        let watermark = &self.locks.watermark;
        let number = tail.segment.header.number;
        let end = watermark.tail();
        let is_last = guard.found_settled
            && tail.is_read
            && end.is_in(number)
            && watermark.durable().is_in(number)
            && !watermark.is_poisoned(number)
            && self.named_as(&tail.segment).is_ok_and(|found| found == tail.segment.stat.identity());
        is_last.then_some(end.sequence)
    }

    /// Device and number of what has a segment's name now.
    fn named_as(&self, segment: &Segment) -> std::io::Result<(u64, u64)> {
        self.locks.entry(segment.path.file_name().unwrap_or_default())
    }

    /// Under the append lock: read what others appended, and go over to the newest segment.
    pub(super) fn catch_up(&self, tail: &mut Tail, guard: &AppendGuard<'_>) -> Result<(), Error> {
        let number = tail.segment.header.number;
        let read = self.read_to_end(tail, guard);
        // Where the segment ended that was left says nothing of the one that goes on: nobody may wait for that much of it.
        if read.is_ok() || tail.segment.header.number != number {
            tail.end = tail.applied.cursor;
            self.end.store(tail.end.offset, Relaxed);
        }
        if tail.kept.segment != tail.applied.segment {
            tail.kept = tail.applied.clone();
        }
        read
    }

    fn read_to_end(&self, tail: &mut Tail, guard: &AppendGuard<'_>) -> Result<(), Error> {
        let watermark = &self.locks.watermark;
        if !watermark.speaks_for(&self.boot, &self.store) {
            return Err(Error::Gone { path: self.dir.clone() });
        }
        if let Some(end) = self.end_in(tail, guard)
            && tail.applied.sequence() <= end
            && let Stop::Reached = self.replay_frames(&tail.segment, &mut tail.applied, end)?
        {
            return Ok(());
        }
        loop {
            let number = tail.segment.header.number;
            if self.move_on(tail)? {
                continue;
            }
            match self.named_as(&tail.segment) {
                Ok(found) if found == tail.segment.stat.identity() => {}
                _ if planted(Bug::OrphanAppendedTo) => {}
                Ok(_) => return Err(Error::Gone { path: self.dir.clone() }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.reload(tail)?;
                    if tail.segment.header.number <= number {
                        return Err(Error::Gone { path: self.dir.clone() });
                    }
                    continue;
                }
                Err(error) => return Err(Error::io("look at", &tail.segment.path)(error)),
            }
            let named = watermark.durable().is_in(number);
            if !named {
                // Its maker died before telling anyone. It was synced before it got its name; the name may not be.
                crate::storage::sync_dir(&*self.storage, &self.dir).map_err(Error::io("sync", &self.dir))?;
            }
            if watermark.is_poisoned(number) {
                self.heal_locked(tail, guard)?;
                continue;
            }
            let segment = tail.segment.clone();
            match self.replay_frames(&segment, &mut tail.applied, u64::MAX)? {
                Stop::Fault(frame::Fault::Zeros) => {}
                _ if planted(Bug::TailInherited) => {}
                // A writer was killed inside its write.
                _ => {
                    watermark.poison(number);
                    continue;
                }
            }
            if !named {
                // Nobody appends to a segment without a name, so all of it was synced by its maker.
                watermark.name_segment(number, tail.applied.sequence());
            }
            if tail.applied.sequence() < watermark.durable().sequence {
                return Err(damaged(&segment, &tail.applied, DamageKind::Record(frame::Fault::Zeros)));
            }
            watermark.set_tail(number, tail.applied.sequence());
            tail.is_read = true;
            return Ok(());
        }
    }

    fn remember_left(&self, segment: u64, first: u64) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.insert(segment, first);
        while left.len() > LEFT_MAX {
            left.pop_first();
        }
    }

    /// The segment is gone. If compactions retired it while we lagged, begin again from the snapshot.
    fn reload(&self, tail: &mut Tail) -> Result<(), Error> {
        let (version, segment) = open_last(&*self.storage, &self.dir, self.read_anew()?.version, || self.read_anew())?;
        (tail.applied, tail.segment) = (version, Arc::new(segment));
        self.current.store(tail.segment.clone());
        Ok(())
    }

    /// Go over to the next segment if there is one.
    fn move_on(&self, tail: &mut Tail) -> Result<bool, Error> {
        let number = tail.segment.header.number + 1;
        let path = self.dir.join(segment::name(number));
        match self.storage.stat(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io("look at", &path)(error)),
        }
        let next = match open_segment(&*self.storage, &self.dir, number) {
            // A compaction that has gone on in a newer one removes it just now.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.reload(tail)?;
                return Ok(true);
            }
            next => Arc::new(next?),
        };
        if tail.applied.sequence() >= next.header.first {
            // What we applied beyond its first frame may not be what it repeats: begin again from what is durable.
            let published = self.published.load_full();
            if published.sequence() >= next.header.first {
                // A slow sync vouched for more than the new segment begins with.
                self.reload(tail)?;
                return Ok(true);
            }
            match open_segment(&*self.storage, &self.dir, published.segment) {
                Ok(segment) => (tail.applied, tail.segment) = ((*published).clone(), Arc::new(segment)),
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => self.reload(tail)?,
                Err(error) => return Err(error),
            }
            self.current.store(tail.segment.clone());
            return Ok(true);
        }
        let old = tail.segment.clone();
        self.replay(&old, &mut tail.applied, next.header.first - 1)?;
        self.enter(&mut tail.applied, &next)?;
        self.remember_left(number - 1, next.header.first);
        tail.segment = next.clone();
        self.current.store(next);
        Ok(true)
    }
}

impl Batch<'_> {
    fn judge(&mut self, want: &mut Want<'_>) -> Result<Appended, Error> {
        let computed;
        let (transaction, payload): (_, Arc<[u8]>) = match want {
            Want::Edit { transaction, payload, expected } => {
                let key = transaction.as_ref().and_then(|transaction| transaction.key.as_ref());
                let used = key.and_then(|key| self.tail.applied.keys.get(key));
                if let Some(used) = used.filter(|_| !planted(Bug::KeyForgotten)) {
                    let (revision, results) = (used.revision, used.results.to_vec());
                    return Ok(self.answer(revision, results, true));
                }
                let found = self.tail.applied.revision();
                if let Some(expected) = expected.filter(|expected| *expected != found && !planted(Bug::ExpectedIgnored))
                {
                    return Err(Error::Revision { expected, found });
                }
                (*transaction, Arc::clone(payload))
            }
            Want::Computed(compute) => match compute(&self.tail.applied)? {
                None => return Ok(self.answer(self.tail.applied.revision(), Vec::new(), false)),
                Some(Entry::Edit(transaction)) => {
                    let mut payload = Vec::new();
                    transaction.encode(&mut payload)?;
                    computed = transaction;
                    (Some(&computed), payload.into())
                }
                Some(Entry::Note(note)) => {
                    self.is_awaited = true;
                    return Ok(self.note(&note));
                }
                Some(Entry::Aside(note)) => return Ok(self.note(&note)),
            },
        };
        // One that is refused changes nothing.
        let applied = match transaction {
            Some(transaction) => self.tail.applied.edit(transaction)?,
            None => {
                let judged = self.tail.applied.edit_recorded(&payload);
                Applied { changed: judged.expect("it was encoded a moment ago")?, results: Vec::new() }
            }
        };
        let is_noted = transaction.is_some_and(|transaction| transaction.key.is_some() || transaction.base.is_some());
        if !applied.changed && !is_noted {
            return Ok(self.answer(self.tail.applied.revision(), applied.results, false));
        }
        self.is_awaited = true;
        self.push(FrameKind::Edit, &payload);
        Ok(self.written(payload, applied.results))
    }

    fn note(&mut self, note: &Note) -> Appended {
        let payload: Arc<[u8]> = note.encode().into();
        self.push(FrameKind::Note, &payload);
        self.written(payload, Vec::new())
    }

    /// Encode a frame whose effect `version` has already, and move the cursor behind it.
    fn push(&mut self, kind: FrameKind, payload: &[u8]) {
        let segment = &self.tail.segment;
        let cursor = &mut self.tail.applied.cursor;
        let revision = cursor.revision + u64::from(kind == FrameKind::Edit);
        let sequence = cursor.sequence + 1;
        let fields = frame::Fields { previous: cursor.check, sequence, durable: self.durable, revision, kind };
        let start = self.bytes.len();
        let check = frame::encode(&mut self.bytes, &segment.seed, &fields, payload);
        let offset = cursor.offset + (self.bytes.len() - start) as u64;
        *cursor = segment::Cursor { offset, sequence, revision, check };
        if kind == FrameKind::Note
            && let Ok(note) = Note::decode(payload)
        {
            self.tail.applied.note(note);
        }
    }

    fn written(&self, payload: Arc<[u8]>, results: Vec<Option<Value>>) -> Appended {
        let ticket = Ticket {
            segment: self.tail.applied.segment,
            sequence: self.tail.applied.sequence(),
            payload: Some(payload),
        };
        Appended { ticket, revision: self.tail.applied.revision(), results, written: true, repeated: false }
    }

    fn answer(&self, revision: u64, results: Vec<Option<Value>>, repeated: bool) -> Appended {
        Appended { ticket: self.here(), revision, results, written: false, repeated }
    }

    fn here(&self) -> Ticket {
        Ticket { segment: self.tail.applied.segment, sequence: self.tail.applied.sequence(), payload: None }
    }
}

/// An edit that failed before anything of it could stay.
fn not_applied(error: Error) -> Error {
    match error {
        error @ (Error::NotApplied(_) | Error::OutcomeUnknown(_)) => error,
        error => Error::NotApplied(Box::new(error)),
    }
}
