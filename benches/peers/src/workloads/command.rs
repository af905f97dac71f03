//! A command that makes one edit, linked in the usual way and statically: W12.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::rules;
use crate::contest::{Contestant, Measure, Race, Turn, race};
use crate::{Outcome, disk};

const TIMES: usize = 20;

pub fn run(rounds: usize) -> Outcome<Vec<Race>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let start_and_sync = build(here, "start_and_sync", &here.join("target"))?;
    let mut races = vec![set("W12 cfgwal set", &start_and_sync, &cfgwal()?, rounds)?];
    match linked_statically() {
        Ok(cfgwal) => races.push(set("W12 linked statically", &start_and_sync, &cfgwal, rounds)?),
        // Where the C library is only there to be loaded.
        Err(error) => races[0].notes.push(format!("not linked statically: {error}")),
    }
    Ok(races)
}

fn set(workload: &str, start_and_sync: &Path, cfgwal: &Path, rounds: usize) -> Outcome<Race> {
    let dir = disk::fresh("w12")?;
    let (room, json, ini) = (dir.join("room"), dir.join("settings.json"), dir.join("settings.ini"));
    fs::write(&room, [0; 4096])?;
    let of_section = |section: usize, line: &dyn Fn(usize) -> String| {
        (0..20).map(|key| line(section * 20 + key)).collect::<Vec<_>>()
    };
    let sections = (0..10).map(|section| {
        let lines = of_section(section, &|key| format!("    \"setting{key:03}\": \"the value of setting {key:03}\""));
        format!("  \"service{section}\": {{\n{}\n  }}", lines.join(",\n"))
    });
    fs::write(&json, format!("{{\n{}\n}}\n", sections.collect::<Vec<_>>().join(",\n")))?;
    let sections = (0..10).map(|section| {
        let lines = of_section(section, &|key| format!("\tsetting{key:03} = the value of setting {key:03}\n"));
        format!("[service{section}]\n{}", lines.concat())
    });
    fs::write(&ini, sections.collect::<String>())?;

    let times = |command: &mut dyn FnMut() -> Command| -> Outcome<Turn> {
        let began = std::time::Instant::now();
        for _ in 0..TIMES {
            let mut command = command();
            if !command.stdin(Stdio::null()).stdout(Stdio::null()).status()?.success() {
                return Err(format!("{command:?} failed").into());
            }
        }
        Ok(Turn { done: TIMES as f64, seconds: began.elapsed().as_secs_f64() })
    };
    let (mut count, mut count_of_git) = (0, 0);
    let mut contestants = vec![
        Contestant::new("limit", || {
            times(&mut || {
                let mut command = Command::new(start_and_sync);
                command.arg(&room);
                command
            })
        }),
        Contestant::new("cfgwal", || {
            times(&mut || {
                count += 1;
                let mut command = Command::new(cfgwal);
                command.arg("-f").arg(&json).args(["set", "service5.setting105", &format!("value {count}")]);
                command
            })
        }),
    ];
    if Command::new("git").arg("--version").stdout(Stdio::null()).status().is_ok() {
        contestants.push(Contestant::new("git config (no sync)", || {
            times(&mut || {
                count_of_git += 1;
                let mut command = Command::new("git");
                command.arg("config").arg("--file").arg(&ini);
                command.args(["service5.setting105", &format!("value {count_of_git}")]);
                command
            })
        }));
    }
    let race = race(workload, Measure::Time, "<= 2", &rules(rounds, 3), contestants)?;
    let note =
        format!("a JSON file of {} bytes, which shows the edit when the command ends", fs::metadata(&json)?.len());
    Ok(race.note(note))
}

/// The command itself.
pub fn cfgwal() -> Outcome<PathBuf> {
    let root = root();
    build(&root, "cfgwal", &root.join("target"))
}

/// The command as README builds the one that starts sooner: nothing is loaded at its start.
fn linked_statically() -> Outcome<PathBuf> {
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output()?;
    let host = String::from_utf8(host.stdout)?.trim().to_owned();
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static");
    let mut command = cargo_build(&root(), "cfgwal", &target);
    command.args(["--target", &host]).env("RUSTFLAGS", "-C target-feature=+crt-static");
    built(command)?;
    Ok(target.join(host).join("release/cfgwal"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn build(workspace: &Path, name: &str, target: &Path) -> Outcome<PathBuf> {
    built(cargo_build(workspace, name, target))?;
    Ok(target.join("release").join(name))
}

fn cargo_build(workspace: &Path, name: &str, target: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.args(["build", "--release", "--quiet", "--bin", name, "--manifest-path"]);
    command.arg(workspace.join("Cargo.toml")).arg("--target-dir").arg(target);
    command
}

fn built(mut command: Command) -> Outcome {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}
