//! Bad input gets a clear error and changes nothing: exit code, message, and every byte of journal and file as before.

use crate::support::{Store, ran};

const CONFIG: &str = r#"{
  "port": 8080,
  "name": "x",
  "list": [1, 2],
  "huge": 170141183460469231731687303715884105727,
  "servers": {"a": {"enabled": true}}
}
"#;

fn store() -> Store {
    let store = Store::with(CONFIG);
    store.ok(&["init", "settings.json"]);
    store.ok(&["set", "port", "8081"]);
    store
}

/// Runs commands that must fail: arguments, exit code, and what the message says.
fn refused(store: &Store, cases: &[(&[&str], i32, &str)]) {
    let before = store.content();
    for (args, code, message) in cases {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (*code, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains(message), "{args:?} says: {}", ran.err);
        let json = store.run(&[args, &["--json"][..]].concat());
        assert_eq!((json.code, json.out.as_str()), (*code, ""), "{args:?} --json: {json:?}");
        let object: serde_json::Value = serde_json::from_str(json.err.trim_end()).expect("one object on stderr");
        assert_eq!(object["error"]["exit"], *code, "{args:?} --json: {object}");
    }
    assert_eq!(store.content(), before, "something of what was refused is there");
    assert_eq!(store.ok(&["get", "port"]), "8081\n", "and the next command works");
    store.ok(&["set", "port", "8082"]);
}

#[test]
fn a_name_that_no_file_can_have() {
    let store = Store::empty();
    for file in ["new.json/", "new.json/.", "new.json//"] {
        for verb in [&["set", "a", "1"][..], &["init"], &["get", "a"], &["recover", "--dry-run"]] {
            let ran = ran(store.bare(&[&["-f", file], verb].concat()).output());
            assert_eq!((ran.code, ran.out.as_str()), (8, ""), "{file}: {verb:?}: {ran:?}");
            assert!(ran.err.contains("does not end with the name of a file"), "{file}: {}", ran.err);
            assert!(store.everything().is_empty(), "{file}: {verb:?} made something");
        }
    }
}

#[test]
fn a_name_that_leaves_no_room_for_what_lies_beside_the_file() {
    let name = |bytes: usize| format!("{}.json", "n".repeat(bytes - 5));
    let store = Store::empty();
    let command = |bytes: usize, verb: &[&str]| {
        let file = name(bytes);
        ran(store.bare(&[&["-f", file.as_str()], verb].concat()).output())
    };
    for bytes in [206, 212, 247] {
        for verb in [&["set", "a", "1"][..], &["init"], &["compact"]] {
            let ran = command(bytes, verb);
            assert!(matches!(ran.code, 1 | 8) && ran.out.is_empty(), "{bytes}: {verb:?}: {ran:?}");
            assert!(ran.code == 1 || ran.err.contains("at most 205 bytes"), "{bytes}: {verb:?}: {ran:?}");
            assert!(store.everything().is_empty(), "{bytes}: {verb:?} made something");
        }
    }
    for value in ["1", "2"] {
        let ran = command(205, &["set", "a", value]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    }
    assert_eq!(std::fs::read_to_string(store.dir().join(name(205))).expect("the file"), "{\n  \"a\": 2\n}\n");
}

#[test]
fn ops_that_do_not_fit_the_state() {
    refused(
        &store(),
        &[
            (&["set", "port.x", "1"], 8, "port is a number, not an object"),
            (&["set", "port.x.y", "1"], 8, "port is a number, not an object"),
            (&["set", "list.x", "1"], 8, "list is an array, not an object"),
            (&["set", "list[3]", "1"], 8, "list[3] is past the end of an array of 2"),
            (&["set", "servers[0]", "1"], 8, "servers is an object, not an array"),
            (&["unset", "gone"], 1, "gone is not there"),
            (&["unset", "list[2]"], 1, "list[2] is not there"),
            (&["unset", ""], 8, "the whole config cannot be removed"),
            (&["increment", "name"], 8, "name is a string, not a number"),
            (&["increment", "servers"], 8, "servers is an object, not a number"),
            (&["push", "port", "1"], 8, "port is a number, not an array"),
            (&["move", "gone", "here"], 1, "gone is not there"),
            (&["move", "list", "port"], 8, "port is there already"),
            (&["move", "servers", "servers.a.b"], 8, "servers cannot move into itself"),
            (&["move", "", "a"], 8, "the whole config cannot be removed or moved"),
        ],
    );
}

#[test]
fn paths_that_are_none() {
    let long = "k".repeat(1025);
    let deep = vec!["a"; 129].join(".");
    let cases: Vec<(&str, &str)> = vec![
        ("a..b", "the path lacks a key at byte 2"),
        ("a.", "the path lacks a key at byte 2"),
        ("a.\"b", "is not closed"),
        ("a[x]", "hold neither a number nor `-`"),
        ("a[0]b", "goes wrong at byte 4"),
        ("a[99999999999999999999]", "hold neither a number nor `-`"),
        ("/a~2", "unknown escape at byte 2"),
        ("a.\"\\x\"", "unknown escape"),
        (&long, "longer than 1024 bytes"),
        (&deep, "more than 128 segments"),
    ];
    let store = store();
    for (path, message) in cases {
        refused(
            &store,
            &[
                (&["set", path, "1"], 2, message),
                (&["unset", path], 2, message),
                (&["increment", path], 2, message),
                (&["merge", path, "{}"], 2, message),
                (&["push", path, "1"], 2, message),
                (&["move", "port", path], 2, message),
                (&["set", "a", "1", "--if-absent", path], 2, message),
            ],
        );
        store.ok(&["set", "port", "8081"]);
    }
}

#[test]
fn values_that_are_none_or_beyond_the_limits() {
    let key = format!("{{\"{}\":1}}", "k".repeat(1025));
    let nested = format!("{}1{}", "[".repeat(127), "]".repeat(127));
    let too_nested = format!("{}1{}", "[".repeat(129), "]".repeat(129));
    let id = "i".repeat(1025);
    refused(
        &store(),
        &[
            (&["merge", "{nonsense"], 2, "column 2"),
            (&["merge", "{\"a\":1,}"], 2, "does not parse as JSON"),
            (&["merge", "{\"a\":1,\"a\":2}"], 2, "does not parse as JSON"),
            (&["merge", &too_nested], 2, "does not parse as JSON"),
            (&["merge", &key], 2, "the key has 1025 bytes; the limit is 1024"),
            (&["set", "servers.b", &nested], 8, "would nest deeper than 128 levels"),
            (&["set", "a", "1", "--id", &id], 8, "a key of 1025 bytes is longer than 1024"),
        ],
    );
}

#[test]
fn sums_that_cannot_be_exact() {
    refused(
        &store(),
        &[
            (&["increment", "huge"], 8, "too long to be exact"),
            (&["increment", "port", "--by", "1e400"], 8, "too long to be exact"),
            (&["increment", "port", "--by", "1e-400"], 8, "too long to be exact"),
            (&["increment", "port", "--by", "1e99999999999"], 8, "too long to be exact"),
            (&["increment", "port", "--by", "NaN"], 2, "expected a number"),
            (&["increment", "port", "--by", "0x10"], 2, "expected a number"),
            (&["increment", "port", "--by", "1,5"], 2, "expected a number"),
        ],
    );
}

#[test]
fn preconditions_that_fail() {
    refused(
        &store(),
        &[
            (&["set", "a", "1", "--if", "port=8080"], 4, "port is 8081, not 8080"),
            (&["set", "a", "1", "--if", "gone=1"], 4, "gone is absent, not 1"),
            (&["set", "a", "1", "--if-absent", "port"], 4, "port is 8081, not absent"),
            (&["set", "a", "1", "--if-revision", "7"], 4, "the revision is 1, not 7"),
            (&["unset", "port", "--if", "name=y"], 4, "name is \"x\", not \"y\""),
            (&["increment", "port", "--if-absent", "port"], 4, "port is 8081, not absent"),
            (&["set", "a", "1", "--if", "no-equals-sign"], 2, "PATH=VALUE"),
        ],
    );
}

#[test]
fn command_lines_that_make_no_sense() {
    refused(
        &store(),
        &[
            (&["frobnicate"], 2, "frobnicate"),
            (&["set", "a"], 2, "<VALUE>"),
            (&["set", "a", "1", "--frob"], 2, "--frob"),
            (&["set", "a", "1", "--lock-timeout", "soon"], 2, "expected a duration"),
            (&["set", "a", "1", "--lock-timeout=-1s"], 2, "cannot be negative"),
            (&["set", "a", "1", "--if-revision", "x"], 2, "--if-revision"),
            (&["push", "list", "1", "--cap=-1"], 2, "--cap"),
            (&["-f", "settings.json.cfgwal", "set", "a", "1"], 2, "is a journal"),
            (&["-f", "notes", "set", "a", "1"], 8, "extension"),
            (&["-f", ".", "set", "a", "1"], 8, "regular file"),
            (&["-f", "nowhere/x.json", "set", "a", "1"], 7, "nowhere"),
            (&["-f", "settings.json/x.json", "set", "a", "1"], 7, "Not a directory"),
        ],
    );
}

#[test]
fn records_larger_than_a_log_takes() {
    let store = store();
    let before = store.content();
    let patch = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    // As long as input may be: what a record has besides makes it too long.
    let ran = store.feed(&["merge", "-"], &patch(cfgwal::RECORD_MAX));
    assert_eq!((ran.code, ran.out.as_str()), (8, ""), "{ran:?}");
    assert!(ran.err.contains("longer than 67108864"), "{ran:?}");
    let ran = store.feed(&["merge", "-"], &patch(cfgwal::RECORD_MAX + 1));
    assert_eq!((ran.code, ran.out.as_str()), (8, ""), "{ran:?}");
    assert!(ran.err.contains("longer than 64 MiB"), "{ran:?}");
    assert_eq!(store.content(), before);
    assert_eq!(store.ok(&["get", "port"]), "8081\n");
}

/// Texts that are no JSON, and where they go wrong: line and column.
const INVALID: [(&str, &str); 12] = [
    ("", "line 1, column 1"),
    ("{\n  \"a\": 1,\n  \"b\" 2\n}\n", "line 3, column 7"),
    ("{\n  \"a\": 1,\n}\n", "line 2, column 9"),
    ("{\n  // why\n  \"a\": 1\n}\n", "line 2, column 3"),
    ("{\"a\": 1, \"a\": 2}", "line 1, column 10"),
    ("{\"a\": 1} {\"b\": 2}", "line 1, column 10"),
    ("{\"a\": 01}", "line 1, column 7"),
    ("{\"a\": \"tab\there\"}", "line 1, column 11"),
    ("{\"a\": \"\\ud800\"}", "line 1, column"),
    ("{\"a\": NaN}", "line 1, column 7"),
    ("{\n  \"a\": {\"b\": [1, 2", "line 2, column"),
    ("{\"a\": 1}\0\0\0\0", "line 1, column 9"),
];

#[test]
fn files_that_do_not_parse_get_no_journal() {
    for (text, place) in INVALID {
        let store = Store::with(text);
        let before = store.everything();
        for args in [
            &["set", "a", "2"][..],
            &["init", "settings.json"],
            &["unset", "a"],
            &["batch"],
            &["get", "a"],
            &["compact"],
        ] {
            let ran = store.run(args);
            assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?} on {text:?}: {ran:?}");
            assert!(ran.err.contains("settings.json") && ran.err.contains(place), "{args:?} on {text:?}: {ran:?}");
        }
        assert_eq!(store.everything(), before, "{text:?}");
    }
}

#[test]
fn files_that_somebody_broke_are_left_as_they_are_and_take_no_edit() {
    for (text, place) in INVALID {
        let store = store();
        store.write(text);
        let before = store.content();
        for args in [&["set", "a", "2"][..], &["unset", "port"], &["merge", "{\"a\":1}"], &["increment", "port"]] {
            let ran = store.run(args);
            assert_eq!((ran.code, ran.out.as_str()), (3, ""), "{args:?} on {text:?}: {ran:?}");
            assert!(ran.err.contains("settings.json") && ran.err.contains(place), "{args:?} on {text:?}: {ran:?}");
        }
        assert_eq!(store.content(), before, "{text:?}");
        let ran = store.run(&["get", "port"]);
        assert_eq!((ran.code, ran.out.as_str()), (0, "8081\n"), "readers go on with what the log has: {ran:?}");
        // Put right, it is edited as ever.
        store.write(&CONFIG.replace("8080", "8081"));
        store.ok(&["set", "port", "9000"]);
        assert_eq!(store.text(), CONFIG.replace("8080", "9000"));
    }
}

#[test]
fn what_is_not_utf_8_is_named() {
    for (bytes, why) in [(&b"\xff\xfe{\0}\0"[..], "UTF-16"), (b"{\"a\": \"\xe9\"}", "UTF-8")] {
        let store = Store::empty();
        std::fs::write(store.file(), bytes).unwrap();
        let ran = store.run(&["set", "a", "1"]);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.err.contains("line 1, column") && ran.err.contains(why), "{ran:?}");
        assert_eq!(std::fs::read(store.file()).unwrap(), bytes);
        assert!(!store.journal().exists());
    }
}

#[test]
fn an_edit_that_is_refused_before_there_is_a_journal_makes_none() {
    let store = Store::with(CONFIG);
    let before = store.everything();
    for (args, code) in [
        (&["set", "port.x", "1"][..], 8),
        (&["unset", "gone"], 1),
        (&["increment", "name"], 8),
        (&["set", "a", "1", "--if", "port=1"], 4),
        (&["set", "a..b", "1"], 2),
    ] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {ran:?}");
    }
    assert_eq!(store.everything(), before);
}

#[test]
fn lines_of_a_batch_that_fail_leave_no_trace_between_those_that_do_not() {
    let store = store();
    let bad = [
        (r#"{"op":"set","path":"port.x","value":1}"#, "refused"),
        (r#"{"op":"remove","path":"gone"}"#, "not_there"),
        (r#"{"op":"increment","path":"name"}"#, "refused"),
        (r#"{"op":"increment","path":"huge"}"#, "refused"),
        (r#"{"op":"insert","path":"list[9]","value":1}"#, "refused"),
        (r#"{"op":"set","path":"a..b","value":1}"#, "usage"),
        (r#"{"op":"set","path":"a"}"#, "usage"),
        (r#"{"op":"fly"}"#, "usage"),
        (r#"nonsense"#, "usage"),
        (
            r#"{"op":"txn","if":[{"path":"port","value":1}],"ops":[{"op":"set","path":"a","value":1}]}"#,
            "precondition_failed",
        ),
        (r#"{"op":"txn","ops":[{"op":"set","path":"a","value":1},{"op":"remove","path":"gone"}]}"#, "not_there"),
        (r#"{"op":"txn","if":[{"revision":99}],"ops":[]}"#, "precondition_failed"),
    ];
    let before = store.content();
    let lines: String = bad.iter().map(|(line, _)| format!("{line}\n")).collect();
    let ran = store.feed(&["batch"], &lines);
    assert_eq!(ran.code, 0, "{ran:?}");
    for ((line, code), answer) in bad.iter().zip(ran.out.lines()) {
        assert!(answer.starts_with(&format!(r#"{{"ok":false,"error":{{"code":"{code}","#)), "{line}: {answer}");
    }
    assert_eq!(store.content(), before);
    let woven: String =
        bad.iter().map(|(line, _)| format!("{line}\n{{\"op\":\"increment\",\"path\":\"port\"}}\n")).collect();
    let ran = store.feed(&["batch"], &woven);
    assert_eq!(ran.out.lines().last().unwrap(), format!(r#"{{"ok":true,"revision":13,"value":{}}}"#, 8081 + bad.len()));
    assert_eq!(store.text(), CONFIG.replace("8080", &(8081 + bad.len()).to_string()));
}
