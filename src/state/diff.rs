//! The ops that lead from one value to another.

use std::sync::Arc;

use super::lcs::{Hunk, hunks};
use crate::limits::DEPTH_MAX;
use crate::op::Op;
use crate::path::Path;
use crate::value::{List, Map, Value};

pub(super) fn diff(old: &Value, new: &Value) -> Vec<Op> {
    let mut diff = Diff { path: Path::root(), ops: Vec::new() };
    diff.values(old, new);
    diff.ops
}

struct Diff {
    /// Where the comparison is.
    path: Path,
    ops: Vec<Op>,
}

impl Diff {
    fn values(&mut self, old: &Value, new: &Value) {
        match (old, new) {
            _ if old.same(new) => {}
            // Recursion ends where the limit on depth does.
            (Value::Object(old), Value::Object(new)) if self.path.len() < DEPTH_MAX => self.maps(old, new),
            (Value::Array(old), Value::Array(new)) if self.path.len() < DEPTH_MAX => self.lists(old, new),
            _ if old == new => {}
            _ => self.ops.push(Op::Set { path: self.path.clone(), value: new.clone() }),
        }
    }

    fn maps(&mut self, old: &Map, new: &Map) {
        let changes = old.changes(new, Value::same);
        for change in &changes {
            match (change.old, change.new) {
                (Some(_), None) => self.ops.push(Op::Remove { path: self.path.join(change.key.clone()) }),
                (Some(old), Some(new)) if !change.moved => {
                    self.path.push(change.key.clone());
                    self.values(old, new);
                    self.path.pop();
                }
                _ => {}
            }
        }

        // What is left has to come to its place in the order, and `changes` has it in the order of `new`. New keys
        // at the very end are just set, one after the other: that is where new keys go.
        let follower = |key: &str| new.after(key).map(|(key, _)| key);
        let placed: Vec<(&Arc<str>, &Value, bool)> = changes
            .iter()
            .filter(|change| change.moved || change.old.is_none())
            .filter_map(|change| Some((change.key, change.new?, change.old.is_none())))
            .collect();
        let mut end = None; // The first of those at the very end.
        let appended = placed.iter().rev().take_while(|(key, _, is_new)| {
            let appended = *is_new && follower(key) == end;
            if appended {
                end = Some(&**key);
            }
            appended
        });
        let (placed, appended) = placed.split_at(placed.len() - appended.count());

        // From the last to the first, so that what a key has to come before is where it belongs already.
        for &(key, value, _) in placed.iter().rev() {
            let before = follower(key).filter(|next| Some(*next) != end).map(str::to_owned);
            self.ops.push(Op::Place { path: self.path.join(key.clone()), value: value.clone(), before });
        }
        for &(key, value, _) in appended {
            self.ops.push(Op::Set { path: self.path.join(key.clone()), value: value.clone() });
        }
    }

    fn lists(&mut self, old: &List, new: &List) {
        // From the last to the first, so that the indexes still to come are those of `old`.
        for Hunk { old: from, new: to } in hunks(old, new, PartialEq::eq).into_iter().rev() {
            let paired = from.len().min(to.len());
            let mut at = 0;
            loop {
                at += old.common(from.start + at, new, to.start + at, Value::same);
                if at >= paired {
                    break;
                }
                if let (Some(old), Some(new)) = (old.get(from.start + at), new.get(to.start + at)) {
                    self.path.push(from.start + at);
                    self.values(old, new);
                    self.path.pop();
                }
                at += 1;
            }
            for index in (from.start + paired..from.end).rev() {
                self.ops.push(Op::Remove { path: self.path.join(index) });
            }
            for (index, value) in (from.end..).zip((to.start + paired..to.end).filter_map(|at| new.get(at))) {
                self.ops.push(Op::Insert { path: self.path.join(index), value: value.clone() });
            }
        }
    }
}
