//! Records of every shape, torn at every size: whole or not there at all, with everything before them, never called damage.
//!
//! Recovery judges the bytes of the segment directly; a share of the cases is opened as a whole journal as well. `CFGWAL_ALL` tries
//! more patterns and opens more journals. A failure prints `CFGWAL_TORN='...'`: with that in the environment,
//! `cargo test --test simulated a_torn_record -- --nocapture` tries this one case alone.

use std::fmt;
use std::sync::Arc;

use cfgwal::sim::{DiskImage, Trial};
use cfgwal::{Op, State, Transaction, Value};

use crate::after_crash::{At, Known, Shares, Tally, Truth, check, open, timeless_disk};
use crate::crash_states::on_all_cores;

const DIR: &str = "/settings.json.cfgwal";
const SIZES: std::ops::RangeInclusive<usize> = 1..=512;

/// What is written last, and torn.
#[derive(Clone)]
enum Last {
    /// Edits in one write.
    Edits(Vec<Transaction>),
    /// The note that says that the config file shows the newest revision.
    Note,
}

#[derive(Clone)]
struct Shape {
    name: String,
    last: Last,
    /// Where in a page its first byte lies; anywhere if it does not matter.
    at: Option<u64>,
}

/// A store with a record at its end that may be torn.
struct Store {
    name: String,
    image: DiskImage,
    trial: Trial,
    segment: String,
    /// The last write, frame by frame, padding left out.
    frames: Vec<std::ops::Range<usize>>,
    end: usize,
    /// What is there with so many of the frames.
    states: Vec<(u64, u64, State)>,
}

fn text(len: usize) -> String {
    (0..len).map(|at| char::from(b'a' + (at * 7 % 26) as u8)).collect()
}

fn shapes() -> Vec<Shape> {
    let edit = |name: &str, edit: Transaction| Shape { name: name.into(), last: Last::Edits(vec![edit]), at: None };
    let new = Transaction::new;
    let mut shapes = vec![
        edit("set", new().set("a", 7)),
        edit("set-null", new().set("a", Value::Null)),
        edit(
            "set-object",
            new().set("o", [("x", Value::from(1)), ("y", Value::object())].into_iter().collect::<Value>()),
        ),
        edit("set-deep", new().set("a1.b2.c3.d4.e5.f6", true)),
        edit("set-float", new().set("a", 0.1)),
        edit("set-empty-text", new().set("a", "")),
        edit("remove", new().remove("kept")),
        edit("merge", new().merge("o", [("x", Value::Null), ("z", Value::from("new"))].into_iter().collect::<Value>())),
        edit("increment", new().increment("n", 5)),
        edit("push", new().push("list", "element")),
        edit("insert", new().insert("list.0", "first")),
        edit("move", new().move_to("kept", "moved")),
        edit("test", new().test("n", 1).set("n", 2)),
        edit("test-absent", new().test_absent("nothing").set("n", 2)),
        edit(
            "place",
            new().op(Op::Place { path: "o.w".parse().unwrap(), value: Value::from(3), before: Some("x".into()) }),
        ),
        edit("idempotent", new().set("a", 8).idempotent("key-of-a-request")),
        edit("many-ops", (0..24).fold(new(), |edit, n| edit.set(format!("k{n}").as_str(), n))),
        edit("zeros", new().set("a", "\0".repeat(200))),
        edit("text-500", new().set("a", text(500))),
        edit("text-2500", new().set("a", text(2500))),
        Shape {
            name: "two-in-one-write".into(),
            last: Last::Edits(vec![new().set("a", 1), new().set("b", text(60))]),
            at: None,
        },
        Shape {
            name: "four-in-one-write".into(),
            last: Last::Edits((0..4).map(|n| new().set(format!("s{n}").as_str(), text(30))).collect()),
            at: None,
        },
        Shape { name: "note".into(), last: Last::Note, at: None },
    ];
    // At a border, with the border in the header, and with the border right behind it.
    for (border, name) in [(512, "sector"), (4096, "page")] {
        for before in [0, 8, 24, 40] {
            shapes.push(Shape {
                name: format!("{name}-border-{before}"),
                last: Last::Edits(vec![new().set("a", text(90))]),
                at: Some((border - before) % border + if border == 512 { 512 } else { 0 }),
            });
        }
    }
    shapes
}

/// The frames in a write, their padding left out: the length of a payload stands in the header.
fn frames(bytes: &[u8], from: usize, end: usize) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = from;
    while at < end {
        let len = u32::from_le_bytes(bytes[at + 12..at + 16].try_into().unwrap()) as usize;
        found.push(at..at + 40 + len);
        at += (40 + len).next_multiple_of(8);
    }
    found
}

impl Store {
    fn of(shape: &Shape) -> Store {
        let mut filler = 8;
        for _ in 0..6 {
            let store = Store::with_filler(shape, filler);
            let Some(at) = shape.at else { return store };
            let short = (at + 4096 - store.frames[0].start as u64 % 4096) % 4096;
            if short == 0 {
                return store;
            }
            filler = if short > 4088 { filler + short as usize - 4096 } else { filler + short as usize };
        }
        panic!("{}: no filler brings it there", shape.name);
    }

    fn with_filler(shape: &Shape, filler: usize) -> Store {
        let disk = timeless_disk();
        let process = disk.process();
        let journal = open(&process).unwrap();
        let object = [("x", Value::from(1)), ("y", Value::from(2))].into_iter().collect::<Value>();
        journal.append(Transaction::new().set("kept", "as it was").set("o", object)).unwrap();
        journal.append(Transaction::new().set("n", 1).push("list", 1)).unwrap();
        journal.append(Op::set("filler", text(filler))).unwrap();
        let trial = |disk: &cfgwal::sim::Disk| Trial::of(&disk.process().seat(), DIR).unwrap();
        let state = |journal: &cfgwal::Journal| journal.snapshot().unwrap().state().clone();
        let mut before = trial(&disk);
        let judged = before.judge().unwrap();
        let mut states = vec![(judged.sequence, judged.revision, judged.state)];
        match &shape.last {
            Last::Edits(edits) => {
                let mut next = state(&journal);
                for edit in edits {
                    next.apply(&edit.ops).unwrap();
                    let (sequence, revision, _) = states[states.len() - 1];
                    states.push((sequence + 1, revision + 1, next.clone()));
                }
                let pending: Vec<_> = edits.iter().map(|edit| journal.submit(edit.clone()).unwrap()).collect();
                pending.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
                assert_eq!(state(&journal), next, "{}", shape.name);
            }
            Last::Note => {
                // The first one writes the file and two notes; what is torn is the last of them.
                journal.materialise().unwrap();
            }
        }
        process.kill();
        let mut after = trial(&disk);
        let (old, new) = (before.segment().clone(), after.segment().clone());
        let start = old.iter().zip(&new).position(|(old, new)| old != new).unwrap() / 8 * 8;
        let end = new.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let mut frames = frames(&new, start, end);
        if let Last::Note = shape.last {
            let (first, (sequence, revision, state)) = (frames.len() as u64 - 1, states.remove(0));
            states = [first, first + 1].map(|notes| (sequence + notes, revision, state.clone())).into();
            frames.drain(..frames.len() - 1);
        }
        let paths = disk.image().paths();
        let segment = paths.iter().rfind(|path| path.to_str().unwrap().starts_with(&format!("{DIR}/wal-"))).unwrap();
        Store {
            name: shape.name.clone(),
            image: disk.image(),
            trial: after,
            segment: segment.to_str().unwrap().to_owned(),
            end: end.next_multiple_of(8),
            frames,
            states,
        }
    }
}

/// What the disk did to one chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Old,
    New,
    Garbage,
}

/// Which patterns of chunks are tried for one torn size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Effort {
    /// Up to so many patterns, all there are.
    all: usize,
    /// Up to so many chunks, all pairs of holes.
    pairs: usize,
    /// One case of so many is opened as a whole journal.
    opened: u64,
}

impl Effort {
    /// What `cargo test` has time for.
    pub(crate) const SHORT: Effort = Effort { all: 729, pairs: 200, opened: 2000 };
    pub(crate) const LONG: Effort = Effort { all: 6561, pairs: 300, opened: 200 };
}

/// The patterns of `count` chunks: all of them where they are few; or else first parts with each way for the chunk at the
/// border, last parts, single holes, single chunks, and pairs of holes.
fn patterns(count: usize, effort: Effort, mut visit: impl FnMut(&[Way])) {
    const WAYS: [Way; 3] = [Way::New, Way::Old, Way::Garbage];
    let all = u32::try_from(count).ok().and_then(|count| 3_usize.checked_pow(count));
    if let Some(all) = all.filter(|all| *all <= effort.all) {
        for n in 0..all {
            visit(&(0..count as u32).map(|at| WAYS[n / 3_usize.pow(at) % 3]).collect::<Vec<_>>());
        }
        return;
    }
    let mut pattern = vec![Way::New; count];
    let mut fill = |make: &dyn Fn(usize) -> Way| {
        pattern.iter_mut().enumerate().for_each(|(at, way)| *way = make(at));
        visit(&pattern);
    };
    let rest = [Way::Old, Way::Garbage];
    for at in 0..count {
        for lost in rest {
            fill(&|n| {
                if n < at {
                    Way::New
                } else if n == at {
                    lost
                } else {
                    Way::Old
                }
            });
            fill(&|n| if n < at { Way::New } else { lost });
            fill(&|n| if n <= at { lost } else { Way::New });
            fill(&|n| if n == at { lost } else { Way::New });
            fill(&|n| if n == at { Way::New } else { lost });
        }
    }
    for one in 0..if count <= effort.pairs { count } else { 0 } {
        for two in one + 1..count {
            for lost in rest {
                fill(&|n| {
                    if n == one {
                        Way::Old
                    } else if n == two {
                        lost
                    } else {
                        Way::New
                    }
                });
            }
        }
    }
}

/// One case, by which it is found again.
struct Place<'a> {
    shape: &'a str,
    size: usize,
    number: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CFGWAL_TORN='{} {} {}'", self.shape, self.size, self.number)
    }
}

/// Bytes that no record is made of, none of them zero.
fn garbage(at: usize) -> u8 {
    (at as u32).wrapping_mul(2_654_435_761).rotate_left(9) as u8 | 1
}

/// Tear the last write of a store into pieces of one size, in every pattern; or in the one with this number.
fn tear(store: &mut Store, size: usize, effort: Effort, only: Option<u64>) -> Tally {
    let mut tally = Tally::default();
    let (start, end) = (store.frames[0].start, store.end);
    // Sectors begin where the disk has them, whatever the size.
    let first = start / size;
    let count = (end - 1) / size + 1 - first;
    let whole = store.trial.segment()[start..end].to_vec();
    let known = Arc::<Known>::default();
    let mut number = 0;
    patterns(count, effort, |pattern| {
        number += 1;
        if only.is_some_and(|only| only != number) {
            return;
        }
        let mut torn = whole.clone();
        for (at, way) in pattern.iter().enumerate() {
            let range = ((first + at) * size).max(start) - start..((first + at + 1) * size).min(end) - start;
            match way {
                Way::New => {}
                Way::Old => torn[range].fill(0),
                Way::Garbage => torn[range.clone()].iter_mut().zip(range).for_each(|(byte, at)| *byte = garbage(at)),
            }
        }
        store.trial.segment()[start..end].copy_from_slice(&torn);
        let place = || Place { shape: &store.name, size, number }.to_string();
        let is_whole = |frame: &std::ops::Range<usize>| {
            let range = frame.start - start..frame.end - start;
            torn[range.clone()] == whole[range]
        };
        let kept = store.frames.iter().take_while(|frame| is_whole(frame)).count();
        let (sequence, revision, state) = &store.states[kept];
        let judged = store.trial.judge().unwrap_or_else(|error| panic!("{}: {error}", place()));
        assert!(!judged.is_damaged, "{}: a torn record is called damage", place());
        assert_eq!((judged.sequence, judged.revision), (*sequence, *revision), "{}", place());
        assert_eq!(judged.state, *state, "{}: another state", place());
        let ends = if kept == store.frames.len() { end } else { store.frames[kept].start };
        let is_torn = torn[ends - start..].iter().any(|byte| *byte != 0);
        assert_eq!(judged.torn, is_torn.then_some(ends as u64), "{}: where it was torn", place());
        tally.states += 1;
        let case = number.wrapping_mul(31).wrapping_add(size as u64);
        if only.is_some() || case % effort.opened == 0 {
            let history = vec![At { revision: *revision, state: state.root().to_string() }];
            let mut truth = Truth { history, acknowledged: *revision, shown: None };
            if store.image.read(crate::after_crash::FILE).is_some() {
                truth.shown = Some(*revision);
            }
            let image = store.image.with_file(&store.segment, store.trial.segment().clone());
            tally += check(&image, &truth, &known, Shares { go_on: 1, cut_again: 64 }, &place);
        }
    });
    store.trial.segment()[start..end].copy_from_slice(&whole);
    tally
}

/// Every shape, torn at each of these sizes. Panics at the first record that comes back as anything but itself; all on this
/// thread, and the same every time.
pub(crate) fn explore(sizes: impl Iterator<Item = usize> + Clone, effort: Effort) -> Tally {
    let mut tally = Tally::default();
    for shape in shapes() {
        tally += tear_shape(&shape, sizes.clone(), effort);
    }
    tally
}

fn tear_shape(shape: &Shape, sizes: impl Iterator<Item = usize>, effort: Effort) -> Tally {
    let mut store = Store::of(shape);
    let mut tally = Tally { runs: 1, ..Tally::default() };
    for size in sizes {
        tally += tear(&mut store, size, effort, None);
    }
    tally
}

#[test]
fn a_torn_record_is_whole_or_not_there_and_never_called_damage() {
    let effort = if std::env::var_os("CFGWAL_ALL").is_some() { Effort::LONG } else { Effort::SHORT };
    if let Ok(place) = std::env::var("CFGWAL_TORN") {
        let [name, size, number] = place.split(' ').collect::<Vec<_>>()[..] else { panic!("three words") };
        let shape = shapes().into_iter().find(|shape| shape.name == name).expect("a shape of this name");
        tear(&mut Store::of(&shape), size.parse().unwrap(), effort, Some(number.parse().unwrap()));
        return;
    }
    let tally = on_all_cores(&shapes(), |shape| tear_shape(shape, SIZES, effort));
    println!(
        "{} torn states of records of {} shapes, at every size from 1 to 512 bytes; {} opened as whole journals",
        tally.states, tally.runs, tally.booted
    );
}

#[test]
fn torn_records_are_the_same_every_time() {
    let few = || [1, 7, 64, 512].into_iter();
    assert_eq!(explore(few(), Effort::SHORT), explore(few(), Effort::SHORT));
}
