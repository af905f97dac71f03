//! Every state that a power cut may leave, one after the other.
//!
//! Two choices make a state: which of the pending operations on names were kept, and, for every file that a name still
//! leads to, which of its [states](choices) it is in. Where there are too many combinations they are thinned
//! out by rule: of operations all first parts, and those less one; of chunks first parts, single holes and pairs.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::Disk;
use super::content::scatter;
use super::image::{DiskImage, Fixed, Namespace, StateId};
use super::names::{Entries, NameOp};
use super::state::{Body, Machine, ROOT, State};
use choices::{FileChoices, FileState};

pub(super) mod choices;

/// In which order operations on names reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Any subset of them may.
    Any,
    /// One after the other: each file system of today does this much.
    Prefix,
}

/// How finely, and how far, crash states are explored.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes that reach the disk together.
    pub chunk: usize,
    /// In which order names reach the disk.
    pub order: Order,
    /// Up to so many pending operations on names, every subset is tried; beyond, first parts and those less one.
    pub all_names: usize,
    /// Up to so many states of one file, every combination of its chunks is tried; beyond, a chosen few.
    pub all_patterns: usize,
    /// At most so many of those chosen few.
    pub some_patterns: usize,
    /// Up to so many combinations of the files' states, each is tried; beyond, one file is varied at a time.
    pub all_files: usize,
    /// A file with more chunks than this pending is cut into larger ones, each twice as long as before.
    pub most_chunks: usize,
    /// Whether the states of a shared page multiply the others; if not, they take turns.
    pub each_page: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            chunk: 512,
            order: Order::Any,
            all_names: 4,
            all_patterns: 729,
            some_patterns: 400,
            all_files: 2000,
            most_chunks: usize::MAX,
            each_page: false,
        }
    }
}

impl Limits {
    /// The default ones, with another size of chunk.
    pub fn chunk(bytes: usize) -> Limits {
        Limits { chunk: bytes, ..Limits::default() }
    }

    fn cut(&self) -> Cut {
        Cut { chunk: self.chunk.max(1), most: self.most_chunks.max(1) }
    }
}

/// How files are cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub chunk: usize,
    pub most: usize,
}

impl Cut {
    /// The length of a chunk for a file with so many bytes pending.
    fn of(self, pending: u64) -> usize {
        let mut chunk = self.chunk;
        while pending / chunk as u64 > self.most as u64 {
            chunk *= 2;
        }
        chunk
    }
}

/// A disk at one moment, with what is pending on it.
pub(super) struct Frozen {
    cut: Cut,
    machine: Arc<Machine>,
    dirs: BTreeMap<u64, Fixed>,
    entries: BTreeMap<u64, Arc<Entries>>,
    files: BTreeMap<u64, FileChoices>,
    ops: Vec<NameOp>,
}

impl Frozen {
    pub(super) fn take(state: &mut State, cut: Cut) -> Frozen {
        let mut machine = state.machine.clone();
        machine.booted_ns = state.wall_ns();
        let mut frozen = Frozen {
            cut,
            machine: Arc::new(machine),
            dirs: BTreeMap::new(),
            entries: BTreeMap::new(),
            files: BTreeMap::new(),
            ops: state.ops.clone(),
        };
        for (ino, node) in state.nodes.iter_mut().enumerate() {
            let Some(node) = node else { continue };
            let ino = ino as u64;
            let times = (node.modified_ns, node.changed_ns);
            match &mut node.body {
                Body::File(file) => {
                    file.take_page();
                    frozen.files.insert(ino, FileChoices::of(file, times, cut));
                    continue;
                }
                Body::Dir(dir) => drop(frozen.entries.insert(ino, dir.disk.clone())),
                Body::Symlink(_) | Body::Other => {}
            }
            let target = if let Body::Symlink(target) = &node.body { Some(target.clone()) } else { None };
            frozen.dirs.insert(ino, Fixed { ino, entries: None, target, meta: node.meta.clone(), times });
        }
        frozen
    }

    /// What the names lead to when these of the pending operations were kept.
    pub(super) fn namespace(&self, kept: Vec<bool>) -> Namespace {
        let mut entries = self.entries.clone();
        for op in self.ops.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(op, _)| op) {
            if !op.fits(|dir, name| entries.get(&dir)?.get(name).copied()) {
                continue;
            }
            for set in &op.sets {
                let Some(dir) = entries.get_mut(&set.dir) else { continue };
                let dir = Arc::make_mut(dir);
                match set.to {
                    Some(ino) => dir.insert(set.name.clone(), ino),
                    None => dir.remove(&set.name),
                };
            }
        }
        let mut namespace = Namespace::new(kept);
        let mut todo = vec![ROOT];
        while let Some(ino) = todo.pop() {
            let Some(fixed) = self.dirs.get(&ino) else { continue };
            let inside = entries.get(&ino).cloned();
            for (name, ino) in inside.iter().flat_map(|inside| inside.iter()) {
                let is_file = self.files.contains_key(ino);
                if namespace.meets(name, *ino, is_file) && !is_file {
                    todo.push(*ino);
                }
            }
            namespace.add(Fixed { entries: inside, ..fixed.clone() });
        }
        namespace
    }

    pub(super) fn image(&self, namespace: &Arc<Namespace>, files: Vec<Arc<FileState>>) -> DiskImage {
        DiskImage::new(self.machine.clone(), namespace.clone(), files, self.cut)
    }

    /// All operations on names kept or none, and each file in this state.
    fn uniform(&self, kept: bool, state: impl Fn(&FileChoices) -> FileState) -> DiskImage {
        let namespace = Arc::new(self.namespace(vec![kept; self.ops.len()]));
        let files = namespace.files.iter().map(|file| Arc::new(state(&self.files[&file.ino]))).collect();
        self.image(&namespace, files)
    }

    /// The state with this id, if this is the disk that it was found on.
    fn replay(&self, id: &StateId) -> Option<DiskImage> {
        if id.kept.len() != self.ops.len() {
            return None;
        }
        let namespace = Arc::new(self.namespace(id.kept.clone()));
        let mut files = Vec::new();
        for file in &namespace.files {
            let choices = self.files.get(&file.ino)?;
            let state = match id.files.iter().find(|(ino, _)| *ino == file.ino) {
                Some((_, pattern)) => choices.state(pattern.clone())?,
                None => choices.newest(),
            };
            files.push(Arc::new(state));
        }
        Some(self.image(&namespace, files))
    }
}

/// Which of `count` pending operations are kept: no more than a few thousand choices.
fn kept_names(count: usize, limits: &Limits) -> Vec<Vec<bool>> {
    let first = |kept: usize| (0..count).map(|at| at < kept).collect::<Vec<bool>>();
    let mut found: Vec<Vec<bool>> = (0..=count).rev().map(first).collect();
    if limits.order == Order::Prefix {
        return found;
    }
    if count <= limits.all_names.min(20) {
        return (0..1_u32 << count).rev().map(|bits| (0..count).map(|at| bits >> at & 1 == 1).collect()).collect();
    }
    // Beyond some number, holes in the whole list alone: in shorter ones they were tried when the list was shorter.
    for kept in if count <= 24 { 2..=count } else { count..=count } {
        for hole in 0..kept - 1 {
            let mut less = first(kept);
            less[hole] = false;
            found.push(less);
        }
    }
    found.extend((0..count).map(|only| (0..count).map(|at| at == only).collect()));
    found
}

/// States are known by a hash already: hashing it again would cost more than the rest.
#[derive(Default)]
struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

type Seen = HashSet<u128, BuildHasherDefault<Known>>;

/// The distinct states that a power cut may leave, the newest first.
pub struct CrashImages {
    frozen: Frozen,
    limits: Limits,
    /// Still to come, the next one last.
    kept: Vec<Vec<bool>>,
    states: BTreeMap<u64, Vec<Arc<FileState>>>,
    now: Option<Walk>,
    seen_names: Seen,
    seen: Seen,
    turn: usize,
    is_thinned: bool,
}

/// One set of names, and how far the states of its files have been gone through.
struct Walk {
    namespace: Arc<Namespace>,
    /// How many states each file takes part with.
    counts: Vec<usize>,
    next: usize,
    end: usize,
    is_product: bool,
}

impl Walk {
    /// The states to take in the n-th step.
    fn pick(&self, step: usize, picked: &mut Vec<usize>) {
        picked.clear();
        if self.is_product {
            let mut rest = step;
            picked.extend(self.counts.iter().map(|count| {
                let own = rest % count;
                rest /= count;
                own
            }));
            return;
        }
        // All others newest, then all others oldest: the newest state of a file comes first in its list, the oldest next.
        let (mut rest, half) = (step % (self.end / 2), step / (self.end / 2));
        picked.extend(self.counts.iter().map(|count| half.min(count - 1)));
        for (own, count) in picked.iter_mut().zip(&self.counts) {
            if rest < *count {
                *own = rest;
                break;
            }
            rest -= count;
        }
    }
}

impl CrashImages {
    fn new(frozen: Frozen, limits: Limits) -> CrashImages {
        let mut kept = kept_names(frozen.ops.len(), &limits);
        let is_thinned = limits.order == Order::Any && frozen.ops.len() > limits.all_names;
        kept.reverse();
        CrashImages {
            frozen,
            limits,
            kept,
            states: BTreeMap::new(),
            now: None,
            seen_names: Seen::default(),
            seen: Seen::default(),
            turn: 0,
            is_thinned,
        }
    }

    /// Whether some states were left out for being too many; known once the last one has come.
    pub fn is_thinned(&self) -> bool {
        self.is_thinned
    }

    fn next_walk(&mut self) -> Option<Walk> {
        loop {
            let namespace = self.frozen.namespace(self.kept.pop()?);
            if !self.seen_names.insert(namespace.key()) {
                continue;
            }
            let (mut counts, mut product, mut sum) = (Vec::new(), 1_usize, 0);
            for file in &namespace.files {
                let choices = &self.frozen.files[&file.ino];
                let (limits, is_thinned) = (&self.limits, &mut self.is_thinned);
                let states = self.states.entry(file.ino).or_insert_with(|| {
                    let (states, is_complete) = choices.states(limits);
                    *is_thinned |= !is_complete;
                    states
                });
                let takes_turns = choices.is_mapped && !self.limits.each_page;
                let count = if takes_turns { 1 } else { states.len() };
                product = product.saturating_mul(count);
                sum += count;
                counts.push(count);
            }
            let is_product = product <= self.limits.all_files;
            self.is_thinned |= !is_product;
            let end = if is_product { product } else { 2 * sum };
            return Some(Walk { namespace: Arc::new(namespace), counts, next: 0, end, is_product });
        }
    }
}

impl Iterator for CrashImages {
    type Item = DiskImage;

    fn next(&mut self) -> Option<DiskImage> {
        let mut picked = Vec::new();
        loop {
            let mut walk = match self.now.take().filter(|walk| walk.next < walk.end) {
                Some(walk) => walk,
                None => self.next_walk()?,
            };
            walk.pick(walk.next, &mut picked);
            walk.next += 1;
            self.turn += 1;
            let mut files = Vec::with_capacity(picked.len());
            for (file, own) in walk.namespace.files.iter().zip(&picked) {
                let states = &self.states[&file.ino];
                let takes_turns = !self.limits.each_page && self.frozen.files[&file.ino].is_mapped;
                files.push(states[if takes_turns { self.turn % states.len() } else { *own }].clone());
            }
            let image = self.frozen.image(&walk.namespace, files);
            self.now = Some(walk);
            if self.seen.insert(image.hash()) {
                return Some(image);
            }
        }
    }
}

impl Disk {
    /// Every distinct state that a power cut now may leave.
    pub fn crash_images(&self, limits: &Limits) -> CrashImages {
        CrashImages::new(Frozen::take(&mut self.state(), limits.cut()), limits.clone())
    }

    /// States that a power cut now may leave, drawn at random, without end.
    pub fn random_images(&self, limits: &Limits, seed: u64) -> impl Iterator<Item = DiskImage> + use<> {
        let (frozen, order) = (Frozen::take(&mut self.state(), limits.cut()), limits.order);
        let mut drawn = 0;
        let mut draw = move |below: usize| {
            drawn += 1;
            (scatter(seed, drawn) % below.max(1) as u64) as usize
        };
        std::iter::from_fn(move || {
            let count = frozen.ops.len();
            let kept = match order {
                Order::Prefix => {
                    let kept = draw(count + 1);
                    (0..count).map(|at| at < kept).collect()
                }
                Order::Any => (0..count).map(|_| draw(2) == 1).collect(),
            };
            let namespace = Arc::new(frozen.namespace(kept));
            let file = |file: &super::image::FileAt| Arc::new(frozen.files[&file.ino].random(&mut draw));
            let files = namespace.files.iter().map(file).collect();
            Some(frozen.image(&namespace, files))
        })
    }

    /// The one state with this id; `None` if this disk, as it is now, cannot be the one that the id was found on.
    pub fn crash_image(&self, id: &StateId) -> Option<DiskImage> {
        Frozen::take(&mut self.state(), id.cut).replay(id)
    }

    /// What is seen now, as if all of it had reached the disk.
    pub fn image(&self) -> DiskImage {
        Frozen::take(&mut self.state(), Limits::default().cut()).uniform(true, FileChoices::newest)
    }

    /// What is durable and nothing else: the one crash state to look at where all of them would take too long.
    pub fn durable_image(&self) -> DiskImage {
        Frozen::take(&mut self.state(), Limits::default().cut()).uniform(false, FileChoices::oldest)
    }
}

pub(super) fn describe(state: &mut State) -> String {
    let mut lines: Vec<String> = state.ops.iter().map(ToString::to_string).collect();
    for (ino, node) in state.nodes.iter_mut().enumerate() {
        let Some(Body::File(file)) = node.as_mut().map(|node| &mut node.body) else { continue };
        file.take_page();
        let lost = |lost: bool| if lost { " (lost)" } else { "" };
        for piece in &file.pieces {
            lines.push(format!("{ino}: bytes {}..{}{}", piece.offset, piece.end(), lost(piece.lost)));
        }
        for len in &file.lens {
            lines.push(format!("{ino}: length {} -> {}{}", file.disk.len(), len.to, lost(len.lost)));
        }
        for meta in &file.metas {
            lines.push(format!("{ino}: mode {:o}, owner {}{}", meta.to.mode, meta.to.uid, lost(meta.lost)));
        }
    }
    lines.join("\n")
}
