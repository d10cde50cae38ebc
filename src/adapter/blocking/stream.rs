//! The two threads of a connection: one reads, one writes and lets time pass.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::ToString;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::vec;
use std::vec::Vec;

use super::core::{Core, Next};
use super::signal::Signal;
use crate::CloseReason;
use crate::adapter::host::defaults::LINGER;

/// How much is read at once.
pub(super) const READ_CHUNK: usize = 64 * 1024;
/// The same while the peer is a stranger: more than a handshake has.
const STRANGERS_CHUNK: usize = 2 * 1024;
/// How long to wait where a stream says that it would block, though it should.
pub(super) const WOULD_BLOCK: Duration = Duration::from_millis(5);

/// Moves each half of a stream to a thread of its own.
pub(super) fn spawn(
    core: &Arc<Core>,
    signal: &Arc<Signal>,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> io::Result<()> {
    let reader = core.clone();
    thread::Builder::new().name("symbolon-read".to_string()).spawn(move || {
        // A stream's panic is the end of it, like its error.
        let _panicked = catch_unwind(AssertUnwindSafe(|| read(&reader, input)));
        reader.lose_stream();
        reader.watch_writer();
    })?;
    let (writer, signal) = (core.clone(), signal.clone());
    let spawned = thread::Builder::new().name("symbolon-write".to_string()).spawn(move || {
        let wrote = catch_unwind(AssertUnwindSafe(|| write(&writer, &signal, output)));
        let reason = wrote.unwrap_or_else(|_| broken(&writer, &signal));
        writer.finish(reason);
        linger(&writer, &signal);
        writer.leave();
    });
    spawned.map(drop)
}

/// Reads until the end of the stream, also behind the end of the connection: what still comes is discarded, so
/// that what was sent last arrives.
fn read(core: &Arc<Core>, mut input: impl Read) {
    let mut chunk = vec![0; STRANGERS_CHUNK];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => {
                core.feed(&chunk[..len]);
                if chunk.len() < READ_CHUNK && core.stands() {
                    chunk = vec![0; READ_CHUNK];
                }
            }
            Err(error) if is_passing(&error) => {
                // The writer, which does this otherwise, may be held up.
                core.tick();
                // Not before the last bytes are written and have had their time.
                if core.look(|state| state.link.closed.is_some() && state.writer_gone) {
                    break;
                }
                thread::sleep(WOULD_BLOCK);
            }
            Err(_) => break,
        }
    }
}

/// Writes, and lets time pass, until the connection has ended and its last bytes are written.
fn write(core: &Arc<Core>, signal: &Signal, mut output: impl Write) -> CloseReason {
    let mut bytes = Vec::new();
    let mut unflushed = false;
    let mut ended = None;
    loop {
        match core.poll_bytes(&mut bytes, unflushed) {
            Next::Over(reason) => return reason,
            Next::Wait(within) => signal.wait(within),
            Next::Write => match output.write(&bytes) {
                Err(error) if is_passing(&error) => thread::sleep(WOULD_BLOCK),
                Ok(0) | Err(_) => return broken(core, signal),
                Ok(written) => {
                    unflushed = true;
                    core.wrote(written);
                }
            },
            Next::Flush(closed) => match output.flush() {
                Ok(()) => unflushed = false,
                Err(error) if is_passing(&error) => {
                    if let Some(reason) = closed
                        && ended.get_or_insert_with(Instant::now).elapsed() >= LINGER
                    {
                        return reason;
                    }
                    thread::sleep(WOULD_BLOCK);
                }
                Err(_) => return broken(core, signal),
            },
        }
    }
}

/// The stream takes no more; what arrived before may say why.  SPEC §16.3
fn broken(core: &Arc<Core>, signal: &Signal) -> CloseReason {
    wait_for_reader(core, signal);
    core.lose_stream();
    core.look(|state| state.link.closed).unwrap_or(CloseReason::Truncated)
}

/// Ends a stream so that what was sent last arrives: no more is written, and the reader discards what still
/// comes for a while.  SPEC §16.3
fn linger(core: &Core, signal: &Signal) {
    core.hang_up(Shutdown::Write);
    wait_for_reader(core, signal);
    core.hang_up(Shutdown::Both);
}

fn wait_for_reader(core: &Core, signal: &Signal) {
    let begun = Instant::now();
    while let Some(left) = LINGER.checked_sub(begun.elapsed())
        && !core.look(|state| state.drained)
    {
        signal.wait(Some(left));
    }
}

/// Interrupted; or it was the stream's own time-out, by which it tells that nothing happened so far.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
