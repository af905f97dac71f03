//! The states in which a crash may leave one file.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::super::super::PAGE_LEN;
use super::super::content::{Content, hash_bytes, hash_pair, scatter};
use super::super::file::{FileBody, Meta, Piece};
use super::{Cut, Limits};

/// More ways in which one chunk may be left than can be told in an id are not looked at: the oldest go first.
const WAYS_MAX: usize = 36;

/// Where a file has more chunks than this pending, holes and borders are tried at about so many of them, evenly spread.
const BORDERS: usize = 64;

/// Many patterns give the same state; the search for other ones ends somewhere.
const TRIES_PER_STATE: usize = 20;

/// One chunk, and the ways in which it may be left.
struct Chunk {
    offset: u64,
    /// The first is the old one.
    ways: Vec<Box<[u8]>>,
    newest: u8,
}

/// Everything about one file that a crash has yet to decide.
pub(in super::super) struct FileChoices {
    /// Whether processes have it mapped.
    pub is_mapped: bool,
    disk: Arc<Content>,
    cache: Arc<Content>,
    /// The first is the old one.
    lens: Vec<u64>,
    newest_len: u8,
    /// The first is the old one, the last is the newest.
    metas: Vec<Arc<Meta>>,
    chunks: Vec<Chunk>,
    times: (i64, i64),
}

/// What was decided, by the numbers of the ways.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Pattern {
    pub len: u8,
    pub meta: u8,
    pub chunks: Vec<u8>,
}

/// One file as a crash left it.
#[derive(Debug, Clone)]
pub(in super::super) struct FileState {
    pub content: Arc<Content>,
    pub meta: Arc<Meta>,
    pub times: (i64, i64),
    pub hash: u128,
    /// `None`: the newest.
    pub pattern: Option<Pattern>,
}

impl FileState {
    pub(in super::super) fn new(content: Arc<Content>, meta: Arc<Meta>, times: (i64, i64)) -> FileState {
        let mut hasher = DefaultHasher::new();
        meta.hash(&mut hasher);
        let hash = hash_pair(content.hash(), u128::from(hasher.finish()));
        FileState { content, meta, times, hash, pattern: None }
    }
}

impl FileChoices {
    pub(super) fn of(file: &FileBody, times: (i64, i64), cut: Cut) -> FileChoices {
        let first = file.pieces.iter().map(|piece| piece.offset).min().unwrap_or(0);
        let end = file.pieces.iter().map(Piece::end).max().unwrap_or(0);
        let chunk = cut.of(end - first);
        let mut choices = FileChoices {
            is_mapped: file.page.is_some(),
            disk: file.disk.clone(),
            cache: file.cache.clone(),
            lens: vec![file.disk.len()],
            newest_len: 0,
            metas: vec![file.disk_meta.clone()],
            chunks: Vec::new(),
            times,
        };
        if file.is_settled() {
            return choices;
        }
        for change in &file.lens {
            // A file may also be found half grown: its end moves on as its blocks are written.
            let before = choices.lens.last().copied().unwrap_or(0);
            let between = (before + change.to) / 2;
            for len in if change.to > before { [change.to, between] } else { [change.to; 2] } {
                if !choices.lens.contains(&len) && choices.lens.len() < WAYS_MAX - 2 {
                    choices.lens.push(len);
                }
            }
        }
        let newest = choices.lens.iter().position(|len| *len == file.cache.len());
        choices.newest_len = newest.unwrap_or(choices.lens.len()) as u8;
        if newest.is_none() {
            choices.lens.push(file.cache.len());
        }
        for change in &file.metas {
            if choices.metas.len() < WAYS_MAX - 1 {
                choices.metas.push(change.to.clone());
            }
        }
        choices.metas.push(file.meta.clone());
        choices.metas.dedup();

        let mut touched: BTreeMap<u64, (usize, Vec<&Piece>)> = BTreeMap::new();
        for piece in &file.pieces {
            let mut offset = piece.offset;
            while offset < piece.end() {
                // A page is written back whole, and nobody has seen its steps.
                let is_page = choices.is_mapped && offset < PAGE_LEN as u64;
                let len = if is_page { PAGE_LEN } else { chunk };
                let first = if choices.is_mapped && !is_page { PAGE_LEN as u64 } else { 0 };
                let start = first + (offset - first) / len as u64 * len as u64;
                touched.entry(start).or_insert((len, Vec::new())).1.push(piece);
                offset = start + len as u64;
            }
        }
        choices.chunks = touched
            .into_iter()
            .map(|(offset, (len, pieces))| Chunk::of(&file.disk, offset, len, &pieces))
            .filter(|chunk| chunk.ways.len() > 1)
            .collect();
        choices
    }

    pub(super) fn newest(&self) -> FileState {
        let meta = self.metas[self.metas.len() - 1].clone();
        FileState::new(self.cache.clone(), meta, self.times)
    }

    pub(super) fn oldest(&self) -> FileState {
        let oldest = Pattern { chunks: vec![0; self.chunks.len()], ..Pattern::default() };
        self.state(oldest).unwrap_or_else(|| self.newest())
    }

    fn newest_pattern(&self) -> Pattern {
        Pattern {
            len: self.newest_len,
            meta: (self.metas.len() - 1) as u8,
            chunks: self.chunks.iter().map(|chunk| chunk.newest).collect(),
        }
    }

    /// `None` if it is not a pattern of this file.
    pub(super) fn state(&self, pattern: Pattern) -> Option<FileState> {
        if pattern == self.newest_pattern() {
            return Some(self.newest());
        }
        if pattern.chunks.len() != self.chunks.len() {
            return None;
        }
        let mut content = (*self.disk).clone();
        let len = *self.lens.get(usize::from(pattern.len))?;
        for (chunk, way) in self.chunks.iter().zip(&pattern.chunks) {
            let bytes = chunk.ways.get(usize::from(*way))?;
            if *way != 0 {
                content.write(chunk.offset, bytes);
            }
        }
        content.set_len(len);
        let meta = self.metas.get(usize::from(pattern.meta))?.clone();
        let mut state = FileState::new(Arc::new(content), meta, self.times);
        state.pattern = Some(pattern);
        Some(state)
    }

    /// The distinct states to look at, the newest first and the oldest next, and whether they are all there are.
    pub(super) fn states(&self, limits: &Limits) -> (Vec<Arc<FileState>>, bool) {
        let mut found = vec![Arc::new(self.newest())];
        let mut seen = HashSet::from([found[0].hash]);
        let mut tried = HashSet::new();
        let mut add = |pattern: Pattern| {
            // To build a state costs much more than to see that its pattern was tried before.
            let own = hash_pair(hash_bytes(&pattern.chunks), u128::from(pattern.len) << 8 | u128::from(pattern.meta));
            if tried.insert(own)
                && let Some(state) = self.state(pattern)
                && seen.insert(state.hash)
            {
                found.push(Arc::new(state));
            }
            found.len()
        };
        let oldest = Pattern { chunks: vec![0; self.chunks.len()], ..Pattern::default() };
        add(oldest.clone());
        let whole = self.lens.len() * self.metas.len();
        let total = self.chunks.iter().fold(whole, |product, chunk| product.saturating_mul(chunk.ways.len()));
        if total <= limits.all_patterns {
            for n in 0..total {
                add(self.nth(n));
            }
            return (found, true);
        }
        let newest = self.newest_pattern();
        let mut around: Vec<(u8, u8)> = Vec::new();
        for len in 0..self.lens.len() as u8 {
            around.extend((0..self.metas.len() as u8).map(|meta| (len, meta)));
        }
        for (len, meta) in &around {
            for chunks in [&newest.chunks, &oldest.chunks] {
                add(Pattern { len: *len, meta: *meta, chunks: chunks.clone() });
            }
        }
        // With the newest length and metadata first, which show most of the content.
        around.insert(0, (newest.len, newest.meta));
        let mut tries = TRIES_PER_STATE * limits.some_patterns;
        for (len, meta) in around {
            for chunks in self.thinned() {
                tries = tries.saturating_sub(1);
                if tries == 0 || add(Pattern { len, meta, chunks }) >= limits.some_patterns {
                    return (found, false);
                }
            }
        }
        (found, false)
    }

    /// The n-th of all combinations.
    fn nth(&self, n: usize) -> Pattern {
        let mut rest = n;
        let mut digit = |base: usize| {
            let own = rest % base;
            rest /= base;
            own as u8
        };
        Pattern {
            len: digit(self.lens.len()),
            meta: digit(self.metas.len()),
            chunks: self.chunks.iter().map(|chunk| digit(chunk.ways.len())).collect(),
        }
    }

    /// First parts, single holes and single chunks; these with every way for the chunk at the border; pairs of holes.
    fn thinned(&self) -> impl Iterator<Item = Vec<u8>> {
        let count = self.chunks.len();
        let borders: Vec<usize> = (0..count).filter(|at| at * BORDERS % count < BORDERS || at + 1 == count).collect();
        let with = move |at: usize, way: u8, rest: fn(usize, usize, u8) -> u8| {
            let other = |n: usize| rest(n, at, self.chunks[n].newest);
            (0..count).map(|n| if n == at { way } else { other(n) }).collect::<Vec<u8>>()
        };
        let around = move |at: usize, way: u8, lone: u8| {
            let first_part = with(at, way, |n, at, newest| if n < at { newest } else { 0 });
            [first_part, with(at, way, |_, _, newest| newest), with(at, lone, |_, _, _| 0)]
        };
        let plain = borders.clone().into_iter().flat_map(move |at| around(at, 0, self.chunks[at].newest));
        let torn = borders
            .clone()
            .into_iter()
            .flat_map(move |at| (1..self.chunks[at].ways.len() as u8).flat_map(move |way| around(at, way, way)));
        let pairs = borders.clone().into_iter().flat_map(move |one| {
            borders.clone().into_iter().filter(move |two| *two > one).map(move |two| {
                let hole = |n: usize| if n == one || n == two { 0 } else { self.chunks[n].newest };
                (0..count).map(hole).collect()
            })
        });
        plain.chain(torn).chain(pairs)
    }

    pub(super) fn random(&self, draw: &mut impl FnMut(usize) -> usize) -> FileState {
        // Sometimes nearly all new, sometimes nearly all old, sometimes anything.
        let mood = draw(4);
        let mut pick = |count: usize, newest: u8| match (mood, draw(8)) {
            (0, 0..7) => newest,
            (1, 0..7) => 0,
            _ => draw(count) as u8,
        };
        let pattern = Pattern {
            len: pick(self.lens.len(), self.newest_len),
            meta: pick(self.metas.len(), (self.metas.len() - 1) as u8),
            chunks: self.chunks.iter().map(|chunk| pick(chunk.ways.len(), chunk.newest)).collect(),
        };
        self.state(pattern).unwrap_or_else(|| self.newest())
    }
}

impl Chunk {
    fn of(disk: &Content, offset: u64, len: usize, pieces: &[&Piece]) -> Chunk {
        let mut old = vec![0; len];
        disk.peek(offset, &mut old);
        let range = |piece: &Piece| {
            let from = piece.offset.max(offset);
            let to = piece.end().min(offset + len as u64);
            (from - offset) as usize..(to - offset) as usize
        };
        let mut versions = vec![old.clone()];
        let mut newest = old.clone();
        let mut torn = [old.clone(), old.clone()];
        for piece in pieces {
            let range = range(piece);
            let start = (offset + range.start as u64 - piece.offset) as usize;
            newest[range.clone()].copy_from_slice(&piece.bytes[start..start + range.len()]);
            versions.push(newest.clone());
            tear(&mut torn, offset, range);
        }
        let mut ways: Vec<Box<[u8]>> = Vec::new();
        let mut add = |bytes: &[u8]| {
            if ways.len() < WAYS_MAX && !ways.iter().any(|known| **known == *bytes) {
                ways.push(bytes.into());
            }
        };
        add(&old);
        add(&newest);
        torn.iter().for_each(|torn| add(torn));
        if let [.., before, _] = versions.as_slice()
            && let Some(last) = pieces.last()
        {
            // What was written before the last write had been on the disk already when that one tore.
            let mut torn = [before.clone(), before.clone()];
            tear(&mut torn, offset, range(last));
            torn.iter().for_each(|torn| add(torn));
        }
        versions.iter().rev().for_each(|version| add(version));
        let newest = ways.iter().position(|way| **way == *newest).unwrap_or(0) as u8;
        Chunk { offset, ways, newest }
    }
}

/// Bytes that were being written: zeros in the one, garbage in the other.
fn tear([zeros, garbage]: &mut [Vec<u8>; 2], offset: u64, range: std::ops::Range<usize>) {
    zeros[range.clone()].fill(0);
    let mut at = range.start;
    while at < range.end {
        let from = (offset as usize + at) % GARBAGE.len();
        let len = (range.end - at).min(GARBAGE.len() - from);
        garbage[at..at + len].copy_from_slice(&GARBAGE[from..from + len]);
        at += len;
    }
}

/// No byte of it is zero, so that it is told from what was never written.
static GARBAGE: [u8; 4096] = {
    let mut bytes = [0; 4096];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = (scatter(0xbad, at as u64) >> 40) as u8 | 1;
        at += 1;
    }
    bytes
};
