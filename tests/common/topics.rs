//! A device with topics at one end of a pair, driven as an adapter drives it.

use symbolon::{
    Connection, ExchangeId, LinkId, Offer, Point, PublishError, SendError, Status, SubscribeOptions, TopicId,
    TopicLimits, Topics, Verdict,
};

use super::{Happened, Pair};

const LINK: LinkId = LinkId(1);

/// Gives one offer of the table to the connection.
pub fn send(connection: &mut Connection, offer: Offer<'_>) -> Result<Verdict, SendError> {
    match offer {
        Offer::Abort { subscription } => connection.publish_abort(subscription).map(|()| Verdict::Sent),
        Offer::Missed { subscription, missed } => {
            connection.publish_missed(subscription, missed).map(|()| Verdict::Sent)
        }
        Offer::Publication { subscription, publication, .. } => {
            connection.publish_first(subscription, &publication).map(Verdict::Part)
        }
        Offer::Rest { subscription, rest } => connection.publish_next(subscription, rest).map(Verdict::Part),
    }
}

/// Hands what waits for a link to its connection.
pub fn pump(topics: &mut Topics, link: LinkId, connection: &mut Connection) {
    while let Some(id) = connection.poll_credited() {
        topics.credited(link, id);
    }
    topics.pump(link, |offer| match send(connection, offer) {
        Ok(verdict) => verdict,
        Err(SendError::NoCredit) => Verdict::NoCredit,
        Err(SendError::Full) => Verdict::Full,
        Err(SendError::TooLarge { .. }) => Verdict::TooLarge,
        Err(_) => Verdict::Gone,
    });
}

/// `b` of the pair has topics, `a` subscribes to them.
pub struct Publisher {
    pub topics: Topics,
    pub pair: Pair,
}

impl Publisher {
    pub fn new(epoch: u32, pair: Pair) -> Self {
        Self::with(epoch, TopicLimits::default(), pair)
    }

    pub fn with(epoch: u32, limits: TopicLimits, pair: Pair) -> Self {
        Self { topics: Topics::new(epoch, limits), pair }
    }

    /// The same publisher, and a subscriber that dials anew.
    pub fn reconnect(&mut self) {
        self.topics.drop_link(LINK);
        self.pair = Pair::connected();
    }

    /// `a` subscribes; the exchange has one id at both sides.
    pub fn subscribe(&mut self, filter: &str, window: u32, from: Option<Point>) -> ExchangeId {
        self.pair.a.subscribe(filter, window, from).expect("room to subscribe")
    }

    /// The same, with options.
    pub fn subscribe_with(&mut self, filter: &str, options: &SubscribeOptions) -> ExchangeId {
        self.pair.a.subscribe_with(filter, options).expect("room to subscribe")
    }

    /// Publishes, and sends what can be sent.
    pub fn publish(&mut self, topic: TopicId, body: &[u8]) -> Result<Point, PublishError> {
        let published = self.topics.publish(topic, body);
        self.settle();
        published
    }

    /// Lets everything happen, with what `b` has to do about it; what happened at `a`.
    pub fn events(&mut self) -> Vec<Happened> {
        self.settle();
        self.pair.events_a()
    }

    pub fn settle(&mut self) {
        loop {
            let asked = self.pair.events_b();
            for event in &asked {
                self.answer(event);
            }
            pump(&mut self.topics, LINK, &mut self.pair.b);
            self.pair.settle();
            if asked.is_empty() {
                return;
            }
        }
    }

    /// Ends a subscription from the publisher's side.
    pub fn end(&mut self, id: ExchangeId, status: Status) {
        if let Some(missed) = self.topics.unsubscribe(LINK, id) {
            self.pair.b.publish_missed(id, missed).expect("room to tell");
        }
        self.pair.b.end_subscription(id, status).expect("room to end");
    }

    fn answer(&mut self, event: &Happened) {
        match event {
            Happened::Subscribe { id, filter, from } => {
                let b = &mut self.pair.b;
                match self.topics.subscribe(LINK, *id, filter, *from) {
                    Ok(()) => b.accept_subscription(*id).expect("room to accept"),
                    Err(status) => b.respond(*id, status, b"").expect("room to refuse"),
                }
            }
            Happened::Unsubscribe(id) => {
                self.end(*id, Status::CANCELLED);
            }
            other => panic!("nobody should do this: {other:?}"),
        }
    }
}
