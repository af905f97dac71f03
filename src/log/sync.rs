//! Making appended frames durable: one syncer over all threads and processes, the others wait for its word.

use super::*;
use crate::storage::Lock;

/// How often a syncer lets others append before it syncs for all of them.
const GATHERING: usize = 16;

/// How long a waiter sleeps at most before it looks again; it is normally woken.
const PATIENCE: Duration = Duration::from_millis(2);
/// A sync that made no progress for so long belongs to a process that is suspended, or to a disk that hangs.
const SUSPENDED: Duration = Duration::from_secs(1);

enum Turn {
    /// A sync was done, or someone else's has just ended, or the segment changed: look again.
    Again,
    /// Someone else is syncing.
    Busy,
}

impl Log {
    /// Wait until an edit is durable, syncing when nobody else does.
    ///
    /// After an error the edit may or may not be there ([`Error::OutcomeUnknown`]).
    pub(crate) fn wait_durable(&self, ticket: &Ticket) -> Result<(), Error> {
        let reached = self.locks.watermark.durable();
        if reached.is_in(ticket.segment) && reached.sequence >= ticket.sequence {
            return Ok(());
        }
        self.refuse_child()?;
        let early = if ticket.payload.is_some() { Bug::AcknowledgedEarly } else { Bug::UnchangedEarly };
        if planted(early) {
            return Ok(());
        }
        let mut segment = ticket.segment;
        let mut last = self.locks.watermark.durable();
        let mut progress = self.storage.uptime();
        loop {
            let seen = self.locks.watermark.publications();
            let reached = self.locks.watermark.durable();
            if reached != last {
                (last, progress) = (reached, self.storage.uptime());
            }
            if !reached.is_in(segment) {
                match self.find(ticket, segment).map_err(unknown)? {
                    Found::Durable => return Ok(()),
                    Found::In(newer) => segment = newer,
                }
                continue;
            }
            if reached.sequence >= ticket.sequence {
                return Ok(());
            }
            if self.locks.watermark.is_poisoned(segment) {
                self.heal(segment).map_err(unknown)?;
                continue;
            }
            match self.try_sync(segment) {
                Ok(Turn::Again) => {}
                // Whoever is at it is suspended, before, in or after its sync.
                Ok(Turn::Busy) if self.storage.uptime().saturating_sub(progress) > SUSPENDED => {
                    self.heal(segment).map_err(unknown)?;
                    progress = self.storage.uptime();
                }
                Ok(Turn::Busy) => self.locks.watermark.wait_published(seen, PATIENCE),
                // It was left meanwhile, and may have been retired.
                Err(_) if !self.locks.watermark.durable().is_in(segment) => {}
                Err(error) => return Err(unknown(error)),
            }
        }
    }

    /// Make everything that is in the log now durable.
    pub(crate) fn sync_all(&self) -> Result<(), Error> {
        let ticket = {
            let tail = self.tail();
            Ticket { segment: tail.segment.header.number, sequence: tail.end.sequence, payload: None }
        };
        match self.wait_durable(&ticket) {
            // A newer segment is made when all that survives of the older one is on disk.
            Err(_) if !self.locks.watermark.durable().is_in(ticket.segment) => self.usable(),
            result => result,
        }
    }

    /// Sync a segment whatever is durable in it already, waiting for the syncer's turn: after zeros were written.
    /// Under the append lock.
    pub(super) fn sync_now(&self, segment: &Segment) -> Result<(), Error> {
        let began = self.storage.uptime();
        loop {
            let seen = self.locks.watermark.publications();
            let thread = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(_syncer) = Syncer::elect(segment)? {
                return self.sync_held(segment).and_then(|()| self.refuse_poisoned(segment));
            }
            drop(thread);
            if self.storage.uptime().saturating_sub(began) > SUSPENDED {
                self.locks.watermark.poison(segment.header.number);
                return Err(Error::Locked { path: segment.path.clone(), holder: None, waited: SUSPENDED });
            }
            self.locks.watermark.wait_published(seen, PATIENCE);
        }
    }

    fn refuse_poisoned(&self, segment: &Segment) -> Result<(), Error> {
        if self.locks.watermark.is_poisoned(segment.header.number) {
            let failed = std::io::Error::other("an earlier sync of it failed; the next edit goes into a new segment");
            return Err(Error::io("sync", &segment.path)(failed));
        }
        Ok(())
    }

    fn try_sync(&self, number: u64) -> Result<Turn, Error> {
        let Some(_thread) = try_lock(&self.syncing) else { return Ok(Turn::Busy) };
        // Another thread may just be going over to a newer one, or this one may not have heard of it yet.
        self.try_sync_in(&*self.segment(number)?)
    }

    fn try_sync_in(&self, segment: &Segment) -> Result<Turn, Error> {
        let Some(_syncer) = Syncer::elect(segment)? else { return Ok(Turn::Busy) };
        let result = self.sync_held(segment);
        // A failed sync poisons the segment: whoever looks again heals it.
        if let Err(error) = result {
            tracing::warn!(%error, "a sync failed; going on in a new segment");
        }
        Ok(Turn::Again)
    }

    /// Sync and tell. The caller is the only syncer of this segment.
    fn sync_held(&self, segment: &Segment) -> Result<(), Error> {
        let watermark = &self.locks.watermark;
        let number = segment.header.number;
        if watermark.is_poisoned(number) {
            return Ok(());
        }
        if watermark.is_marked(number) && !planted(Bug::MarkIgnored) {
            // A syncer was killed inside its sync. If that failed, the kernel told nobody who lives.
            watermark.poison(number);
            return Ok(());
        }
        // What is in the file before the sync begins is what it vouches for.
        let end = self.gather();
        if !end.is_in(number) {
            return Ok(());
        }
        if !watermark.mark(number) && !planted(Bug::MarkIgnored) {
            return Ok(());
        }
        match segment.file.sync() {
            Ok(()) => {
                watermark.clear_mark(number);
                watermark.publish(number, end.sequence);
                Ok(())
            }
            Err(error) => {
                // Never again on this file: the kernel now calls the pages clean that it could not write.
                if !planted(Bug::SyncRetried) {
                    watermark.poison(number);
                }
                watermark.clear_mark(number);
                Err(Error::io("sync", &segment.path)(error))
            }
        }
    }

    /// Where the log ends. Where other processes are at work, whoever is about to append is let do so first.
    fn gather(&self) -> Reached {
        let watermark = &self.locks.watermark;
        let mut end = watermark.tail();
        if self.in_company.load(Relaxed) {
            for _ in 0..GATHERING {
                std::thread::yield_now();
                let before = std::mem::replace(&mut end, watermark.tail());
                if before == end {
                    break;
                }
            }
        }
        end
    }

    /// Where a ticket's frame is, now that `segment` is no longer the last one.
    fn find(&self, ticket: &Ticket, segment: u64) -> Result<Found, Error> {
        let next = match open_segment(&*self.storage, &self.dir, segment + 1) {
            Ok(next) => next,
            // Compactions have retired it since. A segment that was never poisoned was durable to its end when it was
            // left. Where the next one began we may have seen when we left this one.
            Err(Error::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound && !self.locks.watermark.is_poisoned(segment) =>
            {
                return Ok(Found::Durable);
            }
            Err(error) => {
                let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
                let first = left.get(&segment).filter(|first| ticket.sequence < **first);
                return first.map(|_| Found::Durable).ok_or_else(|| told_too_late(error));
            }
        };
        if ticket.sequence < next.header.first {
            // A segment begins where everything before is durable.
            return Ok(Found::Durable);
        }
        let lost = || Error::Gone { path: self.dir.clone() };
        let payload = ticket.payload.as_ref().ok_or_else(lost)?;
        let mut cursor = next.header.start();
        let mut same = false;
        next.scan(&mut cursor, ticket.sequence, |frame, behind| {
            let is_alike = *frame.payload == **payload || planted(Bug::FoundByNumber);
            same = behind.sequence == ticket.sequence && is_alike;
            Ok(())
        })?;
        if same { Ok(Found::In(next.header.number)) } else { Err(lost()) }
    }
}

/// Being the only syncer of a segment, over all processes. The turn ends with this value, whatever happens meanwhile.
struct Syncer<'a>(&'a Segment);

impl<'a> Syncer<'a> {
    fn elect(segment: &'a Segment) -> Result<Option<Syncer<'a>>, Error> {
        let elected = segment.file.try_lock(Lock::Exclusive).map_err(Error::io("lock", &segment.path))?;
        Ok(elected.then_some(Syncer(segment)))
    }
}

impl Drop for Syncer<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.file.unlock() {
            tracing::warn!(path = %self.0.path.display(), %error, "cannot unlock; the lock ends with this process");
        }
    }
}

enum Found {
    Durable,
    In(u64),
}

/// What was repeated of a segment that failed cannot be looked up any more.
fn told_too_late(error: Error) -> Error {
    match error {
        Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let retired = std::io::Error::other("it was retired while this process stood still");
            Error::io("look the edit up in", &path)(retired)
        }
        error => error,
    }
}

fn unknown(error: Error) -> Error {
    match error {
        error @ Error::OutcomeUnknown(_) => error,
        error => Error::OutcomeUnknown(Box::new(error)),
    }
}
