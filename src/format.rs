#![doc = include_str!("FORMAT.md")]

#[cfg(test)]
mod tests {
    //! The page above is the expected value: its tables and hex blocks are read, and compared with what the code writes.

    use std::path::Path;
    use std::time::Duration;

    use crate::frame::{self, Fields, FrameKind, Seed};
    use crate::limits::{DEPTH_MAX, KEY_MAX, RECORD_MAX};
    use crate::log::ZEROS_FIRST;
    use crate::note::{Note, hash_text};
    use crate::op::{Op, Origin, OriginKind, Transaction};
    use crate::recovery;
    use crate::segment::{self, BLOCK, Header, Segment, Stop};
    use crate::snapshot;
    use crate::storage::os::Os;
    use crate::storage::{Open, PAGE_LEN, PAGE_WORDS};
    use crate::value::{Number, Value};
    use crate::version::{KEYS_MAX, TEXTS_MAX, Version};
    use crate::watermark::{self, Reached, Role, Watermark};

    const PAGE: &str = include_str!("FORMAT.md");

    const STORE: [u8; 16] = *b"the-store's-id-1";
    const BOOT: [u8; 16] = *b"this-boot's-id-1";
    const TIME: u64 = 1_700_000_000_000_000;
    const HEADER: Header = Header {
        store: STORE,
        number: 1,
        first: 1,
        revision_before: 0,
        check_before: 0,
        salt: *b"a-secret-salt-16",
        created: TIME,
    };

    /// The frames of the example, as what they mean: a config file is created, shown, and changed again.
    fn records() -> Vec<(FrameKind, Vec<u8>)> {
        let origin = Origin { program: "cfgwal".into(), pid: 4242, host: "den".into(), kind: OriginKind::Program };
        let first = Transaction {
            time: TIME + 1_000_000,
            origin: origin.clone(),
            ops: vec![Op::set("server.port", 8080)],
            ..Transaction::new()
        };
        let text = hash_text(&STORE, first_text().as_bytes());
        let hex = text.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let name = format!(".settings.json.cfgwal-{hex}-0badcafe");
        let half = Number::parse("0.5").expect("a number");
        let second = Transaction {
            time: TIME + 2_000_000,
            origin,
            key: Some("job-7".into()),
            ops: vec![Op::test_absent("lock"), Op::increment("ratio", half)],
            ..Transaction::new()
        };
        let edit = |transaction: &Transaction| {
            let mut payload = Vec::new();
            transaction.encode(&mut payload).expect("it fits");
            (FrameKind::Edit, payload)
        };
        let note = |note: &Note| (FrameKind::Note, note.encode());
        vec![
            edit(&first),
            note(&Note::Showing { old: None, new: text, revision: 1, name }),
            note(&Note::Shown { text, revision: 1 }),
            edit(&second),
        ]
    }

    fn first_text() -> String {
        "{\n  \"server\": {\n    \"port\": 8080\n  }\n}\n".to_owned()
    }

    /// Write the example's segment as the engine does, and return its bytes.
    fn written_segment(dir: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (mut previous, mut revision) = (HEADER.check_before, HEADER.revision_before);
        for (sequence, (kind, payload)) in (1..).zip(records()) {
            revision += u64::from(kind == FrameKind::Edit);
            let fields = Fields { previous, sequence, durable: sequence - 1, revision, kind };
            previous = frame::encode(&mut bytes, &Seed::new(&HEADER.salt), &fields, &payload);
        }
        let draft = Segment::draft(&Os, dir, HEADER.number, 0, ZEROS_FIRST).unwrap();
        let segment = draft.publish(dir, HEADER, &bytes).unwrap();
        std::fs::read(segment.path).unwrap()
    }

    /// Read the example's segment as recovery does.
    fn read_segment(dir: &Path) -> Version {
        let segment = Segment::open(&Os, dir, HEADER.number, Open::Read).unwrap().unwrap();
        assert_eq!(segment.header, HEADER);
        let mut version = recovery::empty_version();
        let (mut cursor, mut read) = (version.cursor, Vec::new());
        let stop = segment.scan(&mut cursor, u64::MAX, |frame, behind| {
            read.push((frame.fields.kind, frame.payload.to_vec()));
            version.advance(frame, behind).unwrap();
            Ok(())
        });
        assert_eq!(stop.unwrap(), Stop::Fault(frame::Fault::Zeros));
        assert_eq!(read, records());
        version
    }

    #[test]
    fn format_md_shows_the_bytes_of_a_segment() {
        let dir = tempfile::tempdir().unwrap();
        let shown = block("segment");
        same_bytes(&shown, &written_segment(dir.path()));
        // And the other way round: the bytes on the page are read.
        std::fs::write(dir.path().join(segment::name(HEADER.number)), &shown).unwrap();
        let version = read_segment(dir.path());
        assert_eq!(version.state.root().to_string(), r#"{"server":{"port":8080},"ratio":0.5}"#);
        assert_eq!(version.texts[0].hash, hash_text(&STORE, first_text().as_bytes()));
    }

    #[test]
    fn format_md_shows_the_bytes_of_a_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        written_segment(dir.path());
        let version = read_segment(dir.path());
        let server: Value = [("port", 8080)].into_iter().collect();
        let first: Value = [("server", server)].into_iter().collect();
        let mut state_of = |_: &crate::version::KnownText| Ok(crate::State::new(first.clone()));
        let draft =
            snapshot::Draft::of(STORE, &version, 2, TIME + 3_000_000, Some(first_text()), &mut state_of).unwrap();
        let path = snapshot::write(&Os, dir.path(), &draft, &mut || false).unwrap().0;
        let written = std::fs::read(path).unwrap();
        let shown = block("snapshot");
        same_bytes(&shown, &written);
        let read = snapshot::decode(&shown).unwrap();
        assert_eq!((read.header.revision, read.header.sequence, read.header.next_segment), (2, 4, 2));
        assert_eq!(read.version.state.root(), version.state.root());
        assert_eq!(read.version.keys.get("job-7"), version.keys.get("job-7"));
        assert_eq!(snapshot::shown(&shown), Ok(Some(&*first_text())));
    }

    #[test]
    fn format_md_shows_the_bytes_of_a_watermark() {
        let dir = tempfile::tempdir().unwrap();
        Watermark::create(&Os, &dir.path().join(watermark::NAME)).unwrap();
        let page = Watermark::open(&Os, dir.path(), "settings set").unwrap();
        page.begin(&BOOT, &STORE, Reached::new(1, 0));
        page.set_tail(1, 4);
        page.publish(1, 3);
        page.set_named();
        assert!(page.mark(1));
        page.enter(Role::Appender, 4242, Duration::from_secs(60));
        same_bytes(&block("watermark"), &std::fs::read(dir.path().join(watermark::NAME)).unwrap());
    }

    #[test]
    fn format_md_leaves_no_byte_of_a_header_out() {
        let totals: Vec<u64> = tables().into_iter().map(|table| length_of(&table)).collect();
        let words = PAGE_WORDS as u64;
        assert_eq!(totals, [segment::HEADER_LEN as u64, frame::HEADER_LEN as u64, snapshot::HEADER_LEN as u64, words]);
    }

    #[test]
    fn format_md_tells_the_numbers_in_the_source() {
        let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
        let kib = |bytes: u64| format!("{} KiB", bytes >> 10);
        let limits = [
            ("a record's payload", mib(RECORD_MAX)),
            ("the config file", mib(RECORD_MAX)),
            ("a key", format!("{KEY_MAX} bytes")),
            ("nesting, and segments of a path", DEPTH_MAX.to_string()),
            ("idempotency keys remembered", KEYS_MAX.to_string()),
            ("texts that the config file may show at once", TEXTS_MAX.to_string()),
            ("zeros ahead in a new segment", kib(ZEROS_FIRST)),
            ("the first block of a segment", kib(BLOCK)),
            ("the watermark", kib(PAGE_LEN as u64)),
            ("the reserve", kib(crate::reserve::LEN)),
        ];
        for (what, limit) in limits {
            let row = format!("| {what} | {limit} |");
            assert!(PAGE.contains(&row), "FORMAT.md does not say: {row}");
        }
    }

    /// Bytes shown in the fenced block named so: lines `offset | hex | meaning`, or `offset | = from..to | meaning` for
    /// bytes that stand somewhere above. What no line mentions is zero, up to the offset of the last line.
    fn block(name: &str) -> Vec<u8> {
        let fence = format!("<!-- bytes of the {name} -->\n```text\n");
        let (_, rest) = PAGE.split_once(&fence).expect("a block of that name");
        let (lines, _) = rest.split_once("```").expect("its end");
        let mut bytes = Vec::new();
        for line in lines.lines() {
            let [offset, hex, _] = line.splitn(3, " |").collect::<Vec<_>>()[..] else {
                panic!("three columns: {line}")
            };
            let offset = offset.trim().parse().expect("an offset");
            assert!(offset >= bytes.len(), "out of order: {line}");
            bytes.resize(offset, 0);
            match hex.trim().strip_prefix("= ") {
                Some(range) => {
                    let (from, to) = range.split_once("..").expect("a range");
                    let place = |text: &str| text.parse::<usize>().expect("an offset");
                    bytes.extend_from_within(place(from)..place(to));
                }
                None => bytes.extend(hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))),
            }
        }
        bytes
    }

    fn same_bytes(shown: &[u8], written: &[u8]) {
        if shown != written {
            let differs = shown.iter().zip(written).position(|(a, b)| a != b).unwrap_or(shown.len().min(written.len()));
            let from = differs.saturating_sub(8);
            let around = |bytes: &[u8]| bytes[from.min(bytes.len())..bytes.len().min(differs + 32)].to_vec();
            panic!(
                "FORMAT.md shows {} bytes and {} are written; they differ from byte {differs} on.\nshown   from {from}: {:02x?}\nwritten from {from}: {:02x?}",
                shown.len(),
                written.len(),
                around(shown),
                around(written)
            );
        }
    }

    /// Tables whose first two columns are numbers: where a field begins, and how long it is.
    fn tables() -> Vec<Vec<(u64, u64)>> {
        let mut tables = vec![Vec::new()];
        for line in PAGE.lines() {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            match cells[..] {
                ["", offset, length, ..] if offset.parse::<u64>().is_ok() && length.parse::<u64>().is_ok() => {
                    let row = (offset.parse().expect("a number"), length.parse().expect("a number"));
                    tables.last_mut().expect("there is always one").push(row);
                }
                _ => tables.push(Vec::new()),
            }
        }
        tables.retain(|table| !table.is_empty());
        tables
    }

    fn length_of(table: &[(u64, u64)]) -> u64 {
        table.iter().fold(0, |end, (offset, length)| {
            assert_eq!(*offset, end, "a gap or an overlap in {table:?}");
            end + length
        })
    }
}
