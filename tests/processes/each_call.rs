//! A command killed at each of its system calls in turn, and a command whose calls fail in turn: no moment is left out.
//!
//! `strace` does it, when a call of that name is entered for the k-th time. Where it may not or is not there, nothing is
//! proven, and the random kills of `kill` have to do.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use crate::support::sandbox::skipped;
use crate::support::{Ran, Store, ran};

/// Calls that change something on disk, or stand between changes of what running processes tell one another in memory.
const CALLS: [&str; 15] = [
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "mkdir",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "flock",
    "futex",
    "exit_group",
];

/// The command under `strace`, with these options.
fn traced(store: &Store, options: &[&str], args: &[&str]) -> Command {
    let plain = store.command(args);
    let mut command = Command::new("strace");
    command.args(["-f", "-qqq", "-o"]).arg(store.dir().join("trace")).args(options);
    command.arg("--").arg(plain.get_program()).args(plain.get_args());
    command.current_dir(store.dir()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// How often a command makes each call; `None`: it cannot be traced here.
fn count(store: &Store, args: &[&str]) -> Option<BTreeMap<&'static str, usize>> {
    let known = format!("trace=?{}", CALLS.join(",?"));
    let status = traced(store, &["-e", &known], args).status().ok()?;
    let trace = std::fs::read_to_string(store.dir().join("trace")).ok()?;
    std::fs::remove_file(store.dir().join("trace")).ok()?;
    assert!(status.success(), "the command must work where nobody kills it");
    let calls = |name: &'static str| {
        // A line is `PID name(...) = ...`.
        let of = |line: &&str| {
            line.split_once(' ').is_some_and(|(_, call)| call.trim_start().starts_with(&format!("{name}(")))
        };
        (name, trace.lines().filter(of).count())
    };
    Some(CALLS.into_iter().map(calls).filter(|(_, count)| *count > 0).collect())
}

/// Kills a command at each of its calls, each time in a store of its own, and has `check` look at what is left.
fn kill_at_each_call(test: &str, prepared: &Store, args: &[&str], check: impl Fn(&Store, &str)) {
    let Some(calls) = count(&prepared.copy(), args) else {
        return skipped(test, "strace is not there or may not trace");
    };
    let mut kills = 0;
    for (name, count) in calls {
        for k in 1..=count {
            let store = prepared.copy();
            let inject = format!("inject={name}:signal=SIGKILL:when={k}");
            let status = traced(&store, &["-e", &format!("trace={name}"), "-e", &inject], args).status().unwrap();
            let _ = std::fs::remove_file(store.dir().join("trace"));
            // Threads share the work a little differently each time, so the last of them may not come.
            kills += usize::from(status.signal() == Some(9));
            check(&store, &format!("killed at {name} number {k}"));
        }
    }
    println!("{kills} kills");
    assert!(kills > 10, "{kills} kills of `{args:?}`: strace does not do what it is told");
}

fn number(ran: &Ran) -> u64 {
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    ran.out.trim().parse().expect("a number")
}

/// An increment, then what must hold whatever was killed before it. Of an edit that was killed nobody can say that it
/// was made, until the next one has found it in the log or not.
fn goes_on(store: &Store, at: &str) {
    let before = number(&store.run(&["get", "n"]));
    let looked = store.everything();
    assert!([0, 5].contains(&store.run(&["recover", "--dry-run"]).code), "{at}");
    assert_eq!(store.everything(), looked, "{at}: a dry run left a trace");
    let after = number(&store.run(&["increment", "n"]));
    assert!(after == before + 1 || after == before + 2, "{at}: {before}, then {after}");
    assert_eq!(store.text(), format!("{{\"n\": {after}}}\n"), "{at}");
    store.assert_well(at);
}

fn with_edits() -> Store {
    let store = Store::with("{\"n\": 0}\n");
    store.ok(&["increment", "n"]);
    store
}

#[test]
fn an_edit_killed_at_each_call_is_there_or_not_and_the_next_works() {
    let name = "an_edit_killed_at_each_call_is_there_or_not_and_the_next_works";
    kill_at_each_call(name, &with_edits(), &["increment", "n"], |store, at| {
        assert!(["{\"n\": 1}\n", "{\"n\": 2}\n"].contains(&store.text().as_str()), "{at}: {}", store.text());
        assert!((1..=2).contains(&number(&store.run(&["get", "n"]))), "{at}");
        // An edit for which the log must grow first meets what the other left at another moment.
        let large = store.copy();
        let ran = large.feed(&["merge", "-"], &format!("{{\"large\":\"{}\"}}", "x".repeat(100_000)));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{at}");
        large.assert_well(at);
        goes_on(store, at);
    });
}

#[test]
fn a_first_edit_killed_at_each_call_leaves_no_half_journal() {
    let name = "a_first_edit_killed_at_each_call_leaves_no_half_journal";
    kill_at_each_call(name, &Store::with("{\"n\": 0}\n"), &["increment", "n"], |store, at| {
        assert!((0..=1).contains(&number(&store.run(&["get", "n"]))), "{at}");
        // Half a journal that has no name yet may lie about; the next first edit sweeps it.
        goes_on(store, at);
    });
}

#[test]
fn a_compaction_killed_at_each_call_loses_nothing() {
    kill_at_each_call("a_compaction_killed_at_each_call_loses_nothing", &with_edits(), &["compact"], |store, at| {
        assert_eq!(number(&store.run(&["get", "n"])), 1, "{at}");
        goes_on(store, at);
    });
}

/// Calls whose failure the system may report to an edit. What the loader does before the program begins is not its own.
const MAY_FAIL: [&str; 11] = [
    "pwrite64",
    "fdatasync",
    "fsync",
    "ftruncate",
    "mkdir",
    "linkat",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "flock",
];

/// Lets each call of an increment fail once, each time in a store of its own. Whatever the command says must be true.
fn fail_each_call(test: &str, prepared: &Store) {
    let args = ["increment", "n"];
    let Some(calls) = count(&prepared.copy(), &args) else {
        return skipped(test, "strace is not there or may not trace");
    };
    let mut codes = BTreeMap::<i32, usize>::new();
    for (name, count) in calls.into_iter().filter(|(name, _)| MAY_FAIL.contains(name)) {
        for (k, error) in (1..=count).flat_map(|k| ["EIO", "ENOSPC", "EINTR"].map(|error| (k, error))) {
            let store = prepared.copy();
            let before = number(&store.run(&["get", "n"]));
            let inject = format!("inject={name}:error={error}:when={k}");
            let mut command = traced(&store, &["-e", &format!("trace={name}"), "-e", &inject], &args);
            let ran = ran(command.stdout(Stdio::piped()).stderr(Stdio::piped()).output());
            let _ = std::fs::remove_file(store.dir().join("trace"));
            let at = format!("{error} from {name} number {k}: {ran:?}");
            *codes.entry(ran.code).or_default() += 1;
            let made = match ran.code {
                0 | 9 => {
                    assert_eq!(ran.out, format!("{}\n", before + 1), "{at}");
                    before + 1..=before + 1
                }
                7 if ran.err.contains("outcome of the edit is unknown") => before..=before + 1,
                7 => before..=before,
                _ => panic!("{at}"),
            };
            let after = number(&store.run(&["increment", "n"]));
            assert!((made.start() + 1..=made.end() + 1).contains(&after), "{at}, then {after}");
            assert_eq!(store.text(), format!("{{\"n\": {after}}}\n"), "{at}");
            store.assert_well(&at);
        }
    }
    println!("exit codes and how often: {codes:?}");
}

#[test]
fn an_edit_whose_calls_fail_in_turn_says_what_became_of_it() {
    fail_each_call("an_edit_whose_calls_fail_in_turn_says_what_became_of_it", &with_edits());
}

#[test]
fn a_first_edit_whose_calls_fail_in_turn_says_what_became_of_it() {
    let name = "a_first_edit_whose_calls_fail_in_turn_says_what_became_of_it";
    fail_each_call(name, &Store::with("{\"n\": 0}\n"));
}
