//! What a crash leaves of names.

use super::*;

#[test]
fn syncing_a_file_does_nothing_for_its_name() -> Tested {
    let (disk, process) = machine();
    let file = create(&process, "/a")?;
    write_full(&*file, b"x", 0)?;
    file.sync()?;
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([None, Some("x".into())]));
    sync_dir(&process, "/")?;
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([Some("x".into())]));
    Ok(())
}

#[test]
fn any_subset_of_pending_names_may_be_kept() -> Tested {
    let (disk, process) = machine();
    for path in ["/a", "/b", "/c"] {
        create(&process, path)?;
    }
    let all = set(&["", "a", "b", "c", "a b", "a c", "b c", "a b c"]);
    assert_eq!(names_left(&disk, Order::Any), all);
    assert_eq!(names_left(&disk, Order::Prefix), set(&["", "a", "a b", "a b c"]));
    Ok(())
}

#[test]
fn a_rename_is_there_or_not() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"old")?;
    durable(&process, "/b", b"new")?;
    rename(&process, "/b", "/a", Rename::Replace)?;
    assert_eq!(names_left(&disk, Order::Any), set(&["a b", "a"]));
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([Some("old".into()), Some("new".into())]));
    assert_eq!(texts(&disk, "/b"), BTreeSet::from([Some("new".into()), None]));
    Ok(())
}

#[test]
fn a_rename_may_overtake_the_bytes_of_its_file() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"old")?;
    process.replace_file("/a", "new", false)?;
    sync_dir(&process, "/")?;
    assert!(left(&disk, "/a", &Limits::default()).contains(&Some(Vec::new())), "the classic empty file");
    disk.settle();
    process.replace_file("/a", "newer", true)?;
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([Some("new".into()), Some("newer".into())]));
    Ok(())
}

#[test]
fn an_exchange_is_there_or_not() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"A")?;
    durable(&process, "/b", b"B")?;
    rename(&process, "/a", "/b", Rename::Exchange)?;
    let pairs: BTreeSet<_> =
        disk.crash_images(&Limits::default()).map(|image| (image.read("/a"), image.read("/b"))).collect();
    let both = |a: &[u8], b: &[u8]| (Some(a.to_vec()), Some(b.to_vec()));
    assert_eq!(pairs, BTreeSet::from([both(b"A", b"B"), both(b"B", b"A")]));
    Ok(())
}

#[test]
fn a_name_may_be_gone_although_what_made_it_superfluous_is_not_there() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/old", b"")?;
    create(&process, "/new")?;
    process.remove(Path::new("/old"))?;
    assert!(names_left(&disk, Order::Any).contains(""), "neither is there");
    assert!(!names_left(&disk, Order::Prefix).contains(""));
    sync_dir(&process, "/")?;
    assert_eq!(names_left(&disk, Order::Any), set(&["new"]));
    Ok(())
}

#[test]
fn a_rename_needs_its_file_to_be_there() -> Tested {
    let (disk, process) = machine();
    create(&process, "/a")?;
    rename(&process, "/a", "/b", Rename::Replace)?;
    rename(&process, "/b", "/c", Rename::Replace)?;
    // Never under two names, never under a name that a lost step would have led to.
    assert_eq!(names_left(&disk, Order::Any), set(&["", "a", "b", "c"]));
    Ok(())
}

#[test]
fn an_exchange_that_was_lost_leaves_the_new_text_to_be_removed() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/f", b"old")?;
    durable(&process, "/t", b"new")?;
    rename(&process, "/f", "/t", Rename::Exchange)?;
    process.remove(Path::new("/t"))?;
    assert!(
        disk.crash_images(&Limits::default())
            .any(|image| image.read("/f") == Some(b"old".to_vec()) && image.read("/t").is_none()),
        "without a sync between the two, the new text may be lost"
    );
    Ok(())
}

#[test]
fn a_directory_needs_a_sync_of_its_parent_and_its_files_a_sync_of_it() -> Tested {
    let (disk, process) = machine();
    process.create_dir(Path::new("/d"))?;
    create(&process, "/d/a")?.sync()?;
    sync_dir(&process, "/d")?;
    assert_eq!(names_left(&disk, Order::Any), set(&["", "d"]));
    sync_dir(&process, "/")?;
    assert_eq!(names_left(&disk, Order::Any), set(&["d"]));
    assert_eq!(left(&disk, "/d/a", &Limits::default()), BTreeSet::from([Some(Vec::new())]));
    Ok(())
}

#[test]
fn a_directory_renamed_before_its_files_were_synced_may_be_empty() -> Tested {
    let (disk, process) = machine();
    process.create_dir(Path::new("/d.tmp"))?;
    create(&process, "/d.tmp/a")?;
    rename(&process, "/d.tmp", "/d", Rename::Keep)?;
    sync_dir(&process, "/")?;
    assert_eq!(left(&disk, "/d/a", &Limits::default()), BTreeSet::from([None, Some(Vec::new())]));
    Ok(())
}

#[test]
fn a_rename_between_directories_is_made_durable_by_either() -> Tested {
    for dir in ["/", "/d"] {
        let (disk, process) = machine();
        process.create_dir(Path::new("/d"))?;
        durable(&process, "/d/a", b"")?;
        rename(&process, "/d/a", "/b", Rename::Keep)?;
        sync_dir(&process, dir)?;
        assert_eq!(names_left(&disk, Order::Any), set(&["b d"]));
        assert_eq!(left(&disk, "/d/a", &Limits::default()), BTreeSet::from([None]));
    }
    Ok(())
}

#[test]
fn what_a_durable_name_depends_on_is_durable_too() -> Tested {
    let (disk, process) = machine();
    process.create_dir(Path::new("/d"))?;
    disk.settle();
    create(&process, "/d/a")?;
    rename(&process, "/d/a", "/d/b", Rename::Keep)?;
    rename(&process, "/d/b", "/c", Rename::Keep)?;
    sync_dir(&process, "/")?;
    assert_eq!(disk.pending(), "");
    assert_eq!(names_left(&disk, Order::Any), set(&["c d"]));
    Ok(())
}

#[test]
fn a_nameless_file_is_gone_after_a_crash() -> Tested {
    let (disk, process) = machine();
    let file = process.open(Path::new("/"), Open::Nameless)?;
    write_full(&*file, b"x", 0)?;
    file.sync()?;
    assert_eq!(process.names("/")?, [""; 0]);
    assert_eq!(file.stat()?.links, 0);
    assert_eq!(file.stat()?.mode, 0o600);
    file.link(Path::new("/a"))?;
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([None, Some("x".into())]));
    assert_eq!(kind(file.link(Path::new("/a"))), Some(libc::EEXIST));
    Ok(())
}

#[test]
fn a_removed_file_lives_while_it_is_open_and_its_number_is_used_again() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"x")?;
    let number = file.stat()?.ino;
    process.remove(Path::new("/a"))?;
    assert_eq!(read_all(&*file)?, b"x");
    assert_eq!(kind(file.link(Path::new("/b"))), Some(libc::ENOENT));
    drop(file);
    assert_ne!(create(&process, "/c")?.stat()?.ino, number, "the disk may still lead to it");
    sync_dir(&process, "/")?;
    assert_eq!(create(&process, "/d")?.stat()?.ino, number);
    drop(disk);
    Ok(())
}

#[test]
fn two_names_of_one_file_stay_one_file() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"x")?;
    file.link(Path::new("/b"))?;
    let disk = Disk::from_image(&disk.image());
    let process = disk.process();
    let found = process.metadata("/a").zip(process.metadata("/b"));
    assert!(found.is_some_and(|(a, b)| a == b && a.links == 2), "{found:?}");
    process.remove_file("/b")?;
    assert_eq!(process.metadata("/a").map(|found| found.links), Some(1));
    Ok(())
}

#[test]
fn names_lost_by_a_failed_directory_sync_stay_lost() -> Tested {
    let (disk, process) = machine();
    create(&process, "/a")?;
    let dir = process.open(Path::new("/"), Open::Directory)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once).on_sync_dir(SyncFault::Lost));
    assert_eq!(kind(dir.sync()), Some(libc::EIO));
    dir.sync()?;
    assert_eq!(names_left(&disk, Order::Any), set(&["", "a"]));
    rename(&process, "/a", "/b", Rename::Keep)?;
    create(&process, "/c")?;
    dir.sync()?;
    assert_eq!(names_left(&disk, Order::Any), set(&["c", "a c", "b c"]), "what builds on it is lost with it");
    Ok(())
}

#[test]
fn names_are_kept_for_the_next_sync_unless_planned_otherwise() -> Tested {
    let (disk, process) = machine();
    create(&process, "/a")?;
    let dir = process.open(Path::new("/"), Open::Directory)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once));
    assert_eq!(kind(dir.sync()), Some(libc::EIO));
    assert_eq!(names_left(&disk, Order::Any), set(&["", "a"]));
    dir.sync()?;
    assert_eq!(names_left(&disk, Order::Any), set(&["a"]));
    Ok(())
}

#[test]
fn names_obey_the_system_s_rules() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"")?;
    durable(&process, "/b", b"")?;
    process.create_dir(Path::new("/d"))?;
    create(&process, "/d/x")?;
    let keep = rename(&process, "/a", "/b", Rename::Keep);
    assert_eq!(kind(keep), Some(libc::EEXIST));
    assert_eq!(kind(rename(&process, "/a", "/no", Rename::Exchange)), Some(libc::ENOENT));
    assert_eq!(kind(rename(&process, "/no", "/a", Rename::Replace)), Some(libc::ENOENT));
    assert_eq!(kind(rename(&process, "/a", "/d", Rename::Replace)), Some(libc::EISDIR));
    assert_eq!(kind(rename(&process, "/d", "/a", Rename::Replace)), Some(libc::ENOTDIR));
    assert_eq!(kind(process.remove(Path::new("/d"))), Some(libc::ENOTEMPTY));
    assert_eq!(kind(create(&process, "/a")), Some(libc::EEXIST));
    assert_eq!(kind(create(&process, "/no/a")), Some(libc::ENOENT));
    assert_eq!(kind(create(&process, "/a/x")), Some(libc::ENOTDIR));
    assert_eq!(kind(process.create_dir(Path::new("/d"))), Some(libc::EEXIST));
    assert_eq!(kind(open(&process, "/d")), Some(libc::EISDIR));
    assert_eq!(kind(process.open(Path::new("/a"), Open::Directory)), Some(libc::ENOTDIR));
    assert!(process.open(Path::new("/d"), Open::Read).is_err());
    assert_eq!(process.names("/d/../d/.")?, ["x"]);
    disk.symlink("/d", "/to-d")?;
    disk.symlink("x", "/d/to-x")?;
    disk.symlink("loop", "/loop")?;
    disk.special("/fifo")?;
    assert_eq!(process.read_link(Path::new("/to-d/to-x"))?, Path::new("x"));
    assert_eq!(process.read_file("/to-d/x")?, b"");
    assert_eq!(kind(process.read_file("/to-d/to-x")), Some(libc::ELOOP));
    assert_eq!(kind(process.read_file("/loop/x")), Some(libc::ELOOP));
    assert_eq!(kind(process.read_link(Path::new("/a"))), Some(libc::EINVAL));
    assert!(process.read_file("/fifo").is_err());
    disk.set_rules(|rules| (rules.exchange, rules.nameless) = (false, false));
    assert_eq!(kind(rename(&process, "/a", "/b", Rename::Exchange)), Some(libc::EINVAL));
    assert_eq!(kind(process.open(Path::new("/"), Open::Nameless)?.link(Path::new("/new"))), Some(libc::ENOENT));
    disk.set_rules(|rules| rules.read_only = true);
    assert_eq!(kind(create(&process, "/new")), Some(libc::EROFS));
    assert_eq!(kind(open(&process, "/a")), Some(libc::EROFS));
    assert_eq!(process.read_file("/a")?, b"");
    Ok(())
}

#[test]
fn others_are_kept_out_by_permissions() -> Tested {
    let (disk, root) = machine();
    durable(&root, "/secret", b"")?;
    let user = disk.process_of(1000, 1000);
    assert_eq!(kind(user.read_file("/secret")), Some(libc::EACCES));
    assert_eq!(kind(user.make_dir("/d")), Some(libc::EACCES));
    disk.set_owner("/secret", 0o640, 0, 1000)?;
    assert_eq!(user.read_file("/secret")?, b"");
    assert_eq!(kind(user.hold("/secret", true)), Some(libc::EACCES));
    disk.set_owner("/", 0o755, 1000, 1000)?;
    user.write_file("/own", "x")?;
    assert_eq!(user.metadata("/own").map(|found| (found.uid, found.mode)), Some((1000, 0o644)));
    Ok(())
}
