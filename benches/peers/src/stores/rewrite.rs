use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

use super::{Handle, Store};
use crate::edits::Edit;
use crate::{Outcome, disk};

pub struct Rewrite {
    path: PathBuf,
    config: Mutex<Value>,
}

impl Rewrite {
    pub fn open(dir: &Path) -> Outcome<Box<dyn Store>> {
        let path = dir.join("settings.json");
        let config = Mutex::new(load(&path)?);
        Ok(Box::new(Rewrite { path, config }))
    }
}

impl Store for Rewrite {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(self))
    }
}

impl Handle for &Rewrite {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        self.edit_all(std::slice::from_ref(edit))
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        edits.iter().for_each(|edit| set(&mut config, edit));
        save(&self.path, &config)
    }
}

pub struct LoadAndRewrite {
    path: PathBuf,
    lock: PathBuf,
}

impl LoadAndRewrite {
    pub fn open(dir: &Path) -> Outcome<Box<dyn Store>> {
        let lock = dir.join("lock");
        File::create(&lock)?;
        Ok(Box::new(LoadAndRewrite { path: dir.join("settings.json"), lock }))
    }
}

impl Store for LoadAndRewrite {
    fn handle(&self) -> Outcome<Box<dyn Handle + '_>> {
        Ok(Box::new(self))
    }
}

impl Handle for &LoadAndRewrite {
    fn edit(&mut self, edit: &Edit) -> Outcome {
        self.edit_all(std::slice::from_ref(edit))
    }

    fn edit_all(&mut self, edits: &[Edit]) -> Outcome {
        let lock = File::open(&self.lock)?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let mut config = load(&self.path)?;
        edits.iter().for_each(|edit| set(&mut config, edit));
        save(&self.path, &config)
    }
}

fn load(path: &Path) -> Outcome<Value> {
    if path.exists() { Ok(serde_json::from_slice(&fs::read(path)?)?) } else { Ok(Value::Object(Default::default())) }
}

pub fn set(config: &mut Value, edit: &Edit) {
    let (object, key) = edit.path.split_once('.').expect("paths have two parts");
    config[object][key] = Value::from(edit.value.as_str());
}

fn save(path: &Path, config: &Value) -> Outcome {
    disk::replace(path, |out| Ok(serde_json::to_writer(out, config)?))
}
