//! kill -9 by the thousand: one process or several on a store, each killed at a moment of its own, looked at by the library
//! before and after anything is put right.
//!
//! Input and answers are files, so that nothing has to be fed or read while the moment passes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use cfgwal::document::{self, Format};
use cfgwal::{FileStatus, Journal, Op, Path, Value, View};
use tempfile::TempDir;

use crate::support::dice::Dice;
use crate::support::{Store, long};

/// How many lines a process gets: more than it can answer before it is killed.
const LINES: u64 = 400;

/// What one of the writers of a store was told, over all its lives.
#[derive(Default)]
struct Writer {
    /// The newest number that was acknowledged or seen by somebody, and the newest that was sent.
    told: u64,
    sent: u64,
}

/// A life of a writer, from its start to its end.
struct Life {
    child: Child,
    /// The number that each of its lines writes, `None`: the line is no such edit.
    lines: Vec<Option<u64>>,
    answers: std::path::PathBuf,
}

/// A file as it is before anybody writes: what somebody saves by hand is counted in it.
struct Beginning {
    format: Format,
    text: &'static str,
}

const JSON: Beginning = Beginning { format: Format::Json, text: "{\n  \"saved\": 0\n}\n" };
const YAML: Beginning = Beginning { format: Format::Yaml, text: "# head\nsaved: 0 # by hand\n" };
const TOML: Beginning = Beginning { format: Format::Toml, text: "# head\nsaved = 0 # by hand\n" };

/// A store, and everybody who writes to it.
struct Lane {
    store: Store,
    format: Format,
    scratch: TempDir,
    dice: Dice,
    writers: Vec<Writer>,
    drawn: BTreeSet<u64>,
    increments_sent: u64,
    kills: u64,
    acknowledged: u64,
    /// What somebody saved by hand while nobody was writing.
    saved: u64,
}

impl Lane {
    fn new(writers: usize, Beginning { format, text }: Beginning, dice: Dice) -> Lane {
        let store = Store::with(text);
        store.ok(&["init", "settings.json", "--format", &format.to_string()]);
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory under target/tmp");
        Lane {
            store,
            format,
            scratch,
            dice,
            writers: (0..writers).map(|_| Writer::default()).collect(),
            drawn: BTreeSet::new(),
            increments_sent: 0,
            kills: 0,
            acknowledged: 0,
            saved: 0,
        }
    }

    fn start(&mut self, who: usize) -> Life {
        let mut text = String::new();
        let mut lines = Vec::new();
        for _ in 0..LINES {
            let number = match self.dice.below(100) {
                0..60 => {
                    self.writers[who].sent += 1;
                    let n = self.writers[who].sent;
                    let filling = "x".repeat(self.dice.below(if n.is_multiple_of(16) { 9000 } else { 60 }) as usize);
                    text += &format!(
                        "{{\"op\":\"txn\",\"ops\":[{{\"op\":\"set\",\"path\":\"w{who}.first\",\"value\":{n}}},\
                         {{\"op\":\"set\",\"path\":\"w{who}.filling\",\"value\":\"{filling}\"}},\
                         {{\"op\":\"set\",\"path\":\"w{who}.last\",\"value\":{n}}}]}}\n"
                    );
                    Some(n)
                }
                60..90 => {
                    self.increments_sent += 1;
                    text += "{\"op\":\"increment\",\"path\":\"n\"}\n";
                    None
                }
                90..97 => {
                    text += "{\"op\":\"materialise\"}\n";
                    None
                }
                _ => {
                    text += "{\"op\":\"compact\"}\n";
                    None
                }
            };
            lines.push(number);
        }
        let (input, answers) =
            (self.scratch.path().join(format!("in-{who}")), self.scratch.path().join(format!("out-{who}")));
        File::create(&input).and_then(|mut file| file.write_all(text.as_bytes())).expect("the input is written");
        let mut command = self.store.command(&["batch"]);
        command.stdin(File::open(input).expect("the input"));
        command.stdout(File::create(&answers).expect("a file for the answers")).stderr(Stdio::null());
        Life { child: command.spawn().expect("the command starts"), lines, answers }
    }

    /// Kills a process, and notes what it had acknowledged.
    fn kill(&mut self, who: usize, mut life: Life) {
        life.child.kill().expect("it is not waited for yet");
        let status = life.child.wait().expect("it ends");
        self.kills += u64::from(status.signal() == Some(9));
        let answers = fs::read_to_string(&life.answers).expect("the answers");
        for (answer, number) in answers.split_inclusive('\n').zip(life.lines) {
            // An answer is given when it is whole.
            let Some(answer) = answer.strip_suffix('\n') else { break };
            let answer: serde_json::Value = serde_json::from_str(answer).expect("an answer is JSON");
            if answer["error"]["code"] == "outcome_unknown" {
                // Compactions retired the segment that healed its own before it could look: neither promised nor denied.
                continue;
            }
            assert_eq!(answer["ok"], true, "{answer}");
            self.acknowledged += 1;
            if let Some(number) = number {
                self.writers[who].told = number;
            } else if let Some(drawn) = answer["value"].as_u64() {
                assert!(self.drawn.insert(drawn), "{drawn} was drawn twice");
            }
        }
    }

    /// What must hold at any moment, whoever writes meanwhile: what was acknowledged is there, and what anybody has seen
    /// stays there.
    fn look(&mut self, at: &str) {
        self.parsed(at);
        let view = View::open(self.store.file()).unwrap_or_else(|error| panic!("{at}: {error}"));
        assert_eq!(view.damage(), None, "{at}");
        self.check(&view, at);
    }

    /// What the file says by itself. Comments stay whatever happens.
    fn parsed(&self, at: &str) -> Value {
        let text = self.store.text();
        assert!(
            self.format == Format::Json || text.starts_with("# head\n") && text.contains(" # by hand\n"),
            "{at}: {text}"
        );
        let parsed = document::parse(&self.format, text.as_bytes());
        parsed.unwrap_or_else(|error| panic!("{at}: the file does not parse: {error}: {text}"))
    }

    fn check(&mut self, view: &View, at: &str) {
        let number = |path: &str| number(view.state().root(), path);
        for (who, writer) in self.writers.iter_mut().enumerate() {
            let (first, last) = (number(&format!("w{who}.first")), number(&format!("w{who}.last")));
            assert_eq!(first, last, "{at}: half a transaction of writer {who}");
            let possible = writer.told..=writer.sent;
            assert!(
                possible.contains(&last),
                "{at}: writer {who} was told {possible:?}, and {last} is there, in {view:?}, the file {:?}, edited by hand: {}",
                view.file_status(),
                view.hand_edit().is_some()
            );
            writer.told = last;
        }
        let n = number("n");
        let newest = self.drawn.last().copied().unwrap_or(0);
        assert!((newest..=self.increments_sent).contains(&n), "{at}: {newest} was drawn, and {n} is there");
        assert_eq!(number("saved"), self.saved, "{at}: what was saved by hand");
    }

    /// The next command needs no clean-up, and leaves nothing over.
    fn go_on(&mut self, round: u64, at: &str) {
        let journal = Journal::open(self.store.file()).unwrap_or_else(|error| panic!("{at}: {error}"));
        journal.append(Op::set("round", round)).unwrap_or_else(|error| panic!("{at}: {error}"));
        let status = journal.close().unwrap_or_else(|error| panic!("{at}: {error}"));
        assert!(matches!(status, FileStatus::Current { .. }), "{at}: {status:?}");
        let view = self.store.assert_sound(at);
        self.check(&view, at);
        let file = self.parsed(at);
        assert_eq!((number(&file, "round"), number(&file, "saved")), (round, self.saved), "{at}");
    }

    /// Kills so many.
    fn run(&mut self, kills: u64) {
        let mut round = 0;
        while self.kills < kills {
            round += 1;
            let at = format!("round {round} of {} writers", self.writers.len());
            let mut lives: Vec<(usize, Life)> = (0..self.writers.len()).map(|who| (who, self.start(who))).collect();
            while !lives.is_empty() {
                // Often while it starts and recovers, now and then in full course.
                let longest = if self.dice.below(4) == 0 { 25_000 } else { 6000 };
                thread::sleep(self.dice.delay(Duration::from_micros(longest)));
                let (who, life) = lives.swap_remove(self.dice.below(lives.len() as u64) as usize);
                self.kill(who, life);
                self.look(&at);
            }
            match self.dice.below(4) {
                // The next command is one of those that are killed.
                0 => {}
                1 => self.save(),
                _ => self.go_on(round, &at),
            }
        }
        self.go_on(0, "at the end");
    }

    /// Somebody saves the file, which may show less than the log holds: with one number changed where it stands, or, in
    /// JSON, as a script does that sorts the keys.
    fn save(&mut self) {
        self.saved += 1;
        let text = self.store.text();
        let text = if self.format == Format::Json && self.dice.below(2) == 0 {
            let mut file: serde_json::Value = serde_json::from_str(&text).expect("the file parses");
            file["saved"] = self.saved.into();
            serde_json::to_string(&file).expect("JSON")
        } else {
            let after = text.find("saved").expect("it is counted") + "saved".len();
            let (before, rest) = text.split_at(after + text[after..].find(char::is_numeric).expect("a number"));
            format!("{before}{}{}", self.saved, rest.trim_start_matches(char::is_numeric))
        };
        if self.dice.below(2) == 0 {
            return self.store.write(&text);
        }
        let temporary = self.store.dir().join("editor");
        fs::write(&temporary, text).expect("the text is written");
        fs::rename(&temporary, self.store.file()).expect("the file is replaced");
    }
}

/// The number at a path; none is there before it is written for the first time.
fn number(root: &Value, path: &str) -> u64 {
    root.get(&path.parse::<Path>().expect("a path")).map_or(0, |value| value.to().expect("a number"))
}

#[test]
fn two_thousand_kills_lose_nothing_that_was_acknowledged() {
    let kills = if long() { 20_000 } else { 2000 };
    let mut dice = Dice::new();
    // One process alone, and two, three, five at once.
    let lanes = [(1, JSON), (1, TOML), (2, JSON), (3, YAML), (5, JSON)];
    let mut lanes: Vec<Lane> = lanes.map(|(writers, file)| Lane::new(writers, file, dice.fork())).into();
    let each = kills / lanes.len() as u64;
    thread::scope(|scope| lanes.iter_mut().for_each(|lane| drop(scope.spawn(|| lane.run(each)))));
    let (killed, told): (u64, u64) = (lanes.iter().map(|l| l.kills).sum(), lanes.iter().map(|l| l.acknowledged).sum());
    println!("{killed} kills, {told} acknowledged");
    assert!(killed >= kills && told > kills, "{killed} kills, {told} acknowledged: no proof");
}

#[test]
fn a_first_edit_killed_four_hundred_times_leaves_no_journal_or_a_whole_one() {
    let rounds = if long() { 4000 } else { 400 };
    let mut dice = Dice::new();
    let lane = |mut dice: Dice| {
        let mut kills = 0;
        for round in 0..rounds / 4 {
            let store = if dice.below(3) == 0 { Store::empty() } else { Store::with("{\"a\": 1}") };
            let before = store.file().exists().then(|| store.text());
            let writers = 1 + dice.below(3);
            let start = |n| {
                let value = format!("{{\"n\": {n}}}");
                let mut command = store.command(&["merge", &value]);
                command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts")
            };
            let children: Vec<Child> = (0..writers).map(start).collect();
            thread::sleep(dice.delay(Duration::from_micros(6000)));
            let mut done = false;
            for mut child in children {
                child.kill().expect("it is not waited for yet");
                let status = child.wait().expect("it ends");
                kills += u64::from(status.signal() == Some(9));
                done |= status.success();
            }
            let at = format!("round {round}, {writers} writers, done: {done}");
            match View::open(store.file()) {
                Ok(view) => {
                    assert_eq!(view.damage(), None, "{at}");
                    assert!(view.revision() <= writers && (view.revision() > 0 || !done), "{at}: {}", view.revision());
                }
                Err(cfgwal::Error::Missing { .. }) => assert!(before.is_none() && !done, "{at}"),
                Err(error) => panic!("{at}: {error}"),
            }
            let journal = Journal::open(store.file()).unwrap_or_else(|error| panic!("{at}: {error}"));
            journal.append(Op::set("b", 2)).unwrap_or_else(|error| panic!("{at}: {error}"));
            assert_eq!(journal.get::<u64>("a").expect("a number"), before.map(|_| 1), "{at}");
            drop(journal);
            // Journals that never got their name go too.
            store.assert_sound(&at);
        }
        kills
    };
    let kills: u64 = thread::scope(|scope| {
        let lanes: Vec<_> = (0..4).map(|_| dice.fork()).map(|dice| scope.spawn(move || lane(dice))).collect();
        lanes.into_iter().map(|lane| lane.join().expect("a lane does not panic")).sum()
    });
    println!("{kills} kills");
    assert!(kills > rounds / 2, "{kills} kills: no proof");
}
