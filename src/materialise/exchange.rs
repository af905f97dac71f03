//! The exchange: a new text is written beside the config file, and the two change places. What comes out is looked at before
//! it goes: a save that fell into that moment is put back.

use super::in_place::write_over;
use super::*;
use crate::limits::PIECE;
use crate::note::{hash_beside, hash_pieces};
use crate::storage::Outgoing;

impl Materialiser<'_> {
    pub(super) fn exchange(
        &self,
        version: &Version,
        old: Text,
        old_hash: TextHash,
        next: &Next,
    ) -> Result<Outcome, Error> {
        let new = next.of(&old.bytes);
        // Before they are copied: what is set later is seen to be another.
        let set_by_people = file::set_by_people(&*old.file).map_err(Error::io("look at", &self.config.path))?;
        let mut side = match self.write_beside(new, Some(&*old.file)) {
            // A directory that is not ours, or a file whose owner or attributes we may not give to another.
            Err(Error::Io { source, .. }) if is_forbidden(&source) => return self.rewrite(version, old, next),
            side => side?,
        };
        let note = Note::Showing {
            old: Some(old_hash),
            new: side.hash,
            revision: version.revision(),
            name: side.name.clone(),
        };
        if !planted(Bug::NoteLeftOut) && !self.announce_side(version, note, &side)? {
            return Ok(Outcome::Again);
        }
        let path = self.beside(&side.name);
        self.foretell(&side);
        // Whoever opens the old text from here on to write into it waits until it is decided where that text is.
        let leased = old.file.try_lease(Lease::Read);
        if matches!(leased, Ok(false)) {
            self.settle_without(side, None)?;
            return Ok(Outcome::Again);
        }
        // Whoever asks for the new text waits until it is certain that it stays in its place.
        side.is_leased = matches!(side.file.try_lease(Lease::Write), Ok(true));
        if let Err(error) = self.log.storage.rename(&path, &self.config.path, Rename::Exchange) {
            let _ = old.file.end_lease(Lease::Read);
            self.settle_without(side, None)?;
            return match error.raw_os_error() {
                _ if error.kind() == std::io::ErrorKind::NotFound => Ok(Outcome::Again),
                // A mount point, or a file system that cannot exchange two files.
                Some(libc::EBUSY | libc::EINVAL | libc::ENOSYS) => self.rewrite(version, old, next),
                _ => Err(Error::io("replace", &self.config.path)(error)),
            };
        }
        let wanted = leased.is_ok() && file::is_wanted(&*old.file);
        if !planted(Bug::ExchangeUnchecked) && (wanted || !self.is_what_was_read(&path, &old, &set_by_people)?) {
            // An editor saved in between, or is about to: its text goes back to its place, where it is an ordinary save.
            let back = match planted(Bug::SaveNotPutBack) {
                true => Some(Restored { only: None }),
                false => self.put_back(&*self.log.published()?, &path, &new.bytes(), Some(&side))?,
            };
            // Whoever waited opens what lies in its place again.
            let _ = old.file.end_lease(Lease::Read);
            if let Err(error) = self.hand_over(&side, &path, new) {
                tracing::debug!(path = %path.display(), %error, "who asked for the file in the moment of a save misses that save");
            }
            self.settle_without(side, back)?;
            return Ok(Outcome::Again);
        }
        let _ = side.file.end_lease(Lease::Write);
        let outcome = self.finish(version, side)?;
        if leased.is_err() {
            self.remove_unless_open(&path, old.file, &old.bytes)?;
            return Ok(outcome);
        }
        // Held since before it was compared with what was read: nobody has written into it, nor is about to.
        let unwanted = matches!(old.file.end_lease(Lease::Read), Ok(true));
        drop(old);
        if unwanted || planted(Bug::SaveSwept) {
            self.log.storage.remove_large(&path, &mut self.log.company()).map_err(Error::io("remove", &path))?;
        }
        Ok(outcome)
    }

    /// Note that a text that lies beside the file is about to be shown. Where that cannot be, the text goes again: it may be
    /// tried every second, and each time with another one. But of one that is gone and may be in the log, nobody could tell
    /// that it never became the file.
    pub(super) fn announce_side(&self, version: &Version, note: Note, side: &Beside) -> Result<bool, Error> {
        let announced = self.announce(version, note, &side.name);
        if matches!(announced, Ok(false) | Err(Error::NotApplied(_))) {
            let path = self.beside(&side.name);
            if let Err(error) = self.log.storage.remove(&path) {
                tracing::debug!(path = %path.display(), %error, "a text that is not shown stays until the next sweep");
            }
        }
        announced
    }

    /// A new text is about to be the config file: whoever looks at that knows it for ours without reading it.
    pub(super) fn foretell(&self, side: &Beside) {
        *self.coming.lock().unwrap_or_else(PoisonError::into_inner) = Some(side.stat);
    }

    /// Exchange a person's text at `path` back into the config file, where `ours` is now. Should yet another save come
    /// out, it is the newest and goes in again; of the one before it the values are taken over. `None`: someone has what came
    /// out open to write into it, or waits for that, and what it comes to is not known yet. `held`: see
    /// [`read_beside`](Self::read_beside).
    pub(super) fn put_back(
        &self,
        version: &Version,
        path: &std::path::Path,
        ours: &[u8],
        held: Option<&Beside>,
    ) -> Result<Option<Restored>, Error> {
        let to = &self.config.path;
        let is_ours = |side: &Beside| Ok::<_, Error>(self.config.stat()?.is_none_or(|now| now.same_file(&side.stat)));
        if !held.map_or(Ok(true), is_ours)? {
            // A newer save is there already: nobody is to see the older one again.
            self.take_older(version, path, &self.read_beside(path, held)?)?;
            return Ok(Some(Restored { only: None }));
        }
        let exchange = || self.log.storage.rename(path, to, Rename::Exchange).map_err(Error::io("put back", to));
        let mut placed = ours.to_vec();
        loop {
            let inserting = self.read_beside(path, held)?;
            exchange()?;
            let parent = self.config.parent();
            storage::sync_dir(&*self.log.storage, parent).map_err(Error::io("sync", parent))?;
            // Who opened it while it was the config file, or asked for it, is about to save into it.
            match self.held_at(path, held)? {
                // That save will be the newer one: it is waited for in its place.
                Some(side) if side.is_awaited() => {
                    exchange()?;
                    return Ok(None);
                }
                None if !self.is_let_go(path)? => return Ok(None),
                _ => {}
            }
            let out = self.read_beside(path, held)?;
            if out == placed {
                // What lies beside is ours, or the older of two saves.
                let is_only = placed == ours;
                if !is_only {
                    self.take_older(version, path, &placed)?;
                }
                return Ok(Some(Restored { only: is_only.then(|| hash_text(&self.log.store, &inserting)) }));
            }
            placed = inserting;
        }
    }

    /// A save that came out at `path` and goes back no more, since a newer one is in the file: the text is kept in
    /// quarantine, and what its author changed becomes a record, as far as it overrules nobody.
    fn take_older(&self, version: &Version, path: &std::path::Path, bytes: &[u8]) -> Result<(), Error> {
        self.keep_save(bytes)?;
        let Ok(theirs) = document::parse(&self.config.format, bytes) else { return Ok(()) };
        let bases = self.bases(version)?;
        let theirs = in_terms_of(&self.config.format, &State::new(theirs), &bases);
        if bases.is_empty() || is_lost(&bases, &theirs, is_blank(bytes)) {
            return Ok(());
        }
        let (at, likeliest) = reconcile::began_with(&bases, &theirs);
        // Whoever is killed before the log says that the exchange is over does this once more.
        let side = path.file_name().unwrap_or_default().to_string_lossy();
        let key = format!("{side} {}", hex(&hash_text(&self.log.store, bytes)));
        let time = self.log.storage.clock_micros();
        // Its author did not see what came after: where that is in the way, it stays, and so it does where an older value
        // would be put back. With which text the author began nobody knows: what is in the way of any of them counts.
        let undone = self.undone(&bases[at], &likeliest)?;
        let entry = |now: &Version| {
            let of_each =
                bases.iter().zip(&theirs).map(|(base, theirs)| reconcile::reconcile(base, &now.state, theirs));
            let mut of_each: Vec<_> = of_each.collect();
            let mut ops = std::mem::take(&mut of_each[at].ops);
            let conflicts = of_each.iter().flat_map(|done| &done.conflicts);
            let kept: Vec<&Path> = conflicts.map(|conflict| &conflict.path).chain(&undone).collect();
            let overrules = |path: &Path| kept.iter().any(|kept| path.starts_with(kept) || kept.starts_with(path));
            ops.retain(|op| !op.path().is_some_and(overrules));
            if ops.is_empty() || now.keys.contains(&key) {
                return None;
            }
            let origin = Origin { kind: OriginKind::File, ..self.origin.clone() };
            Some(Entry::Edit(Transaction { time, origin, key: Some(key.clone()), base: None, ops }))
        };
        self.append(entry)?;
        self.log.sync_all()
    }

    /// Our text was in the place of the config file and is not any more, and somebody waits to read it: they get what is there
    /// now. It loses its name before, so that nothing of it is left after a crash.
    fn hand_over(&self, side: &Beside, path: &std::path::Path, ours: Spliced<'_>) -> Result<(), Error> {
        let (storage, file) = (&*self.log.storage, &*side.file);
        // Of one who is going to write into it the text is waited for.
        if planted(Bug::ReaderLeftBehind) || !matches!(file.left_of_lease(), Ok(Some(Lease::Read))) {
            return Ok(());
        }
        if storage.stat(path).is_ok_and(|found| found.same_file(&side.stat)) {
            storage.remove(path).map_err(Error::io("remove", path))?;
        }
        let Some(there) = self.config.read()? else { return Ok(()) };
        if file.stat().map_err(Error::io("look at", path))?.links > 0 {
            return Ok(());
        }
        let handed = write_over(file, ours.len(), &there.bytes);
        // Half of each is of no use to anybody.
        let handed = handed.or_else(|error| write_over(file, file.length()? as usize, &ours.bytes()).and(Err(error)));
        handed.map_err(Error::io("write", path))
    }

    /// The bytes of a file that came out of an exchange; of what is no regular file there are none. What we hold with a lease
    /// is opened by nobody, ourselves included.
    pub(super) fn read_beside(&self, path: &std::path::Path, held: Option<&Beside>) -> Result<Vec<u8>, Error> {
        if let Some(side) = self.held_at(path, held)? {
            return storage::read_all(&*side.file).map_err(Error::io("read", path));
        }
        let stat = self.log.storage.stat(path).map_err(Error::io("look at", path))?;
        if stat.kind != Kind::File {
            return Ok(Vec::new());
        }
        let file = self.log.storage.open(path, Open::Read).map_err(Error::io("open", path))?;
        storage::read_all(&*file).map_err(Error::io("read", path))
    }

    /// What we hold, if it is what is at this path.
    fn held_at<'b>(&self, path: &std::path::Path, held: Option<&'b Beside>) -> Result<Option<&'b Beside>, Error> {
        let Some(side) = held else { return Ok(None) };
        let found = self.log.storage.stat(path).map_err(Error::io("look at", path))?;
        Ok(held.filter(|_| found.same_file(&side.stat)))
    }

    pub(super) fn keep_save(&self, bytes: &[u8]) -> Result<(), Error> {
        let name = format!("save-{}", hex(&hash_text(&self.log.store, bytes)));
        tracing::warn!(name, "two saves fell into one moment: the text of the older one is in quarantine");
        perform::set_aside(&*self.log.storage, &self.log.dir, &name, bytes)
    }

    /// Whether the file that came out of the exchange is the one that the patch was made from, open to the same people.
    fn is_what_was_read(
        &self,
        path: &std::path::Path,
        old: &Text,
        set_by_people: &file::Attributes,
    ) -> Result<bool, Error> {
        let found = self.log.storage.stat(path).map_err(Error::io("look at", path))?;
        if found.kind != Kind::File {
            return Ok(false);
        }
        let out = self.log.storage.open(path, Open::Read).map_err(Error::io("open", path))?;
        let stat = out.stat().map_err(Error::io("look at", path))?;
        let set_by_people_too = |stat: &Stat| (stat.mode, stat.uid, stat.gid, stat.links);
        if !stat.same_file(&old.stat) || set_by_people_too(&stat) != set_by_people_too(&old.stat) {
            return Ok(false);
        }
        if file::set_by_people(&*out).map_err(Error::io("look at", path))? != *set_by_people {
            return Ok(false);
        }
        file::holds(&*out, &old.bytes).map_err(Error::io("read", path))
    }

    /// Say what came of a text that did not stay in its place. Held open for writing, it would look like one that somebody is
    /// about to write into.
    pub(super) fn settle_without(&self, side: Beside, back: Option<Restored>) -> Result<(), Error> {
        drop(side);
        self.settle(&*self.log.published()?, back)?;
        Ok(())
    }

    /// Make the new name durable and tell the log, whose note rides on the next sync.
    pub(super) fn finish(&self, version: &Version, side: Beside) -> Result<Outcome, Error> {
        let parent = self.config.parent();
        storage::sync_dir(&*self.log.storage, parent).map_err(Error::io("sync", parent))?;
        self.append(|_| Some(Entry::Aside(Note::Shown { text: side.hash, revision: version.revision() })))?;
        let now = side.file.stat().map_err(Error::io("look at", &self.config.path))?;
        // If more than the name is new, somebody has written into it, and the next look is to see that.
        let stat = if now.is_renamed(&side.stat) { now } else { side.stat };
        Ok(Outcome::Done(Shown { stat, revision: version.revision() }))
    }

    /// Remove a text beside the config file, unless someone has it open to write into it or has done so. What stays is
    /// looked at again by the next [sweep](Materialiser::sweep).
    pub(super) fn remove_unless_open(
        &self,
        path: &std::path::Path,
        file: Box<dyn File>,
        expected: &[u8],
    ) -> Result<(), Error> {
        let unused = match file.try_lease(Lease::Read) {
            Ok(leased) => leased && file.end_lease(Lease::Read).unwrap_or(false),
            // Without leases there is no telling; a moment must do.
            Err(_) => {
                self.log.storage.sleep(BETWEEN_STEPS);
                true
            }
        };
        let seen = file::holds(&*file, expected).map_err(Error::io("read", path))?;
        // A large file that is open cannot be removed bit by bit.
        drop(file);
        if unused && seen || planted(Bug::SaveSwept) {
            self.log.storage.remove(path).map_err(Error::io("remove", path))?;
        }
        Ok(())
    }

    /// Look at what lies beside the file since an exchange began. A person's text that came out of it goes back. `None`:
    /// someone has one of the two open to write into it, and what that comes to is not known yet.
    pub(super) fn settle_side(
        &self,
        version: &Version,
        path: &std::path::Path,
        name: &str,
    ) -> Result<Option<Displaced>, Error> {
        // Whoever waited for the lease of one who was killed has the text open that came out, and its save is to come.
        if !self.is_let_go(path)? {
            return Ok(None);
        }
        let bytes = self.read_beside(path, None)?;
        let texts = Displaced::texts(version, name);
        let out = hash_text(&self.log.store, &bytes);
        if version.known(&out).is_some() {
            // If it is the new text, they never changed places.
            let showed = if Some(out) == texts.new { texts.old } else { texts.new };
            return Ok(Some(Displaced { showed, save: None, back: None }));
        }
        let shown = self.config.read()?.map(|text| text.bytes);
        let back = match shown.filter(|text| Some(hash_text(&self.log.store, text)) == texts.new) {
            // A person's text came out, and ours is in its place.
            Some(_) if planted(Bug::SaveNotPutBack) => None,
            Some(_) if !self.is_let_go(&self.config.path)? => return Ok(None),
            Some(placed) => match self.put_back(version, path, &placed, None)? {
                None => return Ok(None),
                back => back,
            },
            // Two saves fell into one window: the newer one stays.
            None => self.take_older(version, path, &bytes).map(|()| None)?,
        };
        Ok(Some(Displaced { showed: None, save: Some(bytes), back }))
    }

    /// Whether nobody has a file open to write into it, once some time has been left for that.
    fn is_let_go(&self, path: &std::path::Path) -> Result<bool, Error> {
        let storage = &*self.log.storage;
        let began = storage.uptime();
        loop {
            match storage.open(path, Open::Read).map(|file| file.try_lease(Lease::Read)) {
                Ok(Ok(false)) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // Without leases there is no telling.
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
                Err(error) => return Err(Error::io("open", path)(error)),
            }
            if storage.uptime().saturating_sub(began) >= IN_USE {
                return Ok(false);
            }
            storage.sleep(AGAIN);
        }
    }

    /// Remove what lies beside the file once the log says that the exchange is over.
    pub(super) fn remove_side(
        &self,
        version: &Version,
        path: &std::path::Path,
        displaced: &Displaced,
    ) -> Result<(), Error> {
        let file = self.log.storage.open(path, Open::Read).map_err(Error::io("open", path))?;
        let left = storage::read_all(&*file).map_err(Error::io("read", path))?;
        let ours = version.known(&hash_text(&self.log.store, &left)).is_some();
        let is_kept = displaced.save.as_ref() == Some(&left);
        if ours || is_kept { self.remove_unless_open(path, file, &left) } else { Ok(()) }
    }

    pub(super) fn beside(&self, name: &str) -> std::path::PathBuf {
        self.config.parent().join(name)
    }

    /// A synced file beside the config file, named after its content and never used before.
    pub(super) fn write_beside(&self, text: Spliced<'_>, like: Option<&dyn File>) -> Result<Beside, Error> {
        let storage = &*self.log.storage;
        let id = storage.random().map_err(Error::io("get random bytes for", &self.config.path))?;
        let name_of = |hash: &TextHash| format!("{}{}-{}", self.config.side_prefix(), hex(hash), hex(&id[..4]));
        let parent = self.config.parent();
        if let Ok(file) = storage.open(parent, Open::Nameless) {
            let hash = self.fill(&*file, text, like)?;
            let name = name_of(&hash);
            let path = self.beside(&name);
            match file.link(&path) {
                Ok(()) => return Beside::new(name, hash, file, &path),
                // No room, no permission: that would fail below as well, and says why.
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("name", &path)(error));
                }
                Err(_) => {}
            }
        }
        // A file system without nameless files that can be named.
        let hash = hash_pieces(&self.log.store, text.pieces());
        let name = name_of(&hash);
        let path = self.beside(&name);
        let file = storage.open(&path, Open::Create(0o600)).map_err(Error::io("create", &path))?;
        self.fill(&*file, text, like).inspect_err(|_| {
            let _ = storage.remove(&path);
        })?;
        Beside::new(name, hash, file, &path)
    }

    /// Gives the hash of the text, which costs little while the disk is at work.
    fn fill(&self, file: &dyn File, text: Spliced<'_>, like: Option<&dyn File>) -> Result<TextHash, Error> {
        let hash = || hash_pieces(&self.log.store, text.pieces());
        let (hash, written) = hash_beside(text.len(), hash, || self.write_out(file, text, like));
        written.map(|()| hash)
    }

    fn write_out(&self, file: &dyn File, text: Spliced<'_>, like: Option<&dyn File>) -> Result<(), Error> {
        let path = &self.config.path;
        let mut company = self.log.company();
        let mut outgoing = Outgoing::new(file, &mut company);
        for (at, piece) in text.pieces().enumerate() {
            let written = outgoing.add(&piece, (at * PIECE) as u64);
            written.map_err(Error::io("write a new text for", path))?;
        }
        match like {
            Some(like) => file.take_metadata(like),
            None => file.set_mode(self.log.storage.default_mode()),
        }
        .map_err(Error::io("give owner and permissions to a new text for", path))?;
        file.sync().map_err(Error::io("sync a new text for", path))
    }
}

/// What the file beside the config file told of an exchange.
pub(super) struct Displaced {
    /// The text that the config file showed last, if that can be told.
    pub showed: Option<TextHash>,
    /// A person's text that had come out.
    save: Option<Vec<u8>>,
    /// That text has been put back.
    pub back: Option<Restored>,
}

/// The texts that were about to change places.
pub(super) struct Places {
    /// `None`: the log knows of several.
    pub old: Option<TextHash>,
    pub new: Option<TextHash>,
}

impl Displaced {
    /// Told by the name of the file beside the config file.
    pub(super) fn texts(version: &Version, name: &str) -> Places {
        let mut older = version.texts.iter().filter(|text| !text.is_named_by(name)).map(|text| text.hash);
        let old = older.next().filter(|_| older.next().is_none());
        Places { old, new: version.texts.iter().find(|text| text.is_named_by(name)).map(|text| text.hash) }
    }
}

/// A person's text came out of an exchange and is in its place again.
#[derive(Clone, Copy)]
pub(super) struct Restored {
    /// That text; `None`: another save took its place meanwhile.
    pub only: Option<TextHash>,
}

/// A new text on disk that is not in its place yet.
pub(super) struct Beside {
    pub name: String,
    pub hash: TextHash,
    pub file: Box<dyn File>,
    stat: Stat,
    /// Whoever asks for it waits.
    is_leased: bool,
}

impl Beside {
    fn new(name: String, hash: TextHash, file: Box<dyn File>, path: &std::path::Path) -> Result<Beside, Error> {
        let stat = file.stat().map_err(Error::io("look at", path))?;
        Ok(Beside { name, hash, file, stat, is_leased: false })
    }

    /// Whether somebody waits for our lease to write into it.
    fn is_awaited(&self) -> bool {
        self.is_leased && matches!(self.file.left_of_lease(), Ok(None))
    }
}

/// The parts of a name that `write_beside` gives: the hash of the text and the number. No other name matches.
pub(super) fn side_name<'a>(name: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    let (hash, id) = name.strip_prefix(prefix)?.split_once('-')?;
    (storage::is_hex(hash, 32) && storage::is_hex(id, 8)).then_some((hash, id))
}

/// Errors of one who may write into a file and not put another in its place.
fn is_forbidden(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
}
