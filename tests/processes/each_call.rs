//! A command killed at each of its system calls in turn: no moment is left out.
//!
//! Where `strace` may not trace or is not there, nothing is proven, and the random kills of `kill` have to do.

use std::os::unix::process::ExitStatusExt;

use crate::support::sandbox::skipped;
use crate::support::strace::{NOT_HERE, count, record, traced};
use crate::support::{Ran, Store};

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

/// Kills a command at each of its calls, each time in a store of its own, and has `check` look at what is left.
fn kill_at_each_call(test: &str, prepared: &Store, args: &[&str], check: impl Fn(&Store, &str)) {
    let Some(calls) = record(&prepared.copy(), &CALLS, args) else { return skipped(test, NOT_HERE) };
    let mut kills = 0;
    for (name, count) in count(&calls, &CALLS) {
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

/// A store with a record that a crash cut short: half of the next one lies behind what was acknowledged.
fn with_torn_tail() -> Store {
    let store = with_edits();
    let whole = store.copy();
    whole.ok(&["increment", "n"]);
    let segment = std::fs::read(whole.segment()).unwrap();
    let before = std::fs::read(store.segment()).unwrap();
    let from = before.iter().rposition(|byte| *byte != 0).unwrap() / 8 * 8 + 8;
    let mut torn = before;
    // The header of the record and a part of what it says follows.
    torn[from..from + 56].copy_from_slice(&segment[from..from + 56]);
    std::fs::write(store.segment(), torn).unwrap();
    store
}

#[test]
fn a_recovery_killed_at_each_call_is_finished_by_the_next_command() {
    let name = "a_recovery_killed_at_each_call_is_finished_by_the_next_command";
    let store = with_torn_tail();
    let plan = store.run(&["recover", "--dry-run"]);
    assert!(plan.code == 5 && plan.out.contains("torn"), "{plan:?}");
    kill_at_each_call(name, &store, &["recover"], |store, at| {
        assert_eq!(number(&store.run(&["get", "n"])), 1, "{at}");
        goes_on(store, at);
    });
}

#[test]
fn an_edit_that_takes_a_hand_edit_over_killed_at_each_call_keeps_what_was_saved() {
    let name = "an_edit_that_takes_a_hand_edit_over_killed_at_each_call_keeps_what_was_saved";
    let store = with_edits();
    store.write("{\"n\": 1, \"saved\": true}\n");
    kill_at_each_call(name, &store, &["increment", "n"], |store, at| {
        assert_eq!(store.ok(&["get", "saved"]), "true\n", "{at}");
        let before = number(&store.run(&["get", "n"]));
        let after = number(&store.run(&["increment", "n"]));
        assert!(after == before + 1 || after == before + 2, "{at}: {before}, then {after}");
        assert_eq!(store.text(), format!("{{\"n\": {after}, \"saved\": true}}\n"), "{at}");
        store.assert_well(at);
    });
}
