//! Sends a file to a `receive_file`, on this machine or another.
//!
//! ```text
//! cargo run --example send_file -- ADDRESS ID FILE [--key FILE] [--patience SECONDS]
//! ```
//!
//! Address and id are what the receiver has printed.  When the link is cut, it connects again by itself, asks what has
//! arrived, and goes on from there; only where nothing has moved for `--patience`, 60 seconds without it, does it give
//! up.  Run again later, it goes on all the same.  Exit status 0 means that the whole is there, compared by its
//! SHA-256.

mod digest;
mod messages;
mod patience;
mod progress;
mod transfer;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, thread};

use symbolon::blocking::Device;
use symbolon::{Identity, PeerId, Timeouts};

use patience::Patience;
use progress::say;
use transfer::{Setback, Source, connect};

const USAGE: &str = "say `ADDRESS ID FILE`, and perhaps `--key FILE` or `--patience SECONDS`";

fn main() -> ExitCode {
    let Err(error) = send_file() else { return ExitCode::SUCCESS };
    eprintln!("send_file: {error}");
    ExitCode::FAILURE
}

fn send_file() -> Result<(), Box<dyn Error>> {
    let (mut plain, mut key, mut patience) = (Vec::new(), "send.key".to_owned(), Duration::from_secs(60));
    let mut words = env::args_os().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().and_then(|word| word.into_string().ok()).ok_or(USAGE);
        match word.to_str() {
            Some("--key") => key = value()?,
            Some("--patience") => patience = Duration::from_secs(value()?.parse()?),
            _ => plain.push(word),
        }
    }
    let [address, id, path] = &plain[..] else { return Err(USAGE.into()) };
    let (address, id) = (address.to_str().ok_or(USAGE)?, id.to_str().ok_or(USAGE)?.parse()?);
    let identity = Identity::load_or_create(&key).map_err(|error| format!("the key file {key}: {error}"))?;
    let device = Device::builder(identity).timeouts(timeouts()).build()?;
    say(format_args!("sending as {}", device.peer_id()));
    deliver(&device, address, id, &mut Source::read(Path::new(path))?, patience)
}

/// Makes attempts until one succeeds, or there is no sense in more.
fn deliver(
    device: &Device,
    address: &str,
    receiver: PeerId,
    source: &mut Source,
    most: Duration,
) -> Result<(), Box<dyn Error>> {
    let mut patience = Patience::new(most);
    loop {
        let sent = connect(device, address, receiver).and_then(|link| {
            let sent = source.send(&link, || patience.renew());
            link.close();
            sent
        });
        let why = match sent {
            Ok(()) => return Ok(()),
            Err(Setback::Lasting(why)) => return Err(why.into()),
            Err(Setback::Passing(why)) => why,
        };
        let Some(wait) = patience.next_wait() else {
            let most = most.as_secs();
            return Err(format!(
                "given up, since nothing has moved for {most} s: {why}; run it again to go on"
            )
            .into());
        };
        say(format_args!("{why}; trying again in {:.1} s", wait.as_secs_f64()));
        thread::sleep(wait);
    }
}

fn timeouts() -> Timeouts {
    let mut timeouts = Timeouts::default();
    // The receiver may have to hash much before it takes the first byte.
    timeouts.body_idle = Some(Duration::from_secs(600));
    // Where this side vanishes without a word, the receiver notices after that: until then it is busy with this file.
    timeouts.silence = Some(Duration::from_secs(10));
    timeouts
}
