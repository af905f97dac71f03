//! Disks that are full, mounts that cannot be written, users who may not: what a test sets up around a store.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{fs, io};

use tempfile::TempDir;

use super::Store;

/// Says that a test proves nothing on this machine. Not through the harness, which hides what passing tests print.
pub fn skipped(test: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "SKIPPED: {test}: {reason}");
}

/// Whether the system lets whoever opens a file in this directory wait.
pub fn grants_leases(dir: &Path) -> bool {
    let file = tempfile::tempfile_in(dir).expect("there is room");
    // SAFETY: the command takes an int and touches no memory of ours; the descriptor is open.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0 }
}

/// A file system mounted where nobody else sees it. It goes with the process that holds its mount namespace, however
/// the test ends.
pub struct Mount {
    holder: Child,
    point: TempDir,
}

impl Mount {
    /// An empty file system in memory.
    pub fn tmpfs(size: &str) -> Result<Mount, String> {
        Mount::make(&format!("mount -t tmpfs -o size={size},mode=700 tmpfs \"$POINT\""))
    }

    /// An empty file system as disks have it.
    pub fn ext4(size: &str) -> Result<Mount, String> {
        Mount::image(size, "mkfs.ext4 -q -F -m 0")
    }

    /// An empty file system that writes what is changed to another place.
    pub fn btrfs(size: &str) -> Result<Mount, String> {
        Mount::image(size, "mkfs.btrfs -q -f")
    }

    /// An empty file system in which copies share what they have in common.
    pub fn xfs(size: &str) -> Result<Mount, String> {
        Mount::image(size, "mkfs.xfs -q -f")
    }

    fn image(size: &str, mkfs: &str) -> Result<Mount, String> {
        Mount::make(&format!(
            "truncate -s {size} \"$POINT/image\" && {mkfs} \"$POINT/image\" && mount -o loop \"$POINT/image\" \"$POINT\""
        ))
    }

    /// What is in a directory, read-only.
    pub fn read_only(of: &Path) -> Result<Mount, String> {
        let of = of.display();
        Mount::make(&format!("mount --bind '{of}' \"$POINT\" && mount -o remount,bind,ro \"$POINT\""))
    }

    /// A directory in which a file of this name is a mount point: what is shown there lies in `real/file`.
    pub fn over_a_file(name: &str, text: &str) -> Result<Mount, String> {
        let text = text.replace('\'', "'\\''");
        Mount::make(&format!(
            "mount -t tmpfs -o mode=700 tmpfs \"$POINT\" && cd \"$POINT\" && mkdir real && printf %s '{text}' > real/file \
             && touch {name} && mount --bind real/file {name}"
        ))
    }

    fn make(script: &str) -> Result<Mount, String> {
        let point = tempfile::Builder::new().prefix("mount-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let point = point.expect("a directory under target/tmp");
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["sh", "-c", &format!("{{ {script}; }} >&2 && echo ready && read forever")]);
        command.env("POINT", point.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = command.spawn().map_err(|error| format!("unshare does not run: {error}"))?;
        let mut said = String::new();
        let mut out = BufReader::new(holder.stdout.take().expect("its output"));
        out.read_line(&mut said).map_err(|error| error.to_string())?;
        let mount = Mount { holder, point };
        if said == "ready\n" { Ok(mount) } else { Err(mount.complaint()) }
    }

    /// Why it could not be made.
    fn complaint(mut self) -> String {
        let mut said = String::new();
        if let Some(err) = self.holder.stderr.take() {
            let _ = io::Read::read_to_string(&mut BufReader::new(err), &mut said);
        }
        format!("it cannot be mounted here: {}", said.trim())
    }

    /// A store at its root.
    pub fn store(&self) -> Store {
        let inside = self.point.path().strip_prefix("/").expect("an absolute path");
        Store::at(Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Leaves not a byte free beside a store; what it returns gives the room back.
pub fn fill(store: &Store) -> Filler {
    let filler = Filler { path: store.dir().join("filler") };
    filler.grow();
    filler
}

/// What fills a disk.
pub struct Filler {
    path: PathBuf,
}

impl Filler {
    /// Takes what room there is.
    pub fn grow(&self) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.path).expect("a file");
        // Ever smaller pieces, since the last blocks are few.
        for size in [1 << 20, 65_536, 4096, 512, 1] {
            let piece = vec![b'x'; size];
            let full = loop {
                if let Err(error) = file.write_all(&piece).and_then(|()| file.sync_data()) {
                    break error;
                }
            };
            assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        }
    }

    /// Leaves so much room.
    pub fn shrink(&self, by: u64) {
        let file = fs::OpenOptions::new().write(true).open(&self.path).expect("the filler");
        let len = file.metadata().expect("its size").len();
        file.set_len(len - by).and_then(|()| file.sync_all()).expect("the filler shrinks");
    }

    pub fn remove(self) {
        // A child of another test may have been forked while it was open, and would keep the room.
        fs::File::create(&self.path).expect("the filler is emptied");
        fs::remove_file(&self.path).expect("the filler goes");
    }
}

/// Whether the tests may do everything, so that permissions have to be tried as somebody else.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The user that owns nothing.
const NOBODY: u32 = 65_534;

/// Somebody whom permissions stop: who runs the tests, or nobody, if that is root.
pub struct Somebody;

impl Somebody {
    /// Gives a store to somebody. Fails where nobody cannot even get to it.
    pub fn owns(store: &Store) -> Result<Somebody, String> {
        if is_root() {
            chown(store.dir());
            let test = Somebody.run(store, &["--version"]);
            test.map_err(|error| format!("user {NOBODY} cannot run the command from here: {error}"))?;
        }
        Ok(Somebody)
    }

    /// The command, as somebody.
    pub fn command(&self, store: &Store, args: &[&str]) -> Command {
        let mut command = store.command(args);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn run(&self, store: &Store, args: &[&str]) -> io::Result<()> {
        self.command(store, args).output().map(drop)
    }

    pub fn runs(&self, store: &Store, args: &[&str]) -> super::Ran {
        super::ran(self.command(store, args).output())
    }
}

fn chown(path: &Path) {
    if path.is_dir() {
        fs::read_dir(path).expect("a directory").for_each(|entry| chown(&entry.expect("an entry").path()));
    }
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("it can be given away");
}

/// Sets a mode, and sets it back when dropped, so that what it protects can be removed.
pub struct Mode {
    path: PathBuf,
    before: u32,
}

impl Mode {
    pub fn set(path: &Path, mode: u32) -> Mode {
        let before = fs::metadata(path).expect("it is there").permissions().mode();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode can be set");
        Mode { path: path.to_owned(), before }
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.path, fs::Permissions::from_mode(self.before));
    }
}
