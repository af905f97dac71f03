//! The promises, as real processes of the real command meet them: many at once, killed at any moment, on disks that
//! are full, with files that a person wrote.
//!
//! `CFGWAL_LONG=1` makes the loops as long as a night allows; `CFGWAL_TEST_SEED` replays what was drawn.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod each_call;
mod failing_calls;
mod fidelity;
mod in_place;
mod kill;
mod kill_often;
mod limits;
mod many;
mod no_room;
mod not_allowed;
mod shared_csv;
mod whole_file;
