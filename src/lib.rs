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
mod recovery;
mod secret;
mod segment;
mod snapshot;
mod state;
mod storage;
mod value;
mod version;
mod watermark;

pub use error::{Damage, DamageKind, Error, Holder};
pub use frame::Fault;
pub use compact::Compaction;
pub use journal::{Ack, Journal, Materialise, Options, Pending, Preview, Snapshot};
pub use limits::{DEPTH_MAX, KEY_MAX, RECORD_MAX};
pub use materialise::{Behind, FileStatus};
pub use op::{Base, Op, Origin, OriginKind, Refusal, Transaction};
pub use path::{IntoPath, Path, PathError, Segment};
pub use recovery::{Finding, Step, TornTail};
pub use secret::{is_secret, masked};
pub use state::{Applied, Conflict, State};
pub use value::{Change, List, Map, MapIter, Number, OrderedMap, Seq, SeqIter, Value};
