use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::super::{File, Lease, Lock, Open, Rename, Storage, read_all, write_full, write_zeros};
use super::{Disk, DiskImage, Limits, Order, Process, StateId};
use crate::storage::faulty::{FaultPlan, SyncFault, Times, is_killed};

mod crashes;
mod files;
mod hands;
mod interruptions;
mod locks;
mod names;
mod pages;

type Tested = Result<(), Box<dyn std::error::Error>>;

/// A disk and a process on it.
fn machine() -> (Disk, Process) {
    let disk = Disk::new();
    let process = disk.process();
    (disk, process)
}

fn create(process: &Process, path: &str) -> io::Result<Box<dyn File>> {
    process.open(Path::new(path), Open::Create(0o600))
}

fn open(process: &Process, path: &str) -> io::Result<Box<dyn File>> {
    process.open(Path::new(path), Open::Write)
}

fn rename(process: &Process, from: &str, to: &str, how: Rename) -> io::Result<()> {
    process.rename(Path::new(from), Path::new(to), how)
}

fn sync_dir(process: &Process, path: &str) -> io::Result<()> {
    super::super::sync_dir(process, Path::new(path))
}

/// A file with a durable name and durable content.
fn durable(process: &Process, path: &str, bytes: &[u8]) -> io::Result<Box<dyn File>> {
    let file = create(process, path)?;
    write_full(&*file, bytes, 0)?;
    file.sync()?;
    process.disk().settle();
    Ok(file)
}

/// What a crash may leave of one file; `None` where it is not there.
fn left(disk: &Disk, path: &str, limits: &Limits) -> BTreeSet<Option<Vec<u8>>> {
    disk.crash_images(limits).map(|image| image.read(path)).collect()
}

fn texts(disk: &Disk, path: &str) -> BTreeSet<Option<String>> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    left(disk, path, &Limits::default()).into_iter().map(|bytes| bytes.map(text)).collect()
}

/// The names that a crash may leave in `/`, each set of them as one line.
fn names_left(disk: &Disk, order: Order) -> BTreeSet<String> {
    let line = |image: DiskImage| {
        let tree = Disk::from_image(&image);
        tree.process().names("/").unwrap_or_default().join(" ")
    };
    disk.crash_images(&Limits { order, ..Limits::default() }).map(line).collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(ToString::to_string).collect()
}

fn kind<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}
