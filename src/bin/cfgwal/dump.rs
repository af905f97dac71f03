//! `cfgwal dump`

use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::reading;
use crate::terminal::Terminal;

/// Print the whole config
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal dump
  cfgwal dump --at 41 > settings-41.json")]
pub struct Dump {
    /// In this format
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: Language,
    /// As it was at this revision
    #[arg(long, value_name = "REV")]
    at: Option<u64>,
}

/// What a config can be written in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Language {
    /// Indented; with --json on one line
    Json,
}

pub fn run(args: &Dump, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let (view, state) = reading::open(context, args.at, out)?;
    match args.format {
        Language::Json if out.json() => out.value(state.root())?,
        Language::Json => out.pretty(state.root())?,
    }
    reading::finish(&view)
}
