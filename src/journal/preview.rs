//! What an edit would do to the config file, without making it.

use crate::document::{self, Unpatchable};
use crate::error::Error;
use crate::materialise::ConfigFile;
use crate::op::{Refusal, Transaction};
use crate::path::Path;
use crate::value::Value;
use crate::version::Version;

/// What an edit would do.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Preview {
    /// The revision that it was judged on.
    pub revision: u64,
    /// One for each op: the new value of an increment, nothing for the others.
    pub results: Vec<Option<Value>>,
    /// The config file's bytes now; `None`: there is no file.
    pub before: Option<Vec<u8>>,
    /// Its bytes after the edit.
    pub after: Vec<u8>,
}

/// Says nothing of the content, as for [`State`](crate::State).
impl std::fmt::Debug for Preview {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Preview").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// What an edit of the newest revision would do to the config file. It is judged as an append judges it.
pub(crate) fn preview(
    config: &ConfigFile,
    version: &Version,
    edit: &Transaction,
    expected: Option<u64>,
) -> Result<Preview, Error> {
    let used = edit.key.as_ref().and_then(|key| version.keys.get(key));
    let mut revision = version.revision();
    if let Some(expected) = expected.filter(|expected| used.is_none() && *expected != revision) {
        return Err(Error::Revision { expected, found: revision });
    }
    let mut after = version.state.clone();
    let results = match used {
        Some(used) => {
            revision = used.revision;
            used.results.to_vec()
        }
        None => {
            let mut ops = edit.ops.clone();
            document::admit(&config.format, &mut ops)?;
            after.apply(&ops)?.results
        }
    };
    let text = config.read()?.map(|text| text.bytes);
    let bytes = match &text {
        None => document::begin(&config.format, after.root()),
        Some(text) => document::patch(&config.format, text, after.root()),
    };
    let bytes = bytes.map_err(|why| match why {
        Unpatchable::Invalid(invalid) => Error::Invalid { path: config.path.clone(), invalid },
        why @ (Unpatchable::Unwritable(_) | Unpatchable::TooLarge { .. }) => {
            Refusal::Unwritable { path: Path::root(), why: why.to_string() }.into()
        }
        why => Error::Unpatchable { path: config.path.clone(), revision: revision + 1, why: why.to_string() },
    })?;
    Ok(Preview { revision, results, before: text, after: bytes })
}
