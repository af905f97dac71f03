//! The command line itself: which file is meant, what is refused as wrong usage, help, colour, quiet.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use crate::support::{Store, ran};

#[test]
fn wrong_usage_exits_2_and_changes_nothing() {
    let store = Store::with("{}");
    let before = store.everything();
    for args in [
        &[][..],
        &["fly"],
        &["get"],
        &["set", "", "5"],
        &["get", "a", "b"],
        &["get", "a..b"],
        &["get", "a", "--raw", "--json"],
        &["set", "a"],
        &["set", "a", "-x"],
        &["set", "a", "1", "--if", "b"],
        &["set", "a", "1", "--if", "b..c=1"],
        &["set", "a", "1", "--if-revision", "-1"],
        &["set", "a", "1", "--lock-timeout", "soon"],
        &["set", "a", "1", "--lock-timeout", "-5s"],
        &["increment", "a", "--by", "x"],
        &["push", "a", "1", "--cap", "x"],
        &["merge", "{"],
        &["merge", "5"],
        &["merge", "[1]"],
        &["merge", "null"],
        &["merge", "", "null"],
        &["log", "--since", "yesterday?"],
        &["log", "-n", "x"],
        &["get", "a", "--color", "mauve"],
        &["dump", "--format", "xml"],
        &["edit"],
        &["watch"],
    ] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {ran:?}");
        assert!(!ran.err.is_empty(), "{args:?}");
        let ran = store.run(&[args, &["--json"]].concat());
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.err.starts_with("{\"error\":{\"code\":\"usage\",\"exit\":2,\"message\":\""), "{args:?}: {ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{args:?}: {ran:?}");
    }
    assert_eq!(store.everything(), before);
}

#[test]
fn the_file_is_the_one_named_else_the_one_in_the_environment_else_the_only_one_with_a_journal() {
    let store = Store::empty();
    let bare = |args: &[&str]| ran(store.bare(args).output());
    let none = bare(&["get", "a"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("-f FILE") && none.err.contains("CFGWAL_FILE"), "{none:?}");

    fs::write(store.dir().join("plain.json"), "{}").expect("a file");
    assert_eq!(bare(&["get", "a"]).code, 2, "a file without a journal is not looked for");
    assert_eq!(bare(&["-f", "one.json", "set", "a", "1"]).code, 0);
    assert_eq!(bare(&["get", "a"]).out, "1\n");
    assert_eq!(bare(&["set", "a", "2"]).code, 0);

    assert_eq!(bare(&["set", "a", "3", "-f", "two.json"]).code, 0);
    let several = bare(&["get", "a"]);
    assert_eq!(several.code, 2);
    assert!(several.err.contains("one.json, two.json"), "{several:?}");
    let in_environment = ran(store.bare(&["get", "a"]).env("CFGWAL_FILE", "two.json").output());
    assert_eq!(in_environment.out, "3\n");
    let both = ran(store.bare(&["get", "a", "--file", "one.json"]).env("CFGWAL_FILE", "two.json").output());
    assert_eq!(both.out, "2\n");
    let unnamed = |args: &[&str]| ran(store.bare(args).env("CFGWAL_FILE", "").output());
    let empty = unnamed(&["get", "a"]);
    assert_eq!(empty.code, 2);
    assert!(empty.err.contains("one.json, two.json"), "an empty name names nothing: {empty:?}");
    let three = unnamed(&["init", "three.json"]);
    assert_eq!((three.code, three.out.as_str()), (0, "three.json created\n"), "{three:?}");
}

#[test]
fn the_only_file_with_a_journal_is_found_though_its_name_is_no_text() {
    let store = Store::empty();
    let name = OsStr::from_bytes(b"s\xff.json");
    let set = [OsStr::new("-f"), name, OsStr::new("set"), OsStr::new("a"), OsStr::new("1")];
    assert_eq!(ran(store.bare(&set).output()).code, 0);
    assert_eq!(ran(store.bare(&["get", "a"]).output()).out, "1\n");
}

#[test]
fn a_file_in_the_place_of_a_path_or_a_verb_is_told_where_it_goes() {
    let store = Store::with("{}");
    let told = "tip: the config file is named with -f: -f settings.json";
    for args in
        [&["set", "settings.json", "a.b", "1"][..], &["get", "settings.json", "a"], &["settings.json", "get", "a"]]
    {
        let ran = ran(store.bare(args).output());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains(told), "{args:?}: {}", ran.err);
    }
    let new = ran(store.bare(&["set", "new.toml", "a.b", "1"]).output());
    assert!(new.err.contains("-f new.toml"), "one that is to be made, too: {}", new.err);
    let named = ran(store.bare(&["-f", "settings.json", "set", "settings.json", "a", "1"]).output());
    assert!(named.code == 2 && !named.err.contains("tip:"), "who named it knows how: {}", named.err);
    store.ok(&["init"]);
    let bare = ran(store.bare(&["get", "settings.json"]).output());
    let expected = "cfgwal: settings.json has nothing at settings.json; to name the file: -f settings.json\n";
    assert_eq!((bare.code, bare.err.as_str()), (1, expected));
}

#[test]
fn usage_shows_where_the_file_goes_whether_or_not_the_environment_names_one() {
    let store = Store::empty();
    for args in [&["set", "a"][..], &["set", "a", "1", "2"], &["set", "--help"]] {
        for ran in [store.run(args), ran(store.bare(args).output())] {
            let text = ran.out + &ran.err;
            assert!(text.contains("Usage: cfgwal [-f FILE] set [OPTIONS] <PATH> <VALUE>\n"), "{args:?}: {text}");
        }
    }
}

#[test]
fn who_types_the_verb_of_another_program_is_told_ours() {
    let store = Store::empty();
    for (theirs, ours) in [("rm", "unset"), ("remove", "unset"), ("append", "push"), ("mv", "move"), ("sett", "set")] {
        let ran = store.run(&[theirs, "a"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("tip: ") && ran.err.contains(&format!("'{ours}'")), "{theirs}: {}", ran.err);
    }
}

#[test]
fn looking_in_a_directory_without_journals_is_no_mistake() {
    let store = Store::with("{}");
    for args in [&["verify"][..], &["recover", "--dry-run"]] {
        let ran = ran(store.bare(args).output());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}: {ran:?}");
        assert!(ran.out.starts_with("no journal here"), "{ran:?}");
    }
    assert_eq!(ran(store.bare(&["compact"]).output()).code, 2);
    assert_eq!(ran(store.bare(&["recover"]).output()).code, 2);
    store.write("{\"a\": }");
    for args in [&["verify"][..], &["recover", "--dry-run"]] {
        let ran = store.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "without a journal nothing waits for the text: {ran:?}");
    }
}

#[test]
fn the_name_of_the_journal_instead_of_the_file_is_noticed() {
    let store = Store::with("{}");
    store.ok(&["init"]);
    let ran = ran(store.bare(&["-f", "settings.json.cfgwal/", "get", "a"]).output());
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (2, "cfgwal: settings.json.cfgwal/ is a journal; name its config file: settings.json\n")
    );
}

#[test]
fn a_linked_config_file_keeps_its_link_and_its_journal_lies_beside_the_file() {
    let store = Store::with("{\"a\": 1}");
    let elsewhere = store.dir().join("dotfiles");
    fs::create_dir(&elsewhere).expect("a directory");
    symlink("../settings.json", elsewhere.join("link.json")).expect("a link");
    let ran = ran(store.bare(&["-f", "dotfiles/link.json", "set", "a", "2"]).output());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(elsewhere.join("link.json").is_symlink());
    assert_eq!(store.text(), "{\"a\": 2}");
    assert!(store.journal().is_dir());
}

#[test]
fn every_verb_has_help_with_an_example() {
    let store = Store::empty();
    let top = store.ok(&["--help"]);
    assert!(top.contains("Examples:") && top.contains("Exit codes:"), "{top}");
    let verbs = top.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<_> =
        verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").collect();
    assert_eq!(verbs.len(), 16, "{verbs:?}");
    for verb in verbs {
        let help = store.ok(&[verb, "--help"]);
        assert!(help.contains("Example") && help.contains("cfgwal "), "{verb}: {help}");
    }
    assert_eq!(store.ok(&["--version"]), concat!("cfgwal ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn quiet_prints_data_and_errors_only() {
    let store = Store::with("{\"n\": 1}");
    assert_eq!(store.ok(&["init", "-q"]), "");
    assert_eq!(store.ok(&["compact", "-q"]), "");
    assert_eq!(store.ok(&["increment", "n", "-q"]), "2\n");
    assert_eq!(store.ok(&["set", "v", "{", "--quiet"]), "");
    assert_eq!(store.run(&["get", "gone", "-q"]).err, "cfgwal: settings.json has nothing at gone\n");
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let store = Store::with("{\"a\": 1}");
    let plain = store.ok(&["set", "a", "2", "--dry-run"]);
    assert!(!plain.contains('\u{1b}') && plain.contains("-{\"a\": 1}") && plain.contains("+{\"a\": 2}"), "{plain:?}");
    let coloured = store.ok(&["set", "a", "2", "--dry-run", "--color", "always"]);
    assert!(coloured.contains("\u{1b}[32m+{\"a\": 2}\u{1b}[0m"), "{coloured:?}");
    assert_eq!(store.ok(&["set", "a", "2", "--dry-run", "--color", "never"]), plain);
    let mut command = store.command(&["set", "a", "2", "--dry-run"]);
    assert_eq!(ran(command.env("NO_COLOR", "1").output()).out, plain);
    let failed = store.run(&["get", "gone", "--color", "always"]);
    assert!(failed.err.starts_with("\u{1b}[31mcfgwal:\u{1b}[0m settings.json has nothing"), "{failed:?}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let store = Store::with("{}");
    let lines: String = (0..3000).map(|n| format!("{{\"op\":\"set\",\"path\":\"n\",\"value\":{n}}}\n")).collect();
    assert_eq!(store.feed(&["batch"], &lines).code, 0);
    let mut child = store
        .command(&["log"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("log starts");
    drop(child.stdout.take());
    let ran = ran(child.wait_with_output());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn colour_is_as_asked_for_where_the_command_line_is_wrong_too() {
    let store = Store::empty();
    for args in [&["--color", "always", "sett"][..], &["--color=always", "sett"], &["sett", "--color", "always"]] {
        let ran = store.run(args);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains('\x1b'), "{args:?}: {ran:?}");
    }
    assert!(!store.run(&["sett"]).err.contains('\x1b'));
}

#[test]
fn raw_and_json_exclude_each_other_wherever_they_stand() {
    let store = Store::with("{\"a\": \"b\"}");
    for args in [["--json", "get", "a", "--raw"], ["get", "a", "--raw", "--json"]] {
        let ran = store.run(&args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}: {ran:?}");
        assert!(ran.err.contains("--raw and --json exclude each other"), "{args:?}: {ran:?}");
    }
}
