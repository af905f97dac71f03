//! A write-ahead log for config files.

mod limits;
mod op;
mod path;
mod quote;
mod secret;
mod state;
mod value;

pub use limits::{DEPTH_MAX, KEY_MAX, RECORD_MAX};
pub use op::{Base, Op, Origin, OriginKind, Refusal, Transaction};
pub use path::{IntoPath, Path, PathError, Segment};
pub use secret::{is_secret, masked};
pub use state::{Applied, Conflict, State};
pub use value::{Change, List, Map, MapIter, Number, OrderedMap, Seq, SeqIter, Value};
