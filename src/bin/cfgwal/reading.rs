//! What the commands that only read have in common: they see a hand edit as an edit would find it, write nothing, wait
//! for nobody, and go on over damage with what is intact.

use cfgwal::{Behind, Error, FileStatus, State, View};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// The config at a revision, or the newest. Says so if the file itself cannot be read at the moment.
pub fn open(context: &Context, at: Option<u64>, out: &Terminal) -> Result<(View, State), Failure> {
    let view = context.view()?;
    if let FileStatus::Behind { why: why @ (Behind::Invalid(_) | Behind::Shrunk), .. } = view.file_status() {
        let (file, advice) = (context.file()?, why.advice());
        out.warn(&format!("{}: {why}\nwhat is read is what the journal has; {advice}", file.display()));
    }
    let state = match at {
        Some(revision) => view.at(revision)?,
        None => view.state().clone(),
    };
    Ok((view, state))
}

/// Ends the command: with the damage that was found, if any.
pub fn finish(view: &View) -> Result<Exit, Failure> {
    match view.damage() {
        Some(damage) => Err(Failure::Partial(Error::Damaged(Box::new(damage.clone())))),
        None => Ok(Exit::Done),
    }
}
