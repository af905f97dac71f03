//! `batch`: the protocol for programs in any language.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::support::{Ran, Store, feed, ran};

/// Feeds lines, and returns the answers.
fn batch(store: &Store, lines: &[&str]) -> (Ran, Vec<String>) {
    let ran = store.feed(&["batch"], &lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    let answers = ran.out.lines().map(str::to_owned).collect();
    (ran, answers)
}

#[test]
fn the_transcript_of_the_manual() {
    let store = Store::empty();
    let (ran, answers) = batch(
        &store,
        &[
            r#"{"op":"set","path":"n","value":6}"#,
            r#"{"op":"set","path":"servers.a.port","value":8080}"#,
            r#"{"op":"txn","if":[{"path":"lock","absent":true}],"ops":[{"op":"set","path":"lock","value":"me"},{"op":"increment","path":"n"}]}"#,
            r#"{"op":"get","path":"n"}"#,
            r#"{"op":"set","path":"servers.a.port.x","value":1}"#,
        ],
    );
    assert_eq!(ran.code, 0);
    assert_eq!(
        answers,
        [
            r#"{"ok":true,"revision":1}"#,
            r#"{"ok":true,"revision":2}"#,
            r#"{"ok":true,"revision":3,"results":[null,7]}"#,
            r#"{"ok":true,"revision":3,"value":7}"#,
            r#"{"ok":false,"error":{"code":"refused","exit":8,"message":"servers.a.port is a number, not an object"}}"#,
        ]
    );
    assert_eq!(ran.err, "warning: 1 of 5 lines failed; their answers say why\n");
    assert_eq!(store.ok(&["get", "lock"]), "me\n");
    assert!(store.text().contains("\"lock\": \"me\""), "the file is current at the end");
}

#[test]
fn every_op() {
    let store = Store::with(r#"{"a": {"x": 1}, "list": [1, 3]}"#);
    let (ran, answers) = batch(
        &store,
        &[
            r#"{"op":"merge","path":"a","value":{"x":null,"y":2}}"#,
            r#"{"op":"remove","path":"a.y"}"#,
            r#"{"op":"increment","path":"n","by":2.5}"#,
            r#"{"op":"push","path":"list","value":4,"cap":2,"unique":true}"#,
            r#"{"op":"insert","path":"list[0]","value":0}"#,
            r#"{"op":"move","from":"list","to":"moved"}"#,
            r#"{"op":"test","path":"n","value":2.5}"#,
            r#"{"op":"materialise"}"#,
            r#"{"op":"compact"}"#,
            r#"{"op":"get","path":""}"#,
        ],
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{answers:#?}");
    assert_eq!(answers[2], r#"{"ok":true,"revision":3,"value":2.5}"#);
    let state = r#"{"ok":true,"revision":6,"value":{"a":{},"moved":[0,3,4],"n":2.5}}"#;
    assert_eq!(answers.last().map(String::as_str), Some(state));
    assert_eq!(answers.len(), 10);
}

#[test]
fn an_answer_has_the_id_of_its_line_whatever_it_is() {
    let store = Store::empty();
    let (_, answers) = batch(
        &store,
        &[
            r#"{"id":1,"op":"set","path":"a","value":1}"#,
            r#"{"id":{"x":[]},"op":"get","path":"a"}"#,
            r#"{"id":"q","op":"get","path":"b"}"#,
            r#"{"id":null,"op":"sett"}"#,
        ],
    );
    assert_eq!(answers[0], r#"{"id":1,"ok":true,"revision":1}"#);
    assert_eq!(answers[1], r#"{"id":{"x":[]},"ok":true,"revision":1,"value":1}"#);
    assert!(answers[2].starts_with(r#"{"id":"q","ok":false,"error":{"code":"not_there","exit":1,"#), "{}", answers[2]);
    assert!(answers[3].starts_with(r#"{"id":null,"ok":false,"error":{"code":"usage","exit":2,"#), "{}", answers[3]);
}

#[test]
fn a_key_makes_an_edit_once() {
    let store = Store::empty();
    let line = r#"{"op":"increment","path":"n","key":"k"}"#;
    let (_, answers) = batch(&store, &[line, line]);
    assert_eq!(answers, [r#"{"ok":true,"revision":1,"value":1}"#; 2]);
    let (_, answers) = batch(&store, &[r#"{"op":"increment","path":"n"}"#, line]);
    assert_eq!(answers, [r#"{"ok":true,"revision":2,"value":2}"#, r#"{"ok":true,"revision":1,"value":1}"#]);
}

#[test]
fn a_line_that_makes_no_sense_gets_an_answer_and_the_next_is_served() {
    let store = Store::with("{}");
    let nonsense = [
        "",
        "nonsense",
        "[]",
        "{}",
        r#"{"op":1}"#,
        r#"{"op":"fly"}"#,
        r#"{"op":"set","path":"a"}"#,
        r#"{"op":"set","value":1}"#,
        r#"{"op":"set","path":1,"value":1}"#,
        r#"{"op":"set","path":"a..b","value":1}"#,
        r#"{"op":"set","path":"a","value":1,"unqiue":true}"#,
        r#"{"op":"push","path":"a","value":1,"cap":-1}"#,
        r#"{"op":"push","path":"a","value":1,"unique":"yes"}"#,
        r#"{"op":"increment","path":"a","by":"1"}"#,
        r#"{"op":"txn"}"#,
        r#"{"op":"txn","ops":[1]}"#,
        r#"{"op":"txn","ops":[{"op":"txn","ops":[]}]}"#,
        r#"{"op":"txn","ops":[],"if":[{"path":"a"}]}"#,
        r#"{"op":"get","path":"a","key":"k"}"#,
        r#"{"op":"set","path":"a","path":"b","value":1}"#,
    ];
    let mut lines = nonsense.to_vec();
    lines.push(r#"{"op":"set","path":"a","value":1}"#);
    let (ran, answers) = batch(&store, &lines);
    assert_eq!(ran.code, 0);
    for (line, answer) in nonsense.iter().zip(&answers) {
        assert!(answer.starts_with(r#"{"ok":false,"error":{"code":"usage","exit":2,"#), "{line}: {answer}");
    }
    assert_eq!(answers[nonsense.len()..], [r#"{"ok":true,"revision":1}"#]);
}

#[test]
fn what_is_not_utf_8_gets_an_answer() {
    let store = Store::with("{}");
    let mut command = store.command(&["batch"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("batch starts");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(b"\"\xff\"\n{\"op\":\"get\",\"path\":\"\"}").expect("the input is taken");
    drop(stdin);
    let ran = ran(child.wait_with_output());
    let answers: Vec<_> = ran.out.lines().collect();
    assert!(answers[0].contains("not UTF-8"), "{ran:?}");
    assert_eq!(answers[1], r#"{"ok":true,"revision":0,"value":{}}"#, "the last line needs no newline");
}

#[test]
fn preconditions_of_a_transaction_are_judged_with_it() {
    let store = Store::with(r#"{"n": 1}"#);
    let (_, answers) = batch(
        &store,
        &[
            r#"{"op":"txn","if":[{"path":"n","value":1},{"revision":0}],"ops":[{"op":"set","path":"n","value":2}]}"#,
            r#"{"op":"txn","if":[{"path":"n","value":1}],"ops":[{"op":"set","path":"n","value":3}]}"#,
            r#"{"op":"txn","if":[{"revision":0}],"ops":[{"op":"set","path":"n","value":3}]}"#,
            r#"{"op":"txn","ops":[{"op":"set","path":"m","value":3},{"op":"remove","path":"gone"}]}"#,
            r#"{"op":"get","path":"m"}"#,
        ],
    );
    assert_eq!(answers[0], r#"{"ok":true,"revision":1,"results":[null]}"#);
    for answer in &answers[1..3] {
        assert!(answer.contains(r#""code":"precondition_failed","exit":4"#), "{answer}");
    }
    assert!(answers[1].ends_with(r#""path":"n","expected":1,"found":2}}"#), "{}", answers[1]);
    assert!(answers[3].contains("gone is not there"), "{}", answers[3]);
    assert!(answers[4].contains("not_there"), "half a transaction was applied: {}", answers[4]);
}

#[test]
fn a_get_sees_what_comes_before_it_and_nothing_behind_it() {
    let store = Store::with("{}");
    let mut input = String::new();
    for n in 0..200 {
        input += &format!("{{\"op\":\"set\",\"path\":\"n\",\"value\":{n}}}\n{{\"op\":\"get\",\"path\":\"n\"}}\n");
    }
    let ran = store.feed(&["batch"], &input);
    let answers: Vec<_> = ran.out.lines().collect();
    assert_eq!(answers.len(), 400);
    for (n, pair) in answers.chunks(2).enumerate() {
        assert!(pair[1].ends_with(&format!("\"value\":{n}}}")), "{n}: {pair:?}");
    }
}

#[test]
fn an_answer_comes_while_the_input_stays_open() {
    let store = Store::with("{}");
    let mut child =
        store.command(&["batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("batch starts");
    let mut stdin = child.stdin.take().expect("its input");
    let mut answers = BufReader::new(child.stdout.take().expect("its output")).lines();
    for n in 1..=20 {
        stdin.write_all(b"{\"op\":\"increment\",\"path\":\"n\"}\n").expect("the line is taken");
        let answer = answers.next().expect("an answer").expect("a line");
        assert_eq!(answer, format!("{{\"ok\":true,\"revision\":{n},\"value\":{n}}}"));
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn many_lines_are_answered_in_order() {
    let store = Store::with("{}");
    let ran = store.feed(&["batch"], &"{\"op\":\"increment\",\"path\":\"n\"}\n".repeat(5000));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for (n, answer) in (1..).zip(ran.out.lines()) {
        assert_eq!(answer, format!("{{\"ok\":true,\"revision\":{n},\"value\":{n}}}"));
    }
    assert_eq!(ran.out.lines().count(), 5000);
    assert_eq!(store.text(), "{\n  \"n\": 5000\n}");
}

#[test]
fn a_line_longer_than_a_record_gets_an_answer_and_the_next_is_served() {
    let store = Store::with("{}");
    let long = "x".repeat(cfgwal::RECORD_MAX + 100);
    let (ran, answers) = batch(
        &store,
        &[&format!("{{\"op\":\"set\",\"path\":\"a\",\"value\":\"{long}\"}}"), r#"{"op":"get","path":""}"#],
    );
    assert_eq!(ran.code, 0);
    assert!(answers[0].starts_with(r#"{"ok":false,"error":{"code":"too_large","exit":8,"#), "{}", answers[0]);
    assert_eq!(answers[1..], [r#"{"ok":true,"revision":0,"value":{}}"#]);
}

#[test]
fn long_lines_are_served_too() {
    let store = Store::with("{}");
    let long = "x".repeat(300_000);
    let line = format!("{{\"op\":\"push\",\"path\":\"a\",\"value\":\"{long}\"}}");
    let (ran, answers) = batch(&store, &[&line, &line, &line]);
    assert_eq!((ran.code, answers.len()), (0, 3));
    assert_eq!(store.ok(&["get", "a[2]"]).len(), 300_001);
}

#[test]
fn nobody_reading_the_answers_ends_it_quietly_with_all_that_was_read() {
    let store = Store::with("{}");
    let mut child = store
        .command(&["batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("batch starts");
    let mut stdin = child.stdin.take().expect("its input");
    let mut answers = BufReader::new(child.stdout.take().expect("its output"));
    stdin.write_all(b"{\"op\":\"increment\",\"path\":\"n\"}\n").expect("the line is taken");
    answers.read_line(&mut String::new()).expect("an answer");
    drop(answers);
    // The input stays open: it is the output that ends the command.
    stdin.write_all(b"{\"op\":\"increment\",\"path\":\"n\"}\n").expect("the line is taken");
    let ran = ran(child.wait_with_output());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    drop(stdin);
    assert_eq!(store.ok(&["get", "n"]), "2\n");
}

#[test]
fn a_file_broken_by_hand_is_warned_of_in_each_answer_and_ends_with_9() {
    let store = Store::with("{\"n\":0}");
    let mut child = store
        .command(&["batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("batch starts");
    let mut stdin = child.stdin.take().expect("its input");
    let mut answers = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut increment = || {
        stdin
            .write_all(b"{\"op\":\"increment\",\"path\":\"n\"}\n{\"op\":\"materialise\"}\n")
            .expect("the lines are taken");
        [(); 2].map(|()| answers.next().expect("an answer").expect("a line"))
    };
    assert_eq!(increment(), [r#"{"ok":true,"revision":1,"value":1}"#, r#"{"ok":true,"revision":1}"#]);
    store.write("{\"n\":1,}");
    increment();
    let [edit, shown] = increment();
    assert!(edit.starts_with(r#"{"ok":true,"revision":3,"value":3,"warning":""#), "{edit}");
    assert!(shown.starts_with(r#"{"ok":false,"error":{"code":"file_behind","exit":9,"#), "{shown}");
    drop(stdin);
    let ran = ran(child.wait_with_output());
    assert_eq!(ran.code, 9, "{ran:?}");
    assert!(ran.err.contains("revision 3 is durable, but settings.json does not show it"), "{ran:?}");
    assert_eq!(store.text(), "{\"n\":1,}", "what a person wrote was touched");
}

#[test]
fn a_dry_run_answers_as_if_and_writes_nothing() {
    let store = Store::with("{\"n\":1}\n");
    let before = store.everything();
    let lines = [
        r#"{"op":"increment","path":"n","id":"i"}"#,
        r#"{"op":"get","path":"n"}"#,
        r#"{"op":"txn","if":[{"revision":7}],"ops":[]}"#,
        r#"{"op":"remove","path":"gone"}"#,
        r#"{"op":"increment","path":"n","key":"k"}"#,
        r#"{"op":"increment","path":"n","key":"k"}"#,
        r#"{"op":"compact"}"#,
    ];
    let ran = feed(store.command(&["batch", "--dry-run"]), &lines.join("\n"));
    assert_eq!(ran.code, 0);
    let answers: Vec<_> = ran.out.lines().collect();
    assert_eq!(answers[0], r#"{"id":"i","ok":true,"revision":1,"value":2}"#);
    assert_eq!(answers[1], r#"{"ok":true,"revision":1,"value":2}"#);
    assert!(answers[2].contains("precondition_failed") && answers[3].contains("gone is not there"), "{answers:#?}");
    assert_eq!(answers[4..6], [r#"{"ok":true,"revision":2,"value":3}"#; 2]);
    assert_eq!(answers[6], r#"{"ok":true,"revision":2}"#);
    assert!(
        answers[7].contains(r#""diff":"--- settings.json"#) && answers[7].contains(r#"+{\"n\":3}"#),
        "{answers:#?}"
    );
    assert_eq!(store.everything(), before);
}

#[test]
fn a_dry_run_refuses_what_the_format_cannot_hold_line_by_line() {
    let store = Store::empty();
    std::fs::write(store.dir().join("t.csv"), "id,a\nx,1\n").expect("a table");
    let lines = [
        r#"{"op":"set","path":"x.b","value":"1"}"#,
        r#"{"op":"set","path":"x.a","value":null}"#,
        r#"{"op":"set","path":"x.a","value":2}"#,
        r#"{"op":"get","path":"x.a"}"#,
    ];
    let run = |args: &[&str]| feed(store.bare(&[&["-f", "t.csv"], args].concat()), &lines.join("\n"));
    let rehearsed = run(&["batch", "--dry-run"]);
    let answers: Vec<_> = rehearsed.out.lines().collect();
    assert!(answers[0].contains("no column") && answers[1].contains("CSV has no null"), "{answers:#?}");
    assert_eq!(answers[2..4], [r#"{"ok":true,"revision":1}"#, r#"{"ok":true,"revision":1,"value":"2"}"#]);
    assert!(rehearsed.code == 0 && answers[4].contains("+x,2"), "{answers:#?}");
    let done = run(&["batch"]);
    assert_eq!(done.out.lines().collect::<Vec<_>>(), answers[..4], "as it comes then");
}
