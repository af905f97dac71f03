//! What has been promised of the edits of a log, and whether what somebody sees keeps the promises.
//!
//! Each edit sets a key of its own, and new keys go last: the config tells which edits it has, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use cfgwal::{Op, Transaction};

/// Keys that more than one edit sets.
const SHARED: u64 = 3;

/// How an edit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One key, and nothing but that.
    Plain,
    /// Several keys, all or none.
    Several,
    /// Several keys, and a text of some length.
    Long(usize),
}

#[derive(Debug, Clone)]
struct Edit {
    kind: Kind,
    begun: u64,
    /// When its maker was told what became of it, or died.
    ended: u64,
    /// Its maker was told that it never will be there, or a crash has shown that.
    is_never: bool,
}

/// All edits, and which of them are known to be durable.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    clock: u64,
    /// The edit with number n is the n-th.
    edits: Vec<Edit>,
    /// By revision.
    known: BTreeMap<u64, u64>,
    /// Somebody was told that so many revisions are durable.
    vouched: u64,
    /// The newest revision that the config file was seen to show since the machine was started.
    shown: u64,
}

impl Ledger {
    /// A revision that no one who looks from now on may be behind.
    pub(crate) fn floor(&self) -> u64 {
        self.vouched
    }

    pub(crate) fn edits(&self) -> u64 {
        self.edits.len() as u64
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A new edit is about to be made.
    pub(crate) fn begin(&mut self, kind: Kind) -> u64 {
        let begun = self.tick();
        self.edits.push(Edit { kind, begun, ended: u64::MAX, is_never: false });
        self.edits()
    }

    /// What the edit with this number does.
    pub(crate) fn edit(&self, number: u64) -> Transaction {
        let key = format!("e{number}");
        let several =
            || Transaction::new().set(key.as_str(), number).increment("n", 1).set(shared(number).as_str(), number);
        match self.edits[number as usize - 1].kind {
            Kind::Plain => Op::set(key.as_str(), number).into(),
            Kind::Several => several(),
            Kind::Long(bytes) => several().set("long", "x".repeat(bytes)),
        }
    }

    fn end(&mut self, number: u64) {
        let now = self.tick();
        let edit = &mut self.edits[number as usize - 1];
        edit.ended = edit.ended.min(now);
    }

    /// Its maker was told that it is this revision.
    pub(crate) fn acknowledged(&mut self, number: u64, revision: u64) {
        self.end(number);
        let known = *self.known.entry(revision).or_insert(number);
        assert_eq!(known, number, "revision {revision} was given to two edits");
        let same: Vec<_> = self.known.iter().filter(|(_, known)| **known == number).collect();
        assert_eq!(same.len(), 1, "edit {number} has several revisions: {same:?}");
        assert!(!self.edits[number as usize - 1].is_never, "edit {number} is there after all");
        self.vouched = self.vouched.max(revision);
    }

    /// Its maker does not know what became of it, and will not ask again.
    pub(crate) fn given_up(&mut self, number: u64) {
        self.end(number);
    }

    /// Its maker was told that it is not there.
    pub(crate) fn refused(&mut self, number: u64) {
        self.end(number);
        assert!(!self.is_known(number), "edit {number} is there, its maker was told otherwise");
        self.edits[number as usize - 1].is_never = true;
    }

    /// Somebody was told something that holds from this revision on.
    pub(crate) fn vouched(&mut self, revision: u64) {
        self.vouched = self.vouched.max(revision);
    }

    /// Somebody who began to look when `floor` was known to be durable sees this text of this revision.
    pub(crate) fn seen(&mut self, floor: u64, revision: u64, text: &str) {
        let order = self.judge(revision, text);
        assert!(revision >= floor, "revision {revision} is seen, {floor} is durable: {order:?}");
        self.vouched(revision);
        for (revision, number) in (1..).zip(&order) {
            self.known.insert(revision, *number);
        }
    }

    /// The revision that the config file shows at least.
    pub(crate) fn shown(&self) -> u64 {
        self.shown
    }

    /// Somebody who began to look when it showed `floor` sees this text in the config file.
    pub(crate) fn file_shows(&mut self, floor: u64, text: &str) {
        let shown = list_in(text).len() as u64;
        self.seen(0, shown, text);
        assert!(shown >= floor, "the file went back from {floor} to {shown}");
        self.shown = self.shown.max(shown);
    }

    /// Whether somebody knows that it is there.
    pub(crate) fn is_known(&self, number: u64) -> bool {
        self.known.values().any(|known| *known == number)
    }

    /// Whether this text may be the config at this revision; its edits in order.
    pub(crate) fn judge(&self, revision: u64, text: &str) -> Vec<u64> {
        let order = list_in(text);
        assert_eq!(order.len() as u64, revision, "revision {revision} has {order:?}");
        let distinct: BTreeSet<_> = order.iter().collect();
        assert_eq!(distinct.len(), order.len(), "an edit is there twice: {order:?}");
        let mut latest = 0;
        for (revision, number) in (1..).zip(&order) {
            let edit =
                self.edits.get(*number as usize - 1).unwrap_or_else(|| panic!("nobody has made {number}: {order:?}"));
            assert!(!edit.is_never, "edit {number} was called off, and is there: {order:?}");
            let known = self.known.get(&revision);
            assert!(known.is_none_or(|known| known == number), "revision {revision} was {known:?} once: {order:?}");
            assert!(edit.ended >= latest, "edit {number} comes after one that was begun later: {order:?}");
            latest = latest.max(edit.begun);
        }
        self.compare(&order, text);
        order
    }

    /// Each edit is there whole.
    fn compare(&self, order: &[u64], text: &str) {
        let found: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"));
        let mut wanted = serde_json::Map::new();
        let mut count = 0;
        for number in order {
            let kind = self.edits[*number as usize - 1].kind;
            wanted.insert(format!("e{number}"), (*number).into());
            if kind != Kind::Plain {
                count += 1;
                wanted.insert("n".into(), count.into());
                wanted.insert(shared(*number), (*number).into());
            }
            if let Kind::Long(bytes) = kind {
                wanted.insert("long".into(), "x".repeat(bytes).into());
            }
        }
        assert!(found == serde_json::Value::Object(wanted), "the edits {order:?} do not make {text}");
    }

    /// Nobody who has made an edit lives, and the machine was started anew: what is not there now never will be.
    pub(crate) fn restarted(&mut self, text: &str) {
        let order = list_in(text);
        for number in 1..=self.edits() {
            self.end(number);
            self.edits[number as usize - 1].is_never |= !order.contains(&number);
        }
        self.shown = 0;
    }
}

fn shared(number: u64) -> String {
    format!("s{}", number % SHARED)
}

/// The edits that a text has, in their order.
pub(crate) fn list_in(text: &str) -> Vec<u64> {
    let digits = |at: usize| text[at..].split('"').next().and_then(|digits| digits.parse().ok());
    text.match_indices("\"e").filter_map(|(at, mark)| digits(at + mark.len())).collect()
}
