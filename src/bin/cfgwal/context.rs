//! [`Context`]: which file a command is about, and how it opens the journal.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cfgwal::{Journal, Materialise, Options, View};

use crate::failure::Failure;

/// What a journal's directory is called: the file's name and this.
const SUFFIX: &str = ".cfgwal";

/// What a verb needs to know besides its own arguments.
pub struct Context {
    given: Option<PathBuf>,
    verb: &'static str,
    /// How long to wait for another instance.
    pub lock_timeout: Duration,
}

impl Context {
    pub fn new(given: Option<PathBuf>, lock_timeout: Duration, verb: &'static str) -> Context {
        // An empty one is how a shell un-names a file.
        let in_environment = || env::var_os("CFGWAL_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
        let given = given.or_else(in_environment);
        Context { given, verb, lock_timeout }
    }

    /// The same, about another file.
    pub fn about(self, file: Option<PathBuf>) -> Context {
        Context { given: file.or(self.given), ..self }
    }

    /// The config file: the one named, else the only one here that has a journal.
    pub fn file(&self) -> Result<PathBuf, Failure> {
        self.find()?.ok_or_else(|| {
            Failure::Usage(
                "no config file here has a journal; name one: -f FILE, or CFGWAL_FILE in the environment".to_owned(),
            )
        })
    }

    /// As [`file`](Context::file), but none is an answer too.
    pub fn find(&self) -> Result<Option<PathBuf>, Failure> {
        if let Some(file) = &self.given {
            return not_a_journal(file).map(Some);
        }
        let mut found = journals_here();
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => {
                found.sort();
                let names: Vec<_> = found.iter().map(|file| file.to_string_lossy()).collect();
                let message =
                    format!("several config files here have a journal; name one with -f: {}", names.join(", "));
                Err(Failure::Usage(message))
            }
        }
    }

    /// How this command opens journals.
    pub fn options(&self) -> Options {
        Journal::options().lock_timeout(self.lock_timeout).command(format!("cfgwal {}", self.verb))
    }

    /// The journal, for one edit: the file is made current when it is closed.
    pub fn journal(&self) -> Result<Journal, Failure> {
        let journal = self.options().materialise(Materialise::Manual).open(self.file()?)?;
        tracing::info!(file = %journal.path().display(), journal = %journal.journal_path().display(), "opened");
        Ok(journal)
    }

    /// Whether a journal lies beside the file, or beside the one that a link of this name leads to.
    pub fn has_journal(&self) -> Result<bool, Failure> {
        let file = self.file()?;
        let mut journal = fs::canonicalize(&file).unwrap_or(file).into_os_string();
        journal.push(SUFFIX);
        Ok(fs::symlink_metadata(journal).is_ok())
    }

    /// The config, to read.
    pub fn view(&self) -> Result<View, Failure> {
        Ok(View::open(self.file()?)?)
    }
}

/// `-f settings.json.cfgwal` is a slip of shell completion.
fn not_a_journal(file: &Path) -> Result<PathBuf, Failure> {
    let config = file.to_string_lossy().trim_end_matches('/').strip_suffix(SUFFIX).map(str::to_owned);
    match config {
        Some(config) if file.is_dir() => {
            Err(Failure::Usage(format!("{} is a journal; name its config file: {config}", file.display())))
        }
        _ => Ok(file.to_owned()),
    }
}

/// The config files in the working directory that have a journal. One that cannot be listed has none to offer.
fn journals_here() -> Vec<PathBuf> {
    let entries = fs::read_dir(".").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| {
            let name = entry.file_name();
            let config = name.as_bytes().strip_suffix(SUFFIX.as_bytes()).filter(|config| !config.is_empty())?;
            Some(PathBuf::from(OsStr::from_bytes(config)))
        })
        .collect()
}
