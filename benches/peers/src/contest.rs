//! Contestants in turns, the limit first: a disk that slows down slows down all of them, and what counts is the ratio to the
//! limit in the same round.

use std::sync::OnceLock;
use std::time::Instant;

use crate::Outcome;

/// So many things done in so many seconds.
#[derive(Clone, Copy, Default)]
pub struct Turn {
    pub done: f64,
    pub seconds: f64,
}

impl Turn {
    /// One thing that is measured as a whole.
    pub fn one(work: impl FnOnce() -> Outcome) -> Outcome<Turn> {
        let began = Instant::now();
        work()?;
        Ok(Turn { done: 1.0, seconds: began.elapsed().as_secs_f64() })
    }
}

/// One who takes turns.
pub struct Contestant<'a> {
    name: String,
    turn: Box<dyn FnMut() -> Outcome<Turn> + 'a>,
}

impl<'a> Contestant<'a> {
    pub fn new(name: impl Into<String>, turn: impl FnMut() -> Outcome<Turn> + 'a) -> Contestant<'a> {
        Contestant { name: name.into(), turn: Box::new(turn) }
    }
}

/// What is better.
#[derive(Clone, Copy, PartialEq)]
pub enum Measure {
    /// More in a second: the ratio is the rate by the limit's.
    Rate,
    /// Less time for each: the ratio is the time by the limit's.
    Time,
}

/// How somebody did.
#[derive(Clone)]
pub struct Standing {
    pub name: String,
    /// Seconds for each thing: the median of the rounds.
    pub cost: f64,
    /// The median of the rounds' ratios.
    pub ratio: f64,
    /// The least and the most of them.
    pub spread: (f64, f64),
}

/// What a workload came to.
pub struct Race {
    pub workload: String,
    pub measure: Measure,
    /// What cfgwal is held to, in words.
    pub target: &'static str,
    pub standings: Vec<Standing>,
    pub notes: Vec<String>,
}

impl Race {
    pub fn of(&self, name: &str) -> Option<&Standing> {
        self.standings.iter().find(|standing| standing.name == name)
    }

    pub fn note(mut self, note: String) -> Race {
        self.notes.push(note);
        self
    }
}

/// Who runs beside the limit, if not all: for a profiler.
pub static ONLY: OnceLock<String> = OnceLock::new();

pub struct Rules {
    pub rounds: usize,
    /// Turns of each in a round.
    pub turns: usize,
}

/// Let them run. A first turn of each is not counted.
pub fn race(
    workload: impl Into<String>,
    measure: Measure,
    target: &'static str,
    rules: &Rules,
    mut contestants: Vec<Contestant<'_>>,
) -> Outcome<Race> {
    let workload = workload.into();
    if let Some(only) = ONLY.get() {
        let limit = contestants[0].name.clone();
        contestants.retain(|one| one.name == limit || one.name.starts_with(only.as_str()));
    }
    eprintln!("{workload}: {}", contestants.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", "));
    let failed = |name: &str, error| format!("{workload}, {name}: {error}");
    for one in &mut contestants {
        (one.turn)().map_err(|error| failed(&one.name, error))?;
    }
    let mut rounds = vec![Vec::new(); contestants.len()];
    for _ in 0..rules.rounds {
        let mut spent = vec![Turn::default(); contestants.len()];
        for turn in 0..rules.turns {
            for place in 0..contestants.len() {
                // Not always after the same one.
                let who = (place + turn) % contestants.len();
                let turn = (contestants[who].turn)().map_err(|error| failed(&contestants[who].name, error))?;
                spent[who].done += turn.done;
                spent[who].seconds += turn.seconds;
            }
        }
        for (costs, spent) in rounds.iter_mut().zip(spent) {
            costs.push(spent.seconds / spent.done);
        }
    }
    let limit = rounds[0].clone();
    let standings = contestants.iter().zip(rounds).map(|(one, costs)| {
        let ratio = |(cost, limit): (&f64, &f64)| match measure {
            Measure::Rate => limit / cost,
            Measure::Time => cost / limit,
        };
        let mut ratios: Vec<f64> = costs.iter().zip(&limit).map(ratio).collect();
        let ratio = median(&mut ratios);
        let spread = (ratios[0], ratios[ratios.len() - 1]);
        Standing { name: one.name.clone(), cost: median(&mut costs.clone()), ratio, spread }
    });
    Ok(Race { standings: standings.collect(), workload, measure, target, notes: Vec::new() })
}

pub fn median(of: &mut [f64]) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}
