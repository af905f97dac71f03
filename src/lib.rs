//! A write-ahead log for config files.
//!
//! A config file that several programs, several processes and people with editors all write, and that a crash must
//! never damage. Every edit is a checksummed record in a journal beside the file, durable before it is acknowledged.
//! The file itself stays an ordinary file: it is brought up to date by an atomic exchange, and an edit of one value
//! changes the bytes of that value and no others.
//!
//! ```
//! use cfgwal::{Journal, Op, Transaction};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Server {
//!     port: u16,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct App {
//!     server: Server,
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("settings.json");
//! std::fs::write(&path, r#"{ "server": { "port": 8080, "host": "::1" } }"#)?;
//! let journal = Journal::open(&path)?;
//!
//! // When `append` returns, the edit is durable.
//! let ack = journal.append(Op::set("server.port", 9090))?;
//! assert_eq!(ack.revision, 1);
//!
//! // Several ops in one transaction happen together or not at all.
//! journal.append(Transaction::new().test_absent("lock").set("lock", "me").increment("jobs", 1))?;
//!
//! // Any type that serde can read.
//! let port: Option<u16> = journal.get("server.port")?;
//! assert_eq!(port, Some(9090));
//!
//! // Read, change, log the difference. What the type does not know stays.
//! journal.update(|app: &mut App| app.server.port += 1)?;
//!
//! // Closing brings the file up to date. So does a thread in the background, a moment after an edit.
//! journal.close()?;
//! let text = std::fs::read_to_string(&path)?;
//! assert_eq!(text, r#"{ "server": { "port": 9091, "host": "::1" }, "lock": "me", "jobs": 1 }"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! 1. **An acknowledged edit survives** a crash of the process and of the system, and a power cut.
//! 2. **All or nothing.** An edit that was not acknowledged is there whole or not at all. So is a transaction.
//! 3. **One order.** Edits from all threads and processes land in one order, numbered by *revision*. Preconditions are
//!    judged on the newest state.
//! 4. **The file is always whole.** Whoever opens the config file, knowing nothing of this crate, reads one complete
//!    document.
//! 5. **A change made by hand is never overwritten**, and comments, spacing, key order and the spelling of numbers stay.
//! 6. **Damage is never silent.** What a crash cut short and what has been lost are told apart; nothing is thrown away
//!    unasked.
//! 7. **Nobody sees an edit that a crash can take back.** Readers get durable revisions only.
//! 8. **An edit costs the edit**, whatever the size of the config and of the log. Readers never wait.
//! 9. **Bad input gets a clear error and changes nothing.**
//! 10. **Secrets stay as private as the config file is.**
//!
//! The README names the tests that hold each of them.
//!
//! # Assumptions
//!
//! * A flush that the disk reports as done is done.
//! * A torn write of a sector leaves the bytes alone that were not being written.
//! * All writers run on one machine. Network and FUSE file systems are refused unless
//!   [allowed](Options::foreign_file_system).
//! * Programs that write the config file without this crate replace it or write it in one go, as editors do.
//!
//! # Not promised
//!
//! * Anything on a disk that lies about flush.
//! * To tell damage from a torn write inside the last edits before a crash of the system: both look the same.
//! * Safety from someone who may write to the journal and means harm. A checksum is no signature.
//! * Other systems than Linux. The file exchange, the leases and the futex behind it are Linux's.
//!
//! # Where things are
//!
//! [`Journal`] is the way in. [`View`] looks at a config without touching anything. [`Journal::recover`] and
//! [`Journal::plan_recovery`] are for what a crash left; opening does the same by itself where nothing is lost by it.
//! [`Op`], [`Transaction`], [`State`] and [`document`] are pure: no file, no clock. [`mod@format`] describes every byte on disk.

#[cfg(not(any(feature = "csv", feature = "json", feature = "toml", feature = "yaml")))]
compile_error!("a config file needs a format: enable the feature `json`, `toml`, `yaml` or `csv`");

mod compact;
pub mod document;
mod error;
pub mod format;
mod frame;
mod journal;
mod key;
mod limits;
mod lock;
mod log;
mod materialise;
mod note;
mod op;
mod path;
mod planted;
mod quote;
mod recover;
mod recovery;
mod reserve;
mod secret;
mod segment;
mod snapshot;
mod state;
mod storage;
mod value;
mod version;
mod view;
mod watermark;

pub use compact::Compaction;
pub use error::{Damage, DamageKind, Error, Holder};
pub use frame::Fault;
pub use journal::{Ack, Journal, Materialise, Options, Pending, Preview, Snapshot};
pub use limits::{DEPTH_MAX, KEY_MAX, RECORD_MAX};
pub use materialise::{Behind, FileStatus};
pub use op::{Base, Op, Origin, OriginKind, Refusal, Transaction};
pub use path::{IntoPath, Path, PathError, Segment};
pub use quote::is_treacherous;
pub use recover::{Plan, RecoverOptions};
pub use recovery::{Finding, Step, TornTail};
pub use secret::{MASK, is_secret, masked};
pub use state::{Applied, Conflict, State};
pub use value::{Change, List, Map, MapIter, Number, OrderedMap, Seq, SeqIter, SerdeError, Value};
pub use view::{Entry, Report, Status, View, verify};

/// A simulated disk and planned faults, for this crate's own tests. No promise is made about it.
#[cfg(feature = "sim")]
#[doc(hidden)]
pub mod sim {
    pub use crate::planted::Bug;
    pub use crate::recovery::trial::{Judged, Trial};
    pub use crate::storage::faulty::{Call, FaultPlan, Faulty, Killed, Seat, Seen, SyncFault, Times, is_killed};
    pub use crate::storage::simulated::{
        Asked, CrashImages, Disk, DiskImage, Handle, Limits, Metadata, NoStateId, Order, Process, Rules, StateId, Time,
    };
    pub use crate::view::verify_seated;
}

/// The example in the README is compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
