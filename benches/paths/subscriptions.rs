//! To subscribe, and to leave again.

use symbolon::{Connection, Event, Provider, Status};

use super::publications::TOPIC;
use super::{Ends, WARM_UP, carry, drain};

/// Two ends that do nothing else.
pub struct Subscribing(Ends);

impl Subscribing {
    pub fn new(provider: Provider) -> Self {
        let mut subscribing = Self(Ends::new(provider));
        for _ in 0..WARM_UP {
            subscribing.run();
        }
        subscribing
    }

    /// Returns the bytes on the wire, both ways.
    pub fn run(&mut self) -> usize {
        let Ends { a, b } = &mut self.0;
        let id = a.subscribe(TOPIC, 65_536, None).expect("room");
        let mut carried = carry(a, b, answer) + carry(b, a, drain);
        a.cancel(id).expect("it stands");
        drain(a);
        carried += carry(a, b, answer) + carry(b, a, drain);
        assert!(a.is_idle() && b.is_idle());
        carried
    }
}

fn answer(publisher: &mut Connection) {
    match publisher.poll_event() {
        Some(Event::Subscribe { id, .. }) => publisher.accept_subscription(id).expect("it waits"),
        Some(Event::Unsubscribe { id }) => {
            publisher.end_subscription(id, Status::CANCELLED).expect("it stands");
        }
        event => panic!("{event:?}"),
    }
}
