//! The wrapper in front of the operating system; the simulated disk tests the plans themselves.

use std::sync::atomic::Ordering::SeqCst;

use super::super::{PAGE_LEN, write_full};
use super::*;

type Tested = Result<(), Box<dyn Error>>;

fn over_the_real_one() -> io::Result<(tempfile::TempDir, Faulty)> {
    Ok((tempfile::tempdir()?, Faulty::new(Seat::os())))
}

#[test]
fn what_is_planned_happens_over_real_files() -> Tested {
    let (dir, storage) = over_the_real_one()?;
    let path = dir.path().join("a");
    let file = storage.open(&path, Open::Create(0o600))?;
    storage.set_plan(FaultPlan::new().short_write(1, 2, Times::Once).fail(4, libc::EIO, Times::Once));
    assert_eq!(file.write_at(b"hello", 0)?, 2);
    write_full(&*file, b"hello", 0)?;
    file.stat()?;
    let error = file.sync().err().and_then(|error| error.raw_os_error());
    assert_eq!(error, Some(libc::EIO));
    file.sync()?;
    assert_eq!(storage.calls(), 5);
    assert_eq!(std::fs::read(&path)?, b"hello");
    Ok(())
}

#[test]
fn a_killed_one_does_nothing_more_and_its_locks_end_with_its_files() -> Tested {
    let (dir, storage) = over_the_real_one()?;
    let path = dir.path().join("a");
    let file = storage.open(&path, Open::Create(0o600))?;
    assert!(file.try_lock(Lock::Exclusive)?);
    storage.set_plan(FaultPlan::new().kill_in_write(1, 3));
    assert!(is_killed(&file.write_at(b"hello", 0).err().ok_or("it was not killed")?));
    assert!(storage.is_dead());
    assert!(is_killed(&file.write_at(b"hello", 0).err().ok_or("a dead process's call succeeded")?));
    assert!(is_killed(&storage.remove(&path).err().ok_or("a dead process's call succeeded")?));
    assert_eq!(std::fs::read(&path)?, b"hel");
    let other = Seat::os().0.open(&path, Open::Write)?;
    assert!(!other.try_lock(Lock::Exclusive)?);
    drop(file);
    assert!(other.try_lock(Lock::Exclusive)?);
    Ok(())
}

#[test]
fn its_calls_reach_what_is_below() -> Tested {
    let (dir, storage) = over_the_real_one()?;
    let below = Seat::os().0;
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let file = storage.open(dir.path(), Open::Nameless)?;
    file.set_len(PAGE_LEN as u64)?;
    file.set_mode(0o640)?;
    file.link(&one)?;
    let page = file.map()?;
    page.words()[0].store(7, SeqCst);
    page.wait(0, 0, Duration::from_secs(60));
    page.wake(0, 1);
    let mut bytes = [0; 8];
    file.read_at(&mut bytes, 0)?;
    assert_eq!(u64::from_ne_bytes(bytes), 7);
    storage.rename(&one, &two, Rename::Keep)?;
    assert!(storage.stat(&two)?.same_file(&file.stat()?));
    assert_eq!(below.stat(&two)?.mode, 0o640);
    assert_eq!(storage.list(dir.path())?, ["two"]);
    storage.create_dir(&one)?;
    storage.open(dir.path(), Open::Directory)?.sync()?;
    storage.remove(&two)?;
    assert!(storage.read_link(&two).is_err());
    file.take_metadata(&*storage.open(&dir.path().join("like"), Open::Create(0o600))?)?;
    assert_eq!(file.stat()?.mode, 0o600);
    assert_eq!(file.attributes()?.len(), 0);
    assert!(file.try_lock(Lock::Shared)?);
    file.unlock()?;
    assert_eq!(storage.boot_id()?, below.boot_id()?);
    assert_ne!(storage.random()?, storage.random()?);
    assert_eq!(storage.foreign(dir.path())?, below.foreign(dir.path())?);
    assert_eq!(storage.pid(), below.pid());
    assert_eq!(storage.default_mode(), below.default_mode());
    assert!(storage.alive(storage.pid()));
    assert!(storage.uptime() <= below.uptime());
    assert!(storage.clock_micros() <= below.clock_micros());
    storage.sleep(Duration::ZERO);
    Ok(())
}

#[test]
fn the_first_fault_that_fits_decides() {
    let mut plan = FaultPlan::new().fail(1, libc::EIO, Times::Forever).fail(1, libc::ENOSPC, Times::Forever);
    assert_eq!(plan.verdict(1, Call::Read), Verdict::Fail { errno: libc::EIO });
    let mut plan = FaultPlan::new().fail(1, libc::EIO, Times::Once).kill_at(1);
    assert_eq!(plan.verdict(1, Call::Read), Verdict::Die { done: 0 });
    assert!(Call::Sync.changes() && !Call::Read.changes());
}
