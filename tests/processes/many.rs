//! One order: edits of many processes at once all land, and none is lost or answered twice.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::dice::Dice;
use crate::support::session::Session;
use crate::support::{Store, ran};

const PROCESSES: usize = 64;

/// Starts 64 commands that each add an entry, and waits for them.
fn add_at_once(store: &Store) {
    let start = |n| -> Child {
        let value = format!("{{\"ip\":\"10.0.0.{n}\",\"running\":false}}");
        let mut command = store.command(&["set", &format!("containers.dev{n}"), &value]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
    };
    let children: Vec<Child> = (0..PROCESSES).map(start).collect();
    for (n, child) in children.into_iter().enumerate() {
        let ran = ran(child.wait_with_output());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "process {n}");
    }
    let file: Value = serde_json::from_str(&store.text()).expect("the file parses");
    for n in 0..PROCESSES {
        assert_eq!(file["containers"][format!("dev{n}")]["ip"], format!("10.0.0.{n}"), "entry {n} is lost");
    }
    assert_eq!(store.ok(&["ls", "containers"]).lines().count(), PROCESSES);
    store.assert_well("after all of them");
}

#[test]
fn sixty_four_processes_that_set_at_once_are_all_kept() {
    let store = Store::with("{\n  \"containers\": {}\n}\n");
    store.ok(&["init", "settings.json"]);
    add_at_once(&store);
}

#[test]
fn also_when_all_of_them_find_a_file_without_a_journal() {
    add_at_once(&Store::with("{\n    \"image\": \"debian/12\",\n    \"containers\": {}\n}\n"));
}

#[test]
fn also_when_all_of_them_find_nothing_at_all() {
    add_at_once(&Store::empty());
}

#[test]
fn sixteen_processes_draw_1600_distinct_numbers() {
    let store = Store::with("{\"next\":0}\n");
    let draw = |store: &Store| {
        let mut session = Session::start(store);
        let numbers: Vec<u64> =
            (0..100).map(|_| number(&session.must(r#"{"op":"increment","path":"next"}"#))).collect();
        let ran = session.finish();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        numbers
    };
    let numbers: Vec<u64> = thread::scope(|scope| {
        let drawers: Vec<_> = (0..16).map(|_| scope.spawn(|| draw(&store))).collect();
        drawers.into_iter().flat_map(|drawer| drawer.join().expect("a drawer does not panic")).collect()
    });
    assert_eq!(distinct(&numbers), (1..=1600).collect());
    assert_eq!(store.text(), "{\"next\":1600}\n");
}

#[test]
fn no_number_is_drawn_twice_though_the_drawers_are_killed_again_and_again() {
    let mut dice = Dice::new();
    let store = Store::with("{\"next\":0}\n");
    // Each goes on until it was told a hundred numbers. What was under way when it was killed is lost to it.
    let draw = |store: &Store, mut dice: Dice| {
        let (mut numbers, mut kills) = (Vec::new(), 0);
        while numbers.len() < 100 {
            let mut session = Session::start(store);
            let killer = (kills < 5).then(|| session.kill_in(dice.delay(Duration::from_millis(400))));
            while numbers.len() < 100
                && let Some(answer) = session.ask(r#"{"op":"increment","path":"next"}"#)
            {
                numbers.push(number(&answer));
            }
            match killer {
                None => assert_eq!(session.finish().code, 0),
                Some(killer) => {
                    killer.join().expect("it was killed");
                    session.bury();
                    kills += 1;
                }
            }
        }
        (numbers, kills)
    };
    let drawn: Vec<(Vec<u64>, u64)> = thread::scope(|scope| {
        let mut drawers = Vec::new();
        for _ in 0..16 {
            let dice = dice.fork();
            let store = &store;
            drawers.push(scope.spawn(move || draw(store, dice)));
        }
        drawers.into_iter().map(|drawer| drawer.join().expect("a drawer does not panic")).collect()
    });
    let numbers: Vec<u64> = drawn.iter().flat_map(|(numbers, _)| numbers.clone()).collect();
    let kills: u64 = drawn.iter().map(|(_, kills)| kills).sum();
    assert_eq!(distinct(&numbers).len(), 1600, "a number was drawn twice");
    let next: u64 = store.ok(&["get", "next"]).trim().parse().expect("a number");
    println!("{kills} kills, {} numbers that nobody was told", next - 1600);
    assert!((1600..=1600 + kills).contains(&next), "{next} after 1600 answers and {kills} kills");
}

#[test]
fn a_retry_with_its_key_after_a_kill_counts_once() {
    let mut dice = Dice::new();
    let store = Store::with("{\"next\":0}\n");
    let draw = |store: &Store, mut dice: Dice, who: usize| {
        let (mut numbers, mut kills) = (Vec::new(), 0);
        while numbers.len() < 50 {
            let mut session = Session::start(store);
            let killer = (kills < 5).then(|| session.kill_in(dice.delay(Duration::from_millis(300))));
            while numbers.len() < 50 {
                let line = format!(r#"{{"op":"increment","path":"next","key":"{who}-{}"}}"#, numbers.len());
                let Some(answer) = session.ask(&line) else { break };
                numbers.push(number(&answer));
            }
            match killer {
                None => assert_eq!(session.finish().code, 0),
                Some(killer) => {
                    killer.join().expect("it was killed");
                    session.bury();
                    kills += 1;
                }
            }
        }
        numbers
    };
    let numbers: Vec<u64> = thread::scope(|scope| {
        let mut drawers = Vec::new();
        for who in 0..8 {
            let dice = dice.fork();
            let store = &store;
            drawers.push(scope.spawn(move || draw(store, dice, who)));
        }
        drawers.into_iter().flat_map(|drawer| drawer.join().expect("a drawer does not panic")).collect()
    });
    assert_eq!(distinct(&numbers), (1..=400).collect(), "with keys nothing is unknown: each number was drawn once");
    assert_eq!(store.ok(&["get", "next"]), "400\n");
}

fn number(answer: &Value) -> u64 {
    answer["value"].as_u64().unwrap_or_else(|| panic!("no number: {answer}"))
}

fn distinct(numbers: &[u64]) -> BTreeSet<u64> {
    numbers.iter().copied().collect()
}

#[test]
fn the_log_stays_bounded_though_no_process_lives_long_enough_to_look_after_it() {
    let store = Store::with("{\"value\":\"\"}\n");
    store.ok(&["init", "settings.json"]);
    let written = 60 * 100_000;
    let mut most = 0;
    for n in 0..60 {
        let value = char::from(b'a' + n % 26).to_string().repeat(100_000);
        store.ok(&["set", "value", &value]);
        let sizes = std::fs::read_dir(store.journal())
            .expect("the journal")
            .map(|entry| entry.unwrap().metadata().unwrap().len());
        most = most.max(sizes.sum());
    }
    println!("{written} bytes of edits, at most {most} in the journal");
    assert!(most < written, "nothing was ever let go: {most} bytes");
    assert!(most < 5 << 20, "{most} bytes");
    store.assert_well("after 60 commands");
}

#[test]
fn a_history_with_a_cap_costs_a_small_record_for_each_entry() {
    let store = Store::with("{\"history\":[]}\n");
    let mut session = Session::start(&store);
    for n in 0..1100 {
        assert!(session.send(&format!(r#"{{"op":"push","path":"history","value":"event {n}","cap":1000}}"#)));
    }
    (0..1100).for_each(|_| assert_eq!(session.answer().unwrap()["ok"], true));
    session.must(r#"{"op":"compact"}"#);
    for n in 1100..1200 {
        session.must(&format!(r#"{{"op":"push","path":"history","value":"event {n}","cap":1000}}"#));
    }
    let log = std::fs::read(store.segment()).unwrap();
    // Behind a block with the header, and before the zeros that are written ahead.
    let records = &log[4096..log.iter().rposition(|byte| *byte != 0).unwrap()];
    println!("{} bytes for 100 entries", records.len());
    assert!(records.len() < 100 * 300, "{} bytes for 100 entries", records.len());
    assert_eq!(session.finish().code, 0);
    let file: Value = serde_json::from_str(&store.text()).unwrap();
    let history: Vec<String> = (200..1200).map(|n| format!("event {n}")).collect();
    assert_eq!(file["history"], Value::from(history));
}
