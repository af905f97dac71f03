//! Edits of many threads, appended together: whoever finds nobody at it appends for all who wait.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;

use crate::error::Error;
use crate::log::{Appended, Log, Request, Want};
use crate::op::Transaction;

/// Edits that go into one write at most.
const BATCH_MAX: usize = 1024;
/// Bytes that go into one write at most, unless a single edit is larger.
const BATCH_BYTES: usize = 4 << 20;
/// Bytes that may wait before a submitter has to help.
pub(super) const WAITING_MAX: usize = 64 << 20;

/// One edit on its way into the log.
pub(super) struct Slot {
    edit: Mutex<Option<Edit>>,
    outcome: Mutex<Option<Result<Appended, Error>>>,
    pub(super) waker: Mutex<Option<Waker>>,
    /// Whether it became durable, where someone has waited for that on behalf of its owner.
    pub(super) settled: OnceLock<Result<(), Error>>,
    len: usize,
}

/// What is needed to judge and write an edit.
#[derive(Clone)]
pub(super) struct Edit {
    pub transaction: Box<Transaction>,
    pub payload: Arc<[u8]>,
    pub expected: Option<u64>,
}

impl Slot {
    /// What became of the edit, if it had its turn.
    pub(super) fn outcome(&self) -> Option<Result<Appended, Error>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sees to it that nobody waits for ever for edits that a panic left without an outcome.
struct Answered<'a>(&'a [Arc<Slot>]);

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        for slot in self.0 {
            let mut outcome = slot.outcome.lock().unwrap_or_else(PoisonError::into_inner);
            if outcome.is_none() {
                let panicked = std::io::Error::other("a panic interrupted it");
                let error = Error::io("append to", std::path::Path::new("the journal"))(panicked);
                *outcome = Some(Err(Error::OutcomeUnknown(Box::new(error))));
            }
        }
    }
}

/// Edits that wait for their turn, in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Held by whoever appends for all.
    leading: Mutex<()>,
}

#[derive(Default)]
struct Waiting {
    slots: VecDeque<Arc<Slot>>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&self, edit: Edit) -> Arc<Slot> {
        let len = edit.payload.len();
        let slot = Arc::new(Slot {
            edit: Mutex::new(Some(edit)),
            outcome: Mutex::default(),
            waker: Mutex::default(),
            settled: OnceLock::new(),
            len,
        });
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.bytes += len;
        waiting.slots.push_back(slot.clone());
        slot
    }

    /// Bytes that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// See to it that this edit has its turn.
    pub(super) fn drive(&self, log: &Log, slot: &Slot) -> Result<Appended, Error> {
        loop {
            if let Some(outcome) = slot.outcome() {
                return outcome;
            }
            self.drive_once(log);
        }
    }

    /// Append some of what waits and see it durable, for owners who may be long in coming. Returns whether there was any.
    pub(super) fn drive_for_others(&self, log: &Log) -> bool {
        let slots = self.drive_once(log);
        for slot in &slots {
            if let Some(Ok(appended)) = slot.outcome() {
                let _ = slot.settled.set(log.wait_durable(&appended.ticket));
            }
        }
        !slots.is_empty()
    }

    /// Append some of what waits: it is not durable yet.
    fn drive_once(&self, log: &Log) -> Vec<Arc<Slot>> {
        let leading = self.leading.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.take_batch();
        let edits = slots.iter().map(|slot| {
            let edit = slot.edit.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Edit { transaction, payload, expected } = edit.expect("an edit waits once");
            Request::new(Want::Edit { transaction, payload, expected })
        });
        let mut requests: Vec<Request<'_>> = edits.collect();
        if requests.is_empty() {
            return slots;
        }
        let answered = Answered(&slots);
        log.append(&mut requests);
        for (slot, request) in slots.iter().zip(requests) {
            *slot.outcome.lock().unwrap_or_else(PoisonError::into_inner) = request.outcome;
        }
        drop(answered);
        drop(leading);
        // Wakers are other people's code: they run when nothing is held.
        for slot in &slots {
            let waker = slot.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        slots
    }

    fn take_batch(&self) -> Vec<Arc<Slot>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let mut batch = Vec::new();
        while batch.len() < BATCH_MAX
            && let Some(slot) = waiting.slots.front()
            && (batch.is_empty() || bytes + slot.len <= BATCH_BYTES)
        {
            bytes += slot.len;
            batch.extend(waiting.slots.pop_front());
        }
        waiting.bytes -= bytes;
        batch
    }
}
