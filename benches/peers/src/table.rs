//! Results as text: each race as it ends, and all of them side by side.

use crate::contest::{Measure, Race};

/// The limit, cfgwal, and who else took part in any workload.
const COLUMNS: [&str; 8] = ["cfgwal", "sqlite", "redb", "lmdb", "fjall", "okaywal", "rewrite", "load+rewrite"];

pub fn print_race(race: &Race) {
    println!("{}", race.workload);
    for standing in &race.standings {
        let (least, most) = standing.spread;
        let figure = figure(race.measure, standing.cost);
        println!(
            "  {:<24} {figure:>12} {:>8} ({} to {})",
            standing.name,
            ratio(standing.ratio),
            ratio(least),
            ratio(most)
        );
    }
    for note in &race.notes {
        println!("  {note}");
    }
    println!();
}

pub fn print_all(races: &[Race]) {
    let mut rows = vec![
        ["workload", "limit"]
            .iter()
            .chain(&COLUMNS)
            .chain(&["cfgwal must"])
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<_>>(),
    ];
    for race in races {
        let limit = race.of("limit").map_or("-".into(), |limit| figure(race.measure, limit.cost));
        let cell = |name: &&str| race.of(name).map_or("-".into(), |standing| ratio(standing.ratio));
        let measure = if race.measure == Measure::Time { " (time)" } else { "" };
        let row = [format!("{}{measure}", race.workload), limit].into_iter().chain(COLUMNS.iter().map(cell));
        rows.push(row.chain([race.target.to_owned()]).collect());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 | 10 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

fn ratio(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.0995 => format!("{ratio:.4}"),
        ratio if ratio < 99.5 => format!("{ratio:.2}"),
        ratio => format!("{ratio:.0}"),
    }
}

pub fn figure(measure: Measure, cost: f64) -> String {
    match measure {
        Measure::Rate => scaled(1.0 / cost, "/s"),
        Measure::Time if cost < 1e-6 => format!("{:.0} ns", cost * 1e9),
        Measure::Time if cost < 1e-3 => format!("{:.1} µs", cost * 1e6),
        Measure::Time => format!("{:.1} ms", cost * 1e3),
    }
}

fn scaled(rate: f64, unit: &str) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M{unit}", rate / 1e6),
        rate if rate >= 1e3 => format!("{:.1} k{unit}", rate / 1e3),
        rate => format!("{rate:.0} {unit}"),
    }
}
