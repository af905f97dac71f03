//! Whether a history is linearizable: a search for an order of the calls that a single process, working alone, would have
//! answered in the same way (after Wing and Gong), which remembers where it has been (after Lowe).
//!
//! Edits are numbered by the revision that they made, which leaves the search little choice. A call whose outcome nobody
//! knows may have happened at any time after its beginning, or never.

use std::collections::{BTreeMap, HashSet};

/// The keys that calls are about.
pub const KEYS: [&str; 3] = ["a", "b", "c"];

/// What a client asks for. Every edit has a number that no other edit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Do {
    Set {
        key: usize,
        number: u64,
    },
    /// Only if the key has this value; `None`: if it is absent.
    SetIf {
        key: usize,
        expected: Option<u64>,
        number: u64,
    },
    Increment {
        key: usize,
        number: u64,
    },
    /// Two keys at once.
    Both {
        keys: [usize; 2],
        number: u64,
    },
    Push {
        number: u64,
    },
    Get {
        key: usize,
    },
    GetAll,
}

/// What an increment adds: so much that no sum is ever the number of an edit, which would then change nothing.
pub fn by(number: u64) -> u64 {
    number * 1000
}

impl Do {
    /// The number of an edit.
    pub fn number(&self) -> Option<u64> {
        match self {
            Do::Set { number, .. }
            | Do::SetIf { number, .. }
            | Do::Increment { number, .. }
            | Do::Both { number, .. }
            | Do::Push { number } => Some(*number),
            Do::Get { .. } | Do::GetAll => None,
        }
    }
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Applied {
        revision: u64,
        sum: Option<u64>,
    },
    /// It did not fit the state. Nothing happened.
    Refused,
    /// It was not made, for whatever other reason.
    NotApplied,
    /// A value, of this revision where one was named.
    Read {
        revision: Option<u64>,
        value: Option<u64>,
    },
    ReadAll {
        revision: u64,
        config: Config,
    },
    /// No answer, or one that says that nobody knows.
    Unknown,
}

/// One call: when it began and ended on one clock, and what came of it.
#[derive(Debug, Clone)]
pub struct Call {
    #[expect(dead_code, reason = "shown with a history that fails")]
    pub who: usize,
    pub what: Do,
    pub begin: u64,
    /// `None`: nobody knows.
    pub end: Option<u64>,
    pub told: Told,
}

/// The config that the calls are about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Config {
    pub keys: BTreeMap<usize, u64>,
    pub list: Vec<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Model {
    revision: u64,
    config: Config,
}

impl Model {
    /// What an edit makes of it, and the sum that it answers; `None`: it is refused.
    fn edited(&self, what: &Do) -> Option<(Model, Option<u64>)> {
        let mut next = self.clone();
        next.revision += 1;
        let keys = &mut next.config.keys;
        let mut sum = None;
        match *what {
            Do::Set { key, number } => keys.extend([(key, number)]),
            Do::SetIf { key, expected, .. } if keys.get(&key).copied() != expected => return None,
            Do::SetIf { key, number, .. } => keys.extend([(key, number)]),
            Do::Increment { key, number } => {
                let value = keys.entry(key).or_default();
                *value += by(number);
                sum = Some(*value);
            }
            Do::Both { keys: both, number } => keys.extend(both.map(|key| (key, number))),
            Do::Push { number } => next.config.list.push(number),
            Do::Get { .. } | Do::GetAll => return None,
        }
        Some((next, sum))
    }

    /// The state after a call that was answered so; `None`: here it would have been answered otherwise.
    fn after(&self, call: &Call) -> Option<Model> {
        match (&call.told, &call.what) {
            (Told::Applied { revision, sum }, what) => {
                let (next, found) = self.edited(what)?;
                (next.revision == *revision && found == *sum).then_some(next)
            }
            (Told::Unknown, what) => self.edited(what).map(|(next, _)| next),
            (Told::Refused, what) => self.edited(what).is_none().then(|| self.clone()),
            (Told::Read { revision, value }, Do::Get { key }) => {
                let fits = revision.is_none_or(|revision| revision == self.revision);
                (fits && self.config.keys.get(key) == value.as_ref()).then(|| self.clone())
            }
            (Told::ReadAll { revision, config }, _) => {
                (*revision == self.revision && *config == self.config).then(|| self.clone())
            }
            (Told::NotApplied | Told::Read { .. }, _) => None,
        }
    }
}

/// What a search came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    Not,
    /// Too many calls without an outcome to try all orders.
    Undecided,
}

/// How many places a search may come to.
const PLACES_MAX: usize = 300_000;

/// Looks for an order.
pub fn check(history: &[Call]) -> Verdict {
    let can_count = |call: &&Call| match call.told {
        Told::NotApplied => false,
        // A read without an answer says nothing.
        Told::Unknown => call.what.number().is_some(),
        _ => true,
    };
    let calls: Vec<&Call> = history.iter().filter(can_count).collect();
    let mut seen = HashSet::new();
    let mut open = vec![(vec![false; calls.len()], Model::default())];
    while let Some((done, model)) = open.pop() {
        let left = || calls.iter().enumerate().filter(|(at, _)| !done[*at]);
        if left().all(|(_, call)| call.told == Told::Unknown) {
            return Verdict::Linearizable;
        }
        if seen.len() > PLACES_MAX {
            return Verdict::Undecided;
        }
        // Whatever began after another call ended comes after it.
        let first_end = left().filter_map(|(_, call)| call.end).min().unwrap_or(u64::MAX);
        for (at, call) in left().filter(|(_, call)| call.begin <= first_end) {
            let Some(next) = model.after(call) else { continue };
            let mut done = done.clone();
            done[at] = true;
            if seen.insert((done.clone(), next.clone())) {
                open.push((done, next));
            }
        }
    }
    Verdict::Not
}
