//! The process of the devices, as the gateway's sees it: a line goes in, a line of numbers comes out.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use symbolon::PeerId;

use crate::DEVICES;

pub struct Child {
    process: process::Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Child {
    pub fn new(address: SocketAddr, peer: PeerId) -> Self {
        let program = env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.args([DEVICES, &address.to_string(), &peer.to_string()]);
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a second process");
        let commands = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, commands, answers }
    }

    /// Has the devices do something, and waits until it is done.
    pub fn ask(&mut self, command: &str) -> Vec<f64> {
        writeln!(self.commands, "{command}").expect("it lives");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        assert!(answer.ends_with('\n'), "the devices have died at: {command}");
        answer.split_whitespace().map(|number| number.parse().expect("a number")).collect()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
