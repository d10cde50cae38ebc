//! A chat between two terminals, or two machines, with no server in between.
//!
//! ```text
//! cargo run --example chat -- listen [ADDRESS] --friend ID …     (0.0.0.0:4747 without an address)
//! cargo run --example chat -- call ADDRESS ID
//! ```
//!
//! Each side is known by its key, in a file: `--key FILE`, or `listen.key` and `call.key` in this folder.  The caller
//! dials the listener's id, so nobody else can answer; the listener lets in its friends, and says whom it has refused.
//! Two who meet for the first time begin without `--friend`, and add it after that.

use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::{env, io, thread};

use minicbor::{Decode, Encode};
use symbolon::blocking::{ConnectError, Device, Handle};
use symbolon::{CloseReason, Identity, PeerId, Request, Status};

const USAGE: &str = "say `listen [ADDRESS] --friend ID …` or `call ADDRESS ID`, and perhaps `--key FILE`";

/// A line of text.  A request and no publication: whoever has sent it is told that it was shown.
#[derive(Encode, Decode)]
struct Say(#[n(0)] String);

impl Request for Say {
    const METHOD: &'static str = "chat/say";
    type Reply = ();
}

fn main() -> ExitCode {
    let Err(error) = chat() else { return ExitCode::SUCCESS };
    eprintln!("chat: {error}");
    ExitCode::FAILURE
}

fn chat() -> Result<(), Box<dyn Error>> {
    let (mut plain, mut friends, mut key) = (Vec::new(), Vec::new(), None);
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--friend" => friends.push(words.next().ok_or(USAGE)?.parse()?),
            "--key" => key = Some(words.next().ok_or(USAGE)?),
            _ => plain.push(word),
        }
    }
    match plain.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["listen"] => listen("0.0.0.0:4747", friends, key),
        ["listen", address] => listen(address, friends, key),
        ["call", address, id] => call(address, id.parse()?, key),
        _ => Err(USAGE.into()),
    }
}

fn listen(address: &str, friends: Vec<PeerId>, key: Option<String>) -> Result<(), Box<dyn Error>> {
    let device = device(key.as_deref().unwrap_or("listen.key"), friends.clone())?;
    let server = device.listen(address).and_then(|listener| listener.spawn())?;
    println!("listening on {} as {}", server.local_addr(), device.peer_id());
    let first = server.accept().ok_or("nobody can come any more")?; // what is typed before that waits
    thread::spawn(move || stay_with(&first));
    thread::spawn(move || {
        while let Some(friend) = server.accept() {
            thread::spawn(move || stay_with(&friend));
        }
    });
    converse(&device, &friends, &input().1);
    Ok(())
}

fn call(address: &str, friend: PeerId, key: Option<String>) -> Result<(), Box<dyn Error>> {
    let device = device(key.as_deref().unwrap_or("call.key"), Vec::new())?;
    println!("calling as {}", device.peer_id());
    let link = device.connect(address, friend).map_err(|error| match error {
        ConnectError::Closed(CloseReason::Remote(Status::REFUSED)) => {
            format!("{} does not know you; add there: --friend {}", friend.short(), device.peer_id())
        }
        other => format!("no {} at {address}: {other}", friend.short()),
    })?;
    let (end, lines) = input();
    thread::spawn(move || {
        stay_with(&link);
        end.send(None)
    });
    converse(&device, &[friend], &lines);
    Ok(())
}

/// Who this side is, whom it lets in, and what it does with the lines of others.
fn device(key: &str, friends: Vec<PeerId>) -> Result<Device, Box<dyn Error>> {
    let identity = Identity::load_or_create(key).map_err(|error| format!("the key file {key}: {error}"))?;
    // What decides about strangers must not block, and printing may: another thread does it.
    let (refused, strangers) = mpsc::sync_channel::<PeerId>(16);
    thread::spawn(move || strangers.iter().for_each(|id| println!("refused; to let it in: --friend {id}")));
    let admit = move |peer| {
        let known = friends.contains(&peer);
        if !known {
            let _told = refused.try_send(peer);
        }
        known
    };
    let device = Device::builder(identity).admit(admit).on(|context, Say(text)| {
        // Control characters could do anything to a terminal.
        let text: String = text.chars().filter(|char| !char.is_control()).collect();
        println!("{}: {text}", context.peer().short());
        Ok(())
    });
    Ok(device.build()?)
}

/// Says that a friend has come, and when and why it leaves.
fn stay_with(friend: &Handle) {
    let name = friend.peer().map(|peer| peer.short().to_string()).unwrap_or_default();
    println!("{name} is here");
    match friend.closed() {
        CloseReason::Local(_) => {}
        CloseReason::Remote(Status::OK) => println!("{name} has left"),
        reason => println!("{name} is gone: {reason}"),
    }
}

/// The lines of standard input, and `None` at its end; another who holds the sender may end it earlier.
fn input() -> (SyncSender<Option<String>>, Receiver<Option<String>>) {
    let (sender, lines) = mpsc::sync_channel(1);
    let end = sender.clone();
    thread::spawn(move || {
        let lines = io::stdin().lines().map_while(Result::ok);
        lines.map(Some).chain([None]).try_for_each(|line| sender.send(line))
    });
    (end, lines)
}

/// Sends each line to all friends who are here, until the input ends or the talk does; then takes its leave.
fn converse(device: &Device, friends: &[PeerId], lines: &Receiver<Option<String>>) {
    let here = || friends.iter().filter_map(|friend| device.link(*friend));
    while let Ok(Some(line)) = lines.recv() {
        if here().next().is_none() {
            println!("nobody is here");
        }
        for friend in here() {
            if let Err(error) = friend.call(&Say(line.clone())) {
                println!("not acknowledged: {line:?} ({error})");
            }
        }
    }
    for friend in here() {
        friend.close();
    }
}
