//! Each system call of a command fails in turn, each time in a store of its own. Whatever the command then says must be
//! true: made, not made, or unknown.
//!
//! A share of the failures, always the same; with `CFGWAL_LONG` all of them. Where `strace` may not trace or is not
//! there, nothing is proven here; on the simulated disk the same is done to the library.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cfgwal::{FileStatus, Journal, Op, Path, View};

use crate::support::sandbox::skipped;
use crate::support::strace::{NOT_HERE, record, traced};
use crate::support::{Ran, Store, long, ran};

/// What may fail, and what it may say. A command's memory is not on the list: see `limits`.
const CALLS: [&str; 25] = [
    "openat",
    "pread64",
    "read",
    "pwrite64",
    "write",
    "fdatasync",
    "fsync",
    "ftruncate",
    "mkdir",
    "linkat",
    "renameat",
    "renameat2",
    "rename",
    "unlink",
    "unlinkat",
    "flock",
    "statx",
    "newfstatat",
    "fstat",
    "getdents64",
    "fcntl",
    "fchmod",
    "fchown",
    "flistxattr",
    "statfs",
];
const ERRORS: [&str; 6] = ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EINTR"];
/// In how many cases of the whole one is tried where there is no night for it.
const STRIDE: usize = 7;

/// One call that fails.
struct Case {
    call: &'static str,
    k: usize,
    error: &'static str,
}

/// Every call that a command makes once its program has begun, with every error. What the loader does before is not its own.
fn cases(store: &Store, args: &[&str]) -> Option<Vec<Case>> {
    // The runtime looks at the three standard files first of all.
    let recorded = record(store, &[&CALLS[..], &["poll"]].concat(), args)?;
    let begins = recorded.iter().position(|call| call.starts_with("poll(")).unwrap_or(0);
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut cases = Vec::new();
    for (at, line) in recorded.iter().enumerate() {
        let Some(call) = CALLS.into_iter().find(|call| line.split('(').next() == Some(call)) else { continue };
        let k = seen.entry(call).or_default();
        *k += 1;
        // How the runtime learns where its stack ends does not concern anybody.
        if at > begins && !line.contains("/proc/self/maps") {
            cases.extend(ERRORS.map(|error| Case { call, k: *k, error }));
        }
    }
    Some(cases)
}

/// Lets each call of a command fail once, and has `check` look at what the command said and left.
fn fail_each_call(test: &str, prepared: &Store, args: &[&str], check: impl Fn(&Store, &Ran, &str) + Sync) {
    let Some(cases) = cases(&prepared.copy(), args) else { return skipped(test, NOT_HERE) };
    let stride = if long() { 1 } else { STRIDE };
    let (next, codes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::<i32, usize>::new()));
    let work = || {
        loop {
            let Some(Case { call, k, error }) = cases.get(next.fetch_add(stride, SeqCst)) else { return };
            let store = prepared.copy();
            let inject = format!("inject={call}:error={error}:when={k}");
            let mut command = traced(&store, &["-e", &format!("trace={call}"), "-e", &inject], args);
            let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
            let at = format!("{error} from {call} number {k} of {args:?}");
            let code = output.as_ref().ok().and_then(|output| output.status.code());
            assert!(code.is_some(), "{at}: it does not end by itself: {output:?}");
            let ran = ran(output);
            let _ = fs::remove_file(store.dir().join("trace"));
            assert!((0..=9).contains(&ran.code) && !ran.err.contains("panicked"), "{at}: {ran:?}");
            // To be unable to look is not the same as to find damage or nothing there.
            assert!(![1, 2, 3].contains(&ran.code), "{at}: {ran:?}");
            check(&store, &ran, &format!("{at}: {ran:?}"));
            *codes.lock().unwrap_or_else(PoisonError::into_inner).entry(ran.code).or_default() += 1;
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(work);
        work();
        other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let codes = codes.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} of {} failures; exit codes and how often: {codes:?}", codes.values().sum::<usize>(), cases.len());
}

/// One more increment, by the library, in a store where `n` may be any of these; everything is put right by it.
fn goes_on(store: &Store, possible: &[i64], at: &str) {
    // With what was saved by hand and not taken over yet.
    let view = View::open(store.file()).unwrap_or_else(|error| panic!("{at}, then {error}"));
    let before: i64 = view.state().root().get(&"n".parse::<Path>().unwrap()).unwrap().to().unwrap();
    assert!(possible.contains(&before), "{at}, then {before}");
    let journal = Journal::open(store.file()).unwrap_or_else(|error| panic!("{at}, then {error}"));
    let ack = journal.append(Op::increment("n", 1)).unwrap_or_else(|error| panic!("{at}, then {error}"));
    assert_eq!(ack.results[0], Some((before + 1).into()), "{at}");
    let status = journal.close().unwrap_or_else(|error| panic!("{at}, then {error}"));
    assert!(matches!(status, FileStatus::Current { .. }), "{at}, then {status:?}");
    store.assert_sound(at);
}

/// What `n` may be after an increment that said so.
fn after_an_increment(ran: &Ran, before: i64, at: &str) -> Vec<i64> {
    match ran.code {
        0 | 9 => {
            assert_eq!(ran.out, format!("{}\n", before + 1), "{at}");
            vec![before + 1]
        }
        7 if ran.err.contains("outcome of the edit is unknown") => vec![before, before + 1],
        // It was durable; only nobody could be told.
        7 if ran.err.contains("what the command does was done") => vec![before + 1],
        6..=8 => vec![before],
        _ => panic!("{at}"),
    }
}

fn with_edits() -> Store {
    let store = Store::with("{\"n\": 0}\n");
    store.ok(&["increment", "n"]);
    store
}

#[test]
fn an_edit_whose_calls_fail_in_turn_says_what_became_of_it() {
    let name = "an_edit_whose_calls_fail_in_turn_says_what_became_of_it";
    fail_each_call(name, &with_edits(), &["increment", "n"], |store, ran, at| {
        goes_on(store, &after_an_increment(ran, 1, at), at);
    });
}

#[test]
fn a_first_edit_whose_calls_fail_in_turn_says_what_became_of_it() {
    let name = "a_first_edit_whose_calls_fail_in_turn_says_what_became_of_it";
    fail_each_call(name, &Store::with("{\"n\": 0}\n"), &["increment", "n"], |store, ran, at| {
        goes_on(store, &after_an_increment(ran, 0, at), at);
    });
}

#[test]
fn an_edit_beside_a_hand_edit_whose_calls_fail_in_turn_keeps_what_was_saved() {
    let name = "an_edit_beside_a_hand_edit_whose_calls_fail_in_turn_keeps_what_was_saved";
    let store = with_edits();
    store.write("{\"n\": 1, \"saved\": true}\n");
    fail_each_call(name, &store, &["increment", "n"], |store, ran, at| {
        goes_on(store, &after_an_increment(ran, 1, at), at);
        assert!(store.text().contains("\"saved\": true"), "{at}: {}", store.text());
    });
}

#[test]
fn a_compaction_whose_calls_fail_in_turn_loses_nothing() {
    let name = "a_compaction_whose_calls_fail_in_turn_loses_nothing";
    fail_each_call(name, &with_edits(), &["compact"], |store, ran, at| {
        assert!([0, 6, 7, 9].contains(&ran.code), "{at}");
        goes_on(store, &[1], at);
    });
}

#[test]
fn a_recovery_whose_calls_fail_in_turn_can_be_done_again() {
    let store = with_edits();
    // Bytes behind the end that are no record: what a crash leaves of one.
    let mut segment = fs::read(store.segment()).unwrap();
    let end = segment.iter().rposition(|byte| *byte != 0).unwrap() / 8 * 8 + 8;
    segment[end..end + 100].fill(b'x');
    fs::write(store.segment(), segment).unwrap();
    let name = "a_recovery_whose_calls_fail_in_turn_can_be_done_again";
    fail_each_call(name, &store, &["recover"], |store, ran, at| {
        assert!([0, 6, 7, 9].contains(&ran.code), "{at}");
        goes_on(store, &[1], at);
    });
}

#[test]
fn a_reader_whose_calls_fail_in_turn_tells_the_truth_or_fails_and_changes_nothing() {
    let store = with_edits();
    store.write("{\"n\": 5}\n");
    let name = "a_reader_whose_calls_fail_in_turn_tells_the_truth_or_fails_and_changes_nothing";
    fail_each_call(name, &store, &["get", "n"], |store, ran, at| {
        match ran.code {
            0 => assert_eq!(ran.out, "5\n", "{at}"),
            7 => assert!(!ran.err.is_empty(), "{at}"),
            _ => panic!("{at}"),
        }
        let changed: Vec<_> = store.litter();
        assert!(changed.is_empty() && store.text() == "{\"n\": 5}\n", "{at}: {changed:?}");
        goes_on(store, &[5], at);
    });
}
