//! The `cfgwal` command.
fn main() {}
