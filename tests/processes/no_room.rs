//! A full disk harms nothing: an edit fails and changes no byte, or is durable and the file follows when there is room.

use std::process::Command;

use crate::support::sandbox::{Mount, fill, skipped};
use crate::support::session::Session;
use crate::support::{Ran, Store};

/// Runs a test on each kind of small disk that this machine lets us mount.
fn on_small_disks(test: &str, run: impl Fn(&Store)) {
    // The smallest that leave a little room beside a journal.
    for (kind, mount) in [("tmpfs", Mount::tmpfs("512k")), ("ext4", Mount::ext4("1m"))] {
        match mount {
            Ok(mount) => {
                println!("on {kind}");
                run(&mount.store());
            }
            Err(why) => skipped(test, &format!("{kind}: {why}")),
        }
    }
}

/// What a command says that failed for want of room, with what became of its edit.
fn assert_no_room(ran: &Ran, code: i32) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert!(ran.err.contains("No space left on device") && ran.err.contains("settings.json"), "{ran:?}");
}

fn readers_work(store: &Store) {
    for args in [&["get", "a"][..], &["dump"], &["ls"], &["status"], &["log"], &["verify"]] {
        let ran = store.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    }
}

#[test]
fn a_first_edit_without_room_for_a_journal_changes_nothing() {
    on_small_disks("a_first_edit_without_room_for_a_journal_changes_nothing", |store| {
        store.write("{\"a\": 1}");
        let filler = fill(store);
        let before = store.everything();
        for args in [&["set", "a", "2"][..], &["init", "settings.json"], &["batch"]] {
            assert_no_room(&store.run(args), 7);
            assert_eq!(store.everything(), before, "{args:?} left something behind");
        }
        filler.remove();
        store.ok(&["set", "a", "2"]);
        assert_eq!(store.text(), "{\"a\": 2}");
    });
}

#[test]
fn an_edit_larger_than_the_room_is_not_applied_and_changes_nothing() {
    on_small_disks("an_edit_larger_than_the_room_is_not_applied_and_changes_nothing", |store| {
        store.write("{\"a\": 1}");
        store.ok(&["set", "a", "2"]);
        let filler = fill(store);
        // Some of it fits, and must not stay.
        filler.shrink(65_536);
        let before = store.content();
        let patch = format!("{{\"big\":\"{}\"}}", "x".repeat(200_000));
        let ran = store.feed(&["merge", "-"], &patch);
        assert_no_room(&ran, 7);
        assert!(ran.err.contains("the edit was not applied"), "{ran:?}");
        assert_eq!(store.content(), before, "what failed left something behind");
        readers_work(store);
        assert_eq!(store.run(&["recover", "--dry-run"]).code, 0);
        filler.remove();
        let ran = store.feed(&["merge", "-"], "{\"big\": \"small\"}");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert_eq!(store.ok(&["get", "big"]), "small\n");
        assert_eq!(store.run(&["verify"]).code, 0);
    });
}

#[test]
fn a_small_edit_has_room_in_the_log_and_the_file_follows_when_it_can() {
    on_small_disks("a_small_edit_has_room_in_the_log_and_the_file_follows_when_it_can", |store| {
        store.write("{\"a\": 1}");
        store.ok(&["set", "a", "2"]);
        let filler = fill(store);
        let ran = store.run(&["set", "a", "3"]);
        assert_no_room(&ran, 9);
        assert!(ran.err.contains("revision 2 is durable"), "{ran:?}");
        assert_eq!(store.text(), "{\"a\": 2}", "the file is as it was");
        assert_eq!(store.ok(&["get", "a"]), "3\n");
        readers_work(store);
        assert_eq!(store.run(&["recover", "--dry-run"]).code, 5, "the file lacks an edit, and recovery would write it");
        filler.remove();
        store.ok(&["set", "b", "1"]);
        assert_eq!(store.text(), "{\"a\": 3, \"b\": 1}");
        assert_eq!(store.run(&["recover", "--dry-run"]).code, 0);
        assert_eq!(std::fs::read_dir(store.dir()).unwrap().filter(|entry| hidden(entry.as_ref().unwrap())).count(), 0);
    });
}

fn hidden(entry: &std::fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with('.')
}

#[test]
fn edits_go_on_until_the_log_is_full_and_what_was_acknowledged_stays() {
    on_small_disks("edits_go_on_until_the_log_is_full_and_what_was_acknowledged_stays", |store| {
        store.write("{\"a\": 0, \"n\": 0}");
        store.ok(&["set", "a", "1"]);
        let filler = fill(store);
        let value = "x".repeat(500);
        let mut session = Session::start(store);
        let mut good = 0;
        let refused = loop {
            let answer =
                session.ask(&format!("{{\"op\":\"set\",\"path\":\"n\",\"value\":[{},\"{value}\"]}}", good + 1));
            let answer = answer.expect("a full disk is no reason to end");
            if answer["ok"] != true {
                break answer;
            }
            good += 1;
        };
        println!("{good} edits had room");
        assert!(good > 10, "room that was made ahead is used");
        assert_eq!(refused["error"]["code"], "not_applied", "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("No space left on device"), "{refused}");
        assert_eq!(session.must(r#"{"op":"get","path":"n[0]"}"#)["value"], good);
        assert_no_room(&session.finish(), 9);
        assert_eq!(store.ok(&["get", "n[0]"]), format!("{good}\n"), "the last one acknowledged is the last one there");
        readers_work(store);
        let before = store.content();
        assert_no_room(&store.run(&["set", "n", &value]), 7);
        assert_eq!(store.content(), before);
        filler.remove();
        store.ok(&["set", "n", "0"]);
        assert_eq!(store.text(), "{\"a\": 1, \"n\": 0}");
        assert_eq!(store.run(&["verify"]).code, 0);
    });
}

/// Where a store into a mapped page may take room too, and without any the system kills who stores.
#[test]
fn nobody_is_killed_for_want_of_room_where_a_page_shares_its_place() {
    for (kind, mount) in [("btrfs", Mount::btrfs("128m")), ("xfs", Mount::xfs("300m"))] {
        match mount {
            Ok(mount) => {
                println!("on {kind}");
                let store = mount.store();
                share_its_place(&store);
                let page = std::fs::File::open(store.journal().join("watermark")).expect("the page");
                let stays = rustix::fs::ioctl_getflags(page).expect("its flags").contains(rustix::fs::IFlags::NOCOW);
                assert_eq!(stays, kind == "btrfs", "what is changed goes to where it was");
            }
            Err(why) => {
                skipped("nobody_is_killed_for_want_of_room_where_a_page_shares_its_place", &format!("{kind}: {why}"))
            }
        }
    }
}

fn share_its_place(store: &Store) {
    store.write("{\"a\": 1}");
    store.ok(&["set", "a", "2"]);
    let filler = fill(store);
    let is_told = |ran: &Ran| match ran.code {
        0 => {}
        7 | 9 => assert_no_room(ran, ran.code),
        _ => panic!("{ran:?}"),
    };
    let in_trouble = || {
        for n in 0..3 {
            is_told(&store.run(&["set", "a", &n.to_string()]));
            is_told(&store.run(&["batch"]));
            is_told(&store.run(&["compact"]));
            readers_work(store);
            rustix::fs::sync();
        }
    };
    in_trouble();
    // From here on it shares its place with a copy, so that the next store needs one of its own.
    filler.shrink(1 << 20);
    let copies =
        ["cp --reflink=always settings.json.cfgwal/watermark copy 2>&1", "btrfs subvolume snapshot . kept >/dev/null"];
    let script = copies.join(" || ");
    let shared = Command::new("sh").args(["-c", &script]).current_dir(store.dir()).output().expect("a shell runs");
    assert!(shared.status.success(), "{shared:?}");
    for _ in 0..2 {
        rustix::fs::sync();
        filler.grow();
    }
    let before = store.text();
    let ran = store.run(&["set", "a", "5"]);
    assert_no_room(&ran, 7);
    assert!(ran.err.contains("the edit was not applied"), "{ran:?}");
    assert_eq!(store.text(), before);
    in_trouble();
    let _ = std::fs::remove_file(store.dir().join("kept/filler"));
    filler.remove();
    rustix::fs::sync();
    store.ok(&["set", "b", "1"]);
    assert_eq!(store.ok(&["get", "b"]), "1\n");
    assert_eq!(store.run(&["verify"]).code, 0);
}

/// Bytes that are no frame, where the next one would be: a writer was killed inside its write.
fn tear(store: &Store) {
    let segment = store.journal().join("wal-0000000000000001");
    let mut bytes = std::fs::read(&segment).expect("the only segment");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("the last byte of a record") + 1;
    bytes[end.next_multiple_of(8)..][..100].fill(7);
    std::fs::write(&segment, bytes).expect("as long as it was");
}

fn assert_sound(store: &Store, value: &str) {
    assert_eq!(store.ok(&["get", "a"]), format!("{value}\n"));
    assert_eq!(store.run(&["verify"]).code, 0);
    assert_eq!(store.run(&["recover", "--dry-run"]).code, 0);
}

#[test]
fn what_a_crash_left_is_put_right_without_room() {
    on_small_disks("what_a_crash_left_is_put_right_without_room", |store| {
        store.write("{\"a\": 1}");
        store.ok(&["set", "a", "2"]);
        tear(store);
        // As after a crash of the system: the page says nothing of this boot.
        let page = store.journal().join("watermark");
        std::fs::write(&page, [0; 4096]).expect("a page of zeros");
        let filler = fill(store);
        assert_eq!(store.run(&["recover", "--dry-run"]).code, 5);
        store.ok(&["recover"]);
        assert_sound(store, "2");
        let torn = std::fs::read_dir(store.journal().join("quarantine")).expect("what was torn is kept");
        assert_eq!(torn.count(), 1);
        filler.remove();
        store.ok(&["set", "a", "3"]);
        store.ok(&["compact"]);
        let reserve = std::fs::metadata(store.journal().join("reserve")).expect("there is room again");
        assert_eq!(reserve.len(), 96 * 1024);
        assert_sound(store, "3");
    });
}

/// A command that finds no room, on a store that was made ready for it, does what it is to do. Then `a` has this value, and
/// all goes on once there is room.
fn does_without_room(test: &str, make_ready: impl Fn(&Store), args: &[&str], value: &str) {
    on_small_disks(test, |store| {
        store.write("{\"a\": 1}");
        store.ok(&["set", "a", "2"]);
        make_ready(store);
        let filler = fill(store);
        store.ok(args);
        assert_sound(store, value);
        filler.remove();
        store.ok(&["set", "a", "4"]);
        assert_sound(store, "4");
    });
}

#[test]
fn an_edit_behind_one_that_was_cut_short_is_made_without_room() {
    let test = "an_edit_behind_one_that_was_cut_short_is_made_without_room";
    does_without_room(test, tear, &["set", "a", "3"], "3");
}

#[test]
fn a_small_config_is_compacted_without_room() {
    does_without_room("a_small_config_is_compacted_without_room", |_| (), &["compact"], "2");
}

#[test]
fn a_compaction_without_room_loses_nothing() {
    on_small_disks("a_compaction_without_room_loses_nothing", |store| {
        store.write("{\"a\": 1}");
        store.ok(&["set", "a", "2"]);
        let filler = fill(store);
        let before = store.content();
        let ran = store.run(&["compact"]);
        if ran.code != 0 {
            assert_no_room(&ran, 7);
            assert_eq!(store.content(), before, "what failed left something behind");
        }
        readers_work(store);
        filler.remove();
        assert_eq!(store.run(&["compact"]).code, 0);
        store.ok(&["set", "a", "3"]);
        assert_eq!(store.text(), "{\"a\": 3}");
        assert_eq!(store.run(&["verify"]).code, 0);
    });
}
