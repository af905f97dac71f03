//! Journals of every format version that was ever released, as they were written then, and journals of versions to come.
//!
//! The stores lie here as text: modes, names and bytes, without the zeros. They are made once, by
//! `cargo test --test golden -- --ignored make_the_stores`, and stay for ever: a change of the code must not change them.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod stores;
mod to_come;
mod version_1;
