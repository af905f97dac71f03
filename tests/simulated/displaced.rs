//! A save that came out of an exchange whose program was killed before it could put it back.

use std::sync::{Arc, Mutex};

use cfgwal::sim::{Call, Disk, Handle, Process};
use cfgwal::{FileStatus, Journal, Materialise, Op};

const FILE: &str = "/settings.json";
const TEXT: &str = "{\n  \"a\": 1,\n  \"b\": 1,\n  \"c\": 1\n}\n";

fn open(process: &Process) -> Journal {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE).unwrap()
}

/// A program sets `a` to 2 and is killed right behind the exchange, into which this save of a person fell.
fn exchanged(save: String) -> Disk {
    let disk = Disk::new();
    let (program, person) = (disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    let journal = open(&program);
    journal.append(Op::set("a", 2)).unwrap();
    let (dying, editor, mut save) = (program.clone(), person.clone(), Some(save));
    program.observe(move |seen| match (seen.call, save.take()) {
        (Call::Rename, Some(save)) => editor.replace_file(FILE, save, true).unwrap(),
        (_, None) => dying.kill(),
        (_, unsaved) => save = unsaved,
    });
    let _ = journal.materialise();
    assert!(program.is_dead() && read(&person).contains("\"a\": 2"), "the exchange was the last that it did");
    disk
}

fn read(person: &Process) -> String {
    String::from_utf8(person.read_file(FILE).unwrap()).unwrap()
}

/// What a program that comes later has of `a`, `b` and `c`.
fn values(disk: &Disk, what: &str) -> [Option<u64>; 3] {
    let journal = open(&disk.process());
    let status = journal.materialise().unwrap();
    assert!(matches!(status, FileStatus::Current { .. }), "{what}: {status:?}");
    ["a", "b", "c"].map(|key| journal.get::<u64>(key).unwrap())
}

/// Somebody who opens the file before this call of a program, and so many calls later writes what was read, changed.
struct Late {
    person: Process,
    at: u64,
    later: u64,
    calls: u64,
    opened: Option<(u64, Handle, String)>,
    is_saved: bool,
}

impl Late {
    fn step(&mut self) {
        self.calls += 1;
        if self.calls >= self.at && self.opened.is_none() && !self.is_saved {
            // Held by a lease: another try before the next call.
            let Ok(held) = self.person.hold(FILE, true) else { return };
            self.opened = Some((self.calls, held, read(&self.person).replace("\"c\": 1", "\"c\": 7")));
        }
        if self.opened.as_ref().is_some_and(|(calls, ..)| self.calls >= calls + self.later) {
            self.save();
        }
    }

    fn save(&mut self) {
        if let Some((_, held, text)) = self.opened.take() {
            held.write_at(&text, 0).unwrap();
            held.set_len(text.len() as u64).unwrap();
            self.is_saved = true;
        }
    }
}

/// Gives whether there was such a call.
fn opened_while_a_save_is_put_back(at: u64, later: u64) -> bool {
    let disk = exchanged(TEXT.replace("\"b\": 1", "\"b\": 7"));
    let (program, person) = (disk.process(), disk.process());
    let late = Late { person, at, later, calls: 0, opened: None, is_saved: false };
    let (late, stepped) = {
        let late = Arc::new(Mutex::new(late));
        (late.clone(), late)
    };
    program.observe(move |_| stepped.lock().unwrap().step());
    let journal = open(&program);
    let _ = journal.materialise();
    program.observe(|_| ());
    let mut late = late.lock().unwrap();
    let was_there = late.calls >= at;
    late.save();
    program.kill();
    drop(journal);
    let what = format!("opened before call {at}, written {later} calls later");
    assert_eq!(values(&disk, &what), [Some(2), Some(7), Some(if late.is_saved { 7 } else { 1 })], "{what}");
    was_there
}

#[test]
fn a_save_into_the_text_that_has_to_go_while_another_is_put_back_is_not_lost() {
    let mut cases = 0;
    for later in [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] {
        cases += (1..).take_while(|at| opened_while_a_save_is_put_back(*at, later)).count();
    }
    println!("{cases} saves into a text while another one was put back");
    assert!(cases > 500);
}

#[test]
fn a_save_that_came_out_does_not_overrule_who_has_seen_more_since() {
    let disk = exchanged(TEXT.replace("\"a\": 1", "\"a\": 4"));
    let person = disk.process();
    person.replace_file(FILE, read(&person).replace("\"a\": 2", "\"a\": 1"), true).unwrap();
    let [a, b, c] = values(&disk, "saved after the kill");
    assert!(a == Some(1) || a == Some(2), "{a:?} is of one who did not know of the 2");
    assert_eq!([b, c], [Some(1), Some(1)]);
}
