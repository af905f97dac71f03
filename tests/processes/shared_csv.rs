//! One CSV file, a program that writes its progress into a row again and again, and a person who adds rows in an editor
//! all the while: in each of the ways in which editors save, no row of either is lost, and nothing else changes.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::session::Session;
use crate::support::{Store, long};

/// As a trading tool keeps it: line ends of another system, comments with commas of their own, blank lines, quoted cells, a
/// column more at the end of one row's note.
const CONFIG: &str = "\u{feff}id,pair,threshold_price,status,notes\r\n\
    # high, low, and what to do, when it happens, or not\r\n\
    t1,XXBTZUSD,50000.10,0,\"buy, then hold\"\r\n\
    \r\n\
    # t2 is, on purpose, not quoted\r\n\
    t2,ETHUSDT,2000.00,idle,\r\n";

/// How an editor saves a text.
type Save = fn(&Path, &str);

/// Vim, and most programs that know how: a new file takes the place of the old one.
fn by_rename(file: &Path, text: &str) {
    let new = file.with_file_name(".settings.csv.swp");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

/// The bytes are written over where they lie; the text never becomes shorter here.
fn in_place(file: &Path, text: &str) {
    let mut opened = File::options().write(true).open(file).unwrap();
    write_slowly(&mut opened, text);
}

/// VS Code, nano, a shell's `>`: the file is empty for a moment.
fn truncate_and_write(file: &Path, text: &str) {
    let mut opened = File::options().write(true).truncate(true).open(file).unwrap();
    std::thread::sleep(Duration::from_micros(300));
    write_slowly(&mut opened, text);
}

/// In two halves of which the first is a valid file too.
fn write_slowly(opened: &mut File, text: &str) {
    let half = text[..text.len() / 2].rfind('\n').unwrap() + 1;
    opened.write_all(&text.as_bytes()[..half]).unwrap();
    std::thread::sleep(Duration::from_micros(300));
    opened.write_all(&text.as_bytes()[half..]).unwrap();
}

/// The program updates its cell `updates` times while `lines` rows are added. Conflicts that were told.
fn both_work(store: &Store, updates: u64, lines: u64, save: Save) -> u64 {
    let file = store.dir().join("settings.csv");
    fs::write(&file, CONFIG).unwrap();
    let mut batch = store.bare(&["-f", "settings.csv", "batch"]);
    batch.env_remove("CFGWAL_FILE");
    let mut program = Session::of(batch);
    let (updated, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let editor = scope.spawn(|| {
            for line in 0..lines {
                while updated.load(Ordering::Relaxed) < line * updates / lines && !stopped.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_micros(50));
                }
                let text = fs::read_to_string(&file).unwrap();
                // Now and then the program is quicker than the person.
                std::thread::sleep(Duration::from_micros(line * 977 % 5000));
                save(&file, &format!("{text}e{line},EURUSD,1.{line},idle,\"added, by hand\"\r\n"));
            }
        });
        // Whatever fails here must not leave the editor waiting.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for n in 1..=updates {
                program.must(&json!({"op": "set", "path": "t1.status", "value": n.to_string()}).to_string());
                program.must("{\"op\":\"materialise\"}");
                updated.store(n, Ordering::Relaxed);
            }
        }));
        stopped.store(true, Ordering::Relaxed);
        editor.join().unwrap();
        worked.unwrap();
    });
    program.must("{\"op\":\"set\",\"path\":\"t1.status\",\"value\":\"done\"}");
    program.must("{\"op\":\"materialise\"}");
    program.finish();
    let mut expected = CONFIG.replace(",0,", ",done,");
    (0..lines).for_each(|line| expected += &format!("e{line},EURUSD,1.{line},idle,\"added, by hand\"\r\n"));
    let found = fs::read_to_string(&file).unwrap();
    let lost: Vec<&str> = expected.lines().filter(|line| !found.lines().any(|found| found == *line)).collect();
    assert!(lost.is_empty(), "lost: {lost:#?}");
    assert_eq!(found, expected);

    // What the program was told is durable was shown, or somebody's older save put it back and that was reported.
    let log = store.bare(&["-f", "settings.csv", "log", "--json", "-n", "100000"]).output().unwrap();
    let log = String::from_utf8(log.stdout).unwrap();
    let updates_logged = log.lines().filter(|entry| entry.contains("\"kind\":\"program\"")).count() as u64;
    assert_eq!(updates_logged, updates + 1, "an acknowledged update is not in the log");
    let entries: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for entry in entries.iter().filter(|entry| entry["origin"]["kind"] == "file" || entry["kind"] == "file") {
        let ops = entry["ops"].as_array().unwrap();
        let put_back = ops.iter().any(|op| op["path"] == "t1.status");
        let told = entry["conflicts"].as_array().is_some_and(|told| told.iter().any(|path| path == "t1.status"));
        assert!(!put_back || told, "a save took an update back and nobody was told: {entry}");
    }
    entries.iter().filter(|entry| entry.get("conflicts").is_some()).count() as u64
}

fn in_each_style(updates: u64, lines: u64) {
    for (style, save) in
        [("rename", by_rename as Save), ("in place", in_place), ("truncate and write", truncate_and_write)]
    {
        let store = Store::empty();
        let told = both_work(&store, updates, lines, save);
        println!("{style}: {updates} updates, {lines} rows added by hand, none lost; {told} stale saves reported");
    }
}

#[test]
fn rows_added_by_hand_and_updates_by_a_program_are_all_kept_however_the_editor_saves() {
    in_each_style(14, 5);
    let (updates, lines) = if long() { (1400, 500) } else { (140, 50) };
    in_each_style(updates, lines);
}
