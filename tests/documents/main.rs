//! Config files as people write them: an edit changes the bytes of what it edits and no others.
#![allow(clippy::unwrap_used)]

// Some of these say in JSON what they want.
#[cfg(all(feature = "csv", feature = "json"))]
mod csv;
#[cfg(feature = "json")]
mod json;
#[cfg(all(feature = "toml", feature = "json"))]
mod toml;
#[cfg(feature = "yaml")]
mod yaml;
