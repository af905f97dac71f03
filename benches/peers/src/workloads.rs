//! W1 to W12: what is done, and by whom.

use crate::Outcome;
use crate::contest::{Race, Rules};

pub mod command;
mod edits;
mod growth;
mod latency;
mod opening;
pub mod processes;
mod reading;
mod recovery;
mod rendering;

pub use recovery::{fill as fill_for_recovery, recover as recover_one};

/// A workload's name, what it is, and how it is run.
pub struct Workload {
    pub name: &'static str,
    pub what: &'static str,
    pub run: fn(usize) -> Outcome<Vec<Race>>,
}

pub const ALL: [Workload; 12] = [
    Workload { name: "W1", what: "one thread, one edit at a time", run: edits::one_thread },
    Workload { name: "W2", what: "4, 16 and 64 threads", run: edits::many_threads },
    Workload { name: "W3", what: "2, 4 and 8 processes on one store", run: processes::run },
    Workload { name: "W4", what: "transactions of 1,000 edits", run: edits::transactions },
    Workload { name: "W5", what: "one thread, all edits in flight", run: edits::pipelined },
    Workload { name: "W6", what: "recovery of a million records", run: recovery::run },
    Workload { name: "W7", what: "get by path, 1 and 2 threads", run: reading::run },
    Workload { name: "W8", what: "open a clean store and get one value", run: opening::run },
    Workload { name: "W9", what: "write the config as JSON", run: rendering::run },
    Workload { name: "W10", what: "an edit as the config grows", run: growth::run },
    Workload { name: "W11", what: "an edit while a large config is compacted", run: latency::run },
    Workload { name: "W12", what: "`cfgwal set` as a process", run: command::run },
];

fn rules(rounds: usize, turns: usize) -> Rules {
    Rules { rounds, turns }
}
