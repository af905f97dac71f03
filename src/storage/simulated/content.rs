//! The bytes of one file: blocks that copies share until one of them is written to.
//!
//! Millions of states of a disk differ in a block or two, so a copy costs a pointer per block, and a block's hash is
//! computed once however many states hold it.

use std::sync::{Arc, OnceLock};

pub(super) const BLOCK: usize = 512;

const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Longer files are refused: a wild offset must not make this process fill its memory.
pub(super) const LEN_MAX: u64 = 1 << 30;

#[derive(Debug)]
struct Block {
    bytes: [u8; BLOCK],
    hash: OnceLock<u128>,
}

#[derive(Debug, Clone)]
enum Slot {
    /// Nothing was ever written here: reads as zeros, and writing needs room.
    Hole,
    /// Zeros that have their room.
    Zero,
    Data(Arc<Block>),
}

/// What a file holds. Bytes behind its end are not kept, so growing again shows zeros.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    slots: Vec<Slot>,
    len: u64,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Content {
        let mut content = Content::default();
        content.write(0, bytes);
        content
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// As `pread`: what there is before the end of the file.
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let there = self.len.saturating_sub(offset).min(buf.len() as u64) as usize;
        self.peek(offset, &mut buf[..there]);
        there
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len as usize];
        self.peek(0, &mut bytes);
        bytes
    }

    /// Fill `buf`, with zeros where the file has nothing.
    pub(super) fn peek(&self, offset: u64, buf: &mut [u8]) {
        for part in parts(offset, buf.len()) {
            let to = &mut buf[part.at..part.at + part.len];
            match self.slots.get(part.slot) {
                Some(Slot::Data(block)) => to.copy_from_slice(&block.bytes[part.start..part.start + part.len]),
                Some(Slot::Zero | Slot::Hole) | None => to.fill(0),
            }
        }
    }

    /// As `pwrite`: the file grows as far as it must. The caller has seen to [`LEN_MAX`].
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        debug_assert!(end <= LEN_MAX);
        if bytes.is_empty() {
            return;
        }
        let slots = (end as usize).div_ceil(BLOCK);
        if self.slots.len() < slots {
            self.slots.resize(slots, Slot::Hole);
        }
        for part in parts(offset, bytes.len()) {
            let from = &bytes[part.at..part.at + part.len];
            let slot = &mut self.slots[part.slot];
            let is_data = matches!(slot, Slot::Data(_));
            if (!is_data || part.len == BLOCK) && from == &ZEROS[..part.len] {
                *slot = Slot::Zero;
                continue;
            }
            let mut block = match slot {
                Slot::Data(block) => block.bytes,
                Slot::Zero | Slot::Hole => [0; BLOCK],
            };
            block[part.start..part.start + part.len].copy_from_slice(from);
            *slot = Slot::Data(Arc::new(Block { bytes: block, hash: OnceLock::new() }));
        }
        self.len = self.len.max(end);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let slots = (len as usize).div_ceil(BLOCK);
        self.slots.resize(slots, Slot::Hole);
        let kept = len as usize % BLOCK;
        if len < self.len
            && kept != 0
            && let Some(Slot::Data(block)) = self.slots.last_mut()
        {
            let mut bytes = block.bytes;
            bytes[kept..].fill(0);
            *block = Arc::new(Block { bytes, hash: OnceLock::new() });
        }
        self.len = len;
    }

    /// Blocks that have their room on the disk.
    pub(super) fn blocks(&self) -> u64 {
        self.slots.iter().filter(|slot| !matches!(slot, Slot::Hole)).count() as u64
    }

    /// Blocks that writing there would need in addition.
    pub(super) fn blocks_wanted(&self, offset: u64, len: usize) -> u64 {
        let new = |part: &Part| matches!(self.slots.get(part.slot), None | Some(Slot::Hole));
        parts(offset, len).filter(new).count() as u64
    }

    /// Equal for equal bytes, whatever has its room and whatever is a hole.
    pub(super) fn hash(&self) -> u128 {
        let mut sum = hash_pair(u128::from(self.len), 1);
        for (at, slot) in self.slots.iter().enumerate() {
            if let Slot::Data(block) = slot {
                let hash = *block.hash.get_or_init(|| hash_block(&block.bytes));
                // A block of zeros may be held as data: it must count as little as a hole.
                if hash != 0 {
                    sum = sum.wrapping_add(hash_pair(hash, at as u128));
                }
            }
        }
        sum
    }
}

struct Part {
    slot: usize,
    start: usize,
    len: usize,
    /// Where in the caller's bytes.
    at: usize,
}

/// The blocks that a range of a file touches.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = Part> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at == len {
            return None;
        }
        let position = offset as usize + at;
        let start = position % BLOCK;
        let part = Part { slot: position / BLOCK, start, len: (BLOCK - start).min(len - at), at };
        at += part.len;
        Some(part)
    })
}

/// 0 for zeros, hardly ever for anything else.
fn hash_block(bytes: &[u8; BLOCK]) -> u128 {
    if *bytes == ZEROS { 0 } else { hash_bytes(bytes) }
}

const K1: u64 = 0x9e37_79b9_7f4a_7c15;
const K2: u64 = 0xd6e8_feb8_6659_fd93;

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// A hash to tell states apart: fast, of 128 bits, without any claim against people who mean harm.
pub(super) fn hash_bytes(bytes: &[u8]) -> u128 {
    let (mut a, mut b) = (K1 ^ bytes.len() as u64, K2);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        a = fold(a ^ word, K2);
        b = fold(b.wrapping_add(word), K1).wrapping_add(a.rotate_left(29));
    }
    u128::from(a) << 64 | u128::from(b)
}

/// Two hashes into one, in this order.
pub(super) fn hash_pair(first: u128, second: u128) -> u128 {
    let words = [first as u64, (first >> 64) as u64, second as u64, (second >> 64) as u64];
    let (mut a, mut b) = (K2, K1);
    for word in words {
        a = fold(a ^ word, K1);
        b = fold(b.wrapping_add(word), K2).wrapping_add(a.rotate_left(31));
    }
    u128::from(a) << 64 | u128::from(b)
}

/// The n-th of a row of numbers that look random (splitmix64).
pub(super) const fn scatter(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(K1));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
