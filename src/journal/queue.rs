//! Edits of many threads, appended together: one thread leads, which appends for all who wait and sees it durable; the
//! others sleep until their edit is settled, or until it is their turn to lead.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rustix::thread::futex;

use crate::error::Error;
use crate::log::{Appended, Log, Request, Want};
use crate::op::Transaction;
use crate::planted::{Bug, planted};

/// Edits that go into one write at most. With fewer, one who submits many waits for more syncs; with more, what is remembered of
/// them leaves the processor's caches.
const BATCH_MAX: usize = 4096;
/// Bytes that go into one write at most, unless a single edit is larger.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes that may wait before a submitter has to help.
pub(super) const WAITING_MAX: usize = 64 << 20;

/// One edit on its way into the log.
pub(super) struct Slot {
    pub(super) edit: Edit,
    state: Mutex<State>,
    /// How many were queued before it: set once, under the lock of the queue.
    place: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// What became of it, until somebody takes it.
    settled: Option<Settled>,
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
}

/// Where the owners of one batch sleep. One call wakes all of them: a call for each would take longer than the rest of
/// what is done for their edits.
#[derive(Default)]
struct Bed {
    /// Changes when there is news.
    word: AtomicU32,
    sleepers: AtomicUsize,
}

impl Bed {
    /// From now on nothing is missed that this bed is told.
    fn enter(&self) -> Sleeper<'_> {
        self.sleepers.fetch_add(1, SeqCst);
        Sleeper { bed: self, seen: self.word.load(SeqCst) }
    }

    fn wake(&self, most: u32) {
        self.word.fetch_add(1, SeqCst);
        // Waking costs a system call even where nobody sleeps.
        if self.sleepers.load(SeqCst) > 0 {
            let _ = futex::wake(&self.word, futex::Flags::PRIVATE, most);
        }
    }
}

/// Somebody who may sleep until there is news.
struct Sleeper<'a> {
    bed: &'a Bed,
    seen: u32,
}

impl Sleeper<'_> {
    fn sleep(self) {
        // Woken, told before it slept, or interrupted: the caller looks again in every case.
        let _ = futex::wait(&self.bed.word, futex::Flags::PRIVATE, self.seen, None);
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.bed.sleepers.fetch_sub(1, SeqCst);
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
    /// For the owners of the batch that is on its way, and of the next: by turns.
    beds: [Bed; 2],
}

#[derive(Default)]
struct Waiting {
    /// With their lengths: who takes many looks at none of them, which another processor has just written.
    slots: VecDeque<(Arc<Slot>, usize)>,
    bytes: usize,
    /// How many had their turn.
    taken: usize,
    /// Somebody leads.
    led: bool,
    /// How many batches were taken. Of those only the newest may still be on its way.
    batches: usize,
    /// Threads that want to lead and have no slot of their own here.
    helpers: usize,
}

/// Being the one who appends for all.
struct Lead<'a>(&'a Queue);

impl Drop for Lead<'_> {
    /// Somebody whose edit waits goes on; where nobody does, whoever comes next.
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.led = false;
        let (is_awaited, next) = (waiting.helpers > 0, waiting.batches + 1);
        drop(waiting);
        if is_awaited {
            self.0.free.notify_one();
        } else {
            self.0.bed(next).wake(1);
        }
    }
}

/// Edits that are being appended. Nobody waits for ever for those that a panic left without an outcome.
struct Batch<'a> {
    slots: Vec<Arc<Slot>>,
    /// The first so many of them are settled.
    settled: usize,
    bed: &'a Bed,
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
        self.bed.wake(i32::MAX as u32);
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Give an edit its place; also returns how many bytes wait now.
    pub(super) fn push(&self, edit: Edit) -> (Arc<Slot>, usize) {
        let len = edit.payload.len();
        let slot = Arc::new(Slot { edit, state: Mutex::default(), place: AtomicUsize::default() });
        let mut waiting = self.waiting();
        waiting.bytes += len;
        slot.place.store(waiting.taken + waiting.slots.len(), Relaxed);
        waiting.slots.push_back((slot.clone(), len));
        (slot, waiting.bytes)
    }

    /// Where the owners of that batch sleep.
    fn bed(&self, batch: usize) -> &Bed {
        &self.beds[batch % self.beds.len()]
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
            let waiting = self.waiting();
            let waits = slot.place.load(Relaxed) >= waiting.taken;
            let batch = waiting.batches + usize::from(waits);
            // Before the edit is looked at: what comes after that is news.
            let sleeper = waiting.led.then(|| self.bed(batch).enter());
            if let Some(settled) = slot.taken() {
                return settled;
            }
            if let Some(sleeper) = sleeper {
                drop(waiting);
                sleeper.sleep();
            } else {
                self.lead(waiting, log, &before, &appended);
            }
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
        self.lead(waiting, log, &before, &|| ())
    }

    /// Append a batch, where nobody leads. Returns how many edits that were.
    fn lead(&self, mut waiting: MutexGuard<'_, Waiting>, log: &Log, before: &impl Fn(), appended: &impl Fn()) -> usize {
        waiting.led = true;
        drop(waiting);
        // Before the lead, so that it goes after it.
        let mut wakers = Wakers::default();
        let _lead = Lead(self);
        self.append_batch(log, before, appended, &mut wakers)
    }

    /// What `before` does is done before all of the batch, and later than any of it was asked for: an edit that is asked for
    /// after a save comes after that save.
    fn append_batch(&self, log: &Log, before: &impl Fn(), appended: &impl Fn(), wakers: &mut Wakers) -> usize {
        let (slots, number) = self.take_batch();
        let mut batch = Batch { slots, settled: 0, bed: self.bed(number), wakers };
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

    /// What is to be appended next, and its number.
    fn take_batch(&self) -> (Vec<Arc<Slot>>, usize) {
        let mut waiting = self.waiting();
        let mut bytes = 0;
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some((_, len)) = waiting.slots.front()
            && (batch.is_empty() || bytes + len <= BATCH_BYTES)
        {
            bytes += len;
            batch.extend(waiting.slots.pop_front().map(|(slot, _)| slot));
        }
        waiting.bytes -= bytes;
        waiting.taken += batch.len();
        waiting.batches += 1;
        (batch, waiting.batches)
    }
}

impl<'a> From<&'a Edit> for Want<'a> {
    fn from(edit: &'a Edit) -> Want<'a> {
        let transaction = edit.transaction.as_deref();
        Want::Edit { transaction, payload: &edit.payload, expected: edit.expected }
    }
}
