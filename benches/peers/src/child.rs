//! A child process, as its parent sees it: the leader of a group, with lines each way, that ends in time.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{self, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// How long a child may take to end, once it has said all.
const ENDING: Duration = Duration::from_secs(5);

pub struct Child {
    process: process::Child,
    group: Pid,
    input: ChildStdin,
    lines: Receiver<String>,
    complaints: JoinHandle<String>,
    until: Instant,
    /// Whether its group is gone for certain, so that its number may be that of another.
    ended: bool,
}

impl Child {
    /// This program again, with these arguments; it has this long for all that it does.
    pub fn start(arguments: &[String], within: Duration) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let group =
            i32::try_from(process.id()).ok().and_then(Pid::from_raw).context("a process has an id")?;
        let input = process.stdin.take().context("stdin is piped")?;
        let (output, errors) = process.stdout.take().zip(process.stderr.take()).context("both are piped")?;
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Who started the child may have given it up.
                let _unread = tell.send(line);
            }
        });
        let complaints = thread::spawn(move || last_line(errors));
        Ok(Self { process, group, input, lines, complaints, until: Instant::now() + within, ended: false })
    }

    pub fn tell(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").context("the child reads no more")
    }

    /// The next line; `None` where the child has nothing more to say.
    pub fn line(&mut self) -> Result<Option<String>> {
        match self.lines.recv_timeout(self.until.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("hung, and was killed"),
        }
    }

    /// The next line, which begins with this word; what follows it.
    pub fn answer(&mut self, word: &str) -> Result<String> {
        let Some(line) = self.line()? else { bail!("ended before it said `{word}`") };
        line.strip_prefix(word).map(|rest| rest.trim().to_owned()).ok_or_else(|| anyhow!("said {line}"))
    }

    /// Waits until it has ended by itself; an error where it has failed, with its last words.
    pub fn end(mut self) -> Result<()> {
        let until = Instant::now() + ENDING;
        let status = loop {
            if let Some(status) = self.process.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                bail!("does not end, and was killed");
            }
            thread::sleep(Duration::from_millis(5));
        };
        self.kill();
        if status.success() {
            return Ok(());
        }
        let words = std::mem::replace(&mut self.complaints, thread::spawn(String::new));
        bail!("{status}: {}", words.join().unwrap_or_default())
    }

    /// It and all that it has started.
    fn kill(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            // Where nobody is left of the group, nothing is left to do.
            let _gone = kill_process_group(self.group, Signal::KILL);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        let _reaped = self.process.wait();
    }
}

fn last_line(mut errors: impl Read) -> String {
    let mut text = String::new();
    // What is no text is not worth showing.
    let _read = errors.read_to_string(&mut text);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("without a word").to_owned()
}
