//! Edits of many threads, appended together: one thread leads, which appends for all who wait and sees it durable; the
//! others sleep until their edit is settled, or until it is their turn to lead.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::Error;
use crate::log::{Appended, Log, Request, Want};
use crate::op::Transaction;
use crate::planted::{Bug, planted};

/// Edits that go into one write at most.
const BATCH_MAX: usize = 1024;
/// Bytes that go into one write at most, unless a single edit is larger.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes that may wait before a submitter has to help.
pub(super) const WAITING_MAX: usize = 64 << 20;

/// One edit on its way into the log.
pub(super) struct Slot {
    pub(super) edit: Edit,
    state: Mutex<State>,
    /// Told when it is settled, or when it is its owner's turn to lead.
    changed: Condvar,
    /// It waits for its turn. Like the next, looked at and changed under the lock of the queue.
    waits: AtomicBool,
    /// It waits, and its owner sleeps and can be asked to lead.
    sleeps: AtomicBool,
}

#[derive(Default)]
struct State {
    /// What became of it, until somebody takes it.
    settled: Option<Settled>,
    leads: bool,
    /// Its owner waits to be told.
    listens: bool,
    waker: Option<Waker>,
}

/// What is needed to judge and write an edit.
#[derive(Clone)]
pub(super) struct Edit {
    pub payload: Arc<[u8]>,
    /// What the payload says, if that is more than a plain set: one of those is read from the payload in no time.
    pub transaction: Option<Box<Transaction>>,
    pub expected: Option<u64>,
}

/// What became of an edit.
pub(super) struct Settled {
    pub outcome: Result<Appended, Error>,
    /// Whether that is durable: the edit, or for a refusal what it was judged on.
    pub durable: Result<(), Box<Error>>,
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, settled: Settled, wakers: &mut Wakers) {
        let mut state = self.state();
        state.settled = Some(settled);
        wakers.0.extend(state.waker.take());
        let listens = state.listens;
        drop(state);
        // Telling costs a system call even where nobody listens.
        if listens {
            self.changed.notify_one();
        }
    }

    /// What became of the edit, or the context is woken when that is known.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Settled> {
        let mut state = self.state();
        if let Some(settled) = state.settled.take() {
            return Poll::Ready(settled);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// What became of the edit, if that is known.
    fn taken(&self) -> Option<Settled> {
        self.state().settled.take()
    }

    /// Sleep until it is settled; `None`: it is this thread's turn to lead.
    fn sleep(&self) -> Option<Settled> {
        let mut state = self.state();
        loop {
            state.listens = false;
            if state.settled.is_some() {
                return state.settled.take();
            }
            if std::mem::take(&mut state.leads) {
                return None;
            }
            state.listens = true;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Tasks to wake. Wakers are other people's code: they may edit, so they run when nothing is held and nobody leads.
#[derive(Default)]
struct Wakers(Vec<Waker>);

impl Drop for Wakers {
    fn drop(&mut self) {
        for waker in self.0.drain(..) {
            // The panic hook has reported it. Neither the other tasks nor who writes for them has a part in it.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
    }
}

/// Edits that wait for their turn, in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Told when nobody leads any more.
    free: Condvar,
}

#[derive(Default)]
struct Waiting {
    slots: VecDeque<Arc<Slot>>,
    bytes: usize,
    /// Slots whose owners sleep.
    sleepers: usize,
    /// Somebody leads.
    led: bool,
    /// Threads that want to lead and have no slot of their own here.
    helpers: usize,
}

/// Being the one who appends for all.
struct Lead<'a>(&'a Queue);

impl Drop for Lead<'_> {
    /// Somebody whose edit waits goes on; where nobody does, whoever comes next.
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        let is_looked_for = waiting.helpers == 0 && waiting.sleepers > 0;
        if is_looked_for && let Some(next) = waiting.slots.iter().find(|slot| slot.sleeps.load(Relaxed)).cloned() {
            next.sleeps.store(false, Relaxed);
            waiting.sleepers -= 1;
            drop(waiting);
            next.state().leads = true;
            next.changed.notify_one();
            return;
        }
        waiting.led = false;
        let is_awaited = waiting.helpers > 0;
        drop(waiting);
        if is_awaited {
            self.0.free.notify_one();
        }
        debug_assert!(!is_looked_for, "who is counted as asleep and does not wait has every leader look for nobody");
    }
}

/// Edits that are being appended. Nobody waits for ever for those that a panic left without an outcome.
struct Batch<'a> {
    slots: Vec<Arc<Slot>>,
    /// The first so many of them are settled.
    settled: usize,
    wakers: &'a mut Wakers,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for slot in &self.slots[self.settled..] {
            let panicked = std::io::Error::other("a panic interrupted it");
            let error = Error::io("append to", std::path::Path::new("the journal"))(panicked);
            let outcome = Err(Error::OutcomeUnknown(Box::new(error)));
            slot.settle(Settled { outcome, durable: Ok(()) }, self.wakers);
        }
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Give an edit its place; also returns how many bytes wait now.
    pub(super) fn push(&self, edit: Edit) -> (Arc<Slot>, usize) {
        let (state, changed) = Default::default();
        let (waits, sleeps) = (AtomicBool::new(true), AtomicBool::new(false));
        let slot = Arc::new(Slot { edit, state, changed, waits, sleeps });
        let mut waiting = self.waiting();
        waiting.bytes += slot.edit.payload.len();
        waiting.slots.push_back(slot.clone());
        (slot, waiting.bytes)
    }

    /// Edits that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting().slots.len()
    }

    /// See to it that this edit has its turn and is durable.
    ///
    /// If it is this thread that appends it, `before` is called before anything is judged, and `appended` once edits are in
    /// the log and nobody has waited for them yet.
    pub(super) fn drive(&self, log: &Log, slot: &Slot, before: impl Fn(), appended: impl Fn()) -> Settled {
        loop {
            if let Some(settled) = slot.taken() {
                return settled;
            }
            let mut waiting = self.waiting();
            if let Some(settled) = slot.taken() {
                return settled;
            }
            let mut wakers = Wakers::default();
            let lead = if waiting.led {
                if slot.waits.load(Relaxed) {
                    slot.sleeps.store(true, Relaxed);
                    waiting.sleepers += 1;
                }
                drop(waiting);
                if let Some(settled) = slot.sleep() {
                    return settled;
                }
                Lead(self)
            } else {
                waiting.led = true;
                drop(waiting);
                Lead(self)
            };
            self.append_batch(log, &before, &appended, &mut wakers);
            drop(lead);
        }
    }

    /// Append some of what waits and see it durable, for owners who may be long in coming. Returns how many edits that were.
    pub(super) fn drive_for_others(&self, log: &Log, before: impl Fn()) -> usize {
        let mut waiting = self.waiting();
        waiting.helpers += 1;
        while waiting.led {
            waiting = self.free.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.helpers -= 1;
        waiting.led = true;
        drop(waiting);
        let mut wakers = Wakers::default();
        let lead = Lead(self);
        let edits = self.append_batch(log, &before, &|| (), &mut wakers);
        drop(lead);
        edits
    }

    /// What `before` does is done before all of the batch, and later than any of it was asked for: an edit that is asked for
    /// after a save comes after that save.
    fn append_batch(&self, log: &Log, before: &impl Fn(), appended: &impl Fn(), wakers: &mut Wakers) -> usize {
        let mut batch = Batch { slots: self.take_batch(), settled: 0, wakers };
        if batch.slots.is_empty() {
            return 0;
        }
        before();
        let mut requests: Vec<Request<'_>> =
            batch.slots.iter().map(|slot| Request::new(Want::from(&slot.edit))).collect();
        log.append(&mut requests);
        if requests.iter().any(|request| matches!(&request.outcome, Some(Ok(done)) if done.written)) {
            appended();
        }
        for (slot, request) in batch.slots.iter().zip(requests) {
            let outcome = request.outcome.expect("every request has an outcome");
            let durable = match (&outcome, &request.judged_on) {
                (Ok(appended), _) => log.wait_durable(&appended.ticket),
                // What it was judged on must not vanish, neither before the answer nor after it.
                (Err(Error::Refused(_) | Error::Revision { .. }), Some(judged_on)) if !planted(Bug::RefusedEarly) => {
                    log.wait_durable(judged_on)
                }
                (Err(_), _) => Ok(()),
            };
            slot.settle(Settled { outcome, durable: durable.map_err(Box::new) }, batch.wakers);
            batch.settled += 1;
        }
        batch.settled
    }

    fn take_batch(&self) -> Vec<Arc<Slot>> {
        let mut waiting = self.waiting();
        let mut bytes = 0;
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some(slot) = waiting.slots.front()
            && (batch.is_empty() || bytes + slot.edit.payload.len() <= BATCH_BYTES)
        {
            bytes += slot.edit.payload.len();
            slot.waits.store(false, Relaxed);
            let slept = slot.sleeps.swap(false, Relaxed);
            waiting.sleepers -= usize::from(slept);
            batch.extend(waiting.slots.pop_front());
        }
        waiting.bytes -= bytes;
        batch
    }
}

impl<'a> From<&'a Edit> for Want<'a> {
    fn from(edit: &'a Edit) -> Want<'a> {
        let transaction = edit.transaction.as_deref();
        Want::Edit { transaction, payload: edit.payload.clone(), expected: edit.expected }
    }
}
