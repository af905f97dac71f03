//! Linearizability: whatever several processes were told, while they were killed, suspended and left without room, fits
//! one order of their calls that agrees with the clock, and is the order of the log.
//!
//! `CFGWAL_LONG=1` records 20,000 histories. A history that fails prints a seed; with that in `CFGWAL_TEST_SEED` it is the
//! first to be recorded again, with the same calls, though not with the same timing.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod checker;
mod clients;
mod made_by_hand;
mod recorded;
