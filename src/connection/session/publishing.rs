//! Subscriptions of theirs: what is published into them, within their credit.  A refused command changes nothing.
//! SPEC §11, §14

use super::Session;
use crate::connection::credit::SendCredit;
use crate::connection::exchanges::{Answer, Exchanges, Taken, TakenKind};
use crate::connection::queue::{OnSeal, Queue};
use crate::connection::wire_out::WireOut;
use crate::error::SendError;
use crate::name;
use crate::publication::{Missed, Outgoing};
use crate::status::Status;
use crate::time::Instant;
use crate::wire::encode::{self, Measured, Series};
use crate::wire::frame;
use crate::wire::message::{Continuation, Message, Publication};

/// From this length on a message is sealed straight from the application's bytes, where there is room: what shorter ones
/// would save in copies, they would lose in frames.
const LONG: usize = 4 * 1024;

/// Where a long message goes without a queue.
pub(crate) struct Through<'a> {
    pub(crate) wire: &'a mut WireOut,
    pub(crate) now: Instant,
}

impl Session {
    pub(crate) fn accept_subscription(&mut self, id: u64) -> Result<(), SendError> {
        let response = Message::Response { id, status: Status::OK, more: true, body: &[] };
        let response = response.measured();
        let len = response.len();
        let taken = self.exchanges.theirs(id).filter(|taken| taken.answer == Answer::Owed);
        let Some(Taken { kind: TakenKind::Subscription { accepted, .. }, .. }) = taken else {
            return Err(SendError::UnknownExchange);
        };
        if *accepted {
            return Err(SendError::UnknownExchange);
        }
        // In the lane of what follows it, so that no publication overtakes it.  LAN-3
        if !self.publications.has_room(len) {
            return Err(SendError::Full);
        }
        *accepted = true;
        self.publications.push(OnSeal::Ongoing, id, &response);
        self.exchanges.on_credited(id);
        Ok(())
    }

    /// Ends a subscription of theirs, behind the publications that wait.
    pub(crate) fn end_subscription(&mut self, id: u64, status: Status) -> Result<(), SendError> {
        let accepted = match self.exchanges.theirs(id) {
            Some(Taken { kind: TakenKind::Subscription { accepted, .. }, answer: Answer::Owed, .. }) => {
                *accepted
            }
            _ => return Err(SendError::UnknownExchange),
        };
        if !accepted {
            return self.respond(id, status, &[]);
        }
        let end = Message::End { id, status };
        let end = end.measured();
        let len = end.len();
        if !self.publications.has_room(len) {
            return Err(SendError::Full);
        }
        self.publications.push(OnSeal::Last, id, &end);
        if let Some(taken) = self.exchanges.theirs(id) {
            taken.answer = Answer::Queued;
        }
        Ok(())
    }

    /// Queues a publication for a subscription of theirs, and spends its credit.  SPEC §11 CRD-2
    pub(crate) fn publish(
        &mut self,
        id: u64,
        publication: &Outgoing<'_>,
        through: Through<'_>,
    ) -> Result<(), SendError> {
        name::check_name(publication.topic)?;
        let message = beginning(id, publication, publication.body, None);
        let message = message.measured();
        let (len, max) = (message.len(), self.longest_publication());
        let mut standing = between(&mut self.exchanges, id)?;
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        standing.pay(&self.publications, len, 0)?;
        self.seal_or_queue(id, &message, through);
        Ok(())
    }

    /// The same, and those of this topic that come behind it, numbered on, each in a message of its own: as many as there
    /// is room and credit for.  How many, the first one included.
    pub(crate) fn publish_series<'b>(
        &mut self,
        id: u64,
        first: &Outgoing<'_>,
        behind: impl IntoIterator<Item = &'b [u8]>,
        through: Through<'_>,
    ) -> Result<usize, SendError> {
        self.publish(id, first, through)?;
        let mut behind = (first.point.sequence.saturating_add(1)..u64::MAX).zip(behind).peekable();
        if behind.peek().is_none_or(|(_, body)| body.len() >= LONG) {
            return Ok(1);
        }
        let max = self.longest_publication();
        let series = Series::new(&publication_of(id, first, &[], None));
        let mut standing = between(&mut self.exchanges, id)?;
        let mut sent = 1;
        for (sequence, body) in behind {
            let len = series.encoded_len(sequence, body);
            // A long one is published by itself, lest it be copied once more.
            if len > max || len >= LONG || standing.pay(&self.publications, len, 0).is_err() {
                break;
            }
            let place = self.publications.place(OnSeal::Ongoing, id, None, len);
            series.encode_into(sequence, body, place);
            sent += 1;
        }
        Ok(sent)
    }

    /// The same, or as much of its body as goes into one message where it does not go in whole; how many bytes.
    /// SPEC §14.5
    pub(crate) fn publish_first(
        &mut self,
        id: u64,
        publication: &Outgoing<'_>,
        through: Through<'_>,
    ) -> Result<usize, SendError> {
        name::check_name(publication.topic)?;
        let body = publication.body;
        let whole = beginning(id, publication, body, None);
        let first;
        let mut message = whole.measured();
        let (len, max) = (message.len(), self.longest_publication());
        let mut standing = between(&mut self.exchanges, id)?;
        let mut left = 0;
        if len > max || standing.send_credit.never_affords(len as u64) {
            let total = Some(body.len() as u64);
            let all = beginning(id, publication, body, total).encoded_len();
            let head = beginning(id, publication, &[], total).encoded_len();
            // Not begun for little: what waits whole can still be superseded whole.
            let credit = standing.send_credit.part(all as u64, max as u64).ok_or(SendError::NoCredit)?;
            let chunk = chunk_within(body, head, credit, max)?;
            left = body.len() - chunk.len();
            first = beginning(id, publication, chunk, total);
            message = first.measured();
        }
        standing.pay(&self.publications, message.len(), left)?;
        self.seal_or_queue(id, &message, through);
        Ok(body.len() - left)
    }

    /// Queues more of the publication that is half sent, of which this is the rest; how many bytes.  SPEC §14.5
    pub(crate) fn publish_next(
        &mut self,
        id: u64,
        rest: &[u8],
        through: Through<'_>,
    ) -> Result<usize, SendError> {
        let max = self.longest_publication();
        let mut standing = publishing(&mut self.exchanges, id)?;
        if *standing.unsent == 0 || *standing.unsent != rest.len() {
            return Err(SendError::NotHalfSent);
        }
        let part = |more, chunk| Message::Continuation(Continuation { id, more, abort: false, chunk });
        let all = part(false, rest).encoded_len();
        let head = part(true, &[]).encoded_len();
        let worth = all.min(max) as u64;
        let credit = standing.send_credit.part(worth, worth).ok_or(SendError::NoCredit)?;
        let chunk = if credit >= all as u64 { rest } else { chunk_within(rest, head, credit, max)? };
        let left = rest.len() - chunk.len();
        let next = part(left > 0, chunk);
        let next = next.measured();
        standing.pay(&self.publications, next.len(), left)?;
        self.seal_or_queue(id, &next, through);
        Ok(chunk.len())
    }

    /// Gives up the publication that is half sent.  SPEC §14.5
    pub(crate) fn publish_abort(&mut self, id: u64, through: Through<'_>) -> Result<(), SendError> {
        let message = Message::Continuation(Continuation { id, more: false, abort: true, chunk: &[] });
        let message = message.measured();
        let mut standing = publishing(&mut self.exchanges, id)?;
        if *standing.unsent == 0 {
            return Err(SendError::NotHalfSent);
        }
        standing.pay(&self.publications, message.len(), 0)?;
        self.seal_or_queue(id, &message, through);
        Ok(())
    }

    /// Tells a subscriber what was dropped, with nothing behind it.  SPEC §14.3
    pub(crate) fn missed(&mut self, id: u64, missed: Missed) -> Result<(), SendError> {
        publishing(&mut self.exchanges, id)?;
        let message = Message::Missed { id, unknown: missed.unknown, count: missed.count };
        let message = message.measured();
        let len = message.len();
        if !self.publications.has_room(len) {
            return Err(SendError::Full);
        }
        self.publications.push(OnSeal::Ongoing, id, &message);
        Ok(())
    }

    /// Seals a message, or queues it, for which the caller has seen that there is room; it is paid for, so this cannot fail.
    fn seal_or_queue(&mut self, id: u64, message: &Measured<'_>, through: Through<'_>) {
        // Where flash is scarce messages are short, and on a serial line none is sealed so.
        let queued = cfg!(target_os = "none") || message.len() < LONG;
        if queued || !self.seal_through(message, through) {
            self.publications.push(OnSeal::Ongoing, id, message);
        }
    }

    /// Seals what waits, and this message behind it, where there is room for all of that: so it is copied once.
    fn seal_through(&mut self, message: &Measured<'_>, through: Through<'_>) -> bool {
        let Through { wire, now } = through;
        // Bodies in chunks come behind publications.  SPEC §12
        if !self.bulk.is_empty() {
            return false;
        }
        let (most, frame) = (self.limits.transmit_buffer, frame::LENGTH_PREFIX + self.longest_frame());
        loop {
            let sealed = wire.len();
            if most < sealed + frame {
                return false;
            }
            if !self.has_waiting() {
                break;
            }
            // Where it cannot be sealed, whoever asks for bytes to send is told.
            if self.seal_frame(now, wire.buffer_for(frame, most)).is_err() || wire.len() == sealed {
                return false;
            }
        }
        let mut begun = false;
        let sealed = self.seal_with(wire.buffer_for(frame, most), |_, frame| {
            let rest = frame.begin(message);
            begun = rest.is_some();
            rest.unwrap_or_default()
        });
        sealed.is_ok() && begun
    }

    /// The longest message that the peer takes and the queue holds.
    fn longest_publication(&self) -> usize {
        self.max_plaintext().min(self.publications.longest())
    }
}

/// An accepted subscription of theirs.
struct Standing<'a> {
    send_credit: &'a mut SendCredit,
    /// How much of a publication is still to be sent.
    unsent: &'a mut usize,
}

impl Standing<'_> {
    /// Pays for a message of this length, behind which so much of the body is left; where the credit or the queue's room
    /// does not do, nothing has changed.
    #[cfg_attr(target_os = "none", inline(never))]
    fn pay(&mut self, queue: &Queue, len: usize, left: usize) -> Result<(), SendError> {
        if len as u64 > self.send_credit.left() {
            return Err(SendError::NoCredit);
        }
        if !queue.has_room(len) {
            return Err(SendError::Full);
        }
        self.send_credit.spend(len as u64);
        *self.unsent = left;
        Ok(())
    }
}

/// An accepted subscription of theirs, if no publication is half sent.  PUB-7
fn between(exchanges: &mut Exchanges, id: u64) -> Result<Standing<'_>, SendError> {
    let standing = publishing(exchanges, id)?;
    if *standing.unsent > 0 { Err(SendError::HalfSent) } else { Ok(standing) }
}

fn publishing(exchanges: &mut Exchanges, id: u64) -> Result<Standing<'_>, SendError> {
    match exchanges.theirs(id) {
        Some(Taken {
            kind: TakenKind::Subscription { accepted: true, send_credit, unsent, .. },
            answer: Answer::Owed,
            ..
        }) => Ok(Standing { send_credit, unsent }),
        _ => Err(SendError::UnknownExchange),
    }
}

/// The message of a publication with this much of its body.
fn beginning<'a>(id: u64, publication: &Outgoing<'a>, chunk: &'a [u8], total: Option<u64>) -> Message<'a> {
    Message::Publication(publication_of(id, publication, chunk, total))
}

fn publication_of<'a>(
    id: u64,
    publication: &Outgoing<'a>,
    chunk: &'a [u8],
    total: Option<u64>,
) -> Publication<'a> {
    let Outgoing { topic, point, missed: Missed { count, unknown }, retained, .. } = *publication;
    Publication { id, missed: count, unknown, retained, topic, point, chunk, total }
}

/// As much of a body as a message with this head takes, within its credit and the longest that there may be.
fn chunk_within(body: &[u8], head: usize, credit: u64, max: usize) -> Result<&[u8], SendError> {
    if head >= max {
        return Err(SendError::TooLarge { len: head + 1, max });
    }
    let most = usize::try_from(credit).map_or(max, |credit| credit.min(max));
    let len = encode::bytes_within(most.saturating_sub(head));
    if len == 0 { Err(SendError::NoCredit) } else { Ok(&body[..len.min(body.len())]) }
}
