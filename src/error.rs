//! [`Error`]: everything that can go wrong, one variant for each thing that a caller would do differently.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::document::Invalid;
use crate::frame::Fault;
use crate::op::Refusal;

/// Who holds a lock, as far as it said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its program and what it was asked to do.
    pub command: String,
    /// How long ago it took the lock.
    pub since: Duration,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "held by process {} ({}) for {:.1} s", self.pid, self.command, self.since.as_secs_f64())
    }
}

/// A place in a journal where bytes that once were acknowledged no longer check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The damaged file.
    pub file: PathBuf,
    /// Where in it the damage begins, in bytes.
    pub offset: u64,
    /// The first revision that cannot be read.
    pub first_revision: u64,
    /// The last revision known to have been acknowledged and not readable, where known.
    pub last_revision: Option<u64>,
    /// What is wrong there.
    pub fault: DamageKind,
}

/// What is wrong with a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DamageKind {
    /// A record that does not check.
    #[error(transparent)]
    Record(#[from] Fault),
    /// The header of a segment.
    #[error("the segment's header is damaged")]
    SegmentHeader,
    /// A segment that others prove to have existed.
    #[error("the segment is missing")]
    MissingSegment,
    /// Every snapshot that the log builds on.
    #[error("no snapshot that the log builds on can be read")]
    Snapshot,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged at byte {}: {}; ", self.file.display(), self.offset, self.fault)?;
        match self.last_revision {
            Some(last) if last > self.first_revision => {
                write!(f, "revisions {} to {last} cannot be read", self.first_revision)
            }
            Some(_) => write!(f, "revision {} cannot be read", self.first_revision),
            None => write!(f, "revisions from {} on cannot be read", self.first_revision),
        }
    }
}

/// What went wrong, and what holds afterwards.
///
/// Unless a variant says otherwise nothing was changed: not the journal, not the config file.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A call to the system failed.
    #[error("cannot {doing} {}: {source}{}", path.display(), advice(path, source))]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The edit was not applied and never will be: nothing of it is in the log.
    #[error("the edit was not applied: {0}")]
    NotApplied(#[source] Box<Error>),
    /// The edit may or may not survive: it was written, and the disk failed before it was safe. After a
    /// successful open the state says which.
    #[error("the outcome of the edit is unknown: {0}; open the journal again and look before you repeat it")]
    OutcomeUnknown(#[source] Box<Error>),
    /// Someone else held the lock for longer than the caller wanted to wait.
    #[error("{} is locked, another instance may be running: {}; waited {:.1} s", path.display(), holder.as_ref().map_or("held by an unknown process".to_owned(), Holder::to_string), waited.as_secs_f64())]
    Locked {
        /// What is locked.
        path: PathBuf,
        /// By whom, if known.
        holder: Option<Holder>,
        /// How long we waited.
        waited: Duration,
    },
    /// The edit does not fit the state, or a precondition failed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The state is not at the revision that the edit was made for.
    #[error("the revision is {found}, not {expected}; read again and decide anew")]
    Revision {
        /// What the caller asked for.
        expected: u64,
        /// What is.
        found: u64,
    },
    /// The config file's text is not a document of its format.
    #[error("{}, {invalid}", path.display())]
    Invalid {
        /// The config file.
        path: PathBuf,
        /// Where and why.
        invalid: Invalid,
    },
    /// Typed data does not fit: the state into the caller's type, or the caller's value into a document.
    #[error("{0}")]
    Type(crate::value::SerdeError),
    /// The document cannot take the edit without harm to what a person wrote. The edit stays in the log.
    #[error("{} cannot show revision {revision}: {why}", path.display())]
    Unpatchable {
        /// The config file.
        path: PathBuf,
        /// The revision that it cannot show.
        revision: u64,
        /// The rule that forbids it.
        why: String,
    },
    /// Acknowledged records cannot be read. Nothing is written until `recover` was told what to do.
    #[error("{0}; `cfgwal recover --dry-run` shows what is left, `cfgwal recover --accept-loss` goes on without")]
    Damaged(Box<Damage>),
    /// The journal was written by a newer version.
    #[error("{} was written by a newer version of cfgwal ({what}); this one reads up to format {}, so it changes nothing", path.display(), crate::segment::FORMAT_VERSION)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version or feature that is unknown.
        what: String,
    },
    /// The journal that was open is no longer the one at its path.
    #[error("the journal {} was removed or replaced while it was open; open it again", path.display())]
    Gone {
        /// The journal.
        path: PathBuf,
    },
    /// There is no config file and no journal.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The config file.
        path: PathBuf,
    },
    /// A rule forbids it.
    #[error("{}: {rule}; {instead}", path.display())]
    Forbidden {
        /// The file that it is about.
        path: PathBuf,
        /// The rule.
        rule: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// An earlier failure left the journal read-only until it is opened again.
    #[error("{} takes no edits since an earlier write failed; open it again", path.display())]
    ReadOnly {
        /// The journal.
        path: PathBuf,
    },
    /// The journal was opened by a process that has forked since; the child must open its own.
    #[error("{} was opened before this process was forked; open it again", path.display())]
    Forked {
        /// The journal.
        path: PathBuf,
    },
    /// The revision asked for is not in the log any more, or not yet.
    #[error("revision {revision} is not there: the log holds {oldest} to {newest}")]
    NoSuchRevision {
        /// What was asked for.
        revision: u64,
        /// The oldest that can be had.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
}

impl Error {
    /// For `map_err`: a failed call to the system, with what was tried and on which file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    /// The exit code of the command for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Missing { .. } | Error::NoSuchRevision { .. } | Error::Refused(Refusal::Missing { .. }) => 1,
            Error::Invalid { .. } => 3,
            Error::Refused(Refusal::Precondition { .. }) | Error::Revision { .. } => 4,
            Error::Damaged(_) => 5,
            Error::Locked { .. } => 6,
            Error::NotApplied(inner) if !matches!(**inner, Error::Io { .. }) => inner.exit_code(),
            Error::Io { .. }
            | Error::NotApplied(_)
            | Error::OutcomeUnknown(_)
            | Error::Gone { .. }
            | Error::ReadOnly { .. } => 7,
            Error::Refused(_)
            | Error::Type(_)
            | Error::Newer { .. }
            | Error::Forbidden { .. }
            | Error::Forked { .. } => 8,
            Error::Unpatchable { .. } => 9,
        }
    }

    /// A name for programs; stable.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "io",
            Error::NotApplied(inner) if !matches!(**inner, Error::Io { .. }) => inner.code(),
            Error::NotApplied(_) => "not_applied",
            Error::OutcomeUnknown(_) => "outcome_unknown",
            Error::Locked { .. } => "lock_timeout",
            Error::Refused(Refusal::Precondition { .. }) => "precondition_failed",
            Error::Revision { .. } => "precondition_failed",
            Error::Refused(Refusal::Missing { .. }) => "not_there",
            Error::Refused(_) => "refused",
            Error::Invalid { .. } => "invalid_document",
            Error::Type(_) => "type",
            Error::Unpatchable { .. } => "unpatchable",
            Error::Damaged(_) => "damaged",
            Error::Newer { .. } => "newer_format",
            Error::Gone { .. } => "journal_gone",
            Error::Missing { .. } => "missing",
            Error::Forbidden { .. } => "forbidden",
            Error::ReadOnly { .. } => "read_only",
            Error::Forked { .. } => "forked",
            Error::NoSuchRevision { .. } => "no_such_revision",
        }
    }
}

/// What to do about a failed call, where the system's own words do not say it.
fn advice(path: &Path, source: &io::Error) -> &'static str {
    let is_journal = |path: &Path| path.extension().is_some_and(|extension| extension == "cfgwal");
    // A sandbox that forbids a call says EPERM, and there the owner can do no more.
    match source.raw_os_error() {
        Some(libc::EACCES) if path.ancestors().any(is_journal) => {
            "; a journal is open to its owner alone, so run this as the owner"
        }
        _ => "",
    }
}
