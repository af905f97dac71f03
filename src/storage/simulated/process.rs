//! A process on the simulated disk: the seam that the engine sees, and the hands of a person or another program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use super::super::{File, Lease, Lock, Open, PAGE_LEN, Page, Rename, Stat, Storage};
use super::page::{Map, Memory};
use super::state::{Registered, State, Who, errno};
use super::{Disk, Time};
use crate::planted::{Bug, planted};
use crate::storage::faulty::{Call, Control, FaultPlan, GuardedPage, Seat, Seen, Verdict, killed};

/// One process. It ends when its last clone and its last open file are dropped, or when it is killed.
#[derive(Clone)]
pub struct Process {
    inner: Arc<Inner>,
}

struct Inner {
    disk: Disk,
    control: Arc<Control>,
    who: Who,
    pid: AtomicU32,
    default_mode: AtomicU32,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.disk.state().processes.retain(|process| process.owner != self.who.owner);
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Process({})", self.pid())
    }
}

impl Process {
    pub(super) fn start(disk: &Disk, uid: u32, gid: u32, pid: Option<u32>) -> Process {
        let mut state = disk.state();
        let machine = &mut state.machine;
        let own = machine.next_pid;
        machine.next_pid += 1;
        let pid = pid.unwrap_or(own);
        let who = Who { owner: u64::from(own), uid, gid };
        let control: Arc<Control> = Arc::default();
        state.processes.push(Registered { owner: who.owner, pid, control: control.clone() });
        drop(state);
        Process {
            inner: Arc::new(Inner {
                disk: disk.clone(),
                control,
                who,
                pid: AtomicU32::new(pid),
                default_mode: AtomicU32::new(0o644),
            }),
        }
    }

    /// What to give to the engine.
    pub fn seat(&self) -> Seat {
        Seat(Arc::new(self.clone()))
    }

    /// The disk it runs on.
    pub fn disk(&self) -> &Disk {
        &self.inner.disk
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.inner.pid.load(SeqCst)
    }

    /// The permission bits of files that nobody chose any for; 0644 until set.
    pub fn set_default_mode(&self, mode: u32) {
        self.inner.default_mode.store(mode, SeqCst);
    }

    /// From now on this is the forked child of the process that it was: the same memory, another number.
    pub fn become_child(&self) {
        let mut state = self.inner.disk.state();
        let machine = &mut state.machine;
        let pid = machine.next_pid;
        machine.next_pid += 1;
        let owner = self.inner.who.owner;
        state.processes.push(Registered { owner, pid, control: self.inner.control.clone() });
        self.inner.pid.store(pid, SeqCst);
    }

    /// As `kill -9`: every later call fails, its locks and leases are free, the system goes on.
    pub fn kill(&self) {
        self.inner.control.die();
        drop(self.inner.disk.state());
    }

    /// Whether it was killed.
    pub fn is_dead(&self) -> bool {
        self.inner.control.is_dead()
    }

    /// What goes wrong from now on; calls count from 1 again.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.inner.control.set_plan(plan);
    }

    /// Calls since the plan was set, or since the start.
    pub fn calls(&self) -> u64 {
        self.inner.control.calls()
    }

    /// Looks at shared pages since the plan was set, or since the start.
    pub fn touches(&self) -> u64 {
        self.inner.control.touches()
    }

    /// Run this before every call. It may use the disk and other processes, look at what a crash would leave, and
    /// kill this process; calls that it makes through this same process are not observed.
    pub fn observe(&self, observer: impl FnMut(&Seen<'_>) + Send + 'static) {
        self.inner.control.observe(Box::new(observer));
    }

    /// Run this whenever this process waits or sleeps on the simulated clock, before the time passes: the others'
    /// chance to get on.
    pub fn on_wait(&self, run: impl FnMut() + Send + 'static) {
        self.inner.control.on_wait(Box::new(run));
    }

    /// Keep a list of the calls from now on.
    pub fn record(&self) {
        self.inner.control.record();
    }

    /// The list, one call a line: number, call, path, and what went wrong with it.
    pub fn trace(&self) -> Vec<String> {
        self.inner.control.trace()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.disk.state()
    }

    /// Number the call and let it take its time.
    fn enter(&self, call: Call, path: &Path) -> io::Result<Verdict> {
        let verdict = self.inner.control.enter(call, path)?;
        if let Verdict::Die { .. } = verdict {
            // A killed process's files are closed as soon as anybody looks; what it still does is done first.
            return Ok(verdict);
        }
        let mut state = self.state();
        let call_time = state.machine.rules.call_time.as_nanos() as u64;
        state.now_ns += call_time;
        Ok(verdict)
    }

    /// For every call but writes and syncs.
    fn pass(&self, call: Call, path: &Path) -> io::Result<()> {
        match self.enter(call, path)? {
            Verdict::Go | Verdict::Short { .. } => Ok(()),
            Verdict::Fail { errno: code } | Verdict::FailSync { errno: code, .. } => Err(errno(code)),
            Verdict::Die { .. } => Err(killed()),
        }
    }

    fn file(&self, handle: u64, path: &Path, is_dir: bool) -> SimFile {
        SimFile { process: self.clone(), handle, path: path.into(), is_dir }
    }
}

impl Storage for Process {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        self.pass(Call::Open, path)?;
        let handle = self.state().open(self.inner.who, path, how)?;
        let called = if how == Open::Nameless { &path.join("(nameless)") } else { path };
        Ok(Box::new(self.file(handle, called, how == Open::Directory)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Call::CreateDir, path)?;
        self.state().create_dir(self.inner.who, path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.pass(Call::List, dir)?;
        self.state().list(self.inner.who, dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.pass(Call::Stat, path)?;
        let mut state = self.state();
        let ino = state.find(path)?;
        state.stat(ino)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.pass(Call::ReadLink, path)?;
        self.state().read_link(path)
    }

    fn rename(&self, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        self.pass(Call::Rename, to)?;
        self.state().rename(self.inner.who, from, to, how)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(Call::Remove, path)?;
        self.state().remove(self.inner.who, path)
    }

    fn foreign(&self, dir: &Path) -> io::Result<Option<&'static str>> {
        self.pass(Call::Foreign, dir)?;
        let state = self.state();
        state.find(dir)?;
        Ok(state.machine.rules.foreign)
    }

    fn boot_id(&self) -> io::Result<[u8; 16]> {
        self.pass(Call::BootId, Path::new(""))?;
        Ok(self.state().machine.boot_id())
    }

    fn random(&self) -> io::Result<[u8; 16]> {
        self.pass(Call::Random, Path::new(""))?;
        Ok(self.state().machine.draw())
    }

    fn uptime(&self) -> Duration {
        self.inner.disk.uptime()
    }

    fn clock_micros(&self) -> u64 {
        let state = self.state();
        match state.machine.rules.time {
            Time::Simulated => state.wall_ns() / 1000,
            Time::Real => state.wall_ns() / 1000 + self.inner.disk.shared.started.elapsed().as_micros() as u64,
        }
    }

    fn sleep(&self, time: Duration) {
        if !self.inner.disk.wait_really(time, std::thread::sleep) {
            self.inner.disk.pass_time(time, &self.inner.control);
        }
    }

    fn default_mode(&self) -> u32 {
        self.inner.default_mode.load(SeqCst)
    }

    fn pid(&self) -> u32 {
        Process::pid(self)
    }

    fn alive(&self, pid: u32) -> bool {
        self.state().processes.iter().any(|process| process.pid == pid)
    }
}

struct SimFile {
    process: Process,
    handle: u64,
    path: Box<Path>,
    is_dir: bool,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.state().close(self.handle);
    }
}

impl SimFile {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.process.state()
    }

    fn pass(&self, call: Call) -> io::Result<()> {
        self.process.pass(call, &self.path)
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.pass(Call::Read)?;
        self.state().read(self.handle, buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let verdict = self.process.enter(Call::Write, &self.path)?;
        let write = |most: usize| {
            let mut state = self.process.inner.disk.state_as_it_is();
            state.write(self.handle, &bytes[..most.min(bytes.len())], offset)
        };
        match verdict {
            Verdict::Go => write(bytes.len()),
            Verdict::Short { bytes: 0 } => Ok(0),
            Verdict::Short { bytes: most } => write(most),
            Verdict::Fail { errno: code } | Verdict::FailSync { errno: code, .. } => Err(errno(code)),
            Verdict::Die { done } => {
                write(done)?;
                Err(killed())
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.pass(Call::SetLen)?;
        self.state().set_len(self.handle, len)
    }

    fn sync(&self) -> io::Result<()> {
        if is_left_out(&self.path, self.is_dir) {
            return Ok(());
        }
        let call = if self.is_dir { Call::SyncDir } else { Call::Sync };
        match self.process.enter(call, &self.path)? {
            Verdict::Go | Verdict::Short { .. } => self.state().sync(self.handle),
            Verdict::FailSync { errno: code, fault } => {
                let failed = self.state().fail_sync(self.handle, code, fault);
                if planted(Bug::SyncErrorIgnored) { Ok(()) } else { failed }
            }
            Verdict::Fail { errno: code } => Err(errno(code)),
            Verdict::Die { .. } => Err(killed()),
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        self.pass(Call::FileStat)?;
        let mut state = self.state();
        let ino = state.opened(self.handle)?.ino;
        state.stat(ino)
    }

    fn entry(&self, name: &OsStr) -> io::Result<(u64, u64)> {
        self.process.pass(Call::Stat, &self.path.join(name))?;
        let mut state = self.state();
        let dir = state.opened(self.handle)?.ino;
        let ino = state.child(dir, name)?;
        Ok(state.stat(ino)?.identity())
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.pass(Call::TryLock)?;
        self.state().try_lock(self.handle, lock)
    }

    fn unlock(&self) -> io::Result<()> {
        self.pass(Call::Unlock)?;
        self.state().unlock(self.handle)
    }

    fn try_lease(&self, lease: Lease) -> io::Result<bool> {
        self.pass(Call::TryLease)?;
        let leased = self.state().try_lease(self.process.inner.who, self.handle, lease);
        if planted(Bug::LeaseIgnored) { Ok(true) } else { leased }
    }

    fn left_of_lease(&self) -> io::Result<Option<Lease>> {
        self.pass(Call::EndLease)?;
        let left = self.state().left_of_lease(self.handle);
        if planted(Bug::LeaseIgnored) { Ok(Some(Lease::Read)) } else { left }
    }

    fn end_lease(&self, _lease: Lease) -> io::Result<bool> {
        self.pass(Call::EndLease)?;
        let alone = self.state().end_lease(self.handle);
        if planted(Bug::LeaseIgnored) { Ok(true) } else { alone }
    }

    fn link(&self, path: &Path) -> io::Result<()> {
        self.process.pass(Call::Link, path)?;
        self.state().link(self.process.inner.who, self.handle, path)
    }

    fn take_metadata(&self, like: &dyn File) -> io::Result<()> {
        self.pass(Call::TakeMetadata)?;
        // Step by step, as the system calls do it: a crash may keep the first of them alone.
        let (theirs, attributes) = (like.stat()?, like.attributes()?);
        let who = self.process.inner.who;
        self.state().set_meta(who, self.handle, |meta| (meta.uid, meta.gid) = (theirs.uid, theirs.gid))?;
        for (name, value) in attributes {
            self.state().set_meta(who, self.handle, |meta| drop(meta.attributes.insert(name, value)))?;
        }
        let mode = if planted(Bug::ModeNotKept) { 0o644 } else { theirs.mode };
        self.state().set_meta(who, self.handle, |meta| meta.mode = mode)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.pass(Call::SetMode)?;
        self.state().set_meta(self.process.inner.who, self.handle, |meta| meta.mode = mode)
    }

    fn attributes(&self) -> io::Result<Vec<(OsString, Vec<u8>)>> {
        self.pass(Call::Attributes)?;
        self.state().attributes(self.handle)
    }

    fn set_attribute(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        self.pass(Call::SetAttribute)?;
        let change = |meta: &mut super::file::Meta| drop(meta.attributes.insert(name.into(), value.into()));
        self.state().set_meta(self.process.inner.who, self.handle, change)
    }

    fn map(&self) -> io::Result<Arc<dyn Page>> {
        self.pass(Call::Map)?;
        let mut state = self.state();
        let open = state.opened(self.handle)?;
        if !open.is_writable {
            return Err(errno(libc::EACCES));
        }
        let file = state.file_mut(open.ino)?;
        if file.cache.len() < PAGE_LEN as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = [0; PAGE_LEN];
        file.cache.peek(0, &mut bytes);
        let memory = file.page.get_or_insert_with(|| Arc::new(Memory::of(&bytes))).clone();
        drop(state);
        let Inner { disk, control, .. } = &*self.process.inner;
        let map = Map { memory, disk: disk.clone(), control: control.clone() };
        Ok(GuardedPage::over(Arc::new(map), control.clone()))
    }
}

/// What a person or another program does to files, without the engine. Every step is a call of this process.
impl Process {
    /// What a file holds.
    ///
    /// # Errors
    /// As the system's; `WouldBlock` where a program would have to wait for a lease.
    pub fn read_file(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        super::super::read_all(&*Storage::open(self, path.as_ref(), Open::Read)?)
    }

    /// Write a file as most programs do: emptied, then filled, in place. One that is not there is made.
    ///
    /// # Errors
    /// As the system's; `WouldBlock` where a program would have to wait for a lease.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let path = path.as_ref();
        let file = match Storage::open(self, path, Open::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Storage::open(self, path, Open::Create(self.default_mode()))?
            }
            opened => opened?,
        };
        file.set_len(0)?;
        super::super::write_full(&*file, bytes.as_ref(), 0)
    }

    /// Write a file as careful editors do: beside it, under another name, synced if asked for, and renamed over it.
    ///
    /// # Errors
    /// As the system's.
    pub fn replace_file(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>, synced: bool) -> io::Result<()> {
        let path = path.as_ref();
        let mut beside = path.as_os_str().to_os_string();
        beside.push(format!(".save-{}-{}", self.pid(), self.calls()));
        let mode = Storage::stat(self, path).map_or(self.default_mode(), |found| found.mode);
        let file = Storage::open(self, beside.as_ref(), Open::Create(mode))?;
        super::super::write_full(&*file, bytes.as_ref(), 0)?;
        if synced {
            file.sync()?;
        }
        Storage::rename(self, beside.as_ref(), path, Rename::Replace)
    }

    /// Open a file and keep it open: an editor in the middle of its work, or a second opener.
    ///
    /// # Errors
    /// As the system's; `WouldBlock` where a program would have to wait for a lease.
    pub fn hold(&self, path: impl AsRef<Path>, to_write: bool) -> io::Result<Handle> {
        Storage::open(self, path.as_ref(), if to_write { Open::Write } else { Open::Read }).map(Handle)
    }

    /// Go on with [holding](Process::hold) a file for writing after a wait for its lease: it is the one that the path led
    /// to then, by its number.
    ///
    /// # Errors
    /// As the system's; `WouldBlock` as long as the lease is there.
    pub fn hold_found(&self, ino: u64) -> io::Result<Handle> {
        self.open_found(ino, true)
    }

    fn open_found(&self, ino: u64, to_write: bool) -> io::Result<Handle> {
        self.pass(Call::Open, Path::new("(found before)"))?;
        let handle = self.state().open_found(self.inner.who, ino, to_write)?;
        Ok(Handle(Box::new(self.file(handle, Path::new("(found before)"), false))))
    }

    /// Follow a path as far as one comes who then waits for a lease: the file stays until this is dropped, whatever
    /// becomes of its name.
    ///
    /// # Errors
    /// As the system's.
    pub fn ask(&self, path: impl AsRef<Path>) -> io::Result<Asked> {
        let ino = self.number_of(path)?;
        self.state().keep(ino)?;
        Ok(Asked { process: self.clone(), ino })
    }

    /// The number of the file at a path.
    ///
    /// # Errors
    /// As the system's.
    pub fn number_of(&self, path: impl AsRef<Path>) -> io::Result<u64> {
        Storage::stat(self, path.as_ref()).map(|found| found.ino)
    }

    /// Give a file a second name.
    ///
    /// # Errors
    /// As the system's.
    pub fn link_file(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        Storage::open(self, from.as_ref(), Open::Read)?.link(to.as_ref())
    }

    /// Remove a name.
    ///
    /// # Errors
    /// As the system's.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Storage::remove(self, path.as_ref())
    }

    /// Rename, replacing what is there.
    ///
    /// # Errors
    /// As the system's.
    pub fn rename_file(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        Storage::rename(self, from.as_ref(), to.as_ref(), Rename::Replace)
    }

    /// Make a directory for its owner alone.
    ///
    /// # Errors
    /// As the system's.
    pub fn make_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Storage::create_dir(self, path.as_ref())
    }

    /// Names in a directory, sorted.
    ///
    /// # Errors
    /// As the system's.
    pub fn names(&self, dir: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let mut names: Vec<String> =
            Storage::list(self, dir.as_ref())?.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// What the system knows about what is at a path; `None` if nothing is.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Option<Metadata> {
        let found = Storage::stat(self, path.as_ref()).ok()?;
        let Stat { ino, len, mode, uid, gid, links, .. } = found;
        Some(Metadata { ino, len, mode, uid, gid, links })
    }
}

/// What the system knows about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // As in stat(2).
pub struct Metadata {
    pub ino: u64,
    pub len: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
}

/// A file that another program is about to open.
pub struct Asked {
    process: Process,
    ino: u64,
}

impl Asked {
    /// Read all of it.
    ///
    /// # Errors
    /// As the system's; `WouldBlock` as long as the program waits for a lease.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        super::super::read_all(&*self.process.open_found(self.ino, false)?.0)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.process.state().let_go(self.ino);
    }
}

/// A file that another program holds open.
pub struct Handle(Box<dyn File>);

impl Handle {
    /// Write at an offset.
    ///
    /// # Errors
    /// As the system's.
    pub fn write_at(&self, bytes: impl AsRef<[u8]>, offset: u64) -> io::Result<()> {
        super::super::write_full(&*self.0, bytes.as_ref(), offset)
    }

    /// Cut or grow.
    ///
    /// # Errors
    /// As the system's.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    /// Make its content durable.
    ///
    /// # Errors
    /// As the system's.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    /// Take its lock alone, without waiting.
    ///
    /// # Errors
    /// As the system's.
    pub fn try_lock(&self) -> io::Result<bool> {
        self.0.try_lock(Lock::Exclusive)
    }

    /// An extended attribute.
    ///
    /// # Errors
    /// As the system's.
    pub fn attribute(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.attributes()?.into_iter().find(|(found, _)| found == name).map(|(_, value)| value))
    }

    /// Set an extended attribute.
    ///
    /// # Errors
    /// As the system's.
    pub fn set_attribute(&self, name: &str, value: &[u8]) -> io::Result<()> {
        self.0.set_attribute(OsStr::new(name), value)
    }
}

/// Whether a planted bug is to leave out this sync.
fn is_left_out(path: &Path, is_dir: bool) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or("/");
    let unnamed = name.contains(".tmp-");
    let in_birth = path.parent().is_some_and(|dir| dir.to_string_lossy().contains(".tmp-"));
    let bug = match name {
        _ if in_birth || (is_dir && unnamed) => Bug::BirthNotSynced,
        _ if is_dir && name.ends_with(".cfgwal") => Bug::JournalDirectoryNotSynced,
        _ if is_dir => Bug::ConfigDirectoryNotSynced,
        _ if name.starts_with("wal-") && unnamed => Bug::SegmentNotSynced,
        _ if name.starts_with("wal-") => Bug::FramesNotSynced,
        _ if name.starts_with("snapshot-") => Bug::SnapshotNotSynced,
        _ if name.starts_with("rewrite-") => Bug::KeptTextsNotSynced,
        "(nameless)" => Bug::NewTextNotSynced,
        "settings.json" => Bug::RewriteNotSynced,
        _ => return false,
    };
    planted(bug)
}
