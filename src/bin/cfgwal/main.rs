//! The `cfgwal` command: reads the command line, runs one verb, says how it ended.

mod arguments;
mod batch;
mod compact;
mod context;
mod difference;
mod dump;
mod edits;
mod escape;
mod exit;
mod failure;
mod get;
mod init;
mod log;
mod ls;
mod progress;
mod reading;
mod recover;
mod slips;
mod status;
mod terminal;
mod verify;

use std::io::ErrorKind;
use std::process::ExitCode;

use arguments::{Cli, Verb};
use context::Context;
use exit::Exit;
use failure::Failure;
use terminal::Terminal;

fn main() -> ExitCode {
    let cli = match arguments::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(code) => return code.into(),
    };
    let mut out = Terminal::new(&cli.global);
    let ended = run(cli, &mut out);
    // What was printed stands before the reason why no more was.
    let flushed = out.flush();
    match ended.and_then(|exit| flushed.map(|()| exit)) {
        Ok(exit) => exit.into(),
        // `cfgwal log | head`: who has read enough is no failure.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Exit::Done.into(),
        Err(failure) => {
            out.fail(&failure);
            failure.exit_code().into()
        }
    }
}

fn run(cli: Cli, out: &mut Terminal) -> Result<Exit, Failure> {
    let Cli { global, verb } = cli;
    let context = Context::new(global.file, global.lock_timeout, verb.name());
    match verb {
        Verb::Init(args) => init::run(args, context, out),
        Verb::Get(args) => get::run(&args, &context, out),
        Verb::Set(args) => args.run(&context, out),
        Verb::Unset(args) => args.run(&context, out),
        Verb::Merge(args) => args.run(&context, out),
        Verb::Increment(args) => args.run(&context, out),
        Verb::Push(args) => args.run(&context, out),
        Verb::Move(args) => args.run(&context, out),
        Verb::Batch(args) => batch::run(&args, &context, out),
        Verb::Ls(args) => ls::run(&args, &context, out),
        Verb::Dump(args) => dump::run(&args, &context, out),
        Verb::Status(_) => status::run(&context, out),
        Verb::Verify(_) => verify::run(&context, out),
        Verb::Compact(args) => compact::run(&args, &context, out),
        Verb::Recover(args) => recover::run(&args, &context, out),
        Verb::Log(args) => log::run(&args, &context, out),
    }
}
