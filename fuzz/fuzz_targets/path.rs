//! See `bodies::path`.
#![no_main]

#[allow(dead_code, reason = "each target uses its own body")]
#[path = "../bodies/mod.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::path(data));
