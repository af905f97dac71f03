//! The verbs that make one edit. They differ in the op; preconditions, `--dry-run` and what is printed are the same.

mod apply;

use std::io::Read;

use apply::Apply;
pub use apply::{close, conflict, newest, settled};
use cfgwal::RECORD_MAX;
use cfgwal::{Number, Op, Value};
use clap::Args;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// Write a value
///
/// Objects that are missing on the way are created. In an array the index must exist; `-` appends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal set server.port 8080
  cfgwal set server.name --string 8080
  cfgwal set 'hosts.\"example.org\"' '{\"enabled\": true}'
  cfgwal set lock me --if-absent lock
  cfgwal set flags -- -v    # a VALUE that begins with a dash")]
pub struct Set {
    /// Where
    path: String,
    /// What: JSON where it parses, else a string
    #[arg(allow_negative_numbers = true)]
    value: String,
    /// Take VALUE as a string, whatever it looks like
    #[arg(long)]
    string: bool,
    #[command(flatten)]
    apply: Apply,
}

impl Set {
    pub fn run(self, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
        let path = arguments::path(&self.path)?;
        let value = typed(&self.value, self.string, out);
        if path.is_empty() && value.as_object().is_none() && value.as_array().is_none() {
            // Most likely a shell's variable that is not set.
            let why =
                "the path is empty, and VALUE would be all of the config; name a key, or give an object or an array";
            return Err(Failure::Usage(why.to_owned()));
        }
        self.apply.run(Op::Set { path, value }, context, out)
    }
}

/// Remove a value; exit 1 if there is none
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal unset server.port
  cfgwal unset 'args[0]'")]
pub struct Unset {
    /// Where
    path: String,
    #[command(flatten)]
    apply: Apply,
}

impl Unset {
    pub fn run(self, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
        let path = arguments::path(&self.path)?;
        self.apply.run(Op::Remove { path }, context, out)
    }
}

/// Merge a JSON patch (RFC 7396): objects deep, null removes, arrays replace
#[derive(Debug, Args)]
#[command(
    allow_missing_positional = true,
    after_help = "\
Examples:
  cfgwal merge server '{\"port\": 8080, \"debug\": null}'
  cfgwal merge - < patch.json"
)]
pub struct Merge {
    /// What is patched; the whole config if left out
    path: Option<String>,
    /// The patch; `-` reads it from standard input
    #[arg(value_name = "JSON")]
    patch: String,
    #[command(flatten)]
    apply: Apply,
}

impl Merge {
    pub fn run(self, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
        let path = arguments::path(self.path.as_deref().unwrap_or(""))?;
        let patch = if self.patch == "-" { standard_input()? } else { self.patch };
        let value = arguments::json(&patch)
            .map_err(|invalid| Failure::Usage(format!("the patch does not parse as JSON: {invalid}")))?;
        if path.is_empty() && value.as_object().is_none() {
            let why = "the path is left out, and the patch would take the place of all of the config; name a key, or give an object";
            return Err(Failure::Usage(why.to_owned()));
        }
        self.apply.run(Op::Merge { path, value }, context, out)
    }
}

/// Add to a number and print the new value; a missing one counts as 0
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal increment nextId
  cfgwal increment budget --by -2.50
  cfgwal increment nextId --id job-17    # a second try prints the same number")]
pub struct Increment {
    /// Which number
    path: String,
    /// How much
    #[arg(long, default_value = "1", allow_negative_numbers = true, value_name = "N", value_parser = number)]
    by: Number,
    #[command(flatten)]
    apply: Apply,
}

impl Increment {
    pub fn run(self, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
        let path = arguments::path(&self.path)?;
        self.apply.run(Op::Increment { path, by: self.by }, context, out)
    }
}

/// Append to an array, which is created if missing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal push tags new --unique
  cfgwal push history '{\"event\": \"start\"}' --cap 1000")]
pub struct Push {
    /// The array
    path: String,
    /// What: JSON where it parses, else a string
    #[arg(allow_negative_numbers = true)]
    value: String,
    /// Take VALUE as a string, whatever it looks like
    #[arg(long)]
    string: bool,
    /// Keep only the N newest elements
    #[arg(long, value_name = "N")]
    cap: Option<u64>,
    /// Do nothing if the array holds the value already
    #[arg(long)]
    unique: bool,
    #[command(flatten)]
    apply: Apply,
}

impl Push {
    pub fn run(self, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
        let path = arguments::path(&self.path)?;
        let value = typed(&self.value, self.string, out);
        self.apply.run(Op::Push { path, value, cap: self.cap, unique: self.unique }, context, out)
    }
}

/// Rename a key, or move a value to a place not in use
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal move servers.old servers.new
  cfgwal move draft.server server")]
pub struct Move {
    /// What is moved
    from: String,
    /// Its new place
    to: String,
    #[command(flatten)]
    apply: Apply,
}

impl Move {
    pub fn run(self, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
        let (from, to) = (arguments::path(&self.from)?, arguments::path(&self.to)?);
        self.apply.run(Op::Move { from, to }, context, out)
    }
}

fn typed(text: &str, as_string: bool, out: &Terminal) -> Value {
    let (value, doubt) = arguments::value(text, as_string);
    if let Some(doubt) = doubt {
        out.warn(&doubt);
    }
    value
}

fn number(text: &str) -> Result<Number, String> {
    Number::parse(text).ok_or_else(|| "expected a number as JSON writes it".to_owned())
}

/// All of standard input, but no more than a record can hold.
fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    let limit = u64::try_from(RECORD_MAX).unwrap_or(u64::MAX);
    let read = std::io::stdin().lock().take(limit + 1).read_to_string(&mut text).map_err(Failure::Input)?;
    if read > RECORD_MAX {
        return Err(Failure::TooLong { what: "the patch", limit: RECORD_MAX });
    }
    Ok(text)
}
