//! No file of ours is readable by more people than the config file, not even for a moment, whatever the umask.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::sandbox::{is_root, skipped};
use crate::support::strace::{NOT_HERE, traced};
use crate::support::{Store, ran};

/// Calls that give a file its mode.
const CALLS: &str = "trace=openat,?open,?creat,?mkdir,mkdirat,?chmod,fchmod,fchmodat,?mknod,mknodat";

/// The widest mode that each of these calls leads to: the call, and the mode after the umask.
fn modes(trace: &str, umask: u32) -> Vec<(String, u32)> {
    let octal = |text: &str| {
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        u32::from_str_radix(&digits, 8).expect("strace shows modes in octal")
    };
    let mode = |line: &str| {
        let (call, rest) = line.split_once(' ')?.1.trim_start().split_once('(')?;
        let arguments = rest.rsplit_once(')')?.0;
        let last = arguments.rsplit(", ").next()?;
        match call {
            "openat" if arguments.contains("O_CREAT") || arguments.contains("O_TMPFILE") => Some(octal(last) & !umask),
            "mkdir" | "mkdirat" | "mknod" | "mknodat" | "creat" => Some(octal(last) & !umask),
            "fchmod" | "chmod" | "fchmodat" => Some(octal(last)),
            _ => None,
        }
        .map(|mode| (line.to_owned(), mode))
    };
    trace.lines().filter_map(mode).collect()
}

#[test]
fn no_file_is_wider_than_the_config_file_at_any_moment_under_any_umask() {
    let name = "no_file_is_wider_than_the_config_file_at_any_moment_under_any_umask";
    let mut seen = 0;
    for umask in [0o000, 0o022, 0o077] {
        for mode in [0o600, 0o640, 0o644, 0o664] {
            let store = Store::with("{\"a\": 1}\n");
            fs::set_permissions(store.file(), fs::Permissions::from_mode(mode)).unwrap();
            let verbs: [&[&str]; 5] = [
                &["set", "a", "2"],
                &["set", "b", "x"],
                &["compact"],
                &["recover"],
                &["merge", "{\"big\": \"a value that makes the file longer\"}"],
            ];
            for (at, verb) in verbs.into_iter().enumerate() {
                if at == 3 {
                    // Something that goes into quarantine, and a text that was saved by hand.
                    let mut segment = fs::read(store.segment()).unwrap();
                    let end = segment.iter().rposition(|byte| *byte != 0).unwrap() / 8 * 8 + 8;
                    segment[end..end + 64].fill(b'z');
                    fs::write(store.segment(), segment).unwrap();
                    store.write("{\"a\": 5, \"b\": \"x\"}\n");
                }
                let mut command = traced(&store, &["-e", CALLS], verb);
                // SAFETY: umask(2) is safe between fork and exec.
                unsafe {
                    command.pre_exec(move || {
                        libc::umask(umask);
                        Ok(())
                    });
                }
                let Ok(status) = command.status() else { return skipped(name, NOT_HERE) };
                let trace = fs::read_to_string(store.dir().join("trace")).unwrap_or_default();
                if trace.is_empty() {
                    return skipped(name, NOT_HERE);
                }
                fs::remove_file(store.dir().join("trace")).unwrap();
                assert_eq!(status.code(), Some(0), "{verb:?}, umask {umask:o}, mode {mode:o}");
                for (call, given) in modes(&trace, umask) {
                    let directory = call.contains("mkdir");
                    // A nameless file is nobody's to open.
                    let nameless = call.contains("O_TMPFILE");
                    let widest = if directory { 0o700 } else { mode | 0o600 };
                    assert!(nameless || given & !widest == 0, "umask {umask:o}, mode {mode:o}: {given:o} by {call}");
                    seen += 1;
                }
                assert_eq!(fs::metadata(store.file()).unwrap().mode() & 0o7777, mode, "{verb:?}: the mode is kept");
                assert_private(&store);
            }
        }
    }
    println!("{seen} files, directories and modes");
    assert!(seen > 100, "{seen}: the calls were not seen");
}

/// The journal and all that is in it belongs to its owner alone.
fn assert_private(store: &Store) {
    let mut dirs = vec![store.journal()];
    while let Some(dir) = dirs.pop() {
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o077, 0, "{}", dir.display());
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            let meta = fs::symlink_metadata(&path).unwrap();
            assert_eq!(meta.mode() & 0o077, 0, "{} is {:o}", path.display(), meta.mode());
            if meta.is_dir() {
                dirs.push(path);
            }
        }
    }
}

#[test]
fn a_new_config_file_gets_the_mode_that_the_umask_leaves() {
    for (umask, mode) in [(0o000, 0o666), (0o022, 0o644), (0o077, 0o600), (0o777, 0o000)] {
        let store = Store::empty();
        let mut command = store.command(&["set", "a", "1"]);
        // SAFETY: umask(2) is safe between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::umask(umask);
                Ok(())
            });
        }
        let ran = ran(command.output());
        if umask == 0o777 && !is_root() {
            // Nobody could read what is made so; it is refused.
            assert_eq!(ran.code, 7, "{ran:?}");
            continue;
        }
        assert_eq!(ran.code, 0, "umask {umask:o}: {ran:?}");
        assert_eq!(fs::metadata(store.file()).unwrap().mode() & 0o777, mode, "umask {umask:o}");
        assert_private(&store);
    }
}

/// Runs the command as a user.
fn run_as(user: u32, store: &Store, args: &[&str]) -> crate::support::Ran {
    let mut command: Command = store.command(args);
    command.uid(user).gid(user);
    ran(command.output())
}

const VICTIM: u32 = 65_533;
const ATTACKER: u32 = 65_534;

fn give(store: &Store, to: u32) {
    for path in [store.dir().to_owned(), store.file(), store.journal()] {
        if path.exists() {
            lchown(&path, Some(to), Some(to)).unwrap();
        }
    }
    for entry in fs::read_dir(store.journal()).into_iter().flatten() {
        lchown(entry.unwrap().path(), Some(to), Some(to)).unwrap();
    }
}

#[test]
fn a_journal_that_somebody_else_laid_out_open_takes_no_secrets() {
    let name = "a_journal_that_somebody_else_laid_out_open_takes_no_secrets";
    if !is_root() {
        return skipped(name, "only root can be two users");
    }
    // The attacker could write where the config lies, and made the journal before its owner did.
    let store = Store::with("{\"a\": 1}\n");
    store.ok(&["init", "settings.json"]);
    give(&store, ATTACKER);
    lchown(store.file(), Some(VICTIM), Some(VICTIM)).unwrap();
    lchown(store.dir(), Some(0), Some(0)).unwrap();
    fs::set_permissions(store.dir(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(store.journal(), fs::Permissions::from_mode(0o777)).unwrap();
    for entry in fs::read_dir(store.journal()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o666)).unwrap();
    }
    if run_as(VICTIM, &store, &["--version"]).code != 0 {
        return skipped(name, "another user cannot run the command from here");
    }
    let before = store.content();
    for args in [&["set", "token", "c4n4ry"][..], &["compact"], &["recover"], &["batch"], &["get", "a"], &["status"]] {
        let ran = run_as(VICTIM, &store, args);
        assert_eq!(ran.code, 8, "{args:?}: {ran:?}");
        assert!(
            ran.err.contains("settings.json.cfgwal") && ran.err.contains("it belongs to somebody"),
            "{args:?}: {ran:?}"
        );
    }
    assert_eq!(store.content(), before);
}

#[test]
fn root_edits_what_belongs_to_a_user_and_the_user_goes_on() {
    let name = "root_edits_what_belongs_to_a_user_and_the_user_goes_on";
    if !is_root() {
        return skipped(name, "only root can be two users");
    }
    let store = Store::with("{\"a\": 1}\n");
    give(&store, VICTIM);
    if run_as(VICTIM, &store, &["--version"]).code != 0 {
        return skipped(name, "another user cannot run the command from here");
    }
    for round in 0..3 {
        assert_eq!(run_as(VICTIM, &store, &["increment", "a"]).code, 0, "round {round}");
        store.ok(&["increment", "a"]);
        store.ok(&["compact"]);
    }
    assert_eq!(run_as(VICTIM, &store, &["set", "b", "1"]).code, 0);
    assert_eq!(store.text(), "{\"a\": 7, \"b\": 1}\n");
    let files = fs::read_dir(store.journal()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().uid());
    assert!(files.into_iter().all(|uid| uid == VICTIM), "sudo left files that the user cannot write");
}
