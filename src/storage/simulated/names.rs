//! Names in directories: what is seen, what is on the disk, and the operations between the two.
//!
//! An operation sets one or two names, all of them or none. A crash keeps any subset of the pending ones, applied in
//! their order; but what moves an inode (rename, exchange) can only be kept where the inode is found under
//! the name that it is moved from.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;

pub(super) type Name = Arc<OsStr>;
pub(super) type Entries = BTreeMap<Name, u64>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A new inode, file or directory or symlink.
    Create,
    /// A name for a nameless inode, or one more name.
    Link,
    Rename,
    Exchange,
    Remove,
}

/// One name and what it means from now on.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub dir: u64,
    pub name: Name,
    /// The inode that the operation takes from here; `None` where it does not matter what was here.
    pub moved: Option<u64>,
    pub to: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct NameOp {
    pub what: What,
    pub sets: Vec<Set>,
    /// A sync failed on it: it is seen, and no later sync makes it durable.
    pub lost: bool,
}

impl NameOp {
    fn touches(&self, dir: u64) -> bool {
        self.sets.iter().any(|set| set.dir == dir)
    }

    fn shares_a_name(&self, other: &NameOp) -> bool {
        self.sets.iter().any(|one| other.sets.iter().any(|two| one.dir == two.dir && one.name == two.name))
    }

    /// Whether a crash can keep it, given what else it keeps.
    pub(super) fn fits(&self, get: impl Fn(u64, &OsStr) -> Option<u64>) -> bool {
        self.sets.iter().all(|set| set.moved.is_none() || get(set.dir, &set.name) == set.moved)
    }
}

impl std::fmt::Display for NameOp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.what)?;
        for set in &self.sets {
            match set.to {
                Some(ino) => write!(out, " {}={ino}", set.name.display())?,
                None => write!(out, " -{}", set.name.display())?,
            }
        }
        if self.lost { out.write_str(" (lost)") } else { Ok(()) }
    }
}

/// Take out of `ops` what a sync of this directory makes durable, in order.
///
/// That is whatever touches the directory, with everything before it that the same names depend on. What
/// follows a lost operation on the same name is lost with it.
pub(super) fn committed_by(ops: &mut Vec<NameOp>, dir: u64) -> Vec<NameOp> {
    for at in 0..ops.len() {
        let (before, rest) = ops.split_at_mut(at);
        if before.iter().any(|op| op.lost && op.shares_a_name(&rest[0])) {
            rest[0].lost = true;
        }
    }
    let mut taken: Vec<bool> = ops.iter().map(|op| !op.lost && op.touches(dir)).collect();
    for at in (0..ops.len()).rev() {
        if taken[at] {
            for earlier in 0..at {
                taken[earlier] |= ops[earlier].shares_a_name(&ops[at]);
            }
        }
    }
    let mut at = 0;
    ops.extract_if(.., |_| {
        at += 1;
        taken[at - 1]
    })
    .collect()
}
