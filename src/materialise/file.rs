//! The config file itself: where it really is, and what it shows, read as a whole.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{AGAIN, chosen};
use crate::document::Format;
use crate::error::Error;
use crate::limits::{PIECE, RECORD_MAX};
use crate::storage::{self, File, Kind, Lease, Open, Stat, Storage};

/// What the system itself follows (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;
/// Where no lease can be had, a file that stood still for so long is taken to be whole and nobody's work.
pub(super) const STILL: Duration = Duration::from_millis(100);
/// How long another process may take to show a text.
const SHOWING: Duration = Duration::from_secs(5);
/// A new text takes its place in less than this; writing it over takes longer.
const EXCHANGING: Duration = Duration::from_micros(50);

/// A config file by its real name, all symlinks followed, and the format of its text.
#[derive(Clone)]
pub(crate) struct ConfigFile {
    pub storage: Arc<dyn Storage>,
    pub path: PathBuf,
    pub format: Format,
}

/// One complete text of the file.
pub(crate) struct Text {
    pub bytes: Vec<u8>,
    pub stat: Stat,
    pub file: Box<dyn File>,
}

/// What reading the file came to.
pub(crate) enum Seen {
    Absent,
    Text(Text),
    /// Someone has it open for writing and did not let go in time.
    InUse,
}

fn journal_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".cfgwal");
    file.with_file_name(name)
}

/// Whether nothing stands behind the file's name, as in `settings.json/`, which could never be written.
fn ends_with_a_name(path: &Path) -> bool {
    path.file_name().is_some_and(|name| path.as_os_str().as_encoded_bytes().ends_with(name.as_encoded_bytes()))
}

/// The same file, its directory named by where that really is: it is opened to be synced, and what we open is never a link.
fn in_real_directory(storage: &dyn Storage, mut file: PathBuf) -> Result<PathBuf, Error> {
    for _ in 0..LINKS_MAX {
        let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else { break };
        // What is wrong with a directory is said by whoever needs it.
        if parent.as_os_str().is_empty() || !storage.stat(parent).is_ok_and(|found| found.kind == Kind::Symlink) {
            break;
        }
        let target = storage.read_link(parent).map_err(Error::io("follow", parent))?;
        file = parent.parent().unwrap_or(Path::new("")).join(target).join(name);
    }
    Ok(file)
}

impl ConfigFile {
    /// Follow symlinks to the file that is meant; it need not exist.
    pub(crate) fn resolve(storage: Arc<dyn Storage>, path: &Path, format: Option<Format>) -> Result<ConfigFile, Error> {
        let mut real = path.to_owned();
        let mut links = 0;
        loop {
            match storage.stat(&real) {
                Ok(Stat { kind: Kind::Symlink, .. }) if links < LINKS_MAX => {
                    let target = storage.read_link(&real).map_err(Error::io("follow", &real))?;
                    real = real.parent().unwrap_or(Path::new("")).join(target);
                    links += 1;
                }
                Ok(Stat { kind: Kind::Symlink, .. }) => {
                    return Err(Error::io("follow", path)(io::Error::from_raw_os_error(libc::ELOOP)));
                }
                Ok(Stat { kind: Kind::File, .. }) => break,
                Ok(_) => {
                    let (rule, instead) = ("a config file must be a regular file", "name another one");
                    return Err(Error::Forbidden { path: real, rule, instead });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && !ends_with_a_name(&real) => {
                    let (rule, instead) = ("it does not end with the name of a file", "name one");
                    return Err(Error::Forbidden { path: real, rule, instead });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(Error::io("look at", &real)(error)),
            }
        }
        let real = in_real_directory(&*storage, real)?;
        let journal = journal_of(&real);
        let format = match format {
            Some(format) => Some(format),
            None => chosen::read(&*storage, &journal)?.or_else(|| Format::of(&real)).or_else(|| Format::of(path)),
        };
        let Some(format) = format else {
            let (rule, instead) = (
                "its name does not tell its format",
                "give it an extension such as .json, or name the format (`cfgwal init --format`)",
            );
            return Err(Error::Forbidden { path: real, rule, instead });
        };
        Ok(ConfigFile { storage, path: real, format })
    }

    /// The directory that holds it.
    pub(crate) fn parent(&self) -> &Path {
        self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// The journal beside it.
    pub(crate) fn journal(&self) -> PathBuf {
        journal_of(&self.path)
    }

    /// Whether the journal is there. One that a stranger laid out where everybody may write is refused: it would show the
    /// stranger what is written, and others what the stranger likes.
    pub(crate) fn has_journal(&self) -> Result<bool, Error> {
        let dir = self.journal();
        let found = match self.storage.stat(&dir) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io("look at", &dir)(error)),
        };
        // Root may do everything anyway; and what root makes goes to the owner of the directory.
        let owns = |path: &Path| self.storage.stat(path).is_ok_and(|other| other.uid == found.uid);
        if found.uid == 0 || self.storage.acts_for(found.uid) || owns(&self.path) || owns(self.parent()) {
            return Ok(true);
        }
        let (rule, instead) = (
            "it belongs to somebody who owns neither the config file nor its directory",
            "find out who made it and why, then remove it",
        );
        Err(Error::Forbidden { path: dir, rule, instead })
    }

    /// The name that begins every file of ours beside it.
    pub(crate) fn side_prefix(&self) -> String {
        format!(".{}.cfgwal-", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    pub(crate) fn stat(&self) -> Result<Option<Stat>, Error> {
        match self.storage.stat(&self.path) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at", &self.path)(error)),
        }
    }

    /// Read it as it is at this moment. Someone may be writing it: fit to find out whether it changed, no more. Another
    /// process that is about to show a text is waited for.
    pub(crate) fn read(&self) -> Result<Option<Text>, Error> {
        let began = self.storage.uptime();
        let mut pause = EXCHANGING;
        loop {
            let text = self.read_at_once();
            if !is_held(&text) || self.storage.uptime().saturating_sub(began) >= SHOWING {
                return text;
            }
            self.storage.sleep(pause);
            pause = AGAIN.min(pause * 2);
        }
    }

    /// The same, without waiting: see [`is_held`].
    pub(crate) fn read_at_once(&self) -> Result<Option<Text>, Error> {
        let file = match self.storage.open(&self.path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", &self.path)(error)),
        };
        let stat = file.stat().map_err(Error::io("look at", &self.path))?;
        if stat.len > RECORD_MAX as u64 {
            let (rule, instead) = ("a config file may have 64 MiB at most", "keep large data elsewhere");
            return Err(Error::Forbidden { path: self.path.clone(), rule, instead });
        }
        let bytes = storage::read_all(&*file).map_err(Error::io("read", &self.path))?;
        Ok(Some(Text { bytes, stat, file }))
    }

    /// Read it once nobody has it open for writing, or nobody has touched it for a moment.
    pub(crate) fn read_settled(&self, patience: Duration) -> Result<Seen, Error> {
        let began = self.storage.uptime();
        loop {
            let Some(text) = self.read()? else { return Ok(Seen::Absent) };
            if self.stood_still(&text)? {
                return Ok(Seen::Text(text));
            }
            if self.storage.uptime().saturating_sub(began) >= patience {
                return Ok(Seen::InUse);
            }
            self.storage.sleep(AGAIN);
        }
    }

    /// Whether `text` is what the file holds, and nobody is about to write more of it.
    fn stood_still(&self, text: &Text) -> Result<bool, Error> {
        let same =
            |now: Stat| (now.len, now.modified_ns, now.ino) == (text.stat.len, text.stat.modified_ns, text.stat.ino);
        match text.file.try_lease(Lease::Read) {
            Ok(true) => {
                let now = text.file.stat().map_err(Error::io("look at", &self.path))?;
                // A writer that came meanwhile has broken the lease.
                let alone = text.file.end_lease(Lease::Read).map_err(Error::io("end the lease on", &self.path))?;
                Ok(alone && same(now))
            }
            Ok(false) => Ok(false),
            // Not our file, or a file system without leases.
            Err(_) => {
                self.storage.sleep(STILL);
                Ok(self.stat()?.is_some_and(same))
            }
        }
    }
}

/// Whether the file could not be read because another process is about to show a text, and holds everybody in `open`.
pub(crate) fn is_held<T>(read: &Result<T, Error>) -> bool {
    matches!(read, Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::WouldBlock)
}

/// By name, and in its order.
pub(super) type Attributes = Vec<(OsString, Vec<u8>)>;

/// The attributes that nobody but people and their programs changes: the access list, and those that are theirs to name.
pub(super) fn set_by_people(file: &dyn File) -> io::Result<Attributes> {
    let mut found = file.attributes()?;
    found.retain(|(name, _)| name == storage::ACCESS_LIST || name.to_string_lossy().starts_with("user."));
    found.sort_unstable();
    Ok(found)
}

/// Whether a file holds this text and nothing else. Read piece by piece: a copy of a large text costs more than reading it.
pub(super) fn holds(file: &dyn File, text: &[u8]) -> io::Result<bool> {
    let is_as_long = || Ok::<bool, io::Error>(file.stat()?.len == text.len() as u64);
    if !is_as_long()? {
        return Ok(false);
    }
    let mut read = vec![0; PIECE.min(text.len())];
    for (at, piece) in text.chunks(PIECE).enumerate() {
        let read = &mut read[..piece.len()];
        if storage::read_full(file, read, (at * PIECE) as u64)? < piece.len() || *read != *piece {
            return Ok(false);
        }
    }
    // Somebody may have added to it meanwhile.
    is_as_long()
}

/// Whether someone has a text open to write into it, or waits for our lease to do so. One who found the file before it was
/// exchanged and asks for it only now is seen at the second look; one who is slower yet, by a later
/// sweep.
pub(super) fn is_wanted(file: &dyn File) -> bool {
    let waited_for = matches!(file.left_of_lease(), Ok(None));
    waited_for || {
        let _ = file.end_lease(Lease::Read);
        matches!(file.try_lease(Lease::Read), Ok(false))
    }
}
