//! What the commands that only read have in common: they see a hand edit, write nothing, wait for nobody,
//! and go on over damage with what is intact.

use cfgwal::{Error, State, View};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

/// The config at a revision, or the newest. Says so if the file itself cannot be read at the moment.
pub fn open(context: &Context, at: Option<u64>, out: &Terminal) -> Result<(View, State), Failure> {
    let view = context.view()?;
    if let Some(edit) = view.hand_edit() {
        let file = context.file()?;
        let how = match edit {
            Ok(_) => "was changed by hand".to_owned(),
            Err(invalid) => format!("was changed by hand and does not parse: {invalid}"),
        };
        out.warn(&format!("{} {how}\nthis is what the journal has", file.display()));
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
