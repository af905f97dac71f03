//! Stores as text, so that they can be read, compared and kept by git, which keeps neither modes nor ignored files.
//!
//! ```text
//! file settings.json 644 9
//!     0 | 7b 22 61 22 3a 20 31 7d 0a
//! dir settings.json.cfgwal 700
//! ```
//!
//! A line has 16 bytes at an offset; lines of zeros are left out.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::Store;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Lays a store out as it was.
pub fn open(name: &str) -> Store {
    let text = fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let store = Store::empty();
    let mut files: Vec<(PathBuf, u32, Vec<u8>)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mode = |text: &str| u32::from_str_radix(text, 8).unwrap();
        match words.as_slice() {
            ["dir", name, bits] => {
                fs::create_dir(store.dir().join(name)).unwrap();
                fs::set_permissions(store.dir().join(name), fs::Permissions::from_mode(mode(bits))).unwrap();
            }
            ["file", name, bits, len] => {
                files.push((store.dir().join(name), mode(bits), vec![0; len.parse().unwrap()]));
            }
            [offset, "|", bytes @ ..] => {
                let at: usize = offset.parse().unwrap();
                let bytes: Vec<u8> = bytes.iter().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
                files.last_mut().unwrap().2[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            _ => panic!("{name}: {line}"),
        }
    }
    for (path, mode, bytes) in files {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    store
}

/// Writes a store down.
pub fn keep(store: &Store, name: &str, about: &str) {
    assert!(!path(name).exists(), "{name} is there already, and stays as it is");
    let mut text = format!("# {about}\n");
    write_down(store.dir(), store.dir(), &mut text);
    fs::write(path(name), text).unwrap();
}

fn write_down(root: &Path, dir: &Path, text: &mut String) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.strip_prefix(root).unwrap().display();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        if path.is_dir() {
            writeln!(text, "dir {name} {mode:o}").unwrap();
            write_down(root, &path, text);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if path.ends_with("watermark") {
            // Whoever opens it does so after another boot, this machine's tests too.
            bytes[8..24].copy_from_slice(b"an-earlier-boot!");
        }
        writeln!(text, "file {name} {mode:o} {}", bytes.len()).unwrap();
        for (at, chunk) in bytes.chunks(16).enumerate().filter(|(_, chunk)| chunk.iter().any(|byte| *byte != 0)) {
            let hex: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{:5} | {}", at * 16, hex.join(" ")).unwrap();
        }
    }
}
