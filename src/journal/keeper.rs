//! The background thread of an open journal: brings the config file up to date, compacts, and drives edits that were
//! submitted and that nobody waits for.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Inner, Materialise};
use crate::materialise::FileStatus;

/// How long to leave what could not be done.
const AGAIN: Duration = Duration::from_secs(1);

/// What the keeper was told.
#[derive(Default)]
pub(super) struct Signals {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Edits were made that the file does not show.
    dirty: bool,
    /// Edits wait in the queue.
    submitted: bool,
    stop: bool,
}

impl Signals {
    pub(super) fn edited(&self) {
        self.tell(|state| &mut state.dirty);
    }

    pub(super) fn submitted(&self) {
        self.tell(|state| &mut state.submitted);
    }

    pub(super) fn stop(&self) {
        self.tell(|state| &mut state.stop);
    }

    fn tell(&self, what: impl Fn(&mut State) -> &mut bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(what(&mut state), true) {
            self.changed.notify_one();
        }
    }
}

/// Work until told to stop.
pub(super) fn run(inner: &Arc<Inner>) {
    let signals = &inner.signals;
    // When the file is due, if it is.
    let mut due: Option<Instant> = None;
    let mut cost = Duration::ZERO;
    let mut state = signals.state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if state.stop {
            return;
        }
        if std::mem::take(&mut state.submitted) {
            drop(state);
            inner.drive_submitted();
            state = signals.state.lock().unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        if std::mem::take(&mut state.dirty) && due.is_none() {
            due = Some(Instant::now() + delay(inner.options.materialise, cost));
        }
        let now = Instant::now();
        match due {
            Some(at) if at <= now => {
                drop(state);
                let again = tend(inner);
                cost = now.elapsed();
                due = again.then(|| Instant::now() + AGAIN.max(delay(inner.options.materialise, cost)));
                state = signals.state.lock().unwrap_or_else(PoisonError::into_inner);
            }
            Some(at) => {
                state = signals.changed.wait_timeout(state, at - now).unwrap_or_else(PoisonError::into_inner).0;
            }
            None => state = signals.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// A file that is slow to write is written more rarely.
fn delay(when: Materialise, cost: Duration) -> Duration {
    match when {
        Materialise::After(delay) => delay.max(cost * 10),
        Materialise::OnCommit | Materialise::Manual => Duration::from_millis(100).max(cost * 10),
    }
}

/// Returns whether to try again although no further edit comes.
fn tend(inner: &Inner) -> bool {
    let mut again = false;
    if matches!(inner.options.materialise, Materialise::After(_)) {
        match inner.materialise(false) {
            Ok(FileStatus::Current { .. }) => {}
            // What holds it back may pass: an editor closes the file, a process lets go of a lock, somebody makes room.
            Ok(FileStatus::Behind { .. }) => again = true,
            Err(error) => {
                tracing::warn!(%error, "the config file could not be brought up to date; the edits are safe in the log");
            }
        }
    }
    if let Err(error) = inner.compact_if_due() {
        tracing::warn!(%error, "the log could not be compacted");
        again = true;
    }
    again
}
