//! Recovery's judgement of bytes that a test puts into a segment, without a disk.

use std::io;
use std::path::Path;

use super::{Evidence, Look, Standing, gather, plan};
use crate::frame::{self, Fields, FrameKind, Seed};
use crate::state::State;
use crate::storage::faulty::Seat;

/// A journal in memory whose last segment can hold other bytes.
#[derive(Clone)]
pub struct Trial {
    evidence: Evidence,
}

/// What recovery would make of it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The newest frame, notes counted.
    pub sequence: u64,
    /// The newest edit.
    pub revision: u64,
    /// The config at that revision.
    pub state: State,
    /// Where a torn tail begins.
    pub torn: Option<u64>,
    /// Whether acknowledged records are missing.
    pub is_damaged: bool,
}

impl Trial {
    /// Read a journal; judged as it would be after a reboot.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(seat: &Seat, journal: impl AsRef<Path>) -> io::Result<Trial> {
        let gathered = gather(&*seat.0, journal.as_ref(), || Standing::OtherBoot, false, &|| ());
        Ok(Trial { evidence: gathered.map_err(io::Error::other)? })
    }

    /// Read a journal; judged as it would be while the system runs on, whose processes know what is durable.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_this_boot(seat: &Seat, journal: impl AsRef<Path>) -> io::Result<Trial> {
        let (evidence, _) = crate::view::look(&*seat.0, journal.as_ref(), false, &|| ()).map_err(io::Error::other)?;
        Ok(Trial { evidence })
    }

    /// The bytes of the last segment, to look at and to change.
    pub fn segment(&mut self) -> &mut Vec<u8> {
        let last = self.evidence.segments.last_mut();
        &mut last.expect("a journal has a segment").bytes
    }

    /// The bytes of a frame of this segment, behind its last one, whose checksums are right whatever it says.
    pub fn forge(&self, sequence: u64, durable: u64, revision: u64, kind: u8, payload: &[u8]) -> Vec<u8> {
        let header = self.evidence.segments.last().and_then(|found| found.header.ok());
        let seed = Seed::new(&header.expect("a journal whose segment is sound").salt);
        let previous = plan(&self.evidence, Look::Alone).map_or(0, |plan| plan.version.cursor.check);
        let kind = if kind == 1 { FrameKind::Edit } else { FrameKind::Note };
        let mut bytes = Vec::new();
        let fields = Fields { previous, sequence, durable, revision, kind };
        frame::encode(&mut bytes, &seed, &fields, payload);
        bytes
    }

    /// What recovery would make of it.
    ///
    /// # Errors
    /// Recovery would refuse to look.
    pub fn judge(&self) -> io::Result<Judged> {
        let plan = plan(&self.evidence, Look::Alone).map_err(io::Error::other)?;
        Ok(Judged {
            sequence: plan.version.sequence(),
            revision: plan.version.revision(),
            state: plan.version.state,
            torn: plan.torn.map(|torn| torn.offset),
            is_damaged: plan.damage.is_some(),
        })
    }
}
