//! What a crash leaves of a file's bytes, length and metadata.

use super::*;

#[test]
fn synced_bytes_survive_in_every_state() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"kept")?;
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([Some("kept".into())]));
    Ok(())
}

#[test]
fn a_file_that_was_never_synced_may_be_empty_under_a_durable_name() -> Tested {
    let (disk, process) = machine();
    let file = create(&process, "/a")?;
    write_full(&*file, b"new", 0)?;
    sync_dir(&process, "/")?;
    let left = left(&disk, "/a", &Limits::default());
    assert!(left.contains(&Some(Vec::new())), "length not written");
    assert!(left.contains(&Some(vec![0; 3])), "length written, bytes not");
    assert!(left.contains(&Some(b"new".to_vec())), "all written");
    assert!(left.contains(&Some(vec![0])), "half grown");
    assert!(!left.contains(&None), "the name is durable");
    Ok(())
}

#[test]
fn each_chunk_is_old_new_or_torn_on_its_own() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"aaaabbbb")?;
    write_full(&*file, b"AAAABBBB", 0)?;
    let left = left(&disk, "/a", &Limits::chunk(4));
    for half in ["aaaa", "AAAA", "\0\0\0\0"] {
        for other in ["bbbb", "BBBB", "\0\0\0\0"] {
            assert!(left.contains(&Some(format!("{half}{other}").into_bytes())), "{half:?} {other:?}");
        }
    }
    // Old, new, zeros, garbage: squared.
    assert_eq!(left.len(), 16);
    Ok(())
}

#[test]
fn a_torn_write_leaves_its_neighbours_alone() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"left....right")?;
    write_full(&*file, b"HERE", 4)?;
    let left = left(&disk, "/a", &Limits::default());
    assert_eq!(left.len(), 4, "old, new, zeros, garbage");
    for bytes in left.into_iter().flatten() {
        assert_eq!((&bytes[..4], &bytes[8..]), (&b"left"[..], &b"right"[..]));
    }
    Ok(())
}

#[test]
fn garbage_is_neither_the_old_nor_the_new_nor_zero() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", &[7; 64])?;
    write_full(&*file, &[9; 64], 0)?;
    let garbage = left(&disk, "/a", &Limits::default());
    let garbage: Vec<_> = garbage.into_iter().flatten().filter(|bytes| ![0, 7, 9].contains(&bytes[0])).collect();
    assert_eq!(garbage.len(), 1);
    assert!(garbage[0].iter().all(|byte| *byte != 0));
    Ok(())
}

#[test]
fn any_version_since_the_last_sync_may_be_the_one_on_disk() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"0")?;
    for version in [b"1", b"2", b"3"] {
        write_full(&*file, version, 0)?;
    }
    let left = texts(&disk, "/a");
    for version in ["0", "1", "2", "3"] {
        assert!(left.contains(&Some(version.into())), "{version} of {left:?}");
    }
    Ok(())
}

#[test]
fn an_append_can_tear_after_the_one_before_it_was_written() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", &[b'.'; 8])?;
    write_full(&*file, b"one", 0)?;
    write_full(&*file, b"two", 3)?;
    let left = texts(&disk, "/a");
    for text in ["........", "one.....", "onetwo..", "one\0\0\0..", "\0\0\0\0\0\0.."] {
        assert!(left.contains(&Some(text.into())), "{text:?} of {left:?}");
    }
    Ok(())
}

#[test]
fn growing_and_writing_are_two_things() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"ab")?;
    write_full(&*file, b"cd", 2)?;
    let left = texts(&disk, "/a");
    for text in ["ab", "ab\0\0", "abcd", "ab\0", "abc"] {
        assert!(left.contains(&Some(text.into())), "{text:?} of {left:?}");
    }
    Ok(())
}

#[test]
fn cutting_off_may_reach_the_disk_in_part() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"abcd")?;
    file.set_len(2)?;
    file.set_len(4)?;
    let left = texts(&disk, "/a");
    for text in ["abcd", "ab", "ab\0\0"] {
        assert!(left.contains(&Some(text.into())), "{text:?} of {left:?}");
    }
    assert_eq!(disk.read("/a")?, b"ab\0\0");
    Ok(())
}

#[test]
fn a_save_in_place_may_leave_nothing() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"old text")?;
    process.write_file("/a", "new text")?;
    let left = texts(&disk, "/a");
    for text in ["", "old text", "new text"] {
        assert!(left.contains(&Some(text.into())), "{text:?} of {left:?}");
    }
    Ok(())
}

#[test]
fn zeros_written_ahead_and_synced_leave_only_the_frame_pending() -> Tested {
    let (disk, process) = machine();
    let file = create(&process, "/a")?;
    write_zeros(&*file, 0, 16 * 4096)?;
    file.sync()?;
    sync_dir(&process, "/")?;
    write_full(&*file, &[1; 120], 4096)?;
    // Old and zeros are one here; the length is settled.
    assert_eq!(left(&disk, "/a", &Limits::default()).len(), 3);
    Ok(())
}

#[test]
fn mode_and_owner_are_pending_until_the_sync() -> Tested {
    let (disk, process) = machine();
    disk.set_rules(|rules| rules.call_time = std::time::Duration::ZERO);
    durable(&process, "/like", b"")?;
    disk.set_owner("/like", 0o640, 7, 8)?;
    disk.settle();
    let file = process.open(Path::new("/"), Open::Nameless)?;
    file.take_metadata(&*process.open(Path::new("/like"), Open::Read)?)?;
    file.link(Path::new("/a"))?;
    sync_dir(&process, "/")?;
    let seen = |disk: &Disk| -> BTreeSet<(u32, u32)> {
        disk.crash_images(&Limits::default())
            .filter_map(|image| Disk::from_image(&image).process().metadata("/a"))
            .map(|found| (found.mode, found.uid))
            .collect()
    };
    assert_eq!(seen(&disk), BTreeSet::from([(0o600, 0), (0o600, 7), (0o640, 7)]));
    file.sync()?;
    assert_eq!(seen(&disk), BTreeSet::from([(0o640, 7)]));
    Ok(())
}

#[test]
fn after_a_failed_sync_nothing_makes_those_bytes_durable() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"................")?;
    write_full(&*file, b"first", 0)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once));
    assert_eq!(kind(file.sync()), Some(libc::EIO));
    // The retry says 0, so does another opener's sync, and so does a sync after the same bytes were rewritten.
    file.sync()?;
    let other = open(&process, "/a")?;
    other.sync()?;
    write_full(&*file, b"first", 0)?;
    write_full(&*other, b"second", 8)?;
    other.sync()?;
    assert_eq!(disk.read("/a")?, b"first...second..");
    let left = texts(&disk, "/a");
    assert!(left.contains(&Some("........second..".into())), "the first is gone, the second is there: {left:?}");
    assert!(left.contains(&Some("first...second..".into())), "a write that failed may be there all the same");
    assert!(left.iter().flatten().all(|text| text.contains("second")), "{left:?}");
    Ok(())
}

#[test]
fn what_overlaps_lost_bytes_is_lost_and_what_does_not_is_not() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"........")?;
    write_full(&*file, b"xx", 2)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once));
    assert!(file.sync().is_err());
    write_full(&*file, b"123456", 0)?;
    file.sync()?;
    assert_eq!(disk.read("/a")?, b"123456..");
    let left = texts(&disk, "/a");
    assert!(left.contains(&Some("12..56..".into())), "{left:?}");
    assert!(left.iter().flatten().all(|text| text.starts_with("12") && text.ends_with("56..")), "{left:?}");
    Ok(())
}

#[test]
fn lost_bytes_are_read_until_their_page_is_evicted() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"old.")?;
    write_full(&*file, b"new", 0)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once));
    assert!(file.sync().is_err());
    assert_eq!(read_all(&*file)?, b"new.");
    disk.evict("/a")?;
    assert_eq!(read_all(&*file)?, b"old.");
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([Some("old.".into())]), "what was read once stays so");
    Ok(())
}

#[test]
fn eviction_spares_what_is_still_to_be_written() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"....")?;
    write_full(&*file, b"AB", 0)?;
    disk.evict("/a")?;
    assert_eq!(disk.read("/a")?, b"AB..");
    Ok(())
}

#[test]
fn the_error_may_be_told_at_the_next_sync() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"old")?;
    write_full(&*file, b"new", 0)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once).on_sync(SyncFault::ToldNext));
    file.sync()?;
    assert!(texts(&disk, "/a").contains(&Some("old".into())), "it said 0 and nothing was written");
    assert_eq!(kind(file.sync()), Some(libc::EIO));
    file.sync()?;
    assert!(texts(&disk, "/a").contains(&Some("old".into())));
    Ok(())
}

#[test]
fn the_error_may_be_told_to_somebody_else() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"old")?;
    let other = open(&process, "/a")?;
    write_full(&*file, b"new", 0)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once).on_sync(SyncFault::ToldElsewhere));
    file.sync()?;
    file.sync()?;
    assert_eq!(kind(other.sync()), Some(libc::EIO));
    other.sync()?;
    assert!(texts(&disk, "/a").contains(&Some("old".into())));
    Ok(())
}

#[test]
fn content_may_go_back_at_once() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"old")?;
    write_full(&*file, b"newer", 0)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once).on_sync(SyncFault::Reverted));
    assert_eq!(kind(file.sync()), Some(libc::EIO));
    assert_eq!(read_all(&*file)?, b"old");
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([Some("old".into())]));
    Ok(())
}

#[test]
fn an_error_may_leave_everything_to_a_later_sync() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"old")?;
    write_full(&*file, b"new", 0)?;
    process.set_plan(FaultPlan::new().fail(1, libc::ENOSPC, Times::Once).on_sync(SyncFault::Kept));
    assert_eq!(kind(file.sync()), Some(libc::ENOSPC));
    file.sync()?;
    assert_eq!(texts(&disk, "/a"), BTreeSet::from([Some("new".into())]));
    Ok(())
}

#[test]
fn a_length_that_was_lost_comes_back_with_the_next_growth() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"ab")?;
    write_full(&*file, b"cd", 2)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once));
    assert!(file.sync().is_err());
    file.sync()?;
    assert!(texts(&disk, "/a").contains(&Some("ab".into())));
    write_full(&*file, b"ef", 4)?;
    file.sync()?;
    let left = left(&disk, "/a", &Limits::default());
    assert!(left.contains(&Some(b"ab\0\0ef".to_vec())), "{left:?}");
    assert!(left.iter().flatten().all(|bytes| bytes.len() == 6 && bytes.ends_with(b"ef")), "{left:?}");
    Ok(())
}

#[test]
fn a_write_beyond_the_durable_end_makes_a_lost_length_durable() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", b"ab")?;
    write_full(&*file, b"cdef", 2)?;
    process.set_plan(FaultPlan::new().fail(1, libc::EIO, Times::Once));
    assert!(file.sync().is_err());
    write_full(&*file, b"X", 4)?;
    file.sync()?;
    let left = left(&disk, "/a", &Limits::default());
    assert!(left.contains(&Some(b"ab\0\0\0\0".to_vec())), "{left:?}");
    assert!(left.iter().flatten().all(|bytes| bytes.len() == 6), "{left:?}");
    Ok(())
}

#[test]
fn reading_stops_at_the_end_and_sees_zeros_in_holes() -> Tested {
    let (_, process) = machine();
    let file = create(&process, "/a")?;
    write_full(&*file, b"x", 1000)?;
    let mut buf = [9; 2000];
    assert_eq!(file.read_at(&mut buf, 0)?, 1001);
    assert_eq!((buf[0], buf[1000], buf[1001]), (0, b'x', 9));
    assert_eq!(file.read_at(&mut buf, 5000)?, 0);
    assert_eq!(file.stat()?.len, 1001);
    Ok(())
}

#[test]
fn wild_offsets_and_lengths_are_refused() -> Tested {
    let (_, process) = machine();
    let file = create(&process, "/a")?;
    assert_eq!(kind(file.write_at(b"x", u64::MAX)), Some(libc::EFBIG));
    assert_eq!(kind(file.set_len(u64::MAX)), Some(libc::EFBIG));
    Ok(())
}

#[test]
fn a_full_disk_takes_what_fits_and_lets_what_is_there_be_overwritten() -> Tested {
    let (disk, process) = machine();
    let file = create(&process, "/a")?;
    write_zeros(&*file, 0, 1024)?;
    disk.set_rules(|rules| rules.capacity = Some(1536));
    assert_eq!(file.write_at(&[1; 1000], 1000)?, 536);
    assert_eq!(kind(file.write_at(b"x", 1536)), Some(libc::ENOSPC));
    assert_eq!(file.write_at(&[2; 1536], 0)?, 1536);
    file.set_len(512)?;
    assert_eq!(file.write_at(&[3; 1024], 512)?, 1024);
    Ok(())
}

#[test]
fn file_times_move_in_steps() -> Tested {
    let (disk, process) = machine();
    let file = create(&process, "/a")?;
    let before = file.stat()?.modified_ns;
    write_full(&*file, b"x", 0)?;
    assert_eq!(file.stat()?.modified_ns, before, "two changes in one tick look alike");
    disk.advance(std::time::Duration::from_millis(4));
    write_full(&*file, b"y", 0)?;
    assert!(file.stat()?.modified_ns > before);
    Ok(())
}
