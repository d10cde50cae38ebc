//! The parent process, as a child sees it: lines each way, and an end that is not survived.

use std::io::{self, BufRead};
use std::sync::{Mutex, mpsc};
use std::{process, thread};

use anyhow::{Context, Result};
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group};

pub struct Parent {
    lines: Mutex<mpsc::Receiver<String>>,
}

impl Parent {
    /// Listens to the parent from now on.
    ///
    /// When the parent is gone, so is this process with all that it has started: each child leads a group of its own, which
    /// a terminal's interrupt does not reach.
    pub fn listen() -> Self {
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(io::Result::ok) {
                // Nobody asks for lines any more: it is about to end.
                let _unread = tell.send(line);
            }
            // Started by hand, it leads no group.
            if getpgrp() == getpid() {
                let _gone = kill_current_process_group(Signal::KILL);
            }
            process::exit(1);
        });
        Self { lines: Mutex::new(lines) }
    }

    /// Waits for the next line.
    pub fn line(&self) -> Result<String> {
        let lines = self.lines.lock().ok().context("a reader panicked")?;
        lines.recv().context("the parent is gone")
    }

    pub fn say(&self, line: &str) {
        println!("{line}");
    }
}
