//! What a line of a batch asks for.
//!
//! A field that is not known is an error: a misspelt `"unique"` would otherwise be no `unique` at all.

use cfgwal::{Map, Number, Op, Path, Transaction, Value};

use crate::failure::Failure;

/// One line.
pub struct Line {
    /// What the answer is to be told apart by.
    pub id: Option<Value>,
    pub request: Result<Request, Failure>,
}

pub enum Request {
    Edit(Edit),
    Query(Query),
}

pub enum Query {
    Get(Path),
    Materialise,
    Compact,
}

/// A transaction to be.
pub struct Edit {
    pub ops: Vec<Op>,
    pub key: Option<String>,
    pub if_revision: Option<u64>,
    pub shape: Shape,
}

/// What the answer to an edit has besides the revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Plain,
    /// The new value, of an `increment`.
    Value,
    /// The results of the ops, but for the preconditions before them, of a `txn`.
    Results {
        preconditions: usize,
    },
}

impl Edit {
    pub fn into_transaction(self) -> Transaction {
        let mut transaction = Transaction::from(self.ops);
        if let Some(key) = self.key {
            transaction = transaction.idempotent(key);
        }
        transaction
    }
}

pub fn parse(line: &[u8]) -> Line {
    let nonsense = |why: String| Line { id: None, request: Err(Failure::Usage(why)) };
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => return nonsense(format!("the line is not UTF-8: {error}")),
    };
    match crate::arguments::json(text) {
        Ok(Value::Object(map)) => Line { id: map.get("id").cloned(), request: read(&map) },
        Ok(value) => nonsense(format!("the line is a JSON {}, not an object", value.kind())),
        Err(invalid) => nonsense(format!("the line does not parse, column {}: {}", invalid.column, invalid.why)),
    }
}

fn read(map: &Map) -> Result<Request, Failure> {
    let mut fields = Fields { map, known: vec!["id"] };
    let op = fields.text("op")?.ok_or_else(|| missing("op"))?;
    let query = match op {
        "get" => Some(Query::Get(fields.path("path")?)),
        "materialise" => Some(Query::Materialise),
        "compact" => Some(Query::Compact),
        _ => None,
    };
    let request = match query {
        Some(query) => Request::Query(query),
        None => {
            let key = fields.text("key")?.map(str::to_owned);
            let (ops, if_revision, shape) = match op {
                "txn" => transaction(&mut fields)?,
                "increment" => (vec![fields.op(op)?], None, Shape::Value),
                _ => (vec![fields.op(op)?], None, Shape::Plain),
            };
            Request::Edit(Edit { ops, key, if_revision, shape })
        }
    };
    fields.finish(op)?;
    Ok(request)
}

fn transaction(fields: &mut Fields<'_>) -> Result<(Vec<Op>, Option<u64>, Shape), Failure> {
    let (mut ops, mut revision) = (Vec::new(), None);
    for condition in fields.objects("if")?.unwrap_or_default() {
        let mut condition = Fields { map: condition, known: Vec::new() };
        match condition.whole("revision")? {
            Some(wanted) => revision = Some(wanted),
            None => ops.push(condition.op("test")?),
        }
        condition.finish("if")?;
    }
    let preconditions = ops.len();
    for op in fields.objects("ops")?.ok_or_else(|| missing("ops"))? {
        let mut op = Fields { map: op, known: Vec::new() };
        let name = op.text("op")?.ok_or_else(|| missing("op"))?;
        ops.push(op.op(name)?);
        op.finish(name)?;
    }
    Ok((ops, revision, Shape::Results { preconditions }))
}

/// The fields of an object, and which of them mean something.
struct Fields<'a> {
    map: &'a Map,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn get(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.map.get(name)
    }

    fn typed<T>(
        &mut self,
        name: &'static str,
        what: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let wrong = |value: &Value| Failure::Usage(format!("`{name}` is to be {what}, not a {}", value.kind()));
        self.get(name).map(|value| read(value).ok_or_else(|| wrong(value))).transpose()
    }

    fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, Failure> {
        self.typed(name, "a string", Value::as_str)
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Failure> {
        Ok(self.typed(name, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    fn whole(&mut self, name: &'static str) -> Result<Option<u64>, Failure> {
        self.typed(name, "a whole number from 0 on", Value::as_u64)
    }

    fn objects(&mut self, name: &'static str) -> Result<Option<Vec<&'a Map>>, Failure> {
        self.typed(name, "an array of objects", |value| value.as_array()?.iter().map(Value::as_object).collect())
    }

    fn path(&mut self, name: &'static str) -> Result<Path, Failure> {
        let text = self.text(name)?.ok_or_else(|| missing(name))?;
        crate::arguments::path(text)
    }

    fn value(&mut self) -> Result<Value, Failure> {
        self.get("value").cloned().ok_or_else(|| missing("value"))
    }

    fn op(&mut self, name: &str) -> Result<Op, Failure> {
        Ok(match name {
            "set" => Op::Set { path: self.path("path")?, value: self.value()? },
            "remove" => Op::Remove { path: self.path("path")? },
            "merge" => Op::Merge { path: self.path("path")?, value: self.value()? },
            "increment" => {
                let by = self.typed("by", "a number", |value| value.as_number().cloned())?;
                Op::Increment { path: self.path("path")?, by: by.unwrap_or_else(|| Number::from(1)) }
            }
            "push" => Op::Push {
                path: self.path("path")?,
                value: self.value()?,
                cap: self.whole("cap")?,
                unique: self.flag("unique")?,
            },
            "insert" => Op::Insert { path: self.path("path")?, value: self.value()? },
            "move" => Op::Move { from: self.path("from")?, to: self.path("to")? },
            "test" => {
                let expected = if self.flag("absent")? { None } else { Some(self.value()?) };
                Op::Test { path: self.path("path")?, expected }
            }
            _ => return Err(Failure::Usage(format!("there is no op `{name}`; `cfgwal help batch` lists them"))),
        })
    }

    /// Every field was understood.
    fn finish(self, op: &str) -> Result<(), Failure> {
        match self.map.keys().find(|key| !self.known.contains(key)) {
            Some(key) => Err(Failure::Usage(format!("`{op}` has no field `{key}`"))),
            None => Ok(()),
        }
    }
}

fn missing(name: &str) -> Failure {
    Failure::Usage(format!("`{name}` is missing"))
}
