//! Stores of versions to come: refused with a word, by readers and writers, and not a byte of them is touched.

use std::fs;
use std::path::PathBuf;

use cfgwal::{Error, Journal, View};

use crate::stores::open;
use crate::support::Store;

/// Where the parts of a header lie: see the description of the format.
struct Layout {
    prefix: &'static str,
    copies: &'static [usize],
    checksum: usize,
}

const SEGMENT: Layout = Layout { prefix: "wal-", copies: &[0, 2048], checksum: 104 };
const SNAPSHOT: Layout = Layout { prefix: "snapshot-", copies: &[0], checksum: 108 };

/// Changes bytes of a header and gives it a checksum that fits.
fn patch(path: &PathBuf, layout: &Layout, at: usize, bytes: &[u8]) {
    let mut file = fs::read(path).unwrap();
    for copy in layout.copies {
        file[copy + at..copy + at + bytes.len()].copy_from_slice(bytes);
        let checksum = crc32(&file[*copy..copy + layout.checksum]);
        file[copy + layout.checksum..copy + layout.checksum + 4].copy_from_slice(&checksum.to_le_bytes());
    }
    fs::write(path, file).unwrap();
}

/// The checksum of zip and PNG, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

fn files(store: &Store, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(store.journal()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> =
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix)).collect();
    found.sort();
    found
}

/// Every verb is refused, and nothing is written.
fn refused(store: &Store, what: &str) {
    let before = store.everything();
    for args in [
        &["set", "n", "7"][..],
        &["increment", "n"],
        &["batch"],
        &["compact"],
        &["recover"],
        &["recover", "--accept-loss"],
        &["recover", "--dry-run"],
        &["verify"],
        &["get", "n"],
        &["dump"],
        &["log"],
        &["status"],
    ] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (8, ""), "{what}: {args:?}: {ran:?}");
        assert!(ran.err.contains("newer version of cfgwal"), "{what}: {args:?}: {ran:?}");
        assert_eq!(store.everything(), before, "{what}: {args:?} touched it");
    }
    assert!(matches!(Journal::open(store.file()), Err(Error::Newer { .. })), "{what}");
    assert!(matches!(View::open(store.file()), Err(Error::Newer { .. })), "{what}");
    assert_eq!(store.everything(), before, "{what}");
}

#[test]
fn segments_and_snapshots_of_a_newer_format_are_refused_untouched() {
    // The version, a feature that must be known, and one that old builds may read past, of which there is none yet.
    let changes: [(&str, usize, &[u8]); 5] = [
        ("version 2", 8, &[2, 0, 0, 0]),
        ("version 4294967295", 8, &[255; 4]),
        ("feature 0", 16, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("feature 63", 16, &[0, 0, 0, 0, 0, 0, 0, 128]),
        ("read-only feature 0", 24, &[1, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let mut cases = 0;
    for layout in [SEGMENT, SNAPSHOT] {
        for (what, at, bytes) in changes {
            let count = files(&open("v1-two-snapshots.store"), layout.prefix).len();
            // The newest, which everybody reads. An older one need not be looked at.
            let store = open("v1-two-snapshots.store");
            patch(&files(&store, layout.prefix)[count - 1], &layout, at, bytes);
            refused(&store, &format!("{what} in the newest {}", layout.prefix));
            cases += 1;
        }
    }
    println!("{cases} stores");
}

#[test]
fn a_watermark_of_a_newer_layout_is_refused_untouched() {
    let store = open("v1-clean.store");
    let path = store.journal().join("watermark");
    let mut page = fs::read(&path).unwrap();
    page[0..8].copy_from_slice(b"CFGWALW2");
    fs::write(&path, page).unwrap();
    let before = store.everything();
    for args in [&["set", "n", "7"][..], &["batch"], &["compact"], &["recover"]] {
        let ran = store.run(args);
        assert_eq!(ran.code, 8, "{args:?}: {ran:?}");
        assert!(ran.err.contains("newer version of cfgwal") && ran.err.contains("watermark"), "{args:?}: {ran:?}");
        assert_eq!(store.everything(), before, "{args:?} touched it");
    }
    assert!(matches!(Journal::open(store.file()), Err(Error::Newer { .. })));
}

#[test]
fn a_header_that_is_damaged_is_not_taken_for_a_newer_one() {
    for layout in [SEGMENT, SNAPSHOT] {
        let store = open("v1-clean.store");
        let path = files(&store, layout.prefix).pop().unwrap();
        let mut file = fs::read(&path).unwrap();
        // A version that no checksum stands for.
        layout.copies.iter().for_each(|copy| file[copy + 8] = 2);
        fs::write(&path, file).unwrap();
        let before = store.content();
        let ran = store.run(&["set", "n", "7"]);
        assert_eq!(ran.code, 5, "{}: {ran:?}", layout.prefix);
        assert!(!ran.err.contains("newer"), "{ran:?}");
        assert_eq!(store.content(), before, "{}", layout.prefix);
    }
}
