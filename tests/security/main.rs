//! What somebody who may write beside the config file, or into it, can make the command do: nothing worse than refuse.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod forked;
mod hostile;
mod leaks;
mod modes;
mod swapped;
