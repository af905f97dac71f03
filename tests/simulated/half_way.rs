//! A person who is half way through a save while programs are killed and others go on, in every format: no line of either
//! side is lost, whatever the steps of the save are and wherever they fall.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Call, Disk, FaultPlan, Handle, Process, SyncFault, Times};
use cfgwal::{Behind, FileStatus, Journal, Materialise, Op, Path, RecoverOptions, Value};

use crate::dice::Dice;

const PROGRAMS: usize = 3;
/// Values that programs set.
const KEYS: [&str; 4] = ["w0", "w1", "w2", "w3"];
/// Lines that nobody touches, so that no save drops most of the text.
const KEPT: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];

/// A format of which every value has a line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Toml,
    Yaml,
    Csv,
}

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Kind::Json => "/settings.json",
            Kind::Toml => "/settings.toml",
            Kind::Yaml => "/settings.yaml",
            Kind::Csv => "/settings.csv",
        }
    }

    fn line(self, key: &str, value: u64) -> String {
        match self {
            Kind::Json => format!("  \"{key}\": {value},\n"),
            Kind::Toml => format!("{key} = {value}\n"),
            Kind::Yaml => format!("{key}: {value}\n"),
            Kind::Csv => format!("{key},{value}\n"),
        }
    }

    fn head(self) -> &'static str {
        match self {
            Kind::Json => "{\n",
            Kind::Toml | Kind::Yaml => "# Head\n",
            Kind::Csv => "id,value\n",
        }
    }

    fn tail(self) -> &'static str {
        if self == Kind::Json { "  \"end\": 0\n}\n" } else { "" }
    }

    fn first_text(self) -> String {
        let lines: String = KEYS.iter().chain(&KEPT).chain(&["saved"]).map(|key| self.line(key, 0)).collect();
        format!("{}{lines}{}", self.head(), self.tail())
    }

    /// The text once a person has added a line and changed another.
    fn saved(self, text: &str, save: u64) -> Option<String> {
        let mark = self.line("saved", 0);
        let mark = mark.trim_end_matches(|c| !char::is_alphabetic(c) && c != '"');
        let at = text.lines().position(|line| line.trim_start().starts_with(mark.trim_start()))?;
        let rest = text.strip_prefix(self.head())?;
        if self.tail() != "" && text.matches(self.tail()).count() != 1 {
            return None; // One who was killed while writing it over left half of it: nobody saves that.
        }
        let heads = self.head().lines().count();
        let mut saved = self.head().to_owned() + &self.line(&format!("hand{save}"), save);
        for (nth, line) in rest.split_inclusive('\n').enumerate() {
            if nth + heads == at { saved.push_str(&self.line("saved", save)) } else { saved.push_str(line) }
        }
        Some(saved)
    }

    fn path(self, key: &str) -> Path {
        let text = if self == Kind::Csv { format!("{key}.value") } else { key.to_owned() };
        text.parse().unwrap()
    }

    fn value(self, value: u64) -> Value {
        if self == Kind::Csv { Value::from(value.to_string()) } else { Value::from(value) }
    }

    fn number(self, value: Option<&Value>) -> Option<u64> {
        let text = value?.to_string();
        text.trim_matches('"').parse().ok()
    }
}

/// How a save is made, step by step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A new file, renamed over the old one.
    Rename,
    /// Moves the old file out of the way, and names a new one later.
    MoveAway,
    /// Gives the old file a second name, and renames a new one over it later.
    Backup,
    /// Opened, and written over later.
    HeldOpen,
    /// Emptied at once, written later.
    Truncate,
}

const STYLES: [Style; 5] = [Style::Rename, Style::MoveAway, Style::Backup, Style::HeldOpen, Style::Truncate];

enum Stage {
    Idle,
    /// Nobody saves twice within one exchange.
    Rests(u64),
    /// It asked for a file that is leased, by its number, and what it will do with it.
    Waits(u64),
    Open(Handle, u64, String),
    Gone(u64, String),
    Linked(u64),
}

/// A person who saves again and again.
struct Editor {
    kind: Kind,
    process: Process,
    draw: Dice,
    style: Style,
    stage: Stage,
    /// One in so many steps a save begins; 0: none begins.
    often: u64,
    nth: u64,
    /// The saves that were made.
    made: BTreeSet<u64>,
    /// Saves made, or asked for, while a program ran that was killed then, and nobody has put in order what it left.
    adrift: BTreeSet<u64>,
    /// Those for which that is so of the save before, too: which of the two is the newer nobody can tell.
    unordered: BTreeSet<u64>,
    story: Vec<String>,
}

impl Editor {
    fn step(&mut self) {
        let later = |left: u64| left > 1;
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Idle if self.often > 0 && self.draw.below(self.often) == 0 => {
                let style = self.draw.of(&STYLES);
                self.begin(style);
            }
            Stage::Idle => {}
            Stage::Rests(left) if later(left) => self.stage = Stage::Rests(left - 1),
            Stage::Rests(_) => {}
            Stage::Waits(ino) => self.opened(Some(ino)),
            Stage::Open(file, left, text) if later(left) => self.stage = Stage::Open(file, left - 1, text),
            Stage::Open(file, _, text) => {
                file.write_at(&text, 0).unwrap();
                file.set_len(text.len() as u64).unwrap();
                self.is_made(&text);
            }
            Stage::Gone(left, text) if later(left) => self.stage = Stage::Gone(left - 1, text),
            Stage::Gone(_, text) => {
                // Somebody has put another there: the person begins again.
                if self.process.metadata(self.kind.file()).is_none() {
                    self.process.replace_file(self.kind.file(), &text, true).unwrap();
                    self.is_made(&text);
                }
            }
            Stage::Linked(left) if later(left) => self.stage = Stage::Linked(left - 1),
            Stage::Linked(_) => self.rename(),
        }
    }

    fn is_made(&mut self, text: &str) {
        self.story.push(format!("    save {} is made: {text:?}", self.nth));
        self.made.insert(self.nth);
        self.stage = Stage::Rests(20);
    }

    fn begin(&mut self, style: Style) {
        let file = self.kind.file();
        self.style = style;
        let left = 1 + self.draw.below(40);
        match self.style {
            Style::Rename => self.rename(),
            Style::MoveAway => {
                let Some(text) = self.text(file) else { return };
                self.process.rename_file(file, "/backup").unwrap();
                self.story.push(format!("    moved away for save {}", self.nth));
                self.stage = Stage::Gone(left, text);
            }
            Style::Backup => {
                let _ = self.process.remove_file("/backup");
                if self.process.link_file(file, "/backup").is_ok() {
                    self.story.push(format!("    linked for save {}", self.nth + 1));
                    self.stage = Stage::Linked(left);
                }
            }
            Style::HeldOpen | Style::Truncate => self.opened(None),
        }
    }

    /// A program was killed that began after this save.
    fn is_left(&mut self, since: u64) {
        let asked = u64::from(matches!(self.stage, Stage::Waits(_)));
        for save in since + 1..=self.nth + asked {
            if self.adrift.contains(&(save - 1)) {
                self.unordered.insert(save);
            }
            self.adrift.insert(save);
        }
    }

    /// What is to be saved.
    fn text(&mut self, path: &str) -> Option<String> {
        let text = String::from_utf8(self.process.read_file(path).ok()?).unwrap();
        let saved = self.kind.saved(&text, self.nth + 1)?;
        self.nth += 1;
        Some(saved)
    }

    fn rename(&mut self) {
        let file = self.kind.file();
        if let Some(text) = self.text(file) {
            self.process.replace_file(file, &text, true).unwrap();
            self.is_made(&text);
        }
    }

    fn opened(&mut self, found: Option<u64>) {
        let file = self.kind.file();
        let Ok(ino) = found.map_or_else(|| self.process.number_of(file), Ok) else { return };
        let held = match self.process.hold_found(ino) {
            Ok(held) => held,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.stage = Stage::Waits(ino);
                return;
            }
            Err(_) => return,
        };
        // It may have another name by now.
        let names = self.process.names("/").unwrap();
        let paths = names.iter().map(|name| format!("/{name}"));
        let path = paths.into_iter().find(|path| self.process.number_of(path).is_ok_and(|found| found == ino));
        let Some(path) = path else { return };
        let Some(text) = self.text(&path) else { return };
        self.story.push(format!("    opened {path} for save {} ({:?})", self.nth, self.style));
        if self.style == Style::Truncate {
            held.set_len(0).unwrap();
        }
        self.stage = Stage::Open(held, 1 + self.draw.below(40), text);
    }

    /// Come to an end.
    fn finish(&mut self) {
        self.often = 0;
        while !matches!(self.stage, Stage::Idle) {
            self.step();
        }
    }
}

struct World {
    kind: Kind,
    disk: Disk,
    draw: Dice,
    next: u64,
    /// What each value of the programs may be.
    expected: BTreeMap<&'static str, BTreeSet<u64>>,
    editor: Arc<Mutex<Editor>>,
    programs: Vec<Option<(Process, Journal)>>,
    story: Vec<String>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut draw = Dice::seeded(seed);
        let disk = Disk::seeded(seed);
        let kind = draw.of(&[Kind::Json, Kind::Toml, Kind::Yaml, Kind::Csv]);
        let mode = draw.below(4);
        disk.set_rules(|rules| {
            rules.timestamp_tick = std::time::Duration::from_nanos(1);
            rules.nameless = mode != 0;
        });
        let process = disk.process();
        process.write_file(kind.file(), kind.first_text()).unwrap();
        disk.settle();
        let often = draw.of(&[15, 30, 60, 200]);
        let editor = Editor {
            kind,
            process,
            draw: Dice::seeded(draw.below(u64::MAX)),
            style: Style::Rename,
            stage: Stage::Idle,
            often,
            nth: 0,
            made: BTreeSet::new(),
            adrift: BTreeSet::new(),
            unordered: BTreeSet::new(),
            story: Vec::new(),
        };
        let world = World {
            kind,
            disk,
            draw,
            next: 0,
            expected: KEYS.iter().map(|key| (*key, BTreeSet::from([0]))).collect(),
            editor: Arc::new(Mutex::new(editor)),
            programs: (0..PROGRAMS).map(|_| None).collect(),
            story: vec![format!("{kind:?}, mode {mode}, a save in {often} calls")],
        };
        drop(world.open(&world.disk.process()).unwrap());
        world
    }

    fn told(&mut self, what: String) {
        let mut editor = self.editor.lock().unwrap();
        self.story.append(&mut editor.story);
        self.story.push(what);
    }

    fn open(&self, process: &Process) -> Result<Journal, cfgwal::Error> {
        Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(self.kind.file())
    }

    fn watched(&self, process: &Process) {
        let editor = self.editor.clone();
        process.observe(move |_| editor.lock().unwrap().step());
    }

    /// A program sets a value, shows it, or both, or folds the log together; perhaps it is killed meanwhile.
    fn program(&mut self) {
        let at = self.draw.below(PROGRAMS as u64) as usize;
        let what = self.draw.below(8);
        let killed = (self.draw.below(2) == 0).then(|| (1 + self.draw.below(60), self.draw.of(&[0, 0, 9, 100, 4000])));
        let (key, value) = (self.draw.of(&KEYS), self.next + 1);
        self.next = value;
        self.told(format!("program {at} does {what} with {key} {value}, killed {killed:?}"));
        let (process, opened) = match self.programs[at].take() {
            Some((process, journal)) => (process, Some(journal)),
            None => (self.disk.process(), None),
        };
        process.set_plan(killed.map_or_else(FaultPlan::new, |(call, done)| FaultPlan::new().kill_in_write(call, done)));
        self.watched(&process);
        let since = self.editor.lock().unwrap().nth;
        let outcome = opened.map_or_else(|| self.open(&process), Ok);
        let op = || Op::set(self.kind.path(key), self.kind.value(value));
        let done = outcome.as_ref().ok().and_then(|journal| {
            let done = match what {
                0..=3 => Some(journal.append(op())),
                4 => Some(journal.append_last(op(), None)),
                _ => None,
            };
            match what {
                3..=6 => drop(journal.materialise()),
                7 => drop(journal.compact()),
                _ => {}
            }
            done
        });
        process.observe(|_| ());
        process.set_plan(FaultPlan::new());
        let is_dead = process.is_dead();
        let shows = matches!(what, 3..=7);
        match self.editor.lock().unwrap() {
            mut editor if is_dead => editor.is_left(since),
            mut editor if shows => editor.adrift.clear(),
            _ => {}
        }
        let is_acknowledged = matches!(done, Some(Ok(_)));
        if let Some(Err(error)) = &done {
            assert!(is_dead, "{error}");
        }
        if what <= 4 {
            let may = self.expected.get_mut(key).unwrap();
            if is_acknowledged {
                may.clear();
            }
            may.insert(value);
        }
        self.told(format!("-> dead {is_dead}, acknowledged {is_acknowledged}"));
        match outcome {
            Ok(journal) if !is_dead => self.programs[at] = Some((process, journal)),
            other => {
                process.kill();
                drop(other);
            }
        }
    }

    /// What a person moves out of the way is written anew, since another one says so, while the first one goes on.
    fn accept(&mut self) {
        self.check();
        self.edit_unseen();
        let often = {
            let mut editor = self.editor.lock().unwrap();
            editor.begin(Style::MoveAway);
            std::mem::take(&mut editor.often)
        };
        let process = self.disk.process();
        self.told("recover --accept-file".to_owned());
        let killed = (self.draw.below(2) == 0).then(|| 1 + self.draw.below(150));
        process.set_plan(killed.map_or_else(FaultPlan::new, |call| FaultPlan::new().kill_at(call)));
        self.watched(&process);
        let mut options = RecoverOptions::default();
        options.accept_file = true;
        let open = Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone();
        let _ = Journal::recover_seated(open, self.kind.file(), &options);
        process.observe(|_| ());
        process.kill();
        self.editor.lock().unwrap().often = often;
    }

    /// An edit that the file does not show.
    fn edit_unseen(&mut self) {
        let process = self.disk.process();
        let (key, value) = (self.draw.of(&KEYS), self.next + 1);
        self.next = value;
        self.told(format!("unseen {key} {value}"));
        let journal = self.open(&process).unwrap();
        journal.append(Op::set(self.kind.path(key), self.kind.value(value))).unwrap();
        self.expected.insert(key, BTreeSet::from([value]));
        process.kill();
        drop(journal);
    }

    /// The person finishes, all programs end or are killed, another one looks.
    fn check(&mut self) {
        let often = {
            let mut editor = self.editor.lock().unwrap();
            let often = editor.often;
            editor.finish();
            often
        };
        self.told("finished".to_owned());
        for at in 0..PROGRAMS {
            if let Some((process, journal)) = self.programs[at].take() {
                process.kill();
                drop(journal);
            }
        }
        let (made, last, is_unordered) = {
            let editor = self.editor.lock().unwrap();
            let last = editor.made.last().copied().unwrap_or(0);
            (editor.made.clone(), last, editor.unordered.contains(&last))
        };
        let process = self.disk.process();
        let mut journal = self.open(&process).unwrap();
        let mut status = journal.materialise().unwrap();
        if !matches!(status, FileStatus::Current { .. }) {
            status = journal.materialise().unwrap();
        }
        let mut is_accepted = false;
        if matches!(status, FileStatus::Behind { why: Behind::Removed | Behind::Unfinished, .. }) {
            // The person began again and has not gone on; or a file with two names was being written over.
            self.told(format!("held back {status:?}"));
            is_accepted = true;
            drop(journal);
            let mut options = RecoverOptions::default();
            options.accept_file = true;
            let open = Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone();
            Journal::recover_seated(open, self.kind.file(), &options).unwrap();
            journal = self.open(&process).unwrap();
        }
        // What killed programs had appended is durable now, or never will be.
        journal.append(Op::set(self.kind.path("z"), self.kind.value(last))).unwrap();
        status = journal.materialise().unwrap();
        assert!(matches!(status, FileStatus::Current { .. }), "{status:?}");
        let text = String::from_utf8(self.disk.read(self.kind.file()).unwrap()).unwrap();
        self.told(format!("checked {text:?}"));
        let state = journal.snapshot().unwrap().state().clone();
        let value = |key: &str| self.kind.number(state.root().get(&self.kind.path(key)));
        for (key, may) in &mut self.expected {
            let found = value(key).unwrap_or_else(|| panic!("{key} is gone: {text}"));
            assert!(is_accepted || may.contains(&found), "{key} is {found} and not one of {may:?}: {text}");
            assert!(text.contains(self.kind.line(key, found).trim_end_matches(",\n")), "{key} {found}: {text}");
            *may = BTreeSet::from([found]);
        }
        for save in made {
            assert_eq!(value(&format!("hand{save}")), Some(save), "save {save} is lost: {text}");
        }
        let saved = value("saved").unwrap_or_else(|| panic!("no save: {text}"));
        assert!(saved == last || saved + 1 == last && is_unordered, "{saved}: {text}");
        process.kill();
        drop(journal);
        self.editor.lock().unwrap().often = often;
    }

    fn run(&mut self) {
        for _ in 0..2 + self.draw.below(14) {
            match self.draw.below(20) {
                0..=15 => self.program(),
                16 => self.accept(),
                17 => {
                    let steps = self.draw.below(50);
                    (0..steps).for_each(|_| self.editor.lock().unwrap().step());
                }
                _ => self.check(),
            }
        }
        self.check();
    }
}

#[test]
fn a_save_that_is_half_way_when_a_program_is_killed_and_another_goes_on_is_not_lost() {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (first, cases) = (number("CFGWAL_SEED", 0), number("CFGWAL_HALF_WAY", 1500));
    for seed in first..first + cases {
        let mut world = World::new(seed);
        let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
        for (process, journal) in world.programs.iter_mut().filter_map(Option::take) {
            process.kill();
            drop(journal);
        }
        if let Err(why) = outcome {
            world.told(String::new());
            println!("CFGWAL_SEED={seed} CFGWAL_HALF_WAY=1 replays this:\n{}", world.story.join("\n"));
            resume_unwind(why);
        }
    }
    println!("{cases} stories of a person who is half way through a save");
}

fn open(process: &Process) -> Journal {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE).unwrap()
}

const FILE: &str = "/settings.json";
const TEXT: &str = "{\n  \"a\": 1,\n  \"b\": 1,\n  \"c\": 1\n}\n";

/// A person moves the file away and saves its text, changed, before this call of a program that writes the file anew, or
/// once that program has been killed before this call. Gives whether there was such a call.
fn saved_while_written_anew(at: u64, is_killed: bool) -> bool {
    let disk = Disk::new();
    let (program, person) = (disk.process(), disk.process());
    person.write_file(FILE, TEXT).unwrap();
    drop(open(&program));
    let journal = open(&program);
    journal.append(Op::set("a", 2)).unwrap();
    program.kill();
    drop(journal);
    person.rename_file(FILE, "/backup").unwrap();
    let save = move || {
        // Somebody has put another there: the person would begin again.
        if person.metadata(FILE).is_none() {
            let text = TEXT.replace("  \"b\": 1,\n", "").replace("\"c\": 1", "\"c\": 7");
            person.replace_file(FILE, text, true).unwrap();
        }
    };
    let program = disk.process();
    let plan = FaultPlan::new();
    program.set_plan(if is_killed { plan.kill_at(at) } else { plan });
    if !is_killed {
        let save = save.clone();
        program.observe(move |seen| {
            if seen.number == at {
                save();
            }
        });
    }
    let mut options = RecoverOptions::default();
    options.accept_file = true;
    let open_as = Journal::options().materialise(Materialise::Manual).seat(program.seat()).alone();
    let _ = Journal::recover_seated(open_as, FILE, &options);
    let was_there = program.calls() >= at;
    program.kill();
    save();
    let journal = open(&disk.process());
    let status = journal.materialise().unwrap();
    let text = String::from_utf8(disk.read(FILE).unwrap()).unwrap();
    let what = || format!("call {at}, killed {is_killed}: {text}");
    assert!(matches!(status, FileStatus::Current { .. }), "{}: {status:?}", what());
    assert_eq!(journal.get::<u64>("a").unwrap(), Some(2), "{}", what());
    if text.contains("\"c\": 7") {
        assert_eq!(journal.get::<u64>("b").unwrap(), None, "{}", what());
    }
    was_there
}

#[test]
fn a_save_of_a_file_that_was_about_to_be_written_anew_changes_what_the_person_changed() {
    for is_killed in [false, true] {
        let cases = (1..).take_while(|at| saved_while_written_anew(*at, is_killed)).count();
        println!("{cases} saves of a file that was about to be written anew, killed: {is_killed}");
        assert!(cases > 50);
    }
}

#[test]
fn a_file_that_never_came_to_be_since_the_disk_failed_does_not_count_as_removed() {
    for (sync, nth) in (1..=4).flat_map(|sync| (1..=80).map(move |nth| (sync, nth))) {
        let disk = Disk::new();
        let program = disk.process();
        let journal = open(&program);
        journal.append(Op::set("a", 1)).unwrap();
        let plan = FaultPlan::new().fail_only(&[Call::Sync], sync, libc::EIO, Times::Once).on_sync(SyncFault::Lost);
        program.set_plan(plan.fail(nth, libc::EIO, Times::Once));
        let _ = journal.materialise();
        program.kill();
        drop(journal);
        let journal = open(&disk.process());
        let status = journal.materialise().unwrap();
        assert!(matches!(status, FileStatus::Current { .. }), "sync {sync} fails, and call {nth}: {status:?}");
    }
}

#[test]
fn a_second_name_that_a_file_gets_before_any_call_of_a_program_stays_one_of_it() {
    for at in 1.. {
        let disk = Disk::new();
        let (program, person) = (disk.process(), disk.process());
        person.write_file(FILE, TEXT).unwrap();
        let journal = open(&program);
        journal.append(Op::set("a", 2)).unwrap();
        program.set_plan(FaultPlan::new());
        let linking = person.clone();
        program.observe(move |seen| {
            if seen.number == at {
                let _ = linking.link_file(FILE, "/other");
            }
        });
        let _ = journal.materialise();
        if program.calls() < at {
            assert!(at > 30);
            return;
        }
        program.observe(|_| ());
        journal.append(Op::set("a", 3)).unwrap();
        let status = journal.materialise().unwrap();
        assert!(matches!(status, FileStatus::Current { .. }), "linked before call {at}: {status:?}");
        if let Some(other) = person.metadata("/other") {
            assert_eq!(person.number_of(FILE).unwrap(), other.ino, "linked before call {at}");
        }
    }
}
