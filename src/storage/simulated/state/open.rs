//! Open files: reading, writing, syncing; the locks and leases that end with them.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::super::{Kind, Lease, Lock, Open};
use super::super::content::{BLOCK, LEN_MAX};
use super::super::file::{FileBody, Meta};
use super::super::names::{NameOp, committed_by};
use super::{Body, Held, Node, OpenFile, Owed, State, Who, errno};
use crate::planted::{Bug, planted};
use crate::storage::faulty::SyncFault;

/// As long as the kernel waits for a lease to be given back (`/proc/sys/fs/lease-break-time`).
const LEASE_BREAK_NS: u64 = 45_000_000_000;

impl State {
    pub(in super::super) fn open(&mut self, who: Who, path: &Path, how: Open) -> io::Result<u64> {
        let read_only = self.machine.rules.read_only;
        let file = |meta| Body::File(FileBody::settled(Arc::default(), meta));
        let ino = match how {
            Open::Create(mode) => {
                let is_ours = path.to_string_lossy().contains(".cfgwal");
                let mode = if is_ours && planted(Bug::FilesWide) { 0o644 } else { mode };
                self.create(who, path, mode, file)?
            }
            Open::Nameless => {
                let dir = self.find(path)?;
                self.dir(dir)?;
                self.may_change(who, dir)?;
                let meta = self.new_meta((who.uid, who.gid), 0o600);
                let mut node = Node::new(file(meta.clone()), meta, 0, self.stamp());
                node.is_nameless = self.machine.rules.nameless;
                self.add_node(node)
            }
            Open::Read | Open::Write | Open::Directory => {
                let ino = self.find(path)?;
                match (self.node(ino)?.kind(), how) {
                    (Kind::Directory, Open::Directory) | (Kind::File, Open::Read | Open::Write) => {}
                    (_, Open::Directory) => return Err(errno(libc::ENOTDIR)),
                    (Kind::Symlink, _) => return Err(errno(libc::ELOOP)),
                    (Kind::Directory, Open::Write) => return Err(errno(libc::EISDIR)),
                    _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
                }
                self.may(who, ino, if how == Open::Write { 0o6 } else { 0o4 })?;
                if how == Open::Write && read_only {
                    return Err(errno(libc::EROFS));
                }
                return self.open_found(who, ino, how == Open::Write);
            }
        };
        self.handle(who, ino, true)
    }

    /// Open a file whose path was followed before, wherever that leads by now.
    pub(in super::super) fn open_found(&mut self, who: Who, ino: u64, to_write: bool) -> io::Result<u64> {
        self.break_leases(ino, to_write)?;
        self.handle(who, ino, to_write)
    }

    fn handle(&mut self, who: Who, ino: u64, is_writable: bool) -> io::Result<u64> {
        self.untouched.remove(&ino);
        let handle = self.next_handle;
        self.next_handle += 1;
        self.keep(ino)?;
        self.handles.insert(handle, OpenFile { ino, owner: who.owner, is_writable });
        Ok(handle)
    }

    pub(in super::super) fn opened(&self, handle: u64) -> io::Result<OpenFile> {
        self.handles.get(&handle).copied().ok_or_else(|| errno(libc::EBADF))
    }

    pub(in super::super) fn close(&mut self, handle: u64) {
        let Some(file) = self.handles.remove(&handle) else { return };
        let Ok(node) = self.node_mut(file.ino) else { return };
        node.locks.retain(|(holder, _)| *holder != handle);
        node.leases.retain(|held| held.handle != handle);
        self.let_go(file.ino);
    }

    /// An inode stays as long as somebody has found it.
    pub(in super::super) fn keep(&mut self, ino: u64) -> io::Result<()> {
        self.node_mut(ino)?.opens += 1;
        Ok(())
    }

    pub(in super::super) fn let_go(&mut self, ino: u64) {
        let Ok(node) = self.node_mut(ino) else { return };
        node.opens -= 1;
        if node.links == 0 && node.opens == 0 {
            self.sweep();
        }
    }

    pub(in super::super) fn read(&mut self, handle: u64, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.file_mut(self.handles.get(&handle).ok_or_else(|| errno(libc::EBADF))?.ino)?;
        file.take_page();
        Ok(file.cache.read(offset, buf))
    }

    pub(in super::super) fn write(&mut self, handle: u64, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let open = self.opened(handle)?;
        if !open.is_writable {
            return Err(errno(libc::EBADF));
        }
        if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > LEN_MAX) {
            return Err(errno(libc::EFBIG));
        }
        let len = self.room_for(open.ino, offset, bytes.len())?;
        let stamp = self.stamp();
        let node = self.node_mut(open.ino)?;
        (node.modified_ns, node.changed_ns) = (stamp, stamp);
        self.generation += 1;
        self.file_mut(open.ino)?.write(offset, &bytes[..len]);
        Ok(len)
    }

    /// How much of a write the disk has room for.
    fn room_for(&mut self, ino: u64, offset: u64, wanted: usize) -> io::Result<usize> {
        let Some(capacity) = self.machine.rules.capacity else { return Ok(wanted) };
        let used: u64 = self
            .nodes
            .iter()
            .flatten()
            .map(|node| if let Body::File(file) = &node.body { file.cache.blocks() } else { 0 })
            .sum();
        let free = (capacity / BLOCK as u64).saturating_sub(used);
        let cache = &self.file_mut(ino)?.cache;
        let mut len = wanted;
        while len > 0 && cache.blocks_wanted(offset, len) > free {
            let into = (offset as usize + len) % BLOCK;
            len = len.saturating_sub(if into == 0 { BLOCK } else { into });
        }
        if len == 0 && wanted > 0 { Err(errno(libc::ENOSPC)) } else { Ok(len) }
    }

    pub(in super::super) fn set_len(&mut self, handle: u64, len: u64) -> io::Result<()> {
        let open = self.opened(handle)?;
        if !open.is_writable {
            return Err(errno(libc::EINVAL));
        }
        if len > LEN_MAX {
            return Err(errno(libc::EFBIG));
        }
        let stamp = self.stamp();
        let node = self.node_mut(open.ino)?;
        (node.modified_ns, node.changed_ns) = (stamp, stamp);
        self.generation += 1;
        self.file_mut(open.ino)?.set_len(len);
        Ok(())
    }

    pub(in super::super) fn set_meta(
        &mut self,
        who: Who,
        handle: u64,
        change: impl FnOnce(&mut Meta),
    ) -> io::Result<()> {
        let ino = self.opened(handle)?.ino;
        self.change_meta(who, ino, change)
    }

    /// Of an inode, by its owner or by root; nobody but root gives a file away.
    pub(in super::super) fn change_meta(
        &mut self,
        who: Who,
        ino: u64,
        change: impl FnOnce(&mut Meta),
    ) -> io::Result<()> {
        if self.machine.rules.read_only {
            return Err(errno(libc::EROFS));
        }
        let stamp = self.stamp();
        let node = self.node_mut(ino)?;
        let mut meta = (**node.meta()).clone();
        let before = (meta.uid, meta.gid);
        change(&mut meta);
        if who.uid != 0 && (before.0 != who.uid || (meta.uid, meta.gid) != before) {
            return Err(errno(libc::EPERM));
        }
        node.changed_ns = stamp;
        match &mut node.body {
            Body::File(file) => file.set_meta(meta),
            _ => node.meta = Arc::new(meta),
        }
        self.generation += 1;
        Ok(())
    }

    pub(in super::super) fn attributes(&self, handle: u64) -> io::Result<Vec<(OsString, Vec<u8>)>> {
        let meta = self.node(self.opened(handle)?.ino)?.meta();
        Ok(meta.attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    // Syncs.

    pub(in super::super) fn sync(&mut self, handle: u64) -> io::Result<()> {
        let ino = self.opened(handle)?.ino;
        let owed = self.node_mut(ino)?.owed.take_if(|owed| owed.not_to != Some(handle));
        if let Some(owed) = owed {
            // What else this sync should have written shares the fate of what the error is about.
            return self.fail_sync(handle, owed.code, SyncFault::Lost);
        }
        self.settle(ino)
    }

    /// As an honest sync of this inode does.
    pub(in super::super) fn settle(&mut self, ino: u64) -> io::Result<()> {
        self.generation += 1;
        match &mut self.node_mut(ino)?.body {
            Body::File(file) => file.sync(),
            Body::Dir(_) => {
                for set in committed_by(&mut self.ops, ino).into_iter().flat_map(|op| op.sets) {
                    let Body::Dir(dir) = &mut self.node_mut(set.dir)?.body else { continue };
                    let disk = Arc::make_mut(&mut dir.disk);
                    match set.to {
                        Some(to) => disk.insert(set.name, to),
                        None => disk.remove(&set.name),
                    };
                }
                self.sweep();
            }
            Body::Symlink(_) | Body::Other => {}
        }
        Ok(())
    }

    pub(in super::super) fn fail_sync(&mut self, handle: u64, code: i32, fault: SyncFault) -> io::Result<()> {
        let ino = self.opened(handle)?.ino;
        self.generation += 1;
        match &mut self.node_mut(ino)?.body {
            Body::File(file) => file.fail_sync(fault),
            Body::Dir(_) if fault != SyncFault::Kept => {
                let here = |op: &&mut NameOp| op.sets.iter().any(|set| set.dir == ino);
                self.ops.iter_mut().filter(here).for_each(|op| op.lost = true);
            }
            _ => {}
        }
        let not_to = match fault {
            SyncFault::Lost | SyncFault::Reverted | SyncFault::Kept => return Err(errno(code)),
            SyncFault::ToldNext => None,
            SyncFault::ToldElsewhere => Some(handle),
        };
        self.node_mut(ino)?.owed = Some(Owed { code, not_to });
        Ok(())
    }

    // Locks and leases.

    pub(in super::super) fn try_lock(&mut self, handle: u64, lock: Lock) -> io::Result<bool> {
        let node = self.node_mut(self.handles.get(&handle).ok_or_else(|| errno(libc::EBADF))?.ino)?;
        // As flock does it: what this descriptor held is given up first, even when the new lock cannot be had.
        if node.locks.contains(&(handle, lock)) {
            return Ok(true);
        }
        node.locks.retain(|(holder, _)| *holder != handle);
        let in_the_way = |held: &(u64, Lock)| held.1 == Lock::Exclusive || lock == Lock::Exclusive;
        if node.locks.iter().any(in_the_way) {
            return Ok(false);
        }
        node.locks.push((handle, lock));
        Ok(true)
    }

    pub(in super::super) fn unlock(&mut self, handle: u64) -> io::Result<()> {
        let ino = self.opened(handle)?.ino;
        self.node_mut(ino)?.locks.retain(|(holder, _)| *holder != handle);
        Ok(())
    }

    fn break_leases(&mut self, ino: u64, to_write: bool) -> io::Result<()> {
        let now = self.now_ns;
        let leases = &mut self.node_mut(ino)?.leases;
        let waiting = |held: &Held| held.breaking_since.is_none_or(|since| now < since + LEASE_BREAK_NS);
        leases.retain(waiting);
        let mut in_the_way = leases.iter_mut().filter(|held| to_write || held.lease == Lease::Write).peekable();
        if in_the_way.peek().is_none() {
            return Ok(());
        }
        for held in in_the_way {
            held.breaking_since.get_or_insert(now);
            held.left = held.left.filter(|_| !to_write).map(|_| Lease::Read);
        }
        Err(errno(libc::EWOULDBLOCK))
    }

    pub(in super::super) fn try_lease(&mut self, who: Who, handle: u64, lease: Lease) -> io::Result<bool> {
        if !self.machine.rules.leases {
            return Err(errno(libc::EINVAL));
        }
        let ino = self.opened(handle)?.ino;
        let node = self.node(ino)?;
        if node.kind() != Kind::File {
            return Err(errno(libc::EINVAL));
        }
        if who.uid != 0 && who.uid != node.meta().uid {
            return Err(errno(libc::EACCES));
        }
        // This descriptor counts too: a read lease is for those who can only read.
        let in_the_way = |other: u64, file: &OpenFile| match lease {
            Lease::Read => file.is_writable,
            Lease::Write => other != handle,
        };
        let free = !self.handles.iter().any(|(other, file)| file.ino == ino && in_the_way(*other, file));
        let leases = &mut self.node_mut(ino)?.leases;
        if free {
            // Who waits goes on waiting when a lease is taken again.
            let before = leases.iter().position(|held| held.handle == handle).map(|at| leases.swap_remove(at));
            let (left, breaking_since) = before.map_or((Some(lease), None), |held| (held.left, held.breaking_since));
            leases.push(Held { handle, lease, left, breaking_since });
        }
        Ok(free)
    }

    pub(in super::super) fn left_of_lease(&self, handle: u64) -> io::Result<Option<Lease>> {
        let leases = &self.node(self.opened(handle)?.ino)?.leases;
        Ok(leases.iter().find(|held| held.handle == handle).and_then(|held| held.left))
    }

    /// Whether nobody came meanwhile.
    pub(in super::super) fn end_lease(&mut self, handle: u64) -> io::Result<bool> {
        let ino = self.opened(handle)?.ino;
        let leases = &mut self.node_mut(ino)?.leases;
        let Some(at) = leases.iter().position(|held| held.handle == handle) else { return Ok(false) };
        Ok(leases.swap_remove(at).breaking_since.is_none())
    }
}
