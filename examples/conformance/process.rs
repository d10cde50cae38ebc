//! A peer behind its adapter: a program that answers each line by one line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Whatever answers the adapter protocol.
pub trait Adapter {
    /// One command, and what came of it.
    fn ask(&mut self, command: &Value) -> Result<Value, String>;
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an adapter may take to leave.
const FAREWELL: Duration = Duration::from_secs(2);

pub struct Process {
    child: Child,
    /// `None` once there is nothing more to say.
    to: Option<ChildStdin>,
    /// Its lines, from a thread that reads them.
    from: Receiver<String>,
    name: String,
}

impl Process {
    pub fn start(command: &[String]) -> Result<Self, String> {
        let (program, arguments) = command.split_first().ok_or("no command")?;
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{program}: {error}"));
        let mut child = started?;
        let to = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        let (told, from) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| told.send(line)));
        let mut this = Self { child, to, from, name: program.clone() };
        let hello = this.ask(&json!({ "cmd": "hello" }))?;
        let word = |field: &str| hello[field].as_str().unwrap_or("?").to_owned();
        this.name = format!("{} {}", word("name"), word("version"));
        Ok(this)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has left, or does not answer: another one has to be started.
    pub fn is_gone(&mut self) -> bool {
        self.to.is_none() || !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Adapter for Process {
    fn ask(&mut self, command: &Value) -> Result<Value, String> {
        let to = self.to.as_mut().ok_or("the adapter did not answer before")?;
        let sent = writeln!(to, "{command}").and_then(|()| to.flush());
        sent.map_err(|error| format!("the adapter has gone: {error}"))?;
        match self.from.recv_timeout(PATIENCE) {
            Ok(line) => serde_json::from_str(&line).map_err(|error| format!("no JSON ({error}): {line}")),
            Err(_) => {
                self.to = None;
                Err(format!("the adapter has gone, or is silent for {PATIENCE:?}, after {command}"))
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut to) = self.to.take() {
            let _gone = writeln!(to, "{}", json!({ "cmd": "quit" }));
        }
        let until = Instant::now() + FAREWELL;
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        // One that does not leave by itself has to.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
