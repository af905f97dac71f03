//! The states that are enumerated: all there are, each once, each to be had again by its id.

use std::collections::BTreeMap;

use super::super::content::scatter;
use super::*;

/// Something of every kind is pending.
fn busy() -> io::Result<(Disk, Process)> {
    let (disk, process) = machine();
    durable(&process, "/config", b"old config")?;
    process.create_dir(Path::new("/j"))?;
    let log = create(&process, "/j/log")?;
    write_zeros(&*log, 0, 8192)?;
    log.sync()?;
    disk.settle();
    write_full(&*log, &[1; 100], 4096)?;
    write_full(&*log, &[2; 700], 4196)?;
    process.replace_file("/config", "new config", false)?;
    let file = process.open(Path::new("/"), Open::Nameless)?;
    write_full(&*file, b"text", 0)?;
    file.take_metadata(&*open(&process, "/config")?)?;
    file.link(Path::new("/text"))?;
    Ok((disk, process))
}

#[test]
fn every_state_comes_once_and_again_by_its_id() -> Tested {
    let (disk, _process) = busy()?;
    for limits in [
        Limits::default(),
        Limits::chunk(100),
        Limits { all_names: 1, all_patterns: 10, all_files: 10, ..Limits::chunk(64) },
    ] {
        let mut seen = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for image in disk.crash_images(&limits) {
            assert!(seen.insert(image.hash()), "twice: {}", image.id());
            let text = image.id().to_string();
            let id: StateId = text.parse()?;
            assert_eq!(id.to_string(), text);
            let again = disk.crash_image(&id).ok_or("no such state")?;
            assert_eq!(again.hash(), image.hash(), "{text}");
            assert_eq!(again.id(), id);
            ids.insert(text);
        }
        assert_eq!(ids.len(), seen.len());
        assert!(seen.len() > 100, "{}", seen.len());
    }
    Ok(())
}

#[test]
fn a_file_with_many_chunks_pending_is_cut_into_larger_ones() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/f", &[0; 4096])?;
    write_full(&*file, &[7; 4096], 0)?;
    let limits = Limits { most_chunks: 4, all_patterns: 1 << 20, ..Limits::chunk(8) };
    // Four chunks of a kilobyte: old, new, or garbage; what was torn to zeros is old here.
    assert_eq!(disk.crash_images(&limits).count(), 3_usize.pow(4));
    for image in disk.crash_images(&limits) {
        let id: StateId = image.id().to_string().parse()?;
        assert_eq!(disk.crash_image(&id).ok_or("no such state")?.hash(), image.hash());
    }
    Ok(())
}

#[test]
fn what_is_removed_without_a_look_at_it_counts_as_discarded() -> Tested {
    let (disk, process) = machine();
    for name in ["/looked-at", "/opened", "/kept", "/gone"] {
        durable(&process, name, name.as_bytes())?;
    }
    let image = disk.image();
    let disk = Disk::from_image(&image);
    let process = disk.process();
    process.stat(Path::new("/looked-at"))?;
    process.open(Path::new("/opened"), Open::Read)?;
    for name in ["/looked-at", "/opened", "/gone"] {
        Storage::remove(&process, Path::new(name))?;
    }
    let discarded = disk.discarded();
    assert_eq!(discarded.len(), 1);
    let others = |image: &DiskImage| (image.names(), image.hash_but_for(&discarded));
    assert_eq!(others(&image), others(&image.with_file("/gone", b"something else")));
    assert_ne!(others(&image), others(&image.with_file("/kept", b"something else")));
    assert_ne!(others(&image), others(&image.without("/gone")));
    Ok(())
}

#[test]
fn the_newest_state_comes_first_and_is_what_is_seen() -> Tested {
    let (disk, process) = busy()?;
    let first = disk.crash_images(&Limits::default()).next().ok_or("no state")?;
    assert_eq!(first.hash(), disk.image().hash());
    assert_eq!(first.read("/config"), Some(process.read_file("/config")?));
    let durable = disk.durable_image();
    assert_eq!(durable.read("/config"), Some(b"old config".to_vec()));
    assert_eq!(durable.read("/j/log"), Some(vec![0; 8192]));
    assert_eq!(durable.paths(), [Path::new("/config"), Path::new("/j/log")]);
    assert!(disk.crash_images(&Limits::default()).any(|image| image.hash() == durable.hash()));
    assert_eq!(first.paths(), [Path::new("/config"), Path::new("/j/log"), Path::new("/text")]);
    Ok(())
}

#[test]
fn states_drawn_at_random_are_among_them() -> Tested {
    let (disk, _process) = machine();
    let process = disk.process();
    let file = durable(&process, "/a", b"aabbcc")?;
    write_full(&*file, b"AAB", 0)?;
    create(&process, "/b")?;
    process.replace_file("/a", "x", false)?;
    let limits = Limits::chunk(2);
    let mut images = disk.crash_images(&limits);
    let all: BTreeSet<u128> = images.by_ref().map(|image| image.hash()).collect();
    assert!(!images.is_thinned());
    let drawn: BTreeSet<u128> = disk.random_images(&limits, 7).take(20_000).map(|image| image.hash()).collect();
    assert!(drawn.is_subset(&all));
    assert!(drawn.len() * 10 > all.len() * 9, "{} of {}", drawn.len(), all.len());
    let ordered = Limits { order: Order::Prefix, ..limits };
    let fewer: BTreeSet<u128> = disk.crash_images(&ordered).map(|image| image.hash()).collect();
    assert!(fewer.is_subset(&all) && fewer.len() < all.len());
    let drawn: BTreeSet<u128> = disk.random_images(&ordered, 7).take(5_000).map(|image| image.hash()).collect();
    assert!(drawn.is_subset(&fewer));
    Ok(())
}

#[test]
fn where_there_are_too_many_the_telling_ones_remain() -> Tested {
    let (disk, process) = machine();
    let file = durable(&process, "/a", &[0; 64])?;
    write_full(&*file, &[1; 64], 0)?;
    let limits = Limits::chunk(4);
    let mut images = disk.crash_images(&limits);
    let all: BTreeSet<Vec<u8>> = images.by_ref().filter_map(|image| image.read("/a")).collect();
    assert!(images.is_thinned());
    assert!(all.len() <= limits.some_patterns, "{}", all.len());
    let state = |new: &dyn Fn(usize) -> bool| (0..64).map(|at| u8::from(new(at / 4))).collect::<Vec<u8>>();
    for one in 0..16 {
        assert!(all.contains(&state(&|chunk| chunk < one)), "first part of {one}");
        assert!(all.contains(&state(&|chunk| chunk != one)), "hole at {one}");
        assert!(all.contains(&state(&|chunk| chunk == one)), "only {one}");
        for two in 0..one {
            assert!(all.contains(&state(&|chunk| chunk != one && chunk != two)), "holes at {one} and {two}");
        }
    }
    Ok(())
}

#[test]
fn of_many_files_one_is_varied_while_all_others_are_new_or_old() -> Tested {
    let (disk, process) = machine();
    let paths = ["/a", "/b", "/c", "/d", "/e"];
    let files: Vec<_> = paths.iter().map(|path| durable(&process, path, b"0")).collect::<io::Result<_>>()?;
    for file in &files {
        write_full(&**file, b"1", 0)?;
    }
    let limits = Limits { all_files: 10, ..Limits::default() };
    let mut images = disk.crash_images(&limits);
    let all: BTreeSet<Vec<u8>> =
        images.by_ref().map(|image| paths.iter().filter_map(|path| image.read(path)).flatten().collect()).collect();
    assert!(images.is_thinned());
    for text in [b"11111", b"01111", b"11110", b"00000", b"10000", b"00001", b"00\x0000"] {
        assert!(all.contains(&text[..]), "{text:?} of {all:?}");
    }
    assert!(!all.contains(&b"01010"[..]));
    Ok(())
}

/// `cargo test --release -- --ignored --nocapture rate` prints how fast states come.
#[test]
#[ignore = "measures, proves nothing"]
fn rate() -> Tested {
    let (disk, _process) = busy()?;
    let start = std::time::Instant::now();
    let (mut states, mut boots, mut moments) = (0_u32, 0_u32, 0_u32);
    while start.elapsed().as_secs() < 3 {
        moments += 1;
        states += disk.crash_images(&Limits::default()).count() as u32;
    }
    let each = f64::from(states) / start.elapsed().as_secs_f64();
    let images: Vec<DiskImage> = disk.crash_images(&Limits::default()).collect();
    let start = std::time::Instant::now();
    while start.elapsed().as_secs() < 3 {
        for image in &images {
            let disk = Disk::from_image(image);
            assert!(disk.process().read_file("/config").is_ok());
            boots += 1;
        }
    }
    let booted = f64::from(boots) / start.elapsed().as_secs_f64();
    let mut report = io::stderr();
    io::Write::write_fmt(
        &mut report,
        format_args!(
            "{each:.0} states/s ({} at each of {moments} moments), {booted:.0} boots with a read/s\n",
            images.len()
        ),
    )?;
    Ok(())
}

#[test]
fn of_many_names_first_parts_and_single_holes_remain() -> Tested {
    let (disk, process) = machine();
    for name in ["/a", "/b", "/c", "/d", "/e", "/f"] {
        create(&process, name)?;
    }
    let all = names_left(&disk, Order::Any);
    for names in ["", "a", "a b c", "a b c d e f", "b c d e f", "a b d e f", "a c d", "f"] {
        assert!(all.contains(names), "{names:?} of {all:?}");
    }
    assert!(!all.contains("a c e"));
    Ok(())
}

#[test]
fn equal_trees_have_equal_hashes_whatever_their_past() -> Tested {
    let (one, process) = machine();
    create(&process, "/gone")?;
    durable(&process, "/a", b"x")?;
    durable(&process, "/b", b"y")?;
    process.remove_file("/gone")?;
    let (two, process) = machine();
    durable(&process, "/b", b"z")?;
    durable(&process, "/a", b"x")?;
    two.advance(std::time::Duration::from_secs(9));
    process.write_file("/b", "y")?;
    two.set_owner("/b", 0o600, 0, 0)?;
    assert_eq!(one.image().hash(), two.image().hash());
    process.rename_file("/a", "/c")?;
    assert_ne!(one.image().hash(), two.image().hash());
    two.set_owner("/b", 0o644, 0, 0)?;
    process.rename_file("/c", "/a")?;
    assert_ne!(one.image().hash(), two.image().hash(), "a mode counts");
    Ok(())
}

#[test]
fn swapped_contents_are_another_state() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"x")?;
    durable(&process, "/b", b"y")?;
    let before = disk.image();
    rename(&process, "/a", "/b", Rename::Exchange)?;
    assert_ne!(before.hash(), disk.image().hash());
    rename(&process, "/a", "/b", Rename::Exchange)?;
    assert_eq!(before.hash(), disk.image().hash());
    Ok(())
}

#[test]
fn an_image_can_be_damaged_further() -> Tested {
    let (disk, process) = machine();
    durable(&process, "/a", b"x")?;
    let image = disk.image();
    let damaged = image.with_file("/a", "y").with_file("/new", "z");
    assert_eq!((damaged.read("/a"), damaged.read("/new")), (Some(b"y".to_vec()), Some(b"z".to_vec())));
    assert_eq!(image.read("/a"), Some(b"x".to_vec()), "the first one is as it was");
    assert_eq!(damaged.without("/new").with_file("/a", "x").hash(), image.hash());
    assert_eq!(damaged.read("/none"), None);
    Ok(())
}

#[test]
fn a_boot_from_an_image_changes_nothing_in_it() -> Tested {
    let (disk, _process) = busy()?;
    let image = disk.image();
    let next = Disk::from_image(&image);
    assert_eq!(next.image().hash(), image.hash());
    assert_eq!(next.crash_images(&Limits::default()).count(), 1, "nothing is pending");
    assert_eq!(next.pending(), "");
    next.process().write_file("/config", "changed")?;
    assert_eq!(image.read("/config"), Some(b"new config".to_vec()));
    assert_eq!(Disk::from_image(&image).image().hash(), image.hash());
    assert!(disk.pending().contains("Rename") && disk.pending().contains("bytes 4096..4196"), "{}", disk.pending());
    Ok(())
}

#[test]
fn what_is_no_id_is_refused() -> Tested {
    let (disk, _process) = busy()?;
    for text in
        ["", "512", "0/0.", "512/4.", "512/1.g", "512/0./7", "512/0./7:0:0:0(", "512/0./7:0:0:0(9999999999)", "x/0."]
    {
        assert!(text.parse::<StateId>().is_err(), "{text:?}");
    }
    for text in ["512/0.", "512/9.ff1/2:z:0:", "512/9.ff1/2:0:0:00000000000"] {
        assert!(disk.crash_image(&text.parse()?).is_none(), "{text:?}");
    }
    Ok(())
}

/// A kernel that writes back whatever it likes whenever it likes leaves nothing that is not among the states.
///
/// It knows nothing of the simulated disk's bookkeeping: it sees the calls, keeps a cache and a disk of its own, and
/// now and then moves one chunk, one length or one name from here to there.
#[test]
fn whatever_a_lazy_kernel_leaves_is_among_the_states() -> Tested {
    let mut found = 0;
    for seed in 0..400 {
        let (disk, process) = machine();
        let mut kernel = Lazy { draws: seed << 32, ..Lazy::default() };
        for _ in 0..3 + kernel.draw(12) {
            kernel.call(&process)?;
            for _ in 0..kernel.draw(3) {
                kernel.write_back();
            }
        }
        let limits = Limits { all_names: 16, all_patterns: 1 << 20, all_files: 1 << 20, ..Limits::chunk(CHUNK) };
        let wanted = kernel.left();
        let any = disk.crash_images(&limits).take(200_000).any(|image| {
            found += 1;
            let files: BTreeMap<String, Vec<u8>> = image
                .paths()
                .iter()
                .map(|path| (path.display().to_string(), image.read(path).unwrap_or_default()))
                .collect();
            files == wanted
        });
        assert!(any, "seed {seed}: {wanted:?} is not among the states; pending:\n{}", disk.pending());
    }
    assert!(found > 1000, "{found}");
    Ok(())
}

const CHUNK: usize = 4;

#[derive(Default, Clone)]
struct Inode {
    cache: Vec<u8>,
    disk: Vec<u8>,
    len: usize,
}

#[derive(Default)]
struct Lazy {
    draws: u64,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    /// Names as each pending operation left them: these reach the disk in order.
    journal: Vec<BTreeMap<String, usize>>,
}

impl Lazy {
    fn draw(&mut self, below: usize) -> usize {
        self.draws += 1;
        (scatter(3, self.draws) % below.max(1) as u64) as usize
    }

    /// One call, here and on the simulated disk.
    fn call(&mut self, process: &Process) -> io::Result<()> {
        let path = ["/a", "/b", "/c"][self.draw(3)];
        let other = ["/a", "/b", "/c"][self.draw(3)];
        let Some(at) = self.names.get(path).copied() else {
            create(process, path)?;
            self.inodes.push(Inode::default());
            self.names.insert(path.into(), self.inodes.len() - 1);
            self.journal.push(self.names.clone());
            return Ok(());
        };
        let file = open(process, path)?;
        match self.draw(10) {
            0..4 => {
                let (offset, len) = (self.draw(6), 1 + self.draw(5));
                let bytes: Vec<u8> = (0..len).map(|_| 1 + self.draw(250) as u8).collect();
                write_full(&*file, &bytes, offset as u64)?;
                let cache = &mut self.inodes[at].cache;
                cache.resize(cache.len().max(offset + len), 0);
                cache[offset..offset + len].copy_from_slice(&bytes);
            }
            4 => {
                let len = self.draw(8);
                file.set_len(len as u64)?;
                let inode = &mut self.inodes[at];
                inode.cache.resize(len, 0);
            }
            5 | 6 => {
                file.sync()?;
                let inode = &mut self.inodes[at];
                (inode.disk, inode.len) = (inode.cache.clone(), inode.cache.len());
            }
            7 => {
                sync_dir(process, "/")?;
                self.durable = self.names.clone();
                self.journal.clear();
            }
            8 if path != other => {
                rename(process, path, other, Rename::Replace)?;
                self.names.remove(path);
                self.names.insert(other.into(), at);
                self.journal.push(self.names.clone());
            }
            _ => {
                process.remove_file(path)?;
                self.names.remove(path);
                self.journal.push(self.names.clone());
            }
        }
        Ok(())
    }

    fn write_back(&mut self) {
        if self.draw(3) == 0 {
            if !self.journal.is_empty() {
                self.durable = self.journal.remove(0);
            }
            return;
        }
        if self.inodes.is_empty() {
            return;
        }
        let at = self.draw(self.inodes.len());
        let chunk = self.draw(3) * CHUNK;
        let with_len = self.draw(3) == 0;
        let inode = &mut self.inodes[at];
        if with_len {
            inode.len = inode.cache.len();
            return;
        }
        if inode.disk.len() < chunk + CHUNK {
            inode.disk.resize(chunk + CHUNK, 0);
        }
        for n in chunk..chunk + CHUNK {
            inode.disk[n] = inode.cache.get(n).copied().unwrap_or(0);
        }
    }

    fn left(&self) -> BTreeMap<String, Vec<u8>> {
        let file = |at: usize| {
            let mut bytes = self.inodes[at].disk.clone();
            bytes.resize(self.inodes[at].len, 0);
            bytes
        };
        self.durable.iter().map(|(name, at)| (name.clone(), file(*at))).collect()
    }
}

/// How a crash test is written: look at every state before every call, and hold the states against what was promised.
#[test]
fn a_log_that_acknowledges_too_early_is_caught_and_one_that_does_not_is_not() -> Tested {
    assert!(acknowledged_records_survive(true)?);
    assert!(!acknowledged_records_survive(false)?);
    Ok(())
}

fn acknowledged_records_survive(with_sync: bool) -> Result<bool, Box<dyn std::error::Error>> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
    let (disk, process) = machine();
    let log = durable(&process, "/log", &[0; 64])?;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let holds = Arc::new(AtomicBool::new(true));
    let (promised, verdict, looked_at) = (acknowledged.clone(), holds.clone(), disk.clone());
    process.observe(move |_| {
        for image in looked_at.crash_images(&Limits::chunk(4)) {
            let bytes = image.read("/log").unwrap_or_default();
            let records = bytes.chunks(8).take_while(|record| record.iter().all(|byte| *byte == 9)).count();
            if records < promised.load(SeqCst) {
                verdict.store(false, SeqCst);
            }
        }
    });
    for n in 0..4 {
        write_full(&*log, &[9; 8], n * 8)?;
        if with_sync {
            log.sync()?;
        }
        acknowledged.fetch_add(1, SeqCst);
    }
    log.stat()?;
    Ok(holds.load(SeqCst))
}
