//! Config files as people write them: an edit changes the bytes of what it edits and no others.
#![allow(clippy::unwrap_used)]

#[cfg(any(feature = "yaml", all(any(feature = "csv", feature = "toml"), feature = "json")))]
mod alike;
#[cfg(any(feature = "yaml", all(feature = "toml", feature = "json")))]
mod changes;
// Some of these say in JSON what they want.
#[cfg(all(feature = "csv", feature = "json"))]
mod csv;
#[cfg(feature = "json")]
mod json;
#[cfg(all(feature = "toml", feature = "json"))]
mod toml;
#[cfg(feature = "yaml")]
mod yaml;
