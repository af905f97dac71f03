//! Calls that fail, fall short, or are the last.

use std::sync::{Arc, Mutex};

use super::*;
use crate::storage::faulty::Call;

/// Some work that makes every kind of change once.
fn work(process: &Process) -> io::Result<()> {
    process.create_dir(Path::new("/d"))?;
    let file = create(process, "/d/a")?;
    write_full(&*file, b"hello", 0)?;
    file.sync()?;
    rename(process, "/d/a", "/b", Rename::Keep)?;
    sync_dir(process, "/")?;
    process.remove(Path::new("/d"))
}

#[test]
fn a_kill_at_each_call_leaves_the_work_done_up_to_it() -> Tested {
    let (_, process) = machine();
    work(&process)?;
    let calls = process.calls();
    assert_eq!(calls, 8);
    let mut seen = BTreeSet::new();
    for call in 1..=calls {
        let (disk, process) = machine();
        process.set_plan(FaultPlan::new().kill_at(call));
        let error = work(&process).err().ok_or("it was not killed")?;
        assert!(is_killed(&error) && process.is_dead());
        assert!(is_killed(&process.names("/").err().ok_or("a dead process's call succeeded")?));
        assert_eq!(process.calls(), call, "what a dead process calls does not count");
        seen.insert(format!("{:?}{:?}", disk.process().names("/")?, disk.image().paths()));
        assert!(!disk.process().alive(process.pid()));
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    Ok(())
}

#[test]
fn a_kill_keeps_the_page_cache() -> Tested {
    let (disk, process) = machine();
    let file = create(&process, "/a")?;
    write_full(&*file, b"never synced", 0)?;
    process.kill();
    assert_eq!(disk.process().read_file("/a")?, b"never synced");
    Ok(())
}

#[test]
fn a_kill_in_the_middle_of_a_write_leaves_its_first_bytes() -> Tested {
    for done in 0..7 {
        let (disk, process) = machine();
        let file = create(&process, "/a")?;
        process.set_plan(FaultPlan::new().kill_in_write(1, done));
        assert!(is_killed(&file.write_at(b"hello", 0).err().ok_or("it was not killed")?));
        assert_eq!(disk.read("/a")?, b"hello"[..done.min(5)]);
    }
    Ok(())
}

#[test]
fn faults_strike_once_or_for_ever_and_only_where_they_should() -> Tested {
    let (_, process) = machine();
    let file = create(&process, "/a")?;
    process.set_plan(FaultPlan::new().fail(2, libc::EIO, Times::Once));
    file.stat()?;
    assert_eq!(kind(file.stat()), Some(libc::EIO));
    file.stat()?;
    process.set_plan(FaultPlan::new().fail(2, libc::ESTALE, Times::Forever));
    file.stat()?;
    assert_eq!(kind(file.stat()), Some(libc::ESTALE));
    assert_eq!(kind(file.write_at(b"x", 0)), Some(libc::ESTALE));
    process.set_plan(FaultPlan::new().fail_only(Call::GROWING, 2, libc::ENOSPC, Times::Forever));
    file.stat()?;
    file.write_at(b"x", 0)?;
    assert_eq!(kind(file.write_at(b"x", 0)), Some(libc::ENOSPC), "the second that grows, the third in all");
    file.read_at(&mut [0], 0)?;
    assert_eq!(kind(file.sync()), Some(libc::ENOSPC));
    assert_eq!(file.stat()?.len, 1);
    Ok(())
}

#[test]
fn every_call_can_fail() -> Tested {
    let (_, process) = machine();
    let file = durable(&process, "/a", &[0; 4096])?;
    let dir = process.open(Path::new("/"), Open::Directory)?;
    let root = Path::new("/");
    let calls: Vec<Box<dyn Fn() -> Option<i32> + '_>> = vec![
        Box::new(|| kind(process.open(root, Open::Directory))),
        Box::new(|| kind(process.create_dir(root))),
        Box::new(|| kind(process.list(root))),
        Box::new(|| kind(Storage::stat(&process, root))),
        Box::new(|| kind(process.read_link(root))),
        Box::new(|| kind(process.rename(root, root, Rename::Keep))),
        Box::new(|| kind(process.remove(root))),
        Box::new(|| kind(process.foreign(root))),
        Box::new(|| kind(process.boot_id())),
        Box::new(|| kind(process.random())),
        Box::new(|| kind(file.read_at(&mut [], 0))),
        Box::new(|| kind(file.write_at(&[], 0))),
        Box::new(|| kind(file.set_len(0))),
        Box::new(|| kind(file.sync())),
        Box::new(|| kind(dir.sync())),
        Box::new(|| kind(file.stat())),
        Box::new(|| kind(file.try_lock(Lock::Shared))),
        Box::new(|| kind(file.unlock())),
        Box::new(|| kind(file.try_lease(Lease::Read))),
        Box::new(|| kind(file.end_lease(Lease::Read))),
        Box::new(|| kind(file.link(root))),
        Box::new(|| kind(file.take_metadata(&*file))),
        Box::new(|| kind(file.set_mode(0))),
        Box::new(|| kind(file.attributes())),
        Box::new(|| kind(file.set_attribute("user.x".as_ref(), b""))),
        Box::new(|| kind(file.map())),
    ];
    process.record();
    process.set_plan(FaultPlan::new().fail(1, libc::EDQUOT, Times::Forever));
    for (at, call) in calls.iter().enumerate() {
        assert_eq!(call(), Some(libc::EDQUOT), "call {at}");
    }
    assert_eq!(process.calls(), calls.len() as u64);
    let named: BTreeSet<String> =
        process.trace().iter().filter_map(|line| line.split(' ').nth(1)).map(Into::into).collect();
    assert_eq!(named.len(), calls.len(), "each call has a name of its own");
    assert!(process.trace()[0].starts_with("1 Open / "), "{:?}", process.trace());
    Ok(())
}

#[test]
fn writes_fall_short_or_take_nothing() -> Tested {
    let (_, process) = machine();
    let file = create(&process, "/a")?;
    process.set_plan(FaultPlan::new().short_write(1, 2, Times::Once));
    assert_eq!(file.write_at(b"hello", 0)?, 2);
    assert_eq!(file.stat()?.len, 2);
    process.set_plan(FaultPlan::new().short_write(1, 2, Times::Forever));
    write_full(&*file, b"hello", 0)?;
    assert_eq!(read_all(&*file)?, b"hello");
    process.set_plan(FaultPlan::new().short_write(2, 0, Times::Once));
    file.write_at(b"h", 0)?;
    let error = write_full(&*file, b"hello", 0).err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::WriteZero));
    Ok(())
}

#[test]
fn an_observer_sees_every_call_before_it_happens() -> Tested {
    let (disk, process) = machine();
    let list = Arc::new(Mutex::new(Vec::new()));
    let (seen, looked_at) = (list.clone(), disk.clone());
    process.observe(move |call| {
        let states = looked_at.crash_images(&Limits::default()).count();
        if let Ok(mut list) = seen.lock() {
            list.push((call.number, call.call, call.path.to_path_buf(), states));
        }
    });
    work(&process)?;
    let list = list.lock().map_err(|_| "poisoned")?.clone();
    let calls: Vec<Call> = list.iter().map(|(_, call, ..)| *call).collect();
    use Call::{CreateDir, Open, Remove, Rename, Sync, SyncDir, Write};
    assert_eq!(calls, [CreateDir, Open, Write, Sync, Rename, Open, SyncDir, Remove]);
    assert_eq!(list.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(list[3].2, Path::new("/d/a"));
    let states: Vec<usize> = list.iter().map(|(.., states)| *states).collect();
    assert_eq!(states[0], 1);
    assert!(states[3] > states[2], "a write is pending: {states:?}");
    assert_eq!(states[7], 1, "all is durable again: {states:?}");
    assert!(disk.generation() > 0);
    Ok(())
}

#[test]
fn an_observer_may_let_another_process_act_or_kill_this_one() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"mine")?;
    create(&process, "/b")?;
    let editor = disk.process();
    process.observe(move |call| {
        if call.call == Call::Rename {
            assert!(editor.write_file("/a", "theirs").is_ok());
        }
    });
    rename(&process, "/a", "/b", Rename::Exchange)?;
    assert_eq!(disk.read("/b")?, b"theirs");
    let own = process.clone();
    process.observe(move |call| {
        if call.call == Call::Remove {
            own.kill();
        }
    });
    assert!(is_killed(&process.remove(Path::new("/a")).err().ok_or("it was not killed")?));
    assert_eq!(disk.process().names("/")?, ["a", "b"]);
    Ok(())
}

#[test]
fn a_kill_is_told_from_other_errors_through_layers_of_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);
    assert!(is_killed(&Outer(crate::storage::faulty::killed())));
    assert!(!is_killed(&Outer(io::Error::from_raw_os_error(libc::EIO))));
}

#[test]
fn processes_come_and_go_and_numbers_come_again() -> Tested {
    let (disk, one) = machine();
    let two = disk.process();
    assert_ne!(one.pid(), two.pid());
    assert!(one.alive(two.pid()));
    let file = create(&two, "/a")?;
    let number = two.pid();
    drop(two);
    assert!(one.alive(number), "its file is still open");
    drop(file);
    assert!(!one.alive(number));
    let again = disk.process_numbered(number);
    assert_eq!(again.pid(), number);
    assert!(one.alive(number));
    let before = one.pid();
    one.become_child();
    assert_ne!(one.pid(), before);
    assert!(again.alive(one.pid()));
    Ok(())
}

#[test]
fn power_off_ends_them_all() -> Tested {
    let (disk, process) = machine();
    let file = create(&process, "/a")?;
    disk.power_off();
    assert!(process.is_dead());
    assert!(is_killed(&file.write_at(b"x", 0).err().ok_or("it was not killed")?));
    Ok(())
}

#[test]
fn threads_may_share_a_disk_and_a_process() -> Tested {
    let (disk, process) = machine();
    let file: Arc<dyn File> = create(&process, "/a")?.into();
    std::thread::scope(|scope| {
        for n in 0..4_u8 {
            let (file, disk) = (file.clone(), disk.clone());
            scope.spawn(move || {
                for at in 0..200 {
                    assert!(write_full(&*file, &[n + 1], at * 4 + u64::from(n)).is_ok());
                    assert!(disk.process().metadata("/a").is_some());
                    assert!(disk.crash_images(&Limits::default()).next().is_some());
                    assert!(at % 50 > 0 || file.sync().is_ok());
                }
            });
        }
    });
    assert_eq!(disk.read("/a")?, [1, 2, 3, 4].repeat(200));
    Ok(())
}
