//! The background thread of an open journal: brings the config file up to date, compacts, and drives edits that were
//! submitted and that nobody waits for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Inner, Materialise};
use crate::materialise::{Behind, FileStatus};

/// How long to leave what could not be done.
const AGAIN: Duration = Duration::from_secs(1);

/// How far the file may lag behind the log while edits go on.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// A log that grows fast is left alone for so many times as long as its last compaction took, and no less than this.
const REST: u32 = 4;
const REST_MIN: Duration = Duration::from_millis(20);

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
    /// The log has outgrown its snapshot.
    outgrown: bool,
    /// Edits wait in the queue.
    submitted: bool,
    stop: bool,
}

impl Signals {
    /// Edits were made, and the log may have outgrown its snapshot. Returns whether this is news: only then somebody has to see
    /// to it that there is a keeper.
    pub(super) fn edited(&self, outgrown: bool) -> bool {
        self.tell(|state| set(&mut state.dirty, true) | set(&mut state.outgrown, outgrown))
    }

    /// Returns whether this is news.
    pub(super) fn submitted(&self) -> bool {
        self.tell(|state| set(&mut state.submitted, true))
    }

    pub(super) fn stop(&self) {
        self.tell(|state| set(&mut state.stop, true));
    }

    /// There is no keeper who would know of it.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        (state.dirty, state.outgrown, state.submitted) = (false, false, false);
    }

    /// What was begun came to nothing.
    fn begin_again(&self, are_edits_waiting: bool) {
        let mut state = self.state();
        state.dirty = false;
        state.submitted |= are_edits_waiting;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: impl Fn(&mut State) -> bool) -> bool {
        let mut state = self.state();
        let is_news = news(&mut state);
        if is_news {
            self.changed.notify_one();
        }
        is_news
    }
}

/// Returns whether that is news.
fn set(word: &mut bool, said: bool) -> bool {
    said && !std::mem::replace(word, true)
}

/// Work until told to stop. After a panic, which the thread's hook has reported, those whose edits wait are not left alone;
/// the file waits for the next edit.
pub(super) fn run(inner: &Arc<Inner>) {
    while catch_unwind(AssertUnwindSafe(|| work(inner))).is_err() {
        inner.signals.begin_again(inner.queue.len() > 0);
    }
    inner.signals.forget();
}

fn work(inner: &Arc<Inner>) {
    let signals = &inner.signals;
    // When the file is due, if it is.
    let mut due: Option<Instant> = None;
    let mut cost = Duration::ZERO;
    let mut noticed = false;
    // Until when the log is left alone.
    let mut rested = Instant::now();
    let mut state = signals.state();
    loop {
        if state.stop {
            return;
        }
        if std::mem::take(&mut state.submitted) {
            drop(state);
            inner.drive_submitted();
            state = signals.state();
        }
        // The word stays said until the file's turn comes, so that further edits need not wake this thread.
        if state.dirty && !noticed {
            noticed = true;
            let soon = after(delay(inner.options.materialise, cost));
            due = due.into_iter().chain(soon).min();
        }
        let now = Instant::now();
        if state.outgrown && rested <= now {
            state.outgrown = false;
            drop(state);
            let rest = if compact(inner) { (now.elapsed() * REST).max(REST_MIN) } else { AGAIN };
            rested = Instant::now() + rest;
            state = signals.state();
            continue;
        }
        if due.is_some_and(|at| at <= now) {
            (state.dirty, noticed) = (false, false);
            drop(state);
            let next = tend(inner, &mut cost);
            let soon = delay(inner.options.materialise, cost);
            due = match next {
                Next::Nothing => None,
                Next::Soon => after(soon),
                Next::Later => after(AGAIN.max(soon)),
            };
            state = signals.state();
            continue;
        }
        if state.submitted || state.stop {
            continue;
        }
        state = match due.into_iter().chain(state.outgrown.then_some(rested)).min() {
            Some(at) => {
                let wait = at.saturating_duration_since(now);
                signals.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
            }
            None => signals.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// A file that is slow to write is written more rarely, but is no more than a second behind as long as writing it
/// takes no more than half a second.
fn delay(when: Materialise, cost: Duration) -> Duration {
    let least = match when {
        Materialise::After(delay) => delay,
        Materialise::OnCommit | Materialise::Manual => Duration::from_millis(100),
    };
    least.max(cost).max((cost * 10).min(BEHIND_MAX / 2))
}

/// The moment so long from now; of a wait longer than any clock counts there is none.
fn after(delay: Duration) -> Option<Instant> {
    Instant::now().checked_add(delay)
}

/// What there is to do next.
enum Next {
    Nothing,
    /// Edits came while the file was written.
    Soon,
    /// Something stands in the way that may pass.
    Later,
}

/// Bring the file up to date and compact. What comes next does not wait for a further edit; `cost` is what writing the
/// file took, not compacting.
fn tend(inner: &Inner, cost: &mut Duration) -> Next {
    let mut next = Next::Nothing;
    if matches!(inner.options.materialise, Materialise::After(_)) {
        let began = Instant::now();
        let outcome = inner.materialise(false);
        *cost = began.elapsed();
        match outcome {
            Ok(FileStatus::Current { .. }) => {}
            // What holds it back may pass: an editor closes the file, a process lets go of a lock, somebody makes room.
            Ok(FileStatus::Behind { why: Behind::Pending, .. }) => next = Next::Soon,
            Ok(FileStatus::Behind { .. }) => next = Next::Later,
            Err(error) => {
                tracing::warn!(%error, "the config file could not be brought up to date; the edits are safe in the log");
            }
        }
    }
    if !compact(inner) {
        next = Next::Later;
    }
    next
}

/// Whether that did not fail, which a panic is too: the hook has reported that one.
fn compact(inner: &Inner) -> bool {
    let done = catch_unwind(AssertUnwindSafe(|| inner.compact_if_due()));
    if let Ok(Err(error)) = &done {
        tracing::warn!(%error, "the log could not be compacted");
    }
    matches!(done, Ok(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_file_is_written_more_rarely_but_is_not_a_second_behind_for_that() {
        let usual = Materialise::After(Duration::from_millis(100));
        for (cost, wait) in [(0, 100), (10, 100), (30, 300), (50, 500), (90, 500), (400, 500), (3000, 3000)] {
            let (cost, wait) = (Duration::from_millis(cost), Duration::from_millis(wait));
            assert_eq!(delay(usual, cost), wait, "after a write that took {cost:?}");
        }
        assert_eq!(delay(Materialise::After(Duration::from_secs(60)), Duration::ZERO), Duration::from_secs(60));
    }

    #[test]
    fn a_wait_for_ever_ends_at_no_moment_and_in_no_panic() {
        let never = Materialise::After(Duration::MAX);
        assert_eq!(after(delay(never, Duration::from_secs(1))), None);
        assert!(after(AGAIN).is_some());
    }
}
