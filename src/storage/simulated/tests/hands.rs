//! What people and other programs do, and whether the system behind the seam would answer the same.

use super::super::content::scatter;
use super::*;
use crate::storage::os::Os;
use crate::storage::{Kind, Stat};

#[test]
fn a_person_writes_replaces_and_removes() -> Tested {
    let (disk, person) = machine();
    person.write_file("/a", "one")?;
    person.write_file("/a", "two!")?;
    assert_eq!(person.read_file("/a")?, b"two!");
    let before = person.metadata("/a").map(|found| found.ino);
    disk.set_owner("/a", 0o600, 0, 0)?;
    person.replace_file("/a", "three", true)?;
    let after = person.metadata("/a");
    assert!(after.is_some_and(|found| Some(found.ino) != before && found.mode == 0o600), "{after:?}");
    person.rename_file("/a", "/b")?;
    person.make_dir("/d")?;
    assert_eq!(person.names("/")?, ["b", "d"]);
    person.set_default_mode(0o666);
    person.write_file("/c", "")?;
    assert_eq!(person.metadata("/c").map(|found| found.mode), Some(0o666));
    let held = person.hold("/b", true)?;
    held.set_len(2)?;
    held.write_at("x", 0)?;
    held.set_attribute("user.note", b"1")?;
    assert!(held.try_lock()?);
    held.sync()?;
    assert_eq!(disk.read("/b")?, b"xh");
    person.remove_file("/b")?;
    assert_eq!(person.metadata("/b"), None);
    Ok(())
}

#[test]
fn root_s_files_go_to_the_owner_of_the_directory() -> Tested {
    let (disk, root) = machine();
    root.make_dir("/d")?;
    disk.set_owner("/d", 0o700, 5, 6)?;
    root.write_file("/d/a", "")?;
    root.make_dir("/d/e")?;
    for path in ["/d/a", "/d/e"] {
        assert_eq!(root.metadata(path).map(|found| (found.uid, found.gid)), Some((5, 6)));
    }
    Ok(())
}

#[test]
fn attributes_come_back_and_go_with_the_metadata() -> Tested {
    let (disk, process) = machine();
    let like = create(&process, "/like")?;
    like.set_attribute("user.a".as_ref(), b"1")?;
    like.set_attribute("user.b".as_ref(), b"2")?;
    like.set_mode(0o751)?;
    let file = create(&process, "/a")?;
    file.take_metadata(&*like)?;
    assert_eq!(file.attributes()?, like.attributes()?);
    assert_eq!(file.stat()?.mode, 0o751);
    disk.set_owner("/like", 0o644, 1, 1)?;
    let user = disk.process_of(2, 2);
    disk.set_owner("/a", 0o666, 2, 2)?;
    let (own, like) = (open(&user, "/a")?, user.open(Path::new("/like"), Open::Read)?);
    assert_eq!(kind(own.take_metadata(&*like)), Some(libc::EPERM), "only root gives a file away");
    Ok(())
}

#[test]
fn each_boot_has_its_id_and_nothing_is_drawn_twice() -> Tested {
    let (disk, process) = machine();
    let (boot, drawn) = (process.boot_id()?, process.random()?);
    let clock = process.clock_micros();
    assert_eq!(process.boot_id()?, boot);
    assert_ne!(process.random()?, drawn);
    assert_ne!(Disk::seeded(1).process().random()?, drawn);
    let next = Disk::from_image(&disk.image()).process();
    assert_ne!(next.boot_id()?, boot);
    let mut later = [process.random()?, next.random()?];
    later.sort_unstable();
    assert!(later.iter().all(|bytes| *bytes != drawn));
    assert!(next.clock_micros() > clock);
    assert!(next.uptime() < process.uptime());
    assert!(next.pid() > process.pid());
    assert_eq!(process.foreign(Path::new("/"))?, None);
    disk.set_rules(|rules| rules.foreign = Some("NFS"));
    assert_eq!(process.foreign(Path::new("/"))?, Some("NFS"));
    Ok(())
}

/// The same calls on a real directory and on the simulated disk: the same answers.
#[test]
fn the_simulated_system_answers_as_the_real_one() -> Tested {
    for seed in 0..60 {
        let real_root = tempfile::tempdir()?;
        let disk = Disk::new();
        disk.process().make_dir("/root")?;
        let root = std::fs::metadata(real_root.path())?;
        disk.set_owner("/root", 0o700, std::os::unix::fs::MetadataExt::uid(&root), 0)?;
        let simulated = disk.process();
        let mut real = Play { storage: &Os, root: real_root.path().into(), open: Vec::new() };
        let mut played = Play { storage: &simulated, root: "/root".into(), open: Vec::new() };
        let mut list = Vec::new();
        for step in 0..120 {
            let draw = |n: u64| scatter(seed, step * 8 + n);
            let (one, two) = (real.step(draw), played.step(draw));
            list.push(one.clone());
            assert_eq!(one, two, "seed {seed}, step {step}, after {list:#?}");
        }
    }
    Ok(())
}

struct Play<'a> {
    storage: &'a dyn Storage,
    root: std::path::PathBuf,
    open: Vec<Box<dyn File>>,
}

impl Play<'_> {
    fn step(&mut self, draw: impl Fn(u64) -> u64) -> String {
        let paths = ["a", "b", "c", "d", "d/a", "d/b", "e", "none/x", "a/x"];
        let path = |n: u64| self.root.join(paths[draw(n) as usize % paths.len()]);
        let (one, two) = (path(1), path(2));
        let error = |error: io::Error| match error.raw_os_error() {
            Some(code) => format!("errno {code}"),
            None => format!("{:?}", error.kind()),
        };
        let said = |result: io::Result<String>| result.unwrap_or_else(error);
        let told = |stat: Stat| match stat.kind {
            Kind::Directory => format!("directory {:o}", stat.mode),
            kind => format!("{kind:?} {} {:o} {}", stat.len, stat.mode, stat.links),
        };
        let how = [Rename::Replace, Rename::Keep, Rename::Exchange][draw(3) as usize % 3];
        let open = match draw(3) % 6 {
            0 => Open::Read,
            1 => Open::Write,
            2 => Open::Directory,
            3 => Open::Nameless,
            _ => Open::Create(0o640),
        };
        let short = |path: &Path| path.strip_prefix(&self.root).unwrap_or(path).display().to_string();
        let files = self.open.len();
        let pick = draw(4) as usize % files.max(1);
        let name = format!("{} {} ", short(&one), short(&two));
        let file = self.open.get(pick);
        let bytes = draw(5).to_le_bytes();
        let (offset, len) = (draw(6) % 700, 1 + draw(7) as usize % 7);
        name + &match draw(0) % 24 {
            0..6 => match self.storage.open(&one, open) {
                Ok(file) => {
                    if files < 6 {
                        self.open.push(file);
                    } else {
                        self.open[pick] = file;
                    }
                    format!("{open:?}")
                }
                Err(failed) => format!("{open:?} {}", error(failed)),
            },
            6 => "mkdir ".to_owned() + &said(self.storage.create_dir(&one).map(|()| "made".into())),
            7..9 => "remove ".to_owned() + &said(self.storage.remove(&one).map(|()| "gone".into())),
            9..12 => format!("{how:?} ") + &said(self.storage.rename(&one, &two, how).map(|()| "moved".into())),
            12 => said(self.storage.list(&one).map(|mut names| {
                names.sort();
                format!("{names:?}")
            })),
            13 => said(self.storage.stat(&one).map(told)),
            14 => said(self.storage.read_link(&one).map(|to| to.display().to_string())),
            15 if files > 0 => {
                drop(self.open.remove(pick));
                "closed".into()
            }
            _ => {
                let Some(file) = file else { return "no file".into() };
                match draw(3) % 11 {
                    0..2 => "write ".to_owned() + &said(file.write_at(&bytes[..len], offset).map(|n| n.to_string())),
                    2 => said(file.set_len(offset).map(|()| "cut".into())),
                    3..5 => said(file.stat().map(told)),
                    // How long a directory says it is differs from one file system to the next.
                    5 if file.stat().is_ok_and(|found| found.kind == Kind::Directory) => "a directory".into(),
                    5 => said(read_all(&**file).map(|bytes| format!("{bytes:?}"))),
                    6 => "lock ".to_owned() + &said(file.try_lock(Lock::Exclusive).map(|held| held.to_string())),
                    7 => "share ".to_owned() + &said(file.try_lock(Lock::Shared).map(|held| held.to_string())),
                    8 => said(file.unlock().map(|()| "unlocked".into())),
                    9 => "link ".to_owned() + &said(file.link(&two).map(|()| "linked".into())),
                    _ => said(file.sync().map(|()| "synced".into())),
                }
            }
        }
    }
}
