//! The keys of objects and paths. Those that many have in common lie in memory once: that is less memory, and whoever goes
//! from object to object finds the keys near at hand.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use foldhash::quality::RandomState;

/// How many keys a thread remembers. (Few in unit tests, so that they take each other's places.)
const PLACES: usize = if cfg!(test) { 8 } else { 1024 };
/// The longest key remembered, in bytes: longer ones rarely come again.
const LONGEST: usize = 64;

thread_local! {
    /// The key that came last for each place, which its hash gives. Empty until the first key comes.
    static RECENT: RefCell<Vec<Option<Arc<str>>>> = const { RefCell::new(Vec::new()) };
}

/// Seeded anew in every process: nobody who cannot look into it can choose keys that collide.
/// Hashes lie spread evenly, which searches for them count on.
pub(crate) fn hash(key: &str) -> u64 {
    #[cfg(test)]
    if key.starts_with('~') {
        return key.len() as u64; // Lets tests make keys that collide.
    }
    static STATE: OnceLock<RandomState> = OnceLock::new();
    STATE.get_or_init(RandomState::default).hash_one(key)
}

/// The key to keep for this one: if an equal one came lately, that one.
pub(crate) fn kept<K: AsRef<str> + Into<Arc<str>>>(key: K) -> Arc<str> {
    let text = key.as_ref();
    if text.len() > LONGEST {
        return key.into();
    }
    let place = hash(text) as usize % PLACES;
    if let Some(known) = recall(place, text) {
        return known;
    }
    let key = key.into();
    remember(place, &key);
    key
}

// A thread that is about to end has no memory any more: then neither does anything.

fn recall(place: usize, text: &str) -> Option<Arc<str>> {
    let recall = |recent: &RefCell<Vec<Option<Arc<str>>>>| {
        let recent = recent.borrow();
        recent.get(place)?.as_ref().filter(|known| ***known == *text).map(Arc::clone)
    };
    RECENT.try_with(recall).ok().flatten()
}

fn remember(place: usize, key: &Arc<str>) {
    let _ = RECENT.try_with(|recent| {
        let mut recent = recent.borrow_mut();
        recent.resize(PLACES, None);
        recent[place] = Some(Arc::clone(key));
    });
}
