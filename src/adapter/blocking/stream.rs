//! The two threads of a connection: one reads, one writes and lets time pass.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::string::ToString;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::vec;
use std::vec::Vec;

use super::core::{Core, Next};
use super::signal::Signal;
use crate::CloseReason;

/// How much is read at once.
pub(super) const READ_CHUNK: usize = 16 * 1024;
/// How long a stream is kept to let the last bytes arrive.  SPEC §16.3
const LINGER: Duration = Duration::from_millis(500);
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
    thread::Builder::new().name("symbolon-read".to_string()).spawn(move || read(&reader, input))?;
    let (writer, signal) = (core.clone(), signal.clone());
    let spawned = thread::Builder::new().name("symbolon-write".to_string()).spawn(move || {
        let reason = write(&writer, &signal, output);
        writer.finish(reason);
        linger(&writer, &signal);
    });
    if let Err(error) = spawned {
        // Ends the reader.
        core.lose_stream();
        core.hang_up(Shutdown::Both);
        return Err(error);
    }
    Ok(())
}

/// Reads until the end of the stream, also behind the end of the connection: what still comes is discarded, so
/// that what was sent last arrives.
fn read(core: &Arc<Core>, mut input: impl Read) {
    let mut chunk = vec![0; READ_CHUNK];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => core.feed(&chunk[..len]),
            Err(error) if is_passing(&error) => {
                if core.look(|state| state.link.closed.is_some()) {
                    break;
                }
                thread::sleep(WOULD_BLOCK);
            }
            Err(_) => break,
        }
    }
    core.lose_stream();
}

/// Writes, and lets time pass, until the connection has ended and its last bytes are written.
fn write(core: &Arc<Core>, signal: &Signal, mut output: impl Write) -> CloseReason {
    let mut bytes = Vec::new();
    let mut unflushed = false;
    loop {
        let next = core.poll_bytes(&mut bytes);
        if unflushed && !matches!(next, Next::Write) {
            match output.flush() {
                Ok(()) => unflushed = false,
                Err(error) if is_passing(&error) => thread::sleep(WOULD_BLOCK),
                Err(_) => return broken(core, signal),
            }
            continue;
        }
        match next {
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
