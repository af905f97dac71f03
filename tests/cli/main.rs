//! The command as its users meet it: every verb, every exit code, run as real processes on real files.
#![allow(clippy::print_stdout, reason = "a test that lacks something says so")]

#[path = "../support/mod.rs"]
mod support;

mod batch;
mod edits;
mod exit_codes;
mod formats;
mod reading;
mod safety;
mod toml_and_csv;
mod usage;
mod yaml;
