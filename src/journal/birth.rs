//! A store is born whole: built under a temporary name, synced, and renamed, so that nobody ever finds half of one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::document::{self, Format};
use crate::error::Error;
use crate::log::ZEROS_FIRST;
use crate::materialise::{ConfigFile, IN_USE, Seen, chosen};
use crate::note::hash_text;
use crate::recovery;
use crate::reserve;
use crate::segment::{Header, Segment};
use crate::snapshot;
use crate::state::State;
use crate::storage::{self, File, Lock, Open, Rename, Storage};
use crate::version::{KnownText, StandsFor, Version};
use crate::watermark::{self, Reached, Watermark};

/// How long a file's name may be: the longest name beside it, that of a new text, has 50 bytes more, and 255 is the system's limit.
const NAME_MAX: usize = 205;

/// Make the journal of a config file: of its text, or of nothing if there is no file. Somebody else who is quicker wins.
///
/// What decides how the file is read, and is not said by its name, is written down with it: the format from here on.
pub(super) fn bear(config: &ConfigFile, dir: &Path, create: bool) -> Result<Format, Error> {
    let storage = &*config.storage;
    // A person who is saving just now is waited for.
    let text = match config.read_settled(IN_USE)? {
        Seen::Text(text) => Some(text),
        Seen::InUse => config.read()?,
        Seen::Absent => None,
    };
    if text.is_none() && !create {
        return Err(Error::Missing { path: config.path.clone() });
    }
    if config.path.file_name().is_some_and(|name| name.to_string_lossy().len() > NAME_MAX) {
        let (rule, instead) =
            ("its name is too long for what has to lie beside it", "give it one of at most 205 bytes");
        return Err(Error::Forbidden { path: config.path.clone(), rule, instead });
    }
    let parent = config.parent();
    let random = || storage.random().map_err(Error::io("get random bytes for", dir));
    let store = random()?;
    let mut version = recovery::empty_version();
    let mut shown = None;
    let mut format = config.format.clone();
    if let Some(text) = text {
        format = format.decided_by(&text.bytes);
        let value = document::parse(&config.format, &text.bytes)
            .map_err(|invalid| Error::Invalid { path: config.path.clone(), invalid })?;
        version.state = State::new(value);
        let stands_for = StandsFor::Revision(0);
        version.texts = Arc::new([KnownText { hash: hash_text(&store, &text.bytes), stands_for }]);
        shown = String::from_utf8(text.bytes).ok();
    }
    let (temporary, _at_work) = begin(storage, dir)?;
    let written_down = (Format::of(&config.path).as_ref() != Some(&format)).then(|| chosen::text(&format));
    let built = keep(storage, &temporary, ".gitignore", "*\n")
        .and_then(|()| written_down.map_or(Ok(()), |text| keep(storage, &temporary, chosen::NAME, &text)))
        .and_then(|()| build(storage, &temporary, store, &version, shown, random()?));
    let named = built.and_then(|()| match storage.rename(&temporary, dir, Rename::Keep) {
        Ok(()) => storage::sync_dir(storage, parent).map_err(Error::io("sync", parent)).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io("name", dir)(error)),
    });
    if !matches!(named, Ok(true)) {
        remove_tree(storage, &temporary);
    }
    sweep(storage, dir, parent);
    match named? {
        true => Ok(format),
        // Whoever was quicker may have chosen another one.
        false => Ok(chosen::read(storage, dir)?.unwrap_or(format)),
    }
}

/// A small file of a store that is being made.
fn keep(storage: &dyn Storage, dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = dir.join(name);
    let file = storage.open(&path, Open::Create(0o600)).map_err(Error::io("create", &path))?;
    storage::write_full(&*file, text.as_bytes(), 0).and_then(|()| file.sync()).map_err(Error::io("write", &path))
}

/// A directory for a store that has no name yet, and its lock, which tells others that somebody is at work there. From
/// the moment it has its name this is the lock for appending.
fn begin(storage: &dyn Storage, dir: &Path) -> Result<(PathBuf, Box<dyn File>), Error> {
    let (beside, name) = (dir.parent().unwrap_or(Path::new("")), dir.file_name().unwrap_or_default());
    loop {
        let path = storage::temporary(storage, beside, name).map_err(Error::io("get random bytes for", dir))?;
        storage.create_dir(&path).map_err(Error::io("create", &path))?;
        let claim = || -> io::Result<Option<Box<dyn File>>> {
            let at_work = storage.open(&path, Open::Directory)?;
            let alone = at_work.try_lock(Lock::Exclusive)?;
            Ok((alone && storage.stat(&path)?.same_file(&at_work.stat()?)).then_some(at_work))
        };
        match claim() {
            Ok(Some(at_work)) => return Ok((path, at_work)),
            // Somebody who swept saw it before it was locked.
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                remove_tree(storage, &path);
                return Err(Error::io("lock", &path)(error));
            }
        }
    }
}

/// Remove stores that nobody is at work on any more: whoever was has been killed. What cannot be removed is litter and no harm.
pub(super) fn sweep(storage: &dyn Storage, dir: &Path, parent: &Path) {
    for name in storage.list(parent).unwrap_or_default() {
        if !name.to_str().is_some_and(|name| is_unnamed(name, dir)) {
            continue;
        }
        let path = parent.join(&name);
        let Ok(at_work) = storage.open(&path, Open::Directory) else { continue };
        if matches!(at_work.try_lock(Lock::Exclusive), Ok(true)) {
            remove_tree(storage, &path);
        }
    }
}

/// Whether a name is one of a store that was to be `dir`.
pub(super) fn is_unnamed(name: &str, dir: &Path) -> bool {
    storage::meant_for(name).is_some_and(|meant| dir.file_name() == Some(meant.as_ref()))
}

fn build(
    storage: &dyn Storage,
    dir: &Path,
    store: [u8; 16],
    version: &Version,
    shown: Option<String>,
    salt: [u8; 16],
) -> Result<(), Error> {
    let created = storage.clock_micros();
    let start = version.cursor;
    let header = Header {
        store,
        number: 1,
        first: start.sequence + 1,
        revision_before: start.revision,
        check_before: start.check,
        salt,
        created,
    };
    Segment::draft(storage, dir, 1, 0, ZEROS_FIRST)?.publish(dir, header, &[])?;
    let mut state_of = |_: &KnownText| Ok(version.state.clone());
    let draft = snapshot::Draft::of(store, version, 1, created, shown, &mut state_of)?;
    snapshot::write(storage, dir, &draft, &mut || false)?;
    Watermark::create(storage, &dir.join(watermark::NAME))?;
    let boot = storage.boot_id().map_err(Error::io("read the boot id for", dir))?;
    let watermark = Watermark::open(storage, dir, "")?;
    watermark.claim_room()?;
    watermark.begin(&boot, &store, Reached::new(1, start.sequence));
    // So that a later boot finds a page of an earlier one, and not an empty page.
    watermark.file.sync().map_err(Error::io("sync", &watermark.path))?;
    // Last: what the journal cannot do without comes before it.
    reserve::keep(storage, dir);
    storage::sync_dir(storage, dir).map_err(Error::io("sync", dir))
}

/// Remove a store that was not named. What cannot be removed is litter and no harm.
fn remove_tree(storage: &dyn Storage, dir: &Path) {
    for name in storage.list(dir).unwrap_or_default() {
        let _ = storage.remove(&dir.join(name));
    }
    if let Err(error) = storage.remove(dir) {
        tracing::debug!(path = %dir.display(), %error, "an unfinished journal stays behind");
    }
}
