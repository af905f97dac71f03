//! A disk that keeps no more than it must: weaker than any real file system, so what passes here passes there.
//!
//! ```text
//! Process ─┐                       ┌─ crash_images(): every state that a power cut now may leave
//! Process ─┼─▶ Disk: cache, disk, ─┤
//! Process ─┘   and what is pending └─▶ Disk::from_image(): the next boot
//! ```
//!
//! What a crash keeps:
//!
//! * Of a file: what an honest sync has written. Bytes written since are cut into chunks, and every chunk is
//!   on its own old, new, as any write between left it, or torn: the bytes that were being written are zeros or garbage.
//!   Bytes that were not written to survive. The length is pending on its own, and so are mode, owner and attributes.
//! * Of names: what a sync of the directory has written. Any subset of the operations since (or, as the
//!   [ordered](Order::Prefix) variant, any first part) is there. A rename is there or not, an exchange likewise; a
//!   file's own sync does nothing for its name. A file that no name leads to is gone.
//! * After a failed sync what was pending is read as before and never written again, not even when the same bytes are
//!   written to the same place: see [`SyncFault`](super::faulty::SyncFault).
//! * Of a shared page: whatever was written back, at any time or never.
//!
//! The death of a process alone leaves all of it in place: its locks and leases end, nothing is lost.
//!
//! Nothing here takes time. Who waits is told at once that the time is over, and the clock is set forward; so one
//! thread can play all processes and none of them can hang. [`Time::Real`] is for several threads.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

mod content;
mod crash;
mod file;
mod image;
mod names;
mod page;
mod process;
mod state;

pub use crash::{CrashImages, Limits, Order};
pub use image::{DiskImage, NoStateId, StateId};
pub use process::{Asked, Handle, Metadata, Process};

use super::faulty::Control;
use state::{Body, Machine, ROOT, State, Who};

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// By what is waited for, and by [`Rules::call_time`] at every call.
    Simulated,
    /// As on the wall: who waits does wait, until woken or until the time is over.
    Real,
}

/// What kind of disk this is.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How time passes.
    pub time: Time,
    /// What a call takes, in simulated time.
    pub call_time: Duration,
    /// The step of file times: two changes within it bear the same time, as on kernels before 6.13.
    pub timestamp_tick: Duration,
    /// Whether leases can be had.
    pub leases: bool,
    /// Whether names can be exchanged.
    pub exchange: bool,
    /// Whether there are nameless files. If not, one that was created and removed stands in, which nothing can link.
    pub nameless: bool,
    /// What the seam's `foreign` says.
    pub foreign: Option<&'static str>,
    /// Mounted read-only.
    pub read_only: bool,
    /// Room for this many bytes of file content, in blocks of 512.
    pub capacity: Option<u64>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            time: Time::Simulated,
            call_time: Duration::from_micros(1),
            timestamp_tick: Duration::from_millis(4),
            leases: true,
            exchange: true,
            nameless: true,
            foreign: None,
            read_only: false,
            capacity: None,
        }
    }
}

struct Shared {
    state: Mutex<State>,
    started: Instant,
}

/// One simulated disk in one running system.
#[derive(Clone)]
pub struct Disk {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:?}", self.image())
    }
}

impl Default for Disk {
    fn default() -> Self {
        Disk::new()
    }
}

impl Disk {
    /// An empty one; every one made so is the same, its random numbers included.
    pub fn new() -> Disk {
        Disk::seeded(0)
    }

    /// An empty one with other random numbers.
    pub fn seeded(seed: u64) -> Disk {
        // Some day in 2025, so that times look like times.
        let booted_ns = 1_750_000_000_000_000_000;
        let machine = Machine { seed, boots: 1, drawn: 0, next_pid: 1000, booted_ns, rules: Rules::default() };
        Disk::with(State::empty(machine))
    }

    fn with(state: State) -> Disk {
        let shared = Shared { state: Mutex::new(state), started: Instant::now() };
        Disk { shared: Arc::new(shared) }
    }

    /// Boot from what a crash has left: another boot id, no process, nothing pending.
    pub fn from_image(image: &DiskImage) -> Disk {
        Disk::with(image.boot())
    }

    /// Another process, run by root.
    pub fn process(&self) -> Process {
        self.process_of(0, 0)
    }

    /// Another process of this user and group.
    pub fn process_of(&self, uid: u32, gid: u32) -> Process {
        Process::start(self, uid, gid, None)
    }

    /// Another process under the number that one before may have had.
    pub fn process_numbered(&self, pid: u32) -> Process {
        Process::start(self, 0, 0, Some(pid))
    }

    /// Change what kind of disk this is.
    pub fn set_rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.state().machine.rules);
    }

    /// Let time pass.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.now_ns = state.now_ns.saturating_add(nanoseconds(time));
    }

    /// Changes whenever what a crash may leave may have changed.
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Make everything durable, as `sync(1)` does.
    pub fn settle(&self) {
        let mut state = self.state();
        for ino in ROOT..state.nodes.len() as u64 {
            if state.node(ino).is_ok() {
                // Only an inode that is not there could not be settled.
                let _ = state.settle(ino);
            }
        }
    }

    /// Drop clean pages of this file from memory: what a failed sync lost is seen to be lost.
    ///
    /// # Errors
    /// No such file.
    pub fn evict(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut state = self.state();
        let ino = state.find(path.as_ref())?;
        state.generation += 1;
        state.file_mut(ino)?.evict();
        Ok(())
    }

    /// A symlink, as root makes it.
    ///
    /// # Errors
    /// The name is taken, or its directory is not there.
    pub fn symlink(&self, target: impl AsRef<Path>, path: impl AsRef<Path>) -> io::Result<()> {
        let target: Arc<Path> = target.as_ref().into();
        self.state().create(Who { owner: 0, uid: 0, gid: 0 }, path.as_ref(), 0o777, |_| Body::Symlink(target)).map(drop)
    }

    /// Something that is no file, no directory and no symlink: a FIFO, a device.
    ///
    /// # Errors
    /// The name is taken, or its directory is not there.
    pub fn special(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.state().create(Who { owner: 0, uid: 0, gid: 0 }, path.as_ref(), 0o600, |_| Body::Other).map(drop)
    }

    /// Change the permission bits and the owner of what is at a path.
    ///
    /// # Errors
    /// Nothing is there.
    pub fn set_owner(&self, path: impl AsRef<Path>, mode: u32, uid: u32, gid: u32) -> io::Result<()> {
        let mut state = self.state();
        let ino = state.find(path.as_ref())?;
        state.change_meta(Who { owner: 0, uid: 0, gid: 0 }, ino, |meta| {
            (meta.mode, meta.uid, meta.gid) = (mode, uid, gid);
        })
    }

    /// What a file holds for those who read it now.
    ///
    /// # Errors
    /// No such file.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        Ok(self.state().content(path.as_ref())?.to_vec())
    }

    /// What is pending, in words, for a failing test to print.
    pub fn pending(&self) -> String {
        crash::describe(&mut self.state())
    }

    /// Files that were there when this was booted and that were removed since without anybody having opened them or
    /// looked at them: what they held has changed nothing.
    pub fn discarded(&self) -> Vec<u64> {
        let state = self.state();
        let is_gone = |ino: &u64| state.node(*ino).is_ok_and(|node| node.links == 0) || state.node(*ino).is_err();
        state.untouched.iter().copied().filter(is_gone).collect()
    }

    /// Kill every process: what remains to be done with this disk is to look at it.
    pub fn power_off(&self) {
        let mut state = self.state();
        state.processes.iter().for_each(|process| process.control.die());
        state.bury();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state_as_it_is();
        state.bury();
        state
    }

    /// With what killed processes still hold.
    fn state_as_it_is(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the system has been running.
    pub fn uptime(&self) -> Duration {
        let state = self.state();
        let simulated = Duration::from_nanos(state.now_ns);
        match state.machine.rules.time {
            Time::Simulated => simulated,
            Time::Real => simulated + self.shared.started.elapsed(),
        }
    }

    /// Wait on the wall's clock if that is the one in use; `false` otherwise.
    fn wait_really(&self, time: Duration, wait: impl FnOnce(Duration)) -> bool {
        let real = self.state().machine.rules.time == Time::Real;
        if real {
            wait(time);
        }
        real
    }

    /// Somebody waits, on the simulated clock.
    fn pass_time(&self, time: Duration, who: &Control) {
        who.waits();
        self.advance(time);
        // Where threads share a simulated clock after all, the others get to run.
        std::thread::yield_now();
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
