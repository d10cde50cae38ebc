//! Receives files from friends, into a folder.
//!
//! ```text
//! cargo run --example receive_file -- --to FOLDER --friend ID … [--listen ADDRESS] [--key FILE] [--once]
//! ```
//!
//! It prints its address and id, which `send_file` wants, and serves for ever; with `--once` until one file is there.
//! Only friends are let in; it says whom it has refused.  What was cut goes on where it stopped, also after this
//! program was killed: whatever has come stands in the folder as `NAME.….part`, and gets its name when all of it is
//! there and compared.  A file that is there is never replaced: another of the same name becomes `NAME (2)`.

mod digest;
mod inbox;
mod messages;
mod names;
mod progress;
mod serve;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

use symbolon::blocking::{Builder, Device};
use symbolon::{Identity, PeerId, Timeouts};

use inbox::Inbox;
use progress::say;

const USAGE: &str =
    "say `--to FOLDER --friend ID …`, and perhaps `--listen ADDRESS`, `--key FILE` or `--once`";

fn main() -> ExitCode {
    let Err(error) = receive_files() else { return ExitCode::SUCCESS };
    eprintln!("receive_file: {error}");
    ExitCode::FAILURE
}

fn receive_files() -> Result<(), Box<dyn Error>> {
    let (mut to, mut friends, mut once) = (None, Vec::new(), false);
    let (mut address, mut key) = ("0.0.0.0:4748".to_owned(), "receive.key".to_owned());
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--to" => to = Some(words.next().ok_or(USAGE)?),
            "--friend" => friends.push(words.next().ok_or(USAGE)?.parse()?),
            "--listen" => address = words.next().ok_or(USAGE)?,
            "--key" => key = words.next().ok_or(USAGE)?,
            "--once" => once = true,
            _ => return Err(USAGE.into()),
        }
    }
    let to = to.ok_or(USAGE)?;
    let inbox = Inbox::new(&to).map_err(|error| format!("the folder {to}: {error}"))?;
    let identity = Identity::load_or_create(&key).map_err(|error| format!("the key file {key}: {error}"))?;

    let (whole, arrived) = mpsc::channel();
    let builder = befriend(Device::builder(identity).timeouts(timeouts()), friends);
    let device = serve::serve(builder, inbox, whole).build()?;
    let listening = device.listen(&address).and_then(|listener| listener.spawn());
    let server = listening.map_err(|error| format!("listening on {address}: {error}"))?;
    say(format_args!("listening on {} as {}", server.local_addr(), device.peer_id()));
    for link in arrived {
        if once {
            // Waits until the sender has had its reply.
            link.close();
            break;
        }
    }
    Ok(())
}

fn timeouts() -> Timeouts {
    let mut timeouts = Timeouts::default();
    // To hash what is there, or to get it to the disk, may take minutes where it is much.  Somebody who is gone is
    // noticed without these, by his silence.
    timeouts.answer = None;
    timeouts.body_idle = Some(Duration::from_secs(600));
    // Where this side vanishes without a word, the sender notices after that.
    timeouts.silence = Some(Duration::from_secs(10));
    timeouts
}

/// Lets in friends, and says whom it has refused.
fn befriend(builder: Builder, friends: Vec<PeerId>) -> Builder {
    // What decides about strangers must not block, and printing may: another thread does it.
    let (refused, strangers) = mpsc::sync_channel::<PeerId>(16);
    thread::spawn(move || {
        strangers.iter().for_each(|id| say(format_args!("refused; to let it in: --friend {id}")))
    });
    builder.admit(move |peer| {
        let known = friends.contains(&peer);
        if !known {
            let _told = refused.try_send(peer);
        }
        known
    })
}
