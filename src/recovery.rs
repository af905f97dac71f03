//! From what lies on disk to a state: `plan` is pure, what it says is printed by a dry run and performed by a real one.
//!
//! Newest intact snapshot, then the frames that follow it, segment by segment. What ends the last segment is judged
//! by [`verdict`]. Nothing here writes; `perform` carries a plan out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Damage, DamageKind, Error};
use crate::frame::{self, Fault, Frame, FrameKind, Seed};
use crate::segment::{self, BLOCK, Cursor, Header, HeaderFault};
use crate::snapshot::{self, Snapshot, SnapshotFault};
use crate::state::State;
use crate::storage::{self, Open, Storage};
use crate::value::{OrderedMap, Value};
use crate::version::{Run, Version};
use crate::watermark::Reached;

mod gather;
pub(crate) mod perform;
#[cfg(feature = "sim")]
pub(crate) mod trial;
pub(crate) mod verdict;

use crate::planted::{Bug, planted};
pub(crate) use gather::gather;
use verdict::Verdict;

/// What running processes know about the log's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The watermark is of this boot.
    ThisBoot(Reached),
    /// It is of another boot: what can be read came from the disk, so it is durable.
    OtherBoot,
    /// There is none. Whether the end of the log is on disk or only in the page cache, nobody knows.
    Unknown,
}

/// How much of the log may be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nobody appends meanwhile: everything.
    Alone,
    /// Others may be appending: what the watermark of this boot calls durable, no more.
    Beside,
    /// The same, and what was noted of the config file right behind that. A note is no edit that a crash could take back,
    /// and whoever appends next goes by it when telling a hand edit from a file that lags.
    Noted,
}

/// One segment as found.
#[derive(Debug, Clone)]
pub(crate) struct SegmentFound {
    pub number: u64,
    pub header: Result<Header, HeaderFault>,
    /// The whole file, or empty where a newer snapshot covers it.
    pub bytes: Vec<u8>,
    /// Bytes of the file.
    pub len: u64,
}

/// Everything in a journal that recovery looks at.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    pub dir: PathBuf,
    pub standing: Standing,
    /// Where the watermark of this boot says that the log ends, asked after all else was read. If there is more, the page is
    /// older than the log: it lay on a disk that was pulled out while the system ran on, or was copied while others wrote.
    pub end: Option<Reached>,
    /// Newest first, by the revision in their names.
    pub snapshots: Vec<(u64, Result<Snapshot, SnapshotFault>, u64)>,
    /// Oldest first.
    pub segments: Vec<SegmentFound>,
    /// Temporary files of ours that a crash left.
    pub leftovers: Vec<String>,
}

/// A step that `recover` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Keep a copy of the bytes that a crash cut short.
    Quarantine {
        /// The segment.
        file: String,
        /// Where they begin.
        offset: u64,
        /// How many, up to the last that is not zero.
        len: u64,
    },
    /// Go on in a new segment.
    NewSegment {
        /// Its name.
        file: String,
        /// Records and notes repeated in it because nobody knows whether they are on disk.
        repeated: u64,
    },
    /// Give up damaged records and what follows them, and go on from the intact state.
    AcceptLoss {
        /// The revision whose state is kept.
        keep: u64,
        /// The highest revision ever seen: numbers go on above it.
        highest: u64,
    },
    /// Remove a temporary file that a crash left.
    Sweep {
        /// Its name in the journal.
        file: String,
    },
    /// Tell other processes where the log stands since this boot.
    BeginWatermark,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Quarantine { file, offset, len } => {
                write!(f, "keep {len} bytes of {file} from byte {offset} on in quarantine")
            }
            Step::NewSegment { file, repeated: 0 } => write!(f, "go on in a new segment {file}"),
            Step::NewSegment { file, repeated } => {
                write!(f, "go on in a new segment {file}, which repeats {repeated} records of unknown standing")
            }
            Step::AcceptLoss { keep, highest } => {
                write!(f, "go on from revision {keep}, giving up what follows")?;
                if highest > keep {
                    write!(f, " up to revision {highest}")?;
                }
                write!(f, "; the next edit is revision {}", highest + 1)
            }
            Step::Sweep { file } => write!(f, "remove the unfinished {file}"),
            Step::BeginWatermark => write!(f, "note where the log stands since this boot"),
        }
    }
}

/// Something that is not as it should be and does not stop anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, byte {}: {}", self.file.display(), self.offset, self.what)
    }
}

/// The end of a log that a crash cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment.
    pub file: PathBuf,
    /// Where the log ends.
    pub offset: u64,
    /// Bytes from there to the last that is not zero.
    pub len: u64,
}

/// What recovery found and would do.
#[derive(Debug, Clone)]
pub(crate) struct LogPlan {
    /// Everything intact, up to the durable end or the first damage.
    pub version: Version,
    pub store: [u8; 16],
    /// Where the replay began.
    pub snapshot: Option<(u64, u64)>,
    /// Edits replayed after the snapshot.
    pub records: u64,
    pub segments: Vec<String>,
    pub log_bytes: u64,
    pub torn: Option<TornTail>,
    pub damage: Option<Damage>,
    pub findings: Vec<Finding>,
    pub steps: Vec<Step>,
    /// Frames to repeat in the new segment, if there is to be one: payloads in order.
    pub repeat: Vec<Repeat>,
    /// Where the last segment is durable to.
    pub durable: Cursor,
    /// The watermark does not know of all that there is.
    pub is_overlooked: bool,
    /// The number of the last segment, whether or not it could be read.
    pub last_segment: u64,
    /// The highest sequence and revision that any header or frame, good or stranded, speaks of; after damage, that there
    /// can have been.
    pub highest: (u64, u64),
}

impl LogPlan {
    /// The state at a revision, if the replay began with a snapshot and ended there.
    pub(crate) fn into_state_at(self, revision: u64) -> Option<State> {
        (self.snapshot.is_some() && self.version.revision() == revision).then_some(self.version.state)
    }
}

/// A frame to be written again in another segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repeat {
    pub fields: frame::Fields,
    pub payload: Vec<u8>,
}

/// The state before any record.
pub(crate) fn empty_version() -> Version {
    Version {
        segment: 1,
        cursor: Cursor { offset: BLOCK, sequence: 0, revision: 0, check: 0 },
        state: State::new(Value::object()),
        keys: OrderedMap::new(),
        texts: Arc::new([]),
        showing: None,
    }
}

/// A plan for a config without a journal.
pub(crate) fn empty_plan() -> LogPlan {
    let version = empty_version();
    LogPlan {
        durable: version.cursor,
        is_overlooked: false,
        version,
        store: [0; 16],
        snapshot: None,
        records: 0,
        segments: Vec::new(),
        log_bytes: 0,
        torn: None,
        damage: None,
        findings: Vec::new(),
        steps: Vec::new(),
        repeat: Vec::new(),
        last_segment: 0,
        highest: (0, 0),
    }
}

/// The store that the evidence belongs to, as far as anything intact says.
pub(crate) fn store_of(evidence: &Evidence) -> Option<[u8; 16]> {
    let of_snapshot = evidence.snapshots.iter().find_map(|(_, snapshot, _)| Some(snapshot.as_ref().ok()?.header.store));
    of_snapshot.or_else(|| evidence.segments.iter().find_map(|found| Some(found.header.ok()?.store)))
}

/// The evidence as it was for the oldest state that can still be built upon.
pub(crate) fn from_oldest(mut evidence: Evidence) -> Evidence {
    let numbers: Vec<u64> = evidence.segments.iter().map(|found| found.number).collect();
    let last = numbers.last().copied().unwrap_or(0);
    let (mut intact, mut oldest) = (0, None);
    for (at, (_, snapshot, _)) in evidence.snapshots.iter().enumerate() {
        let Ok(snapshot) = snapshot else { continue };
        intact += 1;
        // Of what was retired a crash may have kept some and not all. What two snapshots need is kept on purpose.
        let next = snapshot.header.next_segment;
        let must_be = if intact <= snapshot::KEPT { next } else { last.max(next) };
        if (next..=must_be).all(|number| numbers.binary_search(&number).is_ok()) {
            oldest = Some(at);
        }
    }
    if let Some(oldest) = oldest {
        evidence.snapshots.truncate(oldest + 1);
        evidence.snapshots.drain(..oldest);
    }
    evidence
}

/// The state that the replay of the evidence begins with.
pub(crate) fn first_state(evidence: &Evidence) -> State {
    let snapshot = evidence.snapshots.iter().find_map(|(_, snapshot, _)| snapshot.as_ref().ok());
    snapshot.map_or_else(|| empty_version().state, |snapshot| snapshot.version.state.clone())
}

/// What the evidence says. Pure and total: every input gives a plan or a typed error.
pub(crate) fn plan(evidence: &Evidence, look: Look) -> Result<LogPlan, Error> {
    plan_until(evidence, look, u64::MAX, &mut |_| ())
}

/// The plan for a log that ends at a revision; `visit` sees every frame that is replayed.
pub(crate) fn plan_until(
    evidence: &Evidence,
    look: Look,
    last_revision: u64,
    visit: &mut dyn FnMut(&Frame<'_>),
) -> Result<LogPlan, Error> {
    refuse_newer(evidence)?;
    let mut replay = Replay::new(evidence, look, last_revision, visit);
    replay.run();
    Ok(replay.finish())
}

fn refuse_newer(evidence: &Evidence) -> Result<(), Error> {
    let newer = |name: String, version: u32, features: u64| Error::Newer {
        path: evidence.dir.join(name),
        what: if version == segment::FORMAT_VERSION {
            format!("features {features:#x}")
        } else {
            format!("format {version}")
        },
    };
    for (revision, snapshot, _) in &evidence.snapshots {
        if let Err(SnapshotFault::Newer { version, features }) = snapshot {
            return Err(newer(snapshot::name(*revision), *version, *features));
        }
    }
    for found in &evidence.segments {
        if let Err(HeaderFault::Newer { version, features }) = found.header {
            return Err(newer(segment::name(found.number), version, features));
        }
    }
    Ok(())
}

/// The state of a replay, and then its result.
struct Replay<'a> {
    evidence: &'a Evidence,
    look: Look,
    plan: LogPlan,
    /// What the state of the plan's version does not show yet.
    run: Run<'a>,
    /// The highest sequence that a snapshot's header or the watermark of this boot calls durable.
    vouched: u64,
    last_revision: u64,
    visit: &'a mut dyn FnMut(&Frame<'_>),
}

impl<'a> Replay<'a> {
    fn new(evidence: &'a Evidence, look: Look, last_revision: u64, visit: &'a mut dyn FnMut(&Frame<'_>)) -> Replay<'a> {
        let base = evidence.snapshots.iter().filter(|(revision, _, _)| *revision <= last_revision);
        let base = base.clone().find_map(|(_, snapshot, len)| Some((snapshot.as_ref().ok()?, *len)));
        let version = base.map_or_else(empty_version, |(snapshot, _)| snapshot.version.clone());
        let store = store_of(evidence);
        let mut vouched = 0;
        let mut highest = (version.sequence(), version.revision());
        let mut findings = Vec::new();
        for (revision, snapshot, _) in &evidence.snapshots {
            let header = match snapshot {
                Ok(snapshot) => snapshot.header,
                Err(fault) => {
                    let what = "the snapshot is damaged; an older one and a longer replay take its place";
                    findings.push(Finding {
                        file: evidence.dir.join(snapshot::name(*revision)),
                        offset: 0,
                        what: what.into(),
                    });
                    let SnapshotFault::Body(header) = fault else { continue };
                    *header
                }
            };
            vouched = vouched.max(header.sequence);
            highest = (highest.0.max(header.sequence), highest.1.max(header.revision));
        }
        if let Standing::ThisBoot(reached) = evidence.standing {
            vouched = vouched.max(reached.sequence);
        }
        let plan = LogPlan {
            durable: version.cursor,
            is_overlooked: false,
            snapshot: base.map(|(snapshot, len)| (snapshot.header.revision, len)),
            version,
            store: store.unwrap_or_default(),
            records: 0,
            segments: evidence.segments.iter().map(|found| segment::name(found.number)).collect(),
            log_bytes: evidence.segments.iter().map(|found| found.len).sum(),
            torn: None,
            damage: None,
            findings,
            steps: Vec::new(),
            repeat: Vec::new(),
            last_segment: evidence.segments.last().map_or(0, |found| found.number),
            highest,
        };
        Replay { evidence, look, plan, run: Run::default(), vouched, last_revision, visit }
    }

    fn run(&mut self) {
        let base = self.plan.version.segment;
        for found in self.evidence.segments.iter().filter(|found| found.number < base) {
            if found.header.is_err() {
                let file = self.evidence.dir.join(segment::name(found.number));
                let what = "the header of a segment that a snapshot covers is damaged";
                self.plan.findings.push(Finding { file, offset: 0, what: what.into() });
            }
        }
        let from = self.evidence.segments.partition_point(|found| found.number < base);
        let needed = &self.evidence.segments[from..];
        self.look_for_highest(needed);
        if self.plan.snapshot.is_none() {
            // A store is born with a snapshot and never without one.
            let newest = self.evidence.snapshots.first().map_or(0, |(revision, _, _)| *revision);
            return self.damaged(self.evidence.dir.join(snapshot::name(newest)), 0, DamageKind::Snapshot);
        }
        for (expected, (at, found)) in (base..).zip(needed.iter().enumerate()) {
            let path = self.evidence.dir.join(segment::name(found.number));
            if found.number != expected {
                return self.damaged(self.evidence.dir.join(segment::name(expected)), 0, DamageKind::MissingSegment);
            }
            let Ok(header) = found.header else {
                return self.damaged(path, 0, DamageKind::SegmentHeader);
            };
            if !self.enter(&header) {
                return self.damaged(path, 0, DamageKind::SegmentHeader);
            }
            let successor = needed.get(at + 1).map(|next| next.header.map(|header| header.first));
            if !self.replay_segment(found, &header, successor, path) {
                return;
            }
        }
        if needed.is_empty() {
            self.damaged(self.evidence.dir.join(segment::name(base)), 0, DamageKind::MissingSegment);
        }
    }

    /// Whether a segment goes on where the log stands; then the cursor is at its start.
    fn enter(&mut self, header: &Header) -> bool {
        let plan = &mut self.plan;
        if !header.goes_on(&plan.store, &plan.version.cursor) {
            return false;
        }
        plan.version.segment = header.number;
        plan.version.cursor = header.start();
        // A segment is made when all before its first frame is durable.
        plan.durable = header.start();
        plan.repeat.clear();
        true
    }

    /// Replay one segment; `false` ends the replay.
    fn replay_segment(
        &mut self,
        found: &'a SegmentFound,
        header: &Header,
        successor: Option<Result<u64, HeaderFault>>,
        path: PathBuf,
    ) -> bool {
        let seed = Seed::new(&header.salt);
        // A reader beside writers stops at what the watermark vouches for: what follows may be half written.
        let mut until = match (self.look, self.evidence.standing) {
            (Look::Beside | Look::Noted, Standing::ThisBoot(reached)) if !self.is_overlooked(0) => reached.sequence,
            _ => u64::MAX,
        };
        let end = match successor {
            Some(Ok(first)) => first - 1,
            _ => u64::MAX,
        };
        let fault = loop {
            let version = &self.plan.version;
            if version.revision() >= self.last_revision {
                return false;
            }
            if version.sequence() >= until && successor.is_none() {
                let rest = found.bytes.get(version.cursor.offset as usize..).unwrap_or_default();
                if self.is_overlooked(later_frames(&rest[..used(rest)], &seed).sequence) {
                    until = u64::MAX;
                }
            }
            if self.plan.version.sequence() >= end.min(until) {
                break None;
            }
            if let Err(fault) = self.replay_frame(&found.bytes, &seed) {
                break Some(fault);
            }
        };
        let Some(fault) = fault else {
            if self.look == Look::Noted && successor.is_none() {
                while self.is_before_note(&found.bytes, &seed) && self.replay_frame(&found.bytes, &seed).is_ok() {}
            }
            // At the durable end the replay is over, unless a later segment goes on from just here.
            return self.plan.version.sequence() < until;
        };
        if let Some(Err(_)) = successor {
            // Where this segment was left is not known; that its successor cannot be read is what gets reported.
            return true;
        }
        let cursor = self.plan.version.cursor;
        let broken = cursor.sequence + 1;
        let rest = found.bytes.get(cursor.offset as usize..).unwrap_or_default();
        let used = &rest[..used(rest)];
        let len = used.len() as u64;
        let later = later_frames(used, &seed);
        let evidence = verdict::Evidence {
            successor_needs_it: successor.is_some() && !planted(Bug::SuccessorIgnored),
            later_frame_vouches: later.durable >= broken && !planted(Bug::LaterFramesIgnored),
            vouched_elsewhere: self.vouched >= broken && !planted(Bug::WatermarkIgnored),
            cut_short: (fault == Fault::Short || rest.len() < frame::HEADER_LEN) && !planted(Bug::CutIgnored),
            bytes_left: len != 0,
        };
        match evidence.verdict() {
            Verdict::Clean => {}
            Verdict::Torn => self.plan.torn = Some(TornTail { file: path, offset: cursor.offset, len }),
            Verdict::Damaged => self.damaged(path, cursor.offset, DamageKind::Record(fault)),
        }
        false
    }

    /// Whether a frame with this sequence in the last segment lies beyond what the watermark knows of.
    fn is_overlooked(&mut self, sequence: u64) -> bool {
        let here = Reached::new(self.plan.last_segment, sequence);
        let is_beyond = self.evidence.end.is_some_and(|end| here > end);
        self.plan.is_overlooked |= is_beyond;
        is_beyond
    }

    /// Whether what comes next is a note, whole and in its place.
    fn is_before_note(&self, bytes: &[u8], seed: &Seed) -> bool {
        let cursor = &self.plan.version.cursor;
        let rest = usize::try_from(cursor.offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let next = frame::decode(rest, seed);
        next.is_ok_and(|frame| frame.fields.kind == FrameKind::Note && cursor.after(&frame).is_ok())
    }

    fn replay_frame(&mut self, bytes: &'a [u8], seed: &Seed) -> Result<(), Fault> {
        let plan = &mut self.plan;
        let rest =
            usize::try_from(plan.version.cursor.offset).ok().and_then(|at| bytes.get(at..)).ok_or(Fault::Short)?;
        if rest.is_empty() {
            return Err(Fault::Zeros);
        }
        let frame = frame::decode(rest, seed)?;
        let behind = plan.version.cursor.after(&frame)?;
        let edits_before = plan.version.revision();
        (self.visit)(&frame);
        self.run.advance(&mut plan.version, &frame, behind)?;
        plan.records += plan.version.revision() - edits_before;
        plan.highest = (plan.highest.0.max(behind.sequence), plan.highest.1.max(behind.revision));
        // Frames that nobody calls durable are repeated if their segment has to be left.
        let durable = match self.evidence.standing {
            Standing::ThisBoot(reached) => behind.sequence <= reached.sequence,
            Standing::OtherBoot => true,
            Standing::Unknown => false,
        };
        if durable {
            plan.durable = behind;
            plan.repeat.clear();
        } else {
            plan.repeat.push(Repeat { fields: frame.fields, payload: frame.payload.to_vec() });
        }
        Ok(())
    }

    /// Numbers must go on above everything that anyone may have seen, so headers of later segments count too.
    fn look_for_highest(&mut self, needed: &[SegmentFound]) {
        for header in needed.iter().filter_map(|found| found.header.ok()) {
            self.plan.highest.0 = self.plan.highest.0.max(header.first - 1);
            self.plan.highest.1 = self.plan.highest.1.max(header.revision_before);
        }
    }

    fn damaged(&mut self, file: PathBuf, offset: u64, fault: DamageKind) {
        // Good records may be stranded behind the damage: they count for the numbers that go on.
        for found in self.evidence.segments.iter().filter(|found| found.number >= self.plan.version.segment) {
            if let Ok(header) = found.header {
                let later =
                    later_frames(found.bytes.get(BLOCK as usize..).unwrap_or_default(), &Seed::new(&header.salt));
                self.plan.highest = (self.plan.highest.0.max(later.sequence), self.plan.highest.1.max(later.revision));
            }
        }
        if let Standing::ThisBoot(reached) = self.evidence.standing {
            // Of these nothing is left. Each may have been an edit.
            let beyond = reached.sequence.saturating_sub(self.plan.highest.0);
            self.plan.highest = (self.plan.highest.0 + beyond, self.plan.highest.1 + beyond);
        }
        let first_revision = self.plan.version.revision() + 1;
        let last_revision = Some(self.plan.highest.1).filter(|last| *last >= first_revision);
        self.plan.damage = Some(Damage { file, offset, first_revision, last_revision, fault });
    }

    fn finish(self) -> LogPlan {
        let Replay { evidence, mut plan, mut run, look, .. } = self;
        run.end(&mut plan.version);
        let next = segment::name(plan.last_segment + 1);
        let sweeps = evidence.leftovers.iter().map(|file| Step::Sweep { file: file.clone() });
        if plan.damage.is_some() {
            let (keep, highest) = (plan.version.revision(), plan.highest.1.max(plan.version.revision()));
            plan.steps.push(Step::AcceptLoss { keep, highest });
            plan.steps.push(Step::NewSegment { file: next, repeated: 0 });
            plan.steps.extend(sweeps);
        } else {
            // First: on a full disk what follows has no room but theirs.
            plan.steps.extend(sweeps);
            let repeated = plan.repeat.len() as u64;
            if let Some(torn) = &plan.torn {
                let file = segment::name(plan.version.segment);
                plan.steps.push(Step::Quarantine { file, offset: torn.offset, len: torn.len });
                plan.steps.push(Step::NewSegment { file: next, repeated });
            } else if evidence.standing == Standing::Unknown && look == Look::Alone {
                plan.steps.push(Step::NewSegment { file: next, repeated });
            }
        }
        if !matches!(evidence.standing, Standing::ThisBoot(_)) {
            plan.steps.push(Step::BeginWatermark);
        }
        plan
    }
}

/// How many bytes there are up to the last that is not zero. The zeros written ahead are many: they are compared, and not
/// looked at one by one.
fn used(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 512] = [0; 512];
    let zeros = bytes.rchunks(ZEROS.len()).take_while(|chunk| **chunk == ZEROS[..chunk.len()]);
    let rest = &bytes[..bytes.len() - zeros.map(<[u8]>::len).sum::<usize>()];
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// What intact frames further on say.
#[derive(Debug, Default)]
struct Later {
    durable: u64,
    sequence: u64,
    revision: u64,
}

/// Look through bytes that begin where a frame may begin for frames that check under the salt.
fn later_frames(bytes: &[u8], seed: &Seed) -> Later {
    let mut later = Later::default();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let frame = frame::decode(rest, seed).ok().filter(|frame| frame.fields.are_possible());
        let Some(frame) = frame else {
            at += frame::ALIGN as usize;
            continue;
        };
        later.durable = later.durable.max(frame.fields.durable);
        later.sequence = later.sequence.max(frame.fields.sequence);
        later.revision = later.revision.max(frame.fields.revision);
        at += frame.stored_len() as usize;
    }
    later
}
