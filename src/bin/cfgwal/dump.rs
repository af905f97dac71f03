//! `cfgwal dump`

use cfgwal::document::{self, Format};
use clap::Args;

use crate::arguments;
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
  cfgwal dump --format toml
  cfgwal dump --at 41 > settings-41.json")]
pub struct Dump {
    /// In this format: json, jsonc, yaml, toml, csv
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: String,
    /// As it was at this revision
    #[arg(long, value_name = "REV")]
    at: Option<u64>,
}

pub fn run(args: &Dump, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let format = arguments::format(&args.format)?;
    let (view, state) = reading::open(context, args.at, out)?;
    match format {
        Format::Json if out.json() => out.value(state.root())?,
        Format::Json => out.pretty(state.root())?,
        format => {
            let value =
                document::writable(&format, state.root()).map_err(|why| Failure::Unwritable(why.to_string()))?;
            out.data(&String::from_utf8_lossy(&document::render(&format, &value)))?;
        }
    }
    reading::finish(&view)
}
