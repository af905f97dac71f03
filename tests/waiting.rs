//! What is promised in seconds: how long a lock is waited for, and how far the file may lag behind the log.
//!
//! In a binary of its own, so that no other test is busy meanwhile.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod support;

use std::fs::File;
use std::time::{Duration, Instant};

use fs2::FileExt;
use rustix::process::Signal;
use serde_json::Value;

use support::session::Session;
use support::{Store, long};

/// A store, and its append lock held by somebody who does not say who they are.
fn locked() -> (Store, File) {
    let store = Store::with("{\"a\": 1}");
    store.ok(&["init", "settings.json"]);
    let held = File::open(store.journal()).unwrap();
    FileExt::lock_exclusive(&held).unwrap();
    (store, held)
}

#[test]
fn a_held_lock_is_waited_for_five_seconds_and_no_more() {
    let (store, _held) = locked();
    let before = store.everything();
    let began = Instant::now();
    let ran = store.run(&["set", "a", "2"]);
    let waited = began.elapsed();
    assert_eq!((ran.code, ran.out.as_str()), (6, ""), "{ran:?}");
    assert!((4.7..=5.3).contains(&waited.as_secs_f64()), "{waited:?}");
    for part in ["another instance may be running", "settings.json.cfgwal", "unknown process"] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    // To a tenth: the five seconds, and no more of what a slow machine adds to them than was seen from here.
    let told = ran.err.split("waited ").nth(1).and_then(|rest| rest.strip_suffix(" s\n"));
    let told: f64 = told.expect("how long it waited").parse().expect("seconds");
    assert!((5.0..=waited.as_secs_f64().max(5.0) + 0.05).contains(&told), "{waited:?}: {ran:?}");
    assert_eq!(store.everything(), before, "who only waited changed nothing");
}

#[test]
fn a_lock_that_is_given_back_in_time_is_taken() {
    let (store, held) = locked();
    let mut command = store.command(&["set", "a", "2"]);
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    drop(held);
    let ran = support::ran(child.wait_with_output());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(store.text(), "{\"a\": 2}");
}

/// Suspends a `batch` in the middle of an append, lock in hand.
fn suspended_appender(store: &Store) -> Session {
    // Making room for so much in the log takes a while, and is done under the lock.
    let line = format!(r#"{{"op":"set","path":"big","value":"{}"}}"#, "x".repeat(1 << 20));
    for _ in 0..200 {
        let mut session = Session::start(store);
        session.must(r#"{"op":"get","path":""}"#);
        let lock = File::open(store.journal()).unwrap();
        assert!(session.send(&line));
        let patience = Instant::now();
        while FileExt::try_lock_exclusive(&lock).is_ok() {
            FileExt::unlock(&lock).unwrap();
            assert!(patience.elapsed() < Duration::from_secs(20), "the append never took the lock");
        }
        session.signal(Signal::STOP);
        // It may have let go between the two, or not have said yet who it is: then it is rightly called unknown.
        let named = format!("process {} ", session.pid().as_raw_nonzero());
        if FileExt::try_lock_exclusive(&lock).is_err() && store.ok(&["status"]).contains(&named) {
            return session;
        }
        session.kill();
    }
    panic!("no append could be caught with the lock in hand");
}

#[test]
fn a_suspended_holder_is_named_and_once_it_is_killed_nobody_waits() {
    let store = Store::with("{\"a\": 1}");
    store.ok(&["init", "settings.json"]);
    let holder = suspended_appender(&store);
    let ran = store.run(&["set", "a", "2", "--lock-timeout", "1s"]);
    assert_eq!((ran.code, ran.out.as_str()), (6, ""), "{ran:?}");
    let pid = holder.pid().as_raw_nonzero().get();
    let process = format!("process {pid} (cfgwal batch)");
    for part in ["another instance may be running", &process, " for 1.", "settings.json.cfgwal"] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    let status = store.ok(&["status"]);
    assert!(status.contains(&process), "{status}");
    let json = store.run(&["set", "a", "2", "--lock-timeout", "0", "--json"]).err;
    let error: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(error["error"]["pid"], pid, "{json}");
    assert_eq!(error["error"]["command"], "cfgwal batch", "{json}");
    assert!(error["error"]["since_ms"].as_u64() >= Some(1000), "{json}");

    holder.kill();
    let began = Instant::now();
    store.ok(&["set", "a", "2"]);
    let took = began.elapsed();
    println!("the next edit took {took:?}");
    assert!(took < Duration::from_secs(1), "the kernel gives the lock of a dead holder back at once: {took:?}");
    assert_eq!(store.ok(&["get", "a"]), "2\n");
    assert_eq!(store.run(&["verify"]).code, 0);
}

#[test]
fn a_process_suspended_at_any_moment_holds_up_nobody_for_long_and_keeps_its_word_when_it_goes_on() {
    let mut dice = support::dice::Dice::new();
    let store = Store::with("{\"n\": 0, \"m\": 0}");
    store.ok(&["init", "settings.json"]);
    let (mut told, mut made) = (0, 0);
    for round in 0..if long() { 200 } else { 8 } {
        let mut session = Session::start(&store);
        told = session.must(r#"{"op":"increment","path":"n"}"#)["value"].as_u64().unwrap();
        // It goes on while it is suspended, as far as it was told to.
        assert!((0..20).all(|_| session.send(r#"{"op":"increment","path":"n"}"#)));
        std::thread::sleep(dice.delay(Duration::from_millis(30)));
        session.signal(Signal::STOP);
        let ran = store.run(&["increment", "m", "--lock-timeout", "2s"]);
        match ran.code {
            // The edit is durable. The file may have to wait for a process that was suspended while writing it.
            0 | 9 => made += 1,
            // Suspended with the lock in hand.
            6 => assert!(ran.err.contains("(cfgwal batch)"), "round {round}: {ran:?}"),
            code => panic!("round {round}: exit {code}: {ran:?}"),
        }
        session.signal(Signal::CONT);
        for _ in 0..20 {
            let answer = session.answer().unwrap();
            assert_eq!(answer["value"].as_u64(), Some(told + 1), "round {round}: {answer}");
            told += 1;
        }
        let end = session.finish();
        assert_eq!((end.code, end.err.as_str()), (0, ""), "round {round}");
    }
    assert_eq!(store.ok(&["get", "n"]), format!("{told}\n"));
    assert_eq!(store.ok(&["get", "m"]), format!("{made}\n"));
    assert_eq!(store.text(), format!("{{\"n\": {told}, \"m\": {made}}}"));
    assert_eq!(store.run(&["verify"]).code, 0);
    assert!(made > 0, "every process was suspended with the lock in hand: no proof");
}

#[test]
fn an_update_every_100_ms_leaves_the_file_never_more_than_a_second_behind() {
    let span = Duration::from_secs(if long() { 60 } else { 10 });
    let store = Store::with("{\n  \"n\": 0\n}\n");
    let mut session = Session::start(&store);
    let (mut acknowledged, mut worst) = (Vec::<(u64, Instant)>::new(), Duration::ZERO);
    // A disk that others keep busy may take long for each of the syncs that show an edit in the file.
    let mut slowest_sync = Duration::ZERO;
    let began = Instant::now();
    let mut due = began;
    while began.elapsed() < span {
        if Instant::now() >= due {
            let sent = Instant::now();
            let answer = session.must(r#"{"op":"increment","path":"n"}"#);
            slowest_sync = slowest_sync.max(sent.elapsed());
            acknowledged.push((answer["value"].as_u64().unwrap(), Instant::now()));
            due += Duration::from_millis(100);
        }
        // The oldest edit that the file does not show was acknowledged so long ago.
        let asked = Instant::now();
        let file: Value = serde_json::from_str(&store.text()).unwrap();
        let shows = file["n"].as_u64().unwrap();
        let missing = acknowledged.iter().find(|(n, _)| *n > shows);
        let behind = missing.map_or(Duration::ZERO, |(_, since)| asked.saturating_duration_since(*since));
        worst = worst.max(behind);
        let bound = Duration::from_secs(1) + 5 * slowest_sync.saturating_sub(Duration::from_millis(50));
        assert!(
            behind < bound,
            "{behind:?} behind after {} updates, no sync above {slowest_sync:?}",
            acknowledged.len()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    println!("{} updates, at worst {worst:?} behind, no sync above {slowest_sync:?}", acknowledged.len());
    assert!(acknowledged.len() as u64 >= span.as_secs() * 3, "{} updates are too few", acknowledged.len());
    let end = session.finish();
    assert_eq!((end.code, end.err.as_str()), (0, ""));
    assert_eq!(store.text(), format!("{{\n  \"n\": {}\n}}\n", acknowledged.len()));
}
