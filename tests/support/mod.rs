//! A config file in a directory of its own, and the real command run on it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub mod dice;
pub mod readers;
pub mod sandbox;
pub mod session;
pub mod strace;

/// A directory on a real disk, with or without a config file in it.
pub struct Store {
    dir: PathBuf,
    /// Removes the directory, if it is the test's own.
    _owned: Option<TempDir>,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Store {
    /// Without a config file.
    pub fn empty() -> Store {
        let dir = tempfile::Builder::new().prefix("store-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let dir = dir.expect("a directory under target/tmp");
        Store { dir: dir.path().to_owned(), _owned: Some(dir) }
    }

    /// In a directory that is there.
    pub fn at(dir: PathBuf) -> Store {
        Store { dir, _owned: None }
    }

    /// With a `settings.json` that has no journal yet.
    pub fn with(text: &str) -> Store {
        let store = Store::empty();
        store.write(text);
        store
    }

    /// The same in another directory, which costs less than to make it again.
    pub fn copy(&self) -> Store {
        let copy = Store::empty();
        copy_files(self.dir(), copy.dir());
        copy
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn file(&self) -> PathBuf {
        self.dir().join("settings.json")
    }

    pub fn journal(&self) -> PathBuf {
        self.dir().join("settings.json.cfgwal")
    }

    /// The config file as it is.
    pub fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("settings.json")
    }

    /// Save the config file as an editor does that knows nothing of journals.
    pub fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("settings.json");
    }

    /// The newest segment of the log.
    pub fn segment(&self) -> PathBuf {
        let entries = fs::read_dir(self.journal()).expect("the journal").map(|entry| entry.expect("an entry").path());
        let is_segment =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wal-"));
        entries.filter(is_segment).max().expect("a segment")
    }

    /// The command with these arguments, in the store's directory and in nobody's environment.
    pub fn bare<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cfgwal"));
        command.args(args).current_dir(self.dir()).stdin(Stdio::null());
        for name in ["CFGWAL_FILE", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "RUST_LOG"] {
            command.env_remove(name);
        }
        command
    }

    /// The command about `settings.json`.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = self.bare(args);
        command.env("CFGWAL_FILE", "settings.json");
        command
    }

    /// Run a command about `settings.json`.
    pub fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        ran(self.command(args).output())
    }

    /// Run a command that must succeed, and say nothing on stderr.
    pub fn ok<S: AsRef<OsStr> + fmt::Debug>(&self, args: &[S]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}: {ran:?}");
        ran.out
    }

    /// Run a command with something on its standard input.
    pub fn feed<S: AsRef<OsStr>>(&self, args: &[S], input: &str) -> Ran {
        feed(self.command(args), input)
    }

    /// Asserts what must hold whenever a command has ended well: every checksum and chain is good, recovery has nothing
    /// to do, and nothing lies beside file and journal.
    pub fn assert_well(&self, when: &str) {
        for args in [&["verify"][..], &["recover", "--dry-run"]] {
            let ran = self.run(args);
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{when}: {args:?}: {}", ran.out);
        }
        let names = fs::read_dir(self.dir()).expect("the directory").map(|entry| entry.expect("an entry").file_name());
        let litter: Vec<_> = names.filter(|name| name != "settings.json" && name != "settings.json.cfgwal").collect();
        assert!(litter.is_empty(), "{when}: {litter:?} lies beside file and journal");
    }

    /// Asserts the same through the library, which is quicker than two commands: for loops of thousands.
    pub fn assert_sound(&self, when: &str) -> cfgwal::View {
        let report = cfgwal::verify(self.file()).unwrap_or_else(|error| panic!("{when}: {error}"));
        let report = report.unwrap_or_else(|| panic!("{when}: there is no journal"));
        assert!(report.is_clean(), "{when}: {report:?}");
        let view = cfgwal::View::open(self.file()).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(
            matches!(view.file_status(), cfgwal::FileStatus::Current { .. }),
            "{when}: the file is not current: {:?}",
            view.file_status()
        );
        let litter = self.litter();
        assert!(litter.is_empty(), "{when}: {litter:?} is left over");
        view
    }

    /// What lies beside file and journal, or in the journal under a name that is not one of its own.
    pub fn litter(&self) -> Vec<PathBuf> {
        let names = |dir: PathBuf| fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
        let is = |path: &Path, known: &[&str]| {
            let name = path.file_name().expect("an entry has a name").to_string_lossy();
            known.iter().any(|known| match known.strip_suffix('*') {
                Some(prefix) => name.strip_prefix(prefix).is_some_and(|digits| digits.len() == 16),
                None => name == *known,
            })
        };
        let beside = names(self.dir.clone()).filter(|path| !is(path, &["settings.json", "settings.json.cfgwal"]));
        let own = [".gitignore", "options.toml", "watermark", "reserve", "quarantine", "wal-*", "snapshot-*"];
        let inside = names(self.journal()).filter(|path| !is(path, &own));
        beside.chain(inside).collect()
    }

    /// Everything in the directory. Equal before and after: not a byte was written.
    pub fn everything(&self) -> Everything {
        let mut found = Everything::default();
        walk(self.dir(), &mut found.files);
        found
    }

    /// Everything but the page in which running processes tell one another who holds the lock: what a refused
    /// edit must leave alone.
    pub fn content(&self) -> Everything {
        let mut found = self.everything();
        found.files.remove(&self.journal().join("watermark"));
        found
    }

    /// The segments of the log.
    pub fn log(&self) -> Everything {
        let mut found = self.everything();
        found.files.retain(|path, _| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("wal-")));
        found
    }
}

/// What each name in a directory is, its mode, inode and content.
#[derive(PartialEq, Eq, Default)]
pub struct Everything {
    files: BTreeMap<PathBuf, (u32, u64, Vec<u8>)>,
}

impl Everything {
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}

/// Short enough to find the difference in.
impl fmt::Debug for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, (mode, inode, content)) in &self.files {
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            write!(f, "\n    {} {mode:o} {inode} {} bytes {:x}", path.display(), content.len(), hasher.finish())?;
        }
        Ok(())
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).expect("a directory");
            fs::set_permissions(&to, entry.metadata().expect("what it is").permissions()).expect("its mode");
            copy_files(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, (u32, u64, Vec<u8>)>) {
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("what it is");
        let content = match () {
            // What may not be read, nobody can have changed either.
            () if meta.is_file() => fs::read(&path).unwrap_or_else(|error| error.to_string().into_bytes()),
            () if meta.is_symlink() => fs::read_link(&path).expect("its target").into_os_string().into_encoded_bytes(),
            () => Vec::new(),
        };
        if meta.is_dir() {
            walk(&path, found);
        }
        found.insert(path, (meta.permissions().mode(), meta.ino(), content));
    }
}

/// Runs a command to its end.
pub fn ran(output: std::io::Result<Output>) -> Ran {
    let output = output.expect("the command runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
    Ran { code: output.status.code().expect("it ends by itself"), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs a command with something on its standard input.
pub fn feed(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command starts");
    let mut stdin = child.stdin.take().expect("its input");
    let input = input.as_bytes().to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let ran = ran(child.wait_with_output());
    writer.join().expect("the input is written");
    ran
}

/// Whether to run as long as a night allows.
pub fn long() -> bool {
    std::env::var_os("CFGWAL_LONG").is_some()
}
