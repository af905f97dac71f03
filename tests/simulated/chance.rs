//! What the random tests of several processes have in common: what may go wrong there, and with what it is told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cfgwal::sim::{Call, Disk, DiskImage, Limits, Order, Process};
use cfgwal::{Error, Journal, Materialise, Options};

use crate::dice::Dice;

/// Calls that may fail. Giving back what one holds never does.
pub(crate) const FAILING: &[Call] = &[
    Call::Open,
    Call::CreateDir,
    Call::List,
    Call::Stat,
    Call::Rename,
    Call::Remove,
    Call::Random,
    Call::Read,
    Call::Write,
    Call::SetLen,
    Call::Sync,
    Call::SyncDir,
    Call::FileStat,
    Call::TryLock,
    Call::Link,
    Call::BootId,
    Call::Map,
];

pub(crate) fn options(process: &Process, timeout: Duration) -> Options {
    Journal::options().materialise(Materialise::Manual).lock_timeout(timeout).seat(process.seat()).alone()
}

/// What a power cut now leaves, by chance.
pub(crate) fn cut(disk: &Disk, seed: u64) -> DiskImage {
    let mut draw = Dice::seeded(seed);
    let order = if draw.below(2) == 0 { Order::Any } else { Order::Prefix };
    let limits = Limits { chunk: draw.of(&[16, 64, 512, 4096]), order, ..Limits::default() };
    match draw.below(8) {
        0 => disk.durable_image(),
        1 => disk.image(),
        _ => disk.random_images(&limits, seed).next().expect("without end"),
    }
}

/// What an error is at its bottom, whatever became of the edit.
pub(crate) fn cause(error: &Error) -> &Error {
    match error {
        Error::NotApplied(deeper) | Error::OutcomeUnknown(deeper) => cause(deeper),
        error => error,
    }
}

/// Where one has failed the others still come to their ends.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
