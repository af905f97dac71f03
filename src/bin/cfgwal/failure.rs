//! [`Failure`]: why a command could not do what was asked, as `main` reports it.

use std::io;
use std::path::PathBuf;

use cfgwal::{Damage, Error, Path, Refusal, Value};

use crate::exit::Exit;
use crate::slips;

/// What stops a command.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The library says no.
    #[error(transparent)]
    Engine(#[from] Error),
    /// What could be read was printed; there was more.
    #[error("{0}\nwhat was printed is the intact part")]
    Partial(Error),
    /// The command line, or a line of a batch, makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no value at this path.
    #[error("{} has nothing at {}{}", file.display(), name(path), slips::instead_of(path))]
    NotThere {
        /// The config file.
        file: PathBuf,
        /// What was asked for.
        path: Path,
    },
    /// What is at this path has no keys.
    #[error("{} is a {kind}, which has no keys; `get` prints it", name(path))]
    NoKeys {
        /// What was asked for.
        path: Path,
        /// What is there.
        kind: &'static str,
    },
    /// Input that is longer than any record may be.
    #[error("{what} is longer than {} MiB, more than a record holds; nothing of it was applied", limit >> 20)]
    TooLong {
        /// What came in.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The edit is safe in the log, but the file could not be brought up to it.
    #[error("revision {revision} is durable, but {} does not show it: {why}", file.display())]
    Behind {
        /// The config file.
        file: PathBuf,
        /// What is durable.
        revision: u64,
        /// What the file shows.
        shows: Option<u64>,
        /// Why, and what to do.
        why: String,
    },
    /// A change that cannot be shown with its secrets masked, so it is not shown at all.
    #[error("the change cannot be shown with its secrets masked ({0}); --show-secrets shows it as it is")]
    Unmaskable(String),
    /// A config that another format has no way to write.
    #[error("{0}")]
    Unwritable(String),
    /// The file was set up otherwise before.
    #[error("{} has a journal already, {is}; to begin anew run `cfgwal compact`, and remove the journal", file.display())]
    SetUp {
        /// The config file.
        file: PathBuf,
        /// How.
        is: String,
    },
    /// The command did its work, and then nobody could be told.
    #[error("cannot write to standard output: {0}; what the command does was done")]
    Output(#[source] io::Error),
    /// What was to be read from standard input could not be.
    #[error("cannot read standard input: {0}")]
    Input(#[source] io::Error),
}

/// How a message calls a path: the root has no text of its own.
pub fn name(path: &Path) -> String {
    if path.is_empty() { "the root".to_owned() } else { path.to_string() }
}

impl Failure {
    /// The exit code of the command.
    pub fn exit_code(&self) -> u8 {
        let exit = match self {
            Failure::Engine(error) | Failure::Partial(error) => return error.exit_code(),
            Failure::Usage(_) => Exit::Usage,
            Failure::NotThere { .. } => Exit::NotThere,
            Failure::NoKeys { .. }
            | Failure::TooLong { .. }
            | Failure::Unmaskable(_)
            | Failure::Unwritable(_)
            | Failure::SetUp { .. } => Exit::Refused,
            Failure::Behind { .. } => Exit::Behind,
            Failure::Output(_) | Failure::Input(_) => Exit::Io,
        };
        exit as u8
    }

    /// A name for programs; stable.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::Engine(error) | Failure::Partial(error) => error.code(),
            Failure::Usage(_) => "usage",
            Failure::NotThere { .. } => "not_there",
            Failure::NoKeys { .. } => "no_keys",
            Failure::TooLong { .. } => "too_large",
            Failure::Behind { .. } => "file_behind",
            Failure::Unmaskable(_) => "unmaskable",
            Failure::Unwritable(_) | Failure::SetUp { .. } => "refused",
            Failure::Output(_) | Failure::Input(_) => "io",
        }
    }

    /// The error as programs get it, on stderr and in the answers of a batch.
    pub fn to_value(&self) -> Value {
        let mut fields = vec![
            ("code", Value::from(self.code())),
            ("exit", Value::from(u32::from(self.exit_code()))),
            ("message", Value::from(self.to_string())),
        ];
        match self {
            Failure::Engine(error) | Failure::Partial(error) => describe(error, &mut fields),
            Failure::NotThere { file, path } => {
                fields.extend([("file", text(file)), ("path", Value::from(path.to_string()))]);
            }
            Failure::NoKeys { path, .. } => fields.push(("path", Value::from(path.to_string()))),
            Failure::Behind { file, revision, shows, .. } => fields.extend([
                ("file", text(file)),
                ("revision", Value::from(*revision)),
                ("shows", Value::from(*shows)),
            ]),
            _ => {}
        }
        fields.into_iter().collect()
    }
}

/// What a program would otherwise have to read out of the message.
fn describe(error: &Error, fields: &mut Vec<(&'static str, Value)>) {
    match error {
        Error::NotApplied(inner) | Error::OutcomeUnknown(inner) => describe(inner, fields),
        Error::Io { doing, path, source } => {
            fields.extend([("doing", Value::from(*doing)), ("path", text(path))]);
            fields.extend(source.raw_os_error().map(|errno| ("errno", Value::from(errno))));
        }
        Error::Locked { path, holder, waited } => {
            fields.extend([("path", text(path)), ("waited_ms", milliseconds(*waited))]);
            if let Some(holder) = holder {
                fields.extend([
                    ("pid", Value::from(holder.pid)),
                    ("command", Value::from(holder.command.as_str())),
                    ("since_ms", milliseconds(holder.since)),
                ]);
            }
        }
        Error::Refused(Refusal::Precondition { path, expected, found }) => {
            let shown = |value: &Option<Value>| value.as_ref().map_or(Value::Null, |value| cfgwal::masked(path, value));
            fields.extend([
                ("path", Value::from(path.to_string())),
                ("expected", shown(expected)),
                ("found", shown(found)),
            ]);
        }
        Error::Revision { expected, found } => {
            fields.extend([("expected", Value::from(*expected)), ("found", Value::from(*found))]);
        }
        Error::Invalid { path, invalid } => fields.extend([
            ("path", text(path)),
            ("line", Value::from(invalid.line)),
            ("column", Value::from(invalid.column)),
        ]),
        Error::Damaged(found) => fields.push(("damage", damage(found))),
        Error::Unpatchable { path, revision, .. } => {
            fields.extend([("path", text(path)), ("revision", Value::from(*revision))]);
        }
        Error::NoSuchRevision { oldest, newest, .. } => {
            fields.extend([("oldest", Value::from(*oldest)), ("newest", Value::from(*newest))]);
        }
        Error::Newer { path, .. }
        | Error::Gone { path }
        | Error::Missing { path }
        | Error::Forbidden { path, .. }
        | Error::ReadOnly { path }
        | Error::Forked { path } => fields.push(("path", text(path))),
        _ => {}
    }
}

/// A damaged place.
pub fn damage(damage: &Damage) -> Value {
    [
        ("file", text(&damage.file)),
        ("offset", Value::from(damage.offset)),
        ("first_revision", Value::from(damage.first_revision)),
        ("last_revision", Value::from(damage.last_revision)),
        ("fault", Value::from(damage.fault.to_string())),
    ]
    .into_iter()
    .collect()
}

/// A file's name; what of it is no text is shown as well as can be.
pub fn text(path: &std::path::Path) -> Value {
    Value::from(path.to_string_lossy().as_ref())
}

/// A time span.
pub fn milliseconds(duration: std::time::Duration) -> Value {
    Value::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
