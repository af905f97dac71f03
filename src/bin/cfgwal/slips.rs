//! What people type by mistake, and what they are told to type instead: the config file where a path or a verb belongs, and
//! the words that other programs have for our verbs.

use std::ffi::OsString;
use std::path::Path as FilePath;

use cfgwal::Path;
use cfgwal::document::Format;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A verb as others call it, and as it is called here.
const OTHER_WORDS: [(&[&str], &str); 7] = [
    (&["remove", "rm", "delete", "del"], "unset"),
    (&["append", "add"], "push"),
    (&["rename", "mv"], "move"),
    (&["write", "put"], "set"),
    (&["cat", "show", "print"], "dump"),
    (&["history"], "log"),
    (&["fsck", "check"], "verify"),
];

/// The usage of every verb shows where the file goes: it is one of many options, and the one that is missed.
pub fn with_file_in_usage(mut command: clap::Command) -> clap::Command {
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for verb in verbs {
        command = command.mut_subcommand(verb, |verb| {
            let usage = verb.clone().render_usage().to_string();
            let usage = usage.trim_start_matches("Usage: ").replacen("cfgwal ", "cfgwal [-f FILE] ", 1);
            verb.override_usage(usage)
        });
    }
    command
}

/// Adds to a complaint about a command line what was probably meant.
pub fn explain(error: &mut clap::Error, arguments: &[OsString]) {
    if !matches!(error.kind(), ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand) {
        return;
    }
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && let Some((_, verb)) = OTHER_WORDS.iter().find(|(words, _)| words.contains(&word.as_str()))
    {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![(*verb).to_owned()]));
    } else if let Some(file) = misplaced_file(arguments) {
        let tip = StyledStr::from(format!("the config file is named with -f: -f {file}"));
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
}

/// The first word that looks like a config file, where none was named.
fn misplaced_file(arguments: &[OsString]) -> Option<&str> {
    let words = || arguments.iter().skip(1).filter_map(|word| word.to_str());
    let is_named = words().any(|word| word.starts_with("--file") || word.starts_with("-f"));
    let is_file = |word: &&str| {
        !word.starts_with('-') && (FilePath::new(word).is_file() || Format::of(FilePath::new(word)).is_some())
    };
    words().find(is_file).filter(|_| !is_named)
}

/// What to say behind a path at which nothing is, if it is the name of a file.
pub fn instead_of(path: &Path) -> String {
    let name = path.to_string();
    if FilePath::new(&name).is_file() { format!("; to name the file: -f {name}") } else { String::new() }
}
