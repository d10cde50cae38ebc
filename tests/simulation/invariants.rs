//! What has to hold in every seed, at every moment, each with its sentence.

use symbolon::{
    CloseReason, Failure, HandshakeError, Limits, Missed, PeerMisbehaved, Point, RefusalCode, Status,
};

use crate::content::{self, Part};
use crate::counts::Kind;
use crate::ledger::{Account, Asked, FeedKey, Ledger, Outcome, Said};

/// What may have happened to the bytes of a connection, and who is at its ends.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A byte of the stream was changed: more than TCP can do.
    pub tampered: bool,
    /// One of the two is not admitted by the other.
    pub stranger: bool,
    /// A serial line.
    pub line: bool,
}

impl Ledger {
    /// A request gets its tag where the connection takes it.
    pub fn ask(&mut self, asked: Asked) -> u64 {
        self.count(Kind::Asked);
        self.asked.push(asked);
        self.asked.len() as u64 - 1
    }

    /// A handler sees each request at most once, as it was sent, and none that its asker was told was not executed.
    pub fn see(&mut self, server: symbolon::PeerId, method: &str, head: &[u8]) -> u64 {
        let tag = content::tag(head);
        let asked = self.asked.get_mut(tag as usize).expect("a request that nobody sent");
        assert!(!asked.seen, "request {tag} is seen twice: {asked:?}");
        assert_eq!((asked.method, asked.server), (method, server), "request {tag} went astray");
        assert_eq!(content::head(tag, asked.head), head, "request {tag} is not what was sent");
        // SPEC §16.4
        let not_executed = Some(Outcome::Failed(Failure::NotExecuted));
        assert_ne!(asked.outcome, not_executed, "request {tag} is executed after all");
        asked.seen = true;
        tag
    }

    /// Sentence 9: every request ends exactly once; 'not executed' was not seen by the peer's application; and an answer is what its
    /// handler said, or one that the connection gives in its place.
    pub fn end(&mut self, tag: u64, outcome: Outcome) {
        match outcome {
            Outcome::Answered(Status::OK) => self.count(Kind::Replied),
            Outcome::Answered(_) => self.count(Kind::RepliedWithStatus),
            Outcome::Busy => self.count(Kind::Busy),
            Outcome::Failed(failure) => self.count_failure(failure),
            Outcome::Forgotten => self.count(Kind::Forgotten),
        }
        let asked = &mut self.asked[tag as usize];
        assert_eq!(asked.outcome.replace(outcome), None, "request {tag} ends twice: {asked:?}");
        if outcome == Outcome::Failed(Failure::NotExecuted) {
            assert!(!asked.seen, "request {tag} was seen, and not executed: {asked:?}");
        }
    }

    /// A reply without chunks.
    pub fn answer(&mut self, tag: u64, status: Status, body: &[u8]) {
        let asked = &self.asked[tag as usize];
        match asked.said {
            Some(Said::Status(said)) => {
                assert_eq!(said, status, "request {tag}: {asked:?}");
                assert!(asked.seen, "an answer to request {tag}, which nobody has seen: {asked:?}");
            }
            // SPEC §10.4, §10.5: what the connection says in its application's place.
            None => {
                let own = [Status::DEADLINE_PASSED, Status::STALLED, Status::UNSUPPORTED];
                assert!(own.contains(&status), "request {tag}: {status} {asked:?}");
            }
            other => panic!("request {tag} is answered {status} instead of {other:?}"),
        }
        let len = if status.is_ok() { asked.reply } else { 0 };
        assert!(body == content::bytes(tag, Part::Reply, 0, len), "request {tag}: another reply");
        self.end(tag, Outcome::Answered(status));
    }

    /// What comes of a body is what was written, in order, and no more than that.
    pub fn hear(&self, tag: u64, part: Part, heard: usize, chunk: &[u8]) {
        let asked = &self.asked[tag as usize];
        let len = if matches!(part, Part::Out) { asked.out } else { asked.back };
        let len = len.unwrap_or_else(|| panic!("request {tag} has no such body: {asked:?}"));
        assert!(heard + chunk.len() <= len, "request {tag}: more than was written: {asked:?}");
        assert!(chunk == content::bytes(tag, part, heard, chunk.len()), "request {tag}: other bytes");
    }

    /// No body is reported complete that differs from what was sent.  EXC-15
    pub fn end_body(&mut self, tag: u64, part: Part, heard: usize, status: Status) {
        if !status.is_ok() {
            return self.count(Kind::AbortedBody);
        }
        self.count(Kind::WholeBody);
        let asked = &self.asked[tag as usize];
        let (len, finished) = match part {
            Part::Out => (asked.out, asked.out_finished),
            _ => (asked.back, asked.back_finished),
        };
        assert!(finished, "request {tag}: complete, and yet not finished: {asked:?}");
        assert_eq!(len, Some(heard), "request {tag}: complete, and yet not all: {asked:?}");
    }

    /// A publication is one that was published, with these bytes at this place of its body.
    pub fn receive(&self, topic: &str, point: Point, at: usize, chunk: &[u8], total: usize) {
        let published = self.publication(topic, point);
        let (tag, len) = published.unwrap_or_else(|| panic!("{topic} {point:?} was never published"));
        assert_eq!(total, len, "{topic} {point:?} has another length");
        assert!(chunk == content::bytes(tag, Part::News, at, chunk.len()), "{topic} {point:?}: other bytes");
    }

    /// The first that a subscription hears says whether more was missed than is counted, and so does nothing else.  PUB-5
    pub fn hear_first(&self, key: FeedKey, missed: Missed) {
        assert_eq!(missed.unknown, self.feeds[&key].unknown, "{:?}", self.feeds[&key]);
    }

    /// Nothing is counted twice: what came and what was missed is never more than there was.
    pub fn check_bound(&self, key: FeedKey, account: Account) {
        let feed = &self.feeds[&key];
        let due = self.due(feed);
        assert!(account.received + account.missed <= due, "{account:?} of {due}: {feed:?}");
    }

    /// Sentence 10: nothing is lost without being counted.  Where a subscription ends in order, or all is at rest, what came and what was
    /// missed is all that was published from its beginning to its end.  Where more was missed from before it than anybody
    /// knows, the flag says so, and the number is right for all that is kept.  PUB-2, PUB-3, PUB-10
    pub fn settle(&mut self, key: FeedKey, account: Account) {
        let feed = &self.feeds[&key];
        let due = feed.ended.unwrap_or_else(|| self.due(feed));
        assert_eq!(account.received + account.missed, due, "{account:?}, {feed:?}");
        assert!(!account.unknown || feed.unknown, "unknown, and yet nothing is: {feed:?}");
        if due > 0 {
            assert_eq!(account.unknown, feed.unknown, "{account:?}: {feed:?}");
        }
        self.count(Kind::Accounted);
    }

    /// Why a connection may end: honest devices break no rule, whatever TCP does to them, so that only a changed byte can
    /// look like it; on a line not even that, since a damaged packet is dropped.
    pub fn close(&mut self, now: u64, who: usize, reason: CloseReason, terms: Terms) {
        self.count_reason(reason);
        self.tell(now, || format!("device {who} closed: {reason}"));
        match reason {
            CloseReason::Misbehaved(PeerMisbehaved::Unauthentic | PeerMisbehaved::FrameLength(_))
                if terms.tampered && !terms.line => {}
            // Turned away, which each side calls by its own name.
            CloseReason::Handshake(HandshakeError::Refused(RefusalCode::Busy))
            | CloseReason::Refused(RefusalCode::Busy)
                if !terms.line && !self.peaceful => {}
            CloseReason::Handshake(_) if terms.tampered => {}
            // SER-11: frames of an older session that is still on the line are tried at a candidate, too.
            CloseReason::Handshake(_) if terms.line && !self.peaceful => {}
            // The preamble's code, changed on its way.
            CloseReason::Refused(_) if terms.tampered => {}
            CloseReason::Misbehaved(_) | CloseReason::Handshake(_) | CloseReason::Refused(_) => {
                panic!("an honest peer is found to have broken a rule: {reason:?} {terms:?}");
            }
            CloseReason::Remote(Status::VIOLATION) => {
                assert!(terms.tampered && !terms.line, "told to have broken a rule: {terms:?}");
            }
            CloseReason::Exhausted => panic!("no counter is used up so soon"),
            CloseReason::FramesLost(_) => assert!(terms.line && !self.peaceful, "{reason:?} {terms:?}"),
            CloseReason::NotAdmitted(_) => assert!(terms.stranger, "an acquaintance is not admitted"),
            CloseReason::Remote(Status::REFUSED) if !terms.stranger => {
                // SPEC §15, the handshake timer: the decision took too long.
                assert!(!self.peaceful, "an acquaintance is refused");
            }
            _ => {}
        }
        if self.peaceful {
            let orderly = matches!(
                reason,
                CloseReason::Local(_)
                    | CloseReason::Remote(_)
                    | CloseReason::TimedOut(symbolon::TimedOut::Close)
            );
            // Where one side's `close` timer has fired, the other one may see the stream end first.
            let cut_off = reason == CloseReason::Truncated && self.counts.of(Kind::CloseTimedOut) > 0;
            assert!(orderly || cut_off, "{reason:?} out of nothing");
        }
    }

    /// Memory is bounded by what the limits say.
    pub fn check_memory(&self, held: usize, limits: &Limits) {
        let most = limits.memory().most();
        assert!(held <= most, "{held} bytes are held, of at most {most}: {limits:?}");
    }

    /// In the end every request has ended, one way or another.
    pub fn check_all_ended(&self) {
        for (tag, asked) in self.asked.iter().enumerate() {
            assert!(asked.outcome.is_some(), "request {tag} never ended: {asked:?}");
        }
    }
}
