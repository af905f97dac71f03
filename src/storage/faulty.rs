//! A storage that counts every call and can make any one of them fail, fall short, or be the last.
//!
//! ```text
//! engine ─▶ Control::enter(call) ─▶ Verdict: go on / fail / write less / die ─▶ the storage below
//! ```
//!
//! [`Control`] holds the numbers and the [`FaultPlan`]; it touches no file. [`Faulty`] puts it in front of any
//! storage, the operating system's included; the simulated disk asks its own, because there a failed sync has
//! consequences that a wrapper cannot bring about.
//!
//! Calls are numbered from 1, from the moment the plan was set: run once without a plan, ask how many calls there
//! were, then run again for each of them.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::{File, Lease, Lock, Open, PAGE_WORDS, Page, Rename, Stat, Storage};

/// What the engine is given in place of the operating system.
#[derive(Clone)]
pub struct Seat(pub(crate) Arc<dyn Storage>);

impl Seat {
    /// The operating system itself.
    pub fn os() -> Seat {
        Seat(Arc::new(super::os::Os))
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Seat")
    }
}

/// The calls of the seam that can fail. Those that only tell the time, wait or name the process are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // Named after the calls of `Storage` and `File`.
pub enum Call {
    Open,
    CreateDir,
    List,
    Stat,
    ReadLink,
    Rename,
    Remove,
    Foreign,
    BootId,
    Random,
    Read,
    Write,
    SetLen,
    Sync,
    SyncDir,
    FileStat,
    TryLock,
    Unlock,
    TryLease,
    EndLease,
    Link,
    TakeMetadata,
    SetMode,
    Attributes,
    SetAttribute,
    Map,
}

impl Call {
    /// The calls that can change what a crash leaves, a sync among them. An open is one because it may create.
    pub const CHANGING: &[Call] = &[
        Call::Open,
        Call::CreateDir,
        Call::Rename,
        Call::Remove,
        Call::Write,
        Call::SetLen,
        Call::Sync,
        Call::SyncDir,
        Call::Link,
        Call::TakeMetadata,
        Call::SetMode,
        Call::SetAttribute,
    ];
    /// The calls that need room on the disk, so that a full disk refuses them.
    pub const GROWING: &[Call] = &[Call::CreateDir, Call::Rename, Call::Write, Call::Sync, Call::SyncDir, Call::Link];

    /// Whether the call can change what a crash leaves.
    pub fn changes(self) -> bool {
        Call::CHANGING.contains(&self)
    }
}

/// One call, as an observer sees it just before it happens.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The number of the call, from 1.
    pub number: u64,
    /// Which call.
    pub call: Call,
    /// The path that it names, or by which its file was opened.
    pub path: &'a Path,
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// The one call.
    Once,
    /// That call and every later one that the fault is meant for.
    Forever,
}

/// What a failed sync leaves behind. Where the storage below is a real one, only the error can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncFault {
    /// The error is told now. What was pending counts as clean: it is read, and no later sync writes it.
    Lost,
    /// This sync says that all is well; the next sync of the file tells the error. Pending as with `Lost`.
    ToldNext,
    /// This sync says that all is well; a sync through another descriptor tells the error. Pending as with `Lost`.
    ToldElsewhere,
    /// The error is told now, and the content is again what it was at the last honest sync (btrfs).
    Reverted,
    /// The error is told now, and what was pending stays so: a later sync writes it.
    Kept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Errno(i32),
    /// Take at most so many bytes of a write.
    Short(usize),
}

#[derive(Debug, Clone)]
struct Fault {
    /// `None`: every call.
    calls: Option<&'static [Call]>,
    /// Among the calls that it is meant for, from 1.
    nth: u64,
    times: Times,
    effect: Effect,
    met: u64,
}

/// What goes wrong and when. Numbers start at 1.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    kill: Option<(u64, usize)>,
    kill_at_touch: Option<u64>,
    faults: Vec<Fault>,
    file_sync: SyncFault,
    dir_sync: SyncFault,
}

impl Default for FaultPlan {
    fn default() -> Self {
        FaultPlan::new()
    }
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub fn new() -> FaultPlan {
        FaultPlan {
            kill: None,
            kill_at_touch: None,
            faults: Vec::new(),
            file_sync: SyncFault::Lost,
            // A file system whose journal cannot be written stops altogether, so none is known that forgets names
            // and goes on.
            dir_sync: SyncFault::Kept,
        }
    }

    /// The process dies at this call, which has no effect.
    #[must_use]
    pub fn kill_at(self, call: u64) -> FaultPlan {
        self.kill_in_write(call, 0)
    }

    /// The process dies at this call; if it is a write, its first `done` bytes (as many as there are) are done.
    #[must_use]
    pub fn kill_in_write(mut self, call: u64, done: usize) -> FaultPlan {
        self.kill = Some((call, done));
        self
    }

    /// The process dies when it is about to look at or store into a shared page for this time, counted apart.
    ///
    /// No call fails because of that, so what it was doing may still seem to succeed: nothing that a dead process
    /// says counts as said.
    #[must_use]
    pub fn kill_at_touch(mut self, touch: u64) -> FaultPlan {
        self.kill_at_touch = Some(touch);
        self
    }

    /// This call fails with an error of the operating system; a sync as [`on_sync`](Self::on_sync) says.
    #[must_use]
    pub fn fail(self, call: u64, errno: i32, times: Times) -> FaultPlan {
        self.with(None, call, times, Effect::Errno(errno))
    }

    /// As [`fail`](Self::fail), but only these calls are counted and only they fail.
    #[must_use]
    pub fn fail_only(self, calls: &'static [Call], nth: u64, errno: i32, times: Times) -> FaultPlan {
        self.with(Some(calls), nth, times, Effect::Errno(errno))
    }

    /// The n-th write takes at most so many bytes, none if 0.
    #[must_use]
    pub fn short_write(self, nth: u64, bytes: usize, times: Times) -> FaultPlan {
        self.with(Some(&[Call::Write]), nth, times, Effect::Short(bytes))
    }

    /// What a failed sync of a file leaves; `Lost` unless set.
    #[must_use]
    pub fn on_sync(mut self, fault: SyncFault) -> FaultPlan {
        self.file_sync = fault;
        self
    }

    /// What a failed sync of a directory leaves; `Kept` unless set.
    #[must_use]
    pub fn on_sync_dir(mut self, fault: SyncFault) -> FaultPlan {
        self.dir_sync = fault;
        self
    }

    fn with(mut self, calls: Option<&'static [Call]>, nth: u64, times: Times, effect: Effect) -> FaultPlan {
        self.faults.push(Fault { calls, nth, times, effect, met: 0 });
        self
    }

    fn verdict(&mut self, number: u64, call: Call) -> Verdict {
        if let Some((_, done)) = self.kill.filter(|(at, _)| *at == number) {
            return Verdict::Die { done };
        }
        let mut verdict = Verdict::Go;
        for fault in &mut self.faults {
            if fault.calls.is_some_and(|calls| !calls.contains(&call)) {
                continue;
            }
            fault.met += 1;
            let strikes = match fault.times {
                Times::Once => fault.met == fault.nth,
                Times::Forever => fault.met >= fault.nth,
            };
            if !strikes || verdict != Verdict::Go {
                continue;
            }
            verdict = match (fault.effect, call) {
                (Effect::Errno(errno), Call::Sync) => Verdict::FailSync { errno, fault: self.file_sync },
                (Effect::Errno(errno), Call::SyncDir) => Verdict::FailSync { errno, fault: self.dir_sync },
                (Effect::Errno(errno), _) => Verdict::Fail { errno },
                (Effect::Short(bytes), _) => Verdict::Short { bytes },
            };
        }
        verdict
    }
}

/// What is to become of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    Fail { errno: i32 },
    FailSync { errno: i32, fault: SyncFault },
    Short { bytes: usize },
    Die { done: usize },
}

type Observer = Box<dyn FnMut(&Seen<'_>) + Send>;
type Waiting = Box<dyn FnMut() + Send>;

/// The numbers of one process, and what is planned for it.
#[derive(Default)]
pub(crate) struct Control {
    inner: Mutex<Inner>,
    observer: Mutex<Option<Observer>>,
    is_observed: AtomicBool,
    waiting: Mutex<Option<Waiting>>,
    dead: AtomicBool,
    touches: AtomicU64,
    /// The touch at which to die; 0: none.
    last_touch: AtomicU64,
}

#[derive(Default)]
struct Inner {
    plan: FaultPlan,
    calls: u64,
    trace: Option<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        locked(&self.inner)
    }

    pub(crate) fn set_plan(&self, plan: FaultPlan) {
        self.touches.store(0, SeqCst);
        self.last_touch.store(plan.kill_at_touch.unwrap_or(0), SeqCst);
        let mut inner = self.inner();
        inner.calls = 0;
        inner.plan = plan;
    }

    pub(crate) fn calls(&self) -> u64 {
        self.inner().calls
    }

    pub(crate) fn touches(&self) -> u64 {
        self.touches.load(SeqCst)
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(SeqCst)
    }

    pub(crate) fn die(&self) {
        self.dead.store(true, SeqCst);
    }

    pub(crate) fn observe(&self, observer: Observer) {
        *locked(&self.observer) = Some(observer);
        self.is_observed.store(true, SeqCst);
    }

    pub(crate) fn on_wait(&self, run: Waiting) {
        *locked(&self.waiting) = Some(run);
    }

    /// The process waits: let the others get on.
    pub(crate) fn waits(&self) {
        let taken = locked(&self.waiting).take();
        if let Some(mut run) = taken {
            run();
            locked(&self.waiting).get_or_insert(run);
        }
    }

    pub(crate) fn record(&self) {
        self.inner().trace = Some(Vec::new());
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.inner().trace.clone().unwrap_or_default()
    }

    /// Number the call and say what is to become of it. The observer runs first, with no lock held, so that it may
    /// use the disk, as another process or as the one that looks at what a crash would leave now.
    pub(crate) fn enter(&self, call: Call, path: &Path) -> io::Result<Verdict> {
        if self.is_dead() {
            return Err(killed());
        }
        if self.is_observed.load(SeqCst) {
            // Taken out while it runs: what it does through this same process is not observed.
            let taken = locked(&self.observer).take();
            if let Some(mut observer) = taken {
                let number = self.inner().calls + 1;
                observer(&Seen { number, call, path });
                locked(&self.observer).get_or_insert(observer);
                if self.is_dead() {
                    return Err(killed());
                }
            }
        }
        let mut inner = self.inner();
        inner.calls += 1;
        let number = inner.calls;
        let verdict = inner.plan.verdict(number, call);
        if let Some(trace) = &mut inner.trace {
            let note = if verdict == Verdict::Go { String::new() } else { format!(" {verdict:?}") };
            trace.push(format!("{number} {call:?} {}{note}", path.display()));
        }
        if matches!(verdict, Verdict::Die { .. }) {
            self.die();
        }
        Ok(verdict)
    }

    /// Count one look at a shared page; `false` when the process is dead, now or since long.
    pub(crate) fn touch(&self) -> bool {
        if self.is_dead() {
            return false;
        }
        let number = self.touches.fetch_add(1, SeqCst) + 1;
        if number == self.last_touch.load(SeqCst) {
            self.die();
            return false;
        }
        true
    }
}

/// Why a call of a killed process fails. Nothing that such a process does has an effect.
#[derive(Debug, thiserror::Error)]
#[error("this process was killed")]
pub struct Killed;

pub(crate) fn killed() -> io::Error {
    io::Error::other(Killed)
}

/// Whether an error, or one of its causes, is that the process was killed.
pub fn is_killed(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<Killed>() || inside.is_some_and(|inside| inside.is::<Killed>()) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Any storage, with its calls counted and a plan of what goes wrong. What a killed process had locked is free when
/// its files are dropped.
#[derive(Clone)]
pub struct Faulty {
    below: Arc<dyn Storage>,
    control: Arc<Control>,
}

impl Faulty {
    /// In front of `below`, with nothing planned.
    pub fn new(below: Seat) -> Faulty {
        Faulty { below: below.0, control: Arc::default() }
    }

    /// What to give to the engine.
    pub fn seat(&self) -> Seat {
        Seat(Arc::new(self.clone()))
    }

    /// From now on, counting from 1 again.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.control.set_plan(plan);
    }

    /// Calls since the plan was set.
    pub fn calls(&self) -> u64 {
        self.control.calls()
    }

    /// Whether the plan has killed it.
    pub fn is_dead(&self) -> bool {
        self.control.is_dead()
    }

    fn pass(&self, call: Call, path: &Path) -> io::Result<()> {
        pass(&self.control, call, path)
    }

    fn wrap(&self, file: Box<dyn File>, path: &Path, is_dir: bool) -> Box<dyn File> {
        Box::new(FaultyFile { below: file, control: self.control.clone(), path: path.into(), is_dir })
    }
}

/// For every call but a write.
fn pass(control: &Control, call: Call, path: &Path) -> io::Result<()> {
    match control.enter(call, path)? {
        Verdict::Go | Verdict::Short { .. } => Ok(()),
        Verdict::Fail { errno } | Verdict::FailSync { errno, .. } => Err(io::Error::from_raw_os_error(errno)),
        Verdict::Die { .. } => Err(killed()),
    }
}

impl Storage for Faulty {
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn File>> {
        self.pass(Call::Open, path)?;
        Ok(self.wrap(self.below.open(path, how)?, path, how == Open::Directory))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.pass(Call::CreateDir, path)?;
        self.below.create_dir(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.pass(Call::List, dir)?;
        self.below.list(dir)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.pass(Call::Stat, path)?;
        self.below.stat(path)
    }
    fn is_mount_point(&self, path: &Path) -> io::Result<bool> {
        self.below.is_mount_point(path)
    }
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.pass(Call::ReadLink, path)?;
        self.below.read_link(path)
    }
    fn rename(&self, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        self.pass(Call::Rename, to)?;
        self.below.rename(from, to, how)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.pass(Call::Remove, path)?;
        self.below.remove(path)
    }
    fn foreign(&self, dir: &Path) -> io::Result<Option<&'static str>> {
        self.pass(Call::Foreign, dir)?;
        self.below.foreign(dir)
    }
    fn boot_id(&self) -> io::Result<[u8; 16]> {
        self.pass(Call::BootId, Path::new(""))?;
        self.below.boot_id()
    }
    fn random(&self) -> io::Result<[u8; 16]> {
        self.pass(Call::Random, Path::new(""))?;
        self.below.random()
    }
    fn uptime(&self) -> Duration {
        self.below.uptime()
    }
    fn clock_micros(&self) -> u64 {
        self.below.clock_micros()
    }
    fn sleep(&self, time: Duration) {
        self.below.sleep(time);
    }
    fn default_mode(&self) -> u32 {
        self.below.default_mode()
    }
    fn pid(&self) -> u32 {
        self.below.pid()
    }
    fn alive(&self, pid: u32) -> bool {
        self.below.alive(pid)
    }
    fn acts_for(&self, uid: u32) -> bool {
        self.below.acts_for(uid)
    }
}

struct FaultyFile {
    below: Box<dyn File>,
    control: Arc<Control>,
    path: Box<Path>,
    is_dir: bool,
}

impl FaultyFile {
    fn pass(&self, call: Call) -> io::Result<()> {
        pass(&self.control, call, &self.path)
    }
}

impl File for FaultyFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.pass(Call::Read)?;
        self.below.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.control.enter(Call::Write, &self.path)? {
            Verdict::Go => self.below.write_at(bytes, offset),
            Verdict::Short { bytes: 0 } => Ok(0),
            Verdict::Short { bytes: most } => self.below.write_at(&bytes[..most.min(bytes.len())], offset),
            Verdict::Fail { errno } | Verdict::FailSync { errno, .. } => Err(io::Error::from_raw_os_error(errno)),
            Verdict::Die { done } => {
                super::write_full(&*self.below, &bytes[..done.min(bytes.len())], offset)?;
                Err(killed())
            }
        }
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.pass(Call::SetLen)?;
        self.below.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.pass(if self.is_dir { Call::SyncDir } else { Call::Sync })?;
        self.below.sync()
    }
    fn stat(&self) -> io::Result<Stat> {
        self.pass(Call::FileStat)?;
        self.below.stat()
    }
    fn entry(&self, name: &OsStr) -> io::Result<(u64, u64)> {
        pass(&self.control, Call::Stat, &self.path.join(name))?;
        self.below.entry(name)
    }
    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.pass(Call::TryLock)?;
        self.below.try_lock(lock)
    }
    fn unlock(&self) -> io::Result<()> {
        self.pass(Call::Unlock)?;
        self.below.unlock()
    }
    fn try_lease(&self, lease: Lease) -> io::Result<bool> {
        self.pass(Call::TryLease)?;
        self.below.try_lease(lease)
    }
    fn left_of_lease(&self) -> io::Result<Option<Lease>> {
        self.pass(Call::EndLease)?;
        self.below.left_of_lease()
    }
    fn end_lease(&self, lease: Lease) -> io::Result<bool> {
        self.pass(Call::EndLease)?;
        self.below.end_lease(lease)
    }
    fn link(&self, path: &Path) -> io::Result<()> {
        pass(&self.control, Call::Link, path)?;
        self.below.link(path)
    }
    fn take_metadata(&self, like: &dyn File) -> io::Result<()> {
        self.pass(Call::TakeMetadata)?;
        self.below.take_metadata(like)
    }
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.pass(Call::SetMode)?;
        self.below.set_mode(mode)
    }
    fn attributes(&self) -> io::Result<Vec<(OsString, Vec<u8>)>> {
        self.pass(Call::Attributes)?;
        self.below.attributes()
    }
    fn set_attribute(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        self.pass(Call::SetAttribute)?;
        self.below.set_attribute(name, value)
    }
    fn map(&self) -> io::Result<Arc<dyn Page>> {
        self.pass(Call::Map)?;
        Ok(GuardedPage::over(self.below.map()?, self.control.clone()))
    }
}

/// A shared page as its process sees it: once that is killed, it has a page to itself. A killed process runs on
/// here until its calls have all failed; what it would tidy up meanwhile must not be seen by the others.
pub(crate) struct GuardedPage {
    below: Arc<dyn Page>,
    control: Arc<Control>,
    ghost: OnceLock<Box<[AtomicU64; PAGE_WORDS]>>,
}

impl GuardedPage {
    pub(crate) fn over(below: Arc<dyn Page>, control: Arc<Control>) -> Arc<dyn Page> {
        Arc::new(GuardedPage { below, control, ghost: OnceLock::new() })
    }
}

impl Page for GuardedPage {
    fn words(&self) -> &[AtomicU64; PAGE_WORDS] {
        if self.control.touch() {
            return self.below.words();
        }
        let copy = |word: usize| AtomicU64::new(self.below.words()[word].load(SeqCst));
        self.ghost.get_or_init(|| Box::new(std::array::from_fn(copy)))
    }
    fn claim_room(&self) -> io::Result<()> {
        self.below.claim_room()
    }
    fn wait(&self, word: usize, seen: u32, timeout: Duration) {
        // A dead process waits too: time goes on for it until its bounded waits have ended.
        self.below.wait(word, seen, timeout);
    }
    fn wake(&self, word: usize, most: u32) {
        if !self.control.is_dead() {
            self.below.wake(word, most);
        }
    }
}

#[cfg(test)]
mod tests;
