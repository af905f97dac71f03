//! What the command tells the shell: one code for each thing that a script would do differently.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; nothing wrong was found.
    Done = 0,
    /// What was asked for is not there.
    NotThere = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Acknowledged records cannot be read, or recovery has something to do.
    Damaged = 5,
    /// Reading or writing failed.
    Io = 7,
    /// A rule forbids it.
    Refused = 8,
    /// The edit is durable, the file does not show it.
    Behind = 9,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// The last lines of `cfgwal --help`.
pub const TABLE: &str = "\
Exit codes:
  0  done; verify and recover --dry-run: nothing wrong, or no journal at all
  1  not there
  2  wrong usage
  3  the document does not parse
  4  a precondition (--if...) failed
  5  damage; recover --dry-run: anything that recover would change
  6  another instance holds the lock
  7  input or output failed; the message says whether the edit was applied
  8  refused by a rule, nothing changed
  9  the edit is durable, but the file does not show it yet";
