//! How long an edit may take while a large config is compacted: W11.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::contest::{Measure, Race, Standing, median};
use crate::edits::{self, Pool};
use crate::stores::{Handle, open_journal};
use crate::{Outcome, disk};

/// The config file has about 60 MB.
const KEYS: usize = 600_000;
const ALONE: Duration = Duration::from_secs(3);

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    let dir = disk::fresh("w11")?;
    let journal = open_journal(&dir)?;
    edits::all(KEYS).chunks(100_000).try_for_each(|some| (&journal).edit_all(some))?;
    journal.compact()?;
    let (mut pool, mut rare, mut rare_beside, mut worst, mut ratios) =
        (Pool::new(0, 1000), vec![], vec![], 0.0_f64, vec![]);
    let (mut worst_alone, mut edits) = (0.0_f64, usize::MAX);
    for round in 0..=rounds {
        eprintln!("W11: round {round}");
        let over = AtomicBool::new(false);
        let alone = std::thread::scope(|scope| {
            let appender = scope.spawn(|| edit_until(&over, &journal, &mut pool));
            std::thread::sleep(ALONE);
            over.store(true, Ordering::Relaxed);
            appender.join()
        });
        let mut alone = alone.map_err(|_| "a thread panicked")??;
        let over = AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            let appender = scope.spawn(|| edit_until(&over, &journal, &mut pool));
            let compacted = journal.compact();
            over.store(true, Ordering::Relaxed);
            let beside = appender.join();
            compacted.map(|_| beside)
        });
        let mut beside = beside?.map_err(|_| "a thread panicked")??;
        // The first compaction has more to do than the others.
        if round == 0 {
            continue;
        }
        let (of_alone, of_beside) = (of_thousand(&mut alone), of_thousand(&mut beside));
        rare.push(of_alone);
        rare_beside.push(of_beside);
        ratios.push(of_beside / of_alone);
        edits = edits.min(beside.len());
        worst = worst.max(beside[beside.len() - 1]);
        worst_alone = worst_alone.max(alone[alone.len() - 1]);
    }
    let ratio = median(&mut ratios);
    let spread = (ratios[0], ratios[ratios.len() - 1]);
    let standings = vec![
        Standing { name: "limit".into(), cost: median(&mut rare), ratio: 1.0, spread: (1.0, 1.0) },
        Standing { name: "cfgwal".into(), cost: median(&mut rare_beside), ratio, spread },
    ];
    let note = format!(
        "the 999th of 1,000 edits; the limit is cfgwal when nobody compacts; 60 MB; worst {:.1} ms, when nobody compacts {:.1} ms; \
         {edits} edits or more in each compaction",
        worst * 1e3,
        worst_alone * 1e3
    );
    let (workload, target) = ("W11 p99.9 beside compaction".to_owned(), "<= 2, worst <= 10 ms");
    Ok(vec![Race { workload, measure: Measure::Time, target, standings, notes: vec![note] }])
}

/// Seconds that each edit took.
fn edit_until(over: &AtomicBool, mut journal: &cfgwal::Journal, pool: &mut Pool) -> Result<Vec<f64>, String> {
    let mut spent = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        journal.edit(pool.next()).map_err(|error| error.to_string())?;
        spent.push(began.elapsed().as_secs_f64());
    }
    Ok(spent)
}

fn of_thousand(spent: &mut [f64]) -> f64 {
    spent.sort_by(f64::total_cmp);
    spent[(spent.len() * 999 / 1000).min(spent.len() - 1)]
}
