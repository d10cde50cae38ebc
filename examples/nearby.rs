//! Devices of a local network that find each other: run it in two terminals, or on two machines.
//!
//! ```text
//! cargo run --features mdns --example nearby -- NAME --friend ID …     (`--loopback` for terminals of one machine)
//! ```
//!
//! It makes itself known and tells who is near.  With each friend it keeps a connection, wherever that is at the moment; to
//! others it gives nothing.  Two who meet for the first time begin without `--friend`, and add it after that.  Its key is in
//! the file NAME.key of this folder.

use std::error::Error;
use std::process::ExitCode;
use std::{env, thread};

use symbolon::blocking::{Device, Keeper};
use symbolon::mdns::{Found, LocalNetwork};
use symbolon::{Description, Identity, PeerId};

const USAGE: &str = "say `NAME --friend ID …`, and perhaps `--loopback`";

fn main() -> ExitCode {
    let Err(error) = nearby() else { return ExitCode::SUCCESS };
    eprintln!("nearby: {error}");
    ExitCode::FAILURE
}

fn nearby() -> Result<(), Box<dyn Error>> {
    let (mut names, mut friends, mut loopback) = (Vec::new(), Vec::<PeerId>::new(), false);
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--friend" => friends.push(words.next().ok_or(USAGE)?.parse()?),
            "--loopback" => loopback = true,
            _ => names.push(word),
        }
    }
    let [name] = names.try_into().map_err(|_| USAGE)?;

    let identity = Identity::load_or_create(format!("{name}.key"))?;
    let greeting = format!("hello from {name}").into_bytes();
    let device = Device::builder(identity)
        .trust(friends.clone())
        .on_raw("greet", move |_, _| Ok(greeting.clone().into()))
        .build()?;
    let listener = device.listen(if loopback { "127.0.0.1:0" } else { "0.0.0.0:0" })?;
    let port = listener.local_addr()?.port();
    let _server = listener.spawn()?;
    println!("{name} is {}, on port {port}", device.peer_id());

    let network = if loopback { LocalNetwork::loopback()? } else { LocalNetwork::join()? };
    let _known = network.advertise(device.peer_id(), port)?;
    let own = device.peer_id();
    let _watch = network.watch(move |found| tell(own, &found));
    for friend in friends {
        let keeper = device.keep(friend, [""; 0])?;
        keeper.find_in(&network);
        thread::spawn(move || stay_with(&keeper));
    }
    loop {
        thread::park();
    }
}

fn tell(own: PeerId, Found { peer, addresses, .. }: &Found) {
    if *peer == own {
        return;
    }
    match &addresses[..] {
        [] => println!("gone: {}", peer.short()),
        all => {
            println!("near: {peer} at {}", all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Greets a friend whenever it is there, and looks what it has.
fn stay_with(friend: &Keeper) {
    let name = friend.peer().short().to_string();
    loop {
        let link = friend.connected();
        match link.call_raw("greet", b"", None) {
            Ok(greeting) => println!("{name}: {}", greeting.escape_ascii()),
            Err(error) => println!("{name} does not greet: {error}"),
        }
        match link.describe() {
            Ok(offers) => println!("{name} offers {}", list(&offers)),
            Err(error) => println!("{name} does not say what it offers: {error}"),
        }
        println!("{name} has left: {}", link.closed());
    }
}

fn list(offers: &Description<'_>) -> String {
    let methods = offers.methods().map(|method| method.name.to_owned());
    let topics = offers.topics().map(|topic| format!("topic {}", topic.name));
    methods.chain(topics).collect::<Vec<_>>().join(", ")
}
