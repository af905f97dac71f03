//! A write-ahead log for config files.

mod compact;
pub mod document;
mod error;
mod frame;
mod journal;
mod limits;
mod lock;
mod log;
mod materialise;
mod note;
mod op;
mod path;
mod quote;
mod recover;
mod recovery;
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
    pub use crate::storage::faulty::{Call, FaultPlan, Faulty, Killed, Seat, Seen, SyncFault, Times, is_killed};
    pub use crate::storage::simulated::{
        CrashImages, Disk, DiskImage, Handle, Limits, Metadata, NoStateId, Order, Process, Rules, StateId, Time,
    };
}
