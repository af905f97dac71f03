//! The file is always whole: whoever opens it at any instant reads one complete text, none older than one before.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use serde_json::Value;

use crate::support::dice::Dice;
use crate::support::readers::Readers;
use crate::support::sandbox::{grants_leases, skipped};
use crate::support::session::Session;
use crate::support::{Store, long};

const READERS: usize = 10;

/// A config of the size and shape that a proxy for tool servers keeps: ten kilobytes, edited by hand now and then.
fn config() -> String {
    let server = |n: usize| {
        format!(
            r#"    {{
      "name": "server-{n}",
      "url": "http://127.0.0.1:{}/mcp",
      "protocol": "http",
      "command": "npx",
      "args": ["-y", "@example/server-{n}", "--quiet"],
      "oauth": null,
      "enabled": true,
      "created": "2026-01-01T00:00:00Z"
    }}"#,
            40_000 + n
        )
    };
    let servers: Vec<String> = (0..40).map(server).collect();
    let servers = servers.join(",\n");
    format!(
        "{{\n  \"first\": 0,\n  \"listen\": \":8081\",\n  \"servers\": [\n{servers}\n  ],\n  \"writes\": {{}},\n  \"last\": 0\n}}\n"
    )
}

fn file_as_json(store: &Store) -> Value {
    serde_json::from_str(&store.text()).expect("the file parses")
}

#[test]
fn ten_plain_readers_never_see_a_torn_or_older_text_while_200_edits_are_made() {
    let store = Store::with(&config());
    store.ok(&["init", "settings.json"]);
    let readers = Readers::start(READERS, &store.file());
    for n in 1..=200 {
        store.ok(&["merge", &format!("{{\"first\":{n},\"last\":{n}}}")]);
        assert_eq!(file_as_json(&store)["first"], n, "a command leaves the file current");
    }
    let reads = readers.finish();
    println!("{reads} reads");
    assert!(reads > 2000, "{reads} reads are too few to prove anything");
    assert_eq!(store.text().len(), config().len() + 4, "each number has three digits now, and nothing else changed");
}

#[test]
fn nor_when_the_writer_is_killed_a_hundred_times_and_every_acknowledged_write_is_there() {
    let kills = if long() { 2000 } else { 100 };
    let mut dice = Dice::new();
    let store = Store::with(&config());
    store.ok(&["init", "settings.json"]);
    let readers = Readers::start(READERS, &store.file());
    let (mut sent, mut acknowledged) = (0_u64, Vec::new());
    for _ in 0..kills {
        let mut writer = Session::start(&store);
        let killer = writer.kill_in(dice.delay(Duration::from_millis(80)));
        loop {
            let n = sent + 1;
            let edit = format!(
                r#"{{"op":"txn","ops":[{{"op":"set","path":"first","value":{n}}},{{"op":"set","path":"writes.w{n}","value":{n}}},{{"op":"set","path":"last","value":{n}}}]}}"#
            );
            if !writer.send(&edit) {
                break;
            }
            sent = n;
            match writer.answer() {
                None => break,
                Some(answer) => {
                    assert_eq!(answer["ok"], true, "{answer}");
                    acknowledged.push(n);
                }
            }
            // Most kills are to meet it while it writes the file.
            if writer.ask(r#"{"op":"materialise"}"#).is_none() {
                break;
            }
        }
        killer.join().expect("the writer was killed");
        writer.bury();
        let newest: u64 = store.ok(&["get", "first"]).trim().parse().expect("a number");
        let last = acknowledged.last().copied().unwrap_or(0);
        assert!((last..=sent).contains(&newest), "{last} was acknowledged, {sent} was sent, {newest} is there");
    }
    // The next command needs no clean-up, and leaves the file current.
    sent += 1;
    store.ok(&["merge", &format!("{{\"first\":{sent},\"last\":{sent}}}")]);
    let reads = readers.finish();
    println!("{reads} reads, {sent} writes of which {} were acknowledged, {kills} kills", acknowledged.len());
    assert!(reads > 2000, "{reads} reads are too few to prove anything");
    let file = file_as_json(&store);
    for n in &acknowledged {
        assert_eq!(file["writes"][format!("w{n}")], *n, "write {n} was acknowledged and is lost");
    }
    store.assert_well("after the last kill and one command");
}

#[test]
fn nor_when_a_person_saves_in_the_very_moments_in_which_the_file_is_written() {
    let saves = if long() { 10_000 } else { 200 };
    let mut dice = Dice::new();
    let store = Store::with(&config());
    if !grants_leases(store.dir()) {
        return skipped(
            "nor_when_a_person_saves_in_the_very_moments_in_which_the_file_is_written",
            "no leases on this disk",
        );
    }
    store.ok(&["init", "settings.json"]);
    let (file, new) = (store.file(), store.dir().join("settings.json.new"));
    let readers = Readers::start(READERS, &file);
    let mut program = Session::start(&store);
    let shown = AtomicU64::new(0);
    let worked = std::thread::scope(|scope| {
        let person = scope.spawn(|| {
            for n in 1..=saves {
                let text = fs::read_to_string(&file).expect("the file is there");
                let text = text.replacen(&format!("\"first\": {}", n - 1), &format!("\"first\": {n}"), 1);
                let text = text.replacen(&format!("\"last\": {}", n - 1), &format!("\"last\": {n}"), 1);
                fs::write(&new, text).expect("there is room");
                let begun = shown.load(SeqCst);
                fs::rename(&new, &file).expect("the file can be replaced");
                // Of two saves within one exchange nothing is promised. A second is enough, should the program be gone.
                for _ in 0..10_000 {
                    if shown.load(SeqCst) > begun + 1 {
                        break;
                    }
                    std::thread::sleep(Duration::from_micros(100));
                }
                std::thread::sleep(dice.delay(Duration::from_millis(6)));
            }
        });
        let mut worked = 0;
        while !person.is_finished() {
            worked += 1;
            program.must(&format!(r#"{{"op":"set","path":"writes.w","value":{worked}}}"#));
            // It may be saved too often to be shown.
            program.ask(r#"{"op":"materialise"}"#).expect("batch goes on");
            shown.fetch_add(1, SeqCst);
        }
        person.join().expect("every save was made");
        worked
    });
    let reads = readers.finish();
    program.must(r#"{"op":"materialise"}"#);
    program.finish();
    println!("{reads} reads, {saves} saves, {worked} edits");
    assert!(reads > 2000, "{reads} reads are too few to prove anything");
    let file = file_as_json(&store);
    assert_eq!((&file["first"], &file["last"], &file["writes"]["w"]), (&saves.into(), &saves.into(), &worked.into()));
}
