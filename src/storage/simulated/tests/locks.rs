//! Locks and leases belong to an open file and end with it.

use std::time::Duration;

use super::*;

fn read(process: &Process, path: &str) -> io::Result<Box<dyn File>> {
    process.open(Path::new(path), Open::Read)
}

#[test]
fn a_lock_belongs_to_the_open_file_not_to_the_process() -> Tested {
    let (_, process) = machine();
    let one = create(&process, "/a")?;
    let two = open(&process, "/a")?;
    assert!(one.try_lock(Lock::Exclusive)?);
    assert!(!two.try_lock(Lock::Exclusive)?);
    assert!(!two.try_lock(Lock::Shared)?);
    assert!(one.try_lock(Lock::Exclusive)?, "again, by its holder");
    one.unlock()?;
    assert!(two.try_lock(Lock::Exclusive)?);
    drop(two);
    assert!(one.try_lock(Lock::Exclusive)?);
    Ok(())
}

#[test]
fn shared_locks_are_shared_and_a_failed_upgrade_loses_what_was_held() -> Tested {
    let (_, process) = machine();
    let one = create(&process, "/a")?;
    let two = read(&process, "/a")?;
    assert!(one.try_lock(Lock::Shared)?);
    assert!(two.try_lock(Lock::Shared)?);
    assert!(!one.try_lock(Lock::Exclusive)?);
    // As flock(2) warns: the shared lock of `one` is gone now.
    assert!(two.try_lock(Lock::Exclusive)?);
    Ok(())
}

#[test]
fn directories_can_be_locked() -> Tested {
    let (disk, process) = machine();
    let other = disk.process();
    let one = process.open(Path::new("/"), Open::Directory)?;
    let two = other.open(Path::new("/"), Open::Directory)?;
    assert!(one.try_lock(Lock::Exclusive)?);
    assert!(!two.try_lock(Lock::Exclusive)?);
    Ok(())
}

#[test]
fn the_locks_of_a_killed_process_are_free_at_once() -> Tested {
    let (disk, process) = machine();
    let one = create(&process, "/a")?;
    assert!(one.try_lock(Lock::Exclusive)?);
    let other = disk.process();
    let two = open(&other, "/a")?;
    process.kill();
    assert!(two.try_lock(Lock::Exclusive)?);
    drop(one);
    assert!(!open(&disk.process(), "/a")?.try_lock(Lock::Exclusive)?, "a dead one's handle frees nothing of others");
    Ok(())
}

#[test]
fn a_lock_on_a_file_that_lost_its_name_keeps_nobody_from_the_new_one() -> Tested {
    let (_, process) = machine();
    let one = create(&process, "/a")?;
    assert!(one.try_lock(Lock::Exclusive)?);
    process.remove(Path::new("/a"))?;
    assert!(create(&process, "/a")?.try_lock(Lock::Exclusive)?);
    Ok(())
}

#[test]
fn a_read_lease_proves_that_nobody_can_write() -> Tested {
    let (disk, process) = machine();
    let editor = disk.process();
    durable(&process, "/a", b"x")?;
    let file = read(&process, "/a")?;
    let writing = editor.hold("/a", true)?;
    assert!(!file.try_lease(Lease::Read)?);
    drop(writing);
    assert!(file.try_lease(Lease::Read)?);
    editor.read_file("/a")?;
    assert!(file.end_lease(Lease::Read)?, "reading does not disturb it");
    assert!(!open(&process, "/a")?.try_lease(Lease::Read)?, "one's own descriptor counts");
    Ok(())
}

#[test]
fn an_editor_that_opens_for_writing_breaks_a_read_lease() -> Tested {
    let (disk, process) = machine();
    let editor = disk.process();
    durable(&process, "/a", b"x")?;
    let file = read(&process, "/a")?;
    assert!(file.try_lease(Lease::Read)?);
    assert_eq!(editor.write_file("/a", "y").err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    assert!(!file.end_lease(Lease::Read)?);
    editor.write_file("/a", "y")?;
    Ok(())
}

#[test]
fn a_write_lease_keeps_everybody_else_from_opening_the_file() -> Tested {
    let (disk, process) = machine();
    let other = disk.process();
    durable(&process, "/a", b"x")?;
    let reading = other.hold("/a", false)?;
    let file = open(&process, "/a")?;
    assert!(!file.try_lease(Lease::Write)?, "someone reads");
    drop(reading);
    assert!(file.try_lease(Lease::Write)?);
    assert_eq!(other.read_file("/a").err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    assert!(!file.end_lease(Lease::Write)?, "someone waits");
    assert_eq!(other.read_file("/a")?, b"x");
    Ok(())
}

#[test]
fn a_lease_that_is_not_given_back_ends_after_a_while() -> Tested {
    let (disk, process) = machine();
    let editor = disk.process();
    durable(&process, "/a", b"x")?;
    let file = read(&process, "/a")?;
    assert!(file.try_lease(Lease::Read)?);
    assert!(editor.hold("/a", true).is_err());
    disk.advance(Duration::from_secs(44));
    assert!(editor.hold("/a", true).is_err());
    disk.advance(Duration::from_secs(1));
    assert!(editor.hold("/a", true).is_ok());
    assert!(!file.end_lease(Lease::Read)?);
    Ok(())
}

#[test]
fn a_lease_ends_with_its_file_and_with_its_process() -> Tested {
    let (disk, process) = machine();
    let editor = disk.process();
    durable(&process, "/a", b"x")?;
    let file = read(&process, "/a")?;
    assert!(file.try_lease(Lease::Read)?);
    drop(file);
    editor.write_file("/a", "y")?;
    let file = read(&process, "/a")?;
    assert!(file.try_lease(Lease::Read)?);
    process.kill();
    editor.write_file("/a", "z")?;
    Ok(())
}

#[test]
fn leases_are_refused_where_there_are_none_and_to_strangers() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"x")?;
    disk.set_owner("/a", 0o666, 5, 5)?;
    let stranger = disk.process_of(6, 6);
    assert_eq!(kind(read(&stranger, "/a")?.try_lease(Lease::Read)), Some(libc::EACCES));
    disk.set_rules(|rules| rules.leases = false);
    assert_eq!(kind(file.try_lease(Lease::Read)), Some(libc::EINVAL));
    Ok(())
}
