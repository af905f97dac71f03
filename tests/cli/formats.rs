//! Which format a file has, and what else has to be known about it, is said once.

use std::fs;

use crate::support::{Store, ran};

/// The command about a file of another name.
fn about(store: &Store, file: &str, args: &[&str]) -> crate::support::Ran {
    let mut all = vec!["-f", file];
    all.extend(args);
    ran(store.bare(&all).output())
}

#[test]
fn the_key_column_and_the_delimiter_are_chosen_once() {
    let store = Store::empty();
    let file = store.dir().join("parts.txt");
    fs::write(&file, "# parts\nsize;name\r\n10;boot\r\n\r\n20;root\r\n").unwrap();
    let ran = about(&store, "parts.txt", &["init", "--format", "csv", "--key", "name", "--delimiter", ";"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "parts.txt adopted as it is\n"), "{ran:?}");
    let ran = about(&store, "parts.txt", &["set", "root.size", "25"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "# parts\nsize;name\r\n10;boot\r\n\r\n25;root\r\n");
    assert_eq!(about(&store, "parts.txt", &["get", "boot.size"]).out, "10\n");
    let options = fs::read_to_string(store.dir().join("parts.txt.cfgwal/options.toml")).unwrap();
    assert!(options.contains("key = \"name\"\n") && options.contains("delimiter = \";\"\n"), "{options}");
    // Chosen otherwise, it is refused; the same again is no news.
    let ran = about(&store, "parts.txt", &["init", "--format", "csv", "--key", "size", "--delimiter", ";"]);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.err.contains("has a journal already, for csv, key \"name\""), "{ran:?}");
    let ran = about(&store, "parts.txt", &["init", "--format", "csv", "--key", "name", "--delimiter", ";"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn the_key_column_that_was_found_stays_the_key_column() {
    let store = Store::empty();
    let file = store.dir().join("pairs.csv");
    fs::write(&file, "pair,on\na,true\nb,false\n").unwrap();
    assert_eq!(about(&store, "pairs.csv", &["set", "a.on", "false"]).code, 0);
    // Somebody adds a column that would have been taken for the key.
    fs::write(&file, "pair,on,id\na,false,7\nb,false,8\n").unwrap();
    let ran = about(&store, "pairs.csv", &["set", "b.on", "true"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "pair,on,id\na,false,7\nb,true,8\n");
    assert_eq!(about(&store, "pairs.csv", &["get", "a.id"]).out, "7\n");
}

#[test]
fn what_is_only_for_csv_is_not_taken_elsewhere() {
    let store = Store::with("{\"a\": 1}\n");
    for args in
        [&["init", "--key", "a"][..], &["init", "--format", "cobol"], &["init", "--format", "csv", "--delimiter", "#"]]
    {
        let ran = store.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
    }
    assert!(!store.journal().exists());
}

#[test]
fn a_config_is_printed_in_another_format() {
    let store = Store::with("{\"a\": {\"b\": 1, \"c\": \"x\"}}\n");
    assert_eq!(store.ok(&["dump", "--format", "csv"]), "id,b,c\na,1,x\n");
    assert_eq!(store.run(&["dump", "--format", "cobol"]).code, 2);
    let store = Store::with("{\"a\": {\"b\": null}}\n");
    let ran = store.run(&["dump", "--format", "csv"]);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.err.contains("null"), "{ran:?}");
}

#[test]
fn a_journal_behind_a_link_says_how_its_file_is_read() {
    let store = Store::with("{\"a\": 1}\n");
    store.ok(&["init"]);
    let link = store.dir().join("link.json");
    std::os::unix::fs::symlink(store.file(), link).unwrap();
    let ran = about(&store, "link.json", &["init", "--format", "jsonc"]);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.err.contains("has a journal already, for json;"), "{ran:?}");
}
