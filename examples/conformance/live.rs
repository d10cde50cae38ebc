//! A live conversation over TCP with an implementation in another language, in either role.  Both sides do the same
//! work at once: they serve it, and have it done.
//!
//! ```text
//! cargo run --example conformance_live -- listen PORT
//! cargo run --example conformance_live -- dial PORT
//! ```
//!
//! `tests/vectors/verify.py` is the other side, with the same arguments; `.ci/interop` runs both against each other.

use std::error::Error;
use std::io::Read;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use symbolon::blocking::{CallError, Device, Handle, SubscribeOptions};
use symbolon::{Identity, Kind, Overflow, PeerId, SecretKey, Seed, Status};

type Failure = Box<dyn Error + Send + Sync>;

/// The identities of this conversation are known to everybody, and good for nothing else.
const LISTENER: [u8; 32] = [0x4c; 32];
const DIALLER: [u8; 32] = [0x44; 32];
/// The longest publication.
const LONG: usize = 100_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    // Whatever hangs is a failure, too.
    let (told, outcome) = channel();
    thread::spawn(move || drop(told.send(run())));
    match outcome.recv_timeout(PATIENCE) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(failure)) => {
            eprintln!("conformance_live: {failure}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("conformance_live: not done after {PATIENCE:?}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let usage = "say `listen PORT` or `dial PORT`";
    let mut words = std::env::args().skip(1);
    let (role, port) = (words.next().ok_or(usage)?, words.next().ok_or(usage)?.parse::<u16>()?);
    let (done, served) = channel();
    match role.as_str() {
        "listen" => {
            let device = device(LISTENER, DIALLER, done)?;
            let server = device.listen(("127.0.0.1", port))?.spawn()?;
            println!("listening on {}", server.local_addr().port());
            let link = server.accept_timeout(PATIENCE)?;
            work(&link)?;
            let reason = link.closed();
            let orderly = reason == symbolon::CloseReason::Remote(Status::OK);
            if orderly { Ok(()) } else { Err(format!("it ended otherwise: {reason}").into()) }
        }
        "dial" => {
            let device = device(DIALLER, LISTENER, done)?;
            let link = device.connect(("127.0.0.1", port), peer_id(LISTENER))?;
            work(&link)?;
            wait(&served)?;
            let reason = link.close();
            let orderly = reason == symbolon::CloseReason::Local(Status::OK);
            if orderly { Ok(()) } else { Err(format!("it ended otherwise: {reason}").into()) }
        }
        _ => Err(usage.into()),
    }
}

fn wait(served: &Receiver<()>) -> Result<(), Failure> {
    served.recv_timeout(PATIENCE).map_err(|_| "the other side was never done".into())
}

fn identity(secret: [u8; 32]) -> Result<Identity, Failure> {
    Ok(Identity::new(&SecretKey::from_bytes(secret), Seed::random()?))
}

fn peer_id(secret: [u8; 32]) -> PeerId {
    let start = Seed::new(std::array::from_fn(|i| i as u8)).expect("bytes that differ");
    Identity::new(&SecretKey::from_bytes(secret), start).peer_id()
}

/// What is served.
fn device(own: [u8; 32], other: [u8; 32], done: Sender<()>) -> Result<Device, Failure> {
    let every = Kind::Event { depth: 64, overflow: Overflow::Refuse };
    let device = Device::builder(identity(own)?)
        .trust([peer_id(other)])
        .name("Rust")
        .topic_raw("count/a", every)
        .topic_raw("count/long", every)
        .on_raw("echo", |_, body| Ok(body))
        .on_raw("publish", |context, body| {
            let number: u32 = std::str::from_utf8(&body)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(Status::BAD_REQUEST)?;
            let link = context.handle();
            for value in 0..number {
                link.publish_raw("count/a", value.to_string().as_bytes())?;
            }
            link.publish_raw("count/long", &pattern(LONG))?;
            Ok("".into())
        })
        .on_raw("done", move |_, _| {
            // Whoever listens does not wait for it.
            let _ = done.send(());
            Ok("".into())
        })
        .on_stream_raw("copy", |_, _, mut exchange| {
            let mut answer = exchange.reply.start(b"")?;
            while let Some(chunk) = exchange.body.chunk()? {
                answer.write_all(&chunk)?;
            }
            Ok(answer.finish()?)
        });
    Ok(device.build()?)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// What is asked of the other side.
fn work(link: &Handle) -> Result<(), Failure> {
    for len in (0..2_000).step_by(100) {
        let body = pattern(len);
        let answer = link.call_raw("echo", &body, None)?;
        same("an echo", &answer, &body)?;
    }
    match link.call_raw("nothing", b"", None) {
        Err(CallError::Status(Status::NOT_FOUND, _)) => {}
        other => return Err(format!("a method that is not served: {other:?}").into()),
    }
    offers(link)?;
    copy(link)?;
    publications(link)?;
    link.call_raw("done", b"", None)?;
    Ok(())
}

/// Both sides offer the same.
fn offers(link: &Handle) -> Result<(), Failure> {
    let told = link.describe()?;
    let methods: Vec<_> = told.methods().map(|method| (method.name, method.reply_chunks)).collect();
    let topics: Vec<_> = told.topics().map(|topic| (topic.name, topic.is_event)).collect();
    let as_they_are = methods == [("copy", true), ("done", false), ("echo", false), ("publish", false)]
        && topics == [("count/a", true), ("count/long", true)];
    if as_they_are { Ok(()) } else { Err(format!("another offer: {told:?}").into()) }
}

fn copy(link: &Handle) -> Result<(), Failure> {
    let body = pattern(200_000);
    let (mut writer, reply) = link.open_raw("copy", b"", None)?;
    let sent = body.clone();
    let writing = thread::spawn(move || -> Result<(), Failure> {
        writer.write_all(&sent)?;
        Ok(writer.finish()?)
    });
    let (_, mut reader) = reply.wait()?;
    let mut came = Vec::new();
    reader.read_to_end(&mut came)?;
    writing.join().map_err(|_| "the writer has gone")??;
    same("a copy", &came, &body)
}

fn publications(link: &Handle) -> Result<(), Failure> {
    let mut options = SubscribeOptions::default();
    (options.window, options.largest) = (65_536, 200_000);
    let mut subscription = link.subscribe_raw("count/#", options)?;
    link.call_raw("publish", b"10", None)?;
    let mut expected: Vec<(&str, Vec<u8>)> =
        (0..10).map(|n: u32| ("count/a", n.to_string().into())).collect();
    expected.push(("count/long", pattern(LONG)));
    for (topic, body) in expected {
        let delivery = subscription.recv_timeout(PATIENCE)?;
        let publication = delivery.publication.filter(|_| !delivery.missed.is_any());
        let publication = publication.ok_or("publications were missed")?;
        same(topic, publication.topic.as_bytes(), topic.as_bytes())?;
        same(topic, &publication.body, &body)?;
    }
    Ok(())
}

fn same(what: &str, found: &[u8], expected: &[u8]) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {} bytes that differ", found.len()).into()) }
}
