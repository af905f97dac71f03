//! A process that may not have what it needs: no larger file, no more open files, no more memory, no more inodes. It
//! fails with a word, and harms nothing.

use std::fs;
use std::future::Future;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Poll, Wake, Waker};

use cfgwal::{Journal, Op, Path, View};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::support::Store;
use crate::support::sandbox::{Mount, skipped};

/// Runs a command under a limit.
fn limited(store: &Store, resource: Resource, limit: u64, args: &[&str]) -> Output {
    let mut command = store.command(args);
    let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
    // SAFETY: setrlimit(2) is safe between fork and exec.
    unsafe { command.pre_exec(move || setrlimit(resource, limit).map_err(Into::into)) };
    command.output().unwrap()
}

/// `n` as anybody would read it, and that everything goes on without the limit.
fn goes_on(store: &Store, possible: &[u64], at: &str) {
    let view = View::open(store.file()).unwrap_or_else(|error| panic!("{at}, then {error}"));
    assert_eq!(view.damage(), None, "{at}");
    let n: u64 = view.state().root().get(&"n".parse::<Path>().unwrap()).unwrap().to().unwrap();
    assert!(possible.contains(&n), "{at}, then {n}");
    let journal = Journal::open(store.file()).unwrap_or_else(|error| panic!("{at}, then {error}"));
    let ack = journal.append(Op::increment("n", 1)).unwrap_or_else(|error| panic!("{at}, then {error}"));
    assert_eq!(ack.results[0], Some((n + 1).into()), "{at}");
    drop(journal);
    store.assert_sound(at);
}

/// Each scene under each limit. `dies`: a process may end by a signal of its own, as one without memory does.
fn under_limits(resource: Resource, limits: &[u64], dies: bool) {
    let fresh = Store::with("{\"n\": 1}\n");
    let edited = Store::with("{\"n\": 0}\n");
    edited.ok(&["increment", "n"]);
    let by_hand = edited.copy();
    by_hand.write("{\"n\": 1, \"saved\": true}\n");
    let large = format!("{{\"large\":\"{}\"}}", "x".repeat(90_000));
    let scenes: [(&Store, &[&str], u64); 6] = [
        (&fresh, &["increment", "n"], 1),
        (&edited, &["increment", "n"], 1),
        (&edited, &["merge", &large], 0),
        (&edited, &["compact"], 0),
        (&edited, &["recover"], 0),
        (&by_hand, &["increment", "n"], 1),
    ];
    let (mut cases, mut failed) = (0, 0);
    for (prepared, args, adds) in scenes {
        for limit in limits {
            let store = prepared.copy();
            let output = limited(&store, resource, *limit, args);
            let err = String::from_utf8_lossy(&output.stderr);
            let at = format!("{resource:?} {limit}, {:.20?}: {:?} {err:.400}", args[0], output.status);
            let possible = match output.status.code() {
                Some(0 | 9) => vec![1 + adds],
                Some(7) if err.contains("outcome of the edit is unknown") => vec![1, 1 + adds],
                Some(7) => vec![1],
                // The loader found no memory or no descriptor, before there was a program.
                Some(127) => vec![1],
                code => {
                    assert!(dies, "{at}");
                    assert!(code.is_none() || code == Some(101), "{at}");
                    vec![1, 1 + adds]
                }
            };
            goes_on(&store, &possible, &at);
            cases += 1;
            failed += u32::from(!output.status.success());
        }
    }
    println!("{resource:?}: {cases} cases, {failed} of them failed");
    assert!(failed > 0 && failed < cases, "the limits limit nothing, or everything");
}

#[test]
fn a_process_that_may_write_no_larger_file_is_not_killed_and_harms_nothing() {
    under_limits(
        Resource::Fsize,
        &[0, 1, 9, 30, 100, 512, 4095, 4096, 8192, 65_536, 69_631, 69_632, 69_633, 70_000, 100_000, 140_000, 1 << 20],
        false,
    );
}

#[test]
fn a_process_that_may_open_no_more_files_says_so_and_harms_nothing() {
    under_limits(Resource::Nofile, &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 64], false);
}

#[test]
fn a_process_without_memory_harms_nothing() {
    let limits: Vec<u64> = (0..16).map(|step| (3 << 20) + step * (1 << 19)).chain([24 << 20, 1 << 30]).collect();
    under_limits(Resource::As, &limits, true);
}

#[test]
fn a_disk_of_64_kilobytes_or_a_few_inodes_takes_all_or_nothing() {
    let name = "a_disk_of_64_kilobytes_or_a_few_inodes_takes_all_or_nothing";
    let mut made = 0;
    let sizes = ["64k", "128k", "160k"].map(str::to_owned);
    let inodes = (2..=14).map(|inodes| format!("4m,nr_inodes={inodes}"));
    for options in sizes.into_iter().chain(inodes) {
        let mount = match Mount::tmpfs(&options) {
            Ok(mount) => mount,
            Err(why) => return skipped(name, &why),
        };
        let store = mount.store();
        if fs::write(store.file(), "{\"n\": 1}\n").is_err() {
            continue;
        }
        let mut n = 1;
        for args in [&["increment", "n"][..], &["compact"], &["increment", "n"], &["compact"], &["increment", "n"]] {
            let ran = store.run(args);
            let at = format!("tmpfs of {options}, {args:?}: {ran:?}");
            match ran.code {
                0 | 9 => n += u64::from(args[0] == "increment"),
                7 => assert!(ran.err.contains("No space left on device"), "{at}"),
                _ => panic!("{at}"),
            }
            assert_eq!(store.ok(&["get", "n"]), format!("{n}\n"), "{at}");
            assert!([0, 5].contains(&store.run(&["recover", "--dry-run"]).code), "{at}");
            serde_json::from_str::<serde_json::Value>(&store.text()).unwrap_or_else(|error| panic!("{at}: {error}"));
        }
        made += u32::from(n > 1);
    }
    println!("edits were made on {made} of 16 disks");
    assert!((1..16).contains(&made), "{made}: all too small, or none");
}

/// A program for the test below: this binary again, whose threads would need more memory than any machine has.
#[test]
#[ignore = "a part of the test below"]
fn a_program_that_can_start_no_thread() {
    let Some(file) = std::env::var_os("CFGWAL_TEST_THREADLESS") else { return };
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "a thread can be started");
    let journal = Journal::open(file).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut context = std::task::Context::from_waker(&waker);
    let mut pending = std::pin::pin!(journal.submit(Op::increment("n", 1)).unwrap());
    let ack = match pending.as_mut().poll(&mut context) {
        Poll::Ready(ack) => ack,
        Poll::Pending => {
            assert!(woken.0.load(Relaxed), "nobody sees to the edit, and nobody wakes whoever waits for it");
            let Poll::Ready(ack) = pending.poll(&mut context) else { panic!("woken for nothing") };
            ack
        }
    };
    println!("revision {}", ack.unwrap().revision);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

#[test]
fn a_process_that_can_start_no_thread_has_its_edits_made_all_the_same() {
    let store = Store::with("{\"n\": 1}\n");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "limits::a_program_that_can_start_no_thread", "--ignored", "--nocapture"]);
    command.env("CFGWAL_TEST_THREADLESS", store.file()).env("RUST_MIN_STACK", (1_u64 << 60).to_string());
    let output = command.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("revision 1\n"), "{output:?}");
    assert_eq!(store.text(), "{\"n\": 2}\n");
}
