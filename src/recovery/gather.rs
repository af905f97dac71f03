//! Reading a journal: every snapshot and segment that a plan looks at, as they were at one moment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Evidence, SegmentFound, Standing};
use crate::error::Error;
use crate::segment::{self, BLOCK, Header, HeaderFault};
use crate::snapshot;
use crate::storage::{self, File, Open, Storage};
use crate::watermark::{self, Reached};

/// How often a listing is begun again because a compaction removed or replaced a file meanwhile.
const GATHER_TRIES: usize = 20;

/// Read a journal. Beside running writers this never waits; files that a compaction retires meanwhile are looked for again.
/// `opened` is called once every file is open and its end noted: what is appended afterwards is not read.
pub(crate) fn gather(
    storage: &dyn Storage,
    dir: &Path,
    standing: impl Fn() -> Standing,
    every_byte: bool,
    opened: &dyn Fn(),
) -> Result<Evidence, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match gather_once(storage, dir, standing(), every_byte, opened) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound && tries < GATHER_TRIES => {
                if let Err(error) = storage.stat(dir) {
                    return Err(Error::io("open", dir)(error));
                }
            }
            Ok(evidence) if tries < GATHER_TRIES && is_overtaken(storage, &evidence)? => {}
            result => return result,
        }
    }
}

/// Whether a snapshot names a segment that was made after the listing: a compaction that found notes and no edits puts its
/// snapshot in the place of one that was listed.
fn is_overtaken(storage: &dyn Storage, evidence: &Evidence) -> Result<bool, Error> {
    let newest = evidence.snapshots.iter().find_map(|(_, snapshot, _)| snapshot.as_ref().ok());
    let last = evidence.segments.last().map_or(0, |found| found.number);
    if newest.is_none_or(|newest| newest.header.next_segment <= last) {
        return Ok(false);
    }
    let names = storage.list(&evidence.dir).map_err(Error::io("list", &evidence.dir))?;
    Ok(names.iter().filter_map(|name| segment::number_in(name.to_str()?)).any(|number| number > last))
}

fn gather_once(
    storage: &dyn Storage,
    dir: &Path,
    standing: Standing,
    every_byte: bool,
    opened: &dyn Fn(),
) -> Result<Evidence, Error> {
    let mut snapshots = BTreeMap::new();
    let mut segments = BTreeMap::new();
    let mut leftovers = Vec::new();
    for name in storage.list(dir).map_err(Error::io("list", dir))? {
        let Some(name) = name.to_str() else { continue };
        if let Some(revision) = snapshot::revision_in(name) {
            snapshots.insert(revision, Opened::open(storage, dir, name)?);
        } else if let Some(number) = segment::number_in(name) {
            segments.insert(number, Opened::open(storage, dir, name)?);
        } else if is_leftover(name) {
            leftovers.push(name.to_owned());
        }
    }
    opened();
    leftovers.sort_unstable();
    let mut found = Vec::new();
    let mut covered = 0;
    for (revision, file) in snapshots.into_iter().rev() {
        let snapshot = snapshot::decode_named(revision, &file.read(u64::MAX)?);
        let enough = snapshot.is_ok();
        if let Ok(snapshot) = &snapshot {
            covered = covered.max(snapshot.header.next_segment);
        }
        found.push((revision, snapshot, file.len));
        if enough && !every_byte {
            break;
        }
    }
    let read = |(number, file): (u64, Opened)| {
        let bytes = file.read(if number >= covered || every_byte { u64::MAX } else { BLOCK })?;
        let header =
            Header::decode(&bytes).and_then(|h| if h.number == number { Ok(h) } else { Err(HeaderFault::Damaged) });
        Ok(SegmentFound { number, header, bytes, len: file.len })
    };
    let segments = segments.into_iter().map(read).collect::<Result<_, Error>>()?;
    let newest = found.iter().find_map(|(_, snapshot, _)| Some(snapshot.as_ref().ok()?.header));
    let standing = match (standing, newest) {
        // Written since the watermark was looked at, of what was durable by then.
        (Standing::ThisBoot(reached), Some(newest)) if newest.sequence > reached.sequence => {
            Standing::ThisBoot(Reached::new(newest.next_segment, newest.sequence))
        }
        (standing, _) => standing,
    };
    Ok(Evidence { dir: dir.to_owned(), standing, end: None, snapshots: found, segments, leftovers })
}

/// A file that is open, and how long it was then.
struct Opened {
    path: PathBuf,
    file: Box<dyn File>,
    len: u64,
}

impl Opened {
    fn open(storage: &dyn Storage, dir: &Path, name: &str) -> Result<Opened, Error> {
        let path = dir.join(name);
        let file = storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
        let len = file.stat().map_err(Error::io("look at", &path))?.len;
        Ok(Opened { path, file, len })
    }

    /// Its first bytes, as many as asked for and no more than there were.
    fn read(&self, most: u64) -> Result<Vec<u8>, Error> {
        let too_large = |_| Error::io("read", &self.path)(std::io::ErrorKind::FileTooLarge.into());
        let len = usize::try_from(self.len.min(most)).map_err(too_large)?;
        storage::read_range(&*self.file, 0, len).map_err(Error::io("read", &self.path))
    }
}

/// Whether a name is one that `segment` or `snapshot` gives to an unfinished file, and no other.
pub(super) fn is_leftover(name: &str) -> bool {
    storage::meant_for(name).is_some_and(|made| {
        made == watermark::NAME || segment::number_in(made).is_some() || snapshot::revision_in(made).is_some()
    })
}
