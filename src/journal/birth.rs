//! A store is born whole: built under a temporary name, synced, and renamed, so that nobody ever finds half of one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::document;
use crate::error::Error;
use crate::log::ZEROS_FIRST;
use crate::materialise::ConfigFile;
use crate::note::hash_text;
use crate::recovery;
use crate::segment::{Header, Segment};
use crate::snapshot;
use crate::state::State;
use crate::storage::{self, Open, Rename, Storage};
use crate::version::{KnownText, StandsFor, Version};
use crate::watermark::{self, Reached, Watermark};

/// Make the journal of a config file: of its text, or of nothing if there is no file. Somebody else who is quicker wins.
pub(super) fn bear(config: &ConfigFile, dir: &Path, create: bool) -> Result<(), Error> {
    let storage = &*config.storage;
    let text = config.read()?;
    if text.is_none() && !create {
        return Err(Error::Missing { path: config.path.clone() });
    }
    let parent = config.parent();
    let random = || storage.random().map_err(Error::io("get random bytes for", dir));
    let store = random()?;
    let mut version = recovery::empty_version();
    let mut shown = None;
    if let Some(text) = text {
        let value = document::parse(config.format, &text.bytes)
            .map_err(|invalid| Error::Invalid { path: config.path.clone(), invalid })?;
        version.state = State::new(value);
        let stands_for = StandsFor::Revision(0);
        version.texts = Arc::new([KnownText { hash: hash_text(&store, &text.bytes), stands_for }]);
        shown = String::from_utf8(text.bytes).ok();
    }
    let temporary = temporary_name(dir, u128::from_le_bytes(random()?));
    storage.create_dir(&temporary).map_err(Error::io("create", &temporary))?;
    let built = build(storage, &temporary, store, &version, shown.as_deref(), random()?);
    let named = built.and_then(|()| match storage.rename(&temporary, dir, Rename::Keep) {
        Ok(()) => storage::sync_dir(storage, parent).map_err(Error::io("sync", parent)).map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::io("name", dir)(error)),
    });
    if !matches!(named, Ok(true)) {
        remove_tree(storage, &temporary);
    }
    named.map(drop)
}

fn temporary_name(dir: &Path, id: u128) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(format!(".tmp-{id:032x}"));
    dir.with_file_name(name)
}

fn build(
    storage: &dyn Storage,
    dir: &Path,
    store: [u8; 16],
    version: &Version,
    shown: Option<&str>,
    salt: [u8; 16],
) -> Result<(), Error> {
    let path = dir.join(".gitignore");
    let file = storage.open(&path, Open::Create(0o600)).map_err(Error::io("create", &path))?;
    storage::write_full(&*file, b"*\n", 0).and_then(|()| file.sync()).map_err(Error::io("write", &path))?;
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
    let bytes = snapshot::encode(store, version, 1, created, shown, &mut |_| Ok(version.state.clone()))?;
    snapshot::write(storage, dir, version.revision(), &bytes)?;
    Watermark::create(storage, &dir.join(watermark::NAME))?;
    let boot = storage.boot_id().map_err(Error::io("read the boot id for", dir))?;
    let watermark = Watermark::open(storage, dir, "")?;
    watermark.begin(&boot, &store, Reached::new(1, start.sequence));
    // So that a later boot finds a page of an earlier one, and not an empty page.
    watermark.file.sync().map_err(Error::io("sync", &watermark.path))?;
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
