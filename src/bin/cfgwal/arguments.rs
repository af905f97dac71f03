//! The command line: global options and the list of verbs. Each verb's own arguments are in its file.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use cfgwal::document::{self, Format, Invalid};
use cfgwal::{Path, Value};
use clap::{ArgAction, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

use crate::exit;
use crate::failure::Failure;
use crate::terminal::fail;
use crate::{batch, compact, dump, edits, get, init, log, ls, recover, slips, status, verify};

const EXAMPLES: &str = "\
Examples:
  cfgwal -f settings.json set server.port 8080
  cfgwal -f settings.json get server.port
  cfgwal set mcpServers.github.enabled false --dry-run
  cfgwal increment nextId
  cfgwal recover --dry-run

Paths: server.port, args[0], a.\"b.c\", list[-] for the end of an array, or /server/port (RFC 6901).";

/// Edit config files through a write-ahead log: durable, all or nothing, shared by many programs
#[derive(Debug, Parser)]
#[command(name = "cfgwal", version, override_usage = "cfgwal [-f FILE] [OPTIONS] <COMMAND>", after_help = format!("{EXAMPLES}\n\n{}", exit::TABLE))]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The config file [default: the only one in this directory that has a journal] [env: CFGWAL_FILE]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print JSON, one object per line; errors and warnings too, on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Print data and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Tell on stderr what is going on; twice or three times for more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Colour: `auto` heeds NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Colour,
    /// How long to wait for another instance
    #[arg(long, global = true, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub lock_timeout: Duration,
    /// Show values under keys that look secret (token, password, ...) where they would be masked
    #[arg(long, global = true)]
    pub show_secrets: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

/// What to do. What a verb says about itself is on its arguments, and is put together for none but the one that was typed:
/// most of what a short command does before it begins would be that.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Verb {
    Init(init::Init),
    Get(get::Get),
    Set(edits::Set),
    Unset(edits::Unset),
    Merge(edits::Merge),
    Increment(edits::Increment),
    Push(edits::Push),
    Move(edits::Move),
    Batch(batch::Batch),
    Ls(ls::Ls),
    Dump(dump::Dump),
    Status(status::Status),
    Verify(verify::Verify),
    Compact(compact::Compact),
    Recover(recover::Recover),
    Log(log::Log),
}

impl Verb {
    /// The verb as it is typed. The log and the lock name who did what by it.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Init(_) => "init",
            Verb::Get(_) => "get",
            Verb::Set(_) => "set",
            Verb::Unset(_) => "unset",
            Verb::Merge(_) => "merge",
            Verb::Increment(_) => "increment",
            Verb::Push(_) => "push",
            Verb::Move(_) => "move",
            Verb::Batch(_) => "batch",
            Verb::Ls(_) => "ls",
            Verb::Dump(_) => "dump",
            Verb::Status(_) => "status",
            Verb::Verify(_) => "verify",
            Verb::Compact(_) => "compact",
            Verb::Recover(_) => "recover",
            Verb::Log(_) => "log",
        }
    }
}

/// Reads the command line, or says what is wrong with it (or the help that was asked for) and returns the exit code.
pub fn read(arguments: Vec<OsString>) -> Result<Cli, u8> {
    let json = arguments.iter().any(|argument| argument == "--json");
    Cli::try_parse_from(&arguments).or_else(|_| read_with_all_verbs(&arguments)).map_err(|error| {
        if error.use_stderr() && json {
            let message = error.to_string();
            let message = message.trim_end().trim_start_matches("error: ").to_owned();
            fail(json, &Failure::Usage(message));
        } else if let Err(failed) = error.print()
            && !error.use_stderr()
            // Who closed the stream does not want to know.
            && failed.kind() != ErrorKind::BrokenPipe
        {
            let failure = Failure::Output(failed);
            fail(json, &failure);
            return failure.exit_code();
        }
        u8::try_from(error.exit_code()).unwrap_or(2)
    })
}

/// The same once more: help and complaints speak of other verbs than the one that was typed, too.
fn read_with_all_verbs(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(colour(arguments));
    command.build();
    let mut command = slips::with_file_in_usage(command);
    let matches = command.try_get_matches_from_mut(arguments).map_err(|mut error| {
        slips::explain(&mut error, arguments);
        error
    })?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// What `--color` says on a command line that may be wrong in other places.
fn colour(arguments: &[OsString]) -> ColorChoice {
    let mut words = arguments.iter().filter_map(|argument| argument.to_str());
    let mut choice = ColorChoice::Auto;
    while let Some(word) = words.next() {
        let when = match word.strip_prefix("--color") {
            Some("") => words.next().unwrap_or_default(),
            Some(value) => value.trim_start_matches('='),
            None => continue,
        };
        choice = when.parse().unwrap_or(choice);
    }
    choice
}

/// A path as it is typed.
pub fn path(text: &str) -> Result<Path, Failure> {
    Path::parse(text).map_err(|error| Failure::Usage(format!("`{text}` is no path: {error}")))
}

/// A format by its name.
pub fn format(name: &str) -> Result<Format, Failure> {
    Format::named(name)
        .ok_or_else(|| Failure::Usage(format!("no format is called `{name}`; json, jsonc, yaml, toml and csv are")))
}

/// A text that is JSON as RFC 8259 has it, whatever the format of the config file.
pub fn json(text: &str) -> Result<Value, Invalid> {
    document::parse(&Format::Json, text.as_bytes())
}

/// A VALUE: JSON where it parses, else a string. The second is what to tell who may have meant JSON.
pub fn value(text: &str, as_string: bool) -> (Value, Option<String>) {
    if as_string {
        return (Value::from(text), None);
    }
    match json(text) {
        Ok(value) => (value, None),
        Err(invalid) => {
            let meant = text.trim_start().starts_with(['{', '[', '"']);
            let doubt =
                || format!("the value is taken as a string, because as JSON it does not parse: {}", invalid.why);
            (Value::from(text), meant.then(doubt))
        }
    }
}

/// `5s`, `1h 30m`, `250ms`; a plain number counts seconds.
fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    let wait: SignedDuration = text.parse().map_err(|_| "expected a duration like 5s or 250ms".to_owned())?;
    Duration::try_from(wait).map_err(|_| "a wait cannot be negative".to_owned())
}
