//! Everything that the log says up to one place in it: the state, and what must be remembered beside it.
//!
//! Pure: a version is made from a snapshot and changes by the frames that follow. Copies share all but what differs.

use std::sync::Arc;

use crate::frame::{Fault, Frame, FrameKind};
use crate::note::{Note, TextHash, hex};
use crate::op::codec::PlainSet;
use crate::op::{Op, Refusal, Transaction};
use crate::segment::Cursor;
use crate::state::{Applied, State};
use crate::value::{OrderedMap, Value};

mod run;
pub(crate) use run::Run;

/// How many idempotency keys are remembered: the newest.
pub(crate) const KEYS_MAX: usize = 10_000;
/// How many texts may stand in the file at once before the oldest is taken for gone. Two are normal after a crash.
pub(crate) const TEXTS_MAX: usize = 16;

/// What the first use of an idempotency key did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remembered {
    pub revision: u64,
    pub results: Arc<[Option<Value>]>,
}

/// A text that the config file may show, and what it stands for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KnownText {
    pub hash: TextHash,
    pub stands_for: StandsFor,
}

impl KnownText {
    /// Whether this is the text for which a file beside the config file got its name.
    pub(crate) fn is_named_by(&self, name: &str) -> bool {
        name.contains(&hex(&self.hash))
    }
}

/// The state that a text of the config file parses to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum StandsFor {
    /// The state at a revision of the log.
    Revision(u64),
    /// A state that a snapshot carried, at the revision it carried it for.
    Snapshot(u64, State),
    /// What a person made of an older text while the config went on: no revision of the log.
    Save(Arc<Save>),
}

/// A save that was made on top of a text which lagged behind the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Save {
    on: StandsFor,
    ops: Vec<Op>,
}

impl StandsFor {
    /// The newest revision whose edits it shows.
    pub(crate) fn revision(&self) -> u64 {
        match self {
            StandsFor::Revision(revision) | StandsFor::Snapshot(revision, _) => *revision,
            StandsFor::Save(save) => save.on.revision(),
        }
    }

    /// The state; `at` gives those of the log.
    pub(crate) fn state<E>(&self, at: &mut impl FnMut(u64) -> Result<State, E>) -> Result<State, E> {
        match self {
            StandsFor::Revision(revision) => at(*revision),
            StandsFor::Snapshot(_, state) => Ok(state.clone()),
            StandsFor::Save(save) => {
                let mut state = save.on.state(at)?;
                // They were made as a difference to just this state.
                if state.apply(&save.ops).is_err() {
                    tracing::error!("a save in the log does not fit the text that it names");
                }
                Ok(state)
            }
        }
    }
}

/// A place in the log and all that holds there.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// The segment that the cursor is in.
    pub segment: u64,
    pub cursor: Cursor,
    pub state: State,
    /// By idempotency key, oldest first.
    pub keys: OrderedMap<Remembered>,
    /// What the config file may show; empty: no file was ever shown.
    pub texts: Arc<[KnownText]>,
    /// The exchange under way, if the log says that one began and not that it ended.
    pub showing: Option<Showing>,
}

/// An exchange of which nobody knows yet how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Showing {
    /// The file beside the config file, or the name of the texts that are kept in the journal.
    pub name: Arc<str>,
    pub how: How,
}

/// How a new text gets into the config file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Another file changes places with it.
    Exchange,
    /// There was none before.
    Create,
    /// It is written over, byte by byte.
    Rewrite,
}

impl Version {
    pub(crate) fn revision(&self) -> u64 {
        self.cursor.revision
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.cursor.sequence
    }

    /// The text with this hash, if the file may show it.
    pub(crate) fn known(&self, hash: &TextHash) -> Option<&KnownText> {
        self.texts.iter().rev().find(|text| text.hash == *hash)
    }

    /// Whether the file may show the same texts here as there.
    pub(crate) fn may_show_the_same(&self, other: &Version) -> bool {
        self.texts.iter().map(|text| text.hash).eq(other.texts.iter().map(|text| text.hash))
    }

    /// Go on by one frame. A frame that checks and cannot be understood or does not fit is [`Fault::Content`].
    pub(crate) fn advance(&mut self, frame: &Frame<'_>, behind: Cursor) -> Result<(), Fault> {
        match frame.fields.kind {
            FrameKind::Edit => {
                let Some(Ok(_)) = self.edit_recorded(frame.payload) else { return Err(Fault::Content) };
            }
            FrameKind::Note => self.note(Note::decode(frame.payload)?),
        }
        self.cursor = behind;
        Ok(())
    }

    /// Do what most records do, set one value and leave all others as they are, without building the record. Tells whether
    /// that changed anything; `None`: nothing was done, since it is not done in one step.
    fn settle(&mut self, set: &PlainSet<'_>) -> Option<bool> {
        let (keys, depth) = set.keys()?;
        self.state.settle(&keys[..depth], set.value())
    }

    /// Apply the payload of a record that becomes the next revision, and tell whether it changes anything; nothing changes if
    /// it is refused. `None`: it cannot be read.
    pub(crate) fn edit_recorded(&mut self, payload: &[u8]) -> Option<Result<bool, Refusal>> {
        if let Some(changed) = PlainSet::read(payload, &[]).and_then(|set| self.settle(&set)) {
            return Some(Ok(changed));
        }
        let transaction = Transaction::decode_unsigned(payload).ok()?;
        Some(self.edit(&transaction).map(|applied| applied.changed))
    }

    /// Apply a transaction that becomes the next revision; nothing changes if it is refused.
    pub(crate) fn edit(&mut self, transaction: &Transaction) -> Result<Applied, Refusal> {
        let applied = self.state.apply(&transaction.ops)?;
        let revision = self.cursor.revision + 1;
        if let Some(key) = &transaction.key {
            let results = applied.results.clone().into();
            self.keys.insert(key.as_str(), Remembered { revision, results });
            while self.keys.len() > KEYS_MAX {
                self.keys.pop_front();
            }
        }
        if let Some(base) = &transaction.base {
            let on = match self.known(&base.against) {
                Some(text) => text.stands_for.clone(),
                // An edit of nothing.
                None if self.texts.is_empty() => StandsFor::Snapshot(base.revision, State::new(Value::object())),
                None => StandsFor::Revision(base.revision),
            };
            let stands_for = match &base.own {
                own if own.is_empty() => StandsFor::Revision(revision),
                own => StandsFor::Save(Arc::new(Save { on, ops: own.clone() })),
            };
            // It was in the file, and on the disk, before this was written: older ones are there no more.
            self.texts = Arc::new([KnownText { hash: base.text, stands_for }]);
        }
        Ok(applied)
    }

    /// Remember what a note says.
    pub(crate) fn note(&mut self, note: Note) {
        match note {
            Note::Showing { old, new, revision, name } => {
                self.may_show(KnownText { hash: new, stands_for: StandsFor::Revision(revision) });
                let how = if old.is_none() { How::Create } else { How::Exchange };
                self.showing = Some(Showing { name: name.into(), how });
            }
            Note::Rewriting { new, revision, name, .. } => {
                self.may_show(KnownText { hash: new, stands_for: StandsFor::Revision(revision) });
                self.showing = Some(Showing { name: name.into(), how: How::Rewrite });
            }
            Note::Shown { text, revision } => {
                let stands_for = match self.known(&text) {
                    Some(known) if known.stands_for.revision() == revision => known.stands_for.clone(),
                    _ => StandsFor::Revision(revision),
                };
                self.texts = Arc::new([KnownText { hash: text, stands_for }]);
                self.showing = None;
            }
            Note::Respelled { text, like } => {
                if let Some(like) = self.known(&like) {
                    let stands_for = like.stands_for.clone();
                    self.texts = Arc::new([KnownText { hash: text, stands_for }]);
                }
            }
            Note::Settled { text } => {
                let created = self.showing.take().filter(|showing| showing.how == How::Create);
                match (text.and_then(|hash| self.known(&hash).cloned()), created) {
                    (Some(known), _) => self.texts = Arc::new([known]),
                    // It never came to be. What was there before it may come back.
                    (None, Some(Showing { name, .. })) => {
                        self.texts = self.texts.iter().filter(|text| !text.is_named_by(&name)).cloned().collect();
                    }
                    (None, None) => {}
                }
            }
        }
    }

    /// Remember what a frame that lies further ahead says of the config file, and nothing else. `false`: that cannot be told
    /// without the edits before it.
    pub(crate) fn note_ahead(&mut self, frame: &Frame<'_>) -> bool {
        if frame.fields.kind == FrameKind::Edit {
            // One by hand says which text it was made in.
            return Transaction::decode_unsigned(frame.payload).is_ok_and(|edit| edit.base.is_none());
        }
        let Ok(note) = Note::decode(frame.payload) else { return false };
        if let Note::Showing { revision, .. } | Note::Rewriting { revision, .. } | Note::Shown { revision, .. } = &note
            && *revision > self.revision()
        {
            return false;
        }
        self.note(note);
        true
    }

    fn may_show(&mut self, text: KnownText) {
        let kept = self.texts.iter().filter(|known| known.hash != text.hash);
        let skip = (kept.clone().count() + 1).saturating_sub(TEXTS_MAX);
        self.texts = kept.skip(skip).cloned().chain([text.clone()]).collect();
    }
}
