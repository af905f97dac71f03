//! What a crash has left, as a value: cheap to copy, to compare, to boot from, and to damage further.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::Disk;
use super::content::{Content, hash_bytes, hash_pair};
use super::crash::Cut;
use super::crash::choices::{FileState, Pattern};
use super::file::{FileBody, Meta};
use super::names::Entries;
use super::state::{Body, DirBody, Machine, Node, ROOT, State};

/// How long the machine was off, in simulated time.
const DOWN_NS: u64 = 30_000_000_000;

/// A directory, a symlink or a device: what a crash leaves whole or not at all.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    pub ino: u64,
    /// Of a directory.
    pub entries: Option<Arc<Entries>>,
    /// Of a symlink.
    pub target: Option<Arc<Path>>,
    pub meta: Arc<Meta>,
    pub times: (i64, i64),
}

/// A file that names lead to.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileAt {
    pub ino: u64,
    pub links: u64,
}

/// All names after a crash.
#[derive(Debug, Clone)]
pub(super) struct Namespace {
    /// Which of the pending operations were kept.
    kept: Vec<bool>,
    fixed: Vec<Fixed>,
    /// In the order in which they are met: the same for the same names, whatever the inodes' numbers.
    pub files: Vec<FileAt>,
    met: HashMap<u64, u64>,
    hash: u128,
}

impl Namespace {
    pub(super) fn new(kept: Vec<bool>) -> Namespace {
        Namespace { kept, fixed: Vec::new(), files: Vec::new(), met: HashMap::from([(ROOT, 0)]), hash: 0 }
    }

    /// A name in the directory that is added next; whether its inode was not met before.
    pub(super) fn meets(&mut self, name: &OsStr, ino: u64, is_file: bool) -> bool {
        let number = self.met.len() as u64;
        let known = *self.met.entry(ino).or_insert(number);
        self.hash = hash_pair(self.hash ^ hash_bytes(name.as_bytes()), u128::from(known) << 1 | u128::from(is_file));
        if is_file {
            match self.files.iter_mut().find(|file| file.ino == ino) {
                Some(file) => file.links += 1,
                None => self.files.push(FileAt { ino, links: 1 }),
            }
        }
        known == number
    }

    pub(super) fn add(&mut self, fixed: Fixed) {
        let Meta { mode, uid, gid, .. } = *fixed.meta;
        let target = fixed.target.as_ref().map_or(0, |target| hash_bytes(target.as_os_str().as_bytes()));
        let own = u128::from(mode) | u128::from(uid) << 32 | u128::from(gid) << 64 | 1 << 127;
        self.hash = hash_pair(hash_pair(self.hash, own), target);
        self.fixed.push(fixed);
    }

    /// Equal where the names lead to the very same inodes.
    pub(super) fn key(&self) -> u128 {
        self.files.iter().fold(self.hash, |hash, file| hash_pair(hash, u128::from(file.ino)))
    }
}

/// A disk as a crash left it.
#[derive(Clone)]
pub struct DiskImage {
    machine: Arc<Machine>,
    namespace: Arc<Namespace>,
    /// In the order of the namespace's files.
    files: Vec<Arc<FileState>>,
    hash: u128,
    cut: Cut,
}

impl DiskImage {
    pub(super) fn new(
        machine: Arc<Machine>,
        namespace: Arc<Namespace>,
        files: Vec<Arc<FileState>>,
        cut: Cut,
    ) -> DiskImage {
        let hash = files.iter().fold(namespace.hash, |hash, file| hash_pair(hash, file.hash));
        DiskImage { machine, namespace, files, hash, cut }
    }

    /// Equal for equal trees: names, contents, permissions and owners; times do not count.
    pub fn hash(&self) -> u128 {
        self.hash
    }

    /// As [`hash`](DiskImage::hash), whatever these files hold.
    ///
    /// Two images for which this and [`names`](DiskImage::names) are equal are the same to everybody who does no
    /// more with these files than to remove them.
    pub fn hash_but_for(&self, files: &[u64]) -> u128 {
        let own = |at: &FileAt, state: &FileState| if files.contains(&at.ino) { 0 } else { state.hash };
        let all = self.namespace.files.iter().zip(&self.files);
        all.fold(self.namespace.hash, |hash, (at, file)| hash_pair(hash, own(at, file)))
    }

    /// Equal where the same names lead to the same inodes.
    pub fn names(&self) -> u128 {
        self.namespace.key()
    }

    /// By this the same disk, at the same moment, gives this state again.
    pub fn id(&self) -> StateId {
        let own = |(at, state): (&FileAt, &Arc<FileState>)| state.pattern.clone().map(|pattern| (at.ino, pattern));
        StateId {
            cut: self.cut,
            kept: self.namespace.kept.clone(),
            files: self.namespace.files.iter().zip(&self.files).filter_map(own).collect(),
        }
    }

    pub(super) fn boot(&self) -> State {
        let mut machine = (*self.machine).clone();
        machine.boots += 1;
        machine.booted_ns += DOWN_NS;
        let fixed = self.namespace.fixed.iter();
        let last = fixed.map(|fixed| fixed.ino).chain(self.namespace.files.iter().map(|file| file.ino)).max();
        let mut nodes: Vec<Option<Node>> = Vec::new();
        nodes.resize_with(last.unwrap_or(ROOT) as usize + 1, || None);
        for fixed in &self.namespace.fixed {
            let body = match (&fixed.entries, &fixed.target) {
                (Some(entries), _) => Body::Dir(DirBody { entries: entries.clone(), disk: entries.clone() }),
                (None, Some(target)) => Body::Symlink(target.clone()),
                (None, None) => Body::Other,
            };
            nodes[fixed.ino as usize] = Some(node(body, &fixed.meta, 1, fixed.times));
        }
        for (at, file) in self.namespace.files.iter().zip(&self.files) {
            let body = Body::File(FileBody::settled(file.content.clone(), file.meta.clone()));
            nodes[at.ino as usize] = Some(node(body, &file.meta, at.links, file.times));
        }
        let mut state = State::with(nodes, machine);
        state.untouched = self.namespace.files.iter().map(|file| file.ino).collect();
        state
    }

    /// Every file with its path, sorted; a file with two names twice.
    fn files(&self) -> BTreeMap<PathBuf, usize> {
        let mut found = BTreeMap::new();
        let mut todo = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, ino)) = todo.pop() {
            if let Some(at) = self.namespace.files.iter().position(|file| file.ino == ino) {
                found.insert(path, at);
                continue;
            }
            let entries =
                self.namespace.fixed.iter().find(|fixed| fixed.ino == ino).and_then(|dir| dir.entries.as_ref());
            todo.extend(entries.into_iter().flat_map(|dir| dir.iter()).map(|(name, ino)| (path.join(&**name), *ino)));
        }
        found
    }

    /// The paths of all files, sorted.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files().into_keys().collect()
    }

    /// What a file holds; `None` if no file has this absolute path.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let at = *self.files().get(path.as_ref())?;
        Some(self.files[at].content.to_vec())
    }

    /// The same disk, but that this file holds something else; a file that is not there is made if its directory is.
    ///
    /// # Panics
    /// The directory is not there.
    #[must_use]
    pub fn with_file(&self, path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> DiskImage {
        if let Some(at) = self.files().get(path.as_ref()) {
            let old = &self.files[*at];
            let content = Arc::new(Content::of(bytes.as_ref()));
            let mut files = self.files.clone();
            files[*at] = Arc::new(FileState::new(content, old.meta.clone(), old.times));
            return DiskImage::new(self.machine.clone(), self.namespace.clone(), files, self.cut);
        }
        self.changed(|disk| disk.process().write_file(path, bytes))
    }

    /// The same disk without this name.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn without(&self, path: impl AsRef<Path>) -> DiskImage {
        self.changed(|disk| disk.process().remove_file(path))
    }

    /// The same disk after something else was done to it, all of it durable.
    ///
    /// # Panics
    /// It could not be done.
    #[must_use]
    pub fn changed(&self, change: impl FnOnce(&Disk) -> std::io::Result<()>) -> DiskImage {
        let disk = Disk::from_image(self);
        change(&disk).expect("what a test does to an image can be done to it");
        disk.settle();
        disk.image()
    }
}

fn node(body: Body, meta: &Arc<Meta>, links: u64, times: (i64, i64)) -> Node {
    let mut node = Node::new(body, meta.clone(), links, times.0);
    node.changed_ns = times.1;
    node
}

impl fmt::Debug for DiskImage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "image {:032x}, state {}", self.hash, self.id())?;
        for (path, at) in self.files() {
            let file = &self.files[at];
            writeln!(out, "{:>8} {:o} {}", file.content.len(), file.meta.mode, path.display())?;
        }
        Ok(())
    }
}

/// Names one crash state of one disk at one moment: `512/f/7:1:0:0211`.
///
/// The size of a chunk, and after an `x` how many of them a file may have; which of the pending operations on names were kept, four to a digit, the oldest first; and, for
/// every file that is not in its newest state, its inode, then which of its lengths, of its metadata and, chunk
/// by chunk, of its bytes. A digit in brackets stands for as many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateId {
    pub(super) cut: Cut,
    pub(super) kept: Vec<bool>,
    pub(super) files: Vec<(u64, Pattern)>,
}

impl StateId {
    /// How many bytes reached the disk together.
    pub fn chunk(&self) -> usize {
        self.cut.chunk
    }
}

fn digit(way: u8) -> char {
    char::from_digit(u32::from(way), 36).unwrap_or('?')
}

impl fmt::Display for StateId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.cut.chunk)?;
        if self.cut.most != usize::MAX {
            write!(out, "x{}", self.cut.most)?;
        }
        write!(out, "/{}.", self.kept.len())?;
        for four in self.kept.chunks(4) {
            write!(out, "{:x}", four.iter().rev().fold(0, |bits, kept| bits << 1 | u8::from(*kept)))?;
        }
        for (ino, pattern) in &self.files {
            write!(out, "/{ino}:{}:{}:", digit(pattern.len), digit(pattern.meta))?;
            for run in pattern.chunks.chunk_by(|one, two| one == two) {
                match run {
                    [way] => write!(out, "{}", digit(*way))?,
                    [way, ..] => write!(out, "{}({})", digit(*way), run.len())?,
                    [] => {}
                }
            }
        }
        Ok(())
    }
}

/// What was given is no id of a crash state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no id of a crash state")]
pub struct NoStateId;

/// More chunks than any file here has.
const CHUNKS_MAX: usize = super::content::LEN_MAX as usize;

impl FromStr for StateId {
    type Err = NoStateId;

    fn from_str(text: &str) -> Result<Self, NoStateId> {
        parse(text).ok_or(NoStateId)
    }
}

fn parse(text: &str) -> Option<StateId> {
    let mut parts = text.split('/');
    let cut = parts.next()?;
    let (chunk, most) = cut.split_once('x').unwrap_or((cut, ""));
    let most = if most.is_empty() { usize::MAX } else { most.parse().ok()? };
    let cut = Cut { chunk: chunk.parse().ok()?, most };
    if cut.chunk == 0 || cut.most == 0 {
        return None;
    }
    let (count, bits) = parts.next()?.split_once('.')?;
    let mut kept = Vec::new();
    for four in bits.chars() {
        let four = four.to_digit(16)?;
        kept.extend((0..4).map(|bit| four >> bit & 1 == 1));
    }
    let count: usize = count.parse().ok()?;
    if count.div_ceil(4) * 4 != kept.len() {
        return None;
    }
    kept.truncate(count);
    let mut files = Vec::new();
    for part in parts {
        let mut fields = part.split(':');
        let ino = fields.next()?.parse().ok()?;
        let way = |text: &str| Some(text.parse::<char>().ok()?.to_digit(36)? as u8);
        let (len, meta) = (way(fields.next()?)?, way(fields.next()?)?);
        let mut chunks = Vec::new();
        let mut rest = fields.next()?;
        while let Some(first) = rest.chars().next() {
            let way = first.to_digit(36)? as u8;
            rest = &rest[1..];
            let mut count = 1;
            if let Some(inside) = rest.strip_prefix('(') {
                let (number, after) = inside.split_once(')')?;
                count = number.parse().ok()?;
                rest = after;
            }
            if chunks.len() + count > CHUNKS_MAX {
                return None;
            }
            chunks.resize(chunks.len() + count, way);
        }
        files.push((ino, Pattern { len, meta, chunks }));
    }
    Some(StateId { cut, kept, files })
}
