//! A program that forks: its child has no part in the journal, and a process number proves nothing.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cfgwal::{Error, Journal, Op};

use crate::support::Store;

/// Runs something in a forked child, which must say `true` in time.
fn in_child(what: impl FnOnce() -> bool) {
    // SAFETY: the child calls into an allocator and a library that stand forking, and leaves by `_exit`.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "it can fork");
    if pid == 0 {
        let good = std::panic::catch_unwind(std::panic::AssertUnwindSafe(what)).unwrap_or(false);
        // SAFETY: it ends this process and nothing else.
        unsafe { libc::_exit(i32::from(!good)) };
    }
    let (began, mut status) = (Instant::now(), 0);
    // SAFETY: `status` is ours.
    while unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) } == 0 {
        if began.elapsed() > Duration::from_secs(20) {
            // SAFETY: the child of this test, not waited for yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            panic!("the child hangs");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(status, 0, "the child found something else");
}

#[test]
fn a_child_of_a_fork_is_told_so_and_changes_nothing() {
    let store = Store::with("{}\n");
    let journal = Journal::open(store.file()).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    journal.materialise().unwrap();
    let log = store.log();
    in_child(|| {
        let refused = |result: Result<(), Error>| match result {
            Err(Error::Forked { .. }) => true,
            Err(Error::NotApplied(inner)) => matches!(*inner, Error::Forked { .. }),
            _ => false,
        };
        refused(journal.append(Op::set("a", 2)).map(drop))
            && refused(journal.snapshot().map(drop))
            && refused(journal.compact().map(drop))
            && refused(journal.materialise().map(drop))
    });
    assert_eq!(store.log(), log);
    journal.append(Op::set("a", 3)).unwrap();
    journal.close().unwrap();
    assert_eq!(store.text(), "{\n  \"a\": 3\n}\n");
}

#[test]
fn a_child_may_open_a_journal_of_its_own() {
    let store = Store::with("{}\n");
    let journal = Journal::open(store.file()).unwrap();
    journal.append(Op::increment("n", 1)).unwrap();
    let file = store.file();
    in_child(move || {
        let options = Journal::options().materialise(cfgwal::Materialise::Manual);
        options.open(&file).is_ok_and(|own| own.append(Op::increment("n", 1)).is_ok())
    });
    assert_eq!(journal.append(Op::increment("n", 1)).unwrap().results[0], Some(3.into()));
}

/// The program that forks and is killed, for the test below: this binary again, with the store in its environment.
#[test]
#[ignore = "a part of the test below"]
fn a_program_that_forks() {
    let Some(file) = std::env::var_os("CFGWAL_TEST_FORKS") else { return };
    let journal = Journal::open(file).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    // SAFETY: the child does nothing but wait.
    if unsafe { libc::fork() } == 0 {
        std::thread::sleep(Duration::from_secs(8));
        // SAFETY: it ends this process and nothing else.
        unsafe { libc::_exit(0) };
    }
    println!("forked");
    loop {
        let _ = journal.append(Op::increment("n", 1));
    }
}

#[test]
fn a_child_that_outlives_its_parent_keeps_no_lock() {
    let store = Store::with("{}\n");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "forked::a_program_that_forks", "--ignored", "--nocapture"]);
    command.env("CFGWAL_TEST_FORKS", store.file()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut parent = command.spawn().unwrap();
    let mut out = std::io::BufReader::new(parent.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("forked") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0, "it says that it forked");
    }
    std::thread::sleep(Duration::from_millis(30));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let began = Instant::now();
    store.ok(&["set", "a", "2", "--lock-timeout", "1s"]);
    store.ok(&["compact", "--lock-timeout", "1s"]);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    store.assert_well("after a parent was killed whose child lives");
}

#[test]
fn a_number_that_another_process_has_now_makes_nobody_wait() {
    let store = Store::with("{\"n\": 0}\n");
    store.ok(&["increment", "n"]);
    // A holder that died without a word, whose number this test's own process has now.
    let path = store.journal().join("watermark");
    let mut page = fs::read(&path).unwrap();
    for base in [16, 32] {
        page[base * 8..base * 8 + 8].copy_from_slice(&u64::from(std::process::id()).to_le_bytes());
    }
    // In place: a page that is replaced would be another page.
    std::os::unix::fs::FileExt::write_all_at(&fs::OpenOptions::new().write(true).open(&path).unwrap(), &page, 0)
        .unwrap();
    assert_eq!(store.ok(&["increment", "n", "--lock-timeout", "0"]), "2\n");
    store.ok(&["compact", "--lock-timeout", "0"]);
    store.assert_well("beside a number that was used again");
}
