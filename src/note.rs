//! What the log remembers about the config file: which texts we put there, so that a text that is not ours is known
//! for what it is, someone's edit.

use crate::op::codec;
use crate::frame::Fault;

/// The identity of a text: SipHash-2-4 with 128 bits, keyed with the store's id. No signature, but no two texts that
/// editors and programs write by chance share it.
pub(crate) type TextHash = [u8; 16];

/// Hash a text for one store.
pub(crate) fn hash_text(store: &[u8; 16], text: &[u8]) -> TextHash {
    siphasher::sip128::SipHasher24::new_with_key(store).hash(text).as_bytes()
}

/// A frame that is not an edit. Variants are only ever appended: their numbers are on disk.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
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
    /// The exchange is durable: the file shows this text.
    Shown {
        /// The text.
        text: TextHash,
        /// The revision that it stands for.
        revision: u64,
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
