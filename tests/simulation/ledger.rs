//! What was asked, seen, answered and published in all of the world: what a seed's invariants are about.

use std::collections::BTreeMap;

use symbolon::{CloseReason, ExchangeId, Failure, PeerId, Point, Status, name};

use crate::counts::{Counts, Kind};

/// How a request ended for who asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    Answered(Status),
    Busy,
    Failed(Failure),
    /// His device crashed.
    Forgotten,
}

/// What the handler said, where the connection took it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Said {
    Busy,
    /// A body that goes on.
    More,
    Status(Status),
}

/// A request, as both sides know it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub asker: PeerId,
    pub server: PeerId,
    pub method: &'static str,
    pub head: usize,
    /// How long the body in chunks is, if there is one.
    pub out: Option<usize>,
    /// How long the answer is to be.
    pub reply: usize,
    /// How long the answer's body in chunks is to be, if there is to be one.
    pub back: Option<usize>,
    pub out_finished: bool,
    pub back_finished: bool,
    pub seen: bool,
    pub said: Option<Said>,
    pub outcome: Option<Outcome>,
}

/// What a publisher owes to one subscription.
#[derive(Debug)]
pub struct Feed {
    pub epoch: u32,
    pub filter: String,
    /// The first that counts, of topics that were there at the subscription's beginning.
    pub first: BTreeMap<String, u64>,
    /// The publisher cannot know all that was missed before.
    pub unknown: bool,
    /// How many there were in all when the publisher ended it in order.
    pub ended: Option<u64>,
}

/// What a subscriber got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    pub received: u64,
    pub missed: u64,
    pub unknown: bool,
}

/// Which subscription: the connection's binding, which both sides know, and the exchange.
pub type FeedKey = ([u8; 32], ExchangeId);

#[derive(Default)]
pub struct Ledger {
    pub counts: Counts,
    pub trace: bool,
    /// Nothing goes wrong in this seed, and nobody meddles.
    pub peaceful: bool,
    pub asked: Vec<Asked>,
    /// Of each epoch and topic, the tag and length of each publication in order.
    pub published: BTreeMap<(u32, String), Vec<(u64, usize)>>,
    pub feeds: BTreeMap<FeedKey, Feed>,
    pub links: u64,
}

impl Ledger {
    pub fn count(&mut self, kind: Kind) {
        self.counts.add(kind);
    }

    pub fn tell(&self, now: u64, what: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>12.6} {}", now as f64 / 1e6, what());
        }
    }

    pub fn publish(&mut self, epoch: u32, topic: &str, tag: u64, len: usize) -> u64 {
        self.count(Kind::Published);
        let all = self.published.entry((epoch, topic.to_owned())).or_default();
        all.push((tag, len));
        all.len() as u64 - 1
    }

    /// The tag and length of what was published there.
    pub fn publication(&self, topic: &str, point: Point) -> Option<(u64, usize)> {
        let all = self.published.get(&(point.epoch, topic.to_owned()))?;
        all.get(usize::try_from(point.sequence).ok()?).copied()
    }

    /// How many of an epoch's publications a filter's subscription was to get or to be told of, up to now.
    pub fn due(&self, feed: &Feed) -> u64 {
        let topics = self.published.range((feed.epoch, String::new())..);
        let topics = topics.take_while(|((epoch, _), _)| *epoch == feed.epoch);
        let matching = topics.filter(|((_, topic), _)| name::matches(&feed.filter, topic));
        matching.map(|((_, topic), all)| all.len() as u64 - feed.first.get(topic).copied().unwrap_or(0)).sum()
    }

    pub fn end_feed(&mut self, key: FeedKey) {
        let feed = &self.feeds[&key];
        let due = self.due(feed);
        if let Some(feed) = self.feeds.get_mut(&key) {
            feed.ended = Some(due);
        }
    }

    pub fn count_failure(&mut self, failure: Failure) {
        self.count(match failure {
            Failure::Cancelled => Kind::Cancelled,
            Failure::DeadlinePassed => Kind::DeadlinePassed,
            Failure::Disconnected => Kind::Disconnected,
            Failure::NotExecuted => Kind::NotExecuted,
            Failure::Stalled => Kind::Stalled,
            Failure::Unsupported => Kind::Unsupported,
            other => panic!("a failure that the simulation does not know: {other:?}"),
        });
    }

    pub fn count_reason(&mut self, reason: CloseReason) {
        use symbolon::TimedOut;
        self.count(match reason {
            CloseReason::FramesLost(_) => Kind::FramesLost,
            CloseReason::Handshake(_) | CloseReason::Misbehaved(_) => Kind::Corrupted,
            CloseReason::Local(_) => Kind::ClosedHere,
            CloseReason::NotAdmitted(_) => Kind::StrangerRefused,
            CloseReason::Refused(_) => Kind::TurnedAway,
            CloseReason::Remote(_) => Kind::ClosedThere,
            CloseReason::TimedOut(TimedOut::Close) => Kind::CloseTimedOut,
            CloseReason::TimedOut(TimedOut::Frame) => Kind::FrameTimedOut,
            CloseReason::TimedOut(TimedOut::Handshake) => Kind::HandshakeTimedOut,
            CloseReason::TimedOut(_) => Kind::SilenceTimedOut,
            CloseReason::Truncated => Kind::Truncated,
            other => panic!("a reason that the simulation does not know: {other:?}"),
        });
    }
}
