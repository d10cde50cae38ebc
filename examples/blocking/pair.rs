//! Starts the two devices as processes of their own, introduces them to each other, and shows what they say.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use symbolon::{Identity, PeerId, SecretKey, Seed};

use crate::introduction::Introduction;
use crate::{Failure, PATIENCE};

/// How long the devices may take for all but the waiting.
const MANNERS: Duration = Duration::from_secs(15);

/// Who has said what.
type Said = (&'static str, String);

/// A device, ended with the process that has started it.
struct Tenant {
    name: &'static str,
    process: Child,
    input: ChildStdin,
}

impl Drop for Tenant {
    fn drop(&mut self) {
        // One that has ended by itself cannot be ended again.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

pub fn run() -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE + MANNERS;
    let (sensor_key, fan_key) = (SecretKey::random()?, SecretKey::random()?);
    let (sensor_id, fan_id) = (id_of(&sensor_key)?, id_of(&fan_key)?);
    let (said, hear) = mpsc::channel();

    let mut fan = start("fan", said.clone())?;
    fan.input.write_all(Introduction::line(&fan_key, sensor_id, "").as_bytes())?;
    let (_, first) = next(&hear, until)?.ok_or("the fan did not begin")?;
    let address = first.strip_prefix("address ").ok_or("expected an address")?;
    println!("{:>6} | listens on {address}, is {fan_id}", "fan");

    let mut sensor = start("sensor", said)?;
    sensor.input.write_all(Introduction::line(&sensor_key, fan_id, address).as_bytes())?;
    let mut summary = Vec::new();
    while let Some((name, line)) = next(&hear, until)? {
        match line.strip_prefix("summary ") {
            Some(text) => summary.push(format!("{name:>6} | {text}")),
            None => println!("{name:>6} | {line}"),
        }
    }
    for tenant in [&mut sensor, &mut fan] {
        if !tenant.process.wait()?.success() {
            return Err(format!("the {} has failed", tenant.name).into());
        }
    }
    println!("\nsummary\n{}", summary.join("\n"));
    Ok(())
}

fn start(name: &'static str, said: Sender<Said>) -> Result<Tenant, Failure> {
    let mut process = Command::new(std::env::current_exe()?)
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let input = process.stdin.take().ok_or("no standard input")?;
    let output = process.stdout.take().ok_or("no standard output")?;
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if said.send((name, line)).is_err() {
                break;
            }
        }
    });
    Ok(Tenant { name, process, input })
}

/// What is said next; `None` once both have fallen silent.
fn next(hear: &Receiver<Said>, until: Instant) -> Result<Option<Said>, Failure> {
    match hear.recv_timeout(until.saturating_duration_since(Instant::now())) {
        Ok(said) => Ok(Some(said)),
        Err(RecvTimeoutError::Disconnected) => Ok(None),
        Err(RecvTimeoutError::Timeout) => Err("the devices do not come to an end".into()),
    }
}

fn id_of(secret: &SecretKey) -> Result<PeerId, Failure> {
    Ok(Identity::new(secret, Seed::random()?).peer_id())
}
