//! Writing over the config file where it lies: for a file that no other may take the place of, because it has several
//! names, is a mount point, or belongs to somebody else.
//!
//! Both texts are kept in the journal, and a note names them, before the first byte is written. A crash may leave any
//! mixture of the two; recovery knows it for what it is and writes the new text once more. A lease keeps everybody else
//! in `open` until the file is whole.

use std::io;
use std::path::{Path, PathBuf};

use super::file::STILL;
use super::{AGAIN, Behind, IN_USE, Materialiser, Next, Outcome, Shown, Text};
use crate::error::Error;
use crate::note::{Note, hash_text, hex};
use crate::planted::{Bug, planted};
use crate::storage::{self, File, Lease, Open, Stat, Storage};
use crate::version::{How, Showing, Version};

const NAME: &str = "rewrite-";

/// The file, open to be written over.
struct Held {
    file: Box<dyn File>,
    leased: bool,
}

enum Hold {
    Held(Held),
    /// It is not what was read any more.
    Changed,
    /// Somebody has it open and did not let go in time.
    InUse,
}

/// What lies in a file that was being written over when somebody died.
enum Found {
    /// Every byte is of the old or of the new text, and it is not the old one alone.
    Mixture { new: Vec<u8> },
    /// What stood there before, or the writing had ended.
    Whole,
    /// Something else: a disk that lost more than it was writing, or someone's save in the middle of it.
    Other,
}

impl Materialiser<'_> {
    /// Whether giving the name to another file would break what the name is.
    pub(super) fn must_stay(&self, stat: &Stat) -> Result<bool, Error> {
        let path = &self.config.path;
        Ok((stat.links > 1 && !planted(Bug::LinkParted))
            || self.log.storage.is_mount_point(path).map_err(Error::io("look at", path))?)
    }

    pub(super) fn rewrite(&self, version: &Version, old: Text, next: &Next) -> Result<Outcome, Error> {
        let path = &self.config.path;
        let Text { bytes: old, stat, file } = old;
        let new = &*next.of(&old).bytes();
        // A descriptor of our own would be in the way of the lease.
        drop(file);
        let held = match self.hold(&stat, &old)? {
            Hold::Held(held) => held,
            Hold::Changed => return Ok(Outcome::Again),
            Hold::InUse => return Ok(Outcome::Behind(Behind::InUse)),
        };
        let id = self.log.storage.random().map_err(Error::io("get random bytes for", path))?;
        let name = format!("{NAME}{}", hex(&id));
        let kept = self.keep_texts(&name, &old, new);
        if let Err(error) = kept {
            self.forget_texts(&name);
            return Err(error);
        }
        let revision = version.revision();
        let hash = hash_text(&self.log.store, new);
        let before = hash_text(&self.log.store, &old);
        let note = Note::Rewriting { old: before, new: hash, revision, name: name.clone() };
        let announced = self.announce(version, note, &name);
        if !matches!(announced, Ok(true)) {
            self.forget_texts(&name);
            return announced.map(|_| Outcome::Again);
        }
        // Somebody who waited in `open` got in if this process was suspended, and may have saved.
        if !held.is_as_it_was(&stat).map_err(Error::io("look at", path))? {
            drop(held);
            self.note(Note::Settled { text: Some(before) })?;
            self.forget_texts(&name);
            return Ok(Outcome::Again);
        }
        self.write_over(&held, &name, old.len(), new)?;
        // The lease keeps nobody from giving the name to another file: a save that was made in the older text, unless it
        // came when the newer one could be read.
        let is_there = || Ok::<bool, Error>(self.config.stat()?.is_some_and(|now| now.same_file(&stat)));
        let was_shown = is_there()?;
        let stat = held.let_go().map_err(Error::io("look at", path))?;
        let is_shown = was_shown && is_there()?;
        self.note(match (was_shown, is_shown) {
            (_, true) => Note::Shown { text: hash, revision },
            (true, false) => Note::Settled { text: None },
            (false, false) => Note::Settled { text: Some(before) },
        })?;
        self.forget_texts(&name);
        Ok(if is_shown { Outcome::Done(Shown { stat, revision }) } else { Outcome::Again })
    }

    /// A rewriting began and the log does not say that it ended: end it. Otherwise what keeps it from that.
    pub(super) fn settle_rewrite(&self, version: &Version, name: &str) -> Result<Option<Behind>, Error> {
        let path = &self.config.path;
        if self.has_failed(name)? {
            return Ok(Some(Behind::SyncFailed));
        }
        if let Some(text) = self.config.read()? {
            match found(&*self.log.storage, &self.log.dir, name, &text.bytes)? {
                Found::Whole => {}
                Found::Other if self.accept => {}
                Found::Other => return Ok(Some(Behind::Unfinished)),
                Found::Mixture { new } => {
                    let Text { bytes, stat, file } = text;
                    drop(file);
                    let Hold::Held(held) = self.hold(&stat, &bytes)? else { return Ok(Some(Behind::InUse)) };
                    self.write_over(&held, name, bytes.len(), &new)?;
                    held.let_go().map_err(Error::io("look at", path))?;
                }
            }
        }
        let shown = self.config.read()?.map(|text| hash_text(&self.log.store, &text.bytes));
        let known = shown.as_ref().and_then(|hash| version.known(hash));
        self.note(Note::Settled { text: known.map(|known| known.hash) })?;
        self.forget_texts(name);
        Ok(None)
    }

    /// Remove the texts of rewritings that are over.
    pub(super) fn sweep_texts(&self) -> Result<(), Error> {
        self.kept_texts()?.iter().for_each(|name| self.forget_texts(name));
        Ok(())
    }

    /// The names of rewritings of which anything is left.
    pub(super) fn kept_texts(&self) -> Result<Vec<String>, Error> {
        let dir = &self.log.dir;
        let names = self.log.storage.list(dir).map_err(Error::io("list", dir))?;
        Ok(names.iter().filter_map(|name| name_of_texts(name.to_str()?)).map(str::to_owned).collect())
    }

    /// Open the file that was read as `bytes`, once nobody else has it open.
    fn hold(&self, stat: &Stat, bytes: &[u8]) -> Result<Hold, Error> {
        let (storage, path) = (&*self.log.storage, &self.config.path);
        let began = storage.uptime();
        loop {
            let opened = match storage.open(path, Open::Write) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                opened => Some(opened.map_err(Error::io("open", path))?),
            };
            if let Some(file) = opened {
                let (leased, alone) = match file.try_lease(Lease::Write) {
                    Ok(leased) => (leased, leased),
                    // Not our file, or a file system without leases.
                    Err(_) => {
                        storage.sleep(STILL);
                        (false, true)
                    }
                };
                let now = file.stat().map_err(Error::io("look at", path))?;
                let same = now.same_file(stat) && (now.len, now.modified_ns) == (stat.len, stat.modified_ns);
                if alone {
                    let same = same && storage::read_all(&*file).map_err(Error::io("read", path))? == bytes;
                    return Ok(if same { Hold::Held(Held { file, leased }) } else { Hold::Changed });
                }
            }
            if storage.uptime().saturating_sub(began) >= IN_USE {
                return Ok(Hold::InUse);
            }
            storage.sleep(AGAIN);
        }
    }

    /// Make `new` what the file holds, durably.
    fn write_over(&self, held: &Held, name: &str, old_len: usize, new: &[u8]) -> Result<(), Error> {
        let path = &self.config.path;
        write_over(&*held.file, old_len, new).map_err(Error::io("write", path))?;
        held.file.sync().map_err(|error| {
            if let Err(error) = self.mark_failed(name) {
                tracing::error!(%error, "nobody else will know that a sync of the config file failed");
            }
            Error::io("sync", path)(error)
        })
    }

    /// After a failed sync the system takes what it holds in memory for written, and no later sync writes it. Until the
    /// next boot, which shows what is on the disk, nobody may call the rewriting done.
    fn mark_failed(&self, name: &str) -> Result<(), Error> {
        let (storage, dir) = (&*self.log.storage, &self.log.dir);
        let boot = storage.boot_id().map_err(Error::io("read the boot id for", dir))?;
        let path = failed(dir, name);
        let file = match storage.open(&path, Open::Create(0o600)) {
            // It has failed before, in an earlier boot.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => storage.open(&path, Open::Write),
            file => file,
        };
        let file = file.map_err(Error::io("create", &path))?;
        storage::write_full(&*file, &boot, 0).and_then(|()| file.sync()).map_err(Error::io("write", &path))?;
        storage::sync_dir(storage, dir).map_err(Error::io("sync", dir))
    }

    /// Whether a sync of this rewriting failed in this boot.
    fn has_failed(&self, name: &str) -> Result<bool, Error> {
        let (storage, path) = (&*self.log.storage, failed(&self.log.dir, name));
        let boot = storage.boot_id().map_err(Error::io("read the boot id for", &path))?;
        match storage.open(&path, Open::Read) {
            Ok(file) => Ok(storage::read_all(&*file).map_err(Error::io("read", &path))? == boot),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    /// Both texts in the journal, durable.
    fn keep_texts(&self, name: &str, old: &[u8], new: &[u8]) -> Result<(), Error> {
        let (storage, dir) = (&*self.log.storage, &self.log.dir);
        for (path, text) in both(dir, name).into_iter().zip([old, new]) {
            let file = storage.open(&path, Open::Create(0o600)).map_err(Error::io("create", &path))?;
            storage::write_full(&*file, text, 0).and_then(|()| file.sync()).map_err(Error::io("write", &path))?;
        }
        storage::sync_dir(storage, dir).map_err(Error::io("sync", dir))
    }

    fn forget_texts(&self, name: &str) {
        let dir = &self.log.dir;
        for path in both(dir, name).into_iter().chain([failed(dir, name)]) {
            match self.log.storage.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::debug!(path = %path.display(), %error, "a text that is needed no more stays behind");
                }
                _ => {}
            }
        }
    }
}

impl Held {
    /// Whether nobody has written into it since.
    fn is_as_it_was(&self, then: &Stat) -> io::Result<bool> {
        let now = self.file.stat()?;
        Ok((now.len, now.modified_ns) == (then.len, then.modified_ns))
    }

    /// The file as it is left, and everybody may open it again.
    fn let_go(self) -> io::Result<Stat> {
        let stat = self.file.stat()?;
        if self.leased {
            self.file.end_lease(Lease::Write)?;
        }
        Ok(stat)
    }
}

/// What keeps a text that the log does not know from being someone's edit: a rewriting that did not end.
pub(crate) fn unfinished(
    storage: &dyn Storage,
    dir: &Path,
    showing: Option<&Showing>,
    text: &[u8],
) -> Result<Option<Behind>, Error> {
    let Some(Showing { name, how: How::Rewrite }) = showing else { return Ok(None) };
    Ok(match found(storage, dir, name, text)? {
        Found::Whole => None,
        Found::Mixture { .. } => Some(Behind::Pending),
        Found::Other => Some(Behind::Unfinished),
    })
}

fn found(storage: &dyn Storage, dir: &Path, name: &str, text: &[u8]) -> Result<Found, Error> {
    let mut kept = Vec::new();
    for path in both(dir, name) {
        match storage.open(&path, Open::Read) {
            Ok(file) => kept.push(storage::read_all(&*file).map_err(Error::io("read", &path))?),
            // They go when the new text is durable.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Whole),
            Err(error) => return Err(Error::io("open", &path)(error)),
        }
    }
    let [old, new] = kept.try_into().expect("two files were read");
    Ok(match () {
        () if old == text => Found::Whole,
        () if planted(Bug::MixtureTakenOver) => Found::Whole,
        () if is_mixture(&old, &new, text) => Found::Mixture { new },
        () => Found::Other,
    })
}

/// Whether a crash in the middle of [`write_over`] may have left this: each byte is the old or the new one of its place,
/// or nothing yet, where the file has grown.
fn is_mixture(old: &[u8], new: &[u8], text: &[u8]) -> bool {
    let lengths = old.len().min(new.len())..=old.len().max(new.len());
    let of_either = |(at, byte): (usize, &u8)| {
        old.get(at) == Some(byte) || new.get(at) == Some(byte) || (*byte == 0 && at >= old.len())
    };
    lengths.contains(&text.len()) && text.iter().enumerate().all(of_either)
}

/// Make `new` what the file holds. What is longer than before comes first: should there be no room for it, the file is
/// as it was.
pub(super) fn write_over(file: &dyn File, old_len: usize, new: &[u8]) -> io::Result<()> {
    let (head, longer) = new.split_at(old_len.min(new.len()));
    if let Err(error) = storage::write_full(file, longer, old_len as u64) {
        file.set_len(old_len as u64)?;
        return Err(error);
    }
    storage::write_full(file, head, 0)?;
    if new.len() < old_len {
        file.set_len(new.len() as u64)?;
    }
    Ok(())
}

fn both(dir: &Path, name: &str) -> [PathBuf; 2] {
    ["old", "new"].map(|which| dir.join(format!("{name}.{which}")))
}

fn failed(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.failed"))
}

/// The name that the files of a rewriting share, from the name of one of them.
fn name_of_texts(file: &str) -> Option<&str> {
    let (name, which) = file.rsplit_once('.')?;
    let id = name.strip_prefix(NAME)?;
    (matches!(which, "old" | "new" | "failed") && storage::is_hex(id, 32)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_made_of_both_texts_and_nothing_else() {
        let (old, new) = (&b"{\"a\": 1}"[..], &b"{\"a\": 2, \"b\": 3}"[..]);
        for mixture in [old, new, b"{\"a\": 2}", b"{\"a\": 1, \"b\": 3}", b"{\"a\": 2,\0\0\0\0\0\0\0}"] {
            assert!(is_mixture(old, new, mixture), "{}", String::from_utf8_lossy(mixture));
        }
        for other in [&b"{\"a\": 3}"[..], b"{\"a\": 2", b"{\"a\"\0 2}", b"{\"a\": 2, \"b\": 3}\n", b""] {
            assert!(!is_mixture(old, new, other), "{}", String::from_utf8_lossy(other));
        }
        // A text that became shorter.
        assert!(is_mixture(new, old, b"{\"a\": 1, \"b\": 3}"));
        assert!(!is_mixture(new, old, b"{\"a\": 1, \"b\"\0 3}"));
    }
}
