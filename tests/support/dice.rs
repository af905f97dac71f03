//! Random numbers that can be had again.

#![allow(clippy::print_stdout, reason = "the harness shows it when a test fails")]

use std::time::{Duration, SystemTime};

/// SplitMix64. Its seed is printed, so that a test that fails says how to replay what it drew.
pub struct Dice(u64);

impl Dice {
    /// Seeded by `CFGWAL_TEST_SEED`, else by the clock.
    pub fn new() -> Dice {
        let given = std::env::var("CFGWAL_TEST_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_nanos() as u64);
        let seed = given.unwrap_or_else(clock);
        println!("replay with CFGWAL_TEST_SEED={seed}");
        Dice(seed)
    }

    pub fn seeded(seed: u64) -> Dice {
        Dice(seed)
    }

    /// What has to be given to have the same again from here.
    pub fn seed(&self) -> u64 {
        self.0
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to one less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    pub fn delay(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(longest.as_micros() as u64))
    }

    /// Another sequence, for another thread.
    pub fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}
