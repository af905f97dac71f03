//! Who makes calls: a `batch` that is killed and suspended, a program that uses the library, single commands.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cfgwal::{Error, Journal, Materialise, Op, State, Transaction};
use rustix::process::Pid;
use serde_json::{Value, json};

use crate::checker::{Config, Do, KEYS, Told, by};
use crate::support::Store;

/// How long a client waits before it gives up and kills its process.
const PATIENCE: Duration = Duration::from_millis(400);

/// The process of each client, for who kills and suspends them.
pub type Pids = Arc<Mutex<Vec<Option<Pid>>>>;

/// Somebody who makes calls.
pub enum Client {
    Batch(Batch),
    Library(Option<Journal>),
    Commands,
}

impl Client {
    /// Whether its next call opens the journal anew, whichever that is by then.
    pub fn starts_anew(&self) -> bool {
        matches!(self, Client::Commands | Client::Library(None) | Client::Batch(Batch { life: None, .. }))
    }

    /// Make some calls at once, and hand each answer to `told` when it comes. `false`: the journal is gone.
    pub fn ask(&mut self, store: &Store, calls: &[Do], mut told: impl FnMut(usize, Told)) -> bool {
        match self {
            Client::Batch(batch) => return batch.ask(store, calls, told),
            Client::Library(journal) => {
                for (at, call) in calls.iter().enumerate() {
                    if journal.is_none() {
                        let options = Journal::options().lock_timeout(Duration::from_millis(100));
                        let options = options.materialise(Materialise::After(Duration::from_millis(5)));
                        *journal = options.open(store.file()).ok();
                    }
                    let Some(open) = journal else {
                        told(at, Told::NotApplied);
                        continue;
                    };
                    let answer = ask_library(open, call);
                    let gone = matches!(&answer, Err(error) if is_gone(error));
                    let again = matches!(answer, Err(Error::ReadOnly { .. } | Error::NotApplied(_)));
                    told(at, answer.unwrap_or_else(|error| of_error(&error)));
                    if gone {
                        return false;
                    }
                    if again {
                        // What would come next opens the journal anew: that is for another burst.
                        *journal = None;
                        return true;
                    }
                }
            }
            Client::Commands => {
                for (at, call) in calls.iter().enumerate() {
                    told(at, ask_command(store, call));
                }
            }
        }
        true
    }
}

fn is_gone(error: &Error) -> bool {
    match error {
        Error::NotApplied(inner) | Error::OutcomeUnknown(inner) => is_gone(inner),
        error => matches!(error, Error::Gone { .. }),
    }
}

fn of_error(error: &Error) -> Told {
    match error {
        Error::Refused(_) => Told::Refused,
        Error::NotApplied(_) => Told::NotApplied,
        _ => Told::Unknown,
    }
}

fn ask_library(journal: &Journal, call: &Do) -> Result<Told, Error> {
    let edit = |transaction: Transaction| {
        let ack = journal.append(transaction)?;
        let sum = ack.results.iter().flatten().next().map(|value| value.to().expect("a number"));
        Ok(Told::Applied { revision: ack.revision, sum })
    };
    match *call {
        Do::Set { key, number } => edit(Op::set(KEYS[key], number).into()),
        Do::SetIf { key, expected: Some(value), number } => {
            edit(Transaction::new().test(KEYS[key], value).set(KEYS[key], number))
        }
        Do::SetIf { key, expected: None, number } => {
            edit(Transaction::new().test_absent(KEYS[key]).set(KEYS[key], number))
        }
        Do::Increment { key, number } => edit(Op::increment(KEYS[key], by(number)).into()),
        Do::Both { keys: [one, other], number } => {
            edit(Transaction::new().set(KEYS[one], number).set(KEYS[other], number))
        }
        Do::Push { number } => edit(Transaction::new().push("list", number)),
        Do::Get { key } => {
            let snapshot = journal.snapshot()?;
            let value = snapshot.get(&KEYS[key].parse().expect("a path"));
            let value = value.map(|value| value.to().expect("a number"));
            Ok(Told::Read { revision: Some(snapshot.revision()), value })
        }
        Do::GetAll => {
            let snapshot = journal.snapshot()?;
            Ok(Told::ReadAll { revision: snapshot.revision(), config: config_of(snapshot.state()) })
        }
    }
}

/// What a state holds of that which the calls are about.
pub fn config_of(state: &State) -> Config {
    config(&serde_json::from_str(&state.root().to_string()).expect("a state is JSON"))
}

fn config(whole: &Value) -> Config {
    let keys = KEYS.iter().enumerate().filter_map(|(at, key)| Some((at, whole[key].as_u64()?))).collect();
    let list = whole["list"].as_array().into_iter().flatten().map(|item| item.as_u64().expect("a number")).collect();
    Config { keys, list }
}

/// The line of a batch for a call.
fn line(call: &Do) -> Value {
    match *call {
        Do::Set { key, number } => json!({"op": "set", "path": KEYS[key], "value": number, "key": number.to_string()}),
        Do::SetIf { key, expected, number } => {
            let condition = match expected {
                Some(value) => json!({"path": KEYS[key], "value": value}),
                None => json!({"path": KEYS[key], "absent": true}),
            };
            json!({"op": "txn", "if": [condition], "ops": [{"op": "set", "path": KEYS[key], "value": number}]})
        }
        Do::Increment { key, number } => {
            json!({"op": "increment", "path": KEYS[key], "by": by(number), "key": number.to_string()})
        }
        Do::Both { keys: [one, other], number } => {
            json!({"op": "merge", "path": "", "value": {KEYS[one]: number, KEYS[other]: number}})
        }
        Do::Push { number } => json!({"op": "push", "path": "list", "value": number}),
        Do::Get { key } => json!({"op": "get", "path": KEYS[key]}),
        Do::GetAll => json!({"op": "get", "path": ""}),
    }
}

/// What an answer says.
fn of_answer(call: &Do, answer: &Value) -> Told {
    if answer["ok"] == true {
        let revision = answer["revision"].as_u64().expect("a revision");
        return match call {
            Do::Get { .. } => Told::Read { revision: Some(revision), value: answer["value"].as_u64() },
            Do::GetAll => Told::ReadAll { revision, config: config(&answer["value"]) },
            _ => Told::Applied { revision, sum: answer["value"].as_u64() },
        };
    }
    let error = &answer["error"];
    let message = error["message"].as_str().unwrap_or_default();
    match error["code"].as_str().unwrap_or_default() {
        "not_there" if call.number().is_none() => Told::Read { revision: None, value: None },
        "precondition_failed" | "not_there" | "refused" => Told::Refused,
        _ if message.contains("was not applied") => Told::NotApplied,
        _ => Told::Unknown,
    }
}

/// A single command for a call.
fn ask_command(store: &Store, call: &Do) -> Told {
    let number = call.number().unwrap_or(0).to_string();
    let timeout = ["--lock-timeout", "100ms", "--json"];
    let arguments: Vec<String> = match *call {
        Do::Set { key, .. } => vec!["set".into(), KEYS[key].into(), number],
        Do::SetIf { key, expected: Some(value), .. } => {
            vec!["set".into(), KEYS[key].into(), number, "--if".into(), format!("{}={value}", KEYS[key])]
        }
        Do::SetIf { key, expected: None, .. } => {
            vec!["set".into(), KEYS[key].into(), number, "--if-absent".into(), KEYS[key].into()]
        }
        Do::Increment { key, .. } => vec!["increment".into(), KEYS[key].into(), "--by".into(), format!("{number}000")],
        Do::Both { keys: [one, other], .. } => {
            vec!["merge".into(), format!("{{\"{}\":{number},\"{}\":{number}}}", KEYS[one], KEYS[other])]
        }
        Do::Push { .. } => vec!["push".into(), "list".into(), number],
        Do::Get { key } => vec!["get".into(), KEYS[key].into()],
        Do::GetAll => vec!["get".into(), String::new()],
    };
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(timeout).collect();
    let ran = store.run(&arguments);
    let out: Value = serde_json::from_str(ran.out.trim()).unwrap_or_default();
    match (ran.code, call) {
        (0, Do::Get { .. }) => Told::Read { revision: None, value: out.as_u64() },
        (1, Do::Get { .. }) => Told::Read { revision: None, value: None },
        // The whole config, without its revision.
        (_, Do::Get { .. } | Do::GetAll) => Told::Unknown,
        // Durable is what was answered so, whether or not the file shows it.
        (_, _) if out["revision"].is_u64() => {
            Told::Applied { revision: out["revision"].as_u64().unwrap(), sum: out["value"].as_u64() }
        }
        (1 | 4 | 8, _) => Told::Refused,
        (6, _) => Told::NotApplied,
        _ if ran.err.contains("was not applied") => Told::NotApplied,
        _ => Told::Unknown,
    }
}

/// A `batch` with its answers, waited for with patience. It is started anew when it was killed.
pub struct Batch {
    who: usize,
    pids: Pids,
    life: Option<Life>,
}

struct Life {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Batch {
    pub fn new(who: usize, pids: Pids) -> Batch {
        Batch { who, pids, life: None }
    }

    fn life(&mut self, store: &Store) -> &mut Life {
        let (who, pids) = (self.who, &self.pids);
        self.life.get_or_insert_with(|| {
            let mut command = store.command(&["batch", "--lock-timeout", "100ms"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().expect("batch starts");
            pids.lock().unwrap_or_else(PoisonError::into_inner)[who] = Some(Pid::from_child(&child));
            let stdin = child.stdin.take().expect("its input");
            let lines = BufReader::new(child.stdout.take().expect("its output")).split(b'\n');
            let (send, answers) = channel();
            std::thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    let line = String::from_utf8(line).expect("answers are UTF-8");
                    if send.send(line).is_err() {
                        return;
                    }
                }
            });
            Life { child, stdin, answers }
        })
    }

    /// Kill it, if nobody else has. Its number belongs to nobody else before it is waited for.
    fn bury(&mut self) {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)[self.who] = None;
        if let Some(mut life) = self.life.take() {
            let _ = life.child.kill();
            life.child.wait().expect("it ends");
        }
    }

    fn ask(&mut self, store: &Store, calls: &[Do], mut told: impl FnMut(usize, Told)) -> bool {
        let lines: String = calls.iter().map(|call| format!("{}\n", line(call))).collect();
        let life = self.life(store);
        let sent = life.stdin.write_all(lines.as_bytes()).is_ok();
        let mut gone = false;
        for (at, call) in calls.iter().enumerate() {
            let answer = if sent { life.answers.recv_timeout(PATIENCE) } else { Err(RecvTimeoutError::Disconnected) };
            // Half an answer is none.
            let answer = answer.ok().and_then(|line| serde_json::from_str::<Value>(&line).ok());
            let Some(answer) = answer else {
                (at..calls.len()).for_each(|at| told(at, Told::Unknown));
                self.bury();
                return !gone;
            };
            gone |= answer["error"]["message"].as_str().is_some_and(|message| message.contains("removed or replaced"));
            told(at, of_answer(call, &answer));
        }
        if gone {
            self.bury();
        }
        !gone
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.bury();
    }
}
