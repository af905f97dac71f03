//! What is edited: a string of 77 bytes at a dotted path of 23, the two together 100 bytes.

use std::time::SystemTime;

/// How many keys an object has: a config of 100,000 keys has 1,000 objects.
const KEYS_OF_AN_OBJECT: usize = 100;

/// One edit.
#[derive(Clone)]
pub struct Edit {
    pub path: String,
    pub value: String,
}

impl Edit {
    pub fn new(key: usize, value: u128) -> Edit {
        Edit { path: path(key), value: format!("{value:0>77}") }
    }

    pub fn bytes(&self) -> usize {
        self.path.len() + self.value.len()
    }
}

pub fn path(key: usize) -> String {
    format!("service{:04}.setting{:04}", key / KEYS_OF_AN_OBJECT, key % KEYS_OF_AN_OBJECT)
}

/// Each of so many keys, once.
pub fn all(keys: usize) -> Vec<Edit> {
    (0..keys).map(|key| Edit::new(key, key as u128)).collect()
}

/// Edits made ready, to be used over and over: the same key comes back with another value, so that each changes something.
pub struct Pool {
    edits: Vec<Edit>,
    next: usize,
}

impl Pool {
    /// Edits of so many keys; those of another writer have another number and other keys.
    pub fn new(writer: usize, keys: usize) -> Pool {
        // Nor may it be what an earlier pool left there.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let keys = (0..keys).map(|key| writer * keys + key);
        let once = keys.clone().map(|key| Edit::new(key, now));
        let again = keys.map(|key| Edit::new(key, now + 1));
        Pool { edits: once.chain(again).collect(), next: 0 }
    }

    pub fn next(&mut self) -> &Edit {
        self.next = (self.next + 1) % self.edits.len();
        &self.edits[self.next]
    }

    /// So many at once; the pool must hold a multiple of it.
    pub fn next_many(&mut self, many: usize) -> &[Edit] {
        self.next = if self.next + 2 * many > self.edits.len() { 0 } else { self.next + many };
        &self.edits[self.next..self.next + many]
    }
}

/// Numbers that look as if drawn, the same at each run.
pub fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for place in (1..count).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(place, (state % (place as u64 + 1)) as usize);
    }
    order
}
