//! The disk as the running system sees it: inodes, names, open files, locks and leases.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::super::{Kind, Lease, Lock, Rename, Stat};
use super::Rules;
use super::content::{Content, scatter};
use super::file::{FileBody, Meta};
use super::names::{Entries, Name, NameOp, Set, What};
use crate::planted::{Bug, planted};
use crate::storage::faulty::Control;

mod open;

pub(super) const ROOT: u64 = 1;
const LINKS_FOLLOWED_MAX: u32 = 40;
/// Some number that is the same for all files: they are on one device.
const DEVICE: u64 = 0x5d15;

pub(super) fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    File(FileBody),
    Dir(DirBody),
    Symlink(Arc<Path>),
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct DirBody {
    pub entries: Arc<Entries>,
    pub disk: Arc<Entries>,
}

/// An error that a sync still owes somebody.
#[derive(Debug, Clone, Copy)]
struct Owed {
    code: i32,
    /// The descriptor that will never be told.
    not_to: Option<u64>,
}

#[derive(Debug, Clone)]
struct Held {
    handle: u64,
    lease: Lease,
    /// What will be left of it once those have been let in who wait.
    left: Option<Lease>,
    /// Since when somebody waits for it.
    breaking_since: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub body: Body,
    /// Of a directory, a symlink, a device; a file has its own, which a crash may take back.
    pub meta: Arc<Meta>,
    pub links: u64,
    pub modified_ns: i64,
    pub changed_ns: i64,
    opens: u64,
    is_nameless: bool,
    locks: Vec<(u64, Lock)>,
    leases: Vec<Held>,
    owed: Option<Owed>,
}

impl Node {
    pub(super) fn new(body: Body, meta: Arc<Meta>, links: u64, time: i64) -> Node {
        Node {
            body,
            meta,
            links,
            modified_ns: time,
            changed_ns: time,
            opens: 0,
            is_nameless: false,
            locks: Vec::new(),
            leases: Vec::new(),
            owed: None,
        }
    }

    fn meta(&self) -> &Arc<Meta> {
        if let Body::File(file) = &self.body { &file.meta } else { &self.meta }
    }

    fn kind(&self) -> Kind {
        match self.body {
            Body::File(_) => Kind::File,
            Body::Dir(_) => Kind::Directory,
            Body::Symlink(_) => Kind::Symlink,
            Body::Other => Kind::Other,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFile {
    pub ino: u64,
    owner: u64,
    pub is_writable: bool,
}

/// A process as the disk knows it.
pub(super) struct Registered {
    pub owner: u64,
    pub pid: u32,
    pub control: Arc<Control>,
}

/// On whose behalf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    pub owner: u64,
    pub uid: u32,
    pub gid: u32,
}

/// What is not lost by a crash although it lies in no file.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub seed: u64,
    pub boots: u64,
    pub drawn: u64,
    pub next_pid: u32,
    /// Nanoseconds since the epoch when the system was booted.
    pub booted_ns: u64,
    pub rules: Rules,
}

impl Machine {
    pub(super) fn draw(&mut self) -> [u8; 16] {
        self.drawn += 1;
        sixteen(self.seed, self.drawn)
    }

    pub(super) fn boot_id(&self) -> [u8; 16] {
        sixteen(!self.seed, self.boots)
    }
}

fn sixteen(seed: u64, n: u64) -> [u8; 16] {
    let (a, b) = (scatter(seed, 2 * n), scatter(seed, 2 * n + 1));
    (u128::from(a) << 64 | u128::from(b)).to_be_bytes()
}

/// Where a path leads, its last component not followed.
struct Place {
    /// The directories on the way, the last one is `dir`.
    trail: Vec<u64>,
    dir: u64,
    name: Name,
    ino: Option<u64>,
}

pub(super) struct State {
    pub nodes: Vec<Option<Node>>,
    pub ops: Vec<NameOp>,
    pub machine: Machine,
    /// Simulated time since the boot.
    pub now_ns: u64,
    /// Counts the changes of what is seen or of what a crash may leave.
    pub generation: u64,
    pub processes: Vec<Registered>,
    /// Files of the image that this was booted from which nobody has opened or looked at since.
    pub untouched: BTreeSet<u64>,
    handles: BTreeMap<u64, OpenFile>,
    next_handle: u64,
}

impl State {
    pub(super) fn with(nodes: Vec<Option<Node>>, machine: Machine) -> State {
        State {
            nodes,
            ops: Vec::new(),
            machine,
            now_ns: 0,
            generation: 0,
            processes: Vec::new(),
            untouched: BTreeSet::new(),
            handles: BTreeMap::new(),
            next_handle: 1,
        }
    }

    pub(super) fn empty(machine: Machine) -> State {
        let meta = Arc::new(Meta { mode: 0o755, uid: 0, gid: 0, attributes: BTreeMap::new() });
        let body = Body::Dir(DirBody { entries: Arc::default(), disk: Arc::default() });
        State::with(vec![None, Some(Node::new(body, meta, 1, 0))], machine)
    }

    pub(super) fn wall_ns(&self) -> u64 {
        self.machine.booted_ns + self.now_ns
    }

    fn stamp(&self) -> i64 {
        let tick = self.machine.rules.timestamp_tick.as_nanos().max(1) as u64;
        i64::try_from(self.wall_ns() / tick * tick).unwrap_or(i64::MAX)
    }

    /// Take from killed processes what they held.
    pub(super) fn bury(&mut self) {
        if !self.processes.iter().any(|process| process.control.is_dead()) {
            return;
        }
        let (dead, alive): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.processes).into_iter().partition(|process| process.control.is_dead());
        self.processes = alive;
        let gone = |file: &OpenFile| dead.iter().any(|process| process.owner == file.owner);
        let handles: Vec<u64> = self.handles.iter().filter(|(_, file)| gone(file)).map(|(handle, _)| *handle).collect();
        handles.into_iter().for_each(|handle| self.close(handle));
    }

    pub(super) fn node(&self, ino: u64) -> io::Result<&Node> {
        self.nodes.get(ino as usize).and_then(Option::as_ref).ok_or_else(|| errno(libc::ESTALE))
    }

    pub(super) fn node_mut(&mut self, ino: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(ino as usize).and_then(Option::as_mut).ok_or_else(|| errno(libc::ESTALE))
    }

    fn dir(&self, ino: u64) -> io::Result<&DirBody> {
        match &self.node(ino)?.body {
            Body::Dir(dir) => Ok(dir),
            _ => Err(errno(libc::ENOTDIR)),
        }
    }

    pub(super) fn file_mut(&mut self, ino: u64) -> io::Result<&mut FileBody> {
        match &mut self.node_mut(ino)?.body {
            Body::File(file) => Ok(file),
            Body::Dir(_) => Err(errno(libc::EISDIR)),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    // Paths.

    fn walk(&self, trail: &mut Vec<u64>, path: &Path, followed: &mut u32) -> io::Result<()> {
        for component in path.components() {
            let here = *trail.last().unwrap_or(&ROOT);
            match component {
                Component::RootDir | Component::Prefix(_) => trail.clear(),
                Component::CurDir => {}
                Component::ParentDir => drop(trail.pop()),
                Component::Normal(name) => {
                    let ino = self.child(here, name)?;
                    if let Body::Symlink(target) = &self.node(ino)?.body {
                        *followed += 1;
                        if *followed > LINKS_FOLLOWED_MAX {
                            return Err(errno(libc::ELOOP));
                        }
                        self.walk(trail, &target.clone(), followed)?;
                    } else {
                        trail.push(ino);
                    }
                }
            }
        }
        Ok(())
    }

    fn locate(&self, path: &Path) -> io::Result<Place> {
        let mut trail = Vec::new();
        let Some(name) = path.file_name() else {
            self.walk(&mut trail, path, &mut 0)?;
            let dir = *trail.last().unwrap_or(&ROOT);
            return Ok(Place { trail, dir, name: Arc::from(OsStr::new("")), ino: Some(dir) });
        };
        self.walk(&mut trail, path.parent().unwrap_or(Path::new("")), &mut 0)?;
        let dir = *trail.last().unwrap_or(&ROOT);
        let found = self.dir(dir)?.entries.get_key_value(name);
        Ok(match found {
            Some((name, ino)) => Place { trail, dir, name: name.clone(), ino: Some(*ino) },
            None => Place { trail, dir, name: Arc::from(name), ino: None },
        })
    }

    /// The inode that a path names, the last component not followed.
    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        self.locate(path)?.ino.ok_or_else(|| errno(libc::ENOENT))
    }

    /// The inode that has a name in a directory.
    pub(super) fn child(&self, dir: u64, name: &OsStr) -> io::Result<u64> {
        self.dir(dir)?.entries.get(name).copied().ok_or_else(|| errno(libc::ENOENT))
    }

    // Who may do what.

    fn may(&self, who: Who, ino: u64, want: u32) -> io::Result<()> {
        let meta = self.node(ino)?.meta();
        let shift = match (meta.uid == who.uid, meta.gid == who.gid) {
            (true, _) => 6,
            (false, true) => 3,
            (false, false) => 0,
        };
        if who.uid == 0 || meta.mode >> shift & want == want { Ok(()) } else { Err(errno(libc::EACCES)) }
    }

    fn may_change(&self, who: Who, dir: u64) -> io::Result<()> {
        if self.machine.rules.read_only {
            return Err(errno(libc::EROFS));
        }
        self.may(who, dir, 0o3)
    }

    // Names.

    fn apply(&mut self, op: NameOp) -> io::Result<()> {
        let stamp = self.stamp();
        let mut dropped = false;
        for set in &op.sets {
            let Body::Dir(dir) = &mut self.node_mut(set.dir)?.body else { return Err(errno(libc::ENOTDIR)) };
            let entries = Arc::make_mut(&mut dir.entries);
            let before = match set.to {
                Some(ino) => entries.insert(set.name.clone(), ino),
                None => entries.remove(&set.name),
            };
            self.node_mut(set.dir)?.modified_ns = stamp;
            for (ino, by) in [(set.to, 1), (before, -1)] {
                if let Some(ino) = ino {
                    let node = self.node_mut(ino)?;
                    node.links = node.links.saturating_add_signed(by);
                    node.changed_ns = stamp;
                    dropped |= node.links == 0;
                }
            }
        }
        self.ops.push(op);
        self.generation += 1;
        if dropped {
            self.sweep();
        }
        Ok(())
    }

    /// Free the inodes that no name, no open file and nothing on the disk refers to any more. Their numbers are
    /// given out again at once, as file systems do.
    fn sweep(&mut self) {
        loop {
            let idle = |node: &&Node| node.links == 0 && node.opens == 0;
            if !self.nodes.iter().flatten().any(|node| idle(&node)) {
                return;
            }
            let mut wanted: BTreeSet<u64> = self
                .ops
                .iter()
                .flat_map(|op| &op.sets)
                .flat_map(|set| [set.to, set.moved, Some(set.dir)])
                .flatten()
                .collect();
            for node in self.nodes.iter().flatten() {
                if let Body::Dir(dir) = &node.body {
                    wanted.extend(dir.disk.values());
                }
            }
            let mut freed = false;
            for (ino, slot) in self.nodes.iter_mut().enumerate() {
                if slot.as_ref().filter(idle).is_some() && !wanted.contains(&(ino as u64)) {
                    *slot = None;
                    freed = true;
                }
            }
            if !freed {
                return;
            }
        }
    }

    fn add_node(&mut self, node: Node) -> u64 {
        let free = self.nodes.iter().skip(2).position(Option::is_none).map(|at| at + 2);
        let ino = free.unwrap_or(self.nodes.len());
        if free.is_none() {
            self.nodes.push(None);
        }
        self.nodes[ino] = Some(node);
        ino as u64
    }

    fn new_meta(&self, (uid, gid): (u32, u32), mode: u32) -> Arc<Meta> {
        Arc::new(Meta { mode, uid, gid, attributes: BTreeMap::new() })
    }

    /// A new inode under a name that must be free.
    pub(super) fn create(
        &mut self,
        who: Who,
        path: &Path,
        mode: u32,
        body: impl FnOnce(Arc<Meta>) -> Body,
    ) -> io::Result<u64> {
        let place = self.locate(path)?;
        if place.ino.is_some() {
            return Err(errno(libc::EEXIST));
        }
        self.may_change(who, place.dir)?;
        // What root makes goes to the owner of the directory, as the seam has it.
        let parent = self.node(place.dir)?.meta();
        let owner = if who.uid == 0 { (parent.uid, parent.gid) } else { (who.uid, who.gid) };
        let meta = self.new_meta(owner, mode);
        let ino = self.add_node(Node::new(body(meta.clone()), meta, 0, self.stamp()));
        let set = Set { dir: place.dir, name: place.name, moved: None, to: Some(ino) };
        self.apply(NameOp { what: What::Create, sets: vec![set], lost: false })?;
        Ok(ino)
    }

    pub(super) fn create_dir(&mut self, who: Who, path: &Path) -> io::Result<()> {
        let empty = |_| Body::Dir(DirBody { entries: Arc::default(), disk: Arc::default() });
        let mode = if planted(Bug::DirectoryWide) { 0o755 } else { 0o700 };
        self.create(who, path, mode, empty).map(drop)
    }

    pub(super) fn link(&mut self, who: Who, handle: u64, path: &Path) -> io::Result<()> {
        let ino = self.opened(handle)?.ino;
        let place = self.locate(path)?;
        if place.ino.is_some() {
            return Err(errno(libc::EEXIST));
        }
        self.may_change(who, place.dir)?;
        let node = self.node(ino)?;
        if node.kind() == Kind::Directory {
            return Err(errno(libc::EPERM));
        }
        if node.links == 0 && !node.is_nameless {
            return Err(errno(libc::ENOENT));
        }
        let set = Set { dir: place.dir, name: place.name, moved: None, to: Some(ino) };
        self.apply(NameOp { what: What::Link, sets: vec![set], lost: false })
    }

    fn is_empty_dir(&self, ino: u64) -> io::Result<bool> {
        Ok(self.dir(ino)?.entries.is_empty())
    }

    pub(super) fn remove(&mut self, who: Who, path: &Path) -> io::Result<()> {
        let place = self.locate(path)?;
        let ino = place.ino.ok_or_else(|| errno(libc::ENOENT))?;
        self.may_change(who, place.dir)?;
        if matches!(self.node(ino)?.body, Body::Dir(_)) && !self.is_empty_dir(ino)? {
            return Err(errno(libc::ENOTEMPTY));
        }
        let set = Set { dir: place.dir, name: place.name, moved: None, to: None };
        self.apply(NameOp { what: What::Remove, sets: vec![set], lost: false })
    }

    pub(super) fn rename(&mut self, who: Who, from: &Path, to: &Path, how: Rename) -> io::Result<()> {
        let (from, to) = (self.locate(from)?, self.locate(to)?);
        let moved = from.ino.ok_or_else(|| errno(libc::ENOENT))?;
        self.may_change(who, from.dir)?;
        self.may_change(who, to.dir)?;
        let (into_itself, over_its_parent) =
            (to.trail.contains(&moved), to.ino.is_some_and(|other| from.trail.contains(&other)));
        let set = |place: &Place, moved, to| Set { dir: place.dir, name: place.name.clone(), moved, to };
        let (what, sets) = match (how, to.ino) {
            (Rename::Exchange, _) if !self.machine.rules.exchange => return Err(errno(libc::EINVAL)),
            (Rename::Exchange, None) => return Err(errno(libc::ENOENT)),
            (Rename::Keep, Some(_)) => return Err(errno(libc::EEXIST)),
            _ if into_itself => return Err(errno(libc::EINVAL)),
            (Rename::Exchange, _) if over_its_parent => return Err(errno(libc::EINVAL)),
            _ if over_its_parent => return Err(errno(libc::ENOTEMPTY)),
            (Rename::Exchange, Some(other)) => {
                (What::Exchange, vec![set(&from, Some(moved), Some(other)), set(&to, Some(other), Some(moved))])
            }
            (Rename::Replace, Some(same)) if same == moved => return Ok(()),
            (Rename::Replace | Rename::Keep, other) => {
                if let Some(other) = other {
                    let is_dir = |ino| self.node(ino).map(|node| matches!(node.body, Body::Dir(_)));
                    match (is_dir(moved)?, is_dir(other)?) {
                        (true, false) => return Err(errno(libc::ENOTDIR)),
                        (false, true) => return Err(errno(libc::EISDIR)),
                        (true, true) if !self.is_empty_dir(other)? => return Err(errno(libc::ENOTEMPTY)),
                        _ => {}
                    }
                }
                (What::Rename, vec![set(&to, None, Some(moved)), set(&from, Some(moved), None)])
            }
        };
        self.apply(NameOp { what, sets, lost: false })
    }

    pub(super) fn list(&self, who: Who, path: &Path) -> io::Result<Vec<OsString>> {
        let ino = self.find(path)?;
        let names = self.dir(ino)?.entries.keys().map(|name| name.to_os_string()).collect();
        self.may(who, ino, 0o4)?;
        Ok(names)
    }

    pub(super) fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        match &self.node(self.find(path)?)?.body {
            Body::Symlink(target) => Ok(target.to_path_buf()),
            _ => Err(errno(libc::EINVAL)),
        }
    }

    pub(super) fn stat(&mut self, ino: u64) -> io::Result<Stat> {
        self.untouched.remove(&ino);
        let node = self.node(ino)?;
        let meta = node.meta();
        let (len, links) = match &node.body {
            Body::File(file) => (file.cache.len(), node.links),
            Body::Dir(_) => (4096, node.links + 1),
            Body::Symlink(target) => (target.as_os_str().len() as u64, node.links),
            Body::Other => (0, node.links),
        };
        Ok(Stat {
            kind: node.kind(),
            dev: DEVICE,
            ino,
            len,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            links,
            modified_ns: node.modified_ns,
            changed_ns: node.changed_ns,
        })
    }

    /// What a file holds now, for those who look on from outside.
    pub(super) fn content(&mut self, path: &Path) -> io::Result<Arc<Content>> {
        let ino = self.find(path)?;
        let file = self.file_mut(ino)?;
        file.take_page();
        Ok(file.cache.clone())
    }
}
