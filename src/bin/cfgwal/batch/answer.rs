//! What a batch answers.

use cfgwal::{Ack, Value};

use super::request::Shape;
use crate::failure::Failure;
use crate::status::explained;

/// What an answer has besides `id` and `ok`.
pub type Fields = Vec<(&'static str, Value)>;

/// The whole line.
pub fn line(id: Option<Value>, answer: Result<Fields, Failure>) -> Value {
    let id = id.map(|id| ("id", id));
    let ok = ("ok", Value::from(answer.is_ok()));
    let rest = answer.unwrap_or_else(|failure| vec![("error", failure.to_value())]);
    id.into_iter().chain([ok]).chain(rest).collect()
}

pub fn revision(revision: u64) -> Fields {
    vec![("revision", Value::from(revision))]
}

pub fn value(at: u64, value: &Value) -> Fields {
    let mut fields = revision(at);
    fields.push(("value", value.clone()));
    fields
}

/// Of an edit; `conflicts` say where saves overruled programs since the last answer.
pub fn edit(ack: &Ack, shape: Shape, conflicts: impl Iterator<Item = String>) -> Fields {
    let mut fields = results(ack.revision, &ack.results, shape);
    let held_back = ack.held_back.as_ref();
    let held_back = held_back.map(|why| format!("the file does not show the edit: {}", explained(why)));
    let warnings: Vec<String> = held_back.into_iter().chain(conflicts).collect();
    if !warnings.is_empty() {
        fields.push(("warning", Value::from(warnings.join("; "))));
    }
    fields
}

/// The part of an edit's answer that a rehearsal can give too.
pub fn results(at: u64, results: &[Option<Value>], shape: Shape) -> Fields {
    let mut fields = revision(at);
    let plain = |result: &Option<Value>| result.clone().unwrap_or_default();
    match shape {
        Shape::Plain => {}
        Shape::Value => fields.extend(results.iter().map(|result| ("value", plain(result)))),
        Shape::Results { preconditions } => {
            let results: Vec<_> = results.iter().skip(preconditions).map(plain).collect();
            fields.push(("results", Value::from(results)));
        }
    }
    fields
}
