//! What must not leave: secrets that nobody asked for, and characters that take over a terminal. And what a dry run
//! must not do: anything.

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::process::Stdio;

use crate::support::{Ran, Store, ran};

const CANARY: &str = "c4n4ry";

#[test]
fn secrets_are_masked_wherever_nobody_asked_for_them() {
    let store = Store::with(&format!("{{\"apiKey\": \"{CANARY}-0\", \"n\": 1}}"));
    let secret = |n: u32| format!("{CANARY}-{n}");
    let set = |path: &str, n: u32| store.ok(&["set", path, &secret(n)]);
    set("apiKey", 1);
    set("servers.a.auth.value", 2);
    set("db_password", 3);
    store.ok(&["push", "tokens", &secret(4)]);
    store.ok(&["merge", &format!("{{\"x\": {{\"PRIVATE-KEY\": [\"{}\"]}}}}", secret(5))]);
    store.ok(&["set", "credential", &secret(6), "--if", &format!("apiKey={}", secret(1))]);
    store.feed(&["batch"], &format!("{{\"op\":\"set\",\"path\":\"secret\",\"value\":\"{}\"}}", secret(7)));

    let mut quiet = Vec::new();
    for args in [
        &["log"][..],
        &["log", "--json"],
        &["status"],
        &["status", "--json"],
        &["verify", "--json"],
        &["recover", "--dry-run"],
        &["recover", "--dry-run", "--json"],
        &["set", "apiKey", "c4n4ry-8", "--dry-run"],
        &["set", "apiKey", "c4n4ry-8", "--dry-run", "--json"],
        &["set", "n", "2", "--dry-run"],
        &["unset", "apiKey", "--dry-run"],
        &["move", "n", "m", "--dry-run", "--json"],
        &["set", "n", "2", "--if", "apiKey=c4n4ry-9"],
        &["set", "n", "2", "--if", "apiKey=c4n4ry-9", "--json"],
        &["set", "n", "2", "--if-absent", "secret"],
        &["increment", "secret"],
        &["set", "apiKey.deeper", "c4n4ry-9"],
        &["set", "apiKey", "c4n4ry-10", "-vvv"],
        &["compact", "-vvv"],
        &["ls"],
        &["log", "-vvv"],
    ] {
        let ran = store.run(args);
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY), "{args:?}: {ran:?}");
        quiet.push((args, ran));
    }
    let of = |wanted: &[&str]| quiet.iter().find(|(args, _)| *args == wanted).map(|(_, ran)| ran).expect("it ran");
    assert!(
        of(&["set", "apiKey", "c4n4ry-8", "--dry-run"]).out.contains("+{\"apiKey\": \"*** (changed)\""),
        "{quiet:#?}"
    );
    assert!(of(&["log"]).out.contains("set db_password = \"***\""), "{quiet:#?}");
    assert_eq!(of(&["set", "n", "2", "--if", "apiKey=c4n4ry-9"]).code, 4);

    let shown = store.ok(&["log", "--show-secrets"]);
    assert!((1..=7).all(|n| shown.contains(&secret(n))), "{shown}");
    let diff = store.ok(&["set", "apiKey", &secret(11), "--dry-run", "--show-secrets"]);
    assert!(diff.contains(&secret(10)) && diff.contains(&secret(11)), "{diff}");
    assert_eq!(store.ok(&["get", "secret"]), format!("{}\n", secret(7)), "what is asked for is shown");
    assert!(store.ok(&["dump"]).contains(&secret(7)));
}

#[test]
fn the_line_that_an_error_shows_is_masked_too() {
    let store = Store::with("{\"a\": 1}");
    store.ok(&["set", "a", "2"]);
    for text in [
        "{\"token\": \"c4n4ry\",, \"a\": 1}",
        "{\"token\": c4n4ry}",
        "{\"token\": \"c4n4ry}",
        "{\"token\": \"c4n\t4ry\"}",
        "{\"auth\": {\n  \"user\": \"c4n4ry\",\n  \"key\" \"c4n4ry\"\n}}",
        "{\"password\": \"c4n4ry\" \"a\": 1}",
        "{'password': 'c4n4ry'}",
        "{\"password\": \"c4n4ry\"} x",
    ] {
        store.write(text);
        for args in [&["set", "a", "3"][..], &["set", "a", "3", "--json"], &["get", "a"], &["status"], &["verify"]] {
            let ran = store.run(args);
            let told = ran.out + &ran.err;
            assert!(told.contains("line ") || told.contains("\"line\""), "{args:?} {text}: {told}");
            assert!(!told.contains("c4n"), "{args:?} {text}: {told}");
        }
        let told = store.feed(&["batch"], "{\"op\":\"increment\",\"path\":\"n\"}\n{\"op\":\"materialise\"}\n");
        assert!(told.out.contains("***") && !told.out.contains("c4n") && !told.err.contains("c4n"), "{text}: {told:?}");
    }
}

#[test]
fn a_dry_run_shows_the_exact_change_and_does_nothing() {
    let store = Store::with("{\n\t\"a\": 1.0, \"b\": [],\n\t\"c\": \"ä\"\n}\n");
    let before = store.everything();
    let diff = store.ok(&["set", "a", "2", "--dry-run"]);
    assert_eq!(
        diff,
        "--- settings.json at revision 0\n+++ settings.json with the edit\n@@ -1,4 +1,4 @@\n {\n\
         -\t\"a\": 1.0, \"b\": [],\n+\t\"a\": 2, \"b\": [],\n \t\"c\": \"ä\"\n }\n"
    );
    let json = store.ok(&["increment", "a", "--dry-run", "--json"]);
    assert!(json.starts_with("{\"revision\":0,\"changed\":true,\"diff\":\"--- settings.json"), "{json}");
    assert!(json.ends_with(",\"value\":2.0}\n"), "{json}");
    for args in [
        &["unset", "a"][..],
        &["merge", "{\"q\": 1}"],
        &["push", "b", "1"],
        &["move", "a", "z"],
        &["set", "a", "1.0"],
        &["compact"],
        &["init"],
    ] {
        let dry = [args, &["--dry-run"]].concat();
        let ran = store.run(&dry);
        assert_eq!(ran.code, 0, "{dry:?}: {ran:?}");
        let said = matches!(args[0], "unset" | "merge" | "push" | "move" | "init");
        assert_eq!(!ran.out.is_empty(), said, "{dry:?}: {ran:?}");
        assert_eq!(store.everything(), before, "{dry:?}");
    }
    store.ok(&["set", "a", "2"]);
    let before = store.everything();
    assert!(store.ok(&["set", "a", "3", "--dry-run"]).contains("at revision 1"));
    assert_eq!(store.run(&["set", "a", "3", "--dry-run", "--if-revision", "7"]).code, 4);
    assert_eq!(store.run(&["unset", "gone", "--dry-run"]).code, 1);
    assert_eq!(store.run(&["set", "a.b", "3", "--dry-run"]).code, 8);
    assert_eq!(store.everything(), before);

    let nothing = Store::empty();
    let diff = nothing.ok(&["set", "a", "1", "--dry-run"]);
    assert!(diff.contains("+  \"a\": 1\n"), "{diff}");
    assert!(nothing.everything().is_empty());
}

#[test]
fn a_dry_run_of_a_repeated_id_changes_nothing() {
    let store = Store::with("{}");
    store.ok(&["increment", "n", "--id", "k"]);
    store.ok(&["increment", "n"]);
    assert_eq!(store.ok(&["increment", "n", "--id", "k", "--dry-run"]), "");
    let json = store.ok(&["increment", "n", "--id", "k", "--dry-run", "--json"]);
    assert_eq!(json, "{\"revision\":1,\"changed\":false,\"diff\":\"\",\"value\":1}\n");
}

/// Runs a command with a terminal as its stdout and stderr, and returns what that is shown.
fn on_terminal(store: &Store, args: &[&str]) -> Ran {
    let (mut ours, mut theirs) = (0, 0);
    let null = std::ptr::null_mut();
    // SAFETY: both descriptors are ours alone from here on; name, settings and size may be null.
    let (mut terminal, line) = unsafe {
        assert_eq!(libc::openpty(&mut ours, &mut theirs, null, null as *const _, null as *const _), 0);
        (File::from_raw_fd(ours), File::from_raw_fd(theirs))
    };
    let mut command = store.command(args);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    command.stdout(line.try_clone().expect("the terminal")).stderr(line);
    let mut child = command.spawn().expect("the command starts");
    // The terminal ends when nobody has its other side open any more.
    drop(command);
    let mut shown = Vec::new();
    let mut part = [0; 4096];
    while let Ok(len @ 1..) = terminal.read(&mut part) {
        shown.extend_from_slice(&part[..len]);
    }
    let code = child.wait().expect("it ends").code().expect("by itself");
    Ran { code, out: String::from_utf8(shown).expect("UTF-8"), err: String::new() }
}

/// Escape sequences, a title, a bell, C1, DEL, bidi overrides, line separators.
const NASTY: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{7f}\u{202e}txt.exe\u{2066}\u{2028}end";

#[test]
fn what_comes_from_a_file_cannot_take_over_the_terminal() {
    let store = Store::with("{}");
    let value = format!("\"{NASTY}\"").replace('\u{1b}', "\\u001b").replace('\u{7}', "\\u0007");
    let key = value.clone();
    store.ok(&["set", "v", &value]);
    store.ok(&["set", &key, "1"]);
    for args in [
        &["get", "v"][..],
        &["get", "v", "--json"],
        &["get", ""],
        &["dump"],
        &["ls"],
        &["ls", "--json"],
        &["log"],
        &["log", "--json"],
        &["set", "v", "1", "--dry-run"],
        &["set", &format!("{key}.x"), "1"],
        &["set", "x", "1", "--if", "v=2"],
        &["set", "x", "1", "--if", "v=2", "--json"],
        &["get", &format!("{key}.gone")],
        &["-f", "\u{1b}[2Jnone.json", "get", "a"],
    ] {
        let ran = on_terminal(&store, args);
        // Colours are ours, and the terminal itself makes a line end of two characters.
        let mut shown = ran.out.replace("\r\n", "\n");
        for code in ["31", "32", "33", "36", "90", "0"] {
            shown = shown.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert!(!shown.chars().any(|c| c != '\n' && cfgwal::is_treacherous(c)), "{args:?}: {shown:?}");
        assert!(shown.contains("2J"), "it is shown all the same: {args:?}: {shown:?}");
    }
}

#[test]
fn messages_are_escaped_wherever_they_go() {
    let store = Store::with("{}");
    let ran = ran(store.bare(&["-f", "\u{1b}[2J\u{202e}\u{9b}none.json", "get", "a"]).output());
    assert_eq!(ran.err, "cfgwal: \\u{1b}[2J\\u{202e}\\u{9b}none.json does not exist\n");
    store.write("{\"a\": \u{1b}[2J 1}");
    let ran = store.run(&["get", "a"]);
    assert_eq!(ran.code, 3);
    assert!(!ran.err.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_name_cannot_put_a_line_into_the_plan() {
    let store = Store::empty();
    let name = "a\nnothing to do\n.json";
    assert_eq!(ran(store.bare(&["-f", name, "set", "a", "1"]).output()).code, 0);
    std::fs::write(store.dir().join(name), "{\"a\": 2}").expect("a save by hand");
    let ran = ran(store.bare(&["-f", name, "recover", "--dry-run"]).output());
    assert_eq!(ran.code, 5);
    assert!(ran.out.starts_with("journal   a\\nnothing to do\\n.json.cfgwal\n"), "{ran:?}");
    assert!(!ran.out.lines().any(|line| line == "nothing to do"), "{ran:?}");
}

#[test]
fn data_that_no_terminal_shows_is_exact() {
    let store = Store::with("{}");
    let value = format!("\"{NASTY}\\n\\t\"").replace('\u{1b}', "\\u001b").replace('\u{7}', "\\u0007");
    store.ok(&["set", "v", &value]);
    assert_eq!(store.ok(&["get", "v", "--raw"]), format!("{NASTY}\n\t"));
    assert_eq!(store.ok(&["get", "v"]), format!("{NASTY}\n\t\n"));
}

#[test]
fn a_very_long_line_is_cut_down_to_its_change_on_a_terminal_only() {
    let list: Vec<_> = (0..2000).map(|n| n.to_string()).collect();
    let store = Store::with(&format!("{{\"list\":[{}]}}", list.join(",")));
    let piped = store.ok(&["set", "list[1000]", "\"here\"", "--dry-run"]);
    assert!(piped.contains("0,1,2,3,4,5,") && piped.len() > 10_000);
    let shown = on_terminal(&store, &["set", "list[1000]", "\"here\"", "--dry-run"]).out;
    assert!(shown.contains("\"here\"") && shown.contains("-…") && shown.len() < 1000, "{shown}");
}

#[test]
fn deep_and_hostile_input_is_an_error_and_no_crash() {
    let store = Store::with("{}");
    let deep = format!("{}{}", "[".repeat(60_000), "]".repeat(60_000));
    let ran = store.run(&["set", "a", &deep]);
    assert_eq!((ran.code, ran.err.lines().count()), (0, 1), "taken as a string: {:.200}", ran.err);
    let ran = store.feed(&["merge", "-"], &deep);
    assert_eq!(ran.code, 2, "{:.200}", ran.err);
    let path = vec!["a"; 60_000].join(".");
    assert_eq!(store.run(&["get", &path]).code, 2);
    let ran = store.feed(&["batch"], &format!("{{\"op\":\"set\",\"path\":\"b\",\"value\":{deep}}}\n"));
    assert!(ran.out.starts_with("{\"ok\":false,\"error\":{\"code\":\"usage\""), "{:.200}", ran.out);
    assert_eq!(store.run(&["set", "k".repeat(2000).as_str(), "1"]).code, 2);
}

#[test]
fn verbose_tells_on_stderr_and_nothing_else_changes() {
    let store = Store::with("{}");
    let mut command = store.command(&["increment", "n", "-vvv"]);
    let ran = ran(command.stdin(Stdio::null()).output());
    assert_eq!((ran.code, ran.out.as_str()), (0, "1\n"));
    assert!(ran.err.contains("INFO") && ran.err.contains("durable revision=1"), "{ran:?}");
}

#[test]
fn a_save_from_an_editor_that_still_showed_an_older_text_counts_and_is_reported() {
    let store = Store::with("{\n  \"port\": 1,\n  \"name\": \"x\"\n}\n");
    store.ok(&["init", "settings.json"]);
    store.ok(&["set", "port", "2"]);
    // The editor had read the file before that.
    store.write("{\n  \"port\": 1,\n  \"name\": \"by hand\"\n}\n");
    let ran = store.run(&["set", "other", "true"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("port") && !ran.err.contains("name was"), "{ran:?}");
    assert_eq!(store.ok(&["get", "port"]), "1\n", "what the person saved counts");
    let log = store.ok(&["log", "--conflicts"]);
    assert!(log.contains("conflict at port"), "{log}");
    // A person who changes a value once more is not told so.
    store.write("{\n  \"port\": 7,\n  \"name\": \"by hand\",\n  \"other\": true\n}\n");
    let ran = store.run(&["set", "other", "false"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
}
