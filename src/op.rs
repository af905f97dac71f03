//! What can be done to a config: one mutation at a path, and the transaction that makes several of them one.
//!
//! An op says what is wanted and knows nothing of a config: whether it fits one is for [`State`](crate::State) to
//! judge, and how it looks on disk is for the private `codec` below. Ops are built without a `Result`: a path that
//! does not parse becomes [`Op::Invalid`], which every check refuses and nothing can encode.

use std::fmt;

use crate::path::{IntoPath, Path, PathError};
use crate::value::{Number, Value};

#[cfg(test)]
pub(crate) mod arbitrary;
pub(crate) mod codec;
mod fits;
mod refusal;

pub use refusal::Refusal;
pub(crate) use refusal::{named, shown};

/// One mutation of a config.
///
/// ```
/// use cfgwal::{Op, State, Value};
///
/// let mut state = State::new(Value::object());
/// state.apply(&[Op::set("server.port", 8080), Op::push("server.tags", "new")])?;
/// assert_eq!(state.root().to_string(), r#"{"server":{"port":8080,"tags":["new"]}}"#);
/// # Ok::<(), cfgwal::Refusal>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Write a value. Objects missing on the way are created; an index must exist, `-` appends.
    Set {
        /// Where.
        path: Path,
        /// What.
        value: Value,
    },
    /// Remove what is there. Something must be.
    Remove {
        /// Where.
        path: Path,
    },
    /// Merge an RFC 7396 patch: objects deep, `null` removes, everything else replaces.
    Merge {
        /// What is patched.
        path: Path,
        /// The patch.
        value: Value,
    },
    /// Add to a number, exactly. A missing number counts as 0.
    Increment {
        /// The number.
        path: Path,
        /// How much.
        by: Number,
    },
    /// Append to an array, which is created where there is none.
    Push {
        /// The array.
        path: Path,
        /// The new element.
        value: Value,
        /// Keep only so many elements, the newest.
        cap: Option<u64>,
        /// Do nothing if the array holds an equal element.
        unique: bool,
    },
    /// Write a value where none is: at an array index (the rest moves up) or at a key not in use.
    Insert {
        /// Where.
        path: Path,
        /// What.
        value: Value,
    },
    /// Move a value to a place not in use. A key renamed inside its object keeps its place in the order.
    Move {
        /// What is moved. It must exist.
        from: Path,
        /// Its new place, judged after `from` has gone; an index of an array inserts.
        to: Path,
    },
    /// Refuse the transaction unless this is so. The order of keys does not matter here.
    Test {
        /// Where.
        path: Path,
        /// What must be there; `None`: nothing may.
        expected: Option<Value>,
    },
    /// Write a key and put it at a place in its object's order, whether the key is new or not.
    Place {
        /// The key, inside its object.
        path: Path,
        /// What.
        value: Value,
        /// The key that it comes right before; `None`: it comes last.
        before: Option<String>,
    },
    /// An op built from a path that does not parse. Never applied, never written.
    Invalid(PathError),
}

impl Op {
    /// Write a value: [`Op::Set`].
    pub fn set(path: impl IntoPath, value: impl Into<Value>) -> Op {
        Op::at(path, |path| Op::Set { path, value: value.into() })
    }

    /// Remove what is there: [`Op::Remove`].
    pub fn remove(path: impl IntoPath) -> Op {
        Op::at(path, |path| Op::Remove { path })
    }

    /// Merge an RFC 7396 patch: [`Op::Merge`].
    pub fn merge(path: impl IntoPath, patch: impl Into<Value>) -> Op {
        Op::at(path, |path| Op::Merge { path, value: patch.into() })
    }

    /// Add to a number: [`Op::Increment`].
    pub fn increment(path: impl IntoPath, by: impl Into<Number>) -> Op {
        Op::at(path, |path| Op::Increment { path, by: by.into() })
    }

    /// Append to an array: [`Op::Push`], without a cap, whether or not the value is there already.
    pub fn push(path: impl IntoPath, value: impl Into<Value>) -> Op {
        Op::at(path, |path| Op::Push { path, value: value.into(), cap: None, unique: false })
    }

    /// Write a value where none is: [`Op::Insert`].
    pub fn insert(path: impl IntoPath, value: impl Into<Value>) -> Op {
        Op::at(path, |path| Op::Insert { path, value: value.into() })
    }

    /// Move or rename: [`Op::Move`].
    pub fn move_to(from: impl IntoPath, to: impl IntoPath) -> Op {
        Op::at(from, |from| Op::at(to, |to| Op::Move { from, to }))
    }

    /// Demand a value: [`Op::Test`].
    pub fn test(path: impl IntoPath, expected: impl Into<Value>) -> Op {
        Op::at(path, |path| Op::Test { path, expected: Some(expected.into()) })
    }

    /// Demand that nothing is there: [`Op::Test`].
    pub fn test_absent(path: impl IntoPath) -> Op {
        Op::at(path, |path| Op::Test { path, expected: None })
    }

    fn at(path: impl IntoPath, build: impl FnOnce(Path) -> Op) -> Op {
        path.into_path().map_or_else(Op::Invalid, build)
    }

    /// The path that this op writes or looks at; the target of a move; none if it did not parse.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Op::Set { path, .. }
            | Op::Remove { path }
            | Op::Merge { path, .. }
            | Op::Increment { path, .. }
            | Op::Push { path, .. }
            | Op::Insert { path, .. }
            | Op::Move { to: path, .. }
            | Op::Test { path, .. }
            | Op::Place { path, .. } => Some(path),
            Op::Invalid(_) => None,
        }
    }
}

/// Values under keys that look secret are masked: what is logged for debugging is read by many.
impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.path().map(named).unwrap_or_default();
        match self {
            Op::Set { path, value } => write!(f, "set {at} = {}", shown(path, value)),
            Op::Remove { .. } => write!(f, "remove {at}"),
            Op::Merge { path, value } => write!(f, "merge {at} with {}", shown(path, value)),
            Op::Increment { path, by } => write!(f, "increment {at} by {}", shown(path, &by.clone().into())),
            Op::Push { path, value, cap, unique } => {
                write!(f, "push {} to {at}", shown(path, value))?;
                if *unique {
                    f.write_str(", unique")?;
                }
                cap.map_or(Ok(()), |cap| write!(f, ", cap {cap}"))
            }
            Op::Insert { path, value } => write!(f, "insert {at} = {}", shown(path, value)),
            Op::Move { from, .. } => write!(f, "move {} to {at}", named(from)),
            Op::Test { path, expected: Some(value) } => write!(f, "test {at} is {}", shown(path, value)),
            Op::Test { expected: None, .. } => write!(f, "test {at} is absent"),
            Op::Place { path, value, before } => {
                write!(f, "place {at} = {}", shown(path, value))?;
                match before {
                    Some(key) => write!(f, " before {key:?}"),
                    None => f.write_str(" last"),
                }
            }
            Op::Invalid(error) => write!(f, "invalid path: {error}"),
        }
    }
}

/// Ops that happen together or not at all, and what the log says about them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transaction {
    /// When it was appended, in microseconds since the Unix epoch; the journal fills it in.
    pub time: u64,
    /// Who appended it; the journal fills it in.
    pub origin: Origin,
    /// An idempotency key: a second transaction with the same one is answered with the result of the first.
    pub key: Option<String>,
    /// What a reconciled hand edit was made from; no other transaction has one, and one that is appended loses it.
    pub base: Option<Base>,
    /// What is done, in this order.
    pub ops: Vec<Op>,
}

/// Who made a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The name of the program.
    pub program: String,
    /// Its process id.
    pub pid: u32,
    /// The machine it ran on.
    pub host: String,
    /// Whether the program itself wanted the change.
    pub kind: OriginKind,
}

/// Where a change came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OriginKind {
    /// A program asked for it.
    #[default]
    Program,
    /// It was found in the config file: someone edited that by hand.
    File,
}

/// What a hand edit was made from, as hashes of the texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// The text that was found.
    pub text: [u8; 16],
    /// The text that it was compared with.
    pub against: [u8; 16],
    /// The revision which that text stands for.
    pub revision: u64,
    /// What the person changed, where the config had gone on since that text: the ops of the record are then what that came
    /// to on the newer state. Empty: they are the ops of the record.
    pub own: Vec<Op>,
    /// Where person and programs had changed the same path. The person's value was taken.
    pub conflicts: Vec<Path>,
}

impl Transaction {
    /// Nothing to do yet.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// Add an op that is already built.
    #[must_use]
    pub fn op(mut self, op: Op) -> Transaction {
        self.ops.push(op);
        self
    }

    /// Add an [`Op::Set`].
    #[must_use]
    pub fn set(self, path: impl IntoPath, value: impl Into<Value>) -> Transaction {
        self.op(Op::set(path, value))
    }

    /// Add an [`Op::Remove`].
    #[must_use]
    pub fn remove(self, path: impl IntoPath) -> Transaction {
        self.op(Op::remove(path))
    }

    /// Add an [`Op::Merge`].
    #[must_use]
    pub fn merge(self, path: impl IntoPath, patch: impl Into<Value>) -> Transaction {
        self.op(Op::merge(path, patch))
    }

    /// Add an [`Op::Increment`].
    #[must_use]
    pub fn increment(self, path: impl IntoPath, by: impl Into<Number>) -> Transaction {
        self.op(Op::increment(path, by))
    }

    /// Add an [`Op::Push`].
    #[must_use]
    pub fn push(self, path: impl IntoPath, value: impl Into<Value>) -> Transaction {
        self.op(Op::push(path, value))
    }

    /// Add an [`Op::Insert`].
    #[must_use]
    pub fn insert(self, path: impl IntoPath, value: impl Into<Value>) -> Transaction {
        self.op(Op::insert(path, value))
    }

    /// Add an [`Op::Move`].
    #[must_use]
    pub fn move_to(self, from: impl IntoPath, to: impl IntoPath) -> Transaction {
        self.op(Op::move_to(from, to))
    }

    /// Add an [`Op::Test`] for a value.
    #[must_use]
    pub fn test(self, path: impl IntoPath, expected: impl Into<Value>) -> Transaction {
        self.op(Op::test(path, expected))
    }

    /// Add an [`Op::Test`] for absence.
    #[must_use]
    pub fn test_absent(self, path: impl IntoPath) -> Transaction {
        self.op(Op::test_absent(path))
    }

    /// Give it an idempotency key: however often it is sent, it happens once.
    #[must_use]
    pub fn idempotent(mut self, key: impl Into<String>) -> Transaction {
        self.key = Some(key.into());
        self
    }
}

impl From<Op> for Transaction {
    fn from(op: Op) -> Transaction {
        Transaction::from(vec![op])
    }
}

impl From<Vec<Op>> for Transaction {
    fn from(ops: Vec<Op>) -> Transaction {
        Transaction { ops, ..Transaction::default() }
    }
}
