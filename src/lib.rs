//! A write-ahead log for config files.

pub mod document;
mod limits;
mod path;
mod quote;
mod secret;
mod value;

pub use limits::{DEPTH_MAX, KEY_MAX, RECORD_MAX};
pub use path::{IntoPath, Path, PathError, Segment};
pub use secret::{is_secret, masked};
pub use value::{Change, List, Map, MapIter, Number, OrderedMap, Seq, SeqIter, SerdeError, Value};
