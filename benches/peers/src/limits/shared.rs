//! A group commit among processes: each puts its frame into memory that all share, one writes and syncs for all, and the
//! others wait on a futex. The leader is who gets a lock on a second file without waiting: it dies with its holder.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::Outcome;
use crate::edits::Edit;

/// How long a waiter sleeps before it looks whether its leader died.
const PATIENCE: Duration = Duration::from_millis(2);
const SLOTS: usize = 1024;
const FRAME_MAX: usize = 120;
const ROOM: u64 = 32 << 20;

/// Memory that is shared.
#[repr(C)]
struct Shared {
    /// Frames that have a place.
    taken: AtomicU64,
    /// Frames that were written and synced.
    durable: AtomicU32,
    slots: [Slot; SLOTS],
}

#[repr(C)]
struct Slot {
    /// The number of the frame that lies here whole.
    whole: AtomicU64,
    len: AtomicU32,
    frame: [u8; FRAME_MAX],
}

/// One process's share in the queue.
pub struct Queue {
    shared: *mut Shared,
    log: File,
    leader: File,
    buffer: Vec<u8>,
}

impl Queue {
    /// What the processes share, written before the first of them comes.
    pub fn create(dir: &Path) -> Outcome {
        super::zeros(&dir.join("log"), ROOM)?;
        File::create(dir.join("shared"))?.set_len(size_of::<Shared>() as u64)?;
        File::create(dir.join("leader"))?;
        Ok(())
    }

    pub fn open(dir: &Path) -> Outcome<Queue> {
        let open = |name| OpenOptions::new().read(true).write(true).open(dir.join(name));
        let file = open("shared")?;
        let (reach, kind) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping of a file of this length, which all users of it see as zeros at first and as `Shared` then.
        let shared = unsafe { mmap(std::ptr::null_mut(), size_of::<Shared>(), reach, kind, file.as_fd(), 0)? };
        Ok(Queue { shared: shared.cast(), log: open("log")?, leader: open("leader")?, buffer: Vec::new() })
    }

    fn shared(&self) -> &Shared {
        // SAFETY: mapped until the process ends; what changes under it is atomic, or lies in a slot that its owner filled.
        unsafe { &*self.shared }
    }

    pub fn edit(&mut self, edit: &Edit) -> Outcome {
        let mine = self.put(edit);
        loop {
            let durable = self.shared().durable.load(Ordering::Acquire);
            if u64::from(durable) >= mine {
                return Ok(());
            }
            if flock(&self.leader, FlockOperation::NonBlockingLockExclusive).is_err() {
                wait(&self.shared().durable, durable, Some(PATIENCE));
                continue;
            }
            let led = self.lead();
            flock(&self.leader, FlockOperation::Unlock)?;
            wake(&self.shared().durable);
            led?;
        }
    }

    /// A frame in its slot. There are more slots than processes, each of which has one frame at a time.
    fn put(&mut self, edit: &Edit) -> u64 {
        self.buffer.clear();
        super::frame(edit, &mut self.buffer);
        let mine = self.shared().taken.fetch_add(1, Ordering::AcqRel) + 1;
        // SAFETY: the number is this process's alone, so the slot is too until its frame is durable.
        let slot = unsafe { &mut (*self.shared).slots[mine as usize % SLOTS] };
        slot.frame[..self.buffer.len()].copy_from_slice(&self.buffer);
        slot.len.store(self.buffer.len() as u32, Ordering::Relaxed);
        slot.whole.store(mine, Ordering::Release);
        mine
    }

    fn lead(&mut self) -> Outcome {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let shared = self.shared();
        let first = u64::from(shared.durable.load(Ordering::Acquire)) + 1;
        let mut next = first;
        loop {
            let slot = &shared.slots[next as usize % SLOTS];
            if slot.whole.load(Ordering::Acquire) != next {
                break;
            }
            buffer.extend_from_slice(&slot.frame[..slot.len.load(Ordering::Relaxed) as usize]);
            next += 1;
        }
        if next > first {
            self.log.write_all_at(&buffer, (first * 112) % (ROOM - (1 << 20)))?;
            self.log.sync_data()?;
            self.shared().durable.store((next - 1) as u32, Ordering::Release);
        }
        self.buffer = buffer;
        Ok(())
    }
}

/// Sleep while the word is what it was, and no longer than so long.
pub fn wait(word: &AtomicU32, seen: u32, patience: Option<Duration>) {
    let timeout = patience.map(|time| libc::timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() });
    let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word outlives the call. That it changed, a signal or the time is as good as being woken: the caller looks again.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, seen, timeout) };
}

/// Wake all who sleep on the word.
pub fn wake(word: &AtomicU32) {
    // SAFETY: the word outlives the call.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
}
