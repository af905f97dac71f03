//! [`State`]: a whole config at one moment, and what can be done with it.
//!
//! Three functions serve everything: `apply(state, ops)`, `diff(a, b)` with `apply(a, diff(a, b)) == b`, and the
//! three-way merge of two states that were made from one. They do no I/O and know no clock, so they can only refuse,
//! never fail; a refusal leaves the state as it was.

mod apply;
mod carry;
mod diff;
mod lcs;
mod merge;
#[cfg(test)]
mod tests;

use std::fmt;

use apply::{Done, Replaced};

use crate::op::{Op, Refusal};
use crate::path::Path;
use crate::value::Value;

pub use merge::Conflict;

/// A whole config at one moment. Its clone is O(1), and an edit of a state costs the edit, whatever its size and
/// however many clones of it are alive.
#[derive(Clone, Default, PartialEq)]
pub struct State {
    root: Value,
}

/// What takes ops back.
#[derive(Default)]
struct Undo<'a> {
    /// Values that were replaced in place, in that order.
    replaced: Vec<(&'a Path, Value)>,
    /// The root before the first op that did anything else.
    before: Option<Value>,
}

impl Undo<'_> {
    fn restore(self, root: &mut Value) {
        if let Some(before) = self.before {
            *root = before;
        }
        for (path, old) in self.replaced.into_iter().rev() {
            *apply::at(root, path.segments()) = old;
        }
    }
}

/// What [`State::apply`] has to tell.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Applied {
    /// One for each op: the new value of an [increment](Op::Increment), nothing for the others.
    pub results: Vec<Option<Value>>,
    /// Whether any op changed anything. Setting what is already so does not.
    pub changed: bool,
}

impl State {
    /// A config with this content, which may be any value, nested no deeper than [`DEPTH_MAX`](crate::DEPTH_MAX).
    pub fn new(root: Value) -> State {
        State { root }
    }

    /// The content.
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// Whether these ops fit: what [`apply`](State::apply) would say.
    pub fn check(&self, ops: &[Op]) -> Result<(), Refusal> {
        self.clone().apply(ops).map(drop)
    }

    /// Does all of these ops, each on what the one before it left, or none of them.
    ///
    /// Setting values that are there is done in place on a state that shares nothing with another, and so is a single op.
    pub fn apply(&mut self, ops: &[Op]) -> Result<Applied, Refusal> {
        let mut applied = Applied { results: Vec::with_capacity(ops.len()), changed: false };
        let mut undo = Undo::default();
        for op in ops {
            match self.apply_one(op, ops.len() > 1, &mut undo) {
                Ok(done) => {
                    applied.results.push(done.result);
                    applied.changed |= done.changed;
                }
                Err(refusal) => {
                    undo.restore(&mut self.root);
                    return Err(refusal);
                }
            }
        }
        Ok(applied)
    }

    /// Does one op, and remembers what it takes to undo it if there are `more`: one that is refused changes nothing.
    fn apply_one<'a>(&mut self, op: &'a Op, more: bool, undo: &mut Undo<'a>) -> Result<Done, Refusal> {
        if let Some(Replaced { path, old }) = apply::replace(&mut self.root, op)? {
            let done = Done { changed: old.is_some(), result: None };
            // What is not shared with the root from before is none of its own.
            undo.replaced.extend(old.filter(|_| more && undo.before.is_none()).map(|old| (path, old)));
            return Ok(done);
        }
        if more && !matches!(op, Op::Test { .. }) {
            undo.before.get_or_insert_with(|| self.root.clone());
        }
        apply::apply(&mut self.root, op)
    }

    /// Sets a scalar at keys, as [`Op::Set`] would, if that leads through objects to a scalar or to where nothing is: then
    /// nothing else in the state is moved, removed or refused for it. Tells whether it changed anything; `None`: nothing was
    /// done, since something else is there.
    pub(crate) fn settle(&mut self, keys: &[&str], scalar: Value) -> Option<bool> {
        apply::settle(&mut self.root, keys, scalar)
    }

    /// The ops that make this state into `newer`, the order of keys included.
    ///
    /// What the two share is not looked at: the diff of two states made from one another costs their difference.
    pub fn diff(&self, newer: &State) -> Vec<Op> {
        diff::diff(&self.root, &newer.root)
    }

    /// This state with what differs between two views of it, as a type shows it: what neither shows stays.
    pub(crate) fn carry(&self, before: &Value, after: &Value) -> State {
        State { root: carry::carry(&self.root, before, after) }
    }

    /// Merges two states that were both made from `base`, path by path: where one side changed something, that is
    /// taken. Where both changed the same path and not alike, `theirs` is taken and the conflict is listed.
    ///
    /// ```
    /// use cfgwal::{State, Value};
    ///
    /// let state = |port: i32, tls: bool| State::new([("port", Value::from(port)), ("tls", tls.into())].into_iter().collect());
    /// let (merged, conflicts) = State::merge3(&state(80, false), &state(8080, false), &state(80, true));
    /// assert_eq!((merged, conflicts.len()), (state(8080, true), 0));
    /// ```
    pub fn merge3(base: &State, ours: &State, theirs: &State) -> (State, Vec<Conflict>) {
        let (root, conflicts) = merge::merge(&base.root, &ours.root, &theirs.root);
        (State { root }, conflicts)
    }
}

/// Says nothing of the content: a config holds secrets, and is long.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({})", self.root.kind())
    }
}
