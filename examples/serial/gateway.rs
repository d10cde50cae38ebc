//! Reads the sensor, spoils the line, and switches the sensor off and on.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use symbolon::blocking::{Device, Handle, SerialLine, SubscribeError, Subscription};
use symbolon::{Identity, SecretKey, Seed};

use crate::Failure;
use crate::messages::{About, AskTime, Description, Temperature, Time};
use crate::port::{make_raw, timeouts};

/// How long any part may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run() -> Result<(), Failure> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let path = ptsname(&master, Vec::new())?.into_string()?;
    // Held open, so that the line outlives the sensor's process, as copper does.
    let slave = rustix::fs::open(path.as_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    make_raw(&slave)?;
    println!("gateway | the line is {path}");

    let (own, sensor) = (SecretKey::random()?, SecretKey::random()?);
    let sensor_id = Identity::new(&sensor, Seed::random()?).peer_id();
    let identity = Identity::new(&own, Seed::random()?);
    let gateway_id = identity.peer_id();
    let device = Device::builder(identity)
        .timeouts(timeouts())
        .on(|_, AskTime| Ok(Time { seconds: seconds() }))
        .build()?;
    let (input, output, mut spoiler) = (file(&master)?, file(&master)?, file(&master)?);
    let line = device.serial(input, output, |_| {}, Some(sensor_id))?;

    let mut process = Process::start(&path, &sensor, &gateway_id.to_string())?;
    let before = read(&line, 3, "the sensor is there")?;

    spoil(&mut spoiler)?;
    read(&line, 3, "behind the noise")?;

    process.kill()?;
    println!("gateway | killed the sensor");
    let killed = Instant::now();
    process = Process::start(&path, &sensor, &gateway_id.to_string())?;
    let after = read(&line, 3, "the sensor is back")?;
    println!("gateway | {} ms without it", killed.elapsed().as_millis());

    // A session may still end at the last moment; what counts is that the line is left in order.
    line.close();
    process.kill()?;
    println!("gateway | dropped {} damaged or foreign packets", line.dropped());
    if after >= before + 3 {
        return Err("the sensor was not restarted".into());
    }
    Ok(())
}

/// Prints some temperatures, however many sessions that takes; returns the sensor's count of the last.
fn read(line: &SerialLine, wanted: usize, occasion: &str) -> Result<u32, Failure> {
    let begun = Instant::now();
    let mut got = 0;
    while begun.elapsed() < PATIENCE {
        let Some(link) = line.session(Duration::from_secs(1)) else { continue };
        let Ok(mut temperatures) = listen(&link) else { continue };
        while let Ok(Ok(Temperature { millidegrees, number })) = temperatures.recv_timeout(PATIENCE) {
            let (degrees, rest) = (millidegrees / 1000, millidegrees % 1000);
            println!(" sensor | {degrees}.{rest:03} °C   [reading {number}; {occasion}]");
            got += 1;
            if got == wanted {
                return Ok(number);
            }
        }
    }
    Err(format!("only {got} readings, where {occasion}").into())
}

fn listen(link: &Handle) -> Result<Subscription<Temperature>, SubscribeError> {
    if let Ok(about) = link.call_timeout(&About, Duration::from_secs(2)) {
        let Description { started, readings, dropped } = about;
        println!(" sensor | started at {started}, {readings} readings, {dropped} packets dropped so far");
    }
    link.subscribe::<Temperature>()
}

/// What a bad contact does: bytes that nobody sent, also in the middle of packets.
fn spoil(line: &mut File) -> Result<(), Failure> {
    println!("gateway | noise");
    for round in 0..40_u8 {
        let noise: [u8; 23] = std::array::from_fn(|i| (i as u8).wrapping_mul(97) ^ round.wrapping_mul(31));
        line.write_all(&noise)?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn file(port: &OwnedFd) -> Result<File, Failure> {
    Ok(File::from(port.try_clone()?))
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The sensor's process; killed when dropped.
struct Process(Child);

impl Process {
    /// The secret goes by standard input: arguments of a process can be read by others.
    fn start(port: &str, secret: &SecretKey, gateway: &str) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?).arg(port).stdin(Stdio::piped()).spawn()?;
        let secret: String = secret.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut input = process.stdin.take().ok_or("no standard input")?;
        writeln!(input, "{secret}\n{gateway}")?;
        Ok(Self(process))
    }

    fn kill(&mut self) -> Result<(), Failure> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.kill();
    }
}
