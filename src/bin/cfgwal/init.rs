//! `cfgwal init`

use std::path::PathBuf;

use cfgwal::{Error, Value, View};
use clap::Args;

use crate::context::Context;
use crate::edits::{close, settled};
use crate::exit::Exit;
use crate::failure::{Failure, text};
use crate::terminal::Terminal;

/// Give a config file its journal, or create both
///
/// The first edit does the same; this does it without one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal init settings.json
  cfgwal init settings.json --dry-run")]
pub struct Init {
    /// The config file
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: Init, context: Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let context = context.about(args.config);
    let file = context.file()?;
    // What is done, in the words of programs, of who did it and of who would.
    let (done, did, would) = match View::open(&file) {
        Ok(view) if view.status().journal.is_some() => ("nothing", "has a journal already", "has a journal already"),
        Ok(_) => ("adopted", "adopted as it is", "would be adopted as it is"),
        Err(Error::Missing { .. }) => ("created", "created", "would be created"),
        Err(error) => return Err(error.into()),
    };
    if !args.dry_run && done != "nothing" {
        settled(file.clone(), &close(context.journal()?, &context, out)?)?;
    }
    if out.json() {
        let fields = [("file", text(&file)), ("done", Value::from(done)), ("dry_run", Value::from(args.dry_run))];
        out.value(&fields.into_iter().collect())?;
    } else {
        out.chat(&format!("{} {}", file.display(), if args.dry_run { would } else { did }))?;
    }
    Ok(Exit::Done)
}
