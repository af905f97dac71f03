//! [`Progress`]: a sign of life for work that takes longer than a moment.

use std::io::Write;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::escape::{Spelling, escape};
use crate::terminal::Terminal;

/// Work within this time needs no sign.
const PATIENCE: Duration = Duration::from_secs(1);
const REFRESH: Duration = Duration::from_millis(500);

/// Says on a terminal what takes so long and since when, until it is dropped.
#[must_use = "it ends when dropped"]
pub struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    pub fn start(out: &Terminal, what: String) -> Progress {
        if !out.shows_progress() {
            return Progress(None);
        }
        let (stop, stopped) = mpsc::channel();
        let begun = Instant::now();
        let show = move || {
            let mut wait = PATIENCE;
            let mut shown = false;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let line = escape(&what, Spelling::Line).into_owned();
                // A terminal that went away needs no sign of life.
                let _ = write!(std::io::stderr(), "\r\x1b[K{line}: {} s", begun.elapsed().as_secs());
                (wait, shown) = (REFRESH, true);
            }
            if shown {
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            }
        };
        // Where no thread can be had, the work itself is what matters.
        Progress(thread::Builder::new().spawn(show).ok().map(|thread| (stop, thread)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            // What follows is printed only after the line is cleared.
            let _ = thread.join();
        }
    }
}
