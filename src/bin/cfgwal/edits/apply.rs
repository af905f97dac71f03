//! [`Apply`]: how an edit is made, whichever it is.

use std::path::{Path as FilePath, PathBuf};

use cfgwal::document::Format;
use cfgwal::{Ack, Behind, Error, FileStatus, Journal, Op, Path, Refusal, Transaction, Value};
use clap::Args;

use crate::arguments;
use crate::context::Context;
use crate::difference;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::status::explained;
use crate::terminal::Terminal;

/// What every edit takes.
#[derive(Debug, Args)]
pub struct Apply {
    /// Print the change of the file as a diff and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Only if the config is at revision N
    #[arg(long, value_name = "N")]
    if_revision: Option<u64>,
    /// Only if this value is there; may be given several times
    #[arg(long = "if", value_name = "PATH=VALUE")]
    if_equal: Vec<String>,
    /// Only if nothing is there; may be given several times
    #[arg(long, value_name = "PATH")]
    if_absent: Vec<String>,
    /// Make the edit once only: a repeat with the same key prints the first result
    #[arg(long, value_name = "KEY")]
    id: Option<String>,
}

impl Apply {
    /// Makes the edit, or shows what it would do.
    pub fn run(self, op: Op, context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
        let (dry_run, expected) = (self.dry_run, self.if_revision);
        let transaction = self.transaction(op)?;
        if dry_run {
            return difference::dry_run(transaction, expected, &context.file()?, out);
        }
        let progress = Progress::start(out, format!("writing {}", context.file()?.display()));
        let journal = prepare(&transaction, expected, context).map_err(not_applied)?;
        let ack = journal.append_last(transaction, expected)?;
        drop(progress);
        tracing::info!(revision = ack.revision, changed = ack.changed, "durable");
        report(&ack, out)?;
        let status = close(journal, context, out)?;
        settled(context.file()?, &status)
    }

    /// The op behind its preconditions.
    fn transaction(self, op: Op) -> Result<Transaction, Failure> {
        let mut transaction = Transaction::new();
        for condition in &self.if_equal {
            let (path, value) = split(condition)?;
            let (value, _) = arguments::value(value, false);
            transaction = transaction.op(Op::Test { path: arguments::path(path)?, expected: Some(value) });
        }
        for path in &self.if_absent {
            transaction = transaction.op(Op::Test { path: arguments::path(path)?, expected: None });
        }
        transaction = transaction.op(op);
        if let Some(key) = self.id {
            transaction = transaction.idempotent(key);
        }
        Ok(transaction)
    }
}

/// Parts `PATH=VALUE` at the first `=` that is not inside a quoted key.
fn split(condition: &str) -> Result<(&str, &str), Failure> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in condition.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !condition.starts_with('/') => quoted = !quoted,
            b'=' if !quoted => return Ok((&condition[..at], &condition[at + 1..])),
            _ => {}
        }
    }
    Err(Failure::Usage(format!("--if takes PATH=VALUE, and `{condition}` has no `=`")))
}

/// The journal, for an edit that nothing is known to stand against.
fn prepare(edit: &Transaction, expected: Option<u64>, context: &Context) -> Result<Journal, Failure> {
    refuse_first(edit, expected, context)?;
    let journal = context.journal()?;
    refuse_early(edit, expected, &journal)?;
    Ok(journal)
}

/// A disk that fails before the edit leaves nobody in doubt about the edit.
fn not_applied(failure: Failure) -> Failure {
    match failure {
        Failure::Engine(error @ (Error::Io { .. } | Error::Locked { .. })) => Error::NotApplied(Box::new(error)).into(),
        other => other,
    }
}

/// The first edit makes the journal. One that does not fit the file is refused before that, and leaves nothing behind.
fn refuse_first(edit: &Transaction, expected: Option<u64>, context: &Context) -> Result<(), Failure> {
    if context.has_journal()? {
        return Ok(());
    }
    let view = match difference::look(&context.file()?) {
        // Perhaps it is just being saved: whoever makes the journal waits for that.
        Err(Failure::Engine(Error::Invalid { .. })) => return Ok(()),
        view => view?,
    };
    // A link may lead to where a file was that had one.
    if view.status().journal.is_none() {
        view.preview(edit.clone(), expected)?;
    }
    Ok(())
}

/// An edit of a file that a person broke would be a surprise to that person: not before it is put right. And an edit that
/// the file could never show is better refused than logged, which in some formats only its text can tell.
fn refuse_early(edit: &Transaction, expected: Option<u64>, journal: &Journal) -> Result<(), Failure> {
    let mut status = journal.file_status()?;
    if matches!(status, FileStatus::Behind { why: Behind::Invalid(_), .. }) {
        // Perhaps it is just being saved.
        status = journal.materialise()?;
    }
    match status {
        FileStatus::Behind { why: Behind::Invalid(invalid), .. } => {
            Err(Error::Invalid { path: journal.path().to_owned(), invalid }.into())
        }
        FileStatus::Current { .. } if !matches!(journal.format(), Format::Json | Format::Jsonc) => {
            match journal.preview(edit.clone(), expected) {
                Err(error @ Error::Refused(Refusal::Unwritable { .. })) => Err(error.into()),
                // All else is judged when it is appended.
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn report(ack: &Ack, out: &mut Terminal) -> Result<(), Failure> {
    let value = ack.results.iter().rev().find_map(Option::as_ref);
    if out.json() {
        let mut fields = vec![("revision", Value::from(ack.revision)), ("changed", Value::from(ack.changed))];
        fields.extend(value.map(|value| ("value", value.clone())));
        fields.extend(ack.repeated.then_some(("repeated", Value::from(true))));
        out.value(&fields.into_iter().collect())?;
    } else if let Some(value) = value {
        out.value(value)?;
    }
    // The edit is durable: say so before anything that keeps the file from showing it is dealt with, which may take longer.
    out.flush()
}

/// A person changed what a program had changed: the person's value counts, and both should know.
pub fn conflict(path: &Path, file: &FilePath) -> String {
    format!(
        "{path} was changed in {} by hand and by a program: the file's value counts; \
         `cfgwal log --conflicts` shows both",
        file.display()
    )
}

/// Makes the file current, which a command leaves it wherever that is possible.
pub fn close(journal: Journal, context: &Context, out: &Terminal) -> Result<FileStatus, Failure> {
    let _progress = Progress::start(out, format!("writing {}", context.file()?.display()));
    let asked = journal.clone();
    let status = journal.close()?;
    for path in asked.take_conflicts() {
        out.warn(&conflict(&path, asked.path()));
    }
    tracing::info!(revision = newest(&status), current = matches!(status, FileStatus::Current { .. }), "closed");
    Ok(status)
}

/// A file that does not show what is durable ends a command with a code of its own.
pub fn settled(file: PathBuf, status: &FileStatus) -> Result<Exit, Failure> {
    match status {
        // It was written, and since then others went on: what they did is theirs to show.
        FileStatus::Behind { shows: Some(_), why: Behind::Pending, .. } => Ok(Exit::Done),
        FileStatus::Behind { shows, revision, why } => {
            Err(Failure::Behind { file, revision: *revision, shows: *shows, why: explained(why) })
        }
        FileStatus::Current { .. } => Ok(Exit::Done),
    }
}

/// The newest durable revision, whether the file shows it or not.
pub fn newest(status: &FileStatus) -> u64 {
    match status {
        FileStatus::Current { revision } | FileStatus::Behind { revision, .. } => *revision,
    }
}
