//! The operating system behind the seam.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, IFlags, Mode, RenameFlags, StatxAttributes, StatxFlags, Uid, XattrFlags,
};
use rustix::process::Pid;
use rustix::thread::futex;

use super::{ACCESS_LIST, File, Kind, Lease, Lock, Open, PAGE_LEN, PAGE_WORDS, Page, Rename, Stat, Storage};

mod fork;
mod large;

pub(super) use large::zeros;

/// The files of this machine.
#[derive(Debug)]
pub(crate) struct Os;

/// How often a waiter lets others run before it sleeps.
const YIELDS: usize = 4;

/// How every file is opened. O_NONBLOCK: a FIFO that took a file's place must not hang us; it is refused afterwards.
const FLAGS: i32 = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;

impl Storage for Os {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        let file = match how {
            Open::Read => options.custom_flags(FLAGS).open(path)?,
            Open::Write => options.write(true).custom_flags(FLAGS).open(path)?,
            Open::Create(mode) => {
                // The creation mode is 0600 at most; what was asked for beyond it comes after, by descriptor,
                // and never exceeds what was asked for.
                let file = options.write(true).create_new(true).mode(mode & 0o600).custom_flags(FLAGS).open(path)?;
                if mode & !0o600 != 0 {
                    file.set_permissions(fs::Permissions::from_mode(mode))?;
                }
                give_to_owner_of_parent(&file, path)?;
                file
            }
            Open::Directory => options.custom_flags(FLAGS | libc::O_DIRECTORY).open(path)?,
            Open::Nameless => {
                let file = tempfile::tempfile_in(path)?;
                file.set_permissions(fs::Permissions::from_mode(0o600))?;
                file
            }
        };
        let kind = kind_of(file.metadata()?.mode());
        let wanted = if how == Open::Directory { Kind::Directory } else { Kind::File };
        if kind != wanted {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Box::new(OsFile { file, kind, listed: AtomicBool::new(false) }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)?;
        match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY).open(path) {
            Ok(made) => give_to_owner_of_parent(&made, path),
            // It was made; that somebody removed it since is for the caller to find.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => {
                // A umask may keep everybody out.
                let _ = fs::remove_dir(path);
                Err(error)
            }
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        fs::symlink_metadata(path).map(|found| stat_of(&found))
    }

    fn is_mount_point(&self, path: &Path) -> io::Result<bool> {
        let found = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)?;
        let known = found.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        Ok(known && found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn rename(&self, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        let flags = match how {
            Rename::Replace => RenameFlags::empty(),
            Rename::Keep => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        Ok(rustix::fs::renameat_with(CWD, from, CWD, to, flags)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.remove_large(path, &mut || false)
    }

    fn remove_large(&self, path: &Path, has_company: &mut dyn FnMut() -> bool) -> io::Result<()> {
        let found = fs::symlink_metadata(path)?;
        let flags = if found.is_dir() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let doomed = large::Doomed::open(path, &found);
        rustix::fs::unlinkat(CWD, path, flags)?;
        if let Some(doomed) = doomed {
            doomed.free(has_company);
        }
        Ok(())
    }

    fn foreign(&self, dir: &Path) -> io::Result<Option<&'static str>> {
        // Numbers from linux/magic.h and statfs(2).
        const FOREIGN: [(u64, &str); 9] = [
            (0x6969, "NFS"),
            (0x517b, "SMB"),
            (0xff53_4d42, "CIFS"),
            (0xfe53_4d42, "SMB2"),
            (0x0102_1997, "9p"),
            (0x6573_5546, "FUSE or virtiofs"),
            (0x00c3_6400, "Ceph"),
            (0x5346_414f, "AFS"),
            (0x0bd0_0bd0, "Lustre"),
        ];
        let found = rustix::fs::statfs(dir)?.f_type as u64 & 0xffff_ffff;
        Ok(FOREIGN.iter().find(|(magic, _)| *magic == found).map(|(_, name)| *name))
    }

    fn boot_id(&self) -> io::Result<[u8; 16]> {
        const FROM: &str = "/proc/sys/kernel/random/boot_id";
        let text = fs::read_to_string(FROM).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                io::Error::new(error.kind(), format!("{FROM} is not there; mount /proc, all of it"))
            }
            _ => error,
        })?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let id = u128::from_str_radix(&digits, 16).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(id.to_be_bytes())
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        let mut bytes = [0; 16];
        let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        // The kernel gives up to 256 bytes whole.
        if got < bytes.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }

    fn uptime(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    fn clock_micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }

    fn default_mode(&self) -> u32 {
        // umask(2) can only be read by setting it, which other threads would notice.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        let umask = line.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o077);
        0o666 & !umask
    }

    fn pid(&self) -> u32 {
        fork::pid()
    }

    fn alive(&self, pid: u32) -> bool {
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
        // EPERM: somebody else's process, which is alive.
        !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
    }

    fn acts_for(&self, uid: u32) -> bool {
        rustix::process::geteuid().as_raw() == uid
    }
}

struct OsFile {
    file: fs::File,
    kind: Kind,
    /// It has been locked: a forked child gets another file in its place.
    listed: AtomicBool,
}

impl Drop for OsFile {
    fn drop(&mut self) {
        if *self.listed.get_mut() {
            // A forked child may hold a copy of this descriptor: closing ours would leave the lock to it.
            let _ = fs2::FileExt::unlock(&self.file);
            fork::forget(self.file.as_raw_fd());
        }
    }
}

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        // Beyond this limit the kernel sends SIGXFSZ, which ends a process that did not ask for it.
        if offset.saturating_add(bytes.len() as u64) > largest_file() {
            return Err(rustix::io::Errno::FBIG.into());
        }
        self.file.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn stay_in_place(&self) {
        if !finds_other_places(&self.file) {
            return;
        }
        let flags = rustix::fs::ioctl_getflags(&self.file);
        if let Err(error) = flags.and_then(|flags| rustix::fs::ioctl_setflags(&self.file, flags | IFlags::NOCOW)) {
            tracing::debug!(%error, "a file stays one that is written to another place each time");
        }
    }

    fn sync(&self) -> io::Result<()> {
        if self.kind == Kind::Directory { self.file.sync_all() } else { self.file.sync_data() }
    }

    fn begin_write_out(&self, offset: u64, len: u64) -> io::Result<()> {
        large::write_out(&self.file, offset, len, libc::SYNC_FILE_RANGE_WRITE)
    }

    fn end_write_out(&self, offset: u64, len: u64) -> io::Result<()> {
        large::write_out(&self.file, offset, len, libc::SYNC_FILE_RANGE_WAIT_BEFORE)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.file.metadata().map(|found| stat_of(&found))
    }

    fn length(&self) -> io::Result<u64> {
        Ok(rustix::fs::statx(&self.file, "", AtFlags::EMPTY_PATH, StatxFlags::SIZE)?.stx_size)
    }

    fn entry(&self, name: &OsStr) -> io::Result<(u64, u64)> {
        let found = rustix::fs::statx(&self.file, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO)?;
        Ok((rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino))
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        // Before there is a lock: a fork in between would leave one to the child that nobody knows of.
        if !self.listed.swap(true, Relaxed) {
            fork::remember(self.file.as_raw_fd());
        }
        loop {
            let taken = match lock {
                Lock::Shared => fs2::FileExt::try_lock_shared(&self.file),
                Lock::Exclusive => fs2::FileExt::try_lock_exclusive(&self.file),
            };
            match taken {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn unlock(&self) -> io::Result<()> {
        fs2::FileExt::unlock(&self.file)
    }

    fn try_lease(&self, lease: Lease) -> io::Result<bool> {
        take_lease(&self.file, lease)
    }

    fn left_of_lease(&self) -> io::Result<Option<Lease>> {
        // A lease that is being broken is reported as what it is about to become.
        let left = set_lease(&self.file, libc::F_GETLEASE, 0)?;
        Ok([Lease::Read, Lease::Write].into_iter().find(|lease| lease_number(*lease) == left))
    }

    fn end_lease(&self, lease: Lease) -> io::Result<bool> {
        let unwanted = self.left_of_lease()? == Some(lease);
        set_lease(&self.file, libc::F_SETLEASE, libc::F_UNLCK)?;
        Ok(unwanted)
    }

    fn link(&self, path: &Path) -> io::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, own, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn take_metadata(&self, like: &dyn File) -> io::Result<()> {
        let (ours, theirs) = (self.stat()?, like.stat()?);
        if (ours.uid, ours.gid) != (theirs.uid, theirs.gid) {
            let (uid, gid) = (Uid::from_raw(theirs.uid), Gid::from_raw(theirs.gid));
            rustix::fs::fchown(&self.file, Some(uid), Some(gid))?;
        }
        let attributes = like.attributes()?;
        // Where new files get a list from their directory, this one may be open to more people than `like`.
        if !attributes.iter().any(|(name, _)| name == ACCESS_LIST) {
            xattr::remove(self.file.as_fd(), ACCESS_LIST)?;
        }
        for (name, value) in attributes {
            self.set_attribute(&name, &value)?;
        }
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(theirs.mode))?;
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(fs::Permissions::from_mode(mode))
    }

    fn attributes(&self) -> io::Result<Vec<(OsString, Vec<u8>)>> {
        xattr::read(self.file.as_fd())
    }

    fn set_attribute(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt;
        let name = CString::new(name.as_bytes())?;
        Ok(rustix::fs::fsetxattr(&self.file, name, value, XattrFlags::empty())?)
    }

    fn map(&self) -> io::Result<Arc<dyn Page>> {
        if self.file.metadata()?.len() < PAGE_LEN as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let map = memmap2::MmapOptions::new().len(PAGE_LEN).map_raw(&self.file)?;
        Ok(Arc::new(OsPage { map, may_need_room: finds_other_places(&self.file) }))
    }
}

/// Whether a page of this file that is changed may need new room on the disk: as on btrfs, or on xfs if a copy shares its place.
/// Not on the file systems that are known to write it where it was: ext2 to 4, and tmpfs. Numbers from linux/magic.h.
fn finds_other_places(file: &fs::File) -> bool {
    let found = rustix::fs::fstatfs(file).map(|found| found.f_type as u64 & 0xffff_ffff);
    !matches!(found, Ok(0xef53 | 0x0102_1994))
}

/// How long this process may make a file (`RLIMIT_FSIZE`). Where a sandbox forbids to ask, no limit is known.
#[allow(clippy::unnecessary_cast, reason = "narrower on some machines")]
fn largest_file() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: getrlimit(2) writes into `limit` and nowhere else.
    let told = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } == 0;
    if told && limit.rlim_cur != libc::RLIM_INFINITY { limit.rlim_cur as u64 } else { u64::MAX }
}

/// One `sudo` must not lock the user out of the journal: what root creates goes to the owner of the directory.
fn give_to_owner_of_parent(file: &fs::File, path: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (ours, theirs) = (file.metadata()?, fs::metadata(parent)?);
    if (ours.uid(), ours.gid()) != (theirs.uid(), theirs.gid()) {
        rustix::fs::fchown(file, Some(Uid::from_raw(theirs.uid())), Some(Gid::from_raw(theirs.gid())))?;
    }
    Ok(())
}

mod xattr {
    //! Extended attributes, POSIX ACLs among them, as names and bytes.

    use std::ffi::OsString;
    use std::io;
    use std::os::fd::BorrowedFd;
    use std::os::unix::ffi::OsStringExt;

    use rustix::io::Errno;

    pub(super) fn read(fd: BorrowedFd<'_>) -> io::Result<Vec<(OsString, Vec<u8>)>> {
        let names = match sized(|buf| rustix::fs::flistxattr(fd, buf)) {
            Ok(names) => names,
            // The file system has none.
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            match sized(|buf| rustix::fs::fgetxattr(fd, name, buf)) {
                Ok(value) => found.push((OsString::from_vec(name.to_vec()), value)),
                // Removed since the list was read.
                Err(Errno::NODATA) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }

    /// It need not be there.
    pub(super) fn remove(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
        // Asked for first, since removing nothing is work for a disk too.
        let nothing: &mut [u8] = &mut [];
        match rustix::fs::fgetxattr(fd, name, nothing) {
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(rustix::fs::fremovexattr(fd, name)?),
        }
    }

    /// Most files have no attributes, or small ones. The kernel's own limit for a list of names and for a value is 64 KiB.
    fn sized(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
        let read = |room: usize| {
            let mut bytes = vec![0; room];
            let len = call(&mut bytes)?;
            bytes.truncate(len);
            Ok(bytes)
        };
        match read(1024) {
            Err(Errno::RANGE) => read(65_536),
            read => read,
        }
    }
}

fn lease_number(lease: Lease) -> i32 {
    match lease {
        Lease::Read => libc::F_RDLCK,
        Lease::Write => libc::F_WRLCK,
    }
}

fn take_lease(file: &fs::File, lease: Lease) -> io::Result<bool> {
    // fcntl(2): `F_SETSIG`. The default signal of a lease, SIGIO, would end a process that never heard of it.
    const F_SETSIG: i32 = 10;
    set_lease(file, F_SETSIG, libc::SIGURG)?;
    match set_lease(file, libc::F_SETLEASE, lease_number(lease)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// `fcntl` with an integer argument.
fn set_lease(file: &fs::File, command: i32, argument: i32) -> io::Result<i32> {
    // SAFETY: these commands take an int and touch no memory of ours; the descriptor is open while `file` is borrowed.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

struct OsPage {
    map: memmap2::MmapRaw,
    may_need_room: bool,
}

impl OsPage {
    /// The half of the word that changes first when it is counted up: what the kernel looks at.
    fn low_half(&self, word: usize) -> &AtomicU32 {
        let offset = if cfg!(target_endian = "little") { 0 } else { 4 };
        let whole: *const AtomicU64 = &self.words()[word];
        // SAFETY: half of a live, aligned AtomicU64 in the map, which lives as long as `self`. Halves and wholes are
        // never accessed with different sizes by us: the kernel alone reads the half.
        unsafe { &*whole.cast::<u8>().add(offset).cast::<AtomicU32>() }
    }
}

impl Page for OsPage {
    fn words(&self) -> &[AtomicU64; PAGE_WORDS] {
        // SAFETY: the map is PAGE_LEN bytes, page-aligned, lives as long as `self`, and is reached through atomics
        // alone, by us and by the other processes that map it.
        unsafe { &*self.map.as_ptr().cast::<[AtomicU64; PAGE_WORDS]>() }
    }

    fn claim_room(&self) -> io::Result<()> {
        if !self.may_need_room {
            return Ok(());
        }
        match self.map.advise(memmap2::Advice::PopulateWrite) {
            // madvise(2): a store would raise SIGBUS.
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Err(rustix::io::Errno::NOSPC.into()),
            // A system before Linux 5.14 cannot tell.
            _ => Ok(()),
        }
    }

    fn wait(&self, word: usize, seen: u32, timeout: Duration) {
        let timeout = rustix::time::Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        // What is waited for is often just about to happen, and waking a sleeper costs more than it.
        for _ in 0..YIELDS {
            if self.words()[word].load(SeqCst) as u32 != seen {
                return;
            }
            thread::yield_now();
        }
        // Woken, changed, timed out or interrupted: the caller looks again in every case.
        let _ = futex::wait(self.low_half(word), futex::Flags::empty(), seen, Some(&timeout));
    }

    fn wake(&self, word: usize, most: u32) {
        let _ = futex::wake(self.low_half(word), futex::Flags::empty(), most);
    }
}

fn kind_of(mode: u32) -> Kind {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    }
}

fn stat_of(found: &fs::Metadata) -> Stat {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Stat {
        kind: kind_of(found.mode()),
        dev: found.dev(),
        ino: found.ino(),
        len: found.len(),
        mode: found.mode() & 0o7777,
        uid: found.uid(),
        gid: found.gid(),
        links: found.nlink(),
        modified_ns: nanoseconds(found.mtime(), found.mtime_nsec()),
        changed_ns: nanoseconds(found.ctime(), found.ctime_nsec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{read_full, read_range};

    #[test]
    fn a_large_read_gives_what_is_there_and_says_how_much() {
        let bytes: Vec<u8> = (0..3_u32 << 20).flat_map(|n| n.to_le_bytes()).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let file = OsFile { file, kind: Kind::File, listed: AtomicBool::new(false) };
        // All of it, more than there is by a little, by more than half, and from the middle on.
        let len = bytes.len();
        for (offset, wanted) in [(0, len), (0, len + 1), (0, 2 * len), (0, 3 * len), (len / 2 - 1, len), (len, len)] {
            let mut buf = vec![0; wanted];
            let done = read_full(&file, &mut buf, offset as u64).unwrap();
            assert!(buf[..done] == bytes[offset..], "{wanted} bytes from {offset} on");
            assert!(file.read_at(&mut buf, offset as u64).unwrap() <= done);
            let read = read_range(&file, offset as u64, wanted).unwrap();
            assert!(read == bytes[offset..], "{wanted} bytes from {offset} on, by two threads");
        }
        let unreadable = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let unreadable = OsFile { file: unreadable, kind: Kind::File, listed: AtomicBool::new(false) };
        assert!(read_range(&unreadable, 0, len).is_err());
    }

    #[test]
    fn a_large_file_that_is_removed_stays_whole_for_whoever_has_it_open() {
        let dir = tempfile::tempdir().unwrap();
        let (path, len) = (dir.path().join("large"), 9 << 20);
        for is_open in [true, false] {
            fs::write(&path, vec![7; len]).unwrap();
            let reader = is_open.then(|| fs::File::open(&path).unwrap());
            Os.remove(&path).unwrap();
            assert!(!path.exists());
            if let Some(reader) = reader {
                let mut last = [0];
                reader.read_exact_at(&mut last, len as u64 - 1).unwrap();
                assert_eq!((reader.metadata().unwrap().len(), last), (len as u64, [7]));
            }
        }
    }
}
