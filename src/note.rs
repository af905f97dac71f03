//! What the log remembers about the config file: which texts we put there, so that a text that is not ours is known
//! for what it is, someone's edit.

use std::hash::Hasher;
use std::thread;

use siphasher::sip128::{Hasher128, SipHasher24};

use crate::frame::Fault;
use crate::limits;
use crate::op::codec::{self, Input, Output, Wire};

/// The identity of a text: SipHash-2-4 with 128 bits, keyed with the store's id. No signature, but no two texts that
/// editors and programs write by chance share it.
pub(crate) type TextHash = [u8; 16];

/// A text of at least so many bytes is worth a thread to hash it.
const LARGE: usize = 256 * 1024;

/// Hash a text for one store.
pub(crate) fn hash_text(store: &[u8; 16], text: &[u8]) -> TextHash {
    hash_pieces(store, limits::pieces(text))
}

/// The same of a text that is told piece by piece.
pub(crate) fn hash_pieces(store: &[u8; 16], pieces: impl Iterator<Item: AsRef<[u8]>>) -> TextHash {
    let mut hasher = SipHasher24::new_with_key(store);
    pieces.for_each(|piece| hasher.write(piece.as_ref()));
    hasher.finish128().as_bytes()
}

/// Hash a text of so many bytes while something else is done with it, if it is large.
pub(crate) fn hash_beside<T>(
    len: usize,
    hash: impl Fn() -> TextHash + Copy + Send,
    work: impl FnOnce() -> T,
) -> (TextHash, T) {
    if len < LARGE {
        return (hash(), work());
    }
    thread::scope(|scope| {
        let hashing = thread::Builder::new().spawn_scoped(scope, hash);
        let done = work();
        // Where no thread is to be had, this one does it.
        (hashing.ok().and_then(|thread| thread.join().ok()).unwrap_or_else(hash), done)
    })
}

/// As a hash is written in the name of a file.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The content of a frame that is not an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// The config file is about to be exchanged: until [`Note::Shown`] it shows one of two texts.
    Showing {
        /// The text that is there now; `None`: there is no file yet.
        old: Option<TextHash>,
        /// The text that comes.
        new: TextHash,
        /// The revision that the new text stands for.
        revision: u64,
        /// The file beside the config file that holds the new text, and the old one after the exchange.
        name: String,
    },
    /// The config file is about to be written over: until [`Note::Shown`] it may show any mixture of two texts, which
    /// both lie in the journal.
    Rewriting {
        /// The text that is there now.
        old: TextHash,
        /// The text that comes.
        new: TextHash,
        /// The revision that the new text stands for.
        revision: u64,
        /// The name of the two texts in the journal.
        name: String,
    },
    /// The exchange is durable: the file shows this text.
    Shown {
        /// The text.
        text: TextHash,
        /// The revision that it stands for.
        revision: u64,
    },
    /// Someone saved another text for the same values: comments, spacing.
    Respelled {
        /// The text that is there now.
        text: TextHash,
        /// The text that has the same values.
        like: TextHash,
    },
    /// The exchange that began is over, however it ended: the file shows this text, or showed it before somebody saved
    /// another; or it is not known which of those that it may show.
    Settled {
        /// The text.
        text: Option<TextHash>,
    },
}

impl Note {
    /// The payload of a frame.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        codec::encode(self, &mut payload);
        payload
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Note, Fault> {
        codec::decode(payload).map_err(|_| Fault::Content)
    }
}

impl Wire for Note {
    fn put(&self, to: &mut Output<'_>) {
        match self {
            Note::Showing { old, new, revision, name } => {
                SHOWING.put(to);
                old.put(to);
                new.put(to);
                revision.put(to);
                name.put(to);
            }
            Note::Rewriting { old, new, revision, name } => {
                REWRITING.put(to);
                old.put(to);
                new.put(to);
                revision.put(to);
                name.put(to);
            }
            Note::Shown { text, revision } => {
                SHOWN.put(to);
                text.put(to);
                revision.put(to);
            }
            Note::Respelled { text, like } => {
                RESPELLED.put(to);
                text.put(to);
                like.put(to);
            }
            Note::Settled { text } => {
                SETTLED.put(to);
                text.put(to);
            }
        }
    }

    fn take(from: &mut Input<'_>) -> Result<Self, bincode::error::DecodeError> {
        match u8::take(from)? {
            SHOWING => {
                let (old, new) = (Wire::take(from)?, Wire::take(from)?);
                Ok(Note::Showing { old, new, revision: Wire::take(from)?, name: Wire::take(from)? })
            }
            REWRITING => {
                let (old, new) = (Wire::take(from)?, Wire::take(from)?);
                Ok(Note::Rewriting { old, new, revision: Wire::take(from)?, name: Wire::take(from)? })
            }
            SHOWN => Ok(Note::Shown { text: Wire::take(from)?, revision: Wire::take(from)? }),
            RESPELLED => Ok(Note::Respelled { text: Wire::take(from)?, like: Wire::take(from)? }),
            SETTLED => Ok(Note::Settled { text: Wire::take(from)? }),
            _ => Err(bincode::error::DecodeError::Other("an unknown note")),
        }
    }
}

// Numbers on disk: only ever added to. None is zero, so no payload begins with what an empty place holds.
const SHOWING: u8 = 1;
const SHOWN: u8 = 2;
const SETTLED: u8 = 3;
const RESPELLED: u8 = 4;
const REWRITING: u8 = 5;
