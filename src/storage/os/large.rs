//! Large files without holding up others, since on a disk that is busy for long every sync waits; and memory for them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::{FLAGS, Lease, take_lease};
use crate::limits::PIECE;

/// A file of no more than this is gone in a few milliseconds.
const LARGE: u64 = 8 << 20;
/// How much of a larger one is given back to the file system at once. While somebody else waits for a sync it is a piece, and
/// a sync of ours follows each: theirs waits for that, and for what the disk makes of it where it is told of free blocks.
const FREED: u64 = 1 << 20;

/// The size of a page, on most systems. One whose pages are larger refuses the advice.
const PAGE: usize = 4096;

/// So many zeros, which are there at no cost until they are written over. To do that to many costs less if the system gives
/// them in large pages.
pub(in crate::storage) fn zeros(len: usize) -> Vec<u8> {
    let zeros = vec![0; len];
    if len as u64 > LARGE {
        let begin = zeros.as_ptr().align_offset(PAGE);
        // SAFETY: pages that lie in memory of ours, and an advice that changes the content of none.
        unsafe {
            libc::madvise(zeros[begin..].as_ptr().cast_mut().cast(), (len - begin) / PAGE * PAGE, libc::MADV_HUGEPAGE);
        }
    }
    zeros
}

/// `sync_file_range`. Without that call a file is written out by its sync.
pub(super) fn write_out(file: &File, offset: u64, len: u64, what: u32) -> io::Result<()> {
    let too_far = |_| io::Error::from(io::ErrorKind::FileTooLarge);
    let (offset, len) = (i64::try_from(offset).map_err(too_far)?, i64::try_from(len).map_err(too_far)?);
    // SAFETY: the call takes numbers alone; the descriptor is open while `file` is borrowed.
    if unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, what) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        // A sandbox says so of any call that it does not know.
        error if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => Ok(()),
        error => Err(error),
    }
}

/// A large file that is about to lose its name. Who removes one in one go makes every sync wait until all its blocks are free.
pub(super) struct Doomed {
    file: File,
    len: u64,
}

impl Doomed {
    /// `None`: it is not large, or of another kind, or may not be opened, and is removed as it is.
    pub(super) fn open(path: &Path, found: &fs::Metadata) -> Option<Doomed> {
        if !found.is_file() || found.len() <= LARGE {
            return None;
        }
        let file = OpenOptions::new().write(true).custom_flags(FLAGS).open(path).ok()?;
        Some(Doomed { file, len: found.len() })
    }

    /// Give its blocks back bit by bit, once it has no name any more. Whoever still has it open keeps all of it.
    pub(super) fn free(self, has_company: &mut dyn FnMut() -> bool) {
        let is_nameless = self.file.metadata().is_ok_and(|found| found.is_file() && found.nlink() == 0);
        let is_ours_alone = is_nameless && matches!(take_lease(&self.file, Lease::Write), Ok(true));
        let mut len = self.len;
        while is_ours_alone && len > FREED {
            let others_wait = has_company();
            len -= if others_wait { PIECE as u64 } else { FREED };
            // What fails is left for the last one who closes the file.
            let freed = self.file.set_len(len).and_then(|()| if others_wait { self.file.sync_data() } else { Ok(()) });
            if freed.is_err() {
                return;
            }
        }
    }
}
