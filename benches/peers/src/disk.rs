//! Where the stores lie: on a disk, since on a file system in memory a sync costs nothing and nothing that is measured
//! here means anything.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;

/// File systems that live in memory, by what `statfs` calls them.
const IN_MEMORY: [(i64, &str); 2] = [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs")];

/// A directory of our own, emptied after each workload: in `CFGWAL_PEERS_DIR`, or in this workspace's `target`.
pub fn root() -> Outcome<PathBuf> {
    let chosen = std::env::var_os("CFGWAL_PEERS_DIR").map(PathBuf::from);
    let within = chosen.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"));
    let root = within.join("cfgwal-peers-stores");
    fs::create_dir_all(&root)?;
    let kind = rustix::fs::statfs(&root)?.f_type;
    match IN_MEMORY.iter().find(|(number, _)| *number == kind) {
        Some((_, name)) => {
            Err(format!("{} is a {name}: set CFGWAL_PEERS_DIR to a directory on a disk", root.display()).into())
        }
        None => Ok(root),
    }
}

/// An empty directory.
pub fn fresh(name: &str) -> Outcome<PathBuf> {
    let dir = root()?.join(name);
    remove(&dir)?;
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

pub fn remove(dir: &Path) -> Outcome {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// A copy of a directory, on disk before this returns: what is still to be written out would disturb what is measured next.
pub fn copy(from: &Path, to: &Path) -> Outcome {
    remove(to)?;
    let copied = Command::new("cp").arg("-a").args([from, to]).status()?;
    if !copied.success() {
        return Err(format!("cannot copy {}", from.display()).into());
    }
    settle()
}

/// Everything that was written so far is on disk.
pub fn settle() -> Outcome {
    rustix::fs::syncfs(File::open(root()?)?)?;
    Ok(())
}

/// Bytes in all files of a directory.
pub fn size(dir: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() { size(&entry.path())? } else { found.len() };
    }
    Ok(bytes)
}

/// Write a file, sync it, put it in the place of another, sync the directory: how one replaces a file and can rely on it.
pub fn replace(path: &Path, write: impl FnOnce(&mut dyn std::io::Write) -> Outcome) -> Outcome {
    let temporary = path.with_extension("tmp");
    let mut file = std::io::BufWriter::with_capacity(1 << 16, File::create(&temporary)?);
    write(&mut file)?;
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}
