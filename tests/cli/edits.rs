//! The verbs that change something.

use std::process::Stdio;

use crate::support::session::Session;
use crate::support::{Store, feed};

const SAMPLE: &str = r#"{
    // no comment: this is strict JSON
}"#;

#[test]
fn set_creates_file_and_journal() {
    let store = Store::empty();
    assert_eq!(store.ok(&["set", "server.port", "8080"]), "");
    assert_eq!(store.text(), "{\n  \"server\": {\n    \"port\": 8080\n  }\n}\n");
    assert!(store.journal().is_dir());
    assert_eq!(store.ok(&["get", "server.port"]), "8080\n");
}

#[test]
fn one_value_changes_its_bytes_and_no_others() {
    let store = Store::with("{\"a\" : 1,\n\n\t\"b\":[1.0, 1e3 ],\"c\":\"\\u00e9\"}");
    store.ok(&["set", "a", "2"]);
    assert_eq!(store.text(), "{\"a\" : 2,\n\n\t\"b\":[1.0, 1e3 ],\"c\":\"\\u00e9\"}");
    let before = store.text();
    store.ok(&["set", "b[1]", "1e3"]);
    assert_eq!(store.text(), before);
}

#[test]
fn a_value_is_json_where_it_parses_and_else_a_string() {
    let store = Store::with("{}");
    let values = [
        ("8080", "8080"),
        ("-5", "-5"),
        ("1.0", "1.0"),
        ("true", "true"),
        ("null", "null"),
        ("hello world", "\"hello world\""),
        ("\"8080\"", "\"8080\""),
        ("{\"a\": [1, null]}", "{\"a\":[1,null]}"),
        ("01", "\"01\""),
        ("", "\"\""),
    ];
    for (value, json) in values {
        store.ok(&["set", "v", value]);
        assert_eq!(store.ok(&["get", "v", "--json"]), format!("{json}\n"), "{value}");
    }
    store.ok(&["set", "v", "8080", "--string"]);
    assert_eq!(store.ok(&["get", "v", "--json"]), "\"8080\"\n");
    store.ok(&["set", "v", "--", "--string"]);
    assert_eq!(store.ok(&["get", "v", "--json"]), "\"--string\"\n");
}

#[test]
fn what_looks_like_json_and_is_none_is_taken_as_a_string_with_a_warning() {
    let store = Store::with("{}");
    let ran = store.run(&["set", "v", "{\"a\": 1"]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.starts_with("warning: the value is taken as a string"), "{ran:?}");
    assert_eq!(store.ok(&["get", "v"]), "{\"a\": 1\n");
}

#[test]
fn unset_removes_or_exits_1() {
    let store = Store::with("{\"a\": 1, \"b\": 2}");
    store.ok(&["unset", "a"]);
    assert_eq!(store.text(), "{\"b\": 2}");
    let before = store.content();
    let ran = store.run(&["unset", "a"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, "cfgwal: a is not there\n"));
    assert_eq!(store.ok(&["get", "b"]), "2\n");
    assert_eq!(store.content(), before, "a refusal left a trace");
}

#[test]
fn merge_is_rfc_7396() {
    let store = Store::with(r#"{"a": {"x": 1, "y": [1, 2]}, "b": 1}"#);
    store.ok(&["merge", r#"{"a": {"x": null, "y": [3], "z": 4}}"#]);
    assert_eq!(store.ok(&["dump", "--json"]), "{\"a\":{\"y\":[3],\"z\":4},\"b\":1}\n");
    store.ok(&["merge", "a", r#"{"z": null}"#]);
    assert_eq!(store.ok(&["get", "a"]), "{\"y\":[3]}\n");
    let ran = feed(store.command(&["merge", "-"]), "{\"b\": null}\n");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(store.ok(&["ls"]), "a\n");
    let ran = store.run(&["merge", "{nonsense"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn increment_prints_the_new_value_and_missing_counts_as_0() {
    let store = Store::empty();
    assert_eq!(store.ok(&["increment", "n"]), "1\n");
    assert_eq!(store.ok(&["increment", "n", "--by", "41"]), "42\n");
    assert_eq!(store.ok(&["increment", "n", "--by", "-0.5"]), "41.5\n");
    assert_eq!(store.ok(&["increment", "n", "--json"]), "{\"revision\":4,\"changed\":true,\"value\":42.5}\n");
}

#[test]
fn an_id_makes_an_edit_once_and_a_repeat_prints_the_first_result() {
    let store = Store::empty();
    assert_eq!(store.ok(&["increment", "n", "--id", "job-1"]), "1\n");
    assert_eq!(store.ok(&["increment", "n"]), "2\n");
    assert_eq!(store.ok(&["increment", "n", "--id", "job-1"]), "1\n");
    let repeat = store.ok(&["increment", "n", "--id", "job-1", "--json"]);
    assert_eq!(repeat, "{\"revision\":1,\"changed\":false,\"value\":1,\"repeated\":true}\n");
    assert_eq!(store.ok(&["get", "n"]), "2\n");
}

#[test]
fn push_appends_within_its_cap_and_knows_unique() {
    let store = Store::with("{}");
    for tag in ["a", "b", "a"] {
        store.ok(&["push", "tags", tag, "--unique"]);
    }
    assert_eq!(store.ok(&["get", "tags"]), "[\"a\",\"b\"]\n");
    for value in ["1", "2", "3"] {
        store.ok(&["push", "last", value, "--cap", "2"]);
    }
    assert_eq!(store.ok(&["get", "last"]), "[2,3]\n");
    store.ok(&["push", "last", "4", "--string"]);
    assert_eq!(store.ok(&["get", "last"]), "[2,3,\"4\"]\n");
}

#[test]
fn move_renames_in_place_and_exits_1_where_nothing_is() {
    let store = Store::with("{\"a\": 1, \"b\": 2}");
    store.ok(&["move", "a", "c"]);
    assert_eq!(store.text(), "{\"c\": 1, \"b\": 2}");
    assert_eq!(store.run(&["move", "a", "d"]).code, 1);
    assert_eq!(store.run(&["move", "c", "b"]).code, 8, "what is in use stays");
}

#[test]
fn preconditions_are_judged_with_the_edit() {
    let store = Store::with("{\"n\": 1, \"odd=key\": true, \"token\": \"t1\"}");
    store.ok(&["set", "a", "1", "--if", "n=1", "--if", "\"odd=key\"=true", "--if-absent", "a", "--if-revision", "0"]);
    let before = store.content();
    for (condition, found) in [
        (["--if", "n=2"], "n is 1, not 2"),
        (["--if", "gone=2"], "gone is absent, not 2"),
        (["--if-absent", "n"], "n is 1, not absent"),
        (["--if-revision", "0"], "the revision is 1, not 0"),
        (["--if", "token=t2"], "token is not what it should be"),
    ] {
        let ran = store.run(&["set", "a", "2", condition[0], condition[1]]);
        assert_eq!(ran.code, 4, "{ran:?}");
        assert!(ran.err.contains(found), "{ran:?}");
    }
    assert_eq!(store.content(), before, "a refusal left a trace");
}

#[test]
fn a_precondition_that_failed_says_what_it_found_to_programs_too() {
    let store = Store::with("{\"n\": 1}");
    let ran = store.run(&["set", "a", "2", "--if", "n=2", "--json"]);
    let error = "{\"error\":{\"code\":\"precondition_failed\",\"exit\":4,\"message\":\"n is 1, not 2\",\
                 \"path\":\"n\",\"expected\":2,\"found\":1}}\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (4, "", error));
}

#[test]
fn edits_say_to_programs_which_revision_they_made() {
    let store = Store::with("{}");
    assert_eq!(store.ok(&["set", "a", "1", "--json"]), "{\"revision\":1,\"changed\":true}\n");
    assert_eq!(store.ok(&["set", "a", "1", "--json"]), "{\"revision\":1,\"changed\":false}\n");
}

#[test]
fn many_at_once_all_land_and_all_say_so() {
    let store = Store::with("{}");
    let children: Vec<_> = (0..24)
        .map(|n| {
            let mut command = store.command(&["set", &format!("key{n}"), "1", "--lock-timeout", "60s"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("set starts")
        })
        .collect();
    for child in children {
        let ran = crate::support::ran(child.wait_with_output());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    }
    assert_eq!(store.ok(&["ls"]).lines().count(), 24);
    assert_eq!(store.text().matches("key").count(), 24, "the file shows them all");
}

#[test]
fn init_says_what_it_did() {
    let store = Store::empty();
    let init = ["init", "settings.json"];
    assert_eq!(store.ok(&["init", "settings.json", "--dry-run"]), "settings.json would be created\n");
    assert!(store.everything().is_empty());
    assert_eq!(store.ok(&init), "settings.json created\n");
    assert_eq!(store.text(), "{}\n");
    assert_eq!(store.ok(&init), "settings.json has a journal already\n");

    let store = Store::with("{\"a\":1}");
    let before = store.everything();
    assert_eq!(store.ok(&["init", "settings.json", "--dry-run"]), "settings.json would be adopted as it is\n");
    assert_eq!(store.everything(), before);
    let json = "{\"file\":\"settings.json\",\"done\":\"adopted\",\"dry_run\":false}\n";
    assert_eq!(store.ok(&["init", "settings.json", "--json"]), json);
    assert_eq!(store.text(), "{\"a\":1}");
    assert!(store.ok(&["status", "--json"]).starts_with("{\"revision\":0,"));
}

#[test]
fn init_refuses_a_file_that_does_not_parse_and_leaves_no_journal() {
    let store = Store::with(SAMPLE);
    let before = store.everything();
    let ran = store.run(&["init", "settings.json"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(store.everything(), before);
}

#[test]
fn compact_works_bare() {
    let store = Store::empty();
    for n in 0..20 {
        store.ok(&["set", &format!("key{n}"), "1"]);
    }
    let ran = crate::support::ran(store.bare(&["compact"]).output());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("settings.json: compacted at revision 20; log "), "{ran:?}");
    assert_eq!(store.ok(&["dump", "--json"]).matches("key").count(), 20);
    let json = store.ok(&["compact", "--json"]);
    assert!(json.starts_with("{\"revision\":20,\"log_bytes_before\":"), "{json}");
    assert_eq!(store.ok(&["compact", "--quiet"]), "");
    assert_eq!(store.ok(&["increment", "n"]), "1\n");
}

#[test]
fn a_hand_edit_is_seen_by_readers_and_taken_over_by_the_next_edit() {
    let store = Store::with("{\n  \"a\": 1,\n  \"b\": 2\n}\n");
    store.ok(&["set", "a", "2"]);
    store.write("{\n  \"a\": 2,\n  \"b\":   3\n}\n");
    assert_eq!(store.ok(&["get", "b"]), "3\n");
    let before = store.everything();
    let diff = store.ok(&["set", "a", "5", "--dry-run"]);
    assert!(diff.contains("-  \"a\": 2,\n+  \"a\": 5,\n   \"b\":   3\n"), "{diff}");
    assert_eq!(store.everything(), before);
    store.ok(&["set", "a", "5"]);
    assert_eq!(store.text(), "{\n  \"a\": 5,\n  \"b\":   3\n}\n");
    let log = store.ok(&["log"]);
    assert!(log.contains("edited by hand\n    set b = 3\n"), "{log}");
    assert_eq!(store.ok(&["log", "--conflicts"]), "");
}

#[test]
fn a_save_that_goes_back_to_the_text_before_is_for_readers_what_it_is_for_the_next_edit() {
    let store = Store::with("{\"a\": 1}");
    store.ok(&["set", "a", "2"]);
    let before = store.text();
    store.ok(&["set", "a", "3"]);
    store.write(&before);
    assert_eq!(store.ok(&["get", "a"]), "2\n");
    assert_eq!(store.ok(&["compact", "--dry-run"]), "", "it shows what compacting would leave there");
    assert!(store.ok(&["set", "b", "1", "--dry-run"]).contains("+{\"a\": 2, \"b\": 1}"));
    for verb in ["status", "verify"] {
        let out = store.ok(&[verb]);
        assert!(out.contains("it was changed by hand"), "{verb}: {out}");
    }
    let ran = store.run(&["set", "b", "1"]);
    assert!(ran.code == 0 && ran.err.starts_with("warning: a was changed"), "{ran:?}");
    assert_eq!(store.text(), "{\"a\": 2, \"b\": 1}");
}

#[test]
fn a_save_that_drops_most_is_held_back_until_it_is_accepted() {
    let store = Store::with("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}");
    store.ok(&["set", "a", "2"]);
    store.write("{\"d\":4}");
    let read = store.run(&["get", "b"]);
    assert_eq!((read.code, read.out.as_str()), (0, "2\n"), "{read:?}");
    assert!(read.err.contains("more than half of its values gone") && read.err.contains("--accept-file"), "{read:?}");
    let edit = store.run(&["set", "a", "3"]);
    assert_eq!(edit.code, 9, "{edit:?}");
    assert!(edit.err.contains("is durable, but settings.json does not show it"), "{edit:?}");
    assert!(edit.err.contains("--accept-file"), "what to do: {edit:?}");
    let edit = store.run(&["set", "a", "4", "--json"]);
    assert!(edit.out.starts_with("{\"revision\":3,\"changed\":true}"), "{edit:?}");
    assert!(edit.err.starts_with("{\"error\":{\"code\":\"file_behind\",\"exit\":9,"), "{edit:?}");
    for looking in [&["status"][..], &["verify"], &["recover", "--dry-run"]] {
        let looked = store.run(looking).out;
        assert!(looked.contains("more than half of its values gone"), "{looking:?}: {looked}");
        assert!(looked.contains("--accept-file") && !looked.contains("compact"), "{looking:?}: {looked}");
    }
    let dry = store.run(&["set", "a", "5", "--dry-run"]);
    assert_eq!((dry.code, dry.out.as_str()), (0, ""), "{dry:?}");
    assert!(dry.err.contains("would be logged, but settings.json would not show it"), "{dry:?}");
    assert_eq!(store.text(), "{\"d\":4}", "what a person wrote was touched");
    let accepted = store.run(&["recover", "--accept-file"]);
    assert_eq!((accepted.code, accepted.err.as_str()), (0, ""), "{accepted:?}");
    assert_eq!(store.ok(&["ls"]), "d\n");
    let conflicts = store.ok(&["log", "--conflicts"]);
    assert!(conflicts.contains("    conflict at a: "), "{conflicts}");
}

#[test]
fn a_conflict_with_a_hand_edit_is_a_warning_and_an_entry_in_the_log() {
    let store = Store::with("{\"a\": 1, \"b\": 1}");
    store.ok(&["set", "b", "2"]);
    // While the file is broken, edits go on into the log.
    store.write("{\"a\": 1, \"b\": 2");
    assert_eq!(store.feed(&["batch"], "{\"op\":\"set\",\"path\":\"a\",\"value\":2}").code, 9);
    store.write("{\"a\": 9, \"b\": 2}");
    let ran = store.run(&["set", "b", "3"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.starts_with("warning: a was changed in settings.json by hand and by a program: "), "{ran:?}");
    assert_eq!(store.text(), "{\"a\": 9, \"b\": 3}");
    let json = store.ok(&["log", "--conflicts", "--json"]);
    assert_eq!(json.lines().count(), 1, "{json}");
    assert!(json.contains("\"kind\":\"file\"") && json.contains("\"conflicts\":[\"a\"]"), "{json}");
    assert_eq!(store.ok(&["log", "a"]).matches("set a = 2").count(), 1, "what the program wrote stays in the log");
    let overruled = "\"overruled\":[{\"revision\":2,\"op\":\"set\",\"path\":\"a\",\"value\":2}]";
    assert!(json.contains(overruled), "{json}");
    let both = store.ok(&["log", "--conflicts"]);
    assert!(both.contains("    set a = 9\n") && both.contains("        revision 2: set a = 2\n"), "{both}");
}

#[test]
fn a_batch_that_takes_a_conflicting_save_over_says_so_in_its_answer() {
    let store = Store::with("{\"a\": 1, \"b\": 1}");
    let mut session = Session::start(&store);
    session.must("{\"op\":\"set\",\"path\":\"b\",\"value\":2}");
    session.must("{\"op\":\"materialise\"}");
    store.write("{\"a\": 1, \"b\": 2");
    let answer = session.must("{\"op\":\"set\",\"path\":\"a\",\"value\":2}");
    assert!(answer["warning"].as_str().is_some_and(|why| why.contains("does not parse")), "{answer}");
    store.write("{\"a\": 9, \"b\": 2}");
    let answer = session.must("{\"op\":\"set\",\"path\":\"b\",\"value\":3}");
    let warning = answer["warning"].as_str().unwrap_or_default();
    assert!(warning.starts_with("a was changed in settings.json by hand and by a program: "), "{answer}");
    let answer = session.must("{\"op\":\"set\",\"path\":\"b\",\"value\":4}");
    assert_eq!(answer.get("warning"), None, "it was told before");
    session.finish();
    assert_eq!(store.text(), "{\"a\": 9, \"b\": 4}");
}
