//! One publication for many links.

use std::hint::black_box;

use symbolon::{
    Connection, ExchangeId, Kind, LinkId, Offer, Overflow, Provider, TopicId, TopicLimits, Topics, Verdict,
};

use super::publications::{TOPIC, subscribed};
use super::{Devices, NOW};

pub const BODY: [u8; 64] = [0x55; 64];

/// A topic that so many links have subscribed to, each once.
pub struct FanOut {
    topics: Topics,
    topic: TopicId,
}

impl FanOut {
    pub fn new(links: u64) -> Self {
        let mut limits = TopicLimits::default();
        limits.subscriptions = u32::try_from(links).expect("not that many").max(limits.subscriptions);
        let mut topics = Topics::new(1, limits);
        let kind = Kind::Event { depth: 8, overflow: Overflow::DropOldest };
        let topic = topics.declare(TOPIC, kind).expect("room");
        for link in 0..links {
            topics.subscribe(LinkId(link), ExchangeId::from_number(2), TOPIC, None).expect("room");
        }
        Self { topics, topic }
    }

    /// Publishes, and hands it to each link.
    pub fn run(&mut self, mut send: impl FnMut(LinkId, Offer<'_>)) {
        self.topics.publish(self.topic, black_box(&BODY)).expect("room");
        while let Some(link) = { self.topics.wake().next() } {
            self.topics.pump(link, |offer| {
                send(link, offer);
                Verdict::Sent
            });
        }
    }

    /// The same, with links that throw it away.
    pub fn run_alone(&mut self) {
        self.run(|_, offer| _ = black_box(offer));
    }
}

/// A topic, and the publishing ends of as many connections as have subscribed to it.
pub struct Publishers {
    table: FanOut,
    ends: Vec<(Connection, ExchangeId)>,
}

impl Publishers {
    pub fn new(provider: Provider, links: u64) -> Self {
        let devices = Devices::new(provider);
        let connected = |_| {
            // All the credit there is: nobody at the other end gives any back.
            let (ends, id) = subscribed(devices.handshake(), u32::MAX);
            (ends.b, id)
        };
        Self { table: FanOut::new(links), ends: (0..links).map(connected).collect() }
    }

    /// Publishes, and queues it at each connection.
    pub fn queue(&mut self) {
        let Self { table, ends } = self;
        table.run(|link, offer| {
            let (connection, id) = &mut ends[link.0 as usize];
            let Offer::Publication { publication, .. } = offer else { panic!("{offer:?}") };
            connection.publish(*id, &publication).expect("room and credit");
        });
    }

    /// Has each connection seal what it has.  Returns the length of one frame.
    pub fn seal(&mut self) -> usize {
        let mut length = 0;
        for (connection, _) in &mut self.ends {
            let frame = connection.poll_transmit(NOW).expect("a frame");
            length = black_box(frame).len();
            connection.advance_transmit(length);
        }
        length
    }

    pub fn run(&mut self) -> usize {
        self.queue();
        self.seal()
    }
}
