//! What a forked child inherits must not keep our locks alive.
//!
//! A `flock` belongs to the open file, which parent and child share after `fork`: were the parent killed, the child
//! would go on holding the lock without knowing. So descriptors that are ever locked are listed here, and in a
//! child they are pointed elsewhere before anything else runs. `exec` closes them anyway (`O_CLOEXEC`).

use std::io;
use std::os::fd::IntoRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering::SeqCst};

/// More files than this at once are locked, but a forked child would share the locks.
const SLOTS: usize = 4096;
static LOCKED: [AtomicI32; SLOTS] = [const { AtomicI32::new(-1) }; SLOTS];
static ELSEWHERE: AtomicI32 = AtomicI32::new(-1);
static PID: AtomicU32 = AtomicU32::new(0);

/// This process, without a system call; another number in a forked child.
pub(super) fn pid() -> u32 {
    install();
    PID.load(SeqCst)
}

pub(super) fn remember(fd: i32) {
    install();
    for slot in &LOCKED {
        if slot.compare_exchange(-1, fd, SeqCst, SeqCst).is_ok() {
            return;
        }
    }
}

pub(super) fn forget(fd: i32) {
    for slot in &LOCKED {
        if slot.compare_exchange(fd, -1, SeqCst, SeqCst).is_ok() {
            return;
        }
    }
}

fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        PID.store(std::process::id(), SeqCst);
        if let Ok(null) = std::fs::File::open("/dev/null") {
            ELSEWHERE.store(null.into_raw_fd(), SeqCst);
        }
        // SAFETY: `in_child` calls nothing but functions that are safe between fork and exec (signal-safety(7)).
        let result = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if result != 0 {
            let error = io::Error::from_raw_os_error(result);
            tracing::warn!(%error, "a forked child may keep a lock of this process alive");
        }
    });
}

extern "C" fn in_child() {
    // SAFETY: getpid takes nothing and cannot fail.
    PID.store(unsafe { libc::getpid() }.unsigned_abs(), SeqCst);
    let elsewhere = ELSEWHERE.load(SeqCst);
    for slot in &LOCKED {
        let fd = slot.swap(-1, SeqCst);
        if fd >= 0 && elsewhere >= 0 {
            // SAFETY: both are numbers of descriptors; the child keeps a valid descriptor under the number.
            unsafe { libc::dup2(elsewhere, fd) };
        }
    }
}
