//! What must be true of a disk that a crash has left, whatever led there.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use cfgwal::sim::{Disk, DiskImage, Limits, Order, Process};
use cfgwal::{Error, FileStatus, Journal, Materialise, Op, Options, RecoverOptions, View};

pub(crate) const FILE: &str = "/settings.json";

/// Of so many one, chosen by what is on the disk; 1 is all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    /// Recovered disks that work goes on with, where less than sectors were torn. With whole ones it always does.
    pub go_on: u128,
    /// Recovered disks that see the power go at every call of that work.
    pub cut_again: u128,
}

impl Shares {
    /// What `cargo test` has time for, or all where `CFGWAL_ALL` is set.
    pub(crate) fn of_environment() -> Shares {
        if std::env::var_os("CFGWAL_ALL").is_some() {
            Shares { go_on: 1, cut_again: 1 }
        } else {
            Shares { go_on: 8, cut_again: 64 }
        }
    }
}

/// For a crash after a crash: few states of each file, chosen by the same rules.
pub(crate) const FEW: Limits = Limits {
    chunk: 64,
    order: Order::Any,
    all_names: 4,
    all_patterns: 27,
    some_patterns: 27,
    all_files: 200,
    most_chunks: 48,
    each_page: false,
};

/// A disk on which time stands still unless somebody waits: what ends alike is alike, whatever the number of calls.
pub(crate) fn timeless_disk() -> Disk {
    let disk = Disk::new();
    disk.set_rules(|rules| rules.call_time = std::time::Duration::ZERO);
    disk
}

pub(crate) fn options(process: &Process) -> Options {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().command("test")
}

pub(crate) fn open(process: &Process) -> Result<Journal, Error> {
    options(process).open(FILE)
}

/// A config at a revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct At {
    pub revision: u64,
    pub state: String,
}

impl At {
    pub(crate) fn of(journal: &Journal) -> At {
        let snapshot = journal.snapshot().unwrap();
        At { revision: snapshot.revision(), state: snapshot.state().root().to_string() }
    }
}

/// What had been promised when the crash came.
#[derive(Debug, Clone)]
pub(crate) struct Truth {
    /// Every state that there has been, those of edits under way among them, oldest first.
    pub history: Vec<At>,
    /// The newest revision that was acknowledged.
    pub acknowledged: u64,
    /// The newest revision that the config file was said to show.
    pub shown: Option<u64>,
}

impl Truth {
    pub(crate) fn of_nothing() -> Truth {
        Truth { history: vec![At { revision: 0, state: "{}".into() }], acknowledged: 0, shown: None }
    }

    /// As far as it decides what a crash may leave: to tell whether an image was judged by the same truth before.
    pub(crate) fn key(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.history, self.acknowledged, self.shown).hash(&mut hasher);
        hasher.finish()
    }

    /// A record of this was begun.
    pub(crate) fn begin(&mut self, next: At) {
        if !self.history.contains(&next) {
            self.history.push(next);
        }
    }

    fn allows(&self, found: &At) -> bool {
        found.revision >= self.acknowledged && self.history.contains(found)
    }

    /// The config file is a whole text, of a revision not older than was said and not newer than what is in the log.
    fn judge_file(&self, image: &DiskImage, found: &At, place: &str) {
        let Some(text) = image.read(FILE) else {
            assert!(self.shown.is_none(), "{place}: the config file is gone, and showed revision {:?}", self.shown);
            return;
        };
        let shows: serde_json::Value = serde_json::from_slice(&text).unwrap_or_else(|error| {
            panic!("{place}: the config file is not whole ({error}): {:?}", String::from_utf8_lossy(&text))
        });
        let known = |at: &&At| serde_json::from_str::<serde_json::Value>(&at.state).unwrap() == shows;
        let fits = |at: &At| at.revision <= found.revision && self.shown.is_none_or(|shown| at.revision >= shown);
        assert!(
            self.history.iter().filter(known).any(fits),
            "{place}: the config file shows {shows}, but it was at revision {:?} and the log is at {found:?}",
            self.shown
        );
    }
}

/// What was explored.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Sequences of operations, or what else led to crashes.
    pub runs: u64,
    /// Crash states, each time that one was met.
    pub states: u64,
    /// The distinct ones, each once for what had been promised.
    pub distinct: u64,
    /// Those of them that were booted. Each of the others differs from one of these in nothing but the content of files
    /// that recovery removed without a look at them.
    pub booted: u64,
    /// Recovered disks that work went on with, each once.
    pub continued: u64,
    /// Distinct states of crashes that came while work went on after the first.
    pub again: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.runs += other.runs;
        self.states += other.states;
        self.distinct += other.distinct;
        self.booted += other.booted;
        self.continued += other.continued;
        self.again += other.again;
    }
}

/// What was met before, by whichever thread.
#[derive(Default)]
pub(crate) struct Known {
    /// Half of a hash is enough to tell some hundred million from one another, and takes a third of the memory.
    images: Mutex<HashSet<u64>>,
    /// By the names in an image and the truth: the files whose content made no difference, and the rest of the images.
    discarded: Mutex<HashMap<(u128, u64), Discarded>>,
    recovered: Mutex<HashSet<(u128, u128, u64)>>,
}

type Discarded = Vec<(Vec<u64>, HashSet<u128>)>;

impl Known {
    /// Whether this image was not judged by this truth before.
    pub(crate) fn is_new(&self, image: &DiskImage, truth: u64) -> bool {
        self.images.lock().unwrap().insert(image.hash() as u64 ^ truth.rotate_left(17))
    }

    /// Whether it differs from one that was judged by the same truth in nothing but files that recovery removed unseen.
    pub(crate) fn is_alike(&self, image: &DiskImage, truth: u64) -> bool {
        let discarded = self.discarded.lock().unwrap();
        let alike = |(files, rest): &(Vec<u64>, HashSet<u128>)| rest.contains(&image.hash_but_for(files));
        discarded.get(&(image.names(), truth)).is_some_and(|known| known.iter().any(alike))
    }

    fn judged(&self, image: &DiskImage, truth: u64, discarded: Vec<u64>) {
        if discarded.is_empty() {
            return;
        }
        let rest = image.hash_but_for(&discarded);
        let mut known = self.discarded.lock().unwrap();
        let known = known.entry((image.names(), truth)).or_default();
        match known.iter_mut().find(|(files, _)| *files == discarded) {
            Some((_, known)) => drop(known.insert(rest)),
            None => known.push((discarded, HashSet::from([rest]))),
        }
    }
}

/// Boot what a crash left, and judge it.
pub(crate) fn check(
    image: &DiskImage,
    truth: &Truth,
    known: &Known,
    shares: Shares,
    place: &dyn Fn() -> String,
) -> Tally {
    let key = truth.key();
    if known.is_alike(image, key) {
        return Tally::default();
    }
    let place = &place();
    let dice = image.hash() as u64;
    let disk = Disk::from_image(image);
    let seen = look(&disk, place);
    if dice.is_multiple_of(4) {
        recover(&disk, place);
    }
    let process = disk.process();
    let journal = open(&process).unwrap_or_else(|error| panic!("{place}: {error}"));
    let found = At::of(&journal);
    assert!(truth.allows(&found), "{place}: recovered {found:?}, but promised was {truth:?}");
    assert!(seen.is_none_or(|seen| seen == found), "{place}: a reader saw something else than {found:?}");
    truth.judge_file(image, &found, place);

    known.judged(image, key, disk.discarded());

    let recovered = (disk.image().hash(), disk.durable_image().hash(), key);
    let goes_on = image.id().chunk() >= 512 || recovered.0.is_multiple_of(shares.go_on);
    let is_new = goes_on && known.recovered.lock().unwrap().insert(recovered);
    let mut tally = Tally { booted: 1, continued: u64::from(is_new), ..Tally::default() };
    if is_new {
        let full = recovered.0.is_multiple_of(shares.cut_again);
        let again = go_on(&disk, &process, &journal, &found, truth, full, place);
        tally.again += again.distinct;
    }
    process.kill();
    tally
}

/// What somebody who only reads sees; nothing is changed by it.
fn look(disk: &Disk, place: &str) -> Option<At> {
    let before = disk.generation();
    let view = match View::open_seated(&disk.process().seat(), FILE) {
        Err(Error::Missing { .. }) => None,
        view => Some(view.unwrap_or_else(|error| panic!("{place}, to a reader: {error}"))),
    };
    assert_eq!(disk.generation(), before, "{place}: a reader has changed something");
    view.map(|view| At { revision: view.revision(), state: view.state().root().to_string() })
}

/// A dry run tells what a real one then does, and after it nothing is left to do.
fn recover(disk: &Disk, place: &str) {
    let process = disk.process();
    let before = disk.generation();
    let plan = |what: &str| {
        let plan = Journal::plan_recovery_seated(&process.seat(), FILE);
        plan.unwrap_or_else(|error| panic!("{place}, a dry run {what}: {error}"))
    };
    let Some(planned) = plan("before") else { return };
    assert_eq!(disk.generation(), before, "{place}: a dry run has changed something");
    let recovered = Journal::recover_seated(options(&process), FILE, &RecoverOptions::default());
    let (done, _) = recovered.unwrap_or_else(|error| panic!("{place}, to recover: {error}"));
    assert_eq!(done.to_string(), planned.to_string(), "{place}: the dry run said something else");
    let after = plan("after").unwrap();
    assert!(after.is_clean(), "{place}: recovery leaves something to do: {after}");
    assert_eq!(after.revision(), planned.revision(), "{place}");
}

/// Work goes on after a crash; and the power goes again, in the middle of it and after it.
fn go_on(
    disk: &Disk,
    process: &Process,
    journal: &Journal,
    found: &At,
    truth: &Truth,
    full: bool,
    place: &str,
) -> Tally {
    let op = Op::set("after", 1);
    let mut next = journal.snapshot().unwrap().state().clone();
    next.apply(std::slice::from_ref(&op)).unwrap();
    let next = At { revision: found.revision + 1, state: next.root().to_string() };

    let mut within = Truth { acknowledged: found.revision, ..truth.clone() };
    within.history.retain(|at| at.revision < found.revision);
    within.history.extend([found.clone(), next.clone()]);
    let tally = if full { crash_meanwhile(disk, process, within, place) } else { Arc::default() };
    let ack = journal.append(op).unwrap_or_else(|error| panic!("{place}, to append: {error}"));
    assert_eq!(ack.revision, next.revision, "{place}");
    let status = journal.materialise().unwrap_or_else(|error| panic!("{place}, to write the file: {error}"));
    assert!(matches!(status, FileStatus::Current { .. }), "{place}: {status:?}");
    assert_eq!(At::of(journal), next, "{place}");
    process.kill();

    let after = Truth { history: vec![next.clone()], acknowledged: next.revision, shown: Some(next.revision) };
    boot(&disk.durable_image(), &after, 0, &Known::default(), &format!("{place}, and after the next edit"));
    let tally = tally.lock().unwrap();
    *tally
}

/// Judge every state that a crash may leave before any call that the process makes from now on.
pub(crate) fn crash_meanwhile(disk: &Disk, process: &Process, truth: Truth, place: &str) -> Arc<Mutex<Tally>> {
    let tally = Arc::new(Mutex::new(Tally::default()));
    let (disk, counted, place) = (disk.clone(), tally.clone(), place.to_owned());
    let (known, key) = (Known::default(), truth.key());
    let mut last = None;
    process.observe(move |seen| {
        if last.replace(disk.generation()) == Some(disk.generation()) || std::thread::panicking() {
            return;
        }
        for image in disk.crash_images(&FEW) {
            let place = || format!("{place}, and again before call {}, state {}", seen.number, image.id());
            *counted.lock().unwrap() += boot_if_new(&image, &truth, key, &known, &place);
        }
    });
    tally
}

/// Boot an image unless it, or one that is like it, was booted before.
pub(crate) fn boot_if_new(
    image: &DiskImage,
    truth: &Truth,
    key: u64,
    known: &Known,
    place: &dyn Fn() -> String,
) -> Tally {
    let mut tally = Tally { states: 1, ..Tally::default() };
    if known.is_new(image, key) {
        tally.distinct = 1;
        if !known.is_alike(image, key) {
            tally.booted = 1;
            boot(image, truth, key, known, &place());
        }
    }
    tally
}

/// Open what a crash left: that much and no more.
pub(crate) fn boot(image: &DiskImage, truth: &Truth, key: u64, known: &Known, place: &str) -> At {
    let disk = Disk::from_image(image);
    let process = disk.process();
    let journal = open(&process).unwrap_or_else(|error| panic!("{place}: {error}"));
    let found = At::of(&journal);
    process.kill();
    assert!(truth.allows(&found), "{place}: recovered {found:?}, but promised was {truth:?}");
    truth.judge_file(image, &found, place);
    known.judged(image, key, disk.discarded());
    found
}
