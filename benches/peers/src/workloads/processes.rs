//! Edits by several processes at once: W3.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::rules;
use crate::contest::{Contestant, Measure, Race, Turn, median, race};
use crate::edits::Pool;
use crate::limits::shared::Queue;
use crate::stores::{Kind, Sync};
use crate::{Outcome, disk};

const TURN: Duration = Duration::from_millis(400);
const KEYS: usize = 100;

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    let kinds = [Kind::Cfgwal, Kind::Sqlite, Kind::Lmdb, Kind::LoadAndRewrite];
    let mut races = Vec::new();
    for processes in [2, 4, 8] {
        let mut fairness: Vec<(&str, Vec<f64>)> = Vec::new();
        let limit = disk::fresh("w3-limit")?;
        Queue::create(&limit)?;
        let dirs = kinds.map(|kind| disk::fresh(&format!("w3-{}", kind.name())));
        let mut all = vec![("limit", limit)];
        for (kind, dir) in kinds.into_iter().zip(dirs) {
            let dir = dir?;
            kind.open(&dir, Sync::Each)?.handle()?.edit_all(Pool::new(0, KEYS).next_many(KEYS))?;
            all.push((kind.name(), dir));
        }
        let shares = std::cell::RefCell::new(Vec::new());
        let mut contestants = Vec::new();
        for (name, dir) in &all {
            let shares = &shares;
            contestants.push(Contestant::new(*name, move || {
                let counts = together(name, dir, processes)?;
                let (least, most) = (counts.iter().min(), counts.iter().max());
                let fair = least.zip(most).map_or(0.0, |(least, most)| *least as f64 / *most as f64);
                shares.borrow_mut().push((*name, fair));
                Ok(Turn { done: counts.iter().sum::<u64>() as f64, seconds: TURN.as_secs_f64() })
            }));
        }
        let name = format!("W3 {processes} processes");
        let race = race(name, Measure::Rate, ">= 0.7, fairness >= 0.8", &rules(rounds, 2), contestants)?;
        for (name, share) in shares.into_inner() {
            match fairness.iter_mut().find(|(known, _)| *known == name) {
                Some((_, shares)) => shares.push(share),
                None => fairness.push((name, vec![share])),
            }
        }
        let each = fairness.iter_mut().map(|(name, shares)| format!("{name} {:.3}", median(shares)));
        let note = format!("least by most that a process got: {}", each.collect::<Vec<_>>().join(", "));
        races.push(race.note(note));
    }
    Ok(races)
}

/// What each of so many processes gets done in a turn.
fn together(name: &str, dir: &Path, processes: usize) -> Outcome<Vec<u64>> {
    let mut running = Vec::new();
    for process in 0..processes {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--worker", "edits", name])
            .arg(dir)
            .arg(process.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        running.push((child, answers));
    }
    for (_, answers) in &mut running {
        line(answers)?;
    }
    for (child, _) in &mut running {
        child.stdin.as_mut().ok_or("no pipe")?.write_all(b"go\n")?;
    }
    let counts = running.iter_mut().map(|(_, answers)| Ok(line(answers)?.parse()?)).collect::<Outcome<Vec<u64>>>();
    running.into_iter().try_for_each(|(child, _)| ended(child))?;
    counts
}

fn line(answers: &mut BufReader<ChildStdout>) -> Outcome<String> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    if line.is_empty() { Err("a worker died".into()) } else { Ok(line.trim_end().to_owned()) }
}

fn ended(mut child: Child) -> Outcome {
    drop(child.stdin.take());
    if child.wait()?.success() { Ok(()) } else { Err("a worker failed".into()) }
}

/// One of the processes: says when it is ready, waits for the word, and says what it got done.
pub fn worker(name: &str, dir: &Path, process: usize) -> Outcome {
    let mut pool = Pool::new(process + 1, KEYS);
    let mut word = String::new();
    let mut until_over = |edit: &mut dyn FnMut() -> Outcome| -> Outcome {
        edit()?;
        println!("ready");
        std::io::stdin().read_line(&mut word)?;
        let (began, mut done) = (Instant::now(), 0_u64);
        while began.elapsed() < TURN {
            edit()?;
            done += 1;
        }
        println!("{done}");
        // Closing comes when all are done.
        word.clear();
        std::io::stdin().read_line(&mut word)?;
        Ok(())
    };
    if name == "limit" {
        let mut queue = Queue::open(dir)?;
        until_over(&mut || queue.edit(pool.next()))
    } else {
        let store = Kind::named(name)?.open(dir, Sync::Each)?;
        let mut handle = store.handle()?;
        until_over(&mut || handle.edit(pool.next()))
    }
}
