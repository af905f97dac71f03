//! The engine on a disk that is weaker than any real one: every state that a crash may leave, every call that may
//! fail, every bit that may flip.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod after_crash;
mod beginnings;
mod by_hand;
mod chance;
mod crash_states;
mod damage;
#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "../support/dice.rs"]
mod dice;
mod displaced;
mod editors;
mod failing_calls;
mod given_up;
mod half_way;
mod ledger;
mod long_lives;
mod looks;
mod meanwhile;
mod moved_away;
mod planted;
mod rewriting;
mod rules;
mod scenes;
mod schedules;
mod second_crash;
mod small_disks;
mod together;
mod torn_records;
mod twice;
mod two_processes;
