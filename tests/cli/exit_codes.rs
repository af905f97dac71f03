//! Each exit code with its message, and nothing changed where an edit was refused. Code 4 is in `edits`, 9 in `batch`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fs2::FileExt;

use crate::support::{Store, ran};

#[test]
fn code_1_for_what_is_not_there() {
    let store = Store::empty();
    for args in [
        &["get", "a"][..],
        &["ls"],
        &["dump"],
        &["status"],
        &["log"],
        &["verify"],
        &["recover"],
        &["compact"],
        &["compact", "--dry-run"],
    ] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{args:?}: {ran:?}");
        assert_eq!(ran.err, "cfgwal: settings.json does not exist\n", "{args:?}");
    }
    let ran = store.run(&["get", "a", "--json"]);
    let error = "{\"error\":{\"code\":\"missing\",\"exit\":1,\"message\":\"settings.json does not exist\",\"path\":\"settings.json\"}}\n";
    assert_eq!((ran.code, ran.err.as_str()), (1, error));
    assert!(store.everything().is_empty());
}

#[test]
fn code_3_for_a_document_that_does_not_parse_with_its_place() {
    let store = Store::with("{\n  \"a\": 1,\n  \"b\" 2\n}\n");
    let before = store.everything();
    for args in [&["set", "a", "2"][..], &["set", "a", "2", "--dry-run"], &["get", "a"], &["init"], &["compact"]] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}: {ran:?}");
        assert!(ran.err.starts_with("cfgwal: settings.json, line 3, column 7: "), "{args:?}: {ran:?}");
        assert!(ran.err.contains("\"b\" 2"), "the line is shown: {ran:?}");
    }
    let ran = store.run(&["set", "a", "2", "--json"]);
    assert!(ran.err.starts_with("{\"error\":{\"code\":\"invalid_document\",\"exit\":3,"), "{ran:?}");
    assert!(ran.err.ends_with("\"path\":\"settings.json\",\"line\":3,\"column\":7}}\n"), "{ran:?}");
    assert_eq!(store.everything(), before);
}

#[test]
fn code_3_for_an_edit_of_a_file_that_someone_broke_by_hand() {
    let store = Store::with("{\"a\": 1}");
    store.ok(&["set", "a", "2"]);
    store.write("{\"a\": 2,}");
    let before = store.content();
    for args in [&["set", "a", "3"][..], &["increment", "a"], &["set", "a", "3", "--dry-run"]] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains("settings.json, line 1, column 8: "), "{ran:?}");
    }
    assert_eq!(store.content(), before, "a refused edit was logged");
    let ran = store.run(&["get", "a"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "2\n"), "readers go on: {ran:?}");
    assert!(
        ran.err.starts_with("warning: settings.json: its text was changed by hand and does not parse: line 1"),
        "{ran:?}"
    );
    store.write("{\"a\": 2}");
    assert_eq!(store.ok(&["increment", "a"]), "3\n");
    assert_eq!(store.text(), "{\"a\": 3}");
}

#[test]
fn what_to_do_stands_below_the_line_that_does_not_parse() {
    let store = Store::with("{\"a\": 1}");
    store.ok(&["set", "a", "2"]);
    store.write("broken");
    let recover = store.run(&["recover"]);
    assert_eq!(recover.code, 9, "{recover:?}");
    assert!(
        recover.err.ends_with(
            "      | ^\n  put the text right; then the next edit or `cfgwal compact` brings the file up to date\n"
        ),
        "{recover:?}"
    );
    let status = store.ok(&["status"]);
    assert!(status.contains("| ^\n          put the text right; "), "{status}");
    let verify = store.ok(&["verify"]);
    assert!(verify.ends_with("the journal is well; the file waits for you\n"), "{verify}");
    store.write("{\"a\": 3}");
    store.ok(&["compact", "--quiet"]);
    assert!(store.ok(&["verify"]).ends_with("all is well\n"));
    assert_eq!(store.ok(&["get", "a"]), "3\n");
}

/// A store with a bit flipped in its third record of five.
fn damaged() -> Store {
    let store = Store::with("{}");
    for n in 1..=5 {
        store.ok(&["set", &format!("key{n}"), "\"some value\""]);
    }
    let segment = store.segment();
    let mut bytes = fs::read(&segment).expect("the segment");
    let needle = b"key3";
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("the third record");
    bytes[at] ^= 1;
    fs::write(&segment, bytes).expect("the segment");
    store
}

#[test]
fn code_5_for_damage_with_the_intact_part() {
    let store = damaged();
    fs::remove_file(store.file()).expect("the config file");
    let before = store.content();
    let ran = store.run(&["get", "key2"]);
    assert_eq!((ran.code, ran.out.as_str()), (5, "some value\n"), "{ran:?}");
    assert!(ran.err.contains("is damaged at byte ") && ran.err.contains("the intact part"), "{ran:?}");
    let ran = store.run(&["dump", "--json"]);
    assert_eq!((ran.code, ran.out.as_str()), (5, "{\"key1\":\"some value\",\"key2\":\"some value\"}\n"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "errors are one object: {ran:?}");
    assert!(ran.err.starts_with("{\"error\":{\"code\":\"damaged\",\"exit\":5,"), "{ran:?}");
    assert!(ran.err.contains("\"damage\":{\"file\":\"settings.json.cfgwal/wal-"), "{ran:?}");
    for args in [&["get", "key4"][..], &["ls"], &["status"], &["log"], &["verify"], &["recover", "--dry-run"]] {
        assert_eq!(store.run(args).code, 5, "{args:?}");
    }
    for args in [&["set", "a", "1"][..], &["set", "a", "1", "--dry-run"], &["compact"], &["recover"], &["batch"]] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (5, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains("--accept-loss"), "what to do: {ran:?}");
    }
    assert_eq!(store.content(), before);
}

#[test]
fn accepting_the_loss_goes_on_and_keeps_the_bytes() {
    let store = damaged();
    let ran = store.run(&["recover", "--accept-loss"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.contains("giving up what follows"), "{ran:?}");
    assert!(fs::read_dir(store.journal().join("quarantine")).expect("the quarantine").count() > 0);
    assert_eq!(store.run(&["get", "key2"]).out, "some value\n");
    assert_eq!(store.ok(&["get", "key5"]), "some value\n", "what only the file still had was taken from there");
    assert_eq!(store.ok(&["increment", "n"]), "1\n");
    let log = store.ok(&["log", "--json", "-n", "1"]);
    assert!(log.starts_with("{\"revision\":7,"), "numbers go on above the highest: {log}");
    assert!(store.ok(&["verify"]).ends_with("all is well\n"));
}

#[test]
fn numbers_go_on_above_edits_of_which_nothing_is_left() {
    let store = Store::with("{}");
    for n in 1..=5 {
        store.ok(&["set", "n", &n.to_string()]);
    }
    let segment = fs::OpenOptions::new().write(true).open(store.segment()).expect("the segment");
    segment.set_len(4096).expect("it is cut behind its header");
    store.run(&["recover", "--accept-loss"]);
    store.ok(&["set", "n", "6"]);
    let log = store.ok(&["log", "--json", "-n", "1"]);
    let revision = log.strip_prefix("{\"revision\":").and_then(|rest| rest.split(',').next());
    assert!(
        revision.and_then(|number| number.parse().ok()) > Some(6),
        "5 were acknowledged, the file is the 6th: {log}"
    );
}

#[test]
fn code_6_for_a_lock_that_is_held_after_the_time_that_was_given() {
    let store = Store::with("{}");
    store.ok(&["set", "a", "1"]);
    let held = fs::File::open(store.journal()).expect("the journal");
    FileExt::lock_exclusive(&held).expect("the lock");
    let began = Instant::now();
    let ran = store.run(&["set", "a", "2", "--lock-timeout", "300ms"]);
    let waited = began.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_secs(3)).contains(&waited), "{waited:?}");
    assert_eq!((ran.code, ran.out.as_str()), (6, ""), "{ran:?}");
    assert!(ran.err.contains("another instance may be running") && ran.err.contains("settings.json.cfgwal"), "{ran:?}");
    let ran = store.run(&["set", "a", "2", "--lock-timeout", "0", "--json"]);
    assert_eq!(ran.code, 6);
    assert!(ran.err.starts_with("{\"error\":{\"code\":\"lock_timeout\",\"exit\":6,"), "{ran:?}");
    for args in [&["get", "a"][..], &["dump"], &["ls"], &["status"], &["recover", "--dry-run"], &["log"], &["verify"]] {
        assert_eq!(store.run(args).code, 0, "{args:?} waits for nobody");
    }
    drop(held);
    store.ok(&["set", "a", "2"]);
}

#[test]
fn an_unused_lock_held_by_an_open_batch_stops_nobody() {
    let store = Store::with("{}");
    let mut child =
        store.command(&["batch"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("batch starts");
    let mut stdin = child.stdin.take().expect("its input");
    let mut answers = BufReader::new(child.stdout.take().expect("its output")).lines();
    stdin.write_all(b"{\"op\":\"increment\",\"path\":\"n\"}\n").expect("the line is taken");
    answers.next().expect("an answer").expect("a line");
    assert_eq!(store.ok(&["increment", "n", "--lock-timeout", "1s"]), "2\n");
    stdin.write_all(b"{\"op\":\"increment\",\"path\":\"n\"}\n").expect("the line is taken");
    let answer = answers.next().expect("an answer").expect("a line");
    assert_eq!(answer, "{\"ok\":true,\"revision\":3,\"value\":3}");
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn code_7_says_what_was_tried_and_on_which_path() {
    let store = Store::with("{}");
    let before = store.everything();
    let ran = ran(store.bare(&["-f", "settings.json/below.json", "set", "a", "1"]).output());
    assert_eq!((ran.code, ran.out.as_str()), (7, ""), "{ran:?}");
    assert!(ran.err.contains("settings.json/below.json") && ran.err.contains("Not a directory"), "{ran:?}");
    assert!(ran.err.starts_with("cfgwal: the edit was not applied: cannot "), "{ran:?}");
    assert_eq!(store.everything(), before);
    std::os::unix::fs::symlink("loop.json", store.dir().join("loop.json")).expect("a link to itself");
    let ran = super::support::ran(store.bare(&["-f", "loop.json", "get", "a"]).output());
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.err.contains("loop.json") && ran.err.contains("symbolic links"), "{ran:?}");
}

#[test]
fn code_7_for_an_output_that_takes_nothing_after_the_edit_was_made() {
    let store = Store::with("{}");
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let ran = ran(store.command(&["increment", "n"]).stdout(full).stderr(Stdio::piped()).output());
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.err.contains("cannot write to standard output") && ran.err.contains("was done"), "{ran:?}");
    assert_eq!(store.ok(&["get", "n"]), "1\n");
    for args in [&["--help"][..], &["set", "--help"], &["--version"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let ran = self::ran(store.bare(args).stdout(full).stderr(Stdio::piped()).output());
        assert_eq!(ran.code, 7, "{args:?}: {ran:?}");
        assert!(ran.err.contains("cannot write to standard output"), "{args:?}: {ran:?}");
    }
}

#[test]
fn code_3_for_a_file_with_nothing_in_it_says_what_to_write() {
    for (name, instead) in [("a.json", "write {} into it"), ("a.csv", "write a first row that names the columns")] {
        let store = Store::empty();
        fs::write(store.dir().join(name), " \n").expect("the file is written");
        let before = store.everything();
        let ran = ran(store.bare(&["-f", name, "set", "a", "1"]).output());
        assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{ran:?}");
        assert!(ran.err.contains(name) && ran.err.contains(instead), "{ran:?}");
        assert_eq!(store.everything(), before);
    }
}

#[test]
fn code_8_for_what_a_rule_forbids() {
    let store = Store::with("{\"port\": 8080, \"list\": [1]}");
    store.ok(&["init"]);
    let before = store.content();
    for (args, message) in [
        (&["set", "port.x", "1"][..], "port is a number, not an object"),
        (&["set", "list[5]", "1"], "list[5]"),
        (&["increment", "list"], "list is an array, not a number"),
        (&["push", "port", "1"], "port is a number, not an array"),
        (&["move", "list", "port"], "port is there already"),
        (&["unset", ""], "the whole config"),
    ] {
        for dry_run in [&[][..], &["--dry-run"]] {
            let ran = store.run(&[args, dry_run].concat());
            assert_eq!((ran.code, ran.out.as_str()), (8, ""), "{args:?}: {ran:?}");
            assert!(ran.err.contains(message), "{args:?}: {ran:?}");
        }
    }
    assert_eq!(store.content(), before);
}

#[test]
fn code_8_for_a_file_that_is_none_and_it_cannot_hang_us() {
    let store = Store::empty();
    let fifo = store.dir().join("pipe.json");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    for args in
        [["-f", "pipe.json", "get", "a"].as_slice(), &["-f", "pipe.json", "set", "a", "1"], &["-f", ".", "get", "a"]]
    {
        let ran = ran(store.bare(args).output());
        assert_eq!(ran.code, 8, "{args:?}: {ran:?}");
    }
    let ran = ran(store.bare(&["-f", "noextension", "set", "a", "1"]).output());
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.err.contains("extension"), "what to do instead: {ran:?}");
}
