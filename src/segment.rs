//! One log file: a header in a block of its own, frames, then zeros written ahead.
//!
//! An append overwrites zeros that are already on disk, so its sync has no metadata to write. A segment is
//! made under a temporary name and appears whole, by a rename; from then on bytes are only ever added to it.
//!
//! Owns the header's bytes and where frames lie. Does not know what payloads mean, nor whether a frame that
//! does not check is a torn tail or damage: it reports what it met, `recovery` decides.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use crate::error::Error;
use crate::frame::{self, Fault, Frame, FrameKind, Seed, u32_at, u64_at};
use crate::limits::COUNT_MAX;
use crate::planted::{Bug, planted};
use crate::reserve;
use crate::storage::{self, File, Open, Rename, Stat, Storage};

/// The version of the bytes on disk that this code writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
/// The header's block; frames begin after it.
pub(crate) const BLOCK: u64 = 4096;
const MAGIC: [u8; 8] = *b"CFGWALSG";
pub(crate) const HEADER_LEN: usize = 108;
/// The header stands twice in its block, so that one bad sector does not take the salt with it.
const COPIES: [usize; 2] = [0, 2048];
const NAME: &str = "wal-";

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub store: [u8; 16],
    /// Counts segments of this store.
    pub number: u64,
    /// The sequence of its first frame.
    pub first: u64,
    /// The revision before its first frame.
    pub revision_before: u64,
    /// The header checksum of the frame before its first.
    pub check_before: u32,
    pub salt: [u8; 16],
    /// Microseconds since the Unix epoch.
    pub created: u64,
}

/// Why the first block of a file is not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Neither copy checks.
    Damaged,
    /// Written by a newer version: its number, or a feature that must be understood.
    Newer { version: u32, features: u64 },
}

impl Header {
    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(HEADER_LEN as u32).to_le_bytes());
        // 16..24 incompatible features, 24..32 features that older versions may read past: none so far.
        bytes[32..48].copy_from_slice(&self.store);
        bytes[48..56].copy_from_slice(&self.number.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.first.to_le_bytes());
        bytes[64..72].copy_from_slice(&self.revision_before.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.check_before.to_le_bytes());
        bytes[80..96].copy_from_slice(&self.salt);
        bytes[96..104].copy_from_slice(&self.created.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..104]);
        bytes[104..108].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The block that begins a segment.
    pub(crate) fn block(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK as usize];
        for at in COPIES {
            block[at..at + HEADER_LEN].copy_from_slice(&self.encode());
        }
        block
    }

    /// The header in the first block of a file.
    pub(crate) fn decode(block: &[u8]) -> Result<Header, HeaderFault> {
        let mut fault = HeaderFault::Damaged;
        for at in COPIES {
            match block.get(at..at + HEADER_LEN).map_or(Err(HeaderFault::Damaged), Header::decode_copy) {
                Ok(header) => return Ok(header),
                Err(newer @ HeaderFault::Newer { .. }) => fault = newer,
                Err(HeaderFault::Damaged) => {}
            }
        }
        Err(fault)
    }

    fn decode_copy(bytes: &[u8]) -> Result<Header, HeaderFault> {
        if bytes[0..8] != MAGIC || crc32fast::hash(&bytes[..104]) != u32_at(bytes, 104) {
            return Err(HeaderFault::Damaged);
        }
        let (version, features, soft) = (u32_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24));
        // Features that could be read past are treated as the others until one exists.
        if (version != FORMAT_VERSION || features | soft != 0) && !planted(Bug::FeaturesIgnored) {
            return Err(HeaderFault::Newer { version, features: features | soft });
        }
        let (number, first, revision) = (u64_at(bytes, 48), u64_at(bytes, 56), u64_at(bytes, 64));
        if number == 0 || first == 0 || number.max(first).max(revision) > COUNT_MAX {
            return Err(HeaderFault::Damaged);
        }
        let sixteen = |at: usize| bytes[at..at + 16].try_into().expect("a slice of sixteen bytes");
        Ok(Header {
            store: sixteen(32),
            number: u64_at(bytes, 48),
            first: u64_at(bytes, 56),
            revision_before: u64_at(bytes, 64),
            check_before: u32_at(bytes, 72),
            salt: sixteen(80),
            created: u64_at(bytes, 96),
        })
    }

    /// Whether it goes on where the log of a store stands.
    pub(crate) fn goes_on(&self, store: &[u8; 16], here: &Cursor) -> bool {
        let start = self.start();
        let follows = (start.sequence, start.revision, start.check) == (here.sequence, here.revision, here.check);
        follows && (self.store == *store || planted(Bug::StoreIgnored))
    }

    /// Where its first frame goes.
    pub(crate) fn start(&self) -> Cursor {
        Cursor { offset: BLOCK, sequence: self.first - 1, revision: self.revision_before, check: self.check_before }
    }
}

/// A place between two frames of one segment: everything before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub offset: u64,
    /// Of the frame before, like the fields below.
    pub sequence: u64,
    pub revision: u64,
    pub check: u32,
}

impl Cursor {
    /// The place behind a frame, if that is the frame that follows here.
    pub(crate) fn after(&self, frame: &Frame<'_>) -> Result<Cursor, Fault> {
        let fields = &frame.fields;
        let revision = self.revision + u64::from(fields.kind == FrameKind::Edit);
        let previous = if planted(Bug::ChainIgnored) { fields.previous } else { self.check };
        if (fields.previous, fields.sequence, fields.revision) != (previous, self.sequence + 1, revision) {
            return Err(Fault::Chain);
        }
        let offset = self.offset + frame.stored_len();
        Ok(Cursor { offset, sequence: fields.sequence, revision, check: frame.check })
    }
}

/// An open segment.
pub(crate) struct Segment {
    pub header: Header,
    pub seed: Seed,
    pub file: Box<dyn File>,
    pub path: PathBuf,
    pub stat: Stat,
    /// How long it was when it was last looked at; it only grows.
    pub room: AtomicU64,
}

/// The name of a segment's file.
pub(crate) fn name(number: u64) -> String {
    format!("{NAME}{number:016x}")
}

/// The number in the name of a segment's file.
pub(crate) fn number_in(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(NAME)?;
    let number = storage::is_hex(digits, 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    number.filter(|number| (1..=COUNT_MAX).contains(number))
}

/// What ended a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The sequence asked for was reached.
    Reached,
    /// What lies at the cursor is not the next frame.
    Fault(Fault),
}

impl Segment {
    /// Open a segment; the inner result tells what its first block is.
    pub(crate) fn open(
        storage: &dyn Storage,
        dir: &Path,
        number: u64,
        how: Open,
    ) -> Result<Result<Segment, HeaderFault>, Error> {
        let path = dir.join(name(number));
        let file = storage.open(&path, how).map_err(Error::io("open", &path))?;
        let stat = file.stat().map_err(Error::io("look at", &path))?;
        let block = storage::read_range(&*file, 0, BLOCK as usize).map_err(Error::io("read", &path))?;
        Ok(match Header::decode(&block) {
            Ok(header) if header.number == number => {
                Ok(Segment { seed: Seed::new(&header.salt), header, file, path, stat, room: AtomicU64::new(0) })
            }
            Ok(_) => Err(HeaderFault::Damaged),
            Err(fault) => Err(fault),
        })
    }

    /// Write a segment under a temporary name: `frames` after the header, then `zeros` bytes ahead, all synced.
    /// It exists for nobody until it is [published](Draft::publish).
    pub(crate) fn draft<'a>(
        storage: &'a dyn Storage,
        dir: &Path,
        number: u64,
        frames_len: u64,
        zeros: u64,
    ) -> Result<Draft<'a>, Error> {
        reserve::or_with_reserve(storage, dir, || {
            let path = storage::temporary(storage, dir, name(number));
            let path = path.map_err(Error::io("get random bytes for", dir))?;
            let file = storage.open(&path, Open::Create(0o600)).map_err(Error::io("create", &path))?;
            let draft = Draft { storage, file: Some(file), path };
            storage::write_zeros(draft.file(), 0, BLOCK + frames_len + zeros)
                .and_then(|()| draft.file().sync())
                .map_err(Error::io("write", &draft.path))?;
            Ok(draft)
        })
    }

    /// Read the frames from `cursor` on, up to sequence `until`, and hand each to `visit` with the cursor behind it.
    /// `cursor` ends behind the last frame that was visited.
    pub(crate) fn scan(
        &self,
        cursor: &mut Cursor,
        until: u64,
        mut visit: impl FnMut(&Frame<'_>, Cursor) -> Result<(), Error>,
    ) -> Result<Stop, Error> {
        let mut window =
            Window { file: &*self.file, path: &self.path, bytes: Vec::new(), start: cursor.offset, step: 4096 };
        loop {
            if cursor.sequence >= until {
                return Ok(Stop::Reached);
            }
            let header = window.at(cursor.offset, frame::HEADER_LEN)?;
            if header.len() < frame::HEADER_LEN && header.iter().all(|byte| *byte == 0) {
                // The end of the zeros written ahead, or of the file.
                return Ok(Stop::Fault(Fault::Zeros));
            }
            let len = match frame::payload_len(header, &self.seed) {
                Ok(len) => len,
                Err(fault) => return Ok(Stop::Fault(fault)),
            };
            let bytes = window.at(cursor.offset, frame::HEADER_LEN + len)?;
            let next =
                frame::decode_announced(bytes, len, &self.seed).and_then(|frame| Ok((frame, cursor.after(&frame)?)));
            match next {
                Ok((frame, behind)) => {
                    visit(&frame, behind)?;
                    *cursor = behind;
                }
                Err(fault) => return Ok(Stop::Fault(fault)),
            }
        }
    }
}

/// A sliding part of a file: reads that grow from a page to what makes a long scan cheap.
struct Window<'a> {
    file: &'a dyn File,
    path: &'a Path,
    bytes: Vec<u8>,
    start: u64,
    step: usize,
}

impl Window<'_> {
    const STEP_MAX: usize = 1 << 20;

    /// `len` bytes at `offset`, fewer at the end of the file. Offsets never go back.
    fn at(&mut self, offset: u64, len: usize) -> Result<&[u8], Error> {
        let have = usize::try_from(offset - self.start).expect("a window begins at most one step before the offset");
        if self.bytes.len() < have + len {
            self.bytes.drain(..have.min(self.bytes.len()));
            self.start = offset;
            let end = self.bytes.len();
            let want = len.max(self.step);
            self.step = (self.step * 4).min(Self::STEP_MAX);
            self.bytes.resize(want.max(end), 0);
            let got = storage::read_full(self.file, &mut self.bytes[end..], offset + end as u64)
                .map_err(Error::io("read", self.path))?;
            self.bytes.truncate(end + got);
        }
        let have = (offset - self.start) as usize;
        let end = self.bytes.len().min(have + len);
        Ok(&self.bytes[have..end])
    }
}

/// A segment that is being made. Dropped before it is published, it goes.
pub(crate) struct Draft<'a> {
    storage: &'a dyn Storage,
    /// `None`: published.
    file: Option<Box<dyn File>>,
    path: PathBuf,
}

impl Draft<'_> {
    fn file(&self) -> &dyn File {
        &**self.file.as_ref().expect("a draft has its file until it is published")
    }

    /// Fill in header and frames, sync, give it its name and make the name durable.
    pub(crate) fn publish(mut self, dir: &Path, header: Header, frames: &[u8]) -> Result<Segment, Error> {
        let target = dir.join(name(header.number));
        if planted(Bug::SegmentNamedEarly) {
            self.storage.rename(&self.path, &target, Rename::Keep).map_err(Error::io("name", &target))?;
            storage::sync_dir(self.storage, dir).map_err(Error::io("sync", dir))?;
            self.storage.rename(&target, &self.path, Rename::Keep).map_err(Error::io("name", &target))?;
        }
        storage::write_full(self.file(), &header.block(), 0)
            .and_then(|()| storage::write_full(self.file(), frames, BLOCK))
            .and_then(|()| self.file().sync())
            .map_err(Error::io("write", &self.path))?;
        self.storage.rename(&self.path, &target, Rename::Keep).map_err(Error::io("name", &target))?;
        let file = self.file.take().expect("a draft is published once");
        storage::sync_dir(self.storage, dir).map_err(Error::io("sync", dir))?;
        let stat = file.stat().map_err(Error::io("look at", &target))?;
        let room = AtomicU64::new(0);
        Ok(Segment { seed: Seed::new(&header.salt), header, file, path: target, stat, room })
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // Failing costs a leftover that the next recovery sweeps.
        if self.file.is_some()
            && let Err(error) = self.storage.remove(&self.path)
        {
            tracing::debug!(path = %self.path.display(), %error, "an unfinished segment stays behind");
        }
    }
}
