//! Something else in the place of each file: a link to a file that is nobody's business, a pipe, a device, a directory.
//! It is refused or does no harm, what it leads to stays as it is, and nobody waits for ever.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::support::{Store, ran};

const VERBS: [&[&str]; 8] = [
    &["get", "a"],
    &["status"],
    &["verify"],
    &["log"],
    &["recover", "--dry-run"],
    &["set", "a", "3"],
    &["compact"],
    &["recover"],
];

/// What takes a file's place.
const KINDS: [&str; 9] = [
    "link to a file",
    "link to nothing",
    "link to itself",
    "link to a directory",
    "hard link",
    "pipe",
    "device",
    "socket",
    "directory",
];

/// A store and, outside of it, what somebody would like to have read or written.
struct Scene {
    store: Store,
    outside: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        static PREPARED: OnceLock<Store> = OnceLock::new();
        let prepared = PREPARED.get_or_init(|| {
            let store = Store::with("{\"a\": 1}\n");
            store.ok(&["set", "a", "2"]);
            store.ok(&["compact"]);
            store.ok(&["set", "b", "1"]);
            store
        });
        let store = prepared.copy();
        let outside = tempfile::Builder::new().prefix("outside-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(outside.path().join("victim"), "x".repeat(5000)).unwrap();
        fs::create_dir(outside.path().join("dir")).unwrap();
        fs::write(outside.path().join("dir/victim"), "y").unwrap();
        Scene { store, outside }
    }

    fn victims(&self) -> Vec<(Vec<u8>, u32, u32, i64)> {
        let look = |name: &str| {
            let path = self.outside.path().join(name);
            let meta = fs::metadata(&path).unwrap();
            (fs::read(path).unwrap(), meta.mode(), meta.uid(), meta.mtime_nsec())
        };
        assert_eq!(fs::read_dir(self.outside.path().join("dir")).unwrap().count(), 1, "something was put outside");
        vec![look("victim"), look("dir/victim")]
    }

    /// Puts a thing at a place; `None`: it cannot be had here.
    fn put(&self, kind: &str, at: &Path) -> Option<()> {
        let victim = self.outside.path().join("victim");
        match kind {
            "link to a file" => symlink(victim, at).unwrap(),
            "link to nothing" => symlink(self.outside.path().join("nothing"), at).unwrap(),
            "link to itself" => symlink(at, at).unwrap(),
            "link to a directory" => symlink(self.outside.path().join("dir"), at).unwrap(),
            "hard link" => fs::hard_link(victim, at).unwrap(),
            "pipe" => assert!(std::process::Command::new("mkfifo").arg(at).status().unwrap().success()),
            "device" => {
                let made = std::process::Command::new("mknod").arg(at).args(["c", "1", "5"]).status();
                made.ok().filter(std::process::ExitStatus::success)?;
            }
            "socket" => {
                // The length of a socket's name is bounded.
                let short = tempfile::tempdir().unwrap();
                UnixListener::bind(short.path().join("s")).unwrap();
                fs::rename(short.path().join("s"), at).ok()?;
            }
            "directory" => fs::create_dir(at).unwrap(),
            _ => unreachable!(),
        }
        Some(())
    }
}

/// Waits for a command, but not for ever.
fn ended(mut child: Child, what: &str) -> crate::support::Ran {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{what}: it hangs");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    ran(child.wait_with_output())
}

fn run(store: &Store, args: &[&str], what: &str) -> crate::support::Ran {
    let mut command = store.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = ended(command.spawn().unwrap(), what);
    assert!(!ran.err.contains("panicked"), "{what}: {ran:?}");
    assert!((0..=9).contains(&ran.code), "{what}: {ran:?}");
    ran
}

fn only(store: &Store, prefix: &str) -> PathBuf {
    let entries = fs::read_dir(store.journal()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(prefix)).max().unwrap()
}

/// Tries each kind of thing in one place, with each verb on a store of its own.
fn swap(place: &str, path_of: impl Fn(&Store) -> PathBuf) {
    let mut cases = 0;
    for kind in KINDS {
        for verb in VERBS {
            // Who can give a file another name in the journal can write the page, and so needs nobody else for it.
            if (kind, place) == ("hard link", "the watermark") {
                continue;
            }
            let scene = Scene::new();
            let what = format!("a {kind} in the place of {place}, {verb:?}");
            let path = path_of(&scene.store);
            let aside = scene.outside.path().join("aside");
            let moved = fs::rename(&path, &aside).is_ok();
            if scene.put(kind, &path).is_none() {
                continue;
            }
            let before = scene.victims();
            let ran = run(&scene.store, verb, &what);
            assert!(!ran.out.contains("xxxx") && !ran.err.contains("xxxx"), "{what}: it shows the file: {ran:?}");
            assert_eq!(scene.victims(), before, "{what}: {ran:?}");
            assert!(!scene.outside.path().join("nothing").exists(), "{what}: it was made at the other end of a link");
            // What was there before is as good as ever.
            if moved {
                let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
                fs::rename(&aside, &path).unwrap();
                let after = run(&scene.store, &["get", "b"], &what);
                assert!(after.code == 0 || place == "the quarantine", "{what}, put back: {after:?}");
            }
            cases += 1;
        }
    }
    println!("{cases} cases in the place of {place}");
}

#[test]
fn nothing_in_the_place_of_the_config_file_is_followed_into_harm() {
    let mut cases = 0;
    // A link to a real document is one that somebody wants followed; all the others are refused.
    for kind in KINDS.into_iter().filter(|kind| *kind != "link to a file") {
        for verb in VERBS {
            let scene = Scene::new();
            let what = format!("a {kind} in the place of the config file, {verb:?}");
            fs::remove_file(scene.store.file()).unwrap();
            if scene.put(kind, &scene.store.file()).is_none() {
                continue;
            }
            let before = scene.victims();
            let ran = run(&scene.store, verb, &what);
            // Where a name is as good as any other, what does not parse is shown.
            assert!(kind == "hard link" || !ran.out.contains("xxxx"), "{what}: {ran:?}");
            assert_eq!(scene.victims(), before, "{what}: {ran:?}");
            cases += 1;
        }
    }
    println!("{cases} cases in the place of the config file");
}

#[test]
fn nothing_in_the_place_of_the_journal_is_followed_into_harm() {
    swap("the journal", Store::journal);
}

#[test]
fn nothing_in_the_place_of_a_segment_is_followed_into_harm() {
    swap("a segment", Store::segment);
}

#[test]
fn nothing_in_the_place_of_the_next_segment_is_followed_into_harm() {
    swap("the next segment", |store| {
        let name = store.segment().file_name().unwrap().to_string_lossy().into_owned();
        let number = u64::from_str_radix(name.strip_prefix("wal-").unwrap(), 16).unwrap();
        store.journal().join(format!("wal-{:016x}", number + 1))
    });
}

#[test]
fn nothing_in_the_place_of_a_snapshot_is_followed_into_harm() {
    swap("a snapshot", |store| only(store, "snapshot-"));
}

#[test]
fn nothing_in_the_place_of_the_quarantine_is_followed_into_harm() {
    swap("the quarantine", |store| {
        // There is something to put into it.
        let mut segment = fs::read(store.segment()).unwrap();
        let end = segment.iter().rposition(|byte| *byte != 0).unwrap() / 8 * 8 + 8;
        segment[end..end + 64].fill(b'z');
        fs::write(store.segment(), segment).unwrap();
        store.journal().join("quarantine")
    });
}

#[test]
fn nothing_in_the_place_of_the_reserve_is_followed_into_harm() {
    swap("the reserve", |store| store.journal().join("reserve"));
}

#[test]
fn nothing_in_the_place_of_the_watermark_is_followed_into_harm() {
    swap("the watermark", |store| store.journal().join("watermark"));
}

#[test]
fn nothing_under_the_names_of_unfinished_files_is_followed_into_harm() {
    let id = "0123456789abcdef0123456789abcdef";
    for name in [format!("wal-0000000000000009.tmp-{id}"), format!("snapshot-0000000000000009.tmp-{id}")] {
        swap("an unfinished file", |store| store.journal().join(&name));
    }
    swap("a text on its way", |store| store.dir().join(format!(".settings.json.cfgwal-{id}-01234567")));
    swap("a journal without a name", |store| store.dir().join(format!("settings.json.cfgwal.tmp-{id}")));
}

#[test]
fn a_config_file_that_becomes_a_pipe_while_a_program_works_hangs_nobody() {
    let scene = Scene::new();
    let mut session = crate::support::session::Session::start(&scene.store);
    session.must(r#"{"op":"increment","path":"a"}"#);
    fs::remove_file(scene.store.file()).unwrap();
    scene.put("pipe", &scene.store.file()).unwrap();
    session.must(r#"{"op":"increment","path":"a"}"#);
    let ran = session.finish();
    assert!([7, 8, 9].contains(&ran.code), "{ran:?}");
    fs::remove_file(scene.store.file()).unwrap();
    assert_eq!(scene.store.ok(&["get", "a"]), "4\n");
}

#[test]
fn a_link_for_the_config_file_is_followed_and_its_target_edited_beside_it() {
    let scene = Scene::new();
    fs::write(scene.outside.path().join("real.json"), "{\"a\": 1}").unwrap();
    fs::set_permissions(scene.outside.path().join("real.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let store = Store::empty();
    symlink(scene.outside.path().join("real.json"), store.file()).unwrap();
    store.ok(&["set", "a", "2"]);
    assert!(fs::symlink_metadata(store.file()).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(scene.outside.path().join("real.json")).unwrap(), "{\"a\": 2}");
    assert!(!store.journal().exists() && scene.outside.path().join("real.json.cfgwal").is_dir());
}
