use std::path::Path;

use cfgwal::{Journal, Materialise, Op, Pending, Transaction};

use super::{Handle, Store};
use crate::Outcome;
use crate::edits::Edit;

pub struct Cfgwal(Journal);

/// The config file stays as it is until it is asked for: what is measured is the edit.
pub fn open(dir: &Path) -> Outcome<Journal> {
    Ok(Journal::options().materialise(Materialise::Manual).open(dir.join("settings.json"))?)
}

impl Cfgwal {
    pub fn open(dir: &Path) -> Outcome<Box<dyn Store>> {
        Ok(Box::new(Cfgwal(open(dir)?)))
    }
}

impl Store for Cfgwal {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(&self.0))
    }
}

impl Handle for &Journal {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        let ack = self.append(Op::set(edit.path.as_str(), edit.value.as_str()))?;
        // What changes nothing is not written, and would be measured for nothing.
        if ack.changed { Ok(()) } else { Err("an edit that changes nothing".into()) }
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let set = |all: Transaction, edit: &Edit| all.set(edit.path.as_str(), edit.value.as_str());
        self.append(edits.iter().fold(Transaction::new(), set))?;
        Ok(())
    }

    fn stream(&mut self, edits: &[Edit]) -> Outcome {
        let begin = |edit: &Edit| self.submit(Op::set(edit.path.as_str(), edit.value.as_str()));
        let begun: Vec<Pending> = edits.iter().map(begin).collect::<Result<_, _>>()?;
        begun.into_iter().try_for_each(|pending| pending.wait().map(drop))?;
        Ok(())
    }

    fn get(&mut self, path: &str) -> Outcome<Option<String>> {
        Ok(Journal::get(self, path)?)
    }
}
