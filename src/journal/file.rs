//! The config file of an open journal: looked at before an edit, brought up to date after it.

use super::*;
use crate::planted::{Bug, planted};
use crate::version::Version;

impl Inner {
    /// The columns of the file as it is now; `None` where it has none, or cannot be read just now.
    pub(super) fn columns(&self) -> Option<Columns> {
        if !document::has_columns(&self.config.format) {
            return None;
        }
        let now = self.config.stat().ok()??;
        let mut known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(read, _)| *read != now) {
            let text = self.config.read().ok()??;
            *known = document::columns(&self.config.format, &text.bytes).map(|columns| (text.stat, columns));
        }
        known.as_ref().map(|(_, columns)| columns.clone())
    }

    /// One cheap look at the config file: a hand edit is noticed before it is appended to.
    pub(super) fn look_for_hand_edit(&self) {
        if planted(Bug::HandEditOvertaken) {
            return;
        }
        // In this order: it ends with what is remembered as shown.
        let coming = *self.coming.lock().unwrap_or_else(PoisonError::into_inner);
        let last = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.config.stat().ok().flatten();
        let is_coming = now.zip(coming).is_some_and(|(now, coming)| now.is_renamed(&coming));
        if is_coming || last.map(|last| last.stat) == now {
            return;
        }
        let looked = self.log.noted().and_then(|version| {
            // Who is about to show a text has looked for hand edits, and may stand still now: an edit does not wait for that.
            let looked = self.materialiser(false).look_at(&version, self.config.read_at_once()?)?;
            Ok((looked, version.showing.is_some()))
        });
        match looked {
            // An older hand edit must not beat a newer command: it comes first.
            Ok(((FileStatus::Behind { why: Behind::EditedByHand, .. }, _), _)) => {
                if let Err(error) = self.materialise(false) {
                    tracing::warn!(%error, "a hand edit of the config file could not be taken over yet");
                }
            }
            Ok(((status, shown), is_exchanging)) => {
                self.remember(&status, shown);
                if is_exchanging {
                    self.settle_for_the_dead();
                }
            }
            Err(error) => tracing::debug!(%error, "the config file cannot be looked at"),
        }
    }

    /// An exchange began that has not ended. If whoever began it is at it no more, a hand edit may lie beside the file, or
    /// be one that went back to the text before.
    fn settle_for_the_dead(&self) {
        let Ok(guard) = self.log.maintenance_now() else { return };
        match self.materialiser(false).run(&guard) {
            Ok((status, shown)) => self.remember(&status, shown),
            Err(error) => tracing::warn!(%error, "how an exchange ended cannot be found out yet"),
        }
    }

    /// Whether the file is as it was when it showed an older revision.
    pub(super) fn lags(&self, version: &Version) -> bool {
        let last = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| {
            last.revision < version.revision() && self.config.stat().ok().flatten() == Some(last.stat)
        })
    }

    pub(super) fn remember(&self, status: &FileStatus, shown: Option<Shown>) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        *self.coming.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.held_back.lock().unwrap_or_else(PoisonError::into_inner) = match status {
            FileStatus::Behind { why, .. } if *why != Behind::Pending => Some(why.clone()),
            _ => None,
        };
    }

    pub(super) fn materialiser(&self, accept: bool) -> Materialiser<'_> {
        let Inner { log, config, origin, conflicts, coming, .. } = self;
        Materialiser { log, config, origin, accept, conflicts, coming }
    }

    pub(super) fn materialise(&self, accept: bool) -> Result<FileStatus, Error> {
        let materialiser = self.materialiser(accept);
        let version = self.log.noted()?;
        let run = || materialiser.run(&self.log.maintenance()?);
        let done = if self.lags(&version) {
            // Read once, by the run.
            run()
        } else {
            materialiser.look(&version).and_then(|looked| match looked.0 {
                FileStatus::Current { .. } => Ok(looked),
                FileStatus::Behind { .. } => run(),
            })
        };
        let (status, shown) = match done {
            Ok(done) => done,
            // The edits are safe; only the file lags.
            Err(error @ (Error::Io { .. } | Error::Locked { .. } | Error::NotApplied(_) | Error::Forbidden { .. })) => {
                let revision = self.log.published()?.revision();
                (FileStatus::Behind { shows: None, revision, why: Behind::Failed(error.to_string()) }, None)
            }
            Err(error) => return Err(error),
        };
        self.remember(&status, shown);
        Ok(status)
    }

    /// Bring the file up to what was just appended, before that is durable, unless anything is in the way: then there is
    /// no hurry.
    pub(super) fn show_ahead(&self) {
        let guard = self.log.maintenance_now();
        match guard.and_then(|guard| self.materialiser(false).run_ahead(&guard)) {
            Ok(None) => {}
            Ok(Some((status, shown))) => {
                self.remember(&status, Some(shown));
                self.remember_closed(&status);
            }
            Err(error) => tracing::debug!(%error, "the file is written once the edit is durable"),
        }
    }

    pub(super) fn remember_closed(&self, status: &FileStatus) {
        if let FileStatus::Current { revision } = status {
            *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = Some(*revision);
        }
    }

    /// The revision that the file was brought up to for closing, if this process knows of none that is newer.
    pub(super) fn closed_at(&self) -> Option<u64> {
        let closed = *self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.filter(|revision| *revision >= self.log.newest())
    }

    /// Remove what crashes left beside the config file, journals that never got their name among it.
    pub(super) fn sweep(&self, accept: bool) -> Result<(), Error> {
        let guard = self.log.maintenance()?;
        self.materialiser(accept).sweep(&guard)?;
        birth::sweep(&*self.log.storage, &self.log.dir, self.config.parent());
        Ok(())
    }
}
