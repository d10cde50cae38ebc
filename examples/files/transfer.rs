//! One attempt to send a file: connect, ask what is there, send the rest.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Seek, SeekFrom, stderr};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use symbolon::blocking::{CallError, ConnectError, Device, Handle};
use symbolon::{CloseReason, HandshakeError, PeerId, SendError, Status};

use crate::digest;
use crate::messages::{Digest, Found, Offer, PART_CHANGED, SOURCE_CHANGED, Send, Stored, explain};
use crate::progress::{Progress, percent, say, size};

/// How long the receiver may take to hash what is there.
const HASHING: Duration = Duration::from_secs(3600);

/// More than the buffers and the credit on the way: who has written so much knows that some of it has arrived.
const PROVEN: u64 = 1024 * 1024;

/// A file, as it was when this program began.
pub struct Source<'a> {
    path: &'a Path,
    file: File,
    offer: Offer,
    /// How much was there when it was gone on with last.
    found: Option<u64>,
}

/// Why an attempt has failed.
pub enum Setback {
    /// It may go better next time.
    Passing(String),
    /// It will not.
    Lasting(String),
}

impl<'a> Source<'a> {
    /// Reads all of the file once, to know what is sent.
    pub fn read(path: &'a Path) -> Result<Self, String> {
        let fail = |error: io::Error| format!("{}: {error}", path.display());
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| format!("{} has no name to send", path.display()))?.to_owned();
        let mut file = File::open(path).map_err(fail)?;
        let about = file.metadata().map_err(fail)?;
        if !about.is_file() {
            return Err(format!("{} is no file", path.display()));
        }
        let length = about.len();
        // Short beside the sending, and of interest only to somebody who sits there and waits.
        let mut progress = stderr().is_terminal().then(|| Progress::new("being read", 0, length));
        let shown = |bytes| progress.iter_mut().for_each(|progress| progress.at(bytes));
        let state = digest::of_first(&mut file, length, shown).map_err(fail)?;
        Ok(Self { path, file, offer: Offer { name, length, digest: digest::so_far(&state) }, found: None })
    }

    /// Makes one attempt, and says what has come of it; `moved` is called where it has brought the
    /// file forward, or the one before has.
    pub fn send(&mut self, link: &Handle, moved: impl FnOnce()) -> Result<(), Setback> {
        let found = link.call_timeout(&self.offer, HASHING).map_err(|error| setback(link, error))?;
        let (length, digest) = match found {
            Found::Whole(name) => {
                say(format_args!("already there: {name}, with the same SHA-256"));
                return Ok(());
            }
            Found::Part { length, digest } => (length, digest),
        };
        let (from, before) = self.compare(length, digest)?;
        if from > 0 {
            let (done, total) = (size(from), size(self.offer.length));
            say(format_args!("going on at {done} of {total} ({} %)", percent(from, self.offer.length)));
        } else if length > 0 {
            say(format_args!("the part that is there is of something else: from the beginning"));
        }
        self.send_rest(link, from, before, moved)
    }

    /// Where to go on: behind the part that is there, if this file begins so, and else at the beginning.
    fn compare(&mut self, length: u64, digest: Digest) -> Result<(u64, Sha256), Setback> {
        self.file.rewind().map_err(|error| self.unreadable(&error))?;
        if length <= self.offer.length {
            let state = digest::of_first(&mut self.file, length, |_| {});
            let state = state.map_err(|error| self.unreadable(&error))?;
            if digest::so_far(&state) == digest {
                return Ok((length, state));
            }
        }
        Ok((0, Sha256::new()))
    }

    fn send_rest(
        &mut self,
        link: &Handle,
        from: u64,
        mut state: Sha256,
        moved: impl FnOnce(),
    ) -> Result<(), Setback> {
        self.file.seek(SeekFrom::Start(from)).map_err(|error| self.unreadable(&error))?;
        let head = Send { offer: self.offer.clone(), from, before: digest::so_far(&state) };
        let (mut body, reply) = link.open(&head).map_err(|error| setback(link, error))?;
        let mut progress = Progress::new(&self.offer.name, from, self.offer.length);
        let mut buffer = vec![0; 64 * 1024];
        let mut at = from;
        while at < self.offer.length {
            let most = usize::try_from(self.offer.length - at).unwrap_or(usize::MAX).min(buffer.len());
            let bytes = match self.file.read(&mut buffer[..most]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(len @ 1..) => &buffer[..len],
                Ok(_) => {
                    // A body that is only dropped would be kept as a part, to go on with.  And the reply is waited for: to
                    // drop it is to cancel, which might overtake this.
                    body.reset(SOURCE_CHANGED);
                    let _refused = reply.wait();
                    return Err(self.unreadable(&ErrorKind::UnexpectedEof.into()));
                }
                Err(error) => return Err(self.unreadable(&error)),
            };
            // Why it takes no more, the reply says: it refuses, or the link is cut.
            if body.write_all(bytes).is_err() {
                break;
            }
            state.update(bytes);
            at += bytes.len() as u64;
            progress.at(at);
        }
        if at == self.offer.length {
            // Where that fails, the reply says why as well.
            let _finished = body.finish();
        }
        let answer = reply.wait();
        if at - from > PROVEN || self.found.is_none_or(|found| from > found) {
            moved();
        }
        self.found = Some(from);
        let summary = progress.summary();
        drop(progress);
        self.judge(link, answer.map(|(stored, _)| stored), at, &state, &summary)
    }

    /// What came of it: the answer, after `at` bytes of the file were read, with this digest.
    fn judge(
        &self,
        link: &Handle,
        answer: Result<Stored, CallError>,
        at: u64,
        state: &Sha256,
        summary: &str,
    ) -> Result<(), Setback> {
        match answer {
            Ok(stored) if stored.digest == self.offer.digest => {
                say(format_args!("sent: {}, {summary}; there it has the same SHA-256", stored.name));
                Ok(())
            }
            Ok(stored) => Err(Setback::Lasting(format!("{} has another digest there", stored.name))),
            Err(CallError::Status(..))
                if at == self.offer.length && digest::so_far(state) != self.offer.digest =>
            {
                Err(Setback::Lasting(format!("{}: {}", self.path.display(), explain(SOURCE_CHANGED))))
            }
            Err(error) => match setback(link, error) {
                Setback::Passing(why) => {
                    say(format_args!("cut at {} %", percent(at, self.offer.length)));
                    Err(Setback::Passing(why))
                }
                lasting => Err(lasting),
            },
        }
    }

    fn unreadable(&self, error: &io::Error) -> Setback {
        let path = self.path.display();
        Setback::Lasting(match error.kind() {
            ErrorKind::UnexpectedEof => format!("{path} is shorter than it was; nothing is kept"),
            _ => format!("{path}: {error}"),
        })
    }
}

/// Dials, and says what is wrong where it does not help to try again.
pub fn connect(device: &Device, address: &str, receiver: PeerId) -> Result<Handle, Setback> {
    let (me, short) = (device.peer_id(), receiver.short());
    device.connect(address, receiver).map_err(|error| match error {
        ConnectError::Closed(CloseReason::Remote(Status::REFUSED)) => {
            Setback::Lasting(format!("{short} does not know you; add there: --friend {me}"))
        }
        ConnectError::Closed(CloseReason::NotAdmitted(other)) => {
            Setback::Lasting(format!("at {address} is {other}, and not {short}"))
        }
        ConnectError::Closed(CloseReason::Handshake(HandshakeError::NotSymbolon)) => {
            Setback::Lasting(format!("what answers at {address} is no receive_file"))
        }
        ConnectError::Io(error) if error.kind() == ErrorKind::InvalidInput => {
            Setback::Lasting(format!("{address}: {error}"))
        }
        error => Setback::Passing(format!("no {short} at {address}: {error}")),
    })
}

fn setback(link: &Handle, error: CallError) -> Setback {
    match error {
        CallError::Busy(_) => {
            Setback::Passing("the receiver is busy: this file is being sent already".to_owned())
        }
        // The last two: it had ended, or was about to, before anything was said.
        CallError::Disconnected
        | CallError::NotExecuted
        | CallError::Send(SendError::Closed | SendError::GoingAway) => match link.closed() {
            // To try again would do the same to the other.  SPEC §18
            CloseReason::Remote(Status::REPLACED) => Setback::Lasting(
                "another with the same key has connected; give each its own `--key`".to_owned(),
            ),
            reason => Setback::Passing(format!("the link was cut: {reason}")),
        },
        CallError::Status(status @ PART_CHANGED, _) => Setback::Passing(explain(status)),
        CallError::Status(Status::NOT_FOUND, _) => Setback::Lasting("the receiver takes no files".to_owned()),
        CallError::Status(status, _) => Setback::Lasting(explain(status)),
        error @ (CallError::DeadlinePassed | CallError::Stalled) => Setback::Passing(error.to_string()),
        error => Setback::Lasting(error.to_string()),
    }
}
