//! The one page of a file that processes share as memory.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::super::{PAGE_LEN, PAGE_WORDS, Page};
use super::Disk;
use crate::storage::faulty::Control;

/// The memory itself. It is the first page of its file: who reads or writes the file reads or writes it.
pub(super) struct Memory {
    words: [AtomicU64; PAGE_WORDS],
    woken: Mutex<u64>,
    bell: Condvar,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Memory")
    }
}

impl Memory {
    pub(super) fn of(bytes: &[u8; PAGE_LEN]) -> Memory {
        let memory =
            Memory { words: std::array::from_fn(|_| AtomicU64::new(0)), woken: Mutex::new(0), bell: Condvar::new() };
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
        let changed = || self.memory.words[word].load(SeqCst) as u32 != seen;
        if changed() {
            return;
        }
        let waited = self.disk.wait_really(timeout, |time| {
            let woken = self.memory.woken.lock().unwrap_or_else(PoisonError::into_inner);
            let before = *woken;
            // One bell for all words: who waits for another word looks, and waits on.
            let waiting = |now: &mut u64| *now == before && !changed();
            drop(self.memory.bell.wait_timeout_while(woken, time, waiting));
        });
        if !waited {
            self.disk.pass_time(timeout, &self.control);
        }
    }

    fn wake(&self, _word: usize, _most: u32) {
        // One bell for all words: a needless wake is a look too many, no more.
        *self.memory.woken.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.memory.bell.notify_all();
    }
}
