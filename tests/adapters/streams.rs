//! Bodies in chunks: whole, both ways, given up, cut, late and stalled.

mod endings;
mod sharing;
mod stops;
mod whole;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use symbolon::Status;
use symbolon::tokio::{BodyError, CallError};

use super::bodies::{Reader, body_error};
use super::bytes::pattern;
use super::peers::{Handle, PATIENCE, Plan, plan};
use super::{Double, Doubled, Meeting, until};

pub use endings::{
    a_close_lets_open_bodies_end_in_time, a_cut_connection_is_no_end_of_file, a_live_body_may_pause,
    a_total_deadline_passes_in_the_middle_of_a_body, bodies_that_stand_still_are_given_up,
};
pub use sharing::{
    a_call_overtakes_bodies, a_reader_that_sleeps_delays_nobody,
    requests_beyond_the_limit_wait_for_their_turn, who_takes_no_chunks_says_so,
};
pub use stops::{
    a_caller_goes_away, a_handler_fails_before_and_behind_its_head, a_reader_of_a_reply_stops_it,
    a_reader_of_a_request_stops_it, a_writer_gives_its_body_up, an_answer_may_come_before_the_body_was_read,
    halves_may_outlive_their_handler,
};
pub use whole::{
    an_echo_is_read_while_it_is_written, bodies_come_down_whole, bodies_go_up_whole,
    heads_travel_apart_from_bodies, nothing_is_lost_however_it_races, single_bytes_are_joined,
    ten_at_once_each_way,
};

const OWN: Status = Status::new(300);

const MIB: usize = 1 << 20;

/// How many requests a device here takes at once.
const SLOTS: usize = 12;

fn number(head: &[u8]) -> usize {
    let bytes = head.first_chunk().expect("eight bytes");
    u64::from_le_bytes(*bytes) as usize
}

fn sha(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(bytes))
}

/// What arrived, as a digest.
#[derive(Default)]
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All of a body, or why not, and how much came before that.
fn read(body: &mut dyn Reader) -> Result<Vec<u8>, (usize, BodyError)> {
    let mut bytes = Vec::new();
    let copied = io::copy(body, &mut bytes);
    match copied {
        Ok(_) => Ok(bytes),
        Err(error) => Err((bytes.len(), body_error(&error))),
    }
}

fn why(read: Result<Vec<u8>, (usize, BodyError)>) -> BodyError {
    read.expect_err("it is not complete").1
}

/// A device that digests, gives and echoes.
fn served(number: u8) -> Plan {
    plan(number)
        .limits(|limits| limits.requests_in = SLOTS as u16)
        .on_stream("digest", |_, _, mut exchange| {
            let mut hashing = Hashing::default();
            io::copy(&mut exchange.body, &mut hashing).map_err(|error| body_error(&error))?;
            exchange.reply.send(&hashing.0.finalize());
            Ok(())
        })
        .on_stream("give", |_, head, exchange| {
            let bytes = pattern(self::number(&head));
            let mut writer = exchange.reply.start(&sha(&bytes))?;
            writer.put(&bytes)?;
            Ok(writer.finish()?)
        })
        .on_stream("mirror", |_, head, mut exchange| {
            let mut writer = exchange.reply.start(&head)?;
            while let Some(chunk) = exchange.body.chunk()? {
                writer.put(&chunk)?;
            }
            Ok(writer.finish()?)
        })
}

impl Meeting {
    fn is_clean(&self) {
        self.is_clean_with(SLOTS);
    }

    /// Nothing of what was is left at either end: no half, no slot of so many, and the connection works.
    fn is_clean_with(&self, slots: usize) {
        for end in self.ends() {
            until(|| format!("{end:?}").contains("held: 0"));
        }
        for end in self.ends() {
            assert_eq!(end.call(&Double(21)), Ok(Doubled(42)));
            assert_eq!(digest(end, &[7; 1_000]), Ok(sha(&[7; 1_000])));
            let opened: Vec<_> = (0..slots).map(|_| end.open("mirror", b"", None).unwrap()).collect();
            let all = opened.into_iter().map(|(writer, reply)| (writer, reply.wait().unwrap()));
            assert_eq!(all.collect::<Vec<_>>().len(), slots);
        }
    }
}

fn digest(end: &dyn Handle, bytes: &[u8]) -> Result<Bytes, CallError> {
    let (mut writer, reply) = end.open("digest", b"", None)?;
    writer.put(bytes).unwrap();
    writer.finish().unwrap();
    let (head, mut rest) = reply.wait()?;
    assert_eq!(rest.chunk(), Ok(None), "nothing follows");
    Ok(head)
}

/// What is said once and heard once, for handlers that a test leads.
fn line<T: Send + 'static>() -> (mpsc::Sender<T>, Arc<dyn Fn() -> T + Send + Sync>) {
    let (say, heard) = mpsc::channel();
    let heard = Mutex::new(heard);
    let hear = move || heard.lock().unwrap().recv_timeout(PATIENCE).expect("it is said");
    (say, Arc::new(hear))
}
