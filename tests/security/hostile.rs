//! Keys, names and documents that mean harm: to a terminal, to other files, to a stack.

use std::fs;

use crate::support::{Store, ran};

/// Escape sequences, a title, a bell, C1, DEL, bidi overrides, line separators, a carriage return.
const NASTY: [&str; 12] = [
    "\u{1b}[2J",
    "\u{1b}]0;owned\u{7}",
    "\u{9b}31m",
    "\u{9d}0;owned\u{9c}",
    "\u{7f}",
    "\u{202e}gpj.exe",
    "\u{2066}x\u{2069}",
    "\u{2028}line",
    "\u{200f}right",
    "\u{8}\u{8}\u{8}",
    "safe\rEVIL",
    "\u{1b}P$q\u{1b}\\",
];

/// Whether a message would do something to a terminal.
fn harmful(text: &str) -> bool {
    text.chars().any(|c| c != '\n' && c != '\t' && cfgwal::is_treacherous(c))
}

#[test]
fn messages_and_traces_carry_nothing_treacherous() {
    let mut cases = 0;
    for nasty in NASTY {
        let store = Store::with("{\"n\": 1}\n");
        let key = serde_json::to_string(nasty).unwrap();
        store.ok(&["set", &key, &key]);
        let deeper = format!("{key}.x.y");
        let equal = format!("{key}=1");
        let verbs: [&[&str]; 12] = [
            &["get", &deeper],
            &["set", &deeper, "1"],
            &["unset", &deeper],
            &["increment", &key],
            &["push", &key, "1"],
            &["set", "n", "1", "--if", &equal],
            &["set", "n", "1", "--if-absent", &key],
            &["ls", &key],
            &["get", nasty],
            &["set", nasty, "1"],
            &["-f", nasty, "get", "a"],
            &["frobnicate", nasty],
        ];
        for verb in verbs {
            for more in [&[][..], &["--json"], &["-vvv"]] {
                let args = [verb, more].concat();
                let mut command = store.command(&args);
                command.env("RUST_LOG", "trace");
                let ran = ran(command.output());
                assert!(!harmful(&ran.err), "{args:?}: {:?}", ran.err);
                assert!(!ran.err.contains("panicked"), "{args:?}: {ran:?}");
                cases += 1;
            }
        }
        // A document that is broken at just that place.
        store.write(&format!("{{\"n\": {nasty} 1}}"));
        for args in [&["get", "n"][..], &["set", "n", "2"], &["status"], &["verify"], &["recover", "--dry-run"]] {
            let ran = store.run(args);
            assert!(!harmful(&ran.err), "{args:?}: {:?}", ran.err);
            cases += 1;
        }
    }
    println!("{cases} commands");
}

#[test]
fn names_of_files_are_shown_harmless_and_used_as_they_are() {
    for nasty in NASTY {
        let store = Store::empty();
        let name = format!("{nasty}.json");
        let args = ["-f", name.as_str(), "set", "a", "1", "-vvv"];
        let mut command = store.bare(&args);
        command.env("RUST_LOG", "trace");
        let made = ran(command.output());
        assert_eq!(made.code, 0, "{made:?}");
        assert!(!harmful(&made.err), "{:?}", made.err);
        assert_eq!(fs::read_to_string(store.dir().join(&name)).unwrap(), "{\n  \"a\": 1\n}\n");
        for args in [&["status"][..], &["verify"], &["recover", "--dry-run"], &["compact"], &["get", "gone"]] {
            let ran = ran(store.bare(&[&["-f", name.as_str()], args].concat()).output());
            assert!(!harmful(&ran.err), "{args:?}: {:?}", ran.err);
        }
    }
}

#[test]
fn keys_are_never_paths() {
    let store = Store::with("{}\n");
    let secret = store.dir().join("secret.txt");
    fs::write(&secret, "as it was").unwrap();
    let keys = [
        "../secret.txt",
        "../../../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "a/../../b",
        "wal-0000000000000001",
        "snapshot-0000000000000000",
        "settings.json.cfgwal/watermark",
        "-",
        "--help",
        "~root",
        "$(id)",
        "`id`",
        "a;b",
        "\u{0}",
        "con",
        "%2e%2e%2f",
    ];
    for (at, key) in keys.into_iter().enumerate() {
        let quoted = serde_json::to_string(key).unwrap();
        store.ok(&["set", "--", &quoted, &at.to_string()]);
        assert_eq!(store.ok(&["get", "--", &quoted]), format!("{at}\n"), "{key:?}");
        let id = format!("--id={}", key.replace('\u{0}', "0"));
        store.ok(&["set", "n", &at.to_string(), &id]);
    }
    store.ok(&["compact"]);
    let config: serde_json::Value = serde_json::from_str(&store.text()).unwrap();
    assert!(keys.into_iter().enumerate().all(|(at, key)| config[key] == at));
    assert_eq!(fs::read_to_string(&secret).unwrap(), "as it was");
    fs::remove_file(secret).unwrap();
    store.assert_well("after keys that look like paths");
}

#[test]
fn paths_of_two_hundred_thousand_segments_are_refused() {
    let store = Store::with("{\"a\": 1}\n");
    let before = store.everything();
    for path in [vec!["a"; 200_000].join("."), "/a".repeat(200_000), "a".to_owned() + &"[0]".repeat(200_000)] {
        let lines = ["set", "remove", "increment", "push", "merge", "get"]
            .map(|op| format!("{{\"op\":\"{op}\",\"path\":\"{path}\",\"value\":1}}\n"))
            .concat();
        let ran = store.feed(&["batch"], &lines);
        assert_eq!(ran.code, 0, "{:.300}", ran.err);
        assert_eq!(ran.out.lines().filter(|line| line.contains("\"ok\":false")).count(), 6, "{:.600}", ran.out);
    }
    assert_eq!(store.text(), "{\"a\": 1}\n");
    assert!(!before.is_empty());
}

#[test]
fn documents_of_a_hundred_thousand_levels_are_refused_wherever_they_come_from() {
    let open = |with: &str, depth: usize| with.repeat(depth);
    let texts = [
        open("[", 100_000) + &open("]", 100_000),
        open("{\"a\":", 100_000) + "1" + &open("}", 100_000),
        open("[{\"a\":", 50_000) + "1" + &open("}]", 50_000),
        // Never closed.
        open("[", 1_000_000),
        open("{\"a\":", 300_000),
        "[".to_owned() + &open("/*", 100_000),
    ];
    for text in &texts {
        let store = Store::with("{\"a\": 1}\n");
        let ran = store.feed(&["merge", "-"], text);
        assert_eq!(ran.code, 2, "{:.300}", ran.err);
        let ran = store.feed(&["batch"], &format!("{{\"op\":\"set\",\"path\":\"b\",\"value\":{text}}}\n"));
        assert!(ran.code == 0 && ran.out.starts_with("{\"ok\":false"), "{:.300}", ran.out);
        store.ok(&["set", "a", "2"]);
        // Saved by hand, over a journal and without one.
        store.write(text);
        for args in [&["get", "a"][..], &["set", "a", "3"], &["status"], &["verify"], &["compact"], &["recover"]] {
            let ran = store.run(args);
            assert!((0..=9).contains(&ran.code) && !ran.err.contains("panicked"), "{args:?}: {:.300}", ran.err);
        }
        assert_eq!(store.text(), *text, "a text that does not parse stays as it is");
        let fresh = Store::with(text);
        for args in [&["get", "a"][..], &["set", "a", "3"], &["init", "settings.json"]] {
            let ran = fresh.run(args);
            assert_eq!(ran.code, 3, "{args:?}: {:.300}", ran.err);
        }
        assert!(!fresh.journal().exists());
    }
}
