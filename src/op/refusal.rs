//! [`Refusal`]: why a transaction does not fit the config, in words for the person who asked for it.

use std::fmt;

use crate::limits::{DEPTH_MAX, KEY_MAX, RECORD_MAX};
use crate::path::{Path, PathError};
use crate::quote::is_treacherous;
use crate::secret;
use crate::value::{Number, Value};

/// Why a transaction was refused. Nothing of it has happened.
///
/// Messages name the place (`servers.a.port is a number, not an object`), escape what could harm a terminal and
/// mask values under keys that look secret.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The path does not parse, or is beyond the limits.
    #[error(transparent)]
    Path(#[from] PathError),
    /// What is there is not what the op works on.
    #[error("{} is {}, not {}", named(path), a(found), a(needed))]
    WrongKind {
        /// Where.
        path: Path,
        /// The [kind](Value::kind) that is there.
        found: &'static str,
        /// The kind that would be needed.
        needed: &'static str,
    },
    /// Nothing is there.
    #[error("{} is not there", named(path))]
    Missing {
        /// Where.
        path: Path,
    },
    /// Something is there already.
    #[error("{} is there already", named(path))]
    Exists {
        /// Where.
        path: Path,
    },
    /// A test found something else.
    #[error("{} is {}", named(path), unlike(&or_absent(path, found.as_ref()), &or_absent(path, expected.as_ref())))]
    Precondition {
        /// Where.
        path: Path,
        /// What should be there; `None`: nothing.
        expected: Option<Value>,
        /// What is there.
        found: Option<Value>,
    },
    /// An index past the end of its array.
    #[error("{} is past the end of an array of {len}", named(path))]
    OutOfBounds {
        /// The element that is not there.
        path: Path,
        /// How many there are.
        len: usize,
    },
    /// The whole config can be replaced, but not removed or moved.
    #[error("the whole config cannot be removed or moved; set it to something else")]
    Root,
    /// A move into itself.
    #[error("{} cannot move into itself, to {to}", named(from))]
    IntoItself {
        /// What should move.
        from: Path,
        /// Where to.
        to: Path,
    },
    /// A sum that cannot be written exactly.
    #[error("adding {} to {} gives a number too long to be exact", shown(path, &by.clone().into()), named(path))]
    Overflow {
        /// The number.
        path: Path,
        /// What should be added.
        by: Number,
    },
    /// A value nested too deep where it should go.
    #[error("{} would nest deeper than {DEPTH_MAX} levels", named(path))]
    TooDeep {
        /// Where.
        path: Path,
    },
    /// A value that the config file's format has no way to write.
    #[error("{} cannot be written: {why}", named(path))]
    Unwritable {
        /// Where.
        path: Path,
        /// The rule, and what to do instead.
        why: String,
    },
    /// A key longer than allowed, in a value or as the idempotency key.
    #[error("a key of {len} bytes is longer than {KEY_MAX}")]
    KeyTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A transaction longer than allowed.
    #[error("a transaction of {len} bytes is longer than {RECORD_MAX}")]
    TooLarge {
        /// Its length in bytes.
        len: usize,
    },
}

/// The message: what is printed for debugging is read by many, and the fields hold values unmasked.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({self})")
    }
}

/// A value as messages show it: without secrets, short, and safe for a terminal.
pub(crate) fn shown(path: &Path, value: &Value) -> String {
    const LONGEST: usize = 200;
    let text = secret::masked(path, value).to_string();
    let mut shown = String::new();
    for (at, char) in text.char_indices() {
        if at >= LONGEST {
            shown.push('…');
            break;
        }
        if is_treacherous(char) {
            // It can only stand in a string, where this means the same.
            for unit in char.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(char);
        }
    }
    shown
}

fn or_absent(path: &Path, value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| shown(path, value))
}

/// What is there and what should be, if one can see the difference: of secrets and long values one cannot.
fn unlike(found: &str, expected: &str) -> String {
    if found == expected { "not what it should be".to_owned() } else { format!("{found}, not {expected}") }
}

/// A path in a sentence, where the root would be an empty word.
pub(crate) fn named(path: &Path) -> String {
    if path.is_empty() { "the config".to_owned() } else { path.to_string() }
}

fn a(kind: &'static str) -> &'static str {
    match kind {
        "null" => "null",
        "boolean" => "a boolean",
        "number" => "a number",
        "string" => "a string",
        "array" => "an array",
        _ => "an object",
    }
}
