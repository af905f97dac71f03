//! A whole state at one revision: where recovery starts.
//!
//! Header and body are checked separately: a snapshot whose body is damaged still tells which revisions had been
//! durable. A snapshot replaces nothing: it is written under a temporary name, synced, renamed, and the directory
//! is synced; the older one stays until a third comes.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::frame::{u32_at, u64_at};
use crate::limits::{COUNT_MAX, PIECE};
use crate::note::TextHash;
use crate::op::codec::{self, Input, Output, Wire};
use crate::planted::{Bug, planted};
use crate::reserve;
use crate::segment::{BLOCK, Cursor, FORMAT_VERSION};
use crate::state::State;
use crate::storage::{self, File, Open, Outgoing, Rename, Storage};
use crate::value::{OrderedMap, Value};
use crate::version::{How, KnownText, Remembered, Showing, StandsFor, Version};

const MAGIC: [u8; 8] = *b"CFGWALSN";
const NAME: &str = "snapshot-";
/// Header bytes; the body follows.
pub(crate) const HEADER_LEN: usize = 112;
/// So many are kept, with the segments since the older one.
pub(crate) const KEPT: usize = 2;

/// What a snapshot says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub store: [u8; 16],
    pub revision: u64,
    /// The last frame that it covers.
    pub sequence: u64,
    /// That frame's header checksum.
    pub check: u32,
    /// The segment that goes on after it.
    pub next_segment: u64,
    /// Microseconds since the Unix epoch.
    pub created: u64,
    pub body_len: u64,
    pub body_crc: u32,
}

/// Why a file is not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SnapshotFault {
    /// Neither header nor body can be believed.
    Header,
    /// The header is intact, the body is not.
    Body(Header),
    /// Written by a newer version.
    Newer { version: u32, features: u64 },
}

/// The body. Fields are never changed within a format version. Behind them is what the config file showed when the
/// snapshot was written, a text as long as all else, or that it is not known.
struct Body {
    state: Value,
    texts: Vec<BodyText>,
    keys: Vec<BodyKey>,
    showing: Option<BodyShowing>,
}
codec::fields!(Body { state, texts, keys, showing });

struct BodyText {
    hash: TextHash,
    revision: u64,
    /// `None`: the snapshot's own state.
    state: Option<Value>,
}
codec::fields!(BodyText { hash, revision, state });

struct BodyKey {
    key: String,
    revision: u64,
    results: Vec<Option<Value>>,
}
codec::fields!(BodyKey { key, revision, results });

struct BodyShowing {
    name: String,
    how: How,
}
codec::fields!(BodyShowing { name, how });

impl Wire for How {
    fn put(&self, to: &mut Output<'_>) {
        let number: u8 = match self {
            How::Exchange => 0,
            How::Create => 1,
            How::Rewrite => 2,
        };
        number.put(to);
    }

    fn take(from: &mut Input<'_>) -> Result<Self, bincode::error::DecodeError> {
        match u8::take(from)? {
            0 => Ok(How::Exchange),
            1 => Ok(How::Create),
            2 => Ok(How::Rewrite),
            _ => Err(bincode::error::DecodeError::Other("an unknown way to show a text")),
        }
    }
}

/// A snapshot in memory.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub header: Header,
    pub version: Version,
}

/// The name of a snapshot's file.
pub(crate) fn name(revision: u64) -> String {
    format!("{NAME}{revision:016x}")
}

/// The revision in the name of a snapshot's file.
pub(crate) fn revision_in(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(NAME)?;
    storage::is_hex(digits, 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

impl Header {
    fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(HEADER_LEN as u32).to_le_bytes());
        // 16..24 incompatible features, 24..32 features that older versions may read past: none so far.
        bytes[32..48].copy_from_slice(&self.store);
        bytes[48..56].copy_from_slice(&self.revision.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[64..68].copy_from_slice(&self.check.to_le_bytes());
        bytes[72..80].copy_from_slice(&self.next_segment.to_le_bytes());
        bytes[80..88].copy_from_slice(&self.created.to_le_bytes());
        bytes[88..96].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[96..100].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..108]);
        bytes[108..112].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the start of a snapshot's file.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Header, SnapshotFault> {
        let bytes = bytes.first_chunk::<HEADER_LEN>().ok_or(SnapshotFault::Header)?;
        if bytes[0..8] != MAGIC || crc32fast::hash(&bytes[..108]) != u32_at(bytes, 108) {
            return Err(SnapshotFault::Header);
        }
        let (version, features, soft) = (u32_at(bytes, 8), u64_at(bytes, 16), u64_at(bytes, 24));
        if version != FORMAT_VERSION || features | soft != 0 {
            return Err(SnapshotFault::Newer { version, features: features | soft });
        }
        let (revision, sequence, next) = (u64_at(bytes, 48), u64_at(bytes, 56), u64_at(bytes, 72));
        if next == 0 || revision.max(sequence).max(next) > COUNT_MAX {
            return Err(SnapshotFault::Header);
        }
        Ok(Header {
            store: bytes[32..48].try_into().expect("a slice of sixteen bytes"),
            revision: u64_at(bytes, 48),
            sequence: u64_at(bytes, 56),
            check: u32_at(bytes, 64),
            next_segment: u64_at(bytes, 72),
            created: u64_at(bytes, 80),
            body_len: u64_at(bytes, 88),
            body_crc: u32_at(bytes, 96),
        })
    }
}

/// What a snapshot is to hold.
pub(crate) struct Draft {
    /// Its body is not known yet.
    header: Header,
    body: Body,
    /// What the config file shows, if that is known.
    shown: Option<String>,
}

impl Draft {
    /// A snapshot of `version`, after which segment `next_segment` goes on. `state_of` gives the state that a text of the
    /// config file stands for.
    pub(crate) fn of(
        store: [u8; 16],
        version: &Version,
        next_segment: u64,
        created: u64,
        shown: Option<String>,
        state_of: &mut dyn FnMut(&KnownText) -> Result<State, Error>,
    ) -> Result<Draft, Error> {
        let mut texts = Vec::new();
        for text in version.texts.iter() {
            let state = state_of(text)?;
            let own = state.root() == version.state.root();
            texts.push(BodyText {
                hash: text.hash,
                revision: text.stands_for.revision(),
                state: (!own).then(|| state.root().clone()),
            });
        }
        let keys = version
            .keys
            .iter()
            .filter(|_| !planted(Bug::KeysNotInSnapshot))
            .map(|(key, used)| BodyKey { key: key.to_owned(), revision: used.revision, results: used.results.to_vec() })
            .collect();
        let body = Body {
            state: version.state.root().clone(),
            texts,
            keys,
            showing: version
                .showing
                .as_ref()
                .map(|showing| BodyShowing { name: showing.name.to_string(), how: showing.how }),
        };
        let header = Header {
            store,
            revision: version.revision(),
            sequence: version.sequence(),
            check: version.cursor.check,
            next_segment,
            created,
            body_len: 0,
            body_crc: 0,
        };
        Ok(Draft { header, body, shown })
    }

    /// Hand its bytes to `write` piece by piece, each with its place in the file; the header, which knows of them all,
    /// comes last. Gives the length of the whole.
    pub(crate) fn emit(&self, write: &mut dyn FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<u64> {
        let mut out = vec![0; HEADER_LEN];
        let (mut at, mut crc, mut written) = (0, crc32fast::Hasher::new(), Ok(()));
        let mut drain = |out: &mut Vec<u8>| {
            let rest = out.split_off(out.len() - out.len() % PIECE);
            crc.update(if at == 0 { &out[HEADER_LEN..] } else { out });
            if written.is_ok() {
                written = write(out, at);
            }
            at += out.len() as u64;
            *out = rest;
        };
        codec::encode_through(&self.body, &mut out, PIECE, &mut drain);
        codec::encode_text(self.shown.as_deref(), &mut out, PIECE, &mut drain);
        written?;
        crc.update(if at == 0 { &out[HEADER_LEN..] } else { &out });
        let len = at + out.len() as u64;
        let header = Header { body_len: len - HEADER_LEN as u64, body_crc: crc.finalize(), ..self.header }.encode();
        if at == 0 {
            out[..HEADER_LEN].copy_from_slice(&header);
            write(&out, 0)?;
        } else {
            write(&out, at)?;
            write(&header, 0)?;
        }
        Ok(len)
    }
}

/// Whether every byte of a snapshot's file checks; its header then.
pub(crate) fn check(bytes: &[u8]) -> Result<Header, SnapshotFault> {
    let header = Header::decode(bytes)?;
    let body = &bytes[HEADER_LEN..];
    let checks = body.len() as u64 == header.body_len && crc32fast::hash(body) == header.body_crc;
    if !checks && !planted(Bug::SnapshotUnchecked) {
        return Err(SnapshotFault::Body(header));
    }
    Ok(header)
}

/// The same of a file, of which no more than a piece is in memory at once; its length too.
pub(crate) fn check_file(file: &dyn File) -> io::Result<Option<(Header, u64)>> {
    let mut piece = vec![0; PIECE];
    let mut read = storage::read_full(file, &mut piece, 0)?;
    let Ok(header) = Header::decode(&piece[..read]) else { return Ok(None) };
    let mut crc = crc32fast::Hasher::new();
    crc.update(&piece[HEADER_LEN..read]);
    let mut at = read as u64;
    while read == piece.len() {
        read = storage::read_full(file, &mut piece, at)?;
        crc.update(&piece[..read]);
        at += read as u64;
    }
    let checks = at - HEADER_LEN as u64 == header.body_len && crc.finalize() == header.body_crc;
    Ok((checks || planted(Bug::SnapshotUnchecked)).then_some((header, at)))
}

/// The snapshot in the bytes of the file that is named after this revision.
pub(crate) fn decode_named(revision: u64, bytes: &[u8]) -> Result<Snapshot, SnapshotFault> {
    let snapshot = decode(bytes)?;
    // A copy of an older one, say, which would count as the newest.
    if snapshot.header.revision == revision { Ok(snapshot) } else { Err(SnapshotFault::Header) }
}

/// The snapshot in a file's bytes.
pub(crate) fn decode(bytes: &[u8]) -> Result<Snapshot, SnapshotFault> {
    let (header, body, _) = read(bytes)?;
    let state = State::new(body.state);
    let texts = body.texts.into_iter().map(|text| KnownText {
        hash: text.hash,
        stands_for: StandsFor::Snapshot(text.revision, text.state.map_or_else(|| state.clone(), State::new)),
    });
    let keys: OrderedMap<Remembered> = body
        .keys
        .into_iter()
        .map(|used| (used.key, Remembered { revision: used.revision, results: used.results.into() }))
        .collect();
    let version = Version {
        segment: header.next_segment,
        cursor: Cursor { offset: BLOCK, sequence: header.sequence, revision: header.revision, check: header.check },
        texts: texts.collect(),
        state,
        keys,
        showing: body.showing.map(|showing| Showing { name: showing.name.into(), how: showing.how }),
    };
    Ok(Snapshot { header, version })
}

/// The text that the config file showed when a snapshot was written, if its file's bytes hold one.
pub(crate) fn shown(bytes: &[u8]) -> Result<Option<&str>, SnapshotFault> {
    read(bytes).map(|(_, _, shown)| shown)
}

fn read(bytes: &[u8]) -> Result<(Header, Body, Option<&str>), SnapshotFault> {
    let header = check(bytes)?;
    let unreadable = |_| SnapshotFault::Body(header);
    let mut rest = &bytes[HEADER_LEN..];
    let body = codec::decode_next(&mut rest).map_err(unreadable)?;
    let shown = codec::decode_text(rest).map_err(unreadable)?;
    Ok((header, body, shown))
}

/// Write a snapshot under its name, durably. Gives its path and its length. `has_company`: see [`Outgoing`].
pub(crate) fn write(
    storage: &dyn Storage,
    dir: &Path,
    draft: &Draft,
    has_company: &mut dyn FnMut() -> bool,
) -> Result<(PathBuf, u64), Error> {
    reserve::or_with_reserve(storage, dir, || try_to_write(storage, dir, draft, has_company))
}

fn try_to_write(
    storage: &dyn Storage,
    dir: &Path,
    draft: &Draft,
    has_company: &mut dyn FnMut() -> bool,
) -> Result<(PathBuf, u64), Error> {
    let name = name(draft.header.revision);
    let target = dir.join(&name);
    let path = storage::temporary(storage, dir, &name).map_err(Error::io("get random bytes for", dir))?;
    let file = storage.open(&path, Open::Create(0o600)).map_err(Error::io("create", &path))?;
    if planted(Bug::SnapshotNamedEarly) {
        storage.rename(&path, &target, Rename::Replace).map_err(Error::io("name", &target))?;
        storage::sync_dir(storage, dir).map_err(Error::io("sync", dir))?;
        storage.rename(&target, &path, Rename::Replace).map_err(Error::io("name", &path))?;
    }
    let mut outgoing = Outgoing::new(&*file, has_company);
    let written = draft
        .emit(&mut |bytes, at| outgoing.add(bytes, at))
        .and_then(|len| file.sync().map(|()| len))
        .map_err(Error::io("write", &path))
        .and_then(|len| {
            storage.rename(&path, &target, Rename::Replace).map_err(Error::io("name", &target)).map(|()| len)
        });
    if written.is_err()
        && let Err(error) = storage.remove(&path)
    {
        tracing::debug!(path = %path.display(), %error, "an unfinished snapshot stays behind");
    }
    let len = written?;
    storage::sync_dir(storage, dir).map_err(Error::io("sync", dir))?;
    Ok((target, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::os::Os;

    /// A snapshot that holds a string and a text of these lengths.
    fn draft(value: usize, shown: usize) -> Draft {
        let mut version = crate::recovery::empty_version();
        version.state = State::new([("key", "v".repeat(value))].into_iter().collect());
        Draft::of([7; 16], &version, 1, 0, Some("t".repeat(shown)), &mut |_| unreachable!("no text is known")).unwrap()
    }

    #[test]
    fn a_snapshot_of_any_length_goes_out_in_pieces_and_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        // Around each place where a piece may end: in the header's, in the state, in the text, at the very end.
        for whole in [PIECE, 2 * PIECE] {
            for (value, shown) in
                (whole - 200..whole + 8).flat_map(|len| [(len, 0), (0, len), (len / 2, len - len / 2)])
            {
                let draft = draft(value, shown);
                let mut bytes = Vec::new();
                let len = draft.emit(&mut |piece, at| {
                    bytes.resize(bytes.len().max(at as usize + piece.len()), 0);
                    bytes[at as usize..][..piece.len()].copy_from_slice(piece);
                    assert!(piece.len() <= PIECE);
                    Ok(())
                });
                assert_eq!(len.unwrap(), bytes.len() as u64);
                let read = decode(&bytes).unwrap();
                assert!(read.version.state.root() == &draft.body.state, "{value} {shown}");
                assert!(super::shown(&bytes) == Ok(draft.shown.as_deref()), "{value} {shown}");
            }
        }
        for company in [false, true] {
            let draft = draft(5 * PIECE, 70 * PIECE);
            let (path, len) = write(&Os, dir.path(), &draft, &mut || company).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            let file = Os.open(&path, Open::Read).unwrap();
            assert_eq!(check_file(&*file).unwrap(), Some((check(&bytes).unwrap(), len)));
            assert!(shown(&bytes) == Ok(draft.shown.as_deref()));
            // One wrong byte in the last piece.
            std::os::unix::fs::FileExt::write_all_at(
                &std::fs::File::options().write(true).open(&path).unwrap(),
                b"x",
                len - 1,
            )
            .unwrap();
            assert_eq!(check_file(&*file).unwrap(), None);
        }
    }
}
