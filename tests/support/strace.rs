//! The command under `strace`, which kills it or lets a call fail when a call of that name is entered for the k-th time.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::Store;

/// Why nothing was proven where there is none.
pub const NOT_HERE: &str = "strace is not there or may not trace";

/// The command under `strace`, with these options. What it writes and says goes nowhere.
pub fn traced(store: &Store, options: &[&str], args: &[&str]) -> Command {
    let plain = store.command(args);
    let mut command = Command::new("strace");
    command.args(["-f", "-qqq", "-o"]).arg(store.dir().join("trace")).args(options);
    command.arg("--").arg(plain.get_program()).args(plain.get_args());
    command.current_dir(store.dir()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// What a command does when nobody disturbs it: each of these calls with its arguments, in order. `None`: it cannot be
/// traced here.
pub fn record(store: &Store, calls: &[&str], args: &[&str]) -> Option<Vec<String>> {
    let known = format!("trace=?{}", calls.join(",?"));
    let status = traced(store, &["-e", &known], args).status().ok()?;
    let trace = std::fs::read_to_string(store.dir().join("trace")).ok()?;
    std::fs::remove_file(store.dir().join("trace")).ok()?;
    if trace.is_empty() {
        return None;
    }
    assert!(status.code().is_some_and(|code| code < 10), "{args:?} must end by itself where nobody disturbs it");
    // A line is `PID name(...) = ...`; the end of a call that another thread interrupted begins with `<...`.
    let call = |line: &str| line.split_once(' ').map(|(_, call)| call.trim_start().to_owned());
    Some(trace.lines().filter_map(call).filter(|call| !call.starts_with("<...")).collect())
}

/// How often each of the calls is among those that were recorded.
pub fn count<'a>(recorded: &[String], calls: &[&'a str]) -> BTreeMap<&'a str, usize> {
    let of = |name: &str| recorded.iter().filter(|call| call.split('(').next() == Some(name)).count();
    calls.iter().map(|name| (*name, of(name))).filter(|(_, count)| *count > 0).collect()
}
