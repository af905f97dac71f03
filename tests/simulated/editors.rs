//! A person at an editor, one more process on the disk: between any two calls of ours the file is saved by hand, in each
//! of the ways that editors save, and no line of either side is lost.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Call, Disk, FaultPlan, Handle, Process};
use cfgwal::{FileStatus, Journal, Materialise, Op, Path, Transaction};

const FILE: &str = "/settings.jsonc";
const TEXT: &str = "// Head\n{\n  // servers\n  \"a\": 0, // counts\n\n  \"b\": [1, 2]\n}\n";
const ROUNDS: u64 = 3;

/// How an editor saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A new file, renamed over the old one.
    Rename,
    /// Moves the old file out of the way, and names a new one a few steps later.
    MoveAway { steps: u32 },
    /// Opened, written over, cut to length.
    InPlace,
    /// Emptied at once, written a few of our steps later.
    Truncate { steps: u32 },
    /// Opened, and written over a few of our steps later.
    HeldOpen { steps: u32 },
}

const STYLES: [Style; 8] = [
    Style::Rename,
    Style::MoveAway { steps: 1 },
    Style::InPlace,
    Style::Truncate { steps: 1 },
    Style::Truncate { steps: 4 },
    Style::HeldOpen { steps: 1 },
    Style::HeldOpen { steps: 5 },
    Style::HeldOpen { steps: 17 },
];

/// What the person does: adds a line with a comment, once.
struct Editor {
    process: Process,
    style: Style,
    /// Saves before this call of the other process, or as soon after it as the system lets it.
    at: u64,
    first: Option<u64>,
    half: Option<(Half, u32, String)>,
    /// It asked for a file that is leased, by its number, and waits to save this text.
    waits: Option<(u64, String)>,
    saved: bool,
}

enum Half {
    Open(Handle),
    Gone,
}

impl Editor {
    fn step(&mut self, call: u64) {
        let first = *self.first.get_or_insert(call);
        if let Some((half, steps, text)) = self.half.take() {
            if steps > 1 {
                self.half = Some((half, steps - 1, text));
                return;
            }
            match half {
                Half::Open(file) => {
                    file.write_at(&text, 0).unwrap();
                    file.set_len(text.len() as u64).unwrap();
                }
                Half::Gone => self.process.replace_file(FILE, &text, true).unwrap(),
            }
            self.saved = true;
        } else if let Some((ino, text)) = self.waits.take() {
            self.open(Some(ino), text);
        } else if !self.saved && call >= first.saturating_add(self.at - 1) {
            self.begin();
        }
    }

    fn begin(&mut self) {
        // Held by a lease, or not there yet: a person would not have noticed, and tries again.
        let Ok(bytes) = self.process.read_file(FILE) else { return };
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("// Head\n") && text.ends_with("}\n"), "the editor reads half a text: {text:?}");
        let text = text.replacen("{\n", "{\n  // by hand\n  \"hand\": 7,\n", 1);
        match self.style {
            Style::Rename => {
                self.process.replace_file(FILE, &text, true).unwrap();
                self.saved = true;
            }
            Style::MoveAway { steps } => {
                self.process.rename_file(FILE, "/settings.jsonc~").unwrap();
                self.half = Some((Half::Gone, steps, text));
            }
            Style::InPlace | Style::Truncate { .. } | Style::HeldOpen { .. } => self.open(None, text),
        }
    }

    /// Open the file to write into it, at once or when the wait for its lease ends.
    fn open(&mut self, found: Option<u64>, text: String) {
        let opened = match found {
            None => self.process.hold(FILE, true),
            Some(ino) => self.process.hold_found(ino),
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let ino = found.map_or_else(|| self.process.number_of(FILE), Ok);
                self.waits = Some((ino.unwrap(), text));
                return;
            }
            // Not there at this moment: a person would not have noticed, and tries again.
            Err(_) => return,
        };
        match self.style {
            Style::Truncate { steps } => {
                file.set_len(0).unwrap();
                self.half = Some((Half::Open(file), steps, text));
            }
            Style::HeldOpen { steps } => self.half = Some((Half::Open(file), steps, text)),
            _ => {
                file.write_at(&text, 0).unwrap();
                file.set_len(text.len() as u64).unwrap();
                self.saved = true;
            }
        }
    }
}

/// How a program works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// It goes on from edit to edit.
    Long,
    /// One edit, and it ends; then the next one begins.
    Short,
}

const LIVES: [Life; 2] = [Life::Long, Life::Short];

fn open(process: &Process) -> Result<Journal, cfgwal::Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

struct Scene {
    disk: Disk,
    program: Process,
    editor: Arc<Mutex<Editor>>,
}

impl Scene {
    fn new(style: Style, at: u64) -> Scene {
        let disk = Disk::new();
        let (program, process) = (disk.process(), disk.process());
        process.write_file(FILE, TEXT).unwrap();
        disk.settle();
        let editor = Editor { process, style, at, first: None, half: None, waits: None, saved: false };
        let editor = Arc::new(Mutex::new(editor));
        if std::env::var_os("CFGWAL_EDITOR").is_some() {
            program.record();
        }
        let acting = editor.clone();
        program.observe(move |seen| acting.lock().unwrap().step(seen.number));
        Scene { disk, program, editor }
    }

    /// What a program does; the rounds whose edits were acknowledged.
    fn live(&self, life: Life) -> u64 {
        let edit = |round: u64| {
            Transaction::new().set("a", round).set(format!("added{round}").as_str(), round).push("b", round)
        };
        let mut acknowledged = 0;
        if life == Life::Short {
            for round in 1..=ROUNDS {
                let Ok(journal) = open(&self.program) else { break };
                if journal.append_last(edit(round), None).is_err() {
                    break;
                }
                acknowledged = round;
                let _ = journal.close();
            }
            return acknowledged;
        }
        // An editor may be half way through the very first text.
        let Ok(journal) = open(&self.program) else { return 0 };
        for round in 1..=ROUNDS {
            let edit = edit(round);
            if journal.append(edit).is_err() {
                break;
            }
            acknowledged = round;
            let _ = journal.materialise();
            if round == 2 {
                let _ = journal.compact();
            }
        }
        acknowledged
    }

    /// The person finishes, and the file is brought up to date once more: everything is there.
    fn check(&self, acknowledged: RangeInclusive<u64>, what: &dyn Fn() -> String) {
        self.program.observe(|_| ());
        for _ in 0..40 {
            self.editor.lock().unwrap().step(u64::MAX);
        }
        assert!(self.editor.lock().unwrap().saved, "{}: nothing was saved", what());
        let process = self.disk.process();
        if std::env::var_os("CFGWAL_EDITOR").is_some() {
            println!("{}", self.program.trace().join("\n"));
        }
        let journal = open(&process).unwrap_or_else(|error| panic!("{}: {error}", what()));
        let status = journal.materialise().unwrap_or_else(|error| panic!("{}: {error}", what()));
        assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
        let text = String::from_utf8(process.read_file(FILE).unwrap()).unwrap();
        for line in ["// Head\n", "  // by hand\n  \"hand\": 7,\n", "  // servers\n", "// counts\n\n"] {
            assert!(text.contains(line), "{}: {line:?} is missing in {text}", what());
        }
        let found = journal.get::<u64>("a").unwrap().unwrap();
        assert!(acknowledged.contains(&found), "{}: {found} rounds are there, not {acknowledged:?}: {text}", what());
        for round in 1..=found {
            assert!(
                text.contains(&format!("\"added{round}\": {round}")),
                "{}: round {round} is missing in {text}",
                what()
            );
        }
        assert_eq!(journal.get::<Vec<u64>>("b").unwrap().unwrap().len() as u64, 2 + found, "{}: {text}", what());
        assert_eq!(journal.get::<u64>("hand").unwrap(), Some(7), "{}", what());
        drop(journal);
        let names = process.names("/").unwrap();
        let left: Vec<_> = names.iter().filter(|name| name.starts_with(".settings")).collect();
        assert!(left.is_empty(), "{}: {left:?} lies beside the file", what());
    }
}

fn calls(life: Life) -> u64 {
    let scene = Scene::new(Style::Rename, u64::MAX);
    scene.live(life);
    scene.program.calls()
}

/// Every moment of every life, and how it is saved then.
fn moments() -> impl Iterator<Item = (Style, Life, u64)> {
    let of_life = |style, life| (1..=calls(life)).map(move |at| (style, life, at));
    STYLES.into_iter().flat_map(move |style| LIVES.into_iter().flat_map(move |life| of_life(style, life)))
}

/// Whether a failing case is to be tried alone: `CFGWAL_EDITOR='Rename Long 57'`, as the failure names it.
fn wanted(what: &str) -> bool {
    std::env::var("CFGWAL_EDITOR").map_or(true, |only| what == only)
}

#[test]
fn a_save_between_any_two_calls_is_merged_and_no_line_is_lost() {
    let mut cases = 0;
    for (style, life, at) in moments() {
        let what = format!("{style:?} {life:?} {at}");
        if wanted(&what) {
            let scene = Scene::new(style, at);
            let acknowledged = scene.live(life);
            scene.check(acknowledged..=acknowledged, &|| what.clone());
            cases += 1;
        }
    }
    println!("{cases} saves between two calls");
}

#[test]
fn nor_when_the_program_is_killed_right_after_the_save() {
    let mut cases = 0;
    for (style, life, at) in moments().step_by(2) {
        for later in [0, 1, 2, 3, 5, 8, 13] {
            let what = format!("{style:?} {life:?} {at} killed {later}");
            if wanted(&what) {
                let scene = Scene::new(style, at);
                scene.program.set_plan(FaultPlan::new().kill_in_write(at + later, 9));
                let acknowledged = scene.live(life);
                scene.program.kill();
                scene.check(acknowledged..=acknowledged + 1, &|| what.clone());
                cases += 1;
            }
        }
    }
    println!("{cases} saves before a kill");
}

/// What a person makes of a text in which a program set `a` to 1, or did not yet.
const REMADE: [fn(&str) -> String; 3] = [
    // The keys in another order: an editor's formatter, or a script that sorts them.
    |text| format!("{{\"hand\": 7, \"b\": [1, 2], \"a\": {}}}\n", u8::from(is_set(text))),
    // What the program set is put back, and something else is changed as well.
    |text| text.replace("\"a\": 1", "\"a\": 0").replacen("{\n", "{\n  \"hand\": 7,\n", 1),
    // An editor goes back to what it read long before.
    |_| TEXT.to_owned(),
];

fn is_set(text: &str) -> bool {
    text.contains("\"a\": 1")
}

/// A program is killed before this call while it shows an edit, a person saves, and the next program is killed as well.
/// Gives which of the two were killed before they were done.
fn save_after_a_kill(first: u64, remade: fn(&str) -> String, second: u64) -> [bool; 2] {
    let disk = Disk::new();
    let (program, person, next) = (disk.process(), disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    let journal = open(&program).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    program.set_plan(FaultPlan::new().kill_in_write(first, 0));
    let _ = journal.materialise();
    let was_killed = program.calls() >= first;
    program.kill();
    let text = String::from_utf8(person.read_file(FILE).unwrap()).unwrap();
    person.replace_file(FILE, remade(&text), true).unwrap();
    next.set_plan(FaultPlan::new().kill_in_write(second, 0));
    let _ = open(&next).and_then(|journal| journal.materialise());
    let is_killed = next.calls() >= second;
    next.kill();
    let what = || format!("killed before call {first} while it showed {text}, and before call {second}");
    let last = disk.process();
    let journal = open(&last).unwrap_or_else(|error| panic!("{}: {error}", what()));
    let status = journal.materialise().unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
    let puts_back = is_set(&text) && !is_set(&remade(&text));
    assert_eq!(journal.get::<u64>("a").unwrap(), Some(u64::from(!puts_back)), "{}", what());
    let hand = remade(&text).contains("hand").then_some(7);
    assert_eq!(journal.get::<u64>("hand").unwrap(), hand, "{}", what());
    [was_killed, is_killed]
}

#[test]
fn a_save_after_a_kill_counts_as_made_on_the_text_that_was_there() {
    let mut cases = 0;
    for remade in REMADE {
        let one_after_the_other = (1..).map(|first| {
            let killed = (1..).step_by(3).map(|second| save_after_a_kill(first, remade, second));
            killed.inspect(|_| cases += 1).find(|[_, is_killed]| !is_killed)
        });
        one_after_the_other.into_iter().find(|killed| matches!(killed, Some([false, _])));
    }
    println!("{cases} saves after a kill");
}

/// A person adds to a list before this call of a program that shows what it has added itself, and the program is killed so
/// many calls later. Gives whether the program made so many calls.
fn added_by_both(is_linked: bool, at: u64, later: Option<u64>) -> bool {
    let disk = Disk::new();
    let (program, person) = (disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    if is_linked {
        person.link_file(FILE, "/other.jsonc").unwrap();
    }
    let journal = open(&program).unwrap();
    journal.append(Op::push("b", 3)).unwrap();
    program.set_plan(later.map_or_else(FaultPlan::new, |later| FaultPlan::new().kill_in_write(at + later, 0)));
    let (mut calls, editor) = (0, person.clone());
    program.observe(move |_| {
        calls += 1;
        // Held by a lease: the person tries no more.
        if calls == at
            && let Ok(text) = editor.read_file(FILE)
        {
            let text = String::from_utf8(text).unwrap().replacen(']', ", 4]", 1);
            editor.replace_file(FILE, text, true).unwrap();
        }
    });
    let _ = journal.materialise();
    let was_there = program.calls() >= at;
    program.kill();
    let is_added = person.read_file(FILE).unwrap().windows(3).any(|found| found == b", 4");
    let journal = open(&disk.process()).unwrap();
    let what = || format!("linked {is_linked}, before call {at}, killed {later:?} calls later");
    let status = journal.materialise().unwrap_or_else(|error| panic!("{}: {error}", what()));
    let mut found = journal.get::<Vec<u64>>("b").unwrap().unwrap();
    found.sort_unstable();
    if matches!(status, FileStatus::Current { .. }) {
        let expected: &[u64] = if is_added || found.contains(&4) { &[1, 2, 3, 4] } else { &[1, 2, 3] };
        assert_eq!(found, expected, "{}", what());
    } else {
        // Written over where it lies, of which nobody knows how it ended.
        assert!(is_linked && later.is_some() && found == [1, 2, 3], "{}: {status:?}", what());
    }
    was_there
}

#[test]
fn what_a_program_and_a_person_add_to_one_list_at_one_moment_is_all_there() {
    let mut cases = 0;
    for is_linked in [false, true] {
        for later in [None, Some(0), Some(1), Some(2), Some(3), Some(5), Some(8)] {
            cases += (1..).take_while(|at| added_by_both(is_linked, *at, later)).count();
        }
    }
    println!("{cases} moments at which both added to a list");
    assert!(cases > 100);
}

/// A program is killed before this call while it takes a save over, of which the last write is done to so many bytes, and the
/// person goes back to the text before. Gives whether it was killed.
fn gone_back_after_a_kill(first: u64, done: usize) -> bool {
    let disk = Disk::new();
    let (program, person, last) = (disk.process(), disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    let journal = open(&program).unwrap();
    person.replace_file(FILE, TEXT.replace("\"a\": 0", "\"a\": 5"), true).unwrap();
    program.set_plan(FaultPlan::new().kill_in_write(first, done));
    let _ = journal.materialise();
    let was_killed = program.is_dead();
    program.kill();
    person.replace_file(FILE, TEXT, true).unwrap();
    let journal = open(&last).unwrap();
    for _ in 0..2 {
        // An edit of something else makes durable whatever the log holds.
        journal.append(Op::set("c", 1)).unwrap();
        let status = journal.materialise().unwrap();
        assert!(
            matches!(status, FileStatus::Current { .. }),
            "killed before call {first}, {done} bytes done: {status:?}"
        );
    }
    assert_eq!(journal.get::<u64>("a").unwrap(), Some(0), "killed before call {first}, {done} bytes done");
    was_killed
}

#[test]
fn who_goes_back_to_the_text_before_a_save_that_was_half_taken_over_has_that_text() {
    let mut cases = 0;
    for done in [0, 40, 100, 150, 200, 300, 4000] {
        cases += (1..).take_while(|first| gone_back_after_a_kill(*first, done)).count();
    }
    println!("{cases} kills while a save was taken over that was taken back then");
}

/// A person saves before this call of a program that shows an edit and is killed so many calls later; then another one, which
/// had opened the file before, sets what the person has set. Gives whether there was such a call.
fn newer_than_a_save(at: u64, later: u64) -> bool {
    let disk = Disk::new();
    let (program, other, person) = (disk.process(), disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    let (journal, going_on) = (open(&program).unwrap(), open(&other).unwrap());
    going_on.append(Op::set("b[0]".parse::<Path>().unwrap(), 3)).unwrap();
    journal.append(Op::set("b[1]".parse::<Path>().unwrap(), 4)).unwrap();
    program.set_plan(FaultPlan::new().kill_in_write(at + later, 0));
    // Held by a lease: the person tries again.
    let save = |editor: &Process| {
        editor.read_file(FILE).is_ok_and(|text| {
            let text = String::from_utf8(text).unwrap().replace("\"a\": 0", "\"hand\": 7, \"a\": 5");
            editor.replace_file(FILE, text, true).is_ok()
        })
    };
    let is_saved = Arc::new(AtomicBool::new(false));
    let (mut calls, saving, editor) = (0, is_saved.clone(), person.clone());
    program.observe(move |_| {
        calls += 1;
        if calls >= at && !saving.load(Relaxed) {
            saving.store(save(&editor), Relaxed);
        }
    });
    let _ = journal.materialise();
    let was_there = program.calls() >= at;
    program.kill();
    if was_there {
        assert!(is_saved.load(Relaxed) || save(&person));
        going_on.append(Op::set("a", 2)).unwrap();
        let status = going_on.materialise().unwrap();
        let what = || format!("saved before call {at}, killed {later} calls later");
        assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
        let values =
            ["a", "hand", "b[0]", "b[1]"].map(|key| going_on.get::<u64>(key.parse::<Path>().unwrap()).unwrap());
        assert_eq!(values, [Some(2), Some(7), Some(3), Some(4)], "{}", what());
    }
    was_there
}

#[test]
fn an_older_save_does_not_beat_a_newer_edit_though_it_lies_beside_the_file_since_a_kill() {
    let mut cases = 0;
    for later in 0..8 {
        cases += (1..).take_while(|at| newer_than_a_save(*at, later)).count();
    }
    println!("{cases} saves before a kill that were followed by an edit");
}

/// A program is killed before this call while it creates the file, another one makes an edit, and a person saves what was
/// created, changed.
fn save_of_a_new_file(first: u64) -> Option<bool> {
    let disk = Disk::new();
    let (program, other, person) = (disk.process(), disk.process(), disk.process());
    let journal = open(&program).unwrap();
    let going_on = open(&other).unwrap();
    for key in ["a", "b", "c", "d", "e"] {
        journal.append(Op::set(key, 1)).unwrap();
    }
    program.set_plan(FaultPlan::new().kill_in_write(first, 0));
    let _ = journal.materialise();
    let was_killed = program.is_dead();
    program.kill();
    let Ok(text) = person.read_file(FILE) else { return was_killed.then_some(false) };
    let text = String::from_utf8(text).unwrap();
    going_on.append(Op::set("a", 2)).unwrap();
    person.replace_file(FILE, text.replace("  \"b\": 1,\n", "").replace("\"c\": 1", "\"c\": 7"), true).unwrap();
    let status = going_on.materialise().unwrap();
    assert!(matches!(status, FileStatus::Current { .. }), "killed before call {first}: {status:?}");
    let values = ["a", "b", "c", "d"].map(|key| going_on.get::<u64>(key).unwrap());
    assert_eq!(values, [Some(2), None, Some(7), Some(1)], "killed before call {first}, {text}");
    was_killed.then_some(true)
}

#[test]
fn a_save_of_a_file_that_was_just_created_by_one_who_was_killed_changes_what_the_person_changed() {
    let created = (1..).map_while(save_of_a_new_file).filter(|is_there| *is_there).count();
    println!("{created} kills of one who had created the file");
    assert!(created > 0);
}

/// Two saves fall into one exchange of a program that is killed before this call. The second is made by one who sees what
/// the program shows in between, or, where leases keep that from everybody, read the file before. Gives whether it was killed.
fn two_saves_in_one_exchange(leases: bool, killed: u64) -> bool {
    let disk = Disk::new();
    disk.set_rules(|rules| rules.leases = leases);
    let (program, person) = (disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    let journal = open(&program).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    program.set_plan(FaultPlan::new().kill_at(killed));
    let saves = Arc::new(AtomicU32::new(0));
    let save = |person: &Process, nth: u32, read: Option<&str>| {
        let text = read.map_or_else(|| String::from_utf8(person.read_file(FILE).unwrap()).unwrap(), str::to_owned);
        let saved = text.replacen("{\n", &format!("{{\n  \"hand{nth}\": {nth},\n"), 1);
        person.replace_file(FILE, saved, true).unwrap();
    };
    let (counted, other) = (saves.clone(), person.clone());
    program.observe(move |seen| {
        let nth = counted.load(Relaxed) + 1;
        if seen.call == Call::Rename && seen.number < killed && nth < 3 {
            save(&other, nth, leases.then_some(TEXT));
            counted.store(nth, Relaxed);
        }
    });
    let _ = journal.materialise();
    let was_killed = program.calls() >= killed;
    program.kill();
    (saves.load(Relaxed) + 1..3).for_each(|nth| save(&person, nth, None));
    let journal = open(&disk.process()).unwrap_or_else(|error| panic!("killed before call {killed}: {error}"));
    let status = journal.materialise().unwrap_or_else(|error| panic!("killed before call {killed}: {error}"));
    assert!(matches!(status, FileStatus::Current { .. }), "killed before call {killed}: {status:?}");
    for (key, value) in [("a", 1), ("hand1", 1), ("hand2", 2)] {
        assert_eq!(journal.get::<u64>(key).unwrap(), Some(value), "{key}, killed before call {killed}");
    }
    was_killed
}

#[test]
fn of_two_saves_that_fall_into_one_exchange_the_values_of_both_are_there() {
    for leases in [true, false] {
        let cases = (1..).take_while(|killed| two_saves_in_one_exchange(leases, *killed)).count();
        println!("{cases} kills around two saves");
        assert!(cases > 20);
    }
}

/// A person saves before this call of a program that shows an edit, and asks for the file again so many calls later, to save
/// once more; or the program is killed so many calls after that. Gives whether there were so many calls.
fn read_after_a_save(at: u64, later: u64, killed: Option<u64>) -> bool {
    let disk = Disk::new();
    let (program, person) = (disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    let journal = open(&program).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    let add = |text: &[u8], line: &str| String::from_utf8(text.to_vec()).unwrap().replacen("{\n", line, 1);
    let read = Arc::new(Mutex::new(None));
    let (mut calls, mut saved, mut asked) = (0, None, None);
    let (editor, dying, kept) = (person.clone(), program.clone(), read.clone());
    program.observe(move |_| {
        calls += 1;
        if calls >= at && saved.is_none() {
            // Held by a lease: the person tries again.
            let Ok(text) = editor.read_file(FILE) else { return };
            editor.replace_file(FILE, add(&text, "{\n  \"first\": 1,\n"), true).unwrap();
            saved = Some(calls);
        }
        let since = saved.and_then(|saved| (calls - saved).checked_sub(later));
        if since == Some(0) {
            asked = Some(editor.ask(FILE).unwrap());
        }
        if since.is_some() && since == killed {
            dying.kill();
        }
        if let Some(Ok(text)) = asked.as_ref().map(|asked| asked.read_all()) {
            *kept.lock().unwrap() = Some(text);
            asked = None;
        }
    });
    let _ = journal.materialise();
    program.observe(|_| ());
    let what = || format!("saved before call {at}, read {later} calls later, killed {killed:?} calls later");
    if killed.is_some() {
        if !program.is_dead() {
            return false;
        }
        let journal = open(&disk.process()).unwrap();
        let status = journal.materialise().unwrap();
        assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
        let found = ["a", "first"].map(|key| journal.get::<u64>(key).unwrap());
        assert_eq!(found, [Some(1), Some(1)], "{}", what());
        return true;
    }
    let Some(text) = read.lock().unwrap().take() else { return false };
    let shown = String::from_utf8_lossy(&text);
    assert!(shown.contains("\"first\": 1") && shown.ends_with("}\n"), "{}: {shown}", what());
    person.replace_file(FILE, add(&text, "{\n  \"second\": 2,\n"), true).unwrap();
    let status = journal.materialise().unwrap();
    assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
    for (key, value) in [("first", 1), ("second", 2)] {
        assert_eq!(journal.get::<u64>(key).unwrap(), Some(value), "{key}, {}", what());
    }
    true
}

/// Every moment of a save, and of a reading after it.
fn reads_after_a_save(killed: Option<u64>) -> usize {
    let each = (1..).map(|at| (0..).take_while(|later| read_after_a_save(at, *later, killed)).count());
    each.take_while(|cases| *cases > 0).sum()
}

#[test]
fn who_reads_the_file_right_after_a_save_finds_that_save() {
    let cases = reads_after_a_save(None);
    println!("{cases} reads after a save");
    assert!(cases > 1000);
}

#[test]
fn a_save_is_there_that_somebody_was_about_to_read_when_the_program_was_killed() {
    let cases: usize = [1, 2, 3, 5, 8].map(|killed| reads_after_a_save(Some(killed))).iter().sum();
    println!("{cases} kills while somebody was about to read what was saved");
    assert!(cases > 10_000);
}

#[test]
fn a_file_that_lags_is_read_once_and_not_at_every_edit() {
    let disk = Disk::seeded(7);
    disk.process().replace_file(FILE, TEXT, true).unwrap();
    let (one, other) = (disk.process(), disk.process());
    let (journal_of_one, journal) = (open(&one).unwrap(), open(&other).unwrap());
    // The file is exchanged by one process, and lags again before the other looks.
    journal_of_one.append(Op::increment("a", 1)).unwrap();
    journal_of_one.materialise().unwrap();
    journal_of_one.append(Op::increment("a", 1)).unwrap();

    let reads = Arc::new(AtomicU32::new(0));
    let counted = reads.clone();
    other.observe(move |seen| {
        if seen.call == Call::Read && seen.path == std::path::Path::new(FILE) {
            counted.fetch_add(1, Relaxed);
        }
    });
    journal.append(Op::increment("a", 1)).unwrap();
    assert!(reads.load(Relaxed) > 0, "it changed, and somebody may have saved it");
    reads.store(0, Relaxed);
    for _ in 0..3 {
        journal.append(Op::increment("a", 1)).unwrap();
    }
    assert_eq!(reads.load(Relaxed), 0, "an edit costs the edit, whatever the size of the file");

    // But what is saved by hand is seen at the next edit.
    disk.process().replace_file(FILE, TEXT.replace("\"a\": 0", "\"a\": 100"), true).unwrap();
    journal.append(Op::increment("a", 1)).unwrap();
    assert_eq!(journal.get::<u64>("a").unwrap(), Some(101));
}
