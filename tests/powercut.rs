//! Real power cuts: the command writes to a real file system, every write and flush of whose disk is recorded; then the
//! disk is put together as it would be after a cut at each flush, with some of what was written later, mounted, and opened.
//!
//! `tools/powercut` runs it: it needs root, loop devices, FUSE and `qemu-storage-daemon`. `CFGWAL_POWERCUT_FS` chooses ext4, xfs or
//! btrfs, with mount options behind a colon (`ext4:nodelalloc`), `CFGWAL_POWERCUT_IMAGES` how many disks, and `CFGWAL_TEST_SEED` replays what was drawn. With
//! `CFGWAL_POWERCUT_MUTANT` something is wrong on purpose, and the test fails if nobody notices.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cfgwal::{FileStatus, Journal, Materialise, Op, View};
use support::dice::Dice;
use support::sandbox::{is_root, skipped};
use support::session::Session;

const MIB: u64 = 1 << 20;
const EDITS: u64 = 150;

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output =
        Command::new(program).args(args).output().map_err(|error| format!("{program} does not run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()) } else { Err(said) }
}

/// From here on this thread's mounts are nobody else's. Whoever leaves a namespace takes copies of all mounts in it along, and
/// keeps a file system alive that was unmounted here: it would go on writing to the file in which the next disk lies.
fn mount_alone() -> Result<(), String> {
    // SAFETY: a system call that takes no memory and concerns this thread alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(format!("no mount namespace: {}", std::io::Error::last_os_error()));
    }
    run("mount", &["--make-rprivate", "/"]).map(drop)
}

/// A file system on a disk that records what is written to it.
struct Recorder {
    daemon: Child,
    device: String,
    mount: PathBuf,
    log: File,
}

impl Recorder {
    fn start(dir: &Path, disk: &Path, options: &str) -> Result<Recorder, String> {
        let (log, export, mount) = (dir.join("log"), dir.join("export"), dir.join("mount"));
        File::create(&log).and_then(|file| file.set_len(1 << 30)).unwrap();
        File::create(&export).unwrap();
        fs::create_dir(&mount).unwrap();
        let blockdev = |name: &str, path: &Path| format!("driver=file,node-name={name},filename={}", path.display());
        let mut daemon = Command::new("qemu-storage-daemon");
        daemon.args(["--blockdev", &blockdev("disk", disk), "--blockdev", &blockdev("log", &log)]);
        daemon.args(["--blockdev", "driver=blklogwrites,node-name=recorded,file=disk,log=log,log-sector-size=512"]);
        let export_as = format!("type=fuse,id=export,node-name=recorded,mountpoint={},writable=on", export.display());
        daemon.args(["--export", &export_as]).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = daemon.spawn().map_err(|error| format!("qemu-storage-daemon does not run: {error}"))?;
        let began = Instant::now();
        while fs::metadata(&export).map_or(0, |meta| meta.len()) == 0 {
            if began.elapsed() > Duration::from_secs(5) {
                return Err("qemu-storage-daemon exports no file through FUSE".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let device = run("losetup", &["-f", "--show", export.to_str().unwrap()])?;
        run("mount", &["-o", options, &device, mount.to_str().unwrap()])?;
        Ok(Recorder { daemon, device, mount, log: File::open(log).unwrap() })
    }

    /// Entries recorded up to the newest flush.
    fn recorded(&self) -> u64 {
        let mut number = [0; 8];
        self.log.read_exact_at(&mut number, 16).unwrap();
        u64::from_le_bytes(number)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = run("umount", &[self.mount.to_str().unwrap()]);
        let _ = run("losetup", &["-d", &self.device]);
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        // A mount through FUSE outlives whoever served it.
        let _ = run("umount", &[self.mount.with_file_name("export").to_str().unwrap()]);
    }
}

/// What happened to the disk: bytes that were written to a place, or a flush. The format is that of the kernel's dm-log-writes.
struct Entry {
    place: u64,
    bytes: Vec<u8>,
    is_flush: bool,
}

fn entries(log: &File, count: u64) -> Vec<Entry> {
    let (mut at, mut found) = (512, Vec::new());
    for _ in 0..count {
        let mut header = [0; 32];
        log.read_exact_at(&mut header, at).unwrap();
        let number = |field: usize| u64::from_le_bytes(header[field * 8..field * 8 + 8].try_into().unwrap());
        let (sector, sectors, flags) = (number(0), number(1), number(2));
        at += 512;
        // A discard carries no bytes.
        let len = if flags & 4 != 0 { 0 } else { sectors * 512 };
        let mut bytes = vec![0; len as usize];
        log.read_exact_at(&mut bytes, at).unwrap();
        at += len;
        found.push(Entry { place: sector * 512, bytes, is_flush: flags & 1 != 0 });
    }
    found
}

/// Edits, now and then written into the file or compacted; for each the number of entries when it was acknowledged.
fn work(recorder: &Recorder, mutant: &str) -> Vec<u64> {
    let mut command = if let Some(call) = mutant.strip_prefix("no-") {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={call}:retval=0")]);
        strace.arg(env!("CARGO_BIN_EXE_cfgwal"));
        strace
    } else {
        let mut plain = Command::new(env!("CARGO_BIN_EXE_cfgwal"));
        plain.env("CFGWAL_PLANTED", mutant);
        plain
    };
    command.args(["-f", "settings.json", "batch"]).current_dir(&recorder.mount);
    let mut session = Session::of(command);
    let mut acknowledged = Vec::new();
    for n in 0..EDITS {
        let answer = session.ask(&format!("{{\"op\":\"set\",\"path\":\"k{n}\",\"value\":{n}}}")).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        acknowledged.push(recorder.recorded());
        match n % 25 {
            9 => drop(session.ask("{\"op\":\"materialise\"}").unwrap()),
            19 => drop(session.ask("{\"op\":\"compact\"}").unwrap()),
            _ => {}
        }
    }
    session.finish();
    acknowledged
}

/// Mount a disk as it is after a cut, and look: what is wrong, if anything is.
fn look(disk: &Path, mount: &Path, options: &str, acknowledged: usize) -> Result<(), String> {
    run("mount", &["-o", &format!("loop,{options}"), disk.to_str().unwrap(), mount.to_str().unwrap()])?;
    let found = std::panic::catch_unwind(|| look_inside(&mount.join("settings.json"), acknowledged));
    let unmounted = run("umount", &[mount.to_str().unwrap()]);
    found.unwrap_or_else(|_| Err("a panic".to_owned())).and(unmounted.map(drop))
}

fn look_inside(file: &Path, acknowledged: usize) -> Result<(), String> {
    // A power cut is followed by another boot, and this machine goes on: the page is made to name another one.
    let page = File::options().write(true).open(file.with_file_name("settings.json.cfgwal").join("watermark"));
    if let Ok(page) = page {
        page.write_all_at(&[0xee; 16], 8).map_err(|error| error.to_string())?;
    }
    let has_journal = file.with_file_name("settings.json.cfgwal").exists();
    if acknowledged == 0 && !has_journal {
        return Ok(());
    }
    if let Ok(text) = fs::read(file) {
        serde_json::from_slice::<serde_json::Value>(&text)
            .map_err(|error| format!("the file is not whole: {error}"))?;
    }
    let view = View::open(file).map_err(|error| error.to_string())?;
    let seen = view.revision();
    let journal = Journal::options().materialise(Materialise::Manual).open(file).map_err(|error| error.to_string())?;
    for n in 0..acknowledged {
        if journal.get::<u64>(format!("k{n}").as_str()).map_err(|error| error.to_string())? != Some(n as u64) {
            return Err(format!("k{n} of {acknowledged} acknowledged is not there"));
        }
    }
    let ack = journal.append(Op::set("after", 1)).map_err(|error| error.to_string())?;
    if ack.revision <= seen {
        return Err(format!("revision {} after {seen}", ack.revision));
    }
    match journal.close().map_err(|error| error.to_string())? {
        FileStatus::Current { .. } => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

fn write(disk: &File, entry: &Entry) {
    disk.write_all_at(&entry.bytes, entry.place).unwrap();
}

#[test]
#[ignore = "takes minutes and needs root: tools/powercut runs it"]
fn whatever_a_power_cut_leaves_on_a_real_file_system_holds_every_acknowledged_edit() {
    const TEST: &str = "whatever_a_power_cut_leaves_on_a_real_file_system_holds_every_acknowledged_edit";
    let of = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let (system, mutant) = (of("CFGWAL_POWERCUT_FS", "ext4"), of("CFGWAL_POWERCUT_MUTANT", ""));
    let (kind, options) = system.split_once(':').unwrap_or((&system, "rw"));
    let images: usize = of("CFGWAL_POWERCUT_IMAGES", "1000").parse().unwrap();
    if !is_root() {
        return skipped(TEST, "only root can mount");
    }
    if let Err(why) = mount_alone() {
        return skipped(TEST, &why);
    }
    let dir = tempfile::Builder::new().prefix("powercut-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let base = dir.path().join("base");
    let size = match kind {
        "xfs" => 300,
        "btrfs" => 128,
        _ => 24,
    };
    File::create(&base).and_then(|file| file.set_len(size * MIB)).unwrap();
    let force = if kind == "ext4" { "-F" } else { "-f" };
    if let Err(why) = run(&format!("mkfs.{kind}"), &["-q", force, base.to_str().unwrap()]) {
        return skipped(TEST, &why);
    }
    let disk = dir.path().join("disk");
    fs::copy(&base, &disk).unwrap();
    let recorder = match Recorder::start(dir.path(), &disk, options) {
        Ok(recorder) => recorder,
        Err(why) => return skipped(TEST, &why),
    };
    let acknowledged = work(&recorder, &mutant);
    let entries = entries(&recorder.log, recorder.recorded());
    drop(recorder);

    let mut dice = Dice::new();
    let flushes: Vec<usize> = (0..entries.len()).filter(|at| entries[*at].is_flush).collect();
    let each = images.div_ceil(flushes.len()).max(1);
    let (cut, mount) = (dir.path().join("cut"), dir.path().join("look"));
    fs::create_dir(&mount).unwrap();
    let so_far = File::options().write(true).open(&base).unwrap();
    let (mut done, mut tried, mut wrong) = (0, 0, Vec::new());
    for flush in &flushes {
        entries[done..=*flush].iter().for_each(|entry| write(&so_far, entry));
        done = flush + 1;
        let promised = acknowledged.iter().filter(|recorded| **recorded as usize <= done).count();
        for variant in 0..each {
            fs::copy(&base, &cut).unwrap();
            let file = File::options().write(true).open(&cut).unwrap();
            // Of what was written before the next flush any part may have reached the disk, in any order; the first variant
            // has none of it.
            let later =
                entries[done..].iter().take_while(|entry| !entry.is_flush).filter(|entry| !entry.bytes.is_empty());
            later.filter(|_| variant > 0 && dice.below(2) == 0).for_each(|entry| write(&file, entry));
            drop(file);
            tried += 1;
            if let Err(why) = look(&cut, &mount, options, promised) {
                wrong.push(format!("cut at entry {flush} of {}, variant {variant}: {why}", entries.len()));
            }
        }
    }
    println!("{tried} power cuts on {system} at {} flushes, {} wrong {mutant}", flushes.len(), wrong.len());
    if mutant.is_empty() {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    } else {
        assert!(!wrong.is_empty(), "{mutant}: nobody noticed");
    }
}
