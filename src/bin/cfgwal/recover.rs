//! `cfgwal recover`

use cfgwal::{Journal, Plan, RecoverOptions, Value};
use clap::Args;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::terminal::Terminal;

/// Repair what a crash left behind, and bring the file up to date
///
/// Every edit does what is needed by itself; this is for looking first, and for what nobody decides but you.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal recover --dry-run
  cfgwal recover
  cfgwal recover --accept-loss    # go on without damaged records; their bytes are kept aside")]
pub struct Recover {
    /// Print what would be done and change nothing; exit 5 if there is something to do
    #[arg(long)]
    dry_run: bool,
    /// Go on without the acknowledged records that cannot be read
    #[arg(long)]
    accept_loss: bool,
    /// Take the file as it is, though it dropped most of the config or is in nobody's name
    #[arg(long)]
    accept_file: bool,
}

pub fn run(args: &Recover, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    // Looking where there is no journal is no mistake; repairing one that is not named is.
    let file = match context.find()? {
        None if args.dry_run => {
            out.chat("no journal here, so nothing to recover")?;
            return Ok(Exit::Done);
        }
        _ => context.file()?,
    };
    let progress = Progress::start(out, format!("recovering {}", file.display()));
    let plan = if args.dry_run {
        Journal::plan_recovery(&file)?
    } else {
        let options = RecoverOptions {
            accept_loss: args.accept_loss,
            accept_file: args.accept_file,
            lock_timeout: context.lock_timeout,
        };
        Journal::recover(&file, options)?
    };
    drop(progress);
    print(&plan, out)?;
    Ok(if args.dry_run && !plan.is_clean() { Exit::Damaged } else { Exit::Done })
}

fn print(plan: &Plan, out: &mut Terminal) -> Result<(), Failure> {
    if !out.json() {
        return plan.to_string().lines().try_for_each(|line| out.line(line));
    }
    let steps: Vec<_> = plan.steps().iter().map(|step| Value::from(step.to_string())).collect();
    let fields = [("clean", Value::from(plan.is_clean())), ("steps", Value::from(steps))];
    out.value(&fields.into_iter().collect())
}
