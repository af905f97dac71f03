//! Programs that are killed and a person who saves, in any order: each value is the one that was set last, by whomever.
//!
//! What a person sets by a save is what differs from the text that was in the file then, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Disk, FaultPlan, Limits, Process};
use cfgwal::{Behind, FileStatus, Journal, Materialise, Op, Path, RecoverOptions, Value, View};

use crate::dice::Dice;

const FILE: &str = "/settings.json";
const OTHER: &str = "/other.json";
const PROGRAMS: usize = 3;
const KEYS: [&str; 6] = ["w.wa", "w.wb", "p.pa", "p.pb", "top", "list[0].la"];
const FIRST: &str = r#"{
  "w": {
    "wa": 0,
    "wb": 0,
    "k1": 1
  },
  "p": {
    "pa": 0,
    "pb": 0,
    "k2": 1
  },
  "list": [
    {
      "la": 0,
      "k3": 1
    }
  ],
  "top": 0,
  "k4": [1, 2, 3, 4, 5, 6]
}
"#;

type Values = BTreeMap<&'static str, Option<u64>>;

fn is_whole(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

fn values_in(text: &str) -> Values {
    let all: serde_json::Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"));
    let pointer = |key: &str| format!("/{}", key.replace('.', "/").replace("[0]", "/0"));
    KEYS.iter().map(|key| (*key, all.pointer(&pointer(key)).and_then(serde_json::Value::as_u64))).collect()
}

/// The text again with these values, keys in another order, laid out in another way.
fn remade(values: &Values, draw: &mut Dice) -> String {
    let (gap, nl) = draw.of(&[("  ", "\n"), ("", ""), (" ", " "), ("\t", "\n")]);
    let pairs = |prefix: &str, more: &str, draw: &mut Dice| {
        let own = |key: &&&str| key.strip_prefix(prefix).is_some_and(|rest| !rest.contains('.'));
        let mut lines: Vec<String> = KEYS
            .iter()
            .filter(own)
            .filter_map(|key| values[key].map(|value| format!("\"{}\": {value}", &key[prefix.len()..])))
            .collect();
        lines.push(more.to_owned());
        for at in (1..lines.len()).rev() {
            lines.swap(at, draw.below(at as u64 + 1) as usize);
        }
        format!("{{{nl}{}{nl}}}", lines.join(&format!(",{nl}{gap}")))
    };
    let mut parts = vec![
        format!("\"w\": {}", pairs("w.", "\"k1\": 1", draw)),
        format!("\"p\": {}", pairs("p.", "\"k2\": 1", draw)),
        format!("\"list\": [{}]", pairs("list[0].", "\"k3\": 1", draw)),
        "\"k4\": [1, 2, 3, 4, 5, 6]".to_owned(),
    ];
    parts.extend(values["top"].map(|top| format!("\"top\": {top}")));
    for at in (1..parts.len()).rev() {
        parts.swap(at, draw.below(at as u64 + 1) as usize);
    }
    format!("{{{nl}{}{nl}}}{nl}", parts.join(&format!(",{nl}{gap}")))
}

/// What each value may be.
#[derive(Clone)]
struct Expected(BTreeMap<&'static str, BTreeSet<Option<u64>>>);

/// Saves of which it is not certain that somebody has taken them over.
struct Saves {
    /// What the values were, and could have been, before the first save that need not be taken over yet.
    before: Expected,
    /// What the first of them, and each that came later, was made on.
    bases: Vec<Values>,
}

/// What became of what a program did.
#[derive(Debug, Default)]
struct Done {
    acknowledged: bool,
    /// The file shows all of it.
    current: bool,
    failed: Option<cfgwal::Error>,
}

/// One of the things that programs do: set, show, both, fold together, and a short command.
fn act(journal: &Journal, what: u64, set: Op) -> Done {
    let mut done = Done::default();
    let acknowledged = match what {
        0..=3 | 7 => Some(journal.append(set)),
        9 => Some(journal.append_last(set, None)),
        _ => None,
    };
    match acknowledged {
        Some(Ok(_)) => done.acknowledged = true,
        Some(Err(error)) => done.failed = Some(error),
        None => {}
    }
    match what {
        4..=7 => done.current = matches!(journal.materialise(), Ok(FileStatus::Current { .. })),
        8 => drop(journal.compact()),
        _ => {}
    }
    done
}

struct World {
    disk: Disk,
    person: Process,
    draw: Dice,
    next: u64,
    expected: Expected,
    pending: Option<Saves>,
    /// A save may lie beside the file, where a program was killed. Another save before it is back goes on, and the one
    /// beside goes to quarantine.
    beside: Option<Expected>,
    /// Texts that were in the file.
    texts: Vec<String>,
    programs: Vec<Option<(Process, Journal)>>,
    /// It is written over where it lies.
    stays: bool,
    /// The power may be cut.
    cuts: bool,
    story: Vec<String>,
}

fn try_open(process: &Process) -> Result<Journal, cfgwal::Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

impl World {
    fn new(seed: u64, cuts: bool) -> World {
        let mut draw = Dice::seeded(seed);
        let disk = Disk::seeded(seed);
        let person = disk.process();
        let mode = if cuts { 2 + draw.below(6) } else { draw.below(8) };
        // Two saves within one tick of the clock look the same if they are of one length.
        disk.set_rules(|rules| rules.timestamp_tick = std::time::Duration::from_nanos(1));
        let is_linked = mode == 0;
        person.write_file(FILE, FIRST).unwrap();
        if is_linked {
            person.link_file(FILE, OTHER).unwrap();
        }
        if mode == 1 {
            disk.set_rules(|rules| rules.exchange = false);
        }
        if mode == 2 {
            disk.set_rules(|rules| rules.leases = false);
        }
        disk.settle();
        let expected = Expected(KEYS.iter().map(|key| (*key, BTreeSet::from([Some(0)]))).collect());
        World {
            disk,
            person,
            draw,
            next: 1,
            expected,
            pending: None,
            beside: None,
            texts: vec![FIRST.to_owned()],
            programs: (0..PROGRAMS).map(|_| None).collect(),
            stays: is_linked || mode == 1,
            cuts,
            story: vec![format!("mode {mode}")],
        }
    }

    fn text(&mut self) -> String {
        let text = String::from_utf8(self.disk.read(FILE).unwrap()).unwrap();
        if self.texts.last() != Some(&text) && is_whole(&text) {
            self.texts.push(text.clone());
        }
        text
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn told(&mut self, what: String) {
        self.story.push(what);
    }

    fn killed(&mut self, at: usize) {
        if let Some((process, journal)) = self.programs[at].take() {
            process.kill();
            drop(journal);
        }
    }

    /// A program opens, sets, shows, folds together; perhaps it is killed meanwhile, or the person saves meanwhile.
    fn program(&mut self) {
        let at = self.draw.below(PROGRAMS as u64) as usize;
        let what = self.draw.below(10);
        let is_killed = self.draw.below(2) == 0;
        let is_saved = self.draw.below(3) == 0;
        let later = self.draw.below(6);
        let after = 1 + self.draw.below(if what < 4 { 14 } else { 40 });
        let done = self.draw.of(&[0, 0, 9, 100, 4000]);
        let (key, value) = (self.draw.of(&KEYS), self.fresh());
        let value = if self.draw.below(6) == 0 { self.draw.below(value) } else { value };
        self.told(format!(
            "program {at} does {what} with {key} {value}, killed {is_killed} saved {is_saved} {after} {later} {done}"
        ));
        self.text();
        let (process, opened) = match self.programs[at].take() {
            Some((process, journal)) => (process, Some(journal)),
            None => (self.disk.process(), None),
        };
        let plan = if is_killed {
            FaultPlan::new().kill_in_write(after + if is_saved { later } else { 0 }, done)
        } else {
            FaultPlan::new()
        };
        process.set_plan(plan);
        let coming = if is_saved { Some(self.saved_before_call(&process, after)) } else { None };
        let mut done = Done::default();
        let outcome = opened.map_or_else(|| try_open(&process), Ok);
        if let Ok(journal) = &outcome {
            done = act(journal, what, Op::set(key.parse::<Path>().unwrap(), value));
        }
        process.observe(|_| ());
        process.set_plan(FaultPlan::new());
        let is_dead = process.is_dead();
        if is_dead {
            process.kill();
        }
        for error in outcome.as_ref().err().into_iter().chain(&done.failed) {
            assert!(is_dead, "{error}");
        }
        self.told(format!("-> dead {is_dead}, {done:?}"));
        let saved = coming.and_then(|coming| coming.lock().unwrap().take());
        self.expect_edit(key, value, &done, what, saved, is_dead);
        match outcome {
            Ok(journal) if !is_dead => self.programs[at] = Some((process, journal)),
            other => drop(other),
        }
        self.text();
    }

    /// A program has set a value, or tried to, and perhaps a person saved meanwhile.
    fn expect_edit(
        &mut self,
        key: &'static str,
        value: u64,
        done: &Done,
        what: u64,
        saved: Option<(String, String)>,
        is_dead: bool,
    ) {
        let is_tried = matches!(what, 0..=3 | 7 | 9);
        let Some((from, to)) = saved else {
            let may = self.expected.0.get_mut(key).unwrap();
            if done.acknowledged {
                may.clear();
            }
            may.extend(is_tried.then_some(Some(value)));
            if done.acknowledged || done.current {
                self.pending = None;
            } else if let (Some(pending), true) = (&mut self.pending, is_tried) {
                pending.before.0.get_mut(key).unwrap().insert(Some(value));
            }
            return;
        };
        self.told(format!("meanwhile saved {:?} on {:?} {to}", values_in(&to), values_in(&from)));
        let (before, had_pending) = (self.expected.clone(), self.pending.is_some());
        self.expect_save(&from, &to);
        if is_tried {
            let is_sure = done.acknowledged && !had_pending && values_in(&to)[key] == values_in(&from)[key];
            let may = self.expected.0.get_mut(key).unwrap();
            if is_sure {
                may.clear();
            }
            may.insert(Some(value));
            let pending = self.pending.as_mut().unwrap();
            pending.before.0.get_mut(key).unwrap().insert(Some(value));
        }
        if is_dead {
            let beside = self.beside.get_or_insert_with(|| before.clone());
            for key in KEYS {
                beside.0.get_mut(key).unwrap().extend(&before.0[key]);
            }
            beside.0.get_mut(key).unwrap().insert(Some(value));
        }
    }

    /// A save between two calls: what it was made on and what it made of that are found in the second.
    #[allow(clippy::type_complexity, reason = "both texts, once there is a save")]
    fn saved_before_call(&mut self, process: &Process, at: u64) -> Arc<Mutex<Option<(String, String)>>> {
        let made = Arc::new(Mutex::new(None));
        let (key, value) = (self.draw.of(&KEYS), self.fresh());
        let (is_remade, in_place) = (self.draw.below(2) == 0, self.stays || (!self.cuts && self.draw.below(2) == 0));
        let mut draw = Dice::seeded(self.draw.below(u64::MAX));
        let (person, result) = (self.person.clone(), made.clone());
        let (disk, cuts) = (self.disk.clone(), self.cuts);
        let mut calls = 0;
        process.observe(move |_| {
            calls += 1;
            if calls != at {
                return;
            }
            let Ok(from) = person.read_file(FILE) else { return };
            let from = String::from_utf8(from).unwrap();
            if !is_whole(&from) {
                return;
            }
            let mut values = values_in(&from);
            values.insert(key, Some(value));
            let to = if is_remade { remade(&values, &mut draw) } else { patched(&from, &values) };
            let saved = if in_place { person.write_file(FILE, &to) } else { person.replace_file(FILE, &to, true) };
            if saved.is_ok() {
                if cuts {
                    disk.settle();
                }
                *result.lock().unwrap() = Some((from, to));
            }
        });
        made
    }

    fn save(&mut self) {
        let from = self.text();
        if !is_whole(&from) {
            return; // One who was killed while writing it over left half of it.
        }
        let now = values_in(&from);
        let mut values = now.clone();
        // Which text the file showed last may be lost in a power cut: who puts back what a program has set is not known then.
        let kind = if self.cuts { self.draw.of(&[0, 1, 3, 7]) } else { self.draw.below(8) };
        let older = self.draw.of(&(0..self.texts.len()).collect::<Vec<_>>());
        let older_values = values_in(&self.texts[older]);
        let mut text = None;
        match kind {
            0 | 1 => {
                let (key, value) = (self.draw.of(&KEYS), self.fresh());
                values.insert(key, Some(value));
            }
            2 => {
                // One value put back, another set.
                let (key, other, value) = (self.draw.of(&KEYS), self.draw.of(&KEYS), self.fresh());
                values.insert(key, older_values[key]);
                if self.draw.below(2) == 0 {
                    values.insert(other, Some(value));
                }
            }
            3 => {
                let key = self.draw.of(&KEYS);
                let was_gone = self.texts.iter().any(|text| values_in(text)[key].is_none());
                values.insert(key, if self.cuts && was_gone { Some(self.fresh()) } else { None });
            }
            4 | 5 => {
                let back = if kind == 4 { self.texts.len().saturating_sub(2) } else { older };
                text = Some(self.texts[back].clone());
            }
            6 => {
                for key in KEYS {
                    if self.draw.below(3) == 0 {
                        values.insert(key, older_values[key]);
                    }
                }
            }
            _ => {}
        }
        let is_remade = self.draw.below(2) == 0;
        let to =
            text.unwrap_or_else(|| if is_remade { remade(&values, &mut self.draw) } else { patched(&from, &values) });
        let to = if self.cuts { to + &"\n".repeat(self.fresh() as usize) } else { to };
        // Nor does anything tell who went back to the older text to the letter since the newer one was written over it.
        let to = if self.stays { to + &"\n".repeat(self.fresh() as usize) } else { to };
        let in_place = self.stays || (!self.cuts && self.draw.below(2) == 0);
        if in_place {
            self.person.write_file(FILE, &to).unwrap();
        } else {
            self.person.replace_file(FILE, &to, true).unwrap();
        }
        if self.cuts {
            self.disk.settle();
        }
        self.told(format!("save {kind} of {:?} on {now:?} {to}", values_in(&to)));
        self.expect_save(&from, &to);
        self.text();
    }

    fn expect_save(&mut self, from: &str, to: &str) {
        let (from, to) = (values_in(from), values_in(to));
        if let Some(beside) = &self.beside {
            for key in KEYS {
                self.expected.0.get_mut(key).unwrap().extend(&beside.0[key]);
            }
        }
        let before = self.expected.clone();
        for key in KEYS {
            if from[key] == to[key] {
                continue;
            }
            let mut may = BTreeSet::from([to[key]]);
            if let Some(pending) = &self.pending
                && pending.bases.iter().any(|base| base[key] == to[key])
            {
                // Perhaps nobody saw the save before this one.
                may.extend(pending.before.0[key].iter());
            }
            self.expected.0.insert(key, may);
        }
        let pending = self.pending.get_or_insert(Saves { before: before.clone(), bases: Vec::new() });
        for key in KEYS {
            pending.before.0.get_mut(key).unwrap().extend(&before.0[key]);
        }
        pending.bases.push(from);
    }

    /// All programs end or are killed, another one looks.
    fn check(&mut self) {
        let process = self.disk.process();
        let mut journal = try_open(&process).unwrap();
        let mut status = journal.materialise().unwrap();
        let mut is_accepted = false;
        if matches!(status, FileStatus::Behind { why: Behind::Pending, .. }) {
            // What a killed program had appended became durable meanwhile.
            status = journal.materialise().unwrap();
        }
        if matches!(status, FileStatus::Behind { why: Behind::Unfinished | Behind::Shrunk, .. }) {
            self.told(format!("held back {status:?}"));
            drop(journal);
            let mut options = RecoverOptions::default();
            options.accept_file = true;
            let open = Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone();
            Journal::recover_seated(open, FILE, &options).unwrap();
            journal = try_open(&process).unwrap();
            status = journal.materialise().unwrap();
            is_accepted = true;
            self.told("accepted".to_owned());
        }
        assert!(matches!(status, FileStatus::Current { .. }), "{status:?}");
        // What killed programs had appended is durable now, or never will be.
        self.text();
        journal.append(Op::set("z", self.fresh())).unwrap();
        let status = journal.materialise().unwrap();
        assert!(matches!(status, FileStatus::Current { .. }), "{status:?}");
        let text = self.text();
        self.told("checked".to_owned());
        let shown = values_in(&text);
        for key in KEYS {
            let found = journal.get::<u64>(key.parse::<Path>().unwrap()).unwrap();
            assert_eq!(found, shown[key], "{key}: {text}");
            let may = &self.expected.0[key];
            // What was held back is older than what programs did since; and after a kill while the file was written over
            // nobody knows which text it was made on.
            assert!(is_accepted || may.contains(&found), "{key} is {found:?} and not one of {may:?}: {text}");
            self.expected.0.insert(key, BTreeSet::from([found]));
        }
        (self.pending, self.beside) = (None, None);
        process.kill();
        drop(journal);
    }

    fn look(&mut self) {
        if self.pending.is_some() {
            return;
        }
        let process = self.disk.process();
        let view = View::open_seated(&process.seat(), FILE).unwrap();
        for key in KEYS {
            let found = view.state().root().get(&key.parse::<Path>().unwrap()).and_then(Value::as_u64);
            let may = &self.expected.0[key];
            if !matches!(view.file_status(), FileStatus::Behind { why: Behind::Unfinished | Behind::Shrunk, .. }) {
                assert!(may.contains(&found), "a look: {key} is {found:?} and not one of {may:?}");
            }
        }
        self.told("looked".to_owned());
    }

    fn power_cut(&mut self) {
        (0..PROGRAMS).for_each(|at| self.killed(at));
        let seed = self.draw.below(u64::MAX);
        let image = self.disk.random_images(&Limits::default(), seed).next().unwrap();
        self.disk = Disk::from_image(&image);
        self.person = self.disk.process();
        self.told("power cut".to_owned());
        self.text();
    }

    fn run(&mut self) {
        let steps = 3 + self.draw.below(12);
        for _ in 0..steps {
            match self.draw.below(20) {
                0..=9 => self.program(),
                10..=15 => self.save(),
                16 => self.look(),
                17 => {
                    let at = self.draw.below(PROGRAMS as u64) as usize;
                    self.killed(at);
                    self.told(format!("killed {at}"));
                }
                18 if self.cuts => self.power_cut(),
                _ => self.check(),
            }
        }
        self.check();
        (0..PROGRAMS).for_each(|at| self.killed(at));
        self.check();
    }
}

/// The text with these values in the places where it has them, everything else as it is.
fn patched(text: &str, values: &Values) -> String {
    let mut out = text.to_owned();
    for key in KEYS {
        let name = key.rsplit(['.']).next().unwrap();
        let mark = format!("\"{name}\": ");
        let Some(at) = out.find(&mark) else {
            if let (Some(value), None) = (values[key], values_in(&out)[key]) {
                let parent = key.rsplit_once('.').map_or("{".to_owned(), |(parent, _)| {
                    parent.strip_suffix("[0]").map_or(format!("\"{parent}\": {{"), |_| "[{".to_owned())
                });
                if let Some(at) = out.find(&parent) {
                    out.insert_str(at + parent.len(), &format!("\"{name}\": {value}, "));
                }
            }
            continue;
        };
        let begin = at + mark.len();
        let end = begin + out[begin..].find(|c: char| !c.is_ascii_digit()).unwrap();
        match values[key] {
            Some(value) => out.replace_range(begin..end, &value.to_string()),
            None => {
                // The comma behind it, or before it.
                if out[end..].starts_with(',') {
                    out.replace_range(at..=end, "");
                } else if let Some(comma) = out[..at].rfind(',') {
                    out.replace_range(comma..end, "");
                }
            }
        }
    }
    out
}

/// How many cases to try, `CFGWAL_BY_HAND` if that is set, from the seed in `CFGWAL_SEED` on.
fn try_all(cases: u64, cuts: bool) {
    let number = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let (first, cases) = (number("CFGWAL_SEED", 0), number("CFGWAL_BY_HAND", cases));
    for seed in first..first + cases {
        let mut world = World::new(seed, cuts);
        let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
        (0..PROGRAMS).for_each(|at| world.killed(at));
        if let Err(why) = outcome {
            println!("CFGWAL_SEED={seed} CFGWAL_BY_HAND=1 replays this:\n{}", world.story.join("\n"));
            resume_unwind(why);
        }
    }
    println!("{cases} stories of programs that are killed and a person who saves");
}

#[test]
fn each_value_is_the_one_that_was_set_last_by_a_program_or_by_hand() {
    try_all(2000, false);
}

#[test]
fn and_so_it_is_after_power_cuts() {
    try_all(1000, true);
}
