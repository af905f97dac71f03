//! `cfgwal recover`

use std::path::Path;

use cfgwal::{Behind, Error, Journal, Plan, RecoverOptions, TornTail, Value};
use clap::Args;

use crate::context::Context;
use crate::edits::settled;
use crate::exit::Exit;
use crate::failure::{self, Failure};
use crate::progress::Progress;
use crate::status::{file_fields, file_line};
use crate::terminal::Terminal;
use crate::verify::{findings, no_journal};

/// Repair what a crash left behind, and bring the file up to date
///
/// Every edit does what is needed by itself; this is for looking first, and for what nobody decides but you.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cfgwal recover --dry-run
  cfgwal recover
  cfgwal recover --accept-loss    # go on without damaged records; their bytes are kept aside
  cfgwal recover --accept-file    # the file was emptied on purpose")]
pub struct Recover {
    /// Print what would be done and change nothing; exit 5 if there is something to do
    #[arg(long)]
    dry_run: bool,
    /// Go on without the acknowledged records that cannot be read
    #[arg(long)]
    accept_loss: bool,
    /// Take a config file as it is, though most of it is gone; write one anew that someone removed
    #[arg(long)]
    accept_file: bool,
}

pub fn run(args: &Recover, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    // Looking where there is no journal is no mistake; repairing what is not named is one.
    let file = match context.find()? {
        None if args.dry_run => return no_journal("recover", out).map(|()| Exit::Done),
        _ => context.file()?,
    };
    let progress = Progress::start(out, format!("recovering {}", file.display()));
    let found = Journal::plan_recovery(&file)?;
    let Some(plan) = found else {
        return match context.view() {
            // What the file says is for whoever edits it. That there is no file either is another thing.
            Ok(_) | Err(Failure::Engine(Error::Invalid { .. })) => no_journal("recover", out).map(|()| Exit::Done),
            Err(failure) => Err(failure),
        };
    };
    if args.dry_run {
        drop(progress);
        print(&plan, out)?;
        if let Some(why) = plan.left_to_you().filter(|_| !out.json()) {
            out.line(&format!("to you    {}", why.advice()))?;
        }
        return Ok(if plan.is_clean() { Exit::Done } else { Exit::Damaged });
    }
    recover(args, context, &file, progress, out)
}

fn recover(
    args: &Recover,
    context: &Context,
    file: &Path,
    progress: Progress,
    out: &mut Terminal,
) -> Result<Exit, Failure> {
    let mut options = RecoverOptions::default();
    options.accept_loss = args.accept_loss;
    options.accept_file = args.accept_file;
    options.lock_timeout = context.lock_timeout;
    let (plan, status) = Journal::recover(file, &options)?;
    drop(progress);
    print(&plan, out)?;
    let exit = settled(file.to_owned(), &status)?;
    if !out.json() {
        out.chat(&format!("done      the file is {}", file_line(&status)))?;
    }
    Ok(exit)
}

fn print(plan: &Plan, out: &mut Terminal) -> Result<(), Failure> {
    if out.json() {
        return out.value(&to_value(plan));
    }
    plan.to_string().lines().try_for_each(|line| out.line(line))
}

fn to_value(plan: &Plan) -> Value {
    let torn = |torn: &TornTail| -> Value {
        let fields = [
            ("file", failure::text(&torn.file)),
            ("offset", Value::from(torn.offset)),
            ("bytes", Value::from(torn.len)),
        ];
        fields.into_iter().collect()
    };
    let of_journal = plan.steps().iter().map(ToString::to_string);
    let steps = of_journal.chain(plan.file_step().map(str::to_owned));
    let file: Value = file_fields(plan.file_status()).into_iter().collect();
    let segments: Value = plan.segments().iter().map(Value::from).collect();
    [
        ("clean", Value::from(plan.is_clean())),
        ("revision", Value::from(plan.revision())),
        ("snapshot", Value::from(plan.snapshot_revision())),
        ("records", Value::from(plan.records())),
        ("segments", segments),
        ("file", file),
        ("torn", Value::from(plan.torn().map(torn))),
        ("damage", Value::from(plan.damage().map(failure::damage))),
        ("findings", findings(plan.findings())),
        ("steps", steps.map(Value::from).collect()),
        ("to_you", Value::from(plan.left_to_you().map(Behind::advice))),
    ]
    .into_iter()
    .collect()
}
