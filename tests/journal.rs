//! The library as a program uses it, on a real disk.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use cfgwal::{Error, FileStatus, Journal, Materialise, Op, Transaction, View};

fn dir(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn an_edit_is_there_after_a_reopen() {
    let file = dir("reopen").join("settings.json");
    let journal = Journal::open(&file).unwrap();
    let ack = journal.append(Op::set("server.port", 8080)).unwrap();
    assert_eq!(ack.revision, 1);
    assert_eq!(journal.get::<u16>("server.port").unwrap(), Some(8080));
    journal.append(Transaction::new().test_absent("lock").set("lock", "me").increment("n", 1)).unwrap();
    assert!(matches!(journal.close().unwrap(), FileStatus::Current { revision: 2 }));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "{\n  \"server\": {\n    \"port\": 8080\n  },\n  \"lock\": \"me\",\n  \"n\": 1\n}\n"
    );
    let journal = Journal::open(&file).unwrap();
    assert_eq!(journal.snapshot().unwrap().revision(), 2);
    journal.append(Op::set("server.port", 9090)).unwrap();
    let compacted = journal.compact().unwrap();
    assert_eq!(compacted.0.revision, 3);
    drop(journal);
    let journal = Journal::open(&file).unwrap();
    assert_eq!(journal.get::<u16>("server.port").unwrap(), Some(9090));
    for n in 0..5000 {
        journal.append(Op::set("n", n)).unwrap();
    }
    for _ in 0..3 {
        journal.append(Op::increment("n", 1)).unwrap();
        journal.compact().unwrap();
    }
    drop(journal);
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "{\n  \"server\": {\n    \"port\": 9090\n  },\n  \"lock\": \"me\",\n  \"n\": 5002\n}\n"
    );
}

#[test]
fn a_config_without_a_journal_can_be_looked_at_and_has_no_history() {
    let file = dir("no-journal").join("settings.json");
    std::fs::write(&file, "{\"token\": \"c4n4ry\"}").unwrap();
    let view = View::open(&file).unwrap();
    assert!(view.history().unwrap().is_empty());
    let preview = view.preview(Op::set("a", 1), None).unwrap();
    assert_eq!(preview.after, b"{\"token\": \"c4n4ry\", \"a\": 1}");
    let canary = format!("{:?}", b"c4n4ry");
    let printed = format!("{preview:?} {view:?} {:?}", view.state());
    assert!(!printed.contains("c4n4ry") && !printed.contains(canary.trim_matches(['[', ']'])), "{printed}");
}

#[derive(serde::Serialize, serde::Deserialize)]
struct App {
    tags: BTreeSet<String>,
    servers: HashMap<String, Server>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Server {
    port: u16,
}

#[test]
fn a_type_with_an_order_of_its_own_changes_what_it_means_and_nothing_else() {
    let file = dir("own-order").join("app.json");
    let text = |tags: &str, servers: &str| {
        format!(
            "{{\n  \"tags\": [{tags}],\n  \"servers\": {{\n    \"x\": {{\"port\": 1, \"note\": \"a\"}},\n    \"b\": {{\"port\": 2, \"note\": \"b\"}},\n    \"m\": {{\"port\": 3}}{servers}\n  }}\n}}\n"
        )
    };
    std::fs::write(&file, text(r#""z", "a", "m""#, "")).unwrap();
    let journal = Journal::open(&file).unwrap();
    journal.update(|app: &mut App| app.tags.remove("a")).unwrap();
    let mut added = String::new();
    for n in 0..40 {
        journal.update(|app: &mut App| app.servers.insert(format!("new{n}"), Server { port: n })).unwrap();
        added += &format!(",\n    \"new{n}\": {{\"port\": {n}}}");
    }
    assert!(matches!(journal.close().unwrap(), FileStatus::Current { .. }));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text(r#""z", "m""#, &added));
}

/// As other programs write TOML: what is not there is left out.
#[cfg(feature = "toml")]
#[test]
fn none_in_a_type_is_a_key_that_a_toml_file_does_not_have() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Site {
        name: Option<String>,
        tls: Option<Tls>,
    }
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Tls {
        on: bool,
        cert: Option<String>,
    }
    let file = dir("none").join("app.toml");
    std::fs::write(&file, "port = 80 # the usual\nname = \"x\"\n").unwrap();
    let journal = Journal::open(&file).unwrap();
    journal.update(|site: &mut Site| site.tls = Some(Tls { on: true, cert: None })).unwrap();
    journal.update(|site: &mut Site| site.name = None).unwrap();
    journal.close().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "port = 80 # the usual\n\n[tls]\non = true\n");
}

#[test]
fn a_hand_edit_becomes_a_record_and_keeps_its_comments() {
    let file = dir("hand").join("tsconfig.json");
    std::fs::write(&file, "{\n  // why\n  \"a\": 1,\n  \"b\": [1, 2]\n}\n").unwrap();
    let journal = Journal::open(&file).unwrap();
    journal.append(Op::set("a", 2)).unwrap();
    journal.materialise().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\n  // why\n  \"a\": 2,\n  \"b\": [1, 2]\n}\n");
    std::fs::write(&file, "{\n  // why not\n  \"a\": 2,\n  \"c\": 5,\n  \"b\": [1, 2, 3] // more\n}\n").unwrap();
    let ack = journal.append(Op::set("a", 3)).unwrap();
    assert_eq!(ack.revision, 3);
    assert_eq!(journal.get::<i64>("c").unwrap(), Some(5));
    assert!(matches!(journal.materialise().unwrap(), FileStatus::Current { revision: 3 }));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "{\n  // why not\n  \"a\": 3,\n  \"c\": 5,\n  \"b\": [1, 2, 3] // more\n}\n"
    );
    // The person takes the last change back.
    std::fs::write(&file, "{\n  // why not\n  \"a\": 2,\n  \"c\": 5,\n  \"b\": [1, 2, 3] // more\n}\n").unwrap();
    assert!(matches!(journal.materialise().unwrap(), FileStatus::Current { .. }));
    assert_eq!(journal.get::<i64>("a").unwrap(), Some(2));
    // Broken text is left alone, edits go on.
    std::fs::write(&file, "{\n  \"a\": 2,\n  oops\n}\n").unwrap();
    let ack = journal.append(Op::set("a", 9)).unwrap();
    assert!(ack.held_back.is_some());
    assert!(matches!(journal.materialise().unwrap(), FileStatus::Behind { .. }));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\n  \"a\": 2,\n  oops\n}\n");
    std::fs::write(&file, "{\n  \"a\": 2,\n  \"c\": 5,\n  \"b\": [1, 2],\n \"d\": 1}\n").unwrap();
    assert!(matches!(journal.materialise().unwrap(), FileStatus::Current { .. }));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\n  \"a\": 9,\n  \"c\": 5,\n  \"b\": [1, 2],\n \"d\": 1}\n");
}

#[cfg(feature = "csv")]
#[test]
fn a_column_that_a_table_does_not_have_is_refused_before_it_is_logged() {
    let file = dir("columns").join("orders.csv");
    std::fs::write(&file, "id,pair,volume\n").unwrap();
    let journal = Journal::open(&file).unwrap();
    let row = |name: &str| -> cfgwal::Value { [(name, "1")].into_iter().collect() };
    journal.append(Op::set("a", row("pair"))).unwrap();
    // No row has it yet, but the table does.
    journal.append(Op::set("a.volume", 5)).unwrap();
    for op in [
        Op::set("a.limit", 1),
        Op::set("b", row("limit")),
        Op::merge("a", row("limit")),
        Op::set("", [("b", row("limit"))].into_iter().collect::<cfgwal::Value>()),
        Op::move_to("a.volume", "a.limit"),
    ] {
        let refused = journal.submit(op.clone()).map(drop).unwrap_err();
        assert!(refused.to_string().contains("there is no column \"limit\""), "{op:?}: {refused}");
    }
    assert_eq!(journal.snapshot().unwrap().revision(), 2);
    assert!(matches!(journal.materialise().unwrap(), FileStatus::Current { revision: 2 }));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, "id,pair,volume\na,1,5\n");
    // By hand it can be added.
    std::fs::write(&file, "id,pair,volume,limit\na,1,5,\n").unwrap();
    journal.append(Op::set("a.limit", 7)).unwrap();
    journal.close().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "id,pair,volume,limit\na,1,5,7\n");
}

/// A record of a save names the text that it was found in. Made again, elsewhere or later, that text is in no file.
#[test]
fn records_of_the_history_can_be_made_again_and_take_no_edit_back() {
    let home = dir("made_again");
    let [one, other] = ["one.json", "other.json"].map(|name| home.join(name));
    let open = |file: &Path| {
        std::fs::write(file, "{\"a\": 1}\n").unwrap();
        Journal::options().materialise(Materialise::Manual).open(file).unwrap()
    };
    let (first, second) = (open(&one), open(&other));
    std::fs::write(&one, "{\"a\": 1, \"by\": \"hand\"}\n").unwrap();
    first.append(Op::set("c", 1)).unwrap();
    second.append(Op::set("own", 1)).unwrap();
    for entry in View::open(&one).unwrap().history().unwrap() {
        second.append(entry.transaction).unwrap();
    }
    assert!(matches!(second.materialise().unwrap(), FileStatus::Current { revision: 3 }));
    let text = std::fs::read_to_string(&other).unwrap();
    assert_eq!(text, "{\"a\": 1, \"own\": 1, \"by\": \"hand\", \"c\": 1}\n");
    let origins = View::open(&other).unwrap().history().unwrap();
    assert!(origins.iter().all(|entry| entry.transaction.base.is_none()), "{origins:?}");
}

#[cfg(feature = "json")]
#[test]
fn a_file_stays_as_it_is_where_its_text_would_be_too_long() {
    use cfgwal::Behind;
    use cfgwal::document::Unpatchable;

    let file = dir("too-long").join("settings.json");
    let half = "x".repeat(cfgwal::RECORD_MAX / 2);
    let journal = Journal::options().materialise(Materialise::Manual).open(&file).unwrap();
    journal.append(Op::set("a", &*half)).unwrap();
    assert!(matches!(journal.materialise().unwrap(), FileStatus::Current { revision: 1 }));
    let shown = std::fs::metadata(&file).unwrap().len();
    journal.append(Op::set("b", &*half)).unwrap();
    let status = journal.materialise().unwrap();
    let FileStatus::Behind { why: why @ Behind::Unpatchable(Unpatchable::TooLarge { .. }), .. } = &status else {
        panic!("{status:?}")
    };
    assert!(why.advice().contains("remove something"), "{}", why.advice());
    assert_eq!(std::fs::metadata(&file).unwrap().len(), shown);
    journal.append(Op::remove("a")).unwrap();
    assert!(matches!(journal.close().unwrap(), FileStatus::Current { revision: 3 }));
    assert_eq!(View::open(&file).unwrap().state().root().get(&"b".parse().unwrap()), Some(&half.into()));
}

/// What none of the ops brings, all of them together may come to.
#[cfg(all(feature = "csv", feature = "json", feature = "toml", feature = "yaml"))]
#[test]
fn no_file_is_begun_with_a_text_that_does_not_stand_for_the_config() {
    use cfgwal::{Behind, Value, document};

    let home = dir("begun");
    let cell = |column: &str, text: &str| -> Value { [(column, text)].into_iter().collect() };
    let zeros: Value = (0..400_000).map(|_| Value::from(0)).collect();
    // Each of them on a line of its own, behind 200 spaces.
    let deep = (0..100).fold(zeros, |inner, _| vec![inner].into());
    for (name, edit, mended) in [
        ("large.json", Transaction::new().set("x", deep), Op::set("x", 1)),
        ("sum.toml", Transaction::new().increment("x", i64::MAX).increment("x", 1), Op::increment("x", -1)),
        (
            "key.yaml",
            Transaction::new().set(cfgwal::Path::from_iter(["\u{1}".repeat(700)]), 1),
            Op::set("", Value::object()),
        ),
        ("row.csv", Transaction::new().set("a", cell("id", "b")), Op::remove("a")),
        ("comment.csv", Transaction::new().set("#a", cell("x", "")), Op::remove("#a")),
    ] {
        let file = home.join(name);
        let journal = Journal::options().materialise(Materialise::Manual).open(&file).unwrap();
        journal.append(edit).unwrap();
        let status = journal.materialise().unwrap();
        assert!(matches!(status, FileStatus::Behind { why: Behind::Unpatchable(_), .. }), "{name}: {status:?}");
        assert!(!file.exists(), "{name}");
        journal.append(mended).unwrap();
        assert!(matches!(journal.close().unwrap(), FileStatus::Current { revision: 2 }), "{name}");
        let read = document::parse(&document::Format::of(&file).unwrap(), &std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(&read, View::open(&file).unwrap().state().root(), "{name}");
    }
}

#[test]
fn thousands_of_edits_in_flight_are_all_applied_in_their_order() {
    let file = dir("in_flight").join("settings.json");
    let journal = Journal::open(&file).unwrap();
    for round in 0..5_u64 {
        let pending: Vec<_> = (0..3000).map(|_| journal.submit(Op::increment("n", 1)).unwrap()).collect();
        for (count, pending) in (1..).zip(pending) {
            // Most of them have company in their write; some are waited for in the middle of it.
            let ack = pending.wait().unwrap();
            let n = round * 3000 + count;
            assert_eq!((ack.revision, &*ack.results), (n, &[Some(n.into())][..]));
        }
    }
}

/// What a disk has that was pulled out while the system ran on, and a copy that was made beside writers: a page that was
/// written before the last edits were.
#[test]
fn where_many_threads_edit_in_every_way_nobody_waits_for_ever_and_each_edit_counts_once() {
    const THREADS: u64 = 24;
    const ROUNDS: u64 = 40;
    // More than go into the log at once wait at times.
    const AT_ONCE: u64 = 150;
    let journal =
        Journal::options().materialise(Materialise::Manual).open(dir("every_way").join("settings.json")).unwrap();
    let (done, is_done) = std::sync::mpsc::channel();
    let one_more = || Op::increment("n", 1);
    // Nobody begins the next round, which would wake whoever was forgotten in this one.
    let all_are_back = Arc::new(Barrier::new(THREADS as usize));
    for thread in 0..THREADS {
        let (journal, done, all_are_back) = (journal.clone(), done.clone(), all_are_back.clone());
        std::thread::spawn(move || {
            let mut edits = 0;
            for round in 0..ROUNDS {
                // Where all do as most do, nobody else sees to what waits.
                edits += match if round % 2 == 0 { (thread + round / 2) % 4 } else { 3 } {
                    0 => {
                        let begun: Vec<_> = (0..AT_ONCE).map(|_| journal.submit(one_more()).unwrap()).collect();
                        begun.into_iter().rev().for_each(|pending| drop(pending.wait().unwrap()));
                        AT_ONCE
                    }
                    1 => {
                        drop(journal.submit(one_more()).unwrap());
                        1
                    }
                    _ => {
                        journal.append(one_more()).unwrap();
                        1
                    }
                };
                all_are_back.wait();
            }
            done.send(edits).unwrap();
        });
    }
    let edits: u64 = (0..THREADS).map(|_| is_done.recv_timeout(Duration::from_secs(60)).unwrap()).sum();
    // After those whose threads did not wait.
    let last = journal.append(one_more()).unwrap();
    assert_eq!(journal.get::<u64>("n").unwrap(), Some(edits + 1));
    assert_eq!(last.revision, edits + 1);
}

#[test]
fn a_watermark_that_is_older_than_its_log_makes_nobody_forget_an_edit() {
    let file = dir("older_watermark").join("settings.json");
    let page = file.with_file_name("settings.json.cfgwal").join("watermark");
    let options = || Journal::options().materialise(Materialise::Manual);
    for round in 1..9_u64 {
        let journal = options().open(&file).unwrap();
        journal.append(Op::increment("n", 1)).unwrap();
        let older = std::fs::read(&page).unwrap();
        (0..round).for_each(|_| drop(journal.append(Op::increment("n", 1)).unwrap()));
        if round % 4 == 0 {
            journal.compact().unwrap();
        }
        let made = journal.snapshot().unwrap().revision();
        journal.close().unwrap();
        std::fs::write(&page, older).unwrap();
        if round % 2 == 0 {
            assert_eq!(View::open(&file).unwrap().revision(), made, "round {round}: who only looks");
            assert_eq!(options().open(&file).unwrap().snapshot().unwrap().revision(), made, "round {round}: who opens");
        }
        let ack = options().open(&file).unwrap().append(Op::increment("n", 1)).unwrap();
        assert_eq!((ack.revision, &*ack.results), (made + 1, &[Some((made + 1).into())][..]), "round {round}");
        assert!(cfgwal::verify(&file).unwrap().unwrap().is_clean(), "round {round}");
    }
}

#[test]
fn a_copy_made_beside_a_writer_has_every_edit_from_before_it_or_is_called_damaged() {
    let home = dir("copied_beside");
    let file = home.join("settings.json");
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let journal = Journal::open(&file).unwrap();
            for n in 1.. {
                journal.append(Op::set("n", n)).unwrap();
                acknowledged.store(n, SeqCst);
                if n % 97 == 0 {
                    journal.compact().unwrap();
                }
                if stop.load(SeqCst) {
                    return;
                }
            }
        });
        let looked = std::panic::catch_unwind(|| look_at_copies(&home, &acknowledged));
        stop.store(true, SeqCst);
        assert!(looked.unwrap() > 0, "no copy could be opened");
    });
}

/// How many copies could be opened.
fn look_at_copies(home: &Path, acknowledged: &AtomicU64) -> usize {
    let mut fine = 0;
    while acknowledged.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        let before = acknowledged.load(SeqCst);
        let copy = copy_of_journal(home);
        let after = acknowledged.load(SeqCst) + 1;
        let options = || Journal::options().materialise(Materialise::Manual);
        let (journal, shown) = match options().open(&copy) {
            Ok(journal) => {
                let shown = journal.get::<u64>("n").unwrap().unwrap();
                (journal, shown)
            }
            Err(Error::Damaged(_)) => continue,
            // A compaction took a file away while it was copied.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("{error}"),
        };
        assert!((before..=after).contains(&shown), "{shown} of {before} to {after}");
        journal.append(Op::set("own", 1)).unwrap();
        drop(journal);
        // As after a reboot.
        let page = copy.with_file_name("settings.json.cfgwal").join("watermark");
        let mut bytes = std::fs::read(&page).unwrap();
        bytes[8] ^= 1;
        std::fs::write(&page, bytes).unwrap();
        let again = options().open(&copy).unwrap();
        // What was being written when it was copied may be there or not.
        let (n, own) = (again.get::<u64>("n").unwrap().unwrap(), again.get::<u64>("own").unwrap());
        assert!((shown..=after).contains(&n) && own == Some(1), "{n} after {shown}, {own:?}");
        fine += 1;
    }
    fine
}

#[test]
fn of_what_was_set_aside_only_what_was_torn_long_ago_goes() {
    let file = dir("set-aside").join("settings.json");
    let journal = Journal::open(&file).unwrap();
    journal.append(Op::set("a", 1)).unwrap();
    let quarantine = file.with_file_name("settings.json.cfgwal").join("quarantine");
    std::fs::create_dir(&quarantine).unwrap();
    let days = |days: u64| std::time::SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    let set_aside = |name: &str, age| {
        let file = std::fs::File::create(quarantine.join(name)).unwrap();
        file.set_modified(days(age)).unwrap();
    };
    set_aside("torn-wal-0000000000000001-2f8", 31);
    let kept = ["torn-wal-0000000000000002-2f8", "torn-wal-0000000000000001-", "torn-mine", "save-0", "lost-0-wal-1"];
    for (name, age) in kept.iter().zip([29, 400, 400, 400, 400]) {
        set_aside(name, age);
    }
    std::os::unix::fs::symlink(&file, quarantine.join("torn-wal-0000000000000003-2f8")).unwrap();
    journal.compact().unwrap();
    let mut left: Vec<String> = std::fs::read_dir(&quarantine)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let mut expected = [&kept[..], &["torn-wal-0000000000000003-2f8"]].concat();
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn a_log_that_outgrows_its_snapshot_is_compacted_though_the_file_may_wait() {
    let file = dir("outgrown").join("settings.json");
    std::fs::write(&file, "{}\n").unwrap();
    let options = Journal::options().materialise(Materialise::After(Duration::from_secs(3600)));
    let journal = options.open(&file).unwrap();
    for n in 0..12_u8 {
        journal.append(Op::set("value", char::from(b'a' + n).to_string().repeat(100_000))).unwrap();
    }
    let began = Instant::now();
    let newest = || {
        let names = std::fs::read_dir(file.with_file_name("settings.json.cfgwal")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| u64::from_str_radix(name.strip_prefix("snapshot-")?, 16).ok()).max()
    };
    while newest() == Some(0) {
        assert!(began.elapsed() < Duration::from_secs(20), "1.2 MB in the log, and nobody compacts it");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(newest() > Some(10), "compacted before it was due: {:?}", newest());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}\n");
}

/// Copied file by file, in the order in which they are listed; the config file in the copy.
fn copy_of_journal(home: &Path) -> PathBuf {
    let (from, copy) = (home.join("settings.json.cfgwal"), home.join("copy"));
    let _ = std::fs::remove_dir_all(&copy);
    let to = copy.join("settings.json.cfgwal");
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // What goes meanwhile is not copied.
        let _ = std::fs::copy(entry.path(), to.join(entry.file_name()));
    }
    copy.join("settings.json")
}
