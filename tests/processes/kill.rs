//! kill -9 at random moments: what was acknowledged stays, what was not is there whole or not at all, and nobody has to
//! clean up.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::dice::Dice;
use crate::support::session::Session;
use crate::support::{Store, long};

/// Asserts what must hold after a kill, before anything was repaired: looking changes nothing, and the file parses.
fn look_at_the_wreck(store: &Store) -> Value {
    let file = serde_json::from_str(&store.text()).expect("the file parses, whatever was killed");
    let before = store.everything();
    let plan = store.run(&["recover", "--dry-run"]);
    assert!([0, 5].contains(&plan.code), "{plan:?}");
    for args in [&["get", ""][..], &["status"], &["verify"], &["log", "-n", "3"]] {
        let ran = store.run(args);
        assert!(ran.code == 0 || args == ["verify"] && ran.code == 5, "{args:?}: {ran:?}");
    }
    assert_eq!(
        store.everything(),
        before,
        "somebody who only looked left a trace; recovery would have done: {}",
        plan.out
    );
    file
}

#[test]
fn loops_of_a_thousand_updates_lose_nothing_acknowledged() {
    let rounds = if long() { 200 } else { 12 };
    let mut dice = Dice::new();
    let store = Store::with("{\n  \"snapshots\": {}\n}\n");
    let mut kept = 0;
    for round in 0..rounds {
        let mut session = Session::start(&store);
        let killer = session.kill_in(dice.delay(Duration::from_millis(500)));
        let mut acknowledged = 0;
        // Not one by one: a program in a hurry does not wait for each answer.
        let mut sent = 0;
        'talk: while acknowledged < 1000 {
            while sent < (acknowledged + 8).min(1000) {
                if !session
                    .send(&format!(r#"{{"op":"set","path":"snapshots.r{round}.s{sent}","value":{{"n":{sent}}}}}"#))
                {
                    break 'talk;
                }
                sent += 1;
            }
            let Some(answer) = session.answer() else { break };
            assert_eq!(answer["ok"], true, "{answer}");
            acknowledged += 1;
        }
        // What was taken and not answered before it was killed.
        while let Some(answer) = session.answer() {
            assert_eq!(answer["ok"], true, "{answer}");
            acknowledged += 1;
        }
        killer.join().expect("it was killed");
        session.bury();
        look_at_the_wreck(&store);
        // The next command needs no clean-up, and leaves the file current.
        store.ok(&["set", "round", &round.to_string()]);
        let file: Value = serde_json::from_str(&store.text()).expect("the file parses");
        let there = file["snapshots"][format!("r{round}")].as_object().map_or(0, |entries| entries.len());
        assert!((acknowledged..=sent).contains(&there), "{acknowledged} acknowledged, {sent} sent, {there} there");
        let whole = (0..there).all(|n| file["snapshots"][format!("r{round}")][format!("s{n}")]["n"] == n);
        assert!(whole, "what is there is the first {there}, and each is whole");
        store.assert_well("after a command without clean-up");
        kept += acknowledged;
    }
    println!("{rounds} kills, {kept} acknowledged updates");
    assert!(kept > rounds, "nearly all were killed before they did anything: no proof");
}

#[test]
fn single_commands_killed_at_any_moment_happened_whole_or_not_at_all() {
    let rounds = if long() { 5000 } else { 150 };
    let mut dice = Dice::new();
    let store = Store::with("{\n  \"n\": 0,\n  \"copy\": 0\n}\n");
    store.ok(&["init", "settings.json"]);
    let began = Instant::now();
    for n in 1..=5 {
        store.ok(&["merge", &format!("{{\"n\":{n},\"copy\":{n}}}")]);
    }
    // Kills fall into all of a command's life, on this machine and in this hour.
    let life = began.elapsed() / 4;
    let (mut newest, mut killed) = (5, 0);
    for round in 0..rounds {
        let next = newest + 1;
        let mut command = store.command(&["merge", &format!("{{\"n\":{next},\"copy\":{next}}}")]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the command starts");
        std::thread::sleep(dice.delay(life));
        kill_process(Pid::from_child(&child), Signal::KILL).expect("it is not waited for yet");
        let done = child.wait().expect("it ends").success();
        killed += u32::from(!done);
        let file =
            if dice.below(8) == 0 { look_at_the_wreck(&store) } else { serde_json::from_str(&store.text()).unwrap() };
        assert_eq!(file["n"], file["copy"], "round {round}: half an edit is in the file");
        let there: u64 = store.ok(&["get", "n"]).trim().parse().expect("a number");
        assert!(
            there == next || there == newest && !done,
            "round {round}: {newest}, then {next} (done: {done}), is {there}"
        );
        assert_eq!(store.ok(&["get", "copy"]).trim(), there.to_string(), "round {round}: half an edit is in the log");
        newest = there;
    }
    println!("{killed} of {rounds} commands were killed before their end");
    newest += 1;
    store.ok(&["merge", &format!("{{\"n\":{newest},\"copy\":{newest}}}")]);
    assert_eq!(store.text(), format!("{{\n  \"n\": {newest},\n  \"copy\": {newest}\n}}\n"));
    store.assert_well("after a command without clean-up");
}

#[test]
fn first_edits_killed_at_any_moment_leave_no_journal_or_a_whole_one() {
    let rounds = if long() { 500 } else { 30 };
    let mut dice = Dice::new();
    for round in 0..rounds {
        let store = Store::with("{\"a\": 1}");
        let mut child = store.command(&["set", "a", "2"]).stderr(Stdio::null()).spawn().expect("the command starts");
        std::thread::sleep(dice.delay(Duration::from_millis(40)));
        kill_process(Pid::from_child(&child), Signal::KILL).expect("it is not waited for yet");
        child.wait().expect("it ends");
        assert!(["{\"a\": 1}", "{\"a\": 2}"].contains(&store.text().as_str()), "round {round}: {}", store.text());
        assert!([0, 5].contains(&store.run(&["recover", "--dry-run"]).code), "round {round}");
        store.ok(&["set", "a", "3"]);
        assert_eq!(store.text(), "{\"a\": 3}", "round {round}");
        assert_eq!(store.run(&["verify"]).code, 0, "round {round}");
    }
}

#[test]
fn compactions_killed_at_any_moment_lose_nothing() {
    let rounds = if long() { 1000 } else { 40 };
    let mut dice = Dice::new();
    let store = Store::with("{\"n\":0}");
    for round in 1..=rounds {
        store.ok(&["increment", "n"]);
        let mut child = store.command(&["compact"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(dice.delay(Duration::from_millis(40)));
        kill_process(Pid::from_child(&child), Signal::KILL).expect("it is not waited for yet");
        child.wait().expect("it ends");
        if dice.below(8) == 0 {
            look_at_the_wreck(&store);
        }
        assert_eq!(store.ok(&["get", "n"]), format!("{round}\n"));
    }
    store.ok(&["increment", "n"]);
    store.assert_well("after a command without clean-up");
    assert_eq!(store.run(&["recover"]).code, 0);
    assert_eq!(store.text(), format!("{{\"n\":{}}}", rounds + 1));
}

#[test]
fn a_recovery_killed_at_any_moment_is_done_by_the_next() {
    let rounds = if long() { 500 } else { 30 };
    let mut dice = Dice::new();
    let store = Store::with("{\"n\":0}");
    for round in 0..rounds {
        let mut session = Session::start(&store);
        session.must(r#"{"op":"increment","path":"n"}"#);
        session.kill();
        let mut child = store.command(&["recover"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(dice.delay(Duration::from_millis(40)));
        kill_process(Pid::from_child(&child), Signal::KILL).expect("it is not waited for yet");
        child.wait().expect("it ends");
        assert_eq!(store.ok(&["get", "n"]), format!("{}\n", round + 1));
    }
    assert_eq!(store.run(&["recover"]).code, 0);
    assert_eq!(store.text(), format!("{{\"n\":{rounds}}}"));
    store.assert_well("after a command without clean-up");
}
