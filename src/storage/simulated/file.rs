//! One regular file: what is read, what is on the disk, and what lies between the two.
//!
//! ```text
//! write ─▶ cache (read by everybody) ─┬─▶ honest sync ─▶ disk
//!                  + a piece, pending ┴─▶ failed sync ─▶ lost: read, but no sync writes it any more
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::super::PAGE_LEN;
use super::content::Content;
use super::page::Memory;
use crate::storage::faulty::SyncFault;

/// Who may use a file, and what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Meta {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub attributes: BTreeMap<OsString, Vec<u8>>,
}

/// Bytes written since the last honest sync, oldest first.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub offset: u64,
    pub bytes: Arc<[u8]>,
    /// A sync failed on it: it counts as clean and is not on the disk.
    pub lost: bool,
    /// It came out of a shared page, where the newest state alone is known.
    mapped: bool,
}

impl Piece {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// A change of something that a file has one of.
#[derive(Debug, Clone)]
pub(super) struct Change<T> {
    pub to: T,
    pub lost: bool,
}

#[derive(Debug, Clone)]
pub(super) struct FileBody {
    pub cache: Arc<Content>,
    pub disk: Arc<Content>,
    pub meta: Arc<Meta>,
    pub disk_meta: Arc<Meta>,
    pub pieces: Vec<Piece>,
    pub lens: Vec<Change<u64>>,
    pub metas: Vec<Change<Arc<Meta>>>,
    pub page: Option<Arc<Memory>>,
}

impl FileBody {
    /// As it is on the disk, nothing pending.
    pub(super) fn settled(content: Arc<Content>, meta: Arc<Meta>) -> FileBody {
        FileBody {
            cache: content.clone(),
            disk: content,
            disk_meta: meta.clone(),
            meta,
            pieces: Vec::new(),
            lens: Vec::new(),
            metas: Vec::new(),
            page: None,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.pieces.is_empty() && self.lens.is_empty() && self.metas.is_empty()
    }

    /// The caller has seen to the room on the disk.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some(page) = &self.page
            && offset < PAGE_LEN as u64
        {
            page.write(offset as usize, bytes);
        }
        Arc::make_mut(&mut self.cache).write(offset, bytes);
        self.push_piece(offset, bytes.into(), false);
        // Beyond what the disk knows as the end, the inode is written as well, even where it was believed clean.
        if self.cache.len() != self.newest_len() || offset + bytes.len() as u64 > self.disk.len() {
            self.push_len();
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let old = self.cache.len();
        if len == old {
            return;
        }
        if len < old {
            // What is cut off goes block by block as well: seen from the disk, zeros are written there.
            self.push_piece(len, vec![0; (old - len) as usize].into(), false);
        }
        Arc::make_mut(&mut self.cache).set_len(len);
        self.push_len();
    }

    fn newest_len(&self) -> u64 {
        self.lens.last().map_or(self.disk.len(), |change| change.to)
    }

    fn push_len(&mut self) {
        let to = self.cache.len();
        if self.lens.last().is_none_or(|last| last.lost || last.to != to) {
            self.lens.push(Change { to, lost: false });
        }
    }

    pub(super) fn set_meta(&mut self, meta: Meta) {
        if *self.meta != meta {
            self.meta = Arc::new(meta);
            self.metas.push(Change { to: self.meta.clone(), lost: false });
        }
    }

    /// What overlaps a lost piece is lost itself: a block that failed once is not written again, not even when the
    /// same bytes are written into the same file.
    fn push_piece(&mut self, offset: u64, bytes: Arc<[u8]>, mapped: bool) {
        let end = offset + bytes.len() as u64;
        let mut cuts = vec![offset, end];
        for piece in self.pieces.iter().filter(|piece| piece.lost && piece.offset < end && piece.end() > offset) {
            cuts.extend([piece.offset.max(offset), piece.end().min(end)]);
        }
        cuts.sort_unstable();
        cuts.dedup();
        for range in cuts.windows(2) {
            let (from, to) = (range[0], range[1]);
            let lost = self.pieces.iter().any(|piece| piece.lost && piece.offset < to && piece.end() > from);
            let part = if to - from == end - offset {
                bytes.clone()
            } else {
                bytes[(from - offset) as usize..(to - offset) as usize].into()
            };
            self.pieces.push(Piece { offset: from, bytes: part, lost, mapped });
        }
    }

    /// Take over what was stored into the shared page.
    pub(super) fn take_page(&mut self) {
        let Some(page) = &self.page else { return };
        let bytes = page.bytes();
        let len = self.cache.len().min(PAGE_LEN as u64) as usize;
        let mut known = [0; PAGE_LEN];
        self.cache.peek(0, &mut known);
        if known[..len] == bytes[..len] {
            return;
        }
        Arc::make_mut(&mut self.cache).write(0, &bytes[..len]);
        self.pieces.retain(|piece| !piece.mapped || piece.lost);
        self.push_piece(0, bytes[..len].into(), true);
    }

    /// Make durable what is not lost.
    pub(super) fn sync(&mut self) {
        self.take_page();
        let is_len_lost = self.lens.last().is_some_and(|change| change.lost);
        let is_meta_lost = self.metas.last().is_some_and(|change| change.lost);
        if self.pieces.iter().any(|piece| piece.lost) || is_len_lost {
            let len = if is_len_lost { self.disk.len() } else { self.cache.len() };
            let disk = Arc::make_mut(&mut self.disk);
            for piece in self.pieces.iter().filter(|piece| !piece.lost) {
                disk.write(piece.offset, &piece.bytes);
            }
            disk.set_len(len);
            self.pieces.retain(|piece| piece.lost);
        } else {
            self.disk = self.cache.clone();
            self.pieces.clear();
        }
        if !is_len_lost {
            self.lens.clear();
        }
        if !is_meta_lost {
            self.disk_meta = self.meta.clone();
            self.metas.clear();
        }
    }

    /// A sync that goes wrong, whoever is told of it.
    pub(super) fn fail_sync(&mut self, fault: SyncFault) {
        self.take_page();
        match fault {
            SyncFault::Kept => {}
            SyncFault::Reverted => self.revert(),
            SyncFault::Lost | SyncFault::ToldNext | SyncFault::ToldElsewhere => {
                self.pieces.iter_mut().for_each(|piece| piece.lost = true);
                self.lens.iter_mut().for_each(|change| change.lost = true);
                self.metas.iter_mut().for_each(|change| change.lost = true);
            }
        }
    }

    /// The content is again what the disk has, and nothing is pending.
    fn revert(&mut self) {
        self.cache = self.disk.clone();
        self.pieces.clear();
        self.lens.clear();
        self.show_in_page();
    }

    /// The system drops pages that it takes for clean: what was lost is read from the disk again.
    pub(super) fn evict(&mut self) {
        self.take_page();
        if !self.pieces.iter().any(|piece| piece.lost) {
            return;
        }
        let mut cache = (*self.disk).clone();
        self.pieces.retain(|piece| !piece.lost);
        for piece in &self.pieces {
            cache.write(piece.offset, &piece.bytes);
        }
        // The inode stays in memory, its length with it.
        cache.set_len(self.cache.len());
        self.cache = Arc::new(cache);
        self.show_in_page();
    }

    fn show_in_page(&self) {
        if let Some(page) = &self.page {
            let mut bytes = [0; PAGE_LEN];
            self.cache.peek(0, &mut bytes);
            page.write(0, &bytes);
        }
    }
}
