//! What is owed to the peer, and found no room in the connection's queues yet.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;
use std::vec::Vec;

use bytes::Bytes;

use crate::{Connection, ExchangeId, Missed, SendError, Status};

/// At most one for an exchange, but for an acceptance and its end.
#[derive(Debug)]
pub(super) enum Owed {
    Accept(ExchangeId),
    Busy(ExchangeId, Duration),
    End(ExchangeId, Missed, Status),
    Response(ExchangeId, Status, Bytes),
}

/// Debts of the two lanes, each in their order: where one lane is full, the other goes on.  SPEC §12
#[derive(Debug, Default)]
pub(super) struct Debts {
    calls: VecDeque<Owed>,
    publications: VecDeque<Owed>,
    /// Bodies that were paid later, or are owed no more: what they are made of may be the application's, and is not let go
    /// of under the lock.
    pub(super) spent: Vec<Bytes>,
}

impl Debts {
    pub(super) fn push(&mut self, owed: Owed) {
        match owed {
            Owed::Busy(..) | Owed::Response(..) => self.calls.push_back(owed),
            Owed::Accept(_) | Owed::End(..) => self.publications.push_back(owed),
        }
    }

    /// Voids what is owed to a caller whose deadline has passed: it was answered by that.
    pub(super) fn void(&mut self, request: ExchangeId) {
        let spent = &mut self.spent;
        self.calls.retain_mut(|owed| match owed {
            Owed::Busy(id, _) => *id != request,
            Owed::Response(id, _, body) if *id == request => {
                spent.push(mem::take(body));
                false
            }
            _ => true,
        });
    }

    pub(super) fn clear(&mut self) {
        self.spent.extend(self.calls.drain(..).filter_map(|mut owed| owed.take_body()));
        self.publications.clear();
    }

    /// Whether nothing is owed.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.publications.is_empty()
    }

    /// Pays as much as there is room for; `false` where something is left.
    pub(super) fn pay(&mut self, connection: &mut Connection) -> bool {
        for lane in [&mut self.calls, &mut self.publications] {
            while let Some(owed) = lane.front_mut() {
                if !pay(connection, owed) {
                    break;
                }
                self.spent.extend(owed.take_body());
                lane.pop_front();
            }
        }
        self.is_empty()
    }
}

impl Owed {
    /// What the application gave.
    pub(super) fn take_body(&mut self) -> Option<Bytes> {
        if let Self::Response(_, _, body) = self { Some(mem::take(body)) } else { None }
    }
}

/// `false` where there is no room for it yet, or not for all of it.
pub(super) fn pay(connection: &mut Connection, owed: &mut Owed) -> bool {
    let paid = match owed {
        Owed::Accept(id) => connection.accept_subscription(*id),
        Owed::End(id, missed, status) => {
            if missed.is_any()
                && let Err(SendError::Full) = connection.publish_missed(*id, *missed)
            {
                return false;
            }
            *missed = Missed::NONE;
            connection.end_subscription(*id, *status)
        }
        Owed::Response(id, status, body) => match connection.respond(*id, *status, body) {
            Err(SendError::TooLarge { .. }) => connection.respond(*id, Status::TOO_LARGE, &[]),
            other => other,
        },
        Owed::Busy(id, retry) => connection.respond_busy(*id, *retry),
    };
    // Of any other error: nobody waits any more, or the connection is closing, and the debt is void.
    paid != Err(SendError::Full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Admission, Config, Event, Identity, Instant, Limits, Outgoing, Point, SecretKey, Seed};

    const NOW: Instant = Instant::from_millis(1_000);

    fn config(number: u8) -> Config {
        let seed = Seed::new(core::array::from_fn(|i| number ^ i as u8)).unwrap();
        let mut limits = Limits::default();
        (limits.call_queue, limits.publication_queue) = (1_024, 1_024);
        Config::new(Identity::new(&SecretKey::from_bytes([number; 32]), seed)).with_limits(limits).unwrap()
    }

    /// Carries what there is, and gives the exchanges that `to` was told of.
    fn carry(from: &mut Connection, to: &mut Connection) -> Vec<ExchangeId> {
        let mut told = Vec::new();
        loop {
            let bytes = from.poll_transmit(NOW).unwrap_or_default();
            let taken = to.handle_input(NOW, bytes);
            from.advance_transmit(taken);
            match to.poll_event() {
                Some(Event::Admission { .. }) => to.admit(NOW).unwrap(),
                Some(
                    Event::Request { id, .. }
                    | Event::Response { id, .. }
                    | Event::Subscribe { id, .. }
                    | Event::Subscribed { id },
                ) => told.push(id),
                Some(_) => {}
                None if from.poll_transmit(NOW).is_none() => return told,
                None => {}
            }
        }
    }

    /// The side that asks, and the side that answers, with so many exchanges of each kind.
    fn asked(requests: usize, subscriptions: usize) -> (Connection, Connection, Vec<ExchangeId>) {
        let seed = |number: u8| Seed::new(core::array::from_fn(|i| number ^ i as u8)).unwrap();
        let expected = Admission::expect(config(2).identity().peer_id());
        let mut a = Connection::initiator(&config(1), expected, seed(3), NOW);
        let mut b = Connection::responder(&config(2), Admission::Ask, seed(4), NOW);
        for _ in 0..4 {
            carry(&mut a, &mut b);
            carry(&mut b, &mut a);
        }
        for _ in 0..requests {
            a.request(NOW, "m", b"", None).unwrap();
        }
        for _ in 0..subscriptions {
            a.subscribe("t", u32::MAX, None).unwrap();
        }
        let told = carry(&mut a, &mut b);
        assert_eq!(told.len(), requests + subscriptions);
        (a, b, told)
    }

    /// SPEC §12: publications that wait hold up no answer.
    #[test]
    fn an_acceptance_without_room_holds_up_no_response() {
        let (mut a, mut b, ids) = asked(1, 2);
        b.accept_subscription(ids[1]).unwrap();
        let outgoing = Outgoing {
            topic: "t",
            point: Point { epoch: 1, sequence: 1 },
            missed: Missed::NONE,
            retained: false,
            body: b"",
        };
        while b.publish(ids[1], &outgoing) == Ok(()) {}
        let mut debts = Debts::default();
        debts.push(Owed::Accept(ids[2]));
        debts.push(Owed::Response(ids[0], Status::OK, Bytes::new()));
        assert!(!debts.pay(&mut b));
        assert_eq!(carry(&mut b, &mut a), [ids[0], ids[1]]);
        assert!(debts.pay(&mut b));
        assert_eq!(carry(&mut b, &mut a), [ids[2]]);
    }

    /// SPEC §12: nor do answers that wait hold up a subscription; within a lane the order stays.
    #[test]
    fn a_response_without_room_holds_up_no_acceptance() {
        let (mut a, mut b, ids) = asked(3, 1);
        b.respond(ids[0], Status::OK, &[0; 900]).unwrap();
        let mut debts = Debts::default();
        debts.push(Owed::Response(ids[1], Status::OK, Bytes::from_static(&[0; 900])));
        debts.push(Owed::Response(ids[2], Status::OK, Bytes::new()));
        debts.push(Owed::Accept(ids[3]));
        assert!(!debts.pay(&mut b));
        assert_eq!(carry(&mut b, &mut a), [ids[0], ids[3]]);
        assert!(debts.pay(&mut b));
        assert_eq!(carry(&mut b, &mut a), [ids[1], ids[2]]);
    }

    /// A peer that lets its deadlines pass and takes no answers leaves nothing behind.
    #[test]
    fn a_deadline_voids_what_is_owed() {
        let mut debts = Debts::default();
        let ids = [2, 4, 6].map(ExchangeId::from_number);
        debts.push(Owed::Response(ids[0], Status::OK, Bytes::from_static(b"late")));
        debts.push(Owed::Busy(ids[1], Duration::ZERO));
        debts.push(Owed::Response(ids[2], Status::OK, Bytes::new()));
        debts.void(ids[0]);
        debts.void(ids[1]);
        assert!(matches!(debts.calls.make_contiguous(), [Owed::Response(left, ..)] if *left == ids[2]));
    }
}
