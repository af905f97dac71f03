//! The config file and the log: bringing the file up to the newest durable revision without losing a save.
//!
//! The new text is written beside the file, a note in the log names both texts, and then the two **change places** in
//! one step. What comes out is compared with what was read: if an editor saved in between, the two are changed back,
//! and the editor's text is what counts. A lease keeps whoever opens the new text meanwhile waiting, and if it does not
//! stay, they get the editor's.
//!
//! A text in the file that the log does not know is someone's edit. It is never overwritten.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::compact;
use crate::document::{self, Format, Invalid, Splice, Spliced, Unpatchable};
use crate::error::Error;
use crate::frame::FrameKind;
use crate::lock::MaintenanceGuard;
use crate::log::{Entry, Log, Request, Want};
use crate::note::{self, Note, TextHash, hash_text, hex};
use crate::op::{Base, Origin, OriginKind, Transaction};
use crate::path::Path;
use crate::planted::{Bug, planted};
use crate::recovery::{self, Look, perform};
use crate::state::State;
use crate::storage::{self, File, Kind, Lease, Open, Rename, Stat};
use crate::value::Value;
use crate::version::{How, Showing, StandsFor, Version};

pub(crate) mod chosen;
mod exchange;
mod file;
mod in_place;
mod reconcile;

use exchange::{Displaced, Restored, side_name};
pub(crate) use file::{ConfigFile, Seen, Text, is_held};
pub(crate) use in_place::unfinished;

/// How long to wait for someone who has the file open for writing.
pub(crate) const IN_USE: Duration = Duration::from_secs(1);
/// How often someone who has it open is waited for again.
const AGAIN: Duration = Duration::from_millis(10);
/// How long a file may be gone: an editor between its two steps.
const BETWEEN_STEPS: Duration = Duration::from_millis(200);
/// Saves that may fall into the window of an exchange before we leave the file to its editor.
const COLLISIONS_MAX: usize = 10;

/// Which revision the config file shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileStatus {
    /// It shows the newest durable revision.
    Current {
        /// That revision.
        revision: u64,
    },
    /// It lags behind; the edits are safe in the log.
    Behind {
        /// The revision that it shows, as far as is known.
        shows: Option<u64>,
        /// The newest durable revision.
        revision: u64,
        /// What keeps it.
        why: Behind,
    },
}

/// What keeps the config file from showing the newest revision.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behind {
    /// Nothing: it has not been its turn yet.
    Pending,
    /// Someone changed it by hand, and the text does not parse.
    Invalid(Invalid),
    /// Someone changed it by hand; the change is taken over with the next edit, or by `materialise` or `compact`.
    EditedByHand,
    /// Someone saved it with most of it gone.
    Shrunk,
    /// Someone removed it.
    Removed,
    /// Someone has it open for writing, or saves it again and again.
    InUse,
    /// A crash came while it was written over where it lies, and its text is neither the old nor the new one.
    Unfinished,
    /// Writing it over where it lies failed in such a way that only a restart of the system shows what is on the disk.
    SyncFailed,
    /// The document cannot hold the state.
    Unpatchable(Unpatchable),
    /// Writing it failed.
    Failed(String),
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Behind::Pending => write!(f, "it is written after the edits, and that has not happened yet"),
            Behind::Invalid(invalid) => write!(f, "its text was changed by hand and does not parse: {invalid}"),
            Behind::EditedByHand => write!(f, "it was changed by hand, and that was not taken over yet"),
            Behind::Shrunk => write!(f, "it was saved with more than half of its values gone"),
            Behind::Removed => write!(f, "it was removed"),
            Behind::InUse => write!(f, "someone has it open for writing"),
            Behind::Unfinished => {
                write!(f, "a crash came while it was being written, and its text is neither the old nor the new one")
            }
            Behind::SyncFailed => write!(f, "a sync of it failed, and what the disk holds of it is not known"),
            Behind::Unpatchable(reason) => write!(f, "its text cannot show the edits: {reason}"),
            Behind::Failed(reason) => write!(f, "{reason}"),
        }
    }
}

impl Behind {
    /// What a person can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Behind::Pending => "`cfgwal compact` writes it now",
            Behind::Invalid(_) => {
                "put the text right; then the next edit or `cfgwal compact` brings the file up to date"
            }
            Behind::EditedByHand => "`cfgwal compact` takes it over now",
            Behind::Shrunk => "put the file right, or run `cfgwal recover --accept-file` if it is meant so",
            Behind::Removed => "put it back, or run `cfgwal recover --accept-file` to have it written anew",
            Behind::InUse => "close it, then run `cfgwal compact`",
            Behind::Unfinished => {
                "put the file right and run `cfgwal recover --accept-file`; the journal has both texts (rewrite-*)"
            }
            Behind::SyncFailed => {
                "see to the disk and restart the system; then the next edit or `cfgwal compact` brings the file up to date"
            }
            Behind::Unpatchable(Unpatchable::TooLarge { .. }) => {
                "remove something and keep large data elsewhere; the file follows with the next edit"
            }
            Behind::Unpatchable(_) => "change the file by hand so that it can, then run `cfgwal compact`",
            Behind::Failed(_) => "see to the cause, then run `cfgwal compact`",
        }
    }
}

/// What ends one attempt.
enum Outcome {
    Done(Shown),
    Behind(Behind),
    /// An editor saved meanwhile: look again.
    Again,
}

/// The text that comes next, if the one that is there stands for a certain revision.
struct Ahead {
    from: u64,
    splices: Vec<Splice>,
}

/// The text that comes next.
enum Next {
    Whole(Vec<u8>),
    /// What is to be replaced in the one that is there.
    Spliced(Vec<Splice>),
}

impl Next {
    fn of<'a>(&'a self, old: &'a [u8]) -> Spliced<'a> {
        match self {
            Next::Whole(text) => Spliced::from(&**text),
            Next::Spliced(splices) => Spliced::new(old, splices),
        }
    }
}

/// The file as it was last seen to show a text of ours; a cheap look tells whether it is still so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    pub stat: Stat,
    pub revision: u64,
}

/// Brings one config file up to its log.
pub(crate) struct Materialiser<'a> {
    pub log: &'a Log,
    pub config: &'a ConfigFile,
    /// Who takes hand edits over.
    pub origin: &'a Origin,
    /// The file counts as it is: removed, emptied or with most of it gone, a person has said that this is meant, or
    /// that it is to be written anew.
    pub accept: bool,
    /// Where a save that was taken over overruled a program is added here.
    pub conflicts: &'a Mutex<Vec<Path>>,
    /// What is about to be the config file is told here.
    pub coming: &'a Mutex<Option<Stat>>,
}

impl Materialiser<'_> {
    /// What the file shows at this moment, without any lock and without changing anything.
    pub(crate) fn look(&self, version: &Version) -> Result<(FileStatus, Option<Shown>), Error> {
        self.look_at(version, self.config.read()?)
    }

    /// What this shows, read from the file.
    pub(crate) fn look_at(&self, version: &Version, text: Option<Text>) -> Result<(FileStatus, Option<Shown>), Error> {
        let revision = version.revision();
        let behind = |shows, why| (FileStatus::Behind { shows, revision, why }, None);
        let Some(text) = text else {
            let why = if version.texts.is_empty() { Behind::Pending } else { Behind::Removed };
            return Ok(behind(None, why));
        };
        Ok(match version.known(&hash_text(&self.log.store, &text.bytes)) {
            Some(known) => {
                let shows = known.stands_for.revision();
                // Until an exchange is settled, someone's save may lie beside the file.
                let status = if shows >= revision && version.showing.is_none() {
                    FileStatus::Current { revision }
                } else {
                    FileStatus::Behind { shows: Some(shows), revision, why: Behind::Pending }
                };
                // A text that merely lags is ours too: nobody need read it again before it changes.
                (status, Some(Shown { stat: text.stat, revision: shows }))
            }
            None => behind(None, self.foreign(version, &text.bytes)?),
        })
    }

    fn foreign(&self, version: &Version, text: &[u8]) -> Result<Behind, Error> {
        if let Some(why) = unfinished(&*self.log.storage, &self.log.dir, version.showing.as_ref(), text)? {
            return Ok(why);
        }
        Ok(match document::parse(&self.config.format, text) {
            Ok(_) => Behind::EditedByHand,
            Err(invalid) => Behind::Invalid(invalid),
        })
    }

    /// Make the file show the newest durable revision, or say what keeps it.
    pub(crate) fn run(&self, _guard: &MaintenanceGuard<'_>) -> Result<(FileStatus, Option<Shown>), Error> {
        let mut shows = None;
        for _ in 0..COLLISIONS_MAX {
            let version = self.log.noted()?;
            if version.showing.is_some() {
                if let Some(why) = self.settle(&version, None)? {
                    return Ok((FileStatus::Behind { shows, revision: version.revision(), why }, None));
                }
                continue;
            }
            match self.attempt(&version, &mut shows)? {
                Outcome::Done(shown) => return Ok((self.status_of(&version, shown)?, Some(shown))),
                Outcome::Behind(why) => {
                    let revision = version.revision();
                    return Ok((FileStatus::Behind { shows, revision, why }, None));
                }
                Outcome::Again => {}
            }
        }
        let revision = self.log.published()?.revision();
        Ok((FileStatus::Behind { shows, revision, why: Behind::InUse }, None))
    }

    /// Make the file show what is in the log and need not be durable yet: it is by the time that the file shows it, by the
    /// sync of the note that comes before. `None`: something is in the way, for which there is time once the edits are safe.
    pub(crate) fn run_ahead(&self, _guard: &MaintenanceGuard<'_>) -> Result<Option<(FileStatus, Shown)>, Error> {
        // What others appended and noted since counts too: the file may show that already.
        let Some(version) = self.log.to_the_end()? else { return Ok(None) };
        let Seen::Text(old) = self.config.read_settled(Duration::ZERO)? else { return Ok(None) };
        let (old_hash, ahead) = self.identify(&version, &old);
        let lags = version.known(&old_hash).is_some_and(|known| known.stands_for.revision() < version.revision());
        if !lags || version.showing.is_some() {
            return Ok(None);
        }
        match self.show(&version, old, old_hash, ahead)? {
            Outcome::Done(shown) => Ok(Some((self.status_of(&version, shown)?, shown))),
            Outcome::Behind(_) | Outcome::Again => Ok(None),
        }
    }

    /// How things stand now that the file shows something, `version` or what was there already.
    fn status_of(&self, version: &Version, shown: Shown) -> Result<FileStatus, Error> {
        if shown.revision == version.revision() {
            self.log.remember_shown(version);
        }
        let revision = self.log.published()?.revision();
        Ok(if shown.revision >= revision {
            FileStatus::Current { revision }
        } else {
            FileStatus::Behind { shows: Some(shown.revision), revision, why: Behind::Pending }
        })
    }

    fn attempt(&self, version: &Version, shows: &mut Option<u64>) -> Result<Outcome, Error> {
        let old = match self.config.read_settled(IN_USE)? {
            Seen::Text(text) => text,
            Seen::InUse => return Ok(Outcome::Behind(Behind::InUse)),
            Seen::Absent => return self.create(version),
        };
        let (old_hash, ahead) = self.identify(version, &old);
        let Some(known) = version.known(&old_hash) else { return self.take_over(version, &old, old_hash) };
        *shows = Some(known.stands_for.revision());
        if known.stands_for.revision() >= version.revision() {
            return Ok(Outcome::Done(Shown { stat: old.stat, revision: known.stands_for.revision() }));
        }
        self.show(version, old, old_hash, ahead)
    }

    /// The hash of what the file shows. Most likely that is what it showed last, so meanwhile the next text is made of it.
    fn identify(&self, version: &Version, old: &Text) -> (TextHash, Option<Ahead>) {
        let hash = || hash_text(&self.log.store, &old.bytes);
        note::hash_beside(old.bytes.len(), hash, || {
            let (from, state) = self.log.last_shown().filter(|(from, _)| *from < version.revision())?;
            let (known, target) = (state.root(), version.state.root());
            let splices = document::patch_known(&self.config.format, &old.bytes, known, target)?;
            Some(Ahead { from, splices })
        })
    }

    /// Put the text for a version in the place of one that stands for an older revision.
    fn show(&self, version: &Version, old: Text, old_hash: TextHash, ahead: Option<Ahead>) -> Result<Outcome, Error> {
        let patch = |text: &[u8]| document::patch(&self.config.format, text, version.state.root());
        let shows = version.known(&old_hash).map(|known| &known.stands_for);
        let next = match ahead.filter(|ahead| shows == Some(&StandsFor::Revision(ahead.from))) {
            Some(Ahead { splices, .. }) => Next::Spliced(splices),
            None => match patch(&old.bytes) {
                Ok(new) => Next::Whole(new),
                Err(reason) => return Ok(Outcome::Behind(Behind::Unpatchable(reason))),
            },
        };
        let new = next.of(&old.bytes);
        debug_assert!(
            matches!(next, Next::Whole(_)) || patch(&new.bytes()).as_deref() == Ok(&*new.bytes()),
            "it stands for the state"
        );
        if new == *old.bytes {
            // The edits cancelled each other out: the same text stands for a newer revision.
            let revision = version.revision();
            let now = self.note_of(version, Note::Shown { text: old_hash, revision })?;
            let is_told = now.known(&old_hash).is_some_and(|known| known.stands_for.revision() == revision);
            let shown = Shown { stat: old.stat, revision };
            return Ok(if is_told { Outcome::Done(shown) } else { Outcome::Again });
        }
        if self.must_stay(&old.stat)? {
            self.rewrite(version, old, &next)
        } else {
            self.exchange(version, old, old_hash, &next)
        }
    }

    /// The states of the texts that a save may have been made on.
    fn bases(&self, version: &Version) -> Result<Vec<State>, Error> {
        version.texts.iter().map(|known| compact::state_of(self.log, version, known)).collect()
    }

    /// A text that is not ours: what its author changed becomes a record.
    fn take_over(&self, version: &Version, text: &Text, hash: TextHash) -> Result<Outcome, Error> {
        let theirs = match document::parse(&self.config.format, &text.bytes) {
            Ok(value) => State::new(value),
            Err(_) if planted(Bug::InvalidTakenForEmpty) => State::new(Value::object()),
            Err(invalid) => return Ok(Outcome::Behind(Behind::Invalid(invalid))),
        };
        let mut bases = self.bases(version)?;
        if bases.is_empty() {
            // No file was ever shown; its text is an edit of nothing.
            return self.record(version, text, hash, hash, State::new(Value::object()), theirs);
        }
        let theirs = in_terms_of(&self.config.format, &theirs, &bases);
        if !self.accept && is_lost(&bases, &theirs, is_blank(&text.bytes)) {
            return Ok(Outcome::Behind(Behind::Shrunk));
        }
        let (at, theirs) = reconcile::began_with(&bases, &theirs);
        self.record(version, text, hash, version.texts[at].hash, bases.swap_remove(at), theirs)
    }

    fn record(
        &self,
        version: &Version,
        text: &Text,
        hash: TextHash,
        against: TextHash,
        base: State,
        theirs: State,
    ) -> Result<Outcome, Error> {
        let undone = if version.texts.is_empty() { Vec::new() } else { self.undone(&base, &theirs)? };
        // From here on this text counts as shown, so a crash must not bring an older one back.
        if !planted(Bug::SaveNotSynced) {
            text.file.sync().map_err(Error::io("sync", &self.config.path))?;
        }
        let parent = self.config.parent();
        storage::sync_dir(&*self.log.storage, parent).map_err(Error::io("sync", parent))?;
        // A text that says just the same in other words.
        let like = (base == theirs && !version.texts.is_empty()).then_some(against);
        let revision = version.known(&against).map_or(0, |text| text.stands_for.revision());
        let time = self.log.storage.clock_micros();
        let origin = Origin { kind: OriginKind::File, ..self.origin.clone() };
        let mut overruled = Vec::new();
        let entry = |now: &Version| {
            // Only if the text that it was compared with is still the one that counts.
            if !now.may_show_the_same(version) {
                return Ok(None);
            }
            let done = reconcile::reconcile(&base, &now.state, &theirs);
            if let Some(like) = like {
                return Ok(Some(Entry::Note(Note::Respelled { text: hash, like })));
            }
            let mut conflicts: Vec<Path> = done.conflicts.into_iter().map(|conflict| conflict.path).collect();
            conflicts.extend(undone.iter().filter(|path| !conflicts.contains(path)).cloned().collect::<Vec<_>>());
            overruled.clone_from(&conflicts);
            let base = Base { text: hash, against, revision, own: done.own, conflicts };
            let origin = origin.clone();
            Ok(Some(Entry::Edit(Transaction { time, origin, key: None, base: Some(base), ops: done.ops })))
        };
        let settled = move |now: &Version| {
            let taken = now.known(&hash).is_some();
            Ok(taken.then_some(Entry::Note(Note::Settled { text: Some(hash) })))
        };
        let mut requests =
            [Request::new(Want::Computed(Box::new(entry))), Request::new(Want::Computed(Box::new(settled)))];
        self.log.append(&mut requests);
        for request in requests {
            request.outcome.expect("every request has an outcome")?;
        }
        self.log.sync_all()?;
        self.conflicts.lock().unwrap_or_else(PoisonError::into_inner).append(&mut overruled);
        Ok(Outcome::Again)
    }

    /// Paths at which a save undoes what a program did: the save counts, and both are told.
    fn undone(&self, base: &State, theirs: &State) -> Result<Vec<Path>, Error> {
        let mut watch = reconcile::PutBack::of(base, theirs);
        let evidence = recovery::from_oldest(compact::gather(self.log)?);
        let mut state = recovery::first_state(&evidence);
        recovery::plan_until(&evidence, Look::Beside, u64::MAX, &mut |frame| {
            if frame.fields.kind == FrameKind::Edit
                && let Ok(transaction) = Transaction::decode(frame.payload)
            {
                let before = state.clone();
                // It fitted when it was replayed a moment ago.
                let _ = state.apply(&transaction.ops);
                watch.record(&before, &state, transaction.origin.kind);
            }
        })?;
        Ok(watch.found())
    }

    /// Put a file where none ever was.
    fn create(&self, version: &Version) -> Result<Outcome, Error> {
        if !version.texts.is_empty() && !self.accept {
            // Perhaps an editor is between removing the old file and naming the new one.
            self.log.storage.sleep(BETWEEN_STEPS);
            let back = self.config.stat()?.is_some();
            return Ok(if back { Outcome::Again } else { Outcome::Behind(Behind::Removed) });
        }
        let new = match self.text_of_new_file(version)? {
            Ok(new) => new,
            Err(reason) => return Ok(Outcome::Behind(Behind::Unpatchable(reason))),
        };
        let side = self.write_beside(Spliced::from(&*new), None)?;
        // If it is gone after a crash, it became the config file.
        let parent = self.config.parent();
        storage::sync_dir(&*self.log.storage, parent).map_err(Error::io("sync", parent))?;
        let note = Note::Showing { old: None, new: side.hash, revision: version.revision(), name: side.name.clone() };
        if !self.announce_side(version, note, &side)? {
            return Ok(Outcome::Again);
        }
        let (from, to) = (self.beside(&side.name), &self.config.path);
        self.foretell(&side);
        match self.log.storage.rename(&from, to, Rename::Keep) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                self.settle_without(side, None)?;
                return Ok(Outcome::Again);
            }
            Err(error) => return Err(Error::io("create", to)(error)),
        }
        self.finish(version, side)
    }

    /// A file that comes back keeps what the last snapshot knows of its comments and layout.
    fn text_of_new_file(&self, version: &Version) -> Result<Result<Vec<u8>, Unpatchable>, Error> {
        let root = version.state.root();
        let shown = if version.texts.is_empty() { None } else { compact::last_shown(self.log)? };
        let patched = shown.and_then(|text| document::patch(&self.config.format, text.as_bytes(), root).ok());
        Ok(patched.map_or_else(|| document::begin(&self.config.format, root), Ok))
    }

    /// The log says that a new text was about to be shown and not that it is: find out, and say so. Otherwise what keeps it
    /// from that. `back`: what came out of the exchange has been put back.
    ///
    /// A file beside the config file whose content is not what its name says came out of an exchange. So it tells which
    /// text a person began with whose save is in the file by now.
    fn settle(&self, version: &Version, back: Option<Restored>) -> Result<Option<Behind>, Error> {
        let Some(Showing { name, how }) = &version.showing else { return Ok(None) };
        if *how == How::Rewrite {
            return self.settle_rewrite(version, name);
        }
        let path = self.beside(name);
        let displaced = match self.log.storage.stat(&path) {
            Ok(found) if found.kind == Kind::File => match self.settle_side(version, &path, name)? {
                None => return Ok(Some(Behind::InUse)),
                displaced => displaced,
            },
            Ok(_) => {
                // A link or the like was in the file's place: it goes back there.
                let ours = self.config.read()?.map(|text| text.bytes).unwrap_or_default();
                if self.put_back(version, &path, &ours, None)?.is_none() {
                    return Ok(Some(Behind::InUse));
                }
                None
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("look at", &path)(error)),
        };
        let parent = self.config.parent();
        storage::sync_dir(&*self.log.storage, parent).map_err(Error::io("sync", parent))?;
        let shown = self.config.read()?.map(|text| hash_text(&self.log.store, &text.bytes));
        let texts = || Displaced::texts(version, name);
        let showed = match (how, &displaced) {
            _ if planted(Bug::DisplacedIgnored) => None,
            // It was there before the log said so: now it is the config file, or was before somebody saved another.
            (How::Create, None) => texts().new,
            (How::Exchange, displaced) => match back.or(displaced.as_ref().and_then(|displaced| displaced.back)) {
                None => displaced.as_ref().and_then(|displaced| displaced.showed),
                // Whoever saved that had the older text. Another save may be of one who saw the newer one meanwhile.
                Some(Restored { only }) => texts().old.filter(|_| only.is_some() && only == shown),
            },
            _ => None,
        };
        // Where the newer text has been shown, the older one is there only if somebody put it there.
        let known = || shown.filter(|hash| version.known(hash).is_some());
        self.note(Note::Settled { text: showed.or_else(known) })?;
        // What it tells is in the log now.
        displaced.map_or(Ok(()), |displaced| self.remove_side(version, &path, &displaced))?;
        Ok(None)
    }

    /// Whether anything of ours lies beside the config file, anything that `other` knows by its name, or a text that is
    /// needed no more in the journal.
    pub(crate) fn has_leftovers(&self, other: impl Fn(&str) -> bool) -> Result<bool, Error> {
        let parent = self.config.parent();
        let prefix = self.config.side_prefix();
        let names = self.log.storage.list(parent).map_err(Error::io("list", parent))?;
        let is_ours = |name: &str| side_name(name, &prefix).is_some() || other(name);
        Ok(!self.kept_texts()?.is_empty() || names.iter().any(|name| name.to_str().is_some_and(is_ours)))
    }

    /// Remove files of ours that a crash left beside the config file. One whose content is not what its name says came out
    /// of an exchange and may be someone's save: it is kept in quarantine.
    pub(crate) fn sweep(&self, _guard: &MaintenanceGuard<'_>) -> Result<(), Error> {
        let storage = &*self.log.storage;
        let parent = self.config.parent();
        // What is about to be shown by the last word of one who was killed must not go: that word may become durable yet.
        let version = self.log.read_all()?;
        if self.settle(&version, None)?.is_none() {
            self.sweep_texts()?;
        }
        let prefix = self.config.side_prefix();
        for name in storage.list(parent).map_err(Error::io("list", parent))? {
            let Some((hash, _)) = name.to_str().and_then(|name| side_name(name, &prefix)) else { continue };
            let path = parent.join(&name);
            let stat = storage.stat(&path).map_err(Error::io("look at", &path))?;
            if stat.kind != Kind::File || stat.links != 1 {
                continue;
            }
            let file = storage.open(&path, Open::Read).map_err(Error::io("open", &path))?;
            let bytes = storage::read_all(&*file).map_err(Error::io("read", &path))?;
            let found = hash_text(&self.log.store, &bytes);
            if hex(&found) != hash && version.known(&found).is_none() {
                self.keep_save(&bytes)?;
            }
            self.remove_unless_open(&path, file, &bytes)?;
        }
        Ok(())
    }

    fn append_note(&self, note: Note) -> Result<(), Error> {
        self.append(|_| Some(Entry::Note(note.clone())))
    }

    fn append(&self, entry: impl Fn(&Version) -> Option<Entry> + Send) -> Result<(), Error> {
        let entry = move |now: &Version| Ok(entry(now));
        let mut request = [Request::new(Want::Computed(Box::new(entry)))];
        self.log.append(&mut request);
        let [request] = request;
        request.outcome.expect("every request has an outcome").map(drop)
    }

    fn note(&self, note: Note) -> Result<(), Error> {
        self.append_note(note)?;
        self.log.sync_all()
    }

    /// Note what the file shows of a version, and see the note durable, with every edit of that version. The newest durable
    /// version lacks the note if it was lost with a segment that failed, or if an edit may have been: then it is not made.
    fn note_of(&self, version: &Version, note: Note) -> Result<Arc<Version>, Error> {
        // A segment is left for another only where it failed, or under the lock that we hold. What somebody took over who was
        // killed then need not have been durable before.
        let goes_on =
            |now: &Version| now.segment == version.segment && now.showing.is_none() && now.may_show_the_same(version);
        self.append(|now| goes_on(now).then(|| Entry::Note(note.clone())))?;
        self.log.sync_all()?;
        self.log.published()
    }

    /// Note what is about to happen to the file, and see the note durable, with every edit before it. `false`: the note was
    /// lost with a segment that failed, and perhaps edits were that the new text shows.
    fn announce(&self, version: &Version, note: Note, name: &str) -> Result<bool, Error> {
        if planted(Bug::ShownEarly) {
            return self.append_note(note).map(|()| true);
        }
        Ok(self.note_of(version, note)?.showing.as_ref().is_some_and(|showing| *showing.name == *name))
    }
}

/// Whether there is nothing in a file. In some formats that is a config too; more likely someone is about to write it.
pub(crate) fn is_blank(text: &[u8]) -> bool {
    text.trim_ascii().is_empty()
}

/// A hand edit as it is if it began with each of these, with what the format cannot tell taken from that one.
fn in_terms_of(format: &Format, theirs: &State, bases: &[State]) -> Vec<State> {
    let in_terms_of = |base: &State| State::new(document::in_terms_of(format, theirs.root().clone(), base.root()));
    bases.iter().map(in_terms_of).collect()
}

/// Whether a hand edit drops most of the config, whichever text it began with.
fn is_lost(bases: &[State], theirs: &[State], is_blank: bool) -> bool {
    let is_lost =
        |(base, theirs): (&State, &State)| reconcile::drops_most(base, theirs) || (is_blank && base != theirs);
    bases.iter().zip(theirs).all(is_lost)
}

/// The state as it will be once a hand edit has been taken over; `None`: it drops most of the config, and is held back
/// until someone says that it is meant. `at` gives the states of older revisions.
pub(crate) fn with_hand_edit(
    format: &Format,
    version: &Version,
    theirs: &State,
    is_blank: bool,
    mut at: impl FnMut(u64) -> Result<State, Error>,
) -> Result<Option<State>, Error> {
    let mut bases = Vec::new();
    for known in version.texts.iter() {
        bases.push(known.stands_for.state(&mut at)?);
    }
    let was_shown = !bases.is_empty();
    if !was_shown {
        bases.push(State::new(Value::object()));
    }
    let theirs = in_terms_of(format, theirs, &bases);
    if was_shown && is_lost(&bases, &theirs, is_blank) {
        return Ok(None);
    }
    let (at, theirs) = reconcile::began_with(&bases, &theirs);
    Ok(Some(State::merge3(&bases[at], &version.state, &theirs).0))
}
