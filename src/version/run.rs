//! [`Run`]: a replay in which only the last of many values set at one place gets into the state.
//!
//! Most records set a scalar where a scalar is. That moves nothing, removes nothing, and no record of this sort can be
//! refused for another's sake, so of several at one place only the newest matters, and the state need not show it before
//! anybody looks or a record of another sort comes. What is kept of a place is where its path and its newest value lie in
//! the log, which the replay has in memory.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Version;
use crate::frame::{Fault, Frame, FrameKind};
use crate::op::codec::PlainSet;
use crate::segment::Cursor;

/// How many places are kept at most, and bytes of their paths: not 20 MB in all. Beyond that, what is set elsewhere goes
/// into the state at once.
const PLACES_MAX: usize = if cfg!(test) { 4 } else { 1 << 18 };
const PATHS_MAX: usize = 8 << 20;

/// Records of which a version does not show everything yet.
#[derive(Default)]
pub(crate) struct Run<'a> {
    /// Each of these leads through objects to a scalar.
    places: Vec<Place<'a>>,
    /// Which place has a path.
    found: HashTable<u32>,
    hasher: RandomState,
    /// The paths one after the other: packed, since replay waits for memory more than for anything else.
    paths: Vec<u8>,
    /// Of the newest record.
    origin: &'a [u8],
}

struct Place<'a> {
    /// Of its path.
    hash: u64,
    /// Where its path ends in `paths`.
    end: u32,
    len: u16,
    /// The newest value, if the state lacks it.
    value: Option<&'a [u8]>,
}

impl Place<'_> {
    fn path<'p>(&self, paths: &'p [u8]) -> &'p [u8] {
        let end = self.end as usize;
        &paths[end - usize::from(self.len)..end]
    }
}

impl<'a> Run<'a> {
    /// Go on by one frame, as [`Version::advance`] does and with the same outcome, but that the version's state is to be
    /// looked at only after the [`end`](Run::end).
    pub(crate) fn advance(&mut self, version: &mut Version, frame: &Frame<'a>, behind: Cursor) -> Result<(), Fault> {
        if frame.fields.kind == FrameKind::Edit {
            let set = PlainSet::read(frame.payload, self.origin);
            if let Some(set) = set
                && self.take(version, &set)
            {
                self.origin = set.origin;
                version.cursor = behind;
                return Ok(());
            }
            self.end(version);
        }
        version.advance(frame, behind)
    }

    /// Whether this record needs nothing more.
    fn take(&mut self, version: &mut Version, set: &PlainSet<'a>) -> bool {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(set.path);
        let hash = hasher.finish();
        let found = self.found.find(hash, |at| self.places[*at as usize].path(&self.paths) == set.path);
        if let Some(at) = found {
            self.places[*at as usize].value = Some(set.value);
            return true;
        }
        let settled = version.settle(set).is_some();
        if settled && self.places.len() < PLACES_MAX && self.paths.len() < PATHS_MAX {
            self.paths.extend_from_slice(set.path);
            self.found.insert_unique(hash, self.places.len() as u32, |at| self.places[*at as usize].hash);
            self.places.push(Place { hash, end: self.paths.len() as u32, len: set.path.len() as u16, value: None });
        }
        settled
    }

    /// See to it that the version's state shows everything.
    pub(crate) fn end(&mut self, version: &mut Version) {
        for place in self.places.drain(..) {
            if let Some(value) = place.value {
                let done = version.settle(&PlainSet { origin: &[], path: place.path(&self.paths), value });
                debug_assert!(done.is_some(), "a scalar was there");
            }
        }
        self.found.clear();
        self.paths.clear();
    }
}

#[cfg(test)]
mod tests;
