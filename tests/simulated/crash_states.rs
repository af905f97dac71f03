//! Every state that a power cut may leave, at every call, after every short sequence of operations.
//!
//! `CFGWAL_CRASH_LENGTH` sets how long the sequences are, and `CFGWAL_ALL` leaves nothing out that is only sampled otherwise.
//! A failure prints `CFGWAL_CRASH='...'`: with that in the environment,
//! `cargo test --test simulated every_crash_state -- --nocapture` tries this one state alone.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Call, Disk, DiskImage, FaultPlan, Limits, Process, StateId, SyncFault, Times};
use cfgwal::{FileStatus, Journal, Op, Transaction, Value, View};

use crate::after_crash::{At, FILE, Known, Shares, Tally, Truth, check, open, timeless_disk};

/// What a sequence is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    SetA,
    SetB,
    Remove,
    Batch,
    Compact,
    Materialise,
    Reopen,
    /// An edit after which the journal is closed; then it is opened again.
    Last,
}

/// What reaches the disk together, in bytes: a sector, and less than any disk writes at once. What is less is tried after
/// shorter sequences.
pub(crate) fn chunks(length: usize) -> &'static [usize] {
    match length {
        0..=2 => &[512, 256, 128, 64, 32, 16, 8],
        3 => &[512, 64, 16],
        _ => &[512, 128],
    }
}

const STEPS: [Step; 8] =
    [Step::SetA, Step::SetB, Step::Remove, Step::Batch, Step::Compact, Step::Materialise, Step::Reopen, Step::Last];

/// A sequence, by the digits of its steps: `014` is SetA, SetB, Compact. A journal that was just made is `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sequence(pub Vec<Step>);

impl fmt::Display for Sequence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return out.write_str("-");
        }
        self.0.iter().try_for_each(|step| write!(out, "{}", *step as u8))
    }
}

/// A crash that was found: after these operations, before this call, leaving this state; and perhaps another one, before
/// this call of the recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub sequence: Sequence,
    pub crashes: Vec<(u64, StateId)>,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = if self.crashes.len() > 1 { "_AGAIN" } else { "" };
        write!(out, "CFGWAL_CRASH{again}='{}", self.sequence)?;
        self.crashes.iter().try_for_each(|(call, state)| write!(out, " {call} {state}"))?;
        write!(out, "' ({:?})", self.sequence.0)
    }
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Place, &'static str> {
        let mut words = text.split(' ');
        let step = |digit: char| digit.to_digit(10).and_then(|at| STEPS.get(at as usize)).copied();
        let steps = words.next().unwrap_or_default().trim_matches('-').chars().map(step).collect::<Option<Vec<_>>>();
        let mut crashes = Vec::new();
        while let (Some(call), Some(state)) = (words.next(), words.next()) {
            let call = call.parse().map_err(|_| "no number of a call")?;
            crashes.push((call, state.parse().map_err(|_| "no id of a state")?));
        }
        Ok(Place { sequence: Sequence(steps.ok_or("no digits of steps")?), crashes })
    }
}

/// Run a sequence, and look at the disk before every call of its last step and after it.
pub(crate) fn run(sequence: &Sequence, look: impl FnMut(&Disk, &Truth, u64) + Send + 'static) {
    let disk = timeless_disk();
    let process = disk.process();
    let truth = Arc::new(Mutex::new(Truth::of_nothing()));
    let look = Arc::new(Mutex::new(look));
    let observe = || {
        let (disk, truth, look) = (disk.clone(), truth.clone(), look.clone());
        let mut last = None;
        process.observe(move |seen| {
            let truth = truth.lock().unwrap().clone();
            let now = (disk.generation(), truth.acknowledged, truth.shown);
            // What is dropped after a failure must not fail as well.
            if last.replace(now) != Some(now) && !std::thread::panicking() {
                look.lock().unwrap()(&disk, &truth, seen.number);
            }
        });
    };
    if sequence.0.is_empty() {
        observe();
    }
    let mut journal = Some(open(&process).unwrap());
    for (at, step) in sequence.0.iter().enumerate() {
        if at + 1 == sequence.0.len() {
            observe();
        }
        take(*step, &mut journal, &process, &truth);
    }
    let truth = truth.lock().unwrap().clone();
    look.lock().unwrap()(&disk, &truth, process.calls() + 1);
    process.kill();
}

fn take(step: Step, journal: &mut Option<Journal>, process: &Process, truth: &Mutex<Truth>) {
    let open_now = journal.as_ref().expect("between two steps it is open");
    let snapshot = open_now.snapshot().unwrap();
    // By the revision and not by the step, so that sequences which do the same leave the same.
    let n = snapshot.revision();
    let edit = match step {
        Step::SetA | Step::Last => Transaction::new().set("a", n),
        Step::SetB => Transaction::new().set("b.c", "x".repeat(20)),
        Step::Remove if open_now.get::<Value>("a").unwrap().is_some() => Transaction::new().remove("a"),
        Step::Remove => return,
        Step::Batch => Transaction::new().set("a", n).set("d", true).increment("n", 1),
        Step::Compact | Step::Materialise => {
            let status = match step {
                Step::Compact => open_now.compact().unwrap().1,
                _ => open_now.materialise().unwrap(),
            };
            let FileStatus::Current { revision } = status else { panic!("{status:?}") };
            truth.lock().unwrap().shown = Some(revision);
            return;
        }
        Step::Reopen => {
            drop(journal.take());
            *journal = Some(open(process).unwrap());
            return;
        }
    };
    let mut next = snapshot.state().clone();
    let changed = next.apply(&edit.ops).unwrap().changed;
    let next = At { revision: n + u64::from(changed), state: next.root().to_string() };
    truth.lock().unwrap().begin(next.clone());
    let is_last = step == Step::Last;
    let ack = if is_last { open_now.append_last(edit, None) } else { open_now.append(edit) }.unwrap();
    assert_eq!(ack.revision, next.revision);
    truth.lock().unwrap().acknowledged = next.revision;
    if is_last {
        let status = journal.take().map(Journal::close).unwrap().unwrap();
        assert_eq!(status, FileStatus::Current { revision: next.revision });
        truth.lock().unwrap().shown = Some(next.revision);
        *journal = Some(open(process).unwrap());
    }
}

/// All sequences of up to so many operations, the shorter ones first. In long ones a last edit comes last: what it leaves
/// is what to open again leaves.
pub(crate) fn sequences(length: usize) -> Vec<Sequence> {
    let mut all = vec![Sequence(Vec::new())];
    let mut from = 0;
    for _ in 0..length {
        let mut shorter = all[from..].to_vec();
        from = all.len();
        shorter.retain(|sequence| sequence.0.len() < 3 || !sequence.0.contains(&Step::Last));
        all.extend(shorter.into_iter().flat_map(|sequence| {
            STEPS.into_iter().map(move |step| Sequence(sequence.0.iter().copied().chain([step]).collect()))
        }));
    }
    all
}

/// Hand every crash state of a sequence that was not met before to `visit`, with what must be true of it.
pub(crate) fn each_crash(
    sequence: &Sequence,
    chunks: &'static [usize],
    known: &Arc<Known>,
    mut visit: impl FnMut(&DiskImage, &Truth, &dyn Fn() -> Place) -> Tally + Send + 'static,
) -> Tally {
    let tally = Arc::new(Mutex::new(Tally { runs: 1, ..Tally::default() }));
    let (known, counted, own) = (known.clone(), tally.clone(), sequence.clone());
    run(sequence, move |disk, truth, call| {
        let key = truth.key();
        let mut tally = Tally::default();
        let images = |chunk: &usize| disk.crash_images(&Limits { most_chunks: 48, ..Limits::chunk(*chunk) });
        for image in chunks.iter().flat_map(images) {
            tally.states += 1;
            if known.is_new(&image, key) {
                tally.distinct += 1;
                let place = || Place { sequence: own.clone(), crashes: vec![(call, image.id())] };
                tally += visit(&image, truth, &place);
            }
        }
        *counted.lock().unwrap() += tally;
    });

    *tally.lock().unwrap()
}

fn explore_sequence(sequence: &Sequence, chunks: &'static [usize], known: &Arc<Known>, shares: Shares) -> Tally {
    let inside = known.clone();
    each_crash(sequence, chunks, known, move |image, truth, place| {
        check(image, truth, &inside, shares, &|| place().to_string())
    })
}

/// Every crash state of every sequence of up to so many operations, as far as whole sectors reach the disk. Panics at the
/// first that breaks a promise; all on this thread, and the same every time.
pub(crate) fn explore(length: usize) -> Tally {
    let known = Arc::default();
    let mut tally = Tally::default();
    for sequence in sequences(length) {
        tally += explore_sequence(&sequence, &[512], &known, Shares { go_on: 8, cut_again: 64 });
    }
    tally
}

/// Do the same to all of these on as many threads as there are cores; the first panic ends them all.
pub(crate) fn on_all_cores<T: Sync>(items: &[T], work: impl Fn(&T) -> Tally + Sync) -> Tally {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let one = || {
        let mut tally = Tally::default();
        while let Some(item) = items.get(next.fetch_add(1, SeqCst)).filter(|_| !failed.load(SeqCst)) {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(item)));
            tally += done.inspect_err(|_| failed.store(true, SeqCst))?;
        }
        Ok::<_, Box<dyn std::any::Any + Send>>(tally)
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..cores).map(|_| scope.spawn(one)).collect();
        for thread in all {
            match thread.join().expect("panics are caught inside") {
                Ok(own) => tally += own,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    tally
}

/// The first crash of a place, as it was found.
pub(crate) fn replay(place: &Place, then: impl Fn(&DiskImage, &Truth) + Send + 'static) {
    let (call, state) = place.crashes.first().expect("a crash").clone();
    let reached = Arc::new(AtomicBool::new(false));
    let here = reached.clone();
    run(&place.sequence, move |disk, truth, now| {
        if now == call {
            here.store(true, SeqCst);
            let image = disk.crash_image(&state).expect("the state is one of this moment");
            println!("{truth:?}\n{image:?}{}", disk.pending());
            then(&image, truth);
        }
    });
    assert!(reached.load(SeqCst), "nobody looked at the disk before call {call}");
}

#[test]
fn every_crash_state_keeps_every_acknowledged_edit() {
    if let Ok(place) = std::env::var("CFGWAL_CRASH") {
        let place: Place = place.parse().expect("CFGWAL_CRASH");
        let own = place.clone();
        return replay(&place, move |image, truth| {
            let all = Shares { go_on: 1, cut_again: 1 };
            check(image, truth, &Known::default(), all, &|| own.to_string());
        });
    }
    let length = length_or(4);
    let known = Arc::default();
    let Tally { runs, states, distinct, booted, continued, again } = on_all_cores(&sequences(length), |sequence| {
        explore_sequence(sequence, chunks(sequence.0.len()), &known, Shares::of_environment())
    });
    println!(
        "{states} crash states, {distinct} of them distinct, after all {runs} sequences of up to {length} operations; \
         {booted} booted, {continued} worked on with, which came to {again} more states of a second crash"
    );
}

#[test]
fn crash_states_are_the_same_every_time() {
    assert_eq!(explore(1), explore(1));
}

/// How long the sequences are: the environment's word, or this.
pub(crate) fn length_or(usual: usize) -> usize {
    std::env::var("CFGWAL_CRASH_LENGTH").ok().map_or(usual, |text| text.parse().expect("CFGWAL_CRASH_LENGTH"))
}

#[test]
fn nor_one_whose_sync_failed_or_never_was_where_the_watermark_is_gone() {
    for has_failed in [false, true] {
        let disk = Disk::new();
        let writer = disk.process();
        let journal = open(&writer).unwrap();
        journal.append(Op::set("early", 1)).unwrap();
        if has_failed {
            // What the kernel could not write counts as clean: it is read, and no later sync of that file writes it.
            let plan = FaultPlan::new().fail_only(&[Call::Sync], 1, libc::EIO, Times::Once);
            writer.set_plan(plan.on_sync(SyncFault::Lost));
        }
        let (killed, mut is_next) = (writer.clone(), false);
        writer.observe(move |seen| {
            let is_sync = seen.call == Call::Sync;
            if is_next || (is_sync && !has_failed) {
                killed.kill();
            }
            is_next = is_sync;
        });
        journal.append(Op::set("late", 2)).unwrap_err();
        disk.process().remove_file(format!("{FILE}.cfgwal/watermark")).unwrap();
        let kept = |image: DiskImage| open(&Disk::from_image(&image).process()).unwrap().snapshot().unwrap().revision();
        assert!(disk.crash_images(&Limits::default()).map(kept).any(|kept| kept == 1), "it was synced already");

        let shown = open(&disk.process()).unwrap().snapshot().unwrap().revision();
        assert_eq!(shown, 2, "it is in the log");
        for image in disk.crash_images(&Limits::default()) {
            let id = image.id().clone();
            assert_eq!(kept(image), shown, "{has_failed}, {id}");
        }
    }
}

/// What is read then may lie in the drive's own cache, which keeps it through a crash of the system, not through a power cut.
#[test]
fn nor_one_that_only_the_drive_remembers_when_the_system_comes_up_again() {
    let disk = Disk::new();
    let journal = open(&disk.process()).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    let process = Disk::from_image(&disk.durable_image()).process();
    let synced = Arc::new(Mutex::new(Vec::new()));
    let seen_synced = synced.clone();
    process.observe(move |seen| {
        if seen.call == Call::Sync {
            seen_synced.lock().unwrap().push(seen.path.to_owned());
        }
    });
    let again = open(&process).unwrap();
    assert_eq!(again.snapshot().unwrap().revision(), 1);
    let is_segment = |path: &std::path::PathBuf| path.to_string_lossy().contains("/wal-");
    assert!(synced.lock().unwrap().iter().any(is_segment), "{synced:?}");
}

/// While one process edits, another looks before every call that the first makes; then the power is cut.
#[test]
fn nobody_sees_an_edit_that_a_crash_can_take_back() {
    let disk = Disk::new();
    let (writer, reader) = (disk.process(), disk.process());
    let journal = open(&writer).unwrap();
    let looks = Arc::new(Mutex::new((0, 0)));
    {
        let (disk, looks) = (disk.clone(), looks.clone());
        let other = open(&reader).unwrap();
        let mut last = None;
        writer.observe(move |seen| {
            if last.replace(disk.generation()) == Some(disk.generation()) {
                return;
            }
            let shown = other.snapshot().unwrap().revision();
            let viewed = View::open_seated(&reader.seat(), FILE).unwrap().revision();
            {
                let mut looks = looks.lock().unwrap();
                *looks = (looks.0 + 1, shown);
            }
            for image in disk.crash_images(&Limits::default()).take(20) {
                let process = Disk::from_image(&image).process();
                let kept = open(&process).unwrap().snapshot().unwrap().revision();
                let place = format!("before call {} ({:?}), state {}", seen.number, seen.call, image.id());
                assert!(kept >= shown.max(viewed), "{place}: {shown} and {viewed} were seen, {kept} is kept");
            }
        });
    }
    for n in 0..4 {
        journal.append(Transaction::new().set("n", n).set("text", "x".repeat(30))).unwrap();
        if n == 2 {
            journal.compact().unwrap();
        }
    }
    let (looks, last_shown) = *looks.lock().unwrap();
    assert!(looks > 15 && last_shown >= 3, "{looks} looks, the last at revision {last_shown}");
}
