//! `cfgwal ls`

use cfgwal::{Path, Value};
use clap::Args;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::reading;
use crate::terminal::Terminal;

/// List the keys of an object or the indices of an array
///
/// Keys are written as in a path; --json prints an array of plain ones.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal ls
  cfgwal ls mcpServers")]
pub struct Ls {
    /// Of what; the whole config if left out
    #[arg(default_value = "", hide_default_value = true)]
    path: String,
}

pub fn run(args: &Ls, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let path = arguments::path(&args.path)?;
    let (view, state) = reading::open(context, None, out)?;
    match state.root().get(&path) {
        Some(value) => list(&path, value, out)?,
        None if view.damage().is_some() => {}
        None => return Err(Failure::NotThere { file: context.file()?, path }),
    }
    reading::finish(&view)
}

fn list(path: &Path, value: &Value, out: &mut Terminal) -> Result<(), Failure> {
    match value {
        Value::Object(map) if out.json() => out.value(&Value::from(map.keys().map(Value::from).collect::<Vec<_>>())),
        Value::Object(map) => map.keys().try_for_each(|key| out.line(&Path::root().join(key).to_string())),
        Value::Array(list) if out.json() => {
            out.value(&Value::from((0..list.len()).map(Value::from).collect::<Vec<_>>()))
        }
        Value::Array(list) => (0..list.len()).try_for_each(|index| out.line(&index.to_string())),
        scalar => Err(Failure::NoKeys { path: path.clone(), kind: scalar.kind() }),
    }
}
