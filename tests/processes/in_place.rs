//! Files that no other may take the place of: several names, mount points, directories and owners that are not ours.
//! They are written over where they lie, and stay what they are.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::Store;
use crate::support::readers::Readers;
use crate::support::sandbox::{Mode, Mount, Somebody, is_root, skipped};

const TEXT: &str = "{\n  // The port\n  \"port\": 8080,\n  \"name\": \"x\"\n}\n";

fn linked() -> Store {
    let store = Store::with("{\n  \"port\": 8080,\n  \"name\": \"x\"\n}\n");
    fs::create_dir(store.dir().join("elsewhere")).unwrap();
    fs::hard_link(store.file(), other_name(&store)).unwrap();
    store
}

fn other_name(store: &Store) -> std::path::PathBuf {
    store.dir().join("elsewhere/settings.json")
}

/// Nothing of a rewriting is left in the journal.
fn assert_settled(store: &Store) {
    let names = fs::read_dir(store.journal()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.starts_with("rewrite-")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(store.run(&["verify"]).code, 0);
}

#[test]
fn a_file_with_two_names_keeps_both() {
    let store = linked();
    let inode = fs::metadata(store.file()).unwrap().ino();
    // The text grows, shrinks, and stays as long as it was.
    for (args, text) in [
        (&["set", "name", "a longer name"][..], "{\n  \"port\": 8080,\n  \"name\": \"a longer name\"\n}\n"),
        (&["unset", "name"], "{\n  \"port\": 8080\n}\n"),
        (&["set", "port", "8081"], "{\n  \"port\": 8081\n}\n"),
    ] {
        store.ok(args);
        assert_eq!(fs::read_to_string(other_name(&store)).unwrap(), text);
        assert_eq!(fs::metadata(store.file()).unwrap().ino(), inode);
        assert_settled(&store);
    }
}

#[test]
fn readers_of_a_file_that_is_written_over_never_see_half_of_it() {
    let store = Store::with("{\"first\": 0, \"text\": \"\", \"last\": 0}");
    fs::create_dir(store.dir().join("elsewhere")).unwrap();
    fs::hard_link(store.file(), other_name(&store)).unwrap();
    store.ok(&["init", "settings.json"]);
    let readers = Readers::start(4, &other_name(&store));
    for n in 1..=60 {
        let text = "x".repeat(if n % 2 == 0 { 20_000 } else { 10 });
        store.ok(&["merge", &format!("{{\"first\":{n},\"text\":\"{text}\",\"last\":{n}}}")]);
    }
    let reads = readers.finish();
    assert!(reads > 100, "{reads} reads are too few to prove anything");
}

#[test]
fn a_file_that_somebody_reads_all_the_time_is_left_until_they_close_it() {
    let store = linked();
    store.ok(&["init", "settings.json"]);
    let before = store.text();
    let reading = fs::File::open(other_name(&store)).unwrap();
    let ran = store.run(&["set", "port", "1"]);
    assert_eq!(ran.code, 9, "{ran:?}");
    assert!(ran.err.contains("revision 1 is durable") && ran.err.contains("open"), "{ran:?}");
    assert_eq!(store.text(), before);
    drop(reading);
    store.ok(&["compact"]);
    assert_eq!(store.text(), before.replace("8080", "1"));
}

#[test]
fn a_hand_edit_of_a_file_with_two_names_is_taken_over() {
    let store = linked();
    store.ok(&["set", "port", "1"]);
    fs::write(other_name(&store), "{\n  \"port\": 1,\n\n  \"name\": \"by hand\"\n}\n").unwrap();
    store.ok(&["set", "port", "2"]);
    assert_eq!(store.text(), "{\n  \"port\": 2,\n\n  \"name\": \"by hand\"\n}\n");
    assert_eq!(store.ok(&["get", "name"]), "by hand\n");
}

#[test]
fn a_file_that_is_a_mount_point_is_written_over() {
    let mount = Mount::over_a_file("settings.jsonc", TEXT);
    let mount = match mount {
        Ok(mount) => mount,
        Err(why) => return skipped("a_file_that_is_a_mount_point_is_written_over", &why),
    };
    let store = mount.store();
    let file = store.dir().join("settings.jsonc");
    let run = |args: &[&str]| {
        let mut all = vec!["-f", "settings.jsonc"];
        all.extend(args);
        crate::support::ran(store.bare(&all).output())
    };
    let ran = run(&["set", "port", "9090"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), TEXT.replace("8080", "9090"));
    assert_eq!(fs::read_to_string(store.dir().join("real/file")).unwrap(), TEXT.replace("8080", "9090"));
    assert_eq!(run(&["verify"]).code, 0);
}

#[test]
fn a_file_of_somebody_else_that_we_may_write_stays_theirs() {
    let name = "a_file_of_somebody_else_that_we_may_write_stays_theirs";
    if !is_root() {
        return skipped(name, "only root can be two users");
    }
    let store = Store::with("{\"a\": 1}");
    let somebody = match Somebody::owns(&store) {
        Ok(somebody) => somebody,
        Err(why) => return skipped(name, &why),
    };
    std::os::unix::fs::chown(store.file(), Some(0), Some(0)).unwrap();
    fs::set_permissions(store.file(), fs::Permissions::from_mode(0o666)).unwrap();
    let ran = somebody.runs(&store, &["set", "a", "12"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let meta = fs::metadata(store.file()).unwrap();
    assert_eq!((store.text().as_str(), meta.uid(), meta.mode() & 0o777), ("{\"a\": 12}", 0, 0o666));
}

#[test]
fn a_directory_that_may_not_be_written_is_no_hindrance_once_there_is_a_journal() {
    let name = "a_directory_that_may_not_be_written_is_no_hindrance_once_there_is_a_journal";
    let store = Store::with("{\"a\": 1}");
    store.ok(&["init", "settings.json"]);
    let somebody = match Somebody::owns(&store) {
        Ok(somebody) => somebody,
        Err(why) => return skipped(name, &why),
    };
    let _mode = Mode::set(store.dir(), 0o555);
    let ran = somebody.runs(&store, &["set", "a", "2"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert_eq!(store.text(), "{\"a\": 2}");
}
