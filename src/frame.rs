//! Record framing: turns a payload into bytes that prove they were written whole, and back.
//!
//! ```text
//! 0            4            8            12           16           24           32                  40     40 + length
//! | header crc | payload crc| previous   | length     | sequence   | durable    | revision + kind   | payload | zeros |
//! ```
//!
//! Integers are little-endian; a frame begins on an 8-byte boundary and is padded to the next with zeros.
//!
//! The header checksum covers every other byte of the header, the payload's checksum among them, and is verified
//! before any field is believed: a torn length cannot ask for memory. Both checksums are seeded with the
//! segment's secret salt, so recycled blocks, or a value that holds the image of a log, cannot pass for records.
//! `previous` is the header checksum of the frame before: frames form a chain.
//!
//! Knows bytes only: what a payload means is `op`'s and `note`'s business, where a frame lies is `segment`'s.

use crate::limits::{COUNT_MAX, RECORD_MAX};
use crate::planted::{Bug, planted};

/// Bytes before the payload.
pub(crate) const HEADER_LEN: usize = 40;
/// Frames begin at multiples of this.
pub(crate) const ALIGN: u64 = 8;

/// The checksum state after the salt of one segment.
#[derive(Clone)]
pub(crate) struct Seed(crc32fast::Hasher);

impl Seed {
    pub(crate) fn new(salt: &[u8; 16]) -> Seed {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(if planted(Bug::SaltIgnored) { &[0; 16] } else { salt });
        Seed(hasher)
    }

    fn checksum(&self, bytes: &[u8]) -> u32 {
        let mut hasher = self.0.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// What a payload is. The numbers are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum FrameKind {
    /// A transaction; counted by the revision.
    Edit = 1,
    /// What the engine remembers about the config file; counts as a frame, not as a revision.
    Note = 2,
}

/// The fields of a frame that its writer chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Header checksum of the frame before.
    pub previous: u32,
    pub sequence: u64,
    /// The newest sequence that the writer knew to be durable.
    pub durable: u64,
    /// Edits up to here, this frame included.
    pub revision: u64,
    pub kind: FrameKind,
}

impl Fields {
    /// Whether a writer of ours can have chosen them: what goes on from others would not be read back.
    pub(crate) fn are_possible(&self) -> bool {
        self.sequence.max(self.durable).max(self.revision) <= COUNT_MAX
    }
}

/// A frame whose every byte checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub fields: Fields,
    /// Its own header checksum: `previous` of the next one.
    pub check: u32,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes in the file, padding included.
    pub(crate) fn stored_len(&self) -> u64 {
        stored_len(self.payload.len())
    }
}

/// Why bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file ends inside the frame.
    #[error("the file ends inside the record")]
    Short,
    /// Nothing but zeros where a header should be.
    #[error("zeros where a record should be")]
    Zeros,
    /// The header's checksum is wrong.
    #[error("the checksum of the record's header is wrong")]
    Header,
    /// The header is intact, its length is not one that is ever written.
    #[error("the record's length {0} is impossible")]
    Length(u32),
    /// The header is intact, its kind is not one of this format's.
    #[error("the record's kind {0} is unknown")]
    Kind(u8),
    /// The payload's checksum is wrong.
    #[error("the checksum of the record's content is wrong")]
    Payload,
    /// A whole frame, but not the one that follows the frame before it.
    #[error("the record does not follow the one before it")]
    Chain,
    /// A whole frame whose content this version cannot read.
    #[error("the record's content cannot be read")]
    Content,
}

/// Bytes that a payload of this length takes in the file.
pub(crate) fn stored_len(payload: usize) -> u64 {
    ((HEADER_LEN + payload) as u64).next_multiple_of(ALIGN)
}

/// Append a frame to `out`, which must begin where a frame may begin; returns its header checksum.
///
/// The caller keeps payloads between 1 byte and [`RECORD_MAX`].
pub(crate) fn encode(out: &mut Vec<u8>, seed: &Seed, fields: &Fields, payload: &[u8]) -> u32 {
    let length = u32::try_from(payload.len()).expect("payloads are bounded when they are encoded");
    debug_assert!(length != 0 && payload.len() <= RECORD_MAX && fields.revision >> 56 == 0);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&seed.checksum(payload).to_le_bytes());
    out.extend_from_slice(&fields.previous.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&fields.sequence.to_le_bytes());
    out.extend_from_slice(&fields.durable.to_le_bytes());
    out.extend_from_slice(&(fields.revision | u64::from(fields.kind as u8) << 56).to_le_bytes());
    let check = seed.checksum(&out[start + 4..start + HEADER_LEN]);
    out[start..start + 4].copy_from_slice(&check.to_le_bytes());
    out.extend_from_slice(payload);
    out.resize(start + stored_len(payload.len()) as usize, 0);
    check
}

/// The length of the payload that the header at the start of `bytes` announces, once the header checks.
pub(crate) fn payload_len(bytes: &[u8], seed: &Seed) -> Result<usize, Fault> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(Fault::Short)?;
    if header == &[0; HEADER_LEN] {
        return Err(Fault::Zeros);
    }
    if seed.checksum(&header[4..]) != u32_at(header, 0) && !planted(Bug::HeaderUnchecked) {
        return Err(Fault::Header);
    }
    let length = u32_at(header, 12);
    match usize::try_from(length) {
        Ok(len) if planted(Bug::ReadLimitTighter) && len > 2000 => Err(Fault::Length(length)),
        Ok(len @ 1..=RECORD_MAX) => Ok(len),
        _ => Err(Fault::Length(length)),
    }
}

/// The frame at the start of `bytes`.
pub(crate) fn decode<'a>(bytes: &'a [u8], seed: &Seed) -> Result<Frame<'a>, Fault> {
    decode_announced(bytes, payload_len(bytes, seed)?, seed)
}

/// The same, where [`payload_len`] said before that the header checks and how long the payload is.
pub(crate) fn decode_announced<'a>(bytes: &'a [u8], len: usize, seed: &Seed) -> Result<Frame<'a>, Fault> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Fault::Short)?;
    let payload = rest.get(..len).ok_or(Fault::Short)?;
    if seed.checksum(payload) != u32_at(header, 4) && !planted(Bug::PayloadUnchecked) {
        return Err(Fault::Payload);
    }
    let last = u64_at(header, 32);
    let kind = match (last >> 56) as u8 {
        1 => FrameKind::Edit,
        2 => FrameKind::Note,
        other => return Err(Fault::Kind(other)),
    };
    let fields = Fields {
        previous: u32_at(header, 8),
        sequence: u64_at(header, 16),
        durable: u64_at(header, 24),
        revision: last & (u64::MAX >> 8),
        kind,
    };
    Ok(Frame { fields, check: u32_at(header, 0), payload })
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Fields = Fields { previous: 7, sequence: 3, durable: 2, revision: 2, kind: FrameKind::Edit };

    fn one(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, &Seed::new(&[9; 16]), &FIELDS, payload);
        bytes
    }

    #[test]
    fn a_frame_is_read_back_as_it_was_written() {
        let bytes = one(b"hello");
        assert_eq!(bytes.len() as u64, stored_len(5));
        let frame = decode(&bytes, &Seed::new(&[9; 16])).unwrap();
        assert_eq!((frame.fields, frame.payload), (FIELDS, &b"hello"[..]));
        assert_eq!(frame.check, u32_at(&bytes, 0));
    }

    #[test]
    fn every_flipped_bit_but_in_the_padding_is_noticed() {
        let bytes = one(b"payload of some bytes");
        for bit in 0..(HEADER_LEN + 21) * 8 {
            let mut torn = bytes.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&torn, &Seed::new(&[9; 16])).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_noticed() {
        let bytes = one(b"payload");
        for len in 0..HEADER_LEN + 7 {
            assert!(decode(&bytes[..len], &Seed::new(&[9; 16])).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn another_salt_makes_it_no_frame() {
        assert_eq!(decode(&one(b"x"), &Seed::new(&[8; 16])), Err(Fault::Header));
    }

    #[test]
    fn zeros_are_no_frame_under_any_salt() {
        assert_eq!(decode(&[0; 64], &Seed::new(&[0; 16])), Err(Fault::Zeros));
        assert_eq!(decode(&[0; 64], &Seed::new(&[1; 16])), Err(Fault::Zeros));
    }
}
