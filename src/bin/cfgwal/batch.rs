//! `cfgwal batch`: JSON lines in, JSON lines out, for programs in any language.
//!
//! ```text
//! stdin ─ reader thread: parse, submit ─▶ bounded queue ─▶ main thread: wait, answer ─▶ stdout
//! ```
//!
//! Edits are submitted as they are read, so that those in flight share syncs; answers are given in order,
//! each as soon as its edit is durable. A line that reads must see all edits before it and none behind it, so
//! nothing is submitted behind one until it is answered. What is in flight is bounded in number and, because
//! behind a long line the reader waits too, in bytes.

mod answer;
mod lines;
mod rehearsal;
mod request;

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use cfgwal::{FileStatus, Journal, Pending, Value};
use clap::Args;

use crate::context::Context;
use crate::edits::{close, conflict, newest, settled};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;
use lines::Lines;
use request::{Line, Query, Request, Shape};

/// How many lines may be in flight.
const IN_FLIGHT: usize = 256;
/// Behind a line longer than this nothing is read until it is answered.
const LONG: usize = 64 << 10;

/// Serve edits as JSON lines: one object per line in, one answer per line out
///
/// Answers come in order, each as soon as it is known: that of an edit when the edit is durable. Do not wait for
/// an answer before you send the next line, and edits share syncs. A line that is refused or makes no sense
/// gets an answer that says so, and the next one is served: such lines do not change the exit code. At the end
/// of the input everything is acknowledged and the file is made current.
#[derive(Debug, Args)]
#[command(after_help = r#"Lines:
  {"op":"set","path":"server.port","value":8080}
  {"op":"remove","path":"server.debug"}
  {"op":"merge","path":"server","value":{"a":1,"b":null}}
  {"op":"increment","path":"nextId","by":1}
  {"op":"push","path":"tags","value":"new","cap":100,"unique":true}
  {"op":"insert","path":"args[0]","value":"-v"}
  {"op":"move","from":"servers.old","to":"servers.new"}
  {"op":"txn","if":[{"path":"lock","absent":true},{"path":"n","value":6},{"revision":41}],"ops":[...]}
  {"op":"get","path":"server.port"}
  {"op":"materialise"}
  {"op":"compact"}

Every line may have an "id", which its answer has too; every edit a "key": the same key applies once.

Answers:
  {"ok":true,"revision":41}
  {"ok":true,"revision":42,"value":7}             get, increment
  {"ok":true,"revision":43,"results":[null,7]}    txn
  {"ok":false,"error":{"code":"refused","exit":8,"message":"..."}}

Example:
  printf '%s\n' '{"op":"set","path":"a","value":1}' '{"op":"get","path":"a"}' |
    cfgwal -f settings.json batch"#)]
pub struct Batch {
    /// Answer as if, end with a line that has the diff of the file, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Batch, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    if args.dry_run {
        return rehearsal::run(context, out);
    }
    // While lines come in, the file follows in the background.
    let file = context.file()?;
    let journal = context.options().open(&file)?;
    let (queue, answers) = mpsc::sync_channel(IN_FLIGHT);
    let reader = Reader { journal: journal.clone(), queue };
    let reader =
        thread::Builder::new().name("reader".to_owned()).spawn(move || reader.run()).map_err(Failure::Input)?;
    let served = Server { journal: journal.clone(), file: file.clone() }.run(&answers, out);
    drop(answers);
    // Unless the input ended, the reader may wait for more of it for ever.
    if let Ok(Ended::Input) = served
        && let Err(panic) = reader.join()
    {
        std::panic::resume_unwind(panic);
    }
    let status = close(journal, context, out)?;
    served?;
    settled(file, &status)
}

/// What was read, in the order of the lines.
struct Item {
    id: Option<Value>,
    what: What,
    /// To be told when the answer is given, if the reader waits for it.
    answered: Option<SyncSender<()>>,
}

enum What {
    /// An edit on its way to the disk.
    Edit(Pending, Shape),
    /// Something to be looked up or done when all edits before it are durable.
    Query(Query),
    /// A line that makes no sense or was refused at once.
    Refused(Failure),
    /// The input broke off.
    Broken(io::Error),
}

/// The thread that reads lines and submits edits.
struct Reader {
    journal: Journal,
    queue: SyncSender<Item>,
}

impl Reader {
    /// Until the input ends or nobody gives answers any more.
    fn run(self) {
        let mut lines = Lines::new(io::stdin().lock());
        loop {
            let goes_on = match lines.next() {
                Ok(None) => false,
                Ok(Some(line)) => self.take(line),
                Err(error) => {
                    self.queue(None, What::Broken(error), false);
                    false
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Whether to read on.
    fn take(&self, line: Result<&[u8], Failure>) -> bool {
        let line = match line {
            Ok(line) => line,
            Err(too_long) => return self.queue(None, What::Refused(too_long), false),
        };
        let Line { id, request } = request::parse(line);
        match request {
            Err(nonsense) => self.queue(id, What::Refused(nonsense), false),
            Ok(Request::Query(query)) => self.queue(id, What::Query(query), true),
            Ok(Request::Edit(edit)) => {
                let (shape, expected) = (edit.shape, edit.if_revision);
                let what = match self.journal.submit_expecting(edit.into_transaction(), expected) {
                    Ok(pending) => What::Edit(pending, shape),
                    Err(error) => What::Refused(error.into()),
                };
                self.queue(id, what, line.len() > LONG)
            }
        }
    }

    /// Whether to read on, if need be after the answer was given.
    fn queue(&self, id: Option<Value>, what: What, wait: bool) -> bool {
        let (answered, waiting) = mpsc::sync_channel(1);
        let queued = self.queue.send(Item { id, what, answered: wait.then_some(answered) }).is_ok();
        queued && (!wait || waiting.recv().is_ok())
    }
}

/// Why there are no more answers.
enum Ended {
    Input,
    /// Nobody reads them.
    Output,
}

/// Gives the answers.
struct Server {
    journal: Journal,
    file: PathBuf,
}

impl Server {
    fn run(self, items: &Receiver<Item>, out: &mut Terminal) -> Result<Ended, Failure> {
        let (mut lines, mut failed) = (0_u64, 0_u64);
        for Item { id, what, answered } in items {
            let answer = match what {
                What::Broken(error) => return Err(Failure::Input(error)),
                what => self.answer(what),
            };
            (lines, failed) = (lines + 1, failed + u64::from(answer.is_err()));
            if let Err(failure) = out.value(&answer::line(id, answer)).and_then(|()| out.flush()) {
                // What was read is acknowledged all the same, though nobody hears of it.
                items.try_iter().for_each(|item| drop(self.answer(item.what)));
                return match failure {
                    Failure::Output(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Ended::Output),
                    failure => Err(failure),
                };
            }
            // A reader that went away does not wait.
            answered.map(|answered| answered.send(()));
        }
        if failed > 0 {
            out.warn(&format!("{failed} of {lines} lines failed; their answers say why"));
        }
        Ok(Ended::Input)
    }

    fn answer(&self, what: What) -> Result<answer::Fields, Failure> {
        match what {
            What::Edit(pending, shape) => {
                let ack = pending.wait()?;
                let met = self.journal.take_conflicts();
                Ok(answer::edit(&ack, shape, met.iter().map(|path| conflict(path, &self.file))))
            }
            What::Query(query) => self.query(&query),
            What::Refused(failure) => Err(failure),
            What::Broken(error) => Err(Failure::Input(error)),
        }
    }

    fn query(&self, query: &Query) -> Result<answer::Fields, Failure> {
        match query {
            Query::Get(path) => {
                let snapshot = self.journal.snapshot()?;
                let value = snapshot.get(path).ok_or_else(|| self.not_there(path))?;
                Ok(answer::value(snapshot.revision(), value))
            }
            Query::Materialise => self.shown(&self.journal.materialise()?),
            Query::Compact => self.shown(&self.journal.compact()?.1),
        }
    }

    fn not_there(&self, path: &cfgwal::Path) -> Failure {
        Failure::NotThere { file: self.file.clone(), path: path.clone() }
    }

    fn shown(&self, status: &FileStatus) -> Result<answer::Fields, Failure> {
        settled(self.file.clone(), status).map(|_| answer::revision(newest(status)))
    }
}
