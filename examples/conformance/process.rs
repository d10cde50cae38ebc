//! A peer behind its adapter: a program that answers each line by one line.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Whatever answers the adapter protocol.
pub trait Adapter {
    /// One command, and what came of it.
    fn ask(&mut self, command: &Value) -> Result<Value, String>;
}

pub struct Process {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
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
        let to = child.stdin.take().ok_or("no standard input")?;
        let from = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut this = Self { child, to, from, name: program.clone() };
        let hello = this.ask(&json!({ "cmd": "hello" }))?;
        let word = |field: &str| hello[field].as_str().unwrap_or("?").to_owned();
        this.name = format!("{} {}", word("name"), word("version"));
        Ok(this)
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Adapter for Process {
    fn ask(&mut self, command: &Value) -> Result<Value, String> {
        let sent = writeln!(self.to, "{command}").and_then(|()| self.to.flush());
        sent.map_err(|error| format!("the adapter has gone: {error}"))?;
        let mut line = String::new();
        let len = self.from.read_line(&mut line).map_err(|error| error.to_string())?;
        if len == 0 {
            return Err(format!("the adapter has gone, after {command}"));
        }
        serde_json::from_str(&line).map_err(|error| format!("no JSON ({error}): {line}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that does not leave by itself has to.
        let _gone = writeln!(self.to, "{}", json!({ "cmd": "quit" }));
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
