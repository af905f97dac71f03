//! Directories and files that may not be written, or not even read: the message says what and where, and nothing changes.

use crate::support::sandbox::{Mode, Mount, Somebody, is_root, skipped};
use crate::support::{Ran, Store, ran, strace};

/// Gives the store to somebody whom permissions stop, or says why not.
fn somebody(test: &str, store: &Store) -> Option<Somebody> {
    Somebody::owns(store).inspect_err(|why| skipped(test, why)).ok()
}

fn assert_denied(ran: &Ran, path: &str) {
    assert_eq!((ran.code, ran.out.as_str()), (7, ""), "{ran:?}");
    assert!(ran.err.contains("Permission denied") && ran.err.contains(path), "{ran:?}");
}

#[test]
fn a_read_only_directory_takes_no_journal_and_stays_as_it_is() {
    let store = Store::with("{\"a\": 1}");
    let Some(somebody) = somebody("a_read_only_directory_takes_no_journal_and_stays_as_it_is", &store) else { return };
    let _mode = Mode::set(store.dir(), 0o555);
    let before = store.everything();
    for args in [&["set", "a", "2"][..], &["init", "settings.json"], &["batch"]] {
        assert_denied(&somebody.runs(&store, args), "settings.json.cfgwal");
    }
    let ran = somebody.runs(&store, &["get", "a"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "1\n", ""), "readers need no journal");
    assert_eq!(store.everything(), before);
}

#[test]
fn a_umask_that_keeps_everybody_out_leaves_nothing_behind() {
    let store = Store::with("{\"a\": 1}");
    let Some(somebody) = somebody("a_umask_that_keeps_everybody_out_leaves_nothing_behind", &store) else { return };
    let before = store.everything();
    let mut command = somebody.command(&store, &["set", "a", "2"]);
    let close = || {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
        Ok(())
    };
    // SAFETY: umask(2) is safe between fork and exec.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, close) };
    assert_denied(&ran(command.output()), "settings.json.cfgwal");
    assert_eq!(store.everything(), before);
}

#[test]
fn a_working_directory_that_was_removed_takes_no_edit_and_nobody_tries_for_ever() {
    let store = Store::empty();
    let script = "mkdir gone && cd gone && rmdir ../gone && exec timeout 20 \"$0\" -f settings.json set a 1";
    let mut shell = std::process::Command::new("sh");
    let ran = ran(shell.args(["-c", script, env!("CARGO_BIN_EXE_cfgwal")]).current_dir(store.dir()).output());
    assert_eq!((ran.code, ran.out.as_str()), (7, ""), "{ran:?}");
    assert!(ran.err.starts_with("cfgwal: the edit was not applied: cannot create settings.json.cfgwal"), "{ran:?}");
    assert!(store.everything().is_empty());
}

#[test]
fn what_need_not_be_is_done_without_where_a_sandbox_forbids_it() {
    for (call, errno) in
        [("sync_file_range", "EPERM"), ("sync_file_range", "ENOSYS"), ("prlimit64", "EPERM"), ("prlimit64", "ENOSYS")]
    {
        let store = Store::empty();
        let fails = format!("inject={call}:error={errno}");
        let made = strace::traced(&store, &["-e", &fails], &["set", "a", "1"]).status();
        let trace = std::fs::read_to_string(store.dir().join("trace")).unwrap_or_default();
        if !trace.contains("INJECTED") {
            return skipped("what_need_not_be_is_done_without_where_a_sandbox_forbids_it", strace::NOT_HERE);
        }
        assert_eq!(made.expect("strace runs").code(), Some(0), "{call}: {errno}");
        assert_eq!(store.ok(&["get", "a"]), "1\n");
    }
}

#[test]
fn without_proc_the_message_says_what_to_mount() {
    let store = Store::empty();
    let script = "mount -t tmpfs none /proc && exec \"$0\" -f settings.json set a 1";
    let mut unshare = std::process::Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_cfgwal")]).current_dir(store.dir());
    let Some(ran) = unshare.output().ok().map(|output| ran(Ok(output))).filter(|ran| ran.err.starts_with("cfgwal:"))
    else {
        return skipped("without_proc_the_message_says_what_to_mount", "nothing can be mounted over /proc");
    };
    assert_eq!((ran.code, ran.out.as_str()), (7, ""), "{ran:?}");
    assert!(ran.err.contains("boot_id is not there; mount /proc"), "{ran:?}");
    assert!(store.everything().is_empty());
}

#[test]
fn where_only_the_journal_may_be_written_an_edit_is_durable_and_says_that_the_file_lags() {
    let name = "where_only_the_journal_may_be_written_an_edit_is_durable_and_says_that_the_file_lags";
    let store = Store::with("{\"a\": 1}");
    store.ok(&["init", "settings.json"]);
    let Some(somebody) = somebody(name, &store) else { return };
    let mode = (Mode::set(store.dir(), 0o555), Mode::set(&store.file(), 0o444));
    let ran = somebody.runs(&store, &["set", "a", "2"]);
    assert_eq!((ran.code, ran.out.as_str()), (9, ""), "{ran:?}");
    for part in ["revision 1 is durable", "settings.json", "Permission denied"] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    assert_eq!(store.text(), "{\"a\": 1}", "the file is as it was");
    assert_eq!(somebody.runs(&store, &["get", "a"]).out, "2\n");
    drop(mode);
    let ran = somebody.runs(&store, &["set", "b", "1"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(store.text(), "{\"a\": 2, \"b\": 1}");
}

#[test]
fn somebody_elses_journal_is_neither_read_nor_written() {
    let name = "somebody_elses_journal_is_neither_read_nor_written";
    if !is_root() {
        return skipped(name, "only root can be two users");
    }
    let store = Store::with("{\"a\": 1}");
    let Some(somebody) = somebody(name, &store) else { return };
    store.ok(&["init", "settings.json"]);
    // What root creates in a directory goes to the owner of the directory, unless that is told otherwise.
    std::os::unix::fs::lchown(store.journal(), Some(0), Some(0)).unwrap();
    let before = store.everything();
    for args in
        [&["set", "a", "2"][..], &["get", "a"], &["batch"], &["compact"], &["recover"], &["recover", "--dry-run"]]
    {
        let ran = somebody.runs(&store, args);
        assert_denied(&ran, "settings.json.cfgwal");
        assert!(ran.err.contains("run this as the owner"), "{ran:?}");
    }
    assert_eq!(store.everything(), before);
}

#[test]
fn a_file_that_may_not_be_read_is_not_taken_for_a_missing_one() {
    let store = Store::with("{\"a\": 1}");
    let Some(somebody) = somebody("a_file_that_may_not_be_read_is_not_taken_for_a_missing_one", &store) else { return };
    let mode = Mode::set(&store.file(), 0o000);
    let before = store.content();
    for args in [&["get", "a"][..], &["set", "a", "2"], &["init", "settings.json"], &["batch"]] {
        assert_denied(&somebody.runs(&store, args), "settings.json");
    }
    assert_eq!(store.content(), before, "no journal was made for what could not be read");
    drop(mode);
    assert_eq!(somebody.runs(&store, &["set", "a", "2"]).code, 0);
    let _mode = Mode::set(&store.file(), 0o000);
    let before = store.content();
    for args in [&["set", "a", "3"][..], &["increment", "a"]] {
        let ran = somebody.runs(&store, args);
        assert_denied(&ran, "settings.json");
    }
    assert_eq!(store.content(), before);
}

#[test]
fn a_read_only_mount_can_be_read_and_looked_at_and_nothing_else() {
    let name = "a_read_only_mount_can_be_read_and_looked_at_and_nothing_else";
    let below = Store::with("{\"a\": 1}");
    below.ok(&["set", "a", "2"]);
    let mount = match Mount::read_only(below.dir()) {
        Ok(mount) => mount,
        Err(why) => return skipped(name, &why),
    };
    let store = mount.store();
    let before = below.everything();
    for args in [&["get", "a"][..], &["dump"], &["ls"], &["status"], &["log"], &["verify"], &["recover", "--dry-run"]] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}: {ran:?}");
    }
    for args in [&["set", "a", "3"][..], &["compact"], &["recover"], &["batch"]] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (7, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains("Read-only file system") && ran.err.contains("settings.json"), "{args:?}: {ran:?}");
    }
    assert_eq!(below.everything(), before);
}
