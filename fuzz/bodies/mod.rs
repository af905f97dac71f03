//! What is tried with every input: one function for each target, called by the fuzzer and, for a bounded time, by `cargo test`.
//!
//! None may panic, whatever the bytes are.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use cfgwal::document::{self, Format};
use cfgwal::sim::{Disk, DiskImage, FaultPlan, Limits, Process, Times, Trial};
use cfgwal::{Error, Journal, Materialise, Op, Path, State, Value};

const FILE: &str = "/settings.json";
const DIR: &str = "/settings.json.cfgwal";
const FORMATS: [&str; 5] = ["json", "jsonc", "csv", "toml", "yaml"];

/// Two texts: one is parsed, and patched until it says what the other says. Input is `format byte, text, NUL, text`.
pub fn document(data: &[u8]) {
    let Some((kind, texts)) = data.split_first() else { return };
    let Some(format) = Format::named(FORMATS[usize::from(*kind) % FORMATS.len()]) else { return };
    let split = texts.iter().position(|byte| *byte == 0).unwrap_or(texts.len());
    let (text, other) = (&texts[..split], texts.get(split + 1..).unwrap_or_default());

    let Ok(value) = document::parse(&format, text) else { return };
    let same = document::patch(&format, text, &value).expect("what is there can be asked for");
    assert_eq!(same, text, "nothing was to change");
    let rendered = document::render(&format, &value);
    match document::parse(&format, &rendered) {
        Ok(again) => assert!(again == value || kind % 5 > 1, "{again} is not {value}"),
        Err(why) => assert!(kind % 5 > 1, "{why}"),
    }

    let Ok(target) = document::parse(&format, other) else { return };
    match document::patch(&format, text, &target) {
        Ok(patched) => {
            let read = document::parse(&format, &patched).expect("a patched text is one");
            // Some formats cannot tell everything apart, such as an empty cell and none: then nothing is left to be patched.
            assert!(read == target || kind % 5 > 1, "{read} is not {target}");
            assert_eq!(document::patch(&format, &patched, &target).expect("it is there"), patched);
        }
        Err(document::Unpatchable::Unproven(why)) => panic!("{why}"),
        // What one text says another can say; but for what the format asks people to do themselves.
        Err(why) => assert!(kind % 5 > 1, "{why}"),
    }
}

/// A path that parses is printed as what parses to it, in both notations, and finds what was set there.
pub fn path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(path) = Path::parse(text) else { return };
    assert_eq!(Path::parse(&path.to_string()).as_ref(), Ok(&path));
    // A pointer does not tell the key `0` from the index 0.
    assert_eq!(Path::parse(&path.pointer()).map(|read| read.pointer()), Ok(path.pointer()));

    let mut state = State::new(Value::object());
    if state.apply(&[Op::set(&path, "x")]).is_ok() {
        // The end of an array has another name once something is there.
        let found = state.root().get(&path).and_then(Value::as_str);
        assert!(found == Some("x") || path.segments().iter().any(|segment| segment.is_end()));
    }
}

fn open(process: &Process) -> Result<Journal, Error> {
    Journal::options().materialise(Materialise::Manual).seat(process.seat()).alone().open(FILE)
}

/// A store with a few records, a snapshot on the way.
fn store() -> &'static DiskImage {
    static STORE: OnceLock<DiskImage> = OnceLock::new();
    STORE.get_or_init(|| {
        let disk = Disk::seeded(7);
        let process = disk.process();
        let journal = open(&process).expect("a new journal");
        for n in 0..6 {
            journal.append(Op::set(format!("key{n}").as_str(), n)).expect("room");
            if n == 2 {
                journal.compact().expect("room");
            }
        }
        process.kill();
        drop(journal);
        disk.settle();
        disk.image()
    })
}

/// Frames: bytes put behind the frames of a segment, or over them. Input is pieces of `how, place, length, bytes`; a piece may be
/// a payload, which gets a header whose every checksum is right.
pub fn frames(data: &[u8]) {
    static TRIAL: OnceLock<Trial> = OnceLock::new();
    let read = || Trial::of(&Disk::from_image(store()).process().seat(), DIR).expect("a sound store");
    let mut trial = TRIAL.get_or_init(read).clone();
    let sound = trial.judge().expect("a sound store");
    let end = 4096 + trial.segment()[4096..].iter().rposition(|byte| *byte != 0).expect("frames") + 1;
    let mut end = end.next_multiple_of(8);
    let (mut input, mut forged) = (Input(data), false);
    while let Some(how) = input.byte() {
        let place = usize::from(input.short());
        let bytes = input.piece();
        match how % 4 {
            // Behind the end, with a header that checks.
            0 | 1 if !bytes.is_empty() => {
                forged = true;
                let (sequence, durable) = (sound.sequence + 1 + u64::from(how >> 6), place as u64 % 16);
                let frame = trial.forge(sequence, durable, sound.revision + 1, how % 4 + 1, bytes);
                let len = frame.len();
                if end + len < trial.segment().len() {
                    trial.segment()[end..end + len].copy_from_slice(&frame);
                    end += len;
                }
            }
            2 => {
                let at = 4096 + place % 2048;
                let room = trial.segment().len().saturating_sub(at);
                let len = bytes.len().min(room);
                let at = at.min(trial.segment().len());
                trial.segment()[at..at + len].copy_from_slice(&bytes[..len]);
            }
            3 => trial.segment().truncate(place),
            _ => {}
        }
    }
    if let Ok(judged) = trial.judge() {
        assert!(forged || judged.revision <= sound.revision, "a record came out of nothing");
    }
}

/// Any files in a journal. Input is pieces of `which file, how, place, length, bytes`.
pub fn recovery(data: &[u8]) {
    let names = [
        format!("{DIR}/wal-0000000000000001"),
        format!("{DIR}/wal-0000000000000002"),
        format!("{DIR}/wal-0000000000000003"),
        format!("{DIR}/snapshot-0000000000000000"),
        format!("{DIR}/snapshot-0000000000000003"),
        format!("{DIR}/snapshot-0000000000000009"),
        format!("{DIR}/watermark"),
        format!("{DIR}/options.toml"),
        FILE.to_owned(),
        format!("{DIR}/wal-0000000000000002.tmp-00000000000000000000000000000000"),
    ];
    let mut image = store().clone();
    let mut input = Input(data);
    while let Some(which) = input.byte() {
        let name = &names[usize::from(which) % names.len()];
        let how = input.byte().unwrap_or(0);
        let place = usize::from(input.short());
        let bytes = input.piece();
        let mut content = image.read(name).unwrap_or_default();
        match how % 4 {
            0 => content = bytes.to_vec(),
            1 => content.truncate(place),
            2 => {
                if image.read(name).is_some() {
                    image = image.without(name);
                }
                continue;
            }
            _ => {
                let end = (place + bytes.len()).min(1 << 20);
                content.resize(content.len().max(end), 0);
                content[place..end].copy_from_slice(&bytes[..end - place]);
            }
        }
        image = image.with_file(name, &content);
    }
    works_or_says_why(&image);
}

/// A snapshot's content, with a header whose checksums are right.
pub fn snapshot(data: &[u8]) {
    let name = format!("{DIR}/snapshot-0000000000000003");
    let mut bytes = store().read(&name).expect("a snapshot");
    let header = 112;
    let Some((keep, rest)) = data.split_first() else { return };
    // Part of the true content, and then the input.
    let kept = (bytes.len() - header) * usize::from(*keep) / 255;
    bytes.truncate(header + kept);
    bytes.extend_from_slice(rest);
    let body = bytes[header..].to_vec();
    bytes[88..96].copy_from_slice(&(body.len() as u64).to_le_bytes());
    bytes[96..100].copy_from_slice(&crc(&body).to_le_bytes());
    let check = crc(&bytes[..108]);
    bytes[108..112].copy_from_slice(&check.to_le_bytes());
    works_or_says_why(&store().with_file(&name, &bytes));
}

/// CRC-32 of ISO 3309, bit by bit: a second opinion on what the engine computes.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// A journal opens and goes on, or says what is wrong with it.
fn works_or_says_why(image: &DiskImage) {
    let process = Disk::from_image(image).process();
    let _ = cfgwal::View::open_seated(&process.seat(), FILE).map(|view| view.history());
    let Ok(journal) = open(&process) else { return };
    let Ok(before) = journal.snapshot() else { return };
    if journal.append(Op::set("after", 1)).is_err() {
        return;
    }
    let _ = journal.materialise();
    process.kill();
    drop(journal);
    let disk = Disk::from_image(&process.disk().durable_image());
    let again = open(&disk.process()).expect("what was written to can be opened");
    assert!(again.snapshot().expect("it can be read").revision() > before.revision());
}

/// Edits, compactions, faults and crashes against a map, with all states that are allowed. Input is a byte for each step.
pub fn model(data: &[u8]) {
    let mut disk = Disk::seeded(3);
    let mut process = disk.process();
    let mut journal = open(&process).ok();
    let mut allowed = vec![BTreeMap::<String, i64>::new()];
    let mut input = Input(data);
    while let Some(step) = input.byte() {
        let argument = input.byte().unwrap_or(0);
        let key = format!("k{}", argument % 5);
        let edit = match step % 12 {
            0..4 => Some((Op::set(key.as_str(), i64::from(argument)), Change::Set(i64::from(argument)))),
            4 => Some((Op::increment(key.as_str(), 1), Change::Add)),
            5 => Some((Op::remove(key.as_str()), Change::Remove)),
            _ => None,
        };
        if let Some((op, change)) = edit {
            let Some(journal) = &journal else { continue };
            let applied: Vec<_> = allowed.iter().filter_map(|state| change.of(state, &key)).collect();
            match journal.append(op) {
                Ok(_) => {
                    assert!(!applied.is_empty(), "an edit that fits no allowed state was taken");
                    allowed = applied;
                }
                Err(Error::OutcomeUnknown(_)) => allowed.extend(applied),
                Err(_) => {}
            }
            continue;
        }
        match step % 12 {
            6 => drop(journal.as_ref().map(Journal::compact)),
            7 => drop(journal.as_ref().map(Journal::materialise)),
            8 => {
                let errno = [libc::EIO, libc::ENOSPC, libc::EACCES][usize::from(argument) % 3];
                process.set_plan(FaultPlan::new().fail(u64::from(argument), errno, Times::Once));
                continue;
            }
            9 => {
                process.set_plan(FaultPlan::new());
                drop(journal.take());
                journal = open(&process).ok();
            }
            10 => {
                process.kill();
                drop(journal.take());
                process = disk.process();
                journal = open(&process).ok();
            }
            _ => {
                let image = disk.crash_images(&Limits::default()).nth(usize::from(argument));
                let image = image.unwrap_or_else(|| disk.durable_image());
                process.kill();
                drop(journal.take());
                disk = Disk::from_image(&image);
                process = disk.process();
                journal = open(&process).ok();
            }
        }
        if let Some(Ok(found)) = journal.as_ref().map(Journal::snapshot) {
            let found: BTreeMap<String, i64> = found.state().root().to().expect("a map of numbers");
            assert!(allowed.contains(&found), "{found:?} is there, allowed is {allowed:?}");
            // What a killed process left may still become durable, unless the power went.
            if step % 12 == 11 {
                allowed = vec![found];
            }
        }
    }
}

enum Change {
    Set(i64),
    Add,
    Remove,
}

impl Change {
    fn of(&self, state: &BTreeMap<String, i64>, key: &str) -> Option<BTreeMap<String, i64>> {
        let mut next = state.clone();
        match self {
            Change::Set(value) => drop(next.insert(key.to_owned(), *value)),
            Change::Add => *next.entry(key.to_owned()).or_default() += 1,
            // What is not there cannot be removed, and nothing changes.
            Change::Remove => drop(next.remove(key)?),
        }
        Some(next)
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn short(&mut self) -> u16 {
        u16::from(self.byte().unwrap_or(0)) | u16::from(self.byte().unwrap_or(0)) << 8
    }

    /// As many bytes as the next byte says, at most.
    fn piece(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (piece, rest) = self.0.split_at(len);
        self.0 = rest;
        piece
    }
}
