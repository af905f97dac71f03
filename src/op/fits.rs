//! Whether an op keeps to the limits. Asked before it is applied and before it is written, so that whatever is
//! written can be read back.

use super::{Op, Refusal};
use crate::limits::{DEPTH_MAX, KEY_MAX};
use crate::path::Path;
use crate::value::Value;

impl Op {
    /// Whether the op keeps to the limits, so that what is written can be read back. Says nothing of any config.
    pub(crate) fn fits(&self) -> Result<(), Refusal> {
        match self {
            Op::Set { path, value } | Op::Merge { path, value } | Op::Insert { path, value } => {
                value_fits(path, 0, value)
            }
            // The array that the value goes into is one level more.
            Op::Push { path, value, .. } => value_fits(path, 1, value),
            Op::Place { path, value, before } => {
                before.as_deref().map_or(Ok(()), key_fits)?;
                value_fits(path, 0, value)
            }
            Op::Test { path, expected } => match expected {
                Some(value) => value_fits(path, 0, value),
                None => Ok(path.check()?),
            },
            Op::Remove { path } | Op::Increment { path, .. } => Ok(path.check()?),
            Op::Move { from, to } => Ok(from.check().and_then(|()| to.check())?),
            Op::Invalid(error) => Err(error.clone().into()),
        }
    }
}

fn value_fits(path: &Path, more: usize, value: &Value) -> Result<(), Refusal> {
    /// How deep it may still go is what ends the recursion.
    fn fits(value: &Value, levels: Option<usize>, path: &Path) -> Result<(), Refusal> {
        let below = || match levels {
            Some(levels @ 1..) => Ok(Some(levels - 1)),
            _ => Err(Refusal::TooDeep { path: path.clone() }),
        };
        match value {
            Value::Array(items) => {
                let below = below()?;
                items.iter().try_for_each(|item| fits(item, below, path))
            }
            Value::Object(map) => {
                let below = below()?;
                map.iter().try_for_each(|(key, value)| {
                    key_fits(key)?;
                    fits(value, below, path)
                })
            }
            _ => levels.map(drop).ok_or_else(|| Refusal::TooDeep { path: path.clone() }),
        }
    }
    path.check()?;
    fits(value, DEPTH_MAX.checked_sub(path.len() + more), path)
}

pub(super) fn key_fits(key: &str) -> Result<(), Refusal> {
    if key.len() > KEY_MAX { Err(Refusal::KeyTooLong { len: key.len() }) } else { Ok(()) }
}
