//! `cfgwal init`

use std::path::{Path, PathBuf};

use cfgwal::document::Format;
use cfgwal::{Error, Materialise, Options, Value, View};
use clap::Args;

use crate::arguments;
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
  cfgwal init settings.json --dry-run
  cfgwal init partitions.csv --key name")]
pub struct Init {
    /// The config file
    #[arg(value_name = "CONFIG")]
    config: Option<PathBuf>,
    /// The format, where the file's name does not tell it or tells it wrong: json, jsonc, yaml, toml, csv
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// For CSV: the column whose cells are the keys of the rows; else it is `id`, else the first column
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// For CSV: what stands between two cells
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Init {
    /// The format that was asked for, if anything was.
    fn format(&self, file: &Path) -> Result<Option<Format>, Failure> {
        let named = self.format.as_deref().map(arguments::format).transpose()?;
        if self.key.is_none() && self.delimiter.is_none() {
            return Ok(named);
        }
        let Some(Format::Csv(mut csv)) = named.or_else(|| Format::of(file)) else {
            return Err(Failure::Usage("--key and --delimiter are for CSV; say --format csv".to_owned()));
        };
        if let Some(key) = &self.key {
            csv = csv.key(key);
        }
        if let Some(delimiter) = self.delimiter {
            let byte = u8::try_from(delimiter).ok().filter(|byte| byte.is_ascii_punctuation() || b"\t ".contains(byte));
            let byte = byte.filter(|byte| !b"\"#".contains(byte));
            let complaint = || Failure::Usage(format!("`{delimiter}` cannot stand between cells"));
            csv = csv.delimiter(byte.ok_or_else(complaint)?);
        }
        Ok(Some(Format::Csv(csv)))
    }
}

pub fn run(args: Init, context: Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let context = context.about(args.config.clone());
    let file = context.file()?;
    let asked = args.format(&file)?;
    // What is done, in the words of programs, of who did it and of who would.
    let view = match &asked {
        // A journal says itself how its file is read.
        Some(format) if !context.has_journal()? => View::open_as(&file, Some(format.clone())),
        _ => View::open(&file),
    };
    let (done, did, would) = match view {
        Ok(view) if view.status().journal.is_some() && asked.is_some_and(|asked| view.status().format != asked) => {
            return Err(Failure::SetUp { file, is: format!("for {}", view.status().format) });
        }
        Ok(view) if view.status().journal.is_some() => ("nothing", "has a journal already", "has a journal already"),
        Ok(_) => ("adopted", "adopted as it is", "would be adopted as it is"),
        Err(Error::Missing { .. }) => ("created", "created", "would be created"),
        Err(error) => return Err(error.into()),
    };
    if !args.dry_run && done != "nothing" {
        let options = args.format(&file)?.into_iter().fold(context.options(), Options::format);
        settled(file.clone(), &close(options.materialise(Materialise::Manual).open(&file)?, &context, out)?)?;
    }
    if out.json() {
        let fields = [("file", text(&file)), ("done", Value::from(done)), ("dry_run", Value::from(args.dry_run))];
        out.value(&fields.into_iter().collect())?;
    } else {
        out.chat(&format!("{} {}", file.display(), if args.dry_run { would } else { did }))?;
    }
    Ok(Exit::Done)
}
