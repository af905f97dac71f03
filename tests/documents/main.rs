//! Config files as people write them: an edit changes the bytes of what it edits and no others.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "csv")]
mod csv;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "toml")]
mod toml;
#[cfg(feature = "yaml")]
mod yaml;
