//! A running `batch`, line by line: the writer that tests talk to, kill and suspend.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Ran, Store, ran};

/// A `batch` that waits for lines.
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Session {
    pub fn start(store: &Store) -> Session {
        Session::of(store.command(&["batch"]))
    }

    pub fn of(mut batch: Command) -> Session {
        batch.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = batch.spawn().expect("batch starts");
        let stdin = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("its output")).lines();
        Session { child, stdin, answers }
    }

    /// Sends a line; whether it was taken. A process that was killed takes none.
    pub fn send(&mut self, line: &str) -> bool {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(format!("{line}\n").as_bytes()).is_ok()
    }

    /// The next answer; `None`: the process is gone. An answer is acknowledged when it is whole.
    pub fn answer(&mut self) -> Option<Value> {
        let line = self.answers.next()?.expect("answers can be read");
        serde_json::from_str(&line).ok()
    }

    /// Sends a line and waits for its answer.
    pub fn ask(&mut self, line: &str) -> Option<Value> {
        if self.send(line) { self.answer() } else { None }
    }

    /// Sends a line whose answer must be good.
    pub fn must(&mut self, line: &str) -> Value {
        let Some(answer) = self.ask(line) else {
            let mut said = String::new();
            let _ = self.child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut said));
            panic!("{line}: batch is gone: {:?}: {said}", self.child.wait());
        };
        assert_eq!(answer["ok"], true, "{line}: {answer}");
        answer
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills it at a moment of its own, while the caller goes on talking to it. It stays a zombie until it is
    /// [buried](Session::bury), so its number belongs to nobody else.
    pub fn kill_in(&self, delay: Duration) -> JoinHandle<()> {
        let pid = self.pid();
        std::thread::spawn(move || {
            std::thread::sleep(delay);
            kill_process(pid, Signal::KILL).expect("it can be killed");
        })
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it can be signalled");
    }

    /// Waits for the end of a process that is killed.
    pub fn bury(mut self) {
        drop(self.stdin.take());
        self.child.wait().expect("it ends");
    }

    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.bury();
    }

    /// Ends the input, and waits for the end of the process.
    pub fn finish(mut self) -> Ran {
        drop(self.stdin.take());
        let left: Vec<String> = self.answers.by_ref().map(|line| line.expect("answers can be read")).collect();
        let mut ran = ran(self.child.wait_with_output());
        ran.out = left.join("\n");
        ran
    }
}
