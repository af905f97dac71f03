//! The page that processes share, and the waiting on it.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::super::Time;
use super::*;
use crate::storage::{PAGE_LEN, Page};

fn mapped(process: &Process, path: &str) -> io::Result<std::sync::Arc<dyn Page>> {
    open(process, path)?.map()
}

/// A page of zeros, durable.
fn page(process: &Process) -> io::Result<std::sync::Arc<dyn Page>> {
    durable(process, "/page", &[0; PAGE_LEN])?.map()
}

#[test]
fn all_processes_share_one_page_which_is_the_file() -> Tested {
    let (disk, process) = machine();
    let one = page(&process)?;
    let two = mapped(&disk.process(), "/page")?;
    one.words()[3].store(7, SeqCst);
    assert_eq!(two.words()[3].load(SeqCst), 7);
    assert_eq!(disk.read("/page")?[24..32], 7_u64.to_ne_bytes());
    open(&process, "/page")?.write_at(&9_u64.to_ne_bytes(), 4)?;
    let (second, third) = (two.words()[0].load(SeqCst), two.words()[1].load(SeqCst));
    let mut bytes = [second.to_ne_bytes(), third.to_ne_bytes()].concat();
    bytes.drain(..4);
    assert_eq!(bytes[..8], 9_u64.to_ne_bytes());
    Ok(())
}

#[test]
fn what_is_too_short_or_open_for_reading_cannot_be_mapped() -> Tested {
    let (_, process) = machine();
    let short = durable(&process, "/a", &[0; PAGE_LEN - 1])?;
    assert_eq!(short.map().err().map(|error| error.kind()), Some(io::ErrorKind::UnexpectedEof));
    page(&process)?;
    assert_eq!(kind(process.open(Path::new("/page"), Open::Read)?.map()), Some(libc::EACCES));
    Ok(())
}

#[test]
fn a_crash_leaves_of_a_page_what_it_likes() -> Tested {
    let (disk, process) = machine();
    let page = page(&process)?;
    page.words()[0].store(u64::MAX, SeqCst);
    let limits = Limits { each_page: true, ..Limits::default() };
    let first: BTreeSet<u8> = left(&disk, "/page", &limits).into_iter().flatten().map(|bytes| bytes[0]).collect();
    assert!(first.contains(&0) && first.contains(&255) && first.len() == 3, "old, new, garbage: {first:?}");
    assert_eq!(disk.crash_images(&Limits::default()).count(), 1, "taking turns, they multiply nothing");
    open(&process, "/page")?.sync()?;
    let first: BTreeSet<u8> = left(&disk, "/page", &limits).into_iter().flatten().map(|bytes| bytes[0]).collect();
    assert_eq!(first, BTreeSet::from([255]));
    Ok(())
}

#[test]
fn after_a_boot_the_page_is_mapped_anew() -> Tested {
    let (disk, process) = machine();
    let old = page(&process)?;
    old.words()[0].store(5, SeqCst);
    let disk = Disk::from_image(&disk.image());
    let new = mapped(&disk.process(), "/page")?;
    old.words()[0].store(6, SeqCst);
    assert_eq!(new.words()[0].load(SeqCst), 5);
    Ok(())
}

#[test]
fn waiting_sets_the_clock_forward_and_returns() -> Tested {
    let (_, process) = machine();
    let page = page(&process)?;
    let before = process.uptime();
    page.wait(0, 1, Duration::from_secs(5));
    assert_eq!(process.uptime(), before, "the word is another one");
    page.wait(0, 0, Duration::from_secs(5));
    assert_eq!(process.uptime(), before + Duration::from_secs(5));
    let clock = process.clock_micros();
    process.sleep(Duration::from_secs(1));
    assert_eq!(process.clock_micros(), clock + 1_000_000);
    page.wake(0, 1);
    Ok(())
}

#[test]
fn who_waits_lets_the_others_get_on() -> Tested {
    let (disk, process) = machine();
    let page = page(&process)?;
    let others = mapped(&disk.process(), "/page")?;
    process.on_wait(move || {
        others.words()[0].fetch_add(1, SeqCst);
    });
    page.wait(0, 0, Duration::from_secs(5));
    assert_eq!(page.words()[0].load(SeqCst), 1);
    process.sleep(Duration::from_secs(5));
    assert_eq!(page.words()[0].load(SeqCst), 2);
    Ok(())
}

#[test]
fn what_a_killed_process_stores_is_not_seen() -> Tested {
    let (disk, process) = machine();
    let page = page(&process)?;
    let seen = mapped(&disk.process(), "/page")?;
    page.words()[0].store(1, SeqCst);
    process.kill();
    assert_eq!(page.words()[0].load(SeqCst), 1, "it starts from what it knew");
    page.words()[0].store(2, SeqCst);
    assert_eq!(page.words()[0].load(SeqCst), 2);
    assert_eq!(seen.words()[0].load(SeqCst), 1);
    Ok(())
}

#[test]
fn a_process_can_be_killed_between_two_stores() -> Tested {
    let (disk, process) = machine();
    let page = page(&process)?;
    let seen = mapped(&disk.process(), "/page")?;
    process.set_plan(FaultPlan::new().kill_at_touch(2));
    page.words()[0].store(1, SeqCst);
    page.words()[1].store(1, SeqCst);
    page.words()[2].store(1, SeqCst);
    assert!(process.is_dead());
    let stored: Vec<u64> = seen.words().iter().take(3).map(|word| word.load(SeqCst)).collect();
    assert_eq!(stored, [1, 0, 0]);
    assert!(process.uptime() > Duration::ZERO);
    assert!(is_killed(&process.stat(Path::new("/page")).err().ok_or("a dead process's call succeeded")?));
    Ok(())
}

#[test]
fn threads_wake_one_another_on_the_wall_s_clock() -> Tested {
    let (disk, process) = machine();
    disk.set_rules(|rules| rules.time = Time::Real);
    let page = page(&process)?;
    let other = mapped(&disk.process(), "/page")?;
    let waiting = std::thread::spawn(move || {
        let start = std::time::Instant::now();
        while other.words()[0].load(SeqCst) == 0 {
            other.wait(0, 0, Duration::from_secs(60));
        }
        start.elapsed()
    });
    std::thread::sleep(Duration::from_millis(20));
    page.words()[0].store(1, SeqCst);
    page.wake(0, u32::MAX);
    let waited = waiting.join().map_err(|_| "the waiting thread panicked")?;
    assert!(waited < Duration::from_secs(30), "{waited:?}");
    page.wait(1, 0, Duration::from_millis(5));
    Ok(())
}

#[test]
fn no_more_are_woken_than_asked_for() -> Tested {
    let (disk, process) = machine();
    disk.set_rules(|rules| rules.time = Time::Real);
    let page = page(&process)?;
    let woken = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (page, woken) = (page.clone(), woken.clone());
            std::thread::spawn(move || {
                page.wait(0, 0, Duration::from_secs(60));
                woken.fetch_add(1, SeqCst)
            })
        })
        .collect();
    // However the threads are scheduled, two wakes for one can let two go, not three.
    std::thread::sleep(Duration::from_millis(50));
    page.wake(0, 1);
    page.wake(0, 1);
    std::thread::sleep(Duration::from_millis(50));
    assert!(woken.load(SeqCst) <= 2);
    while threads.iter().any(|thread| !thread.is_finished()) {
        page.wake(0, u32::MAX);
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
