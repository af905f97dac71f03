//! The limits: programs that do what the disk and the machine make necessary for the task, and nothing else. No store can
//! be faster by much and stay true to its word.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::Outcome;
use crate::edits::Edit;

pub mod shared;

/// Room for a turn; what is longer begins again at the front.
const ROOM: u64 = 32 << 20;

/// Checksum, length, and what is to be written.
pub fn frame(edit: &Edit, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; 4]);
    out.extend((edit.bytes() as u32).to_le_bytes());
    out.extend((edit.path.len() as u32).to_le_bytes());
    out.extend(edit.path.as_bytes());
    out.extend(edit.value.as_bytes());
    let crc = crc32fast::hash(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// A file into whose zeros frames are written: overwriting them changes no metadata, so that a sync is one write.
pub struct Log {
    file: File,
    at: u64,
    buffer: Vec<u8>,
}

impl Log {
    pub fn create(dir: &Path) -> Outcome<Log> {
        Ok(Log { file: zeros(&dir.join("log"), ROOM)?, at: 0, buffer: Vec::new() })
    }

    /// One write of all these edits, and a sync.
    pub fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        self.buffer.clear();
        edits.iter().for_each(|edit| frame(edit, &mut self.buffer));
        if self.at + self.buffer.len() as u64 > ROOM {
            self.at = 0;
        }
        self.file.write_all_at(&self.buffer, self.at)?;
        self.file.sync_data()?;
        self.at += self.buffer.len() as u64;
        Ok(())
    }
}

/// A file of zeros that were written page by page, and synced.
fn zeros(path: &Path, len: u64) -> Outcome<File> {
    let mut file = OpenOptions::new().create(true).truncate(true).read(true).write(true).open(path)?;
    for _ in 0..len / 4096 {
        file.write_all(&[0; 4096])?;
    }
    file.sync_all()?;
    Ok(file)
}

/// A group commit among threads and nothing else: who finds nobody leading writes and syncs what all others brought meanwhile.
pub struct Group {
    file: File,
    queue: Mutex<Queue>,
    leading: AtomicBool,
    /// How often somebody led, and ended.
    ended: AtomicU32,
    /// The last frame that is written and synced.
    durable: AtomicU32,
}

#[derive(Default)]
struct Queue {
    frames: Vec<u8>,
    last: u32,
}

impl Group {
    pub fn create(dir: &Path) -> Outcome<Group> {
        let file = zeros(&dir.join("log"), ROOM)?;
        let (queue, leading) = (Mutex::default(), AtomicBool::new(false));
        Ok(Group { file, queue, leading, ended: AtomicU32::new(0), durable: AtomicU32::new(0) })
    }

    pub fn edit(&self, edit: &Edit) -> Outcome {
        let mine = {
            let mut queue = self.queue.lock().expect("no panic under the lock");
            frame(edit, &mut queue.frames);
            queue.last += 1;
            queue.last
        };
        loop {
            // Read first: whoever leads now ends after this, and the word will be another.
            let seen = self.ended.load(Ordering::Acquire);
            if self.durable.load(Ordering::Acquire) >= mine {
                return Ok(());
            }
            if self.leading.swap(true, Ordering::Acquire) {
                shared::wait(&self.ended, seen, None);
            } else {
                let done = self.lead();
                self.leading.store(false, Ordering::Release);
                self.ended.fetch_add(1, Ordering::Release);
                shared::wake(&self.ended);
                done?;
            }
        }
    }

    fn lead(&self) -> Outcome {
        let (frames, last) = {
            let mut queue = self.queue.lock().expect("no panic under the lock");
            (std::mem::take(&mut queue.frames), queue.last)
        };
        if !frames.is_empty() {
            let at = (u64::from(last) * 112) % (ROOM - (1 << 20));
            self.file.write_all_at(&frames, at)?;
            self.file.sync_data()?;
            self.durable.store(last, Ordering::Release);
        }
        Ok(())
    }
}

/// Frames through a buffer of 64 KiB into a new file, and no sync.
pub fn write_log<'a>(path: &Path, edits: impl Iterator<Item = &'a Edit>) -> Outcome<File> {
    let mut out = BufWriter::with_capacity(1 << 16, File::create(path)?);
    let mut buffer = Vec::new();
    for edit in edits {
        buffer.clear();
        frame(edit, &mut buffer);
        out.write_all(&buffer)?;
    }
    Ok(out.into_inner().map_err(std::io::IntoInnerError::into_error)?)
}

/// Read a log, check each frame by its checksum, and keep each key's last value.
pub fn read_log(path: &Path) -> Outcome<HashMap<String, String>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut state, mut at) = (HashMap::new(), 0);
    while at + 12 <= bytes.len() {
        let (crc, len, path) = (number(at), number(at + 4) as usize, number(at + 8) as usize);
        let end = at + 12 + len;
        if crc32fast::hash(&bytes[at + 4..end]) != crc {
            return Err("a frame does not check".into());
        }
        let path_end = at + 12 + path;
        let text = |from, to| std::str::from_utf8(&bytes[from..to]).map(str::to_owned);
        state.insert(text(at + 12, path_end)?, text(path_end, end)?);
        at = end;
    }
    Ok(state)
}
