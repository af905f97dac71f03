//! The seam to the disk: every file operation of the engine is one of the calls below.
//!
//! Two traits, because a lock, a lease and a map belong to an open file and a name belongs to a directory.
//! [`os`] is the operating system. Nothing above this seam touches a file in another way, so what stands in
//! for the disk sees everything that a crash could interrupt.
//!
//! The calls report what the system reported and decide nothing: no retry but for `EINTR`, no fallback.

use std::ffi::{OsStr, OsString};
use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::limits::PIECE;

#[cfg(feature = "sim")]
pub(crate) mod faulty;
pub(crate) mod os;
#[cfg(feature = "sim")]
pub(crate) mod simulated;

/// So many bytes are worth a second thread, and so many it takes at once.
const SHARED: usize = 8 << 20;
const SHARE: usize = 1 << 20;

/// The attribute that says who else may read or write a file.
pub(crate) const ACCESS_LIST: &str = "system.posix_acl_access";

/// How a file is opened. Nothing here follows a symlink in the last component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// An existing regular file, to read.
    Read,
    /// An existing regular file, to read and write.
    Write,
    /// A regular file that must not exist yet, with exactly these permission bits.
    Create(u32),
    /// A directory: to lock it, to sync it.
    Directory,
    /// A file without a name in this directory, readable by its owner alone.
    Nameless,
}

/// What a rename does with a file that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rename {
    /// It is replaced.
    Replace,
    /// The rename fails.
    Keep,
    /// The two change places.
    Exchange,
}

/// Who else may hold the same lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Other shared holders.
    Shared,
    /// Nobody.
    Exclusive,
}

/// What a lease proves about an open file while it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// Nobody has it open for writing.
    Read,
    /// Nobody else has it open at all; who wants to waits in `open`.
    Write,
}

/// The kind of a directory entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    /// A device, a FIFO, a socket.
    Other,
}

/// What the system knows about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub kind: Kind,
    pub dev: u64,
    pub ino: u64,
    pub len: u64,
    /// Permission bits only.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
    pub modified_ns: i64,
    pub changed_ns: i64,
}

impl Stat {
    /// Whether two names (or a name and an open file) mean one inode.
    pub(crate) fn same_file(&self, other: &Stat) -> bool {
        self.identity() == other.identity()
    }

    /// Whether this is the file as it was then, but for its name: a new name changes one of its times.
    pub(crate) fn is_renamed(&self, then: &Stat) -> bool {
        Stat { changed_ns: then.changed_ns, ..*self } == *then
    }

    /// Device and number.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// A page of memory that every process which maps the same file shares.
pub(crate) trait Page: Send + Sync {
    /// The page, word by word. Storing into a page that was mapped for reading is not possible: it is mapped
    /// for writing or not at all.
    fn words(&self) -> &[AtomicU64; PAGE_WORDS];
    /// See to it that storing into the page needs no room on the disk, for as long as nothing writes it out. Where a file
    /// system looks for room at the moment of the store and finds none, the process would be killed (SIGBUS).
    fn claim_room(&self) -> io::Result<()> {
        Ok(())
    }
    /// Wait until somebody wakes the word, its low half is no longer `seen`, or the time is over.
    fn wait(&self, word: usize, seen: u32, timeout: Duration);
    /// Wake at most so many of those who wait for this word.
    fn wake(&self, word: usize, most: u32);
}

/// 64-bit words in a [`Page`].
pub(crate) const PAGE_WORDS: usize = 512;
/// Bytes in a [`Page`].
pub(crate) const PAGE_LEN: usize = PAGE_WORDS * 8;

/// An open file. Locks and leases end with it.
pub(crate) trait File: Send + Sync {
    /// Read at an offset; 0 is the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Write at an offset; may write less than asked for.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Have what is written over go to where it was on the disk, on a file system that would choose another place for it and
    /// can be asked not to. For a file that is empty.
    fn stay_in_place(&self) {}
    /// Make the content durable (a file: `fdatasync`) or the names in it (a directory: `fsync`).
    fn sync(&self) -> io::Result<()>;
    /// Begin to write out what was written here. Promises nothing: only a sync makes bytes durable.
    fn begin_write_out(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        Ok(())
    }
    /// Wait until that is over. An error is one that the next sync would have told.
    fn end_write_out(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        Ok(())
    }
    fn stat(&self) -> io::Result<Stat>;
    /// How long the file is, without a look at its times.
    ///
    /// A file whose times were looked at gets new ones from its next write, and its next sync has to write those too.
    fn length(&self) -> io::Result<u64> {
        self.stat().map(|found| found.len)
    }
    /// Device and number of what has this name in a directory; a symlink is not followed. No look at times (see
    /// [`File::length`]), and no walk along a path.
    fn entry(&self, name: &OsStr) -> io::Result<(u64, u64)>;
    /// Take the file's lock without waiting; `false` when another holds it.
    fn try_lock(&self, lock: Lock) -> io::Result<bool>;
    fn unlock(&self) -> io::Result<()>;
    /// Take a lease (`F_SETLEASE`) without waiting; `false` when it would not be true. Other descriptors of this process
    /// count as anybody's.
    fn try_lease(&self, lease: Lease) -> io::Result<bool>;
    /// What will be left of this file's lease once those have been let in who wait in `open`: all of it where nobody waits,
    /// of a write lease a read lease where all of them are going to read.
    fn left_of_lease(&self) -> io::Result<Option<Lease>>;
    /// Give the lease back; `false` when somebody tried to open the file meanwhile (the lease was being broken).
    fn end_lease(&self, lease: Lease) -> io::Result<bool>;
    /// Give a [nameless](Open::Nameless) file a name that must be free.
    fn link(&self, path: &Path) -> io::Result<()>;
    /// Give this file the owner, permission bits, ACL and extended attributes of another. The permission bits
    /// come last, so that the file is never open to more people than `like` is.
    fn take_metadata(&self, like: &dyn File) -> io::Result<()>;
    /// Set the permission bits.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Extended attributes by name, ACLs among them.
    fn attributes(&self) -> io::Result<Vec<(OsString, Vec<u8>)>>;
    fn set_attribute(&self, name: &OsStr, value: &[u8]) -> io::Result<()>;
    /// Map the first page, shared with every other process that maps this file. The file must be that long.
    fn map(&self) -> io::Result<Arc<dyn Page>>;
}

/// A tree of files, and the little that the engine asks of the system besides.
pub(crate) trait Storage: Send + Sync + 'static {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn File>>;
    /// Make a directory for its owner alone. Like a file that is created it goes to whom its parent belongs, where
    /// the process may give it away.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
    /// The entry itself; a symlink is not followed.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Whether another file or file system is mounted at this path, so that the name cannot be given to another file.
    fn is_mount_point(&self, path: &Path) -> io::Result<bool> {
        let _ = path;
        Ok(false)
    }
    /// What a symlink says.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    fn rename(&self, from: &Path, to: &Path, how: Rename) -> io::Result<()>;
    /// Remove a file's name, or an empty directory.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Remove what may be a large file: while others are at work, its blocks go back to the file system in small parts.
    fn remove_large(&self, path: &Path, has_company: &mut dyn FnMut() -> bool) -> io::Result<()> {
        let _ = has_company;
        self.remove(path)
    }
    /// The name of a file system on which locks and maps are not shared by everybody who writes there, or `None`.
    fn foreign(&self, dir: &Path) -> io::Result<Option<&'static str>>;
    /// This boot of the system: what a crash of the system changes and nothing else does.
    fn boot_id(&self) -> io::Result<[u8; 16]>;
    /// Bytes that nobody can guess.
    fn random(&self) -> io::Result<[u8; 16]>;
    /// Since some moment of this boot; goes on while the system sleeps, and is the same for all processes.
    fn uptime(&self) -> Duration;
    /// Microseconds since the Unix epoch, as far as anyone knows.
    fn clock_micros(&self) -> u64;
    fn sleep(&self, time: Duration);
    /// Permission bits that this process gives to files that nobody chose any for.
    fn default_mode(&self) -> u32;
    /// The process behind this seam.
    fn pid(&self) -> u32;
    /// Whether a process is still there.
    fn alive(&self, pid: u32) -> bool;
    /// Whether this process acts for that user.
    fn acts_for(&self, _uid: u32) -> bool {
        true
    }
}

/// Read exactly `buf`, or as much as there is: the number of bytes read.
pub(crate) fn read_full(file: &dyn File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        let end = buf.len().min(done + PIECE);
        if end - done == PIECE {
            thread::yield_now();
        }
        match file.read_at(&mut buf[done..end], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Read `len` bytes from `offset` on, fewer at the end of the file. Many are read by two threads: what takes the time is that
/// the system gives memory for them page by page, and copies.
pub(crate) fn read_range(file: &dyn File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let end = AtomicUsize::new(len);
    let shares = Mutex::new((0..).step_by(SHARE).zip(bytes.chunks_mut(SHARE)));
    let read = || {
        let next = || shares.lock().unwrap_or_else(PoisonError::into_inner).next();
        while let Some((start, share)) = next() {
            let done = read_full(file, share, offset + start as u64)?;
            if done < share.len() {
                end.fetch_min(start + done, SeqCst);
            }
        }
        Ok::<_, io::Error>(())
    };
    thread::scope(|scope| {
        // Where no thread is to be had, this one does it all.
        let helper = (len >= SHARED).then(|| thread::Builder::new().spawn_scoped(scope, read));
        let done = read();
        let helped =
            helper.and_then(Result::ok).map(|helper| helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        done.and(helped.unwrap_or(Ok(())))
    })?;
    bytes.truncate(end.into_inner());
    Ok(bytes)
}

/// The whole file, as long as it is now.
pub(crate) fn read_all(file: &dyn File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        // A file that grows while it is read is read to its newest end.
        let known = usize::try_from(file.stat()?.len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if known <= bytes.len() {
            return Ok(bytes);
        }
        let start = bytes.len();
        if start == 0 {
            bytes = os::zeros(known);
        } else {
            bytes.resize(known, 0);
        }
        let done = read_full(file, &mut bytes[start..], start as u64)?;
        if start + done < known {
            bytes.truncate(start + done);
            return Ok(bytes);
        }
    }
}

/// Write all of it at one known offset. A write that takes nothing is an error: trying again for ever would hang.
pub(crate) fn write_full(file: &dyn File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write_at(&bytes[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What sets out for the disk at once while nobody else waits for it.
const ALONE: u64 = 1 << 20;
/// How much is on its way then, for somebody to wait for who comes.
const UNDER_WAY: u64 = 8 << 20;

/// A large file on its way to the disk. The sync of another file waits for whatever set out before it, so while there are
/// such, each piece is seen out before the next. Promises nothing: the caller syncs, and finds little left to write.
pub(crate) struct Outgoing<'a> {
    file: &'a dyn File,
    /// Whether others are at work just now.
    has_company: &'a mut dyn FnMut() -> bool,
    /// Up to here it has set out, and up to here it has arrived.
    begun: u64,
    ended: u64,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(file: &'a dyn File, has_company: &'a mut dyn FnMut() -> bool) -> Outgoing<'a> {
        Outgoing { file, has_company, begun: 0, ended: 0 }
    }

    /// Write what comes next, a piece if it is not the last.
    pub(crate) fn add(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        write_full(self.file, bytes, at)?;
        let end = at + bytes.len() as u64;
        let has_company = bytes.len() >= PIECE && (self.has_company)();
        // A header that goes in front of what has set out is left to the sync.
        let is_last = bytes.len() < PIECE && end > self.begun;
        if is_last || has_company || end >= self.begun + ALONE {
            self.file.begin_write_out(self.begun, end - self.begun)?;
            self.begun = end;
        }
        let most = if has_company { 0 } else { UNDER_WAY };
        if self.begun > self.ended + most {
            let arrived = self.begun - most;
            self.file.end_write_out(self.ended, arrived - self.ended)?;
            self.ended = arrived;
        }
        Ok(())
    }
}

/// Zeros are written in pieces of this: the system keeps a large write in large pages, which cost every later sync more
/// (from 64 KiB on; a page at a time takes twice as long for nothing).
const ZEROS: [u8; 16384] = [0; 16384];

/// Write zeros from `from` up to `to`, so that a later append overwrites and its sync has no metadata to write.
pub(crate) fn write_zeros(file: &dyn File, mut from: u64, to: u64) -> io::Result<()> {
    while from < to {
        let piece_end = (from / ZEROS.len() as u64 + 1) * ZEROS.len() as u64;
        let len = piece_end.min(to) - from;
        write_full(file, &ZEROS[..len as usize], from)?;
        from += len;
    }
    Ok(())
}

/// A path in `dir` that nobody else comes upon, for what gets `name` once it is whole.
pub(crate) fn temporary(storage: &dyn Storage, dir: &Path, name: impl AsRef<OsStr>) -> io::Result<PathBuf> {
    let id = u128::from_le_bytes(storage.random()?);
    let mut temporary = name.as_ref().to_owned();
    temporary.push(format!(".tmp-{id:032x}"));
    Ok(dir.join(temporary))
}

/// The name that is meant for what has a [`temporary`] one.
pub(crate) fn meant_for(temporary: &str) -> Option<&str> {
    temporary.rsplit_once(".tmp-").filter(|(_, id)| is_hex(id, 32)).map(|(name, _)| name)
}

/// Whether a part of a file's name is so many hex digits, as names of ours have them: in lower case.
pub(crate) fn is_hex(part: &str, digits: usize) -> bool {
    part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Make names in `dir` durable.
pub(crate) fn sync_dir(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    storage.open(dir, Open::Directory)?.sync()
}
