//! `cfgwal get`

use cfgwal::{Error, Value};
use clap::Args;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::reading;
use crate::terminal::Terminal;

/// Print a value: strings as they are, everything else as JSON
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal get server.port
  cfgwal get server.host --default localhost
  cfgwal get tls.certificate --raw > certificate.pem
  cfgwal get '' --at 41    # the whole config as it was")]
pub struct Get {
    /// What
    path: String,
    /// Print a string and nothing else: no newline behind it, nothing escaped for the terminal
    #[arg(long)]
    raw: bool,
    /// Print this where nothing is there, instead of failing
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    default: Option<String>,
    /// As it was at this revision
    #[arg(long, value_name = "REV")]
    at: Option<u64>,
}

pub fn run(args: &Get, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let path = arguments::path(&args.path)?;
    if args.raw && out.json() {
        return Err(Failure::Usage("--raw and --json exclude each other".to_owned()));
    }
    let default = args.default.as_ref().map(|text| arguments::value(text, false).0);
    let (view, state) = match (reading::open(context, args.at, out), &default) {
        // No file has no values either.
        (Err(Failure::Engine(Error::Missing { .. })), Some(default)) => {
            return print(default, args.raw, out).map(|()| Exit::Done);
        }
        (opened, _) => opened?,
    };
    match state.root().get(&path).or(default.as_ref()) {
        Some(value) => print(value, args.raw, out)?,
        // Over damage nobody knows whether it is there.
        None if view.damage().is_some() => {}
        None => return Err(Failure::NotThere { file: context.file()?, path }),
    }
    reading::finish(&view)
}

fn print(value: &Value, raw: bool, out: &mut Terminal) -> Result<(), Failure> {
    match value {
        Value::String(text) if raw => out.raw(text),
        Value::String(text) if !out.json() => out.data(text).and_then(|()| out.data("\n")),
        _ => out.value(value),
    }
}
