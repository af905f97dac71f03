//! `cfgwal batch --dry-run`: the same lines on a copy of the config in memory.

use std::collections::HashMap;
use std::io;

use cfgwal::{Error, Op, State, Transaction, View};

use super::answer::{self, Fields};
use super::lines::Lines;
use super::request::{self, Edit, Line, Query, Request};
use crate::context::Context;
use crate::difference;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::terminal::Terminal;

pub fn run(context: &Context, out: &mut Terminal) -> Result<Exit, Failure> {
    let file = context.file()?;
    let view = difference::look(&file)?;
    let mut rehearsal = Rehearsal {
        context,
        view: &view,
        state: view.state().clone(),
        revision: view.revision(),
        ops: Vec::new(),
        keys: HashMap::new(),
    };
    let mut lines = Lines::new(io::stdin().lock());
    while let Some(line) = lines.next().map_err(Failure::Input)? {
        let (id, request) = match line.map(request::parse) {
            Ok(Line { id, request }) => (id, request),
            Err(too_long) => (None, Err(too_long)),
        };
        let answer = request.and_then(|request| rehearsal.answer(request));
        out.value(&answer::line(id, answer))?;
        out.flush()?;
    }
    let preview = view.preview(Transaction::from(rehearsal.ops), None)?;
    out.value(&difference::to_value(&preview, &view, &file, out)?)?;
    Ok(Exit::Done)
}

/// The config as it would be.
struct Rehearsal<'a> {
    context: &'a Context,
    view: &'a View,
    state: State,
    revision: u64,
    /// What was done so far.
    ops: Vec<Op>,
    /// The answers by idempotency key. Keys that the journal knows are as new ones here.
    keys: HashMap<String, Fields>,
}

impl Rehearsal<'_> {
    fn answer(&mut self, request: Request) -> Result<Fields, Failure> {
        match request {
            Request::Edit(edit) => self.edit(edit),
            Request::Query(Query::Get(path)) => match self.state.root().get(&path) {
                Some(value) => Ok(answer::value(self.revision, value)),
                None => Err(Failure::NotThere { file: self.context.file()?, path }),
            },
            Request::Query(Query::Materialise | Query::Compact) => Ok(answer::revision(self.revision)),
        }
    }

    fn edit(&mut self, edit: Edit) -> Result<Fields, Failure> {
        if let Some(first) = edit.key.as_ref().and_then(|key| self.keys.get(key)) {
            return Ok(first.clone());
        }
        if let Some(expected) = edit.if_revision.filter(|expected| *expected != self.revision) {
            return Err(Error::Revision { expected, found: self.revision }.into());
        }
        let ops = self.view.admitted(edit.ops)?;
        let applied = self.state.apply(&ops).map_err(Error::from)?;
        self.revision += u64::from(applied.changed);
        self.ops.extend(ops);
        let fields = answer::results(self.revision, &applied.results, edit.shape);
        if let Some(key) = edit.key {
            self.keys.insert(key, fields.clone());
        }
        Ok(fields)
    }
}
