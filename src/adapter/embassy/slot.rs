//! One exchange that a handle has open: what it asks of the connection, and what came for it.

use core::num::NonZeroU32;
use core::task::Waker;
use core::time::Duration;

use super::store::Store;
use crate::adapter::error::BodyError;
use crate::{
    Connection, Event, ExchangeId, Failure, Instant, Missed, Point, Publication, RequestHead, SendError,
    Status,
};

/// What a handle asks.  Its name and bytes lie in the slot's memory, one behind the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Call,
    /// A request with a body that goes on, or whose answer may.  A deadline that does not travel is this side's alone: for
    /// the answer, and where `more` goes on for its turn.
    Open {
        more: bool,
        travels: bool,
        bodies: &'static Bodies,
    },
    Subscribe {
        from: Option<Point>,
    },
    Respond {
        to: ExchangeId,
        status: Status,
    },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum State {
    /// It waits for its turn at the connection.
    Asked(Ask),
    /// The connection has it under this id, perhaps with bodies in chunks.
    Open(ExchangeId, Option<&'static Bodies>),
    /// It is over, but for what its handle has not looked at.
    #[default]
    Over,
}

/// What the runner does for a request with bodies in chunks.  It reaches this by a pointer that such a request brings along:
/// a program that makes none does not have the code in its flash.
#[derive(Debug)]
pub(super) struct Bodies {
    pub(super) open: fn(&mut Connection, Instant, &RequestHead<'_>) -> Result<ExchangeId, SendError>,
    /// Moves what a handle writes, and what it says of the bodies.
    pub(super) move_on: fn(&mut Slot, &[u8], &mut Connection, ExchangeId, Instant),
}

/// How an exchange was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Busy(Duration),
    Failed(Failure),
    Refused(SendError),
    /// The reply has so many bytes, in front of all else that came.
    Reply(Status, usize),
    /// A reply that the slot's memory does not hold.
    TooLong(usize),
    Subscribed,
    /// The answer that this side owed has been handed over.
    Sent,
}

/// An exchange's place.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) state: State,
    /// Bytes that go out: the name, so many bytes of it, and what follows; then this side's body.
    pub(super) out: Store,
    pub(super) name_len: usize,
    pub(super) deadline: Option<Instant>,
    /// Bytes that came: the reply, then the other side's body; or publications.
    pub(super) inward: Store,
    /// What must fit behind the head of a reply that goes on; of a subscription what may wait at most.
    pub(super) window: usize,
    /// Of a subscription: only the newest of each topic waits.
    pub(super) latest: bool,
    /// What came of the body has cost this much, and was not released.
    pub(super) cost: u32,
    pub(super) answer: Option<Answer>,
    /// How the other side's body has ended, or the subscription.
    pub(super) read_end: Option<Result<(), BodyError>>,
    /// Why this side's body takes no more.
    pub(super) write_end: Option<BodyError>,
    /// This side's body ends behind what waits.
    pub(super) finishing: bool,
    /// This side's body is to be given up, with this for the other side.
    pub(super) reset: Option<Status>,
    /// The whole exchange is.
    pub(super) given_up: Option<Status>,
    /// How long nothing of the bodies may move, where the connection is to be told: in milliseconds, the highest number for
    /// ever.
    pub(super) idle: Option<NonZeroU32>,
    /// Publications that did not fit, and gaps that were told, since the last one that is kept.
    pub(super) missed: Missed,
    /// To be released at the connection.
    pub(super) release: u32,
    /// Whether somebody holds that end.
    pub(super) reading: bool,
    pub(super) writing: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Slot {
    pub(super) fn id(&self) -> Option<ExchangeId> {
        match self.state {
            State::Open(id, _) => Some(id),
            _ => None,
        }
    }

    /// Whether nobody needs it any more.
    pub(super) fn is_done(&self) -> bool {
        !self.reading && !self.writing && !matches!(self.state, State::Open(..))
    }

    pub(super) fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }

    /// Both its bodies have ended so, where they had not.
    pub(super) fn end(&mut self, answer: Answer, error: BodyError) {
        self.state = State::Over;
        self.answer.get_or_insert(answer);
        self.read_end.get_or_insert(Err(error));
        self.write_end.get_or_insert(error);
        self.wake();
    }

    /// Takes what came for it.
    pub(super) fn take(&mut self, memory: &mut [u8], event: &Event<'_>) {
        match *event {
            Event::Response { status, body, more, .. } => self.on_response(memory, status, body, more),
            Event::Busy { retry, .. } => self.end(Answer::Busy(retry), BodyError::Answered),
            Event::Failed { failure, .. } => self.end(Answer::Failed(failure), failure.into()),
            Event::Data { chunk, cost, .. } if self.reading && self.read_end.is_none() => {
                // It fits: there was room for a window when the reply came.
                let _fits = self.inward.push(memory, chunk);
                self.cost = self.cost.saturating_add(cost);
                if self.inward.is_empty() {
                    self.took_bytes(0);
                }
            }
            Event::End { status, .. } => {
                let end = if status.is_ok() { Ok(()) } else { Err(BodyError::Status(status)) };
                self.read_end.get_or_insert(end);
                self.write_end.get_or_insert(BodyError::Answered);
                self.state = State::Over;
            }
            Event::Stopped { status, .. } => {
                self.write_end.get_or_insert(BodyError::Status(status));
            }
            Event::Subscribed { .. } => self.answer = Some(Answer::Subscribed),
            Event::SubscriptionEnded { status, .. } => {
                self.end(Answer::Reply(status, 0), BodyError::Status(status));
            }
            Event::Missed { missed, .. } => self.missed.merge(missed),
            Event::Publication { publication, .. } => self.on_publication(memory, &publication),
            // Publications longer than a frame are not asked for: how much of them may come is not said by a window, so
            // that memory of the caller's would have to be kept for the longest beside it.
            _ => {}
        }
        self.wake();
    }

    fn on_response(&mut self, memory: &mut [u8], status: Status, body: &[u8], more: bool) {
        self.inward.clear();
        let needed = if more { body.len() + self.window } else { body.len() };
        self.answer = Some(if needed <= self.inward.room() && self.inward.push(memory, body) {
            Answer::Reply(status, body.len())
        } else {
            self.read_end = Some(Err(BodyError::TooLarge));
            Answer::TooLong(body.len())
        });
        if !more {
            self.read_end.get_or_insert(Ok(()));
            self.write_end.get_or_insert(BodyError::Answered);
            self.state = State::Over;
        }
    }

    /// Forgets bytes of the other side's body, and gives their credit back: with the last all that they have cost.
    pub(super) fn took_bytes(&mut self, len: usize) {
        self.inward.advance(len);
        let free = if self.inward.is_empty() { self.cost } else { self.cost.min(len as u32) };
        self.cost -= free;
        self.release = self.release.saturating_add(free);
    }

    // Publications

    fn on_publication(&mut self, memory: &mut [u8], publication: &Publication<'_>) {
        // In its place: at the end, a topic that is published often would come behind all others for ever.
        let superseded = if self.latest { self.supersede(memory, publication.topic) } else { None };
        self.missed.merge(publication.missed);
        let head = Head::of(publication, self.missed);
        let at = superseded.unwrap_or(self.inward.len());
        let Some(place) = self.inward.insert(memory, at, head.whole_len()) else {
            self.missed.add(1);
            self.release = self.release.saturating_add(publication.cost);
            return;
        };
        self.missed = Missed::NONE;
        let (start, rest) = place.split_at_mut(Head::LEN);
        start.copy_from_slice(&head.to_bytes());
        let (topic, body) = rest.split_at_mut(head.topic_len);
        topic.copy_from_slice(publication.topic.as_bytes());
        body.copy_from_slice(publication.body);
    }

    /// Forgets a publication of this topic that waits, counts it as missed, and says how far behind the first it lay.
    fn supersede(&mut self, memory: &mut [u8], topic: &str) -> Option<usize> {
        let mut place = 0;
        loop {
            let waiting = &self.inward.bytes(memory)[place..];
            let head = Head::from_bytes(waiting.first_chunk()?);
            if waiting.get(Head::LEN..Head::LEN + head.topic_len) == Some(topic.as_bytes()) {
                self.inward.cut(memory, place, head.whole_len());
                self.missed.merge(head.missed);
                self.missed.add(1);
                self.release = self.release.saturating_add(head.cost);
                return Some(place);
            }
            place += head.whole_len();
        }
    }

    /// The head of the next publication.
    pub(super) fn next_publication(&self, memory: &[u8]) -> Option<Head> {
        self.inward.bytes(memory).first_chunk().map(Head::from_bytes)
    }

    /// The gap before it has been told.  A newer one may take its place before it is read.
    pub(super) fn told_missed(&mut self, memory: &mut [u8], head: &Head) {
        let told = Head { missed: Missed::NONE, ..*head };
        self.inward.bytes_mut(memory)[..Head::LEN].copy_from_slice(&told.to_bytes());
    }

    /// Forgets it, and gives its credit back.
    pub(super) fn took_publication(&mut self, head: &Head) {
        self.inward.advance(head.whole_len());
        self.release = self.release.saturating_add(head.cost);
    }
}

/// What is kept of a publication beside its topic and body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) point: Point,
    pub(super) missed: Missed,
    pub(super) retained: bool,
    cost: u32,
    pub(super) topic_len: usize,
    pub(super) body_len: usize,
}

impl Head {
    pub(super) const LEN: usize = 4 + 8 + 4 + 1 + 4 + 2 + 4;
    const UNKNOWN: u8 = 1;
    const RETAINED: u8 = 2;

    fn of(publication: &Publication<'_>, missed: Missed) -> Self {
        Self {
            point: publication.point,
            missed,
            retained: publication.retained,
            cost: publication.cost,
            topic_len: publication.topic.len(),
            body_len: publication.body.len(),
        }
    }

    /// With the topic and the body.
    const fn whole_len(&self) -> usize {
        Self::LEN + self.topic_len + self.body_len
    }

    fn to_bytes(self) -> [u8; Self::LEN] {
        let unknown = if self.missed.unknown { Self::UNKNOWN } else { 0 };
        let retained = if self.retained { Self::RETAINED } else { 0 };
        let mut bytes = [0; Self::LEN];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&self.point.epoch.to_le_bytes());
        put(&self.point.sequence.to_le_bytes());
        put(&self.missed.count.to_le_bytes());
        put(&[unknown | retained]);
        put(&self.cost.to_le_bytes());
        // A name has at most 255 bytes, a message at most 65,535.
        put(&(self.topic_len as u16).to_le_bytes());
        put(&(self.body_len as u32).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let mut rest = &bytes[..];
        let mut number = |len: usize| {
            let (part, behind) = rest.split_at(len);
            rest = behind;
            part.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let point = Point { epoch: number(4) as u32, sequence: number(8) };
        let (count, flags) = (number(4) as u32, number(1) as u8);
        Self {
            point,
            missed: Missed { count, unknown: flags & Self::UNKNOWN != 0 },
            retained: flags & Self::RETAINED != 0,
            cost: number(4) as u32,
            topic_len: number(2) as usize,
            body_len: number(4) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication<'b>(topic: &'b str, body: &'b [u8]) -> Publication<'b> {
        let (point, missed) = (Point { epoch: 1, sequence: body[0].into() }, Missed::NONE);
        Publication { topic, point, missed, retained: false, body, cost: 10, total: None }
    }

    /// A newer value takes the place of one of its topic that waits, counts it, and gives its credit back.
    #[test]
    fn the_latest_supersedes() {
        let mut memory = [0; 200];
        let mut slot = Slot { inward: Store::new(0, 200), latest: true, ..Slot::default() };
        let mut take =
            |slot: &mut Slot, topic, body| slot.on_publication(&mut memory, &publication(topic, body));
        take(&mut slot, "a", b"1");
        take(&mut slot, "bc", b"2");
        slot.missed.add(3);
        take(&mut slot, "a", b"345");
        assert_eq!(slot.release, 10);
        take(&mut slot, "d", b"6");
        take(&mut slot, "d", b"7");
        take(&mut slot, "bc", b"8");
        // It fits no more, and the one before it counts as well.
        take(&mut slot, "bc", &[9; 150]);
        take(&mut slot, "bc", b"10");
        let mut got = std::vec::Vec::new();
        while let Some(head) = slot.next_publication(&memory) {
            let bytes = &slot.inward.bytes(&memory)[Head::LEN..head.whole_len()];
            let (topic, body) = bytes.split_at(head.topic_len);
            got.push((topic.to_vec(), body.to_vec(), head.missed.count));
            slot.took_publication(&head);
        }
        let expected = [(&b"a"[..], &b"345"[..], 4), (b"d", b"7", 1), (b"bc", b"10", 3)];
        assert_eq!(got, expected.map(|(topic, body, count)| (topic.to_vec(), body.to_vec(), count)));
        assert_eq!(slot.release, 80, "all of it");
    }
}
