//! The one page of a file that processes share as memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::super::{PAGE_LEN, PAGE_WORDS, Page};
use super::Disk;
use crate::storage::faulty::Control;

/// The memory itself. It is the first page of its file: who reads or writes the file reads or writes it.
pub(super) struct Memory {
    words: [AtomicU64; PAGE_WORDS],
    /// By word: how many wait, and how many of them may go.
    queues: Mutex<BTreeMap<usize, Queue>>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: u32,
    free: u32,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Memory")
    }
}

impl Memory {
    pub(super) fn of(bytes: &[u8; PAGE_LEN]) -> Memory {
        let memory = Memory {
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            queues: Mutex::default(),
            bell: Condvar::new(),
        };
        memory.write(0, bytes);
        memory
    }

    pub(super) fn bytes(&self) -> [u8; PAGE_LEN] {
        let mut bytes = [0; PAGE_LEN];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(&self.words) {
            chunk.copy_from_slice(&word.load(SeqCst).to_ne_bytes());
        }
        bytes
    }

    /// What falls into the page.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) {
        let end = (offset + bytes.len()).min(PAGE_LEN);
        let mut at = offset;
        while at < end {
            let (word, start) = (&self.words[at / 8], at % 8);
            let len = (8 - start).min(end - at);
            let mut inside = word.load(SeqCst).to_ne_bytes();
            inside[start..start + len].copy_from_slice(&bytes[at - offset..at - offset + len]);
            word.store(u64::from_ne_bytes(inside), SeqCst);
            at += len;
        }
    }
}

/// The memory as one process has it mapped.
pub(super) struct Map {
    pub(super) memory: Arc<Memory>,
    pub(super) disk: Disk,
    pub(super) control: Arc<Control>,
}

impl Page for Map {
    fn words(&self) -> &[AtomicU64; PAGE_WORDS] {
        &self.memory.words
    }

    fn wait(&self, word: usize, seen: u32, timeout: Duration) {
        if self.memory.words[word].load(SeqCst) as u32 != seen {
            return;
        }
        let waited = self.disk.wait_really(timeout, |time| {
            let mut queues = self.memory.queues.lock().unwrap_or_else(PoisonError::into_inner);
            // As a futex does: looked at once more now that no wake can be missed, and then not again. Who changes the
            // word and does not wake lets the others wait until their time is over.
            if self.memory.words[word].load(SeqCst) as u32 != seen {
                return;
            }
            queues.entry(word).or_default().waiting += 1;
            let asleep = |queues: &mut BTreeMap<usize, Queue>| queues.get(&word).is_none_or(|queue| queue.free == 0);
            let woken = self.memory.bell.wait_timeout_while(queues, time, asleep);
            let (mut queues, _) = woken.unwrap_or_else(PoisonError::into_inner);
            let queue = queues.entry(word).or_default();
            queue.waiting -= 1;
            queue.free = queue.free.saturating_sub(1).min(queue.waiting);
        });
        if !waited {
            self.disk.pass_time(timeout, &self.control);
        }
    }

    fn wake(&self, word: usize, most: u32) {
        let mut queues = self.memory.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(word).or_default();
        queue.free = queue.free.saturating_add(most).min(queue.waiting);
        // One bell for all words: who waits for another one looks, and waits on.
        self.memory.bell.notify_all();
    }
}
