//! Subscriptions of theirs: what is published into them, within their credit.  A refused command changes nothing.
//! SPEC §11, §14

use super::Session;
use crate::connection::credit::Budget;
use crate::connection::exchanges::{Answer, Taken, TakenKind};
use crate::connection::queue::Role;
use crate::error::SendError;
use crate::name;
use crate::publication::{Missed, Outgoing};
use crate::status::Status;
use crate::wire::encode;
use crate::wire::message::{Continuation, Message, Publication};

impl Session {
    pub(crate) fn accept_subscription(&mut self, id: u64) -> Result<(), SendError> {
        self.check_open()?;
        let response = Message::Response { id, status: Status::OK, more: true, body: &[] };
        let len = response.encoded_len();
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
        self.publications.push(Role::Ongoing, id, None, len, |out| response.encode(out));
        self.exchanges.on_credited(id);
        Ok(())
    }

    /// Ends a subscription of theirs, behind the publications that wait.
    pub(crate) fn end_subscription(&mut self, id: u64, status: Status) -> Result<(), SendError> {
        self.check_open()?;
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
        let len = end.encoded_len();
        if !self.publications.has_room(len) {
            return Err(SendError::Full);
        }
        self.publications.push(Role::Last, id, None, len, |out| end.encode(out));
        if let Some(taken) = self.exchanges.theirs(id) {
            taken.answer = Answer::Queued;
        }
        Ok(())
    }

    /// Queues a publication for a subscription of theirs, and spends its credit.  SPEC §11 CRD-2
    pub(crate) fn publish(&mut self, id: u64, publication: &Outgoing<'_>) -> Result<(), SendError> {
        self.check_open()?;
        name::check_name(publication.topic)?;
        let message = beginning(id, publication, publication.body, None);
        let len = message.encoded_len();
        let max = self.longest_publication();
        let (budget, _) = self.between(id)?;
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        if len as u64 > budget.left() {
            return Err(SendError::NoCredit);
        }
        self.spend_on(id, &message, 0)
    }

    /// The same, or as much of its body as goes into one message where it does not go in whole; how many bytes.
    /// SPEC §14.5
    pub(crate) fn publish_first(&mut self, id: u64, publication: &Outgoing<'_>) -> Result<usize, SendError> {
        self.check_open()?;
        name::check_name(publication.topic)?;
        let body = publication.body;
        let whole = beginning(id, publication, body, None).encoded_len();
        let max = self.longest_publication();
        let (budget, _) = self.between(id)?;
        if whole <= max && !budget.never_affords(whole as u64) {
            return self.publish(id, publication).map(|()| body.len());
        }
        let total = Some(body.len() as u64);
        let all = beginning(id, publication, body, total).encoded_len();
        let head = beginning(id, publication, &[], total).encoded_len();
        // Not begun for little: what waits whole can still be superseded whole.
        let credit = budget.part(all as u64, max as u64).ok_or(SendError::NoCredit)?;
        let chunk = chunk_within(body, head, credit, max)?;
        self.spend_on(id, &beginning(id, publication, chunk, total), body.len() - chunk.len())?;
        Ok(chunk.len())
    }

    /// Queues more of the publication that is half sent, of which this is the rest; how many bytes.  SPEC §14.5
    pub(crate) fn publish_next(&mut self, id: u64, rest: &[u8]) -> Result<usize, SendError> {
        self.check_open()?;
        let max = self.longest_publication();
        let (budget, unsent) = self.publishing(id)?;
        if *unsent == 0 || *unsent != rest.len() {
            return Err(SendError::Unfinished);
        }
        let part = |more, chunk| Message::Continuation(Continuation { id, more, abort: false, chunk });
        let all = part(false, rest).encoded_len();
        let head = part(true, &[]).encoded_len();
        let worth = all.min(max) as u64;
        let credit = budget.part(worth, worth).ok_or(SendError::NoCredit)?;
        let chunk = if credit >= all as u64 { rest } else { chunk_within(rest, head, credit, max)? };
        let left = rest.len() - chunk.len();
        self.spend_on(id, &part(left > 0, chunk), left)?;
        Ok(chunk.len())
    }

    /// Gives up the publication that is half sent.  SPEC §14.5
    pub(crate) fn publish_abort(&mut self, id: u64) -> Result<(), SendError> {
        self.check_open()?;
        let message = Message::Continuation(Continuation { id, more: false, abort: true, chunk: &[] });
        let (budget, unsent) = self.publishing(id)?;
        if *unsent == 0 {
            return Err(SendError::Unfinished);
        }
        if message.encoded_len() as u64 > budget.left() {
            return Err(SendError::NoCredit);
        }
        self.spend_on(id, &message, 0)
    }

    /// Tells a subscriber what was dropped, with nothing behind it.  SPEC §14.3
    pub(crate) fn missed(&mut self, id: u64, missed: Missed) -> Result<(), SendError> {
        self.check_open()?;
        self.publishing(id)?;
        let message = Message::Missed { id, unknown: missed.unknown, count: missed.count };
        let len = message.encoded_len();
        if !self.publications.has_room(len) {
            return Err(SendError::Full);
        }
        self.publications.push(Role::Ongoing, id, None, len, |out| message.encode(out));
        Ok(())
    }

    /// Queues a message that its credit allows, behind which so much of the body is left.
    fn spend_on(&mut self, id: u64, message: &Message<'_>, left: usize) -> Result<(), SendError> {
        let len = message.encoded_len();
        if !self.publications.has_room(len) {
            return Err(SendError::Full);
        }
        let (budget, unsent) = self.publishing(id)?;
        budget.spend(len as u64);
        *unsent = left;
        self.publications.push(Role::Ongoing, id, None, len, |out| message.encode(out));
        Ok(())
    }

    /// The longest message that the peer takes and the queue holds.
    fn longest_publication(&self) -> usize {
        self.max_plaintext().min(self.publications.longest())
    }

    /// An accepted subscription of theirs, if no publication is half sent.  PUB-7
    fn between(&mut self, id: u64) -> Result<(&mut Budget, &mut usize), SendError> {
        let standing = self.publishing(id)?;
        if *standing.1 > 0 { Err(SendError::Unfinished) } else { Ok(standing) }
    }

    /// The credit of an accepted subscription of theirs, and how much of a publication is still to be sent.
    fn publishing(&mut self, id: u64) -> Result<(&mut Budget, &mut usize), SendError> {
        match self.exchanges.theirs(id) {
            Some(Taken {
                kind: TakenKind::Subscription { accepted: true, budget, unsent, .. },
                answer: Answer::Owed,
                ..
            }) => Ok((budget, unsent)),
            _ => Err(SendError::UnknownExchange),
        }
    }
}

/// A publication with this much of its body.
fn beginning<'a>(id: u64, publication: &Outgoing<'a>, chunk: &'a [u8], total: Option<u64>) -> Message<'a> {
    let Outgoing { topic, point, missed, retained, .. } = *publication;
    Message::Publication(Publication {
        id,
        missed: missed.count,
        unknown: missed.unknown,
        retained,
        topic,
        point,
        chunk,
        total,
    })
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
