//! What running processes tell one another: one shared page, of this boot only.
//!
//! Everything here is a hint between live processes. What it says about durability is true because a process
//! stored it after its sync had returned, in this boot; after another boot the page is void, and what can be read
//! came from the disk. Nothing on disk is ever decided by this page alone.
//!
//! One word holds the segment and the durable sequence together, so that a sync of an old segment cannot vouch for
//! a newer one: it is published by compare-and-swap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::error::{Error, Holder};
use crate::planted::{Bug, planted};
use crate::storage::{File, Open, PAGE_LEN, Page, Storage};

/// The file's name in the journal.
pub(crate) const NAME: &str = "watermark";

/// Magic and layout version in one word.
const LAYOUT: u64 = u64::from_le_bytes(*b"CFGWALW1");

// Words of the page. Numbers are layout: processes of different builds may share a page.
const MAGIC: usize = 0;
const BOOT: usize = 1;
const STORE: usize = 3;
const DURABLE: usize = 5;
const TAIL: usize = 6;
const PUBLISHED: usize = 7;
const POISON: usize = 8;
const MARK: usize = 9;
const RELEASED: usize = 10;
const WAITERS: usize = 11;
const NAMED: usize = 12;
const LISTENERS: usize = 13;
const UNSETTLED: usize = 14;
const APPENDER: usize = 16;
const MAINTAINER: usize = 32;
/// Words of one holder: process, since when, and the command.
const HOLDER_WORDS: usize = 16;

/// Bits of a sequence in a [`Mark`]ed or durable word; the rest is the segment's number, which counts far more slowly.
const SEQUENCE_BITS: u32 = 44;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

/// A segment and a sequence in it: what a sync vouched for, or where the log ends. In the order of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reached {
    /// The segment's number, as many low bits as the word holds.
    segment: u64,
    pub sequence: u64,
}

impl Reached {
    pub(crate) fn new(segment: u64, sequence: u64) -> Reached {
        Reached { segment: segment & (u64::MAX >> SEQUENCE_BITS), sequence: sequence & SEQUENCE_MASK }
    }

    /// Whether it speaks of the segment with this number.
    pub(crate) fn is_in(&self, segment: u64) -> bool {
        self.segment == segment & (u64::MAX >> SEQUENCE_BITS)
    }

    fn word(self) -> u64 {
        self.segment << SEQUENCE_BITS | self.sequence
    }

    fn from_word(word: u64) -> Reached {
        Reached { segment: word >> SEQUENCE_BITS, sequence: word & SEQUENCE_MASK }
    }
}

/// Which lock a holder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Appender,
    Maintainer,
}

impl Role {
    fn base(self) -> usize {
        match self {
            Role::Appender => APPENDER,
            Role::Maintainer => MAINTAINER,
        }
    }
}

/// The page of one store, mapped.
pub(crate) struct Watermark {
    pub file: Box<dyn File>,
    pub path: PathBuf,
    page: Arc<dyn Page>,
    command: [u64; HOLDER_WORDS - 2],
}

impl Watermark {
    /// Make an empty page under a name that nobody looks at yet.
    pub(crate) fn create(storage: &dyn Storage, path: &Path) -> Result<(), Error> {
        let file = storage.open(path, Open::Create(0o600)).map_err(Error::io("create", path))?;
        file.stay_in_place();
        crate::storage::write_zeros(&*file, 0, PAGE_LEN as u64)
            .and_then(|()| file.sync())
            .map_err(Error::io("write", path))
    }

    /// Map it. What it says counts only while it [is of this boot and store](Watermark::speaks_for).
    pub(crate) fn open(storage: &dyn Storage, dir: &Path, command: &str) -> Result<Watermark, Error> {
        let path = dir.join(NAME);
        let file = storage.open(&path, Open::Write).map_err(Error::io("open", &path))?;
        let page = file.map().map_err(Error::io("map", &path))?;
        let layout = page.words()[MAGIC].load(SeqCst).to_le_bytes();
        if layout[..7] == LAYOUT.to_le_bytes()[..7] && layout[7] > LAYOUT.to_le_bytes()[7] {
            // A process that knows what it says may be at work by it.
            let what = format!("layout {}", String::from_utf8_lossy(&layout[7..]).escape_default());
            return Err(Error::Newer { path, what });
        }
        let mut packed = [0; HOLDER_WORDS - 2];
        for (word, bytes) in packed.iter_mut().zip(command.as_bytes().chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        Ok(Watermark { file, path, page, command: packed })
    }

    /// Before anything is stored in the page: whether there is [room for that](Page::claim_room).
    pub(crate) fn claim_room(&self) -> Result<(), Error> {
        self.page.claim_room().map_err(Error::io("make room in", &self.path))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.page.words()[at]
    }

    fn sixteen(&self, at: usize) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.word(at).load(SeqCst).to_le_bytes());
        bytes[8..].copy_from_slice(&self.word(at + 1).load(SeqCst).to_le_bytes());
        bytes
    }

    fn store_sixteen(&self, at: usize, bytes: &[u8; 16]) {
        self.word(at).store(crate::frame::u64_at(bytes, 0), SeqCst);
        self.word(at + 1).store(crate::frame::u64_at(bytes, 8), SeqCst);
    }

    /// Whether the page was filled in during this boot, for this store.
    pub(crate) fn speaks_for(&self, boot: &[u8; 16], store: &[u8; 16]) -> bool {
        self.word(MAGIC).load(SeqCst) == LAYOUT && self.sixteen(BOOT) == *boot && self.sixteen(STORE) == *store
    }

    /// Whether the page was filled in during this boot, for whatever store.
    pub(crate) fn is_of_boot(&self, boot: &[u8; 16]) -> bool {
        self.word(MAGIC).load(SeqCst) == LAYOUT && self.sixteen(BOOT) == *boot
    }

    /// Whether the page was never filled in.
    pub(crate) fn is_void(&self) -> bool {
        self.word(MAGIC).load(SeqCst) != LAYOUT
    }

    /// Begin anew for this boot. Only under both locks: nobody else may be reading meaning from the page.
    pub(crate) fn begin(&self, boot: &[u8; 16], store: &[u8; 16], durable: Reached) {
        self.word(MAGIC).store(0, SeqCst);
        for at in [POISON, MARK, WAITERS, NAMED, LISTENERS] {
            self.word(at).store(0, SeqCst);
        }
        self.word(UNSETTLED).store(1, SeqCst);
        self.word(DURABLE).store(durable.word(), SeqCst);
        self.word(TAIL).store(durable.word(), SeqCst);
        self.store_sixteen(BOOT, boot);
        self.store_sixteen(STORE, store);
        self.word(MAGIC).store(LAYOUT, SeqCst);
    }

    /// What is known to be durable.
    pub(crate) fn durable(&self) -> Reached {
        Reached::from_word(self.word(DURABLE).load(SeqCst))
    }

    /// Tell that a sync of `segment` that began when the log ended at `end` has returned; nothing if a newer segment
    /// has taken over meanwhile.
    pub(crate) fn publish(&self, segment: u64, end: u64) {
        let new = Reached::new(segment, end).word();
        let word = self.word(DURABLE);
        let mut known = word.load(SeqCst);
        while Reached::from_word(known).is_in(segment) && Reached::from_word(known).sequence < end {
            match word.compare_exchange(known, new, SeqCst, SeqCst) {
                Ok(_) => break,
                Err(now) => known = now,
            }
        }
        self.wake_waiters();
    }

    /// Tell that `segment` is the last one now. Only under the append lock, after the directory sync.
    pub(crate) fn name_segment(&self, segment: u64, durable: u64) {
        self.word(TAIL).store(Reached::new(segment, durable).word(), SeqCst);
        self.word(DURABLE).store(Reached::new(segment, durable).word(), SeqCst);
        self.wake_waiters();
    }

    /// Where the log ends: whoever syncs reads it before and vouches for that much.
    pub(crate) fn tail(&self) -> Reached {
        Reached::from_word(self.word(TAIL).load(SeqCst))
    }

    /// Where the log ends, unless somebody is appending. Of what was seen of the log before this is asked nothing can lie
    /// beyond, but on a page that is older than the log.
    pub(crate) fn settled_tail(&self) -> Option<Reached> {
        (self.word(UNSETTLED).load(SeqCst) == 0).then(|| self.tail())
    }

    /// Tell where the log ends. Only under the append lock, after the write.
    pub(crate) fn set_tail(&self, segment: u64, sequence: u64) {
        self.word(TAIL).store(Reached::new(segment, sequence).word(), SeqCst);
    }

    /// Tell that somebody is about to append, under the append lock. Returns whether whoever did so before
    /// [came to an end](Watermark::settle): if not, the log may hold more than the page says.
    pub(crate) fn unsettle(&self) -> bool {
        self.word(UNSETTLED).swap(1, SeqCst) == 0 || planted(Bug::UnsettledIgnored)
    }

    /// Tell that the log holds just what the page says. Only under the append lock.
    pub(crate) fn settle(&self) {
        self.word(UNSETTLED).store(0, SeqCst);
    }

    /// A count to hand to [`wait_published`](Watermark::wait_published), read before looking at anything else.
    pub(crate) fn publications(&self) -> u32 {
        self.word(PUBLISHED).load(SeqCst) as u32
    }

    /// Wait until something is published, or for a moment.
    pub(crate) fn wait_published(&self, seen: u32, timeout: Duration) {
        // Killed in between, a waiter stays counted: that costs the others a call, no more.
        self.word(LISTENERS).fetch_add(1, SeqCst);
        self.page.wait(PUBLISHED, seen, timeout);
        self.word(LISTENERS).fetch_sub(1, SeqCst);
    }

    fn wake_waiters(&self) {
        self.word(PUBLISHED).fetch_add(1, SeqCst);
        if self.word(LISTENERS).load(SeqCst) != 0 {
            self.page.wake(PUBLISHED, i32::MAX as u32);
        }
    }

    /// The segment, and every older one, must never be synced or appended to again.
    pub(crate) fn poison(&self, segment: u64) {
        self.word(POISON).fetch_max(segment, SeqCst);
        self.wake_waiters();
    }

    pub(crate) fn is_poisoned(&self, segment: u64) -> bool {
        self.word(POISON).load(SeqCst) >= segment
    }

    /// Mark that a sync of `segment` begins. The mark outlives a syncer that is killed: whether its sync failed, nobody knows.
    /// `false`: a newer segment is marked, so this one must not be synced any more.
    #[must_use]
    pub(crate) fn mark(&self, segment: u64) -> bool {
        let word = self.word(MARK);
        let mut known = word.load(SeqCst);
        while known < segment {
            match word.compare_exchange(known, segment, SeqCst, SeqCst) {
                Ok(_) => return true,
                Err(now) => known = now,
            }
        }
        false
    }

    /// The sync has returned. A mark that a newer segment's syncer set meanwhile stays.
    pub(crate) fn clear_mark(&self, segment: u64) {
        let _ = self.word(MARK).compare_exchange(segment, 0, SeqCst, SeqCst);
    }

    /// Whether a sync of `segment` is under way, or was when its process was killed.
    pub(crate) fn is_marked(&self, segment: u64) -> bool {
        self.word(MARK).load(SeqCst) == segment
    }

    /// Whether the journal's own name is known to be durable.
    pub(crate) fn is_named(&self) -> bool {
        self.word(NAMED).load(SeqCst) != 0
    }

    /// Tell that the journal's own name is durable.
    pub(crate) fn set_named(&self) {
        self.word(NAMED).store(1, SeqCst);
    }

    /// Tell who holds a lock now.
    pub(crate) fn enter(&self, role: Role, pid: u32, now: Duration) {
        let base = role.base();
        for (at, word) in self.command.iter().enumerate() {
            self.word(base + 2 + at).store(*word, SeqCst);
        }
        self.word(base + 1).store(now.as_micros() as u64, SeqCst);
        self.word(base).store(pid.into(), SeqCst);
    }

    /// Tell that nobody holds a lock, before it is given back: afterwards the words are the next holder's.
    pub(crate) fn leave(&self, role: Role) {
        self.word(role.base()).store(0, SeqCst);
    }

    /// Wake one who waits for a lock, once it is free.
    pub(crate) fn released(&self) {
        self.word(RELEASED).fetch_add(1, SeqCst);
        if self.word(WAITERS).load(SeqCst) != 0 {
            self.page.wake(RELEASED, 1);
        }
    }

    /// A count to hand to [`wait_released`](Watermark::wait_released), read before trying the lock.
    pub(crate) fn releases(&self) -> u32 {
        self.word(RELEASED).load(SeqCst) as u32
    }

    /// Wait until a lock is given back, or for a moment.
    pub(crate) fn wait_released(&self, seen: u32, timeout: Duration) {
        self.word(WAITERS).fetch_add(1, SeqCst);
        self.page.wait(RELEASED, seen, timeout);
        self.word(WAITERS).fetch_sub(1, SeqCst);
    }

    /// Who holds a lock, as far as the page tells.
    pub(crate) fn holder(&self, role: Role, now: Duration) -> Option<Holder> {
        let base = role.base();
        let pid = u32::try_from(self.word(base).load(SeqCst)).ok().filter(|pid| *pid != 0)?;
        let since = now.saturating_sub(Duration::from_micros(self.word(base + 1).load(SeqCst)));
        Some(Holder { pid, command: text_of((2..HOLDER_WORDS).map(|at| self.word(base + at).load(SeqCst))), since })
    }
}

/// What the watermark of a journal says, read and not mapped: for those who only look.
pub(crate) fn peek(storage: &dyn Storage, dir: &Path, boot: &[u8; 16]) -> Result<Peek, Error> {
    let path = dir.join(NAME);
    let file = match storage.open(&path, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Peek::Void),
        Err(error) => return Err(Error::io("open", &path)(error)),
    };
    let bytes = crate::storage::read_range(&*file, 0, PAGE_LEN).map_err(Error::io("read", &path))?;
    let word = |at: usize| bytes.get(at * 8..at * 8 + 8).map_or(0, |bytes| crate::frame::u64_at(bytes, 0));
    if word(MAGIC) != LAYOUT {
        return Ok(Peek::Void);
    }
    let sixteen = |at: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&word(at).to_le_bytes());
        id[8..].copy_from_slice(&word(at + 1).to_le_bytes());
        id
    };
    if sixteen(BOOT) != *boot {
        return Ok(Peek::OtherBoot);
    }
    let pid = u32::try_from(word(APPENDER)).ok().filter(|pid| *pid != 0).filter(|pid| storage.alive(*pid));
    let holder = pid.map(|pid| Holder {
        pid,
        command: text_of((2..HOLDER_WORDS).map(|at| word(APPENDER + at))),
        since: storage.uptime().saturating_sub(Duration::from_micros(word(APPENDER + 1))),
    });
    let end = End { tail: Reached::from_word(word(TAIL)), is_settled: word(UNSETTLED) == 0 };
    Ok(Peek::ThisBoot { store: sixteen(STORE), durable: Reached::from_word(word(DURABLE)), end, holder })
}

/// What [`peek`] saw.
#[derive(Debug, Clone)]
pub(crate) enum Peek {
    ThisBoot { store: [u8; 16], durable: Reached, end: End, holder: Option<Holder> },
    OtherBoot,
    Void,
}

/// Where the log ends as the watermark of this boot has it, read and not mapped.
pub(crate) fn peek_end(storage: &dyn Storage, dir: &Path, boot: &[u8; 16]) -> Option<End> {
    match peek(storage, dir, boot) {
        Ok(Peek::ThisBoot { end, .. }) => Some(end),
        Ok(Peek::OtherBoot | Peek::Void) | Err(_) => None,
    }
}

/// Where the log ends, and whether it [holds just that](Watermark::settle): other after every append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    tail: Reached,
    is_settled: bool,
}

impl End {
    /// Where the log ends, if a later look found the same: see [`Watermark::settled_tail`].
    pub(crate) fn confirmed(self, later: End) -> Option<Reached> {
        (self == later && self.is_settled).then_some(self.tail)
    }
}

fn text_of(words: impl Iterator<Item = u64>) -> String {
    let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::os::Os;

    #[test]
    fn a_late_sync_of_a_segment_that_was_left_vouches_for_nothing_in_the_next() {
        let dir = tempfile::tempdir().unwrap();
        Watermark::create(&Os, &dir.path().join(NAME)).unwrap();
        let page = Watermark::open(&Os, dir.path(), "").unwrap();
        page.begin(&[1; 16], &[2; 16], Reached::new(1, 3));
        page.publish(1, 5);
        page.publish(1, 4);
        assert_eq!(page.durable(), Reached::new(1, 5), "a sync that began earlier ended later");
        page.name_segment(2, 6);
        page.publish(1, 9);
        assert_eq!(page.durable(), Reached::new(2, 6));
    }
}
