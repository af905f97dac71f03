//! A save that came out of an exchange and goes back, by the program itself or, after a kill, by another one.

use std::sync::{Arc, Mutex};

use cfgwal::sim::{Asked, Call, Disk, Handle, Process};
use cfgwal::{FileStatus, Journal, Materialise, Op};

const FILE: &str = "/settings.json";
const TEXT: &str = "{\n  \"a\": 1,\n  \"b\": 1,\n  \"c\": 1\n}\n";

/// Calls between opening and writing.
const LATER: [u64; 10] = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55];

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

/// Somebody who asks for the file before this call of a program, and so many calls after getting it writes what was in it,
/// changed.
struct Late {
    person: Process,
    at: u64,
    later: u64,
    calls: u64,
    stage: Stage,
}

enum Stage {
    Idle,
    /// Leases are waited for.
    Asked(u64, Asked),
    Open(u64, Handle, String),
    Saved,
}

impl Late {
    fn new(disk: &Disk, at: u64, later: u64) -> Arc<Mutex<Late>> {
        Arc::new(Mutex::new(Late { person: disk.process(), at, later, calls: 0, stage: Stage::Idle }))
    }

    fn step(&mut self) {
        self.calls += 1;
        if matches!(self.stage, Stage::Idle) && self.calls >= self.at {
            self.stage = Stage::Asked(self.person.number_of(FILE).unwrap(), self.person.ask(FILE).unwrap());
        }
        self.open();
        if matches!(self.stage, Stage::Open(since, ..) if self.calls >= since + self.later) {
            self.save();
        }
    }

    fn open(&mut self) {
        if let Stage::Asked(number, asked) = &self.stage
            && let Ok(held) = self.person.hold_found(*number)
        {
            let text = String::from_utf8(asked.read_all().unwrap()).unwrap();
            let b = text.find("\"b\": ").unwrap() + 5;
            let text = format!("{}8{}", &text[..b], &text[b + 1..]).replace("\"c\": 1", "\"c\": 7");
            self.stage = Stage::Open(self.calls, held, text);
        }
    }

    fn save(&mut self) {
        if let Stage::Open(_, held, text) = &self.stage {
            held.write_at(text, 0).unwrap();
            held.set_len(text.len() as u64).unwrap();
            self.stage = Stage::Saved;
        }
    }

    /// The end of the program: gives whether it made so many calls, and whether there was a save.
    fn finish(&mut self) -> (bool, bool) {
        self.open();
        self.save();
        (self.calls >= self.at, matches!(self.stage, Stage::Saved))
    }
}

/// Gives whether there was such a call.
fn opened_while_a_save_is_put_back(at: u64, later: u64) -> bool {
    let disk = exchanged(TEXT.replace("\"b\": 1", "\"b\": 7"));
    let (program, late) = (disk.process(), Late::new(&disk, at, later));
    let stepped = late.clone();
    program.observe(move |_| stepped.lock().unwrap().step());
    let journal = open(&program);
    let _ = journal.materialise();
    program.observe(|_| ());
    let (was_there, is_saved) = late.lock().unwrap().finish();
    program.kill();
    drop(journal);
    let what = format!("asked for before call {at}, written {later} calls later");
    let [a, b, c] = values(&disk, &what);
    assert_eq!((a, c), (Some(2), Some(if is_saved { 7 } else { 1 })), "{what}");
    // They saw the one save or did not: it is not lost either way.
    assert!(b == Some(7) || is_saved && b == Some(8), "{what}: {b:?}");
    was_there
}

/// Two saves fall into one exchange, the second by one who asks for the file so many calls after the first. Gives whether
/// there were so many.
fn asked_for_behind_a_save(at: u64, later: u64) -> bool {
    let disk = Disk::new();
    let (program, person) = (disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    let journal = open(&program);
    journal.append(Op::set("a", 2)).unwrap();
    let late = Late::new(&disk, at, later);
    let (stepped, mut is_saved) = (late.clone(), false);
    program.observe(move |seen| {
        if is_saved {
            stepped.lock().unwrap().step();
        } else if seen.call == Call::Rename {
            person.replace_file(FILE, TEXT.replace("\"b\": 1", "\"b\": 7"), true).unwrap();
            is_saved = true;
        }
    });
    let _ = journal.materialise();
    program.observe(|_| ());
    let (was_there, is_saved) = late.lock().unwrap().finish();
    program.kill();
    drop(journal);
    let what = format!("asked for {at} calls behind the other save, written {later} calls later");
    let expected = if is_saved { [Some(2), Some(8), Some(7)] } else { [Some(2), Some(7), Some(1)] };
    assert_eq!(values(&disk, &what), expected, "{what}");
    was_there
}

/// Tries each call that there is, and each time between opening and writing.
fn at_every_call(case: fn(u64, u64) -> bool) -> usize {
    LATER.iter().map(|later| (1..).take_while(|at| case(*at, *later)).count()).sum()
}

#[test]
fn a_save_into_the_text_that_has_to_go_while_another_is_put_back_is_not_lost() {
    let cases = at_every_call(opened_while_a_save_is_put_back);
    println!("{cases} saves into a text while another one was put back");
    assert!(cases > 500);
}

#[test]
fn of_two_saves_in_one_exchange_the_one_that_waited_for_the_new_text_is_the_newer() {
    let cases = at_every_call(asked_for_behind_a_save);
    println!("{cases} saves behind another one");
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
