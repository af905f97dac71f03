//! `cfgwal init`

use std::path::PathBuf;

use cfgwal::{Error, Value, View};
use clap::Args;

use crate::context::Context;
use crate::edits::settle;
use crate::exit::Exit;
use crate::failure::Failure;
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
    let found = match View::open(&file) {
        Ok(view) if view.has_journal() => Found::Journal,
        Ok(_) => Found::File,
        Err(Error::Missing { .. }) => Found::Nothing,
        Err(error) => return Err(error.into()),
    };
    let journal = if args.dry_run || found == Found::Journal { None } else { Some(context.journal()?) };
    let (did, would) = match found {
        Found::Journal => ("has a journal already", "has a journal already"),
        Found::File => ("adopted as it is", "would be adopted as it is"),
        Found::Nothing => ("created", "would be created"),
    };
    if out.json() {
        let fields = [
            ("file", Value::from(file.to_string_lossy().as_ref())),
            ("did", Value::from(if args.dry_run { "nothing" } else { found.deed() })),
            ("found", Value::from(found.name())),
        ];
        out.value(&fields.into_iter().collect())?;
    } else {
        out.chat(&format!("{} {}", file.display(), if args.dry_run { would } else { did }))?;
    }
    journal.map_or(Ok(Exit::Done), |journal| settle(journal, &context, out))
}

/// What there was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Journal,
    File,
    Nothing,
}

impl Found {
    fn name(self) -> &'static str {
        match self {
            Found::Journal => "journal",
            Found::File => "file",
            Found::Nothing => "nothing",
        }
    }

    fn deed(self) -> &'static str {
        match self {
            Found::Journal => "nothing",
            Found::File => "adopted",
            Found::Nothing => "created",
        }
    }
}
